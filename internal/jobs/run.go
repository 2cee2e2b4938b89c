package jobs

import (
	"cmp"
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
)

// Times of the loop.
const (
	readTimeout = 3 * time.Second        // of a look into the table
	minPause    = 200 * time.Millisecond // between two tries while the store is unavailable
	maxPause    = 10 * time.Second
	contention  = 50 * time.Millisecond // until the next claim, when another process was faster
	lastGrace   = time.Second           // for workers to return after their context has ended at a stop
)

// loop is what Run knows. Only its goroutine uses it.
type loop struct {
	*Runner
	work    context.Context // of all workers
	stop    context.CancelCauseFunc
	running map[*running]struct{}
	ended   chan end
	results []store.JobResult // not yet in the store
	slots   []time.Time       // when to insert the next job of each periodic one

	failures int       // of the store, since it last worked
	pause    time.Time // until when to leave the store alone
}

func (r *Runner) newLoop(ctx context.Context) *loop {
	work, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	return &loop{
		Runner:  r,
		work:    work,
		stop:    stop,
		running: map[*running]struct{}{},
		ended:   make(chan end, r.config.Concurrency),
		slots:   make([]time.Time, len(r.periodic)),
	}
}

// Run runs jobs until ctx ends. Then it claims no more, lets those that run go
// on for a while, ends their contexts, and gives back what is not finished: its
// next attempt may begin at once elsewhere, and this one has not failed.
//
// While the store is unavailable, what runs goes on as long as its lease, and
// results are kept until they can be written.
func (r *Runner) Run(ctx context.Context) {
	l := r.newLoop(ctx)
	defer l.stop(nil)
	defer r.config.Store.Subscribe(func(e store.Event) {
		if e.Kind == store.Missed || e.Kind == store.JobsInserted && r.kinds[e.Job] != nil {
			r.Wake()
		}
	})()
	heartbeat := time.NewTicker(r.config.Lease / 3)
	defer heartbeat.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		wait := time.Until(l.pause)
		if wait <= 0 {
			var err error
			switch wait, err = l.step(ctx); {
			case err == nil:
				l.worked()
			case ctx.Err() == nil:
				wait = l.failed(err)
			}
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-r.wake:
		case e := <-l.ended:
			l.end(e)
		case <-heartbeat.C:
			l.extend(context.WithoutCancel(ctx))
		}
	}
	l.drain(context.WithoutCancel(ctx), heartbeat.C)
}

// step does what there is to do, and returns how long there will be nothing
// unless something happens.
func (l *loop) step(ctx context.Context) (wait time.Duration, err error) {
	if err := l.save(ctx); err != nil {
		return 0, err
	}
	wait, err = l.insertPeriodic(ctx)
	if err != nil {
		return 0, err
	}
	due, err := l.claim(ctx)
	return min(wait, due), err
}

// save writes the results of all jobs that have ended.
func (l *loop) save(ctx context.Context) error {
	for len(l.ended) > 0 {
		l.end(<-l.ended)
	}
	lost, err := l.config.Store.FinishJobs(ctx, l.results...)
	if err != nil {
		return err
	}
	for _, a := range lost {
		l.config.Log.Warn("the result of a job does not count: its lease was lost, or it is on record already", "id", a.ID, "attempt", a.Attempt)
	}
	l.results = l.results[:0]
	return nil
}

func (l *loop) insertPeriodic(ctx context.Context) (wait time.Duration, err error) {
	wait = l.config.Poll
	for i, p := range l.periodic {
		if time.Until(l.slots[i]) <= 0 {
			_, next, err := l.config.Store.InsertPeriodicJob(ctx, p.job, p.interval)
			if err != nil {
				return 0, err
			}
			l.slots[i] = time.Now().Add(next)
		}
		wait = min(wait, time.Until(l.slots[i]))
	}
	return wait, nil
}

// claim claims jobs and starts them, if any are due and there is room.
func (l *loop) claim(ctx context.Context) (wait time.Duration, err error) {
	var kinds []string
	count := l.count()
	for name, k := range l.kinds {
		if count[name] < k.Concurrency && len(l.running) < l.config.Concurrency {
			kinds = append(kinds, name)
		}
	}
	readCtx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	due, err := l.config.Store.DueJobs(readCtx, kinds...)
	if err != nil {
		return 0, err
	}
	limits := l.share(due, count)
	if len(limits) == 0 {
		wait = l.config.Poll
		for _, d := range due {
			wait = min(wait, d)
		}
		return wait, nil
	}
	before := time.Now()
	jobs, err := l.config.Store.ClaimJobs(ctx, l.worker, l.config.Lease, limits)
	if err != nil {
		return 0, err
	}
	for _, j := range jobs {
		l.start(j, before.Add(l.config.Lease))
	}
	if len(jobs) == 0 {
		return contention, nil
	}
	return 0, nil // there may be more
}

// count is how many of each kind run.
func (l *loop) count() map[string]int {
	count := map[string]int{}
	for r := range l.running {
		count[r.job.Kind]++
	}
	return count
}

// share divides the free places among the kinds of which jobs are due: one by
// one to the kind that has the fewest, and among those to the one that has
// waited longest. So ten thousand jobs of one kind do not hold up another.
func (l *loop) share(due map[string]time.Duration, count map[string]int) (limits map[string]int) {
	limits = map[string]int{}
	for range l.config.Concurrency - len(l.running) {
		var open []string
		for name, wait := range due {
			if wait <= 0 && count[name]+limits[name] < l.kinds[name].Concurrency {
				open = append(open, name)
			}
		}
		if len(open) == 0 {
			break
		}
		next := slices.MinFunc(open, func(a, b string) int {
			return cmp.Or(cmp.Compare(count[a]+limits[a], count[b]+limits[b]), cmp.Compare(due[a], due[b]))
		})
		limits[next]++
	}
	return limits
}

// extend makes the leases of what runs last longer. A worker whose context has
// ended loses its lease when it does not return.
func (l *loop) extend(ctx context.Context) {
	running := map[store.JobAttempt]*running{}
	for r := range l.running {
		if r.ctx.Err() == nil {
			running[r.attempt()] = r
		}
	}
	if len(running) == 0 {
		return
	}
	until := time.Now().Add(l.config.Lease)
	lost, err := l.config.Store.ExtendJobs(ctx, l.config.Lease, slices.Collect(maps.Keys(running))...)
	if err != nil {
		l.failed(err)
		return
	}
	for _, a := range lost {
		running[a].cancel(errLeaseLost)
		delete(running, a)
	}
	for _, r := range running {
		r.lease.Reset(time.Until(until))
	}
}

// failed returns how long to leave the store alone.
func (l *loop) failed(err error) (wait time.Duration) {
	if l.failures == 0 {
		l.config.Log.Error("the store is unavailable; jobs wait until it is back", "error", err)
	} else {
		l.config.Log.Debug("the store is still away", "error", err)
	}
	wait = min(minPause<<min(l.failures, 10), maxPause)
	wait -= rand.N(wait / 4)
	l.failures++
	l.pause = time.Now().Add(wait)
	return wait
}

func (l *loop) worked() {
	if l.failures > 0 {
		l.failures = 0
		l.config.Log.Info("the store is back; jobs go on")
	}
}

// drain ends what runs.
func (l *loop) drain(ctx context.Context, heartbeat <-chan time.Time) {
	grace := time.NewTimer(l.config.Drain)
	defer grace.Stop()
	for len(l.running) > 0 {
		select {
		case e := <-l.ended:
			l.end(e)
			_ = l.save(ctx) // again below
		case <-heartbeat:
			l.extend(ctx)
		case <-grace.C:
			if l.work.Err() == nil {
				l.stop(errStopping)
				grace.Reset(lastGrace)
				continue
			}
			for r := range l.running {
				l.config.Log.Error("the worker of a job does not return; another process takes the job", "kind", r.job.Kind, "id", r.job.ID, "attempt", r.job.Attempt)
				l.end(end{r, errStopping})
			}
		}
	}
	if err := l.save(ctx); err != nil {
		l.config.Log.Error("the store is unavailable; jobs run again after their leases though they have ended", "jobs", len(l.results), "error", err)
	}
}
