package app

import (
	"bytes"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/internal/answer"
	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/internal/turn"
)

func TestPages(t *testing.T) {
	const bot = "accounts:\n  - path: pages\n    name: 雯子\n    token: tokentoken\n"
	data := registered(t, bot)
	page := func(n byte) []byte { return bytes.Repeat([]byte{n, 0xab}, 8) }
	now := time.Now()
	offline(t, data, func(s *store.Store, account int64) {
		whole := func(to store.State, text string) store.Change {
			return store.Change{To: to, Text: &text, Done: true, ReadyAt: now}
		}
		for n, c := range []struct {
			at     time.Time
			change store.Change
		}{
			{now, whole(store.Answered, "**答案**是 <b>42</b>")},
			{now.Add(-50 * time.Hour), whole(store.Expired, "没人取的答案")},
			{now.Add(-7*24*time.Hour - time.Minute), whole(store.Answered, "太久了")},
			{now, whole(store.Acknowledged, "")}, // merged into another one
		} {
			asked(t, s, account, "oA", uint64(n), c.at, store.Answer{Question: "是多少？", Page: page(byte(n))}, c.change)
		}
	})
	p := serve(t, "--data", data, "--log-level", "debug")
	name := func(n byte) string { return hex.EncodeToString(page(n)) }
	for _, tt := range []struct {
		what, id string
		status   int
		holds    string
	}{
		{"a whole answer", name(0), 200, "<strong>答案</strong>"},
		{"one that was not fetched", name(1), 200, "没人取的答案"},
		{"too old", name(2), 404, "已经失效"},
		{"merged", name(3), 404, "已经失效"},
		{"never was", name(9), 404, "已经失效"},
		{"garbage", "x", 404, "已经失效"},
		{"more garbage", name(0) + "00", 404, "已经失效"},
		{"no hex digits", strings.Repeat("z", 32), 404, "已经失效"},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			req, err := http.NewRequest(method, p.base+"/a/"+tt.id, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != tt.status || method == http.MethodGet && !strings.Contains(string(body), tt.holds) || method == http.MethodHead && len(body) > 0 {
				t.Errorf("%s, %s: %d\n%s", method, tt.what, resp.StatusCode, body)
			}
			for header, want := range map[string]string{
				"Content-Security-Policy": answer.PageCSP, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
				"X-Robots-Tag": "noindex, nofollow", "Cache-Control": "private, no-store", "Content-Type": "text/html; charset=utf-8",
			} {
				if got := resp.Header.Get(header); got != want {
					t.Errorf("%s: %s is %q", tt.what, header, got)
				}
			}
		}
	}
	_, html := get(t, p.base+"/a/"+name(0))
	for _, want := range []string{"雯子", "是多少？", "42"} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %s:\n%s", want, html)
		}
	}

	// The account that is removed takes its pages along.
	if _, stderr, code := wenzi(t, "apply", "--data", data, "--prune", "-f", write(t, "bot.yaml", strings.Replace(bot, "pages", "others", 1))); code != 0 {
		t.Fatal(stderr)
	}
	if status, _ := get(t, p.base+"/a/"+name(0)); status != 404 {
		t.Errorf("the page of an account that is no more: %d", status)
	}
	p.stop()
	for n := range byte(10) {
		if strings.Contains(p.logged(), name(n)) {
			t.Errorf("the log holds a page's name:\n%s", p.logged())
		}
	}
}

// What a process left unfinished is shown as far as it goes, and loads itself
// again.
func TestPageOfAnUnfinishedAnswer(t *testing.T) {
	s, err := store.Open(t.Context(), store.Config{Database: filepath.Join(t.TempDir(), "wenzi.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	pages := &pages{store: s, engine: turn.New(turn.Config{Store: s, Log: slog.New(slog.DiscardHandler)}), name: func(int64) (string, bool) { return "雯子", true }, keep: time.Hour}
	part := "写了一半"
	for n, tt := range []struct {
		at      time.Time
		refresh bool
	}{{time.Now(), true}, {time.Now().Add(-11 * time.Minute), false}} {
		id := bytes.Repeat([]byte{byte(n)}, 16)
		asked(t, s, 1, "oA", uint64(n), tt.at, store.Answer{Question: "？", Page: id}, store.Change{To: store.Waiting, Text: &part})
		content, err := pages.find(t.Context(), hex.EncodeToString(id))
		if err != nil || content.Markdown != part || (content.Refresh > 0) != tt.refresh {
			t.Errorf("case %d: %+v, %v", n, content, err)
		}
	}
}
