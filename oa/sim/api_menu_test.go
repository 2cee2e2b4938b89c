package sim_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/api"
	"github.com/wenzihq/wenzi/oa/sim"
)

func TestMenuOnPhone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, _ := menuPlatform(t, nil)
		u := p.Follower()
		if _, err := c.Menu.Get(t.Context()); apiCodeMenu(err) != 46003 {
			t.Errorf("before there is a menu: %v", err)
		}
		if info, err := c.Menu.SelfMenuInfo(t.Context()); err != nil || info.IsMenuOpen != 0 {
			t.Errorf("%+v, %v", info, err)
		}
		if u.Menu() != nil {
			t.Errorf("the phone shows %+v", u.Menu())
		}
		menu := api.MenuCreateRequest{Button: []api.MenuButton{
			api.ClickButton("最新活动", "NEW"),
			api.SubMenu("更多", api.ViewButton("Search", "https://example.com/?a=1&b=2"), api.MiniProgramButton("Mini", "wx0000000000000002", "pages/index", "https://example.com/")),
		}}
		if err := c.Menu.Create(t.Context(), menu); err != nil {
			t.Fatal(err)
		}
		id := u.Menu()[0].MenuID
		want := []sim.Button{
			{Type: "click", Name: "最新活动", Key: "NEW", Sub: []sim.Button{}, MenuID: id},
			{Name: "更多", MenuID: id, Sub: []sim.Button{
				{Type: "view", Name: "Search", URL: "https://example.com/?a=1&b=2", Sub: []sim.Button{}, MenuID: id},
				{Type: "miniprogram", Name: "Mini", URL: "https://example.com/", AppID: "wx0000000000000002", PagePath: "pages/index", Sub: []sim.Button{}, MenuID: id},
			}},
		}
		if diff := cmp.Diff(want, u.Menu()); diff != "" || id == 0 {
			t.Error(diff)
		}
		if stranger := p.Account.Follower(); stranger.Menu() != nil {
			t.Error("who does not follow sees the menu")
		}

		got, err := c.Menu.Get(t.Context())
		if diff := cmp.Diff(menu.Button[0].Name, got.Menu.Button[0].Name); err != nil || diff != "" || len(got.Menu.Button[1].SubButton) != 2 || got.Menu.MenuID != 0 {
			t.Errorf("%+v, %v", got, err)
		}
		if _, answer := apiRawMenu(t, p.Platform, "GET", "/cgi-bin/menu/get", "", ""); !strings.Contains(answer, `"name":"最新活动","key":"NEW","sub_button":[]`) ||
			!strings.Contains(answer, "?a=1&b=2") || strings.Contains(answer, "menu_id") {
			t.Errorf("menu_get answers %s", answer)
		}
		if _, answer := apiRawMenu(t, p.Platform, "GET", "/cgi-bin/get_current_selfmenu_info", "", ""); !strings.HasPrefix(answer, `{"is_menu_open":1,`) ||
			!strings.Contains(answer, `{"name":"更多","sub_button":{"list":[{"type":"view",`) {
			t.Errorf("menu_self_menu_info answers %s", answer)
		}
		if err := c.Menu.Delete(t.Context()); err != nil || u.Menu() != nil {
			t.Errorf("after it was deleted, %v, the phone shows %+v", err, u.Menu())
		}
	})
}

func TestMenuRefused(t *testing.T) {
	p, c, _ := menuPlatform(t, nil)
	image, err := c.Material.Add(t.Context(), api.MaterialAddRequest{Type: "image", Media: mediaFile("a.png", "x")})
	if err != nil {
		t.Fatal(err)
	}
	button := func(fields string) string { return `{"button":[{` + fields + `}]}` }
	below := func(fields string) string { return `{"button":[{"name":"更多","sub_button":[{` + fields + `}]}]}` }
	view := func(address string) string { return `"type":"view","name":"a","url":"` + address + `"` }
	click := `{"type":"click","name":"a","key":"k"}`
	for _, tt := range []struct {
		name, body string
		code       int
	}{
		{"no buttons", `{"button":[]}`, 40016},
		{"three buttons", `{"button":[` + click + `,` + click + `,` + click + `]}`, 0},
		{"four buttons", `{"button":[` + strings.Repeat(click+",", 3) + click + `]}`, 40016},
		{"five below", `{"button":[{"name":"a","sub_button":[` + strings.Repeat(click+",", 4) + click + `]}]}`, 0},
		{"six below", `{"button":[{"name":"a","sub_button":[` + strings.Repeat(click+",", 5) + click + `]}]}`, 40023},
		{"a third level", `{"button":[{"name":"a","sub_button":[{"name":"b","sub_button":[` + click + `]}]}]}`, 40022},
		{"a type and buttons below", `{"button":[{"type":"click","key":"k","name":"a","sub_button":[` + click + `]}]}`, 40017},
		{"empty members, as many clients send", button(`"type":"click","name":"a","key":"k","url":"","media_id":"","sub_button":[]`), 0},
		{"an empty type above buttons", `{"button":[{"type":"","key":"","name":"a","sub_button":[` + click + `]}]}`, 0},
		{"no type", button(`"name":"a"`), 40015},
		{"an unknown type", button(`"type":"Click","name":"a","key":"k"`), 40015},
		{"an unknown type below", below(`"type":"finder","name":"a"`), 40024},
		{"16 bytes of name", button(`"type":"click","name":"` + strings.Repeat("文", 5) + `a","key":"k"`), 0},
		{"17 bytes of name", button(`"type":"click","name":"` + strings.Repeat("文", 5) + `ab","key":"k"`), 40018},
		{"60 bytes of name below", below(`"type":"click","name":"` + strings.Repeat("文", 20) + `","key":"k"`), 0},
		{"61 bytes of name below", below(`"type":"click","name":"` + strings.Repeat("文", 20) + `a","key":"k"`), 40025},
		{"no name", button(`"type":"click","name":"","key":"k"`), 40018},
		{"128 bytes of key", button(`"type":"click","name":"a","key":"` + strings.Repeat("k", 128) + `"`), 0},
		{"129 bytes of key", button(`"type":"click","name":"a","key":"` + strings.Repeat("k", 129) + `"`), 40019},
		{"no key", button(`"type":"scancode_push","name":"a"`), 40019},
		{"no key below", below(`"type":"location_select","name":"a","key":""`), 40026},
		{"1024 bytes of address", button(view("https://example.com/" + strings.Repeat("a", 1004))), 0},
		{"1025 bytes of address", button(view("https://example.com/" + strings.Repeat("a", 1005))), 40020},
		{"no address below", below(`"type":"view","name":"a"`), 40027},
		{"an address without scheme", button(view("example.com/a")), 65317},
		{"an address without host", button(view("https:///a")), 40055},
		{"an address without host, below", below(view("https://:80/a")), 40054},
		{"a mini program without AppID", button(`"type":"miniprogram","name":"a","url":"https://example.com","pagepath":"p"`), 40013},
		{"a mini program in upper case", button(`"type":"miniprogram","name":"a","url":"https://example.com","pagepath":"p","appid":"wxABC"`), 40013},
		{"a mini program without page", button(`"type":"miniprogram","name":"a","url":"https://example.com","appid":"wxabc"`), 41030},
		{"a mini program without address", button(`"type":"miniprogram","name":"a","pagepath":"p","appid":"wxabc"`), 40020},
		{"unknown material", button(`"type":"media_id","name":"a","media_id":"m"`), 40007},
		{"unknown articles", button(`"type":"view_limited","name":"a","media_id":"m"`), 40007},
		{"a picture", button(`"type":"media_id","name":"a","media_id":"` + image.MediaID + `"`), 0},
		{"a picture for articles", button(`"type":"view_limited","name":"a","media_id":"` + image.MediaID + `"`), 40007},
		{"an unknown article", button(`"type":"article_id","name":"a","article_id":"m"`), 53600},
		{"escaped", button(`"type":"click","name":"\u6587","key":"k"`), 40033},
		{"no JSON", `{"button":`, 47001},
		{"nothing", ``, 44002},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if code, answer := apiRawMenu(t, p.Platform, "POST", "/cgi-bin/menu/create", "", tt.body); code != tt.code {
				t.Errorf("%s, want %d", answer, tt.code)
			}
		})
	}
	apiRawMenu(t, p.Platform, "POST", "/cgi-bin/menu/create", "", `{"button":[{"name":"a","key":"k","menu_id":7,"sub_button":[{"type":"click","name":"b","key":"k","menu_id":7}]}]}`)
	if _, answer := apiRawMenu(t, p.Platform, "GET", "/cgi-bin/menu/get", "", ""); answer != `{"menu":{"button":[{"name":"a","sub_button":[{"type":"click","name":"b","key":"k","sub_button":[]}]}]}}` {
		t.Errorf("what a button has no use for is kept: %s", answer)
	}
	p.Account.SetKind(sim.Subscription)
	if code, _ := apiRawMenu(t, p.Platform, "GET", "/cgi-bin/menu/get", "", ""); code != 48001 {
		t.Errorf("an account without the right gets %d", code)
	}
	if code, _ := apiRawMenu(t, p.Platform, "GET", "/cgi-bin/get_current_selfmenu_info", "", ""); code != 0 {
		t.Errorf("get_current_selfmenu_info is for all accounts, but gives %d", code)
	}
}

// The newest conditional menu that fits is shown; of several tags the one put on
// last counts.
func TestConditionalMenu(t *testing.T) {
	p, c, _ := menuPlatform(t, nil)
	vip, both, ios := p.Follower(), p.Follower(), p.Follower()
	vip.TagForMenu(101)
	both.TagForMenu(101, 102)
	ios.SetProfile(sim.Profile{ClientPlatform: 1})
	add := func(name, rule string) (int, string) {
		return apiRawMenu(t, p.Platform, "POST", "/cgi-bin/menu/addconditional", "", `{"button":[{"type":"click","name":"`+name+`","key":"k"}],"matchrule":`+rule+`}`)
	}
	shows := func(u *sim.Follower, want string) {
		t.Helper()
		got, err := c.Menu.TryMatch(t.Context(), api.MenuTryMatchRequest{UserID: u.OpenID()})
		if err != nil || got.Button[0].Name != want || u.Menu()[0].Name != want {
			t.Errorf("menu_try_match gives %+v, %v; the phone shows %+v; want %q", got, err, u.Menu(), want)
		}
	}
	if code, _ := add("vip", `{"tag_id":"101"}`); code != 65303 {
		t.Errorf("without a default menu: %d", code)
	}
	if _, err := c.Menu.TryMatch(t.Context(), api.MenuTryMatchRequest{UserID: vip.OpenID()}); apiCodeMenu(err) != 46003 {
		t.Errorf("without any menu: %v", err)
	}
	if err := c.Menu.Create(t.Context(), api.MenuCreateRequest{Button: []api.MenuButton{api.ClickButton("all", "k")}}); err != nil {
		t.Fatal(err)
	}
	if code, answer := add("vip", `{"tag_id":101}`); code != 0 || !strings.HasPrefix(answer, `{"menuid":"4000`) {
		t.Errorf("a tag as a number: %s", answer)
	}
	shows(vip, "vip")
	shows(both, "all")
	shows(ios, "all")
	_, answer := add("ios", `{"client_platform_type":"1","tag_id":"","language":""}`)
	var ios1 api.MenuConditionalAddResponse
	if err := json.Unmarshal([]byte(answer), &ios1); err != nil {
		t.Fatal(err)
	}
	add("102", `{"tag_id":"102","client_platform_type":"3"}`)
	add("newer", `{"tag_id":"101"}`)
	shows(vip, "newer")
	shows(both, "102")
	shows(ios, "ios")

	got, err := c.Menu.Get(t.Context())
	if err != nil || len(got.ConditionalMenu) != 4 || got.ConditionalMenu[1].MatchRule.ClientPlatformType != "1" ||
		strconv.FormatInt(got.ConditionalMenu[1].MenuID, 10) != ios1.MenuID || got.Menu.MenuID == 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if err := c.Menu.ConditionalDelete(t.Context(), api.MenuConditionalDeleteRequest(ios1)); err != nil {
		t.Error(err)
	}
	shows(ios, "all")
	if err := c.Menu.ConditionalDelete(t.Context(), api.MenuConditionalDeleteRequest(ios1)); apiCodeMenu(err) != 65301 {
		t.Errorf("deleted twice: %v", err)
	}
	if _, err := c.Menu.TryMatch(t.Context(), api.MenuTryMatchRequest{UserID: "nobody"}); apiCodeMenu(err) != 65302 {
		t.Errorf("nobody's menu: %v", err)
	}

	if _, err := c.Menu.TryMatch(t.Context(), api.MenuTryMatchRequest{UserID: p.Account.Follower().OpenID()}); apiCodeMenu(err) != 65302 {
		t.Errorf("the menu of who does not follow: %v", err)
	}

	for _, tt := range []struct {
		name, body string
		code       int
	}{
		{"an empty rule", `{"button":[{"type":"click","name":"a","key":"k"}],"matchrule":{"tag_id":""}}`, 65304},
		{"a removed member", `{"button":[{"type":"click","name":"a","key":"k"}],"matchrule":{"tag_id":"101","sex":"1"}}`, 65320},
		{"a removed member alone", `{"button":[{"type":"click","name":"a","key":"k"}],"matchrule":{"city":"广州"}}`, 65320},
		{"an unknown platform", `{"button":[{"type":"click","name":"a","key":"k"}],"matchrule":{"client_platform_type":4}}`, 40035},
		{"no rule", `{"button":[{"type":"click","name":"a","key":"k"}]}`, 40035},
		{"no buttons", `{"button":[],"matchrule":{"tag_id":"101"}}`, 65307},
		{"a button without type", `{"button":[{"name":"a"}],"matchrule":{"tag_id":"101"}}`, 65308},
		{"a bad button", `{"button":[{"type":"click","name":"a"}],"matchrule":{"tag_id":"101"}}`, 40019},
	} {
		if code, answer := apiRawMenu(t, p.Platform, "POST", "/cgi-bin/menu/addconditional", "", tt.body); code != tt.code {
			t.Errorf("%s: %s, want %d", tt.name, answer, tt.code)
		}
	}

	jump := func(host string) int {
		code, _ := apiRawMenu(t, p.Platform, "POST", "/cgi-bin/menu/addconditional", "",
			`{"button":[{"type":"view","name":"a","url":"https://`+host+`/a"}],"matchrule":{"tag_id":"7"}}`)
		return code
	}
	for host, want := range map[string]int{"mp.weixin.qq.com": 0, "a.example": 0, "b.example:8443": 0, "c.example": 0} {
		if code := jump(host); code != want {
			t.Errorf("a jump to %s gives %d", host, code)
		}
	}
	if code := jump("A.example"); code != 0 {
		t.Errorf("a domain that is there already gives %d", code)
	}
	if code := jump("d.example"); code != 65316 {
		t.Errorf("a fourth domain gives %d", code)
	}

	if err := c.Menu.Delete(t.Context()); err != nil || vip.Menu() != nil {
		t.Errorf("%v, the phone shows %+v", err, vip.Menu())
	}
}

// Each button sends the event of reference §6.4, and what follows it.
func TestPress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, in := menuPlatform(t, nil)
		u := p.Follower()
		p.Account.KeepArticle("ARTICLE", "文章", "https://mp.weixin.qq.com/s/a")
		image, err := c.Material.Add(t.Context(), api.MaterialAddRequest{Type: "image", Media: mediaFile("a.png", "png")})
		if err != nil {
			t.Fatal(err)
		}
		err = c.Menu.Create(t.Context(), api.MenuCreateRequest{Button: []api.MenuButton{
			api.SubMenu("打开", api.ClickButton("点", "K"), api.ViewButton("页", "https://example.com/"), api.MiniProgramButton("程序", "wxa", "pages/a", "https://example.com/")),
			api.SubMenu("手机", api.ScanButton("扫", "S", false), api.ScanButton("扫并等", "W", true), api.PhotoButton("拍", "P", "pic_sysphoto"),
				api.PhotoButton("相册", "A", "pic_weixin"), api.LocationButton("位置", "L")),
			api.SubMenu("素材", api.MediaButton("图", image.MediaID), api.ArticleButton("文", "ARTICLE"), api.ArticleViewButton("看", "ARTICLE")),
		}})
		if err != nil {
			t.Fatal(err)
		}
		id := u.Menu()[0].MenuID
		press := func(names ...string) []oa.Message {
			t.Helper()
			s, err := u.Press(names...)
			if err != nil {
				t.Fatal(err)
			}
			all := in.take()
			if s != nil && s.Fate() != sim.Silent {
				t.Errorf("%v: fate %q", names, s.Fate())
			}
			return all
		}

		if e, ok := press("打开", "点")[0].(*oa.ClickEvent); !ok || e.Event != "CLICK" || e.Key != "K" || e.FromUserName != u.OpenID() {
			t.Errorf("%+v", e)
		}
		if e, ok := press("页")[0].(*oa.ViewEvent); !ok || e.Event != "VIEW" || e.URL != "https://example.com/" || e.MenuID != id {
			t.Errorf("%+v", e)
		}
		if e, ok := press("程序")[0].(*oa.ViewMiniProgramEvent); !ok || e.Event != "view_miniprogram" || e.Page != "pages/a" || e.MenuID != id {
			t.Errorf("%+v", e)
		}
		if e, ok := press("扫")[0].(*oa.ScanCodeEvent); !ok || e.Event != "scancode_push" || e.Key != "S" || e.Code.Type != "qrcode" || e.Code.Result == "" {
			t.Errorf("%+v", e)
		}
		u.SetProfile(sim.Profile{ScanResult: "CODE_128,1"})
		if e, ok := press("扫并等")[0].(*oa.ScanCodeEvent); !ok || e.Event != "scancode_waitmsg" || e.Code.Result != "CODE_128,1" {
			t.Errorf("%+v", e)
		}
		for name, event := range map[string]string{"拍": "pic_sysphoto", "相册": "pic_weixin"} {
			all := press(name)
			var e *oa.PicEvent
			var m *oa.ImageMessage
			for _, one := range all {
				switch one := one.(type) {
				case *oa.PicEvent:
					e = one
				case *oa.ImageMessage:
					m = one
				}
			}
			if len(all) != 2 || e == nil || e.Event != event || e.Pics.Count != 1 || len(e.Pics.List.Items[0].MD5) != 32 || m == nil {
				t.Fatalf("%s sends %+v", name, all)
			}
			got, err := c.Media.Get(t.Context(), api.MediaGetRequest{MediaID: m.MediaID})
			if err != nil {
				t.Fatal(err)
			}
			if content := mediaRead(t, got.File); mediaMD5(content) != e.Pics.List.Items[0].MD5 {
				t.Errorf("the picture is not the one of the event")
			}
			got.File.Close()
		}
		all := press("位置")
		var e *oa.LocationSelectEvent
		var m *oa.LocationMessage
		for _, one := range all {
			switch one := one.(type) {
			case *oa.LocationSelectEvent:
				e = one
			case *oa.LocationMessage:
				m = one
			}
		}
		if len(all) != 2 || e == nil || m == nil || e.Location.Label != m.Label || e.Location.Latitude != "23.134521" || m.Latitude != 23.134521 {
			t.Errorf("the place is sent as %+v", all)
		}

		for name, want := range map[string]string{"图": "[图片] " + image.MediaID, "文": "[图文] 文章\n  https://mp.weixin.qq.com/s/a", "看": "[图文] 文章\n  https://mp.weixin.qq.com/s/a"} {
			if all := press("素材", name); all != nil {
				t.Errorf("%s sends %+v", name, all)
			}
			chat := u.Chat()
			if last := chat[len(chat)-1]; last.Via != sim.ViaMenu || last.From != sim.FromAccount || last.Bubble.String() != want {
				t.Errorf("%s shows %+v", name, last)
			}
		}
		if err := c.Material.Delete(t.Context(), api.MaterialDeleteRequest{MediaID: image.MediaID}); apiCodeMenu(err) != 48005 {
			t.Errorf("material of a menu is deleted: %v", err)
		}
		if err := c.Menu.Delete(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := c.Material.Delete(t.Context(), api.MaterialDeleteRequest{MediaID: image.MediaID}); err != nil {
			t.Errorf("material of no menu: %v", err)
		}
	})
}

func TestPressNothing(t *testing.T) {
	p, c, _ := menuPlatform(t, nil)
	u, stranger := p.Follower(), p.Account.Follower()
	fails := func(u *sim.Follower, want string, names ...string) {
		t.Helper()
		s, err := u.Press(names...)
		if s != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want an error that says %q", names, s, err, want)
		}
	}
	fails(u, "no menu", "点")
	err := c.Menu.Create(t.Context(), api.MenuCreateRequest{Button: []api.MenuButton{
		api.SubMenu("一", api.ClickButton("点", "1"), api.ClickButton("一", "2")),
		api.SubMenu("二", api.ClickButton("点", "3")),
		api.ClickButton("三", "4"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	fails(stranger, "does not follow", "三")
	fails(u, `no button "四"`, "四")
	fails(u, `no button "二"`, "二")
	fails(u, `it has "一" / "点", "一" / "一", "二" / "点", "三"`)
	fails(u, "more than one", "点")
	fails(u, "no button", "一", "点", "点")
	for want, names := range map[string][]string{"1": {"一", "点"}, "2": {"一"}, "3": {"二", "点"}, "4": {"三"}} {
		s, err := u.Press(names...)
		if err != nil || s.Message.(*oa.ClickEvent).Key != want {
			t.Errorf("%q: %+v, %v", names, s, err)
		}
	}
}

// A click opens the short window for pushes, a view none.
func TestPressOpensWindow(t *testing.T) {
	p, c, _ := menuPlatform(t, nil)
	u := p.Follower()
	if err := c.Menu.Create(t.Context(), api.MenuCreateRequest{Button: []api.MenuButton{api.ClickButton("点", "K"), api.ViewButton("页", "https://example.com/")}}); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Press("页"); err != nil || u.Credit().Left != 0 {
		t.Errorf("%v, %+v", err, u.Credit())
	}
	if _, err := u.Press("点"); err != nil || u.Credit().Left != 3 || u.Credit().Until.Sub(p.Now()) > time.Minute {
		t.Errorf("%v, %+v", err, u.Credit())
	}
}

// Whatever the body is, the platform answers, and a menu that it takes is inside
// the limits.
func FuzzCalls(f *testing.F) {
	paths := []string{
		"/cgi-bin/menu/create", "/cgi-bin/menu/addconditional", "/cgi-bin/menu/trymatch", "/cgi-bin/message/custom/send", "/cgi-bin/message/custom/typing",
		"/cgi-bin/material/batchget_material", "/cgi-bin/material/get_material", "/customservice/kfaccount/add", "/customservice/msgrecord/getmsglist", "/customservice/kfsession/create",
	}
	for i, body := range []string{
		`{"button":[{"name":"a","sub_button":[{"type":"view","name":"b","url":"https://example.com"}]}]}`,
		`{"button":[{"type":"click","name":"a","key":"k"}],"matchrule":{"tag_id":101}}`,
		`{"user_id":"oUser"}`,
		`{"touser":"oUser","msgtype":"msgmenu","msgmenu":{"list":[{"id":"1","content":"c"}]}}`,
		`{"touser":"oUser","command":"Typing"}`,
		`{"type":"image","offset":0,"count":20}`,
		`{"media_id":"m"}`,
		`{"kf_account":"a@b","nickname":"n"}`,
		`{"starttime":0,"endtime":1,"msgid":1,"number":1}`,
		`{"kf_account":"a@b","openid":"oUser"}`,
	} {
		f.Add(i, body)
	}
	f.Fuzz(func(t *testing.T, path int, body string) {
		p := sim.New(sim.Settings{})
		defer p.Close()
		a, err := p.NewAccount(sim.AccountConfig{})
		if err != nil {
			t.Fatal(err)
		}
		u := a.FollowerWith("oUser")
		u.Subscribe()
		if _, answer := apiRawMenu(t, p, "POST", paths[uint(path)%uint(len(paths))], "", body); !json.Valid([]byte(answer)) {
			t.Errorf("the answer is %q", answer)
		}
		menu := u.Menu()
		if len(menu) > 3 {
			t.Errorf("the phone shows %d buttons", len(menu))
		}
		for _, b := range menu {
			if len(b.Name) > 16 || len(b.Sub) > 5 || len(b.Sub) == 0 && b.Type == "" {
				t.Errorf("the phone shows %+v", b)
			}
		}
	})
}
