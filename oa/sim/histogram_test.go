package sim

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestHistogram(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		micros := rapid.SliceOfN(rapid.Int64Range(0, 48*3600*1e6), 1, 200).Draw(t, "microseconds")
		var h histogram
		for _, n := range micros {
			h.add(time.Duration(n) * time.Microsecond)
		}
		slices.Sort(micros)
		for _, percent := range []int{1, 50, 90, 99, 100} {
			want := micros[(len(micros)*percent+99)/100-1]
			got := h.percentile(percent).Microseconds()
			if got < want || got > want+want/100 {
				t.Errorf("%d %%: %d, want %d to 1 %% more", percent, got, want)
			}
		}
		if h.longest.Microseconds() != micros[len(micros)-1] || h.times().Count != len(micros) {
			t.Errorf("%+v", h.times())
		}
	})
	if got := new(histogram).times(); got != (LoadTimes{}) {
		t.Errorf("of nothing: %+v", got)
	}
}

// Whatever the number is, it lies in its step, and steps do not overlap.
func TestHistogramSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Max(1<<62).Draw(t, "n")
		i := stepOf(n)
		if stepEnd(i) < n || i > 0 && stepEnd(i-1) >= n || stepOf(stepEnd(i)+1) != i+1 {
			t.Errorf("%d is in step %d, up to %d; the one before is up to %d", n, i, stepEnd(i), stepEnd(max(i-1, 0)))
		}
	})
}
