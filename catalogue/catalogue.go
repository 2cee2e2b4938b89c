// Package catalogue describes the HTTP API of the WeChat Official Account
// platform as data: every endpoint with its fields, limits, return codes and
// samples, and the dictionary of return codes.
//
// The description is written by hand in the YAML files of this directory (see
// docs/api-catalogue.md). The generator turns them into the JSON this package
// embeds, the typed client oa/api and the tables in docs. The embedded JSON is
// read on the first call of [Load], so that a program which never asks for the
// catalogue does not pay for it.
package catalogue

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
)

//go:generate go run ./gen

//go:embed catalogue.json
var embedded []byte

// load parses the embedded catalogue once. The bytes are written by the
// generator from a validated catalogue, so a failure is a broken build.
var load = sync.OnceValue(func() *Catalogue {
	c, err := Parse(embedded)
	if err != nil {
		panic(fmt.Sprintf("catalogue: the embedded description is damaged: %v", err))
	}
	return c
})

// Load returns the embedded catalogue. It is shared: do not change it.
func Load() *Catalogue { return load() }

// Catalogue is the description of the platform's whole HTTP API.
type Catalogue struct {
	Areas   []Area            `json:"areas"`
	Actions map[string]Action `json:"actions"`
	Codes   []Code            `json:"codes"`

	endpoints []*Endpoint
	byID      map[string]*Endpoint
	byPath    map[string][]*Endpoint
	byCode    map[int]*Code
}

// Area is one chapter of the platform's documentation.
type Area struct {
	Name    string `json:"area"`
	TitleZH string `json:"title_zh"`
	// Groups are the prefixes of endpoint ids that become groups of methods
	// in oa/api. An area without groups has no typed methods.
	Groups    []string    `json:"groups,omitempty"`
	Endpoints []*Endpoint `json:"endpoints"`
}

// Priority says how much a client needs an endpoint.
type Priority string

const (
	Core    Priority = "core"    // every serious client needs it
	Useful  Priority = "useful"  // documented and in use
	Low     Priority = "low"     // rare, of a niche product, or closed to newcomers
	Retired Priority = "retired" // switched off or replaced
)

// Auth says which credential an endpoint wants.
type Auth string

const (
	AuthAccount   Auth = "access_token"           // the account's token, as query access_token
	AuthComponent Auth = "component_access_token" // the third-party platform's token
	AuthOAuth     Auth = "oauth_access_token"     // the user's token, listed in the query
	AuthNone      Auth = "none"
)

// Kind says what an endpoint answers.
type Kind string

const (
	KindJSON         Kind = "json"
	KindBinary       Kind = "binary"         // the bytes of a file
	KindJSONOrBinary Kind = "json_or_binary" // decided by the answer, reference api-rules §5
	KindRedirect     Kind = "redirect"       // a page for a browser, never called by a server
)

// The content types an endpoint's request can have. Empty is a GET.
const (
	ContentJSON      = "application/json"
	ContentMultipart = "multipart/form-data"
	ContentNone      = "none" // a POST without a body
)

// DefaultHost is the host of an endpoint that names none.
const DefaultHost = "api.weixin.qq.com"

// Endpoint is one call of the platform's API.
type Endpoint struct {
	ID       string   `json:"id"`
	TitleZH  string   `json:"title_zh"`
	Summary  string   `json:"summary"`
	Priority Priority `json:"priority"`
	Status   string   `json:"status,omitempty"` // why it is low or retired
	Method   string   `json:"method"`
	Path     string   `json:"path"`
	Host     string   `json:"host,omitempty"` // empty is [DefaultHost]
	Auth     Auth     `json:"auth"`
	// Effect is "read" for a POST that only reads and "write" for a GET that
	// changes something; empty follows the method.
	Effect         string          `json:"effect,omitempty"`
	Account        Account         `json:"account"`
	Quota          Quota           `json:"quota,omitzero"`
	Request        Request         `json:"request,omitzero"`
	Response       Response        `json:"response"`
	Errcodes       []int           `json:"errcodes,omitempty"`
	Limits         []string        `json:"limits,omitempty"`
	Notes          []string        `json:"notes,omitempty"`
	SampleRequest  json.RawMessage `json:"sample_request,omitempty"`
	SampleResponse json.RawMessage `json:"sample_response,omitempty"`

	area *Area
}

// Area is the chapter the endpoint belongs to.
func (e *Endpoint) Area() *Area { return e.area }

// Reads reports whether repeating the call can do no harm.
func (e *Endpoint) Reads() bool {
	if e.Effect != "" {
		return e.Effect == "read"
	}
	return e.Method == "GET"
}

// Typed reports whether oa/api has a method for the endpoint.
func (e *Endpoint) Typed() bool { return e.Priority == Core || e.Priority == Useful }

// Account says which accounts may call an endpoint: "yes", "verified", "no",
// or "n/a" for calls of a third-party platform.
type Account struct {
	Subscription string `json:"subscription"`
	Service      string `json:"service"`
	Note         string `json:"note,omitempty"`
}

// Quota is the number of calls an ordinary account has. Zero is unknown.
type Quota struct {
	Day    int `json:"day,omitempty"`
	Minute int `json:"minute,omitempty"`
}

// Request is what an endpoint is sent.
type Request struct {
	ContentType string  `json:"content_type,omitempty"`
	Query       []Field `json:"query,omitempty"` // without the account's access_token
	Body        []Field `json:"body,omitempty"`
	Multipart   []Field `json:"multipart,omitempty"`
}

// Response is what an endpoint answers beside errcode and errmsg.
type Response struct {
	Kind         Kind    `json:"kind"`
	Shape        string  `json:"shape,omitempty"`
	EnvelopeOnly bool    `json:"envelope_only,omitempty"`
	Fragment     string  `json:"fragment,omitempty"` // what follows # in a redirect's address
	Fields       []Field `json:"fields,omitempty"`
}

// Field is one parameter, member or form part.
type Field struct {
	Name string `json:"name"`
	// Type is string, int, int64, number, bool, object, file, array<T> or
	// map<string,T>. An int fits 32 bits; an id or a time is an int64.
	Type string `json:"type"`
	// Shape names an object that occurs in several places. Objects of one
	// shape become one Go type and one schema. One without Fields has those
	// of its shape; see [Catalogue.Members].
	Shape      string   `json:"shape,omitempty"`
	Required   bool     `json:"required,omitempty"` // in requests
	Optional   bool     `json:"optional,omitempty"` // in responses
	Deprecated bool     `json:"deprecated,omitempty"`
	Note       string   `json:"note,omitempty"`
	Accept     []Accept `json:"accept,omitempty"` // of a file part
	Fields     []Field  `json:"fields,omitempty"`
}

// Elem returns the innermost element type of an array or map type, the type
// itself otherwise.
func (f *Field) Elem() string {
	t := f.Type
	for {
		switch {
		case strings.HasPrefix(t, "array<") && strings.HasSuffix(t, ">"):
			t = t[len("array<") : len(t)-1]
		case strings.HasPrefix(t, "map<string,") && strings.HasSuffix(t, ">"):
			t = t[len("map<string,") : len(t)-1]
		default:
			return t
		}
	}
}

// Accept limits a file. When is the value of the query parameter "type" it
// holds for; empty holds for all.
type Accept struct {
	When     string   `json:"when,omitempty"`
	MaxBytes int64    `json:"max_bytes"`
	Ext      []string `json:"ext"`
}

// Action is a class of return codes that want the same reaction.
type Action struct {
	Category string `json:"category"`
	Meaning  string `json:"meaning"`
	AdviceZH string `json:"advice_zh"`
}

// Code is one return code of the platform.
type Code struct {
	Code      int    `json:"code"`
	Name      string `json:"name"`
	Action    string `json:"action"`
	Category  string `json:"category,omitempty"` // when it is not the action's
	Meaning   string `json:"meaning"`
	MeaningZH string `json:"meaning_zh"`
	AdviceZH  string `json:"advice_zh,omitempty"` // when it is not the action's
}

// Parse reads a catalogue from JSON and indexes it. It does not validate it.
func Parse(b []byte) (*Catalogue, error) {
	c := new(Catalogue)
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	c.byID = make(map[string]*Endpoint)
	c.byPath = make(map[string][]*Endpoint)
	c.byCode = make(map[int]*Code)
	for i := range c.Areas {
		for _, e := range c.Areas[i].Endpoints {
			e.area = &c.Areas[i]
			c.endpoints = append(c.endpoints, e)
			c.byID[e.ID] = e
			c.byPath[e.Path] = append(c.byPath[e.Path], e)
		}
	}
	for i := range c.Codes {
		c.byCode[c.Codes[i].Code] = &c.Codes[i]
	}
	return c, nil
}

// Endpoints lists all endpoints, area by area.
func (c *Catalogue) Endpoints() []*Endpoint { return c.endpoints }

// Endpoint finds an endpoint by its id.
func (c *Catalogue) Endpoint(id string) (*Endpoint, bool) {
	e, ok := c.byID[id]
	return e, ok
}

// ByPath lists the endpoints of a path, whatever their method. A few paths
// serve several endpoints of one method, told apart by the query "action".
func (c *Catalogue) ByPath(path string) []*Endpoint { return c.byPath[path] }

// Code finds a return code, with its category and advice filled in from the
// code's action where the code has none of its own.
func (c *Catalogue) Code(n int) (Code, bool) {
	p, ok := c.byCode[n]
	if !ok {
		return Code{}, false
	}
	code := *p
	action := c.Actions[code.Action]
	if code.Category == "" {
		code.Category = action.Category
	}
	if code.AdviceZH == "" {
		code.AdviceZH = action.AdviceZH
	}
	return code, true
}
