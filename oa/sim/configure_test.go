package sim_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

// A new 服务器配置 is in force for the next message.
func TestConfigure(t *testing.T) {
	c := account(oa.Secure)
	first, second := httptest.NewServer(server(t, account(oa.Plain), echoText)), httptest.NewServer(server(t, c, echoText))
	defer first.Close()
	defer second.Close()
	p := sim.New(sim.Settings{})
	defer p.Close()
	a, err := p.NewAccount(sim.AccountConfig{Name: "一", AppID: c.AppID})
	if err != nil {
		t.Fatal(err)
	}
	u := a.Follower()
	u.SetFollowing(true)
	if _, err := a.Check(t.Context()); !errors.Is(err, sim.ErrNoServer) {
		t.Errorf("check without a server: %v", err)
	}
	if s := u.Say("a"); s.Wait(t.Context()) != sim.NotPushed || !strings.Contains(s.Reason().String(), "没有填写服务器地址") {
		t.Errorf("without a server: %q, %v", s.Fate(), s.Reason())
	}
	for _, change := range []sim.AccountConfig{
		{URL: first.URL},
		{URL: second.URL, AESKey: aesKey, Mode: oa.Secure, Name: "二", Kind: sim.Subscription},
	} {
		if err := a.Configure(change); err != nil {
			t.Fatal(err)
		}
		if x, err := a.Check(t.Context()); err != nil || !x.Verdict.OK() {
			t.Errorf("check: %v, %+v", err, x)
		}
		if s := u.Say("a"); s.Wait(t.Context()) != sim.Replied {
			t.Errorf("%q, %+v", s.Fate(), s.Attempts())
		}
	}
	got := a.Config()
	if got.AppID != c.AppID || got.Name != "二" || got.Kind != sim.Subscription || got.Token != "hello" || got.AppSecret == "" || got.OriginalID == "" {
		t.Errorf("config %+v", got)
	}
	for _, wrong := range []sim.AccountConfig{
		{AppID: "wx1"},
		{OriginalID: "gh_1"},
		{Kind: "shop"},
		{Rights: map[sim.Right]bool{"fly": true}},
		{URL: "ftp://127.0.0.1/"},
		{URL: first.URL, Mode: oa.Secure},
	} {
		if err := a.Configure(wrong); err == nil || a.Config().Name != "二" {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
	if err := a.Configure(sim.AccountConfig{}); err != nil {
		t.Fatal(err)
	}
	if s := u.Say("a"); s.Wait(t.Context()) != sim.NotPushed {
		t.Errorf("the server is taken away: %q", s.Fate())
	}
}

// What another authorised platform does wrong is shown as well (reference §0).
func TestReceivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := account(oa.Plain)
		p := sim.Start(t, server(t, c, echoText), c)
		u := p.Follower()
		broken := sim.ReceiverConfig{
			Name: "agency", Account: oa.Account{Token: "other"},
			Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "oops") }),
		}
		if err := p.Account.AddReceiver(broken); err != nil {
			t.Fatal(err)
		}
		if err := p.Account.AddReceiver(broken); err == nil {
			t.Error("two receivers of one name")
		}
		if err := p.Account.AddReceiver(sim.ReceiverConfig{Account: broken.Account, Handler: broken.Handler}); err == nil {
			t.Error("a receiver without a name")
		}
		if all := p.Account.Receivers(); len(all) != 1 || all[0].Name != "agency" || all[0].Account.Token != "other" {
			t.Errorf("receivers %+v", all)
		}
		u.Say("a").Wait(t.Context())
		var seen []string
		for _, e := range u.Chat() {
			seen = append(seen, e.Receiver+":"+e.Text())
		}
		if got := strings.Join(seen, " "); !strings.Contains(got, ":你说：a") || !strings.Contains(got, "agency:"+sim.FaultNotice) {
			t.Errorf("the follower sees %s", got)
		}
		if !p.Account.RemoveReceiver("agency") || p.Account.RemoveReceiver("agency") || p.Account.RemoveReceiver("") {
			t.Error("RemoveReceiver does not say whether there was one")
		}
		if s := u.Say("a"); s.Wait(t.Context()) != sim.Replied || len(s.Attempts()) != 1 {
			t.Errorf("%q, %+v", s.Fate(), s.Attempts())
		}
	})
}
