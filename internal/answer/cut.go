package answer

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// boundary is how good a place is to end a page; greater is better.
type boundary int

const (
	atNothing boundary = iota
	atCharacter
	atWord
	atSentence
	atLine
	atParagraph
)

var urls = regexp.MustCompile(`(?i)https?://[!-;=?-~]+`)

// Cut takes from text the longest good beginning of at most maxBytes bytes: it
// ends with a paragraph, else with a line, a sentence, a word or, at worst, a
// character. It is at least a third of maxBytes long, and ends inside no URL,
// where that can be. The blanks between page and rest are in neither, but for the
// indentation of a line that begins rest; rest is "" when page is all there is.
//
// maxBytes should be utf8.UTFMax or more: a page has one rune at least.
func Cut(text string, maxBytes int) (page, rest string) {
	text = strings.TrimRightFunc(withoutBlankLines(text), unicode.IsSpace)
	if len(text) <= maxBytes {
		return text, ""
	}
	end := bestEnd(text, maxBytes)
	page, rest = strings.TrimRightFunc(text[:end], unicode.IsSpace), text[end:]
	if page == "" { // nothing but indentation
		return Cut(strings.TrimLeftFunc(text, unicode.IsSpace), maxBytes)
	}
	if strings.Contains(blanks(rest), "\n") {
		return page, withoutBlankLines(rest)
	}
	return page, strings.TrimLeftFunc(rest, unicode.IsSpace)
}

// withoutBlankLines is s without the blank lines that it begins with. Its first
// line is still indented.
func withoutBlankLines(s string) string {
	return s[strings.LastIndexByte(blanks(s), '\n')+1:]
}

// bestEnd is where a page of text ends that may not be longer than maxBytes, but
// has no less than one rune.
func bestEnd(text string, maxBytes int) int {
	var last [atParagraph + 1]int // the last boundary of each kind
	links := urls.FindAllStringIndex(text[:min(len(text), maxBytes+1)], -1)
	for end := 0; ; {
		end += characterLength(text[end:])
		if end > maxBytes {
			break
		}
		for len(links) > 0 && links[0][1] <= end {
			links = links[1:]
		}
		kind := boundaryAt(text, end)
		if len(links) > 0 && links[0][0] < end {
			kind = atNothing
		}
		last[kind] = end
	}
	for kind := atParagraph; kind > atNothing; kind-- {
		if last[kind] >= (maxBytes+2)/3 {
			return last[kind]
		}
	}
	if end := max(last[atNothing], last[atCharacter], last[atWord]); end > 0 {
		return end
	}
	end := 0
	for {
		_, size := utf8.DecodeRuneInString(text[end:])
		if end > 0 && end+size > maxBytes {
			return end
		}
		end += size
	}
}

// boundaryAt says what ends at text[end].
func boundaryAt(text string, end int) boundary {
	before, after := text[:end], text[end:]
	last, _ := utf8.DecodeLastRuneInString(before)
	next, _ := utf8.DecodeRuneInString(after)
	if unicode.IsSpace(last) {
		return atNothing
	}
	switch {
	case unicode.IsSpace(next) && strings.Contains(blanks(after), "\n") && !leads(before):
		if strings.Contains(blanks(after), "\n\n") {
			return atParagraph
		}
		return atLine
	case endsSentence(before, after):
		return atSentence
	case unicode.IsSpace(next), strings.ContainsRune("，、：；）》」』】…—", last), last == ',' && !isASCII(next):
		if !strings.ContainsRune(closers, next) {
			return atWord
		}
	}
	return atCharacter
}

func isASCII(r rune) bool { return r < utf8.RuneSelf }

// blanks are the blanks that s begins with.
func blanks(s string) string {
	return s[:len(s)-len(strings.TrimLeftFunc(s, unicode.IsSpace))]
}

// leads reports whether text ends with what belongs to the text after it: a
// heading or a colon.
func leads(text string) bool {
	for _, end := range []string{"】", "：", ":"} {
		if strings.HasSuffix(text, end) {
			return true
		}
	}
	return false
}

const (
	terminators = "。！？；…!?.;"
	closers     = "”’」』】）》〉\"')]"
)

// endsSentence reports whether before ends with a whole sentence, including the
// brackets and quotation marks that close behind it.
func endsSentence(before, after string) bool {
	next, _ := utf8.DecodeRuneInString(after)
	if leads(before) || after != "" && strings.ContainsRune(terminators+closers, next) {
		return false
	}
	inside := strings.TrimRight(before, closers)
	last, size := utf8.DecodeLastRuneInString(inside)
	if !strings.ContainsRune(terminators, last) {
		return false
	}
	if !isASCII(last) {
		return true
	}
	// "3.14" and "1. first" are no ends, nor is what may still become one of them.
	if after == "" || !unicode.IsSpace(next) {
		return false
	}
	line := inside[strings.LastIndexByte(inside, '\n')+1 : len(inside)-size]
	return last != '.' || strings.Trim(line, "0123456789 　▎") != ""
}

// Sentences is the beginning of a growing text that ends with its last whole
// sentence, list item or paragraph, "" if it has none.
func Sentences(text string) string {
	for end := len(text); end > 0; {
		if endsUnit(text, end) {
			return text[:end]
		}
		_, size := utf8.DecodeLastRuneInString(text[:end])
		end -= size
	}
	return ""
}

// endsUnit reports whether what a follower may be shown of a growing text can end
// at text[end].
func endsUnit(text string, end int) bool {
	switch boundaryAt(text, end) {
	case atParagraph, atSentence:
		return true
	case atLine:
		return endsSentence(text[:end], text[end:]) || startsItem(text[end+1:])
	}
	return false
}

// startsItem reports whether a line begins with the mark of a list item or of a
// table's row.
func startsItem(line string) bool {
	line = strings.TrimLeft(line, "　▎")
	for _, mark := range []string{"• ", "◦ ", "☑ ", "☐ ", rowMark} {
		if strings.HasPrefix(line, mark) {
			return true
		}
	}
	number := strings.TrimLeft(line, "0123456789")
	return number != line && strings.HasPrefix(number, ". ")
}

// Preview recalls a question in one line of at most the given number of runes,
// for use in 「…」: its first line, with an ellipsis where something is left out.
func Preview(text string, runes int) string {
	text = strings.TrimSpace(harmless(clean(text)))
	first, _, more := strings.Cut(text, "\n")
	line := strings.Join(strings.Fields(first), " ")
	const ellipsis = "…"
	if count := utf8.RuneCountInString(line); count > runes || more && count == runes {
		line, more = firstRunes(line, runes-utf8.RuneCountInString(ellipsis)), true
	}
	if more {
		line = strings.TrimRight(line, " ，。、；：…,.;:") + ellipsis
	}
	return line
}

// firstRunes are the characters of s that have at most n runes together.
func firstRunes(s string, n int) string {
	end := 0
	for end < len(s) {
		size := characterLength(s[end:])
		if n -= utf8.RuneCountInString(s[end : end+size]); n < 0 {
			break
		}
		end += size
	}
	return s[:end]
}
