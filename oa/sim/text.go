package sim

import (
	"net/url"
	"regexp"
	"strings"
)

// Span is a run of a text: a link where URL is set.
type Span struct {
	Text string `json:"text"`
	URL  string `json:"url,omitempty"`
	// Say and MenuID are set for a weixin://bizmsgmenu link and for an entry of a
	// menu message: who taps it sends Say as a text message with that
	// bizmsgmenuid.
	Say    string `json:"say,omitempty"`
	MenuID string `json:"menu_id,omitempty"`
}

var (
	// links are <a href="…">text</a>, which may have further attributes, and
	// bare addresses, which the client makes clickable.
	links = regexp.MustCompile(`(?s)<a((?:\s+[\w-]+\s*=\s*(?:"[^"]*"|'[^']*'))+)\s*>(.*?)</a>|https?://[!#-&(-;=?-~]+`)
	href  = regexp.MustCompile(`\shref\s*=\s*(?:"([^"]*)"|'([^']*)')`)
)

// Spans divides a text into runs as WeChat's client shows it (reference §7.2).
func Spans(text string) []Span {
	var spans []Span
	rest := 0
	plain := func(s string) {
		if s != "" {
			spans = append(spans, Span{Text: s})
		}
	}
	for _, m := range links.FindAllStringSubmatchIndex(text, -1) {
		start, end := m[0], m[1]
		var link Span
		if m[2] < 0 {
			end = start + len(strings.TrimRight(text[start:end], ".,;:!?)"))
			link = Span{Text: text[start:end], URL: text[start:end]}
		} else {
			h := href.FindStringSubmatch(text[m[2]:m[3]])
			if h == nil {
				continue
			}
			link = Span{Text: text[m[4]:m[5]], URL: h[1] + h[2]}
			link.Say, link.MenuID = menu(link.URL)
		}
		plain(text[rest:start])
		spans = append(spans, link)
		rest = end
	}
	plain(text[rest:])
	return spans
}

const menuLink = "weixin://bizmsgmenu?"

// menu reads a menu link. It does nothing where one of the two is empty.
func menu(link string) (say, id string) {
	query, ok := strings.CutPrefix(link, menuLink)
	if !ok {
		return "", ""
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", ""
	}
	say, id = values.Get("msgmenucontent"), values.Get("msgmenuid")
	if say == "" || id == "" {
		return "", ""
	}
	return say, id
}

// literal is what is often meant as markup and is shown as it stands.
var literal = regexp.MustCompile(`(?i)<br\s*/?>|\\n|&(?:lt|gt|amp|quot|nbsp);|</?(?:p|b|strong|div|span|img)\b|<a\b`)

// textNotes remarks what the author of a text hardly meant.
func textNotes(spans []Span) []Remark {
	var notes []Remark
	for _, s := range spans {
		switch {
		case s.URL == "":
			if m := literal.FindString(s.Text); m != "" {
				notes = append(notes, *remark(RuleMarkup, "文字里的 %s 会原样显示", "%s in the text is shown as it stands", m))
			}
		case strings.HasPrefix(s.URL, "weixin://bizmsgmenu") && s.Say == "":
			notes = append(notes, *remark(RuleMenu, "菜单链接“%s”点了没有反应：msgmenucontent 和 msgmenuid 都不能空，并要百分号编码",
				"the menu link %q does nothing: msgmenucontent and msgmenuid must both be given, percent-encoded", clip(s.Text)))
		}
	}
	return notes
}
