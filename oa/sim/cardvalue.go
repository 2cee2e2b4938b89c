package sim

import (
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// keyType is the type in a key such as thing1.
var keyType = regexp.MustCompile(`^([a-z_]+)\d+$`)

// valueRule is what a key allows by its type (catalogue/api/message-subscribe.yaml);
// nil where the key has no type.
func valueRule(key string) func(string) bool {
	m := keyType.FindStringSubmatch(key)
	if m == nil {
		return nil
	}
	return valueRules[m[1]]
}

var valueRules = map[string]func(string) bool{
	"thing":            upToOf(20, func(rune) bool { return true }),
	"number":           func(s string) bool { return len(s) <= 32 && isDecimal(s) },
	"letter":           upToOf(32, func(r rune) bool { return r < utf8.RuneSelf && unicode.IsLetter(r) }),
	"symbol":           upToOf(5, func(r rune) bool { return unicode.IsPunct(r) || unicode.IsSymbol(r) }),
	"character_string": upToOf(32, func(r rune) bool { return r < utf8.RuneSelf && unicode.IsPrint(r) }),
	"time":             isTime,
	"date":             isTime,
	"amount":           isAmount,
	"phone_number": upToOf(17, func(r rune) bool {
		return r < utf8.RuneSelf && (unicode.IsDigit(r) || unicode.IsPunct(r) || unicode.IsSymbol(r))
	}),
	"car_number": upToOf(8, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }),
	"name":       isName,
	"phrase":     upToOf(5, func(r rune) bool { return unicode.Is(unicode.Han, r) }),
}

// upToOf allows up to most characters of a kind.
func upToOf(most int, kind func(rune) bool) func(string) bool {
	other := func(r rune) bool { return !kind(r) }
	return func(s string) bool { return utf8.RuneCountInString(s) <= most && !strings.ContainsFunc(s, other) }
}

// isDecimal allows digits, with decimals or without.
func isDecimal(s string) bool {
	whole, decimals, point := strings.Cut(s, ".")
	return whole != "" && (!point || decimals != "") && !strings.ContainsFunc(whole+decimals, func(r rune) bool { return r < '0' || r > '9' })
}

// isAmount allows a currency sign, up to 10 digits with decimals, and 元.
func isAmount(s string) bool {
	s = strings.TrimSuffix(strings.TrimLeftFunc(s, func(r rune) bool { return unicode.Is(unicode.Sc, r) }), "元")
	whole, _, _ := strings.Cut(s, ".")
	return len(whole) <= 10 && isDecimal(s)
}

// isTime allows a point in time, or two with ~ between.
func isTime(s string) bool {
	begin, end, span := strings.Cut(s, "~")
	return isMoment(begin) && (!span || isMoment(end))
}

// isMoment allows a day, a time of day, or both.
func isMoment(s string) bool {
	for _, day := range []string{"", "2006-1-2", "2006/1/2", "2006年1月2日"} {
		for _, clock := range []string{"", "15:04", "15:04:05"} {
			layout := join(day, clock)
			if _, err := time.Parse(layout, strings.TrimSpace(s)); layout != "" && err == nil {
				return true
			}
		}
	}
	return false
}

// isName allows 10 characters where one is Chinese, otherwise 20.
func isName(s string) bool {
	most := 20
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
		most = 10
	}
	return utf8.RuneCountInString(s) <= most
}
