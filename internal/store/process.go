package store

import (
	"context"
	"database/sql"
	"time"
)

// A process holds the turns it works on for as long as it is heard of. All
// times are the database's, so that clocks of processes may differ.

// forgetProcesses is how many milliseconds after its last beat a process is
// forgotten that did not leave.
const forgetProcesses = "86400000"

// Beat says that a process is alive.
func (s *Store) Beat(ctx context.Context, process string) error {
	return s.do(ctx, func(ctx context.Context, c *sql.Conn) error {
		_, err := c.ExecContext(ctx, `INSERT INTO processes (id, seen_at) VALUES ($1, `+s.clock()+`)
			ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at`, clean(process))
		return err
	})
}

// Leave says that a process is gone: others may take over its turns at once.
func (s *Store) Leave(ctx context.Context, process string) error {
	return s.do(ctx, func(ctx context.Context, c *sql.Conn) error {
		_, err := c.ExecContext(ctx, `DELETE FROM processes WHERE id = $1 OR seen_at < `+s.clock()+` - `+forgetProcesses, clean(process))
		return err
	})
}

// Alive reports whether a process was heard of within the lease.
func (s *Store) Alive(ctx context.Context, process string, lease time.Duration) (alive bool, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM processes WHERE id = $1 AND seen_at > `+s.clock()+` - $2)`,
		clean(process), lease.Milliseconds()).Scan(&alive)
	return alive, unavailable(err)
}

// Living counts the processes that were heard of within the lease.
func (s *Store) Living(ctx context.Context, lease time.Duration) (n int, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT count(*) FROM processes WHERE seen_at > `+s.clock()+` - $1`, lease.Milliseconds()).Scan(&n)
	return n, unavailable(err)
}

// Orphans returns up to limit turns that somebody has to go on with, the oldest
// first: nothing was answered yet, or the answer is not whole, and their
// process has left, or was not heard of for as long as the lease.
func (s *Store) Orphans(ctx context.Context, lease time.Duration, limit int) ([]*Answer, error) {
	return s.answers(ctx, isUnfinished+" AND "+s.holderGone("$1")+" ORDER BY asked_at LIMIT $2", lease.Milliseconds(), limit)
}

// AskedBefore reports whether another process than the one that works on a turn
// is not through with a question of the same follower that came before. Its
// condition is isUnfinished, but in words that no index of all followers is in.
func (s *Store) AskedBefore(ctx context.Context, id TurnID) (waits bool, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM answers JOIN
			(SELECT turn AS later, account AS a, openid AS o, holder AS h, asked_at AS at FROM answers WHERE turn = $1) AS mine ON account = a AND openid = o
		WHERE (state + 0 = 10 OR state + 0 > 10 AND done = 0) AND target IS NULL AND holder <> h AND (asked_at < at OR asked_at = at AND turn < later))`, id[:]).Scan(&waits)
	return waits, unavailable(err)
}

// Unconfirmed returns up to limit turns asked before then whose reply was not
// seen to be accepted, and whose process is gone, the oldest first.
func (s *Store) Unconfirmed(ctx context.Context, before time.Time, lease time.Duration, limit int) ([]*Answer, error) {
	return s.answers(ctx, isUnconfirmed+" AND asked_at < $1 AND "+s.holderGone("$2")+" ORDER BY asked_at LIMIT $3",
		millis(before), lease.Milliseconds(), limit)
}

// holderGone is a condition; lease is a parameter, in milliseconds.
func (e *engine) holderGone(lease string) string {
	return `NOT EXISTS (SELECT 1 FROM processes WHERE id = answers.holder AND seen_at > (SELECT ` + e.clock() + `) - ` + lease + `)`
}
