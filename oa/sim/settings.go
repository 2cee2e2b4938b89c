package sim

import (
	"cmp"
	"time"
)

// Settings are the facts by which a [Platform] lives. The zero value is what
// the reference takes to be true; what it marks as unconfirmed, or as changing
// over the years, is a field here. Durations are nanoseconds in JSON.
type Settings struct {
	Rules

	// Deliveries is how often a message is delivered in all when no response
	// comes in time; 0 is 3 (reference §4.1).
	Deliveries int `json:"deliveries,omitempty"`
	// QuickRepeats is how often a delivery is repeated at once after a status
	// other than 200; 0 is 3, so that such a message comes four times within
	// about a second (reference §4.1).
	QuickRepeats int `json:"quick_repeats,omitempty"`
	// BreaksRepeatAtOnce repeats a delivery whose connection failed or broke
	// without waiting for the end of its 5 s (unconfirmed).
	BreaksRepeatAtOnce bool `json:"breaks_repeat_at_once,omitempty"`
	// Jitter makes WeChat's patience longer by up to so much, at random.
	Jitter time.Duration `json:"jitter,omitempty"`
	// RenewSignature signs repeats anew instead of sending them with the
	// signature, timestamp and nonce of the first (reference §4.1).
	RenewSignature bool `json:"renew_signature,omitempty"`

	// MarkFailures is how many failed deliveries within five minutes make WeChat
	// stop pushing to a server (MarkFail, 自动屏蔽, reference §4.6); 0 is 30.
	// The threshold is not published. Below 0 it never does.
	MarkFailures int `json:"mark_failures,omitempty"`
	// MarkPause is for how long; 0 is a minute. What followers send meanwhile is
	// lost, and they see the fault notice (unconfirmed).
	MarkPause time.Duration `json:"mark_pause,omitempty"`

	// MessageQuota and MessageWindow are what a follower's message allows to
	// push; 0 is 5 customer-service messages within 48 hours (reference §9.3).
	MessageQuota  int           `json:"message_quota,omitempty"`
	MessageWindow time.Duration `json:"message_window,omitempty"`
	// EventQuota and EventWindow are the same for following, scanning and menu
	// clicks; 0 is 3 within a minute.
	EventQuota  int           `json:"event_quota,omitempty"`
	EventWindow time.Duration `json:"event_window,omitempty"`
	// MenuMessageIsText counts a tap on a bizmsgmenu link as a message instead
	// of as a menu click (reference §9.3).
	MenuMessageIsText bool `json:"menu_message_is_text,omitempty"`
	// TypingWindow is how long after an act of the follower the typing state may
	// be set, 0 is 30 s; TypingLasts is how long it shows, 0 is 15 s.
	TypingWindow time.Duration `json:"typing_window,omitempty"`
	TypingLasts  time.Duration `json:"typing_lasts,omitempty"`

	// JobDelay is how long mass sends, publishing and template messages take
	// until their event; 0 is 200 ms.
	JobDelay time.Duration `json:"job_delay,omitempty"`
}

func (s *Settings) deliveries() int          { return cmp.Or(s.Deliveries, 3) }
func (s *Settings) quickRepeats() int        { return cmp.Or(s.QuickRepeats, 3) }
func (s *Settings) markFailures() int        { return cmp.Or(s.MarkFailures, 30) }
func (s *Settings) markPause() time.Duration { return cmp.Or(s.MarkPause, time.Minute) }
func (s *Settings) messageQuota() int        { return cmp.Or(s.MessageQuota, 5) }
func (s *Settings) eventQuota() int          { return cmp.Or(s.EventQuota, 3) }
func (s *Settings) jobDelay() time.Duration  { return cmp.Or(s.JobDelay, 200*time.Millisecond) }
func (s *Settings) messageWindow() time.Duration {
	return cmp.Or(s.MessageWindow, 48*time.Hour)
}
func (s *Settings) eventWindow() time.Duration  { return cmp.Or(s.EventWindow, time.Minute) }
func (s *Settings) typingWindow() time.Duration { return cmp.Or(s.TypingWindow, 30*time.Second) }
func (s *Settings) typingLasts() time.Duration  { return cmp.Or(s.TypingLasts, 15*time.Second) }

// Trouble is what goes wrong, on demand. The zero value is a good day. Chances
// are between 0 and 1.
type Trouble struct {
	// Latency delays every delivery on its way to the server, inside WeChat's
	// 5 s.
	Latency time.Duration `json:"latency,omitempty"`
	// Unreachable is the chance that a delivery finds no server.
	Unreachable float64 `json:"unreachable,omitempty"`
	// Cut is the chance that the connection breaks before the response is back:
	// the server has handled the delivery, WeChat knows nothing of it.
	Cut float64 `json:"cut,omitempty"`
	// Duplicate is the chance that a delivery comes twice at the same time.
	Duplicate float64 `json:"duplicate,omitempty"`
	// Reorder delays messages by up to so much before their first delivery, each
	// by itself, so that they overtake each other.
	Reorder time.Duration `json:"reorder,omitempty"`
	// Skew is how far WeChat's clock is ahead of the server's: it moves
	// CreateTime and the timestamp of the signature.
	Skew time.Duration `json:"skew,omitempty"`

	// APILatency delays the API's answers.
	APILatency time.Duration `json:"api_latency,omitempty"`
	// APICut is the chance that a call is carried out, but its connection breaks
	// before the answer: the caller cannot know.
	APICut float64 `json:"api_cut,omitempty"`
	// APIBusy is the chance that a call fails with -1.
	APIBusy float64 `json:"api_busy,omitempty"`
	// Failures make the next calls fail.
	Failures []Failure `json:"failures,omitempty"`
}

// Failure makes the next calls of an endpoint fail.
type Failure struct {
	// Endpoint is the id in the catalogue, such as "custom_message_send", or the
	// path; empty means every endpoint.
	Endpoint string `json:"endpoint,omitempty"`
	// Code is the return code; 0 breaks the connection instead.
	Code int `json:"code,omitempty"`
	// Times is how often, from now on; 0 is once.
	Times int `json:"times,omitempty"`
}
