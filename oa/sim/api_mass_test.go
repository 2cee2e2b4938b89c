package sim_test

import (
	"errors"
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

// counts are those of the event of a job.
func counts(e *oa.MassSendJobFinishEvent) string {
	return fmt.Sprintf("%s %d/%d/%d/%d", e.Status, e.TotalCount, e.FilterCount, e.SentCount, e.ErrorCount)
}

func massStatus(t *testing.T, client *api.Client, id int64) string {
	t.Helper()
	resp, err := client.Mass.GetStatus(t.Context(), api.MassGetStatusRequest{MsgID: id})
	if err != nil || resp.MsgID != id {
		t.Fatalf("%+v, %v", resp, err)
	}
	return resp.MsgStatus
}

func TestMassArticles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, client, in := startFollowers(t, sim.CertifiedService)
		a, b, bad := p.Follower(), p.Follower(), p.Follower()
		refuse(t, client, []refusal{{"blacklist_add", `{"openid_list":` + quoted(bad.OpenID()) + `}`, 0}})
		draft := addDraft(t, client, news("甲"), news("乙"))
		if _, err := client.Mass.Preview(t.Context(), api.MassArticles(draft).Preview(a.OpenID())); err != nil {
			t.Fatal(err)
		}
		if len(a.Chat()) != 1 || len(b.Chat()) != 0 || a.Chat()[0].Via != sim.ViaMass {
			t.Errorf("after the preview: %v, %v", a.Chat(), b.Chat())
		}
		sent, err := client.Mass.SendAll(t.Context(), api.MassArticles(draft).ToAll("mass-1"))
		if err != nil || sent.MsgID == 0 || sent.MsgDataID == 0 {
			t.Fatalf("%+v, %v", sent, err)
		}
		if s := massStatus(t, client, sent.MsgID); s != "SENDING" || len(b.Chat()) != 0 {
			t.Errorf("at work: %s, %v", s, b.Chat())
		}
		e := next[*oa.MassSendJobFinishEvent](t, in)
		if e.MsgID != sent.MsgID || counts(e) != "send success 3/2/2/0" || e.Copyright.CheckState != 1 || e.Articles.Count != 2 {
			t.Errorf("%+v", e)
		}
		urls := e.Articles.Results.Items
		sees(t, b, "mass: [图文] 甲\n  "+urls[0].URL+"\n[图文] 乙\n  "+urls[1].URL)
		if len(bad.Chat()) != 0 {
			t.Errorf("somebody on the blacklist sees %s", shown(bad))
		}
		if s := massStatus(t, client, sent.MsgID); s != "SEND_SUCCESS" {
			t.Errorf("status %s", s)
		}
		refuse(t, client, []refusal{{"draft_get", `{"media_id":"` + draft + `"}`, 40007}})

		// Once more, by the data id; a deletion kills both.
		again, err := client.Mass.SendAll(t.Context(), api.MassArticles(strconv.FormatInt(sent.MsgDataID, 10)).ToAll("mass-2"))
		if err != nil {
			t.Fatal(err)
		}
		if e := next[*oa.MassSendJobFinishEvent](t, in); counts(e) != "send success 3/2/2/0" || e.Articles.Results.Items[1].URL != urls[1].URL {
			t.Errorf("%+v", e)
		}
		if err := client.Mass.Delete(t.Context(), api.MassDeleteRequest{URL: urls[1].URL}); err != nil {
			t.Fatal(err)
		}
		if s := massStatus(t, client, sent.MsgID); s != "SEND_SUCCESS" {
			t.Errorf("with one of two articles deleted: %s", s)
		}
		refuse(t, client, []refusal{
			{"mass_delete", fmt.Sprintf(`{"msg_id":%d,"article_idx":2}`, again.MsgID), 40065},
			{"mass_delete", fmt.Sprintf(`{"msg_id":%d,"article_idx":3}`, sent.MsgID), 40060},
			{"mass_delete", fmt.Sprintf(`{"msg_id":"%d"}`, sent.MsgID), 0},
			{"mass_delete", fmt.Sprintf(`{"msg_id":%d}`, again.MsgID), 40065},
			{"mass_delete", `{"msg_id":1}`, 40059},
			{"mass_delete", `{"url":"https://example.com"}`, 40059},
			{"mass_get_status", `{"msg_id":1}`, 40059},
			{"mass_send_all", `{"filter":{"is_to_all":true},"msgtype":"mpnews","mpnews":{"media_id":"` + fmt.Sprint(sent.MsgDataID) + `"}}`, 40007},
		})
		if one, two := massStatus(t, client, sent.MsgID), massStatus(t, client, again.MsgID); one != "DELETE" || two != "DELETE" {
			t.Errorf("deleted: %s, %s", one, two)
		}
		in.quiet(t)
	})
}

func TestMassKinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, client, in := startFollowers(t, sim.CertifiedService)
		tagged, other := p.Follower(), p.Follower()
		id := newTag(t, client, "华东")
		refuse(t, client, []refusal{{"tag_batch_tag", fmt.Sprintf(`{"tagid":%d,"openid_list":%s}`, id, quoted(tagged.OpenID())), 0}})
		video, err := client.Media.UploadVideo(t.Context(), api.MediaUploadVideoRequest{MediaID: "VIDEO", Title: "片名", Description: "说明"})
		if err != nil || video.Type != "video" || video.CreatedAt != p.Now().Unix() {
			t.Fatalf("%+v, %v", video, err)
		}
		var ids []int64
		for i, m := range []api.MassContent{
			api.MassText("大家好 <a href=\"https://example.com\">看看</a>"),
			api.MassVoice("VOICE"),
			api.MassPictures(api.MassImages{MediaIDs: []string{"P1", "P2"}, Recommend: "推荐语"}),
			api.MassVideoOf(api.MassVideo{MediaID: video.MediaID}),
		} {
			sent, err := client.Mass.SendAll(t.Context(), m.ToTag(int64(id), fmt.Sprint("kind-", i)))
			if err != nil || sent.MsgDataID != 0 {
				t.Fatalf("%+v, %v", sent, err)
			}
			ids = append(ids, sent.MsgID)
			if e := next[*oa.MassSendJobFinishEvent](t, in); counts(e) != "send success 1/1/1/0" || e.Articles.Count != 0 {
				t.Errorf("%+v", e)
			}
		}
		sees(t, tagged, "mass: 大家好 看看", "mass: [语音] VOICE", "mass: [图片] P1 P2\n  推荐语", "mass: [视频] 片名 VIDEO\n  说明")
		sees(t, other, "")
		refuse(t, client, []refusal{
			{"mass_delete", fmt.Sprintf(`{"msg_id":%d}`, ids[0]), 40065}, // a text
			{"mass_delete", fmt.Sprintf(`{"msg_id":%d}`, ids[3]), 0},
			{"mass_delete", fmt.Sprintf(`{"msg_id":%d}`, ids[3]), 40065},
		})
		p.Advance(31 * 24 * time.Hour)
		previews := p.Account.Follower()
		previews.SetProfile(sim.Profile{WeChatID: "xiaoming"})
		refuse(t, client, []refusal{
			{"mass_preview", `{"towxname":"xiaoming","msgtype":"image","image":{"media_id":"P1"}}`, 43004},
			{"mass_preview", `{"towxname":"nobody","touser":"` + other.OpenID() + `","msgtype":"text","text":{"content":"x"}}`, 40132},
			{"mass_preview", `{"touser":"oNobody","msgtype":"text","text":{"content":"x"}}`, 40003},
			{"mass_preview", `{"touser":"` + other.OpenID() + `","msgtype":"music"}`, 40008},
		})
		previews.Subscribe()
		refuse(t, client, []refusal{{"mass_preview", `{"touser":"` + other.OpenID() + `","towxname":"xiaoming","msgtype":"image","image":{"media_id":"P1"}}`, 0}})
		sees(t, previews, "mass: [图片] P1")
		sees(t, other, "")
	})
}

func TestMassDedupe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, client, in := startFollowers(t, sim.CertifiedService)
		u := p.Follower()
		draft := addDraft(t, client, news("甲"))
		m := api.MassArticles(draft).ToAll("same")
		sent, err := client.Mass.SendAll(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		next[*oa.MassSendJobFinishEvent](t, in)
		hello := api.MassText("大家好").ToAll("same")
		if _, err := client.Mass.SendAll(t.Context(), hello); code(t, err) != 45066 {
			t.Errorf("at once: %v", err)
		}
		p.Advance(time.Minute)
		old, err := client.Mass.SendAll(t.Context(), hello)
		if !errors.Is(err, api.ErrDuplicate) || old != sent {
			t.Errorf("after a minute: %+v, %v, want %+v", old, err, sent)
		}
		p.Advance(24 * time.Hour)
		if _, err := client.Mass.SendAll(t.Context(), hello); err != nil {
			t.Errorf("after a day: %v", err)
		}
		next[*oa.MassSendJobFinishEvent](t, in)

		// Without an id the platform makes one of contents and receivers.
		hello.ClientMsgID = ""
		for _, want := range []int{0, 45066} {
			if _, err := client.Mass.SendAll(t.Context(), hello); code(t, err) != want {
				t.Errorf("without an id: %v, want %d", err, want)
			}
		}
		p.Advance(time.Minute)
		if _, err := client.Mass.SendAll(t.Context(), hello); code(t, err) != 45065 {
			t.Errorf("without an id after a minute: %v", err)
		}
		next[*oa.MassSendJobFinishEvent](t, in)
		if n := len(u.Chat()); n != 3 {
			t.Errorf("the follower sees %d messages:\n%s", n, shown(u))
		}
		in.quiet(t)
	})
}

// A follower of a service account gets at most 4 a month.
func TestMassMonth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, client, in := startFollowers(t, sim.CertifiedService)
		u, v := p.Follower(), p.Follower()
		send := func(content string, to ...string) string {
			t.Helper()
			var err error
			if to == nil {
				_, err = client.Mass.SendAll(t.Context(), api.MassText(content).ToAll(content))
			} else {
				_, err = client.Mass.SendOpenIDs(t.Context(), api.MassText(content).ToOpenIDs(to, content))
			}
			if err != nil {
				t.Fatal(err)
			}
			return counts(next[*oa.MassSendJobFinishEvent](t, in))
		}
		for i := range 3 {
			send(fmt.Sprint(i))
		}
		w := p.Follower()
		if got := send("四", u.OpenID(), w.OpenID(), w.OpenID()); got != "send success 2/2/2/0" {
			t.Errorf("to two: %s", got)
		}
		if got := send("五"); got != "send success 3/2/2/0" {
			t.Errorf("the fifth: %s", got)
		}
		if got := send("六"); got != "send success 3/1/1/0" {
			t.Errorf("the sixth: %s", got)
		}
		sees(t, u, "mass: 0", "mass: 1", "mass: 2", "mass: 四")
		sees(t, v, "mass: 0", "mass: 1", "mass: 2", "mass: 五")
		p.Advance(31 * 24 * time.Hour)
		if got := send("下个月"); got != "send success 3/3/3/0" {
			t.Errorf("the next month: %s", got)
		}
	})
}

// A subscription account sends once a day, by the clock of Beijing.
func TestMassDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, client, in := startFollowers(t, sim.CertifiedSubscription)
		u := p.Follower()
		send := func(content string) int {
			_, err := client.Mass.SendAll(t.Context(), api.MassText(content).ToAll(content))
			return code(t, err)
		}
		p.Advance(15 * time.Hour) // 23:00
		if one, two := send("一"), send("二"); one != 0 || two != 45028 {
			t.Errorf("codes %d, %d", one, two)
		}
		p.Advance(time.Hour)
		if got := send("三"); got != 0 {
			t.Errorf("the next day: %d", got)
		}
		next[*oa.MassSendJobFinishEvent](t, in)
		next[*oa.MassSendJobFinishEvent](t, in)
		for i := range 5 { // nor is there a limit a month
			p.Advance(24 * time.Hour)
			send(fmt.Sprint(i))
			next[*oa.MassSendJobFinishEvent](t, in)
		}
		if n := len(u.Chat()); n != 7 {
			t.Errorf("the follower sees %d messages", n)
		}
		if _, err := client.Mass.SendOpenIDs(t.Context(), api.MassText("四").ToOpenIDs([]string{u.OpenID(), u.OpenID()}, "4")); code(t, err) != 48001 {
			t.Errorf("to OpenIDs: %v", err)
		}
	})
}

func TestMassFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, client, in := startFollowers(t, sim.CertifiedService)
		u, leaver := p.Follower(), p.Follower()
		draft := addDraft(t, client, news("甲"))
		job := func(id string, ignoreReprint int) *oa.MassSendJobFinishEvent {
			t.Helper()
			m := api.MassArticles(draft).ToAll(id)
			m.SendIgnoreReprint = ignoreReprint
			if _, err := client.Mass.SendAll(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			return next[*oa.MassSendJobFinishEvent](t, in)
		}
		p.Account.NextMassStatus("err(20001)")
		e := job("politics", 0)
		if counts(e) != "err(20001) 2/2/0/2" || massStatus(t, client, e.MsgID) != "SEND_FAIL" || e.Articles.Count != 0 {
			t.Errorf("%+v", e)
		}
		p.Account.NextMassStatus("err(30002)")
		if e := job("no reprint", 1); e.Status != "err(30002)" || e.Copyright.CheckState != 3 || e.Copyright.Results.Items[0].CanReprint != 0 {
			t.Errorf("%+v", e)
		}
		p.Account.NextMassStatus("err(30003)")
		if e := job("reprint", 0); e.Status != "err(30003)" || e.Copyright.CheckState != 2 || e.Copyright.Count != 1 || e.Copyright.Results.Items[0].CanReprint != 1 {
			t.Errorf("%+v", e)
		}
		sees(t, u, "")
		p.Account.NextMassStatus("err(30003)")
		if e := job("reprint all the same", 1); counts(e) != "send success 2/2/2/0" || e.Copyright.CheckState != 2 {
			t.Errorf("%+v", e)
		}

		// The draft is gone when the second job comes to it.
		draft = addDraft(t, client, news("乙"))
		for _, id := range []string{"one", "two"} {
			if _, err := client.Mass.SendAll(t.Context(), api.MassArticles(draft).ToAll(id)); err != nil {
				t.Fatal(err)
			}
		}
		leaver.Unsubscribe()
		got := map[string]bool{}
		for len(got) < 2 {
			switch m := (<-in).(type) {
			case *oa.MassSendJobFinishEvent:
				got[counts(m)] = true
			case *oa.UnsubscribeEvent:
			default:
				t.Fatalf("%T", m)
			}
		}
		if diff := cmp.Diff(map[string]bool{"send success 2/2/1/1": true, "send fail 2/2/0/2": true}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestMassRefused(t *testing.T) {
	p, client, _ := startFollowers(t, sim.CertifiedService)
	u, v := p.Follower().OpenID(), p.Follower().OpenID()
	all := func(msgtype, more string) string {
		return `{"filter":{"is_to_all":true},"msgtype":"` + msgtype + `"` + more + `}`
	}
	some := func(msgtype string, openIDs ...string) string {
		return `{"touser":` + quoted(openIDs...) + `,"msgtype":"` + msgtype + `","text":{"content":"` + fmt.Sprint(len(openIDs)) + `"}}`
	}
	many := make([]string, 10001)
	for i := range many {
		many[i] = u
	}
	refuse(t, client, []refusal{
		{"mass_send_all", all("music", ""), 40008},
		{"mass_send_all", all("wxcard", `,"wxcard":{"card_id":"c"}`), 45113},
		{"mass_send_all", all("text", `,"text":{"content":""}`), 44004},
		{"mass_send_all", all("voice", ""), 40007},
		{"mass_send_all", all("image", `,"images":{"media_ids":[]}`), 40007},
		{"mass_send_all", all("mpnews", `,"mpnews":{"media_id":"DRAFT"}`), 40007},
		{"mass_send_all", all("mpvideo", `,"mpvideo":{"media_id":"VIDEO"}`), 40007}, // not from media_upload_video
		{"mass_send_all", all("text", `,"text":{"content":"x"},"clientmsgid":"`+strings.Repeat("x", 33)+`"`), 45067},
		{"mass_send_all", all("text", `,"text":{"content":"x"},"clientmsgid":"`+strings.Repeat("x", 32)+`"`), 0},
		{"mass_send_all", `{"filter":{"is_to_all":false,"tag_id":999},"msgtype":"text","text":{"content":"x"}}`, 40152},
		{"mass_send_all", `{"filter":{"is_to_all":0},"msgtype":"text","text":{"content":"x"}}`, 40152},
		{"mass_send_openids", some("text", u), 40130},
		{"mass_send_openids", some("text", many...), 40032},
		{"mass_send_openids", some("text", u, "oNobody"), 40003},
		{"mass_send_openids", some("music", u, v), 45162},
		{"mass_send_openids", some("text", u, v), 0},
		{"mass_speed_set", `{"speed":5}`, 45083},
		{"mass_speed_set", `{"speed":-1}`, 45083},
		{"mass_speed_set", `{}`, 45084},
		{"media_upload_video", `{"media_id":""}`, 40007},
	})
	if err := client.Mass.SpeedSet(t.Context(), api.MassSpeedSetRequest{Speed: 3}); err != nil {
		t.Fatal(err)
	}
	if got, err := client.Mass.SpeedGet(t.Context()); err != nil || got != (api.MassSpeedGetResponse{Speed: 3, RealSpeed: 30}) {
		t.Errorf("%+v, %v", got, err)
	}
}
