package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/internal/store/pgtest"
)

// Callers share a commit, with each other and with those who record turns, and
// what one of them does wrong hurts nobody else.
func TestApplyTogether(t *testing.T) {
	wrongs := []struct {
		name string
		do   func(set []Change)
		want error
	}{
		{"nothing", func([]Change) {}, nil},
		{"conflict at the start", func(set []Change) { set[0].From = []State{Answered} }, ErrConflict},
		{"conflict at the end", func(set []Change) { set[1].Holder = "p2" }, ErrConflict},
		{"error at the start", func(set []Change) { set[0].Sending = new("taken") }, ErrUnavailable},
		{"error at the end", func(set []Change) { set[1].Note = "taken" }, ErrUnavailable},
	}
	const sets = 20
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		taken(t, s)
		for i, wrong := range wrongs {
			account := int64(i + 1)
			for n := range 2 * sets {
				record(t, s, slowTurn(account, n))
			}
			want := s.Stats()
			want.Commits++
			want.Turns += sets
			release := hold(t, s)
			errs := make([]error, sets)
			var wg sync.WaitGroup
			for n := range sets {
				set := []Change{
					{ID: slowTurn(account, n).ID, From: []State{Working}, To: Waiting, Steps: []Step{{noon, "changed", ""}}},
					{ID: slowTurn(account, sets+n).ID, From: []State{Working}, To: Promised, Jobs: []Job{{Kind: wrong.name, UniqueKey: fmt.Sprint(account, n)}}},
				}
				if n%3 == 0 {
					wrong.do(set)
				}
				wg.Go(func() { errs[n] = s.Apply(t.Context(), set...) })
				wg.Go(func() {
					if _, fresh, err := s.Record(t.Context(), message(account, 1000+n)); err != nil || !fresh {
						t.Errorf("Record beside changes: fresh %v, error %v", fresh, err)
					}
				})
			}
			untilQueued(t, s, 2*sets)
			release()
			wg.Wait()
			made := 0
			for n, err := range errs {
				wantErr, states, steps := error(nil), []State{Waiting, Waiting, Promised, Promised}, 2
				if n%3 == 0 && wrong.want != nil {
					wantErr, states, steps = wrong.want, []State{Working, Working, Working, Working}, 1
				} else {
					made++
				}
				if !errors.Is(err, wantErr) {
					t.Errorf("%s, set %d: %v, want %v", wrong.name, n, err, wantErr)
				}
				one, two := readRow(t, s, slowTurn(account, n).ID), readRow(t, s, slowTurn(account, sets+n).ID)
				got := []State{one.Turn.State, one.Answer.State, two.Turn.State, two.Answer.State}
				if diff := cmp.Diff(states, got); diff != "" || len(one.Answer.Timeline) != steps {
					t.Errorf("%s, set %d: %d steps\n%s", wrong.name, n, len(one.Answer.Timeline), diff)
				}
			}
			want.Changes += int64(made)
			if diff := cmp.Diff(want, s.Stats()); diff != "" {
				t.Errorf("%s:\n%s", wrong.name, diff)
			}
			if got, err := s.Jobs(t.Context(), JobFilter{Kind: wrong.name, Limit: 100}); err != nil || len(got) != made {
				t.Errorf("%s: %d jobs, want %d, %v", wrong.name, len(got), made, err)
			}
		}
	})
}

// Many callers who come back find each other, as those of Record do.
func TestApplySharesCommits(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		const callers, times = 64, 20
		each(callers, callers, func(n int) {
			if _, _, err := s.Record(t.Context(), slowTurn(1, n)); err != nil {
				t.Error(err)
			}
		})
		before := s.Stats()
		each(callers, callers, func(n int) {
			for range times {
				if err := s.Apply(t.Context(), Change{ID: slowTurn(1, n).ID, Run: true}); err != nil {
					t.Error(err)
				}
			}
		})
		for n := range callers {
			if got := readRow(t, s, slowTurn(1, n).ID).Answer.Runs; got != 1+times {
				t.Errorf("%d runs, want %d", got, 1+times)
			}
		}
		after := s.Stats()
		if commits := after.Commits - before.Commits; commits > callers*times/4 || after.Changes-before.Changes != callers*times {
			t.Errorf("%d commits for %d changes", commits, after.Changes-before.Changes)
		}
	})
}

// Of all who claim a turn, in two processes, one gets it.
func TestClaimsRace(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		const turns, callers = 1000, 32
		each(64, turns, func(n int) {
			if _, _, err := a.Record(t.Context(), slowTurn(1, n)); err != nil {
				t.Error(err)
			}
		})
		winners := make([]atomic.Int64, turns)
		var lost atomic.Int64
		var wg sync.WaitGroup
		for i, s := range []*Store{a, b} {
			order := rand.Perm(turns)
			wg.Go(func() {
				each(callers, turns, func(n int) {
					n = order[n]
					claim := Change{ID: slowTurn(1, n).ID, From: []State{Working}, To: Answered, Reply: fmt.Appendf(nil, "of process %d", i+1), NewHolder: new(fmt.Sprint(i + 1))}
					err := s.Apply(t.Context(), claim)
					// Two processes on one SQLite file can starve each other.
					for busy := 0; errors.Is(err, ErrUnavailable) && busy < 20; busy++ {
						err = s.Apply(t.Context(), claim)
					}
					switch {
					case err == nil && !winners[n].CompareAndSwap(0, int64(i+1)):
						t.Errorf("turn %d has two winners", n)
					case errors.Is(err, ErrConflict):
						lost.Add(1)
					case err != nil:
						t.Error(err)
					}
				})
			})
		}
		wg.Wait()
		if lost.Load() != turns {
			t.Errorf("%d have lost, want %d", lost.Load(), turns)
		}
		for n := range turns {
			got := readRow(t, a, slowTurn(1, n).ID)
			if want := fmt.Sprint(winners[n].Load()); got.Answer.Holder != want || string(got.Turn.Reply) != "of process "+want {
				t.Fatalf("turn %d was won by %s, but has %q of %q", n, want, got.Turn.Reply, got.Answer.Holder)
			}
		}
	})
}

// Two processes that wait for each other's rows are parted by PostgreSQL: it
// breaks off one of them, which begins anew.
func TestApplyAfterDeadlock(t *testing.T) {
	c := postgresConfig(t)
	s := open(t, c)
	one, two := slowTurn(1, 1), slowTurn(1, 2)
	record(t, s, one)
	record(t, s, two)
	other, err := s.read.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	exec := func(statement string, args ...any) error {
		_, err := other.ExecContext(t.Context(), statement, args...)
		return err
	}
	for _, statement := range []string{"BEGIN", "SET LOCAL deadlock_timeout = '1min'"} { // so that it is not the one
		if err := exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := exec("UPDATE answers SET runs = runs WHERE turn = $1", two.ID[:]); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Apply(t.Context(), Change{ID: one.ID, Run: true}, Change{ID: two.ID, Run: true}) }()
	within(t, 10*time.Second, "waiting for the row", func() bool {
		var n int
		err := s.read.QueryRow("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE answers%coalesce%'").Scan(&n)
		return err == nil && n > 0
	})
	if err := exec("UPDATE answers SET runs = runs WHERE turn = $1", one.ID[:]); err != nil {
		t.Error(err)
	}
	if err := exec("COMMIT"); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if one, two := readRow(t, s, one.ID).Answer.Runs, readRow(t, s, two.ID).Answer.Runs; one != 2 || two != 2 {
		t.Errorf("%d and %d runs", one, two)
	}
}

// Two processes write batches that would wait for each other: a repeat and a new
// turn here, that turn and a change of the first one there. Both are written.
func TestBatchesThatWaitForEachOther(t *testing.T) {
	c := Config{Database: pgtest.Schema(t)}
	a, b := open(t, c), open(t, c)
	first, between, last := slowTurn(1, 1), message(1, 2), message(1, 3)
	between.OpenID = "slow"
	record(t, a, first)
	for _, statement := range []string{
		"CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.4); RETURN NULL; END $$",
		"CREATE TRIGGER sleep AFTER INSERT ON turns FOR EACH ROW WHEN (NEW.openid = 'slow') EXECUTE FUNCTION sleep()",
	} {
		if _, err := a.read.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	w := &batches{t: t}
	letA, letB := w.hold(a), w.hold(b)
	w.record(b, 1, first)
	w.record(b, 2, between)
	w.record(b, 3, last)
	w.record(a, 1, last)
	w.queue(a, 2, func() error {
		return a.Apply(context.Background(), Change{ID: first.ID, To: Promised})
	})
	letB()
	time.Sleep(600 * time.Millisecond) // b has tried all at once, and holds the first turn
	letA()
	w.writing.Wait()
	if got := readRow(t, a, first.ID); got.Answer.State != Promised || len(got.Turn.Repeats) != 1 {
		t.Errorf("%+v with %d repeats", got.Answer, len(got.Turn.Repeats))
	}
	for _, s := range []*Store{a, b} {
		if st := s.Stats(); st.Failures != 0 {
			t.Errorf("%+v", st)
		}
	}
}

// batches writes in batches of a test's choice.
type batches struct {
	t       *testing.T
	writing sync.WaitGroup
}

// hold has what follows written in one batch, when it is let go.
func (w *batches) hold(s *Store) (release func()) {
	held, let := make(chan struct{}), make(chan struct{})
	w.writing.Go(func() {
		err := s.do(context.Background(), func(context.Context, *sql.Conn) error { close(held); <-let; return nil })
		if err != nil {
			w.t.Error(err)
		}
	})
	<-held
	return func() { close(let) }
}

// queue adds to the batch, which has n requests then.
func (w *batches) queue(s *Store, n int, write func() error) {
	w.t.Helper()
	w.writing.Go(func() {
		if err := write(); err != nil {
			w.t.Error(err)
		}
	})
	within(w.t, 10*time.Second, "it is queued", func() bool { return s.Stats().Queued == n })
}

func (w *batches) record(s *Store, n int, turn *Turn) {
	w.t.Helper()
	w.queue(s, n, func() error { _, _, err := s.Record(context.Background(), turn); return err })
}

// A batch that is broken off for a deadlock whenever it is tried is written turn by
// turn: that is no outage.
func TestBatchThatAlwaysDeadlocks(t *testing.T) {
	s := open(t, Config{Database: pgtest.Schema(t)})
	for _, statement := range []string{
		`CREATE FUNCTION deadlock() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF (SELECT count(*) FROM turns WHERE xmin = pg_current_xact_id()::xid) > 1 THEN
				RAISE EXCEPTION 'two turns in one transaction' USING ERRCODE = '40P01';
			END IF;
			RETURN NULL;
		END $$`,
		"CREATE TRIGGER deadlock AFTER INSERT ON turns FOR EACH ROW EXECUTE FUNCTION deadlock()",
	} {
		if _, err := s.read.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	w := &batches{t: t}
	release := w.hold(s)
	for n := range 3 {
		w.record(s, n+1, message(1, n+1))
	}
	release()
	w.writing.Wait()
	var recorded int
	if err := s.read.QueryRow("SELECT count(*) FROM turns").Scan(&recorded); err != nil || recorded != 3 {
		t.Errorf("%d turns are on record: %v", recorded, err)
	}
	if st := s.Stats(); st.Failures != 0 {
		t.Errorf("%+v", st)
	}
}
