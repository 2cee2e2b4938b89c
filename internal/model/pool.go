// Package model asks language models. A [Pool] speaks the chat completions
// protocol that OpenAI began and most providers follow, streams the answer, tries
// again what fails for a while, turns to the next endpoint of a [bot.Model] where
// one does not answer, and lets no account or follower starve the others.
//
// It knows nothing of WeChat, of turns or of the store. Neither its errors nor
// anything else it says holds a key, a question or an answer.
package model

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/wenzihq/wenzi/internal/bot"
)

const (
	maxAttempts   = 3 // at one endpoint
	firstBackoff  = 500 * time.Millisecond
	maxRetryAfter = 20 * time.Second // who is told to wait longer asks the next endpoint

	leastQueued = 100 * time.Millisecond // that is worth a step
)

// Pool holds the connections to all providers, what waits for them and how fast
// they were. A process has one. It is safe for concurrent use.
type Pool struct {
	client *http.Client

	mu     sync.Mutex
	gates  map[gateKey]*gate
	speeds map[speedKey]*speed
}

// New returns a pool that sends its requests through transport, or through one of
// its own where that is nil.
func New(transport http.RoundTripper) *Pool {
	if transport == nil {
		transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout:    10 * time.Second,
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    64,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
			DisableCompression:     true, // it would hold back what is streamed
		}
	}
	return &Pool{
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		gates:  map[gateKey]*gate{},
		speeds: map[speedKey]*speed{},
	}
}

// Close closes the idle connections.
func (p *Pool) Close() { p.client.CloseIdleConnections() }

// Request is a question to a model.
type Request struct {
	// Account and Follower are whose turn it is; they mean nothing else.
	Account, Follower string

	// Model is whom to ask. Its system prompt and memory are for whoever makes
	// the messages, see [Budget].
	Model    bot.Model
	Messages []Message

	// Step, if it is set, is told what happens on the way, in words that hold
	// neither a key nor a question nor an answer.
	Step func(what, detail string)
}

func (r Request) step(what, detail string) {
	if r.Step != nil {
		r.Step(what, detail)
	}
}

// Role is who says a message.
type Role string

// The roles of a conversation.
const (
	System    Role = "system"
	User      Role = "user"
	Assistant Role = "assistant"
)

// Message is one message of a conversation.
type Message struct {
	Role   Role
	Text   string
	Images []Image // only endpoints with vision get them
}

// Image is the address of an image, or the image itself.
type Image struct {
	URL  string
	Data []byte
	Type string // of Data: image/jpeg
}

// Result is an answer and what it took.
type Result struct {
	Text         string
	FinishReason string // as the provider says: stop; length where the answer had to end early
	Usage        Usage

	Queued    time.Duration // in all
	FirstText time.Duration // from the call to the first text, 0 without any
	Total     time.Duration // from the call to the end

	Endpoint       int    // which of the model's answered, or was asked last
	Provider, Name string // of that endpoint
	Attempts       int    // requests sent, in all

	// Failed are the errors of the endpoints that did not answer, in their order.
	// They are there with an answer too: a backup that works is no reason not to
	// tell the owner that a key is wrong.
	Failed []*Error
}

// Usage counts tokens.
type Usage struct {
	Prompt, Completion int
	Cached             int  // the part of Prompt that the provider had in its cache
	Reasoning          int  // the part of Completion that was thinking
	Estimated          bool // by us, because the provider did not say
}

// Ask gives the model's answer. While it comes in, onText is called with all of
// the text so far, and with "" while the model is still thinking. What it thinks
// is not part of the text.
//
// An error is an [*Error]. With one of kind [Cut] the result holds the text that
// came before the end; with any other its text is not to be shown. The rest of
// the result is filled in as far as it is known.
func (p *Pool) Ask(ctx context.Context, r Request, onText func(sofar string)) (Result, error) {
	started := time.Now()
	m := r.Model.WithDefaults()
	var res Result
	err := &Error{Kind: Config, zh: "没有设置大模型，请在 bot.yaml 里写 model", en: "no model is configured; write model in bot.yaml"}
	for i, e := range m.Endpoints {
		res.Endpoint, res.Provider, res.Name = i, e.Provider, e.Name
		var a answer
		a.onText = func(sofar string) {
			if res.FirstText == 0 && sofar != "" {
				res.FirstText = time.Since(started)
			}
			onText(sofar)
		}
		err = p.askEndpoint(ctx, r, e, &a, &res)
		res.Text, res.FinishReason = a.text(), a.finish
		res.Usage = a.usage(r.Messages)
		if err == nil {
			res.Total = time.Since(started)
			p.learn(m, res)
			return res, nil
		}
		err.Endpoint, err.Provider, err.Name = i, e.Provider, e.Name
		res.Failed = append(res.Failed, err)
		r.step("endpoint failed", err.who()+": "+err.brief())
		if err.Kind == Cut || err.Kind == Filtered || ctx.Err() != nil {
			break
		}
	}
	res.Total = time.Since(started)
	return res, err
}

// askEndpoint waits for its turn and asks as often as makes sense.
func (p *Pool) askEndpoint(ctx context.Context, r Request, e bot.Endpoint, a *answer, res *Result) *Error {
	queued := time.Now()
	gate := gateKey{e.BaseURL, e.Key}
	err := p.enter(ctx, gate, e.Concurrency, r.Account, r.Follower)
	waited := time.Since(queued)
	res.Queued += waited
	if waited >= leastQueued {
		r.step("queued", fmt.Sprintf("%.1f s", waited.Seconds()))
	}
	switch {
	case errors.Is(err, errFull):
		return &Error{Kind: Busy, zh: "排队的人太多", en: "too many requests are waiting"}
	case err != nil:
		return &Error{Kind: Busy, zh: "排队排到了时限", en: "the time was up while it waited for its turn", cause: err}
	}
	defer p.leave(gate)

	body, err := encode(e, r.Messages)
	if err != nil {
		return &Error{Kind: Config, zh: "extra 写不成 JSON，请检查 extra", en: "extra cannot be written as JSON; check it"}
	}
	r.step("asked", e.Provider+"/"+e.Name)
	for n := 1; ; n++ {
		res.Attempts++
		failed := p.attempt(ctx, e, body, a)
		if failed == nil || !failed.again || n == maxAttempts || !wait(ctx, backoff(n, failed.after)) {
			return failed
		}
		r.step("asked again", "after "+failed.brief())
	}
}

// backoff is how long to wait after n attempts, at least as long as the provider
// asked for.
func backoff(n int, asked time.Duration) time.Duration {
	d := firstBackoff << (n - 1)
	return max(asked, d/2+rand.N(d/2))
}

// wait reports whether there was the time to wait.
func wait(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); d > maxRetryAfter || ok && time.Now().Add(d).After(deadline) {
		return false
	}
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
