package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func apply(t *testing.T, s *Store, changes ...Change) {
	t.Helper()
	if err := s.Apply(t.Context(), changes...); err != nil {
		t.Fatal(err)
	}
}

// row is all that is on record of a turn.
type row struct {
	Turn   *Turn
	Answer *Answer
}

func readRow(t *testing.T, s *Store, id TurnID) row {
	t.Helper()
	turn, err := s.Turn(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := s.Answer(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return row{turn, answer}
}

func jobs(t *testing.T, s *Store) []Job {
	t.Helper()
	jobs, err := s.Jobs(t.Context(), JobFilter{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	return jobs
}

// Each field changes what it names, and nothing else.
func TestApplyFields(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		later := noon.Add(time.Hour).Local()
		usage := Usage{Model: "m", PromptTokens: 1, CachedTokens: 2, CompletionTokens: 3, ReasoningTokens: 4, Estimated: true, Calls: 5,
			Queued: time.Second, FirstText: 2 * time.Second, Total: 3 * time.Second}
		for i, test := range []struct {
			change Change
			want   func(row)
		}{
			{Change{}, func(row) {}},
			{Change{From: []State{Promised, Working}, Holder: "p1", WasShown: new("")}, func(row) {}},
			{Change{To: Promised}, func(r row) { r.Turn.State, r.Answer.State = Promised, Promised }},
			{Change{Reply: []byte("<xml/>\x00\xff")}, func(r row) { r.Turn.Reply = []byte("<xml/>\x00\xff") }},
			{Change{Reply: []byte{}}, func(row) {}},
			{Change{By: "model"}, func(r row) { r.Turn.By = "model" }},
			{Change{Note: "it failed"}, func(r row) { r.Turn.Note = "it failed" }},
			{Change{AnsweredAt: later}, func(r row) { r.Turn.AnsweredAt = later }},
			{Change{NewHolder: new("p2")}, func(r row) { r.Answer.Holder = "p2" }},
			{Change{NewHolder: new("")}, func(r row) { r.Answer.Holder = "" }},
			{Change{Question: new("问")}, func(r row) { r.Answer.Question = "问" }},
			{Change{Text: new("**答**")}, func(r row) { r.Answer.Text = "**答**" }},
			{Change{Done: true}, func(r row) { r.Answer.Done = true }},
			{Change{Shown: new("答")}, func(r row) { r.Answer.Shown = "答" }},
			{Change{Sending: new(SendingReply)}, func(r row) { r.Answer.Sending = SendingReply }},
			{Change{Run: true}, func(r row) { r.Answer.Runs = 2 }},
			{Change{Usage: &usage}, func(r row) { r.Answer.Usage = usage }},
			{Change{ReadyAt: later}, func(r row) { r.Answer.ReadyAt = later }},
			{Change{ExpiresAt: later}, func(r row) { r.Answer.ExpiresAt = later }},
			{Change{Steps: []Step{{later, "ride", ""}, {later, "ready", "after 2 s"}}}, func(r row) {
				r.Answer.Timeline = append(r.Answer.Timeline, Step{later, "ride", ""}, Step{later, "ready", "after 2 s"})
			}},
			{Change{Jobs: []Job{{Kind: "push"}}}, func(row) {}},
		} {
			turn := slowTurn(1, i)
			record(t, s, turn)
			record(t, s, slowTurn(2, i))
			want := readRow(t, s, turn.ID)
			test.want(want)
			test.change.ID = turn.ID
			apply(t, s, test.change)
			if diff := cmp.Diff(want, readRow(t, s, turn.ID)); diff != "" {
				t.Errorf("%+v:\n%s", test.change, diff)
			}
			other := slowTurn(2, i)
			if got := readRow(t, s, other.ID); got.Turn.State != Working || len(got.Turn.Reply) > 0 || got.Answer.Runs != 1 {
				t.Errorf("%+v has changed another turn: %+v", test.change, got)
			}
		}
		if got := jobs(t, s); len(got) != 1 || got[0].Kind != "push" {
			t.Errorf("jobs: %+v", got)
		}
		if err := s.Apply(t.Context()); err != nil {
			t.Errorf("no change at all: %v", err)
		}
	})
}

// Texts are NULL, empty, and back: what was set can be taken away.
func TestApplyEmptiesTexts(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		turn := slowTurn(1, 1)
		record(t, s, turn)
		apply(t, s, Change{ID: turn.ID, Shown: new("a"), Sending: new("push"), Text: new("b")})
		apply(t, s, Change{ID: turn.ID, Shown: new(""), Sending: new(""), Text: new("")})
		if got := readRow(t, s, turn.ID).Answer; got.Shown+got.Sending+got.Text != "" {
			t.Errorf("got %+v", got)
		}
	})
}

func TestApplyConflict(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		turn, fast := slowTurn(1, 1), message(1, 2)
		record(t, s, turn)
		record(t, s, fast)
		apply(t, s, Change{ID: turn.ID, To: Waiting, Shown: new("a")})
		want := readRow(t, s, turn.ID)
		for _, ch := range []Change{
			{ID: turn.ID, From: []State{Working}},
			{ID: turn.ID, From: []State{Working, Promised, Answered, Acknowledged, Failed, Pushed, Fetched, Expired}},
			{ID: turn.ID, Holder: "p"},
			{ID: turn.ID, Holder: "P1"},
			{ID: turn.ID, WasShown: new("")},
			{ID: turn.ID, WasShown: new("a ")},
			{ID: turn.ID, From: []State{Waiting}, Holder: "p1", WasShown: new("b")},
			{ID: fast.ID},                  // it has no answer
			{ID: slowTurn(1, 3).ID},        // it is not there
			{ID: slowTurn(2, 1).ID, To: 1}, // another account's
		} {
			ch.Text, ch.Note, ch.Run, ch.Steps, ch.Jobs = new("no"), "no", true, []Step{{noon, "no", ""}}, []Job{{Kind: "no"}}
			if err := s.Apply(t.Context(), ch); !errors.Is(err, ErrConflict) || errors.Is(err, ErrUnavailable) {
				t.Errorf("%+v: %v", ch, err)
			}
		}
		if diff := cmp.Diff(want, readRow(t, s, turn.ID)); diff != "" {
			t.Errorf("a conflict has left a trace:\n%s", diff)
		}
		if got := jobs(t, s); len(got) != 0 {
			t.Errorf("jobs: %+v", got)
		}
		apply(t, s, Change{ID: turn.ID, From: []State{Working, Waiting}, Holder: "p1", WasShown: new("a"), To: Fetched})
	})
}

// Changes that violate a constraint once taken was called: the one of the
// answer, before anything is written, the other of the turn.

func answerTaken(id TurnID) Change { return Change{ID: id, Sending: new("taken"), Run: true} }

func turnTaken(id TurnID) Change { return Change{ID: id, Note: "taken", Run: true} }

func taken(t *testing.T, s *Store) {
	t.Helper()
	turn := slowTurn(9, 9)
	record(t, s, turn)
	apply(t, s, answerTaken(turn.ID), turnTaken(turn.ID))
	err := s.do(t.Context(), func(ctx context.Context, c *sql.Conn) error {
		if _, err := c.ExecContext(ctx, "CREATE UNIQUE INDEX taken_answer ON answers (sending) WHERE sending = 'taken'"); err != nil {
			return err
		}
		_, err := c.ExecContext(ctx, "CREATE UNIQUE INDEX taken_turn ON turns (note) WHERE note = 'taken'")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestApplyAllOrNothing(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		one, two, three := slowTurn(1, 1), slowTurn(1, 2), slowTurn(1, 3)
		for _, turn := range []*Turn{one, two, three} {
			record(t, s, turn)
		}
		good := func(id TurnID) Change {
			return Change{ID: id, To: Waiting, Note: "good", Run: true, Steps: []Step{{noon, "good", ""}}, Jobs: []Job{{Kind: "good", UniqueKey: id.String()}}}
		}
		conflict := Change{ID: two.ID, From: []State{Promised}, Note: "conflict"}
		taken(t, s)
		before := []row{readRow(t, s, one.ID), readRow(t, s, two.ID), readRow(t, s, three.ID)}
		for name, set := range map[string][]Change{
			"conflict at the end":       {good(one.ID), good(three.ID), conflict},
			"conflict at the start":     {conflict, good(one.ID)},
			"the same turn twice":       {good(one.ID), {ID: one.ID, From: []State{Working}}},
			"an error at the end":       {good(three.ID), turnTaken(one.ID)},
			"an error at the start":     {turnTaken(one.ID), good(three.ID)},
			"an error, then a conflict": {good(one.ID), turnTaken(three.ID), conflict},
			"an error at once":          {answerTaken(three.ID), good(one.ID)},
			"an error at last":          {good(one.ID), answerTaken(three.ID)},
		} {
			err := s.Apply(t.Context(), set...)
			if want := strings.Contains(name, "error"); err == nil || errors.Is(err, ErrUnavailable) != want || errors.Is(err, ErrConflict) == want {
				t.Errorf("%s: %v", name, err)
			}
			if diff := cmp.Diff(before, []row{readRow(t, s, one.ID), readRow(t, s, two.ID), readRow(t, s, three.ID)}); diff != "" {
				t.Errorf("%s has left a trace:\n%s", name, diff)
			}
			if got := jobs(t, s); len(got) != 0 {
				t.Errorf("%s: jobs %+v", name, got)
			}
		}
		apply(t, s, good(two.ID), good(one.ID), Change{ID: one.ID, From: []State{Waiting}, To: Fetched})
		if one, two := readRow(t, s, one.ID), readRow(t, s, two.ID); one.Turn.State != Fetched || one.Answer.Runs != 2 || two.Answer.State != Waiting {
			t.Errorf("got %+v\nand %+v", one.Answer, two.Answer)
		}
		if got := jobs(t, s); len(got) != 2 {
			t.Errorf("jobs: %+v", got)
		}
		// A job that is there already is no reason to fail.
		apply(t, s, good(one.ID))
		if got := jobs(t, s); len(got) != 2 {
			t.Errorf("jobs: %+v", got)
		}
	})
}

func TestTimelineIsBounded(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		turn := slowTurn(1, 1)
		record(t, s, turn)
		long := Step{At: noon.Local(), What: "long", Detail: strings.Repeat("长", 1000)}
		for range 10 {
			apply(t, s, Change{ID: turn.ID, Run: true, Steps: []Step{long}})
		}
		// What does not fit is left out, and the short end of the story still fits.
		end := Step{At: noon.Local(), What: "end"}
		apply(t, s, Change{ID: turn.ID, Steps: []Step{end}})
		want := turn.Answer.Timeline
		for range 5 {
			want = append(want, long)
		}
		got := readRow(t, s, turn.ID).Answer
		if diff := cmp.Diff(append(want, end), got.Timeline); diff != "" || got.Runs != 11 {
			t.Errorf("%d runs:\n%s", got.Runs, diff)
		}
		var size int
		if err := s.read.QueryRow("SELECT octet_length(timeline) FROM answers").Scan(&size); err != nil || size > maxTimeline {
			t.Errorf("%d bytes, %v", size, err)
		}
		endless := slowTurn(1, 2)
		endless.Answer.Timeline = []Step{{noon.Local(), "endless", strings.Repeat("x", maxTimeline)}, end}
		record(t, s, endless)
		if diff := cmp.Diff([]Step{end}, readRow(t, s, endless.ID).Answer.Timeline); diff != "" {
			t.Error(diff)
		}
	})
}

func TestApplyContext(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		turn := slowTurn(1, 1)
		record(t, s, turn)
		release := hold(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			untilQueued(t, s, 1)
			cancel()
		}()
		ch := Change{ID: turn.ID, Text: new("first"), From: []State{Working}, To: Waiting}
		changes := []Change{ch}
		if err := s.Apply(ctx, changes...); !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("Apply: %v", err)
		}
		// What was given is written as it was, although the caller goes on.
		*ch.Text, changes[0].ID, changes[0].From[0] = "second", TurnID{}, Expired
		release()
		if err := s.Apply(t.Context(), Change{ID: turn.ID, From: []State{Working}}); !errors.Is(err, ErrConflict) {
			t.Errorf("the change is not there: %v", err)
		}
		if got := readRow(t, s, turn.ID).Answer; got.Text != "first" || got.State != Waiting {
			t.Errorf("got %+v", got)
		}
		// A context that has ended does not keep a change from being made.
		if err := s.Apply(ctx, Change{ID: turn.ID, To: Fetched}); err != nil && !errors.Is(err, ErrUnavailable) {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, c)
		if got := readRow(t, s, turn.ID).Turn.State; got != Fetched {
			t.Errorf("state %v", got)
		}
	})
}

func TestApplyAfterClose(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		record(t, s, slowTurn(1, 1))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.Apply(t.Context(), Change{ID: slowTurn(1, 1).ID}); !errors.Is(err, ErrUnavailable) {
			t.Error(err)
		}
	})
}

// On a full disk SQLite may undo the whole transaction by itself.
func TestApplyRolledBackBySQLite(t *testing.T) {
	s := open(t, sqliteConfig(t))
	turn := slowTurn(1, 1)
	record(t, s, turn)
	exec := func(statement string) {
		t.Helper()
		if err := s.do(t.Context(), func(ctx context.Context, c *sql.Conn) error {
			_, err := c.ExecContext(ctx, statement)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	exec(`CREATE TRIGGER full BEFORE UPDATE ON turns BEGIN SELECT RAISE(ROLLBACK, 'the disk is full'); END`)
	if err := s.Apply(t.Context(), Change{ID: turn.ID, To: Waiting, Run: true}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Apply: %v", err)
	}
	if got := readRow(t, s, turn.ID); got.Answer.State != Working || got.Answer.Runs != 1 {
		t.Errorf("got %+v", got.Answer)
	}
	exec(`DROP TRIGGER full`)
	apply(t, s, Change{ID: turn.ID, To: Waiting, Run: true})
	if got := readRow(t, s, turn.ID); got.Turn.State != Waiting || got.Answer.Runs != 2 {
		t.Errorf("got %+v", got.Answer)
	}
}
