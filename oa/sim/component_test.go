package sim_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/api"
	"github.com/wenzihq/wenzi/oa/sim"
)

// vendor is the program of a third-party platform, made of oa and oa/api: it
// keeps the ticket, exchanges the code of whoever authorises it, and answers
// their followers.
type vendor struct {
	*sim.Component
	t        *testing.T
	platform *sim.Platform
	api      *api.Platform

	mu     sync.Mutex
	infos  []string // InfoType and AppID of the account
	paths  []string // that messages came to
	authed []string // AppIDs of accounts
}

// seen is one of the lists.
func (v *vendor) seen(list *[]string) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(*list)
}

func (v *vendor) add(list *[]string, s string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	*list = append(*list, s)
}

func newVendor(t *testing.T, p *sim.Platform, c sim.ComponentConfig) *vendor {
	t.Helper()
	v := &vendor{t: t, platform: p}
	c.AppID, c.AppSecret, c.Token, c.AESKey = "wx00000000000000c0", "0123456789abcdef0123456789abcdef", "vendor", aesKey
	var err error
	if v.api, err = api.NewPlatform(api.Account{AppID: c.AppID, Secret: api.Secret(c.AppSecret)}, api.WithHTTPClient(p.Client()), api.WithClock(p.Now)); err != nil {
		t.Fatal(err)
	}
	mux := oa.NewMux()
	oa.On(mux, func(ctx context.Context, i *oa.ComponentVerifyTicket) (oa.Reply, error) {
		return oa.Reply{}, v.api.SetVerifyTicket(ctx, i.Ticket)
	})
	oa.On(mux, func(ctx context.Context, i *oa.Authorized) (oa.Reply, error) {
		v.add(&v.infos, i.InfoType+" "+i.AuthorizerAppID)
		appID, err := v.api.Authorize(ctx, i.Code)
		if err == nil {
			v.add(&v.authed, appID)
		}
		return oa.Reply{}, err
	})
	oa.On(mux, func(_ context.Context, i *oa.Unauthorized) (oa.Reply, error) {
		v.add(&v.infos, i.InfoType+" "+i.AuthorizerAppID)
		return oa.None()
	})
	account := sim.AccountConfig{AppID: c.AppID, Token: c.Token, AESKey: c.AESKey, Mode: oa.Secure}
	c.Handler = server(t, account, mux.Answer)
	messages := server(t, account, func(context.Context, *oa.Request) (oa.Reply, error) { return oa.Text("平台代答") })
	c.MessageHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.add(&v.paths, r.URL.Path)
		messages.ServeHTTP(w, r)
	})
	if v.Component, err = p.NewComponent(c); err != nil {
		t.Fatal(err)
	}
	return v
}

// wait waits for a push, which the program must acknowledge.
func (v *vendor) wait(s *sim.Sent) {
	v.t.Helper()
	if fate := s.Wait(v.t.Context()); fate != sim.Silent {
		v.t.Fatalf("fate %q, %+v", fate, s.Attempts())
	}
}

// post calls with the platform's token, which oa/api keeps.
func (v *vendor) post(path string, body map[string]any) map[string]any {
	v.t.Helper()
	return ask(v.t, v.platform, path+"?component_access_token="+v.token(), body)
}

// token is a component_access_token of a new ticket.
func (v *vendor) token() string {
	v.t.Helper()
	c := v.Config()
	answer := ask(v.t, v.platform, "/cgi-bin/component/api_component_token", map[string]any{
		"component_appid": c.AppID, "component_appsecret": c.AppSecret, "component_verify_ticket": ticketOf(v.PushTicket())})
	token, _ := answer["component_access_token"].(string)
	if token == "" || answer["expires_in"] != 7200.0 {
		v.t.Fatalf("component_token: %v", answer)
	}
	return token
}

func ticketOf(s *sim.Sent) string { return s.Message.(*oa.ComponentVerifyTicket).Ticket }

// vendorBubble runs a test of a third-party platform and an account on the fake
// clock.
func vendorBubble(t *testing.T, f func(*testing.T, *vendor, *sim.Account)) {
	synctest.Test(t, func(t *testing.T) {
		p, a := apiPlatform(t, sim.AccountConfig{})
		v := newVendor(t, p, sim.ComponentConfig{Name: "代运营"})
		synctest.Wait() // the first ticket is there
		f(t, v, a)
	})
}

// From the ticket to the calls for an account, and to the end of it.
func TestComponent(t *testing.T) {
	vendorBubble(t, func(t *testing.T, v *vendor, a *sim.Account) {
		appID, f := a.Config().AppID, a.Follower()
		v.wait(v.Authorize(a))
		if authed := v.seen(&v.authed); !slices.Equal(authed, []string{appID}) {
			t.Fatalf("authorised are %v", authed)
		}
		client, err := v.api.Account(appID)
		if err != nil {
			t.Fatal(err)
		}
		calls := func() error {
			_, err := client.Callback.IPList(t.Context())
			return err
		}
		if err := calls(); err != nil {
			t.Errorf("a call for the account: %v", err)
		}
		a.ReplaceToken()
		v.platform.Advance(119 * time.Minute)
		if err := calls(); err != nil {
			t.Errorf("after ReplaceToken, which leaves these tokens alone: %v", err)
		}
		for range 3 { // each with a refresh
			v.platform.Advance(2 * time.Hour)
			if err := calls(); err != nil {
				t.Errorf("after the end of the token: %v", err)
			}
		}

		// Its message address gets what followers send, and answers.
		f.Subscribe().Wait(t.Context())
		s := f.Say("在吗")
		if fate := s.Wait(t.Context()); fate != sim.Replied {
			t.Fatalf("fate %q, %+v", fate, s.Attempts())
		}
		if e, err := f.Next(t.Context()); err != nil || e.Text() != "平台代答" || e.Receiver != "代运营" {
			t.Errorf("the follower sees %+v, %v", e, err)
		}
		if diff := cmp.Diff([]string{"/" + appID, "/" + appID}, v.seen(&v.paths)); diff != "" {
			t.Errorf("messages came to (-want +got)\n%s", diff)
		}

		if s := v.Authorize(a); s.Wait(t.Context()) != sim.NotPushed || s.Reason() == nil {
			t.Error("the same authorisation again is pushed")
		}
		v.wait(v.Authorize(a, 7, 1, 7))
		v.wait(v.Unauthorize(a))
		if s := v.Unauthorize(a); s.Fate() != sim.NotPushed || s.Reason() == nil {
			t.Error("a second withdrawal is pushed")
		}
		if diff := cmp.Diff([]string{"authorized " + appID, "updateauthorized " + appID, "unauthorized " + appID}, v.seen(&v.infos)); diff != "" {
			t.Errorf("pushes (-want +got)\n%s", diff)
		}
		if err := calls(); apiCode(err) != 61003 || !errors.Is(err, api.ErrReauthorize) {
			t.Errorf("a call after the withdrawal: %v", err)
		}
		if s := f.Say("还在吗"); s.Wait(t.Context()) != sim.NotPushed {
			t.Errorf("a message after the withdrawal: fate %q", s.Fate())
		}
	})
}

// An account's own server and the platform each get a copy and may answer.
func TestComponentBesideServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := account(oa.Compat)
		p := sim.Start(t, server(t, c, echoText), c)
		v := newVendor(t, p.Platform, sim.ComponentConfig{})
		synctest.Wait() // the first ticket is there
		v.wait(v.Authorize(p.Account))
		f := p.Follower()
		f.Say("你好").Wait(t.Context())
		var got []string
		for range 2 {
			e, err := f.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e.Receiver+": "+e.Text())
		}
		slices.Sort(got)
		if diff := cmp.Diff([]string{": 你说：你好", v.Config().AppID + ": 平台代答"}, got); diff != "" {
			t.Errorf("the follower sees (-want +got)\n%s", diff)
		}
	})
}

func TestNewComponentErrors(t *testing.T) {
	p, a := apiPlatform(t, sim.AccountConfig{})
	nothing := http.NotFoundHandler()
	for name, c := range map[string]sim.ComponentConfig{
		"AppID of an account": {AppID: a.Config().AppID},
		"key":                 {AESKey: "short", Handler: nothing},
		"URL":                 {URL: "vendor.example.com"},
		"message URL":         {Handler: nothing, MessageURL: "vendor.example.com/$APPID$"},
	} {
		if _, err := p.NewComponent(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := p.NewComponent(sim.ComponentConfig{AppID: "wx00000000000000c1"}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.NewComponent(sim.ComponentConfig{AppID: "wx00000000000000c1"}); err == nil {
		t.Error("two of one AppID")
	}
	p.Close()
	if _, err := p.NewComponent(sim.ComponentConfig{}); err == nil {
		t.Error("on a closed platform")
	}
}

// A third-party platform that knows when an account authorises it. Its server
// here only looks; one that goes on exchanges the code by component_query_auth.
func ExampleComponent_Authorize() {
	wechat := sim.New(sim.Settings{})
	defer wechat.Close()
	shop, _ := wechat.NewAccount(sim.AccountConfig{AppID: "wx0000000000000001"})

	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, i *oa.Authorized) (oa.Reply, error) {
		fmt.Println(i.InfoType, i.AuthorizerAppID)
		return oa.None()
	})
	config := sim.ComponentConfig{AppID: "wx00000000000000c0", Token: "vendor", AESKey: "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"}
	config.Handler, _ = oa.NewServer(oa.Account{AppID: config.AppID, Token: config.Token, AESKey: config.AESKey, Mode: oa.Secure}, mux)
	vendor, _ := wechat.NewComponent(config)
	fmt.Println(vendor.Authorize(shop).Wait(context.Background()))
	// Output:
	// authorized wx0000000000000001
	// acknowledged
}
