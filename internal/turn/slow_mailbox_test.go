package turn

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

func lastAnswer(u *sim.Follower) string {
	all := answers(u)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}

// What fetches, and what does not (docs/slow-answers.md).
func TestFetch(t *testing.T) {
	for _, test := range []struct {
		say  string
		want string
	}{
		{"继续", "答7：开头。这是第 1 句，说得不长。"},
		{" 继续 ", "答7：开头。这是第 1 句，说得不长。"},
		{"1", "答7：开头。这是第 1 句，说得不长。"},
		{"2", "你说：2"},
		{"继续说", "你说：继续说"},
	} {
		t.Run(test.say, func(t *testing.T) {
			slowTest(t, Config{Budget: -1}, nil, func(t *testing.T, h *house) {
				u := h.wechat.Follower()
				u.Say("想 20s").Wait(t.Context())
				if !strings.HasPrefix(lastAnswer(u), textHolding) {
					t.Fatalf("the follower sees %q", answers(u))
				}
				time.Sleep(10 * time.Second)
				u.Say(test.say).Wait(t.Context())
				if got, _, _ := strings.Cut(lastAnswer(u), "\n\n〔"); !strings.HasPrefix(got, test.want[:9]) {
					t.Errorf("%q gets %q, want %q", test.say, got, test.want)
				}
			})
		})
	}
	// Without anything that waits, the words mean nothing.
	slowTest(t, Config{}, nil, func(t *testing.T, h *house) {
		u := h.wechat.Follower()
		u.Say("继续").Wait(t.Context())
		if got := lastAnswer(u); got != "你说：继续" {
			t.Errorf("the follower sees %q", got)
		}
		u.Tap(sim.Span{Say: "继续", MenuID: "123456789012345678"}).Wait(t.Context())
		if got := lastAnswer(u); got != textExpired {
			t.Errorf("an unknown token gets %q", got)
		}
		u.Tap(sim.Span{Say: "满意", MenuID: "101"}).Wait(t.Context())
		if got := lastAnswer(u); got != "你说：满意" {
			t.Errorf("the owner's own menu message gets %q", got)
		}
	})
}

// A new question while one waits is a turn of its own and takes nothing out of
// the mailbox.
func TestQuestionWhileOneWaits(t *testing.T) {
	slowTest(t, Config{Budget: -1}, nil, func(t *testing.T, h *house) {
		u := h.wechat.Follower()
		u.Say("想 20s").Wait(t.Context())
		time.Sleep(10 * time.Second)
		u.Say("想 2s 30").Wait(t.Context())
		if _, want, _ := parseThought("想 2s 30"); lastAnswer(u) != want+"\n\n"+fmt.Sprintf(textOffer, "想 20s", textSee) {
			t.Errorf("the second question gets %q", lastAnswer(u))
		}
		u.Say("继续").Wait(t.Context())
		if _, want, _ := parseThought("想 20s"); lastAnswer(u) != want {
			t.Errorf("the first question's answer is %q", lastAnswer(u))
		}
	})
}

// Several followers' mailboxes, and a stranger's token.
func TestMailboxIsTheFollowers(t *testing.T) {
	slowTest(t, Config{Budget: -1}, nil, func(t *testing.T, h *house) {
		a, b := h.wechat.Follower(), h.wechat.Follower()
		a.Say("想 20s").Wait(t.Context())
		time.Sleep(10 * time.Second)
		link := a.Chat()[1].Links()[0]
		b.Say("继续").Wait(t.Context())
		b.Tap(link).Wait(t.Context())
		if got := answers(b); !slices.Equal(got, []string{"你说：继续", textExpired}) {
			t.Errorf("a stranger sees %q", got)
		}
		a.Tap(link).Wait(t.Context())
		if _, want, _ := parseThought("想 20s"); lastAnswer(a) != want {
			t.Errorf("the follower sees %q", answers(a))
		}
		a.Tap(link).Wait(t.Context())
		if lastAnswer(a) != textAllShown {
			t.Errorf("a second tap gets %q", lastAnswer(a))
		}
	})
}

// Taps that come at the same time get different pages, or the same one twice,
// but no page is lost.
func TestDoubleTap(t *testing.T) {
	slowTest(t, Config{Budget: -1}, nil, func(t *testing.T, h *house) {
		u := h.wechat.Follower()
		u.Say("想 1s 9000").Wait(t.Context())
		link := u.Chat()[1].Links()[0]
		one, other := u.Tap(link), u.Tap(link)
		one.Wait(t.Context())
		other.Wait(t.Context())
		fetchAll(t, u)
		_, want, _ := parseThought("想 1s 9000")
		if got := pieces(u); got != squeeze(want) {
			t.Errorf("the follower read\n%s\nwant\n%s", got, squeeze(want))
		}
	})
}

func TestExpiry(t *testing.T) {
	slowTest(t, Config{Budget: -1, Keep: time.Hour}, nil, func(t *testing.T, h *house) {
		u := h.wechat.Follower()
		u.Say("想 20s").Wait(t.Context())
		link := u.Chat()[1].Links()[0]
		time.Sleep(2 * time.Hour)
		if got := h.turn(0).State; got != store.Expired {
			t.Fatalf("the turn is %v", got)
		}
		u.Tap(link).Wait(t.Context())
		if lastAnswer(u) != textExpired {
			t.Errorf("the follower sees %q", lastAnswer(u))
		}
		u.Say("在吗").Wait(t.Context())
		if lastAnswer(u) != "你说：在吗" {
			t.Errorf("told again: %q", lastAnswer(u))
		}

		u = h.wechat.Follower()
		u.Say("想 20s").Wait(t.Context())
		time.Sleep(2 * time.Hour)
		u.Say("在吗").Wait(t.Context())
		if want := "你说：在吗\n\n" + fmt.Sprintf(textLost, "想 20s"); lastAnswer(u) != want {
			t.Errorf("the follower sees %q, want %q", lastAnswer(u), want)
		}
		u.Say("在吗").Wait(t.Context())
		if lastAnswer(u) != "你说：在吗" {
			t.Errorf("told again: %q", lastAnswer(u))
		}
	})
}

func TestUnsubscribeForgets(t *testing.T) {
	slowTest(t, Config{Budget: -1}, nil, func(t *testing.T, h *house) {
		u := h.wechat.Follower()
		u.Say("想 20s").Wait(t.Context())
		time.Sleep(10 * time.Second)
		u.Unsubscribe().Wait(t.Context())
		time.Sleep(time.Second)
		if got, err := h.store.Conversation(t.Context(), 1, u.OpenID(), 10); err != nil || len(got) != 0 {
			t.Errorf("the conversation: %+v, %v", got, err)
		}
		u.Subscribe().Wait(t.Context())
		u.Say("继续").Wait(t.Context())
		if lastAnswer(u) != "你说：继续" {
			t.Errorf("the follower sees %q", lastAnswer(u))
		}
	})
}

// One follower's questions in order, those that wait and came together as one,
// and no more of them than can be taken.
func TestOrderOfQuestions(t *testing.T) {
	slowTest(t, Config{Budget: -1}, nil, func(t *testing.T, h *house) {
		u := h.wechat.Follower()
		first := u.Say("想 3s")
		time.Sleep(time.Second)
		second := u.Say("想 1s")
		time.Sleep(time.Second)
		third := u.Say("想 2s") // within 1.5 s of the second, which still waits
		for _, s := range []*sim.Sent{first, second, third} {
			s.Wait(t.Context())
		}
		if second.Fate() != sim.Silent {
			t.Errorf("the merged question: %s", second.Fate())
		}
		var got []string
		for _, x := range u.Chat() {
			if x.From == sim.FromAccount {
				got = append(got, x.Text())
			}
		}
		_, one, _ := parseThought("想 3s")
		_, two, _ := parseThought("想 1s\n想 2s")
		if !slices.Equal(got, []string{one, two}) {
			t.Errorf("the answers are %q", got)
		}
		if t2 := h.turn(1); t2.State != store.Acknowledged || !strings.HasPrefix(t2.Note, "merged into turn ") {
			t.Errorf("the merged turn is %v, %q", t2.State, t2.Note)
		}
	})
	slowTest(t, Config{Budget: -1}, nil, func(t *testing.T, h *house) {
		u := h.wechat.Follower()
		var all []*sim.Sent
		for range 6 {
			all = append(all, u.Say("想 8s"))
			time.Sleep(2 * time.Second)
		}
		for _, s := range all {
			s.Wait(t.Context())
		}
		busy := 0
		for _, said := range answers(u) {
			if said == textBusy {
				busy++
			}
			if said == sim.FaultNotice {
				t.Error("a fault notice")
			}
		}
		if busy == 0 {
			t.Errorf("nobody was told to wait: %q", answers(u))
		}
		for range 10 {
			if fetchAll(t, u) == 0 {
				u.Say("继续").Wait(t.Context())
			}
		}
		if n := len(h.turns(1)); n < 6 {
			t.Errorf("%d turns", n)
		}
		for _, x := range h.turns(1) {
			if !x.State.Ended() {
				t.Errorf("a turn is still %v", x.State)
			}
		}
	})
}

// The budget of deliberate time-outs, and the forecast, decide against riding.
func TestBudget(t *testing.T) {
	slowTest(t, Config{Budget: 3}, nil, func(t *testing.T, h *house) {
		var all []*sim.Sent
		for range 4 {
			all = append(all, h.wechat.Follower().Say("想 12s"))
		}
		deliveries := 0
		for _, s := range all {
			if s.Wait(t.Context()) != sim.Replied {
				t.Errorf("fate %s", s.Fate())
			}
			deliveries += len(s.Attempts())
		}
		if deliveries != 4+3 {
			t.Errorf("%d deliveries: the budget allows three time-outs", deliveries)
		}
		time.Sleep(5 * time.Minute)
		s := h.wechat.Follower().Say("想 8s")
		if s.Wait(t.Context()); len(s.Attempts()) != 2 {
			t.Errorf("after five minutes: %d deliveries", len(s.Attempts()))
		}
	})
}

// A guest has neither memory nor mailbox.
func TestGuest(t *testing.T) {
	slowTest(t, Config{Budget: -1}, nil, func(t *testing.T, h *house) {
		h.account.Guest = true
		u := h.wechat.Follower()
		u.Say("想 8s 3000").Wait(t.Context())
		if got := lastAnswer(u); len(got) > oa.MaxTextBytes || !strings.HasSuffix(got, "…") {
			t.Errorf("a long answer: %q", got)
		}
		u.Say("想 30s").Wait(t.Context())
		if lastAnswer(u) != textTooLate {
			t.Errorf("a slow answer: %q", lastAnswer(u))
		}
		time.Sleep(time.Minute)
		u.Say("继续").Wait(t.Context())
		if lastAnswer(u) != "你说：继续" {
			t.Errorf("the follower sees %q", lastAnswer(u))
		}
		if got, err := h.store.Conversation(t.Context(), 1, u.OpenID(), 10); err != nil || len(got) != 0 {
			t.Errorf("the conversation: %+v, %v", got, err)
		}
		for _, x := range h.turns(1) {
			if !x.State.Ended() {
				t.Errorf("a turn is %v", x.State)
			}
		}
	})
}

// All deliveries fail on the way: the answer waits and is offered.
func TestNoDeliveryLeft(t *testing.T) {
	slowTest(t, Config{Budget: -1}, nil, func(t *testing.T, h *house) {
		u := h.wechat.Follower()
		h.wechat.SetTrouble(sim.Trouble{Cut: 1})
		s := u.Say("想 3s")
		if s.Wait(t.Context()) != sim.FaultShown {
			t.Fatalf("fate %s", s.Fate())
		}
		h.wechat.SetTrouble(sim.Trouble{})
		time.Sleep(time.Minute)
		// The reply was handed out on the first delivery, and lost with it; this
		// process cannot know that. Its repeats got the same bytes.
		if n := len(s.Attempts()); n != 3 || h.runsOf("想 3s") != 1 {
			t.Errorf("%d deliveries, %d runs", n, h.runsOf("想 3s"))
		}
		h.wechat.SetTrouble(sim.Trouble{Unreachable: 0})
		synctest.Wait()
	})
	slowTest(t, Config{Budget: -1}, nil, func(t *testing.T, h *house) {
		u := h.wechat.Follower()
		set := h.wechat.Settings()
		set.Deliveries = 1 // WeChat gives up, though the house waits for two more
		h.wechat.SetSettings(set)
		s := u.Say("想 8s")
		if s.Wait(t.Context()) != sim.FaultShown {
			t.Fatalf("fate %s", s.Fate())
		}
		time.Sleep(time.Minute)
		if got := h.turn(0).State; got != store.Waiting {
			t.Errorf("the turn is %v", got)
		}
		u.Say("在吗").Wait(t.Context())
		if !strings.Contains(lastAnswer(u), "答好了") {
			t.Errorf("the next reply is %q", lastAnswer(u))
		}
		fetchAll(t, u)
		if _, want, _ := parseThought("想 8s"); lastAnswer(u) != want {
			t.Errorf("the answer is %q", lastAnswer(u))
		}
	})
}
