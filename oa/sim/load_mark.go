package sim

import (
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A question of a [Load] carries a number, "#123456", by which the answer is
// known that repeats it. A [Model] marks the beginning and the end of its answer
// with the number, because a part of an answer may be seen before the rest.
const (
	answerBegin = "答"
	answerEnd   = "完"
)

var questionNumber = regexp.MustCompile(`#[0-9]{1,18}`)

// answerMarks are what a model's answer begins and ends with. A question may be
// several that a server has put together.
func answerMarks(question string) (begin, end string) {
	const most = 8
	numbers := questionNumber.FindAllString(question, most)
	slices.Sort(numbers)
	var first, last strings.Builder
	for _, n := range slices.Compact(numbers) {
		first.WriteString(answerBegin + n + "：")
		last.WriteString("（" + answerEnd + n + "）")
	}
	return first.String(), last.String()
}

// mark is a number in a text, and what it stands for.
type mark struct {
	number int64
	kind   string // answerBegin, answerEnd, or "" for a number alone
}

// marks finds the numbers in a text.
func marks(text string) iter.Seq[mark] {
	return func(yield func(mark) bool) {
		for rest := text; ; {
			before, after, found := strings.Cut(rest, "#")
			if !found {
				return
			}
			digits := len(after) - len(strings.TrimLeft(after, "0123456789"))
			rest = after[digits:]
			n, err := strconv.ParseInt(after[:digits], 10, 64)
			if err != nil {
				continue
			}
			m := mark{number: n}
			for _, kind := range []string{answerBegin, answerEnd} {
				if strings.HasSuffix(before, kind) {
					m.kind = kind
				}
			}
			if !yield(m) {
				return
			}
		}
	}
}

// mention is what a text has of an answer.
type mention struct {
	number       int64
	begun, ended bool // the beginning and the end of what a model said
}

// mentions finds the numbers in a text, each once.
func mentions(text string) (all []mention) {
	for m := range marks(text) {
		i := slices.IndexFunc(all, func(other mention) bool { return other.number == m.number })
		if i < 0 {
			i = len(all)
			all = append(all, mention{number: m.number})
		}
		all[i].begun = all[i].begun || m.kind == answerBegin
		all[i].ended = all[i].ended || m.kind == answerEnd
	}
	return all
}
