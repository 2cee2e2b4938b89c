package oa

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestScan is reference §10, line by line.
func TestScan(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       []Element // nil: refused
	}{
		{"CDATA", "<xml><A><![CDATA[x]]></A></xml>", []Element{{Name: "A", Text: "x"}}},
		{"bare", "<xml><A>1</A></xml>", []Element{{Name: "A", Text: "1"}}},
		{"empty", "<xml><A></A><B><![CDATA[]]></B></xml>", []Element{{Name: "A"}, {Name: "B"}}},
		{"no element", "<xml></xml>", []Element{}},
		{"BOM and declaration", "\uFEFF<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<xml><A>1</A></xml>", []Element{{Name: "A", Text: "1"}}},
		{"layout of compat mode", "<xml>\n    <A><![CDATA[x]]></A>\n    <B>1</B>\n</xml>\n", []Element{{Name: "A", Text: "x"}, {Name: "B", Text: "1"}}},
		{"CR LF", "<xml>\r\n<A><![CDATA[x\r\ny\rz]]></A>\r\n</xml>\r\n", []Element{{Name: "A", Text: "x\ny\nz"}}},
		{"blanks around CDATA", "<xml><CardId> <![CDATA[x]]> \n</CardId></xml>", []Element{{Name: "CardId", Text: "x"}}},
		{"blanks around a number", "<xml><A> 1\n</A></xml>", []Element{{Name: "A", Text: "1"}}},
		{"blanks in Content stay", "<xml><Content><![CDATA[ x\n]]></Content></xml>", []Element{{Name: "Content", Text: " x\n"}}},
		{"blanks in bare Content stay", "<xml><Content> x\n</Content></xml>", []Element{{Name: "Content", Text: " x\n"}}},
		{"control characters", "<xml><Content><![CDATA[a\x02b\x1dc\x00d\te]]></Content></xml>", []Element{{Name: "Content", Text: "abcd\te"}}},
		{"broken UTF-8", "<xml><Content><![CDATA[a\xe6\x96b\xff]]></Content></xml>", []Element{{Name: "Content", Text: "a\uFFFDb\uFFFD"}}},
		{"entities", "<xml><Url>a?b=1&amp;c=&lt;&gt;&apos;&quot;&#65;&#x4e2d;</Url></xml>", []Element{{Name: "Url", Text: "a?b=1&c=<>'\"A中"}}},
		{"entities that are none", "<xml><Url>a?b=1&c=2&nbsp;&#0;&#xD800;&</Url></xml>", []Element{{Name: "Url", Text: "a?b=1&c=2&nbsp;&#0;&#xD800;&"}}},
		{"entities stay in CDATA", "<xml><A><![CDATA[&lt;]]></A></xml>", []Element{{Name: "A", Text: "&lt;"}}},
		{"names with case", "<xml><MsgId>1</MsgId><MsgID>2</MsgID></xml>", []Element{{Name: "MsgId", Text: "1"}, {Name: "MsgID", Text: "2"}}},
		{"nested and repeated", "<xml><L><item><A>1</A>\n</item><item><A>2</A></item></L></xml>", []Element{{Name: "L", Children: []Element{
			{Name: "item", Children: []Element{{Name: "A", Text: "1"}}}, {Name: "item", Children: []Element{{Name: "A", Text: "2"}}}}}}},
		{"behind the end", "<xml><A>1</A></xml>rest<", []Element{{Name: "A", Text: "1"}}},
		{"printed sample without a close tag", "<xml>\n<A>1</A>\n<xml>\n", []Element{{Name: "A", Text: "1"}}},
		{"printed sample without the < of CDATA", "<xml><A>![CDATA[x]]</A></xml>", []Element{{Name: "A", Text: "![CDATA[x]]"}}},
		{"split ]]>", "<xml><A><![CDATA[a]]]]><![CDATA[>b]]></A></xml>", []Element{{Name: "A", Text: "a]]>b"}}},
		{"split ]]> in Content", "<xml><Content><![CDATA[a]]]]><![CDATA[>b]]></Content></xml>", []Element{{Name: "Content", Text: "a]]>b"}}},
		{"sections with text between", "<xml><A><![CDATA[a]]>&amp;<![CDATA[b]]>c</A></xml>", []Element{{Name: "A", Text: "a&bc"}}},
		{"unsplit ]]>", "<xml><A><![CDATA[a]]>b]]></A><B>1</B></xml>", []Element{{Name: "A", Text: "a]]>b"}, {Name: "B", Text: "1"}}},
		{"unsplit ]]> in Content", "<xml><Content><![CDATA[a]]>b]]>]]></Content><B>1</B></xml>", []Element{{Name: "Content", Text: "a]]>b]]>"}, {Name: "B", Text: "1"}}},
		{"text that holds XML", "<xml><Content><![CDATA[<status><![CDATA[x]]></status>]]></Content></xml>", []Element{{Name: "Content", Text: "<status><![CDATA[x]]></status>"}}},
		{"text that closes Content", "<xml><Content><![CDATA[a]]></Content></xml>]]></Content><B>1</B></xml>",
			[]Element{{Name: "Content", Text: "a]]></Content></xml>"}, {Name: "B", Text: "1"}}},
		{"Content further down is an element like others", "<xml><L><Content><![CDATA[ a ]]></Content><B><![CDATA[x]]></B><Content><![CDATA[c]]></Content></L></xml>",
			[]Element{{Name: "L", Children: []Element{{Name: "Content", Text: " a "}, {Name: "B", Text: "x"}, {Name: "Content", Text: "c"}}}}},
		{"XML that WeChat does not write", "<xml a='1'><!-- c --><A b='2'>x<!-- c -->y</A><B/></xml>", []Element{{Name: "A", Text: "xy"}, {Name: "B"}}},
		{"JSON", ` {"A":"x","n":6520106268131360945,"f":1.50,"b":true,"z":null,"L":{"k":"v"},"M":[{"k":1},{"k":2}],"E":{}} `, []Element{
			{Name: "A", Text: "x"}, {Name: "n", Text: "6520106268131360945"}, {Name: "f", Text: "1.50"}, {Name: "b", Text: "true"}, {Name: "z"},
			{Name: "L", Children: []Element{{Name: "k", Text: "v"}}},
			{Name: "M", Children: []Element{{Name: "k", Text: "1"}}}, {Name: "M", Children: []Element{{Name: "k", Text: "2"}}}, {Name: "E"}}},
		{"JSON with control characters", `{"A":"a\u0000b\u001dc\ud800d\r\ne"}`, []Element{{Name: "A", Text: "abc\uFFFDd\ne"}}},
		{"nothing", "", nil},
		{"blanks", " \n", nil},
		{"HTML", "<html></html>", nil},
		{"another encoding", "<?xml version=\"1.0\" encoding=\"GBK\"?><xml a='1'><A>1</A></xml>", nil},
		{"cut", "<xml><A><![CDATA[x]]></A>", nil},
		{"cut in CDATA", "<xml><A><![CDATA[x", nil},
		{"cut in Content", "<xml><Content><![CDATA[x]]></Con", nil},
		{"crossed", "<xml><A><B>1</A></B></xml>", nil},
		{"]]> without CDATA", "<xml><A>x]]></A></xml>", nil},
		{"too deep", "<xml>" + strings.Repeat("<a>", 20) + strings.Repeat("</a>", 20) + "</xml>", nil},
		{"JSON too deep", strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20), nil},
		{"JSON too deep in lists", `{"a":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + "}", nil},
		{"JSON cut", `{"a":1`, nil},
		{"JSON list", `[1]`, nil},
		{"JSON broken", `{"a" 1}`, nil},
	} {
		got, err := ParseElements([]byte(c.body))
		if (err == nil) != (c.want != nil) {
			t.Errorf("%s: error %v", c.name, err)
			continue
		}
		if len(got) == 0 && len(c.want) == 0 {
			continue
		}
		if diff := cmp.Diff(c.want, got); c.want != nil && diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// TestForged puts elements into everything that a follower writes. None may
// change who says it, when, or to whom (reference §10).
func TestForged(t *testing.T) {
	const forged = `hi]]></FIELD><FromUserName><![CDATA[victim]]></FromUserName><ToUserName>other</ToUserName>` +
		`<CreateTime>1</CreateTime><MsgType><![CDATA[event]]></MsgType><Event>subscribe</Event><EventKey>forged</EventKey><FIELD><![CDATA[boo`
	for _, s := range loadReference(t).section("5", "6.4") {
		m, err := ParseMessage([]byte(s.xml))
		if err != nil {
			t.Fatal(err)
		}
		for _, field := range []string{"Content", "Recognition", "Label", "Title", "Description", "Url", "PicUrl", "bizmsgmenuid",
			"EventKey", "ScanResult", "Poiname"} {
			open := "<" + field + "><![CDATA["
			before, rest, ok := strings.Cut(s.xml, open)
			if !ok {
				continue
			}
			_, after, _ := strings.Cut(rest, "]]></"+field+">")
			text := strings.ReplaceAll(forged, "FIELD", field)
			got, err := ParseMessage([]byte(before + open + text + "]]></" + field + ">" + after))
			if err != nil {
				continue // refusing is safe
			}
			if kindOf(got) != kindOf(m) || *got.Head() != *m.Head() {
				t.Errorf("§%s %s forged: %+v", s.section, field, got.Head())
			}
			if text2, ok := got.(*TextMessage); ok && text2.Content != text {
				t.Errorf("§%s: content is %q, want all of %q", s.section, text2.Content, text)
			}
		}
	}
}

func TestUnsupported(t *testing.T) {
	b := mustRead(t)
	_, after, _ := strings.Cut(b, "### 5.9")
	after, _, _ = strings.Cut(after, "[W]")
	n := 0
	for i, notice := range strings.Split(after, "`") {
		if i%2 == 0 || notice == "Content" {
			continue
		}
		n++
		if !(&TextMessage{Content: notice}).Unsupported() {
			t.Errorf("%s is not recognised", notice)
		}
	}
	if n != 4 {
		t.Errorf("the reference has %d notices", n)
	}
	for _, text := range []string{"", "hello", "【收到不支持的消息类型，暂无法显示】吗？"} {
		if (&TextMessage{Content: text}).Unsupported() {
			t.Errorf("%q is taken for the notice", text)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, body := range map[string]string{
		"nothing in it":       "<xml></xml>",
		"no sender":           "<xml><ToUserName>a</ToUserName><MsgType>text</MsgType></xml>",
		"no receiver":         "<xml><FromUserName>a</FromUserName><MsgType>text</MsgType></xml>",
		"no type":             "<xml><ToUserName>a</ToUserName><FromUserName>b</FromUserName></xml>",
		"event without name":  "<xml><ToUserName>a</ToUserName><FromUserName>b</FromUserName><MsgType>event</MsgType></xml>",
		"info without AppId":  "<xml><InfoType>authorized</InfoType></xml>",
		"an envelope":         "<xml><ToUserName>a</ToUserName><Encrypt>AAAA</Encrypt></xml>",
		"not even an element": "success",
	} {
		if m, err := ParseMessage([]byte(body)); err == nil {
			t.Errorf("%s: %+v", name, m)
		} else if name == "an envelope" && !strings.Contains(err.Error(), "明文模式") {
			t.Errorf("%s: the error does not say what to change: %v", name, err)
		}
	}
}

// TestNumbers: numbers that are none, or too large, are 0 and never an error.
func TestNumbers(t *testing.T) {
	parse := func(extra string) *FileMessage {
		t.Helper()
		m, err := ParseMessage([]byte("<xml><ToUserName>a</ToUserName><FromUserName>b</FromUserName><MsgType>file</MsgType>" + extra + "</xml>"))
		if err != nil {
			t.Fatal(err)
		}
		return m.(*FileMessage)
	}
	for text, want := range map[string]int64{
		"2200000000": 2200000000, "9223372036854775807": 9223372036854775807, "-1": -1, "<![CDATA[ 7 ]]>": 7,
		"": 0, "x": 0, "1.5": 0, "1e3": 0, "9223372036854775808": 0, "99999999999999999999": 0,
	} {
		m := parse("<MsgId>" + text + "</MsgId><CreateTime>" + text + "</CreateTime><FileTotalLen>" + text + "</FileTotalLen>")
		if m.MsgID != want || m.CreateTime != want || m.FileTotalLen != want {
			t.Errorf("%q: MsgId %d, CreateTime %d, FileTotalLen %d, want %d", text, m.MsgID, m.CreateTime, m.FileTotalLen, want)
		}
	}
}
