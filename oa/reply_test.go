package oa

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

var xmlReplyRequest = &Request{Message: &TextMessage{Header: Header{ToUserName: "gh_0123456789ab", FromUserName: "oAbCdEfGhIjKlMnOpQrStUvWxYz1"}}}

// decodedReply is a text reply as a program with encoding/xml reads it.
type decodedReply struct {
	XMLName                           xml.Name `xml:"xml"`
	ToUserName, FromUserName, MsgType string
	CreateTime                        int64
	Content                           string
}

// readable is what can survive of a text: line ends are LF, characters that XML
// forbids are gone, broken UTF-8 is U+FFFD.
func readable(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	return strings.Map(func(r rune) rune {
		if !legal(r) {
			return -1
		}
		return r
	}, s)
}

var awkwardTexts = []string{
	"hello", "你好", "a]]>b", "]]>", "]]", "]", "]]]]>>", "]]]>", "<![CDATA[x]]>", "]]\x01>", "]\uFFFE]>", "a\x00b\x1fc", "a\r\nb\rc\td",
	"\uFFFE\uFFFF", "x\xff\xfe", "\xed\xa0\x80", "🀄️👨‍👩‍👧", `<a href="weixin://bizmsgmenu?msgmenucontent=a&msgmenuid=1">x</a>`,
	"&lt;&amp;", "</Content></xml>", strings.Repeat("]]>", 200),
}

func checkText(t *testing.T, text string) {
	t.Helper()
	want := readable(text)
	reply, err := Text(text)
	switch {
	case strings.TrimSpace(want) == "":
		if !errors.Is(err, ErrEmpty) {
			t.Errorf("Text(%.40q): %v, want ErrEmpty", text, err)
		}
		return
	case len(want) > MaxTextBytes:
		if !errors.Is(err, ErrTooLong) {
			t.Errorf("Text(%.40q) with %d bytes: %v, want ErrTooLong", text, len(want), err)
		}
		return
	case err != nil:
		t.Errorf("Text(%.40q): %v", text, err)
		return
	}
	var got decodedReply
	b := xmlReplyRequest.Encode(reply, time.Unix(2200000000, 0))
	if err := xml.Unmarshal(b, &got); err != nil {
		t.Errorf("Text(%.40q) is no XML: %v", text, err)
	}
	if got.Content != want {
		t.Errorf("Text(%.40q) arrives as %.40q, want %.40q", text, got.Content, want)
	}
	if got.ToUserName != "oAbCdEfGhIjKlMnOpQrStUvWxYz1" || got.FromUserName != "gh_0123456789ab" || got.CreateTime != 2200000000 || got.MsgType != "text" {
		t.Errorf("around the text: %+v", got)
	}
}

func TestText(t *testing.T) {
	for _, text := range awkwardTexts {
		checkText(t, text)
	}
	for _, c := range []struct {
		text string
		want error
	}{
		{strings.Repeat("a", MaxTextBytes), nil},
		{strings.Repeat("a", MaxTextBytes+1), ErrTooLong},
		{strings.Repeat("中", 682), nil},               // 2046
		{strings.Repeat("中", 682) + "ab", ErrTooLong}, // 2048
		{strings.Repeat("\xff中", 600), ErrTooLong},    // 2400 as given; each broken byte becomes three
		{strings.Repeat("\xffa", 600), ErrTooLong},    // 1200 as given, 2400 on the wire
		{strings.Repeat("a", MaxTextBytes) + "\x00", nil},
		{"", ErrEmpty}, {" \n\t", ErrEmpty}, {"\x00\x1d", ErrEmpty}, {"\r", ErrEmpty}, {"\uFFFE", ErrEmpty}, {"\u3000", ErrEmpty},
	} {
		reply, err := Text(c.text)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("Text(%.20q, %d bytes): %v, want %v", c.text, len(c.text), err, c.want)
		}
		if err != nil && !reply.IsZero() {
			t.Errorf("Text(%.20q) gives an error and a reply", c.text)
		}
	}
}

func TestReplyRefuses(t *testing.T) {
	articles := make([]Article, MaxArticles+1)
	for i := range articles {
		articles[i].Title = "t"
	}
	if _, err := News(articles[:MaxArticles]...); err != nil {
		t.Error(err)
	}
	for name, make := range map[string]func() (Reply, error){
		"image":          func() (Reply, error) { return Image("") },
		"voice":          func() (Reply, error) { return Voice("") },
		"video":          func() (Reply, error) { return Video(VideoContent{Title: "t"}) },
		"music":          func() (Reply, error) { return Music(MusicContent{Title: "t", URL: "u"}) },
		"no news":        func() (Reply, error) { return News() },
		"news, no title": func() (Reply, error) { return News(Article{Title: "t"}, Article{URL: "u"}) },
		"nine articles":  func() (Reply, error) { return News(articles...) },
	} {
		if reply, err := make(); err == nil || !reply.IsZero() {
			t.Errorf("%s: %v, %v", name, reply, err)
		}
	}
}

func TestNothingToSay(t *testing.T) {
	none, err := None()
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]Reply{"None": none, "zero": {}, "Encoded nil": Encoded(nil), "Encoded empty": Encoded([]byte{})} {
		if !r.IsZero() || len(xmlReplyRequest.Encode(r, time.Now())) != 0 {
			t.Errorf("%s says something", name)
		}
	}
}

// TestNewsKeepsItsArticles: a reply is a value, whoever changes the slice later.
func TestNewsKeepsItsArticles(t *testing.T) {
	articles := []Article{{Title: "one"}}
	reply, err := News(articles...)
	if err != nil {
		t.Fatal(err)
	}
	articles[0].Title = "two"
	if b := xmlReplyRequest.Encode(reply, time.Now()); !strings.Contains(string(b), "one") {
		t.Errorf("%s", b)
	}
}

func TestClip(t *testing.T) {
	for _, c := range []struct {
		s    string
		n    int
		want string
	}{
		{"hello", 10, "hello"}, {"hello", 5, "hello"}, {"hello", 4, "hell"}, {"hello", 0, ""}, {"hello", -1, ""}, {"", -1, ""},
		{"中文", 5, "中"}, {"中文", 6, "中文"}, {"中文", 3, "中"}, {"中文", 2, ""}, {"a🀄", 4, "a"}, {"a🀄", 5, "a🀄"},
		{strings.Repeat("\x80", 10), 8, strings.Repeat("\x80", 8)}, // no UTF-8 at all: there is no better place
	} {
		if got := Clip(c.s, c.n); got != c.want {
			t.Errorf("Clip(%q, %d) = %q, want %q", c.s, c.n, got, c.want)
		}
	}
}

func TestFoldText(t *testing.T) {
	for s, want := range map[string]string{
		"帮助": "帮助", " 帮助\n": "帮助", "\u3000帮助\u3000": "帮助", "ＨＥＬＰ！": "help!", "Help １２": "help 12", "ÀÉ": "àé", "": "", "～": "~",
	} {
		if got := FoldText(s); got != want {
			t.Errorf("FoldText(%q) = %q, want %q", s, got, want)
		}
	}
}

func TestAppend(t *testing.T) {
	hello, err := Text("你好")
	if err != nil {
		t.Fatal(err)
	}
	longer, ok := hello.Append("，世界\x02")
	if want, _ := Text("你好，世界"); !ok || fmt.Sprint(longer) != fmt.Sprint(want) {
		t.Errorf("%v, %v", longer, ok)
	}
	if same, ok := hello.Append(strings.Repeat("长", 681)); ok || fmt.Sprint(same) != fmt.Sprint(hello) {
		t.Errorf("too long: %v", ok)
	}
	image, err := Image("MEDIA")
	if err != nil {
		t.Fatal(err)
	}
	if same, ok := image.Append("文字"); ok || fmt.Sprint(same) != fmt.Sprint(image) {
		t.Errorf("an image: %v", ok)
	}
}
