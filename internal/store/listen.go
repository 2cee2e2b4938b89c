package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Times of the connection that listens.
const (
	heartbeat        = 5 * time.Second // how long it may be silent until it is tried
	heartbeatTimeout = 2 * time.Second
	firstPause       = 100 * time.Millisecond // between two tries to connect
	longestPause     = 10 * time.Second
)

// listen tells the subscribers what PostgreSQL notifies of, until ctx ends. It
// connects again when the connection is lost, with growing pauses that differ from
// process to process, so that a database that comes back is not stormed.
func (s *Store) listen(ctx context.Context) {
	failures := 0
	for {
		err := s.listenOnce(ctx, func() {
			if failures > 0 {
				s.log.Info("news of other processes come again")
			}
			failures = 0
		})
		if ctx.Err() != nil {
			return
		}
		if failures == 0 {
			s.log.Warn("news of other processes do not come; what they change is seen later", "error", err)
		}
		pause := min(firstPause<<min(failures, 10), longestPause)
		failures++
		select {
		case <-time.After(pause - rand.N(pause/2)):
		case <-ctx.Done():
			return
		}
	}
}

// listenOnce listens until the connection is lost.
func (s *Store) listenOnce(ctx context.Context, begun func()) (err error) {
	conn, err := pgx.ConnectConfig(ctx, s.raw.Copy())
	if err != nil {
		return err
	}
	defer func() {
		s.news.listening.Store(false)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), heartbeatTimeout)
		defer cancel()
		_ = conn.Close(ctx) // it may be dead already
	}()
	if err := subscribe(ctx, conn); err != nil {
		return err
	}
	s.news.listening.Store(true)
	begun()
	s.news.tell(Event{Kind: Missed})
	for {
		waiting, cancel := context.WithTimeout(ctx, s.news.heartbeat)
		n, err := conn.WaitForNotification(waiting)
		cancel()
		switch {
		case err == nil:
			s.news.tell(decodeEvents(s.news.origin, n.Payload)...)
		case ctx.Err() != nil || !pgconn.Timeout(err):
			return err
		default:
			if err := ping(ctx, conn); err != nil {
				return fmt.Errorf("the connection is dead: %w", err)
			}
		}
	}
}

func subscribe(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, heartbeatTimeout)
	defer cancel()
	var name string
	if err := conn.QueryRow(ctx, "SELECT "+channel).Scan(&name); err != nil {
		return err
	}
	_, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{name}.Sanitize())
	return err
}

func ping(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, heartbeatTimeout)
	defer cancel()
	return conn.Ping(ctx)
}
