package turn

import (
	"slices"

	"github.com/wenzihq/wenzi/internal/store"
)

// transitions are the ways of a turn through its states. docs/slow-answers.md
// shows the same table. A turn that needs no waiting is recorded at its end,
// Answered, Acknowledged or Failed; one whose answer takes time is recorded as
// Working before work on it begins.
var transitions = []struct {
	from, to store.State
	when     string
}{
	{store.Working, store.Answered, "the whole answer is the reply to a delivery"},
	{store.Working, store.Waiting, "a part, the first page or the holding text is the reply; or no delivery is left to answer"},
	{store.Working, store.Promised, "success was answered, the answer will be pushed; or the first page is the reply and the rest will be pushed"},
	{store.Working, store.Acknowledged, "the question was merged into the follower's next one"},
	{store.Working, store.Failed, "the robot failed and the follower was told; or a guest's answer came too late"},
	{store.Promised, store.Pushed, "all of the answer was pushed"},
	{store.Promised, store.Waiting, "it cannot be pushed, or nobody knows whether it was"},
	{store.Promised, store.Failed, "the follower has left; or the robot failed and the follower was told by push"},
	{store.Waiting, store.Fetched, "the follower has fetched the last page"},
	{store.Waiting, store.Expired, "it was not fetched in time; the follower is told on the next contact"},
	{store.Waiting, store.Failed, "the follower has left"},
	{store.Answered, store.Waiting, "the process died before the reply was seen to be accepted"},
	{store.Fetched, store.Waiting, "the same, of the last page"},
}

// before are the states from which a turn may come into a state.
func before(to store.State) []store.State {
	var from []store.State
	for _, t := range transitions {
		if t.to == to && !slices.Contains(from, t.from) {
			from = append(from, t.from)
		}
	}
	return from
}
