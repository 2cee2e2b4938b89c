package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

// simCmd are the commands of the simulated platform.
type simCmd struct {
	Serve simServeCmd `cmd:"" default:"withargs" help:"启动模拟微信：接口、模型、控制接口和页面 — a simulated WeChat on one address."`
	Chat  simChatCmd  `cmd:"" help:"在终端里和公众号聊天 — chat with an account in the terminal."`
	Load  simLoadCmd  `cmd:"" help:"许多粉丝同时说话，看服务器答得怎样 — many followers at once, and what comes of it."`
}

// What the first account of a simulated platform is called by, so that the
// manual's lines are true.
const (
	simAppID     = "wx0123456789abcdef"
	simAppSecret = "0123456789abcdef0123456789abcdef"
)

// simServeCmd is a simulated WeChat that listens.
type simServeCmd struct {
	Listen string `default:"127.0.0.1:9090" help:"监听地址 — address to listen on."`

	speaker
	Kind string `group:"对谁说 — to whom" default:"certified_service" help:"账号类型，决定有哪些权限：subscription、certified_subscription、service、certified_service、test — the kind of account decides what it may do."`

	ModelDelay string `group:"模型 — the model" placeholder:"8s" help:"模型多久答完：时长，或 fast、typical、reasoning — how long an answer takes."`
}

// Run serves until the context ends.
func (c *simServeCmd) Run(e *env) error {
	c.AppID = cmp.Or(c.AppID, simAppID)
	config, err := c.account()
	if err != nil {
		return errUsage{err}
	}
	if config.Kind, err = sim.ParseKind(c.Kind); err != nil {
		return errUsage{fmt.Errorf("--kind: 没有这种账号: %w", err)}
	}
	config.AppSecret = simAppSecret
	model := &sim.Model{}
	if err := model.Set(sim.ModelSettings{Delay: c.ModelDelay}); err != nil {
		return errUsage{fmt.Errorf("--model-delay: 应是时长（8s）或 fast、typical、reasoning: %w", err)}
	}
	p := sim.New(sim.Settings{})
	defer p.Close()
	a, err := p.NewAccount(config)
	if err != nil {
		return err
	}
	a.FollowerWith(c.OpenID).SetFollowing(true)
	l, err := new(net.ListenConfig).Listen(e.ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("不能监听 %s，换一个地址试试：--listen 127.0.0.1:9091（cannot listen; try another address）: %w", c.Listen, err)
	}
	c.welcome(e.stdout, l.Addr(), a)
	return serveSim(e.ctx, l, sim.NewHandler(p, model), p.Close)
}

// serveSim serves until the context ends; close ends what never ends by itself.
func serveSim(ctx context.Context, l net.Listener, h http.Handler, end func()) error {
	requests, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	srv := &http.Server{
		Handler:           h,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       90 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	stop()
	end()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := srv.Shutdown(drain); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// welcome says what there is, and what to do next.
func (c *simServeCmd) welcome(w io.Writer, listening net.Addr, a *sim.Account) {
	config := a.Config()
	base := "http://" + listening.String()
	mode := config.Mode
	if mode == 0 && config.AESKey != "" {
		mode = oa.Secure
	}
	chats := base + "/sim/accounts/" + config.AppID + "/followers/" + c.OpenID
	var b strings.Builder
	fmt.Fprintf(&b, "雯子模拟微信 wenzi sim %s 已启动（is running）\n\n", version())
	fmt.Fprintf(&b, "  页面 page      %s/\n", base)
	fmt.Fprintf(&b, "  接口 API       %s   代替 https://api.weixin.qq.com（in its place）\n", base)
	fmt.Fprintf(&b, "  模型 model     %s/v1   任何 API key 都行（any key will do）\n", base)
	fmt.Fprintf(&b, "  控制 control   %s/sim/\n\n", base)
	fmt.Fprintf(&b, "  账号 account   「%s」 AppID %s   AppSecret %s\n", config.Name, config.AppID, config.AppSecret)
	fmt.Fprintf(&b, "  服务器 server  %s   %s\n", shownURL(config.URL), modeName(mode))
	fmt.Fprintf(&b, "  粉丝 follower  %s\n\n", c.OpenID)
	fmt.Fprintf(&b, "试一试（try it）：\n\n")
	fmt.Fprintf(&b, "  curl -d '{\"type\":\"say\",\"text\":\"你好\"}' '%s/acts?wait=20s'\n", chats)
	fmt.Fprintf(&b, "  curl -N %s/sim/events\n\n", base)
	if addr, ok := listening.(*net.TCPAddr); ok && !addr.IP.IsLoopback() {
		b.WriteString("注意：能访问这个地址的人都能操作它（whoever reaches this address can do everything）\n\n")
	}
	fmt.Fprint(w, b.String())
}

// shownURL is the address of a server without what may be its Token.
func shownURL(address string) string {
	u, err := url.Parse(address)
	if err != nil || strings.HasSuffix(u.Path, "/hello") {
		return address
	}
	return u.Scheme + "://" + u.Host + "/…"
}
