package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func insertJobs(t *testing.T, s *Store, jobs ...Job) (ids []int64) {
	t.Helper()
	inserted, err := s.InsertJobs(t.Context(), jobs...)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range inserted {
		ids = append(ids, i.ID)
	}
	return ids
}

// claim claims at most n jobs of each kind.
func claim(t *testing.T, s *Store, n int, kinds ...string) []Job {
	t.Helper()
	limits := map[string]int{}
	for _, k := range kinds {
		limits[k] = n
	}
	jobs, err := s.ClaimJobs(t.Context(), "worker", time.Hour, limits)
	if err != nil {
		t.Fatal(err)
	}
	return jobs
}

func claimOne(t *testing.T, s *Store, kind string) Job {
	t.Helper()
	jobs := claim(t, s, 1, kind)
	if len(jobs) != 1 {
		t.Fatalf("%d jobs are claimed, want 1", len(jobs))
	}
	return jobs[0]
}

func attempt(j Job) JobAttempt { return JobAttempt{ID: j.ID, Attempt: j.Attempt} }

// finish ends an attempt and reports whether the store took it.
func finish(t *testing.T, s *Store, r JobResult) bool {
	t.Helper()
	lost, err := s.FinishJobs(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return len(lost) == 0
}

func completed(j Job) JobResult { return JobResult{JobAttempt: attempt(j), State: JobCompleted} }

func readJob(t *testing.T, s *Store, id int64) Job {
	t.Helper()
	j, err := s.Job(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// age makes some time pass for all jobs.
func age(t *testing.T, s *Store, d time.Duration) {
	t.Helper()
	err := s.do(t.Context(), func(ctx context.Context, c *sql.Conn) error {
		_, err := c.ExecContext(ctx, `UPDATE jobs SET created_at = created_at - $1, scheduled_at = scheduled_at - $1, due_at = due_at - $1,
			attempted_at = attempted_at - $1, finished_at = CASE WHEN finished_at > 0 THEN finished_at - $1 ELSE 0 END`, d.Milliseconds())
		if err != nil {
			return err
		}
		// In two steps, because slots are unique at any moment.
		_, err = c.ExecContext(ctx, `UPDATE jobs SET slot = $1 - slot WHERE slot > 0`, d.Milliseconds())
		if err != nil {
			return err
		}
		_, err = c.ExecContext(ctx, `UPDATE jobs SET slot = -slot WHERE slot < 0`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// databaseTime is what the database's clock shows.
func databaseTime(t *testing.T, s *Store) time.Time {
	t.Helper()
	var ms int64
	if err := s.read.QueryRowContext(t.Context(), "SELECT "+s.clock()).Scan(&ms); err != nil {
		t.Fatal(err)
	}
	return fromMillis(ms)
}

func between(t *testing.T, what string, from, at, to time.Time) {
	t.Helper()
	if at.Before(from) || at.After(to) {
		t.Errorf("%s is %v, want %v to %v", what, at, from, to)
	}
}

func TestInsertJobs(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		before := databaseTime(t, a)
		ids := insertJobs(t, a,
			Job{Kind: "push", Args: []byte(`{"text":"你好"}`), Account: 7, UniqueKey: "turn 1", MaxAttempts: 3, ScheduledAt: noon},
			Job{Kind: "sync"},
		)
		after := databaseTime(t, a)
		push, plain := readJob(t, b, ids[0]), readJob(t, b, ids[1])
		between(t, "creation", before, push.CreatedAt, after)
		between(t, "the time without one given", before, plain.ScheduledAt, after)
		want := Job{
			ID: ids[0], Kind: "push", Args: []byte(`{"text":"你好"}`), Account: 7, UniqueKey: "turn 1", MaxAttempts: 3,
			ScheduledAt: noon.Local(), State: JobAvailable, CreatedAt: push.CreatedAt,
		}
		if diff := cmp.Diff(want, push); diff != "" {
			t.Error(diff)
		}
		want = Job{
			ID: ids[1], Kind: "sync", State: JobAvailable, ScheduledAt: plain.ScheduledAt, CreatedAt: plain.CreatedAt,
		}
		if diff := cmp.Diff(want, plain, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
		if _, err := a.Job(t.Context(), 999); !errors.Is(err, ErrNotFound) {
			t.Errorf("a job that is not there: %v", err)
		}
		if none, err := a.InsertJobs(t.Context()); err != nil || len(none) != 0 {
			t.Errorf("no jobs: %v, %v", none, err)
		}
	})
}

// A job commits with the rest of its transaction, or not at all.
func TestInsertJobInATransaction(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		insert := func(outcome error) error {
			return s.do(t.Context(), func(ctx context.Context, c *sql.Conn) error {
				if _, err := c.ExecContext(ctx, "INSERT INTO meta (name, value) VALUES ('with the job', 'yes')"); err != nil {
					return err
				}
				if _, err := s.insertJob(ctx, c, Job{Kind: "push"}); err != nil {
					return err
				}
				return outcome
			})
		}
		rows := func() (jobs, others int) {
			t.Helper()
			if err := s.read.QueryRow("SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM meta WHERE name = 'with the job')").Scan(&jobs, &others); err != nil {
				t.Fatal(err)
			}
			return jobs, others
		}
		refused := errors.New("no")
		if err := insert(refused); !errors.Is(err, refused) {
			t.Errorf("got %v", err)
		}
		if jobs, others := rows(); jobs != 0 || others != 0 {
			t.Errorf("after a rollback there are %d jobs, %d other rows", jobs, others)
		}
		if err := insert(nil); err != nil {
			t.Error(err)
		}
		if jobs, others := rows(); jobs != 1 || others != 1 {
			t.Errorf("after a commit there are %d jobs, %d other rows", jobs, others)
		}
	})
}

func TestUniqueKey(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		insert := func(s *Store, wantExisted bool, wantID int64) int64 {
			t.Helper()
			got, err := s.InsertJobs(t.Context(), Job{Kind: "sync", UniqueKey: "account 1"})
			if err != nil {
				t.Fatal(err)
			}
			if got[0].Existed != wantExisted || wantExisted && got[0].ID != wantID {
				t.Errorf("inserted %+v, want existed %v with id %d", got[0], wantExisted, wantID)
			}
			return got[0].ID
		}
		first := insert(a, false, 0)
		insert(b, true, first)
		j := claimOne(t, a, "sync")
		insert(b, true, first) // while it runs
		finish(t, a, JobResult{JobAttempt: attempt(j), State: JobAvailable, Error: "later"})
		insert(b, true, first) // while it waits for the next attempt
		for _, end := range []JobState{JobCompleted, JobDiscarded, JobCancelled} {
			finish(t, a, JobResult{JobAttempt: attempt(claimOne(t, a, "sync")), State: end})
			insert(b, false, 0)
		}
		got, err := a.InsertJobs(t.Context(), Job{Kind: "x", UniqueKey: "twice"}, Job{Kind: "y", UniqueKey: "twice"}, Job{Kind: "z"}, Job{Kind: "z"})
		if err != nil || got[0].Existed || !got[1].Existed || got[0].ID != got[1].ID || got[2].Existed || got[3].Existed {
			t.Errorf("one key twice in one call: %+v, %v", got, err)
		}
	})
}

// Two processes insert the same keys in opposite orders. Neither makes a second
// job, and they do not wait for each other.
func TestUniqueKeysConcurrently(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		for round := range 10 {
			var jobs []Job
			for key := range 50 {
				jobs = append(jobs, Job{Kind: "sync", UniqueKey: fmt.Sprint(round, " ", key)})
			}
			var mu sync.Mutex
			fresh, ids := 0, map[int64]bool{}
			var wg sync.WaitGroup
			for _, s := range []*Store{a, b, a, b} {
				slices.Reverse(jobs)
				mine := slices.Clone(jobs)
				wg.Go(func() {
					inserted, err := s.InsertJobs(t.Context(), mine...)
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					for _, i := range inserted {
						ids[i.ID] = true
						if !i.Existed {
							fresh++
						}
					}
				})
			}
			wg.Wait()
			if fresh != 50 || len(ids) != 50 {
				t.Fatalf("%d are new, %d ids, want 50 of each", fresh, len(ids))
			}
		}
	})
}

func TestClaimJobs(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		hour := time.Hour
		now := databaseTime(t, a)
		ids := insertJobs(t, a,
			Job{Kind: "push", ScheduledAt: now.Add(-1 * hour)},
			Job{Kind: "push", ScheduledAt: now.Add(-3 * hour)},
			Job{Kind: "push", ScheduledAt: now.Add(-2 * hour)},
			Job{Kind: "push", ScheduledAt: now.Add(hour)},
			Job{Kind: "sync", Args: []byte("1"), Account: 4, MaxAttempts: 2},
			Job{Kind: "nobody's"},
		)
		claimed := func(s *Store, n int, kinds ...string) (got []int64) {
			for _, j := range claim(t, s, n, kinds...) {
				got = append(got, j.ID)
			}
			slices.Sort(got)
			return got
		}
		if got := claimed(a, 2, "push"); !slices.Equal(got, []int64{ids[1], ids[2]}) {
			t.Errorf("jobs %d, want the two that are due longest", got)
		}
		jobs, err := b.ClaimJobs(t.Context(), "host/1", time.Minute, map[string]int{"push": 9, "sync": 9, "cleaning": 9})
		if err != nil || len(jobs) != 2 {
			t.Fatalf("%+v, %v", jobs, err)
		}
		after := databaseTime(t, a)
		sync := jobs[slices.IndexFunc(jobs, func(j Job) bool { return j.Kind == "sync" })]
		between(t, "the attempt", now, sync.AttemptedAt, after)
		between(t, "the lease", now.Add(time.Minute), sync.LeaseUntil, after.Add(time.Minute))
		want := Job{
			ID: ids[4], Kind: "sync", Args: []byte("1"), Account: 4, MaxAttempts: 2, State: JobRunning, Attempt: 1, Worker: "host/1",
			CreatedAt: sync.CreatedAt, ScheduledAt: sync.ScheduledAt, AttemptedAt: sync.AttemptedAt, LeaseUntil: sync.LeaseUntil,
		}
		if diff := cmp.Diff(want, sync); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(sync, readJob(t, a, sync.ID)); diff != "" {
			t.Errorf("the row is not what was claimed:\n%s", diff)
		}
		if got := claimed(a, 9, "push", "sync"); len(got) != 0 {
			t.Errorf("jobs %d are claimed: what runs, or what is not due", got)
		}
		if got := claimed(a, 9); len(got) != 0 {
			t.Errorf("jobs %d of no kind are claimed", got)
		}
		untouched := readJob(t, a, ids[5])
		if untouched.State != JobAvailable || untouched.Attempt != 0 {
			t.Errorf("a kind that nobody asked for: %+v", untouched)
		}
	})
}

func TestClaimIsExclusive(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		const jobs = 400
		for range jobs / 100 {
			insertJobs(t, a, slices.Repeat([]Job{{Kind: "push"}}, 100)...)
		}
		var mu sync.Mutex
		times := map[int64]int{}
		var wg sync.WaitGroup
		for i := range 8 {
			s := []*Store{a, b}[i%2]
			wg.Go(func() {
				for busy := 0; ; {
					got, err := s.ClaimJobs(t.Context(), "w", time.Hour, map[string]int{"push": 7})
					// Two processes on one SQLite file can starve each other.
					if errors.Is(err, ErrUnavailable) && busy < 20 {
						busy++
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					for _, j := range got {
						times[j.ID]++
					}
					all := len(times) == jobs
					mu.Unlock()
					if all {
						return
					}
				}
			})
		}
		wg.Wait()
		for id, n := range times {
			if n != 1 {
				t.Errorf("job %d is claimed %d times", id, n)
			}
		}
	})
}

// A job whose lease has ended runs again, and its late worker changes nothing.
func TestLeaseOfAJob(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		id := insertJobs(t, a, Job{Kind: "push"})[0]
		first := claimOne(t, a, "push")
		age(t, a, 59*time.Minute)
		if got := claim(t, b, 1, "push"); len(got) != 0 {
			t.Fatal("claimed before the end of the lease")
		}
		if lost, err := a.ExtendJobs(t.Context(), time.Hour, attempt(first)); err != nil || len(lost) != 0 {
			t.Errorf("the lease is not extended: %v, %v", lost, err)
		}
		age(t, a, 59*time.Minute)
		if got := claim(t, b, 1, "push"); len(got) != 0 {
			t.Fatal("claimed before the end of the extended lease")
		}
		age(t, a, time.Minute)
		second := claimOne(t, b, "push")
		if second.ID != id || second.Attempt != 2 || second.Failures != 1 || second.Error != LeaseEnded {
			t.Errorf("claimed after the lease: %+v", second)
		}

		if lost, err := a.ExtendJobs(t.Context(), 9*time.Hour, attempt(first)); err != nil || !slices.Equal(lost, []JobAttempt{attempt(first)}) {
			t.Errorf("the late worker extends: lost %v, %v", lost, err)
		}
		for _, r := range []JobResult{
			{State: JobCompleted}, {State: JobDiscarded, Error: "late"}, {State: JobCancelled}, {State: JobAvailable}, {State: JobAvailable, Error: "late"},
		} {
			r.JobAttempt = attempt(first)
			if finish(t, a, r) {
				t.Errorf("the late worker can end the job: %+v", r)
			}
		}
		if diff := cmp.Diff(second, readJob(t, a, id)); diff != "" {
			t.Errorf("the late worker has changed the job:\n%s", diff)
		}
		if !finish(t, b, completed(second)) {
			t.Error("the worker that has the lease cannot end the job")
		}
		for _, r := range []JobResult{completed(second), {JobAttempt: attempt(second), State: JobAvailable}} {
			if finish(t, b, r) {
				t.Errorf("a finished job is ended again: %+v", r)
			}
		}
		if lost, err := b.ExtendJobs(t.Context(), time.Hour, attempt(second)); err != nil || len(lost) != 1 {
			t.Errorf("the lease of a finished job is extended: lost %v, %v", lost, err)
		}
	})
}

// One claims what another does not extend, many at once.
func TestExtendManyJobs(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		insertJobs(t, a, slices.Repeat([]Job{{Kind: "push"}}, 40)...)
		var kept, dropped []JobAttempt
		for i, j := range claim(t, a, 40, "push") {
			if i%2 == 0 {
				kept = append(kept, attempt(j))
			} else {
				dropped = append(dropped, attempt(j))
			}
		}
		if lost, err := a.ExtendJobs(t.Context(), 3*time.Hour, kept...); err != nil || len(lost) != 0 {
			t.Fatal(lost, err)
		}
		age(t, a, 2*time.Hour)
		if again := claim(t, b, 40, "push"); len(again) != len(dropped) {
			t.Errorf("%d are claimed again, want %d", len(again), len(dropped))
		}
		lost, err := a.ExtendJobs(t.Context(), time.Hour, append(slices.Clone(kept), dropped...)...)
		if err != nil || !slices.Equal(lost, dropped) {
			t.Errorf("lost %v, %v\nwant %v", lost, err, dropped)
		}
	})
}

func TestFinishJobs(t *testing.T) {
	for _, c := range []struct {
		name   string
		result JobResult
		want   Job // its State, Failures and Error
	}{
		{"complete", JobResult{State: JobCompleted}, Job{State: JobCompleted, Failures: 1, Error: "before"}},
		{"retry", JobResult{State: JobAvailable, Delay: time.Hour, Error: "坏了\x00"}, Job{State: JobAvailable, Failures: 2, Error: "坏了\uFFFD"}},
		{"snooze", JobResult{State: JobAvailable, Delay: time.Hour}, Job{State: JobAvailable, Failures: 1, Error: "before"}},
		{"discard", JobResult{State: JobDiscarded, Error: "for good"}, Job{State: JobDiscarded, Failures: 2, Error: "for good"}},
		{"cancel", JobResult{State: JobCancelled, Error: "not wanted"}, Job{State: JobCancelled, Failures: 1, Error: "not wanted"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			twoStores(t, func(t *testing.T, a, b *Store) {
				id := insertJobs(t, a, Job{Kind: "push"})[0]
				finish(t, a, JobResult{JobAttempt: attempt(claimOne(t, a, "push")), State: JobAvailable, Error: "before"})
				j := claimOne(t, a, "push")
				before := databaseTime(t, a)
				c.result.JobAttempt = attempt(j)
				if !finish(t, a, c.result) {
					t.Fatal("lost")
				}
				after := databaseTime(t, a)
				got := readJob(t, b, id)
				want := j
				want.State, want.Failures, want.Error = c.want.State, c.want.Failures, c.want.Error
				want.LeaseUntil, want.ScheduledAt, want.FinishedAt = time.Time{}, got.ScheduledAt, got.FinishedAt
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
				if c.want.State != JobAvailable {
					between(t, "the end", before, got.FinishedAt, after)
					age(t, a, 2*time.Hour)
					if got := claim(t, b, 1, "push"); len(got) != 0 {
						t.Errorf("a finished job is claimed: %+v", got)
					}
					return
				}
				between(t, "the next attempt", before.Add(time.Hour), got.ScheduledAt, after.Add(time.Hour))
				if got := claim(t, b, 1, "push"); len(got) != 0 {
					t.Errorf("claimed too early: %+v", got)
				}
				age(t, a, time.Hour)
				if again := claimOne(t, b, "push"); again.ID != id || again.Attempt != 3 {
					t.Errorf("claimed again: %+v", again)
				}
			})
		})
	}
}

func TestFinishManyJobs(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		ids := insertJobs(t, a, slices.Repeat([]Job{{Kind: "push"}}, 100)...)
		var results []JobResult
		var want []JobState
		states := []JobState{JobCompleted, JobAvailable, JobDiscarded, JobCancelled}
		for i, j := range claim(t, a, 100, "push") {
			results = append(results, JobResult{JobAttempt: attempt(j), State: states[i%4], Delay: time.Hour})
		}
		slices.SortFunc(results, func(x, y JobResult) int { return int(x.ID - y.ID) })
		for _, r := range results {
			want = append(want, r.State)
		}
		gone := JobAttempt{ID: results[0].ID, Attempt: 9}
		lost, err := a.FinishJobs(t.Context(), append(results, JobResult{JobAttempt: gone, State: JobDiscarded})...)
		if err != nil || !slices.Equal(lost, []JobAttempt{gone}) {
			t.Errorf("lost %v, %v", lost, err)
		}
		var got []JobState
		for _, id := range ids {
			got = append(got, readJob(t, b, id).State)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if lost, err := a.FinishJobs(t.Context()); err != nil || lost != nil {
			t.Errorf("no results: %v, %v", lost, err)
		}
	})
}

func TestInsertPeriodicJob(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		const day = 24 * time.Hour
		insert := func(s *Store, every time.Duration, want bool) {
			t.Helper()
			before := databaseTime(t, s)
			inserted, next, err := s.InsertPeriodicJob(t.Context(), Job{Kind: "cleaning", Args: []byte("{}")}, every)
			if err != nil || inserted != want {
				t.Errorf("inserted %v, want %v, %v", inserted, want, err)
			}
			slot := before.UnixMilli() - before.UnixMilli()%every.Milliseconds()
			end := fromMillis(slot).Add(every)
			between(t, "the next slot", end, databaseTime(t, s).Add(next), end.Add(time.Minute))
		}
		newest := func() Job {
			t.Helper()
			jobs, err := b.Jobs(t.Context(), JobFilter{Kind: "cleaning", Limit: 1})
			if err != nil || len(jobs) != 1 {
				t.Fatal(jobs, err)
			}
			return jobs[0]
		}
		insert(a, day, true)
		insert(a, day, false)
		insert(b, day, false)
		j := newest()
		if !j.Slot.Equal(databaseTime(t, a).UTC().Truncate(day)) || string(j.Args) != "{}" || j.State != JobAvailable {
			t.Errorf("inserted %+v", j)
		}
		// A slot runs once, whatever becomes of its job.
		finish(t, a, completed(claimOne(t, a, "cleaning")))
		insert(b, day, false)
		if _, err := a.ClearJobs(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		insert(b, day, false)
		// The next slot; that of the day before was missed.
		age(t, a, 2*day)
		insert(b, day, true)
		insert(a, day, false)
		// The last job does not run yet, but a slot is a slot.
		age(t, a, day)
		insert(a, day, true)
		if n := len(claim(t, a, 9, "cleaning")); n != 2 {
			t.Errorf("%d jobs wait, want 2", n)
		}
		// The clock is put back, or another process has another interval.
		age(t, a, -day)
		insert(a, day, false)
		insert(a, 7*day, false)
	})
}

func TestInsertPeriodicJobConcurrently(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		for range 5 {
			var mu sync.Mutex
			fresh := 0
			var wg sync.WaitGroup
			for i := range 16 {
				wg.Go(func() {
					inserted, _, err := []*Store{a, b}[i%2].InsertPeriodicJob(t.Context(), Job{Kind: "cleaning"}, 24*time.Hour)
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					if inserted {
						fresh++
					}
				})
			}
			wg.Wait()
			if fresh != 1 {
				t.Errorf("the slot has %d jobs", fresh)
			}
			age(t, a, 24*time.Hour)
		}
	})
}

func TestDueJobs(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		now := databaseTime(t, a)
		insertJobs(t, a,
			Job{Kind: "late", ScheduledAt: now.Add(-time.Hour)},
			Job{Kind: "late", ScheduledAt: now.Add(-time.Minute)},
			Job{Kind: "soon", ScheduledAt: now.Add(24 * time.Hour)},
			Job{Kind: "soon", ScheduledAt: now.Add(time.Hour)},
			Job{Kind: "runs"},
			Job{Kind: "finished"},
			Job{Kind: "other"},
		)
		claimOne(t, a, "runs") // with a lease of an hour
		finish(t, a, completed(claimOne(t, a, "finished")))
		due, err := b.DueJobs(t.Context(), "late", "soon", "runs", "finished", "unknown")
		if err != nil || len(due) != 3 {
			t.Fatal(due, err)
		}
		for kind, want := range map[string]time.Duration{"late": -time.Hour, "soon": time.Hour, "runs": time.Hour} {
			between(t, kind, now.Add(want), databaseTime(t, a).Add(due[kind]), now.Add(want+time.Minute))
		}
		if due, err := b.DueJobs(t.Context()); err != nil || len(due) != 0 {
			t.Errorf("of no kind: %v, %v", due, err)
		}
	})
}

func TestListJobs(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		var ids []int64
		for i := range 12 {
			ids = append(ids, insertJobs(t, a, Job{Kind: []string{"push", "sync"}[i%2], Account: int64(i % 3)})...)
		}
		for _, state := range []JobState{JobCompleted, JobDiscarded, JobCancelled} {
			finish(t, a, JobResult{JobAttempt: attempt(claimOne(t, a, "push")), State: state}) // jobs 0, 2, 4
		}
		claimOne(t, a, "sync") // job 1
		for _, c := range []struct {
			name   string
			filter JobFilter
			want   []int
		}{
			{"all", JobFilter{Limit: 100}, []int{11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}},
			{"the newest", JobFilter{Limit: 3}, []int{11, 10, 9}},
			{"the next page", JobFilter{Limit: 3, Before: ids[9]}, []int{8, 7, 6}},
			{"a kind", JobFilter{Limit: 4, Kind: "sync"}, []int{11, 9, 7, 5}},
			{"an account", JobFilter{Limit: 100, Account: 2}, []int{11, 8, 5, 2}},
			{"completed", JobFilter{Limit: 100, State: JobCompleted}, []int{0}},
			{"discarded", JobFilter{Limit: 100, State: JobDiscarded}, []int{2}},
			{"cancelled", JobFilter{Limit: 100, State: JobCancelled}, []int{4}},
			{"running", JobFilter{Limit: 100, State: JobRunning}, []int{1}},
			{"all at once", JobFilter{Limit: 100, Kind: "sync", Account: 2, State: JobAvailable, Before: ids[11]}, []int{5}},
			{"none", JobFilter{Limit: 100, Kind: "unknown"}, nil},
		} {
			jobs, err := b.Jobs(t.Context(), c.filter)
			if err != nil {
				t.Fatal(err)
			}
			var got []int
			for _, j := range jobs {
				got = append(got, slices.Index(ids, j.ID))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s:\n%s", c.name, diff)
			}
		}
	})
}

func TestCountJobs(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		insertJobs(t, a, slices.Repeat([]Job{{Kind: "push"}}, 7)...)
		insertJobs(t, a, Job{Kind: "push", ScheduledAt: time.Now().Add(time.Hour)}, Job{Kind: "sync"})
		for _, state := range []JobState{JobCompleted, JobDiscarded, JobCancelled} {
			finish(t, a, JobResult{JobAttempt: attempt(claimOne(t, a, "push")), State: state})
		}
		claim(t, a, 2, "push")
		got, err := b.CountJobs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(got, func(x, y JobCount) int { return strings.Compare(x.Kind+x.State.String(), y.Kind+y.State.String()) })
		want := []JobCount{
			{Kind: "push", State: JobAvailable, Jobs: 3, Due: 2},
			{Kind: "push", State: JobCancelled, Jobs: 1},
			{Kind: "push", State: JobDiscarded, Jobs: 1},
			{Kind: "push", State: JobRunning, Jobs: 2},
			{Kind: "sync", State: JobAvailable, Jobs: 1, Due: 1},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestClearJobs(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		finished := func(n int) {
			t.Helper()
			insertJobs(t, a, slices.Repeat([]Job{{Kind: "push"}}, n)...)
			states := []JobState{JobCompleted, JobDiscarded, JobCancelled}
			var results []JobResult
			for i, j := range claim(t, a, n, "push") {
				results = append(results, JobResult{JobAttempt: attempt(j), State: states[i%3]})
			}
			if lost, err := a.FinishJobs(t.Context(), results...); err != nil || len(lost) > 0 {
				t.Fatal(lost, err)
			}
		}
		slot := func() {
			t.Helper()
			if inserted, _, err := a.InsertPeriodicJob(t.Context(), Job{Kind: "cleaning"}, time.Hour); err != nil || !inserted {
				t.Fatal(inserted, err)
			}
			finish(t, a, completed(claimOne(t, a, "cleaning")))
		}
		waits := insertJobs(t, a, Job{Kind: "waits"}, Job{Kind: "runs"})
		claimOne(t, a, "runs")
		slot()
		age(t, a, time.Hour)
		slot()
		finished(rowsAStep + 10)
		age(t, a, 25*time.Hour)
		young := insertJobs(t, a, Job{Kind: "young"})
		finish(t, a, completed(claimOne(t, a, "young")))
		finished(5)

		deleted, err := b.ClearJobs(t.Context(), 24*time.Hour)
		if err != nil || deleted != rowsAStep+11 {
			t.Errorf("%d deleted, want %d, %v", deleted, rowsAStep+11, err)
		}
		left, err := b.Jobs(t.Context(), JobFilter{Limit: 1000})
		if err != nil || len(left) != len(waits)+len(young)+5+1 {
			t.Errorf("%d are left, %v", len(left), err)
		}
		if deleted, err := b.ClearJobs(t.Context(), 24*time.Hour); err != nil || deleted != 0 {
			t.Errorf("the second time %d are deleted, %v", deleted, err)
		}
	})
}

// The local clock of a process may show anything: in this bubble it shows 2000.
func TestJobsUseTheDatabasesClock(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		right := open(t, c)
		soon := databaseTime(t, right).Add(time.Hour)
		insertJobs(t, right, Job{Kind: "due"}, Job{Kind: "soon", ScheduledAt: soon})
		synctest.Test(t, func(t *testing.T) {
			wrong := open(t, c)
			if year := time.Now().Year(); year != 2000 {
				t.Fatalf("the clock of the bubble shows %d", year)
			}
			ids := insertJobs(t, wrong, Job{Kind: "due"}, Job{Kind: "due"})
			jobs := claim(t, wrong, 9, "due", "soon")
			if len(jobs) != 3 {
				t.Errorf("%d jobs are claimed, want the three that are due", len(jobs))
			}
			now := databaseTime(t, wrong)
			for _, j := range jobs {
				between(t, "the lease", now.Add(time.Hour-time.Minute), j.LeaseUntil, now.Add(time.Hour))
			}
			finish(t, wrong, JobResult{JobAttempt: JobAttempt{ids[0], 1}, State: JobAvailable, Delay: time.Hour, Error: "later"})
			between(t, "the retry", now.Add(time.Hour-time.Minute), readJob(t, wrong, ids[0]).ScheduledAt, now.Add(time.Hour+time.Minute))
			if lost, err := wrong.ExtendJobs(t.Context(), time.Hour, JobAttempt{ids[1], 1}); err != nil || len(lost) != 0 {
				t.Error(lost, err)
			}
			if due, err := wrong.DueJobs(t.Context(), "soon"); err != nil || due["soon"] < 50*time.Minute || due["soon"] > time.Hour {
				t.Errorf("due in %v, %v", due, err)
			}
			if _, _, err := wrong.InsertPeriodicJob(t.Context(), Job{Kind: "cleaning"}, 24*time.Hour); err != nil {
				t.Error(err)
			}
			if deleted, err := wrong.ClearJobs(t.Context(), time.Hour); err != nil || deleted != 0 {
				t.Errorf("%d deleted, %v", deleted, err)
			}
		})
		if got := claim(t, right, 9, "due"); len(got) != 0 {
			t.Errorf("%d leases of the process with the wrong clock have ended", len(got))
		}
		if inserted, _, err := right.InsertPeriodicJob(t.Context(), Job{Kind: "cleaning"}, 24*time.Hour); err != nil || inserted {
			t.Errorf("the slot has another job: %v, %v", inserted, err)
		}
	})
}

func TestJobsOfAClosedStore(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		errs := make([]error, 10)
		_, errs[0] = s.InsertJobs(ctx, Job{Kind: "push", Args: []byte("topsecret")})
		_, _, errs[1] = s.InsertPeriodicJob(ctx, Job{Kind: "push"}, time.Hour)
		_, errs[2] = s.ClaimJobs(ctx, "w", time.Hour, map[string]int{"push": 1})
		_, errs[3] = s.ExtendJobs(ctx, time.Hour, JobAttempt{1, 1})
		_, errs[4] = s.FinishJobs(ctx, JobResult{JobAttempt: JobAttempt{1, 1}, State: JobCompleted})
		_, errs[5] = s.DueJobs(ctx, "push")
		_, errs[6] = s.Job(ctx, 1)
		_, errs[7] = s.Jobs(ctx, JobFilter{Limit: 1})
		_, errs[8] = s.CountJobs(ctx)
		_, errs[9] = s.ClearJobs(ctx, time.Hour)
		for i, err := range errs {
			if !errors.Is(err, ErrUnavailable) || strings.Contains(err.Error(), "topsecret") {
				t.Errorf("error %d: %v", i, err)
			}
		}
	})
}

// What runs all the time reads and writes no finished job: by the plan, which
// does not depend on how many there are.
func TestPlansOfJobs(t *testing.T) {
	s := open(t, sqliteConfig(t))
	list := func(f JobFilter) string {
		query, _ := listStatement(f)
		return query
	}
	for _, c := range []struct {
		name, query string
		want        []string
	}{
		{"claim", s.claimStatement(2), []string{"SEARCH jobs USING INTEGER PRIMARY KEY (rowid=?)", "SEARCH jobs USING COVERING INDEX jobs_due (kind=? AND due_at<?)"}},
		{"insert a unique key again", unfinishedJob, []string{"SEARCH jobs USING COVERING INDEX jobs_unique (unique_key=?)"}},
		{"finish", s.changeStatement(3), []string{"SEARCH jobs USING INTEGER PRIMARY KEY (rowid=?)"}},
		{"due", s.dueStatement(2), []string{"SEARCH jobs USING COVERING INDEX jobs_due (kind=?)"}},
		{"count", s.countStatement(), []string{"SCAN jobs USING COVERING INDEX jobs_due", "SEARCH jobs USING COVERING INDEX jobs_failed (state>?)"}},
		{"discarded", list(JobFilter{State: JobDiscarded}), []string{"SEARCH jobs USING INDEX jobs_failed (state=?)"}},
		{"newest", list(JobFilter{Kind: "push"}), []string{"SCAN jobs"}}, // backwards, until there are enough
	} {
		plan := explain(t, s, c.query)
		var jobs []string
		for _, line := range plan {
			if strings.Contains(line, " jobs") && !slices.Contains(jobs, line) {
				jobs = append(jobs, line)
			}
			if strings.Contains(line, "TEMP B-TREE FOR") && strings.Contains(line, "ORDER BY") {
				t.Errorf("%s sorts:\n%s", c.name, strings.Join(plan, "\n"))
			}
		}
		if diff := cmp.Diff(c.want, jobs); diff != "" {
			t.Errorf("%s:\n%s\n%s", c.name, diff, strings.Join(plan, "\n"))
		}
	}
}

func explain(t *testing.T, s *Store, query string) (plan []string) {
	t.Helper()
	rows, err := s.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, make([]any, 20)...) // more parameters than any has
	if err != nil {
		t.Fatalf("%v\n%s", err, query)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, detail)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan
}
