package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/wenzihq/wenzi/oa"
)

// maxBody is the most bytes of a response that are read. WeChat's own limit is
// not documented; the largest reply that is any use has a few ten thousand.
const maxBody = 1 << 20

var (
	errTooLarge = errors.New("sim: the body is over the limit")
	errURL      = errors.New("sim: the URL of the server must be http://host/path or https://host/path")
)

// Sender delivers to the server of one account as WeChat does, once each. It is
// safe for concurrent use.
type Sender struct {
	Account oa.Account
	URL     string // of the server, as in WeChat's 服务器配置
	// Transport sends the requests; nil is [http.DefaultTransport], which is
	// less true to WeChat than that of [NewTransport].
	Transport http.RoundTripper
	Rules     Rules
}

// NewTransport returns a transport that does what WeChat does: HTTP/1.1, no
// offer of compression, no other headers (reference §8). Whether WeChat uses a
// connection again is not known (reference §4.7). Here every delivery has one of
// its own, so that none meets a connection that the server is about to close.
// Where MaxIdleConnsPerHost is set to a number above 0, so many are used again
// when the next deliveries come within a second.
func NewTransport() *http.Transport {
	var http1 http.Protocols
	http1.SetHTTP1(true)
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DisableCompression:  true,
		Protocols:           &http1,
		MaxIdleConnsPerHost: -1,
		IdleConnTimeout:     time.Second,
	}
}

// Exchange is one request of WeChat's, the response and what WeChat makes of it.
type Exchange struct {
	Mode    oa.Mode
	Message oa.Message // nil for the check of the address
	// Request is what was sent; its URL is signed with the Token, and its
	// GetBody gives the body again.
	Request  *http.Request
	Response Response
	Verdict  Verdict
}

// Deliver delivers a message once, waits for the response and judges it. It
// does not repeat. The error is for what is wrong on this side: the account,
// the URL, the message, or ctx; everything the server does is in the verdict.
func (s *Sender) Deliver(ctx context.Context, m oa.Message) (*Exchange, error) {
	if err := s.valid(); err != nil {
		return nil, err
	}
	clear, err := wire(m)
	if err != nil {
		return nil, err
	}
	req, err := s.request(clear, time.Now())
	if err != nil {
		return nil, err
	}
	got, err := s.send(ctx, req, s.Rules.timeout(), 0)
	if err != nil {
		return nil, err
	}
	return &Exchange{
		Mode: modeOf(s.Account), Message: m, Request: req, Response: got,
		Verdict: s.Rules.Judge(Delivery{Account: s.Account, Message: m}, got),
	}, nil
}

// request is the delivery of a clear message.
func (s *Sender) request(clear []byte, at time.Time) (*http.Request, error) {
	return oa.NewDeliveryAt(s.Account, s.URL, clear, at)
}

// Check asks the server to prove itself, as WeChat does once when the owner
// submits the 服务器配置 page (reference §1).
func (s *Sender) Check(ctx context.Context) (*Exchange, error) {
	if err := s.valid(); err != nil {
		return nil, err
	}
	echostr := strconv.FormatInt(time.Now().UnixNano(), 10)
	req, err := oa.NewCheck(s.Account, s.URL, echostr)
	if err != nil {
		return nil, err
	}
	got, err := s.send(ctx, req, s.Rules.timeout(), 0)
	if err != nil {
		return nil, err
	}
	return &Exchange{
		Mode: modeOf(s.Account), Request: req, Response: got,
		Verdict: s.Rules.JudgeCheck(echostr, got),
	}, nil
}

// valid keeps errors free of the URL, which may hold the Token.
func (s *Sender) valid() error {
	if u, err := url.Parse(s.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errURL
	}
	return s.Account.Validate()
}

// send makes one exchange, of which a part of the time is lost on the way.
// Redirects are not followed.
func (s *Sender) send(ctx context.Context, req *http.Request, limit, latency time.Duration) (Response, error) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	transport := s.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	var got Response
	start := time.Now()
	if latency > 0 {
		timer := time.NewTimer(latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-limited.Done(): // RoundTrip says so
		}
	}
	resp, err := transport.RoundTrip(req.WithContext(limited))
	if err == nil {
		defer resp.Body.Close()
		got.Status, got.Header = resp.StatusCode, resp.Header
		got.Body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
		if len(got.Body) > maxBody {
			err = errTooLarge
		}
	}
	got.Elapsed = time.Since(start)
	if ctx.Err() != nil {
		return Response{}, fmt.Errorf("sim: the delivery was given up: %w", context.Cause(ctx))
	}
	if err != nil && limited.Err() != nil {
		err = context.DeadlineExceeded
	}
	got.Err = err
	return got, nil
}
