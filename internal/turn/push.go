package turn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/oa"
)

// Pusher sends customer-service messages for one account.
type Pusher interface {
	// Right reports whether the account may, as far as is known.
	Right() bool
	// Text sends a text of at most 2047 bytes. Its error is, or wraps, one of
	// those below where it is one; every other one may be gone after a while.
	Text(ctx context.Context, openid, text string) error
	// Typing shows for some seconds that the account is typing.
	Typing(ctx context.Context, openid string) error
}

// Why a customer-service message cannot be sent.
var (
	ErrNoRight  = errors.New("the account has no right to send customer-service messages")
	ErrNoCredit = errors.New("WeChat allows no further message before the follower does something")
	ErrGone     = errors.New("the follower has left or cannot be reached")
	ErrUnknown  = errors.New("nobody knows whether the message was sent")
)

// PushKind is the kind of the jobs that push answers; see [Engine.Push].
const PushKind = "push"

const (
	// pushCredit is how many messages the platform allows after one of the
	// follower's (reference §9.3).
	pushCredit = 5
	// pushAttempts is how often a push is tried before its answer goes into the
	// mailbox.
	pushAttempts = 6
	// The typing state ends by itself and may be set while the follower has done
	// something in the last 30 s.
	typingAgain = 14 * time.Second
	typingLimit = 28 * time.Second
)

type pushArgs struct {
	Turn string `json:"turn"`
}

// pushJob is the job that pushes a turn's answer.
func (e *Engine) pushJob(s *slow) []store.Job {
	args, err := json.Marshal(pushArgs{Turn: s.id.String()})
	if err != nil {
		panic(err) // a string
	}
	return []store.Job{{Kind: PushKind, Args: args, Account: s.id.Account(), UniqueKey: PushKind + " " + s.id.String(), MaxAttempts: pushAttempts}}
}

// Push is the worker of a push job: it sends what was not shown yet of a
// promised answer. A message of unknown outcome is not repeated: the follower
// is offered it in the mailbox. An error means that it is worth trying again;
// with last it is the last try, after which the answer waits in the mailbox.
func (e *Engine) Push(ctx context.Context, args []byte, last bool) error {
	var a pushArgs
	if err := json.Unmarshal(args, &a); err != nil {
		return fmt.Errorf("arguments of a push: %w", err)
	}
	id, err := store.ParseTurnID(a.Turn)
	if err != nil {
		return err
	}
	row, err := e.store.Answer(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && row.State != store.Promised {
		return nil
	}
	if err != nil {
		return err
	}
	t, err := e.store.Turn(ctx, id)
	if err != nil {
		return err
	}
	p := &push{engine: e, row: row, note: t.Note, lane: laneKey{id.Account(), row.OpenID}, last: last}
	account, ok := e.Accounts(id.Account())
	switch {
	case !ok:
		return p.end(ctx, store.Failed, "the account is no more")
	case row.Sending == sendingPush:
		return p.mailbox(ctx, "the process died while a page was sent: "+ErrUnknown.Error())
	case account.Push == nil:
		return p.mailbox(ctx, ErrNoRight.Error())
	}
	return p.send(ctx, account)
}

// What answers.sending says.
const (
	sendingReply = store.SendingReply // a passive reply that was not seen to be accepted yet
	sendingPush  = "push"             // a customer-service message of which nothing is known yet
	// What the follower may not have got, because the process died just then.
	sendingUnsure = "unsure"
	sendingNews   = "news" // that it has expired, which the follower is to be told
)

// push is one attempt.
type push struct {
	engine *Engine
	row    *store.Answer
	note   string // why the answer is an apology
	lane   laneKey
	last   bool
	steps  []store.Step
}

func (p *push) step(what, detail string) {
	p.steps = append(p.steps, store.Step{At: p.engine.clock.now(), What: what, Detail: detail})
}

// apply commits a change together with the steps since the last.
func (p *push) apply(ctx context.Context, ch store.Change) error {
	ch.ID, ch.From, ch.Steps = p.row.Turn, []store.State{store.Promised}, p.steps
	p.steps = nil
	return p.engine.store.Apply(ctx, ch)
}

func (p *push) send(ctx context.Context, account Account) error {
	e := p.engine
	c := composer{token: p.row.Token, fullURL: pageAddress(e.PublicURL, p.row.Page), maxText: oa.MaxTextBytes}
	credit := e.creditOf(p.lane)
	pages := c.messages(p.row.Text, p.row.Shown, credit)
	if len(pages) == 0 && credit > 0 {
		return p.end(ctx, p.finished(), "")
	}
	shown := p.row.Shown
	for i, page := range pages {
		// Before the page is sent it is on record that it may have been.
		if err := p.apply(ctx, store.Change{Shown: &shown, Sending: new(sendingPush)}); err != nil {
			return err
		}
		failpoint("before push")
		err := account.Push.Text(ctx, p.row.OpenID, page.text)
		failpoint("after push")
		switch {
		case err == nil:
			e.spend(p.lane)
			shown = page.shown
			p.step(stepPushed, fmt.Sprintf("message %d of %d", i+1, len(pages)))
			p.row.Shown = shown
		case errors.Is(err, ErrUnknown):
			return p.mailbox(ctx, err.Error())
		case errors.Is(err, ErrNoRight), errors.Is(err, ErrNoCredit):
			p.row.Sending = ""
			return p.wait(ctx, err.Error())
		case errors.Is(err, ErrGone):
			return p.end(ctx, store.Failed, err.Error())
		case p.last:
			p.row.Sending = ""
			return p.wait(ctx, "it was tried too often: "+err.Error())
		default:
			p.step(stepPushFailed, err.Error())
			return errors.Join(err, p.apply(ctx, store.Change{Shown: &shown, Sending: new("")}))
		}
		if page.whole {
			return p.end(ctx, p.finished(), "")
		}
	}
	return p.wait(ctx, "the rest is longer than what may be pushed")
}

// finished is the state of a turn whose answer was pushed to its end.
func (p *push) finished() store.State {
	if p.note != "" {
		return store.Failed
	}
	return store.Pushed
}

func (p *push) end(ctx context.Context, state store.State, note string) error {
	p.step(state.String(), note)
	return p.apply(ctx, store.Change{To: state, Note: note, Shown: &p.row.Shown, Sending: new(""), Done: true})
}

// mailbox leaves a page of unknown outcome, and all after it, to be fetched.
func (p *push) mailbox(ctx context.Context, why string) error {
	p.row.Sending = sendingPush
	return p.wait(ctx, why)
}

// wait leaves what was not pushed in the mailbox.
func (p *push) wait(ctx context.Context, why string) error {
	p.step(store.Waiting.String(), why)
	err := p.apply(ctx, store.Change{To: store.Waiting, Shown: &p.row.Shown, Sending: &p.row.Sending, ExpiresAt: p.engine.clock.now().Add(p.engine.Keep)})
	if err == nil {
		p.engine.setPending(p.lane)
	}
	return err
}

// typing shows the follower that the answer is coming, until it is there.
func (e *Engine) typing(s *slow) {
	e.background(func() {
		tick := time.NewTicker(typingAgain)
		defer tick.Stop()
		for time.Since(s.first) < typingLimit {
			ctx, cancel := context.WithTimeout(e.ctx, typingAgain)
			err := s.account.Push.Typing(ctx, s.openid)
			cancel()
			if err != nil {
				return
			}
			s.mu.Lock()
			over, changed := s.done || s.holder != "", s.changed // nobody tells when another process has pushed
			s.mu.Unlock()
			if over {
				return
			}
			select {
			case <-tick.C:
			case <-changed:
			case <-e.ctx.Done():
				return
			}
			s.mu.Lock()
			over = s.done
			s.mu.Unlock()
			if over {
				return
			}
		}
	})
}

// creditOf is how many messages can be pushed to a follower, as far as this
// process knows.
func (e *Engine) creditOf(k laneKey) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return pushCredit - e.spent[k]
}

func (e *Engine) spend(k laneKey) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.spent) > 100_000 { // then the platform says where the credit ends
		clear(e.spent)
	}
	e.spent[k]++
}

// renew begins the follower's credit anew.
func (e *Engine) renew(k laneKey) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.spent, k)
}
