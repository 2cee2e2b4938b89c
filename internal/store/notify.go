package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Event says what a transaction of some process of the database has changed. It
// comes after the commit, and only then.
type Event struct {
	Kind  EventKind
	Turn  TurnID // with TurnChanged
	State State  // with TurnChanged: what the turn has become; 0: what it was
	Job   string // with JobsInserted: their kind
	Own   bool   // this Store made the change
}

// EventKind says what an event is about.
type EventKind int8

const (
	// Missed says that there may have been events that nobody was told of:
	// whatever they would have changed is to be looked at.
	Missed EventKind = iota
	AccountsChanged
	TurnChanged // one with an Answer
	JobsInserted
)

// Subscribe has f called with every event until cancel has returned. f is called
// by one goroutine, which everybody waits for: it must return at once, and call
// neither the store nor cancel.
//
// On PostgreSQL events come from all processes of the database, and the first
// one, as after every loss of the connection, is Missed. On SQLite they come from
// this Store alone.
func (s *Store) Subscribe(f func(Event)) (cancel func()) {
	s.news.mu.Lock()
	defer s.news.mu.Unlock()
	s.news.subscribers = append(s.news.subscribers, &f)
	if s.news.remote && s.news.stop == nil && !s.news.closed {
		ctx, stop := context.WithCancel(context.Background())
		s.news.stop = stop
		s.news.listener.Go(func() { s.listen(ctx) })
	} else if s.Listening() {
		f(Event{Kind: Missed})
	}
	return func() {
		s.news.mu.Lock()
		defer s.news.mu.Unlock()
		s.news.subscribers = slices.DeleteFunc(s.news.subscribers, func(g *func(Event)) bool { return g == &f })
	}
}

// Listening reports whether events of other processes come as soon as they
// happen. While they do not, as never on SQLite, somebody who waits for one has to
// look from time to time.
func (s *Store) Listening() bool { return s.news.listening.Load() }

// news passes events on: those of the present transaction into it, and those
// that come to the subscribers.
type news struct {
	remote    bool // the database passes events on
	heartbeat time.Duration
	origin    string  // tells this store's events from others'
	made      []Event // by the present transaction; only the writer uses it

	mu          sync.Mutex // held while subscribers are called
	subscribers []*func(Event)
	stop        context.CancelFunc // ends the listener; nil: there is none
	closed      bool
	listener    sync.WaitGroup
	listening   atomic.Bool
}

// begin forgets the events of the transaction before.
func (n *news) begin() { n.made = n.made[:0] }

// add notes an event of the present transaction.
func (n *news) add(e Event) {
	e.Own = true
	if e.Kind == TurnChanged || !slices.Contains(n.made, e) {
		n.made = append(n.made, e)
	}
}

// event is what the change is to those who wait for the turn elsewhere; nil where
// nobody can.
func (ch *Change) event() *Event {
	if ch.To == 0 && ch.Text == nil && !ch.Done {
		return nil
	}
	return &Event{Kind: TurnChanged, Turn: ch.ID, State: ch.To}
}

func (n *news) tell(events ...Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range events {
		for _, f := range n.subscribers {
			(*f)(e)
		}
	}
}

func (n *news) close() {
	n.mu.Lock()
	n.closed = true
	if n.stop != nil {
		n.stop()
	}
	n.mu.Unlock()
	n.listener.Wait()
}

// committed is for what announce has left.
func (n *news) committed() {
	if !n.remote {
		n.tell(n.made...)
	}
}

// channel is the one of this schema, as SQL.
const channel = "'wenzi_' || md5(current_schema())"

// announce puts the events of the transaction into it. PostgreSQL delivers them
// when it is committed, to this process too.
func (n *news) announce(ctx context.Context, c *sql.Conn) error {
	if !n.remote {
		return nil
	}
	for _, payload := range encodeEvents(n.origin, n.made) {
		if _, err := c.ExecContext(ctx, "SELECT pg_notify("+channel+", $1)", payload); err != nil {
			return err
		}
	}
	return nil
}

// announcement is what a notification holds, as JSON.
type announcement struct {
	From     string   `json:"from"`
	Accounts bool     `json:"accounts,omitempty"`
	Jobs     []string `json:"jobs,omitempty"`
	Turns    []string `json:"turns,omitempty"` // the id, or the id, a blank, and the number of the state
}

// turnsAtOnce keeps an announcement below the 8000 bytes that PostgreSQL allows.
const turnsAtOnce = 150

func encodeEvents(origin string, events []Event) (payloads []string) {
	a := announcement{From: origin}
	flush := func() {
		payloads = append(payloads, marshalEvents(a))
		a = announcement{From: origin}
	}
	for _, e := range events {
		switch e.Kind {
		case AccountsChanged:
			a.Accounts = true
		case JobsInserted:
			a.Jobs = append(a.Jobs, e.Job)
		case TurnChanged:
			turn := e.Turn.String()
			if e.State != 0 {
				turn += " " + strconv.Itoa(int(e.State))
			}
			a.Turns = append(a.Turns, turn)
			if len(a.Turns) == turnsAtOnce {
				flush()
			}
		}
	}
	if a.Accounts || len(a.Jobs) > 0 || len(a.Turns) > 0 {
		flush()
	}
	return payloads
}

func marshalEvents(a announcement) string {
	b, err := json.Marshal(a)
	if err != nil {
		panic(err) // never: texts
	}
	return string(b)
}

// decodeEvents reads an announcement. What it cannot read may have been anything.
func decodeEvents(origin, payload string) (events []Event) {
	var a announcement
	if err := json.Unmarshal([]byte(payload), &a); err != nil {
		return []Event{{Kind: Missed}}
	}
	own := a.From == origin
	if a.Accounts {
		events = append(events, Event{Kind: AccountsChanged, Own: own})
	}
	for _, kind := range a.Jobs {
		events = append(events, Event{Kind: JobsInserted, Job: kind, Own: own})
	}
	for _, turn := range a.Turns {
		id, state, _ := strings.Cut(turn, " ")
		e := Event{Kind: TurnChanged, Own: own}
		var err error
		if e.Turn, err = ParseTurnID(id); err != nil {
			return []Event{{Kind: Missed}}
		}
		if state != "" {
			n, err := strconv.ParseInt(state, 10, 16)
			if err != nil {
				return []Event{{Kind: Missed}}
			}
			e.State = State(n)
		}
		events = append(events, e)
	}
	return events
}
