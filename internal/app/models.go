package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"time"

	"github.com/wenzihq/wenzi/internal/account"
	"github.com/wenzihq/wenzi/internal/bot"
	"github.com/wenzihq/wenzi/internal/model"
	"github.com/wenzihq/wenzi/internal/robot"
	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/internal/turn"
	"github.com/wenzihq/wenzi/oa"
)

// models are the language models of all accounts.
type models struct {
	pool    *model.Pool
	memory  memory
	general bot.Model // of accounts without one of their own; zero: none
	guests  bool      // guests have it too
}

func newModels(s settings, db *store.Store) (*models, error) {
	general, err := s.model()
	if err != nil {
		return nil, err
	}
	return &models{pool: model.New(nil), memory: memory{db}, general: general, guests: s.GuestModel}, nil
}

// of returns the model that answers an account.
func (m *models) of(a bot.Account) bot.Model {
	if a.Model.IsZero() {
		return m.general
	}
	return a.Model
}

// robot makes the robot of an account. A guest's has no memory: everybody who
// knows its Token could read it.
func (m *models) robot(a account.Served) (*robot.Robot, error) {
	switch {
	case !a.Guest:
		a.Bot.Model = m.of(a.Bot)
		return robot.New(a.Bot, robot.Config{Models: m.pool, Memory: m.memory})
	case m.guests:
		a.Bot.Model = m.general
	}
	return robot.New(a.Bot, robot.Config{Models: m.pool})
}

// memory is the conversations in the store.
type memory struct{ store *store.Store }

// Recall implements [robot.Memory].
func (m memory) Recall(ctx context.Context, account int64, openid string, limit int) ([]robot.Exchange, error) {
	answers, err := m.store.Conversation(ctx, account, openid, limit)
	if err != nil {
		return nil, err
	}
	var said []robot.Exchange
	for _, a := range slices.Backward(answers) {
		said = append(said, robot.Exchange{Question: a.Question, Answer: a.Text})
	}
	return said, nil
}

// Forget implements [robot.Memory].
func (m memory) Forget(ctx context.Context, account int64, openid string) error {
	return m.store.ForgetConversation(ctx, account, openid)
}

// answering is a robot as turn wants it.
type answering struct {
	robot *robot.Robot
	log   *slog.Logger
}

func (a answering) Answer(r *oa.Request) (turn.Answer, error) {
	answer, err := a.robot.Answer(r)
	return turn.Answer(answer), err
}

func (a answering) Sorry(r *oa.Request) turn.Answer { return turn.Answer(a.robot.Sorry(r)) }

func (a answering) Work(ctx context.Context, q turn.Question, d *turn.Draft) (turn.Result, error) {
	result, err := a.robot.Work(ctx, robot.Question{
		Account: q.Account, OpenID: q.OpenID, Text: q.Text, Message: q.Message, Remember: q.Remember,
	}, d.Text, d.Step)
	if err == nil { // otherwise turn says it
		for _, failed := range result.Model.Failed {
			a.log.Warn("a model failed, the follower has an answer all the same", "account", q.Account, "turn", q.Turn, "error", failed)
		}
	}
	return turn.Result{Text: result.Text, Usage: usage(result.Model)}, err
}

func (a answering) Expect(started time.Time, bytes int) (time.Time, bool) {
	return a.robot.Expect(started, bytes)
}

func usage(r model.Result) store.Usage {
	u := store.Usage{
		PromptTokens: r.Usage.Prompt, CachedTokens: r.Usage.Cached, CompletionTokens: r.Usage.Completion,
		ReasoningTokens: r.Usage.Reasoning, Estimated: r.Usage.Estimated,
		Calls: r.Attempts, Queued: r.Queued, FirstText: r.FirstText, Total: r.Total,
	}
	if r.Name != "" {
		u.Model = r.Provider + "/" + r.Name
	}
	return u
}

// shown names a model and where it is asked first.
func shown(m bot.Model) string {
	first := m.WithDefaults().Endpoints[0]
	host := ""
	if u, err := url.Parse(first.BaseURL); err == nil {
		host = u.Host
	}
	return first.Name + " @ " + host
}

// welcome says which model answers accounts without one of their own.
func (m *models) welcome(open bool) string {
	switch {
	case m.general.IsZero():
		return ""
	case open && !m.guests:
		return fmt.Sprintf("  大模型 model   %s ，只回答登记的公众号；没有登记的也要它回答，加上 --guest-model（for registered accounts; --guest-model lets it answer guests too）\n", shown(m.general))
	}
	return fmt.Sprintf("  大模型 model   %s\n", shown(m.general))
}

// tryCommand is how a server can be tried that listens there.
func tryCommand(listen net.Addr, registered []bot.Account) string {
	const say = "go run ./cmd/wenzi say"
	host, port, err := net.SplitHostPort(listen.String())
	if ip := net.ParseIP(host); err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	server := net.JoinHostPort(host, port)
	switch {
	case len(registered) == 0 && server == "127.0.0.1:8080": // where say asks by itself
		return say + " 你好"
	case len(registered) == 0:
		return fmt.Sprintf("%s --url http://%s/wechatMP/hello 你好", say, server)
	}
	a := registered[0]
	path := a.Path
	if path == a.Token.Reveal() {
		path = "<path>"
	}
	command := fmt.Sprintf("%s --url http://%s/wechatMP/%s --token <token>", say, server, path)
	if a.Mode != oa.Plain {
		command += fmt.Sprintf(" --mode %s --app-id %s --aes-key <aes_key>", a.Mode, a.AppID)
	}
	return command + " 你好"
}
