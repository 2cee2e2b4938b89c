package sim_test

import (
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wenzihq/wenzi/oa/api"
	"github.com/wenzihq/wenzi/oa/sim"
)

// apiClientOpenAPI is a client for the tests of quotas.
func apiClientOpenAPI(t *testing.T, p *sim.Platform, a *sim.Account) *api.Client {
	t.Helper()
	return apiClientToken(t, p, a)
}

// quotaOf is what quota_get tells of a path.
func quotaOf(t *testing.T, c *api.Client, path string) [3]int64 {
	t.Helper()
	resp, err := c.Quota.Get(t.Context(), api.QuotaGetRequest{CGIPath: path})
	if err != nil {
		t.Fatal(err)
	}
	return [3]int64{resp.Quota.DailyLimit, resp.Quota.Used, resp.Quota.Remain}
}

const ipPath = "/cgi-bin/getcallbackip"

// The counters are those of a day of Beijing, and of each account.
func TestDailyQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := apiPlatform(t, sim.AccountConfig{})
		b, err := p.NewAccount(sim.AccountConfig{})
		if err != nil {
			t.Fatal(err)
		}
		client := apiClientOpenAPI(t, p, a)
		call := func() int {
			_, err := client.Callback.IPList(t.Context())
			return apiCode(err)
		}
		a.SetQuota("callback_ip_list", 3)
		if got := quotaOf(t, client, ipPath); got != [3]int64{3, 0, 3} {
			t.Errorf("quota %v before any call", got)
		}
		for range 3 {
			if code := call(); code != 0 {
				t.Fatalf("errcode %d inside the quota", code)
			}
		}
		if code := call(); code != 45009 {
			t.Errorf("errcode %d over the quota, want 45009", code)
		}
		if got := quotaOf(t, client, ipPath); got != [3]int64{3, 3, 0} {
			t.Errorf("quota %v when it is used up", got)
		}
		if _, err := apiClientOpenAPI(t, p, b).Callback.IPList(t.Context()); err != nil {
			t.Errorf("the other account: %v", err)
		}
		// The bubble begins at 08:00 in Beijing.
		p.Advance(16*time.Hour - time.Second)
		if code := call(); code != 45009 {
			t.Errorf("errcode %d just before midnight in Beijing", code)
		}
		p.Advance(time.Second)
		if code := call(); code != 0 {
			t.Errorf("errcode %d after midnight in Beijing", code)
		}
		a.SetQuota(ipPath, 1) // what was called counts
		if code := call(); code != 45009 {
			t.Errorf("errcode %d over the quota by path", code)
		}
	})
}

func TestLimitsOfTheCatalogue(t *testing.T) {
	p, a := apiPlatform(t, sim.AccountConfig{Kind: sim.CertifiedService})
	test, err := p.NewAccount(sim.AccountConfig{Kind: sim.TestAccount})
	if err != nil {
		t.Fatal(err)
	}
	for path, limit := range map[string][2]int64{
		"/cgi-bin/token":               {2000, 200},
		"/cgi-bin/menu/create":         {1000, 100},
		"/cgi-bin/menu/get":            {10000, 1000},
		"/cgi-bin/menu/delete":         {1000, 100},
		"/cgi-bin/media/upload":        {100000, 500},
		"/cgi-bin/media/get":           {200000, 1000},
		"/cgi-bin/message/custom/send": {500000, 50000},
		"/cgi-bin/qrcode/create":       {100000, 10000},
		"/cgi-bin/user/get":            {500, 100},
		"/cgi-bin/user/info":           {5000000, 500000},
		"/cgi-bin/draft/add":           {1000, 1000},
	} {
		for i, account := range []*sim.Account{a, test} {
			if got := quotaOf(t, apiClientOpenAPI(t, p, account), path); got[0] != limit[i] {
				t.Errorf("%s: %d a day for account %d, want %d", path, got[0], i, limit[i])
			}
		}
	}
}

// 200 classic tokens a day for a test account.
func TestTokenQuota(t *testing.T) {
	tokenBubble(t, func(k tokens, a *sim.Account) {
		a.SetKind(sim.TestAccount)
		for range 200 {
			k.classic()
		}
		q := "/cgi-bin/token?grant_type=client_credential&appid=" + k.c.AppID + "&secret="
		wantCode(t, "the 201st", ask(t, k.p, q+k.c.AppSecret, nil), 45009)
		wantCode(t, "a stranger's", ask(t, k.p, q+strings.Repeat("0", 32), nil), 40001)
		k.stable(false, 7200)
	})
}

// Per minute: 60 mass sends. The call is refused before it is looked at.
func TestMinuteLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := apiPlatform(t, sim.AccountConfig{})
		target := "/cgi-bin/message/mass/sendall?access_token=" + a.AccessToken()
		for range 60 {
			if code := codeOf(ask(t, p, target, "")); code != 44002 {
				t.Fatalf("errcode %d, want 44002", code)
			}
		}
		wantCode(t, "the 61st", ask(t, p, target, ""), 45011)
		client := apiClientOpenAPI(t, p, a)
		resp, err := client.Quota.Get(t.Context(), api.QuotaGetRequest{CGIPath: "/cgi-bin/message/mass/sendall"})
		if err != nil || resp.RateLimit.CallCount != 60 || resp.RateLimit.RefreshSecond != 60 || resp.Quota.Used != 60 {
			t.Errorf("quota_get %+v, %v", resp, err)
		}
		p.Advance(time.Minute)
		wantCode(t, "a minute later", ask(t, p, target, ""), 44002)
	})
}

func TestQuotaErrors(t *testing.T) {
	p, a := apiPlatform(t, sim.AccountConfig{Kind: sim.Subscription})
	client := apiClientOpenAPI(t, p, a)
	for path, codes := range map[string][2]int{
		"cgi-bin/menu/get":                          {76003, 76021},
		"https://api.weixin.qq.com":                 {76003, 76021},
		"/cgi-bin/nothing":                          {76021, 76021},
		"/sns/userinfo":                             {76022, 76022},
		"/cgi-bin/component/api_create_preauthcode": {76022, 76022},
		"/cgi-bin/qrcode/create":                    {76022, 76022}, // no right to it
	} {
		_, err := client.Quota.Get(t.Context(), api.QuotaGetRequest{CGIPath: path})
		if code := apiCode(err); code != codes[0] {
			t.Errorf("quota_get of %s: errcode %d, want %d", path, code, codes[0])
		}
		err = client.Quota.ClearOne(t.Context(), api.QuotaClearOneRequest{CGIPath: path})
		if code := apiCode(err); code != codes[1] {
			t.Errorf("quota_clear_one of %s: errcode %d, want %d", path, code, codes[1])
		}
	}
}

// use makes a call, so that there is something to reset.
func use(t *testing.T, c *api.Client) {
	t.Helper()
	if _, err := c.Callback.IPList(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := quotaOf(t, c, ipPath); got[1] != 1 {
		t.Fatalf("quota %v after a call", got)
	}
}

// Ten resets a month, with a token and with the secret together; fifty of one
// path besides.
func TestResets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := apiPlatform(t, sim.AccountConfig{})
		c, client := a.Config(), apiClientOpenAPI(t, p, a)
		all := func() int {
			return apiCode(client.Quota.ClearAll(t.Context(), api.QuotaClearAllRequest{AppID: c.AppID}))
		}
		one := func() int {
			return apiCode(client.Quota.ClearOne(t.Context(), api.QuotaClearOneRequest{CGIPath: ipPath}))
		}
		secret := func() int {
			return apiCode(client.Quota.ClearBySecret(t.Context(), api.QuotaClearBySecretRequest{AppID: c.AppID, AppSecret: c.AppSecret}))
		}
		for name, reset := range map[string]func() int{"all": all, "by secret": secret, "one": one} {
			use(t, client)
			if code := reset(); code != 0 {
				t.Errorf("%s: errcode %d", name, code)
			}
			if got := quotaOf(t, client, ipPath); got[1] != 0 {
				t.Errorf("%s: quota %v after it", name, got)
			}
		}
		for range 4 {
			if all() != 0 || secret() != 0 {
				t.Fatal("fewer than ten resets")
			}
		}
		if all() != 48006 || secret() != 48006 {
			t.Error("more than ten resets")
		}
		for range 49 {
			if one() != 0 {
				t.Fatal("fewer than fifty resets of one")
			}
		}
		if code := one(); code != 45009 {
			t.Errorf("the 51st reset of one: errcode %d", code)
		}
		if code := apiCode(client.Quota.ClearAll(t.Context(), api.QuotaClearAllRequest{AppID: "wx0000000000000009"})); code != 40013 {
			t.Errorf("another's AppID: errcode %d", code)
		}
		p.Advance(31 * 24 * time.Hour) // the bubble begins on 1 January
		if all() != 0 || one() != 0 {
			t.Error("no resets in the next month")
		}
	})
}

// All that clients send for a reset by secret (reference api-rules §20).
func TestResetBySecret(t *testing.T) {
	p, a := apiPlatform(t, sim.AccountConfig{})
	c, client := a.Config(), apiClientOpenAPI(t, p, a)
	good := url.Values{"appid": {c.AppID}, "appsecret": {c.AppSecret}}.Encode()
	body := `{"appid":"` + c.AppID + `","appsecret":"` + c.AppSecret + `"}`
	for _, test := range []struct {
		name, path, body string
		code             int
	}{
		{"JSON", "/cgi-bin/clear_quota/v2", body, 0},
		{"query", "/cgi-bin/clear_quota/v2?" + good, "", 0},
		{"query and an empty object", "/cgi-bin/clear_quota/v2?" + good, "{}", 0},
		{"form", "/cgi-bin/clear_quota/v2", good, 0},
		{"old path, JSON", "/cgi-bin/clear_quota", body, 0},
		{"old path, query", "/cgi-bin/clear_quota?" + good, "", 0},
		{"no appid", "/cgi-bin/clear_quota/v2", `{"appsecret":"x"}`, 41002},
		{"no secret", "/cgi-bin/clear_quota/v2", `{"appid":"` + c.AppID + `"}`, 41004},
		{"wrong secret", "/cgi-bin/clear_quota/v2", `{"appid":"` + c.AppID + `","appsecret":"x"}`, 40125},
		{"wrong appid", "/cgi-bin/clear_quota/v2", `{"appid":"wx","appsecret":"x"}`, 40013},
		{"old path, neither token nor secret", "/cgi-bin/clear_quota", `{"appid":"` + c.AppID + `"}`, 41001},
	} {
		t.Run(test.name, func(t *testing.T) {
			use(t, client)
			wantCode(t, test.path, ask(t, p, test.path, test.body), test.code)
			want := int64(1)
			if test.code == 0 {
				want = 0
			}
			if got := quotaOf(t, client, ipPath); got[1] != want {
				t.Errorf("%d used after it, want %d", got[1], want)
			}
			client.Quota.ClearOne(t.Context(), api.QuotaClearOneRequest{CGIPath: ipPath})
		})
	}
}

// A rid tells about the call for a week, to the account only, and without
// secrets.
func TestRID(t *testing.T) {
	p, a := apiPlatform(t, sim.AccountConfig{})
	b, err := p.NewAccount(sim.AccountConfig{})
	if err != nil {
		t.Fatal(err)
	}
	client, other := apiClientOpenAPI(t, p, a), apiClientOpenAPI(t, p, b)
	get := func(c *api.Client, rid string) (api.RIDGetResponse, int) {
		resp, err := c.RID.Get(t.Context(), api.RIDGetRequest{RID: rid})
		return resp, apiCode(err)
	}
	ridOf := func(answer map[string]any) string {
		_, rid, _ := strings.Cut(answer["errmsg"].(string), "rid: ")
		return rid
	}
	token := a.AccessToken()
	rid := ridOf(ask(t, p, "/cgi-bin/openapi/quota/get?access_token="+token+"&x=1", `{"cgi_path":"nowhere","secret" : "s3cret"}`))
	resp, code := get(client, rid)
	r := resp.Request
	if code != 0 || r.RequestURL != "access_token=***&x=1" || r.RequestBody != `{"cgi_path":"nowhere","secret":"***"}` ||
		!strings.Contains(r.ResponseBody, `"errcode":76003`) || r.ClientIP != "127.0.0.1" || r.InvokeTime == 0 {
		t.Errorf("rid_get: errcode %d, %+v", code, r)
	}
	if _, code := get(other, rid); code != 76003 {
		t.Errorf("another account: errcode %d, want 76003", code)
	}
	for rid, want := range map[string]int{"": 76002, "65000000": 76002, "65000000-00000000-0000000g": 76002, "65000000-00000000-00000000": 76001} {
		if _, code := get(client, rid); code != want {
			t.Errorf("rid %q: errcode %d, want %d", rid, code, want)
		}
	}

	upload := ridOf(ask(t, p, "/cgi-bin/media/upload?type=image&access_token="+token, "no form"))
	if resp, code := get(client, upload); code != 0 || resp.Request.RequestBody != "" {
		t.Errorf("rid_get of an upload: errcode %d, %+v", code, resp)
	}
	long := ridOf(ask(t, p, "/cgi-bin/openapi/quota/get?access_token="+token, `{"cgi_path":"`+strings.Repeat("好", 1355)+`","secret":"s3cret"}`))
	if resp, code := get(client, long); code != 0 || len(resp.Request.RequestBody) > 4100 || !strings.HasSuffix(resp.Request.RequestBody, `"secret":"***"`) {
		t.Errorf("rid_get of a long body: errcode %d, %d bytes, …%s", code, len(resp.Request.RequestBody), resp.Request.RequestBody[4050:])
	}

	// A wrong secret is kept too, and is not shown.
	c := a.Config()
	rid = ridOf(ask(t, p, "/cgi-bin/token?grant_type=client_credential&appid="+c.AppID+"&secret=s3cret", nil))
	if resp, _ := get(client, rid); strings.Contains(resp.Request.RequestURL, "s3cret") || !strings.Contains(resp.Request.RequestURL, "&secret=***") {
		t.Errorf("rid_get of a token call: %+v", resp.Request)
	}
	rid = ridOf(ask(t, p, "/sns/oauth2/access_token?grant_type=authorization_code&code=1&appid="+c.AppID+"&secret=s3cret", nil))
	if _, code := get(client, rid); code != 76001 {
		t.Errorf("web OAuth: errcode %d, want 76001", code)
	}

	old := ridOf(ask(t, p, "/cgi-bin/openapi/quota/get?access_token="+token, "{}"))
	p.Advance(7*24*time.Hour + time.Minute)
	if _, code := get(client, old); code != 76004 {
		t.Errorf("after a week: errcode %d, want 76004", code)
	}
	for range 300 {
		ask(t, p, "/cgi-bin/openapi/quota/get?access_token="+a.AccessToken(), "{}")
	}
	if _, code := get(client, old); code != 76001 {
		t.Errorf("after 300 other failures: errcode %d, want 76001", code)
	}
}

func TestCallbackAddresses(t *testing.T) {
	p, a := apiPlatform(t, sim.AccountConfig{})
	client := apiClientOpenAPI(t, p, a)
	from, err := client.Callback.IPList(t.Context())
	to, err2 := client.APIDomain.IPList(t.Context())
	if err != nil || err2 != nil || from.IPList[0] != "127.0.0.1" || to.IPList[0] != "127.0.0.1" {
		t.Errorf("%v, %v; %v, %v", from, err, to, err2)
	}
}

func TestCallbackCheck(t *testing.T) {
	p := sim.New(sim.Settings{})
	defer p.Close()
	for name, test := range map[string]struct{ url, ip string }{
		"address": {"http://192.0.2.7:80/wx", "192.0.2.7"},
		"machine": {"http://localhost/wx", "127.0.0.1"},
		"name":    {"http://example.com/wx", "203.0.113.7"},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := p.NewAccount(sim.AccountConfig{URL: test.url})
			if err != nil {
				t.Fatal(err)
			}
			client := apiClientOpenAPI(t, p, a)
			check := func(action, operator string) (api.CallbackCheckResponse, int) {
				resp, err := client.Callback.Check(t.Context(), api.CallbackCheckRequest{Action: action, CheckOperator: operator})
				return resp, apiCode(err)
			}
			resp, code := check("all", "DEFAULT")
			if code != 0 || len(resp.DNS) != 1 || resp.DNS[0].IP != test.ip || len(resp.Ping) != 1 || resp.Ping[0].IP != test.ip || resp.Ping[0].PackageLoss != "0%" {
				t.Errorf("all: errcode %d, %+v", code, resp)
			}
			if resp, _ := check("dns", "CAP"); len(resp.Ping) != 0 || resp.DNS[0].RealOperator != "CAP" {
				t.Errorf("dns: %+v", resp)
			}
			p.SetTrouble(sim.Trouble{Unreachable: 1})
			if resp, _ := check("ping", "UNICOM"); len(resp.DNS) != 0 || resp.Ping[0].PackageLoss != "100%" || resp.Ping[0].FromOperator != "UNICOM" {
				t.Errorf("ping: %+v", resp)
			}
			p.SetTrouble(sim.Trouble{})
			if _, code := check("trace", "CAP"); code != 40202 {
				t.Errorf("action: errcode %d", code)
			}
			if _, code := check("all", "MOBILE"); code != 40203 {
				t.Errorf("operator: errcode %d", code)
			}
		})
	}
	a, err := p.NewAccount(sim.AccountConfig{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = apiClientOpenAPI(t, p, a).Callback.Check(t.Context(), api.CallbackCheckRequest{Action: "all", CheckOperator: "CAP"})
	if code := apiCode(err); code != 40201 {
		t.Errorf("no URL: errcode %d", code)
	}
}
