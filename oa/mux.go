package oa

import (
	"context"
	"fmt"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// Handler answers one delivery. It should return before the deadline of ctx,
// 4.5 s after the request arrived; WeChat hangs up at 5 s. An error is logged
// by its type only, and WeChat gets `success`, except for [ErrUnanswered].
type Handler interface {
	Answer(ctx context.Context, r *Request) (Reply, error)
}

// HandlerFunc is a function as a [Handler].
type HandlerFunc func(ctx context.Context, r *Request) (Reply, error)

// Answer calls f.
func (f HandlerFunc) Answer(ctx context.Context, r *Request) (Reply, error) { return f(ctx, r) }

// Middleware wraps a handler.
type Middleware func(Handler) Handler

// Mux routes deliveries to handlers by pattern, in the manner of
// [net/http.ServeMux]. The most specific pattern wins, whatever the order of
// registration:
//
//	text/帮助              a text message: exactly this text (as FoldText sees it)
//	(HandleRegexp)         a text message that matches, first registered first
//	text, image, …         any message of that MsgType
//	event/CLICK/ABOUT      an event with that key: menu key, scene of a QR code, …
//	event/SCAN/{scene}     an event that has a key; PathValue("scene")
//	event/subscribe        any event of that name (in any case)
//	event                  any event
//	info/authorized, info  pushes of a third-party platform
//	*                      everything else
//
// The key of event/subscribe is the scene, without "qrscene_". What nothing
// matches is answered `success`. Two equal patterns panic on registration.
//
// Register everything before the first delivery; after that a Mux is safe for
// concurrent use.
type Mux struct {
	routes     map[string]*route
	texts      bool // some pattern is an exact text
	regexps    []*route
	middleware []Middleware
}

type route struct {
	handler Handler
	names   []string
	expr    *regexp.Regexp
	where   string
}

// NewMux returns an empty Mux.
func NewMux() *Mux { return &Mux{routes: map[string]*route{}} }

// Use appends middleware to the handlers that are registered after it. The
// first of several is the outermost.
func (m *Mux) Use(mw ...Middleware) {
	m.middleware = append(m.middleware, mw...)
}

func (m *Mux) wrap(h Handler) Handler {
	for _, mw := range slices.Backward(m.middleware) {
		h = mw(h)
	}
	return h
}

// Handle registers a handler for a pattern.
func (m *Mux) Handle(pattern string, h Handler) { m.handle(pattern, h, caller()) }

// HandleFunc registers a function for a pattern.
func (m *Mux) HandleFunc(pattern string, f func(context.Context, *Request) (Reply, error)) {
	m.handle(pattern, HandlerFunc(f), caller())
}

// HandleRegexp registers a function for text messages (and recognised speech)
// that match the expression. Named groups are path values.
func (m *Mux) HandleRegexp(expr string, f func(context.Context, *Request) (Reply, error)) {
	where := caller()
	re, err := regexp.Compile(expr)
	if err != nil {
		panic(fmt.Sprintf("oa: expression at %s: %v", where, err))
	}
	for _, old := range m.regexps {
		if old.expr.String() == expr {
			panic(fmt.Sprintf("oa: expression %q at %s is registered already, at %s", expr, where, old.where))
		}
	}
	m.regexps = append(m.regexps, &route{handler: m.wrap(HandlerFunc(f)), names: re.SubexpNames(), expr: re, where: where})
}

// On registers a typed function for all deliveries of type T, a pointer to a
// message type of this package, as its patterns would: On with *TextMessage is
// "text", with *SubscribeEvent "event/subscribe", with *PicEvent all three
// events of that type.
func On[T Message](m *Mux, f func(context.Context, T) (Reply, error)) {
	where := caller()
	h := HandlerFunc(func(ctx context.Context, r *Request) (Reply, error) {
		t, ok := r.Message.(T)
		if !ok {
			return Reply{}, nil
		}
		return f(ctx, t)
	})
	patterns := patternsOf(reflect.TypeFor[T]())
	if len(patterns) == 0 {
		panic(fmt.Sprintf("oa: On at %s: %s is no message type of WeChat's", where, reflect.TypeFor[T]()))
	}
	for _, p := range patterns {
		m.handle(p, h, where)
	}
}

func patternsOf(t reflect.Type) []string {
	for _, g := range []struct {
		prefix string
		types  []*messageType
	}{{"", messageTypes}, {"event/", eventTypes}, {"info/", infoTypes}} {
		for _, mt := range g.types {
			if mt.goType != t {
				continue
			}
			var out []string
			for _, n := range mt.names {
				out = append(out, g.prefix+n)
			}
			return out
		}
	}
	return nil
}

func (m *Mux) handle(pattern string, h Handler, where string) {
	key, names, err := routeOf(pattern)
	if err != nil {
		panic(fmt.Sprintf("oa: pattern %q at %s: %v", pattern, where, err))
	}
	if old, ok := m.routes[key]; ok {
		panic(fmt.Sprintf("oa: pattern %q at %s is registered already, at %s", pattern, where, old.where))
	}
	m.routes[key] = &route{handler: m.wrap(h), names: names, where: where}
	m.texts = m.texts || strings.HasPrefix(key, "text/")
}

// routeOf turns a pattern into the key under which it is looked up.
func routeOf(pattern string) (key string, names []string, err error) {
	kind, rest, more := strings.Cut(pattern, "/")
	switch {
	case kind == "" || more && rest == "":
		return "", nil, fmt.Errorf("a part is empty")
	case !more:
		return pattern, nil, nil
	case kind == "text" && FoldText(rest) == "":
		return "", nil, fmt.Errorf("no text is blank")
	case kind == "text":
		return "text/" + FoldText(rest), nil, nil
	case kind == "info":
		return pattern, nil, nil
	case kind != "event":
		return "", nil, fmt.Errorf("only text, event and info have a second part")
	}
	event, eventKey, more := strings.Cut(rest, "/")
	key = "event/" + strings.ToLower(event)
	switch {
	case event == "" || more && eventKey == "":
		return "", nil, fmt.Errorf("a part is empty")
	case !more:
		return key, nil, nil
	case strings.HasPrefix(eventKey, "{") && strings.HasSuffix(eventKey, "}") && len(eventKey) > 2:
		return key + "/{}", []string{eventKey[1 : len(eventKey)-1]}, nil
	}
	return key + "/=" + eventKey, nil, nil
}

// caller is the place outside this package that registers a pattern.
func caller() string {
	_, file, line, _ := runtime.Caller(2)
	return fmt.Sprintf("%s:%d", file, line)
}

// Answer gives the delivery to the handler of the most specific pattern.
func (m *Mux) Answer(ctx context.Context, r *Request) (Reply, error) {
	rt, match := m.find(r)
	if rt == nil {
		return Reply{}, nil
	}
	r.names, r.match = rt.names, match
	return rt.handler.Answer(ctx, r)
}

func (m *Mux) find(r *Request) (*route, []string) {
	first := func(keys ...string) *route {
		for _, k := range keys {
			if rt := m.routes[k]; rt != nil {
				return rt
			}
		}
		return nil
	}
	switch msg := r.Message.(type) {
	case Event:
		base := "event/" + strings.ToLower(msg.EventHead().Event)
		if key := routeKey(msg); key != "" {
			if rt := m.routes[base+"/="+key]; rt != nil {
				return rt, nil
			}
			if rt := m.routes[base+"/{}"]; rt != nil {
				return rt, []string{key}
			}
		}
		return first(base, "event", "*"), nil
	case Info:
		return first("info/"+msg.InfoHead().InfoType, "info", "*"), nil
	}
	msgType := r.Message.Head().MsgType
	if text := r.Text(); text != "" {
		if m.texts {
			if rt := m.routes["text/"+FoldText(text)]; rt != nil {
				return rt, nil
			}
		}
		for _, rt := range m.regexps {
			if match := rt.expr.FindStringSubmatch(text); match != nil {
				return rt, match
			}
		}
	}
	return first(msgType, "*"), nil
}
