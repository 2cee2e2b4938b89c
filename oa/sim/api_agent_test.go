package sim_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/api"
	"github.com/wenzihq/wenzi/oa/sim"
)

func agentNew(t *testing.T, a *sim.Account, name string, online bool) *sim.Agent {
	t.Helper()
	g, err := a.NewAgent(name, "客服")
	if err == nil {
		err = g.SetOnline(online)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// agentEvents are the events of sessions that the server got, in short.
func agentEvents(in *menuInbox) []string {
	var all []string
	for _, m := range in.take() {
		switch m := m.(type) {
		case *oa.KfSessionEvent:
			all = append(all, m.Event+" "+m.KfAccount)
		case *oa.KfSwitchSessionEvent:
			all = append(all, m.Event+" "+m.FromKfAccount+" "+m.ToKfAccount)
		}
	}
	return all
}

// A transfer waits for an agent; while one has the chat, the account hears of
// messages no more (reference §7.8).
func TestTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, in := menuPlatform(t, func(m oa.Message) (oa.Reply, error) {
			if m, ok := m.(*oa.TextMessage); ok {
				name, asked := strings.CutPrefix(m.Content, "找")
				if asked {
					return oa.Transfer(name)
				}
			}
			return oa.None()
		})
		u, g, other := p.Follower(), agentNew(t, p.Account, "a1@test", true), agentNew(t, p.Account, "a2@test", false)
		if fate := u.Say("找").Wait(t.Context()); fate != sim.Replied {
			t.Fatalf("fate %q", fate)
		}
		if w := p.Account.Waiting(); len(w) != 1 || w[0] != u || u.Agent() != nil {
			t.Fatalf("%v wait", w)
		}
		if fate := u.Say("在吗").Wait(t.Context()); fate != sim.Silent {
			t.Errorf("while waiting, messages are pushed: %q", fate)
		}
		waiting, err := c.KFSession.Waiting(t.Context())
		if err != nil || waiting.Count != 1 || waiting.WaitCaseList[0].OpenID != u.OpenID() || waiting.WaitCaseList[0].LatestTime != p.Now().Unix() {
			t.Errorf("%+v, %v", waiting, err)
		}
		in.take()
		if err := other.Accept(u); err == nil {
			t.Error("an agent who is not online accepts")
		}
		if err := g.Accept(u); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"kf_create_session a1@test"}, agentEvents(in)); diff != "" {
			t.Error(diff)
		}
		if len(p.Account.Waiting()) != 0 || u.Agent() != g || len(g.Followers()) != 1 {
			t.Errorf("the chat is with %v, %v wait", u.Agent(), p.Account.Waiting())
		}
		s := u.Say("有人吗")
		if fate := s.Wait(t.Context()); fate != sim.NotPushed || !strings.Contains(s.Reason().English, "human agent") {
			t.Errorf("fate %q, %v", fate, s.Reason())
		}
		if err := g.Say(u, "有"); err != nil {
			t.Fatal(err)
		}
		chat := u.Chat()
		if last := chat[len(chat)-1]; last.Text() != "有" || last.Agent != "a1@test" || last.Via != sim.ViaAgent || last.From != sim.FromAccount {
			t.Errorf("%+v", last)
		}
		if err := other.Say(u, "我也在"); err == nil {
			t.Error("an agent speaks who does not have the chat")
		}
		if fate := u.Click("K").Wait(t.Context()); fate != sim.Silent {
			t.Errorf("events are pushed all the same: %q", fate)
		}
		in.take()

		if err := g.HandOver(u, other); err == nil {
			t.Error("a chat is handed to who is not online")
		}
		if err := other.SetOnline(true); err != nil {
			t.Fatal(err)
		}
		if err := g.HandOver(u, other); err != nil || u.Agent() != other {
			t.Errorf("%v, the chat is with %v", err, u.Agent())
		}
		if err := g.End(u); err == nil {
			t.Error("an agent ends a chat of another")
		}
		if err := other.End(u); err != nil || u.Agent() != nil {
			t.Errorf("%v, the chat is with %v", err, u.Agent())
		}
		if diff := cmp.Diff([]string{"kf_switch_session a1@test a2@test", "kf_close_session a2@test"}, agentEvents(in), cmp.Transformer("sorted", agentCounts)); diff != "" {
			t.Error(diff)
		}
		if fate := u.Say("在吗").Wait(t.Context()); fate != sim.Silent {
			t.Errorf("after the end messages are pushed again: %q", fate)
		}

		// A named agent gets the chat at once, or when coming online, and nobody else.
		in.take()
		u.Say("找a2@test").Wait(t.Context())
		if u.Agent() != other {
			t.Errorf("the chat is with %v", u.Agent())
		}
		u.Unsubscribe()
		if u.Agent() != nil || len(other.Followers()) != 0 {
			t.Error("who left is still in a session")
		}
		u.Subscribe()
		if err := other.SetOnline(false); err != nil || other.Online() {
			t.Fatal(err)
		}
		u.Say("找a2@test").Wait(t.Context())
		if err := g.Accept(u); err == nil {
			t.Error("an agent takes who waits for another")
		}
		u.Say("找nobody@test").Wait(t.Context())
		u.Say("找a2@test").Wait(t.Context())
		if len(p.Account.Waiting()) != 1 {
			t.Errorf("who asks again waits twice")
		}
		in.take()
		u.Unsubscribe()
		if len(p.Account.Waiting()) != 0 {
			t.Error("who left still waits")
		}
		u.Subscribe()
		u.Say("找a2@test").Wait(t.Context())
		in.take()
		if err := other.SetOnline(true); err != nil || u.Agent() != other {
			t.Errorf("%v, the chat is with %v", err, u.Agent())
		}
		if diff := cmp.Diff([]string{"kf_create_session a2@test"}, agentEvents(in)); diff != "" {
			t.Error(diff)
		}
	})
}

// A transfer that comes too late changes nothing: the follower has left, or is in
// a session already.
func TestLateTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var before func()
		p, c, _ := menuPlatform(t, func(m oa.Message) (oa.Reply, error) {
			if _, ok := m.(*oa.TextMessage); !ok {
				return oa.None()
			}
			before()
			return oa.Transfer("")
		})
		u, g := p.Follower(), agentNew(t, p.Account, "a1@test", true)
		before = func() {
			if err := c.KFSession.Create(context.Background(), api.KFSessionCreateRequest{KFAccount: "a1@test", OpenID: u.OpenID()}); err != nil {
				t.Error(err)
			}
		}
		u.Say("在吗").Wait(t.Context())
		if u.Agent() != g || len(p.Account.Waiting()) != 0 {
			t.Errorf("the chat is with %v, %v wait", u.Agent(), p.Account.Waiting())
		}
		if err := g.End(u); err != nil {
			t.Fatal(err)
		}
		before = func() { u.Unsubscribe() }
		u.Say("在吗").Wait(t.Context())
		if w := p.Account.Waiting(); len(w) != 0 {
			t.Errorf("%v wait", w)
		}
	})
}

func agentCounts(all []string) map[string]int {
	count := map[string]int{}
	for _, s := range all {
		count[s]++
	}
	return count
}

// An account without the right transfers nobody.
func TestTransferWithoutRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, _ := menuPlatform(t, func(oa.Message) (oa.Reply, error) { return oa.Transfer("") })
		p.Account.SetRight(sim.RightTransfer, false)
		u := p.Follower()
		u.Say("在吗").Wait(t.Context())
		if w := p.Account.Waiting(); len(w) != 0 {
			t.Errorf("%v wait", w)
		}
		if _, err := c.KF.List(t.Context(), api.KFListRequest{}); apiCodeMenu(err) != 65400 {
			t.Errorf("%v", err)
		}
	})
}

// A session ends after 30 minutes without a word; a word of either side renews it.
func TestSessionIdle(t *testing.T) {
	for _, advance := range []bool{false, true} {
		t.Run(fmt.Sprint("advance ", advance), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, c, in := menuPlatform(t, nil)
				u, g, other := p.Follower(), agentNew(t, p.Account, "a1@test", true), agentNew(t, p.Account, "a2@test", true)
				pass := func(d time.Duration) {
					if advance {
						p.Advance(d)
						return
					}
					time.Sleep(d)
					synctest.Wait()
				}
				if err := c.KFSession.Create(t.Context(), api.KFSessionCreateRequest{KFAccount: "a1@test", OpenID: u.OpenID()}); err != nil {
					t.Fatal(err)
				}
				pass(29 * time.Minute)
				if fate := u.Say("还在吗").Wait(t.Context()); fate != sim.NotPushed {
					t.Errorf("fate %q", fate)
				}
				pass(29 * time.Minute)
				if err := g.Say(u, "在"); err != nil {
					t.Error(err)
				}
				pass(29 * time.Minute)
				if err := g.HandOver(u, other); err != nil {
					t.Error(err)
				}
				pass(29 * time.Minute)
				if u.Agent() != other {
					t.Error("the session is over too early")
				}
				in.take()
				pass(time.Minute)
				if diff := cmp.Diff([]string{"kf_close_session a2@test"}, agentEvents(in)); !advance && diff != "" {
					t.Errorf("the end comes by itself: %s", diff)
				}
				if fate := u.Say("还在吗").Wait(t.Context()); fate != sim.Silent {
					t.Errorf("fate %q", fate)
				}
				if diff := cmp.Diff([]string{"kf_close_session a2@test"}, agentEvents(in)); advance && diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, in := menuPlatform(t, nil)
		ctx := t.Context()
		u, stranger := p.Follower(), p.Account.Follower()
		agentNew(t, p.Account, "a1@test", true)
		agentNew(t, p.Account, "a2@test", true)
		agentNew(t, p.Account, "off@test", false)
		if err := c.KF.Add(ctx, api.KFAddRequest{KFAccount: "new@test", Nickname: "新"}); err != nil {
			t.Fatal(err)
		}
		create := func(kf, openID string) error {
			return c.KFSession.Create(ctx, api.KFSessionCreateRequest{KFAccount: kf, OpenID: openID})
		}
		closes := func(kf, openID string) error {
			return c.KFSession.Close(ctx, api.KFSessionCloseRequest{KFAccount: kf, OpenID: openID})
		}
		list := func(kf string) error {
			_, err := c.KFSession.List(ctx, api.KFSessionListRequest{KFAccount: kf})
			return err
		}
		get := func(openID string) error {
			_, err := c.KFSession.Get(ctx, api.KFSessionGetRequest{OpenID: openID})
			return err
		}
		for _, tt := range []struct {
			name string
			err  error
			code int
		}{
			{"close without session", closes("a1@test", u.OpenID()), 65413},
			{"unknown agent", create("nobody@test", u.OpenID()), 65401},
			{"unbound agent", create("new@test", u.OpenID()), 65402},
			{"agent who is off", create("off@test", u.OpenID()), 65415},
			{"foreign OpenID", create("a1@test", "oForeign"), 40003},
			{"no follower", create("a1@test", stranger.OpenID()), 40003},
			{"create", create("a1@test", u.OpenID()), 0},
			{"create again", create("a1@test", u.OpenID()), 0},
			{"create for another", create("a2@test", u.OpenID()), 65414},
			{"close of another", closes("a2@test", u.OpenID()), 65414},
			{"close by nobody", closes("nobody@test", u.OpenID()), 65401},
			{"close of a foreigner", closes("a1@test", "oForeign"), 40003},
			{"list of nobody", list("nobody@test"), 65401},
			{"list of who is not bound", list("new@test"), 65402},
			{"get of a foreigner", get("oForeign"), 40003},
		} {
			if code := apiCodeMenu(tt.err); code != tt.code {
				t.Errorf("%s: %v, want %d", tt.name, tt.err, tt.code)
			}
		}
		since := p.Now().Unix()
		got, err := c.KFSession.Get(ctx, api.KFSessionGetRequest{OpenID: u.OpenID()})
		if err != nil || got != (api.KFSessionGetResponse{CreateTime: since, KFAccount: "a1@test"}) {
			t.Errorf("%+v, %v", got, err)
		}
		sessions, err := c.KFSession.List(ctx, api.KFSessionListRequest{KFAccount: "a1@test"})
		if diff := cmp.Diff([]api.KFSession{{CreateTime: since, OpenID: u.OpenID()}}, sessions.SessionList); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
		online, err := c.KF.OnlineList(ctx, api.KFOnlineListRequest{})
		want := []api.KFOnline{{KFAccount: "a1@test", Status: 1, KFID: 1001, AcceptedCase: 1}, {KFAccount: "a2@test", Status: 1, KFID: 1002}}
		if diff := cmp.Diff(want, online.KFOnlineList); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
		if err := closes("a1@test", u.OpenID()); err != nil {
			t.Error(err)
		}
		if _, answer := apiRawMenu(t, p.Platform, "GET", "/customservice/kfsession/getsession?openid="+u.OpenID(), "", ""); answer != `{"createtime":0,"kf_account":""}` {
			t.Errorf("nobody serves the follower: %s", answer)
		}
		if diff := cmp.Diff([]string{"kf_create_session a1@test", "kf_close_session a1@test"}, agentEvents(in), cmp.Transformer("sorted", agentCounts)); diff != "" {
			t.Error(diff)
		}
		if err := create("a2@test", u.OpenID()); err != nil {
			t.Fatal(err)
		}
		a2 := u.Agent()
		if err := c.KF.Delete(ctx, api.KFDeleteRequest{KFAccount: "a2@test"}); err != nil || u.Agent() != nil || a2.Online() || a2.SetOnline(true) == nil {
			t.Errorf("%v, the chat is with %v", err, u.Agent())
		}
	})
}

// Of many who wait the answer lists 100.
func TestManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, _ := menuPlatform(t, func(oa.Message) (oa.Reply, error) { return oa.Transfer("") })
		for range 101 {
			p.Follower().Say("在吗").Wait(t.Context())
		}
		got, err := c.KFSession.Waiting(t.Context())
		if err != nil || got.Count != 101 || len(got.WaitCaseList) != 100 || got.WaitCaseList[0].OpenID != p.Account.Followers()[0].OpenID() {
			t.Errorf("%d, %d, %v", got.Count, len(got.WaitCaseList), err)
		}
	})
}

func TestAgents(t *testing.T) {
	p, c, _ := menuPlatform(t, nil)
	ctx := t.Context()
	add := func(kf, nickname string) int {
		return apiCodeMenu(c.KF.Add(ctx, api.KFAddRequest{KFAccount: kf, Nickname: nickname}))
	}
	invite := func(kf, wx string) int {
		return apiCodeMenu(c.KF.InviteWorker(ctx, api.KFInviteWorkerRequest{KFAccount: kf, InviteWx: wx}))
	}
	for _, tt := range []struct {
		name string
		code int
		want int
	}{
		{"add", add("helper@example", "Helper"), 0},
		{"add twice", add("helper@example", "Helper"), 65406},
		{"without suffix", add("helper", "Helper"), 65404},
		{"11 characters", add("helper12345@example", "Helper"), 65404},
		{"a hyphen", add("hel-per@example", "Helper"), 65404},
		{"16 characters of nickname", add("h2@example", strings.Repeat("客", 16)), 0},
		{"17 characters of nickname", add("h3@example", strings.Repeat("客", 17)), 65403},
		{"no nickname", add("h3@example", ""), 65403},
		{"rename", apiCodeMenu(c.KF.Update(ctx, api.KFUpdateRequest{KFAccount: "h2@example", Nickname: "二"})), 0},
		{"rename nobody", apiCodeMenu(c.KF.Update(ctx, api.KFUpdateRequest{KFAccount: "h9@example", Nickname: "二"})), 65401},
		{"rename to nothing", apiCodeMenu(c.KF.Update(ctx, api.KFUpdateRequest{KFAccount: "h2@example"})), 65403},
		{"invite", invite("helper@example", "wechat_id_1"), 0},
		{"invite the same twice", invite("h2@example", "wechat_id_1"), 65408},
		{"invite two", invite("helper@example", "wechat_id_2"), 65411},
		{"invite to nobody", invite("h9@example", "wechat_id_2"), 65401},
		{"invite nobody", invite("h2@example", "微信"), 65409},
	} {
		if tt.code != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, tt.code, tt.want)
		}
	}
	helper, h2 := p.Account.Agents()[0], p.Account.Agents()[1]
	if h2.Nickname() != "二" || h2.KFAccount() != "h2@example" {
		t.Errorf("%s is called %s", h2.KFAccount(), h2.Nickname())
	}
	if err := helper.SetOnline(true); err == nil {
		t.Error("an agent without WeChat is online")
	}
	list, err := c.KF.List(ctx, api.KFListRequest{})
	if err != nil || list.KFList[0].InviteWx != "wechat_id_1" || list.KFList[0].InviteStatus != "waiting" || list.KFList[0].InviteExpireTime <= p.Now().Unix() || list.KFList[0].KFWx != "" {
		t.Errorf("%+v, %v", list, err)
	}
	if err := helper.AnswerInvitation(false); err != nil {
		t.Error(err)
	}
	if err := helper.AnswerInvitation(true); err == nil {
		t.Error("a rejected invitation is accepted")
	}
	status := func() string {
		list, err := c.KF.List(ctx, api.KFListRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return list.KFList[0].InviteStatus
	}
	if s := status(); s != "rejected" {
		t.Errorf("status %q", s)
	}
	if code := invite("helper@example", "wechat_id_1"); code != 0 {
		t.Errorf("invited again: %d", code)
	}
	p.Advance(8 * 24 * time.Hour)
	if s := status(); s != "expired" {
		t.Errorf("status %q", s)
	}
	if code := invite("helper@example", "wechat_id_1"); code != 0 {
		t.Errorf("invited again: %d", code)
	}
	if err := helper.AnswerInvitation(true); err != nil {
		t.Error(err)
	}
	if code := invite("helper@example", "wechat_id_2"); code != 65412 {
		t.Errorf("invited when bound: %d", code)
	}
	if code := invite("h2@example", "wechat_id_1"); code != 65407 {
		t.Errorf("invited who is bound: %d", code)
	}

	if err := c.KF.UploadAvatar(ctx, api.KFUploadAvatarRequest{KFAccount: "helper@example", Media: mediaFile("a.jpg", "face")}); err != nil {
		t.Fatal(err)
	}
	if err := c.KF.UploadAvatar(ctx, api.KFUploadAvatarRequest{KFAccount: "h9@example", Media: mediaFile("a.jpg", "face")}); apiCodeMenu(err) != 65401 {
		t.Errorf("%v", err)
	}
	_, answer := apiRawMenu(t, p.Platform, "GET", "/cgi-bin/customservice/getkflist", "", "")
	if !strings.Contains(answer, `"kf_account":"helper@example","kf_nick":"Helper","kf_id":"1001","kf_headimgurl":"http://mmbiz.qpic.cn/mmbiz_jpg/`) || !strings.Contains(answer, `"kf_wx":"wechat_id_1"}`) {
		t.Errorf("kf_list answers %s", answer)
	}
	list, err = c.KF.List(ctx, api.KFListRequest{})
	if err != nil {
		t.Fatal(err)
	}
	avatar := list.KFList[0].KFHeadImgURL
	if _, _, body := mediaFetch(t, p.Client(), avatar); body != "face" {
		t.Errorf("the avatar is %q", body)
	}
	if err := c.KF.UploadAvatar(ctx, api.KFUploadAvatarRequest{KFAccount: "helper@example", Media: mediaFile("a.jpg", "new face")}); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := mediaFetch(t, p.Client(), avatar); status != 404 {
		t.Errorf("the old avatar is still there: %d", status)
	}
}

// The older form of kf_delete is a GET with the name in the query, the newer one
// a POST with JSON (reference api-rules §20).
func TestDeleteAgent(t *testing.T) {
	p, c, _ := menuPlatform(t, nil)
	for i, tt := range []struct{ method, query, body string }{
		{"GET", "?kf_account=a%d@test", ""},
		{"POST", "?kf_account=a%d@test", ""},
		{"POST", "?kf_account=a%d@test", "{}"},
		{"POST", "", `{"kf_account":"a%d@test"}`},
		{"POST", "?kf_account=a%d@test", `{"kf_account":"a%d@test"}`},
	} {
		agentNew(t, p.Account, fmt.Sprintf("a%d@test", i), false)
		fill := func(s string) string { return strings.ReplaceAll(s, "%d", strconv.Itoa(i)) }
		code, answer := apiRawMenu(t, p.Platform, tt.method, "/customservice/kfaccount/del"+fill(tt.query), "", fill(tt.body))
		if code != 0 || len(p.Account.Agents()) != 0 {
			t.Errorf("%s %s %s: %s", tt.method, tt.query, tt.body, answer)
		}
	}
	if err := c.KF.Delete(t.Context(), api.KFDeleteRequest{KFAccount: "a1@test"}); apiCodeMenu(err) != 65401 {
		t.Errorf("deleted twice: %v", err)
	}
	if code, _ := apiRawMenu(t, p.Platform, "GET", "/customservice/kfaccount/del", "", ""); code != 44002 {
		t.Errorf("without a name: %d", code)
	}
	for i := range 100 {
		agentNew(t, p.Account, fmt.Sprintf("a%d@test", i), false)
	}
	if err := c.KF.Add(t.Context(), api.KFAddRequest{KFAccount: "one@test", Nickname: "多"}); apiCodeMenu(err) != 65405 {
		t.Errorf("one too many: %v", err)
	}
	if _, err := p.Account.NewAgent("one@test", "多"); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("one too many: %v", err)
	}
}

func TestMessageRecords(t *testing.T) {
	p, c, _ := menuPlatform(t, nil)
	u, g := p.Follower(), agentNew(t, p.Account, "a1@test", true)
	start := p.Now().Unix()
	u.Say("不在会话里")
	if err := c.KFSession.Create(t.Context(), api.KFSessionCreateRequest{KFAccount: "a1@test", OpenID: u.OpenID()}); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		u.Say(fmt.Sprint("问", i))
		if err := g.Say(u, fmt.Sprint("答", i)); err != nil {
			t.Fatal(err)
		}
	}
	u.Image([]byte("x"))
	var got []string
	for cursor, number := int64(1), 4; number == 4; {
		page, err := c.KF.MessageRecords(t.Context(), api.KFMessageRecordsRequest{StartTime: start, EndTime: start + 86400, MsgID: cursor, Number: 4})
		if err != nil || page.Number != len(page.RecordList) {
			t.Fatalf("%+v, %v", page, err)
		}
		for _, r := range page.RecordList {
			if r.OpenID != u.OpenID() || r.Worker != "a1@test" || r.Time < start {
				t.Errorf("%+v", r)
			}
			got = append(got, strconv.Itoa(r.OperCode)+r.Text)
		}
		cursor, number = page.MsgID, page.Number
	}
	if len(got) != 7 || !strings.HasPrefix(got[6], "2003[图片]") {
		t.Fatalf("%q", got)
	}
	if diff := cmp.Diff([]string{"2003问0", "2002答0", "2003问1", "2002答1", "2003问2", "2002答2"}, got[:6]); diff != "" {
		t.Error(diff)
	}
	page, err := c.KF.MessageRecords(t.Context(), api.KFMessageRecordsRequest{StartTime: start - 100, EndTime: start - 1, MsgID: 1, Number: 10})
	if err != nil || page.Number != 0 || page.MsgID != 1 {
		t.Errorf("%+v, %v", page, err)
	}
	for _, tt := range []struct {
		start, end, msgID int64
		number, code      int
	}{
		{start, start + 86400, 1, 10000, 0},
		{start, start + 86401, 1, 10, 65417},
		{start, start - 1, 1, 10, 65416},
		{-1, start, 1, 10, 65416},
		{start, start, 0, 10, 65416},
		{start, start, 1, 0, 65416},
		{start, start, 1, 10001, 65416},
	} {
		_, err := c.KF.MessageRecords(t.Context(), api.KFMessageRecordsRequest{StartTime: tt.start, EndTime: tt.end, MsgID: tt.msgID, Number: tt.number})
		if code := apiCodeMenu(err); code != tt.code {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

// The oldest records are forgotten; those that are left keep their numbers.
func TestMessageRecordsAreBounded(t *testing.T) {
	p, c, _ := menuPlatform(t, nil)
	u, g := p.Follower(), agentNew(t, p.Account, "a1@test", true)
	start := p.Now().Unix()
	if err := c.KFSession.Create(t.Context(), api.KFSessionCreateRequest{KFAccount: "a1@test", OpenID: u.OpenID()}); err != nil {
		t.Fatal(err)
	}
	for i := range 20_001 {
		if err := g.Say(u, strconv.Itoa(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	for cursor, want := range map[int64]string{1: "10001", 20_001: "20001"} {
		page, err := c.KF.MessageRecords(t.Context(), api.KFMessageRecordsRequest{StartTime: start, EndTime: start + 86400, MsgID: cursor, Number: 1})
		if err != nil || page.RecordList[0].Text != want {
			t.Errorf("from %d on: %+v, %v", cursor, page, err)
		}
	}
}

// A message in an agent's name says so.
func TestCustomMessageOfAgent(t *testing.T) {
	p, c, _ := menuPlatform(t, nil)
	u := p.Follower()
	agentNew(t, p.Account, "a1@test", false)
	u.Say("在吗")
	m := api.CustomText(u.OpenID(), "在")
	m.CustomService.KFAccount = "a1@test"
	if err := c.CustomMessage.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	chat := u.Chat()
	if last := chat[len(chat)-1]; last.Agent != "a1@test" || last.Via != sim.ViaPush {
		t.Errorf("%+v", last)
	}
}
