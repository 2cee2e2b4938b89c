package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// Time for one attempt, when the context allows more.
	jsonTimeout = 15 * time.Second
	fileTimeout = 2 * time.Minute

	// A call that reads is tried again twice, after about 0.2 and 0.4 s.
	maxRepeats  = 2
	repeatAfter = 200 * time.Millisecond
)

// Call makes a call that has no typed method, by the endpoint's id or by its
// method and path, with the same tokens, repeats and errors. Members of Req
// with the tag `query:"name"` go into the address, those with `form:"name"`
// and `file:"name"` (an [Upload]) into the parts of an upload; the rest is the
// JSON body. A path the catalogue does not know is called with the account's
// token.
func Call[Req, Resp any](ctx context.Context, c *Client, endpoint string, req Req) (Resp, error) {
	var resp Resp
	ep, err := resolve(endpoint)
	if err != nil {
		return resp, err
	}
	err = c.call(ctx, ep, req, &resp)
	return resp, err
}

// Request is a call made of parts that are only known when the program runs.
type Request struct {
	Endpoint string            // an id, or a method and a path
	Query    url.Values        // without the token
	Body     json.RawMessage   // sent as it is
	Form     map[string]string // parts of an upload beside the file
	File     Upload
}

// Response is the answer to a [Request]: JSON or a file.
type Response struct {
	JSON json.RawMessage
	File *Download // to be closed; nil when the answer is JSON
}

// Do makes a call from its parts. With an error of the platform the response
// still holds the JSON the platform answered.
func (c *Client) Do(ctx context.Context, r Request) (Response, error) {
	ep, err := resolve(r.Endpoint)
	if err != nil {
		return Response{}, err
	}
	in := input{query: paramsOf(r.Query)}
	switch {
	case len(r.Body) > 0 && ep.Method == http.MethodGet:
		return Response{}, fmt.Errorf("api: %s is a GET and takes no body", r.Endpoint)
	case r.File.Body != nil && ep.Content != MultipartContent:
		return Response{}, fmt.Errorf("api: %s takes no file", r.Endpoint)
	case ep.Content == MultipartContent:
		in.body, err = multipartPayload(ep, r.Query.Get("type"), r.Form, r.File)
	case len(r.Body) > 0:
		in.body, err = jsonPayload(r.Body)
	case ep.Content == JSONContent:
		in.body, err = jsonPayload(nil)
	}
	if err != nil {
		return Response{}, err
	}
	a, err := c.exchange(ctx, ep, in)
	return Response{JSON: a.json, File: a.file}, err
}

// PageURL makes the address of a page for browsers from an endpoint's id.
func (c *Client) PageURL(endpoint string, query url.Values) (string, error) {
	ep, ok := lookup(endpoint)
	if !ok || ep.Answer != PageAnswer {
		return "", fmt.Errorf("api: %q is not a page for browsers", endpoint)
	}
	return c.pageURL(ep, paramsOf(query)), nil
}

func resolve(name string) (*Endpoint, error) {
	if ep, ok := lookup(name); ok {
		if ep.Answer == PageAnswer {
			return nil, fmt.Errorf("api: %s is a page for browsers, not a call; make its address with PageURL", ep.ID)
		}
		return ep, nil
	}
	method, path, ok := strings.Cut(name, " ")
	if !ok || !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?#") || method != http.MethodGet && method != http.MethodPost {
		return nil, fmt.Errorf("api: unknown endpoint %q: want an id of the catalogue, or GET or POST and a path without query", name)
	}
	ep := &Endpoint{Method: method, Path: path, Reads: method == http.MethodGet}
	if method == http.MethodPost {
		ep.Content = JSONContent
	}
	return ep, nil
}

// call makes a call with a JSON answer. resp may be nil. With an error of the
// platform it is still filled as far as the answer goes, because some errors
// carry data: 45065 the ids of the first send, 45171 the failed OpenIDs.
func (c *Client) call(ctx context.Context, ep *Endpoint, req, resp any) error {
	_, err := c.open(ctx, ep, req, resp)
	return err
}

// open makes a call whose answer may be a file. Where it is JSON, the file is
// nil and resp is filled.
func (c *Client) open(ctx context.Context, ep *Endpoint, req, resp any) (*Download, error) {
	in, err := encodeInput(ep, req)
	if err != nil {
		return nil, err
	}
	a, err := c.exchange(ctx, ep, in)
	if err != nil {
		if resp != nil && a.json != nil {
			_ = Decode(a.json, resp) // the error is what the caller must see
		}
		return nil, err
	}
	if a.file != nil || resp == nil {
		return a.file, nil
	}
	if err := Decode(a.json, resp); err != nil {
		return nil, fmt.Errorf("api: %s: succeeded, but its answer does not fit: %w", ep.ID, err)
	}
	return nil, nil
}

func (c *Client) page(ep *Endpoint, req any) string {
	in, _ := encodeInput(ep, req) // a page has no body, so nothing can fail
	return c.pageURL(ep, in.query)
}

func (c *Client) pageURL(ep *Endpoint, query params) string {
	u := c.base(ep) + ep.Path + "?" + query.encode()
	if ep.Fragment != "" {
		u += "#" + ep.Fragment
	}
	return u
}

func (c *Client) base(ep *Endpoint) string {
	switch {
	case ep.Host == "":
		return c.baseURL
	case c.pagesURL != "":
		return c.pagesURL
	}
	return "https://" + ep.Host
}

// source is where the endpoint's token comes from; nil when it wants none.
func (c *Client) source(ep *Endpoint) (TokenSource, error) {
	switch ep.Auth {
	case AccountToken:
		return c.tokens, nil
	case ComponentToken:
		if c.componentToken == nil {
			return nil, fmt.Errorf("api: %s wants a third-party platform's token: give the client WithComponentToken", ep.ID)
		}
		return c.componentToken, nil
	}
	return nil, nil
}

type answer struct {
	json []byte
	file *Download
}

// exchange makes the attempts of one call: again with a new token when the
// platform refuses the token, and again after a while when the call only reads
// and the platform had no time for it. Any other call is sent once.
func (c *Client) exchange(ctx context.Context, ep *Endpoint, in input) (answer, error) {
	source, err := c.source(ep)
	if err != nil {
		return answer{}, err
	}
	var (
		renewed bool
		repeats int
		last    answer // of the attempt before, with its error
		failed  error
	)
	for number := 1; ; number++ {
		var token Token
		if source != nil {
			if token, err = source.Token(ctx); err != nil {
				return answer{}, fmt.Errorf("api: %s: no token: %w", ep.name(), err)
			}
		}
		if err := c.limits.wait(ctx, ep, c.now); err != nil {
			return answer{}, err
		}
		body, ok, err := in.body.open()
		if err != nil {
			return answer{}, err
		}
		if !ok {
			return last, fmt.Errorf("%w; the upload cannot be rewound, so repeat the call", failed)
		}
		a, err := c.attempt(ctx, ep, in, body, token, number)
		last, failed = a, err
		e, ok := errors.AsType[*Error](err)
		switch {
		case !ok:
			return a, err
		case e.tokenRefused() && source != nil && !renewed:
			renewed = true
			if err := source.Invalidate(ctx, token); err != nil {
				return a, errors.Join(e, err)
			}
		case e.repeatable() && ep.Reads && repeats < maxRepeats && ctx.Err() == nil:
			repeats++
			if sleep(ctx, time.Duration(repeats)*repeatAfter) != nil {
				return a, err
			}
		default:
			return a, err
		}
	}
}

// sleep waits about d, so that many callers do not come back together.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d*3/4 + rand.N(d/2))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *Endpoint) name() string {
	if e.ID != "" {
		return e.ID
	}
	return e.Path
}

// attempt makes one HTTP request, and tells the trace and the log.
func (c *Client) attempt(ctx context.Context, ep *Endpoint, in input, body io.ReadCloser, token Token, number int) (a answer, err error) {
	var finish func(Result)
	if c.trace != nil {
		finish = c.trace(ctx, Attempt{AppID: c.account.AppID, Endpoint: ep.name(), Method: ep.Method, Path: ep.Path, Number: number})
	}
	begin := c.now()
	a, status, err := c.send(ctx, ep, in, body, token)
	result := Result{HTTPStatus: status, Err: err, Duration: c.now().Sub(begin)}
	if e, ok := errors.AsType[*Error](err); ok {
		result.Code, result.RID = e.Code, e.RID
	}
	if finish != nil {
		finish(result)
	}
	if c.log.Enabled(ctx, slog.LevelDebug) {
		c.log.LogAttrs(ctx, slog.LevelDebug, "api call",
			slog.String("appid", c.account.AppID), slog.String("endpoint", ep.name()), slog.Int("attempt", number),
			slog.Int("status", status), slog.Int("errcode", result.Code), slog.String("rid", result.RID), slog.Duration("took", result.Duration))
	}
	return a, err
}

// send makes one HTTP request and reads its answer.
func (c *Client) send(ctx context.Context, ep *Endpoint, in input, body io.ReadCloser, token Token) (a answer, status int, err error) {
	query := in.query
	switch ep.Auth {
	case AccountToken:
		query = append(params{{"access_token", string(token.Value)}}, query...)
	case ComponentToken:
		query = append(params{{"component_access_token", string(token.Value)}}, query...)
	}
	address := c.base(ep) + ep.Path
	if len(query) > 0 {
		address += "?" + query.encode()
	}
	timeout := jsonTimeout
	if ep.Content == MultipartContent || ep.Answer != JSONAnswer {
		timeout = fileTimeout
	}
	callerCtx := ctx
	ctx, cancel := context.WithTimeout(ctx, timeout)
	keep := false // a download goes on after this function
	defer func() {
		if !keep {
			cancel()
		}
	}()

	// What was never sent was never carried out.
	var sent atomic.Bool
	if !ep.Reads {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	}
	req, err := http.NewRequestWithContext(ctx, ep.Method, address, nil)
	if err != nil {
		return a, 0, fmt.Errorf("api: %s: address cannot be built", ep.name())
	}
	if body != nil {
		req.Body, req.ContentLength = body, in.body.length
		req.Header.Set("Content-Type", in.body.contentType)
		// Lets the transport change over from a connection that the platform
		// closed before anything was written to it.
		req.GetBody = func() (io.ReadCloser, error) {
			body, ok, err := in.body.open()
			if err == nil && !ok {
				err = errors.New("upload cannot be rewound")
			}
			return body, err
		}
	}
	secrets := func() []string {
		return append(secretsOf(in, in.body.json), string(token.Value), string(c.account.Secret))
	}
	failed := func(cause error) error {
		e := unanswered(ep, status, scrubError(cause, secrets()))
		e.unknown = e.unknown && sent.Load()
		if callerCtx.Err() != nil {
			e.category = catOk // the caller gave up, nobody is to blame
		}
		return e
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return a, 0, failed(err)
	}
	defer func() {
		if !keep {
			resp.Body.Close()
		}
	}()
	status = resp.StatusCode
	if status != http.StatusOK {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
		e := unanswered(ep, status, fmt.Errorf("HTTP %d instead of an answer", status))
		e.unknown = e.unknown && status >= 500
		switch {
		case status == http.StatusNotFound && ep.Answer == FileAnswer:
			e.category, e.cause = catNotFound, errors.New("there is no such file")
		case status < 500:
			e.category = catBadRequest
		}
		return a, status, e
	}

	var stream io.Reader = resp.Body
	if ep.Answer != JSONAnswer {
		first := make([]byte, 512)
		n, err := io.ReadFull(resp.Body, first)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return a, status, failed(err)
		}
		stream = io.MultiReader(bytes.NewReader(first[:n]), resp.Body)
		if !mayBeJSON(resp.Header.Get("Content-Type"), first[:n]) {
			keep = true
			a.file = newDownload(resp, stream, cancel)
			return a, status, nil
		}
	}
	text, err := io.ReadAll(io.LimitReader(stream, maxJSON+1))
	if err != nil {
		return a, status, failed(err)
	}
	if len(text) > maxJSON {
		return a, status, failed(errors.New("answer is larger than 64 MB"))
	}
	code, msg, err := envelope(text)
	if err != nil {
		return a, status, failed(err)
	}
	a.json = text
	if code != 0 {
		return a, status, newError(ep, status, code, scrub(msg, secrets()))
	}
	return a, status, nil
}

// envelope reads errcode and errmsg from an answer, and makes sure that it is
// JSON at all: gateways and wrong paths answer HTML with status 200.
func envelope(text []byte) (code int, msg string, err error) {
	trimmed := bytes.TrimLeft(text, " \t\r\n\ufeff")
	if len(trimmed) == 0 {
		return 0, "", errors.New("answer is empty")
	}
	if trimmed[0] != '{' && trimmed[0] != '[' {
		return 0, "", errors.New("answer is not JSON (an HTML page or a wrong path?)")
	}
	if trimmed[0] == '[' || !bytes.Contains(text, []byte(`"errcode"`)) {
		return 0, "", nil
	}
	var env struct {
		ErrCode int    `json:"errcode"`
		ErrMsg  string `json:"errmsg"`
	}
	if err := Decode(text, &env); err != nil {
		return 0, "", fmt.Errorf("answer is not JSON: %w", err)
	}
	return env.ErrCode, env.ErrMsg, nil
}
