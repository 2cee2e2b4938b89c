// Package jobs does in the background what may take minutes, or must be tried
// until it works. Its queue is a table of the store, shared by all processes of
// the database: a job that is committed there runs, whatever dies.
//
// A job runs at least once. It runs again when its process dies before the
// result is on record, and for a moment it may run twice when a process loses
// the database for longer than the lease. Workers must stand that.
package jobs

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
)

// Worker does a job of its kind. It must return soon after ctx ends, which is
// after the kind's timeout, when the server stops, or when the lease on the job
// is lost.
//
// nil completes the job. Snooze, RetryAt, Discard and Cancel say what else is
// to become of it. After any other error, or a panic, it runs again with
// growing delays until it has failed as often as it may, and is discarded. The
// text of the error goes to the database and to the log: it must hold neither
// secrets nor a follower's words.
type Worker func(ctx context.Context, job store.Job) error

// Options are those of a kind. Zero values mean the defaults named.
type Options struct {
	Concurrency int                              // most at a time in this process, default all that the runner runs
	Timeout     time.Duration                    // of one attempt, default 5 minutes
	MaxAttempts int                              // failures after which a job is discarded, default 12: more than an hour of trying
	Backoff     func(failures int) time.Duration // until the next attempt, default 2 s, 4 s, 8 s … 1 h, each up to a quarter less
}

// Config is what a Runner needs. Zero values mean the defaults named.
type Config struct {
	Store       *store.Store
	Log         *slog.Logger  // default slog.Default()
	Concurrency int           // most jobs at a time, default 16
	Poll        time.Duration // how often to look for what it did not hear of, default 5 s
	Lease       time.Duration // how long a dead process keeps its jobs, default 30 s
	Drain       time.Duration // how long running jobs may go on at a stop, default 10 s
}

// Runner runs the jobs of the kinds it knows. Those of other kinds it leaves to
// other processes.
type Runner struct {
	config   Config
	worker   string // names this process in the table
	kinds    map[string]*kind
	periodic []periodic
	wake     chan struct{}
}

type kind struct {
	Options
	work Worker
}

// periodic is a job of each slot.
type periodic struct {
	job      store.Job
	interval time.Duration
}

// New returns a runner without kinds.
func New(c Config) *Runner {
	c.Log = cmp.Or(c.Log, slog.Default())
	c.Concurrency = cmp.Or(c.Concurrency, 16)
	c.Poll = cmp.Or(c.Poll, 5*time.Second)
	c.Lease = cmp.Or(c.Lease, 30*time.Second)
	c.Drain = cmp.Or(c.Drain, 10*time.Second)
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return &Runner{
		config: c,
		worker: fmt.Sprintf("%s/%d/%s", host, os.Getpid(), rand.Text()[:8]), // in containers every process is number 1
		kinds:  map[string]*kind{},
		wake:   make(chan struct{}, 1),
	}
}

// Register says who does the jobs of a kind. All kinds are registered before
// Run. A kind that is empty or registered already is a mistake in the program,
// and panics.
func (r *Runner) Register(name string, w Worker, o Options) {
	if name == "" || r.kinds[name] != nil {
		panic(fmt.Sprintf("jobs: the kind %q is empty, or registered twice", name))
	}
	o.Concurrency = cmp.Or(o.Concurrency, r.config.Concurrency)
	o.Timeout = cmp.Or(o.Timeout, 5*time.Minute)
	o.MaxAttempts = cmp.Or(o.MaxAttempts, 12)
	if o.Backoff == nil {
		o.Backoff = backoff
	}
	r.kinds[name] = &kind{Options: o, work: w}
}

// Periodic lets a job of the kind run once in every slot: the multiples of the
// interval since 1970 in UTC, by the database's clock. However many processes
// say so, a slot has one job. The slot in which a process starts has one too,
// if none has run in it yet; of slots that nobody was there for only the last
// is made up for. A job that takes longer than the interval does not hold up
// the next.
func (r *Runner) Periodic(kind string, interval time.Duration, args []byte) {
	if interval <= 0 {
		panic(fmt.Sprintf("jobs: the interval of %q is %v", kind, interval))
	}
	r.periodic = append(r.periodic, periodic{store.Job{Kind: kind, Args: args}, interval})
}

// Wake makes the runner look for jobs now. It need not be called after inserting
// one into its store: the runner hears of it.
func (r *Runner) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}
