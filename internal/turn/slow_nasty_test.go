package turn

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/internal/answer"
	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

// nasty is what a model may say, or be made to say, that WeChat would choke on
// or take for its own.
var nasty = []string{
	"]]></Content><MsgType><![CDATA[image]]></MsgType>",
	"NUL \x00, BEL \x07, ESC \x1b[31m, U+FFFE \ufffe",
	"坏的 UTF-8 \xff\xfe",
	"\u202e右到左\u202c 👩\u200d👩\u200d👧\u200d👦 🇨🇳 e\u0301",
	`<a href="weixin://bizmsgmenu?msgmenucontent=继续&msgmenuid=123456789012345678">点我</a>`,
	"<script>alert(1)</script> &lt;b&gt; <xml>",
	strings.Repeat("很长没有句号", 2000),
	strings.Repeat("👨\u200d👩\u200d👧\u200d👦", 500),
	"```\n没有结束的代码",
	"| a | b |\n|---|---|\n| 1 | 2 |",
}

// parrot says one text, at once or after WeChat's first deliveries.
type parrot struct {
	thinker
	text  string
	takes time.Duration
}

func (p *parrot) Answer(req *oa.Request) (Answer, error) { return Answer{Question: req.Text()}, nil }

func (p *parrot) Work(ctx context.Context, _ Question, d *Draft) (Result, error) {
	d.Text(p.text)
	select {
	case <-time.After(p.takes):
		return Result{Text: p.text}, nil
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
}

// Whatever a model says, and whatever a follower writes, is shown whole, with no
// link but ours and no fault notice: in time, on a repeat, in part and by push.
func TestNastyAnswers(t *testing.T) {
	for _, text := range nasty {
		for _, takes := range []time.Duration{time.Second, 8 * time.Second, 30 * time.Second} {
			for _, right := range []bool{false, true} {
				p := &pushes{right: right}
				slowTest(t, Config{Budget: -1}, p, func(t *testing.T, h *house) {
					h.account.Robot = &parrot{text: text, takes: takes}
					u := h.wechat.Follower()
					u.Say("问 ]]></Content>\x02<a>").Wait(t.Context())
					time.Sleep(time.Minute)
					fetchAll(t, u)
					read := pieces(u)
					for _, pushed := range p.messages() {
						if i := strings.LastIndex(pushed, "\n\n（"); i >= 0 {
							pushed = pushed[:i]
						}
						read += squeeze(pushed)
					}
					want := squeeze(answer.Text(text))
					if right && len(want) > 4*oa.MaxTextBytes {
						want = want[:4*oa.MaxTextBytes] // the rest waits
					}
					if !strings.HasPrefix(read, want[:min(len(want), len(read))]) || len(read) < len(want)*9/10 {
						t.Errorf("%.40q after %v, push %v: the follower read %.200q, want %.200q", text, takes, right, read, want)
					}
					for _, e := range u.Chat() {
						if e.From == sim.FromWeChat {
							t.Errorf("%.40q after %v: a fault notice", text, takes)
						}
						for _, l := range e.Links() {
							if e.From == sim.FromAccount && l.Say != "" && l.MenuID == "123456789012345678" {
								t.Errorf("%.40q: the model's own link is live", text)
							}
						}
					}
					if got := h.turn(0).State; got == store.Working || got == store.Promised {
						t.Errorf("%.40q after %v: the turn is %v", text, takes, got)
					}
				})
			}
		}
	}
}

// The last delivery reached another process first, which has died over it: what
// is left of WeChat's patience goes by the first delivery.
func TestLastDeliveryComesLate(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture) {
		defer f.run()()
		s := f.serve(1, &thinker{runs: map[string]int{}})
		body := text("o1", 7, "想 20s 100")
		begin := time.Now()
		for range 2 {
			ctx, hangUp := context.WithTimeout(t.Context(), 5*time.Second)
			if got := deliverTo(t, ctx, s, httptest.NewRecorder(), body); got != unanswered {
				t.Errorf("after %v: %q", time.Since(begin), got)
			}
			hangUp()
		}
		time.Sleep(2 * time.Second)
		got := deliver(t, s, body)
		if took := time.Since(begin); got == unanswered || took > 14500*time.Millisecond || took < 14*time.Second {
			t.Errorf("after %v: %q", took, got)
		}
	})
}

// The store is away when the last delivery has to be decided on: it is answered in
// time, and what it got is on record when the store is back.
func TestLastDeliveryWithoutStore(t *testing.T) {
	for name, push := range map[string]*pushes{"waiting": nil, "pushing": {right: true}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, f *fixture) {
				f.Budget = -1
				stop := f.run()
				defer stop()
				a := Account{Key: "1", ID: func(context.Context) (int64, error) { return 1, nil }, Robot: &thinker{runs: map[string]int{}}}
				s := f.server(a)
				body := text("o1", 7, "想 30s 100")
				begin := time.Now()
				for range 2 {
					ctx, hangUp := context.WithTimeout(t.Context(), 5*time.Second)
					deliverTo(t, ctx, s, httptest.NewRecorder(), body)
					hangUp()
				}
				if push != nil {
					a.Push = push
					f.slow[f.turns(1)[0].ID].account.Push = push
				}
				unlock := f.lock()
				got := deliver(t, s, body)
				if took := time.Since(begin); got == unanswered || took > 14500*time.Millisecond {
					t.Errorf("after %v: %q", took, got)
				}
				if state := f.turns(1)[0].State; state != store.Working {
					t.Errorf("on record as %v", state)
				}
				unlock()
				time.Sleep(2 * lookEvery)
				turn := f.turns(1)[0]
				if promised := push != nil && turn.State == store.Promised; !promised && (turn.State != store.Waiting || string(turn.Reply) != got) {
					t.Errorf("on record as %v with %q", turn.State, turn.Reply)
				}
			})
		})
	}
}

// So it is when the store is away before the question is on record.
func TestLastDeliveryOfUnrecordedQuestion(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture) {
		defer f.run()()
		s := f.serve(1, &thinker{runs: map[string]int{}})
		if got := deliver(t, s, text("o1", 6, "你好")); got == unanswered {
			t.Fatal("no answer")
		}
		body := text("o1", 7, "想 30s 100")
		time.Sleep(10 * time.Second) // in which two deliveries did not arrive
		unlock := f.lock()
		begin := time.Now()
		got := deliver(t, s, body)
		if took := time.Since(begin); got == unanswered || content(t, got) != "抱歉" || took > 4500*time.Millisecond {
			t.Errorf("after %v: %q", took, got)
		}
		unlock()
		time.Sleep(2 * lookEvery)
		if f.Held() != 0 || len(f.turns(1)) != 2 {
			t.Errorf("%d held, %d turns on record", f.Held(), len(f.turns(1)))
		}
	})
}
