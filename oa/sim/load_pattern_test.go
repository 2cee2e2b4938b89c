package sim_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

// arrivals are when the questions of each follower arrive, since the beginning.
type arrivals struct {
	mu  sync.Mutex
	all map[string][]time.Duration
}

// startPattern is a platform whose server notes arrivals and takes a second.
func startPattern(t *testing.T) (*sim.Testing, *arrivals) {
	began := time.Now()
	a := &arrivals{all: map[string][]time.Duration{}}
	return startLoad(t, oa.Plain, func(_ *sim.Testing, r *oa.Request) (oa.Reply, error) {
		a.mu.Lock()
		from := r.Message.Head().FromUserName
		a.all[from] = append(a.all[from], time.Since(began))
		a.mu.Unlock()
		time.Sleep(time.Second)
		return oa.Text(r.Text())
	}), a
}

func TestLoadTalkative(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := startPattern(t)
		load(t, p, sim.LoadConfig{Followers: 30, Messages: 3, Pattern: sim.LoadTalkative, Think: 10 * time.Second})
		if len(a.all) != 30 {
			t.Errorf("%d followers", len(a.all))
		}
		for _, at := range a.all {
			if len(at) != 3 || at[0] != 0 {
				t.Fatalf("questions at %v", at)
			}
			for i := range 2 { // after the second that an answer takes
				if gap := at[i+1] - at[i]; gap < 6*time.Second || gap > 16*time.Second {
					t.Errorf("questions at %v", at)
				}
			}
		}
	})
}

func TestLoadBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := startPattern(t)
		load(t, p, sim.LoadConfig{Followers: 80, Messages: 1, Pattern: sim.LoadBurst, Share: .5, Within: 8 * time.Second})
		if len(a.all) != 40 {
			t.Errorf("%d followers", len(a.all))
		}
		early := 0
		for _, at := range a.all {
			if len(at) != 1 || at[0] > 8*time.Second {
				t.Errorf("questions at %v", at)
			}
			if at[0] < 4*time.Second {
				early++
			}
		}
		if early < 5 || early > 35 {
			t.Errorf("%d of 40 come in the first half", early)
		}
	})
}

func TestLoadDuration(t *testing.T) {
	for _, c := range []sim.LoadConfig{
		{Followers: 10, Messages: 100, Pattern: sim.LoadRate, Rate: 10},
		{Followers: 10, Messages: 100, Pattern: sim.LoadTalkative, Think: time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			p, a := startPattern(t)
			c.Duration = 5 * time.Second
			r := load(t, p, c)
			if r.Messages < 20 || r.Messages > 100 || r.Whole != r.Messages || r.Seconds > 6 {
				t.Errorf("%s: %v", c.Pattern, r)
			}
			for _, at := range a.all {
				if at[len(at)-1] > 5*time.Second {
					t.Errorf("%s: questions at %v", c.Pattern, at)
				}
			}
		})
	}
}

// The same seed asks the same followers' questions at the same times, another
// one others.
func TestLoadSeed(t *testing.T) {
	ask := func(seed uint64) (questions []string) {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			var mu sync.Mutex
			p := startLoad(t, oa.Plain, func(_ *sim.Testing, r *oa.Request) (oa.Reply, error) {
				mu.Lock()
				defer mu.Unlock()
				questions = append(questions, fmt.Sprint(time.Since(began), r.Text()))
				return oa.Text(r.Text())
			})
			r := load(t, p, sim.LoadConfig{Followers: 5, Messages: 5, Pattern: sim.LoadRate, Rate: 5, Bytes: 200, Nasty: true, Seed: seed})
			if seed != 0 && r.Seed != seed || r.Seed == 0 {
				t.Errorf("the seed is %d", r.Seed)
			}
		})
		return questions
	}
	first := ask(7)
	if diff := cmp.Diff(first, ask(7)); diff != "" {
		t.Error(diff)
	}
	for _, seed := range []uint64{8, 0} {
		other := ask(seed)
		for i := range first {
			if first[i] == other[i] {
				t.Errorf("seed %d asks %q as well", seed, other[i])
			}
		}
	}
}

func TestLoadIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := startPattern(t)
		ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
		defer cancel()
		var seen []sim.LoadReport
		r, err := sim.Load(ctx, p.Account, sim.LoadConfig{Followers: 10, Messages: 100, Pattern: sim.LoadTalkative}, func(r sim.LoadReport) { seen = append(seen, r) })
		if !errors.Is(err, context.DeadlineExceeded) || r.Messages != 40 || r.Whole != 30 || r.Waiting != 10 {
			t.Errorf("%v\n%v", err, r)
		}
		if len(seen) != 3 || seen[0].Messages >= seen[2].Messages {
			t.Errorf("progress %v", seen)
		}
		time.Sleep(time.Second) // until the handlers are back
	})
}

func TestLoadConfig(t *testing.T) {
	good := sim.LoadConfig{Followers: 1, Messages: 1, Pattern: sim.LoadRate, Rate: 1}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for _, tt := range []struct {
		change func(c *sim.LoadConfig)
		want   string
	}{
		{func(c *sim.LoadConfig) { c.Followers = 0 }, "0 followers"},
		{func(c *sim.LoadConfig) { c.Followers = 1_000_001 }, "1000001 followers"},
		{func(c *sim.LoadConfig) { c.Messages = 0 }, "0 messages"},
		{func(c *sim.LoadConfig) { c.Pattern = "all" }, "rate, talkative or burst"},
		{func(c *sim.LoadConfig) { c.Rate = 0 }, "rate 0"},
		{func(c *sim.LoadConfig) { c.Rate = math.NaN() }, "rate NaN"},
		{func(c *sim.LoadConfig) { c.Rate = math.Inf(1) }, "rate +Inf"},
		{func(c *sim.LoadConfig) { c.Share = 1.1 }, "between 0 and 1"},
		{func(c *sim.LoadConfig) { c.Subscribe = math.NaN() }, "between 0 and 1"},
		{func(c *sim.LoadConfig) { c.Clicks = -.1 }, "between 0 and 1"},
		{func(c *sim.LoadConfig) { c.Others = 2 }, "between 0 and 1"},
		{func(c *sim.LoadConfig) { c.Bytes = 2001 }, "at most 2000"},
		{func(c *sim.LoadConfig) { c.Taps = -1 }, "-1 taps"},
		{func(c *sim.LoadConfig) { c.Think = -1 }, "negative"},
		{func(c *sim.LoadConfig) { c.Patience = -1 }, "negative"},
		{func(c *sim.LoadConfig) { c.Duration = -1 }, "negative"},
		{func(c *sim.LoadConfig) { c.Within = -1 }, "negative"},
	} {
		c := good
		tt.change(&c)
		if _, err := sim.Load(t.Context(), nil, c, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v", tt.want, err)
		}
	}
}
