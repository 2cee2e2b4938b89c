package answer

import (
	"bytes"
	"html"
	"strings"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	htmlrenderer "github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// markdown reads GFM as models write it, which differs from the standard:
//
//   - "**重点：**后文" is bold, though a punctuation mark stands inside the stars
//     and a letter outside.
//   - One tilde strikes nothing out: "10~20元". A star between letters or digits
//     is an operator: "2*3*4", "x**2".
//   - A line of dashes below a paragraph is a rule and not a heading's underline.
//   - HTML is only ever inline, so that markdown between tags is still read.
//   - "[1]: https://…" is a line of a bibliography, which a follower must see.
//   - A URL ends where Chinese begins, and may begin there.
//   - Formulas are known.
//
// What depends on later text (underlined headings, link definitions) is left out
// also because a streamed answer must not change what it has shown.
var markdown = goldmark.New(
	goldmark.WithParser(parser.NewParser(
		parser.WithBlockParsers(
			util.Prioritized(parser.NewThematicBreakParser(), 200),
			util.Prioritized(parser.NewListParser(), 300),
			util.Prioritized(parser.NewListItemParser(), 400),
			util.Prioritized(parser.NewCodeBlockParser(), 500),
			util.Prioritized(parser.NewATXHeadingParser(), 600),
			util.Prioritized(parser.NewFencedCodeBlockParser(), 700),
			util.Prioritized(displayParser{}, 750),
			util.Prioritized(parser.NewBlockquoteParser(), 800),
			util.Prioritized(parser.NewParagraphParser(), 1000),
		),
		parser.WithInlineParsers(
			util.Prioritized(parser.NewCodeSpanParser(), 100),
			util.Prioritized(inlineFormulaParser{}, 110),
			util.Prioritized(footnoteParser{}, 190),
			util.Prioritized(parser.NewLinkParser(), 200),
			util.Prioritized(parser.NewAutoLinkParser(), 300),
			util.Prioritized(urlParser{}, 310),
			util.Prioritized(parser.NewRawHTMLParser(), 400),
			util.Prioritized(emphasisParser{}, 500),
		),
	)),
	goldmark.WithExtensions(
		extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute)),
		extension.TaskList,
	),
	goldmark.WithRendererOptions(
		htmlrenderer.WithHardWraps(),
		renderer.WithNodeRenderers(
			util.Prioritized(pageRenderer{}, 100),
			util.Prioritized(extension.NewStrikethroughHTMLRenderer(), 500),
		),
	),
)

// emphasisParser reads *, _ and ~~.
type emphasisParser struct{}

func (emphasisParser) Trigger() []byte { return []byte{'*', '_', '~'} }

func (emphasisParser) Parse(_ ast.Node, block text.Reader, pc parser.Context) ast.Node {
	before := block.PrecendingCharacter()
	line, segment := block.PeekLine()
	d := parser.ScanDelimiter(line, before, 1, delimiter(line[0]))
	if d.Char == '~' && d.OriginalLength != 2 {
		return nil
	}
	after := ' '
	if d.OriginalLength < len(line) {
		after = util.ToRune(line, d.OriginalLength)
	}
	switch {
	case d.Char == '_':
	case isOperator(before, after):
		d.CanOpen, d.CanClose = false, false
	case wide(before), wide(after):
		d.CanOpen = d.CanOpen || !util.IsSpaceRune(after) && !strings.ContainsRune("，、；：。！？…）」』”’》】", after)
		d.CanClose = d.CanClose || !util.IsSpaceRune(before) && !strings.ContainsRune("，、；（「『“‘《【", before)
	}
	d.Segment = segment.WithStop(segment.Start + d.OriginalLength)
	block.Advance(d.OriginalLength)
	pc.PushDelimiter(d)
	return d
}

// isOperator reports whether stars between the two are no emphasis.
func isOperator(before, after rune) bool {
	return before == ' ' && after == ' ' || isWord(before) && isWord(after)
}

func isWord(r rune) bool { return r < utf8.RuneSelf && util.IsAlphaNumeric(byte(r)) }

// wide reports whether r is of a script that is written without spaces, or a
// quotation mark or dash that may belong to one.
func wide(r rune) bool {
	return r >= 0x2E80 || r >= 0x2010 && r <= 0x205E
}

// delimiter is the character of an emphasis.
type delimiter byte

func (d delimiter) IsDelimiter(b byte) bool { return b == byte(d) }

func (d delimiter) CanOpenCloser(opener, closer *parser.Delimiter) bool {
	return opener.Char == closer.Char
}

func (d delimiter) OnMatch(consumes int) ast.Node {
	if d == '~' {
		return extast.NewStrikethrough()
	}
	return ast.NewEmphasis(consumes)
}

// footnoteParser reads "[^1]" as "[1]".
type footnoteParser struct{}

func (footnoteParser) Trigger() []byte { return []byte{'['} }

func (footnoteParser) Parse(_ ast.Node, block text.Reader, _ parser.Context) ast.Node {
	line, _ := block.PeekLine()
	name, ok := bytes.CutPrefix(line, []byte("[^"))
	end := bytes.IndexAny(name, "[] \n")
	if !ok || end <= 0 || name[end] != ']' {
		return nil
	}
	block.Advance(len("[^") + end + len("]"))
	mark := ast.NewString([]byte("[" + string(name[:end]) + "]"))
	mark.SetRaw(true)
	return mark
}

// urlParser reads a bare URL, so that no markup is seen in it. Inline parsers are
// not asked at letters: it starts at the colon and looks back.
type urlParser struct{}

func (urlParser) Trigger() []byte { return []byte{':'} }

func (urlParser) Parse(parent ast.Node, block text.Reader, pc parser.Context) ast.Node {
	line, segment := block.PeekLine()
	before, ok := parent.LastChild().(*ast.Text)
	if !ok || before.Segment.Stop != segment.Start || pc.IsInLinkLabel() {
		return nil
	}
	scheme := schemeAtEnd(before.Segment.Value(block.Source()))
	if scheme == 0 {
		return nil
	}
	length := urlTail(line)
	if length == 0 {
		return nil
	}
	start := segment.Start - scheme
	if before.Segment = before.Segment.WithStop(start); before.Segment.IsEmpty() {
		parent.RemoveChild(parent, before)
	}
	block.Advance(length)
	return ast.NewAutoLink(ast.AutoLinkURL, ast.NewTextSegment(text.NewSegment(start, segment.Start+length)))
}

// schemeAtEnd is the length of the "http" or "https" that b ends with.
func schemeAtEnd(b []byte) int {
	for _, scheme := range []string{"https", "http"} {
		at := len(b) - len(scheme)
		if at >= 0 && strings.EqualFold(string(b[at:]), scheme) && (at == 0 || !util.IsAlphaNumeric(b[at-1])) {
			return len(scheme)
		}
	}
	return 0
}

// urlTail is the length of the "://host/path" at the beginning of line, without
// the punctuation of the sentence around it; 0 if there is none.
func urlTail(line []byte) int {
	const slashes = "://"
	if !bytes.HasPrefix(line, []byte(slashes)) {
		return 0
	}
	end := len(slashes)
	for end < len(line) && urlByte(line[end]) {
		end++
	}
	opened := bytes.Count(line[:end], []byte("(")) - bytes.Count(line[:end], []byte(")"))
	for ; end > len(slashes); end-- {
		if c := line[end-1]; c == ')' && opened < 0 {
			opened++
		} else if !strings.ContainsRune("?!.,:;*_~'", rune(c)) {
			return end
		}
	}
	return 0
}

func urlByte(c byte) bool {
	return c > ' ' && c < 0x7F && !strings.ContainsRune("<>\"`|{}^[]\\", rune(c))
}

// target is where a link may lead; ok is false where it must not be followed.
func target(destination []byte) (url string, ok bool) {
	url = strings.TrimSpace(unescape(destination))
	scheme, _, found := strings.Cut(url, ":")
	if !found || strings.ContainsAny(url, " \t\r\n<>\"") {
		return "", false
	}
	switch strings.ToLower(scheme) {
	case "http", "https":
		ok = strings.HasPrefix(url[len(scheme):], "://")
	case "mailto", "tel":
		ok = true
	}
	return string(util.URLEscape([]byte(url), false)), ok
}

// unescape resolves backslashes before punctuation and HTML entities.
func unescape(source []byte) string {
	if !bytes.ContainsAny(source, `\&`) {
		return string(source)
	}
	var out strings.Builder
	for i := 0; i < len(source); i++ {
		switch c := source[i]; {
		case c == '\\' && i+1 < len(source) && util.IsPunct(source[i+1]):
			i++
			out.WriteByte(source[i])
		case c == '&':
			const longest = 40 // bytes of an entity
			end := bytes.IndexByte(source[i:min(i+longest, len(source))], ';')
			entity := string(source[i : i+end+1])
			if end < 0 || html.UnescapeString(entity) == entity {
				out.WriteByte(c)
				continue
			}
			out.WriteString(html.UnescapeString(entity))
			i += end
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}
