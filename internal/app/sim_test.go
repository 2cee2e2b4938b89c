package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/oa"
)

// startSim runs `wenzi sim` and returns its address and what it said at first.
func startSim(t *testing.T, args ...string) (base, welcome string) {
	t.Helper()
	cmd := program(context.Background(), append([]string{"sim", "--listen", "127.0.0.1:0"}, args...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(errs.String())
		}
		cmd.Process.Signal(syscall.SIGTERM)
		timer := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
		defer timer.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("wenzi sim ended with %v", err)
		}
	})
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		welcome += lines.Text() + "\n"
		if m := regexp.MustCompile(`page +(http://\S+)/$`).FindStringSubmatch(lines.Text()); m != nil {
			base = m[1]
		}
		if strings.Contains(lines.Text(), "/sim/events") {
			break
		}
	}
	if base == "" {
		t.Fatalf("wenzi sim did not start: %s%s", welcome, errs.String())
	}
	return base, welcome
}

// What it says at its start is true, and stopping does not wait for a stream.
func TestSim(t *testing.T) {
	server := sayServer(t, oa.Account{Token: "hello"})
	base, welcome := startSim(t, "--url", server)
	for _, want := range []string{"已启动", "AppID wx0123456789abcdef", "AppSecret 0123456789abcdef", "明文模式", server, base + "/v1", "https://api.weixin.qq.com"} {
		if !strings.Contains(welcome, want) {
			t.Errorf("no %q in\n%s", want, welcome)
		}
	}
	m := regexp.MustCompile(`curl -d '(.*)' '(http://.*)'`).FindStringSubmatch(welcome)
	if m == nil {
		t.Fatalf("no curl line in\n%s", welcome)
	}
	resp, err := http.Post(m[2], "application/json", strings.NewReader(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var sent struct {
		Fate    string
		Entries []struct {
			Bubble struct{ Text []struct{ Text string } }
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&sent); err != nil {
		t.Fatal(err)
	}
	if sent.Fate != "replied" || len(sent.Entries) != 1 || !strings.HasSuffix(sent.Entries[0].Bubble.Text[0].Text, "Content=你好") {
		t.Errorf("it became %+v", sent)
	}
	if status, body := get(t, base+"/"); status != 200 || !strings.Contains(body, "<html") {
		t.Errorf("the page: %d", status)
	}
	stream, err := http.Get(base + "/sim/events")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stream.Body.Close() }) // runs before the stop, but the connection is not idle until then
}

func TestSimUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--kind", "shop"}, "--kind: "},
		{[]string{"--url", "ftp://x"}, "--url: "},
		{[]string{"--mode", "secure"}, "EncodingAESKey"},
		{[]string{"--model-delay", "soon"}, "--model-delay: "},
	} {
		var out, errs bytes.Buffer
		if code := Run(t.Context(), append([]string{"sim"}, tt.args...), &out, &errs); code != 2 || !strings.Contains(errs.String(), tt.want) {
			t.Errorf("%q: status %d, %s%s", tt.args, code, out.String(), errs.String())
		}
	}
	base, welcome := startSim(t, "--url", "http://127.0.0.1:1/wx/geheim", "--aes-key", sayKey)
	if strings.Contains(welcome, "geheim") || !strings.Contains(welcome, "安全模式") {
		t.Errorf("welcome:\n%s", welcome)
	}
	_, _, code := wenzi(t, "sim", "--listen", strings.TrimPrefix(base, "http://"))
	if code != 1 {
		t.Errorf("an address that is taken: status %d", code)
	}
}

// chatting runs `wenzi sim chat` with lines on its standard input.
func chatting(t *testing.T, url string, lines ...string) (shown string, code int) {
	t.Helper()
	cmd := program(t.Context(), "sim", "chat", "--url", url)
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n"))
	out, err := cmd.CombinedOutput()
	if _, exit := errors.AsType[*exec.ExitError](err); err != nil && !exit {
		t.Fatal(err)
	}
	return regexp.MustCompile(`（(不到 )?[\d.]+ (毫秒|秒)，`).ReplaceAllString(string(out), "（… 毫秒，"), cmd.ProcessState.ExitCode()
}

func TestChat(t *testing.T) {
	url := sayTo(t, sayLinks(t))
	shown, code := chatting(t, url, "你好", "", "/关注", "/链接 2", "/tap 1", "//x", "/::)", "/scan 7", "/点 ABOUT", "/语音 天气", "/事件 VIEW https://example.com/", "/quit", "not said")
	want := `我        你好
公众号    text 你好                     （… 毫秒，明文，text）
我        [关注]
公众号    event/subscribe 官网（https://example.com/）继续（点按发送“下一页”）（… 毫秒，明文，text）
          /链接 1 官网   /链接 2 继续
我        下一页
公众号    text 下一页                   （… 毫秒，明文，text）
我        [打开网页] https://example.com/
我        /x
公众号    text /x                       （… 毫秒，明文，text）
我        /::)
公众号    text /::)                     （… 毫秒，明文，text）
我        [扫码] 7
公众号    event/SCAN                    （… 毫秒，明文，text）
我        [点菜单] ABOUT
公众号    event/CLICK                   （… 毫秒，明文，text）
我        [语音] 天气
公众号    voice 天气                    （… 毫秒，明文，text）
我        [点菜单，打开网页] https://example.com/
公众号    （不回复）                    （… 毫秒，明文）
提示：对这个事件的回复不会显示给任何人，回 success 就好（note: a reply to this event reaches nobody, answer success）
`
	shown = regexp.MustCompile(`(\[语音\] 天气) \S+`).ReplaceAllString(shown, "$1") // the MediaId
	if shown != want || code != 0 {
		t.Errorf("status %d\n%s", code, shown)
	}
}

// sayLinks says what it got, and two links to those who follow.
func sayLinks(t *testing.T) http.Handler {
	t.Helper()
	h := oa.HandlerFunc(func(_ context.Context, r *oa.Request) (oa.Reply, error) {
		said := strings.TrimSpace(r.Kind() + " " + r.Text())
		if r.Kind() == "event/subscribe" {
			said += ` <a href="https://example.com/">官网</a><a href="weixin://bizmsgmenu?msgmenucontent=%E4%B8%8B%E4%B8%80%E9%A1%B5&msgmenuid=1">继续</a>`
		}
		return oa.Text(said)
	})
	srv, err := oa.NewServer(oa.Account{Token: "hello"}, h)
	if err != nil {
		t.Fatal(err)
	}
	return srv
}

// Repeats are seen as they happen, and what got no answer is in the exit status.
func TestChatTrouble(t *testing.T) {
	var deliveries atomic.Int32
	url := sayTo(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if n := deliveries.Add(1); n == 1 || n > 2 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		io.WriteString(w, "success")
	}))
	shown, code := chatting(t, url, "第一句")
	if code != 0 || !strings.Contains(shown, "微信会再次投递") || !strings.HasSuffix(shown, "公众号    （不回复）                    （… 毫秒，明文，success，第 2 次投递）\n") {
		t.Errorf("status %d\n%s", code, shown)
	}
	shown, code = chatting(t, url, "第二句")
	if code != 1 || !strings.Contains(shown, "公众号    （HTTP 状态是 500，必须是 200）（… 毫秒，明文，第 3 次投递）\n") || !strings.HasSuffix(shown, "\n公众号    该公众号提供的服务出现故障，请稍后再试\n") {
		t.Errorf("status %d\n%s", code, shown)
	}
	for _, tt := range []struct{ line, want string }{
		{"/飞", "没有动作 /飞"},
		{"/链接 1", "没有第 1 个链接"},
		{"/点", "KEY"},
		{"/扫", "场景"},
		{"/事件", "名字"},
		{"/关注 我", "后面不带"},
	} {
		if shown, code := chatting(t, url, tt.line); code != 1 || !strings.Contains(shown, tt.want) {
			t.Errorf("%s: status %d, %s", tt.line, code, shown)
		}
	}
	shown, code = chatting(t, url, "/取关", "在吗")
	if code != 1 || !strings.Contains(shown, "微信没有推送：没有关注") {
		t.Errorf("status %d\n%s", code, shown)
	}
}

// Every act is in the help, and every one of the help does something.
func TestChatHelp(t *testing.T) {
	help, _ := chatting(t, "http://127.0.0.1:1/hello", "/帮助")
	var lines []string
	for _, a := range chatActs() {
		for _, name := range a.names[:2] {
			if !strings.Contains(help, "/"+name) {
				t.Errorf("no /%s in\n%s", name, help)
			}
		}
		if !slices.Contains([]string{"help", "quit", "tap"}, a.names[1]) {
			lines = append(lines, "/"+a.names[1]+" "+map[bool]string{true: "x"}[a.takes != ""])
		}
	}
	url := sayTo(t, sayLinks(t))
	// Whoever stops following does not see the rest.
	lines = slices.DeleteFunc(lines, func(l string) bool { return l == "/unsubscribe " })
	shown, code := chatting(t, url, lines...)
	if code != 0 || strings.Count(shown, "公众号    ") != len(lines) {
		t.Errorf("status %d for %q\n%s", code, lines, shown)
	}
	if _, errs, code := wenzi(t, "sim", "chat", "--url", "nowhere"); code != 2 || !strings.Contains(errs, "--url: ") {
		t.Errorf("status %d, %s", code, errs)
	}
}
