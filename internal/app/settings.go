package app

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v4"

	"github.com/wenzihq/wenzi/internal/account"
	"github.com/wenzihq/wenzi/internal/bot"
	"github.com/wenzihq/wenzi/internal/robot"
)

// settings of a server. Each is a flag, a WENZI_… variable, and a key of the
// settings file, in this order.
type settings struct {
	ConfigFile    string        `name:"config" env:"WENZI_CONFIG" help:"设置文件（YAML，键与参数同名）— settings file, keys named like the flags."`
	Listen        string        `env:"WENZI_LISTEN" default:":8080" help:"监听地址 — address of the callback."`
	AdminListen   string        `env:"WENZI_ADMIN_LISTEN" help:"/healthz /readyz /metrics 另用的监听地址，默认同上 — a listener of their own for everything else."`
	Data          string        `env:"WENZI_DATA" default:"./data" help:"数据目录 — data directory."`
	Database      string        `env:"WENZI_DATABASE" help:"postgres://… ，默认用数据目录里的 SQLite — default: SQLite in the data directory."`
	Synchronous   string        `env:"WENZI_SYNCHRONOUS" default:"full" enum:"full,normal" help:"SQLite 写盘方式：full 断电不丢，normal 更快 — normal gives up power loss."`
	Bot           string        `env:"WENZI_BOT" help:"启动时应用的 bot.yaml — applied at start."`
	ModelURL      string        `name:"model-url" env:"WENZI_MODEL_URL" help:"大模型的接口地址，OpenAI 兼容，如 https://api.deepseek.com/v1；回答 bot.yaml 里没写 model 的公众号 — address of the model that answers accounts without one."`
	ModelKey      bot.Secret    `env:"WENZI_MODEL_KEY" help:"大模型的 API key，最好用环境变量 — its API key, better as a variable."`
	Model         string        `env:"WENZI_MODEL" help:"大模型的名字，如 deepseek-v4-flash — its name."`
	GuestModel    bool          `env:"WENZI_GUEST_MODEL" default:"false" help:"大模型也回答未登记的账号，花的是你的钱 — let it answer guests, at your cost."`
	OpenHosting   string        `env:"WENZI_OPEN_HOSTING" default:"auto" enum:"auto,on,off" help:"开放托管：地址最后一段即 Token，无需登记；auto 表示未登记账号时开放 — serve unregistered accounts."`
	Name          string        `env:"WENZI_NAME" help:"开放托管时显示的名字，默认「是雯子吖」 — name shown for guests."`
	Guests        int           `env:"WENZI_GUESTS" default:"1000" help:"最多托管多少个未登记账号 — most guests."`
	GuestMessages int           `env:"WENZI_GUEST_MESSAGES" default:"60" help:"每个未登记账号每分钟最多回答几条 — messages a minute for each guest."`
	GuestKeep     time.Duration `env:"WENZI_GUEST_KEEP" default:"168h" help:"未登记账号及其消息保留多久 — how long guests and their messages are kept."`
	Keep          time.Duration `env:"WENZI_KEEP" default:"2160h" help:"消息记录保留多久（2160h = 90 天）— how long turns are kept."`
	MaxAge        time.Duration `env:"WENZI_MAX_AGE" default:"5m" help:"明文模式只接受这么新的签名，0 不限 — how old a signature of plain mode may be, 0 is no limit."`
	TimeoutBudget budget        `env:"WENZI_TIMEOUT_BUDGET" default:"20" help:"每个账号 5 分钟内最多故意不答几次，换取微信重发；-1 不限 — deliberate time-outs in five minutes, -1 is no limit."`
	MailboxKeep   time.Duration `env:"WENZI_MAILBOX_KEEP" default:"48h" help:"没来得及送达的回答等粉丝来取多久 — how long answers wait to be fetched."`
	PublicURL     string        `name:"public-url" env:"WENZI_PUBLIC_URL" help:"粉丝打得开的地址，如 https://wx.example.com：长回答附「看全文」— where followers reach this server, for links to whole answers."`
	PageKeep      time.Duration `env:"WENZI_PAGE_KEEP" default:"168h" help:"「看全文」的网页保留多久 — how long the page of an answer is there."`
	APIURL        string        `name:"api-url" env:"WENZI_API_URL" default:"https://api.weixin.qq.com" help:"微信接口的地址：代理或模拟平台 — the platform's API, a relay or a simulated one."`
	LogLevel      slog.Level    `env:"WENZI_LOG_LEVEL" default:"info" help:"debug、info、warn 或 error。"`
	LogFormat     string        `env:"WENZI_LOG_FORMAT" default:"text" enum:"text,json" help:"text 或 json。"`
}

// budget is a number whose -1 the command line's parser does not take for a flag.
type budget int

// Decode implements [kong.MapperValue].
func (b *budget) Decode(c *kong.DecodeContext) error {
	word := c.Scan.Pop().String()
	n, err := strconv.Atoi(word)
	if err != nil {
		return fmt.Errorf("应为整数，现在是 %q（must be a whole number, is %q）", word, word)
	}
	*b = budget(n)
	return nil
}

// leastMaxAge is the least limit that loses no delivery of WeChat's.
const leastMaxAge = 30 * time.Second

// publicURL stands in links as it is.
var publicURL = regexp.MustCompile(`^https://[A-Za-z0-9.-]+(:[0-9]+)?/?$`)

// Validate is called by the command line's parser.
func (s *settings) Validate() error {
	var errs []error
	positive := func(name string, ok bool, example string) {
		if !ok {
			errs = append(errs, fmt.Errorf("--%s: 应大于 0，例如 %s（must be above 0, e.g. %s）", name, example, example))
		}
	}
	positive("guests", s.Guests > 0, "1000")
	positive("guest-messages", s.GuestMessages > 0, "60")
	positive("guest-keep", s.GuestKeep > 0, "168h")
	positive("keep", s.Keep > 0, "2160h")
	positive("mailbox-keep", s.MailboxKeep > 0, "48h")
	positive("page-keep", s.PageKeep > 0, "168h")
	if s.MaxAge != 0 && s.MaxAge < leastMaxAge {
		errs = append(errs, fmt.Errorf("--max-age: 微信的重发会带着 10 秒前的签名，两边的钟也会差一点：至少 %v，或者 0 不限（WeChat repeats with a signature 10 s old, and clocks differ: at least %v, or 0 for no limit）", leastMaxAge, leastMaxAge))
	}
	if s.TimeoutBudget < -1 {
		errs = append(errs, errors.New("--timeout-budget: 应为 -1（不限）、0（从不）或更大（must be -1 for no limit, 0 for never, or more）"))
	}
	if s.PublicURL != "" && !publicURL.MatchString(s.PublicURL) {
		errs = append(errs, errors.New("--public-url: 应为 https://域名，后面不带路径（must look like https://host, without a path）"))
	}
	if u, err := url.Parse(s.APIURL); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		errs = append(errs, errors.New("--api-url: 应形如 https://api.weixin.qq.com（must look like https://api.weixin.qq.com）"))
	}
	if s.Data == "" {
		errs = append(errs, errors.New("--data: 不能为空（must not be empty）"))
	}
	if s.Database != "" && !isPostgres(s.Database) {
		errs = append(errs, errors.New("--database: 应以 postgres:// 开头；不填则使用 SQLite（must start with postgres://; leave it out for SQLite）"))
	}
	if m, err := s.model(); err != nil {
		errs = append(errs, err)
	} else if s.GuestModel && m.IsZero() {
		errs = append(errs, errors.New("--guest-model: 还要写 WENZI_MODEL_URL、WENZI_MODEL_KEY 和 WENZI_MODEL（needs WENZI_MODEL_URL, WENZI_MODEL_KEY and WENZI_MODEL）"))
	}
	return errors.Join(errs...)
}

// model is that of accounts without one of their own.
func (s *settings) model() (bot.Model, error) {
	return bot.ModelFromSettings(s.ModelURL, s.ModelKey.Reveal(), s.Model)
}

func (s *settings) database() string {
	return cmp.Or(s.Database, filepath.Join(s.Data, sqliteFile))
}

// shownDatabase is database without the password.
func (s *settings) shownDatabase() string {
	return shownAddress(s.database())
}

func isPostgres(address string) bool {
	return strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://")
}

// shownAddress is the path of a SQLite file, or postgres://… without the password.
func shownAddress(address string) string {
	if !isPostgres(address) {
		return address
	}
	u, err := url.Parse(address)
	if err != nil {
		return "postgres://…"
	}
	if q := u.Query(); q.Has("password") {
		q.Set("password", "xxxxx")
		u.RawQuery = q.Encode()
	}
	return u.Redacted()
}

func (s *settings) name() string { return cmp.Or(s.Name, robot.DefaultName) }

func (s *settings) guests() account.GuestLimits {
	return account.GuestLimits{PerMinute: s.GuestMessages, Most: s.Guests, Keep: s.GuestKeep}
}

func (s *settings) logger(w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: s.LogLevel}
	if s.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

type configCmd struct {
	settings
}

// Run prints the settings as a settings file.
func (c *configCmd) Run(e *env) error {
	if c.Database != "" {
		c.Database = c.shownDatabase()
	}
	v, t := reflect.ValueOf(c.settings), reflect.TypeFor[settings]()
	for i := range t.NumField() {
		f := t.Field(i)
		if _, err := fmt.Fprintf(e.stdout, "%s: %s\n", flagName(f), yamlScalar(v.Field(i).Interface())); err != nil {
			return err
		}
	}
	return nil
}

func yamlScalar(v any) string {
	if s, ok := v.(fmt.Stringer); ok {
		v = s.String()
	}
	b, err := yaml.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%q", fmt.Sprint(v))
	}
	return strings.TrimSpace(string(b))
}

func flagName(f reflect.StructField) string {
	if n := f.Tag.Get("name"); n != "" {
		return n
	}
	var b strings.Builder
	for i, r := range f.Name {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b.WriteByte('-')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// fileResolver reads the settings file for flags that neither the command line
// nor the environment sets.
type fileResolver struct {
	file string
	keys map[string]*yaml.Node // values by key
}

// Validate implements kong.Resolver; mistakes are found where they are used.
func (r *fileResolver) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver.
func (r *fileResolver) Resolve(k *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if r.keys == nil {
		if err := r.load(k); err != nil {
			return nil, err
		}
	}
	node, ok := r.keys[flag.Name]
	if !ok || flag.Name == "config" {
		return nil, nil
	}
	for _, name := range flag.Envs {
		if os.Getenv(name) != "" {
			return nil, nil
		}
	}
	trial := reflect.New(flag.Target.Type()).Elem()
	if err := flag.Parse(kong.Scan().PushTyped(node.Value, kong.FlagValueToken), trial); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", r.file, node.Line, err)
	}
	if flag.Enum != "" && !flag.EnumMap()[node.Value] {
		return nil, fmt.Errorf("%s:%d: 应为 %s 之一，现在是 %q（must be one of %s, is %q）", r.file, node.Line, flag.Enum, node.Value, flag.Enum, node.Value)
	}
	return node.Value, nil
}

func (r *fileResolver) load(k *kong.Context) error {
	r.keys = map[string]*yaml.Node{}
	known := map[string]bool{}
	for _, flag := range k.Flags() {
		known[flag.Name] = true
		if flag.Name == "config" {
			r.file, _ = k.FlagValue(flag).(string)
		}
	}
	if r.file == "" {
		return nil
	}
	data, err := os.ReadFile(r.file)
	if err != nil {
		return fmt.Errorf("设置文件（settings file）: %w", err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return fmt.Errorf("%s: %w", r.file, err)
	}
	if len(doc.Content) == 0 {
		return nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return fmt.Errorf("%s:%d: 应为“键: 值”的列表（must be a list of key: value）", r.file, root.Line)
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		switch {
		case !known[key.Value]:
			return fmt.Errorf("%s:%d: %s: 没有这个设置，wenzi serve --help 列出全部（no such setting; wenzi serve --help lists them）", r.file, key.Line, key.Value)
		case r.keys[key.Value] != nil:
			return fmt.Errorf("%s:%d: %s: 重复（given twice）", r.file, key.Line, key.Value)
		case value.Kind != yaml.ScalarNode:
			return fmt.Errorf("%s:%d: %s: 应为单个值（must be one value）", r.file, value.Line, key.Value)
		}
		r.keys[key.Value] = value
	}
	return nil
}
