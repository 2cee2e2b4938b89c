package sim_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

// Close does not wait for a server that says nothing, and nobody sees a fault
// notice for it.
func TestCloseGivesUpDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := account(oa.Plain)
		p := sim.Start(t, server(t, c, func(context.Context, *oa.Request) (oa.Reply, error) { return oa.Reply{}, oa.ErrUnanswered }), c)
		u := p.Follower()
		s := u.Say("在吗")
		time.Sleep(7 * time.Second) // into the second delivery
		began := time.Now()
		p.Close()
		if fate := s.Fate(); fate != sim.NotPushed || len(s.Attempts()) != 1 || time.Since(began) != 0 {
			t.Errorf("fate %q, attempts %+v, after %v", fate, s.Attempts(), time.Since(began))
		}
		if chat := u.Chat(); len(chat) != 1 {
			t.Errorf("chat %+v", chat)
		}
		if fate := u.Say("还在吗").Wait(t.Context()); fate != sim.NotPushed {
			t.Errorf("after the end: %q", fate)
		}
	})
}

// A server that outlives a platform does not take a message of the next for one
// of the last.
func TestIDsAreNeverUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := map[any]bool{}
		for range 3 {
			p := sim.New(sim.Settings{})
			a, err := p.NewAccount(account(oa.Plain))
			if err != nil {
				t.Fatal(err)
			}
			for range 100 {
				f := a.Follower()
				m := &oa.TextMessage{Content: "你好"}
				f.Send(m)
				for _, id := range []any{f.OpenID(), m.MsgID} {
					if seen[id] {
						t.Fatalf("%v again", id)
					}
					seen[id] = true
				}
			}
			p.Close()
			time.Sleep(time.Millisecond)
		}
	})
}
