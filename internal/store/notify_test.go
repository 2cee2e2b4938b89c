package store

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// heard collects the events of a subscription.
type heard struct {
	mu     sync.Mutex
	events []Event
}

func listenTo(t *testing.T, s *Store) *heard {
	t.Helper()
	h := &heard{}
	t.Cleanup(s.Subscribe(func(e Event) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.events = append(h.events, e)
	}))
	if s.news.remote {
		h.until(t, Event{Kind: Missed})
		h.take()
	}
	return h
}

func (h *heard) take() []Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	events := h.events
	h.events = nil
	return events
}

// until waits for an event and returns those before it.
func (h *heard) until(t *testing.T, last Event) []Event {
	t.Helper()
	var before []Event
	within(t, 10*time.Second, fmt.Sprintf("event %+v", last), func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		for i, e := range h.events {
			if e == last {
				before = h.events[:i:i]
				h.events = h.events[i+1:]
				return true
			}
		}
		return false
	})
	return before
}

// working records a turn that is being worked on.
func working(t *testing.T, s *Store, n int) TurnID {
	t.Helper()
	turn := message(1, n)
	turn.State, turn.Reply = Working, nil
	turn.Answer = &Answer{Holder: "p1", Question: "问", Token: fmt.Sprint(n), Runs: 1}
	record(t, s, turn)
	return turn.ID
}

// What is committed is told, to all processes on PostgreSQL, and nothing else is.
func TestEvents(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		id, other := working(t, s, 1), working(t, s, 2)
		ears := []*heard{listenTo(t, s)}
		if s.news.remote {
			ears = append(ears, listenTo(t, open(t, c)))
		} else if s.Listening() {
			t.Error("on SQLite nothing is heard of other processes, but Listening says so")
		}
		text := "答"
		refused := errors.New("no")
		apply := func(put ...Account) error {
			_, err := s.ApplyAccounts(t.Context(), func([]Account) ([]Account, []int64, error) { return put, nil, nil })
			return err
		}
		for _, test := range []struct {
			name string
			do   func() error
			want []Event
		}{
			{"a turn that needs no waiting", func() error { _, _, err := s.Record(t.Context(), message(1, 3)); return err }, nil},
			{"an answer grows", func() error { return s.Apply(t.Context(), Change{ID: id, Text: &text}) }, []Event{{Kind: TurnChanged, Turn: id}}},
			{"nobody waits for a note", func() error { return s.Apply(t.Context(), Change{ID: id, Sending: new("")}) }, nil},
			{
				"a reply with a job", func() error {
					return s.Apply(t.Context(), Change{ID: id, To: Promised, Jobs: []Job{{Kind: "push"}}}, Change{ID: other, To: Waiting})
				},
				[]Event{{Kind: JobsInserted, Job: "push"}, {Kind: TurnChanged, Turn: id, State: Promised}, {Kind: TurnChanged, Turn: other, State: Waiting}},
			},
			{
				"a conflict", func() error {
					err := s.Apply(t.Context(), Change{ID: id, To: Waiting, Jobs: []Job{{Kind: "undone"}}}, Change{ID: other, From: []State{Working}, To: Answered})
					if !errors.Is(err, ErrConflict) {
						return fmt.Errorf("got %w", err)
					}
					return nil
				}, nil,
			},
			{
				"jobs of two kinds", func() error {
					_, err := s.InsertJobs(t.Context(), Job{Kind: "a"}, Job{Kind: "b"}, Job{Kind: "a"})
					return err
				},
				[]Event{{Kind: JobsInserted, Job: "a"}, {Kind: JobsInserted, Job: "b"}},
			},
			{"an account", func() error { return apply(Account{Path: "a", Config: []byte("{}")}) }, []Event{{Kind: AccountsChanged}}},
			{"no account", func() error { return apply() }, nil},
			{
				"a rollback", func() error {
					err := s.do(t.Context(), func(ctx context.Context, c *sql.Conn) error {
						_, err := s.insertJob(ctx, c, Job{Kind: "never"})
						return errors.Join(err, refused)
					})
					if !errors.Is(err, refused) {
						return fmt.Errorf("got %w", err)
					}
					return nil
				}, nil,
			},
		} {
			t.Run(test.name, func(t *testing.T) {
				if err := test.do(); err != nil {
					t.Fatal(err)
				}
				if _, err := s.InsertJobs(t.Context(), Job{Kind: "end"}); err != nil {
					t.Fatal(err)
				}
				for i, h := range ears {
					own := i == 0
					var want []Event
					for _, e := range test.want {
						e.Own = own
						want = append(want, e)
					}
					if diff := cmp.Diff(want, h.until(t, Event{Kind: JobsInserted, Job: "end", Own: own}), cmpopts.EquateEmpty()); diff != "" {
						t.Errorf("own %v:\n%s", own, diff)
					}
				}
			})
		}
	})
}

// After cancel nothing is told any more, and the others are not disturbed.
func TestCancelSubscription(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		var told atomic.Int64
		cancel := s.Subscribe(func(Event) { told.Add(1) })
		stays := listenTo(t, s)
		cancel()
		before := told.Load()
		insertJobs(t, s, Job{Kind: "x"})
		stays.until(t, Event{Kind: JobsInserted, Job: "x", Own: true})
		if n := told.Load(); n != before {
			t.Errorf("told %d times after cancel", n-before)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s.Subscribe(func(Event) { t.Error("a closed store tells something") })()
	})
}

// Announcements hold whatever a transaction makes, in pieces that PostgreSQL takes.
func TestAnnouncements(t *testing.T) {
	var events []Event
	for n := range 1000 {
		events = append(events, Event{Kind: TurnChanged, Turn: NewTurnID(7, noon.Unix(), uint64(n)), State: State(n % 13)})
	}
	for _, test := range [][]Event{
		nil,
		{{Kind: AccountsChanged}},
		{{Kind: AccountsChanged}, {Kind: JobsInserted, Job: "push"}, {Kind: JobsInserted, Job: "号\n\""}, events[1]},
		events[:turnsAtOnce],
		events,
	} {
		var got []Event
		for _, payload := range encodeEvents("me", test) {
			if len(payload) >= 8000 {
				t.Errorf("an announcement of %d bytes", len(payload))
			}
			got = append(got, decodeEvents("me", payload)...)
			for _, e := range decodeEvents("you", payload) {
				if e.Own {
					t.Errorf("somebody else's event: %+v", e)
				}
			}
		}
		var want []Event
		for _, e := range test {
			e.Own = true
			want = append(want, e)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	id := events[0].Turn.String()
	for _, payload := range []string{"", "{", `{"turns":["x"]}`, `{"turns":["` + id + ` x"]}`, `{"turns":["` + id + ` 99999"]}`} {
		if diff := cmp.Diff([]Event{{Kind: Missed}}, decodeEvents("me", payload)); diff != "" {
			t.Errorf("%q:\n%s", payload, diff)
		}
	}
}

// The connection that listens is killed: it comes back, says that something may
// have been missed, and events go on.
func TestListenAgain(t *testing.T) {
	c := postgresConfig(t)
	s, other := open(t, c), open(t, c)
	h := listenTo(t, s)
	for round := range 3 {
		var killed int
		if err := other.read.QueryRow(`SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE query LIKE 'LISTEN%' || md5(current_schema()) || '%'`).Scan(&killed); err != nil || killed != 1 {
			t.Fatalf("%d connections were killed, %v", killed, err)
		}
		insertJobs(t, other, Job{Kind: fmt.Sprint("perhaps missed ", round)})
		h.until(t, Event{Kind: Missed})
		if !s.Listening() {
			t.Error("it is told that something was missed, but nobody listens")
		}
		insertJobs(t, other, Job{Kind: fmt.Sprint("heard ", round)})
		h.until(t, Event{Kind: JobsInserted, Job: fmt.Sprint("heard ", round)})
	}
}

// A network that swallows everything is noticed, and left for one that does not.
func TestListenOnDeadNetwork(t *testing.T) {
	c := postgresConfig(t)
	u, err := url.Parse(c.Database)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{address: "127.0.0.1:0", target: u.Host}
	p.start(t)
	defer p.cut()
	direct := c
	u.Host = p.address
	c.Database = u.String()
	s, other := open(t, c), open(t, direct)
	s.news.heartbeat = 50 * time.Millisecond
	h := listenTo(t, s)
	time.Sleep(4 * s.news.heartbeat)
	if events := h.take(); len(events) != 0 {
		t.Fatalf("on a sound connection: %+v", events)
	}
	p.swallow.Store(true)
	within(t, heartbeatTimeout+10*time.Second, "the dead connection is noticed", func() bool { return !s.Listening() })
	insertJobs(t, other, Job{Kind: "not heard"})
	p.swallow.Store(false)
	h.until(t, Event{Kind: Missed})
	insertJobs(t, other, Job{Kind: "heard"})
	h.until(t, Event{Kind: JobsInserted, Job: "heard"})
}

// A database that is away is tried more and more rarely.
func TestListenDoesNotStorm(t *testing.T) {
	c := postgresConfig(t)
	s := open(t, c)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var tries atomic.Int64
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			tries.Add(1)
			conn.Close()
		}
	})
	at := l.Addr().(*net.TCPAddr)
	s.raw.Host, s.raw.Port, s.raw.Fallbacks = at.IP.String(), uint16(at.Port), nil
	s.raw.TLSConfig = &tls.Config{ServerName: "nobody"} // a try is one connection then
	cancel := s.Subscribe(func(e Event) { t.Errorf("%+v", e) })
	time.Sleep(2 * time.Second)
	cancel()
	if err := s.Close(); err != nil { // at once, whatever pause it is in
		t.Error(err)
	}
	l.Close()
	accepting.Wait()
	if n := tries.Load(); n < 3 || n > 7 { // pauses of at least 50, 100, 200, 400, 800 ms
		t.Errorf("%d tries in two seconds", n)
	}
}

// How many connections a process has at the most is what docs/serve.md says.
func TestConnections(t *testing.T) {
	c := postgresConfig(t)
	name := fmt.Sprint("wenzi_", time.Now().UnixNano())
	named := c
	named.Database += "&application_name=" + name
	s := open(t, named)
	listenTo(t, s)
	var busy sync.WaitGroup
	for range 50 {
		busy.Go(func() {
			_, _ = s.read.Exec("SELECT pg_sleep(0.2)")
			_ = s.Check(t.Context())
		})
	}
	watch, err := sql.Open("pgx", c.Database)
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Close()
	most := 0
	for range 20 {
		var n int
		if err := watch.QueryRow("SELECT count(*) FROM pg_stat_activity WHERE application_name = $1", name).Scan(&n); err != nil {
			t.Fatal(err)
		}
		most = max(most, n)
		time.Sleep(20 * time.Millisecond)
	}
	busy.Wait()
	if most != 10 {
		t.Errorf("up to %d connections, want 10", most)
	}
}
