package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/wenzihq/wenzi/oa/sim"
)

// simLoadCmd has many simulated followers write to a server. Its exit status is
// 1 when one of them saw the fault notice, an answer twice, or nothing at all.
type simLoadCmd struct {
	target
	AppSecret string `group:"对谁说 — to whom" default:"0123456789abcdef0123456789abcdef" help:"服务器用来换 access_token 的 AppSecret — with which the server gets its access tokens."`
	Kind      string `group:"对谁说 — to whom" xor:"kind" placeholder:"KIND" help:"账号类型：subscription（默认）、certified_subscription、service、certified_service、test — kind of account."`
	Certified bool   `group:"对谁说 — to whom" xor:"kind" help:"即 --kind certified_service，可以推客服消息 — may push."`
	Anywhere  bool   `group:"对谁说 — to whom" help:"允许压测本机以外的地址，只用于自己的服务器 — allow other hosts than this one."`

	Followers int           `group:"谁说多少 — who says how much" default:"1000" help:"粉丝数 — followers."`
	Messages  int           `group:"谁说多少 — who says how much" default:"3" help:"每人问几个问题 — questions of each."`
	Pattern   string        `group:"谁说多少 — who says how much" default:"rate" enum:"rate,talkative,burst" help:"rate 按速率到来；talkative 所有人同时开始，答完一句再问一句；burst 群发之后几秒内涌来 — when they write."`
	Rate      float64       `group:"谁说多少 — who says how much" default:"200" help:"rate：每秒几个问题 — questions a second."`
	Share     float64       `group:"谁说多少 — who says how much" default:"1" help:"burst：多大比例的粉丝来 — the share of followers who write."`
	Within    time.Duration `group:"谁说多少 — who says how much" default:"5s" help:"burst：几秒之内 — within how long."`
	Duration  time.Duration `group:"谁说多少 — who says how much" help:"多久之后不再问新问题 — after how long nobody asks anything new."`
	Bytes     int           `group:"谁说多少 — who says how much" default:"60" help:"问题最长多少字节 — most bytes of a question."`
	Nasty     bool          `group:"谁说多少 — who says how much" help:"问题里带 ]]>、控制字符、表情等 — questions have what servers stumble over."`
	Subscribe float64       `group:"谁说多少 — who says how much" help:"先关注再说话的比例 — the share who follow first."`
	Clicks    float64       `group:"谁说多少 — who says how much" help:"每个问题旁边点一次菜单的概率 — the chance of a menu click beside a question."`
	Taps      int           `group:"谁说多少 — who says how much" default:"3" help:"没答完时最多点几次「继续」— most taps for one question."`
	Others    float64       `group:"谁说多少 — who says how much" help:"点之前先问别的问题的概率 — the chance of another question before a tap."`
	Think     time.Duration `group:"谁说多少 — who says how much" default:"2s" help:"点、再问之前想多久，上下浮动一半 — time to think."`
	Patience  time.Duration `group:"谁说多少 — who says how much" default:"1m" help:"等回答等多久 — how long an answer is waited for."`
	Seed      uint64        `group:"谁说多少 — who says how much" help:"相同的种子问相同的问题 — the same seed asks the same questions."`

	APIListen    string `name:"api-listen" group:"服务器的另一头 — the other side of the server" placeholder:"127.0.0.1:9090" help:"模拟平台接口的监听地址，服务器向它推消息 — where the platform's API listens."`
	ModelListen  string `group:"服务器的另一头 — the other side of the server" placeholder:"127.0.0.1:9091" help:"模拟模型的监听地址，服务器向 http://地址/v1 提问 — where the model listens."`
	ModelName    string `group:"服务器的另一头 — the other side of the server" placeholder:"typical" help:"模型怎样回答：fast、typical、reasoning、delay=8s、bytes=6000… — how the model answers."`
	MarkFailures int    `group:"服务器的另一头 — the other side of the server" placeholder:"30" help:"五分钟里失败几次微信就暂停推送一分钟（MarkFail），-1 从不 — after how many failures in five minutes WeChat pauses; -1 is never."`
	PID          int    `name:"pid" group:"服务器的另一头 — the other side of the server" help:"服务器的进程号，用来量它的 CPU 和内存 — the server's process, to be measured."`
	Reuse        int    `group:"服务器的另一头 — the other side of the server" placeholder:"N" help:"最多留 N 个连接接着用，默认每次投递新建 — keep so many connections for the next deliveries."`

	JSON  string   `name:"json" group:"结果 — the result" placeholder:"FILE" help:"把结果写成 JSON — write the result as JSON."`
	Allow []string `group:"结果 — the result" enum:"notices,duplicates,lost" help:"出现这些也算成功：notices、duplicates、lost — what does not fail the command."`
}

// Run makes the load and prints what came of it.
func (c *simLoadCmd) Run(e *env) error {
	account, err := c.simulated()
	if err != nil {
		return errUsage{err}
	}
	config, err := c.load()
	if err != nil {
		return errUsage{err}
	}
	p := sim.New(sim.Settings{MarkFailures: c.MarkFailures})
	defer p.Close()
	a, err := p.NewAccount(account)
	if err != nil {
		return err
	}
	if c.APIListen != "" {
		stop, err := listen(e.ctx, "--api-listen", c.APIListen, p)
		if err != nil {
			return err
		}
		defer stop()
	}
	if config.Model != nil {
		stop, err := listen(e.ctx, "--model-listen", c.ModelListen, config.Model)
		if err != nil {
			return err
		}
		defer stop()
	}
	began := time.Now()
	report, err := sim.Load(e.ctx, a, config, func(r sim.LoadReport) {
		fmt.Fprintf(e.stderr, "%4.0f s  问 asked %d  答完 whole %d  在等 waiting %d  故障 notices %d  重复 duplicates %d\n",
			time.Since(began).Seconds(), r.Messages, r.Whole, r.Waiting, r.Notices, r.Duplicates)
	})
	if err != nil && report.Messages > 0 {
		err = errors.Join(c.print(e, report), fmt.Errorf("压测提前结束（the load ended early）: %w", err))
	} else if err == nil {
		err = c.print(e, report)
	}
	return err
}

// simulated is the account as WeChat has it.
func (c *simLoadCmd) simulated() (sim.AccountConfig, error) {
	account, err := c.account()
	if err != nil {
		return account, err
	}
	if !c.Anywhere && !isLoopback(c.URL) {
		return account, errors.New("--url: 只压测本机（127.0.0.1、[::1] 或 localhost）；确实是自己的服务器，再加 --anywhere（only this machine is put under load; add --anywhere if the server is yours）")
	}
	kind := cmp.Or(c.Kind, string(sim.Subscription))
	if c.Certified {
		kind = string(sim.CertifiedService)
	}
	if account.Kind, err = sim.ParseKind(kind); err != nil {
		return account, fmt.Errorf("--kind: 没有这种账号: %w", err)
	}
	account.AppSecret = c.AppSecret
	transport := sim.NewTransport()
	if c.Reuse > 0 {
		transport.MaxIdleConnsPerHost = c.Reuse
	}
	account.Transport = transport
	return account, nil
}

// isLoopback reports whether an address is surely this machine's.
func isLoopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

func (c *simLoadCmd) load() (sim.LoadConfig, error) {
	config := sim.LoadConfig{
		Followers: c.Followers, Messages: c.Messages, Pattern: sim.LoadPattern(c.Pattern), Rate: c.Rate, Share: c.Share, Within: c.Within,
		Bytes: c.Bytes, Nasty: c.Nasty, Subscribe: c.Subscribe, Clicks: c.Clicks, Taps: c.Taps, Others: c.Others,
		Think: c.Think, Patience: c.Patience, Duration: c.Duration, Seed: c.Seed, PID: c.PID,
	}
	if err := config.Validate(); err != nil {
		return config, fmt.Errorf("参数不对（a flag is wrong）: %w", err)
	}
	if c.ModelListen == "" {
		if c.ModelName != "" {
			return config, errors.New("--model-name: 要和 --model-listen 一起用（goes with --model-listen）")
		}
		return config, nil
	}
	config.Model = new(sim.Model)
	settings, err := sim.ModelSettings{}.Named(c.ModelName)
	if err == nil {
		err = config.Model.Set(settings)
	}
	if err != nil {
		return config, fmt.Errorf("--model-name: 例如 typical、delay=8s、bytes=6000: %w", err)
	}
	return config, nil
}

func (c *simLoadCmd) print(e *env, r sim.LoadReport) error {
	if _, err := fmt.Fprint(e.stdout, r); err != nil {
		return err
	}
	if c.JSON != "" {
		data, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(c.JSON, append(data, '\n'), 0o644); err != nil {
			return fmt.Errorf("--json: %w", err)
		}
	}
	for what, n := range map[string]int{"notices": r.Notices, "duplicates": r.Duplicates, "lost": r.Lost} {
		if n > 0 && !slices.Contains(c.Allow, what) {
			return errSilent{}
		}
	}
	return nil
}

// listen serves in the background until stop is called.
func listen(ctx context.Context, flag, address string, h http.Handler) (stop func(), err error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: 不能监听 %s，换一个地址试试（cannot listen; try another address）: %w", flag, address, err)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(l) // until Close
	}()
	return func() {
		_ = srv.Close() // what is under way is of no use any more
		<-served
	}, nil
}
