package api

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Categories of errors, for [errors.Is]. An error of a call belongs to one of
// them, and perhaps to ErrUnknownOutcome too. It belongs to none when only the
// caller's context ended, or when the platform's code is not known.
var (
	ErrToken        = errors.New("access token refused")
	ErrConfig       = errors.New("account wrongly configured")
	ErrPermission   = errors.New("account has no permission")
	ErrIPNotAllowed = errors.New("ip not allowed")
	ErrQuota        = errors.New("quota used up")
	ErrRate         = errors.New("calls too frequent")
	ErrWindowClosed = errors.New("window for answers closed")
	ErrFollowerGone = errors.New("follower cannot be reached")
	ErrBusy         = errors.New("platform busy")
	ErrBadRequest   = errors.New("bad request")
	ErrContent      = errors.New("content refused")
	ErrNotFound     = errors.New("not found")
	ErrDuplicate    = errors.New("already done")
	ErrReauthorize  = errors.New("authorisation needed again")
	ErrConfirm      = errors.New("administrator must confirm")
	ErrPartial      = errors.New("some items failed")
	ErrNotReady     = errors.New("data not ready")
	ErrRetired      = errors.New("endpoint switched off")
	// ErrUnreachable is a platform that did not answer, or not with JSON.
	ErrUnreachable = errors.New("platform not reachable")
	// ErrUnknownOutcome is a call that may or may not have been carried out:
	// the request was sent and no proper answer came. Repeating it can send a
	// message twice, so the client does not, unless the call only reads.
	ErrUnknownOutcome = errors.New("outcome unknown")
)

// Error is a failed call.
type Error struct {
	Endpoint   string // the endpoint's id, or its path when it has none
	Code       int    // the platform's return code; 0 when it gave none
	Msg        string // the platform's errmsg, without the rid
	RID        string // names the request to the platform, for 7 days
	IP         string // the address of ours that the platform refused (40164, 61004)
	HTTPStatus int    // 0 when there was no answer

	category category
	unknown  bool  // the call may have been carried out
	cause    error // of a failed transport, without any address
}

var (
	ridPattern = regexp.MustCompile(`(?:,?\s*)(?:rid:\s*([0-9a-f-]+)|hints?:\s*\[([^\]]*)\])`)
	ipPattern  = regexp.MustCompile(`(?i)(?:invalid ip|requestip:?)\s+([0-9a-f:.]+)`)
)

// newError makes the error of a return code.
func newError(ep *Endpoint, status, code int, msg string) *Error {
	e := &Error{Endpoint: cmp.Or(ep.ID, ep.Path), Code: code, HTTPStatus: status}
	if m := ridPattern.FindStringSubmatch(msg); m != nil {
		e.RID = cmp.Or(m[1], m[2])
		msg = strings.Replace(msg, m[0], "", 1)
	}
	if m := ipPattern.FindStringSubmatch(msg); m != nil {
		e.IP = strings.TrimPrefix(m[1], "::ffff:")
	}
	e.Msg = strings.TrimSpace(msg)
	e.category = categoryOf(ep, code)
	return e
}

// unanswered makes the error of a call without a proper answer.
func unanswered(ep *Endpoint, status int, cause error) *Error {
	return &Error{Endpoint: cmp.Or(ep.ID, ep.Path), HTTPStatus: status, cause: cause, category: catUnreachable, unknown: !ep.Reads}
}

func categoryOf(ep *Endpoint, code int) category {
	switch {
	case code == 40001 && ep.Auth == NoToken:
		return catConfig // where no token is sent, 40001 speaks of the AppSecret
	case slices.Contains(tokenCodes, code) && ep.Auth == UserToken:
		return catReauthorize // the token of a visitor, not the account's
	}
	info, _ := lookupCode(code)
	return info.category
}

// Error says what failed, in the platform's words and in Chinese, and what to
// do about it.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "api: %s: ", e.Endpoint)
	switch {
	case e.Code != 0:
		fmt.Fprintf(&b, "%d", e.Code)
		for _, part := range []string{e.Meaning(), e.Msg} {
			if part != "" {
				b.WriteString(" " + part)
			}
		}
	case e.cause != nil:
		b.WriteString(e.cause.Error())
		if e.HTTPStatus != 0 && e.HTTPStatus != 200 {
			fmt.Fprintf(&b, " (HTTP %d)", e.HTTPStatus)
		}
	default:
		fmt.Fprintf(&b, "HTTP %d", e.HTTPStatus)
	}
	if e.RID != "" {
		fmt.Fprintf(&b, " (rid %s)", e.RID)
	}
	if advice := e.Advice(); advice != "" {
		b.WriteString("；" + advice)
	}
	return b.String()
}

// Meaning is what the return code means, in Chinese; empty for unknown codes.
func (e *Error) Meaning() string {
	meaning, _, _ := CodeMeaning(e.Code)
	return meaning
}

// Advice is what to do about the error, in Chinese; empty for unknown codes.
func (e *Error) Advice() string {
	code := e.Code
	switch {
	case e.unknown:
		return "不知道这次调用有没有生效，先查证再决定是否重发"
	case code == 0:
		return ""
	case code == 40001 && e.category == catConfig:
		code = 40125
	case e.category == catReauthorize && e.tokenRefused():
		code = 42002
	}
	_, advice, _ := CodeMeaning(code)
	return advice
}

// Is reports whether the error belongs to a category.
func (e *Error) Is(target error) bool {
	return target != nil && target == categoryErrors[e.category] || target == ErrUnknownOutcome && e.unknown
}

// Unwrap returns the cause of a failed transport.
func (e *Error) Unwrap() error { return e.cause }

// codeInfo is one line of the dictionary of return codes.
type codeInfo struct {
	code     int
	category category
	meaning  string
	advice   string
}

// category is one of the categories above, as the dictionary writes it.
type category uint8

const (
	catOk category = iota
	catToken
	catConfig
	catPermission
	catIP
	catQuota
	catRate
	catWindowClosed
	catFollowerGone
	catBusy
	catBadRequest
	catContent
	catNotFound
	catDuplicate
	catReauthorize
	catConfirm
	catPartial
	catNotReady
	catRetired
	catUnreachable // not in the dictionary
)

var categoryErrors = [...]error{
	catOk:           nil,
	catToken:        ErrToken,
	catConfig:       ErrConfig,
	catPermission:   ErrPermission,
	catIP:           ErrIPNotAllowed,
	catQuota:        ErrQuota,
	catRate:         ErrRate,
	catWindowClosed: ErrWindowClosed,
	catFollowerGone: ErrFollowerGone,
	catBusy:         ErrBusy,
	catBadRequest:   ErrBadRequest,
	catContent:      ErrContent,
	catNotFound:     ErrNotFound,
	catDuplicate:    ErrDuplicate,
	catReauthorize:  ErrReauthorize,
	catConfirm:      ErrConfirm,
	catPartial:      ErrPartial,
	catNotReady:     ErrNotReady,
	catRetired:      ErrRetired,
	catUnreachable:  ErrUnreachable,
}

func lookupCode(code int) (codeInfo, bool) {
	i, ok := slices.BinarySearchFunc(codes, code, func(c codeInfo, n int) int { return cmp.Compare(c.code, n) })
	if !ok {
		return codeInfo{}, false
	}
	return codes[i], true
}

// CodeMeaning explains a return code in Chinese: what it means and what to do.
func CodeMeaning(code int) (meaning, advice string, ok bool) {
	info, ok := lookupCode(code)
	return info.meaning, info.advice, ok
}

// tokenCodes are the return codes of a token that is dead. The call was
// refused before it ran, so it may be repeated with another token.
var tokenCodes = []int{40001, 40014, 42001, 42007}

func (e *Error) tokenRefused() bool { return slices.Contains(tokenCodes, e.Code) }

// repeatable reports whether a call that reads is worth repeating at once.
func (e *Error) repeatable() bool {
	return e.category == catBusy || e.category == catUnreachable
}
