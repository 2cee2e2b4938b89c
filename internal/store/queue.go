package store

import (
	"context"
	"database/sql"
	"sync"
	"time"
)

const (
	maxQueued = 8192    // more than this wait only when the store is stuck
	maxBytes  = 1 << 20 // of messages and answers in one batch

	// How long a batch waits for company: until nobody came during one pause,
	// at most so many pauses.
	pause     = time.Millisecond
	maxPauses = 5

	minPatience = 8
	maxPatience = 256
)

// request is one thing to be written: a turn, changes of turns that belong
// together, or any other transaction.
type request struct {
	turn    Turn
	changes []update
	id      TurnID // of the turn, or the least of those to be changed
	tx      func(context.Context, *sql.Conn) error
	ctx     context.Context // of tx

	stored *Turn // of a repeat
	err    error
	done   chan struct{} // gets one value when the writer is through
	timer  *time.Timer   // of Record
}

// size is about how many bytes there are to be written.
func (r *request) size() int {
	n := len(r.turn.Message) + len(r.turn.Reply)
	for i := range r.changes {
		n += r.changes[i].size()
	}
	return n
}

// queue holds what waits for the writer.
//
// A writer that takes whatever is there commits batches of one, because the
// callers it has just served need a moment to come back. So it waits for as
// many as it has reason to expect: as many as last time, and those who queued
// up meanwhile. Now and then it tries for twice as many, again at once where it
// got them and less often where it did not. It stops waiting when nobody comes;
// a message alone expects nobody.
type queue struct {
	batchRows int
	wake      chan struct{}
	timer     *time.Timer

	mu      sync.Mutex
	waiting []*request
	want    int // wake the writer when so many wait; 0: it is not asleep
	closed  bool

	// Only the writer uses these.
	batch    []*request
	expect   int  // requests in the next batch
	trying   bool // expect is a try for more
	reached  int  // batches that got what they expected since the last try
	patience int  // such batches between two tries
}

func (q *queue) init(batchRows int) {
	q.batchRows = batchRows
	q.wake = make(chan struct{}, 1)
	q.timer = time.NewTimer(time.Hour)
	q.timer.Stop()
	q.patience = minPatience
}

// add queues r. It reports false if the store is closed or stuck.
func (q *queue) add(r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.waiting) >= maxQueued {
		return false
	}
	q.waiting = append(q.waiting, r)
	q.wakeWriter()
	return true
}

func (q *queue) close() (first bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	first = !q.closed
	q.closed = true
	q.wakeWriter()
	return first
}

func (q *queue) wakeWriter() {
	if q.want > 0 && (len(q.waiting) >= q.want || q.closed) {
		q.want = 0
		q.wake <- struct{}{}
	}
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// take waits for requests and returns either turns and changes, or one other
// transaction, and nothing when the queue is closed and empty. The slice is
// good until the next call.
func (q *queue) take() []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	expect := q.expect + len(q.waiting)
	expect = min(expect, q.batchRows)
	for len(q.waiting) == 0 {
		if q.closed {
			return nil
		}
		q.sleep(1, nil)
	}
	for range maxPauses {
		n := len(q.waiting)
		if n >= expect || q.closed {
			break
		}
		q.timer.Reset(pause)
		q.sleep(expect, q.timer.C)
		if len(q.waiting) == n {
			break
		}
	}
	q.timer.Stop()

	n, size := 0, 0
	for n < len(q.waiting) && n < q.batchRows && size < maxBytes {
		r := q.waiting[n]
		if r.tx != nil {
			break
		}
		size += r.size()
		n++
	}
	if n > 0 {
		q.learn(n, expect)
	} else {
		n = 1
	}
	clear(q.batch)
	q.batch = append(q.batch[:0], q.waiting[:n]...)
	rest := copy(q.waiting, q.waiting[n:])
	clear(q.waiting[rest:])
	q.waiting = q.waiting[:rest]
	return q.batch
}

// learn sets what to expect after a batch of n where expect were expected.
func (q *queue) learn(n, expect int) {
	q.expect = n
	switch {
	case n < expect:
		if q.trying {
			q.patience = min(2*q.patience, maxPatience)
			expect /= 2
		}
		q.expect = max(n, (n+expect)/2) // one miss may be chance
		q.trying, q.reached = false, 0
	case q.trying:
		q.expect, q.patience = 2*n, minPatience
	default:
		q.reached++
		if q.reached >= q.patience {
			q.expect, q.trying, q.reached = 2*n, true, 0
		}
	}
}

// sleep gives up the lock until want requests wait or the time is over.
func (q *queue) sleep(want int, timeout <-chan time.Time) {
	q.want = want
	q.mu.Unlock()
	select {
	case <-q.wake:
		q.mu.Lock()
	case <-timeout:
		q.mu.Lock()
		if q.want == 0 { // woken at the same moment
			<-q.wake
		}
	}
	q.want = 0
}
