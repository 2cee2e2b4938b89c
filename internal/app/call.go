package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/wenzihq/wenzi/catalogue"
	"github.com/wenzihq/wenzi/oa/api"
)

type callCmd struct {
	Endpoint string   `arg:"" optional:"" help:"接口编号，如 menu_get，或「POST /路径」— id of an endpoint, or method and path."`
	Values   []string `arg:"" optional:"" name:"name=value" help:"字段的值，按目录放进地址、JSON 或表单 — values of fields."`

	List   bool   `help:"列出接口；后面的字用来筛选 — list the endpoints that contain the words."`
	Body   string `help:"JSON 请求体的文件，- 为标准输入 — file with the JSON body, - for standard input."`
	File   string `help:"要上传的文件 — file to upload." type:"existingfile"`
	Output string `short:"o" help:"结果写进文件 — write the result to a file."`
	All    bool   `help:"翻完所有页，每行一个 JSON — all pages, an item a line."`

	Account   string `help:"登记账号的 path；只有一个账号时可省 — path of a registered account."`
	AppID     string `help:"不用登记的账号，直接给 AppID — no registered account, but this one."`
	AppSecret string `env:"WENZI_APP_SECRET" help:"AppID 的密钥，最好放在环境变量里 — better in the environment."`
	BaseURL   string `env:"WENZI_API_URL" help:"接口地址，默认 https://api.weixin.qq.com — address of the API."`
	storage
}

// Run makes one call of the platform's API.
func (c *callCmd) Run(e *env) error {
	if c.List {
		words := c.Values
		if c.Endpoint != "" {
			words = append([]string{c.Endpoint}, words...)
		}
		return listEndpoints(e.stdout, words)
	}
	if c.Endpoint == "" {
		return errUsage{errors.New("要调用哪个接口？wenzi call --list 列出全部（which endpoint? wenzi call --list lists them）")}
	}
	r, ep, err := c.request()
	if err != nil {
		return errUsage{err}
	}
	if c.File != "" {
		f, err := os.Open(c.File)
		if err != nil {
			return errUsage{err}
		}
		defer func() { _ = f.Close() }() // was only read
		r.File = api.Upload{Name: filepath.Base(c.File), Body: f}
	}
	if ep != nil && ep.Status != "" {
		fmt.Fprintf(e.stderr, "提示（hint）: %s %s\n", ep.ID, ep.Status)
	}
	client, done, err := c.client(e.ctx)
	if err != nil {
		return err
	}
	defer func() {
		if err := done(); err != nil {
			fmt.Fprintln(e.stderr, "wenzi:", err)
		}
	}()
	if c.All {
		return c.pages(e, client, r, ep)
	}
	resp, err := client.Do(e.ctx, r)
	if err != nil {
		return explain(e.stderr, err)
	}
	return c.print(e.stdout, resp)
}

// request makes the call's parts of the arguments.
func (c *callCmd) request() (api.Request, *catalogue.Endpoint, error) {
	r := api.Request{Endpoint: c.Endpoint}
	ep, known := catalogue.Load().Endpoint(c.Endpoint)
	if !known {
		method, path, ok := strings.Cut(c.Endpoint, " ")
		if !ok {
			return r, nil, unknownEndpoint(c.Endpoint)
		}
		for _, e := range catalogue.Load().ByPath(path) {
			if e.Method == method {
				ep = e
				break
			}
		}
	}
	body := map[string]json.RawMessage{}
	if c.Body != "" {
		data, err := readFile(c.Body)
		if err != nil {
			return r, ep, err
		}
		if !json.Valid(data) {
			return r, ep, fmt.Errorf("%s 不是 JSON（is not JSON）", c.Body)
		}
		r.Body = bytes.TrimSpace(data)
	}
	for _, pair := range c.Values {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return r, ep, fmt.Errorf("%q 应写成 名字=值（must be name=value）", pair)
		}
		if err := place(&r, body, ep, name, value); err != nil {
			return r, ep, err
		}
	}
	if len(body) > 0 {
		if r.Body != nil {
			return r, ep, errors.New("--body 已经给出了请求体，不能再有它的字段（the body is given by --body already)")
		}
		data, err := json.Marshal(body)
		if err != nil {
			return r, ep, err
		}
		r.Body = data
	}
	return r, ep, missing(&r, body, ep, c.Body != "", c.File != "")
}

func readFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(name)
}

// print writes the platform's answer: as it came, indented where a person reads.
func (c *callCmd) print(stdout io.Writer, resp api.Response) (err error) {
	out := stdout
	if c.Output != "" {
		f, err := os.Create(c.Output)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		out = f
	}
	if resp.File != nil {
		defer func() { _ = resp.File.Close() }() // was only read
		if c.Output == "" && isTerminal(stdout) {
			return errUsage{fmt.Errorf("结果是文件（%s），请用 --output 写进文件（the answer is a file; write it with --output）", resp.File.ContentType)}
		}
		_, err := io.Copy(out, resp.File)
		return err
	}
	text := []byte(resp.JSON)
	if c.Output == "" && isTerminal(stdout) {
		var b bytes.Buffer
		if json.Indent(&b, text, "", "  ") == nil {
			text = b.Bytes()
		}
	}
	_, err = out.Write(append(bytes.TrimSpace(text), '\n'))
	return err
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// explain says what the platform refused, and what to do.
func explain(stderr io.Writer, err error) error {
	refused, ok := errors.AsType[*api.Error](err)
	if !ok || refused.Code == 0 {
		return err
	}
	fmt.Fprintf(stderr, "wenzi: %d %s\n  %s\n", refused.Code, refused.Meaning(), refused.Msg)
	if refused.IP != "" {
		fmt.Fprintf(stderr, "  本机出口 IP（our address）: %s\n", refused.IP)
	}
	if advice := refused.Advice(); advice != "" {
		fmt.Fprintf(stderr, "  怎么办（what to do）: %s\n", advice)
	}
	if refused.RID != "" {
		fmt.Fprintf(stderr, "  rid: %s\n", refused.RID)
	}
	return errSilent{}
}

// paging is how an endpoint's pages follow each other.
type paging struct {
	cursor string // request field that takes the answer's next_openid
	offset bool   // offset and count
}

func pagingOf(ep *catalogue.Endpoint) (p paging, ok bool) {
	if ep == nil {
		return p, false
	}
	has := func(fields []catalogue.Field, name string) bool {
		for _, f := range fields {
			if f.Name == name {
				return true
			}
		}
		return false
	}
	if has(ep.Response.Fields, "next_openid") {
		for _, name := range []string{"next_openid", "begin_openid"} {
			if has(ep.Request.Query, name) || has(ep.Request.Body, name) {
				return paging{cursor: name}, true
			}
		}
	}
	if has(ep.Request.Body, "offset") && has(ep.Request.Body, "count") && has(ep.Response.Fields, "item") {
		return paging{offset: true}, true
	}
	return p, false
}

// pages goes through all pages and prints the items, one a line.
func (c *callCmd) pages(e *env, client *api.Client, r api.Request, ep *catalogue.Endpoint) error {
	p, ok := pagingOf(ep)
	if !ok {
		return errUsage{fmt.Errorf("%s 没有可以自动翻的页（has no pages that --all knows how to turn）", c.Endpoint)}
	}
	const pageSize = 20 // the most that materials, drafts and articles allow
	offset, items := 0, 0
	for {
		if p.offset {
			if err := setBody(&r, map[string]any{"offset": offset, "count": pageSize}); err != nil {
				return err
			}
		}
		resp, err := client.Do(e.ctx, r)
		if err != nil {
			return explain(e.stderr, err)
		}
		var page struct {
			Item []json.RawMessage `json:"item"`
			Data struct {
				OpenID []json.RawMessage `json:"openid"`
			} `json:"data"`
			Next string `json:"next_openid"`
		}
		if err := api.Decode(resp.JSON, &page); err != nil {
			return err
		}
		got := append(page.Item, page.Data.OpenID...)
		for _, item := range got {
			var line bytes.Buffer
			if err := json.Compact(&line, item); err != nil {
				return err
			}
			if _, err := fmt.Fprintln(e.stdout, line.String()); err != nil {
				return err
			}
		}
		items += len(got)
		offset += len(got)
		fmt.Fprintf(e.stderr, "%d…\n", items)
		if len(got) == 0 || p.cursor != "" && page.Next == "" || p.offset && len(got) < pageSize {
			return nil
		}
		if p.cursor == "" {
			continue
		}
		if r.Query.Has(p.cursor) || len(ep.Request.Query) > 0 {
			if r.Query == nil {
				r.Query = map[string][]string{}
			}
			r.Query.Set(p.cursor, page.Next)
		} else if err := setBody(&r, map[string]any{p.cursor: page.Next}); err != nil {
			return err
		}
	}
}

// setBody replaces members of the JSON body.
func setBody(r *api.Request, members map[string]any) error {
	body := map[string]json.RawMessage{}
	if len(r.Body) > 0 {
		if err := json.Unmarshal(r.Body, &body); err != nil {
			return err
		}
	}
	for name, v := range members {
		data, err := json.Marshal(v)
		if err != nil {
			return err
		}
		body[name] = data
	}
	data, err := json.Marshal(body)
	r.Body = data
	return err
}

type openapiCmd struct {
	Output string `short:"o" help:"写进文件 — write to a file."`
}

// Run prints the OpenAPI document of the platform's API.
func (c *openapiCmd) Run(e *env) error {
	doc, err := catalogue.Load().OpenAPI()
	if err != nil {
		return err
	}
	if c.Output != "" {
		return os.WriteFile(c.Output, doc, 0o644)
	}
	_, err = e.stdout.Write(append(bytes.TrimSpace(doc), '\n'))
	return err
}

// client makes the client of the account that the flags name.
func (c *callCmd) client(ctx context.Context) (client *api.Client, done func() error, err error) {
	options := []api.Option{}
	if c.BaseURL != "" {
		options = append(options, api.WithBaseURL(c.BaseURL))
	}
	if c.AppID != "" {
		if c.Account != "" {
			return nil, nil, errUsage{errors.New("--account 和 --app-id 只能给一个（give either --account or --app-id）")}
		}
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, nil, err
		}
		// A token is good for two hours; kept in a file it is not asked for again.
		tokens, err := api.NewFileStore(filepath.Join(cache, "wenzi"))
		if err != nil {
			return nil, nil, err
		}
		client, err := api.NewClient(api.Account{AppID: c.AppID, Secret: api.Secret(c.AppSecret)}, append(options, api.WithStore(tokens))...)
		return client, func() error { return nil }, err
	}
	account, tokens, done, err := c.registered(ctx)
	if err != nil {
		return nil, nil, err
	}
	if account.AppID == "" || account.AppSecret == "" {
		return nil, nil, errors.Join(errUsage{fmt.Errorf("账号「%s」没有 app_id 和 app_secret，请写进 bot.yaml 再 wenzi apply（the account needs app_id and app_secret in its bot.yaml）", account.Name)}, done())
	}
	client, err = api.NewClient(api.Account{AppID: account.AppID, Secret: api.Secret(account.AppSecret.Reveal())}, append(options, api.WithStore(tokens))...)
	if err != nil {
		return nil, nil, errors.Join(err, done())
	}
	return client, done, nil
}
