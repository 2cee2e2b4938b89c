package api

import "sync"

// Endpoint is what the client knows about one call of the platform. The whole
// description is in package catalogue.
type Endpoint struct {
	ID      string
	Method  string
	Host    string // empty is api.weixin.qq.com
	Path    string
	Auth    Auth
	Content Content
	Answer  Answer
	// Reads is true when repeating the call can do no harm.
	Reads bool
	// File is the name of the file part of an upload.
	File     string
	Accept   []Accept
	Limit    Limit
	Fragment string // of a page's address
}

// Auth is the credential an endpoint wants.
type Auth uint8

const (
	AccountToken   Auth = iota // query access_token
	ComponentToken             // query component_access_token
	NoToken                    // none
	UserToken                  // of a visitor, which the caller gives in the query
)

// Content is the body an endpoint is sent.
type Content uint8

const (
	NoContent Content = iota
	JSONContent
	MultipartContent
)

// Answer is what an endpoint answers.
type Answer uint8

const (
	JSONAnswer       Answer = iota
	FileAnswer              // a file
	JSONOrFileAnswer        // a file or JSON, decided by the answer
	PageAnswer              // a page for a browser; only its address is made here
)

// Accept limits an uploaded file. When is the value of the query parameter
// "type" it holds for; empty holds for all.
type Accept struct {
	When     string
	MaxBytes int64
	Ext      []string
}

type endpointIndex struct {
	byID    map[string]*Endpoint
	byRoute map[string]*Endpoint
}

var indexEndpoints = sync.OnceValue(func() endpointIndex {
	x := endpointIndex{byID: make(map[string]*Endpoint, len(endpoints)), byRoute: make(map[string]*Endpoint, len(endpoints))}
	for _, e := range endpoints {
		x.byID[e.ID] = e
		if route := e.Method + " " + e.Path; x.byRoute[route] == nil {
			x.byRoute[route] = e
		}
	}
	return x
})

// Lookup finds an endpoint by its id ("menu_create") or by its method and path
// ("POST /cgi-bin/menu/create").
func Lookup(name string) (Endpoint, bool) {
	ep, ok := lookup(name)
	if !ok {
		return Endpoint{}, false
	}
	return *ep, true
}

func lookup(name string) (*Endpoint, bool) {
	x := indexEndpoints()
	if e, ok := x.byID[name]; ok {
		return e, true
	}
	e, ok := x.byRoute[name]
	return e, ok
}
