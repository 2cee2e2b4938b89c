package account

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"github.com/wenzihq/wenzi/internal/bot"
	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/oa"
)

// GuestLimits bounds open hosting: whoever knows a token can invent guests.
type GuestLimits struct {
	PerMinute int           // messages of one guest that are answered
	Most      int           // guests; those not seen for longest are forgotten
	Keep      time.Duration // how long a guest that stays away is kept
}

// tellTimeout is how long an answer waits for the store to know its guest.
const tellTimeout = 3 * time.Second

// guests are the accounts hosted without registration. A guest is the pair of
// Token and ToUserName: two owners who choose the same Token never mix.
type guests struct {
	d *Directory

	mu      sync.Mutex
	servers map[string]*oa.Server    // by token
	known   map[string]*list.Element // by key; values are *guest
	recent  *list.List               // most recently seen first
}

type guest struct {
	key     string
	handler oa.Handler

	mu     sync.Mutex
	id     int64 // 0: not known yet
	seen   time.Time
	told   time.Time // when the store was told that it was seen
	minute time.Time // begin of the current minute of the limit
	used   int       // messages in it
}

func newGuests(d *Directory) *guests {
	return &guests{d: d, servers: map[string]*oa.Server{}, known: map[string]*list.Element{}, recent: list.New()}
}

// validToken is the classic rule for Tokens (reference §0).
func validToken(s string) bool {
	if len(s) < 3 || len(s) > 32 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// server returns the server of all guests with that Token.
func (g *guests) server(token string) (*oa.Server, error) {
	if !validToken(token) {
		return nil, errNoToken
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.servers[token]; s != nil {
		return s, nil
	}
	if len(g.servers) >= 2*g.d.Guests.Most {
		clear(g.servers) // tokens that were only tried fill it as well
	}
	s, err := oa.NewServer(oa.Account{Token: token, Name: g.d.GuestName, Mode: oa.Plain},
		oa.HandlerFunc(func(ctx context.Context, r *oa.Request) (oa.Reply, error) { return g.answer(ctx, token, r) }),
		oa.WithLogger(g.d.Log.With("account", "guest")), oa.WithObserver(g.d.observe), oa.WithMaxAge(g.d.MaxAge))
	if err != nil {
		return nil, err
	}
	g.servers[token] = s
	return s, nil
}

// guestKey names a guest, in the store too, where no Token must stand.
func guestKey(token, toUserName string) string {
	sum := sha256.Sum256([]byte(token + "\x00" + toUserName))
	return hex.EncodeToString(sum[:])
}

func (g *guests) answer(ctx context.Context, token string, r *oa.Request) (oa.Reply, error) {
	guest, err := g.find(guestKey(token, r.Message.Head().ToUserName))
	if err != nil {
		return oa.Reply{}, err
	}
	limit := g.d.Guests.PerMinute
	if used := guest.count(r.Arrived); used > limit {
		if used == limit+1 {
			g.d.Log.Warn("a guest is over its limit; for the rest of the minute its messages get success and no record", "per_minute", limit)
		}
		return oa.None()
	}
	return guest.handler.Answer(ctx, r)
}

// find returns the guest of that key; one that is new takes the place of the
// one not seen for longest.
func (g *guests) find(key string) (*guest, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e := g.known[key]; e != nil {
		g.recent.MoveToFront(e)
		return e.Value.(*guest), nil
	}
	n := &guest{key: key}
	h, err := g.d.Handler(Served{Key: "guest " + key, ID: func(ctx context.Context) (int64, error) { return n.identify(ctx, g.d.Store) },
		Bot: bot.Account{Name: g.d.GuestName}, Guest: true})
	if err != nil {
		return nil, fmt.Errorf("guest: %w", err)
	}
	n.handler = h
	for len(g.known) >= g.d.Guests.Most {
		last := g.recent.Back()
		delete(g.known, g.recent.Remove(last).(*guest).key)
	}
	g.known[key] = g.recent.PushFront(n)
	return n, nil
}

// count counts a message and returns how many there are in this minute, which
// begins with the first.
func (n *guest) count(now time.Time) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now.Sub(n.minute) >= time.Minute {
		n.minute, n.used = now, 0
	}
	n.used++
	n.seen = now
	return n.used
}

// identify returns the guest's number in the store, where it is created if need
// be. The number is remembered until the guest is forgotten.
func (n *guest) identify(ctx context.Context, s *store.Store) (int64, error) {
	n.mu.Lock()
	id := n.id
	n.mu.Unlock()
	if id != 0 {
		return id, nil
	}
	return n.tell(ctx, s)
}

// tell notes in the store that the guest is there.
func (n *guest) tell(ctx context.Context, s *store.Store) (int64, error) {
	now := time.Now()
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	id, _, err := s.Guest(ctx, n.key)
	if err != nil {
		return 0, fmt.Errorf("guest: %w", err)
	}
	n.mu.Lock()
	n.id, n.told = id, now
	n.mu.Unlock()
	return id, nil
}

// untold returns the guests that were seen since the store was told, those not
// seen for longest first.
func (g *guests) untold() []*guest {
	g.mu.Lock()
	defer g.mu.Unlock()
	var untold []*guest
	for e := g.recent.Back(); e != nil; e = e.Prev() {
		n := e.Value.(*guest)
		n.mu.Lock()
		if n.id != 0 && n.seen.After(n.told) {
			untold = append(untold, n)
		}
		n.mu.Unlock()
	}
	return untold
}

// ForgetGuests deletes the guests that are over the limits from the store, which
// is told first who was seen since the last time.
func (d *Directory) ForgetGuests(ctx context.Context) error {
	for _, n := range d.guests.untold() {
		if _, err := n.tell(ctx, d.Store); err != nil {
			return err
		}
	}
	forgotten, err := d.Store.ForgetGuests(ctx, d.Guests.Most, time.Now().Add(-d.Guests.Keep))
	if len(forgotten) == 0 {
		return err
	}
	gone := make(map[int64]bool, len(forgotten))
	for _, id := range forgotten {
		gone[id] = true
	}
	d.guests.mu.Lock()
	defer d.guests.mu.Unlock()
	for e := d.guests.recent.Front(); e != nil; {
		next := e.Next()
		n := e.Value.(*guest)
		n.mu.Lock()
		if gone[n.id] {
			delete(d.guests.known, n.key)
			d.guests.recent.Remove(e)
		}
		n.mu.Unlock()
		e = next
	}
	return err
}
