package turn

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
)

// Stats counts what this process has put on record since it began.
type Stats struct {
	Turns  map[store.State]int64 // by the states they came to
	Rides  int64                 // deliveries left unanswered on purpose
	Pushes map[Outcome]int64
	// Models are what the answers have cost, by model.
	Models map[string]ModelStats
}

// ModelStats are what the answers of one model have cost.
type ModelStats struct{ Answers, Calls, PromptTokens, CompletionTokens int64 }

// Outcome is what has become of a push.
type Outcome string

// The outcomes of pushes. All but the first two are ends of a turn's pushes.
const (
	Sent       Outcome = "sent"    // a message
	PushFailed Outcome = "failed"  // an attempt that is made again
	LeftToWait Outcome = "mailbox" // what could not be pushed waits to be fetched
	Unknown    Outcome = "unknown" // likewise, because nobody knows whether it was
	NotReached Outcome = "gone"    // the follower has left
)

// Outcomes are all of them.
var Outcomes = []Outcome{Sent, PushFailed, LeftToWait, Unknown, NotReached}

// Names of steps that are counted.
const (
	stepRide       = "ride"
	stepPushed     = "push"
	stepPushFailed = "push failed"
)

// Stats returns what was counted until now.
func (e *Engine) Stats() Stats {
	c := &e.store.counts
	c.mu.Lock()
	defer c.mu.Unlock()
	return Stats{Turns: maps.Clone(c.now.Turns), Rides: c.now.Rides, Pushes: maps.Clone(c.now.Pushes), Models: maps.Clone(c.now.Models)}
}

// counted is a store that counts the turns that it is told of, and looks at the
// clock.
type counted struct {
	*store.Store
	counts counts
	pace   pace
}

type counts struct {
	mu  sync.Mutex
	now Stats
}

func newCounted(s *store.Store) *counted {
	return &counted{Store: s, counts: counts{now: Stats{Turns: map[store.State]int64{}, Pushes: map[Outcome]int64{}, Models: map[string]ModelStats{}}}}
}

// Record is [store.Store.Record].
func (c *counted) Record(ctx context.Context, t *store.Turn) (*store.Turn, bool, error) {
	stored, fresh, err := c.Store.Record(ctx, t)
	if err == nil && fresh {
		c.counts.mu.Lock()
		c.counts.now.Turns[t.State]++
		c.counts.mu.Unlock()
	}
	return stored, fresh, err
}

// Apply is [store.Store.Apply].
func (c *counted) Apply(ctx context.Context, changes ...store.Change) error {
	began := time.Now()
	err := c.Store.Apply(ctx, changes...)
	c.pace.took(time.Since(began), time.Now())
	if err == nil {
		c.counts.mu.Lock()
		for i := range changes {
			c.counts.now.add(&changes[i])
		}
		c.counts.mu.Unlock()
	}
	return err
}

func (s *Stats) add(ch *store.Change) {
	if ch.To != 0 {
		s.Turns[ch.To]++
	}
	for _, step := range ch.Steps {
		switch step.What {
		case stepRide:
			s.Rides++
		case stepPushed:
			s.Pushes[Sent]++
		case stepPushFailed:
			s.Pushes[PushFailed]++
		}
	}
	if slices.Equal(ch.From, []store.State{store.Promised}) {
		switch {
		case ch.To == store.Waiting && ch.Sending != nil && *ch.Sending == sendingPush:
			s.Pushes[Unknown]++
		case ch.To == store.Waiting:
			s.Pushes[LeftToWait]++
		case ch.To == store.Failed && ch.Note != "": // otherwise an apology was pushed
			s.Pushes[NotReached]++
		}
	}
	if u := ch.Usage; u != nil && u.Model != "" {
		m := s.Models[u.Model]
		m.Answers++
		m.Calls += int64(u.Calls)
		m.PromptTokens += int64(u.PromptTokens)
		m.CompletionTokens += int64(u.CompletionTokens)
		s.Models[u.Model] = m
	}
}
