package turn

import (
	"os"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The manual's table of states is the one here; the English one in its words.
func TestManualHasTheStates(t *testing.T) {
	row := regexp.MustCompile(`(?m)^\| ([a-z]+) \| ([a-z]+) \| (.+) \|$`)
	for _, page := range []struct {
		file    string
		english bool
	}{{"../../docs/slow-answers.md", false}, {"../../docs/en/slow-answers.md", true}} {
		manual, err := os.ReadFile(page.file)
		if err != nil {
			t.Fatal(err)
		}
		var got, want [][]string
		for _, m := range row.FindAllStringSubmatch(string(manual), -1) {
			if m[1] == "from" {
				continue
			}
			if !page.english {
				m[3] = ""
			}
			got = append(got, m[1:])
		}
		for _, tr := range transitions {
			when := tr.when
			if !page.english {
				when = ""
			}
			want = append(want, []string{tr.from.String(), tr.to.String(), when})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", page.file, diff)
		}
	}
}
