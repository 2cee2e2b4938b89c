package turn

import (
	"testing"
	"time"
)

var noon = time.Unix(1_700_000_000, 0)

// What is taken for the age of a message, by what was seen of clocks before.
func TestAge(t *testing.T) {
	const start = time.Minute // of the process, before noon
	for _, test := range []struct {
		name string
		lags []time.Duration // of messages before, one a second up to noon
		lag  time.Duration   // of the delivery in question
		want time.Duration
	}{
		{"nothing known", nil, 10 * time.Second, 10 * time.Second},
		{"clocks agree", []time.Duration{300 * time.Millisecond, time.Second}, 10300 * time.Millisecond, 10 * time.Second},
		{"WeChat's clock is ahead", []time.Duration{-time.Minute, -59 * time.Second}, -50 * time.Second, 10 * time.Second},
		{"one message came late", []time.Duration{5 * time.Second}, 10 * time.Second, 10 * time.Second},
		{"two came late", []time.Duration{5 * time.Second, 5 * time.Second}, 10 * time.Second, 10 * time.Second},
		{"all come late: the clock is wrong", []time.Duration{time.Hour, time.Hour, time.Hour}, time.Hour + 5*time.Second, 5 * time.Second},
		{"late ones among others", []time.Duration{5 * time.Second, 0, 5 * time.Second, 5 * time.Second}, 10 * time.Second, 10 * time.Second},
	} {
		p := &patience{began: noon.Add(-start)}
		for i, lag := range test.lags {
			at := noon.Add(time.Duration(i-len(test.lags)) * time.Second)
			p.note(at, at.Add(-lag).Unix())
		}
		if got := p.age(noon, noon.Add(-test.lag).Unix()); got < test.want-time.Second || got > test.want+time.Second {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	// When a process starts it sees deliveries of messages whose first one met
	// the process before: they tell nothing about clocks.
	p := &patience{began: noon}
	for range 10 {
		p.note(noon.Add(time.Second), noon.Add(-4*time.Second).Unix())
	}
	if got := p.age(noon.Add(6*time.Second), noon.Add(-4*time.Second).Unix()); got != 10*time.Second {
		t.Errorf("after a start: %v", got)
	}
}

func TestRideBudget(t *testing.T) {
	rides := func(p *patience, at time.Time, budget float64) (n int) {
		for p.ride(at, budget) && n < 100 {
			n++
		}
		return n
	}
	p := &patience{}
	if n := rides(p, noon, 20); n != 20 {
		t.Errorf("%d time-outs at once", n)
	}
	if n := rides(p, noon.Add(time.Minute), 20); n != 4 {
		t.Errorf("%d time-outs a minute later", n)
	}
	if n := rides(p, noon.Add(time.Hour), 20); n != 20 {
		t.Errorf("%d time-outs an hour later", n)
	}
	part := &patience{}
	for fives, want := range []int{1, 0, 0, 1} { // a third of one in five minutes
		if n := rides(part, noon.Add(time.Duration(fives)*5*time.Minute), 1./3); n != want {
			t.Errorf("%d time-outs after %d minutes, of a third of one in five", n, 5*fives)
		}
	}
	if n := rides(&patience{}, noon, 0); n != 0 {
		t.Errorf("%d time-outs of none", n)
	}
	if n := rides(&patience{}, noon, -1); n != 100 {
		t.Errorf("%d time-outs without a limit", n)
	}
}

// A silence after time-outs, on an account with traffic, is taken for MarkFail.
func TestMarkFailIsSuspected(t *testing.T) {
	for _, test := range []struct {
		name    string
		rides   int
		traffic int
		silence time.Duration
		want    bool
	}{
		{"silence", 5, 20, 60 * time.Second, true},
		{"no time-outs", 0, 20, 60 * time.Second, false},
		{"no traffic", 5, 2, 60 * time.Second, false},
		{"a short silence", 5, 20, 30 * time.Second, false},
	} {
		p := &patience{}
		at := noon
		for range test.traffic {
			at = at.Add(time.Second)
			p.note(at, at.Unix())
		}
		for range test.rides {
			p.ride(at, 20)
		}
		at = at.Add(test.silence)
		if got := p.note(at, at.Unix()); got != test.want {
			t.Errorf("%s: suspected %v", test.name, got)
		}
		if got := p.ride(at, 20); got == test.want {
			t.Errorf("%s: a time-out afterwards: %v", test.name, got)
		}
		if !p.ride(at.Add(suspectPause+time.Minute), 20) {
			t.Errorf("%s: none even after the pause", test.name)
		}
	}
}

// Slow commits are given more time, and are forgotten after a while.
func TestPace(t *testing.T) {
	var p pace
	for _, step := range []struct {
		at, took, want time.Duration
	}{
		{0, time.Millisecond, 250 * time.Millisecond},
		{0, 400 * time.Millisecond, 600 * time.Millisecond},
		{time.Second, time.Millisecond, 560 * time.Millisecond},
		{10 * time.Second, time.Millisecond, 300 * time.Millisecond},
		{time.Minute, time.Millisecond, 250 * time.Millisecond},
		{time.Minute, time.Minute, 2 * time.Second},
	} {
		at := noon.Add(step.at)
		p.took(step.took, at)
		if got := p.margin(at).Round(10 * time.Millisecond); got != step.want {
			t.Errorf("at %v, after %v: %v, want %v", step.at, step.took, got, step.want)
		}
	}
}
