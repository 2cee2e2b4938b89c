package turn

import (
	"context"
	"sync"
	"time"
)

// Bounds of what is held in memory while the store is unavailable.
const (
	backlogTurns = 20_000
	backlogBytes = 32 << 20
	retryEvery   = time.Second
	retryAtOnce  = 256
)

// backlog holds turns that were answered while the store was unavailable.
type backlog struct {
	mu    sync.Mutex
	turns []*turn
	bytes int
	added chan struct{} // wakes Run
}

func (b *backlog) init() { b.added = make(chan struct{}, 1) }

func (b *backlog) empty() bool { return b.len() == 0 }

func (b *backlog) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.turns)
}

func (t *turn) size() int { return len(t.record.Message) + len(t.record.Reply) + len(t.key) + 500 }

func (b *backlog) add(t *turn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.turns) >= backlogTurns || b.bytes+t.size() > backlogBytes {
		return false
	}
	b.turns = append(b.turns, t)
	b.bytes += t.size()
	select {
	case b.added <- struct{}{}:
	default:
	}
	return true
}

func (b *backlog) first(n int) []*turn {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]*turn(nil), b.turns[:min(n, len(b.turns))]...)
}

// drop removes the first n.
func (b *backlog) drop(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.turns[:n] {
		b.bytes -= t.size()
	}
	b.turns = append([]*turn(nil), b.turns[n:]...)
}

// Held returns how many answered turns wait in memory for the store. Above 0
// the process is not ready: they are lost if it dies.
func (e *Engine) Held() int { return e.backlog.len() }

// Run records what is held as soon as the store is back. When ctx ends it
// tries a last time and returns how many turns are lost.
func (e *Engine) Run(ctx context.Context) (lost int) {
	retry := time.NewTicker(retryEvery)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			e.flush(context.WithoutCancel(ctx))
			return e.backlog.len()
		case <-e.backlog.added:
		case <-retry.C:
			if e.backlog.empty() {
				continue
			}
		}
		select { // one look a second while the store is away
		case <-ctx.Done():
			continue
		case <-retry.C:
			e.flush(ctx)
		}
	}
}

// flush records held turns in the order they came, until one fails.
func (e *Engine) flush(ctx context.Context) {
	for {
		batch := e.backlog.first(retryAtOnce)
		if len(batch) == 0 {
			return
		}
		// The first alone finds out whether the store is back; then the others
		// share commits.
		if _, err := e.commit(ctx, batch[0], batch[0].record); err != nil {
			e.log.Warn("the store is still unavailable", "turns_in_memory", e.backlog.len(), "error", err)
			return
		}
		errs := make([]error, len(batch))
		var wg sync.WaitGroup
		for i, t := range batch[1:] {
			wg.Go(func() { _, errs[i+1] = e.commit(ctx, t, t.record) })
		}
		wg.Wait()
		done := 0
		for done < len(batch) && errs[done] == nil {
			e.leave(batch[done])
			done++
		}
		e.backlog.drop(done)
		if done < len(batch) {
			return
		}
		if e.backlog.empty() {
			e.log.Info("the store is back; everything held in memory is recorded")
		}
	}
}
