package sim

import (
	"math/bits"
	"time"
)

// histogram counts durations in steps of less than 1 %, 128 to every power of
// two of microseconds. The longest is kept as it is.
type histogram struct {
	count   int
	longest time.Duration
	steps   []int // grows with the longest
}

const stepBits = 7

func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	i := stepOf(uint64(d.Microseconds()))
	if i >= len(h.steps) {
		h.steps = append(h.steps, make([]int, i+1-len(h.steps))...)
	}
	h.steps[i]++
	h.count++
	h.longest = max(h.longest, d)
}

// stepOf is the index of a number of microseconds.
func stepOf(n uint64) int {
	shift := max(bits.Len64(n)-stepBits-1, 0)
	return shift<<stepBits + int(n>>shift)
}

// stepEnd is the greatest number of a step.
func stepEnd(i int) uint64 {
	shift := max(i>>stepBits-1, 0)
	return uint64(i-shift<<stepBits+1)<<shift - 1
}

// percentile is the duration that so many percent of all do not exceed.
func (h *histogram) percentile(percent int) time.Duration {
	rank := (h.count*percent + 99) / 100
	seen := 0
	for i, n := range h.steps {
		if seen += n; seen >= rank && n > 0 {
			return min(time.Duration(stepEnd(i))*time.Microsecond, h.longest)
		}
	}
	return h.longest
}

// LoadTimes are percentiles of durations, in milliseconds. Those but the longest
// are up to 1 % too long.
type LoadTimes struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

func (h *histogram) times() LoadTimes {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return LoadTimes{Count: h.count, P50: ms(h.percentile(50)), P90: ms(h.percentile(90)), P99: ms(h.percentile(99)), Max: ms(h.longest)}
}
