package store

import (
	"bytes"
	"math"
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
