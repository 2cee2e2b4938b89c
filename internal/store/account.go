package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Account is a registered account.
type Account struct {
	ID                   int64  // given by the store
	Path                 string // the last element of its callback address
	Config               []byte // JSON, opaque to the store
	CreatedAt, UpdatedAt time.Time
}

// Accounts returns the registered accounts in the order they were added.
func (s *Store) Accounts(ctx context.Context) ([]Account, error) {
	a, err := accounts(ctx, s.read)
	return a, unavailable(err)
}

func accounts(ctx context.Context, db interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}) ([]Account, error) {
	rows, err := db.QueryContext(ctx, `SELECT id, path, config, created_at, updated_at FROM accounts
		WHERE path IS NOT NULL ORDER BY id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Account
	for rows.Next() {
		var (
			a                Account
			created, updated int64
		)
		if err := rows.Scan(&a.ID, &a.Path, &a.Config, &created, &updated); err != nil {
			return nil, err
		}
		a.CreatedAt, a.UpdatedAt = fromMillis(created), fromMillis(updated)
		all = append(all, a)
	}
	return all, rows.Err()
}

// ApplyAccounts changes the registered accounts in one transaction and returns
// them as they are then. change gets them as they are, and nobody else changes
// them until it has returned; it says which to put (ID 0: a new one, otherwise
// Path and Config are replaced) and which to remove. An error of change is
// returned as it is and changes nothing. change runs on the writer, everything
// else waits: it must not take long, nor call the store.
//
// A removed account's turns stay until they are old; its path is free at once
// and its config is erased.
func (s *Store) ApplyAccounts(ctx context.Context, change func(current []Account) (put []Account, remove []int64, err error)) (after []Account, err error) {
	var refused error
	err = s.do(ctx, func(ctx context.Context, c *sql.Conn) error {
		if s.lockAccounts != "" {
			if _, err := c.ExecContext(ctx, s.lockAccounts); err != nil {
				return err
			}
		}
		current, err := accounts(ctx, c)
		if err != nil {
			return err
		}
		put, remove, err := change(current)
		if err != nil {
			refused = err
			return err
		}
		if err := applyAccounts(ctx, c, put, remove); err != nil {
			return err
		}
		if len(put)+len(remove) > 0 {
			s.news.add(Event{Kind: AccountsChanged})
		}
		after, err = accounts(ctx, c)
		return err
	})
	if refused != nil {
		return nil, refused
	}
	if err != nil {
		return nil, err
	}
	return after, nil
}

func applyAccounts(ctx context.Context, c *sql.Conn, put []Account, remove []int64) error {
	now := millis(time.Now())
	for _, id := range remove {
		if _, err := c.ExecContext(ctx, `UPDATE accounts SET path = NULL, config = '{}', updated_at = $2
			WHERE id = $1 AND path IS NOT NULL`, id, now); err != nil {
			return err
		}
	}
	// Paths may be exchanged among accounts, so all that change are freed first.
	for _, a := range put {
		if _, err := c.ExecContext(ctx, `UPDATE accounts SET path = NULL WHERE id = $1 AND path <> $2`, a.ID, a.Path); err != nil {
			return err
		}
	}
	for _, a := range put {
		if a.ID == 0 {
			if _, err := c.ExecContext(ctx, `INSERT INTO accounts (path, config, created_at, updated_at, seen_at)
				VALUES ($1, $2, $3, $4, $5)`, a.Path, string(a.Config), now, now, 0); err != nil {
				return err
			}
			continue
		}
		result, err := c.ExecContext(ctx, `UPDATE accounts SET path = $2, config = $3, updated_at = $4
			WHERE id = $1 AND guest_key IS NULL`, a.ID, a.Path, string(a.Config), now)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n != 1 {
			return errors.Join(err, fmt.Errorf("account %d does not exist", a.ID))
		}
	}
	return nil
}

// guestSeenEvery is how late Guest may note that a guest was seen.
const guestSeenEvery = time.Minute

// Guest finds the guest of that key, or creates it, and notes that it was seen.
// The key should be a hash of token and ToUserName: a token must not stand in
// the database. Ids are never used again.
func (s *Store) Guest(ctx context.Context, key string) (id int64, created bool, err error) {
	now := millis(time.Now())
	var seen int64
	err = s.read.QueryRowContext(ctx, `SELECT id, seen_at FROM accounts WHERE guest_key = $1`, key).Scan(&id, &seen)
	if err == nil && now-seen < guestSeenEvery.Milliseconds() {
		return id, false, nil
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, false, unavailable(err)
	}
	err = s.do(ctx, func(ctx context.Context, c *sql.Conn) error {
		err := c.QueryRowContext(ctx, `UPDATE accounts SET seen_at = $2 WHERE guest_key = $1 RETURNING id`, key, now).Scan(&id)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		created = true
		// Another process may have been faster.
		return c.QueryRowContext(ctx, `INSERT INTO accounts (guest_key, config, created_at, updated_at, seen_at)
			VALUES ($1, '{}', $2, $3, $4) ON CONFLICT (guest_key) DO UPDATE SET seen_at = excluded.seen_at
			RETURNING id`, key, now, now, now).Scan(&id)
	})
	if err != nil {
		return 0, false, err
	}
	return id, created, nil
}

// ForgetGuests forgets the guests that were not seen since olderThan, and of
// the others those seen longest ago, so that at most keepMost are left; their
// turns and followers are deleted, in small steps. It returns the ids of the
// forgotten, also beside an error.
func (s *Store) ForgetGuests(ctx context.Context, keepMost int, olderThan time.Time) (forgotten []int64, err error) {
	rows, err := s.read.QueryContext(ctx, `SELECT id, seen_at FROM accounts WHERE guest_key IS NOT NULL
		ORDER BY seen_at DESC, id DESC`)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	type guest struct{ id, seen int64 }
	var victims []guest
	for n := 0; rows.Next(); n++ {
		var g guest
		if err := rows.Scan(&g.id, &g.seen); err != nil {
			return nil, unavailable(err)
		}
		if n >= keepMost || g.seen < millis(olderThan) {
			victims = append(victims, g)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, unavailable(err)
	}
	for len(victims) > 0 {
		step := victims[:min(len(victims), rowsAStep)]
		victims = victims[len(step):]
		var gone []int64
		err := s.do(ctx, func(ctx context.Context, c *sql.Conn) error {
			for _, g := range step {
				// Not if it was seen just now.
				result, err := c.ExecContext(ctx, `DELETE FROM accounts WHERE id = $1 AND seen_at = $2`, g.id, g.seen)
				if err != nil {
					return err
				}
				if n, err := result.RowsAffected(); err != nil {
					return err
				} else if n > 0 {
					gone = append(gone, g.id)
				}
			}
			return nil
		})
		if err != nil {
			return forgotten, err
		}
		forgotten = append(forgotten, gone...)
	}
	for _, id := range forgotten {
		if _, err := s.clearOrphan(ctx, id); err != nil {
			return forgotten, err
		}
	}
	return forgotten, nil
}
