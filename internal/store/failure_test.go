package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// failThenWork checks that Record and Apply fail as they must while the store
// is broken, that they work again after repair, and that just what was recorded
// and changed is there.
func failThenWork(t *testing.T, s *Store, breakIt, repair func()) {
	t.Helper()
	slow := slowTurn(2, 1)
	record(t, s, slow)
	runs := 1
	recorded := map[TurnID]bool{}
	n := 0
	try := func() (failures int) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				err := s.Apply(t.Context(), Change{ID: slow.ID, From: []State{Working}, Run: true}, Change{ID: slow.ID, Text: new(strings.Repeat("t", 2000))})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					runs++
					return
				}
				failures++
				if !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrConflict) {
					t.Errorf("not ErrUnavailable: %v", err)
				}
			})
		}
		for range 20 {
			n++
			turn := message(1, n)
			turn.Message = []byte(strings.Repeat("m", 2000))
			wg.Go(func() {
				_, fresh, err := s.Record(t.Context(), turn)
				mu.Lock()
				defer mu.Unlock()
				recorded[turn.ID] = err == nil
				if err != nil {
					failures++
					if !errors.Is(err, ErrUnavailable) {
						t.Errorf("not ErrUnavailable: %v", err)
					}
				} else if !fresh {
					t.Error("a new turn is not fresh")
				}
			})
		}
		wg.Wait()
		return failures
	}
	if try() != 0 {
		t.Fatal("it fails at the start")
	}
	breakIt()
	for range 3 {
		start := time.Now()
		if failures := try(); failures != 30 {
			t.Errorf("on a broken store %d of 30 fail", failures)
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("it took %v to fail", d)
		}
	}
	if st := s.Stats(); st.Failures == 0 || st.LastError == "" {
		t.Errorf("no failure is counted: %+v", st)
	}
	repair()
	if failures := try(); failures != 0 {
		t.Errorf("%d fail after the repair: %s", failures, s.Stats().LastError)
	}
	for id, want := range recorded {
		if _, err := s.Turn(t.Context(), id); (err == nil) != want {
			t.Errorf("turn recorded %v, but reading it gives %v", want, err)
		}
	}
	if got := readRow(t, s, slow.ID).Answer.Runs; got != runs || runs != 21 {
		t.Errorf("%d changes are made, %d are on record", runs-1, got-1)
	}
}

// What SQLite says of a full disk, for those who cannot mount one.
func TestDatabaseFull(t *testing.T) {
	s := open(t, sqliteConfig(t))
	limit := func(pages int) {
		if err := s.do(t.Context(), func(ctx context.Context, c *sql.Conn) error {
			_, err := c.ExecContext(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", pages))
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	record(t, s, message(2, 1))
	slow := slowTurn(2, 3)
	record(t, s, slow)
	limit(1) // SQLite takes the present size
	turn := message(2, 2)
	turn.Message = make([]byte, 1<<20)
	if _, _, err := s.Record(t.Context(), turn); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("Record: %v", err)
	}
	limit(1) // of the new connection
	long := Change{ID: slow.ID, From: []State{Working}, To: Waiting, Text: new(strings.Repeat("t", 1<<20)), Done: true}
	if err := s.Apply(t.Context(), long); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("Apply: %v", err)
	}
	limit(1 << 30)
	apply(t, s, long)
	if _, fresh, err := s.Record(t.Context(), turn); err != nil || !fresh {
		t.Errorf("with space again: fresh %v, error %v", fresh, err)
	}
}

func TestDatabaseLocked(t *testing.T) {
	c := sqliteConfig(t)
	s := open(t, c)
	other, err := openSQLite(c)
	if err != nil {
		t.Fatal(err)
	}
	defer other.write.Close()
	defer other.read.Close()
	var tx *sql.Tx
	failThenWork(t, s, func() {
		if tx, err = other.write.Begin(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, _, err := s.Record(ctx, message(3, 1)); !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Record with little time: %v", err)
		}
	}, func() {
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
	})
}

// proxy stands between the store and PostgreSQL, and can be cut.
type proxy struct {
	address, target string
	swallow         atomic.Bool // whatever comes is lost

	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
	wg       sync.WaitGroup
}

func (p *proxy) start(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	p.listener, p.address = l, l.Addr().String()
	p.wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", p.target)
			if err != nil {
				in.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, in, out)
			p.mu.Unlock()
			for _, ends := range [][2]net.Conn{{in, out}, {out, in}} {
				p.wg.Go(func() {
					p.pass(ends[0], ends[1])
					ends[0].Close()
				})
			}
		}
	})
}

func (p *proxy) pass(to io.Writer, from io.Reader) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if p.swallow.Load() {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) cut() {
	p.listener.Close()
	p.mu.Lock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
	p.mu.Unlock()
	p.wg.Wait()
}

func TestPostgresGone(t *testing.T) {
	c := postgresConfig(t)
	u, err := url.Parse(c.Database)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{address: "127.0.0.1:0", target: u.Host}
	p.start(t)
	u.Host = p.address
	c.Database = u.String()
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer p.cut()
	defer s.Close()
	failThenWork(t, s, p.cut, func() { p.start(t) })
}

func TestQueueIsBounded(t *testing.T) {
	s := open(t, sqliteConfig(t))
	release := hold(t, s)
	defer release()
	for n := range maxQueued {
		if !s.queue.add(&request{turn: *message(1, n), done: make(chan struct{}, 1)}) {
			t.Fatal("the queue is full too early")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, _, err := s.Record(ctx, message(1, maxQueued)); !errors.Is(err, ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Record: %v", err)
	}
}

// recordOneBatch records 64 turns at once, between two lines on stdout.
func recordOneBatch(database string) {
	s, err := Open(context.Background(), Config{Database: database})
	if err != nil {
		panic(err)
	}
	var wg sync.WaitGroup
	err = s.do(context.Background(), func(context.Context, *sql.Conn) error {
		for n := range 64 {
			wg.Go(func() {
				if _, _, err := s.Record(context.Background(), message(1, n)); err != nil {
					panic(err)
				}
			})
		}
		for s.Stats().Queued < 64 {
			time.Sleep(time.Millisecond)
		}
		fmt.Println("begin")
		return nil
	})
	wg.Wait()
	fmt.Println("end")
	if st := s.Stats(); err != nil || st.Commits != 1 || st.Turns != 64 {
		panic(fmt.Sprint(err, st))
	}
	os.Exit(0) // without the checkpoint of Close
}

// A batch of 64 turns is one sync of the disk: counted by strace.
func TestOneSyncForABatch(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		need(t, "strace is not installed")
	}
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := child(t, "batch", sqliteConfig(t).Database, "strace", "-f", "-o", trace, "-e", "trace=fsync,fdatasync,sync_file_range,write")
	if out, err := cmd.Output(); err != nil {
		need(t, fmt.Sprintf("strace: %v\n%s", err, out))
	}
	b, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), `write(1, "begin\n"`)
	batch, _, ok2 := strings.Cut(rest, `write(1, "end\n"`)
	if !ok || !ok2 {
		t.Fatalf("no batch in the trace:\n%s", b)
	}
	if syncs := strings.Count(batch, "sync("); syncs != 1 {
		t.Errorf("%d syncs for one batch:\n%s", syncs, batch)
	}
}
