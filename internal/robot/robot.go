// Package robot decides what to say: given a follower's message it yields the
// account's answer. It knows nothing of HTTP, deadlines or SQL.
//
// The order is that of DESIGN: greeting, rules, fallback. Rules for a subscribe
// event come before the greeting, so that a QR code can have one of its own.
package robot

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/wenzihq/wenzi/internal/bot"
	"github.com/wenzihq/wenzi/oa"
)

// What wenzi says where the owner has not said otherwise.
const (
	DefaultName     = "是雯子吖"
	DefaultGreeting = "Hi~ 终于等到你"

	apology     = "抱歉，我刚才走神了，请再说一次。"
	cannotHear  = "收到你的语音啦，可是我还听不懂，打字告诉我好吗？"
	cannotRead  = "这种消息我还看不懂，发文字给我吧。"
	cannotWatch = "视频收到啦，可是我还不会看，打字告诉我好吗？"
	noClick     = "这个菜单还没有设置回复，直接打字告诉我你想问什么吧。"
)

// Robot answers for one account. It is safe for concurrent use.
type Robot struct {
	greeting oa.Reply
	rules    []rule
	fallback fallback
	apology  oa.Reply
}

type fallback struct {
	echo  bool
	reply oa.Reply // zero says nothing
}

// rule is a bot.Rule made ready for matching.
type rule struct {
	texts    map[string]bool // folded
	contains []string        // folded
	expr     *regexp.Regexp
	event    string // lower-case
	key      string
	reply    oa.Reply
	template string // of a regexp rule's text, else ""
}

// Answer is what the robot says.
type Answer struct {
	Reply oa.Reply
	By    string // what decided: "greeting", "rule 3", "echo", "fallback", "none"
}

// New makes the robot of an account.
func New(a bot.Account) (*Robot, error) {
	r := &Robot{fallback: fallback{echo: a.Fallback.IsZero()}}
	greeting := a.Greeting
	if greeting.IsZero() {
		greeting = bot.Reply{Text: DefaultGreeting}
	}
	var err error
	if r.greeting, err = reply(greeting); err != nil {
		return nil, fmt.Errorf("account %s: greeting: %w", a.Path, err)
	}
	if r.fallback.reply, err = reply(a.Fallback.Reply); err != nil {
		return nil, fmt.Errorf("account %s: fallback: %w", a.Path, err)
	}
	if r.apology = r.fallback.reply; r.apology.IsZero() {
		if r.apology, err = oa.Text(apology); err != nil {
			return nil, err
		}
	}
	for i, br := range a.Rules {
		compiled, err := compile(br)
		if err != nil {
			return nil, fmt.Errorf("account %s: rule %d: %w", a.Path, i+1, err)
		}
		r.rules = append(r.rules, compiled)
	}
	return r, nil
}

func compile(br bot.Rule) (rule, error) {
	var out rule
	var err error
	if len(br.Text) > 0 {
		out.texts = make(map[string]bool, len(br.Text))
		for _, t := range br.Text {
			out.texts[oa.FoldText(t)] = true
		}
	}
	for _, c := range br.Contains {
		out.contains = append(out.contains, oa.FoldText(c))
	}
	if br.Regexp != "" {
		if out.expr, err = regexp.Compile(br.Regexp); err != nil {
			return rule{}, err
		}
		if strings.Contains(br.Reply.Text, "{{") {
			out.template = br.Reply.Text
			return out, nil
		}
	}
	event, key, _ := strings.Cut(br.Event, "/")
	out.event, out.key = strings.ToLower(event), key
	out.reply, err = reply(br.Reply)
	return out, err
}

// reply makes the callback library's reply of bot.yaml's; the zero one says nothing.
func reply(r bot.Reply) (oa.Reply, error) {
	switch r.Kind() {
	case "text":
		return oa.Text(r.Text)
	case "image":
		return oa.Image(r.Image)
	case "voice":
		return oa.Voice(r.Voice)
	case "video":
		return oa.Video(oa.VideoContent(*r.Video))
	case "music":
		return oa.Music(oa.MusicContent{Title: r.Music.Title, Description: r.Music.Description,
			URL: r.Music.MusicURL, HQURL: r.Music.HQMusicURL, ThumbMediaID: r.Music.ThumbMediaID})
	case "news":
		articles := make([]oa.Article, len(r.News))
		for i, a := range r.News {
			articles[i] = oa.Article(a)
		}
		return oa.News(articles...)
	case "transfer":
		return oa.Transfer(r.Transfer.Agent)
	}
	return oa.None()
}

// Answer says what to answer. It neither waits nor remembers.
func (r *Robot) Answer(req *oa.Request) (Answer, error) {
	switch m := req.Message.(type) {
	case oa.Info:
		return Answer{By: "none"}, nil
	case oa.Event:
		return r.event(m, req.EventKey())
	}
	return r.message(req)
}

func (r *Robot) event(e oa.Event, key string) (Answer, error) {
	name := e.EventHead().Event
	for i := range r.rules {
		rule := &r.rules[i]
		if rule.event != "" && strings.EqualFold(rule.event, name) && (rule.key == "" || rule.key == key) {
			return Answer{Reply: rule.reply, By: fmt.Sprintf("rule %d", i+1)}, nil
		}
	}
	switch e.(type) {
	case *oa.SubscribeEvent:
		return Answer{Reply: r.greeting, By: "greeting"}, nil
	case *oa.ClickEvent:
		// A menu button that does nothing looks broken.
		if r.fallback.echo {
			return say(noClick, "echo")
		}
		return r.fall(), nil
	}
	return Answer{By: "none"}, nil
}

func (r *Robot) message(req *oa.Request) (Answer, error) {
	text := req.Text()
	if t, ok := req.Message.(*oa.TextMessage); ok && t.Unsupported() {
		text = ""
	}
	if text != "" {
		if a, ok, err := r.match(text); ok || err != nil {
			return a, err
		}
	}
	if !r.fallback.echo {
		return r.fall(), nil
	}
	switch m := req.Message.(type) {
	case *oa.ImageMessage:
		reply, err := oa.Image(m.MediaID)
		return Answer{Reply: reply, By: "echo"}, err
	case *oa.LocationMessage:
		return say("收到你的位置："+strings.TrimSpace(m.Label), "echo")
	case *oa.LinkMessage:
		return say("收到你分享的链接："+m.Title, "echo")
	case *oa.FileMessage:
		return say("收到文件："+m.Title, "echo")
	case *oa.VideoMessage:
		return say(cannotWatch, "echo")
	}
	switch {
	case text != "":
		return say(text, "echo")
	case req.Kind() == "voice":
		return say(cannotHear, "echo")
	}
	return say(cannotRead, "echo")
}

// match finds the first rule for a text.
func (r *Robot) match(text string) (Answer, bool, error) {
	folded := oa.FoldText(text)
	for i := range r.rules {
		rule := &r.rules[i]
		by := func() string { return fmt.Sprintf("rule %d", i+1) }
		switch {
		case rule.texts[folded]:
			return Answer{Reply: rule.reply, By: by()}, true, nil
		case rule.expr != nil:
			groups := rule.expr.FindStringSubmatch(strings.TrimSpace(text))
			if groups == nil {
				continue
			}
			if rule.template == "" {
				return Answer{Reply: rule.reply, By: by()}, true, nil
			}
			filled, err := bot.Expand(rule.template, func(name string) (string, bool) {
				j := rule.expr.SubexpIndex(name)
				if j < 0 {
					return "", false
				}
				return groups[j], true
			})
			if err != nil {
				return Answer{}, true, fmt.Errorf("rule %d: %w", i+1, err)
			}
			a, err := say(filled, by())
			return a, true, err
		}
		for _, c := range rule.contains {
			if strings.Contains(folded, c) {
				return Answer{Reply: rule.reply, By: by()}, true, nil
			}
		}
	}
	return Answer{}, false, nil
}

func (r *Robot) fall() Answer {
	if r.fallback.reply.IsZero() {
		return Answer{By: "none"}
	}
	return Answer{Reply: r.fallback.reply, By: "fallback"}
}

// Sorry is the answer when the robot has failed: the fallback, or an apology
// where that says nothing.
func (r *Robot) Sorry(req *oa.Request) Answer {
	if _, event := req.Message.(oa.Event); event {
		return Answer{By: "none"}
	}
	return Answer{Reply: r.apology, By: "fallback"}
}

// say answers with a text of which a follower's words are a part: what does
// not fit is cut, what cannot be shown is not said.
func say(text, by string) (Answer, error) {
	reply, err := oa.Text(oa.Clip(text, oa.MaxTextBytes))
	if err != nil {
		return Answer{By: "none"}, nil //nolint:nilerr // only an empty text fails, and it says nothing
	}
	return Answer{Reply: reply, By: by}, nil
}
