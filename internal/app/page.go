package app

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/wenzihq/wenzi/internal/answer"
	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/internal/turn"
)

const (
	pageTimeout = 3 * time.Second  // for the store
	pageWrite   = 30 * time.Second // for a slow phone
	pageRefresh = 5 * time.Second  // of an answer that is not whole
	// pageRefreshes is for how long: who asked longer ago loads the page by hand.
	pageRefreshes = 10 * time.Minute
)

// beijing is the time of those who read the pages.
var beijing = time.FixedZone("CST", 8*60*60)

// pages serves the whole answers that followers are given links to. Who knows a
// link can read the page: its name is 128 random bits, and is logged nowhere.
type pages struct {
	store  *store.Store
	engine *turn.Engine
	name   func(account int64) (name string, ok bool) // of an account that is served
	keep   time.Duration                              // from the question on
	log    *slog.Logger
}

// ServeHTTP answers at a pattern with the wildcard {id}.
func (p *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, body := http.StatusOK, []byte(nil)
	content, err := p.find(r.Context(), r.PathValue("id"))
	if err == nil {
		body, err = answer.Page(content)
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		status, body = http.StatusNotFound, answer.GonePage()
	case err != nil:
		p.log.Warn("the page of an answer could not be shown", "error", err)
		http.Error(w, "请过一会儿再打开（try again later）", http.StatusServiceUnavailable)
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(pageWrite)) // of a connection of this server's
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Content-Security-Policy", answer.PageCSP)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Cache-Control", "private, no-store")
	w.WriteHeader(status)
	w.Write(body)
}

// find finds the answer whose page is named by 32 hex digits.
func (p *pages) find(ctx context.Context, id string) (answer.PageContent, error) {
	page, err := hex.DecodeString(id)
	if err != nil || len(page) != 16 {
		return answer.PageContent{}, store.ErrNotFound
	}
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	row, err := p.store.AnswerOfPage(ctx, page)
	if err != nil {
		return answer.PageContent{}, err
	}
	name, served := p.name(row.Turn.Account())
	expires := row.AskedAt.Add(p.keep)
	if !served || !time.Now().Before(expires) || row.Done && row.Text == "" {
		return answer.PageContent{}, store.ErrNotFound
	}
	content := answer.PageContent{Question: row.Question, Markdown: row.Text, Account: name, Asked: row.AskedAt.In(beijing), Expires: expires.In(beijing)}
	if !row.Done {
		if draft, ok := p.engine.Draft(row.Turn); ok {
			content.Markdown = draft
		}
		if time.Since(row.AskedAt) < pageRefreshes {
			content.Refresh = pageRefresh
		}
	}
	return content, nil
}
