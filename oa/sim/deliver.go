package sim

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/wenzihq/wenzi/oa"
)

// Fate is what became of something a follower sent.
type Fate string

// The fates. A message with several receivers has the best of theirs.
const (
	OnItsWay   Fate = ""
	Replied    Fate = "replied"      // the follower sees a passive reply
	Silent     Fate = "acknowledged" // `success`, or nothing: no passive reply
	FaultShown Fate = "fault"        // all deliveries failed, or the answer was unusable
	NotPushed  Fate = "not_pushed"   // WeChat did not push it
)

// What a [Platform] says besides what its [Rules] say of a response.
const (
	RuleMedia     Rule = "media"      // a MediaId that does not exist, or has expired
	RuleNotPushed Rule = "not_pushed" // WeChat did not push the message
)

// Sent is something that a follower did, or that WeChat reports, on its way to
// the account's servers.
type Sent struct {
	ID      int64
	Message oa.Message
	At      time.Time // by the platform's clock

	account  *Account
	follower *Follower // nil where it is nobody's
	done     chan struct{}

	mu       sync.Mutex
	attempts []Attempt
	fate     Fate
	reason   *Remark
}

// Attempt is one delivery.
type Attempt struct {
	Receiver string // "" is the account's own server
	Number   int    // from 1, for each receiver
	At       time.Time
	Exchange *Exchange
}

// DeliveryNote is an [Attempt] in short, for [Event].
type DeliveryNote struct {
	Message  int64         `json:"message,string"`
	Kind     string        `json:"kind"` // "text", "event/CLICK"
	Receiver string        `json:"receiver,omitempty"`
	Number   int           `json:"number"`
	Status   int           `json:"status,omitempty"`
	Elapsed  time.Duration `json:"elapsed"` // nanoseconds
	Verdict  Verdict       `json:"verdict"`
}

func newSent(a *Account, f *Follower, m oa.Message) *Sent {
	return &Sent{ID: a.p.id(), Message: m, At: a.p.now(), account: a, follower: f, done: make(chan struct{})}
}

// Done is closed when all deliveries are over.
func (s *Sent) Done() <-chan struct{} { return s.done }

// Wait waits until all deliveries are over and returns the fate. When ctx ends
// first it is [OnItsWay].
func (s *Sent) Wait(ctx context.Context) Fate {
	select {
	case <-s.done:
	case <-ctx.Done():
	}
	return s.Fate()
}

// Fate is what became of it up to now.
func (s *Sent) Fate() Fate {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fate
}

// Reason says why a message was not pushed; nil otherwise. What is wrong with a
// response is in the verdict of its attempt.
func (s *Sent) Reason() *Remark {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason
}

// Attempts returns the deliveries made up to now.
func (s *Sent) Attempts() []Attempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.attempts)
}

// end settles the fate.
func (s *Sent) end(fate Fate, reason *Remark) {
	s.mu.Lock()
	s.fate, s.reason = fate, reason
	s.mu.Unlock()
	close(s.done)
}

// systemOpenID is from whom WeChat's own events come.
const systemOpenID = "oSystem000000000000000000000"

// Notify pushes a message of WeChat's own, such as the result of a job or a
// certification. What is empty of its header is filled in; FromUserName is a
// system OpenID then.
func (a *Account) Notify(m oa.Message) *Sent {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	return a.notify(m)
}

// notify is Notify with p.mu held.
func (a *Account) notify(m oa.Message) *Sent {
	if _, info := m.(oa.Info); !info {
		a.fill(m, systemOpenID)
	}
	return a.send(m, nil)
}

// event pushes an event on behalf of a follower who did nothing for it, such as
// the result of a template message. p.mu is held.
func (a *Account) event(m oa.Message, f *Follower) *Sent {
	a.fill(m, f.openID)
	return a.send(m, f)
}

// send delivers a message to all receivers. p.mu is held.
func (a *Account) send(m oa.Message, f *Follower) *Sent {
	s := newSent(a, f, m)
	receivers := slices.Clone(a.receivers)
	if len(receivers) == 0 {
		s.end(NotPushed, remark(RuleNotPushed, "账号没有填写服务器地址", "the account has no server URL"))
		return s
	}
	if !a.p.start(func() { s.deliver(receivers) }) {
		s.end(NotPushed, remark(RuleNotPushed, "平台已关闭", "the platform is closed"))
	}
	return s
}

// deliver makes all deliveries and settles the fate.
func (s *Sent) deliver(receivers []*receiver) {
	fates := make([]Fate, len(receivers))
	reasons := make([]*Remark, len(receivers))
	var wg sync.WaitGroup
	for i, r := range receivers[1:] {
		wg.Go(func() { fates[i+1], reasons[i+1] = s.series(r) })
	}
	fates[0], reasons[0] = s.series(receivers[0])
	wg.Wait()
	for _, best := range []Fate{Replied, Silent, FaultShown, NotPushed} {
		if i := slices.Index(fates, best); i >= 0 {
			s.end(best, reasons[i])
			return
		}
	}
}

var (
	errUnreachable = errors.New("trouble was asked for: the server is out of reach")
	errCut         = errors.New("trouble was asked for: the connection broke before the response was back")
)

// quickPause lies between the repeats after a status other than 200, all of
// which were seen within a second (reference §4.1).
const quickPause = 250 * time.Millisecond

// series makes the deliveries to one receiver: up to three for time-outs and
// broken connections, each when the 5 s of the one before are over; up to three
// quick ones after a wrong status (reference §4.1).
func (s *Sent) series(r *receiver) (Fate, *Remark) {
	p := s.account.p
	p.mu.Lock()
	trouble, at := p.trouble, p.now()
	p.mu.Unlock()
	if !p.sleep(upTo(trouble.Reorder)) {
		return NotPushed, nil
	}
	clear, err := wire(s.Message)
	if err != nil {
		return NotPushed, remark(RuleNotPushed, "消息写不成 XML：%v", "the message cannot be written: %v", err)
	}
	req, err := r.sender.request(clear, at.Add(trouble.Skew))
	if err != nil {
		return NotPushed, remark(RuleNotPushed, "投递请求无法生成：%v", "the delivery cannot be built: %v", err)
	}
	slow, quick := 0, 0
	for number := 1; ; number++ {
		p.mu.Lock()
		now, set, trouble := p.now(), p.settings, p.trouble
		paused := now.Before(r.paused)
		p.mu.Unlock()
		if paused {
			s.fault(r)
			return NotPushed, remark(RuleNotPushed, "失败太多，微信暂停向这个地址推送（MarkFail）", "too many failures: WeChat has paused pushing to this address (MarkFail)")
		}
		if set.RenewSignature && number > 1 {
			if req, err = r.sender.request(clear, now.Add(trouble.Skew)); err != nil {
				return NotPushed, nil
			}
		}
		ctx, begun, ok := r.enter(p.life, trouble.Latency)
		if !ok {
			return NotPushed, nil
		}
		began := time.Now()
		limit := set.timeout() + upTo(set.Jitter)
		set.Timeout = limit
		x, err := s.attempt(ctx, r, req, Attempt{Receiver: r.name, Number: number, At: now}, set.Rules, trouble)
		begun()
		if err != nil { // the platform is closed
			return NotPushed, nil
		}
		switch x.Verdict.Outcome {
		case Answered:
			return Replied, nil
		case Acknowledged:
			return Silent, nil
		}
		s.failed(r)
		if x.Verdict.Outcome == Refused {
			return FaultShown, nil // attempt has shown the notice
		}
		pause := time.Until(began.Add(limit))
		if x.Verdict.Problem.Rule == RuleStatus || x.Verdict.Problem.Rule == RuleRedirect {
			quick++
			pause = quickPause
		} else {
			slow++
			if set.BreaksRepeatAtOnce {
				pause = 0
			}
		}
		if slow >= set.deliveries() || quick > set.quickRepeats() {
			s.fault(r)
			return FaultShown, nil
		}
		if !p.sleep(pause) {
			return NotPushed, nil
		}
	}
}

// attempt makes one delivery, judges it, and shows what the follower sees.
func (s *Sent) attempt(ctx context.Context, r *receiver, req *http.Request, a Attempt, rules Rules, trouble Trouble) (*Exchange, error) {
	p := s.account.p
	var twin sync.WaitGroup
	if happens(trouble.Duplicate) {
		twin.Go(func() { _, _ = r.sender.send(ctx, again(ctx, req), rules.Timeout, 0) })
	}
	defer twin.Wait()
	var got Response
	if happens(trouble.Unreachable) {
		got = Response{Err: errUnreachable}
	} else {
		var err error
		if got, err = r.sender.send(ctx, again(ctx, req), rules.Timeout, trouble.Latency); err != nil {
			return nil, err
		}
		if happens(trouble.Cut) && got.Err == nil {
			got = Response{Err: errCut, Elapsed: got.Elapsed}
		}
	}
	x := &Exchange{
		Mode: modeOf(r.sender.Account), Message: s.Message, Request: req, Response: got,
		Verdict: rules.Judge(Delivery{Account: r.sender.Account, Message: s.Message}, got),
	}
	a.Exchange = x

	p.mu.Lock()
	defer p.mu.Unlock()
	s.account.judgeMedia(&x.Verdict, &rules, s.Message)
	s.mu.Lock()
	s.attempts = append(s.attempts, a)
	s.mu.Unlock()
	p.events.add(Event{Type: EventDelivery, AppID: s.account.config.AppID, OpenID: s.openID(), Delivery: &DeliveryNote{
		Message: s.ID, Kind: kindOf(s.Message), Receiver: a.Receiver, Number: a.Number, Status: got.Status, Elapsed: got.Elapsed, Verdict: x.Verdict,
	}})
	if s.follower == nil {
		return x, nil
	}
	for _, b := range x.Verdict.Bubbles {
		e := Entry{From: FromAccount, Via: ViaReply, Message: s.ID, Delivery: a.Number, Receiver: a.Receiver, Bubble: b}
		switch b.Kind {
		case kindNotice:
			e.From, e.Via = FromWeChat, ""
		case "transfer_customer_service":
			if s.account.has(RightTransfer) {
				s.account.transfer(s.follower, b.Agent)
			}
		}
		s.follower.show(e)
	}
	return x, nil
}

// again is the request once more.
func again(ctx context.Context, req *http.Request) *http.Request {
	next := req.Clone(ctx)
	if req.GetBody != nil {
		next.Body, _ = req.GetBody() // of bytes.Reader: it does not fail
	}
	return next
}

func (s *Sent) openID() string {
	if s.follower == nil {
		return ""
	}
	return s.follower.openID
}

func kindOf(m oa.Message) string {
	switch m := m.(type) {
	case oa.Event:
		return "event/" + m.EventHead().Event
	case oa.Info:
		return "info/" + m.InfoHead().InfoType
	}
	return m.Head().MsgType
}

// fault shows the fault notice after a series of which no delivery succeeded.
func (s *Sent) fault(r *receiver) {
	if s.follower == nil || !reachable(s.Message) {
		return
	}
	s.account.p.mu.Lock()
	defer s.account.p.mu.Unlock()
	s.follower.show(Entry{From: FromWeChat, Message: s.ID, Receiver: r.name, Bubble: notice()})
}

// failed counts a failed delivery, and pauses the receiver when there were too
// many (MarkFail, reference §4.6).
func (s *Sent) failed(r *receiver) {
	p := s.account.p
	p.mu.Lock()
	defer p.mu.Unlock()
	most := p.settings.markFailures()
	if most < 0 {
		return
	}
	now := p.now()
	recent := now.Add(-5 * time.Minute)
	r.failures = slices.DeleteFunc(r.failures, func(t time.Time) bool { return t.Before(recent) })
	r.failures = append(r.failures, now)
	if len(r.failures) >= most {
		r.failures, r.paused = nil, now.Add(p.settings.markPause())
		p.events.add(Event{Type: EventPause, AppID: s.account.config.AppID, Until: r.paused})
	}
}

// wire writes a message as WeChat does, which neither splits "]]>" nor takes
// control characters out of what a follower typed (reference §10).
func wire(m oa.Message) ([]byte, error) {
	t, ok := m.(*oa.TextMessage)
	if !ok {
		return oa.Marshal(m)
	}
	stand := *t
	stand.Content = randomText(32)
	clear, err := oa.Marshal(&stand)
	return bytes.Replace(clear, []byte(stand.Content), []byte(t.Content), 1), err
}
