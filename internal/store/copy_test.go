package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"
)

// eachDirection runs a test for every pair of engines.
func eachDirection(t *testing.T, test func(t *testing.T, from, to Config)) {
	for name, config := range map[string]func(testing.TB) Config{"from sqlite": sqliteConfig, "from postgres": postgresConfig} {
		t.Run(name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, to Config) { test(t, config(t), to) })
		})
	}
}

// schema returns the columns of all tables, and what they hold.
func schema(t *testing.T, s *Store) map[string]map[string]string {
	t.Helper()
	query := `SELECT m.name, c.name, c.type FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name <> 'sqlite_sequence'`
	if s.dialect == goose.DialectPostgres {
		query = `SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = current_schema()`
	}
	rows, err := s.read.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	tables := map[string]map[string]string{}
	for rows.Next() {
		var table, column, kind string
		if err := rows.Scan(&table, &column, &kind); err != nil {
			t.Fatal(err)
		}
		switch strings.ToLower(kind) {
		case "integer", "bigint", "smallint":
			kind = "number"
		case "blob", "bytea":
			kind = "bytes"
		}
		if tables[table] == nil {
			tables[table] = map[string]string{}
		}
		tables[table][column] = strings.ToLower(kind)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return tables
}

// A migration that adds something has to say it to the copy.
func TestCopyKnowsEveryColumn(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		want := schema(t, open(t, c))
		delete(want, "goose_db_version")
		delete(want, "processes")
		got := map[string]map[string]string{}
		for _, table := range copiedTables {
			got[table.name] = map[string]string{}
			for kind, columns := range map[string]string{"number": table.numbers, "text": table.texts, "bytes": table.bytes} {
				for column := range strings.FieldsSeq(columns) {
					got[table.name][column] = kind
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the copy does not know the tables as they are (-there +known):\n%s", diff)
		}
	})
}

// In which order turns and answers came to a database, and to one that they were
// copied to.
var (
	arrival = map[goose.Dialect]map[string]string{
		goose.DialectSQLite3:  {"turns": "rowid", "answers": "rowid"},
		goose.DialectPostgres: {"turns": "arrived_at, id", "answers": "asked_at, turn"},
	}
	copied = map[goose.Dialect]map[string]string{
		goose.DialectSQLite3:  {"turns": "rowid", "answers": "rowid"},
		goose.DialectPostgres: {"turns": "ctid", "answers": "ctid"},
	}
)

// dump reads all that a copy should have.
func dump(t *testing.T, s *Store, order map[goose.Dialect]map[string]string) map[string][]string {
	t.Helper()
	orders := order[s.dialect]
	all := map[string][]string{}
	for table, columns := range schema(t, s) {
		if table == "processes" || table == "goose_db_version" {
			continue
		}
		var names []string
		for column := range columns {
			names = append(names, column)
		}
		slices.Sort(names)
		query := "SELECT " + strings.Join(names, ", ") + " FROM " + table
		if orders[table] != "" {
			query += " ORDER BY " + orders[table]
		}
		rows, err := s.read.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			values, into := make([]any, len(names)), make([]any, len(names))
			for i := range into {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			row := map[string]any{}
			for i, v := range values {
				switch typed := v.(type) {
				case string:
					v = clean(typed)
				case []byte:
					v = append([]byte{}, typed...)
				}
				row[names[i]] = v
			}
			if table == "jobs" && row["state"] == int64(JobRunning) {
				row["due_at"] = row["scheduled_at"]
			}
			if table == "credentials" {
				row["holder"], row["held_until"] = "", int64(0)
			}
			all[table] = append(all[table], fmt.Sprintf("%#v", row))
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		if orders[table] == "" {
			slices.Sort(all[table])
		}
	}
	return all
}

// execute changes a database in a way that the store has no method for.
func execute(t *testing.T, s *Store, statements ...string) {
	t.Helper()
	err := s.do(t.Context(), func(ctx context.Context, c *sql.Conn) error {
		for _, statement := range statements {
			if _, err := c.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func newAccount(t *testing.T, s *Store, path, config string) int64 {
	t.Helper()
	after, err := s.ApplyAccounts(t.Context(), func([]Account) ([]Account, []int64, error) {
		return []Account{{Path: path, Config: []byte(config)}}, nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return after[len(after)-1].ID
}

const odd = "雯子 👩‍👩‍👧 'x' \"y\" \\N\t\r\n\\. é \u2028"

// fill puts interesting rows into every table. The last account, job and probe
// are gone again.
func fill(t *testing.T, s *Store) (running Job) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	shop := newAccount(t, s, "shop", `{"name":"`+odd+`"}`)
	gone := newAccount(t, s, "gone", "{}")
	_, err := s.ApplyAccounts(ctx, func([]Account) ([]Account, []int64, error) { return nil, []int64{gone}, nil })
	must(err)
	_, _, err = s.Guest(ctx, "guest")
	must(err)
	_, _, err = s.Guest(ctx, "the last one")
	must(err)
	execute(t, s, "DELETE FROM accounts WHERE guest_key = 'the last one'")

	for n := range 30 {
		turn := message(shop, 30-n) // ids do not grow with time
		turn.ArrivedAt = noon.Add(time.Duration(n) * time.Second)
		record(t, s, turn)
	}
	record(t, s, &Turn{ID: NewTurnID(shop, noon.Unix(), 0, "event"), Kind: "event/LOCATION", State: Acknowledged, ArrivedAt: noon.Add(time.Hour)})
	strange := message(shop, 40)
	strange.OpenID, strange.Message, strange.Reply = odd, []byte("\x00\xff"+odd), []byte{}
	strange.Note, strange.Signature, strange.Follow, strange.Scene = odd, "signature", Subscribed, odd
	record(t, s, strange)
	_, _, err = s.Record(ctx, message(shop, 7)) // a repeat
	must(err)
	execute(t, s, "UPDATE turns SET reply = CAST('' AS "+map[goose.Dialect]string{goose.DialectSQLite3: "BLOB", goose.DialectPostgres: "BYTEA"}[s.dialect]+
		") WHERE kind = 'event/LOCATION'")

	for n := range 4 {
		turn := slowTurn(shop, 50+n)
		if n == 3 {
			turn.Answer.Page, turn.Answer.Token, turn.Answer.Target = nil, "", slowTurn(shop, 50).ID
		}
		record(t, s, turn)
	}
	apply(t, s, Change{ID: slowTurn(shop, 51).ID, To: Waiting, Text: new(odd), ExpiresAt: noon.Add(48 * time.Hour), Sending: new(SendingReply)},
		Change{ID: slowTurn(shop, 52).ID, To: Promised, Text: new("half"), Steps: []Step{{At: noon, What: "delivery", Detail: odd}}})

	_, err = s.InsertJobs(ctx, Job{Kind: "run", Args: []byte(odd), Account: shop, UniqueKey: odd}, Job{Kind: "push"}, Job{Kind: "push", UniqueKey: "later", ScheduledAt: noon.AddDate(50, 0, 0)})
	must(err)
	_, _, err = s.InsertPeriodicJob(ctx, Job{Kind: "sweep"}, time.Hour)
	must(err)
	claimed, err := s.ClaimJobs(ctx, "p1", time.Hour, map[string]int{"run": 1, "push": 1})
	must(err)
	i := slices.IndexFunc(claimed, func(j Job) bool { return j.Kind == "run" })
	running = claimed[i]
	_, err = s.FinishJobs(ctx, JobResult{JobAttempt: JobAttempt{claimed[1-i].ID, 1}, State: JobDiscarded, Error: odd})
	must(err)
	_, err = s.InsertJobs(ctx, Job{Kind: "the last one"})
	must(err)
	execute(t, s, "DELETE FROM jobs WHERE kind = 'the last one'")

	set(t, s, tokenName, "token", time.Hour)
	_, ok, err := s.Lease(ctx, tokenName, time.Hour)
	must(err)
	_, held, err := s.Lease(ctx, "only held", time.Hour)
	must(err)
	if !ok || !held {
		t.Fatal("no lease")
	}
	if s.dialect == goose.DialectSQLite3 {
		set(t, s, "a\x00name\xff", "binary \x00\xff", 0)
		execute(t, s, "UPDATE answers SET holder = CAST(x'7000ff' AS TEXT) WHERE state = 10")
	}
	must(s.AddProbes(ctx, []Probe{{At: noon, Path: odd, Method: "GET", Reason: odd}, {At: noon, Path: "the last one"}}))
	execute(t, s, "DELETE FROM probes WHERE path = 'the last one'")
	must(s.Check(ctx))
	beat(t, s, "p1")
	return running
}

func TestCopy(t *testing.T) {
	eachDirection(t, func(t *testing.T, c, d Config) {
		ctx := t.Context()
		from := open(t, c)
		running := fill(t, from)
		want := dump(t, from, arrival)
		counts, err := Copy(ctx, Copying{From: c.Database, To: d.Database})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range counts {
			if n.From != n.To || int(n.To) != len(want[n.Table]) || n.To == 0 {
				t.Errorf("%+v, want %d", n, len(want[n.Table]))
			}
		}
		if len(counts) != len(want) {
			t.Errorf("counts of %d tables, want %d", len(counts), len(want))
		}
		to := open(t, d)
		if diff := cmp.Diff(want, dump(t, to, copied)); diff != "" {
			t.Errorf("the copy differs (-source +copy):\n%s", diff)
		}

		// Both go on from the same place.
		guest, created, err := from.Guest(ctx, "next")
		if err != nil || !created {
			t.Fatal(created, err)
		}
		if id, created, err := to.Guest(ctx, "next"); id != guest || !created || err != nil {
			t.Errorf("the next account is %d, %v, %v, want %d", id, created, err, guest)
		}
		next := func(s *Store) (job int64, probe int64) {
			t.Helper()
			inserted, err := s.InsertJobs(ctx, Job{Kind: "push"})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.AddProbes(ctx, []Probe{{Path: "next"}}); err != nil {
				t.Fatal(err)
			}
			if err := s.read.QueryRowContext(ctx, "SELECT max(id) FROM probes").Scan(&probe); err != nil {
				t.Fatal(err)
			}
			return inserted[0].ID, probe
		}
		wantJob, wantProbe := next(from)
		if job, probe := next(to); job != wantJob || probe != wantProbe {
			t.Errorf("the next job is %d and probe %d, want %d and %d", job, probe, wantJob, wantProbe)
		}
		record(t, to, slowTurn(guest, 99))
		if _, _, err := to.Lease(ctx, tokenName, time.Hour); err != nil {
			t.Error(err)
		}
		if got := credential(t, to, tokenName); got != "token" {
			t.Errorf("the token is %q", got)
		}
		if first, err := to.FirstBySignature(ctx, message(1, 40).ID, "signature", noon); err != nil || !first {
			t.Errorf("the signature: %v, %v", first, err)
		}
		if orphans, err := to.Orphans(ctx, time.Hour, 10); err != nil || len(orphans) == 0 {
			t.Errorf("%d turns to go on with, %v", len(orphans), err)
		}
		claimed, err := to.ClaimJobs(ctx, "p2", time.Hour, map[string]int{"run": 9})
		if err != nil || len(claimed) != 1 || claimed[0].ID != running.ID || claimed[0].Attempt != running.Attempt+1 || claimed[0].Failures != 1 {
			t.Errorf("claimed %+v, %v", claimed, err)
		}
		if _, err := Copy(ctx, Copying{From: c.Database, To: d.Database}); !errors.Is(err, errNotEmpty) {
			t.Errorf("a copy onto data: %v", err)
		}
	})
}

func TestCopyRefusesWhatIsInUse(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		d := postgresConfig(t)
		from, to := open(t, c), open(t, d)
		record(t, from, message(1, 1))
		beat(t, to, "p2")
		if _, err := Copy(t.Context(), Copying{From: c.Database, To: d.Database}); !errors.Is(err, errInUse) {
			t.Errorf("onto a database in use: %v", err)
		}
		if err := to.Leave(t.Context(), "p2"); err != nil {
			t.Fatal(err)
		}
		beat(t, from, "p1")
		_, err := Copy(t.Context(), Copying{From: c.Database, To: d.Database, Moving: true})
		if postgres := from.dialect == goose.DialectPostgres; errors.Is(err, errInUse) != postgres || !postgres && err != nil {
			t.Errorf("moved while it is in use: %v", err)
		}
	})
}

// No server begins to use a PostgreSQL that is being moved.
func TestCopyKeepsServersAway(t *testing.T) {
	c := postgresConfig(t)
	s := open(t, c)
	from, err := openSource(t.Context(), c.Database)
	if err != nil {
		t.Fatal(err)
	}
	defer from.close()
	release, err := from.guard(t.Context(), c.Database)
	if err != nil {
		t.Fatal(err)
	}
	err = s.do(t.Context(), func(ctx context.Context, c *sql.Conn) error {
		_, err := c.ExecContext(ctx, "SET LOCAL lock_timeout = 100; INSERT INTO processes (id, seen_at) VALUES ('p1', 0)")
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "lock timeout") {
		t.Errorf("a server says that it is alive: %v", err)
	}
	release()
	beat(t, s, "p1")
}

// Nothing of a copy that ends in its middle is left.
func TestCopyInterrupted(t *testing.T) {
	onEngines(t, func(t *testing.T, d Config) {
		c := sqliteConfig(t)
		from := open(t, c)
		fill(t, from)
		// The last table says when it is reached: it has no such column.
		execute(t, from, "ALTER TABLE meta RENAME COLUMN value TO other")
		if _, err := Copy(t.Context(), Copying{From: c.Database, To: d.Database}); err == nil || !strings.Contains(err.Error(), "meta") {
			t.Fatalf("the copy: %v", err)
		}
		if !isPostgres(d.Database) {
			if left, err := os.ReadDir(filepath.Dir(d.Database)); err != nil || len(left) > 0 {
				t.Errorf("left is %v, %v", left, err)
			}
		}
		to := open(t, d)
		for table, rows := range dump(t, to, copied) {
			t.Errorf("%s has %d rows", table, len(rows))
		}
		if err := to.Close(); err != nil {
			t.Fatal(err)
		}
		execute(t, from, "ALTER TABLE meta RENAME COLUMN other TO value")
		if _, err := Copy(t.Context(), Copying{From: c.Database, To: d.Database}); err != nil {
			t.Errorf("the second try: %v", err)
		}
	})
}

// Backups of earlier versions are taken, and stay as they are.
func TestCopyOfOtherVersions(t *testing.T) {
	back := []string{"DROP TABLE signatures", "DROP TABLE answers", "DROP TABLE processes", "DROP TABLE jobs", "DROP TABLE credentials",
		"DELETE FROM goose_db_version WHERE version_id > 1"}
	for name, test := range map[string]struct {
		statements []string
		spoil      func(data []byte) []byte
		err        string
	}{
		"older":      {statements: back},
		"newer":      {statements: []string{"INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)"}, err: "newer wenzi (schema 9999"},
		"no wenzi's": {statements: []string{"DROP TABLE goose_db_version"}, err: errNotWenzi.Error()},
		"no SQLite":  {spoil: func(data []byte) []byte { return bytes.Repeat([]byte("wenzi"), 1000) }, err: errNotWenzi.Error()},
		"empty":      {spoil: func(data []byte) []byte { return nil }, err: errNotWenzi.Error()},
		"damaged":    {spoil: func(data []byte) []byte { clear(data[8192:16384]); return data }, err: errDamaged.Error()},
		"truncated":  {spoil: func(data []byte) []byte { return data[:len(data)/2] }, err: errDamaged.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			c := sqliteConfig(t)
			s := open(t, c)
			record(t, s, message(1, 1))
			execute(t, s, test.statements...)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(c.Database)
			if err != nil {
				t.Fatal(err)
			}
			if test.spoil != nil {
				data = test.spoil(data)
				if err := os.WriteFile(c.Database, data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			d := sqliteConfig(t)
			_, err = Copy(t.Context(), Copying{From: c.Database, To: d.Database})
			if test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) || test.err == "" && err != nil {
				t.Fatalf("the copy: %v", err)
			}
			if now, err := os.ReadFile(c.Database); err != nil || sha256.Sum256(now) != sha256.Sum256(data) {
				t.Errorf("the source has changed, %v", err)
			}
			if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
				t.Errorf("left are %v, %v", left, err)
			}
			_, err = os.Stat(d.Database)
			if test.err != "" && !os.IsNotExist(err) {
				t.Errorf("a target: %v", err)
			}
			if test.err == "" {
				if _, err := open(t, d).Turn(t.Context(), message(1, 1).ID); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
