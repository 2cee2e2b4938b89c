package app

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/wenzihq/wenzi/catalogue"
	"github.com/wenzihq/wenzi/oa/api"
)

// place puts a value where the catalogue says the field belongs. An endpoint
// that the catalogue does not have takes all in its query or, for a POST, in
// its body.
func place(r *api.Request, body map[string]json.RawMessage, ep *catalogue.Endpoint, name, value string) error {
	if ep == nil {
		if strings.HasPrefix(r.Endpoint, "POST ") {
			body[name] = loose(value)
			return nil
		}
		return query(r, name, value)
	}
	find := func(fields []catalogue.Field) *catalogue.Field {
		i := slices.IndexFunc(fields, func(f catalogue.Field) bool { return f.Name == name })
		if i < 0 {
			return nil
		}
		return &fields[i]
	}
	if find(ep.Request.Query) != nil {
		return query(r, name, value)
	}
	if f := find(ep.Request.Multipart); f != nil {
		if f.Type == "file" {
			return fmt.Errorf("%s 是文件，请用 --file（is a file; use --file）", name)
		}
		if r.Form == nil {
			r.Form = map[string]string{}
		}
		r.Form[name] = value
		return nil
	}
	if f := find(ep.Request.Body); f != nil {
		v, err := typed(f, value)
		body[name] = v
		return err
	}
	var names []string
	for _, fields := range [][]catalogue.Field{ep.Request.Query, ep.Request.Body, ep.Request.Multipart} {
		for _, f := range fields {
			names = append(names, f.Name)
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("%s 没有字段，不需要 %s（has no fields）", ep.ID, name)
	}
	return fmt.Errorf("%s 没有字段 %s；它有（has no such field; it has）: %s", ep.ID, name, strings.Join(names, ", "))
}

func query(r *api.Request, name, value string) error {
	if r.Query == nil {
		r.Query = map[string][]string{}
	}
	r.Query.Set(name, value)
	return nil
}

// typed is the JSON of a value of that field.
func typed(f *catalogue.Field, value string) (json.RawMessage, error) {
	switch f.Type {
	case "string":
		return json.Marshal(value)
	case "int", "int64":
		if _, err := strconv.ParseInt(value, 10, 64); err != nil {
			return nil, fmt.Errorf("%s 应是整数（must be an integer）, 不是 %q", f.Name, value)
		}
		return json.RawMessage(value), nil
	case "number":
		if _, err := strconv.ParseFloat(value, 64); err != nil {
			return nil, fmt.Errorf("%s 应是数（must be a number）, 不是 %q", f.Name, value)
		}
		return json.RawMessage(value), nil
	case "bool":
		b, err := strconv.ParseBool(value)
		if err != nil {
			return nil, fmt.Errorf("%s 应是 true 或 false（must be true or false）", f.Name)
		}
		return json.Marshal(b)
	}
	if !json.Valid([]byte(value)) {
		return nil, fmt.Errorf("%s 的类型是 %s，应写成 JSON（must be written as JSON）", f.Name, f.Type)
	}
	return json.RawMessage(value), nil
}

// loose is JSON where the value is some, else a string.
func loose(value string) json.RawMessage {
	if json.Valid([]byte(value)) {
		return json.RawMessage(value)
	}
	b, _ := json.Marshal(value) // a string never fails
	return b
}

// missing names the required fields that are not given.
func missing(r *api.Request, body map[string]json.RawMessage, ep *catalogue.Endpoint, wholeBody, file bool) error {
	if ep == nil {
		return nil
	}
	var names []string
	for _, f := range ep.Request.Query {
		if f.Required && !r.Query.Has(f.Name) {
			names = append(names, f.Name)
		}
	}
	for _, f := range ep.Request.Multipart {
		_, given := r.Form[f.Name]
		if f.Required && (f.Type == "file" && !file || f.Type != "file" && !given) {
			if f.Type == "file" {
				f.Name = "--file"
			}
			names = append(names, f.Name)
		}
	}
	for _, f := range ep.Request.Body {
		if _, given := body[f.Name]; f.Required && !given && !wholeBody {
			names = append(names, f.Name)
		}
	}
	if len(names) > 0 {
		return fmt.Errorf("%s 还需要（needs）: %s；wenzi call --help %s 说明每个字段", ep.ID, strings.Join(names, ", "), ep.ID)
	}
	return nil
}

func unknownEndpoint(id string) error {
	var near []string
	for _, e := range catalogue.Load().Endpoints() {
		words := strings.Split(id, "_")
		if slices.ContainsFunc(words, func(w string) bool { return len(w) > 2 && strings.Contains(e.ID, w) }) && len(near) < 8 {
			near = append(near, e.ID)
		}
	}
	hint := "wenzi call --list 列出全部（lists all）"
	if len(near) > 0 {
		hint = "是不是（did you mean）: " + strings.Join(near, ", ")
	}
	return fmt.Errorf("没有接口 %q（no such endpoint）；%s", id, hint)
}

// listEndpoints prints the endpoints that contain all the words.
func listEndpoints(w io.Writer, words []string) error {
	n := 0
	for _, e := range catalogue.Load().Endpoints() {
		line := fmt.Sprintf("%-34s %-4s %-50s %-8s %s", e.ID, e.Method, e.Path, e.Priority, e.TitleZH)
		if slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(strings.ToLower(line), strings.ToLower(word)) }) {
			continue
		}
		n++
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	if n == 0 {
		return errUsage{fmt.Errorf("没有符合的接口（no endpoint matches）: %s", strings.Join(words, " "))}
	}
	return nil
}

// endpointHelp prints what the catalogue knows of an endpoint.
func endpointHelp(w io.Writer, e *catalogue.Endpoint) error {
	c := catalogue.Load()
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n%s %s\n\n%s\n", e.ID, e.TitleZH, e.Method, e.Path, e.Summary)
	if e.Status != "" {
		fmt.Fprintf(&b, "%s\n", e.Status)
	}
	fmt.Fprintf(&b, "\n谁能调用 who may call: 公众号（订阅号）%s，服务号 %s %s\n", e.Account.Subscription, e.Account.Service, e.Account.Note)
	var fields func(list []catalogue.Field, indent string)
	fields = func(list []catalogue.Field, indent string) {
		for _, f := range list {
			required := ""
			if f.Required {
				required = "必填 "
			}
			fmt.Fprintf(&b, "%s%-24s %-16s %s%s\n", indent, f.Name, f.Type, required, f.Note)
			fields(c.Members(&f), indent+"    ")
		}
	}
	section := func(title string, list []catalogue.Field) {
		if len(list) > 0 {
			fmt.Fprintf(&b, "\n%s\n", title)
			fields(list, "  ")
		}
	}
	section("地址参数 query", e.Request.Query)
	section("请求体 body", e.Request.Body)
	section("表单 form", e.Request.Multipart)
	section("返回 response", e.Response.Fields)
	lines := func(title string, list []string) {
		if len(list) > 0 {
			fmt.Fprintf(&b, "\n%s\n  %s\n", title, strings.Join(list, "\n  "))
		}
	}
	lines("限制 limits", e.Limits)
	lines("说明 notes", e.Notes)
	if len(e.Errcodes) > 0 {
		b.WriteString("\n错误 errors\n")
		for _, n := range e.Errcodes {
			code, _ := c.Code(n)
			fmt.Fprintf(&b, "  %-7d %s\n", n, code.MeaningZH)
		}
	}
	if e.SampleRequest != nil {
		fmt.Fprintf(&b, "\n请求示例 sample\n  %s\n", e.SampleRequest)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// helpTopic is the endpoint that `wenzi call --help menu_create` asks for.
func helpTopic(args []string) (*catalogue.Endpoint, bool) {
	if len(args) < 2 || args[0] != "call" || !slices.ContainsFunc(args, func(a string) bool { return a == "--help" || a == "-h" }) {
		return nil, false
	}
	for _, a := range args[1:] {
		if e, ok := catalogue.Load().Endpoint(a); ok {
			return e, true
		}
	}
	return nil, false
}
