package turn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wenzihq/wenzi/internal/answer"
	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

// The tests of slow answers let the simulated platform deliver to an engine on
// a real database, in a bubble whose clock is fake: 15 s of WeChat's patience
// take no time.

// thinker is a robot whose questions say how it answers: "想 8s 300" takes 8
// seconds for some 300 bytes, of which it says more and more from a fifth of
// the time on. What does not begin with 想 is echoed at once.
type thinker struct {
	mu   sync.Mutex
	runs map[string]int
}

func (r *thinker) Answer(req *oa.Request) (Answer, error) {
	if strings.HasPrefix(req.Text(), "想 ") {
		return Answer{Question: req.Text()}, nil
	}
	if req.Text() == "" {
		return Answer{By: "none"}, nil
	}
	return say("你说："+req.Text(), "echo"), nil
}

func (r *thinker) Sorry(*oa.Request) Answer { return say("抱歉", "fallback") }

func (r *thinker) Expect(time.Time, int) (time.Time, bool) { return time.Time{}, false }

// parse reads the last question of a merged one.
func parseThought(question string) (takes time.Duration, text string, fails bool) {
	lines := strings.Split(question, "\n")
	fields := strings.Fields(lines[len(lines)-1])
	takes, err := time.ParseDuration(fields[1])
	if err != nil {
		panic(err)
	}
	n := 20
	if len(fields) > 2 {
		n, _ = strconv.Atoi(fields[2])
	}
	return takes, thought(question, n), len(fields) > 3 && fields[3] == "失败"
}

// thought is an answer of about n bytes that says what it answers.
func thought(question string, n int) string {
	var b strings.Builder
	b.WriteString("答" + strconv.Itoa(len(question)) + "：开头。")
	for i := 1; b.Len() < n; i++ {
		fmt.Fprintf(&b, "这是第 %d 句，说得不长。", i)
		if i%7 == 0 {
			b.WriteString("\n\n")
		}
	}
	return b.String()
}

func (r *thinker) Work(ctx context.Context, q Question, d *Draft) (Result, error) {
	r.mu.Lock()
	r.runs[q.Text]++
	r.mu.Unlock()
	takes, text, fails := parseThought(q.Text)
	const steps = 20
	for i := range steps {
		select {
		case <-time.After(takes / steps):
		case <-ctx.Done():
			return Result{}, ctx.Err()
		}
		if i >= steps/5 {
			d.Text(strings.ToValidUTF8(text[:len(text)*i/steps], ""))
		}
	}
	if fails {
		return Result{Text: "抱歉，想不出来。"}, errors.New("the model is down")
	}
	return Result{Text: text, Usage: store.Usage{Model: "thinker", CompletionTokens: 7}}, nil
}

// pushes is a Pusher onto a simulated account.
type pushes struct {
	right  bool
	fail   []error // of the next messages
	mu     sync.Mutex
	sent   []string
	typing int
}

func (p *pushes) Right() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.right
}

func (p *pushes) lose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.right = false
}

func (p *pushes) messages() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.sent)
}

func (p *pushes) typed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.typing
}

func (p *pushes) Typing(context.Context, string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.typing++
	return nil
}

func (p *pushes) Text(_ context.Context, _, text string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.fail) > 0 {
		err := p.fail[0]
		p.fail = p.fail[1:]
		if err != nil {
			if errors.Is(err, ErrUnknown) {
				p.sent = append(p.sent, text)
			}
			return err
		}
	}
	p.sent = append(p.sent, text)
	return nil
}

// house is an engine with one account on the simulated platform.
type house struct {
	*fixture
	t       *testing.T
	wechat  *sim.Testing
	robot   *thinker
	push    *pushes // nil: the account has no secret
	account Account
	jobs    chan struct{}
	config  Config
	end     func()
}

func newHouse(t *testing.T, file string, c Config, push *pushes, mode oa.Mode) *house {
	t.Helper()
	h := &house{t: t, robot: &thinker{runs: map[string]int{}}, push: push, jobs: make(chan struct{}, 1000), config: c}
	h.open(file)
	account := sim.AccountConfig{AppID: "wx0123456789abcdef", Token: "token", Mode: mode}
	if mode != oa.Plain {
		account.AESKey = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	}
	s, err := oa.NewServer(oa.Account{AppID: account.AppID, Token: "token", AESKey: account.AESKey, Mode: mode},
		oa.HandlerFunc(func(ctx context.Context, r *oa.Request) (oa.Reply, error) { return h.Handler(h.account).Answer(ctx, r) }),
		oa.WithLogger(h.log2()), oa.WithMaxAge(5*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	h.wechat = sim.Start(t, s, account)
	return h
}

func (h *house) log2() *slog.Logger { return slog.New(slog.NewTextHandler(h.log, nil)) }

// open starts an engine on the database, as a new process would.
func (h *house) open(file string) {
	h.t.Helper()
	f := &fixture{t: h.t, file: file, log: &syncBuffer{}}
	log := slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := store.Open(h.t.Context(), store.Config{Database: file, Logger: log})
	if err != nil {
		h.t.Fatal(err)
	}
	h.account = Account{Key: "1", ID: func(context.Context) (int64, error) { return 1, nil }, Robot: h.robot}
	if h.push != nil {
		h.account.Push = h.push
	}
	c := h.config
	c.Store, c.Log, c.Alone = s, log, true
	c.Wake = func() { h.jobs <- struct{}{} }
	c.Accounts = func(id int64) (Account, bool) { return h.account, id == 1 }
	f.Engine = New(c)
	h.fixture = f
	if err := f.Recover(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	stop := f.run()
	worker := make(chan struct{})
	quit := make(chan struct{})
	go func() {
		defer close(worker)
		for {
			select {
			case <-h.jobs:
				h.work(f.Engine)
			case <-quit:
				return
			}
		}
	}()
	h.end = sync.OnceFunc(func() {
		close(quit)
		<-worker
		stop()
		if err := s.Close(); err != nil {
			h.t.Error(err)
		}
	})
	h.t.Cleanup(func() { h.end() })
}

// work does all jobs there are.
func (h *house) work(e *Engine) {
	jobs, err := e.store.ClaimJobs(context.Background(), "worker", time.Minute, map[string]int{PushKind: 10})
	if err != nil {
		h.t.Error(err)
		return
	}
	for _, j := range jobs {
		result := store.JobResult{JobAttempt: store.JobAttempt{ID: j.ID, Attempt: j.Attempt}, State: store.JobCompleted}
		if err := e.Push(context.Background(), j.Args, j.Attempt >= j.MaxAttempts); err != nil {
			result.State, result.Error = store.JobAvailable, err.Error()
			h.jobs <- struct{}{}
		}
		if _, err := e.store.FinishJobs(context.Background(), result); err != nil {
			h.t.Error(err)
		}
	}
}

// slowTest runs a test in a bubble.
func slowTest(t *testing.T, c Config, push *pushes, test func(t *testing.T, h *house)) {
	file := filepath.Join(t.TempDir(), "wenzi.db")
	synctest.Test(t, func(t *testing.T) { test(t, newHouse(t, file, c, push, oa.Secure)) })
}

// answers are what the follower was shown, the fault notice included.
func answers(u *sim.Follower) []string {
	var out []string
	for _, e := range u.Chat() {
		if e.From != sim.FromFollower {
			out = append(out, e.Text())
		}
	}
	return out
}

// fetchAll taps the newest link until there is none, and returns how often.
func fetchAll(t *testing.T, u *sim.Follower) (taps int) {
	t.Helper()
	for ; taps < 30; taps++ {
		chat := u.Chat()
		links := chat[len(chat)-1].Links()
		i := slices.IndexFunc(links, func(s sim.Span) bool { return s.Say != "" })
		if i < 0 {
			return taps
		}
		u.Tap(links[i]).Wait(t.Context())
	}
	t.Fatal("the answer has no end")
	return taps
}

// pieces is what the follower has read of an answer: the bubbles without what
// turn says itself.
func pieces(u *sim.Follower) string {
	var b strings.Builder
	for _, e := range u.Chat() {
		if e.From == sim.FromFollower {
			continue
		}
		text := e.Text()
		if strings.HasPrefix(text, textHolding) {
			continue
		}
		if i := strings.Index(text, "\n\n……"+textContinue); i >= 0 {
			text = text[:i]
		}
		if i := strings.LastIndex(text, "\n\n（"); i >= 0 && strings.HasSuffix(text, textContinue) {
			text = text[:i]
		}
		b.WriteString(text)
	}
	return squeeze(b.String())
}

// squeeze takes blanks and line breaks out, which cutting may drop.
func squeeze(s string) string { return strings.Join(strings.Fields(s), "") }

func (h *house) turn(i int) *store.Turn {
	h.t.Helper()
	all := h.turns(1)
	if i >= len(all) {
		h.t.Fatalf("there are %d turns on record", len(all))
	}
	return all[i]
}

func (h *house) runsOf(question string) int {
	h.robot.mu.Lock()
	defer h.robot.mu.Unlock()
	return h.robot.runs[question]
}

// The time line without the right to push: the answer is seen on the delivery
// that is open when it is ready, or at the last moment in part.
func TestRide(t *testing.T) {
	for _, test := range []struct {
		takes    string
		bytes    int
		delivery int // that is answered
		at       time.Duration
		taps     int // until all was read
	}{
		{"100ms", 20, 1, 100 * time.Millisecond, 0},
		{"4.2s", 20, 1, 4200 * time.Millisecond, 0},
		{"4.7s", 20, 2, 5 * time.Second, 0},
		{"9.2s", 20, 2, 9200 * time.Millisecond, 0},
		{"9.5s", 20, 3, 10 * time.Second, 0},
		{"12s", 20, 3, 12 * time.Second, 0},
		{"14.2s", 20, 3, 14200 * time.Millisecond, 0},
		{"14.8s", 20, 3, 14250 * time.Millisecond, 1},
		{"30s", 20, 3, 14250 * time.Millisecond, 2},
		{"30s", 2049, 3, 14250 * time.Millisecond, 2},
		{"120s", 20_000, 3, 14250 * time.Millisecond, 13},
		{"8s", 2048, 2, 8 * time.Second, 1},
		{"8s", 20_000, 2, 8 * time.Second, 11},
	} {
		t.Run(fmt.Sprint(test.takes, " ", test.bytes), func(t *testing.T) {
			slowTest(t, Config{Budget: -1}, nil, func(t *testing.T, h *house) {
				u := h.wechat.Follower()
				question := fmt.Sprintf("想 %s %d", test.takes, test.bytes)
				begin := time.Now()
				s := u.Say(question)
				if fate := s.Wait(t.Context()); fate != sim.Replied {
					t.Fatalf("fate %s, log %s", fate, h.log)
				}
				if at := time.Since(begin); at < test.at || at > test.at+100*time.Millisecond {
					t.Errorf("answered after %v, want %v", at, test.at)
				}
				if n := len(s.Attempts()); n != test.delivery {
					t.Errorf("answered on delivery %d, want %d", n, test.delivery)
				}
				if taps := fetchAll(t, u); taps != test.taps {
					t.Errorf("%d taps, want %d: %q", taps, test.taps, answers(u))
				}
				_, want, _ := parseThought(question)
				if got := pieces(u); got != squeeze(answer.Text(want)) {
					t.Errorf("the follower read\n%s\nwant\n%s", got, want)
				}
				if n := h.runsOf(question); n != 1 {
					t.Errorf("the robot ran %d times", n)
				}
				want1 := store.Answered
				if test.taps > 0 {
					want1 = store.Fetched
				}
				if got := h.turn(0).State; got != want1 {
					t.Errorf("the turn is %v, want %v", got, want1)
				}
			})
		})
	}
}
