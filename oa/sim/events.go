package sim

import (
	"slices"
	"sync"
	"time"
)

// EventType says what an [Event] is about.
type EventType string

// The types of events.
const (
	EventEntry    EventType = "entry"    // something appeared in a chat
	EventDelivery EventType = "delivery" // a delivery was made and judged
	EventCall     EventType = "call"     // the API was called
	EventTyping   EventType = "typing"   // the typing state was set or taken back
	EventPause    EventType = "pause"    // MarkFail: WeChat stops pushing
)

// Event is something that happened on a platform, for pages and logs that show
// it live.
type Event struct {
	Seq      int64         `json:"seq"`
	At       time.Time     `json:"at"`
	Type     EventType     `json:"type"`
	AppID    string        `json:"app_id,omitempty"`
	OpenID   string        `json:"openid,omitempty"`
	Entry    *Entry        `json:"entry,omitempty"`
	Delivery *DeliveryNote `json:"delivery,omitempty"`
	Call     *Call         `json:"call,omitempty"`
	Typing   bool          `json:"typing,omitempty"`
	Until    time.Time     `json:"until,omitzero"` // of a pause
}

// keptEvents is how many events a reader may be behind.
const keptEvents = 4096

// eventLog keeps the last events. Nothing is kept before somebody asks.
type eventLog struct {
	mu      sync.Mutex
	asked   bool
	closed  bool
	seq     int64
	events  []Event
	changed chan struct{}
	watches []*watch
}

// watch hears of every event as it happens, with locks of the platform held.
type watch func(Event)

// watch calls w with all events until stop is called.
func (l *eventLog) watch(w watch) (stop func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watches = append(l.watches, &w)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.watches = slices.DeleteFunc(l.watches, func(other *watch) bool { return other == &w })
	}
}

func (l *eventLog) add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.watches {
		(*w)(e)
	}
	if !l.asked || l.closed {
		return
	}
	l.seq++
	e.Seq = l.seq
	if e.At.IsZero() {
		e.At = time.Now()
	}
	if len(l.events) >= 2*keptEvents {
		l.events = slices.Delete(l.events, 0, keptEvents)
	}
	l.events = append(l.events, e)
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *eventLog) after(seq int64) ([]Event, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.asked {
		l.asked, l.changed = true, make(chan struct{})
	}
	i, _ := slices.BinarySearchFunc(l.events, seq+1, func(e Event, seq int64) int { return int(e.Seq - seq) })
	return slices.Clone(l.events[i:]), l.changed
}

func (l *eventLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asked && !l.closed {
		close(l.changed)
	}
	l.closed = true
}

// Events returns the events after that number, and a channel that is closed at
// the next one. They are kept from the first call of Events on; who is more
// than some thousand behind misses the oldest. After [Platform.Close] the
// channel is closed for good.
func (p *Platform) Events(after int64) (events []Event, changed <-chan struct{}) {
	return p.events.after(after)
}
