package account

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/oa"
)

// secure is an account in 安全模式 that nobody registered.
func secure(token string) oa.Account {
	return oa.Account{Token: token, AppID: "wx0123456789abcdef", AESKey: "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"}
}

// guest writes to the account gh as a follower, at the address of a token.
func (f *fixture) guest(token, gh string, id int) string {
	f.t.Helper()
	return f.say(oa.Account{Token: token}, token, text(gh, "oA", id, gh))
}

// id is the number of a guest in the store.
func (f *fixture) id(token, gh string) (id int64) {
	f.t.Helper()
	db, err := sql.Open("sqlite", f.file)
	if err != nil {
		f.t.Fatal(err)
	}
	err = db.QueryRow("SELECT id FROM accounts WHERE guest_key = ?", guestKey(token, gh)).Scan(&id)
	if err := errors.Join(err, db.Close()); err != nil {
		f.t.Errorf("guest %s at %s: %v", gh, token, err)
	}
	return id
}

// Two owners who choose the same Token are two guests; so is one account at two
// addresses.
func TestGuestsDoNotMix(t *testing.T) {
	bubble(t, HostingAuto, testLimits, func(t *testing.T, f *fixture) {
		for _, c := range [][2]string{{"hello", "gh_1"}, {"hello", "gh_2"}, {"hell0", "gh_1"}} {
			for range 2 { // the same MsgId of the same follower everywhere
				f.want("answer", f.guest(c[0], c[1], 1), c[1])
			}
		}
		ids := map[int64]bool{}
		for _, c := range [][2]string{{"hello", "gh_1"}, {"hello", "gh_2"}, {"hell0", "gh_1"}} {
			id := f.id(c[0], c[1])
			ids[id] = true
			turns, err := f.Store.Turns(t.Context(), id, store.TurnID{}, 10)
			if err != nil || len(turns) != 1 || !strings.Contains(string(turns[0].Reply), c[1]) || len(turns[0].Repeats) != 1 {
				t.Errorf("%v: turns %+v, %v", c, turns, err)
			}
			if _, err := f.Store.Follower(t.Context(), id, "oA"); err != nil {
				t.Errorf("%v: %v", c, err)
			}
		}
		if len(ids) != 3 {
			t.Errorf("ids %v", ids)
		}
	})
}

func TestGuestModes(t *testing.T) {
	bubble(t, HostingAuto, testLimits, func(t *testing.T, f *fixture) {
		subscribe := "<xml><ToUserName>gh_1</ToUserName><FromUserName>oA</FromUserName><CreateTime>1</CreateTime>" +
			"<MsgType>event</MsgType><Event>subscribe</Event><EventKey></EventKey></xml>"
		f.want("greeting", f.say(oa.Account{Token: "hello"}, "hello", subscribe), "Hi~ 终于等到你")
		compat := secure("hello")
		compat.Mode = oa.Compat
		f.want("compat mode", f.say(compat, "hello", text("gh_1", "oA", 1, "明文")), "明文")
		f.want("secure mode", f.say(secure("hello"), "hello", text("gh_1", "oA", 2, "密文")), "200 success")
		if log := f.log.String(); !strings.Contains(log, "服务器配置") || strings.Contains(log, "hello") {
			t.Errorf("log: %s", log)
		}
		if n := len(f.guests.known); n != 1 {
			t.Errorf("%d guests", n)
		}
	})
}

// Sixty messages a minute each, and what is over that is acknowledged.
func TestGuestLimit(t *testing.T) {
	bubble(t, HostingAuto, testLimits, func(t *testing.T, f *fixture) {
		id := 0
		send := func(gh string, n int) (answered int) {
			for range n {
				id++
				switch got := f.guest("hello", gh, id); got {
				case gh:
					answered++
				case "200 success":
				default:
					t.Fatalf("answer %s", got)
				}
				time.Sleep(100 * time.Millisecond)
			}
			return answered
		}
		if n := send("gh_1", 100); n != 60 {
			t.Errorf("%d of 100 messages in 10 s are answered", n)
		}
		if n := send("gh_2", 10); n != 10 {
			t.Errorf("%d of 10 messages of another guest are answered", n)
		}
		time.Sleep(48 * time.Second)
		if n := send("gh_1", 1); n != 0 {
			t.Error("answered before the minute is over")
		}
		time.Sleep(time.Second)
		if n := send("gh_1", 61); n != 60 {
			t.Errorf("%d of 61 messages in the next minute are answered", n)
		}
		if turns, err := f.Store.Turns(t.Context(), f.id("hello", "gh_1"), store.TurnID{}, 1000); err != nil || len(turns) != 120 {
			t.Errorf("%d turns on record, %v", len(turns), err)
		}
		if n := strings.Count(f.log.String(), "a guest is over its limit"); n != 2 {
			t.Errorf("the log says so %d times", n)
		}

		// A registered account has no limit.
		f.mustApply(false, plain("shop", "token", "在"))
		for i := range 100 {
			f.want("registered", f.say(oa.Account{Token: "token"}, "shop", text("gh_1", "oA", i+1, "x")), "在")
		}
	})
}

// Only so many guests are known; those not seen for longest are forgotten.
func TestGuestsAreBounded(t *testing.T) {
	limits := testLimits
	limits.Most, limits.Keep = 20, time.Hour
	bubble(t, HostingAuto, limits, func(t *testing.T, f *fixture) {
		gh := func(i int) string { return fmt.Sprint("gh_", i) }
		for i := range 50 {
			f.want("answer", f.guest("hello", gh(i), 1), gh(i))
			f.want("the one who stays", f.guest("hello", "gh_stay", i+1), "gh_stay")
			time.Sleep(10 * time.Second)
		}
		if len(f.guests.known) != 20 || f.guests.recent.Len() != 20 {
			t.Errorf("%d guests are known, %d in order", len(f.guests.known), f.guests.recent.Len())
		}
		made := 0
		for _, a := range f.made {
			if a.Key == "guest "+guestKey("hello", "gh_stay") {
				made++
			}
		}
		if made != 1 {
			t.Errorf("the guest who stays is made %d times", made)
		}
		old, stay, recent := f.id("hello", gh(0)), f.id("hello", "gh_stay"), f.id("hello", gh(49))
		if err := f.ForgetGuests(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.want("forgotten", f.guest("hello", gh(0), 1), gh(0))
		if now := f.id("hello", gh(0)); now == old {
			t.Error("a forgotten guest has its old id again")
		}
		if turns, err := f.Store.Turns(t.Context(), old, store.TurnID{}, 10); err != nil || len(turns) != 0 {
			t.Errorf("a forgotten guest has %d turns, %v", len(turns), err)
		}
		f.want("kept", f.guest("hello", "gh_stay", 1000), "gh_stay")
		f.want("kept", f.guest("hello", gh(49), 2), gh(49))
		if f.id("hello", "gh_stay") != stay || f.id("hello", gh(49)) != recent {
			t.Error("a guest that was seen has another id")
		}
	})
}

// A guest is kept for seven days after it was seen.
func TestGuestsAreKept(t *testing.T) {
	bubble(t, HostingAuto, testLimits, func(t *testing.T, f *fixture) {
		f.guest("hello", "gh_away", 1)
		f.guest("hello", "gh_there", 1)
		away, there := f.id("hello", "gh_away"), f.id("hello", "gh_there")
		for day := range 6 {
			time.Sleep(24 * time.Hour)
			f.want("answer", f.guest("hello", "gh_there", day+2), "gh_there")
			if err := f.ForgetGuests(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if turns, err := f.Store.Turns(t.Context(), away, store.TurnID{}, 10); err != nil || len(turns) != 1 {
			t.Errorf("after six days %d turns, %v", len(turns), err)
		}
		time.Sleep(24*time.Hour + time.Minute)
		if err := f.ForgetGuests(t.Context()); err != nil {
			t.Fatal(err)
		}
		if turns, err := f.Store.Turns(t.Context(), away, store.TurnID{}, 10); err != nil || len(turns) != 0 {
			t.Errorf("after seven days %d turns, %v", len(turns), err)
		}
		f.guest("hello", "gh_away", 2)
		f.guest("hello", "gh_there", 100)
		if f.id("hello", "gh_away") == away || f.id("hello", "gh_there") != there {
			t.Error("the guest who was away should have a new id, the other its own")
		}
	})
}

// A guest that is forgotten while its number is remembered gets a new one.
func TestForgottenNumber(t *testing.T) {
	limits := testLimits
	limits.Keep = time.Minute
	bubble(t, HostingAuto, limits, func(t *testing.T, f *fixture) {
		f.guest("hello", "gh_1", 1)
		old := f.id("hello", "gh_1")
		time.Sleep(2 * time.Minute)
		if err := f.ForgetGuests(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.guest("hello", "gh_1", 2)
		id := f.id("hello", "gh_1")
		turns, err := f.Store.Turns(t.Context(), id, store.TurnID{}, 10)
		if id == old || len(turns) != 1 || err != nil {
			t.Errorf("old id %d, new %d with %d turns, %v", old, id, len(turns), err)
		}
	})
}

// Tokens that are only tried are not kept for ever, nor are they guests.
func TestTriedTokensAreBounded(t *testing.T) {
	limits := testLimits
	limits.Most = 10
	bubble(t, HostingAuto, limits, func(t *testing.T, f *fixture) {
		for i := range 100 {
			f.want("tried", f.says("wrong", fmt.Sprint("token", i)), refused)
			if n := len(f.guests.servers); n > 20 {
				t.Fatalf("%d tokens are kept", n)
			}
		}
		if len(f.guests.known) != 0 {
			t.Errorf("%d guests", len(f.guests.known))
		}
		f.want("a right one", f.says("right", "right"), "你好")
	})
}

// A guest that writes for the first time with many messages at once is one.
func TestNewGuestAtOnce(t *testing.T) {
	f := start(t, HostingAuto, testLimits)
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() { f.want("answer", f.guest("hello", "gh_1", i+1), "gh_1") })
	}
	for i := range 8 {
		wg.Go(func() { f.want("answer", f.guest(fmt.Sprint("hello", i), "gh_1", 1), "gh_1") })
	}
	wg.Go(func() {
		if err := f.ForgetGuests(t.Context()); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
	if turns, err := f.Store.Turns(t.Context(), f.id("hello", "gh_1"), store.TurnID{}, 100); err != nil || len(turns) != 32 {
		t.Errorf("%d turns, %v", len(turns), err)
	}
}

// Without the store a guest that is known has its number, and a new one none.
func TestGuestWithoutStore(t *testing.T) {
	bubble(t, HostingAuto, testLimits, func(t *testing.T, f *fixture) {
		f.guest("hello", "gh_1", 1)
		id := f.id("hello", "gh_1")
		if err := f.Store.Close(); err != nil {
			t.Fatal(err)
		}
		f.want("known", f.guest("hello", "gh_1", 2), "gh_1")
		f.want("new", f.guest("hello", "gh_2", 1), "gh_2")
		if f.id("hello", "gh_1") != id {
			t.Error("another number")
		}
		f.mu.Lock()
		last := f.made[len(f.made)-1]
		f.mu.Unlock()
		if _, err := last.ID(t.Context()); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("a new guest: %v", err)
		}
		if err := f.ForgetGuests(t.Context()); err == nil {
			t.Error("ForgetGuests works")
		}
	})
}
