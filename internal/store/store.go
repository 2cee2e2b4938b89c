// Package store keeps what wenzi must not forget: accounts, followers, and
// every message with its answer. It holds all SQL of wenzi, for SQLite and for
// PostgreSQL.
//
// All writing is done by one goroutine. Turns that are recorded at the same
// time share a transaction, and with it the wait for the disk.
package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// ErrUnavailable is in the chain of every error that says the store could not
// be written or read: the disk is full, the file is locked, the database
// server is gone, or the store is closed.
var ErrUnavailable = errors.New("store is unavailable")

// ErrNotFound is returned for a row that does not exist.
var ErrNotFound = errors.New("not in the store")

// Config says where the store is. Zero values mean the defaults named.
type Config struct {
	Database    string       // path of the SQLite file, or postgres://…
	Synchronous string       // SQLite only: "full" (default), or "normal", which gives up power loss
	BatchRows   int          // most turns in one transaction, default 256
	Logger      *slog.Logger // default slog.Default()
}

// Store is an open database. Its methods may be called concurrently.
type Store struct {
	engine
	log *slog.Logger

	queue    queue
	news     news
	requests sync.Pool // of *request
	finished chan struct{}

	// Only the writer goroutine uses these.
	conn      *writerConn // nil until needed and after a failure
	followers knownFollowers
	failing   bool

	mu    sync.Mutex
	stats Stats
}

// Stats are counted since Open.
type Stats struct {
	Commits   int64 // transactions that recorded turns or changes of turns
	Turns     int64 // turns recorded
	Repeats   int64 // deliveries added to a turn that was there already
	Changes   int64 // calls of Apply that changed something
	Failures  int64 // transactions of turns or changes that failed
	LastError string
	Queued    int // turns and other writes that wait now
}

// Open opens the database, creates or migrates its tables, and starts the
// writer. A database that a newer wenzi has written is refused.
func Open(ctx context.Context, c Config) (*Store, error) {
	e, err := openEngine(c)
	if err != nil {
		return nil, err
	}
	s := &Store{
		engine:   e,
		log:      cmp.Or(c.Logger, slog.Default()),
		finished: make(chan struct{}),
	}
	s.requests.New = func() any {
		r := &request{done: make(chan struct{}, 1), timer: time.NewTimer(recordTimeout)}
		r.timer.Stop()
		return r
	}
	s.queue.init(cmp.Or(c.BatchRows, 256))
	s.news.remote, s.news.heartbeat, s.news.origin = e.raw != nil, heartbeat, rand.Text()
	if err := migrate(ctx, e); err != nil {
		return nil, errors.Join(fmt.Errorf("store: prepare the %s database: %w", e.name, err), s.closeDatabases())
	}
	go s.writeAll()
	return s, nil
}

// Close writes what is queued and closes the database. Whatever is recorded
// afterwards fails with ErrUnavailable.
func (s *Store) Close() error {
	s.news.close()
	if s.queue.close() {
		<-s.finished
		return s.closeDatabases()
	}
	<-s.finished
	return nil
}

func (s *Store) closeDatabases() error {
	// The last connection to leave moves the WAL into the SQLite file.
	return errors.Join(s.read.Close(), s.write.Close())
}

// Check reports whether the store can be written now, by writing.
func (s *Store) Check(ctx context.Context) error {
	return s.do(ctx, func(ctx context.Context, c *sql.Conn) error {
		_, err := c.ExecContext(ctx, `INSERT INTO meta (name, value) VALUES ('checked_at', $1)
			ON CONFLICT (name) DO UPDATE SET value = excluded.value`, time.Now().UTC().Format(time.RFC3339Nano))
		return err
	})
}

// Stats returns the counts up to now.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	st := s.stats
	s.mu.Unlock()
	st.Queued = s.queue.len()
	return st
}

func unavailable(err error) error {
	if err == nil || errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// Times are kept as milliseconds since 1970; 0 is the zero time.

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// clean makes a text storable on both engines: PostgreSQL takes neither NUL
// nor broken UTF-8, and one such text would fail the whole batch.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
