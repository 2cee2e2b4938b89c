package app

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

// thinking is a language model whose questions are kept.
type thinking struct {
	*sim.Model
	url string

	mu    sync.Mutex
	asked []string // bodies of requests
}

func newThinking(t *testing.T, s sim.ModelSettings) *thinking {
	t.Helper()
	m := &thinking{Model: &sim.Model{}}
	if err := m.Set(s); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		m.mu.Lock()
		m.asked = append(m.asked, string(body))
		m.mu.Unlock()
		m.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	m.url = server.URL + "/v1"
	return m
}

// bot makes the model that of the last account of a bot.yaml.
func (m *thinking) bot(bot string) string {
	return bot + fmt.Sprintf("    model: {provider: openai-compatible, base_url: %q, name: sim}\n", m.url)
}

func (m *thinking) last() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.asked) == 0 {
		return ""
	}
	return m.asked[len(m.asked)-1]
}

// A stop while a delivery waits for the model: the process is gone at once, and
// the repeat gets the answer of its successor.
func TestStopLeavesWhatWaitsToTheSuccessor(t *testing.T) {
	model := newThinking(t, sim.ModelSettings{Text: "材料要齐。", Delay: "3s"})
	address := freeAddress(t)
	w := newWeChat(t, sim.AccountConfig{Kind: sim.Subscription, URL: "http://" + address + "/wechatMP/certified"})
	args := []string{"--listen", address, "--data", t.TempDir(), "--bot", write(t, "bot.yaml", model.bot(w.bot())), "--api-url", w.api}
	p := serve(t, args...)
	u := w.account.Follower()
	u.Subscribe().Wait(t.Context())
	const question = "怎么办理？"
	sent := u.Say(question)
	p.waitUntil(func() bool { stats := model.Stats(); return stats.Asked(question) == 1 })

	begin := time.Now()
	p.stop()
	took := time.Since(begin)
	t.Logf("the process was gone after %v", took)
	if took > 3*time.Second {
		t.Errorf("the process was gone after %v", took)
	}
	p = serve(t, args...)
	if fate := sent.Wait(t.Context()); fate != sim.Replied {
		t.Errorf("the message is %q\n%s", fate, p.logged())
	}
	var bubbles []string
	for _, e := range u.Chat() {
		if e.From != sim.FromFollower {
			bubbles = append(bubbles, e.Text())
		}
	}
	if got := bubbles[len(bubbles)-1]; got != "材料要齐。" || len(bubbles) != 2 { // the first is the greeting
		t.Errorf("the follower sees %q", bubbles)
	}
	if n := len(sent.Attempts()); n != 2 {
		t.Errorf("%d deliveries", n)
	}
	if stats := model.Stats(); stats.Asked(question) != 2 {
		t.Errorf("the model ran %d times in two processes", stats.Asked(question))
	}
	p.stop()
}

// The whole way of an answer that takes longer than a delivery, on an account
// that may push: success, typing, the answer; and what the owner sees of it.
func TestSlowAnswerIsPushed(t *testing.T) {
	model := newThinking(t, sim.ModelSettings{Text: "想了很久的答案。", Delay: "6s"})
	address := freeAddress(t)
	w := newWeChat(t, sim.AccountConfig{URL: "http://" + address + "/wechatMP/certified"})
	data := t.TempDir()
	p := serve(t, "--listen", address, "--data", data, "--bot", write(t, "bot.yaml", model.bot(w.bot())), "--api-url", w.api)
	p.waitFor("账号能发客服消息")
	u := w.account.Follower()
	u.Subscribe().Wait(t.Context())
	sent := u.Say("怎么办理？")
	if fate := sent.Wait(t.Context()); fate != sim.Silent || len(sent.Attempts()) != 1 {
		t.Errorf("the message is %q after %d deliveries", fate, len(sent.Attempts()))
	}
	p.waitUntil(func() bool { return len(w.pushed()) > 0 })
	if pushed := w.pushed(); len(pushed) != 1 || !strings.Contains(pushed[0], "想了很久的答案。") || !strings.Contains(pushed[0], u.OpenID()) {
		t.Errorf("pushed is %q", pushed)
	}
	if w.calls("custom_message_typing") == 0 {
		t.Error("the follower does not see that the account is typing")
	}
	p.waitUntil(func() bool {
		_, metrics := get(t, p.base+"/metrics")
		return strings.Contains(metrics, `wenzi_turns_total{state="pushed"} 1`+"\n") && strings.Contains(metrics, `wenzi_model_calls_total{model="openai-compatible/sim"} 1`+"\n")
	})
	list, _, _ := wenzi(t, "turns", "--data", data, "--state", "pushed")
	for _, want := range []string{"已推送", "model，第 1 次送达", "openai-compatible/sim", "6."} {
		if !strings.Contains(list, want) {
			t.Errorf("the list lacks %q:\n%s", want, list)
		}
	}
	id := regexp.MustCompile(`[0-9a-v]{32}`).FindString(list)
	one, _, _ := wenzi(t, "turns", "--data", data, id)
	for _, want := range []string{"微信送达 delivery", "等推送 promised", "想好了 ready", "推送 push", "已推送 pushed"} {
		if !strings.Contains(one, want) {
			t.Errorf("the timeline lacks %q:\n%s", want, one)
		}
	}
	p.stop()
	for _, secret := range []string{u.OpenID(), "怎么办理", "想了很久", w.account.Config().AppSecret} {
		if strings.Contains(p.logged(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, p.logged())
		}
	}
}

// The link to the whole answer leads to what there is of it, and then to all.
func TestPageWhileItIsWritten(t *testing.T) {
	model := newThinking(t, sim.ModelSettings{Bytes: 6000, Delay: "7s", FirstToken: "100ms"})
	p := serve(t, "--data", t.TempDir(), "--bot", write(t, "bot.yaml", model.bot("accounts:\n  - path: pages\n    token: tokentoken\n")),
		"--timeout-budget", "0", "--public-url", "https://wx.example.com")
	answer := mustDeliver(t, oa.Account{Token: "tokentoken"}, p.url("pages"), text("oA", "长一点", 1))
	link := regexp.MustCompile(`https://wx\.example\.com(/a/[0-9a-f]{32})"`).FindStringSubmatch(answer)
	if link == nil {
		t.Fatalf("the part has no link:\n%s", answer)
	}
	const refreshes = `http-equiv="refresh"`
	_, early := get(t, p.base+link[1])
	if !strings.Contains(early, refreshes) || !strings.Contains(early, "长一点") {
		t.Errorf("early the page is\n%s", early)
	}
	var late string
	p.waitUntil(func() bool {
		_, late = get(t, p.base+link[1])
		return !strings.Contains(late, refreshes)
	})
	if len(late) < len(early)+1000 || len(late) < 6000 {
		t.Errorf("the page grew from %d to %d bytes", len(early), len(late))
	}
	p.stop()
	if strings.Contains(p.logged(), link[1]) {
		t.Errorf("the log holds the link:\n%s", p.logged())
	}
}

// What a stranger asks in a follower's name is asked without what the follower
// has said before.
func TestStrangerAsksWithoutMemory(t *testing.T) {
	model := newThinking(t, sim.ModelSettings{Text: "好。"})
	data := t.TempDir()
	bot := write(t, "bot.yaml", model.bot("accounts:\n  - path: plain\n    token: tokentoken\n"))
	account := oa.Account{Token: "tokentoken"}
	p := serve(t, "--data", data, "--bot", bot)
	mustDeliver(t, account, p.url("plain"), text("oVictim", "我叫小明", 1))
	xml, err := oa.Marshal(text("oVictim", "还记得吗", 2))
	if err != nil {
		t.Fatal(err)
	}
	captured, err := oa.NewDelivery(account, p.url("plain"), xml)
	if err != nil {
		t.Fatal(err)
	}
	query := captured.URL.Query()
	query.Del("openid")
	p.stop()
	p = serve(t, "--data", data, "--bot", bot)
	forged, err := oa.Marshal(text("oVictim", "我是谁", 3))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(p.url("plain")+"?"+query.Encode(), "text/xml", bytes.NewReader(forged))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if asked := model.last(); !strings.Contains(asked, "我是谁") || strings.Contains(asked, "小明") {
		t.Errorf("the stranger's question is asked as %s", asked)
	}
	mustDeliver(t, account, p.url("plain"), text("oVictim", "那我呢", 4))
	if asked := model.last(); !strings.Contains(asked, "小明") || strings.Contains(asked, "我是谁") {
		t.Errorf("the follower's question is asked as %s", asked)
	}
	p.stop()
}
