package api

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Limit is a number of calls. Zero is no limit.
type Limit struct {
	PerMinute int
	PerDay    int
}

// DefaultLimits are the limits of an ordinary account that the catalogue
// knows, by endpoint id (reference api-rules §7).
func DefaultLimits() map[string]Limit {
	limits := make(map[string]Limit)
	for _, e := range endpoints {
		if e.Limit != (Limit{}) {
			limits[e.ID] = e.Limit
		}
	}
	return limits
}

// beijing is where the platform's days begin.
var beijing = time.FixedZone("UTC+8", 8*60*60)

type limiter struct {
	limits map[string]Limit
	mu     sync.Mutex
	used   map[string]*usage
}

type usage struct {
	minute, day     time.Time // when they began
	inMinute, inDay int
}

func newLimiter(limits map[string]Limit) *limiter {
	return &limiter{limits: limits, used: make(map[string]*usage)}
}

// wait takes one call of the endpoint's limits. A nil limiter has none.
func (l *limiter) wait(ctx context.Context, ep *Endpoint, now func() time.Time) error {
	if l == nil || l.limits[ep.ID] == (Limit{}) {
		return nil
	}
	for {
		pause, err := l.take(ep.ID, now().In(beijing))
		if err != nil || pause == 0 {
			return err
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return &Error{Endpoint: ep.ID, category: catRate, cause: fmt.Errorf("limit of calls a minute reached, not sent: %w", ctx.Err())}
		}
	}
}

// take counts a call, or says how long to wait for the next minute.
func (l *limiter) take(id string, now time.Time) (time.Duration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	limit := l.limits[id]
	u := l.used[id]
	if u == nil {
		u = new(usage)
		l.used[id] = u
	}
	day := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, beijing)
	if !u.day.Equal(day) {
		u.day, u.inDay = day, 0
	}
	if now.Sub(u.minute) >= time.Minute || now.Before(u.minute) {
		u.minute, u.inMinute = now, 0
	}
	if limit.PerDay > 0 && u.inDay >= limit.PerDay {
		return 0, &Error{Endpoint: id, category: catQuota, cause: fmt.Errorf("own limit of %d calls a day reached, not sent", limit.PerDay)}
	}
	if limit.PerMinute > 0 && u.inMinute >= limit.PerMinute {
		return u.minute.Add(time.Minute).Sub(now), nil
	}
	u.inDay++
	u.inMinute++
	return 0, nil
}
