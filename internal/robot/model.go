package robot

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wenzihq/wenzi/internal/bot"
	"github.com/wenzihq/wenzi/internal/model"
	"github.com/wenzihq/wenzi/oa"
)

// What wenzi says around the model.
const (
	forgotten = "好，我们从头开始。之前说过的我都忘了。"
	brokenOff = "\n\n（说到这里断了，没能说完。）"
	anImage   = "〔图片〕"
)

const (
	// leastUsable is the least of a broken answer that is better than none: 80
	// Chinese characters, in bytes.
	leastUsable = 240
	// mostExchanges is how far back the memory goes, however short its texts are.
	mostExchanges = 50
)

// commands begin a new conversation.
var commands = map[string]bool{"新对话": true, "新会话": true, "/new": true, "清空记忆": true}

// Memory is what was said between the accounts and their followers.
type Memory interface {
	// Recall returns the last exchanges of the conversation, at most limit, the
	// oldest first.
	Recall(ctx context.Context, account int64, openid string, limit int) ([]Exchange, error)
	// Forget begins a new conversation.
	Forget(ctx context.Context, account int64, openid string) error
}

// Exchange is a question with its answer.
type Exchange struct{ Question, Answer string }

// Question is what [Robot.Work] has to answer.
type Question struct {
	Account  int64
	OpenID   string
	Text     string     // as [Robot.Answer] gave it; more lines where several became one
	Message  oa.Message // the newest one of those
	Remember bool       // the conversation up to now may be used
}

// Result is what work has come to.
type Result struct {
	Text  string       // markdown; beside an error what to tell the follower
	Model model.Result // what it took, all zero where no model was asked
}

// asker is the part of a robot that asks a model.
type asker struct {
	models *model.Pool
	memory Memory // nil: none
	model  bot.Model
	system string
}

// newAsker returns nil for an account without a model.
func newAsker(a bot.Account, c Config) *asker {
	if c.Models == nil || a.Model.IsZero() {
		return nil
	}
	k := &asker{models: c.Models, model: a.Model.WithDefaults(), system: a.Model.System}
	if *k.model.MemoryTokens > 0 {
		k.memory = c.Memory
	}
	if k.system == "" {
		k.system = defaultSystem(a.Name)
	}
	return k
}

func defaultSystem(name string) string {
	who := "你是一个微信公众号的助手"
	if name != "" {
		who = "你是微信公众号「" + name + "」的助手"
	}
	return who + `，在聊天里回答粉丝。
- 粉丝用什么语言，就用什么语言回答。
- 直接回答，说得简短：一般不超过 200 字，适合手机上的一个聊天气泡；对方要求详细时再展开。
- 少用 Markdown：不用标题；除非对方要，也不用表格。
- 不知道的就说不知道，不编造。〔图片〕表示对方之前发过一张图片。`
}

// question is what a message asks the model, "" where it cannot read the message.
func (k *asker) question(message oa.Message, text string) string {
	switch msg := message.(type) {
	case *oa.TextMessage, *oa.VoiceMessage:
		if !blank(text) {
			return text
		}
	case *oa.LocationMessage:
		if said := place(msg); said != "" {
			return "〔位置〕" + said
		}
	case *oa.LinkMessage:
		if said := lines(msg.Title, msg.Description, msg.URL); said != "" {
			return "〔链接〕" + said
		}
	case *oa.ImageMessage:
		if isWeb(msg.PicURL) && len(k.seeing()) > 0 {
			return anImage
		}
	}
	return ""
}

// place is a location's name, or its coordinates where it has none.
func place(l *oa.LocationMessage) string {
	switch {
	case !blank(l.Label):
		return strings.TrimSpace(l.Label)
	case l.Latitude == 0 && l.Longitude == 0:
		return ""
	}
	return strconv.FormatFloat(l.Latitude, 'f', -1, 64) + ", " + strconv.FormatFloat(l.Longitude, 'f', -1, 64)
}

// lines joins what is not blank.
func lines(texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, blank), "\n")
}

// blank reports whether there is nothing to see.
func blank(text string) bool {
	_, err := oa.Text(oa.Clip(text, oa.MaxTextBytes))
	return errors.Is(err, oa.ErrEmpty)
}

func isWeb(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// seeing returns the endpoints that see images.
func (k *asker) seeing() []bot.Endpoint {
	return slices.DeleteFunc(slices.Clone(k.model.Endpoints), func(e bot.Endpoint) bool { return !e.Vision })
}

// work answers a question; see [Robot.Work].
func (k *asker) work(ctx context.Context, q Question, say func(sofar string), step func(what, detail string)) (Result, error) {
	text, renew := newConversation(q)
	if renew && k.memory != nil {
		if err := k.memory.Forget(ctx, q.Account, q.OpenID); err != nil {
			return Result{Text: k.model.Sorry}, fmt.Errorf("the conversation could not be forgotten: %w", err)
		}
	}
	if renew && text == "" {
		step("new conversation", "")
		return Result{Text: forgotten}, nil
	}
	request := model.Request{Account: strconv.FormatInt(q.Account, 10), Follower: q.OpenID, Model: k.model, Step: step}
	asked := model.Message{Role: model.User, Text: text}
	if image, ok := q.Message.(*oa.ImageMessage); ok {
		asked.Images = []model.Image{{URL: image.PicURL}}
		request.Model.Endpoints = k.seeing()
	}
	request.Messages = model.Budget(append(k.before(ctx, q, step), asked), *k.model.MemoryTokens)

	thinking := false
	result, err := k.models.Ask(ctx, request, func(sofar string) {
		switch {
		case sofar != "":
			say(sofar)
		case !thinking:
			thinking = true
			step("thinking", "")
		}
	})
	out := Result{Text: result.Text, Model: result}
	failed, _ := errors.AsType[*model.Error](err)
	switch {
	case ctx.Err() != nil: // whoever begins again does better than half an answer
		return out, err
	case err == nil && result.FinishReason != "length":
		return out, nil
	case err == nil, failed != nil && failed.Kind == model.Cut && len(result.Text) >= leastUsable:
		step("broke off", fmt.Sprintf("after %d bytes", len(result.Text)))
		out.Text += brokenOff
		return out, nil
	}
	out.Text = k.model.Sorry
	return out, err
}

// newConversation takes the command to begin a new conversation out of a
// question, where it may stand among other texts that became one with it. A
// message that only has such a line in it is none.
func newConversation(q Question) (text string, renew bool) {
	if message, ok := q.Message.(*oa.TextMessage); ok && message.Content == q.Text {
		if isCommand(q.Text) {
			return "", true
		}
		return q.Text, false
	}
	all := strings.Split(q.Text, "\n")
	rest := slices.DeleteFunc(slices.Clone(all), isCommand)
	return strings.Join(rest, "\n"), len(rest) < len(all)
}

func isCommand(text string) bool { return commands[oa.FoldText(text)] }

// before returns the messages that come before the question: the system's, and
// the conversation.
func (k *asker) before(ctx context.Context, q Question, step func(what, detail string)) []model.Message {
	messages := []model.Message{{Role: model.System, Text: k.system + "\n\n" + today(time.Now())}}
	if k.memory == nil || !q.Remember {
		return messages
	}
	exchanges, err := k.memory.Recall(ctx, q.Account, q.OpenID, mostExchanges)
	if err != nil {
		step("memory", "the conversation could not be recalled")
		return messages
	}
	for _, e := range exchanges {
		if e.Answer == k.model.Sorry {
			continue
		}
		messages = append(messages, model.Message{Role: model.User, Text: e.Question},
			model.Message{Role: model.Assistant, Text: strings.TrimSuffix(e.Answer, brokenOff)})
	}
	return messages
}

var beijing = time.FixedZone("UTC+8", 8*60*60)

// today is the date where the followers are.
func today(now time.Time) string {
	now = now.In(beijing)
	weekday := []string{"日", "一", "二", "三", "四", "五", "六"}[now.Weekday()]
	return now.Format("今天是 2006 年 1 月 2 日，星期") + weekday + "（北京时间）。"
}
