package sim

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ModelSettings say how a [Model] answers. The zero value answers at once with
// an echo of the question. Where the question has numbers such as #123456, which
// those of [Load] have, the answer begins with 答#123456 and ends with 完#123456,
// but for one that Text gives, or that Bytes leaves no room in.
type ModelSettings struct {
	// Delay is how long a whole answer takes: a duration such as "8s", or a
	// log-normal distribution that is drawn from for every request: "fast" has
	// a median of 3 s and 95 % within 8 s, "typical" 6 s and 20 s, "reasoning"
	// 18 s and 60 s, two thirds of which go to reasoning_content. Where it is
	// empty, FirstToken and TokensPerSecond say how long an answer takes.
	Delay string `json:"delay,omitempty"`
	// FirstToken is the time to the first token, a duration such as "500ms".
	// Empty is a quarter of Delay, or no time.
	FirstToken string `json:"first_token,omitempty"`
	// TokensPerSecond is 0.001 to 1000000, or 0 for all tokens at once. A token
	// is a Chinese character, or four letters. It is not used beside Delay.
	TokensPerSecond float64 `json:"tokens_per_second,omitempty"`
	// Seed begins the random numbers. The time that the nth request with a
	// question takes depends on Seed, n and the question only.
	Seed uint64 `json:"seed,omitempty"`

	// Text is the answer to everything. Where it is empty and Bytes is 0, the
	// answer is an echo of the question in some sentences.
	Text string `json:"text,omitempty"`
	// Bytes is the length of an answer of that many bytes of markdown, at most
	// 1 MiB.
	Bytes int `json:"bytes,omitempty"`

	// FailNext is how many requests are refused with FailStatus from now on.
	// Each takes one off.
	FailNext int `json:"fail_next,omitempty"`
	// FailStatus is 400 to 599; 0 is 500. A 429 has a Retry-After of 2 s.
	FailStatus int `json:"fail_status,omitempty"`
	// Trouble is what goes wrong with an answer.
	Trouble ModelTrouble `json:"trouble,omitempty"`
	// After is the number of tokens that come before a break or a stall.
	After int `json:"after,omitempty"`
}

// ModelTrouble is what goes wrong with an answer.
type ModelTrouble string

// The troubles.
const (
	ModelBreaks   ModelTrouble = "break"          // the connection ends in the middle
	ModelStalls   ModelTrouble = "stall"          // nothing more comes, and no end
	ModelEmpty    ModelTrouble = "empty"          // the answer has no text
	ModelFiltered ModelTrouble = "content_filter" // nor this one, for that reason
	ModelGarbage  ModelTrouble = "garbage"        // the answer is no JSON
)

var modelTroubles = []ModelTrouble{ModelBreaks, ModelStalls, ModelEmpty, ModelFiltered, ModelGarbage}

const (
	maxModelTime  = 24 * time.Hour
	maxModelBytes = 1 << 20
	minTokenRate  = 0.001
	maxTokenRate  = 1e6
)

// modelPlan is ModelSettings that were read and are right.
type modelPlan struct {
	ModelSettings
	delay lognormal
	first time.Duration
}

func (s ModelSettings) plan() (modelPlan, error) {
	p := modelPlan{ModelSettings: s}
	var err error
	if d, ok := modelDelays[s.Delay]; ok {
		p.delay = d
	} else if p.delay.median, err = modelTime(s.Delay); err != nil {
		return p, fmt.Errorf("sim: delay %q: it must be a duration such as \"8s\", at most 24h, or one of %s",
			clip(s.Delay), strings.Join(slices.Sorted(maps.Keys(modelDelays)), ", "))
	}
	if p.first, err = modelTime(s.FirstToken); err != nil {
		return p, fmt.Errorf("sim: first_token %q: it must be a duration such as \"500ms\", at most 24h", clip(s.FirstToken))
	}
	switch rate := s.TokensPerSecond; {
	case rate != 0 && !(rate >= minTokenRate && rate <= maxTokenRate): // NaN is neither
		return p, fmt.Errorf("sim: tokens_per_second %v: it must be 0, or %v to %v", rate, minTokenRate, maxTokenRate)
	case s.Bytes < 0 || s.Bytes > maxModelBytes || len(s.Text) > maxModelBytes:
		return p, fmt.Errorf("sim: an answer has at most %d bytes", maxModelBytes)
	case s.FailNext < 0 || s.After < 0:
		return p, fmt.Errorf("sim: fail_next %d, after %d: neither can be negative", s.FailNext, s.After)
	case s.FailStatus != 0 && (s.FailStatus < 400 || s.FailStatus > 599):
		return p, fmt.Errorf("sim: fail_status %d: it must be 400 to 599", s.FailStatus)
	case s.Trouble != "" && !slices.Contains(modelTroubles, s.Trouble):
		return p, fmt.Errorf("sim: there is no trouble %q, only %q", clip(string(s.Trouble)), modelTroubles)
	}
	return p, nil
}

func modelTime(s string) (time.Duration, error) {
	d, err := time.ParseDuration(cmp.Or(s, "0"))
	if err == nil && (d < 0 || d > maxModelTime) {
		err = fmt.Errorf("sim: %v is out of range", d)
	}
	return d, err
}

// Named returns the settings as the name of a model changes them; see [Model].
func (s ModelSettings) Named(model string) (ModelSettings, error) {
	p, err := s.named(model)
	return p.ModelSettings, err
}

// named is Named with the settings read.
func (s ModelSettings) named(model string) (modelPlan, error) {
	for i, term := range strings.Split(model, ",") {
		key, value, assigned := strings.Cut(term, "=")
		_, isDelay := modelDelays[term]
		switch {
		case assigned:
			if err := s.assign(key, value); err != nil {
				return modelPlan{}, err
			}
		case isDelay:
			s.Delay = term
		case slices.Contains(modelTroubles, ModelTrouble(term)):
			s.Trouble = ModelTrouble(term)
		case i > 0:
			return modelPlan{}, fmt.Errorf("sim: %q is nothing that can be set by the model's name", clip(term))
		}
	}
	return s.plan()
}

// assign sets what has the JSON name key.
func (s *ModelSettings) assign(key, value string) (err error) {
	switch key {
	case "delay":
		s.Delay = value
	case "first_token":
		s.FirstToken = value
	case "tokens_per_second":
		s.TokensPerSecond, err = strconv.ParseFloat(value, 64)
	case "seed":
		s.Seed, err = strconv.ParseUint(value, 10, 64)
	case "text":
		s.Text, s.Bytes = value, 0
	case "bytes":
		s.Text = ""
		s.Bytes, err = strconv.Atoi(value)
	case "fail_status":
		s.FailNext = 1
		s.FailStatus, err = strconv.Atoi(value)
	case "trouble":
		s.Trouble = ModelTrouble(value)
	case "after":
		s.After, err = strconv.Atoi(value)
	default:
		return fmt.Errorf("sim: %q is nothing that can be set by the model's name", clip(key))
	}
	if err != nil {
		return fmt.Errorf("sim: %s must be a number, not %q", key, clip(value))
	}
	return nil
}

// lognormal is a distribution of durations. Without p95 everything is median.
type lognormal struct{ median, p95 time.Duration }

var modelDelays = map[string]lognormal{
	"fast":      {3 * time.Second, 8 * time.Second},
	"typical":   {6 * time.Second, 20 * time.Second},
	"reasoning": {18 * time.Second, 60 * time.Second},
}

// at is the duration that a standard normal number stands for.
func (l lognormal) at(normal float64) time.Duration {
	if l.p95 == 0 {
		return l.median
	}
	const z95 = 1.6448536269514722 // 95 % of a standard normal are below
	sigma := math.Log(float64(l.p95)/float64(l.median)) / z95
	return time.Duration(min(float64(l.median)*math.Exp(sigma*normal), float64(maxModelTime)))
}

// modelTiming says when the tokens of an answer are due, from the request on.
type modelTiming struct {
	first, step time.Duration
	end         time.Duration // of the answer as a whole
}

func (t modelTiming) token(i int) time.Duration { return min(t.first+time.Duration(i)*t.step, t.end) }

// timing is that of an answer of n tokens.
func (p *modelPlan) timing(n int, normal float64) modelTiming {
	gaps := max(n-1, 1)
	if p.Delay != "" {
		end := p.delay.at(normal)
		first := p.first
		if p.FirstToken == "" {
			first = end / 4
		}
		first = min(first, end)
		return modelTiming{first: first, step: (end - first) / time.Duration(gaps), end: end}
	}
	t := modelTiming{first: p.first}
	if p.TokensPerSecond > 0 {
		t.step = time.Duration(float64(time.Second) / p.TokensPerSecond)
	}
	t.end = t.first + time.Duration(max(n-1, 0))*t.step
	return t
}
