package jobs

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/internal/store/pgtest"
)

// BenchmarkRun takes the time of a job that has nothing to do: its share of
// claims and results, written to a disk that is waited for.
func BenchmarkRun(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { benchmarkRun(b, filepath.Join(b.TempDir(), "wenzi.db")) })
	b.Run("postgres", func(b *testing.B) { benchmarkRun(b, pgtest.Schema(b)) })
}

func benchmarkRun(b *testing.B, database string) {
	s, err := store.Open(b.Context(), store.Config{Database: database, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	for n := 0; n < b.N; n += 200 {
		if _, err := s.InsertJobs(b.Context(), slices.Repeat([]store.Job{{Kind: "push"}}, min(200, b.N-n))...); err != nil {
			b.Fatal(err)
		}
	}
	r := New(Config{Store: s})
	ctx, cancel := context.WithCancel(b.Context())
	var ran atomic.Int64
	r.Register("push", func(context.Context, store.Job) error {
		if ran.Add(1) == int64(b.N) {
			cancel()
		}
		return nil
	}, Options{})
	b.ResetTimer()
	r.Run(ctx)
}
