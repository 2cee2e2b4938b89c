package store

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRecordAnswer(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		asks, fetches, fast := slowTurn(1, 1), slowTurn(1, 2), message(1, 3)
		asks.Kind = "voice"
		fetches.Answer = &Answer{Holder: "p2", Target: asks.ID}
		for _, turn := range []*Turn{asks, fetches, fast} {
			record(t, s, turn)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, c)
		for _, want := range []row{
			{Turn: asks, Answer: &Answer{
				Turn: asks.ID, OpenID: "o1", State: Working, Holder: "p1", Question: "question 1", Token: "1", Page: []byte("page     1 of  1"), Runs: 1,
				Remembered: true, AskedAt: asks.ArrivedAt, Timeline: []Step{{asks.ArrivedAt, "message", "text"}},
			}},
			{Turn: fetches, Answer: &Answer{Turn: fetches.ID, OpenID: "o2", State: Working, Holder: "p2", Target: asks.ID, AskedAt: fetches.ArrivedAt}},
		} {
			stored := *want.Turn
			stored.Answer = nil
			want.Turn = &stored
			if diff := cmp.Diff(want, readRow(t, s, want.Turn.ID)); diff != "" {
				t.Error(diff)
			}
		}
		if _, err := s.Answer(t.Context(), fast.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("the answer of a fast turn: %v", err)
		}
	})
}

// A batch holds what comes: turns at their end, turns to be worked on, and
// repeats of both. The answer is the first delivery's.
func TestRecordAnswersInOneBatch(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		old := slowTurn(1, 0)
		record(t, s, old)
		release := hold(t, s)
		var wg sync.WaitGroup
		for i := range 36 { // 12 messages, three deliveries each; every second one is slow
			n := i % 12
			turn := message(1, n)
			if n%2 == 0 {
				turn = slowTurn(1, n)
				turn.Answer.Holder = fmt.Sprint("delivery ", i)
				turn.Answer.Page = nil
			}
			wg.Go(func() {
				stored, fresh, err := s.Record(t.Context(), turn)
				if err != nil || fresh != (i == n && n > 0) || stored.State != turn.State {
					t.Errorf("delivery %d: fresh %v, %+v, %v", i, fresh, stored, err)
				}
			})
			untilQueued(t, s, i+1)
		}
		commits := s.Stats().Commits
		release()
		wg.Wait()
		if got := s.Stats().Commits; got != commits+1 {
			t.Errorf("%d commits", got-commits)
		}
		for n := range 12 {
			a, err := s.Answer(t.Context(), message(1, n).ID)
			want := fmt.Sprint("delivery ", n)
			if n == 0 {
				want = old.Answer.Holder
			}
			if n%2 == 1 && !errors.Is(err, ErrNotFound) || n%2 == 0 && (err != nil || a.Holder != want) {
				t.Errorf("message %d: %+v, %v", n, a, err)
			}
		}
	})
}

// Without its answer there is no turn.
func TestRecordAnswerFails(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		record(t, s, slowTurn(1, 1))
		turn := slowTurn(1, 2)
		turn.Answer.Page = slowTurn(1, 1).Answer.Page // it can be there once only
		if _, _, err := s.Record(t.Context(), turn); !errors.Is(err, ErrUnavailable) {
			t.Errorf("Record: %v", err)
		}
		if _, err := s.Turn(t.Context(), turn.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("the turn: %v", err)
		}
		record(t, s, slowTurn(1, 2))
	})
}

// Every text may hold what PostgreSQL does not take. It is kept in the same
// form everywhere, so that what is compared is still equal.
func TestAnswerStrangeTexts(t *testing.T) {
	const bad, mended = "a\x00b\xffc", "a\uFFFDb\uFFFDc"
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		turn := slowTurn(1, 1)
		turn.OpenID = bad
		turn.Answer.Holder, turn.Answer.Question, turn.Answer.Token = bad, bad, bad
		turn.Answer.Timeline = []Step{{noon.Local(), bad, bad}}
		record(t, s, turn)
		texts := Change{ID: turn.ID, Text: new(bad), Shown: new(bad), Sending: new(bad), Question: new(bad), By: bad, Note: bad, Done: true, To: Waiting,
			Usage: &Usage{Model: bad}, Steps: []Step{{noon.Local(), bad, bad}}, Jobs: []Job{{Kind: bad, UniqueKey: bad}}}
		apply(t, s, texts)
		apply(t, s, Change{ID: turn.ID, Holder: bad, WasShown: new(bad), NewHolder: new(bad)})
		got := readRow(t, s, turn.ID)
		want := &Answer{Turn: turn.ID, OpenID: mended, State: Waiting, Holder: mended, Question: mended, Text: mended, Done: true, Shown: mended, Sending: mended,
			Token: mended, Page: turn.Answer.Page, Runs: 1, Usage: Usage{Model: "a\x00b\uFFFDc"}, Remembered: true, AskedAt: turn.ArrivedAt,
			Timeline: []Step{{noon.Local(), "a\x00b\uFFFDc", "a\x00b\uFFFDc"}, {noon.Local(), "a\x00b\uFFFDc", "a\x00b\uFFFDc"}}}
		if diff := cmp.Diff(want, got.Answer); diff != "" {
			t.Error(diff)
		}
		if got.Turn.By != mended || got.Turn.Note != mended {
			t.Errorf("turn %q, %q", got.Turn.By, got.Turn.Note)
		}
		if mailbox, err := s.Mailbox(t.Context(), 1, bad); err != nil || len(mailbox) != 1 {
			t.Errorf("mailbox: %v, %v", mailbox, err)
		}
		if _, err := s.AnswerOfToken(t.Context(), 1, bad, bad); err != nil {
			t.Error(err)
		}
		if conversation, err := s.Conversation(t.Context(), 1, bad, 9); err != nil || len(conversation) != 1 {
			t.Errorf("conversation: %v, %v", conversation, err)
		}
		if err := s.Beat(t.Context(), bad); err != nil {
			t.Error(err)
		}
		if alive, err := s.Alive(t.Context(), bad, time.Hour); err != nil || !alive {
			t.Errorf("alive: %v, %v", alive, err)
		}
		for _, forget := range []error{s.ForgetConversation(t.Context(), 1, bad), s.ForgetAnswers(t.Context(), 1, bad), s.Leave(t.Context(), bad)} {
			if forget != nil {
				t.Error(forget)
			}
		}
	})
}

// ids names answers by the numbers of their messages.
func ids(t *testing.T, answers []*Answer, err error) []string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range answers {
		got = append(got, strings.TrimPrefix(a.Question, "question "))
	}
	return got
}

// put records a slow turn of follower o, and changes it.
func put(t *testing.T, s *Store, account int64, n int, ch Change) TurnID {
	t.Helper()
	turn := slowTurn(account, n)
	turn.OpenID = "o"
	record(t, s, turn)
	ch.ID = turn.ID
	apply(t, s, ch)
	return turn.ID
}

func TestMailbox(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		for n, ch := range map[int]Change{
			5: {To: Waiting},
			4: {To: Waiting, Done: true, Text: new("whole"), Sending: new("unsure")},
			3: {To: Expired, Sending: new("news")},
			2: {To: Expired}, // the follower knows
			1: {To: Waiting, Shown: new("part")},
			6: {},
			7: {To: Promised, Sending: new("push")},
			8: {To: Answered, Sending: new(SendingReply)},
			9: {To: Fetched},
		} {
			put(t, s, 1, n, ch)
		}
		put(t, s, 2, 1, Change{To: Waiting})
		other := slowTurn(1, 10)
		other.OpenID = "O"
		record(t, s, other)
		apply(t, s, Change{ID: other.ID, To: Waiting})
		mailbox := func(account int64, openid string) []string {
			answers, err := s.Mailbox(t.Context(), account, openid)
			return ids(t, answers, err)
		}
		if diff := cmp.Diff([]string{"1", "3", "4", "5"}, mailbox(1, "o")); diff != "" {
			t.Error(diff)
		}
		for _, of := range []struct {
			account int64
			openid  string
			want    int
		}{{1, "O", 1}, {2, "o", 1}, {2, "O", 0}, {1, "", 0}, {3, "o", 0}} {
			if got := mailbox(of.account, of.openid); len(got) != of.want {
				t.Errorf("mailbox of %s at %d: %v", of.openid, of.account, got)
			}
		}
		pendings, err := s.Pendings(t.Context())
		if err != nil || len(pendings) != 3 {
			t.Errorf("pendings: %v, %v", pendings, err)
		}
		for _, p := range pendings {
			if got := mailbox(p.Account, p.OpenID); len(got) == 0 {
				t.Errorf("nothing is pending for %v", p)
			}
		}
		apply(t, s, Change{ID: other.ID, To: Fetched})
		apply(t, s, Change{ID: slowTurn(1, 3).ID, Sending: new("")}) // now the follower knows
		if got := mailbox(1, "o"); len(got) != 3 {
			t.Errorf("mailbox: %v", got)
		}
		if pendings, err := s.Pendings(t.Context()); err != nil || len(pendings) != 2 {
			t.Errorf("pendings: %v, %v", pendings, err)
		}
	})
}

func TestAnswerOfToken(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		id := put(t, s, 1, 7, Change{To: Fetched, Text: new("text")})
		put(t, s, 2, 7, Change{}) // the same token, of another account's follower
		got, err := s.AnswerOfToken(t.Context(), 1, "o", "7")
		if err != nil || got.Turn != id || got.Text != "text" || got.State != Fetched {
			t.Errorf("got %+v, %v", got, err)
		}
		for _, of := range []struct {
			account       int64
			openid, token string
		}{{1, "o", "8"}, {1, "o", ""}, {1, "p", "7"}, {3, "o", "7"}, {1, "", "7"}} {
			if got, err := s.AnswerOfToken(t.Context(), of.account, of.openid, of.token); !errors.Is(err, ErrNotFound) {
				t.Errorf("%+v: %+v, %v", of, got, err)
			}
		}
	})
}

func TestAnswerOfPage(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		for n, ch := range []Change{{}, {To: Waiting, Text: new("te")}, {To: Fetched, Text: new("text"), Done: true}} {
			id := put(t, s, 1, n, ch)
			got, err := s.AnswerOfPage(t.Context(), slowTurn(1, n).Answer.Page)
			if err != nil || got.Turn != id || got.Done != ch.Done {
				t.Errorf("page %d: %+v, %v", n, got, err)
			}
		}
		turn := slowTurn(1, 20)
		turn.Answer.Page = nil
		record(t, s, turn)
		apply(t, s, Change{ID: turn.ID, Done: true, Text: new("text")})
		for _, page := range [][]byte{nil, {}, []byte("page"), make([]byte, 16)} {
			if got, err := s.AnswerOfPage(t.Context(), page); !errors.Is(err, ErrNotFound) {
				t.Errorf("page %q: %+v, %v", page, got, err)
			}
		}
	})
}

func TestConversation(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		whole := Change{To: Answered, Done: true, Text: new("text")}
		for _, n := range []int{3, 1, 2, 5} {
			put(t, s, 1, n, whole)
		}
		put(t, s, 1, 4, Change{To: Waiting, Text: new("a part")})
		put(t, s, 1, 6, Change{To: Acknowledged, Done: true}) // merged into another
		put(t, s, 1, 7, Change{To: Failed, Done: true, Text: new("sorry")})
		put(t, s, 1, 8, Change{})
		put(t, s, 2, 1, whole)
		stranger := slowTurn(1, 9) // nobody knows whose it is
		stranger.OpenID, stranger.Answer.Remembered = "o", false
		record(t, s, stranger)
		apply(t, s, Change{ID: stranger.ID, To: Answered, Done: true, Text: new("text")})

		conversation := func(account int64, limit int) []string {
			answers, err := s.Conversation(t.Context(), account, "o", limit)
			return ids(t, answers, err)
		}
		if diff := cmp.Diff([]string{"5", "3", "2", "1"}, conversation(1, 10)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"5", "3"}, conversation(1, 2)); diff != "" {
			t.Error(diff)
		}
		if err := s.ForgetConversation(t.Context(), 1, "o"); err != nil {
			t.Fatal(err)
		}
		apply(t, s, Change{ID: slowTurn(1, 8).ID, To: Answered, Done: true, Text: new("of the conversation before")})
		put(t, s, 1, 10, whole)
		if diff := cmp.Diff([]string{"10"}, conversation(1, 10)); diff != "" {
			t.Errorf("after it was forgotten:\n%s", diff)
		}
		if got := conversation(2, 10); len(got) != 1 {
			t.Errorf("of another account: %v", got)
		}
		if got := readRow(t, s, slowTurn(1, 5).ID).Answer; got.Text != "text" || got.Remembered {
			t.Errorf("got %+v", got)
		}
	})
}

func TestForgetAnswers(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		ended := Change{Done: true, Text: new("text"), Note: "as it was"}
		states := []State{Answered, Acknowledged, Failed, Pushed, Fetched, Expired, Working, Promised, Waiting}
		for n, state := range states {
			ended.To = state
			put(t, s, 1, n, ended)
			put(t, s, 2, n, ended)
		}
		if err := s.ForgetAnswers(t.Context(), 1, "o"); err != nil {
			t.Fatal(err)
		}
		for n, state := range states {
			id := slowTurn(1, n).ID
			a, err := s.Answer(t.Context(), id)
			if kept := state == Working || state == Promised; kept && (err != nil || a.State != state) || !kept && !errors.Is(err, ErrNotFound) {
				t.Errorf("%v: %+v, %v", state, a, err)
			}
			turn, err := s.Turn(t.Context(), id)
			want, note := state, "as it was"
			if state == Waiting {
				want, note = Failed, "the follower left"
			}
			if err != nil || turn.State != want || turn.Note != note {
				t.Errorf("%v: %+v, %v", state, turn, err)
			}
			if got := readRow(t, s, slowTurn(2, n).ID); got.Answer.State != state || got.Turn.State != state {
				t.Errorf("%v of another account: %+v", state, got.Answer)
			}
		}
		if err := s.Apply(t.Context(), Change{ID: slowTurn(1, 8).ID, Text: new("too late")}); !errors.Is(err, ErrConflict) {
			t.Errorf("work on what is forgotten: %v", err)
		}
	})
}

func TestExpiredAnswers(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		for n, ch := range []Change{
			{To: Waiting, ExpiresAt: noon.Add(3 * time.Second)},
			{To: Waiting, ExpiresAt: noon.Add(1 * time.Second)},
			{To: Waiting, ExpiresAt: noon.Add(2 * time.Second)},
			{To: Waiting, ExpiresAt: noon.Add(4 * time.Second)},
			{To: Waiting},
			{To: Fetched, ExpiresAt: noon},
			{To: Expired, ExpiresAt: noon},
		} {
			put(t, s, 1, n, ch)
		}
		for _, test := range []struct {
			after time.Duration
			limit int
			want  []string
		}{{time.Second - 1, 9, nil}, {time.Second, 9, []string{"1"}}, {3 * time.Second, 9, []string{"1", "2", "0"}}, {time.Hour, 2, []string{"1", "2"}}} {
			answers, err := s.ExpiredAnswers(t.Context(), noon.Add(test.after), test.limit)
			if diff := cmp.Diff(test.want, ids(t, answers, err)); diff != "" {
				t.Errorf("after %v:\n%s", test.after, diff)
			}
		}
	})
}

// Answers go with their turns.
func TestClearAnswers(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		accounts, err := s.ApplyAccounts(t.Context(), func([]Account) ([]Account, []int64, error) {
			return []Account{{Path: "a", Config: []byte("{}")}, {Path: "removed", Config: []byte("{}")}}, nil, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		registered, removed := accounts[0].ID, accounts[1].ID
		guest, _, err := s.Guest(t.Context(), "g")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.ApplyAccounts(t.Context(), func([]Account) ([]Account, []int64, error) { return nil, []int64{removed}, nil }); err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		gone := map[TurnID]bool{}
		var turns []*Turn
		for i, test := range []struct {
			account int64
			days    int
			gone    bool
		}{{registered, 89, false}, {registered, 91, true}, {guest, 6, false}, {guest, 8, true}, {removed, 91, true}, {guest + 100, 0, true}} {
			for n := range 300 { // more than a step
				turn := slowTurn(test.account, 1000*i+n)
				turn.ArrivedAt = now.AddDate(0, 0, -test.days)
				turn.ID = NewTurnID(test.account, turn.ArrivedAt.Unix(), uint64(n), fmt.Sprint(n))
				turn.Answer.Page = nil
				turns = append(turns, turn)
				gone[turn.ID] = test.gone
			}
		}
		each(64, len(turns), func(n int) {
			if _, _, err := s.Record(t.Context(), turns[n]); err != nil {
				t.Error(err)
			}
		})
		if deleted, err := s.ClearTurns(t.Context(), now.AddDate(0, 0, -90), now.AddDate(0, 0, -7)); err != nil || deleted != 1200 {
			t.Errorf("%d deleted, %v", deleted, err)
		}
		for id, gone := range gone {
			if _, err := s.Answer(t.Context(), id); gone && !errors.Is(err, ErrNotFound) || !gone && err != nil {
				t.Errorf("answer of %v at %v, gone %v: %v", id.Account(), id.CreateTime(), gone, err)
			}
		}
	})
}

func TestAnswersUnavailable(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		for name, err := range map[string]error{
			"Answer":             second(s.Answer(ctx, TurnID{})),
			"AnswerOfPage":       second(s.AnswerOfPage(ctx, []byte("page"))),
			"AnswerOfToken":      second(s.AnswerOfToken(ctx, 1, "o", "1")),
			"Mailbox":            second(s.Mailbox(ctx, 1, "o")),
			"Conversation":       second(s.Conversation(ctx, 1, "o", 1)),
			"Pendings":           second(s.Pendings(ctx)),
			"ExpiredAnswers":     second(s.ExpiredAnswers(ctx, noon, 1)),
			"Orphans":            second(s.Orphans(ctx, time.Second, 1)),
			"Unconfirmed":        second(s.Unconfirmed(ctx, noon, time.Second, 1)),
			"Alive":              second(s.Alive(ctx, "p1", time.Second)),
			"Beat":               s.Beat(ctx, "p1"),
			"Leave":              s.Leave(ctx, "p1"),
			"ForgetConversation": s.ForgetConversation(ctx, 1, "o"),
			"ForgetAnswers":      s.ForgetAnswers(ctx, 1, "o"),
		} {
			if !errors.Is(err, ErrUnavailable) {
				t.Errorf("%s of a closed store: %v", name, err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }
