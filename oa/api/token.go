package api

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Token is a credential of the platform with its end.
type Token struct {
	Value   Secret
	Expires time.Time
}

// String hides the token.
func (t Token) String() string { return "token until " + t.Expires.Format(time.RFC3339) }

// GoString hides the token.
func (t Token) GoString() string { return t.String() }

// TokenSource gives the token a call is made with.
type TokenSource interface {
	// Token returns a token that is alive as far as anybody knows.
	Token(ctx context.Context) (Token, error)
	// Invalidate says that the platform refused a token. It compares and
	// swaps: a source that has another token by now keeps that one.
	Invalidate(ctx context.Context, refused Token) error
}

// StaticToken is a token somebody else takes care of, for tools and tests.
type StaticToken Secret

// Token returns the token.
func (t StaticToken) Token(context.Context) (Token, error) { return Token{Value: Secret(t)}, nil }

// Invalidate fails: there is no other token.
func (t StaticToken) Invalidate(context.Context, Token) error {
	return fmt.Errorf("api: the token that was given is refused: %w", ErrToken)
}

func (StaticToken) String() string   { return "***" }
func (StaticToken) GoString() string { return "***" }

// MarshalText hides the token in JSON.
func (StaticToken) MarshalText() ([]byte, error) { return []byte("***"), nil }

const (
	// A token is renewed this long before its end, or when a quarter of its
	// life is left, whichever is later. In its last five minutes the platform
	// hands out the next stable token while the old one stays valid.
	renewBefore = 290 * time.Second

	fetchTimeout = 30 * time.Second // for one renewal, repeats included
	leaseTime    = time.Minute      // longer than a renewal
	leasePoll    = 50 * time.Millisecond
	storeTimeout = 5 * time.Second
	retryAfter   = time.Second // after a renewal that failed

	// The platform renews a stable token by force at most 20 times a day and
	// not within 30 s (reference api-rules §2).
	forceInterval = 30 * time.Second
	forcePerDay   = 20
)

// record is a credential as it is kept in the store.
type record struct {
	Value   string      `json:"value"`
	Expires time.Time   `json:"expires"`
	Renew   time.Time   `json:"renew"`            // when to look for the next one
	Forced  []time.Time `json:"forced,omitempty"` // renewals by force of the last day
}

func (r record) token() Token             { return Token{Value: Secret(r.Value), Expires: r.Expires} }
func (r record) alive(now time.Time) bool { return r.Value != "" && now.Before(r.Expires) }
func (r record) fresh(now time.Time) bool { return r.Value != "" && now.Before(r.Renew) }

// newRecord makes a record of a credential that was asked for at a time and
// lives some seconds from then.
func newRecord(value string, asked time.Time, seconds int) record {
	life := time.Duration(seconds) * time.Second
	return record{Value: value, Expires: asked.Add(life), Renew: asked.Add(life - min(renewBefore, life/4))}
}

// cached is a credential that all goroutines, and through the store all
// processes, renew together: one of them asks the platform, the others go on
// with the old one or wait.
type cached struct {
	name  string // for logs
	key   string // in the store
	store Store
	now   func() time.Time
	log   *slog.Logger
	// fetch asks the platform. It is given what was known before, and the
	// value that was refused, if any.
	fetch func(ctx context.Context, before record, refused string) (record, error)

	mu       sync.Mutex
	current  record
	refused  string
	renewal  *renewal  // under way
	failed   error     // of the last renewal
	failedAt time.Time // so that a broken configuration does not flood the platform
}

type renewal struct {
	done   chan struct{}
	record record
	err    error
}

// Token returns the cached credential, renewing it when it is old.
func (c *cached) Token(ctx context.Context) (Token, error) {
	if err := ctx.Err(); err != nil {
		return Token{}, err
	}
	c.mu.Lock()
	now := c.now()
	if c.current.alive(now) {
		token := c.current.token()
		if !c.current.fresh(now) && !c.justFailed(now) {
			c.renewLocked(ctx)
		}
		c.mu.Unlock()
		return token, nil
	}
	if c.renewal == nil && c.justFailed(now) {
		defer c.mu.Unlock()
		return Token{}, c.failed
	}
	r := c.renewLocked(ctx)
	c.mu.Unlock()
	select {
	case <-r.done:
		return r.record.token(), r.err
	case <-ctx.Done():
		return Token{}, fmt.Errorf("api: waiting for %s: %w", c.name, ctx.Err())
	}
}

// Invalidate drops the credential if it is still the refused one.
func (c *cached) Invalidate(_ context.Context, refused Token) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current.Value == string(refused.Value) {
		c.current, c.refused = record{}, string(refused.Value)
		c.failed = nil
	}
	return nil
}

func (c *cached) justFailed(now time.Time) bool {
	return c.failed != nil && now.Sub(c.failedAt) < retryAfter
}

// renewLocked joins the renewal under way or begins one. It outlives the
// caller's context: others wait for it too.
func (c *cached) renewLocked(ctx context.Context) *renewal {
	if c.renewal != nil {
		return c.renewal
	}
	r := &renewal{done: make(chan struct{})}
	c.renewal = r
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		got, err := c.renew(ctx)
		c.mu.Lock()
		if err == nil {
			c.current, c.refused, c.failed = got, "", nil
		} else {
			c.failed, c.failedAt = err, c.now()
			c.log.WarnContext(ctx, "token not renewed", "credential", c.name, "error", err)
		}
		c.renewal = nil
		c.mu.Unlock()
		r.record, r.err = got, err
		close(r.done)
	}()
	return r
}

// renew finds a fresh credential in the store or, holding the lease, asks the
// platform for one. A store that fails does not stop it.
func (c *cached) renew(ctx context.Context) (record, error) {
	for {
		if r := c.load(ctx); c.good(r) {
			return r, nil
		}
		release, ok, err := c.store.Lease(ctx, c.key, leaseTime)
		if err != nil {
			c.log.WarnContext(ctx, "token store without lease", "credential", c.name, "error", err)
			return c.ask(ctx, record{})
		}
		if ok {
			r := c.load(ctx)
			if !c.good(r) {
				r, err = c.ask(ctx, r)
			}
			release()
			return r, err
		}
		if err := sleep(ctx, leasePoll); err != nil {
			return record{}, fmt.Errorf("api: %s: another process holds the lease: %w", c.name, err)
		}
	}
}

func (c *cached) good(r record) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return r.fresh(c.now()) && r.Value != c.refused
}

func (c *cached) load(ctx context.Context) record {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	var r record
	b, ok, err := c.store.Get(ctx, c.key)
	if err == nil && ok {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		c.log.WarnContext(ctx, "token store not readable", "credential", c.name, "error", err)
		return record{}
	}
	return r
}

func (c *cached) ask(ctx context.Context, before record) (record, error) {
	c.mu.Lock()
	refused := c.refused
	c.mu.Unlock()
	r, err := c.fetch(ctx, before, refused)
	if err != nil {
		return record{}, err
	}
	b, err := json.Marshal(r)
	if err != nil {
		return record{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	// Kept a day, for the list of renewals by force.
	if err := c.store.Set(ctx, c.key, b, 24*time.Hour); err != nil {
		c.log.WarnContext(ctx, "token store not writable", "credential", c.name, "error", err)
	}
	return r, nil
}

// accountTokens is the source of an account with a secret.
func (c *Client) accountTokens() TokenSource {
	t := &cached{
		name:  "access_token of " + c.account.AppID,
		key:   "access_token/stable/" + c.account.AppID,
		store: c.store,
		now:   c.now,
		log:   c.log,
		fetch: c.fetchStable,
	}
	if c.classic {
		t.key = "access_token/classic/" + c.account.AppID
		t.fetch = c.fetchClassic
	}
	return t
}

func (c *Client) fetchClassic(ctx context.Context, _ record, _ string) (record, error) {
	asked := c.now()
	resp, err := c.Token.Get(ctx, TokenGetRequest{GrantType: "client_credential", AppID: c.account.AppID, Secret: string(c.account.Secret)})
	return tokenRecord(resp.AccessToken, asked, resp.ExpiresIn, err)
}

// fetchStable asks for the stable token. When the platform hands back the very
// token it refused, somebody renewed it elsewhere and the answer is stale; the
// last resort is then a renewal by force, inside the platform's limits.
func (c *Client) fetchStable(ctx context.Context, before record, refused string) (record, error) {
	ask := func(force bool) (record, error) {
		asked := c.now()
		resp, err := c.Token.GetStable(ctx, TokenGetStableRequest{
			GrantType: "client_credential", AppID: c.account.AppID, Secret: string(c.account.Secret), ForceRefresh: force})
		return tokenRecord(resp.AccessToken, asked, resp.ExpiresIn, err)
	}
	r, err := ask(false)
	if err != nil {
		return record{}, err
	}
	now := c.now()
	forced := slices.DeleteFunc(before.Forced, func(t time.Time) bool { return now.Sub(t) >= 24*time.Hour })
	r.Forced = forced
	tooSoon := len(forced) > 0 && now.Sub(forced[len(forced)-1]) < forceInterval
	if refused == "" || r.Value != refused || tooSoon || len(forced) >= forcePerDay {
		return r, nil
	}
	c.log.WarnContext(ctx, "stable token renewed by force", "appid", c.account.AppID)
	if r, err = ask(true); err != nil {
		return record{}, err
	}
	r.Forced = slices.Concat(forced, []time.Time{now})
	return r, nil
}

func tokenRecord(value string, asked time.Time, seconds int, err error) (record, error) {
	if err != nil {
		return record{}, err
	}
	if value == "" || seconds <= 0 {
		return record{}, fmt.Errorf("api: the platform answered without a token: %w", ErrUnreachable)
	}
	return newRecord(value, asked, seconds), nil
}
