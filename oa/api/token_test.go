package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wenzihq/wenzi/oa/api"
)

const (
	stablePath = "/cgi-bin/stable_token"
	menuPath   = "/cgi-bin/menu/get"
)

// TestMain is also the other process of the tests with several processes.
func TestMain(m *testing.M) {
	if dir := os.Getenv("API_TEST_LEASE"); dir != "" {
		store, err := api.NewFileStore(dir)
		if err == nil {
			release, ok, err := store.Lease(context.Background(), "k", time.Minute)
			fmt.Println(ok, err)
			time.Sleep(time.Minute) // it is killed meanwhile
			release()
		}
		os.Exit(1)
	}
	if dir := os.Getenv("API_TEST_STORE"); dir != "" {
		if err := hundredCalls(os.Getenv("API_TEST_PLATFORM"), dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// hundredCalls is a process whose hundred goroutines need a token at once.
func hundredCalls(platform, dir string) error {
	store, err := api.NewFileStore(dir)
	if err != nil {
		return err
	}
	c, err := api.NewClient(api.Account{AppID: appID, Secret: secret}, api.WithBaseURL(platform), api.WithStore(store))
	if err != nil {
		return err
	}
	fmt.Println("ready")
	var line string
	if _, err := fmt.Scanln(&line); err != nil { // the other process is ready too
		return err
	}
	errs := make([]error, 100)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, errs[i] = c.Menu.Get(context.Background()) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func TestTwoProcessesRefreshOnce(t *testing.T) {
	for _, test := range []struct {
		name string
		age  time.Duration // of the token in the store
		kill bool
	}{
		{"expired", 3 * time.Hour, true},
		{"killed from outside", 0, true},
		{"alive", 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPlatform(t)
			dir := t.TempDir()
			store, err := api.NewFileStore(dir)
			if err != nil {
				t.Fatal(err)
			}
			past := time.Now().Add(-test.age)
			if _, err := p.client(api.WithStore(store), api.WithClock(func() time.Time { return past })).Menu.Get(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := 1
			if test.kill {
				p.kill()
				want = 2
			}
			runProcesses(t, p.URL, dir, 2)
			if got := p.count(stablePath); got != want {
				t.Errorf("%d token calls, want %d", got, want)
			}
		})
	}
}

func runProcesses(t *testing.T, platform, dir string, n int) {
	t.Helper()
	type process struct {
		cmd   *exec.Cmd
		begin func()
		out   *bytes.Buffer
	}
	var all []process
	for range n {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), "API_TEST_STORE="+dir, "API_TEST_PLATFORM="+platform)
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		stderr := new(bytes.Buffer)
		cmd.Stderr = stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var line string
		if _, err := fmt.Fscanln(stdout, &line); err != nil || line != "ready" {
			t.Fatalf("process said %q: %v %s", line, err, stderr)
		}
		all = append(all, process{cmd, func() { fmt.Fprintln(stdin, "go") }, stderr})
	}
	for _, p := range all {
		p.begin()
	}
	for _, p := range all {
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, p.out)
		}
	}
}

func TestHundredGoroutinesOneToken(t *testing.T) {
	p := newPlatform(t)
	c := p.client()
	together(t, 100, func() error { _, err := c.Menu.Get(t.Context()); return err })
	if n := p.count(stablePath); n != 1 {
		t.Errorf("%d token calls, want 1", n)
	}
	p.kill()
	together(t, 100, func() error { _, err := c.Menu.Get(t.Context()); return err })
	if n := p.count(stablePath); n != 2 {
		t.Errorf("%d token calls after the token was killed, want 2", n)
	}
}

func together(t *testing.T, n int, f func() error) {
	t.Helper()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if err := f(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestEveryTokenCodeRenewsOnce(t *testing.T) {
	for _, code := range []int{40001, 40014, 42001, 42007} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			p := newPlatform(t)
			p.fail("/cgi-bin/message/custom/send", code)
			if err := p.client().CustomMessage.Send(t.Context(), api.CustomText(openID, "你好")); err != nil {
				t.Fatal(err)
			}
			if p.count(stablePath) != 2 || p.count("/cgi-bin/message/custom/send") != 2 {
				t.Errorf("%d token calls and %d sends, want 2 and 2", p.count(stablePath), p.count("/cgi-bin/message/custom/send"))
			}
		})
	}
	t.Run("only once", func(t *testing.T) {
		p := newPlatform(t)
		p.fail(menuPath, 40001, 40001, 40001)
		_, err := p.client().Menu.Get(t.Context())
		if !errors.Is(err, api.ErrToken) || p.count(menuPath) != 2 {
			t.Errorf("%d calls, %v", p.count(menuPath), err)
		}
	})
}

// A late refusal of an old token must not throw away a newer one.
func TestStaleTokenDoesNotInvalidateNewer(t *testing.T) {
	p := newPlatform(t)
	source := p.client().Tokens()
	old, err := source.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := source.Invalidate(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		if _, err := source.Token(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.count(stablePath); n != 2 {
		t.Errorf("%d token calls, want 2: one at first, one for the first refusal", n)
	}
}

func TestOldTokenIsServedWhileRenewing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := offlinePlatform(t)
		release := make(chan struct{})
		p.on(stablePath, func(w http.ResponseWriter, r *http.Request) {
			if p.count(stablePath) > 1 {
				<-release
			}
			p.sample(w, r)
		})
		c, err := api.NewClient(api.Account{AppID: appID, Secret: secret}, api.WithHTTPClient(&http.Client{Transport: p}))
		if err != nil {
			t.Fatal(err)
		}
		old, err := c.Tokens().Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2*time.Hour - 2*time.Minute)
		for range 10 { // the first begins the renewal, none waits for it
			got, err := c.Tokens().Token(t.Context())
			if err != nil || got != old {
				t.Fatalf("not the old token: %v %v", got, err)
			}
			synctest.Wait()
		}
		close(release)
		synctest.Wait()
		got, err := c.Tokens().Token(t.Context())
		if err != nil || got == old {
			t.Errorf("still the old token: %v", err)
		}
		if n := p.count(stablePath); n != 2 {
			t.Errorf("%d token calls, want 2", n)
		}
	})
}

// The stable endpoint may hand back the token it refused. A renewal by force
// is the last resort, inside the platform's limits.
func TestForceIsLastResort(t *testing.T) {
	p := newPlatform(t)
	var plain, forced atomic.Int32
	current := "TOKEN_STALE"
	p.on(stablePath, func(w http.ResponseWriter, r *http.Request) {
		var req struct {
			Force bool `json:"force_refresh"`
		}
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			t.Error(err)
		}
		if req.Force {
			forced.Add(1)
		} else {
			plain.Add(1)
		}
		fmt.Fprintf(w, `{"access_token":%q,"expires_in":7000}`, current)
	})
	c := p.client()
	p.fail(menuPath, 40001, 40001)
	if _, err := c.Menu.Get(t.Context()); !errors.Is(err, api.ErrToken) {
		t.Fatalf("got %v", err)
	}
	if plain.Load() != 2 || forced.Load() != 1 {
		t.Errorf("%d plain and %d forced, want 2 and 1", plain.Load(), forced.Load())
	}
	p.fail(menuPath, 40001, 40001)
	if _, err := c.Menu.Get(t.Context()); !errors.Is(err, api.ErrToken) {
		t.Fatalf("got %v", err)
	}
	if forced.Load() != 1 {
		t.Errorf("forced %d times within 30 s", forced.Load())
	}
}

func TestTokenEndpointRefuses(t *testing.T) {
	p := newPlatform(t)
	wrong := strings.Repeat("wrong", 5)
	c, err := api.NewClient(api.Account{AppID: appID, Secret: api.Secret(wrong)}, api.WithBaseURL(p.URL))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Menu.Get(t.Context())
	if !errors.Is(err, api.ErrConfig) || errors.Is(err, api.ErrToken) {
		t.Errorf("40001 for a wrong secret must be a matter of configuration: %v", err)
	}
	if p.count(stablePath) != 1 || p.count(menuPath) != 0 {
		t.Errorf("%d token calls, %d calls", p.count(stablePath), p.count(menuPath))
	}
	// Many callers do not flood the platform with what cannot succeed.
	for range 50 {
		_, err = c.Menu.Get(t.Context())
		if err == nil {
			t.Fatal("no error")
		}
	}
	if n := p.count(stablePath); n != 1 {
		t.Errorf("%d token calls within a second, want 1", n)
	}
	p.fail(stablePath, 40164)
	p.on(stablePath, func(w http.ResponseWriter, r *http.Request) {
		refuse(w, 40164, "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist")
	})
	_, err = p.client().Menu.Get(t.Context())
	var e *api.Error
	if !errors.As(err, &e) || !errors.Is(err, api.ErrIPNotAllowed) || e.IP != "203.0.113.7" || e.Endpoint != "token_get_stable" {
		t.Errorf("%+v", e)
	}
}

func TestClassicToken(t *testing.T) {
	p := newPlatform(t)
	c := p.client(api.WithClassicToken())
	together(t, 20, func() error { _, err := c.Menu.Get(t.Context()); return err })
	if p.count("/cgi-bin/token") != 1 || p.count(stablePath) != 0 {
		t.Errorf("%d classic and %d stable calls", p.count("/cgi-bin/token"), p.count(stablePath))
	}
}

// A store that is down must not stop an account that could go on without it.
func TestStoreOutage(t *testing.T) {
	p := newPlatform(t)
	if _, err := p.client(api.WithStore(brokenStore{})).Menu.Get(t.Context()); err != nil {
		t.Fatal(err)
	}
}

type brokenStore struct{}

var errBroken = errors.New("store is down")

func (brokenStore) Get(context.Context, string) ([]byte, bool, error) { return nil, false, errBroken }
func (brokenStore) Set(context.Context, string, []byte, time.Duration) error {
	return errBroken
}
func (brokenStore) Lease(context.Context, string, time.Duration) (func(), bool, error) {
	return nil, false, errBroken
}

// One caller that gives up does not take the renewal away from the others.
func TestCancelledCallerDoesNotStopRenewal(t *testing.T) {
	p := newPlatform(t)
	asked, release := make(chan struct{}), make(chan struct{})
	p.on(stablePath, func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-release
		p.sample(w, r)
	})
	c := p.client()
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { _, err := c.Tokens().Token(ctx); first <- err }()
	<-asked
	second := make(chan error, 1)
	go func() { _, err := c.Tokens().Token(t.Context()); second <- err }()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("first caller: %v", err)
	}
	close(release)
	if err := <-second; err != nil {
		t.Errorf("second caller: %v", err)
	}
	if n := p.count(stablePath); n != 1 {
		t.Errorf("%d token calls, want 1", n)
	}
}

func TestStores(t *testing.T) {
	file, err := api.NewFileStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]api.Store{"memory": new(api.MemoryStore), "file": file} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			if _, ok, err := s.Get(ctx, "a/b"); ok || err != nil {
				t.Fatalf("empty store: %v %v", ok, err)
			}
			for _, value := range []string{"one", "two"} {
				if err := s.Set(ctx, "a/b", []byte(value), 0); err != nil {
					t.Fatal(err)
				}
				got, ok, err := s.Get(ctx, "a/b")
				if string(got) != value || !ok || err != nil {
					t.Fatalf("got %q %v %v", got, ok, err)
				}
			}
			if err := s.Set(ctx, "short", []byte("x"), time.Nanosecond); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
			if _, ok, err := s.Get(ctx, "short"); ok || err != nil {
				t.Errorf("expired value: %v %v", ok, err)
			}
			release, ok, err := s.Lease(ctx, "k", time.Minute)
			if !ok || err != nil {
				t.Fatalf("lease: %v %v", ok, err)
			}
			if _, ok, err := s.Lease(ctx, "k", time.Minute); ok || err != nil {
				t.Fatalf("second lease: %v %v", ok, err)
			}
			other, ok, err := s.Lease(ctx, "other", time.Minute)
			if !ok || err != nil {
				t.Fatalf("lease of another key: %v %v", ok, err)
			}
			other()
			release()
			again, ok, err := s.Lease(ctx, "k", time.Minute)
			if !ok || err != nil {
				t.Fatalf("lease after release: %v %v", ok, err)
			}
			again()
		})
	}
}

func TestMemoryLeaseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(api.MemoryStore)
		lost, ok, err := s.Lease(t.Context(), "k", time.Minute)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		time.Sleep(time.Minute)
		_, ok, err = s.Lease(t.Context(), "k", time.Minute)
		if !ok || err != nil {
			t.Fatal("lease did not end", err)
		}
		lost() // the old holder must not release the new one's lease
		if _, ok, _ := s.Lease(t.Context(), "k", time.Minute); ok {
			t.Error("two holders")
		}
	})
}

// A process that is killed while it holds the lease does not keep it.
func TestFileLeaseEndsWithProcess(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "API_TEST_LEASE="+dir)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var got string
	if _, err := fmt.Fscan(stdout, &got); err != nil || got != "true" {
		t.Fatalf("process said %q: %v", got, err)
	}
	store, err := api.NewFileStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := store.Lease(t.Context(), "k", time.Minute); ok || err != nil {
		t.Fatalf("two holders: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	if _, ok, err := store.Lease(t.Context(), "k", time.Minute); !ok || err != nil {
		t.Errorf("the lease outlived its process: %v", err)
	}
}

func TestFileStoreIsPrivate(t *testing.T) {
	dir := t.TempDir()
	s, err := api.NewFileStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Set(t.Context(), "access_token/"+appID, []byte("TOKEN"), 0); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%v %v", entries, err)
	}
	info, err := entries[0].Info()
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(dir+"/"+entries[0].Name(), []byte("{half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := s.Get(t.Context(), "access_token/"+appID); ok || err != nil {
		t.Errorf("a damaged file must count as absent: %v %v", ok, err)
	}
}

func TestHub(t *testing.T) {
	p := newPlatform(t)
	const key = "hub-key-0123456789"
	hub := httptest.NewServer(api.TokenHub(p.client().Tokens(), key))
	defer hub.Close()
	source, err := api.NewHubTokens(hub.URL+"/token", key, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := api.NewClient(api.Account{AppID: appID}, api.WithBaseURL(p.URL), api.WithTokenSource(source))
	if err != nil {
		t.Fatal(err)
	}
	call := func() {
		t.Helper()
		together(t, 20, func() error { _, err := c.Menu.Get(t.Context()); return err })
	}
	call()
	p.kill()
	call()
	if n := p.count(stablePath); n != 2 {
		t.Errorf("%d token calls, want 2", n)
	}
	for _, bad := range []api.Secret{"", "other"} {
		wrong, err := api.NewHubTokens(hub.URL, bad, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wrong.Token(t.Context()); !errors.Is(err, api.ErrUnreachable) || strings.Contains(err.Error(), hub.URL) {
			t.Errorf("key %q: %v", string(bad), err)
		}
	}
	if _, err := api.NewHubTokens("https://user:pass@example.com/", key, nil); err == nil || strings.Contains(err.Error(), "pass@") {
		t.Errorf("a key in the address: %v", err)
	}
}

func TestStaticToken(t *testing.T) {
	p := newPlatform(t)
	c, err := api.NewClient(api.Account{AppID: appID}, api.WithBaseURL(p.URL), api.WithTokenSource(api.StaticToken("DEAD_TOKEN_123")))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Menu.Get(t.Context())
	if !errors.Is(err, api.ErrToken) || p.count(menuPath) != 1 || strings.Contains(err.Error(), "DEAD_TOKEN") {
		t.Errorf("%d calls: %v", p.count(menuPath), err)
	}
}

func TestPlatformTokens(t *testing.T) {
	p := newPlatform(t)
	store := new(api.MemoryStore)
	const component = "wx0000000000000009"
	platform, err := api.NewPlatform(api.Account{AppID: component, Secret: secret}, api.WithBaseURL(p.URL), api.WithPagesURL(p.URL), api.WithStore(store))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if _, err := platform.LoginURL(ctx, "https://example.com/back", 1); !errors.Is(err, api.ErrNoTicket) {
		t.Fatalf("without a ticket: %v", err)
	}
	platform, err = api.NewPlatform(api.Account{AppID: component, Secret: secret}, api.WithBaseURL(p.URL), api.WithPagesURL(p.URL), api.WithStore(store))
	if err != nil {
		t.Fatal(err)
	}
	if err := platform.SetVerifyTicket(ctx, "ticket@@@0001"); err != nil {
		t.Fatal(err)
	}
	page, err := platform.LoginURL(ctx, "https://example.com/back?x=1", 1)
	if err != nil || !strings.HasPrefix(page, p.URL+"/cgi-bin/componentloginpage?component_appid="+component+"&pre_auth_code=") {
		t.Errorf("page %s: %v", page, err)
	}
	account, err := platform.Authorize(ctx, "auth-code-1")
	if err != nil {
		t.Fatal(err)
	}
	c, err := platform.Account(account)
	if err != nil {
		t.Fatal(err)
	}
	// The token of the authorisation is used first, then the refresh token.
	var mu sync.Mutex
	var used []string
	p.on(menuPath, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		used = append(used, r.URL.Query().Get("access_token"))
		if len(used) == 1 {
			refuse(w, 42001, "access_token expired")
			return
		}
		w.Write([]byte(`{"menu":{"button":[]}}`))
	})
	p.on("/cgi-bin/component/api_authorizer_token", func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte(`{"authorizer_access_token":"SECOND","expires_in":7200,"authorizer_refresh_token":"NEXT_REFRESH"}`))
	})
	if _, err := c.Menu.Get(ctx); err != nil {
		t.Fatal(err)
	}
	if len(used) != 2 || used[0] == used[1] || used[1] != "SECOND" {
		t.Errorf("tokens used: %q", used)
	}
	kept, ok, err := store.Get(ctx, "authorizer_refresh_token/"+component+"/"+account)
	if string(kept) != "NEXT_REFRESH" || !ok || err != nil {
		t.Errorf("refresh token kept: %q %v %v", kept, ok, err)
	}
	if _, err := platform.Menu.Get(ctx); err == nil {
		t.Error("the platform itself has no access_token")
	}
	stranger, err := platform.Account("wx0000000000000777")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.Menu.Get(ctx); !errors.Is(err, api.ErrReauthorize) {
		t.Errorf("account without authorisation: %v", err)
	}
}
