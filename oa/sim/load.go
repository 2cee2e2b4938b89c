package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"
)

// LoadPattern says when the followers of a [Load] write.
type LoadPattern string

// The patterns.
const (
	// LoadRate: questions come at a rate, at random times (Poisson), whether
	// those before are answered or not.
	LoadRate LoadPattern = "rate"
	// LoadTalkative: all begin at once, and each asks the next question some
	// time after the answer.
	LoadTalkative LoadPattern = "talkative"
	// LoadBurst: after a mass send, a share of the followers begin within
	// seconds, and then go on as the talkative do.
	LoadBurst LoadPattern = "burst"
)

// LoadConfig says who writes, how much and when. Chances and shares are between
// 0 and 1.
type LoadConfig struct {
	Followers int // new ones of the account, 1 to 1000000
	Messages  int // questions of each, 1 to 1000000
	Pattern   LoadPattern
	Rate      float64       // of LoadRate, questions a second in all
	Share     float64       // of LoadBurst, who of the followers write; 0 is all
	Within    time.Duration // of LoadBurst, when the last of them begins; 0 is 5 s

	Bytes     int     // of the longest question, at most 2000; 0 is as short as can be
	Nasty     bool    // questions have what servers are known to stumble over
	Subscribe float64 // the share of the followers who follow first; the rest does already
	Clicks    float64 // the chance of a menu click beside a question

	// Taps is how often at most, for one question, a follower whose answer is not
	// whole taps a link that says something (继续).
	Taps int
	// Others is the chance that another question comes before the tap. They are
	// on top of Messages.
	Others float64
	// Think is the time before a tap and before the next question: between half
	// and one and a half of it, at random.
	Think time.Duration
	// Patience is how long a follower waits for the answer, or the next part of
	// it; 0 is a minute.
	Patience time.Duration
	// Duration is after how long nobody asks a new question; 0 is never.
	Duration time.Duration
	// Seed makes two runs ask the same questions at the same times, the server
	// permitting; 0 is a random one.
	Seed uint64

	// Model is that which the server asks, if it asks one: its calls are counted,
	// and only what it has said is an answer.
	Model *Model
	// PID is the server's process, if what it takes is to be measured.
	PID int
}

const (
	maxLoadFollowers = 1_000_000
	maxLoadMessages  = 1_000_000
	maxLoadRate      = 1e6
	maxLoadBytes     = 2000
	// lateDoubles is how long, after the last answer, second ones are waited for.
	lateDoubles = 2 * time.Second
	// keptOfChat is how much of each chat can be looked at after a load.
	keptOfChat = 20
)

func (c *LoadConfig) patience() time.Duration { return cmp.Or(c.Patience, time.Minute) }

// Validate says what is wrong with the configuration.
func (c *LoadConfig) Validate() error {
	chance := func(f float64) bool { return f >= 0 && f <= 1 }
	switch {
	case c.Followers < 1 || c.Followers > maxLoadFollowers:
		return fmt.Errorf("sim: %d followers: it must be 1 to %d", c.Followers, maxLoadFollowers)
	case c.Messages < 1 || c.Messages > maxLoadMessages:
		return fmt.Errorf("sim: %d messages: it must be 1 to %d", c.Messages, maxLoadMessages)
	case c.Pattern != LoadRate && c.Pattern != LoadTalkative && c.Pattern != LoadBurst:
		return fmt.Errorf("sim: there is no pattern %q: use %s, %s or %s", c.Pattern, LoadRate, LoadTalkative, LoadBurst)
	case c.Pattern == LoadRate && !(c.Rate > 0 && c.Rate <= maxLoadRate): // NaN is neither
		return fmt.Errorf("sim: rate %v: it must be above 0, and at most %v", c.Rate, maxLoadRate)
	case !chance(c.Share) || !chance(c.Subscribe) || !chance(c.Clicks) || !chance(c.Others):
		return errors.New("sim: shares and chances must be between 0 and 1")
	case c.Bytes < 0 || c.Bytes > maxLoadBytes:
		return fmt.Errorf("sim: questions of %d bytes: it must be at most %d", c.Bytes, maxLoadBytes)
	case c.Taps < 0:
		return fmt.Errorf("sim: %d taps: it must be 0 or more", c.Taps)
	case min(c.Within, c.Think, c.Patience, c.Duration) < 0:
		return errors.New("sim: times must not be negative")
	}
	return nil
}

// Load has followers write to the server of an account, delivers what they write
// as WeChat does, and counts what comes of it. The server must repeat the number
// that is in each question ("#1234000001") in its answer, as one does that says
// what it was told, or what a [Model] says; answers without the number are not
// seen.
//
// Where progress is not nil, it is called about every second. Load ends when the
// last question is answered or given up, and two seconds more have brought no
// second answers. When ctx ends first, the error is its cause and the report is
// of what was until then.
func Load(ctx context.Context, a *Account, c LoadConfig, progress func(LoadReport)) (LoadReport, error) {
	if err := c.Validate(); err != nil {
		return LoadReport{}, err
	}
	l, err := newLoad(a, c)
	if err != nil {
		return LoadReport{}, err
	}
	stop := a.p.events.watch(l.watch)
	defer stop()
	measuring, measured := context.WithCancel(ctx)
	var monitor sync.WaitGroup
	monitor.Go(func() { l.monitor(measuring, progress) })

	l.write(ctx)
	l.work.Wait()
	sleep(ctx, lateDoubles)
	measured()
	monitor.Wait()
	l.sample()
	return l.report(), context.Cause(ctx)
}

// load is a Load at work.
type load struct {
	config  LoadConfig
	talkers []*talker
	work    sync.WaitGroup
	self    *process
	target  *process
	calls   int // of the model, before
	*tally
}

func newLoad(a *Account, c LoadConfig) (*load, error) {
	c.Seed = cmp.Or(c.Seed, 1+rand.Uint64N(1e9))
	l := &load{config: c, self: measure(os.Getpid())}
	if c.PID != 0 {
		if l.target = measure(c.PID); l.target == nil && l.self != nil {
			return nil, fmt.Errorf("sim: there is no process %d", c.PID)
		}
	}
	if c.Model != nil {
		l.calls, _ = c.Model.called()
	}
	random := l.random(0)
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	for range c.Followers {
		t := &talker{follower: a.newFollower(a.p.openID()), subscribes: random.Float64() < c.Subscribe, here: make(chan struct{})}
		t.follower.keep = keptOfChat
		if !t.subscribes {
			t.follower.following, t.follower.since = true, a.p.now()
		}
		l.talkers = append(l.talkers, t)
	}
	l.tally = newTally(a.config.AppID, l.talkers, &c)
	return l, nil
}

// random are numbers that depend on the seed and n only.
func (l *load) random(n int64) *rand.Rand {
	return rand.New(rand.NewPCG(l.config.Seed, uint64(n)))
}

// sample measures the processes.
func (l *load) sample() {
	l.self.sample()
	l.target.sample()
}

// monitor measures four times a second and tells the progress.
func (l *load) monitor(ctx context.Context, progress func(LoadReport)) {
	const every = 4
	for n := 1; sleep(ctx, time.Second/every); n++ {
		l.sample()
		if progress != nil && n%every == 0 {
			progress(l.report())
		}
	}
}

// write has the followers write, as the pattern says.
func (l *load) write(ctx context.Context) {
	random := l.random(1)
	if l.config.Pattern == LoadRate {
		l.atRate(ctx, random)
		return
	}
	writers, within := l.talkers, time.Duration(0)
	if l.config.Pattern == LoadBurst {
		within = cmp.Or(l.config.Within, 5*time.Second)
		if share := l.config.Share; share > 0 {
			writers = writers[:max(int(share*float64(len(writers))), 1)]
		}
	}
	for _, t := range writers {
		first := l.began.Add(time.Duration(random.Float64() * float64(within)))
		own := rand.New(rand.NewPCG(random.Uint64(), 0))
		l.work.Go(func() { l.talk(ctx, t, first, own) })
	}
}

// atRate asks the questions of all followers in turn.
func (l *load) atRate(ctx context.Context, random *rand.Rand) {
	next := l.began
	for i := range l.config.Followers * l.config.Messages {
		next = next.Add(time.Duration(random.ExpFloat64() / l.config.Rate * float64(time.Second)))
		if l.late(next) || !sleep(ctx, time.Until(next)) {
			return
		}
		t, due := l.talkers[i%len(l.talkers)], next
		l.work.Go(func() {
			if i < len(l.talkers) {
				if l.arrive(ctx, t) {
					due = time.Now()
				}
			} else if !t.isHere(ctx) {
				return
			}
			l.ask(ctx, t, due, l.config.Others)
		})
	}
}

// talk asks one question after the other, each some time after the answer.
func (l *load) talk(ctx context.Context, t *talker, due time.Time, random *rand.Rand) {
	if !sleep(ctx, time.Until(due)) {
		return
	}
	if l.arrive(ctx, t) {
		due = time.Now()
	}
	for i := range l.config.Messages {
		if i > 0 {
			due = time.Now().Add(l.think(random))
		}
		if l.late(due) || !sleep(ctx, time.Until(due)) {
			return
		}
		l.ask(ctx, t, due, l.config.Others)
	}
}

// late reports whether nobody asks anything any more.
func (l *load) late(at time.Time) bool {
	return l.config.Duration > 0 && at.Sub(l.began) > l.config.Duration
}

// think is a time to think.
func (l *load) think(random *rand.Rand) time.Duration {
	return l.config.Think/2 + time.Duration(random.Float64()*float64(l.config.Think))
}

// sleep waits, and reports false if ctx ends meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
