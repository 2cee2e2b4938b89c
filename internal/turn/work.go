package turn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/oa"
)

// The order of one follower's questions.
const (
	// mostQueued is how many questions of a follower wait for the one before.
	mostQueued = 3
	// mergeWithin is how far apart two waiting questions may be to become one.
	mergeWithin = 1500 * time.Millisecond
)

// lane runs one follower's slow turns, one after the other.
type lane struct {
	running *slow
	queue   []*slow
}

// Question is what a robot has to work on.
type Question struct {
	Turn    store.TurnID // for tools, as the key that tells one run from another's repetition
	Account int64
	OpenID  string
	Text    string     // with what was merged into it
	Message oa.Message // the newest one of those merged
	// Remember says that the conversation up to now may be used.
	Remember bool
}

// Draft takes what the robot has to say while it works.
type Draft struct{ slow *slow }

// Text is the answer up to now, in markdown.
func (d *Draft) Text(sofar string) {
	s := d.slow
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.text == "" && sofar != "" {
		s.step("first text", fmt.Sprintf("after %.1f s", time.Since(s.started).Seconds()))
	}
	s.text = sofar
}

// Draft is what there is up to now of an answer that this process works on.
func (e *Engine) Draft(id store.TurnID) (markdown string, ok bool) {
	e.mu.Lock()
	s := e.slow[id]
	e.mu.Unlock()
	if s == nil {
		return "", false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text, true
}

// Step notes what the robot does, for the timeline. It must not hold a
// follower's words.
func (d *Draft) Step(what, detail string) {
	d.slow.mu.Lock()
	defer d.slow.mu.Unlock()
	d.slow.step(what, detail)
}

// full reports whether so many of the follower's questions wait that there is
// no place for another one.
func (e *Engine) full(k laneKey) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.lanes[k]
	return l != nil && len(l.queue) >= mostQueued
}

// enqueue starts work on a turn, at once or after the follower's turns before.
// A question that came just after one that still waits takes that one in.
func (e *Engine) enqueue(s *slow) {
	k := s.lane()
	e.mu.Lock()
	l := e.lanes[k]
	if l == nil {
		l = &lane{}
		e.lanes[k] = l
	}
	var into *slow
	switch {
	case l.running == nil:
		l.running = s
		e.mu.Unlock()
		e.start(s)
		return
	case len(l.queue) > 0:
		if last := l.queue[len(l.queue)-1]; mergeable(last, s) {
			into = last
		}
	}
	l.queue = append(l.queue, s)
	e.mu.Unlock()
	if into != nil {
		e.merge(into, s)
	}
}

func mergeable(earlier, later *slow) bool {
	_, one := earlier.message.(*oa.TextMessage)
	_, other := later.message.(*oa.TextMessage)
	return one && other && later.first.Sub(earlier.first) <= mergeWithin
}

// merge makes one question of two: the earlier turn ends with success, the
// later one asks both.
func (e *Engine) merge(earlier, later *slow) {
	if !acquire(e.ctx, earlier) {
		return
	}
	release := func(merged bool) {
		earlier.mu.Lock()
		earlier.claiming = false
		if merged {
			earlier.state, earlier.replied, earlier.ended, earlier.stored, earlier.done = store.Acknowledged, true, true, true, true
		}
		earlier.signal()
		earlier.mu.Unlock()
		if merged {
			e.forget(earlier)
		}
	}
	earlier.mu.Lock()
	if earlier.replied || !earlier.started.IsZero() {
		earlier.mu.Unlock()
		release(false)
		return
	}
	asked := earlier.question
	earlier.step("merged", "into turn "+later.id.String())
	steps := earlier.takeSteps()
	earlier.mu.Unlock()
	later.mu.Lock()
	question := asked + "\n" + later.question
	later.mu.Unlock()
	err := e.store.Apply(e.ctx,
		store.Change{ID: earlier.id, From: []store.State{store.Working}, To: store.Acknowledged, Done: true, By: "merged", Note: "merged into turn " + later.id.String(), Steps: steps},
		store.Change{ID: later.id, From: []store.State{store.Working}, Question: &question})
	if err != nil {
		release(false)
		return
	}
	e.mu.Lock()
	if l := e.lanes[earlier.lane()]; l != nil {
		l.queue = slices.DeleteFunc(l.queue, func(s *slow) bool { return s == earlier })
	}
	e.mu.Unlock()
	later.mu.Lock()
	later.question = question
	later.step("merged", "with turn "+earlier.id.String())
	later.mu.Unlock()
	release(true)
}

// start begins work on a turn, when other processes are through with what the
// follower asked before.
func (e *Engine) start(s *slow) {
	if e.Alone || s.account.Guest {
		e.startNow(s)
	} else if !e.background(func() { e.awaitOthers(s); e.startNow(s) }) {
		e.next(s)
	}
}

// Questions of one follower wait for each other so long, wherever they are worked
// on, and look so often.
const (
	longestWait = time.Minute
	waitLook    = 250 * time.Millisecond
)

func (e *Engine) awaitOthers(s *slow) {
	for began := time.Now(); time.Since(began) < longestWait; {
		ctx, cancel := context.WithTimeout(e.ctx, waitLook)
		waits, err := e.store.AskedBefore(ctx, s.id)
		cancel()
		if err != nil || !waits {
			return
		}
		select {
		case <-time.After(waitLook):
		case <-e.ctx.Done():
			return
		}
	}
}

func (e *Engine) startNow(s *slow) {
	s.mu.Lock()
	s.started = time.Now()
	q := Question{Turn: s.id, Account: s.id.Account(), OpenID: s.openid, Text: s.question, Message: s.message, Remember: s.remembered}
	s.mu.Unlock()
	if !e.background(func() { e.work(s, q) }) {
		e.next(s) // stopping: the successor works on it
		return
	}
	if !e.Alone {
		e.saveDrafts(s, "")
	}
}

// work has the robot answer, and goes on with the follower's next question.
func (e *Engine) work(s *slow, q Question) {
	defer e.next(s)
	failpoint("before work")
	result, err := e.run(s, q)
	failpoint("after work")
	if e.ctx.Err() != nil && err != nil {
		s.mu.Lock()
		s.step("interrupted", "the process stopped")
		s.mu.Unlock()
		return // the successor begins again
	}
	// On record it would be U+FFFD, and what is pushed would differ from what is
	// replied.
	result.Text = strings.ReplaceAll(result.Text, "\x00", "")
	s.mu.Lock()
	s.usage = result.Usage
	s.usage.Total = time.Since(s.started)
	if err != nil {
		s.failed = err.Error()
		s.text = result.Text
		s.step("failed", s.failed)
		e.log.Error("the robot failed; the follower is told", "turn", s.id, "error", err)
	} else {
		s.text = result.Text
		s.step("ready", fmt.Sprintf("%d bytes after %.1f s", len(s.text), time.Since(s.started).Seconds()))
	}
	s.done, s.ended = true, true
	s.signal()
	s.mu.Unlock()
	e.keep(s)
	e.forget(s)
}

// run survives a panic of the robot. Beside an error the result's text is what
// the follower is told.
func (e *Engine) run(s *slow, q Question) (result Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			e.logPanic("the robot panicked", p)
			result, err = Result{}, fmt.Errorf("the robot panicked (%T)", p)
		}
		if result.Text == "" {
			result.Text = textSorry
			if err == nil {
				err = errors.New("the robot had nothing to say")
			}
		}
	}()
	return s.account.Robot.Work(e.ctx, q, &Draft{s})
}

// next lets the follower's next question begin.
func (e *Engine) next(s *slow) {
	k := s.lane()
	e.mu.Lock()
	l := e.lanes[k]
	if l == nil || l.running != s {
		e.mu.Unlock()
		return
	}
	l.running = nil
	if len(l.queue) == 0 {
		delete(e.lanes, k)
		e.mu.Unlock()
		return
	}
	l.running, l.queue = l.queue[0], l.queue[1:]
	following := l.running
	e.mu.Unlock()
	e.start(following)
}

// adopt takes over a turn that nobody works on, and does.
func (e *Engine) adopt(ctx context.Context, row *store.Answer) {
	s, err := e.rebuild(ctx, row)
	if err != nil {
		e.log.Warn("a turn that its process left cannot be gone on with", "turn", row.Turn, "error", err)
		if err := e.store.Apply(ctx, store.Change{ID: row.Turn, From: []store.State{row.State}, Holder: row.Holder, To: store.Failed, Done: true, Note: err.Error()}); err != nil && !errors.Is(err, store.ErrConflict) {
			e.log.Warn("a turn that cannot be gone on with could not be ended", "turn", row.Turn, "error", err)
		}
		return
	}
	if s == nil {
		return // the store is away; there is a next time
	}
	left := s
	s = e.register(s, 0) // somebody may wait for it here already
	if !s.takeOver(left, row.Holder == e.process) {
		return
	}
	if err := e.store.Apply(ctx, store.Change{ID: s.id, From: []store.State{row.State}, Holder: row.Holder, NewHolder: &e.process, Run: !row.Done && s.target == nil}); err != nil {
		s.mu.Lock()
		s.holder, s.ended = row.Holder, true
		s.mu.Unlock()
		e.follow(s) // deliveries may have come that took it for this process's own
		if !errors.Is(err, store.ErrConflict) {
			e.log.Warn("a turn could not be taken over", "turn", row.Turn, "error", err)
		}
		return
	}
	e.log.Info("a turn is taken over that nobody worked on", "turn", s.id, "state", row.State.String(), "own", row.Holder == e.process)
	switch lost := s.first.Add(giveUp); {
	case row.State == store.Working:
		e.later(time.Until(lost), func() { e.abandon(s) })
	case row.Sending == sendingReply:
		e.later(time.Until(lost), func() { e.doubt(s.id) })
	}
	if s.target == nil && !row.Done {
		e.enqueue(s)
	}
}

// takeOver makes a turn that this process only follows, if at all, its own, as it
// was left. It reports false where it is its own already.
func (s *slow) takeOver(left *slow, own bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holder == "" {
		return false
	}
	if s != left {
		s.message = left.message
		if !s.replied {
			s.state, s.replied, s.reply, s.shown = left.state, left.replied, left.reply, left.shown
		}
		if left.done && !s.done {
			s.text, s.done, s.stored = left.text, true, true
		}
	}
	why := "its process was gone"
	if own {
		why = "it is on record, although that seemed to fail"
	}
	s.step("taken over", why)
	s.holder, s.ended = "", left.done || s.target != nil
	s.signal()
	return true
}

// rebuild makes a turn of what its process left. It is nil where the store
// cannot be read.
func (e *Engine) rebuild(ctx context.Context, row *store.Answer) (*slow, error) {
	a, ok := e.Accounts(row.Turn.Account())
	if !ok {
		return nil, errors.New("the account is no more")
	}
	t, err := e.store.Turn(ctx, row.Turn)
	if err != nil {
		return nil, nil //nolint:nilerr // there is a next time
	}
	message, err := oa.ParseMessage(t.Message)
	if err != nil {
		return nil, fmt.Errorf("the recorded message cannot be read: %w", err)
	}
	s := e.fromRow(row, a)
	s.message, s.reply, s.holder = message, t.Reply, row.Holder
	if err := e.withTarget(ctx, s, row); err != nil {
		return nil, fmt.Errorf("the answer to be fetched cannot be read: %w", err)
	}
	return s, nil
}
