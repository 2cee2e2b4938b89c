package sim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/api"
	"github.com/wenzihq/wenzi/oa/sim"
)

func TestUserList(t *testing.T) {
	p, client, _ := startFollowers(t, sim.CertifiedService)
	if answer, _ := raw(t, client, "user_list", ""); answer != `{"count":0,"next_openid":"","total":0}` {
		t.Errorf("nobody is listed as %s", answer)
	}
	p.Account.Follower() // does not follow
	var want []string
	for range 10002 {
		want = append(want, p.Follower().OpenID())
	}
	first, err := client.User.List(t.Context(), api.UserListRequest{})
	if err != nil || first.Total != 10002 || first.Count != 10000 || first.NextOpenID != want[9999] {
		t.Fatalf("page of %d out of %d, next %s, %v", first.Count, first.Total, first.NextOpenID, err)
	}
	gone, _ := p.Account.Find(want[9999])
	gone.Unsubscribe() // its OpenID goes on to be a cursor
	second, err := client.User.List(t.Context(), api.UserListRequest{NextOpenID: first.NextOpenID})
	if err != nil || second.Total != 10001 || second.NextOpenID != want[10001] || !slices.Equal(second.Data.OpenID, want[10000:]) {
		t.Errorf("second page %+v, %v", second, err)
	}
	last, err := client.User.List(t.Context(), api.UserListRequest{NextOpenID: second.NextOpenID})
	if err != nil || last.Count != 0 || last.NextOpenID != "" {
		t.Errorf("after the last page comes %+v, %v", last, err)
	}
	var all []string
	for id, err := range client.User.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, id)
	}
	if !slices.Equal(all, slices.Delete(want, 9999, 10000)) {
		t.Errorf("the iterator yields %d OpenIDs", len(all))
	}
	refuse(t, client, []refusal{{"user_list", "next_openid=oNobody", 40003}})
}

func TestUserInfo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, client, _ := startFollowers(t, sim.CertifiedService)
		u := p.Account.Follower()
		u.SetProfile(sim.Profile{Nickname: "小明", Avatar: "https://example.com/a", Sex: 1, City: "深圳", Language: "zh_TW", UnionID: "uUNION"})
		if answer, _ := raw(t, client, "user_info_get", "openid="+u.OpenID()); answer != `{"openid":"`+u.OpenID()+`","subscribe":0,"unionid":"uUNION"}` {
			t.Errorf("who does not follow is %s", answer)
		}
		if err := client.User.RemarkUpdate(t.Context(), api.UserRemarkUpdateRequest{OpenID: u.OpenID(), Remark: "VIP"}); code(t, err) != 43004 {
			t.Errorf("a remark on who does not follow: %v", err)
		}
		p.Advance(time.Hour)
		u.Subscribe()
		followed := p.Now().Unix()
		p.Advance(time.Hour)
		u.Subscribe() // again changes nothing
		if err := client.User.RemarkUpdate(t.Context(), api.UserRemarkUpdateRequest{OpenID: u.OpenID(), Remark: "重要客户"}); err != nil {
			t.Fatal(err)
		}
		got, err := client.User.InfoGet(t.Context(), api.UserInfoGetRequest{OpenID: u.OpenID()})
		want := api.UserInfo{
			Subscribe: 1, OpenID: u.OpenID(), Language: "zh_TW", SubscribeTime: followed, UnionID: "uUNION",
			Remark: "重要客户", TagIDList: []int{}, SubscribeScene: "ADD_SCENE_SEARCH",
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
		stranger := p.Account.Follower()
		batch, err := client.User.InfoBatchGet(t.Context(), api.UserInfoBatchGetRequest{UserList: []api.UserQuery{{OpenID: u.OpenID(), Lang: "zh_CN"}, {OpenID: stranger.OpenID()}}})
		if diff := cmp.Diff([]api.UserInfo{want, {OpenID: stranger.OpenID()}}, batch.UserInfoList); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
		whole, _ := raw(t, client, "user_info_get", "openid="+u.OpenID())
		for _, gone := range []string{"nickname", "headimgurl", "sex", "city"} {
			if strings.Contains(whole, gone) {
				t.Errorf("%s is in %s", gone, whole)
			}
		}
		many := strings.TrimSuffix(strings.Repeat(`{"openid":"`+u.OpenID()+`"},`, 101), ",")
		refuse(t, client, []refusal{
			{"user_info_get", "", 41009},
			{"user_info_get", "openid=oNobody", 40003},
			{"user_info_batch_get", `{"user_list":[` + many + `]}`, 40032},
			{"user_info_batch_get", `{"user_list":[]}`, 40032},
			{"user_info_batch_get", `{"user_list":[{"openid":"oNobody"}]}`, 40003},
			{"user_remark_update", `{"openid":"` + u.OpenID() + `","remark":"123456789012345678901234567890"}`, 40092},
			{"user_remark_update", `{"openid":"` + u.OpenID() + `","remark":""}`, 0},
			{"user_remark_update", `{"openid":"oNobody","remark":""}`, 40003},
		})
	})
}

// How somebody came shows in the profile.
func TestOrigin(t *testing.T) {
	p, client, _ := startFollowers(t, sim.CertifiedService)
	text, err := client.QRCode.Create(t.Context(), api.QRCodeCreateRequest{ActionName: "QR_LIMIT_STR_SCENE", ActionInfo: api.QRCodeAction{Scene: api.QRCodeScene{SceneStr: "123"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		come  func(*sim.Follower)
		scene string
		id    int64
		text  string
	}{
		{func(f *sim.Follower) { f.Subscribe() }, "ADD_SCENE_SEARCH", 0, ""},
		{func(f *sim.Follower) { f.Send(&oa.SubscribeEvent{EventKey: "last_trade_no_42"}) }, "ADD_SCENE_PAID", 0, ""},
		{func(f *sim.Follower) { f.ScanScene("123") }, "ADD_SCENE_QR_CODE", 123, ""},
		{func(f *sim.Follower) { f.ScanScene("campaign_1") }, "ADD_SCENE_QR_CODE", 0, "campaign_1"},
		{func(f *sim.Follower) { f.Scan(text.Ticket) }, "ADD_SCENE_QR_CODE", 0, "123"},
	} {
		u := p.Account.Follower()
		tt.come(u)
		got, err := client.User.InfoGet(t.Context(), api.UserInfoGetRequest{OpenID: u.OpenID()})
		if err != nil || got.SubscribeScene != tt.scene || got.QRScene != tt.id || got.QRSceneStr != tt.text {
			t.Errorf("%+v, %v, want %+v", got, err, tt)
		}
	}
}

func TestChangeOpenID(t *testing.T) {
	p, client, _ := startFollowers(t, sim.CertifiedService)
	old, err := p.NewAccount(sim.AccountConfig{AppID: "wx00000000000000ff"})
	if err != nil {
		t.Fatal(err)
	}
	before, after := old.Follower(), p.Account.Follower()
	before.Subscribe()
	before.SetProfile(sim.Profile{UnionID: "u1"})
	after.SetProfile(sim.Profile{UnionID: "u1"})
	stranger := old.Follower()
	got, err := client.User.ChangeOpenID(t.Context(), api.UserChangeOpenIDRequest{FromAppID: "wx00000000000000ff", OpenIDList: []string{before.OpenID(), stranger.OpenID()}})
	want := []api.OpenIDChange{
		{ErrMsg: "ok", OriOpenID: before.OpenID(), NewOpenID: after.OpenID()},
		{ErrMsg: "ori_openid error", OriOpenID: stranger.OpenID()},
	}
	if diff := cmp.Diff(want, got.ResultList); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	refuse(t, client, []refusal{
		{"user_change_openid", `{"from_appid":"wx1","openid_list":["o"]}`, 40013},
		{"user_change_openid", `{"from_appid":"` + appID + `","openid_list":["o"]}`, 40013},
		{"user_change_openid", `{"from_appid":"wx00000000000000ff","openid_list":[]}`, 40032},
		{"user_change_openid", `{"from_appid":"wx00000000000000ff","openid_list":` + quoted(make([]string, 101)...) + `}`, 40032},
	})
}

func TestBlacklist(t *testing.T) {
	p, client, _ := startFollowers(t, sim.CertifiedService)
	bad, good := p.Follower(), p.Follower()
	if err := client.Blacklist.Add(t.Context(), api.BlacklistAddRequest{OpenIDList: []string{bad.OpenID()}}); err != nil {
		t.Fatal(err)
	}
	list, err := client.Blacklist.List(t.Context(), api.BlacklistListRequest{})
	if err != nil || list.Total != 1 || list.Count != 1 || !slices.Equal(list.Data.OpenID, []string{bad.OpenID()}) || list.NextOpenID != bad.OpenID() {
		t.Errorf("%+v, %v", list, err)
	}
	if s := bad.Say("在吗"); s.Fate() != sim.NotPushed {
		t.Errorf("what somebody on the blacklist says: %q", s.Fate())
	}
	if s := good.Say("在吗"); s.Wait(t.Context()) != sim.Silent {
		t.Errorf("what somebody else says: %q", s.Fate())
	}
	if err := client.Blacklist.Remove(t.Context(), api.BlacklistRemoveRequest{OpenIDList: []string{bad.OpenID(), good.OpenID()}}); err != nil {
		t.Fatal(err)
	}
	if s := bad.Say("在吗"); s.Wait(t.Context()) != sim.Silent {
		t.Errorf("after that: %q", s.Fate())
	}
	other, err := p.NewAccount(sim.AccountConfig{})
	if err != nil {
		t.Fatal(err)
	}
	foreign := other.Follower().OpenID()
	refuse(t, client, []refusal{
		{"blacklist_add", `{"openid_list":[]}`, 40032},
		{"blacklist_add", `{"openid_list":` + quoted(slices.Repeat([]string{bad.OpenID()}, 21)...) + `}`, 40032},
		{"blacklist_add", `{"openid_list":` + quoted(good.OpenID(), "oNobody") + `}`, 40003},
		{"blacklist_remove", `{"openid_list":` + quoted(foreign) + `}`, 49003},
		{"blacklist_list", `{"begin_openid":"oNobody"}`, 40003},
		{"blacklist_list", `{}`, 0},
	})
	if got := good.Say("还在吗").Wait(t.Context()); got != sim.Silent {
		t.Errorf("a call that fails puts nobody on the blacklist, but %q", got)
	}
}

func TestBlacklistPages(t *testing.T) {
	p, client, _ := startFollowers(t, sim.CertifiedService)
	var want []string
	for range 1001 {
		want = append(want, p.Follower().OpenID())
	}
	for batch := range slices.Chunk(want, 20) {
		if err := client.Blacklist.Add(t.Context(), api.BlacklistAddRequest{OpenIDList: batch}); err != nil {
			t.Fatal(err)
		}
	}
	first, err := client.Blacklist.List(t.Context(), api.BlacklistListRequest{})
	if err != nil || first.Count != 1000 || first.Total != 1001 {
		t.Errorf("the first page has %d of %d, %v", first.Count, first.Total, err)
	}
	var got []string
	for id, err := range client.Blacklist.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, id)
	}
	if !slices.Equal(got, want) {
		t.Errorf("all pages have %d OpenIDs", len(got))
	}
}

// The clock of a bubble starts at midnight UTC, which is 08:00 in Beijing.
func TestUserStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, client, _ := startFollowers(t, sim.CertifiedService)
		a, b := p.Account.Follower(), p.Account.Follower()
		a.Subscribe()
		p.Advance(15 * time.Hour) // 23:00
		b.ScanScene("7")
		p.Advance(2 * time.Hour) // the next day, 01:00
		a.Unsubscribe()
		a.Unsubscribe()
		p.Follower()
		summary := func(begin, end string) string {
			resp, err := client.Stat.UserSummary(t.Context(), api.StatUserSummaryRequest{BeginDate: begin, EndDate: end})
			if err != nil {
				return fmt.Sprint(code(t, err))
			}
			return fmt.Sprint(resp.List)
		}
		if got := summary("2000-01-01", "2000-01-01"); got != "61503" {
			t.Errorf("before 08:00 yesterday's data are %s", got)
		}
		p.Advance(7 * time.Hour)
		if got := summary("2000-01-01", "2000-01-01"); got != "[{2000-01-01 1 1 0} {2000-01-01 30 1 0}]" {
			t.Errorf("the first day %s", got)
		}
		p.Advance(48 * time.Hour)
		if got := summary("2000-01-01", "2000-01-03"); got != "[{2000-01-01 1 1 0} {2000-01-01 30 1 0} {2000-01-02 1 1 1}]" {
			t.Errorf("three days %s", got)
		}
		total, err := client.Stat.UserCumulate(t.Context(), api.StatUserCumulateRequest{BeginDate: "1999-12-31", EndDate: "2000-01-03"})
		var got []int
		for _, day := range total.List {
			got = append(got, day.CumulateUser)
		}
		if !slices.Equal(got, []int{0, 2, 2, 2}) || err != nil || total.List[3].RefDate != "2000-01-03" {
			t.Errorf("%+v, %v", total, err)
		}
		for _, tt := range []struct {
			begin, end string
			code       int
		}{
			{"2000-1-1", "2000-01-01", 61500},
			{"20000101", "20000101", 61500},
			{"2000-01-01", "2000-01-04", 61501}, // today
			{"2000-01-03", "2000-01-01", 61501},
			{"1999-12-26", "2000-01-02", 61501}, // 8 days
			{"1999-12-27", "2000-01-02", 0},
		} {
			body := `{"begin_date":"` + tt.begin + `","end_date":"` + tt.end + `"}`
			refuse(t, client, []refusal{{"stat_user_summary", body, tt.code}, {"stat_user_cumulate", body, tt.code}})
		}
	})
}

// Uncertified accounts have no right to any of it.
func TestFollowersRights(t *testing.T) {
	_, client, _ := startFollowers(t, sim.Service)
	refuse(t, client, []refusal{
		{"user_list", "", 48001},
		{"blacklist_list", `{}`, 48001},
		{"tag_list", "", 48001},
		{"qrcode_create", `{}`, 48001},
		{"shorten_gen", `{}`, 48001},
		{"publish_submit", `{}`, 48001},
		{"mass_send_all", `{}`, 48001},
		{"template_send", `{}`, 48001},
		{"subscribe_send", `{}`, 48001},
		{"onetime_subscribe_send", `{}`, 48001},
		{"stat_user_summary", `{}`, 48001},
	})
}
