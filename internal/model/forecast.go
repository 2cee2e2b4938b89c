package model

import (
	"slices"
	"time"

	"github.com/wenzihq/wenzi/internal/bot"
)

const (
	maxSamples = 32 // the last answers count
	minSamples = 3
	maxSpeeds  = 1000
)

// speedKey is where a model is asked first.
type speedKey struct{ address, name string }

// speed is how the last answers of a model came.
type speed struct {
	samples []sample
	next    int // the oldest
	at      time.Time
}

type sample struct {
	total  time.Duration // from the call to the end
	length int           // in bytes
	rate   float64       // bytes a second, from the first text on
}

func speedOf(m bot.Model) speedKey {
	return speedKey{m.Endpoints[0].BaseURL, m.Endpoints[0].Name}
}

// learn notes an answer, whichever endpoint gave it: who asks the model waits for
// its backups too.
func (p *Pool) learn(m bot.Model, r Result) {
	s := sample{total: r.Total, length: len(r.Text)}
	s.rate = float64(s.length) / max(r.Total-r.FirstText, time.Millisecond).Seconds()
	key := speedOf(m)
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.speeds[key]
	if known == nil {
		p.forgetOldest()
		known = new(speed)
		p.speeds[key] = known
	}
	known.at = time.Now()
	if len(known.samples) < maxSamples {
		known.samples = append(known.samples, s)
		return
	}
	known.samples[known.next] = s
	known.next = (known.next + 1) % maxSamples
}

// forgetOldest makes room for another model.
func (p *Pool) forgetOldest() {
	if len(p.speeds) < maxSpeeds {
		return
	}
	var oldest speedKey
	var at time.Time
	for key, s := range p.speeds {
		if at.IsZero() || s.at.Before(at) {
			oldest, at = key, s.at
		}
	}
	delete(p.speeds, oldest)
}

// Expect says when an answer will probably be whole that was asked for at started and
// has so many bytes by now, going by the last answers of the model that took
// longer, or became longer. It is not known before there are a few, or when none did.
func (p *Pool) Expect(m bot.Model, started time.Time, size int) (ready time.Time, known bool) {
	if m.IsZero() {
		return time.Time{}, false
	}
	key := speedOf(m.WithDefaults())
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.speeds[key]
	if s == nil || len(s.samples) < minSamples {
		return time.Time{}, false
	}
	now := time.Now()
	var totals []time.Duration
	var lengths []int
	var rates []float64
	for _, sample := range s.samples {
		if sample.total > now.Sub(started) {
			totals = append(totals, sample.total)
		}
		if sample.length > size {
			lengths = append(lengths, sample.length)
		}
		rates = append(rates, sample.rate)
	}
	switch {
	case size == 0 && len(totals) > 0:
		return started.Add(median(totals)), true
	case size > 0 && len(lengths) > 0:
		left := float64(median(lengths)-size) / median(rates)
		return now.Add(time.Duration(left * float64(time.Second))), true
	}
	return time.Time{}, false
}

func median[T int | float64 | time.Duration](values []T) T {
	slices.Sort(values)
	return values[len(values)/2]
}
