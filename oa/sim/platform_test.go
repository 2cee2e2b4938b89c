package sim_test

import (
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

// account is an account in one of the modes, with a server of oa.
func account(mode oa.Mode) sim.AccountConfig {
	c := sim.AccountConfig{AppID: "wx0123456789abcdef", Token: "hello", Mode: mode}
	if mode != oa.Plain {
		c.AESKey = aesKey
	}
	return c
}

func server(t *testing.T, c sim.AccountConfig, h oa.HandlerFunc) http.Handler {
	t.Helper()
	s, err := oa.NewServer(oa.Account{AppID: c.AppID, Token: c.Token, AESKey: c.AESKey, Mode: c.Mode}, h)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func echoText(_ context.Context, r *oa.Request) (oa.Reply, error) {
	return oa.Text("你说：" + r.Text())
}

func TestChat(t *testing.T) {
	for _, mode := range []oa.Mode{oa.Plain, oa.Compat, oa.Secure} {
		t.Run(mode.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := account(mode)
				p := sim.Start(t, server(t, c, echoText), c)
				u := p.Follower()
				s := u.Say("你好]]></Content>\x02 <a>")
				if fate := s.Wait(t.Context()); fate != sim.Replied {
					t.Fatalf("fate %q, attempts %+v", fate, s.Attempts())
				}
				e, err := u.Next(t.Context())
				if err != nil || e.Text() != "你说：你好]]></Content> <a>" {
					t.Errorf("the follower sees %q, %v", e.Text(), err)
				}
			})
		})
	}
}

// The time line of reference §4.1: three deliveries at 0, 5 and 10 s with the
// same signature, the notice after the third.
func TestTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := account(oa.Plain)
		var mu sync.Mutex
		var queries []string
		var at []time.Duration
		start := time.Now()
		p := sim.Start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			mu.Lock()
			queries, at = append(queries, r.URL.RawQuery), append(at, time.Since(start))
			mu.Unlock()
			io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}), c)
		u := p.Follower()
		if fate := u.Say("在吗").Wait(t.Context()); fate != sim.FaultShown {
			t.Errorf("fate %q", fate)
		}
		if took := time.Since(start); took != 15*time.Second {
			t.Errorf("the notice came after %v", took)
		}
		e, _ := u.Next(t.Context())
		if e.From != sim.FromWeChat || e.Text() != sim.FaultNotice {
			t.Errorf("the follower sees %+v", e)
		}
		mu.Lock()
		defer mu.Unlock()
		if len(at) != 3 || at[1] != 5*time.Second || at[2] != 10*time.Second || queries[0] != queries[1] || queries[1] != queries[2] {
			t.Errorf("deliveries at %v with %q", at, queries)
		}
	})
}
