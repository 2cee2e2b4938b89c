package sim_test

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/api"
	"github.com/wenzihq/wenzi/oa/sim"
)

func TestComponentTicket(t *testing.T) {
	vendorBubble(t, func(t *testing.T, v *vendor, _ *sim.Account) {
		c := v.Config()
		token := func(appID, secret, ticket string) map[string]any {
			return ask(t, v.platform, "/cgi-bin/component/api_component_token", map[string]any{
				"component_appid": appID, "component_appsecret": secret, "component_verify_ticket": ticket})
		}
		old := ticketOf(v.PushTicket())
		v.platform.Advance(12*time.Hour - time.Second)
		ticket := ticketOf(v.PushTicket())
		wantCode(t, "an old ticket", token(c.AppID, c.AppSecret, old), 0)
		v.platform.Advance(time.Second)
		wantCode(t, "a ticket of 12 h", token(c.AppID, c.AppSecret, old), 61005)
		wantCode(t, "no ticket", token(c.AppID, c.AppSecret, "ticket@@@"), 61006)
		wantCode(t, "secret", token(c.AppID, "x", ticket), 40125)
		wantCode(t, "appid", token("wx", c.AppSecret, ticket), 40013)
		wantCode(t, "the newest ticket", token(c.AppID, c.AppSecret, ticket), 0)

		start := func(appID, secret string) map[string]any {
			return ask(t, v.platform, "/cgi-bin/component/api_start_push_ticket", map[string]any{"component_appid": appID, "component_secret": secret})
		}
		synctest.Wait() // pushes may overtake each other
		wantCode(t, "start, secret", start(c.AppID, "x"), 40125)
		wantCode(t, "start, appid", start("wx", c.AppSecret), 40013)
		v.platform.Advance(13 * time.Hour)
		wantCode(t, "start", start(c.AppID, c.AppSecret), 0)
		synctest.Wait()
		if _, err := v.api.Component.PreAuthCode(t.Context(), api.ComponentPreAuthCodeRequest{ComponentAppID: c.AppID}); err != nil {
			t.Errorf("with the ticket that was started: %v", err)
		}
	})
}

// The platform's token: its two names, its end, and tokens of other kinds.
func TestComponentToken(t *testing.T) {
	vendorBubble(t, func(t *testing.T, v *vendor, a *sim.Account) {
		token, body := v.token(), map[string]any{"component_appid": v.Config().AppID}
		const path = "/cgi-bin/component/api_create_preauthcode"
		for name, test := range map[string]struct {
			query string
			code  int
		}{
			"long name":     {"?component_access_token=" + token, 0},
			"short name":    {"?access_token=" + token, 0},
			"none":          {"", 41001},
			"an account's":  {"?access_token=" + a.AccessToken(), 61024},
			"malformed":     {"?component_access_token=%E5%A5%BD", 40014},
			"never given":   {"?component_access_token=" + strings.Repeat("x", 160), 40001},
			"of an account": {"?component_access_token=" + a.AccessToken(), 61024},
		} {
			wantCode(t, name, ask(t, v.platform, path+test.query, body), test.code)
		}
		wantCode(t, "another component_appid", ask(t, v.platform, path+"?access_token="+token, map[string]any{"component_appid": "wx"}), 40013)
		wantCode(t, "a call for an account", ask(t, v.platform, ipPath+"?access_token="+token, nil), 40001)
		wantCode(t, "short name with web OAuth", ask(t, v.platform, "/sns/oauth2/component/access_token?access_token="+token, nil), 41001)
		v.platform.Advance(7200 * time.Second)
		wantCode(t, "after its end", ask(t, v.platform, path+"?access_token="+token, body), 42001)
	})
}

// The owner of an account comes to the login page, and goes back with a code
// that works once.
func TestComponentLogin(t *testing.T) {
	vendorBubble(t, func(t *testing.T, v *vendor, a *sim.Account) {
		appID := a.Config().AppID
		page, err := v.api.LoginURL(t.Context(), "https://vendor.example.com/done?tenant=1", 1)
		if err != nil {
			t.Fatal(err)
		}
		for what, says := range map[string]string{
			strings.Replace(page, "component_appid=wx", "component_appid=", 1): "AppID",
			strings.Replace(page, "preauthcode", "preauth", 1):                 "预授权码",
			strings.Replace(page, "https%3A", "ftp%3A", 1):                     "redirect_uri",
			page + "&category_id_list=1%7Cx":                                   "category_id_list",
			page + "&account=wx":                                               "没有可以授权的公众号",
			page + "&biz_appid=wx":                                             "没有可以授权的公众号",
			strings.Replace(page, "auth_type=1", "auth_type=2", 1):             "没有可以授权的公众号",
		} {
			if status, _, text := browse(t, v.platform, what); status != http.StatusOK || !strings.Contains(text, says) {
				t.Errorf("%s: %d %s, want %s", what, status, text, says)
			}
		}
		_, _, text := browse(t, v.platform, page+"&category_id_list=15%7C2&biz_appid="+appID)
		if !strings.Contains(text, "代运营") || !strings.Contains(text, a.Config().Name) {
			t.Errorf("the page says %s", text)
		}
		link := "https://mp.weixin.qq.com/cgi-bin/componentloginpage" + linkOf(t, text, "account="+appID)
		status, location, _ := browse(t, v.platform, link)
		u, err := url.Parse(location)
		if err != nil || status != http.StatusFound || !strings.HasPrefix(location, "https://vendor.example.com/done?tenant=1&auth_code=queryauthcode") || u.Query().Get("expires_in") != "3600" {
			t.Fatalf("the page goes to %d %s", status, location)
		}
		synctest.Wait()
		if authed := v.seen(&v.authed); !slices.Equal(authed, []string{appID}) {
			t.Errorf("authorised are %v", authed)
		}
		if _, err := v.api.Authorize(t.Context(), u.Query().Get("auth_code")); apiCode(err) != 61009 {
			t.Errorf("the code, which the push had brought already: %v", err)
		}
		if _, _, text := browse(t, v.platform, link); !strings.Contains(text, "预授权码") {
			t.Errorf("the pre-auth code again: %s", text)
		}

		// Permission sets are those that were asked for.
		client, err := v.api.Account(appID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Menu.Get(t.Context()); apiCode(err) == 61007 {
			t.Errorf("menu: %v", err)
		}
		if _, err := client.Draft.Count(t.Context()); apiCode(err) != 61007 {
			t.Errorf("draft without its permission set: %v", err)
		}

		page, err = v.api.LoginURL(t.Context(), "https://vendor.example.com/done", 1)
		if err != nil {
			t.Fatal(err)
		}
		v.platform.Advance(30 * time.Minute)
		if _, _, text := browse(t, v.platform, page); !strings.Contains(text, "预授权码") {
			t.Errorf("the pre-auth code after 30 minutes: %s", text)
		}
	})
}

// What the calls for an authorizer tell and refuse.
func TestComponentAuthorizer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := apiPlatform(t, sim.AccountConfig{Name: "小店", Kind: sim.CertifiedSubscription})
		x, err := p.NewComponent(sim.ComponentConfig{Functions: []int{1, 4}})
		if err != nil {
			t.Fatal(err)
		}
		v := &vendor{Component: x, t: t, platform: p} // without a program: nobody spends the codes
		appID, id := a.Config().AppID, x.Config().AppID
		code := func(s *sim.Sent) string { return s.Message.(*oa.Authorized).Code }
		query := func(code string) map[string]any {
			return v.post("/cgi-bin/component/api_query_auth", map[string]any{"component_appid": id, "authorization_code": code})
		}
		sent := v.Authorize(a)
		if info := sent.Message.(*oa.Authorized); info.AppID != id || info.AuthorizerAppID != appID || info.PreAuthCode == "" || info.CodeExpires != p.Now().Unix()+3600 || sent.Fate() != sim.NotPushed {
			t.Errorf("authorized: %+v, %q", info, sent.Fate())
		}
		wantCode(t, "no code", query("x"), 61009)
		first := code(sent)
		answer := query(first)
		info, _ := answer["authorization_info"].(map[string]any)
		if info["authorizer_appid"] != appID || info["expires_in"] != 7200.0 || len(info["func_info"].([]any)) != 2 {
			t.Errorf("query_auth: %v", answer)
		}
		wantCode(t, "the code again", query(first), 61009)
		late := code(v.Authorize(a, 1, 2, 4))
		p.Advance(time.Hour)
		wantCode(t, "the code after an hour", query(late), 61010)

		refresh := func(token string) map[string]any {
			return v.post("/cgi-bin/component/api_authorizer_token", map[string]any{"component_appid": id, "authorizer_appid": appID, "authorizer_refresh_token": token})
		}
		r0 := info["authorizer_refresh_token"].(string)
		got := refresh(r0)
		r1, _ := got["authorizer_refresh_token"].(string)
		if r1 == "" || r1 == r0 || codeOf(ask(t, p, ipPath+"?access_token="+got["authorizer_access_token"].(string), nil)) != 0 {
			t.Errorf("authorizer_token: %v", got)
		}
		got = refresh(r0) // as if the answer had been lost
		wantCode(t, "the refresh token before, once more", got, 0)
		r2 := got["authorizer_refresh_token"].(string)
		wantCode(t, "the refresh token before, a third time", refresh(r0), 61023)
		wantCode(t, "no refresh token", refresh(""), 61023)

		list := func(offset, count any) map[string]any {
			return v.post("/cgi-bin/component/api_get_authorizer_list", map[string]any{"component_appid": id, "offset": offset, "count": count})
		}
		want := map[string]any{"total_count": 1.0, "list": []any{map[string]any{"authorizer_appid": appID, "refresh_token": r2, "auth_time": float64(p.Now().Add(-time.Hour).Unix())}}}
		if diff := cmp.Diff(want, list("0", 500)); diff != "" {
			t.Errorf("authorizer_list (-want +got)\n%s", diff)
		}
		if diff := cmp.Diff(map[string]any{"total_count": 1.0, "list": []any{}}, list(1, 1)); diff != "" {
			t.Errorf("authorizer_list, the next page (-want +got)\n%s", diff)
		}
		for _, count := range []int{0, 501} {
			wantCode(t, "count "+strconv.Itoa(count), list(0, count), 40170)
		}
		wantCode(t, "offset", list(-1, 1), 40035)

		about := func(appID string) map[string]any {
			return v.post("/cgi-bin/component/api_get_authorizer_info", map[string]any{"component_appid": id, "authorizer_appid": appID})
		}
		profile, _ := about(appID)["authorizer_info"].(map[string]any)
		kind, _ := profile["service_type_info"].(map[string]any)
		verified, _ := profile["verify_type_info"].(map[string]any)
		if profile["nick_name"] != "小店" || profile["user_name"] != a.Config().OriginalID || kind["id"] != 0.0 || verified["id"] != 0.0 {
			t.Errorf("authorizer_info: %v", profile)
		}
		wantCode(t, "info of somebody else", about("wx"), 61003)

		option := func(set bool, appID, name string, value any) map[string]any {
			path := "/cgi-bin/component/api_get_authorizer_option"
			if set {
				path = "/cgi-bin/component/api_set_authorizer_option"
			}
			return v.post(path, map[string]any{"component_appid": id, "authorizer_appid": appID, "option_name": name, "option_value": value})
		}
		if got := option(false, appID, "location_report", nil); got["option_value"] != "0" || got["option_name"] != "location_report" {
			t.Errorf("option_get: %v", got)
		}
		wantCode(t, "option_set", option(true, appID, "location_report", "2"), 0)
		wantCode(t, "option_set of a number", option(true, appID, "voice_recognize", 1), 0)
		if got := option(false, appID, "location_report", nil); got["option_value"] != "2" {
			t.Errorf("option_get after option_set: %v", got)
		}
		wantCode(t, "value", option(true, appID, "voice_recognize", "2"), 40035)
		wantCode(t, "option", option(false, appID, "speed", nil), 40035)
		wantCode(t, "option of somebody else", option(false, "wx", "voice_recognize", nil), 61003)

		unused := code(v.Authorize(a, 1))
		p.Remove(a)
		wantCode(t, "the account is gone", about(appID), 61003)
		wantCode(t, "its code", query(unused), 61010)
		wantCode(t, "its refresh token", refresh(r2), 61003)
	})
}

// Web OAuth for an account: the code is the platform's, not the account's.
func TestComponentOAuth(t *testing.T) {
	vendorBubble(t, func(t *testing.T, v *vendor, a *sim.Account) {
		appID, id, f := a.Config().AppID, v.Config().AppID, alice(a)
		own := apiClientOAuth(t, v.platform, a)
		page := func(component string) string {
			return own.OAuth.AuthorizePage(api.OAuthAuthorizePageRequest{
				AppID: appID, RedirectURI: backPage, ResponseType: "code", Scope: api.ScopeUserInfo, State: "s", ComponentAppID: component})
		}
		if _, err := f.OpenPage(page(id)); err == nil || !strings.Contains(err.Error(), "没有授权") {
			t.Errorf("before the authorisation: %v", err)
		}
		exchange := func(code string) map[string]any {
			return ask(t, v.platform, "/sns/oauth2/component/access_token?appid="+appID+"&grant_type=authorization_code&component_appid="+id+"&component_access_token="+v.token()+"&code="+code, nil)
		}
		wantCode(t, "before the authorisation", exchange("x"), 61003)
		v.wait(v.Authorize(a))
		code := login(t, f, page(id))
		if _, err := own.ExchangeCode(t.Context(), code); apiCode(err) != 40029 {
			t.Errorf("the account with the platform's code: %v", err)
		}
		got := exchange(code)
		if got["openid"] != f.OpenID() || got["unionid"] != "uUNION1" {
			t.Errorf("exchange: %v", got)
		}
		wantCode(t, "the platform with the account's code", exchange(login(t, f, page(""))), 40029)
		refresh := func(query string) map[string]any {
			return ask(t, v.platform, "/sns/oauth2/component/refresh_token?appid="+appID+"&grant_type=refresh_token&component_access_token="+v.token()+query, nil)
		}
		wantCode(t, "refresh", refresh("&component_appid="+id+"&refresh_token="+got["refresh_token"].(string)), 0)
		wantCode(t, "no refresh token", refresh("&component_appid="+id+"&refresh_token=x"), 40030)
		wantCode(t, "component_appid", refresh("&component_appid=wx&refresh_token=x"), 40013)
		if _, err := own.RefreshUserToken(t.Context(), got["refresh_token"].(string)); apiCode(err) != 40030 {
			t.Errorf("the account with the platform's refresh token: %v", err)
		}
		info, err := own.OAuth.UserInfo(t.Context(), api.OAuthUserInfoRequest{AccessToken: got["access_token"].(string), OpenID: f.OpenID()})
		if err != nil || info.Nickname == "" {
			t.Errorf("userinfo: %+v, %v", info, err)
		}
		v.wait(v.Authorize(a, 1, 2))
		wantCode(t, "without the permission set of pages", exchange("x"), 61007)
	})
}

func TestComponentWhitelist(t *testing.T) {
	p, _ := apiPlatform(t, sim.AccountConfig{})
	v := newVendor(t, p, sim.ComponentConfig{IPWhitelist: []string{"203.0.113.9"}})
	err := v.api.Component.StartPushTicket(t.Context(), api.ComponentStartPushTicketRequest{ComponentAppID: v.Config().AppID, ComponentSecret: v.Config().AppSecret})
	e, _ := errors.AsType[*api.Error](err)
	if e == nil || e.Code != 61004 || e.IP != "127.0.0.1" {
		t.Errorf("error %v", err)
	}
}
