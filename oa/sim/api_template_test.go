package sim_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/api"
	"github.com/wenzihq/wenzi/oa/sim"
)

func TestTemplateSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, client, in := startFollowers(t, sim.CertifiedService)
		u := p.Follower()
		id := p.Account.AddTemplate("取货提醒", "{{first.DATA}}\n商品：{{thing1.DATA}}\n时间: {{time2.DATA}} 起\n请带好手机\n{{remark.DATA}}")
		m := api.TemplateSendRequest{
			ToUser: u.OpenID(), TemplateID: id, URL: "https://example.com/order/1", ClientMsgID: "m-1",
			MiniProgram: api.MiniProgramPage{AppID: "wx0000000000000002", PagePath: "pages/order?id=1"},
			Data:        api.Values("thing1", "拿铁一杯", "time2", "2026-01-02 10:00", "unknown", "x"),
		}
		sent, err := client.Template.Send(t.Context(), m)
		if err != nil || sent.MsgID == 0 {
			t.Fatalf("%+v, %v", sent, err)
		}
		e := next[*oa.TemplateSendJobFinishEvent](t, in)
		if e.MsgID != sent.MsgID || e.Status != "success" || e.FromUserName != u.OpenID() {
			t.Errorf("%+v", e)
		}
		want := sim.Bubble{
			Kind: "template", Title: "取货提醒", URL: "https://example.com/order/1", AppID: "wx0000000000000002", PagePath: "pages/order?id=1",
			Rows: []sim.Row{{Name: "商品", Value: "拿铁一杯"}, {Name: "时间", Value: "2026-01-02 10:00 起"}, {Value: "请带好手机"}},
		}
		if diff := cmp.Diff(want, u.Chat()[0].Bubble); diff != "" || u.Chat()[0].Via != sim.ViaTemplate {
			t.Errorf("via %s\n%s", u.Chat()[0].Via, diff)
		}
		seen := "template: [模板消息] 取货提醒\n  商品：拿铁一杯\n  时间：2026-01-02 10:00 起\n  请带好手机\n  小程序 wx0000000000000002 pages/order?id=1\n  https://example.com/order/1"
		sees(t, u, seen)

		p.Advance(9 * time.Minute)
		if again, err := client.Template.Send(t.Context(), m); err != nil || again != sent {
			t.Errorf("the same client_msg_id: %+v, %v", again, err)
		}
		in.quiet(t) // an hour
		sees(t, u, seen)
		if again, err := client.Template.Send(t.Context(), m); err != nil || again == sent {
			t.Errorf("the same client_msg_id after more than 10 minutes: %+v, %v", again, err)
		}
		next[*oa.TemplateSendJobFinishEvent](t, in)

		m.ClientMsgID = "" // which is no id
		for range 2 {
			if _, err := client.Template.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		u.Unsubscribe()
		left := 0
		for range 3 {
			switch e := (<-in).(type) {
			case *oa.TemplateSendJobFinishEvent:
				if e.Status == "failed:user block" {
					left++
				}
			case *oa.UnsubscribeEvent:
			default:
				t.Errorf("%T", e)
			}
		}
		if left != 2 || len(u.Chat()) != 3 { // two messages and the leaving
			t.Errorf("%d messages failed, the follower sees %s", left, shown(u))
		}
		if _, err := client.Template.Send(t.Context(), m); code(t, err) != 43004 {
			t.Errorf("to who does not follow: %v", err)
		}
	})
}

func TestTemplateRefused(t *testing.T) {
	p, client, _ := startFollowers(t, sim.CertifiedService)
	u := p.Follower().OpenID()
	typed := p.Account.AddTemplate("订单", "商品:{{thing1.DATA}}\n金额:{{amount2.DATA}}\n")
	legacy := p.Account.AddTemplate("订单", "{{first.DATA}}\n商品:{{keyword1.DATA}}")
	send := func(to, template, data string) string {
		return `{"touser":"` + to + `","template_id":"` + template + `","data":{` + data + `}}`
	}
	good := `"thing1":{"value":"拿铁"},"amount2":{"value":"¥25.00","color":"#173177"}`
	refuse(t, client, []refusal{
		{"template_send", send(u, typed, good), 0},
		{"template_send", send("oNobody", typed, good), 40003},
		{"template_send", send(u, "TEMPLATE_ID_0001", good), 40037},
		{"template_send", send(u, typed, `"thing1":{"value":"拿铁"},"amount2":{"value":25}`), 0}, // a bare number
		{"template_send", send(u, legacy, `"keyword1":{"value":"`+strings.Repeat("长", 100)+`"}`), 0},
		{"template_send", `{"touser":"` + u + `","template_id":"` + typed + `"}`, 40035},
		{"template_send", `{"template_id":"` + typed + `","data":{}}`, 41009},
		{"template_send", send(u, typed, `"thing1":"拿铁"`), 47001},
		{"blacklist_add", `{"openid_list":` + quoted(u) + `}`, 0},
		{"template_send", send(u, typed, good), 43019},
	})
	refuse(t, client, []refusal{{"blacklist_remove", `{"openid_list":` + quoted(u) + `}`, 0}})
	for key, data := range map[string]string{
		"thing1":  `"amount2":{"value":"25"}`,
		"amount2": `"thing1":{"value":"拿铁"},"amount2":{"value":"二十五元"}`,
	} {
		answer, got := raw(t, client, "template_send", send(u, typed, data))
		if got != 47003 || !strings.Contains(answer, "data."+key+".value") {
			t.Errorf("code %d, %s does not name %s", got, answer, key)
		}
	}
}

func TestTemplates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, client, _ := startFollowers(t, sim.CertifiedService)
		if answer, _ := raw(t, client, "template_get_industry", ""); answer != "{}" {
			t.Errorf("before industries are set: %s", answer)
		}
		industries := api.TemplateSetIndustryRequest{IndustryID1: "2", IndustryID2: "8"}
		if err := client.Template.SetIndustry(t.Context(), industries); err != nil {
			t.Fatal(err)
		}
		if err := client.Template.SetIndustry(t.Context(), industries); code(t, err) != 45009 {
			t.Errorf("again in the same month: %v", err)
		}
		if got, err := client.Template.GetIndustry(t.Context()); err != nil || got.PrimaryIndustry.SecondClass != "行业 2" || got.SecondaryIndustry.SecondClass != "行业 8" {
			t.Errorf("%+v, %v", got, err)
		}
		added, err := client.Template.Add(t.Context(), api.TemplateAddRequest{TemplateIDShort: "47000", KeywordNameList: []string{"取货地点", "商品名称"}})
		if err != nil {
			t.Fatal(err)
		}
		own := p.Account.AddTemplate("自己的", "{{thing1.DATA}}")
		list, err := client.Template.List(t.Context())
		want := []api.Template{
			{TemplateID: added.TemplateID, Title: "取货提醒", PrimaryIndustry: "行业 2", DeputyIndustry: "行业 8", Content: "取货地点:{{thing1.DATA}}\n商品名称:{{thing2.DATA}}\n", Example: "取货地点:南山区一号店\n商品名称:拿铁一杯\n"},
			{TemplateID: own, Title: "自己的", PrimaryIndustry: "行业 2", DeputyIndustry: "行业 8", Content: "{{thing1.DATA}}"},
		}
		if diff := cmp.Diff(want, list.TemplateList); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
		if err := client.Template.Delete(t.Context(), api.TemplateDeleteRequest{TemplateID: own}); err != nil {
			t.Fatal(err)
		}
		refuse(t, client, []refusal{
			{"template_delete", `{"template_id":"` + own + `"}`, 40037},
			{"template_add", `{"template_id_short":"TM00015"}`, 40247},
			{"template_add", `{"template_id_short":"OPENTM206482867"}`, 40247},
			{"template_add", `{"template_id_short":"1","keyword_name_list":["商品名称"]}`, 40037},
			{"template_add", `{"template_id_short":47000,"keyword_name_list":[]}`, 40246},
			{"template_add", `{"template_id_short":"47000","keyword_name_list":["没有的"]}`, 40246},
			{"template_set_industry", `{"industry_id1":"0","industry_id2":"8"}`, 40035},
			{"template_set_industry", `{"industry_id1":"2","industry_id2":"42"}`, 40035},
		})
		for range 24 {
			if _, err := client.Template.Add(t.Context(), api.TemplateAddRequest{TemplateIDShort: "100", KeywordNameList: []string{"商品名称"}}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := client.Template.Add(t.Context(), api.TemplateAddRequest{TemplateIDShort: "100", KeywordNameList: []string{"商品名称"}}); code(t, err) != 45009 {
			t.Errorf("the twenty-sixth template: %v", err)
		}
		p.Advance(31 * 24 * time.Hour)
		if err := client.Template.SetIndustry(t.Context(), industries); err != nil {
			t.Errorf("the next month: %v", err)
		}
	})
}
