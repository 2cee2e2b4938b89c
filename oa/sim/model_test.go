package sim_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/wenzihq/wenzi/oa/sim"
)

// completion is what a client reads of a whole answer, or of one event.
type completion struct {
	ID, Object, Model string
	Created           int64
	Choices           []struct {
		Message, Delta struct {
			Role             string
			Content          *string
			ReasoningContent string `json:"reasoning_content"`
		}
		FinishReason *string `json:"finish_reason"`
	}
	Usage *struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
		Total      int `json:"total_tokens"`
		Details    struct {
			Reasoning int `json:"reasoning_tokens"`
		} `json:"completion_tokens_details"`
	}
}

// heard is what a client has of one request in the end.
type heard struct {
	status              int
	header              http.Header
	body                string // where the status is not 200
	thoughts, said      string
	role, finish        string
	prompt, tokens      int // of the usage
	reasoning           int
	events              int
	first, total        time.Duration // from the request to the first event, and to the end
	thoughtBeforeAnswer bool
	done                bool // [DONE], or the whole of a JSON answer
	err                 error
}

func chat(model, question string, stream bool) string {
	body, err := json.Marshal(map[string]any{
		"model": model, "stream": stream,
		"messages": []map[string]string{{"role": "system", "content": "你是雯子"}, {"role": "user", "content": question}},
	})
	if err != nil {
		panic(err)
	}
	if stream {
		return strings.TrimSuffix(string(body), "}") + `,"stream_options":{"include_usage":true}}`
	}
	return string(body)
}

// ask makes one request, of the bubble's time.
func askModel(ctx context.Context, client *http.Client, body string) (h heard) {
	start := time.Now()
	defer func() { h.total = time.Since(start) }()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://model/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		h.err = err
		return h
	}
	defer resp.Body.Close()
	h.status, h.header = resp.StatusCode, resp.Header
	if h.status != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		b, err := io.ReadAll(resp.Body)
		h.body, h.err = string(b), err
		if err == nil && h.status == http.StatusOK {
			h.first = time.Since(start)
			h.err = h.read(b)
			h.done = h.err == nil
		}
		return h
	}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		switch {
		case lines.Text() == "":
		case !ok:
			h.err = fmt.Errorf("no event: %q", lines.Text())
			return h
		case data == "[DONE]":
			h.done = true
		default:
			if h.events++; h.events == 1 {
				h.first = time.Since(start)
			}
			if h.err = h.read([]byte(data)); h.err != nil {
				return h
			}
		}
	}
	h.err = lines.Err()
	return h
}

// read takes in a whole answer or one event.
func (h *heard) read(data []byte) error {
	var c completion
	if err := json.Unmarshal(data, &c); err != nil {
		return err
	}
	if c.ID == "" || c.Created == 0 || !strings.HasPrefix(c.Object, "chat.completion") {
		return fmt.Errorf("id %q, created %d, object %q", c.ID, c.Created, c.Object)
	}
	for _, choice := range c.Choices {
		for _, part := range []struct {
			Role             string
			Content          *string
			ReasoningContent string `json:"reasoning_content"`
		}{choice.Message, choice.Delta} {
			h.role += part.Role
			h.thoughts += part.ReasoningContent
			if part.Content != nil {
				h.said += *part.Content
			}
		}
		h.thoughtBeforeAnswer = h.thoughtBeforeAnswer || h.thoughts != "" && h.said == ""
		if choice.FinishReason != nil {
			h.finish += *choice.FinishReason
		}
	}
	if c.Usage != nil {
		h.prompt, h.tokens, h.reasoning = c.Usage.Prompt, c.Usage.Completion, c.Usage.Details.Reasoning
		if c.Usage.Total != h.prompt+h.tokens {
			return fmt.Errorf("usage %+v does not add up", *c.Usage)
		}
	}
	return nil
}

// set returns a model with settings.
func set(t *testing.T, s sim.ModelSettings) *sim.Model {
	t.Helper()
	m := new(sim.Model)
	if err := m.Set(s); err != nil {
		t.Fatal(err)
	}
	return m
}

// Times are exact, by the settings and by the model's name.
func TestModelTakesItsTime(t *testing.T) {
	// Ten tokens: one character each.
	const ten = "一二三四五六七八九十"
	for _, tt := range []struct {
		settings     sim.ModelSettings
		model        string
		first, total time.Duration // of a stream
	}{
		{sim.ModelSettings{}, "any", 0, 0},
		{sim.ModelSettings{FirstToken: "500ms"}, "any", 500 * time.Millisecond, 500 * time.Millisecond},
		{sim.ModelSettings{FirstToken: "500ms", TokensPerSecond: 4}, "any", 500 * time.Millisecond, 2750 * time.Millisecond},
		{sim.ModelSettings{TokensPerSecond: 4}, "first_token=1s", time.Second, 3250 * time.Millisecond},
		{sim.ModelSettings{}, "deepseek-chat,first_token=1s,tokens_per_second=2", time.Second, 5500 * time.Millisecond},
		{sim.ModelSettings{Delay: "8s"}, "any", 2 * time.Second, 8 * time.Second},
		{sim.ModelSettings{Delay: "8s", FirstToken: "0s"}, "any", 0, 8 * time.Second},
		{sim.ModelSettings{Delay: "8s", FirstToken: "1m"}, "any", 8 * time.Second, 8 * time.Second},
		{sim.ModelSettings{Delay: "fast"}, "delay=8s", 2 * time.Second, 8 * time.Second},
		{sim.ModelSettings{Delay: "8s"}, "delay=", 0, 0},
		{sim.ModelSettings{}, "delay=24h,first_token=23h59m59s", 24*time.Hour - time.Second, 24 * time.Hour},
	} {
		tt.settings.Text = ten
		t.Run(fmt.Sprintf("%+v %s", tt.settings, tt.model), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := servePipe(t, set(t, tt.settings))
				h := askModel(t.Context(), client, chat(tt.model, "?", true))
				if h.err != nil || h.first != tt.first || h.total != tt.total || h.said != ten {
					t.Errorf("stream: first %v, total %v, %q, %v; want %v, %v", h.first, h.total, h.said, h.err, tt.first, tt.total)
				}
				h = askModel(t.Context(), client, chat(tt.model, "?", false))
				if h.err != nil || h.total != tt.total || h.said != ten {
					t.Errorf("whole: total %v, %q, %v; want %v", h.total, h.said, h.err, tt.total)
				}
			})
		})
	}
}

// A thousand at once take the times of the distribution, and the same ones in
// every run with the same seed.
func TestModelDistributions(t *testing.T) {
	const many, few = 1000, 50
	run := func(t *testing.T, calls int, settings sim.ModelSettings, model string) []time.Duration {
		totals := make([]time.Duration, calls)
		synctest.Test(t, func(t *testing.T) {
			m := set(t, settings)
			client := servePipe(t, m)
			var wg sync.WaitGroup
			for i := range calls {
				wg.Go(func() {
					h := askModel(t.Context(), client, chat(model, "question "+strconv.Itoa(i), false))
					if h.err != nil || !h.done {
						t.Errorf("call %d: %+v", i, h)
					}
					totals[i] = h.total
				})
			}
			wg.Wait()
			if s := m.Stats(); s.Calls != calls || s.MostRunning != calls || len(s.Questions) != calls {
				t.Errorf("%d calls, %d at once, %d questions", s.Calls, s.MostRunning, len(s.Questions))
			}
		})
		return totals
	}
	for _, tt := range []struct {
		name        string
		median, p95 time.Duration
	}{
		{"fast", 3 * time.Second, 8 * time.Second},
		{"typical", 6 * time.Second, 20 * time.Second},
		{"reasoning", 18 * time.Second, 60 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			totals := run(t, many, sim.ModelSettings{Seed: 7}, tt.name)
			if !slices.Equal(totals[:few], run(t, few, sim.ModelSettings{Seed: 7, Delay: tt.name}, "any")) {
				t.Error("two runs with one seed differ")
			}
			if slices.Equal(totals[:few], run(t, few, sim.ModelSettings{Seed: 8}, tt.name)) {
				t.Error("another seed changes nothing")
			}
			slices.Sort(totals)
			for _, q := range []struct {
				got, want time.Duration
			}{{totals[many/2], tt.median}, {totals[many*95/100], tt.p95}} {
				if ratio := float64(q.got) / float64(q.want); ratio < 0.85 || ratio > 1.15 {
					t.Errorf("%v, want about %v", q.got, q.want)
				}
			}
		})
	}
}

// The nth call with a question takes another time than the first, but the same
// in every run.
func TestModelRepeats(t *testing.T) {
	run := func() (totals []time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			client := servePipe(t, new(sim.Model))
			for range 5 {
				totals = append(totals, askModel(t.Context(), client, chat("typical", "again", false)).total)
			}
		})
		return totals
	}
	first, second := run(), run()
	if !slices.Equal(first, second) {
		t.Errorf("%v, then %v", first, second)
	}
	slices.Sort(first)
	if n := len(slices.Compact(first)); n != 5 {
		t.Errorf("%d different times of 5", n)
	}
}

func TestModelReasoning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := servePipe(t, new(sim.Model))
		whole := askModel(t.Context(), client, chat("reasoning", "为什么？", false))
		stream := askModel(t.Context(), client, chat("reasoning", "为什么？", true))
		for _, h := range []heard{whole, stream} {
			if h.err != nil || h.thoughts == "" || !strings.Contains(h.said, "为什么？") || h.finish != "stop" || h.role != "assistant" {
				t.Errorf("%+v", h)
			}
			if h.reasoning != h.tokens*2/3 || h.reasoning != utf8.RuneCountInString(h.thoughts) {
				t.Errorf("%d of %d tokens are reasoning", h.reasoning, h.tokens)
			}
		}
		if !stream.thoughtBeforeAnswer {
			t.Error("the answer came before the reasoning")
		}
		if whole.thoughts != stream.thoughts || whole.said != stream.said {
			t.Error("a stream says something else")
		}
	})
}

func TestModelAnswers(t *testing.T) {
	const most = 1 << 20
	long := strings.Repeat("很长的问题", 200)
	for _, tt := range []struct {
		settings        sim.ModelSettings
		model, question string
		want            func(string) bool
	}{
		{sim.ModelSettings{}, "any", "你好", func(s string) bool { return strings.Contains(s, "“你好”") && strings.Count(s, "。") >= 2 }},
		{sim.ModelSettings{}, "any", long, func(s string) bool { return strings.Contains(s, "很长的问题…”") && len(s) < 1000 }},
		{sim.ModelSettings{Text: "固定"}, "any", "你好", func(s string) bool { return s == "固定" }},
		{sim.ModelSettings{Bytes: 3}, "text=短", "你好", func(s string) bool { return s == "短" }},
		{sim.ModelSettings{Text: "固定"}, "bytes=1", "你好", func(s string) bool { return s == "#" }},
		{sim.ModelSettings{Bytes: 6000}, "any", "你好", func(s string) bool {
			return len(s) == 6000 && utf8.ValidString(s) && strings.Contains(s, "## 第 5 节") && strings.Contains(s, "```go")
		}},
		{sim.ModelSettings{Bytes: most}, "any", "你好", func(s string) bool { return len(s) == most && utf8.ValidString(s) }},
	} {
		synctest.Test(t, func(t *testing.T) {
			client := servePipe(t, set(t, tt.settings))
			for _, stream := range []bool{false, true} {
				if stream && tt.settings.Bytes == most {
					continue // a quarter million events
				}
				h := askModel(t.Context(), client, chat(tt.model, tt.question, stream))
				if h.err != nil || !h.done || h.finish != "stop" || h.role != "assistant" || !tt.want(h.said) {
					t.Errorf("%+v %s stream %v: finish %q, done %v, %v, %.200q", tt.settings, tt.model, stream, h.finish, h.done, h.err, h.said)
				}
				if h.prompt != 4+utf8.RuneCountInString(tt.question) || h.tokens == 0 || stream && h.tokens != h.events-2 {
					t.Errorf("%s stream %v: %d prompt tokens, %d tokens in %d events", tt.model, stream, h.prompt, h.tokens, h.events)
				}
			}
		})
	}
}

// The tokens of a text that is not UTF-8 do not stop the model.
func TestModelTextIsNotUTF8(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := askModel(t.Context(), servePipe(t, set(t, sim.ModelSettings{Text: "\x80\x80\x80\x80\x80\xff好"})), chat("any", "?", true))
		if h.err != nil || !strings.HasSuffix(h.said, "好") {
			t.Errorf("%+v", h)
		}
	})
}

func TestModelTroubles(t *testing.T) {
	const ten = "一二三四五六七八九十"
	for _, tt := range []struct {
		trouble string
		stream  bool
		said    string
		finish  string
		total   time.Duration
		broken  bool
	}{
		{"break", false, "", "", 2 * time.Second, true},
		{"break", true, "", "", 2 * time.Second, true},
		{"break,after=3", false, "", "", 5 * time.Second, true},
		{"break,after=3", true, "一二三", "", 5 * time.Second, true},
		{"break,after=99", true, ten, "", 11 * time.Second, true},
		{"stall", false, "", "", time.Minute, true},
		{"stall", true, "", "", time.Minute, true},
		{"stall,after=3", true, "一二三", "", time.Minute, true},
		{"empty", false, "", "stop", 2 * time.Second, false},
		{"empty", true, "", "stop", 2 * time.Second, false},
		{"content_filter", false, "", "content_filter", 2 * time.Second, false},
		{"content_filter", true, "", "content_filter", 2 * time.Second, false},
		{"garbage", false, "", "", 11 * time.Second, true},
		{"garbage", true, ten, "", 11 * time.Second, true},
	} {
		t.Run(fmt.Sprint(tt.trouble, " stream ", tt.stream), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := set(t, sim.ModelSettings{Text: ten, FirstToken: "2s", TokensPerSecond: 1})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				h := askModel(ctx, servePipe(t, m), chat(tt.trouble, "?", tt.stream))
				if h.said != tt.said || h.finish != tt.finish || h.total != tt.total || h.done == tt.broken || (h.err != nil) != tt.broken {
					t.Errorf("%+v", h)
				}
				if !tt.broken && (h.role != "assistant" || h.tokens != 0) {
					t.Errorf("role %q, %d tokens", h.role, h.tokens)
				}
				synctest.Wait()
				if s := m.Stats(); s.Calls != 1 || s.Running != 0 {
					t.Errorf("stats %+v", s)
				}
			})
		})
	}
}

// Nobody is left waiting who hangs up, at whatever point.
func TestModelHangUp(t *testing.T) {
	for _, patience := range []time.Duration{time.Second, 3 * time.Second, 5 * time.Second} {
		for _, stream := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				m := set(t, sim.ModelSettings{Delay: "8s"})
				client := servePipe(t, m)
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				h := askModel(ctx, client, chat("any", "?", stream))
				if !errors.Is(h.err, context.DeadlineExceeded) || h.total != patience {
					t.Errorf("%v after %v", h.err, h.total)
				}
				synctest.Wait()
				if s := m.Stats(); s.Running != 0 || s.MostRunning != 1 {
					t.Errorf("stats %+v", s)
				}
			})
		}
	}
}

func TestModelCountsQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(sim.Model)
		client := servePipe(t, m)
		for range 2 {
			askModel(t.Context(), client, chat("any", "secret", false))
		}
		askModel(t.Context(), client, `{"model":"any","messages":[{"role":"user","content":"secret"},{"role":"assistant","content":"x"},{"role":"user","content":"other"},{"role":"assistant","content":"y"}]}`)
		s := m.Stats()
		if s.Asked("secret") != 2 || s.Asked("other") != 1 || s.Asked("never") != 0 || s.Calls != 3 {
			t.Errorf("%+v", s)
		}
		b, err := json.Marshal(s)
		if err != nil || strings.Contains(string(b), "secret") {
			t.Errorf("%s, %v", b, err)
		}
		clear(s.Questions)
		if s := m.Stats(); s.Asked("secret") != 2 {
			t.Error("the stats are not a copy")
		}
	})
}

func TestModelSettings(t *testing.T) {
	m := new(sim.Model)
	want := sim.ModelSettings{Delay: "typical", FirstToken: "1s", TokensPerSecond: 40, Seed: 7, Text: "x", Bytes: 9,
		FailNext: 1, FailStatus: 503, Trouble: sim.ModelStalls, After: 12}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	const asJSON = `{"delay":"typical","first_token":"1s","tokens_per_second":40,"seed":7,"text":"x","bytes":9,"fail_next":1,"fail_status":503,"trouble":"stall","after":12}`
	if string(b) != asJSON {
		t.Errorf("%s", b)
	}
	if err := m.Set(want); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		wrong sim.ModelSettings
		want  string
	}{
		{sim.ModelSettings{Delay: "soon"}, "fast, reasoning, typical"},
		{sim.ModelSettings{Delay: "25h"}, "delay"},
		{sim.ModelSettings{FirstToken: "-1s"}, "first_token"},
		{sim.ModelSettings{TokensPerSecond: -1}, "tokens_per_second"},
		{sim.ModelSettings{TokensPerSecond: 1e-9}, "tokens_per_second"},
		{sim.ModelSettings{TokensPerSecond: 1e9}, "tokens_per_second"},
		{sim.ModelSettings{Bytes: -1}, "1048576"},
		{sim.ModelSettings{Bytes: 1<<20 + 1}, "1048576"},
		{sim.ModelSettings{Text: strings.Repeat("x", 1<<20+1)}, "1048576"},
		{sim.ModelSettings{FailNext: -1}, "fail_next"},
		{sim.ModelSettings{After: -1}, "after"},
		{sim.ModelSettings{FailStatus: 200}, "fail_status"},
		{sim.ModelSettings{Trouble: "sleepy"}, "sleepy"},
	} {
		if err := m.Set(tt.wrong); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v", tt.want, err)
		}
	}
	if got := m.Settings(); got != want {
		t.Errorf("wrong settings were taken: %+v", got)
	}
}

func ExampleModel() {
	var model sim.Model
	if err := model.Set(sim.ModelSettings{Text: "广州今天晴，28 度。"}); err != nil {
		panic(err)
	}
	server := httptest.NewServer(&model)
	defer server.Close()

	// Any client of OpenAI's API, with server.URL + "/v1" as its base URL.
	response, err := http.Post(server.URL+"/v1/chat/completions", "application/json", strings.NewReader(
		`{"model": "deepseek-chat,first_token=10ms", "messages": [{"role": "user", "content": "天气？"}]}`))
	if err != nil {
		panic(err)
	}
	defer response.Body.Close()
	var answer struct {
		Choices []struct{ Message struct{ Content string } }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		panic(err)
	}
	stats := model.Stats()
	fmt.Println(answer.Choices[0].Message.Content, stats.Asked("天气？"))
	// Output: 广州今天晴，28 度。 1
}
