package turn

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/internal/answer"
	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/oa/sim"
)

// With the right to push: a free passive reply while there is time, else
// success, and the answer by customer-service message when it is ready.
func TestPush(t *testing.T) {
	for _, test := range []struct {
		takes  string
		bytes  string
		pushed int
		state  store.State
	}{
		{"4.2s", "20", 0, store.Answered},
		{"4.3s", "20", 1, store.Pushed},
		{"14.3s", "20", 1, store.Pushed},
		{"120s", "20", 1, store.Pushed},
		{"1s", "3000", 1, store.Pushed}, // the first page in the reply
		{"8s", "2049", 2, store.Pushed},
		{"8s", "20000", 5, store.Waiting}, // as many as WeChat allows
	} {
		t.Run(test.takes+" "+test.bytes, func(t *testing.T) {
			p := &pushes{right: true}
			slowTest(t, Config{}, p, func(t *testing.T, h *house) {
				u := h.wechat.Follower()
				question := "想 " + test.takes + " " + test.bytes
				s := u.Say(question)
				fate := s.Wait(t.Context())
				if want := map[bool]sim.Fate{true: sim.Replied, false: sim.Silent}[test.takes == "4.2s" || test.takes == "1s"]; fate != want {
					t.Errorf("fate %q, want %q", fate, want)
				}
				if n := len(s.Attempts()); n != 1 {
					t.Errorf("%d deliveries", n)
				}
				time.Sleep(3 * time.Minute)
				sent := p.messages()
				if len(sent) != test.pushed {
					t.Fatalf("pushed %q", sent)
				}
				if got := h.turn(0); got.State != test.state {
					t.Errorf("the turn is %v (%s)", got.State, got.Note)
				}
				_, want, _ := parseThought(question)
				read := strings.Join(answers(u), "") + strings.Join(sent, "")
				if i := strings.LastIndex(read, "\n\n（"); i >= 0 && test.state == store.Waiting {
					read = read[:i]
					if !strings.Contains(sent[len(sent)-1], "bizmsgmenu") {
						t.Errorf("the last page has no link: %q", sent[len(sent)-1])
					}
					if !strings.HasPrefix(squeeze(answer.Text(want)), squeeze(read)) {
						t.Errorf("the follower read %q", read)
					}
				} else if squeeze(read) != squeeze(answer.Text(want)) {
					t.Errorf("the follower read %q", read)
				}
				if n := h.runsOf(question); n != 1 {
					t.Errorf("the robot ran %d times", n)
				}
			})
		})
	}
}

// What cannot be pushed waits, and is offered on the next contact; what may
// have been sent is not sent again.
func TestPushFails(t *testing.T) {
	unknown := errors.New("the connection broke")
	for _, test := range []struct {
		name  string
		fail  []error
		sent  int
		state store.State
		offer string
	}{
		{"no right", []error{ErrNoRight}, 0, store.Waiting, "答好了"},
		{"no credit", []error{ErrNoCredit}, 0, store.Waiting, "答好了"},
		{"unknown", []error{ErrUnknown}, 1, store.Waiting, "没收到吗"},
		{"gone", []error{ErrGone}, 0, store.Failed, ""},
		{"busy for a moment", []error{unknown, unknown}, 1, store.Pushed, ""},
		{"busy for ever", slices.Repeat([]error{unknown}, 20), 0, store.Waiting, "答好了"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := &pushes{right: true, fail: test.fail}
			slowTest(t, Config{}, p, func(t *testing.T, h *house) {
				u := h.wechat.Follower()
				u.Say("想 8s").Wait(t.Context())
				time.Sleep(time.Minute)
				if got := h.turn(0); got.State != test.state || len(p.messages()) != test.sent {
					t.Errorf("the turn is %v (%s), sent %q", got.State, got.Note, p.messages())
				}
				p.lose()
				u.Say("在吗").Wait(t.Context())
				chat := u.Chat()
				last := chat[len(chat)-1]
				if !strings.HasPrefix(last.Text(), "你说：在吗") || strings.Contains(last.Text(), "〔") != (test.offer != "") || !strings.Contains(last.Text(), test.offer) {
					t.Errorf("the next reply is %q", last.Text())
				}
				if test.offer == "" {
					return
				}
				if taps := fetchAll(t, u); taps != 1 {
					t.Errorf("%d taps", taps)
				}
				all := answers(u)
				if _, want, _ := parseThought("想 8s"); all[len(all)-1] != want {
					t.Errorf("the answer is %q", all)
				}
				u.Say("还在吗").Wait(t.Context())
				if all := answers(u); all[len(all)-1] != "你说：还在吗" {
					t.Errorf("offered again: %q", all)
				}
				if got := h.turn(0).State; got != store.Fetched {
					t.Errorf("the turn is %v", got)
				}
			})
		})
	}
}

func TestTyping(t *testing.T) {
	p := &pushes{right: true}
	slowTest(t, Config{}, p, func(t *testing.T, h *house) {
		u := h.wechat.Follower()
		u.Say("想 60s").Wait(t.Context())
		time.Sleep(2 * time.Minute)
		if p.typed() != 2 { // at 4.25 and 18.25 s: later the platform would refuse
			t.Errorf("typing was set %d times", p.typed())
		}
	})
}

// The robot's failure is told once, politely, whatever the way.
func TestSorry(t *testing.T) {
	for _, takes := range []string{"1s", "8s", "60s"} {
		for _, right := range []bool{false, true} {
			t.Run(takes, func(t *testing.T) {
				p := &pushes{right: right}
				slowTest(t, Config{Budget: -1}, p, func(t *testing.T, h *house) {
					u := h.wechat.Follower()
					u.Say("想 " + takes + " 20 失败").Wait(t.Context())
					time.Sleep(2 * time.Minute)
					fetchAll(t, u)
					said := slices.Concat(answers(u), p.messages())
					if n := len(said); said[n-1] != "抱歉，想不出来。" {
						t.Errorf("the follower sees %q", said)
					}
					if strings.Count(strings.Join(said, ""), "抱歉") != 1 || slices.Contains(said, sim.FaultNotice) {
						t.Errorf("the follower sees %q", said)
					}
					got := h.turn(0)
					if got.Note != "the model is down" || got.State != store.Failed && got.State != store.Fetched {
						t.Errorf("the turn is %v, %q", got.State, got.Note)
					}
				})
			})
		}
	}
}

// An answer whose push is lost for good, since processes died over it, ends up in
// the mailbox.
func TestLostPush(t *testing.T) {
	p := &pushes{right: true}
	slowTest(t, Config{}, p, func(t *testing.T, h *house) {
		u := h.wechat.Follower()
		u.Say("想 8s 60").Wait(t.Context())
		time.Sleep(10 * time.Second)
		for _, table := range []string{"answers", "turns"} { // as if its job had been discarded
			h.exec(fmt.Sprintf("UPDATE %s SET state = %d", table, store.Promised))
		}
		h.exec("UPDATE answers SET shown = '', sending = 'push'")
		time.Sleep(pushLost - time.Minute)
		if got := h.turn(0).State; got != store.Promised {
			t.Errorf("it is %v too early", got)
		}
		time.Sleep(2 * expireEvery)
		if got := h.turn(0); got.State != store.Waiting {
			t.Errorf("it is %v", got.State)
		}
		u.Say("在吗").Wait(t.Context())
		if got := lastAnswer(u); !strings.Contains(got, "没收到吗") {
			t.Errorf("the follower sees %q", got)
		}
	})
}
