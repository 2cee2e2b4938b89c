package model

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/internal/bot"
)

func TestAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProvider(t, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(2 * time.Second)
			send(w, ": keep-alive\n\n")
			send(w, event("你好"))
			time.Sleep(3 * time.Second)
			says("，雯子。")(w, r)
		})
		m := modelAt("one", "two")
		m.Endpoints[0].Temperature = new(0.0)
		m.Endpoints[0].MaxTokens = 1500
		m.Endpoints[0].Extra = map[string]json.RawMessage{
			"stream_options": json.RawMessage(`null`), "thinking": json.RawMessage(`{"type":"disabled"}`), "user": json.RawMessage(`null`),
		}
		got, progress, err := p.ask(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		want := Result{
			Text: "你好，雯子。", FinishReason: "stop", Usage: Usage{Prompt: 7, Completion: 3},
			FirstText: 2 * time.Second, Total: 5 * time.Second,
			Provider: "openai-compatible", Name: "m-one", Attempts: 1,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if want := "你好|你好，雯子。"; progress != want {
			t.Errorf("onText got %q, want %q", progress, want)
		}
		a := p.asked[0]
		if a.path != "/v1/chat/completions" || a.header.Get("Authorization") != "Bearer "+testKey || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s, %v", a.path, a.header)
		}
		wantBody := map[string]json.RawMessage{
			"model":       json.RawMessage(`"m-one"`),
			"messages":    json.RawMessage(`[{"role":"system","content":"be short"},{"role":"user","content":"` + testPrompt + `"}]`),
			"stream":      json.RawMessage(`true`),
			"temperature": json.RawMessage(`0`),
			"max_tokens":  json.RawMessage(`1500`),
			"thinking":    json.RawMessage(`{"type":"disabled"}`),
		}
		if diff := cmp.Diff(wantBody, a.body); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// The same over TCP, with the transport of the program.
func TestAskOverTCP(t *testing.T) {
	server := httptest.NewServer(says("一", "二"))
	defer server.Close()
	pool := New(nil)
	defer pool.Close()
	m := bot.Model{Endpoints: []bot.Endpoint{
		{Provider: "openai-compatible", BaseURL: "http://127.0.0.1:1", Name: "closed"},
		{Provider: "openai-compatible", BaseURL: server.URL, Name: "open"},
	}}
	r, err := pool.Ask(t.Context(), Request{Model: m, Messages: []Message{{Role: User, Text: "?"}}}, func(string) {})
	if err != nil || r.Text != "一二" || r.Endpoint != 1 || r.Attempts != 1+maxAttempts {
		t.Fatalf("%+v, %v", r, err)
	}
	const want = "模型 openai-compatible/closed：对方没有开着这个端口，请检查 base_url（model openai-compatible/closed: the connection was refused; check base_url）"
	if len(r.Failed) != 1 || r.Failed[0].Error() != want {
		t.Errorf("%v; want %s", r.Failed, want)
	}
}

func TestImages(t *testing.T) {
	messages := []Message{
		{Role: User, Text: "这是什么", Images: []Image{{URL: "https://example.com/a.jpg"}, {Data: []byte("jpg"), Type: "image/jpeg"}}},
		{Role: User, Images: []Image{{URL: "https://example.com/b.jpg"}}},
	}
	for vision, want := range map[bool]string{
		true: `[{"role":"user","content":[{"text":"这是什么","type":"text"},{"image_url":{"url":"https://example.com/a.jpg"},"type":"image_url"},` +
			`{"image_url":{"url":"data:image/jpeg;base64,anBn"},"type":"image_url"}]},` +
			`{"role":"user","content":[{"image_url":{"url":"https://example.com/b.jpg"},"type":"image_url"}]}]`,
		false: `[{"role":"user","content":"这是什么"},{"role":"user","content":"[图片]"}]`,
	} {
		body, err := encode(bot.Endpoint{Vision: vision}, messages)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(body, &fields); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(fields["messages"])); diff != "" {
			t.Errorf("vision %t (-want +got):\n%s", vision, diff)
		}
	}
}

// What goes wrong, of what kind it is and what an owner reads.
func TestErrors(t *testing.T) {
	const (
		again = maxAttempts
		once  = 1
	)
	echo := `{"error":{"message":"` + testPrompt + ` ` + testKey + `","code":"` + testKey + `","type":"my-secret-question"}}`
	tests := []struct {
		name     string
		reply    http.HandlerFunc
		kind     Kind
		attempts int
		words    string // part of the error
	}{
		{"wrong key", refuses(401, `{"error":{"code":"invalid_api_key"}}`), Config, once, "key 不对或者已经失效，请检查 key [HTTP 401, invalid_api_key]（model openai-compatible/m-one: the key is wrong or no longer valid; check key [HTTP 401, invalid_api_key]）"},
		{"no credit", refuses(402, `{"error":{"message":"Insufficient Balance"}}`), Config, once, "余额不足"},
		{"no credit as 429", refuses(429, `{"error":{"code":1113}}`), Config, once, "余额不足"},
		{"no credit as 429 by type", refuses(429, `{"error":{"type":"exceeded_current_quota_error","code":null}}`), Config, once, "余额不足"},
		{"no credit as 400", refuses(400, `{"code":"Arrearage","message":"x"}`), Config, once, "余额不足"},
		{"forbidden", refuses(403, ""), Config, once, "不能用这个模型"},
		{"unknown model", refuses(404, `{"error":"model not found"}`), Config, once, "check name and base_url"},
		{"unknown model as 400", refuses(400, `{"error":{"code":"1211"}}`), Config, once, "没有这个模型"},
		{"bad request", refuses(400, `{"error":{"code":"invalid_parameter_error"}}`), Config, once, "extra [HTTP 400, invalid_parameter_error]"},
		{"an echo", refuses(400, echo), Config, once, "[HTTP 400]"},
		{"an echo in a stream", sends("data: " + echo + "\n\n"), Unavailable, again, "服务商出错 [HTTP 200]"},
		{"an echo with more around it", refuses(401, `{"error":{"code":"bad_`+testKey+`"}}`), Config, once, "[HTTP 401]"},
		{"no body", refuses(422, ""), Config, once, "[HTTP 422]"},
		{"a code behind too much", refuses(400, `{"error":{"message":"`+strings.Repeat("x", maxErrorBody)+`","code":"late_code"}}`), Config, once, "[HTTP 400]"},
		{"redirect", refuses(307, "", "Location", "https://evil.example.com/"+testKey), Config, once, "转到了别处"},
		{"too many", refuses(429, `{"error":{"code":"rate_limit_exceeded"}}`), Busy, again, "请求太多"},
		{"fails", refuses(500, "<html>"+testPrompt), Unavailable, again, "服务商出错 [HTTP 500]"},
		{"overloaded", refuses(529, ""), Unavailable, again, "服务商出错 [HTTP 529]"},
		{"breaks at once", breaks(), Unavailable, again, "断了"},
		{"breaks while thinking", breaks(`data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}` + "\n\n"), Unavailable, again, "没有答完"},
		{"ends without an answer", sends(": hello\n\n"), Unavailable, again, "没有答完"},
		{"says nothing", sends(""), Unavailable, again, "没有答完"},
		{"gives up", sends(`data: {"choices":[{"delta":{},"finish_reason":"insufficient_system_resource"}]}` + "\n\n"), Unavailable, again, "没有答完"},
		{"garbled", sends("data: {]" + testPrompt + "\n\n"), Unavailable, again, "看不懂"},
		{"garbled JSON", sends(`{"choices": ` + testPrompt + `}`), Unavailable, again, "看不懂"},
		{"JSON that ends early", sends(`{"choices": [`), Unavailable, again, "没有答完"},
		{"a web page", sends("<!DOCTYPE html>" + testPrompt), Config, once, "不是聊天接口"},
		{"an endless line", sends("data: " + strings.Repeat("x", maxLine+1)), Unavailable, once, "一行太长"},
		{"endless JSON", sends(`{"x": "` + strings.Repeat("x", maxLine+1)), Unavailable, once, "一行太长"},
		{"empty", says(" ", "\n"), Unavailable, once, "回答是空的"},
		{"an object of something else", sends(`{"hello":"world"}`), Unavailable, once, "回答是空的"},
		{"thinking only", sends(`data: {"choices":[{"delta":{"reasoning_content":"hm"},"finish_reason":"length"}]}` + "\n\n"), Config, once, "max_tokens"},
		{"filtered", sends(event("半句话"), `data: {"choices":[{"delta":{},"finish_reason":"content_filter"}]}`+"\n\n"), Filtered, once, "审核"},
		{"filtered question", refuses(400, `{"error":{"code":"data_inspection_failed"}}`), Filtered, once, "审核"},
		{"filtered with a level", refuses(400, `{"error":{"code":"SensitiveContentDetected.SevereViolation"}}`), Filtered, once, "审核"},
		{"filtered by message", refuses(400, `{"error":{"message":"Content Exists Risk","code":"invalid_request_error"}}`), Filtered, once, "审核"},
		{"filtered in a stream", sends(event("半句话"), `data: {"error":{"code":"1301"}}`+"\n\n"), Filtered, once, "审核"},
		{"error event", sends("event: error\ndata: {\"code\":\"InternalError\",\"message\":\"x\"}\n\n"), Unavailable, again, "服务商出错 [HTTP 200, InternalError]"},
		{"cut", breaks(event("半句话")), Cut, once, "回答到一半停了：没有答完"},
		{"cut without breaking", sends(event("半句话")), Cut, once, "回答到一半停了"},
		{"cut by an error", sends(event("半句话"), "data: {\"error\":{\"code\":\"server_error\"}}\n\n"), Cut, once, "回答到一半停了：服务商出错 [HTTP 200, server_error]"},
		{"cut by nonsense", sends(event("半句话"), "data: "+testKey+"\n\n"), Cut, once, "回答到一半停了：回答看不懂"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProvider(t, test.reply)
				r, _, err := p.ask(t.Context(), modelAt("one"))
				failed, ok := errors.AsType[*Error](err)
				if !ok {
					t.Fatalf("%+v, %v", r, err)
				}
				if failed.Kind != test.kind || r.Attempts != test.attempts || len(p.asked) != test.attempts || !strings.Contains(err.Error(), test.words) {
					t.Errorf("%s, %d attempts: %v", failed.Kind, r.Attempts, err)
				}
				if want := "半句话"; (test.kind == Cut) && r.Text != want {
					t.Errorf("the text so far is %q, want %q", r.Text, want)
				}
				for _, secret := range []string{testKey, "secret", "秘密", "半句话", "be short"} {
					if shown := fmt.Sprintf("%v %+v %v", err, failed, r.Failed); strings.Contains(shown, secret) {
						t.Errorf("%s is shown: %s", secret, shown)
					}
				}
			})
		})
	}
}

// Which failures lead to a backup, and what is said of them then.
func TestBackups(t *testing.T) {
	tests := []struct {
		name    string
		replies []http.HandlerFunc
		hosts   string
		kinds   []Kind // of Result.Failed
	}{
		{"at once", []http.HandlerFunc{says("好")}, "one", nil},
		{"after a while", []http.HandlerFunc{refuses(500, ""), refuses(503, ""), says("好")}, "one one one", nil},
		{"a wrong key", []http.HandlerFunc{refuses(401, ""), says("好")}, "one two", []Kind{Config}},
		{"down", []http.HandlerFunc{refuses(500, ""), refuses(500, ""), refuses(500, ""), refuses(404, ""), says("好")}, "one one one two three", []Kind{Unavailable, Config}},
		{"told to come back much later", []http.HandlerFunc{refuses(429, "", "Retry-After", "60"), says("好")}, "one two", []Kind{Busy}},
		{"empty", []http.HandlerFunc{says(""), says("好")}, "one two", []Kind{Unavailable}},
		{"stalls", []http.HandlerFunc{stalls(), says("好")}, "one two", []Kind{Unavailable}},
		{"filtered", []http.HandlerFunc{refuses(400, `{"error":{"code":"content_filter"}}`), says("好")}, "one", []Kind{Filtered}},
		{"cut", []http.HandlerFunc{breaks(event("一")), says("好")}, "one", []Kind{Cut}},
		{"all of them", []http.HandlerFunc{refuses(401, ""), refuses(402, ""), refuses(403, "")}, "one two three", []Kind{Config, Config, Config}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProvider(t, test.replies...)
				r, _, err := p.ask(t.Context(), modelAt("one", "two", "three"))
				if got := p.hosts(); got != test.hosts {
					t.Errorf("asked %s, want %s", got, test.hosts)
				}
				var kinds []Kind
				for i, failed := range r.Failed {
					kinds = append(kinds, failed.Kind)
					if failed.Endpoint != i {
						t.Errorf("%v is said of endpoint %d", failed, failed.Endpoint)
					}
				}
				if diff := cmp.Diff(test.kinds, kinds); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if (err == nil) != (r.Text == "好") || err != nil && !errors.Is(err, r.Failed[len(r.Failed)-1]) {
					t.Errorf("%q, %v", r.Text, err)
				}
			})
		})
	}
}

// The steps say who was asked and what came of it, and nothing else.
func TestSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		echo := `{"error":{"message":"` + testPrompt + ` ` + testKey + `","code":"` + testKey + `"}}`
		p := newProvider(t, refuses(429, echo), refuses(429, echo), refuses(401, echo), says("好"))
		m := modelAt("one", "two")
		m.Endpoints[1].Concurrency = 1
		gate := gateKey{m.Endpoints[1].BaseURL, testKey}
		if err := p.pool.enter(t.Context(), gate, 1, "b", "g"); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(5*time.Second, func() { p.pool.leave(gate) })
		var steps []string
		r := Request{Account: "a", Follower: "f", Model: m, Messages: []Message{{Role: User, Text: testPrompt}},
			Step: func(what, detail string) { steps = append(steps, what+": "+detail) }}
		got, err := p.pool.Ask(t.Context(), r, func(string) {})
		if err != nil || got.Text != "好" {
			t.Fatalf("%+v, %v", got, err)
		}
		want := []string{
			"asked: openai-compatible/m-one",
			"asked again: after busy, HTTP 429",
			"asked again: after busy, HTTP 429",
			"endpoint failed: openai-compatible/m-one: config, HTTP 401",
			fmt.Sprintf("queued: %.1f s", got.Queued.Seconds()),
			"asked: openai-compatible/m-two",
		}
		if diff := cmp.Diff(want, steps); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// Nothing of an attempt that broke is left in the next.
func TestAttemptsBeginAfresh(t *testing.T) {
	for _, broken := range []string{event("<think>嗯"), part("reasoning_content", "嗯嗯"), event("<th")} {
		synctest.Test(t, func(t *testing.T) {
			p := newProvider(t, breaks(broken), says("好"))
			r, _, err := p.ask(t.Context(), modelAt("one"))
			if err != nil || r.Text != "好" || r.Usage != (Usage{Prompt: 7, Completion: 3}) {
				t.Errorf("after %q: %+v, %v", broken, r, err)
			}
		})
	}
}

func TestUnknownHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProvider(t, says("好"))
		r, _, err := p.ask(t.Context(), modelAt("nowhere", "two"))
		if err != nil || r.Text != "好" || !strings.Contains(r.Failed[0].Error(), "找不到这个主机") {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestNoModel(t *testing.T) {
	_, err := New(nil).Ask(t.Context(), Request{}, func(string) {})
	if failed, ok := errors.AsType[*Error](err); !ok || failed.Kind != Config {
		t.Errorf("%v", err)
	}
}

// How long is waited before an attempt is repeated.
func TestRetryAfter(t *testing.T) {
	tests := []struct {
		header      string // the fake clock begins with the year 2000
		least, most time.Duration
	}{
		{"3", 3 * time.Second, 3 * time.Second},
		{"1.5", 1500 * time.Millisecond, 1500 * time.Millisecond},
		{"Sat, 01 Jan 2000 00:00:05 GMT", 5 * time.Second, 5 * time.Second},
		{"Fri, 31 Dec 1999 23:59:59 GMT", firstBackoff / 2, firstBackoff},
		{"", firstBackoff / 2, firstBackoff},
		{"-1", firstBackoff / 2, firstBackoff},
		{"soon", firstBackoff / 2, firstBackoff},
		{"NaN", firstBackoff / 2, firstBackoff},
	}
	for _, test := range tests {
		synctest.Test(t, func(t *testing.T) {
			p := newProvider(t, refuses(429, "", "Retry-After", test.header), says("好"))
			r, _, err := p.ask(t.Context(), modelAt("one"))
			if err != nil || r.Total < test.least || r.Total > test.most {
				t.Errorf("Retry-After %s: %v after %v, want %v to %v", test.header, err, r.Total, test.least, test.most)
			}
		})
	}
}

// Nothing is begun that the deadline would end.
func TestDeadline(t *testing.T) {
	tests := []struct {
		name     string
		reply    http.HandlerFunc
		first    time.Duration // limits of the endpoint
		total    time.Duration
		deadline time.Duration
		kind     Kind
		ends     time.Duration
		isCtx    bool
		text     string
		words    string
	}{
		{"no wait beyond the deadline", refuses(429, "", "Retry-After", "9"), 30, 60, 8, Busy, 0, false, "", "请求太多"},
		{"nothing comes", stalls(), 30, 60, 8, Unavailable, 8, true, "", "到了时限"},
		{"the rest does not come", stalls(event("一")), 30, 60, 8, Cut, 8, true, "一", "到了时限"},
		{"no first token", stalls(": keep-alive\n\n"), 5, 60, 90, Unavailable, 5, false, "", "first_token"},
		{"the first token was a thought", stalls(`data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}` + "\n\n"), 5, 60, 90, Unavailable, 60, false, "", "timeout"},
		{"too slow", stalls(event("一"), event("二")), 5, 60, 90, Cut, 60, false, "一二", "timeout"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProvider(t, test.reply)
				m := modelAt("one")
				m.Endpoints[0].FirstToken, m.Endpoints[0].Timeout = test.first*time.Second, test.total*time.Second
				ctx, cancel := context.WithTimeout(t.Context(), test.deadline*time.Second)
				defer cancel()
				r, _, err := p.ask(ctx, m)
				failed, ok := errors.AsType[*Error](err)
				if !ok || failed.Kind != test.kind || r.Total != test.ends*time.Second || r.Text != test.text || !strings.Contains(err.Error(), test.words) {
					t.Errorf("%v after %v: %+v", err, r.Total, r)
				}
				if errors.Is(err, context.DeadlineExceeded) != test.isCtx {
					t.Errorf("errors.Is(%v, DeadlineExceeded) is not %t", err, test.isCtx)
				}
			})
		})
	}
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProvider(t, stalls(event("一")))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		r, _, err := p.ask(ctx, modelAt("one", "two"))
		if !errors.Is(err, context.Canceled) || r.Text != "一" || p.hosts() != "one" {
			t.Errorf("%q of %s, %v", r.Text, p.hosts(), err)
		}
	})
}

// A finished answer does not wait for a count of tokens that does not come.
func TestCountDoesNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProvider(t, stalls(event("好"), `data: {"choices":[{"delta":{},"finish_reason":"stop"}]}`+"\n\n"))
		r, _, err := p.ask(t.Context(), modelAt("one"))
		if err != nil || r.Text != "好" || r.Total != usagePatience || !r.Usage.Estimated {
			t.Errorf("%+v, %v", r, err)
		}
	})
}
