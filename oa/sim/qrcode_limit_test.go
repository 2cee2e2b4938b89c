package sim

import (
	"strconv"
	"testing"
	"time"
)

// 100 000 permanent codes are more than a day's calls, so they are made here.
func TestPermanentCodes(t *testing.T) {
	var s codeState
	for i := range codePermanentMax {
		if _, err := s.create(qrScene{value: strconv.Itoa(i), text: true}, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.create(qrScene{value: "1"}, time.Time{}); err == nil {
		t.Error("there is no limit")
	}
	if _, err := s.create(qrScene{value: "1", text: true}, time.Time{}); err != nil {
		t.Errorf("a scene that has a code: %v", err)
	}
	if _, err := s.create(qrScene{value: "1"}, time.Now()); err != nil {
		t.Errorf("a temporary code: %v", err)
	}
}
