// Package turn gives every message one answer. A turn is one message and its
// answer, from the first delivery to its end: it is recorded before a byte of
// the answer is written, and every repeat of the delivery gets the same bytes.
//
// It knows nothing of rules or models: what to say comes from a [Robot].
package turn

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/oa"
)

// repeatTimeout is how long after its arrival a repeat, whose answer is known,
// is noted before it is answered.
const repeatTimeout = 4 * time.Second

// Answer is what a robot says.
type Answer struct {
	Reply oa.Reply
	By    string // what decided, for the record
	// Question, if it is set, is what the robot has to work on: the answer takes
	// time, and comes from [Robot].Work. There is no Reply then.
	Question string
}

// Result is what the robot's work has come to.
type Result struct {
	Text  string // markdown; beside an error what to tell the follower
	Usage store.Usage
}

// Robot decides what to say. It is asked once while a message is worked on. A
// repeat that comes after the message is on record is asked about again, but
// the recorded answer counts.
type Robot interface {
	Answer(*oa.Request) (Answer, error)
	// Sorry is the answer when Answer has failed.
	Sorry(*oa.Request) Answer
	// Work answers a question in its own time. The draft takes what there is to
	// say up to now. When ctx ends the process stops, and another one begins the
	// work again.
	Work(context.Context, Question, *Draft) (Result, error)
	// Expect forecasts when work that began then, and has so many bytes of an
	// answer by now, will be over.
	Expect(started time.Time, bytes int) (ready time.Time, known bool)
}

// Account is whose turns they are.
type Account struct {
	// Key tells the account from all others while the process lives.
	Key string
	// ID is the account's number in the store, which may have to be asked.
	ID    func(context.Context) (int64, error)
	Robot Robot
	// Push sends customer-service messages; nil if the account has no secret.
	Push Pusher
	// Guest says that nobody registered the account: it has neither memory nor
	// mailbox, since everybody who knows its Token could read them.
	Guest bool
}

// Config is what an engine needs.
type Config struct {
	Store *store.Store
	Log   *slog.Logger
	// Accounts finds the account of a turn on record.
	Accounts func(id int64) (Account, bool)
	// Wake tells the job queue that there is something to do. Optional.
	Wake func()
	// Deadline is how long after its arrival a delivery can be answered; 0 is
	// that of package oa.
	Deadline time.Duration
	// Window is how long after the first delivery an answer can be shown; 0 is
	// 14.5 s.
	Window time.Duration
	// Budget is how many deliveries of an account may be left unanswered on
	// purpose within five minutes; below 0 there is no limit. The processes that
	// share a store share it: each has its part, but at least one.
	Budget int
	// Keep is how long an answer waits to be fetched; 0 is 48 hours.
	Keep time.Duration
	// PublicURL is where followers reach this server, for the links to full
	// answers; "" is nowhere.
	PublicURL string
	// Replays says that deliveries of plain mode may be captured ones that are
	// sent again (see oa.WithMaxAge). Nobody can be told from anybody else then,
	// and the mode has neither mailbox nor memory.
	Replays bool
	// Alone says that no other process uses the store while this one does.
	Alone bool
}

// DefaultBudget is the number of deliberate time-outs that are safe; what
// WeChat allows is not published (reference §4.6).
const DefaultBudget = 20

// Engine runs the turns of all accounts.
type Engine struct {
	Config
	store   *counted
	log     *slog.Logger
	process string    // names this one among those that share the store
	began   time.Time // when it started
	clock   clock
	news    chan store.Event // of other processes
	missed  atomic.Bool      // more came than there was room for
	living  atomic.Int64     // processes, when they were last counted
	pulse   pulse
	backlog backlog
	away    atomic.Bool // the store could not be written when it was last tried

	ctx      context.Context // ends with the engine
	cancel   context.CancelFunc
	stopping chan struct{} // closed before that: open deliveries are left to the successor
	stop     sync.Once
	works    sync.WaitGroup

	mu          sync.Mutex // may be held while a turn's is taken, not the other way round
	stopped     bool
	open        map[key]*turn          // being worked on, or held in the backlog
	slow        map[store.TurnID]*slow // those whose answer takes time
	lanes       map[laneKey]*lane
	pending     map[laneKey]int // followers for whom something waits, see setPending
	pendings    int
	offers      map[store.TurnID]bool
	spent       map[laneKey]int // customer-service messages since the follower's last act
	unconfirmed map[store.TurnID]*slow
	windows     map[string]*patience // by Account.Key
	doubtful    []store.TurnID       // of which nobody knows whether they are on record
}

// key tells a message from all others while the process lives.
type key struct {
	account string // Account.Key
	message string // oa.Request.Key
}

// turn is a message on its way to the record.
type turn struct {
	key     key
	account Account
	done    chan struct{}

	// The following are settled when done is closed.
	record     store.Turn
	createTime int64
	sequence   uint64
	held       bool  // in the backlog
	slow       *slow // the answer takes time: deliveries wait for it
	err        error
}

// New returns an engine that records in the store. Call [Engine.Recover] and
// [Engine.Run] too.
func New(c Config) *Engine {
	c.Deadline = cmp.Or(c.Deadline, oa.DefaultDeadline)
	c.Window = cmp.Or(c.Window, 14500*time.Millisecond)
	c.Keep = cmp.Or(c.Keep, 48*time.Hour)
	e := &Engine{
		Config: c, store: newCounted(c.Store), log: c.Log, process: rand.Text(), began: time.Now(), news: make(chan store.Event, mostNews),
		stopping: make(chan struct{}), open: map[key]*turn{}, slow: map[store.TurnID]*slow{}, lanes: map[laneKey]*lane{},
		pending: map[laneKey]int{}, offers: map[store.TurnID]bool{}, spent: map[laneKey]int{},
		unconfirmed: map[store.TurnID]*slow{}, windows: map[string]*patience{},
	}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e
}

// Handler answers the deliveries of one account.
func (e *Engine) Handler(a Account) oa.Handler {
	return oa.HandlerFunc(func(ctx context.Context, r *oa.Request) (oa.Reply, error) {
		t, repeat := e.enter(a, r)
		if repeat {
			return e.join(ctx, t, r)
		}
		e.first(ctx, t, r)
		if t.err == nil && t.slow != nil {
			return e.deliver(ctx, t.slow, r)
		}
		return oa.Encoded(t.record.Reply), t.err
	})
}

// first works on the first delivery of a message until it is on record.
func (e *Engine) first(ctx context.Context, t *turn, r *oa.Request) {
	defer func() {
		if p := recover(); p != nil { // nothing is on record, so nothing is acknowledged
			e.logPanic("a turn panicked", p)
			t.err = oa.ErrUnanswered
		}
		if !t.held && t.slow == nil {
			e.leave(t)
		}
		close(t.done)
	}()
	if e.patience(t.account.Key).note(r.Arrived, t.createTime) {
		e.log.Warn("WeChat was silent after time-outs, it may have paused its pushes (MarkFail); no delivery is left unanswered for a while", "pause", suspectPause)
	}
	question, target, err := e.decide(ctx, t, r)
	if err != nil {
		t.err = err
		return
	}
	if question != "" || target != nil {
		t.err = e.begin(ctx, t, r, question, target)
		return
	}
	t.err = e.settle(ctx, t, r)
	if t.record.Follow == store.Unsubscribed {
		e.forgetFollower(t)
	}
}

// enter finds the turn of a delivery that came before, or opens one.
func (e *Engine) enter(a Account, r *oa.Request) (t *turn, repeat bool) {
	k := key{a.Key, r.Key()}
	e.mu.Lock()
	defer e.mu.Unlock()
	if t, repeat = e.open[k]; repeat {
		return t, true
	}
	t = &turn{key: k, account: a, done: make(chan struct{}), err: oa.ErrUnanswered,
		createTime: r.Message.Head().CreateTime, sequence: uint64(r.MsgID())}
	e.open[k] = t
	return t, false
}

func (e *Engine) leave(t *turn) {
	e.mu.Lock()
	delete(e.open, t.key)
	e.mu.Unlock()
}

// join gives a repeat the answer of the delivery that came before.
func (e *Engine) join(ctx context.Context, t *turn, r *oa.Request) (oa.Reply, error) {
	select {
	case <-t.done:
	case <-ctx.Done():
		return oa.Reply{}, oa.ErrUnanswered
	}
	if t.err != nil {
		return oa.Reply{}, t.err
	}
	if t.slow != nil {
		return e.deliver(ctx, t.slow, r)
	}
	if !t.held {
		repeat := *t
		repeat.record.ArrivedAt, repeat.record.AnsweredAt = e.clock.shared(r.Arrived), e.clock.now()
		ctx, cancel := context.WithDeadline(ctx, r.Arrived.Add(repeatTimeout))
		defer cancel()
		if _, err := e.record(ctx, &repeat); err != nil {
			e.log.Warn("a repeated delivery was answered but is not on record", "error", err)
		}
	}
	return oa.Encoded(t.record.Reply), nil
}

// decide fills in the record: with what the robot says, or a word about the
// mailbox. A question, or the answer to be fetched, is what takes time. With an
// error the delivery is left to others.
func (e *Engine) decide(ctx context.Context, t *turn, r *oa.Request) (question string, target *slow, err error) {
	t.record = store.Turn{
		OpenID:    follower(r.Message),
		Kind:      r.Kind(),
		Message:   []byte(r.Body()),
		State:     store.Answered,
		ArrivedAt: e.clock.shared(r.Arrived),
	}
	if !e.Alone && !t.account.Guest && r.Account.Mode == oa.Plain {
		t.record.Signature = r.Signature
	}
	switch m := r.Message.(type) {
	case *oa.SubscribeEvent:
		t.record.Follow, t.record.Scene = store.Subscribed, m.Scene
	case *oa.UnsubscribeEvent:
		t.record.Follow = store.Unsubscribed
	}
	w, fetch := e.fetch(ctx, t.account, r)
	if w.target != nil {
		return "", w.target, nil
	}
	if w.err != nil && e.leaveToOthers(t, r) {
		return "", nil, oa.ErrUnanswered
	}
	answer, err := Answer{Reply: said(w.say), By: "fetch"}, w.err
	if !fetch {
		answer, err = e.ask(t.account.Robot.Answer, r)
	}
	if err == nil && answer.Question != "" {
		return answer.Question, nil, nil
	}
	if err != nil {
		e.log.Error("the robot failed; the follower gets the fallback", "kind", t.record.Kind, "error_type", fmt.Sprintf("%T", err))
		t.record.State, t.record.Note = store.Failed, err.Error()
		answer, _ = e.ask(func(r *oa.Request) (Answer, error) { return t.account.Robot.Sorry(r), nil }, r)
	}
	e.finish(t, r, Answer{Reply: e.offer(ctx, t.account, r, answer.Reply), By: answer.By})
	return "", nil, nil
}

// finish fills in an answer that needs no waiting.
func (e *Engine) finish(t *turn, r *oa.Request, answer Answer) {
	t.record.By = answer.By
	// With the message's time in it, the same answer is the same bytes for a
	// repeat of which nobody knows that it is one.
	t.record.Reply = r.Encode(answer.Reply, time.Unix(t.createTime, 0))
	if len(t.record.Reply) == 0 && t.record.State == store.Answered {
		t.record.State = store.Acknowledged
	}
	t.record.AnsweredAt = e.clock.now()
}

// begin records a turn whose answer takes time, and starts on it. A turn that is
// on record already is gone on with.
func (e *Engine) begin(ctx context.Context, t *turn, r *oa.Request, question string, target *slow) error {
	sorry := func(text string) error {
		if target != nil {
			e.depart(target)
		}
		e.finish(t, r, Answer{Reply: said(text), By: "busy"})
		return e.settle(ctx, t, r)
	}
	if e.away.Load() {
		if e.leaveToOthers(t, r) {
			return oa.ErrUnanswered
		}
		return e.apologize(ctx, t, r)
	}
	account, err := t.account.ID(ctx)
	if err != nil {
		return oa.ErrUnanswered
	}
	lane := laneKey{account, t.record.OpenID}
	if target == nil && e.full(lane) {
		return sorry(textBusy)
	}
	if t.account.Push != nil {
		e.renew(lane)
	}
	s := e.newSlow(ctx, t, r, account, question, target)
	t.record.State = store.Working
	t.record.Answer = &store.Answer{Holder: e.process, Question: question, Token: s.token, Page: s.page, Runs: 1,
		Remembered: s.remembered, Timeline: []store.Step{{At: t.record.ArrivedAt, What: "message", Detail: t.record.Kind}}}
	if target != nil {
		t.record.Answer.Target, t.record.Answer.Runs = target.id, 0
	}
	failpoint("before record")
	stored, fresh, err := e.recordFresh(context.WithoutCancel(ctx), t)
	failpoint("after record")
	if err != nil {
		t.record.Answer = nil
		if target != nil {
			e.depart(target)
		}
		e.doubtRecord(s.id)
		if e.away.CompareAndSwap(false, true) {
			e.log.Error("the store is unavailable; what needs no store is answered from memory until it is back", "error", err)
		}
		if e.isLast(t, r) {
			return e.apologize(ctx, t, r)
		}
		return oa.ErrUnanswered
	}
	if !fresh {
		if target != nil {
			e.depart(target)
		}
		return e.attach(ctx, t, r, stored)
	}
	e.mu.Lock()
	e.slow[s.id], t.slow = s, s
	e.mu.Unlock()
	e.later(giveUp, func() { e.abandon(s) })
	if target == nil {
		e.enqueue(s)
	}
	return nil
}

// apologize answers a question that cannot be recorded.
func (e *Engine) apologize(ctx context.Context, t *turn, r *oa.Request) error {
	e.finishSorry(t, r)
	return e.settle(ctx, t, r)
}

// finishSorry fills in an apology.
func (e *Engine) finishSorry(t *turn, r *oa.Request) {
	answer, _ := e.ask(func(r *oa.Request) (Answer, error) { return t.account.Robot.Sorry(r), nil }, r)
	t.record.State = store.Answered
	e.finish(t, r, answer)
}

// leaveToOthers reports whether a message that cannot be worked on here is left
// unanswered, on the budget of deliberate time-outs: WeChat brings it again, and
// another process may have a database, or this one by then.
func (e *Engine) leaveToOthers(t *turn, r *oa.Request) bool {
	return !e.Alone && !e.isLast(t, r) && e.patience(t.account.Key).ride(time.Now(), e.share())
}

func (e *Engine) newSlow(ctx context.Context, t *turn, r *oa.Request, account int64, question string, target *slow) *slow {
	s := &slow{
		id: store.NewTurnID(account, t.createTime, t.sequence, t.key.message), account: t.account, openid: t.record.OpenID,
		first: r.Arrived, created: t.createTime, key: t.key, target: target, question: question, message: r.Message,
		changed: make(chan struct{}), state: store.Working, clock: &e.clock,
	}
	if target != nil {
		s.ended = true
		return s
	}
	s.token = newToken()
	if !t.account.Guest {
		trusted, err := e.trusted(ctx, t.account, r)
		if err != nil {
			e.log.Warn("whether a message is its sender's cannot be told; it gets no memory", "turn", s.id, "error", err)
		}
		s.remembered = trusted
		if e.PublicURL != "" {
			s.page = newPage()
		}
	}
	return s
}

// isLast reports whether a delivery is the last one by the message's age.
func (e *Engine) isLast(t *turn, r *oa.Request) bool {
	return e.patience(t.account.Key).age(r.Arrived, t.createTime) >= lastAge
}

// attach goes on with a turn that is on record already. A last delivery that
// cannot find it in time gets an apology: the turn goes on, and its answer is
// pushed, or offered in the mailbox.
func (e *Engine) attach(ctx context.Context, t *turn, r *oa.Request, stored *store.Turn) error {
	if stored.State != store.Working {
		t.record.Reply = stored.Reply
		e.later(confirmAfter, func() { e.accepted(stored.ID) })
		return nil
	}
	last, limit := e.isLast(t, r), findLimit
	if last {
		limit = e.Deadline - writeMargin
	}
	s, err := e.findBefore(ctx, r.Arrived.Add(limit), stored.ID, t.account)
	if err != nil {
		e.log.Warn("a turn on record cannot be gone on with here", "turn", stored.ID, "last_delivery", last, "error", err)
		if !last {
			return oa.ErrUnanswered
		}
		e.finishSorry(t, r)
		return nil
	}
	e.mu.Lock()
	t.slow = s
	s.key = t.key
	e.mu.Unlock()
	return nil
}

// follower is whose message it is: nobody's where the sender is the system
// (reference §6).
func follower(m oa.Message) string {
	switch m.(type) {
	case oa.Info, *oa.MassSendJobFinishEvent, *oa.PublishJobFinishEvent, *oa.CertificationEvent, *oa.UserDataEvent,
		*oa.MediaCheckEvent, *oa.CardCheckEvent, *oa.CardSkuRemindEvent, *oa.CardPayOrderEvent, *oa.CardMerchantCheckEvent,
		*oa.PoiCheckEvent, *oa.MapPoiAuditEvent:
		return ""
	}
	return m.Head().FromUserName
}

// ask survives a panic of the robot.
func (e *Engine) ask(robot func(*oa.Request) (Answer, error), r *oa.Request) (a Answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			e.logPanic("the robot panicked", p)
			a, err = Answer{}, fmt.Errorf("the robot panicked (%T)", p)
		}
	}()
	return robot(r)
}

// logPanic does not repeat the text of a panic, which may hold a follower's.
func (e *Engine) logPanic(what string, p any) {
	e.log.Error(what, "panic_type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
}

// settle records the turn. While the store is unavailable the turn is held in
// memory and counts as recorded; when it does not fit there either, the
// delivery stays unanswered, and WeChat brings it again.
func (e *Engine) settle(ctx context.Context, t *turn, r *oa.Request) error {
	if !e.away.Load() {
		stored, err := e.commit(ctx, t)
		if err == nil && stored.State == store.Working { // what takes time now did not then
			return e.attach(ctx, t, r, stored)
		}
		if err == nil {
			t.record.Reply = stored.Reply
			return nil
		}
		if e.away.CompareAndSwap(false, true) {
			e.log.Error("the store is unavailable; answers go on from memory until it is back", "error", err)
		}
	}
	if t.held = e.backlog.add(t); !t.held {
		return oa.ErrUnanswered
	}
	return nil
}

// commit records the turn's first delivery. Whether WeChat is still waiting
// makes no difference to it.
func (e *Engine) commit(ctx context.Context, t *turn) (*store.Turn, error) {
	return e.record(context.WithoutCancel(ctx), t)
}

// recordFresh is record, and says whether the turn was not there before.
func (e *Engine) recordFresh(ctx context.Context, t *turn) (*store.Turn, bool, error) {
	id, err := t.account.ID(ctx)
	if err != nil {
		return nil, false, err
	}
	record := t.record
	record.ID = store.NewTurnID(id, t.createTime, t.sequence, t.key.message)
	return e.store.Record(ctx, &record)
}

// record records one delivery and returns what is stored, which is an earlier
// delivery's where there was one.
func (e *Engine) record(ctx context.Context, t *turn) (*store.Turn, error) {
	stored, _, err := e.recordFresh(ctx, t)
	return stored, err
}
