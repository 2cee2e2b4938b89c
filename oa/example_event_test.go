package oa_test

import (
	"context"
	"fmt"
	"log" //nolint:depguard // as a program of a reader would

	"github.com/wenzihq/wenzi/oa"
)

// parse reads a delivery that is easier to write as XML.
func parse(body string) oa.Message {
	m, err := oa.ParseMessage([]byte(body))
	if err != nil {
		log.Fatal(err)
	}
	return m
}

func ExampleMessage() {
	m := parse(`<xml><ToUserName>gh</ToUserName><FromUserName>o</FromUserName><MsgType>image</MsgType>
<MediaId>media_id</MediaId></xml>`)
	switch m := m.(type) {
	case *oa.TextMessage:
		fmt.Println(m.Content)
	case *oa.ImageMessage:
		fmt.Println(m.MediaID)
	}
	// Output: media_id
}

func ExampleHeader() {
	fmt.Println(text("hello").Head().FromUserName)
	// Output: oAbCdEfGhIjKlMnOpQrStUvWxYz1
}

func ExampleIdent() {
	fmt.Println(text("hello").MsgID)
	// Output: 24537625000000001
}

func ExampleUnknownMessage() {
	mux := oa.NewMux()
	mux.HandleFunc("device_text", func(_ context.Context, r *oa.Request) (oa.Reply, error) {
		id, _ := oa.Find(r.Message.(*oa.UnknownMessage).Elements, "DeviceID")
		return oa.Text("device " + id.Text)
	})
	say(mux, parse(`<xml><ToUserName>gh</ToUserName><FromUserName>o</FromUserName><MsgType>device_text</MsgType>
<DeviceID>123456</DeviceID></xml>`))
	// Output: device 123456
}

func ExampleEvent() {
	var e oa.Event = &oa.ClickEvent{EventHeader: event("CLICK"), Key: "ABOUT"}
	fmt.Println(e.EventHead().Event)
	// Output: CLICK
}

func ExampleEventHeader() {
	e := parse(`<xml><ToUserName>gh</ToUserName><FromUserName>o</FromUserName><MsgType>event</MsgType><Event>subscribe</Event></xml>`)
	fmt.Println(e.(*oa.SubscribeEvent).Event)
	// Output: subscribe
}

func ExampleUnknownEvent() {
	mux := oa.NewMux()
	mux.HandleFunc("event/brand_new", func(_ context.Context, r *oa.Request) (oa.Reply, error) {
		price, _ := oa.Find(r.Message.(*oa.UnknownEvent).Elements, "Price")
		return oa.Text("price " + price.Text)
	})
	say(mux, parse(`<xml><ToUserName>gh</ToUserName><FromUserName>o</FromUserName><MsgType>event</MsgType><Event>brand_new</Event>
<Price>7</Price></xml>`))
	// Output: price 7
}

func ExampleInfo() {
	i := parse(`<xml><AppId>wx0000component00</AppId><InfoType>unauthorized</InfoType></xml>`).(oa.Info)
	fmt.Println(i.InfoHead().AppID, i.InfoHead().InfoType)
	// Output: wx0000component00 unauthorized
}

func ExampleInfoHeader() {
	i := parse(`<xml><AppId>wx0000component00</AppId><CreateTime>1413192605</CreateTime><InfoType>unauthorized</InfoType></xml>`).(*oa.Unauthorized)
	fmt.Println(i.Time, i.CreateTime)
	// Output: 1413192605 1413192605
}

func ExampleUnknownInfo() {
	i := parse(`<xml><AppId>wx0000component00</AppId><InfoType>notify_3rd_wxa_auth</InfoType><task_status>2</task_status></xml>`).(*oa.UnknownInfo)
	status, _ := oa.Find(i.Elements, "task_status")
	fmt.Println(i.InfoType, status.Text)
	// Output: notify_3rd_wxa_auth 2
}

func ExampleTextMessage() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, m *oa.TextMessage) (oa.Reply, error) {
		return oa.Text(m.Content + " by entry " + m.MenuID)
	})
	say(mux, &oa.TextMessage{Header: head("text"), Content: "满意", MenuID: "101"})
	// Output: 满意 by entry 101
}

func ExampleImageMessage() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, m *oa.ImageMessage) (oa.Reply, error) {
		return oa.Text(m.MediaID)
	})
	say(mux, &oa.ImageMessage{Header: head("image"), PicURL: "http://example.com/0", MediaID: "media_id"})
	// Output: media_id
}

func ExampleVoiceMessage() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, m *oa.VoiceMessage) (oa.Reply, error) {
		return oa.Text(m.Format + " " + m.MediaID16K)
	})
	say(mux, &oa.VoiceMessage{Header: head("voice"), MediaID: "media_id", Format: "amr", MediaID16K: "better"})
	// Output: amr better
}

func ExampleVideoMessage() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, m *oa.VideoMessage) (oa.Reply, error) {
		return oa.Text(m.MsgType + " " + m.ThumbMediaID)
	})
	say(mux, &oa.VideoMessage{Header: head("shortvideo"), MediaID: "media_id", ThumbMediaID: "thumb"})
	// Output: shortvideo thumb
}

func ExampleLocationMessage() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, m *oa.LocationMessage) (oa.Reply, error) {
		return oa.Text(fmt.Sprint(m.Label, m.Latitude, m.Longitude))
	})
	say(mux, &oa.LocationMessage{Header: head("location"), Latitude: 23.134521, Longitude: 113.358803, Scale: 20, Label: "广州市海珠区"})
	// Output: 广州市海珠区23.134521 113.358803
}

func ExampleLinkMessage() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, m *oa.LinkMessage) (oa.Reply, error) {
		return oa.Text(m.Title + " " + m.URL)
	})
	say(mux, &oa.LinkMessage{Header: head("link"), Title: "A page", URL: "https://example.com/p?id=1&x=2"})
	// Output: A page https://example.com/p?id=1&x=2
}

func ExampleFileMessage() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, m *oa.FileMessage) (oa.Reply, error) {
		return oa.Text(fmt.Sprint(m.Title, " ", m.FileTotalLen))
	})
	say(mux, &oa.FileMessage{Header: head("file"), Title: "report.pdf", FileTotalLen: 10203788})
	// Output: report.pdf 10203788
}

func ExampleSubscribeEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.SubscribeEvent) (oa.Reply, error) {
		return oa.Text("welcome from scene " + e.Scene)
	})
	say(mux, &oa.SubscribeEvent{EventHeader: event("subscribe"), EventKey: "qrscene_42"})
	// Output: welcome from scene 42
}

func ExampleUnsubscribeEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.UnsubscribeEvent) (oa.Reply, error) {
		fmt.Println("forget", e.FromUserName)
		return oa.None()
	})
	say(mux, &oa.UnsubscribeEvent{EventHeader: event("unsubscribe"), EventKey: ""})
	// Output:
	// forget oAbCdEfGhIjKlMnOpQrStUvWxYz1
	// success
}

func ExampleScanEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.ScanEvent) (oa.Reply, error) {
		return oa.Text("scene " + e.Scene)
	})
	say(mux, &oa.ScanEvent{EventHeader: event("SCAN"), Scene: "42", Ticket: "ticket"})
	// Output: scene 42
}

func ExampleLocationEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.LocationEvent) (oa.Reply, error) {
		return oa.Text(fmt.Sprint(e.Latitude, e.Longitude))
	})
	say(mux, &oa.LocationEvent{EventHeader: event("LOCATION"), Latitude: 23.137466, Longitude: 113.352425, Precision: 119.38504})
	// Output: 23.137466 113.352425
}

func ExampleClickEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.ClickEvent) (oa.Reply, error) {
		return oa.Text("you chose " + e.Key)
	})
	say(mux, &oa.ClickEvent{EventHeader: event("CLICK"), Key: "ABOUT"})
	// Output: you chose ABOUT
}

func ExampleViewEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.ViewEvent) (oa.Reply, error) {
		fmt.Println(e.URL, e.MenuID)
		return oa.None()
	})
	say(mux, &oa.ViewEvent{EventHeader: event("VIEW"), URL: "https://example.com/", MenuID: 400000001})
	// Output:
	// https://example.com/ 400000001
	// success
}

func ExampleViewMiniProgramEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.ViewMiniProgramEvent) (oa.Reply, error) {
		fmt.Println(e.Page)
		return oa.None()
	})
	say(mux, &oa.ViewMiniProgramEvent{EventHeader: event("view_miniprogram"), Page: "pages/index/index"})
	// Output:
	// pages/index/index
	// success
}

func ExampleScanCodeEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.ScanCodeEvent) (oa.Reply, error) {
		return oa.Text(e.Code.Type + ": " + e.Code.Result)
	})
	e := &oa.ScanCodeEvent{EventHeader: event("scancode_waitmsg"), Key: "scan_2"}
	e.Code.Type, e.Code.Result = "qrcode", "https://example.com/"
	say(mux, e)
	// Output: qrcode: https://example.com/
}

func ExamplePicEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.PicEvent) (oa.Reply, error) {
		fmt.Println(e.Pics.Count, e.Pics.List.Items[0].MD5)
		return oa.None()
	})
	say(mux, parse(`<xml><ToUserName>gh</ToUserName><FromUserName>o</FromUserName><MsgType>event</MsgType><Event>pic_weixin</Event>
<SendPicsInfo><Count>1</Count><PicList><item><PicMd5Sum>5a75aaca956d97be686719218f275c6b</PicMd5Sum></item></PicList></SendPicsInfo></xml>`))
	// Output:
	// 1 5a75aaca956d97be686719218f275c6b
	// success
}

func ExampleLocationSelectEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.LocationSelectEvent) (oa.Reply, error) {
		fmt.Println(e.Location.Latitude, e.Location.Longitude, e.Location.Label)
		return oa.None()
	})
	say(mux, parse(`<xml><ToUserName>gh</ToUserName><FromUserName>o</FromUserName><MsgType>event</MsgType><Event>location_select</Event>
<SendLocationInfo><Location_X>23</Location_X><Location_Y>113</Location_Y><Label>广州市海珠区</Label></SendLocationInfo></xml>`))
	// Output:
	// 23 113 广州市海珠区
	// success
}

func ExampleMassSendJobFinishEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.MassSendJobFinishEvent) (oa.Reply, error) {
		fmt.Println(e.MsgID, e.Status, e.SentCount, e.ErrorCount)
		return oa.None()
	})
	say(mux, parse(`<xml><ToUserName>gh</ToUserName><FromUserName>o</FromUserName><MsgType>event</MsgType><Event>MASSSENDJOBFINISH</Event>
<MsgID>1000001625</MsgID><Status>send success</Status><SentCount>75</SentCount><ErrorCount>5</ErrorCount></xml>`))
	// Output:
	// 1000001625 send success 75 5
	// success
}

func ExampleCopyrightResult() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.MassSendJobFinishEvent) (oa.Reply, error) {
		fmt.Println(e.Copyright.Results.Items[0].Index, e.Copyright.Results.Items[0].CanReprint)
		return oa.None()
	})
	say(mux, parse(`<xml><ToUserName>gh</ToUserName><FromUserName>o</FromUserName><MsgType>event</MsgType><Event>MASSSENDJOBFINISH</Event>
<CopyrightCheckResult><ResultList><item><ArticleIdx>1</ArticleIdx><CanReprint>1</CanReprint></item></ResultList></CopyrightCheckResult></xml>`))
	// Output:
	// 1 1
	// success
}

func ExampleTemplateSendJobFinishEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.TemplateSendJobFinishEvent) (oa.Reply, error) {
		fmt.Println(e.MsgID, e.Status)
		return oa.None()
	})
	say(mux, parse(`<xml><ToUserName>gh</ToUserName><FromUserName>o</FromUserName><MsgType>event</MsgType><Event>TEMPLATESENDJOBFINISH</Event>
<MsgID>200163836</MsgID><Status>failed:user block</Status></xml>`))
	// Output:
	// 200163836 failed:user block
	// success
}

func ExamplePublishJobFinishEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.PublishJobFinishEvent) (oa.Reply, error) {
		fmt.Println(e.Result.PublishID, e.Result.Status, e.Result.FailIndex)
		return oa.None()
	})
	say(mux, parse(`<xml><ToUserName>gh</ToUserName><FromUserName>o</FromUserName><MsgType>event</MsgType><Event>PUBLISHJOBFINISH</Event>
<PublishEventInfo><publish_id>2247503052</publish_id><publish_status>2</publish_status><fail_idx>1</fail_idx><fail_idx>2</fail_idx></PublishEventInfo></xml>`))
	// Output:
	// 2247503052 2 [1 2]
	// success
}

func ExampleSubscribeMsgPopupEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.SubscribeMsgPopupEvent) (oa.Reply, error) {
		fmt.Println(e.Popup.List[0].TemplateID, e.Popup.List[0].Status)
		return oa.None()
	})
	say(mux, parse(`<xml><ToUserName>gh</ToUserName><FromUserName>o</FromUserName><MsgType>event</MsgType><Event>subscribe_msg_popup_event</Event>
<SubscribeMsgPopupEvent><List><TemplateId>VRR0</TemplateId><SubscribeStatusString>accept</SubscribeStatusString></List></SubscribeMsgPopupEvent></xml>`))
	// Output:
	// VRR0 accept
	// success
}

func ExampleSubscribeMsgChangeEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.SubscribeMsgChangeEvent) (oa.Reply, error) {
		fmt.Println(e.Change.List[0].TemplateID, e.Change.List[0].Status)
		return oa.None()
	})
	say(mux, parse(`<xml><ToUserName>gh</ToUserName><FromUserName>o</FromUserName><MsgType>event</MsgType><Event>subscribe_msg_change_event</Event>
<SubscribeMsgChangeEvent><List><TemplateId>VRR0</TemplateId><SubscribeStatusString>reject</SubscribeStatusString></List></SubscribeMsgChangeEvent></xml>`))
	// Output:
	// VRR0 reject
	// success
}

func ExampleSubscribeMsgSentEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.SubscribeMsgSentEvent) (oa.Reply, error) {
		fmt.Println(e.Sent.List[0].MsgID, e.Sent.List[0].ErrorStatus)
		return oa.None()
	})
	say(mux, parse(`<xml><ToUserName>gh</ToUserName><FromUserName>o</FromUserName><MsgType>event</MsgType><Event>subscribe_msg_sent_event</Event>
<SubscribeMsgSentEvent><List><MsgID>1700827132819554304</MsgID><ErrorCode>0</ErrorCode><ErrorStatus>success</ErrorStatus></List></SubscribeMsgSentEvent></xml>`))
	// Output:
	// 1700827132819554304 success
	// success
}

func ExampleKfSessionEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.KfSessionEvent) (oa.Reply, error) {
		fmt.Println(e.Event, e.KfAccount)
		return oa.None()
	})
	say(mux, &oa.KfSessionEvent{EventHeader: event("kf_create_session"), KfAccount: "test1@test"})
	// Output:
	// kf_create_session test1@test
	// success
}

func ExampleKfSwitchSessionEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.KfSwitchSessionEvent) (oa.Reply, error) {
		fmt.Println(e.FromKfAccount, e.ToKfAccount)
		return oa.None()
	})
	say(mux, &oa.KfSwitchSessionEvent{EventHeader: event("kf_switch_session"), FromKfAccount: "test1@test", ToKfAccount: "test2@test"})
	// Output:
	// test1@test test2@test
	// success
}

func ExampleCertificationEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.CertificationEvent) (oa.Reply, error) {
		fmt.Println(e.Event, e.FailReason)
		return oa.None()
	})
	say(mux, &oa.CertificationEvent{EventHeader: event("naming_verify_fail"), FailTime: 1442401061, FailReason: "by time"})
	// Output:
	// naming_verify_fail by time
	// success
}

func ExampleUserDataEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.UserDataEvent) (oa.Reply, error) {
		fmt.Println("delete everything about", e.OpenID)
		return oa.None()
	})
	say(mux, &oa.UserDataEvent{EventHeader: event("user_authorization_cancellation"), OpenID: "oUser"})
	// Output:
	// delete everything about oUser
	// success
}

func ExampleDebugEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.DebugEvent) (oa.Reply, error) {
		fmt.Println(e.DebugStr)
		return oa.None()
	})
	say(mux, &oa.DebugEvent{EventHeader: event("debug_demo"), DebugStr: "hello world"})
	// Output:
	// hello world
	// success
}

func ExampleMediaCheckEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.MediaCheckEvent) (oa.Reply, error) {
		fmt.Println(e.TraceID, e.Result.Suggest)
		return oa.None()
	})
	say(mux, parse(`<xml><ToUserName>gh</ToUserName><FromUserName>o</FromUserName><MsgType>event</MsgType><Event>wxa_media_check</Event>
<trace_id>60f96f1d</trace_id><version>2</version><result><suggest>pass</suggest><label>100</label></result></xml>`))
	// Output:
	// 60f96f1d pass
	// success
}

func ExampleCardCheckEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.CardCheckEvent) (oa.Reply, error) {
		fmt.Println(e.CardID, e.RefuseReason)
		return oa.None()
	})
	say(mux, &oa.CardCheckEvent{EventHeader: event("card_not_pass_check"), CardID: "pZI8", RefuseReason: "reason"})
	// Output:
	// pZI8 reason
	// success
}

func ExampleUserGetCardEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.UserGetCardEvent) (oa.Reply, error) {
		fmt.Println(e.UserCardCode)
		return oa.None()
	})
	say(mux, &oa.UserGetCardEvent{EventHeader: event("user_get_card"), CardID: "pZI8", UserCardCode: "226009850808"})
	// Output:
	// 226009850808
	// success
}

func ExampleUserGiftingCardEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.UserGiftingCardEvent) (oa.Reply, error) {
		fmt.Println(e.FriendUserName)
		return oa.None()
	})
	say(mux, &oa.UserGiftingCardEvent{EventHeader: event("user_gifting_card"), CardID: "pZI8", FriendUserName: "oFriend"})
	// Output:
	// oFriend
	// success
}

func ExampleUserConsumeCardEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.UserConsumeCardEvent) (oa.Reply, error) {
		fmt.Println(e.UserCardCode, e.ConsumeSource)
		return oa.None()
	})
	say(mux, &oa.UserConsumeCardEvent{EventHeader: event("user_consume_card"), UserCardCode: "452998530302", ConsumeSource: "FROM_API"})
	// Output:
	// 452998530302 FROM_API
	// success
}

func ExampleUserPayFromPayCellEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.UserPayFromPayCellEvent) (oa.Reply, error) {
		fmt.Println(e.TransID, e.Fee)
		return oa.None()
	})
	say(mux, &oa.UserPayFromPayCellEvent{EventHeader: event("user_pay_from_pay_cell"), TransID: "10022403432015", Fee: "10000"})
	// Output:
	// 10022403432015 10000
	// success
}

func ExampleUserCardEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.UserCardEvent) (oa.Reply, error) {
		fmt.Println(e.Event, e.UserCardCode)
		return oa.None()
	})
	say(mux, &oa.UserCardEvent{EventHeader: event("user_del_card"), UserCardCode: "12312312"})
	// Output:
	// user_del_card 12312312
	// success
}

func ExampleUpdateMemberCardEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.UpdateMemberCardEvent) (oa.Reply, error) {
		fmt.Println(e.ModifyBonus, e.ModifyBalance)
		return oa.None()
	})
	say(mux, &oa.UpdateMemberCardEvent{EventHeader: event("update_member_card"), ModifyBonus: 3, ModifyBalance: 10})
	// Output:
	// 3 10
	// success
}

func ExampleCardSkuRemindEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.CardSkuRemindEvent) (oa.Reply, error) {
		fmt.Println(e.Detail)
		return oa.None()
	})
	say(mux, &oa.CardSkuRemindEvent{EventHeader: event("card_sku_remind"), CardID: "pZI8", Detail: "100 left"})
	// Output:
	// 100 left
	// success
}

func ExampleCardPayOrderEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.CardPayOrderEvent) (oa.Reply, error) {
		fmt.Println(e.OrderID, e.Status)
		return oa.None()
	})
	say(mux, &oa.CardPayOrderEvent{EventHeader: event("card_pay_order"), OrderID: "404091456", Status: "ORDER_STATUS_FINANCE_SUCC"})
	// Output:
	// 404091456 ORDER_STATUS_FINANCE_SUCC
	// success
}

func ExampleCardMerchantCheckEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.CardMerchantCheckEvent) (oa.Reply, error) {
		fmt.Println(e.MerchantID, e.IsPass)
		return oa.None()
	})
	say(mux, &oa.CardMerchantCheckEvent{EventHeader: event("card_merchant_check_result"), MerchantID: "123", IsPass: 1})
	// Output:
	// 123 1
	// success
}

func ExampleGiftCardEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.GiftCardEvent) (oa.Reply, error) {
		fmt.Println(e.Event, e.OrderID)
		return oa.None()
	})
	say(mux, &oa.GiftCardEvent{EventHeader: event("giftcard_pay_done"), OrderID: "order"})
	// Output:
	// giftcard_pay_done order
	// success
}

func ExampleUserAuthorizeInvoiceEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.UserAuthorizeInvoiceEvent) (oa.Reply, error) {
		fmt.Println(e.SuccOrderID, e.Source)
		return oa.None()
	})
	say(mux, &oa.UserAuthorizeInvoiceEvent{EventHeader: event("user_authorize_invoice"), SuccOrderID: "1202933957956", Source: "web"})
	// Output:
	// 1202933957956 web
	// success
}

func ExampleUpdateInvoiceStatusEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.UpdateInvoiceStatusEvent) (oa.Reply, error) {
		fmt.Println(e.Status, e.Code)
		return oa.None()
	})
	say(mux, &oa.UpdateInvoiceStatusEvent{EventHeader: event("update_invoice_status"), Status: "INVOICE_REIMBURSE_INIT", Code: "1234"})
	// Output:
	// INVOICE_REIMBURSE_INIT 1234
	// success
}

func ExampleCloudInvoiceResultEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.CloudInvoiceResultEvent) (oa.Reply, error) {
		fmt.Println(e.RequestID, e.Status)
		return oa.None()
	})
	say(mux, &oa.CloudInvoiceResultEvent{EventHeader: event("cloud_invoice_invoiceresult_event"), RequestID: "4aDp", Status: "0"})
	// Output:
	// 4aDp 0
	// success
}

func ExampleSubmitInvoiceTitleEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.SubmitInvoiceTitleEvent) (oa.Reply, error) {
		fmt.Println(e.Title, e.TaxNo)
		return oa.None()
	})
	say(mux, &oa.SubmitInvoiceTitleEvent{EventHeader: event("submit_invoice_title"), Title: "company", TaxNo: "91000000000000000X"})
	// Output:
	// company 91000000000000000X
	// success
}

func ExamplePoiCheckEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.PoiCheckEvent) (oa.Reply, error) {
		fmt.Println(e.UniqID, e.Result, e.Msg)
		return oa.None()
	})
	say(mux, &oa.PoiCheckEvent{EventHeader: event("poi_check_notify"), UniqID: "123adb", Result: "fail", Msg: "reason"})
	// Output:
	// 123adb fail reason
	// success
}

func ExampleMapPoiAuditEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.MapPoiAuditEvent) (oa.Reply, error) {
		fmt.Println(e.AuditID, e.Status, e.Name)
		return oa.None()
	})
	say(mux, &oa.MapPoiAuditEvent{EventHeader: event("create_map_poi_audit_info"), AuditID: "1", Status: "3", Name: "shop"})
	// Output:
	// 1 3 shop
	// success
}

func ExampleWifiConnectedEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.WifiConnectedEvent) (oa.Reply, error) {
		fmt.Println(e.PlaceID, e.DeviceNo)
		return oa.None()
	})
	say(mux, &oa.WifiConnectedEvent{EventHeader: event("WifiConnected"), PlaceID: "1234", DeviceNo: "00:1f:7a:ad:5c:a8"})
	// Output:
	// 1234 00:1f:7a:ad:5c:a8
	// success
}

func ExampleShakeEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.ShakeEvent) (oa.Reply, error) {
		fmt.Println(e.Chosen.UUID, e.Chosen.Distance)
		return oa.None()
	})
	say(mux, &oa.ShakeEvent{EventHeader: event("ShakearoundUserShake"), Chosen: oa.Beacon{UUID: "121212121212", Distance: 0.057}})
	// Output:
	// 121212121212 0.057
	// success
}

func ExampleBeacon() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.ShakeEvent) (oa.Reply, error) {
		fmt.Println(e.Around.Beacons[0].Major, e.Around.Beacons[0].Minor)
		return oa.None()
	})
	say(mux, parse(`<xml><ToUserName>gh</ToUserName><FromUserName>o</FromUserName><MsgType>event</MsgType><Event>ShakearoundUserShake</Event>
<AroundBeacons><AroundBeacon><Major>2222</Major><Minor>2223</Minor></AroundBeacon></AroundBeacons></xml>`))
	// Output:
	// 2222 2223
	// success
}

func ExampleScanProductEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.ScanProductEvent) (oa.Reply, error) {
		fmt.Println(e.KeyStandard, e.KeyStr)
		return oa.None()
	})
	say(mux, &oa.ScanProductEvent{EventHeader: event("user_scan_product"), KeyStandard: "ean13", KeyStr: "6954767461373", Scene: "2"})
	// Output:
	// ean13 6954767461373
	// success
}

func ExampleMerchantOrderEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.MerchantOrderEvent) (oa.Reply, error) {
		fmt.Println(e.OrderID, e.OrderStatus)
		return oa.None()
	})
	say(mux, &oa.MerchantOrderEvent{EventHeader: event("merchant_order"), OrderID: "7197417460812584720", OrderStatus: 2})
	// Output:
	// 7197417460812584720 2
	// success
}

func ExampleGuideScanEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.GuideScanEvent) (oa.Reply, error) {
		fmt.Println(e.Scan.GuideAccount, e.Scan.Action)
		return oa.None()
	})
	say(mux, parse(`<xml><ToUserName>gh</ToUserName><FromUserName>o</FromUserName><MsgType>event</MsgType><Event>guide_qrcode_scan_event</Event>
<GuideScanEvent><qrcode_guide_account>guide_a</qrcode_guide_account><action>2</action></GuideScanEvent></xml>`))
	// Output:
	// guide_a 2
	// success
}

func ExampleGuideInviteEvent() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, e *oa.GuideInviteEvent) (oa.Reply, error) {
		fmt.Println(e.Invite.GuideAccount, e.Invite.Result)
		return oa.None()
	})
	say(mux, parse(`<xml><ToUserName>gh</ToUserName><FromUserName>o</FromUserName><MsgType>event</MsgType><Event>guide_invite_result_event</Event>
<GuideInviteEvent><guide_account>guide_a</guide_account><invite_result>1</invite_result></GuideInviteEvent></xml>`))
	// Output:
	// guide_a 1
	// success
}

func ExampleComponentVerifyTicket() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, i *oa.ComponentVerifyTicket) (oa.Reply, error) {
		fmt.Println(i.AppID, i.Ticket)
		return oa.None()
	})
	say(mux, parse(`<xml><AppId>wx0000component00</AppId><CreateTime>1413192605</CreateTime><InfoType>component_verify_ticket</InfoType>
<ComponentVerifyTicket>ticket@@@abc</ComponentVerifyTicket></xml>`))
	// Output:
	// wx0000component00 ticket@@@abc
	// success
}

func ExampleAuthorized() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, i *oa.Authorized) (oa.Reply, error) {
		fmt.Println(i.AuthorizerAppID, i.Code)
		return oa.None()
	})
	say(mux, parse(`<xml><AppId>wx0000component00</AppId><CreateTime>1413192605</CreateTime><InfoType>authorized</InfoType>
<AuthorizerAppid>wx0000authorizer0</AuthorizerAppid><AuthorizationCode>queryauthcode@@@abc</AuthorizationCode></xml>`))
	// Output:
	// wx0000authorizer0 queryauthcode@@@abc
	// success
}

func ExampleUnauthorized() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, i *oa.Unauthorized) (oa.Reply, error) {
		fmt.Println(i.InfoType, i.AuthorizerAppID)
		return oa.None()
	})
	say(mux, parse(`<xml><AppId>wx0000component00</AppId><CreateTime>1413192605</CreateTime><InfoType>unauthorized</InfoType>
<AuthorizerAppid>wx0000authorizer0</AuthorizerAppid></xml>`))
	// Output:
	// unauthorized wx0000authorizer0
	// success
}

func ExampleFastRegister() {
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, i *oa.FastRegister) (oa.Reply, error) {
		fmt.Println(i.NewAppID, i.Status, i.Info.Name)
		return oa.None()
	})
	say(mux, parse(`<xml><AppId>wx0000component00</AppId><CreateTime>1413192605</CreateTime><InfoType>notify_third_fasteregister</InfoType>
<appid>wx0000newapp00000</appid><status>0</status><info><name>company</name></info></xml>`))
	// Output:
	// wx0000newapp00000 0 company
	// success
}
