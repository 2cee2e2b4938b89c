package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"sync"
	"time"

	"github.com/pressly/goose/v3"
)

// Get, Set and Lease are a store of oa/api: they keep the platform's tokens and
// tickets for all processes of the database. What they keep is secret. All
// times are the database's, so that clocks of processes may differ.

// Get returns the credential that Set put there. ok is false when there is
// none, or its time is over.
func (s *Store) Get(ctx context.Context, name string) (value []byte, ok bool, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT value FROM credentials
		WHERE name = $1 AND value IS NOT NULL AND (expires_at = 0 OR expires_at > `+s.clock()+`)`, name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	return value, err == nil, unavailable(err)
}

// Set keeps a credential for some time, for ever when ttl is 0.
func (s *Store) Set(ctx context.Context, name string, value []byte, ttl time.Duration) error {
	return s.do(ctx, func(ctx context.Context, c *sql.Conn) error {
		_, err := c.ExecContext(ctx, `INSERT INTO credentials (name, value, expires_at)
			VALUES ($1, $2, CASE WHEN $3 = 0 THEN 0 ELSE $3 + `+s.clock()+` END)
			ON CONFLICT (name) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at`,
			name, value, lifetime(ttl))
		return err
	})
}

// Lease takes the right to renew a credential, which one holder has at a time,
// whatever its process. It does not wait: ok is false when somebody else has
// it. It ends with release, or after ttl; a release that comes later than that
// does not touch the next holder's.
func (s *Store) Lease(ctx context.Context, name string, ttl time.Duration) (release func(), ok bool, err error) {
	holder := rand.Text()
	err = s.do(ctx, func(ctx context.Context, c *sql.Conn) error {
		result, err := c.ExecContext(ctx, `INSERT INTO credentials (name, holder, held_until)
			VALUES ($1, $2, $3 + `+s.clock()+`)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, held_until = excluded.held_until
			WHERE credentials.held_until <= `+s.clock(), name, holder, lifetime(ttl))
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		ok = n == 1
		return err
	})
	if err != nil || !ok {
		return nil, false, err
	}
	return sync.OnceFunc(func() {
		err := s.do(context.WithoutCancel(ctx), func(ctx context.Context, c *sql.Conn) error {
			_, err := c.ExecContext(ctx, `UPDATE credentials SET held_until = 0 WHERE name = $1 AND holder = $2`, name, holder)
			return err
		})
		if err != nil {
			s.log.Warn("a lease is not released; it ends by itself", "error", err, "after", ttl)
		}
	}), true, nil
}

// clock is the database's time in milliseconds since 1970, as SQL. It goes on
// during a transaction.
func (e *engine) clock() string {
	if e.dialect == goose.DialectPostgres {
		return "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
	}
	return "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
}

// Now returns the database's time.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	var now int64
	err := s.read.QueryRowContext(ctx, "SELECT "+s.clock()).Scan(&now)
	return fromMillis(now), unavailable(err)
}

// lifetime is a ttl in milliseconds; the shortest is one, since 0 is for ever.
func lifetime(ttl time.Duration) int64 {
	if ttl == 0 {
		return 0
	}
	return max(1, ttl.Milliseconds())
}
