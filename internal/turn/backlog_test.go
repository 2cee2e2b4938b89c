package turn

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
)

// deliverAll brings messages at the same time.
func deliverAll(t *testing.T, s http.Handler, bodies []string) (replies []string) {
	t.Helper()
	replies = make([]string, len(bodies))
	var wg sync.WaitGroup
	for i, body := range bodies {
		wg.Go(func() { replies[i] = deliver(t, s, body) })
	}
	wg.Wait()
	return replies
}

// onRecord checks that just these answers are on the account's record.
func (f *fixture) onRecord(account int64, replies ...string) {
	f.t.Helper()
	want := map[string]bool{}
	for _, r := range replies {
		want[r] = true
	}
	turns := f.turns(account)
	for _, turn := range turns {
		if !want[string(turn.Reply)] {
			f.t.Errorf("on record, but nobody got it: %s", turn.Reply)
		}
	}
	if len(turns) != len(replies) || len(want) != len(replies) {
		f.t.Errorf("%d turns on record, %d different answers of %d were given", len(turns), len(want), len(replies))
	}
}

// outage checks the exception of promise 1: while the store cannot be written,
// answers go on, repeats get the same bytes, and all of it is on record when
// the store is back.
func outage(t *testing.T, f *fixture, breakIt, repair func()) {
	defer f.run()()
	robot := echoing()
	s := f.serve(1, robot)
	long := strings.Repeat("长", 600)
	before := deliverAll(t, s, []string{text("oA", 1, "一"+long), text("oA", 2, "二"+long)})

	breakIt()
	var bodies []string
	for i := range 40 {
		bodies = append(bodies, text(fmt.Sprint("o", i), 100+i, fmt.Sprint(i, long)))
	}
	begin := time.Now()
	replies := deliverAll(t, s, bodies)
	for i, reply := range replies {
		if want := fmt.Sprint(i, long); reply == unanswered || content(t, reply) != want {
			t.Fatalf("message %d gets %.300s", i, reply)
		}
	}
	if f.Held() != 40 {
		t.Errorf("%d turns are held", f.Held())
	}
	time.Sleep(5 * time.Second) // in which the engine finds that nothing has changed
	asked, now := robot.asked.Load(), time.Now()
	for i, reply := range deliverAll(t, s, bodies) {
		if reply != replies[i] {
			t.Errorf("the repeat of message %d gets %.300s", i, reply)
		}
	}
	if took := time.Since(now); robot.asked.Load() != asked || took != 0 {
		t.Errorf("repeats of what is held ask the robot %d times and take %v", robot.asked.Load()-asked, took)
	}
	// The answer to a message from before is not in memory, but the same.
	if reply := deliver(t, s, text("oA", 1, "一"+long)); reply != before[0] {
		t.Errorf("a repeat from before gets %s", reply)
	}
	if took := time.Since(begin); f.Held() != 41 || took > 10*time.Second {
		t.Errorf("%d turns are held, after %v", f.Held(), took)
	}

	repair()
	time.Sleep(2 * lookEvery)
	if f.Held() != 0 || f.bytes() != 0 || len(f.open) != 0 {
		t.Errorf("%d turns of %d bytes are held and %d are open after the repair", f.Held(), f.bytes(), len(f.open))
	}
	after := deliver(t, s, text("oA", 3, "三"))
	if f.Held() != 0 {
		t.Error("held, although the store is back")
	}
	f.onRecord(1, append(append(replies, before...), after)...)
	if log := f.log.String(); strings.Count(log, "answers go on from memory") != 1 || !strings.Contains(log, "still_held=0") {
		t.Errorf("log: %s", log)
	}
}

func (f *fixture) bytes() int {
	f.backlog.mu.Lock()
	defer f.backlog.mu.Unlock()
	return f.backlog.bytes
}

func TestDatabaseLocked(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture) {
		var unlock func()
		outage(t, f, func() { unlock = f.lock() }, func() { unlock() })
	})
}

// What the backlog cannot hold is left unanswered, without a byte; what was
// answered is not lost.
func TestBacklogIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture) {
		stop := f.run()
		s := f.serve(1, echoing())
		unlock := f.lock()
		padding := "<Padding>" + strings.Repeat("x", 60<<10) + "</Padding></xml>"
		var answered []string
		var refused string
		for i := range 1000 {
			body := strings.TrimSuffix(text("oA", i, fmt.Sprint(i)), "</xml>") + padding
			reply := deliver(t, s, body)
			if reply == unanswered {
				refused = body
				break
			}
			answered = append(answered, reply)
		}
		if refused == "" || f.bytes() > backlogBytes || f.bytes() < backlogBytes-200<<10 || f.Held() != len(answered) {
			t.Fatalf("%d answered, %d held in %d bytes", len(answered), f.Held(), f.bytes())
		}
		unlock()
		time.Sleep(2 * lookEvery)
		f.onRecord(1, answered...)
		if reply := deliver(t, s, refused); content(t, reply) != fmt.Sprint(len(answered)) { // as WeChat repeats it
			t.Errorf("the repeat gets %s", reply)
		}
		if lost := stop(); lost != 0 {
			t.Errorf("%d lost", lost)
		}
	})
}

func TestBacklogCountsTurns(t *testing.T) {
	var b backlog
	for i := range backlogTurns {
		if !b.add(&turn{}) {
			t.Fatalf("full with %d turns", i)
		}
	}
	if b.add(&turn{}) || b.len() != backlogTurns {
		t.Errorf("%d turns are held", b.len())
	}
}

// A turn that can never be recorded is kept and reported, but holds up nobody.
func TestTurnThatCannotBeRecorded(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture) {
		stop := f.run()
		s := f.serve(1, echoing())
		f.exec("CREATE TRIGGER poison BEFORE INSERT ON turns WHEN NEW.openid = 'oPoison' BEGIN SELECT RAISE(ABORT, 'never'); END")
		unlock := f.lock()
		bodies := []string{text("oPoison", 1, "毒")}
		for i := range 2 * flushAtOnce {
			bodies = append(bodies, text("oA", 100+i, fmt.Sprint(i)))
		}
		poison := deliver(t, s, bodies[0]) // the first in the backlog
		replies := deliverAll(t, s, bodies[1:])
		if content(t, poison) != "毒" || f.Held() != len(bodies) {
			t.Errorf("it gets %s; %d turns are held", poison, f.Held())
		}
		unlock()
		time.Sleep(10*lookEvery + lookEvery/2) // those of its commit are recorded one by one; now it is not being tried
		if f.Held() != 1 {
			t.Errorf("%d turns are held", f.Held())
		}
		f.onRecord(1, replies...)
		live := deliver(t, s, text("oB", 1, "在吗"))
		f.onRecord(1, append(replies, live)...)
		if again := deliver(t, s, bodies[0]); again != poison {
			t.Errorf("its repeat gets %s", again)
		}
		if lost := stop(); lost != 1 {
			t.Errorf("%d turns are reported lost, want 1", lost)
		}
	})
}

// An account without a number in the store, as a guest has whose row cannot be
// written: its turns wait, nobody else's.
func TestAccountWithoutID(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture) {
		stop := f.run()
		var id atomic.Int64
		unknown := f.server(Account{Key: "guest", Robot: echoing(), ID: func(context.Context) (int64, error) {
			if id.Load() == 0 {
				return 0, store.ErrUnavailable
			}
			return id.Load(), nil
		}})
		known := f.serve(1, echoing())
		first := deliver(t, unknown, text("oA", 1, "你好"))
		time.Sleep(2 * lookEvery)
		f.onRecord(1)
		other := deliver(t, known, text("oA", 1, "你好吗"))
		f.onRecord(1, other)
		if f.Held() != 1 {
			t.Errorf("%d turns are held", f.Held())
		}
		id.Store(2)
		time.Sleep(2 * lookEvery)
		f.onRecord(2, first)
		if lost := stop(); lost != 0 {
			t.Errorf("%d lost", lost)
		}
	})
}

// The end of the engine tries a last time, and says what is lost.
func TestStopWhileHeld(t *testing.T) {
	for _, back := range []bool{true, false} {
		t.Run(fmt.Sprintf("store back %v", back), func(t *testing.T) {
			bubble(t, func(t *testing.T, f *fixture) {
				stop := f.run()
				s := f.serve(1, echoing())
				unlock := f.lock()
				replies := []string{deliver(t, s, text("oA", 1, "一")), deliver(t, s, text("oA", 2, "二"))}
				if f.Held() != 2 {
					t.Fatalf("%d turns are held", f.Held())
				}
				if !back {
					if lost := stop(); lost != 2 {
						t.Errorf("%d turns are reported lost, want 2", lost)
					}
					return
				}
				unlock()
				if lost := stop(); lost != 0 {
					t.Errorf("%d turns are reported lost", lost)
				}
				f.onRecord(1, replies...)
			})
		})
	}
}

// Followers write, WeChat repeats, and the database is locked again and again:
// every answer that was given is on record in the end, once.
func TestOutagesUnderLoad(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture) {
		stop := f.run()
		robot := counting("")
		s := f.serve(1, robot)
		const followers, messages = 16, 30
		replies := make([]string, followers*messages)
		var wg sync.WaitGroup
		for i := range followers {
			wg.Go(func() {
				for j := range messages {
					body := text(fmt.Sprint("o", i), j+1, "你好")
					n := i*messages + j
					replies[n] = deliver(t, s, body)
					if j%3 == 0 {
						if again := deliver(t, s, body); again != replies[n] && !strings.Contains(again, "<Content>") {
							t.Errorf("a repeat gets %s", again)
						}
					}
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
		for range 2 {
			time.Sleep(500 * time.Millisecond)
			unlock := f.lock()
			time.Sleep(time.Second)
			unlock()
		}
		wg.Wait()
		time.Sleep(2 * lookEvery)
		if lost := stop(); lost != 0 {
			t.Errorf("%d lost", lost)
		}
		f.onRecord(1, replies...)
	})
}
