package app

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// supervised is the program, which is started again whenever it ends, as systemd
// would.
type supervised struct {
	t      *testing.T
	listen string
	args   []string
	ended  chan struct{}

	mu     sync.Mutex
	cmd    *exec.Cmd
	kills  []time.Time // those it died of
	ending bool
	log    strings.Builder
}

// supervise starts `wenzi serve`. The environment is that of the first start.
func supervise(t *testing.T, env []string, args ...string) *supervised {
	t.Helper()
	s := &supervised{t: t, listen: freeAddress(t), ended: make(chan struct{})}
	s.args = append([]string{"serve", "--listen", s.listen, "--data", t.TempDir(), "--log-level", "warn"}, args...)
	cmd := s.start(env)
	go s.keep(cmd)
	t.Cleanup(func() {
		s.mu.Lock()
		s.ending = true
		_ = s.cmd.Process.Kill()
		s.mu.Unlock()
		<-s.ended
		if t.Failed() {
			t.Logf("the program at %s says:\n%s", s.listen, s.logged())
		}
	})
	return s
}

func (s *supervised) start(env []string) *exec.Cmd {
	cmd := program(context.Background(), s.args...)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdout, cmd.Stderr = io.Discard, s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending {
		return nil
	}
	if err := cmd.Start(); err != nil {
		s.t.Error(err)
		return nil
	}
	s.cmd = cmd
	return cmd
}

func (s *supervised) keep(cmd *exec.Cmd) {
	defer close(s.ended)
	for cmd != nil {
		err := cmd.Wait()
		s.mu.Lock()
		ending := s.ending
		status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
		switch {
		case ending:
		case status.Signaled() && status.Signal() == syscall.SIGKILL:
			s.kills = append(s.kills, time.Now())
		case status.ExitStatus() > 1: // a panic
			s.t.Errorf("the program at %s has ended: %v", s.listen, err)
			ending = true
		}
		s.mu.Unlock()
		if ending {
			return
		}
		if status.ExitStatus() == 1 { // it could not start
			time.Sleep(200 * time.Millisecond)
		}
		cmd = s.start(nil)
	}
}

// Write takes what the program says.
func (s *supervised) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(b)
}

func (s *supervised) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// end ends the program, and waits until another one has been started.
func (s *supervised) end(sig os.Signal) {
	s.t.Helper()
	s.mu.Lock()
	cmd := s.cmd
	_ = cmd.Process.Signal(sig)
	s.mu.Unlock()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		s.mu.Lock()
		gone := s.cmd != cmd
		s.mu.Unlock()
		if gone {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatal("the program does not end")
		}
	}
}

// listens waits until the program can be reached.
func (s *supervised) listens() {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", s.listen)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the program does not listen: %v\n%s", err, s.logged())
		}
	}
}

var lastPort atomic.Uint32

// freePorts gives every caller other ports of loopback, below those that the
// system gives to connections: a program that is started again finds its own free.
func freePorts(t *testing.T, n int) (ports []string) {
	t.Helper()
	for tries := 0; len(ports) < n; tries++ {
		port := strconv.Itoa(10_000 + (os.Getpid()*101+int(lastPort.Add(1)))%9_000)
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		switch {
		case err == nil:
			l.Close()
			ports = append(ports, port)
		case tries > 1000:
			t.Fatal(err)
		}
	}
	return ports
}

func freeAddress(t *testing.T) string {
	t.Helper()
	return "127.0.0.1:" + freePorts(t, 1)[0]
}

// balancer gives every request to any of the replicas, and to the next one when
// that is not there, or dies over it, round and round until the client hangs up.
// It knows no stickiness.
type balancer struct {
	replicas  []string
	transport http.Transport
}

// newBalancer returns the handler of a balancer.
func newBalancer(t *testing.T, replicas ...*supervised) http.Handler {
	b := &balancer{}
	t.Cleanup(b.transport.CloseIdleConnections)
	for _, r := range replicas {
		b.replicas = append(b.replicas, r.listen)
	}
	return &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http"}) },
		Transport: b,
		// WeChat gets no byte, and delivers again.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
}

// RoundTrip implements [http.RoundTripper].
func (b *balancer) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	for {
		for _, i := range rand.Perm(len(b.replicas)) {
			try := r.Clone(r.Context())
			try.URL.Host, try.Body = b.replicas[i], io.NopCloser(bytes.NewReader(body))
			if resp, err = b.transport.RoundTrip(try); err == nil || r.Context().Err() != nil {
				return resp, err
			}
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-r.Context().Done():
			return nil, err
		}
	}
}
