package sim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/wenzihq/wenzi/oa"
)

// eventJSON is an event by its name and its elements.
type eventJSON struct {
	Event    string          `json:"event"`
	Elements json.RawMessage `json:"elements"`
}

// eventOf makes the event, from somebody.
func (a *Account) eventOf(j eventJSON, from string) (oa.Message, error) {
	if j.Event == "" {
		return nil, badValue("event", "要写事件的名字，例如 CLICK", "it must be an event's name, such as CLICK")
	}
	elements, err := elementsOf(j.Elements)
	if err != nil {
		return nil, err
	}
	given := []oa.Element{{Name: "MsgType", Text: "event"}, {Name: "Event", Text: j.Event}}
	return a.parsed(append(given, elements...), from)
}

// elementsOf reads elements that are written as JSON: an object is an element
// with children, an array the same element several times.
func elementsOf(object json.RawMessage) ([]oa.Element, error) {
	if len(object) == 0 {
		return nil, nil
	}
	elements, err := oa.ParseElements(object)
	if err != nil || object[0] != '{' {
		return nil, badValue("elements", "应是一个 JSON 对象", "it must be a JSON object")
	}
	return elements, nil
}

// messageOf reads any message of a callback's body.
func (a *Account) messageOf(xml []byte, from string) (oa.Message, error) {
	elements, err := oa.ParseElements(xml)
	if err != nil {
		return nil, badValue("xml", "应是一个 <xml>…</xml>", "it must be an <xml>…</xml>")
	}
	return a.parsed(elements, from)
}

// parsed makes a message of its elements. Those of its head that are missing are
// filled in.
func (a *Account) parsed(elements []oa.Element, from string) (oa.Message, error) {
	a.p.mu.Lock()
	now := a.p.now().Add(a.p.trouble.Skew).Unix()
	head := []oa.Element{{Name: "CreateTime", Text: strconv.FormatInt(now, 10)}}
	if _, info := oa.Find(elements, "InfoType"); info {
		head = append(head, oa.Element{Name: "AppId", Text: a.component()}, oa.Element{Name: "AuthorizerAppid", Text: a.config.AppID})
	} else {
		head = append(head, oa.Element{Name: "ToUserName", Text: a.config.OriginalID}, oa.Element{Name: "FromUserName", Text: from})
	}
	a.p.mu.Unlock()
	head = slices.DeleteFunc(head, func(e oa.Element) bool {
		_, given := oa.Find(elements, e.Name)
		return given
	})
	body, err := oa.Marshal(&oa.UnknownMessage{Elements: append(head, elements...)})
	if err == nil {
		var m oa.Message
		if m, err = oa.ParseMessage(body); err == nil {
			return m, nil
		}
	}
	return nil, badValue("xml, elements", fmt.Sprintf("不是一条推送：%v", err), fmt.Sprintf("it is no push: %v", err))
}

// component is the AppID of a third-party platform that is authorised. p.mu is
// held.
func (a *Account) component() string {
	for _, r := range a.receivers {
		if id := r.sender.Account.AppID; !isOwn(r) && id != "" {
			return id
		}
	}
	return "wx0000000component"
}

// notify pushes what WeChat says of its own accord: an event, an authorisation
// push, or any body.
func (o *order) notify(a *Account) (any, error) {
	var j struct {
		eventJSON
		Info   string `json:"info"`
		XML    string `json:"xml"`
		OpenID string `json:"openid"`
	}
	if err := o.read(&j); err != nil {
		return nil, err
	}
	ctx, cancel, err := o.wait()
	if err != nil {
		return nil, err
	}
	defer cancel()
	var f *Follower
	if j.OpenID != "" {
		var ok bool
		if f, ok = a.Find(j.OpenID); !ok {
			return nil, badValue("openid", "账号没有这个粉丝；POST …/followers 添加一个", "the account has no such follower: POST …/followers adds one")
		}
	}
	m, err := a.pushOf(j.eventJSON, j.Info, j.XML, j.OpenID)
	if err != nil {
		return nil, err
	}
	if f == nil {
		return shownSent(ctx, a.Notify(m)), nil
	}
	return shownSent(ctx, f.happened(m)), nil
}

func (a *Account) pushOf(event eventJSON, info, xml, openID string) (oa.Message, error) {
	from := cmp.Or(openID, systemOpenID)
	switch {
	case xml != "" && event.Event == "" && info == "" && event.Elements == nil:
		return a.messageOf([]byte(xml), from)
	case info != "" && event.Event == "" && xml == "" && openID == "":
		elements, err := elementsOf(event.Elements)
		if err != nil {
			return nil, err
		}
		return a.parsed(append([]oa.Element{{Name: "InfoType", Text: info}}, elements...), from)
	case event.Event != "" && info == "" && xml == "":
		return a.eventOf(event, from)
	}
	return nil, badValue("event, info, xml", "写其中一个：event（可带 openid、elements）、info（可带 elements）或 xml",
		"give one of them: event (with openid and elements), info (with elements) or xml")
}

// happened pushes an event on behalf of a follower who did nothing for it.
func (f *Follower) happened(m oa.Message) *Sent {
	f.account.p.mu.Lock()
	defer f.account.p.mu.Unlock()
	return f.account.event(m, f)
}
