package api_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/wenzihq/wenzi/catalogue"
	"github.com/wenzihq/wenzi/oa/api"
)

func TestJSConfig(t *testing.T) {
	// The worked example of reference api-rules §14.
	if got := api.SignPage("TICKET", "NONCE", 1700000000, "https://example.com/p?a=1&b=2#top"); got != "b464fa27b92398530c993305af2099e0795ee2dd" {
		t.Errorf("signature %s", got)
	}
	p := newPlatform(t)
	now := time.Now()
	c := p.client(api.WithClock(func() time.Time { return now }))
	page := "https://example.com/p?a=1&b=2"
	for range 3 {
		config, err := c.JSConfig(t.Context(), page, "example.com")
		if err != nil {
			t.Fatal(err)
		}
		var ticket struct {
			Ticket string `json:"ticket"`
		}
		if err := json.Unmarshal(sampleOf(t, "jsapi_ticket_get"), &ticket); err != nil {
			t.Fatal(err)
		}
		if config.AppID != appID || config.Timestamp != now.Unix() || config.Signature != api.SignPage(ticket.Ticket, config.NonceStr, now.Unix(), page) {
			t.Errorf("%+v", config)
		}
	}
	if n := p.count("/cgi-bin/ticket/getticket"); n != 1 {
		t.Errorf("%d ticket calls, want 1", n)
	}
	if _, err := c.CardTicket(t.Context()); err != nil || p.count("/cgi-bin/ticket/getticket") != 2 {
		t.Errorf("the ticket of cards is another one: %v", err)
	}
	for _, bad := range []string{"https://evil.example/", "https://example.com.evil.example/", "javascript:alert(1)", "//example.com/", "%"} {
		if _, err := c.JSConfig(t.Context(), bad, "example.com"); !errors.Is(err, api.ErrBadRequest) {
			t.Errorf("%s was signed: %v", bad, err)
		}
	}
	if api.SignCard("b", "a", "c") != api.SignCard("c", "b", "a") || api.SignCard("abc") != "a9993e364706816aba3e25717850c26c9cd0d89d" {
		t.Error("card signature")
	}
}

func sampleOf(t *testing.T, id string) []byte {
	t.Helper()
	e, ok := catalogue.Load().Endpoint(id)
	if !ok {
		t.Fatalf("no endpoint %s", id)
	}
	return e.SampleResponse
}

func TestPages(t *testing.T) {
	c, err := api.NewClient(api.Account{AppID: appID, Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	got := c.AuthorizeURL("https://example.com/cb?x=1&y=二", api.ScopeBase, "s1")
	want := "https://open.weixin.qq.com/connect/oauth2/authorize?appid=" + appID +
		"&redirect_uri=https%3A%2F%2Fexample.com%2Fcb%3Fx%3D1%26y%3D%E4%BA%8C&response_type=code&scope=snsapi_base&state=s1#wechat_redirect"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := c.QRCodeURL("gQ+/ =="); got != "https://mp.weixin.qq.com/cgi-bin/showqrcode?ticket="+url.QueryEscape("gQ+/ ==") {
		t.Error(got)
	}
}

func TestExchangeCode(t *testing.T) {
	p := newPlatform(t)
	resp, err := p.client().ExchangeCode(t.Context(), "CODE1")
	if err != nil || resp.OpenID == "" || p.count(stablePath) != 0 {
		t.Errorf("%+v %v, %d token calls", resp, err, p.count(stablePath))
	}
	p.on("/sns/oauth2/access_token", func(w http.ResponseWriter, r *http.Request) { refuse(w, 40163, "code been used") })
	if _, err := p.client().ExchangeCode(t.Context(), "CODE1"); !errors.Is(err, api.ErrReauthorize) {
		t.Error(err)
	}
}

func TestMenu(t *testing.T) {
	p := newPlatform(t)
	menu, err := api.NewMenu(
		api.ClickButton("最新活动", "NEW"),
		api.SubMenu("更多",
			api.ViewButton("官网", "https://example.com/?a=1&b=2"),
			api.MiniProgramButton("小程序", "wx0000000000000002", "pages/index", "https://example.com/"),
			api.ScanButton("扫码", "SCAN", true),
			api.PhotoButton("拍照", "PHOTO", "pic_sysphoto"),
			api.LocationButton("位置", "PLACE")),
		api.ArticleViewButton("文章", "ARTICLE_ID"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.client().Menu.Create(t.Context(), menu); err != nil {
		t.Error(err)
	}
	long := func(n int) string { return strings.Repeat("x", n) }
	ok := api.ClickButton("ok", "k")
	for name, buttons := range map[string][]api.MenuButton{
		"none":                nil,
		"four":                {ok, ok, ok, ok},
		"six below":           {api.SubMenu("m", ok, ok, ok, ok, ok, ok)},
		"third level":         {api.SubMenu("m", api.SubMenu("n", ok))},
		"name of 17 bytes":    {api.ClickButton(long(17), "k")},
		"six characters":      {api.ClickButton("一二三四五六", "k")},
		"name of 61 below":    {api.SubMenu("m", api.ClickButton(long(61), "k"))},
		"no name":             {api.ClickButton("", "k")},
		"no key":              {api.ClickButton("a", "")},
		"key of 129":          {api.ClickButton("a", long(129))},
		"no address":          {api.ViewButton("a", "")},
		"half an address":     {api.ViewButton("a", "example.com/x")},
		"long address":        {api.ViewButton("a", "https://example.com/"+long(1024))},
		"mini program":        {api.MiniProgramButton("a", "", "", "https://example.com")},
		"no media":            {api.MediaButton("a", "")},
		"no article":          {api.ArticleButton("a", "")},
		"unknown type":        {{Name: "a", Type: "clik"}},
		"type and sub menu":   {{Name: "a", Type: "click", Key: "k", SubButton: []api.MenuButton{ok}}},
		"sub menu, long name": {api.SubMenu(long(17), ok)},
	} {
		if err := api.CheckMenu(buttons); !errors.Is(err, api.ErrBadRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := api.CheckMenu([]api.MenuButton{api.ClickButton("一二三四五", long(128)), api.SubMenu(long(16), api.ClickButton(long(60), "k"))}); err != nil {
		t.Errorf("at the limits: %v", err)
	}
}

func TestMessages(t *testing.T) {
	p := newPlatform(t)
	c := p.client()
	ctx := t.Context()
	for _, m := range []api.CustomMessageSendRequest{
		api.CustomText(openID, "你好"),
		api.CustomImage(openID, "M"),
		api.CustomVoice(openID, "M"),
		api.CustomVideo(openID, api.MessageVideo{MediaID: "M", ThumbMediaID: "T", Title: "t"}),
		api.CustomMusic(openID, api.MessageMusic{MusicURL: "https://example.com/m.mp3", ThumbMediaID: "T"}),
		api.CustomNews(openID, api.MessageNewsArticle{Title: "t", URL: "https://example.com"}),
		api.CustomArticle(openID, "A"),
		api.CustomMenu(openID, api.MessageMenu{HeadContent: "?", List: []api.MessageMenuItem{{ID: "1", Content: "是"}}}),
		api.CustomMiniProgram(openID, api.MessageMiniProgram{Title: "t", AppID: "wx", PagePath: "p", ThumbMediaID: "T"}),
	} {
		if err := c.CustomMessage.Send(ctx, m); err != nil {
			t.Errorf("%s: %v", m.MsgType, err)
		}
	}
	for _, m := range []api.MassContent{
		api.MassText("x"), api.MassArticles("M"), api.MassVoice("M"),
		api.MassPictures(api.MassImages{MediaIDs: []string{"M"}}), api.MassVideoOf(api.MassVideo{MediaID: "M"}),
	} {
		if _, err := c.Mass.SendAll(ctx, m.ToAll("d1")); err != nil {
			t.Error(err)
		}
		if _, err := c.Mass.SendAll(ctx, m.ToTag(2, "d2")); err != nil {
			t.Error(err)
		}
		if _, err := c.Mass.SendOpenIDs(ctx, m.ToOpenIDs([]string{"o1", "o2"}, "d3")); err != nil {
			t.Error(err)
		}
		if _, err := c.Mass.Preview(ctx, m.Preview(openID)); err != nil {
			t.Error(err)
		}
	}
	data := api.Values("thing1", "拿铁一杯", "time2", "2026-01-02 10:00")
	if err := c.Subscribe.Send(ctx, api.SubscribeSendRequest{ToUser: openID, TemplateID: "T", Data: data}); err != nil {
		t.Error(err)
	}
	if _, err := c.Template.Send(ctx, api.TemplateSendRequest{ToUser: openID, TemplateID: "T", Data: data}); err != nil {
		t.Error(err)
	}
}

func TestCheckValues(t *testing.T) {
	twenty := strings.Repeat("字", 20)
	if err := api.CheckValues(api.Values("thing1", twenty, "things2", twenty+"x", "character_string3", strings.Repeat("x", 32))); err != nil {
		t.Error(err)
	}
	for key, value := range map[string]string{"thing12": twenty + "x", "phrase1": "一二三四五六", "car_number2": "123456789"} {
		err := api.CheckValues(api.Values(key, value))
		if !errors.Is(err, api.ErrBadRequest) || strings.Contains(err.Error(), value) {
			t.Errorf("%s: %v", key, err)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a key without a value")
		}
	}()
	api.Values(strings.Fields("thing1")...)
}

func TestSplitText(t *testing.T) {
	for name, text := range map[string]string{
		"short":     "你好",
		"no breaks": strings.Repeat("字", 3000),
		"sentences": strings.Repeat("今天天气很好。", 400),
		"lines":     strings.Repeat("a line of text\n", 400),
		"latin":     strings.Repeat("word ", 1000),
		"empty":     "",
	} {
		pieces := api.SplitText(text)
		for _, p := range pieces {
			if len(p) > 2048 || !utf8.ValidString(p) || p == "" && text != "" {
				t.Errorf("%s: piece of %d bytes", name, len(p))
			}
		}
		if joined := strings.Join(pieces, ""); strings.ReplaceAll(joined, "\n", "") != strings.ReplaceAll(text, "\n", "") {
			t.Errorf("%s: text was lost", name)
		}
		if name == "sentences" && !strings.HasSuffix(pieces[0], "。") {
			t.Errorf("cut in a sentence: …%s", pieces[0][len(pieces[0])-12:])
		}
	}
}
