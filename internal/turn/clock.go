package turn

import (
	"context"
	"sync/atomic"
	"time"
)

// clock shows the time that all processes of the store agree on: the database's.
// What is on record goes by it; what a process waits for goes by its own. Until
// they were compared, as they need not be where one process is alone, they are
// taken for the same.
type clock struct{ compared atomic.Pointer[moment] }

// moment is one moment on both clocks.
type moment struct{ own, database time.Time }

// worstComparison is how long a look at the database's clock may take to count,
// when there was a better one.
const worstComparison = 200 * time.Millisecond

func (c *clock) compare(ctx context.Context, database func(context.Context) (time.Time, error)) error {
	before := time.Now()
	t, err := database(ctx)
	if err != nil {
		return err
	}
	took := time.Since(before)
	if took <= worstComparison || c.compared.Load() == nil {
		c.compared.Store(&moment{before.Add(took / 2), t})
	}
	return nil
}

func (c *clock) now() time.Time { return c.shared(time.Now()) }

// shared is the database's time when it is t here.
func (c *clock) shared(t time.Time) time.Time {
	m := c.compared.Load()
	if m == nil || t.IsZero() {
		return t
	}
	return m.database.Add(t.Sub(m.own))
}

// own is the time here when it is t in the database.
func (c *clock) own(t time.Time) time.Time {
	m := c.compared.Load()
	if m == nil || t.IsZero() {
		return t
	}
	return m.own.Add(t.Sub(m.database))
}
