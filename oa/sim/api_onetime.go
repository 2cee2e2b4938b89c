package sim

import (
	"html"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

var onetimeHandlers = map[string]handler{
	"onetime_subscribe_page": onetimePage,
	"onetime_subscribe_send": onetimeSend,
}

// The limits of catalogue/api/message-subscribe.yaml.
const (
	onetimeScene    = 10000
	onetimeReserved = 128 // characters, as the others
	onetimeTitle    = 15
	onetimeValue    = 200
)

// OnetimeTemplate is the id of the template for one-time subscriptions
// (一次性订阅) that the account's console shows: each account has one.
func (a *Account) OnetimeTemplate() string { return "once-" + a.config.AppID }

// onetimeKey is where [Follower].accepts counts grants of a scene.
func onetimeKey(scene int) string { return "once/" + strconv.Itoa(scene) }

// onetimePage asks the person for one message of a scene, and sends the browser
// back to redirect_url with openid, template_id, action, scene and reserved.
// A browser has nobody's phone: the page shows everybody the account knows, and
// the choice is made by the further parameters openid and choice, which a test
// can give at once (choice is "confirm" or "cancel").
func onetimePage(c *call) (any, error) {
	q := c.query
	a := c.p.account(q.Get("appid"))
	scene, err := strconv.Atoi(q.Get("scene"))
	back := webAddress(q.Get("redirect_url"))
	switch {
	case a == nil:
		return onetimeRefusal("没有这个 appid（no such appid）")
	case !a.has(RightSubscriptionNotes):
		return onetimeRefusal("账号没有一次性订阅的权限（the account has no right to one-time subscriptions）")
	case q.Get("action") != "get_confirm":
		return onetimeRefusal("action 应是 get_confirm（action must be get_confirm）")
	case err != nil || scene < 0 || scene > onetimeScene:
		return onetimeRefusal("scene 应在 0 到 10000 之间（scene must be between 0 and 10000）")
	case q.Get("template_id") != a.OnetimeTemplate():
		return onetimeRefusal("template_id 不是账号的一次性订阅模板（template_id is not the account's one-time template）")
	case back == nil:
		return onetimeRefusal("redirect_url 不是完整的网址（redirect_url is not a complete address）")
	case utf8.RuneCountInString(q.Get("reserved")) > onetimeReserved:
		return onetimeRefusal("reserved 超过 128 个字符（reserved has more than 128 characters）")
	}
	f, choice := a.followers[q.Get("openid")], q.Get("choice")
	if f == nil || choice != "confirm" && choice != "cancel" {
		return onetimeChoice(a, c.r.URL), nil
	}
	if choice == "confirm" {
		f.grant(onetimeKey(scene), 1)
	}
	values := back.Query()
	values.Set("openid", f.openID)
	values.Set("action", choice)
	for _, name := range []string{"template_id", "scene", "reserved"} {
		values.Set(name, q.Get(name))
	}
	back.RawQuery = values.Encode()
	return page{status: http.StatusFound, location: back.String()}, nil
}

func onetimeRefusal(why string) (any, error) {
	return page{status: http.StatusBadRequest, html: onetimeHead + "<p>" + why + "</p>"}, nil
}

const onetimeHead = "<!doctype html><meta charset=utf-8><title>一次性订阅</title>"

// onetimeChoice is the page that asks.
func onetimeChoice(a *Account, address *url.URL) page {
	var b strings.Builder
	b.WriteString(onetimeHead + "<p>" + html.EscapeString(a.config.Name) + " 申请给你发送一条消息（asks to send you one message）</p><ul>")
	for _, f := range a.order {
		b.WriteString("<li>" + html.EscapeString(join(f.profile.Nickname, f.openID)))
		for _, choice := range []struct{ value, label string }{{"confirm", "同意"}, {"cancel", "取消"}} {
			q := address.Query()
			q.Set("openid", f.openID)
			q.Set("choice", choice.value)
			b.WriteString(` <a href="?` + html.EscapeString(q.Encode()) + `">` + choice.label + "</a>")
		}
		b.WriteString("</li>")
	}
	b.WriteString("</ul>")
	return page{status: http.StatusOK, html: b.String()}
}

// onetimeSend spends the grant of a scene. It takes no following.
func onetimeSend(c *call) (any, error) {
	var req struct {
		cardTarget
		ToUser     string   `json:"touser"`
		TemplateID string   `json:"template_id"`
		Scene      string   `json:"scene"`
		Title      string   `json:"title"`
		Data       cardData `json:"data"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	f, err := c.somebody(req.ToUser)
	if err != nil {
		return nil, err
	}
	scene, err := strconv.Atoi(req.Scene)
	value := req.Data["content"].Value
	switch key := onetimeKey(scene); {
	case req.TemplateID != c.account.OnetimeTemplate():
		return nil, fail(40037)
	case err != nil || scene < 0 || scene > onetimeScene:
		return nil, failf(40035, "invalid scene: between 0 and %d", onetimeScene)
	case req.Title == "" || utf8.RuneCountInString(req.Title) > onetimeTitle:
		return nil, fail(40062)
	case value == "" || utf8.RuneCountInString(value) > onetimeValue:
		return nil, failf(45002, "content size out of limit: 1 to %d characters", onetimeValue)
	case f.accepts[key] == 0:
		return nil, fail(43101)
	default:
		f.accepts[key]--
	}
	f.show(Entry{From: FromAccount, Via: ViaSubscription, Bubble: req.bubble("subscription", req.Title, []Row{{Value: value}})})
	return nil, nil
}
