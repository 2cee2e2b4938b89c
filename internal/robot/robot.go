// Package robot decides what to say: given a follower's message it yields the
// account's answer. It knows nothing of HTTP, deadlines or SQL.
//
// The order is that of DESIGN: greeting, commands, rules, model, fallback. Rules
// for a subscribe event come before the greeting, so that a QR code can have one
// of its own. What takes time is a question, which [Robot.Work] answers.
package robot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/wenzihq/wenzi/internal/bot"
	"github.com/wenzihq/wenzi/internal/model"
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
	cannotSee   = "图片收到啦，可是我还不会看，打字告诉我好吗？"
	noClick     = "这个菜单还没有设置回复，直接打字告诉我你想问什么吧。"
)

// Robot answers for one account. It is safe for concurrent use.
type Robot struct {
	greeting oa.Reply
	rules    []rule
	echo     bool   // what no rule matches is echoed
	fallback Answer // elsewhere
	click    Answer // to a menu button without a rule
	apology  oa.Reply
	asker    *asker // nil: there is no model
}

// Config is what robots share. The zero Config is without models.
type Config struct {
	Models *model.Pool
	Memory Memory // nil: models are told of nothing that was said before
}

// rule is a bot.Rule made ready for matching.
type rule struct {
	texts    map[string]bool // folded
	contains []string        // folded
	expr     *regexp.Regexp
	event    string
	key      string
	reply    oa.Reply
	template string // of a regexp rule's text, else ""
}

// Answer is what the robot says.
type Answer struct {
	Reply oa.Reply
	By    string // what decided: "greeting", "rule 3", "echo", "fallback", or "none" of them
	// Question, if it is set, is for [Robot.Work]. There is no Reply then.
	Question string
}

// New makes the robot of an account. Its errors do not name the account, whose
// path may be its Token.
func New(a bot.Account, c Config) (*Robot, error) {
	r := &Robot{echo: a.Fallback.IsZero(), fallback: Answer{By: "none"}, asker: newAsker(a, c)}
	greeting := a.Greeting
	if greeting.IsZero() {
		greeting = bot.Reply{Text: DefaultGreeting}
	}
	var err error
	if r.greeting, err = reply(greeting); err != nil {
		return nil, fmt.Errorf("greeting: %w", err)
	}
	if r.apology, err = oa.Text(apology); err != nil {
		return nil, err
	}
	if !a.Fallback.Reply.IsZero() {
		fallback, err := reply(a.Fallback.Reply)
		if err != nil {
			return nil, fmt.Errorf("fallback: %w", err)
		}
		r.fallback, r.apology = Answer{Reply: fallback, By: "fallback"}, fallback
	}
	if r.asker != nil {
		if r.apology, err = oa.Text(r.asker.model.Sorry); err != nil {
			return nil, fmt.Errorf("model.sorry: %w", err)
		}
	}
	// A menu button that does nothing looks broken, and an event cannot be
	// transferred (reference §7.1).
	r.click = r.fallback
	if r.echo || a.Fallback.Reply.Kind() == "transfer" {
		said, err := oa.Text(noClick)
		if err != nil {
			return nil, err
		}
		r.click = Answer{Reply: said, By: "fallback"}
	}
	for i, br := range a.Rules {
		compiled, err := compile(br)
		if err != nil {
			return nil, fmt.Errorf("rule %d: %w", i+1, err)
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
	out.event, out.key, _ = strings.Cut(br.Event, "/")
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
		return r.event(m, req.EventKey()), nil
	}
	return r.message(req)
}

func (r *Robot) event(e oa.Event, key string) Answer {
	name := e.EventHead().Event
	for i := range r.rules {
		rule := &r.rules[i]
		if rule.event != "" && strings.EqualFold(rule.event, name) && (rule.key == "" || rule.key == key) {
			return Answer{Reply: rule.reply, By: fmt.Sprintf("rule %d", i+1)}
		}
	}
	switch e.(type) {
	case *oa.SubscribeEvent:
		return Answer{Reply: r.greeting, By: "greeting"}
	case *oa.ClickEvent:
		return r.click
	}
	return Answer{By: "none"}
}

func (r *Robot) message(req *oa.Request) (Answer, error) {
	text := req.Text()
	if t, ok := req.Message.(*oa.TextMessage); ok && t.Unsupported() {
		text = ""
	}
	if r.asker != nil && isCommand(text) {
		return Answer{Question: text}, nil
	}
	if text != "" {
		if a, ok, err := r.match(text); ok || err != nil {
			return a, err
		}
	}
	switch {
	case r.asker != nil:
		if question := r.asker.question(req.Message, text); question != "" {
			return Answer{Question: question}, nil
		}
		return r.puzzled(req)
	case r.echo:
		return echo(req, text)
	}
	return r.fallback, nil
}

// puzzled answers what the model cannot read: with the fallback, or a friendly
// line where that is the echo.
func (r *Robot) puzzled(req *oa.Request) (Answer, error) {
	if !r.echo {
		return r.fallback, nil
	}
	answer, err := echo(req, "")
	if _, ok := req.Message.(*oa.ImageMessage); ok {
		answer.Reply, err = oa.Text(cannotSee)
	}
	answer.By = "fallback"
	return answer, err
}

// Work answers a question in its own time: say is called with all of the answer
// so far while it comes in, step with what happens, in words that hold nothing a
// follower said. Beside an error the result's text is what the follower is told.
func (r *Robot) Work(ctx context.Context, q Question, say func(sofar string), step func(what, detail string)) (Result, error) {
	if r.asker == nil { // it had a model when it was asked
		return Result{Text: apology}, errors.New("the account has no model any more")
	}
	return r.asker.work(ctx, q, say, step)
}

// Expect forecasts when work that began then, and has so many bytes of an answer
// by now, will be over.
func (r *Robot) Expect(started time.Time, bytes int) (ready time.Time, known bool) {
	if r.asker == nil {
		return time.Time{}, false
	}
	return r.asker.models.Expect(r.asker.model, started, bytes)
}

// echo sends back what the follower has said, or a friendly line where that
// cannot be.
func echo(req *oa.Request, text string) (Answer, error) {
	switch m := req.Message.(type) {
	case *oa.ImageMessage:
		if image, err := oa.Image(m.MediaID); err == nil {
			return Answer{Reply: image, By: "echo"}, nil
		}
	case *oa.VoiceMessage:
		text = cmp.Or(text, cannotHear)
	case *oa.VideoMessage:
		text = cannotWatch
	case *oa.LocationMessage:
		text = strings.TrimSuffix("收到你的位置："+strings.TrimSpace(m.Label), "：")
	case *oa.LinkMessage:
		text = strings.TrimSuffix("收到你分享的链接："+strings.TrimSpace(m.Title), "：")
	case *oa.FileMessage:
		text = strings.TrimSuffix("收到文件："+strings.TrimSpace(m.Title), "：")
	}
	said, err := clipped(text)
	if said.IsZero() && err == nil {
		said, err = oa.Text(cannotRead)
	}
	return Answer{Reply: said, By: "echo"}, err
}

// match finds the first rule for a text.
func (r *Robot) match(text string) (Answer, bool, error) {
	if len(r.rules) == 0 {
		return Answer{}, false, nil
	}
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
			said, err := clipped(filled)
			return Answer{Reply: said, By: by()}, true, err
		}
		for _, c := range rule.contains {
			if strings.Contains(folded, c) {
				return Answer{Reply: rule.reply, By: by()}, true, nil
			}
		}
	}
	return Answer{}, false, nil
}

// Sorry is the answer when the robot has failed: the model's, the fallback, or an
// apology where that says nothing. Events are not answered with it.
func (r *Robot) Sorry(req *oa.Request) Answer {
	switch req.Message.(type) {
	case oa.Event, oa.Info:
		return Answer{By: "none"}
	}
	return Answer{Reply: r.apology, By: "fallback"}
}

// clipped is a text reply of which a follower's words are a part: what does not
// fit is cut, and what nobody could see says nothing.
func clipped(text string) (oa.Reply, error) {
	said, err := oa.Text(oa.Clip(text, oa.MaxTextBytes))
	if errors.Is(err, oa.ErrEmpty) {
		return oa.None()
	}
	return said, err
}
