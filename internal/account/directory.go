// Package account finds the account of a callback address: registered accounts
// by their path, and, while open hosting is on, guests by the Token that is the
// last element of the address. Accounts are changed while the server runs.
package account

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wenzihq/wenzi/internal/bot"
	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/oa"
)

// Hosting says whether accounts are served that nobody registered.
type Hosting string

// The values of the setting open-hosting.
const (
	HostingAuto Hosting = "auto" // as long as no account is registered
	HostingOn   Hosting = "on"
	HostingOff  Hosting = "off"
)

// Served is an account that needs a handler.
type Served struct {
	// Key tells the account from all others while the process lives.
	Key string
	// ID is the account's number in the store.
	ID  func(context.Context) (int64, error)
	Bot bot.Account
	// Guest says that nobody registered the account.
	Guest bool
}

// Config is what a directory needs from the rest of the program.
type Config struct {
	Store *store.Store
	// Handler makes the handler of an account, which is kept until the account
	// changes.
	Handler func(Served) (oa.Handler, error)
	Hosting Hosting
	Guests  GuestLimits
	// GuestName is shown by a signed GET at a guest's address, and where an
	// account has no name.
	GuestName string
	// MaxAge is how old a delivery of plain mode may be; see [oa.WithMaxAge].
	MaxAge time.Duration
	// Alone says that no other process uses the store while this one does.
	Alone bool
	// Observe, if set, is called after every exchange.
	Observe func(oa.Exchange)
	// Changed, if set, is called when what [Directory.Accounts] returns has been
	// read anew. It must not wait.
	Changed func()
	Log     *slog.Logger
}

// Directory serves the callback addresses of all accounts. It is an
// [http.Handler] for a pattern with the wildcard {path}.
type Directory struct {
	Config
	changing   sync.Mutex // held from a change in the store until it is published
	registered atomic.Pointer[registered]
	guests     *guests
	probes     probes
}

// registered is a snapshot of the registered accounts.
type registered struct {
	stored []store.Account
	byPath map[string]*entry
	byID   map[int64]*entry // that can be served
	order  []*entry         // they too
}

type entry struct {
	stored  store.Account
	bot     bot.Account
	handler oa.Handler
	server  *oa.Server // nil: what is stored cannot be served
}

// New returns a directory. Call [Directory.Load] before it serves.
func New(c Config) *Directory {
	d := &Directory{Config: c}
	d.guests = newGuests(d)
	d.registered.Store(&registered{})
	return d
}

// Load reads the registered accounts from the store.
func (d *Directory) Load(ctx context.Context) error {
	d.changing.Lock()
	defer d.changing.Unlock()
	stored, err := d.Store.Accounts(ctx)
	if err != nil {
		return fmt.Errorf("load the accounts: %w", err)
	}
	d.publish(stored)
	return nil
}

// publish makes the snapshot of what is stored. An account that cannot be
// served does not keep the others from being, and leaves its path to nobody.
func (d *Directory) publish(stored []store.Account) {
	before := d.registered.Load().byPath
	next := &registered{stored: stored, byPath: make(map[string]*entry, len(stored)), byID: make(map[int64]*entry, len(stored))}
	for _, s := range stored {
		e := before[s.Path]
		if e == nil || e.stored.ID != s.ID || !bytes.Equal(e.stored.Config, s.Config) {
			var err error
			if e, err = d.entry(s); err != nil {
				d.Log.Error("an account cannot be served; apply its bot.yaml again", "account", s.ID, "error", err)
				next.byPath[s.Path] = &entry{}
				continue
			}
		}
		next.byPath[s.Path], next.byID[s.ID] = e, e
		next.order = append(next.order, e)
	}
	d.registered.Store(next)
	if d.Changed != nil {
		d.Changed()
	}
}

func (d *Directory) entry(s store.Account) (*entry, error) {
	b, err := bot.UnmarshalConfig(s.Config)
	if err != nil {
		return nil, err
	}
	callback := b.Callback()
	callback.Name = cmp.Or(callback.Name, d.GuestName)
	h, err := d.Handler(Served{
		Key: fmt.Sprintf("account %d", s.ID),
		ID:  func(context.Context) (int64, error) { return s.ID, nil },
		Bot: b,
	})
	if err != nil {
		return nil, err
	}
	observe := func(r *http.Request, x oa.Exchange) {
		d.spend(s.ID, r, x)
		d.observe(r, x)
	}
	server, err := oa.NewServer(callback, h, oa.WithLogger(d.Log.With("account", s.ID)), oa.WithObserver(observe), oa.WithMaxAge(d.MaxAge))
	if err != nil {
		return nil, err
	}
	return &entry{stored: s, bot: b, handler: h, server: server}, nil
}

// HandlerOf returns the handler of a registered account by its number in the
// store.
func (d *Directory) HandlerOf(id int64) (oa.Handler, bool) {
	e := d.registered.Load().byID[id]
	if e == nil {
		return nil, false
	}
	return e.handler, true
}

// Accounts returns the registered accounts in the order they were added.
func (d *Directory) Accounts() []bot.Account {
	var out []bot.Account
	for _, e := range d.registered.Load().order {
		out = append(out, e.bot)
	}
	return out
}

// Name returns what a registered account that is served is called.
func (d *Directory) Name(id int64) (name string, ok bool) {
	e := d.registered.Load().byID[id]
	if e == nil {
		return "", false
	}
	return e.server.Account().Name, true
}

// Open reports whether guests are served.
func (d *Directory) Open() bool {
	switch d.Hosting {
	case HostingOn:
		return true
	case HostingOff:
		return false
	}
	return len(d.registered.Load().byPath) == 0
}

// Apply changes the registered accounts to those of b, at once and as a whole.
// With prune, accounts that b does not have are removed.
func (d *Directory) Apply(ctx context.Context, b bot.Bot, prune bool) (bot.Change, error) {
	d.changing.Lock()
	defer d.changing.Unlock()
	change, after, err := Apply(ctx, d.Store, b, prune)
	if err != nil {
		return bot.Change{}, err
	}
	d.publish(after)
	return change, nil
}

// Apply is [Directory.Apply] for a database that no server is using.
func Apply(ctx context.Context, s *store.Store, b bot.Bot, prune bool) (bot.Change, []store.Account, error) {
	var change bot.Change
	after, err := s.ApplyAccounts(ctx, func(current []store.Account) (put []store.Account, remove []int64, err error) {
		old, _ := decode(current) // what is broken can be replaced and removed
		byPath := make(map[string]int, len(old))
		for i, a := range old {
			byPath[a.Path] = i
		}
		merged, err := b.ApplyMasks(func(path string) (bot.Account, bool) {
			i, ok := byPath[path]
			if !ok {
				return bot.Account{}, false
			}
			return old[i], true
		})
		if err != nil {
			return nil, nil, err
		}
		change = bot.Diff(old, merged.Accounts, prune)
		add := func(id int64, a bot.Account) error {
			config, err := bot.MarshalConfig(a)
			put = append(put, store.Account{ID: id, Path: a.Path, Config: config})
			return err
		}
		for _, a := range change.Added {
			if err := add(0, a); err != nil {
				return nil, nil, err
			}
		}
		for _, e := range change.Changed {
			if err := add(current[byPath[e.New.Path]].ID, e.New); err != nil {
				return nil, nil, err
			}
		}
		for _, a := range change.Removed {
			remove = append(remove, current[byPath[a.Path]].ID)
		}
		return put, remove, nil
	})
	return change, after, err
}

// Stored returns the registered accounts of a database.
func Stored(ctx context.Context, s *store.Store) ([]bot.Account, error) {
	current, err := s.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	return decode(current)
}

// decode reads what is stored. Of an account that cannot be read only the path
// is returned, beside the error.
func decode(stored []store.Account) ([]bot.Account, error) {
	out := make([]bot.Account, len(stored))
	var errs []error
	for i, s := range stored {
		a, err := bot.UnmarshalConfig(s.Config)
		if err != nil {
			a = bot.Account{Path: s.Path}
			errs = append(errs, fmt.Errorf("account %d: %w; apply its bot.yaml again, or remove it with --prune", s.ID, err))
		}
		out[i] = a
	}
	return out, errors.Join(errs...)
}

// ServeHTTP answers at the callback address whose last element is {path}.
func (d *Directory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.PathValue("path")
	if e := d.registered.Load().byPath[path]; e != nil {
		if e.server == nil {
			d.refuse(w, r, errBroken)
			return
		}
		e.server.ServeHTTP(w, r)
		return
	}
	if !d.Open() {
		d.refuse(w, r, errNoAccount)
		return
	}
	server, err := d.guests.server(path)
	if err != nil {
		d.refuse(w, r, err)
		return
	}
	server.ServeHTTP(w, r)
}

// refuse answers as oa does what it refuses.
func (d *Directory) refuse(w http.ResponseWriter, r *http.Request, err error) {
	w.Header()["Content-Length"] = []string{"0"}
	w.WriteHeader(http.StatusNotFound)
	d.observe(r, oa.Exchange{Outcome: oa.Refused, Err: err})
}

func (d *Directory) observe(r *http.Request, x oa.Exchange) {
	if x.Outcome == oa.Refused || x.Outcome == oa.Unreadable {
		d.probes.add(r, x.Err)
	}
	if d.Observe != nil {
		d.Observe(x)
	}
}
