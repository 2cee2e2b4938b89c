package sim_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

// connected is a Sender whose connections are counted.
func connected(t *testing.T) (wechat *sim.Sender, connections *atomic.Int32) {
	t.Helper()
	client := servePipe(t, answer(http.StatusOK, "success"))
	transport, connections := client.Transport.(*http.Transport), new(atomic.Int32)
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		connections.Add(1)
		return dial(ctx, network, address)
	}
	return &sim.Sender{Account: plain, URL: "http://wenzi.test/", Transport: transport}, connections
}

// Every delivery has a connection of its own, unless some are to be kept: then
// for a second.
func TestConnections(t *testing.T) {
	for _, tt := range []struct {
		kept int
		want []int32 // connections up to each delivery
	}{
		{sim.NewTransport().MaxIdleConnsPerHost, []int32{1, 2, 3, 4}},
		{10, []int32{1, 1, 2, 2}},
	} {
		synctest.Test(t, func(t *testing.T) {
			wechat, connections := connected(t)
			wechat.Transport.(*http.Transport).MaxIdleConnsPerHost = tt.kept
			for i, pause := range []time.Duration{0, 900 * time.Millisecond, 1100 * time.Millisecond, 0} {
				time.Sleep(pause)
				if e, err := wechat.Deliver(t.Context(), text); err != nil || !e.Verdict.OK() {
					t.Fatalf("%+v, %v", e, err)
				}
				synctest.Wait()
				if n := connections.Load(); n != tt.want[i] {
					t.Errorf("%d kept, delivery %d: %d connections", tt.kept, i+1, n)
				}
			}
		})
	}
}

// However many deliveries have begun, the next one begins at once, unless it is
// not known when they are written.
func TestDeliveriesBeginAtOnce(t *testing.T) {
	const many = 500
	silent := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	for name, set := range map[string]func(p *sim.Platform, c *sim.AccountConfig){
		"over a pipe": func(_ *sim.Platform, c *sim.AccountConfig) { c.Handler = http.HandlerFunc(silent) },
		"after some time": func(p *sim.Platform, c *sim.AccountConfig) {
			c.Handler = http.HandlerFunc(silent)
			p.SetTrouble(sim.Trouble{Latency: 3 * time.Second})
		},
		"by a transport of its own": func(_ *sim.Platform, c *sim.AccountConfig) { c.URL, c.Transport = "http://wenzi.test/", hanging{} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := sim.New(sim.Settings{Deliveries: 1, MarkFailures: -1})
				defer p.Close()
				c := account(oa.Plain)
				set(p, &c)
				a, err := p.NewAccount(c)
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				var all []*sim.Sent
				for range many {
					f := a.Follower()
					f.Subscribe()
					all = append(all, f.Say("在吗"))
				}
				for _, s := range all {
					s.Wait(t.Context())
				}
				if took := time.Since(began); took != 5*time.Second {
					t.Errorf("all had failed after %v", took)
				}
			})
		})
	}
}

// hanging is a transport to a server that says nothing.
type hanging struct{}

func (hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}
