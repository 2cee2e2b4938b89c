package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/wenzihq/wenzi/internal/account"
	"github.com/wenzihq/wenzi/internal/bot"
	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/internal/turn"
	"github.com/wenzihq/wenzi/oa/api"
)

// How often it is found out again whether an account may push.
const (
	firstProbeAgain = time.Minute // then twice as long each time
	mostProbeAgain  = time.Hour
	probeTimeout    = time.Minute
	probesAtOnce    = 8
)

// usedFor is how long after its last use a token is kept fresh.
const usedFor = 24 * time.Hour

// pushers finds out which of the registered accounts may send customer-service
// messages, and sends them.
type pushers struct {
	clients *clients
	store   *store.Store
	baseURL string
	log     *slog.Logger
	changed chan struct{} // there may be new ones

	mu  sync.Mutex
	all map[clientKey]*pusher
}

func newPushers(c *clients, s *store.Store, baseURL string, log *slog.Logger) *pushers {
	return &pushers{clients: c, store: s, baseURL: baseURL, log: log, changed: make(chan struct{}, 1), all: map[clientKey]*pusher{}}
}

// of returns the pusher of an account, nil where it has no secret to push with.
func (p *pushers) of(a account.Served) (turn.Pusher, error) {
	if a.Guest || a.Bot.AppID == "" || a.Bot.AppSecret == "" {
		return nil, nil
	}
	id, err := a.ID(context.Background()) // a registered account knows it
	if err != nil {
		return nil, err
	}
	key := p.clients.key(a.Bot, p.baseURL)
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.all[key]; known != nil {
		return known, nil
	}
	client, err := p.clients.client(a.Bot, p.baseURL)
	if err != nil {
		return nil, err
	}
	made := &pusher{client: client, store: p.store, log: p.log.With("account", id)}
	p.all[key] = made
	return made, nil
}

// lookAgain has run look for accounts of which it is not known.
func (p *pushers) lookAgain() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// run probes the accounts that are registered until ctx ends.
func (p *pushers) run(ctx context.Context, registered func() []bot.Account) {
	tick := time.NewTicker(firstProbeAgain / 2)
	defer tick.Stop()
	for {
		p.probe(ctx, p.registered(registered()))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-p.changed:
		}
	}
}

// registered are the pushers of accounts.
func (p *pushers) registered(accounts []bot.Account) (found []*pusher) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range accounts {
		if one := p.all[p.clients.key(a, p.baseURL)]; one != nil {
			found = append(found, one)
		}
	}
	return found
}

// probe asks the platform about those of which it is not known, some at a time.
func (p *pushers) probe(ctx context.Context, all []*pusher) {
	var wg sync.WaitGroup
	defer wg.Wait()
	places := make(chan struct{}, probesAtOnce)
	for _, one := range all {
		if !one.due(time.Now()) {
			continue
		}
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return
		}
		wg.Go(func() {
			one.probe(ctx)
			<-places
		})
	}
}

// refresh renews the tokens that were used within the last day and end soon, so
// that no message waits for a new one.
func (p *pushers) refresh(ctx context.Context, accounts []bot.Account) error {
	var errs []error
	for _, one := range p.registered(accounts) {
		_, used, err := p.store.Get(ctx, one.usedKey())
		if err == nil && used {
			_, err = one.client.Tokens().Token(ctx)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// finding is what is known of an account's right to push.
type finding string

const (
	unknown     finding = ""
	mayPush     finding = "yes"
	noRight     finding = "no right"
	wrongIP     finding = "wrong IP"
	wrongSecret finding = "wrong secret"
)

// pusher sends an account's customer-service messages. It implements
// [turn.Pusher].
type pusher struct {
	client *api.Client
	store  *store.Store
	log    *slog.Logger

	mu     sync.Mutex
	found  finding
	next   time.Time     // when to probe; after mayPush never
	again  time.Duration // how long after that
	failed bool          // it was logged that the platform could not be asked
	used   time.Time     // when it was last noted that the token is used
}

// Right implements [turn.Pusher].
func (p *pusher) Right() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.found == mayPush
}

// Text implements [turn.Pusher].
func (p *pusher) Text(ctx context.Context, openid, text string) error {
	err := p.client.CustomMessage.Send(ctx, api.CustomText(openid, text))
	p.learn(err)
	p.note(ctx)
	return pushError(err)
}

// Typing implements [turn.Pusher].
func (p *pusher) Typing(ctx context.Context, openid string) error {
	err := p.client.CustomMessage.Typing(ctx, api.CustomMessageTypingRequest{ToUser: openid, Command: "Typing"})
	if errors.Is(err, api.ErrDuplicate) { // it is on already
		return nil
	}
	return err
}

// pushError is a failed push in the words of turn.
func pushError(err error) error {
	if err == nil {
		return nil
	}
	for _, known := range []struct{ category, reason error }{
		{api.ErrUnknownOutcome, turn.ErrUnknown},
		{api.ErrPermission, turn.ErrNoRight},
		{api.ErrWindowClosed, turn.ErrNoCredit},
		{api.ErrFollowerGone, turn.ErrGone},
	} {
		if errors.Is(err, known.category) {
			return fmt.Errorf("%w: %w", known.reason, err)
		}
	}
	if code(err) == codeBadOpenID {
		return fmt.Errorf("%w: %w", turn.ErrGone, err)
	}
	return err
}

// Return codes of the platform (reference api-rules §8).
const (
	codeBadOpenID = 40003
	codeNoRight   = 48001
	codeBanned    = 48004
	codeNoAgents  = 65400 // the right is there, the pages for human agents are not
)

func code(err error) int {
	if e, ok := errors.AsType[*api.Error](err); ok {
		return e.Code
	}
	return 0
}

// due reports whether to probe.
func (p *pusher) due(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.found != mayPush && !now.Before(p.next)
}

// probe asks for the list of human agents, which changes nothing, and which is
// refused to accounts that may not push.
func (p *pusher) probe(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	_, err := p.client.KF.List(ctx, api.KFListRequest{})
	if code(err) == codeNoAgents {
		err = nil
	}
	if ctx.Err() == nil || err == nil {
		p.learn(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.again = min(max(2*p.again, firstProbeAgain), mostProbeAgain)
	p.next = time.Now().Add(p.again)
}

// learn takes what a call says about the right to push, and logs what is new.
func (p *pusher) learn(err error) {
	found := unknown
	switch c := code(err); {
	case err == nil:
		found = mayPush
	case c == codeNoRight, c == codeBanned:
		found = noRight
	case errors.Is(err, api.ErrIPNotAllowed):
		found = wrongIP
	case errors.Is(err, api.ErrConfig):
		found = wrongSecret
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if found == unknown {
		if p.found == unknown && !p.failed {
			p.failed = true
			p.log.Warn("还不知道账号能不能发客服消息，过一会儿再问；在那之前慢的回答等粉丝来取（it is not known yet whether the account may send customer-service messages; until then slow answers wait to be fetched）", "error", err)
		}
		return
	}
	if found == p.found {
		return
	}
	if p.found == mayPush {
		p.again, p.next = 0, time.Now().Add(firstProbeAgain)
	}
	p.found = found
	p.tell(found, err)
}

// tell says what was found, and what the owner can do about it.
func (p *pusher) tell(found finding, err error) {
	const until = "；在那之前慢的回答等粉丝来取"
	const untilEnglish = "; until then slow answers wait to be fetched"
	switch found {
	case mayPush:
		p.log.Info("账号能发客服消息：慢的回答想好就推送（the account may send customer-service messages: slow answers are pushed when they are ready）")
	case noRight:
		p.log.Info("账号没有客服消息的权限（要认证）：慢的回答等粉丝来取（the account may not send customer-service messages, which takes certification: slow answers wait to be fetched）", "errcode", code(err))
	case wrongIP:
		ip := "本机的出口 IP"
		if e, ok := errors.AsType[*api.Error](err); ok && e.IP != "" {
			ip = e.IP
		}
		p.log.Error(fmt.Sprintf("微信不认本机的 IP：到公众平台「设置与开发 → 基本配置 → IP 白名单」加上 %s%s（WeChat refuses this machine's IP: put %s on the account's IP whitelist%s）", ip, until, ip, untilEnglish), "errcode", code(err))
	case wrongSecret:
		p.log.Error("app_id 或 app_secret 不对：到公众平台「设置与开发 → 基本配置」核对或重置，改 bot.yaml 后 wenzi apply"+until+
			"（app_id or app_secret is wrong: check or reset it on the platform's pages, change bot.yaml and apply it"+untilEnglish+"）", "errcode", code(err))
	}
}

// note says in the store that the token is used, at most once an hour.
func (p *pusher) note(ctx context.Context) {
	p.mu.Lock()
	fresh := time.Since(p.used) < time.Hour
	if !fresh {
		p.used = time.Now()
	}
	p.mu.Unlock()
	if fresh {
		return
	}
	if err := p.store.Set(context.WithoutCancel(ctx), p.usedKey(), []byte("used"), usedFor); err != nil {
		p.log.Warn("that the access token is used could not be noted", "error", err)
	}
}

func (p *pusher) usedKey() string { return "access_token/used/" + p.client.AppID() }
