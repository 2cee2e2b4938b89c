package sim

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"time"
)

// question is one that is not answered whole.
type question struct {
	number   int64
	talker   *talker
	due      time.Time
	answered chan struct{} // closed when it is, whole
	links    chan Span     // the last that can be tapped; nobody gets them after givenUp

	// Guarded by tally.mu.
	taps         int
	seen         []uint64 // hashes of the bubbles with something of the answer
	notice       bool
	acknowledged bool
	givenUp      bool
}

// wait waits, and reports false if the question is answered or ctx ends meanwhile.
func (q *question) wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-q.answered:
		return false
	case <-ctx.Done():
		return false
	case <-timer.C:
	}
	select {
	case <-q.answered: // at the same time
		return false
	default:
		return true
	}
}

// offer gives the talker a link to tap, in place of an older one. tally.mu is
// held.
func (q *question) offer(link Span) {
	if q.givenUp {
		return
	}
	select {
	case <-q.links:
	default:
	}
	q.links <- link
}

// act is a question or a tap on its way.
type act struct {
	question *question
	due      time.Time
	tap      bool
}

// tally counts what comes of a load. It keeps the questions that are not
// answered; of the others only numbers are left.
type tally struct {
	appID    string
	byOpenID map[string]*talker
	began    time.Time
	first    int64 // number of the first question
	byModel  bool  // only what a model has said is an answer
	hashes   maphash.Seed

	mu       sync.Mutex // comes after Platform.mu
	next     int64      // number of the next question
	open     map[int64]*question
	acts     map[int64]*act // by the id of the Sent
	sum      LoadReport     // what is counted as it happens
	busy     time.Time      // when the last thing happened
	content  histogram
	whole    histogram
	lateness histogram
}

// newTally begins to count.
func newTally(appID string, talkers []*talker, c *LoadConfig) *tally {
	now := time.Now()
	first := int64(1000+c.Seed%9000) * 1_000_000 // another for another seed
	l := &tally{
		appID: appID, byOpenID: make(map[string]*talker, len(talkers)), began: now, busy: now, first: first, byModel: c.Model != nil,
		hashes: maphash.MakeSeed(), next: first, open: map[int64]*question{}, acts: map[int64]*act{}, sum: LoadReport{Seed: c.Seed},
	}
	for _, t := range talkers {
		l.byOpenID[t.follower.openID] = t
	}
	return l
}

// newQuestion gives a question its number.
func (l *tally) newQuestion(t *talker, due time.Time) *question {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := &question{number: l.next, talker: t, due: due, answered: make(chan struct{}), links: make(chan Span, 1)}
	l.next++
	l.sum.Messages++
	l.open[q.number] = q
	t.waits = append(t.waits, q)
	return q
}

// acted notes a message before anything can come of it.
func (l *tally) acted(id int64, a *act) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acts[id] = a
	if a.tap {
		a.question.taps++
		l.sum.Taps++
	}
}

// ended forgets a message of which all deliveries are over.
func (l *tally) ended(s *Sent, q *question) {
	fate := s.Fate()
	ownFaults := 0
	for _, a := range s.Attempts() {
		if isOwnFault(a.Exchange.Response.Err) {
			ownFaults++
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.acts, s.ID)
	q.acknowledged = q.acknowledged || fate == Silent
	l.sum.OwnFaults += ownFaults
}

// gaveUp notes that the talker waits for the answer no longer. There may be many
// of these, so that they should be small.
func (l *tally) gaveUp(q *question) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q.givenUp, q.answered, q.links = true, nil, nil
	q.talker.stopWaiting(q)
}

// countEvent counts what became of an event.
func (l *tally) countEvent(fate Fate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sum.Events.Sent++
	switch fate {
	case Replied:
		l.sum.Events.Answered++
	case Silent:
		l.sum.Events.Acknowledged++
	}
}

// watch hears of everything that happens on the platform, with its locks held.
func (l *tally) watch(e Event) {
	if e.AppID != l.appID {
		return
	}
	t := l.byOpenID[e.OpenID]
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case e.Type == EventPause:
		l.sum.Pauses++
	case t == nil:
	case e.Type == EventDelivery:
		l.busy = time.Now()
		l.delivered(e.Delivery)
	case e.Type == EventEntry && e.Entry.From == FromWeChat:
		l.busy = time.Now()
		l.sum.Notices++
		if a := l.acts[e.Entry.Message]; a != nil {
			a.question.notice = true
		}
	case e.Type == EventEntry && e.Entry.From == FromAccount:
		l.busy = time.Now()
		l.appeared(t, e.Entry)
	}
}

// delivered counts a delivery.
func (l *tally) delivered(d *DeliveryNote) {
	if problem := d.Verdict.Problem; problem != nil {
		if l.sum.Problems == nil {
			l.sum.Problems = map[Rule]int{}
		}
		l.sum.Problems[problem.Rule]++
	}
	a := l.acts[d.Message]
	if a == nil {
		return // of an event
	}
	l.sum.Deliveries++
	if d.Number == 1 {
		l.lateness.add(l.busy.Add(-d.Elapsed).Sub(a.due))
	}
}

// appeared counts what the account says to a talker.
func (l *tally) appeared(t *talker, e *Entry) {
	text := e.Text()
	i := slices.IndexFunc(e.Bubble.Text, func(s Span) bool { return s.Say != "" })
	var about *question // the link, if there is one
	if a := l.acts[e.Message]; a != nil {
		about = a.question
	}
	named := mentions(text)
	for _, m := range named {
		// Without a model the server says what it was told, or holds out the
		// answer by a link.
		echo := !l.byModel && !m.begun && !m.ended && i < 0
		q := l.open[m.number]
		switch {
		case q == nil && m.number >= l.first && m.number < l.next && (m.ended || echo):
			l.sum.Duplicates++ // it was answered already
		case q == nil:
		case m.begun || m.ended || echo:
			l.answered(q, e, text, m.ended || echo)
		default:
			about = q
		}
	}
	waited := func(m mention) bool { return l.open[m.number] != nil }
	if i < 0 || len(named) > 0 && !slices.ContainsFunc(named, waited) {
		return // nobody asks to see again what is there
	}
	if about == nil || l.open[about.number] == nil {
		about = t.oldest()
	}
	if about != nil {
		about.offer(e.Bubble.Text[i])
	}
}

// answered counts a bubble with something of an answer.
func (l *tally) answered(q *question, e *Entry, text string, whole bool) {
	hash := maphash.String(l.hashes, text)
	if slices.Contains(q.seen, hash) {
		l.sum.Duplicates++
		return
	}
	took := l.busy.Sub(q.due)
	if q.seen == nil {
		l.content.add(took)
	}
	q.seen = append(q.seen, hash)
	if !whole {
		return
	}
	l.whole.add(took)
	l.sum.Whole++
	l.sum.WholeAfterTaps[min(q.taps, len(l.sum.WholeAfterTaps)-1)]++
	a := l.acts[e.Message]
	switch {
	case e.Via != ViaReply:
		l.sum.ByPush++
	case a == nil || a.question != q || a.tap:
		l.sum.ByFetch++
	default:
		l.sum.ByReply++
		l.sum.OnDelivery[min(e.Delivery, len(l.sum.OnDelivery))-1]++
	}
	delete(l.open, q.number)
	q.talker.stopWaiting(q)
	if !q.givenUp {
		close(q.answered)
	}
}
