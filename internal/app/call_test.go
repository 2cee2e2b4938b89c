package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const (
	appID     = "wx0123456789abcdef"
	appSecret = "0123456789abcdef0123456789abcdef"
)

// platform is an api.weixin.qq.com that knows a few calls.
type platform struct {
	*httptest.Server
	mu     sync.Mutex
	tokens int
	seen   []string // path and body
}

func newPlatform(t *testing.T) *platform {
	p := &platform{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.seen = append(p.seen, r.URL.Path+" "+string(body))
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/cgi-bin/stable_token":
			p.tokens++
			fmt.Fprintf(w, `{"access_token":"TOKEN%d-secret","expires_in":7200}`, p.tokens)
			return
		}
		if !strings.HasPrefix(r.URL.Query().Get("access_token"), "TOKEN") {
			fmt.Fprint(w, `{"errcode":40001,"errmsg":"invalid credential"}`)
			return
		}
		switch r.URL.Path {
		case "/cgi-bin/menu/get":
			fmt.Fprint(w, `{"menu":{"button":[]}}`)
		case "/cgi-bin/user/info":
			fmt.Fprintf(w, `{"subscribe":1,"openid":%q}`, r.URL.Query().Get("openid"))
		case "/cgi-bin/user/get":
			switch r.URL.Query().Get("next_openid") {
			case "":
				fmt.Fprint(w, `{"total":3,"count":2,"data":{"openid":["o1","o2"]},"next_openid":"o2"}`)
			case "o2":
				fmt.Fprint(w, `{"total":3,"count":1,"data":{"openid":["o3"]},"next_openid":"o3"}`)
			default:
				fmt.Fprint(w, `{"total":3,"count":0,"next_openid":""}`)
			}
		case "/cgi-bin/message/custom/send":
			fmt.Fprint(w, `{"errcode":45015,"errmsg":"response out of time limit rid: 65a-1"}`)
		case "/cgi-bin/media/upload":
			fmt.Fprint(w, `{"type":"image","media_id":"MEDIA","created_at":1}`)
		case "/cgi-bin/media/get":
			w.Header().Set("Content-Type", "image/jpeg")
			fmt.Fprint(w, "\xff\xd8jpeg")
		default:
			fmt.Fprint(w, `{"errcode":0,"errmsg":"ok"}`)
		}
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *platform) last() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[len(p.seen)-1]
}

// alone is a call without server and account.
func (p *platform) alone(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	stdout, stderr, code = wenzi(t, append([]string{"call", "--base-url", p.URL, "--app-id", appID}, args...)...)
	for _, secret := range []string{appSecret, "-secret"} {
		if strings.Contains(stdout+stderr, secret) {
			t.Errorf("%v shows a secret:\n%s%s", args, stdout, stderr)
		}
	}
	return stdout, stderr, code
}

func TestCallWithoutServer(t *testing.T) {
	p := newPlatform(t)
	t.Setenv("WENZI_APP_SECRET", appSecret)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	image := filepath.Join(t.TempDir(), "a.jpg")
	if err := os.WriteFile(image, []byte("\xff\xd8jpeg"), 0o600); err != nil {
		t.Fatal(err)
	}
	body := write(t, "body.json", `{"touser":"o1","msgtype":"text","text":{"content":"你好 <&>"}}`)
	for _, tt := range []struct {
		name           string
		args           []string
		code           int
		stdout, stderr string
		sent           string
	}{
		{"get", []string{"menu_get"}, 0, `{"menu":{"button":[]}}` + "\n", "", ""},
		{"query value", []string{"user_info_get", "openid=oA"}, 0, `"openid":"oA"`, "", ""},
		{"by path", []string{"GET /cgi-bin/user/info", "openid=oB"}, 0, `"openid":"oB"`, "", ""},
		{"typed body", []string{"tag_update", `tag={"id":1,"name":"朋友"}`}, 0, `"errcode":0`, "", `{"tag":{"id":1,"name":"朋友"}}`},
		{"refused", []string{"custom_message_send", "--body", body}, 1, "", "45015", `你好 <&>`},
		{"upload", []string{"media_upload", "type=image", "--file", image}, 0, `"media_id":"MEDIA"`, "", "jpeg"},
		{"binary", []string{"media_get", "media_id=M"}, 0, "\xff\xd8jpeg", "", ""},
		{"pages", []string{"user_list", "--all"}, 0, "\"o1\"\n\"o2\"\n\"o3\"\n", "3…", ""},
		{"unknown endpoint", []string{"menu_gte"}, 2, "", "menu_get", ""},
		{"unknown field", []string{"user_info_get", "openId=x"}, 2, "", "openid", ""},
		{"missing field", []string{"user_info_get"}, 2, "", "openid", ""},
		{"wrong type", []string{"user_info_get", "openid"}, 2, "", "name=value", ""},
		{"no pages", []string{"menu_get", "--all"}, 2, "", "--all", ""},
		{"nothing", nil, 2, "", "--list", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr, code := p.alone(t, tt.args...)
			if code != tt.code || !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, tt.stderr) {
				t.Errorf("exit %d, want %d\nstdout %s\nstderr %s", code, tt.code, stdout, stderr)
			}
			if tt.sent != "" && !strings.Contains(p.last(), tt.sent) {
				t.Errorf("the platform got %s, want %s in it", p.last(), tt.sent)
			}
		})
	}
	if p.tokens != 1 {
		t.Errorf("%d tokens were asked for; the first is still good", p.tokens)
	}
}

func TestCallForARegisteredAccount(t *testing.T) {
	p := newPlatform(t)
	data := t.TempDir()
	bot := write(t, "bot.yaml", "accounts:\n  - path: first\n    name: 一\n    token: tokentoken\n    app_id: "+appID+"\n    app_secret: "+appSecret+"\n")
	call := func(args ...string) (string, string, int) {
		return wenzi(t, append([]string{"call", "--base-url", p.URL, "--data", data}, args...)...)
	}
	if _, stderr, code := call("menu_get"); code != 2 || !strings.Contains(stderr, "no account is registered") {
		t.Errorf("without an account: exit %d %s", code, stderr)
	}
	server := serve(t, "--data", data, "--bot", bot)
	for range 2 { // the second takes the token from the server's store
		if stdout, stderr, code := call("menu_get"); code != 0 || !strings.Contains(stdout, "menu") {
			t.Fatalf("with a server: exit %d %s%s", code, stdout, stderr)
		}
	}
	if _, stderr, code := call("menu_get", "--account", "other"); code != 2 || !strings.Contains(stderr, "no such account") {
		t.Errorf("another account: exit %d %s", code, stderr)
	}
	server.stop()
	if stdout, stderr, code := call("menu_get", "--account", "first"); code != 0 || !strings.Contains(stdout, "menu") {
		t.Errorf("without a server: exit %d %s%s", code, stdout, stderr)
	}
	if p.tokens != 1 {
		t.Errorf("%d tokens were asked for, want one for server and commands together", p.tokens)
	}
}

// The token's lease is given back when the command lets go of it.
func TestLeaseAtTheControlSocket(t *testing.T) {
	data := t.TempDir()
	serve(t, "--data", data)
	client, running := controlClient(data)
	if !running {
		t.Fatal("no control socket")
	}
	s := remoteStore{client}
	release, ok, err := s.Lease(t.Context(), "name", 10_000_000_000)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if _, ok, err := s.Lease(t.Context(), "name", 10_000_000_000); err != nil || ok {
		t.Errorf("a second holder: %v, %v", ok, err)
	}
	release()
	deadline := 0
	for {
		again, ok, err := s.Lease(t.Context(), "name", 10_000_000_000)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			again()
			return
		}
		if deadline++; deadline > 5000 {
			t.Fatal("the lease is not given back")
		}
	}
}

func TestCallHelpAndList(t *testing.T) {
	stdout, stderr, code := wenzi(t, "call", "--help", "menu_create")
	for _, want := range []string{"创建自定义菜单", "POST /cgi-bin/menu/create", "button", "40018", "128"} {
		if code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("exit %d, no %q in\n%s%s", code, want, stdout, stderr)
		}
	}
	if stdout, _, code = wenzi(t, "call", "--list", "菜单"); code != 0 || !strings.Contains(stdout, "menu_create") || strings.Contains(stdout, "user_info") {
		t.Errorf("list: exit %d\n%s", code, stdout)
	}
	if stdout, _, code = wenzi(t, "call", "--help"); code != 0 || !strings.Contains(stdout, "--base-url") {
		t.Errorf("help: exit %d\n%s", code, stdout)
	}
	if stdout, _, _ = wenzi(t, "call", "--list"); strings.Count(stdout, "\n") != 433 {
		t.Errorf("%d endpoints are listed", strings.Count(stdout, "\n"))
	}
}

func TestOpenAPI(t *testing.T) {
	stdout, stderr, code := wenzi(t, "openapi")
	var doc struct {
		OpenAPI string                    `json:"openapi"`
		Paths   map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal([]byte(stdout), &doc); err != nil || code != 0 {
		t.Fatalf("exit %d, %v\n%s", code, err, stderr)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || doc.Paths["/cgi-bin/menu/create"]["post"] == nil {
		t.Errorf("version %s, %d paths", doc.OpenAPI, len(doc.Paths))
	}
}
