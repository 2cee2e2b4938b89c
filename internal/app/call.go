package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/wenzihq/wenzi/catalogue"
	"github.com/wenzihq/wenzi/oa/api"
)

// callCmd makes one call of the platform's API. Its exit status is 0 when the
// platform did it, 1 when the platform refused or was not reached, 2 when the
// call was put wrongly and nothing was sent.
type callCmd struct {
	Endpoint string   `arg:"" optional:"" help:"接口的 id（如 menu_create），或 \"POST /cgi-bin/menu/create\" — id of an endpoint, or its method and path."`
	Params   []string `arg:"" optional:"" name:"name=value" help:"参数，放进查询、JSON 或表单由接口决定；对象和列表写成 JSON — parameters; objects and lists as JSON."`

	List bool `help:"列出接口，可跟要找的词 — list the endpoints, or those with the words given."`

	Body   string `group:"收发 — what is sent and got" placeholder:"FILE" help:"JSON 正文，- 表示标准输入 — the JSON body, - for standard input."`
	File   string `group:"收发 — what is sent and got" placeholder:"PATH" help:"要上传的文件 — the file to upload."`
	Output string `group:"收发 — what is sent and got" short:"o" placeholder:"FILE" help:"把应答写进文件 — write the answer to a file."`
	All    bool   `group:"收发 — what is sent and got" help:"取完所有页，每条一行 JSON — all pages of a list, one line of JSON an item."`

	caller
	BaseURL string `name:"base-url" env:"WENZI_API_URL" group:"谁来调用 — as whom" placeholder:"URL" help:"代替 https://api.weixin.qq.com：代理或模拟平台；取 token 也走它 — a proxy or a simulated platform, for tokens too."`
	Verbose bool   `short:"v" help:"在标准错误里写出每次请求 — tell every request on standard error."`
}

// Help is shown by wenzi call --help.
func (*callCmd) Help() string {
	return `例子（examples）:

    wenzi call --list 菜单
    wenzi call --help menu_create
    wenzi call user_info_get openid=o…
    wenzi call menu_create --body menu.json
    wenzi call media_upload type=image --file a.png
    wenzi call user_list --all | wc -l`
}

// BeforeReset shows the help of an endpoint, where one is named beside --help,
// in place of the command's.
func (*callCmd) BeforeReset(k *kong.Context) error {
	help, name := false, ""
	for _, p := range k.Path {
		switch {
		case p.Flag != nil && p.Flag.Name == "help":
			help = true
		case p.Positional != nil && p.Positional.Name == "endpoint":
			name = k.Value(p).String()
		}
	}
	if !help || name == "" {
		return nil
	}
	e, err := findEndpoint(name)
	if err == nil {
		_, err = io.WriteString(k.Stdout, endpointHelp(e))
	}
	if err != nil {
		fmt.Fprintln(k.Stderr, "wenzi:", err)
		k.Exit(2)
	} else {
		k.Exit(0)
	}
	return errSilent{} // or the command's help would follow
}

// Run makes the call and prints the answer.
func (c *callCmd) Run(e *env) error {
	if c.List {
		return listEndpoints(e.stdout, strings.Fields(strings.Join(append([]string{c.Endpoint}, c.Params...), " ")))
	}
	call, err := c.prepare()
	if err != nil {
		return errUsage{err}
	}
	defer call.close()
	out := &callOutput{env: e, file: c.Output}
	if call.endpoint.Response.Kind == catalogue.KindBinary {
		if err := out.takesFiles(); err != nil {
			return err
		}
	}
	if call.endpoint.Priority == catalogue.Retired {
		fmt.Fprintf(e.stderr, "注意（warning）: %s 已停用（is retired）%s\n", call.endpoint.ID, tame(" "+call.endpoint.Status))
	}
	var options []api.Option
	if c.Verbose {
		options = append(options, api.WithTrace(traceTo(e.stderr)))
	}
	return c.client(e.ctx, c.BaseURL, options, func(client *api.Client, account api.Account) error {
		call.params.identify(account)
		request, err := call.request()
		switch {
		case err != nil:
			return errUsage{err}
		case call.pages != nil:
			return allPages(e, client, call, out)
		case call.endpoint.Response.Kind == catalogue.KindRedirect:
			page, err := client.PageURL(request.Endpoint, request.Query)
			if err != nil {
				return err
			}
			return out.write(func(w io.Writer) error { _, err := fmt.Fprintln(w, page); return err })
		}
		response, err := client.Do(e.ctx, request)
		if err != nil {
			if tellsMore(response.JSON) {
				err = errors.Join(err, out.json(response.JSON))
			}
			return described(err)
		}
		if response.File != nil {
			defer func() { _ = response.File.Close() }() // was only read
			return out.download(response.File)
		}
		return out.json(response.JSON)
	})
}

// preparedCall is a call of which only the account is missing.
type preparedCall struct {
	endpoint *catalogue.Endpoint
	params   params
	body     json.RawMessage // of --body
	upload   *os.File        // of --file
	pages    *pager          // of --all
}

// prepare reads what the command line says, and the files it names.
func (c *callCmd) prepare() (*preparedCall, error) {
	if c.Endpoint == "" {
		return nil, errors.New("要调用哪个接口？wenzi call --list 列出全部，例如 wenzi call menu_get（which endpoint? --list lists them）")
	}
	ep, err := findEndpoint(c.Endpoint)
	if err != nil {
		return nil, err
	}
	if ep.Auth == catalogue.AuthComponent {
		return nil, fmt.Errorf("%s 由第三方平台调用，要用 component_access_token；请用 oa/api 的 Platform（is for third-party platforms; use Platform of oa/api）", ep.ID)
	}
	call := &preparedCall{endpoint: ep}
	if call.params, err = parseParams(ep, c.Params); err != nil {
		return nil, err
	}
	if c.Body != "" {
		if call.body, err = readBody(c.Body); err != nil {
			return nil, err
		}
	}
	if c.All {
		if call.pages, err = pagerOf(ep); err != nil {
			return nil, err
		}
		if call.body != nil {
			return nil, errors.New("--all: 不能与 --body 同用，请写成 名称=值（does not go with --body; write name=value）")
		}
		call.pages.defaults(call.params)
	}
	if c.File != "" {
		if call.upload, err = os.Open(c.File); err != nil {
			return nil, fmt.Errorf("--file: %w", err)
		}
	}
	if ep.Auth != catalogue.AuthNone { // or the account fills something in first
		if _, err := call.request(); err != nil {
			call.close()
			return nil, err
		}
	}
	return call, nil
}

func (c *preparedCall) close() {
	if c.upload != nil {
		_ = c.upload.Close() // was only read
	}
}

func readBody(name string) (json.RawMessage, error) {
	var data []byte
	var err error
	if name == "-" {
		data, err = io.ReadAll(os.Stdin)
	} else {
		data, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, fmt.Errorf("--body: %w", err)
	}
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, fmt.Errorf("--body: 不是 JSON（is no JSON）: %w", err)
	}
	return data, nil
}

// findEndpoint finds an endpoint by its id, or by method and path. A path that
// the catalogue does not know is called all the same.
func findEndpoint(name string) (*catalogue.Endpoint, error) {
	c := catalogue.Load()
	if e, ok := c.Endpoint(name); ok {
		return e, nil
	}
	method, path, ok := strings.Cut(name, " ")
	method = strings.ToUpper(method)
	if !ok || !strings.HasPrefix(path, "/") || method != "GET" && method != "POST" {
		var ids []string
		for _, e := range c.Endpoints() {
			ids = append(ids, e.ID)
		}
		return nil, fmt.Errorf("没有接口 %q%s；wenzi call --list 列出全部（no such endpoint; --list lists them）", tame(name), didYouMean(name, ids))
	}
	var ids []string
	var found *catalogue.Endpoint
	for _, e := range c.ByPath(path) {
		if e.Method == method {
			ids, found = append(ids, e.ID), e
		}
	}
	switch {
	case len(ids) > 1:
		return nil, fmt.Errorf("%s %s 有几个接口，请用 id 指明（serves several endpoints; give an id）: %s", method, path, strings.Join(ids, ", "))
	case found != nil:
		return found, nil
	case strings.ContainsAny(path, "?#"):
		return nil, errors.New("路径里不带查询，请写成 名称=值（a path has no query; write name=value）")
	}
	e := &catalogue.Endpoint{ID: method + " " + path, Method: method, Path: path, Auth: catalogue.AuthAccount}
	if method == "POST" {
		e.Request.ContentType = catalogue.ContentJSON
	}
	return e, nil
}

// inCatalogue reports whether the endpoint is one that findEndpoint found, not
// one that it made up.
func inCatalogue(e *catalogue.Endpoint) bool { return e.Area() != nil }

type openapiCmd struct {
	Output string `short:"o" placeholder:"FILE" help:"写进文件 — write to a file."`
}

// Run prints the catalogue as an OpenAPI document.
func (c *openapiCmd) Run(e *env) error {
	doc, err := catalogue.Load().OpenAPI()
	if err != nil {
		return err
	}
	out := &callOutput{env: e, file: c.Output}
	return out.write(func(w io.Writer) error { _, err := w.Write(doc); return err })
}
