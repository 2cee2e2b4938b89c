package store

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"modernc.org/sqlite"

	"github.com/wenzihq/wenzi/internal/store/pgtest"
)

func TestMain(m *testing.M) {
	switch os.Getenv("WENZI_TEST_CHILD") {
	case "record":
		recordForEver(os.Getenv("WENZI_TEST_DATABASE"))
	case "batch":
		recordOneBatch(os.Getenv("WENZI_TEST_DATABASE"))
	default:
		goleak.VerifyTestMain(m)
	}
}

// onEngines runs a test on SQLite and on PostgreSQL, each time on an empty
// database. PostgreSQL is given by WENZI_TEST_POSTGRES.
func onEngines(t *testing.T, test func(t *testing.T, c Config)) {
	t.Run("sqlite", func(t *testing.T) { test(t, sqliteConfig(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, postgresConfig(t)) })
}

func sqliteConfig(t testing.TB) Config {
	return Config{Database: filepath.Join(t.TempDir(), "wenzi 50%?.db"), Logger: slog.New(slog.DiscardHandler)}
}

func postgresConfig(t testing.TB) Config {
	return Config{Database: pgtest.Schema(t), Logger: slog.New(slog.DiscardHandler)}
}

// need skips a test that this machine cannot run. CI must be able to.
func need(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func open(t *testing.T, c Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// message makes the n-th message of an account, answered.
func message(account int64, n int) *Turn {
	return &Turn{
		ID:         NewTurnID(account, noon.Unix()+int64(n/1000), uint64(n), "o1", fmt.Sprint(n)),
		OpenID:     fmt.Sprintf("o%d", n%10),
		Kind:       "text",
		Message:    fmt.Appendf(nil, "<xml>message %d</xml>", n),
		State:      Answered,
		Reply:      fmt.Appendf(nil, "<xml>reply %d of %d</xml>", n, account),
		By:         "echo",
		ArrivedAt:  noon.Add(time.Duration(n) * time.Second).Local(),
		AnsweredAt: noon.Add(time.Duration(n)*time.Second + 3*time.Millisecond).Local(),
	}
}

// slowTurn makes the n-th message of an account, with an answer that takes time.
func slowTurn(account int64, n int) *Turn {
	t := message(account, n)
	t.State, t.Reply, t.By, t.AnsweredAt = Working, nil, "", time.Time{}
	t.Answer = &Answer{
		Holder: "p1", Question: fmt.Sprint("question ", n), Token: fmt.Sprint(n), Page: fmt.Appendf(nil, "page %5d of %2d", n, account), Runs: 1, Remembered: true,
		Timeline: []Step{{At: t.ArrivedAt, What: "message", Detail: "text"}},
	}
	return t
}

func record(t *testing.T, s *Store, turn *Turn) {
	t.Helper()
	if _, fresh, err := s.Record(t.Context(), turn); err != nil || !fresh {
		t.Fatalf("Record: fresh %v, error %v", fresh, err)
	}
}

// each calls f with 0 … n-1, from so many goroutines.
func each(callers, n int, f func(n int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}

// hold keeps the writer busy until the returned function is called.
func hold(t *testing.T, s *Store) (release func()) {
	t.Helper()
	holding, released := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- s.do(context.Background(), func(context.Context, *sql.Conn) error {
			close(holding)
			<-released
			return nil
		})
	}()
	<-holding
	return sync.OnceFunc(func() {
		close(released)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// untilQueued waits until n requests wait for the writer.
func untilQueued(t *testing.T, s *Store, n int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for s.Stats().Queued < n {
		if time.Now().After(deadline) {
			t.Fatalf("%d requests are queued, want %d", s.Stats().Queued, n)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestRecord(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		turns := []*Turn{
			message(1, 1),
			{ID: NewTurnID(1, noon.Unix(), 0, "event"), Kind: "event/LOCATION", State: Acknowledged, ArrivedAt: noon.Local()},
			{
				ID: NewTurnID(2, 5, 6, "failed"), OpenID: "o", Kind: "text", Message: []byte("\x00\xff"), State: Failed,
				Reply: []byte("x"), By: "rule 3", Note: "panic: 坏了", ArrivedAt: noon.Local(), AnsweredAt: noon.Local(),
			},
		}
		for _, turn := range turns {
			given := *turn
			record(t, s, turn)
			if diff := cmp.Diff(&given, turn); diff != "" {
				t.Errorf("Record has changed the turn:\n%s", diff)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, c)
		for _, want := range turns {
			got, err := s.Turn(t.Context(), want.ID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		}
		if _, err := s.Turn(t.Context(), TurnID{9}); !errors.Is(err, ErrNotFound) {
			t.Errorf("a turn that is not there: %v", err)
		}
	})
}

func TestRecordRepeat(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		first := message(1, 1)
		record(t, s, first)
		repeat := *first
		repeat.Reply, repeat.By, repeat.Follow = []byte("something else"), "rule 1", Unsubscribed
		for i := range 3 {
			if i == 1 { // also after a restart
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = open(t, c)
			}
			repeat.ArrivedAt = first.ArrivedAt.Add(time.Duration(i+1) * 5 * time.Second)
			repeat.AnsweredAt = repeat.ArrivedAt.Add(time.Millisecond)
			stored, fresh, err := s.Record(t.Context(), &repeat)
			if err != nil || fresh {
				t.Fatalf("repeat: fresh %v, error %v", fresh, err)
			}
			want := *first
			for k := range i + 1 {
				at := first.ArrivedAt.Add(time.Duration(k+1) * 5 * time.Second)
				want.Repeats = append(want.Repeats, Delivery{at, at.Add(time.Millisecond)})
			}
			if diff := cmp.Diff(&want, stored); diff != "" {
				t.Error(diff)
			}
		}
		if f, err := s.Follower(t.Context(), 1, first.OpenID); err != nil || !f.Subscribed {
			t.Errorf("a repeat has changed the follower: %+v, %v", f, err)
		}
		// Somebody replays a captured request.
		for range 200 {
			if _, _, err := s.Record(t.Context(), &repeat); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := s.Turn(t.Context(), first.ID); err != nil || len(got.Repeats) > 100 {
			t.Errorf("%d deliveries are noted, %v", len(got.Repeats), err)
		}
	})
}

func TestRecordRepeatsInOneBatch(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		old := message(1, 0)
		record(t, s, old)
		commits := s.Stats().Commits
		release := hold(t, s)
		var wg sync.WaitGroup
		for i := range 30 { // 10 messages, one of them old, three deliveries each
			n := i % 10
			turn := message(1, n)
			turn.Reply = fmt.Append(nil, "reply ", i)
			wg.Go(func() {
				stored, fresh, err := s.Record(t.Context(), turn)
				if err != nil {
					t.Error(err)
					return
				}
				want := fmt.Append(nil, "reply ", n)
				if n == 0 {
					want = old.Reply
				}
				if fresh != (i == n && n > 0) || string(stored.Reply) != string(want) {
					t.Errorf("delivery %d: fresh %v, reply %q, want %q", i, fresh, stored.Reply, want)
				}
			})
			untilQueued(t, s, i+1)
		}
		release()
		wg.Wait()
		st := s.Stats()
		if st.Commits != commits+1 || st.Turns != 10 || st.Repeats != 21 {
			t.Errorf("one batch gave %+v", st)
		}
	})
}

func TestRecordConcurrently(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		const recorders, each = 64, 20
		var wg sync.WaitGroup
		for r := range recorders {
			wg.Go(func() {
				for i := range each {
					turn := message(int64(1+r%3), r/3*1000+i)
					for range 1 + i%3 {
						stored, _, err := s.Record(t.Context(), turn)
						if err != nil {
							t.Error(err)
							return
						}
						if string(stored.Reply) != string(turn.Reply) {
							t.Errorf("got %q, want %q", stored.Reply, turn.Reply)
						}
					}
				}
			})
		}
		wg.Wait()
		for r := range recorders {
			for i := range each {
				want := message(int64(1+r%3), r/3*1000+i)
				got, err := s.Turn(t.Context(), want.ID)
				if err != nil {
					t.Fatal(err)
				}
				if len(got.Repeats) != i%3 {
					t.Errorf("%d repeats, want %d", len(got.Repeats), i%3)
				}
				got.Repeats = nil
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatal(diff)
				}
			}
		}
		st := s.Stats()
		if st.Turns != recorders*each || st.Commits >= st.Turns+st.Repeats {
			t.Errorf("commits were not shared: %+v", st)
		}
	})
}

// Texts come from the network.
func TestRecordStrangeTexts(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		turn := message(1, 1)
		turn.OpenID, turn.Kind, turn.By, turn.Note, turn.Scene = "o\x00\xff", "event/\x00", "\xc3\x28", "'; --\x00", "\x00"
		turn.Follow = Subscribed
		record(t, s, turn)
		got, err := s.Turn(t.Context(), turn.ID)
		if err != nil || got.OpenID != "o\uFFFD\uFFFD" {
			t.Errorf("got %q, %v", got.OpenID, err)
		}
	})
}

func TestRecordContext(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		release := hold(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			untilQueued(t, s, 1)
			cancel()
		}()
		turn := message(1, 1)
		if _, _, err := s.Record(ctx, turn); !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("Record: %v", err)
		}
		release()
		// It was committed after all, and is found.
		if _, fresh, err := s.Record(t.Context(), turn); fresh || err != nil {
			t.Errorf("fresh %v, error %v", fresh, err)
		}
		if _, _, err := s.Record(ctx, message(1, 2)); !errors.Is(err, ErrUnavailable) {
			t.Errorf("Record: %v", err)
		}
	})
}

func TestCloseWritesWhatIsQueued(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		release := hold(t, s)
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				if _, _, err := s.Record(t.Context(), message(1, i)); err != nil {
					t.Error(err)
				}
			})
		}
		untilQueued(t, s, 10)
		for range 2 {
			wg.Go(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		release()
		wg.Wait()
		if _, _, err := s.Record(t.Context(), message(1, 11)); !errors.Is(err, ErrUnavailable) {
			t.Errorf("Record after Close: %v", err)
		}
		if err := s.Check(t.Context()); !errors.Is(err, ErrUnavailable) {
			t.Errorf("Check after Close: %v", err)
		}
		if _, err := os.Stat(c.Database + "-wal"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a WAL file is left: %v", err)
		}
		s = open(t, c)
		turns, err := s.Turns(t.Context(), 1, TurnID{}, 100)
		if err != nil || len(turns) != 10 {
			t.Errorf("%d turns, %v", len(turns), err)
		}
	})
}

func TestTurns(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		for n := range 25 {
			record(t, s, message(1, n*100))
			record(t, s, message(2, n*100))
		}
		var got []string
		var before TurnID
		for {
			page, err := s.Turns(t.Context(), 1, before, 10)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, turn := range page {
				got = append(got, string(turn.Reply))
			}
			before = page[len(page)-1].ID
		}
		var want []string
		for n := 24; n >= 0; n-- {
			want = append(want, fmt.Sprintf("<xml>reply %d of 1</xml>", n*100))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestFollowers(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		n := 0
		at := func(minutes int, follow Follow, scene string) Follower {
			t.Helper()
			n++
			turn := message(1, n)
			turn.OpenID, turn.Follow, turn.Scene = "o", follow, scene
			turn.ArrivedAt = noon.Add(time.Duration(minutes) * time.Minute)
			record(t, s, turn)
			f, err := s.Follower(t.Context(), 1, "o")
			if err != nil {
				t.Fatal(err)
			}
			f.FirstSeenAt, f.LastSeenAt = f.FirstSeenAt.UTC(), f.LastSeenAt.UTC()
			return f
		}
		minute := func(m int) time.Time { return noon.Add(time.Duration(m) * time.Minute) }
		for _, step := range []struct {
			name    string
			minutes int
			follow  Follow
			scene   string
			want    Follower
		}{
			{"first message", 0, Seen, "", Follower{true, "", minute(0), minute(0)}},
			{"soon after", 29, Seen, "", Follower{true, "", minute(0), minute(0)}},
			{"later", 30, Seen, "", Follower{true, "", minute(0), minute(30)}},
			{"leaves", 31, Unsubscribed, "", Follower{false, "", minute(0), minute(31)}},
			{"says no more", 90, Seen, "", Follower{false, "", minute(0), minute(90)}},
			{"returns by a code", 91, Subscribed, "shop 7", Follower{true, "shop 7", minute(0), minute(91)}},
			{"late news of leaving", 31, Unsubscribed, "", Follower{true, "shop 7", minute(0), minute(91)}},
			{"late news of a code", 5, Subscribed, "shop 1", Follower{true, "shop 7", minute(0), minute(91)}},
		} {
			if diff := cmp.Diff(step.want, at(step.minutes, step.follow, step.scene)); diff != "" {
				t.Errorf("%s:\n%s", step.name, diff)
			}
		}
		if _, err := s.Follower(t.Context(), 2, "o"); !errors.Is(err, ErrNotFound) {
			t.Errorf("of another account: %v", err)
		}
	})
}

// More followers than are remembered, each with a row from the first message.
func TestFollowersMoreThanKnown(t *testing.T) {
	s := open(t, sqliteConfig(t))
	const followers = maxKnownFollowers + 500
	var wg sync.WaitGroup
	for r := range 50 {
		wg.Go(func() {
			for n := r; n < followers; n += 50 {
				turn := message(1, n)
				turn.OpenID = fmt.Sprint("o", n)
				if _, _, err := s.Record(t.Context(), turn); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	var rows int
	if err := s.read.QueryRow("SELECT count(*) FROM followers").Scan(&rows); err != nil || rows != followers {
		t.Errorf("%d followers, %v", rows, err)
	}
	if known := len(s.followers.seen) + len(s.followers.older); known > maxKnownFollowers {
		t.Errorf("%d are remembered", known)
	}
}

func TestAccounts(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		apply := func(put []Account, remove ...int64) ([]Account, error) {
			return s.ApplyAccounts(t.Context(), func([]Account) ([]Account, []int64, error) { return put, remove, nil })
		}
		one, err := apply([]Account{{Path: "a", Config: []byte(`{"n":1}`)}, {Path: "b", Config: []byte(`{"n":2}`)}})
		if err != nil || len(one) != 2 {
			t.Fatalf("%+v, %v", one, err)
		}
		a, b := one[0].ID, one[1].ID

		two, err := apply([]Account{{ID: a, Path: "b", Config: []byte(`{"n":3}`)}, {ID: b, Path: "a", Config: []byte(`{"n":4}`)}})
		if err != nil {
			t.Fatal(err)
		}
		if two[0].Path != "b" || two[1].Path != "a" || string(two[0].Config) != `{"n":3}` || !two[0].CreatedAt.Equal(one[0].CreatedAt) {
			t.Errorf("paths are not exchanged: %+v", two)
		}
		for name, put := range map[string][]Account{
			"path twice":  {{Path: "c"}, {Path: "c"}},
			"path in use": {{Path: "c"}, {Path: "a"}},
			"no such id":  {{Path: "c"}, {ID: 999, Path: "d"}},
		} {
			if _, err := apply(put, a); err == nil {
				t.Errorf("%s is no error", name)
			}
		}
		refusal := errors.New("no")
		if _, err := s.ApplyAccounts(t.Context(), func(current []Account) ([]Account, []int64, error) {
			if diff := cmp.Diff(two, current); diff != "" {
				t.Error(diff)
			}
			return nil, []int64{a}, refusal
		}); !errors.Is(err, refusal) {
			t.Errorf("got %v, want the error of the change", err)
		}
		got, err := s.Accounts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(two, got); diff != "" {
			t.Errorf("a failed change has changed something:\n%s", diff)
		}
		three, err := apply([]Account{{Path: "b", Config: []byte(`{}`)}}, a)
		if err != nil || len(three) != 2 || three[1].ID <= b || three[0].Path != "a" {
			t.Errorf("%+v, %v", three, err)
		}
	})
}

func TestGuests(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		ids := map[string]int64{}
		guest := func(key string, wantCreated bool) {
			t.Helper()
			id, created, err := s.Guest(t.Context(), key)
			if err != nil || created != wantCreated || (!created && id != ids[key]) {
				t.Fatalf("guest %s: id %d, created %v, error %v", key, id, created, err)
			}
			ids[key] = id
		}
		seen := func(key string, ago time.Duration) {
			t.Helper()
			err := s.do(t.Context(), func(ctx context.Context, c *sql.Conn) error {
				_, err := c.ExecContext(ctx, "UPDATE accounts SET seen_at = $2 WHERE guest_key = $1", key, millis(time.Now().Add(-ago)))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, key := range []string{"a", "b", "c", "d"} {
			guest(key, true)
			guest(key, false)
			turn := message(ids[key], 1)
			record(t, s, turn)
		}
		if accounts, err := s.Accounts(t.Context()); err != nil || len(accounts) != 0 {
			t.Errorf("guests are registered: %+v, %v", accounts, err)
		}
		seen("a", 8*24*time.Hour)
		seen("b", 3*time.Hour)
		seen("c", 2*time.Hour)
		seen("d", 4*time.Hour)
		guest("d", false) // which notes that it was seen
		forgotten, err := s.ForgetGuests(t.Context(), 2, time.Now().Add(-7*24*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]int64{ids["b"], ids["a"]}, forgotten); diff != "" {
			t.Errorf("forgotten:\n%s", diff)
		}
		for key, id := range ids {
			gone := key == "a" || key == "b"
			turns, err := s.Turns(t.Context(), id, TurnID{}, 10)
			if err != nil || (len(turns) == 0) != gone {
				t.Errorf("guest %s has %d turns, %v", key, len(turns), err)
			}
			if _, err := s.Follower(t.Context(), id, "o1"); errors.Is(err, ErrNotFound) != gone {
				t.Errorf("follower of guest %s: %v", key, err)
			}
		}
		old := ids["a"]
		guest("a", true)
		if ids["a"] == old {
			t.Error("the id of a forgotten guest is used again")
		}
	})
}

func TestProbes(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		var want []Probe
		for n := range 3 {
			var add []Probe
			for i := range 90 + 200*n {
				add = append(add, Probe{At: noon.Add(time.Duration(i) * time.Second).Local(), Path: "/wechatMP/***", Method: "GET", Reason: fmt.Sprint("wrong signature ", n, i)})
			}
			if err := s.AddProbes(t.Context(), add); err != nil {
				t.Fatal(err)
			}
			for _, p := range add {
				want = append([]Probe{p}, want...)
			}
			want = want[:min(len(want), 200)]
			got, err := s.Probes(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		}
		var rows int
		if err := s.read.QueryRow("SELECT count(*) FROM probes").Scan(&rows); err != nil || rows != 200 {
			t.Errorf("%d probes are kept, %v", rows, err)
		}
		if err := s.AddProbes(t.Context(), nil); err != nil {
			t.Error(err)
		}
	})
}

func TestClearTurns(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		accounts, err := s.ApplyAccounts(t.Context(), func([]Account) ([]Account, []int64, error) {
			return []Account{{Path: "a", Config: []byte("{}")}, {Path: "removed", Config: []byte("{}")}}, nil, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		guest, _, err := s.Guest(t.Context(), "g")
		if err != nil {
			t.Fatal(err)
		}
		registered, removed, orphan := accounts[0].ID, accounts[1].ID, guest+100
		if _, err := s.ApplyAccounts(t.Context(), func([]Account) ([]Account, []int64, error) {
			return nil, []int64{removed}, nil
		}); err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		day := 24 * time.Hour
		kept := map[string]TurnID{}
		gone := map[string]TurnID{}
		add := func(where map[string]TurnID, name string, account int64, created, arrived time.Time) {
			t.Helper()
			turn := message(account, 0)
			turn.ID = NewTurnID(account, created.Unix(), 0, name)
			turn.ArrivedAt = arrived
			record(t, s, turn)
			where[name] = turn.ID
		}
		add(kept, "registered, 89 days", registered, now.Add(-89*day), now.Add(-89*day))
		add(gone, "registered, 91 days", registered, now.Add(-91*day), now.Add(-91*day))
		add(kept, "guest, 6 days", guest, now.Add(-6*day), now.Add(-6*day))
		add(gone, "guest, 8 days", guest, now.Add(-8*day), now.Add(-8*day))
		add(kept, "registered, 8 days", registered, now.Add(-8*day), now.Add(-8*day))
		add(kept, "says 1970, just arrived", registered, time.Unix(0, 0), now)
		add(gone, "says 1970, arrived long ago", registered, time.Unix(0, 0), now.Add(-100*day))
		add(kept, "says 2100, just arrived", guest, now.AddDate(70, 0, 0), now)
		add(gone, "says 2100, arrived long ago", guest, now.AddDate(70, 0, 0), now.Add(-8*day))
		add(kept, "removed account, 89 days", removed, now.Add(-89*day), now.Add(-89*day))
		add(gone, "removed account, 91 days", removed, now.Add(-91*day), now.Add(-91*day))
		add(gone, "of a forgotten guest", orphan, now, now)

		clear := func(registeredBefore time.Time) {
			t.Helper()
			deleted, err := s.ClearTurns(t.Context(), registeredBefore, now.Add(-7*day))
			if err != nil {
				t.Fatal(err)
			}
			if int(deleted) != len(gone) {
				t.Errorf("%d deleted, want %d", deleted, len(gone))
			}
			for name, id := range kept {
				if _, err := s.Turn(t.Context(), id); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			for name, id := range gone {
				if _, err := s.Turn(t.Context(), id); !errors.Is(err, ErrNotFound) {
					t.Errorf("%s is there: %v", name, err)
				}
			}
		}
		clear(now.Add(-90 * day))
		if _, err := s.Follower(t.Context(), orphan, "o0"); !errors.Is(err, ErrNotFound) {
			t.Errorf("follower of a forgotten guest: %v", err)
		}
		if _, err := s.Follower(t.Context(), removed, "o0"); err != nil {
			t.Errorf("follower of a removed account that has turns: %v", err)
		}
		// The last turn of the removed account gets old, and it goes altogether.
		gone = map[string]TurnID{}
		for _, name := range []string{"registered, 89 days", "removed account, 89 days"} {
			gone[name] = kept[name]
			delete(kept, name)
		}
		clear(now.Add(-88 * day))
		var rows int
		if err := s.read.QueryRow("SELECT count(*) FROM accounts WHERE id = $1", removed).Scan(&rows); err != nil || rows != 0 {
			t.Errorf("%d rows of the removed account, %v", rows, err)
		}
		if _, err := s.Follower(t.Context(), removed, "o0"); !errors.Is(err, ErrNotFound) {
			t.Errorf("follower of a removed account: %v", err)
		}
	})
}

// The writer deletes a bounded number of rows at a time, and turns are
// recorded in between.
func TestClearTurnsInSmallSteps(t *testing.T) {
	s := open(t, sqliteConfig(t))
	const rows = 3000
	var wg sync.WaitGroup
	for r := range 30 {
		wg.Go(func() {
			for n := r; n < rows; n += 30 {
				if _, _, err := s.Record(t.Context(), message(1, n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var mu sync.Mutex
	var deleted, most, steps int
	err := s.do(t.Context(), func(_ context.Context, c *sql.Conn) error {
		return c.Raw(func(dc any) error {
			hooks := dc.(sqlite.HookRegisterer)
			hooks.RegisterPreUpdateHook(func(d sqlite.SQLitePreUpdateData) {
				if d.Op == 9 { // SQLITE_DELETE
					mu.Lock()
					deleted++
					mu.Unlock()
				}
			})
			hooks.RegisterCommitHook(func() int32 {
				mu.Lock()
				most = max(most, deleted)
				if deleted > 0 {
					steps++
				}
				deleted = 0
				mu.Unlock()
				return 0
			})
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	n, err := s.ClearTurns(t.Context(), time.Now(), time.Now())
	if err != nil || n != rows {
		t.Errorf("%d deleted, %v", n, err)
	}
	if most > 250 || steps < rows/250 {
		t.Errorf("%d steps of up to %d rows, want at most 250 rows", steps, most)
	}
}

func TestCheck(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		for range 2 {
			if err := s.Check(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestOpenErrors(t *testing.T) {
	for _, c := range []Config{
		{},
		{Database: filepath.Join(t.TempDir(), "no", "such", "dir.db")},
		{Database: filepath.Join(t.TempDir(), "a.db"), Synchronous: "off"},
		{Database: "postgres://[bad"},
		{Database: "postgres://127.0.0.1:1/none"},
	} {
		if s, err := Open(t.Context(), c); err == nil {
			s.Close()
			t.Errorf("no error for %+v", c)
		}
	}
	file := filepath.Join(t.TempDir(), "not.db")
	if err := os.WriteFile(file, []byte(strings.Repeat("this is no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{Database: file}); err == nil {
		t.Error("no error for a file that is no database")
	}
}

func TestOpenKeepsSecretsPrivate(t *testing.T) {
	c := sqliteConfig(t)
	s := open(t, c)
	record(t, s, message(1, 1))
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(c.Database + suffix)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", c.Database+suffix, info.Mode(), err)
		}
	}
}

func TestSQLitePragmas(t *testing.T) {
	for _, test := range []struct{ synchronous, want string }{{"", "2"}, {"full", "2"}, {"normal", "1"}} {
		c := sqliteConfig(t)
		c.Synchronous = test.synchronous
		s := open(t, c)
		record(t, s, message(1, 1))
		for pragma, want := range map[string]string{"synchronous": test.want, "journal_mode": "wal", "busy_timeout": "1000"} {
			var got string
			err := s.do(t.Context(), func(ctx context.Context, c *sql.Conn) error { // on the writer's connection
				return c.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(&got)
			})
			if err != nil || got != want {
				t.Errorf("%s is %q, want %q, %v", pragma, got, want, err)
			}
		}
	}
}

func child(t *testing.T, what, database string, wrap ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := append(wrap, exe)
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "WENZI_TEST_CHILD="+what, "WENZI_TEST_DATABASE="+database)
	cmd.Stderr = os.Stderr
	return cmd
}

// recordForEver records messages and tells the number of each on stdout once
// it is recorded.
func recordForEver(database string) {
	s, err := Open(context.Background(), Config{Database: database})
	if err != nil {
		panic(err)
	}
	start := time.Now().UnixNano() / 1000 % 1e12
	for r := range 16 {
		go func() {
			for n := int(start) + r; ; n += 16 {
				if _, _, err := s.Record(context.Background(), message(1, n)); err != nil {
					panic(err)
				}
				// One write is one line, whatever the others do.
				if _, err := fmt.Fprintf(os.Stdout, "%d\n", n); err != nil {
					panic(err)
				}
			}
		}()
	}
	select {}
}

// What was recorded is there after kill -9, and a repeat gets the same answer.
func TestKill(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		var told []int
		for range 5 {
			cmd := child(t, "record", c.Database)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			killAfter := 1 + rand.IntN(500)
			for i := 0; lines.Scan(); i++ {
				var n int
				if _, err := fmt.Sscan(lines.Text(), &n); err != nil {
					t.Fatal(err)
				}
				told = append(told, n)
				if i == killAfter {
					if err := cmd.Process.Kill(); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
				t.Fatalf("the child ended by itself: %v", err)
			}
		}
		s := open(t, c)
		for _, n := range told {
			turn := message(1, n)
			want := string(turn.Reply)
			turn.Reply = []byte("another")
			stored, fresh, err := s.Record(t.Context(), turn)
			if err != nil || fresh || string(stored.Reply) != want {
				t.Fatalf("message %d of %d is lost: fresh %v, error %v", n, len(told), fresh, err)
			}
		}
	})
}
