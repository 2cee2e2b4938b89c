package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// DueJobs returns for each of the kinds how long it is until its next job may
// be claimed: one that waits, or one whose lease will end. Nothing or less
// means now; kinds without such a job are left out.
func (s *Store) DueJobs(ctx context.Context, kinds ...string) (map[string]time.Duration, error) {
	due := make(map[string]time.Duration, len(kinds))
	if len(kinds) == 0 {
		return due, nil
	}
	args := make([]any, len(kinds))
	for i, kind := range kinds {
		args[i] = clean(kind)
	}
	rows, err := s.read.QueryContext(ctx, s.dueStatement(len(kinds)), args...)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	for rows.Next() {
		var (
			kind string
			wait sql.NullInt64
		)
		if err := rows.Scan(&kind, &wait); err != nil {
			return nil, unavailable(err)
		}
		if wait.Valid {
			due[kind] = time.Duration(wait.Int64) * time.Millisecond
		}
	}
	return due, unavailable(rows.Err())
}

func (s *Store) dueStatement(kinds int) string {
	rows := make([]string, kinds)
	for i := range rows {
		rows[i] = "(" + s.placeholder(i+1) + ")"
	}
	return `WITH wanted (kind) AS (VALUES ` + strings.Join(rows, ", ") + `)
		SELECT kind, (SELECT min(due_at) FROM jobs WHERE jobs.kind = wanted.kind AND finished_at = 0) - ` + s.clock() + ` FROM wanted`
}

// Job returns one job, or ErrNotFound.
func (s *Store) Job(ctx context.Context, id int64) (Job, error) {
	jobs, err := queryJobs(ctx, s.read, "SELECT "+jobColumns+" FROM jobs WHERE id = $1", id)
	if err != nil {
		return Job{}, unavailable(err)
	}
	if len(jobs) == 0 {
		return Job{}, ErrNotFound
	}
	return jobs[0], nil
}

// JobFilter says which jobs to list. Zero values mean all.
type JobFilter struct {
	Kind    string
	State   JobState
	Account int64
	Before  int64 // jobs with smaller ids: the last id of the page before
	Limit   int   // at most so many; must be given
}

// Jobs lists jobs, the newest first. With a kind or an account that few have,
// it may look at all of the table.
func (s *Store) Jobs(ctx context.Context, f JobFilter) ([]Job, error) {
	query, args := listStatement(f)
	jobs, err := queryJobs(ctx, s.read, query, args...)
	return jobs, unavailable(err)
}

func listStatement(f JobFilter) (query string, args []any) {
	query = "SELECT " + jobColumns + " FROM jobs WHERE true"
	where := func(condition string, value any) {
		args = append(args, value)
		query += fmt.Sprintf(" AND "+condition, len(args))
	}
	switch {
	case f.State > JobCompleted: // in these words SQLite finds the index
		query += fmt.Sprintf(" AND state = %d AND state > %d", f.State, JobCompleted)
	case f.State == JobCompleted:
		query += fmt.Sprintf(" AND state = %d", f.State)
	case f.State != 0:
		query += fmt.Sprintf(" AND state = %d AND finished_at = 0", f.State)
	}
	if f.Kind != "" {
		where("kind = $%d", clean(f.Kind))
	}
	if f.Account != 0 {
		where("account = $%d", f.Account)
	}
	if f.Before != 0 {
		where("id < $%d", f.Before)
	}
	query += fmt.Sprintf(" ORDER BY id DESC LIMIT $%d", len(args)+1)
	return query, append(args, f.Limit)
}

// JobCount is how many jobs of a kind are in a state.
type JobCount struct {
	Kind  string
	State JobState
	Jobs  int64
	Due   int64 // of the available ones: how many could run now
}

// CountJobs counts the jobs of each kind and state, without the completed ones:
// there may be a million.
func (s *Store) CountJobs(ctx context.Context) ([]JobCount, error) {
	rows, err := s.read.QueryContext(ctx, s.countStatement())
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	var counts []JobCount
	for rows.Next() {
		var c JobCount
		if err := rows.Scan(&c.Kind, &c.State, &c.Jobs, &c.Due); err != nil {
			return nil, unavailable(err)
		}
		counts = append(counts, c)
	}
	return counts, unavailable(rows.Err())
}

func (s *Store) countStatement() string {
	return fmt.Sprintf(`SELECT kind, state, count(*), sum(CASE WHEN state = %d AND due_at <= (SELECT %s) THEN 1 ELSE 0 END)
			FROM jobs WHERE finished_at = 0 GROUP BY kind, state
		UNION ALL SELECT kind, state, count(*), 0 FROM jobs WHERE state > %d GROUP BY state, kind`,
		JobAvailable, s.clock(), JobCompleted)
}

// ClearJobs deletes the jobs that were finished that long ago, in small steps,
// and returns how many. The last slot of each periodic job stays, so that it
// does not run again.
func (s *Store) ClearJobs(ctx context.Context, keep time.Duration) (deleted int64, err error) {
	var before int64
	err = s.read.QueryRowContext(ctx, "SELECT "+s.clock()+" - CAST($1 AS BIGINT)", keep.Milliseconds()).Scan(&before)
	if err != nil {
		return 0, unavailable(err)
	}
	for from := int64(0); ; {
		// Ids grow with the time of creation, so behind the first that is too
		// young there is none to delete.
		var rows, last, youngest int64
		err := s.read.QueryRowContext(ctx, `SELECT count(*), coalesce(max(id), 0), coalesce(max(created_at), 0)
			FROM (SELECT id, created_at FROM jobs WHERE id > $1 ORDER BY id LIMIT $2) AS step`, from, rowsAStep).Scan(&rows, &last, &youngest)
		if err != nil {
			return deleted, unavailable(err)
		}
		err = s.do(ctx, func(ctx context.Context, c *sql.Conn) error {
			result, err := c.ExecContext(ctx, `DELETE FROM jobs WHERE id > $1 AND id <= $2 AND finished_at > 0 AND finished_at <= $3
				AND (slot = 0 OR slot < (SELECT max(slot) FROM jobs AS newer WHERE newer.slot > 0 AND newer.kind = jobs.kind))`,
				from, last, before)
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			deleted += n
			return err
		})
		if err != nil || rows < rowsAStep || youngest > before {
			return deleted, err
		}
		from = last
	}
}
