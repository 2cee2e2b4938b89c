package account

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
)

var (
	errNoAccount = errors.New("no account has this address: check the last element of the URL, register it with wenzi apply, or start with --open-hosting=on")
	errNoToken   = errors.New("the last element of the address cannot be a Token: use 3 to 32 letters and digits")
)

// mostProbes is how many wait in memory at most; the newest stay.
const mostProbes = 200

// probes collects refused requests until they are stored, so that a flood of
// them costs one small write now and then.
type probes struct {
	mu      sync.Mutex
	waiting []store.Probe
}

// add notes a refused request. The last element of its address may be a Token
// and is left out.
func (p *probes) add(r *http.Request, why error) {
	reason := "unknown"
	if why != nil {
		reason = why.Error()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) == mostProbes {
		p.waiting = append(p.waiting[:0], p.waiting[1:]...)
	}
	p.waiting = append(p.waiting, store.Probe{At: time.Now(), Path: MaskPath(r.URL.Path), Method: r.Method, Reason: reason})
}

// StoreProbes stores the refused requests that were seen since the last call.
func (d *Directory) StoreProbes(ctx context.Context) error {
	d.probes.mu.Lock()
	waiting := d.probes.waiting
	d.probes.waiting = nil
	d.probes.mu.Unlock()
	return d.Store.AddProbes(ctx, waiting)
}

// MaskPath hides the last element of a callback address, which may be a Token.
func MaskPath(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			return path[:i+1] + "***"
		}
	}
	return "***"
}
