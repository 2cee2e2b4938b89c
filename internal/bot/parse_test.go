package bot

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/oa"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const aesKey = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"

func testEnv(name string) (string, bool) {
	value, ok := map[string]string{
		"WENZI_TOKEN":            "envToken1",
		"WENZI_APP_SECRET":       "0123456789abcdef0123456789abcdef",
		"WENZI_PREVIOUS_AES_KEY": "GFEDCBA9876543210zyxwvutsrqponmlkjihgfedcba",
		"WENZI_MODEL_KEY":        "sk-env",
		"WENZI_BAD":              "do not show me",
	}[name]
	return value, ok
}

func mustParse(t testing.TB, file string) Bot {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Parse(filepath.Base(file), data, testEnv)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseSample(t *testing.T) {
	got := mustParse(t, "testdata/bot.yaml")
	want := Bot{Hints: []string{
		"k3v9qd2x: fallback：有 model 时不会 echo：没有规则符合的由大模型回答；这一行可以删去（the model takes the place of the echo; this line can go）",
	}, Accounts: []Account{
		{
			Path:           "k3v9qd2x",
			Name:           "是雯子吖",
			Token:          "envToken1",
			PreviousToken:  "oldToken2025",
			AppID:          "wx0123456789abcdef",
			AppSecret:      "0123456789abcdef0123456789abcdef",
			AESKey:         aesKey,
			PreviousAESKey: "GFEDCBA9876543210zyxwvutsrqponmlkjihgfedcba",
			Mode:           oa.Secure,
			Greeting:       Reply{Text: "Hi~ 终于等到你"},
			Rules: []Rule{
				{Text: []string{"帮助"}, Reply: Reply{Text: "发送任意文字，我来回答。"}},
				{Text: []string{"1", "菜单"}, Reply: Reply{Text: "回复数字：\n1 菜单\n2 客服"}},
				{Contains: []string{"价格", "多少钱"}, Reply: Reply{Image: "MEDIA_ID_prices"}},
				{Regexp: "^查(?P<city>.+)天气$", Reply: Reply{Text: "{{.city}}的天气…"}},
				{Event: "CLICK/ABOUT", Reply: Reply{News: []Article{
					{Title: "关于我们", Description: "一句话", PicURL: "https://example.com/p.jpg", URL: "https://example.com/a?b=1&c=2"},
				}}},
				{Event: "subscribe/123", Reply: Reply{News: []Article{
					{Title: "一", Description: "甲", PicURL: "https://example.com/1.jpg", URL: "https://example.com/1"},
					{Title: "二", Description: "乙", PicURL: "https://example.com/2.jpg", URL: "https://example.com/2"},
				}}},
				{Event: "SCAN/123", Reply: Reply{Voice: "MEDIA_ID_hello"}},
				{Text: []string{"视频"}, Reply: Reply{Video: &Video{MediaID: "MEDIA_ID_video", Title: "标题", Description: "说明"}}},
				{Contains: []string{"音乐"}, Reply: Reply{Music: &Music{
					ThumbMediaID: "MEDIA_ID_thumb", Title: "歌", Description: "歌手",
					MusicURL: "https://example.com/a.mp3", HQMusicURL: "https://example.com/a-hq.mp3",
				}}},
				{Text: []string{"人工"}, Reply: Reply{Transfer: &Transfer{}}},
				{Text: []string{"小王"}, Reply: Reply{Transfer: &Transfer{Agent: "wang@example"}}},
			},
			Model: Model{
				Endpoints: []Endpoint{
					{
						Provider: "deepseek", Key: "sk-env", Name: "deepseek-v4-pro", Temperature: new(0.0), MaxTokens: 1500,
						Timeout: 90 * time.Second, FirstToken: 20 * time.Second, Concurrency: 4,
						Extra: map[string]json.RawMessage{
							"thinking":  json.RawMessage(`null`),
							"top_p":     json.RawMessage(`0.9`),
							"seed":      json.RawMessage(`12345678901234567890`),
							"stop":      json.RawMessage(`["\n\n","true","007"]`),
							"reasoning": json.RawMessage(`{"\u003cb\u003e":true,"effort":"low","summary":null}`),
						},
					},
					{Provider: "ollama", Name: "qwen3:8b"},
					{Provider: "openai-compatible", BaseURL: "https://llm.example.com/v1/", Key: "sk-backup", Name: "Qwen/Qwen3-VL", Vision: true},
				},
				System:       "你是雯子。\n回答要短。",
				MemoryTokens: new(0),
				Sorry:        "我想不出来。",
			},
		},
		{
			Path: "plain", Token: "plain123", Mode: oa.Plain, Fallback: Fallback{None: true},
			Model: Model{Endpoints: []Endpoint{{Provider: "qwen", Key: "sk-short"}}},
		},
		{
			Path: "compat", Token: "compat456", AppID: "wx0123456789abcdef", AESKey: aesKey, Mode: oa.Compat,
			Greeting: Reply{Image: "MEDIA_ID_welcome"}, Fallback: Fallback{Reply: Reply{Text: "没听懂，回复「帮助」看看。"}},
		},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, a := range got.Accounts {
		callback := a.Callback()
		if err := callback.Validate(); err != nil {
			t.Errorf("%s: %v", a.Path, err)
		}
	}
}

// Every file of testdata/mistakes is refused with the words of its golden file.
func TestParseMistakes(t *testing.T) {
	files, err := filepath.Glob("testdata/mistakes/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			b, err := Parse("bot.yaml", data, testEnv)
			if err == nil {
				t.Fatalf("accepted: %+v", b)
			}
			got := err.Error() + "\n"
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestMistakesAreSortedAndTyped(t *testing.T) {
	_, err := Parse("x.yaml", []byte("accounts:\n  - token: !\n    rules: 1\n    path: /\n"), testEnv)
	var ms Mistakes
	if !errors.As(err, &ms) {
		t.Fatalf("%T is not Mistakes", err)
	}
	var got []string
	for _, m := range ms {
		got = append(got, fmt.Sprintf("%s:%d %s", m.File, m.Line, m.Key))
	}
	want := []string{"x.yaml:2 accounts[0].token", "x.yaml:3 accounts[0].rules", "x.yaml:4 accounts[0].path"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMistakesNeverShowSecrets(t *testing.T) {
	values := []string{
		"hunter-2", "[hunter-2]", "{hunter-2: x}", "hunter-2: x", "!hunter-2", "!<hunter-2> x", "!hunter%2 x", "*hunter-2", "%hunter-2", "@hunter-2",
		"|hunter-2", "'hunter-2", `"hunter-2\q"`, `"hunter-2\x01"`, "${hunter-2}", "${WENZI_HUNTER}", "x${WENZI_HUNTER}",
	}
	env := func(string) (string, bool) { return "hunter-2", true }
	for _, field := range []string{"token", "previous_token", "app_secret", "aes_key", "previous_aes_key", "model:\n      key", "model:\n      backups:\n      - key"} {
		for _, value := range values {
			_, err := Parse("bot.yaml", fmt.Appendf(nil, "accounts:\n  - path: a\n    %s: %s\n", field, value), env)
			if _, ok := errors.AsType[Mistakes](err); !ok {
				t.Errorf("%s: %s is accepted", field, value)
			} else if strings.Contains(err.Error(), "hunter") {
				t.Errorf("the mistake shows the secret: %v", err)
			}
		}
	}
}

func TestParseScalars(t *testing.T) {
	const file = `
accounts:
- path: 0123
  token: 0017
  name: no
  greeting: 2020-01-01
  rules:
  - {text: 1, reply: 1.50}
  - {text: 'null', reply: 'true'}
  - {text: on, reply: 'a ${literal} text'}
  - &r {text: [a], reply: {text: "tab\there"}}
  - *r
`
	b, err := Parse("bot.yaml", []byte(file), testEnv)
	if err != nil {
		t.Fatal(err)
	}
	shared := Rule{Text: []string{"a"}, Reply: Reply{Text: "tab\there"}}
	want := Account{
		Path: "0123", Token: "0017", Name: "no", Mode: oa.Plain, Greeting: Reply{Text: "2020-01-01"},
		Rules: []Rule{
			{Text: []string{"1"}, Reply: Reply{Text: "1.50"}},
			{Text: []string{"null"}, Reply: Reply{Text: "true"}},
			{Text: []string{"on"}, Reply: Reply{Text: "a ${literal} text"}},
			shared, shared,
		},
	}
	if diff := cmp.Diff([]Account{want}, b.Accounts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseLimits(t *testing.T) {
	account := func(rest string) string { return "accounts:\n- path: a\n  token: abc\n  " + rest + "\n" }
	article := "{title: a, description: b, pic_url: https://e.com/p, url: https://e.com}"
	tests := []struct {
		name, file, want string // want is part of the error, or empty
	}{
		{"text fits", account("greeting: " + strings.Repeat("a", oa.MaxTextBytes)), ""},
		{"text is a byte too long", account("greeting: " + strings.Repeat("a", oa.MaxTextBytes+1)), "2048"},
		{"text is too long in bytes only", account("greeting: " + strings.Repeat("雯", 683)), "2049"},
		{"path fits", "accounts:\n- path: " + strings.Repeat("a", 64) + "\n  token: abc", ""},
		{"path is too long", "accounts:\n- path: " + strings.Repeat("a", 65) + "\n  token: abc", "accounts[0].path"},
		{"token fits", "accounts:\n- path: a\n  token: " + strings.Repeat("a", 32), ""},
		{"token is too long", "accounts:\n- path: a\n  token: " + strings.Repeat("a", 33), "accounts[0].token"},
		{"name fits", account("name: " + strings.Repeat("雯", 64)), ""},
		{"name is too long", account("name: " + strings.Repeat("雯", 65)), "accounts[0].name"},
		{"eight articles", account("greeting: {news: [" + strings.Repeat(article+", ", 8) + "]}"), ""},
		{"nine articles", account("greeting: {news: [" + strings.Repeat(article+", ", 9) + "]}"), "accounts[0].greeting.news"},
		{"regexp is too long", account("rules: [{regexp: " + strings.Repeat("a", 1001) + ", reply: x}]"), "accounts[0].rules[0].regexp"},
		{"system prompt fits", account("model: {provider: ollama, name: m, system: " + strings.Repeat("a", maxSystemBytes) + "}"), ""},
		{"system prompt is too long", account("model: {provider: ollama, name: m, system: " + strings.Repeat("a", maxSystemBytes+1) + "}"), "accounts[0].model.system"},
		{"extra fits", account("model: {provider: ollama, name: m, extra: {x: " + strings.Repeat("a", maxExtraBytes-3) + "}}"), ""},
		{"extra is too long", account("model: {provider: ollama, name: m, extra: {x: " + strings.Repeat("a", maxExtraBytes-2) + "}}"), "accounts[0].model.extra"},
		{"extra is deep", account("model: {provider: ollama, name: m, extra: {x: " + strings.Repeat("[", 500) + strings.Repeat("]", 500) + "}}"), ""},
		{"four backups", account("model: {provider: ollama, name: m, backups: [" + strings.Repeat("{provider: ollama, name: m}, ", 4) + "]}"), ""},
		{"file is too large", account("#" + strings.Repeat("x", maxFileBytes)), "bot.yaml:1: "},
		{"no accounts at all", "accounts: []", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse("bot.yaml", []byte(test.file), testEnv)
			switch {
			case err == nil && test.want != "":
				t.Errorf("accepted, want an error with %q", test.want)
			case err != nil && (test.want == "" || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%v; want %q", err, test.want)
			}
		})
	}
}

func TestTooManyMistakes(t *testing.T) {
	_, err := Parse("bot.yaml", []byte("accounts:\n"+strings.Repeat("- x\n", 5000)), testEnv)
	var ms Mistakes
	if !errors.As(err, &ms) || len(ms) != maxMistakes+1 {
		t.Fatalf("%d mistakes, want %d", len(ms), maxMistakes+1)
	}
	if last := ms[maxMistakes]; !strings.Contains(last.English, "too many") {
		t.Errorf("the last one says %v", last)
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/mistakes/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, "testdata/bot.yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := Parse("bot.yaml", data, testEnv)
		if err != nil {
			var ms Mistakes
			if !errors.As(err, &ms) || len(ms) == 0 {
				t.Fatalf("%T: %v", err, err)
			}
			last := 1
			for _, m := range ms {
				if m.Line < last || m.Line > len(data)+2 {
					t.Fatalf("line %d after line %d: %v", m.Line, last, m)
				}
				last = m.Line
			}
			return
		}
		for i := range b.Accounts {
			for _, k := range b.Kept {
				if k.Account == i {
					*b.Accounts[i].secret(k.Field) = "stored"
				}
			}
		}
		b.Kept, b.Hints = nil, nil
		checkRoundTrip(t, b)
	})
}
