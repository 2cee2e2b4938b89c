package sim_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

// echo answers as the smallest program does.
func echo(t *testing.T, a oa.Account) http.Handler {
	t.Helper()
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, m *oa.TextMessage) (oa.Reply, error) { return oa.Text(m.Content) })
	oa.On(mux, func(_ context.Context, m *oa.ImageMessage) (oa.Reply, error) { return oa.Image(m.MediaID) })
	oa.On(mux, func(context.Context, *oa.SubscribeEvent) (oa.Reply, error) { return oa.Text("Hi~ 终于等到你") })
	oa.On(mux, func(_ context.Context, e *oa.ClickEvent) (oa.Reply, error) {
		return oa.News(oa.Article{Title: e.Key, Description: "说明", PicURL: "https://example.com/p.jpg", URL: "https://example.com/a"})
	})
	srv, err := oa.NewServer(a, mux, oa.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	return srv
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL + "/wx?own=1"
}

// sender plays WeChat for an account; its connections end with the test.
func sender(t *testing.T, a oa.Account, url string) *sim.Sender {
	t.Helper()
	transport := sim.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	return &sim.Sender{Account: a, URL: url, Transport: transport}
}

func answer(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if header != nil {
			w.Header().Set(header[0], header[1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func TestDeliver(t *testing.T) {
	for _, a := range []oa.Account{plain, compat, secure} {
		wechat := sender(t, a, serve(t, echo(t, a)))
		for _, tt := range []struct {
			message oa.Message
			outcome sim.Outcome
			seen    string
		}{
			{text, sim.Answered, "你好"},
			{&oa.TextMessage{Header: head("text"), Content: "a]]>b <c> &d"}, sim.Answered, "a]]>b <c> &d"},
			{&oa.ImageMessage{Header: head("image"), MediaID: "m1"}, sim.Answered, "[图片] m1"},
			{&oa.SubscribeEvent{EventHeader: event("subscribe")}, sim.Answered, "Hi~ 终于等到你"},
			{click, sim.Answered, "[图文] ABOUT\n  说明\n  https://example.com/p.jpg\n  https://example.com/a"},
			{view, sim.Acknowledged, ""},
		} {
			e, err := wechat.Deliver(t.Context(), tt.message)
			if err != nil {
				t.Fatal(err)
			}
			if e.Verdict.Outcome != tt.outcome || e.Verdict.Problem != nil {
				t.Errorf("%s %v: %+v", e.Mode, tt.message, e.Verdict)
			}
			if len(e.Verdict.Bubbles) == 1 && e.Verdict.Bubbles[0].String() != tt.seen {
				t.Errorf("%s: seen %q, want %q", e.Mode, e.Verdict.Bubbles[0], tt.seen)
			}
		}
		e, err := wechat.Check(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if e.Verdict.Outcome != sim.Verified {
			t.Errorf("%s: check: %v", e.Mode, e.Verdict.Problem)
		}
	}
}

// WeChat sends these headers and no others (reference §8).
func TestHeadersOnTheWire(t *testing.T) {
	var got http.Header
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		if r.URL.Query().Get("own") != "1" || r.URL.Query().Get("openid") != follower || r.ContentLength <= 0 {
			t.Errorf("request %s", r.URL)
		}
		io.WriteString(w, "success")
	}))
	if _, err := sender(t, plain, url).Deliver(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	got.Del("Content-Length")
	got.Del("Cache-Control") // net/http's server adds it beside Pragma
	want := http.Header{"User-Agent": {"Mozilla/4.0"}, "Accept": {"*/*"}, "Pragma": {"no-cache"}, "Content-Type": {"text/xml"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Captures are HTTP/1.1 (reference §4.7), also over TLS.
func TestDeliverOverTLS(t *testing.T) {
	var proto string
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proto = r.Proto
		io.WriteString(w, "success")
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	transport := sim.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	wechat := sim.Sender{Account: plain, URL: srv.URL, Transport: transport}
	if e, err := wechat.Deliver(t.Context(), text); err != nil || e.Verdict.OK() || e.Verdict.Problem.Rule != sim.RuleConnection {
		t.Errorf("a certificate nobody trusts: %+v, %v", e, err)
	}
	transport.TLSClientConfig = srv.Client().Transport.(*http.Transport).TLSClientConfig
	if e, err := wechat.Deliver(t.Context(), text); err != nil || !e.Verdict.OK() || proto != "HTTP/1.1" {
		t.Errorf("%s: %+v, %v", proto, e, err)
	}
}

func TestDeliverToWrongServers(t *testing.T) {
	other := plain
	other.Token = "other"
	for _, tt := range []struct {
		name     string
		handler  http.Handler
		delivery sim.Rule
		check    sim.Rule
	}{
		{"another token", echo(t, other), sim.RuleStatus, sim.RuleStatus},
		{"another mode", echo(t, secure), sim.RuleStatus, ""},
		{"201", answer(201, "success"), sim.RuleStatus, sim.RuleStatus},
		{"quotes", answer(200, `"success"`), sim.RuleJSON, sim.RuleEchoStr},
		{"HTML", answer(200, "<html></html>"), sim.RuleHTML, sim.RuleHTML},
		{"redirect", http.RedirectHandler("https://example.com/", http.StatusMovedPermanently), sim.RuleRedirect, sim.RuleRedirect},
		{"gzip", answer(200, "\x1f\x8b", "Content-Encoding", "gzip"), sim.RuleCompression, sim.RuleCompression},
		{"broken off", answer(200, "<xml>", "Content-Length", "100"), sim.RuleConnection, sim.RuleConnection},
		{"hung up", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), sim.RuleConnection, sim.RuleConnection},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wechat := sender(t, plain, serve(t, tt.handler))
			for _, c := range []struct {
				send func(context.Context) (*sim.Exchange, error)
				want sim.Rule
			}{
				{func(ctx context.Context) (*sim.Exchange, error) { return wechat.Deliver(ctx, text) }, tt.delivery},
				{wechat.Check, tt.check},
			} {
				e, err := c.send(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				switch p := e.Verdict.Problem; {
				case c.want == "" && p != nil:
					t.Errorf("problem: %v", p)
				case c.want != "" && (p == nil || p.Rule != c.want):
					t.Errorf("problem %v, want %s", p, c.want)
				}
			}
		})
	}
}

func TestDeliverEndless(t *testing.T) {
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := io.WriteString(w, strings.Repeat("x", 4096)); err != nil {
				return
			}
		}
	}))
	e, err := sender(t, plain, url).Deliver(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	if p := e.Verdict.Problem; p == nil || p.Rule != sim.RuleSize || e.Verdict.Outcome != sim.Refused || !strings.Contains(p.English, "1048576") {
		t.Error(p)
	}
}

func TestDeliverNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	e, err := sender(t, plain, "http://"+l.Addr().String()+"/").Deliver(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	if p := e.Verdict.Problem; p == nil || p.Rule != sim.RuleConnection || !strings.Contains(p.English, "connection refused") {
		t.Error(p)
	}
}

// inMemory connects a transport to a server without sockets, which would stop
// the clock of synctest.
func inMemory(t *testing.T, h http.Handler) *http.Transport {
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	srv := &http.Server{Handler: h}
	go srv.Serve(l)
	transport := sim.NewTransport()
	transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		l.conns <- server
		return client, nil
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		srv.Close()
	})
	return transport
}

type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	close(l.closed)
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "pipe"} }

// wait takes its time, but not longer than anybody listens.
func wait(r *http.Request, d time.Duration) {
	select {
	case <-time.After(d):
	case <-r.Context().Done():
	}
}

// WeChat waits 5 seconds, also for the last byte of the body.
func TestPatience(t *testing.T) {
	for _, tt := range []struct {
		name        string
		before      time.Duration // the header
		inside      time.Duration // the body
		rules       sim.Rules
		wantElapsed time.Duration
		wantRule    sim.Rule
	}{
		{name: "in time", before: 4 * time.Second, inside: 900 * time.Millisecond, wantElapsed: 4900 * time.Millisecond},
		{name: "no header", before: 6 * time.Second, wantElapsed: 5 * time.Second, wantRule: sim.RuleTimeout},
		{name: "no end", before: time.Second, inside: 5 * time.Second, wantElapsed: 5 * time.Second, wantRule: sim.RuleTimeout},
		{name: "own limit", before: 3 * time.Second, rules: sim.Rules{Timeout: 2 * time.Second}, wantElapsed: 2 * time.Second, wantRule: sim.RuleTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				transport := inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					io.Copy(io.Discard, r.Body) // the server watches for a hang-up from here on
					wait(r, tt.before)
					io.WriteString(w, "succ")
					w.(http.Flusher).Flush()
					wait(r, tt.inside)
					io.WriteString(w, "ess")
				}))
				wechat := sim.Sender{Account: plain, URL: "http://server/", Transport: transport, Rules: tt.rules}
				e, err := wechat.Deliver(t.Context(), text)
				if err != nil {
					t.Fatal(err)
				}
				if e.Response.Elapsed != tt.wantElapsed {
					t.Errorf("elapsed %v, want %v", e.Response.Elapsed, tt.wantElapsed)
				}
				if p := e.Verdict.Problem; p == nil && tt.wantRule != "" || p != nil && p.Rule != tt.wantRule {
					t.Errorf("problem %v, want %q", p, tt.wantRule)
				}
			})
		})
	}
}

// What is wrong on this side is an error, and names no secret.
func TestDeliverErrors(t *testing.T) {
	stopped, stop := context.WithCancelCause(t.Context())
	stop(errors.New("stopped by hand"))
	url := serve(t, answer(200, "success"))
	for _, tt := range []struct {
		name    string
		ctx     context.Context
		account oa.Account
		url     string
		message oa.Message
		want    string
	}{
		{"no token", t.Context(), oa.Account{}, url, text, "needs a Token"},
		{"no key", t.Context(), oa.Account{Token: "x", Mode: oa.Secure}, url, text, "EncodingAESKey"},
		{"no scheme", t.Context(), plain, "127.0.0.1:8080/wechatMP/geheim", text, "http://host/path"},
		{"no host", t.Context(), plain, "http:///wechatMP/geheim", text, "http://host/path"},
		{"another scheme", t.Context(), plain, "ftp://host/wechatMP/geheim", text, "http://host/path"},
		{"no message", t.Context(), plain, url, nil, "message"},
		{"a message that is no XML", t.Context(), plain, url, &oa.UnknownEvent{EventHeader: event("x"), Elements: []oa.Element{{Name: "a b"}}}, "neither XML"},
		{"given up", stopped, plain, url, text, "stopped by hand"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wechat := sender(t, tt.account, tt.url)
			_, err := wechat.Deliver(tt.ctx, tt.message)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "geheim") {
				t.Errorf("Deliver: %v", err)
			}
			if tt.message != text {
				return
			}
			if _, err := wechat.Check(tt.ctx); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "geheim") {
				t.Errorf("Check: %v", err)
			}
		})
	}
}

// Without a transport of its own a sender uses the default one.
func TestDefaultTransport(t *testing.T) {
	wechat := sim.Sender{Account: plain, URL: serve(t, echo(t, plain))}
	e, err := wechat.Deliver(t.Context(), text)
	if err != nil || e.Verdict.Outcome != sim.Answered {
		t.Errorf("%+v, %v", e, err)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

func ExampleSender() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, m *oa.TextMessage) (oa.Reply, error) { return oa.Text("你说：" + m.Content) })
	account := oa.Account{Token: "hello"}
	handler, err := oa.NewServer(account, mux)
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()

	wechat := sim.Sender{Account: account, URL: server.URL}
	exchange, err := wechat.Deliver(context.Background(), &oa.TextMessage{
		Header:  oa.Header{ToUserName: "gh_0123456789ab", FromUserName: "oAbC", CreateTime: 1714112445, MsgType: "text"},
		Content: "你好",
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(exchange.Verdict.Outcome, exchange.Verdict.Bubbles[0])
	// Output: answered 你说：你好
}
