package bot

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

const (
	maxFileBytes = 1 << 20
	// maxExpanded bounds a file with its aliases written out, in nodes and
	// bytes of text. A file of maxFileBytes without aliases stays below it.
	maxExpanded = 4 << 20
	maxMistakes = 100
)

// value is a node of the file, the line it is written on and the key path that
// leads to it. Aliases are resolved.
type value struct {
	*yaml.Node
	line int
	key  string
}

func newValue(n *yaml.Node, line int, key string) value {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return value{Node: n, line: line, key: key}
}

// child returns the key path of a field.
func (v value) child(name string) string {
	if v.key == "" {
		return name
	}
	return v.key + "." + name
}

// isNull reports whether nothing, ~ or null is written.
func (v value) isNull() bool { return v.Kind == yaml.ScalarNode && v.ShortTag() == "!!null" }

// reader collects the mistakes of one file.
type reader struct {
	file     string
	mistakes Mistakes
}

func (r *reader) report(line int, key, zh, en string) {
	switch n := len(r.mistakes); {
	case n > maxMistakes:
		return
	case n == maxMistakes:
		key = ""
		zh = fmt.Sprintf("错误太多，只列出 %d 处", maxMistakes)
		en = fmt.Sprintf("too many mistakes, only %d are listed", maxMistakes)
	}
	r.mistakes = append(r.mistakes, Mistake{File: r.file, Line: line, Key: key, Chinese: zh, English: en})
}

func (r *reader) wrong(v value, zh, en string) { r.report(v.line, v.key, zh, en) }

// load returns the root of the file's one document.
func (r *reader) load(data []byte) (value, bool) {
	if len(data) > maxFileBytes {
		r.report(1, "", "文件超过 1 MiB", "the file is larger than 1 MiB")
		return value{}, false
	}
	if line, ok := unreadable(data); ok {
		r.report(line, "", "不是 UTF-8 文本，请用 UTF-8 编码保存", "not UTF-8 text; save the file as UTF-8")
		return value{}, false
	}
	var doc yaml.Node
	if err := yaml.Load(data, &doc); err != nil {
		line, what := explain(err)
		r.report(line, "", "YAML 语法有误", "not valid YAML: "+what)
		return value{}, false
	}
	if (&expansion{sizes: map[*yaml.Node]int{}}).of(&doc) > maxExpanded {
		r.report(1, "", "别名（*）展开后太大或循环", "the aliases (*) expand to too much, or in a circle")
		return value{}, false
	}
	root := doc.Content[0]
	return newValue(root, root.Line, ""), true
}

// unreadable returns the first line that holds something other than UTF-8
// text.
func unreadable(data []byte) (line int, found bool) {
	line = 1
	for len(data) > 0 {
		c, n := utf8.DecodeRune(data)
		if c == utf8.RuneError && n == 1 || forbidden(c) {
			return line, true
		}
		if c == '\n' {
			line++
		}
		data = data[n:]
	}
	return 0, false
}

// explain returns where the YAML library stumbled, and what it said of it.
func explain(err error) (line int, what string) {
	var e *yaml.LoadError
	if !errors.As(err, &e) {
		return 1, err.Error()
	}
	what = strings.TrimPrefix(e.Message, "yaml: ")
	if strings.HasPrefix(what, "unknown anchor") {
		what = "unknown anchor; quote what begins with *" // without its name: it may be a secret
	}
	if e.ContextMsg != "" {
		what += " " + e.ContextMsg
		if e.ContextMark.Line > 0 {
			what += fmt.Sprintf(" that begins in line %d", e.ContextMark.Line)
		}
	}
	return max(e.Mark.Line, 1), what
}

// expansion measures nodes with their aliases written out, each node once.
type expansion struct{ sizes map[*yaml.Node]int }

func (x *expansion) of(n *yaml.Node) int {
	if size, ok := x.sizes[n]; ok {
		return size
	}
	x.sizes[n] = maxExpanded + 1 // for who comes back here in a circle
	size := 1 + len(n.Value)
	if n.Kind == yaml.AliasNode {
		size = x.of(n.Alias)
	}
	for _, c := range n.Content {
		size = min(size+x.of(c), maxExpanded+1)
	}
	x.sizes[n] = size
	return size
}

// fields returns the entries of a mapping by name. What is unknown or written
// twice is reported and left out; a value that is no mapping is reported and
// has no fields.
func (r *reader) fields(v value, known ...string) (map[string]value, bool) {
	if v.Kind != yaml.MappingNode {
		r.wrong(v, "应为「键: 值」，可用的键有 "+strings.Join(known, ", "), "expected key: value with the keys "+strings.Join(known, ", "))
		return nil, false
	}
	fields := make(map[string]value, len(v.Content)/2)
	seen := make(map[string]int, len(v.Content)/2)
	for i := 0; i+1 < len(v.Content); i += 2 {
		k := newValue(v.Content[i], v.Content[i].Line, v.key)
		if k.Kind != yaml.ScalarNode {
			r.wrong(k, "键应为文字", "a key must be a text")
			continue
		}
		name := shorten(k.Value)
		if first, twice := seen[k.Value]; twice {
			r.report(k.line, v.child(name), fmt.Sprintf("写了两次，第一次在第 %d 行", first), fmt.Sprintf("written twice, first in line %d", first))
			continue
		}
		seen[k.Value] = k.line
		if !slices.Contains(known, k.Value) {
			r.unknown(k.line, v.child(name), k.Value, known)
			continue
		}
		fields[k.Value] = newValue(v.Content[i+1], k.line, v.child(k.Value))
	}
	return fields, true
}

func (r *reader) unknown(line int, key, name string, known []string) {
	if near := Nearest(name, known); near != "" {
		r.report(line, key, "没有这个键，是不是 "+near+"？", "unknown key; did you mean "+near+"?")
		return
	}
	list := strings.Join(known, ", ")
	r.report(line, key, "没有这个键，可用的有 "+list, "unknown key; known are "+list)
}

// items returns the elements of a list.
func (r *reader) items(v value) ([]value, bool) {
	if v.Kind != yaml.SequenceNode {
		r.wrong(v, "应为列表", "expected a list")
		return nil, false
	}
	items := make([]value, len(v.Content))
	for i, n := range v.Content {
		items[i] = newValue(n, n.Line, fmt.Sprintf("%s[%d]", v.key, i))
	}
	return items, true
}

// text returns a scalar as it is written: 007 stays 007, and yes stays yes.
func (r *reader) text(v value) (string, bool) {
	switch {
	case v.Kind != yaml.ScalarNode:
		r.wrong(v, "应为文字", "expected a text")
	case v.Style&yaml.TaggedStyle != 0 && v.ShortTag() != "!!str":
		r.wrong(v, "应为文字；以 ! 开头的要加引号", "expected a text; quote what begins with !")
	case v.isNull() || strings.TrimSpace(v.Value) == "":
		r.wrong(v, "不能为空；不需要就删掉这一行", "must not be empty; delete the line if it is not needed")
	case strings.ContainsFunc(v.Value, forbidden):
		r.wrong(v, "含有控制字符", "contains control characters")
	default:
		return v.Value, true
	}
	return "", false
}

// forbidden are the characters that XML, and so a reply, cannot carry
// (reference §7).
func forbidden(c rune) bool {
	return c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0xFFFE || c == 0xFFFF
}

// shorten keeps what a mistake quotes from the file readable.
func shorten(s string) string {
	const most = 40
	for i := range s {
		if utf8.RuneCountInString(s[:i]) == most {
			return s[:i] + "…"
		}
	}
	return s
}

// Nearest returns the candidate that was probably meant by word, or "".
func Nearest(word string, candidates []string) string {
	const most = 40 // a longer word is no slip of any key
	if len(word) > most {
		return ""
	}
	plain := func(s string) string {
		return strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(s))
	}
	best, least := "", 3
	for _, c := range candidates {
		if d := distance(plain(word), plain(c)); d < least && d <= len(c)/2 {
			best, least = c, d
		}
	}
	return best
}

// distance is the number of bytes to insert, delete or replace between a and b
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
