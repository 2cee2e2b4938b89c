package sim

import (
	"net/http"
	"slices"
	"time"

	"github.com/wenzihq/wenzi/catalogue"
)

func (c *Control) handleSettings() {
	c.handle("GET /sim/settings", func(*order) (any, error) { return shownSettings(c.platform.Settings()), nil })
	c.handle("PUT /sim/settings", func(o *order) (any, error) { return o.setSettings(Settings{}) })
	c.handle("PATCH /sim/settings", func(o *order) (any, error) { return o.setSettings(c.platform.Settings()) })

	c.handle("GET /sim/trouble", func(*order) (any, error) { return troubleOf(c.platform.Trouble()), nil })
	c.handle("PUT /sim/trouble", func(o *order) (any, error) {
		return o.setTrouble(func(*Trouble) troubleJSON { return troubleJSON{} })
	})
	c.handle("PATCH /sim/trouble", func(o *order) (any, error) {
		return o.setTrouble(func(t *Trouble) troubleJSON { return troubleOf(*t) })
	})
	c.handle("POST /sim/failures", (*order).failNext)

	c.handle("GET /sim/clock", (*order).readClock)
	c.handle("POST /sim/clock", (*order).advance)

	c.handle("GET /sim/model", func(*order) (any, error) { return c.model.Settings(), nil })
	c.handle("PUT /sim/model", func(o *order) (any, error) { return o.setModel(ModelSettings{}) })
	c.handle("PATCH /sim/model", func(o *order) (any, error) { return o.setModel(c.model.Settings()) })
	c.handle("GET /sim/model/stats", func(*order) (any, error) { return c.model.Stats(), nil })

	c.handle("POST /sim/reset", (*order).reset)
}

// settingsJSON is [Settings] with durations as strings.
type settingsJSON struct {
	Settings
	Timeout       duration `json:"timeout"`
	Jitter        duration `json:"jitter"`
	MarkPause     duration `json:"mark_pause"`
	MessageWindow duration `json:"message_window"`
	EventWindow   duration `json:"event_window"`
	TypingWindow  duration `json:"typing_window"`
	TypingLasts   duration `json:"typing_lasts"`
	JobDelay      duration `json:"job_delay"`
}

func settingsOf(s Settings) settingsJSON {
	return settingsJSON{
		Settings: s, Timeout: duration(s.Timeout), Jitter: duration(s.Jitter), MarkPause: duration(s.MarkPause),
		MessageWindow: duration(s.MessageWindow), EventWindow: duration(s.EventWindow),
		TypingWindow: duration(s.TypingWindow), TypingLasts: duration(s.TypingLasts), JobDelay: duration(s.JobDelay),
	}
}

// shownSettings are the settings with what their zeroes stand for.
func shownSettings(s Settings) settingsJSON {
	s.Timeout, s.MaxTextBytes = s.timeout(), s.maxTextBytes()
	s.Deliveries, s.QuickRepeats = s.deliveries(), s.quickRepeats()
	s.MarkFailures, s.MarkPause = s.markFailures(), s.markPause()
	s.MessageQuota, s.MessageWindow = s.messageQuota(), s.messageWindow()
	s.EventQuota, s.EventWindow = s.eventQuota(), s.eventWindow()
	s.TypingWindow, s.TypingLasts, s.JobDelay = s.typingWindow(), s.typingLasts(), s.jobDelay()
	return settingsOf(s)
}

func (j settingsJSON) settings() (Settings, error) {
	s := j.Settings
	s.Timeout, s.Jitter, s.MarkPause = time.Duration(j.Timeout), time.Duration(j.Jitter), time.Duration(j.MarkPause)
	s.MessageWindow, s.EventWindow = time.Duration(j.MessageWindow), time.Duration(j.EventWindow)
	s.TypingWindow, s.TypingLasts, s.JobDelay = time.Duration(j.TypingWindow), time.Duration(j.TypingLasts), time.Duration(j.JobDelay)
	if err := sane(j.Timeout, j.Jitter, j.MarkPause, j.MessageWindow, j.EventWindow, j.TypingWindow, j.TypingLasts, j.JobDelay); err != nil {
		return s, err
	}
	if s.Deliveries < 0 || s.MaxTextBytes < 0 || s.MessageQuota < 0 || s.EventQuota < 0 {
		return s, badValue("deliveries, max_text_bytes, message_quota, event_quota", "不能小于 0", "they cannot be below 0")
	}
	return s, nil
}

// maxDuration is the longest duration of a setting: the clock has a limit.
const maxDuration = 10 * 366 * 24 * time.Hour

func sane(durations ...duration) error {
	if slices.ContainsFunc(durations, func(d duration) bool { return d < 0 || time.Duration(d) > maxDuration }) {
		return &controlError{http.StatusBadRequest, "bad_value",
			"时长要在 0 和 " + maxDuration.String() + " 之间", "a duration must be between 0 and " + maxDuration.String()}
	}
	return nil
}

// setSettings changes the members that the request has, from what they are now
// or from the defaults.
func (o *order) setSettings(from Settings) (any, error) {
	j := settingsOf(from)
	if err := o.read(&j); err != nil {
		return nil, err
	}
	s, err := j.settings()
	if err != nil {
		return nil, err
	}
	o.c.platform.SetSettings(s)
	return shownSettings(s), nil
}

// troubleJSON is [Trouble] with durations as strings.
type troubleJSON struct {
	Trouble
	Latency    duration `json:"latency,omitempty"`
	Reorder    duration `json:"reorder,omitempty"`
	Skew       duration `json:"skew,omitempty"`
	APILatency duration `json:"api_latency,omitempty"`
}

func troubleOf(t Trouble) troubleJSON {
	return troubleJSON{Trouble: t, Latency: duration(t.Latency), Reorder: duration(t.Reorder), Skew: duration(t.Skew), APILatency: duration(t.APILatency)}
}

func (j troubleJSON) trouble() (Trouble, error) {
	t := j.Trouble
	t.Latency, t.Reorder = time.Duration(j.Latency), time.Duration(j.Reorder)
	t.Skew, t.APILatency = time.Duration(j.Skew), time.Duration(j.APILatency)
	if err := sane(j.Latency, j.Reorder, max(j.Skew, -j.Skew), j.APILatency); err != nil {
		return t, err
	}
	for name, chance := range map[string]float64{"unreachable": t.Unreachable, "cut": t.Cut, "duplicate": t.Duplicate, "api_cut": t.APICut, "api_busy": t.APIBusy} {
		if chance < 0 || chance > 1 {
			return t, badValue(name, "是可能性，应在 0 和 1 之间", "it is a chance, between 0 and 1")
		}
	}
	for _, f := range t.Failures {
		if err := f.check(); err != nil {
			return t, err
		}
	}
	return t, nil
}

// setTrouble changes the members that the request has, beginning with what from
// makes of the trouble in force.
func (o *order) setTrouble(from func(*Trouble) troubleJSON) (any, error) {
	body, err := o.readBody()
	if err != nil {
		return nil, err
	}
	p := o.c.platform
	p.mu.Lock() // failures are used up meanwhile
	defer p.mu.Unlock()
	j := from(&p.trouble)
	j.Failures = slices.Clone(j.Failures)
	if err := decodeStrictly(body, &j); err != nil {
		return nil, err
	}
	t, err := j.trouble()
	if err != nil {
		return nil, err
	}
	p.trouble = t
	return troubleOf(t), nil
}

func (f Failure) check() error {
	c := catalogue.Load()
	if _, known := c.Endpoint(f.Endpoint); f.Endpoint != "" && !known && len(c.ByPath(f.Endpoint)) == 0 {
		return badValue("endpoint", "目录里没有这个接口；wenzi call --list 列出全部", "the catalogue has no such endpoint: wenzi call --list lists them")
	}
	if f.Times < 0 {
		return badValue("times", "不能小于 0", "it cannot be below 0")
	}
	return nil
}

// failNext makes the next calls of an endpoint fail, besides those that are to
// fail already.
func (o *order) failNext() (any, error) {
	var f Failure
	if err := o.read(&f); err != nil {
		return nil, err
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	p := o.c.platform
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trouble.Failures = append(slices.Clip(p.trouble.Failures), f)
	return troubleOf(p.trouble), nil
}

// clockJSON is the platform's clock.
type clockJSON struct {
	Now   time.Time `json:"now"`
	Ahead duration  `json:"ahead"` // of the real time
}

func (o *order) readClock() (any, error) {
	p := o.c.platform
	p.mu.Lock()
	defer p.mu.Unlock()
	return clockJSON{Now: p.now(), Ahead: duration(p.ahead)}, nil
}

func (o *order) advance() (any, error) {
	var j struct {
		Advance duration `json:"advance"`
	}
	if err := o.read(&j); err != nil {
		return nil, err
	}
	p := o.c.platform
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := sane(j.Advance, duration(p.ahead)+j.Advance); err != nil {
		return nil, err
	}
	p.ahead += time.Duration(j.Advance)
	return clockJSON{Now: p.now(), Ahead: duration(p.ahead)}, nil
}

func (o *order) setModel(from ModelSettings) (any, error) {
	if err := o.read(&from); err != nil {
		return nil, err
	}
	if err := o.c.model.Set(from); err != nil {
		return nil, notTaken(err)
	}
	return o.c.model.Settings(), nil
}

// reset makes the platform and the model new: no accounts, no trouble, the
// defaults, and the real time.
func (o *order) reset() (any, error) {
	if err := o.read(&struct{}{}); err != nil {
		return nil, err
	}
	o.c.platform.Reset()
	if err := o.c.model.Set(ModelSettings{}); err != nil {
		return nil, err
	}
	return struct{}{}, nil
}
