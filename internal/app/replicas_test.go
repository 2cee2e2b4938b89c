package app

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/internal/store/pgtest"
	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

// hear delivers until the context ends, and returns what is said, or "" where no
// byte came.
func hear(t *testing.T, ctx context.Context, a oa.Account, url string, m oa.Message) string {
	t.Helper()
	xml, err := oa.Marshal(m)
	if err != nil {
		t.Error(err)
		return ""
	}
	req, err := oa.NewDelivery(a, url, xml)
	if err != nil {
		t.Error(err)
		return ""
	}
	resp, err := http.DefaultClient.Do(req.WithContext(ctx))
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || len(body) == 0 {
		return ""
	}
	if body, err = oa.OpenReply(a, body); err != nil {
		t.Error(err)
	}
	return said(t, string(body))
}

// Two servers on one database, with nothing else in common: what is applied to
// one is in force at the other, a repeat that arrives at the other waits for the
// same answer, and when one is killed the other goes on.
func TestReplicas(t *testing.T) {
	model := newProvider(t, sim.ModelSettings{Text: "想好了。", Delay: "2s"})
	model.settle(t, "sim")
	dsn, data := pgtest.Schema(t), t.TempDir()
	p := serve(t, "--data", data, "--database", dsn)
	q := serve(t, "--data", t.TempDir(), "--database", dsn)
	account := oa.Account{Token: "tokentoken", Mode: oa.Secure, AppID: "wx0123456789abcdef", AESKey: "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"}
	apply := func(data, file, says string) {
		t.Helper()
		if stdout, stderr, code := wenzi(t, "apply", "--data", data, "--database", dsn, "-f", write(t, "bot.yaml", file)); code != 0 || !strings.Contains(stdout, says) {
			t.Fatalf("apply: exit %d\n%s%s", code, stdout, stderr)
		}
	}
	replies := func(want string) {
		t.Helper()
		began := time.Now()
		for _, s := range []*process{p, q} {
			s.waitUntil(func() bool {
				return hear(t, t.Context(), account, s.url("shop"), text("oA", "帮助", rand.Int64())) == want
			})
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("after %v", took)
		}
	}
	apply(data, shop, "+ shop")
	replies("发文字就行")
	apply(t.TempDir(), strings.Replace(shop, "发文字就行", "换了一句", 1), "takes effect at once")
	replies("换了一句")

	ask := func(question string) (m oa.Message) {
		m = text("oA", question, rand.Int64())
		asked := model.Stats().Calls
		ctx, hangUp := context.WithTimeout(t.Context(), time.Second)
		defer hangUp()
		if got := hear(t, ctx, account, p.url("shop"), m); got != "" {
			t.Errorf("the first delivery gets %q", got)
		}
		if n := model.Stats().Calls - asked; n != 1 {
			t.Errorf("the model was asked %d times", n)
		}
		return m
	}
	m := ask("为什么")
	if got := hear(t, t.Context(), account, q.url("shop"), m); got != "想好了。" || model.Stats().Calls != 1 {
		t.Errorf("the other server says %q, the model was asked %d times", got, model.Stats().Calls)
	}

	began := time.Now()
	m = ask("那又是为什么")
	p.kill()
	time.Sleep(time.Until(began.Add(5 * time.Second)))
	got := hear(t, t.Context(), account, q.url("shop"), m)
	if got == "" {
		got = hear(t, t.Context(), account, q.url("shop"), m)
	}
	if took := time.Since(began); got != "想好了。" || took > 14*time.Second || model.Stats().Calls != 3 {
		t.Errorf("after the first server was killed the other says %q after %v, the model was asked %d times", got, took, model.Stats().Calls)
	}
	q.stop()
}

// Three servers that start at the same moment on one database, each of which asks
// WeChat what the account may, get one access token between them, and use it.
func TestReplicasShareAToken(t *testing.T) {
	w := newWeChat(t, sim.AccountConfig{Kind: sim.CertifiedService})
	database := pgtest.Schema(t)
	bot := write(t, "bot.yaml", w.bot())
	var replicas []*process
	var started sync.WaitGroup
	var mu sync.Mutex
	for range 3 {
		started.Go(func() {
			p := serve(t, "--data", t.TempDir(), "--database", database, "--bot", bot, "--api-url", w.api)
			mu.Lock()
			defer mu.Unlock()
			replicas = append(replicas, p)
		})
	}
	started.Wait()
	if len(replicas) < 3 {
		t.FailNow()
	}
	replicas[0].waitUntil(func() bool { return w.calls("kf_list") >= 3 })
	if n := w.calls("token_get_stable") + w.calls("token_get"); n != 1 {
		t.Errorf("they have fetched %d access tokens", n)
	}
	for _, p := range replicas {
		p.stop()
	}
}
