package sim

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

var componentHandlers = map[string]handler{
	"component_start_push_ticket":   startPushTicket,
	"component_token":               getComponentToken,
	"component_login_page":          showLogin,
	"component_preauthcode":         ofComponent(getPreAuthCode),
	"component_query_auth":          ofComponent(queryAuth),
	"component_authorizer_token":    ofComponent(refreshAuthorizer),
	"component_authorizer_info":     ofComponent(getAuthorizer),
	"component_authorizer_list":     ofComponent(listAuthorizers),
	"component_option_get":          ofComponent(getOption),
	"component_option_set":          ofComponent(setOption),
	"component_oauth_access_token":  exchangeCodeFor,
	"component_oauth_refresh_token": refreshUserTokenFor,
}

// componentRequest has the members of all bodies. Numbers may be quoted.
type componentRequest struct {
	AppID   string      `json:"component_appid"`
	Account string      `json:"authorizer_appid"`
	Code    string      `json:"authorization_code"`
	Refresh string      `json:"authorizer_refresh_token"`
	Offset  json.Number `json:"offset"`
	Count   json.Number `json:"count"`
	Option  string      `json:"option_name"`
	Value   json.Number `json:"option_value"`
}

// ofComponent makes a handler of a function that is given the body. The
// component_appid in it must be that of the token.
func ofComponent(h func(*call, *componentRequest) (any, error)) handler {
	return func(c *call) (any, error) {
		var in componentRequest
		if err := c.decode(&in); err != nil {
			return nil, err
		}
		if in.AppID != c.component.config.AppID {
			return nil, fail(40013)
		}
		return h(c, &in)
	}
}

// authenticateComponent finds the third-party platform of the call's token. Its
// parameter has two names; the calls of web OAuth know one (reference api-rules
// §15).
func (c *call) authenticateComponent() error {
	value := c.query.Get("component_access_token")
	if value == "" && !strings.HasPrefix(c.endpoint.Path, "/sns/") {
		value = c.query.Get("access_token")
	}
	if value == "" {
		return fail(41001)
	}
	for _, x := range c.p.components {
		end, given := x.tokens[value]
		if !given {
			continue
		}
		c.account, c.component = x.self, x
		if !c.p.now().Before(end) {
			return fail(42001)
		}
		return x.admits(c.ip())
	}
	if _, t := c.p.accountOfToken(value); t != nil {
		return fail(61024)
	}
	return unknownToken(value)
}

// admits checks the IP whitelist.
func (c *Component) admits(ip string) error {
	if len(c.config.IPWhitelist) > 0 && !slices.Contains(c.config.IPWhitelist, ip) {
		return failf(61004, "access clientip is not registered requestIP: %s", ip)
	}
	return nil
}

// knowComponent makes the call one of the third-party platform with that
// AppID, if the caller knows its secret.
func (c *call) knowComponent(appID, secret string) error {
	x := c.p.component(appID)
	if x == nil {
		return fail(40013)
	}
	c.account, c.component = x.self, x
	if secret != x.config.AppSecret {
		return fail(40125)
	}
	if err := x.admits(c.ip()); err != nil {
		return err
	}
	return c.spend()
}

func startPushTicket(c *call) (any, error) {
	var in struct {
		AppID  string `json:"component_appid"`
		Secret string `json:"component_secret"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := c.knowComponent(in.AppID, in.Secret); err != nil {
		return nil, err
	}
	c.component.pushTicket()
	return nil, nil
}

func getComponentToken(c *call) (any, error) {
	var in struct {
		AppID  string `json:"component_appid"`
		Secret string `json:"component_appsecret"`
		Ticket string `json:"component_verify_ticket"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := c.knowComponent(in.AppID, in.Secret); err != nil {
		return nil, err
	}
	x, now := c.component, c.p.now()
	end, pushed := x.tickets[in.Ticket]
	switch {
	case !pushed:
		return nil, fail(61006)
	case !now.Before(end):
		return nil, fail(61005)
	}
	value := newTokenText()
	forgetOld(x.tokens, now)
	x.tokens[value] = now.Add(tokenLife)
	return map[string]any{"component_access_token": value, "expires_in": seconds(x.tokens[value], now)}, nil
}

func getPreAuthCode(c *call, _ *componentRequest) (any, error) {
	code := c.component.newPreAuth()
	return map[string]any{"pre_auth_code": code, "expires_in": int(preAuthLife.Seconds())}, nil
}

// showLogin is the page on which the owner of an account authorises the
// platform: the parameter account says which account it is, an AppID; without
// it the page asks.
func showLogin(c *call) (any, error) {
	x := c.p.component(c.query.Get("component_appid"))
	if x == nil {
		return refused(&refusal{"第三方平台的 AppID 不对", "there is no third-party platform with this component_appid"}), nil
	}
	c.account = x.self
	preAuth := c.query.Get("pre_auth_code")
	if end, given := x.preAuth[preAuth]; !given || !c.p.now().Before(end) {
		return refused(&refusal{"预授权码无效、已使用或已过期", "the pre_auth_code is unknown, used or expired"}), nil
	}
	to, err := redirectURL(c.query.Get("redirect_uri"))
	if err != nil {
		return refused(err), nil
	}
	wanted, err := functionIDs(c.query.Get("category_id_list"))
	if err != nil {
		return refused(err), nil
	}
	var choices []choice
	for _, a := range c.p.accounts {
		if only := c.query.Get("biz_appid"); only != "" && only != a.config.AppID || c.query.Get("auth_type") == "2" {
			continue
		}
		if a.config.AppID == c.query.Get("account") {
			_, code := x.authorize(a, wanted, preAuth)
			return page{status: http.StatusFound, location: withQuery(to,
				[2]string{"auth_code", code}, [2]string{"expires_in", strconv.Itoa(int(authCodeLife.Seconds()))})}, nil
		}
		if len(choices) < shownChoices {
			choices = append(choices, choice{name: a.config.Name, id: a.config.AppID, link: "?" + c.r.URL.RawQuery + "&account=" + url.QueryEscape(a.config.AppID)})
		}
	}
	if c.query.Has("account") || len(choices) == 0 {
		return refused(&refusal{"没有可以授权的公众号", "there is no such account that may authorise the platform"}), nil
	}
	return choicePage("公众号授权", x.config.Name+" 申请代公众号调用接口、接收消息。授权哪个公众号？", choices), nil
}

// functionIDs reads ids of permission sets, joined by |.
func functionIDs(list string) ([]int, error) {
	if list == "" {
		return nil, nil
	}
	var ids []int
	for s := range strings.SplitSeq(list, "|") {
		id, err := strconv.Atoi(s)
		if err != nil {
			return nil, &refusal{"category_id_list 应是用 | 隔开的权限集 id", "category_id_list must be ids joined by |"}
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// authorizer finds what the account with an AppID granted; 61003 if nothing.
func (c *call) authorizer(appID string) (*authorization, error) {
	grants := c.component.grants
	i := slices.IndexFunc(grants, func(g *authorization) bool { return g.account.config.AppID == appID })
	if i < 0 {
		return nil, fail(61003)
	}
	return grants[i], nil
}

// funcInfo lists permission sets as answers have them.
func (g *authorization) funcInfo() []any {
	list := []any{}
	for _, id := range g.functions {
		list = append(list, map[string]any{"funcscope_category": map[string]any{"id": id}})
	}
	return list
}

func queryAuth(c *call, in *componentRequest) (any, error) {
	code := c.component.codes[in.Code]
	switch {
	case code == nil, code.used:
		return nil, fail(61009)
	case code.grant.withdrawn, !c.p.now().Before(code.expires):
		return nil, fail(61010)
	}
	code.used = true
	g := code.grant
	t := g.account.giveToken(authorizerToken, g)
	return map[string]any{"authorization_info": map[string]any{
		"authorizer_appid":         g.account.config.AppID,
		"authorizer_access_token":  t.value,
		"expires_in":               seconds(t.expires, c.p.now()),
		"authorizer_refresh_token": g.refresh,
		"func_info":                g.funcInfo(),
	}}, nil
}

// refreshAuthorizer gives a new access token and a new refresh token. The
// refresh token before that works once more, because the answer with the new one
// may have been lost.
func refreshAuthorizer(c *call, in *componentRequest) (any, error) {
	g, err := c.authorizer(in.Account)
	if err != nil {
		return nil, err
	}
	if in.Refresh != g.refresh && in.Refresh != g.before || in.Refresh == "" {
		return nil, fail(61023)
	}
	g.before, g.refresh = g.refresh, newRefreshToken()
	t := g.account.giveToken(authorizerToken, g)
	return map[string]any{
		"authorizer_access_token":  t.value,
		"expires_in":               seconds(t.expires, c.p.now()),
		"authorizer_refresh_token": g.refresh,
	}, nil
}

func getAuthorizer(c *call, in *componentRequest) (any, error) {
	g, err := c.authorizer(in.Account)
	if err != nil {
		return nil, err
	}
	config := &g.account.config
	service, verified := 2, -1
	if config.Kind == Subscription || config.Kind == CertifiedSubscription {
		service = 0
	}
	if config.Kind.certified() {
		verified = 0
	}
	return map[string]any{
		"authorizer_info": map[string]any{
			"nick_name": config.Name, "head_img": "https://wx.qlogo.cn/mmopen/" + config.OriginalID + "/0",
			"service_type_info": map[string]any{"id": service}, "verify_type_info": map[string]any{"id": verified},
			"user_name": config.OriginalID, "alias": "", "qrcode_url": "https://mp.weixin.qq.com/mp/qrcode?username=" + config.OriginalID,
			"business_info":  map[string]any{"open_store": 0, "open_scan": 0, "open_pay": 0, "open_card": 0, "open_shake": 0},
			"principal_name": config.Name, "signature": "", "account_status": 1,
		},
		"authorization_info": map[string]any{
			"authorizer_appid": config.AppID, "authorizer_refresh_token": g.refresh, "func_info": g.funcInfo(),
		},
	}, nil
}

func listAuthorizers(c *call, in *componentRequest) (any, error) {
	offset, err := in.Offset.Int64()
	if err != nil || offset < 0 {
		return nil, fail(40035)
	}
	count, err := in.Count.Int64()
	if err != nil || count < 1 || count > 500 {
		return nil, fail(40170)
	}
	grants := c.component.grants
	from := min(int(offset), len(grants))
	list := []any{}
	for _, g := range grants[from:min(from+int(count), len(grants))] {
		list = append(list, map[string]any{"authorizer_appid": g.account.config.AppID, "refresh_token": g.refresh, "auth_time": g.since.Unix()})
	}
	return map[string]any{"total_count": len(grants), "list": list}, nil
}

// options are the options of an authorizer and their values; the first is the
// default.
var options = map[string][]string{
	"location_report":  {"0", "1", "2"},
	"voice_recognize":  {"0", "1"},
	"customer_service": {"0", "1"},
}

func getOption(c *call, in *componentRequest) (any, error) {
	g, err := c.authorizer(in.Account)
	if err != nil {
		return nil, err
	}
	values := options[in.Option]
	if values == nil {
		return nil, fail(40035)
	}
	value, set := g.options[in.Option]
	if !set {
		value = values[0]
	}
	return map[string]any{"authorizer_appid": in.Account, "option_name": in.Option, "option_value": value}, nil
}

func setOption(c *call, in *componentRequest) (any, error) {
	g, err := c.authorizer(in.Account)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(options[in.Option], in.Value.String()) {
		return nil, fail(40035)
	}
	g.options[in.Option] = in.Value.String()
	return nil, nil
}

// visitedAccount checks a call of web OAuth for an account.
func (c *call) visitedAccount() (*Account, error) {
	if c.query.Get("component_appid") != c.component.config.AppID {
		return nil, fail(40013)
	}
	a, err := c.p.accountOfAppID(c.query.Get("appid"))
	if err != nil {
		return nil, err
	}
	g, err := c.authorizer(a.config.AppID)
	if err != nil {
		return nil, err
	}
	if !g.covers("oauth") {
		return nil, fail(61007)
	}
	if !a.has(RightOAuth) {
		return nil, fail(48001)
	}
	return a, nil
}

func exchangeCodeFor(c *call) (any, error) {
	if c.query.Get("grant_type") != "authorization_code" {
		return nil, fail(40002)
	}
	a, err := c.visitedAccount()
	if err != nil {
		return nil, err
	}
	g, err := a.exchange(c.query.Get("code"), c.component)
	if err != nil {
		return nil, err
	}
	return g.tokens(c.p.now()), nil
}

func refreshUserTokenFor(c *call) (any, error) {
	a, err := c.visitedAccount()
	if err != nil {
		return nil, err
	}
	return c.refreshGrant(a, c.component)
}
