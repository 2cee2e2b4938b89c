package sim

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync"
	"time"

	"github.com/wenzihq/wenzi/oa"
)

// AccountConfig describes an account. Everything has a default.
type AccountConfig struct {
	Name       string `json:"name,omitempty"`
	AppID      string `json:"app_id,omitempty"`      // wx and 16 hex digits
	AppSecret  string `json:"app_secret,omitempty"`  // 32 characters
	OriginalID string `json:"original_id,omitempty"` // gh_…
	// Kind decides what the account may do; the default is CertifiedService.
	Kind Kind `json:"kind,omitempty"`
	// Rights changes cells of the matrix that Kind stands for.
	Rights map[Right]bool `json:"rights,omitempty"`
	// IPWhitelist, if it is not empty, are the only addresses that get a token.
	IPWhitelist []string `json:"ip_whitelist,omitempty"`

	// URL, Token, AESKey and Mode are the 服务器配置. The default Token is
	// "hello"; Mode is as in [oa.Account]. Without URL and Handler the account has
	// no server: what followers send reaches nobody, and nothing is shown.
	URL    string  `json:"url,omitempty"`
	Token  string  `json:"token,omitempty"`
	AESKey string  `json:"aes_key,omitempty"`
	Mode   oa.Mode `json:"mode,omitempty"`
	// Handler is the server itself, in this process; URL is then only its
	// address, http://wenzi.test/ by default. Requests reach it over a [Pipe].
	Handler http.Handler `json:"-"`
	// Transport sends the requests to URL; nil is that of [NewTransport].
	Transport http.RoundTripper `json:"-"`
}

// Account is an Official Account on a [Platform].
type Account struct {
	p         *Platform
	receivers []*receiver // the account's own server first, if it has one

	// What follows is guarded by p.mu.
	config    AccountConfig
	followers map[string]*Follower
	order     []*Follower

	tokens    tokenState
	usage     usageState
	menus     menuState
	agents    agentState
	stats     statState
	tags      tagState
	codes     codeState
	shorts    shortenState
	media     mediaState
	drafts    draftState
	mass      massState
	templates templateState
	notes     noteState
	oauth     oauthState
}

// NewAccount adds an account.
func (p *Platform) NewAccount(c AccountConfig) (*Account, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	n := p.id()
	c.AppID = cmp.Or(c.AppID, fmt.Sprintf("wx%016x", n))
	c.AppSecret = cmp.Or(c.AppSecret, fmt.Sprintf("%032x", n))
	c.OriginalID = cmp.Or(c.OriginalID, fmt.Sprintf("gh_%012x", n))
	for _, b := range p.accounts {
		if b.config.AppID == c.AppID || b.config.OriginalID == c.OriginalID {
			return nil, fmt.Errorf("sim: there is an account %s (%s) already", b.config.AppID, b.config.OriginalID)
		}
	}
	a := &Account{p: p, config: c, followers: map[string]*Follower{}}
	own, err := c.receiver()
	if err != nil {
		return nil, err
	}
	if own != nil {
		a.receivers = append(a.receivers, own)
	}
	p.accounts = append(p.accounts, a)
	return a, nil
}

// Config returns the account's configuration, defaults filled in.
func (a *Account) Config() AccountConfig {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	c := a.config
	c.Rights, c.IPWhitelist = maps.Clone(c.Rights), slices.Clone(c.IPWhitelist)
	return c
}

// SetRight changes one cell of the matrix of rights.
func (a *Account) SetRight(r Right, allowed bool) {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	if a.config.Rights == nil {
		a.config.Rights = map[Right]bool{}
	}
	a.config.Rights[r] = allowed
}

// SetKind makes the account one of another kind, as certification does.
func (a *Account) SetKind(k Kind) {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	a.config.Kind = k
}

// Follower adds somebody who does not follow the account yet.
func (a *Account) Follower() *Follower {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	return a.newFollower(a.p.openID())
}

// FollowerWith is [Account.Follower] with an OpenID of one's own choice. Where
// the account has that one already, it is returned.
func (a *Account) FollowerWith(openID string) *Follower {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	if f := a.followers[openID]; f != nil {
		return f
	}
	return a.newFollower(openID)
}

func (a *Account) newFollower(openID string) *Follower {
	f := &Follower{account: a, openID: openID, profile: Profile{Language: "zh_CN"}, changed: make(chan struct{})}
	a.followers[openID] = f
	a.order = append(a.order, f)
	return f
}

// Followers returns everybody who was added, in order.
func (a *Account) Followers() []*Follower {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	return slices.Clone(a.order)
}

// Find returns the follower with an OpenID.
func (a *Account) Find(openID string) (*Follower, bool) {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	f := a.followers[openID]
	return f, f != nil
}

func (a *Account) close() {
	a.p.mu.Lock()
	receivers := slices.Clone(a.receivers)
	a.p.mu.Unlock()
	for _, r := range receivers {
		r.close()
	}
}

// ReceiverConfig describes a server that gets an account's pushes.
type ReceiverConfig struct {
	// Name tells receivers apart; that of the account's own server is "".
	Name string
	// Account is how the server verifies; AppID is the component's where the
	// receiver is a third-party platform.
	Account oa.Account
	// URL, Handler and Transport are as in [AccountConfig].
	URL       string
	Handler   http.Handler
	Transport http.RoundTripper
}

// receiver is a server that gets the pushes of an account.
type receiver struct {
	name   string
	sender Sender
	server *http.Server // of a Handler
	pipe   *Pipe
	served chan struct{}
	cancel context.CancelFunc // ends the handlers at work
	gate   chan struct{}      // see enter; nil where all may begin at once

	// Guarded by Platform.mu.
	failures []time.Time // of the last five minutes
	paused   time.Time   // MarkFail: nothing is pushed until then
}

func newReceiver(c ReceiverConfig) (*receiver, error) {
	r := &receiver{name: c.Name, sender: Sender{Account: c.Account, URL: c.URL, Transport: c.Transport}}
	if c.Handler != nil {
		r.sender.URL = cmp.Or(c.URL, "http://wenzi.test/")
	}
	if err := r.sender.valid(); err != nil {
		return nil, err
	}
	if c.Handler == nil {
		if r.sender.Transport == nil {
			r.sender.Transport = NewTransport()
		}
		if _, ok := r.sender.Transport.(*http.Transport); ok { // it tells when a request is written
			r.gate = make(chan struct{}, beginAtOnce)
		}
		return r, nil
	}
	r.pipe, r.served = NewPipe(), make(chan struct{})
	r.sender.Transport = r.pipe.Transport()
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	r.server = &http.Server{Handler: c.Handler, BaseContext: func(net.Listener) context.Context { return ctx }, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	go func() {
		defer close(r.served)
		_ = r.server.Serve(r.pipe) // ends with close
	}()
	return r, nil
}

// beginAtOnce is how many deliveries to a server may be connecting and writing at
// one time. Where thousands did, each would wait for a processor again and again
// on its way, and a server that has accepted its connection would take it for
// one who says nothing, and close it.
const beginAtOnce = 64

// enter waits until a delivery may begin; its time begins then. The delivery must
// be made with the context, and begun be called when it is over. A delivery that
// is to take its time on the way keeps nobody waiting. It reports false when life
// ends first.
func (r *receiver) enter(life context.Context, latency time.Duration) (ctx context.Context, begun func(), ok bool) {
	if r.gate == nil || latency > 0 {
		return life, func() {}, true
	}
	select {
	case r.gate <- struct{}{}:
	case <-life.Done():
		return nil, nil, false
	}
	begun = sync.OnceFunc(func() { <-r.gate })
	trace := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { begun() }}
	return httptrace.WithClientTrace(life, trace), begun, true
}

func (r *receiver) close() {
	if r.server != nil {
		r.cancel()
		_ = r.server.Close()
		_ = r.pipe.Close()
		<-r.served
	}
	if t, ok := r.sender.Transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}
