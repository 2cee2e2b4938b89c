//go:build !race

package model

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What 10 000 requests cost that wait for a model. Each is asked once in the end.
// The race detector allows fewer goroutines.
func TestTenThousandWait(t *testing.T) {
	const n = 10_000
	var calls atomic.Int64
	open := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		<-open
		says("好")(w, r)
	}))
	defer server.Close()
	pool := New(nil)
	defer pool.Close()
	m := modelAt(strings.TrimPrefix(server.URL, "http://"))
	m.Endpoints[0].Concurrency = 64

	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	goroutines := runtime.NumGoroutine()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			r, err := pool.Ask(t.Context(), Request{
				Account: fmt.Sprint("account", i%100), Follower: fmt.Sprint("follower", i), Model: m,
				Messages: []Message{{Role: User, Text: "?"}},
			}, func(string) {})
			if err != nil || r.Text != "好" {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
	for waiting := 0; waiting < n-64; time.Sleep(time.Millisecond) {
		pool.mu.Lock()
		waiting = 0
		for _, g := range pool.gates {
			waiting += g.waiting
		}
		pool.mu.Unlock()
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	heap, stacks := after.HeapAlloc-before.HeapAlloc, after.StackInuse-before.StackInuse
	t.Logf("%d requests that wait: %.1f MB of heap, %.1f MB of stacks, %d goroutines", n, float64(heap)/1e6, float64(stacks)/1e6, runtime.NumGoroutine()-goroutines)
	if each := (heap + stacks) / n; each > 20_000 {
		t.Errorf("%d bytes each", each)
	}
	close(open)
	wg.Wait()
	if calls.Load() != n || len(pool.gates) > 0 {
		t.Errorf("%d calls; %d gates are left", calls.Load(), len(pool.gates))
	}
}
