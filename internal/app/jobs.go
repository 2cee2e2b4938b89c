package app

import (
	"context"
	"errors"
	"time"

	"github.com/wenzihq/wenzi/internal/jobs"
	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/internal/turn"
)

// The kinds of the jobs beside those of turn.
const (
	clearKind  = "clear"
	tokensKind = "refresh tokens"
)

const (
	clearEvery = time.Hour
	clearLimit = 50 * time.Minute
	keepJobs   = 7 * 24 * time.Hour // finished ones

	// In a token's last five minutes the platform hands out the next one
	// (reference api-rules §2).
	tokensEvery = 2 * time.Minute

	pushLimit = time.Minute
	// jobsLease is how long the pushes of a process that died wait for another.
	jobsLease = 10 * time.Second
	// jobsDrain is how long a stop waits for what runs: a successor waits for
	// the stop, and pushes take less.
	jobsDrain = 1500 * time.Millisecond
)

// newJobs makes the runner of the background jobs.
func (s *server) newJobs() *jobs.Runner {
	r := jobs.New(jobs.Config{Store: s.store, Log: s.log, Lease: jobsLease, Drain: jobsDrain})
	r.Register(turn.PushKind, func(ctx context.Context, j store.Job) error {
		return s.engine.Push(ctx, j.Args, j.Failures+1 >= j.MaxAttempts)
	}, jobs.Options{Timeout: pushLimit})
	r.Register(clearKind, func(ctx context.Context, _ store.Job) error { return s.clear(ctx) },
		jobs.Options{Timeout: clearLimit, MaxAttempts: 3})
	r.Register(tokensKind, func(ctx context.Context, _ store.Job) error {
		return s.pushers.refresh(ctx, s.accounts.Accounts())
	}, jobs.Options{Timeout: tokensEvery, MaxAttempts: 3})
	r.Periodic(clearKind, clearEvery, nil)
	r.Periodic(tokensKind, tokensEvery, nil)
	return r
}

// clear deletes what is older than it is to be kept.
func (s *server) clear(ctx context.Context) error {
	now, err := s.store.Now(ctx)
	if err != nil {
		return err
	}
	n, err := s.store.ClearTurns(ctx, now.Add(-s.Keep), now.Add(-s.GuestKeep))
	if n > 0 {
		s.log.Info("old turns are cleared", "turns", n)
	}
	_, jobsErr := s.store.ClearJobs(ctx, keepJobs)
	return errors.Join(err, jobsErr)
}
