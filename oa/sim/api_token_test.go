package sim_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wenzihq/wenzi/oa/api"
	"github.com/wenzihq/wenzi/oa/sim"
)

// apiPlatform is a platform with one account and no server.
func apiPlatform(t *testing.T, c sim.AccountConfig) (*sim.Platform, *sim.Account) {
	t.Helper()
	p := sim.New(sim.Settings{})
	t.Cleanup(p.Close)
	a, err := p.NewAccount(c)
	if err != nil {
		t.Fatal(err)
	}
	return p, a
}

// apiClientToken is a client of the account as a program has one.
func apiClientToken(t *testing.T, p *sim.Platform, a *sim.Account, options ...api.Option) *api.Client {
	t.Helper()
	c := a.Config()
	client, err := api.NewClient(api.Account{AppID: c.AppID, Secret: api.Secret(c.AppSecret)},
		append([]api.Option{api.WithHTTPClient(p.Client()), api.WithClock(p.Now)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// ask calls the platform without a client: a GET where body is nil.
func ask(t *testing.T, p *sim.Platform, target string, body any) map[string]any {
	t.Helper()
	method, reader := http.MethodGet, io.Reader(nil)
	switch b := body.(type) {
	case nil:
	case string:
		method, reader = http.MethodPost, strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		method, reader = http.MethodPost, strings.NewReader(string(text))
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "https://api.weixin.qq.com"+target, reader)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := p.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatalf("%s: %v", target, err)
	}
	return answer
}

// codeOf is the errcode of an answer, 0 where it has none.
func codeOf(answer map[string]any) int {
	code, _ := answer["errcode"].(float64)
	return int(code)
}

// wantCode checks the errcode of an answer.
func wantCode(t *testing.T, what string, answer map[string]any, code int) {
	t.Helper()
	if got := codeOf(answer); got != code {
		t.Errorf("%s: errcode %d (%v), want %d", what, got, answer["errmsg"], code)
	}
}

// apiCode is the platform's code in an error of a client.
func apiCode(err error) int {
	if e, ok := errors.AsType[*api.Error](err); ok {
		return e.Code
	}
	return 0
}

// tokens drives both calls for tokens of an account.
type tokens struct {
	t *testing.T
	p *sim.Platform
	c sim.AccountConfig
}

func (k tokens) give(what string, answer map[string]any, expires int) string {
	k.t.Helper()
	token, _ := answer["access_token"].(string)
	if len(token) < 150 || len(token) > 512 || answer["expires_in"] != float64(expires) {
		k.t.Errorf("%s: %v, want a token for %d s", what, answer, expires)
	}
	return token
}

func (k tokens) classic() string {
	k.t.Helper()
	q := url.Values{"grant_type": {"client_credential"}, "appid": {k.c.AppID}, "secret": {k.c.AppSecret}}
	return k.give("classic", ask(k.t, k.p, "/cgi-bin/token?"+q.Encode(), nil), 7200)
}

func (k tokens) stable(force bool, expires int) string {
	k.t.Helper()
	return k.give("stable", ask(k.t, k.p, "/cgi-bin/stable_token", map[string]any{
		"grant_type": "client_credential", "appid": k.c.AppID, "secret": k.c.AppSecret, "force_refresh": force}), expires)
}

// code is what a call with the token gets.
func (k tokens) code(token string) int {
	k.t.Helper()
	return codeOf(ask(k.t, k.p, "/cgi-bin/getcallbackip?access_token="+token, nil))
}

func (k tokens) want(code int, tokens map[string]string) {
	k.t.Helper()
	for name, token := range tokens {
		if got := k.code(token); got != code {
			k.t.Errorf("token %s: errcode %d, want %d", name, got, code)
		}
	}
}

// tokenBubble runs a test on the fake clock, so that seconds are exact.
func tokenBubble(t *testing.T, f func(tokens, *sim.Account)) {
	synctest.Test(t, func(t *testing.T) {
		p, a := apiPlatform(t, sim.AccountConfig{})
		f(tokens{t, p, a.Config()}, a)
	})
}

// Every classic call makes a new token; the one before lives five minutes more.
func TestClassicToken(t *testing.T) {
	tokenBubble(t, func(k tokens, _ *sim.Account) {
		first := k.classic()
		second := k.classic()
		if first == second {
			t.Fatal("the same token twice")
		}
		k.want(0, map[string]string{"first": first, "second": second})
		k.p.Advance(5*time.Minute - time.Second)
		k.want(0, map[string]string{"first": first})
		k.p.Advance(time.Second)
		k.want(40001, map[string]string{"first": first})
		k.want(0, map[string]string{"second": second})
		k.p.Advance(115 * time.Minute)
		k.want(42001, map[string]string{"second": second})
		k.want(40001, map[string]string{"somebody's": strings.Repeat("x", 160)})
		k.want(40014, map[string]string{"strange": strings.Repeat("好", 60)})
		if got := codeOf(ask(t, k.p, "/cgi-bin/getcallbackip", nil)); got != 41001 {
			t.Errorf("no token: errcode %d", got)
		}
		k.p.Advance(25 * time.Hour)
		k.classic()
		k.want(40001, map[string]string{"forgotten": second})
	})
}

// The stable token is the same one until its last five minutes; then old and
// new work side by side until the old one's natural end.
func TestStableToken(t *testing.T) {
	tokenBubble(t, func(k tokens, a *sim.Account) {
		old := k.stable(false, 7200)
		k.p.Advance(115*time.Minute - time.Second)
		if again := k.stable(false, 301); again != old {
			t.Error("another token before the last five minutes")
		}
		k.p.Advance(time.Second)
		next := k.stable(false, 7200)
		if next == old || k.stable(false, 7200) != next || a.AccessToken() != next {
			t.Error("not one next token")
		}
		k.p.Advance(5*time.Minute - time.Second)
		k.want(0, map[string]string{"old": old, "next": next})
		k.p.Advance(time.Second)
		k.want(42001, map[string]string{"old": old})
		k.want(0, map[string]string{"next": next})
	})
}

// By force the old token dies at once, but not within 30 s of the last time,
// and twenty times a day of Beijing.
func TestForcedToken(t *testing.T) {
	tokenBubble(t, func(k tokens, a *sim.Account) {
		classic, old := k.classic(), k.stable(false, 7200)
		next := k.stable(true, 7200)
		k.want(40001, map[string]string{"old": old})
		k.want(0, map[string]string{"next": next, "classic": classic})
		k.p.Advance(30*time.Second - 1)
		if k.stable(true, 7170) != next {
			t.Error("renewed again within 30 s")
		}
		k.p.Advance(1)
		for range 19 {
			old, next = next, k.stable(true, 7200)
			if old == next {
				t.Fatal("not renewed")
			}
			k.p.Advance(30 * time.Second)
		}
		if k.stable(true, 7170) != next {
			t.Error("renewed 21 times in a day")
		}
		if left := a.AccessToken(); left != next {
			t.Error("AccessToken is another one")
		}
		k.p.Advance(24 * time.Hour)
		next = k.stable(false, 7200)
		if k.stable(true, 7200) == next {
			t.Error("not renewed the next day")
		}
	})
}

// The families leave each other alone; ReplaceToken ends both.
func TestReplaceToken(t *testing.T) {
	tokenBubble(t, func(k tokens, a *sim.Account) {
		stable, before, classic := k.stable(false, 7200), k.classic(), k.classic()
		k.want(0, map[string]string{"stable": stable, "classic": classic, "before": before})
		a.ReplaceToken()
		k.want(40001, map[string]string{"stable": stable, "classic": classic, "before": before})
		k.want(0, map[string]string{"AccessToken": a.AccessToken()})
		if k.stable(false, 7200) == stable {
			t.Error("the dead token is given out again")
		}
	})
}

func TestTokenErrors(t *testing.T) {
	p, a := apiPlatform(t, sim.AccountConfig{AppID: "wx0000000000000001", AppSecret: "0123456789abcdef0123456789abcdef", OriginalID: "gh_000000000001"})
	for name, test := range map[string]struct {
		grantType, appID, secret string
		code                     int
	}{
		"grant type":     {"password", "wx0000000000000001", "0123456789abcdef0123456789abcdef", 40002},
		"no grant type":  {"", "wx0000000000000001", "0123456789abcdef0123456789abcdef", 40002},
		"no appid":       {"client_credential", "", "0123456789abcdef0123456789abcdef", 41002},
		"appid":          {"client_credential", "wx0000000000000002", "0123456789abcdef0123456789abcdef", 40013},
		"original id":    {"client_credential", "gh_000000000001", "0123456789abcdef0123456789abcdef", 40013},
		"no secret":      {"client_credential", "wx0000000000000001", "", 41004},
		"short secret":   {"client_credential", "wx0000000000000001", "0123456789abcdef", 40125},
		"another secret": {"client_credential", "wx0000000000000001", "0123456789abcdef0123456789abcdee", 40001},
	} {
		t.Run(name, func(t *testing.T) {
			q, body := url.Values{}, map[string]any{}
			for key, value := range map[string]string{"grant_type": test.grantType, "appid": test.appID, "secret": test.secret} {
				if value != "" {
					q.Set(key, value)
					body[key] = value
				}
			}
			wantCode(t, "classic", ask(t, p, "/cgi-bin/token?"+q.Encode(), nil), test.code)
			wantCode(t, "stable", ask(t, p, "/cgi-bin/stable_token", body), test.code)
		})
	}
	wantCode(t, "stable by GET", ask(t, p, "/cgi-bin/stable_token", nil), 43002)
	wantCode(t, "a body that is no JSON", ask(t, p, "/cgi-bin/stable_token", "appid=1"), 47001)
	if left := a.AccessToken(); left == "" {
		t.Error("no token")
	}
}

// The whitelist holds for getting a token; the address is in errmsg, where
// oa/api finds it.
func TestIPWhitelist(t *testing.T) {
	p, a := apiPlatform(t, sim.AccountConfig{IPWhitelist: []string{"203.0.113.9"}})
	_, err := apiClientToken(t, p, a).Callback.IPList(t.Context())
	e, _ := errors.AsType[*api.Error](err)
	if e == nil || e.Code != 40164 || e.IP != "127.0.0.1" || !errors.Is(err, api.ErrIPNotAllowed) {
		t.Errorf("error %v", err)
	}
	for remote, code := range map[string]int{"203.0.113.9:5": 0, "[::ffff:203.0.113.9]:5": 0, "203.0.113.8:5": 40164, "[2001:db8::1]:5": 40164, "pipe": 40164} {
		w := httptest.NewRecorder()
		c := a.Config()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/cgi-bin/token?grant_type=client_credential&appid="+c.AppID+"&secret="+c.AppSecret, nil)
		r.RemoteAddr = remote
		p.ServeHTTP(w, r)
		var answer map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || codeOf(answer) != code {
			t.Errorf("from %s: %s", remote, w.Body)
		}
	}
	if got := codeOf(ask(t, p, "/cgi-bin/getcallbackip?access_token="+a.AccessToken(), nil)); got != 0 {
		t.Errorf("a call with a token from elsewhere: errcode %d", got)
	}
}

// A client gets over a token that dies on it, by either call.
func TestClientSurvivesReplacement(t *testing.T) {
	for name, options := range map[string][]api.Option{"stable": nil, "classic": {api.WithClassicToken()}} {
		t.Run(name, func(t *testing.T) {
			p, a := apiPlatform(t, sim.AccountConfig{})
			client := apiClientToken(t, p, a, options...)
			for range 3 {
				if _, err := client.Callback.IPList(t.Context()); err != nil {
					t.Fatal(err)
				}
				a.ReplaceToken()
			}
			p.Advance(3 * time.Hour)
			if _, err := client.Callback.IPList(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
}
