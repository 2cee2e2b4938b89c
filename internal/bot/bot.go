// Package bot says what a bot is: the accounts it answers and what it says on
// each. It reads and writes bot.yaml ([Parse], [Export], [Bot.ApplyMasks]),
// finds what a new file would change ([Diff]), and gives the form in which an
// account is stored ([MarshalConfig]).
//
// In a file every value is the text as it is written (007 stays 007, a name may
// be yes), a reply is either a plain text or a mapping with one kind, and only
// secrets may be a ${NAME} or the [Mask]. testdata/bot.yaml shows every key.
//
// The package knows nothing of HTTP, of the store or of how an answer is
// chosen; it only guarantees that what it hands over makes sense.
package bot

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/wenzihq/wenzi/oa"
)

// Bot is the content of a bot.yaml.
type Bot struct {
	Accounts []Account
	// Kept are the secrets that the file masks; they are empty in Accounts
	// until [Bot.ApplyMasks] fills them in.
	Kept []Kept
	// Hints are the warnings that only the file gives reason for.
	Hints []string
}

// Warnings returns, one line each, what is allowed but hardly meant.
func (b Bot) Warnings() []string {
	ws := slices.Clone(b.Hints)
	for _, a := range b.Accounts {
		ws = append(ws, a.Warnings()...)
	}
	return ws
}

// Account is one Official Account and what it answers.
type Account struct {
	Path           string   `json:"path"` // last element of the callback address: 1 to 64 of [A-Za-z0-9_-]
	Name           string   `json:"name,omitempty"`
	Token          Secret   `json:"token"`
	PreviousToken  Secret   `json:"previous_token,omitempty"`
	AppID          string   `json:"app_id,omitempty"`
	AppSecret      Secret   `json:"app_secret,omitempty"`
	AESKey         Secret   `json:"aes_key,omitempty"`
	PreviousAESKey Secret   `json:"previous_aes_key,omitempty"`
	Mode           oa.Mode  `json:"mode"`              // never unset: secure is the default where AESKey is given, else plain
	Greeting       Reply    `json:"greeting,omitzero"` // zero: the default greeting
	Rules          []Rule   `json:"rules,omitempty"`   // the first match answers
	Model          Model    `json:"model,omitzero"`    // answers what no rule matches
	Fallback       Fallback `json:"fallback,omitzero"` // beside a model: answers what that cannot read
}

// Callback returns what the callback library needs to know of the account.
func (a Account) Callback() oa.Account {
	return oa.Account{
		Name:           a.Name,
		AppID:          a.AppID,
		Token:          a.Token.Reveal(),
		PreviousToken:  a.PreviousToken.Reveal(),
		AESKey:         a.AESKey.Reveal(),
		PreviousAESKey: a.PreviousAESKey.Reveal(),
		Mode:           a.Mode,
	}
}

// Rule answers the messages that meet its one condition.
type Rule struct {
	Text     []string `json:"text,omitempty"`     // the whole text is one of these, trimmed, full-width and case folded
	Contains []string `json:"contains,omitempty"` // the text contains one of these, folded likewise
	Regexp   string   `json:"regexp,omitempty"`   // the text matches; named groups fill {{.name}} in a text reply, see [Expand]
	Event    string   `json:"event,omitempty"`    // "CLICK", or "CLICK/KEY": event and its key, split at the first slash
	Reply    Reply    `json:"reply"`
}

// Reply is what the follower gets: exactly one of its fields is set
// (reference §7).
type Reply struct {
	Text     string    `json:"text,omitempty"`  // at most [oa.MaxTextBytes]
	Image    string    `json:"image,omitempty"` // media id
	Voice    string    `json:"voice,omitempty"` // media id
	Video    *Video    `json:"video,omitempty"`
	Music    *Music    `json:"music,omitempty"`
	News     []Article `json:"news,omitempty"` // 1 to 8; a reply to a user message shows the first only
	Transfer *Transfer `json:"transfer,omitempty"`
}

// Kind returns the key of the field that is set, "text" to "transfer", or ""
// for the zero reply.
func (r Reply) Kind() string {
	switch {
	case r.Text != "":
		return "text"
	case r.Image != "":
		return "image"
	case r.Voice != "":
		return "voice"
	case r.Video != nil:
		return "video"
	case r.Music != nil:
		return "music"
	case r.News != nil:
		return "news"
	case r.Transfer != nil:
		return "transfer"
	}
	return ""
}

// IsZero reports whether the reply says nothing.
func (r Reply) IsZero() bool { return r.Kind() == "" }

// Video is a video reply.
type Video struct {
	MediaID     string `json:"media_id"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
}

// Music is a music reply.
type Music struct {
	ThumbMediaID string `json:"thumb_media_id"`
	Title        string `json:"title,omitempty"`
	Description  string `json:"description,omitempty"`
	MusicURL     string `json:"music_url,omitempty"`
	HQMusicURL   string `json:"hq_music_url,omitempty"`
}

// Article is one article of a news reply.
type Article struct {
	Title       string `json:"title"`
	Description string `json:"description"`
	PicURL      string `json:"pic_url"`
	URL         string `json:"url"`
}

// Transfer hands the message to the human customer service.
type Transfer struct {
	Agent string `json:"agent,omitempty"` // name@account, or empty for whoever is free
}

// Fallback answers what no rule matches. The zero Fallback echoes, or leaves it
// to the model where there is one.
type Fallback struct {
	None  bool  `json:"none,omitempty"` // say nothing
	Reply Reply `json:"reply,omitzero"` // say this
}

// IsZero reports whether the fallback is the echo.
func (f Fallback) IsZero() bool { return !f.None && f.Reply.IsZero() }

// answerable are the events of user actions, and whether a reply to them
// reaches the user (reference §6).
var answerable = map[string]bool{
	"subscribe": true, "SCAN": true, "LOCATION": true, "CLICK": true,
	"scancode_push": true, "scancode_waitmsg": true,
	"pic_sysphoto": true, "pic_photo_or_album": true, "pic_weixin": true,
	"location_select": true,
	"unsubscribe":     false, "VIEW": false, "view_miniprogram": false,
}

func (a Account) warning(key, zh, en string) string {
	return fmt.Sprintf("%s: %s：%s（%s）", a.Path, key, zh, en)
}

// Warnings returns, one line each, what is allowed but hardly meant.
func (a Account) Warnings() []string {
	var ws []string
	warn := func(key, zh, en string) { ws = append(ws, a.warning(key, zh, en)) }
	if a.Path == a.Token.Reveal() {
		warn("path", "与 token 相同，看到地址的人就能冒充微信；请换一个",
			"is the same as token, so whoever sees the address can pretend to be WeChat; choose another")
	}
	for i, r := range a.Rules {
		key := fmt.Sprintf("rules[%d]", i)
		if r.Event == "" {
			if len(r.Reply.News) > 1 {
				warn(key+".reply.news", "回复用户消息时微信只显示第一篇", "WeChat shows only the first article in answer to a user's message")
			}
			continue
		}
		name, scene, _ := strings.Cut(r.Event, "/")
		reaches, known := answerable[name]
		switch {
		case known && !reaches:
			warn(key+".event", name+" 事件的回复用户收不到", "a reply to "+name+" does not reach the user")
		case known && strings.HasPrefix(scene, "qrscene_"):
			warn(key+".event", "场景值前不用写 qrscene_", "the scene is written without its qrscene_ prefix")
		case !known:
			if near := Nearest(name, slices.Sorted(maps.Keys(answerable))); near != "" {
				warn(key+".event", "没有 "+name+" 事件，是不是 "+near+"？", "there is no event "+name+"; did you mean "+near+"?")
			}
		}
	}
	for i, e := range a.Model.Endpoints {
		if e.bare() {
			warn(endpointField(i)+".base_url", "用 http:// 会把 key 不加密地送到公网；请用 https://", "http:// sends the key over the Internet unencrypted; use https://")
		}
	}
	if len(a.Fallback.Reply.News) > 1 {
		warn("fallback.news", "回复用户消息时微信只显示第一篇", "WeChat shows only the first article in answer to a user's message")
	}
	return ws
}
