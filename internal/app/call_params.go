package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/wenzihq/wenzi/catalogue"
	"github.com/wenzihq/wenzi/internal/bot"
	"github.com/wenzihq/wenzi/oa/api"
)

// params are the name=value pairs of a call, by name.
type params struct {
	endpoint *catalogue.Endpoint
	given    map[string]string
}

// parseParams takes the pairs that the endpoint knows, with values of the
// right type.
func parseParams(e *catalogue.Endpoint, pairs []string) (params, error) {
	p := params{endpoint: e, given: map[string]string{}}
	if !inCatalogue(e) {
		inventFields(e, pairs)
	}
	names := paramNames(e)
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return p, fmt.Errorf("%q: 应是 名称=值（must be name=value）", tame(pair))
		}
		if _, twice := p.given[name]; twice {
			return p, fmt.Errorf("%s: 给了两次（given twice）", tame(name))
		}
		if !slices.Contains(names, name) {
			known := "没有参数（it has none）"
			if len(names) > 0 {
				known = strings.Join(names, ", ")
			}
			return p, fmt.Errorf("%s: %s 没有这个参数%s（no such parameter）；可用的（known）: %s", tame(name), e.ID, didYouMean(name, names), known)
		}
		for _, f := range slices.Concat(e.Request.Query, e.Request.Body, e.Request.Multipart) {
			if f.Name != name {
				continue
			}
			if _, err := encodeParam(f, value); err != nil {
				return p, err
			}
		}
		p.given[name] = value
	}
	return p, nil
}

// anyType is the type of a field that the catalogue knows nothing of: JSON
// where the value is some, else a string.
const anyType = "any"

// inventFields gives an endpoint that findEndpoint made up the fields of the
// pairs: in the body of a POST, in the query of a GET.
func inventFields(e *catalogue.Endpoint, pairs []string) {
	var fields []catalogue.Field
	for _, pair := range pairs {
		name, _, _ := strings.Cut(pair, "=")
		fields = append(fields, catalogue.Field{Name: name, Type: anyType})
	}
	if e.Method == "POST" {
		e.Request.Body = fields
	} else {
		e.Request.Query = fields
	}
}

// paramNames are the names that a pair can have.
func paramNames(e *catalogue.Endpoint) []string {
	var names []string
	for _, f := range slices.Concat(e.Request.Query, e.Request.Body, e.Request.Multipart) {
		if f.Type != "file" && !slices.Contains(names, f.Name) {
			names = append(names, f.Name)
		}
	}
	return names
}

// identify fills in who is calling where that is what the endpoint asks for
// instead of a token, so that a secret need not be written on a command line.
func (p params) identify(account api.Account) {
	if p.endpoint.Auth != catalogue.AuthNone || p.endpoint.Area() == nil || p.endpoint.Area().Name == "component" {
		return
	}
	for _, name := range paramNames(p.endpoint) {
		if _, given := p.given[name]; given {
			continue
		}
		switch name {
		case "appid":
			p.given[name] = account.AppID
		case "secret", "appsecret":
			if account.Secret != "" {
				p.given[name] = string(account.Secret)
			}
		}
	}
}

// request lays the parts of the call where the endpoint wants them.
func (c *preparedCall) request() (api.Request, error) {
	e, given := c.endpoint, c.params.given
	r := api.Request{Endpoint: e.ID, Query: url.Values{}, Body: c.body}
	if err := c.consistent(); err != nil {
		return r, err
	}
	if c.upload != nil {
		r.File = api.Upload{Name: filepath.Base(c.upload.Name()), Body: c.upload}
	}
	var missing []catalogue.Field
	each := func(fields []catalogue.Field, put func(f catalogue.Field, value string, encoded json.RawMessage)) error {
		for _, f := range fields {
			value, ok := given[f.Name]
			if !ok {
				if f.Required && f.Type != "file" {
					missing = append(missing, f)
				}
				continue
			}
			encoded, err := encodeParam(f, value)
			if err != nil {
				return err
			}
			put(f, value, encoded)
		}
		return nil
	}
	inQuery := each(e.Request.Query, func(f catalogue.Field, value string, _ json.RawMessage) { r.Query.Set(f.Name, value) })
	inForm := each(e.Request.Multipart, func(f catalogue.Field, value string, _ json.RawMessage) {
		if r.Form == nil {
			r.Form = map[string]string{}
		}
		r.Form[f.Name] = value
	})
	var inBody error
	if c.body == nil {
		var body bytes.Buffer
		inBody = each(e.Request.Body, func(f catalogue.Field, _ string, encoded json.RawMessage) {
			separator := ","
			if body.Len() == 0 {
				separator = "{"
			}
			fmt.Fprintf(&body, "%s%q:%s", separator, f.Name, encoded)
		})
		if body.Len() > 0 {
			body.WriteByte('}')
			r.Body = body.Bytes()
		}
	}
	if err := errors.Join(inQuery, inForm, inBody); err != nil {
		return r, err
	}
	return r, missingParams(e, missing)
}

// consistent refuses what the endpoint has no place for.
func (c *preparedCall) consistent() error {
	e := c.endpoint
	var file *catalogue.Field
	if i := slices.IndexFunc(e.Request.Multipart, func(f catalogue.Field) bool { return f.Type == "file" }); i >= 0 {
		file = &e.Request.Multipart[i]
	}
	inBody := func(name string) bool {
		return slices.ContainsFunc(e.Request.Body, func(f catalogue.Field) bool { return f.Name == name }) &&
			!slices.ContainsFunc(e.Request.Query, func(f catalogue.Field) bool { return f.Name == name })
	}
	switch {
	case c.body != nil && (e.Method == "GET" || len(e.Request.Multipart) > 0 || e.Request.ContentType == catalogue.ContentNone):
		return fmt.Errorf("--body: %s 没有 JSON 正文（takes no JSON body）", e.ID)
	case c.upload != nil && file == nil:
		return fmt.Errorf("--file: %s 不上传文件（takes no file）", e.ID)
	case c.upload == nil && file != nil && file.Required:
		return fmt.Errorf("%s 要上传文件，用 --file 给出（uploads a file; give it by --file）", e.ID)
	}
	if c.body == nil {
		return nil
	}
	for name := range c.params.given {
		if inBody(name) {
			return fmt.Errorf("%s: 正文已由 --body 给出，不要再写这个参数（the body is --body already）", name)
		}
	}
	return nil
}

func missingParams(e *catalogue.Endpoint, missing []catalogue.Field) error {
	if len(missing) == 0 {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s 还缺参数（parameters are missing）:", e.ID)
	secret := false
	for _, f := range missing {
		fmt.Fprintf(&b, "\n  %s=…  %s  %s", f.Name, f.Type, f.Note)
		secret = secret || f.Name == "secret" || f.Name == "appsecret"
	}
	if secret {
		b.WriteString("\n运行中的服务不交出 AppSecret：改用 --app-id 和环境变量 WENZI_APP_SECRET（a running server does not give the AppSecret away; use --app-id and WENZI_APP_SECRET）")
	}
	fmt.Fprintf(&b, "\n详见（see）wenzi call --help %s", e.ID)
	return errors.New(b.String())
}

// encodeParam makes JSON of a value as the catalogue types it.
func encodeParam(f catalogue.Field, value string) (json.RawMessage, error) {
	wrong := func(zh, en string) (json.RawMessage, error) {
		return nil, fmt.Errorf("%s: 应是%s（must be %s）", f.Name, zh, en)
	}
	switch {
	case f.Type == "int" || f.Type == "int64":
		bits := 64
		if f.Type == "int" {
			bits = 32
		}
		n, err := strconv.ParseInt(value, 10, bits)
		if err != nil {
			return wrong("整数", "a whole number")
		}
		return strconv.AppendInt(nil, n, 10), nil
	case f.Type == "number":
		var n json.Number
		if json.Unmarshal([]byte(value), &n) != nil || n == "" || value[0] == '"' {
			return wrong("数字", "a number")
		}
		return json.RawMessage(value), nil
	case f.Type == "bool":
		if value != "true" && value != "false" {
			return wrong(" true 或 false", "true or false")
		}
		return json.RawMessage(value), nil
	case f.Type == anyType && json.Valid([]byte(value)):
		return json.RawMessage(value), nil
	case strings.HasPrefix(f.Type, "array<"):
		var list []json.RawMessage
		if json.Unmarshal([]byte(value), &list) != nil || list == nil {
			return wrong(`列表，写成 JSON，例如 '["a","b"]'`, "a list in JSON")
		}
		return json.RawMessage(value), nil
	case f.Type == "object" || strings.HasPrefix(f.Type, "map<"):
		var object map[string]json.RawMessage
		if json.Unmarshal([]byte(value), &object) != nil || object == nil {
			return wrong(`对象，写成 JSON，例如 '{"content":"你好"}'`, "an object in JSON")
		}
		return json.RawMessage(value), nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// didYouMean names the candidate that a word is a slip of, if there is one.
func didYouMean(word string, candidates []string) string {
	near := bot.Nearest(word, candidates)
	if near == "" {
		return ""
	}
	return fmt.Sprintf("，是不是 %s？（did you mean %s?）", near, near)
}
