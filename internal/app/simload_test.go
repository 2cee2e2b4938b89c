package app

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

// simLoad runs `wenzi sim load` and returns what it counted.
func simLoad(t *testing.T, args ...string) (r sim.LoadReport, stdout string, code int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.json")
	stdout, stderr, code := wenzi(t, append([]string{"sim", "load", "--json", file}, args...)...)
	asJSON, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("status %d: %s%s", code, stdout, stderr)
	}
	if err := json.Unmarshal(asJSON, &r); err != nil {
		t.Fatal(err)
	}
	return r, stdout, code
}

// The real server under a small load, in plain and in secure mode.
func TestSimLoad(t *testing.T) {
	p := serve(t, "--data", t.TempDir(), "--bot", write(t, "bot.yaml", `accounts:
  - {path: clear, token: hello, mode: plain}
  - {path: sealed, token: hello, mode: secure, app_id: `+sayAppID+`, aes_key: `+sayKey+`}
`))
	for path, mode := range map[string][]string{"clear": nil, "sealed": {"--app-id", sayAppID, "--aes-key", sayKey}} {
		for _, pattern := range [][]string{{"--pattern", "rate", "--rate", "500", "--reuse", "20"}, {"--pattern", "talkative", "--think", "100ms"}} {
			t.Run(path+" "+pattern[1], func(t *testing.T) {
				t.Parallel()
				args := append([]string{"--url", p.url(path), "--token", "hello", "--followers", "20", "--messages", "3", "--bytes", "300", "--nasty",
					"--subscribe", "0.5", "--clicks", "0.2", "--pid", strconv.Itoa(p.cmd.Process.Pid)}, append(mode, pattern...)...)
				r, stdout, code := simLoad(t, args...)
				if code != 0 || r.Messages != 60 || r.Whole != 60 || r.ByReply != 60 || r.Deliveries != 60 || r.Events.Sent < 1 || len(r.Problems) > 0 {
					t.Errorf("status %d:\n%s", code, stdout)
				}
				if !strings.Contains(stdout, "完整 whole                     60") {
					t.Errorf("the table:\n%s", stdout)
				}
				if r.Self != nil && (r.Target == nil || r.Target.RSS < 1e6) { // where it can be measured
					t.Errorf("the server takes %+v", r.Target)
				}
			})
		}
	}
}

func TestSimLoadFails(t *testing.T) {
	url := sayTo(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusInternalServerError)
	}))
	for allowed, want := range map[string]int{"lost": 1, "lost,duplicates": 1, "duplicates,notices": 0} {
		t.Run(allowed, func(t *testing.T) {
			t.Parallel()
			r, stdout, code := simLoad(t, "--url", url, "--followers", "2", "--messages", "1", "--pattern", "talkative", "--allow", allowed)
			if code != want || r.Failed != 2 || r.Notices != 2 || r.Problems[sim.RuleStatus] != 8 {
				t.Errorf("status %d:\n%s", code, stdout)
			}
		})
	}
}

// The server finds the model and the platform's API at the addresses given.
func TestSimLoadModel(t *testing.T) {
	model, api := freeAddress(t), freeAddress(t)
	var calls atomic.Int32
	h := oa.HandlerFunc(func(ctx context.Context, r *oa.Request) (oa.Reply, error) {
		if strings.Contains(post(t, "http://"+api+"/cgi-bin/message/custom/send?access_token=x", "{}"), `"errcode":40001`) {
			calls.Add(1)
		}
		question, err := json.Marshal(r.Text())
		if err != nil {
			return oa.Reply{}, err
		}
		var answer struct {
			Choices []struct{ Message struct{ Content string } }
		}
		body := post(t, "http://"+model+"/v1/chat/completions", `{"model": "any", "messages": [{"role": "user", "content": `+string(question)+`}]}`)
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			return oa.Reply{}, err
		}
		return oa.Text(answer.Choices[0].Message.Content)
	})
	srv, err := oa.NewServer(oa.Account{Token: "hello"}, h)
	if err != nil {
		t.Fatal(err)
	}
	r, stdout, code := simLoad(t, "--url", sayTo(t, srv), "--followers", "5", "--messages", "2", "--rate", "100", "--certified",
		"--model-listen", model, "--model-name", "bytes=900,delay=200ms", "--api-listen", api)
	if code != 0 || r.Whole != 10 || r.Model == nil || r.Model.Calls != 10 || r.WholeAnswer.P50 < 200 || calls.Load() != 10 {
		t.Errorf("status %d, %d calls of the API:\n%s", code, calls.Load(), stdout)
	}
	_, stderr, code := wenzi(t, "sim", "load", "--api-listen", strings.TrimSuffix(strings.TrimPrefix(sayTo(t, srv), "http://"), "/wechatMP/hello"))
	if code != 1 || !strings.Contains(stderr, "--api-listen") {
		t.Errorf("an address that is taken: status %d, %s", code, stderr)
	}
}

func post(t *testing.T, url, body string) string {
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

func TestSimLoadUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--url", "http://example.com/wechatMP/hello"}, "--anywhere"},
		{[]string{"--url", "http://10.0.0.1/wechatMP/hello"}, "--anywhere"},
		{[]string{"--url", "http://127.0.0.1.example.com/wechatMP/hello"}, "--anywhere"},
		{[]string{"--url", "http://example.com/wechatMP/hello", "--anywhere", "--followers", "0"}, "0 followers"},
		{[]string{"--url", "nowhere"}, "--url: "},
		{[]string{"--kind", "shop"}, "--kind: "},
		{[]string{"--kind", "test", "--certified"}, "--certified"},
		{[]string{"--pattern", "all"}, "--pattern"},
		{[]string{"--model-name", "typical"}, "--model-listen"},
		{[]string{"--model-listen", "127.0.0.1:0", "--model-name", "any,soon"}, "--model-name"},
		{[]string{"--allow", "everything"}, "--allow"},
	} {
		var out, errs bytes.Buffer
		if code := Run(t.Context(), append([]string{"sim", "load"}, tt.args...), &out, &errs); code != 2 || !strings.Contains(errs.String(), tt.want) {
			t.Errorf("%q: status %d, %s%s", tt.args, code, out.String(), errs.String())
		}
	}
	for address, want := range map[string]bool{
		"http://127.0.0.1:8080/x": true, "http://127.9.9.9/": true, "http://[::1]:80/": true, "https://localhost/": true,
		"http://localhost.example.com/": false, "http://0.0.0.0/": false, "http://[::]/": false, "http://2130706433/": false, ":": false, "": false,
	} {
		if isLoopback(address) != want {
			t.Errorf("%s is loopback: %v", address, !want)
		}
	}
}
