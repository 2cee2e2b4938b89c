package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
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
