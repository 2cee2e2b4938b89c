package turn

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/wenzihq/wenzi/internal/answer"
	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/oa"
)

// laneKey is a follower of an account.
type laneKey struct {
	account int64
	openid  string
}

func (s *slow) lane() laneKey { return laneKey{s.id.Account(), s.openid} }

// wanted is what a message wants from the mailbox.
type wanted struct {
	target *slow  // an answer
	say    string // instead, where there is none
	err    error  // nobody can tell: the store cannot be read
}

// fetch decides whether a message asks for an answer that waits, before the
// robot sees it: by the token of a tapped link, or by a word while something
// waits. Every other text is a question of its own and takes nothing out of the
// mailbox.
func (e *Engine) fetch(ctx context.Context, a Account, r *oa.Request) (wanted, bool) {
	m, ok := r.Message.(*oa.TextMessage)
	if !ok || a.Guest {
		return wanted{}, false
	}
	byToken := isToken(m.MenuID)
	word := strings.TrimSpace(m.Content)
	// Other processes fill the mailbox too, so where there are any it is looked into.
	if !byToken && (word != fetchWord && word != "1" || e.Alone && !e.anyPending()) {
		return wanted{}, false
	}
	id, err := a.ID(ctx)
	if err != nil {
		return wanted{}, false
	}
	lane := laneKey{id, follower(r.Message)}
	if !byToken && e.Alone && e.isPending(lane) == 0 {
		return wanted{}, false
	}
	if trusted, err := e.trusted(ctx, a, r); err != nil {
		return wanted{err: err}, true
	} else if !trusted {
		return wanted{}, false
	}
	row, err := e.findWaiting(ctx, lane, m.MenuID, byToken, word)
	switch {
	case errors.Is(err, store.ErrNotFound) && byToken:
		return wanted{say: textExpired}, true
	case err != nil:
		return wanted{err: err}, true
	case row == nil:
		return wanted{}, false
	case row.State == store.Expired:
		e.told(ctx, row)
		return wanted{say: textExpired}, true
	}
	if byToken && row.State == store.Waiting && row.Sending == sendingReply {
		// The link was in the reply, which has arrived then.
		e.background(func() {
			err := e.store.Apply(e.ctx, store.Change{ID: row.Turn, From: []store.State{store.Waiting}, Sending: new("")})
			if err != nil && !errors.Is(err, store.ErrConflict) {
				e.log.Warn("that a reply was accepted is not on record yet", "turn", row.Turn, "error", err)
			}
		})
	}
	return wanted{target: e.load(row, a)}, true
}

// clockError is how far WeChat's clock may be ahead of this machine's.
const clockError = time.Second

// trustLimit leaves time to record the message, and to answer when that fails.
const trustLimit = time.Second

// trusted reports whether the message is surely its sender's. In plain mode
// neither body nor OpenID is signed, and only the first message that a signature
// brings is. A process that is alone knows of the others by itself (oa.WithMaxAge),
// but of none that came before it was there; several ask the store.
func (e *Engine) trusted(ctx context.Context, a Account, r *oa.Request) (bool, error) {
	if r.Account.Mode != oa.Plain {
		return true, nil
	}
	signed, err := strconv.ParseInt(r.Timestamp, 10, 64)
	if err != nil || e.Replays {
		return false, nil
	}
	if e.Alone {
		return signed > e.began.Add(clockError).Unix(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, trustLimit)
	defer cancel()
	account, err := a.ID(ctx)
	if err != nil {
		return false, err
	}
	id := store.NewTurnID(account, r.Message.Head().CreateTime, uint64(r.MsgID()), r.Key())
	return e.store.FirstBySignature(ctx, id, r.Signature, time.Unix(signed, 0))
}

func isToken(s string) bool {
	n, err := strconv.ParseInt(s, 10, 64)
	return err == nil && len(s) == 18 && n >= 1e17
}

func (e *Engine) findWaiting(ctx context.Context, lane laneKey, token string, byToken bool, word string) (*store.Answer, error) {
	if byToken {
		return e.store.AnswerOfToken(ctx, lane.account, lane.openid, token)
	}
	seen := e.isPending(lane)
	mailbox, err := e.store.Mailbox(ctx, lane.account, lane.openid)
	if err != nil {
		return nil, err
	}
	waiting := false
	for _, row := range mailbox {
		if row.State != store.Waiting {
			continue
		}
		waiting = true
		// "1" was offered by the holding text and by unfinished answers only.
		if word == fetchWord || !row.Done || row.Shown == "" {
			return row, nil
		}
	}
	if !waiting {
		e.clearPending(lane, seen)
	}
	return nil, nil
}

// load finds the turn of an answer in memory, or takes it there. Its waiting
// counts the caller.
func (e *Engine) load(row *store.Answer, a Account) *slow {
	s := e.register(e.fromRow(row, a), 1)
	s.mu.Lock()
	stale := s.state != row.State || s.shown != row.Shown
	s.mu.Unlock()
	if stale {
		e.look(s)
	}
	e.follow(s)
	return s
}

// fromRow makes a turn of what is on record.
func (e *Engine) fromRow(row *store.Answer, a Account) *slow {
	s := &slow{
		id: row.Turn, account: a, openid: row.OpenID, first: e.clock.own(row.AskedAt), created: row.Turn.CreateTime().Unix(), token: row.Token, page: row.Page,
		changed: make(chan struct{}), state: row.State, replied: row.State != store.Working, question: row.Question,
		text: row.Text, done: row.Done, stored: row.Done, shown: row.Shown, usage: row.Usage, ended: true,
		remembered: row.Remembered, clock: &e.clock,
	}
	if row.Holder != e.process {
		s.holder = row.Holder
	}
	return s
}

// claimFetch gives the next page of the target to the deliveries of the turn
// that fetches it: both turns change in one commit, so that no page is lost or
// shown twice. It reports false while the store is away.
func (e *Engine) claimFetch(ctx context.Context, s *slow, r *oa.Request, part bool) bool {
	t := s.target
	if !acquire(ctx, t) {
		s.mu.Lock()
		s.claiming = false
		s.signal()
		s.mu.Unlock()
		return false
	}
	t.mu.Lock()
	shown := t.shown
	var made composed
	switch {
	case t.state != store.Waiting:
		made = composed{text: textAllShown + e.composer(s).full(), shown: shown}
	case t.done:
		made = e.composer(s).whole(t.text, shown)
	default:
		made = e.composer(s).part(t.text, shown)
	}
	changes := []store.Change{{ID: s.id, From: before(store.Answered), To: store.Answered, By: "fetch", AnsweredAt: e.clock.now(),
		Reply: r.Encode(said(made.text), time.Unix(s.created, 0)), Shown: &shown, Sending: new(sendingReply), Done: true}}
	taken := s.holder != ""
	if taken {
		changes[0].NewHolder = &e.process
	}
	fetched := t.state == store.Waiting && made.whole
	if t.state == store.Waiting {
		t.step("fetch", strconv.Itoa(len(made.shown)-len(shown))+" bytes more were shown")
		ch := store.Change{ID: t.id, From: []store.State{store.Waiting}, WasShown: &shown, Shown: &made.shown, Sending: new("")}
		if t.done && !t.stored {
			ch.Text, ch.Done, ch.Usage, ch.ReadyAt = &t.text, true, &t.usage, e.clock.now()
		}
		if fetched {
			ch.To = store.Fetched
			t.step(store.Fetched.String(), "")
		}
		ch.Steps = t.takeSteps()
		changes = append(changes, ch)
	}
	t.mu.Unlock()
	s.mu.Lock()
	s.step("answered", "a page of an earlier answer, as the reply to delivery "+strconv.Itoa(s.count))
	changes[0].Steps = s.takeSteps()
	s.mu.Unlock()

	failpoint("before fetch")
	err := e.store.Apply(ctx, changes...)
	failpoint("after fetch")

	t.mu.Lock()
	t.claiming = false
	switch {
	case errors.Is(err, store.ErrConflict):
		e.reload(t)
	case err == nil && t.state == store.Waiting:
		t.shown, t.stored = made.shown, t.stored || t.done
		if fetched {
			t.state = store.Fetched
		}
	}
	t.signal()
	t.mu.Unlock()
	s.mu.Lock()
	s.claiming = false
	switch {
	case errors.Is(err, store.ErrConflict):
		e.reload(s)
	case err != nil:
		e.log.Warn("a page could not be recorded as shown; WeChat will deliver again", "turn", s.id, "error", err)
	default:
		s.replied, s.reply, s.state, s.ended = true, changes[0].Reply, store.Answered, true
		if taken {
			s.holder = ""
		}
	}
	s.signal()
	s.mu.Unlock()
	return err == nil || errors.Is(err, store.ErrConflict)
}

// acquire takes the right to claim a turn, which one has at a time.
func acquire(ctx context.Context, s *slow) bool {
	for {
		s.mu.Lock()
		if !s.claiming {
			s.claiming = true
			s.mu.Unlock()
			return true
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// offer adds to a reply the news that an answer waits, or that one has expired,
// once while the process lives.
func (e *Engine) offer(ctx context.Context, a Account, r *oa.Request, reply oa.Reply) oa.Reply {
	if a.Guest || reply.IsZero() || !e.anyPending() {
		return reply
	}
	id, err := a.ID(ctx)
	if err != nil {
		return reply
	}
	lane := laneKey{id, follower(r.Message)}
	seen := e.isPending(lane)
	if seen == 0 {
		return reply
	}
	if trusted, err := e.trusted(ctx, a, r); err != nil || !trusted {
		return reply
	}
	mailbox, err := e.store.Mailbox(ctx, lane.account, lane.openid)
	if err != nil {
		return reply
	}
	if len(mailbox) == 0 {
		e.clearPending(lane, seen)
		return reply
	}
	for _, row := range mailbox {
		if !row.Done && row.State == store.Waiting || e.offered(row.Turn) {
			continue
		}
		longer, ok := reply.Append("\n\n" + offering(row))
		if !ok {
			break
		}
		if row.State == store.Expired {
			e.told(ctx, row)
		}
		e.setOffered(row.Turn)
		return longer
	}
	return reply
}

// told notes that the follower is being told that an answer has expired.
func (e *Engine) told(ctx context.Context, row *store.Answer) {
	e.setOffered(row.Turn)
	err := e.store.Apply(ctx, store.Change{ID: row.Turn, Sending: new(""), Steps: []store.Step{{At: e.clock.now(), What: "told", Detail: "that the answer has expired"}}})
	if err != nil && !errors.Is(err, store.ErrConflict) {
		e.log.Warn("that a follower was told of an expired answer is not on record; it may be told again", "turn", row.Turn, "error", err)
	}
}

// offering is the line about an answer in the mailbox.
func offering(row *store.Answer) string {
	question := answer.Preview(row.Question, previewRunes)
	switch {
	case row.State == store.Expired:
		return fmt.Sprintf(textLost, question)
	case row.Sending == sendingUnsure || row.Sending == sendingPush:
		return fmt.Sprintf(textUnsure, question, link(textAgain, row.Token))
	}
	return fmt.Sprintf(textOffer, question, link(textSee, row.Token))
}
