package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Hosts of the platform. BackupHost is for times when DefaultHost cannot be
// reached; give it to [WithBaseURL].
const (
	DefaultHost = "https://api.weixin.qq.com"
	BackupHost  = "https://api2.weixin.qq.com"
)

// Secret is a string that prints as ***. The platform gets the real value.
type Secret string

func (Secret) String() string       { return "***" }
func (Secret) GoString() string     { return `"***"` }
func (Secret) LogValue() slog.Value { return slog.StringValue("***") }

// MarshalText hides the secret in JSON too. It is read as it is.
func (Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }

// Account is the identity of one Official Account.
type Account struct {
	AppID  string
	Secret Secret // not needed with [WithTokenSource]
}

// Client calls the platform's API for one account. It is safe for concurrent
// use; make one per account and keep it, because it holds the token.
type Client struct {
	Services

	account        Account
	http           *http.Client
	baseURL        string
	pagesURL       string // for mp.weixin.qq.com and open.weixin.qq.com; empty keeps them
	tokens         TokenSource
	componentToken TokenSource
	store          Store
	classic        bool
	now            func() time.Time
	log            *slog.Logger
	trace          func(context.Context, Attempt) func(Result)
	limits         *limiter
	jsapi          *cached
	cards          *cached
}

// Option changes how a client behaves.
type Option func(*Client)

// WithHTTPClient sets the HTTP client, for a proxy or a transport of one's
// own. Redirects are never followed: the platform answers none, and a
// redirect would carry the token away.
func WithHTTPClient(h *http.Client) Option { return func(c *Client) { c.http = h } }

// WithBaseURL replaces https://api.weixin.qq.com for all calls, the token's
// included: a backup host, a reverse proxy with a fixed exit IP, or a
// simulated platform.
func WithBaseURL(u string) Option { return func(c *Client) { c.baseURL = u } }

// WithPagesURL replaces https://mp.weixin.qq.com and
// https://open.weixin.qq.com, where the QR image and the pages for browsers
// are. A simulated platform needs it.
func WithPagesURL(u string) Option { return func(c *Client) { c.pagesURL = u } }

// WithTokenSource takes tokens from somewhere else than the account's secret:
// a [StaticToken], a [HubTokens] or a [Platform]'s authorizer.
func WithTokenSource(s TokenSource) Option { return func(c *Client) { c.tokens = s } }

// WithComponentToken sets the source for calls that want a third-party
// platform's component_access_token.
func WithComponentToken(s TokenSource) Option { return func(c *Client) { c.componentToken = s } }

// WithStore shares tokens and tickets with other processes. Without it they
// are kept in memory.
func WithStore(s Store) Option { return func(c *Client) { c.store = s } }

// WithClassicToken uses GET /cgi-bin/token in place of the stable token. Every
// call of it kills the token before, so all users of the account must share
// one store.
func WithClassicToken() Option { return func(c *Client) { c.classic = true } }

// WithClock sets the clock that expiries and signatures are computed with.
func WithClock(now func() time.Time) Option { return func(c *Client) { c.now = now } }

// WithLogger logs every attempt at debug level and troubles with tokens as
// warnings. No log line has a token, a secret or a body.
func WithLogger(l *slog.Logger) Option { return func(c *Client) { c.log = l } }

// WithTrace is called before every attempt to call the platform; the function
// it returns is called with the outcome. It is the place for metrics and
// spans.
func WithTrace(f func(context.Context, Attempt) func(Result)) Option {
	return func(c *Client) { c.trace = f }
}

// WithLimits keeps the client itself inside limits, by endpoint id: a call
// over the limit of a minute waits for the next minute, a call over the limit
// of a day fails with [ErrQuota] and is not sent. [DefaultLimits] is a start;
// accounts with many followers have more. The counters are the process's own.
func WithLimits(limits map[string]Limit) Option {
	return func(c *Client) { c.limits = newLimiter(limits) }
}

// Attempt is one HTTP request about to be made.
type Attempt struct {
	AppID    string
	Endpoint string // the endpoint's id
	Method   string
	Path     string
	Number   int // from 1
}

// Result is what became of an attempt.
type Result struct {
	HTTPStatus int // 0 when there was no answer
	Code       int // the platform's return code
	RID        string
	Err        error
	Duration   time.Duration
}

// NewClient makes a client. It makes no call.
func NewClient(account Account, options ...Option) (*Client, error) {
	c := &Client{
		account: account,
		http:    http.DefaultClient,
		baseURL: DefaultHost,
		now:     time.Now,
		log:     slog.New(slog.DiscardHandler),
	}
	for _, o := range options {
		o(c)
	}
	if c.account.AppID == "" {
		return nil, errors.New("api: account without AppID: copy it from the platform's console, 设置与开发 → 基本配置")
	}
	for _, u := range []*string{&c.baseURL, &c.pagesURL} {
		*u = strings.TrimSuffix(*u, "/")
		if *u == "" {
			continue
		}
		p, err := url.Parse(*u)
		if err != nil || p.Host == "" || p.RawQuery != "" || p.Fragment != "" || p.User != nil {
			return nil, fmt.Errorf("api: base URL of account %s must look like https://host or https://host/path", c.account.AppID)
		}
	}
	h := *c.http
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.http = &h
	c.store = cmp.Or[Store](c.store, new(MemoryStore))
	if c.tokens == nil {
		if c.account.Secret == "" {
			return nil, fmt.Errorf("api: account %s without AppSecret and without another source of tokens", c.account.AppID)
		}
		c.tokens = c.accountTokens()
	}
	c.jsapi, c.cards = c.ticket("jsapi"), c.ticket("wx_card")
	c.Services = newServices(c)
	return c, nil
}

// AppID is the AppID of the client's account.
func (c *Client) AppID() string { return c.account.AppID }

// Tokens is the client's source of tokens, to share it (see [TokenHub]).
func (c *Client) Tokens() TokenSource { return c.tokens }
