package sim

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/wenzihq/wenzi/oa"
)

// The times of reference api-rules §15.
const (
	verifyTicketLife = 12 * time.Hour
	preAuthLife      = 1800 * time.Second
	authCodeLife     = time.Hour
)

// allFunctions are the permission sets that the reference names.
var allFunctions = []int{1, 2, 3, 4, 7, 11, 15}

// functions says which permission sets open the endpoints of a chapter of the
// catalogue; one of them will do (reference api-rules §15).
var functions = map[string][]int{
	"message-custom":     {1, 3},
	"customservice":      {3},
	"kf-session":         {3},
	"user":               {2},
	"tags":               {2},
	"blacklist":          {2},
	"oauth":              {4},
	"jssdk":              {4},
	"message-mass":       {7},
	"message-template":   {7},
	"comment":            {7},
	"freepublish":        {7},
	"material-permanent": {11},
	"media-temporary":    {11},
	"draft":              {11},
	"menu":               {15},
}

// ComponentConfig describes a third-party platform. Everything has a default.
type ComponentConfig struct {
	Name      string // tells its copies of pushes and its answers apart; the default is the AppID
	AppID     string // wx and 16 hex digits
	AppSecret string // 32 characters
	// Token and AESKey are those of both its addresses, which are in secure mode.
	Token  string // "hello"
	AESKey string // 43 characters
	// IPWhitelist, if it is not empty, are the only addresses that may call for
	// the platform.
	IPWhitelist []string
	// Functions are the ids of the permission sets that the platform asks for;
	// the default is all that the reference names.
	Functions []int

	// URL or Handler is the 授权事件接收 address: it gets the verify ticket and
	// what becomes of authorisations. A Handler is a server in this process, as in
	// [AccountConfig].
	URL     string
	Handler http.Handler
	// MessageURL or MessageHandler is the 消息与事件接收 address: it gets a copy of
	// every push of the accounts that authorised the platform. $APPID$ in it
	// becomes the AppID of the account. The default with a MessageHandler is
	// http://wenzi.test/$APPID$.
	MessageURL     string
	MessageHandler http.Handler
	// Transport sends the requests to URL and MessageURL; nil is that of
	// [NewTransport].
	Transport http.RoundTripper
}

// Component is a third-party platform (第三方平台): it calls the API for the
// accounts that authorised it, and gets a copy of their pushes (reference
// api-rules §15).
type Component struct {
	p      *Platform
	config ComponentConfig
	// self stands for the platform where it is like an account: it has a server
	// that is pushed to, and its calls are counted.
	self     *Account
	messages *receiver // nil without a message address

	// What follows is guarded by p.mu.
	tickets map[string]time.Time // verify tickets and their ends
	tokens  map[string]time.Time // component_access_tokens and their ends
	preAuth map[string]time.Time
	codes   map[string]*authCode
	grants  []*authorization // in order
}

// authorization is what an account granted to a third-party platform.
type authorization struct {
	account   *Account
	since     time.Time
	functions []int
	refresh   string
	before    string // the refresh token that this one replaced
	options   map[string]string
	receiver  *receiver // of the account's pushes; nil without a message address
	withdrawn bool
}

// authCode is a code that stands for an authorization.
type authCode struct {
	grant   *authorization
	expires time.Time
	used    bool
}

// NewComponent adds a third-party platform and pushes the first
// component_verify_ticket. WeChat does so every ten minutes; here
// [Component.PushTicket] and component_start_push_ticket do.
func (p *Platform) NewComponent(c ComponentConfig) (*Component, error) {
	c.IPWhitelist, c.Functions = slices.Clone(c.IPWhitelist), slices.Clone(c.Functions)
	if len(c.Functions) == 0 {
		c.Functions = slices.Clone(allFunctions)
	}
	c.Token = cmp.Or(c.Token, "hello")
	c.AESKey = cmp.Or(c.AESKey, randomText(43))
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	n := p.id()
	c.AppID = cmp.Or(c.AppID, fmt.Sprintf("wx%016x", n))
	c.AppSecret = cmp.Or(c.AppSecret, fmt.Sprintf("%032x", n))
	c.Name = cmp.Or(c.Name, c.AppID)
	if p.account(c.AppID) != nil || p.component(c.AppID) != nil {
		return nil, fmt.Errorf("sim: there is something with the AppID %s already", c.AppID)
	}
	x := &Component{
		p: p, config: c, self: &Account{p: p, config: AccountConfig{Name: c.Name, AppID: c.AppID}},
		tickets: map[string]time.Time{}, tokens: map[string]time.Time{}, preAuth: map[string]time.Time{}, codes: map[string]*authCode{},
	}
	verify := oa.Account{AppID: c.AppID, Token: c.Token, AESKey: c.AESKey, Mode: oa.Secure}
	if c.URL != "" || c.Handler != nil {
		r, err := newReceiver(ReceiverConfig{Account: verify, URL: c.URL, Handler: c.Handler, Transport: c.Transport})
		if err != nil {
			return nil, err
		}
		x.self.receivers = []*receiver{r}
	}
	if c.MessageURL != "" || c.MessageHandler != nil {
		r, err := newReceiver(ReceiverConfig{
			Name: c.Name, Account: verify, URL: cmp.Or(c.MessageURL, "http://wenzi.test/$APPID$"), Handler: c.MessageHandler, Transport: c.Transport})
		if err != nil {
			for _, r := range x.self.receivers {
				r.close()
			}
			return nil, err
		}
		x.messages = r
	}
	p.components = append(p.components, x)
	x.pushTicket()
	return x, nil
}

// Config returns what the platform was made with, defaults filled in.
func (c *Component) Config() ComponentConfig {
	config := c.config
	config.IPWhitelist, config.Functions = slices.Clone(config.IPWhitelist), slices.Clone(config.Functions)
	return config
}

// PushTicket pushes a new component_verify_ticket, which is good for 12 hours.
// Those before stay good for the rest of theirs.
func (c *Component) PushTicket() *Sent {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	return c.pushTicket()
}

func (c *Component) pushTicket() *Sent {
	now := c.p.now()
	forgetOld(c.tickets, now)
	value := "ticket@@@" + randomText(80)
	c.tickets[value] = now.Add(verifyTicketLife)
	return c.push(&oa.ComponentVerifyTicket{InfoHeader: oa.InfoHeader{InfoType: "component_verify_ticket"}, Ticket: value})
}

// push sends to the address for authorisation events.
func (c *Component) push(m oa.Info) *Sent {
	head := m.InfoHead()
	head.AppID = c.config.AppID
	head.Time = c.p.now().Add(c.p.trouble.Skew).Unix()
	return c.self.notify(m)
}

// Authorize has the owner of the account authorise the platform, or change what
// was granted to it: functions are the ids of permission sets, those that the
// platform asks for by default. The platform gets a copy of the account's pushes
// from now on, and is pushed authorized or updateauthorized with a code for
// component_query_auth, good for an hour and once. Where nothing changes,
// nothing is pushed (reference §6.17).
func (c *Component) Authorize(a *Account, functions ...int) *Sent {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	sent, _ := c.authorize(a, functions, c.newPreAuth())
	return sent
}

// authorize is Authorize by a person who came with a pre-auth code. p.mu is held.
func (c *Component) authorize(a *Account, functions []int, preAuth string) (sent *Sent, code string) {
	now := c.p.now()
	delete(c.preAuth, preAuth)
	if len(functions) == 0 {
		functions = c.config.Functions
	}
	functions = slices.Compact(slices.Sorted(slices.Values(functions)))
	info := &oa.Authorized{InfoHeader: oa.InfoHeader{InfoType: "authorized"}, AuthorizerAppID: a.config.AppID, PreAuthCode: preAuth}
	g := c.authorized(a)
	same := g != nil && slices.Equal(g.functions, functions)
	if g == nil {
		g = &authorization{account: a, since: now, refresh: newRefreshToken(), options: map[string]string{}}
		c.grants = append(c.grants, g)
		if c.messages != nil {
			g.receiver = c.messages.as(strings.ReplaceAll(c.messages.sender.URL, "$APPID$", a.config.AppID))
			a.receivers = append(a.receivers, g.receiver)
		}
	} else {
		info.InfoType = "updateauthorized"
	}
	g.functions = functions
	maps.DeleteFunc(c.codes, func(_ string, x *authCode) bool { return now.Sub(x.expires) > keepDead })
	code = "queryauthcode@@@" + randomText(64)
	c.codes[code] = &authCode{grant: g, expires: now.Add(authCodeLife)}
	if same {
		sent = newSent(c.self, nil, info)
		sent.end(NotPushed, remark(RuleNotPushed, "权限集没有变化，不推送", "nothing is pushed where the permission sets stay the same"))
		return sent, code
	}
	info.Code, info.CodeExpires = code, now.Add(authCodeLife).Unix()
	return c.push(info), code
}

// Unauthorize has the owner of the account withdraw the authorisation: the
// platform is pushed unauthorized, gets no more pushes of the account, and its
// tokens of the account are refused with 61003.
func (c *Component) Unauthorize(a *Account) *Sent {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	info := &oa.Unauthorized{InfoHeader: oa.InfoHeader{InfoType: "unauthorized"}, AuthorizerAppID: a.config.AppID}
	if !c.withdraw(a) {
		sent := newSent(c.self, nil, info)
		sent.end(NotPushed, remark(RuleNotPushed, "账号没有授权给这个第三方平台", "the account has not authorised this third-party platform"))
		return sent
	}
	return c.push(info)
}

// withdraw ends an authorisation, and reports whether there was one. p.mu is
// held.
func (c *Component) withdraw(a *Account) bool {
	g := c.authorized(a)
	if g == nil {
		return false
	}
	g.withdrawn = true
	c.grants = slices.DeleteFunc(c.grants, func(x *authorization) bool { return x == g })
	a.receivers = slices.DeleteFunc(a.receivers, func(r *receiver) bool { return r == g.receiver })
	return true
}

// authorized is what the account granted, nil if nothing.
func (c *Component) authorized(a *Account) *authorization {
	i := slices.IndexFunc(c.grants, func(g *authorization) bool { return g.account == a })
	if i < 0 {
		return nil
	}
	return c.grants[i]
}

func (c *Component) newPreAuth() string {
	now := c.p.now()
	forgetOld(c.preAuth, now)
	code := "preauthcode@@@" + randomText(64)
	c.preAuth[code] = now.Add(preAuthLife)
	return code
}

// forgetOld drops what ended long ago.
func forgetOld(ends map[string]time.Time, now time.Time) {
	maps.DeleteFunc(ends, func(_ string, end time.Time) bool { return now.Sub(end) > keepDead })
}

func newRefreshToken() string { return "refreshtoken@@@" + randomText(43) }

// covers reports whether the permission sets open the endpoints of a chapter of
// the catalogue.
func (g *authorization) covers(area string) bool {
	sets, known := functions[area]
	return !known || slices.ContainsFunc(sets, func(id int) bool { return slices.Contains(g.functions, id) })
}

// as is the same server at another address. Only the first is closed.
func (r *receiver) as(address string) *receiver {
	sender := r.sender
	sender.URL = address
	return &receiver{name: r.name, sender: sender}
}

// component finds a third-party platform by its AppID. p.mu is held.
func (p *Platform) component(appID string) *Component {
	i := slices.IndexFunc(p.components, func(c *Component) bool { return c.config.AppID == appID })
	if i < 0 {
		return nil
	}
	return p.components[i]
}

func (c *Component) close() {
	c.self.close()
	if c.messages != nil {
		c.messages.close()
	}
}
