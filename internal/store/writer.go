package store

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"
)

// do runs a transaction on the writer. It gives up when ctx ends before the
// transaction starts, but then waits for the outcome: transactions are short.
func (s *Store) do(ctx context.Context, tx func(context.Context, *sql.Conn) error) error {
	r := &request{tx: tx, ctx: ctx, done: make(chan struct{}, 1)}
	if !s.queue.add(r) {
		return fmt.Errorf("%w: it is closed, or too much waits to be written", ErrUnavailable)
	}
	<-r.done
	return unavailable(r.err)
}

// writeAll is the writer goroutine.
func (s *Store) writeAll() {
	defer close(s.finished)
	for {
		batch := s.queue.take()
		if batch == nil {
			s.disconnect()
			return
		}
		if batch[0].tx != nil {
			batch[0].err = s.transact(batch[0])
		} else {
			n, err := s.writeBatch(batch)
			s.report(batch[:n], nil)
			s.report(batch[n:], err)
		}
		for _, r := range batch {
			r.done <- struct{}{}
		}
	}
}

func (s *Store) transact(r *request) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := s.bound(r.ctx)
	defer cancel()
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	err = c.transact(ctx, func() error { return r.tx(ctx, c.conn) })
	if c.broken {
		s.disconnect()
	}
	return err
}

// bound returns the context of a transaction, which does not end with its
// caller's: an outcome that nobody knows helps nobody.
func (s *Store) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx = context.WithoutCancel(ctx)
	if s.timeout > 0 {
		return context.WithTimeout(ctx, s.timeout)
	}
	return ctx, func() {}
}

// report hands the outcome of a batch to its callers and to the statistics.
func (s *Store) report(batch []*request, err error) {
	if len(batch) == 0 {
		return
	}
	var turns, repeats, changes int64
	for _, r := range batch {
		switch {
		case err != nil:
			r.err = unavailable(err)
		case r.stored != nil:
			repeats++
		case r.changes == nil:
			turns++
		case r.err == nil:
			changes++
		}
	}
	s.mu.Lock()
	if err == nil {
		s.stats.Commits++
		s.stats.Turns += turns
		s.stats.Repeats += repeats
		s.stats.Changes += changes
	} else {
		s.stats.Failures++
		s.stats.LastError = err.Error()
	}
	s.mu.Unlock()
	if failing := err != nil; failing != s.failing {
		s.failing = failing
		if failing {
			s.log.Error("store cannot be written", "error", err)
		} else {
			s.log.Info("store can be written again")
		}
	}
}

// writeBatch commits turns and changes. It returns how many are committed, the
// first of them as they are ordered then.
func (s *Store) writeBatch(batch []*request) (n int, err error) {
	// In order of id, so that two processes seldom wait for each other's rows on
	// PostgreSQL. Stable, so that the first of a repeated delivery stays first.
	slices.SortStableFunc(batch, compareRequests)
	if err = s.writeTogether(batch); err == nil {
		return len(batch), nil
	}
	if !deadlocked(err) {
		return 0, err
	}
	// Who holds the rows of one turn only waits for nobody who waits for him.
	for n = range batch {
		for range deadlockTries {
			time.Sleep(deadlockPause)
			if err = s.writeTogether(batch[n : n+1]); !deadlocked(err) {
				break
			}
		}
		if err != nil {
			return n, err
		}
	}
	return len(batch), nil
}

// writeTogether commits turns and changes in one transaction.
func (s *Store) writeTogether(batch []*request) error {
	ctx, cancel := s.bound(context.Background())
	defer cancel()
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	n := slices.IndexFunc(batch, func(r *request) bool { return r.changes != nil })
	if n < 0 {
		n = len(batch)
	}
	turns, sets := batch[:n], batch[n:]

	var news []*request
	var failed error // of what is between BEGIN and COMMIT
	oneByOne := false
	write := func() error {
		news, failed = s.writeRows(ctx, c, turns, sets, oneByOne)
		return failed
	}
	if s.pipelined {
		err = c.finish(ctx, write)
	} else {
		err = c.transact(ctx, write)
	}
	if failed != nil && !c.broken && !deadlocked(failed) {
		oneByOne = true
		err = c.transact(ctx, write)
	}
	if err != nil {
		for _, r := range turns {
			r.stored = nil
		}
		if c.broken || !s.keepConn(err) && !deadlocked(err) {
			s.disconnect()
		}
		return err
	}
	s.followers.learn(news)
	return nil
}

// writeRows writes a batch. Repeats are rare, and so are changes that have to
// be undone. Without them few statements do. Otherwise the batch fails, to be
// written one by one; so it is if another process was in the way after all.
func (s *Store) writeRows(ctx context.Context, c *writerConn, turns, sets []*request, oneByOne bool) (news []*request, err error) {
	if s.pipelined && !oneByOne {
		if news, err = s.sendRows(ctx, c, turns); err != nil {
			return nil, err
		}
		return news, s.applyAll(ctx, c, sets)
	}
	insert, apply := c.insertAll, s.applyAll
	if oneByOne {
		insert, apply = c.insertEach, s.applyEach
	}
	if err := insert(ctx, turns); err != nil {
		return nil, err
	}
	if err := c.insertAnswers(ctx, turns); err != nil {
		return nil, err
	}
	if err := s.insertSignatures(ctx, c, turns); err != nil {
		return nil, err
	}
	news = s.followers.news(turns)
	if err := c.touchFollowers(ctx, news); err != nil {
		return nil, err
	}
	return news, apply(ctx, c, sets)
}

// deadlockPause is for the other process to take what it waited for.
const (
	deadlockPause = 20 * time.Millisecond
	deadlockTries = 3
)

// compareRequests puts turns before changes.
func compareRequests(a, b *request) int {
	if (a.changes == nil) != (b.changes == nil) {
		if a.changes == nil {
			return -1
		}
		return 1
	}
	return bytes.Compare(a.id[:], b.id[:])
}

// writerConn is the connection all writing goes through, with its statements.
type writerConn struct {
	conn          *sql.Conn
	news          *news
	placeholder   func(int) string
	begin, commit *sql.Stmt
	insertOne     *sql.Stmt
	addRepeat     *sql.Stmt
	selectTurn    *sql.Stmt
	touchFollower *sql.Stmt
	insertAnswer  *sql.Stmt
	changeAnswer  *sql.Stmt
	changeTurn    *sql.Stmt

	// insert[k] records 1<<k turns. It goes to the driver directly, since
	// database/sql takes about as long for the parameters as SQLite for the rows.
	insert [maxInsertBits]driver.Stmt
	args   []driver.NamedValue

	insertText [maxInsertBits]string // of the statements, for pipelines

	broken bool
}

const maxInsertBits = 7 // up to 64 turns in one statement

func (s *Store) connect(ctx context.Context) (*writerConn, error) {
	if s.conn != nil {
		return s.conn, nil
	}
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return nil, err
	}
	c := &writerConn{conn: conn, news: &s.news, placeholder: s.placeholder}
	for _, p := range []struct {
		stmt  **sql.Stmt
		query string
	}{
		{&c.begin, s.begin},
		{&c.commit, "COMMIT"},
		{&c.insertOne, insertTurns(1, s.placeholder)},
		{&c.addRepeat, addRepeat},
		{&c.selectTurn, selectTurn},
		{&c.touchFollower, touchFollower},
		{&c.insertAnswer, insertAnswer},
		{&c.changeAnswer, changeAnswer},
		{&c.changeTurn, changeTurn},
	} {
		if *p.stmt, err = conn.PrepareContext(ctx, p.query); err != nil { //nolint:sqlclosecheck // writerConn.close does
			c.close()
			return nil, err
		}
	}
	s.conn = c
	return c, nil
}

func (s *Store) disconnect() {
	if s.conn != nil {
		s.conn.close()
		s.conn = nil
	}
}

// close ends the connection for good; it does not go back to a pool. Errors
// mean that it was dead already.
func (c *writerConn) close() {
	for _, stmt := range []*sql.Stmt{c.begin, c.commit, c.insertOne, c.addRepeat, c.selectTurn, c.touchFollower, c.insertAnswer, c.changeAnswer, c.changeTurn} {
		if stmt != nil {
			_ = stmt.Close()
		}
	}
	_ = c.conn.Raw(func(any) error {
		for _, stmt := range c.insert {
			if stmt != nil {
				_ = stmt.Close()
			}
		}
		return driver.ErrBadConn
	})
	_ = c.conn.Close()
}

// transact runs f between BEGIN and COMMIT. After an error nothing of f is in
// the database, unless the connection broke during COMMIT.
func (c *writerConn) transact(ctx context.Context, f func() error) error {
	if _, err := c.begin.ExecContext(ctx); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	return c.finish(ctx, f)
}

// finish is transact where f begins the transaction.
func (c *writerConn) finish(ctx context.Context, f func() error) error {
	c.news.begin()
	err := f()
	if err == nil {
		err = c.news.announce(ctx, c.conn)
	}
	if err == nil {
		if _, err = c.commit.ExecContext(ctx); err == nil {
			c.news.committed()
			return nil
		}
		err = fmt.Errorf("commit: %w", err)
	}
	// ctx may have ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if _, rollbackErr := c.conn.ExecContext(ctx, "ROLLBACK"); rollbackErr != nil {
		c.broken = true
	}
	return err
}

// errRepeat says that a batch holds a turn that is in the database already.
var errRepeat = errors.New("a turn is recorded already")

// insertAll inserts turns of which none may be there.
func (c *writerConn) insertAll(ctx context.Context, batch []*request) error {
	return c.conn.Raw(func(dc any) error {
		for len(batch) > 0 {
			k := min(bits.Len(uint(len(batch))), maxInsertBits) - 1
			n := 1 << k
			if c.insert[k] == nil {
				stmt, err := dc.(driver.ConnPrepareContext).PrepareContext(ctx, insertTurns(n, c.placeholder))
				if err != nil {
					return err
				}
				c.insert[k] = stmt
			}
			c.args = c.args[:0]
			for _, r := range batch[:n] {
				for _, v := range r.turn.values() {
					c.args = append(c.args, driver.NamedValue{Ordinal: len(c.args) + 1, Value: v})
				}
			}
			result, err := c.insert[k].(driver.StmtExecContext).ExecContext(ctx, c.args)
			clear(c.args)
			if err != nil {
				return fmt.Errorf("insert: %w", err)
			}
			inserted, err := result.RowsAffected()
			if err != nil {
				return fmt.Errorf("insert: %w", err)
			}
			if inserted < int64(n) {
				return errRepeat
			}
			batch = batch[n:]
		}
		return nil
	})
}

// insertEach inserts the turns that are not there. To the others it adds this
// delivery, and keeps what is stored.
func (c *writerConn) insertEach(ctx context.Context, batch []*request) error {
	for _, r := range batch {
		values := r.turn.values()
		result, err := c.insertOne.ExecContext(ctx, values[:]...)
		if err != nil {
			return fmt.Errorf("insert: %w", err)
		}
		inserted, err := result.RowsAffected()
		if err != nil {
			return fmt.Errorf("insert: %w", err)
		}
		if inserted == 1 {
			continue
		}
		r.stored, err = scanTurn(c.addRepeat.QueryRowContext(ctx, r.turn.ID[:], r.turn.repeat()))
		if errors.Is(err, sql.ErrNoRows) { // so often repeated that this one is not noted
			r.stored, err = scanTurn(c.selectTurn.QueryRowContext(ctx, r.turn.ID[:]))
		}
		if err != nil {
			return fmt.Errorf("read the recorded turn: %w", err)
		}
	}
	return nil
}

// insertTurns is the statement that records n turns.
func insertTurns(n int, placeholder func(int) string) string {
	rows := make([]string, n)
	params := make([]string, len(turnValues{}))
	for i := range rows {
		for j := range params {
			params[j] = placeholder(i*len(params) + j + 1)
		}
		rows[i] = "(" + strings.Join(params, ", ") + ")"
	}
	return "INSERT INTO turns (id, openid, kind, message, state, reply, decided_by, note, arrived_at, answered_at) VALUES " +
		strings.Join(rows, ", ") + " ON CONFLICT DO NOTHING"
}
