package bot

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/wenzihq/wenzi/oa"
)

func TestConfigRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := account().Draw(t, "account")
		data, err := MarshalConfig(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := UnmarshalConfig(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s\n%s", diff, data)
		}
	})
}

// The stored form outlives the program that wrote it: its names must not change.
func TestConfigForm(t *testing.T) {
	const want = `{"path":"compat","app_id":"wx0123456789abcdef","greeting":{"image":"MEDIA_ID_welcome"},` +
		`"fallback":{"reply":{"text":"没听懂，回复「帮助」看看。"}},"token":"compat456","aes_key":"` + aesKey + `","mode":"compat"}`
	got, err := MarshalConfig(mustParse(t, "testdata/bot.yaml").Accounts[2])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestModelConfigForm(t *testing.T) {
	const want = `{"path":"k3v9qd2x","token":"envToken1","mode":"plain","model":{"system":"你是雯子。\n回答要短。","memory_tokens":0,"sorry":"我想不出来。","endpoints":[` +
		`{"provider":"deepseek","name":"deepseek-v4-pro","temperature":0,"max_tokens":1500,"timeout":90000000000,"first_token":20000000000,"concurrency":4,` +
		`"extra":{"reasoning":{"\u003cb\u003e":true,"effort":"low","summary":null},"seed":12345678901234567890,"stop":["\n\n","true","007"],"thinking":null,"top_p":0.9},"key":"sk-env"},` +
		`{"provider":"ollama","name":"qwen3:8b"},` +
		`{"provider":"openai-compatible","base_url":"https://llm.example.com/v1/","name":"Qwen/Qwen3-VL","vision":true,"key":"sk-backup"}]}}`
	full := mustParse(t, "testdata/bot.yaml").Accounts[0]
	got, err := MarshalConfig(Account{Path: full.Path, Token: full.Token, Mode: oa.Plain, Model: full.Model})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUnmarshalConfigRefuses(t *testing.T) {
	maskedAccount, err := json.Marshal(Account{Path: "a", Token: "hunter2"})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, data, want string }{
		{"not JSON", "{", "stored account"},
		{"no mode", `{"path":"a","token":"abc"}`, "mode"},
		{"no token", `{"path":"a","mode":"plain"}`, "Token"},
		{"a masked token", `{"path":"a","token":"********","mode":"plain"}`, "masked"},
		{"secure without a key", `{"path":"a","token":"abc","mode":"secure"}`, "EncodingAESKey"},
		{"an account that was not marshalled for the store", string(maskedAccount), "stored account"},
	}
	for _, test := range tests {
		if a, err := UnmarshalConfig([]byte(test.data)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %+v, %v; want an error with %q", test.name, a, err, test.want)
		}
	}
}
