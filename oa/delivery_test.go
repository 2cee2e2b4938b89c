package oa

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const testKey = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"

func testAccount(mode Mode) Account {
	return Account{Name: "是雯子吖", AppID: "wx0123456789abcdef", Token: "hello", AESKey: testKey, Mode: mode}
}

// wrapped is the body that WeChat makes of a vector, with its random bytes.
func wrapped(t testing.TB, v vector, mode Mode) []byte {
	t.Helper()
	body, err := wrap(mode, []byte(v.plain), v.encrypt)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// TestWrap is the byte layout of reference §2.2.
func TestWrap(t *testing.T) {
	ref := loadReference(t)
	if n := len(wrapped(t, ref.vector(t, "G1"), Compat)); n != 832 {
		t.Errorf("G1 in compat mode has %d bytes, want 832", n)
	}
	if n := len(wrapped(t, ref.vector(t, "G2"), Secure)); n != 578 {
		t.Errorf("G2 in secure mode has %d bytes, want 578", n)
	}
	samples := ref.section("2.2")
	if len(samples) != 4 {
		t.Fatalf("§2.2 has %d samples", len(samples))
	}
	plain, compat, secure, info := samples[0].xml, samples[1].xml, samples[2].xml, samples[3].xml
	const ticket = "<xml><AppId><![CDATA[wx0000component00]]></AppId>\n<InfoType>component_verify_ticket</InfoType>\n</xml>"
	for _, c := range []struct {
		name, clear, want string
		mode              Mode
	}{
		{"compat", plain, compat + "\n", Compat},
		{"secure", plain, secure + "\n", Secure},
		{"third-party platform", ticket, info + "\n", Secure},
		{"lines in a text", "<xml><ToUserName>g</ToUserName>\n<Content><![CDATA[a\n\n<b>\n]]></Content>\n<L><A>1</A>\n<B>2</B>\n</L>\n</xml>",
			"<xml>\n    <ToUserName>g</ToUserName>\n    <Content><![CDATA[a\n\n<b>\n]]></Content>\n    <L><A>1</A>\n<B>2</B>\n</L>\n    <Encrypt><![CDATA[BASE64…]]></Encrypt>\n</xml>\n", Compat},
		{"JSON", `{"ToUserName":"gh_1","MsgType":"event"}`, `{"ToUserName":"gh_1","Encrypt":"BASE64…"}`, Secure},
	} {
		got, err := wrap(c.mode, []byte(c.clear), "BASE64…")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// TestMarshalLayout: what Marshal writes has the layout of a captured plain body.
func TestMarshalLayout(t *testing.T) {
	sample := loadReference(t).section("2.2")[0].xml
	m, err := ParseMessage([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample, string(got)); diff != "" {
		t.Error(diff)
	}
}

// TestNewDelivery sends through a real server what NewDelivery and NewCheck build.
func TestNewDelivery(t *testing.T) {
	for _, mode := range []Mode{Plain, Compat, Secure} {
		for _, body := range []string{
			"<xml><ToUserName>gh</ToUserName><FromUserName>o+/=&?</FromUserName><MsgType>text</MsgType><Content><![CDATA[a\n]]>b]]></Content></xml>",
			`{"ToUserName":"gh","FromUserName":"o+/=&?","MsgType":"text","Content":"a\n]]>b"}`,
		} {
			a := testAccount(mode)
			var seen *Request
			s, err := NewServer(a, HandlerFunc(func(_ context.Context, r *Request) (Reply, error) {
				seen = r
				return Text(r.Text())
			}))
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(s)
			defer server.Close()
			req, err := NewDelivery(a, server.URL+"/wx?own=1", []byte(body))
			if err != nil {
				t.Fatal(err)
			}
			q := req.URL.Query()
			if q.Get("own") != "1" || q.Get("openid") != "o+/=&?" || (q.Get("encrypt_type") == "aes") == (mode == Plain) {
				t.Errorf("%s: query %s", mode, req.URL.RawQuery)
			}
			resp, err := server.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			reply, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("%s: status %d, %v", mode, resp.StatusCode, err)
			}
			if mode != Plain {
				if isJSON := strings.HasPrefix(string(reply), "{"); isJSON != (body[0] == '{') {
					t.Errorf("%s: reply to %.10s is %s", mode, body, reply)
				}
				if reply, err = OpenReply(a, reply); err != nil {
					t.Fatalf("%s: %v", mode, err)
				}
			}
			elements, err := ParseElements(reply)
			if err != nil {
				t.Fatal(err)
			}
			if e, _ := Find(elements, "Content"); e.Text != "a\n]]>b" {
				t.Errorf("%s: echo of %.10s is %q", mode, body, e.Text)
			}
			if seen.Account.Token != a.Token || seen.Timestamp != q.Get("timestamp") || seen.Signature != q.Get("signature") || seen.Arrived.IsZero() {
				t.Errorf("%s: request %+v", mode, seen)
			}
			check, err := NewCheck(a, server.URL+"/wx?own=1", "echo 12345+&")
			if err != nil {
				t.Fatal(err)
			}
			if resp, err = server.Client().Do(check); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || string(got) != "echo 12345+&" {
				t.Errorf("%s: check answered %q, %v", mode, got, err)
			}
		}
	}
}

func TestNewDeliveryRefuses(t *testing.T) {
	good := testAccount(Secure)
	for _, c := range []struct {
		name, address, body string
		account             Account
	}{
		{"no token", "http://x/", "<xml></xml>", Account{}},
		{"no address", "http://x\n", "<xml></xml>", good},
		{"no body", "http://x/", "success", good},
	} {
		if _, err := NewDelivery(c.account, c.address, []byte(c.body)); err == nil {
			t.Errorf("%s is taken", c.name)
		}
	}
	if _, err := NewCheck(good, "http://x\n", "1"); err == nil {
		t.Error("NewCheck takes a broken address")
	}
}

func TestOpenReplyRefuses(t *testing.T) {
	a := testAccount(Secure)
	k, err := ParseKey(testKey)
	if err != nil {
		t.Fatal(err)
	}
	encrypt := k.Seal([]byte("<xml></xml>"), a.AppID)
	reply := func(token, encrypt string) string {
		return "<xml><Encrypt>" + encrypt + "</Encrypt><MsgSignature>" + Sign(token, "1", "2", encrypt) + "</MsgSignature><TimeStamp>1</TimeStamp><Nonce>2</Nonce></xml>"
	}
	if _, err := OpenReply(a, []byte(reply(a.Token, encrypt))); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"another token":   reply("other", encrypt),
		"another AppID":   reply(a.Token, k.Seal([]byte("<xml></xml>"), "wx9")),
		"bad ciphertext":  reply(a.Token, "AAAA"),
		"clear reply":     "<xml><MsgType>text</MsgType></xml>",
		"bare success":    "success",
		"another account": strings.Replace(reply(a.Token, encrypt), "<Nonce>2", "<Nonce>3", 1),
	} {
		if _, err := OpenReply(a, []byte(body)); err == nil {
			t.Errorf("%s is opened", name)
		}
	}
	if _, err := OpenReply(Account{Token: a.Token, AppID: a.AppID}, []byte(reply(a.Token, encrypt))); err == nil {
		t.Error("opened without a key")
	}
}

func TestAccount(t *testing.T) {
	for _, c := range []struct {
		name    string
		account Account
		mode    Mode
		mistake string // part of the error
	}{
		{"plain by default", Account{Token: "t"}, Plain, ""},
		{"secure with a key", Account{Token: "t", AESKey: testKey, AppID: "wx1"}, Secure, ""},
		{"compat by choice", Account{Token: "t", AESKey: testKey, AppID: "wx1", Mode: Compat}, Compat, ""},
		{"plain by choice", Account{Token: "t", AESKey: testKey, Mode: Plain}, Plain, ""},
		{"no token", Account{}, Plain, "Token"},
		{"blank token is one", Account{Token: " "}, Plain, ""},
		{"no AppID", Account{Token: "t", AESKey: testKey}, Secure, "AppID"},
		{"no key", Account{Token: "t", AppID: "wx1", Mode: Secure}, Secure, "EncodingAESKey"},
		{"bad key", Account{Token: "t", AppID: "wx1", AESKey: "x"}, Secure, "43"},
		{"bad previous key", Account{Token: "t", AppID: "wx1", AESKey: testKey, PreviousAESKey: "x"}, Secure, "previous"},
		{"no such mode", Account{Token: "t", Mode: 9}, 9, "mode"},
	} {
		if got := c.account.mode(); got != c.mode {
			t.Errorf("%s: mode %s, want %s", c.name, got, c.mode)
		}
		err := c.account.Validate()
		if (err == nil) != (c.mistake == "") || err != nil && !strings.Contains(err.Error(), c.mistake) {
			t.Errorf("%s: %v, want %q", c.name, err, c.mistake)
		}
		if _, serverErr := NewServer(c.account, NewMux()); (serverErr == nil) != (err == nil) {
			t.Errorf("%s: NewServer says %v, Validate %v", c.name, serverErr, err)
		}
	}
	if _, err := NewServer(Account{Token: "t"}, nil); err == nil {
		t.Error("a server without a handler is made")
	}
	for _, m := range []Mode{Plain, Compat, Secure} {
		if got, err := ParseMode(m.String()); got != m || err != nil {
			t.Errorf("ParseMode(%s) = %s, %v", m, got, err)
		}
	}
	for s, want := range map[string]Mode{"明文": Plain, "兼容模式": Compat, "安全": Secure} {
		if got, err := ParseMode(s); got != want || err != nil {
			t.Errorf("ParseMode(%s) = %s, %v", s, got, err)
		}
	}
	if _, err := ParseMode("Plain text"); err == nil || Mode(0).String() != "unset" {
		t.Error("a mode that is none has a name")
	}
}
