package sim_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wenzihq/wenzi/oa/sim"
)

// connected is a Sender whose connections are counted. Each delivery is answered
// when release has been sent to, or at once where that is nil.
func connected(t *testing.T, release chan struct{}) (wechat *sim.Sender, connections *atomic.Int32) {
	t.Helper()
	client := servePipe(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if release != nil {
			<-release
		}
		io.WriteString(w, "success")
	}))
	transport, connections := client.Transport.(*http.Transport), new(atomic.Int32)
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		connections.Add(1)
		return dial(ctx, network, address)
	}
	return &sim.Sender{Account: plain, URL: "http://wenzi.test/", Transport: transport}, connections
}

// A connection is used again within a second, or not at all.
func TestConnectionsAreUsedAgain(t *testing.T) {
	for _, tt := range []struct {
		fresh bool
		want  []int32 // connections up to each delivery
	}{
		{false, []int32{1, 1, 2, 2}},
		{true, []int32{1, 2, 3, 4}},
	} {
		synctest.Test(t, func(t *testing.T) {
			wechat, connections := connected(t, nil)
			wechat.Transport.(*http.Transport).DisableKeepAlives = tt.fresh
			for i, pause := range []time.Duration{0, 900 * time.Millisecond, 1100 * time.Millisecond, 0} {
				time.Sleep(pause)
				if e, err := wechat.Deliver(t.Context(), text); err != nil || !e.Verdict.OK() {
					t.Fatalf("%+v, %v", e, err)
				}
				synctest.Wait()
				if n := connections.Load(); n != tt.want[i] {
					t.Errorf("fresh %v, delivery %d: %d connections", tt.fresh, i+1, n)
				}
			}
		})
	}
}

// Many deliveries at once keep their connections for the next ones.
func TestManyConnectionsAreUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 200
		release := make(chan struct{})
		wechat, connections := connected(t, release)
		for range 2 {
			var wg sync.WaitGroup
			for range many {
				wg.Go(func() {
					if _, err := wechat.Deliver(t.Context(), text); err != nil {
						t.Error(err)
					}
				})
			}
			synctest.Wait() // until all are with the server
			for range many {
				release <- struct{}{}
			}
			wg.Wait()
			synctest.Wait()
		}
		if n := connections.Load(); n != many {
			t.Errorf("%d connections", n)
		}
	})
}
