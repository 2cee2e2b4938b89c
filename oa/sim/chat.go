package sim

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/wenzihq/wenzi/oa"
)

// Who put an entry into a chat.
const (
	FromFollower = "follower"
	FromAccount  = "account"
	FromWeChat   = "wechat" // the fault notice
)

// Via says how the account's entry came into the chat.
type Via string

// The ways into a chat.
const (
	ViaReply        Via = "reply"     // a passive reply, in the response to a delivery
	ViaPush         Via = "push"      // a customer-service message
	ViaTemplate     Via = "template"  // a template message
	ViaSubscription Via = "subscribe" // a subscription notice
	ViaMass         Via = "mass"      // a mass send or its preview
	ViaMenu         Via = "menu"      // a menu button that shows material
)

// Entry is one thing in a follower's chat.
type Entry struct {
	Seq  int64     `json:"seq"` // counts the chat's entries from 1
	At   time.Time `json:"at"`
	From string    `json:"from"`
	Via  Via       `json:"via,omitempty"`
	// Message is the id of the [Sent] that the entry is, answers, or failed.
	Message int64 `json:"message,omitempty"`
	// Delivery is which delivery of the message was answered, from 1.
	Delivery int `json:"delivery,omitempty"`
	// Receiver is the name of the third-party platform that answered.
	Receiver string `json:"receiver,omitempty"`
	// Agent is the account of the human agent who wrote, if one did.
	Agent  string `json:"agent,omitempty"`
	Bubble Bubble `json:"bubble"`
}

// Text returns the entry as text, links without their addresses. Of what is no
// text it is the short form that [Bubble.String] has.
func (e Entry) Text() string {
	if e.Bubble.Text == nil {
		return e.Bubble.String()
	}
	var b strings.Builder
	for _, s := range e.Bubble.Text {
		b.WriteString(s.Text)
	}
	return b.String()
}

// Links returns what can be tapped in the entry.
func (e Entry) Links() []Span {
	return slices.DeleteFunc(slices.Clone(e.Bubble.Text), func(s Span) bool { return s.URL == "" && s.Say == "" })
}

// maxChat is how many entries of a chat are kept; older ones are forgotten.
const maxChat = 2000

// show appends an entry to the chat. p.mu is held.
func (f *Follower) show(e Entry) {
	p := f.account.p
	f.seq++
	e.Seq, e.At = f.seq, p.now()
	if most := cmp.Or(f.keep, maxChat); len(f.chat) >= most {
		f.chat = slices.Delete(f.chat, 0, most/2)
	}
	f.chat = append(f.chat, e)
	if e.From == FromAccount {
		f.typingUntil = time.Time{}
	}
	close(f.changed)
	f.changed = make(chan struct{})
	p.events.add(Event{Type: EventEntry, AppID: f.account.config.AppID, OpenID: f.openID, Entry: &e})
}

// Chat returns what the follower sees, oldest first.
func (f *Follower) Chat() []Entry {
	f.account.p.mu.Lock()
	defer f.account.p.mu.Unlock()
	return slices.Clone(f.chat)
}

// Next waits for the next entry that the follower has not written and Next has
// not returned yet. It fails when ctx ends first.
func (f *Follower) Next(ctx context.Context) (Entry, error) {
	for {
		f.account.p.mu.Lock()
		for _, e := range f.chat {
			if e.Seq > f.read && e.From != FromFollower {
				f.read = e.Seq
				f.account.p.mu.Unlock()
				return e, nil
			}
		}
		changed := f.changed
		f.account.p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return Entry{}, context.Cause(ctx)
		}
	}
}

// Until waits until the chat is as ok wants it, and returns it.
func (f *Follower) Until(ctx context.Context, ok func([]Entry) bool) ([]Entry, error) {
	for {
		f.account.p.mu.Lock()
		chat, changed := slices.Clone(f.chat), f.changed
		f.account.p.mu.Unlock()
		if ok(chat) {
			return chat, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return chat, context.Cause(ctx)
		}
	}
}

// Typing reports whether the chat shows that the account is typing.
func (f *Follower) Typing() bool {
	f.account.p.mu.Lock()
	defer f.account.p.mu.Unlock()
	return f.account.p.now().Before(f.typingUntil)
}

// window is what an act of the follower allows the account to push.
type window struct {
	until time.Time
	left  int
}

// opened renews the windows for customer-service messages (reference §9.3).
// p.mu is held.
func (f *Follower) opened(m oa.Message) {
	p := f.account.p
	now := p.now()
	f.lastAct = now
	s := &p.settings
	event := window{until: now.Add(s.eventWindow()), left: s.eventQuota()}
	switch m := m.(type) {
	case *oa.SubscribeEvent, *oa.ScanEvent, *oa.ClickEvent, *oa.ScanCodeEvent:
		f.event = event
	case oa.Event, oa.Info:
	case *oa.TextMessage:
		if m.MenuID != "" && !s.MenuMessageIsText {
			f.event = event
			return
		}
		f.message = window{until: now.Add(s.messageWindow()), left: s.messageQuota()}
	default:
		f.message = window{until: now.Add(s.messageWindow()), left: s.messageQuota()}
	}
}

// Credit is what the account can still push to the follower by
// customer-service messages.
type Credit struct {
	Left  int       `json:"left"`
	Until time.Time `json:"until,omitzero"` // of the longer window
}

// Credit returns what the account can still push.
func (f *Follower) Credit() Credit {
	f.account.p.mu.Lock()
	defer f.account.p.mu.Unlock()
	var c Credit
	now := f.account.p.now()
	for _, w := range []window{f.message, f.event} {
		if now.Before(w.until) {
			c.Left += w.left
			if w.until.After(c.Until) {
				c.Until = w.until
			}
		}
	}
	return c
}

// spend takes one customer-service message from the windows: from the shorter
// one first. The code is 0, 45015 or 45047. p.mu is held.
func (f *Follower) spend() (code int) {
	code = 45015
	now := f.account.p.now()
	for _, w := range []*window{&f.event, &f.message} {
		if !now.Before(w.until) {
			continue
		}
		if w.left > 0 {
			w.left--
			return 0
		}
		code = 45047
	}
	return code
}
