package account

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/oa"
)

var (
	errNoAccount = errors.New("no account has this address: check the last element of the URL, register it with wenzi apply, or start with --open-hosting=on")
	errBroken    = errors.New("the account of this address is stored, but cannot be served: apply its bot.yaml again")
	errNoToken   = errors.New("the last element of the address cannot be a Token: use 3 to 32 letters and digits")
)

const (
	mostProbes = 200 // wait in memory at most; the newest stay
	mostMethod = 16  // bytes of a method that are kept
)

// probes collects refused requests until they are stored, so that a flood of
// them costs one small write now and then.
type probes struct {
	mu      sync.Mutex
	waiting []store.Probe
}

// add notes a refused request. The element of its address that names the
// account may be a Token and is left out.
func (p *probes) add(r *http.Request, why error) {
	reason := "unknown"
	if why != nil {
		reason = why.Error()
	}
	probe := store.Probe{
		At:     time.Now(),
		Path:   strings.TrimSuffix(r.URL.Path, r.PathValue("path")) + "***",
		Method: oa.Clip(r.Method, mostMethod),
		Reason: reason,
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) == mostProbes {
		p.waiting = slices.Delete(p.waiting, 0, 1)
	}
	p.waiting = append(p.waiting, probe)
}

// StoreProbes stores the refused requests that were seen since the last call.
func (d *Directory) StoreProbes(ctx context.Context) error {
	d.probes.mu.Lock()
	waiting := d.probes.waiting
	d.probes.waiting = nil
	d.probes.mu.Unlock()
	return d.Store.AddProbes(ctx, waiting)
}
