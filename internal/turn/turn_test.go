package turn

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/oa"
)

// The tests run in bubbles of testing/synctest: the clock is fake but for what
// SQLite waits, and a goroutine that is left behind fails the test.

// stub is a robot.
type stub struct {
	answer func(*oa.Request) (Answer, error)
	sorry  func(*oa.Request) Answer
	asked  atomic.Int64
}

func (s *stub) Answer(r *oa.Request) (Answer, error) {
	s.asked.Add(1)
	return s.answer(r)
}

func (s *stub) Sorry(r *oa.Request) Answer {
	if s.sorry != nil {
		return s.sorry(r)
	}
	return say("抱歉", "fallback")
}

func say(text, by string) Answer {
	reply, err := oa.Text(text)
	if err != nil {
		panic(err)
	}
	return Answer{Reply: reply, By: by}
}

func (s *stub) Work(context.Context, Question, *Draft) (Result, error) {
	return Result{}, errors.New("a stub does not work")
}

func (s *stub) Expect(time.Time, int) (time.Time, bool) { return time.Time{}, false }

// echoing is a robot that says what it hears, and nothing to events.
func echoing() *stub {
	return &stub{answer: func(r *oa.Request) (Answer, error) {
		if r.Text() == "" {
			return Answer{By: "none"}, nil
		}
		return say(r.Text(), "echo"), nil
	}}
}

// counting is a robot that never gives the same answer twice.
func counting(what string) *stub {
	s := &stub{}
	s.answer = func(*oa.Request) (Answer, error) { return say(fmt.Sprint(what, s.asked.Load()), "count"), nil }
	return s
}

// fixture is an engine on a database of its own.
type fixture struct {
	*Engine
	t    *testing.T
	file string
	log  *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func start(t *testing.T, file string) *fixture {
	t.Helper()
	f := &fixture{t: t, file: file, log: &syncBuffer{}}
	log := slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := store.Open(t.Context(), store.Config{Database: file, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	f.Engine = New(Config{Store: s, Log: log, Alone: true, Budget: DefaultBudget, Accounts: func(int64) (Account, bool) { return Account{}, false }})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// run starts the engine; stop ends it and returns the turns that are lost.
func (f *fixture) run() (stop func() (lost int)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan int, 1)
	go func() { done <- f.Run(ctx) }()
	return sync.OnceValue(func() int { cancel(); return <-done })
}

var testAccount = oa.Account{Token: "token"}

// serve serves an account.
func (f *fixture) serve(id int64, r Robot) *oa.Server {
	return f.server(Account{Key: fmt.Sprint("account ", id), ID: func(context.Context) (int64, error) { return id, nil }, Robot: r})
}

func (f *fixture) server(a Account) *oa.Server {
	f.t.Helper()
	s, err := oa.NewServer(testAccount, f.Handler(a), oa.WithLogger(f.Engine.log))
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// bubble runs a test on a new database in a bubble.
func bubble(t *testing.T, test func(t *testing.T, f *fixture)) {
	file := filepath.Join(t.TempDir(), "wenzi.db")
	synctest.Test(t, func(t *testing.T) { test(t, start(t, file)) })
}

// turns returns the account's turns, the oldest first, read by another connection.
func (f *fixture) turns(account int64) []*store.Turn {
	f.t.Helper()
	turns, err := f.store.Turns(context.Background(), account, store.TurnID{}, 100_000)
	if err != nil {
		f.t.Fatal(err)
	}
	slices.Reverse(turns)
	return turns
}

// lock locks the database for writing, as another process might.
func (f *fixture) lock() (unlock func()) {
	f.t.Helper()
	db, err := sql.Open("sqlite", "file:"+f.file+"?_txlock=immediate&_pragma=busy_timeout(5000)")
	if err != nil {
		f.t.Fatal(err)
	}
	tx, err := db.Begin()
	if err != nil {
		f.t.Fatal(err)
	}
	unlock = sync.OnceFunc(func() {
		if err := errors.Join(tx.Rollback(), db.Close()); err != nil {
			f.t.Error(err)
		}
	})
	f.t.Cleanup(unlock)
	return unlock
}

// exec changes the database past the store.
func (f *fixture) exec(statement string) {
	f.t.Helper()
	db, err := sql.Open("sqlite", f.file)
	if err != nil {
		f.t.Fatal(err)
	}
	_, err = db.Exec(statement)
	if err := errors.Join(err, db.Close()); err != nil {
		f.t.Fatal(err)
	}
}

func text(from string, id int, content string) string {
	return message(from, fmt.Sprintf("<MsgType>text</MsgType><Content><![CDATA[%s]]></Content><MsgId>%d</MsgId>", content, id))
}

func event(from, name, key string) string {
	return message(from, fmt.Sprintf("<MsgType>event</MsgType><Event>%s</Event><EventKey>%s</EventKey>", name, key))
}

func message(from, rest string) string {
	return "<xml><ToUserName>gh_1</ToUserName><FromUserName>" + from + "</FromUserName><CreateTime>1714112445</CreateTime>" + rest + "</xml>"
}

const unanswered = "(no byte)"

// deliver brings a message to the server and returns the body of the response.
func deliver(t *testing.T, s http.Handler, body string) string {
	t.Helper()
	return deliverTo(t, t.Context(), s, httptest.NewRecorder(), body)
}

func deliverTo(t *testing.T, ctx context.Context, s http.Handler, w http.ResponseWriter, body string) (got string) {
	t.Helper()
	req, err := oa.NewDelivery(testAccount, "http://wenzi/", []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if p := recover(); p != nil {
			if err, ok := p.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				panic(p)
			}
			got = unanswered
		}
	}()
	s.ServeHTTP(w, req.WithContext(ctx))
	if r, ok := w.(*httptest.ResponseRecorder); ok {
		if r.Code != http.StatusOK {
			t.Errorf("status %d", r.Code)
		}
		return r.Body.String()
	}
	return ""
}

// content is what a reply says.
func content(t *testing.T, body string) string {
	t.Helper()
	elements, err := oa.ParseElements([]byte(body))
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	e, _ := oa.Find(elements, "Content")
	return e.Text
}

// firstByte calls a function at the moment the first byte of a response, or its
// head, is written.
type firstByte struct {
	http.ResponseWriter
	seen sync.Once
	then func(body []byte)
}

func (w *firstByte) WriteHeader(code int) {
	w.seen.Do(func() { w.then(nil) })
	w.ResponseWriter.WriteHeader(code)
}

func (w *firstByte) Write(b []byte) (int, error) {
	w.seen.Do(func() { w.then(b) })
	return w.ResponseWriter.Write(b)
}

// Promise 1: when the first byte is written, somebody else can read the turn in
// the database.
func TestRecordedBeforeAnswered(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture) {
		other, err := sql.Open("sqlite", f.file)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		robot := echoing()
		failing := &stub{answer: func(*oa.Request) (Answer, error) { return Answer{}, errors.New("no model") }}
		for i, c := range []struct {
			robot *stub
			body  string
			state store.State
		}{
			{robot, text("oA", 1, "你好"), store.Answered},
			{robot, event("oA", "VIEW", "u"), store.Acknowledged},
			{robot, event("oA", "unsubscribe", ""), store.Acknowledged},
			{failing, text("oA", 2, "你好"), store.Failed},
		} {
			looked := false
			w := &firstByte{ResponseWriter: httptest.NewRecorder(), then: func(body []byte) {
				looked = true
				var n int
				var state store.State
				var reply, message string
				if err := other.QueryRow("SELECT count(*) OVER (), state, coalesce(reply, 'success'), message FROM turns ORDER BY rowid DESC LIMIT 1").
					Scan(&n, &state, &reply, &message); err != nil {
					t.Errorf("case %d is not on record: %v", i, err)
				}
				if n != i+1 || state != c.state || reply != string(body) || message != c.body {
					t.Errorf("case %d: %d turns, state %d, reply %s\nwant %s", i, n, state, reply, body)
				}
			}}
			deliverTo(t, t.Context(), f.serve(1, c.robot), w, c.body)
			if !looked {
				t.Errorf("case %d is not answered", i)
			}
		}
	})
}

// While another connection has the database locked for a moment, the answer waits.
func TestAnswerWaitsForTheRecord(t *testing.T) {
	f := start(t, filepath.Join(t.TempDir(), "wenzi.db"))
	s := f.serve(1, echoing())
	unlock := f.lock()
	var unlocked atomic.Bool
	time.AfterFunc(100*time.Millisecond, func() {
		unlocked.Store(true)
		unlock()
	})
	w := &firstByte{ResponseWriter: httptest.NewRecorder(), then: func([]byte) {
		if !unlocked.Load() {
			t.Error("answered while the database was locked")
		}
	}}
	deliverTo(t, t.Context(), s, w, text("oA", 1, "你好"))
	if n := len(f.turns(1)); n != 1 || f.Held() != 0 {
		t.Errorf("%d turns on record, %d held", n, f.Held())
	}
}

// The record of a turn, in full.
func TestRecord(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture) {
		s := f.serve(7, &stub{answer: func(r *oa.Request) (Answer, error) {
			time.Sleep(time.Second)
			return say("欢迎", "greeting"), nil
		}})
		body := event("oA", "subscribe", "qrscene_9")
		arrived := time.Now()
		reply := deliver(t, s, body)
		time.Sleep(4 * time.Second)
		if again := deliver(t, s, body); again != reply {
			t.Errorf("the repeat gets %s\nwant %s", again, reply)
		}
		want := &store.Turn{
			ID: f.turns(7)[0].ID, OpenID: "oA", Kind: "event/subscribe", Message: []byte(body), State: store.Answered,
			Reply: []byte(reply), By: "greeting", ArrivedAt: arrived, AnsweredAt: arrived.Add(time.Second),
			Repeats: []store.Delivery{{ArrivedAt: arrived.Add(5 * time.Second), AnsweredAt: arrived.Add(6 * time.Second)}},
		}
		sameTime := cmp.Comparer(time.Time.Equal)
		if diff := cmp.Diff([]*store.Turn{want}, f.turns(7), sameTime); diff != "" {
			t.Error(diff)
		}
		follower, err := f.store.Follower(t.Context(), 7, "oA")
		if err != nil || !follower.Subscribed || follower.Scene != "9" {
			t.Errorf("follower %+v, %v", follower, err)
		}
		deliver(t, s, event("oA", "unsubscribe", ""))
		if follower, err := f.store.Follower(t.Context(), 7, "oA"); err != nil || follower.Subscribed {
			t.Errorf("follower after unsubscribe %+v, %v", follower, err)
		}
	})
}

// Promise 2: a repeat gets the same bytes, whoever remembers them.
func TestRepeat(t *testing.T) {
	file := filepath.Join(t.TempDir(), "wenzi.db")
	body := text("oA", 1, "你好")
	var first string
	synctest.Test(t, func(t *testing.T) {
		f := start(t, file)
		first = deliver(t, f.serve(1, counting("a")), body)
		time.Sleep(5 * time.Second)
		if got := deliver(t, f.serve(1, counting("b")), body); got != first {
			t.Errorf("from the store: %s\nwant %s", got, first)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := start(t, file)
		if got := deliver(t, f.serve(1, counting("c")), body); got != first {
			t.Errorf("after a restart: %s\nwant %s", got, first)
		}
		turns := f.turns(1)
		if len(turns) != 1 || string(turns[0].Reply) != first || len(turns[0].Repeats) != 2 {
			t.Errorf("on record: %+v", turns)
		}
	})
}

// Sixty-four deliveries of one message at once are one question to the robot.
func TestConcurrentRepeats(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture) {
		think := make(chan struct{})
		robot := &stub{}
		robot.answer = func(*oa.Request) (Answer, error) {
			<-think
			return say(fmt.Sprint(robot.asked.Load()), "model"), nil
		}
		s := f.serve(1, robot)
		var wg sync.WaitGroup
		got := make([]string, 64)
		for i := range got {
			wg.Go(func() { got[i] = deliver(t, s, text("oA", 1, "你好")) })
		}
		synctest.Wait()
		close(think)
		wg.Wait()
		if answers := slices.Compact(got); robot.asked.Load() != 1 || len(answers) != 1 || content(t, answers[0]) != "1" {
			t.Errorf("asked %d times, answers %q", robot.asked.Load(), answers)
		}
		turns := f.turns(1)
		if len(turns) != 1 || len(turns[0].Repeats) == 0 || string(turns[0].Reply) != got[0] {
			t.Errorf("on record: %+v", turns)
		}
		if len(f.open) != 0 {
			t.Errorf("%d turns are still open", len(f.open))
		}
	})
}

// The first connection is lost while the robot thinks; the repeat overtakes it
// and gets the answer.
func TestRepeatOvertakes(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture) {
		robot := &stub{answer: func(*oa.Request) (Answer, error) {
			time.Sleep(6 * time.Second)
			return say("想好了", "model"), nil
		}}
		s := f.serve(1, robot)
		ctx, hangUp := context.WithTimeout(t.Context(), 5*time.Second)
		defer hangUp()
		var first string
		var wg sync.WaitGroup
		wg.Go(func() { first = deliverTo(t, ctx, s, httptest.NewRecorder(), text("oA", 1, "你好")) })
		time.Sleep(5 * time.Second)
		begin := time.Now()
		second := deliver(t, s, text("oA", 1, "你好"))
		if took := time.Since(begin); content(t, second) != "想好了" || took < time.Second || took > time.Second+10*time.Millisecond { // the store may wait for company
			t.Errorf("the repeat gets %s after %v", second, took)
		}
		wg.Wait()
		if first != unanswered || robot.asked.Load() != 1 {
			t.Errorf("the first delivery gets %s, the robot is asked %d times", first, robot.asked.Load())
		}
	})
}

// A repeat that WeChat gives up before there is an answer leaves no byte.
func TestRepeatGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture) {
		s := f.serve(1, &stub{answer: func(*oa.Request) (Answer, error) {
			time.Sleep(20 * time.Second)
			return say("太晚了", "model"), nil
		}})
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 5 * time.Second)
				ctx, hangUp := context.WithTimeout(t.Context(), 5*time.Second)
				defer hangUp()
				if got := deliverTo(t, ctx, s, httptest.NewRecorder(), text("oA", 1, "你好")); got != unanswered {
					t.Errorf("delivery %d gets %s", i+1, got)
				}
			})
		}
		wg.Wait()
		if turns := f.turns(1); len(turns) != 1 || turns[0].AnsweredAt.Sub(turns[0].ArrivedAt) != 20*time.Second {
			t.Errorf("on record: %+v", turns)
		}
	})
}

// A repeat whose answer is known gets it in time, though the store hangs when
// the repeat is to be noted.
func TestRepeatIsNotHeldUp(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture) {
		var asked atomic.Int64
		s := f.server(Account{Key: "1", ID: func(ctx context.Context) (int64, error) {
			if asked.Add(1) == 2 {
				<-ctx.Done()
				return 0, store.ErrUnavailable
			}
			return 1, nil
		}, Robot: &stub{answer: func(*oa.Request) (Answer, error) {
			time.Sleep(6 * time.Second)
			return say("想好了", "model"), nil
		}}})
		var wg sync.WaitGroup
		wg.Go(func() { deliver(t, s, text("oA", 1, "你好")) })
		time.Sleep(5 * time.Second)
		begin := time.Now()
		if got := deliver(t, s, text("oA", 1, "你好")); got == unanswered || time.Since(begin) != repeatTimeout {
			t.Errorf("the repeat gets %s after %v", got, time.Since(begin))
		}
		wg.Wait()
	})
}

// A mistake of ours acknowledges nothing, neither to the first delivery nor to
// those that wait for it.
func TestPanicOfTheTurn(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture) {
		s := f.server(Account{Key: "1", Robot: echoing(), ID: func(context.Context) (int64, error) {
			time.Sleep(time.Second)
			panic("悄悄话")
		}})
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if got := deliver(t, s, text("oA", 1, "你好")); got != unanswered {
					t.Errorf("a delivery gets %s", got)
				}
			})
		}
		wg.Wait()
		if log := f.log.String(); len(f.open) != 0 || !strings.Contains(log, "a turn panicked") || strings.Contains(log, "悄悄话") {
			t.Errorf("%d turns are open; log: %s", len(f.open), log)
		}
	})
}

// What is not the same message never gets another's answer.
func TestKeysDoNotMix(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture) {
		robot := counting("")
		one, two := f.serve(1, robot), f.serve(2, robot)
		got := map[string]int{}
		for _, d := range []struct {
			s    *oa.Server
			body string
		}{
			{one, text("oA", 1, "你好")},
			{one, text("oB", 1, "你好")}, // the same MsgId from another follower
			{two, text("oA", 1, "你好")}, // and to another account
			{one, event("oA", "CLICK", "A")},
			{one, event("oA", "CLICK", "B")}, // in the same second
			{one, event("oA", "VIEW", "A")},
			{one, event("oB", "CLICK", "A")},
			{two, event("oB", "CLICK", "A")},
		} {
			for range 2 {
				got[deliver(t, d.s, d.body)]++
			}
		}
		for reply, n := range got {
			if n != 2 {
				t.Errorf("%d deliveries get %s", n, reply)
			}
		}
		if n1, n2 := len(f.turns(1)), len(f.turns(2)); len(got) != 8 || n1 != 6 || n2 != 2 {
			t.Errorf("%d answers, %d and %d turns", len(got), n1, n2)
		}
	})
}

// A failing robot: the follower gets the fallback, the record says why, and the
// log says nothing of the message.
func TestRobotFails(t *testing.T) {
	const secret, openid = "悄悄话", "oSecretOpenID"
	failed := func(*oa.Request) (Answer, error) {
		return Answer{}, fmt.Errorf("the model is overloaded: %w", io.ErrUnexpectedEOF)
	}
	panics := func(r *oa.Request) (Answer, error) { panic(r.Text() + r.Message.Head().FromUserName) }
	for _, c := range []struct {
		name       string
		robot      *stub
		body       string
		want, note string
	}{
		{"error", &stub{answer: failed}, text(openid, 1, secret), "抱歉", "the model is overloaded: unexpected EOF"},
		{"panic", &stub{answer: panics}, text(openid, 1, secret), "抱歉", "the robot panicked (string)"},
		{"panic of the fallback", &stub{answer: panics, sorry: func(r *oa.Request) Answer { panic(r.Text()) }},
			text(openid, 1, secret), "", "the robot panicked (string)"},
		{"nothing to say", &stub{answer: failed, sorry: func(*oa.Request) Answer { return Answer{} }},
			event(openid, "CLICK", secret), "", "the model is overloaded: unexpected EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, f *fixture) {
				s := f.serve(1, c.robot)
				got := deliver(t, s, c.body)
				if c.want == "" && got != "success" || c.want != "" && content(t, got) != c.want {
					t.Errorf("the follower gets %s", got)
				}
				turns := f.turns(1)
				if len(turns) != 1 || turns[0].State != store.Failed || turns[0].Note != c.note {
					t.Errorf("on record: %+v", turns)
				}
				if log := f.log.String(); !strings.Contains(log, "the robot failed") || strings.Contains(log, secret) || strings.Contains(log, openid) {
					t.Errorf("log: %s", log)
				}
			})
		})
	}
}

// Over HTTP and encrypted: the repeat's envelope is its own, what is in it is
// the same.
func TestSecureAccountOverHTTP(t *testing.T) {
	f := start(t, filepath.Join(t.TempDir(), "wenzi.db"))
	a := oa.Account{Token: "token", AppID: "wx0123456789abcdef", AESKey: "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"}
	s, err := oa.NewServer(a, f.Handler(Account{Key: "1", ID: func(context.Context) (int64, error) { return 1, nil }, Robot: counting("")}))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	defer server.Close()
	var opened []string
	for range 2 {
		req, err := oa.NewDelivery(a, server.URL, []byte(text("oA", 1, "你好")))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			t.Fatal(err)
		}
		reply, err := oa.OpenReply(a, body)
		if err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		opened = append(opened, string(reply))
	}
	if turns := f.turns(1); len(turns) != 1 || opened[0] != opened[1] || string(turns[0].Reply) != opened[0] {
		t.Errorf("replies %q, on record %+v", opened, turns)
	}
}

// The sender of account-level events is the system, which is nobody's follower.
func TestSystemSenderIsNoFollower(t *testing.T) {
	bubble(t, func(t *testing.T, f *fixture) {
		s := f.serve(7, echoing())
		deliver(t, s, event("oSystem", "MASSSENDJOBFINISH", ""))
		deliver(t, s, event("oA", "TEMPLATESENDJOBFINISH", ""))
		for _, turn := range f.turns(7) {
			want := map[string]string{"event/MASSSENDJOBFINISH": "", "event/TEMPLATESENDJOBFINISH": "oA"}[turn.Kind]
			if turn.OpenID != want {
				t.Errorf("%s is recorded as the follower's %q, want %q", turn.Kind, turn.OpenID, want)
			}
		}
		if _, err := f.store.Follower(t.Context(), 7, "oSystem"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the system is a follower: %v", err)
		}
	})
}
