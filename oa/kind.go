package oa

import (
	"errors"
	"reflect"
	"strings"
	"sync"
)

// messageType is one Go type of deliveries and the names it serves.
type messageType struct {
	goType reflect.Type // of the pointer
	names  []string
	plan   func() *plan
}

func typeOf[T any](names ...string) *messageType {
	return &messageType{
		goType: reflect.TypeFor[*T](),
		names:  names,
		plan: sync.OnceValue(func() *plan {
			p, err := newPlan(reflect.TypeFor[T]())
			if err != nil {
				panic(err) // a mistake in this package, seen by its first test
			}
			return p
		}),
	}
}

var (
	messageTypes = []*messageType{
		typeOf[TextMessage]("text"),
		typeOf[ImageMessage]("image"),
		typeOf[VoiceMessage]("voice"),
		typeOf[VideoMessage]("video", "shortvideo"),
		typeOf[LocationMessage]("location"),
		typeOf[LinkMessage]("link"),
		typeOf[FileMessage]("file"),
	}
	eventTypes = []*messageType{
		typeOf[SubscribeEvent]("subscribe"),
		typeOf[UnsubscribeEvent]("unsubscribe"),
		typeOf[ScanEvent]("SCAN"),
		typeOf[LocationEvent]("LOCATION"),
		typeOf[ClickEvent]("CLICK"),
		typeOf[ViewEvent]("VIEW"),
		typeOf[ViewMiniProgramEvent]("view_miniprogram"),
		typeOf[ScanCodeEvent]("scancode_push", "scancode_waitmsg"),
		typeOf[PicEvent]("pic_sysphoto", "pic_photo_or_album", "pic_weixin"),
		typeOf[LocationSelectEvent]("location_select"),
		typeOf[MassSendJobFinishEvent]("MASSSENDJOBFINISH"),
		typeOf[TemplateSendJobFinishEvent]("TEMPLATESENDJOBFINISH"),
		typeOf[PublishJobFinishEvent]("PUBLISHJOBFINISH", "FREEPUBLISHJOBFINISH"),
		typeOf[SubscribeMsgPopupEvent]("subscribe_msg_popup_event"),
		typeOf[SubscribeMsgChangeEvent]("subscribe_msg_change_event"),
		typeOf[SubscribeMsgSentEvent]("subscribe_msg_sent_event"),
		typeOf[KfSessionEvent]("kf_create_session", "kf_close_session"),
		typeOf[KfSwitchSessionEvent]("kf_switch_session"),
		typeOf[CertificationEvent]("qualification_verify_success", "qualification_verify_fail",
			"naming_verify_success", "naming_verify_fail", "annual_renew", "verify_expired"),
		typeOf[UserDataEvent]("user_info_modified", "user_authorization_revoke", "user_authorization_cancellation"),
		typeOf[DebugEvent]("debug_demo"),
		typeOf[MediaCheckEvent]("wxa_media_check"),
		typeOf[CardCheckEvent]("card_pass_check", "card_not_pass_check"),
		typeOf[UserGetCardEvent]("user_get_card"),
		typeOf[UserGiftingCardEvent]("user_gifting_card"),
		typeOf[UserConsumeCardEvent]("user_consume_card"),
		typeOf[UserPayFromPayCellEvent]("user_pay_from_pay_cell"),
		typeOf[UserCardEvent]("user_del_card", "user_view_card", "user_enter_session_from_card", "submit_membercard_user_info"),
		typeOf[UpdateMemberCardEvent]("update_member_card"),
		typeOf[CardSkuRemindEvent]("card_sku_remind"),
		typeOf[CardPayOrderEvent]("card_pay_order"),
		typeOf[CardMerchantCheckEvent]("card_merchant_check_result"),
		typeOf[GiftCardEvent]("giftcard_pay_done", "giftcard_send_to_friend", "giftcard_user_accept"),
		typeOf[UserAuthorizeInvoiceEvent]("user_authorize_invoice"),
		typeOf[UpdateInvoiceStatusEvent]("update_invoice_status"),
		typeOf[CloudInvoiceResultEvent]("cloud_invoice_invoiceresult_event"),
		typeOf[SubmitInvoiceTitleEvent]("submit_invoice_title"),
		typeOf[PoiCheckEvent]("poi_check_notify"),
		typeOf[MapPoiAuditEvent]("create_map_poi_audit_info"),
		typeOf[WifiConnectedEvent]("WifiConnected"),
		typeOf[ShakeEvent]("ShakearoundUserShake"),
		typeOf[ScanProductEvent]("user_scan_product", "user_scan_product_enter_session",
			"user_scan_product_async", "user_scan_product_verify_action"),
		typeOf[MerchantOrderEvent]("merchant_order"),
		typeOf[GuideScanEvent]("guide_qrcode_scan_event"),
		typeOf[GuideInviteEvent]("guide_invite_result_event"),
	}
	infoTypes = []*messageType{
		typeOf[ComponentVerifyTicket]("component_verify_ticket"),
		typeOf[Authorized]("authorized", "updateauthorized"),
		typeOf[Unauthorized]("unauthorized"),
		typeOf[FastRegister]("notify_third_fasteregister", "notify_third_fastregisterbetaapp", "notify_third_fastverifybetaapp"),
	}
	unknownMessage = typeOf[UnknownMessage]()
	unknownEvent   = typeOf[UnknownEvent]()
	unknownInfo    = typeOf[UnknownInfo]()
)

// lookup finds the type of a name. Event names are matched without case.
func lookup(types []*messageType, name string, fold bool) *messageType {
	for _, t := range types {
		for _, n := range t.names {
			if n == name || fold && strings.EqualFold(n, name) {
				return t
			}
		}
	}
	return nil
}

// maxName is the most bytes of an account's or follower's id; real ones have
// about 28.
const maxName = 128

var (
	errName       = errors.New("oa: ToUserName or FromUserName is far too long to be one")
	errIncomplete = errors.New("oa: the delivery lacks ToUserName, FromUserName or MsgType")
	errEncrypted  = errors.New("oa: the delivery is encrypted, but the account is in plain mode: " +
		"set 明文模式 or 兼容模式 in WeChat's 服务器配置, or give the account its EncodingAESKey and AppID")
)

// parse makes a message of the elements of a clean, decrypted body.
func parse(elements []Element) (Message, error) {
	text := func(name string) string {
		e, _ := Find(elements, name)
		return strings.TrimSpace(e.Text)
	}
	msgType, event := text("MsgType"), ""
	var t *messageType
	switch {
	case msgType == "event":
		event = text("Event")
		if t = lookup(eventTypes, event, true); t == nil {
			t = unknownEvent
		}
	case msgType != "":
		if t = lookup(messageTypes, msgType, false); t == nil {
			t = unknownMessage
		}
	case text("InfoType") != "" && text("AppId") != "":
		if t = lookup(infoTypes, text("InfoType"), false); t == nil {
			t = unknownInfo
		}
	case text("Encrypt") != "":
		return nil, errEncrypted
	default:
		return nil, errIncomplete
	}
	p := reflect.New(t.goType.Elem())
	t.plan().decode(p.Elem(), elements)
	m := p.Interface().(Message)
	switch u := m.(type) {
	case *UnknownMessage:
		u.Elements = append([]Element(nil), elements...)
	case *UnknownEvent:
		u.Elements = append([]Element(nil), elements...)
	case *UnknownInfo:
		u.Elements = append([]Element(nil), elements...)
	}
	if d, ok := m.(interface{ derive() }); ok {
		d.derive()
	}
	h := m.Head()
	if len(h.ToUserName) > maxName || len(h.FromUserName) > maxName {
		return nil, errName
	}
	if msgType != "" && (h.ToUserName == "" || h.FromUserName == "" || msgType == "event" && event == "") {
		return nil, errIncomplete
	}
	return m, nil
}
