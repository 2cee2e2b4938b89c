package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/internal/account"
	"github.com/wenzihq/wenzi/internal/bot"
	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/internal/turn"
	"github.com/wenzihq/wenzi/oa/sim"
)

// wechat is a simulated platform with one account, whose API is at an address.
type wechat struct {
	*sim.Platform
	account *sim.Account
	api     string

	mu     sync.Mutex
	bodies map[string][]string // what came, by path
}

func newWeChat(t *testing.T, c sim.AccountConfig) *wechat {
	t.Helper()
	w := &wechat{Platform: sim.New(sim.Settings{}), bodies: map[string][]string{}}
	t.Cleanup(w.Close)
	var err error
	if w.account, err = w.NewAccount(c); err != nil {
		t.Fatal(err)
	}
	w.Events(0) // kept from now on
	api := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		w.mu.Lock()
		w.bodies[r.URL.Path] = append(w.bodies[r.URL.Path], string(body))
		w.mu.Unlock()
		w.ServeHTTP(rw, r)
	}))
	t.Cleanup(api.Close)
	w.api = api.URL
	return w
}

// pushed are the customer-service messages that came, a failed one too.
func (w *wechat) pushed() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.bodies["/cgi-bin/message/custom/send"])
}

// calls are how often an endpoint was called, a failure counting too.
func (w *wechat) calls(endpoint string) (n int) {
	events, _ := w.Events(0)
	for _, e := range events {
		if e.Type == sim.EventCall && e.Call.Endpoint == endpoint {
			n++
		}
	}
	return n
}

// bot is a bot.yaml with the account.
func (w *wechat) bot() string {
	c := w.account.Config()
	return fmt.Sprintf("accounts:\n  - path: certified\n    token: %s\n    app_id: %s\n    app_secret: %s\n", c.Token, c.AppID, c.AppSecret)
}

// What the owner is told of the right to push, and of what is in its way.
func TestRightToPushIsFoundOut(t *testing.T) {
	for _, tt := range []struct {
		name    string
		account sim.AccountConfig
		bot     func(string) string
		want    []string // in the log, at the start
	}{
		{"certified", sim.AccountConfig{Kind: sim.CertifiedService}, nil, []string{"账号能发客服消息", "account=1"}},
		{"not certified", sim.AccountConfig{Kind: sim.Subscription}, nil, []string{"没有客服消息的权限", "errcode=48001"}},
		{"not on the whitelist", sim.AccountConfig{IPWhitelist: []string{"203.0.113.9"}}, nil, []string{"IP 白名单」加上 127.0.0.1", "errcode=40164", "put 127.0.0.1 on"}},
		{"wrong secret", sim.AccountConfig{AppSecret: strings.Repeat("a", 32)},
			func(s string) string { return strings.Replace(s, strings.Repeat("a", 32), strings.Repeat("b", 32), 1) }, []string{"app_secret 不对", "wenzi apply"}},
		{"unreachable", sim.AccountConfig{}, nil, []string{"还不知道账号能不能发客服消息"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWeChat(t, tt.account)
			file := w.bot()
			if tt.bot != nil {
				file = tt.bot(file)
			}
			if tt.name == "unreachable" {
				w.SetTrouble(sim.Trouble{Failures: []sim.Failure{{Times: 100}}})
			}
			p := serve(t, "--data", t.TempDir(), "--bot", write(t, "bot.yaml", file), "--api-url", w.api)
			for _, want := range tt.want {
				p.waitFor(want)
			}
			p.stop()
			log := p.logged()
			if strings.Count(log, tt.want[0]) != 1 {
				t.Errorf("it is not said once:\n%s", log)
			}
			for _, secret := range []string{w.account.Config().AppSecret, "access_token="} {
				if strings.Contains(log, secret) {
					t.Errorf("the log holds %q:\n%s", secret, log)
				}
			}
			if n := w.calls("custom_message_send"); n != 0 {
				t.Errorf("%d messages were sent", n)
			}
		})
	}
}

// Guests, and accounts without a secret, call nobody; an account that gets one
// while the server runs is asked about.
func TestRightToPushAfterApply(t *testing.T) {
	w := newWeChat(t, sim.AccountConfig{})
	data := t.TempDir()
	secret := "    app_secret: " + w.account.Config().AppSecret + "\n"
	p := serve(t, "--data", data, "--bot", write(t, "bot.yaml", strings.Replace(w.bot(), secret, "", 1)), "--api-url", w.api, "--open-hosting", "on")
	mustDeliver(t, guest, p.url("hello"), text("oA", "你好", 1))
	if events, _ := w.Events(0); len(events) > 0 {
		t.Errorf("the platform was called: %+v", events)
	}
	if _, stderr, code := wenzi(t, "apply", "--data", data, "-f", write(t, "bot.yaml", w.bot())); code != 0 {
		t.Fatal(stderr)
	}
	p.waitFor("账号能发客服消息")
	p.stop()
}

// pushing is a pusher of its own, for an account of the simulated platform.
func pushing(t *testing.T, w *wechat, s *store.Store) (*pushers, *pusher, bot.Account) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	all := newPushers(newClients(s, log), s, w.api, log)
	c := w.account.Config()
	a := bot.Account{AppID: c.AppID, AppSecret: bot.Secret(c.AppSecret)}
	served := account.Served{ID: func(context.Context) (int64, error) { return 1, nil }, Bot: a}
	made, err := all.of(served)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := all.of(served); err != nil || again != made {
		t.Errorf("an account has two pushers: %v", err)
	}
	return all, made.(*pusher), a
}

func newStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Database: filepath.Join(t.TempDir(), "wenzi.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// What the platform says about a message, in the words of turn, and what is
// learned from it about the right to push.
func TestPushErrors(t *testing.T) {
	w := newWeChat(t, sim.AccountConfig{})
	all, p, a := pushing(t, w, newStore(t))
	u := w.account.Follower()
	for _, tt := range []struct {
		code  int // 0: the connection breaks after the call was carried out
		want  error
		right bool // afterwards
	}{
		{48001, turn.ErrNoRight, false}, {48004, turn.ErrNoRight, false}, {50002, turn.ErrNoRight, true},
		{45015, turn.ErrNoCredit, true}, {45047, turn.ErrNoCredit, true},
		{40003, turn.ErrGone, true}, {43004, turn.ErrGone, true}, {43019, turn.ErrGone, true}, {48002, turn.ErrGone, true},
		{0, turn.ErrUnknown, true},
		{-1, nil, true}, {45009, nil, true}, {45011, nil, true}, {44004, nil, true},
	} {
		all.probe(t.Context(), all.registered([]bot.Account{a}))
		p.mu.Lock()
		p.next = time.Time{} // the next time too
		p.mu.Unlock()
		if !p.Right() {
			t.Fatal("the right is not found out")
		}
		w.SetTrouble(sim.Trouble{Failures: []sim.Failure{{Endpoint: "custom_message_send", Code: tt.code}}})
		err := p.Text(t.Context(), u.OpenID(), "你好")
		if err == nil {
			t.Errorf("%d: no error", tt.code)
			continue
		}
		for _, known := range []error{turn.ErrNoRight, turn.ErrNoCredit, turn.ErrGone, turn.ErrUnknown} {
			if errors.Is(err, known) != errors.Is(tt.want, known) {
				t.Errorf("%d is %v, want %v", tt.code, err, tt.want)
			}
		}
		if strings.Contains(err.Error(), u.OpenID()) || strings.Contains(err.Error(), "你好") {
			t.Errorf("%d: the error holds the follower or the text: %v", tt.code, err)
		}
		if p.Right() != tt.right {
			t.Errorf("after %d the right is %v", tt.code, p.Right())
		}
		if !tt.right { // it is asked again after a while, not at once
			p.mu.Lock()
			due := p.next.After(time.Now())
			p.next = time.Time{}
			p.mu.Unlock()
			if !due {
				t.Errorf("after %d the platform would be asked again at once", tt.code)
			}
		}
	}
}

// The right is learned from a message too, and asked for less and less often.
func TestRightComesBack(t *testing.T) {
	w := newWeChat(t, sim.AccountConfig{Kind: sim.Subscription})
	all, p, a := pushing(t, w, newStore(t))
	probe := func() { all.probe(t.Context(), all.registered([]bot.Account{a})) }
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		p.mu.Lock()
		p.next = time.Time{}
		p.mu.Unlock()
		probe()
		probe() // nothing is due
		if p.again != want*time.Minute || w.calls("kf_list") != i+1 {
			t.Errorf("after %d probes (%d calls) the next is in %v", i+1, w.calls("kf_list"), p.again)
		}
	}
	w.account.SetKind(sim.CertifiedService)
	u := w.account.Follower()
	u.Subscribe()
	if err := p.Text(t.Context(), u.OpenID(), "你好"); err != nil || !p.Right() {
		t.Errorf("after a message that was sent the right is %v (%v)", p.Right(), err)
	}
	w.SetTrouble(sim.Trouble{Failures: []sim.Failure{{Endpoint: "custom_message_typing", Code: 45081}}}) // it is on already
	if err := errors.Join(p.Typing(t.Context(), u.OpenID()), p.Typing(t.Context(), u.OpenID())); err != nil || w.calls("custom_message_typing") != 2 {
		t.Errorf("typing: %v", err)
	}
	if all.registered(nil) != nil {
		t.Error("an account that is no more would be asked about")
	}
}

// A token that was used within the last day is renewed ahead of time; others
// cost no calls.
func TestTokensAreRefreshed(t *testing.T) {
	w, s := newWeChat(t, sim.AccountConfig{}), newStore(t)
	all, p, a := pushing(t, w, s)
	refresh := func() {
		t.Helper()
		if err := all.refresh(t.Context(), []bot.Account{a}); err != nil {
			t.Error(err)
		}
	}
	refresh()
	if n := w.calls("token_get_stable"); n != 0 {
		t.Errorf("an unused token was fetched %d times", n)
	}
	u := w.account.Follower()
	u.Subscribe()
	if err := p.Text(t.Context(), u.OpenID(), "你好"); err != nil {
		t.Fatal(err)
	}
	refresh()
	if n := w.calls("token_get_stable"); n != 1 {
		t.Errorf("a fresh token was fetched %d times", n)
	}
	// Another process, to which the token looks old.
	all, _, _ = pushing(t, w, s)
	old := fmt.Sprintf(`{"value":"old","expires":%q,"renew":%q}`, time.Now().Add(time.Minute).Format(time.RFC3339), time.Now().Format(time.RFC3339))
	key := storeAt{s, w.api + " "}
	if err := key.Set(t.Context(), "access_token/stable/"+a.AppID, []byte(old), time.Hour); err != nil {
		t.Fatal(err)
	}
	refresh()
	if n := w.calls("token_get_stable"); n != 2 {
		t.Errorf("an old token was fetched %d times", n)
	}
}

// An answer that was promised before the server stopped is pushed at its start.
func TestPromisedAnswerIsPushed(t *testing.T) {
	w := newWeChat(t, sim.AccountConfig{})
	data := registered(t, w.bot())
	u := w.account.Follower()
	u.Subscribe()
	u.Say("？") // which opens the window
	var id store.TurnID
	offline(t, data, func(s *store.Store, account int64) {
		whole := "答案是**四十二**"
		id = asked(t, s, account, u.OpenID(), 1, time.Now(), store.Answer{Question: "是多少？"}, store.Change{To: store.Promised, Text: &whole, Done: true, ReadyAt: time.Now()})
		job := store.Job{Kind: turn.PushKind, Args: fmt.Appendf(nil, `{"turn":%q}`, id), Account: account, MaxAttempts: 6}
		if _, err := s.InsertJobs(t.Context(), job); err != nil {
			t.Fatal(err)
		}
	})
	w.FailNext("custom_message_send", -1) // and tried again
	p := serve(t, "--data", data, "--api-url", w.api)
	p.waitUntil(func() bool { return len(w.pushed()) == 2 })
	for _, body := range w.pushed() {
		if !strings.Contains(body, "答案是四十二") || !strings.Contains(body, u.OpenID()) {
			t.Errorf("pushed is %s", body)
		}
	}
	p.waitUntil(func() bool {
		out, _, _ := wenzi(t, "turns", "--data", data, id.String())
		return strings.Contains(out, "已推送 pushed") && strings.Contains(out, "推送没成 push failed")
	})
	_, metrics := get(t, p.base+"/metrics")
	for _, want := range []string{`wenzi_pushes_total{outcome="sent"} 1`, `wenzi_pushes_total{outcome="failed"} 1`, `wenzi_turns_total{state="pushed"} 1`, `wenzi_turns_open{state="promised"} 0`} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("the metrics lack %s", want)
		}
	}
	p.stop()
	for _, secret := range []string{"四十二", u.OpenID(), w.account.Config().AppSecret} {
		if strings.Contains(p.logged(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, p.logged())
		}
	}
}
