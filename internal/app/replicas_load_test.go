//go:build unix

package app

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/internal/store/pgtest"
	"github.com/wenzihq/wenzi/oa/sim"
)

// These tests put three replicas on one PostgreSQL, behind a balancer without
// stickiness, under load, and take something away from them.

// household is three replicas with three accounts: one that echoes, one whose
// model is slower than WeChat waits, and one that pushes what its model says.
type household struct {
	t        *testing.T
	replicas []*supervised
	front    string
	db       *sql.DB
	api      string
	models   [2]string
}

// newHousehold starts them. Each replica has the database at an address of its own.
func newHousehold(t *testing.T, database string, addresses [3]string) *household {
	t.Helper()
	h := &household{t: t, api: freeAddress(t), models: [2]string{freeAddress(t), freeAddress(t)}}
	bot := fmt.Sprintf(`accounts:
  - {path: echo, token: hello}
  - {path: slow, token: hello, model: {provider: openai-compatible, base_url: "http://%s/v1", name: "delay=6s", concurrency: 32}}
  - {path: push, token: hello, app_id: %s, app_secret: 0123456789abcdef0123456789abcdef,
     model: {provider: openai-compatible, base_url: "http://%s/v1", name: "delay=6s", concurrency: 32}}
`, h.models[0], sayAppID, h.models[1])
	file := write(t, "bot.yaml", bot)
	for _, address := range addresses {
		h.replicas = append(h.replicas, supervise(t, nil, "--database", address, "--bot", file, "--api-url", "http://"+h.api, "--timeout-budget=-1"))
	}
	for _, r := range h.replicas {
		r.listens()
	}
	front := httptest.NewServer(newBalancer(t, h.replicas...))
	t.Cleanup(front.Close)
	h.front = front.URL
	db, err := sql.Open("pgx", database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	h.db = db
	return h
}

// loads are `wenzi sim load` on each of the accounts, by their paths.
type loads map[string]sim.LoadReport

// load has followers of all accounts write for a while.
func (h *household) load(d time.Duration) loads {
	h.t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	reports := loads{}
	for path, flags := range map[string][]string{
		"echo": {"--rate", "50", "--followers", "300"},
		"slow": {"--rate", "3", "--followers", "60", "--model-listen", h.models[0], "--model-name", "delay=6s", "--think", "500ms", "--patience", "45s", "--taps", "10"},
		"push": {"--rate", "3", "--followers", "60", "--model-listen", h.models[1], "--model-name", "delay=3s", "--patience", "45s",
			"--certified", "--app-id", sayAppID, "--api-listen", h.api, "--mark-failures=-1"},
	} {
		wg.Go(func() {
			args := []string{"--url", h.front + "/wechatMP/" + path, "--token", "hello", "--messages", "10000", "--duration", d.String(), "--nasty",
				"--mark-failures=-1", "--allow", "notices,duplicates,lost"}
			r, stdout, code := simLoad(h.t, append(args, flags...)...)
			mu.Lock()
			defer mu.Unlock()
			reports[path] = r
			if code != 0 || r.Messages == 0 {
				h.t.Errorf("the load on %s ends with status %d:\n%s", path, code, stdout)
			}
		})
	}
	wg.Wait()
	return reports
}

// judge checks what followers saw, and what is on record.
func (h *household) judge(reports loads) {
	h.t.Helper()
	for path, r := range reports {
		h.t.Logf("%-4s %5d questions, %d whole, %d in part, on delivery %v, fetched %d, pushed %d, notices %d, duplicates %d, lost %d; deliveries %d, %d problems; first content p50 %v p99 %v ms",
			path, r.Messages, r.Whole, r.Partial, r.OnDelivery, r.ByFetch, r.ByPush, r.Notices, r.Duplicates, r.Lost, r.Deliveries, sum(r.Problems), r.FirstContent.P50, r.FirstContent.P99)
		if r.Notices+r.Duplicates+r.Lost > 0 || r.Whole < r.Messages {
			h.t.Errorf("%s: %d questions, %d answered to the end; %d fault notices, %d duplicates, %d lost", path, r.Messages, r.Whole, r.Notices, r.Duplicates, r.Lost)
		}
	}
}

func sum(problems map[sim.Rule]int) (n int) {
	for _, k := range problems {
		n += k
	}
	return n
}

// count asks the database for a number.
func (h *household) count(query string, args ...any) (n int) {
	h.t.Helper()
	if err := h.db.QueryRow(query, args...).Scan(&n); err != nil {
		h.t.Fatal(err)
	}
	return n
}

// dump shows answers for which a condition holds.
func (h *household) dump(where string) string {
	h.t.Helper()
	rows, err := h.db.Query(`SELECT concat_ws(' ', turn, openid, 'state', state, 'done', done, 'sending', sending, 'runs', runs, 'fetches', target, 'shown', length(shown), 'of', length(text)) || chr(10) || timeline
		FROM answers WHERE ` + where + ` ORDER BY asked_at LIMIT 5`)
	if err != nil {
		h.t.Fatal(err)
	}
	defer rows.Close()
	var b strings.Builder
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			h.t.Fatal(err)
		}
		b.WriteString(line)
	}
	if err := rows.Err(); err != nil {
		h.t.Fatal(err)
	}
	return b.String()
}

// onRecord checks the database's counts against what the followers did: every
// message is there once, and has come to an end.
func (h *household) onRecord(reports loads) {
	h.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	// What waits to be fetched, and was not asked for, or of which a process that
	// died did not know whether it had arrived, goes on waiting.
	const unsettled = `(state >= 10 AND NOT (state = 12 AND done = 1) OR sending = 'reply')`
	for h.count(`SELECT count(*) FROM answers WHERE `+unsettled) > 0 && time.Now().Before(deadline) {
		time.Sleep(100 * time.Millisecond)
	}
	if n := h.count(`SELECT count(*) FROM answers WHERE ` + unsettled); n > 0 {
		h.t.Errorf("%d answers are not at their end:\n%s", n, h.dump(unsettled))
	}
	for path, r := range reports {
		of := `FROM turns WHERE kind = 'text' AND get_byte(id, 4) = (SELECT id FROM accounts WHERE path = $1)`
		want := r.Messages + r.Taps
		if n := h.count(`SELECT count(*) `+of, path); n != want {
			h.t.Errorf("%s: %d questions and taps, %d turns on record", path, want, n)
		}
		waiting := h.count(`SELECT count(*) `+of+` AND state = 12`, path)
		if n := h.count(`SELECT count(*) `+of+` AND state NOT IN (1, 4, 5, 12)`, path); n > 0 { // answered, pushed, fetched, waiting
			h.t.Errorf("%s: %d turns have another end than an answer", path, n)
		}
		repeats := h.count(`SELECT coalesce(sum(length(repeats) - length(replace(repeats, chr(10), ''))), 0) `+of, path)
		h.t.Logf("%-4s on record: %d turns, %d repeats of turns that took no time, %d answers wait to be offered, %d worked on more than once",
			path, want, repeats, waiting, h.count(`SELECT count(*) FROM answers WHERE runs > 1 AND account = (SELECT id FROM accounts WHERE path = $1)`, path))
	}
}

// One replica is killed with -9, then another restarted as by an upgrade, and so
// on: nothing is lost, nothing doubled, and nobody sees a fault notice.
func TestReplicasAreKilledUnderLoad(t *testing.T) {
	t.Parallel()
	database := pgtest.Schema(t)
	h := newHousehold(t, database, [3]string{database, database, database})
	d := 30 * time.Second
	if os.Getenv("CI") != "" {
		d = 2 * time.Minute
	}
	ctx, cancel := context.WithCancel(t.Context())
	var harm sync.WaitGroup
	kills, restarts := 0, 0
	harm.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-time.After(4*time.Second + rand.N(time.Second)):
			case <-ctx.Done():
				return
			}
			r := h.replicas[n%3]
			if n%2 == 0 {
				r.end(syscall.SIGKILL)
				kills++
			} else {
				r.end(syscall.SIGTERM)
				restarts++
			}
			r.listens()
		}
	})
	reports := h.load(d)
	cancel()
	harm.Wait()
	t.Logf("%d kills and %d restarts in %v", kills, restarts, d)
	if kills < 3 || restarts < 3 {
		t.Error("too few to tell")
	}
	h.judge(reports)
	h.onRecord(reports)
}

// The database goes away under load and comes back: what needs no store is
// answered, and on record afterwards; what a model was asked before is answered
// late at the worst.
func TestDatabaseGoesAwayUnderLoad(t *testing.T) {
	t.Parallel()
	postgres := pgtest.Start(t)
	h := newHousehold(t, postgres.Address, [3]string{postgres.Address, postgres.Address, postgres.Address})
	var reports loads
	var loading sync.WaitGroup
	loading.Go(func() { reports = h.load(25 * time.Second) })
	time.Sleep(8 * time.Second)
	postgres.Stop()
	time.Sleep(7 * time.Second)
	for _, r := range h.replicas {
		if status := r.ready(); status != http.StatusServiceUnavailable {
			t.Errorf("without a database /readyz says %d", status)
		}
	}
	postgres.Start()
	back := time.Now()
	loading.Wait()
	for _, r := range h.replicas {
		for deadline := back.Add(time.Minute); r.ready() != http.StatusOK; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("a replica is not ready %v after the database is back", time.Since(back))
			}
		}
		if strings.Count(r.logged(), "level=") > 200 {
			t.Errorf("a replica has much to say of it:\n%.3000s", r.logged())
		}
	}
	if n := h.count(`SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'`); n > 3*10+1 {
		t.Errorf("there are %d connections", n)
	}
	h.settle(reports)
}

// settle is judge, but for the questions to models that came while there was
// nothing to record them in, or whose last delivery reached a replica that could
// not look whether another one works on them: their followers were told so.
func (h *household) settle(reports loads) {
	h.t.Helper()
	for _, path := range []string{"slow", "push"} {
		told := h.count(`SELECT count(*) FROM turns LEFT JOIN answers ON turn = id WHERE kind = 'text' AND get_byte(id, 4) = (SELECT id FROM accounts WHERE path = $1)
			AND (turns.state = 1 AND decided_by = 'fallback' OR turns.state = 12 AND done = 1 AND reply IS NULL AND timeline LIKE '%no delivery was left%')`, path)
		h.t.Logf("%s: %d were told that it does not work now", path, told)
		r := reports[path]
		r.Lost, r.Whole = max(r.Lost-told, 0), r.Whole+min(r.Lost, told)
		reports[path] = r
	}
	h.judge(reports)
	h.onRecord(reports)
}

// One replica is cut off from the database, by a network that swallows
// everything; the others go on.
func TestReplicaIsCutOffUnderLoad(t *testing.T) {
	t.Parallel()
	database := pgtest.Schema(t)
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	w := newSwallower(t, u.Host)
	u.Host = w.Addr().String()
	h := newHousehold(t, database, [3]string{u.String(), database, database})
	var reports loads
	var loading sync.WaitGroup
	loading.Go(func() { reports = h.load(25 * time.Second) })
	time.Sleep(8 * time.Second)
	w.swallow(true)
	time.Sleep(8 * time.Second)
	if one, other := h.replicas[0].ready(), h.replicas[1].ready(); one != http.StatusServiceUnavailable || other != http.StatusOK {
		t.Errorf("/readyz says %d where the database cannot be reached, %d where it can", one, other)
	}
	w.swallow(false)
	loading.Wait()
	for deadline := time.Now().Add(time.Minute); h.replicas[0].ready() != http.StatusOK; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the replica does not find back")
		}
	}
	h.settle(reports)
}

// swallower passes connections on, until it passes on nothing and closes nothing.
type swallower struct {
	net.Listener
	target string
	mu     sync.Mutex
	open   sync.Cond
	closed bool
	conns  []net.Conn
}

func newSwallower(t *testing.T, target string) *swallower {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &swallower{Listener: l, target: target}
	w.open.L = &w.mu
	var running sync.WaitGroup
	running.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { w.pass(in) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		w.swallow(false)
		w.mu.Lock()
		for _, c := range w.conns {
			c.Close()
		}
		w.mu.Unlock()
		running.Wait()
	})
	return w
}

func (w *swallower) swallow(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = on
	w.open.Broadcast()
}

// wait returns when something may pass.
func (w *swallower) wait() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.closed {
		w.open.Wait()
	}
}

func (w *swallower) pass(in net.Conn) {
	defer in.Close()
	w.wait()
	out, err := net.Dial("tcp", w.target)
	if err != nil {
		return
	}
	defer out.Close()
	w.mu.Lock()
	w.conns = append(w.conns, in, out)
	w.mu.Unlock()
	var both sync.WaitGroup
	for _, ends := range [][2]net.Conn{{in, out}, {out, in}} {
		both.Go(func() {
			defer ends[0].Close()
			b := make([]byte, 32<<10)
			for {
				n, err := ends[1].Read(b)
				w.wait()
				if _, e := ends[0].Write(b[:n]); err != nil || e != nil {
					return
				}
			}
		})
	}
	both.Wait()
	w.mu.Lock()
	w.conns = slices.DeleteFunc(w.conns, func(c net.Conn) bool { return c == in || c == out })
	w.mu.Unlock()
}

// ready is the status of /readyz.
func (s *supervised) ready() int {
	s.t.Helper()
	resp, err := http.Get("http://" + s.listen + "/readyz")
	if err != nil {
		s.t.Error(err)
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}
