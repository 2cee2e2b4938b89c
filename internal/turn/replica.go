package turn

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
)

// What a process does about the turns of others. Every delivery may reach another
// process than the one before, and a process may die at any moment.
const (
	// A turn that another process works on is looked at when something is heard of
	// it, and this often at least: while events come, and while they do not.
	lookCalmly = time.Second
	lookOften  = 150 * time.Millisecond
	// lookLimit is less than what is left when a delivery has to be decided on.
	lookLimit = 200 * time.Millisecond

	// An unfinished answer is put on record so long before deliveries are decided
	// on, or longer where commits are slow. They come so often.
	draftLead     = 350 * time.Millisecond
	deliveryEvery = 5 * time.Second

	mostNews = 1024 // events wait

	// handoverTime is enough for another process to find a turn, decide and commit.
	handoverTime = 750 * time.Millisecond

	// findLimit is how long a delivery that is not the last tries to find its turn;
	// then it is left to others.
	findLimit = time.Second
	findEvery = 50 * time.Millisecond
)

// hear takes an event of the store. It must not wait.
func (e *Engine) hear(ev store.Event) {
	if ev.Own || ev.Kind != store.TurnChanged && ev.Kind != store.Missed {
		return
	}
	select {
	case e.news <- ev:
	default:
		e.missed.Store(true)
	}
}

// listen acts on what other processes have changed, until the engine ends.
func (e *Engine) listen() {
	for {
		select {
		case ev := <-e.news:
			if e.missed.Swap(false) || ev.Kind == store.Missed {
				e.catchUp()
			}
			if ev.Kind == store.TurnChanged {
				e.changed(ev)
			}
		case <-e.ctx.Done():
			return
		}
	}
}

// catchUp is for events that were not heard.
func (e *Engine) catchUp() {
	e.mu.Lock()
	all := slices.Collect(maps.Values(e.slow))
	e.mu.Unlock()
	for _, s := range all {
		s.mu.Lock()
		waits := s.followed
		s.mu.Unlock()
		if waits {
			e.lookSoon(s)
		}
	}
	e.chore(e.ctx, "read what waits for followers", func(ctx context.Context) error {
		err := e.loadPendings(ctx)
		if err != nil {
			e.missed.Store(true) // again with the next event
		}
		return err
	})
}

func (e *Engine) changed(ev store.Event) {
	e.mu.Lock()
	s := e.slow[ev.Turn]
	e.mu.Unlock()
	if s != nil {
		e.lookSoon(s)
	}
	if ev.State != store.Waiting && ev.State != store.Expired {
		return
	}
	if s != nil {
		e.setPending(s.lane())
		return
	}
	ctx, cancel := context.WithTimeout(e.ctx, time.Second)
	defer cancel()
	row, err := e.store.Answer(ctx, ev.Turn)
	switch {
	case err == nil:
		e.setPending(laneKey{ev.Turn.Account(), row.OpenID})
	case !errors.Is(err, store.ErrNotFound):
		e.missed.Store(true)
	}
}

// follow sees to it that a turn that another process works on is looked at while
// somebody waits for it here.
func (e *Engine) follow(s *slow) {
	s.mu.Lock()
	begin := s.holder != "" && !s.followed && (!s.done || !s.replied)
	if begin {
		s.followed = true
	}
	s.mu.Unlock()
	if !begin {
		return
	}
	e.background(func() {
		for {
			e.look(s)
			every := lookOften
			if e.store.Listening() {
				every = lookCalmly
			}
			select {
			case <-time.After(every):
			case <-e.ctx.Done():
				return
			}
			s.mu.Lock()
			s.followed = s.waiting > 0 && s.holder != "" && (!s.done || !s.replied)
			over := !s.followed
			s.mu.Unlock()
			if over {
				return
			}
		}
	})
}

// lookSoon does not wait for the look, nor for one that is about to begin.
func (e *Engine) lookSoon(s *slow) {
	s.mu.Lock()
	soon := s.behind
	s.behind = true
	s.mu.Unlock()
	if !soon {
		e.background(func() { e.look(s) })
	}
}

// look takes over what other processes have made of a turn.
func (e *Engine) look(s *slow) {
	if !acquire(e.ctx, s) {
		return
	}
	s.mu.Lock()
	s.behind = false
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(e.ctx, lookLimit)
	t, row, err := e.read(ctx, s.id)
	cancel()
	s.mu.Lock()
	if err == nil {
		e.learn(s, t, row)
	}
	s.mu.Unlock()
	e.release(s)
}

// release gives back what acquire took, and does what could not be done meanwhile.
func (e *Engine) release(s *slow) {
	s.mu.Lock()
	s.claiming = false
	s.signal()
	s.mu.Unlock()
	e.keep(s)
	e.forget(s)
}

// read reads what is on record of a turn. The answer is nil where there is none
// any more, and never newer than the turn: of a turn that has a reply by now, the
// reply is known.
func (e *Engine) read(ctx context.Context, id store.TurnID) (*store.Turn, *store.Answer, error) {
	row, err := e.store.Answer(ctx, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, nil, err
	}
	t, err := e.store.Turn(ctx, id)
	return t, row, err
}

// learn takes over what is on record of a turn. s.mu is held.
func (e *Engine) learn(s *slow, t *store.Turn, row *store.Answer) {
	if s.holder == "" && !s.replied && t.State == store.Waiting { // a part was shown elsewhere
		e.later(confirmAfter+lease, func() { e.doubt(s.id) })
	}
	s.state = t.State
	if t.State != store.Working {
		s.replied, s.reply = true, t.Reply
	}
	if row == nil {
		return
	}
	s.shown = row.Shown
	if s.holder != "" && row.Holder != e.process {
		s.holder = row.Holder
	}
	if row.Done {
		s.text, s.done, s.stored = row.Text, true, true
		if t.State == store.Working {
			s.failed = t.Note
		}
	} else if s.holder != "" {
		s.text = row.Text
	}
}

// find finds a turn that is on record as being worked on: here, by another
// process, or by one that is gone.
func (e *Engine) find(ctx context.Context, id store.TurnID, a Account) (*slow, error) {
	for range 3 { // another process may be quicker to take it over
		e.mu.Lock()
		s := e.slow[id]
		e.mu.Unlock()
		if s != nil {
			return s, nil
		}
		t, row, err := e.read(ctx, id)
		if err != nil {
			return nil, err
		}
		if row == nil {
			return nil, store.ErrNotFound
		}
		alive, err := e.store.Alive(ctx, row.Holder, e.belief())
		if err != nil {
			return nil, err
		}
		if row.State == store.Working && (!alive || row.Holder == e.process) {
			e.adopt(ctx, row)
			continue
		}
		s = e.fromRow(row, a)
		s.mu.Lock()
		e.learn(s, t, row)
		s.mu.Unlock()
		if err := e.withTarget(ctx, s, row); err != nil {
			return nil, err
		}
		return e.register(s, 0), nil
	}
	return nil, store.ErrConflict
}

// findBefore is find, tried again until a moment.
func (e *Engine) findBefore(ctx context.Context, end time.Time, id store.TurnID, a Account) (*slow, error) {
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	for {
		s, err := e.find(ctx, id, a)
		if err == nil {
			return s, nil
		}
		select {
		case <-time.After(findEvery):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// withTarget loads the answer that a turn fetches, if it does.
func (e *Engine) withTarget(ctx context.Context, s *slow, row *store.Answer) error {
	if row.Target == (store.TurnID{}) {
		return nil
	}
	target, err := e.store.Answer(ctx, row.Target)
	if err == nil {
		s.target = e.load(target, s.account)
	}
	return err
}

// register keeps a turn in memory, or returns the one that is there, and counts so
// many who wait for it.
func (e *Engine) register(s *slow, waiting int) *slow {
	e.mu.Lock()
	known := e.slow[s.id]
	if known == nil {
		known, s.since = s, time.Now()
		e.slow[s.id] = s
		if s.holder != "" { // as long as deliveries may come
			e.later(giveUp, func() { e.forget(s) })
		}
	}
	known.mu.Lock()
	known.waiting += waiting
	known.mu.Unlock()
	e.mu.Unlock()
	if known != s {
		e.drop(s)
	}
	return known
}

// drop gives back what a turn holds that is not used after all.
func (e *Engine) drop(s *slow) {
	if s.target != nil {
		e.depart(s.target)
	}
}

// doubt is for a reply that another process has given: if it is not on record as
// accepted when it should be, that process did not live to see it.
func (e *Engine) doubt(id store.TurnID) {
	e.mu.Lock()
	_, given := e.unconfirmed[id]
	if s := e.slow[id]; s != nil {
		s.mu.Lock()
		given = given || !s.given.IsZero() || s.waiting > 0
		s.mu.Unlock()
	}
	e.mu.Unlock()
	if given { // it is seen to here
		return
	}
	row, err := e.store.Answer(e.ctx, id)
	if err == nil && row.Sending == sendingReply && row.State == store.Waiting {
		err = e.unsure(e.ctx, row)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		e.log.Warn("a reply of another process may not have reached the follower, who may not be told", "turn", id, "error", err)
	}
}

// accepted notes that a reply was, which another process has made and may not have
// lived to hand out: a repeat got it here.
func (e *Engine) accepted(id store.TurnID) {
	row, err := e.store.Answer(e.ctx, id)
	if err == nil && row.Sending == sendingReply {
		err = e.store.Apply(e.ctx, store.Change{ID: id, From: []store.State{row.State}, Holder: row.Holder, Sending: new("")})
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrConflict) {
		e.log.Warn("that a reply was accepted is not on record; the follower may be offered the answer again", "turn", id, "error", err)
	}
}

// handover is how much earlier the last delivery is decided on than it must be,
// for the case that this process dies over it: then it is passed on to another.
func (e *Engine) handover() time.Duration {
	if e.Replicas() > 1 {
		return handoverTime
	}
	return 0
}

// saveDrafts puts on record what there is of an unfinished answer shortly before
// deliveries are decided on, so that any process can show it.
func (e *Engine) saveDrafts(s *slow, saved string) {
	margin := e.store.pace.margin(time.Now())
	at := func(delivery int) time.Time { // from 0
		t := s.first.Add(time.Duration(delivery)*deliveryEvery + e.Deadline - margin - max(draftLead, margin))
		if delivery == lastCount-1 {
			t = t.Add(-e.handover())
		}
		return t
	}
	next := int(max(0, time.Since(s.first)) / deliveryEvery)
	for !at(next).After(time.Now()) {
		next++
	}
	e.later(time.Until(at(next)), func() {
		if saved, again := e.saveDraft(s, saved); again {
			e.saveDrafts(s, saved)
		}
	})
}

// saveDraft returns what is on record now, and whether there may be more to come.
func (e *Engine) saveDraft(s *slow, saved string) (now string, again bool) {
	if !acquire(e.ctx, s) {
		return saved, false
	}
	defer e.release(s)
	s.mu.Lock()
	text, again := s.text, !s.done && s.holder == ""
	s.mu.Unlock()
	if !again || text == saved {
		return saved, again
	}
	err := e.apply(draftLead, store.Change{ID: s.id, Holder: e.process, Text: &text}) // then deliveries are decided on
	if err != nil {
		return saved, !errors.Is(err, store.ErrConflict)
	}
	return text, true
}
