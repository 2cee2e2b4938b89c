package sim_test

import (
	"context"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

var update = flag.Bool("update", false, "write the golden files")

// What a person sees, for every kind of answer; testdata/transcripts.txt was
// read by a person.
func TestTranscripts(t *testing.T) {
	var b strings.Builder
	show := func(title string, account oa.Account, m oa.Message, got sim.Response) {
		e := sim.Exchange{Mode: account.Mode, Message: m, Response: got}
		if m == nil {
			e.Verdict = sim.Rules{}.JudgeCheck("4375120948345356249", got)
		} else {
			e.Verdict = sim.Rules{}.Judge(sim.Delivery{Account: account, Message: m}, got)
		}
		b.WriteString("# " + title + "\n" + e.Transcript() + "\n")
	}
	long := "第一行\n<a href=\"https://example.com/?a=1&b=2\">链接</a>，见 https://example.com\n" +
		`<a href="weixin://bizmsgmenu?msgmenucontent=%E6%9F%A5%E8%AF%A2&msgmenuid=101">查询</a>`
	show("text", plain, text, ok(textXML("你好")))
	show("text of more than one line, with links", plain, text, ok(textXML(long)))
	show("a text longer than the column", plain, text, ok(textXML("终于等到你，发送任意文字，我来回答，什么都可以问。")))
	show("image", plain, text, ok(replyXML("image", "<Image><MediaId>m1</MediaId></Image>")))
	show("voice", plain, text, ok(replyXML("voice", "<Voice><MediaId>m2</MediaId></Voice>")))
	show("video", plain, text, ok(replyXML("video", "<Video><MediaId>m3</MediaId><Title>片名</Title><Description>说明</Description></Video>")))
	show("music", plain, text, ok(replyXML("music", "<Music><Title>歌名</Title><MusicUrl>https://example.com/a.mp3</MusicUrl><ThumbMediaId>m4</ThumbMediaId></Music>")))
	show("news to a click, compat", oa.Account{Token: "hello", Mode: oa.Compat, AppID: appID, AESKey: aesKey}, click, ok(newsXML("2", item, item)))
	show("news to a message", plain, text, ok(newsXML("2", item, item)))
	show("transfer", plain, text, ok(replyXML("transfer_customer_service", "<TransInfo><KfAccount>test1@test</KfAccount></TransInfo>")))
	show("transfer to AI", plain, text, ok(replyXML("transfer_biz_ai_ivr", "")))
	show("success", plain, text, after(300*time.Microsecond, ok("success")))
	show("nothing, secure", oa.Account{Token: "hello", Mode: oa.Secure, AppID: appID, AESKey: aesKey}, text, ok(""))
	show("a reply nobody sees", plain, view, ok(textXML("hi")))
	show("unusable", plain, text, ok(`{"errcode":0}`))
	show("unusable, in answer to what nobody sees", plain, view, ok(`"success"`))
	show("status", plain, text, status(500))
	show("status, in answer to what nobody sees", plain, view, status(500))
	show("too late", plain, text, sim.Response{Err: context.DeadlineExceeded, Elapsed: 5 * time.Second})
	show("the terminal is not steered", plain, text, ok(textXML("\u009b31m红\u202e")))
	show("check passed", plain, nil, ok("4375120948345356249"))
	show("check failed", plain, nil, ok("hello"))

	golden := filepath.Join("testdata", "transcripts.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestDescribe(t *testing.T) {
	for _, tt := range []struct {
		message oa.Message
		want    string
	}{
		{text, "你好"},
		{&oa.ImageMessage{MediaID: "m"}, "[图片] m"},
		{&oa.VoiceMessage{MediaID: "m", Recognition: "你好"}, "[语音] 你好 m"},
		{&oa.VideoMessage{MediaID: "m"}, "[视频] m"},
		{&oa.LocationMessage{Label: "广州塔", Latitude: 23.1, Longitude: 113.3}, "[位置] 广州塔 23.1,113.3"},
		{&oa.LinkMessage{Title: "t", URL: "https://example.com"}, "[链接] t https://example.com"},
		{&oa.FileMessage{Title: "a.pdf"}, "[文件] a.pdf"},
		{&oa.UnknownMessage{Header: head("hologram")}, "[消息] hologram"},
		{&oa.SubscribeEvent{EventHeader: event("subscribe")}, "[关注]"},
		{&oa.SubscribeEvent{EventHeader: event("subscribe"), EventKey: "qrscene_7"}, "[关注] qrscene_7"},
		{&oa.UnsubscribeEvent{}, "[取消关注]"},
		{&oa.ScanEvent{Scene: "7"}, "[扫码] 7"},
		{&oa.LocationEvent{Latitude: 1, Longitude: 2}, "[上报位置] 1,2"},
		{click, "[点菜单] ABOUT"},
		{view, "[点菜单，打开网页] https://example.com/"},
		{&oa.ViewMiniProgramEvent{Page: "p"}, "[点菜单，打开小程序] p"},
		{jobResult, "[事件] TEMPLATESENDJOBFINISH"},
		{ticket, "[授权推送] component_verify_ticket"},
	} {
		if got := sim.Describe(tt.message); got != tt.want {
			t.Errorf("%T: %q, want %q", tt.message, got, tt.want)
		}
	}
}

// A repeat says which it is, and why it failed in a few words.
func TestAttemptTranscripts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := account(oa.Plain)
		n := 0
		p := sim.Start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if n++; n < 3 {
				w.WriteHeader(500)
			}
			io.WriteString(w, "success")
		}), c)
		fails := sim.ReceiverConfig{Name: "agency", Account: oa.Account{Token: "x"}, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		})}
		if err := p.Account.AddReceiver(fails); err != nil {
			t.Fatal(err)
		}
		s := p.Follower().Say("你好")
		s.Wait(t.Context())
		var own, other strings.Builder
		for _, a := range s.Attempts() {
			if a.Receiver == "" {
				own.WriteString(a.Transcript())
			} else {
				other.WriteString(a.Transcript())
			}
		}
		want := `公众号    （没有看到回复）              （不到 1 毫秒，明文）
微信会拒绝这个回复：HTTP 状态是 500，必须是 200（WeChat would refuse the reply: the HTTP status is 500, it must be 200）
微信会再次投递，都失败后粉丝看到“该公众号提供的服务出现故障，请稍后再试”（WeChat delivers again, and shows the fault notice in the end）
公众号    （HTTP 状态是 500，必须是 200）（不到 1 毫秒，明文，第 2 次投递）
公众号    （不回复）                    （不到 1 毫秒，明文，success，第 3 次投递）
`
		if diff := cmp.Diff(want, own.String()); diff != "" {
			t.Error(diff)
		}
		if want := "公众号    （连不上服务器，或连接中断）  （不到 1 毫秒，明文，第 3 次投递，第三方平台 agency）\n"; !strings.HasSuffix(other.String(), want) {
			t.Error(other.String())
		}
	})
}

func TestLine(t *testing.T) {
	if got, want := sim.Line("我\x1b", "一\n二\u202e", "（三\x1b）"), "我        一\n          二                            （三 ）\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
