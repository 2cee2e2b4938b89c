package model

import (
	"fmt"
	"time"
)

// Kind says what can be done about an error.
type Kind string

// The kinds of errors.
const (
	Busy        Kind = "busy"        // too many requests, here or at the provider; later
	Unavailable Kind = "unavailable" // the provider fails, is too slow or makes no sense; later
	Config      Kind = "config"      // the owner has to do something
	Filtered    Kind = "filtered"    // the provider does not answer this
	Cut         Kind = "cut"         // the answer broke off after its beginning
)

// Error is why an endpoint did not answer, in words for the account's owner.
type Error struct {
	Kind           Kind
	Endpoint       int // which of the model's
	Provider, Name string
	Status         int // of HTTP, or 0

	zh, en string
	cause  error // what became of the context, or nil
	again  bool  // it may work when tried again
	after  time.Duration
}

// Error returns "模型 deepseek/deepseek-v4-flash：中文（English）".
func (e *Error) Error() string {
	who := ""
	if e.Provider != "" {
		who = " " + e.who()
	}
	return fmt.Sprintf("模型%s：%s（model%s: %s）", who, e.zh, who, e.en)
}

func (e *Error) who() string { return e.Provider + "/" + e.Name }

// brief is the kind of the error: "busy, HTTP 429".
func (e *Error) brief() string {
	if e.Status == 0 {
		return string(e.Kind)
	}
	return fmt.Sprintf("%s, HTTP %d", e.Kind, e.Status)
}

// Unwrap returns the context's error where that is why.
func (e *Error) Unwrap() error { return e.cause }
