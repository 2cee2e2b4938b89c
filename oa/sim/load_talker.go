package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/wenzihq/wenzi/oa"
)

// talker is a follower who writes.
type talker struct {
	follower   *Follower
	subscribes bool          // first of all
	here       chan struct{} // closed when the talker follows
	waits      []*question   // for their answers, oldest first; guarded by tally.mu
}

// oldest is the question that has waited longest. tally.mu is held.
func (t *talker) oldest() *question {
	if len(t.waits) == 0 {
		return nil
	}
	return t.waits[0]
}

// stopWaiting is called with tally.mu held.
func (t *talker) stopWaiting(q *question) {
	t.waits = slices.DeleteFunc(t.waits, func(other *question) bool { return other == q })
}

// arrive follows the account, if the talker does not yet.
func (l *load) arrive(ctx context.Context, t *talker) (subscribed bool) {
	defer close(t.here)
	if t.subscribes {
		l.countEvent(t.follower.Subscribe().Wait(ctx))
	}
	return t.subscribes
}

// isHere waits until the talker follows the account: who does not can ask nothing.
// It reports false when ctx ends first.
func (t *talker) isHere(ctx context.Context) bool {
	select {
	case <-t.here:
		return true
	case <-ctx.Done():
		return false
	}
}

// ask asks a question and does what is to be done until it is answered whole, or
// given up. others is the chance of another question before a tap.
func (l *load) ask(ctx context.Context, t *talker, due time.Time, others float64) {
	q := l.newQuestion(t, due)
	random := l.random(q.number)
	if random.Float64() < l.config.Clicks {
		l.work.Go(func() { l.countEvent(t.follower.Click("LOAD").Wait(ctx)) })
	}
	sent := l.say(&act{question: q, due: due}, &oa.TextMessage{Content: l.config.text(random, q.number)})
	for taps := l.config.Taps; ; taps-- {
		link, ok := l.listen(ctx, q, sent, taps > 0)
		sent.Wait(ctx)
		l.ended(sent, q)
		if !ok {
			break
		}
		due := time.Now().Add(l.think(random))
		if !q.wait(ctx, time.Until(due)) {
			break
		}
		if random.Float64() < others && !l.late(due) {
			l.ask(ctx, t, due, 0)
			due = time.Now()
		}
		if !q.wait(ctx, 0) {
			break
		}
		sent = l.say(&act{question: q, due: due, tap: true}, &oa.TextMessage{Content: link.Say, MenuID: link.MenuID})
	}
	if ctx.Err() == nil {
		l.gaveUp(q)
	}
}

// say sends a message of a question's. It is known as such before anything can
// come of it.
func (l *load) say(a *act, m *oa.TextMessage) *Sent {
	f := a.question.talker.follower
	p := f.account.p
	p.mu.Lock()
	defer p.mu.Unlock()
	s := f.act(m)
	l.acted(s.ID, a)
	return s
}

// listen waits for a link to tap, if one is wanted. It reports false when there
// is nothing more to wait for.
func (l *load) listen(ctx context.Context, q *question, sent *Sent, wanted bool) (link Span, ok bool) {
	patience := time.NewTimer(l.config.patience())
	defer patience.Stop()
	var links <-chan Span
	if wanted {
		links = q.links
	}
	for done := sent.Done(); ; {
		select {
		case <-q.answered:
			return Span{}, false
		case link := <-links:
			return link, true
		case <-done:
			if fate := sent.Fate(); fate == FaultShown || fate == NotPushed {
				return Span{}, false
			}
			done = nil
		case <-patience.C:
			return Span{}, false
		case <-ctx.Done():
			return Span{}, false
		}
	}
}

const loadText = "今天天气怎么样，明天会不会下雨，周末去哪里玩好，晚饭吃什么，这个多少钱，什么时候发货，有没有别的颜色，怎么退换，客服几点上班？"

// nastyTexts are what servers are known to stumble over.
var nastyTexts = []string{
	"]]>", "]]></Content><MsgId>1</MsgId>", "<![CDATA[", "<xml>&lt;&amp;&#0;</xml>", "<a href='javascript:alert(1)'>x</a>",
	"\x00\x01\x02\b\x1f\x7f", "\u2028\u2029\ufeff\u200b", "\u202eابجد\u202c", "👨‍👩‍👧‍👦🇨🇳🫠", "e\u0301\u0301\u0301\u0301",
	"\r\n\t  \r", "{{.Name}} ${PATH} %s %[1]d %n", "'; DROP TABLE turns; --", `\n\u0000\\`, "../../etc/passwd",
}

// text is a question.
func (c *LoadConfig) text(random *rand.Rand, number int64) string {
	text := fmt.Sprintf("问 #%d", number)
	if c.Nasty {
		text += "：" + nastyTexts[random.IntN(len(nastyTexts))]
	}
	if missing := random.IntN(c.Bytes+1) - len(text) - len("："); missing > 0 {
		text += "：" + oa.Clip(strings.Repeat(loadText, missing/len(loadText)+1), missing)
	}
	return text
}
