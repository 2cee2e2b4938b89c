package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wenzihq/wenzi/internal/store/pgtest"
	"github.com/wenzihq/wenzi/oa"
)

const oneAccount = `
accounts:
  - path: k3v9qd2x
    name: 雯子
    token: ${WENZI_TEST_TOKEN}
    greeting: 你好呀
    rules:
      - text: 帮助
        reply: 发送任意文字，我来回答。
`

func TestApplyChangesARunningServer(t *testing.T) {
	t.Setenv("WENZI_TEST_TOKEN", "tokenfromenv")
	data := t.TempDir()
	p := serve(t, "--data", data)
	account := oa.Account{Token: "tokenfromenv"}
	if status, _, _ := deliver(account, p.url("k3v9qd2x"), text("oA", "帮助", 1)); status != 404 {
		t.Fatalf("before it is registered the address answers %d", status)
	}
	if got := said(t, mustDeliver(t, guest, p.url("hello"), text("oA", "hi", 1))); got != "hi" {
		t.Fatalf("a guest gets %q", got)
	}

	stdout, stderr, code := wenzi(t, "apply", "--data", data, "-f", write(t, "bot.yaml", oneAccount))
	if code != 0 || !strings.Contains(stdout, "+ k3v9qd2x") {
		t.Fatalf("apply: exit %d\n%s%s", code, stdout, stderr)
	}
	if got := said(t, mustDeliver(t, account, p.url("k3v9qd2x"), text("oA", "帮助", 2))); got != "发送任意文字，我来回答。" {
		t.Errorf("the rule answers %q", got)
	}
	if got := said(t, mustDeliver(t, account, p.url("k3v9qd2x"), subscribe("oA"))); got != "你好呀" {
		t.Errorf("the greeting is %q", got)
	}
	if status, _, _ := deliver(guest, p.url("hello"), text("oA", "hi", 3)); status != 404 {
		t.Errorf("guests are still served (%d) though an account is registered", status)
	}

	// Export masks, and an applied mask keeps the secret.
	exported, stderr, code := wenzi(t, "export", "--data", data)
	if code != 0 || strings.Contains(exported, "tokenfromenv") || !strings.Contains(exported, "********") {
		t.Fatalf("export: exit %d\n%s%s", code, exported, stderr)
	}
	changed := strings.Replace(exported, "发送任意文字，我来回答。", "换了一句", 1)
	stdout, stderr, code = wenzi(t, "apply", "--data", data, "-f", write(t, "bot.yaml", changed))
	if code != 0 || !strings.Contains(stdout, "~ k3v9qd2x") || !strings.Contains(stdout, "rules[0]") {
		t.Fatalf("apply of an export: exit %d\n%s%s", code, stdout, stderr)
	}
	if got := said(t, mustDeliver(t, account, p.url("k3v9qd2x"), text("oA", "帮助", 4))); got != "换了一句" {
		t.Errorf("the changed rule answers %q", got)
	}

	// A mistake names its place and changes nothing.
	file := write(t, "bot.yaml", strings.Replace(oneAccount, "greeting: 你好呀", "greting: 你好呀", 1))
	_, stderr, code = wenzi(t, "apply", "--data", data, "-f", file)
	if code != 2 || !strings.Contains(stderr, file+":6: accounts[0].greting") {
		t.Errorf("a mistake: exit %d\n%s", code, stderr)
	}
	if got := said(t, mustDeliver(t, account, p.url("k3v9qd2x"), text("oA", "帮助", 5))); got != "换了一句" {
		t.Errorf("after a refused file the rule answers %q", got)
	}
	p.stop()

	// Without a server the database is changed directly.
	stdout, stderr, code = wenzi(t, "apply", "--data", data, "-f", write(t, "bot.yaml", oneAccount))
	if code != 0 || !strings.Contains(stdout, "no server is running") {
		t.Fatalf("apply without a server: exit %d\n%s%s", code, stdout, stderr)
	}
	if again, _, code := wenzi(t, "export", "--data", data); code != 0 || !strings.Contains(again, "发送任意文字") {
		t.Errorf("export without a server: exit %d\n%s", code, again)
	}
	p = serve(t, "--data", data)
	if got := said(t, mustDeliver(t, account, p.url("k3v9qd2x"), text("oA", "帮助", 6))); got != "发送任意文字，我来回答。" {
		t.Errorf("after the restart the rule answers %q", got)
	}
	if stdout, _, code := wenzi(t, "apply", "--data", data, "--prune", "-f", write(t, "bot.yaml", strings.Replace(oneAccount, "k3v9qd2x", "another1", 1))); code != 0 || !strings.Contains(stdout, "- k3v9qd2x") {
		t.Errorf("prune: exit %d\n%s", code, stdout)
	}
	if status, _, _ := deliver(account, p.url("k3v9qd2x"), text("oA", "帮助", 7)); status != 404 {
		t.Errorf("a removed account answers %d", status)
	}
}

func TestApplyReadsTheVariablesOfTheCommandOnly(t *testing.T) {
	data := t.TempDir()
	serve(t, "--data", data) // its environment lacks the variable
	_, stderr, code := wenzi(t, "apply", "--data", data, "-f", write(t, "bot.yaml", oneAccount))
	if code != 2 || !strings.Contains(stderr, "WENZI_TEST_TOKEN") {
		t.Errorf("an unset variable: exit %d\n%s", code, stderr)
	}
}

func TestSettings(t *testing.T) {
	file := write(t, "wenzi.yaml", "listen: 127.0.0.1:1111\ndata: ./from-file\nguests: 7\n")
	t.Run("flag over environment over file", func(t *testing.T) {
		t.Setenv("WENZI_DATA", "/from-env")
		t.Setenv("WENZI_LISTEN", "127.0.0.1:2222")
		stdout, stderr, code := wenzi(t, "config", "--config", file, "--listen", "127.0.0.1:3333",
			"--database", "postgres://user:hidden@db/wenzi")
		if code != 0 {
			t.Fatalf("exit %d\n%s", code, stderr)
		}
		for _, want := range []string{"listen: 127.0.0.1:3333\n", "data: /from-env\n", "guests: 7\n", "keep: 2160h0m0s\n", "log-level: INFO\n"} {
			if !strings.Contains(stdout, want) {
				t.Errorf("no %q in\n%s", want, stdout)
			}
		}
		if strings.Contains(stdout, "hidden") {
			t.Errorf("the password is shown:\n%s", stdout)
		}
	})
	t.Run("what is printed can be read", func(t *testing.T) {
		stdout, _, _ := wenzi(t, "config", "--config", file)
		again, stderr, code := wenzi(t, "config", "--config", write(t, "again.yaml", stdout))
		cut := func(s string) string { _, rest, _ := strings.Cut(s, "\n"); return rest } // without config: itself
		if code != 0 || cut(again) != cut(stdout) {
			t.Errorf("exit %d %s\n%s\n%s", code, stderr, stdout, again)
		}
	})
	for _, tt := range []struct{ name, content, want string }{
		{"unknown key", "listen: :1\nlisten-on: :2\n", ":2: listen-on"},
		{"bad value", "listen: :1\nguests: many\n", ":2: "},
		{"not one of", "open-hosting: maybe\n", ":1: "},
		{"twice", "guests: 1\nguests: 2\n", ":2: "},
		{"a list", "guests:\n  - 1\n", ":2: guests"},
		{"no YAML", "guests: [1\n", "bad.yaml"},
		{"below", "guests: 0\n", "--guests"},
		{"mailbox", "mailbox-keep: 0s\n", "--mailbox-keep"},
		{"pages", "page-keep: -1h\n", "--page-keep"},
		{"max age", "max-age: 10s\n", "--max-age"},
		{"budget", "timeout-budget: -2\n", "--timeout-budget"},
		{"no budget", "timeout-budget: many\n", ":1: "},
		{"public http", "public-url: http://wx.example.com\n", "--public-url"},
		{"public path", "public-url: https://wx.example.com/wenzi\n", "--public-url"},
		{"public markup", "public-url: 'https://wx.example.com\">'\n", "--public-url"},
		{"API", "api-url: api.weixin.qq.com\n", "--api-url"},
		{"API with a password", "api-url: https://user:hidden@relay.example.com\n", "--api-url"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, stderr, code := wenzi(t, "serve", "--config", write(t, "bad.yaml", tt.content), "--data", t.TempDir())
			if code != 2 || !strings.Contains(stderr, tt.want) {
				t.Errorf("exit %d, want %q in\n%s", code, tt.want, stderr)
			}
		})
	}
	t.Run("good values", func(t *testing.T) {
		for _, args := range [][]string{{"--timeout-budget=-1"}, {"--timeout-budget", "-1"}, {"--timeout-budget", "0"}, {"--max-age", "0"}, {"--max-age", "30s"},
			{"--public-url", "https://wx.example.com:8443/"}, {"--api-url", "http://127.0.0.1:9000/relay"}} {
			if _, stderr, code := wenzi(t, append([]string{"config"}, args...)...); code != 0 {
				t.Errorf("%v: exit %d\n%s", args, code, stderr)
			}
		}
	})
	t.Run("missing file", func(t *testing.T) {
		if _, stderr, code := wenzi(t, "serve", "--config", "/nowhere.yaml"); code != 2 || !strings.Contains(stderr, "nowhere.yaml") {
			t.Errorf("exit %d\n%s", code, stderr)
		}
	})
	t.Run("bad bot.yaml changes nothing and starts nothing", func(t *testing.T) {
		data := t.TempDir()
		_, stderr, code := wenzi(t, "serve", "--listen", "127.0.0.1:0", "--data", data, "--bot", write(t, "bot.yaml", "accounts:\n  - path: x\n"))
		if code != 2 || !strings.Contains(stderr, "bot.yaml:2") {
			t.Errorf("exit %d\n%s", code, stderr)
		}
	})
	t.Run("busy address", func(t *testing.T) {
		p := serve(t, "--data", t.TempDir())
		_, stderr, code := wenzi(t, "serve", "--listen", strings.TrimPrefix(p.base, "http://"), "--data", t.TempDir())
		if code != 1 || !strings.Contains(stderr, "--listen") {
			t.Errorf("exit %d\n%s", code, stderr)
		}
	})
}

func TestServeOnPostgreSQL(t *testing.T) {
	dsn := pgtest.Schema(t)
	data := t.TempDir()
	p := serve(t, "--data", data, "--database", dsn)
	m := text("oA"+filepath.Base(data), "hi", int64(os.Getpid()))
	first := mustDeliver(t, guest, p.url("hello"), m)
	p.stop()
	p = serve(t, "--data", data, "--database", dsn)
	if again := mustDeliver(t, guest, p.url("hello"), m); again != first {
		t.Errorf("a repeat after the restart got\n%s\nwant\n%s", again, first)
	}
	p.stop()
}
