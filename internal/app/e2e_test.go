package app

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/oa"
)

// The tests drive the program as a process of its own: the test binary, which
// is wenzi when this variable is set.
const asProgram = "WENZI_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		code := Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}
	os.Exit(m.Run())
}

func program(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	// A program with the race detector waits a second before it exits.
	cmd.Env = append(os.Environ(), asProgram+"=1", "GORACE=atexit_sleep_ms=0")
	return cmd
}

// wenzi runs a command to its end.
func wenzi(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := program(t.Context(), args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// process is a running `wenzi serve`.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	base string // http://127.0.0.1:port
	done chan error

	mu  sync.Mutex
	log bytes.Buffer // stdout and stderr
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *process) logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

var listenLine = regexp.MustCompile(`listen +(\S+:\d+)`)

// serve starts a server and waits until it listens.
func serve(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, done: make(chan error, 1)}
	p.cmd = program(context.Background(), append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	p.cmd.Stderr = p
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	base := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			fmt.Fprintln(p, lines.Text())
			if m := listenLine.FindStringSubmatch(lines.Text()); m != nil {
				base <- "http://" + m[1]
			}
		}
		close(base)
		p.done <- p.cmd.Wait()
	}()
	p.base = <-base
	if p.base == "" {
		t.Fatalf("wenzi serve did not start:\n%s", p.logged())
	}
	return p
}

func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		p.cmd.Process.Signal(syscall.SIGKILL)
		<-p.done
	}
}

// stop ends the server as an operator does and fails if it complains.
func (p *process) stop() {
	p.t.Helper()
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-p.done:
		if err != nil {
			p.t.Errorf("the server ended with %v:\n%s", err, p.logged())
		}
	case <-time.After(20 * time.Second):
		p.t.Errorf("the server did not end:\n%s", p.logged())
		p.kill()
	}
}

// waitUntil polls for something that another process does.
func (p *process) waitUntil(done func() bool) {
	p.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			p.t.Fatalf("it did not happen in 20 s; the server's log:\n%s", p.logged())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (p *process) waitFor(logged string) {
	p.t.Helper()
	p.waitUntil(func() bool { return strings.Contains(p.logged(), logged) })
}

// url is the callback address with that last element.
func (p *process) url(path string) string { return p.base + "/wechatMP/" + path }

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// deliver sends a message and returns the status and the body as it came. The
// signature is dated ahead: in plain mode one from before the server began
// brings neither mailbox nor memory.
func deliver(a oa.Account, url string, m oa.Message) (status int, body string, err error) {
	xml, err := oa.Marshal(m)
	if err != nil {
		return 0, "", err
	}
	req, err := oa.NewDeliveryAt(a, url, xml, time.Now().Add(3*time.Second))
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func mustDeliver(t *testing.T, a oa.Account, url string, m oa.Message) string {
	t.Helper()
	status, body, err := deliver(a, url, m)
	if err != nil {
		t.Fatal(err)
	}
	if status != http.StatusOK {
		t.Fatalf("status %d, body %q", status, body)
	}
	return body
}

// said is the text of a reply in clear XML.
func said(t *testing.T, body string) string {
	t.Helper()
	elements, err := oa.ParseElements([]byte(body))
	if err != nil {
		t.Fatalf("the reply is no XML: %q", body)
	}
	content, _ := oa.Find(elements, "Content")
	return content.Text
}

const gh = "gh_0123456789ab"

func text(from, content string, id int64) *oa.TextMessage {
	return &oa.TextMessage{Header: oa.Header{ToUserName: gh, FromUserName: from, CreateTime: time.Now().Unix(), MsgType: "text"},
		Content: content, Ident: oa.Ident{MsgID: id}}
}

func subscribe(from string) *oa.SubscribeEvent {
	return &oa.SubscribeEvent{EventHeader: oa.EventHeader{Header: oa.Header{ToUserName: gh, FromUserName: from,
		CreateTime: time.Now().Unix(), MsgType: "event"}, Event: "subscribe"}}
}

var guest = oa.Account{Token: "hello"}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestNewUserIsGreetedAndAnswered(t *testing.T) {
	data := t.TempDir()
	p := serve(t, "--data", data)
	if got := said(t, mustDeliver(t, guest, p.url("hello"), subscribe("oA"))); got != "Hi~ 终于等到你" {
		t.Errorf("greeting is %q", got)
	}
	if got := said(t, mustDeliver(t, guest, p.url("hello"), text("oA", "你好", 1))); got != "你好" {
		t.Errorf("echo is %q", got)
	}
	check, err := oa.NewCheck(guest, p.url("hello"), "4375120948345356249")
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(check)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); string(b) != "4375120948345356249" || resp.StatusCode != 200 {
		t.Errorf("URL check: %d %q", resp.StatusCode, b)
	}
	if status, body, _ := deliver(oa.Account{Token: "wrong"}, p.url("hello"), text("oA", "hi", 2)); status != 404 || body != "" {
		t.Errorf("a wrong signature gets %d %q, want 404 and nothing", status, body)
	}
	if status, body := get(t, p.base+"/readyz"); status != 200 {
		t.Errorf("readyz: %d %s", status, body)
	}
	p.stop()
	log := p.logged()
	for _, secret := range []string{"oA", "你好。"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q:\n%s", secret, log)
		}
	}
}

// The captured pushes of reference §11, sent to a running server.
func TestCapturedPushes(t *testing.T) {
	const bot = `
accounts:
  - path: compat
    token: GreedIsGood
    app_id: wxabb8e5e80f591861
    aes_key: h7ZycbpEh2vNdfkYulfw9pG95HjLYwmrKBFeqIktff6
    mode: compat
  - path: secure
    token: GreedIsGood
    app_id: wxabb8e5e80f591861
    aes_key: h7ZycbpEh2vNdfkYulfw9pG95HjLYwmrKBFeqIktff6
`
	p := serve(t, "--data", t.TempDir(), "--bot", write(t, "bot.yaml", bot))
	account := oa.Account{Token: "GreedIsGood", AppID: "wxabb8e5e80f591861", AESKey: "h7ZycbpEh2vNdfkYulfw9pG95HjLYwmrKBFeqIktff6"}
	encrypts := vectors(t)
	for _, tt := range []struct{ path, vector, query, want string }{
		{"compat", "G1", "signature=6aab228cf5918017b302463a355bf4b4a1d97321&timestamp=1669640884&nonce=1062497198&openid=oJqxQwYRyZMXFTc8sipB5TSe6Vw4&encrypt_type=aes&msg_signature=12aae47aece96fcfbb75a6049d78e5e6e5d981d7", "测试文本消息/:share©"},
		{"secure", "G2", "signature=dd5ed7952f4a30058844643e67b86823fcf0cedf&timestamp=1669731472&nonce=1487905294&openid=oJqxQwYRyZMXFTc8sipB5TSe6Vw4&encrypt_type=aes&msg_signature=2152b4cd4935c9a21b5c3a0e97b197b74d8fd65d", "文本tdsa[Lol]§"},
	} {
		body := "<xml>\n    <ToUserName><![CDATA[gh_b4f0e22ae50e]]></ToUserName>\n    <Encrypt><![CDATA[" + encrypts[tt.vector] + "]]></Encrypt>\n</xml>\n"
		resp, err := http.Post(p.url(tt.path)+"?"+tt.query, "text/xml", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		out, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		clear, err := oa.OpenReply(account, out)
		if err != nil {
			t.Fatalf("%s: %d %q: %v", tt.vector, resp.StatusCode, out, err)
		}
		if got := said(t, string(clear)); got != tt.want {
			t.Errorf("%s: echo is %q, want %q", tt.vector, got, tt.want)
		}
	}
	plain := oa.Account{Token: "GreedIsGood"}
	for _, path := range []string{"secure", "compat"} {
		for _, query := range []string{"", "?encrypt_type=aes", "?encrypt_type=raw", "?msg_signature=x"} {
			if status, body, _ := deliver(plain, p.url(path)+query, text("oA", "hi", 1)); status != 404 || body != "" {
				t.Errorf("%s%s takes a body without envelope: %d %q", path, query, status, body)
			}
		}
	}
}

// vectors reads the ciphertexts of reference §11.
func vectors(t *testing.T) map[string]string {
	t.Helper()
	md, err := os.ReadFile("../../reference/callback.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	name := ""
	for line := range strings.Lines(string(md)) {
		if after, ok := strings.CutPrefix(line, "#### Vector "); ok {
			name, _, _ = strings.Cut(after, " ")
		}
		if after, ok := strings.CutPrefix(line, "Encrypt "); ok {
			out[name] = strings.TrimSpace(after)
		}
	}
	if out["G1"] == "" || out["G2"] == "" {
		t.Fatal("reference/callback.md has no vectors G1 and G2")
	}
	return out
}

func TestSixtyFourFollowersDoNotMix(t *testing.T) {
	const bot = `
accounts:
  - path: many
    token: tokentoken
    app_id: wx0123456789abcdef
    aes_key: abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG
`
	account := oa.Account{Token: "tokentoken", AppID: "wx0123456789abcdef", AESKey: "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"}
	p := serve(t, "--data", t.TempDir(), "--bot", write(t, "bot.yaml", bot))
	var wg sync.WaitGroup
	for f := range 64 {
		wg.Go(func() {
			from := fmt.Sprintf("oFollower%d", f)
			for i := range 20 {
				want := fmt.Sprintf("%s says %d", from, i)
				status, body, err := deliver(account, p.url("many"), text(from, want, int64(f*1000+i+1)))
				if err != nil || status != 200 {
					t.Errorf("%s: status %d, %v", from, status, err)
					return
				}
				clear, err := oa.OpenReply(account, []byte(body))
				if err != nil {
					t.Errorf("%s: %v", from, err)
					return
				}
				elements, _ := oa.ParseElements(clear)
				to, _ := oa.Find(elements, "ToUserName")
				content, _ := oa.Find(elements, "Content")
				if to.Text != from || content.Text != want {
					t.Errorf("%s got the answer of %s: %q", from, to.Text, content.Text)
				}
			}
		})
	}
	wg.Wait()
	p.stop()
}

func TestRepeatGetsTheSameBytesAfterARestart(t *testing.T) {
	data := t.TempDir()
	p := serve(t, "--data", data)
	m := text("oA", "什么时候", 7)
	m.CreateTime -= 3
	first := mustDeliver(t, guest, p.url("hello"), m)
	again := mustDeliver(t, guest, p.url("hello"), m)
	p.stop()
	p = serve(t, "--data", data)
	if restarted := mustDeliver(t, guest, p.url("hello"), m); first != again || first != restarted {
		t.Errorf("the answers differ:\n%s\n%s\n%s", first, again, restarted)
	}
}

func TestSecondServerOnTheSameDirectory(t *testing.T) {
	data := t.TempDir()
	serve(t, "--data", data)
	_, stderr, code := wenzi(t, "serve", "--listen", "127.0.0.1:0", "--data", data)
	if code != 1 || !strings.Contains(stderr, "in use by another wenzi") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// The command that tries the server works where the server is.
func TestWelcomeOfANewUser(t *testing.T) {
	p := serve(t, "--data", t.TempDir())
	p.waitFor("try it without")
	want(t, "welcome", p.logged(), "say --url "+p.url("hello")+" 你好")
	p.stop()
	for listen, command := range map[string]string{
		"0.0.0.0:8080": "go run ./cmd/wenzi say 你好", "[::]:8080": "go run ./cmd/wenzi say 你好",
		"[::1]:8080": "go run ./cmd/wenzi say --url http://[::1]:8080/wechatMP/hello 你好",
	} {
		if got := tryCommand(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(listen)), nil); got != command {
			t.Errorf("%s: %s", listen, got)
		}
	}
}

// Who hosts many accounts is not shown them all, and one without a name has no
// empty one.
func TestWelcomeOfManyAccounts(t *testing.T) {
	accounts := "accounts:\n  - {path: shop, token: token, name: 小店}\n"
	for i := range mostWelcomed + 1 {
		accounts += fmt.Sprintf("  - {path: a%d, token: token}\n", i)
	}
	p := serve(t, "--data", t.TempDir(), "--bot", write(t, "bot.yaml", accounts))
	p.waitFor("try it without")
	want(t, "welcome", p.logged(), "「小店」 URL  http")
	want(t, "welcome", p.logged(), "\n  URL  http://你的域名/wechatMP/a0 ")
	want(t, "welcome", p.logged(), "还有 2 个账号")
	p.stop()
}

func TestListenersOfTheirOwn(t *testing.T) {
	p := serve(t, "--admin-listen", "127.0.0.1:0", "--data", t.TempDir())
	p.waitFor("try it without")
	m := regexp.MustCompile(`admin +(\S+)`).FindStringSubmatch(p.logged())
	if m == nil {
		t.Fatalf("no admin address in\n%s", p.logged())
	}
	for _, path := range []string{"/metrics", "/readyz", "/healthz", "/"} {
		if status, _ := get(t, p.base+path); status != 404 {
			t.Errorf("the callback's listener answers %s with %d", path, status)
		}
		if status, _ := get(t, "http://"+m[1]+path); status != 200 {
			t.Errorf("the admin listener answers %s with %d", path, status)
		}
	}
	if status, _, _ := deliver(guest, "http://"+m[1]+"/wechatMP/hello", text("oA", "hi", 1)); status != 404 {
		t.Errorf("the admin listener takes deliveries: %d", status)
	}
}

func TestLogsKeepSecrets(t *testing.T) {
	const bot = `
accounts:
  - path: slugslug
    token: secrettoken
    app_id: wx0123456789abcdef
    aes_key: abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG
    rules:
      - text: 谜语
        reply: 谜底
`
	account := oa.Account{Token: "secrettoken", AppID: "wx0123456789abcdef", AESKey: "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"}
	p := serve(t, "--data", t.TempDir(), "--bot", write(t, "bot.yaml", bot), "--open-hosting", "on", "--log-level", "debug")
	mustDeliver(t, account, p.url("slugslug"), text("oFollowerX", "谜语", 1))
	mustDeliver(t, guest, p.url("hello"), text("oFollowerX", "悄悄话", 2))
	deliver(oa.Account{Token: "othertoken"}, p.url("guesttoken"), text("oFollowerX", "悄悄话", 3))
	// A guest in 安全模式 cannot be read, and the log says what to change.
	mustDeliver(t, oa.Account{Token: "guesttoken", AppID: account.AppID, AESKey: account.AESKey}, p.url("guesttoken"), text("oFollowerX", "悄悄话", 4))
	p.stop()
	log := p.logged()
	if !strings.Contains(log, "明文模式") {
		t.Errorf("the log does not say what the guest in 安全模式 must change:\n%s", log)
	}
	_, log, _ = strings.Cut(log, "<aes_key> 你好") // what is for pasting may name addresses
	for _, secret := range []string{"secrettoken", "guesttoken", "othertoken", "slugslug", "hello", account.AESKey, "oFollowerX", "谜", "悄悄话"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q:\n%s", secret, log)
		}
	}
}

func TestStopFinishesWhatIsInFlight(t *testing.T) {
	p := serve(t, "--data", t.TempDir())
	var wg sync.WaitGroup
	var mu sync.Mutex
	answered, broken := 0, 0
	for f := range 16 {
		wg.Go(func() {
			for i := range 10_000 {
				status, _, err := deliver(guest, p.url("hello"), text(fmt.Sprintf("oF%d", f), "hi", int64(f*10_000+i+1)))
				mu.Lock()
				switch {
				case err == nil && status == 200:
					answered++
				case errors.Is(err, syscall.ECONNREFUSED):
					mu.Unlock()
					return
				default: // a request on a connection that was being closed
					broken++
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	p.waitUntil(func() bool { mu.Lock(); defer mu.Unlock(); return answered > 40 })
	p.stop()
	wg.Wait()
	if broken > 16 {
		t.Errorf("%d requests broke off, more than there were connections", broken)
	}
}
