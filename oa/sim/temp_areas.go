package sim

import (
	"errors"

	"github.com/wenzihq/wenzi/oa"
)

// What stands here stands in for the areas of menus and QR codes until those are
// merged.

// Button is a button of a custom menu.
type Button struct {
	Type string   `json:"type,omitempty"`
	Name string   `json:"name"`
	Key  string   `json:"key,omitempty"`
	URL  string   `json:"url,omitempty"`
	Sub  []Button `json:"sub_button"`
}

// Menu returns the buttons that the follower's phone shows.
func (f *Follower) Menu() []Button {
	return []Button{
		{Type: "click", Name: "关于", Key: "ABOUT"},
		{Name: "更多", Sub: []Button{{Type: "view", Name: "官网", URL: "https://example.com/"}, {Type: "click", Name: "帮助", Key: "HELP"}}},
	}
}

// Press presses a button of the menu.
func (f *Follower) Press(names ...string) (*Sent, error) {
	switch {
	case len(names) > 0 && names[len(names)-1] == "关于":
		return f.Click("ABOUT"), nil
	case len(names) > 0 && names[len(names)-1] == "帮助":
		return f.Click("HELP"), nil
	case len(names) > 0 && names[len(names)-1] == "官网":
		e := &oa.ViewEvent{URL: "https://example.com/"}
		e.Event = "VIEW"
		return f.Send(e), nil
	}
	return nil, errors.New("sim: the menu has no such button")
}

// Scan scans a QR code.
func (f *Follower) Scan(code string) (*Sent, error) {
	if code == "nothing" {
		return nil, errors.New("sim: the account has no such QR code")
	}
	return f.ScanScene("7"), nil
}

// ScanScene scans a QR code with that scene.
func (f *Follower) ScanScene(scene string) *Sent {
	if !f.Following() {
		return f.Send(&oa.SubscribeEvent{EventKey: "qrscene_" + scene, Scene: scene, Ticket: "TICKET"})
	}
	e := &oa.ScanEvent{Scene: scene, Ticket: "TICKET"}
	e.Event = "SCAN"
	return f.Send(e)
}
