package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Follower is somebody who has written to an account or followed it.
type Follower struct {
	Subscribed  bool
	Scene       string // of the QR code the follower came by last
	FirstSeenAt time.Time
	LastSeenAt  time.Time // up to half an hour late
}

// Follower returns what is known of a follower, or ErrNotFound.
func (s *Store) Follower(ctx context.Context, account int64, openid string) (Follower, error) {
	var (
		f           Follower
		subscribed  int
		first, last int64
	)
	err := s.read.QueryRowContext(ctx, `SELECT subscribed, scene, first_seen_at, last_seen_at
		FROM followers WHERE account = $1 AND openid = $2`, account, openid).Scan(&subscribed, &f.Scene, &first, &last)
	if errors.Is(err, sql.ErrNoRows) {
		return f, fmt.Errorf("the follower is %w", ErrNotFound)
	}
	f.Subscribed, f.FirstSeenAt, f.LastSeenAt = subscribed != 0, fromMillis(first), fromMillis(last)
	return f, unavailable(err)
}

// touchFollower creates or renews a follower's row: $3 is what is new about the
// subscription, as in Follow. Who writes without having been seen to subscribe
// has done so before we came. News that comes late, as it does from a backlog,
// changes nothing.
const touchFollower = `INSERT INTO followers AS f (account, openid, subscribed, scene, first_seen_at, last_seen_at)
	VALUES ($1, $2, CASE WHEN $3 = 2 THEN 0 ELSE 1 END, $4, $5, $6)
	ON CONFLICT (account, openid) DO UPDATE SET
		subscribed = CASE WHEN $3 = 0 OR excluded.last_seen_at < f.last_seen_at THEN f.subscribed ELSE excluded.subscribed END,
		scene = CASE WHEN excluded.scene = '' OR excluded.last_seen_at < f.last_seen_at THEN f.scene ELSE excluded.scene END,
		last_seen_at = CASE WHEN excluded.last_seen_at > f.last_seen_at THEN excluded.last_seen_at ELSE f.last_seen_at END`

func (c *writerConn) touchFollowers(ctx context.Context, news []*request) error {
	for _, r := range news {
		if _, err := c.touchFollower.ExecContext(ctx, r.turn.followerValues()...); err != nil {
			return fmt.Errorf("note the follower: %w", err)
		}
	}
	return nil
}

// followerValues are the parameters of touchFollower.
func (t *Turn) followerValues() []any {
	at := millis(t.ArrivedAt)
	return []any{t.ID.Account(), t.OpenID, int64(t.Follow), t.Scene, at, at}
}

const (
	maxKnownFollowers = 16384
	seenAgainAfter    = 30 * 60 * 1000 // ms
)

// knownFollowers remembers when the rows of recent followers were last
// written, so that not every message writes one. It forgets the older half when
// it is full.
type knownFollowers struct {
	seen, older map[followerKey]int64
}

type followerKey struct {
	account int64
	openid  string
}

func (t *Turn) follower() followerKey { return followerKey{t.ID.Account(), t.OpenID} }

// news returns the fresh turns that change their follower's row, in the order
// of followers, so that two processes cannot wait for each other.
func (k *knownFollowers) news(batch []*request) []*request {
	var news []*request
	for _, r := range batch {
		if r.stored != nil || r.turn.OpenID == "" {
			continue
		}
		if r.turn.Follow == Seen {
			seen, ok := k.seen[r.turn.follower()]
			if !ok {
				seen, ok = k.older[r.turn.follower()]
			}
			if ok && millis(r.turn.ArrivedAt) < seen+seenAgainAfter {
				continue
			}
		}
		news = append(news, r)
	}
	slices.SortStableFunc(news, func(a, b *request) int {
		return cmp.Or(cmp.Compare(a.turn.ID.Account(), b.turn.ID.Account()), cmp.Compare(a.turn.OpenID, b.turn.OpenID))
	})
	return news
}

// learn notes that the rows of these turns' followers are committed.
func (k *knownFollowers) learn(news []*request) {
	for _, r := range news {
		if len(k.seen) >= maxKnownFollowers/2 {
			k.seen, k.older = nil, k.seen
		}
		if k.seen == nil {
			k.seen = make(map[followerKey]int64)
		}
		k.seen[r.turn.follower()] = millis(r.turn.ArrivedAt)
	}
}
