package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/wenzihq/wenzi/catalogue"
	"github.com/wenzihq/wenzi/oa/api"
)

// pager is how the pages of a list follow each other.
type pager struct {
	cursor string   // parameter that says where a page begins
	next   string   // member of the answer with the next cursor; empty where the cursor counts items
	size   string   // parameter with the size of a page; may be empty
	total  string   // member of the answer with the number of all items; may be empty
	items  []string // the way to the items in the answer
}

// The names by which lists page: a cursor that the answer gives, or an offset.
var (
	cursors = [][2]string{{"next_openid", "next_openid"}, {"begin_openid", "next_openid"}, {"begin_id", "next_begin_id"}, {"msgid", "msgid"}}
	offsets = []string{"offset", "begin", "start"}
	sizes   = []string{"count", "limit", "number"}
	totals  = []string{"total_count", "total", "total_num", "count"}
)

const defaultPage = 20 // items, which every list with an offset gives

// pagerOf reads from the catalogue how an endpoint pages, where that is clear.
func pagerOf(e *catalogue.Endpoint) (*pager, error) {
	has := func(fields []catalogue.Field, name string) bool {
		return slices.ContainsFunc(fields, func(f catalogue.Field) bool { return f.Name == name })
	}
	request := slices.Concat(e.Request.Query, e.Request.Body)
	first := func(fields []catalogue.Field, names []string) string {
		for _, name := range names {
			if has(fields, name) {
				return name
			}
		}
		return ""
	}
	p := &pager{size: first(request, sizes), total: first(e.Response.Fields, totals), items: onlyList(e.Response.Fields)}
	for _, c := range cursors {
		if has(request, c[0]) && has(e.Response.Fields, c[1]) {
			p.cursor, p.next = c[0], c[1]
			if p.total == "count" {
				p.total = "" // of the page
			}
			break
		}
	}
	if p.cursor == "" && p.size != "" && p.total != "" {
		p.cursor = first(request, offsets)
	}
	if p.cursor == "" || p.items == nil {
		return nil, fmt.Errorf("--all: %s 不分页，或目录没有写明怎样翻页（has no pages, or the catalogue does not say how they follow）", e.ID)
	}
	return p, nil
}

// onlyList is the way to the one list among the fields, or in their one object.
func onlyList(fields []catalogue.Field) []string {
	var way []string
	for _, f := range fields {
		var to []string
		switch {
		case strings.HasPrefix(f.Type, "array<"):
			to = []string{f.Name}
		case f.Type == "object":
			if inner := onlyList(f.Fields); inner != nil {
				to = append([]string{f.Name}, inner...)
			}
		}
		if to != nil && way != nil {
			return nil
		}
		if to != nil {
			way = to
		}
	}
	return way
}

// defaults fills in the first page of a list with an offset.
func (p *pager) defaults(to params) {
	if p.next != "" {
		return
	}
	if _, given := to.given[p.cursor]; !given {
		to.given[p.cursor] = "0"
	}
	if _, given := to.given[p.size]; !given {
		to.given[p.size] = strconv.Itoa(defaultPage)
	}
}

// allPages makes the call for page after page and writes an item a line.
func allPages(e *env, client *api.Client, call *preparedCall, out *callOutput) error {
	p, given := call.pages, call.params.given
	return out.write(func(w io.Writer) error {
		seen := 0
		for number := 1; ; number++ {
			request, err := call.request()
			if err != nil {
				return errUsage{err}
			}
			response, err := client.Do(e.ctx, request)
			if err != nil {
				return described(err)
			}
			page, err := p.read(response.JSON)
			if err != nil {
				return fmt.Errorf("%s 第 %d 页（page）: %w", call.endpoint.ID, number, err)
			}
			var lines bytes.Buffer
			for _, item := range page.items {
				if err := json.Compact(&lines, item); err != nil {
					return err
				}
				lines.WriteByte('\n')
			}
			text := lines.String()
			if out.file == "" && isTerminal(w) {
				text = tame(text)
			}
			if _, err := io.WriteString(w, text); err != nil {
				return err
			}
			seen += len(page.items)
			fmt.Fprintf(e.stderr, "第 %d 页，共 %d 条%s（page %d, %d items）\n", number, seen, page.of(), number, seen)
			next, more := p.after(page, given)
			if !more {
				return nil
			}
			given[p.cursor] = next
		}
	})
}

// page is one page of a list.
type page struct {
	items []json.RawMessage
	next  string
	total int
}

// of says how many items there are in all.
func (p page) of() string {
	if p.total == 0 {
		return ""
	}
	return fmt.Sprintf(" / %d", p.total)
}

// read finds the parts of a page in the platform's answer.
func (p *pager) read(answer []byte) (page, error) {
	var got page
	var members map[string]json.RawMessage
	if err := api.Decode(answer, &members); err != nil {
		return got, err
	}
	if p.next != "" && members[p.next] != nil {
		if err := api.Decode(members[p.next], &got.next); err != nil {
			return got, fmt.Errorf("%s: %w", p.next, err)
		}
	}
	if p.total != "" && members[p.total] != nil {
		if err := api.Decode(members[p.total], &got.total); err != nil {
			return got, fmt.Errorf("%s: %w", p.total, err)
		}
	}
	way := p.items
	for ; len(way) > 1 && members[way[0]] != nil; way = way[1:] {
		inner := members[way[0]]
		members = nil
		if err := api.Decode(inner, &members); err != nil {
			return got, fmt.Errorf("%s: %w", way[0], err)
		}
	}
	if list := members[way[0]]; len(way) == 1 && list != nil {
		if err := api.Decode(list, &got.items); err != nil {
			return got, fmt.Errorf("%s: %w", way[0], err)
		}
	}
	return got, nil
}

// after is the cursor of the page after this one.
func (p *pager) after(got page, given map[string]string) (next string, more bool) {
	if len(got.items) == 0 {
		return "", false
	}
	if p.next == "" {
		offset, _ := strconv.Atoi(given[p.cursor]) // parseParams has checked it
		offset += len(got.items)
		return strconv.Itoa(offset), got.total == 0 || offset < got.total
	}
	size, sized := strconv.Atoi(given[p.size])
	short := sized == nil && len(got.items) < size
	return got.next, !short && got.next != "" && got.next != given[p.cursor]
}
