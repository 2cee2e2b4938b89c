package app

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/wenzihq/wenzi/catalogue"
)

// listEndpoints prints the endpoints that have all the words in their id, path,
// title, summary or area.
func listEndpoints(w io.Writer, words []string) error {
	var b bytes.Buffer
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	found := false
	for _, e := range catalogue.Load().Endpoints() {
		text := strings.ToLower(strings.Join([]string{e.ID, e.Method, e.Path, e.TitleZH, e.Summary, e.Area().Name, e.Area().TitleZH}, "\n"))
		if slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, strings.ToLower(word)) }) {
			continue
		}
		found = true
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", e.ID, e.Priority, e.Method, e.Path, e.TitleZH)
	}
	if !found {
		return fmt.Errorf("没有含 %q 的接口（no endpoint has these words）", tame(strings.Join(words, " ")))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := b.WriteTo(w)
	return err
}

var priorityNames = map[catalogue.Priority]string{
	catalogue.Core:    "核心（core）",
	catalogue.Useful:  "常用（useful）",
	catalogue.Low:     "少用（low）",
	catalogue.Retired: "已停用（retired）",
}

var accountNames = map[string]string{
	"yes":      "可以（yes）",
	"verified": "认证后可以（verified）",
	"no":       "不可以（no）",
	"n/a":      "由第三方平台调用（third-party platform）",
}

// endpointHelp is everything the catalogue says about an endpoint.
func endpointHelp(e *catalogue.Endpoint) string {
	if !inCatalogue(e) {
		return e.ID + " 不在目录里：名称=值 进 JSON 正文，GET 则进查询（is not in the catalogue: name=value go into the JSON body, or the query of a GET）\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n%s\n\n", e.ID, e.TitleZH, e.Summary)
	fmt.Fprintf(&b, "%s https://%s%s\n", e.Method, cmp.Or(e.Host, catalogue.DefaultHost), e.Path)
	b.WriteString(strings.TrimSpace(priorityNames[e.Priority]+" "+e.Status) + "\n")
	b.WriteString("\n谁能调用（who may call it）\n")
	if subscription, service := accountNames[e.Account.Subscription], accountNames[e.Account.Service]; subscription == service {
		fmt.Fprintf(&b, "  %s\n", subscription)
	} else {
		fmt.Fprintf(&b, "  订阅号（subscription） %s\n  服务号（service） %s\n", subscription, service)
	}
	if e.Account.Note != "" {
		fmt.Fprintf(&b, "  %s\n", e.Account.Note)
	}
	helpLines(&b, "限制（limits）", e.Limits)
	helpFields(&b, "参数（parameters），* 必填（required）", slices.Concat(e.Request.Query, e.Request.Multipart, e.Request.Body))
	helpFields(&b, "应答（answer）", e.Response.Fields)
	if e.Response.Kind != catalogue.KindJSON && e.Response.Kind != catalogue.KindRedirect {
		b.WriteString("\n应答是文件，用 --output 保存（the answer is a file; give --output）\n")
	}
	helpCodes(&b, e)
	helpLines(&b, "说明（notes）", e.Notes)
	b.WriteString("\n例子（example）\n  " + exampleCall(e) + "\n")
	if e.SampleResponse != nil {
		var sample bytes.Buffer
		if json.Indent(&sample, e.SampleResponse, "  ", "  ") == nil {
			fmt.Fprintf(&b, "  %s\n", &sample)
		}
	}
	return b.String()
}

func helpLines(b *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", title)
	for _, line := range lines {
		fmt.Fprintf(b, "  - %s\n", line)
	}
}

func helpFields(b *strings.Builder, title string, fields []catalogue.Field) {
	if len(fields) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", title)
	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	var open []string // shapes; some have themselves as members
	var rows func(fields []catalogue.Field, indent string)
	rows = func(fields []catalogue.Field, indent string) {
		for _, f := range fields {
			name := f.Name
			if f.Required {
				name += "*"
			}
			var notes []string
			if f.Deprecated {
				notes = append(notes, "已停用（deprecated）")
			}
			if f.Note != "" {
				notes = append(notes, f.Note)
			}
			for _, a := range f.Accept {
				notes = append(notes, strings.TrimSpace(fmt.Sprintf("%s ≤ %d 字节（bytes） %s", a.When, a.MaxBytes, strings.Join(a.Ext, ", "))))
			}
			row := fmt.Sprintf("  %s%s\t%s\t%s", indent, name, f.Type, strings.Join(notes, "；"))
			fmt.Fprintln(table, strings.TrimRight(row, "\t "))
			if f.Shape == "" {
				rows(f.Fields, indent+"  ")
			} else if !slices.Contains(open, f.Shape) || len(f.Fields) > 0 {
				open = append(open, f.Shape)
				rows(catalogue.Load().Members(&f), indent+"  ")
				open = open[:len(open)-1]
			}
		}
	}
	rows(fields, "")
	_ = table.Flush() // into memory
}

func helpCodes(b *strings.Builder, e *catalogue.Endpoint) {
	if len(e.Errcodes) == 0 {
		return
	}
	b.WriteString("\n错误（errors）\n")
	for _, n := range e.Errcodes {
		code, _ := catalogue.Load().Code(n)
		fmt.Fprintf(b, "  %-6d %s\n         %s\n", n, code.MeaningZH, code.AdviceZH)
	}
}

// exampleCall is a command line with the endpoint's sample.
func exampleCall(e *catalogue.Endpoint) string {
	words := []string{"wenzi call", e.ID}
	for _, pair := range samplePairs(e) {
		words = append(words, shellWord(pair))
	}
	for _, f := range e.Request.Multipart {
		if f.Type == "file" {
			words = append(words, "--file 文件")
		}
	}
	if e.Response.Kind == catalogue.KindBinary || e.Response.Kind == catalogue.KindJSONOrBinary {
		words = append(words, "--output 文件")
	}
	return strings.Join(words, " ")
}

// samplePairs writes the sample request as parameters, and whatever else is
// required with dots for a value.
func samplePairs(e *catalogue.Endpoint) []string {
	var sample map[string]json.RawMessage
	_ = json.Unmarshal(e.SampleRequest, &sample) // catalogue.Validate has read it
	var pairs []string
	seen := map[string]bool{}
	for _, f := range slices.Concat(e.Request.Query, e.Request.Body, e.Request.Multipart) {
		value, ok := sample[f.Name]
		if seen[f.Name] || f.Type == "file" || !ok && !f.Required {
			continue
		}
		seen[f.Name] = true
		text := "…"
		if ok {
			var s string
			if text = string(value); json.Unmarshal(value, &s) == nil {
				text = s
			}
		}
		pairs = append(pairs, f.Name+"="+text)
	}
	return pairs
}

// shellWord quotes a word for a POSIX shell where that is needed.
func shellWord(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789=_-./:,@…") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
