package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/internal/store/pgtest"
)

func TestMigrate(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		record(t, s, message(1, 1))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, c)
		if _, err := s.Turn(t.Context(), message(1, 1).ID); err != nil {
			t.Errorf("after the second start: %v", err)
		}
		err := s.do(t.Context(), func(ctx context.Context, c *sql.Conn) error {
			_, err := c.ExecContext(ctx, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, $1)", true)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), "newer wenzi (schema 9999") {
			t.Errorf("a database of a newer version: %v", err)
		}
	})
}

// A database of an earlier version gets what is new and keeps what it has.
func TestMigrateFromEarlierVersions(t *testing.T) {
	added := map[int][]string{2: {"credentials"}, 3: {"jobs"}, 4: {"answers", "processes"}, 5: {"signatures"}}
	for version := 1; version <= len(added); version++ {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			onEngines(t, func(t *testing.T, c Config) {
				s := open(t, c)
				record(t, s, message(1, 1))
				back := []string{fmt.Sprint("DELETE FROM goose_db_version WHERE version_id > ", version)}
				for later := version + 1; later <= len(added)+1; later++ {
					for _, table := range added[later] {
						back = append(back, "DROP TABLE "+table)
					}
				}
				err := s.do(t.Context(), func(ctx context.Context, c *sql.Conn) error {
					for _, statement := range back {
						if _, err := c.ExecContext(ctx, statement); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = open(t, c)
				if got, err := s.Turn(t.Context(), message(1, 1).ID); err != nil || !slices.Equal(got.Message, message(1, 1).Message) {
					t.Errorf("the turn of before: %v, %v", got, err)
				}
				set(t, s, tokenName, "token", time.Hour)
				if got := credential(t, s, tokenName); got != "token" {
					t.Errorf("credential %q", got)
				}
				record(t, s, slowTurn(1, 2))
				apply(t, s, Change{ID: slowTurn(1, 2).ID, To: Promised, Jobs: []Job{{Kind: "push"}}})
				if got := readRow(t, s, slowTurn(1, 2).ID); got.Answer.State != Promised || len(jobs(t, s)) != 1 {
					t.Errorf("answer %+v, jobs %+v", got.Answer, jobs(t, s))
				}
				beat(t, s, "p1")
			})
		})
	}
}

// While replicas are upgraded one after the other, the old program goes on for a
// while beside the new one, whose migrations only add. It does not start again.
func TestRollingUpgrade(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		old := open(t, c)
		record(t, old, message(1, 1))
		record(t, old, slowTurn(1, 2))
		apply(t, old, Change{ID: slowTurn(1, 2).ID, Text: new("一半")})
		newer, err := openEngine(c)
		if err != nil {
			t.Fatal(err)
		}
		for _, statement := range []string{
			"ALTER TABLE turns ADD COLUMN upgraded TEXT NOT NULL DEFAULT ''",
			"ALTER TABLE answers ADD COLUMN upgraded BIGINT NOT NULL DEFAULT 0",
			"ALTER TABLE followers ADD COLUMN upgraded BIGINT",
			"ALTER TABLE jobs ADD COLUMN upgraded BIGINT NOT NULL DEFAULT 0",
			"CREATE TABLE upgraded (id BIGINT)",
			"INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, TRUE)",
		} {
			if _, err := newer.write.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(newer.write.Close(), newer.read.Close()); err != nil {
			t.Fatal(err)
		}

		record(t, old, message(1, 3))
		record(t, old, slowTurn(1, 4))
		apply(t, old, Change{ID: slowTurn(1, 2).ID, To: Promised, Text: new("全部"), Done: true, Jobs: []Job{{Kind: "push"}}})
		for _, id := range []TurnID{message(1, 1).ID, slowTurn(1, 2).ID, message(1, 3).ID, slowTurn(1, 4).ID} {
			if _, err := old.Turn(t.Context(), id); err != nil {
				t.Error(err)
			}
		}
		if stored, fresh, err := old.Record(t.Context(), message(1, 1)); err != nil || fresh || stored.ID != message(1, 1).ID {
			t.Errorf("a repeat: %v, %v, %v", stored, fresh, err)
		}
		if got := readRow(t, old, slowTurn(1, 2).ID); got.Answer.State != Promised || got.Answer.Text != "全部" || len(jobs(t, old)) != 1 {
			t.Errorf("answer %+v, jobs %+v", got.Answer, jobs(t, old))
		}
		beat(t, old, "p1")
		if _, err := Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), "newer wenzi (schema 9999") {
			t.Errorf("the old program starts again: %v", err)
		}
	})
}

// Replicas that start at the same moment on a new database, or an older one.
func TestMigrateAtOnce(t *testing.T) {
	c := Config{Database: pgtest.Schema(t)}
	for range 2 {
		var opened sync.WaitGroup
		for range 4 {
			opened.Go(func() {
				s, err := Open(t.Context(), c)
				if err == nil {
					err = s.Close()
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		opened.Wait()
		e, err := openEngine(c)
		if err != nil {
			t.Fatal(err)
		}
		for _, statement := range []string{"DROP TABLE signatures", "DELETE FROM goose_db_version WHERE version_id > 4"} {
			if _, err := e.write.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(e.write.Close(), e.read.Close()); err != nil {
			t.Fatal(err)
		}
	}
}
