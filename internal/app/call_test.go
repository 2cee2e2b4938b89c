package app

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wenzihq/wenzi/catalogue"
)

const (
	appID     = "wx0123456789abcdef"
	appSecret = "0123456789abcdef0123456789abcdef"

	registeredBot = "accounts:\n  - path: first\n    name: 一\n    token: tokentoken\n    app_id: " + appID + "\n    app_secret: " + appSecret + "\n"
)

// platform is an api.weixin.qq.com that answers as a test says, or else with
// the catalogue's samples.
type platform struct {
	*httptest.Server
	answers map[string]http.HandlerFunc // by path

	mu     sync.Mutex
	tokens int
	dead   map[string]bool // tokens
	seen   []sent
}

type sent struct{ method, path, query, body string }

func newPlatform(t *testing.T, answers map[string]http.HandlerFunc) *platform {
	p := &platform{answers: answers, dead: map[string]bool{}}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	t.Setenv("WENZI_API_URL", p.URL)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("GORACE", "atexit_sleep_ms=0") // under the race detector every command would sleep for a second
	return p
}

func (p *platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	query := r.URL.Query()
	token := query.Get("access_token")
	query.Del("access_token")
	p.mu.Lock()
	p.seen = append(p.seen, sent{r.Method, r.URL.Path, query.Encode(), string(body)})
	dead := token == "" || p.dead[token]
	p.mu.Unlock()
	answer := p.answers[r.URL.Path]
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.URL.Path == "/cgi-bin/stable_token" && answer == nil:
		p.mu.Lock()
		p.tokens++
		fmt.Fprintf(w, `{"access_token":"TOKEN%d-secret","expires_in":7200}`, p.tokens)
		p.mu.Unlock()
	case dead && !slices.ContainsFunc(catalogue.Load().ByPath(r.URL.Path), func(e *catalogue.Endpoint) bool { return e.Auth == catalogue.AuthNone }):
		fmt.Fprint(w, `{"errcode":40001,"errmsg":"invalid credential, access_token is invalid or not latest rid: 65a-2"}`)
	case answer != nil:
		answer(w, r)
	default:
		for _, e := range catalogue.Load().ByPath(r.URL.Path) {
			if e.Method == r.Method && e.SampleResponse != nil {
				w.Write(e.SampleResponse)
				return
			}
		}
		fmt.Fprint(w, `{"errcode":0,"errmsg":"ok"}`)
	}
}

// kill makes the newest token invalid.
func (p *platform) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead[fmt.Sprintf("TOKEN%d-secret", p.tokens)] = true
}

// calls lists what came in, tokens left out.
func (p *platform) calls() []sent {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.seen), func(s sent) bool { return strings.HasSuffix(s.path, "token") })
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
}

// call runs wenzi call and looks for secrets in what it prints.
func call(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	stdout, stderr, code = wenzi(t, append([]string{"call"}, args...)...)
	for _, secret := range []string{appSecret, "-secret", "access_token="} {
		if strings.Contains(stdout+stderr, secret) {
			t.Errorf("%v shows %q:\n%s%s", args, secret, stdout, stderr)
		}
	}
	return stdout, stderr, code
}

// alone is a call without server and without a registered account.
func alone(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	t.Setenv("WENZI_APP_SECRET", appSecret)
	return call(t, append([]string{"--app-id", appID}, args...)...)
}

func TestCallSends(t *testing.T) {
	p := newPlatform(t, nil)
	body := write(t, "body.json", `{ "touser":"o1", "text":{"content":"你好 <&>"} }`) // sent as it is
	image := write(t, "图.jpg", "\xff\xd8jpeg")
	for _, tt := range []struct {
		args []string
		want sent
	}{
		{[]string{"menu_get"}, sent{"GET", "/cgi-bin/menu/get", "", ""}},
		{[]string{"GET /cgi-bin/menu/get"}, sent{"GET", "/cgi-bin/menu/get", "", ""}},
		{[]string{"user_info_get", "openid=o=A&b"}, sent{"GET", "/cgi-bin/user/info", "openid=o%3DA%26b", ""}},
		{[]string{"tag_update", `tag={"id":1,"name":"朋友"}`}, sent{"POST", "/cgi-bin/tags/update", "", `{"tag":{"id":1,"name":"朋友"}}`}},
		{[]string{"tag_batch_tag", "tagid=0134", `openid_list=["o1"]`}, sent{"POST", "/cgi-bin/tags/members/batchtagging", "", `{"openid_list":["o1"],"tagid":134}`}},
		// 40033: the platform refuses \u in place of characters.
		{[]string{"user_remark_update", "openid=o1", "remark=<b>&你"}, sent{"POST", "/cgi-bin/user/info/updateremark", "", `{"openid":"o1","remark":"<b>&你"}`}},
		{[]string{"custom_message_send", "--body", body}, sent{"POST", "/cgi-bin/message/custom/send", "", `{ "touser":"o1", "text":{"content":"你好 <&>"} }`}},
		{[]string{"draft_list", "offset=0", "count=20", "no_content=1"}, sent{"POST", "/cgi-bin/draft/batchget", "", `{"offset":0,"count":20,"no_content":1}`}},
		// A field that stands in query and body goes into both.
		{[]string{"kf_delete", "kf_account=a@b"}, sent{"POST", "/customservice/kfaccount/del", "kf_account=a%40b", `{"kf_account":"a@b"}`}},
		{[]string{"post /cgi-bin/new/thing", "name=你", "n=7", "tag={}"}, sent{"POST", "/cgi-bin/new/thing", "", `{"name":"你","n":7,"tag":{}}`}},
		{[]string{"GET /cgi-bin/new/thing", "name=a b"}, sent{"GET", "/cgi-bin/new/thing", "name=a+b", ""}},
	} {
		t.Run(tt.args[0], func(t *testing.T) {
			stdout, stderr, code := alone(t, tt.args...)
			if code != 0 || stderr != "" || !json.Valid([]byte(stdout)) || strings.Count(stdout, "\n") != 1 {
				t.Fatalf("exit %d\nstdout %s\nstderr %s", code, stdout, stderr)
			}
			if calls := p.calls(); calls[len(calls)-1] != tt.want {
				t.Errorf("the platform got\n%v, want\n%v", calls[len(calls)-1], tt.want)
			}
		})
	}
	if _, stderr, code := alone(t, "media_upload", "type=image", "--file", image); code != 0 {
		t.Errorf("upload: exit %d %s", code, stderr)
	}
	calls := p.calls()
	if got := calls[len(calls)-1]; got.query != "type=image" || !strings.Contains(got.body, `name="media"; filename="file.jpg"`) || !strings.Contains(got.body, "\xff\xd8jpeg") {
		t.Errorf("the upload is %q", got)
	}
	if p.tokens != 1 {
		t.Errorf("%d tokens were asked for, want one for all calls", p.tokens)
	}
}

func TestCallRefusesBeforeItSends(t *testing.T) {
	p := newPlatform(t, nil)
	noJSON, big := write(t, "a.json", "{"), write(t, "a.bmp", "BM")
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{nil, []string{"--list"}},
		{[]string{"menu_gte"}, []string{"did you mean menu_get?"}},
		{[]string{"PUT /cgi-bin/menu/get"}, []string{"no such endpoint"}},
		{[]string{"GET /cgi-bin/menu/get2?a=b"}, []string{"name=value"}},
		{[]string{"GET /publisher/stat"}, []string{"stat_ad_cps"}},
		{[]string{"user_info_get", "openId=x"}, []string{"did you mean openid?", "openid, lang"}},
		{[]string{"menu_get", "a=b"}, []string{"it has none"}},
		{[]string{"user_info_get"}, []string{"openid=…", "--help user_info_get"}},
		{[]string{"user_info_get", "openid"}, []string{"name=value"}},
		{[]string{"user_info_get", "openid=a", "openid=b"}, []string{"given twice"}},
		{[]string{"draft_list", "offset=0", "count=x"}, []string{"count", "a whole number"}},
		{[]string{"draft_list", "offset=0", "count=3000000000"}, []string{"count", "a whole number"}},
		{[]string{"tag_update", "tag=[]"}, []string{"tag", "an object in JSON"}},
		{[]string{"tag_batch_tag", "tagid=1", "openid_list=o1"}, []string{"openid_list", "a list in JSON"}},
		{[]string{"menu_create", "--body", noJSON}, []string{"is no JSON"}},
		{[]string{"menu_create", "--body", "no such file"}, []string{"--body"}},
		{[]string{"menu_get", "--body", "-"}, []string{"--body"}},
		{[]string{"tag_create", "--body", write(t, "b.json", "{}"), "tag={}"}, []string{"--body already"}},
		{[]string{"media_upload", "type=image"}, []string{"--file"}},
		{[]string{"media_upload", "type=image", "--file", "no such file"}, []string{"--file"}},
		{[]string{"media_upload", "type=image", "--file", big}, []string{"bmp"}},
		{[]string{"menu_get", "--file", big}, []string{"takes no file"}},
		{[]string{"menu_get", "--all"}, []string{"has no pages"}},
		{[]string{"draft_list", "--all", "--body", write(t, "c.json", "{}")}, []string{"--body"}},
		{[]string{"component_preauthcode", "component_appid=wx1"}, []string{"third-party"}},
		{[]string{"menu_get", "--account", "a"}, []string{"not both"}},
		{[]string{"menu_get", "--base-url", "ftp"}, []string{"base URL"}},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			stdout, stderr, code := alone(t, tt.args...)
			if code != 2 || stdout != "" {
				t.Errorf("exit %d, want 2\nstdout %s\nstderr %s", code, stdout, stderr)
			}
			for _, want := range tt.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("no %q in\n%s", want, stderr)
				}
			}
		})
	}
	if calls := p.calls(); len(calls) > 0 {
		t.Errorf("the platform got %v", calls)
	}
}

func TestCallFails(t *testing.T) {
	p := newPlatform(t, map[string]http.HandlerFunc{
		"/cgi-bin/message/custom/send": says(`{"errcode":45015,"errmsg":"response out of time limit rid: 65a-1"}`),
		"/cgi-bin/user/info":           says(`{"errcode":40003,"errmsg":"bad \u001b[2J openid"}`),
		"/cgi-bin/menu/get":            says(`{"errcode":45009,"errmsg":"reach max api daily quota limit"}`),
		"/cgi-bin/message/mass/send":   says(`{"errcode":45065,"errmsg":"clientmsgid exist","msg_id":7}`),
		"/cgi-bin/tags/get":            says(`<html>nginx</html>`),
		"/cgi-bin/tags/create":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
	})
	for _, tt := range []struct {
		name   string
		args   []string
		stdout string
		want   []string
	}{
		{"code", []string{"custom_message_send", "touser=o1", "msgtype=text", `text={"content":"a"}`}, "", []string{"custom_message_send: 45015", "response out of time limit", "怎么办", "rid: 65a-1"}},
		{"quota", []string{"menu_get"}, "", []string{"45009 该接口今日调用次数已用完", "零点"}},
		{"control characters", []string{"user_info_get", "openid=x"}, "", []string{`\u001b[2J`}},
		{"data beside the error", []string{"mass_send_openids", `touser=["a","b"]`, "msgtype=text", `text={"content":"a"}`}, `{"errcode":45065,"errmsg":"clientmsgid exist","msg_id":7}` + "\n", []string{"45065"}},
		{"HTML", []string{"tag_list"}, "", []string{"tag_list", "not JSON", "--base-url"}},
		{"unknown outcome", []string{"tag_create", `tag={"name":"a"}`}, "", []string{"HTTP 500", "不知道这次调用有没有生效"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr, code := alone(t, tt.args...)
			if code != 1 || stdout != tt.stdout {
				t.Errorf("exit %d, want 1\nstdout %s\nstderr %s", code, stdout, stderr)
			}
			for _, want := range tt.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("no %q in\n%s", want, stderr)
				}
			}
		})
	}
	p.Close()
	if _, stderr, code := alone(t, "menu_get"); code != 1 || !strings.Contains(stderr, "check the network") {
		t.Errorf("without a platform: exit %d %s", code, stderr)
	}
}

func TestCallSaysWhichAddressToAllow(t *testing.T) {
	newPlatform(t, map[string]http.HandlerFunc{
		"/cgi-bin/stable_token": says(`{"errcode":40164,"errmsg":"invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist rid: 65a-3"}`),
	})
	data := t.TempDir()
	serve(t, "--data", data, "--bot", write(t, "bot.yaml", registeredBot))
	t.Setenv("WENZI_APP_SECRET", appSecret)
	for _, args := range [][]string{{"--app-id", appID}, {"--data", data}} {
		_, stderr, code := call(t, append(args, "menu_get")...)
		for _, want := range []string{"40164", "allow）: 203.0.113.9\n", "rid: 65a-3"} {
			if code != 1 || !strings.Contains(stderr, want) {
				t.Errorf("%v: exit %d, no %q in\n%s", args, code, want, stderr)
			}
		}
	}
}

func TestCallWarnsOfWhatIsRetired(t *testing.T) {
	newPlatform(t, nil)
	stdout, stderr, code := alone(t, "img_superresolution", "img_url=https://example.com/a.jpg")
	if code != 0 || stdout == "" || !strings.Contains(stderr, "is retired") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
}

func TestCallTellsItsRequests(t *testing.T) {
	p := newPlatform(t, nil)
	if _, stderr, _ := alone(t, "menu_get", "-v"); strings.Count(stderr, "\n") != 2 ||
		!strings.Contains(stderr, "> POST /cgi-bin/stable_token 第 1 次") || !strings.Contains(stderr, "> GET /cgi-bin/menu/get 第 1 次") {
		t.Errorf("told is\n%s", stderr)
	}
	p.kill()
	if _, stderr, code := alone(t, "menu_get", "-v"); code != 0 || !strings.Contains(stderr, "errcode 40001 rid 65a-2") || !strings.Contains(stderr, "menu/get 第 2 次") {
		t.Errorf("exit %d, told is\n%s", code, stderr)
	}
}

func TestCallIdentifiesItself(t *testing.T) {
	p := newPlatform(t, nil)
	stdout, stderr, code := alone(t, "quota_clear_by_secret")
	if code != 0 {
		t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
	}
	if got, want := p.calls()[0].body, `{"appid":"`+appID+`","appsecret":"`+appSecret+`"}`; got != want {
		t.Errorf("sent is %s", got)
	}
	stdout, _, code = alone(t, "oauth_authorize_page", "redirect_uri=https://example.com/a?b=c", "response_type=code", "scope=snsapi_base", "state=s")
	if code != 0 || !strings.HasPrefix(stdout, p.URL+"/connect/oauth2/authorize?appid="+appID+"&redirect_uri=https%3A%2F%2Fexample.com%2Fa%3Fb%3Dc&") || !strings.HasSuffix(stdout, "#wechat_redirect\n") {
		t.Errorf("exit %d, the page is %s", code, stdout)
	}
	// The server does not give the secret away.
	data := t.TempDir()
	serve(t, "--data", data, "--bot", write(t, "bot.yaml", registeredBot))
	if _, stderr, code := call(t, "--data", data, "quota_clear_by_secret"); code != 2 || !strings.Contains(stderr, "WENZI_APP_SECRET") {
		t.Errorf("with a server: exit %d\n%s", code, stderr)
	}
}

func TestCallGetsFiles(t *testing.T) {
	jpeg := "\xff\xd8" + strings.Repeat("jpeg", 10_000)
	newPlatform(t, map[string]http.HandlerFunc{
		"/cgi-bin/media/get": func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Query().Get("media_id") {
			case "gone":
				fmt.Fprint(w, `{"errcode":40007,"errmsg":"invalid media_id"}`)
			case "video":
				fmt.Fprint(w, `{"video_url": "http://example.com/v"}`)
			case "cut":
				w.Header().Set("Content-Type", "image/jpeg")
				w.Header().Set("Content-Length", "1000000")
				io.WriteString(w, jpeg)
			default:
				w.Header().Set("Content-Type", "image/jpeg")
				io.WriteString(w, jpeg)
			}
		},
	})
	if stdout, stderr, code := alone(t, "media_get", "media_id=a"); code != 0 || stdout != jpeg {
		t.Errorf("exit %d, %d bytes\n%s", code, len(stdout), stderr)
	}
	dir := t.TempDir()
	for _, tt := range []struct {
		id, want string
		code     int
	}{{"a", jpeg, 0}, {"video", `{"video_url":"http://example.com/v"}` + "\n", 0}, {"gone", "before", 1}, {"cut", "before", 1}} {
		file := filepath.Join(dir, tt.id)
		if err := os.WriteFile(file, []byte("before"), 0o600); err != nil {
			t.Fatal(err)
		}
		stdout, stderr, code := alone(t, "media_get", "media_id="+tt.id, "--output", file)
		got, err := os.ReadFile(file)
		if code != tt.code || stdout != "" || err != nil || string(got) != tt.want {
			t.Errorf("%s: exit %d, %d bytes, %v\n%s%s", tt.id, code, len(got), err, stdout, stderr)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*.part")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if stdout, stderr, code := alone(t, "media_get", "media_id=a", "-o", "/dev/stdout"); code != 0 || stdout != jpeg {
		t.Errorf("into a pipe: exit %d, %d bytes\n%s", code, len(stdout), stderr)
	}
	if _, stderr, code := alone(t, "media_get", "media_id=a", "-o", filepath.Join(dir, "no", "dir")); code != 2 {
		t.Errorf("no such directory: exit %d\n%s", code, stderr)
	}
}

func TestCallAllPages(t *testing.T) {
	newPlatform(t, map[string]http.HandlerFunc{
		"/cgi-bin/user/get": func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, map[string]string{
				"":   `{"total":"3","count":2,"data":{"openid":["o1","o2"]},"next_openid":"o2"}`,
				"o2": `{"total":3,"count":1,"data":{"openid":["o3"]},"next_openid":"o3"}`,
				"o3": `{"total":3,"count":0,"next_openid":""}`,
			}[r.URL.Query().Get("next_openid")])
		},
		"/cgi-bin/draft/batchget": func(w http.ResponseWriter, r *http.Request) {
			var ask struct{ Offset, Count int }
			json.NewDecoder(r.Body).Decode(&ask)
			var items []string
			for i := ask.Offset; i < min(45, ask.Offset+ask.Count); i++ {
				items = append(items, fmt.Sprintf(`{"media_id": "M%d", "content": "<&>"}`, i))
			}
			fmt.Fprintf(w, `{"total_count":45,"item_count":%d,"item":[%s]}`, len(items), strings.Join(items, ","))
		},
		"/customservice/msgrecord/getmsglist": func(w http.ResponseWriter, r *http.Request) {
			var ask struct{ MsgID, Number int }
			json.NewDecoder(r.Body).Decode(&ask)
			if ask.MsgID == 1 {
				fmt.Fprint(w, `{"recordlist":[{"text":"a`+"\n"+`b"},{"text":"c"}],"number":2,"msgid":20}`) // a raw line break
				return
			}
			fmt.Fprint(w, `{"recordlist":[{"text":"d"}],"number":1,"msgid":21}`)
		},
		"/cgi-bin/user/tag/get": func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			if bytes.Contains(b, []byte("o9")) {
				fmt.Fprint(w, `{"errcode":45009,"errmsg":"limit"}`)
				return
			}
			fmt.Fprint(w, `{"count":1,"data":{"openid":["o9"]},"next_openid":"o9"}`)
		},
	})
	if stdout, stderr, code := alone(t, "user_list", "--all"); code != 0 || stdout != "\"o1\"\n\"o2\"\n\"o3\"\n" || !strings.Contains(stderr, "第 2 页，共 3 条 / 3") {
		t.Errorf("cursor: exit %d\n%s%s", code, stdout, stderr)
	}
	stdout, stderr, code := alone(t, "draft_list", "--all", "offset=3")
	if code != 0 || strings.Count(stdout, "\n") != 42 || !strings.HasPrefix(stdout, `{"media_id":"M3","content":"<&>"}`+"\n") || strings.Count(stderr, "\n") != 3 {
		t.Errorf("offset: exit %d\n%s%s", code, stdout, stderr)
	}
	if stdout, stderr, code := alone(t, "kf_message_records", "--all", "starttime=1", "endtime=2", "msgid=1", "number=2"); code != 0 ||
		stdout != `{"text":"a\nb"}`+"\n"+`{"text":"c"}`+"\n"+`{"text":"d"}`+"\n" || strings.Count(stderr, "\n") != 2 {
		t.Errorf("records: exit %d\n%s%s", code, stdout, stderr)
	}
	file := filepath.Join(t.TempDir(), "followers")
	if stdout, stderr, code := alone(t, "user_list", "--all", "-o", file, "next_openid=o2"); code != 0 || stdout != "" {
		t.Errorf("into a file: exit %d\n%s%s", code, stdout, stderr)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "\"o3\"\n" {
		t.Errorf("the file has %q, %v", got, err)
	}
	if stdout, stderr, code := alone(t, "tag_user_list", "--all", "tagid=1"); code != 1 || stdout != "\"o9\"\n" || !strings.Contains(stderr, "45009") {
		t.Errorf("an error on the second page: exit %d\n%s%s", code, stdout, stderr)
	}
}

// What --all understands is found in the catalogue; this is what there is.
func TestPagers(t *testing.T) {
	var got []string
	for _, e := range catalogue.Load().Endpoints() {
		if p, err := pagerOf(e); err == nil {
			got = append(got, fmt.Sprintf("%s %s→%s %s %s", e.ID, p.cursor, cmp.Or(p.next, "+"), p.total, strings.Join(p.items, ".")))
		}
	}
	slices.Sort(got)
	want := []string{
		"blacklist_list begin_openid→next_openid total data.openid",
		"card_gift_order_list offset→+ total_count order_list",
		"card_list offset→+ total_num card_id_list",
		"card_paygift_list offset→+ total_count rule_list",
		"card_submerchant_list begin_id→next_begin_id  info_list",
		"comment_list begin→+ total comment",
		"component_authorizer_list offset→+ total_count list",
		"draft_list offset→+ total_count item",
		"guide_mass_job_list offset→+ total_count list",
		"kf_message_records msgid→msgid  recordlist",
		"material_list offset→+ total_count item",
		"poi_list begin→+ total_count business_list",
		"publish_list offset→+ total_count item",
		"store_list offset→+ total_count business_list",
		"subscribe_pub_title_list start→+ count data",
		"tag_user_list next_openid→next_openid  data.openid",
		"user_list next_openid→next_openid total data.openid",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

func TestCallForARegisteredAccount(t *testing.T) {
	p := newPlatform(t, nil)
	data := t.TempDir()
	if _, stderr, code := call(t, "menu_get", "--data", data); code != 2 || !strings.Contains(stderr, "there is no database") {
		t.Errorf("without a database: exit %d %s", code, stderr)
	}
	if left, err := os.ReadDir(data); err != nil || len(left) > 0 {
		t.Errorf("asking made %v", left)
	}
	t.Setenv("WENZI_DATA", data)
	server := serve(t)
	if _, stderr, code := call(t, "menu_get"); code != 2 || !strings.Contains(stderr, "no account is registered") {
		t.Errorf("without an account: exit %d %s", code, stderr)
	}
	wenzi(t, "apply", "-f", write(t, "bot.yaml", registeredBot))
	get := func(args ...string) {
		t.Helper()
		if stdout, stderr, code := call(t, append([]string{"menu_get"}, args...)...); code != 0 || !strings.Contains(stdout, "menu") {
			t.Errorf("exit %d\n%s%s", code, stdout, stderr)
		}
	}
	get()
	get()
	p.kill()
	get() // the server is told, and renews it
	if _, stderr, code := call(t, "menu_get", "--account", "other"); code != 2 || !strings.Contains(stderr, "is not registered") || !strings.Contains(stderr, "first 一") {
		t.Errorf("another account: exit %d %s", code, stderr)
	}
	server.stop()
	if strings.Contains(server.logged(), "secret") {
		t.Errorf("the server's log has a secret:\n%s", server.logged())
	}
	get("--account", "first")
	if p.tokens != 2 {
		t.Errorf("%d tokens were asked for; the one that was killed was renewed once, and server and commands share them", p.tokens)
	}

	server = serve(t)
	for _, tt := range []struct{ bot, want string }{
		{strings.Replace(registeredBot, "    app_secret: "+appSecret+"\n", "", 1), "has no app_secret"},
		{"accounts:\n  - path: first\n    token: tokentoken\n", "has no app_id"},
		{registeredBot + "  - path: second\n    token: tokentoken\n", "choose one"},
	} {
		if _, stderr, code := wenzi(t, "apply", "-f", write(t, "bot.yaml", tt.bot)); code != 0 {
			t.Fatal(stderr)
		}
		if _, stderr, code := call(t, "menu_get"); code == 0 || !strings.Contains(stderr, tt.want) {
			t.Errorf("exit %d, want %q in\n%s", code, tt.want, stderr)
		}
	}
	server.stop()
}

// Tokens of a simulated platform must not be tried on the real one.
func TestCallKeepsTokensOfEachPlatformApart(t *testing.T) {
	first := newPlatform(t, nil)
	data := t.TempDir()
	serve(t, "--data", data, "--bot", write(t, "bot.yaml", registeredBot))
	t.Setenv("WENZI_APP_SECRET", appSecret)
	for _, args := range [][]string{{"--data", data}, {"--app-id", appID}} {
		call(t, append(args, "menu_get")...)
	}
	cache := os.Getenv("XDG_CACHE_HOME")
	second := newPlatform(t, nil)
	t.Setenv("XDG_CACHE_HOME", cache)
	for _, args := range [][]string{{"--data", data}, {"--app-id", appID}} {
		call(t, append(args, "menu_get")...)
	}
	if first.tokens != 2 || second.tokens != 2 {
		t.Errorf("%d and %d tokens were asked for, want 2 and 2: one for the server, one for the user", first.tokens, second.tokens)
	}
}

func TestCallTogether(t *testing.T) {
	p := newPlatform(t, nil)
	t.Setenv("WENZI_APP_SECRET", appSecret)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if out, err := program(t.Context(), "call", "--app-id", appID, "menu_get").CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	wg.Wait()
	if p.tokens != 1 {
		t.Errorf("%d tokens were asked for by commands that ran together", p.tokens)
	}
}

// Every sample of the catalogue can be written as name=value.
func TestSamplesAsParameters(t *testing.T) {
	samples := 0
	for _, e := range catalogue.Load().Endpoints() {
		if e.SampleRequest == nil {
			continue
		}
		samples++
		pairs := slices.DeleteFunc(samplePairs(e), func(pair string) bool { return strings.HasSuffix(pair, "=…") })
		p, err := parseParams(e, pairs)
		if err != nil {
			t.Errorf("%s: %v", e.ID, err)
			continue
		}
		for _, f := range e.Request.Query {
			if _, given := p.given[f.Name]; !given {
				p.given[f.Name] = "1"
			}
		}
		r, err := (&preparedCall{endpoint: e, params: p}).request()
		if err != nil && !strings.Contains(err.Error(), "parameters are missing") {
			t.Errorf("%s: %v", e.ID, err)
			continue
		}
		var got, want any
		body := cmp.Or(string(r.Body), "{}") // what oa/api sends for nothing
		if err := errors.Join(json.Unmarshal([]byte(body), &got), json.Unmarshal(e.SampleRequest, &want)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: sent is\n%s, the sample\n%s %v", e.ID, r.Body, e.SampleRequest, err)
		}
	}
	if samples < 100 {
		t.Errorf("only %d samples", samples)
	}
}

func TestParamTypes(t *testing.T) {
	for _, tt := range []struct{ typ, value, want string }{
		{"string", "7", `"7"`}, {"string", "", `""`}, {"string", `a"<>&` + "\u2028", `"a\"<>&\u2028"`},
		{"int", "-2147483648", "-2147483648"}, {"int", "007", "7"}, {"int", "+7", "7"}, {"int", "2147483648", ""}, {"int", "", ""}, {"int", "1.0", ""},
		{"int64", "9223372036854775807", "9223372036854775807"}, {"int64", "1e3", ""},
		{"number", "1.50", "1.50"}, {"number", "1e3", "1e3"}, {"number", "NaN", ""}, {"number", "0x1", ""}, {"number", `"1"`, ""}, {"number", "", ""}, {"number", "null", ""},
		{"bool", "true", "true"}, {"bool", "false", "false"}, {"bool", "1", ""}, {"bool", "", ""},
		{"array<string>", `["a"]`, `["a"]`}, {"array<object>", `{}`, ""}, {"array<int>", "null", ""}, {"array<int>", "[1", ""},
		{"object", `{"a":1}`, `{"a":1}`}, {"object", "[]", ""}, {"object", "null", ""}, {"map<string,object>", `{}`, `{}`},
		{anyType, "7", "7"}, {anyType, "a b", `"a b"`}, {anyType, "", `""`},
	} {
		got, err := encodeParam(catalogue.Field{Name: "f", Type: tt.typ}, tt.value)
		if string(got) != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s %q: %s, %v, want %s", tt.typ, tt.value, got, err, tt.want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	candidates := []string{"openid", "openid_list", "lang"}
	for word, want := range map[string]string{"openId": "openid", "opnid": "openid", "openidlist": "openid_list", "x": "", "lang": "lang", "totally": "", "": ""} {
		if got := didYouMean(word, candidates); (want == "") != (got == "") || !strings.Contains(got, "did you mean "+want) && want != "" {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}

func TestTame(t *testing.T) {
	for in, want := range map[string]string{"你好👨‍👩‍👧\n\t": "你好👨‍👩‍👧\n\t", "\x1b[2J": `\u001b[2J`, "a\u009bb\x7f\r": `a\u009bb\u007f\u000d`} {
		if got := tame(in); got != want {
			t.Errorf("tame(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCallHelpAndList(t *testing.T) {
	for _, args := range [][]string{{"call", "--help", "menu_create"}, {"call", "menu_create", "-h"}, {"call", "--help", "POST /cgi-bin/menu/create"}} {
		stdout, stderr, code := wenzi(t, args...)
		for _, want := range []string{"创建自定义菜单", "POST https://api.weixin.qq.com/cgi-bin/menu/create", "认证后可以", "button*", "sub_button",
			"1000 calls per day", "40018  菜单按钮名称长度不合法", "改正这次请求的内容", "wenzi call menu_create 'button=["} {
			if code != 0 || stderr != "" || !strings.Contains(stdout, want) {
				t.Errorf("%v: exit %d, no %q in\n%s%s", args, code, want, stdout, stderr)
			}
		}
		if strings.Contains(stdout, "--base-url") {
			t.Errorf("%v shows the command's help too", args)
		}
	}
	if stdout, stderr, code := wenzi(t, "call", "--help", "menu_creat"); code != 2 || stdout != "" || !strings.Contains(stderr, "menu_create") {
		t.Errorf("help of nothing: exit %d\n%s%s", code, stdout, stderr)
	}
	if stdout, _, code := wenzi(t, "call", "--help"); code != 0 || !strings.Contains(stdout, "--base-url") || !strings.Contains(stdout, "wenzi call --list") {
		t.Errorf("help: exit %d\n%s", code, stdout)
	}
	if stdout, _, code := wenzi(t, "call", "--list", "菜单", "post"); code != 0 || !strings.Contains(stdout, "menu_create ") || strings.Contains(stdout, "menu_get") {
		t.Errorf("list: exit %d\n%s", code, stdout)
	}
	if stdout, _, _ := wenzi(t, "call", "--list"); strings.Count(stdout, "\n") != len(catalogue.Load().Endpoints()) {
		t.Errorf("%d endpoints are listed", strings.Count(stdout, "\n"))
	}
	if _, stderr, code := wenzi(t, "call", "--list", "没有的"); code != 1 || !strings.Contains(stderr, "没有的") {
		t.Errorf("list of nothing: exit %d %s", code, stderr)
	}
}

func TestHelpOfEveryEndpoint(t *testing.T) {
	for _, e := range catalogue.Load().Endpoints() {
		help := endpointHelp(e)
		if priorityNames[e.Priority] == "" || accountNames[e.Account.Service] == "" || accountNames[e.Account.Subscription] == "" {
			t.Errorf("%s: %q %v have no name", e.ID, e.Priority, e.Account)
		}
		for _, want := range slices.Concat([]string{e.TitleZH, e.Path, "wenzi call " + e.ID}, e.Limits, e.Notes, paramNames(e)) {
			if !strings.Contains(help, want) {
				t.Errorf("%s: no %q in\n%s", e.ID, want, help)
			}
		}
		if strings.Contains(help, " \n") && !strings.Contains(string(e.SampleResponse), " \n") {
			t.Errorf("%s: spaces at the end of a line of\n%s", e.ID, help)
		}
	}
}

// The commands of the manual are run as they stand there.
func TestCallInTheManual(t *testing.T) {
	for _, page := range []string{"../../docs/call.md", "../../docs/en/call.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		newPlatform(t, map[string]http.HandlerFunc{
			"/cgi-bin/user/get": says(`{"total":1,"count":1,"data":{"openid":["oUSER"]},"next_openid":""}`),
			"/cgi-bin/media/get": func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "image/png")
				io.WriteString(w, "PNG")
			},
		})
		data, dir := t.TempDir(), t.TempDir()
		serve(t, "--data", data, "--bot", write(t, "bot.yaml", strings.Replace(registeredBot, "path: first", "path: k3v9qd2x", 1)))
		for name, content := range map[string]string{"menu.json": `{"button":[]}`, "logo.png": "PNG"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		self, err := filepath.Abs(os.Args[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(self, filepath.Join(dir, "wenzi")); err != nil {
			t.Fatal(err)
		}
		commands := 0
		fenced := false
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "```") {
				fenced = strings.HasPrefix(line, "```sh")
			}
			if !fenced || strings.HasPrefix(line, "```") {
				continue
			}
			commands++
			cmd := exec.CommandContext(t.Context(), "sh", "-ec", line)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), asProgram+"=1", "WENZI_DATA="+data, "WENZI_APP_SECRET="+appSecret, "PATH="+dir+":"+os.Getenv("PATH"))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %s%v\n%s", page, line, err, out)
			}
		}
		if commands < 8 {
			t.Errorf("%s has %d commands", page, commands)
		}
	}
}

func TestOpenAPI(t *testing.T) {
	want, err := catalogue.Load().OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	if stdout, stderr, code := wenzi(t, "openapi"); code != 0 || stdout != string(want) || stderr != "" {
		t.Errorf("exit %d, %d bytes\n%s", code, len(stdout), stderr)
	}
	file := filepath.Join(t.TempDir(), "openapi.json")
	if stdout, stderr, code := wenzi(t, "openapi", "--output", file); code != 0 || stdout+stderr != "" {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != string(want) {
		t.Errorf("the file has %d bytes, %v", len(got), err)
	}
}
