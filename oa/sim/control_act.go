package sim

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// actor does something as a follower, described by the members of a request
// other than its type. Where nothing is sent, since a page opens, it returns the
// address.
type actor func(f *Follower, members []byte) (sent *Sent, opens string, err error)

// actors are the acts by their names.
var actors = map[string]actor{
	"subscribe":   bare((*Follower).Subscribe),
	"unsubscribe": bare((*Follower).Unsubscribe),
	"sticker":     bare((*Follower).Sticker),
	"say": sending(func(f *Follower, a struct {
		Text string `json:"text"`
	}) (*Sent, error) {
		if a.Text == "" {
			return nil, badValue("text", "要说点什么", "there must be something to say")
		}
		return f.Say(a.Text), nil
	}),
	"image": sending(func(f *Follower, a content64) (*Sent, error) { return f.Image(a.or(samplePicture)), nil }),
	"video": sending(func(f *Follower, a content64) (*Sent, error) { return f.Video(a.or(nil)), nil }),
	"voice": sending(func(f *Follower, a struct {
		content64
		Recognition string `json:"recognition"`
	}) (*Sent, error) {
		return f.Voice(a.or([]byte("#!AMR\n")), a.Recognition), nil
	}),
	"location": sending(func(f *Follower, a place) (*Sent, error) {
		if err := a.check(); err != nil {
			return nil, err
		}
		return f.Location(a.Latitude, a.Longitude, a.Label), nil
	}),
	"report_location": sending(func(f *Follower, a place) (*Sent, error) {
		if err := a.check(); err != nil {
			return nil, err
		}
		return f.ReportLocation(a.Latitude, a.Longitude, a.Precision), nil
	}),
	"link": sending(func(f *Follower, a struct {
		Title       string `json:"title"`
		Description string `json:"description"`
		URL         string `json:"url"`
	}) (*Sent, error) {
		if a.URL == "" {
			return nil, badValue("url", "链接要有地址", "a link needs an address")
		}
		return f.Link(a.Title, a.Description, a.URL), nil
	}),
	"file": sending(func(f *Follower, a struct {
		Name string `json:"name"`
	}) (*Sent, error) {
		if a.Name == "" {
			return nil, badValue("name", "文件要有名字", "a file needs a name")
		}
		return f.File(a.Name), nil
	}),
	"click": sending(func(f *Follower, a struct {
		Key string `json:"key"`
	}) (*Sent, error) {
		if a.Key == "" {
			return nil, badValue("key", "菜单按钮要有 key", "a menu button needs its key")
		}
		return f.Click(a.Key), nil
	}),
	"tap":   tap,
	"press": press,
	"scan":  scan,
	"event": sending(func(f *Follower, a eventJSON) (*Sent, error) {
		m, err := f.account.eventOf(a, f.openID)
		if err != nil {
			return nil, err
		}
		return f.Send(m), nil
	}),
	"xml": sending(func(f *Follower, a struct {
		XML string `json:"xml"`
	}) (*Sent, error) {
		m, err := f.account.messageOf([]byte(a.XML), f.openID)
		if err != nil {
			return nil, err
		}
		return f.Send(m), nil
	}),
}

// act does what the request says. Its members other than type belong to the
// type.
func (o *order) act(f *Follower) (any, error) {
	members := map[string]json.RawMessage{}
	if err := o.read(&members); err != nil {
		return nil, err
	}
	var name string
	_ = json.Unmarshal(members["type"], &name) // what is no string is no name
	do := actors[name]
	if do == nil {
		known := strings.Join(slices.Sorted(maps.Keys(actors)), ", ")
		return nil, badValue("type", "应是 "+known+" 之一", "it must be one of "+known)
	}
	delete(members, "type")
	rest, err := json.Marshal(members)
	if err != nil {
		return nil, err
	}
	ctx, cancel, err := o.wait()
	if err != nil {
		return nil, err
	}
	defer cancel()
	sent, opens, err := do(f, rest)
	if err != nil {
		return nil, err
	}
	if sent == nil {
		return map[string]string{"opens": opens}, nil
	}
	return shownSent(ctx, sent), nil
}

func bare(do func(*Follower) *Sent) actor {
	return sending(func(f *Follower, _ struct{}) (*Sent, error) { return do(f), nil })
}

// sending is an act that sends something and whose members are those of T.
func sending[T any](do func(*Follower, T) (*Sent, error)) actor {
	return func(f *Follower, members []byte) (*Sent, string, error) {
		var t T
		if err := decodeStrictly(members, &t); err != nil {
			return nil, "", err
		}
		s, err := do(f, t)
		return s, "", err
	}
}

// content64 is a file in base64, or something in its place.
type content64 struct {
	Content []byte `json:"content"`
}

func (c content64) or(standIn []byte) []byte {
	if c.Content == nil {
		return standIn
	}
	return c.Content
}

type place struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	Label     string  `json:"label"`
	Precision float64 `json:"precision"`
}

func (p place) check() error {
	if p.Latitude < -90 || p.Latitude > 90 || p.Longitude < -180 || p.Longitude > 180 {
		return badValue("latitude, longitude", "应在 ±90 和 ±180 以内", "they must be within ±90 and ±180")
	}
	return nil
}

// tap taps a link of the chat: the nth of an entry, or one that says something.
func tap(f *Follower, members []byte) (*Sent, string, error) {
	var a struct {
		Entry  int64  `json:"entry"` // 0 is the last one with links
		Link   int    `json:"link"`  // from 1; 0 is the first
		Say    string `json:"say"`
		MenuID string `json:"menu_id"`
	}
	if err := decodeStrictly(members, &a); err != nil {
		return nil, "", err
	}
	if a.Say != "" {
		return f.Tap(Span{Say: a.Say, MenuID: a.MenuID}), "", nil
	}
	chat := f.Chat()
	slices.Reverse(chat)
	i := slices.IndexFunc(chat, func(e Entry) bool {
		if a.Entry != 0 {
			return e.Seq == a.Entry
		}
		return len(e.Links()) > 0
	})
	n := max(a.Link, 1)
	if i < 0 || n > len(chat[i].Links()) {
		return nil, "", badValue("entry, link", "聊天里没有这个链接；GET …/chat 看有哪些", "there is no such link in the chat: GET …/chat shows them")
	}
	link := chat[i].Links()[n-1]
	return f.Tap(link), link.URL, nil
}

// press presses a button of the menu: by its name, or by the names of both
// levels.
func press(f *Follower, members []byte) (*Sent, string, error) {
	var a struct {
		Button []string `json:"button"`
	}
	if err := decodeStrictly(members, &a); err != nil {
		return nil, "", err
	}
	s, err := f.Press(a.Button...)
	if err != nil {
		return nil, "", notTaken(err)
	}
	return s, "", nil
}

// scan scans a QR code of the account: by its ticket or address, or, where it
// need not exist, by its scene.
func scan(f *Follower, members []byte) (*Sent, string, error) {
	var a struct {
		Code  string `json:"code"`
		Scene string `json:"scene"`
	}
	if err := decodeStrictly(members, &a); err != nil {
		return nil, "", err
	}
	if (a.Code == "") == (a.Scene == "") {
		return nil, "", badValue("code, scene", "写其中一个：二维码的 ticket 或 url，或者场景值", "give one of them: the code's ticket or url, or a scene")
	}
	if a.Scene != "" {
		return f.ScanScene(a.Scene), "", nil
	}
	s, err := f.Scan(a.Code)
	if err != nil {
		return nil, "", notTaken(err)
	}
	return s, "", nil
}
