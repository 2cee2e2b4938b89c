package store

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"
)

// rowsAStep is how many rows one transaction of the cleaning may look at: a
// few milliseconds' work. Between two of them recorded turns have their turn.
const rowsAStep = 250

// ClearTurns deletes the turns of registered accounts that are older than
// registeredBefore, those of guests older than guestsBefore, and everything
// that belongs to accounts that are no more. It returns how many turns went.
//
// A turn is old when it arrived before that time, whatever CreateTime it
// claims: a wrong clock neither deletes it early nor keeps it for ever.
func (s *Store) ClearTurns(ctx context.Context, registeredBefore, guestsBefore time.Time) (deleted int64, err error) {
	for account := int64(0); ; account++ {
		account, err = s.nextAccount(ctx, account)
		if errors.Is(err, sql.ErrNoRows) {
			return deleted, nil
		}
		if err != nil {
			return deleted, unavailable(err)
		}
		n, err := s.clearAccount(ctx, account, registeredBefore, guestsBefore)
		deleted += n
		if err != nil {
			return deleted, err
		}
	}
}

// nextAccount returns the first account from that id on that has a row, turns
// or followers, or sql.ErrNoRows.
func (s *Store) nextAccount(ctx context.Context, from int64) (int64, error) {
	next := int64(math.MaxInt64)
	found := func(id int64, err error) error {
		if err == nil {
			next = min(next, id)
		}
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	}
	var id int64
	err := s.read.QueryRowContext(ctx, `SELECT id FROM accounts WHERE id >= $1 ORDER BY id LIMIT 1`, from).Scan(&id)
	if err := found(id, err); err != nil {
		return 0, err
	}
	err = s.read.QueryRowContext(ctx, `SELECT account FROM followers WHERE account >= $1 ORDER BY account LIMIT 1`, from).Scan(&id)
	if err := found(id, err); err != nil {
		return 0, err
	}
	var turn []byte
	first := turnsFrom(from, 0)
	err = s.read.QueryRowContext(ctx, `SELECT id FROM turns WHERE id >= $1 ORDER BY id LIMIT 1`, first[:]).Scan(&turn)
	if err == nil {
		id = TurnID(turn).Account()
	}
	if err := found(id, err); err != nil {
		return 0, err
	}
	if next == math.MaxInt64 {
		return 0, sql.ErrNoRows
	}
	return next, nil
}

func (s *Store) clearAccount(ctx context.Context, account int64, registeredBefore, guestsBefore time.Time) (deleted int64, err error) {
	// An account's row is committed before its first turn, so that there is no
	// row means that it was forgotten.
	var guest, removed bool
	err = s.read.QueryRowContext(ctx, `SELECT guest_key IS NOT NULL, guest_key IS NULL AND path IS NULL
		FROM accounts WHERE id = $1`, account).Scan(&guest, &removed)
	if errors.Is(err, sql.ErrNoRows) {
		return s.clearOrphan(ctx, account)
	}
	if err != nil {
		return 0, unavailable(err)
	}
	before := registeredBefore
	if guest {
		before = guestsBefore
	}
	// The middle, from before until tomorrow, holds nothing that can be old.
	tomorrow := max(time.Now().Add(24*time.Hour).Unix(), before.Unix())
	for _, r := range [][2]TurnID{
		{turnsFrom(account, 0), turnsFrom(account, before.Unix())},
		{turnsFrom(account, tomorrow), turnsFrom(account+1, 0)},
	} {
		n, err := s.clearRange(ctx, r[0], r[1], millis(before))
		deleted += n
		if err != nil {
			return deleted, err
		}
	}
	if removed {
		left, err := s.Turns(ctx, account, TurnID{}, 1)
		if err != nil || len(left) > 0 {
			return deleted, err
		}
		if err := s.do(ctx, func(ctx context.Context, c *sql.Conn) error {
			_, err := c.ExecContext(ctx, `DELETE FROM accounts WHERE id = $1 AND path IS NULL AND guest_key IS NULL`, account)
			return err
		}); err != nil {
			return deleted, err
		}
		n, err := s.clearOrphan(ctx, account)
		return deleted + n, err
	}
	return deleted, nil
}

// clearOrphan deletes what a forgotten account has left.
func (s *Store) clearOrphan(ctx context.Context, account int64) (deleted int64, err error) {
	deleted, err = s.clearRange(ctx, turnsFrom(account, 0), turnsFrom(account+1, 0), math.MaxInt64)
	for n := int64(rowsAStep); err == nil && n == rowsAStep; {
		err = s.do(ctx, func(ctx context.Context, c *sql.Conn) error {
			result, err := c.ExecContext(ctx, `DELETE FROM followers WHERE account = $1 AND openid IN
				(SELECT openid FROM followers WHERE account = $1 ORDER BY openid LIMIT $2)`, account, rowsAStep)
			if err != nil {
				return err
			}
			n, err = result.RowsAffected()
			return err
		})
	}
	return deleted, err
}

// clearRange deletes the turns with from ≤ id < to that arrived before then.
func (s *Store) clearRange(ctx context.Context, from, to TurnID, arrivedBefore int64) (deleted int64, err error) {
	for {
		last, looked, old, err := s.look(ctx, from, to, arrivedBefore)
		if err != nil {
			return deleted, unavailable(err)
		}
		if old > 0 {
			err := s.do(ctx, func(ctx context.Context, c *sql.Conn) error {
				if _, err := c.ExecContext(ctx, `DELETE FROM answers WHERE turn >= $1 AND turn <= $2 AND asked_at < $3`,
					from[:], last[:], arrivedBefore); err != nil {
					return err
				}
				result, err := c.ExecContext(ctx, `DELETE FROM turns WHERE id >= $1 AND id <= $2 AND arrived_at < $3`,
					from[:], last[:], arrivedBefore)
				if err != nil {
					return err
				}
				n, err := result.RowsAffected()
				deleted += n
				return err
			})
			if err != nil {
				return deleted, err
			}
		}
		if looked < rowsAStep {
			return deleted, nil
		}
		from = last // looked at twice, which does no harm
	}
}

// look reads the next rowsAStep turns of the range and counts the old ones.
func (s *Store) look(ctx context.Context, from, to TurnID, arrivedBefore int64) (last TurnID, looked, old int, err error) {
	rows, err := s.read.QueryContext(ctx, `SELECT id, arrived_at FROM turns WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3`,
		from[:], to[:], rowsAStep)
	if err != nil {
		return last, 0, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			id      []byte
			arrived int64
		)
		if err := rows.Scan(&id, &arrived); err != nil {
			return last, 0, 0, err
		}
		last = TurnID(id)
		looked++
		if arrived < arrivedBefore {
			old++
		}
	}
	return last, looked, old, rows.Err()
}
