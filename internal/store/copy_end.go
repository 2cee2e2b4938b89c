package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// end is a database that is copied, or copied to: one connection with one
// transaction, which may take long.
type end struct {
	engine    // as much of it as clock and migrations need
	db        *sql.DB
	conn      *sql.Conn
	snapshot  string // begins to read
	created   string // a file that goes, unless something is committed to it
	temporary string // a directory that goes
}

var (
	errNotWenzi = errors.New("不是 wenzi 的数据库或备份（it is no database or backup of wenzi）")
	errDamaged  = errors.New("文件已损坏，请换一个备份（the file is damaged: use another backup）")
	errOlder    = errors.New("它还是旧版本的结构：先用这个版本的 wenzi serve 启动一次（its schema is older: start this version of wenzi serve on it once）")
	errInUse    = errors.New("有 wenzi serve 正在用这个数据库：先停掉它，被强行杀掉的要等十秒（a wenzi serve uses this database: stop it first; one that was killed counts for ten seconds）")
	errNotEmpty = errors.New("里面已经有数据，什么都没有改变；请换一个空的（it holds data already, nothing was changed; choose an empty one）")
)

// openConnection opens a database without limits of time. Query is of the
// SQLite file.
func openConnection(ctx context.Context, database string, query url.Values) (*end, error) {
	o := &end{}
	if isPostgres(database) {
		config, err := pgx.ParseConfig(database)
		if err != nil {
			return nil, err // pgx leaves the password out
		}
		if config.ConnectTimeout == 0 {
			config.ConnectTimeout = 5 * time.Second
		}
		for _, limit := range []string{"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"} {
			config.RuntimeParams[limit] = "0"
		}
		o.db = stdlib.OpenDB(*config)
		o.engine = engine{name: "PostgreSQL", dialect: goose.DialectPostgres, migrations: "migrations/postgres", write: o.db}
		o.snapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
	} else {
		query.Add("_pragma", "busy_timeout(5000)")
		var err error
		if o.db, err = sql.Open("sqlite", sqliteAddress(database, query)); err != nil {
			return nil, err
		}
		o.engine = engine{name: "SQLite", dialect: goose.DialectSQLite3, migrations: "migrations/sqlite", write: o.db}
		o.snapshot = "BEGIN"
	}
	var err error
	if o.conn, err = o.db.Conn(ctx); err != nil {
		return nil, errors.Join(err, o.db.Close())
	}
	return o, nil
}

// openSource opens a database as it is now. Nothing of it is changed: a file of
// an older schema is migrated as a temporary copy.
func openSource(ctx context.Context, database string) (from *end, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("来源（the source）: %w", err)
		}
	}()
	if from, err = openConnection(ctx, database, url.Values{"mode": {"ro"}}); err != nil {
		return nil, err
	}
	if err := from.sound(ctx); err != nil {
		return nil, errors.Join(err, from.close())
	}
	older, err := from.older(ctx)
	if err == nil && older {
		if from.dialect == goose.DialectPostgres {
			return nil, errors.Join(errOlder, from.close())
		}
		if from, err = from.migrated(ctx); err != nil {
			return nil, err
		}
	}
	if err == nil {
		_, err = from.conn.ExecContext(ctx, from.snapshot)
	}
	if err != nil {
		return nil, errors.Join(err, from.close())
	}
	return from, nil
}

// sound fails for a SQLite file that is damaged, or is none.
func (o *end) sound(ctx context.Context) error {
	if o.dialect == goose.DialectPostgres {
		return nil
	}
	var result string
	err := o.conn.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&result)
	var e *sqlite.Error
	switch {
	case err == nil && result != "ok", errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_CORRUPT:
		return errDamaged
	case errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_NOTADB:
		return errNotWenzi
	}
	return err
}

// older reports whether the schema is an older one than this program's.
func (o *end) older(ctx context.Context) (older bool, err error) {
	for _, table := range []string{"goose_db_version", "turns"} {
		if there, err := o.has(ctx, table); err != nil {
			return false, err
		} else if !there {
			return false, errNotWenzi
		}
	}
	p, err := o.provider()
	if err != nil {
		return false, err
	}
	var have int64
	if err := o.conn.QueryRowContext(ctx, "SELECT max(version_id) FROM goose_db_version").Scan(&have); err != nil {
		return false, err
	}
	sources := p.ListSources()
	know := sources[len(sources)-1].Version
	if have > know {
		return false, newerSchema(have, know)
	}
	return have < know, nil
}

func (o *end) has(ctx context.Context, table string) (there bool, err error) {
	query := "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $1)"
	if o.dialect == goose.DialectPostgres {
		query = "SELECT to_regclass($1) IS NOT NULL"
	}
	err = o.conn.QueryRowContext(ctx, query, table).Scan(&there)
	return there, err
}

// migrated replaces a SQLite file by a copy with this program's schema.
func (o *end) migrated(ctx context.Context) (_ *end, err error) {
	dir, err := os.MkdirTemp("", "wenzi-")
	if err != nil {
		return nil, errors.Join(err, o.close())
	}
	file := filepath.Join(dir, "wenzi.db")
	err = errors.Join(o.vacuumInto(ctx, file), o.close())
	if err == nil {
		err = upgrade(ctx, file)
	}
	var from *end
	if err == nil {
		from, err = openConnection(ctx, file, url.Values{"mode": {"ro"}})
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	from.temporary = dir
	return from, nil
}

// vacuumInto copies a SQLite database into a file that is new or has no bytes.
func (o *end) vacuumInto(ctx context.Context, file string) error {
	_, err := o.conn.ExecContext(ctx, "VACUUM INTO ?", file)
	return err
}

// upgrade gives a SQLite file this program's schema, and leaves no file beside it.
func upgrade(ctx context.Context, file string) error {
	e, err := openSQLite(Config{Database: file})
	if err != nil {
		return err
	}
	err = migrate(ctx, e)
	if err == nil {
		_, err = e.write.ExecContext(ctx, "PRAGMA journal_mode = delete")
	}
	return errors.Join(err, e.write.Close(), e.read.Close())
}

// guard keeps processes away from a PostgreSQL that is moved: none can say that
// it is alive.
func (o *end) guard(ctx context.Context, database string) (release func(), err error) {
	if o.dialect == goose.DialectSQLite3 {
		return func() {}, nil
	}
	g, err := openConnection(ctx, database, nil)
	if err != nil {
		return nil, err
	}
	if _, err = g.conn.ExecContext(ctx, "BEGIN; LOCK TABLE processes IN SHARE ROW EXCLUSIVE MODE"); err == nil {
		err = g.unused(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, g.close())
	}
	return func() { _ = g.close() }, nil
}

// unused fails while a process is heard of, on PostgreSQL.
func (o *end) unused(ctx context.Context) error {
	if o.dialect == goose.DialectSQLite3 {
		return nil
	}
	if there, err := o.has(ctx, "processes"); err != nil || !there {
		return err
	}
	var used bool
	err := o.conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM processes WHERE seen_at > "+o.clock()+" - 10000)").Scan(&used)
	if err == nil && used {
		return errInUse
	}
	return err
}

// openTarget makes the tables where there are none, and begins a transaction
// that keeps everybody else from writing.
func openTarget(ctx context.Context, database string) (to *end, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("目标（the target）: %w", err)
		}
	}()
	created := ""
	if !isPostgres(database) {
		if _, err := os.Lstat(database); errors.Is(err, os.ErrNotExist) {
			created = database
		}
		f, err := os.OpenFile(database, os.O_CREATE|os.O_RDWR, 0o600)
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			return nil, err
		}
	}
	defer func() {
		if err != nil && created != "" {
			err = errors.Join(err, os.Remove(created))
		}
	}()
	if err := prepareTarget(ctx, database); err != nil {
		return nil, err
	}
	// A transaction on an empty file needs next to no journal, but a WAL as large
	// as the file.
	if to, err = openConnection(ctx, database, url.Values{"mode": {"rw"}, "_pragma": {"cache_size(-65536)"}}); err != nil {
		return nil, err
	}
	begin := "BEGIN IMMEDIATE"
	if to.dialect == goose.DialectPostgres {
		tables := []string{"processes"}
		for _, t := range copiedTables {
			tables = append(tables, t.name)
		}
		begin = "BEGIN; LOCK TABLE " + strings.Join(tables, ", ") + " IN SHARE ROW EXCLUSIVE MODE"
	}
	if _, err = to.conn.ExecContext(ctx, begin); err == nil {
		err = to.vacant(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, to.close())
	}
	to.created = created
	return to, nil
}

// prepareTarget gives a database this program's schema, unless it is in use or
// holds data.
func prepareTarget(ctx context.Context, database string) error {
	o, err := openConnection(ctx, database, url.Values{"mode": {"rw"}})
	if err != nil {
		return err
	}
	if err := errors.Join(o.vacant(ctx), o.close()); err != nil {
		return err
	}
	if !isPostgres(database) {
		return upgrade(ctx, database)
	}
	e, err := openPostgres(Config{Database: database})
	if err != nil {
		return err
	}
	return errors.Join(migrate(ctx, e), e.write.Close(), e.read.Close())
}

// vacant fails where a process is heard of, or a table has rows.
func (o *end) vacant(ctx context.Context) error {
	if err := o.unused(ctx); err != nil {
		return err
	}
	for _, t := range copiedTables {
		there, err := o.has(ctx, t.name)
		if err != nil {
			return err
		}
		if !there {
			continue
		}
		var rows bool
		if err := o.conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM "+t.name+")").Scan(&rows); err != nil {
			return err
		}
		if rows {
			return fmt.Errorf("%w: %s", errNotEmpty, t.name)
		}
	}
	return nil
}

// lastID is the greatest id that the database has given in a table.
func (o *end) lastID(ctx context.Context, table string) (id int64, err error) {
	query := "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = $1"
	if o.dialect == goose.DialectPostgres {
		query = `SELECT coalesce(max(last_value), 0) FROM pg_sequences
			WHERE format('%I.%I', schemaname, sequencename) = pg_get_serial_sequence($1, 'id')`
	}
	err = o.conn.QueryRowContext(ctx, query, table).Scan(&id)
	return id, err
}

// continueAfter makes the ids of a table continue after this one.
func (o *end) continueAfter(ctx context.Context, table string, id int64) error {
	if id == 0 {
		return nil
	}
	if o.dialect == goose.DialectPostgres {
		_, err := o.conn.ExecContext(ctx, "SELECT setval(pg_get_serial_sequence($1, 'id'), $2)", table, id)
		return err
	}
	if _, err := o.conn.ExecContext(ctx, "DELETE FROM sqlite_sequence WHERE name = $1", table); err != nil {
		return err
	}
	_, err := o.conn.ExecContext(ctx, "INSERT INTO sqlite_sequence (name, seq) VALUES ($1, $2)", table, id)
	return err
}

// close ends the transaction; what was not committed is gone.
func (o *end) close() error {
	_ = o.conn.Close() // whoever has lost the connection has lost the transaction too
	err := o.db.Close()
	if o.temporary != "" {
		err = errors.Join(err, os.RemoveAll(o.temporary))
	}
	if o.created != "" {
		err = errors.Join(err, os.Remove(o.created))
	}
	return err
}
