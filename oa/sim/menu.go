package sim

import (
	"cmp"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/wenzihq/wenzi/oa"
)

// Button is a button of a custom menu (reference §6.4). One with buttons below
// it has a name only.
type Button struct {
	Type      string   `json:"type,omitempty"`
	Name      string   `json:"name"`
	Key       string   `json:"key,omitempty"`
	URL       string   `json:"url,omitempty"`
	MediaID   string   `json:"media_id,omitempty"`
	ArticleID string   `json:"article_id,omitempty"`
	AppID     string   `json:"appid,omitempty"`
	PagePath  string   `json:"pagepath,omitempty"`
	Sub       []Button `json:"sub_button"` // the second level; never nil
	// MenuID is the menu that the button belongs to; [Follower.Menu] sets it.
	MenuID int64 `json:"menu_id,omitempty"`
}

// customMenu is the default menu of an account, or a conditional one.
type customMenu struct {
	id      int64
	buttons []Button
	rule    menuRule // zero for the default menu
}

// menuRule says whose menu a conditional menu is; empty members hold for all.
type menuRule struct {
	TagID    string `json:"tag_id,omitempty"`
	Platform string `json:"client_platform_type,omitempty"`
}

// fits reports whether a follower gets the menu. Of several tags the one put on
// last counts. p.mu is held.
func (r menuRule) fits(f *Follower) bool {
	tag := ""
	if n := len(f.tagIDs); n > 0 {
		tag = strconv.Itoa(f.tagIDs[n-1])
	}
	platform := strconv.Itoa(cmp.Or(f.profile.ClientPlatform, 3))
	return (r.TagID == "" || r.TagID == tag) && (r.Platform == "" || r.Platform == platform)
}

// menuOf is the menu on a follower's phone, nil if there is none: the newest
// conditional menu that fits, else the default menu. p.mu is held.
func (a *Account) menuOf(f *Follower) *customMenu {
	for _, m := range slices.Backward(a.menus.conditional) {
		if m.rule.fits(f) {
			return m
		}
	}
	return a.menus.standard
}

// Menu returns the buttons that the follower's phone shows, at most three with
// at most five below each. A new menu is there at once, not after the five
// minutes that a phone may take. Who does not follow has none.
func (f *Follower) Menu() []Button {
	p := f.account.p
	p.mu.Lock()
	defer p.mu.Unlock()
	m := f.account.menuOf(f)
	if m == nil || !f.following {
		return nil
	}
	return m.shown(m.buttons)
}

// shown is a copy of buttons that says which menu they are of.
func (m *customMenu) shown(buttons []Button) []Button {
	buttons = append([]Button{}, buttons...)
	for i := range buttons {
		buttons[i].MenuID, buttons[i].Sub = m.id, m.shown(buttons[i].Sub)
	}
	return buttons
}

// Press presses a button of the menu: one by its name, or one of the second
// level by the names of both. The name of the second level is enough where no
// other button has it.
//
// It returns the event that is sent. The scanner reads [Profile].ScanResult; the
// camera and the album give a small picture, the map a place in 广州, and both
// follow as messages of their own (reference §6.4). Buttons that show material
// send nothing, so that the result is nil: the material is in the chat, also
// where the button opens an article.
func (f *Follower) Press(names ...string) (*Sent, error) {
	p := f.account.p
	p.mu.Lock()
	defer p.mu.Unlock()
	m := f.account.menuOf(f)
	switch {
	case !f.following:
		return nil, errors.New("sim: who does not follow the account sees no menu: call Subscribe first")
	case m == nil:
		return nil, errors.New("sim: the account has no menu: create one by menu_create")
	}
	b, err := m.find(names)
	if err != nil {
		return nil, err
	}
	return f.press(b, m.id)
}

// find finds the button with a path, or the only one with a name.
func (m *customMenu) find(names []string) (*Button, error) {
	var found []*Button
	for i := range m.buttons {
		b := &m.buttons[i]
		if slices.Equal(names, []string{b.Name}) && len(b.Sub) == 0 {
			return b, nil
		}
		for j := range b.Sub {
			sub := &b.Sub[j]
			if slices.Equal(names, []string{b.Name, sub.Name}) || slices.Equal(names, []string{sub.Name}) {
				found = append(found, sub)
			}
		}
	}
	switch name := strings.Join(names, " / "); len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, fmt.Errorf("sim: the menu has no button %q that can be pressed, it has %s", name, m.names())
	default:
		return nil, fmt.Errorf("sim: the menu has more than one button %q, name the one above it as well: %s", name, m.names())
	}
}

// names lists the buttons that can be pressed.
func (m *customMenu) names() string {
	var names []string
	for _, b := range m.buttons {
		if len(b.Sub) == 0 {
			names = append(names, strconv.Quote(b.Name))
		}
		for _, sub := range b.Sub {
			names = append(names, strconv.Quote(b.Name)+" / "+strconv.Quote(sub.Name))
		}
	}
	return strings.Join(names, ", ")
}

// press does what a button does. p.mu is held.
func (f *Follower) press(b *Button, menuID int64) (*Sent, error) {
	head := oa.EventHeader{Event: b.Type}
	switch b.Type {
	case "click":
		head.Event = "CLICK"
		return f.act(&oa.ClickEvent{EventHeader: head, Key: b.Key}), nil
	case "view":
		head.Event = "VIEW"
		return f.act(&oa.ViewEvent{EventHeader: head, URL: b.URL, MenuID: menuID}), nil
	case "miniprogram":
		head.Event = "view_miniprogram"
		return f.act(&oa.ViewMiniProgramEvent{EventHeader: head, Page: b.PagePath, MenuID: menuID}), nil
	case "scancode_push", "scancode_waitmsg":
		e := &oa.ScanCodeEvent{EventHeader: head, Key: b.Key}
		e.Code.Type, e.Code.Result = "qrcode", cmp.Or(f.profile.ScanResult, defaultScan)
		return f.act(e), nil
	case "pic_sysphoto", "pic_photo_or_album", "pic_weixin":
		return f.sendPicture(&oa.PicEvent{EventHeader: head, Key: b.Key}), nil
	case "location_select":
		return f.sendPlace(&oa.LocationSelectEvent{EventHeader: head, Key: b.Key}), nil
	}
	shown, err := f.account.buttonShows(b)
	if err != nil {
		return nil, fmt.Errorf("sim: what the button %q shows is there no more", b.Name)
	}
	f.show(Entry{From: FromAccount, Via: ViaMenu, Bubble: shown})
	return nil, nil
}

// defaultScan is what a phone's scanner reads.
const defaultScan = "https://example.com/scanned"

// sendPicture sends the event of a picture button and the picture after it.
func (f *Follower) sendPicture(e *oa.PicEvent) *Sent {
	sum := md5.Sum(samplePicture)
	e.Pics.Count = 1
	e.Pics.List.Items = append(e.Pics.List.Items, struct {
		MD5 string `xml:"PicMd5Sum"`
	}{hex.EncodeToString(sum[:])})
	s := f.act(e)
	f.act(f.account.imageMessage(samplePicture))
	return s
}

// sendPlace sends the event of a location button and the place after it.
func (f *Follower) sendPlace(e *oa.LocationSelectEvent) *Sent {
	place := &oa.LocationMessage{Latitude: 23.134521, Longitude: 113.358803, Scale: 15, Label: "广州市海珠区"}
	e.Location.Latitude = strconv.FormatFloat(place.Latitude, 'f', -1, 64)
	e.Location.Longitude = strconv.FormatFloat(place.Longitude, 'f', -1, 64)
	e.Location.Scale, e.Location.Label = strconv.Itoa(place.Scale), place.Label
	s := f.act(e)
	f.act(place)
	return s
}

// buttonShows is the material of a button that shows some. p.mu is held.
func (a *Account) buttonShows(b *Button) (Bubble, error) {
	if b.ArticleID != "" {
		return a.articleBubble("mpnewsarticle", b.ArticleID)
	}
	if b.Type == "view_limited" {
		return a.articleBubble("mpnews", b.MediaID)
	}
	m, err := a.findPermanent(b.MediaID, mediaImage, mediaVoice, mediaVideo)
	if err != nil {
		return a.articleBubble("mpnews", b.MediaID)
	}
	return m.bubble(), nil
}
