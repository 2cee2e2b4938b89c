//go:build failpoints

package app

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/internal/store/pgtest"
	"github.com/wenzihq/wenzi/oa/sim"
)

// The grid of docs/slow-answers.md: answer times × right to push × kill -9
// between every two steps. The program is this test binary, built with the tag
// "failpoints"; where WENZI_FAILPOINT says, it dies as by kill -9, and is
// started again at once, as systemd would. Where there are two replicas every
// delivery reaches any of them, and each dies once.

// answerTimes are those of the questions that every cell of the grid asks.
var answerTimes = []string{"100ms", "4.3s", "4.7s", "9.5s", "12s", "14.3s", "14.8s", "30s"}

// failpoints are the places between two steps of a slow answer, and whether a
// process comes there without the right to push, and with it.
var failpoints = []struct {
	place          string
	riding, pushes bool
}{
	{"", true, true}, // nobody dies
	{"before record", true, true},
	{"after record", true, true},
	{"before work", true, true},
	{"after work", true, true},
	{"before claim", true, true},
	{"after claim", true, true},
	{"before reply", true, true},
	{"before ready", true, true},
	{"after ready", true, true},
	{"before fetch", true, false},
	{"after fetch", true, false},
	{"before promise", false, true},
	{"after promise", false, true},
	{"before push", false, true},
	{"after push", false, true},
}

func TestGrid(t *testing.T) {
	for _, f := range failpoints {
		for _, pushes := range []bool{false, true} {
			if pushes && !f.pushes || !pushes && !f.riding {
				continue
			}
			// When it comes there for the first time, or the fourth. Of two replicas one
			// does this, the other that.
			for _, hits := range [][]int{{1}, {4}, {1, 4}} {
				if f.place == "" && len(hits) == 1 && hits[0] > 1 {
					continue
				}
				name := fmt.Sprintf("%d replicas %s %v push %v", len(hits), f.place, hits, pushes)
				t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
					t.Parallel()
					newCell(t, f.place, hits, pushes).run()
				})
			}
		}
	}
}

// cell is a house on the simulated platform, with an account for each answer time.
type cell struct {
	t        *testing.T
	platform *sim.Platform
	model    *sim.Model
	accounts []*sim.Account
	replicas []*supervised
}

const gridAnswer = "先说结论：可以。第一，材料要齐，身份证和申请表各一份。第二，窗口周一到周五开，下午五点前到。" +
	"第三，办好以后三个工作日内会有短信通知。如果还有不明白的地方，可以再问我。最后祝你顺利。（完）"

func newCell(t *testing.T, place string, hits []int, pushes bool) *cell {
	c := &cell{t: t, platform: sim.New(sim.Settings{MarkFailures: -1}), model: &sim.Model{}}
	t.Cleanup(c.platform.Close)
	if err := c.model.Set(sim.ModelSettings{Text: gridAnswer}); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/", c.model)
	mux.Handle("/", c.platform)
	world := httptest.NewServer(mux)
	t.Cleanup(world.Close)
	front := httptest.NewUnstartedServer(nil)
	t.Cleanup(front.Close)
	kind := sim.Subscription
	if pushes {
		kind = sim.CertifiedService
	}
	var bot strings.Builder
	bot.WriteString("accounts:\n")
	for i, takes := range answerTimes {
		path := fmt.Sprintf("grid%d", i)
		a, err := c.platform.NewAccount(sim.AccountConfig{Kind: kind, Token: "token" + path, URL: "http://" + front.Listener.Addr().String() + "/wechatMP/" + path})
		if err != nil {
			t.Fatal(err)
		}
		c.accounts = append(c.accounts, a)
		fmt.Fprintf(&bot, "  - path: %s\n    token: token%s\n", path, path)
		if pushes {
			fmt.Fprintf(&bot, "    app_id: %s\n    app_secret: %s\n", a.Config().AppID, a.Config().AppSecret)
		}
		fmt.Fprintf(&bot, "    rules: [{text: 在吗, reply: 在}]\n    model: {provider: openai-compatible, base_url: %s/v1, key: sk-grid, name: \"sim,delay=%s\"}\n", world.URL, takes)
	}
	args := []string{"--bot", write(t, "bot.yaml", bot.String()), "--api-url", world.URL, "--timeout-budget=-1"}
	if len(hits) > 1 {
		database := pgtest.Schema(t)
		prepare(t, database)
		args = append(args, "--database", database)
	}
	for _, hit := range hits {
		var env []string
		if place != "" {
			env = []string{fmt.Sprintf("WENZI_FAILPOINT=%s:%d", place, hit)}
		}
		c.replicas = append(c.replicas, supervise(t, env, args...))
	}
	front.Config.Handler = newBalancer(t, c.replicas...)
	front.Start()
	return c
}

// preparing is because migrations of one PostgreSQL, of whatever schema, wait for
// each other, a second at a time.
var preparing sync.Mutex

// prepare makes the tables.
func prepare(t *testing.T, database string) {
	t.Helper()
	preparing.Lock()
	defer preparing.Unlock()
	s, err := store.Open(t.Context(), store.Config{Database: database})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func (c *cell) run() {
	for _, r := range c.replicas {
		r.listens()
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), 3*time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for i, a := range c.accounts {
		wg.Go(func() {
			u := a.Follower()
			u.Subscribe().Wait(ctx)
			question := fmt.Sprintf("怎么办理？第 %d 问", i)
			asked := time.Now()
			sent := u.Say(question)
			sent.Wait(ctx)
			c.read(ctx, u)
			c.judge(u, question, answerTimes[i], asked)
		})
	}
	wg.Wait()
}

func (s *supervised) killed() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.kills)
}

// read does what a patient follower does to read the whole answer: waits for
// it, taps links, and asks whether somebody is there.
func (c *cell) read(ctx context.Context, u *sim.Follower) {
	for range 20 {
		if c.whole(u) {
			return
		}
		chat := u.Chat()
		links := chat[len(chat)-1].Links()
		if i := slices.IndexFunc(links, func(s sim.Span) bool { return s.Say != "" }); i >= 0 {
			u.Tap(links[i]).Wait(ctx)
			continue
		}
		soon, cancel := context.WithTimeout(ctx, 5*time.Second)
		_, err := u.Until(soon, func(now []sim.Entry) bool { return len(now) > len(chat) })
		cancel()
		if err != nil {
			u.Say("在吗").Wait(ctx)
		}
	}
}

// gridRead is all of the answer that the follower has read.
func gridRead(u *sim.Follower) string {
	var b strings.Builder
	for _, e := range u.Chat() {
		if e.From != sim.FromAccount || e.Via == sim.ViaReply && strings.HasPrefix(e.Text(), "在") || strings.HasPrefix(e.Text(), "Hi~") {
			continue
		}
		text := e.Text()
		if strings.HasPrefix(text, "这个问题要多想一会儿") {
			continue
		}
		text, _, _ = strings.Cut(text, "\n\n……")
		b.WriteString(text)
	}
	return b.String()
}

func (c *cell) whole(u *sim.Follower) bool { return strings.Contains(gridRead(u), "（完）") }

func (c *cell) judge(u *sim.Follower, question, takes string, asked time.Time) {
	var kills []time.Time
	for _, r := range c.replicas {
		kills = append(kills, r.killed()...)
	}
	slices.SortFunc(kills, time.Time.Compare)
	fail := func(format string, args ...any) {
		c.t.Helper()
		var chat []string
		for _, e := range u.Chat() {
			chat = append(chat, fmt.Sprintf("%5.1fs %s %s %s", e.At.Sub(asked).Seconds(), e.From, e.Via, e.Text()))
		}
		c.t.Errorf("%s: %s\n%s", takes, fmt.Sprintf(format, args...), strings.Join(chat, "\n"))
	}
	// Where a process dies within seconds of a part of the answer, nobody knows
	// whether that has arrived, and it is shown again.
	again := slices.ContainsFunc(u.Chat(), func(e sim.Entry) bool {
		return e.From == sim.FromAccount && strings.Contains(e.Text(), "\n\n……") && slices.ContainsFunc(kills, func(at time.Time) bool { d := at.Sub(e.At); return d > 0 && d < 7*time.Second })
	})
	if got := gridRead(u); got != gridAnswer && !(again && strings.HasSuffix(got, gridAnswer)) {
		fail("lost or doubled: the follower read %q", got)
	}
	stats := c.model.Stats()
	if n := stats.Asked(question); n < 1 || n > 1+len(kills) {
		fail("the model ran %d times with %d kills", n, len(kills))
	}
	for _, e := range u.Chat() {
		if e.From != sim.FromWeChat {
			continue
		}
		// In the window in which the only process died there was none to answer.
		excused := slices.ContainsFunc(kills, func(at time.Time) bool { late := e.At.Sub(at); return late < 5*time.Second && late > -time.Second })
		if len(c.replicas) > 1 || !excused {
			fail("a fault notice")
		}
	}
}
