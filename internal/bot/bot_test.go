package bot

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWarnings(t *testing.T) {
	two := Reply{News: []Article{{Title: "1"}, {Title: "2"}}}
	a := Account{
		Path:  "abc",
		Token: "abc",
		Rules: []Rule{
			{Event: "CLICK/ABOUT", Reply: two},
			{Event: "clik", Reply: Reply{Text: "x"}},
			{Event: "VIEW", Reply: Reply{Text: "x"}},
			{Event: "subscribe/qrscene_1", Reply: Reply{Text: "x"}},
			{Event: "kf_create_session", Reply: Reply{Text: "x"}},
			{Text: []string{"1"}, Reply: two},
		},
		Fallback: Fallback{Reply: two},
	}
	want := []string{
		"abc: path：与 token 相同，看到地址的人就能冒充微信；请换一个（is the same as token, so whoever sees the address can pretend to be WeChat; choose another）",
		"abc: rules[1].event：没有 clik 事件，是不是 CLICK？（there is no event clik; did you mean CLICK?）",
		"abc: rules[2].event：VIEW 事件的回复用户收不到（a reply to VIEW does not reach the user）",
		"abc: rules[3].event：场景值前不用写 qrscene_（the scene is written without its qrscene_ prefix）",
		"abc: rules[5].reply.news：回复用户消息时微信只显示第一篇（WeChat shows only the first article in answer to a user's message）",
		"abc: fallback.news：回复用户消息时微信只显示第一篇（WeChat shows only the first article in answer to a user's message）",
	}
	if diff := cmp.Diff(want, a.Warnings()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b := Bot{Accounts: []Account{a, a}, Hints: []string{"a hint"}}
	if diff := cmp.Diff(slices.Concat(b.Hints, want, want), b.Warnings()); diff != "" {
		t.Errorf("of the bot (-want +got):\n%s", diff)
	}
	for _, a := range mustParse(t, "testdata/bot.yaml").Accounts {
		if ws := a.Warnings(); len(ws) > 0 {
			t.Errorf("the sample warns: %q", ws)
		}
	}
}

func TestNearest(t *testing.T) {
	keys := []string{"path", "name", "token", "app_id", "app_secret", "aes_key", "mode", "greeting", "rules", "fallback"}
	for word, want := range map[string]string{
		"tokn": "token", "AppID": "app_id", "app-secret": "app_secret", "AESKey": "aes_key", "rule": "rules", "greetings": "greeting", "nam": "name",
		"xy": "", "": "", "colour": "", "令牌": "",
	} {
		if got := Nearest(word, keys); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}
