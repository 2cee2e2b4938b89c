package account

import (
	"context"
	"database/sql"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/internal/store/pgtest"
	"github.com/wenzihq/wenzi/oa"
)

// postgres is a schema for this test, and a connection past the store.
func postgres(t *testing.T) (database string, db *sql.DB) {
	t.Helper()
	database = pgtest.Schema(t)
	db, err := sql.Open("pgx", database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return database, db
}

// watch lets the directory watch until the test ends.
func (f *fixture) watch() {
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() { f.Watch(ctx) })
	f.t.Cleanup(func() { cancel(); watching.Wait() })
}

// until says something new at the address until the answer is that.
func (f *fixture) until(token, path, want string) (took time.Duration) {
	f.t.Helper()
	begin := time.Now()
	for {
		got := f.say(oa.Account{Token: token}, path, text("gh_1", "oA", int(rand.Int32()), "你好"))
		if got == want {
			return time.Since(begin)
		}
		if time.Since(begin) > 10*time.Second {
			f.t.Fatalf("%s is answered %q, want %q; log %s", path, got, want, f.log)
		}
		time.Sleep(time.Millisecond)
	}
}

// What is applied at one replica, or by a command that writes the database, is in
// force at the others at once.
func TestApplyElsewhere(t *testing.T) {
	database, db := postgres(t)
	a, b, command := startOn(t, database, HostingOff, testLimits), startOn(t, database, HostingOff, testLimits), startOn(t, database, HostingOff, testLimits)
	a.watch()
	b.watch()
	for _, f := range []*fixture{a, b} {
		for deadline := time.Now().Add(10 * time.Second); !f.Store.Listening(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the replica does not listen")
			}
		}
	}
	a.mustApply(false, plain("one", "tokenA", "甲")+plain("two", "tokenB", "乙"))
	if took := b.until("tokenA", "one", "甲"); took > time.Second {
		t.Errorf("after %v", took)
	}
	two := b.registered.Load().byPath["two"]
	command.mustApply(true, plain("one", "tokenA", "丙")+plain("two", "tokenB", "乙"))
	for _, f := range []*fixture{a, b} {
		f.until("tokenA", "one", "丙")
		f.want("what has not changed", f.say(oa.Account{Token: "tokenB"}, "two", text("gh_1", "oB", int(rand.Int32()), "你好")), "乙")
	}
	if b.registered.Load().byPath["two"] != two {
		t.Error("an account that has not changed has another server")
	}
	command.mustApply(true, plain("one", "tokenA", "丙"))
	a.until("tokenB", "two", refused)
	b.until("tokenB", "two", refused)

	// Nobody hears of this change; that something was missed is told instead.
	if _, err := db.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' || md5(current_schema()) || '%'`); err != nil {
		t.Fatal(err)
	}
	command.mustApply(false, plain("one", "tokenA", "丁"))
	a.until("tokenA", "one", "丁")
	b.until("tokenA", "one", "丁")
}

// What has signed a GET, or a body that is no message, signs nothing for another
// replica.
func TestSpentSignatures(t *testing.T) {
	database, _ := postgres(t)
	a, b := startOn(t, database, HostingOff, testLimits), startOn(t, database, HostingOff, testLimits)
	a.mustApply(false, plain("one", "tokenA", "甲"))
	account := a.registered.Load().byPath["one"].stored.ID
	for what, request := range map[string]func() (*http.Request, error){
		"a check": func() (*http.Request, error) {
			return oa.NewCheck(oa.Account{Token: "tokenA"}, "http://wenzi/wechatMP/one", "1")
		},
		"an unreadable message": func() (*http.Request, error) {
			req, err := oa.NewDelivery(oa.Account{Token: "tokenA"}, "http://wenzi/wechatMP/one", []byte(text("gh_1", "oA", 1, "x")))
			req.Body = io.NopCloser(strings.NewReader("<xml>"))
			return req, err
		},
		"nothing": nil,
	} {
		signature, signed := "nobody's", time.Now()
		if request != nil {
			req, err := request()
			if err != nil {
				t.Fatal(err)
			}
			if w := a.do(req); w.Code != http.StatusOK {
				t.Fatalf("%s: %d", what, w.Code)
			}
			signature = req.URL.Query().Get("signature")
		}
		first, err := b.Store.FirstBySignature(t.Context(), store.NewTurnID(account, signed.Unix(), 1, "x"), signature, signed)
		if err != nil || first != (request == nil) {
			t.Errorf("%s: a message after it is the first: %v, %v", what, first, err)
		}
	}
}

// A snapshot is replaced only when something has changed, also by hand; and what
// cannot be read is said once.
func TestWatch(t *testing.T) {
	bubble(t, HostingOff, testLimits, func(t *testing.T, f *fixture) {
		f.mustApply(false, plain("a", "tokenA", "甲")+plain("broken", "tokenB", "乙"))
		f.exec("UPDATE accounts SET config = '{}' WHERE path = 'broken'")
		f.watch()
		time.Sleep(time.Minute)
		before := f.registered.Load()
		f.want("the broken account", f.says("tokenB", "broken"), refused)
		f.mustApply(false, plain("c", "tokenC", "丙"))
		published := f.registered.Load()
		if published == before {
			t.Error("what was applied is not in force")
		}
		time.Sleep(time.Hour)
		if f.registered.Load() != published {
			t.Error("the snapshot was replaced though nothing has changed")
		}
		if n := strings.Count(f.log.String(), "an account cannot be served"); n != 2 { // when it broke, and with the new account
			t.Errorf("%d warnings of the broken account: %s", n, f.log)
		}
		f.exec("UPDATE accounts SET config = replace(config, '甲', '丁') WHERE path = 'a'")
		time.Sleep(time.Minute)
		f.want("changed by hand", f.says("tokenA", "a"), "丁")

		f.exec("ALTER TABLE accounts RENAME TO away")
		time.Sleep(5 * time.Minute)
		f.exec("UPDATE away SET config = replace(config, '丁', '戊')")
		f.exec("ALTER TABLE away RENAME TO accounts")
		time.Sleep(time.Minute)
		f.want("after the store was away", f.say(oa.Account{Token: "tokenA"}, "a", text("gh_1", "oA", 2, "你好")), "戊")
		if n := strings.Count(f.log.String(), "the accounts cannot be read"); n != 1 {
			t.Errorf("%d warnings: %s", n, f.log)
		}
	})
}
