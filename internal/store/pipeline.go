package store

import (
	"context"
	"fmt"
	"math/bits"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// sendRows does for turns of which none may be there what insertAll and all
// after it do, and begins the transaction. PostgreSQL gets it in one piece: a
// round trip costs both sides more than some rows do.
func (s *Store) sendRows(ctx context.Context, c *writerConn, turns []*request) (news []*request, err error) {
	news = s.followers.news(turns)
	var b pgx.Batch
	b.Queue(s.begin)
	c.queueTurns(&b, turns)
	for _, r := range turns {
		if r.turn.Answer != nil {
			b.Queue(insertAnswer, r.turn.answerValues()...)
		}
	}
	for statement, args := range s.signatures(turns) {
		b.Queue(statement, args...)
	}
	for _, r := range news {
		b.Queue(touchFollower, r.turn.followerValues()...)
	}
	err = c.conn.Raw(func(dc any) error {
		return dc.(*stdlib.Conn).Conn().SendBatch(ctx, &b).Close()
	})
	if err != nil {
		return nil, fmt.Errorf("insert: %w", err)
	}
	return news, nil
}

func (c *writerConn) queueTurns(b *pgx.Batch, turns []*request) {
	for len(turns) > 0 {
		k := min(bits.Len(uint(len(turns))), maxInsertBits) - 1
		n := 1 << k
		if c.insertText[k] == "" {
			c.insertText[k] = insertTurns(n, c.placeholder)
		}
		args := make([]any, 0, n*len(turnValues{}))
		for _, r := range turns[:n] {
			values := r.turn.values()
			args = append(args, values[:]...)
		}
		b.Queue(c.insertText[k], args...).Exec(func(tag pgconn.CommandTag) error {
			if tag.RowsAffected() < int64(n) {
				return errRepeat
			}
			return nil
		})
		turns = turns[n:]
	}
}
