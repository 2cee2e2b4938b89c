package app

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/wenzihq/wenzi/oa"
)

const (
	sayKey   = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	sayAppID = "wx0123456789abcdef"
)

var sayCrypto = []string{"--aes-key", sayKey, "--app-id", sayAppID}

// say runs the command in this process.
func say(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Run(t.Context(), append([]string{"say"}, args...), &out, &errs)
	return out.String(), errs.String(), code
}

// sayServer answers what it is told in the terms of oa: the type of every
// message and what is particular about it.
func sayServer(t *testing.T, a oa.Account) string {
	t.Helper()
	h := oa.HandlerFunc(func(_ context.Context, r *oa.Request) (oa.Reply, error) {
		h := r.Message.Head()
		said := []string{r.Kind(), h.FromUserName, h.ToUserName}
		for _, name := range []string{"Content", "MediaId", "Recognition", "Label", "Url", "Title", "EventKey", "Ticket", "Latitude"} {
			if e, ok := oa.Find(r.Elements(), name); ok && e.Text != "" {
				said = append(said, name+"="+e.Text)
			}
		}
		return oa.Text(strings.Join(said, " "))
	})
	srv, err := oa.NewServer(a, h, oa.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	return sayTo(t, srv)
}

func sayTo(t *testing.T, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL + "/wechatMP/hello"
}

func TestSayKinds(t *testing.T) {
	url := sayServer(t, oa.Account{Token: "hello"})
	const who = " oWenziSayAAAAAAAAAAAAAAAAAAA gh_0123456789ab"
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"你好", "世界"}, "text" + who + " Content=你好 世界"},
		{[]string{"--openid", "oMe", "--to", "gh_you", "hi"}, "text oMe gh_you Content=hi"},
		{[]string{"--image"}, "image" + who + " MediaId=media_id_image"},
		{[]string{"--image", "M1"}, "image" + who + " MediaId=M1"},
		{[]string{"--voice", "--recognition", "天气"}, "voice" + who + " MediaId=media_id_voice Recognition=天气"},
		{[]string{"--video", "M2"}, "video" + who + " MediaId=M2"},
		{[]string{"--location", "故宫"}, "location" + who + " Label=故宫"},
		{[]string{"--link"}, "link" + who + " Url=https://example.com/article Title=一篇文章"},
		{[]string{"--file", "a.pdf"}, "file" + who + " Title=a.pdf"},
		{[]string{"--click", "ABOUT"}, "event/CLICK" + who + " EventKey=ABOUT"},
		{[]string{"--event", "click", "--key", "ABOUT"}, "event/CLICK" + who + " EventKey=ABOUT"},
		{[]string{"--event", "subscribe"}, "event/subscribe" + who},
		{[]string{"--event", "Subscribe", "--scene", "7"}, "event/subscribe" + who + " EventKey=qrscene_7 Ticket=gQH47joAAAAAAAAAASxodHRwOi8v"},
		{[]string{"--event", "scan", "--scene", "7"}, "event/SCAN" + who + " EventKey=7 Ticket=gQH47joAAAAAAAAAASxodHRwOi8v"},
		{[]string{"--event", "LOCATION"}, "event/LOCATION" + who + " Latitude=23.106574"},
		{[]string{"--event", "scancode_waitmsg", "--key", "S"}, "event/scancode_waitmsg" + who + " EventKey=S"},
		{[]string{"--event", "brand_new", "--key", "K"}, "event/brand_new" + who + " EventKey=K"},
	} {
		out, errs, code := say(t, append(tt.args, "--url", url)...)
		if code != 0 || errs != "" || !strings.Contains(out, "\n公众号    "+tt.want) || !strings.Contains(out, "明文，text）\n") {
			t.Errorf("%q: status %d, %s%s", tt.args, code, out, errs)
		}
	}
}

func TestSayTranscript(t *testing.T) {
	url := sayTo(t, sayEcho(t, oa.Account{Token: "hello"}))
	out, _, code := say(t, "--url", url, "你好")
	out = regexp.MustCompile(`（.*? ?毫秒，`).ReplaceAllString(out, "（… 毫秒，")
	want := "我        你好\n公众号    你好                          （… 毫秒，明文，text）\n"
	if out != want || code != 0 {
		t.Errorf("status %d\n%s", code, out)
	}
}

func sayEcho(t *testing.T, a oa.Account) http.Handler {
	t.Helper()
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, m *oa.TextMessage) (oa.Reply, error) { return oa.Text(m.Content) })
	srv, err := oa.NewServer(a, mux, oa.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	return srv
}

func TestSayModes(t *testing.T) {
	for _, tt := range []struct {
		mode oa.Mode
		args []string
		want string
	}{
		{oa.Secure, sayCrypto, "，安全，text）"},
		{oa.Secure, append([]string{"--mode", "secure"}, sayCrypto...), "，安全，text）"},
		{oa.Compat, append([]string{"--mode", "兼容"}, sayCrypto...), "，兼容，text）"},
		{oa.Plain, append([]string{"--mode", "plain"}, sayCrypto...), "，明文，text）"},
	} {
		url := sayTo(t, sayEcho(t, oa.Account{Token: "geheim", AppID: sayAppID, AESKey: sayKey, Mode: tt.mode}))
		out, errs, code := say(t, append(tt.args, "--url", url, "--token", "geheim", "a]]>b")...)
		if code != 0 || !strings.Contains(out, "公众号    a]]>b ") || !strings.Contains(out, tt.want) {
			t.Errorf("%s: status %d, %s%s", tt.mode, code, out, errs)
		}
		if strings.Contains(out+errs, "geheim") {
			t.Errorf("%s: the token is shown: %s", tt.mode, out)
		}
		if out, _, code := say(t, append(tt.args, "--url", url, "--token", "geheim", "--check")...); code != 0 || !strings.Contains(out, "验证通过") {
			t.Errorf("%s: check: status %d, %s", tt.mode, code, out)
		}
	}
}

func TestSaySuccess(t *testing.T) {
	url := sayTo(t, sayEcho(t, oa.Account{Token: "hello"}))
	out, _, code := say(t, "--url", url, "--event", "unsubscribe")
	if code != 0 || !strings.Contains(out, "我        [取消关注]\n公众号    （不回复）") || !strings.Contains(out, "success）") {
		t.Errorf("status %d, %s", code, out)
	}
}

// Two calls are two messages, unless they are told to be one.
func TestSayMessageIDs(t *testing.T) {
	var ids []string
	url := sayTo(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		elements, err := oa.ParseElements(body)
		if err != nil {
			t.Error(err)
		}
		id, _ := oa.Find(elements, "MsgId")
		ids = append(ids, id.Text)
		io.WriteString(w, "success")
	}))
	for _, args := range [][]string{{"a"}, {"a"}, {"--msg-id", "42", "a"}, {"a", "--msg-id", "42"}} {
		if out, errs, code := say(t, append(args, "--url", url)...); code != 0 {
			t.Fatalf("%s%s", out, errs)
		}
	}
	if len(ids) != 4 || ids[0] == ids[1] || ids[0] == "" || ids[2] != "42" || ids[3] != "42" {
		t.Errorf("ids %q", ids)
	}
}

func TestSayRefused(t *testing.T) {
	answer := func(status int, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://example.com/wechatMP/geheim")
			w.WriteHeader(status)
			io.WriteString(w, body)
		})
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	secure := oa.Account{Token: "hello", AppID: sayAppID, AESKey: sayKey}
	for _, tt := range []struct {
		name string
		url  string
		args []string
		want []string
	}{
		{"nobody listens", "http://" + l.Addr().String() + "/wechatMP/hello", nil, []string{"微信没有收到回复：连不上服务器", "先运行 wenzi serve", "is `wenzi serve` running"}},
		{"hangs up", sayTo(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })), nil, []string{"连接中断", "检查 --url 的主机和端口"}},
		{"404", sayTo(t, answer(404, "")), nil, []string{"微信会拒绝这个回复：HTTP 状态是 404，必须是 200（WeChat would refuse the reply: the HTTP status is 404, it must be 200）", "微信会再次投递", "--token"}},
		{"another token", sayTo(t, sayEcho(t, secure)), append([]string{"--token", "other"}, sayCrypto...), []string{"404", "--aes-key"}},
		{"405", sayTo(t, answer(405, "")), nil, []string{"GET 和 POST"}},
		{"500", sayTo(t, answer(500, "")), nil, []string{"看服务器的日志"}},
		{"502", sayTo(t, answer(502, "")), nil, []string{"代理后面的服务没有运行"}},
		{"201", sayTo(t, answer(201, "success")), nil, []string{"HTTP 状态是 201"}},
		{"redirect", sayTo(t, answer(301, "")), nil, []string{"重定向到 https://example.com/…", "改成重定向后的地址"}},
		{"clear in secure mode", sayTo(t, answer(200, "<xml><MsgType>text</MsgType></xml>")), sayCrypto, []string{"回复却没有加密", "要一致", "公众号    该公众号提供的服务出现故障，请稍后再试"}},
		{"quoted success", sayTo(t, answer(200, `"success"`)), nil, []string{`success 带了引号`, "success stands in quotes"}},
		{"check", sayTo(t, answer(200, `hello`)), []string{"--check"}, []string{"没有验证通过", `微信会拒绝这个地址：回答 "hello" 不是 echostr`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // repeats take a second
			args := append([]string{"--url", tt.url}, tt.args...)
			if tt.name != "check" {
				args = append(args, "你好")
			}
			out, errs, code := say(t, args...)
			if code != 1 || errs != "" {
				t.Errorf("status %d, stderr %q", code, errs)
			}
			for _, want := range tt.want {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
			if strings.Contains(out, "geheim") {
				t.Error("the token is shown")
			}
		})
	}
}

// The answer to a repeat is an answer; a notice stands where there is none.
func TestSayRepeats(t *testing.T) {
	var deliveries atomic.Int32
	failing := func(times int32) string {
		deliveries.Store(0)
		echo := sayEcho(t, oa.Account{Token: "hello"})
		return sayTo(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if deliveries.Add(1) <= times {
				panic(http.ErrAbortHandler)
			}
			echo.ServeHTTP(w, r)
		}))
	}
	out, _, code := say(t, "--url", failing(2), "你好")
	if code != 0 || strings.Count(out, "你好") != 2 || !strings.Contains(out, "微信会再次投递") || !strings.Contains(out, "，第 2 次投递）\n公众号    你好") ||
		!strings.Contains(out, "，明文，text，第 3 次投递）\n") || strings.Contains(out, "下一步") {
		t.Errorf("status %d\n%s", code, out)
	}
	out, _, code = say(t, "--url", failing(9), "你好")
	if code != 1 || deliveries.Load() != 3 || !strings.Contains(out, "第 3 次投递）\n公众号    该公众号提供的服务出现故障，请稍后再试\n下一步：") {
		t.Errorf("status %d, %d deliveries\n%s", code, deliveries.Load(), out)
	}
	out, _, code = say(t, "--once", "--url", failing(9), "你好")
	if code != 1 || deliveries.Load() != 1 || strings.Contains(out, "\n公众号    该公众号提供的服务出现故障") || !strings.Contains(out, "微信会再次投递") {
		t.Errorf("--once: status %d, %d deliveries\n%s", code, deliveries.Load(), out)
	}
}

func TestSayUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "wenzi say 你好"},
		{[]string{"--image", "--click", "X"}, "--image and --click"},
		{[]string{"--url", "127.0.0.1:8080/geheim", "hi"}, "--url: 应是 http://"},
		{[]string{"--url", "http://127.0.0.1:8080", "hi"}, "--token: "},
		{[]string{"--mode", "x", "hi"}, "--mode: "},
		{[]string{"--mode", "secure", "hi"}, "EncodingAESKey"},
		{[]string{"--aes-key", "geheim", "--app-id", "wx", "hi"}, "43 characters"},
		{[]string{"--recognition", "x", "hi"}, "--recognition: "},
		{[]string{"--scene", "7", "hi"}, "--scene: "},
		{[]string{"--key", "X", "hi"}, "--key: "},
		{[]string{"--event", "SCAN", "--scene", "7", "--key", "X"}, "--key: "},
		{[]string{"--event", "subscribe", "--msg-id", "1"}, "--msg-id: "},
		{[]string{"--event", "subscribe", "hi"}, "事件不带文字"},
		{[]string{"--check", "hi"}, "--check: "},
	} {
		out, errs, code := say(t, tt.args...)
		if code != 2 || out != "" || !strings.Contains(errs, tt.want) || strings.Contains(errs, "geheim") {
			t.Errorf("%q: status %d, %s%s", tt.args, code, out, errs)
		}
	}
}

func TestSayRaw(t *testing.T) {
	url := sayTo(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "雯子\x1b[31m\xff\nzwei")
	}))
	out, _, code := say(t, "--raw", "--url", url, "你好")
	for _, want := range []string{
		"\n> POST " + url + "?signature=", "\n> Content-Type: text/xml\n", "\n>\n> <xml><ToUserName>", "> <Content><![CDATA[你好]]></Content>\n",
		"\n< HTTP 200\n", "\n<\n< 雯子\\x1b[31m\\xff\n< zwei\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if code != 1 {
		t.Errorf("status %d", code)
	}
	if out, _, _ := say(t, "--raw", "--check", "--url", url); !strings.Contains(out, "\n> GET "+url+"?") {
		t.Errorf("check:\n%s", out)
	}
}

func TestSayInterrupted(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	url := sayTo(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		stop()
		<-r.Context().Done()
	}))
	var out, errs bytes.Buffer
	if code := Run(ctx, []string{"say", "--url", url, "hi"}, &out, &errs); code != 1 || out.Len() > 0 || !strings.Contains(errs.String(), "given up") {
		t.Errorf("status %d, %s%s", code, out.String(), errs.String())
	}
}
