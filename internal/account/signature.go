package account

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/oa"
)

const (
	// A signature this old is believed by nobody, see [store.Store.FirstBySignature].
	spentUntil   = 10 * time.Minute
	spendTimeout = 2 * time.Second
)

// spend notes the signature of an exchange that brought no message: in plain mode
// no other process may take it for a follower's. One that is alone knows by itself
// (oa.WithMaxAge).
func (d *Directory) spend(account int64, r *http.Request, x oa.Exchange) {
	if d.Alone || x.Outcome != oa.Verified && x.Outcome != oa.Unreadable {
		return
	}
	q := r.URL.Query()
	seconds, err := strconv.ParseInt(q.Get("timestamp"), 10, 64)
	signed := time.Unix(seconds, 0)
	if err != nil || time.Since(signed).Abs() > spentUntil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), spendTimeout)
	defer cancel()
	nothing := store.NewTurnID(account, 0, 0)
	if _, err := d.Store.FirstBySignature(ctx, nothing, q.Get("signature"), signed); err != nil {
		d.Log.Warn("that a signature was used is not on record", "account", account, "error", err)
	}
}
