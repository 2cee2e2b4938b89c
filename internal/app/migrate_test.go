package app

import (
	"bytes"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/internal/store/pgtest"
	"github.com/wenzihq/wenzi/oa"
)

// There and back again, with servers in between.
func TestMigrate(t *testing.T) {
	account := oa.Account{Token: "crashtoken"}
	data, again, dsn := t.TempDir(), t.TempDir(), pgtest.Schema(t)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(u.User.Username(), "geheim") // which a test's server does not ask for
	dsn = u.String()
	t.Setenv("WENZI_DATABASE", dsn)
	toPostgres := []string{"migrate", "--from", "sqlite", "--to", "postgres", "--data", data}

	refuse(t, "no such file", toPostgres...)
	refuse(t, "are the same database", "migrate", "--from", "postgres", "--to", dsn)
	refuse(t, "--from", "migrate", "--to", "postgres")
	refuse(t, "--database", "migrate", "--from", "sqlite", "--to", "postgres", "--data", data, "--database", "")

	p := serve(t, "--data", data, "--database", "", "--bot", write(t, "bot.yaml", crashBot))
	m := text("oA", "你好 👋", 7)
	body := mustDeliver(t, account, p.url("crash"), m)
	refuse(t, "in use by another wenzi", toPostgres...)
	p.stop()
	stdout := mustRun(t, toPostgres...)
	if strings.Contains(stdout, "geheim") || !strings.Contains(stdout, "wenzi serve --data "+data+" --database 'postgres://") ||
		!strings.Contains(strings.Join(strings.Fields(stdout), " "), "turns 1 1") {
		t.Errorf("migrate says\n%s", stdout)
	}
	refuse(t, "holds data already", toPostgres...)

	p = serve(t, "--data", data)
	if got := mustDeliver(t, account, p.url("crash"), m); got != body {
		t.Errorf("on PostgreSQL a repeat gets\n%s\nbut before\n%s", got, body)
	}
	toSQLite := []string{"migrate", "--from", "postgres", "--to", "sqlite", "--data", again}
	refuse(t, "a wenzi serve uses this database", toSQLite...)
	p.stop()
	mustRun(t, toSQLite...)
	p = serve(t, "--data", again, "--database", "")
	if got := mustDeliver(t, account, p.url("crash"), m); got != body {
		t.Errorf("on SQLite a repeat gets\n%s\nbut before\n%s", got, body)
	}
	p.stop()
	file := filepath.Join(t.TempDir(), "other.db")
	if stdout := mustRun(t, "migrate", "--from", filepath.Join(again, sqliteFile), "--to", file); !strings.Contains(stdout, "wenzi restore "+file) {
		t.Errorf("migrate says\n%s", stdout)
	}
}

// A move that is killed, or stopped by Ctrl-C, in its middle leaves the target
// empty, and the next one works.
func TestMigrateInterrupted(t *testing.T) {
	for name, signal := range map[string]os.Signal{"killed": syscall.SIGKILL, "Ctrl-C": os.Interrupt} {
		t.Run("to postgres, "+name, func(t *testing.T) {
			data, dsn := filled(t, filepath.Join(t.TempDir(), sqliteFile)), pgtest.Schema(t)
			emptyStore(t, dsn)
			db := connect(t, dsn)
			// The table of probes, one of the last, keeps the copy waiting for a lock.
			hold, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			key := rand.Int32()
			run(t, hold, fmt.Sprintf("SELECT pg_advisory_lock(%d)", key),
				fmt.Sprintf(`CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(%d); RETURN NEW; END $$`, key),
				"CREATE TRIGGER wait BEFORE INSERT ON probes FOR EACH ROW EXECUTE FUNCTION wait()")
			interrupt(t, db, fmt.Sprintf("locktype = 'advisory' AND objid = %d", key), signal, "migrate", "--from", data, "--to", dsn)
			run(t, hold, fmt.Sprintf("SELECT pg_advisory_unlock(%d)", key), "DROP TRIGGER wait ON probes")
			if n := count(t, db, "turns"); n != 0 {
				t.Errorf("the target has %d turns", n)
			}
			mustRun(t, "migrate", "--from", data, "--to", dsn)
			if n := count(t, db, "turns"); n != 500 {
				t.Errorf("the target has %d turns after the second try", n)
			}
		})
		t.Run("to sqlite, "+name, func(t *testing.T) {
			dsn, file := filled(t, pgtest.Schema(t)), filepath.Join(t.TempDir(), "target.db")
			db := connect(t, dsn)
			hold, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			run(t, hold, "BEGIN", "LOCK TABLE probes IN ACCESS EXCLUSIVE MODE")
			interrupt(t, db, "relation = 'probes'::regclass", signal, "migrate", "--from", dsn, "--to", file)
			run(t, hold, "ROLLBACK")
			if _, err := os.Stat(file); signal == os.Interrupt && !os.IsNotExist(err) {
				t.Errorf("Ctrl-C leaves a file: %v", err)
			}
			if stdout := mustRun(t, "migrate", "--from", dsn, "--to", file); !strings.Contains(strings.Join(strings.Fields(stdout), " "), "turns 500 500") {
				t.Errorf("the second try says\n%s", stdout)
			}
		})
	}
}

// filled is a database with turns and what was refused.
func filled(t *testing.T, database string) string {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Database: database})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for n := range 500 {
		turn := &store.Turn{ID: store.NewTurnID(1, 1_700_000_000, uint64(n)), Kind: "text", State: store.Answered, Message: bytes.Repeat([]byte("x"), 1000)}
		if _, _, err := s.Record(t.Context(), turn); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.AddProbes(t.Context(), []store.Probe{{Path: "/"}}); err != nil {
		t.Fatal(err)
	}
	return database
}

func emptyStore(t *testing.T, database string) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Database: database})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func connect(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func run(t *testing.T, c *sql.Conn, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := c.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func count(t *testing.T, db *sql.DB, table string) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// interrupt runs a command until it waits for that lock, and sends it a signal.
func interrupt(t *testing.T, db *sql.DB, lock string, signal os.Signal, args ...string) {
	t.Helper()
	cmd := program(t.Context(), args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	deadline := time.Now().Add(20 * time.Second)
	for waiting := false; !waiting; time.Sleep(5 * time.Millisecond) {
		if err := db.QueryRowContext(t.Context(), "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND "+lock+")").Scan(&waiting); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			t.Fatalf("the command has ended: %v\n%s", err, out.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("the command does not wait")
		}
	}
	if err := cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Fatalf("the command has succeeded:\n%s", out.String())
	}
	if says := "nothing was changed"; signal == os.Interrupt && !strings.Contains(out.String(), says) {
		t.Errorf("after Ctrl-C it says\n%s", out.String())
	}
}
