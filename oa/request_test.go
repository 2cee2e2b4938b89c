package oa

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func requestOf(t testing.TB, body string) *Request {
	t.Helper()
	m, err := ParseMessage([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return &Request{Message: m, body: clean([]byte(body))}
}

// TestKey: one key for all deliveries of a message, another for every other message.
func TestKey(t *testing.T) {
	head := func(from, time, msgType string) string {
		return "<ToUserName>gh</ToUserName><FromUserName>" + from + "</FromUserName><CreateTime>" + time + "</CreateTime><MsgType>" + msgType + "</MsgType>"
	}
	event := func(from, time, name, rest string) string {
		return "<xml>" + head(from, time, "event") + "<Event>" + name + "</Event>" + rest + "</xml>"
	}
	text := func(from, time, content, id string) string {
		return "<xml>" + head(from, time, "text") + "<Content><![CDATA[" + content + "]]></Content><MsgId>" + id + "</MsgId></xml>"
	}
	different := []string{
		text("a", "1", "x", "1"), text("a", "1", "x", "2"), text("b", "1", "x", "1"),
		text("a", "1", "x", ""), text("a", "1", "y", ""), text("a", "2", "x", ""), // without an id
		text("a", "1", "x", "18446744073709551616"), text("a", "1", "x", "18446744073709551617"), // no int64
		strings.Replace(text("a", "1", "x", "1"), "<ToUserName>gh", "<ToUserName>gh2", 1),
		event("a", "1", "CLICK", "<EventKey>k</EventKey>"), event("a", "1", "CLICK", "<EventKey>l</EventKey>"),
		event("a", "2", "CLICK", "<EventKey>k</EventKey>"), event("b", "1", "CLICK", "<EventKey>k</EventKey>"),
		event("a", "1", "subscribe", ""), event("a", "1", "LOCATION", "<Latitude>1</Latitude>"), event("a", "1", "LOCATION", "<Latitude>2</Latitude>"),
		event("a", "1", "MASSSENDJOBFINISH", "<MsgID>1</MsgID>"), event("a", "1", "TEMPLATESENDJOBFINISH", "<MsgID>1</MsgID>"),
		event("a", "1", "TEMPLATESENDJOBFINISH", "<MsgID>2</MsgID>"),
		event("a", "1", "PUBLISHJOBFINISH", "<PublishEventInfo><publish_id>1</publish_id><publish_status>0</publish_status></PublishEventInfo>"),
		event("a", "9", "PUBLISHJOBFINISH", "<PublishEventInfo><publish_id>1</publish_id><publish_status>5</publish_status></PublishEventInfo>"), // deleted later
		event("a", "1", "brand_new", "<L><A>1</A><B>2</B></L>"), event("a", "1", "brand_new", "<L><A>1</A></L><B>2</B>"), event("a", "1", "brand_new", "<L><A>12</A></L>"),
		"<xml><AppId>c</AppId><CreateTime>1</CreateTime><InfoType>authorized</InfoType><AuthorizerAppid>x</AuthorizerAppid></xml>",
		"<xml><AppId>c</AppId><CreateTime>1</CreateTime><InfoType>authorized</InfoType><AuthorizerAppid>y</AuthorizerAppid></xml>",
		"<xml><AppId>c</AppId><CreateTime>1</CreateTime><InfoType>unauthorized</InfoType><AuthorizerAppid>x</AuthorizerAppid></xml>",
	}
	seen := map[string]string{}
	for _, body := range different {
		key := requestOf(t, body).Key()
		if other, ok := seen[key]; ok {
			t.Errorf("one key for\n%s\n%s", other, body)
		}
		seen[key] = body
		if again := requestOf(t, body).Key(); again != key {
			t.Errorf("two keys for %s", body)
		}
		// In compat mode read as plain, the envelope of a repeat may differ (reference §4.1).
		for _, encrypt := range []string{"AAAA", "BBBB"} {
			sealed := strings.TrimSuffix(body, "</xml>") + "<Encrypt><![CDATA[" + encrypt + "]]></Encrypt></xml>"
			if requestOf(t, sealed).Key() != key {
				t.Errorf("the envelope changes the key of %s", body)
			}
		}
	}
}

func TestRequestElementsAndDecode(t *testing.T) {
	r := requestOf(t, `<xml><ToUserName>gh</ToUserName><FromUserName>o</FromUserName><MsgType>text</MsgType>`+
		`<Content><![CDATA[hi]]></Content><BusinessId>7</BusinessId><BusinessId>8</BusinessId><L><Ok>true</Ok><F>1.5</F></L></xml>`)
	if e, ok := Find(r.Elements(), "BusinessId"); !ok || e.Text != "7" {
		t.Errorf("BusinessId: %+v", e)
	}
	if _, ok := Find(r.Elements(), "businessid"); ok {
		t.Error("names are matched without case")
	}
	type list struct {
		Ok bool
		F  float64
	}
	type own struct {
		Header
		Content    string
		BusinessID uint8 `xml:"BusinessId"`
		L          list
		Skipped    string `xml:"-"`
		hidden     string
	}
	got := own{Skipped: "as it was", hidden: "too"}
	if err := r.Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := own{Header: Header{ToUserName: "gh", FromUserName: "o", MsgType: "text"}, Content: "hi", BusinessID: 7, L: list{true, 1.5}, Skipped: "as it was", hidden: "too"}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(own{})); diff != "" {
		t.Error(diff)
	}
	var all struct {
		IDs []int `xml:"BusinessId"`
	}
	if err := r.Decode(&all); err != nil || !slices.Equal(all.IDs, []int{7, 8}) {
		t.Errorf("repeated elements: %v, %v", all.IDs, err)
	}
	type loop struct{ Next []loop }
	for name, v := range map[string]any{
		"nil": nil, "struct": own{}, "nil pointer": (*own)(nil), "pointer to int": new(int),
		"map": &struct{ M map[string]int }{}, "channel": &struct{ C chan int }{}, "endless": &loop{},
	} {
		if err := r.Decode(v); err == nil {
			t.Errorf("Decode(%s) is taken", name)
		}
	}
	if _, err := Marshal(nil); err == nil {
		t.Error("Marshal(nil) is taken")
	}
}

func TestTextOf(t *testing.T) {
	for _, c := range []struct {
		m    Message
		want string
	}{
		{&TextMessage{Content: " hi "}, " hi "}, {&VoiceMessage{Recognition: "你好"}, "你好"}, {&ImageMessage{}, ""}, {&SubscribeEvent{}, ""},
	} {
		if got := (&Request{Message: c.m}).Text(); got != c.want {
			t.Errorf("%T: %q, want %q", c.m, got, c.want)
		}
	}
}

func TestIdents(t *testing.T) {
	for _, c := range []struct {
		m        Message
		id       int64
		eventKey string
	}{
		{&TextMessage{Ident: Ident{MsgID: 7}}, 7, ""}, {&UnknownMessage{Ident: Ident{MsgID: 8}}, 8, ""},
		{&TemplateSendJobFinishEvent{MsgID: 9}, 0, ""}, {&ClickEvent{Key: "k"}, 0, "k"}, {&SubscribeEvent{EventKey: "qrscene_1", Scene: "1"}, 0, "1"},
		{&UnknownEvent{EventKey: "u"}, 0, "u"}, {&ComponentVerifyTicket{}, 0, ""},
	} {
		r := &Request{Message: c.m}
		if r.MsgID() != c.id || r.EventKey() != c.eventKey {
			t.Errorf("%T: MsgID %d, EventKey %q", c.m, r.MsgID(), r.EventKey())
		}
	}
}
