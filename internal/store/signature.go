package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"slices"
	"strings"
	"time"
)

// In plain mode a signature covers neither the message nor its sender (reference
// §2.1): who has seen one can send what he likes with it. So it is kept which
// message each has brought first, to whatever process, until it is too old to be
// believed.

// signatureLife is how far from the database's clock the time of a signature may
// be.
const signatureLife = 5 * time.Minute

// signatureHash keeps the table from holding what could be sent again.
func signatureHash(account int64, signature string) []byte {
	sum := sha256.Sum256(append(binary.BigEndian.AppendUint64(nil, uint64(account)), signature...))
	return sum[:16]
}

// FirstBySignature reports whether the turn is the first that the signature has
// brought to its account, and the signature was made in the last minutes. From
// then on no other turn is. Turns that were recorded with their Signature count,
// whether or not they were asked about.
func (s *Store) FirstBySignature(ctx context.Context, id TurnID, signature string, signed time.Time) (first bool, err error) {
	hash := signatureHash(id.Account(), signature)
	var turn []byte
	err = s.read.QueryRowContext(ctx, `SELECT turn FROM signatures WHERE hash = $1`, hash).Scan(&turn)
	if errors.Is(err, sql.ErrNoRows) {
		err = s.do(ctx, func(ctx context.Context, c *sql.Conn) error {
			var now int64
			if err := c.QueryRowContext(ctx, "SELECT "+s.clock()).Scan(&now); err != nil {
				return err
			}
			if signed.Sub(fromMillis(now)).Abs() > signatureLife {
				return nil
			}
			return c.QueryRowContext(ctx, `INSERT INTO signatures AS s (hash, turn, expires_at) VALUES ($1, $2, $3)
				ON CONFLICT (hash) DO UPDATE SET turn = s.turn RETURNING turn`, hash, id[:], now+2*signatureLife.Milliseconds()).Scan(&turn)
		})
	}
	return bytes.Equal(turn, id[:]), unavailable(err)
}

// signatures are the statements that note what the fresh turns came with. In
// order, so that two processes cannot wait for each other.
func (s *Store) signatures(batch []*request) iter.Seq2[string, []any] {
	type row struct{ hash, turn []byte }
	var rows []row
	for _, r := range batch {
		if r.turn.Signature != "" && r.stored == nil {
			rows = append(rows, row{signatureHash(r.turn.ID.Account(), r.turn.Signature), r.turn.ID[:]})
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Or(bytes.Compare(a.hash, b.hash), bytes.Compare(a.turn, b.turn)) })
	return func(yield func(string, []any) bool) {
		for len(rows) > 0 {
			n := 1 << (bits.Len(uint(len(rows))) - 1) // few different statements
			args := make([]any, 0, 2*n)
			for _, r := range rows[:n] {
				args = append(args, r.hash, r.turn)
			}
			if !yield(s.insertSignaturesStatement(n), args) {
				return
			}
			rows = rows[n:]
		}
	}
}

func (s *Store) insertSignatures(ctx context.Context, c *writerConn, batch []*request) error {
	for statement, args := range s.signatures(batch) {
		if _, err := c.conn.ExecContext(ctx, statement, args...); err != nil {
			return fmt.Errorf("note signatures: %w", err)
		}
	}
	return nil
}

func (s *Store) insertSignaturesStatement(n int) string {
	rows := make([]string, n)
	for i := range rows {
		rows[i] = fmt.Sprintf("(%s, %s, %s + %d)", s.placeholder(2*i+1), s.placeholder(2*i+2), s.clock(), 2*signatureLife.Milliseconds())
	}
	return "INSERT INTO signatures (hash, turn, expires_at) VALUES " + strings.Join(rows, ", ") + " ON CONFLICT DO NOTHING"
}

// ForgetSignatures deletes those that are too old to be believed.
func (s *Store) ForgetSignatures(ctx context.Context) error {
	for n := int64(rowsAStep); n == rowsAStep; {
		err := s.do(ctx, func(ctx context.Context, c *sql.Conn) error {
			result, err := c.ExecContext(ctx, `DELETE FROM signatures WHERE hash IN
				(SELECT hash FROM signatures WHERE expires_at <= (SELECT `+s.clock()+`) LIMIT $1 `+s.skipLocked+`)`, rowsAStep)
			if err != nil {
				return err
			}
			n, err = result.RowsAffected()
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
