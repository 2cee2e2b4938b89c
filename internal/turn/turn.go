// Package turn gives every message one answer. A turn is one message and its
// answer, from the first delivery to its end: it is recorded before a byte of
// the answer is written, and every repeat of the delivery gets the same bytes.
//
// It knows nothing of rules or models: what to say comes from a [Robot].
package turn

import (
	"context"
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
}

// Robot decides what to say. It is asked once while a message is worked on. A
// repeat that comes after the message is on record is asked about again, but
// the recorded answer counts.
type Robot interface {
	Answer(*oa.Request) (Answer, error)
	// Sorry is the answer when Answer has failed.
	Sorry(*oa.Request) Answer
}

// Account is whose turns they are.
type Account struct {
	// Key tells the account from all others while the process lives.
	Key string
	// ID is the account's number in the store, which may have to be asked.
	ID    func(context.Context) (int64, error)
	Robot Robot
}

// Engine runs the turns of all accounts.
type Engine struct {
	store   *store.Store
	log     *slog.Logger
	backlog backlog
	away    atomic.Bool // the store could not be written when it was last tried

	mu   sync.Mutex
	open map[key]*turn // being worked on, or held in the backlog
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
	held       bool // in the backlog
	err        error
}

// New returns an engine that records in the store. Call [Engine.Run] too.
func New(s *store.Store, log *slog.Logger) *Engine {
	return &Engine{store: s, log: log, open: map[key]*turn{}}
}

// Handler answers the deliveries of one account.
func (e *Engine) Handler(a Account) oa.Handler {
	return oa.HandlerFunc(func(ctx context.Context, r *oa.Request) (reply oa.Reply, err error) {
		t, repeat := e.enter(a, r)
		if repeat {
			return e.join(ctx, t, r)
		}
		defer func() {
			if p := recover(); p != nil { // nothing is on record, so nothing is acknowledged
				e.logPanic("a turn panicked", p)
				err = oa.ErrUnanswered
			}
			if !t.held {
				e.leave(t)
			}
			close(t.done)
		}()
		e.decide(t, r)
		t.err = e.settle(ctx, t)
		return oa.Encoded(t.record.Reply), t.err
	})
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
	if !t.held {
		repeat := *t
		repeat.record.ArrivedAt, repeat.record.AnsweredAt = r.Arrived, time.Now()
		ctx, cancel := context.WithDeadline(ctx, r.Arrived.Add(repeatTimeout))
		defer cancel()
		if _, err := e.record(ctx, &repeat); err != nil {
			e.log.Warn("a repeated delivery was answered but is not on record", "error", err)
		}
	}
	return oa.Encoded(t.record.Reply), nil
}

// decide asks the robot and fills in the record.
func (e *Engine) decide(t *turn, r *oa.Request) {
	t.record = store.Turn{
		OpenID:    follower(r.Message),
		Kind:      r.Kind(),
		Message:   []byte(r.Body()),
		State:     store.Answered,
		ArrivedAt: r.Arrived,
	}
	switch m := r.Message.(type) {
	case *oa.SubscribeEvent:
		t.record.Follow, t.record.Scene = store.Subscribed, m.Scene
	case *oa.UnsubscribeEvent:
		t.record.Follow = store.Unsubscribed
	}
	answer, err := e.ask(t.account.Robot.Answer, r)
	if err != nil {
		e.log.Error("the robot failed; the follower gets the fallback", "kind", t.record.Kind, "error_type", fmt.Sprintf("%T", err))
		t.record.State, t.record.Note = store.Failed, err.Error()
		answer, _ = e.ask(func(r *oa.Request) (Answer, error) { return t.account.Robot.Sorry(r), nil }, r)
	}
	t.record.By = answer.By
	// With the message's time in it, the same answer is the same bytes for a
	// repeat of which nobody knows that it is one.
	t.record.Reply = r.Encode(answer.Reply, time.Unix(t.createTime, 0))
	if len(t.record.Reply) == 0 && err == nil {
		t.record.State = store.Acknowledged
	}
	t.record.AnsweredAt = time.Now()
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
func (e *Engine) settle(ctx context.Context, t *turn) error {
	if !e.away.Load() {
		stored, err := e.commit(ctx, t)
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

// record records one delivery and returns what is stored, which is an earlier
// delivery's where there was one.
func (e *Engine) record(ctx context.Context, t *turn) (*store.Turn, error) {
	id, err := t.account.ID(ctx)
	if err != nil {
		return nil, err
	}
	record := t.record
	record.ID = store.NewTurnID(id, t.createTime, t.sequence, t.key.message)
	stored, _, err := e.store.Record(ctx, &record)
	return stored, err
}
