package app

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/wenzihq/wenzi/oa/sim"
)

// chatAct is what a line that begins with a slash does.
type chatAct struct {
	names []string // without the slash, the Chinese one first
	takes string   // what stands behind the name
	what  string
	do    func(c *chat, rest string) (*sim.Sent, error)
}

// chatActs are the acts, in the order of the help.
func chatActs() []chatAct {
	return []chatAct{
		{[]string{"关注", "subscribe"}, "", "关注公众号 — follow", bare((*sim.Follower).Subscribe)},
		{[]string{"取关", "unsubscribe"}, "", "取消关注 — stop following", bare((*sim.Follower).Unsubscribe)},
		{[]string{"图片", "image"}, "", "发一张图片 — a picture", bare(func(f *sim.Follower) *sim.Sent { return f.Image(nil) })},
		{[]string{"语音", "voice"}, "[文字]", "发语音，文字是识别结果 — a voice message and what it is recognised as", func(c *chat, rest string) (*sim.Sent, error) {
			return c.follower.Voice(nil, rest), nil
		}},
		{[]string{"视频", "video"}, "", "发一段视频 — a video", bare(func(f *sim.Follower) *sim.Sent { return f.Video(nil) })},
		{[]string{"位置", "location"}, "[地名]", "发位置 — a place", func(c *chat, rest string) (*sim.Sent, error) {
			return c.follower.Location(23.106574, 113.324553, cmp.Or(rest, "广州塔")), nil
		}},
		{[]string{"分享", "share"}, "网址", "发一个链接 — a link", func(c *chat, rest string) (*sim.Sent, error) {
			return c.follower.Link("一篇文章", "说明", cmp.Or(rest, "https://example.com/article")), nil
		}},
		{[]string{"文件", "file"}, "[文件名]", "发文件 — a file", func(c *chat, rest string) (*sim.Sent, error) {
			return c.follower.File(cmp.Or(rest, "文件.pdf")), nil
		}},
		{[]string{"表情", "sticker"}, "", "发表情 — a sticker", bare((*sim.Follower).Sticker)},
		{[]string{"点", "click"}, "KEY", "点菜单按钮 — click a menu button", func(c *chat, rest string) (*sim.Sent, error) {
			if rest == "" {
				return nil, errors.New("/点 后面要写按钮的 KEY（/click needs the button's key）")
			}
			return c.follower.Click(rest), nil
		}},
		{[]string{"扫", "scan"}, "场景值", "扫带参数的二维码 — scan a QR code with a scene", func(c *chat, rest string) (*sim.Sent, error) {
			if rest == "" {
				return nil, errors.New("/扫 后面要写场景值（/scan needs the scene）")
			}
			return c.follower.ScanScene(rest), nil
		}},
		{[]string{"链接", "tap"}, "N", "点出现过的第 N 个链接 — tap the nth link that was shown", (*chat).tap},
		{[]string{"事件", "event"}, "名字 [EventKey]", "发任意事件 — any event", (*chat).event},
		{[]string{"帮助", "help"}, "", "这份列表 — this list", func(c *chat, _ string) (*sim.Sent, error) { return nil, c.say(chatHelp()) }},
		{[]string{"退出", "quit", "exit"}, "", "结束 — end", func(*chat, string) (*sim.Sent, error) { return nil, errQuit }},
	}
}

func bare(do func(*sim.Follower) *sim.Sent) func(*chat, string) (*sim.Sent, error) {
	return func(c *chat, rest string) (*sim.Sent, error) {
		if rest != "" {
			return nil, fmt.Errorf("后面不带 %q（nothing stands behind it）", rest)
		}
		return do(c.follower), nil
	}
}

// chatHelp lists the acts.
func chatHelp() string {
	var b strings.Builder
	for _, a := range chatActs() {
		b.WriteString(sim.Line("  /"+a.names[0], strings.TrimSpace(a.takes+"  "+a.what), "/"+a.names[1]))
	}
	return b.String()
}

// do carries out a line of input. What is wrong with it is said; the error is
// for the chat as a whole.
func (c *chat) do(line string) error {
	s, err := c.sendLine(line)
	if errors.Is(err, errQuit) {
		return err
	}
	if err != nil {
		c.failed = true
		return c.say(tame(err.Error()) + "\n")
	}
	if s != nil {
		c.sent[s.ID] = s
		c.pending = append(c.pending, s)
	}
	return nil
}

func (c *chat) sendLine(line string) (*sim.Sent, error) {
	line = strings.TrimSpace(line)
	name, rest, _ := strings.Cut(line, " ")
	switch {
	case line == "":
		return nil, nil
	case strings.HasPrefix(line, "//"): // a text that begins with a slash
		return c.follower.Say(line[1:]), nil
	case !strings.HasPrefix(line, "/") || strings.HasPrefix(line, "/:"): // emoticons do so too
		return c.follower.Say(line), nil
	}
	acts := chatActs()
	i := slices.IndexFunc(acts, func(a chatAct) bool { return slices.Contains(a.names, strings.ToLower(name[1:])) })
	if i < 0 {
		return nil, fmt.Errorf("没有动作 %s，/帮助 列出全部；要说以 / 开头的话，写两个 /（there is no such act, /help lists them; // says a text that begins with /）", name)
	}
	return acts[i].do(c, strings.TrimSpace(rest))
}

// tap taps the nth link that was shown.
func (c *chat) tap(rest string) (*sim.Sent, error) {
	n, err := strconv.Atoi(cmp.Or(rest, strconv.Itoa(len(c.links))))
	if err != nil || n < 1 || n > len(c.links) {
		return nil, fmt.Errorf("没有第 %s 个链接，出现过 %d 个（there is no such link, %[2]d were shown）", rest, len(c.links))
	}
	link := c.links[n-1]
	s := c.follower.Tap(link)
	if s == nil {
		return nil, c.say(sim.Line("我", "[打开网页] "+link.URL, ""))
	}
	return s, nil
}

// event sends an event by its name.
func (c *chat) event(rest string) (*sim.Sent, error) {
	name, key, _ := strings.Cut(rest, " ")
	if name == "" {
		return nil, errors.New("/事件 后面要写名字，例如 VIEW https://example.com/（/event needs a name）")
	}
	said := sayCmd{Event: name, Key: strings.TrimSpace(key)}
	said.OpenID, said.To = c.follower.OpenID(), c.follower.Account().Config().OriginalID
	m, err := said.event(c.platform.Now())
	if err != nil {
		return nil, err
	}
	return c.follower.Send(m), nil
}
