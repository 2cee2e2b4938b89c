package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/wenzihq/wenzi/catalogue"
	"github.com/wenzihq/wenzi/oa/api"
)

// maxUpload is the most bytes of a request that are read: the largest upload is
// 10 MB (reference api-rules §4).
const maxUpload = 12 << 20

// Call is a call of the API, for [Event].
type Call struct {
	RID      string        `json:"rid"`
	Endpoint string        `json:"endpoint,omitempty"` // its id in the catalogue
	Method   string        `json:"method"`
	Path     string        `json:"path"`
	Code     int           `json:"errcode"`
	Message  string        `json:"errmsg,omitempty"`
	Elapsed  time.Duration `json:"elapsed"` // nanoseconds
}

// handler answers the calls of one endpoint, after the call was checked. It runs
// with Platform.mu held, and reads and changes state without further locking.
// What it returns is written as JSON: nil as {"errcode":0,"errmsg":"ok"}. An
// error is a *failure.
type handler func(*call) (any, error)

// handlers are the endpoints that have state. All others answer from the
// catalogue's samples.
var handlers = func() map[string]handler {
	all := map[string]handler{}
	for _, m := range []map[string]handler{
		tokenHandlers, openAPIHandlers, callbackHandlers, oauthHandlers, componentHandlers, menuHandlers, messageHandlers, agentHandlers, mediaHandlers,
		userHandlers, statHandlers, blacklistHandlers, tagHandlers, codeHandlers, shortenHandlers,
		draftHandlers, publishHandlers, massHandlers, templateHandlers, noteHandlers, onetimeHandlers,
	} {
		maps.Copy(all, m)
	}
	return all
}()

// call is one call of the API on its way through the checks.
type call struct {
	p         *Platform
	account   *Account   // nil before the token is checked, and where none is needed
	component *Component // whose token the call has
	endpoint  *catalogue.Endpoint
	r         *http.Request
	query     url.Values
	body      []byte
	rid       string
}

// failure is an error of the platform.
type failure struct {
	code    int
	message string         // what the platform says; "" is the dictionary's
	data    map[string]any // members beside errcode and errmsg
	cut     bool           // no answer: the connection breaks
}

func (f *failure) Error() string { return fmt.Sprintf("%d %s", f.code, f.message) }

// fail is the platform's error with that code.
func fail(code int) error { return &failure{code: code} }

// failf is fail with words of its own.
func failf(code int, format string, args ...any) error {
	return &failure{code: code, message: fmt.Sprintf(format, args...)}
}

// file is an answer of bytes.
type file struct {
	name, contentType string
	content           []byte
}

// page is an answer for a browser.
type page struct {
	status   int
	location string // of a redirect
	html     string
}

// decode reads the JSON body, numbers in quotes for numbers and the like
// (reference api-rules §3).
func (c *call) decode(v any) error {
	if err := api.Decode(c.body, v); err != nil {
		return failf(47001, "data format error: %v", err)
	}
	return nil
}

// ServeHTTP answers a call of the API, whatever host it is for. Every endpoint
// of the catalogue is there: the core ones have state, the others answer from
// the catalogue's samples after the request was checked against the catalogue.
func (p *Platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	c := &call{p: p, r: r, query: r.URL.Query(), rid: newRID()}
	answer, err := c.serve(w)
	note := &Call{RID: c.rid, Method: r.Method, Path: r.URL.Path, Elapsed: time.Since(start)}
	e := Event{Type: EventCall, Call: note}
	if c.endpoint != nil {
		note.Endpoint = c.endpoint.ID
	}
	f, failed := errors.AsType[*failure](err)
	if failed {
		f.message = c.message(f)
		note.Code, note.Message = f.code, f.message
		answer = merge(f.data, map[string]any{"errcode": f.code, "errmsg": f.message})
	}
	if c.account != nil {
		p.mu.Lock()
		e.AppID = c.account.config.AppID
		if failed && !f.cut {
			c.account.remember(c, note, answer)
		}
		p.mu.Unlock()
	}
	p.events.add(e)
	if failed && f.cut {
		panic(http.ErrAbortHandler)
	}
	write(w, answer)
}

// serve checks the call and carries it out.
func (c *call) serve(w http.ResponseWriter) (any, error) {
	c.p.mu.Lock()
	trouble := c.p.trouble
	c.p.mu.Unlock()
	if !c.p.sleep(trouble.APILatency) {
		return nil, &failure{cut: true}
	}
	if answer := c.hostedMedia(); answer != nil {
		return answer, nil
	}
	// The body is read before anything is locked.
	var err error
	if c.body, err = io.ReadAll(http.MaxBytesReader(w, c.r.Body, maxUpload)); err != nil {
		return nil, failf(45001, "media size out of limit")
	}
	if err := c.find(); err != nil {
		return nil, err
	}
	answer, err := c.locked()
	if err == nil && happens(trouble.APICut) {
		return nil, &failure{cut: true}
	}
	return answer, err
}

// find looks up the endpoint of the path and the method.
func (c *call) find() error {
	endpoints := catalogue.Load().ByPath(c.r.URL.Path)
	if len(endpoints) == 0 {
		return fail(40066)
	}
	fits := slices.DeleteFunc(slices.Clone(endpoints), func(e *catalogue.Endpoint) bool { return !c.fits(e) })
	if len(fits) == 0 {
		if endpoints[0].Method == http.MethodGet {
			return fail(43001)
		}
		return fail(43002)
	}
	c.endpoint = fits[0]
	c.resetBySecret()
	return nil
}

// fits reports whether the call is one of the endpoint. Where a path has
// several, the query parameter "action" tells them apart.
func (c *call) fits(e *catalogue.Endpoint) bool {
	i := slices.IndexFunc(e.Request.Query, func(f catalogue.Field) bool { return f.Name == "action" })
	if i >= 0 && !strings.Contains(e.Request.Query[i].Note, c.query.Get("action")) {
		return false
	}
	return e.Method == c.r.Method || bothMethods[e.ID] || c.r.Method == http.MethodHead && e.Method == http.MethodGet
}

// bothMethods are the endpoints that the platform takes by GET and by POST
// (reference api-rules §20), or where clients are known to use either.
var bothMethods = map[string]bool{"kf_delete": true, "mass_speed_get": true, "jsapi_ticket_get": true, "menu_delete": true, "menu_get": true}

// locked is the part of a call that looks at the platform's state.
func (c *call) locked() (any, error) {
	p := c.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := c.authenticate(); err != nil {
		return nil, err
	}
	if err := p.nextFailure(c.endpoint); err != nil {
		return nil, err
	}
	if happens(p.trouble.APIBusy) {
		return nil, fail(-1)
	}
	if c.account != nil {
		if !c.account.may(c.endpoint) {
			return nil, fail(48001)
		}
		if code := c.account.countCall(c.endpoint); code != 0 {
			return nil, fail(code)
		}
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	if h := handlers[c.endpoint.ID]; h != nil {
		return h(c)
	}
	return c.sample()
}

// authenticate finds out who calls by the token.
func (c *call) authenticate() error {
	switch c.endpoint.Auth {
	case catalogue.AuthAccount:
		return c.authenticateAccount()
	case catalogue.AuthComponent:
		return c.authenticateComponent()
	}
	return nil // the handler looks at what it is given
}

// nextFailure takes the failure that was asked for, if there is one for the
// endpoint.
func (p *Platform) nextFailure(e *catalogue.Endpoint) error {
	for i := range p.trouble.Failures {
		f := &p.trouble.Failures[i]
		if f.Endpoint != "" && f.Endpoint != e.ID && f.Endpoint != e.Path {
			continue
		}
		asked := *f
		if f.Times--; f.Times <= 0 {
			p.trouble.Failures = slices.Delete(p.trouble.Failures, i, i+1)
		}
		return &failure{code: asked.Code, cut: asked.Code == 0}
	}
	return nil
}

// sample answers with the catalogue's sample.
func (c *call) sample() (any, error) {
	switch c.endpoint.Response.Kind {
	case catalogue.KindBinary, catalogue.KindJSONOrBinary:
		return file{name: "sample.jpg", contentType: "image/jpeg", content: samplePicture}, nil
	case catalogue.KindRedirect:
		return page{status: http.StatusOK, html: "<!doctype html><meta charset=utf-8><title>" + c.endpoint.TitleZH + "</title>"}, nil
	}
	if len(c.endpoint.SampleResponse) == 0 {
		return nil, nil
	}
	return c.endpoint.SampleResponse, nil
}

// message is what the platform says about an error, with the id of the request
// at its end (reference api-rules §3).
func (c *call) message(f *failure) string {
	text := f.message
	if text == "" {
		text = "error"
		if code, ok := catalogue.Load().Code(f.code); ok {
			text = code.Meaning
		}
	}
	return text + " rid: " + c.rid
}

// newRID makes the id of a request: three groups of eight hex digits.
func newRID() string {
	return fmt.Sprintf("%08x-%08x-%08x", rand.Uint32(), rand.Uint32(), rand.Uint32())
}

// write answers. JSON is written as the platform does: UTF-8 as it is.
func write(w http.ResponseWriter, answer any) {
	switch a := answer.(type) {
	case file:
		w.Header().Set("Content-Type", a.contentType)
		w.Header().Set("Content-Disposition", `attachment; filename="`+a.name+`"`)
		w.Write(a.content)
		return
	case page:
		if a.location != "" {
			w.Header().Set("Location", a.location)
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(a.status)
		io.WriteString(w, a.html)
		return
	case nil:
		answer = map[string]any{"errcode": 0, "errmsg": "ok"}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(answer); err != nil {
		http.Error(w, "the simulated platform could not write its answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; encoding=utf-8")
	w.Write(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// merge copies the members of all into one object.
func merge(all ...map[string]any) map[string]any {
	out := map[string]any{}
	for _, m := range all {
		maps.Copy(out, m)
	}
	return out
}

// samplePicture is a JPEG of one pixel's worth.
var samplePicture = []byte("\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xd9")

// inMemory carries requests to the platform without a network.
type inMemory struct{ p *Platform }

func (t inMemory) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	w := &recorder{header: http.Header{}, status: http.StatusOK}
	req := r.Clone(r.Context())
	if req.Body == nil {
		req.Body = http.NoBody
	}
	defer req.Body.Close()
	req.RequestURI, req.RemoteAddr = r.URL.RequestURI(), "127.0.0.1:1"
	defer func() {
		if v := recover(); v != nil {
			if e, ok := v.(error); !ok || !errors.Is(e, http.ErrAbortHandler) {
				panic(v)
			}
			resp, err = nil, io.ErrUnexpectedEOF // as of a connection that broke
		}
	}()
	t.p.ServeHTTP(w, req)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

// recorder is a response in memory.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }
