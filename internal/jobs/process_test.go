package jobs

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
)

const (
	childLease = time.Second
	childSlot  = 100 * time.Millisecond
)

// child is a process of the tests below: this test binary, started again. It
// runs jobs until its standard input ends, and tells of each on a line.
func child(what, database string) {
	ctx, cancel := context.WithCancel(context.Background())
	s, err := store.Open(ctx, store.Config{Database: database})
	if err != nil {
		panic(err)
	}
	tell := func(j store.Job) {
		fmt.Fprintf(os.Stdout, "%d %d %d\n", j.ID, j.Attempt, j.Slot.UnixMilli()) // one write
	}
	r := New(Config{Store: s, Poll: 10 * time.Millisecond, Lease: 30 * time.Second})
	switch what {
	case "blocks":
		r.config.Lease = childLease
		r.Register("push", func(ctx context.Context, j store.Job) error { tell(j); select {} }, Options{})
	case "works":
		r.Register("push", func(_ context.Context, j store.Job) error { tell(j); return nil }, Options{})
	case "is killed":
		r.config.Lease = childLease
		r.Register("push", func(_ context.Context, j store.Job) error { tell(j); return nil }, Options{MaxAttempts: 1000})
	case "keeps time":
		r.Register("cleaning", func(_ context.Context, j store.Job) error { tell(j); return nil }, Options{})
		r.Periodic("cleaning", childSlot, nil)
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	r.Run(ctx)
	if err := s.Close(); err != nil {
		panic(err)
	}
}

// process is a child, seen from the test.
type process struct {
	*exec.Cmd
	stdin io.Closer
	runs  <-chan run // closed when the process has ended
}

// run is a line that a child has told.
type run struct {
	id, attempt, slot int64
}

func (f *fixture) process(what string) *process {
	f.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		f.t.Fatal(err)
	}
	cmd := exec.CommandContext(f.t.Context(), exe)
	cmd.Env = append(os.Environ(), "WENZI_TEST_CHILD="+what, "WENZI_TEST_DATABASE="+f.database, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = f.log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	runs := make(chan run, 10_000)
	go func() {
		defer close(runs)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			var r run
			if _, err := fmt.Sscan(lines.Text(), &r.id, &r.attempt, &r.slot); err != nil {
				f.t.Errorf("a child says %q: %v", lines.Text(), err)
			}
			runs <- r
		}
	}()
	return &process{cmd, stdin, runs}
}

// kill ends the process at once, as kill -9 does, and returns what it had told
// beyond what was received.
func (p *process) kill(t *testing.T) (runs []run) {
	t.Helper()
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for r := range p.runs {
		runs = append(runs, r)
	}
	if err := p.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Fatalf("the child ended by itself: %v", err)
	}
	return runs
}

// stop lets the process end by itself.
func (p *process) stop(t *testing.T) (runs []run) {
	t.Helper()
	p.stdin.Close()
	for r := range p.runs {
		runs = append(runs, r)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("the child ends with: %v", err)
	}
	return runs
}

// A job whose process is killed runs again, after its lease and not before.
func TestKill(t *testing.T) {
	onEngines(t, func(t *testing.T, f *fixture) {
		id := f.insert(store.Job{Kind: "push"})[0]
		p := f.process("blocks")
		if r := receive(t, "start", p.runs); r.id != id || r.attempt != 1 {
			t.Errorf("the first process runs %+v", r)
		}
		p.kill(t)
		killed := f.job(id)
		if killed.State != store.JobRunning || killed.Attempt != 1 {
			t.Errorf("after the kill: %+v", killed)
		}
		p = f.process("works")
		if r := receive(t, "the second attempt", p.runs); r.id != id || r.attempt != 2 {
			t.Errorf("the second process runs %+v", r)
		}
		j := f.await(id, store.JobCompleted)
		if j.Failures != 1 || j.AttemptedAt.Before(killed.LeaseUntil) || j.Worker == killed.Worker {
			t.Errorf("before %+v\nafter %+v", killed, j)
		}
		p.stop(t)
	})
}

// Three processes share two thousand jobs; each runs once.
func TestProcessesShareJobs(t *testing.T) {
	onEngines(t, func(t *testing.T, f *fixture) {
		const jobs = 2000
		for range jobs / 100 {
			f.insert(slices.Repeat([]store.Job{{Kind: "push"}}, 100)...)
		}
		ps := []*process{f.process("works"), f.process("works"), f.process("works")}
		f.until("the end", func() bool {
			counts, err := f.store.CountJobs(t.Context())
			return err == nil && len(counts) == 0
		})
		times := map[int64]int{}
		for _, p := range ps {
			runs := p.stop(t)
			t.Logf("one process ran %d jobs", len(runs))
			for _, r := range runs {
				times[r.id]++
				if r.attempt != 1 {
					t.Errorf("attempt %d of job %d", r.attempt, r.id)
				}
			}
		}
		for id, n := range times {
			if n != 1 {
				t.Errorf("job %d ran %d times", id, n)
			}
		}
		if len(times) != jobs {
			t.Errorf("%d jobs have run", len(times))
		}
	})
}

// Three processes with the same periodic job: each slot has one run, though the
// processes start and stop.
func TestProcessesSharePeriodic(t *testing.T) {
	onEngines(t, func(t *testing.T, f *fixture) {
		slots := map[int64]int{}
		note := func(runs ...run) {
			for _, r := range runs {
				slots[r.slot]++
			}
		}
		ps := []*process{f.process("keeps time"), f.process("keeps time"), f.process("keeps time")}
		for i := range 15 {
			select {
			case r := <-ps[0].runs:
				note(r)
			case r := <-ps[1].runs:
				note(r)
			case r := <-ps[2].runs:
				note(r)
			case <-time.After(patience):
				t.Fatal("nothing runs")
			}
			if i%5 == 4 {
				note(ps[i%3].stop(t)...)
				ps[i%3] = f.process("keeps time")
			}
		}
		for _, p := range ps {
			note(p.stop(t)...)
		}
		for slot, n := range slots {
			if n != 1 || slot%childSlot.Milliseconds() != 0 {
				t.Errorf("slot %d has %d runs", slot, n)
			}
		}
		jobs, err := f.store.Jobs(t.Context(), store.JobFilter{Kind: "cleaning", Limit: 1000})
		if err != nil || len(jobs) < len(slots) || len(slots) < 15 {
			t.Errorf("%d slots have run, %d have jobs, %v", len(slots), len(jobs), err)
		}
	})
}

// Processes are killed at any moment, and every job is completed all the same.
func TestKillUnderLoad(t *testing.T) {
	onEngines(t, func(t *testing.T, f *fixture) {
		const kills, jobs = 8, 75 // each time
		told := map[run]int{}
		note := func(runs ...run) {
			for _, r := range runs {
				told[run{id: r.id, attempt: r.attempt}]++
			}
		}
		for range kills {
			f.insert(slices.Repeat([]store.Job{{Kind: "push"}}, jobs)...)
			p := f.process("is killed")
			for range 1 + rand.IntN(jobs-1) {
				note(receive(t, "a run", p.runs))
			}
			note(p.kill(t)...)
		}
		p := f.process("is killed")
		f.until("the end", func() bool {
			counts, err := f.store.CountJobs(t.Context())
			return err == nil && len(counts) == 0
		})
		note(p.stop(t)...)
		all, err := f.store.Jobs(t.Context(), store.JobFilter{Limit: kills*jobs + 1})
		if err != nil || len(all) != kills*jobs {
			t.Fatalf("%d jobs, %v", len(all), err)
		}
		again := 0
		for _, j := range all {
			if j.State != store.JobCompleted || j.Failures != j.Attempt-1 {
				t.Errorf("at the end: %+v", j)
			}
			if told[run{id: j.ID, attempt: int64(j.Attempt)}] != 1 {
				t.Errorf("job %d was completed by attempt %d, which nobody has made", j.ID, j.Attempt)
			}
			again += j.Attempt - 1
		}
		for r, n := range told {
			if n != 1 {
				t.Errorf("attempt %d of job %d ran %d times", r.attempt, r.id, n)
			}
		}
		if log := f.log.String(); strings.Contains(log, "panic") {
			t.Error(log)
		}
		t.Logf("%d attempts were interrupted", again)
	})
}
