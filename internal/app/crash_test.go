package app

import (
	"fmt"
	"math/rand/v2"
	"net/http"
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
