package oa

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxTextBytes is the most that a text reply may have, in bytes of UTF-8. The
// platform's own limit is given as 2047 or 2048 (reference §7.2).
const MaxTextBytes = 2047

// MaxArticles is the most articles of a news reply. In answer to a follower's
// message, not an event, WeChat shows the first only (reference §7.7).
const MaxArticles = 8

// Errors of the reply constructors.
var (
	ErrTooLong = fmt.Errorf("oa: a text reply has at most %d bytes", MaxTextBytes)
	ErrEmpty   = errors.New("oa: a reply needs content")
)

// Reply is a passive reply (被动回复): the answer in the response to a
// delivery. The zero Reply says nothing: WeChat gets `success`. Make others
// with [Text], [Image], [Voice], [Video], [Music], [News] and [Transfer],
// whose results a [Handler] can return as they are.
type Reply struct {
	msgType  string
	text     string // content, media id, or agent
	video    *VideoContent
	music    *MusicContent
	articles []Article
	xml      []byte // of Encoded
}

// IsZero reports whether the reply says nothing.
func (r Reply) IsZero() bool { return r.msgType == "" && len(r.xml) == 0 }

// None says nothing. It is the zero Reply in the form of a handler's result.
func None() (Reply, error) { return Reply{}, nil }

// Encoded is a reply that [Request.Encode] wrote before. Empty bytes say nothing.
func Encoded(xml []byte) Reply { return Reply{xml: xml} }

// Text replies with a text, at most [MaxTextBytes] long; see [Clip]. LF breaks
// lines; <a href="…"> links; nothing else is markup.
func Text(s string) (Reply, error) {
	s = printable(s)
	if strings.TrimSpace(s) == "" {
		return Reply{}, fmt.Errorf("text: %w", ErrEmpty)
	}
	if len(s) > MaxTextBytes {
		return Reply{}, fmt.Errorf("%w, this one has %d", ErrTooLong, len(s))
	}
	return Reply{msgType: "text", text: s}, nil
}

// Append returns the reply with more text at its end. Where it is not a text,
// or would become longer than [MaxTextBytes], ok is false and the reply as it was.
func (r Reply) Append(more string) (longer Reply, ok bool) {
	more = printable(more)
	if r.msgType != "text" || len(r.text)+len(more) > MaxTextBytes {
		return r, false
	}
	r.text += more
	return r, true
}

// Clip cuts s to at most n bytes, never inside a character.
func Clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	n = max(n, 0)
	for cut := n; cut > max(n-utf8.UTFMax, 0); cut-- {
		if utf8.RuneStart(s[cut]) {
			return s[:cut]
		}
	}
	if n < utf8.UTFMax {
		return "" // not a whole character
	}
	return s[:n] // not UTF-8
}

// Image replies with an image by its media id, temporary or permanent.
func Image(mediaID string) (Reply, error) { return media("image", mediaID) }

// Voice replies with a voice message by its media id.
func Voice(mediaID string) (Reply, error) { return media("voice", mediaID) }

func media(msgType, id string) (Reply, error) {
	if id == "" {
		return Reply{}, fmt.Errorf("%s: media id: %w", msgType, ErrEmpty)
	}
	return Reply{msgType: msgType, text: id}, nil
}

// VideoContent is a video by its media id. A video uploaded just now needs
// transcoding before it can be sent.
type VideoContent struct {
	MediaID     string
	Title       string // optional
	Description string // optional
}

// Video replies with a video.
func Video(v VideoContent) (Reply, error) {
	if v.MediaID == "" {
		return Reply{}, fmt.Errorf("video: media id: %w", ErrEmpty)
	}
	return Reply{msgType: "video", video: &v}, nil
}

// MusicContent is a music card. Only ThumbMediaID is required.
type MusicContent struct {
	Title        string
	Description  string
	URL          string
	HQURL        string // preferred on Wi-Fi
	ThumbMediaID string
}

// Music replies with a music card.
func Music(m MusicContent) (Reply, error) {
	if m.ThumbMediaID == "" {
		return Reply{}, fmt.Errorf("music: thumb media id: %w", ErrEmpty)
	}
	return Reply{msgType: "music", music: &m}, nil
}

// Article is one entry of a news reply. The platform asks for all four fields.
type Article struct {
	Title       string
	Description string
	PicURL      string // JPG or PNG; 360×200 for the first, 200×200 for others
	URL         string
}

// News replies with 1 to [MaxArticles] articles (图文).
func News(articles ...Article) (Reply, error) {
	if len(articles) == 0 {
		return Reply{}, fmt.Errorf("news: %w", ErrEmpty)
	}
	if len(articles) > MaxArticles {
		return Reply{}, fmt.Errorf("oa: a news reply has at most %d articles, this one has %d", MaxArticles, len(articles))
	}
	for i, a := range articles {
		if a.Title == "" {
			return Reply{}, fmt.Errorf("news: title of article %d: %w", i+1, ErrEmpty)
		}
	}
	return Reply{msgType: "news", articles: append([]Article(nil), articles...)}, nil
}

// Transfer hands the follower to a human agent of WeChat's customer-service
// system (转发到客服), to the named one (prefix@account) or to any. It answers
// messages only, not events (reference §7.8).
func Transfer(kfAccount string) (Reply, error) {
	return Reply{msgType: "transfer_customer_service", text: kfAccount}, nil
}

// TransferAI hands the message to WeChat's own AI reply, which must be switched
// on for the account (reference §7.9, being rolled out).
func TransferAI() (Reply, error) { return Reply{msgType: "transfer_biz_ai_ivr"}, nil }

// appendXML appends the clear XML, or nothing if there is nothing to say.
func (r *Reply) appendXML(b []byte, to, from string, createTime int64) []byte {
	if r.msgType == "" {
		return append(b, r.xml...)
	}
	b = appendElement(append(b, "<xml>\n"...), "ToUserName", to)
	b = appendElement(b, "FromUserName", from)
	b = append(b, "<CreateTime>"...)
	b = strconv.AppendInt(b, createTime, 10)
	b = appendElement(append(b, "</CreateTime>\n"...), "MsgType", r.msgType)
	switch r.msgType {
	case "text":
		b = append(appendSections(append(b, "<Content>"...), r.text), "</Content>\n"...)
	case "image":
		b = appendElement(append(b, "<Image>\n"...), "MediaId", r.text)
		b = append(b, "</Image>\n"...)
	case "voice":
		b = appendElement(append(b, "<Voice>\n"...), "MediaId", r.text)
		b = append(b, "</Voice>\n"...)
	case "video":
		b = appendElement(append(b, "<Video>\n"...), "MediaId", r.video.MediaID)
		b = appendOptional(b, "Title", r.video.Title)
		b = appendOptional(b, "Description", r.video.Description)
		b = append(b, "</Video>\n"...)
	case "music":
		b = appendOptional(append(b, "<Music>\n"...), "Title", r.music.Title)
		b = appendOptional(b, "Description", r.music.Description)
		b = appendOptional(b, "MusicUrl", r.music.URL)
		b = appendOptional(b, "HQMusicUrl", r.music.HQURL)
		b = appendElement(b, "ThumbMediaId", r.music.ThumbMediaID)
		b = append(b, "</Music>\n"...)
	case "news":
		b = append(b, "<ArticleCount>"...)
		b = strconv.AppendInt(b, int64(len(r.articles)), 10)
		b = append(b, "</ArticleCount>\n<Articles>\n"...)
		for _, a := range r.articles {
			b = appendElement(append(b, "<item>\n"...), "Title", a.Title)
			b = appendElement(b, "Description", a.Description)
			b = appendElement(b, "PicUrl", a.PicURL)
			b = appendElement(b, "Url", a.URL)
			b = append(b, "</item>\n"...)
		}
		b = append(b, "</Articles>\n"...)
	case "transfer_customer_service":
		if r.text != "" {
			b = appendElement(append(b, "<TransInfo>\n"...), "KfAccount", r.text)
			b = append(b, "</TransInfo>\n"...)
		}
	}
	return append(b, "</xml>"...)
}

// appendElement writes one element and the LF that the samples of reference §7 have.
func appendElement(b []byte, name, value string) []byte {
	b = append(append(append(b, '<'), name...), '>')
	b = appendCDATA(b, value)
	return append(append(append(b, "</"...), name...), ">\n"...)
}

func appendOptional(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return appendElement(b, name, value)
}
