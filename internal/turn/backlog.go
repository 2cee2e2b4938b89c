package turn

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Bounds of what is held in memory while the store is unavailable.
const (
	backlogTurns = 20_000
	backlogBytes = 32 << 20
	lookEvery    = time.Second
	lookTimeout  = 3 * time.Second
	flushAtOnce  = 256
	choreLimit   = 30 * time.Second
)

// backlog holds turns that were answered while the store was unavailable, in
// the order they came.
type backlog struct {
	mu    sync.Mutex
	turns []*turn
	bytes int
}

// size is about what a held turn keeps in memory: the message twice, since the
// record's strings are parts of the delivery.
func (t *turn) size() int {
	return 2*(len(t.record.Message)+len(t.key.message)) + len(t.record.Reply) + len(t.record.Note) + 500
}

func (b *backlog) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.turns)
}

func (b *backlog) all() []*turn {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.turns)
}

// add reports false when the backlog is full.
func (b *backlog) add(t *turn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.turns) >= backlogTurns || b.bytes+t.size() > backlogBytes {
		return false
	}
	b.turns = append(b.turns, t)
	b.bytes += t.size()
	return true
}

func (b *backlog) remove(recorded map[*turn]bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turns = slices.DeleteFunc(b.turns, func(t *turn) bool {
		if recorded[t] {
			b.bytes -= t.size()
		}
		return recorded[t]
	})
}

// Held returns how many answered turns wait in memory for the store. Above 0
// the process is not ready: they are lost if it dies.
func (e *Engine) Held() int { return e.backlog.len() }

// Run does what has to be done now and then: it records what is held when an
// unavailable store is back, says that the process is alive, takes over the
// turns of those that are not, and ends the waiting of answers. When ctx ends
// it finishes everything and returns how many turns are lost.
func (e *Engine) Run(ctx context.Context) (lost int) {
	if !e.Alone {
		defer e.store.Subscribe(e.hear)()
		e.background(e.listen)
		e.background(func() { e.beats(ctx) })
	}
	look, expire := time.NewTicker(lookEvery), time.NewTicker(expireEvery)
	defer look.Stop()
	defer expire.Stop()
	for {
		select {
		case <-ctx.Done():
			end := context.WithoutCancel(ctx)
			e.finishAll(end)
			e.flush(end)
			return e.Held()
		case <-look.C:
			e.flush(ctx)
			if !e.Alone {
				e.chore(ctx, "look for turns to take over", e.sweep)
			}
		case <-expire.C:
			e.chore(ctx, "end the waiting of answers", e.expire)
			e.chore(ctx, "save answers whose push is lost", e.rescue)
			if !e.Alone {
				e.chore(ctx, "forget old signatures", e.store.ForgetSignatures)
			}
		}
	}
}

// beats says that the process is alive, whatever else it is at.
func (e *Engine) beats(ctx context.Context) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			e.chore(ctx, "say that this process is alive", e.beat)
		}
	}
}

// chore does something that has to be done now and then. It ends some time, even
// when the network swallows everything.
func (e *Engine) chore(ctx context.Context, what string, do func(context.Context) error) {
	limited, cancel := context.WithTimeout(ctx, choreLimit)
	defer cancel()
	if err := do(limited); err != nil && ctx.Err() == nil && !e.away.Load() {
		e.log.Warn("could not "+what, "error", err)
	}
}

// flush records what is held, if the store is back. What cannot be recorded
// although it is stays for the next time and holds up nobody else.
func (e *Engine) flush(ctx context.Context) {
	held, doubtful := e.backlog.all(), e.takeDoubtful()
	if len(held) == 0 && len(doubtful) == 0 && !e.away.Load() {
		return
	}
	if !e.storeIsBack(ctx) {
		e.doubtRecord(doubtful...)
		return
	}
	e.reclaim(ctx, doubtful) // what was queued before the store was looked at is decided
	recorded := 0
	for batch := range slices.Chunk(held, flushAtOnce) {
		failed := e.recordHeld(ctx, batch)
		recorded += len(batch) - len(failed)
		for _, t := range failed { // one that cannot be recorded fails all that share its commit
			if len(e.recordHeld(ctx, []*turn{t})) == 0 {
				recorded++
			} else if !e.storeIsBack(ctx) {
				return
			}
		}
	}
	if recorded > 0 {
		e.log.Info("turns held in memory are recorded", "recorded", recorded, "still_held", e.Held())
	}
}

// storeIsBack ends the time of answers from memory as soon as the store can be
// written.
func (e *Engine) storeIsBack(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	back := e.store.Check(ctx) == nil
	e.away.Store(!back)
	return back
}

// recordHeld records turns at the same time, so that they share commits, and
// returns those that it could not.
func (e *Engine) recordHeld(ctx context.Context, turns []*turn) (failed []*turn) {
	errs := make([]error, len(turns))
	var wg sync.WaitGroup
	for i, t := range turns {
		wg.Go(func() { _, errs[i] = e.commit(ctx, t) })
	}
	wg.Wait()
	recorded := make(map[*turn]bool, len(turns))
	for i, t := range turns {
		if errs[i] != nil {
			failed = append(failed, t)
			continue
		}
		recorded[t] = true
		e.leave(t)
	}
	e.backlog.remove(recorded)
	return failed
}
