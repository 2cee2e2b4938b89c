package model

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/internal/bot"
)

const (
	testKey    = "sk-topsecret-0123456789"
	testPrompt = "秘密的问题 my-secret-question"
)

// provider is a real HTTP server on an in-memory listener, since real sockets would
// stop the fake clock of a synctest bubble.
type provider struct {
	pool *Pool

	mu      sync.Mutex
	replies []http.HandlerFunc // in turn; the last again and again
	asked   []asked
}

// asked is a request that came.
type asked struct {
	at     time.Time
	host   string
	path   string
	header http.Header
	body   map[string]json.RawMessage
}

type pipeListener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// dial is for every host but "nowhere".
func (l *pipeListener) dial(_ context.Context, network, address string) (net.Conn, error) {
	if strings.HasPrefix(address, "nowhere") {
		return nil, &net.OpError{Op: "dial", Net: network, Err: &net.DNSError{Err: "no such host", Name: address, IsNotFound: true}}
	}
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func newProvider(t *testing.T, replies ...http.HandlerFunc) *provider {
	t.Helper()
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	p := &provider{replies: replies}
	transport := &http.Transport{DialContext: l.dial, DisableCompression: true}
	p.pool = New(transport)
	server := &http.Server{Handler: p}
	served := make(chan struct{})
	go func() { defer close(served); server.Serve(l) }()
	t.Cleanup(func() {
		p.pool.Close()
		server.Close()
		<-served
		p.pool.mu.Lock()
		defer p.pool.mu.Unlock()
		if len(p.pool.gates) > 0 {
			t.Errorf("%d gates are left", len(p.pool.gates))
		}
	})
	return p
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := asked{at: time.Now(), host: r.Host, path: r.URL.Path, header: r.Header}
	if err := json.NewDecoder(r.Body).Decode(&a.body); err != nil {
		panic(err)
	}
	p.mu.Lock()
	p.asked = append(p.asked, a)
	reply := p.replies[min(len(p.asked), len(p.replies))-1]
	p.mu.Unlock()
	reply(w, r)
}

// hosts returns who was asked, in order.
func (p *provider) hosts() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var hosts []string
	for _, a := range p.asked {
		hosts = append(hosts, a.host)
	}
	return strings.Join(hosts, " ")
}

// ask asks the model and returns all that onText got, joined by |.
func (p *provider) ask(ctx context.Context, m bot.Model) (Result, string, error) {
	var progress []string
	r, err := p.pool.Ask(ctx, Request{Account: "a", Follower: "f", Model: m, Messages: []Message{
		{Role: System, Text: "be short"},
		{Role: User, Text: testPrompt},
	}}, func(sofar string) { progress = append(progress, sofar) })
	return r, strings.Join(progress, "|"), err
}

// modelAt makes a model of endpoints by their hosts.
func modelAt(hosts ...string) bot.Model {
	var m bot.Model
	for _, host := range hosts {
		m.Endpoints = append(m.Endpoints, bot.Endpoint{Provider: "openai-compatible", BaseURL: "http://" + host + "/v1", Key: testKey, Name: "m-" + host})
	}
	return m
}

// says streams pieces of text and ends as it should.
func says(pieces ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, piece := range pieces {
			send(w, event(piece))
		}
		send(w, `data: {"choices":[{"delta":{},"finish_reason":"stop"}]}`+"\n\n")
		send(w, `data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}`+"\n\ndata: [DONE]\n\n")
	}
}

// sends answers 200 with these very bytes.
func sends(parts ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, part := range parts {
			send(w, part)
		}
	}
}

func send(w http.ResponseWriter, s string) {
	io.WriteString(w, s)
	w.(http.Flusher).Flush()
}

// event is an event with a piece of text.
func event(text string) string {
	return fmt.Sprintf("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":%s},\"finish_reason\":null}]}\n\n", quoted(text))
}

func quoted(s string) string {
	data, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// refuses answers with a status, a body and headers: name, value, …
func refuses(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// breaks sends what it is given and cuts the connection.
func breaks(parts ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, part := range parts {
			send(w, part)
		}
		panic(http.ErrAbortHandler)
	}
}

// stalls sends what it is given and then nothing.
func stalls(parts ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		for _, part := range parts {
			send(w, part)
		}
		<-r.Context().Done()
	}
}
