package answer

import (
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/util"
)

// tagKind is what becomes of an HTML tag. Unknown ones are no tags: "List<String>".
type tagKind int

const (
	unknownTag tagKind = iota
	inlineTag          // dropped
	cellTag            // a blank
	lineTag            // a line break
)

func kindOfTag(name string) tagKind {
	switch name {
	case "a", "abbr", "b", "big", "button", "cite", "code", "del", "em", "font", "i", "iframe", "img", "input", "ins",
		"kbd", "label", "link", "mark", "meta", "q", "s", "samp", "script", "small", "span", "strike", "strong", "style",
		"sub", "sup", "svg", "u", "var", "wbr":
		return inlineTag
	case "td", "th":
		return cellTag
	case "article", "blockquote", "br", "caption", "center", "dd", "details", "div", "dl", "dt", "figcaption", "figure",
		"footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "ol", "p", "pre", "section", "summary",
		"table", "tbody", "thead", "tr", "ul":
		return lineTag
	}
	return unknownTag
}

// tagName is the name of a tag's element in lower case, "" if raw is a comment or
// declaration.
func tagName(raw string) string {
	name := strings.TrimPrefix(strings.TrimPrefix(raw, "<"), "/")
	end := 0
	for end < len(name) && (util.IsAlphaNumeric(name[end]) || name[end] == '-') {
		end++
	}
	return strings.ToLower(name[:end])
}

// raised is the text of n with its characters raised or lowered if it stands in a
// <sup> or <sub>. A reference stays as it is: "[1]".
func raised(n *ast.Text, s string, source []byte) string {
	before, ok := n.PreviousSibling().(*ast.RawHTML)
	if !ok || strings.HasPrefix(s, "[") {
		return s
	}
	switch tag := string(before.Segments.Value(source)); strings.ToLower(tag) {
	case "<sup>":
		return script('^', s, "")
	case "<sub>":
		return script('_', s, "")
	}
	return s
}
