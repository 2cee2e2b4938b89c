package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// copiedTable is what the copy knows of a table.
type copiedTable struct {
	name     string
	identity bool   // its id is given by the database, never twice
	order    string // of its rows
	onSQLite string // their order there, where it is another

	// Its columns by what they hold.
	numbers, texts, bytes string
	// instead has the expressions to copy in place of columns.
	instead map[string]string
}

// copiedTables are all but those that are of the moment: processes, and goose's
// own. Whoever runs at the target is none of the processes of the source. So a
// job that was running is due as it was before, and its attempt counts as
// interrupted when it is claimed; and nobody holds a credential.
var copiedTables = []copiedTable{
	{
		name: "accounts", identity: true, order: "id",
		numbers: "id created_at updated_at seen_at", texts: "path guest_key config",
	},
	{
		name: "turns", order: "arrived_at, id", onSQLite: "rowid",
		numbers: "state arrived_at answered_at", texts: "openid kind decided_by note repeats", bytes: "id message reply",
	},
	{
		name: "answers", order: "asked_at, turn", onSQLite: "rowid",
		numbers: "account state done runs remembered asked_at ready_at expires_at",
		texts:   "openid holder question text shown sending token usage timeline", bytes: "turn target page",
	},
	{
		name: "followers", order: "account, openid",
		numbers: "account subscribed first_seen_at last_seen_at", texts: "openid scene",
	},
	{
		name: "jobs", identity: true, order: "id",
		numbers: "id account slot max_attempts state created_at scheduled_at due_at attempt failures attempted_at finished_at",
		texts:   "kind unique_key error worker", bytes: "args",
		instead: map[string]string{"due_at": "CASE WHEN state = 2 /* running */ THEN scheduled_at ELSE due_at END"},
	},
	{
		name: "credentials", order: "name",
		numbers: "expires_at held_until", texts: "name holder", bytes: "value",
		instead: map[string]string{"holder": "''", "held_until": "0"},
	},
	{name: "signatures", order: "hash", numbers: "expires_at", bytes: "hash turn"},
	{name: "probes", identity: true, order: "id", numbers: "id at", texts: "path method reason"},
	{name: "meta", order: "name", texts: "name value"},
}

// Copying says what to copy where: paths of SQLite files, or postgres://….
type Copying struct {
	From, To string
	Moving   bool // refuse it while a process uses From, and let none begin to
}

// TableCount is how many rows a table has at both ends of a copy.
type TableCount struct {
	Table    string
	From, To int64
}

// errCounts should not happen: both ends hold still.
var errCounts = errors.New("目标里的条数和来源不一致，什么都没有写入（the counts differ, nothing was written）")

// Copy copies all rows from one database, as it is at this moment, into another
// that has none. It is one transaction there: after an error nothing has
// changed. A PostgreSQL that a process uses is refused as a target; of SQLite
// files the caller has to know it.
func Copy(ctx context.Context, c Copying) (counts []TableCount, err error) {
	from, err := openSource(ctx, c.From)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, from.close()) }()
	if c.Moving {
		guard, err := from.guard(ctx, c.From)
		if err != nil {
			return nil, err
		}
		defer guard()
	}
	to, err := openTarget(ctx, c.To)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, to.close()) }()
	return copyAll(ctx, from, to)
}

func copyAll(ctx context.Context, from, to *end) (counts []TableCount, err error) {
	for _, t := range copiedTables {
		if err := to.insert(ctx, t, from); err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
		if t.identity {
			last, err := from.lastID(ctx, t.name)
			if err == nil {
				err = to.continueAfter(ctx, t.name, last)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: the last id: %w", t.name, err)
			}
		}
	}
	for _, t := range copiedTables {
		count := TableCount{Table: t.name}
		for at, n := range map[*end]*int64{from: &count.From, to: &count.To} {
			if err := at.conn.QueryRowContext(ctx, "SELECT count(*) FROM "+t.name).Scan(n); err != nil {
				return nil, fmt.Errorf("%s: count: %w", t.name, err)
			}
		}
		counts = append(counts, count)
	}
	if slices.ContainsFunc(counts, func(c TableCount) bool { return c.From != c.To }) {
		return counts, errCounts
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, err := to.conn.ExecContext(context.WithoutCancel(ctx), "COMMIT"); err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	to.created = ""
	return counts, nil
}

func (t *copiedTable) columns() []string {
	return strings.Fields(t.numbers + " " + t.texts + " " + t.bytes)
}

func (t *copiedTable) selection(dialect goose.Dialect) string {
	columns := t.columns()
	for i, c := range columns {
		if instead, ok := t.instead[c]; ok {
			columns[i] = instead
		}
	}
	order := t.order
	if dialect == goose.DialectSQLite3 && t.onSQLite != "" {
		order = t.onSQLite
	}
	return "SELECT " + strings.Join(columns, ", ") + " FROM " + t.name + " ORDER BY " + order
}

// insert copies a table, row by row.
func (to *end) insert(ctx context.Context, t copiedTable, from *end) error {
	selected, err := from.conn.QueryContext(ctx, t.selection(from.dialect))
	if err != nil {
		return err
	}
	defer selected.Close()
	rows := newCopiedRows(t, selected)
	if to.dialect == goose.DialectPostgres {
		// COPY takes the ids that it is given.
		return to.conn.Raw(func(dc any) error {
			_, err := dc.(*stdlib.Conn).Conn().CopyFrom(ctx, pgx.Identifier{t.name}, t.columns(), rows)
			return err
		})
	}
	columns := t.columns()
	stmt, err := to.conn.PrepareContext(ctx, "INSERT INTO "+t.name+" ("+strings.Join(columns, ", ")+
		") VALUES (?"+strings.Repeat(", ?", len(columns)-1)+")")
	if err != nil {
		return err
	}
	defer stmt.Close()                 //nolint:errcheck // it goes with its connection in any case
	each := context.WithoutCancel(ctx) // the rows end with ctx
	for rows.Next() {
		if _, err := stmt.ExecContext(each, rows.values...); err != nil {
			return err
		}
	}
	return rows.Err()
}

// copiedRows are a table's rows as both engines take them: a [pgx.CopyFromSource].
type copiedRows struct {
	*sql.Rows
	failed error
	values []any
	into   []any // pointers to values
	texts  int   // where they begin
	bytes  int
}

func newCopiedRows(t copiedTable, rows *sql.Rows) *copiedRows {
	r := &copiedRows{Rows: rows, values: make([]any, len(t.columns()))}
	for i := range r.values {
		r.into = append(r.into, &r.values[i])
	}
	r.texts = len(strings.Fields(t.numbers))
	r.bytes = r.texts + len(strings.Fields(t.texts))
	return r
}

func (r *copiedRows) Next() bool {
	if r.failed != nil || !r.Rows.Next() {
		return false
	}
	if r.failed = r.Scan(r.into...); r.failed != nil {
		return false
	}
	// SQLite holds anything in any column.
	for i, v := range r.values {
		switch v := v.(type) {
		case string:
			if i < r.bytes {
				r.values[i] = clean(v)
			} else {
				r.values[i] = []byte(v)
			}
		case []byte:
			if i < r.bytes {
				r.values[i] = clean(string(v))
			} else if v == nil { // as the driver reads one without bytes
				r.values[i] = []byte{}
			}
		}
	}
	return true
}

func (r *copiedRows) Values() ([]any, error) { return r.values, nil }

func (r *copiedRows) Err() error { return errors.Join(r.failed, r.Rows.Err()) }
