package sim_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/api"
	"github.com/wenzihq/wenzi/oa/sim"
)

func addNote(t *testing.T, client *api.Client, tid string, keywords ...int) string {
	t.Helper()
	resp, err := client.Subscribe.TemplateAdd(t.Context(), api.SubscribeTemplateAddRequest{TID: tid, KIDList: keywords, SceneDesc: "测试"})
	if err != nil {
		t.Fatal(err)
	}
	return resp.PriTmplID
}

func TestSubscribeSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, client, in := startFollowers(t, sim.CertifiedService)
		u := p.Account.Follower() // need not follow
		id := addNote(t, client, "100", 1, 2)
		m := api.SubscribeSendRequest{ToUser: u.OpenID(), TemplateID: id, Page: "https://example.com/n/1", Data: api.Values("thing1", "拿铁一杯", "time2", "10:00")}
		send := func() int { return code(t, client.Subscribe.Send(t.Context(), m)) }
		if got := send(); got != 43101 {
			t.Errorf("without a grant: %d", got)
		}
		if fate := u.Accept(id, 2).Wait(t.Context()); fate != sim.Silent {
			t.Errorf("the grant's fate is %q", fate)
		}
		popup := next[*oa.SubscribeMsgPopupEvent](t, in).Popup.List[0]
		if popup.TemplateID != id || popup.Status != "accept" || popup.Scene != "1" {
			t.Errorf("%+v", popup)
		}
		bad := m
		bad.Data = api.Values("thing1", "拿铁一杯", "time2", "早上")
		if err := client.Subscribe.Send(t.Context(), bad); code(t, err) != 47003 || !strings.Contains(err.Error(), "time2") {
			t.Errorf("a wrong value: %v", err)
		}
		for i, want := range []int{0, 0, 43101} {
			if got := send(); got != want {
				t.Errorf("notice %d: %d, want %d", i+1, got, want)
			}
		}
		for range 2 {
			if sent := next[*oa.SubscribeMsgSentEvent](t, in).Sent.List[0]; sent.TemplateID != id || sent.MsgID == 0 || sent.ErrorCode != 0 || sent.ErrorStatus != "success" {
				t.Errorf("%+v", sent)
			}
		}
		notice := "subscribe: [订阅通知] 取件通知\n  商品名称：拿铁一杯\n  取货时间：10:00\n  https://example.com/n/1"
		sees(t, u, notice, notice)

		// Long-term templates may be sent until the follower takes it back.
		long := addNote(t, client, "502", 1, 4)
		u.Accept(long, 1)
		next[*oa.SubscribeMsgPopupEvent](t, in)
		m.TemplateID, m.Data = long, api.Values("name1", "张三", "amount4", "100元")
		for range 3 {
			if got := send(); got != 0 {
				t.Errorf("a long-term notice: %d", got)
			}
			next[*oa.SubscribeMsgSentEvent](t, in)
		}
		u.Refuse(long)
		if change := next[*oa.SubscribeMsgChangeEvent](t, in).Change.List[0]; change.TemplateID != long || change.Status != "reject" {
			t.Errorf("%+v", change)
		}
		if got := send(); got != 43101 {
			t.Errorf("after it was taken back: %d", got)
		}
		u.Refuse(long) // what is not granted: in the popup
		if popup := next[*oa.SubscribeMsgPopupEvent](t, in).Popup.List[0]; popup.TemplateID != long || popup.Status != "reject" {
			t.Errorf("%+v", popup)
		}
		if s := u.Accept("PRI_TMPL_0001", 1); s.Fate() != sim.NotPushed || s.Reason() == nil {
			t.Errorf("a template that the account has not: %q", s.Fate())
		}
		refuse(t, client, []refusal{
			{"subscribe_send", `{"touser":"oNobody","template_id":"` + id + `","data":{}}`, 40003},
			{"subscribe_send", `{"touser":"` + u.OpenID() + `","template_id":"x","data":{}}`, 40037},
		})
		in.quiet(t)
		if got := u.Chat()[0].Text(); got != "[订阅通知] accept "+id {
			t.Errorf("the chat shows the choice as %s", got)
		}
	})
}

func TestSubscribeRight(t *testing.T) {
	p, _, _ := startFollowers(t, sim.CertifiedSubscription)
	if s := p.Follower().Accept("PRI_TMPL_0001", 1); s.Fate() != sim.NotPushed {
		t.Errorf("an account without the right hears %q", s.Fate())
	}
}

func TestSubscribeTemplates(t *testing.T) {
	_, client, _ := startFollowers(t, sim.CertifiedService)
	categories, err := client.Subscribe.CategoryList(t.Context())
	if diff := cmp.Diff([]api.SubscribeCategory{{ID: 900, Name: "办公"}, {ID: 901, Name: "生活缴费"}}, categories.Data); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	titles, err := client.Subscribe.PubTitleList(t.Context(), api.SubscribePubTitleListRequest{IDs: "900,901", Start: 1, Limit: 2})
	want := []api.SubscribeTitle{{TID: 501, Title: "订单状态通知", Type: 2, CategoryID: "900"}, {TID: 502, Title: "缴费提醒", Type: 3, CategoryID: "901"}}
	if diff := cmp.Diff(want, titles.Data); diff != "" || titles.Count != 4 || err != nil {
		t.Errorf("%d, %v\n%s", titles.Count, err, diff)
	}
	keywords, err := client.Subscribe.PubKeywordList(t.Context(), api.SubscribePubKeywordListRequest{TID: "501"})
	if err != nil || keywords.Count != 4 || keywords.Data[0] != (api.SubscribeKeyword{KID: 1, Name: "订单状态", Example: "已发货", Rule: "phrase"}) {
		t.Errorf("%+v, %v", keywords, err)
	}
	id := addNote(t, client, "501", 2, 1)
	list, err := client.Subscribe.TemplateList(t.Context())
	template := api.SubscribeTemplate{
		PriTmplID: id, Title: "订单状态通知", Type: 2, Content: "订单金额:{{amount2.DATA}}\n订单状态:{{phrase1.DATA}}\n", Example: "订单金额:¥25.00\n订单状态:已发货\n",
		KeywordEnumValueList: []api.SubscribeKeywordEnum{{KeywordCode: "phrase1.DATA", EnumValueList: []string{"已发货", "已完成", "已取消"}}},
	}
	if diff := cmp.Diff([]api.SubscribeTemplate{template}, list.Data); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	add := func(tid, kids, scene string) string {
		return `{"tid":"` + tid + `","kidList":` + kids + `,"sceneDesc":"` + scene + `"}`
	}
	fifteen := strings.Repeat("长", 15)
	refuse(t, client, []refusal{
		{"subscribe_template_add", add("1", "[1,2]", ""), 200014},
		{"subscribe_template_add", add("100", "[1]", ""), 200020},
		{"subscribe_template_add", add("100", "[1,1]", ""), 200020},
		{"subscribe_template_add", add("100", "[0,1]", ""), 200020},
		{"subscribe_template_add", add("501", "[1,5]", ""), 200020},
		{"subscribe_template_add", add("100", "[]", ""), 200020},
		{"subscribe_template_add", add("100", "[1,2]", fifteen+"x"), 200021},
		{"subscribe_template_add", add("100", "[1,2,3,4,5]", fifteen), 0},
		{"subscribe_template_add", add("501", "[2,1]", ""), 200022},
		{"subscribe_template_add", add("501", "[1,2]", ""), 0}, // in another order it is another
		{"subscribe_template_delete", `{"priTmplId":"x"}`, 200014},
		{"subscribe_template_delete", `{"priTmplId":"` + id + `"}`, 0},
		{"subscribe_pub_title_list", "start=0&limit=30", 200018},
		{"subscribe_pub_title_list", "ids=900,x&start=0&limit=30", 200019},
		{"subscribe_pub_title_list", "ids=900&start=-1&limit=30", 200016},
		{"subscribe_pub_title_list", "ids=900&start=0&limit=31", 200017},
		{"subscribe_pub_title_list", "ids=900&start=99&limit=30", 0},
		{"subscribe_pub_keyword_list", "tid=1", 200014},
	})
	added := 2 // of which two are left
	for _, kids := range []string{"1,2", "1,3", "1,4", "1,5", "2,1", "2,3", "2,4", "2,5", "3,1", "3,2", "3,4", "3,5", "4,1", "4,2", "4,3", "4,5", "5,1", "5,2", "5,3", "5,4", "1,2,3", "1,2,4", "1,2,5", "1,3,2"} {
		want := 0
		if added++; added > 25 {
			want = 200012
		}
		refuse(t, client, []refusal{{"subscribe_template_add", add("100", "["+kids+"]", ""), want}})
	}
}

func TestOnetimeSubscribe(t *testing.T) {
	p, client, in := startFollowers(t, sim.CertifiedService)
	u := p.Account.Follower()
	u.SetProfile(sim.Profile{Nickname: "<小明>"})
	template := p.Account.OnetimeTemplate()
	browser := p.Client()
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	open := func(address string) (*http.Response, string) {
		resp, err := browser.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(body)
	}
	page := api.OnetimeSubscribePageRequest{Action: "get_confirm", AppID: appID, Scene: 1000, TemplateID: template, RedirectURL: "https://example.com/back?a=1", Reserved: "csrf"}
	address := strings.TrimSuffix(client.OnetimeSubscribe.Page(page), "#wechat_redirect")
	resp, body := open(address)
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, "&lt;小明&gt; "+u.OpenID()) || strings.Contains(body, "<小明>") {
		t.Errorf("HTTP %d %s", resp.StatusCode, body)
	}
	for _, choice := range []string{"cancel", "confirm"} {
		resp, _ := open(address + "&openid=" + u.OpenID() + "&choice=" + choice)
		back, err := url.Parse(resp.Header.Get("Location"))
		want := url.Values{"a": {"1"}, "openid": {u.OpenID()}, "template_id": {template}, "action": {choice}, "scene": {"1000"}, "reserved": {"csrf"}}
		if diff := cmp.Diff(want, back.Query()); diff != "" || err != nil || back.Host != "example.com" || resp.StatusCode != http.StatusFound {
			t.Errorf("%s goes to %s, %v\n%s", choice, back, err, diff)
		}
	}
	m := api.OnetimeSubscribeSendRequest{
		ToUser: u.OpenID(), TemplateID: template, Scene: "1000", Title: "更新", URL: "https://example.com/",
		Data: api.OnetimeData{Content: api.TemplateValue{Value: "好了"}},
	}
	for _, tt := range []struct {
		change func(*api.OnetimeSubscribeSendRequest)
		code   int
	}{
		{func(m *api.OnetimeSubscribeSendRequest) { m.ToUser = "oNobody" }, 40003},
		{func(m *api.OnetimeSubscribeSendRequest) { m.TemplateID = "ONCE_TMPL_0001" }, 40037},
		{func(m *api.OnetimeSubscribeSendRequest) { m.Scene = "10001" }, 40035},
		{func(m *api.OnetimeSubscribeSendRequest) { m.Scene = "7" }, 43101},
		{func(m *api.OnetimeSubscribeSendRequest) { m.Title = strings.Repeat("长", 16) }, 40062},
		{func(m *api.OnetimeSubscribeSendRequest) { m.Data.Content.Value = strings.Repeat("长", 201) }, 45002},
		{func(*api.OnetimeSubscribeSendRequest) {}, 0},
		{func(*api.OnetimeSubscribeSendRequest) {}, 43101},
	} {
		req := m
		tt.change(&req)
		if err := client.OnetimeSubscribe.Send(t.Context(), req); code(t, err) != tt.code {
			t.Errorf("%+v: %v, want %d", req, err, tt.code)
		}
	}
	sees(t, u, "subscribe: [订阅通知] 更新\n  好了\n  https://example.com/")
	for _, wrong := range []func(*api.OnetimeSubscribePageRequest){
		func(r *api.OnetimeSubscribePageRequest) { r.AppID = "wx1" },
		func(r *api.OnetimeSubscribePageRequest) { r.Action = "confirm" },
		func(r *api.OnetimeSubscribePageRequest) { r.Scene = 10001 },
		func(r *api.OnetimeSubscribePageRequest) { r.TemplateID = "x" },
		func(r *api.OnetimeSubscribePageRequest) { r.RedirectURL = "javascript:alert(1)" },
		func(r *api.OnetimeSubscribePageRequest) { r.Reserved = strings.Repeat("x", 129) },
	} {
		req := page
		wrong(&req)
		if resp, body := open(strings.TrimSuffix(client.OnetimeSubscribe.Page(req), "#wechat_redirect") + "&choice=confirm&openid=" + u.OpenID()); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%+v: HTTP %d %s", req, resp.StatusCode, body)
		}
	}
	p.Account.SetRight(sim.RightSubscriptionNotes, false)
	if resp, _ := open(address); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("without the right: HTTP %d", resp.StatusCode)
	}
	select {
	case m := <-in:
		t.Errorf("the server gets %T", m)
	default:
	}
}
