package sim

import (
	"cmp"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

const authorizePath = "/connect/oauth2/authorize"

// shownChoices is how many entries a page offers.
const shownChoices = 100

// visit is a visitor's coming to the page of web OAuth.
type visit struct {
	account   *Account
	component *Component
	redirect  *url.URL
	scope     string
	state     string
	snapshot  bool
}

// refusal is what a page says instead of going on, in Chinese and in English.
type refusal struct{ chinese, english string }

func (r *refusal) Error() string { return r.chinese + "（" + r.english + "）" }

// authorizeOrder is the order of parameters that WeChat wants (reference
// api-rules §13).
var authorizeOrder = []string{"appid", "redirect_uri", "response_type", "scope", "state"}

var stateForm = regexp.MustCompile(`^[a-zA-Z0-9]{0,128}$`)

// visit checks the query of the page. p.mu is held.
func (p *Platform) visit(rawQuery string) (*visit, error) {
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil, &refusal{"链接的参数没有正确编码", "the query of the address is not well encoded"}
	}
	last := -1
	for pair := range strings.SplitSeq(rawQuery, "&") {
		name, _, _ := strings.Cut(pair, "=")
		i := slices.Index(authorizeOrder, name)
		if i >= 0 && i < last {
			return nil, &refusal{"链接的参数顺序不对，应是 " + strings.Join(authorizeOrder, "、"), "the parameters must stand in the order " + strings.Join(authorizeOrder, ", ")}
		}
		last = max(last, i)
	}
	for _, name := range authorizeOrder[:4] {
		if query.Get(name) == "" {
			return nil, &refusal{"链接缺少参数 " + name, "the address lacks the parameter " + name}
		}
	}
	a, err := p.accountOfAppID(query.Get("appid"))
	if err != nil {
		return nil, &refusal{"AppID 参数错误", "there is no account with this appid"}
	}
	v := &visit{account: a, scope: query.Get("scope"), state: query.Get("state"), snapshot: query.Get("forceSnapShot") == "true"}
	if v.redirect, err = redirectURL(query.Get("redirect_uri")); err != nil {
		return nil, err
	}
	switch {
	case !a.has(RightOAuth):
		return nil, &refusal{"这个账号没有网页授权的权限", "the account has no right to web OAuth"}
	case a.oauth.domain != "" && v.redirect.Hostname() != a.oauth.domain:
		return nil, &refusal{"redirect_uri 的域名与后台配置不一致，错误码：10003", "the host of redirect_uri is not the account's web-authorisation domain"}
	case query.Get("response_type") != "code":
		return nil, &refusal{"response_type 应是 code", "response_type must be code"}
	case v.scope != scopeBase && v.scope != scopeUserInfo:
		return nil, &refusal{"scope 参数错误", "scope must be " + scopeBase + " or " + scopeUserInfo}
	case !stateForm.MatchString(v.state):
		return nil, &refusal{"state 只能是不超过 128 个字母和数字", "state may have up to 128 letters and digits"}
	}
	if id := query.Get("component_appid"); id != "" {
		if v.component = p.component(id); v.component == nil || v.component.authorized(a) == nil {
			return nil, &refusal{"公众号没有授权给这个第三方平台", "the account has not authorised this third-party platform"}
		}
	}
	return v, nil
}

// redirectURL reads the address that a page goes back to.
func redirectURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, &refusal{"redirect_uri 不是完整的网址，或者没有编码", "redirect_uri is not a whole address, or it is not URL-encoded"}
	}
	return u, nil
}

// agree has the follower agree, and returns where the browser goes. p.mu is held.
func (v *visit) agree(f *Follower) string {
	g := userGrant{openID: f.openID, visitor: f, scope: v.scope, component: v.component}
	if v.snapshot {
		g.openID, g.visitor = f.account.p.openID(), nil
	}
	return withQuery(v.redirect, [2]string{"code", v.account.newCode(g)}, [2]string{"state", v.state})
}

// withQuery appends parameters to those that an address has.
func withQuery(u *url.URL, values ...[2]string) string {
	to := *u
	for _, v := range values {
		if to.RawQuery != "" {
			to.RawQuery += "&"
		}
		to.RawQuery += v[0] + "=" + url.QueryEscape(v[1])
	}
	return to.String()
}

// showConsent is the page of web OAuth, for any browser. Who visits is said by
// the parameter follower, an OpenID. Without it the page asks, or, with
// snsapi_base, which shows no page, it is the account's first follower.
func showConsent(c *call) (any, error) {
	v, err := c.p.visit(c.r.URL.RawQuery)
	if err != nil {
		return refused(err), nil
	}
	a := v.account
	c.account = a
	if len(a.order) == 0 {
		return refused(&refusal{"这个账号还没有粉丝，请先添加一个", "the account has no followers: add one"}), nil
	}
	visitor := a.followers[c.query.Get("follower")]
	switch {
	case visitor == nil && c.query.Has("follower"):
		return refused(&refusal{"这个账号没有这个粉丝", "the account has no such follower"}), nil
	case visitor == nil && v.scope == scopeBase:
		visitor = a.order[0]
	}
	if visitor != nil {
		return page{status: http.StatusFound, location: v.agree(visitor)}, nil
	}
	var choices []choice
	for _, f := range a.order[:min(len(a.order), shownChoices)] {
		choices = append(choices, choice{name: cmp.Or(f.profile.Nickname, "粉丝"), id: f.openID, link: "?" + c.r.URL.RawQuery + "&follower=" + url.QueryEscape(f.openID)})
	}
	return choicePage("微信授权", a.config.Name+" 申请获得你的昵称、头像、地区等信息。以哪个粉丝的身份同意？", choices), nil
}

// OpenPage has the follower open an address of web OAuth
// (…/connect/oauth2/authorize?…#wechat_redirect) in WeChat, and agree to what it
// asks. The result is the address that the browser lands on, with code and
// state; it is not opened. The error is what the page would say instead
// (reference api-rules §13).
func (f *Follower) OpenPage(authorizeURL string) (redirect string, err error) {
	u, err := url.Parse(authorizeURL)
	if err != nil || !strings.HasSuffix(u.Path, authorizePath) {
		return "", fmt.Errorf("sim: 这不是网页授权的链接 (not an address of %s)", authorizePath)
	}
	if u.Fragment != "wechat_redirect" {
		return "", fmt.Errorf("sim: 网页授权的链接要以 #wechat_redirect 结尾 (the address must end in #wechat_redirect)")
	}
	p := f.account.p
	p.mu.Lock()
	defer p.mu.Unlock()
	v, err := p.visit(u.RawQuery)
	if err != nil {
		return "", fmt.Errorf("sim: %w", err)
	}
	if v.account != f.account {
		return "", fmt.Errorf("sim: 链接是账号 %s 的，粉丝是账号 %s 的 (the address is of another account than the follower)", v.account.config.AppID, f.account.config.AppID)
	}
	return v.agree(f), nil
}

// choice is a link of a page.
type choice struct{ name, id, link string }

// choicePage is a page that lets a person choose one of some entries.
func choicePage(title, question string, choices []choice) page {
	var b strings.Builder
	for _, c := range choices {
		fmt.Fprintf(&b, "<li><a href=\"%s\">%s</a> <small>%s</small></li>\n", html.EscapeString(c.link), html.EscapeString(c.name), html.EscapeString(c.id))
	}
	return htmlPage(title, "<p>"+html.EscapeString(question)+"</p>\n<ul>\n"+b.String()+"</ul>")
}

// refused is the page that says why there is nothing to agree to.
func refused(err error) page {
	return htmlPage("无法访问", "<p>"+html.EscapeString(err.Error())+"</p>")
}

func htmlPage(title, body string) page {
	return page{status: http.StatusOK, html: `<!doctype html>
<html lang="zh-CN">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>` + html.EscapeString(title) + `</title>
<style>body{max-width:32em;margin:3em auto;padding:0 1em;font-family:sans-serif}li{margin:.6em 0}small{color:#888}</style>
<h1>` + html.EscapeString(title) + `</h1>
` + body + `
</html>
`}
}
