package turn

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"

	"github.com/wenzihq/wenzi/internal/answer"
	"github.com/wenzihq/wenzi/oa"
)

// What turn itself says. An account may have words of its own, see [Texts].
const (
	textHolding  = "这个问题要多想一会儿，想好以后"
	textContinue = "点这里继续"
	textOrOne    = "，或者回复 1"
	textFull     = "看全文"
	textBusy     = "前面的问题我还在想，请等我答完再问。"
	textExpired  = "这个回答已经过期了，请再问一次。"
	textAllShown = "这个回答已经都发给你了。"
	textTooLate  = "这个问题我没能及时想好，请换个简单点的问法，再试一次。"
	textOffer    = "〔你问过的「%s」答好了，%s〕"
	textLost     = "〔你问过的「%s」没有及时取走，已经过期；想知道就请再问一次〕"
	textUnsure   = "〔「%s」的回答没收到吗？%s〕"
	textSorry    = "抱歉，我这会儿想不出来，请过一会儿再问。"
	textSee      = "点这里看"
	textAgain    = "点这里重看"
)

// leastPart is the least that is worth showing of an unfinished answer: 80
// Chinese characters, in bytes.
const leastPart = 240

// previewRunes is how much of a question recalls it.
const previewRunes = 20

// fetchWord is what a tap on the link sends, and what may be typed instead.
const fetchWord = "继续"

// link is one that, tapped, sends the fetch word with the answer's token
// (reference §7.2).
func link(label, token string) string {
	return `<a href="weixin://bizmsgmenu?msgmenucontent=` + url.QueryEscape(fetchWord) + `&msgmenuid=` + token + `">` + label + `</a>`
}

// composed is a reply to a delivery.
type composed struct {
	text  string // to the follower
	shown string // of the answer, up to and with this reply
	whole bool   // nothing is left to show
	part  bool   // the holding text, or an unfinished answer
}

// composer makes replies of an answer.
type composer struct {
	token   string
	fullURL string // of the full answer's page, "" where there is none
	maxText int
	guest   bool // for whom nothing waits
}

// remaining is what of the rendered answer was not shown yet. A rendering can
// differ from an earlier one of which a part was shown, because markdown that
// was not finished read differently: then it goes on at the last line break
// where both are the same.
func remaining(rendered, shown string) (seen, rest string) {
	if rest, ok := strings.CutPrefix(rendered, shown); ok {
		return shown, strings.TrimLeft(rest, "\n ")
	}
	n := 0
	for n < len(rendered) && n < len(shown) && rendered[n] == shown[n] {
		n++
	}
	n = strings.LastIndexByte(rendered[:n], '\n') + 1
	return rendered[:n], strings.TrimLeft(rendered[n:], "\n ")
}

// whole composes the next page of a finished answer.
func (c composer) whole(markdown, shown string) composed {
	rendered := answer.Text(markdown)
	seen, rest := remaining(rendered, shown)
	if rest == "" {
		return composed{text: textAllShown, shown: rendered, whole: true}
	}
	if len(rest) <= c.maxText {
		return composed{text: rest, shown: rendered, whole: true}
	}
	if c.guest {
		page, _ := answer.Cut(rest, c.maxText-len("…"))
		return composed{text: page + "…", shown: rendered, whole: true}
	}
	number, of := c.pages(seen, rest)
	tail := fmt.Sprintf("\n\n（%d/%d）%s", number, of, link(textContinue, c.token)) + c.full()
	page, left := answer.Cut(rest, c.maxText-len(tail))
	return composed{text: page + tail, shown: strings.TrimSuffix(rendered, left)}
}

// cutPage is the first page of what was not shown of an answer that is longer
// than a page, without anything added.
func cutPage(markdown, shown string, maxText int) (page, shownNow string) {
	rendered := answer.Text(markdown)
	_, rest := remaining(rendered, shown)
	page, left := answer.Cut(rest, maxText)
	return page, strings.TrimSuffix(rendered, left)
}

// pages tells which page comes next, and of how many.
func (c composer) pages(seen, rest string) (number, of int) {
	room := c.maxText - len("\n\n（99/99）") - len(link(textContinue, c.token)) - len(c.full())
	count := func(s string) int {
		n := 0
		for s != "" {
			n++
			_, s = answer.Cut(s, room)
		}
		return n
	}
	number = count(strings.TrimRight(seen, "\n ")) + 1
	return number, number - 1 + count(rest)
}

// part composes what can be said of an answer that is not ready.
func (c composer) part(markdown, shown string) composed {
	if c.guest {
		if said := answer.Sentences(answer.Text(markdown)); len(said) >= leastPart {
			page, _ := answer.Cut(said, c.maxText-len("…"))
			return composed{text: page + "…", part: true, whole: true}
		}
		return composed{text: textTooLate, part: true, whole: true}
	}
	rendered := answer.Sentences(answer.Text(markdown))
	seen, rest := remaining(rendered, shown)
	if len(rest) < leastPart || !strings.HasPrefix(rendered, shown) {
		return composed{text: textHolding + link(textContinue, c.token) + textOrOne + "。", shown: shown, part: true}
	}
	tail := "\n\n……" + link(textContinue, c.token) + textOrOne + c.full()
	page, left := answer.Cut(rest, c.maxText-len(tail))
	return composed{text: page + tail, shown: seen + strings.TrimSuffix(rendered[len(seen):], left), part: true}
}

// full is the link to the whole answer.
func (c composer) full() string {
	if c.fullURL == "" {
		return ""
	}
	return `　<a href="` + c.fullURL + `">` + textFull + `</a>`
}

// messages divides the rest of an answer into at most n pushes; what does not
// fit into them is left, and the last push ends with the link to it.
func (c composer) messages(markdown, shown string, n int) (pages []composed) {
	for len(pages) < n {
		last := len(pages) == n-1
		rendered := answer.Text(markdown)
		_, rest := remaining(rendered, shown)
		switch {
		case rest == "":
			return pages
		case len(rest) <= c.maxText:
			return append(pages, composed{text: rest, shown: rendered, whole: true})
		case last:
			return append(pages, c.whole(markdown, shown))
		}
		page, left := answer.Cut(rest, c.maxText)
		shown = strings.TrimSuffix(rendered, left)
		pages = append(pages, composed{text: page, shown: shown})
	}
	return pages
}

// pageAddress is where the full answer can be read.
func pageAddress(public string, page []byte) string {
	if public == "" || page == nil {
		return ""
	}
	return strings.TrimSuffix(public, "/") + "/a/" + hex.EncodeToString(page)
}

// said is a text as a reply. What the text may be is settled before.
func said(text string) oa.Reply {
	reply, err := oa.Text(oa.Clip(text, oa.MaxTextBytes))
	if err != nil { // nothing that could be seen
		reply, _ = oa.None()
	}
	return reply
}
