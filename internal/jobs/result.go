package jobs

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
)

// outcome is what a worker wants to become of its job, as an error.
type outcome struct {
	state store.JobState
	delay time.Duration
	err   error
}

func (o *outcome) Error() string {
	if o.err == nil {
		return "the job is to be " + o.state.String()
	}
	return o.err.Error()
}

func (o *outcome) Unwrap() error { return o.err }

// Snooze makes the job run again after d. It has not failed.
func Snooze(d time.Duration) error { return &outcome{store.JobAvailable, d, nil} }

// RetryAt makes the job run again at t, by the clock of this process. It has
// failed with err, and is discarded if that was once too often.
func RetryAt(t time.Time, err error) error {
	return &outcome{store.JobAvailable, time.Until(t), err}
}

// Discard gives the job up: it has failed for good.
func Discard(err error) error { return &outcome{store.JobDiscarded, 0, err} }

// Cancel ends a job that is not wanted any more. err says why.
func Cancel(err error) error { return &outcome{store.JobCancelled, 0, err} }

// backoff doubles from 2 s to 1 h. Each delay is up to a quarter shorter, so that
// jobs that failed together do not come back together.
func backoff(failures int) time.Duration {
	d := min(time.Second<<min(failures, 20), time.Hour)
	return d - rand.N(d/4)
}

const maxSentence = 500 // bytes of an error

// sentence is the error of a job as it is kept.
func sentence(err error) string {
	s := cmp.Or(err.Error(), fmt.Sprintf("%T", err))
	if len(s) > maxSentence {
		s = strings.ToValidUTF8(s[:maxSentence], "") + "…"
	}
	return s
}
