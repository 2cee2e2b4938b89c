package app

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/oa"
)

// A stranger has captured addresses of deliveries in plain mode, from a proxy's
// log for instance, and writes bodies for them: what waits for a follower stays
// the follower's.
func TestStrangerReadsNoMailbox(t *testing.T) {
	const (
		secret = "只给她的回答"
		token  = "123456789012345678"
		victim = "oVictim"
	)
	data := registered(t, "accounts:\n  - path: plain\n    token: tokentoken\n")
	offline(t, data, func(s *store.Store, account int64) {
		whole := secret
		asked(t, s, account, victim, 1, time.Now(), store.Answer{Question: "问题", Token: token},
			store.Change{To: store.Waiting, Text: &whole, Done: true, ReadyAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)})
	})
	account := oa.Account{Token: "tokentoken"}
	id := int64(100)
	fetch := func(from, menu string) []byte {
		id++
		m := text(from, "继续", id)
		m.MenuID = menu
		xml, err := oa.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return xml
	}
	// capture is the query of a request that WeChat has made.
	capture := func(p *process, r *http.Request, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		query := r.URL.Query()
		query.Del("openid") // nothing signs it
		return query.Encode()
	}
	captureDelivery := func(p *process) string {
		t.Helper()
		id++
		xml, err := oa.Marshal(text("oSomebody", "你好", id))
		if err != nil {
			t.Fatal(err)
		}
		r, err := oa.NewDelivery(account, p.url("plain"), xml)
		return capture(p, r, err)
	}
	forge := func(p *process, query string, body []byte) (status int, answer string) {
		t.Helper()
		resp, err := http.Post(p.url("plain")+"?"+query, "text/xml", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	attack := func(p *process, what, query, menu string, want int) {
		t.Helper()
		status, answer := forge(p, query, fetch(victim, menu))
		if status != want || strings.Contains(answer, secret) {
			t.Errorf("%s: the stranger gets %d %s", what, status, answer)
		}
	}

	p := serve(t, "--data", data)
	first, second := captureDelivery(p), captureDelivery(p)
	attack(p, "a used signature", first, "", http.StatusNotFound)
	attack(p, "a used signature, with the token", second, token, http.StatusNotFound)
	check, err := oa.NewCheck(account, p.url("plain"), "4375120948345356249")
	attack(p, "the check of the address", capture(p, check, err), "", http.StatusNotFound)
	old, err := oa.NewDeliveryAt(account, p.url("plain"), fetch("oSomebody", ""), time.Now().Add(-6*time.Minute))
	attack(p, "an old signature", capture(p, old, err), "", http.StatusNotFound)
	p.stop()

	// A process that has not seen the delivery takes the message, which may be
	// WeChat's, but shows nobody's mailbox for it.
	p = serve(t, "--data", data)
	attack(p, "a signature from before", first, "", http.StatusOK)
	attack(p, "a signature from before, with the token", second, token, http.StatusOK)
	attack(p, "a used signature from before", first, "", http.StatusNotFound)
	p.stop()

	// Without replay protection there is no telling who asks.
	p = serve(t, "--data", data, "--max-age", "0")
	attack(p, "without --max-age", captureDelivery(p), "", http.StatusOK)
	attack(p, "without --max-age, with the token", captureDelivery(p), token, http.StatusOK)
	p.stop()

	// Another follower, whom WeChat vouches for, gets nothing with the token.
	p = serve(t, "--data", data)
	for _, menu := range []string{"", token} {
		if got := mustDeliver(t, account, p.url("plain"), mustText(t, fetch("oOther", menu))); strings.Contains(got, secret) || !strings.Contains(got, "oOther") {
			t.Errorf("another follower gets %s", got)
		}
	}
	if got := said(t, mustDeliver(t, account, p.url("plain"), mustText(t, fetch(victim, "")))); got != secret {
		t.Errorf("the follower herself gets %q", got)
	}
	p.stop()
}

func mustText(t *testing.T, xml []byte) oa.Message {
	t.Helper()
	m, err := oa.ParseMessage(xml)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
