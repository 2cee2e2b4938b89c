package sim

import (
	"maps"
	"slices"
	"time"
)

// The times of reference api-rules §13 and §14.
const (
	codeLife      = 5 * time.Minute
	userTokenLife = 7200 * time.Second
	refreshLife   = 30 * 24 * time.Hour
	ticketLife    = 7200 * time.Second
)

// The scopes of web OAuth.
const (
	scopeBase     = "snsapi_base"
	scopeUserInfo = "snsapi_userinfo"
)

var oauthHandlers = map[string]handler{
	"oauth_authorize_page": showConsent,
	"oauth_access_token":   exchangeCode,
	"oauth_refresh_token":  refreshUserToken,
	"oauth_userinfo":       userInfo,
	"oauth_check":          checkUserToken,
	"jsapi_ticket_get":     getTicket,
}

// oauthState are the codes and user tokens of web OAuth, and the tickets of the
// JS-SDK.
type oauthState struct {
	domain    string
	codes     map[string]*oauthCode
	byToken   map[string]*userGrant // also by tokens that are over
	byRefresh map[string]*userGrant
	swept     time.Time
	tickets   map[string]ticket // by type
}

// oauthCode is what the page gave to the redirect.
type oauthCode struct {
	userGrant
	expires time.Time
	used    bool
}

// userGrant is what a visitor granted, and to whom.
type userGrant struct {
	openID    string
	visitor   *Follower // nil for the virtual identity of snapshot mode
	scope     string
	component *Component // whose page it was; nil for the account's own

	token, refresh             string
	tokenExpires, refreshAfter time.Time
}

type ticket struct {
	value   string
	expires time.Time
}

// SetOAuthDomain sets the 网页授权域名 of the account: a host, without scheme
// and port, that the redirects of web OAuth must go to. Without it, or with "",
// every host will do (reference api-rules §13).
func (a *Account) SetOAuthDomain(host string) {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	a.oauth.domain = host
}

// sweep forgets what has been over for a day, at most once an hour.
func (s *oauthState) sweep(now time.Time) {
	if now.Sub(s.swept) < time.Hour {
		return
	}
	s.swept = now
	over := func(t time.Time) bool { return now.Sub(t) > keepDead }
	maps.DeleteFunc(s.codes, func(_ string, c *oauthCode) bool { return over(c.expires) })
	maps.DeleteFunc(s.byToken, func(value string, g *userGrant) bool { return value != g.token || over(g.tokenExpires) })
	maps.DeleteFunc(s.byRefresh, func(_ string, g *userGrant) bool { return over(g.refreshAfter) })
}

// newCode makes the code of a grant. p.mu is held.
func (a *Account) newCode(g userGrant) string {
	s, now := &a.oauth, a.p.now()
	s.sweep(now)
	if s.codes == nil {
		s.codes, s.byToken, s.byRefresh = map[string]*oauthCode{}, map[string]*userGrant{}, map[string]*userGrant{}
	}
	code := "0" + randomText(31)
	s.codes[code] = &oauthCode{userGrant: g, expires: now.Add(codeLife)}
	return code
}

// exchange turns a code into tokens. p.mu is held.
func (a *Account) exchange(code string, by *Component) (*userGrant, error) {
	s, now := &a.oauth, a.p.now()
	c := s.codes[code]
	switch {
	case c == nil, c.component != by:
		return nil, fail(40029)
	case c.used:
		return nil, fail(40163)
	case !now.Before(c.expires):
		return nil, fail(42003)
	}
	c.used = true
	g := &c.userGrant
	g.refresh, g.refreshAfter = newTokenText(), now.Add(refreshLife)
	s.byRefresh[g.refresh] = g
	a.prolong(g)
	return g, nil
}

// prolong gives a user token its full life again, or another one where it is
// over. p.mu is held.
func (a *Account) prolong(g *userGrant) {
	now := a.p.now()
	if !now.Before(g.tokenExpires) {
		g.token = newTokenText()
		a.oauth.byToken[g.token] = g
	}
	g.tokenExpires = now.Add(userTokenLife)
}

// userTokens is the answer that gives out user tokens.
type userTokens struct {
	AccessToken    string `json:"access_token"`
	ExpiresIn      int    `json:"expires_in"`
	RefreshToken   string `json:"refresh_token"`
	OpenID         string `json:"openid"`
	Scope          string `json:"scope"`
	IsSnapshotUser int    `json:"is_snapshotuser,omitempty"`
	UnionID        string `json:"unionid,omitempty"`
}

func (g *userGrant) tokens(now time.Time) userTokens {
	t := userTokens{AccessToken: g.token, ExpiresIn: seconds(g.tokenExpires, now), RefreshToken: g.refresh, OpenID: g.openID, Scope: g.scope}
	if g.visitor == nil {
		t.IsSnapshotUser = 1
	} else if g.scope == scopeUserInfo {
		t.UnionID = g.visitor.profile.UnionID
	}
	return t
}

func exchangeCode(c *call) (any, error) {
	if c.query.Get("grant_type") != "authorization_code" {
		return nil, fail(40002)
	}
	if err := c.knowSecret(c.query.Get("appid"), c.query.Get("secret")); err != nil {
		return nil, err
	}
	if err := c.spend(); err != nil {
		return nil, err
	}
	g, err := c.account.exchange(c.query.Get("code"), nil)
	if err != nil {
		return nil, err
	}
	return g.tokens(c.p.now()), nil
}

func refreshUserToken(c *call) (any, error) {
	a, err := c.p.accountOfAppID(c.query.Get("appid"))
	if err != nil {
		return nil, err
	}
	c.account = a
	if err := c.spend(); err != nil {
		return nil, err
	}
	return c.refreshGrant(a, nil)
}

// refreshGrant prolongs a grant of a visitor to the account or a third-party
// platform.
func (c *call) refreshGrant(a *Account, by *Component) (any, error) {
	if c.query.Get("grant_type") != "refresh_token" {
		return nil, fail(40002)
	}
	g := a.oauth.byRefresh[c.query.Get("refresh_token")]
	switch {
	case g == nil, g.component != by:
		return nil, fail(40030)
	case !c.p.now().Before(g.refreshAfter):
		return nil, fail(42002)
	}
	a.prolong(g)
	answer := g.tokens(c.p.now())
	answer.IsSnapshotUser, answer.UnionID = 0, ""
	return answer, nil
}

// userGrant finds what the visitor of the call's token granted.
func (c *call) userGrant() (*userGrant, error) {
	value := c.query.Get("access_token")
	for _, a := range c.p.accounts {
		g := a.oauth.byToken[value]
		if g == nil {
			continue
		}
		c.account = a
		if err := c.spend(); err != nil {
			return nil, err
		}
		switch {
		case g.token != value, !c.p.now().Before(g.tokenExpires):
			return nil, fail(42001)
		case g.openID != c.query.Get("openid"):
			return nil, fail(40003)
		}
		return g, nil
	}
	return nil, unknownToken(value)
}

func checkUserToken(c *call) (any, error) {
	_, err := c.userGrant()
	return nil, err
}

func userInfo(c *call) (any, error) {
	g, err := c.userGrant()
	if err != nil {
		return nil, err
	}
	if g.scope != scopeUserInfo {
		return nil, fail(48001)
	}
	profile := Profile{Nickname: "微信用户"} // of snapshot mode
	if g.visitor != nil {
		profile = g.visitor.profile
	}
	answer := map[string]any{
		"openid": g.openID, "nickname": profile.Nickname, "sex": profile.Sex, "language": profile.Language,
		"city": profile.City, "province": profile.Province, "country": profile.Country,
		"headimgurl": profile.Avatar, "privilege": []string{},
	}
	if profile.UnionID != "" {
		answer["unionid"] = profile.UnionID
	}
	return answer, nil
}

// getTicket gives out the ticket of a type, the same one until its end
// (reference api-rules §14).
func getTicket(c *call) (any, error) {
	kind := c.query.Get("type")
	if !slices.Contains([]string{"jsapi", "wx_card"}, kind) {
		return nil, fail(40097)
	}
	s, now := &c.account.oauth, c.p.now()
	t := s.tickets[kind]
	if seconds(t.expires, now) < 1 {
		t = ticket{value: randomText(86), expires: now.Add(ticketLife)}
		if s.tickets == nil {
			s.tickets = map[string]ticket{}
		}
		s.tickets[kind] = t
	}
	return map[string]any{"errcode": 0, "errmsg": "ok", "ticket": t.value, "expires_in": seconds(t.expires, now)}, nil
}
