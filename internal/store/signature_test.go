package store

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// first asks whether a turn is the first of its signature.
func first(t *testing.T, s *Store, id TurnID, signature string, signed time.Time) bool {
	t.Helper()
	is, err := s.FirstBySignature(t.Context(), id, signature, signed)
	if err != nil {
		t.Fatal(err)
	}
	return is
}

func TestFirstBySignature(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		now := databaseTime(t, a)
		one, other := message(1, 1).ID, message(1, 2).ID
		for _, test := range []struct {
			what   string
			s      *Store
			id     TurnID
			sig    string
			signed time.Time
			want   bool
		}{
			{"the first", a, one, "sig", now, true},
			{"the first again", a, one, "sig", now, true},
			{"its repeat elsewhere", b, one, "sig", now, true},
			{"another message", a, other, "sig", now, false},
			{"another message elsewhere", b, other, "sig", now, false},
			{"the first still", b, one, "sig", now, true},
			{"another account's", b, message(2, 2).ID, "sig", now, true},
			{"another signature", b, other, "more", now, true},
			{"almost too old", b, other, "old", now.Add(-signatureLife + time.Minute), true},
			{"too old", b, other, "older", now.Add(-signatureLife - time.Second), false},
			{"from the future", b, other, "future", now.Add(signatureLife + time.Minute), false},
			{"from the end of time", b, other, "end", time.Unix(1<<62, 0), false},
			{"from before time", b, other, "begin", time.Unix(-1<<62, 0), false},
		} {
			if got := first(t, test.s, test.id, test.sig, test.signed); got != test.want {
				t.Errorf("%s: %v", test.what, got)
			}
		}
	})
}

// A turn that needed no waiting has used its signature too, whoever asks.
func TestRecordUsesTheSignature(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		now := databaseTime(t, a)
		const turns = 300 // more than a batch, in pieces of all sizes
		var wg sync.WaitGroup
		for n := range turns {
			wg.Go(func() {
				turn := message(1, n)
				turn.Signature = fmt.Sprint("sig", n)
				for i, s := range []*Store{a, b} { // the repeat too
					if _, fresh, err := s.Record(t.Context(), turn); err != nil || fresh != (i == 0) {
						t.Errorf("fresh %v, %v", fresh, err)
					}
				}
			})
		}
		wg.Wait()
		for n := range turns {
			sig := fmt.Sprint("sig", n)
			if first(t, b, message(1, n+turns).ID, sig, now) {
				t.Fatalf("another message may use signature %d", n)
			}
			if !first(t, b, message(1, n).ID, sig, now) {
				t.Fatalf("the message may not use its signature %d", n)
			}
		}
		// A forged turn is recorded as well, but the signature stays the first one's.
		forged := message(1, turns)
		forged.Signature = "sig0"
		record(t, b, forged)
		if first(t, a, forged.ID, "sig0", now) || !first(t, a, message(1, 0).ID, "sig0", now) {
			t.Error("a forged turn has taken the signature over")
		}
	})
}

// Of many that want to be the first at the same time, one is.
func TestFirstBySignatureConcurrently(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		now := databaseTime(t, a)
		var firsts atomic.Int64
		var wg sync.WaitGroup
		for n := range 40 {
			wg.Go(func() {
				s := a
				if n%2 == 1 {
					s = b
				}
				id := message(1, n).ID
				if n%4 < 2 {
					turn := message(1, n)
					turn.Signature = "sig"
					if _, _, err := s.Record(t.Context(), turn); err != nil {
						t.Error(err)
					}
				}
				is, err := s.FirstBySignature(t.Context(), id, "sig", now)
				if err != nil {
					t.Error(err)
				}
				if is {
					firsts.Add(1)
				}
			})
		}
		wg.Wait()
		if n := firsts.Load(); n != 1 {
			t.Errorf("%d are the first", n)
		}
	})
}

func TestForgetSignatures(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		now := databaseTime(t, a)
		for n := range 2*rowsAStep + 10 {
			turn := message(1, n)
			turn.Signature = fmt.Sprint("sig", n)
			record(t, a, turn)
		}
		count := func() (n int) {
			t.Helper()
			if err := a.read.QueryRow("SELECT count(*) FROM signatures").Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if err := a.ForgetSignatures(t.Context()); err != nil || count() != 2*rowsAStep+10 {
			t.Errorf("%d are left of those that can be used, %v", count(), err)
		}
		if err := a.do(t.Context(), func(ctx context.Context, c *sql.Conn) error {
			_, err := c.ExecContext(ctx, "UPDATE signatures SET expires_at = expires_at - $1", (2*signatureLife + time.Second).Milliseconds())
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if !first(t, a, message(1, 5000).ID, "young", now) {
			t.Error("the young one is not the first")
		}
		var wg sync.WaitGroup
		for _, s := range []*Store{a, b} {
			wg.Go(func() {
				if err := s.ForgetSignatures(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := count(); n != 1 {
			t.Errorf("%d are left, want the young one", n)
		}
	})
}

// Whether a signature is too old is a matter of the database's clock: in this
// bubble it is 2000.
func TestSignaturesUseTheDatabasesClock(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		synctest.Test(t, func(t *testing.T) {
			s := open(t, c)
			if first(t, s, message(1, 1).ID, "sig", time.Now()) || !first(t, s, message(1, 2).ID, "new", databaseTime(t, s)) {
				t.Error("the process's clock counts")
			}
			if now, err := s.Now(t.Context()); err != nil || now.Sub(databaseTime(t, s)).Abs() > time.Minute {
				t.Errorf("the database's time is %v, %v", now, err)
			}
		})
	})
}
