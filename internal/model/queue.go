package model

import (
	"container/list"
	"context"
	"errors"

	"github.com/wenzihq/wenzi/internal/bot"
)

// maxWaiting is how many requests may wait for one provider.
const maxWaiting = 20_000

var errFull = errors.New("too many requests are waiting")

// gateKey tells apart what providers limit: a key at an address.
type gateKey struct {
	address string
	key     bot.Secret
}

// gate lets so many requests through at a time.
type gate struct {
	running int
	waiting int
	queue   line
}

// waiter is a request that waits at a gate.
type waiter struct {
	limit    int // it goes when fewer are running
	line     *line
	place    *list.Element
	admitted chan struct{}
}

// line is a queue in which those who have a key take turns. The queue of a gate is
// a line of accounts, each of which is a line of followers, each of which is a line
// of waiters.
type line struct {
	key     string
	above   *line
	place   *list.Element // in above
	members list.List     // of *line, or at the bottom of *waiter; the next is in front
	byKey   map[string]*line
}

// enter waits until a request may go. Then [Pool.leave] must follow.
func (p *Pool) enter(ctx context.Context, key gateKey, limit int, account, follower string) error {
	p.mu.Lock()
	g := p.gates[key]
	if g == nil {
		g = new(gate)
		p.gates[key] = g
	}
	if g.waiting == 0 && g.running < limit {
		g.running++
		p.mu.Unlock()
		return nil
	}
	if g.waiting >= maxWaiting {
		p.mu.Unlock()
		return errFull
	}
	w := &waiter{limit: limit, admitted: make(chan struct{})}
	g.waiting++
	g.queue.push(w, account, follower)
	p.mu.Unlock()

	select {
	case <-w.admitted:
		return nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-w.admitted: // at the same moment
		g.running--
	default:
		w.leave()
		g.waiting--
	}
	p.admit(key, g)
	return ctx.Err()
}

// leave makes room for the next.
func (p *Pool) leave(key gateKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.gates[key]
	g.running--
	p.admit(key, g)
}

// admit lets through whose turn it is, and forgets a gate that nobody uses.
func (p *Pool) admit(key gateKey, g *gate) {
	for w := g.queue.first(); w != nil && g.running < w.limit; w = g.queue.first() {
		w.served()
		g.waiting--
		g.running++
		close(w.admitted)
	}
	if g.running+g.waiting == 0 {
		delete(p.gates, key)
	}
}

func (l *line) push(w *waiter, keys ...string) {
	for _, key := range keys {
		next := l.byKey[key]
		if next == nil {
			next = &line{key: key, above: l}
			next.place = l.members.PushBack(next)
			if l.byKey == nil {
				l.byKey = map[string]*line{}
			}
			l.byKey[key] = next
		}
		l = next
	}
	w.line, w.place = l, l.members.PushBack(w)
}

// first returns whose turn it is, or nil.
func (l *line) first() *waiter {
	for e := l.members.Front(); e != nil; e = l.members.Front() {
		if w, ok := e.Value.(*waiter); ok {
			return w
		}
		l = e.Value.(*line)
	}
	return nil
}

// leave takes the waiter out of its line, and lines without members out of theirs.
func (w *waiter) leave() {
	w.line.members.Remove(w.place)
	for l := w.line; l.above != nil && l.members.Len() == 0; l = l.above {
		l.above.members.Remove(l.place)
		delete(l.above.byKey, l.key)
	}
}

// served takes the waiter out, and lets the others come before its follower and its
// account have another turn.
func (w *waiter) served() {
	w.leave()
	for l := w.line; l.above != nil; l = l.above {
		l.above.members.MoveToBack(l.place) // nothing, if it has left
	}
}
