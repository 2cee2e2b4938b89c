package sim_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log" //nolint:depguard // as a program of a reader would
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/api"
	"github.com/wenzihq/wenzi/oa/sim"
)

// exampleT stands in for the *testing.T that a test has.
type exampleT struct{ cleanup []func() }

func (t *exampleT) Helper()                   {}
func (t *exampleT) Cleanup(f func())          { t.cleanup = append(t.cleanup, f) }
func (t *exampleT) Fatalf(f string, a ...any) { log.Fatalf(f, a...) }
func (t *exampleT) end() {
	for _, f := range t.cleanup {
		f()
	}
}

// greeter is a server under test.
func greeter() *oa.Server {
	mux := oa.NewMux()
	oa.On(mux, func(context.Context, *oa.SubscribeEvent) (oa.Reply, error) {
		return oa.Text(`Hi~ <a href="weixin://bizmsgmenu?msgmenucontent=help&msgmenuid=1">帮助</a>`)
	})
	oa.On(mux, func(_ context.Context, m *oa.TextMessage) (oa.Reply, error) { return oa.Text("你说：" + m.Content) })
	srv, err := oa.NewServer(oa.Account{Token: "hello"}, mux)
	if err != nil {
		log.Fatal(err)
	}
	return srv
}

// A test of a server: somebody follows, taps a link of the greeting, and reads
// the answer.
func ExampleStart() {
	t, ctx := &exampleT{}, context.Background() // a test has a *testing.T and its Context
	defer t.end()

	p := sim.Start(t, greeter(), sim.AccountConfig{})
	follower := p.Account.Follower()

	follower.Subscribe()
	greeting, err := follower.Next(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(greeting.Text())

	follower.Tap(greeting.Links()[0])
	answer, err := follower.Next(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Text())
	// Output:
	// Hi~ 帮助
	// 你说：help
}

// What becomes of a message, delivery by delivery.
func ExampleSent() {
	p := sim.New(sim.Settings{})
	defer p.Close()
	account, err := p.NewAccount(sim.AccountConfig{Handler: greeter(), Token: "another"})
	if err != nil {
		log.Fatal(err)
	}
	sent := account.Follower().Subscribe()
	fmt.Println(sent.Wait(context.Background()))
	last := sent.Attempts()[len(sent.Attempts())-1]
	fmt.Println(last.Number, last.Exchange.Verdict.Problem)
	// Output:
	// fault
	// 4 HTTP 状态是 404，必须是 200（the HTTP status is 404, it must be 200）
}

// The API's client against the simulated platform, and a call that fails as it
// was told to.
func ExamplePlatform_Client() {
	p := sim.New(sim.Settings{})
	defer p.Close()
	account, err := p.NewAccount(sim.AccountConfig{})
	if err != nil {
		log.Fatal(err)
	}
	config := account.Config()
	client, err := api.NewClient(api.Account{AppID: config.AppID, Secret: api.Secret(config.AppSecret)},
		api.WithHTTPClient(p.Client()), api.WithTokenSource(api.StaticToken(account.AccessToken())))
	if err != nil {
		log.Fatal(err)
	}
	p.FailNext("custom_message_send", 45015)
	err = client.CustomMessage.Send(context.Background(), api.CustomText("oAlice", "在吗"))
	fmt.Println(errors.Is(err, api.ErrWindowClosed))
	// Output: true
}

// A simulated WeChat for programs in other languages: the API, a model, and a
// control API under one address.
func ExampleNewHandler() {
	p := sim.New(sim.Settings{})
	defer p.Close()
	if _, err := p.NewAccount(sim.AccountConfig{AppID: "wx0123456789abcdef", Handler: greeter()}); err != nil {
		log.Fatal(err)
	}
	wechat := httptest.NewServer(sim.NewHandler(p, &sim.Model{}))
	defer wechat.Close()

	account := wechat.URL + "/sim/accounts/wx0123456789abcdef"
	post(account+"/followers", `{"openid":"oAlice","following":true}`)
	fmt.Println(strings.Contains(post(account+"/followers/oAlice/acts?wait=5s", `{"type":"say","text":"你好"}`), "你说：你好"))
	// Output: true
}

// post sends JSON and returns the answer.
func post(address, body string) string {
	resp, err := http.Post(address, "application/json", strings.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	return string(answer)
}
