package sim

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestMentions(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []mention
	}{
		{"", nil},
		{"没有", nil},
		{"# #a ##", nil},
		{"#12", []mention{{number: 12}}},
		{"#12#34a#12", []mention{{number: 12}, {number: 34}}},
		{"答#12：你问的是：“问 #12”。", []mention{{number: 12, begun: true}}},
		{"……（完#12）", []mention{{number: 12, ended: true}}},
		{"（完#12）〔你问过的「问 #13」答好了〕", []mention{{number: 12, ended: true}, {number: 13}}},
		{"#99999999999999999999999 完#7", []mention{{number: 7, ended: true}}},
		{"\xe5\xae#1", []mention{{number: 1}}},
	} {
		if diff := cmp.Diff(tt.want, mentions(tt.text), cmp.AllowUnexported(mention{})); diff != "" {
			t.Errorf("%q: %s", tt.text, diff)
		}
	}
}

// What a model says has a beginning and an end that are found, in whatever it
// is asked about, and the length that was wanted.
func TestModelMarksItsAnswers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 1e18-1).Draw(t, "number")
		before := rapid.StringOf(rapid.RuneFrom([]rune("问a答完\n。"))).Draw(t, "before")
		after := rapid.StringOf(rapid.RuneFrom([]rune(" 问a答完\n。"))).Draw(t, "after")
		s := ModelSettings{Bytes: rapid.SampledFrom([]int{0, 200, 6000}).Draw(t, "bytes")}
		said := s.answer(fmt.Sprintf("%s #%d%s", before, n, after))
		want := mention{number: n, begun: true, ended: true}
		if all := mentions(said); len(all) != 1 || all[0] != want || !utf8.ValidString(said) || s.Bytes > 0 && len(said) != s.Bytes {
			t.Errorf("%+v in %q", all, said)
		}
	})
	both := (&ModelSettings{}).answer("问 #1：你好\n问 #2：在吗")
	if !strings.HasPrefix(both, "答#1：答#2：") || !strings.HasSuffix(both, "（完#1）（完#2）") {
		t.Errorf("of two questions: %q", both)
	}
	for _, s := range []ModelSettings{{Text: "固定"}, {Bytes: 20}, {Trouble: ModelEmpty}} {
		if said := s.answer("问 #123456"); strings.Contains(said, "完") {
			t.Errorf("%+v: %q", s, said)
		}
	}
}
