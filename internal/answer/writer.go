package answer

import (
	"bytes"
	"cmp"
	"strconv"
	"strings"
	"unicode"

	"github.com/yuin/goldmark/ast"
	extast "github.com/yuin/goldmark/extension/ast"
)

// writer writes blocks of text below each other. Blanks and line breaks are due
// until a character follows: so none is left at the end of a line or of the text,
// and two line breaks are the most.
type writer struct {
	source []byte
	tail   int // where the source's last paragraph begins, which may be unfinished

	out     []byte
	breaks  int    // line breaks that are due
	blanks  []byte // blanks that are due
	indent  string // what a line begins with
	first   string // what the next line begins with instead
	literal bool   // blanks at the beginning of a line count
	depth   int    // blocks that indent the present one
	bullets int    // those of them that are items of unordered lists
	within  int    // lines of which this is a part
}

const (
	maxDepth = 8 // deeper blocks are indented no further

	quoteMark = "▎"
	rule      = "──────"
	codeTop   = "┌──"
	codeEnd   = "└──"
	rowMark   = "◆ "
	listStep  = "　"
	struckOut = "〔删去："
)

func (w *writer) write(s string) {
	for _, r := range s {
		switch {
		case r == '\n':
			w.newline(w.breaks + 1)
		case forbidden(r):
		case r <= ' ' && w.atStart() && !w.literal:
		case unicode.IsSpace(r):
			w.blanks = append(w.blanks, string(r)...)
		default:
			if w.atStart() {
				w.startLine()
			}
			w.out = append(w.out, w.blanks...)
			w.out = append(w.out, string(r)...)
			w.blanks = w.blanks[:0]
		}
	}
}

// newline makes n line breaks due.
func (w *writer) newline(n int) {
	w.breaks = min(max(w.breaks, n), 2)
	w.blanks = w.blanks[:0]
}

// atStart reports whether the next character is the first of its line.
func (w *writer) atStart() bool { return len(w.out) == 0 || w.breaks > 0 }

func (w *writer) startLine() {
	if len(w.out) > 0 {
		w.out = append(w.out, "\n\n"[:w.breaks]...)
	}
	w.out = append(w.out, cmp.Or(w.first, w.indent)...)
	w.breaks, w.first = 0, ""
}

// blocks writes the blocks in parent, with a blank line between them where the
// markdown has one or where a heading or a table needs it.
func (w *writer) blocks(parent ast.Node) {
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		if before := n.PreviousSibling(); before != nil {
			w.newline(1)
			_, afterHeading := before.(*ast.Heading)
			if !afterHeading && (n.HasBlankPreviousLines() || setOff(n) || setOff(before)) {
				w.newline(2)
			}
		}
		w.block(n)
	}
}

func setOff(n ast.Node) bool {
	switch n.(type) {
	case *ast.Heading, *extast.Table:
		return true
	}
	return false
}

func (w *writer) block(n ast.Node) {
	switch n := n.(type) {
	case *ast.Heading:
		w.heading(n)
	case *ast.Blockquote:
		w.nest(n, quoteMark, quoteMark)
	case *ast.List:
		w.list(n)
	case *ast.FencedCodeBlock:
		w.code(n, string(n.Language(w.source)))
	case *ast.CodeBlock:
		w.code(n, "")
	case *ast.ThematicBreak:
		w.write(rule)
	case *extast.Table:
		w.table(n)
	case *display:
		w.write(readable(string(n.Lines().Value(w.source)), true))
	default:
		w.inline(n)
	}
}

func (w *writer) heading(n *ast.Heading) {
	title := strings.TrimRight(w.line(n), "：: ")
	switch {
	case title == "":
	case strings.Contains(title, "【"):
		w.write(title)
	default:
		w.write("【" + title + "】")
	}
}

// nest writes the blocks in n behind a mark: first on the first line, rest on the
// others.
func (w *writer) nest(n ast.Node, first, rest string) {
	if w.depth++; w.depth > maxDepth {
		first, rest = "", ""
	}
	outerFirst, outer := w.first, w.indent
	w.first = cmp.Or(outerFirst, outer) + first
	w.indent = outer + rest
	w.blocks(n)
	if w.first != "" { // n is empty
		w.first = outerFirst
	}
	w.indent = outer
	w.depth--
}

func (w *writer) list(list *ast.List) {
	number := list.Start
	bullet := "• "
	if w.bullets > 0 {
		bullet = "◦ "
	}
	if !list.IsOrdered() {
		w.bullets++
		defer func() { w.bullets-- }()
	}
	for item := list.FirstChild(); item != nil; item = item.NextSibling() {
		if item.PreviousSibling() != nil {
			w.newline(1)
			if item.HasBlankPreviousLines() {
				w.newline(2)
			}
		}
		mark := bullet
		if list.IsOrdered() {
			mark = strconv.Itoa(number) + ". "
			number++
		}
		w.nest(item, cmp.Or(taskMark(item), mark), listStep)
	}
}

// taskMark is the box of a task in a list, "" if it is none.
func taskMark(item ast.Node) string {
	if item.FirstChild() == nil {
		return ""
	}
	switch box, ok := item.FirstChild().FirstChild().(*extast.TaskCheckBox); {
	case !ok:
		return ""
	case box.IsChecked:
		return "☑ "
	}
	return "☐ "
}

func (w *writer) code(n ast.Node, language string) {
	lines := n.Lines()
	if lines.Len() == 0 {
		return
	}
	w.write(strings.TrimSpace(codeTop + " " + language))
	w.newline(1)
	w.literal = true
	w.write(string(lines.Value(w.source)))
	w.literal = false
	if end := min(lines.At(lines.Len()-1).Stop, len(w.source)); len(bytes.TrimSpace(w.source[end:])) > 0 {
		w.newline(1)
		w.write(codeEnd)
	}
}

// table writes each row as a paragraph, each cell as a line "column: value".
func (w *writer) table(table ast.Node) {
	var columns []string
	for cell := table.FirstChild().FirstChild(); cell != nil; cell = cell.NextSibling() {
		columns = append(columns, strings.TrimRight(w.line(cell), "：: "))
	}
	for row := table.FirstChild().NextSibling(); row != nil; row = row.NextSibling() {
		if row.PreviousSibling().Kind() == extast.KindTableRow {
			w.newline(2)
		}
		mark, column := rowMark, 0
		for cell := row.FirstChild(); cell != nil; cell = cell.NextSibling() {
			if value := w.line(cell); value != "" {
				w.newline(1)
				w.write(mark)
				if columns[column] != "" {
					w.write(columns[column] + "：")
				}
				w.write(value)
				mark = ""
			}
			column++
		}
	}
}

// line is what is in n as one line.
func (w *writer) line(n ast.Node) string {
	if w.within > maxDepth {
		return ""
	}
	in := &writer{source: w.source, tail: w.tail, within: w.within + 1}
	in.inline(n)
	return strings.ReplaceAll(string(in.out), "\n", " ")
}

func (w *writer) inline(parent ast.Node) {
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		switch n := n.(type) {
		case *ast.Text:
			w.text(n)
		case *ast.String:
			w.write(string(n.Value))
		case *ast.CodeSpan:
			w.write(codeSpan(n, w.source))
		case *extast.Strikethrough:
			w.write(struckOut)
			w.inline(n)
			w.write("〕")
		case *ast.Link:
			w.link(w.line(n), n.Destination)
		case *ast.Image:
			w.image(n)
		case *ast.AutoLink:
			w.write(string(n.Label(w.source)))
		case *ast.RawHTML:
			w.tag(n)
		case *formula:
			w.write(readable(n.latex, false))
		case *extast.TaskCheckBox: // is the mark of its item
		default:
			w.inline(n)
		}
	}
}

func (w *writer) text(n *ast.Text) {
	value := n.Segment.Value(w.source)
	if n.Segment.Start >= w.tail {
		value = withoutOpeners(w.source, n.Segment.Start, n.Segment.Stop)
	}
	w.write(raised(n, unescape(value), w.source))
	if n.SoftLineBreak() || n.HardLineBreak() {
		w.newline(1)
	}
}

// withoutOpeners is source[start:stop] without the marks of emphasis and code
// whose other half is still to come.
func withoutOpeners(source []byte, start, stop int) []byte {
	if !bytes.ContainsAny(source[start:stop], "*`~") {
		return source[start:stop]
	}
	var out []byte
	for end := start; start < stop; start = end {
		for end < stop && source[end] == source[start] {
			end++
		}
		before, after := byte('\n'), byte('\n')
		if start > 0 {
			before = source[start-1]
		}
		if end < len(source) {
			after = source[end]
		}
		switch mark := source[start:end]; {
		case before == '\\' || isOperator(rune(before), rune(after)) || !opens(mark, after):
			out = append(out, mark...)
		case mark[0] == '~':
			out = append(out, struckOut...)
		}
	}
	return out
}

// opens reports whether a run of one byte is likely to be an opening mark before
// the byte after, and no part of "*.go" or "5 *3".
func opens(mark []byte, after byte) bool {
	switch {
	case mark[0] == '`':
		return true
	case mark[0] == '~':
		return len(mark) == 2
	case mark[0] != '*' || strings.IndexByte(" .,/;:)]}>|\\", after) >= 0:
		return false
	}
	return len(mark) > 1 || after != '\n' && (after < '0' || after > '9')
}

func (w *writer) link(label string, destination []byte) {
	url, ok := target(destination)
	url = strings.TrimPrefix(strings.TrimPrefix(url, "mailto:"), "tel:")
	_, address, _ := strings.Cut(url, "://")
	switch {
	case !ok:
		w.write(label)
	case label == "", label == url, label == strings.TrimSuffix(address, "/"):
		w.write(url)
	default:
		w.write(label + "（" + url + "）")
	}
}

func (w *writer) image(n *ast.Image) {
	w.write("〔图片")
	if alt := w.line(n); alt != "" {
		w.write("：" + alt)
	}
	w.write("〕")
	_, inLink := n.Parent().(*ast.Link)
	if url, ok := target(n.Destination); ok && !inLink {
		w.write(" " + url)
	}
}

func (w *writer) tag(n *ast.RawHTML) {
	raw := string(n.Segments.Value(w.source))
	name := tagName(raw)
	switch kind := kindOfTag(name); {
	case name == "br":
		w.write("\n")
	case kind == lineTag:
		w.newline(1)
	case kind == cellTag:
		w.write(" ")
	case kind == unknownTag && name != "":
		w.write(raw)
	}
}

func codeSpan(n ast.Node, source []byte) string {
	var out strings.Builder
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if t, ok := c.(*ast.Text); ok {
			out.Write(t.Segment.Value(source))
		}
	}
	return strings.ReplaceAll(out.String(), "\n", " ")
}
