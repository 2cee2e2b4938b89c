package app

import (
	"testing"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
)

// What is too old goes when the server starts, and the job that did it is left
// to be seen.
func TestOldTurnsAreCleared(t *testing.T) {
	data := registered(t, "accounts:\n  - path: first\n    token: tokentoken\n")
	offline(t, data, func(s *store.Store, account int64) {
		whole := "答案"
		for n, age := range []time.Duration{91 * 24 * time.Hour, 89 * 24 * time.Hour} {
			asked(t, s, account, "oA", uint64(n), time.Now().Add(-age), store.Answer{Question: "？"}, store.Change{To: store.Answered, Text: &whole, Done: true})
		}
	})
	p := serve(t, "--data", data)
	p.waitFor("old turns are cleared")
	p.stop()
	offline(t, data, func(s *store.Store, account int64) {
		turns, err := s.Turns(t.Context(), account, store.TurnID{}, 10)
		if err != nil || len(turns) != 1 {
			t.Errorf("%d turns are left, %v", len(turns), err)
		}
		jobs, err := s.Jobs(t.Context(), store.JobFilter{Kind: clearKind, Limit: 9})
		if err != nil || len(jobs) != 1 || jobs[0].State != store.JobCompleted {
			t.Errorf("jobs: %+v, %v", jobs, err)
		}
	})
}
