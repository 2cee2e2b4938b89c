//go:build unix

package store

import (
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
