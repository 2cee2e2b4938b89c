package robot

import (
	"encoding/xml"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/wenzihq/wenzi/internal/bot"
	"github.com/wenzihq/wenzi/oa"
)

// load makes the robot of an account whose bot.yaml goes on with these lines.
func load(t testing.TB, lines string) *Robot {
	t.Helper()
	b, err := bot.Parse("bot.yaml", []byte("accounts:\n  - path: test\n    token: token\n"+lines), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(b.Accounts[0], Config{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// delivery parses a message of these elements.
func delivery(t testing.TB, msgType, elements string) *oa.Request {
	t.Helper()
	m, err := oa.ParseMessage([]byte("<xml><ToUserName>gh_1</ToUserName><FromUserName>oA</FromUserName>" +
		"<CreateTime>1714112445</CreateTime><MsgType>" + msgType + "</MsgType>" + elements + "</xml>"))
	if err != nil {
		t.Fatal(err)
	}
	return &oa.Request{Message: m}
}

func text(t testing.TB, content string) *oa.Request {
	return delivery(t, "text", "<Content><![CDATA["+content+"]]></Content><MsgId>1</MsgId>")
}

func event(t testing.TB, name, key string) *oa.Request {
	return delivery(t, "event", "<Event>"+name+"</Event><EventKey><![CDATA["+key+"]]></EventKey>")
}

// show writes an answer as "rule 1: text Content=…", from the bytes WeChat would get.
func show(t testing.TB, req *oa.Request, a Answer) string {
	t.Helper()
	body := req.Encode(a.Reply, time.Unix(1714112446, 0))
	if len(body) == 0 {
		return a.By + ": success"
	}
	if err := xml.Unmarshal(body, new(struct{})); err != nil {
		t.Fatalf("%v in the reply\n%s", err, body)
	}
	elements, err := oa.ParseElements(body)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	var walk func([]oa.Element)
	walk = func(elements []oa.Element) {
		for _, e := range elements {
			if e.Children != nil {
				walk(e.Children)
			} else {
				out = append(out, e.Name+"="+e.Text)
			}
		}
	}
	walk(elements[4:]) // behind the four that every reply has
	return a.By + ": " + strings.Join(append([]string{elements[3].Text}, out...), " ")
}

func ask(t testing.TB, r *Robot, req *oa.Request) string {
	t.Helper()
	a, err := r.Answer(req)
	if err != nil {
		t.Fatal(err)
	}
	return show(t, req, a)
}

func check(t *testing.T, what, got, want string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestDefaultRobot(t *testing.T) {
	r, err := New(bot.Account{Name: DefaultName}, Config{}) // as for a guest
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("雯子", 900) // 5 400 bytes
	for _, c := range []struct {
		name string
		req  *oa.Request
		want string
	}{
		{"subscribe", event(t, "subscribe", ""), "greeting: text Content=Hi~ 终于等到你"},
		{"subscribe by a QR code", event(t, "subscribe", "qrscene_1"), "greeting: text Content=Hi~ 终于等到你"},
		{"unsubscribe", event(t, "unsubscribe", ""), "none: success"},
		{"scan", event(t, "SCAN", "1"), "none: success"},
		{"click", event(t, "CLICK", "A"), "fallback: text Content=" + noClick},
		{"view", event(t, "VIEW", "https://example.com/"), "none: success"},
		{"location event", event(t, "LOCATION", ""), "none: success"},
		{"unknown event", event(t, "new_thing", "A"), "none: success"},
		{"text", text(t, " 你好 <a>&amp; 😀 "), "echo: text Content= 你好 <a>&amp; 😀 "},
		{"end of CDATA", text(t, "a]]>b]]>"), "echo: text Content=a]]>b]]>"},
		{"long text", text(t, long), "echo: text Content=" + long[:2046]},
		{"long line of one byte each", text(t, strings.Repeat("x", 5000)), "echo: text Content=" + strings.Repeat("x", 2047)},
		{"blank text", text(t, " \n　 "), "echo: text Content=" + cannotRead},
		{"control characters", text(t, "\x01\x02\uFFFE"), "echo: text Content=" + cannotRead},
		{"control characters inside", text(t, "a\x00b\x1f"), "echo: text Content=ab"},
		{"nothing", text(t, ""), "echo: text Content=" + cannotRead},
		{"sticker", text(t, "【收到不支持的消息类型，暂无法显示】"), "echo: text Content=" + cannotRead},
		{"card, abroad", text(t, "[Unsupported Message]"), "echo: text Content=" + cannotRead},
		{"image", delivery(t, "image", "<PicUrl>http://p</PicUrl><MediaId>m1</MediaId>"), "echo: image MediaId=m1"},
		{"image without its id", delivery(t, "image", "<PicUrl>http://p</PicUrl>"), "echo: text Content=" + cannotRead},
		{"voice", delivery(t, "voice", "<MediaId>v</MediaId><Recognition></Recognition>"), "echo: text Content=" + cannotHear},
		{"recognised voice", delivery(t, "voice", "<MediaId>v</MediaId><Recognition>你好</Recognition>"), "echo: text Content=你好"},
		{"video", delivery(t, "video", "<MediaId>v</MediaId>"), "echo: text Content=" + cannotWatch},
		{"short video", delivery(t, "shortvideo", "<MediaId>v</MediaId>"), "echo: text Content=" + cannotWatch},
		{"location", delivery(t, "location", "<Label> 海淀区 </Label>"), "echo: text Content=收到你的位置：海淀区"},
		{"location without a name", delivery(t, "location", "<Label></Label>"), "echo: text Content=收到你的位置"},
		{"link", delivery(t, "link", "<Title>题</Title><Url>https://example.com/</Url>"), "echo: text Content=收到你分享的链接：题"},
		{"link without a title", delivery(t, "link", ""), "echo: text Content=收到你分享的链接"},
		{"link with a long title", delivery(t, "link", "<Title>"+long+"</Title>"), "echo: text Content=收到你分享的链接：" + long[:2019]},
		{"file", delivery(t, "file", "<Title>a.pdf</Title>"), "echo: text Content=收到文件：a.pdf"},
		{"unknown type", delivery(t, "hologram", ""), "echo: text Content=" + cannotRead},
	} {
		check(t, c.name, ask(t, r, c.req), c.want)
	}
}

func TestTicketIsAcknowledged(t *testing.T) {
	m, err := oa.ParseMessage([]byte("<xml><AppId>wx1</AppId><CreateTime>1</CreateTime><InfoType>component_verify_ticket</InfoType></xml>"))
	if err != nil {
		t.Fatal(err)
	}
	req := &oa.Request{Message: m}
	r := load(t, "    fallback: {text: 在}\n")
	check(t, "answer", ask(t, r, req), "none: success")
	check(t, "sorry", show(t, req, r.Sorry(req)), "none: success")
}

func TestGreeting(t *testing.T) {
	for _, c := range []struct{ greeting, want string }{
		{"欢迎", "greeting: text Content=欢迎"},
		{"{image: m}", "greeting: image MediaId=m"},
		{"{news: {title: 题, description: 述, pic_url: https://p.example/1.jpg, url: https://example.com/?a=1&b=2}}",
			"greeting: news ArticleCount=1 Title=题 Description=述 PicUrl=https://p.example/1.jpg Url=https://example.com/?a=1&b=2"},
	} {
		r := load(t, "    greeting: "+c.greeting+"\n    rules:\n      - event: subscribe/42\n        reply: 四十二\n")
		check(t, "subscribe", ask(t, r, event(t, "subscribe", "")), c.want)
		check(t, "another scene", ask(t, r, event(t, "subscribe", "qrscene_421")), c.want)
		check(t, "its scene", ask(t, r, event(t, "subscribe", "qrscene_42")), "rule 1: text Content=四十二")
	}
}

func TestRules(t *testing.T) {
	r := load(t, `
    fallback: none
    rules:
      - text: [帮助, "Help！"]
        reply: 一
      - text: 帮助
        reply: 二
      - contains: [价格, 多少钱, USD]
        reply: {image: m}
      - regexp: '^查(?P<city>.+?)(?P<day>今天|明天)?天气$'
        reply: "{{.day}} {{ .city }}：{{.city}}的天气"
      - regexp: '^重复(?P<x>.*)$'
        reply: "{{.x}}{{.x}}"
      - regexp: '^\d+$'
        reply: {transfer: {}}
      - event: SCAN/7
        reply: 七
      - event: scan
        reply: 扫
      - event: CLICK/a/b/C
        reply: 斜线
      - event: CLICK/A
        reply: {voice: v}
      - event: LOCATION
        reply: {video: {media_id: v, title: 题, description: 述}}
      - text: 音乐
        reply: {music: {thumb_media_id: t, title: 歌, music_url: https://m.example/1.mp3, hq_music_url: https://m.example/2.mp3}}
      - text: 人工
        reply: {transfer: wang@example}
      - contains: '{{.city}}'
        reply: 不是{{.模板}}
`)
	for _, c := range []struct {
		req  *oa.Request
		want string
	}{
		{text(t, "帮助"), "rule 1: text Content=一"}, // the first match wins
		{text(t, "\n　帮助 "), "rule 1: text Content=一"},
		{text(t, "ＨＥＬＰ!"), "rule 1: text Content=一"},
		{text(t, "帮助我"), "none: success"},
		{text(t, "请问多少钱？"), "rule 3: image MediaId=m"},
		{text(t, "5 ｕｓｄ"), "rule 3: image MediaId=m"},
		{delivery(t, "voice", "<MediaId>v</MediaId><Recognition>价格。</Recognition>"), "rule 3: image MediaId=m"},
		{text(t, " 查北京天气\n"), "rule 4: text Content= 北京：北京的天气"},
		{text(t, "查北京明天天气"), "rule 4: text Content=明天 北京：北京的天气"},
		{text(t, "查{{.day}}天气"), "rule 4: text Content= {{.day}}：{{.day}}的天气"}, // never expanded again
		{text(t, "查]]>天气"), "rule 4: text Content= ]]>：]]>的天气"},
		{text(t, "查北京天气吗"), "none: success"},
		{text(t, "重复"), "rule 5: success"}, // nothing to see
		{text(t, "重复"+strings.Repeat("好", 400)), "rule 5: text Content=" + strings.Repeat("好", 682)},
		{text(t, "12"), "rule 6: transfer_customer_service"},
		{text(t, "音乐"), "rule 12: music Title=歌 MusicUrl=https://m.example/1.mp3 HQMusicUrl=https://m.example/2.mp3 ThumbMediaId=t"},
		{text(t, "人工"), "rule 13: transfer_customer_service KfAccount=wang@example"},
		{text(t, "a{{.CITY}}b"), "rule 14: text Content=不是{{.模板}}"},
		{text(t, "SCAN/7"), "none: success"}, // a text is no event
		{event(t, "SCAN", "7"), "rule 7: text Content=七"},
		{event(t, "SCAN", "77"), "rule 8: text Content=扫"},
		{event(t, "CLICK", "a/b/C"), "rule 9: text Content=斜线"},
		{event(t, "CLICK", "a/b"), "none: success"},
		{event(t, "click", "A"), "rule 10: voice MediaId=v"},
		{event(t, "CLICK", "a"), "none: success"}, // keys keep their case
		{event(t, "LOCATION", ""), "rule 11: video MediaId=v Title=题 Description=述"},
		{event(t, "帮助", "帮助"), "none: success"}, // an event is no text
		{delivery(t, "link", "<Title>帮助</Title>"), "none: success"},
	} {
		check(t, fmt.Sprintf("%s %.30q", c.req.Kind(), c.req.Text()+c.req.EventKey()), ask(t, r, c.req), c.want)
	}
}

func TestFallbackAndSorry(t *testing.T) {
	for _, c := range []struct{ fallback, text, click, sorry string }{
		{"echo", "echo: text Content=你好", "fallback: text Content=" + noClick, "fallback: text Content=" + apology},
		{"none", "none: success", "none: success", "fallback: text Content=" + apology},
		{"{text: 在}", "fallback: text Content=在", "fallback: text Content=在", "fallback: text Content=在"},
		// An event cannot be transferred (reference §7.1).
		{"{transfer: {}}", "fallback: transfer_customer_service", "fallback: text Content=" + noClick, "fallback: transfer_customer_service"},
	} {
		r := load(t, "    fallback: "+c.fallback+"\n")
		req, click := text(t, "你好"), event(t, "CLICK", "A")
		check(t, c.fallback+": text", ask(t, r, req), c.text)
		check(t, c.fallback+": click", ask(t, r, click), c.click)
		check(t, c.fallback+": sorry", show(t, req, r.Sorry(req)), c.sorry)
		check(t, c.fallback+": sorry for an event", show(t, click, r.Sorry(click)), "none: success")
	}
}

// New refuses what no bot.yaml can hold, and says where.
func TestNewRefuses(t *testing.T) {
	long := bot.Reply{Text: strings.Repeat("x", 2048)}
	for _, c := range []struct {
		account bot.Account
		want    string
	}{
		{bot.Account{Greeting: long}, "greeting: "},
		{bot.Account{Fallback: bot.Fallback{Reply: long}}, "fallback: "},
		{bot.Account{Rules: []bot.Rule{{Text: []string{"a"}, Reply: long}}}, "rule 1: "},
		{bot.Account{Rules: []bot.Rule{{Regexp: "("}}}, "rule 1: "},
	} {
		if _, err := New(c.account, Config{}); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("error %v, want %s…", err, c.want)
		}
	}
	// A template that names no group is found when it is used.
	r, err := New(bot.Account{Rules: []bot.Rule{{Regexp: "^a", Reply: bot.Reply{Text: "{{.b}}"}}}}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Answer(text(t, "abc secret")); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
}

// Whatever a follower sends to whatever rules: no panic, no error, and a reply
// that WeChat accepts.
func TestAnyText(t *testing.T) {
	pieces := rapid.SampledFrom([]string{"帮助", "ＡＢ", "ab", "İ", "ß", " ", "　", "]]>", "{{.x}}", "<![CDATA[", "&", "\x00", "\uFFFE", "😀", "\n", "^a", strings.Repeat("长", 700)})
	words := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(pieces, 1, 6).Draw(t, "pieces"), "")
	})
	rapid.Check(t, func(rt *rapid.T) {
		a := bot.Account{Rules: []bot.Rule{
			{Text: rapid.SliceOfN(words, 1, 3).Draw(rt, "text"), Reply: bot.Reply{Text: "一"}},
			{Contains: rapid.SliceOfN(rapid.SampledFrom([]string{"助", "B", "]]>", "😀"}), 1, 3).Draw(rt, "contains"), Reply: bot.Reply{Text: "二"}},
			{Regexp: rapid.SampledFrom([]string{"(?P<x>.*)", "^(?P<x>.{3,})$", "(?s)(?P<x>.*)(?P<y>a)?"}).Draw(rt, "regexp"), Reply: bot.Reply{Text: "{{.x}}{{.x}}!"}},
		}}
		r, err := New(a, Config{})
		if err != nil {
			rt.Fatal(err)
		}
		said := rapid.OneOf(words, rapid.String()).Draw(rt, "said")
		req := &oa.Request{Message: &oa.TextMessage{Header: oa.Header{ToUserName: "gh", FromUserName: "o", MsgType: "text"}, Content: said}}
		answer, err := r.Answer(req)
		if err != nil {
			rt.Fatal(err)
		}
		body := req.Encode(answer.Reply, time.Unix(1, 0))
		var seen struct{ Content string }
		if err := xml.Unmarshal(body, &seen); err != nil || len(seen.Content) > oa.MaxTextBytes || !utf8.ValidString(seen.Content) || strings.TrimSpace(seen.Content) == "" {
			rt.Fatalf("%s: %v\n%s", answer.By, err, body)
		}
		// What FoldText makes the same is answered the same.
		if len(said) < 500 {
			req.Message.(*oa.TextMessage).Content = "　" + strings.ToUpper(said) + " "
			a.Rules = a.Rules[:1]
			r, err := New(a, Config{})
			if err != nil {
				rt.Fatal(err)
			}
			want := oa.FoldText(strings.ToUpper(said))
			matched := false
			for _, w := range a.Rules[0].Text {
				matched = matched || oa.FoldText(w) == want
			}
			answer, err := r.Answer(req)
			if err != nil || (answer.By == "rule 1") != matched {
				rt.Fatalf("%s for %q, error %v", answer.By, said, err)
			}
		}
	})
}
