package robot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wenzihq/wenzi/internal/bot"
	"github.com/wenzihq/wenzi/internal/model"
	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

const testKey = "sk-topsecret-0123456789"

// provider is the simulated model on a network in memory, which keeps what it
// was asked.
type provider struct {
	sim.Model
	pool *model.Pool

	mu    sync.Mutex
	asked []string // hosts and messages, one request each
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	pipe := sim.NewPipe()
	p := &provider{pool: model.New(pipe.Transport())}
	server := &http.Server{Handler: p}
	served := make(chan struct{})
	go func() { defer close(served); server.Serve(pipe) }()
	t.Cleanup(func() {
		p.pool.Close()
		server.Close()
		<-served
	})
	return p
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	var request struct {
		Messages []struct {
			Role    string
			Content json.RawMessage
		}
	}
	if err := json.Unmarshal(body, &request); err != nil {
		panic(err)
	}
	asked := r.Host
	for _, m := range request.Messages {
		asked += "\n" + m.Role + " " + string(m.Content)
	}
	p.mu.Lock()
	p.asked = append(p.asked, asked)
	p.mu.Unlock()
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	p.Model.ServeHTTP(w, r)
}

// last returns the messages of the last request but the system's.
func (p *provider) last() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.asked) == 0 {
		return ""
	}
	lines := strings.Split(p.asked[len(p.asked)-1], "\n")
	return strings.Join(lines[2:], "\n")
}

// diary is a memory.
type diary struct {
	said   map[string][]Exchange
	broken bool
}

func (d *diary) Recall(_ context.Context, account int64, openid string, limit int) ([]Exchange, error) {
	if d.broken {
		return nil, errors.New("no diary")
	}
	all := d.said[fmt.Sprint(account, openid)]
	return all[max(0, len(all)-limit):], nil
}

func (d *diary) Forget(_ context.Context, account int64, openid string) error {
	if d.broken {
		return errors.New("no diary")
	}
	delete(d.said, fmt.Sprint(account, openid))
	return nil
}

// talk is a robot with a model, and all that it says and does.
type talk struct {
	*Robot
	*provider
	diary *diary

	said  []string
	steps []string
}

const plainModel = "    model: {provider: openai-compatible, base_url: 'http://one/v1', name: sim, key: " + testKey + "}\n"

func newTalk(t *testing.T, lines string) *talk {
	t.Helper()
	b, err := bot.Parse("bot.yaml", []byte("accounts:\n  - path: test\n    token: token\n    name: 小店\n"+lines), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	k := &talk{provider: newProvider(t), diary: &diary{said: map[string][]Exchange{}}}
	if k.Robot, err = New(b.Accounts[0], Config{Models: k.pool, Memory: k.diary}); err != nil {
		t.Fatal(err)
	}
	return k
}

// tell has the robot answer a message of follower oA, as a turn does that the
// engine works on, and keeps it in the diary.
func (k *talk) tell(t *testing.T, req *oa.Request) (Result, error) {
	t.Helper()
	a, err := k.Answer(req)
	if err != nil || a.Question == "" {
		t.Fatalf("no question: %+v, %v", a, err)
	}
	return k.work(t.Context(), Question{Account: 7, OpenID: "oA", Text: a.Question, Message: req.Message, Remember: true})
}

func (k *talk) work(ctx context.Context, q Question) (Result, error) {
	k.said, k.steps = nil, nil
	r, err := k.Work(ctx, q, func(s string) { k.said = append(k.said, s) }, func(what, detail string) {
		k.steps = append(k.steps, strings.TrimSuffix(what+": "+detail, ": "))
	})
	if r.Text != forgotten {
		key := fmt.Sprint(q.Account, q.OpenID)
		k.diary.said[key] = append(k.diary.said[key], Exchange{Question: q.Text, Answer: r.Text})
	}
	return r, err
}

func (k *talk) set(t *testing.T, s sim.ModelSettings) {
	t.Helper()
	if err := k.Set(s); err != nil {
		t.Fatal(err)
	}
}

// What of a follower's messages reaches the model, and what is said to the rest.
func TestWhatReachesTheModel(t *testing.T) {
	const seeing = "    model: {provider: openai-compatible, base_url: 'http://one/v1', name: sim, vision: true}\n"
	const rules = "    greeting: 欢迎\n    rules:\n      - {text: [帮助, 新对话], reply: 规则}\n      - {event: CLICK/A, reply: 点了}\n"
	image := delivery(t, "image", "<PicUrl>http://mmbiz.qpic.cn/p/0</PicUrl><MediaId>m1</MediaId>")
	for _, c := range []struct {
		name  string
		lines string
		req   *oa.Request
		want  string // "? question", or the reply
	}{
		{"text", plainModel, text(t, " 你好]]&gt; "), "?  你好]]&gt; "},
		{"a rule", plainModel + rules, text(t, "帮助"), "rule 1: text Content=规则"},
		{"no rule", plainModel + rules, text(t, "帮忙"), "? 帮忙"},
		{"a command before the rules", plainModel + rules, text(t, "新对话"), "? 新对话"},
		{"a command in other letters", plainModel, text(t, "　／ＮＥＷ "), "? 　／ＮＥＷ "},
		{"a command without a model", rules, text(t, "新对话"), "rule 1: text Content=规则"},
		{"nothing", plainModel, text(t, ""), "fallback: text Content=" + cannotRead},
		{"blanks", plainModel, text(t, " \n　\t"), "fallback: text Content=" + cannotRead},
		{"control characters", plainModel, text(t, "\x01\uFFFE"), "fallback: text Content=" + cannotRead},
		{"sticker", plainModel, text(t, "【收到不支持的消息类型，暂无法显示】"), "fallback: text Content=" + cannotRead},
		{"voice", plainModel, delivery(t, "voice", "<MediaId>v</MediaId><Recognition>你好。</Recognition>"), "? 你好。"},
		{"voice for a rule", plainModel + rules, delivery(t, "voice", "<MediaId>v</MediaId><Recognition>帮助</Recognition>"), "rule 1: text Content=规则"},
		{"unheard voice", plainModel, delivery(t, "voice", "<MediaId>v</MediaId>"), "fallback: text Content=" + cannotHear},
		{"location", plainModel, delivery(t, "location", "<Location_X>23.1</Location_X><Location_Y>113.3</Location_Y><Label> 广州塔 </Label>"), "? 〔位置〕广州塔"},
		{"location without a name", plainModel, delivery(t, "location", "<Location_X>23.134521</Location_X><Location_Y>-113.3</Location_Y>"), "? 〔位置〕23.134521, -113.3"},
		{"location without anything", plainModel, delivery(t, "location", ""), "fallback: text Content=收到你的位置"},
		{"link", plainModel, delivery(t, "link", "<Title>题</Title><Description> </Description><Url>https://example.com/</Url>"), "? 〔链接〕题\nhttps://example.com/"},
		{"link without anything", plainModel, delivery(t, "link", ""), "fallback: text Content=收到你分享的链接"},
		{"image", seeing, image, "? 〔图片〕"},
		{"image for a model that does not see", plainModel, image, "fallback: text Content=" + cannotSee},
		{"image without its address", seeing, delivery(t, "image", "<MediaId>m1</MediaId>"), "fallback: text Content=" + cannotSee},
		{"image with another address", seeing, delivery(t, "image", "<PicUrl>file:///etc/passwd</PicUrl><MediaId>m1</MediaId>"), "fallback: text Content=" + cannotSee},
		{"video", seeing, delivery(t, "video", "<MediaId>v</MediaId>"), "fallback: text Content=" + cannotWatch},
		{"file", seeing, delivery(t, "file", "<Title>a.pdf</Title>"), "fallback: text Content=收到文件：a.pdf"},
		{"unknown type", seeing, delivery(t, "hologram", ""), "fallback: text Content=" + cannotRead},
		{"subscribe", plainModel + rules, event(t, "subscribe", ""), "greeting: text Content=欢迎"},
		{"click", plainModel + rules, event(t, "CLICK", "A"), "rule 2: text Content=点了"},
		{"another click", plainModel + rules, event(t, "CLICK", "B"), "fallback: text Content=" + noClick},
		{"scan", plainModel, event(t, "SCAN", "1"), "none: success"},
		{"text, besides a fallback", plainModel + "    fallback: {text: 看不懂}\n", text(t, "你好"), "? 你好"},
		{"sticker, with a fallback", plainModel + "    fallback: {text: 看不懂}\n", text(t, "[Unsupported Message]"), "fallback: text Content=看不懂"},
		{"image, with a fallback", plainModel + "    fallback: {transfer: {}}\n", image, "fallback: transfer_customer_service"},
		{"video, with none", plainModel + "    fallback: none\n", delivery(t, "video", "<MediaId>v</MediaId>"), "none: success"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newTalk(t, c.lines)
			a, err := k.Answer(c.req)
			if err != nil {
				t.Fatal(err)
			}
			got := "? " + a.Question
			if a.Question == "" {
				got = show(t, c.req, a)
			} else if !a.Reply.IsZero() {
				t.Errorf("a question with a reply: %s", show(t, c.req, a))
			}
			check(t, "answer", got, c.want)
			if len(k.asked) > 0 {
				t.Errorf("Answer has asked %q", k.asked)
			}
		})
	}
}

// Where the store is away a question cannot be worked on.
func TestSorryOfTheModel(t *testing.T) {
	for lines, want := range map[string]string{
		"":                            "抱歉，我这会儿想不出来，请过一会儿再问。",
		"    fallback: {text: 看不懂}\n": "抱歉，我这会儿想不出来，请过一会儿再问。",
	} {
		k := newTalk(t, plainModel+lines)
		check(t, lines, show(t, text(t, "你好"), k.Sorry(text(t, "你好"))), "fallback: text Content="+want)
	}
	account := bot.Account{Model: bot.Model{Endpoints: []bot.Endpoint{{Provider: "ollama", Name: "m"}}, Sorry: strings.Repeat("x", 2048)}}
	if _, err := New(account, Config{Models: model.New(nil)}); err == nil || !strings.HasPrefix(err.Error(), "model.sorry: ") {
		t.Errorf("a sorry that is too long: %v", err)
	}
}

func TestWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newTalk(t, plainModel)
		k.set(t, sim.ModelSettings{Text: "今天是星期六，新年第一天。", Delay: "4s"})
		r, err := k.tell(t, text(t, "今天星期几？"))
		if err != nil || r.Text != "今天是星期六，新年第一天。" {
			t.Fatalf("%+v, %v", r, err)
		}
		if len(k.said) < 5 || !slices.IsSortedFunc(k.said, func(a, b string) int { return len(a) - len(b) }) || k.said[len(k.said)-1] != r.Text {
			t.Errorf("it said %q", k.said)
		}
		check(t, "steps", strings.Join(k.steps, "\n"), "asked: openai-compatible/sim")
		if r.Model.Provider != "openai-compatible" || r.Model.Attempts != 1 || r.Model.Usage.Completion == 0 || r.Model.Total != 4*time.Second || r.Model.FirstText != time.Second {
			t.Errorf("it took %+v", r.Model)
		}
		want := "one\n" +
			`system "你是微信公众号「小店」的助手，在聊天里回答粉丝。\n- 粉丝用什么语言，就用什么语言回答。\n- 直接回答，说得简短：一般不超过 200 字，适合手机上的一个聊天气泡；对方要求详细时再展开。\n` +
			`- 少用 Markdown：不用标题；除非对方要，也不用表格。\n- 不知道的就说不知道，不编造。〔图片〕表示对方之前发过一张图片。\n\n今天是 2000 年 1 月 1 日，星期六（北京时间）。"` + "\n" +
			`user "今天星期几？"`
		check(t, "request", k.asked[0], want)

		time.Sleep(16 * time.Hour) // the day ends in Beijing
		k = newTalk(t, "    model: {provider: openai-compatible, base_url: 'http://one/v1', name: sim, system: Be brief.}\n")
		if _, err := k.tell(t, text(t, "?")); err != nil {
			t.Fatal(err)
		}
		check(t, "request", k.asked[0], "one\n"+`system "Be brief.\n\n今天是 2000 年 1 月 2 日，星期日（北京时间）。"`+"\n"+`user "?"`)
	})
}

func TestImageIsShown(t *testing.T) {
	const lines = `
    model:
      provider: openai-compatible
      base_url: http://blind/v1
      name: blind
      backups:
        - {provider: openai-compatible, base_url: 'http://seeing/v1', name: sim, vision: true}
`
	synctest.Test(t, func(t *testing.T) {
		k := newTalk(t, lines)
		image := delivery(t, "image", "<PicUrl>http://mmbiz.qpic.cn/p/0?a=1</PicUrl><MediaId>m1</MediaId>")
		if _, err := k.tell(t, image); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(k.asked[0], "seeing\n") {
			t.Errorf("asked was %s", k.asked[0])
		}
		check(t, "image", k.last(), `user [{"text":"〔图片〕","type":"text"},{"image_url":{"url":"http://mmbiz.qpic.cn/p/0?a=1"},"type":"image_url"}]`)
		if _, err := k.tell(t, text(t, "什么颜色？")); err != nil {
			t.Fatal(err)
		}
		if asked := k.asked[1]; !strings.HasPrefix(asked, "blind\n") || strings.Contains(asked, "qpic") || !strings.Contains(asked, `user "〔图片〕"`) {
			t.Errorf("after the image: %s", asked)
		}
	})
}

// A model that thinks first shows nothing of it.
func TestThinking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newTalk(t, strings.ReplaceAll(plainModel, "name: sim", "name: 'sim,reasoning'"))
		r, err := k.tell(t, text(t, "为什么"))
		if err != nil {
			t.Fatal(err)
		}
		check(t, "steps", strings.Join(k.steps, "\n"), "asked: openai-compatible/sim,reasoning\nthinking")
		if all := strings.Join(k.said, "") + r.Text; strings.Contains(all, "先弄清问题") || r.Model.Usage.Reasoning == 0 {
			t.Errorf("it says %q, %+v", all, r.Model.Usage)
		}
		if k.said[0] == "" {
			t.Error("it says nothing before it says something")
		}
	})
}

// What a follower is told when the model fails, and what the owner.
func TestModelFails(t *testing.T) {
	const sorry = "抱歉，我这会儿想不出来，请过一会儿再问。"
	for _, c := range []struct {
		name     string
		model    string
		settings sim.ModelSettings
		want     string
		usable   bool // the answer, whose error the owner only finds beside it
		steps    string
		kind     model.Kind
	}{
		{"wrong key", "sim", sim.ModelSettings{FailNext: 9, FailStatus: 401}, sorry, false,
			"asked: openai-compatible/sim\nendpoint failed: openai-compatible/sim: config, HTTP 401", model.Config},
		{"down", "sim", sim.ModelSettings{FailNext: 9, FailStatus: 503}, sorry, false,
			"asked: openai-compatible/sim\nasked again: after unavailable, HTTP 503\nasked again: after unavailable, HTTP 503\n" +
				"endpoint failed: openai-compatible/sim: unavailable, HTTP 503", model.Unavailable},
		{"filtered", "sim", sim.ModelSettings{Trouble: sim.ModelFiltered}, sorry, false,
			"asked: openai-compatible/sim\nendpoint failed: openai-compatible/sim: filtered", model.Filtered},
		{"breaks early", "sim", sim.ModelSettings{Text: strings.Repeat("山", 200), Trouble: sim.ModelBreaks, After: 79}, sorry, false,
			"asked: openai-compatible/sim\nendpoint failed: openai-compatible/sim: cut", model.Cut},
		{"breaks late", "sim", sim.ModelSettings{Text: strings.Repeat("山", 200), Trouble: sim.ModelBreaks, After: 80}, strings.Repeat("山", 80) + brokenOff, true,
			"asked: openai-compatible/sim\nendpoint failed: openai-compatible/sim: cut\nbroke off: after 240 bytes", model.Cut},
		{"too long", "sim, max_tokens: 3", sim.ModelSettings{Text: strings.Repeat("山", 200)}, "山山山" + brokenOff, true,
			"asked: openai-compatible/sim\nbroke off: after 9 bytes", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newTalk(t, strings.ReplaceAll(plainModel, "name: sim", "name: "+c.model))
				k.set(t, c.settings)
				const question = "我的秘密是什么"
				r, err := k.tell(t, text(t, question))
				check(t, "text", r.Text, c.want)
				check(t, "steps", strings.Join(k.steps, "\n"), c.steps)
				failed, _ := errors.AsType[*model.Error](err)
				if (err == nil) != c.usable || failed != nil && failed.Kind != c.kind || (len(r.Model.Failed) == 1) != (c.kind != "") {
					t.Errorf("error %v, beside it %v", err, r.Model.Failed)
				}
				for _, all := range []string{fmt.Sprint(err), fmt.Sprint(r.Model.Failed), strings.Join(k.steps, " ")} {
					if strings.Contains(all, question) || strings.Contains(all, testKey) || strings.Contains(all, "山") || strings.Contains(all, "oA") {
						t.Errorf("too much is said: %s", all)
					}
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		k := newTalk(t, plainModel[:len(plainModel)-2]+", sorry: 换个时间吧。}\n")
		k.set(t, sim.ModelSettings{FailNext: 1, FailStatus: 402})
		r, err := k.tell(t, text(t, "?"))
		if err == nil || r.Text != "换个时间吧。" {
			t.Errorf("%+v, %v", r, err)
		}
		if r, err = k.tell(t, text(t, "再问")); err != nil || strings.Contains(k.last(), "换个时间") {
			t.Errorf("%+v, %v; asked %s", r, err, k.last())
		}
	})
}

// A process that stops keeps no half of an answer: the next one begins again.
func TestStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newTalk(t, plainModel)
		k.set(t, sim.ModelSettings{Bytes: 3000, Delay: "20s"})
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		r, err := k.work(ctx, Question{Account: 7, OpenID: "oA", Text: "?", Message: text(t, "?").Message})
		if !errors.Is(err, context.DeadlineExceeded) || len(r.Text) < leastUsable || strings.Contains(r.Text, brokenOff) {
			t.Errorf("%d bytes, %v", len(r.Text), err)
		}
	})
}

func TestExpect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newTalk(t, plainModel)
		k.set(t, sim.ModelSettings{Text: strings.Repeat("山", 100), Delay: "8s"})
		if _, known := k.Expect(time.Now(), 0); known {
			t.Error("a forecast without experience")
		}
		for range 3 {
			if _, err := k.tell(t, text(t, "?")); err != nil {
				t.Fatal(err)
			}
		}
		if ready, known := k.Expect(time.Now(), 0); !known || time.Until(ready) != 8*time.Second {
			t.Errorf("in %v, %t", time.Until(ready), known)
		}
		if ready, known := k.Expect(time.Now().Add(-5*time.Second), 150); !known || time.Until(ready).Round(100*time.Millisecond) != 3*time.Second {
			t.Errorf("with half of the text in %v, %t", time.Until(ready), known)
		}
	})
}

// An account without a model, and a guest's robot without a memory.
func TestWithout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newTalk(t, "")
		r, err := k.work(t.Context(), Question{Text: "?", Message: text(t, "?").Message})
		if err == nil || r.Text != apology {
			t.Errorf("%+v, %v", r, err)
		}
		if _, known := k.Expect(time.Now(), 0); known {
			t.Error("a forecast without a model")
		}
		check(t, "text", ask(t, k.Robot, text(t, "你好")), "echo: text Content=你好")

		p := newProvider(t)
		account := bot.Account{Model: bot.Model{Endpoints: []bot.Endpoint{{Provider: "openai-compatible", BaseURL: "http://one/v1", Name: "sim"}}}}
		if k.Robot, err = New(account, Config{Models: p.pool}); err != nil {
			t.Fatal(err)
		}
		k.provider, k.diary.said["7oA"] = p, []Exchange{{"一", "二"}}
		if _, err := k.tell(t, text(t, "你好")); err != nil || p.last() != `user "你好"` {
			t.Errorf("asked %s, %v", p.last(), err)
		}
		if r, err := k.tell(t, text(t, "新对话")); err != nil || r.Text != forgotten {
			t.Errorf("%+v, %v", r, err)
		}
		if !strings.HasPrefix(strings.Split(p.asked[0], "\n")[1], `system "你是一个微信公众号的助手，`) {
			t.Errorf("asked %s", p.asked[0])
		}
	})
}
