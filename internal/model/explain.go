package model

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Codes by which providers say what their status does not, in lower case and up to
// the first dot.
var (
	codesOfNoCredit = []string{"insufficient_quota", "exceeded_current_quota_error", "insufficient_balance",
		"arrearage", "accountoverdueerror", "1113"}
	codesOfFilter = []string{"content_filter", "content_policy_violation", "data_inspection_failed", "datainspectionfailed",
		"sensitivecontentdetected", "inputtextsensitivecontentdetected", "outputtextsensitivecontentdetected", "1301"}
	codesOfNoModel = []string{"model_not_found", "modelnotfound", "modelnotopen", "invalidendpointormodel", "1211"}
)

// complaint is what a provider says of an error, in the forms that are about:
// {"error": {…}}, {"error": "…"} and {"code": …, "message": …}.
type complaint struct {
	Code    json.RawMessage `json:"code"`
	Type    json.RawMessage `json:"type"`
	Message json.RawMessage `json:"message"`
	Error   json.RawMessage `json:"error"`
}

// codes returns the codes of a complaint, the best first.
func (c complaint) codes() []string {
	if inner := (complaint{}); json.Unmarshal(c.Error, &inner) == nil {
		c = inner
	}
	if text(c.Message) == "Content Exists Risk" { // DeepSeek has no code for it
		return []string{"content_filter"}
	}
	return slices.DeleteFunc([]string{text(c.Code), text(c.Type)}, func(s string) bool { return s == "" })
}

// text returns a JSON string or number as it is, and anything else as nothing.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	if n := json.Number(raw); len(raw) > 0 && n != "null" {
		if _, err := n.Int64(); err == nil {
			return n.String()
		}
	}
	return ""
}

// refused explains an answer that is an error, 200 where it came in a stream. sent
// is the request's body: a code that was in it, or has to do with the key, is not
// shown.
func refused(status int, c complaint, sent []byte, key string) *Error {
	codes := c.codes()
	has := func(known []string) bool {
		return slices.ContainsFunc(codes, func(code string) bool {
			first, _, _ := strings.Cut(strings.ToLower(code), ".")
			return slices.Contains(known, first)
		})
	}
	said := fmt.Sprintf("HTTP %d", status)
	shown := slices.IndexFunc(codes, func(code string) bool {
		return isCode(code) && !bytes.Contains(sent, []byte(code)) && !strings.Contains(key, code) && (key == "" || !strings.Contains(code, key))
	})
	if shown >= 0 {
		said += ", " + codes[shown]
	}
	e := &Error{Kind: Config, Status: status}
	switch {
	case has(codesOfFilter):
		e = filtered()
		e.Status = status
	case status == http.StatusPaymentRequired || has(codesOfNoCredit):
		e.zh, e.en = "余额不足，请到服务商那里充值", "no credit left; top up at the provider"
	case status == http.StatusNotFound || has(codesOfNoModel):
		e.zh, e.en = "没有这个模型，或者地址不对，请检查 name 和 base_url", "no such model, or the wrong address; check name and base_url"
	case status == http.StatusUnauthorized:
		e.zh, e.en = "key 不对或者已经失效，请检查 key", "the key is wrong or no longer valid; check key"
	case status == http.StatusForbidden:
		e.zh, e.en = "这个 key 不能用这个模型，请到服务商那里开通", "the key may not use this model; open it at the provider"
	case status == http.StatusTooManyRequests:
		e.Kind, e.again = Busy, true
		e.zh, e.en = "服务商说请求太多", "the provider says there are too many requests"
	case status == http.StatusRequestTimeout || status >= 500 || status < 300:
		e.Kind, e.again = Unavailable, true
		e.zh, e.en = "服务商出错", "the provider failed"
	case status < 400:
		e.zh, e.en = "这个地址转到了别处，请检查 base_url", "the address redirects; check base_url"
	default:
		e.zh, e.en = "服务商不接受这个请求，请检查 name、temperature、max_tokens 和 extra", "the provider refuses the request; check name, temperature, max_tokens and extra"
	}
	e.zh, e.en = e.zh+" ["+said+"]", e.en+" ["+said+"]"
	return e
}

func filtered() *Error {
	return &Error{Kind: Filtered, zh: "内容被服务商的审核拦下", en: "stopped by the provider's content filter"}
}

func isCode(s string) bool {
	return len(s) <= 40 && strings.IndexFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.'
	}) < 0
}

// retryAfter reads the header of that name, in seconds or as a date.
func retryAfter(h http.Header) time.Duration {
	s := h.Get("Retry-After")
	if n, err := strconv.ParseFloat(s, 64); err == nil && n >= 0 {
		return time.Duration(min(n, 86400) * float64(time.Second))
	}
	if t, err := http.ParseTime(s); err == nil {
		return max(0, time.Until(t))
	}
	return 0
}

// unreachable explains why there was no answer. What err itself says is not shown:
// it may quote what the other side sent.
func unreachable(err error) *Error {
	e := &Error{Kind: Unavailable, again: true, zh: "连接断了", en: "the connection broke"}
	_, noHost := errors.AsType[*net.DNSError](err)
	_, notVerified := errors.AsType[*tls.CertificateVerificationError](err)
	op, isOp := errors.AsType[*net.OpError](err)
	timeout, isTimeout := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, errNoChat):
		e.Kind, e.again = Config, false
		e.zh, e.en = "回答的不是聊天接口，请检查 base_url", "what answers is no chat completions API; check base_url"
	case errors.Is(err, errTooLong):
		e.again = false
		e.zh, e.en = "回答里有一行太长", "a line of the answer is too long"
	case errors.Is(err, errGarbled):
		e.zh, e.en = "回答看不懂", "the answer cannot be read"
	case errors.Is(err, io.ErrUnexpectedEOF):
		e.zh, e.en = "没有答完", "it did not end as it should"
	case errors.Is(err, errNoFirstToken):
		e.again = false
		e.zh, e.en = "在 first_token 之内没有开始回答", "it did not begin to answer within first_token"
	case errors.Is(err, errTimeout):
		e.again = false
		e.zh, e.en = "在 timeout 之内没有答完", "it did not finish within timeout"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e.again, e.cause = false, err
		e.zh, e.en = "没等到回答就到了时限", "the time was up before the answer"
	case noHost:
		e.zh, e.en = "找不到这个主机，请检查 base_url 和网络", "the host is not found; check base_url and the network"
	case notVerified:
		e.Kind, e.again = Config, false
		e.zh, e.en = "对方的 TLS 证书不可信，请检查 base_url", "the certificate is not trusted; check base_url"
	case errors.Is(err, syscall.ECONNREFUSED):
		e.zh, e.en = "对方没有开着这个端口，请检查 base_url", "the connection was refused; check base_url"
	case isTimeout && timeout.Timeout():
		e.zh, e.en = "连不上，超时", "no connection in time"
	case isOp && op.Op == "dial":
		e.zh, e.en = "连不上，请检查 base_url 和网络", "no connection; check base_url and the network"
	}
	return e
}
