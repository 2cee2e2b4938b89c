package store

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkNotify takes the time of a slow turn on PostgreSQL, recorded and then
// answered, by two processes at once: told to nobody, or to both by notification.
func BenchmarkNotify(b *testing.B) {
	for _, turns := range []int{1, 64} {
		for _, told := range []bool{false, true} {
			b.Run(fmt.Sprintf("turns=%d/told=%v", turns, told), func(b *testing.B) { benchmarkNotify(b, turns, told) })
		}
	}
}

func benchmarkNotify(b *testing.B, turns int, told bool) {
	c := postgresConfig(b)
	var stores []*Store
	var events atomic.Int64
	for range 2 {
		s, err := Open(b.Context(), c)
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		if told {
			s.Subscribe(func(Event) { events.Add(1) })
		} else {
			s.news.remote = false // before the writer's first transaction
		}
		stores = append(stores, s)
	}
	reply := make([]byte, 300)
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for i := range 2 * turns {
		wg.Go(func() {
			s := stores[i%2]
			for n := int(next.Add(1)); n <= b.N; n = int(next.Add(1)) {
				turn := message(1, n)
				turn.State, turn.Reply, turn.ArrivedAt = Working, nil, time.Now()
				turn.Answer = &Answer{Holder: "p", Question: "问", Token: fmt.Sprint(n), Runs: 1}
				if _, _, err := s.Record(b.Context(), turn); err != nil {
					b.Error(err)
				}
				text := "答"
				if err := s.Apply(b.Context(), Change{ID: turn.ID, From: []State{Working}, To: Answered, Reply: reply, Text: &text, Done: true}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(events.Load())/float64(b.N), "events/op")
}

// BenchmarkRecordSignatures is what it costs in plain mode that signatures are
// kept with the turns.
func BenchmarkRecordSignatures(b *testing.B) {
	for _, kept := range []bool{false, true} {
		b.Run(fmt.Sprintf("kept=%v", kept), func(b *testing.B) {
			s, err := Open(b.Context(), postgresConfig(b))
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range 64 {
				wg.Go(func() {
					for n := int(next.Add(1)); n <= b.N; n = int(next.Add(1)) {
						turn := message(1, n)
						if kept {
							turn.Signature = fmt.Sprint("sig", n)
						}
						if _, _, err := s.Record(b.Context(), turn); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}
