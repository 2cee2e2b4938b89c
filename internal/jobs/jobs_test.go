package jobs

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/internal/store/pgtest"
)

func TestMain(m *testing.M) {
	if what := os.Getenv("WENZI_TEST_CHILD"); what != "" {
		child(what, os.Getenv("WENZI_TEST_DATABASE"))
		return
	}
	goleak.VerifyTestMain(m)
}

// fixture is a database of the test's own, and a connection past the store.
type fixture struct {
	t        *testing.T
	database string
	db       *sql.DB
	store    *store.Store
	log      *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// onEngines runs a test on SQLite and on PostgreSQL, which
// WENZI_TEST_POSTGRES names.
func onEngines(t *testing.T, test func(t *testing.T, f *fixture)) {
	t.Run("sqlite", func(t *testing.T) {
		database := filepath.Join(t.TempDir(), "wenzi.db")
		test(t, newFixture(t, database, "sqlite", "file:"+database+"?_txlock=immediate&_pragma=busy_timeout(5000)"))
	})
	t.Run("postgres", func(t *testing.T) {
		database := pgtest.Schema(t)
		test(t, newFixture(t, database, "pgx", database))
	})
}

func newFixture(t *testing.T, database, driver, dsn string) *fixture {
	f := &fixture{t: t, database: database, log: &syncBuffer{}}
	f.store = f.open(t)
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	f.db = db
	return f
}

// open opens the database once more, as another process does.
func (f *fixture) open(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Database: f.database, Logger: slog.New(slog.DiscardHandler)})
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

// runner makes a runner that sees what others insert after 10 ms.
func (f *fixture) runner(c Config) *Runner {
	if c.Store == nil {
		c.Store = f.store
	}
	if c.Poll == 0 {
		c.Poll = 10 * time.Millisecond
	}
	c.Log = slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return New(c)
}

// run lets the runner run until the test ends, or stop is called.
func (f *fixture) run(r *Runner) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx)
	}()
	stop = func() { cancel(); <-done }
	f.t.Cleanup(stop)
	return stop
}

func (f *fixture) insert(jobs ...store.Job) (ids []int64) {
	f.t.Helper()
	inserted, err := f.store.InsertJobs(f.t.Context(), jobs...)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, i := range inserted {
		ids = append(ids, i.ID)
	}
	return ids
}

func (f *fixture) job(id int64) store.Job {
	f.t.Helper()
	j, err := f.store.Job(f.t.Context(), id)
	if err != nil {
		f.t.Fatal(err)
	}
	return j
}

const patience = time.Minute

// until waits for something to become so.
func (f *fixture) until(what string, so func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("%s: not within %v\n%s", what, patience, f.log)
		}
	}
}

// await waits until the job is in that state.
func (f *fixture) await(id int64, state store.JobState) (j store.Job) {
	f.t.Helper()
	f.until(fmt.Sprintf("job %d %s", id, state), func() bool { j = f.job(id); return j.State == state })
	return j
}

// receive waits for a value.
func receive[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("%s: not within %v", what, patience)
	}
	return v
}

func (f *fixture) exec(statement string, args ...any) {
	f.t.Helper()
	if _, err := f.db.ExecContext(f.t.Context(), statement, args...); err != nil {
		f.t.Fatal(err)
	}
}

// pass makes some time pass for all jobs.
func (f *fixture) pass(d time.Duration) {
	f.t.Helper()
	f.exec(`UPDATE jobs SET scheduled_at = scheduled_at - $1, due_at = due_at - $1`, d.Milliseconds())
}

func (f *fixture) postgres() bool { return strings.HasPrefix(f.database, "postgres") }

// breakStore makes the store unavailable: another process has locked it.
func (f *fixture) breakStore() (repair func()) {
	f.t.Helper()
	tx, err := f.db.BeginTx(context.Background(), nil)
	if err == nil && f.postgres() {
		_, err = tx.Exec("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
	}
	if err != nil {
		f.t.Fatal(err)
	}
	repair = sync.OnceFunc(func() {
		if err := tx.Rollback(); err != nil {
			f.t.Error(err)
		}
	})
	f.t.Cleanup(repair)
	return repair
}

// databaseTime is what the database's clock shows.
func (f *fixture) databaseTime() time.Time {
	f.t.Helper()
	id := f.insert(store.Job{Kind: "clock"})[0]
	return f.job(id).CreatedAt
}

func done(context.Context, store.Job) error { return nil }

func attempts(n time.Duration) Options {
	return Options{MaxAttempts: 3, Backoff: func(int) time.Duration { return n }}
}

const openid = "oSecretOpenID" // in arguments and panics; never in a log or an error

func TestResults(t *testing.T) {
	overloaded := errors.New("the model is overloaded")
	panics := func(context.Context, store.Job) error { panic(openid) }
	fails := func(err error) Worker { return func(context.Context, store.Job) error { return err } }
	cases := []struct {
		name string
		work Worker
		max  int // attempts of the job itself
		want store.Job
		wait time.Duration // until the next attempt, when it is available
		log  string
	}{
		{"nil", done, 0, store.Job{State: store.JobCompleted}, 0, ""},
		{"snooze", fails(Snooze(time.Hour)), 0, store.Job{State: store.JobAvailable}, time.Hour, ""},
		{"snooze, wrapped", fails(fmt.Errorf("not yet: %w", Snooze(time.Hour))), 1, store.Job{State: store.JobAvailable}, time.Hour, ""},
		{
			"discard", fails(Discard(overloaded)), 0,
			store.Job{State: store.JobDiscarded, Failures: 1, Error: "the model is overloaded"}, 0, "level=ERROR",
		},
		{
			"cancel", fails(fmt.Errorf("push: %w", Cancel(overloaded))), 0,
			store.Job{State: store.JobCancelled, Error: "push: the model is overloaded"}, 0, "level=INFO",
		},
		{
			"error", fails(overloaded), 0,
			store.Job{State: store.JobAvailable, Failures: 1, Error: "the model is overloaded"}, time.Minute, "level=WARN",
		},
		{
			"error without a word", fails(errors.New("")), 0,
			store.Job{State: store.JobAvailable, Failures: 1, Error: "*errors.errorString"}, time.Minute, "level=WARN",
		},
		{
			"long error", fails(errors.New(strings.Repeat("长", 1000))), 0,
			store.Job{State: store.JobAvailable, Failures: 1, Error: strings.Repeat("长", 166) + "…"}, time.Minute, "level=WARN",
		},
		{
			"last error", fails(overloaded), 1,
			store.Job{State: store.JobDiscarded, Failures: 1, Error: "the model is overloaded"}, 0, "level=ERROR",
		},
		{
			"retry at", fails(RetryAt(time.Now().Add(2*time.Hour), overloaded)), 0,
			store.Job{State: store.JobAvailable, Failures: 1, Error: "the model is overloaded"}, 2 * time.Hour, "level=WARN",
		},
		{
			"retry at, but not any more", fails(RetryAt(time.Now().Add(2*time.Hour), overloaded)), 1,
			store.Job{State: store.JobDiscarded, Failures: 1, Error: "the model is overloaded"}, 0, "level=ERROR",
		},
		{
			"panic", panics, 0,
			store.Job{State: store.JobAvailable, Failures: 1, Error: "程序出错，请报告（the worker panicked: string）"}, time.Minute, "panic_type=string",
		},
		{
			"the end of the goroutine", func(context.Context, store.Job) error { runtime.Goexit(); return nil }, 0,
			store.Job{State: store.JobAvailable, Failures: 1, Error: "程序出错，请报告（the worker ended its goroutine）"}, time.Minute, "level=WARN",
		},
	}
	onEngines(t, func(t *testing.T, f *fixture) {
		r := f.runner(Config{})
		var ids []int64
		for _, c := range cases {
			r.Register(c.name, c.work, attempts(time.Minute))
			ids = append(ids, f.insert(store.Job{Kind: c.name, Args: []byte(openid), MaxAttempts: c.max})...)
		}
		before := f.databaseTime()
		f.run(r)
		for i, c := range cases {
			var got store.Job
			f.until("the result", func() bool {
				got = f.job(ids[i])
				return got.Attempt == 1 && got.State != store.JobRunning
			})
			if diff := cmp.Diff(c.want, store.Job{State: got.State, Failures: got.Failures, Error: got.Error}); diff != "" {
				t.Errorf("%s:\n%s", c.name, diff)
			}
			if wait := got.ScheduledAt.Sub(before); got.State == store.JobAvailable && (wait < c.wait-time.Minute/2 || wait > c.wait+time.Minute/2) {
				t.Errorf("%s: the next attempt is in %v, want %v", c.name, wait, c.wait)
			}
			var log string
			for line := range strings.Lines(f.log.String()) {
				if strings.Contains(line, fmt.Sprintf(" id=%d ", ids[i])) {
					log += line
				}
			}
			if !strings.Contains(log, c.log) || c.log == "" && log != "" {
				t.Errorf("%s: log: %s", c.name, log)
			}
			if strings.Contains(f.log.String()+got.Error, openid) {
				t.Errorf("%s: an argument or the text of a panic is in the log or the error:\n%s%s", c.name, f.log, got.Error)
			}
		}
	})
}

// A poison job is discarded after its attempts, and holds up nobody.
func TestPoison(t *testing.T) {
	onEngines(t, func(t *testing.T, f *fixture) {
		r := f.runner(Config{Concurrency: 1})
		var tried atomic.Int64
		r.Register("push", func(_ context.Context, j store.Job) error {
			if string(j.Args) == `"poison"` {
				tried.Add(1)
				panic("again")
			}
			return nil
		}, attempts(time.Millisecond))
		poison := f.insert(store.Job{Kind: "push", Args: []byte(`"poison"`)})[0]
		good := f.insert(slices.Repeat([]store.Job{{Kind: "push"}}, 20)...)
		f.run(r)
		for _, id := range good {
			f.await(id, store.JobCompleted)
		}
		j := f.await(poison, store.JobDiscarded)
		if j.Attempt != 3 || j.Failures != 3 || tried.Load() != 3 {
			t.Errorf("it was tried %d times: %+v", tried.Load(), j)
		}
		if log := f.log.String(); strings.Count(log, "is discarded") != 1 {
			t.Errorf("log: %s", log)
		}
	})
}

// A job that kills its process never lives to fail, but it does not go on for ever.
func TestPoisonThatKills(t *testing.T) {
	onEngines(t, func(t *testing.T, f *fixture) {
		id := f.insert(store.Job{Kind: "push"})[0]
		for range 3 { // processes that die
			if jobs, err := f.store.ClaimJobs(t.Context(), "w", time.Millisecond, map[string]int{"push": 1}); err != nil || len(jobs) != 1 {
				t.Fatal(jobs, err)
			}
			f.pass(time.Second)
		}
		r := f.runner(Config{})
		r.Register("push", func(context.Context, store.Job) error { t.Error("it runs again"); return nil }, attempts(0))
		f.run(r)
		if j := f.await(id, store.JobDiscarded); j.Failures != 3 || j.Error != store.LeaseEnded {
			t.Errorf("discarded: %+v", j)
		}
	})
}

func TestTimeout(t *testing.T) {
	onEngines(t, func(t *testing.T, f *fixture) {
		r := f.runner(Config{})
		r.Register("push", func(ctx context.Context, _ store.Job) error {
			<-ctx.Done()
			return ctx.Err()
		}, Options{Timeout: 10 * time.Millisecond, MaxAttempts: 1})
		id := f.insert(store.Job{Kind: "push"})[0]
		f.run(r)
		if j := f.await(id, store.JobDiscarded); !strings.HasPrefix(j.Error, "10ms 内没有做完（not done in this time）: context deadline exceeded") {
			t.Errorf("discarded: %+v", j)
		}
	})
}

// A worker that does not return after its timeout loses the job.
func TestWorkerThatHangs(t *testing.T) {
	onEngines(t, func(t *testing.T, f *fixture) {
		r := f.runner(Config{Lease: time.Second})
		hang := make(chan struct{})
		r.Register("push", func(_ context.Context, j store.Job) error {
			if j.Attempt == 1 {
				<-hang
			}
			return nil
		}, Options{Timeout: 10 * time.Millisecond})
		id := f.insert(store.Job{Kind: "push"})[0]
		f.run(r)
		j := f.await(id, store.JobCompleted)
		if j.Attempt != 2 || j.Failures != 1 || j.Error != store.LeaseEnded {
			t.Errorf("completed: %+v", j)
		}
		close(hang)
		f.until("late result", func() bool { return strings.Contains(f.log.String(), "does not count") })
		if again := f.job(id); !cmp.Equal(j, again) {
			t.Errorf("the late worker has changed the job: %s", cmp.Diff(j, again))
		}
	})
}

func TestUnknownKind(t *testing.T) {
	onEngines(t, func(t *testing.T, f *fixture) {
		r := f.runner(Config{})
		r.Register("push", done, Options{})
		ids := f.insert(store.Job{Kind: "of a newer version"}, store.Job{Kind: "push"})
		before := f.job(ids[0])
		f.run(r)
		f.await(ids[1], store.JobCompleted)
		if diff := cmp.Diff(before, f.job(ids[0])); diff != "" {
			t.Error(diff)
		}
	})
}

// Neither the runner nor a kind runs more than it may, and a kind with many
// jobs leaves room for the others.
func TestConcurrency(t *testing.T) {
	onEngines(t, func(t *testing.T, f *fixture) {
		r := f.runner(Config{Concurrency: 6})
		gate, started := make(chan struct{}), make(chan string, 100)
		var mu sync.Mutex
		running, most := map[string]int{}, map[string]int{}
		count := func(kind string, n int) {
			mu.Lock()
			defer mu.Unlock()
			for _, k := range []string{kind, "all"} {
				running[k] += n
				most[k] = max(most[k], running[k])
			}
		}
		work := func(_ context.Context, j store.Job) error {
			count(j.Kind, 1)
			defer count(j.Kind, -1)
			started <- j.Kind
			<-gate
			return nil
		}
		r.Register("sync", work, Options{Concurrency: 1})
		r.Register("push", work, Options{})
		r.Register("broadcast", work, Options{})
		f.insert(slices.Repeat([]store.Job{{Kind: "broadcast"}}, 40)...)
		f.insert(slices.Repeat([]store.Job{{Kind: "sync"}}, 5)...)
		f.insert(slices.Repeat([]store.Job{{Kind: "push"}}, 5)...)
		f.run(r)
		first := map[string]int{}
		for range 6 {
			first[receive(t, "a job", started)]++
		}
		if first["sync"] != 1 || first["push"] < 2 || first["broadcast"] < 2 {
			t.Errorf("the first six are %v", first)
		}
		close(gate)
		f.until("the end", func() bool {
			counts, err := f.store.CountJobs(t.Context())
			return err == nil && len(counts) == 0
		})
		if most["all"] != 6 || most["sync"] != 1 {
			t.Errorf("at the same time ran %v", most)
		}
	})
}

func TestShare(t *testing.T) {
	r := New(Config{Concurrency: 10})
	for name, limit := range map[string]int{"a": 0, "b": 0, "small": 1, "future": 0} {
		r.Register(name, done, Options{Concurrency: limit})
	}
	due := map[string]time.Duration{"a": -time.Hour, "b": -time.Second, "small": 0, "future": 1}
	for _, c := range []struct {
		name    string
		running map[string]int
		want    map[string]int
	}{
		{"nothing runs", nil, map[string]int{"a": 5, "b": 4, "small": 1}},
		{"one has most", map[string]int{"a": 8}, map[string]int{"b": 1, "small": 1}},
		{"one place", map[string]int{"a": 4, "b": 4, "small": 1}, map[string]int{"a": 1}},
		{"no place", map[string]int{"a": 10}, map[string]int{}},
	} {
		l := &loop{Runner: r, running: map[*running]struct{}{}}
		for kind, n := range c.running {
			for range n {
				l.running[&running{job: store.Job{Kind: kind}}] = struct{}{}
			}
		}
		if diff := cmp.Diff(c.want, l.share(due, l.count())); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
}

func TestBackoff(t *testing.T) {
	for failures, want := range map[int]time.Duration{1: 2 * time.Second, 2: 4 * time.Second, 11: 2048 * time.Second, 12: time.Hour, 99: time.Hour} {
		for range 100 {
			if d := backoff(failures); d > want || d <= want*3/4 {
				t.Errorf("after %d failures %v, want up to %v", failures, d, want)
			}
		}
	}
}

func TestMistakesPanic(t *testing.T) {
	for name, mistake := range map[string]func(*Runner){
		"no kind":       func(r *Runner) { r.Register("", done, Options{}) },
		"kind twice":    func(r *Runner) { r.Register("push", done, Options{}) },
		"interval of 0": func(r *Runner) { r.Periodic("push", 0, nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			r := New(Config{})
			r.Register("push", done, Options{})
			mistake(r)
		}()
	}
}

// A job of this process runs when the runner is woken, one whose time comes
// runs then, and what others insert is found: by the poll alone in the last case.
func TestWaking(t *testing.T) {
	onEngines(t, func(t *testing.T, f *fixture) {
		ran := make(chan int64, 10)
		work := func(_ context.Context, j store.Job) error { ran <- j.ID; return nil }
		r := f.runner(Config{Poll: time.Hour})
		r.Register("push", work, Options{})
		later := f.insert(store.Job{Kind: "push", ScheduledAt: f.databaseTime().Add(300 * time.Millisecond)})[0]
		stop := f.run(r)
		if got := receive(t, "the job whose time comes", ran); got != later {
			t.Errorf("job %d", got)
		}
		if j := f.await(later, store.JobCompleted); j.AttemptedAt.Before(j.ScheduledAt) {
			t.Errorf("it ran too early: %+v", j)
		}
		woken := f.insert(store.Job{Kind: "push"})[0]
		r.Wake()
		r.Wake()
		if got := receive(t, "the job of a waking", ran); got != woken {
			t.Errorf("job %d", got)
		}
		stop()

		r = f.runner(Config{})
		r.Register("push", work, Options{})
		f.run(r)
		other := f.open(t)
		inserted, err := other.InsertJobs(t.Context(), store.Job{Kind: "push"})
		if err != nil {
			t.Fatal(err)
		}
		if got := receive(t, "the job of another process", ran); got != inserted[0].ID {
			t.Errorf("job %d", got)
		}
	})
}

// What is inserted is heard of without a poll: from the store of the runner, and
// on PostgreSQL from other processes, also when the connection that listens was lost
// just then.
func TestHearing(t *testing.T) {
	onEngines(t, func(t *testing.T, f *fixture) {
		ran := make(chan int64, 10)
		r := f.runner(Config{Poll: time.Hour})
		r.Register("push", func(_ context.Context, j store.Job) error { ran <- j.ID; return nil }, Options{})
		f.run(r)
		stores := []*store.Store{f.store}
		if strings.HasPrefix(f.database, "postgres") {
			stores = append(stores, f.open(t))
		}
		insert := func(s *store.Store) {
			t.Helper()
			inserted, err := s.InsertJobs(t.Context(), store.Job{Kind: "not its own"}, store.Job{Kind: "push"})
			if err != nil {
				t.Fatal(err)
			}
			if got := receive(t, "the job", ran); got != inserted[1].ID {
				t.Errorf("job %d", got)
			}
		}
		for _, s := range stores {
			insert(s)
		}
		if len(stores) > 1 {
			f.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' || md5(current_schema()) || '%'`)
			insert(stores[1])
		}
	})
}

// A job that takes longer than its lease stays with its process.
func TestHeartbeat(t *testing.T) {
	onEngines(t, func(t *testing.T, f *fixture) {
		const lease = time.Second
		finish := make(chan struct{})
		var runs atomic.Int64
		for _, s := range []*store.Store{f.store, f.open(t)} {
			r := f.runner(Config{Store: s, Lease: lease})
			r.Register("push", func(ctx context.Context, _ store.Job) error {
				runs.Add(1)
				select {
				case <-finish:
					return nil
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}, Options{})
			f.run(r)
		}
		id := f.insert(store.Job{Kind: "push"})[0]
		f.until("two leases", func() bool {
			j := f.job(id)
			return j.State == store.JobRunning && j.LeaseUntil.Sub(j.AttemptedAt) > 2*lease
		})
		close(finish)
		if j := f.await(id, store.JobCompleted); j.Attempt != 1 || runs.Load() != 1 {
			t.Errorf("it ran %d times: %+v", runs.Load(), j)
		}
	})
}

// Another process has taken the job: the worker is told at the next heartbeat,
// and its result does not count.
func TestLeaseLost(t *testing.T) {
	onEngines(t, func(t *testing.T, f *fixture) {
		r := f.runner(Config{Lease: time.Hour})
		told := make(chan error, 2)
		r.Register("push", func(ctx context.Context, _ store.Job) error {
			<-ctx.Done()
			told <- context.Cause(ctx)
			return nil
		}, Options{})
		ids := f.insert(store.Job{Kind: "push"}, store.Job{Kind: "push"})
		l := r.newLoop(t.Context())
		if _, err := l.step(t.Context()); err != nil || len(l.running) != 2 {
			t.Fatalf("%d run, %v", len(l.running), err)
		}
		f.exec("UPDATE jobs SET attempt = attempt + 1, worker = 'another' WHERE id = $1", ids[0])
		l.extend(t.Context())
		if cause := receive(t, "the end of the context", told); !errors.Is(cause, errLeaseLost) {
			t.Errorf("it ends because: %v", cause)
		}
		l.end(receive(t, "the worker", l.ended))
		if err := l.save(t.Context()); err != nil || !strings.Contains(f.log.String(), "does not count") {
			t.Errorf("%v, log: %s", err, f.log)
		}
		if j := f.job(ids[0]); j.State != store.JobRunning || j.Attempt != 2 || j.Worker != "another" {
			t.Errorf("the other's job is changed: %+v", j)
		}
		if len(l.running) != 1 || len(told) != 0 {
			t.Errorf("%d are left, %d more were told", len(l.running), len(told))
		}
		l.stop(errStopping)
		l.drain(t.Context(), nil)
		if j := f.job(ids[1]); j.State != store.JobCompleted {
			t.Errorf("the job that was not lost: %+v", j)
		}
	})
}

// At a stop, what can finish finishes, the rest is given back, and nothing new
// is claimed.
func TestStop(t *testing.T) {
	onEngines(t, func(t *testing.T, f *fixture) {
		r := f.runner(Config{Drain: 200 * time.Millisecond, Concurrency: 4})
		started, finish, hang := make(chan string, 9), make(chan struct{}), make(chan struct{})
		begin := func(w Worker) Worker {
			return func(ctx context.Context, j store.Job) error {
				started <- j.Kind
				return w(ctx, j)
			}
		}
		r.Register("finishes", begin(func(context.Context, store.Job) error { <-finish; return nil }), Options{})
		r.Register("obeys", begin(func(ctx context.Context, _ store.Job) error {
			<-ctx.Done()
			return fmt.Errorf("half done: %w", context.Cause(ctx))
		}), Options{})
		r.Register("snoozes", begin(func(ctx context.Context, _ store.Job) error {
			<-ctx.Done()
			return Snooze(time.Hour)
		}), Options{})
		r.Register("hangs", begin(func(context.Context, store.Job) error { <-hang; return nil }), Options{})
		ids := f.insert(store.Job{Kind: "finishes"}, store.Job{Kind: "obeys"}, store.Job{Kind: "snoozes"}, store.Job{Kind: "hangs"})
		stop := f.run(r)
		for range ids {
			receive(t, "start", started)
		}
		late := f.insert(store.Job{Kind: "obeys"})[0]
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			stop()
		}()
		close(finish)
		receive(t, "the stop", stopped)
		close(hang)

		type result struct {
			State    store.JobState
			Attempt  int
			Failures int
			Error    string
		}
		var got []result
		for _, id := range append(ids, late) {
			j := f.job(id)
			got = append(got, result{j.State, j.Attempt, j.Failures, j.Error})
		}
		want := []result{
			{store.JobCompleted, 1, 0, ""}, {store.JobAvailable, 1, 0, ""}, {store.JobAvailable, 1, 0, ""},
			{store.JobAvailable, 1, 0, ""}, {store.JobAvailable, 0, 0, ""},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if log := f.log.String(); strings.Count(log, "does not return") != 1 {
			t.Errorf("log: %s", log)
		}

		next := f.runner(Config{Store: f.open(t), Poll: time.Hour}) // takes them at once, or never
		next.Register("obeys", done, Options{})
		next.Register("hangs", done, Options{})
		f.run(next)
		for _, id := range []int64{ids[1], ids[3], late} {
			f.await(id, store.JobCompleted)
		}
	})
}

// While the store is unavailable the runner backs off, and when it is back the
// results of meanwhile are written and jobs go on.
func TestStoreGoneAndBack(t *testing.T) {
	onEngines(t, func(t *testing.T, f *fixture) {
		r := f.runner(Config{})
		started, finish := make(chan int64, 9), make(chan struct{})
		var runs atomic.Int64
		r.Register("push", func(_ context.Context, j store.Job) error {
			runs.Add(1)
			started <- j.ID
			<-finish
			return nil
		}, Options{})
		first := f.insert(store.Job{Kind: "push"})[0]
		f.run(r)
		receive(t, "start", started)
		f.exec("ALTER TABLE jobs RENAME TO gone")
		close(finish)
		f.until("the second failure", func() bool { return strings.Contains(f.log.String(), "the store is still away") })
		f.exec("ALTER TABLE gone RENAME TO jobs")
		if j := f.await(first, store.JobCompleted); j.Attempt != 1 {
			t.Errorf("completed: %+v", j)
		}
		second := f.insert(store.Job{Kind: "push"})[0]
		f.await(second, store.JobCompleted)
		f.until("the log", func() bool { return strings.Contains(f.log.String(), "the store is back") })
		log := f.log.String()
		if runs.Load() != 2 || strings.Count(log, "the store is unavailable") != 1 || strings.Count(log, "the store is back") != 1 {
			t.Errorf("%d runs, log: %s", runs.Load(), log)
		}
	})
}

// A process that cannot reach the store for longer than the lease ends its
// worker: another process may have the job by now.
func TestStoreGoneLongerThanTheLease(t *testing.T) {
	onEngines(t, func(t *testing.T, f *fixture) {
		r := f.runner(Config{Lease: time.Second})
		started, told := make(chan struct{}), make(chan error, 9)
		r.Register("push", func(ctx context.Context, j store.Job) error {
			if j.Attempt > 1 {
				return nil
			}
			close(started)
			<-ctx.Done()
			told <- context.Cause(ctx)
			return ctx.Err()
		}, Options{})
		id := f.insert(store.Job{Kind: "push"})[0]
		f.run(r)
		receive(t, "start", started)
		repair := f.breakStore()
		if cause := receive(t, "the end of the context", told); !errors.Is(cause, errLeaseLost) {
			t.Errorf("it ends because: %v", cause)
		}
		repair()
		if j := f.await(id, store.JobCompleted); j.Attempt != 2 {
			t.Errorf("completed: %+v", j)
		}
	})
}

// A stop must not wait for a store that does not come back.
func TestStopWithoutStore(t *testing.T) {
	onEngines(t, func(t *testing.T, f *fixture) {
		r := f.runner(Config{Drain: 100 * time.Millisecond})
		started, finish := make(chan struct{}), make(chan struct{})
		r.Register("push", func(context.Context, store.Job) error { close(started); <-finish; return nil }, Options{})
		id := f.insert(store.Job{Kind: "push"})[0]
		stop := f.run(r)
		receive(t, "start", started)
		repair := f.breakStore()
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			stop()
		}()
		close(finish)
		receive(t, "the stop", stopped)
		repair()
		if j := f.job(id); j.State != store.JobRunning || !strings.Contains(f.log.String(), "run again after their leases") {
			t.Errorf("%+v, log: %s", j, f.log)
		}
	})
}

func TestPeriodic(t *testing.T) {
	onEngines(t, func(t *testing.T, f *fixture) {
		const day = 24 * time.Hour
		ran := make(chan store.Job, 9)
		start := func() (stop func()) {
			r := f.runner(Config{Poll: time.Hour})
			r.Register("other", done, Options{})
			r.Register("cleaning", func(_ context.Context, j store.Job) error { ran <- j; return nil }, Options{})
			r.Periodic("cleaning", day, []byte(`{"keep":90}`))
			return f.run(r)
		}
		slot := f.databaseTime().UTC().Truncate(day)
		stop := start()
		j := receive(t, "the slot of the start", ran)
		if !j.Slot.Equal(slot) || string(j.Args) != `{"keep":90}` {
			t.Errorf("it runs %+v", j)
		}
		f.await(j.ID, store.JobCompleted)
		stop()
		f.exec("UPDATE jobs SET slot = slot - $1 WHERE slot > 0", 3*day.Milliseconds()) // three days later
		stop = start()
		if again := receive(t, "the slot that was missed", ran); !again.Slot.Equal(slot) {
			t.Errorf("it runs %+v", again)
		}
		stop()
		other := f.insert(store.Job{Kind: "other"})[0] // runs after the look at the slots
		stop = start()
		f.await(other, store.JobCompleted)
		stop()
		if jobs, err := f.store.Jobs(t.Context(), store.JobFilter{Kind: "cleaning", Limit: 9}); err != nil || len(jobs) != 2 || len(ran) != 0 {
			t.Errorf("%d jobs, %d more runs, %v", len(jobs), len(ran), err)
		}
	})
}

// The clock of a process may show anything: in these bubbles it shows 2000, and
// 2100. Due jobs run, others do not, and nobody takes a running one away.
func TestWrongClock(t *testing.T) {
	for _, c := range []struct {
		name  string
		ahead time.Duration
	}{{"2000", 0}, {"2100", 100 * 365 * 24 * time.Hour}} {
		t.Run(c.name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, f *fixture) {
				ids := f.insert(
					store.Job{Kind: "push"},
					store.Job{Kind: "push", ScheduledAt: f.databaseTime().Add(time.Hour)},
				)
				// The worker waits for channels from outside, which stops the clock of the bubble.
				started, finish := make(chan int64, 9), make(chan struct{})
				go func() { // the process with the right clock
					defer close(finish)
					if id := receive(f.t, "start", started); id != ids[0] {
						f.t.Errorf("job %d runs", id)
					}
					right := f.runner(Config{Store: f.open(f.t)})
					right.Register("push", func(_ context.Context, j store.Job) error {
						f.t.Errorf("it runs job %d", j.ID)
						return nil
					}, Options{})
					right.Register("its own", done, Options{})
					own := f.insert(store.Job{Kind: "its own"})[0]
					f.run(right)
					f.await(own, store.JobCompleted)
				}()
				synctest.Test(f.t, func(t *testing.T) {
					time.Sleep(c.ahead)
					wrong := f.runner(Config{Store: f.open(t)})
					wrong.Register("push", func(_ context.Context, j store.Job) error {
						started <- j.ID
						<-finish
						return nil
					}, Options{})
					ctx, cancel := context.WithCancel(context.Background())
					var wg sync.WaitGroup
					wg.Go(func() { wrong.Run(ctx) })
					<-finish
					cancel()
					wg.Wait()
				})
				if j := f.job(ids[0]); j.State != store.JobCompleted || j.Attempt != 1 || len(started) != 0 {
					t.Errorf("after it: %+v, and %d others ran", j, len(started))
				}
				if j := f.job(ids[1]); j.Attempt != 0 {
					t.Errorf("the job of later has run: %+v", j)
				}
			})
		})
	}
}
