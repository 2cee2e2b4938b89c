package app

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

const modelKey = "sk-topsecret-0123456789"

// provider is a simulated model that keeps what it was asked.
type provider struct {
	sim.Model
	url string

	mu    sync.Mutex
	keys  []string
	asked []string // bodies
}

func newProvider(t *testing.T, s sim.ModelSettings) *provider {
	t.Helper()
	p := new(provider)
	if err := p.Set(s); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.url = server.URL + "/v1"
	return p
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	p.mu.Lock()
	p.keys = append(p.keys, r.Header.Get("Authorization"))
	p.asked = append(p.asked, string(body))
	p.mu.Unlock()
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	p.Model.ServeHTTP(w, r)
}

// last is the body of the last request.
func (p *provider) last() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.asked) == 0 {
		return ""
	}
	return p.asked[len(p.asked)-1]
}

// settle makes it the model of the servers that the test starts.
func (p *provider) settle(t *testing.T, name string) {
	t.Setenv("WENZI_MODEL_URL", p.url)
	t.Setenv("WENZI_MODEL_KEY", modelKey)
	t.Setenv("WENZI_MODEL", name)
}

const shop = `
accounts:
  - path: shop
    token: tokentoken
    mode: secure
    app_id: wx0123456789abcdef
    aes_key: abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG
    name: 小店
    rules:
      - {text: 帮助, reply: 发文字就行}
`

// asShop are the arguments that say as which account WeChat is played.
func (p *process) asShop(args ...string) []string {
	return append(args, "--url", p.url("shop"), "--token", "tokentoken",
		"--app-id", "wx0123456789abcdef", "--aes-key", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG")
}

// say has the command say something to the account shop, and returns what is
// shown of the answer.
func (p *process) say(args ...string) string {
	p.t.Helper()
	out, errs, code := say(p.t, p.asShop(args...)...)
	if code != 0 {
		p.t.Errorf("say %q: exit %d\n%s%s", args, code, out, errs)
	}
	_, answer, _ := strings.Cut(out, "公众号    ")
	return answer
}

// discreet sees that the log holds nothing that it must not.
func (p *process) discreet(secrets ...string) {
	p.t.Helper()
	log := p.logged()
	for _, secret := range append(secrets, modelKey, "tokentoken", "oWenziSay", "oA") {
		if strings.Contains(log, secret) {
			p.t.Errorf("the log holds %q:\n%s", secret, log)
		}
	}
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if !strings.Contains(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// Three variables are enough for every registered account.
func TestThreeVariables(t *testing.T) {
	model := newProvider(t, sim.ModelSettings{Text: "模型说好。"})
	own := newProvider(t, sim.ModelSettings{Text: "自己的模型说好。"})
	model.settle(t, "sim")
	bot := shop + "  - {path: own, token: owntoken, model: {provider: openai-compatible, base_url: '" + own.url + "', name: mine}}\n"
	data := t.TempDir()
	p := serve(t, "--data", data, "--bot", write(t, "bot.yaml", bot), "--open-hosting", "on")
	want(t, "question", p.say("我叫小明"), "模型说好。")
	want(t, "rule", p.say("帮助"), "发文字就行")
	want(t, "sticker", p.say("[Unsupported Message]"), "看不懂")
	want(t, "event", p.say("--event", "subscribe"), "终于等到你")
	if model.keys[0] != "Bearer "+modelKey || model.Stats().Calls != 1 {
		t.Errorf("%d calls, with %q", model.Stats().Calls, model.keys)
	}

	want(t, "another question", p.say("我叫什么"), "模型说好。")
	want(t, "request", model.last(), `{"role":"user","content":"我叫小明"},{"role":"assistant","content":"模型说好。"},{"role":"user","content":"我叫什么"}]`)
	want(t, "command", p.say("新对话"), "从头开始")
	want(t, "question after that", p.say("我叫什么"), "模型说好。")
	if strings.Contains(model.last(), "小明") || strings.Contains(model.last(), "新对话") || !strings.Contains(model.last(), "小店") {
		t.Errorf("after the new conversation it was asked %s", model.last())
	}

	m := text("oA", "你好", 1)
	want(t, "own model", said(t, mustDeliver(t, oa.Account{Token: "owntoken"}, p.url("own"), m)), "自己的模型说好。")
	calls := model.Stats().Calls
	want(t, "guest", said(t, mustDeliver(t, guest, p.url("hello"), text("oA", "你好", 2))), "你好")
	if model.Stats().Calls != calls || own.keys[0] != "" {
		t.Errorf("%d calls, own with %q", model.Stats().Calls-calls, own.keys)
	}
	p.waitFor("try it without")
	host := strings.TrimSuffix(strings.TrimPrefix(model.url, "http://"), "/v1")
	want(t, "welcome", p.logged(), "大模型 model   sim @ "+host+" ，只回答登记的公众号")
	want(t, "welcome", p.logged(), "大模型 model  mine @ 127.0.0.1:")
	want(t, "welcome", p.logged(), "say --url "+p.url("shop")+" --token <token> --mode secure --app-id wx0123456789abcdef --aes-key <aes_key> 你好")
	p.stop()
	p.discreet("owntoken", "小明", "说好。")

	// What was said is remembered over a restart, and guests get the model, but
	// no memory, where a switch says so.
	p = serve(t, "--data", data, "--open-hosting", "on", "--guest-model")
	want(t, "after a restart", p.say("还记得吗"), "模型说好。")
	want(t, "request", model.last(), `{"role":"user","content":"我叫什么"},{"role":"assistant","content":"模型说好。"},{"role":"user","content":"还记得吗"}]`)
	for i, question := range []string{"第一问", "第二问"} {
		want(t, question, said(t, mustDeliver(t, guest, p.url("hello"), text("oA", question, int64(i+10)))), "模型说好。")
	}
	if strings.Contains(model.last(), "第一问") || !strings.Contains(model.last(), "第二问") {
		t.Errorf("a guest is remembered: %s", model.last())
	}
	p.stop()
	p.discreet("第一问", "说好。")
}

// An answer that takes 6 s is there when WeChat delivers again, and the model is
// asked once.
func TestSlowModelRides(t *testing.T) {
	model := newProvider(t, sim.ModelSettings{Text: "想好了。", Delay: "6s"})
	model.settle(t, "sim")
	p := serve(t, "--data", t.TempDir(), "--bot", write(t, "bot.yaml", shop))
	began := time.Now()
	out, errs, code := say(t, p.asShop("为什么")...)
	if took := time.Since(began); code != 0 || !strings.Contains(out, "第 2 次") || strings.Contains(out, "第 3 次") || !strings.Contains(out, "想好了。") || took > 9*time.Second {
		t.Errorf("after %v: exit %d\n%s%s", took, code, out, errs)
	}
	if calls := model.Stats().Calls; calls != 1 {
		t.Errorf("the model was asked %d times", calls)
	}
	p.stop()
	p.discreet("为什么", "想好了")
}

// A model that fails is no silence: the follower is told once, the owner reads
// what to do.
func TestModelFailsForTheFollower(t *testing.T) {
	model := newProvider(t, sim.ModelSettings{FailNext: 1, FailStatus: 401, Text: "好了。"})
	good := newProvider(t, sim.ModelSettings{Text: "备用的说好。"})
	model.settle(t, "sim")
	bot := shop + `
  - path: two
    token: twotoken
    model:
      provider: openai-compatible
      base_url: ` + model.url + `
      name: 'sim,fail_status=402'
      backups: [{provider: openai-compatible, base_url: '` + good.url + `', name: good}]
`
	p := serve(t, "--data", t.TempDir(), "--bot", write(t, "bot.yaml", bot))
	want(t, "answer", p.say("秘密问题"), "抱歉，我这会儿想不出来")
	want(t, "next answer", p.say("秘密问题二"), "好了。")
	if strings.Contains(model.last(), "抱歉") || strings.Contains(model.last(), `"秘密问题"`) {
		t.Errorf("what failed is remembered: %s", model.last())
	}
	want(t, "backup", said(t, mustDeliver(t, oa.Account{Token: "twotoken"}, p.url("two"), text("oA", "你好", 1))), "备用的说好。")
	p.stop()
	want(t, "log", p.logged(), "请检查 key [HTTP 401, invalid_api_key]")
	want(t, "log", p.logged(), "余额不足，请到服务商那里充值 [HTTP 402, insufficient_balance]")
	if n := strings.Count(p.logged(), "HTTP 401, invalid_api_key]（model"); n != 1 {
		t.Errorf("the log says it %d times:\n%s", n, p.logged())
	}
	p.discreet("秘密问题", "twotoken", "说好。")
}

func TestModelSettings(t *testing.T) {
	t.Setenv("WENZI_MODEL_KEY", modelKey)
	for _, tt := range []struct {
		args []string
		want string // in what refuses the start
	}{
		{nil, "缺少 WENZI_MODEL_URL"},
		{[]string{"--model-url", "https://llm.example.com/v1"}, "缺少 WENZI_MODEL，"},
		{[]string{"--model-url", "llm.example.com", "--model", "m"}, "WENZI_MODEL_URL 应为"},
		{[]string{"--model-url", "https://llm.example.com/v1", "--model", "m", "--model-key", "a b"}, "WENZI_MODEL_KEY 应为"},
		{[]string{"--model-key", "", "--guest-model"}, "--guest-model"},
	} {
		_, stderr, code := wenzi(t, append([]string{"serve", "--listen", "127.0.0.1:0", "--data", t.TempDir()}, tt.args...)...)
		if code != 2 || !strings.Contains(stderr, tt.want) || strings.Contains(stderr, modelKey) {
			t.Errorf("%q: exit %d\n%s", tt.args, code, stderr)
		}
	}
	stdout, stderr, code := wenzi(t, "config", "--model-url", "https://llm.example.com/v1", "--model", "m", "--guest-model")
	if code != 0 || strings.Contains(stdout, modelKey) || !strings.Contains(stdout, "model-key: '********'\nmodel: m\nguest-model: true\n") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	if _, stderr, code := wenzi(t, "serve", "--config", write(t, "wenzi.yaml", stdout), "--model-key", "********"); code != 2 || !strings.Contains(stderr, "WENZI_MODEL_KEY 是打码后的样子") {
		t.Errorf("a masked key: exit %d\n%s", code, stderr)
	}
}
