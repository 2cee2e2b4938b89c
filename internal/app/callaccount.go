package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/wenzihq/wenzi/internal/account"
	"github.com/wenzihq/wenzi/internal/bot"
	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/oa/api"
)

// registered finds the registered account and the store of its tokens: those of
// the running server, through its socket, or those of the database where none
// runs. The socket can be opened only by who can read the database's file, so it
// gives away nothing that is not in his hands.
func (c *callCmd) registered(ctx context.Context) (bot.Account, api.Store, func() error, error) {
	nothing := func() error { return nil }
	if client, running := controlClient(c.Data); running {
		out, err := callControl(ctx, client, http.MethodGet, "/accounts", nil)
		if err != nil {
			return bot.Account{}, nil, nil, err
		}
		var configs []json.RawMessage
		if err := json.Unmarshal([]byte(out), &configs); err != nil {
			return bot.Account{}, nil, nil, fmt.Errorf("the running server's accounts: %w", err)
		}
		var all []bot.Account
		for _, config := range configs {
			a, err := bot.UnmarshalConfig(config)
			if err != nil {
				return bot.Account{}, nil, nil, err
			}
			all = append(all, a)
		}
		a, err := c.choose(all)
		return a, remoteStore{client}, nothing, err
	}
	d, err := openDataDir(c.Data)
	if err != nil {
		return bot.Account{}, nil, nil, err
	}
	s, err := store.Open(ctx, store.Config{Database: (&settings{Data: c.Data, Database: c.Database}).database(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return bot.Account{}, nil, nil, errors.Join(err, d.close())
	}
	done := func() error { return errors.Join(s.Close(), d.close()) }
	all, err := account.Stored(ctx, s)
	if err != nil {
		return bot.Account{}, nil, nil, errors.Join(err, done())
	}
	a, err := c.choose(all)
	if err != nil {
		return bot.Account{}, nil, nil, errors.Join(err, done())
	}
	return a, s, done, nil
}

func (c *callCmd) choose(all []bot.Account) (bot.Account, error) {
	if c.Account == "" && len(all) == 1 {
		return all[0], nil
	}
	for _, a := range all {
		if a.Path == c.Account {
			return a, nil
		}
	}
	switch {
	case len(all) == 0:
		return bot.Account{}, errUsage{errors.New("没有登记的账号；先 wenzi apply，或用 --app-id（no account is registered; wenzi apply one, or give --app-id）")}
	case c.Account == "":
		return bot.Account{}, errUsage{fmt.Errorf("登记了 %d 个账号，用 --account 选一个（choose one of %d accounts with --account）", len(all), len(all))}
	}
	return bot.Account{}, errUsage{fmt.Errorf("没有登记账号 %q（no such account is registered）", c.Account)}
}

// credential is a request at the control socket for the server's token store.
type credential struct {
	Name  string        `json:"name"`
	Value []byte        `json:"value,omitempty"`
	TTL   time.Duration `json:"ttl,omitempty"`
	OK    bool          `json:"ok,omitempty"`
}

// remoteStore is the running server's token store.
type remoteStore struct{ client *http.Client }

func (s remoteStore) ask(ctx context.Context, path string, c credential) (credential, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return credential{}, err
	}
	out, err := callControl(ctx, s.client, http.MethodPost, path, body)
	if err != nil {
		return credential{}, err
	}
	var answer credential
	return answer, json.Unmarshal([]byte(out), &answer)
}

// Get implements api.Store.
func (s remoteStore) Get(ctx context.Context, key string) ([]byte, bool, error) {
	c, err := s.ask(ctx, "/credential/get", credential{Name: key})
	return c.Value, c.OK, err
}

// Set implements api.Store.
func (s remoteStore) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	_, err := s.ask(ctx, "/credential/set", credential{Name: key, Value: value, TTL: ttl})
	return err
}

// Lease implements api.Store. The lease is the connection: it ends with it, so
// that a command that is killed does not keep it.
func (s remoteStore) Lease(ctx context.Context, key string, ttl time.Duration) (func(), bool, error) {
	body, err := json.Marshal(credential{Name: key, TTL: ttl})
	if err != nil {
		return nil, false, err
	}
	held, cancel := context.WithTimeout(context.WithoutCancel(ctx), ttl)
	req, err := http.NewRequestWithContext(held, http.MethodPost, "http://wenzi/credential/lease", bytes.NewReader(body))
	if err != nil {
		cancel()
		return nil, false, err
	}
	resp, err := s.client.Do(req) //nolint:bodyclose // release does
	if err != nil {
		cancel()
		return nil, false, err
	}
	var answer credential
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || !answer.OK {
		cancel()
		return nil, false, errors.Join(err, resp.Body.Close())
	}
	return func() { cancel(); _ = resp.Body.Close() }, true, nil
}

// accountConfigs gives the registered accounts, secrets in clear, to the owner of the
// data directory.
func (c *control) accountConfigs(w http.ResponseWriter) {
	configs := []json.RawMessage{}
	for _, a := range c.accounts.Accounts() {
		config, err := bot.MarshalConfig(a)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		configs = append(configs, config)
	}
	reply(w, configs)
}

func (c *control) credential(w http.ResponseWriter, r *http.Request) {
	var in, out credential
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&in)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	switch r.URL.Path {
	case "/credential/get":
		out.Value, out.OK, err = c.store.Get(r.Context(), in.Name)
	case "/credential/set":
		err = c.store.Set(r.Context(), in.Name, in.Value, in.TTL)
	case "/credential/lease":
		var release func()
		release, out.OK, err = c.store.Lease(r.Context(), in.Name, in.TTL)
		if err == nil && out.OK {
			reply(w, out)
			if http.NewResponseController(w).Flush() == nil {
				<-r.Context().Done() // the command lets go
			}
			release()
			return
		}
	default:
		http.NotFound(w, r)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	reply(w, out)
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the command is gone
}
