package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"testing"
	"time"
)

// benchmarkOnEngines opens stores that wait for the disk at every commit, or not.
func benchmarkOnEngines(b *testing.B, sync bool, run func(b *testing.B, s *Store)) {
	for name, config := range map[string]func(testing.TB) Config{"sqlite": sqliteConfig, "postgres": postgresConfig} {
		b.Run(name, func(b *testing.B) {
			c := config(b)
			if !sync && name == "sqlite" {
				c.Synchronous = "normal"
			} else if !sync {
				c.Database += "&synchronous_commit=off"
			}
			s, err := Open(b.Context(), c)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { s.Close() })
			run(b, s)
		})
	}
}

// BenchmarkJobs inserts n jobs and then takes the time of one job: its share of
// claims and completions of so many at once.
func BenchmarkJobs(b *testing.B) {
	benchmarkOnEngines(b, true, func(b *testing.B, s *Store) {
		for _, batch := range []int{1, 16, 100} {
			b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) { benchmarkJobs(b, s, batch) })
		}
	})
}

// BenchmarkJobsAmongFinished does the same one by one while a million finished
// jobs are in the table. It does not wait for the disk, whose time would hide
// that of the search.
func BenchmarkJobsAmongFinished(b *testing.B) {
	benchmarkOnEngines(b, false, func(b *testing.B, s *Store) {
		for _, finished := range []int{0, 1_000_000} {
			b.Run(fmt.Sprintf("finished=%d", finished), func(b *testing.B) {
				insertFinished(b, s, finished)
				benchmarkJobs(b, s, 1)
			})
		}
	})
}

func insertFinished(b *testing.B, s *Store, jobs int) {
	b.Helper()
	const atOnce = 50_000 // the writer of PostgreSQL gives up after 3 s
	var have int
	if err := s.read.QueryRow("SELECT count(*) FROM jobs WHERE finished_at > 0").Scan(&have); err != nil {
		b.Fatal(err)
	}
	for ; have < jobs; have += atOnce {
		err := s.do(b.Context(), func(ctx context.Context, c *sql.Conn) error {
			_, err := c.ExecContext(ctx, `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
				INSERT INTO jobs (kind, args, account, slot, max_attempts, state, created_at, scheduled_at, due_at, attempt, worker, attempted_at, finished_at)
				SELECT 'push', '{"turn":"00000000000000000000000000000000"}', 1, 0, 0, 3, i, i, 0, 1, 'host/1/AAAAAAAA', i, i FROM n`, atOnce)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkJobs(b *testing.B, s *Store, batch int) {
	ctx := b.Context()
	args := []byte(`{"turn":"00000000000000000000000000000000"}`)
	for n := 0; n < b.N; n += 200 {
		if _, err := s.InsertJobs(ctx, slices.Repeat([]Job{{Kind: "push", Account: 1, Args: args}}, min(200, b.N-n))...); err != nil {
			b.Fatal(err)
		}
	}
	var results []JobResult
	var claiming time.Duration
	claims := 0
	for b.ResetTimer(); claims < b.N; {
		start := time.Now()
		jobs, err := s.ClaimJobs(ctx, "host/1/AAAAAAAA", time.Minute, map[string]int{"push": batch})
		if err != nil || len(jobs) == 0 {
			b.Fatal(len(jobs), err)
		}
		claiming += time.Since(start)
		claims += len(jobs)
		results = results[:0]
		for _, j := range jobs {
			results = append(results, JobResult{JobAttempt: JobAttempt{j.ID, j.Attempt}, State: JobCompleted})
		}
		if lost, err := s.FinishJobs(ctx, results...); err != nil || len(lost) > 0 {
			b.Fatal(lost, err)
		}
	}
	b.ReportMetric(float64(claiming.Nanoseconds())/float64(b.N), "claim-ns/op")
}
