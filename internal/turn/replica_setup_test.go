package turn

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/internal/store/pgtest"
	"github.com/wenzihq/wenzi/oa"
)

// These tests run several engines on one PostgreSQL, in real time: connections to
// a database stop the clock of a bubble. They run side by side.

// replicas are engines behind a proxy that knows no stickiness.
type replicas struct {
	t        *testing.T
	database url.URL
	account  oa.Account
	config   Config
	all      []*replica
	db       *sql.DB
	reader   *store.Store
	robot    *thinker // of all
	turns    atomic.Int64
}

type replica struct {
	*Engine
	wire   *wire
	log    *syncBuffer
	server *oa.Server
	stop   func()
	gone   atomic.Bool
}

func newReplicas(t *testing.T, n int, account oa.Account, c Config) *replicas {
	t.Helper()
	database := pgtest.Schema(t)
	t.Parallel()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	r := &replicas{t: t, database: *u, account: account, config: c, robot: &thinker{runs: map[string]int{}}}
	if r.db, err = sql.Open("pgx", u.String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.db.Close() })
	if r.reader, err = store.Open(t.Context(), store.Config{Database: u.String()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.reader.Close() })
	for range n {
		r.add()
	}
	return r
}

func (r *replicas) exec(statement string) {
	r.t.Helper()
	if _, err := r.db.Exec(statement); err != nil {
		r.t.Fatal(err)
	}
}

// add starts a replica, and waits until it hears of the others.
func (r *replicas) add() *replica {
	r.t.Helper()
	database, c := r.database, r.config
	p := &replica{wire: &wire{target: database.Host}, log: &syncBuffer{}}
	r.t.Cleanup(p.wire.cut)
	r.t.Cleanup(func() {
		if r.t.Failed() {
			r.t.Logf("a replica says:\n%s", p.log)
		}
	})
	if err := p.wire.connect(); err != nil {
		r.t.Fatal(err)
	}
	database.Host = p.wire.address
	log := slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := store.Open(r.t.Context(), store.Config{Database: database.String(), Logger: log})
	if err != nil {
		r.t.Fatal(err)
	}
	a := Account{Key: "1", ID: func(context.Context) (int64, error) { return 1, nil }, Robot: r.robot}
	c.Store, c.Log = s, log
	c.Accounts = func(id int64) (Account, bool) { return a, id == 1 }
	p.Engine = New(c)
	if p.server, err = oa.NewServer(r.account, p.Handler(a), oa.WithLogger(log), oa.WithMaxAge(5*time.Minute)); err != nil {
		r.t.Fatal(err)
	}
	if err := p.Recover(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { p.Run(ctx) })
	p.stop = sync.OnceFunc(func() {
		p.gone.Store(true)
		p.Drain()
		cancel()
		running.Wait()
		if err := s.Close(); err != nil {
			r.t.Error(err)
		}
	})
	r.t.Cleanup(p.stop)
	eventually(r.t, "the replica listens", func() bool { return s.Listening() })
	r.all = append(r.all, p)
	return p
}

func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

// ServeHTTP gives every delivery to another replica.
func (r *replicas) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	for {
		if p := r.all[int(r.turns.Add(1))%len(r.all)]; !p.gone.Load() {
			p.server.ServeHTTP(w, req)
			return
		}
	}
}

func (r *replicas) runs(question string) int {
	r.robot.mu.Lock()
	defer r.robot.mu.Unlock()
	return r.robot.runs[question]
}

// turn is what is on record of a question.
func (r *replicas) turn(question string) (*store.Turn, *store.Answer) {
	r.t.Helper()
	var id []byte
	if err := r.db.QueryRow("SELECT turn FROM answers WHERE question = $1", question).Scan(&id); err != nil {
		r.t.Fatal(err)
	}
	ctx := context.Background()
	t, err := r.reader.Turn(ctx, store.TurnID(id))
	if err != nil {
		r.t.Fatal(err)
	}
	row, err := r.reader.Answer(ctx, t.ID)
	if err != nil {
		r.t.Fatal(err)
	}
	return t, row
}

// last is a follower's latest turn.
func (r *replicas) last(follower string) store.TurnID {
	r.t.Helper()
	var id []byte
	if err := r.db.QueryRow("SELECT id FROM turns WHERE openid = $1 ORDER BY arrived_at DESC LIMIT 1", follower).Scan(&id); err != nil {
		r.t.Fatal(err)
	}
	return store.TurnID(id)
}

// state is that of a question's turn.
func (r *replicas) state(question string) store.State {
	t, _ := r.turn(question)
	return t.State
}

// wire is the connection of a replica to the database, which can be cut.
type wire struct {
	address, target string
	mu              sync.Mutex
	listener        net.Listener
	conns           []net.Conn
	wg              sync.WaitGroup
}

func (w *wire) connect() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if w.address != "" {
		l, err = net.Listen("tcp", w.address)
	}
	if err != nil {
		return err
	}
	w.listener, w.address = l, l.Addr().String()
	w.wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", w.target)
			if err != nil {
				in.Close()
				continue
			}
			w.mu.Lock()
			w.conns = append(w.conns, in, out)
			w.mu.Unlock()
			for _, ends := range [][2]net.Conn{{in, out}, {out, in}} {
				w.wg.Go(func() {
					io.Copy(ends[0], ends[1])
					ends[0].Close()
				})
			}
		}
	})
	return nil
}

func (w *wire) cut() {
	w.listener.Close()
	w.mu.Lock()
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
	w.mu.Unlock()
	w.wg.Wait()
}

var (
	secureAccount = oa.Account{AppID: "wx0123456789abcdef", Token: "token", AESKey: "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", Mode: oa.Secure}
	plainAccount  = oa.Account{Token: "token", Mode: oa.Plain}
)

// asks is a text message of now.
func asks(from string, content string) []byte { return askedAt(from, content, time.Now()) }

func askedAt(from, content string, at time.Time) []byte {
	return fmt.Appendf(nil, "<xml><ToUserName>gh_1</ToUserName><FromUserName>%s</FromUserName><CreateTime>%d</CreateTime>"+
		"<MsgType>text</MsgType><Content><![CDATA[%s]]></Content><MsgId>%d</MsgId></xml>", from, at.Unix(), content, rand.Int64())
}

// bring delivers a message to a replica, hangs up when it is not answered in time,
// as WeChat does, and returns the clear reply, or unanswered.
func (p *replica) bring(t *testing.T, ctx context.Context, body []byte) (got string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, p.Deadline+500*time.Millisecond)
	defer cancel()
	req, err := oa.NewDelivery(p.server.Account(), "http://wenzi/", body)
	if err != nil {
		t.Error(err)
		return ""
	}
	return p.serve(t, req.WithContext(ctx))
}

func (p *replica) serve(t *testing.T, req *http.Request) (got string) {
	t.Helper()
	defer func() {
		if q := recover(); q != nil {
			if err, ok := q.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				panic(q)
			}
			got = unanswered
		}
	}()
	w := httptest.NewRecorder()
	p.server.ServeHTTP(w, req)
	if p.server.Account().Mode == oa.Plain || w.Body.String() == "success" {
		return w.Body.String()
	}
	clear, err := oa.OpenReply(p.server.Account(), w.Body.Bytes())
	if err != nil {
		t.Errorf("%v: %s", err, w.Body)
	}
	return string(clear)
}
