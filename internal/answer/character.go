package answer

import (
	"unicode"
	"unicode/utf8"
)

const zeroWidthJoiner = '\u200D'

// characterLength is the number of bytes of what a person would call the first
// character of s: a rune with its combining marks and variation selectors, a pair
// of regional indicators, an emoji with its skin tone and what is joined to it.
func characterLength(s string) int {
	first, end := utf8.DecodeRuneInString(s)
	last, flag := first, isRegional(first)
	for end < len(s) {
		r, size := utf8.DecodeRuneInString(s[end:])
		switch {
		case extends(r):
		case last == zeroWidthJoiner && isPictograph(r):
		case flag && isRegional(r):
			flag = false // complete
		default:
			return end
		}
		last = r
		end += size
	}
	return end
}

// extends reports whether r belongs to the rune before it.
func extends(r rune) bool {
	return unicode.Is(unicode.M, r) || r == zeroWidthJoiner ||
		r >= 0x1F3FB && r <= 0x1F3FF || // skin tones
		r >= 0xE0020 && r <= 0xE007F || // tags, of England's flag
		r >= 0x1160 && r <= 0x11FF // vowels and finals of Hangul
}

func isRegional(r rune) bool { return r >= 0x1F1E6 && r <= 0x1F1FF }

// isPictograph takes all symbols for emoji, which is harmless behind a joiner.
func isPictograph(r rune) bool { return r >= 0x2190 && unicode.Is(unicode.S, r) }
