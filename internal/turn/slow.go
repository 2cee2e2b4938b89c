package turn

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"sync"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/oa"
)

// slow is a turn whose answer takes time, for as long as this process has to do
// with it. The deliveries of its message wait for it.
type slow struct {
	id      store.TurnID
	account Account
	openid  string
	first   time.Time // when its message came
	created int64     // CreateTime
	token   string
	page    []byte
	target  *slow // the answer that this turn fetches; nil: it has a question of its own
	key     key   // in Engine.open
	// remembered says that the turn is a part of the follower's conversation.
	remembered bool
	clock      *clock

	mu       sync.Mutex
	changed  chan struct{} // closed at every change
	state    store.State
	holder   string    // the process that works on it, when it is another one
	since    time.Time // it is kept here, when it is another's
	followed bool      // somebody looks at what that process makes of it
	behind   bool      // it is going to be looked at
	claiming bool      // somebody commits what the deliveries will get
	replied  bool      // the deliveries get reply: bytes, or success when empty
	reply    []byte

	question string
	message  oa.Message
	text     string // markdown up to now
	done     bool   // text is whole, or work has failed
	stored   bool   // text is on record as whole
	failed   string // why the text is an apology
	shown    string
	usage    store.Usage
	started  time.Time // of the work
	ended    bool      // work is over, or was never this process's

	waiting int // deliveries
	count   int // deliveries that came when no other was waiting
	repeats int // deliveries since the reply
	steps   []store.Step
	given   time.Time // when the reply was handed out
}

// signal wakes whoever waits. s.mu is held.
func (s *slow) signal() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// step notes what happens. s.mu is held.
func (s *slow) step(what, detail string) {
	if len(s.steps) < 200 {
		s.steps = append(s.steps, store.Step{At: s.clock.now(), What: what, Detail: detail})
	}
}

// takeSteps hands over what is not on record yet. s.mu is held.
func (s *slow) takeSteps() []store.Step {
	steps := s.steps
	s.steps = nil
	return steps
}

// newToken makes the number in the link that fetches an answer. It is digits,
// because the platform documents it as a number (reference §5.1).
func newToken() string {
	n, err := rand.Int(rand.Reader, big.NewInt(9e17))
	if err != nil {
		panic(err) // never: crypto/rand.Reader does not fail
	}
	return strconv.FormatInt(1e17+n.Int64(), 10)
}

func newPage() []byte {
	page := make([]byte, 16)
	if _, err := rand.Read(page); err != nil {
		panic(err) // never, as above
	}
	return page
}

// arrive registers a delivery and says whether it is the last one.
func (e *Engine) arrive(s *slow, r *oa.Request) (last bool) {
	p := e.patience(s.account.Key)
	age := max(p.age(r.Arrived, s.created), r.Arrived.Sub(s.first))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == 0 {
		s.count++
	}
	s.waiting++
	if s.replied {
		s.repeats++
	}
	s.step("delivery", fmt.Sprintf("%d, %.1f s after the message", s.count, age.Seconds()))
	return age >= lastAge || s.count >= lastCount
}

// deliver waits with one delivery for the turn's answer, and decides shortly
// before its deadline what to do without one.
func (e *Engine) deliver(ctx context.Context, s *slow, r *oa.Request) (oa.Reply, error) {
	last := e.arrive(s, r)
	defer e.depart(s)
	e.follow(s)
	commit, cancel := context.WithDeadline(ctx, r.Arrived.Add(e.Deadline-writeMargin))
	defer cancel()
	decide := time.NewTimer(time.Until(e.decideAt(s, r, last)))
	defer decide.Stop()
	late := false
	for {
		var fetched <-chan struct{}
		if s.target != nil {
			s.target.mu.Lock()
			fetched = s.target.changed
			s.target.mu.Unlock()
		}
		s.mu.Lock()
		switch {
		case s.replied:
			reply := s.reply
			s.given = time.Now()
			s.mu.Unlock()
			failpoint("before reply")
			return oa.Encoded(reply), nil
		case s.claiming:
		case e.ready(s):
			s.claiming = true
			s.mu.Unlock()
			settled := e.claim(commit, s, r, wholeAnswer, last && !e.pushes(s))
			if !settled && last {
				settled = e.hold(ctx, commit, s, r)
			}
			if !settled {
				return oa.Reply{}, oa.ErrUnanswered
			}
			continue
		case late:
			ride := !last && e.ride(s)
			if ride {
				s.step(stepRide, "left unanswered, so that WeChat delivers again")
				s.mu.Unlock()
				return oa.Reply{}, oa.ErrUnanswered
			}
			s.claiming = true
			s.mu.Unlock()
			settled := false
			switch {
			case !e.pushes(s):
				settled = e.claim(commit, s, r, partOfAnswer, last)
			case e.promise(commit, s, last):
				settled = true
			case last:
				settled = e.claim(commit, s, r, holdingText, last)
			}
			if !settled && last {
				settled = e.hold(ctx, commit, s, r)
			}
			if !settled {
				return oa.Reply{}, oa.ErrUnanswered
			}
			continue
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-fetched:
		case <-decide.C:
			late = true
		case <-ctx.Done():
			return oa.Reply{}, oa.ErrUnanswered
		case <-e.stopping: // the successor gets the next delivery
			return oa.Reply{}, oa.ErrUnanswered
		}
	}
}

// decideAt is when a delivery has to be decided on. The last one may have been on
// its way to another process before, which has died: WeChat's patience with it
// goes by the first delivery. And this process may die over it.
func (e *Engine) decideAt(s *slow, r *oa.Request, last bool) time.Time {
	at := r.Arrived.Add(e.Deadline)
	if last {
		at = at.Add(-e.handover())
		if end := e.windowEnd(s); end.Before(at) {
			at = end
		}
	}
	return at.Add(-e.store.pace.margin(time.Now()))
}

// windowEnd is until when an answer can be shown without a further act.
func (e *Engine) windowEnd(s *slow) time.Time { return s.first.Add(e.Window - e.handover()) }

// pushes reports whether the answer can come by customer-service message.
func (e *Engine) pushes(s *slow) bool {
	return s.target == nil && s.account.Push != nil && s.account.Push.Right()
}

// ready reports whether there is something whole to answer with. s.mu is held.
func (e *Engine) ready(s *slow) bool {
	if s.target == nil {
		return s.done
	}
	s.target.mu.Lock()
	defer s.target.mu.Unlock()
	return s.target.done
}

// ride decides whether it is worth a time-out to wait for the next delivery:
// the answer may be ready in time, and the budget allows it. Who can push need
// not. s.mu is held.
func (e *Engine) ride(s *slow) bool {
	if e.pushes(s) {
		return false
	}
	source := cmp.Or(s.target, s)
	if source != s {
		source.mu.Lock()
		defer source.mu.Unlock()
	}
	if !source.started.IsZero() && source.account.Robot != nil {
		ready, known := source.account.Robot.Expect(source.started, len(source.text))
		if known && ready.After(e.windowEnd(s)) {
			s.step("forecast", "not ready before the last delivery")
			return false
		}
	}
	if !e.patience(s.account.Key).ride(time.Now(), e.share()) {
		s.step("budget", "no deliberate time-outs left")
		return false
	}
	return true
}

// share is this process's part of the budget.
func (e *Engine) share() float64 { return float64(e.Budget) / float64(e.Replicas()) }

// depart is the end of a delivery's waiting.
func (e *Engine) depart(s *slow) {
	s.mu.Lock()
	s.waiting--
	s.mu.Unlock()
	e.keep(s)
	e.forget(s)
}

// composer is what replies of the turn's answer, or of the one it fetches, are
// made with.
func (e *Engine) composer(s *slow) composer {
	source := cmp.Or(s.target, s)
	return composer{token: source.token, fullURL: pageAddress(e.PublicURL, source.page), maxText: oa.MaxTextBytes, guest: s.account.Guest}
}

// claimed is what the deliveries of a turn are to get.
type claimed int

const (
	wholeAnswer claimed = iota // or as much as fits
	partOfAnswer
	holdingText
)

// claim settles what the deliveries of the turn get, commits it, and only then
// lets them have it (L4 of docs/slow-answers.md: who comes again gets the same
// bytes). The caller has set s.claiming. It reports false while the store is
// away: then nobody gets anything.
//
// The last delivery is answered even then: it is now or never. What it got is
// put on record when the store is back. An account that pushes does not give its
// answer away without a record: another process may push it too.
func (e *Engine) claim(ctx context.Context, s *slow, r *oa.Request, what claimed, last bool) bool {
	part := what != wholeAnswer
	if s.target != nil {
		return e.claimFetch(ctx, s, r, part)
	}
	s.mu.Lock()
	c := e.composer(s)
	ch := store.Change{ID: s.id, From: before(store.Answered), AnsweredAt: e.clock.now(), Steps: nil}
	var made composed
	switch {
	case what == holdingText:
		made = c.part("", s.shown)
	case part:
		made = c.part(s.text, s.shown)
		s.step("part", fmt.Sprintf("%d bytes of the unfinished answer", len(made.shown)-len(s.shown)))
	default:
		made = c.whole(s.text, s.shown)
	}
	rest := false // comes by push
	switch {
	case made.whole && s.failed != "":
		ch.To, ch.Note = store.Failed, s.failed
	case made.whole && made.part && s.account.Guest:
		ch.To, ch.Note = store.Failed, "not ready in time, and nothing waits for a guest"
	case made.whole:
		ch.To = store.Answered
	case !part && e.pushes(s):
		ch.To, rest = store.Promised, true
		first, left := cutPage(s.text, s.shown, c.maxText)
		made = composed{text: first, shown: left}
	default:
		ch.To = store.Waiting
		ch.ExpiresAt = e.clock.now().Add(e.Keep)
	}
	ch.By = s.by(part)
	ch.Shown, ch.Sending = &made.shown, new(sendingReply)
	if s.done && !s.stored {
		ch.Text, ch.Done, ch.Usage, ch.ReadyAt = &s.text, true, &s.usage, e.clock.now()
	}
	if rest {
		ch.Jobs = e.pushJob(s)
	}
	taken := s.holder != "" && s.done // nothing is left to do for the process that worked on it
	if taken {
		ch.NewHolder = &e.process
	}
	s.step(ch.To.String(), fmt.Sprintf("as the reply to delivery %d", s.count))
	ch.Steps = s.takeSteps()
	stored := ch.Done
	s.mu.Unlock()
	reply := said(made.text)
	if made.whole && !part {
		reply = e.offer(ctx, s.account, r, reply)
	}
	ch.Reply = r.Encode(reply, time.Unix(s.created, 0))

	failpoint("before claim")
	err := e.store.Apply(ctx, ch)
	failpoint("after claim")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claiming = false
	defer s.signal()
	switch {
	case errors.Is(err, store.ErrConflict):
		e.reload(s)
	case err != nil && !last:
		e.log.Warn("an answer could not be recorded; WeChat will deliver again", "turn", s.id, "error", err)
		s.steps = append(ch.Steps, s.steps...)
		return false
	default:
		s.replied, s.reply, s.state, s.shown = true, ch.Reply, ch.To, made.shown
		s.stored = s.stored || stored
		if err != nil {
			e.log.Error("the last delivery is answered, but its answer is not on record yet", "turn", s.id, "error", err)
			s.claiming = true
			e.background(func() { e.recordLater(s, ch) })
		}
		if taken {
			s.holder = ""
		}
		if ch.To == store.Waiting {
			e.setPending(s.lane())
		}
		if rest {
			e.wake()
		}
	}
	return true
}

// hold answers the last delivery although nothing can be committed in time, with
// the holding text: nothing of the answer is given away.
func (e *Engine) hold(ctx, commit context.Context, s *slow, r *oa.Request) bool {
	if !acquire(ctx, s) {
		return false
	}
	if s.target == nil {
		return e.claim(commit, s, r, holdingText, true)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.replied {
		s.claiming = false
		s.signal()
		return true
	}
	text := e.composer(s).part("", "").text
	s.step("held", "the page could not be recorded as shown, and was not")
	ch := store.Change{ID: s.id, From: before(store.Answered), To: store.Answered, By: "fetch", AnsweredAt: e.clock.now(),
		Reply: r.Encode(said(text), time.Unix(s.created, 0)), Sending: new(""), Done: true, Steps: s.takeSteps()}
	if s.holder != "" {
		ch.NewHolder = &e.process
	}
	s.replied, s.reply, s.state, s.ended, s.holder = true, ch.Reply, store.Answered, true, ""
	s.signal()
	e.background(func() { e.recordLater(s, ch) })
	return true
}

// recordLater puts on record what a delivery has got already. The caller has set
// s.claiming.
func (e *Engine) recordLater(s *slow, ch store.Change) {
	defer e.release(s)
	for {
		select {
		case <-time.After(lookEvery):
		case <-e.ctx.Done():
			return
		}
		ctx, cancel := context.WithTimeout(e.ctx, lookTimeout)
		err := e.store.Apply(ctx, ch)
		if errors.Is(err, store.ErrConflict) { // somebody else went on with it
			err = nil
			if s.target != nil {
				err = e.takeBack(ctx, s.id)
			}
		}
		cancel()
		if err == nil {
			return
		}
	}
}

// takeBack is for a page that is on record as shown after all, and was not.
func (e *Engine) takeBack(ctx context.Context, id store.TurnID) error {
	row, err := e.store.Answer(ctx, id)
	if err == nil && row.State == store.Answered && row.Sending == sendingReply && row.Holder == e.process {
		err = e.unsure(ctx, row)
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// by says what decided the answer.
func (s *slow) by(part bool) string {
	switch {
	case s.failed != "":
		return "sorry"
	case part:
		return "model, in part"
	}
	return "model"
}

// promise answers success: the message is this house's from that byte on, so
// it is on record before. The answer is pushed when it is ready. The caller has
// set s.claiming. It reports false while the store is away; if it is the last
// delivery s.claiming stays set.
func (e *Engine) promise(ctx context.Context, s *slow, last bool) bool {
	s.mu.Lock()
	s.step("promised", "success was answered, the answer will be pushed")
	ch := store.Change{ID: s.id, From: before(store.Promised), To: store.Promised, By: "model", AnsweredAt: e.clock.now(), Steps: s.takeSteps()}
	s.mu.Unlock()
	failpoint("before promise")
	err := e.store.Apply(ctx, ch)
	failpoint("after promise")
	s.mu.Lock()
	s.claiming = false
	switch {
	case errors.Is(err, store.ErrConflict):
		e.reload(s)
	case err != nil:
		s.claiming = last
		if !last {
			e.log.Warn("a promise could not be recorded; WeChat will deliver again", "turn", s.id, "error", err)
		}
	default:
		s.replied, s.reply, s.state = true, nil, store.Promised
	}
	promised, settled := s.state == store.Promised, err == nil || errors.Is(err, store.ErrConflict)
	s.signal()
	s.mu.Unlock()
	if promised {
		e.keep(s) // it may have become ready meanwhile
		e.typing(s)
	}
	return settled
}

// keep puts a finished answer on record when no delivery is there to take it.
func (e *Engine) keep(s *slow) {
	s.mu.Lock()
	if s.target != nil || !s.done || s.stored || s.claiming || s.holder != "" || (!s.replied && s.waiting > 0) {
		s.mu.Unlock()
		return
	}
	if s.state.Ended() { // it was answered without
		s.stored = true
		s.mu.Unlock()
		return
	}
	s.claiming = true
	ch := store.Change{ID: s.id, From: []store.State{s.state}, Holder: e.process,
		Text: &s.text, Done: true, Usage: &s.usage, ReadyAt: e.clock.now(), Note: s.failed}
	if s.state == store.Promised {
		ch.Jobs = e.pushJob(s)
	}
	ch.Steps = s.takeSteps()
	s.mu.Unlock()
	failpoint("before ready")
	err := e.apply(quietLimit, ch)
	failpoint("after ready")
	s.mu.Lock()
	s.claiming = false
	again := false
	switch {
	case errors.Is(err, store.ErrConflict): // another process has answered, promised, or taken over
		was := s.state
		e.reload(s)
		again = s.state != was && !s.state.Ended()
		s.stored = !again
	case err != nil:
		s.steps = append(ch.Steps, s.steps...)
		e.later(time.Second, func() { e.keep(s); e.forget(s) })
	default:
		s.stored = true
	}
	s.signal()
	s.mu.Unlock()
	if again {
		e.keep(s)
	}
	if err == nil && ch.Jobs != nil {
		e.wake()
	}
}

// quietLimit is how long a commit is waited for while no delivery waits: one that
// comes meanwhile cannot decide before.
const quietLimit = time.Second

// apply commits what no delivery waits for.
func (e *Engine) apply(limit time.Duration, change store.Change) error {
	ctx, cancel := context.WithTimeout(e.ctx, limit)
	defer cancel()
	return e.store.Apply(ctx, change)
}

// abandon is for a turn that no delivery comes for any more.
func (e *Engine) abandon(s *slow) {
	s.mu.Lock()
	if s.replied || s.claiming || s.waiting > 0 {
		again := s.claiming || s.waiting > 0
		s.mu.Unlock()
		if again {
			e.later(time.Second, func() { e.abandon(s) })
		}
		return
	}
	s.claiming = true
	ch := store.Change{ID: s.id, From: before(store.Waiting), To: store.Waiting, ExpiresAt: e.clock.now().Add(e.Keep)}
	ch.From = []store.State{store.Working}
	switch {
	case s.target != nil:
		ch.To, ch.Note = store.Failed, "no delivery was left to answer"
	case s.account.Guest:
		ch.To, ch.Note = store.Failed, "no delivery was left to answer, and nothing waits for a guest"
	case e.pushes(s):
		ch.To, ch.ExpiresAt = store.Promised, time.Time{}
		if s.stored {
			ch.Jobs = e.pushJob(s)
		}
	}
	s.step(ch.To.String(), "no delivery was left to answer")
	ch.Steps = s.takeSteps()
	s.mu.Unlock()
	err := e.apply(quietLimit, ch)
	s.mu.Lock()
	s.claiming = false
	switch {
	case errors.Is(err, store.ErrConflict):
		e.reload(s)
	case err != nil:
		s.steps = append(ch.Steps, s.steps...)
		e.later(time.Second, func() { e.abandon(s) })
	default:
		s.replied, s.reply, s.state = true, nil, ch.To
		if ch.To == store.Waiting {
			e.setPending(s.lane())
		}
		if ch.Jobs != nil {
			e.wake()
		}
	}
	s.signal()
	s.mu.Unlock()
	e.keep(s)
	e.forget(s)
}

// reload takes over what another process has made of the turn. s.mu is held.
func (e *Engine) reload(s *slow) {
	ctx, cancel := context.WithTimeout(e.ctx, time.Second)
	defer cancel()
	t, row, err := e.read(ctx, s.id)
	if err != nil {
		e.log.Warn("a turn could not be read", "turn", s.id, "error", err)
		return
	}
	e.learn(s, t, row)
}

// forget lets go of a turn with which nothing more happens in this process.
func (e *Engine) forget(s *slow) {
	e.mu.Lock()
	s.mu.Lock()
	over := s.waiting == 0 && !s.claiming && s.replied && s.ended && (s.target != nil || s.stored)
	if s.holder != "" {
		over = s.waiting == 0 && !s.claiming && time.Since(s.since) >= giveUp
	}
	given := s.given
	confirm := s.waiting == 0 && !given.IsZero() && len(s.reply) > 0 && (s.state == store.Answered || s.state == store.Waiting)
	if confirm {
		s.given = time.Time{}
	}
	s.mu.Unlock()
	known := e.slow[s.id] == s
	if over {
		if t := e.open[s.key]; t != nil && t.slow == s {
			delete(e.open, s.key)
		}
		if known {
			delete(e.slow, s.id)
		}
	}
	if confirm {
		e.unconfirmed[s.id] = s
		e.later(time.Until(given.Add(confirmAfter)), func() { e.confirmed(s) })
	}
	e.mu.Unlock()
	if !over || !known {
		return
	}
	if s.target != nil {
		e.depart(s.target)
	}
}

// confirmed notes, when a repeat would have come, that the reply was accepted.
func (e *Engine) confirmed(s *slow) {
	e.mu.Lock()
	_, there := e.unconfirmed[s.id]
	delete(e.unconfirmed, s.id)
	e.mu.Unlock()
	if !there {
		return
	}
	err := e.store.Apply(e.ctx, store.Change{ID: s.id, Sending: new("")})
	if err != nil && !errors.Is(err, store.ErrConflict) {
		e.mu.Lock()
		e.unconfirmed[s.id] = s
		e.mu.Unlock()
		e.later(confirmAfter, func() { e.confirmed(s) })
	}
}
