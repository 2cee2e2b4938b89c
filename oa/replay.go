package oa

import (
	"hash/maphash"
	"strconv"
	"sync"
	"time"
)

// fresh refuses a delivery of plain mode that was signed further from now than
// the limit.
func (x *exchange) fresh() error {
	if x.maxAge <= 0 {
		return nil
	}
	signed, err := strconv.ParseInt(x.q.timestamp, 10, 64)
	if err != nil || x.arrived.Sub(time.Unix(signed, 0)).Abs() > x.maxAge {
		return ErrStale
	}
	return nil
}

// signedFor reports whether the signature has never come with anything but the
// message of that key; "" is none. It is remembered for as long as it is fresh.
func (x *exchange) signedFor(message string) bool {
	return x.maxAge <= 0 || x.account.Mode != Plain || x.used.by(x.q.signature, message, x.arrived, 2*x.maxAge)
}

// usedSignatures remembers which message each signature of the last while has
// brought: hashes of both, in two halves of which the older is dropped.
type usedSignatures struct {
	mu         sync.Mutex
	seed       maphash.Seed
	since      time.Time
	now, older map[uint64]uint64
}

// by reports whether the signature has brought no other message than this one.
func (u *usedSignatures) by(signature, message string, at time.Time, keep time.Duration) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.now == nil {
		u.seed, u.since, u.now = maphash.MakeSeed(), at, map[uint64]uint64{}
	}
	if at.Sub(u.since) > keep {
		u.older, u.now, u.since = u.now, map[uint64]uint64{}, at
	}
	s, m := maphash.String(u.seed, signature), maphash.String(u.seed, message)
	was, ok := u.now[s]
	if !ok {
		was, ok = u.older[s]
	}
	if !ok {
		u.now[s] = m
	}
	return !ok || was == m
}
