package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

// turnsCmd shows what became of messages.
type turnsCmd struct {
	storage
	ID      string `arg:"" optional:"" help:"一条消息的编号：看它的整个经过 — the id of a turn, to see its whole timeline."`
	Account string `placeholder:"PATH" help:"登记的账号（bot.yaml 的 path）；只有一个时不用给 — a registered account; not needed where there is only one."`
	State   string `placeholder:"STATE" help:"只列这种状态，如 failed、waiting — only turns of this state."`
	Limit   int    `default:"20" help:"最多列几条，从最新的起 — how many, the newest first."`
	Texts   bool   `help:"也显示 OpenID 和消息内容（隐私）— show OpenIDs and texts too, which are private."`
	JSON    bool   `name:"json" help:"每条一行 JSON — one line of JSON for each."`
}

// mostTurns is the longest list.
const mostTurns = 1000

// Run asks the running server, or the database where none runs.
func (c *turnsCmd) Run(e *env) error {
	q := turnQuery{ID: c.ID, Account: c.Account, State: c.State, Limit: c.Limit, Texts: c.Texts}
	if err := q.check(); err != nil {
		return errUsage{err}
	}
	var turns []turnRecord
	if client, running := controlClient(c.Data); running {
		out, err := callControl(e.ctx, client, http.MethodGet, "/turns?"+q.encode(), nil)
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(out), &turns); err != nil {
			return errors.New("the running server answers something else than turns")
		}
	} else {
		if c.missing() {
			return errUsage{fmt.Errorf("%s 里没有数据库，用 --data 指明（there is no database; give --data）", c.Data)}
		}
		err := c.offline(e.ctx, func(s *store.Store) (err error) {
			turns, err = q.find(e.ctx, s)
			return err
		})
		if err != nil {
			return err
		}
	}
	switch {
	case c.JSON:
		out := json.NewEncoder(e.stdout)
		out.SetEscapeHTML(false)
		for _, t := range turns {
			if err := out.Encode(t); err != nil {
				return err
			}
		}
		return nil
	case c.ID != "":
		return turns[0].show(e.stdout)
	}
	return showTurns(e.stdout, turns)
}

// turnQuery says which turns to show: one, or the newest of an account.
type turnQuery struct {
	ID, Account, State string
	Limit              int
	Texts              bool
}

func (q *turnQuery) encode() string {
	return url.Values{"id": {q.ID}, "account": {q.Account}, "state": {q.State}, "limit": {strconv.Itoa(q.Limit)}, "texts": {strconv.FormatBool(q.Texts)}}.Encode()
}

// check says what is wrong in what the owner wrote.
func (q *turnQuery) check() error {
	_, known := q.states()
	switch _, err := store.ParseTurnID(q.ID); {
	case q.ID != "" && err != nil:
		return errors.New("编号应为 wenzi turns 列出的 32 个字符（an id has 32 characters, as wenzi turns lists it）")
	case !known:
		var names []string
		for _, s := range store.States {
			names = append(names, s.String()+" "+stateNames[s])
		}
		return fmt.Errorf("--state: 应为其中之一（must be one of）: %s", strings.Join(names, ", "))
	case q.Limit < 1 || q.Limit > mostTurns:
		return fmt.Errorf("--limit: 应在 1 到 %d 之间（must be 1 to %d）", mostTurns, mostTurns)
	}
	return nil
}

// states are those to show; none are all.
func (q *turnQuery) states() (states []store.State, known bool) {
	if q.State == "" {
		return nil, true
	}
	i := slices.IndexFunc(store.States, func(s store.State) bool { return s.String() == q.State || stateNames[s] == q.State })
	if i < 0 {
		return nil, false
	}
	return store.States[i : i+1], true
}

// turnRecord is a turn as it is shown.
type turnRecord struct {
	ID       string    `json:"id"`
	At       time.Time `json:"at"`
	Follower string    `json:"follower,omitempty"` // shortened, unless texts are shown
	Kind     string    `json:"kind"`
	State    string    `json:"state"`
	By       string    `json:"by,omitempty"`
	Note     string    `json:"note,omitempty"`
	// Delivery is which delivery was answered, Deliveries how many there were.
	Delivery   int `json:"delivery,omitempty"`
	Deliveries int `json:"deliveries"`
	// Milliseconds is from the message to the whole answer, 0 before that.
	Milliseconds     int64  `json:"ms,omitempty"`
	Model            string `json:"model,omitempty"`
	PromptTokens     int    `json:"prompt_tokens,omitempty"`
	CompletionTokens int    `json:"completion_tokens,omitempty"`

	Timeline []turnStep `json:"timeline,omitempty"`

	Message  string `json:"message,omitempty"`
	Reply    string `json:"reply,omitempty"`
	Question string `json:"question,omitempty"`
	Answer   string `json:"answer,omitempty"`
}

type turnStep struct {
	At     time.Time `json:"at"`
	What   string    `json:"what"`
	Detail string    `json:"detail,omitempty"`
}

// find reads the turns that are meant.
func (q *turnQuery) find(ctx context.Context, s *store.Store) ([]turnRecord, error) {
	var turns []*store.Turn
	if q.ID != "" {
		id, err := store.ParseTurnID(q.ID)
		if err != nil {
			return nil, err
		}
		t, err := s.Turn(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			return nil, errUsage{fmt.Errorf("没有编号为 %s 的消息（there is no such turn）", q.ID)}
		}
		if err != nil {
			return nil, err
		}
		turns = append(turns, t)
	} else {
		account, err := q.account(ctx, s)
		if err != nil {
			return nil, err
		}
		states, _ := q.states()
		if turns, err = s.Turns(ctx, account, store.TurnID{}, q.Limit, states...); err != nil {
			return nil, err
		}
	}
	records := make([]turnRecord, len(turns))
	for i, t := range turns {
		a, err := s.Answer(ctx, t.ID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		records[i] = q.record(t, a)
	}
	return records, nil
}

// account finds the number of the account that is meant.
func (q *turnQuery) account(ctx context.Context, s *store.Store) (int64, error) {
	accounts, err := s.Accounts(ctx)
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(accounts, func(a store.Account) bool { return a.Path == q.Account })
	switch {
	case i >= 0:
		return accounts[i].ID, nil
	case len(accounts) == 0:
		return 0, errUsage{errors.New("没有登记的账号：先 wenzi apply（no account is registered; apply a bot.yaml）")}
	case q.Account == "" && len(accounts) == 1:
		return accounts[0].ID, nil
	}
	var paths []string
	for _, a := range accounts {
		paths = append(paths, a.Path)
	}
	known := "\n  " + strings.Join(paths, "\n  ")
	if q.Account == "" {
		return 0, errUsage{fmt.Errorf("有几个账号，用 --account 选一个（choose one by --account）:%s", known)}
	}
	return 0, errUsage{fmt.Errorf("--account: 没有登记 %q（is not registered），登记的有（registered are）:%s", tame(q.Account), known)}
}

// record makes what is shown of a turn and its answer, which is nil where the
// answer took no time.
func (q *turnQuery) record(t *store.Turn, a *store.Answer) turnRecord {
	r := turnRecord{
		ID: t.ID.String(), At: t.ArrivedAt, Follower: shortened(t.OpenID), Kind: t.Kind, State: t.State.String(), By: t.By, Note: t.Note,
		Delivery: 1, Deliveries: 1 + len(t.Repeats),
	}
	whole := t.AnsweredAt
	timeline := []store.Step{{At: t.ArrivedAt, What: "message", Detail: t.Kind}}
	if a == nil {
		timeline = append(timeline, store.Step{At: t.AnsweredAt, What: t.State.String(), Detail: t.By})
	} else {
		timeline = a.Timeline
		r.Delivery, r.Deliveries = deliveries(timeline, t)
		whole = a.ReadyAt
		r.Model, r.PromptTokens, r.CompletionTokens = a.Usage.Model, a.Usage.PromptTokens, a.Usage.CompletionTokens
	}
	if a != nil && a.Target != (store.TurnID{}) {
		whole = t.AnsweredAt
	}
	if !whole.IsZero() {
		r.Milliseconds = max(1, whole.Sub(t.ArrivedAt).Milliseconds())
	}
	if q.ID != "" {
		for _, d := range t.Repeats {
			timeline = append(timeline, store.Step{At: d.ArrivedAt, What: "delivery", Detail: "a repeat, answered as before"})
		}
		slices.SortStableFunc(timeline, func(a, b store.Step) int { return a.At.Compare(b.At) })
		for _, s := range timeline {
			r.Timeline = append(r.Timeline, turnStep(s))
		}
	}
	if q.Texts {
		r.Follower, r.Message, r.Reply = t.OpenID, messageText(t.Message), replyText(t.Reply)
		if a != nil {
			r.Question, r.Answer = a.Question, a.Text
		}
	}
	return r
}

// deliveries reads from the timeline which delivery of a message was answered,
// 0 for none, and how many there were.
func deliveries(timeline []store.Step, t *store.Turn) (answered, all int) {
	for _, s := range timeline {
		number, _, _ := strings.Cut(s.Detail, ",")
		n, err := strconv.Atoi(number)
		if s.What != "delivery" || err != nil {
			continue
		}
		all = max(all, n)
		if !t.AnsweredAt.IsZero() && !s.At.After(t.AnsweredAt) {
			answered = max(answered, n)
		}
	}
	return answered, cmp.Or(all, 1)
}

// shortened is as much of an OpenID as tells followers apart.
func shortened(openid string) string {
	const end = 6
	if len(openid) <= end+1 {
		return openid
	}
	return openid[:1] + "…" + openid[len(openid)-end:]
}

// messageText is what a follower has said or done.
func messageText(delivery []byte) string {
	m, err := oa.ParseMessage(delivery)
	if err != nil {
		return string(delivery)
	}
	return sim.Describe(m)
}

// replyText is what a reply says; of one that is no text the XML.
func replyText(reply []byte) string {
	elements, err := oa.ParseElements(reply)
	if content, ok := oa.Find(elements, "Content"); err == nil && ok {
		return content.Text
	}
	return string(reply)
}

// turns answers wenzi turns.
func (c *control) turns(w http.ResponseWriter, r *http.Request) {
	v := r.URL.Query()
	q := turnQuery{ID: v.Get("id"), Account: v.Get("account"), State: v.Get("state"), Texts: v.Get("texts") == "true"}
	q.Limit, _ = strconv.Atoi(v.Get("limit"))
	err := q.check()
	var turns []turnRecord
	if err == nil {
		turns, err = q.find(r.Context(), c.store)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(turns) // a command that is gone needs none
}
