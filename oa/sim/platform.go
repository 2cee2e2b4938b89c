package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Platform is a simulated WeChat: accounts, their followers and chats, the
// deliveries to the accounts' servers, and, as an [http.Handler], the HTTP API
// that those servers call (reference api-rules). Its methods may be called
// concurrently.
//
// All time is [time.Now] and timers, so that a platform runs on the fake clock
// of [testing/synctest] when server and platform are joined by a [Pipe];
// [Platform.Advance] moves the platform's own clock besides.
type Platform struct {
	events eventLog
	work   sync.WaitGroup
	life   context.Context // until Close
	end    context.CancelCauseFunc

	mu       sync.Mutex // guards what follows, and the state of all accounts and followers
	settings Settings
	trouble  Trouble
	ahead    time.Duration // of the platform's clock
	accounts []*Account
	// last is the last id given out. Ids begin with the time, so that a server
	// never sees one of an earlier run again.
	last   int64
	closed bool
}

// New makes a platform without accounts. Close it when it is no longer needed.
func New(s Settings) *Platform {
	p := &Platform{settings: s, last: 24537625000000000 + time.Now().UnixMicro()}
	p.life, p.end = context.WithCancelCause(context.Background())
	return p
}

// Close gives up all deliveries on their way, ends the servers of
// [AccountConfig].Handler, and waits for both.
func (p *Platform) Close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	p.end(errClosed)
	accounts := slices.Clone(p.accounts)
	p.mu.Unlock()
	for _, a := range accounts {
		a.close()
	}
	p.work.Wait()
	p.events.close()
}

// Now is the platform's time.
func (p *Platform) Now() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now()
}

func (p *Platform) now() time.Time { return time.Now().Add(p.ahead) }

// Advance moves the platform's clock forward: tokens, media, QR codes and the
// windows for customer-service messages get older. Deliveries on their way are
// not hurried.
func (p *Platform) Advance(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ahead += d
}

// Settings returns the facts in force.
func (p *Platform) Settings() Settings {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.settings
}

// SetSettings changes the facts, for what happens from now on.
func (p *Platform) SetSettings(s Settings) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settings = s
}

// Trouble returns the trouble in force. Failures that have happened are gone.
func (p *Platform) Trouble() Trouble {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.trouble
	t.Failures = slices.Clone(t.Failures)
	return t
}

// SetTrouble replaces the trouble in force; the zero Trouble ends it.
func (p *Platform) SetTrouble(t Trouble) {
	t.Failures = slices.Clone(t.Failures)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trouble = t
}

// FailNext makes the next call of an endpoint fail with a return code. The
// endpoint is an id of the catalogue or a path.
func (p *Platform) FailNext(endpoint string, code int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trouble.Failures = append(p.trouble.Failures, Failure{Endpoint: endpoint, Code: code})
}

// Accounts returns the accounts in the order they were made.
func (p *Platform) Accounts() []*Account {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.accounts)
}

// Account finds an account by its AppID or its original ID (gh_…).
func (p *Platform) Account(id string) (*Account, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.account(id)
	return a, a != nil
}

func (p *Platform) account(id string) *Account {
	for _, a := range p.accounts {
		if a.config.AppID == id || a.config.OriginalID == id {
			return a
		}
	}
	return nil
}

// Remove forgets an account with all that belongs to it.
func (p *Platform) Remove(a *Account) {
	p.mu.Lock()
	p.accounts = slices.DeleteFunc(p.accounts, func(b *Account) bool { return a == b })
	p.mu.Unlock()
	a.close()
}

// Client returns an HTTP client whose every request, to whatever host, is
// answered by the platform, in memory: no socket is opened, so that it works
// in a [testing/synctest] bubble.
func (p *Platform) Client() *http.Client { return &http.Client{Transport: inMemory{p}} }

// errClosed is what acts of followers fail with on a closed platform.
var errClosed = errors.New("sim: the platform is closed")

// start runs f in the background. It reports false when the platform is closed.
func (p *Platform) start(f func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.startLocked(f)
}

func (p *Platform) startLocked(f func()) bool {
	if p.closed {
		return false
	}
	p.work.Go(f)
	return true
}

// after runs f after a while, unless the platform is closed before. p.mu is
// held by the caller, and by f.
func (p *Platform) after(d time.Duration, f func()) {
	p.startLocked(func() {
		if p.sleep(d) {
			p.mu.Lock()
			defer p.mu.Unlock()
			f()
		}
	})
}

// sleep waits, and reports false if the platform is closed meanwhile.
func (p *Platform) sleep(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.life.Done():
		return false
	}
}

// id returns a number that was not given out before, such as a MsgId.
func (p *Platform) id() int64 {
	p.last++
	return p.last
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// randomText returns n letters and digits.
func randomText(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[rand.IntN(len(letters))]
	}
	return string(b)
}

// openID makes the OpenID of a new follower: 28 characters, as real ones have.
func (p *Platform) openID() string {
	n := strconv.FormatInt(p.id(), 36)
	return "oSim" + fmt.Sprintf("%024s", n)
}

// happens decides whether something with that chance does.
func happens(chance float64) bool { return chance > 0 && rand.Float64() < chance }

// upTo draws a time between nothing and d.
func upTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d)
}
