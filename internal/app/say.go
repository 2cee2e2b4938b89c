package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

// sayCmd plays WeChat for one message: a follower's chat with one thing said. Its
// exit status is 0 for an answer that WeChat would show or a right `success`, be
// it to a repeat; 1 for any other; 2 for flags that do not fit.
type sayCmd struct {
	Text []string `arg:"" optional:"" help:"要说的话；有 --image 等参数时是素材 id、标题、地名或网址 — the text, or what the flag of its kind needs."`

	Image    bool   `group:"说什么 — what to say" xor:"kind" help:"发图片 [MEDIA_ID] — an image."`
	Voice    bool   `group:"说什么 — what to say" xor:"kind" help:"发语音 [MEDIA_ID] — a voice message."`
	Video    bool   `group:"说什么 — what to say" xor:"kind" help:"发视频 [MEDIA_ID] — a video."`
	Location bool   `group:"说什么 — what to say" xor:"kind" help:"发位置 [地名] — a location."`
	Link     bool   `group:"说什么 — what to say" xor:"kind" help:"发链接 [URL] — a link."`
	File     bool   `group:"说什么 — what to say" xor:"kind" help:"发文件 [文件名] — a file."`
	Event    string `group:"说什么 — what to say" xor:"kind" placeholder:"NAME" help:"事件：subscribe、unsubscribe、SCAN、CLICK、VIEW、LOCATION… — an event."`
	Click    string `group:"说什么 — what to say" xor:"kind" placeholder:"KEY" help:"点菜单，即 --event CLICK --key KEY — a menu click."`
	Check    bool   `group:"说什么 — what to say" xor:"kind" help:"只验证服务器地址 — only the check of the server's address."`

	Recognition string `group:"细节 — details" placeholder:"文字" help:"语音识别出的文字，用于 --voice — what --voice was recognised as."`
	Key         string `group:"细节 — details" help:"事件的 EventKey — the event's EventKey."`
	Scene       string `group:"细节 — details" help:"二维码的场景值，用于 --event subscribe 或 SCAN — the QR code's scene."`
	MsgID       int64  `group:"细节 — details" help:"消息的 MsgId，默认每次不同；相同即为重复投递 — the same one again repeats a message."`
	Once        bool   `group:"细节 — details" help:"只投递一次，不像微信那样重试 — deliver once, without WeChat's repeats."`

	speaker
	Raw bool `group:"对谁说 — to whom" help:"打印收发的原文，含签名 — print the bytes sent and got, with the signature."`
}

// Run says it and prints what comes of it.
func (c *sayCmd) Run(e *env) error {
	account, err := c.account()
	if err != nil {
		return errUsage{err}
	}
	if err := c.consistent(); err != nil {
		return errUsage{err}
	}
	var m oa.Message
	if !c.Check {
		if m, err = c.message(time.Now()); err != nil {
			return errUsage{err}
		}
	}
	p := sim.New(c.settings())
	defer p.Close()
	a, err := p.NewAccount(account)
	if err != nil {
		return err
	}
	if c.Check {
		x, err := a.Check(e.ctx)
		if err != nil {
			return err
		}
		if err := c.print(e.stdout, x, x.Transcript()+nextStep(x)); err != nil {
			return err
		}
		return unless(x.Verdict.OK())
	}
	f := a.FollowerWith(c.OpenID)
	f.SetFollowing(true)
	return c.follow(e, p, f, m)
}

// settings are WeChat's facts, but for a media id that only WeChat knows, and
// for a server that is not there, for which nobody has to wait.
func (c *sayCmd) settings() sim.Settings {
	s := sim.Settings{Rules: sim.Rules{AllowUnknownMedia: true}, BreaksRepeatAtOnce: true}
	if c.Once {
		s.Deliveries, s.QuickRepeats = 1, -1
	}
	return s
}

// follow sends the message and prints its deliveries as they are made.
func (c *sayCmd) follow(e *env, p *sim.Platform, f *sim.Follower, m oa.Message) error {
	p.Events(0) // they are kept from now on
	s := f.Send(m)
	var last sim.Attempt
	for a := range attempts(e.ctx, p, s) {
		text := a.Transcript()
		if a.Number == 1 {
			text = sim.Line("我", sim.Describe(m), "") + text
		}
		if err := c.print(e.stdout, a.Exchange, text); err != nil {
			return err
		}
		last = a
	}
	fate := s.Fate()
	if fate == sim.OnItsWay {
		return fmt.Errorf("没有等到结果就停下了（given up before an answer was there）: %w", context.Cause(e.ctx))
	}
	rest := ""
	if why := s.Reason(); why != nil {
		rest += "微信没有推送：" + why.String() + "\n"
	}
	if !c.Once && noticeAfter(f, s) {
		rest += sim.Line("公众号", sim.FaultNotice, "")
	}
	if last.Exchange != nil {
		rest += nextStep(last.Exchange)
	}
	if _, err := io.WriteString(e.stdout, rest); err != nil {
		return err
	}
	return unless(fate == sim.Replied || fate == sim.Silent)
}

// unless is the exit status of what has been printed.
func unless(ok bool) error {
	if !ok {
		return errSilent{}
	}
	return nil
}

// attempts yields the deliveries of a message as they are made, until there are
// no more or the context ends. The platform's events must have been asked for
// before the message was sent.
func attempts(ctx context.Context, p *sim.Platform, s *sim.Sent) iter.Seq[sim.Attempt] {
	return func(yield func(sim.Attempt) bool) {
		for seen := 0; ; {
			_, changed := p.Events(0)
			over := s.Fate() != sim.OnItsWay
			for _, a := range s.Attempts()[seen:] {
				seen++
				if !yield(a) {
					return
				}
			}
			if over {
				return
			}
			select {
			case <-changed:
			case <-s.Done():
			case <-ctx.Done():
				return
			}
		}
	}
}

// noticeAfter reports whether the fault notice was shown after all deliveries had
// failed.
func noticeAfter(f *sim.Follower, s *sim.Sent) bool {
	return slices.ContainsFunc(f.Chat(), func(e sim.Entry) bool {
		return e.Message == s.ID && e.From == sim.FromWeChat && e.Delivery == 0
	})
}

func (c *sayCmd) print(w io.Writer, x *sim.Exchange, text string) error {
	if c.Raw {
		raw, err := rawExchange(x)
		if err != nil {
			return err
		}
		text += "\n" + raw
	}
	_, err := io.WriteString(w, text)
	return err
}

// message is what the flags say, at the time it is said.
func (c *sayCmd) message(now time.Time) (oa.Message, error) {
	if c.Event != "" || c.Click != "" {
		return c.event(now)
	}
	text := strings.Join(c.Text, " ")
	id := oa.Ident{MsgID: cmp.Or(c.MsgID, now.UnixNano())}
	switch h := c.head(now); {
	case c.Image:
		h.MsgType = "image"
		return &oa.ImageMessage{Header: h, PicURL: "http://mmbiz.qpic.cn/mmbiz_jpg/abc/0", MediaID: cmp.Or(text, "media_id_image"), Ident: id}, nil
	case c.Voice:
		h.MsgType = "voice"
		return &oa.VoiceMessage{Header: h, MediaID: cmp.Or(text, "media_id_voice"), Format: "amr", Ident: id, Recognition: c.Recognition}, nil
	case c.Video:
		h.MsgType = "video"
		return &oa.VideoMessage{Header: h, MediaID: cmp.Or(text, "media_id_video"), ThumbMediaID: "media_id_thumb", Ident: id}, nil
	case c.Location:
		h.MsgType = "location"
		return &oa.LocationMessage{Header: h, Latitude: 23.106574, Longitude: 113.324553, Scale: 16, Label: cmp.Or(text, "广州塔"), Ident: id}, nil
	case c.Link:
		h.MsgType = "link"
		return &oa.LinkMessage{Header: h, Title: "一篇文章", Description: "说明", URL: cmp.Or(text, "https://example.com/article"), Ident: id}, nil
	case c.File:
		h.MsgType = "file"
		return &oa.FileMessage{Header: h, Title: cmp.Or(text, "文件.pdf"), FileKey: "file_key", FileMD5: "d41d8cd98f00b204e9800998ecf8427e", Ident: id}, nil
	case text == "":
		return nil, errors.New("要说点什么，例如：wenzi say 你好（say something, e.g. wenzi say hello）")
	default:
		h.MsgType = "text"
		return &oa.TextMessage{Header: h, Content: text, Ident: id}, nil
	}
}

// consistent refuses what the message has no place for.
func (c *sayCmd) consistent() error {
	event := c.Event != "" || c.Click != ""
	byCode := strings.EqualFold(c.Event, "subscribe") || strings.EqualFold(c.Event, "SCAN")
	switch {
	case c.Check && len(c.Text) > 0:
		return errors.New("--check: 不带文字（takes no text）")
	case c.Recognition != "" && !c.Voice:
		return errors.New("--recognition: 只用于 --voice（goes with --voice only）")
	case c.Scene != "" && !byCode:
		return errors.New("--scene: 只用于 --event subscribe 或 SCAN（goes with --event subscribe or SCAN only）")
	case c.Key != "" && (c.Event == "" || c.Scene != ""):
		return errors.New("--key: 只用于 --event，且不能同时有 --scene（goes with --event only, and not with --scene）")
	case event && c.MsgID != 0:
		return errors.New("--msg-id: 事件没有 MsgId（events have none）")
	case event && len(c.Text) > 0:
		return errors.New("事件不带文字；EventKey 用 --key 给出（an event has no text; its EventKey is --key）")
	}
	return nil
}

func (c *sayCmd) head(now time.Time) oa.Header {
	return oa.Header{ToUserName: c.To, FromUserName: c.OpenID, CreateTime: now.Unix()}
}

// eventNames are those whose case somebody may get wrong.
var eventNames = []string{"subscribe", "unsubscribe", "SCAN", "LOCATION", "CLICK", "VIEW"}

// event is read back from its elements, which gives it the type of its name.
func (c *sayCmd) event(now time.Time) (oa.Message, error) {
	name := cmp.Or(c.Event, "CLICK")
	if i := slices.IndexFunc(eventNames, func(n string) bool { return strings.EqualFold(n, name) }); i >= 0 {
		name = eventNames[i]
	}
	key, ticket := cmp.Or(c.Click, c.Key), ""
	if c.Scene != "" {
		key, ticket = c.Scene, "gQH47joAAAAAAAAAASxodHRwOi8v"
		if name == "subscribe" {
			key = "qrscene_" + c.Scene
		}
	}
	h := c.head(now)
	u := &oa.UnknownEvent{Elements: []oa.Element{
		{Name: "ToUserName", Text: h.ToUserName},
		{Name: "FromUserName", Text: h.FromUserName},
		{Name: "CreateTime", Text: strconv.FormatInt(h.CreateTime, 10)},
		{Name: "MsgType", Text: "event"},
		{Name: "Event", Text: name},
		{Name: "EventKey", Text: key},
	}}
	if ticket != "" {
		u.Elements = append(u.Elements, oa.Element{Name: "Ticket", Text: ticket})
	}
	body, err := oa.Marshal(u)
	if err != nil {
		return nil, err
	}
	m, err := oa.ParseMessage(body)
	if l, ok := m.(*oa.LocationEvent); ok {
		l.Latitude, l.Longitude, l.Precision = 23.106574, 113.324553, 65
	}
	return m, err
}

// nextStep is a line that says what to do about a problem, where that can be
// said.
func nextStep(x *sim.Exchange) string {
	if x.Verdict.Problem == nil {
		return ""
	}
	if step := stepAfter(x); step != "" {
		return step + "\n"
	}
	return ""
}

func stepAfter(x *sim.Exchange) string {
	switch x.Verdict.Problem.Rule {
	case sim.RuleConnection:
		if errors.Is(x.Response.Err, syscall.ECONNREFUSED) {
			return "下一步：服务没有在这个地址运行。先运行 wenzi serve，或用 --url 给出地址（next: is `wenzi serve` running? otherwise give --url）"
		}
		return "下一步：检查 --url 的主机和端口（next: check host and port of --url）"
	case sim.RuleTimeout:
		return "下一步：看看服务器卡在哪里；来不及就先回 success（next: see what the server waits for; what takes longer is answered success first）"
	case sim.RuleRedirect:
		return "下一步：把服务器地址改成重定向后的地址（next: use the address that it redirects to）"
	case sim.RuleStatus:
		return afterStatus(x.Response.Status)
	case sim.RuleClear, sim.RuleSignature, sim.RuleCiphertext, sim.RuleAppID:
		return "下一步：两边的 Token、EncodingAESKey、AppID 和加解密方式要一致（next: Token, EncodingAESKey, AppID and mode must be the same on both sides）"
	}
	return ""
}

func afterStatus(status int) string {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return "下一步：地址、Token 或加解密方式不对，检查 --url、--token、--mode、--aes-key、--app-id（next: the URL, the Token or the mode is wrong）"
	case http.StatusMethodNotAllowed:
		return "下一步：这个地址要接受 GET 和 POST（next: the URL must take GET and POST）"
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return "下一步：代理后面的服务没有运行（next: the server behind the proxy does not run）"
	}
	if status >= 500 {
		return "下一步：看服务器的日志（next: see the server's log）"
	}
	return ""
}

// rawExchange is what was sent and got, line by line.
func rawExchange(x *sim.Exchange) (string, error) {
	var b strings.Builder
	line := func(mark, s string) { b.WriteString(strings.TrimRight(mark+" "+s, " ") + "\n") }
	lines := func(mark string, h http.Header, body []byte) {
		for _, name := range slices.Sorted(maps.Keys(h)) {
			for _, v := range h[name] {
				line(mark, visible(name+": "+v))
			}
		}
		line(mark, "")
		for l := range strings.Lines(string(body)) {
			line(mark, visible(strings.TrimSuffix(l, "\n")))
		}
	}
	var sent []byte
	if x.Request.GetBody != nil {
		body, err := x.Request.GetBody()
		if err != nil {
			return "", err
		}
		if sent, err = io.ReadAll(body); err != nil {
			return "", err
		}
	}
	line(">", x.Request.Method+" "+x.Request.URL.String())
	lines(">", x.Request.Header, sent)
	if x.Response.Status != 0 {
		line("<", "HTTP "+strconv.Itoa(x.Response.Status))
		lines("<", x.Response.Header, x.Response.Body)
	}
	return b.String(), nil
}

// visible writes bytes that are no text, or would steer the terminal, as \x….
func visible(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && size == 1 || r != '\t' && !unicode.IsGraphic(r) {
			for i := range size {
				fmt.Fprintf(&b, `\x%02x`, s[i])
			}
		} else {
			b.WriteString(s[:size])
		}
		s = s[size:]
	}
	return b.String()
}
