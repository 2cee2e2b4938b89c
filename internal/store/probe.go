package store

import (
	"context"
	"database/sql"
	"time"
)

// keepProbes is how many refused requests are kept.
const keepProbes = 200

// Probe is a request that was refused, kept for the one who sets up an account.
type Probe struct {
	At     time.Time
	Path   string // already masked
	Method string
	Reason string
}

// AddProbes keeps these refused requests; the last 200 are kept at all.
func (s *Store) AddProbes(ctx context.Context, probes []Probe) error {
	probes = probes[max(0, len(probes)-keepProbes):]
	if len(probes) == 0 {
		return nil
	}
	return s.do(ctx, func(ctx context.Context, c *sql.Conn) error {
		for _, p := range probes {
			if _, err := c.ExecContext(ctx, `INSERT INTO probes (at, path, method, reason) VALUES ($1, $2, $3, $4)`,
				millis(p.At), clean(p.Path), clean(p.Method), clean(p.Reason)); err != nil {
				return err
			}
		}
		_, err := c.ExecContext(ctx, `DELETE FROM probes WHERE id <= (SELECT max(id) FROM probes) - $1`, keepProbes)
		return err
	})
}

// Probes returns the kept refused requests, newest first.
func (s *Store) Probes(ctx context.Context) ([]Probe, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT at, path, method, reason FROM probes ORDER BY id DESC LIMIT $1`, keepProbes)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	var probes []Probe
	for rows.Next() {
		var (
			p  Probe
			at int64
		)
		if err := rows.Scan(&at, &p.Path, &p.Method, &p.Reason); err != nil {
			return nil, unavailable(err)
		}
		p.At = fromMillis(at)
		probes = append(probes, p)
	}
	return probes, unavailable(rows.Err())
}
