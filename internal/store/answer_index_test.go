package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// listener opens connections of a database and hears what goes through them.
type listener struct {
	driver.Connector

	mu    sync.Mutex
	heard []statement
}

type statement struct {
	text string
	args []any
}

func (l *listener) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := l.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return listening{c.(conn), l}, nil
}

func (l *listener) hear(text string, args []driver.NamedValue) {
	s := statement{text: text}
	for _, a := range args {
		s.args = append(s.args, a.Value)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = append(l.heard, s)
}

// take returns what was heard since the last time.
func (l *listener) take() []statement {
	l.mu.Lock()
	defer l.mu.Unlock()
	heard := l.heard
	l.heard = nil
	return heard
}

type conn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.QueryerContext
	driver.ExecerContext
}

type listening struct {
	conn
	l *listener
}

func (c listening) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.l.hear(query, args)
	return c.conn.QueryContext(ctx, query, args)
}

func (c listening) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.l.hear(query, args)
	return c.conn.ExecContext(ctx, query, args)
}

// dsn connects as sql.Open does.
type dsn struct {
	name string
	d    driver.Driver
}

func (d dsn) Connect(context.Context) (driver.Conn, error) { return d.d.Open(d.name) }
func (d dsn) Driver() driver.Driver                        { return d.d }

// listen has all that a store does go through a listener.
func listen(t *testing.T, s *Store, c Config) *listener {
	t.Helper()
	l := &listener{Connector: dsn{c.Database, s.read.Driver()}}
	if s.dialect == goose.DialectPostgres {
		config, err := pgx.ParseConfig(c.Database)
		if err != nil {
			t.Fatal(err)
		}
		l.Connector = stdlib.GetConnector(*config)
	}
	s.read.Close()
	s.write.Close() // the writer has no connection before the first write
	s.read, s.write = sql.OpenDB(l), sql.OpenDB(l)
	return l
}

// fillAnswers puts in so many answers of a thousand followers. A few of them wait, a
// few are being worked on, and a few are not confirmed or made known.
func fillAnswers(t *testing.T, s *Store, rows int) {
	t.Helper()
	id := "CAST(printf('%020d', i) AS BLOB)"
	if s.dialect == goose.DialectPostgres {
		id = "convert_to(lpad(CAST(i AS TEXT), 20, '0'), 'UTF8')"
	}
	_, err := s.read.ExecContext(t.Context(), fmt.Sprintf(`INSERT INTO answers (turn, account, openid, state, holder, question, text, done, sending, token, page, runs, timeline, remembered, asked_at, expires_at)
		WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < %d)
		SELECT %s, 1 + i %% 10, 'o' || (i %% 1000),
			CASE WHEN i %% 100 = 0 THEN 12 WHEN i %% 1000 = 1 THEN 10 WHEN i %% 1000 = 2 THEN 6 ELSE 1 END,
			'p1', 'question', 'text', CASE WHEN i %% 1000 = 1 THEN 0 ELSE 1 END,
			CASE WHEN i %% 1000 = 2 THEN 'news' WHEN i %% 1000 = 3 THEN 'reply' ELSE '' END,
			CAST(i AS TEXT), %[2]s, 1, '', i / 1000 %% 2, 1000000 + i, CASE WHEN i %% 100 = 0 THEN 2000000 + i ELSE 0 END FROM numbers`, rows, id))
	if err != nil {
		t.Fatal(err)
	}
}

// plan is how the database goes about a statement.
func plan(t *testing.T, db *sql.DB, d goose.Dialect, s statement) string {
	t.Helper()
	explain := "EXPLAIN QUERY PLAN "
	if d == goose.DialectPostgres {
		explain = "EXPLAIN "
	}
	rows, err := db.QueryContext(t.Context(), explain+s.text, s.args...)
	if err != nil {
		t.Fatalf("%s: %v", s.text, err)
	}
	defer rows.Close()
	var b strings.Builder
	for rows.Next() {
		var line string
		var skip any
		to := []any{&skip, &skip, &skip, &line}
		if d == goose.DialectPostgres {
			to = []any{&line}
		}
		if err := rows.Scan(to...); err != nil {
			t.Fatal(err)
		}
		b.WriteString(line + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What is asked for a message, or every second, must not look at all answers.
func TestAnswersAreFoundByIndex(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		if !strings.HasPrefix(c.Database, "postgres") {
			c.Database = t.TempDir() + "/wenzi.db"
		}
		s := open(t, c)
		l := listen(t, s, c)
		fillAnswers(t, s, 20_000)
		db := sql.OpenDB(l.Connector)
		defer db.Close()
		turn, page := "sqlite_autoindex_answers_1", "sqlite_autoindex_answers_2"
		if s.dialect == goose.DialectPostgres {
			turn, page = "answers_turn_key", "answers_page_key"
		}
		ctx := t.Context()
		cases := []struct {
			name  string
			ask   func() error
			index string
		}{
			{"Answer", func() error { return second(s.Answer(ctx, TurnID([]byte("00000000000000000001")))) }, turn},
			{"AnswerOfPage", func() error { return second(s.AnswerOfPage(ctx, []byte("00000000000000000005"))) }, page},
			{"AnswerOfToken", func() error { return second(s.AnswerOfToken(ctx, 6, "o5", "5")) }, "answers_follower"},
			{"Conversation", func() error { return second(s.Conversation(ctx, 5, "o4", 10)) }, "answers_follower"},
			{"Mailbox", func() error { return second(s.Mailbox(ctx, 1, "o100")) }, "answers_mailbox"},
			{"Pendings", func() error { return second(s.Pendings(ctx)) }, "answers_mailbox"},
			{"ExpiredAnswers", func() error { return second(s.ExpiredAnswers(ctx, time.UnixMilli(2_000_000), 500)) }, "answers_open"},
			{"Unpushed", func() error { return second(s.Unpushed(ctx, time.UnixMilli(2_000_000), 500)) }, "answers_open"},
			{"AskedBefore", func() error { return second(s.AskedBefore(ctx, TurnID([]byte("00000000000000000001")))) }, "answers_follower"},
			{"Orphans", func() error { return second(s.Orphans(ctx, 4*time.Second, 500)) }, "answers_unfinished"},
			{"Unconfirmed", func() error { return second(s.Unconfirmed(ctx, time.UnixMilli(1_050_000), 4*time.Second, 500)) }, "answers_unconfirmed"},
			{"ForgetConversation", func() error { return s.ForgetConversation(ctx, 5, "o4") }, "answers_follower"},
			{"ForgetAnswers", func() error { return s.ForgetAnswers(ctx, 5, "o4") }, "answers_follower"},
		}
		check := func(when string) {
			for _, test := range cases {
				l.take()
				if err := test.ask(); err != nil {
					t.Fatalf("%s: %v", test.name, err)
				}
				asked := 0
				for _, heard := range l.take() {
					if !strings.Contains(heard.text, "FROM answers") && !strings.Contains(heard.text, "UPDATE answers SET remembered") {
						continue
					}
					asked++
					plan := plan(t, db, s.dialect, heard)
					if !strings.Contains(plan, test.index) || strings.Contains(plan, "Seq Scan on answers") || strings.Contains(plan, "SCAN answers\n") ||
						strings.Contains(plan, "TEMP B-TREE FOR ORDER BY") {
						t.Errorf("%s, %s is not by %s:\n%s\n%s", when, test.name, test.index, heard.text, plan)
					}
				}
				if asked == 0 {
					t.Errorf("%s was not heard", test.name)
				}
			}
			if s.dialect == goose.DialectSQLite3 {
				for _, text := range []string{changeAnswer, "DELETE FROM answers WHERE turn >= $1 AND turn <= $2 AND asked_at < $3"} {
					plan := plan(t, db, s.dialect, statement{text, make([]any, strings.Count(text, "$"))})
					if !strings.Contains(plan, turn) {
						t.Errorf("%s, not by %s:\n%s\n%s", when, turn, text, plan)
					}
				}
			}
		}
		if s.dialect == goose.DialectSQLite3 { // nobody runs ANALYZE there, but PostgreSQL does
			check("without statistics")
		}
		if _, err := db.Exec("ANALYZE answers"); err != nil {
			t.Fatal(err)
		}
		check("with statistics")
	})
}
