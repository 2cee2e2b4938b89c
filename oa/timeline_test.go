package oa

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// The time lines of reference §4.1, on a fake clock: a net/http server on a
// listener of net.Pipe, since real sockets would stop the clock.

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

// line is a server on the fake clock.
type line struct {
	t         *testing.T
	account   Account
	listener  *pipeListener
	mu        sync.Mutex
	exchanges []Exchange
	log       lockedBuffer
}

func newLine(t *testing.T, h Handler, options ...Option) *line {
	t.Helper()
	l := &line{t: t, account: testAccount(Secure), listener: &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}}
	options = append(options, WithLogger(slog.New(slog.NewTextHandler(&l.log, nil))),
		WithObserver(func(_ *http.Request, x Exchange) { l.mu.Lock(); l.exchanges = append(l.exchanges, x); l.mu.Unlock() }))
	s, err := NewServer(l.account, h, options...)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: s, ErrorLog: slog.NewLogLogger(slog.NewTextHandler(&l.log, nil), slog.LevelError)}
	served := make(chan struct{})
	go func() { defer close(served); server.Serve(l.listener) }()
	t.Cleanup(func() { server.Close(); <-served; time.Sleep(time.Minute) }) // whatever still runs, ends
	return l
}

// outcome is what WeChat sees of one delivery.
type outcome struct {
	raw  []byte        // every byte that came
	body []byte        // opened, or success
	took time.Duration // until the answer, or the end of the connection
}

// deliver sends a body, waits for the answer as long as WeChat does, and hangs up.
func (l *line) deliver(body string, patience time.Duration) outcome {
	l.t.Helper()
	req, err := NewDelivery(l.account, "http://server/wx", []byte(body))
	if err != nil {
		l.t.Fatal(err)
	}
	client, server := net.Pipe()
	defer client.Close()
	l.listener.conns <- server
	start := time.Now()
	req.Close = true // so that the answer ends with the connection
	if err := req.Write(client); err != nil {
		l.t.Fatal(err)
	}
	client.SetReadDeadline(start.Add(patience))
	raw, _ := io.ReadAll(client)
	o := outcome{raw: raw, took: time.Since(start)}
	if len(raw) > 0 {
		_, o.body, _ = bytes.Cut(raw, []byte("\r\n\r\n"))
		if string(o.body) != "success" {
			if o.body, err = OpenReply(l.account, o.body); err != nil {
				l.t.Errorf("reply %s: %v", raw, err)
			}
		}
	}
	return o
}

// observed waits until the server is done with what it has, and tells how.
func (l *line) observed() []Exchange {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.exchanges
}

// outcomes counts what was observed.
func (l *line) outcomes() map[Outcome]int {
	count := map[Outcome]int{}
	for _, x := range l.observed() {
		count[x.Outcome]++
	}
	return count
}

const wechatWaits = 5 * time.Second

func TestUnanswered(t *testing.T) {
	for _, c := range []struct {
		name    string
		handler HandlerFunc
		answer  string // part of it; "" is not a byte
		outcome Outcome
		logs    bool
	}{
		{"on purpose", func(context.Context, *Request) (Reply, error) { return Reply{}, ErrUnanswered }, "", Unanswered, false},
		{"wrapped", func(context.Context, *Request) (Reply, error) { return Reply{}, fmt.Errorf("wait: %w", ErrUnanswered) }, "", Unanswered, false},
		{"aborted", func(context.Context, *Request) (Reply, error) { panic(http.ErrAbortHandler) }, "", Unanswered, false},
		{"in time", func(context.Context, *Request) (Reply, error) {
			time.Sleep(4400 * time.Millisecond)
			return Text("just")
		}, "just", Answered, false},
		{"with its context", func(ctx context.Context, _ *Request) (Reply, error) {
			<-ctx.Done()
			time.Sleep(time.Millisecond)
			return Text("late")
		}, "", Unanswered, true},
		{"late", func(context.Context, *Request) (Reply, error) {
			time.Sleep(4600 * time.Millisecond)
			return Text("late")
		}, "", Unanswered, true},
		{"late with nothing", func(context.Context, *Request) (Reply, error) { time.Sleep(6 * time.Second); return None() }, "", Unanswered, true},
		{"late with an error", func(context.Context, *Request) (Reply, error) {
			time.Sleep(6 * time.Second)
			return Reply{}, errors.New("hello")
		}, "", Unanswered, true},
		{"late with a panic", func(context.Context, *Request) (Reply, error) { time.Sleep(6 * time.Second); panic("hello") }, "", Unanswered, true},
	} {
		for _, patience := range []time.Duration{wechatWaits, time.Hour} {
			synctest.Test(t, func(t *testing.T) {
				l := newLine(t, c.handler)
				o := l.deliver(plainText("hello"), patience)
				switch {
				case c.answer != "":
					if !bytes.Contains(o.body, []byte(c.answer)) {
						t.Errorf("%s: answered %q", c.name, o.raw)
					}
				case len(o.raw) > 0:
					t.Errorf("%s: wrote %q", c.name, o.raw)
				case o.took < wechatWaits || o.took > holdLimit:
					t.Errorf("%s: the connection ended after %s", c.name, o.took)
				}
				time.Sleep(time.Minute) // whatever still runs, ends
				if x := l.observed(); len(x) != 1 || x[0].Outcome != c.outcome {
					t.Errorf("%s: observed %+v", c.name, x)
				}
				if log := l.log.String(); (log != "") != c.logs || strings.Contains(log, "hello") {
					t.Errorf("%s: logged %q", c.name, log)
				}
			})
		}
	}
}

// TestContext: the handler's context ends at the deadline, or when WeChat hangs up.
func TestContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var ended time.Duration
		var cause error
		l := newLine(t, HandlerFunc(func(ctx context.Context, r *Request) (Reply, error) {
			if d, ok := ctx.Deadline(); !ok || d.Sub(r.Arrived) != DefaultDeadline {
				t.Errorf("deadline %v, %v", d, ok)
			}
			if ctx.Err() != nil {
				t.Error("the context has ended already")
			}
			child, cancel := context.WithCancel(ctx)
			defer cancel()
			<-child.Done()
			ended, cause = time.Since(start), ctx.Err()
			return Reply{}, ErrUnanswered
		}))
		l.deliver(plainText("x"), wechatWaits)
		if l.observed(); ended != DefaultDeadline || !errors.Is(cause, context.DeadlineExceeded) {
			t.Errorf("ended after %s: %v", ended, cause)
		}
		start = time.Now()
		l.deliver(plainText("x"), 2*time.Second)
		if l.observed(); ended != 2*time.Second || !errors.Is(cause, context.Canceled) {
			t.Errorf("after a hang-up: ended after %s: %v", ended, cause)
		}
	})
	// What a handler leaves running sees that its delivery is over.
	synctest.Test(t, func(t *testing.T) {
		var left context.Context
		l := newLine(t, HandlerFunc(func(ctx context.Context, _ *Request) (Reply, error) { left = ctx; return Text("done") }))
		l.deliver(plainText("x"), wechatWaits)
		l.observed()
		select {
		case <-left.Done():
		default:
			t.Error("the context has not ended with its delivery")
		}
		if !errors.Is(left.Err(), context.Canceled) {
			t.Errorf("ended with %v", left.Err())
		}
	})
}

// TestDeliveryContext: without a server around it that ends contexts too.
func TestDeliveryContext(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		parent := context.WithValue(t.Context(), key{}, "v")
		early, late := newDeliveryContext(parent, time.Now().Add(time.Second)), newDeliveryContext(parent, time.Now().Add(time.Second))
		for range 2 { // before and after somebody waits
			if early.Value(key{}) != "v" || early.Err() != nil || context.Cause(early) != nil {
				t.Errorf("at first: %v, %v", early.Value(key{}), early.Err())
			}
		}
		early.end()
		if <-early.Done(); !errors.Is(early.Err(), context.Canceled) || !errors.Is(context.Cause(early), context.Canceled) {
			t.Errorf("ended: %v, cause %v", early.Err(), context.Cause(early))
		}
		late.end()
		if late.Err() == nil {
			t.Error("nobody waited before the end, and it has not ended")
		}
		timed := newDeliveryContext(parent, time.Now().Add(time.Second))
		goroutines := runtime.NumGoroutine()
		child, cancel := context.WithCancel(timed)
		defer cancel()
		if n := runtime.NumGoroutine(); n > goroutines {
			t.Error("a child costs a goroutine")
		}
		<-child.Done()
		if !errors.Is(child.Err(), context.DeadlineExceeded) || !errors.Is(context.Cause(timed), context.DeadlineExceeded) {
			t.Errorf("timed out: %v, cause %v", child.Err(), context.Cause(timed))
		}
		outer, cancel := context.WithTimeout(parent, time.Second)
		defer cancel()
		if d, ok := newDeliveryContext(outer, time.Now().Add(time.Hour)).Deadline(); !ok || time.Until(d) != time.Second {
			t.Errorf("deadline in %s, the parent's is in 1s", time.Until(d))
		}
	})
}

func TestDeadlineOption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, HandlerFunc(func(ctx context.Context, _ *Request) (Reply, error) {
			time.Sleep(1500 * time.Millisecond)
			return Text("x")
		}), WithDeadline(time.Second))
		if o := l.deliver(plainText("x"), wechatWaits); len(o.raw) > 0 {
			t.Errorf("answered %q after its deadline", o.raw)
		}
	})
}

// TestCutBody: a body that breaks off is not answered, and reaches no handler.
func TestCutBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, HandlerFunc(func(context.Context, *Request) (Reply, error) { t.Error("the handler ran"); return Reply{}, nil }))
		req, err := NewDelivery(l.account, "http://server/wx", []byte(plainText("x")))
		if err != nil {
			t.Fatal(err)
		}
		client, server := net.Pipe()
		l.listener.conns <- server
		fmt.Fprintf(client, "POST %s HTTP/1.1\r\nHost: server\r\nContent-Length: 500\r\n\r\n<xml>", req.URL.RequestURI())
		synctest.Wait()
		client.Close()
		if x := l.observed(); len(x) != 1 || x[0].Outcome != Unanswered || x[0].Err == nil {
			t.Errorf("observed %+v", x)
		}
	})
}

func TestOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		l := newLine(t, Once()(HandlerFunc(func(ctx context.Context, r *Request) (Reply, error) {
			n := runs.Add(1)
			if d, _ := ctx.Deadline(); d.Sub(r.Arrived) != onceWork {
				t.Errorf("the handler has until %s", d.Sub(r.Arrived))
			}
			time.Sleep(9 * time.Second)
			return Text(fmt.Sprintf("answer %d", n))
		})))
		body := plainText("slow")
		if o := l.deliver(body, wechatWaits); len(o.raw) > 0 || o.took != wechatWaits {
			t.Errorf("delivery 1: %q after %s", o.raw, o.took)
		}
		second := l.deliver(body, wechatWaits)
		if !bytes.Contains(second.body, []byte("answer 1")) || second.took != 4*time.Second {
			t.Errorf("delivery 2: %q after %s", second.body, second.took)
		}
		// Nobody repeats what was answered, but a lost answer looks like this.
		time.Sleep(time.Second)
		third := l.deliver(body, wechatWaits)
		if !bytes.Equal(third.body, second.body) || third.took != 0 {
			t.Errorf("delivery 3: %q after %s, want the bytes of %q", third.body, third.took, second.body)
		}
		if runs.Load() != 1 {
			t.Errorf("the handler ran %d times", runs.Load())
		}
		// Another message, and the same one when it is forgotten, are new.
		if o := l.deliver(strings.Replace(body, "24537625000000001", "24537625000000002", 1), time.Hour); len(o.raw) > 0 || runs.Load() != 2 {
			t.Errorf("another message: %q, %d runs", o.raw, runs.Load())
		}
		time.Sleep(onceWindow)
		if l.deliver(body, wechatWaits); runs.Load() != 3 {
			t.Errorf("the handler ran %d times", runs.Load())
		}
	})
}

// TestOnceLast: a handler that never comes to an end answers by its context, on
// the third delivery.
func TestOnceLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, Once()(HandlerFunc(func(ctx context.Context, _ *Request) (Reply, error) {
			<-ctx.Done()
			return Text("not yet")
		})))
		for i := range 3 {
			o := l.deliver(plainText("x"), wechatWaits)
			if want := i == 2; bytes.Contains(o.body, []byte("not yet")) != want || !want && len(o.raw) > 0 {
				t.Errorf("delivery %d: %q", i+1, o.raw)
			}
		}
		if count := l.outcomes(); count[Unanswered] != 2 || count[Answered] != 1 {
			t.Errorf("observed %v", count)
		}
	})
}

// TestOncePanic: the panic of a handler ends the series for the delivery it was
// called by and for those that wait.
func TestOncePanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		l := newLine(t, Once()(HandlerFunc(func(context.Context, *Request) (Reply, error) {
			runs.Add(1)
			time.Sleep(7 * time.Second)
			panic("boom")
		})))
		if o := l.deliver(plainText("x"), wechatWaits); len(o.raw) > 0 {
			t.Errorf("delivery 1: %q", o.raw)
		}
		for i := range 2 {
			if o := l.deliver(plainText("x"), wechatWaits); string(o.body) != "success" {
				t.Errorf("delivery %d: %q", i+2, o.raw)
			}
		}
		if count := l.outcomes(); count[Unanswered] != 1 || count[Failed] != 2 {
			t.Errorf("observed %v", count)
		}
		if runs.Load() != 1 {
			t.Errorf("the handler ran %d times", runs.Load())
		}
	})
}

// TestOnceTogether: repeats that come all at once (reference §4.1, a status that
// is not 200) run the handler once too.
func TestOnceTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		l := newLine(t, Once()(HandlerFunc(func(context.Context, *Request) (Reply, error) {
			runs.Add(1)
			time.Sleep(time.Second)
			return Text("one")
		})))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if o := l.deliver(plainText("x"), wechatWaits); !bytes.Contains(o.body, []byte("one")) {
					t.Errorf("got %q", o.raw)
				}
			})
		}
		wg.Wait()
		if runs.Load() != 1 {
			t.Errorf("the handler ran %d times", runs.Load())
		}
	})
}

// TestOnceBound: it holds a bounded number of messages, and none for long.
func TestOnceBound(t *testing.T) {
	o := &once{calls: map[string]*onceCall{}}
	start := time.Now()
	for i := range onceEntries {
		if c, fresh := o.join(fmt.Sprint(i), start); c == nil || !fresh {
			t.Fatalf("message %d is not taken", i)
		}
	}
	if c, fresh := o.join("one more", start); c != nil || !fresh {
		t.Error("the bound does not hold")
	}
	if c, fresh := o.join("7", start); c == nil || fresh {
		t.Error("a repeat is not joined at the bound")
	}
	if c, fresh := o.join("one more", start.Add(onceWindow+1)); c == nil || !fresh || len(o.calls) != 1 || len(o.order) != 1 {
		t.Errorf("after the window it holds %d messages", len(o.calls))
	}
	runs := 0
	full := &once{calls: map[string]*onceCall{}, order: make([]*onceCall, onceEntries)}
	for i := range full.order {
		full.order[i] = &onceCall{arrived: start}
	}
	r := &Request{Message: &TextMessage{Ident: Ident{MsgID: 1}}, Arrived: start}
	for range 2 {
		if _, err := full.answer(t.Context(), r, HandlerFunc(func(context.Context, *Request) (Reply, error) { runs++; return Reply{}, nil })); err != nil {
			t.Fatal(err)
		}
	}
	if runs != 2 {
		t.Errorf("over the bound the handler ran %d times", runs)
	}
}
