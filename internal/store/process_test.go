package store

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func beat(t *testing.T, s *Store, process string) {
	t.Helper()
	if err := s.Beat(t.Context(), process); err != nil {
		t.Fatal(err)
	}
}

// silent makes the last beat of a process that long ago, by the database's clock.
func silent(t *testing.T, s *Store, process string, ago string) {
	t.Helper()
	err := s.do(t.Context(), func(ctx context.Context, c *sql.Conn) error {
		_, err := c.ExecContext(ctx, "UPDATE processes SET seen_at = "+s.clock()+" - "+ago+" WHERE id = $1", process)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func alive(t *testing.T, s *Store, process string, lease time.Duration) bool {
	t.Helper()
	alive, err := s.Alive(t.Context(), process, lease)
	if err != nil {
		t.Fatal(err)
	}
	return alive
}

func TestAlive(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		beat(t, a, "p1")
		beat(t, b, "p2")
		for _, s := range []*Store{a, b} {
			if !alive(t, s, "p1", time.Hour) || !alive(t, s, "p2", time.Hour) || alive(t, s, "p3", time.Hour) || alive(t, s, "", time.Hour) {
				t.Error("who beats is not alive, or who does not is")
			}
		}
		silent(t, a, "p1", "10000")
		if alive(t, b, "p1", 9*time.Second) || !alive(t, b, "p1", time.Hour) {
			t.Error("the lease does not count")
		}
		if n, err := b.Living(t.Context(), 9*time.Second); n != 1 || err != nil {
			t.Errorf("%d processes are alive, %v", n, err)
		}
		within(t, 10*time.Second, "end of the lease", func() bool { return !alive(t, a, "p2", time.Millisecond) })
		beat(t, a, "p1")
		if !alive(t, b, "p1", 9*time.Second) {
			t.Error("a second beat does not count")
		}
		if err := a.Leave(t.Context(), "p1"); err != nil {
			t.Fatal(err)
		}
		if alive(t, b, "p1", time.Hour) || !alive(t, b, "p2", time.Hour) {
			t.Error("who has left is alive, or another is not")
		}
		beat(t, a, "p3")
		silent(t, a, "p2", "86400001")
		silent(t, a, "p3", "86390000")
		if err := b.Leave(t.Context(), "p4"); err != nil {
			t.Fatal(err)
		}
		if alive(t, a, "p2", 1000*time.Hour) || !alive(t, a, "p3", 1000*time.Hour) {
			t.Error("a process is forgotten after a day, not before")
		}
	})
}

func TestOrphans(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		for n, ch := range []Change{
			0: {},
			1: {To: Promised},
			2: {To: Waiting},
			3: {To: Waiting, Done: true},
			4: {To: Promised, Done: true},
			5: {Done: true}, // its answer is ready, but nothing was answered
			6: {To: Answered},
			7: {To: Failed},
			8: {NewHolder: new("p2")},
			9: {NewHolder: new("")},
		} {
			put(t, a, 1, n, ch)
		}
		orphans := func(lease time.Duration, limit int) []string {
			t.Helper()
			answers, err := b.Orphans(t.Context(), lease, limit)
			return ids(t, answers, err)
		}
		expect := func(when string, got []string, want ...string) {
			t.Helper()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s:\n%s", when, diff)
			}
		}
		expect("nobody has ever beaten", orphans(1000*time.Hour, 99), "0", "1", "2", "5", "8", "9")
		expect("only some are wanted", orphans(1000*time.Hour, 2), "0", "1")
		beat(t, a, "p1")
		expect("p1 is alive", orphans(1000*time.Hour, 99), "8", "9")
		beat(t, b, "p2")
		expect("p2 too", orphans(1000*time.Hour, 99), "9")
		silent(t, a, "p1", "10000")
		expect("p1 is silent", orphans(9*time.Second, 99), "0", "1", "2", "5", "9")
		expect("but not for long", orphans(1000*time.Hour, 99), "9")
		if err := b.Leave(t.Context(), "p2"); err != nil {
			t.Fatal(err)
		}
		expect("p2 has left", orphans(1000*time.Hour, 99), "8", "9")
		apply(t, b, Change{ID: slowTurn(1, 8).ID, NewHolder: new("p1")})
		expect("8 is taken over", orphans(1000*time.Hour, 99), "9")
	})
}

func TestUnconfirmed(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		reply := new(SendingReply)
		for n, ch := range []Change{
			0: {To: Answered, Sending: reply},
			1: {To: Waiting, Sending: reply},
			2: {To: Answered},
			3: {To: Waiting, Sending: new("push")},
			4: {To: Promised, Sending: reply},
			5: {To: Failed, Sending: reply},
			6: {To: Answered, Sending: reply, NewHolder: new("p2")},
			7: {To: Answered, Sending: reply},
		} {
			put(t, a, 1, n, ch)
		}
		unconfirmed := func(when string, before time.Time, limit int, want ...string) {
			t.Helper()
			answers, err := b.Unconfirmed(t.Context(), before, 9*time.Second, limit)
			if diff := cmp.Diff(want, ids(t, answers, err)); diff != "" {
				t.Errorf("%s:\n%s", when, diff)
			}
		}
		asked := func(n int) time.Time { return slowTurn(1, n).ArrivedAt }
		unconfirmed("nobody is alive", asked(9), 99, "0", "1", "6", "7")
		unconfirmed("only some are wanted", asked(9), 3, "0", "1", "6")
		unconfirmed("some are too young", asked(6), 99, "0", "1")
		beat(t, a, "p1")
		unconfirmed("p1 is alive", asked(9), 99, "6")
		silent(t, a, "p1", "10000")
		apply(t, b, Change{ID: slowTurn(1, 6).ID, Sending: new("")})
		unconfirmed("p1 is silent, 6 confirmed", asked(9), 99, "0", "1", "7")
	})
}
