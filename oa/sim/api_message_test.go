package sim_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/api"
	"github.com/wenzihq/wenzi/oa/sim"
)

// Every type of customer-service message is shown as what it is.
func TestCustomMessages(t *testing.T) {
	p, c, _ := menuPlatform(t, nil)
	u := p.Follower()
	p.SetSettings(sim.Settings{MessageQuota: 100})
	u.Say("在吗")
	p.Account.KeepArticle("ARTICLE", "文章", "https://mp.weixin.qq.com/s/a")
	upload := func(kind, name string) string {
		got, err := c.Media.Upload(t.Context(), api.MediaUploadRequest{Type: kind, Media: mediaFile(name, "x")})
		if err != nil {
			t.Fatal(err)
		}
		return got.MediaID + got.ThumbMediaID
	}
	image, voice, video, thumb := upload("image", "a.png"), upload("voice", "a.mp3"), upload("video", "a.mp4"), upload("thumb", "a.jpg")
	permanent, err := c.Material.Add(t.Context(), api.MaterialAddRequest{Type: "image", Media: mediaFile("a.png", "x")})
	if err != nil {
		t.Fatal(err)
	}
	to := u.OpenID()
	for _, tt := range []struct {
		message api.CustomMessageSendRequest
		want    string
	}{
		{api.CustomText(to, "见 <a href=\"https://example.com/?a=1&b=2\">这里</a>"), "见 这里（https://example.com/?a=1&b=2）"},
		{api.CustomText(to, strings.Repeat("a", 2048)), strings.Repeat("a", 2048)},
		{api.CustomText(to, "一\r\n二"), "一\n二"},
		{api.CustomImage(to, image), "[图片] " + image},
		{api.CustomImage(to, permanent.MediaID), "[图片] " + permanent.MediaID},
		{api.CustomVoice(to, voice), "[语音] " + voice},
		{api.CustomVideo(to, api.MessageVideo{MediaID: video, ThumbMediaID: thumb, Title: "片名"}), "[视频] 片名 " + video},
		{api.CustomMusic(to, api.MessageMusic{Title: "歌", MusicURL: "https://example.com/a.mp3", ThumbMediaID: thumb}), "[音乐] 歌 " + thumb + "\n  https://example.com/a.mp3"},
		{api.CustomNews(to, api.MessageNewsArticle{Title: "标题", URL: "https://example.com/a"}), "[图文] 标题\n  https://example.com/a"},
		{api.CustomMessageSendRequest{ToUser: to, MsgType: "mpnews", MPNews: api.MessageMedia{MediaID: "ARTICLE"}}, "[图文] 文章\n  https://mp.weixin.qq.com/s/a"},
		{api.CustomArticle(to, "ARTICLE"), "[图文] 文章\n  https://mp.weixin.qq.com/s/a"},
		{
			api.CustomMenu(to, api.MessageMenu{HeadContent: "满意吗", List: []api.MessageMenuItem{{ID: "101", Content: "满意"}, {ID: "x", Content: "不满意"}}, TailContent: "谢谢"}),
			"满意吗\n满意（点按发送“满意”）\n不满意（点按发送“不满意”）\n谢谢",
		},
		{api.CustomMessageSendRequest{ToUser: to, MsgType: "wxcard", WxCard: api.MessageCard{CardID: "CARD"}}, "[卡券] CARD"},
		{api.CustomMiniProgram(to, api.MessageMiniProgram{Title: "程序", AppID: "wxa", PagePath: "pages/a", ThumbMediaID: image}), "[小程序] 程序\n  wxa pages/a"},
		{api.CustomMessageSendRequest{ToUser: to, MsgType: "text", Text: api.MessageText{Content: "答"}, AIMsgContext: api.AIMark{IsAIMsg: 1}}, "答\n（内容由第三方 AI 生成）"},
	} {
		if err := c.CustomMessage.Send(t.Context(), tt.message); err != nil {
			t.Errorf("%s: %v", tt.message.MsgType, err)
			continue
		}
		chat := u.Chat()
		last := chat[len(chat)-1]
		if last.From != sim.FromAccount || last.Via != sim.ViaPush || last.Bubble.Kind != tt.message.MsgType {
			t.Errorf("%s: %+v", tt.message.MsgType, last)
		}
		if diff := cmp.Diff(tt.want, last.Bubble.String()); diff != "" {
			t.Errorf("%s: %s", tt.message.MsgType, diff)
		}
	}
}

func TestCustomMessageRefused(t *testing.T) {
	p, c, _ := menuPlatform(t, nil)
	u, gone, black := p.Follower(), p.Follower(), p.Follower()
	u.Say("在吗")
	gone.Say("在吗")
	gone.Unsubscribe()
	black.Say("在吗")
	black.Block()
	silent := p.Follower()
	got, err := c.Media.Upload(t.Context(), api.MediaUploadRequest{Type: "voice", Media: mediaFile("a.mp3", "x")})
	if err != nil {
		t.Fatal(err)
	}
	voice := got.MediaID
	msg := func(msgType, object string) string {
		if object != "" {
			object = `,"` + msgType + `":` + object
		}
		return `{"touser":"` + u.OpenID() + `","msgtype":"` + msgType + `"` + object + `}`
	}
	text := `{"content":"hi"}`
	for _, tt := range []struct {
		name, body string
		code       int
	}{
		{"a foreign OpenID", `{"touser":"oForeign","msgtype":"text","text":` + text + `}`, 40003},
		{"who left", `{"touser":"` + gone.OpenID() + `","msgtype":"text","text":` + text + `}`, 43004},
		{"who is on the blacklist", `{"touser":"` + black.OpenID() + `","msgtype":"text","text":` + text + `}`, 43019},
		{"no OpenID", `{"msgtype":"text","text":` + text + `}`, 41009},
		{"an unknown type", msg("link", text), 40008},
		{"no object", msg("image", ""), 40008},
		{"no text", msg("text", ""), 44004},
		{"an empty text", msg("text", `{"content":""}`), 44004},
		{"a long text", msg("text", `{"content":"`+strings.Repeat("a", 2049)+`"}`), 45002},
		{"another object besides", `{"touser":"` + u.OpenID() + `","msgtype":"text","text":` + text + `,"image":{"media_id":"m"}}`, 40008},
		{"another object of null besides", `{"touser":"` + u.OpenID() + `","msgtype":"text","text":` + text + `,"image":null}`, 40008},
		{"another object of nothing besides", `{"touser":"` + u.OpenID() + `","msgtype":"text","text":` + text + `,"image":""}`, 47001},
		{"unknown material", msg("image", `{"media_id":"m"}`), 40007},
		{"a voice as a picture", msg("image", `{"media_id":"`+voice+`"}`), 40007},
		{"no material", msg("voice", `{}`), 41006},
		{"a video without cover", msg("video", `{"media_id":"`+voice+`","thumb_media_id":"t"}`), 40007},
		{"music without cover", msg("music", `{"musicurl":"u","thumb_media_id":"`+voice+`"}`), 40007},
		{"no article", msg("news", `{"articles":[]}`), 44003},
		{"two articles", msg("news", `{"articles":[{"title":"a","url":"u"},{"title":"a","url":"u"}]}`), 45008},
		{"unknown articles", msg("mpnews", `{"media_id":"m"}`), 40007},
		{"an unknown article", msg("mpnewsarticle", `{"article_id":"m"}`), 40007},
		{"a menu without entries", msg("msgmenu", `{"head_content":"h","list":[]}`), 40035},
		{"a menu's entry without id", msg("msgmenu", `{"list":[{"id":"","content":"c"}]}`), 40035},
		{"a mini program without AppID", msg("miniprogrampage", `{"title":"t","appid":"","pagepath":"p","thumb_media_id":"m"}`), 40013},
		{"a mini program without page", msg("miniprogrampage", `{"title":"t","appid":"wxa","pagepath":"","thumb_media_id":"m"}`), 40035},
		{"a mini program without cover", msg("miniprogrampage", `{"title":"t","appid":"wxa","pagepath":"p","thumb_media_id":"m"}`), 40007},
		{"a card without id", msg("wxcard", `{"card_id":""}`), 40035},
		{"an unknown agent", `{"touser":"` + u.OpenID() + `","msgtype":"text","text":` + text + `,"customservice":{"kf_account":"nobody@x"}}`, 65401},
		{"numbers for strings", msg("text", `{"content":7}`), 0},
	} {
		if code, answer := apiRawMenu(t, p.Platform, "POST", "/cgi-bin/message/custom/send", "", tt.body); code != tt.code {
			t.Errorf("%s: %s, want %d", tt.name, answer, tt.code)
		}
	}
	if n := u.Credit().Left; n != 4 {
		t.Errorf("what was refused cost credit: %d are left", n)
	}
	if err := c.CustomMessage.Send(t.Context(), api.CustomText(silent.OpenID(), "hi")); apiCodeMenu(err) != 45015 || !errors.Is(err, api.ErrWindowClosed) {
		t.Errorf("who never said a word: %v", err)
	}
	p.Account.SetKind(sim.Service)
	if err := c.CustomMessage.Send(t.Context(), api.CustomText(u.OpenID(), "hi")); apiCodeMenu(err) != 48001 {
		t.Errorf("an account without the right: %v", err)
	}
}

// Five pushes in 48 hours after a message, three in a minute after a click
// (reference §9.3).
func TestCustomMessageWindows(t *testing.T) {
	p, c, _ := menuPlatform(t, nil)
	u := p.Follower()
	send := func() int {
		return apiCodeMenu(c.CustomMessage.Send(t.Context(), api.CustomText(u.OpenID(), "hi")))
	}
	expect := func(what string, n, then int) {
		t.Helper()
		for i := range n {
			if code := send(); code != 0 {
				t.Errorf("%s: push %d fails with %d", what, i+1, code)
			}
		}
		if code := send(); code != then {
			t.Errorf("%s: after %d pushes %d, want %d", what, n, code, then)
		}
	}
	expect("nothing", 0, 45015)
	u.Say("在吗")
	expect("a message", 5, 45047)
	u.Say("在吗")
	p.Advance(48*time.Hour - time.Second)
	expect("a message long ago", 5, 45047)
	p.Advance(time.Second)
	expect("a message too long ago", 0, 45015)
	u.Click("K")
	expect("a click", 3, 45047)
	p.Advance(time.Minute)
	expect("a click a minute ago", 0, 45015)
	u.Say("在吗")
	u.Unsubscribe()
	u.Subscribe()
	expect("following again", 3, 45047)
}

// Tapping an entry of a menu message comes back as its text and its id.
func TestMenuMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, in := menuPlatform(t, nil)
		u := p.Follower()
		u.Say("在吗")
		in.take()
		menu := api.MessageMenu{HeadContent: "见 https://example.com", List: []api.MessageMenuItem{{ID: "101", Content: "满意"}, {ID: "102", Content: "不满意"}}}
		if err := c.CustomMessage.Send(t.Context(), api.CustomMenu(u.OpenID(), menu)); err != nil {
			t.Fatal(err)
		}
		chat := u.Chat()
		links := chat[len(chat)-1].Links()
		if len(links) != 3 || links[0].URL != "https://example.com" {
			t.Fatalf("%+v", links)
		}
		u.Tap(links[2])
		m := in.take()[0].(*oa.TextMessage)
		if m.Content != "不满意" || m.MenuID != "102" {
			t.Errorf("%+v", m)
		}
		if n := u.Credit().Left; n != 4+3 {
			t.Errorf("the tap counts as a click: %d pushes are left, want 7", n)
		}
	})
}

func TestTyping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, _ := menuPlatform(t, nil)
		u := p.Follower()
		typing := func(openID, command string) int {
			return apiCodeMenu(c.CustomMessage.Typing(t.Context(), api.CustomMessageTypingRequest{ToUser: openID, Command: command}))
		}
		p.Events(0)
		steps := []struct {
			name  string
			do    func() int
			code  int
			shown bool
		}{
			{"before a word", func() int { return typing(u.OpenID(), "Typing") }, 45080, false},
			{"of a foreigner", func() int { return typing("oForeign", "Typing") }, 40003, false},
			{"after a word", func() int { u.Say("在吗"); return typing(u.OpenID(), "Typing") }, 0, true},
			{"again", func() int { return typing(u.OpenID(), "Typing") }, 45081, true},
			{"in lower case", func() int { return typing(u.OpenID(), "typing") }, 45072, true},
			{"taken back", func() int { return typing(u.OpenID(), "CancelTyping") }, 0, false},
			{"taken back again", func() int { return typing(u.OpenID(), "CancelTyping") }, 0, false},
			{"once more", func() int { return typing(u.OpenID(), "Typing") }, 0, true},
			{"for 15 seconds", func() int { time.Sleep(15 * time.Second); synctest.Wait(); return 0 }, 0, false},
			{"at last", func() int { time.Sleep(15 * time.Second); return typing(u.OpenID(), "Typing") }, 0, true},
			{"answered", func() int {
				return apiCodeMenu(c.CustomMessage.Send(t.Context(), api.CustomText(u.OpenID(), "hi")))
			}, 0, false},
			{"too late", func() int { time.Sleep(time.Second); return typing(u.OpenID(), "Typing") }, 45080, false},
		}
		for _, s := range steps {
			if code := s.do(); code != s.code || u.Typing() != s.shown {
				t.Errorf("%s: code %d, shown %v; want %d, %v", s.name, code, u.Typing(), s.code, s.shown)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		events, _ := p.Events(0)
		var got []bool
		for _, e := range events {
			if e.Type == sim.EventTyping {
				got = append(got, e.Typing)
			}
		}
		// That the message ended the last one shows the entry itself.
		if diff := cmp.Diff([]bool{true, false, true, false, true}, got); diff != "" {
			t.Error(diff)
		}
		u.Say("在吗")
		u.Unsubscribe()
		if code := typing(u.OpenID(), "Typing"); code != 45080 {
			t.Errorf("to who left: %d", code)
		}
	})
}
