package sim_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/oa/sim"
)

type modelRefusal struct {
	Error struct {
		Message, Type string
		Param, Code   *string
	}
}

func (h *heard) modelRefusal(t *testing.T) modelRefusal {
	t.Helper()
	var r modelRefusal
	if err := json.Unmarshal([]byte(h.body), &r); err != nil || r.Error.Message == "" || r.Error.Type == "" {
		t.Errorf("status %d: %q is no error of OpenAI's: %v", h.status, h.body, err)
	}
	return r
}

func TestModelFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(sim.Model)
		client := servePipe(t, m)
		for _, tt := range []struct {
			status int
			code   string
		}{
			{401, "invalid_api_key"},
			{402, "insufficient_balance"},
			{429, "rate_limit_exceeded"},
			{500, "server_error"},
			{503, "server_error"},
			{418, "invalid_request"},
		} {
			if err := m.Set(sim.ModelSettings{FailNext: 2, FailStatus: tt.status, Delay: "8s"}); err != nil {
				t.Fatal(err)
			}
			for left := 1; left >= 0; left-- {
				h := askModel(t.Context(), client, chat("any", "?", left == 1))
				if r := h.modelRefusal(t); h.status != tt.status || r.Error.Code == nil || *r.Error.Code != tt.code || h.total != 0 {
					t.Errorf("%d: %s", h.status, h.body)
				}
				if after := h.header.Get("Retry-After"); (after == "2") != (tt.status == 429) {
					t.Errorf("%d: Retry-After %q", tt.status, after)
				}
				if got := m.Settings().FailNext; got != left {
					t.Errorf("%d are still to fail, want %d", got, left)
				}
			}
			if h := askModel(t.Context(), client, chat("any", "?", false)); !h.done || h.total != 8*time.Second {
				t.Errorf("after the failures: %+v", h)
			}
		}
		if h := askModel(t.Context(), client, chat("fail_status=429", "?", false)); h.status != 429 {
			t.Errorf("by the name: %d", h.status)
		}
		if err := m.Set(sim.ModelSettings{FailNext: 1}); err != nil {
			t.Fatal(err)
		}
		if h := askModel(t.Context(), client, chat("any", "?", false)); h.status != 500 {
			t.Errorf("without a status: %d", h.status)
		}
	})
}

func TestModelRefuses(t *testing.T) {
	good := func(more string) string {
		return `{"model":"any","messages":[{"role":"user","content":"你好"}]` + more + `}`
	}
	message := func(m string) string { return `{"model":"any","messages":[` + m + `]}` }
	synctest.Test(t, func(t *testing.T) {
		m := new(sim.Model)
		client := servePipe(t, m)
		refused := 0
		for _, tt := range []struct {
			body  string
			param string // "" for none; "ok" for an answer
		}{
			{good(""), "ok"},
			{good(`,"temperature":2,"top_p":0.5,"n":1,"max_tokens":100,"enable_thinking":false,"tools":[]`), "ok"},
			{message(`{"role":"assistant","content":null,"tool_calls":[{}]},{"role":"tool","tool_call_id":"1","content":"x"}`), "ok"},
			{message(`{"role":"developer","content":""},{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:,"}}]}`), "ok"},
			{"", ""},
			{"hello", ""},
			{good("") + "x", ""},
			{`{"messages":[{"role":"user","content":"x"}]}`, "model"},
			{`{"model":7,"messages":[]}`, "model"},
			{`{"model":"any"}`, "messages"},
			{`{"model":"any","messages":[]}`, "messages"},
			{`{"model":"any","messages":"x"}`, "messages"},
			{message(`{"content":"x"}`), "messages[0].role"},
			{message(`{"role":"user","content":"x"},{"role":"robot","content":"x"}`), "messages[1].role"},
			{message(`{"role":"user"}`), "messages[0].content"},
			{message(`{"role":"user","content":null}`), "messages[0].content"},
			{message(`{"role":"assistant"}`), "messages[0].content"},
			{message(`{"role":"user","content":7}`), "messages[0].content"},
			{message(`{"role":"user","content":[]}`), "messages[0].content"},
			{message(`{"role":"user","content":[{"type":"smell"}]}`), "messages[0].content[0].type"},
			{message(`{"role":"tool","content":"x"}`), "messages[0].tool_call_id"},
			{good(`,"stream_options":{"include_usage":true}`), "stream_options"},
			{good(`,"temperature":3`), "temperature"},
			{good(`,"temperature":"hot"`), "temperature"},
			{good(`,"top_p":-1`), "top_p"},
			{good(`,"n":2`), "n"},
			{good(`,"max_tokens":0`), "max_tokens"},
			{good(`,"max_completion_tokens":-1`), "max_completion_tokens"},
			{chat("any,fats", "x", false), "model"},
			{chat("delay=soon", "x", false), "model"},
			{chat("delay=-1s", "x", false), "model"},
			{chat("bytes=many", "x", false), "model"},
			{chat("trouble=none", "x", false), "model"},
			{chat("fail_next=1", "x", false), "model"},
		} {
			h := askModel(t.Context(), client, tt.body)
			if tt.param == "ok" {
				if h.status != 200 || !h.done {
					t.Errorf("%s: %d %s", tt.body, h.status, h.body)
				}
				continue
			}
			refused++
			r := h.modelRefusal(t)
			wantStatus := 400
			if r.Error.Code != nil && *r.Error.Code == "model_not_found" {
				wantStatus = 404
			}
			if param := r.Error.Param; h.status != wantStatus || (param == nil) != (tt.param == "") || param != nil && *param != tt.param {
				t.Errorf("%s: %d %s, want %q", tt.body, h.status, h.body, tt.param)
			}
		}
		if s := m.Stats(); s.Refused != refused || s.Calls != 4 {
			t.Errorf("%+v, want %d refused", s, refused)
		}
	})
}

func TestModelMaxTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := servePipe(t, set(t, sim.ModelSettings{Text: "一二三四五六七八九十", TokensPerSecond: 1}))
		for _, stream := range []bool{false, true} {
			body := strings.Replace(chat("any", "?", stream), "{", `{"max_tokens":4,"max_completion_tokens":9,`, 1)
			h := askModel(t.Context(), client, body)
			if h.said != "一二三四" || h.finish != "length" || h.tokens != 4 || h.total != 3*time.Second {
				t.Errorf("%+v", h)
			}
		}
	})
}

func TestModelPaths(t *testing.T) {
	m := new(sim.Model)
	for _, tt := range []struct {
		method, path, contentType, body string
		status                          int
	}{
		{"POST", "/v1/chat/completions", "application/json; charset=utf-8", chat("any", "?", false), 200},
		{"POST", "/chat/completions", "application/json", chat("any", "?", false), 200},
		{"POST", "/v1/chat/completions", "text/plain", chat("any", "?", false), 415},
		{"POST", "/v1/chat/completions", "application/json", strings.Repeat(" ", 8<<20+1), 413},
		{"GET", "/v1/chat/completions", "", "", 405},
		{"POST", "/v1/models", "application/json", "{}", 405},
		{"POST", "/v1/embeddings", "application/json", "{}", 404},
		{"GET", "/", "", "", 404},
	} {
		r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, strings.NewReader(tt.body))
		r.Header.Set("Content-Type", tt.contentType)
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("%s %s: %d %s, want %d", tt.method, tt.path, w.Code, w.Body, tt.status)
		}
		if h := (heard{status: w.Code, body: w.Body.String()}); w.Code != 200 {
			h.modelRefusal(t)
		}
	}
	for _, path := range []string{"/v1/models", "/models"} {
		w := httptest.NewRecorder()
		m.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", path, nil))
		var list struct {
			Object string
			Data   []struct{ ID, Object string }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || w.Code != 200 || list.Object != "list" {
			t.Fatalf("%s: %d %s, %v", path, w.Code, w.Body, err)
		}
		var ids []string
		for _, d := range list.Data {
			ids = append(ids, d.ID)
		}
		want := []string{"sim", "fast", "reasoning", "typical", "break", "stall", "empty", "content_filter", "garbage"}
		if diff := cmp.Diff(want, ids); diff != "" {
			t.Error(diff)
		}
	}
}

// Whatever comes, it is answered in OpenAI's shape, and nothing panics.
func FuzzModel(f *testing.F) {
	f.Add(chat("any", "你好", false))
	f.Add(chat("reasoning,bytes=10,after=3,break", "你好", true))
	f.Add(chat("seed=1,tokens_per_second=1e-3,max", "你好", true))
	f.Add(`{"model":"any","messages":[{"role":"user","content":[{"type":"text","text":"a"}]}],"max_tokens":1}`)
	f.Fuzz(func(t *testing.T, body string) {
		ctx, hangUp := context.WithCancel(t.Context())
		hangUp() // so that nothing takes time
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/chat/completions", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		defer func() {
			if p := recover(); p != nil {
				if err, ok := p.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
					panic(p)
				}
			}
		}()
		m := new(sim.Model)
		m.ServeHTTP(w, r)
		if h := (heard{status: w.Code, body: w.Body.String()}); h.status != http.StatusOK {
			h.modelRefusal(t)
		} else if h.body != "" {
			t.Errorf("to nobody: %q", h.body)
		}
		if s := m.Stats(); s.Running != 0 || s.Calls+s.Refused != 1 {
			t.Errorf("%+v", s)
		}
	})
}
