package app

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wenzihq/wenzi/internal/store/pgtest"
	"github.com/wenzihq/wenzi/oa"
)

const crashBot = "accounts:\n  - path: crash\n    token: crashtoken\n"

// refuse runs a command that must say no, with this in its words.
func refuse(t *testing.T, why string, args ...string) {
	t.Helper()
	stdout, stderr, code := wenzi(t, args...)
	if code == 0 || stdout != "" || !strings.Contains(stderr, why) {
		t.Errorf("wenzi %s: exit %d, want a refusal with %q:\n%s%s", strings.Join(args, " "), code, why, stdout, stderr)
	}
}

func mustRun(t *testing.T, args ...string) (stdout string) {
	t.Helper()
	stdout, stderr, code := wenzi(t, args...)
	if code != 0 {
		t.Fatalf("wenzi %s: exit %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// Whatever was answered before a backup of a busy server is in it.
func TestBackupOfABusyServer(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { backupOfABusyServer(t, func() string { return "" }) })
	t.Run("postgres", func(t *testing.T) { backupOfABusyServer(t, func() string { return pgtest.Schema(t) }) })
}

func backupOfABusyServer(t *testing.T, database func() string) {
	account := oa.Account{Token: "crashtoken"}
	at := func() []string { return []string{"--data", t.TempDir(), "--database", database()} }
	from, to := at(), at()
	p := serve(t, append(from, "--bot", write(t, "bot.yaml", crashBot))...)
	type sent struct {
		message oa.Message
		body    string
	}
	var mu sync.Mutex
	var all []sent
	var stopped atomic.Bool
	var traffic sync.WaitGroup
	for f := range 8 {
		traffic.Go(func() {
			for i := 0; !stopped.Load(); i++ {
				m := text(fmt.Sprintf("oF%d", f), fmt.Sprint("message ", i), int64(f*1_000_000+i+1))
				status, body, err := deliver(account, p.url("crash"), m)
				if err != nil || status != 200 {
					t.Errorf("status %d, %v", status, err)
					return
				}
				mu.Lock()
				all = append(all, sent{m, body})
				mu.Unlock()
			}
		})
	}
	answered := func() []sent { mu.Lock(); defer mu.Unlock(); return all }
	p.waitUntil(func() bool { return len(answered()) > 200 })
	before := answered()
	file := filepath.Join(t.TempDir(), "backup.db")
	stdout := mustRun(t, append([]string{"backup", file}, from...)...)
	during := len(answered()) - len(before)
	stopped.Store(true)
	traffic.Wait()
	if !strings.Contains(stdout, "accounts   1") || !strings.Contains(stdout, "followers  8") {
		t.Errorf("the backup says\n%s", stdout)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("the file: %v, %v", info.Mode(), err)
	}
	refuse(t, "exists already", append([]string{"backup", file}, from...)...)
	refuse(t, map[bool]string{true: "in use by another wenzi", false: "a wenzi serve uses this database"}[from[3] == ""],
		append([]string{"restore", file}, from...)...)
	p.stop()
	refuse(t, "holds data already", append([]string{"restore", file}, from...)...)
	refuse(t, "no such file", append([]string{"restore", file + "2"}, to...)...)

	if stdout := mustRun(t, append([]string{"restore", file}, to...)...); !strings.Contains(stdout, "wenzi serve --data "+to[1]) {
		t.Errorf("restore says\n%s", stdout)
	}
	q := serve(t, to...)
	for _, s := range before[max(0, len(before)-100):] {
		if got := mustDeliver(t, account, q.url("crash"), s.message); got != s.body {
			t.Fatalf("a repeat at the restored server got\n%s\nbut before\n%s", got, s.body)
		}
	}
	if _, metrics := get(t, q.base+"/metrics"); !strings.Contains(metrics, "wenzi_store_turns_total 0\n") {
		t.Error("messages of before the backup were not on record")
	}
	q.stop()
	t.Logf("%d messages before the backup, %d while it was written", len(before), during)
}

func TestBackupOfNothing(t *testing.T) {
	refuse(t, "there is no database", "backup", filepath.Join(t.TempDir(), "b.db"), "--data", t.TempDir())
}
