package turn

import (
	"math"
	"sync"
	"time"
)

// The times of WeChat's patience (reference §4.1).
const (
	// lastAge is the age of a message from which on a delivery is the last: the
	// second comes at 5 s, the third at 10 s.
	lastAge = 9 * time.Second
	// lastCount is how many deliveries, one after the other, there are at most.
	lastCount = 3
	// giveUp is how long after the first delivery no further one comes.
	giveUp = 17 * time.Second
	// confirmAfter is how long after a reply a repeat would have come, had the
	// reply not been accepted.
	confirmAfter = 6 * time.Second
)

// Budget of deliberate time-outs (reference §4.6): what WeChat counts as
// failures of the server.
const (
	budgetWindow = 5 * time.Minute
	// A silence this long after failures, on an account with traffic, is taken
	// for MarkFail; no time-outs are spent for the time after it.
	suspectSilence = 55 * time.Second
	suspectRides   = 5
	suspectPause   = 10 * time.Minute
)

// How the difference of the clocks is found out: by the least time that ever
// lay between a message's CreateTime and its arrival. A message that arrives
// late may be a repeat whose first delivery never came, so that a large
// difference is believed only when several messages show it, and none of those
// whose deliveries were under way when the process started.
const (
	believableLag = 3 * time.Second
	lateMessages  = 3
	startingUp    = 20 * time.Second
)

// patience is what is known of WeChat's deliveries to one account.
type patience struct {
	began time.Time // of the process

	mu   sync.Mutex
	skew time.Duration // least of arrival − CreateTime
	seen bool
	late int // messages that arrived with a large difference

	tokens   float64
	filled   time.Time
	pausedTo time.Time

	arrived time.Time // of the last delivery
	traffic int       // deliveries in the last minute before a silence
	minute  time.Time
	rides   []time.Time
}

// note takes notice of a first delivery. It reports true where a silence looks
// like MarkFail.
func (p *patience) note(arrived time.Time, created int64) (suspected bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	lag := arrived.Sub(time.Unix(created, 0))
	if lag <= believableLag || arrived.Sub(p.began) > startingUp {
		if !p.seen || lag < p.skew {
			p.skew, p.seen = lag, true
		}
		if lag > believableLag {
			p.late++
		}
	}
	if !p.arrived.IsZero() && arrived.Sub(p.arrived) >= suspectSilence && p.traffic >= 10 {
		recent := 0
		for _, ride := range p.rides {
			if p.arrived.Sub(ride) < 2*time.Minute {
				recent++
			}
		}
		if recent >= suspectRides && arrived.After(p.pausedTo) {
			p.pausedTo, suspected = arrived.Add(suspectPause), true
		}
	}
	if arrived.Sub(p.minute) >= time.Minute {
		p.minute, p.traffic = arrived, 0
	}
	p.traffic++
	p.arrived = arrived
	return suspected
}

// age is how old a message is when a delivery of it arrives. If in doubt it is
// older: a wrong last delivery costs 5 s, one that is not seen to be the last
// ends with the fault notice.
func (p *patience) age(arrived time.Time, created int64) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	age := arrived.Sub(time.Unix(created, 0))
	if p.seen && (p.skew <= believableLag || p.late >= lateMessages) {
		age -= p.skew
	}
	return age
}

// ride takes one deliberate time-out from a budget of so many in five minutes;
// below 0 there is no limit. A part of one is one, that comes back as slowly.
func (p *patience) ride(now time.Time, budget float64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if budget >= 0 {
		if budget == 0 || now.Before(p.pausedTo) {
			return false
		}
		most := max(budget, 1)
		if p.filled.IsZero() {
			p.tokens = most
		} else {
			p.tokens = min(most, p.tokens+budget*now.Sub(p.filled).Seconds()/budgetWindow.Seconds())
		}
		p.filled = now
		if p.tokens < 1 {
			return false
		}
		p.tokens--
	}
	if len(p.rides) >= suspectRides {
		p.rides = p.rides[1:]
	}
	p.rides = append(p.rides, now)
	return true
}

// How long before the deadline of a delivery it is decided what becomes of it:
// the decision has to be committed before it can be written. Where commits take
// longer than usual, on a busy disk, there is more time for them.
const (
	commitMargin = 250 * time.Millisecond
	writeMargin  = 40 * time.Millisecond // when nobody waits for the commit any more
	mostMargin   = 2 * time.Second
	paceHalves   = 10 * time.Second // a slow commit counts half after so long
)

// pace is how long commits take.
type pace struct {
	mu    sync.Mutex
	worst time.Duration
	at    time.Time
}

func (p *pace) took(d time.Duration, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d >= p.faded(now) {
		p.worst, p.at = d, now
	}
}

// faded is what is left of the slowest commit.
func (p *pace) faded(now time.Time) time.Duration {
	return time.Duration(float64(p.worst) * math.Exp2(-now.Sub(p.at).Seconds()/paceHalves.Seconds()))
}

// margin is the time to leave for a commit.
func (p *pace) margin(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return min(max(commitMargin, 3*p.faded(now)/2), mostMargin)
}
