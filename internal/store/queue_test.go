package store

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func newQueue(batchRows int) *queue {
	q := &queue{}
	q.init(batchRows)
	return q
}

func add(q *queue, n int) {
	for range n {
		q.add(&request{})
	}
}

func TestQueueTakesALoneMessageAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(256)
		for range minPatience {
			time.AfterFunc(time.Second, func() { add(q, 1) })
			start := time.Now()
			if n := len(q.take()); n != 1 || time.Since(start) != time.Second {
				t.Errorf("%d requests, after %v", n, time.Since(start))
			}
		}
		// Now it tries whether a second one comes, and waits one pause.
		start := time.Now()
		add(q, 1)
		if n := len(q.take()); n != 1 || time.Since(start) != pause {
			t.Errorf("%d requests, after %v", n, time.Since(start))
		}
	})
}

func TestQueueWaitsForCompany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(256)
		add(q, 5)
		q.take()
		// The five come back one after the other.
		for range 5 {
			time.AfterFunc(pause/2, func() { add(q, 1) })
		}
		if n := len(q.take()); n != 5 {
			t.Errorf("took %d of 5", n)
		}
		// One of them does not: the wait ends with the first pause without one.
		start := time.Now()
		time.AfterFunc(pause/2, func() { add(q, 4) })
		if n := len(q.take()); n != 4 || time.Since(start) != pause/2+pause {
			t.Errorf("took %d, after %v", n, time.Since(start))
		}
	})
}

// Of 16 callers, 8 have come during the commit for the other 8: all wait for
// each other, since one commit for 16 costs less than two for 8.
func TestQueueJoinsParties(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(256)
		add(q, 8)
		q.take()
		add(q, 8)
		for i := range 8 {
			time.AfterFunc(time.Duration(i+1)*pause/10, func() { add(q, 1) })
		}
		start := time.Now()
		if n := len(q.take()); n != 16 || time.Since(start) != 8*pause/10 {
			t.Errorf("took %d, after %v", n, time.Since(start))
		}
	})
}

func TestQueueDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(256)
		add(q, 100)
		q.take()
		stop := make(chan struct{})
		go func() { // somebody comes all the time
			for {
				select {
				case <-stop:
					return
				case <-time.After(pause / 3):
					add(q, 1)
				}
			}
		}()
		time.Sleep(pause)
		start := time.Now()
		q.take()
		if d := time.Since(start); d > maxPauses*pause {
			t.Errorf("waited %v", d)
		}
		close(stop)
	})
}

// Callers that would always come back together are found out.
func TestQueueLearns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(256)
		add(q, 1)
		var last int
		for range 30 {
			last = len(q.take())
			for i := range 64 {
				if q.len() < 64 {
					time.AfterFunc(time.Duration(i)*pause/100, func() {
						if q.len() < 64 {
							add(q, 1)
						}
					})
				}
			}
		}
		if last != 64 {
			t.Errorf("batches of %d, want 64", last)
		}
	})
}

func TestQueueCutsBatches(t *testing.T) {
	q := newQueue(4)
	big := &request{turn: Turn{Message: make([]byte, maxBytes)}}
	tx := &request{tx: func(context.Context, *sql.Conn) error { return nil }}
	change := &request{changes: []update{{answer: []any{"a text", nil, 1}}}}
	bigChange := &request{changes: []update{{}, {turn: []any{strings.Repeat("t", maxBytes/2), make([]byte, maxBytes/2)}}}}
	for _, r := range []*request{{}, change, {}, change, change, big, {}, bigChange, {}} {
		q.add(r)
	}
	q.add(tx)
	q.add(tx)
	q.add(&request{})
	q.close()
	var got []int
	for {
		batch := q.take()
		if batch == nil {
			break
		}
		got = append(got, len(batch))
	}
	// By rows, by bytes, and each other transaction alone.
	if diff := cmp.Diff([]int{4, 2, 2, 1, 1, 1, 1}, got); diff != "" {
		t.Error(diff)
	}
	if q.add(&request{}) {
		t.Error("a closed queue takes requests")
	}
}
