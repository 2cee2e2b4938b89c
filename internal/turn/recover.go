package turn

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
)

// How processes that share a store know of each other.
const (
	// lease is how long a process is believed to be alive after its last beat,
	// short enough that another one can answer the next delivery.
	lease = 4 * time.Second

	beatEvery   = time.Second
	sweepAtOnce = 500
	expireEvery = time.Minute
)

// Recover takes over what the process before has left unfinished. Call it
// before deliveries are served, so that their repeats find it.
func (e *Engine) Recover(ctx context.Context) error {
	if err := e.beat(ctx); err != nil {
		return err
	}
	if err := e.loadPendings(ctx); err != nil {
		return err
	}
	if err := e.sweep(ctx); err != nil {
		return err
	}
	if e.Alone { // what was answered just before the end of the process before is too young now
		e.later(giveUp+time.Second, func() {
			if err := e.sweep(e.ctx); err != nil {
				e.log.Warn("replies of the process before, of which nobody knows whether they went out, could not be looked for", "error", err)
			}
		})
	}
	return nil
}

func (e *Engine) loadPendings(ctx context.Context) error {
	pendings, err := e.store.Pendings(ctx)
	for _, p := range pendings {
		e.setPending(laneKey{p.Account, p.OpenID})
	}
	return err
}

// beat says that this process is alive, where there may be others, compares the
// clocks, and counts who is alive.
func (e *Engine) beat(ctx context.Context) error {
	if e.Alone {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lease)
	defer cancel()
	if err := e.clock.compare(ctx, e.store.Now); err != nil {
		return err
	}
	if err := e.store.Beat(ctx, e.process); err != nil {
		return err
	}
	e.pulse.beat(time.Now())
	n, err := e.store.Living(ctx, lease)
	if err == nil {
		e.living.Store(int64(n))
	}
	return err
}

// Replicas is how many processes share the store, this one included.
func (e *Engine) Replicas() int { return max(int(e.living.Load()), 1) }

// pulse tells whether this process has been heard of without a gap: while it was
// not, perhaps because of the database, others need not have been either, and are
// believed to be alive.
type pulse struct {
	mu          sync.Mutex
	since, last time.Time
}

const longestGap = lease / 2

func (p *pulse) beat(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.last) > longestGap {
		p.since = now
	}
	p.last = now
}

func (p *pulse) steady(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now.Sub(p.last) <= longestGap && now.Sub(p.since) >= lease
}

// belief is how long ago a process may have been heard of to be alive. One that
// has left is gone at once.
func (e *Engine) belief() time.Duration {
	if e.Alone || e.pulse.steady(time.Now()) {
		return lease
	}
	return forever
}

const forever = 24 * time.Hour

// sweep finishes what processes have left that are gone.
func (e *Engine) sweep(ctx context.Context) error {
	belief := e.belief()
	orphans, err := e.store.Orphans(ctx, belief, sweepAtOnce)
	if err != nil {
		return err
	}
	for _, row := range orphans {
		if row.Holder != e.process {
			e.adopt(ctx, row)
		}
	}
	unconfirmed, err := e.store.Unconfirmed(ctx, e.clock.now().Add(-giveUp), belief, sweepAtOnce)
	if err != nil {
		return err
	}
	for _, row := range unconfirmed {
		if row.Holder == e.process {
			continue
		}
		if err := e.unsure(ctx, row); err != nil {
			return err
		}
	}
	return nil
}

// mostDoubtful bounds what is looked for when the store is back. WeChat brings
// again what is not.
const mostDoubtful = 20_000

// doubtRecord notes turns that could not be recorded and may be on record all the
// same: the connection was lost, or nobody waited for the commit any more.
func (e *Engine) doubtRecord(ids ...store.TurnID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.doubtful)+len(ids) <= mostDoubtful {
		e.doubtful = append(e.doubtful, ids...)
	}
}

func (e *Engine) takeDoubtful() []store.TurnID {
	e.mu.Lock()
	defer e.mu.Unlock()
	ids := e.doubtful
	e.doubtful = nil
	return ids
}

// reclaim begins to work on those of the turns that are on record after all.
func (e *Engine) reclaim(ctx context.Context, ids []store.TurnID) {
	for i, id := range ids {
		row, err := e.store.Answer(ctx, id)
		switch {
		case err == nil && row.State == store.Working && row.Holder == e.process:
			e.adopt(ctx, row)
		case err != nil && !errors.Is(err, store.ErrNotFound):
			e.doubtRecord(ids[i:]...)
			return
		}
	}
}

// unsure puts an answer into the mailbox of which nobody knows whether its
// reply has reached the follower. Of several processes that would one does.
func (e *Engine) unsure(ctx context.Context, row *store.Answer) error {
	lane := laneKey{row.Turn.Account(), row.OpenID}
	a, ok := e.Accounts(lane.account)
	expires := e.clock.now().Add(e.Keep)
	step := []store.Step{{At: e.clock.now(), What: "unsure", Detail: "nobody saw whether the reply arrived"}}
	back := store.Change{ID: row.Turn, From: []store.State{store.Answered, store.Waiting}, Holder: row.Holder, To: store.Waiting,
		WasShown: &row.Shown, Shown: new(""), Sending: new(sendingUnsure), ExpiresAt: expires, Steps: step}
	changes := []store.Change{back}
	switch {
	case !ok || a.Guest:
		changes = []store.Change{{ID: row.Turn, Sending: new("")}}
	case row.Target != (store.TurnID{}): // a page of an earlier answer
		back.ID, back.From, back.Holder, back.WasShown, back.Shown = row.Target, []store.State{store.Waiting, store.Fetched}, "", nil, &row.Shown
		changes = []store.Change{back, {ID: row.Turn, Holder: row.Holder, NewHolder: &e.process, Sending: new("")}}
	}
	err := e.store.Apply(ctx, changes...)
	if errors.Is(err, store.ErrConflict) { // somebody else has seen to it
		return nil
	}
	if err == nil && len(changes[0].Steps) > 0 {
		e.setPending(lane)
	}
	return err
}

// expire ends the waiting of answers that nobody has fetched in time.
func (e *Engine) expire(ctx context.Context) error {
	rows, err := e.store.ExpiredAnswers(ctx, e.clock.now(), sweepAtOnce)
	if err != nil {
		return err
	}
	for _, row := range rows {
		err := e.store.Apply(ctx, store.Change{ID: row.Turn, From: before(store.Expired), To: store.Expired, Sending: new(sendingNews),
			Steps: []store.Step{{At: e.clock.now(), What: store.Expired.String()}}})
		if err != nil && !errors.Is(err, store.ErrConflict) {
			return err
		}
		e.setPending(laneKey{row.Turn.Account(), row.OpenID})
	}
	return nil
}

// pushLost is how long after an answer was whole its push is no longer tried,
// whatever happened: all attempts together take minutes.
const pushLost = 30 * time.Minute

// rescue puts answers into the mailbox whose push is lost: its job was discarded
// because processes died over it.
func (e *Engine) rescue(ctx context.Context) error {
	rows, err := e.store.Unpushed(ctx, e.clock.now().Add(-pushLost), sweepAtOnce)
	if err != nil {
		return err
	}
	for _, row := range rows {
		p := &push{engine: e, row: row, lane: laneKey{row.Turn.Account(), row.OpenID}}
		if err := p.wait(ctx, "the push is lost"); err != nil && !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return nil
}

// forgetFollower deletes what waits for somebody who has left, and what was
// said (reference §6.1).
func (e *Engine) forgetFollower(t *turn) {
	e.background(func() {
		id, err := t.account.ID(e.ctx)
		if err == nil {
			err = e.store.ForgetAnswers(e.ctx, id, t.record.OpenID)
		}
		if err != nil {
			e.log.Warn("the answers for a follower who left could not be deleted", "error", err)
			return
		}
		k := laneKey{id, t.record.OpenID}
		e.clearPending(k, e.isPending(k))
	})
}

// patience returns what is known of WeChat's deliveries to an account.
func (e *Engine) patience(account string) *patience {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.windows[account]
	if p == nil {
		if len(e.windows) > 20_000 { // of guests, mostly
			clear(e.windows)
		}
		p = &patience{began: e.began}
		e.windows[account] = p
	}
	return p
}

// anyPending spares followers for whom nothing waits the look into the store.
func (e *Engine) anyPending() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.pending) > 0
}

// isPending returns a number other than 0 when something may wait for the follower.
func (e *Engine) isPending(k laneKey) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.pending[k]
}

// setPending notes that something waits for the follower, with a new number each
// time, so that what came since a look into the store is not overlooked.
func (e *Engine) setPending(k laneKey) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pendings++
	e.pending[k] = e.pendings
}

// clearPending notes that nothing waits, unless something has come since the
// number was seen.
func (e *Engine) clearPending(k laneKey, seen int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.pending[k] == seen {
		delete(e.pending, k)
	}
}

func (e *Engine) offered(id store.TurnID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.offers[id]
}

func (e *Engine) setOffered(id store.TurnID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.offers) > 100_000 { // then they are offered once more
		clear(e.offers)
	}
	e.offers[id] = true
}

func (e *Engine) wake() {
	if e.Wake != nil {
		e.Wake()
	}
}

// background runs f, unless the engine has stopped.
func (e *Engine) background(f func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped {
		return false
	}
	e.works.Go(f)
	return true
}

// later runs f after a while, unless the engine has stopped by then.
func (e *Engine) later(d time.Duration, f func()) {
	time.AfterFunc(d, func() { e.background(f) })
}

// Drain lets go of the deliveries that wait for an answer, without a byte, so
// that their repeats reach the successor. Call it when the process is to stop,
// before the HTTP server is shut down.
func (e *Engine) Drain() { e.stop.Do(func() { close(e.stopping) }) }

// finishAll is the end: work is broken off, to be begun again by the successor,
// and what is known is put on record.
func (e *Engine) finishAll(ctx context.Context) {
	e.Drain()
	e.cancel()
	e.mu.Lock()
	e.stopped = true
	e.mu.Unlock()
	e.works.Wait()
	e.mu.Lock()
	var confirmed []store.Change
	for id := range e.unconfirmed {
		confirmed = append(confirmed, store.Change{ID: id, Sending: new("")})
	}
	for _, s := range e.slow {
		s.mu.Lock()
		if steps := s.takeSteps(); len(steps) > 0 && s.holder == "" {
			ch := store.Change{ID: s.id, Steps: steps}
			if s.target == nil && !s.stored && s.text != "" {
				ch.Text = &s.text
			}
			confirmed = append(confirmed, ch)
		}
		s.mu.Unlock()
	}
	e.mu.Unlock()
	for _, ch := range confirmed {
		if err := e.store.Apply(ctx, ch); err != nil && !errors.Is(err, store.ErrConflict) {
			e.log.Warn("the end of a turn could not be recorded", "turn", ch.ID, "error", err)
			break
		}
	}
	if !e.Alone {
		if err := e.store.Leave(ctx, e.process); err != nil {
			e.log.Warn("the other processes could not be told that this one stops", "error", err)
		}
	}
}
