package sim

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// Pipe is a network in memory: a listener for an [http.Server], and the dialer
// that reaches it. Under [testing/synctest] it takes the place of sockets: a
// goroutine that waits for a socket is not durably blocked, so that the clock of
// the bubble would stand still; one that waits for a Pipe is, and time passes.
//
// Its connections are those of [net.Pipe]: deadlines work, nothing is buffered,
// and there are no addresses: every RemoteAddr is "pipe". A Pipe that is used in
// a bubble must be made there.
type Pipe struct {
	conns  chan net.Conn
	closed chan struct{}
	close  sync.Once
}

// NewPipe returns a Pipe that listens.
func NewPipe() *Pipe {
	return &Pipe{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept waits for the next dial. After Close its error is [net.ErrClosed].
func (p *Pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, p.failed("accept", net.ErrClosed)
	}
}

// Close ends the waiting of Accept and DialContext, now and from now on. The
// connections that are open stay open. It always returns nil.
func (p *Pipe) Close() error {
	p.close.Do(func() { close(p.closed) })
	return nil
}

// Addr is the same for every Pipe.
func (p *Pipe) Addr() net.Addr { return pipeAddr{} }

// DialContext waits until somebody accepts. Network and address do not matter.
// Its error is [net.ErrClosed] after Close, or that of ctx.
func (p *Pipe) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	select {
	case <-p.closed: // even where somebody accepts who does not know yet
		return nil, p.failed("dial", net.ErrClosed)
	default:
	}
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.closed:
		return nil, p.failed("dial", net.ErrClosed)
	case <-ctx.Done():
		return nil, p.failed("dial", ctx.Err())
	}
}

// Transport returns that of [NewTransport], which reaches the Pipe whatever the
// host of a URL is. Its CloseIdleConnections must be called before a bubble ends.
func (p *Pipe) Transport() *http.Transport {
	t := NewTransport()
	t.Proxy = nil
	t.DialContext = p.DialContext
	return t
}

func (p *Pipe) failed(op string, err error) error {
	return &net.OpError{Op: op, Net: pipeAddr{}.Network(), Addr: p.Addr(), Err: err}
}

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
