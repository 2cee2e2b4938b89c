package app

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/wenzihq/wenzi/internal/bot"
	"github.com/wenzihq/wenzi/oa/api"
)

// clients are a server's clients of the platform's API, one for an account at a
// base URL. They are kept because a client knows which token was refused last,
// and who renews it now.
type clients struct {
	tokens api.Store
	log    *slog.Logger
	http   *http.Client

	mu  sync.Mutex
	all map[clientKey]*api.Client
}

// clientKey names a client: who has another secret is another.
type clientKey struct {
	appID   string
	secret  bot.Secret
	baseURL string // "" is the platform's own
}

// connections is how many stay open to the platform: pushes come in bursts.
const connections = 16

func newClients(tokens api.Store, log *slog.Logger) *clients {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = connections
	return &clients{tokens: tokens, log: log, http: &http.Client{Transport: transport}, all: map[clientKey]*api.Client{}}
}

func (c *clients) key(a bot.Account, baseURL string) clientKey {
	if baseURL = strings.TrimSuffix(baseURL, "/"); baseURL == api.DefaultHost {
		baseURL = ""
	}
	return clientKey{a.AppID, a.AppSecret, baseURL}
}

func (c *clients) client(a bot.Account, baseURL string) (*api.Client, error) {
	key := c.key(a, baseURL)
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.all[key]; known != nil {
		return known, nil
	}
	options := slices.Concat(at(key.baseURL, c.tokens), []api.Option{api.WithHTTPClient(c.http), api.WithLogger(c.log)})
	made, err := api.NewClient(api.Account{AppID: a.AppID, Secret: api.Secret(a.AppSecret.Reveal())}, options...)
	if err != nil {
		return nil, err
	}
	c.all[key] = made
	return made, nil
}
