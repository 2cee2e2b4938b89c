package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/wenzihq/wenzi/catalogue"
	"github.com/wenzihq/wenzi/oa/api"
)

const (
	appID  = "wx0000000000000001"
	secret = "APPSECRET_0123456789abcdef"
	openID = "oUSER00000000000000000000001"
	rid    = "65000000-12345678-0abcdef0"
)

// fakePlatform is a platform that knows the catalogue: it refuses what does
// not fit an endpoint's description and answers the endpoint's sample. A
// handler of a test's own comes first.
type fakePlatform struct {
	*httptest.Server
	t testing.TB

	mu       sync.Mutex
	handlers map[string]http.HandlerFunc
	calls    map[string]int
	tokens   []string // all ever given out
	dead     map[string]bool
	life     int // of the next token, in seconds
}

func newPlatform(t *testing.T) *fakePlatform {
	p := offlinePlatform(t)
	p.Server = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.Close)
	return p
}

// offlinePlatform has no server; it is reached by its RoundTrip, which lets a
// fake clock run.
func offlinePlatform(t testing.TB) *fakePlatform {
	return &fakePlatform{t: t, handlers: map[string]http.HandlerFunc{}, calls: map[string]int{}, dead: map[string]bool{}, life: 7200}
}

// RoundTrip answers in memory. A handler that aborts is a line that is cut.
func (p *fakePlatform) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	defer func() {
		if recover() != nil {
			resp, err = nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
		}
	}()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.WroteHeaders != nil {
		trace.WroteHeaders()
	}
	rec := httptest.NewRecorder()
	p.serve(rec, r)
	return rec.Result(), nil
}

// client makes a client of the platform.
func (p *fakePlatform) client(options ...api.Option) *api.Client {
	p.t.Helper()
	c, err := api.NewClient(api.Account{AppID: appID, Secret: secret},
		append([]api.Option{api.WithBaseURL(p.URL), api.WithPagesURL(p.URL)}, options...)...)
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

// on answers a path with a handler.
func (p *fakePlatform) on(path string, h http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handlers[path] = h
}

// fail answers a path with return codes, one a call, and samples after them.
func (p *fakePlatform) fail(path string, codes ...int) {
	p.on(path, func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		var code int
		if len(codes) > 0 {
			code, codes = codes[0], codes[1:]
		}
		p.mu.Unlock()
		if code == 0 {
			p.sample(w, r)
			return
		}
		refuse(w, code, "some reason")
	})
}

func (p *fakePlatform) count(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[path]
}

// kill makes the platform refuse the newest token.
func (p *fakePlatform) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead[p.tokens[len(p.tokens)-1]] = true
}

func refuse(w http.ResponseWriter, code int, msg string) {
	w.Header().Set("Content-Type", "application/json; encoding=utf-8")
	fmt.Fprintf(w, `{"errcode":%d,"errmsg":"%s rid: %s"}`, code, msg, rid)
}

func (p *fakePlatform) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.calls[r.URL.Path]++
	h := p.handlers[r.URL.Path]
	p.mu.Unlock()
	if h != nil {
		h(w, r)
		return
	}
	p.sample(w, r)
}

func (p *fakePlatform) sample(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/cgi-bin/stable_token":
		p.giveToken(w, r)
		return
	case "/cgi-bin/token":
		p.mu.Lock()
		for _, t := range p.tokens {
			p.dead[t] = true
		}
		p.mu.Unlock()
		p.newToken(w)
		return
	}
	ep := p.endpoint(r)
	if ep == nil {
		p.t.Errorf("%s %s is not in the catalogue", r.Method, r.URL.Path)
		http.Error(w, "<html>no such page</html>", http.StatusOK)
		return
	}
	switch ep.Auth {
	case catalogue.AuthAccount:
		token := r.URL.Query().Get("access_token")
		p.mu.Lock()
		good := slices.Contains(p.tokens, token) && !p.dead[token]
		p.mu.Unlock()
		if !good {
			refuse(w, 40001, "invalid credential, access_token is invalid or not latest")
			return
		}
	case catalogue.AuthComponent:
		if r.URL.Query().Get("component_access_token") == "" {
			p.t.Errorf("%s: no component_access_token", ep.ID)
		}
	}
	p.check(ep, r)
	switch {
	case ep.Response.Kind == catalogue.KindBinary, ep.SampleResponse == nil:
		w.Header().Set("Content-Type", "image/jpeg")
		w.Header().Set("Content-Disposition", `attachment; filename="MEDIA_ID.jpg"`)
		w.Write([]byte("\xff\xd8\xffjpeg"))
	default:
		w.Header().Set("Content-Type", "text/plain")
		w.Write(ep.SampleResponse)
	}
}

func (p *fakePlatform) giveToken(w http.ResponseWriter, r *http.Request) {
	var req struct {
		GrantType    string `json:"grant_type"`
		AppID        string `json:"appid"`
		Secret       string `json:"secret"`
		ForceRefresh bool   `json:"force_refresh"`
	}
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil || req.GrantType != "client_credential" || req.AppID != appID {
		refuse(w, 40013, "invalid appid")
		return
	}
	if req.Secret != secret && req.Secret != "APP_SECRET" { // the sample's
		refuse(w, 40001, "invalid credential, secret is wrong")
		return
	}
	p.newToken(w)
}

func (p *fakePlatform) newToken(w http.ResponseWriter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	token := fmt.Sprintf("TOKEN_%04d_%s", len(p.tokens)+1, strings.Repeat("x", 140))
	p.tokens = append(p.tokens, token)
	fmt.Fprintf(w, `{"access_token":%q,"expires_in":%d}`, token, p.life)
}

func (p *fakePlatform) endpoint(r *http.Request) *catalogue.Endpoint {
	for _, e := range catalogue.Load().ByPath(r.URL.Path) {
		if e.Method == r.Method {
			return e
		}
	}
	return nil
}

// check holds a request against its description.
func (p *fakePlatform) check(ep *catalogue.Endpoint, r *http.Request) {
	query := r.URL.Query()
	known := map[string]bool{"access_token": true, "component_access_token": true}
	for _, f := range ep.Request.Query {
		known[f.Name] = true
		if f.Required && query.Get(f.Name) == "" {
			p.t.Errorf("%s: query %s is missing", ep.ID, f.Name)
		}
	}
	for name := range query {
		if !known[name] {
			p.t.Errorf("%s: query %s is not described", ep.ID, name)
		}
	}
	if r.ContentLength < 0 || len(r.TransferEncoding) > 0 {
		p.t.Errorf("%s: request without a length", ep.ID)
	}
	switch ep.Request.ContentType {
	case catalogue.ContentJSON:
		var body any
		dec := json.NewDecoder(r.Body)
		dec.UseNumber()
		if err := dec.Decode(&body); err != nil {
			p.t.Errorf("%s: body: %v", ep.ID, err)
			return
		}
		if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
			p.t.Errorf("%s: content type %q", ep.ID, r.Header.Get("Content-Type"))
		}
		checkObject(p.t, ep.ID, body, ep.Request.Body)
	case catalogue.ContentMultipart:
		reader, err := r.MultipartReader()
		if err != nil {
			p.t.Errorf("%s: %v", ep.ID, err)
			return
		}
		parts := map[string]bool{}
		for {
			part, err := reader.NextPart()
			if err == io.EOF {
				break
			}
			if err != nil {
				p.t.Errorf("%s: %v", ep.ID, err)
				return
			}
			parts[part.FormName()] = true
			i := slices.IndexFunc(ep.Request.Multipart, func(f catalogue.Field) bool { return f.Name == part.FormName() })
			if i < 0 {
				p.t.Errorf("%s: part %q is not described", ep.ID, part.FormName())
				continue
			}
			if (ep.Request.Multipart[i].Type == "file") != (part.FileName() != "") {
				p.t.Errorf("%s: part %q has file name %q", ep.ID, part.FormName(), part.FileName())
			}
		}
		for _, f := range ep.Request.Multipart {
			if f.Required && !parts[f.Name] {
				p.t.Errorf("%s: part %q is missing", ep.ID, f.Name)
			}
		}
	default:
		if n, _ := io.Copy(io.Discard, r.Body); n > 0 {
			p.t.Errorf("%s: has a body of %d bytes, wants none", ep.ID, n)
		}
	}
}

func checkObject(t testing.TB, where string, value any, fields []catalogue.Field) {
	object, ok := value.(map[string]any)
	if !ok {
		t.Errorf("%s is not an object", where)
		return
	}
	byName := map[string]*catalogue.Field{}
	for i := range fields {
		byName[fields[i].Name] = &fields[i]
		if _, sent := object[fields[i].Name]; !sent && fields[i].Required {
			t.Errorf("%s.%s is required and was not sent", where, fields[i].Name)
		}
	}
	for name, v := range object {
		f := byName[name]
		if f == nil {
			t.Errorf("%s.%s was sent and is not described", where, name)
			continue
		}
		if f.Type == "object" && len(f.Fields) > 0 {
			checkObject(t, where+"."+name, v, f.Fields)
		}
		if list, ok := v.([]any); ok && f.Type == "array<object>" {
			for i, x := range list {
				checkObject(t, where+"."+name+"["+strconv.Itoa(i)+"]", x, f.Fields)
			}
		}
		if m, ok := v.(map[string]any); ok && strings.HasPrefix(f.Type, "map<") {
			for _, k := range slices.Sorted(maps.Keys(m)) {
				checkObject(t, where+"."+name+"."+k, m[k], f.Fields)
			}
		}
	}
}
