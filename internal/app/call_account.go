package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wenzihq/wenzi/internal/account"
	"github.com/wenzihq/wenzi/internal/bot"
	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/oa/api"
)

// caller says as which account a call is made.
//
// Where a server runs, it keeps the AppSecret to itself and lends the command
// its token through the control socket, so that both use one token and the
// platform's allowance for renewals is spent once. Where none runs, the command
// opens the database and takes the server's place. With an AppID on the command
// line there is no server at all, and the token is kept in the user's cache.
type caller struct {
	storage
	Account   string     `group:"谁来调用 — as whom" placeholder:"PATH" help:"登记的账号（bot.yaml 的 path）；只有一个时不用给 — a registered account; not needed where there is only one."`
	AppID     string     `name:"app-id" group:"谁来调用 — as whom" help:"不用登记的账号，直接给 AppID — an account of its own, without any server."`
	AppSecret bot.Secret `name:"app-secret" group:"谁来调用 — as whom" env:"WENZI_APP_SECRET" help:"与 --app-id 同用；放在环境变量里，别人就看不到 — goes with --app-id; better in the environment."`
}

// client makes the account's client and hands it over. The account has a
// secret only where the command may know it.
func (c *caller) client(ctx context.Context, baseURL string, options []api.Option, do func(*api.Client, api.Account) error) error {
	run := func(a api.Account, tokens api.Store, more ...api.Option) error {
		client, err := api.NewClient(a, slices.Concat(options, at(baseURL, tokens), more)...)
		if err != nil {
			return errUsage{err}
		}
		return do(client, a)
	}
	if c.AppID != "" {
		if c.Account != "" {
			return errUsage{errors.New("--account 与 --app-id 只能给一个（give --account or --app-id, not both）")}
		}
		if c.AppSecret == "" {
			return errUsage{errors.New("--app-id 还要 AppSecret：放进环境变量 WENZI_APP_SECRET（put the AppSecret into WENZI_APP_SECRET）")}
		}
		tokens, err := cachedTokens()
		if err != nil {
			return err
		}
		return run(api.Account{AppID: c.AppID, Secret: api.Secret(c.AppSecret.Reveal())}, tokens)
	}
	if server, running := controlClient(c.Data); running {
		a, err := c.ofServer(ctx, server)
		if err != nil {
			return err
		}
		lent := &lentTokens{server: server, path: a.Path, baseURL: baseURL}
		return run(api.Account{AppID: a.AppID}, new(api.MemoryStore), api.WithTokenSource(lent))
	}
	if c.missing() {
		return errUsage{fmt.Errorf("%s 里没有数据库：用 --data 指明，或用 --app-id 直接调用（there is no database; give --data, or --app-id）", c.Data)}
	}
	return c.offline(ctx, func(s *store.Store) error {
		accounts, err := account.Stored(ctx, s)
		if err != nil {
			return err
		}
		a, err := c.pick(accounts)
		if err != nil {
			return err
		}
		if a.AppSecret == "" {
			return errUsage{errNoSecret(a)}
		}
		return run(api.Account{AppID: a.AppID, Secret: api.Secret(a.AppSecret.Reveal())}, s)
	})
}

// ofServer picks the account among those of the running server.
func (c *caller) ofServer(ctx context.Context, server *http.Client) (bot.Account, error) {
	out, err := callControl(ctx, server, http.MethodGet, "/export", nil)
	if err != nil {
		return bot.Account{}, err
	}
	b, err := bot.Parse("export", []byte(out), os.LookupEnv)
	if err != nil {
		return bot.Account{}, err
	}
	return c.pick(b.Accounts)
}

// pick chooses the account that is meant.
func (c *caller) pick(accounts []bot.Account) (bot.Account, error) {
	var paths []string
	for _, a := range accounts {
		paths = append(paths, strings.TrimSpace(a.Path+" "+a.Name))
	}
	known := "\n  " + strings.Join(paths, "\n  ")
	i := 0
	switch {
	case len(accounts) == 0:
		return bot.Account{}, errUsage{errors.New("没有登记的账号：先 wenzi apply，或用 --app-id 直接调用（no account is registered; apply a bot.yaml, or give --app-id）")}
	case c.Account != "":
		if i = slices.IndexFunc(accounts, func(a bot.Account) bool { return a.Path == c.Account }); i < 0 {
			return bot.Account{}, errUsage{fmt.Errorf("--account: 没有登记 %q（is not registered），登记的有（registered are）:%s", tame(c.Account), known)}
		}
	case len(accounts) > 1:
		return bot.Account{}, errUsage{fmt.Errorf("有几个账号，用 --account 选一个（choose one by --account）:%s", known)}
	}
	if a := accounts[i]; a.AppID == "" {
		return bot.Account{}, errUsage{fmt.Errorf("账号 %s 没有 app_id：写进 bot.yaml，再 wenzi apply（has no app_id; write it into bot.yaml and apply）", a.Path)}
	}
	return accounts[i], nil
}

func errNoSecret(a bot.Account) error {
	return fmt.Errorf("账号 %s 没有 app_secret：写进 bot.yaml，再 wenzi apply（has no app_secret; write it into bot.yaml and apply）", a.Path)
}

// cachedTokens keeps tokens in the user's cache.
func cachedTokens() (api.Store, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("没有地方存 token，请设置 XDG_CACHE_HOME（nowhere to keep the token, set XDG_CACHE_HOME）: %w", err)
	}
	return api.NewFileStore(filepath.Join(dir, "wenzi", "tokens"))
}

// at gives the options of a client at a base URL, whose tokens are kept apart:
// those of a simulated platform are worth nothing to the real one.
func at(baseURL string, tokens api.Store) []api.Option {
	if baseURL == "" {
		return []api.Option{api.WithStore(tokens)}
	}
	return []api.Option{api.WithBaseURL(baseURL), api.WithPagesURL(baseURL), api.WithStore(storeAt{tokens, baseURL + " "})}
}

// storeAt is the part of a store whose names have a prefix.
type storeAt struct {
	api.Store
	prefix string
}

// Get implements [api.Store].
func (s storeAt) Get(ctx context.Context, key string) ([]byte, bool, error) {
	return s.Store.Get(ctx, s.prefix+key)
}

// Set implements [api.Store].
func (s storeAt) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return s.Store.Set(ctx, s.prefix+key, value, ttl)
}

// Lease implements [api.Store].
func (s storeAt) Lease(ctx context.Context, key string, ttl time.Duration) (func(), bool, error) {
	return s.Store.Lease(ctx, s.prefix+key, ttl)
}

// tokenRequest asks a running server for the token of an account.
type tokenRequest struct {
	Path    string `json:"path"`
	BaseURL string `json:"base_url,omitempty"`
	Refused string `json:"refused,omitempty"` // the token that the platform refused
}

type lentToken struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
}

// lentTokens are the tokens of a running server.
type lentTokens struct {
	server        *http.Client
	path, baseURL string

	mu      sync.Mutex
	refused string
}

// Token implements [api.TokenSource].
func (t *lentTokens) Token(ctx context.Context) (api.Token, error) {
	t.mu.Lock()
	ask := tokenRequest{Path: t.path, BaseURL: t.baseURL, Refused: t.refused}
	t.mu.Unlock()
	body, err := json.Marshal(ask)
	if err != nil {
		return api.Token{}, err
	}
	answer, err := callControl(ctx, t.server, http.MethodPost, "/token", body)
	if err != nil {
		return api.Token{}, callError{err.Error(), err} // the server has described it
	}
	var lent lentToken
	if err := json.Unmarshal([]byte(answer), &lent); err != nil {
		return api.Token{}, errors.New("the running server answers something else than a token")
	}
	return api.Token{Value: api.Secret(lent.Token), Expires: lent.Expires}, nil
}

// Invalidate implements [api.TokenSource].
func (t *lentTokens) Invalidate(_ context.Context, refused api.Token) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refused = string(refused.Value)
	return nil
}

// token lends a token to wenzi call.
func (c *control) token(w http.ResponseWriter, r *http.Request) {
	// Fetching one can take longer than the answer to a delivery.
	deadlines := http.NewResponseController(w)
	if err := errors.Join(deadlines.SetReadDeadline(time.Time{}), deadlines.SetWriteDeadline(time.Now().Add(time.Minute))); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	var ask tokenRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&ask); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	accounts := c.accounts.Accounts()
	i := slices.IndexFunc(accounts, func(a bot.Account) bool { return a.Path == ask.Path })
	if i < 0 {
		http.Error(w, "账号已不在（the account is gone）", http.StatusNotFound)
		return
	}
	if accounts[i].AppSecret == "" {
		http.Error(w, errNoSecret(accounts[i]).Error(), http.StatusConflict)
		return
	}
	client, err := c.clients.client(accounts[i], ask.BaseURL)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	token, err := client.Tokens().Token(r.Context())
	if err == nil && ask.Refused == string(token.Value) {
		if err = client.Tokens().Invalidate(r.Context(), token); err == nil {
			token, err = client.Tokens().Token(r.Context())
		}
	}
	if err != nil {
		http.Error(w, described(err).Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(lentToken{Token: string(token.Value), Expires: token.Expires}) // a command that is gone needs none
}
