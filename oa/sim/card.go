package sim

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// Row is a line of a template message or a subscription notice.
type Row struct {
	Name  string `json:"name,omitempty"`
	Value string `json:"value"`
}

// cardTarget is what a request says that a tap on a card opens.
type cardTarget struct {
	URL         string `json:"url"`
	Page        string `json:"page"` // the same of a subscription notice
	MiniProgram struct {
		AppID    string `json:"appid"`
		PagePath string `json:"pagepath"`
	} `json:"miniprogram"`
}

// bubble is a card with that target.
func (t *cardTarget) bubble(kind, title string, rows []Row) Bubble {
	return Bubble{Kind: kind, Title: title, Rows: rows, URL: cmp.Or(t.URL, t.Page), AppID: t.MiniProgram.AppID, PagePath: t.MiniProgram.PagePath}
}

// card is the bubble as text where it is one that only the API sends; otherwise "".
func (b Bubble) card() string {
	kind := ""
	switch {
	case b.Kind == "template":
		kind = "[模板消息]"
	case b.Kind == "subscription":
		kind = "[订阅通知]"
	case b.Kind == "image" && len(b.MediaIDs) > 0:
		return join("[图片]", strings.Join(b.MediaIDs, " ")) + below(b.Description)
	default:
		return ""
	}
	var lines []string
	for _, r := range b.Rows {
		lines = append(lines, strings.TrimPrefix(r.Name+"："+r.Value, "："))
	}
	if b.AppID != "" {
		lines = append(lines, join("小程序", b.AppID, b.PagePath))
	}
	return join(kind, b.Title) + below(append(lines, b.URL)...)
}

// cardTemplate is a template of template messages or subscription notices.
type cardTemplate struct {
	id, title, content, example string
	long                        bool                // may be sent as long as the follower agrees
	enums                       map[string][]string // the values of keys that take no others
	from                        string              // what it was made of
}

var placeholder = regexp.MustCompile(`\{\{\s*(\w+)\.DATA\s*\}\}`)

// cardData are the values for the placeholders of a template.
type cardData map[string]struct {
	Value string `json:"value"`
}

// check holds the values against the template: a typed key (thing1) must have a
// value that its type allows, or it is 47003. Other values may be missing, and
// values for other keys are ignored, as are first and remark on newer templates
// (reference api-rules §10).
func (t *cardTemplate) check(data cardData) error {
	for _, m := range placeholder.FindAllStringSubmatch(t.content, -1) {
		key, value := m[1], data[m[1]].Value
		allowed := valueRule(key)
		switch {
		case allowed == nil:
			continue
		case value == "":
			return failf(47003, "argument invalid! data.%s.value is empty", key)
		case !allowed(value):
			return failf(47003, "argument invalid! data.%s.value invalid", key)
		}
		if values, ok := t.enums[key]; ok && !slices.Contains(values, value) {
			return failf(47003, "argument invalid! data.%s.value is not one of %s", key, strings.Join(values, ", "))
		}
	}
	return nil
}

// rows fills the values in, a row for each line: what stands before the first
// placeholder of a line is the row's name.
func (t *cardTemplate) rows(data cardData) []Row {
	var rows []Row
	for line := range strings.Lines(t.content) {
		line = strings.TrimSpace(line)
		name := ""
		if at := placeholder.FindStringIndex(line); at != nil {
			name, line = strings.TrimRight(line[:at[0]], " :："), line[at[0]:]
		}
		value := placeholder.ReplaceAllStringFunc(line, func(p string) string {
			return data[placeholder.FindStringSubmatch(p)[1]].Value
		})
		if name != "" || value != "" {
			rows = append(rows, Row{Name: name, Value: value})
		}
	}
	return rows
}
