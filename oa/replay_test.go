package oa

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"
)

// Who has captured the address of one delivery, or of the check of the server's
// address, cannot send another message with it.
func TestReplay(t *testing.T) {
	account := testAccount(Plain)
	const maxAge = 5 * time.Minute
	message := func(from, content string, id int) string {
		return "<xml><ToUserName>gh_1</ToUserName><FromUserName>" + from + "</FromUserName><CreateTime>1714112445</CreateTime>" +
			"<MsgType>text</MsgType><Content>" + content + "</Content><MsgId>" + strconv.Itoa(id) + "</MsgId></xml>"
	}
	first, forged := message("oA", "你好", 1), message("oB", "继续", 2)
	type request struct {
		method string
		body   string
	}
	get, post := func() request { return request{http.MethodGet, ""} }, func(body string) request { return request{http.MethodPost, body} }
	for _, tt := range []struct {
		name     string
		age      time.Duration // of the signature
		limit    time.Duration
		requests []request // all with one signature; all but the last are taken
		refused  error     // the last
	}{
		{"a repeat", 10 * time.Second, maxAge, []request{post(first), post(first)}, nil},
		{"another message", 0, maxAge, []request{post(first), post(forged)}, ErrReused},
		{"after an unreadable one", 0, maxAge, []request{post("<xml>"), post(forged)}, ErrReused},
		{"after the check of the address", 0, maxAge, []request{get(), post(forged)}, ErrReused},
		{"the check after a message", 0, maxAge, []request{post(first), get()}, nil},
		{"too old", maxAge + 2*time.Second, maxAge, []request{post(forged)}, ErrStale},
		{"too far in the future", -maxAge - 2*time.Second, maxAge, []request{post(forged)}, ErrStale},
		{"clocks that differ", -maxAge + 5*time.Second, maxAge, []request{post(first)}, nil},
		{"no limit", 100 * time.Hour, 0, []request{post(first), post(forged)}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, account, echo, WithMaxAge(tt.limit))
			delivery, err := NewDeliveryAt(account, s.URL, []byte(first), time.Now().Add(-tt.age))
			if err != nil {
				t.Fatal(err)
			}
			query := delivery.URL.Query()
			query.Del("openid") // it is not signed, so who forges sends none
			for i, r := range tt.requests {
				req, err := http.NewRequest(r.method, s.URL+"?"+query.Encode(), bytes.NewReader([]byte(r.body)))
				if err != nil {
					t.Fatal(err)
				}
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				want := http.StatusOK
				if i == len(tt.requests)-1 && tt.refused != nil {
					want = http.StatusNotFound
				}
				if resp.StatusCode != want {
					t.Errorf("request %d gets %d %q, want %d", i+1, resp.StatusCode, body, want)
				}
			}
			exchanges := s.exchanges()
			if last := exchanges[len(exchanges)-1]; tt.refused != nil && !errors.Is(last.Err, tt.refused) {
				t.Errorf("refused for %v, want %v", last.Err, tt.refused)
			}
		})
	}
}

// Signatures are remembered for as long as they are fresh, and not for ever.
func TestUsedSignatures(t *testing.T) {
	var u usedSignatures
	begin := time.Unix(1714112445, 0)
	for i, tt := range []struct {
		at      time.Duration
		message string
		want    bool
	}{
		{0, "a", true}, {time.Second, "b", false}, {9 * time.Minute, "b", false}, {10*time.Minute + 1, "a", true},
		{19 * time.Minute, "b", false}, {21 * time.Minute, "b", true}, {22 * time.Minute, "a", false},
	} {
		if got := u.by("signature", tt.message, begin.Add(tt.at), 10*time.Minute); got != tt.want {
			t.Errorf("case %d: %v", i, got)
		}
	}
}
