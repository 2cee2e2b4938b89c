package turn

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
)

func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		now := time.Now()
		if c.now() != now || c.own(now) != now || !c.shared(time.Time{}).IsZero() {
			t.Error("before they are compared the clocks differ")
		}
		database := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
		look := func(takes time.Duration) func(context.Context) (time.Time, error) {
			return func(context.Context) (time.Time, error) {
				time.Sleep(takes / 2)
				at := database
				time.Sleep(takes / 2)
				return at, nil
			}
		}
		check := func(what string, ahead time.Duration) {
			t.Helper()
			want := database.Add(ahead)
			if got := c.now(); !got.Equal(want) {
				t.Errorf("%s: the database's time is %v, want %v", what, got, want)
			}
			if got := c.own(want); !got.Equal(time.Now()) {
				t.Errorf("%s: it is %v here, want %v", what, got, time.Now())
			}
		}
		if err := c.compare(t.Context(), look(time.Second)); err != nil {
			t.Fatal(err)
		}
		check("the first comparison counts, however long it takes", 500*time.Millisecond)
		time.Sleep(time.Minute)
		check("a minute later", time.Minute+500*time.Millisecond)
		_ = c.compare(t.Context(), look(time.Second))
		check("a slow one does not", time.Minute+1500*time.Millisecond)
		_ = c.compare(t.Context(), look(20*time.Millisecond))
		check("a quick one does", 10*time.Millisecond)
		broken := errors.New("away")
		if err := c.compare(t.Context(), func(context.Context) (time.Time, error) { return time.Time{}, broken }); !errors.Is(err, broken) {
			t.Error(err)
		}
		check("without an answer", 10*time.Millisecond)
		if c.own(time.Time{}) != (time.Time{}) {
			t.Error("no time is some time")
		}
	})
}

// Processes that share a store may have any clock: in these bubbles it shows 2000,
// and 2100. What one has begun the other goes on with as if both were right.
func TestWrongClock(t *testing.T) {
	for _, test := range []struct {
		name  string
		ahead time.Duration
	}{{"2000", 0}, {"2100", 100 * 365 * 24 * time.Hour}} {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "wenzi.db")
			robot := &thinker{runs: map[string]int{}}
			account := Account{Key: "1", ID: func(context.Context) (int64, error) { return 1, nil }, Robot: robot}
			engine := func(t *testing.T) *Engine {
				s, err := store.Open(t.Context(), store.Config{Database: file, Logger: slog.New(slog.DiscardHandler)})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { s.Close() })
				e := New(Config{Store: s, Log: slog.New(slog.DiscardHandler), Budget: -1, Keep: time.Hour, Accounts: func(int64) (Account, bool) { return account, true }})
				if err := e.Recover(t.Context()); err != nil {
					t.Fatal(err)
				}
				return e
			}
			right := engine(t)
			// What the process with the right clock leaves when it dies.
			leave := func(n int, question string, changes ...store.Change) store.TurnID {
				t.Helper()
				id := store.NewTurnID(1, time.Now().Unix(), uint64(n), question)
				_, _, err := right.store.Record(t.Context(), &store.Turn{
					ID: id, OpenID: "o1", Kind: "text", Message: asks("o1", question), State: store.Working, ArrivedAt: right.clock.now(),
					Answer: &store.Answer{Holder: right.process, Question: question, Token: newToken(), Runs: 1, Remembered: true},
				})
				for _, ch := range changes {
					ch.ID = id
					err = errors.Join(err, right.store.Apply(t.Context(), ch))
				}
				if err != nil {
					t.Fatal(err)
				}
				return id
			}
			works := leave(1, "想 10m")
			waits := leave(2, "waits", store.Change{To: store.Waiting, Text: new("答"), Done: true, ExpiresAt: right.clock.now().Add(time.Hour)})
			fresh := leave(3, "fresh", store.Change{To: store.Answered, Text: new("答"), Done: true, Sending: new(sendingReply)})
			if err := right.store.Leave(t.Context(), right.process); err != nil {
				t.Fatal(err)
			}
			answer := func(e *Engine, id store.TurnID) *store.Answer {
				t.Helper()
				row, err := e.store.Answer(context.Background(), id)
				if err != nil {
					t.Fatal(err)
				}
				return row
			}
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(test.ahead)
				wrong := engine(t)
				defer wrong.finishAll(context.Background())
				if row := answer(wrong, works); row.Holder != wrong.process || !row.Remembered {
					t.Fatalf("nobody goes on with the question: %+v", row)
				}
				time.Sleep(giveUp - 5*time.Second)
				if row := answer(wrong, works); row.State != store.Working {
					t.Errorf("it is %v before the last delivery", row.State)
				}
				time.Sleep(10 * time.Second)
				if row := answer(wrong, works); row.State != store.Waiting {
					t.Errorf("when no delivery can come any more it is %v", row.State)
				}
				if err := wrong.expire(t.Context()); err != nil {
					t.Error(err)
				}
			})
			if err := right.expire(t.Context()); err != nil {
				t.Error(err)
			}
			now := right.clock.now()
			for _, id := range []store.TurnID{works, waits} {
				if row := answer(right, id); row.State != store.Waiting || row.ExpiresAt.Sub(now) < 50*time.Minute || row.ExpiresAt.Sub(now) > 70*time.Minute {
					t.Errorf("it is %v until %v, and now it is %v", row.State, row.ExpiresAt, now)
				}
			}
			if row := answer(right, fresh); row.State != store.Answered || row.Sending != sendingReply {
				t.Errorf("a reply of just now is taken for lost: %v, %s", row.State, row.Sending)
			}
		})
	}
}
