package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"

	"github.com/wenzihq/wenzi/internal/account"
	"github.com/wenzihq/wenzi/internal/bot"
	"github.com/wenzihq/wenzi/internal/store"
)

// botFile is a bot.yaml together with the variables it names, which only the
// process of the command knows.
type botFile struct {
	Name  string            `json:"name"`
	Data  []byte            `json:"data"`
	Env   map[string]string `json:"env"`
	Prune bool              `json:"prune"`

	bot bot.Bot
}

func readBotFile(name string) (*botFile, error) {
	var data []byte
	var err error
	if name == "-" {
		data, err = io.ReadAll(os.Stdin)
	} else {
		data, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, errUsage{fmt.Errorf("bot.yaml: %w", err)}
	}
	f := &botFile{Name: name, Data: data, Env: map[string]string{}}
	f.bot, err = bot.Parse(name, data, func(key string) (string, bool) {
		v, ok := os.LookupEnv(key)
		if ok {
			f.Env[key] = v
		}
		return v, ok
	})
	if err != nil {
		return nil, errUsage{fmt.Errorf("%w\n什么都没有改变（nothing was changed）", err)}
	}
	return f, nil
}

func logWarnings(log *slog.Logger, b bot.Bot) {
	if n := len(b.Warnings()); n > 0 {
		log.Warn("bot.yaml has hints; wenzi apply prints them", "hints", n)
	}
}

type applyCmd struct {
	storage
	File  string `short:"f" required:"" help:"bot.yaml，- 表示标准输入 — the file, - for standard input."`
	Prune bool   `help:"删除文件里没有的账号 — remove accounts that the file does not have."`
}

// storage says where the accounts are.
type storage struct {
	Data     string `env:"WENZI_DATA" default:"./data" help:"数据目录 — data directory."`
	Database string `env:"WENZI_DATABASE" help:"postgres://… — default: SQLite in the data directory."`
}

// missing reports that there is no database, which asking for something must
// not make.
func (c *storage) missing() bool {
	if c.Database != "" {
		return false
	}
	_, err := os.Stat(filepath.Join(c.Data, sqliteFile))
	return errors.Is(err, fs.ErrNotExist)
}

// Run changes the accounts of the running server, or of the database where
// none runs.
func (c *applyCmd) Run(e *env) error {
	f, err := readBotFile(c.File)
	if err != nil {
		return err
	}
	f.Prune = c.Prune
	for _, w := range f.bot.Warnings() {
		fmt.Fprintln(e.stderr, "提示（hint）:", w)
	}
	var summary string
	if client, running := controlClient(c.Data); running {
		body, err := json.Marshal(f)
		if err != nil {
			return err
		}
		if summary, err = callControl(e.ctx, client, http.MethodPost, "/apply", body); err != nil {
			return err
		}
	} else {
		err := c.offline(e.ctx, func(s *store.Store) error {
			change, _, err := account.Apply(e.ctx, s, f.bot, c.Prune)
			summary = change.String()
			return err
		})
		if err != nil {
			return err
		}
		if c.Database == "" {
			summary += "服务未运行，下次启动生效（no server is running; it takes effect at the next start）\n"
		} else {
			summary += "已写入数据库，用它的服务马上生效（written to the database; it takes effect at once in all servers that use it）\n"
		}
	}
	_, err = io.WriteString(e.stdout, summary)
	return err
}

type exportCmd struct {
	storage
}

// Run prints the accounts of the running server, or of the database where
// none runs.
func (c *exportCmd) Run(e *env) error {
	var out string
	var err error
	if client, running := controlClient(c.Data); running {
		out, err = callControl(e.ctx, client, http.MethodGet, "/export", nil)
	} else {
		err = c.offline(e.ctx, func(s *store.Store) error {
			accounts, err := account.Stored(e.ctx, s)
			if err != nil {
				return err
			}
			data, err := bot.Export(bot.Bot{Accounts: accounts})
			out = string(data)
			return err
		})
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(e.stdout, out)
	return err
}

// offline opens the database that no server uses.
func (c *storage) offline(ctx context.Context, do func(*store.Store) error) (err error) {
	d, err := openDataDir(c.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	at := settings{Data: c.Data, Database: c.Database}
	s, err := store.Open(ctx, store.Config{Database: at.database(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return do(s)
}

func callControl(ctx context.Context, client *http.Client, method, path string, body []byte) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://wenzi"+path, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("正在运行的 wenzi 没有回应（the running server does not answer）: %w", err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", errors.New(string(bytes.TrimSpace(out)))
	}
	return string(out), nil
}

// control is the HTTP API of the control socket, whose file only the owner of
// the data directory can open.
type control struct {
	accounts *account.Directory
	store    *store.Store
	clients  *clients
	log      *slog.Logger
}

func (c *control) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method + " " + r.URL.Path {
	case "POST /apply":
		c.apply(w, r)
	case "GET /export":
		out, err := bot.Export(bot.Bot{Accounts: c.accounts.Accounts()})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Write(out)
	case "GET /turns":
		c.turns(w, r)
	case "POST /token":
		c.token(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (c *control) apply(w http.ResponseWriter, r *http.Request) {
	var f botFile
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<20)).Decode(&f); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	b, err := bot.Parse(f.Name, f.Data, func(key string) (string, bool) {
		v, ok := f.Env[key]
		return v, ok
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	change, err := c.accounts.Apply(r.Context(), b, f.Prune)
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	c.log.Info("bot.yaml is applied", "added", len(change.Added), "changed", len(change.Changed),
		"removed", len(change.Removed), "unchanged", len(change.Unchanged))
	io.WriteString(w, change.String())
}
