package oa

import (
	"context"
	"sync"
	"time"
)

// Times and bound of [Once].
const (
	onceWindow  = 15 * time.Second // the time line of a message's three deliveries
	onceWork    = 14 * time.Second // the third can be answered for half a second more
	onceEntries = 10_000
)

// Once returns middleware that joins the repeats of a delivery in memory: the
// handler runs once for a message, with 14 s instead of 4.5, and whichever
// delivery is open when it is done gets the reply; later ones get the same
// bytes again. Deliveries that pass without one are left unanswered. A handler
// that can take longer returns what it has when its context ends, for that still
// reaches the third delivery (reference §4.5).
//
// It remembers 10 000 messages of the last 15 s; a message that comes when there
// are more goes to the handler with every delivery. It forgets with the process. Use one Once for one [Server].
func Once() Middleware {
	o := &once{calls: map[string]*onceCall{}}
	return func(next Handler) Handler {
		return HandlerFunc(func(ctx context.Context, r *Request) (Reply, error) { return o.answer(ctx, r, next) })
	}
}

type once struct {
	mu    sync.Mutex
	calls map[string]*onceCall
	order []*onceCall // by arrival, for forgetting
}

type onceCall struct {
	key     string
	arrived time.Time
	done    chan struct{}
	reply   Reply
	err     error
}

// join returns the call of the key and whether it is new; nil when there are
// too many.
func (o *once) join(key string, now time.Time) (c *onceCall, fresh bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.order) > 0 && now.Sub(o.order[0].arrived) > onceWindow {
		delete(o.calls, o.order[0].key)
		o.order = o.order[1:]
	}
	if c = o.calls[key]; c != nil {
		return c, false
	}
	if len(o.order) >= onceEntries {
		return nil, true
	}
	c = &onceCall{key: key, arrived: now, done: make(chan struct{})}
	o.calls[key] = c
	o.order = append(o.order, c)
	return c, true
}

func (o *once) answer(ctx context.Context, r *Request, next Handler) (Reply, error) {
	c, fresh := o.join(r.Key(), r.Arrived)
	if c == nil {
		return next.Answer(ctx, r)
	}
	if !fresh {
		select {
		case <-c.done:
			return c.reply, c.err
		case <-ctx.Done():
			return Reply{}, ErrUnanswered
		}
	}
	c.err = errPanicked // unless the handler comes back
	defer close(c.done)
	work, cancel := context.WithDeadline(context.WithoutCancel(ctx), r.Arrived.Add(onceWork))
	defer cancel()
	reply, err := next.Answer(work, r)
	c.reply, c.err = Encoded(r.Encode(reply, time.Now())), err
	return c.reply, c.err
}
