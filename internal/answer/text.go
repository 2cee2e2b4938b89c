// Package answer is what a language model's answer looks like to a follower: its
// markdown as the plain text of a WeChat bubble, cut into pages that fit, and as
// a web page. It knows nothing of HTTP servers, turns or SQL.
//
// The markdown is a stranger's. Whatever it says, Text has no live link element
// and no weixin:// link in it, and Page has no script, no outgoing request and no
// HTML of the model's own.
package answer

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/yuin/goldmark/text"
)

// Text is markdown as plain text that looks good in a narrow bubble and shows no
// markup. It may be the beginning of an answer that is still being written: what
// Sentences takes of its text is then, as a rule, a beginning of the whole
// answer's text, too. Every call reads all of the markdown: 4 KB take about a
// millisecond, so a stream can ask some times a second.
func Text(markdownText string) string {
	source := []byte(withoutHalf(clean(markdownText)))
	w := &writer{source: source, tail: bytes.LastIndex(source, []byte("\n\n")) + 1}
	w.blocks(markdown.Parser().Parse(text.NewReader(source)))
	return harmless(string(w.out))
}

// clean is s without what XML 1.0 forbids (reference §7), with LF line ends.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
	return strings.Map(func(r rune) rune {
		if forbidden(r) {
			return -1
		}
		return r
	}, s)
}

func forbidden(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' || r == 0xFFFE || r == 0xFFFF
}

var (
	linkElement = regexp.MustCompile(`(?i)<(\s*/?\s*a)\b`)
	weixinLink  = regexp.MustCompile(`(?i)(weixin\s*):`)
)

// harmless is s with nothing in it that WeChat makes a link of, but bare URLs: a
// full-width character stands where "<a" or "weixin:" began one.
func harmless(s string) string {
	s = linkElement.ReplaceAllString(s, "＜$1")
	return weixinLink.ReplaceAllString(s, "$1：")
}

// withoutHalf takes away what an answer that is being written ends with and what
// only later text makes a link, an image or a table.
func withoutHalf(source string) string {
	if strings.Count("\n"+source, "\n```")%2 == 1 {
		return source // code
	}
	body := strings.TrimRight(source, "\n")
	if open := strings.LastIndex(body, "]("); open >= 0 && !strings.ContainsAny(body[open:], ") \n") {
		if label := strings.LastIndexByte(body[:open], '['); label >= 0 && !strings.Contains(body[label:], "\n") {
			if label > 0 && body[label-1] == '!' {
				return body[:label-1]
			}
			return body[:label] + body[label+1:open]
		}
	}
	before, last := cutLastLine(body)
	if strings.Trim(last, "|-: ") == "" {
		before, last = cutLastLine(before)
	}
	if _, earlier := cutLastLine(before); strings.HasPrefix(last, "| ") && !strings.HasPrefix(earlier, "|") {
		return before
	}
	return source
}

func cutLastLine(s string) (before, line string) {
	at := strings.LastIndexByte(s, '\n')
	return s[:max(at, 0)], s[at+1:]
}
