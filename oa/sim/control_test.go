package sim_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

// remote drives a platform over HTTP, as a program in another language does.
type remote struct {
	t        *testing.T
	platform *sim.Platform
	model    *sim.Model
	url      string
	account  string // the path of an account, and of a follower
	follower string
}

// reported is what comes back.
type reported map[string]any

// at walks down members and indexes: at("deliveries", 0, "verdict").
func (a reported) at(path ...any) any {
	var v any = map[string]any(a)
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[step]
		case int:
			list, _ := v.([]any)
			if step >= len(list) {
				return nil
			}
			v = list[step]
		}
	}
	return v
}

func (a reported) text(path ...any) string { s, _ := a.at(path...).(string); return s }

func newRemote(t *testing.T) *remote {
	t.Helper()
	r := &remote{t: t, platform: sim.New(sim.Settings{}), model: &sim.Model{}}
	srv := httptest.NewServer(sim.NewHandler(r.platform, r.model))
	t.Cleanup(func() { r.platform.Close(); srv.Close() })
	r.url = srv.URL
	return r
}

// with makes an account with a server, and somebody who follows it.
func (r *remote) with(h http.Handler) *remote {
	r.t.Helper()
	srv := httptest.NewServer(h)
	r.t.Cleanup(srv.Close)
	a := r.must(201, "POST", "/sim/accounts", fmt.Sprintf(`{"app_id":"wx0123456789abcdef","url":%q}`, srv.URL))
	r.account = "/sim/accounts/" + a.text("app_id")
	r.follower = r.account + "/followers/oMe"
	r.must(201, "POST", r.account+"/followers", `{"openid":"oMe","following":true}`)
	return r
}

func (r *remote) do(method, path, body string, header ...string) (int, reported) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	var a reported
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		r.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, a
}

func (r *remote) must(status int, method, path, body string) reported {
	r.t.Helper()
	got, a := r.do(method, path, body)
	if got != status {
		r.t.Fatalf("%s %s %s: status %d, %v", method, path, body, got, a)
	}
	return a
}

// act acts as the follower and waits for the fate.
func (r *remote) act(body string) reported {
	r.t.Helper()
	return r.must(200, "POST", r.follower+"/acts?wait=30s", body)
}

func plainServer(t *testing.T, h oa.HandlerFunc) http.Handler {
	t.Helper()
	return server(t, account(oa.Plain), h)
}

func TestControlStory(t *testing.T) {
	r := newRemote(t)
	c := account(oa.Secure)
	srv := httptest.NewServer(server(t, c, func(_ context.Context, r *oa.Request) (oa.Reply, error) {
		return oa.Text(r.Kind() + ` <a href="weixin://bizmsgmenu?msgmenucontent=%E7%BB%A7%E7%BB%AD&msgmenuid=1">继续</a>`)
	}))
	t.Cleanup(srv.Close)
	a := r.must(201, "POST", "/sim/accounts", fmt.Sprintf(`{"name":"一","app_id":%q,"kind":"subscription","token":"hello","aes_key":%q,"url":%q}`, c.AppID, aesKey, srv.URL))
	if a.text("mode") != "secure" || a.text("kind") != "subscription" || len(a.text("app_secret")) != 32 || !strings.HasPrefix(a.text("original_id"), "gh_") {
		t.Errorf("account %v", a)
	}
	r.account = "/sim/accounts/" + c.AppID
	if x := r.must(200, "POST", r.account+"/check", ""); x.at("ok") != true || x.at("status") != 200. {
		t.Errorf("check %v", x)
	}
	f := r.must(201, "POST", r.account+"/followers", `{"profile":{"nickname":"小明","city":"广州"}}`)
	if f.at("following") != false || f.text("profile", "nickname") != "小明" || f.text("profile", "language") != "zh_CN" {
		t.Errorf("follower %v", f)
	}
	r.follower = r.account + "/followers/" + f.text("openid")

	if x := r.act(`{"type":"say","text":"在吗"}`); x.text("fate") != "not_pushed" || !strings.Contains(x.text("reason", "zh"), "没有关注") {
		t.Errorf("before following: %v", x)
	}
	x := r.act(`{"type":"subscribe"}`)
	if x.at("done") != true || x.text("fate") != "replied" || x.text("entries", 0, "bubble", "text", 0, "text") != "event/subscribe " ||
		x.at("deliveries", 0, "status") != 200. || x.text("deliveries", 0, "verdict", "outcome") != "answered" {
		t.Errorf("subscribe: %v", x)
	}
	if _, err := time.ParseDuration(x.text("deliveries", 0, "elapsed")); err != nil {
		t.Errorf("elapsed: %v", err)
	}
	if x.text("message") == "" || x.text("message") != x.text("entries", 0, "message") {
		t.Errorf("the id of the message is no string: %v", x)
	}
	if x := r.act(`{"type":"tap"}`); x.text("entries", 0, "bubble", "text", 0, "text") != "text " {
		t.Errorf("tap: %v", x)
	}
	chat := r.must(200, "GET", r.follower+"/chat?after=2", "")
	var seen []string
	for i := range chat.at("entries").([]any) {
		seen = append(seen, chat.text("entries", i, "from")+":"+chat.text("entries", i, "bubble", "text", 0, "text"))
	}
	want := []string{"account:event/subscribe ", "follower:继续", "account:text "}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
	if chat.at("last") != 5. {
		t.Errorf("last %v", chat.at("last"))
	}
	if r.act(`{"type":"unsubscribe"}`); r.must(200, "GET", r.follower, "").at("following") != false {
		t.Error("still following")
	}
}

// Every act reaches the server as what it is.
func TestControlActs(t *testing.T) {
	var mu sync.Mutex
	var got string
	r := newRemote(t).with(plainServer(t, func(_ context.Context, r *oa.Request) (oa.Reply, error) {
		said := []string{r.Kind()}
		for _, e := range r.Elements() {
			if !slices.Contains([]string{"ToUserName", "CreateTime", "MsgType", "Event", "MsgId", "MediaId", "MediaId16K", "ThumbMediaId", "PicUrl", "FileKey", "FileMd5", "FileTotalLen", "Ticket", "Scale", "Format"}, e.Name) {
				said = append(said, e.Name+"="+e.Text)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		got = strings.Join(said, " ")
		return oa.Text(`<a href="https://example.com/">网页</a> <a href="weixin://bizmsgmenu?msgmenucontent=a&msgmenuid=1">a</a>`)
	}))
	a, _ := r.platform.Account("wx0123456789abcdef")
	r.must(200, "POST", "/cgi-bin/menu/create?access_token="+a.AccessToken(), `{"button":[{"type":"click","name":"关于","key":"ABOUT"},`+
		`{"name":"更多","sub_button":[{"type":"view","name":"官网","url":"https://example.com/"},{"type":"click","name":"帮助","key":"HELP"}]}]}`)
	tests := []struct{ act, want string }{
		{`{"type":"subscribe"}`, "event/subscribe FromUserName=oMe EventKey="},
		{`{"type":"say","text":"你好"}`, "text FromUserName=oMe Content=你好"},
		{`{"type":"tap"}`, ""},
		{`{"type":"tap","link":2}`, "text FromUserName=oMe Content=a bizmsgmenuid=1"},
		{`{"type":"tap","entry":2,"link":2}`, "text FromUserName=oMe Content=a bizmsgmenuid=1"},
		{`{"type":"tap","say":"b","menu_id":"2"}`, "text FromUserName=oMe Content=b bizmsgmenuid=2"},
		{`{"type":"image"}`, "image FromUserName=oMe"},
		{`{"type":"image","content":"/9j/4AAQSkZJRg=="}`, "image FromUserName=oMe"},
		{`{"type":"voice","recognition":"天气"}`, "voice FromUserName=oMe Recognition=天气"},
		{`{"type":"video","content":"AAAA"}`, "video FromUserName=oMe"},
		{`{"type":"location","latitude":23.1,"longitude":113.3,"label":"广州塔"}`, "location FromUserName=oMe Location_X=23.1 Location_Y=113.3 Label=广州塔"},
		{`{"type":"link","title":"一","description":"二","url":"https://example.com/"}`, "link FromUserName=oMe Title=一 Description=二 Url=https://example.com/"},
		{`{"type":"file","name":"a.pdf"}`, "file FromUserName=oMe Title=a.pdf Description="},
		{`{"type":"sticker"}`, "text FromUserName=oMe Content=【收到不支持的消息类型，暂无法显示】"},
		{`{"type":"report_location","latitude":23.1,"longitude":113.3,"precision":65}`, "event/LOCATION FromUserName=oMe Latitude=23.1 Longitude=113.3 Precision=65"},
		{`{"type":"click","key":"K"}`, "event/CLICK FromUserName=oMe EventKey=K"},
		{`{"type":"press","button":["关于"]}`, "event/CLICK FromUserName=oMe EventKey=ABOUT"},
		{`{"type":"press","button":["更多","帮助"]}`, "event/CLICK FromUserName=oMe EventKey=HELP"},
		{`{"type":"scan","scene":"7"}`, "event/SCAN FromUserName=oMe EventKey=7"},
		{`{"type":"event","event":"brand_new","elements":{"EventKey":"K","List":{"item":[{"A":1},{"A":2}]}}}`, "event/brand_new FromUserName=oMe EventKey=K List="},
		{`{"type":"event","event":"CLICK","elements":{"EventKey":"K2"}}`, "event/CLICK FromUserName=oMe EventKey=K2"},
		{`{"type":"xml","xml":"<xml><MsgType>shortvideo</MsgType><MediaId>M</MediaId><ThumbMediaId>T</ThumbMediaId><MsgId>5</MsgId></xml>"}`, "shortvideo FromUserName=oMe"},
		{`{"type":"unsubscribe"}`, "event/unsubscribe FromUserName=oMe EventKey="},
		{`{"type":"scan","scene":"8"}`, "event/subscribe FromUserName=oMe EventKey=qrscene_8"},
	}
	for _, tt := range tests {
		mu.Lock()
		got = ""
		mu.Unlock()
		x := r.act(tt.act)
		mu.Lock()
		if got != tt.want {
			t.Errorf("%s\n got %s\nwant %s\n%v", tt.act, got, tt.want, x)
		}
		if tt.want == "" && x.text("opens") != "https://example.com/" {
			t.Errorf("%s: %v", tt.act, x)
		}
		mu.Unlock()
	}
	_, x := r.do("POST", r.follower+"/acts", `{"type":"dance"}`)
	_, list, _ := strings.Cut(x.text("error", "en"), "one of ")
	for name := range strings.SplitSeq(list, ", ") {
		if !slices.ContainsFunc(tests, func(tt struct{ act, want string }) bool { return strings.Contains(tt.act, `"type":"`+name+`"`) }) {
			t.Errorf("nobody has tried the act %q", name)
		}
	}
	if menu := r.must(200, "GET", r.follower+"/menu", ""); menu.text("buttons", 1, "sub_button", 0, "name") != "官网" {
		t.Errorf("menu %v", menu)
	}
}

func TestControlErrors(t *testing.T) {
	r := newRemote(t).with(plainServer(t, echoText))
	acts := r.follower + "/acts"
	for _, tt := range []struct {
		method, path, body string
		header             []string
		status             int
		code, says         string
	}{
		{"POST", "/sim/accounts", `{"tokn":"x"}`, nil, 400, "unknown_member", `"tokn"`},
		{"POST", "/sim/accounts", `{"name":1}`, nil, 400, "wrong_type", "name"},
		{"POST", "/sim/accounts", `{"name":`, nil, 400, "bad_json", "JSON"},
		{"POST", "/sim/accounts", `[]`, nil, 400, "bad_json", "JSON"},
		{"POST", "/sim/accounts", `{} {}`, nil, 400, "bad_json", "more after"},
		{"POST", "/sim/accounts", `{"name":"` + strings.Repeat("x", 17<<20) + `"}`, nil, 413, "too_large", "16777216"},
		{"POST", "/sim/accounts", `{"mode":"clear"}`, nil, 400, "bad_value", "plain, compat"},
		{"POST", "/sim/accounts", `{"kind":"shop"}`, nil, 400, "refused", "subscription"},
		{"POST", "/sim/accounts", `{"rights":{"fly":true}}`, nil, 400, "refused", "customer_service"},
		{"POST", "/sim/accounts", `{"url":"127.0.0.1"}`, nil, 400, "refused", "http://host/path"},
		{"POST", "/sim/accounts", `{"url":"http://127.0.0.1/","mode":"secure"}`, nil, 400, "refused", "EncodingAESKey"},
		{"POST", "/sim/accounts", `{"app_id":"wx0123456789abcdef"}`, nil, 400, "refused", "already"},
		{"POST", "/sim/accounts", `{"followers":3}`, nil, 400, "bad_value", "path"},
		{"PATCH", r.account, `{"app_id":"wx1"}`, nil, 400, "refused", "cannot change"},
		{"GET", "/sim/accounts/wx1", ``, nil, 404, "not_found", "GET /sim/accounts"},
		{"GET", r.account + "/followers/oYou", ``, nil, 404, "not_found", "POST …/followers"},
		{"POST", r.account + "/followers", `{"openid":"a b"}`, nil, 400, "bad_value", "openid"},
		{"POST", r.account + "/followers", `{"openid":"oMe"}`, nil, 400, "bad_value", "already"},
		{"POST", r.account + "/followers", `{"profile":{"shoe":44}}`, nil, 400, "unknown_member", "shoe"},
		{"PATCH", r.follower, `{"openid":"oYou"}`, nil, 400, "bad_value", "openid"},
		{"POST", r.account + "/receivers", `{"name":"a","builtin":"sleep"}`, nil, 400, "bad_value", "echo"},
		{"POST", r.account + "/receivers", `{"builtin":"echo"}`, nil, 400, "refused", "name"},
		{"POST", r.account + "/receivers", `{"name":"a","builtin":"echo","mode":"secure"}`, nil, 400, "refused", "EncodingAESKey"},
		{"DELETE", r.account + "/receivers/a", ``, nil, 404, "not_found", "receiver"},
		{"POST", r.account + "/notify", `{}`, nil, 400, "bad_value", "event"},
		{"POST", r.account + "/notify", `{"event":"X","info":"y"}`, nil, 400, "bad_value", "one of them"},
		{"POST", r.account + "/notify", `{"event":"X","openid":"oYou"}`, nil, 400, "bad_value", "no such follower"},
		{"POST", r.account + "/notify", `{"event":"X","elements":[1]}`, nil, 400, "bad_value", "elements"},
		{"POST", r.account + "/notify", `{"xml":"<xml><MsgType>event</MsgType></xml>"}`, nil, 400, "bad_value", "no push"},
		{"POST", r.account + "/notify", `{"xml":"hello"}`, nil, 400, "bad_value", "xml"},
		{"POST", acts, `{}`, nil, 400, "bad_value", "subscribe"},
		{"POST", acts, `{"type":7}`, nil, 400, "bad_value", "type"},
		{"POST", acts, `{"type":"say"}`, nil, 400, "bad_value", "text"},
		{"POST", acts, `{"type":"say","text":"a","key":"b"}`, nil, 400, "unknown_member", "key"},
		{"POST", acts, `{"type":"subscribe","scene":"7"}`, nil, 400, "unknown_member", "scene"},
		{"POST", acts, `{"type":"image","content":"?"}`, nil, 400, "bad_json", "base64"},
		{"POST", acts, `{"type":"location","latitude":91}`, nil, 400, "bad_value", "latitude"},
		{"POST", acts, `{"type":"link"}`, nil, 400, "bad_value", "url"},
		{"POST", acts, `{"type":"file"}`, nil, 400, "bad_value", "name"},
		{"POST", acts, `{"type":"click"}`, nil, 400, "bad_value", "key"},
		{"POST", acts, `{"type":"tap"}`, nil, 400, "bad_value", "link"},
		{"POST", acts, `{"type":"press","button":["没有"]}`, nil, 400, "refused", "menu"},
		{"POST", acts, `{"type":"scan"}`, nil, 400, "bad_value", "scene"},
		{"POST", acts, `{"type":"scan","code":"nothing"}`, nil, 400, "refused", "QR code"},
		{"POST", acts, `{"type":"event"}`, nil, 400, "bad_value", "event"},
		{"POST", acts, `{"type":"xml","xml":"<xml></xml>"}`, nil, 400, "bad_value", "xml"},
		{"POST", acts + "?wait=soon", `{"type":"subscribe"}`, nil, 400, "bad_value", "wait"},
		{"POST", acts + "?wait=2m", `{"type":"subscribe"}`, nil, 400, "bad_value", "1m0s"},
		{"GET", r.follower + "/chat?after=x", ``, nil, 400, "bad_value", "after"},
		{"GET", r.follower + "/chat?after=-1", ``, nil, 400, "bad_value", "after"},
		{"PATCH", "/sim/settings", `{"timeout":5}`, nil, 400, "bad_value", `"1.5s"`},
		{"PATCH", "/sim/settings", `{"timeout":"5"}`, nil, 400, "bad_value", `"1.5s"`},
		{"PATCH", "/sim/settings", `{"timeout":"-5s"}`, nil, 400, "bad_value", "duration"},
		{"PATCH", "/sim/settings", `{"deliveries":-1}`, nil, 400, "bad_value", "deliveries"},
		{"PUT", "/sim/trouble", `{"cut":2}`, nil, 400, "bad_value", "cut"},
		{"PUT", "/sim/trouble", `{"latency":"1000000h"}`, nil, 400, "bad_value", "duration"},
		{"PUT", "/sim/trouble", `{"failures":[{"endpoint":"nothing"}]}`, nil, 400, "bad_value", "endpoint"},
		{"POST", "/sim/failures", `{"endpoint":"/cgi-bin/nothing"}`, nil, 400, "bad_value", "wenzi call --list"},
		{"POST", "/sim/failures", `{"times":-1}`, nil, 400, "bad_value", "times"},
		{"POST", "/sim/clock", `{"advance":"-1h"}`, nil, 400, "bad_value", "duration"},
		{"PATCH", "/sim/model", `{"delay":"soon"}`, nil, 400, "refused", "delay"},
		{"PATCH", "/sim/model", `{"speed":1}`, nil, 400, "unknown_member", "speed"},
		{"POST", "/sim/reset", `{"all":true}`, nil, 400, "unknown_member", "all"},
		{"GET", "/sim/nothing", ``, nil, 404, "not_found", "docs/sim.md"},
		{"DELETE", "/sim/settings", ``, nil, 405, "method", "GET, PUT, PATCH"},
		{"GET", "/sim/events?after=x", ``, nil, 400, "bad_value", "after"},
		{"POST", "/sim/reset", ``, []string{"Origin", "https://evil.example"}, 403, "cross_origin", "another site"},
		{"POST", "/sim/reset", ``, []string{"Sec-Fetch-Site", "cross-site"}, 403, "cross_origin", "another site"},
		{"POST", "/sim/reset", ``, []string{"Host", "evil.example:9090", "Origin", "http://evil.example:9090"}, 403, "host", "127.0.0.1"},
		{"GET", "/sim/accounts", ``, []string{"Host", "evil.example"}, 403, "host", "127.0.0.1"},
	} {
		status, a := r.do(tt.method, tt.path, tt.body, tt.header...)
		if status != tt.status || a.text("error", "code") != tt.code || !strings.Contains(a.text("error", "en"), tt.says) ||
			!regexp.MustCompile(`\p{Han}`).MatchString(a.text("error", "zh")) {
			t.Errorf("%s %s %.80s: status %d, %v", tt.method, tt.path, tt.body, status, a)
		}
	}
	if n := len(r.must(200, "GET", "/sim/accounts", "").at("accounts").([]any)); n != 1 {
		t.Errorf("there are %d accounts now", n)
	}
}

// Members that a change does not have stay as they are.
func TestControlAccountChanges(t *testing.T) {
	r := newRemote(t).with(plainServer(t, echoText))
	if a := r.must(200, "PATCH", r.account, `{"kind":"subscription","rights":{"qrcode":true},"ip_whitelist":["127.0.0.1"]}`); a.text("kind") != "subscription" ||
		a.at("rights", "qrcode") != true || a.text("ip_whitelist", 0) != "127.0.0.1" || a.text("token") != "hello" || a.text("mode") != "plain" || a.at("followers") != 1. {
		t.Errorf("account %v", a)
	}
	if x := r.act(`{"type":"say","text":"a"}`); x.text("fate") != "replied" {
		t.Errorf("after the change: %v", x)
	}
	if x := r.act(`{"type":"scan","scene":"7"}`); x.text("fate") != "replied" {
		t.Errorf("with the right to QR codes: %v", x)
	}
	if a := r.must(200, "PATCH", r.account, fmt.Sprintf(`{"token":"other","aes_key":%q}`, aesKey)); a.text("mode") != "secure" || a.at("rights", "qrcode") != true {
		t.Errorf("account %v", a)
	}
	if x := r.must(200, "POST", r.account+"/check", ""); x.at("ok") != false || x.at("status") != 404. || x.text("problem", "rule") != "status" {
		t.Errorf("check with another token: %v", x)
	}
	r.must(200, "PATCH", r.account, `{"url":""}`)
	if status, x := r.do("POST", r.account+"/check", ""); status != 409 || x.text("error", "code") != "no_server" {
		t.Errorf("check without a server: %d, %v", status, x)
	}
	if f := r.must(200, "PATCH", r.follower, `{"profile":{"city":"深圳"}}`); f.at("following") != true || f.text("profile", "language") != "zh_CN" || f.text("profile", "city") != "深圳" {
		t.Errorf("follower %v", f)
	}
	list := r.must(200, "GET", r.account+"/followers", "")
	if list.text("followers", 0, "openid") != "oMe" || list.at("followers", 1) != nil {
		t.Errorf("followers %v", list)
	}
	r.must(200, "DELETE", r.account, "")
	if list := r.must(200, "GET", "/sim/accounts", ""); list.at("accounts", 0) != nil {
		t.Errorf("accounts %v", list)
	}
}

// A third-party platform answers as well, or fails where the account's own
// server does not (reference §0).
func TestControlReceivers(t *testing.T) {
	r := newRemote(t).with(plainServer(t, echoText))
	r.must(201, "POST", r.account+"/receivers", fmt.Sprintf(`{"name":"agency","builtin":"echo","aes_key":%q,"app_id":"wxcomponent"}`, aesKey))
	x := r.act(`{"type":"say","text":"a"}`)
	seen := map[string]string{}
	for i := range x.at("entries").([]any) {
		seen[x.text("entries", i, "receiver")] = x.text("entries", i, "bubble", "text", 0, "text")
	}
	if diff := cmp.Diff(map[string]string{"": "你说：a", "agency": "回声：a"}, seen); diff != "" {
		t.Error(diff)
	}
	r.must(200, "DELETE", r.account+"/receivers/agency", "")
	r.must(201, "POST", r.account+"/receivers", `{"name":"broken","builtin":"fail"}`)
	x = r.act(`{"type":"say","text":"b"}`)
	var notices int
	for i := range x.at("entries").([]any) {
		if x.text("entries", i, "from") == "wechat" && x.text("entries", i, "receiver") == "broken" {
			notices++
		}
	}
	if x.text("fate") != "replied" || notices != 1 {
		t.Errorf("with a broken platform: %v", x)
	}
	if a := r.must(200, "GET", r.account, ""); a.text("receivers", 0, "name") != "broken" {
		t.Errorf("account %v", a)
	}
}

// What WeChat pushes of its own accord.
func TestControlNotify(t *testing.T) {
	var mu sync.Mutex
	var got oa.Message
	var from string
	r := newRemote(t).with(plainServer(t, func(_ context.Context, r *oa.Request) (oa.Reply, error) {
		mu.Lock()
		defer mu.Unlock()
		got, from = r.Message, r.Message.Head().FromUserName
		return oa.None()
	}))
	notify := func(body string) oa.Message {
		t.Helper()
		if x := r.must(200, "POST", r.account+"/notify?wait=30s", body); x.text("fate") != "acknowledged" {
			t.Errorf("%s: %v", body, x)
		}
		mu.Lock()
		defer mu.Unlock()
		return got
	}
	m := notify(`{"event":"MASSSENDJOBFINISH","elements":{"MsgID":100,"Status":"send success","TotalCount":2,
		"CopyrightCheckResult":{"Count":2,"ResultList":{"item":[{"ArticleIdx":1},{"ArticleIdx":2}]},"CheckState":1}}}`)
	if e, ok := m.(*oa.MassSendJobFinishEvent); !ok || e.MsgID != 100 || e.Status != "send success" || e.TotalCount != 2 || len(from) != 28 {
		t.Errorf("%#v from %q", m, from)
	}
	if e, ok := notify(`{"event":"TEMPLATESENDJOBFINISH","openid":"oMe","elements":{"MsgID":7,"Status":"success"}}`).(*oa.TemplateSendJobFinishEvent); !ok || e.MsgID != 7 || e.FromUserName != "oMe" {
		t.Errorf("%#v", e)
	}
	if e, ok := notify(`{"xml":"<xml><MsgType>event</MsgType><Event>qualification_verify_success</Event><ExpiredTime>1442401156</ExpiredTime></xml>"}`).(*oa.CertificationEvent); !ok || e.ToUserName == "" {
		t.Errorf("%#v", e)
	}
	if i, ok := notify(`{"info":"unauthorized"}`).(*oa.Unauthorized); !ok || i.AuthorizerAppID != "wx0123456789abcdef" || i.AppID == "" {
		t.Errorf("%#v", i)
	}
}

func TestControlSettings(t *testing.T) {
	r := newRemote(t).with(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	if s := r.must(200, "GET", "/sim/settings", ""); s.text("timeout") != "5s" || s.at("deliveries") != 3. || s.text("message_window") != "48h0m0s" {
		t.Errorf("settings %v", s)
	}
	r.must(200, "PATCH", "/sim/settings", `{"timeout":"30ms","mark_failures":4}`)
	if s := r.must(200, "PATCH", "/sim/settings", `{"deliveries":2}`); s.text("timeout") != "30ms" || s.at("deliveries") != 2. {
		t.Errorf("settings %v", s)
	}
	x := r.act(`{"type":"say","text":"a"}`)
	if x.text("fate") != "fault" || x.at("deliveries", 1, "number") != 2. || x.at("deliveries", 2) != nil ||
		x.text("deliveries", 0, "verdict", "problem", "rule") != "timeout" || x.text("entries", 0, "from") != "wechat" {
		t.Errorf("a server that hangs: %v", x)
	}
	if s := r.must(200, "PUT", "/sim/settings", `{"timeout":"20ms"}`); s.text("timeout") != "20ms" || s.at("deliveries") != 3. {
		t.Errorf("settings %v", s)
	}

	r.must(200, "PUT", "/sim/trouble", `{"latency":"1.5s","unreachable":1}`)
	if x := r.must(200, "PATCH", "/sim/trouble", `{"skew":"-2m"}`); x.text("latency") != "1.5s" || x.text("skew") != "-2m0s" || x.at("unreachable") != 1. {
		t.Errorf("trouble %v", x)
	}
	if x := r.act(`{"type":"say","text":"a"}`); !strings.Contains(x.text("deliveries", 0, "verdict", "problem", "en"), "out of reach") {
		t.Errorf("an unreachable server: %v", x)
	}
	if x := r.must(200, "PUT", "/sim/trouble", `{}`); len(x) != 0 {
		t.Errorf("no trouble: %v", x)
	}

	r.must(200, "POST", "/sim/failures", `{"endpoint":"/cgi-bin/message/custom/send","code":45015,"times":2}`)
	if x := r.must(200, "POST", "/sim/failures", `{"code":-1}`); x.at("failures", 0, "times") != 2. || x.at("failures", 1, "code") != -1. {
		t.Errorf("failures %v", x)
	}
	a, _ := r.platform.Account("wx0123456789abcdef")
	if x := r.must(200, "GET", "/cgi-bin/menu/get?access_token="+a.AccessToken(), ""); x.at("errcode") != -1. {
		t.Errorf("a call that was to fail: %v", x)
	}
	if x := r.must(200, "GET", "/sim/trouble", ""); x.at("failures", 0, "code") != 45015. || x.at("failures", 1) != nil {
		t.Errorf("failures left: %v", x)
	}

	before := time.Now()
	if x := r.must(200, "POST", "/sim/clock", `{"advance":"49h"}`); x.text("ahead") != "49h0m0s" {
		t.Errorf("clock %v", x)
	}
	now := r.must(200, "GET", "/sim/clock", "")
	if at, err := time.Parse(time.RFC3339, now.text("now")); err != nil || at.Sub(before) < 49*time.Hour || r.platform.Now().Sub(before) < 49*time.Hour {
		t.Errorf("clock %v", now)
	}

	token := r.must(200, "GET", r.account+"/token", "").text("access_token")
	if x := r.must(200, "GET", "/cgi-bin/menu/get?access_token="+token, ""); x.at("errcode") == 40001. {
		t.Errorf("the token: %v", x)
	}
	r.must(200, "DELETE", r.account+"/token", "")
	if x := r.must(200, "GET", "/cgi-bin/menu/get?access_token="+token, ""); x.at("errcode") != 40001. {
		t.Errorf("the token after it was replaced: %v", x)
	}

	r.must(200, "PATCH", "/sim/model", `{"delay":"8s","bytes":100}`)
	if m := r.must(200, "PATCH", "/sim/model", `{"bytes":200}`); m.text("delay") != "8s" || m.at("bytes") != 200. || r.model.Settings().Bytes != 200 {
		t.Errorf("model %v", m)
	}
	if m := r.must(200, "PUT", "/sim/model", `{"bytes":9}`); m.at("delay") != nil {
		t.Errorf("model %v", m)
	}
	if status, x := r.do("POST", "/v1/chat/completions", `{"model":"sim","messages":[{"role":"user","content":"你好"}]}`, "Content-Type", "application/json"); status != 200 || x.at("choices", 0) == nil {
		t.Errorf("the model: %d, %v", status, x)
	}
	if s := r.must(200, "GET", "/sim/model/stats", ""); s.at("calls") != 1. {
		t.Errorf("stats %v", s)
	}

	r.must(200, "POST", "/sim/reset", "")
	if now := r.must(200, "GET", "/sim/clock", ""); now.text("ahead") != "0s" {
		t.Errorf("clock %v", now)
	}
	if len(r.platform.Accounts()) > 0 || r.model.Settings() != (sim.ModelSettings{}) || !reflect.DeepEqual(r.platform.Trouble(), sim.Trouble{}) || r.platform.Settings() != (sim.Settings{}) {
		t.Error("something is left after the reset")
	}
}

// No duration is a number in this API.
func TestControlDurations(t *testing.T) {
	r := newRemote(t)
	for path, typ := range map[string]reflect.Type{"/sim/settings": reflect.TypeFor[sim.Settings](), "/sim/trouble": reflect.TypeFor[sim.Trouble]()} {
		var names []string
		for _, f := range reflect.VisibleFields(typ) {
			if f.Type == reflect.TypeFor[time.Duration]() {
				name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				names = append(names, name)
			}
		}
		if len(names) < 4 {
			t.Fatalf("%v has the durations %q only", typ, names)
		}
		for _, name := range names {
			if x := r.must(200, "PUT", path, `{"`+name+`":"1.5s"}`); x.text(name) != "1.5s" {
				t.Errorf("%s: %v", name, x)
			}
		}
	}
}

// Somebody who waits for an answer gets it when it comes, and an end when the
// platform ends.
func TestControlWaiting(t *testing.T) {
	release := make(chan struct{})
	r := newRemote(t).with(plainServer(t, func(context.Context, *oa.Request) (oa.Reply, error) {
		<-release
		return oa.Text("好")
	}))
	x := r.must(200, "POST", r.follower+"/acts", `{"type":"say","text":"a"}`)
	if x.at("done") != false || x.at("fate") != nil {
		t.Errorf("without waiting: %v", x)
	}
	if chat := r.must(200, "GET", r.follower+"/chat?after=0", ""); chat.at("entries", 1) != nil {
		t.Errorf("chat %v", chat)
	}
	time.AfterFunc(20*time.Millisecond, func() { close(release) })
	if chat := r.must(200, "GET", r.follower+"/chat?after=0&wait=30s", ""); chat.text("entries", 1, "bubble", "text", 0, "text") != "好" || chat.at("last") != 2. {
		t.Errorf("chat %v", chat)
	}
	began := time.Now()
	if chat := r.must(200, "GET", r.follower+"/chat?after=2&wait=20ms", ""); len(chat.at("entries").([]any)) != 0 || chat.at("last") != 2. || time.Since(began) < 20*time.Millisecond {
		t.Errorf("chat %v", chat)
	}
	time.AfterFunc(20*time.Millisecond, r.platform.Close)
	r.must(200, "GET", r.follower+"/chat?after=2&wait=60s", "")
}

// stream reads server-sent events.
type stream struct {
	t     *testing.T
	lines *bufio.Scanner
}

func (r *remote) stream(query string, header ...string) *stream {
	r.t.Helper()
	req, _ := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.url+"/sim/events"+query, nil)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { resp.Body.Close() })
	if ct := resp.Header.Get("Content-Type"); !strings.HasPrefix(ct, "text/event-stream") {
		r.t.Fatalf("Content-Type %q", ct)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	return &stream{r.t, lines}
}

// next returns the next event, or nil at the end.
func (s *stream) next() (id string, data reported) {
	s.t.Helper()
	for s.lines.Scan() {
		switch line := s.lines.Text(); {
		case strings.HasPrefix(line, "id: "):
			id = line[len("id: "):]
		case strings.HasPrefix(line, "data: "):
			if err := json.Unmarshal([]byte(line[len("data: "):]), &data); err != nil {
				s.t.Fatal(err)
			}
		case line == "" && data != nil:
			return id, data
		}
	}
	return "", nil
}

func TestControlEvents(t *testing.T) {
	r := newRemote(t).with(plainServer(t, echoText))
	r.must(201, "POST", r.account+"/followers", `{"openid":"oYou","following":true}`)
	you := r.account + "/followers/oYou"
	before := r.stream("?account=wx0123456789abcdef&openid=oYou")
	r.act(`{"type":"say","text":"a"}`)
	r.must(200, "POST", you+"/acts?wait=30s", `{"type":"say","text":"b"}`)
	r.must(200, "GET", "/cgi-bin/menu/get", "")

	var seen []string
	var ids []string
	for range 3 {
		id, e := before.next()
		ids = append(ids, id)
		seen = append(seen, e.text("type")+" "+e.text("openid"))
		if e.text("type") == "delivery" {
			if _, err := time.ParseDuration(e.text("delivery", "elapsed")); err != nil || e.text("delivery", "verdict", "outcome") != "answered" || e.text("delivery", "message") == "" {
				t.Errorf("delivery %v", e)
			}
		}
	}
	slices.Sort(seen)
	if diff := cmp.Diff([]string{"delivery oYou", "entry oYou", "entry oYou"}, seen); diff != "" {
		t.Error(diff)
	}

	all := r.stream("?after=0")
	count := map[string]int{}
	for range 7 {
		_, e := all.next()
		count[e.text("type")]++
		if e.text("type") == "call" && (e.at("call", "errcode") != 41001. || e.text("call", "path") != "/cgi-bin/menu/get" || e.text("call", "elapsed") == "") {
			t.Errorf("call %v", e)
		}
	}
	if diff := cmp.Diff(map[string]int{"entry": 4, "delivery": 2, "call": 1}, count); diff != "" {
		t.Error(diff)
	}
	// A browser that lost its connection goes on after what it saw.
	if id, _ := r.stream("?openid=oYou", "Last-Event-ID", ids[0]).next(); id != ids[1] {
		t.Errorf("after %s comes %s, not %s", ids[0], id, ids[1])
	}
	late := r.stream("")
	r.platform.Close()
	if id, e := late.next(); e != nil {
		t.Errorf("what was before comes again: %s %v", id, e)
	}
}

// One address is all that a client of the API, of the model, of the control and
// a browser need.
func TestHandler(t *testing.T) {
	r := newRemote(t).with(plainServer(t, echoText))
	if x := r.must(200, "GET", "/cgi-bin/menu/get", ""); x.at("errcode") != 41001. {
		t.Errorf("the API: %v", x)
	}
	if x := r.must(200, "GET", "//cgi-bin/nothing", ""); x.at("errcode") != 40066. {
		t.Errorf("the API: %v", x)
	}
	// A client may know the address by the platform's own name.
	if _, x := r.do("GET", "/cgi-bin/menu/get", "", "Host", "api.weixin.qq.com"); x.at("errcode") != 41001. {
		t.Errorf("the API by its name: %v", x)
	}
	if _, x := r.do("GET", "/v1/nothing", ""); x == nil {
		t.Error("no model")
	}
	get := func(path string, header ...string) (*http.Response, string) {
		t.Helper()
		req, _ := http.NewRequestWithContext(t.Context(), "GET", r.url+path, nil)
		for i := 0; i < len(header); i += 2 {
			req.Host = header[i+1]
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var b bytes.Buffer
		b.ReadFrom(resp.Body)
		return resp, b.String()
	}
	resp, page := get("/")
	if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		t.Fatalf("the page: %v %v", resp.Status, resp.Header)
	}
	policy := resp.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
		t.Errorf("policy %q", policy)
	}
	// It consists of its own files only, none of which asks anybody else or makes
	// markup of a text.
	seen := map[string]bool{}
	var read func(text string)
	read = func(text string) {
		if bad := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|style="|\son\w+="|(?:src|href)="(?:\w+:|//)|url\(|import\(`).FindString(text); bad != "" {
			t.Errorf("the page has %s", bad)
		}
		for _, m := range regexp.MustCompile(`(?:src|href)="([^"]+)"|from "\./([^"]+)"`).FindAllStringSubmatch(text, -1) {
			path := "/" + m[1]
			if m[2] != "" {
				path = "/page/" + m[2]
			}
			if seen[path] {
				continue
			}
			seen[path] = true
			resp, part := get(path)
			if resp.StatusCode != 200 || resp.Header.Get("Content-Security-Policy") != policy {
				t.Errorf("%s: %s", path, resp.Status)
			}
			read(part)
		}
	}
	read(page)
	if len(seen) < 8 {
		t.Errorf("the page consists of %v", slices.Sorted(maps.Keys(seen)))
	}
	if resp, _ := get("/page/"); resp.StatusCode != 404 {
		t.Errorf("/page/: %s", resp.Status)
	}
	if resp, _ := get("/page/../page.go"); resp.StatusCode == 200 {
		t.Error("a file that is none of the page")
	}
	if resp, _ := get("/", "Host", "evil.example"); resp.StatusCode != 403 {
		t.Errorf("by another name: %s", resp.Status)
	}
}
