package answer

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// answers are the markdown files of testdata.
func answers(t testing.TB) map[string]string {
	files, err := filepath.Glob("testdata/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("no markdown in testdata: %v", err)
	}
	all := make(map[string]string)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".md")] = string(data)
	}
	return all
}

// Every testdata/*.md has its text beside it.
func TestText(t *testing.T) {
	for name, source := range answers(t) {
		t.Run(name, func(t *testing.T) {
			golden := filepath.Join("testdata", name+".txt")
			got := Text(source) + "\n"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", golden, diff)
			}
			wellFormed(t, got[:len(got)-1])
		})
	}
}

// wellFormed checks what holds for every text.
func wellFormed(t *testing.T, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Error("not UTF-8")
	}
	if i := strings.IndexFunc(text, forbidden); i >= 0 {
		t.Errorf("%q is forbidden in XML", text[i:i+1])
	}
	if strings.Contains(text, "\n\n\n") {
		t.Error("two blank lines in a row")
	}
	for line := range strings.SplitSeq(text, "\n") {
		if strings.TrimRightFunc(line, unicode.IsSpace) != line {
			t.Errorf("blanks at the end of %q", line)
		}
	}
	if live := regexp.MustCompile(`(?i)<\s*/?\s*a[^\w-]|<a$|weixin\s*:`).FindString(text); live != "" {
		t.Errorf("%q is live", live)
	}
	if again := harmless(clean(text)); again != text {
		t.Errorf("cleaned again, %q is %q", text, again)
	}
}

// What Sentences lets a follower see of an answer that is being written is the
// beginning of the answer's text, at every moment.
func TestStreamedTextIsABeginning(t *testing.T) {
	for name, source := range answers(t) {
		t.Run(name, func(t *testing.T) {
			whole := Text(source)
			for end := range source {
				shown := Sentences(Text(source[:end]))
				if !strings.HasPrefix(whole, shown) {
					t.Fatalf("of %d bytes, ending with %q, is shown:\n%s\nbut the whole is:\n%s", end, source[max(0, end-20):end], shown, whole)
				}
			}
		})
	}
}

// Nesting and repetition that no answer has neither stop the server nor fill its memory.
func TestHostileText(t *testing.T) {
	const size = 8 << 10
	for _, part := range []string{
		">", "> ", "- ", "1. ", "* > ", "[", "![", "](x)", "![](", "*a ", "**a", "_a", "~~a", "`a", "``", "```\n", "<", "<a ", "<!--", "&",
		"\\(", "\\[", "$", "$$\n", "$a", "|", "|a|\n|-|\n", "#", "\t", "\n", "[^", "http://", "://", "a\n", "> a\nb\n", "{", "\\frac", "<sup>",
	} {
		for _, source := range []string{
			strings.Repeat(part, size/len(part)),
			"a " + strings.Repeat(part, size/len(part)) + "x",
			strings.Repeat(part+"\n\n", size/(len(part)+2)),
		} {
			text := Text(source)
			wellFormed(t, text)
			if len(text) > 12*len(source) {
				t.Errorf("%d bytes of %q are %d bytes of text", len(source), part, len(text))
			}
		}
	}
}

func FuzzText(f *testing.F) {
	for _, source := range answers(f) {
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source string) {
		text := Text(source)
		wellFormed(t, text)
		if shown := Sentences(text); !strings.HasPrefix(text, shown) {
			t.Errorf("%q is no beginning of %q", shown, text)
		}
	})
}

// BenchmarkText says how often a stream may ask for the text of what it has.
func BenchmarkText(b *testing.B) {
	all := answers(b)
	source := all["deepseek"] + "\n" + all["sorting"] // 4 KB
	b.SetBytes(int64(len(source)))
	b.ReportAllocs()
	for b.Loop() {
		Text(source)
	}
}
