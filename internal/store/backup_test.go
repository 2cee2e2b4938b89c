package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBackup(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		fill(t, s)
		dir := t.TempDir()
		file := filepath.Join(dir, "file:a 50%?.db")
		contents, err := Backup(t.Context(), c.Database, file)
		info, statErr := os.Stat(file)
		if err != nil || statErr != nil {
			t.Fatal(err, statErr)
		}
		if want := (Contents{Accounts: 1, Turns: 36, Followers: 11, Bytes: info.Size()}); contents != want {
			t.Errorf("it has %+v, want %+v", contents, want)
		}
		if info.Mode() != 0o600 {
			t.Errorf("mode %v", info.Mode())
		}
		if _, err := Backup(t.Context(), c.Database, file); err == nil || !strings.Contains(err.Error(), "exists already") {
			t.Errorf("onto itself: %v", err)
		}
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Backup(cancelled, c.Database, file+"2"); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Errorf("there are %v, %v", left, err)
		}
		want := dump(t, s, arrival)
		if diff := cmp.Diff(want, dump(t, open(t, Config{Database: file, Logger: c.Logger}), copied)); diff != "" {
			t.Errorf("served, the backup differs:\n%s", diff)
		}
	})
}

// A backup has this program's schema, whatever that of the database.
func TestBackupOfAnEarlierVersion(t *testing.T) {
	c := sqliteConfig(t)
	s := open(t, c)
	record(t, s, message(1, 1))
	execute(t, s, "DROP TABLE signatures", "DELETE FROM goose_db_version WHERE version_id = 5")
	file := filepath.Join(t.TempDir(), "backup.db")
	if _, err := Backup(t.Context(), c.Database, file); err != nil {
		t.Fatal(err)
	}
	o, err := openSource(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer o.close()
	if older, err := o.older(t.Context()); older || err != nil {
		t.Errorf("an older schema: %v, %v", older, err)
	}
}
