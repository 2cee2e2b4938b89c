package sim_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wenzihq/wenzi/oa/sim"
)

// servePipe serves a handler in memory until the test ends. In a bubble the
// test then fails if a goroutine of the server or of the transport is left.
func servePipe(t *testing.T, h http.Handler) *http.Client {
	t.Helper()
	pipe := sim.NewPipe()
	srv := &http.Server{Handler: h}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(pipe) }()
	transport := pipe.Transport()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		srv.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the server ended with %v", err)
		}
	})
	return &http.Client{Transport: transport}
}

// The clock of a bubble runs while a response is waited for, to the nanosecond.
func TestPipeUnderTheFakeClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := servePipe(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			wait(r, time.Hour)
			fmt.Fprintf(w, "%s %s", r.Host, r.RemoteAddr)
		}))
		start := time.Now()
		resp, err := client.Get("http://any.example/")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || string(body) != "any.example pipe" {
			t.Errorf("%q, %v", body, err)
		}
		if took := time.Since(start); took != time.Hour {
			t.Errorf("took %v, want an hour", took)
		}
	})
}

// The proxy of the environment has no part in it.
func TestPipeWithoutProxy(t *testing.T) {
	if sim.NewPipe().Transport().Proxy != nil {
		t.Error("the transport asks for a proxy")
	}
}

func TestPipeDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := sim.NewPipe()
		accepted := make(chan net.Conn, 1)
		go func() {
			c, err := pipe.Accept()
			if err != nil {
				t.Error(err)
			}
			accepted <- c
		}()
		client, err := pipe.DialContext(t.Context(), "tcp", "host:80")
		if err != nil {
			t.Fatal(err)
		}
		server := <-accepted
		defer client.Close()
		defer server.Close()

		for _, c := range []net.Conn{client, server} {
			start := time.Now()
			c.SetReadDeadline(start.Add(3 * time.Second))
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 3*time.Second {
				t.Errorf("read: %v after %v", err, time.Since(start))
			}
			start = time.Now()
			c.SetWriteDeadline(start.Add(time.Second))
			if _, err := c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Second {
				t.Errorf("write: %v after %v", err, time.Since(start))
			}
		}
	})
}

// Close ends those who wait, and whoever comes later; open connections stay.
func TestPipeClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		accepting, dialling := sim.NewPipe(), sim.NewPipe()
		failed := make(chan error, 2)
		go func() { _, err := accepting.Accept(); failed <- err }()
		go func() { _, err := dialling.DialContext(t.Context(), "", ""); failed <- err }()
		synctest.Wait() // until both wait
		for _, p := range []*sim.Pipe{accepting, dialling} {
			if err := errors.Join(p.Close(), p.Close()); err != nil {
				t.Error(err)
			}
			if err := <-failed; !errors.Is(err, net.ErrClosed) {
				t.Errorf("who waited got %v", err)
			}
			if _, err := p.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("accept: %v", err)
			}
			if _, err := p.DialContext(t.Context(), "", ""); !errors.Is(err, net.ErrClosed) {
				t.Errorf("dial: %v", err)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		pipe := sim.NewPipe()
		go func() {
			c, err := pipe.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			pipe.Close()
			io.WriteString(c, "still open")
			c.Close()
		}()
		c, err := pipe.DialContext(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(c); string(got) != "still open" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// Who dials while nobody accepts waits no longer than its context.
func TestPipeDialGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		_, err := sim.NewPipe().DialContext(ctx, "", "")
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func ExamplePipe() {
	pipe := sim.NewPipe()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "you want %s of %s", r.URL.Path, r.Host)
	})}
	go server.Serve(pipe)
	defer server.Close()

	client := &http.Client{Transport: pipe.Transport()}
	response, err := client.Get("http://any.example/page")
	if err != nil {
		panic(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s", body)
	// Output: you want /page of any.example
}
