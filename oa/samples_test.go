package oa

import (
	"encoding/xml"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// unknownSamples are the types that reference §5 and §6 say to leave alone.
var unknownSamples = map[string]bool{"device_text": true}

// TestSamples parses every sample of reference §5 and §6, and compares it with
// what encoding/xml makes of the same struct, blanks around strings cut.
func TestSamples(t *testing.T) {
	samples := loadReference(t).section("5", "6")
	if len(samples) < 58 {
		t.Fatalf("the reference has %d samples in §5 and §6", len(samples))
	}
	for _, s := range samples {
		m, err := ParseMessage([]byte(s.xml))
		if err != nil {
			t.Errorf("§%s %s: %v", s.section, s.title, err)
			continue
		}
		name := kindOf(m)
		t.Run(s.section+" "+name, func(t *testing.T) {
			switch m.(type) {
			case *UnknownMessage, *UnknownEvent, *UnknownInfo:
				if !unknownSamples[name] {
					t.Fatalf("%s is not known", name)
				}
				return
			}
			want := reflect.New(reflect.TypeOf(m).Elem())
			if err := xml.Unmarshal([]byte(s.xml), want.Interface()); err != nil {
				t.Fatal(err)
			}
			trimStrings(want.Elem())
			if d, ok := reflect.TypeAssert[interface{ derive() }](want); ok {
				d.derive()
			}
			if diff := cmp.Diff(want.Interface(), m); diff != "" {
				t.Errorf("encoding/xml and ParseMessage differ (-want +got):\n%s", diff)
			}
		})
	}
}

func trimStrings(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(strings.TrimSpace(v.String()))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name != "Content" {
				trimStrings(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			trimStrings(v.Index(i))
		}
	}
}

// TestSampleFields spells out what the samples say, once for each kind that
// has something to get wrong.
func TestSampleFields(t *testing.T) {
	head := func(msgType string) Header {
		return Header{"gh_0123456789ab", "oAbCdEfGhIjKlMnOpQrStUvWxYz1", 1714112445, msgType}
	}
	event := func(name string) EventHeader { return EventHeader{head("event"), name} }
	want := map[string][]Message{
		"5.1": {
			&TextMessage{Header: head("text"), Content: "hello", Ident: Ident{24537625000000001, "2247483651", 1}},
			&TextMessage{Header: head("text"), Content: "满意", Ident: Ident{MsgID: 24537625000000002}, MenuID: "101"},
		},
		"5.2": {&ImageMessage{Header: head("image"), PicURL: "http://mmbiz.qpic.cn/mmbiz_jpg/abc/0",
			MediaID: "media_id_image", Ident: Ident{MsgID: 24537625000000003}}},
		"5.3": {&VoiceMessage{Header: head("voice"), MediaID: "media_id_voice", Format: "amr",
			Ident: Ident{MsgID: 24537625000000004}, MediaID16K: "media_id_voice_16k"}},
		"5.6": {&LocationMessage{Header: head("location"), Latitude: 23.134521, Longitude: 113.358803, Scale: 20,
			Label: "广州市海珠区", Ident: Ident{MsgID: 24537625000000007}}},
		"5.7": {&LinkMessage{Header: head("link"), Title: "A page", Description: "What it is about",
			URL: "https://example.com/p?id=1&x=2", Ident: Ident{MsgID: 24537625000000008}}},
		"5.8": {&FileMessage{Header: head("file"), Title: "report.pdf", FileKey: "AwAAAAAAAABF4n55",
			FileMD5: "07bee1c012c5ef718514701d42fae10c", FileTotalLen: 10203788, Ident: Ident{MsgID: 6520106268131360945}}},
		"6.1": {
			&SubscribeEvent{EventHeader: event("subscribe")},
			&SubscribeEvent{EventHeader: event("subscribe"), EventKey: "qrscene_123123", Ticket: "gQH47joAAAAAAAAAASxodHRwOi8v", Scene: "123123"},
			&SubscribeEvent{EventHeader: event("subscribe"), EventKey: "last_trade_no_4200001000202001010000000000", TradeNo: "4200001000202001010000000000"},
			&UnsubscribeEvent{EventHeader: event("unsubscribe")},
		},
		"6.2": {&ScanEvent{EventHeader: event("SCAN"), Scene: "123123", Ticket: "gQH47joAAAAAAAAAASxodHRwOi8v"}},
		"6.3": {&LocationEvent{EventHeader: event("LOCATION"), Latitude: 23.137466, Longitude: 113.352425, Precision: 119.385040}},
		"6.6": {&TemplateSendJobFinishEvent{EventHeader: event("TEMPLATESENDJOBFINISH"), MsgID: 200163836, Status: "failed:user block"}},
	}
	for section, messages := range want {
		samples := loadReference(t).section(section)
		if len(samples) != len(messages) {
			t.Errorf("§%s has %d samples, want %d", section, len(samples), len(messages))
			continue
		}
		for i, s := range samples {
			got, err := ParseMessage([]byte(s.xml))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(messages[i], got); diff != "" {
				t.Errorf("§%s, sample %d (-want +got):\n%s", section, i+1, diff)
			}
		}
	}
}

// TestSampleLists looks into the lists of the job results.
func TestSampleLists(t *testing.T) {
	parse := func(section string, i int) Message {
		t.Helper()
		m, err := ParseMessage([]byte(loadReference(t).section(section)[i].xml))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	mass := parse("6.5", 0).(*MassSendJobFinishEvent)
	if mass.Copyright.CheckState != 2 || len(mass.Copyright.Results.Items) != 1 || mass.Copyright.Results.Items[0].OriginalArticleURL != "https://mp.weixin.qq.com/s/x" ||
		len(mass.Articles.Results.Items) != 1 || mass.Articles.Results.Items[0].URL != "https://mp.weixin.qq.com/s/y" || mass.ErrorCount != 5 {
		t.Errorf("mass send: %+v", mass)
	}
	if p := parse("6.7", 0).(*PublishJobFinishEvent).Result; p.PublishID != "2247503051" || len(p.Articles.Items) != 1 || p.Articles.Items[0].Index != 1 {
		t.Errorf("publish: %+v", p)
	}
	if p := parse("6.7", 1).(*PublishJobFinishEvent).Result; p.Status != 2 || !reflect.DeepEqual(p.FailIndex, []int{1, 2}) {
		t.Errorf("failed publish: %+v", p)
	}
	if l := parse("6.8", 0).(*SubscribeMsgPopupEvent).Popup.List; len(l) != 2 || l[1].Status != "reject" {
		t.Errorf("popup: %+v", l)
	}
	if l := parse("6.8", 1).(*SubscribeMsgChangeEvent).Change.List; len(l) != 1 || l[0].Status != "reject" {
		t.Errorf("change: %+v", l)
	}
	if l := parse("6.8", 2).(*SubscribeMsgSentEvent).Sent.List; len(l) != 1 || l[0].MsgID != 1700827132819554304 {
		t.Errorf("sent: %+v", l)
	}
	var pics []*PicEvent
	for _, s := range loadReference(t).section("6.4") {
		if m, err := ParseMessage([]byte(s.xml)); err != nil {
			t.Fatal(err)
		} else if p, ok := m.(*PicEvent); ok {
			pics = append(pics, p)
		}
	}
	if len(pics) != 3 || pics[1].Pics.Count != 2 || len(pics[1].Pics.List.Items) != 2 || pics[1].Pics.List.Items[0].MD5 != "5a75aaca956d97be686719218f275c6b" {
		t.Errorf("pictures: %+v", pics)
	}
}

// TestTables delivers each field that the tables of reference §6.14 and §6.15
// name: it must arrive in the type of its event.
func TestTables(t *testing.T) {
	_, addOns, _ := strings.Cut(mustRead(t), "### 6.14")
	addOns, _, _ = strings.Cut(addOns, "### 6.16")
	row := regexp.MustCompile("(?m)^\\| (`[a-zA-Z_`, 	]+)(?: \\([^|]*\\))? \\| ([^|]*) \\|")
	word := regexp.MustCompile("`(\\w+)`")
	values := map[string]bool{"succ": true, "fail": true, "AroundBeacon": true}
	events := 0
	for _, r := range row.FindAllStringSubmatch(addOns, -1) {
		for _, e := range word.FindAllStringSubmatch(r[1], -1) {
			events++
			nested := ""
			own, _, _ := strings.Cut(r[2], "(the same event name") // the fields of submit_invoice_title
			fields, inner, _ := strings.Cut(own, "{")
			if inner != "" {
				nested = "ChosenBeacon"
				fields, _, _ = strings.Cut(inner, "}")
			}
			deliver := func(extra string) Message {
				t.Helper()
				m, err := ParseMessage([]byte("<xml><ToUserName>gh</ToUserName><FromUserName>o</FromUserName><MsgType>event</MsgType><Event>" + e[1] + "</Event>" + extra + "</xml>"))
				if err != nil {
					t.Fatal(err)
				}
				return m
			}
			without := deliver("")
			if _, unknown := without.(*UnknownEvent); unknown {
				t.Errorf("%s is not known", e[1])
				continue
			}
			for _, f := range word.FindAllStringSubmatch(fields, -1) {
				if values[f[1]] {
					continue
				}
				xml := "<" + f[1] + ">7</" + f[1] + ">"
				if nested != "" {
					xml = "<" + nested + ">" + xml + "</" + nested + ">"
				}
				if cmp.Equal(without, deliver(xml)) {
					t.Errorf("%s: %T has no field for %s", e[1], without, f[1])
				}
			}
		}
	}
	if events < 25 {
		t.Errorf("read only %d events of the tables", events)
	}
}

// marshalExceptions are the elements that Marshal writes in another form than
// the samples: it has strings in CDATA without blanks, and shortest numbers.
var marshalExceptions = map[string][]string{
	"text":                            {"MsgDataId", "bizmsgmenuid"},
	"device_text":                     {"CreateTime", "SessionID", "MsgId"},
	"event/LOCATION":                  {"Precision"},
	"event/PUBLISHJOBFINISH":          {"publish_id"},
	"event/subscribe_msg_popup_event": {"PopupScene"},
	"event/user_get_card":             {"CardId", "UserCardCode", "FriendUserName", "OuterId", "OldUserCardCode", "OuterStr", "UnionId"},
	"info/notify_third_fasteregister": {"appid", "auth_code", "msg"},
}

// TestMarshal writes every sample back: the same bytes, the exceptions and line
// ends between elements aside, and the same message when it is read again.
func TestMarshal(t *testing.T) {
	for _, s := range loadReference(t).section("5", "6") {
		m, err := ParseMessage([]byte(s.xml))
		if err != nil {
			t.Fatal(err)
		}
		b, err := Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		plain := func(xml string) string {
			xml = strings.ReplaceAll(xml, ">\n<", "><")
			for _, name := range marshalExceptions[kindOf(m)] {
				form := regexp.MustCompile(`<` + name + `>\s*(?:<!\[CDATA\[)?(.*?)0*(?:\]\]>)?\s*</` + name + `>`)
				xml = form.ReplaceAllString(xml, "<"+name+">$1</"+name+">")
			}
			return xml
		}
		if diff := cmp.Diff(plain(s.xml), plain(string(b))); diff != "" {
			t.Errorf("§%s %s (-want +got):\n%s", s.section, kindOf(m), diff)
		}
		again, err := ParseMessage(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, again); diff != "" {
			t.Errorf("§%s %s: another message after Marshal:\n%s", s.section, kindOf(m), diff)
		}
	}
}

// TestReplySamples produces every sample of reference §7 byte for byte.
func TestReplySamples(t *testing.T) {
	r := &Request{Message: &TextMessage{Header: Header{ToUserName: "gh_0123456789ab", FromUserName: "oAbCdEfGhIjKlMnOpQrStUvWxYz1"}}}
	replies := map[string][]func() (Reply, error){
		"7.2": {func() (Reply, error) {
			return Text("第一行\n<a href=\"https://example.com/?a=1&b=2\">link</a>\n" +
				`<a href="weixin://bizmsgmenu?msgmenucontent=%E6%9F%A5%E8%AF%A2&msgmenuid=101">查询</a>`)
		}},
		"7.3": {func() (Reply, error) { return Image("media_id") }},
		"7.4": {func() (Reply, error) { return Voice("media_id") }},
		"7.5": {func() (Reply, error) {
			return Video(VideoContent{MediaID: "media_id", Title: "title", Description: "description"})
		}},
		"7.6": {func() (Reply, error) {
			return Music(MusicContent{Title: "title", Description: "description", URL: "https://example.com/a.mp3",
				HQURL: "https://example.com/a-hq.mp3", ThumbMediaID: "media_id"})
		}},
		"7.7": {func() (Reply, error) {
			return News(Article{Title: "title", Description: "description", PicURL: "https://example.com/p.jpg", URL: "https://example.com/a"})
		}},
		"7.8": {func() (Reply, error) { return Transfer("") }, func() (Reply, error) { return Transfer("test1@test") }},
		"7.9": {TransferAI},
	}
	count := 0
	for section, makers := range replies {
		samples := loadReference(t).section(section)
		if len(samples) != len(makers) {
			t.Errorf("§%s has %d samples, want %d", section, len(samples), len(makers))
			continue
		}
		for i, s := range samples {
			count++
			reply, err := makers[i]()
			if err != nil {
				t.Fatal(err)
			}
			got := r.Encode(reply, time.Unix(1714112445, 0))
			if diff := cmp.Diff(s.xml, string(got)); diff != "" {
				t.Errorf("§%s (-want +got):\n%s", section, diff)
			}
			if again := r.Encode(Encoded(got), time.Unix(0, 0)); string(again) != string(got) {
				t.Errorf("§%s: Encoded gives other bytes: %s", section, again)
			}
		}
	}
	if all := len(loadReference(t).section("7")); count != all {
		t.Errorf("produced %d of the %d samples of §7", count, all)
	}
}
