package sim

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/wenzihq/wenzi/oa/api"
)

// menuState are the menus of an account.
type menuState struct {
	last        int64 // of the menus' ids
	standard    *customMenu
	conditional []*customMenu // oldest first
}

var menuHandlers = map[string]handler{
	"menu_create":             menuCreate,
	"menu_get":                menuGet,
	"menu_delete":             menuDelete,
	"menu_self_menu_info":     menuSelfInfo,
	"menu_conditional_add":    menuConditionalAdd,
	"menu_conditional_delete": menuConditionalDelete,
	"menu_try_match":          menuTryMatch,
}

// newMenu makes a menu with an id such as those seen on the wire.
func (s *menuState) newMenu(buttons []Button, rule menuRule) *customMenu {
	if s.last == 0 {
		s.last = 400_000_000
	}
	s.last++
	return &customMenu{id: s.last, buttons: buttons, rule: rule}
}

// all lists the menus.
func (s *menuState) all() []*customMenu {
	if s.standard == nil {
		return nil // nor are there conditional ones
	}
	return append([]*customMenu{s.standard}, s.conditional...)
}

// uses reports whether a button shows the material.
func (s *menuState) uses(mediaID string) bool {
	return slices.ContainsFunc(s.all(), func(m *customMenu) bool {
		return slices.ContainsFunc(menuLeaves(m.buttons), func(b Button) bool { return b.MediaID == mediaID })
	})
}

// menuLeaves are the buttons that can be pressed.
func menuLeaves(buttons []Button) []Button {
	var all []Button
	for _, b := range buttons {
		if len(b.Sub) == 0 {
			all = append(all, b)
		}
		all = append(all, b.Sub...)
	}
	return all
}

// buttonLevel has the limit and the codes of a level of buttons.
type buttonLevel struct{ maxName, kind, name, key, url, domain int }

var (
	firstLevel  = buttonLevel{maxName: 16, kind: 40015, name: 40018, key: 40019, url: 40020, domain: 40055}
	secondLevel = buttonLevel{maxName: 60, kind: 40024, name: 40025, key: 40026, url: 40027, domain: 40054}
)

// checkButtons checks the buttons of a menu, and makes them as menu_get shows
// them.
func (a *Account) checkButtons(buttons []Button) error {
	if len(buttons) < 1 || len(buttons) > 3 {
		return fail(40016)
	}
	for i := range buttons {
		b := &buttons[i]
		switch {
		case len(b.Sub) > 0 && b.Type != "":
			return fail(40017)
		case len(b.Sub) > 5:
			return fail(40023)
		}
		if err := firstLevel.check(a, b); err != nil {
			return err
		}
		for j := range b.Sub {
			if len(b.Sub[j].Sub) > 0 {
				return fail(40022)
			}
			if err := secondLevel.check(a, &b.Sub[j]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *buttonLevel) check(a *Account, b *Button) error {
	switch {
	case b.Name == "" || len(b.Name) > l.maxName:
		return fail(l.name)
	case len(b.Sub) > 0:
		*b = Button{Name: b.Name, Sub: b.Sub}
		return nil
	}
	b.Sub, b.MenuID = []Button{}, 0
	switch b.Type {
	case "click", "scancode_push", "scancode_waitmsg", "pic_sysphoto", "pic_photo_or_album", "pic_weixin", "location_select":
		if b.Key == "" || len(b.Key) > 128 {
			return fail(l.key)
		}
		return nil
	case "view":
		return l.checkURL(b.URL)
	case "miniprogram":
		switch {
		case !miniProgramID(b.AppID):
			return fail(40013)
		case b.PagePath == "":
			return fail(41030)
		}
		return l.checkURL(b.URL)
	case "media_id", "view_limited":
		if _, err := a.buttonShows(b); err != nil {
			return fail(40007)
		}
		return nil
	case "article_id", "article_view_limited":
		if _, err := a.articleBubble("mpnewsarticle", b.ArticleID); err != nil {
			return fail(53600)
		}
		return nil
	}
	return fail(l.kind)
}

func (l *buttonLevel) checkURL(address string) error {
	if address == "" || len(address) > 1024 {
		return fail(l.url)
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https":
		return fail(65317)
	case u.Hostname() == "":
		return fail(l.domain)
	}
	return nil
}

// miniProgramID reports whether an AppID can be a mini program's: they are in
// lower case.
func miniProgramID(appID string) bool {
	return strings.HasPrefix(appID, "wx") && appID == strings.ToLower(appID)
}

func menuCreate(c *call) (any, error) {
	var req struct {
		Button []Button `json:"button"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if err := c.account.checkButtons(req.Button); err != nil {
		return nil, err
	}
	s := &c.account.menus
	s.standard = s.newMenu(req.Button, menuRule{})
	return nil, nil
}

// menuEntry is a menu in the answer of menu_get.
type menuEntry struct {
	Button []Button  `json:"button"`
	Rule   *menuRule `json:"matchrule,omitempty"`
	MenuID int64     `json:"menuid,omitempty"`
}

func menuGet(c *call) (any, error) {
	s := &c.account.menus
	if s.standard == nil {
		return nil, fail(46003)
	}
	answer := struct {
		Menu        menuEntry   `json:"menu"`
		Conditional []menuEntry `json:"conditionalmenu,omitempty"`
	}{Menu: menuEntry{Button: s.standard.buttons}}
	for _, m := range s.conditional {
		answer.Menu.MenuID = s.standard.id
		answer.Conditional = append(answer.Conditional, menuEntry{Button: m.buttons, Rule: &m.rule, MenuID: m.id})
	}
	return answer, nil
}

func menuDelete(c *call) (any, error) {
	s := &c.account.menus
	s.standard, s.conditional = nil, nil
	return nil, nil
}

func menuSelfInfo(c *call) (any, error) {
	answer := api.MenuSelfMenuInfoResponse{SelfMenuInfo: api.SelfMenu{Button: []api.SelfMenuButton{}}}
	if m := c.account.menus.standard; m != nil {
		answer.IsMenuOpen, answer.SelfMenuInfo.Button = 1, selfButtons(m.buttons)
	}
	return answer, nil
}

func selfButtons(buttons []Button) []api.SelfMenuButton {
	var all []api.SelfMenuButton
	for _, b := range buttons {
		all = append(all, api.SelfMenuButton{
			Type: b.Type, Name: b.Name, Key: b.Key, URL: b.URL, AppID: b.AppID, PagePath: b.PagePath,
			MediaID: b.MediaID, ArticleID: b.ArticleID, SubButton: api.SelfMenuButtons{List: selfButtons(b.Sub)},
		})
	}
	return all
}

func menuConditionalAdd(c *call) (any, error) {
	var req struct {
		Button []Button `json:"button"`
		Rule   struct {
			menuRule
			Sex, Country, Province, City, Language string // removed
		} `json:"matchrule"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	s, r := &c.account.menus, &req.Rule
	switch {
	case s.standard == nil:
		return nil, fail(65303)
	case r.Sex+r.Country+r.Province+r.City+r.Language != "":
		return nil, fail(65320)
	case r.menuRule == menuRule{}:
		return nil, fail(65304)
	case r.Platform != "" && !slices.Contains([]string{"1", "2", "3"}, r.Platform):
		return nil, failf(40035, "client_platform_type must be 1, 2 or 3")
	case len(req.Button) == 0:
		return nil, fail(65307)
	case slices.ContainsFunc(menuLeaves(req.Button), func(b Button) bool { return b.Type == "" }):
		return nil, fail(65308)
	}
	if err := c.account.checkButtons(req.Button); err != nil {
		return nil, err
	}
	m := s.newMenu(req.Button, r.menuRule)
	all := append(slices.Clone(s.conditional), m)
	if menuDomains(all) > 3 {
		return nil, fail(65316)
	}
	s.conditional = all
	return api.MenuConditionalAddResponse{MenuID: strconv.FormatInt(m.id, 10)}, nil
}

// menuDomains counts the domains that menus jump to, WeChat's own left out.
func menuDomains(menus []*customMenu) int {
	hosts := map[string]bool{}
	for _, m := range menus {
		for _, b := range menuLeaves(m.buttons) {
			if u, err := url.Parse(b.URL); err == nil && b.URL != "" && u.Hostname() != "mp.weixin.qq.com" {
				hosts[strings.ToLower(u.Hostname())] = true
			}
		}
	}
	return len(hosts)
}

func menuConditionalDelete(c *call) (any, error) {
	var req api.MenuConditionalDeleteRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	s := &c.account.menus
	i := slices.IndexFunc(s.conditional, func(m *customMenu) bool { return strconv.FormatInt(m.id, 10) == req.MenuID })
	if i < 0 {
		return nil, fail(65301)
	}
	s.conditional = slices.Delete(s.conditional, i, i+1)
	return nil, nil
}

// menuTryMatch knows followers by their OpenIDs: nobody has a WeChat id here.
func menuTryMatch(c *call) (any, error) {
	var req api.MenuTryMatchRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	f := c.account.followers[req.UserID]
	if f == nil || !f.following {
		return nil, fail(65302)
	}
	m := c.account.menuOf(f)
	if m == nil {
		return nil, fail(46003)
	}
	return menuEntry{Button: m.buttons}, nil
}
