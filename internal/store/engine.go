package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// engine is what differs between SQLite and PostgreSQL, apart from the DDL.
type engine struct {
	name         string
	dialect      goose.Dialect
	migrations   string
	begin        string
	lockAccounts string             // keeps other processes from changing accounts
	skipLocked   string             // ends the SELECT that claims rows
	placeholder  func(n int) string // of the n-th parameter of a long statement
	timeout      time.Duration      // of a transaction; 0: the engine gives up by itself
	pipelined    bool               // sendRows inserts
	keepConn     func(error) bool   // whether the connection is sound after this error
	write        *sql.DB            // the writer takes its connection from here
	read         *sql.DB
	raw          *pgx.ConnConfig // of the connection that listens; nil: there are no events from elsewhere
}

func openEngine(c Config) (engine, error) {
	if isPostgres(c.Database) {
		return openPostgres(c)
	}
	return openSQLite(c)
}

func isPostgres(database string) bool {
	return strings.HasPrefix(database, "postgres://") || strings.HasPrefix(database, "postgresql://")
}

// openSQLite opens one connection to write and a few to read. A lock held by
// another process is waited for one second: WeChat waits five for the answer.
func openSQLite(c Config) (engine, error) {
	synchronous := "full"
	switch c.Synchronous {
	case "", "full":
	case "normal":
		synchronous = "normal"
	default:
		return engine{}, fmt.Errorf("store: synchronous is %q, want full or normal", c.Synchronous)
	}
	if c.Database == "" {
		return engine{}, errors.New("store: no database given, want the path of a file or postgres://…")
	}
	// SQLite would create the file readable by everybody; it holds secrets.
	f, err := os.OpenFile(c.Database, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return engine{}, fmt.Errorf("store: open the database: %w", err)
	}
	if err := f.Close(); err != nil {
		return engine{}, fmt.Errorf("store: open the database: %w", err)
	}
	// A sync then leaves out the file's timestamps, as SQLite's own builds do.
	// Where the system has no fdatasync it goes on with fsync.
	_, _ = sqlite.Fdatasync(true)

	dsn := func(pragmas ...string) string {
		return sqliteAddress(c.Database, url.Values{"_txlock": {"immediate"}, "_pragma": append([]string{"busy_timeout(1000)"}, pragmas...)})
	}
	// A checkpoint holds the writer while the disk is synced, so there should be
	// few: one in 16 MB of WAL costs no more CPU than SQLite's one in 4 MB.
	write, err := sql.Open("sqlite", dsn("journal_mode(wal)", "wal_autocheckpoint(4000)", "synchronous("+synchronous+")"))
	if err != nil {
		return engine{}, fmt.Errorf("store: %w", err)
	}
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", dsn("query_only(1)"))
	if err != nil {
		return engine{}, errors.Join(fmt.Errorf("store: %w", err), write.Close())
	}
	read.SetMaxOpenConns(4)
	read.SetMaxIdleConns(2)
	return engine{
		name:        "SQLite",
		dialect:     goose.DialectSQLite3,
		migrations:  "migrations/sqlite",
		begin:       "BEGIN IMMEDIATE",
		placeholder: func(int) string { return "?" }, // the driver looks up a name for every $n
		keepConn: func(err error) bool {
			var e *sqlite.Error
			return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_BUSY
		},
		write: write,
		read:  read,
	}, nil
}

func sqliteAddress(path string, query url.Values) string {
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: query.Encode()}
	return u.String()
}

// openPostgres uses up to ten connections: one to write, eight to read, and one
// that listens. What a process leaves locked or running when the network fails
// ends by itself, unless the address says otherwise.
func openPostgres(c Config) (engine, error) {
	config, err := pgx.ParseConfig(c.Database)
	if err != nil {
		return engine{}, fmt.Errorf("store: %w", err) // pgx leaves the password out
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 2 * time.Second
	}
	pool := func(most int, limit string) *sql.DB {
		config := config.Copy()
		if _, set := config.RuntimeParams[limit]; !set {
			config.RuntimeParams[limit] = "10s"
		}
		db := stdlib.OpenDB(*config)
		db.SetMaxOpenConns(most)
		db.SetConnMaxIdleTime(5 * time.Minute)
		return db
	}
	read := pool(8, "statement_timeout")
	read.SetMaxIdleConns(8) // to connect is dear for both sides
	return engine{
		name:         "PostgreSQL",
		dialect:      goose.DialectPostgres,
		migrations:   "migrations/postgres",
		begin:        "BEGIN",
		lockAccounts: "LOCK TABLE accounts IN SHARE ROW EXCLUSIVE MODE",
		skipLocked:   "FOR UPDATE SKIP LOCKED",
		placeholder:  func(n int) string { return "$" + strconv.Itoa(n) },
		timeout:      3 * time.Second,
		pipelined:    true,
		keepConn:     func(error) bool { return false },
		write:        pool(1, "idle_in_transaction_session_timeout"),
		read:         read,
		raw:          config,
	}, nil
}

// deadlocked reports whether PostgreSQL broke off a transaction because it and
// another one waited for each other.
func deadlocked(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "40P01"
}

//go:embed migrations
var migrations embed.FS

// migrate brings the tables to the version this program knows. On PostgreSQL
// an advisory lock keeps several processes from doing it at once.
func migrate(ctx context.Context, e engine) error {
	p, err := e.provider()
	if err != nil {
		return err
	}
	have, know, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > know {
		return newerSchema(have, know)
	}
	if have == know {
		return nil
	}
	_, err = p.Up(ctx)
	return err
}

func newerSchema(have, know int64) error {
	return fmt.Errorf("它由更新版本的 wenzi 写成，请用那个版本或更新的（it was written by a newer wenzi (schema %d, this one knows %d): use that version or a newer one）", have, know)
}

func (e *engine) provider() (*goose.Provider, error) {
	files, err := fs.Sub(migrations, e.migrations)
	if err != nil {
		return nil, err
	}
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if e.dialect == goose.DialectPostgres {
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	return goose.NewProvider(e.dialect, e.write, files, options...)
}
