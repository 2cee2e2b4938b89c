package sim

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/wenzihq/wenzi/oa"
)

// tokens cuts a text into pieces of whole characters and at most 4 bytes.
func tokens(text string) []string {
	pieces := make([]string, 0, len(text)/3)
	for text != "" {
		piece := oa.Clip(text, 4)
		pieces = append(pieces, piece)
		text = text[len(piece):]
	}
	return pieces
}

// answer is what the settings have the model say to a question.
func (s *ModelSettings) answer(question string) string {
	begin, end := answerMarks(question)
	switch {
	case s.Trouble == ModelEmpty || s.Trouble == ModelFiltered:
		return ""
	case s.Text != "":
		return s.Text
	case s.Bytes > len(begin)+len(end):
		return begin + longAnswer(s.Bytes-len(begin)-len(end)) + end
	case s.Bytes > 0:
		return longAnswer(s.Bytes)
	}
	const most = 600 // bytes of the question
	said := oa.Clip(question, most)
	if len(said) < len(question) {
		said += "…"
	}
	return begin + "你问的是：“" + said + "”。这是模拟的模型在回答，背后没有人工智能。要换一种回答，改它的设置，或换一个模型名。" + end
}

// longAnswer is markdown of exactly n bytes, with everything that is hard to
// show in WeChat.
func longAnswer(n int) string {
	const section = "## 第 %[1]d 节\n\n" +
		"这一段是**很长的回答**的第 %[1]d 段，用来试分页和排版。里面有*强调*、`代码`和[链接](https://example.com/%[1]d)。\n\n" +
		"- 第一点：a < b && c > d\n- 第二点：下划线 a_b_c，星号 2*3*4\n\n" +
		"```go\nfmt.Println(\"第\", %[1]d, \"节\")\n```\n\n" +
		"> 引用一句话。\n\n" +
		"| 名称 | 数量 |\n|---|---|\n| 苹果 | %[1]d |\n\n"
	var b strings.Builder
	for i := 1; b.Len() < n; i++ {
		fmt.Fprintf(&b, section, i)
	}
	text := oa.Clip(b.String(), n)
	return text + strings.Repeat(".", n-len(text))
}

// thoughts are n tokens of reasoning.
func thoughts(n int) []string {
	const sentence = "先弄清问题在问什么，再想想有哪些可能的回答，比较它们，选最合适的一个。"
	if n == 0 {
		return nil
	}
	return tokens(strings.Repeat(sentence, n/utf8.RuneCountInString(sentence)+1))[:n]
}
