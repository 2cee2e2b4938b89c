//go:build unix

package store

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// cpuTime is what this process has used, user and system.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRecord is the store's share of a message. Run it on one core:
//
//	GOMAXPROCS=1 taskset -c 0 go test -run - -bench Record ./internal/store
//
// order=msgid is how messages come; order=none is the worst: ids of one second
// with nothing to sort them by, as events have.
func BenchmarkRecord(b *testing.B) {
	for _, synchronous := range []string{"normal", "full"} {
		for _, recorders := range []int{1, 16, 64} {
			for _, order := range []string{"msgid", "none"} {
				b.Run(fmt.Sprintf("%s/recorders=%d/order=%s", synchronous, recorders, order), func(b *testing.B) {
					benchmarkRecord(b, synchronous, recorders, order == "msgid", 1)
				})
			}
		}
	}
}

// BenchmarkRecordRepeats records every message three times, as when the robot
// is slow and WeChat repeats.
func BenchmarkRecordRepeats(b *testing.B) {
	for _, synchronous := range []string{"normal", "full"} {
		b.Run(synchronous, func(b *testing.B) { benchmarkRecord(b, synchronous, 64, true, 3) })
	}
}

func benchmarkRecord(b *testing.B, synchronous string, recorders int, ordered bool, deliveries int64) {
	s, err := Open(b.Context(), Config{Database: b.TempDir() + "/bench.db", Synchronous: synchronous})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	message, reply := []byte(strings.Repeat("m", 300)), []byte(strings.Repeat("r", 280))
	followers := make([]string, 1000)
	for i := range followers {
		followers[i] = fmt.Sprintf("oAbCdEfGhIjKlMnOpQrStUv%05d", i)
	}
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime(b)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range recorders {
		wg.Go(func() {
			for {
				n := next.Add(1)
				if n > int64(b.N) {
					return
				}
				n /= deliveries
				now := time.Now()
				var sequence uint64
				if ordered {
					sequence = uint64(n)
				}
				t := &Turn{
					ID:     NewTurnID(1, now.Unix()/1000, sequence, followers[n%1000], fmt.Sprint(n)),
					OpenID: followers[n%1000], Kind: "text", Message: message, State: Answered, Reply: reply, By: "echo",
					ArrivedAt: now, AnsweredAt: now,
				}
				if _, _, err := s.Record(b.Context(), t); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
	st := s.Stats()
	b.ReportMetric(float64(st.Turns+st.Repeats)/float64(max(st.Commits, 1)), "turns/commit")
}

// BenchmarkApply is the store's share of a slow answer after its insert, for
// each change: a part is shown, the answer gets ready, the reply is confirmed.
// With scripts/with-postgres.sh it runs on PostgreSQL too.
func BenchmarkApply(b *testing.B) {
	for _, database := range []string{"normal", "full", "postgres"} {
		for _, callers := range []int{1, 16, 64, 256} {
			b.Run(fmt.Sprintf("%s/callers=%d", database, callers), func(b *testing.B) { benchmarkApply(b, database, callers, 0) })
		}
	}
}

// BenchmarkApplyAmongTurns is the same of 16 while 64 record turns.
func BenchmarkApplyAmongTurns(b *testing.B) {
	for _, database := range []string{"normal", "full", "postgres"} {
		b.Run(database, func(b *testing.B) { benchmarkApply(b, database, 16, 64) })
	}
}

func benchmarkApply(b *testing.B, database string, callers, recorders int) {
	c := Config{Database: b.TempDir() + "/bench.db", Synchronous: database}
	if database == "postgres" {
		c = postgresConfig(b)
	}
	s, err := Open(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	turns := (b.N + 2) / 3
	each(256, turns, func(n int) {
		if _, _, err := s.Record(b.Context(), slowTurn(1, n)); err != nil {
			b.Error(err)
		}
	})
	part, text, reply := strings.Repeat("s", 600), strings.Repeat("t", 1500), []byte(strings.Repeat("r", 900))
	steps := []Step{{noon, "delivery", "3, 10.1 s after the message"}, {noon, "part", "600 bytes of the unfinished answer"}}
	life := []Change{
		{From: []State{Working}, To: Waiting, By: "model, in part", Reply: reply, AnsweredAt: noon, Shown: &part, Sending: new(SendingReply), ExpiresAt: noon, Steps: steps},
		{From: []State{Working, Promised, Waiting}, Holder: "p1", Text: &text, Done: true, Usage: &Usage{Model: "m", Calls: 1}, ReadyAt: noon, Steps: steps[:1]},
		{Sending: new("")},
	}
	ctx, stop := context.WithCancel(b.Context())
	var recording sync.WaitGroup
	var recorded atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	before, cpu := s.Stats(), cpuTime(b)
	for range recorders {
		recording.Go(func() {
			for ctx.Err() == nil {
				if _, _, err := s.Record(b.Context(), message(2, int(recorded.Add(1)))); err != nil {
					b.Error(err)
				}
			}
		})
	}
	each(callers, turns, func(n int) {
		id := message(1, n).ID
		for i, ch := range life {
			if 3*n+i >= b.N {
				return
			}
			ch.ID = id
			if err := s.Apply(b.Context(), ch); err != nil {
				b.Error(err)
			}
		}
	})
	b.StopTimer()
	cpu, after := cpuTime(b)-cpu, s.Stats()
	stop()
	recording.Wait()
	b.ReportMetric(float64(cpu.Nanoseconds())/float64(b.N), "cpu-ns/op")
	commits := float64(max(after.Commits-before.Commits, 1))
	b.ReportMetric(float64(after.Changes-before.Changes)/commits, "changes/commit")
	if recorders > 0 {
		b.ReportMetric(float64(after.Turns-before.Turns)/commits, "turns/commit")
	}
}
