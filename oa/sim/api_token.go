package sim

import (
	"cmp"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// The times of reference api-rules §2.
const (
	tokenLife      = 7200 * time.Second
	classicOverlap = 5 * time.Minute // that the token before lives on
	stableOverlap  = 5 * time.Minute // in which the next stable token is there
	forceInterval  = 30 * time.Second
	forcePerDay    = 20
	// keepDead is how long a token that is over is known to be so. After that it
	// is like any text that never was one.
	keepDead = 24 * time.Hour
)

var tokenHandlers = map[string]handler{"token_get": getToken, "token_get_stable": getStableToken}

// tokenState are the access tokens of an account.
type tokenState struct {
	given   map[string]*accessToken
	classic *accessToken // the newest one of /cgi-bin/token
	stable  *accessToken // the newest one of /cgi-bin/stable_token

	forced    time.Time // the last renewal by force
	forcedDay int       // the day that forcedOf counts
	forcedOf  int
}

// family says which call gave out a token. One family does not touch the other.
type family int

const (
	classicToken family = iota
	stableToken
	authorizerToken
)

// accessToken is an access token that was given out.
type accessToken struct {
	value   string
	family  family
	grant   *authorization // of an authorizerToken
	expires time.Time      // its natural end
	dies    time.Time      // where something killed it; zero otherwise
}

// code is 0 for a token that works.
func (t *accessToken) code(now time.Time) int {
	switch {
	case t.grant != nil && t.grant.withdrawn:
		return 61003
	case !t.dies.IsZero() && !now.Before(t.dies):
		return 40001
	case !now.Before(t.expires):
		return 42001
	}
	return 0
}

// seconds is what is left of a life of a token, as expires_in has it.
func seconds(until, now time.Time) int { return int(until.Sub(now) / time.Second) }

// giveToken makes a new token. p.mu is held.
func (a *Account) giveToken(f family, grant *authorization) *accessToken {
	now := a.p.now()
	maps.DeleteFunc(a.tokens.given, func(_ string, t *accessToken) bool { return now.Sub(t.expires) > keepDead })
	if a.tokens.given == nil {
		a.tokens.given = map[string]*accessToken{}
	}
	t := &accessToken{value: newTokenText(), family: f, grant: grant, expires: now.Add(tokenLife)}
	a.tokens.given[t.value] = t
	return t
}

// newTokenText makes the text of a token, as opaque and as long as real ones.
func newTokenText() string { return "98_" + randomText(161) }

// unknownToken is the error for a token that nobody was given.
func unknownToken(value string) error {
	if strings.Trim(value, letters+"-_") != "" {
		return fail(40014)
	}
	return fail(40001)
}

// kill ends tokens of a family at once. p.mu is held.
func (a *Account) kill(families ...family) {
	now := a.p.now()
	for _, t := range a.tokens.given {
		if slices.Contains(families, t.family) && t.code(now) == 0 {
			t.dies = now
		}
	}
}

// nextClassic makes the next token of /cgi-bin/token. The one before lives five
// minutes more, if it has so long. p.mu is held.
func (a *Account) nextClassic() *accessToken {
	if t := a.tokens.classic; t != nil && t.dies.IsZero() {
		t.dies = a.p.now().Add(classicOverlap)
	}
	a.tokens.classic = a.giveToken(classicToken, nil)
	return a.tokens.classic
}

// nextStable is the token of /cgi-bin/stable_token: the same one until its last
// five minutes. p.mu is held.
func (a *Account) nextStable() *accessToken {
	now := a.p.now()
	if t := a.tokens.stable; t == nil || t.code(now) != 0 || t.expires.Sub(now) <= stableOverlap {
		a.tokens.stable = a.giveToken(stableToken, nil)
	}
	return a.tokens.stable
}

// force kills the stable tokens, if it is not too soon or too often for that.
// p.mu is held.
func (a *Account) force() {
	s, now := &a.tokens, a.p.now()
	if day := beijingDay(now); day != s.forcedDay {
		s.forcedDay, s.forcedOf = day, 0
	}
	if s.forcedOf >= forcePerDay || now.Sub(s.forced) < forceInterval {
		return
	}
	s.forcedOf++
	s.forced = now
	a.kill(stableToken)
}

// AccessToken returns a token that works now: the one that
// /cgi-bin/stable_token would give out. It is for tests and tools: it needs no
// AppSecret, no address on the IP whitelist, and spends no quota.
func (a *Account) AccessToken() string {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	return a.nextStable().value
}

// ReplaceToken has somebody else's process renew the account's tokens, by
// force: all that were given out die at once, and calls with them fail with
// 40001. Those of third-party platforms go on (reference api-rules §2).
func (a *Account) ReplaceToken() {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	a.kill(classicToken, stableToken)
}

type tokenAnswer struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in"`
}

func getToken(c *call) (any, error) {
	if err := c.mayGetToken(c.query.Get("grant_type"), c.query.Get("appid"), c.query.Get("secret")); err != nil {
		return nil, err
	}
	t := c.account.nextClassic()
	return tokenAnswer{t.value, seconds(t.expires, c.p.now())}, nil
}

func getStableToken(c *call) (any, error) {
	var in struct {
		GrantType    string `json:"grant_type"`
		AppID        string `json:"appid"`
		Secret       string `json:"secret"`
		ForceRefresh bool   `json:"force_refresh"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := c.mayGetToken(in.GrantType, in.AppID, in.Secret); err != nil {
		return nil, err
	}
	if in.ForceRefresh {
		c.account.force()
	}
	t := c.account.nextStable()
	return tokenAnswer{t.value, seconds(t.expires, c.p.now())}, nil
}

// mayGetToken checks what a token is asked for with.
func (c *call) mayGetToken(grantType, appID, secret string) error {
	if grantType != "client_credential" {
		return fail(40002)
	}
	if err := c.knowSecret(appID, secret); err != nil {
		return err
	}
	if list := c.account.config.IPWhitelist; len(list) > 0 && !slices.Contains(list, c.ip()) {
		return failf(40164, "invalid ip %s, not in whitelist", c.ip())
	}
	return c.spend()
}

// knowSecret makes the call one of the account with that AppID, if the caller
// knows its AppSecret.
func (c *call) knowSecret(appID, secret string) error {
	a, err := c.p.accountOfAppID(appID)
	if err != nil {
		return err
	}
	c.account = a
	return checkSecret(a.config.AppSecret, secret)
}

// checkSecret tells an AppSecret that cannot be one from one that is another's.
func checkSecret(want, got string) error {
	switch {
	case got == want:
		return nil
	case len(got) != 32:
		return fail(40125)
	}
	return fail(40001)
}

// accountOfAppID finds an account by its AppID; 40013 where there is none.
func (p *Platform) accountOfAppID(appID string) (*Account, error) {
	if a := p.account(appID); a != nil && a.config.AppID == appID {
		return a, nil
	}
	return nil, fail(40013)
}

// spend checks rights and quota of an account that was found by its AppID, as
// the core does for one that was found by its token.
func (c *call) spend() error {
	if !c.account.may(c.endpoint) {
		return fail(48001)
	}
	if code := c.account.countCall(c.endpoint); code != 0 {
		return fail(code)
	}
	return nil
}

// ip is the address that the call comes from.
func (c *call) ip() string {
	host, _, err := net.SplitHostPort(c.r.RemoteAddr)
	if err != nil {
		host = c.r.RemoteAddr // of a [Pipe]
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Unmap().String()
	}
	return cmp.Or(host, "unknown")
}

// accountOfToken finds the token among those that were given out.
func (p *Platform) accountOfToken(value string) (*Account, *accessToken) {
	for _, a := range p.accounts {
		if t := a.tokens.given[value]; t != nil {
			return a, t
		}
	}
	return nil, nil
}

// authenticateAccount finds the account of the call's access_token, which may
// be that of a third-party platform: it opens what the account granted, and no
// more (reference api-rules §15).
func (c *call) authenticateAccount() error {
	value := c.query.Get("access_token")
	if value == "" {
		return fail(41001)
	}
	a, t := c.p.accountOfToken(value)
	if t == nil {
		return unknownToken(value)
	}
	c.account = a
	if code := t.code(c.p.now()); code != 0 {
		return fail(code)
	}
	if t.grant != nil && !t.grant.covers(c.endpoint.Area().Name) {
		return fail(61007)
	}
	return nil
}
