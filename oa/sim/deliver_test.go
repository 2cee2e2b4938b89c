package sim_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

// delivered is what a server has seen.
type delivered struct {
	mu sync.Mutex
	at []time.Duration // since the beginning
	r  []*http.Request
	b  []string
}

func (d *delivered) add(start time.Time, r *http.Request) (n int) {
	body, _ := io.ReadAll(r.Body)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at, d.r, d.b = append(d.at, time.Since(start)), append(d.r, r), append(d.b, string(body))
	return len(d.at)
}

func (d *delivered) times() []time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.at)
}

// platform starts one with a server that answers the n-th delivery by f.
func platform(t *testing.T, f func(n int, w http.ResponseWriter, r *http.Request)) (*sim.Testing, *delivered) {
	t.Helper()
	d, start := &delivered{}, time.Now()
	return sim.Start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f(d.add(start, r), w, r) }), account(oa.Plain)), d
}

func success(_ int, w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "success") }

func texts(u *sim.Follower) []string {
	var out []string
	for _, e := range u.Chat() {
		out = append(out, e.From+": "+e.Text())
	}
	return out
}

// A status other than 200 is repeated at once, four deliveries within a second,
// though the body is right (reference §4.1).
func TestQuickRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d := platform(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			io.WriteString(w, "success")
		})
		u := p.Follower()
		s := u.Say("在吗")
		if fate := s.Wait(t.Context()); fate != sim.FaultShown {
			t.Errorf("fate %q", fate)
		}
		if at := d.times(); len(at) != 4 || at[3] > time.Second {
			t.Errorf("deliveries at %v", at)
		}
		if got := texts(u); len(got) != 2 || got[1] != "wechat: "+sim.FaultNotice {
			t.Errorf("the chat is %q", got)
		}
		for _, a := range s.Attempts() {
			if a.Exchange.Verdict.Problem.Rule != sim.RuleStatus {
				t.Errorf("verdict %+v", a.Exchange.Verdict)
			}
		}
	})
}

func TestAnswerOnARepeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d := platform(t, func(n int, w http.ResponseWriter, r *http.Request) {
			switch n {
			case 1: // comes to an end when WeChat has hung up: lost
				time.Sleep(6 * time.Second)
				io.WriteString(w, strings.ReplaceAll(textReply(r, "太晚了"), "\x00", ""))
			case 2:
				panic(http.ErrAbortHandler)
			default:
				io.WriteString(w, textReply(r, "来了"))
			}
		})
		u := p.Follower()
		s := u.Say("在吗")
		if fate := s.Wait(t.Context()); fate != sim.Replied {
			t.Errorf("fate %q", fate)
		}
		if at := d.times(); !slices.Equal(at, []time.Duration{0, 5 * time.Second, 10 * time.Second}) {
			t.Errorf("deliveries at %v", at)
		}
		if got := texts(u); !slices.Equal(got, []string{"follower: 在吗", "account: 来了"}) {
			t.Errorf("the chat is %q", got)
		}
		if chat := u.Chat(); chat[1].Delivery != 3 || chat[1].Message != s.ID || chat[1].Via != sim.ViaReply {
			t.Errorf("the answer is %+v", chat[1])
		}
	})
}

// textReply answers the follower of a plain delivery.
func textReply(r *http.Request, text string) string {
	return "<xml><ToUserName>" + r.URL.Query().Get("openid") + "</ToUserName><FromUserName>" + gh + "</FromUserName>" +
		"<CreateTime>1</CreateTime><MsgType>text</MsgType><Content><![CDATA[" + text + "]]></Content></xml>"
}

func TestBrokenConnections(t *testing.T) {
	for _, test := range []struct {
		name     string
		settings sim.Settings
		trouble  sim.Trouble
		at       []time.Duration // what reaches the server
		took     time.Duration
	}{
		{"out of reach", sim.Settings{}, sim.Trouble{Unreachable: 1}, nil, 10 * time.Second},
		{"out of reach, at once", sim.Settings{BreaksRepeatAtOnce: true}, sim.Trouble{Unreachable: 1}, nil, 0},
		{"cut", sim.Settings{}, sim.Trouble{Cut: 1}, []time.Duration{0, 5 * time.Second, 10 * time.Second}, 10 * time.Second},
		{"two deliveries", sim.Settings{Deliveries: 2}, sim.Trouble{Cut: 1}, []time.Duration{0, 5 * time.Second}, 5 * time.Second},
		{"slow way", sim.Settings{}, sim.Trouble{Latency: 6 * time.Second}, nil, 15 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, d := platform(t, success)
				p.SetSettings(test.settings)
				p.SetTrouble(test.trouble)
				u, start := p.Follower(), time.Now()
				if fate := u.Say("在吗").Wait(t.Context()); fate != sim.FaultShown {
					t.Errorf("fate %q", fate)
				}
				if took := time.Since(start); took != test.took {
					t.Errorf("it took %v, want %v", took, test.took)
				}
				if at := d.times(); !slices.Equal(at, test.at) {
					t.Errorf("deliveries at %v, want %v", at, test.at)
				}
			})
		})
	}
}

func TestTroubleOnTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d := platform(t, success)
		p.SetTrouble(sim.Trouble{Duplicate: 1})
		u := p.Follower()
		if fate := u.Say("你好").Wait(t.Context()); fate != sim.Silent {
			t.Errorf("fate %q", fate)
		}
		if len(d.times()) != 2 || d.b[0] != d.b[1] || d.r[0].URL.RawQuery != d.r[1].URL.RawQuery {
			t.Errorf("the duplicates are %q", d.b)
		}

		p.SetTrouble(sim.Trouble{Skew: time.Hour})
		now := time.Now().Add(time.Hour).Unix()
		u.Say("几点了").Wait(t.Context())
		m, err := oa.ParseMessage([]byte(d.b[2]))
		if err != nil || m.Head().CreateTime != now || d.r[2].URL.Query().Get("timestamp") != itoa(now) {
			t.Errorf("created %d, signed %s, want %d (%v)", m.Head().CreateTime, d.r[2].URL.Query().Get("timestamp"), now, err)
		}

		p.SetTrouble(sim.Trouble{Reorder: time.Minute})
		var sent []*sim.Sent
		for range 20 {
			sent = append(sent, u.Say("第几"))
		}
		for _, s := range sent {
			s.Wait(t.Context())
		}
		var ids []int64
		for _, b := range d.b[3:] {
			m, err := oa.ParseMessage([]byte(b))
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, m.(*oa.TextMessage).MsgID)
		}
		if len(ids) != 20 || slices.IsSorted(ids) {
			t.Errorf("the order is %v", ids)
		}
	})
}

// MarkFail: after too many failures WeChat is silent for a minute (reference §4.6).
func TestMarkFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d := platform(t, func(n int, w http.ResponseWriter, _ *http.Request) {
			if n <= 6 {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			io.WriteString(w, "success")
		})
		p.SetSettings(sim.Settings{MarkFailures: 6})
		p.Events(0) // from now on they are kept
		u := p.Follower()
		u.Say("一").Wait(t.Context())
		u.Say("二").Wait(t.Context())
		if n := len(d.times()); n != 6 {
			t.Fatalf("%d deliveries before the pause", n)
		}
		s := u.Say("三")
		if fate := s.Wait(t.Context()); fate != sim.NotPushed || s.Reason().Rule != sim.RuleNotPushed {
			t.Errorf("in the pause: %q, %v", fate, s.Reason())
		}
		if chat := texts(u); chat[len(chat)-1] != "wechat: "+sim.FaultNotice {
			t.Errorf("in the pause the chat is %q", chat)
		}
		time.Sleep(time.Minute)
		if fate := u.Say("四").Wait(t.Context()); fate != sim.Silent || len(d.times()) != 7 {
			t.Errorf("after the pause: %q, %d deliveries", fate, len(d.times()))
		}
		events, _ := p.Events(0)
		if i := slices.IndexFunc(events, func(e sim.Event) bool { return e.Type == sim.EventPause }); i < 0 {
			t.Error("nobody was told of the pause")
		}
	})
}

// A second authorised platform gets its own copy and answers as well (reference §0).
func TestReceiversAnswerBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := platform(t, func(_ int, w http.ResponseWriter, r *http.Request) { io.WriteString(w, textReply(r, "我")) })
		own := p.Account.Config()
		other := oa.Account{AppID: "wxcomponent0000000", Token: "other", AESKey: aesKey}
		s, err := oa.NewServer(other, oa.HandlerFunc(func(context.Context, *oa.Request) (oa.Reply, error) { return oa.Text("另一个平台") }))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Account.AddReceiver(sim.ReceiverConfig{Name: "other", Account: other, Handler: s}); err != nil {
			t.Fatal(err)
		}
		u := p.Follower()
		sent := u.Say("谁")
		sent.Wait(t.Context())
		got := texts(u)
		slices.Sort(got)
		if !slices.Equal(got, []string{"account: 另一个平台", "account: 我", "follower: 谁"}) || own.OriginalID == "" {
			t.Errorf("the chat is %q", got)
		}
		if a := sent.Attempts(); len(a) != 2 || a[0].Receiver == a[1].Receiver {
			t.Errorf("attempts %+v", a)
		}
	})
}

func TestNobodyHears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d := platform(t, success)
		u := p.Account.Follower()
		if s := u.Say("你好"); s.Wait(t.Context()) != sim.NotPushed || s.Reason() == nil {
			t.Errorf("before following: %q, %v", s.Fate(), s.Reason())
		}
		u.Subscribe().Wait(t.Context())
		u.Unsubscribe().Wait(t.Context())
		if s := u.Say("你好"); s.Wait(t.Context()) != sim.NotPushed {
			t.Errorf("after leaving: %q", s.Fate())
		}
		if n := len(d.times()); n != 2 {
			t.Errorf("the server has heard %d times", n)
		}
		a, err := p.NewAccount(sim.AccountConfig{})
		if err != nil {
			t.Fatal(err)
		}
		if s := a.Follower().Subscribe(); s.Wait(t.Context()) != sim.NotPushed {
			t.Errorf("an account without server: %q", s.Fate())
		}
		p.Close()
		if s := u.Subscribe(); s.Wait(t.Context()) != sim.NotPushed {
			t.Errorf("a closed platform: %q", s.Fate())
		}
	})
}

// The windows of reference §9.3.
func TestCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := platform(t, success)
		u := p.Follower()
		want := func(what string, left int) {
			t.Helper()
			if c := u.Credit(); c.Left != left {
				t.Errorf("%s: %d left, want %d", what, c.Left, left)
			}
		}
		want("before anything", 0)
		u.Click("K").Wait(t.Context())
		want("after a click", 3)
		u.Say("你好").Wait(t.Context())
		want("after a message", 8)
		p.Advance(time.Minute)
		want("a minute later", 5)
		u.Tap(sim.Span{Say: "继续", MenuID: "1"}).Wait(t.Context())
		want("after a tap, which is a menu click", 8)
		p.Advance(48 * time.Hour)
		want("two days later", 0)
		p.SetSettings(sim.Settings{MenuMessageIsText: true, MessageQuota: 20})
		u.Tap(sim.Span{Say: "继续", MenuID: "1"}).Wait(t.Context())
		want("with a tap that is a message", 20)
	})
}

func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := platform(t, func(_ int, w http.ResponseWriter, r *http.Request) { io.WriteString(w, textReply(r, "嗯")) })
		events, changed := p.Events(0)
		if len(events) != 0 {
			t.Errorf("events before anything: %+v", events)
		}
		u := p.Follower()
		s := u.Say("在吗")
		<-changed
		s.Wait(t.Context())
		events, _ = p.Events(0)
		var types []sim.EventType
		for _, e := range events {
			types = append(types, e.Type)
			if e.OpenID != u.OpenID() || e.AppID != p.Account.Config().AppID {
				t.Errorf("whose is %+v", e)
			}
		}
		if !slices.Equal(types, []sim.EventType{sim.EventEntry, sim.EventDelivery, sim.EventEntry}) {
			t.Errorf("events %v", types)
		}
		if rest, _ := p.Events(events[1].Seq); len(rest) != 1 {
			t.Errorf("after the second: %+v", rest)
		}
	})
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
