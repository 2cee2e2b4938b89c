package oa

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// server is a Server over real HTTP, with everything it logs and observes.
type server struct {
	*httptest.Server
	calls     func() int
	exchanges func() []Exchange
	logged    func() string
}

// echo answers texts with themselves, and anything else with its kind.
func echo(_ context.Context, r *Request) (Reply, error) {
	if text := r.Text(); text != "" {
		return Text(text)
	}
	return Text(r.Kind())
}

func serve(t testing.TB, a Account, handler HandlerFunc, options ...Option) *server {
	t.Helper()
	var (
		mu    sync.Mutex
		calls int
		seen  []Exchange
		log   lockedBuffer
	)
	counted := HandlerFunc(func(ctx context.Context, r *Request) (Reply, error) {
		mu.Lock()
		calls++
		mu.Unlock()
		return handler(ctx, r)
	})
	options = append([]Option{
		WithLogger(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))),
		WithObserver(func(_ *http.Request, x Exchange) { mu.Lock(); seen = append(seen, x); mu.Unlock() }),
	}, options...)
	s, err := NewServer(a, counted, options...)
	if err != nil {
		t.Fatal(err)
	}
	s2 := &server{
		Server:    httptest.NewServer(s),
		calls:     func() int { mu.Lock(); defer mu.Unlock(); return calls },
		exchanges: func() []Exchange { mu.Lock(); defer mu.Unlock(); return slices.Clone(seen) },
		logged:    log.String,
	}
	t.Cleanup(s2.Close)
	return s2
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// do sends a request as it is and reads the answer to its end.
func (s *server) do(t testing.TB, method, query, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+"/wx?"+query, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// query makes WeChat's query from names and values; an empty value is left out.
func query(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			b.WriteString("&" + pairs[i] + "=" + url.QueryEscape(pairs[i+1]))
		}
	}
	return strings.TrimPrefix(b.String(), "&")
}

func (v vector) query(openID string) string {
	return query("signature", Sign(v.token, v.timestamp, v.nonce), "timestamp", v.timestamp, "nonce", v.nonce,
		"openid", openID, "encrypt_type", "aes", "msg_signature", v.msgSignature)
}

func TestHandshake(t *testing.T) {
	for _, c := range []struct{ token, signature, timestamp, nonce, echostr string }{
		{"AAAAA", "f464b24fc39322e44b38aa78f5edd27bd1441696", "1714036504", "1514711492", "4375120948345356249"}, // reference §1
		{"AAAAA", "899cf89e464efb63f54ddac96b0a0a235f53aa78", "1714037059", "486452656", "1"},                    // §11
		{"GreedIsGood", "37cc4891f809493628677ae2b592e63c938c0b03", "1668869433", "977789310", "8641591277801631551"},
		{"GreedIsGood", "37cc4891f809493628677ae2b592e63c938c0b03", "1668869433", "977789310", "<b>&+ 中"},
	} {
		for _, mode := range []Mode{Plain, Compat, Secure} { // echostr is clear text in all of them
			a := testAccount(mode)
			a.Token = c.token
			s := serve(t, a, echo)
			q := query("nonce", c.nonce, "echostr", c.echostr, "signature", c.signature, "timestamp", c.timestamp)
			resp, body := s.do(t, "GET", q, "")
			h := resp.Header
			if resp.StatusCode != 200 || body != c.echostr || h.Get("Content-Type") != "text/plain; charset=utf-8" ||
				h.Get("X-Content-Type-Options") != "nosniff" || resp.ContentLength != int64(len(c.echostr)) {
				t.Errorf("%s: %d %q %v", mode, resp.StatusCode, body, h)
			}
			if resp, body = s.do(t, "HEAD", q, ""); resp.StatusCode != 200 || body != "" {
				t.Errorf("HEAD: %d %q", resp.StatusCode, body)
			}
			// The account's name, where there is nothing to echo.
			if resp, body = s.do(t, "GET", query("nonce", c.nonce, "signature", c.signature, "timestamp", c.timestamp), ""); resp.StatusCode != 200 || body != a.Name {
				t.Errorf("%s: without echostr %d %q", mode, resp.StatusCode, body)
			}
			for _, x := range s.exchanges() {
				if x.Outcome != Verified || x.Err != nil || x.Took <= 0 {
					t.Errorf("observed %+v", x)
				}
			}
			for name, q := range map[string]string{
				"another nonce":     query("nonce", c.nonce+"1", "echostr", c.echostr, "signature", c.signature, "timestamp", c.timestamp),
				"another timestamp": query("nonce", c.nonce, "echostr", c.echostr, "signature", c.signature, "timestamp", c.timestamp+"1"),
				"no echo for it":    query("nonce", c.nonce, "echostr", c.echostr, "timestamp", c.timestamp),
			} {
				if resp, body = s.do(t, "GET", q, ""); resp.StatusCode != 404 || body != "" {
					t.Errorf("%s: %d %q", name, resp.StatusCode, body)
				}
			}
		}
	}
}

// TestRefusal: what is not signed gets 404, an empty body, and nothing else.
func TestRefusal(t *testing.T) {
	a := testAccount(Plain)
	good := Sign(a.Token, "1714112445", "415670741")
	s := serve(t, a, echo)
	refused := 0
	for _, c := range []struct {
		name, method, query string
		why                 error
	}{
		{"no query", "POST", "", ErrNoSignature},
		{"no signature", "POST", "timestamp=1714112445&nonce=415670741", ErrNoSignature},
		{"empty signature", "POST", "signature=&timestamp=1714112445&nonce=415670741", ErrNoSignature},
		{"no nonce", "POST", "signature=" + good + "&timestamp=1714112445", ErrNoSignature},
		{"no timestamp", "POST", "signature=" + good + "&nonce=415670741", ErrNoSignature},
		{"wrong signature", "POST", "signature=" + strings.Repeat("0", 40) + "&timestamp=1714112445&nonce=415670741", ErrSignature},
		{"signature cut", "POST", "signature=" + good[:39] + "&timestamp=1714112445&nonce=415670741", ErrSignature},
		{"signature and more", "POST", "signature=" + good + "0&timestamp=1714112445&nonce=415670741", ErrSignature},
		{"upper case", "POST", "signature=" + strings.ToUpper(good) + "&timestamp=1714112445&nonce=415670741", ErrSignature},
		{"over another nonce", "POST", "signature=" + good + "&timestamp=1714112445&nonce=415670742", ErrSignature},
		{"parts moved", "POST", "signature=" + Sign(a.Token+"1", "714112445", "415670741") + "&timestamp=1714112445&nonce=415670741", ErrSignature},
		{"with an empty token", "POST", "signature=" + Sign("", "1714112445", "415670741") + "&timestamp=1714112445&nonce=415670741", ErrSignature},
		{"wrong first, right second", "POST", "signature=x&signature=" + good + "&timestamp=1714112445&nonce=415670741", ErrSignature},
		{"another method", "PUT", "signature=" + good + "&timestamp=1714112445&nonce=415670741", ErrMethod},
		{"a GET", "GET", "echostr=1", ErrNoSignature},
	} {
		resp, body := s.do(t, c.method, c.query, "<xml></xml>")
		resp.Header.Del("Date")
		resp.Header.Del("Connection") // the server does not want the rest of a body nobody read
		if resp.StatusCode != 404 || body != "" || resp.ContentLength != 0 || len(resp.Header) != 1 {
			t.Errorf("%s: %d %q %v", c.name, resp.StatusCode, body, resp.Header)
		}
		refused++
		if x := s.exchanges(); len(x) != refused || x[refused-1].Outcome != Refused || !errors.Is(x[refused-1].Err, c.why) {
			t.Errorf("%s: observed %+v", c.name, x)
		}
	}
	if s.calls() != 0 {
		t.Error("the handler ran")
	}
	if log := s.logged(); strings.Count(log, "\n") != refused || !strings.Contains(log, "服务器配置") || strings.Contains(log, good) || strings.Contains(log, a.Token) {
		t.Errorf("logged %s", log)
	}
}

// TestCaptured sends the deliveries of reference §11 as WeChat sent them.
func TestCaptured(t *testing.T) {
	ref := loadReference(t)
	for _, c := range []struct {
		vector, openID, reply string
		mode                  Mode
	}{
		{"G1", "oJqxQwYRyZMXFTc8sipB5TSe6Vw4", "测试文本消息/:share©", Compat},
		{"G2", "oJqxQwYRyZMXFTc8sipB5TSe6Vw4", "文本tdsa[Lol]§", Secure},
		{"H", "olPjZjsXuQPJoV0HlruZkNzKc91E", "你好", Secure},
		{"H", "olPjZjsXuQPJoV0HlruZkNzKc91E", "你好", Compat},
		{"O1", "o9AgO5Kd5ggOC-bXrbNODIiE3bGY", "event/debug_demo", Secure},
		{"O3", "o9AgO5Kd5ggOC-bXrbNODIiE3bGY", "event/debug_demo", Secure},
		{"A", "", "hello", Secure}, {"B", "", "hello", Secure}, {"C", "", "test", Secure}, {"F", "", "密文测试", Secure},
	} {
		t.Run(c.vector+" "+c.mode.String(), func(t *testing.T) {
			v := ref.vector(t, c.vector)
			s := serve(t, v.account(c.mode), echo)
			body := wrapped(t, v, c.mode)
			resp, got := s.do(t, "POST", v.query(c.openID), string(body))
			if resp.StatusCode != 200 {
				t.Fatalf("status %d: %+v", resp.StatusCode, s.exchanges())
			}
			want := "text/xml; charset=utf-8"
			if c.vector == "O1" {
				want = "application/json; charset=utf-8"
			}
			if ct := resp.Header.Get("Content-Type"); ct != want {
				t.Errorf("content type %s", ct)
			}
			clear, err := OpenReply(v.account(c.mode), []byte(got))
			if err != nil {
				t.Fatal(err)
			}
			elements, err := ParseElements(clear)
			if err != nil {
				t.Fatal(err)
			}
			if e, _ := Find(elements, "Content"); e.Text != c.reply {
				t.Errorf("reply %q, want %q", e.Text, c.reply)
			}
			to, _ := Find(elements, "ToUserName")
			if c.openID != "" && to.Text != c.openID {
				t.Errorf("reply goes to %q", to.Text)
			}
			// The same delivery as a repeat with another envelope, and in lower-case JSON of nobody's.
			if resp, _ := s.do(t, "POST", v.query(c.openID), strings.Replace(string(body), "Encrypt", "encrypt", 2)); resp.StatusCode != 404 {
				t.Errorf("no Encrypt: status %d", resp.StatusCode)
			}
			broken := v
			broken.msgSignature = Sign(v.token, v.timestamp, v.nonce+"1", v.encrypt)
			if resp, _ := s.do(t, "POST", broken.query(c.openID), string(body)); resp.StatusCode != 404 {
				t.Errorf("msg_signature over another nonce: status %d", resp.StatusCode)
			}
			if s.calls() != 1 {
				t.Errorf("the handler ran %d times", s.calls())
			}
		})
	}
}

// TestSignedNonsense: with a right msg_signature, what does not open is refused
// all the same (the negative cases of reference §11).
func TestSignedNonsense(t *testing.T) {
	v := loadReference(t).vector(t, "G2")
	s := serve(t, v.account(Secure), echo)
	other := v
	other.appID = "wx0000000000000000"
	other2 := v
	other2.key = testKey
	for name, encrypt := range map[string]string{
		"another AppID": other.seal(t, v.plain), "another key": other2.seal(t, v.plain), "cut": v.encrypt[:len(v.encrypt)-8], "no base64": "!!!!",
		"one block": "AAAAAAAAAAAAAAAAAAAAAA==",
	} {
		signed := v
		signed.encrypt, signed.msgSignature = encrypt, Sign(v.token, v.timestamp, v.nonce, encrypt)
		if resp, body := s.do(t, "POST", signed.query(""), string(wrapped(t, signed, Secure))); resp.StatusCode != 404 || body != "" {
			t.Errorf("%s: %d %q", name, resp.StatusCode, body)
		}
	}
	for _, x := range s.exchanges() {
		if x.Outcome != Refused || !errors.Is(x.Err, ErrCiphertext) && !errors.Is(x.Err, ErrAppID) {
			t.Errorf("observed %+v", x)
		}
	}
	if s.calls() != 0 {
		t.Error("the handler ran")
	}
}

// TestModeIsTheAccounts: nothing in a request makes an account in compat or
// secure mode take a body without a verified envelope (promise 4).
func TestModeIsTheAccounts(t *testing.T) {
	v := loadReference(t).vector(t, "G2")
	plain := v.plain
	half := strings.Replace(plain, "</xml>", "<Encrypt></Encrypt></xml>", 1)
	foreign := strings.Replace(plain, "</xml>", "<Encrypt><![CDATA["+v.encrypt[:40]+"]]></Encrypt></xml>", 1)
	json := `{"ToUserName":"gh","FromUserName":"o","MsgType":"text","Content":"x"}`
	bodies := map[string]string{"plain": plain, "half": half, "foreign": foreign, "json": json, "json half": `{"ToUserName":"gh","Encrypt":""}`,
		"json list": `{"Encrypt":["` + v.encrypt + `x"]}`, "empty": "", "unclosed": "<xml><Encrypt>" + v.encrypt, "attribute": `<xml><Encrypt a="1">x</Encrypt></xml>`}
	for _, mode := range []Mode{Compat, Secure} {
		s := serve(t, v.account(mode), echo)
		tried := 0
		for _, encryptType := range []string{"", "aes", "raw", "AES", "none"} {
			for _, msgSignature := range []string{"", "right", "wrong", "signature"} {
				for _, order := range []bool{false, true} {
					for name, body := range bodies {
						value := map[string]string{"": "", "right": v.msgSignature, "wrong": strings.Repeat("0", 40), "signature": v.signature}[msgSignature]
						pairs := []string{"signature", v.signature, "timestamp", v.timestamp, "nonce", v.nonce, "encrypt_type", encryptType, "msg_signature", value}
						if order {
							pairs = []string{"msg_signature", value, "encrypt_type", encryptType, "nonce", v.nonce, "timestamp", v.timestamp, "signature", v.signature}
						}
						tried++
						if resp, got := s.do(t, "POST", query(pairs...), body); resp.StatusCode != 404 || got != "" {
							t.Errorf("%s account, %s, %s body: %d %q", mode, query(pairs...), name, resp.StatusCode, got)
						}
					}
				}
			}
		}
		if s.calls() != 0 || tried < 16 {
			t.Errorf("%s: the handler ran %d times in %d tries", mode, s.calls(), tried)
		}
		// A right msg_signature for the plain text or for nothing is none either.
		for _, signed := range []string{"", plain} {
			q := query("signature", v.signature, "timestamp", v.timestamp, "nonce", v.nonce, "encrypt_type", "raw", "msg_signature", Sign(v.token, v.timestamp, v.nonce, signed))
			if resp, _ := s.do(t, "POST", q, plain); resp.StatusCode != 404 {
				t.Errorf("%s: signed %q: %d", mode, signed, resp.StatusCode)
			}
		}
		// And what is right goes through whatever encrypt_type says.
		for _, encryptType := range []string{"", "raw", "aes"} {
			q := query("signature", v.signature, "timestamp", v.timestamp, "nonce", v.nonce, "encrypt_type", encryptType, "msg_signature", v.msgSignature)
			if resp, got := s.do(t, "POST", q, string(wrapped(t, v, mode))); resp.StatusCode != 200 || !strings.Contains(got, "<Encrypt>") {
				t.Errorf("%s: the real delivery: %d %q", mode, resp.StatusCode, got)
			}
		}
	}
}

// TestCompatForged: what a follower writes into the clear part of a compat body
// neither reaches the handler nor makes the delivery fail.
func TestCompatForged(t *testing.T) {
	v := loadReference(t).vector(t, "G1")
	s := serve(t, v.account(Compat), echo)
	for _, field := range []string{"Title", "Description", "Url", "Label", "Content"} {
		for _, text := range []string{
			"]]></" + field + ">]]></" + field + "><", "x]]></" + field + "><Encrypt><![CDATA[AAAA]]></Encrypt><" + field + "><![CDATA[",
			"</xml><xml>", "<Encrypt>", "\x02\xff", "{", "]]></" + field + "></xml>",
		} {
			body := "<xml>\n    <" + field + "><![CDATA[" + text + "]]></" + field + ">\n    <Encrypt><![CDATA[" + v.encrypt + "]]></Encrypt>\n</xml>\n"
			if resp, _ := s.do(t, "POST", v.query(""), body); resp.StatusCode != 200 {
				t.Errorf("%s %q: %d", field, text, resp.StatusCode)
			}
		}
	}
	for _, x := range s.exchanges() {
		if x.Outcome != Answered || x.Kind != "text" {
			t.Errorf("observed %+v", x)
		}
	}
}

// TestRotation: during a change the previous Token and key are taken too, and
// the reply is sealed with what the delivery came with (reference §3.6).
func TestRotation(t *testing.T) {
	now := testAccount(Secure)
	before := now
	before.Token, before.AESKey = "before", "BCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqr"[:43]
	now.PreviousToken, now.PreviousAESKey = before.Token, before.AESKey
	s := serve(t, now, echo)
	for _, token := range []string{now.Token, before.Token} {
		for _, key := range []string{now.AESKey, before.AESKey} {
			a := Account{AppID: now.AppID, Token: token, AESKey: key}
			req, err := NewDelivery(a, s.URL, []byte(plainText("hello")))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := s.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if clear, err := OpenReply(a, body); err != nil || !bytes.Contains(clear, []byte("hello")) {
				t.Errorf("token %s, key %.3s…: %q, %v", token, key, clear, err)
			}
		}
	}
	// The reason names what is wrong, whichever key comes first.
	for _, key := range []string{now.AESKey, before.AESKey} {
		req, err := NewDelivery(Account{AppID: "wx9", Token: now.Token, AESKey: key}, s.URL, []byte(plainText("hello")))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if x := s.exchanges(); resp.StatusCode != 404 || !errors.Is(x[len(x)-1].Err, ErrAppID) {
			t.Errorf("key %.3s…, another AppID: %d, %v", key, resp.StatusCode, x[len(x)-1].Err)
		}
	}
}

func plainText(content string) string {
	return "<xml><ToUserName><![CDATA[gh_0123456789ab]]></ToUserName>\n<FromUserName><![CDATA[oAbCdEfGhIjKlMnOpQrStUvWxYz1]]></FromUserName>\n" +
		"<CreateTime>1714112445</CreateTime>\n<MsgType><![CDATA[text]]></MsgType>\n<Content><![CDATA[" + content + "]]></Content>\n<MsgId>24537625000000001</MsgId>\n</xml>"
}

// signed is the query of a plain delivery.
func signed(a Account, openID string) string {
	return query("signature", Sign(a.Token, "1714112445", "415670741"), "timestamp", "1714112445", "nonce", "415670741", "openid", openID)
}

// TestAcknowledged: verified, but nothing to say: the seven bytes, and 200.
func TestAcknowledged(t *testing.T) {
	const openID = "oAbCdEfGhIjKlMnOpQrStUvWxYz1"
	for _, mode := range []Mode{Plain, Compat, Secure} {
		secret := errors.New("wants hello, " + openID + ", the token is tok-3-n")
		a := testAccount(mode)
		a.Token = "tok-3-n"
		for _, c := range []struct {
			name, body string
			handler    HandlerFunc
			want       Outcome
			called     bool
		}{
			{"none", plainText("hello"), func(context.Context, *Request) (Reply, error) { return None() }, Acknowledged, true},
			{"Encoded nothing", plainText("hello"), func(context.Context, *Request) (Reply, error) { return Encoded(nil), nil }, Acknowledged, true},
			{"error", plainText("hello"), func(context.Context, *Request) (Reply, error) { return Reply{}, secret }, Failed, true},
			{"error and reply", plainText("hello"), func(context.Context, *Request) (Reply, error) { r, _ := Text("hello"); return r, secret }, Failed, true},
			{"too long", plainText("hello"), func(context.Context, *Request) (Reply, error) { return Text(strings.Repeat("hello", 500)) }, Failed, true},
			{"panic", plainText("hello"), func(_ context.Context, r *Request) (Reply, error) { panic(r.Text() + secret.Error()) }, Failed, true},
			{"panic with an error", plainText("hello"), func(context.Context, *Request) (Reply, error) { panic(secret) }, Failed, true},
			{"nil dereference", plainText("hello"), func(_ context.Context, r *Request) (Reply, error) { return Text(r.Message.(*ImageMessage).MediaID) }, Failed, true},
			{"third-party push", "<xml><AppId>wx1</AppId><InfoType>authorized</InfoType></xml>", echo, Acknowledged, true},
			{"unknown type", strings.Replace(plainText("hello"), "[text]", "[brand_new]", 1), func(_ context.Context, r *Request) (Reply, error) {
				if _, ok := r.Message.(*UnknownMessage); !ok {
					return Text("known?")
				}
				return None()
			}, Acknowledged, true},
			{"a sender of a kilobyte", strings.ReplaceAll(plainText("hello"), openID, strings.Repeat("o", 1000)), echo, Unreadable, false},
			{"no message", "<xml><hello>" + openID + "</hello></xml>", echo, Unreadable, false},
			{"no XML", "hello " + openID, echo, Unreadable, false},
			{"nothing", "", echo, Unreadable, false},
			{"forged sender", strings.Replace(plainText("hello"), openID, "oVictim", 1), echo, Unreadable, false},
		} {
			s := serve(t, a, c.handler)
			q, body := signed(a, openID), c.body
			if mode != Plain {
				k, err := ParseKey(a.AESKey)
				if err != nil {
					t.Fatal(err)
				}
				encrypt := k.Seal([]byte(c.body), a.AppID)
				q += "&encrypt_type=aes&msg_signature=" + Sign(a.Token, "1714112445", "415670741", encrypt)
				body = "<xml><Encrypt><![CDATA[" + encrypt + "]]></Encrypt></xml>"
			}
			resp, got := s.do(t, "POST", q, body)
			if resp.StatusCode != 200 || got != "success" || resp.ContentLength != 7 || resp.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Errorf("%s, %s: %d %q %v", mode, c.name, resp.StatusCode, got, resp.Header)
			}
			if (s.calls() == 1) != c.called {
				t.Errorf("%s, %s: the handler ran %d times", mode, c.name, s.calls())
			}
			x := s.exchanges()
			if len(x) != 1 || x[0].Outcome != c.want || (x[0].Err == nil) != (c.want == Acknowledged) {
				t.Errorf("%s, %s: observed %+v", mode, c.name, x)
			}
			log := s.logged()
			for _, private := range []string{openID, "hello", a.Token, "oVictim", a.AESKey[:10], "/wx", "signature="} {
				if strings.Contains(log, private) {
					t.Errorf("%s, %s: the log has %s: %s", mode, c.name, private, log)
				}
			}
			if (c.want == Acknowledged) != (log == "") {
				t.Errorf("%s, %s: logged %q", mode, c.name, log)
			}
		}
	}
}

// TestHostileKind: an event can have any name, and the log stays readable.
func TestHostileKind(t *testing.T) {
	a := testAccount(Plain)
	s := serve(t, a, func(context.Context, *Request) (Reply, error) { return Reply{}, errors.New("no") })
	body := "<xml><ToUserName>gh</ToUserName><FromUserName>o</FromUserName><MsgType>event</MsgType><Event>" + strings.Repeat("长", 10_000) + "</Event></xml>"
	if resp, got := s.do(t, "POST", signed(a, "o"), body); resp.StatusCode != 200 || got != "success" {
		t.Errorf("%d %q", resp.StatusCode, got)
	}
	if x := s.exchanges(); len(x) != 1 || len(x[0].Kind) > 64 || !strings.HasPrefix(x[0].Kind, "event/长") || len(s.logged()) > 500 {
		t.Errorf("observed %+v, logged %d bytes", x, len(s.logged()))
	}
}

func TestLimits(t *testing.T) {
	a := testAccount(Plain)
	const openID = "oAbCdEfGhIjKlMnOpQrStUvWxYz1"
	s := serve(t, a, func(_ context.Context, r *Request) (Reply, error) { return Text(strconv.Itoa(len(r.Text()))) }, WithMaxBody(10_000))
	frame := len(plainText(""))
	for _, c := range []struct{ size, calls int }{{10_000, 1}, {10_001, 0}, {300_000, 0}, {4_096, 1}, {1, 0}} {
		before := s.calls()
		body := plainText(strings.Repeat("x", max(0, c.size-frame)))[:c.size]
		resp, got := s.do(t, "POST", signed(a, openID), body)
		if resp.StatusCode != 200 || s.calls()-before != c.calls || (got == "success") != (c.calls == 0) {
			t.Errorf("%d bytes: %d %q, handler ran %d times", c.size, resp.StatusCode, got, s.calls()-before)
		}
	}
	// Chunked, as no proxy should but some do.
	req, err := http.NewRequest("POST", s.URL+"/?"+signed(a, openID), struct{ io.Reader }{strings.NewReader(plainText("abc"))})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Contains(got, []byte("[CDATA[3]]")) {
		t.Errorf("chunked: %s, %v", got, err)
	}
}

// TestLongReply: a reply has its length in the head, however long it is. Over
// 2 KiB net/http would send it in chunks.
func TestLongReply(t *testing.T) {
	long := strings.Repeat("中", MaxTextBytes/3)
	for _, mode := range []Mode{Plain, Compat, Secure} {
		a := testAccount(mode)
		s := serve(t, a, func(context.Context, *Request) (Reply, error) { return Text(long) })
		req, err := NewDelivery(a, s.URL+"/wx", []byte(plainText("x")))
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := req.Write(conn); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || len(body) <= 2048 || resp.ContentLength != int64(len(body)) || len(resp.TransferEncoding) > 0 {
			t.Errorf("%s: %d bytes, length %d, %v, %v", mode, len(body), resp.ContentLength, resp.TransferEncoding, err)
		}
	}
}

// TestGuest: an account in plain mode reads the clear part of a compat body, and
// says what is wrong where there is none.
func TestGuest(t *testing.T) {
	a := Account{Token: "hello"}
	v := loadReference(t).vector(t, "G1")
	s := serve(t, a, echo)
	q := signed(a, "oJqxQwYRyZMXFTc8sipB5TSe6Vw4") + "&encrypt_type=aes&msg_signature=" + v.msgSignature
	if resp, got := s.do(t, "POST", q, string(wrapped(t, v, Compat))); resp.StatusCode != 200 || !strings.Contains(got, "<![CDATA[测试文本消息/:share©]]>") {
		t.Errorf("compat: %d %q", resp.StatusCode, got)
	}
	if resp, got := s.do(t, "POST", q, string(wrapped(t, v, Secure))); resp.StatusCode != 200 || got != "success" || !strings.Contains(s.logged(), "明文模式") {
		t.Errorf("secure: %d %q, log %s", resp.StatusCode, got, s.logged())
	}
}

func TestTimestampAfter2038(t *testing.T) {
	for _, mode := range []Mode{Plain, Compat, Secure} {
		a := testAccount(mode)
		body := strings.ReplaceAll(plainText("x"), "1714112445", "2200000000")
		s := serve(t, a, func(_ context.Context, r *Request) (Reply, error) {
			return Text(fmt.Sprint(r.Message.Head().CreateTime, " ", r.Timestamp))
		})
		req, err := newDelivery(a, s.URL, []byte(body), "2200000001", "7")
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil && mode != Plain {
			got, err = OpenReply(a, got)
		}
		if err != nil || !bytes.Contains(got, []byte("[2200000000 2200000001]")) {
			t.Errorf("%s: %s, %v", mode, got, err)
		}
	}
}

// TestFollowersApart: 64 followers at once in three modes; nobody gets what
// belongs to another.
func TestFollowersApart(t *testing.T) {
	const followers, messages = 64, 12
	var accounts []Account
	var servers []*server
	for _, mode := range []Mode{Plain, Compat, Secure} {
		a := testAccount(mode)
		accounts = append(accounts, a)
		servers = append(servers, serve(t, a, func(_ context.Context, r *Request) (Reply, error) {
			return Text(r.Message.Head().FromUserName + " says " + r.Text() + " in " + r.Body()[:5])
		}))
	}
	var wg sync.WaitGroup
	for f := range followers {
		wg.Go(func() {
			who := fmt.Sprintf("oFollower%03d", f)
			for n := range messages {
				a, s := accounts[(f+n)%3], servers[(f+n)%3]
				what := strings.Repeat(fmt.Sprintf("<%d-%d]]>", f, n), 1+(f*n)%40)
				req, err := NewDelivery(a, s.URL, []byte(strings.Replace(plainText(what), "oAbCdEfGhIjKlMnOpQrStUvWxYz1", who, 1)))
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := s.Client().Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err == nil && a.mode() != Plain {
					body, err = OpenReply(a, body)
				}
				if err != nil {
					t.Error(err)
					return
				}
				elements, err := ParseElements(body)
				if err != nil {
					t.Error(err)
					return
				}
				to, _ := Find(elements, "ToUserName")
				content, _ := Find(elements, "Content")
				if want := who + " says " + what + " in <xml>"; to.Text != who || content.Text != want {
					t.Errorf("%s got %q for %s, want %q", who, content.Text, to.Text, want)
				}
			}
		})
	}
	wg.Wait()
}

func TestParseQuery(t *testing.T) {
	for raw, want := range map[string]parameters{
		"": {}, "&&=&": {},
		"signature=a&timestamp=1&nonce=2&openid=o&msg_signature=m&echostr=e": {signature: "a", timestamp: "1", nonce: "2", openID: "o", msgSignature: "m", echostr: "e", hasEcho: true},
		"echostr":              {hasEcho: true},
		"nonce=1&nonce=2":      {nonce: "1"},
		"nonce=&nonce=2":       {},
		"nonce=%zz&nonce=2":    {nonce: "2"},
		"nonce=a%20b+c%2B=d":   {nonce: "a b c+=d"},
		"Nonce=1&xnonce=2":     {},
		"a=b&signature=x&c=%d": {signature: "x"},
	} {
		if got := parseQuery(raw); got != want {
			t.Errorf("%s: %+v, want %+v", raw, got, want)
		}
	}
}
