// Package pgtest gives tests a PostgreSQL schema of their own.
package pgtest

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// Schema makes a schema in the PostgreSQL that WENZI_TEST_POSTGRES names, and
// returns its address; the schema goes with the test. Where no PostgreSQL is
// named the test is skipped, but in CI it fails.
func Schema(t testing.TB) (address string) {
	t.Helper()
	server := os.Getenv("WENZI_TEST_POSTGRES")
	if server == "" && os.Getenv("CI") != "" {
		t.Fatal("CI must set WENZI_TEST_POSTGRES")
	} else if server == "" {
		t.Skip("WENZI_TEST_POSTGRES names no PostgreSQL")
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	schema := fmt.Sprintf("wenzi_test_%d", rand.Uint64())
	if _, err := db.Exec("CREATE SCHEMA " + schema); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.Exec("DROP SCHEMA " + schema + " CASCADE"); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}
