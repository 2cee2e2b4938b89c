package account

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
)

const (
	// reloadEvery is for what no event told of: the database was changed by hand.
	reloadEvery = 30 * time.Second
	reloadAgain = time.Second // after a failure
)

// Watch takes over what other processes make of the accounts, until ctx ends: as
// soon as it hears of a change, and at any rate within a minute.
func (d *Directory) Watch(ctx context.Context) {
	changed := make(chan struct{}, 1)
	defer d.Store.Subscribe(func(e store.Event) {
		if e.Kind == store.AccountsChanged || e.Kind == store.Missed {
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	})()
	pause, failing := reloadEvery, false
	for {
		select {
		case <-changed:
		case <-time.After(pause + rand.N(pause)):
		case <-ctx.Done():
			return
		}
		pause = reloadEvery
		err := d.reload(ctx)
		if err != nil {
			pause = reloadAgain
		}
		if failed := err != nil; failed != failing && ctx.Err() == nil {
			failing = failed
			if failed {
				d.Log.Warn("the accounts cannot be read; changes made elsewhere come into force later", "error", err)
			}
		}
	}
}

// reload publishes the accounts if they are not those of the snapshot.
func (d *Directory) reload(ctx context.Context) error {
	d.changing.Lock()
	defer d.changing.Unlock()
	stored, err := d.Store.Accounts(ctx)
	if err != nil {
		return err
	}
	same := slices.EqualFunc(stored, d.registered.Load().stored, func(a, b store.Account) bool {
		return a.ID == b.ID && a.Path == b.Path && bytes.Equal(a.Config, b.Config)
	})
	if !same {
		d.publish(stored)
		d.Log.Info("accounts were changed elsewhere; what they are now is in force", "accounts", len(stored))
	}
	return nil
}
