package sim

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Control is a JSON API under /sim/ by which a program in any language, or the
// page of [NewHandler], drives a [Platform] and a [Model]: it makes accounts and
// followers, acts as a follower, and reads what the follower sees. docs/sim.md
// in the repository lists its paths.
//
// Durations are strings such as "1.5s"; ids of messages are strings as well.
// What a request does not know is refused by name. An error has the status 4xx
// and the body
//
//	{"error": {"code": "unknown_member", "zh": "…", "en": "…"}}
//
// A Control has no sign-in: whoever reaches it can do everything. Requests that
// change something are refused when a browser sends them for another site.
type Control struct {
	platform *Platform
	model    *Model
	mux      *http.ServeMux
	origin   *http.CrossOriginProtection
}

// The most bytes of a request, and the longest that an answer is waited for.
const (
	maxControlBody = 16 << 20 // an act may carry a picture or a video
	maxControlWait = time.Minute
)

// NewControl returns the control of a platform and a model. From now on the
// platform keeps its events, so that a stream can begin in the past.
func NewControl(p *Platform, m *Model) *Control {
	c := &Control{platform: p, model: m, mux: http.NewServeMux(), origin: http.NewCrossOriginProtection()}
	p.Events(0)
	c.handle("/sim/", c.noSuchPath)
	c.handleAccounts()
	c.handleFollowers()
	c.handleSettings()
	c.mux.HandleFunc("GET /sim/events", c.streamEvents)
	return c
}

// order is a request to a [Control].
type order struct {
	*http.Request
	c *Control
}

// created is an answer of status 201.
type created struct{ value any }

func (c *Control) handle(pattern string, carryOut func(*order) (any, error)) {
	c.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		answer, err := carryOut(&order{Request: r, c: c})
		status := http.StatusOK
		if made, ok := answer.(created); ok {
			status, answer = http.StatusCreated, made.value
		}
		if err != nil {
			writeControlError(w, err)
			return
		}
		writeControl(w, status, answer)
	})
}

// ServeHTTP answers a request for a path under /sim/.
func (c *Control) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := c.admit(r); err != nil {
		writeControlError(w, err)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxControlBody)
	c.mux.ServeHTTP(w, r)
}

// admit refuses what a page of another site makes a browser send.
func (c *Control) admit(r *http.Request) error {
	if err := c.origin.Check(r); err != nil {
		return &controlError{http.StatusForbidden, "cross_origin",
			"这个请求来自别的网站的页面，已拒绝；请从本机的页面或命令行发出",
			"the request comes from a page of another site and is refused: send it from this server's own page, or from a shell"}
	}
	return hostIsOurs(r)
}

// hostIsOurs refuses a request that came over loopback for a name that is not
// this machine's: another site may have given its name our address. Elsewhere
// the owner has opened the port to a network, by whatever name.
func hostIsOurs(r *http.Request) error {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	at, err := netip.ParseAddrPort(fmt.Sprint(local))
	if err == nil && at.Addr().IsLoopback() && !isLocalName(r.Host) {
		return &controlError{http.StatusForbidden, "host",
			"本机地址不叫这个名字；请用 http://127.0.0.1 或 http://localhost 访问",
			"this is not a name of the loopback address: use http://127.0.0.1 or http://localhost"}
	}
	return nil
}

func isLocalName(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	_, err := netip.ParseAddr(host)
	return err == nil || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// noSuchPath answers what no other pattern takes.
func (c *Control) noSuchPath(o *order) (any, error) {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		other := o.Clone(o.Context())
		other.Method = method
		if _, pattern := c.mux.Handler(other); pattern != "/sim/" {
			allowed = append(allowed, method)
		}
	}
	if allowed != nil {
		list := strings.Join(allowed, ", ")
		return nil, &controlError{http.StatusMethodNotAllowed, "method",
			"这个路径只接受 " + list, "this path takes " + list + " only"}
	}
	return nil, notFound("没有这个路径；docs/sim.md 列出全部", "there is no such path: docs/sim.md lists them")
}

// wait returns the context that ends with the parameter wait, which is how long
// the caller wants to wait, or at once where there is none.
func (o *order) wait() (context.Context, context.CancelFunc, error) {
	var d time.Duration
	if text := o.URL.Query().Get("wait"); text != "" {
		var err error
		if d, err = time.ParseDuration(text); err != nil || d < 0 || d > maxControlWait {
			return nil, nil, badValue("wait", "应是时长，例如 20s，最长 "+maxControlWait.String(), "it must be a duration such as 20s, at most "+maxControlWait.String())
		}
	}
	ctx, cancel := context.WithTimeout(o.Context(), d)
	stop := context.AfterFunc(o.c.platform.life, cancel)
	return ctx, func() { stop(); cancel() }, nil
}

// after is the parameter of that name: a number that was seen before.
func (o *order) after() (int64, error) {
	text := o.URL.Query().Get("after")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 62)
	if err != nil || n < 0 {
		return 0, badValue("after", "应是见过的序号，0 表示从头", "it must be a number seen before, 0 is the beginning")
	}
	return n, nil
}
