package bot

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func model() *rapid.Generator[Model] {
	number := rapid.SampledFrom([]string{"0", "-1", "0.5", "1e3", "1E-7", "12345678901234567890", "1e999"})
	scalar := rapid.OneOf(
		rapid.Map(number, func(s string) any { return json.RawMessage(s) }),
		rapid.Map(rapid.OneOf(text(), rapid.SampledFrom([]string{"", "\n", "5", "null", "true", "1e3", "<b>"})), func(s string) any { return s }),
		rapid.Just(any(nil)), rapid.Just(any(true)), rapid.Just(any(false)),
	)
	name := rapid.StringMatching(`[A-Za-z_<~5-]{1,8}`)
	list := rapid.Map(rapid.SliceOfN(scalar, 0, 3), func(v []any) any { return v })
	mapping := rapid.Map(rapid.MapOfN(name, rapid.OneOf(scalar, list), 0, 3), func(v map[string]any) any { return v })
	field := rapid.Map(rapid.OneOf(scalar, list, mapping), func(v any) json.RawMessage {
		text, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return text
	})
	extra := rapid.MapOfN(rapid.Map(name, func(s string) string { return "x" + s }), field, 1, 4)
	seconds := rapid.Map(rapid.Int64Range(int64(minTimeout), int64(maxTimeout)), func(n int64) time.Duration { return time.Duration(n) })
	endpoint := rapid.Custom(func(t *rapid.T) Endpoint {
		e := Endpoint{
			Provider:    rapid.SampledFrom(providers()).Draw(t, "provider"),
			BaseURL:     rapid.SampledFrom([]string{"https://a.example.com/v1", "http://127.0.0.1:8000", "https://b.example.com/"}).Draw(t, "base_url"),
			Key:         Secret(rapid.StringMatching(`[!-~]{1,20}`).Filter(func(s string) bool { return !strings.Contains(s, "${") && s != Mask }).Draw(t, "key")),
			Name:        rapid.StringMatching(`[A-Za-z0-9:/.'#-]{0,20}x`).Draw(t, "name"),
			MaxTokens:   rapid.IntRange(0, maxTokens).Draw(t, "max_tokens"),
			Concurrency: rapid.IntRange(0, maxConcurrency).Draw(t, "concurrency"),
			Vision:      rapid.Bool().Draw(t, "vision"),
		}
		if rapid.Bool().Draw(t, "timed") {
			e.FirstToken = seconds.Draw(t, "first_token")
			e.Timeout = max(e.FirstToken, seconds.Draw(t, "timeout"))
		}
		if rapid.Bool().Draw(t, "tempered") {
			e.Temperature = new(rapid.Float64Range(0, 2).Draw(t, "temperature"))
		}
		if rapid.Bool().Draw(t, "more") {
			e.Extra = extra.Draw(t, "extra")
		}
		return e
	})
	return rapid.Custom(func(t *rapid.T) Model {
		m := Model{
			Endpoints: rapid.SliceOfN(endpoint, 1, 1+maxBackups).Draw(t, "endpoints"),
			System:    rapid.OneOf(rapid.Just(""), text()).Draw(t, "system"),
			Sorry:     rapid.OneOf(rapid.Just(""), text()).Draw(t, "sorry"),
		}
		if rapid.Bool().Draw(t, "remembers") {
			m.MemoryTokens = new(rapid.IntRange(0, maxTokens).Draw(t, "memory_tokens"))
		}
		return m
	})
}

func TestModelWithDefaults(t *testing.T) {
	short := Model{Endpoints: []Endpoint{
		{Provider: "qwen", Key: "k"},
		{Provider: "kimi", Name: "kimi-k3", Timeout: 10 * time.Second, Extra: map[string]json.RawMessage{
			"thinking": json.RawMessage(`null`), "top_p": json.RawMessage(`1`),
		}},
		{Provider: compatible, BaseURL: "https://llm.example.com/v1/", Name: "m", FirstToken: 5 * time.Second, Concurrency: 1},
	}}
	want := Model{
		Endpoints: []Endpoint{
			{
				Provider: "qwen", BaseURL: "https://dashscope.aliyuncs.com/compatible-mode/v1", Key: "k", Name: "qwen-plus",
				Timeout: time.Minute, FirstToken: 30 * time.Second, Concurrency: 8,
				Extra: map[string]json.RawMessage{"enable_thinking": json.RawMessage(`false`)},
			},
			{
				Provider: "kimi", BaseURL: "https://api.moonshot.cn/v1", Name: "kimi-k3", Timeout: 10 * time.Second, FirstToken: 10 * time.Second, Concurrency: 8,
				Extra: map[string]json.RawMessage{"thinking": json.RawMessage(`null`), "top_p": json.RawMessage(`1`)},
			},
			{
				Provider: compatible, BaseURL: "https://llm.example.com/v1", Name: "m",
				Timeout: time.Minute, FirstToken: 5 * time.Second, Concurrency: 1, Extra: map[string]json.RawMessage{},
			},
		},
		MemoryTokens: new(4000),
		Sorry:        "抱歉，我这会儿想不出来，请过一会儿再问。",
	}
	got := short.WithDefaults()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(got, got.WithDefaults()); diff != "" {
		t.Errorf("a second time (-once +twice):\n%s", diff)
	}
	if string(thinkingDisabled["thinking"]) != `{"type":"disabled"}` || short.Endpoints[0].BaseURL != "" {
		t.Error("the presets or the model itself were changed")
	}
	if got := (Model{Endpoints: short.Endpoints, MemoryTokens: new(0)}).WithDefaults(); *got.MemoryTokens != 0 {
		t.Errorf("no memory became %d tokens", *got.MemoryTokens)
	}
}

// A provider gets only the key that was given for its address.
func TestMaskedModelKeys(t *testing.T) {
	stored := Account{Path: "a", Token: "abc", Model: Model{Endpoints: []Endpoint{
		{Provider: "deepseek", Key: "sk-deepseek"},
		{Provider: "qwen", Key: "sk-qwen-1"},
		{Provider: "qwen", Key: "sk-qwen-2"},
	}}}
	tests := []struct {
		name, model string
		want        []Secret // or nil, for a mistake
	}{
		{"as before", "{provider: deepseek, key: '********', backups: [{provider: qwen, key: '********'}, {provider: qwen, key: '********'}]}",
			[]Secret{"sk-deepseek", "sk-qwen-1", "sk-qwen-2"}},
		{"in another order", "{provider: qwen, key: '********', backups: [{provider: deepseek, key: '********'}, {provider: kimi, key: sk-new}]}",
			[]Secret{"sk-qwen-2", "sk-deepseek", "sk-new"}},
		{"the same address written out", "{provider: openai-compatible, base_url: https://api.deepseek.com/v1/, name: x, key: '********'}", []Secret{"sk-deepseek"}},
		{"another provider", "{provider: kimi, key: '********'}", nil},
		{"another address", "{provider: deepseek, base_url: https://evil.example.com/v1, key: '********'}", nil},
	}
	for _, test := range tests {
		b, err := Parse("bot.yaml", []byte("accounts:\n- path: a\n  token: abc\n  model: "+test.model), testEnv)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		merged, err := b.ApplyMasks(func(string) (Account, bool) { return stored, true })
		if test.want == nil {
			const want = "bot.yaml:4: accounts[0].model.key: ******** 表示保留原值，但账号 a 没有给这个服务商的地址存过 key；请写出完整的值（******** keeps the stored value, but account a has no key for this provider's address; write the value itself）"
			if _, ok := errors.AsType[Mistakes](err); !ok || err.Error() != want {
				t.Errorf("%s: %v; want %s", test.name, err, want)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		var got []Secret
		for _, e := range merged.Accounts[0].Model.Endpoints {
			got = append(got, e.Key)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
		if e := b.Accounts[0].Model.Endpoints[0]; e.Key != "" {
			t.Errorf("%s: the bot itself was changed", test.name)
		}
	}
}

func TestModelFromSettings(t *testing.T) {
	tests := []struct {
		url, key, name string
		want           Model
		fails          string // part of the error
	}{
		{},
		{url: "https://api.deepseek.com/v1/", key: "sk", want: Model{Endpoints: []Endpoint{{Provider: "deepseek", BaseURL: "https://api.deepseek.com/v1/", Key: "sk"}}}},
		{url: "http://127.0.0.1:11434/v1", name: "qwen3:8b", want: Model{Endpoints: []Endpoint{{Provider: "ollama", BaseURL: "http://127.0.0.1:11434/v1", Name: "qwen3:8b"}}}},
		{url: "https://llm.example.com", key: "sk", name: "m", want: Model{Endpoints: []Endpoint{{Provider: compatible, BaseURL: "https://llm.example.com", Key: "sk", Name: "m"}}}},
		{key: "sk-hunter", name: "m", fails: "WENZI_MODEL_URL is missing"},
		{url: "llm.example.com", name: "m", fails: "WENZI_MODEL_URL 应为"},
		{url: "https://api.deepseek.com/v1", fails: "WENZI_MODEL_KEY is missing"},
		{url: "https://llm.example.com", key: "sk-hunter 2", name: "m", fails: "WENZI_MODEL_KEY"},
		{url: "https://llm.example.com", key: Mask, name: "m", fails: "WENZI_MODEL_KEY is masked"},
		{url: "https://llm.example.com", key: "sk-hunter", fails: "WENZI_MODEL is missing"},
		{url: "https://llm.example.com", key: "sk-hunter", name: "a b", fails: "WENZI_MODEL 应为"},
	}
	for _, test := range tests {
		got, err := ModelFromSettings(test.url, test.key, test.name)
		switch {
		case test.fails == "" && err != nil:
			t.Errorf("%q: %v", test.url, err)
		case test.fails != "" && (err == nil || !strings.Contains(err.Error(), test.fails) || strings.Contains(err.Error(), "hunter")):
			t.Errorf("%q: %v; want an error with %s, without the key", test.url, err, test.fails)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.url, diff)
		}
	}
}

func TestModelWarnings(t *testing.T) {
	model := Model{Endpoints: []Endpoint{{Provider: "deepseek", Key: "k"}}}
	for _, address := range []string{"http://llm.example.com/v1", "http://8.8.8.8", "https://llm.example.com", "http://localhost:1", "http://ollama:11434/v1", "http://[::1]/v1", "http://10.0.0.7/v1"} {
		model.Endpoints = append(model.Endpoints, Endpoint{Provider: compatible, BaseURL: address, Key: "k"})
	}
	want := []string{
		"a: model.backups[0].base_url：用 http:// 会把 key 不加密地送到公网；请用 https://（http:// sends the key over the Internet unencrypted; use https://）",
		"a: model.backups[1].base_url：用 http:// 会把 key 不加密地送到公网；请用 https://（http:// sends the key over the Internet unencrypted; use https://）",
	}
	if diff := cmp.Diff(want, Account{Path: "a", Model: model}.Warnings()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The manual lists the presets as they are.
func TestManualHasThePresets(t *testing.T) {
	for _, page := range []string{"../../docs/bot.md", "../../docs/en/bot.md"} {
		manual, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range presets {
			var row []string
			for line := range strings.Lines(string(manual)) {
				if strings.HasPrefix(line, "| `"+p.provider+"`") {
					row = strings.Split(line, "|")
				}
			}
			if len(row) < 6 {
				t.Errorf("%s has no row for %s", page, p.provider)
				continue
			}
			extra := ""
			for name, value := range p.extra {
				extra = strings.NewReplacer(`"`, "", ":", ": ").Replace(name + ":" + string(value))
			}
			for i, want := range []string{p.baseURL, p.name, extra} {
				if !strings.Contains(row[i+2], want) || want == "" && strings.Contains(row[i+2], "`") {
					t.Errorf("%s: the row of %s says %q, want %q", page, p.provider, row[i+2], want)
				}
			}
		}
	}
}
