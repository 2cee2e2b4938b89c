package sim_test

import (
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wenzihq/wenzi/oa/api"
	"github.com/wenzihq/wenzi/oa/sim"
)

// apiClientOAuth is a client for the tests of web OAuth.
func apiClientOAuth(t *testing.T, p *sim.Platform, a *sim.Account) *api.Client {
	t.Helper()
	return apiClientToken(t, p, a)
}

const backPage = "https://shop.example.com/back?from=menu"

// login has a follower open the page, and returns the code.
func login(t *testing.T, f *sim.Follower, page string) string {
	t.Helper()
	landed, err := f.OpenPage(page)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(landed)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("code")
}

// alice is a follower with a profile.
func alice(a *sim.Account) *sim.Follower {
	f := a.Follower()
	f.SetProfile(sim.Profile{Nickname: "爱丽丝 <b>", Avatar: "https://wx.qlogo.cn/1/132", Sex: 2, Language: "zh_CN", City: "深圳", UnionID: "uUNION1"})
	return f
}

func TestOAuthLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := apiPlatform(t, sim.AccountConfig{})
		client, f := apiClientOAuth(t, p, a), alice(a)
		landed, err := f.OpenPage(client.AuthorizeURL(backPage, api.ScopeUserInfo, "State1"))
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(landed)
		if err != nil || !strings.HasPrefix(landed, backPage+"&code=") || u.Query().Get("state") != "State1" {
			t.Errorf("the browser lands on %s", landed)
		}
		code := u.Query().Get("code")
		got, err := client.ExchangeCode(t.Context(), code)
		if err != nil || got.OpenID != f.OpenID() || got.ExpiresIn != 7200 || got.Scope != api.ScopeUserInfo || got.UnionID != "uUNION1" || got.IsSnapshotUser != 0 {
			t.Errorf("exchange: %+v, %v", got, err)
		}
		if _, err := client.ExchangeCode(t.Context(), code); apiCode(err) != 40163 {
			t.Errorf("the code again: %v", err)
		}

		info, err := client.OAuth.UserInfo(t.Context(), api.OAuthUserInfoRequest{AccessToken: got.AccessToken, OpenID: got.OpenID, Lang: "zh_CN"})
		if err != nil || info.Nickname != "爱丽丝 <b>" || info.HeadImgURL != "https://wx.qlogo.cn/1/132" || info.Sex != 2 || info.City != "深圳" || info.UnionID != "uUNION1" || info.Privilege == nil {
			t.Errorf("userinfo: %+v, %v", info, err)
		}
		check := func(token, openID string) int {
			return apiCode(client.OAuth.Check(t.Context(), api.OAuthCheckRequest{AccessToken: token, OpenID: openID}))
		}
		for name, test := range map[string]struct {
			token, openID string
			code          int
		}{
			"good":           {got.AccessToken, got.OpenID, 0},
			"another OpenID": {got.AccessToken, a.Follower().OpenID(), 40003},
			"malformed":      {"好", got.OpenID, 40014},
			"the account's":  {a.AccessToken(), got.OpenID, 40001},
		} {
			if code := check(test.token, test.openID); code != test.code {
				t.Errorf("%s: errcode %d, want %d", name, code, test.code)
			}
		}

		// Refreshing prolongs; after the token's end it gives another.
		p.Advance(time.Hour)
		refreshed, err := client.RefreshUserToken(t.Context(), got.RefreshToken)
		if err != nil || refreshed.AccessToken != got.AccessToken || refreshed.ExpiresIn != 7200 || refreshed.OpenID != got.OpenID {
			t.Errorf("refresh: %+v, %v", refreshed, err)
		}
		p.Advance(2 * time.Hour)
		if code := check(got.AccessToken, got.OpenID); code != 42001 {
			t.Errorf("an expired token: errcode %d", code)
		}
		again, err := client.RefreshUserToken(t.Context(), refreshed.RefreshToken)
		if err != nil || again.AccessToken == got.AccessToken {
			t.Errorf("refresh after the end: %+v, %v", again, err)
		}
		if old, now := check(got.AccessToken, got.OpenID), check(again.AccessToken, got.OpenID); old != 42001 || now != 0 {
			t.Errorf("errcodes %d of the old token, %d of the new one", old, now)
		}
		if _, err := client.RefreshUserToken(t.Context(), "nothing"); apiCode(err) != 40030 {
			t.Errorf("no refresh token: %v", err)
		}
		wantCode(t, "grant type of a refresh", ask(t, p, "/sns/oauth2/refresh_token?grant_type=x&refresh_token="+again.RefreshToken+"&appid="+a.Config().AppID, nil), 40002)
		wantCode(t, "appid of a refresh", ask(t, p, "/sns/oauth2/refresh_token?grant_type=refresh_token&refresh_token="+again.RefreshToken+"&appid=wx", nil), 40013)
		p.Advance(30 * 24 * time.Hour)
		if _, err := client.RefreshUserToken(t.Context(), again.RefreshToken); apiCode(err) != 42002 {
			t.Errorf("after 30 days: %v", err)
		}
	})
}

func TestOAuthCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := apiPlatform(t, sim.AccountConfig{})
		b, err := p.NewAccount(sim.AccountConfig{})
		if err != nil {
			t.Fatal(err)
		}
		client, f := apiClientOAuth(t, p, a), a.Follower()
		page := client.AuthorizeURL(backPage, api.ScopeBase, "")
		code := login(t, f, page)
		p.Advance(5*time.Minute - time.Second)
		got, err := client.ExchangeCode(t.Context(), code)
		if err != nil || got.Scope != api.ScopeBase || got.UnionID != "" {
			t.Errorf("just in time: %+v, %v", got, err)
		}
		if _, err := client.OAuth.UserInfo(t.Context(), api.OAuthUserInfoRequest{AccessToken: got.AccessToken, OpenID: got.OpenID}); apiCode(err) != 48001 {
			t.Errorf("userinfo with snsapi_base: %v", err)
		}
		code = login(t, f, page)
		p.Advance(5 * time.Minute)
		if _, err := client.ExchangeCode(t.Context(), code); apiCode(err) != 42003 {
			t.Errorf("too late: %v", err)
		}
		if _, err := client.ExchangeCode(t.Context(), "nothing"); apiCode(err) != 40029 {
			t.Errorf("no code: %v", err)
		}
		code = login(t, f, page)
		if _, err := apiClientOAuth(t, p, b).ExchangeCode(t.Context(), code); apiCode(err) != 40029 {
			t.Errorf("another account: %v", err)
		}
		c := a.Config()
		for name, test := range map[string]struct {
			query string
			code  int
		}{
			"grant type": {"grant_type=x&appid=" + c.AppID + "&secret=" + c.AppSecret, 40002},
			"appid":      {"grant_type=authorization_code&appid=wx&secret=" + c.AppSecret, 40013},
			"secret":     {"grant_type=authorization_code&appid=" + c.AppID + "&secret=x", 40125},
			"no secret":  {"grant_type=authorization_code&appid=" + c.AppID, 41004},
		} {
			wantCode(t, name, ask(t, p, "/sns/oauth2/access_token?code="+code+"&"+test.query, nil), test.code)
		}
		wantCode(t, "no code", ask(t, p, "/sns/oauth2/access_token?grant_type=authorization_code&appid="+c.AppID+"&secret="+c.AppSecret, nil), 41008)
		wantCode(t, "no user token", ask(t, p, "/sns/userinfo?openid=1", nil), 41001)

		a.SetKind(sim.CertifiedSubscription)
		if _, err := client.ExchangeCode(t.Context(), code); apiCode(err) != 48001 {
			t.Errorf("without the right: %v", err)
		}
		if _, err := f.OpenPage(page); err == nil || !strings.Contains(err.Error(), "没有网页授权的权限") {
			t.Errorf("page without the right: %v", err)
		}
	})
}

// In snapshot mode the visitor is nobody.
func TestOAuthSnapshot(t *testing.T) {
	p, a := apiPlatform(t, sim.AccountConfig{})
	client, f := apiClientOAuth(t, p, a), alice(a)
	page := strings.Replace(client.AuthorizeURL(backPage, api.ScopeUserInfo, "s"), "#", "&forceSnapShot=true#", 1)
	got, err := client.ExchangeCode(t.Context(), login(t, f, page))
	if err != nil || got.IsSnapshotUser != 1 || got.OpenID == f.OpenID() || got.UnionID != "" {
		t.Fatalf("%+v, %v", got, err)
	}
	info, err := client.OAuth.UserInfo(t.Context(), api.OAuthUserInfoRequest{AccessToken: got.AccessToken, OpenID: got.OpenID})
	if err != nil || info.Nickname != "微信用户" || info.UnionID != "" {
		t.Errorf("%+v, %v", info, err)
	}
}

// What the page does not take is said by OpenPage, and shown to a browser.
func TestOAuthPageErrors(t *testing.T) {
	p, a := apiPlatform(t, sim.AccountConfig{})
	b, err := p.NewAccount(sim.AccountConfig{})
	if err != nil {
		t.Fatal(err)
	}
	a.SetOAuthDomain("shop.example.com")
	f, id := a.Follower(), a.Config().AppID
	const start = "https://open.weixin.qq.com/connect/oauth2/authorize"
	rest := "&redirect_uri=https%3A%2F%2Fshop.example.com%3A8443%2Fback&response_type=code&scope=snsapi_base&state=1"
	change := func(old, with string) string { return "appid=" + id + strings.Replace(rest, old, with, 1) }
	for name, test := range map[string]struct{ query, says string }{
		"good":               {"appid=" + id + rest, ""},
		"no state":           {change("&state=1", ""), ""},
		"longest state":      {change("state=1", "state="+strings.Repeat("a", 128)), ""},
		"more parameters":    {change("&state", "&connect_redirect=1&state"), ""},
		"order":              {"redirect_uri=https%3A%2F%2Fshop.example.com&appid=" + id + "&response_type=code&scope=snsapi_base", "顺序"},
		"no appid":           {strings.TrimPrefix(rest, "&"), "缺少参数 appid"},
		"appid":              {"appid=wx1" + rest, "AppID"},
		"no redirect":        {"appid=" + id + "&response_type=code&scope=snsapi_base", "缺少参数 redirect_uri"},
		"relative redirect":  {change("https%3A%2F%2Fshop.example.com%3A8443", ""), "redirect_uri"},
		"script":             {change("https", "javascript"), "redirect_uri"},
		"another domain":     {change("shop", "shopp"), "10003"},
		"subdomain":          {change("shop", "a.shop"), "10003"},
		"response type":      {change("=code", "=token"), "response_type"},
		"scope":              {change("snsapi_base", "snsapi_login"), "scope"},
		"long state":         {change("state=1", "state="+strings.Repeat("a", 129)), "state"},
		"state with a blank": {change("state=1", "state=a+b"), "state"},
		"encoding":           {change("state=1", "state=%zz"), "编码"},
		"third party":        {"appid=" + id + rest + "&component_appid=wx2", "第三方平台"},
	} {
		t.Run(name, func(t *testing.T) {
			landed, err := f.OpenPage(start + "?" + test.query + "#wechat_redirect")
			if test.says == "" && (err != nil || !strings.HasPrefix(landed, "https://shop.example.com:8443/back?code=0")) {
				t.Errorf("lands on %q, %v", landed, err)
			}
			if test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
				t.Errorf("error %v, want %s", err, test.says)
			}
			status, _, text := browse(t, p, start+"?"+test.query)
			if test.says == "" && status != http.StatusFound || test.says != "" && (status != http.StatusOK || !strings.Contains(text, test.says)) {
				t.Errorf("the page: %d %s", status, text)
			}
		})
	}
	good := start + "?appid=" + id + rest
	for name, page := range map[string]string{
		"fragment": good, "path": "https://open.weixin.qq.com/sns/userinfo#wechat_redirect", "no address": "%zz",
	} {
		if _, err := f.OpenPage(page); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := b.Follower().OpenPage(good + "#wechat_redirect"); err == nil || !strings.Contains(err.Error(), id) {
		t.Errorf("a follower of another account: %v", err)
	}
}

// browse opens a page without following its redirect.
func browse(t *testing.T, p *sim.Platform, address string) (status int, location, text string) {
	t.Helper()
	c := p.Client()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Location"), string(b)
}

// linkOf finds the link of a page that ends in something.
func linkOf(t *testing.T, text, end string) string {
	t.Helper()
	link := regexp.MustCompile(`href="([^"]*` + regexp.QuoteMeta(end) + `)"`).FindStringSubmatch(text)
	if link == nil {
		t.Fatalf("no link to %s in %s", end, text)
	}
	return html.UnescapeString(link[1])
}

// A browser without WeChat chooses who it is.
func TestOAuthConsentPage(t *testing.T) {
	p, a := apiPlatform(t, sim.AccountConfig{Name: `店<script>`})
	client := apiClientOAuth(t, p, a)
	page := func(scope string) string {
		u, _, _ := strings.Cut(client.AuthorizeURL(backPage, scope, "s"), "#")
		return u
	}
	if status, _, text := browse(t, p, page(api.ScopeBase)); status != http.StatusOK || !strings.Contains(text, "还没有粉丝") {
		t.Errorf("nobody there: %d %s", status, text)
	}
	first, f := a.Follower(), alice(a)
	exchange := func(location string) string {
		u, err := url.Parse(location)
		if err != nil {
			t.Fatal(err)
		}
		got, err := client.ExchangeCode(t.Context(), u.Query().Get("code"))
		if err != nil {
			t.Fatal(err)
		}
		return got.OpenID
	}
	status, location, _ := browse(t, p, page(api.ScopeBase))
	if status != http.StatusFound || exchange(location) != first.OpenID() {
		t.Errorf("snsapi_base: %d %s", status, location)
	}

	status, _, text := browse(t, p, page(api.ScopeUserInfo))
	if status != http.StatusOK || strings.Contains(text, "<script>") || strings.Contains(text, "<b>") || !strings.Contains(text, "爱丽丝 &lt;b&gt;") || !strings.Contains(text, "申请获得") {
		t.Errorf("the consent page: %d %s", status, text)
	}
	link := linkOf(t, text, "follower="+f.OpenID())
	status, location, _ = browse(t, p, "https://open.weixin.qq.com/connect/oauth2/authorize"+link)
	if status != http.StatusFound || exchange(location) != f.OpenID() {
		t.Errorf("the link %s: %d %s", link, status, location)
	}
	if _, _, text := browse(t, p, page(api.ScopeUserInfo)+"&follower=nobody"); !strings.Contains(text, "没有这个粉丝") {
		t.Errorf("nobody: %s", text)
	}
}

// A ticket is the same one until its end; jsapi and wx_card have one each.
func TestTickets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := apiPlatform(t, sim.AccountConfig{})
		client := apiClientOAuth(t, p, a)
		get := func(kind string) (string, int) {
			resp, err := client.JSAPITicket.Get(t.Context(), api.JSAPITicketGetRequest{Type: kind})
			if err != nil {
				t.Fatal(err)
			}
			return resp.Ticket, resp.ExpiresIn
		}
		page, life := get("jsapi")
		card, _ := get("wx_card")
		if page == card || life != 7200 || len(page) != 86 {
			t.Errorf("tickets %q and %q for %d s", page, card, life)
		}
		p.Advance(7199 * time.Second)
		if again, left := get("jsapi"); again != page || left != 1 {
			t.Errorf("ticket %q for %d s a second before its end", again, left)
		}
		p.Advance(time.Second)
		if next, left := get("jsapi"); next == page || left != 7200 {
			t.Errorf("ticket %q for %d s after its end", next, left)
		}
		if _, err := client.JSAPITicket.Get(t.Context(), api.JSAPITicketGetRequest{Type: "other"}); apiCode(err) != 40097 {
			t.Errorf("another type: %v", err)
		}
		config, err := client.JSConfig(t.Context(), "https://shop.example.com/#top", "shop.example.com")
		if err != nil || config.Signature == "" {
			t.Errorf("JSConfig: %+v, %v", config, err)
		}
		a.SetKind(sim.Service)
		if _, err := client.JSAPITicket.Get(t.Context(), api.JSAPITicketGetRequest{Type: "jsapi"}); apiCode(err) != 48001 {
			t.Errorf("without the right: %v", err)
		}
	})
}

// What has been over for a day is forgotten, and then is like what never was.
func TestOAuthForgets(t *testing.T) {
	p, a := apiPlatform(t, sim.AccountConfig{})
	client, f := apiClientOAuth(t, p, a), a.Follower()
	page := client.AuthorizeURL(backPage, api.ScopeBase, "")
	code := login(t, f, page)
	got, err := client.ExchangeCode(t.Context(), login(t, f, page))
	if err != nil {
		t.Fatal(err)
	}
	check := func() int {
		return apiCode(client.OAuth.Check(t.Context(), api.OAuthCheckRequest{AccessToken: got.AccessToken, OpenID: got.OpenID}))
	}
	p.Advance(25 * time.Hour)
	if _, err := client.ExchangeCode(t.Context(), code); apiCode(err) != 42003 || check() != 42001 {
		t.Errorf("before anything is swept: %v, %d", err, check())
	}
	p.Advance(2 * time.Hour)
	login(t, f, page)
	if _, err := client.ExchangeCode(t.Context(), code); apiCode(err) != 40029 || check() != 40001 {
		t.Errorf("a day later: %v, %d", err, check())
	}
	if _, err := client.RefreshUserToken(t.Context(), got.RefreshToken); err != nil {
		t.Errorf("the refresh token: %v", err)
	}
	p.Advance(32 * 24 * time.Hour)
	login(t, f, page)
	if _, err := client.RefreshUserToken(t.Context(), got.RefreshToken); apiCode(err) != 40030 {
		t.Errorf("the refresh token after two months: %v", err)
	}
}

// No query makes the page fail, run a script, or lead elsewhere than to a page.
func FuzzOAuthPage(f *testing.F) {
	p := sim.New(sim.Settings{})
	f.Cleanup(p.Close)
	a, err := p.NewAccount(sim.AccountConfig{AppID: "wx0000000000000001"})
	if err != nil {
		f.Fatal(err)
	}
	a.FollowerWith("oUSER1")
	const good = "appid=wx0000000000000001&redirect_uri=https%3A%2F%2Fexample.com%2F&response_type=code&scope=snsapi_userinfo&state=1"
	f.Add(good)
	f.Add(good + "&follower=oUSER1")
	f.Add(good + `&x="><script>`)
	f.Add("appid=wx0000000000000001&redirect_uri=javascript:alert(1)&response_type=code&scope=snsapi_base")
	f.Fuzz(func(t *testing.T, query string) {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/connect/oauth2/authorize", nil)
		r.URL.RawQuery = query
		p.ServeHTTP(w, r)
		switch w.Code {
		case http.StatusOK:
			if strings.Contains(w.Body.String(), "<script") {
				t.Errorf("the page has a script: %s", w.Body)
			}
		case http.StatusFound:
			if u, err := url.Parse(w.Header().Get("Location")); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Query().Get("code") == "" {
				t.Errorf("the page leads to %s", w.Header().Get("Location"))
			}
		default:
			t.Errorf("status %d", w.Code)
		}
	})
}

// A login by web OAuth, as a test of a page has it.
func ExampleFollower_OpenPage() {
	wechat := sim.New(sim.Settings{})
	defer wechat.Close()
	shop, _ := wechat.NewAccount(sim.AccountConfig{AppID: "wx0000000000000001", AppSecret: "0123456789abcdef0123456789abcdef"})
	alice := shop.FollowerWith("oUSER0000000000000000000001")

	client, _ := api.NewClient(api.Account{AppID: "wx0000000000000001", Secret: "0123456789abcdef0123456789abcdef"}, api.WithHTTPClient(wechat.Client()))
	landed, _ := alice.OpenPage(client.AuthorizeURL("https://shop.example.com/back", api.ScopeBase, "state1"))
	u, _ := url.Parse(landed)
	visitor, _ := client.ExchangeCode(context.Background(), u.Query().Get("code"))
	fmt.Println(u.Host, u.Query().Get("state"), visitor.OpenID)
	// Output: shop.example.com state1 oUSER0000000000000000000001
}
