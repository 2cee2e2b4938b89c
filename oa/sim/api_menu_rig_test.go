package sim_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/api"
	"github.com/wenzihq/wenzi/oa/sim"
)

// apiClientMenu is a client of the platform's first account.
func apiClientMenu(t *testing.T, p *sim.Platform) *api.Client {
	t.Helper()
	a := p.Accounts()[0].Config()
	c, err := api.NewClient(api.Account{AppID: a.AppID, Secret: api.Secret(a.AppSecret)},
		api.WithHTTPClient(p.Client()), api.WithBaseURL("https://api.weixin.qq.com"), api.WithPagesURL("https://mp.weixin.qq.com"),
		api.WithClock(p.Now))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// apiRawMenu makes a call that the client would refuse to make. The body is JSON
// where contentType is empty.
func apiRawMenu(t *testing.T, p *sim.Platform, method, address, contentType, body string) (code int, answer string) {
	t.Helper()
	token, err := apiClientMenu(t, p).Tokens().Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "https://api.weixin.qq.com"+address+separator+"access_token="+string(token.Value), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType == "" {
		contentType = "application/json"
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := p.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer = mediaRead(t, resp.Body)
	var envelope struct {
		Code int `json:"errcode"`
	}
	_ = json.Unmarshal([]byte(answer), &envelope) // a file is no error
	return envelope.Code, answer
}

// apiCodeMenu is the platform's code of an error, 0 of none.
func apiCodeMenu(err error) int {
	if e, ok := errors.AsType[*api.Error](err); ok {
		return e.Code
	}
	if err != nil {
		return -1
	}
	return 0
}

// menuInbox is a server that keeps what comes, and answers by a function.
type menuInbox struct {
	mu       sync.Mutex
	messages []oa.Message
	reply    func(oa.Message) (oa.Reply, error)
}

func (i *menuInbox) handle(_ context.Context, r *oa.Request) (oa.Reply, error) {
	i.mu.Lock()
	i.messages = append(i.messages, r.Message)
	i.mu.Unlock()
	if i.reply == nil {
		return oa.None()
	}
	return i.reply(r.Message)
}

// take returns what came since the last take, once nothing more is on its way.
func (i *menuInbox) take() []oa.Message {
	synctest.Wait()
	i.mu.Lock()
	defer i.mu.Unlock()
	all := i.messages
	i.messages = nil
	return all
}

// menuPlatform is a platform with an account of a certified service whose server
// is an inbox.
func menuPlatform(t *testing.T, reply func(oa.Message) (oa.Reply, error)) (*sim.Testing, *api.Client, *menuInbox) {
	t.Helper()
	in := &menuInbox{reply: reply}
	c := account(oa.Plain)
	p := sim.Start(t, server(t, c, in.handle), c)
	return p, apiClientMenu(t, p.Platform), in
}
