package store

import (
	"bytes"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTurnID(t *testing.T) {
	// In the order they must sort.
	ids := []TurnID{
		NewTurnID(1, -5, 0, "clamped"),
		NewTurnID(1, 1700000000, 0, "event"),
		NewTurnID(1, 1700000000, 7, "a"),
		NewTurnID(1, 1700000000, 8, "a"),
		NewTurnID(1, 1700000001, 1, "a"),
		NewTurnID(1, math.MaxInt64, 1, "clamped"),
		NewTurnID(2, 0, 0, "a"),
		NewTurnID(300, 0, 0, "a"),
		NewTurnID(1<<40-1, 0, 0, "a"),
	}
	for i, id := range ids {
		if i > 0 && (bytes.Compare(ids[i-1][:], id[:]) >= 0 || ids[i-1].String() >= id.String()) {
			t.Errorf("%v does not sort before %v", ids[i-1], id)
		}
		back, err := ParseTurnID(id.String())
		if err != nil || back != id || len(id.String()) != 32 || strings.ToLower(id.String()) != id.String() {
			t.Errorf("%v read back is %v, %v", id, back, err)
		}
	}
	if id := ids[4]; id.Account() != 1 || !id.CreateTime().Equal(time.Unix(1700000001, 0)) {
		t.Errorf("account %d, time %v", id.Account(), id.CreateTime())
	}
	if id := ids[8]; id.Account() != 1<<40-1 {
		t.Errorf("account %d", id.Account())
	}
	if first, again := NewTurnID(1, 2, 3, "ab", "c"), NewTurnID(1, 2, 3, "ab", "c"); first != again {
		t.Error("the same message has two ids")
	}
	for _, other := range []TurnID{
		NewTurnID(1, 2, 3, "a", "bc"),
		NewTurnID(1, 2, 3, "abc"),
		NewTurnID(1, 2, 3+1<<32, "ab", "c"),
		NewTurnID(1, 2, 3, "ab", "c", ""),
	} {
		if other == NewTurnID(1, 2, 3, "ab", "c") {
			t.Error("two messages have the same id")
		}
	}
	for _, bad := range []string{"", "0", strings.Repeat("z", 32), strings.Repeat("0", 31), strings.Repeat("0", 40)} {
		if _, err := ParseTurnID(bad); err == nil {
			t.Errorf("%q is an id", bad)
		}
	}
}

func TestTurnsOfStates(t *testing.T) {
	onEngines(t, func(t *testing.T, c Config) {
		s := open(t, c)
		var working TurnID
		for n, state := range []State{Answered, Failed, Acknowledged, Failed, Working} {
			m := message(1, n)
			m.State = state
			if state == Working {
				m.Answer = &Answer{Holder: "process", Question: "?"}
				working = m.ID
			}
			record(t, s, m)
		}
		for _, tt := range []struct {
			limit  int
			states []State
			want   int
		}{{10, nil, 5}, {10, []State{Failed}, 2}, {1, []State{Failed}, 1}, {10, []State{Failed, Working}, 3}, {10, []State{Expired}, 0}} {
			turns, err := s.Turns(t.Context(), 1, TurnID{}, tt.limit, tt.states...)
			if err != nil || len(turns) != tt.want {
				t.Errorf("%d of %v, %v; want %d", len(turns), tt.states, err, tt.want)
			}
			for _, got := range turns {
				if len(tt.states) > 0 && !slices.Contains(tt.states, got.State) {
					t.Errorf("a turn that is %v among %v", got.State, tt.states)
				}
			}
		}
		count := func(want map[State]int64) {
			t.Helper()
			if got, err := s.CountOpen(t.Context()); err != nil || !maps.Equal(got, want) {
				t.Errorf("open are %v, %v; want %v", got, err, want)
			}
		}
		count(map[State]int64{Working: 1, Promised: 0, Waiting: 0})
		if err := s.Apply(t.Context(), Change{ID: working, To: Waiting}); err != nil {
			t.Fatal(err)
		}
		count(map[State]int64{Working: 0, Promised: 0, Waiting: 1})
	})
}
