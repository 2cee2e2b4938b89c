package app

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/wenzihq/wenzi/oa"
)

// The exception of promise 1: with a full disk, greeting and rules still
// answer, from memory; /readyz is red; everything is on record later.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to mount a small file system")
	}
	data := t.TempDir()
	if err := syscall.Mount("tmpfs", data, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(data, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	p := serve(t, "--data", data, "--guest-messages", "10000")
	t.Cleanup(p.kill) // before the file system goes
	first := text("oA", "before", 1)
	firstBody := mustDeliver(t, guest, p.url("hello"), first)

	ballast := filepath.Join(data, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	f.Close()

	// Long messages fill what space the database still has inside.
	type sent struct {
		m    *oa.TextMessage
		body string
	}
	var answered []sent
	for i := range 200 {
		m := text("oA", strings.Repeat("满", 600), int64(i+100))
		answered = append(answered, sent{m, mustDeliver(t, guest, p.url("hello"), m)})
	}
	if status, body := get(t, p.base+"/readyz"); status != http.StatusServiceUnavailable {
		t.Fatalf("with a full disk /readyz says %d %s", status, body)
	}
	if got := said(t, mustDeliver(t, guest, p.url("hello"), subscribe("oB"))); got != "Hi~ 终于等到你" {
		t.Errorf("with a full disk the greeting is %q", got)
	}
	for _, s := range answered[len(answered)-10:] {
		if again := mustDeliver(t, guest, p.url("hello"), s.m); again != s.body {
			t.Errorf("with a full disk a repeat gets other bytes")
		}
	}
	if !strings.Contains(p.logged(), "store is unavailable") {
		t.Errorf("the log does not say that the store is unavailable:\n%s", p.logged())
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	p.waitUntil(func() bool { status, _ := get(t, p.base+"/readyz"); return status == http.StatusOK })
	p.stop()

	p = serve(t, "--data", data, "--guest-messages", "10000")
	t.Cleanup(p.kill)
	if again := mustDeliver(t, guest, p.url("hello"), first); again != firstBody {
		t.Error("the message before the full disk got another answer after it")
	}
	for i, s := range answered {
		if again := mustDeliver(t, guest, p.url("hello"), s.m); again != s.body {
			t.Fatalf("message %d of the time of the full disk is not on record", i)
		}
	}
	p.stop()
}
