package model

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

var testGate = gateKey{address: "a"}

// entering makes requests that wait, one after the other, and returns whom they
// were let in as, in that order.
func entering(t *testing.T, p *Pool, limit int, who ...string) *[]string {
	t.Helper()
	var mu sync.Mutex
	in := new([]string)
	for _, w := range who {
		account, follower, _ := strings.Cut(w, "/")
		go func() {
			if err := p.enter(t.Context(), testGate, limit, account, follower); err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			*in = append(*in, w)
			mu.Unlock()
		}()
		synctest.Wait()
	}
	return in
}

// drain lets one after the other leave.
func drain(p *Pool, n int) {
	for range n {
		p.leave(testGate)
		synctest.Wait()
	}
}

func TestTurns(t *testing.T) {
	tests := []struct{ name, came, served string }{
		{"first come, first served", "a/x a/x a/x", "a/x a/x a/x"},
		{"accounts take turns", "a/1 a/2 a/3 a/4 b/1 c/1 b/2", "a/1 a/2 b/1 c/1 a/3 b/2 a/4"},
		{"followers take turns within an account", "a/1 a/1 a/1 a/2 a/3 a/2", "a/1 a/1 a/2 a/3 a/1 a/2"},
		{"followers do not make an account stronger", "a/1 a/2 a/3 a/4 b/1 b/1 b/1", "a/1 a/2 b/1 a/3 b/1 a/4 b/1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := New(nil)
				who := strings.Fields(test.came)
				in := entering(t, p, 1, who...)
				drain(p, len(who))
				if got := strings.Join(*in, " "); got != test.served {
					t.Errorf("came %s\n served %s\n want %s", test.came, got, test.served)
				}
				if len(p.gates) > 0 {
					t.Error("the gate is left")
				}
			})
		})
	}
}

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(nil)
		wide := entering(t, p, 3, "a/1", "a/2", "a/3", "a/4")
		if len(*wide) != 3 {
			t.Errorf("%d of 3 may go", len(*wide))
		}
		// Who allows fewer waits for fewer, and those behind wait for their turn.
		drain(p, 2)
		narrow := entering(t, p, 1, "b/1")
		behind := entering(t, p, 3, "c/1")
		drain(p, 1)
		if len(*wide) != 4 || len(*narrow)+len(*behind) != 0 {
			t.Errorf("%d, %d, %d", len(*wide), len(*narrow), len(*behind))
		}
		drain(p, 1)
		if len(*narrow) != 1 || len(*behind) != 1 {
			t.Errorf("%d, %d", len(*narrow), len(*behind))
		}
		if err := p.enter(t.Context(), gateKey{address: "a", key: "other"}, 1, "", ""); err != nil {
			t.Error("another key waits:", err)
		}
	})
}

func TestGivingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(nil)
		entering(t, p, 2, "a/1")
		ctx, cancel := context.WithCancel(t.Context())
		go p.enter(ctx, testGate, 1, "b", "1")
		synctest.Wait()
		behind := entering(t, p, 2, "c/1")
		cancel()
		synctest.Wait()
		if len(*behind) != 1 {
			t.Error("who stood behind one that gave up still waits")
		}
		drain(p, 2)

		for range 100 { // let in at the moment of giving up
			entering(t, p, 1, "a/1")
			ctx, cancel := context.WithCancel(t.Context())
			result := make(chan error, 1)
			go func() { result <- p.enter(ctx, testGate, 1, "b", "1") }()
			synctest.Wait()
			cancel()
			p.leave(testGate)
			if err := <-result; err == nil {
				p.leave(testGate)
			}
			if len(p.gates) > 0 {
				t.Fatal("the gate is left")
			}
		}
	})
}

func TestQueueIsFull(t *testing.T) {
	p := New(nil)
	if err := p.enter(t.Context(), testGate, 1, "a", "f"); err != nil {
		t.Fatal(err)
	}
	p.gates[testGate].waiting = maxWaiting
	if err := p.enter(t.Context(), testGate, 1, "a", "f"); !errors.Is(err, errFull) {
		t.Error(err)
	}
}

// Whatever comes, goes and gives up in whatever order: nobody is forgotten, and no
// more run than may.
func TestQueueLosesNobody(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.IntRange(0, 5), 1, 60).Draw(rt, "steps")
		synctest.Test(t, func(t *testing.T) {
			p := New(nil)
			const limit = 2
			var in, gaveUp atomic.Int64
			var cancels []context.CancelFunc
			came, left := 0, 0
			for i, step := range steps {
				switch running := int(in.Load()) - left; {
				case step < 3:
					ctx, cancel := context.WithCancel(t.Context())
					cancels = append(cancels, cancel)
					came++
					go func() {
						if err := p.enter(ctx, testGate, limit, fmt.Sprint("account", i%3), fmt.Sprint("follower", i%5)); err != nil {
							gaveUp.Add(1)
						} else {
							in.Add(1)
						}
					}()
				case step == 3 && running > 0:
					p.leave(testGate)
					left++
				case step == 4 && len(cancels) > 0:
					cancels[rand.IntN(len(cancels))]()
				case step == 5 && running > 0 && len(cancels) > 0: // both at once
					go cancels[rand.IntN(len(cancels))]()
					p.leave(testGate)
					left++
				}
				synctest.Wait()
				waiting := came - int(in.Load()) - int(gaveUp.Load())
				if running := int(in.Load()) - left; running > limit || running < limit && waiting > 0 {
					t.Fatalf("%d run and %d wait after %v", running, waiting, steps[:i+1])
				}
			}
			for _, cancel := range cancels {
				cancel()
			}
			synctest.Wait()
			drain(p, int(in.Load())-left)
			if len(p.gates) > 0 {
				t.Errorf("the gate is left after %v", steps)
			}
		})
	})
}

func TestAskQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProvider(t, func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(10 * time.Second):
				says("好")(w, r)
			case <-r.Context().Done():
			}
		})
		m := modelAt("one", "two")
		m.Endpoints[0].Concurrency = 1
		tests := []struct {
			name          string
			patience      time.Duration
			kind          Kind
			queued, total time.Duration
			attempts      int
		}{
			{"at once", 15 * time.Second, "", 0, 10 * time.Second, 1},
			{"the queue leaves too little", 15 * time.Second, Unavailable, 9 * time.Second, 15 * time.Second, 1},
			{"the queue leaves nothing", 7 * time.Second, Busy, 7 * time.Second, 7 * time.Second, 0},
		}
		var wg sync.WaitGroup
		for i, test := range tests {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Second)
				ctx, cancel := context.WithTimeout(t.Context(), test.patience)
				defer cancel()
				r, _, err := p.ask(ctx, m)
				failed, ok := errors.AsType[*Error](err)
				if ok != (test.kind != "") || ok && (failed.Kind != test.kind || !errors.Is(err, context.DeadlineExceeded)) {
					t.Errorf("%s: %v", test.name, err)
				}
				if r.Queued != test.queued || r.Total != test.total || r.Attempts != test.attempts {
					t.Errorf("%s: %+v", test.name, r)
				}
			})
		}
		wg.Wait()
		if got := p.hosts(); got != "one one" {
			t.Errorf("asked %s", got)
		}
	})
}
