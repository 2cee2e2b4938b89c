package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// ErrConflict says that a turn is not, or no longer, in the state or the hands
// that a change expects. Nothing of the change is in the database.
var ErrConflict = errors.New("the turn is in another state or in other hands")

// Change is a step in the life of a turn with an answer. What is nil or zero
// stays as it is.
type Change struct {
	ID TurnID

	// What has to be so, or else nothing is changed and the error is ErrConflict.
	From     []State // the states the turn may be in; none: any
	Holder   string  // who works on it; empty: anybody
	WasShown *string // what of the answer was shown up to now

	// Of the turn.
	To         State
	Reply      []byte
	By, Note   string
	AnsweredAt time.Time

	// Of its answer.
	NewHolder *string
	Question  *string
	Text      *string
	Done      bool
	Shown     *string
	Sending   *string
	Run       bool // one more run begins
	Usage     *Usage
	ReadyAt   time.Time
	ExpiresAt time.Time
	Steps     []Step // what happened, for the timeline

	Jobs []Job // put into the queue with the change
}

// The changes of an answer and of its turn: NULL leaves a column as it is.
const (
	changeAnswer = `UPDATE answers SET state = coalesce($1, state), holder = coalesce($2, holder), question = coalesce($3, question),
			text = coalesce($4, text), done = coalesce($5, done), shown = coalesce($6, shown), sending = coalesce($7, sending),
			runs = runs + $8, usage = coalesce($9, usage), ready_at = coalesce($10, ready_at), expires_at = coalesce($11, expires_at),
			timeline = CASE WHEN octet_length(timeline) <= $12 THEN timeline || $13 ELSE timeline END
		WHERE turn = $14 AND (1 << state) & $15 <> 0 AND holder = coalesce($16, holder) AND shown = coalesce($17, shown)`
	changeTurn = `UPDATE turns SET state = coalesce($1, state), reply = coalesce($2, reply), decided_by = coalesce($3, decided_by),
			note = coalesce($4, note), answered_at = coalesce($5, answered_at)
		WHERE id = $6`
)

// update is a Change as the parameters of its statements.
type update struct {
	answer []any
	turn   []any // nil: there is nothing to change
	jobs   []Job
	event  *Event // nil: nobody waits for it elsewhere
}

func (ch *Change) update() update {
	id := ch.ID // the caller's may be changed when it no longer waits
	state := orNull(int64(ch.To))
	from := int64(-1)
	if len(ch.From) > 0 {
		from = 0
	}
	for _, s := range ch.From {
		from |= 1 << s
	}
	var usage, reply any
	if ch.Usage != nil {
		usage = marshal(ch.Usage)
	}
	if len(ch.Reply) > 0 {
		reply = ch.Reply
	}
	steps := stepLines(ch.Steps)
	u := update{
		answer: []any{
			state, textOrNull(ch.NewHolder), textOrNull(ch.Question), textOrNull(ch.Text), orNull(flag(ch.Done)), textOrNull(ch.Shown),
			textOrNull(ch.Sending), flag(ch.Run), usage, orNull(millis(ch.ReadyAt)), orNull(millis(ch.ExpiresAt)),
			maxTimeline - len(steps), steps, id[:], from, orNull(clean(ch.Holder)), textOrNull(ch.WasShown),
		},
		jobs:  ch.Jobs,
		event: ch.event(),
	}
	if ch.To != 0 || reply != nil || ch.By != "" || ch.Note != "" || !ch.AnsweredAt.IsZero() {
		u.turn = []any{state, reply, orNull(clean(ch.By)), orNull(clean(ch.Note)), orNull(millis(ch.AnsweredAt)), id[:]}
	}
	return u
}

// size is about how many bytes the change writes.
func (u *update) size() int {
	n := 0
	for _, values := range [][]any{u.answer, u.turn} {
		for _, v := range values {
			switch v := v.(type) {
			case string:
				n += len(v)
			case []byte:
				n += len(v)
			}
		}
	}
	return n
}

func orNull[T comparable](v T) any {
	if v == *new(T) {
		return nil
	}
	return v
}

func textOrNull(s *string) any {
	if s == nil {
		return nil
	}
	return clean(*s)
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Apply makes all changes or none of them, in one transaction that others'
// changes and turns share. The error is ErrConflict, or ErrUnavailable; after
// the latter the changes may have been made all the same, or may be yet: when
// ctx ends Apply stops waiting, but what it was given is not taken back.
//
// Neither a Reply nor the Args of a job may be changed after the call.
func (s *Store) Apply(ctx context.Context, changes ...Change) error {
	if len(changes) == 0 {
		return nil
	}
	r := &request{done: make(chan struct{}, 1), changes: make([]update, len(changes)), id: changes[0].ID}
	for i := range changes {
		r.changes[i] = changes[i].update()
		if id := changes[i].ID; bytes.Compare(id[:], r.id[:]) < 0 {
			r.id = id
		}
	}
	if !s.queue.add(r) {
		return fmt.Errorf("%w: it is closed, or too much waits to be written", ErrUnavailable)
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		return fmt.Errorf("%w: no commit in time: %w", ErrUnavailable, ctx.Err())
	}
	if errors.Is(r.err, ErrConflict) {
		return r.err
	}
	return unavailable(r.err)
}

// applyAll applies sets of changes of which none may have to be undone.
func (s *Store) applyAll(ctx context.Context, c *writerConn, sets []*request) error {
	for _, r := range sets {
		var changed int
		if changed, r.err = s.applySet(ctx, c, r.changes); r.err != nil && (changed > 0 || !errors.Is(r.err, ErrConflict)) {
			return fmt.Errorf("change: %w", r.err)
		}
	}
	return nil
}

// applyEach undoes a set that cannot be applied, and goes on with the next.
func (s *Store) applyEach(ctx context.Context, c *writerConn, sets []*request) error {
	for _, r := range sets {
		if _, err := c.conn.ExecContext(ctx, "SAVEPOINT changes"); err != nil {
			return fmt.Errorf("change: %w", err)
		}
		told := len(s.news.made)
		if _, r.err = s.applySet(ctx, c, r.changes); r.err != nil {
			if _, err := c.conn.ExecContext(ctx, "ROLLBACK TO SAVEPOINT changes"); err != nil {
				return fmt.Errorf("undo a change: %w", errors.Join(r.err, err))
			}
			s.news.made = s.news.made[:told]
		}
		if _, err := c.conn.ExecContext(ctx, "RELEASE SAVEPOINT changes"); err != nil {
			return fmt.Errorf("change: %w", err)
		}
	}
	return nil
}

// applySet returns how many of the changes were begun, beside an error too.
func (s *Store) applySet(ctx context.Context, c *writerConn, changes []update) (begun int, err error) {
	for i, u := range changes {
		if err := updateOne(ctx, c.changeAnswer, u.answer); err != nil {
			return i, err
		}
		if u.turn != nil {
			if err := updateOne(ctx, c.changeTurn, u.turn); err != nil {
				return i + 1, err
			}
		}
		for _, j := range u.jobs {
			if _, err := s.insertJob(ctx, c.conn, j); err != nil {
				return i + 1, err
			}
		}
	}
	for _, u := range changes {
		if u.event != nil {
			s.news.add(*u.event)
		}
	}
	return len(changes), nil
}

// updateOne runs an UPDATE that must find its row.
func updateOne(ctx context.Context, statement *sql.Stmt, values []any) error {
	result, err := statement.ExecContext(ctx, values...)
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && n == 0 {
		return ErrConflict
	}
	return err
}
