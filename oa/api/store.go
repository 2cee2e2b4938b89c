package api

import (
	"context"
	"sync"
	"time"
)

// Store keeps tokens and tickets where all processes of an account can reach
// them. [MemoryStore] and [FileStore] are here; a server brings its database.
type Store interface {
	// Get returns what Set put there. ok is false when there is nothing, or
	// its time is over.
	Get(ctx context.Context, key string) (value []byte, ok bool, err error)
	// Set keeps a value for some time, for ever when ttl is 0. A reader sees
	// the old or the new value, never a part.
	Set(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Lease takes the right to renew key, which only one process has at a
	// time. It does not wait: ok is false when somebody else has it. It ends
	// with release, with the process, or at the latest after ttl.
	Lease(ctx context.Context, key string, ttl time.Duration) (release func(), ok bool, err error)
}

// MemoryStore is a [Store] for one process. The zero value is ready.
type MemoryStore struct {
	mu     sync.Mutex
	values map[string]memoryValue
	leases map[string]*time.Time // its end; the pointer is the holder's
}

type memoryValue struct {
	value   []byte
	expires time.Time // zero is never
}

// Get implements [Store].
func (s *MemoryStore) Get(_ context.Context, key string) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.values[key]
	if !ok || !v.expires.IsZero() && !time.Now().Before(v.expires) {
		return nil, false, nil
	}
	return v.value, true, nil
}

// Set implements [Store].
func (s *MemoryStore) Set(_ context.Context, key string, value []byte, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values == nil {
		s.values = make(map[string]memoryValue)
	}
	v := memoryValue{value: value}
	if ttl > 0 {
		v.expires = time.Now().Add(ttl)
	}
	s.values[key] = v
	return nil
}

// Lease implements [Store].
func (s *MemoryStore) Lease(_ context.Context, key string, ttl time.Duration) (func(), bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if end := s.leases[key]; end != nil && time.Now().Before(*end) {
		return nil, false, nil
	}
	if s.leases == nil {
		s.leases = make(map[string]*time.Time)
	}
	mine := new(time.Now().Add(ttl))
	s.leases[key] = mine
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.leases[key] == mine {
			delete(s.leases, key)
		}
	}, true, nil
}
