package oa

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func message(t testing.TB, msgType, rest string) *Request {
	t.Helper()
	return requestOf(t, "<xml><ToUserName>gh</ToUserName><FromUserName>o</FromUserName><MsgType>"+msgType+"</MsgType>"+rest+"</xml>")
}

func event(t testing.TB, name, key string) *Request {
	t.Helper()
	return message(t, "event", "<Event>"+name+"</Event><EventKey><![CDATA["+key+"]]></EventKey>")
}

func text(t testing.TB, content string) *Request {
	t.Helper()
	return message(t, "text", "<Content><![CDATA["+content+"]]></Content>")
}

func info(t testing.TB, name string) *Request {
	t.Helper()
	return requestOf(t, "<xml><AppId>wx1</AppId><InfoType>"+name+"</InfoType></xml>")
}

func TestMux(t *testing.T) {
	var got string
	mux := NewMux()
	patterns := []string{
		"*", "event", "info", "text", "image", "text/帮助", "text/Ｈelp me", "text/a/b", "event/subscribe", "event/subscribe/42", "event/subscribe/{scene}",
		"event/scan/{scene}", "event/SCAN/7", "event/CLICK", "event/CLICK/ABOUT", "event/VIEW/https://example.com/a?b=1", "event/brand_new/{k}",
		"info/authorized", "brand_new_type",
	}
	slices.Reverse(patterns) // the order must not matter
	for _, p := range patterns {
		mux.HandleFunc(p, func(_ context.Context, r *Request) (Reply, error) {
			got = p + " " + r.PathValue("scene") + r.PathValue("k")
			return Reply{}, nil
		})
	}
	for _, expr := range []string{`^查(?P<city>.+)天气$`, `^查`} {
		mux.HandleRegexp(expr, func(_ context.Context, r *Request) (Reply, error) {
			got = "regexp " + expr + " " + r.PathValue("city")
			return Reply{}, nil
		})
	}
	for _, c := range []struct {
		r    *Request
		want string
	}{
		{text(t, "帮助"), "text/帮助"}, {text(t, " 帮助\n"), "text/帮助"}, {text(t, "HELP ME"), "text/Ｈelp me"}, {text(t, "A/B"), "text/a/b"},
		{text(t, "hello"), "text"}, {text(t, ""), "text"}, {text(t, "*"), "text"},
		{text(t, "查北京天气"), "regexp ^查(?P<city>.+)天气$ 北京"}, {text(t, "查询"), "regexp ^查"},
		{message(t, "voice", "<Recognition>帮助</Recognition>"), "text/帮助"}, {message(t, "voice", "<Recognition>查北京天气</Recognition>"), "regexp ^查(?P<city>.+)天气$ 北京"},
		{message(t, "voice", "<Recognition>hello</Recognition>"), "*"}, {message(t, "image", ""), "image"}, {message(t, "video", ""), "*"},
		{message(t, "brand_new_type", ""), "brand_new_type"}, {message(t, "IMAGE", ""), "*"},
		{event(t, "subscribe", ""), "event/subscribe"}, {event(t, "subscribe", "qrscene_42"), "event/subscribe/42"},
		{event(t, "subscribe", "qrscene_x/y"), "event/subscribe/{scene} x/y"}, {event(t, "subscribe", "last_trade_no_1"), "event/subscribe"},
		{event(t, "SUBSCRIBE", ""), "event/subscribe"}, {event(t, "SCAN", "7"), "event/SCAN/7"}, {event(t, "SCAN", "8"), "event/scan/{scene} 8"},
		{event(t, "scan", "{scene}"), "event/scan/{scene} {scene}"},
		{event(t, "CLICK", "ABOUT"), "event/CLICK/ABOUT"}, {event(t, "CLICK", "about"), "event/CLICK"}, {event(t, "CLICK", "{}"), "event/CLICK"},
		{event(t, "VIEW", "https://example.com/a?b=1"), "event/VIEW/https://example.com/a?b=1"}, {event(t, "VIEW", "https://example.com/"), "event"},
		{event(t, "brand_new", "7"), "event/brand_new/{k} 7"}, {event(t, "brand_new", ""), "event"}, {event(t, "CLICK/ABOUT", ""), "event"},
		{info(t, "authorized"), "info/authorized"}, {info(t, "unauthorized"), "info"}, {info(t, "brand_new"), "info"},
	} {
		got = ""
		if reply, err := mux.Answer(t.Context(), c.r); err != nil || !reply.IsZero() {
			t.Errorf("%s: %v, %v", c.r.Body(), reply, err)
		}
		if strings.TrimSpace(got) != c.want {
			t.Errorf("%s\nwent to %q, want %q", c.r.Body(), got, c.want)
		}
	}
	if reply, err := NewMux().Answer(t.Context(), text(t, "hello")); err != nil || !reply.IsZero() {
		t.Errorf("an empty mux answers %v, %v", reply, err)
	}
}

// TestMuxPrecedence registers patterns one by one, most general first: each takes
// the delivery from the one before.
func TestMuxPrecedence(t *testing.T) {
	for _, c := range []struct {
		r        *Request
		patterns []string
	}{
		{event(t, "CLICK", "K"), []string{"*", "event", "event/CLICK", "event/CLICK/{k}", "event/CLICK/K"}},
		{text(t, "你好"), []string{"*", "text", "~你", "text/你好"}},
		{info(t, "authorized"), []string{"*", "info", "info/authorized"}},
	} {
		mux, got := NewMux(), ""
		for _, p := range c.patterns {
			f := func(context.Context, *Request) (Reply, error) { got = p; return Reply{}, nil }
			if expr, ok := strings.CutPrefix(p, "~"); ok {
				mux.HandleRegexp(expr, f)
			} else {
				mux.HandleFunc(p, f)
			}
			if _, err := mux.Answer(t.Context(), c.r); err != nil || got != p {
				t.Errorf("with %s registered, %s went to %s", p, c.r.Kind(), got)
			}
		}
	}
}

func TestMuxRefuses(t *testing.T) {
	f := func(context.Context, *Request) (Reply, error) { return Reply{}, nil }
	panics := func(register func(m *Mux)) (message string) {
		defer func() {
			if p := recover(); p != nil {
				message = fmt.Sprint(p)
			}
		}()
		register(NewMux())
		return ""
	}
	for _, p := range []string{"", "/", "text/", "text/ \u3000", "event/", "event//K", "event/CLICK/", "/text", "image/x", "info/"} {
		if panics(func(m *Mux) { m.HandleFunc(p, f) }) == "" {
			t.Errorf("pattern %q is taken", p)
		}
	}
	if panics(func(m *Mux) { m.HandleRegexp("(", f) }) == "" {
		t.Error("a broken expression is taken")
	}
	type own struct{ TextMessage }
	if panics(func(m *Mux) { On(m, func(context.Context, *own) (Reply, error) { return Reply{}, nil }) }) == "" {
		t.Error("On takes a type that is no message of WeChat's")
	}
	onText := func(m *Mux) { On(m, func(context.Context, *TextMessage) (Reply, error) { return Reply{}, nil }) }
	for name, twice := range map[string]func(m *Mux){
		"a pattern":             func(m *Mux) { m.HandleFunc("text", f); m.HandleFunc("text", f) },
		"Handle and HandleFunc": func(m *Mux) { m.Handle("text", HandlerFunc(f)); m.HandleFunc("text", f) },
		"a folded text":         func(m *Mux) { m.HandleFunc("text/Help", f); m.HandleFunc("text/ｈｅｌｐ", f) },
		"an event's case":       func(m *Mux) { m.HandleFunc("event/click", f); m.HandleFunc("event/CLICK", f) },
		"two wildcards":         func(m *Mux) { m.HandleFunc("event/SCAN/{a}", f); m.HandleFunc("event/SCAN/{b}", f) },
		"On and a pattern":      func(m *Mux) { onText(m); m.HandleFunc("text", f) },
		"a pattern and On":      func(m *Mux) { m.HandleFunc("text", f); onText(m) },
		"an expression":         func(m *Mux) { m.HandleRegexp("x", f); m.HandleRegexp("x", f) },
	} {
		message := panics(twice)
		if strings.Count(message, "mux_test.go:") != 2 {
			t.Errorf("%s twice: the panic does not name both places: %q", name, message)
		}
	}
}

// TestMiddleware: n middlewares on m routes, each route with those that were in
// use when it was registered, in order, and none of another route.
func TestMiddleware(t *testing.T) {
	const n, perMiddleware = 8, 3
	mux := NewMux()
	var trace []string
	mw := func(name string) Middleware {
		return func(next Handler) Handler {
			return HandlerFunc(func(ctx context.Context, r *Request) (Reply, error) {
				trace = append(trace, name)
				return next.Answer(ctx, r)
			})
		}
	}
	want := map[string][]string{}
	var used []string
	for i := range n {
		for j := range perMiddleware {
			key := fmt.Sprintf("K%d-%d", i, j)
			want[key] = append(slices.Clone(used), "handler "+key)
			mux.HandleFunc("event/CLICK/"+key, func(_ context.Context, r *Request) (Reply, error) {
				trace = append(trace, "handler "+key)
				return Reply{}, nil
			})
		}
		if i%2 == 0 {
			mux.Use(mw(fmt.Sprint(i)))
			used = append(used, fmt.Sprint(i))
		} else {
			mux.Use(mw(fmt.Sprint(i, "a")), mw(fmt.Sprint(i, "b")))
			used = append(used, fmt.Sprint(i, "a"), fmt.Sprint(i, "b"))
		}
	}
	for key, names := range want {
		trace = nil
		if _, err := mux.Answer(t.Context(), event(t, "CLICK", key)); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(trace, names) {
			t.Errorf("%s ran %v, want %v", key, trace, names)
		}
	}
}

// on checks that On gets a delivery of each of the names.
func on[T Message](t *testing.T, covered map[string]bool, deliver func(testing.TB, string) *Request, names ...string) {
	t.Helper()
	mux, got := NewMux(), 0
	On(mux, func(_ context.Context, m T) (Reply, error) { got++; return Reply{}, nil })
	for i, name := range names {
		if _, err := mux.Answer(t.Context(), deliver(t, name)); err != nil || got != i+1 {
			t.Errorf("On[%T] does not get %s", *new(T), name)
		}
		if covered[name] {
			t.Errorf("%s is served twice", name)
		}
		covered[name] = true
	}
	if _, err := mux.Answer(t.Context(), deliver(t, "else")); err != nil || got != len(names) {
		t.Errorf("On[%T] gets what is not its own", *new(T))
	}
}

// TestOn goes through every exported message type.
func TestOn(t *testing.T) {
	covered := map[string]bool{}
	msg := func(t testing.TB, name string) *Request { return message(t, name, "") }
	evt := func(t testing.TB, name string) *Request { return event(t, name, "") }
	on[*TextMessage](t, covered, msg, "text")
	on[*ImageMessage](t, covered, msg, "image")
	on[*VoiceMessage](t, covered, msg, "voice")
	on[*VideoMessage](t, covered, msg, "video", "shortvideo")
	on[*LocationMessage](t, covered, msg, "location")
	on[*LinkMessage](t, covered, msg, "link")
	on[*FileMessage](t, covered, msg, "file")
	on[*SubscribeEvent](t, covered, evt, "subscribe")
	on[*UnsubscribeEvent](t, covered, evt, "unsubscribe")
	on[*ScanEvent](t, covered, evt, "SCAN")
	on[*LocationEvent](t, covered, evt, "LOCATION")
	on[*ClickEvent](t, covered, evt, "CLICK")
	on[*ViewEvent](t, covered, evt, "VIEW")
	on[*ViewMiniProgramEvent](t, covered, evt, "view_miniprogram")
	on[*ScanCodeEvent](t, covered, evt, "scancode_push", "scancode_waitmsg")
	on[*PicEvent](t, covered, evt, "pic_sysphoto", "pic_photo_or_album", "pic_weixin")
	on[*LocationSelectEvent](t, covered, evt, "location_select")
	on[*MassSendJobFinishEvent](t, covered, evt, "MASSSENDJOBFINISH")
	on[*TemplateSendJobFinishEvent](t, covered, evt, "TEMPLATESENDJOBFINISH")
	on[*PublishJobFinishEvent](t, covered, evt, "PUBLISHJOBFINISH", "FREEPUBLISHJOBFINISH")
	on[*SubscribeMsgPopupEvent](t, covered, evt, "subscribe_msg_popup_event")
	on[*SubscribeMsgChangeEvent](t, covered, evt, "subscribe_msg_change_event")
	on[*SubscribeMsgSentEvent](t, covered, evt, "subscribe_msg_sent_event")
	on[*KfSessionEvent](t, covered, evt, "kf_create_session", "kf_close_session")
	on[*KfSwitchSessionEvent](t, covered, evt, "kf_switch_session")
	on[*CertificationEvent](t, covered, evt, "qualification_verify_success", "qualification_verify_fail",
		"naming_verify_success", "naming_verify_fail", "annual_renew", "verify_expired")
	on[*UserDataEvent](t, covered, evt, "user_info_modified", "user_authorization_revoke", "user_authorization_cancellation")
	on[*DebugEvent](t, covered, evt, "debug_demo")
	on[*MediaCheckEvent](t, covered, evt, "wxa_media_check")
	on[*CardCheckEvent](t, covered, evt, "card_pass_check", "card_not_pass_check")
	on[*UserGetCardEvent](t, covered, evt, "user_get_card")
	on[*UserGiftingCardEvent](t, covered, evt, "user_gifting_card")
	on[*UserConsumeCardEvent](t, covered, evt, "user_consume_card")
	on[*UserPayFromPayCellEvent](t, covered, evt, "user_pay_from_pay_cell")
	on[*UserCardEvent](t, covered, evt, "user_del_card", "user_view_card", "user_enter_session_from_card", "submit_membercard_user_info")
	on[*UpdateMemberCardEvent](t, covered, evt, "update_member_card")
	on[*CardSkuRemindEvent](t, covered, evt, "card_sku_remind")
	on[*CardPayOrderEvent](t, covered, evt, "card_pay_order")
	on[*CardMerchantCheckEvent](t, covered, evt, "card_merchant_check_result")
	on[*GiftCardEvent](t, covered, evt, "giftcard_pay_done", "giftcard_send_to_friend", "giftcard_user_accept")
	on[*UserAuthorizeInvoiceEvent](t, covered, evt, "user_authorize_invoice")
	on[*UpdateInvoiceStatusEvent](t, covered, evt, "update_invoice_status")
	on[*CloudInvoiceResultEvent](t, covered, evt, "cloud_invoice_invoiceresult_event")
	on[*SubmitInvoiceTitleEvent](t, covered, evt, "submit_invoice_title")
	on[*PoiCheckEvent](t, covered, evt, "poi_check_notify")
	on[*MapPoiAuditEvent](t, covered, evt, "create_map_poi_audit_info")
	on[*WifiConnectedEvent](t, covered, evt, "WifiConnected")
	on[*ShakeEvent](t, covered, evt, "ShakearoundUserShake")
	on[*ScanProductEvent](t, covered, evt, "user_scan_product", "user_scan_product_enter_session", "user_scan_product_async", "user_scan_product_verify_action")
	on[*MerchantOrderEvent](t, covered, evt, "merchant_order")
	on[*GuideScanEvent](t, covered, evt, "guide_qrcode_scan_event")
	on[*GuideInviteEvent](t, covered, evt, "guide_invite_result_event")
	on[*ComponentVerifyTicket](t, covered, info, "component_verify_ticket")
	on[*Authorized](t, covered, info, "authorized", "updateauthorized")
	on[*Unauthorized](t, covered, info, "unauthorized")
	on[*FastRegister](t, covered, info, "notify_third_fasteregister", "notify_third_fastregisterbetaapp", "notify_third_fastverifybetaapp")
	for _, types := range [][]*messageType{messageTypes, eventTypes, infoTypes} {
		for _, mt := range types {
			for _, name := range mt.names {
				if !covered[name] {
					t.Errorf("%s is not tried", name)
				}
			}
		}
	}
}
