package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/wenzihq/wenzi/internal/account"
	"github.com/wenzihq/wenzi/internal/jobs"
	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/internal/turn"
	"github.com/wenzihq/wenzi/oa"
)

// Times of the server's life.
const (
	letGoAfter  = 100 * time.Millisecond // at a stop, of deliveries left to the successor
	drainLimit  = 10 * time.Second       // for what else is in flight
	probesEvery = 2 * time.Second
	guestsEvery = time.Hour
)

type serveCmd struct {
	settings
}

// server is a running wenzi.
type server struct {
	settings
	log      *slog.Logger
	data     *dataDir
	store    *store.Store
	engine   *turn.Engine
	accounts *account.Directory
	models   *models
	clients  *clients
	pushers  *pushers
	jobs     *jobs.Runner
	metrics  *metrics

	listeners []net.Listener
	https     []*http.Server
}

// Run serves until the context ends.
func (c *serveCmd) Run(e *env) error {
	if os.Getenv("GOGC") == "" {
		// The live heap is a few megabytes: collecting at five times as much
		// costs 20 MB and saves 4 % of the processor under load.
		debug.SetGCPercent(400)
	}
	s := &server{settings: c.settings, log: c.logger(e.stderr)}
	err := s.open(e.ctx)
	if err == nil {
		s.welcome(e.stdout)
		err = s.serve(e.ctx)
	}
	return errors.Join(err, s.close())
}

// open takes the data directory, opens the store, loads the accounts and binds
// the addresses, so that whatever is wrong is said before anything is served.
func (s *server) open(ctx context.Context) (err error) {
	if s.data, err = openDataDir(s.Data); err != nil {
		return err
	}
	s.store, err = store.Open(ctx, store.Config{Database: s.database(), Synchronous: s.Synchronous, Logger: s.log})
	if err != nil {
		return fmt.Errorf("打不开数据库 %s（cannot open the database）: %w", s.shownDatabase(), err)
	}
	s.clients = newClients(s.store, s.log)
	s.pushers = newPushers(s.clients, s.store, s.APIURL, s.log)
	s.jobs = s.newJobs()
	s.engine = turn.New(turn.Config{
		Store:     s.store,
		Log:       s.log,
		Accounts:  s.account,
		Wake:      s.jobs.Wake,
		Budget:    int(s.TimeoutBudget),
		Keep:      s.MailboxKeep,
		PublicURL: s.PublicURL,
		Replays:   s.MaxAge == 0,
		Alone:     s.Database == "",
	})
	if s.models, err = newModels(s.settings, s.store); err != nil {
		return err
	}
	s.metrics = newMetrics(s)
	s.accounts = account.New(account.Config{
		Store:     s.store,
		Handler:   s.handler,
		Hosting:   account.Hosting(s.OpenHosting),
		Guests:    s.guests(),
		GuestName: s.name(),
		MaxAge:    s.MaxAge,
		Alone:     s.Database == "",
		Observe:   s.metrics.observe,
		Changed:   s.pushers.lookAgain,
		Log:       s.log,
	})
	if s.Bot != "" {
		file, err := readBotFile(s.Bot)
		if err != nil {
			return err
		}
		change, err := s.accounts.Apply(ctx, file.bot, false)
		if err != nil {
			return err
		}
		s.log.Info("bot.yaml is applied", "added", len(change.Added), "changed", len(change.Changed), "unchanged", len(change.Unchanged))
		logWarnings(s.log, file.bot)
	}
	if err := s.accounts.Load(ctx); err != nil {
		return err
	}
	if err := s.engine.Recover(ctx); err != nil {
		return err
	}
	return s.listen(ctx)
}

// handling is the handler of an account, and the account as turn wants it.
type handling struct {
	oa.Handler
	turns turn.Account
}

// account finds the account of a turn on record.
func (s *server) account(id int64) (turn.Account, bool) {
	h, ok := s.accounts.HandlerOf(id)
	if !ok {
		return turn.Account{}, false
	}
	return h.(handling).turns, true
}

// handler makes the robot of an account and the turns around it.
func (s *server) handler(a account.Served) (oa.Handler, error) {
	r, err := s.models.robot(a)
	if err != nil {
		return nil, err
	}
	push, err := s.pushers.of(a)
	if err != nil {
		return nil, err
	}
	t := turn.Account{Key: a.Key, ID: a.ID, Robot: answering{r, s.log}, Push: push, Guest: a.Guest}
	return handling{s.engine.Handler(t), t}, nil
}

func (s *server) listen(ctx context.Context) error {
	callback, rest := http.NewServeMux(), http.NewServeMux()
	if s.AdminListen == "" {
		rest = callback
	}
	callback.Handle("/wechatMP/{path}", s.accounts)
	callback.Handle("GET /a/{id}", &pages{store: s.store, engine: s.engine, name: s.accounts.Name, keep: s.PageKeep, log: s.log})
	rest.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	rest.Handle("GET /readyz", &readiness{store: s.store, engine: s.engine})
	rest.Handle("GET /metrics", s.metrics)
	rest.HandleFunc("GET /{$}", s.front)

	add := func(address string, h http.Handler) error {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("不能监听 %s，换一个地址试试：--listen :9090（cannot listen; try another address）: %w", address, err)
		}
		s.add(l, h)
		return nil
	}
	if err := add(s.Listen, callback); err != nil {
		return err
	}
	if s.AdminListen != "" {
		if err := add(s.AdminListen, rest); err != nil {
			return err
		}
	}
	l, err := s.data.listen(ctx)
	if err != nil {
		return err
	}
	s.add(l, &control{accounts: s.accounts, store: s.store, clients: s.clients, log: s.log})
	return nil
}

func (s *server) add(l net.Listener, h http.Handler) {
	s.listeners = append(s.listeners, l)
	s.https = append(s.https, &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second, // a busy machine may take two to come to it
		// It also ends the context of a handler that is still at work, so it is
		// longer than a delivery can be kept open. Only what is signed gets its
		// body read. Answers fit into the socket's buffer: a client that does not
		// read them holds up nobody.
		ReadTimeout:    20 * time.Second,
		IdleTimeout:    90 * time.Second,
		MaxHeaderBytes: 16 << 10,
		ErrorLog:       slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	})
}

// front is what a person sees who opens the server's address in a browser.
func (s *server) front(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	io.WriteString(w, "雯子 wenzi 正在运行。在微信公众平台的服务器配置里，把 URL 填成本站的 /wechatMP/… 地址。\n"+
		"wenzi is running. Point the server URL (服务器配置) of your WeChat Official Account at /wechatMP/… on this host.\n")
}

// welcome says what to paste into WeChat's page.
func (s *server) welcome(w io.Writer) {
	var b strings.Builder
	fmt.Fprintf(&b, "雯子 wenzi %s 已启动（is running）\n\n", version())
	fmt.Fprintf(&b, "  监听 listen    %s\n", s.listeners[0].Addr())
	if s.AdminListen != "" {
		fmt.Fprintf(&b, "  管理 admin     %s\n", s.listeners[1].Addr())
	}
	fmt.Fprintf(&b, "  数据 database  %s\n", s.shownDatabase())
	b.WriteString(s.models.welcome(s.accounts.Open()) + "\n")
	registered := s.accounts.Accounts()
	for i, a := range registered {
		if i == mostWelcomed {
			fmt.Fprintf(&b, "  还有 %d 个账号（and %d more accounts）：wenzi export\n", len(registered)-i, len(registered)-i)
			break
		}
		path := a.Path
		if path == a.Token.Reveal() {
			path = "（bot.yaml 里的 path）"
		}
		name := ""
		if a.Name != "" {
			name = "「" + a.Name + "」 "
		}
		fmt.Fprintf(&b, "  %sURL  http://你的域名/wechatMP/%s   Token、EncodingAESKey 与 bot.yaml 相同   %s\n", name, path, modeName(a.Mode))
		if !a.Model.IsZero() {
			fmt.Fprintf(&b, "      大模型 model  %s\n", shown(a.Model))
		}
	}
	if s.accounts.Open() {
		b.WriteString("在微信公众平台「服务器配置」里填写（paste into WeChat's 服务器配置 page）：\n\n" +
			"  URL             http://你的域名/wechatMP/hello\n" +
			"  Token           hello      （与 URL 最后一段相同，可换成任意 3–32 位字母数字）\n" +
			"  消息加解密方式  明文模式 或 兼容模式\n")
	}
	fmt.Fprintf(&b, "\n没有公网也能试（try it without WeChat）：  %s\n\n", tryCommand(s.listeners[0].Addr(), registered))
	_, _ = io.WriteString(w, b.String()) // it answers also where nobody can read that
}

// mostWelcomed is how many accounts are named at the start.
const mostWelcomed = 20

func modeName(m oa.Mode) string {
	switch m {
	case oa.Compat:
		return "兼容模式"
	case oa.Secure:
		return "安全模式"
	}
	return "明文模式"
}

// serve runs until ctx ends or a listener fails, then finishes what is in flight.
func (s *server) serve(ctx context.Context) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var work sync.WaitGroup
	var lost int
	work.Go(func() { lost = s.engine.Run(background) })
	if s.Database != "" {
		work.Go(func() { s.accounts.Watch(background) })
	}
	work.Go(func() { s.every(background, probesEvery, "store refused requests", s.accounts.StoreProbes) })
	work.Go(func() { s.every(background, guestsEvery, "forget guests", s.accounts.ForgetGuests) })
	work.Go(func() { s.pushers.run(background, s.accounts.Accounts) })
	work.Go(func() { s.jobs.Run(background) })

	requests, letGo := context.WithCancel(context.WithoutCancel(ctx))
	defer letGo()
	failed := make(chan error, len(s.https))
	for i, h := range s.https {
		h.BaseContext = func(net.Listener) context.Context { return requests }
		go func() { failed <- h.Serve(s.listeners[i]) }()
	}
	var err error
	select {
	case <-ctx.Done():
		s.log.Info("stopping; what is in flight is finished first")
	case err = <-failed:
	}
	s.engine.Drain()
	defer time.AfterFunc(letGoAfter, letGo).Stop()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainLimit)
	defer cancel()
	var servers sync.WaitGroup
	for _, h := range s.https {
		servers.Go(func() {
			if err := h.Shutdown(drain); err != nil {
				s.log.Warn("some requests were still in flight", "error", err)
				_ = h.Close()
			}
		})
	}
	servers.Wait()
	stop()
	work.Wait()
	if lost > 0 {
		err = errors.Join(err, fmt.Errorf("数据库一直不可用，内存中的 %d 条记录丢失（the store stayed unavailable; %d answered turns are not on record）", lost, lost))
	}
	return err
}

// every runs a chore at intervals and logs its failures.
func (s *server) every(ctx context.Context, interval time.Duration, what string, do func(context.Context) error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := do(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("could not "+what, "error", err)
		}
	}
}

// close gives back what open took.
func (s *server) close() error {
	var errs []error
	for _, l := range s.listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if s.models != nil {
		s.models.pool.Close()
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.data != nil {
		errs = append(errs, s.data.close())
	}
	return errors.Join(errs...)
}

// readiness answers /readyz: whether the store takes records right now. The
// answer is kept for a second, so that asking often costs nothing.
type readiness struct {
	store  *store.Store
	engine *turn.Engine

	mu    sync.Mutex
	asked time.Time
	err   error
}

func (r *readiness) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.asked) > time.Second {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(req.Context()), 2*time.Second)
		defer cancel()
		r.err = r.store.Check(ctx)
		r.asked = time.Now()
	}
	switch held := r.engine.Held(); {
	case r.err != nil:
		http.Error(w, "not ready: the store cannot be written", http.StatusServiceUnavailable)
	case held > 0:
		http.Error(w, fmt.Sprintf("not ready: %d answered turns wait in memory for the store", held), http.StatusServiceUnavailable)
	default:
		io.WriteString(w, "ready\n")
	}
}

func mkdir(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o700)
}
