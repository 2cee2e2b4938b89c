package sim_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

const (
	follower = "oAbCdEfGhIjKlMnOpQrStUvWxYz1"
	gh       = "gh_0123456789ab"
	aesKey   = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	appID    = "wx0123456789abcdef"
)

var (
	plain  = oa.Account{Token: "hello"}
	compat = oa.Account{Token: "hello", AppID: appID, AESKey: aesKey, Mode: oa.Compat}
	secure = oa.Account{Token: "hello", AppID: appID, AESKey: aesKey}
)

func head(msgType string) oa.Header {
	return oa.Header{ToUserName: gh, FromUserName: follower, CreateTime: 1714112445, MsgType: msgType}
}

func event(name string) oa.EventHeader { return oa.EventHeader{Header: head("event"), Event: name} }

var (
	text      = &oa.TextMessage{Header: head("text"), Content: "你好", Ident: oa.Ident{MsgID: 24537625000000001}}
	click     = &oa.ClickEvent{EventHeader: event("CLICK"), Key: "ABOUT"}
	view      = &oa.ViewEvent{EventHeader: event("VIEW"), URL: "https://example.com/"}
	jobResult = &oa.TemplateSendJobFinishEvent{EventHeader: event("TEMPLATESENDJOBFINISH"), MsgID: 1, Status: "success"}
	ticket    = &oa.ComponentVerifyTicket{InfoHeader: oa.InfoHeader{AppID: appID, InfoType: "component_verify_ticket"}, Ticket: "t"}
)

// replyXML is a reply with the usual four elements and more of one's own.
func replyXML(msgType, more string) string {
	return "<xml>\n<ToUserName><![CDATA[" + follower + "]]></ToUserName>\n" +
		"<FromUserName><![CDATA[" + gh + "]]></FromUserName>\n" +
		"<CreateTime>1714112446</CreateTime>\n" +
		"<MsgType><![CDATA[" + msgType + "]]></MsgType>\n" + more + "</xml>"
}

func textXML(content string) string {
	return replyXML("text", "<Content><![CDATA["+content+"]]></Content>\n")
}

const item = "<item><Title><![CDATA[标题]]></Title><Description><![CDATA[说明]]></Description>" +
	"<PicUrl><![CDATA[https://example.com/p.jpg]]></PicUrl><Url><![CDATA[https://example.com/a]]></Url></item>"

func newsXML(count string, items ...string) string {
	return replyXML("news", "<ArticleCount>"+count+"</ArticleCount><Articles>"+strings.Join(items, "\n")+"</Articles>")
}

func ok(body string) sim.Response {
	return sim.Response{Status: 200, Header: http.Header{}, Body: []byte(body), Elapsed: 12 * time.Millisecond}
}

func status(code int, header ...string) sim.Response {
	r := ok("success")
	r.Status = code
	if header != nil {
		r.Header.Set(header[0], header[1])
	}
	return r
}

func header(r sim.Response, key, value string) sim.Response {
	r.Header.Set(key, value)
	return r
}

func failed(err error) sim.Response { return sim.Response{Err: err, Elapsed: time.Millisecond} }

func after(d time.Duration, r sim.Response) sim.Response {
	r.Elapsed = d
	return r
}

// seal wraps a clear reply; each edit is an old and a new piece of the envelope.
func seal(a oa.Account, clear string, edits ...string) string {
	key, err := oa.ParseKey(a.AESKey)
	if err != nil {
		panic(err)
	}
	encrypt := key.Seal([]byte(clear), a.AppID)
	envelope := "<xml>\n<Encrypt><![CDATA[" + encrypt + "]]></Encrypt>\n" +
		"<MsgSignature><![CDATA[" + oa.Sign(a.Token, "1713424427", "415670741", encrypt) + "]]></MsgSignature>\n" +
		"<TimeStamp>1713424427</TimeStamp>\n<Nonce><![CDATA[415670741]]></Nonce>\n</xml>"
	return strings.NewReplacer(edits...).Replace(envelope)
}

type verdictTest struct {
	name    string
	rules   sim.Rules
	account oa.Account // plain where no Token is set
	message oa.Message // text where nil
	got     sim.Response
	outcome sim.Outcome
	rule    sim.Rule // of the problem, or of the first note
	zh, en  string   // parts of its sentences
}

// The rules that a response can break.
var refused = []verdictTest{
	// HTTP
	{name: "refused connection", got: failed(errors.New("connect: connection refused")), outcome: sim.Repeated, rule: sim.RuleConnection, zh: "连不上", en: "connection refused"},
	{name: "broken off", got: sim.Response{Status: 200, Body: []byte("<xml>"), Err: errors.New("unexpected EOF")}, outcome: sim.Repeated, rule: sim.RuleConnection, zh: "中断", en: "broke"},
	{name: "no answer in time", got: failed(context.DeadlineExceeded), outcome: sim.Repeated, rule: sim.RuleTimeout, zh: "超过 5 秒", en: "within 5 s"},
	{name: "a right answer too late", got: after(5001*time.Millisecond, ok("success")), outcome: sim.Repeated, rule: sim.RuleTimeout, zh: "超过 5 秒", en: "within 5 s"},
	{name: "a shorter patience", rules: sim.Rules{Timeout: time.Second}, got: after(1001*time.Millisecond, ok("success")), outcome: sim.Repeated, rule: sim.RuleTimeout, zh: "超过 1 秒", en: "within 1 s"},
	{name: "201 with success", got: status(201), outcome: sim.Repeated, rule: sim.RuleStatus, zh: "HTTP 状态是 201，必须是 200", en: "status is 201, it must be 200"},
	{name: "204", got: status(204), outcome: sim.Repeated, rule: sim.RuleStatus, zh: "204", en: "204"},
	{name: "404", got: status(404), outcome: sim.Repeated, rule: sim.RuleStatus, zh: "404", en: "404"},
	{name: "500", got: status(500), outcome: sim.Repeated, rule: sim.RuleStatus, zh: "500", en: "500"},
	{name: "redirect to https", got: status(301, "Location", "https://example.com/wechatMP/secret"), outcome: sim.Repeated, rule: sim.RuleRedirect, zh: "重定向到 https://example.com/…（HTTP 301）", en: "redirects to https://example.com/… (HTTP 301)"},
	{name: "redirect nowhere", got: status(302), outcome: sim.Repeated, rule: sim.RuleRedirect, zh: "302", en: "302"},
	{name: "gzip unasked", got: header(ok("\x1f\x8b"), "Content-Encoding", "gzip"), outcome: sim.Refused, rule: sim.RuleCompression, zh: "gzip", en: "gzip"},

	// the body
	{name: "success in quotes", got: ok(`"success"`), outcome: sim.Refused, rule: sim.RuleJSON, zh: `success 带了引号 "success"`, en: `success stands in quotes "success"`},
	{name: "success and a line break", got: ok("success\n"), outcome: sim.Refused, rule: sim.RuleSuccess, zh: `正好 7 个字节 success，这里是 "success\n"`, en: "exactly the 7 bytes success"},
	{name: "Success", got: ok("Success"), outcome: sim.Refused, rule: sim.RuleSuccess, zh: `"Success"`, en: `"Success"`},
	{name: "a blank", got: ok(" "), outcome: sim.Refused, rule: sim.RuleSuccess, zh: `" "`, en: `" "`},
	{name: "BOM and success", got: ok("\ufeffsuccess"), outcome: sim.Refused, rule: sim.RuleLeading, zh: "BOM", en: "BOM"},
	{name: "BOM and a reply", got: ok("\ufeff" + textXML("hi")), outcome: sim.Refused, rule: sim.RuleLeading, zh: "BOM", en: "BOM"},
	{name: "debug output before the reply", got: ok("debug 1\n" + textXML("hi")), outcome: sim.Refused, rule: sim.RuleLeading, zh: `多余的输出 "debug 1\n"`, en: "before <xml>"},
	{name: "a PHP warning before the reply", got: ok("<br />\n<b>Warning</b>: x" + textXML("hi")), outcome: sim.Refused, rule: sim.RuleLeading, zh: "<b>Warning</b>", en: "before <xml>"},
	{name: "JSON object", got: ok(`{"errcode":0}`), outcome: sim.Refused, rule: sim.RuleJSON, zh: "是 JSON", en: "is JSON"},
	{name: "JSON array", got: ok(`["hi"]`), outcome: sim.Refused, rule: sim.RuleJSON, zh: "是 JSON", en: "is JSON"},
	{name: "JSON string", got: ok(`"<xml></xml>"`), outcome: sim.Refused, rule: sim.RuleJSON, zh: "是 JSON", en: "is JSON"},
	{name: "HTML page", got: ok("\n<!DOCTYPE html>\n<html></html>"), outcome: sim.Refused, rule: sim.RuleHTML, zh: "HTML 页面", en: "HTML page"},
	{name: "old HTML page", got: ok("<HTML><body>"), outcome: sim.Refused, rule: sim.RuleHTML, zh: "HTML 页面", en: "HTML page"},
	{name: "a text", got: ok("ok"), outcome: sim.Refused, rule: sim.RuleText, zh: `而是 "ok"`, en: `but "ok"`},
	{name: "a stack trace", got: ok("Traceback (most recent call last):\n" + strings.Repeat("x", 1000)), outcome: sim.Refused, rule: sim.RuleText, zh: "Traceback", en: "…"},
	{name: "GBK", got: ok(textXML("\xc4\xe3\xba\xc3")), outcome: sim.Refused, rule: sim.RuleUTF8, zh: "第 6 行第 19 列不是 UTF-8", en: "line 6, column 19 is not UTF-8"},
	{name: "GBK declared", got: ok(`<?xml version="1.0" encoding="GBK"?>` + textXML("hi")), outcome: sim.Refused, rule: sim.RuleUTF8, zh: "声明的编码", en: "declaration"},
	{name: "control character", got: ok(textXML("雯\x02子")), outcome: sim.Refused, rule: sim.RuleCharacter, zh: "第 6 行第 20 列有 XML 不允许的字符 U+0002", en: "line 6, column 20 has the character U+0002"},
	{name: "U+FFFF", got: ok(textXML("\uffff")), outcome: sim.Refused, rule: sim.RuleCharacter, zh: "U+FFFF", en: "U+FFFF"},
	{name: "control character as a reference", got: ok(replyXML("text", "<Content>&#2;</Content>")), outcome: sim.Refused, rule: sim.RuleXML, zh: "第 6 行", en: "illegal character code U+0002"},
	{name: "malformed CDATA", got: ok(strings.Replace(textXML("hi"), "[text]]>", "[text]]", 1)), outcome: sim.Refused, rule: sim.RuleXML, zh: "第 5 行第 1 列：<MsgType> 的 CDATA 没有以 ]]> 结束", en: "line 5, column 1: the CDATA of <MsgType> is not ended"},
	{name: "CDATA without end", got: ok(strings.Replace(textXML("hi"), "[hi]]>", "[hi]]", 1)), outcome: sim.Refused, rule: sim.RuleXML, zh: "第 6 行第 10 列：<![CDATA[ 没有以 ]]> 结束", en: "line 6, column 10: <![CDATA[ is not ended"},
	{name: "]]> unsplit", got: ok(textXML("a]]>b")), outcome: sim.Refused, rule: sim.RuleXML, zh: "第 6 行", en: "]]>"},
	{name: "wrong closing tag", got: ok(replyXML("text", "<Content>hi</content>\n")), outcome: sim.Refused, rule: sim.RuleXML, zh: "第 6 行第 12 列：<Content> 被 </content> 结束", en: "line 6, column 12: <Content> is closed by </content>"},
	{name: "a name that fills the line", got: ok("<xml><" + strings.Repeat("n", 1000) + ">"), outcome: sim.Refused, rule: sim.RuleXML, zh: "<" + strings.Repeat("n", 40) + "…>", en: "never closed"},
	{name: "success in many quotes", got: ok(strings.Repeat(`"`, 1000) + "success"), outcome: sim.Refused, rule: sim.RuleJSON, zh: `""…`, en: "quotes"},
	{name: "cut off", got: ok("<xml>\n<ToUserName>x</ToUserName>"), outcome: sim.Refused, rule: sim.RuleXML, zh: "第 1 行第 1 列：<xml> 没有结束标签", en: "<xml> is never closed"},
	{name: "cut off in a tag", got: ok("<xml><ToUser"), outcome: sim.Refused, rule: sim.RuleXML, zh: "第 1 行", en: "unexpected EOF"},
	{name: "only a declaration", got: ok(`<?xml version="1.0"?>`), outcome: sim.Refused, rule: sim.RuleXML, zh: "没有 <xml>", en: "no <xml>"},
	{name: "declaration in the second line", got: ok("\n<?xml version=\"1.0\"?>" + textXML("hi")), outcome: sim.Refused, rule: sim.RuleXML, zh: "第 2 行第 1 列", en: "very beginning"},
	{name: "DOCTYPE", got: ok("<!DOCTYPE xml>" + textXML("hi")), outcome: sim.Refused, rule: sim.RuleXML, zh: "DOCTYPE", en: "DOCTYPE"},
	{name: "HTML entity", got: ok(replyXML("text", "<Content>a&nbsp;b</Content>")), outcome: sim.Refused, rule: sim.RuleXML, zh: "&nbsp;", en: "&nbsp;"},
	{name: "unescaped &", got: ok(replyXML("text", "<Content>a&b</Content>")), outcome: sim.Refused, rule: sim.RuleXML, zh: "第 6 行", en: "line 6"},
	{name: "output behind", got: ok(textXML("hi") + "success"), outcome: sim.Refused, rule: sim.RuleXML, zh: `</xml> 后面还有多余的输出 "success"`, en: "behind </xml>"},
	{name: "two replies", got: ok(textXML("hi") + textXML("ho")), outcome: sim.Refused, rule: sim.RuleXML, zh: "第 7 行第 7 列：</xml> 后面还有 <xml>", en: "behind </xml>"},
	{name: "a closing tag too many", got: ok(textXML("hi") + "</xml>"), outcome: sim.Refused, rule: sim.RuleXML, zh: "多了 </xml>", en: "closes nothing"},
	{name: "nested without end", got: ok(strings.Repeat("<xml>", 100)), outcome: sim.Refused, rule: sim.RuleXML, zh: "嵌套超过 32 层", en: "deeper than 32"},
	{name: "another root", got: ok("<Xml></Xml>"), outcome: sim.Refused, rule: sim.RuleSpelling, zh: "最外层元素应是 <xml>，这里是 <Xml>", en: "outermost"},
	{name: "name space", got: ok(`<wx:xml xmlns:wx="x"></wx:xml>`), outcome: sim.Refused, rule: sim.RuleSpelling, zh: "<wx:xml>", en: "<wx:xml>"},

	// the four elements
	{name: "nothing in it", got: ok("<xml></xml>"), outcome: sim.Refused, rule: sim.RuleMissing, zh: "<xml> 里缺少 <ToUserName>", en: "<xml> lacks <ToUserName>"},
	{name: "no FromUserName", got: ok(strings.Replace(textXML("hi"), "FromUserName", "Sender", 2)), outcome: sim.Refused, rule: sim.RuleMissing, zh: "缺少 <FromUserName>", en: "lacks <FromUserName>"},
	{name: "ToUsername", got: ok(strings.Replace(textXML("hi"), "ToUserName", "ToUsername", 2)), outcome: sim.Refused, rule: sim.RuleSpelling, zh: "只有 <ToUsername>", en: "but <ToUsername>"},
	{name: "a letter is missing", got: ok(strings.Replace(textXML("hi"), "FromUserName", "FromUserNam", 2)), outcome: sim.Refused, rule: sim.RuleSpelling, zh: "<FromUserNam>", en: "<FromUserNam>"},
	{name: "two letters exchanged", got: ok(strings.Replace(textXML("hi"), "Content", "Cotnent", 2)), outcome: sim.Refused, rule: sim.RuleSpelling, zh: "<Cotnent>", en: "<Cotnent>"},
	{name: "all in lower case", got: ok(strings.ReplaceAll(textXML("hi"), "MsgType", "msgtype")), outcome: sim.Refused, rule: sim.RuleSpelling, zh: "<msgtype>", en: "<msgtype>"},
	{name: "not swapped", got: ok(strings.NewReplacer(follower, gh, gh, follower).Replace(textXML("hi"))), outcome: sim.Refused, rule: sim.RuleNames, zh: "没有对调", en: "not swapped"},
	{name: "somebody else's OpenID", got: ok(strings.Replace(textXML("hi"), follower, "oSomebodyElse", 1)), outcome: sim.Refused, rule: sim.RuleNames, zh: `这里是 "oSomebodyElse"`, en: `ToUserName must be the delivery's FromUserName "` + follower + `"`},
	{name: "another account", got: ok(strings.Replace(textXML("hi"), gh, "wx0123", 1)), outcome: sim.Refused, rule: sim.RuleNames, zh: `FromUserName 应是推送里的 ToUserName "gh_0123456789ab"，这里是 "wx0123"`, en: "wx0123"},
	{name: "empty ToUserName", got: ok(strings.Replace(textXML("hi"), follower, "", 1)), outcome: sim.Refused, rule: sim.RuleEmpty, zh: "<ToUserName> 是空的", en: "empty <ToUserName>"},
	{name: "no CreateTime", got: ok(strings.Replace(textXML("hi"), "<CreateTime>1714112446</CreateTime>", "", 1)), outcome: sim.Refused, rule: sim.RuleMissing, zh: "缺少 <CreateTime>", en: "lacks <CreateTime>"},
	{name: "CreateTime with a fraction", got: ok(strings.Replace(textXML("hi"), "1714112446", "1714112446.25", 1)), outcome: sim.Refused, rule: sim.RuleCreateTime, zh: `整数秒，这里是 "1714112446.25"`, en: "whole seconds"},
	{name: "CreateTime as a date", got: ok(strings.Replace(textXML("hi"), "1714112446", "2024-04-26 14:20", 1)), outcome: sim.Refused, rule: sim.RuleCreateTime, zh: "2024-04-26", en: "2024-04-26"},
	{name: "negative CreateTime", got: ok(strings.Replace(textXML("hi"), "1714112446", "-1", 1)), outcome: sim.Refused, rule: sim.RuleCreateTime, zh: `"-1"`, en: `"-1"`},
	{name: "no MsgType", got: ok(strings.Replace(textXML("hi"), "<MsgType><![CDATA[text]]></MsgType>", "", 1)), outcome: sim.Refused, rule: sim.RuleMissing, zh: "缺少 <MsgType>", en: "lacks <MsgType>"},
	{name: "MsgType Text", got: ok(replyXML("Text", "")), outcome: sim.Refused, rule: sim.RuleMsgType, zh: `应是 "text"，这里是 "Text"`, en: "case-sensitive"},
	{name: "MsgType mpnews", got: ok(replyXML("mpnews", "")), outcome: sim.Refused, rule: sim.RuleMsgType, zh: `没有 "mpnews"`, en: `MsgType "mpnews"`},
	{name: "the message echoed as it came", got: ok(replyXML("event", "<Event>CLICK</Event>")), outcome: sim.Refused, rule: sim.RuleMsgType, zh: "event", en: "event"},
	{name: "empty MsgType", got: ok(replyXML("", "")), outcome: sim.Refused, rule: sim.RuleEmpty, zh: "<MsgType> 是空的", en: "empty <MsgType>"},
	{name: "CreateTime holds an element", got: ok(strings.Replace(textXML("hi"), "1714112446", "<i>1</i>", 1)), outcome: sim.Refused, rule: sim.RuleNesting, zh: "<CreateTime> 里应是文字，这里有 <i>", en: "<CreateTime> must hold text"},

	// text
	{name: "no Content", got: ok(replyXML("text", "")), outcome: sim.Refused, rule: sim.RuleMissing, zh: "缺少 <Content>", en: "lacks <Content>"},
	{name: "empty Content", got: ok(textXML("")), outcome: sim.Refused, rule: sim.RuleEmpty, zh: "Content 是空的", en: "Content is empty"},
	{name: "closed Content", got: ok(replyXML("text", "<Content/>")), outcome: sim.Refused, rule: sim.RuleEmpty, zh: "Content 是空的", en: "Content is empty"},
	{name: "2048 bytes", got: ok(textXML(strings.Repeat("雯", 682) + "ab")), outcome: sim.Refused, rule: sim.RuleLength, zh: "Content 有 2048 字节，最多 2047 字节", en: "has 2048 bytes, the most is 2047"},
	{name: "a link outside CDATA", got: ok(replyXML("text", `<Content>看<a href="https://example.com">这里</a></Content>`)), outcome: sim.Refused, rule: sim.RuleMarkup, zh: "Content 里的 <a> 要放进 CDATA", en: "must stand in CDATA"},
	{name: "Content inside Text", got: ok(replyXML("text", "<Text><Content>hi</Content></Text>")), outcome: sim.Refused, rule: sim.RuleNesting, zh: "<Content> 放错了地方：在 <Text> 里，应在 <xml> 里", en: "inside <Text> instead of <xml>"},

	// media
	{name: "MediaId outside Image", got: ok(replyXML("image", "<MediaId>m</MediaId>")), outcome: sim.Refused, rule: sim.RuleNesting, zh: "<MediaId> 放错了地方：在 <xml> 里，应在 <Image> 里", en: "inside <xml> instead of <Image>"},
	{name: "no Image", got: ok(replyXML("image", "")), outcome: sim.Refused, rule: sim.RuleMissing, zh: "缺少 <Image>", en: "lacks <Image>"},
	{name: "Image in lower case", got: ok(replyXML("image", "<image><MediaId>m</MediaId></image>")), outcome: sim.Refused, rule: sim.RuleSpelling, zh: "只有 <image>", en: "but <image>"},
	{name: "no MediaId", got: ok(replyXML("image", "<Image></Image>")), outcome: sim.Refused, rule: sim.RuleMissing, zh: "<Image> 里缺少 <MediaId>", en: "<Image> lacks <MediaId>"},
	{name: "MediaID", got: ok(replyXML("voice", "<Voice><MediaID>m</MediaID></Voice>")), outcome: sim.Refused, rule: sim.RuleSpelling, zh: "<MediaID>", en: "<MediaID>"},
	{name: "empty MediaId", got: ok(replyXML("voice", "<Voice><MediaId> </MediaId></Voice>")), outcome: sim.Refused, rule: sim.RuleEmpty, zh: "<Voice> 里的 <MediaId> 是空的", en: "empty <MediaId>"},
	{name: "a video as an image", got: ok(replyXML("video", "<Image><MediaId>m</MediaId></Image>")), outcome: sim.Refused, rule: sim.RuleMissing, zh: "缺少 <Video>", en: "lacks <Video>"},
	{name: "music without thumb", got: ok(replyXML("music", "<Music><Title>t</Title></Music>")), outcome: sim.Refused, rule: sim.RuleMissing, zh: "<Music> 里缺少 <ThumbMediaId>", en: "lacks <ThumbMediaId>"},
	{name: "music unwrapped", got: ok(replyXML("music", "<ThumbMediaId>t</ThumbMediaId>")), outcome: sim.Refused, rule: sim.RuleNesting, zh: "应在 <Music> 里", en: "instead of <Music>"},

	// news
	{name: "no ArticleCount", got: ok(replyXML("news", "<Articles>"+item+"</Articles>")), outcome: sim.Refused, rule: sim.RuleMissing, zh: "缺少 <ArticleCount>", en: "lacks <ArticleCount>"},
	{name: "ArticleCount 0", got: ok(newsXML("0", item)), outcome: sim.Refused, rule: sim.RuleArticles, zh: `正整数，这里是 "0"`, en: "positive number"},
	{name: "ArticleCount one", got: ok(newsXML("one", item)), outcome: sim.Refused, rule: sim.RuleArticles, zh: `"one"`, en: `"one"`},
	{name: "ArticleCount too large", got: ok(newsXML("2", item)), outcome: sim.Refused, rule: sim.RuleArticles, zh: "ArticleCount 是 2，item 有 1 个", en: "ArticleCount is 2, but there are 1 items"},
	{name: "ArticleCount too small", message: click, got: ok(newsXML("1", item, item)), outcome: sim.Refused, rule: sim.RuleArticles, zh: "item 有 2 个", en: "2 items"},
	{name: "no Articles", got: ok(replyXML("news", "<ArticleCount>1</ArticleCount>")), outcome: sim.Refused, rule: sim.RuleMissing, zh: "缺少 <Articles>", en: "lacks <Articles>"},
	{name: "no item", got: ok(newsXML("1")), outcome: sim.Refused, rule: sim.RuleMissing, zh: "<Articles> 里缺少 <item>", en: "lacks <item>"},
	{name: "item outside Articles", got: ok(replyXML("news", "<ArticleCount>1</ArticleCount>"+item)), outcome: sim.Refused, rule: sim.RuleNesting, zh: "<item> 放错了地方", en: "instead of <Articles>"},
	{name: "an article outside item", got: ok(newsXML("1", "<Title>t</Title>")), outcome: sim.Refused, rule: sim.RuleNesting, zh: "<Title> 放错了地方：在 <Articles> 里，应在 <item> 里", en: "instead of <item>"},
	{name: "something else among items", got: ok(newsXML("1", item, "<note/>")), outcome: sim.Refused, rule: sim.RuleNesting, zh: "这里有 <note>", en: "there is <note>"},
	{name: "no Title", got: ok(newsXML("1", strings.Replace(item, "Title", "Header", 2))), outcome: sim.Refused, rule: sim.RuleMissing, zh: "<item 1> 里缺少 <Title>", en: "<item 1> lacks <Title>"},
	{name: "empty Title", got: ok(newsXML("1", strings.Replace(item, "标题", "", 1))), outcome: sim.Refused, rule: sim.RuleEmpty, zh: "<Title> 是空的", en: "empty <Title>"},
	{name: "PicURL", message: click, got: ok(newsXML("2", item, strings.Replace(item, "PicUrl", "PicURL", 2))), outcome: sim.Refused, rule: sim.RuleSpelling, zh: "<item 2> 里没有 <PicUrl>，只有 <PicURL>", en: "but <PicURL>"},
	{name: "no Description", got: ok(newsXML("1", strings.Replace(item, "Description", "Digest", 2))), outcome: sim.Refused, rule: sim.RuleMissing, zh: "缺少 <Description>", en: "lacks <Description>"},
	{name: "no Url", got: ok(newsXML("1", strings.Replace(item, "<Url><![CDATA[https://example.com/a]]></Url>", "", 1))), outcome: sim.Refused, rule: sim.RuleMissing, zh: "缺少 <Url>", en: "lacks <Url>"},

	// transfers, and what cannot be answered
	{name: "transfer of a click", message: click, got: ok(replyXML("transfer_customer_service", "")), outcome: sim.Refused, rule: sim.RuleTransfer, zh: "不能回复事件", en: "not events"},
	{name: "AI transfer of a click", message: click, got: ok(replyXML("transfer_biz_ai_ivr", "")), outcome: sim.Refused, rule: sim.RuleTransfer, zh: "transfer_biz_ai_ivr", en: "not events"},
	{name: "TransInfo without agent", got: ok(replyXML("transfer_customer_service", "<TransInfo></TransInfo>")), outcome: sim.Refused, rule: sim.RuleMissing, zh: "缺少 <KfAccount>", en: "lacks <KfAccount>"},
	{name: "agent outside TransInfo", got: ok(replyXML("transfer_customer_service", "<KfAccount>a@b</KfAccount>")), outcome: sim.Refused, rule: sim.RuleNesting, zh: "应在 <TransInfo> 里", en: "instead of <TransInfo>"},
	{name: "a ticket answered with nothing", account: secure, message: ticket, got: ok(""), outcome: sim.Refused, rule: sim.RuleInfo, zh: "只能回答 success", en: "must be answered success"},
	{name: "a ticket answered with a reply", account: secure, message: ticket, got: ok(textXML("hi")), outcome: sim.Refused, rule: sim.RuleInfo, zh: "只能回答 success", en: "must be answered success"},
	{name: "a ticket answered with blanks", account: secure, rules: sim.Rules{AllowBlanks: true}, message: ticket, got: ok("\n"), outcome: sim.Refused, rule: sim.RuleInfo, zh: "success", en: "success"},

	// envelopes
	{name: "clear in secure mode", account: secure, got: ok(textXML("hi")), outcome: sim.Refused, rule: sim.RuleClear, zh: "安全模式，回复却没有加密", en: "not encrypted"},
	{name: "encrypted in plain mode", got: ok(seal(secure, textXML("hi"))), outcome: sim.Refused, rule: sim.RuleClear, zh: "明文模式，回复却是加密的", en: "the reply is encrypted"},
	{name: "no Encrypt", account: secure, got: ok("<xml><Nonce>1</Nonce></xml>"), outcome: sim.Refused, rule: sim.RuleMissing, zh: "缺少 <Encrypt>", en: "lacks <Encrypt>"},
	{name: "encrypt in lower case", account: secure, got: ok(seal(secure, textXML("hi"), "Encrypt>", "encrypt>")), outcome: sim.Refused, rule: sim.RuleSpelling, zh: "<encrypt>", en: "<encrypt>"},
	{name: "no MsgSignature", account: secure, got: ok(seal(secure, textXML("hi"), "MsgSignature>", "Sum>")), outcome: sim.Refused, rule: sim.RuleMissing, zh: "缺少 <MsgSignature>", en: "lacks <MsgSignature>"},
	{name: "Timestamp", account: secure, got: ok(seal(secure, textXML("hi"), "TimeStamp>", "Timestamp>")), outcome: sim.Refused, rule: sim.RuleSpelling, zh: "只有 <Timestamp>", en: "but <Timestamp>"},
	{name: "no Nonce", account: compat, got: ok(seal(compat, textXML("hi"), "Nonce>", "Number>")), outcome: sim.Refused, rule: sim.RuleMissing, zh: "缺少 <Nonce>", en: "lacks <Nonce>"},
	{name: "signature over another time", account: secure, got: ok(seal(secure, textXML("hi"), "1713424427", "1713424428")), outcome: sim.Refused, rule: sim.RuleSignature, zh: "MsgSignature 不对", en: "MsgSignature is wrong"},
	{name: "another Token", account: secure, got: ok(seal(oa.Account{Token: "other", AppID: appID, AESKey: aesKey}, textXML("hi"))), outcome: sim.Refused, rule: sim.RuleSignature, zh: "MsgSignature 不对", en: "MsgSignature is wrong"},
	{name: "another key", account: secure, got: ok(seal(oa.Account{Token: "hello", AppID: appID, AESKey: "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"}, textXML("hi"))), outcome: sim.Refused, rule: sim.RuleCiphertext, zh: "解不开", en: "does not open"},
	{name: "another AppID", account: compat, got: ok(seal(oa.Account{Token: "hello", AppID: "wxother", AESKey: aesKey}, textXML("hi"))), outcome: sim.Refused, rule: sim.RuleAppID, zh: "AppID 不是", en: "AppID"},
	{name: "encrypted success", account: secure, got: ok(seal(secure, "success")), outcome: sim.Refused, rule: sim.RuleEncryptedSuccess, zh: "不能加密", en: "must not be encrypted"},
	{name: "encrypted nothing", account: compat, got: ok(seal(compat, "")), outcome: sim.Refused, rule: sim.RuleEncryptedSuccess, zh: "不能加密", en: "must not be encrypted"},
	{name: "JSON inside", account: secure, got: ok(seal(secure, `{"MsgType":"text"}`)), outcome: sim.Refused, rule: sim.RuleJSON, zh: "解密后：回复是 JSON", en: "decrypted: the body is JSON"},
	{name: "malformed inside", account: secure, got: ok(seal(secure, "<xml><MsgType><![CDATA[text]]</MsgType></xml>")), outcome: sim.Refused, rule: sim.RuleXML, zh: "解密后：不是合法的 XML，第 1 行第 15 列", en: "decrypted: not well-formed XML, line 1, column 15"},
	{name: "not swapped inside", account: secure, got: ok(seal(secure, strings.NewReplacer(follower, gh, gh, follower).Replace(textXML("hi")))), outcome: sim.Refused, rule: sim.RuleNames, zh: "没有对调", en: "not swapped"},
}

func TestRefused(t *testing.T) {
	for _, tt := range refused {
		t.Run(tt.name, func(t *testing.T) {
			v := judge(tt)
			if v.Outcome != tt.outcome || v.OK() {
				t.Fatalf("outcome %q, want %q; %v", v.Outcome, tt.outcome, v.Problem)
			}
			check(t, *v.Problem, tt)
			wantNotice := tt.outcome == sim.Refused && tt.rule != sim.RuleInfo
			if got := len(v.Bubbles) == 1 && v.Bubbles[0].String() == sim.FaultNotice; got != wantNotice {
				t.Errorf("bubbles: %v, fault notice wanted: %t", v.Bubbles, wantNotice)
			}
		})
	}
}

func judge(tt verdictTest) sim.Verdict {
	d := sim.Delivery{Account: tt.account, Message: tt.message}
	if d.Account.Token == "" {
		d.Account = plain
	}
	if d.Message == nil {
		d.Message = text
	}
	return tt.rules.Judge(d, tt.got)
}

func check(t *testing.T, r sim.Remark, tt verdictTest) {
	t.Helper()
	if r.Rule != tt.rule || !strings.Contains(r.Chinese, tt.zh) || !strings.Contains(r.English, tt.en) {
		t.Errorf("%s: %s\nwant %s: …%s…（…%s…）", r.Rule, r, tt.rule, tt.zh, tt.en)
	}
	if strings.ContainsAny(r.Chinese+r.English, "\n\x00") || strings.Contains(r.String(), "%!") {
		t.Errorf("not one clean line: %q", r.String())
	}
}

// What WeChat takes; rule is that of the note, if one is wanted.
var taken = []verdictTest{
	{name: "success", got: ok("success"), outcome: sim.Acknowledged},
	{name: "nothing", got: ok(""), outcome: sim.Acknowledged},
	{name: "success in secure mode", account: secure, got: ok("success"), outcome: sim.Acknowledged},
	{name: "success to a ticket", account: secure, message: ticket, got: ok("success"), outcome: sim.Acknowledged},
	{name: "exactly 5 s", got: after(5*time.Second, ok("success")), outcome: sim.Acknowledged},
	{name: "identity", got: header(ok("success"), "Content-Encoding", "identity"), outcome: sim.Acknowledged},
	{name: "blanks around success allowed", rules: sim.Rules{AllowBlanks: true}, got: ok("success\r\n"), outcome: sim.Acknowledged},
	{name: "only blanks allowed", rules: sim.Rules{AllowBlanks: true}, got: ok("\n"), outcome: sim.Acknowledged},
	{name: "empty text allowed", rules: sim.Rules{AllowEmptyText: true}, got: ok(textXML("")), outcome: sim.Acknowledged},
	{name: "2048 bytes allowed", rules: sim.Rules{MaxTextBytes: 2048}, got: ok(textXML(strings.Repeat("a", 2048))), outcome: sim.Answered},
	{name: "2047 bytes", got: ok(textXML(strings.Repeat("a", 2047))), outcome: sim.Answered},
	{name: "declaration, blanks, comment, other elements", got: ok("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- hi -->" + strings.Replace(textXML("hi"), "</xml>", "<FuncFlag>0</FuncFlag>\n</xml>\n\n", 1)), outcome: sim.Answered},
	{name: "blanks before", got: ok("\n  " + textXML("hi")), outcome: sim.Answered},
	{name: "no CDATA", got: ok(strings.NewReplacer("<![CDATA[", "", "]]>", "").Replace(textXML("a &lt; b"))), outcome: sim.Answered},
	{name: "blanks around names and numbers", got: ok(strings.NewReplacer("<![CDATA[o", " <![CDATA[o", "1714112446", "\n1714112446\n").Replace(textXML("hi"))), outcome: sim.Answered},
	{name: "]]> split", got: ok(textXML("a]]]]><![CDATA[>b")), outcome: sim.Answered},
	{name: "clear in compat mode", account: compat, got: ok(textXML("hi")), outcome: sim.Answered},
	{name: "encrypted in compat mode", account: compat, got: ok(seal(compat, textXML("hi"))), outcome: sim.Answered},
	{name: "encrypted in secure mode", account: secure, got: ok(seal(secure, textXML("hi"))), outcome: sim.Answered},
	{name: "in answer to an unknown event", message: &oa.UnknownEvent{EventHeader: event("brand_new")}, got: ok(textXML("hi")), outcome: sim.Answered},

	{name: "Content twice", got: ok(replyXML("text", "<Content>a</Content><Content>b</Content>")), outcome: sim.Answered, rule: sim.RuleTwice, zh: "<xml> 里有不止一个 <Content>", en: "more than one <Content>"},
	{name: "MediaId twice", got: ok(replyXML("image", "<Image><MediaId>a</MediaId><MediaId>b</MediaId></Image>")), outcome: sim.Answered, rule: sim.RuleTwice, zh: "<Image> 里", en: "<Image> has"},
	{name: "two articles to a message", got: ok(newsXML("2", item, item)), outcome: sim.Answered, rule: sim.RuleArticles, zh: "有 2 条图文，这里微信只显示前 1 条", en: "of 2 articles WeChat shows the first 1"},
	{name: "nine articles to a click", message: click, got: ok(newsXML("9", slices.Repeat([]string{item}, 9)...)), outcome: sim.Answered, rule: sim.RuleArticles, zh: "有 9 条图文，这里微信只显示前 8 条", en: "of 9 articles WeChat shows the first 8"},
	{name: "empty PicUrl", got: ok(newsXML("1", strings.Replace(item, "https://example.com/p.jpg", "", 1))), outcome: sim.Answered, rule: sim.RuleEmpty, zh: "第 1 条图文的 PicUrl 是空的", en: "PicUrl of article 1 is empty"},
	{name: "a reply to VIEW", message: view, got: ok(textXML("hi")), outcome: sim.Acknowledged, rule: sim.RuleUnreachable, zh: "不会显示给任何人", en: "reaches nobody"},
	{name: "a reply to a job result", message: jobResult, got: ok(textXML("hi")), outcome: sim.Acknowledged, rule: sim.RuleUnreachable, zh: "回 success 就好", en: "answer success"},
	{name: "a line break in HTML", got: ok(textXML("一<br/>二")), outcome: sim.Answered, rule: sim.RuleMarkup, zh: "文字里的 <br/> 会原样显示", en: "<br/> in the text is shown as it stands"},
	{name: "a line break in C", got: ok(textXML(`一\n二`)), outcome: sim.Answered, rule: sim.RuleMarkup, zh: `\n 会原样显示`, en: `\n in the text`},
	{name: "an entity in CDATA", got: ok(textXML("a &lt; b")), outcome: sim.Answered, rule: sim.RuleMarkup, zh: "&lt;", en: "&lt;"},
	{name: "a link without href", got: ok(textXML("<a>x</a>")), outcome: sim.Answered, rule: sim.RuleMarkup, zh: "<a", en: "<a"},
	{name: "a menu link without id", got: ok(textXML(`<a href="weixin://bizmsgmenu?msgmenucontent=x&msgmenuid=">查</a>`)), outcome: sim.Answered, rule: sim.RuleMenu, zh: "菜单链接“查”点了没有反应", en: `menu link "查" does nothing`},
	{name: "a menu link with an entity", got: ok(textXML(`<a href="weixin://bizmsgmenu?msgmenucontent=x&amp;msgmenuid=1">查</a>`)), outcome: sim.Answered, rule: sim.RuleMenu, zh: "查", en: "查"},
}

func TestTaken(t *testing.T) {
	for _, tt := range taken {
		t.Run(tt.name, func(t *testing.T) {
			v := judge(tt)
			if v.Outcome != tt.outcome || !v.OK() {
				t.Fatalf("outcome %q, want %q; %v", v.Outcome, tt.outcome, v.Problem)
			}
			if got, want := len(v.Bubbles), map[sim.Outcome]int{sim.Answered: 1}[tt.outcome]; got != want {
				t.Errorf("%d bubbles, want %d", got, want)
			}
			if tt.rule == "" {
				if v.Notes != nil {
					t.Errorf("notes: %v", v.Notes)
				}
				return
			}
			if len(v.Notes) == 0 {
				t.Fatal("no note")
			}
			check(t, v.Notes[0], tt)
		})
	}
}

// Every rule of the package is broken by some test.
func TestEveryRuleIsTested(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "rules.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	tested := map[sim.Rule]bool{sim.RuleSize: true} // TestDeliverEndless
	for _, tt := range append(slices.Clone(refused), taken...) {
		tested[tt.rule] = true
	}
	for _, tt := range echoes {
		tested[tt.rule] = true
	}
	n := 0
	ast.Inspect(f, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		n++
		if !tested[sim.Rule(value)] {
			t.Errorf("no test breaks %s", spec.Names[0])
		}
		return true
	})
	if n < 30 {
		t.Errorf("only %d rules found", n)
	}
}

// A fault on what nobody sees puts nothing into a chat, and an unusable body
// may be repeated first.
func TestWhoSeesTheNotice(t *testing.T) {
	for _, tt := range []struct {
		name    string
		rules   sim.Rules
		message oa.Message
		outcome sim.Outcome
		bubbles int
	}{
		{"message", sim.Rules{}, text, sim.Refused, 1},
		{"click", sim.Rules{}, click, sim.Refused, 1},
		{"unsubscribe", sim.Rules{}, &oa.UnsubscribeEvent{EventHeader: event("unsubscribe")}, sim.Refused, 0},
		{"view", sim.Rules{}, view, sim.Refused, 0},
		{"ticket", sim.Rules{}, ticket, sim.Refused, 0},
		{"repeated first", sim.Rules{RepeatUnusable: true}, text, sim.Repeated, 0},
	} {
		v := tt.rules.Judge(sim.Delivery{Account: plain, Message: tt.message}, ok("oops"))
		if v.Outcome != tt.outcome || len(v.Bubbles) != tt.bubbles || v.Problem == nil {
			t.Errorf("%s: %+v", tt.name, v)
		}
	}
}

func TestBubbles(t *testing.T) {
	article := sim.Article{Title: "标题", Description: "说明", PicURL: "https://example.com/p.jpg", URL: "https://example.com/a"}
	for _, tt := range []struct {
		name    string
		message oa.Message
		body    string
		want    sim.Bubble
	}{
		{"text", text, textXML("一\r\n二"), sim.Bubble{Kind: "text", Text: []sim.Span{{Text: "一\n二"}}}},
		{"image", text, replyXML("image", "<Image>\n<MediaId><![CDATA[m1]]></MediaId>\n</Image>"), sim.Bubble{Kind: "image", MediaID: "m1"}},
		{"voice", text, replyXML("voice", "<Voice><MediaId>m2</MediaId></Voice>"), sim.Bubble{Kind: "voice", MediaID: "m2"}},
		{"video", text, replyXML("video", "<Video><MediaId>m3</MediaId><Title>t</Title><Description>d</Description></Video>"), sim.Bubble{Kind: "video", MediaID: "m3", Title: "t", Description: "d"}},
		{"music", text, replyXML("music", "<Music><Title>t</Title><Description>d</Description><MusicUrl>u</MusicUrl><HQMusicUrl>h</HQMusicUrl><ThumbMediaId>m4</ThumbMediaId></Music>"), sim.Bubble{Kind: "music", Title: "t", Description: "d", URL: "u", HQURL: "h", ThumbMediaID: "m4"}},
		{"news", click, newsXML("2", item, item), sim.Bubble{Kind: "news", Articles: []sim.Article{article, article}}},
		{"news to a message", text, newsXML("2", item, item), sim.Bubble{Kind: "news", Articles: []sim.Article{article}}},
		{"transfer", text, replyXML("transfer_customer_service", ""), sim.Bubble{Kind: "transfer_customer_service"}},
		{"transfer to one", text, replyXML("transfer_customer_service", "<TransInfo><KfAccount>test1@test</KfAccount></TransInfo>"), sim.Bubble{Kind: "transfer_customer_service", Agent: "test1@test"}},
		{"transfer to AI", text, replyXML("transfer_biz_ai_ivr", ""), sim.Bubble{Kind: "transfer_biz_ai_ivr"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := sim.Rules{}.Judge(sim.Delivery{Account: plain, Message: tt.message}, ok(tt.body))
			if v.Problem != nil {
				t.Fatal(v.Problem)
			}
			if diff := cmp.Diff([]sim.Bubble{tt.want}, v.Bubbles); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSpans(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []sim.Span
	}{
		{"", nil},
		{"没有链接", []sim.Span{{Text: "没有链接"}}},
		{`看<a href="https://example.com/?a=1&b=2">这里</a>吧`, []sim.Span{{Text: "看"}, {Text: "这里", URL: "https://example.com/?a=1&b=2"}, {Text: "吧"}}},
		{`<a href='x'>y</a>`, []sim.Span{{Text: "y", URL: "x"}}},
		{`<a data-miniprogram-appid="wx1" href="https://e.com">小程序</a>`, []sim.Span{{Text: "小程序", URL: "https://e.com"}}},
		{`<a href="weixin://bizmsgmenu?msgmenucontent=%E6%9F%A5%E8%AF%A2&msgmenuid=101">查询</a>`, []sim.Span{{Text: "查询", URL: "weixin://bizmsgmenu?msgmenucontent=%E6%9F%A5%E8%AF%A2&msgmenuid=101", Say: "查询", MenuID: "101"}}},
		{"见https://example.com/a?b=c。或 http://e.com, 都行", []sim.Span{{Text: "见"}, {Text: "https://example.com/a?b=c", URL: "https://example.com/a?b=c"}, {Text: "。或 "}, {Text: "http://e.com", URL: "http://e.com"}, {Text: ", 都行"}}},
		{`<a href="x">没有结束`, []sim.Span{{Text: `<a href="x">没有结束`}}},
		{`<a title="x">y</a>`, []sim.Span{{Text: `<a title="x">y</a>`}}},
		{"<a href=\"u\">两\n行</a>", []sim.Span{{Text: "两\n行", URL: "u"}}},
	} {
		if diff := cmp.Diff(tt.want, sim.Spans(tt.text)); diff != "" {
			t.Errorf("%q: %s", tt.text, diff)
		}
	}
}

var echoes = []struct {
	name   string
	rules  sim.Rules
	got    sim.Response
	rule   sim.Rule
	zh, en string
}{
	{name: "right", got: ok("4375120948345356249")},
	{name: "line break allowed", rules: sim.Rules{AllowBlanks: true}, got: ok("4375120948345356249\n")},
	{name: "empty", got: ok(""), rule: sim.RuleEchoStr, zh: "Token 一样吗", en: "Token"},
	{name: "quotes", got: ok(`"4375120948345356249"`), rule: sim.RuleEchoStr, zh: "带了引号", en: "quotes"},
	{name: "line break", got: ok("4375120948345356249\n"), rule: sim.RuleEchoStr, zh: "空白或换行", en: "line breaks"},
	{name: "BOM", got: ok("\ufeff4375120948345356249"), rule: sim.RuleLeading, zh: "BOM", en: "BOM"},
	{name: "HTML", got: ok("<html>4375120948345356249</html>"), rule: sim.RuleHTML, zh: "HTML", en: "HTML"},
	{name: "debug output", got: ok("ok 4375120948345356249"), rule: sim.RuleEchoStr, zh: "多余的输出", en: "other output"},
	{name: "something else", got: ok("hello"), rule: sim.RuleEchoStr, zh: `"hello" 不是 echostr`, en: `"hello" is not echostr`},
	{name: "403", got: status(403), rule: sim.RuleStatus, zh: "403", en: "403"},
	{name: "redirect", got: status(302, "Location", "https://example.com/"), rule: sim.RuleRedirect, zh: "重定向", en: "redirects"},
	{name: "late", got: failed(context.DeadlineExceeded), rule: sim.RuleTimeout, zh: "5 秒", en: "5 s"},
}

func TestJudgeCheck(t *testing.T) {
	for _, tt := range echoes {
		t.Run(tt.name, func(t *testing.T) {
			v := tt.rules.JudgeCheck("4375120948345356249", tt.got)
			if tt.rule == "" {
				if v.Outcome != sim.Verified || !v.OK() {
					t.Fatalf("%+v", v)
				}
				return
			}
			if v.Outcome != sim.Refused || v.OK() {
				t.Fatalf("%+v", v)
			}
			check(t, *v.Problem, verdictTest{rule: tt.rule, zh: tt.zh, en: tt.en})
		})
	}
}

// Whatever a server sends, the judge comes to a verdict that can be printed,
// and takes nothing that encoding/xml behind oa would not read either.
func FuzzJudge(f *testing.F) {
	for _, tt := range append(slices.Clone(refused), taken...) {
		f.Add(tt.got.Body, 0)
	}
	for _, tt := range []struct{ msgType, more string }{{"music", "<Music><ThumbMediaId>m</ThumbMediaId></Music>"}, {"transfer_customer_service", ""}} {
		f.Add([]byte(replyXML(tt.msgType, tt.more)), 1)
	}
	f.Add([]byte(seal(secure, textXML("hi"))), 2)
	accounts := []oa.Account{plain, compat, secure}
	messages := []oa.Message{text, click, view, ticket}
	f.Fuzz(func(t *testing.T, body []byte, which int) {
		which = max(which, -which, 0)
		account, message := accounts[which%3], messages[which/3%4]
		got := ok("")
		got.Body = body
		before := bytes.Clone(body)
		v := sim.Rules{}.Judge(sim.Delivery{Account: account, Message: message}, got)
		if !bytes.Equal(before, body) {
			t.Fatal("the body was changed")
		}
		e := sim.Exchange{Mode: account.Mode, Message: message, Response: got, Verdict: v}
		if s := e.Transcript(); strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 && r != '\n' || r >= 0x7f && r < 0xa0 }) {
			t.Fatalf("control character in %q", s)
		}
		switch v.Outcome {
		case sim.Answered:
			if v.Problem != nil || len(v.Bubbles) != 1 {
				t.Fatalf("%+v", v)
			}
			if _, err := oa.ParseElements(body); err != nil {
				t.Fatalf("shown, but not read by oa: %v", err)
			}
		case sim.Acknowledged:
			if v.Problem != nil || v.Bubbles != nil {
				t.Fatalf("%+v", v)
			}
		case sim.Refused:
			if v.Problem == nil || v.Problem.Rule == "" {
				t.Fatalf("%+v", v)
			}
		default:
			t.Fatal(v.Outcome)
		}
	})
}

func BenchmarkJudge(b *testing.B) {
	for _, tt := range []struct {
		name    string
		account oa.Account
		body    string
	}{{"plain", plain, textXML("你好")}, {"secure", secure, seal(secure, textXML("你好"))}} {
		b.Run(tt.name, func(b *testing.B) {
			d, got := sim.Delivery{Account: tt.account, Message: text}, ok(tt.body)
			b.ReportAllocs()
			for b.Loop() {
				if v := (sim.Rules{}).Judge(d, got); !v.OK() {
					b.Fatal(v.Problem)
				}
			}
		})
	}
}

func ExampleRules_Judge() {
	d := sim.Delivery{
		Account: oa.Account{Token: "hello"},
		Message: &oa.TextMessage{Header: oa.Header{ToUserName: "gh_0123456789ab", FromUserName: "oAbC"}, Content: "你好"},
	}
	v := sim.Rules{}.Judge(d, sim.Response{Status: 200, Body: []byte(`"success"`)})
	fmt.Println(v.Outcome)
	fmt.Println(v.Bubbles[0])
	fmt.Println(v.Problem)
	// Output:
	// refused
	// 该公众号提供的服务出现故障，请稍后再试
	// success 带了引号 "success"，必须正好是 7 个字节 success（success stands in quotes "success", it must be exactly the 7 bytes success）
}
