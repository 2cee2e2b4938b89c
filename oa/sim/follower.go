package sim

import (
	"cmp"
	"reflect"
	"slices"
	"time"

	"github.com/wenzihq/wenzi/oa"
)

// Follower is a person with a chat with one account. Whoever was added does not
// follow before [Follower.Subscribe].
type Follower struct {
	account *Account
	openID  string

	// What follows is guarded by Platform.mu.
	profile     Profile
	following   bool
	since       time.Time
	scene       string // of the QR code the follower came by
	remark      string
	tagIDs      []int
	blacklisted bool

	chat        []Entry
	keep        int // how many entries of the chat, 0 is maxChat
	seq, read   int64
	changed     chan struct{}
	message     window
	event       window
	lastAct     time.Time
	typingUntil time.Time
	agent       string    // who the follower is talking to
	agentUntil  time.Time // the session ends when nobody says anything

	accepts map[string]int // subscription notices agreed to, by template
}

// Profile is what a follower's phone tells WeChat. Conditional menus go by it.
type Profile struct {
	Nickname       string `json:"nickname,omitempty"`
	Avatar         string `json:"avatar,omitempty"` // an address
	Sex            int    `json:"sex,omitempty"`    // 1 male, 2 female
	Language       string `json:"language,omitempty"`
	Country        string `json:"country,omitempty"`
	Province       string `json:"province,omitempty"`
	City           string `json:"city,omitempty"`
	ClientPlatform int    `json:"client_platform,omitempty"` // 1 iOS, 2 Android, 3 others
	UnionID        string `json:"unionid,omitempty"`
}

// OpenID returns the follower's OpenID.
func (f *Follower) OpenID() string { return f.openID }

// Account returns the account that the chat is with.
func (f *Follower) Account() *Account { return f.account }

// Following reports whether the follower follows the account now.
func (f *Follower) Following() bool {
	f.account.p.mu.Lock()
	defer f.account.p.mu.Unlock()
	return f.following
}

// Profile returns the follower's profile.
func (f *Follower) Profile() Profile {
	f.account.p.mu.Lock()
	defer f.account.p.mu.Unlock()
	return f.profile
}

// SetProfile changes the follower's profile.
func (f *Follower) SetProfile(p Profile) {
	f.account.p.mu.Lock()
	defer f.account.p.mu.Unlock()
	f.profile = p
}

// Subscribe follows the account. Who follows already does nothing new, but
// WeChat delivers the event all the same.
func (f *Follower) Subscribe() *Sent { return f.subscribe(&oa.SubscribeEvent{}) }

// subscribe follows by an event that says how.
func (f *Follower) subscribe(e *oa.SubscribeEvent) *Sent {
	e.MsgType, e.Event = "event", "subscribe"
	p := f.account.p
	p.mu.Lock()
	defer p.mu.Unlock()
	f.following, f.since, f.scene = true, p.now(), e.Scene
	return f.act(e)
}

// Unsubscribe stops following. Nothing reaches the follower any more.
func (f *Follower) Unsubscribe() *Sent {
	e := &oa.UnsubscribeEvent{}
	e.MsgType, e.Event = "event", "unsubscribe"
	p := f.account.p
	p.mu.Lock()
	defer p.mu.Unlock()
	s := f.act(e)
	f.following, f.message, f.event, f.agent = false, window{}, window{}, ""
	return s
}

// Say sends a text.
func (f *Follower) Say(text string) *Sent { return f.Send(&oa.TextMessage{Content: text}) }

// Tap taps a link in a text, or an entry of a menu message. Only those that
// send something do: weixin://bizmsgmenu links and menu messages. Others open a
// page, of which the account hears nothing: then the result is nil.
func (f *Follower) Tap(link Span) *Sent {
	if link.Say == "" {
		return nil
	}
	return f.Send(&oa.TextMessage{Content: link.Say, MenuID: link.MenuID})
}

// Image sends a picture; its content can be fetched by its MediaId.
func (f *Follower) Image(content []byte) *Sent {
	m := &oa.ImageMessage{MediaID: f.account.keepMedia("image", "image.jpg", content)}
	m.PicURL = "http://mmbiz.qpic.cn/mmbiz_jpg/" + m.MediaID + "/0"
	return f.Send(m)
}

// Voice sends a voice message. recognition is WeChat's speech-to-text, which
// it has mostly stopped giving (reference §5.3).
func (f *Follower) Voice(content []byte, recognition string) *Sent {
	return f.Send(&oa.VoiceMessage{
		MediaID: f.account.keepMedia("voice", "voice.amr", content), Format: "amr",
		MediaID16K: f.account.keepMedia("voice", "voice.speex", content), Recognition: recognition,
	})
}

// Video sends a video.
func (f *Follower) Video(content []byte) *Sent {
	return f.Send(&oa.VideoMessage{
		MediaID:      f.account.keepMedia("video", "video.mp4", content),
		ThumbMediaID: f.account.keepMedia("thumb", "thumb.jpg", nil),
	})
}

// Location sends a place.
func (f *Follower) Location(latitude, longitude float64, label string) *Sent {
	return f.Send(&oa.LocationMessage{Latitude: latitude, Longitude: longitude, Scale: 16, Label: label})
}

// Link sends a link.
func (f *Follower) Link(title, description, url string) *Sent {
	return f.Send(&oa.LinkMessage{Title: title, Description: description, URL: url})
}

// File sends a file, whose content nobody can fetch (reference §5.8).
func (f *Follower) File(name string) *Sent {
	return f.Send(&oa.FileMessage{Title: name, FileKey: randomText(16), FileMD5: "d41d8cd98f00b204e9800998ecf8427e", FileTotalLen: 10203788})
}

// Sticker sends what WeChat has no message type for: the account gets the text
// that says so (reference §5.9).
func (f *Follower) Sticker() *Sent {
	return f.Say("【收到不支持的消息类型，暂无法显示】")
}

// ReportLocation reports where the follower is, as the client does on entering
// the chat where the account may ask for it (reference §6.3).
func (f *Follower) ReportLocation(latitude, longitude, precision float64) *Sent {
	e := &oa.LocationEvent{Latitude: latitude, Longitude: longitude, Precision: precision}
	e.MsgType, e.Event = "event", "LOCATION"
	p := f.account.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if !f.account.has(RightLocation) {
		return f.undelivered(e, remark(RuleNotPushed, "账号没有获取地理位置的权限", "the account has no right to locations"))
	}
	return f.act(e)
}

// Click sends the event of a menu button of type click with that key, whether
// the menu has one or not. [Follower.Press] presses a button of the menu.
func (f *Follower) Click(key string) *Sent {
	e := &oa.ClickEvent{Key: key}
	e.MsgType, e.Event = "event", "CLICK"
	return f.Send(e)
}

// Send sends any message or event as the follower's. What is empty of
// ToUserName, FromUserName, CreateTime, MsgType and MsgId is filled in; the
// platform's state follows what an event says.
func (f *Follower) Send(m oa.Message) *Sent {
	switch e := m.(type) {
	case *oa.SubscribeEvent:
		return f.subscribe(e)
	case *oa.UnsubscribeEvent:
		return f.Unsubscribe()
	}
	p := f.account.p
	p.mu.Lock()
	defer p.mu.Unlock()
	return f.act(m)
}

// messageTypes are the MsgType of messages whose Go type has just one.
var messageTypes = map[reflect.Type]string{
	reflect.TypeFor[*oa.TextMessage]():     "text",
	reflect.TypeFor[*oa.ImageMessage]():    "image",
	reflect.TypeFor[*oa.VoiceMessage]():    "voice",
	reflect.TypeFor[*oa.VideoMessage]():    "video",
	reflect.TypeFor[*oa.LocationMessage](): "location",
	reflect.TypeFor[*oa.LinkMessage]():     "link",
	reflect.TypeFor[*oa.FileMessage]():     "file",
}

// fill completes the head of a message. p.mu is held.
func (a *Account) fill(m oa.Message, from string) {
	h := m.Head()
	h.ToUserName = cmp.Or(h.ToUserName, a.config.OriginalID)
	h.FromUserName = cmp.Or(h.FromUserName, from)
	h.CreateTime = cmp.Or(h.CreateTime, a.p.now().Add(a.p.trouble.Skew).Unix())
	if _, ok := m.(oa.Event); ok {
		h.MsgType = "event"
		return
	}
	h.MsgType = cmp.Or(h.MsgType, messageTypes[reflect.TypeOf(m)])
	if id := identOf(m); id != nil {
		id.MsgID = cmp.Or(id.MsgID, a.p.id())
	}
}

func identOf(m oa.Message) *oa.Ident {
	switch m := m.(type) {
	case *oa.TextMessage:
		return &m.Ident
	case *oa.ImageMessage:
		return &m.Ident
	case *oa.VoiceMessage:
		return &m.Ident
	case *oa.VideoMessage:
		return &m.Ident
	case *oa.LocationMessage:
		return &m.Ident
	case *oa.LinkMessage:
		return &m.Ident
	case *oa.FileMessage:
		return &m.Ident
	}
	return nil
}

// act puts what the follower does into the chat and on its way to the
// account's servers. p.mu is held.
func (f *Follower) act(m oa.Message) *Sent {
	a := f.account
	a.fill(m, f.openID)
	switch {
	case !f.following:
		return f.undelivered(m, remark(RuleNotPushed, "没有关注，消息不会推送", "what somebody sends who does not follow is not pushed"))
	case f.blacklisted:
		return f.undelivered(m, remark(RuleNotPushed, "粉丝在黑名单里", "the follower is on the blacklist"))
	}
	_, isEvent := m.(oa.Event)
	f.opened(m)
	if !isEvent && f.withAgent() {
		f.agentUntil = a.p.now().Add(agentIdle)
		return f.undelivered(m, remark(RuleNotPushed, "正在和人工客服对话，消息只到客服", "a human agent has the chat, the message goes there only"))
	}
	s := a.send(m, f)
	f.show(Entry{From: FromFollower, Message: s.ID, Bubble: own(m)})
	return s
}

// undelivered is an act that no server hears of. p.mu is held.
func (f *Follower) undelivered(m oa.Message, why *Remark) *Sent {
	f.account.fill(m, f.openID)
	s := newSent(f.account, f, m)
	f.show(Entry{From: FromFollower, Message: s.ID, Bubble: own(m)})
	s.end(NotPushed, why)
	return s
}

// own is the follower's message as a bubble.
func own(m oa.Message) Bubble {
	return Bubble{Kind: m.Head().MsgType, Text: []Span{{Text: Describe(m)}}}
}

// agentIdle is how long a session with a human agent lasts without a word
// (reference §9.2).
const agentIdle = 30 * time.Minute

// withAgent reports whether a human agent has the chat. p.mu is held.
func (f *Follower) withAgent() bool {
	return !f.agentUntil.IsZero() && f.account.p.now().Before(f.agentUntil)
}

func (f *Follower) hasTag(id int) bool { return slices.Contains(f.tagIDs, id) }
