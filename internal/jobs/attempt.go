package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
)

// Why the context of a worker ends, apart from its timeout.
var (
	errStopping  = errors.New("程序正在停止（the server stops）")
	errLeaseLost = errors.New("任务的租约丢失了（the lease on the job is lost）")
)

// running is a job that a worker is at.
type running struct {
	job    store.Job
	kind   *kind
	ctx    context.Context
	cancel context.CancelCauseFunc
	free   context.CancelFunc // what the timeout holds
	lease  *time.Timer        // ends ctx, unless it is reset in time
}

// end says that a worker has returned.
type end struct {
	*running
	err error
}

func (r *running) attempt() store.JobAttempt {
	return store.JobAttempt{ID: r.job.ID, Attempt: r.job.Attempt}
}

func (r *running) maxAttempts() int { return cmp.Or(r.job.MaxAttempts, r.kind.MaxAttempts) }

// start lets a worker do a job that is ours until then.
func (l *loop) start(j store.Job, until time.Time) {
	r := &running{job: j, kind: l.kinds[j.Kind]}
	if j.Failures >= r.maxAttempts() { // the process that ran it did not live to say so
		l.config.Log.Error("a job is discarded: its process was interrupted", "kind", j.Kind, "id", j.ID, "attempt", j.Attempt, "failures", j.Failures)
		l.results = append(l.results, store.JobResult{JobAttempt: r.attempt(), State: store.JobDiscarded})
		return
	}
	ctx, cancel := context.WithCancelCause(l.work)
	tooLong := fmt.Errorf("%v 内没有做完（not done in this time）", r.kind.Timeout)
	r.ctx, r.free = context.WithTimeoutCause(ctx, r.kind.Timeout, tooLong)
	r.cancel = cancel
	r.lease = time.AfterFunc(time.Until(until), func() { cancel(errLeaseLost) })
	l.running[r] = struct{}{}
	go func() {
		err := errors.New("程序出错，请报告（the worker ended its goroutine）")
		defer func() {
			if p := recover(); p != nil {
				l.config.Log.Error("the worker of a job panicked", "kind", j.Kind, "id", j.ID, "panic_type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
				err = fmt.Errorf("程序出错，请报告（the worker panicked: %T）", p)
			}
			l.ended <- end{r, err}
		}()
		err = r.kind.work(r.ctx, j)
	}()
}

// end notes the result of a job that has ended.
func (l *loop) end(e end) {
	if _, ok := l.running[e.running]; !ok {
		return // given back at a stop, and now it has returned all the same
	}
	delete(l.running, e.running)
	result := e.result(e.err)
	e.lease.Stop()
	e.cancel(nil)
	e.free()
	l.results = append(l.results, result)
	log := l.config.Log.With("kind", e.job.Kind, "id", e.job.ID, "attempt", e.job.Attempt)
	switch {
	case result.State == store.JobDiscarded:
		log.Error("a job has failed for good and is discarded", "error", result.Error)
	case result.State == store.JobCancelled:
		log.Info("a job is cancelled", "reason", result.Error)
	case result.Error != "":
		log.Warn("a job has failed and runs again", "error", result.Error, "after", result.Delay)
	}
}

// result says what becomes of the job after its worker has returned err.
func (r *running) result(err error) store.JobResult {
	result := store.JobResult{JobAttempt: r.attempt(), State: store.JobCompleted}
	if err == nil {
		return result
	}
	cause := context.Cause(r.ctx)
	if o, ok := errors.AsType[*outcome](err); ok {
		result.State, result.Delay = o.state, o.delay
		if o.err != nil {
			result.Error = sentence(err)
		}
	} else if result.State = store.JobAvailable; !errors.Is(cause, errStopping) && !errors.Is(cause, errLeaseLost) { // no fault of the job's
		if cause != nil {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		result.Error, result.Delay = sentence(err), r.kind.Backoff(r.job.Failures+1)
	}
	if result.State == store.JobAvailable && result.Error != "" && r.job.Failures+1 >= r.maxAttempts() {
		result.State = store.JobDiscarded
	}
	return result
}
