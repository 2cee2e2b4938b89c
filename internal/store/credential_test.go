package store

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const tokenName = "access_token/stable/wx0123456789abcdef"

// twoStores opens a database twice, as two processes do.
func twoStores(t *testing.T, test func(t *testing.T, a, b *Store)) {
	onEngines(t, func(t *testing.T, c Config) { test(t, open(t, c), open(t, c)) })
}

func credential(t *testing.T, s *Store, name string) string {
	t.Helper()
	value, ok, err := s.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return "none"
	}
	return string(value)
}

func set(t *testing.T, s *Store, name, value string, ttl time.Duration) {
	t.Helper()
	if err := s.Set(t.Context(), name, []byte(value), ttl); err != nil {
		t.Fatal(err)
	}
}

func lease(t *testing.T, s *Store, name string, ttl time.Duration) (release func(), ok bool) {
	t.Helper()
	release, ok, err := s.Lease(t.Context(), name, ttl)
	if err != nil {
		t.Fatal(err)
	}
	if ok != (release != nil) {
		t.Fatalf("Lease: ok %v, but release is nil: %v", ok, release == nil)
	}
	return release, ok
}

// within asks again until it is so.
func within(t *testing.T, limit time.Duration, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !so(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, limit)
		}
	}
}

func TestCredentials(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		if got := credential(t, a, tokenName); got != "none" {
			t.Errorf("an empty store has %q", got)
		}
		set(t, a, tokenName, "first", time.Hour)
		set(t, a, "ticket", "\x00bytes\xff", 0)
		if got := credential(t, b, tokenName); got != "first" {
			t.Errorf("the other process sees %q", got)
		}
		if got := credential(t, b, "ticket"); got != "\x00bytes\xff" {
			t.Errorf("a value without an end is %q", got)
		}
		set(t, b, tokenName, "second", time.Hour)
		if got := credential(t, a, tokenName); got != "second" {
			t.Errorf("after it was replaced it is %q", got)
		}
		set(t, a, tokenName, "short", time.Millisecond)
		within(t, 10*time.Second, "expiry", func() bool { return credential(t, b, tokenName) == "none" })
		set(t, a, tokenName, "third", 0)
		if got := credential(t, b, tokenName); got != "third" {
			t.Errorf("after it had expired it is %q", got)
		}
	})
}

// A lease and the value it is for do not touch each other.
func TestLeaseLeavesTheValue(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		set(t, a, tokenName, "before", time.Hour)
		release, ok := lease(t, a, tokenName, time.Hour)
		if !ok {
			t.Fatal("nobody holds it, but it is refused")
		}
		if got := credential(t, b, tokenName); got != "before" {
			t.Errorf("under the lease the value is %q", got)
		}
		set(t, a, tokenName, "after", time.Hour)
		if _, ok := lease(t, b, tokenName, time.Hour); ok {
			t.Error("writing the value ended the lease")
		}
		release()
		if got := credential(t, b, tokenName); got != "after" {
			t.Errorf("after the release the value is %q", got)
		}
	})
}

func TestLease(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		release, ok := lease(t, a, tokenName, time.Hour)
		if !ok {
			t.Fatal("the first is refused")
		}
		for _, s := range []*Store{a, b} {
			if _, ok := lease(t, s, tokenName, time.Hour); ok {
				t.Error("two hold it")
			}
		}
		if other, ok := lease(t, b, "another", time.Hour); !ok {
			t.Error("another name is refused too")
		} else {
			other()
		}
		if got := credential(t, b, tokenName); got != "none" {
			t.Errorf("a lease alone makes a value: %q", got)
		}
		release()
		next, ok := lease(t, b, tokenName, time.Hour)
		if !ok {
			t.Fatal("it was released, but is refused")
		}
		release() // again
		if _, ok := lease(t, a, tokenName, time.Hour); ok {
			t.Error("a second release freed the next holder's lease")
		}
		next()
	})
}

func TestLeaseEndsByItself(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		late, ok := lease(t, a, tokenName, time.Millisecond)
		if !ok {
			t.Fatal("the first is refused")
		}
		var next func()
		within(t, 10*time.Second, "end of the lease", func() bool {
			next, ok = lease(t, b, tokenName, time.Hour)
			return ok
		})
		late()
		if _, ok := lease(t, a, tokenName, time.Hour); ok {
			t.Error("the release of a late holder freed the new holder's lease")
		}
		next()
	})
}

func TestLeaseIsHeldByOne(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		var holders, together, won atomic.Int32
		var wg sync.WaitGroup
		for i := range 16 {
			s := []*Store{a, b}[i%2]
			wg.Go(func() {
				for range 10 {
					release, ok, err := s.Lease(context.WithoutCancel(t.Context()), tokenName, time.Hour)
					if err != nil {
						t.Error(err)
						return
					}
					if !ok {
						continue
					}
					won.Add(1)
					if holders.Add(1) > 1 {
						together.Add(1)
					}
					holders.Add(-1)
					release()
				}
			})
		}
		wg.Wait()
		if together.Load() > 0 || won.Load() == 0 {
			t.Errorf("%d times somebody else held it, %d got it", together.Load(), won.Load())
		}
		if _, ok := lease(t, a, tokenName, time.Millisecond); !ok {
			t.Error("all are released, but it is refused")
		}
	})
}

// A release must work though the caller's context has ended, and cannot fail
// in a way that the caller sees.
func TestLeaseReleaseAfterTheContext(t *testing.T) {
	twoStores(t, func(t *testing.T, a, b *Store) {
		ctx, cancel := context.WithCancel(t.Context())
		release, ok, err := a.Lease(ctx, tokenName, time.Hour)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		cancel()
		release()
		last, ok := lease(t, b, tokenName, time.Hour)
		if !ok {
			t.Fatal("it was released, but is refused")
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		last()
	})
}

func TestCredentialErrorsKeepTheSecret(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		err := s.Set(t.Context(), tokenName, []byte("topsecret"), time.Hour)
		if err == nil || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("Set on a closed store: %v", err)
		}
		if _, _, err := s.Get(t.Context(), tokenName); err == nil {
			t.Error("Get on a closed store: no error")
		}
		if _, ok, err := s.Lease(t.Context(), tokenName, time.Hour); err == nil || ok {
			t.Errorf("Lease on a closed store: %v, %v", ok, err)
		}
	})
}
