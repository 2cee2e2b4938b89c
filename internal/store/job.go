package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// JobState says what has become of a job. The numbers are in the database.
type JobState int16

const (
	JobAvailable JobState = 1 // waits for its time, the first or the next
	JobRunning   JobState = 2
	JobCompleted JobState = 3
	JobDiscarded JobState = 4 // failed for good
	JobCancelled JobState = 5 // not wanted any more
)

var jobStates = []string{JobAvailable: "available", JobRunning: "running", JobCompleted: "completed", JobDiscarded: "discarded", JobCancelled: "cancelled"}

func (s JobState) String() string {
	if s < JobAvailable || int(s) >= len(jobStates) {
		return fmt.Sprintf("JobState(%d)", int16(s))
	}
	return jobStates[s]
}

// Job is work to be done in the background, by any process of the database.
// All its times are the database's.
type Job struct {
	ID int64 // given by the store, growing

	// What InsertJobs reads.
	Kind        string    // says which worker knows what to do
	Args        []byte    // for the worker; JSON, opaque to the store
	Account     int64     // whose it is; 0: nobody's
	UniqueKey   string    // no two unfinished jobs have the same; empty: none
	MaxAttempts int       // discard it after so many failures; 0: the worker decides
	ScheduledAt time.Time // not before; zero: at once

	// What the store adds.
	State       JobState
	Slot        time.Time // of a periodic job
	Attempt     int       // how often it was claimed
	Failures    int       // attempts that ended with an error or with their process
	Error       string    // of the last failure
	Worker      string    // the process that claimed it last
	LeaseUntil  time.Time // while it runs
	CreatedAt   time.Time
	AttemptedAt time.Time // the last claim
	FinishedAt  time.Time
}

// JobAttempt names one attempt at a job. It is what a worker shows to change
// it: once somebody else has claimed the job, it is worth nothing.
type JobAttempt struct {
	ID      int64
	Attempt int
}

// JobResult is the end of an attempt.
type JobResult struct {
	JobAttempt
	State JobState      // JobAvailable: again, after Delay
	Delay time.Duration // with JobAvailable
	Error string        // why it failed, or was cancelled; never the text of a message
}

// LeaseEnded is the error of a job whose process died, or lost the database
// for longer than the lease.
const LeaseEnded = "运行它的进程中断了（the process that ran it was interrupted）"

// InsertedJob is what InsertJobs made of a job.
type InsertedJob struct {
	ID      int64
	Existed bool // an unfinished job with this unique key was there; ID is its id
}

// InsertJobs puts jobs into the table, all or none. The writer is busy until
// all are there, so at most a few hundred.
func (s *Store) InsertJobs(ctx context.Context, jobs ...Job) (inserted []InsertedJob, err error) {
	// In order of the keys, so that two processes cannot wait for each other's
	// on PostgreSQL.
	order := make([]int, len(jobs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return strings.Compare(jobs[a].UniqueKey, jobs[b].UniqueKey) })
	inserted = make([]InsertedJob, len(jobs))
	err = s.do(ctx, func(ctx context.Context, c *sql.Conn) error {
		for _, i := range order {
			if inserted[i], err = s.insertJob(ctx, c, jobs[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return inserted, nil
}

// insertJob puts a job into the table within the caller's transaction.
func (s *Store) insertJob(ctx context.Context, c *sql.Conn, j Job) (inserted InsertedJob, err error) {
	args := j.Args
	if args == nil {
		args = []byte{}
	}
	key := sql.NullString{String: clean(j.UniqueKey), Valid: j.UniqueKey != ""}
	// Between the two statements another process may finish the job that has the key.
	for range 3 {
		err = c.QueryRowContext(ctx, `INSERT INTO jobs (kind, args, account, unique_key, slot, max_attempts, state, created_at, scheduled_at, due_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, `+s.clock()+`,
				CASE WHEN CAST($8 AS BIGINT) = 0 THEN `+s.clock()+` ELSE $8 END,
				CASE WHEN CAST($8 AS BIGINT) = 0 THEN `+s.clock()+` ELSE $8 END)
			ON CONFLICT DO NOTHING RETURNING id`,
			clean(j.Kind), args, j.Account, key, millis(j.Slot), j.MaxAttempts, JobAvailable, millis(j.ScheduledAt)).Scan(&inserted.ID)
		if err == nil {
			s.news.add(Event{Kind: JobsInserted, Job: clean(j.Kind)})
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return inserted, err
		}
		if !key.Valid { // the slot has a job
			return InsertedJob{Existed: true}, nil
		}
		err = c.QueryRowContext(ctx, unfinishedJob, key).Scan(&inserted.ID)
		if !errors.Is(err, sql.ErrNoRows) {
			inserted.Existed = true
			return inserted, err
		}
	}
	return inserted, err
}

const unfinishedJob = "SELECT id FROM jobs WHERE unique_key = $1 AND finished_at = 0"

// InsertPeriodicJob puts the job of the present slot into the table, unless the
// kind has one of this slot or a later one already, finished or not. Slots are
// the multiples of the interval since 1970, by the database's clock. next is
// how long the slot lasts yet. Only Kind, Args, Account and MaxAttempts of the
// job count.
func (s *Store) InsertPeriodicJob(ctx context.Context, j Job, interval time.Duration) (inserted bool, next time.Duration, err error) {
	j.UniqueKey, j.ScheduledAt = "", time.Time{}
	err = s.do(ctx, func(ctx context.Context, c *sql.Conn) error {
		var now, newest int64
		err := c.QueryRowContext(ctx, `SELECT `+s.clock()+`, coalesce(max(slot), 0) FROM jobs WHERE slot > 0 AND kind = $1`, clean(j.Kind)).Scan(&now, &newest)
		if err != nil {
			return err
		}
		every := max(1, interval.Milliseconds())
		slot := now - now%every
		next = time.Duration(slot+every-now) * time.Millisecond
		if slot <= newest {
			return nil
		}
		j.Slot = fromMillis(slot)
		job, err := s.insertJob(ctx, c, j)
		inserted = !job.Existed
		return err
	})
	if err != nil {
		return false, 0, err
	}
	return inserted, next, nil
}

// ClaimJobs takes jobs that are due, those due longest first, at most so many
// of each kind as limits says. Each is the worker's until its lease ends; then
// the next claim takes it. A job whose lease has ended is due like any other,
// and its attempt counts as a failure.
func (s *Store) ClaimJobs(ctx context.Context, worker string, lease time.Duration, limits map[string]int) (jobs []Job, err error) {
	if len(limits) == 0 {
		return nil, nil
	}
	var args []any
	for _, kind := range slices.Sorted(maps.Keys(limits)) {
		args = append(args, clean(kind), limits[kind])
	}
	args = append(args, LeaseEnded, worker, lifetime(lease))
	err = s.do(ctx, func(ctx context.Context, c *sql.Conn) (err error) {
		jobs, err = queryJobs(ctx, c, s.claimStatement(len(limits)), args...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return jobs, nil
}

// claimStatement is for so many kinds, each with its limit. On PostgreSQL a
// process passes over what another is claiming.
func (s *Store) claimStatement(kinds int) string {
	n := 0
	param := func() string { n++; return s.placeholder(n) }
	due := make([]string, kinds)
	for i := range due {
		due[i] = fmt.Sprintf(`SELECT id FROM (SELECT id FROM jobs WHERE kind = %s AND finished_at = 0 AND due_at <= (SELECT %s)
			ORDER BY due_at, id LIMIT %s %s) AS of_kind_%d`, param(), s.clock(), param(), s.skipLocked, i)
	}
	return fmt.Sprintf(`WITH due AS MATERIALIZED (%s)
		UPDATE jobs SET state = %d, attempt = attempt + 1,
			failures = CASE WHEN state = %[2]d THEN failures + 1 ELSE failures END,
			error = CASE WHEN state = %[2]d THEN %s ELSE error END,
			worker = %s, attempted_at = %s, due_at = CAST(%s AS BIGINT) + %[5]s
		WHERE id IN (SELECT id FROM due) RETURNING %[7]s`,
		strings.Join(due, " UNION ALL "), JobRunning, param(), param(), s.clock(), param(), jobColumns)
}

// ExtendJobs makes the leases of attempts last that long from now on. It
// returns those that are lost: the job is somebody else's, or finished.
func (s *Store) ExtendJobs(ctx context.Context, lease time.Duration, attempts ...JobAttempt) (lost []JobAttempt, err error) {
	changes := make([]JobResult, len(attempts))
	for i, a := range attempts {
		changes[i] = JobResult{JobAttempt: a, State: JobRunning, Delay: lease}
	}
	return s.changeJobs(ctx, changes)
}

// FinishJobs ends attempts, all in one transaction. A result whose Error says
// something counts as a failure, unless the job is cancelled. It returns the
// attempts that are lost, whose jobs it does not touch.
func (s *Store) FinishJobs(ctx context.Context, results ...JobResult) (lost []JobAttempt, err error) {
	return s.changeJobs(ctx, results)
}

// changeJobs changes jobs as long as they are at these attempts.
func (s *Store) changeJobs(ctx context.Context, changes []JobResult) (lost []JobAttempt, err error) {
	if len(changes) == 0 {
		return nil, nil
	}
	var args []any
	for _, r := range changes {
		args = append(args, r.ID, r.Attempt, int64(r.State), max(0, r.Delay.Milliseconds()), clean(r.Error))
	}
	err = s.do(ctx, func(ctx context.Context, c *sql.Conn) error {
		rows, err := c.QueryContext(ctx, s.changeStatement(len(changes)), args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		changed := make(map[JobAttempt]bool, len(changes))
		for rows.Next() {
			var a JobAttempt
			if err := rows.Scan(&a.ID, &a.Attempt); err != nil {
				return err
			}
			changed[a] = true
		}
		lost = nil
		for _, r := range changes {
			if !changed[r.JobAttempt] {
				lost = append(lost, r.JobAttempt)
			}
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return lost, nil
}

// changeStatement is for n jobs.
func (s *Store) changeStatement(n int) string {
	i := 0
	param := func() string { i++; return s.placeholder(i) }
	rows := make([]string, n)
	for j := range rows {
		// Without the types PostgreSQL takes them for texts.
		rows[j] = fmt.Sprintf("(CAST(%s AS BIGINT), CAST(%s AS BIGINT), CAST(%s AS BIGINT), CAST(%s AS BIGINT), %s)",
			param(), param(), param(), param(), param())
	}
	return fmt.Sprintf(`WITH change (id, attempt, state, delay, error) AS (VALUES %s), clock (time) AS (SELECT %s)
		UPDATE jobs SET state = change.state,
			failures = CASE WHEN change.error <> '' AND change.state <> %d THEN failures + 1 ELSE failures END,
			error = CASE WHEN change.error <> '' THEN change.error ELSE jobs.error END,
			scheduled_at = CASE WHEN change.state = %d THEN clock.time + change.delay ELSE scheduled_at END,
			due_at = CASE WHEN change.state <= %d THEN clock.time + change.delay ELSE 0 END,
			finished_at = CASE WHEN change.state <= %[5]d THEN 0 ELSE clock.time END
		FROM change, clock WHERE jobs.id = change.id AND jobs.attempt = change.attempt AND jobs.state = %[5]d
		RETURNING jobs.id, jobs.attempt`,
		strings.Join(rows, ", "), s.clock(), JobCancelled, JobAvailable, JobRunning)
}

const jobColumns = `id, kind, args, state, account, unique_key, max_attempts, scheduled_at, slot, attempt, failures, error, worker,
	CASE WHEN state = 2 /* running */ THEN due_at ELSE 0 END, created_at, attempted_at, finished_at`

func queryJobs(ctx context.Context, db interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}, query string, args ...any) ([]Job, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var jobs []Job
	for rows.Next() {
		var (
			j                                                    Job
			key                                                  sql.NullString
			scheduled, slot, lease, created, attempted, finished int64
		)
		if err := rows.Scan(&j.ID, &j.Kind, &j.Args, &j.State, &j.Account, &key, &j.MaxAttempts, &scheduled, &slot,
			&j.Attempt, &j.Failures, &j.Error, &j.Worker, &lease, &created, &attempted, &finished); err != nil {
			return nil, err
		}
		j.UniqueKey, j.ScheduledAt, j.Slot, j.LeaseUntil = key.String, fromMillis(scheduled), fromMillis(slot), fromMillis(lease)
		j.CreatedAt, j.AttemptedAt, j.FinishedAt = fromMillis(created), fromMillis(attempted), fromMillis(finished)
		jobs = append(jobs, j)
	}
	return jobs, rows.Err()
}
