package turn

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/internal/store"
)

func TestStats(t *testing.T) {
	busy := errors.New("busy")
	thinker := func(answers int64) map[string]ModelStats {
		return map[string]ModelStats{"thinker": {Answers: answers, CompletionTokens: 7 * answers}}
	}
	for _, tt := range []struct {
		name string
		push *pushes
		say  []string
		want Stats
	}{
		{"rides", nil, []string{"想 8s", "你好"}, Stats{Rides: 1, Models: thinker(1),
			Turns: map[store.State]int64{store.Working: 1, store.Answered: 2}, Pushes: map[Outcome]int64{}}},
		{"waits and is fetched", nil, []string{"想 16s", "继续"}, Stats{Rides: 2, Models: thinker(1),
			Turns:  map[store.State]int64{store.Working: 2, store.Waiting: 1, store.Fetched: 1, store.Answered: 1},
			Pushes: map[Outcome]int64{}}},
		{"is pushed at the second try", &pushes{right: true, fail: []error{busy}}, []string{"想 8s"}, Stats{Models: thinker(1),
			Turns:  map[store.State]int64{store.Working: 1, store.Promised: 1, store.Pushed: 1},
			Pushes: map[Outcome]int64{PushFailed: 1, Sent: 1}}},
		{"may have been pushed", &pushes{right: true, fail: []error{ErrUnknown}}, []string{"想 8s"}, Stats{Models: thinker(1),
			Turns:  map[store.State]int64{store.Working: 1, store.Promised: 1, store.Waiting: 1},
			Pushes: map[Outcome]int64{Unknown: 1}}},
		{"cannot be pushed", &pushes{right: true, fail: []error{ErrNoCredit}}, []string{"想 8s"}, Stats{Models: thinker(1),
			Turns:  map[store.State]int64{store.Working: 1, store.Promised: 1, store.Waiting: 1},
			Pushes: map[Outcome]int64{LeftToWait: 1}}},
		{"reaches nobody", &pushes{right: true, fail: []error{ErrGone}}, []string{"想 8s"}, Stats{Models: thinker(1),
			Turns:  map[store.State]int64{store.Working: 1, store.Promised: 1, store.Failed: 1},
			Pushes: map[Outcome]int64{NotReached: 1}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			slowTest(t, Config{Budget: -1}, tt.push, func(t *testing.T, h *house) {
				u := h.wechat.Follower()
				for _, text := range tt.say {
					u.Say(text).Wait(t.Context())
					time.Sleep(time.Minute)
				}
				if diff := cmp.Diff(tt.want, h.Stats()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}
