package account

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/internal/bot"
	"github.com/wenzihq/wenzi/internal/robot"
	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/internal/turn"
	"github.com/wenzihq/wenzi/oa"
)

// fixture is a directory with real robots, turns and a store of its own.
type fixture struct {
	*Directory
	t    *testing.T
	file string
	mux  *http.ServeMux
	log  *syncBuffer

	mu      sync.Mutex
	made    []Served // what handlers were made for
	outcome []oa.Outcome
	making  func(Served) // if set, called before a handler is made
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// handler knows whose it is.
type handler struct {
	oa.Handler
	bot bot.Account
}

type answering struct{ robot *robot.Robot }

func (a answering) Answer(r *oa.Request) (turn.Answer, error) {
	answer, err := a.robot.Answer(r)
	return turn.Answer{Reply: answer.Reply, By: answer.By}, err
}

func (a answering) Sorry(r *oa.Request) turn.Answer {
	answer := a.robot.Sorry(r)
	return turn.Answer{Reply: answer.Reply, By: answer.By}
}

func (a answering) Work(context.Context, turn.Question, *turn.Draft) (turn.Result, error) {
	return turn.Result{}, errors.New("a rule never takes time")
}

func (a answering) Expect(time.Time, int) (time.Time, bool) { return time.Time{}, false }

var testLimits = GuestLimits{PerMinute: 60, Most: 1000, Keep: 7 * 24 * time.Hour}

func start(t *testing.T, hosting Hosting, limits GuestLimits) *fixture {
	t.Helper()
	return startOn(t, filepath.Join(t.TempDir(), "wenzi.db"), hosting, limits)
}

func startOn(t *testing.T, database string, hosting Hosting, limits GuestLimits) *fixture {
	t.Helper()
	f := &fixture{t: t, file: database, log: &syncBuffer{}, mux: http.NewServeMux()}
	log := slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := store.Open(t.Context(), store.Config{Database: f.file, Synchronous: "normal", Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	engine := turn.New(turn.Config{Store: s, Log: log, Alone: true, Accounts: func(int64) (turn.Account, bool) { return turn.Account{}, false }})
	f.Directory = New(Config{
		Store: s, Alone: !strings.HasPrefix(database, "postgres"), Hosting: hosting, Guests: limits, GuestName: "是雯子吖", Log: log,
		Handler: func(a Served) (oa.Handler, error) {
			f.mu.Lock()
			f.made = append(f.made, a)
			f.mu.Unlock()
			if f.making != nil {
				f.making(a)
			}
			r, err := robot.New(a.Bot, robot.Config{})
			if err != nil {
				return nil, err
			}
			return &handler{engine.Handler(turn.Account{Key: a.Key, ID: a.ID, Robot: answering{r}}), a.Bot}, nil
		},
		Observe: func(x oa.Exchange) {
			f.mu.Lock()
			f.outcome = append(f.outcome, x.Outcome)
			f.mu.Unlock()
		},
	})
	f.mux.Handle("/wechatMP/{path}", f.Directory)
	if err := f.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f
}

// bubble runs a test in a bubble, where time is fake.
func bubble(t *testing.T, hosting Hosting, limits GuestLimits, test func(t *testing.T, f *fixture)) {
	synctest.Test(t, func(t *testing.T) { test(t, start(t, hosting, limits)) })
}

func (f *fixture) apply(prune bool, accounts string) (bot.Change, error) {
	f.t.Helper()
	b, err := bot.Parse("bot.yaml", []byte("accounts:\n"+accounts), func(string) (string, bool) { return "", false })
	if err != nil {
		f.t.Fatal(err)
	}
	return f.Apply(context.Background(), b, prune)
}

func (f *fixture) mustApply(prune bool, accounts string) bot.Change {
	f.t.Helper()
	change, err := f.apply(prune, accounts)
	if err != nil {
		f.t.Fatal(err)
	}
	return change
}

// plain is an account in plain mode whose fallback is a text.
func plain(path, token, fallback string) string {
	return fmt.Sprintf("  - {path: %s, token: %q, fallback: {text: %s}}\n", path, token, fallback)
}

func text(to, from string, id int, content string) string {
	return fmt.Sprintf("<xml><ToUserName>%s</ToUserName><FromUserName>%s</FromUserName><CreateTime>1714112445</CreateTime>"+
		"<MsgType>text</MsgType><Content><![CDATA[%s]]></Content><MsgId>%d</MsgId></xml>", to, from, content, id)
}

func (f *fixture) do(req *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	f.mux.ServeHTTP(w, req)
	return w
}

// say delivers a text and returns what the answer says: its content, or else
// the status and the body.
func (f *fixture) say(a oa.Account, path, body string) string {
	f.t.Helper()
	req, err := oa.NewDelivery(a, "http://wenzi/wechatMP/"+path, []byte(body))
	if err != nil {
		f.t.Fatal(err)
	}
	w := f.do(req)
	elements, err := oa.ParseElements(w.Body.Bytes())
	if err != nil {
		return fmt.Sprintf("%d %s", w.Code, w.Body)
	}
	content, _ := oa.Find(elements, "Content")
	return content.Text
}

// says delivers the text 你好 at a path in plain mode.
func (f *fixture) says(token, path string) string {
	f.t.Helper()
	return f.say(oa.Account{Token: token}, path, text("gh_1", "oA", 1, "你好"))
}

func (f *fixture) want(what, got, want string) {
	f.t.Helper()
	if got != want {
		f.t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// exec changes the database past the store.
func (f *fixture) exec(statement string, args ...any) {
	f.t.Helper()
	db, err := sql.Open("sqlite", f.file)
	if err != nil {
		f.t.Fatal(err)
	}
	_, err = db.Exec(statement, args...)
	if err := errors.Join(err, db.Close()); err != nil {
		f.t.Fatal(err)
	}
}

const refused = "404 "

func TestHosting(t *testing.T) {
	for _, c := range []struct {
		hosting         Hosting
		before, besides string // what a guest gets without and with a registered account
	}{
		{HostingAuto, "你好", refused},
		{HostingOn, "你好", "你好"},
		{HostingOff, refused, refused},
	} {
		t.Run(string(c.hosting), func(t *testing.T) {
			bubble(t, c.hosting, testLimits, func(t *testing.T, f *fixture) {
				f.want("guest", f.says("hello", "hello"), c.before)
				f.want("a path is not yet registered", f.says("shop", "shop"), c.before)
				f.mustApply(false, plain("shop", "token", "欢迎光临"))
				f.want("guest", f.says("hello", "hello"), c.besides)
				f.want("registered", f.says("token", "shop"), "欢迎光临")
				f.want("a registered path wins over a guest's", f.says("shop", "shop"), refused)
				if f.Open() != (c.besides != refused) {
					t.Errorf("Open is %v", f.Open())
				}
				f.mustApply(true, plain("other", "token", "别处"))
				f.want("removed", f.says("token", "shop"), refused)
				f.want("added", f.says("token", "other"), "别处")
			})
		})
	}
}

func TestTokenRule(t *testing.T) {
	for _, c := range []struct {
		token string
		valid bool
	}{
		{"abc", true}, {"aZ09", true}, {strings.Repeat("x", 32), true},
		{"", false}, {"ab", false}, {strings.Repeat("x", 33), false},
		{"a-b", false}, {"a_b", false}, {"a.b", false}, {"a b", false}, {"a%b", false}, {"雯雯雯", false}, {"a/b", false}, {"ａｂｃ", false},
	} {
		if validToken(c.token) != c.valid {
			t.Errorf("%q is valid: %v", c.token, !c.valid)
		}
	}
}

// What is refused has the same empty answer whatever the reason.
func TestRefusalsAreAlike(t *testing.T) {
	bubble(t, HostingOn, testLimits, func(t *testing.T, f *fixture) {
		f.mustApply(false, plain("shop", "token", "在"))
		signed := func(token, path string) *http.Request {
			req, err := oa.NewDelivery(oa.Account{Token: token}, "http://wenzi/wechatMP/"+path, []byte(text("gh", "oA", 1, "x")))
			if err != nil {
				t.Fatal(err)
			}
			return req
		}
		for name, req := range map[string]*http.Request{
			"no signature":            httptest.NewRequest("GET", "/wechatMP/hello", nil),
			"no signature, account":   httptest.NewRequest("POST", "/wechatMP/shop", nil),
			"wrong token":             signed("other", "hello"),
			"wrong token, account":    signed("other", "shop"),
			"the path is not a token": signed("a-b", "a-b"),
			"too short":               signed("ab", "ab"),
			"method":                  httptest.NewRequest("DELETE", "/wechatMP/hello", nil),
		} {
			w := f.do(req)
			if diff := cmp.Diff(http.Header{"Content-Length": {"0"}}, w.Result().Header); w.Code != 404 || w.Body.Len() != 0 || diff != "" {
				t.Errorf("%s: %d, body %q, headers %s", name, w.Code, w.Body, diff)
			}
		}
		f.Hosting = HostingOff
		if w := f.do(signed("hello", "hello")); w.Code != 404 || w.Body.Len() != 0 {
			t.Errorf("hosting off: %d %q", w.Code, w.Body)
		}
	})
}

func TestSignedGet(t *testing.T) {
	bubble(t, HostingOn, testLimits, func(t *testing.T, f *fixture) {
		f.mustApply(false, "  - {path: shop, token: token, name: 小店}\n  - {path: bare, token: token}\n")
		get := func(token, path, strip string) string {
			req, err := oa.NewCheck(oa.Account{Token: token}, "http://wenzi/wechatMP/"+path, "4375120948345356249")
			if err != nil {
				t.Fatal(err)
			}
			if strip != "" {
				q := req.URL.Query()
				q.Del(strip)
				req.URL.RawQuery = q.Encode()
			}
			w := f.do(req)
			return fmt.Sprint(w.Code, " ", w.Body)
		}
		f.want("URL check of a guest", get("hello", "hello", ""), "200 4375120948345356249")
		f.want("URL check", get("token", "shop", ""), "200 4375120948345356249")
		f.want("name of a guest", get("hello", "hello", "echostr"), "200 是雯子吖")
		f.want("name", get("token", "shop", "echostr"), "200 小店")
		f.want("no name", get("token", "bare", "echostr"), "200 是雯子吖")
		f.want("unsigned", get("hello", "hello", "signature"), refused)
	})
}

// Accounts change while the server runs; those that do not are left alone.
func TestApply(t *testing.T) {
	bubble(t, HostingAuto, testLimits, func(t *testing.T, f *fixture) {
		f.mustApply(false, plain("a", "tokenA", "甲")+plain("b", "tokenB", "乙"))
		before := f.registered.Load()
		f.want("a", f.says("tokenA", "a"), "甲")

		change := f.mustApply(false, plain("a", "********", "甲二")+plain("c", "tokenC", "丙"))
		f.want("change", change.String(), "+ c  新增（added）\n~ a  更改（changed）: fallback\n= 1 个账号不变（unchanged）\n")
		f.want("b is still there", f.says("tokenB", "b"), "乙")
		f.want("c is new", f.says("tokenC", "c"), "丙")
		f.want("the mask keeps the token, and a repeat its answer", f.says("tokenA", "a"), "甲")
		f.want("a has changed", f.say(oa.Account{Token: "tokenA"}, "a", text("gh_1", "oA", 2, "你好")), "甲二")
		after := f.registered.Load()
		if after.byPath["b"] != before.byPath["b"] || after.byPath["a"] == before.byPath["a"] {
			t.Error("what has not changed should be the same server, what has changed another")
		}
		if after.byPath["a"].stored.ID != before.byPath["a"].stored.ID {
			t.Error("the account has another id")
		}
		var order []string
		for _, a := range f.Accounts() {
			order = append(order, a.Path)
		}
		if diff := cmp.Diff([]string{"a", "b", "c"}, order); diff != "" {
			t.Error(diff)
		}

		// A mask of what is not stored changes nothing.
		if change, err := f.apply(true, plain("new", "********", "x")); err == nil || !change.IsZero() || !strings.Contains(err.Error(), "bot.yaml:2: accounts[0].token") {
			t.Errorf("change %v, error %v", change, err)
		}
		if f.registered.Load() != after {
			t.Error("a mistake changes what runs")
		}

		// Another process, or this one after a restart, reads the same.
		stored, err := Stored(t.Context(), f.Store)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(f.Accounts(), stored); diff != "" {
			t.Error(diff)
		}
		change, all, err := Apply(t.Context(), f.Store, bot.Bot{Accounts: stored[:1]}, true)
		if err != nil || len(all) != 1 || len(change.Removed) != 2 {
			t.Errorf("%d accounts, change %v, error %v", len(all), change, err)
		}
		f.want("not yet loaded", f.says("tokenB", "b"), "乙")
		if err := f.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.want("loaded", f.says("tokenB", "b"), refused)
	})
}

// A handler is made once for what is stored, and found as long as that is there.
func TestHandlerOf(t *testing.T) {
	bubble(t, HostingAuto, testLimits, func(t *testing.T, f *fixture) {
		f.mustApply(false, plain("a", "tokenA", "甲")+plain("b", "tokenB", "乙"))
		id := f.registered.Load().byPath["a"].stored.ID
		first, ok := f.HandlerOf(id)
		if !ok || first.(*handler).bot.Path != "a" {
			t.Fatalf("the handler of a is %v, %t", first, ok)
		}
		f.want("a", f.says("tokenA", "a"), "甲")
		f.mustApply(false, plain("b", "********", "乙二"))
		if again, _ := f.HandlerOf(id); again != first || len(f.made) != 3 {
			t.Errorf("%d handlers were made, a has another one: %t", len(f.made), again != first)
		}
		f.mustApply(false, plain("a", "********", "甲二"))
		if next, ok := f.HandlerOf(id); !ok || next == first || next.(*handler).bot.Fallback.Reply.Text != "甲二" {
			t.Errorf("after the change the handler is %v, %t", next, ok)
		}
		f.mustApply(true, plain("b", "********", "乙二"))
		if h, ok := f.HandlerOf(id); ok {
			t.Errorf("of what is removed the handler is %v", h)
		}
	})
}

// One account that cannot be read or served does not stop the others, and is
// repaired or removed by applying a file.
func TestBrokenAccount(t *testing.T) {
	for _, repair := range []string{"replace", "prune"} {
		t.Run(repair, func(t *testing.T) {
			bubble(t, HostingAuto, testLimits, func(t *testing.T, f *fixture) {
				f.mustApply(false, plain("good", "token", "好")+plain("unread", "unread", "x")+plain("unserved", "unserved", "x"))
				long := strings.Repeat("x", 3000)
				f.exec(`UPDATE accounts SET config = '{"mode": "quantum"}' WHERE path = 'unread'`)
				f.exec(`UPDATE accounts SET config = replace(config, '{"text":"x"}', ?) WHERE path = 'unserved'`, `{"text":"`+long+`"}`)
				if err := f.Load(t.Context()); err != nil {
					t.Fatal(err)
				}
				check := func(unread, unserved string) {
					t.Helper()
					f.want("good", f.says("token", "good"), "好")
					f.want("unread", f.says("unread", "unread"), unread)
					f.want("unserved", f.says("unserved", "unserved"), unserved)
					f.want("guest", f.says("guest", "guest"), refused)
				}
				check(refused, refused) // not as guests either
				if log := f.log.String(); strings.Count(log, "an account cannot be served; apply its bot.yaml again") != 2 || strings.Contains(log, "unread") || strings.Contains(log, "unserved") || strings.Contains(log, long) {
					t.Errorf("log: %s", log)
				}
				if _, err := Stored(t.Context(), f.Store); err == nil || !strings.Contains(err.Error(), "apply its bot.yaml again") {
					t.Errorf("Stored: %v", err)
				}
				if repair == "prune" {
					if change := f.mustApply(true, plain("good", "********", "好")); len(change.Removed) != 2 {
						t.Errorf("change: %s", change)
					}
					check(refused, refused)
				} else {
					if _, err := f.apply(false, plain("unread", "********", "x")); err == nil {
						t.Error("a mask keeps a secret that cannot be read")
					}
					f.mustApply(false, plain("unread", "unread", "一")+plain("unserved", "********", "二"))
					check("一", "二")
				}
				if _, err := Stored(t.Context(), f.Store); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Only the broken account is registered: its owner did not ask for guests.
func TestBrokenAccountIsRegistered(t *testing.T) {
	bubble(t, HostingAuto, testLimits, func(t *testing.T, f *fixture) {
		f.mustApply(false, plain("only", "only", "x"))
		f.exec(`UPDATE accounts SET config = '{}'`)
		if err := f.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.want("guest", f.says("hello", "hello"), refused)
		f.want("at its path", f.says("only", "only"), refused)
		if f.Open() || len(f.Accounts()) != 0 {
			t.Errorf("open %v, accounts %v", f.Open(), f.Accounts())
		}
	})
}

// Without the store nothing changes.
func TestApplyFails(t *testing.T) {
	bubble(t, HostingAuto, testLimits, func(t *testing.T, f *fixture) {
		f.mustApply(false, plain("a", "tokenA", "甲"))
		if err := f.Store.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := f.apply(true, plain("b", "tokenB", "乙")); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Apply: %v", err)
		}
		if err := f.Load(t.Context()); err == nil {
			t.Error("Load works")
		}
		if _, err := Stored(t.Context(), f.Store); err == nil {
			t.Error("Stored works")
		}
		f.want("from memory", f.says("tokenA", "a"), "甲")
	})
}

// Accounts are changed by several at once, and messages come in: nobody is
// answered by another's rules, and what runs in the end is what is stored.
func TestApplyUnderTraffic(t *testing.T) {
	f := start(t, HostingOff, testLimits)
	f.mustApply(false, plain("fixed", "token", "定"))
	stop := make(chan struct{})
	var traffic, changes sync.WaitGroup
	for i := range 4 {
		traffic.Go(func() {
			for n := 1; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				from := fmt.Sprint("o", i)
				if got := f.say(oa.Account{Token: "token"}, "fixed", text("gh_1", from, n, "你好")); got != "定" {
					t.Errorf("fixed answers %s", got)
				}
				path := fmt.Sprint("p", n%3)
				if got := f.say(oa.Account{Token: "token" + path}, path, text("gh_"+path, from, n, "你好")); got != path && got != refused {
					t.Errorf("%s answers %s", path, got)
				}
			}
		})
	}
	for i := range 3 {
		changes.Go(func() {
			path := fmt.Sprint("p", i)
			for range 4 {
				f.mustApply(false, plain(path, "token"+path, path))
				f.mustApply(true, plain("fixed", "********", "定"))
			}
			f.mustApply(false, plain(path, "token"+path, path))
		})
	}
	changes.Wait()
	close(stop)
	traffic.Wait()
	stored, err := Stored(t.Context(), f.Store)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(f.Accounts(), stored); diff != "" {
		t.Errorf("what runs (-) is not what is stored (+):\n%s", diff)
	}
}

// A change that overtakes another on its way from the store is not lost.
func TestOverlappingChanges(t *testing.T) {
	f := start(t, HostingOff, testLimits)
	second := make(chan struct{})
	f.making = func(a Served) {
		if a.Bot.Path != "first" {
			return
		}
		go func() {
			defer close(second)
			f.mustApply(false, plain("second", "token", "二"))
		}()
		select {
		case <-second: // it overtakes, if nothing holds it up
		case <-time.After(50 * time.Millisecond):
		}
	}
	f.mustApply(false, plain("first", "token", "一"))
	<-second
	f.want("first", f.says("token", "first"), "一")
	f.want("second", f.says("token", "second"), "二")
}

// Who is told of a change finds the new accounts.
func TestChanged(t *testing.T) {
	f := start(t, HostingOff, testLimits)
	var seen []string
	f.Changed = func() {
		for _, a := range f.Accounts() {
			seen = append(seen, a.Path)
		}
	}
	f.mustApply(false, plain("a", "token", "甲"))
	if err := f.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "a"}, seen); diff != "" {
		t.Error(diff)
	}
}

func TestProbes(t *testing.T) {
	bubble(t, HostingAuto, testLimits, func(t *testing.T, f *fixture) {
		const secret = "SecretToken"
		f.want("wrong signature", f.says("another", secret), refused)
		f.want("a slash, encoded", f.says(secret, secret+"%2F"), refused)
		f.want("not a token", f.says(secret, secret+"-"), refused)
		f.do(httptest.NewRequest("GET", "/wechatMP/"+secret+"?signature=&echostr="+secret, nil))
		f.do(httptest.NewRequest(strings.Repeat("M", 5000), "/wechatMP/"+secret, nil))
		f.want("sealed for a guest", f.say(secure(secret), secret, text("gh_1", "oSecret", 1, "悄悄话")), "200 success")
		f.want("a good one is no probe", f.says(secret, secret), "你好")
		time.Sleep(time.Second)
		if err := f.StoreProbes(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := f.StoreProbes(t.Context()); err != nil { // nothing more
			t.Fatal(err)
		}
		probes, err := f.Store.Probes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(probes)
		var got []string
		for _, p := range probes {
			if !p.At.Equal(time.Now().Add(-time.Second)) {
				t.Errorf("a probe of %v", p.At)
			}
			got = append(got, p.Method+" "+p.Path+" "+p.Reason)
		}
		want := []string{
			"POST /wechatMP/*** " + oa.ErrSignature.Error(),
			"POST /wechatMP/*** " + errNoToken.Error(),
			"POST /wechatMP/*** " + errNoToken.Error(),
			"GET /wechatMP/*** " + oa.ErrNoSignature.Error(),
			"MMMMMMMMMMMMMMMM /wechatMP/*** " + oa.ErrMethod.Error(),
		}
		if diff := cmp.Diff(want, got[:min(5, len(got))]); diff != "" || len(got) != 6 || !strings.Contains(got[5], "安全模式") && !strings.Contains(got[5], "明文模式") {
			t.Errorf("%s\n%q", diff, got)
		}
		if all := fmt.Sprint(probes) + f.log.String(); strings.Contains(all, secret) || strings.Contains(all, "oSecret") || strings.Contains(all, "悄悄话") {
			t.Errorf("a secret is shown: %s", all)
		}
		if outcomes := fmt.Sprint(f.outcome); outcomes != "[refused refused refused refused refused unreadable answered]" {
			t.Errorf("observed %s", outcomes)
		}
	})
}

// A flood of refused requests costs little memory and one small write.
func TestProbesAreBounded(t *testing.T) {
	bubble(t, HostingOff, testLimits, func(t *testing.T, f *fixture) {
		for i := range 2000 {
			f.do(httptest.NewRequest("GET", fmt.Sprint("/wechatMP/token", i), nil))
		}
		f.do(httptest.NewRequest("PUT", "/wechatMP/last", nil))
		if n := len(f.probes.waiting); n != mostProbes || cap(f.probes.waiting) > 2*mostProbes {
			t.Errorf("%d probes wait, room for %d", n, cap(f.probes.waiting))
		}
		if err := f.StoreProbes(t.Context()); err != nil {
			t.Fatal(err)
		}
		probes, err := f.Store.Probes(t.Context())
		if err != nil || len(probes) != mostProbes || probes[0].Method != "PUT" || probes[0].Reason != errNoAccount.Error() {
			t.Errorf("%d probes, error %v", len(probes), err)
		}
		if n := len(f.guests.servers); n != 0 {
			t.Errorf("%d tokens are kept", n)
		}
	})
}
