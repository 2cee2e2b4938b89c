package app

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/oa"
)

// What was answered or acknowledged before a kill -9 is on record, and its
// repeat after the restart gets the same answer.
func TestKilledServerLosesNothing(t *testing.T) {
	account := oa.Account{Token: "crashtoken"}
	bot := write(t, "bot.yaml", "accounts:\n  - path: crash\n    token: crashtoken\n")
	data := t.TempDir()
	type sent struct {
		message oa.Message
		body    string
	}
	var mu sync.Mutex
	var all []sent
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	id := int64(0)
	for round := range rounds {
		p := serve(t, "--data", data, "--bot", bot)
		// Repeats of the messages answered before the last kill.
		mu.Lock()
		before := all
		mu.Unlock()
		for _, s := range before[max(0, len(before)-50):] {
			if got := mustDeliver(t, account, p.url("crash"), s.message); got != s.body {
				t.Fatalf("round %d: a repeat got\n%s\nbut the first delivery\n%s", round, got, s.body)
			}
		}
		var wg sync.WaitGroup
		for f := range 16 {
			first := id
			wg.Go(func() {
				for i := int64(0); ; i++ {
					var m oa.Message = text(fmt.Sprintf("oF%d", f), fmt.Sprint("message ", i), first+int64(f)*1_000_000+i+1)
					if i%5 == 0 { // acknowledged, not answered
						m = &oa.ViewEvent{EventHeader: oa.EventHeader{Header: oa.Header{ToUserName: gh, FromUserName: fmt.Sprintf("oF%d", f),
							CreateTime: time.Now().Unix(), MsgType: "event"}, Event: "VIEW"}, URL: fmt.Sprint("https://example.com/", round, i)}
					}
					status, body, err := deliver(account, p.url("crash"), m)
					if err != nil {
						return
					}
					if status != http.StatusOK {
						t.Errorf("status %d", status)
						return
					}
					mu.Lock()
					all = append(all, sent{m, body})
					mu.Unlock()
				}
			})
		}
		enough := len(before) + 20 + rand.IntN(400)
		p.waitUntil(func() bool { mu.Lock(); defer mu.Unlock(); return len(all) > enough })
		p.cmd.Process.Signal(syscall.SIGKILL)
		<-p.done
		wg.Wait()
		http.DefaultClient.CloseIdleConnections()
		id += 100_000_000
	}
	s, err := store.Open(t.Context(), store.Config{Database: filepath.Join(data, "wenzi.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	accounts, err := s.Accounts(t.Context())
	if err != nil || len(accounts) != 1 {
		t.Fatalf("accounts: %v, %v", accounts, err)
	}
	recorded := map[string]string{}
	var before store.TurnID
	for {
		turns, err := s.Turns(t.Context(), accounts[0].ID, before, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(turns) == 0 {
			break
		}
		for _, turn := range turns {
			recorded[string(turn.Message)] = string(turn.Reply)
		}
		before = turns[len(turns)-1].ID
	}
	for _, s := range all {
		xml, err := oa.Marshal(s.message)
		if err != nil {
			t.Fatal(err)
		}
		reply, ok := recorded[string(xml)]
		if !ok {
			t.Fatalf("answered, but not on record: %s", xml)
		}
		if want := strings.TrimPrefix(s.body, "success"); reply != want {
			t.Fatalf("on record is %q, but the follower got %q", reply, s.body)
		}
	}
	t.Logf("%d rounds, %d messages answered, %d on record", rounds, len(all), len(recorded))
}

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
