package app

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/oa"
)

const follower = "oAAAAAAAAAAAAAAAAAAAAAAfollow"

func TestTurns(t *testing.T) {
	data := registered(t, "accounts:\n  - path: first\n    token: tokentoken\n")
	var slow store.TurnID
	asked1 := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	at := func(seconds float64) time.Time {
		return asked1.Add(time.Duration(seconds * float64(time.Second)))
	}
	offline(t, data, func(s *store.Store, account int64) {
		whole := "秘密的回答"
		slow = asked(t, s, account, follower, 1, asked1, store.Answer{Question: "秘密的问题"}, store.Change{
			To: store.Answered, By: "model", AnsweredAt: at(8.2), ReadyAt: at(8.2), Text: &whole, Done: true,
			Reply: []byte("<xml><MsgType>text</MsgType><Content>秘密的回答</Content></xml>"),
			Usage: &store.Usage{Model: "deepseek/chat", PromptTokens: 120, CompletionTokens: 45},
			Steps: []store.Step{
				{At: at(4.2), What: "ride", Detail: "left unanswered, so that WeChat delivers again"},
				{At: at(5), What: "delivery", Detail: "2, 5.0 s after the message"},
				{At: at(5.5), What: "first text", Detail: "after 5.5 s"},
				{At: at(8.2), What: "ready", Detail: "15 bytes after 8.2 s"},
				{At: at(8.2), What: "answered", Detail: "as the reply to delivery 2"},
			},
		})
	})
	account := oa.Account{Token: "tokentoken"}
	p := serve(t, "--data", data)
	mustDeliver(t, account, p.url("first"), text(follower, "秘密的话", 5))
	mustDeliver(t, account, p.url("first"), text(follower, "秘密的话", 5)) // a repeat
	turns := func(args ...string) string {
		t.Helper()
		stdout, stderr, code := wenzi(t, append([]string{"turns", "--data", data}, args...)...)
		if code != 0 {
			t.Fatalf("%v: exit %d\n%s%s", args, code, stdout, stderr)
		}
		return stdout
	}
	show := func() map[string]string {
		return map[string]string{
			"list": turns(), "of a state": turns("--state", "已回复", "--limit", "1"), "none": turns("--state", "failed"),
			"one": turns(slow.String()), "texts": turns("--texts"), "one with texts": turns("--texts", slow.String()), "json": turns("--json"),
		}
	}
	running := show()
	p.stop()
	stopped := show()
	for name, out := range running {
		if stopped[name] != out {
			t.Errorf("%s: without a server it is\n%s\nand with one\n%s", name, stopped[name], out)
		}
		if private := strings.Contains(out, "秘密") || strings.Contains(out, follower); private != strings.Contains(name, "texts") {
			t.Errorf("%s: texts are shown or not:\n%s", name, out)
		}
	}
	for name, want := range map[string][]string{
		"list":           {"编号", "o…follow", "已回复", "model，第 2 次送达", "8.2s", "deepseek/chat", "120+45", slow.String(), "echo，第 1 次送达"},
		"of a state":     {"echo"},
		"none":           {"没有这样的消息"},
		"one":            {"已回复 answered", "0.0s  收到消息 message", "4.2s  故意不答 ride", "5.0s  微信送达 delivery", "5.5s  开始有字 first text", "8.2s  想好了 ready", "as the reply to delivery 2"},
		"texts":          {follower, "秘密的话", "秘密的问题"},
		"one with texts": {follower, "秘密的问题", "秘密的回答"},
	} {
		for _, w := range want {
			if !strings.Contains(running[name], w) {
				t.Errorf("%s lacks %q:\n%s", name, w, running[name])
			}
		}
	}
	if strings.Contains(running["of a state"], slow.String()) {
		t.Errorf("more than one of a limit of one:\n%s", running["of a state"])
	}
	lines := strings.Split(strings.TrimSpace(running["json"]), "\n")
	var newest turnRecord
	if err := json.Unmarshal([]byte(lines[0]), &newest); err != nil || len(lines) != 2 || newest.By != "echo" || newest.Deliveries != 2 || newest.Milliseconds == 0 {
		t.Errorf("JSON: %v, %+v of\n%s", err, newest, running["json"])
	}
	repeated := turns(newest.ID)
	if !strings.Contains(repeated, "a repeat, answered as before") {
		t.Errorf("the repeat is not in the timeline:\n%s", repeated)
	}
}

func TestTurnsIsCalledWrongly(t *testing.T) {
	empty, one := t.TempDir(), registered(t, "accounts:\n  - path: first\n    token: tokentoken\n")
	two := registered(t, "accounts:\n  - path: first\n    token: tokentoken\n  - path: second\n    token: tokentoken\n")
	for _, tt := range []struct {
		data string
		args []string
		want string
	}{
		{empty, nil, "there is no database"},
		{one, []string{"--state", "happy"}, "waiting 等粉丝来取"},
		{one, []string{"--limit", "0"}, "--limit"},
		{one, []string{"--limit", "1001"}, "--limit"},
		{one, []string{"short"}, "32 characters"},
		{one, []string{store.NewTurnID(1, 2, 3).String()}, "there is no such turn"},
		{one, []string{"--account", "other"}, "first"},
		{two, nil, "choose one by --account"},
	} {
		if _, stderr, code := wenzi(t, append([]string{"turns", "--data", tt.data}, tt.args...)...); code != 2 || !strings.Contains(stderr, tt.want) {
			t.Errorf("%v: exit %d, want %q in\n%s", tt.args, code, tt.want, stderr)
		}
	}
	if out, _, code := wenzi(t, "turns", "--data", two, "--account", "second"); code != 0 || !strings.Contains(out, "没有这样的消息") {
		t.Errorf("an account without messages: exit %d\n%s", code, out)
	}
}

// What a sender has chosen cannot break the table, nor reach the terminal.
func TestColumns(t *testing.T) {
	var b strings.Builder
	if err := writeColumns(&b, [][]string{{"类型", "状态", "x"}, {"event/\x1b[31mA", "好\nB", ""}, nil, {"", "a\nb"}}); err != nil {
		t.Fatal(err)
	}
	want := "类型               状态  x\nevent/\\u001b[31mA  好 B\n\n                   a\n    b\n"
	if b.String() != want {
		t.Errorf("got\n%q\nwant\n%q", b.String(), want)
	}
}
