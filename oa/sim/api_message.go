package sim

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/wenzihq/wenzi/oa/api"
)

var messageHandlers = map[string]handler{
	"custom_message_send":   customMessageSend,
	"custom_message_typing": customMessageTyping,
}

// maxCustomText is the most bytes of a customer-service text (reference
// api-rules §9).
const maxCustomText = 2048

// customMessageSend pushes a message to a follower, as far as the windows that
// the follower opened allow it (reference §9.3).
func customMessageSend(c *call) (any, error) {
	var m api.CustomMessageSendRequest
	if err := c.decode(&m); err != nil {
		return nil, err
	}
	f, err := c.account.customRecipient(m.ToUser)
	if err != nil {
		return nil, err
	}
	if err := onlyObject(c.body, m.MsgType); err != nil {
		return nil, err
	}
	b, err := c.account.customBubble(&m)
	if err != nil {
		return nil, err
	}
	if kf := m.CustomService.KFAccount; kf != "" && c.account.agent(kf) == nil {
		return nil, fail(65401)
	}
	if code := f.spend(); code != 0 {
		return nil, fail(code)
	}
	b.AI = m.AIMsgContext.IsAIMsg == 1
	f.show(Entry{From: FromAccount, Via: ViaPush, Agent: m.CustomService.KFAccount, Bubble: b})
	return nil, nil
}

// customRecipient finds a follower whom a message can reach. p.mu is held.
func (a *Account) customRecipient(openID string) (*Follower, error) {
	f := a.followers[openID]
	switch {
	case f == nil:
		return nil, fail(40003)
	case !f.following:
		return nil, fail(43004)
	case f.blacklisted:
		return nil, fail(43019)
	}
	return f, nil
}

// customTypes are the msgtypes, each of which has an object of its name.
var customTypes = []string{
	"text", "image", "voice", "video", "music", "news", "mpnews", "mpnewsarticle", "msgmenu", "wxcard", "miniprogrampage",
}

// onlyObject refuses a message that has not exactly the object that its msgtype
// names (reference api-rules §3).
func onlyObject(body []byte, msgType string) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return fail(47001)
	}
	known := false
	for _, name := range customTypes {
		_, there := members[name]
		switch {
		case name == msgType:
			known = there
		case there:
			return failf(40008, "invalid message type: %s is given besides %s", name, clip(msgType))
		}
	}
	switch {
	case known:
		return nil
	case msgType == "text":
		return fail(44004)
	}
	return fail(40008)
}

// customBubble is what the follower sees of a message. p.mu is held.
func (a *Account) customBubble(m *api.CustomMessageSendRequest) (Bubble, error) {
	b := Bubble{Kind: m.MsgType}
	switch m.MsgType {
	case "text":
		switch text := strings.ReplaceAll(m.Text.Content, "\r\n", "\n"); {
		case text == "":
			return b, fail(44004)
		case len(text) > maxCustomText:
			return b, fail(45002)
		default:
			b.Text = Spans(text)
		}
		return b, nil
	case "image":
		b.MediaID = m.Image.MediaID
		_, err := a.findMedia(b.MediaID, mediaImage)
		return b, err
	case "voice":
		b.MediaID = m.Voice.MediaID
		_, err := a.findMedia(b.MediaID, mediaVoice)
		return b, err
	case "video":
		v := &m.Video
		b.MediaID, b.ThumbMediaID, b.Title, b.Description = v.MediaID, v.ThumbMediaID, v.Title, v.Description
		if _, err := a.findMedia(b.MediaID, mediaVideo); err != nil {
			return b, err
		}
		return b, a.checkCover(b.ThumbMediaID)
	case "music":
		v := &m.Music
		b.URL, b.HQURL, b.ThumbMediaID, b.Title, b.Description = v.MusicURL, v.HQMusicURL, v.ThumbMediaID, v.Title, v.Description
		return b, a.checkCover(b.ThumbMediaID)
	case "news":
		switch len(m.News.Articles) {
		case 0:
			return b, fail(44003)
		case 1:
			n := &m.News.Articles[0]
			b.Articles = []Article{{Title: n.Title, Description: n.Description, PicURL: n.PicURL, URL: n.URL}}
			return b, nil
		}
		return b, fail(45008)
	case "mpnews":
		return a.articleBubble(m.MsgType, m.MPNews.MediaID)
	case "mpnewsarticle":
		return a.articleBubble(m.MsgType, m.MPNewsArticle.ArticleID)
	case "msgmenu":
		var err error
		b.Text, err = menuSpans(&m.MsgMenu)
		return b, err
	case "wxcard":
		if b.CardID = m.WxCard.CardID; b.CardID == "" {
			return b, failf(40035, "missing parameter: card_id")
		}
		return b, nil
	default: // miniprogrampage
		v := &m.MiniProgramPage
		b.Title, b.AppID, b.PagePath, b.ThumbMediaID = v.Title, v.AppID, v.PagePath, v.ThumbMediaID
		switch {
		case !miniProgramID(v.AppID):
			return b, fail(40013)
		case v.Title == "" || v.PagePath == "":
			return b, failf(40035, "title and pagepath must not be empty")
		}
		return b, a.checkCover(b.ThumbMediaID)
	}
}

// checkCover checks the cover of a video, of music or of a mini program.
func (a *Account) checkCover(mediaID string) error {
	_, err := a.findMedia(mediaID, coverKinds...)
	return err
}

// menuSpans is a menu message as a text whose entries can be tapped.
func menuSpans(m *api.MessageMenu) ([]Span, error) {
	if len(m.List) == 0 {
		return nil, failf(40035, "the list of the msgmenu is empty")
	}
	spans := Spans(m.HeadContent)
	for _, e := range m.List {
		if e.ID == "" || e.Content == "" {
			return nil, failf(40035, "id and content of an entry of the msgmenu must not be empty")
		}
		if len(spans) > 0 {
			spans = append(spans, Span{Text: "\n"})
		}
		spans = append(spans, Span{Text: e.Content, Say: e.Content, MenuID: e.ID})
	}
	if m.TailContent != "" {
		spans = append(append(spans, Span{Text: "\n"}), Spans(m.TailContent)...)
	}
	return spans, nil
}

// articleBubble shows articles by their article_id, or by their media_id; the
// error is 40007. p.mu is held.
func (a *Account) articleBubble(kind, id string) (Bubble, error) {
	articles := a.articles(id)
	if len(articles) == 0 {
		return Bubble{}, fail(40007)
	}
	return Bubble{Kind: kind, MediaID: id, Articles: articles}, nil
}

// customMessageTyping shows or takes back that the account is typing.
func customMessageTyping(c *call) (any, error) {
	var req api.CustomMessageTypingRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	f := c.account.followers[req.ToUser]
	now := c.p.now()
	switch {
	case f == nil:
		return nil, fail(40003)
	case req.Command == "CancelTyping":
		f.showTyping(false)
		return nil, nil
	case req.Command != "Typing":
		return nil, fail(45072)
	case !f.following || now.Sub(f.lastAct) > c.p.settings.typingWindow():
		return nil, fail(45080)
	case now.Before(f.typingUntil):
		return nil, fail(45081)
	}
	f.showTyping(true)
	return nil, nil
}

// showTyping changes what the head of the chat says; it ends by itself. p.mu is
// held.
func (f *Follower) showTyping(on bool) {
	p := f.account.p
	say := func(on bool) {
		p.events.add(Event{Type: EventTyping, AppID: f.account.config.AppID, OpenID: f.openID, Typing: on})
	}
	if on == p.now().Before(f.typingUntil) {
		return
	}
	f.typingUntil = time.Time{}
	if on {
		lasts := p.settings.typingLasts()
		until := p.now().Add(lasts)
		f.typingUntil = until
		p.after(lasts, func() {
			if f.typingUntil.Equal(until) {
				f.typingUntil = time.Time{}
				say(false)
			}
		})
	}
	say(on)
}
