package oa

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The times of reference §4.1.
const (
	// DefaultDeadline is how long after its arrival a delivery can be answered.
	// WeChat hangs up after 5 s; the rest is for the way.
	DefaultDeadline = 4500 * time.Millisecond
	// holdLimit is how long an unanswered delivery is kept open at most.
	holdLimit = 7 * time.Second
	// maxKind is how much of a message's kind is logged, in bytes.
	maxKind = 64
	// DefaultMaxBody is the most that a body may have, in bytes.
	DefaultMaxBody = 64 << 10
)

// ErrUnanswered, returned by a [Handler], leaves the delivery without a byte of
// answer: the connection stays open until WeChat hangs up, and WeChat delivers
// the message again, three times in all (reference §4.1). The server does the
// same when a handler comes back after its deadline.
var ErrUnanswered = errors.New("oa: leave this delivery unanswered")

// Server answers the deliveries of one account. It is an [http.Handler].
//
// What is not signed with the account's Token, or does not open with its key,
// gets 404 with an empty body. Everything that is verified gets 200: the reply,
// or `success`, because WeChat repeats whatever else it gets at once and shows
// the follower a fault notice.
type Server struct {
	account  Account
	handler  Handler
	keys     []*Key
	tokens   []string
	deadline time.Duration
	maxBody  int
	log      *slog.Logger
	observe  func(*http.Request, Exchange)
	maxAge   time.Duration
	used     usedSignatures
	pool     sync.Pool
}

// Option changes how a [Server] behaves.
type Option func(*Server)

// WithLogger sets the logger; [slog.Default] is the default. Nothing that is
// logged holds a secret, an OpenID or a text. Why a request was refused is
// logged at [slog.LevelDebug]: everybody can send one.
func WithLogger(l *slog.Logger) Option { return func(s *Server) { s.log = l } }

// WithDeadline sets the time a delivery can be answered in, [DefaultDeadline].
func WithDeadline(d time.Duration) Option { return func(s *Server) { s.deadline = d } }

// WithMaxBody sets the most bytes of a body, [DefaultMaxBody]. A verified
// delivery with more gets `success` and reaches no handler.
func WithMaxBody(n int) Option { return func(s *Server) { s.maxBody = n } }

// WithMaxAge refuses deliveries of plain mode whose signature is older (or as far
// in the future), or has come before with another message or a GET. Plain mode
// signs neither the body nor the OpenID (reference §2.1): without this, who has
// seen one address of a delivery, in a proxy's log for instance, can speak for
// every follower with it. Repeats carry the signature of the first delivery and
// come within 15 s, so five minutes leave room for clocks that differ. 0, the
// default, is no limit.
func WithMaxAge(d time.Duration) Option { return func(s *Server) { s.maxAge = d } }

// WithObserver has f called once after every HTTP exchange, before the
// connection is free again. It is for metrics and must not block.
func WithObserver(f func(*http.Request, Exchange)) Option {
	return func(s *Server) { s.observe = f }
}

// Outcome is how an exchange ended.
type Outcome string

// The outcomes.
const (
	Verified     Outcome = "verified"     // the URL check, or a signed GET
	Answered     Outcome = "answered"     // a reply was written
	Acknowledged Outcome = "acknowledged" // `success` was written: nothing to say
	Failed       Outcome = "failed"       // the handler failed; `success` was written
	Unreadable   Outcome = "unreadable"   // verified, but no message; `success` was written
	Unanswered   Outcome = "unanswered"   // nothing was written, WeChat will repeat
	Refused      Outcome = "refused"      // 404
)

// Exchange is one HTTP request and what became of it.
type Exchange struct {
	Outcome Outcome
	// Err says why, for Refused, Unreadable, Failed and Unanswered. For Failed it
	// is the handler's own, whose text may hold what the follower wrote.
	Err error
	// Kind is that of [Request.Kind], at most 64 bytes of it, "" before a message
	// was read. The sender chooses it: an event can have any name.
	Kind string
	// Took is the time from the request's arrival.
	Took time.Duration
}

// Reasons of refusal. They are for the owner's eyes; the sender sees 404.
var (
	ErrNoSignature   = errors.New("oa: the request has no signature: it is not from WeChat, or a proxy drops the query string")
	ErrSignature     = errors.New("oa: the signature does not fit: the Token here is not the one in WeChat's 服务器配置")
	ErrMethod        = errors.New("oa: WeChat uses GET and POST only")
	ErrNoEnvelope    = errors.New("oa: the account is in compat or secure mode, but the delivery is not encrypted")
	ErrBodySignature = errors.New("oa: msg_signature does not fit the Encrypt element")
	ErrStale         = errors.New("oa: the delivery is too old: it was captured and sent again, or the clock of this machine is wrong")
	ErrReused        = errors.New("oa: the signature has come before with something else: the delivery is forged")
)

var (
	errTooLarge      = errors.New("oa: the body is over the limit")
	errForeignOpenID = errors.New("oa: FromUserName is not the openid of the query: the body is forged")
	errPanicked      = errors.New("oa: the handler panicked")
	errAfterDeadline = errors.New("oa: the handler came back after the deadline")
)

var (
	successBody      = []byte("success")
	xmlContentType   = []string{"text/xml; charset=utf-8"}
	jsonContentType  = []string{"application/json; charset=utf-8"}
	plainContentType = []string{"text/plain; charset=utf-8"}
)

// NewServer makes the server of one account. It refuses what [Account.Validate]
// refuses.
func NewServer(account Account, handler Handler, options ...Option) (*Server, error) {
	if err := account.Validate(); err != nil {
		return nil, err
	}
	if handler == nil {
		return nil, errors.New("oa: a server needs a handler")
	}
	account.Mode = account.mode()
	s := &Server{account: account, handler: handler, deadline: DefaultDeadline, maxBody: DefaultMaxBody, log: slog.Default()}
	for _, o := range options {
		o(s)
	}
	s.tokens = append(s.tokens, account.Token)
	if account.PreviousToken != "" {
		s.tokens = append(s.tokens, account.PreviousToken)
	}
	for _, k := range []string{account.AESKey, account.PreviousAESKey} {
		if k == "" {
			continue
		}
		key, err := ParseKey(k)
		if err != nil {
			return nil, err
		}
		s.keys = append(s.keys, key)
	}
	s.pool.New = func() any { return new(scratch) }
	return s, nil
}

// Account returns the account the server was made for.
func (s *Server) Account() Account { return s.account }

// scratch is the memory of one exchange, used again by the next. Nothing that
// outlives the exchange may point into it.
type scratch struct {
	body     []byte
	opened   []byte
	clear    []byte
	cipher   []byte
	sealed   []byte
	out      []byte
	elements []Element
}

// parameters are those that WeChat appends to the server's address.
type parameters struct {
	signature, timestamp, nonce, openID, msgSignature, echostr string
	hasEcho                                                    bool
}

// parseQuery takes the first of each parameter, as [url.Values.Get] would.
func parseQuery(raw string) parameters {
	var (
		q    parameters
		seen [6]bool
	)
	escaped := strings.IndexByte(raw, '%') >= 0 || strings.IndexByte(raw, '+') >= 0
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		name, value, _ := strings.Cut(pair, "=")
		var dst *string
		var i int
		switch name {
		case "signature":
			dst, i = &q.signature, 0
		case "timestamp":
			dst, i = &q.timestamp, 1
		case "nonce":
			dst, i = &q.nonce, 2
		case "openid":
			dst, i = &q.openID, 3
		case "msg_signature":
			dst, i = &q.msgSignature, 4
		case "echostr":
			dst, i = &q.echostr, 5
		default:
			continue
		}
		if seen[i] {
			continue
		}
		if escaped {
			var err error
			if value, err = url.QueryUnescape(value); err != nil {
				continue
			}
		}
		*dst, seen[i] = value, true
	}
	q.hasEcho = seen[5]
	return q
}

// ServeHTTP answers one request of WeChat.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchange{Server: s, w: w, r: r, arrived: time.Now()}
	x.serve()
	if s.observe != nil {
		x.result.Took = time.Since(x.arrived)
		s.observe(r, x.result)
	}
	if x.result.Outcome == Unanswered {
		panic(http.ErrAbortHandler)
	}
}

// exchange is one run of ServeHTTP.
type exchange struct {
	*Server
	w       http.ResponseWriter
	r       *http.Request
	arrived time.Time
	q       parameters
	token   string // the one that fits
	result  Exchange
}

func (x *exchange) serve() {
	x.q = parseQuery(x.r.URL.RawQuery)
	if err := x.verify(); err != nil {
		x.refuse(err)
		return
	}
	if x.r.Method == http.MethodPost {
		x.deliver()
		return
	}
	x.signedFor("") // from now on no message can come with it
	h := x.w.Header()
	h["Content-Type"] = plainContentType
	h.Set("X-Content-Type-Options", "nosniff")
	body := x.q.echostr
	if !x.q.hasEcho {
		body = x.account.Name
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	io.WriteString(x.w, body)
	x.result.Outcome = Verified
}

// verify checks the signature of the query, which every request carries.
func (x *exchange) verify() error {
	switch x.r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	default:
		return ErrMethod
	}
	if x.q.signature == "" || x.q.timestamp == "" || x.q.nonce == "" {
		return ErrNoSignature
	}
	for _, token := range x.tokens {
		if sameSignature(sign(nil, token, x.q.timestamp, x.q.nonce), x.q.signature) {
			x.token = token
			return nil
		}
	}
	return ErrSignature
}

func (x *exchange) refuse(err error) {
	x.result.Outcome, x.result.Err = Refused, err
	x.log.Debug("request refused", "reason", err)
	x.w.Header()["Content-Length"] = []string{"0"}
	x.w.WriteHeader(http.StatusNotFound)
}

// success tells WeChat that the delivery is done with and has no reply.
func (x *exchange) success(o Outcome, err error) {
	x.result.Outcome, x.result.Err = o, err
	h := x.w.Header()
	h["Content-Type"] = plainContentType
	x.w.Write(successBody)
}

// hold writes nothing until WeChat has hung up.
func (x *exchange) hold(err error) {
	x.result.Outcome, x.result.Err = Unanswered, err
	timer := time.NewTimer(time.Until(x.arrived.Add(holdLimit)))
	defer timer.Stop()
	select {
	case <-x.r.Context().Done():
	case <-timer.C:
	}
}

func (x *exchange) deliver() {
	sc := x.pool.Get().(*scratch)
	defer func() {
		clear(sc.elements)
		x.pool.Put(sc)
	}()

	tooLarge, err := readBody(x.r.Body, &sc.body, x.maxBody)
	switch {
	case err != nil:
		// A body that breaks off cannot be answered on its connection.
		x.result.Outcome, x.result.Err = Unanswered, fmt.Errorf("oa: reading the body: %w", err)
		return
	case tooLarge:
		x.log.Warn("delivery over the body limit", "limit_bytes", x.maxBody)
		x.success(Unreadable, errTooLarge)
		return
	}
	req, env, err := x.open(sc)
	if err != nil {
		switch {
		case errors.Is(err, ErrNoEnvelope), errors.Is(err, ErrBodySignature), errors.Is(err, ErrCiphertext), errors.Is(err, ErrAppID),
			errors.Is(err, ErrStale), errors.Is(err, ErrReused):
			x.refuse(err)
		default:
			x.log.Warn("delivery is verified but cannot be read", "reason", err)
			x.success(Unreadable, err)
		}
		return
	}
	x.result.Kind = Clip(req.Kind(), maxKind)

	ctx := newDeliveryContext(x.r.Context(), x.arrived.Add(x.deadline))
	reply, err := x.answer(ctx, req)
	ctx.end()
	took := time.Since(x.arrived)
	switch {
	case errors.Is(err, ErrUnanswered):
		x.hold(err)
		return
	case took > x.deadline:
		x.log.Warn("handler came back after the deadline, nothing was answered", "kind", x.result.Kind, "deadline", x.deadline)
		x.hold(errAfterDeadline)
		return
	case err != nil:
		x.log.Error("handler failed", "kind", x.result.Kind, "error_type", fmt.Sprintf("%T", err))
		x.success(Failed, err)
		return
	}
	head := req.Message.Head()
	sc.clear = reply.appendXML(sc.clear[:0], head.FromUserName, head.ToUserName, x.arrived.Add(took).Unix())
	if _, info := req.Message.(Info); info || len(sc.clear) == 0 {
		x.success(Acknowledged, nil)
		return
	}
	out := sc.clear
	h := x.w.Header()
	h["Content-Type"] = xmlContentType
	if env != nil {
		out = env.seal(sc.clear, sc)
		if env.json {
			h["Content-Type"] = jsonContentType
		}
	}
	if len(out) >= 2<<10 { // shorter ones are counted by net/http
		h["Content-Length"] = []string{strconv.Itoa(len(out))}
	}
	x.w.Write(out)
	x.result.Outcome = Answered
}

// answer calls the handler and survives its panic.
func (x *exchange) answer(ctx context.Context, req *Request) (reply Reply, err error) {
	defer func() {
		if p := recover(); p != nil {
			if e, ok := p.(error); ok && errors.Is(e, http.ErrAbortHandler) {
				reply, err = Reply{}, ErrUnanswered
				return
			}
			x.log.Error("handler panicked", "kind", x.result.Kind, "panic_type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			reply, err = Reply{}, errPanicked
		}
	}()
	return x.handler.Answer(ctx, req)
}

// open makes a request of the body: it takes off the envelope that the account
// must have, and reads the message. The envelope of the reply is nil in plain mode.
func (x *exchange) open(sc *scratch) (*Request, *envelope, error) {
	if x.account.Mode == Plain {
		if err := x.fresh(); err != nil {
			return nil, nil, err
		}
		req, err := x.request(sc, sc.body)
		key := ""
		if err == nil {
			key = req.Key()
		}
		if !x.signedFor(key) {
			return nil, nil, ErrReused
		}
		return req, nil, err
	}
	encrypt, json := findEncrypt(sc.body)
	if len(encrypt) == 0 || x.q.msgSignature == "" {
		return nil, nil, ErrNoEnvelope
	}
	if !sameSignature(sign(encrypt, x.token, x.q.timestamp, x.q.nonce), x.q.msgSignature) {
		return nil, nil, ErrBodySignature
	}
	var refused error
	for _, key := range x.keys {
		sc.opened = slices.Grow(sc.opened[:0], len(encrypt))
		clear, err := key.open(sc.opened, encrypt, x.account.AppID)
		if err != nil {
			if refused == nil || errors.Is(err, ErrAppID) { // that says more
				refused = err
			}
			continue
		}
		req, err := x.request(sc, clear)
		return req, &envelope{key: key, appID: x.account.AppID, token: x.token,
			timestamp: strconv.FormatInt(x.arrived.Unix(), 10), nonce: x.q.nonce, json: json}, err
	}
	return nil, nil, refused
}

// request reads the clear body.
func (x *exchange) request(sc *scratch, clear []byte) (*Request, error) {
	body := clean(clear)
	elements, err := scan(body, sc.elements[:0])
	if err != nil {
		return nil, err
	}
	sc.elements = elements
	m, err := parse(elements)
	if err != nil {
		return nil, err
	}
	if from := m.Head().FromUserName; x.q.openID != "" && from != "" && from != x.q.openID {
		return nil, errForeignOpenID
	}
	return &Request{Account: &x.account, Message: m, Arrived: x.arrived, Timestamp: x.q.timestamp, Signature: x.q.signature, body: body}, nil
}

// readBody reads at most limit bytes into the buffer, which it grows.
func readBody(r io.Reader, buf *[]byte, limit int) (tooLarge bool, err error) {
	b := (*buf)[:0]
	defer func() { *buf = b }()
	for {
		if len(b) == cap(b) {
			b = append(b, make([]byte, max(1024, len(b)))...)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if len(b) > limit {
			return true, nil
		}
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
}
