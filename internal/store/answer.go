package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Answer is what is known of a turn whose answer takes time.
type Answer struct {
	Turn     TurnID
	OpenID   string
	State    State
	Holder   string // the process that works on it, see Beat
	Question string // what was asked, with what was merged into it
	Target   TurnID // the turn whose answer this one fetches; zero: it has a question
	Text     string // the answer up to now, markdown
	Done     bool   // Text is whole
	Shown    string // what the follower has seen of it, as WeChat text
	// Sending says what is on its way to the follower, or still to be said:
	// SendingReply, or a word of the caller's. Of an expired answer it says that
	// the follower does not know.
	Sending string
	Token   string // in the link that fetches the answer
	Page    []byte // 16 bytes: the name of the full answer's page; nil: it has none
	Runs    int    // how often work on it began
	Usage   Usage
	// Remembered says that question and answer are part of the conversation.
	Remembered bool
	AskedAt    time.Time
	ReadyAt    time.Time // when Text became whole
	ExpiresAt  time.Time // of a waiting answer
	Timeline   []Step    // not read by lists
}

// SendingReply is in Answer.Sending while a reply was not seen to be accepted.
const SendingReply = "reply"

// Usage is what an answer has cost.
type Usage struct {
	Model            string        `json:"model,omitempty"`
	PromptTokens     int           `json:"prompt_tokens,omitempty"`
	CachedTokens     int           `json:"cached_tokens,omitempty"`
	CompletionTokens int           `json:"completion_tokens,omitempty"`
	ReasoningTokens  int           `json:"reasoning_tokens,omitempty"`
	Estimated        bool          `json:"estimated,omitempty"` // the model did not count
	Calls            int           `json:"calls,omitempty"`     // requests to endpoints
	Queued           time.Duration `json:"queued,omitempty"`
	FirstText        time.Duration `json:"first_text,omitempty"`
	Total            time.Duration `json:"total,omitempty"`
}

// Step is one thing that happened to a turn. What and Detail never hold a
// follower's words.
type Step struct {
	At     time.Time
	What   string
	Detail string
}

// step is a line of answers.timeline.
type step struct {
	At     int64  `json:"at"`
	What   string `json:"what"`
	Detail string `json:"detail,omitempty"`
}

// maxTimeline is how many bytes of timeline a turn has at the most. Steps that
// would make it longer are not noted.
const maxTimeline = 16 << 10

func stepLines(steps []Step) string {
	var b strings.Builder
	for _, s := range steps {
		line := marshal(step{At: millis(s.At), What: s.What, Detail: s.Detail})
		if b.Len()+len(line) < maxTimeline {
			b.WriteString(line)
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// marshal is for what is made of numbers and texts. JSON escapes NUL and mends
// broken UTF-8.
func marshal(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // never, with such values
	}
	return string(b)
}

func parseSteps(lines []byte) ([]Step, error) {
	var steps []Step
	for line := range bytes.Lines(lines) {
		var s step
		if err := json.Unmarshal(line, &s); err != nil {
			return nil, err
		}
		steps = append(steps, Step{At: fromMillis(s.At), What: s.What, Detail: s.Detail})
	}
	return steps, nil
}

const insertAnswer = `INSERT INTO answers (turn, account, openid, state, holder, question, target, token, page, runs, timeline, remembered, asked_at)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`

// insertAnswers inserts the rows beside fresh turns that are to be worked on.
func (c *writerConn) insertAnswers(ctx context.Context, turns []*request) error {
	for _, r := range turns {
		a := r.turn.Answer
		if a == nil || r.stored != nil {
			continue
		}
		if _, err := c.insertAnswer.ExecContext(ctx, r.turn.answerValues()...); err != nil {
			return fmt.Errorf("insert the answer: %w", err)
		}
	}
	return nil
}

// answerValues are the parameters of insertAnswer.
func (t *Turn) answerValues() []any {
	a := t.Answer
	var page, target any
	if a.Page != nil {
		page = a.Page
	}
	if a.Target != (TurnID{}) {
		target = a.Target[:]
	}
	return []any{t.ID[:], t.ID.Account(), t.OpenID, int64(t.State), clean(a.Holder), clean(a.Question), target,
		clean(a.Token), page, a.Runs, stepLines(a.Timeline), flag(a.Remembered), millis(t.ArrivedAt)}
}

// Each of these is the condition of a small index, in the words of which it has
// to be asked for: 1 is Answered, 6 Expired, 10 Working, 12 Waiting.
const (
	isOpen        = "state >= 10"
	isUnfinished  = "(state = 10 OR state > 10 AND done = 0)"
	isUnconfirmed = "(sending = 'reply' AND (state = 1 OR state = 12))"
	inMailbox     = "(state = 12 OR state = 6 AND sending <> '')"
)

const answerColumns = `turn, openid, state, holder, question, target, text, done, shown, sending, token, page, runs, usage, remembered, asked_at, ready_at, expires_at`

func scanAnswer(row interface{ Scan(...any) error }, more ...any) (*Answer, error) {
	var (
		a                     Answer
		id, target, usage     []byte
		asked, ready, expires int64
	)
	to := append([]any{&id, &a.OpenID, &a.State, &a.Holder, &a.Question, &target, &a.Text, &a.Done, &a.Shown, &a.Sending, &a.Token, &a.Page, &a.Runs,
		&usage, &a.Remembered, &asked, &ready, &expires}, more...)
	if err := row.Scan(to...); err != nil {
		return nil, err
	}
	if len(id) != len(a.Turn) {
		return nil, fmt.Errorf("an answer's turn has an id of %d bytes", len(id))
	}
	if len(target) == len(a.Target) {
		a.Target = TurnID(target)
	}
	a.Turn = TurnID(id)
	a.AskedAt, a.ReadyAt, a.ExpiresAt = fromMillis(asked), fromMillis(ready), fromMillis(expires)
	if len(usage) > 0 {
		if err := json.Unmarshal(usage, &a.Usage); err != nil {
			return nil, fmt.Errorf("usage of turn %s: %w", a.Turn, err)
		}
	}
	return &a, nil
}

func (s *Store) answers(ctx context.Context, where string, args ...any) ([]*Answer, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT "+answerColumns+" FROM answers WHERE "+where, args...)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	var out []*Answer
	for rows.Next() {
		a, err := scanAnswer(rows)
		if err != nil {
			return nil, unavailable(err)
		}
		out = append(out, a)
	}
	return out, unavailable(rows.Err())
}

// Answer returns what is known of a turn's answer with its timeline, or
// ErrNotFound for a turn whose answer took no time.
func (s *Store) Answer(ctx context.Context, id TurnID) (*Answer, error) {
	var timeline []byte
	a, err := scanAnswer(s.read.QueryRowContext(ctx, "SELECT "+answerColumns+", timeline FROM answers WHERE turn = $1", id[:]), &timeline)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("the answer of turn %s is %w", id, ErrNotFound)
	}
	if err != nil {
		return nil, unavailable(err)
	}
	if a.Timeline, err = parseSteps(timeline); err != nil {
		return nil, fmt.Errorf("timeline of turn %s: %w", id, err)
	}
	return a, nil
}

// AnswerOfPage returns the answer whose page has that name, whole or not, or
// ErrNotFound.
func (s *Store) AnswerOfPage(ctx context.Context, page []byte) (*Answer, error) {
	found, err := s.answers(ctx, "page = $1", page)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("the page is %w", ErrNotFound)
	}
	return found[0], nil
}

// Mailbox returns the answers that wait for a follower, and those that have
// expired without the follower's knowing, the oldest first.
func (s *Store) Mailbox(ctx context.Context, account int64, openid string) ([]*Answer, error) {
	return s.answers(ctx, "account = $1 AND openid = $2 AND "+inMailbox+" ORDER BY asked_at, turn", account, clean(openid))
}

// AnswerOfToken returns the follower's answer with that token, or ErrNotFound.
func (s *Store) AnswerOfToken(ctx context.Context, account int64, openid, token string) (*Answer, error) {
	found, err := s.answers(ctx, "account = $1 AND openid = $2 AND token = $3", account, clean(openid), clean(token))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("the answer is %w", ErrNotFound)
	}
	return found[0], nil
}

// Conversation returns up to limit questions with their answers that belong to
// the follower's conversation, the newest first. Failures do not.
func (s *Store) Conversation(ctx context.Context, account int64, openid string, limit int) ([]*Answer, error) {
	return s.answers(ctx, `account = $1 AND openid = $2 AND remembered = 1 AND done = 1 AND text <> '' AND state <> $3
		ORDER BY asked_at DESC, turn DESC LIMIT $4`, account, clean(openid), int64(Failed), limit)
}

// ForgetConversation begins a new conversation with the follower.
func (s *Store) ForgetConversation(ctx context.Context, account int64, openid string) error {
	return s.do(ctx, func(ctx context.Context, c *sql.Conn) error {
		_, err := c.ExecContext(ctx, `UPDATE answers SET remembered = 0 WHERE account = $1 AND openid = $2 AND remembered = 1`, account, clean(openid))
		return err
	})
}

// ForgetAnswers deletes what the follower was told or could still fetch, as the
// platform asks when somebody stops following. Turns being worked on stay.
func (s *Store) ForgetAnswers(ctx context.Context, account int64, openid string) error {
	return s.do(ctx, func(ctx context.Context, c *sql.Conn) error {
		// The answers before their turns, as in every change: so no two processes
		// wait for each other.
		waited, err := deleteAnswers(ctx, c, account, openid)
		if err != nil {
			return err
		}
		for _, id := range waited {
			if _, err := c.ExecContext(ctx, "UPDATE turns SET state = $2, note = 'the follower left' WHERE id = $1", id[:], int64(Failed)); err != nil {
				return err
			}
		}
		return nil
	})
}

// deleteAnswers returns the turns of which somebody could have fetched the answer.
func deleteAnswers(ctx context.Context, c *sql.Conn, account int64, openid string) (waited []TurnID, err error) {
	rows, err := c.QueryContext(ctx, "DELETE FROM answers WHERE account = $1 AND openid = $2 AND state NOT IN ($3, $4) RETURNING turn, state",
		account, clean(openid), int64(Working), int64(Promised))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			id    []byte
			state State
		)
		if err := rows.Scan(&id, &state); err != nil {
			return nil, err
		}
		if state == Waiting {
			waited = append(waited, TurnID(id))
		}
	}
	return waited, rows.Err()
}

// Pending is a follower for whom something waits.
type Pending struct {
	Account int64
	OpenID  string
}

// Pendings returns all followers for whom something is in the mailbox.
func (s *Store) Pendings(ctx context.Context) ([]Pending, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT DISTINCT account, openid FROM answers WHERE "+inMailbox)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	var out []Pending
	for rows.Next() {
		var p Pending
		if err := rows.Scan(&p.Account, &p.OpenID); err != nil {
			return nil, unavailable(err)
		}
		out = append(out, p)
	}
	return out, unavailable(rows.Err())
}

// CountOpen counts the turns that are not at their end, by state.
func (s *Store) CountOpen(ctx context.Context) (map[State]int64, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT state, count(*) FROM answers WHERE state >= 10 GROUP BY state")
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	counts := map[State]int64{Working: 0, Promised: 0, Waiting: 0}
	for rows.Next() {
		var (
			state State
			n     int64
		)
		if err := rows.Scan(&state, &n); err != nil {
			return nil, unavailable(err)
		}
		counts[state] = n
	}
	return counts, unavailable(rows.Err())
}

// ExpiredAnswers returns up to limit answers that have waited for too long.
func (s *Store) ExpiredAnswers(ctx context.Context, now time.Time, limit int) ([]*Answer, error) {
	return s.answers(ctx, isOpen+" AND state = $1 AND expires_at > 0 AND expires_at <= $2 ORDER BY expires_at LIMIT $3", int64(Waiting), millis(now), limit)
}

// Unpushed returns up to limit answers that were whole before then and are still
// to be pushed.
func (s *Store) Unpushed(ctx context.Context, before time.Time, limit int) ([]*Answer, error) {
	return s.answers(ctx, isOpen+" AND state = $1 AND done = 1 AND ready_at <= $2 LIMIT $3", int64(Promised), millis(before), limit)
}
