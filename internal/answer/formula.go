package answer

import (
	"bytes"
	"strings"
	"unicode"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

var (
	kindFormula = ast.NewNodeKind("Formula")
	kindDisplay = ast.NewNodeKind("Display")
)

// formula is LaTeX inside a paragraph.
type formula struct {
	ast.BaseInline
	latex string
}

func (*formula) Kind() ast.NodeKind { return kindFormula }

func (f *formula) Dump(source []byte, level int) {
	ast.DumpHelper(f, source, level, map[string]string{"LaTeX": f.latex}, nil)
}

// display is LaTeX in a block of its own.
type display struct {
	ast.BaseBlock
	closer string
	closed bool
}

func (*display) Kind() ast.NodeKind { return kindDisplay }

func (*display) IsRaw() bool { return true }

func (d *display) Dump(source []byte, level int) { ast.DumpHelper(d, source, level, nil, nil) }

// displayParser reads $$ … $$ and \[ … \] that begin a line and end one. A blank
// line ends an unfinished one.
type displayParser struct{}

func (displayParser) Trigger() []byte { return []byte{'$', '\\'} }

func (displayParser) CanInterruptParagraph() bool { return true }

func (displayParser) CanAcceptIndentedLine() bool { return false }

func (displayParser) Open(_ ast.Node, reader text.Reader, pc parser.Context) (ast.Node, parser.State) {
	line, segment := reader.PeekLine()
	offset := pc.BlockOffset()
	if offset < 0 {
		return nil, parser.NoChildren
	}
	d := &display{}
	switch {
	case bytes.HasPrefix(line[offset:], []byte("$$")):
		d.closer = "$$"
	case bytes.HasPrefix(line[offset:], []byte(`\[`)):
		d.closer = `\]`
	default:
		return nil, parser.NoChildren
	}
	offset += len(d.closer)
	body, after, closed := bytes.Cut(line[offset:], []byte(d.closer))
	if closed && !util.IsBlank(after) {
		return nil, parser.NoChildren
	}
	d.closed = closed
	start := segment.Start - segment.Padding + offset
	d.Lines().Append(text.NewSegment(start, start+len(body)))
	reader.AdvanceToEOL()
	return d, parser.NoChildren
}

func (displayParser) Continue(node ast.Node, reader text.Reader, _ parser.Context) parser.State {
	d := node.(*display)
	line, segment := reader.PeekLine()
	if d.closed || util.IsBlank(line) {
		return parser.Close
	}
	body, _, closed := bytes.Cut(line, []byte(d.closer))
	d.Lines().Append(segment.WithStop(segment.Start - segment.Padding + len(body)))
	if closed {
		reader.Advance(len(body) + len(d.closer))
		return parser.Close
	}
	reader.AdvanceToEOL()
	return parser.Continue | parser.NoChildren
}

func (displayParser) Close(ast.Node, text.Reader, parser.Context) {}

// inlineFormulaParser reads \( … \), \[ … \], $$ … $$ and $ … $ on one line.
// Unfinished ones reach to its end, except after a single dollar sign, which
// may be money.
type inlineFormulaParser struct{}

func (inlineFormulaParser) Trigger() []byte { return []byte{'$', '\\'} }

func (inlineFormulaParser) Parse(_ ast.Node, block text.Reader, _ parser.Context) ast.Node {
	line, _ := block.PeekLine()
	var closer string
	switch {
	case bytes.HasPrefix(line, []byte(`\(`)):
		closer = `\)`
	case bytes.HasPrefix(line, []byte(`\[`)):
		closer = `\]`
	case bytes.HasPrefix(line, []byte("$$")):
		closer = "$$"
	case line[0] == '$':
		end := dollarFormula(line[1:])
		if end < 0 {
			return nil
		}
		block.Advance(end + len("$$"))
		return &formula{latex: string(line[1 : 1+end])}
	default:
		return nil
	}
	body, _, closed := bytes.Cut(line[len(closer):], []byte(closer))
	body = bytes.TrimRight(body, "\n")
	advance := len(closer) + len(body)
	if closed {
		advance += len(closer)
	}
	latex := string(body)
	if closer == `\]` && strings.Trim(latex, "0123456789,-") == "" {
		latex = "[" + latex + "]" // an escaped reference
	}
	block.Advance(advance)
	return &formula{latex: latex}
}

// dollarFormula is the length of the formula in s, which follows a dollar sign;
// -1 if what follows is money, a variable of a shell or the like.
func dollarFormula(s []byte) int {
	end := bytes.IndexAny(s, "$`\n")
	for end > 0 && s[end] == '$' && s[end-1] == '\\' {
		next := bytes.IndexAny(s[end+1:], "$`\n")
		if next < 0 {
			return -1
		}
		end += 1 + next
	}
	if end <= 0 || s[end] != '$' || util.IsSpace(s[0]) || util.IsSpace(s[end-1]) {
		return -1
	}
	if end+1 < len(s) && util.IsAlphaNumeric(s[end+1]) {
		return -1
	}
	body := string(s[:end])
	if strings.ContainsAny(body, `\^_=`) {
		return end
	}
	if strings.IndexFunc(body, wide) >= 0 || unicode.IsDigit(rune(body[0])) && strings.Contains(body, " ") && !strings.ContainsAny(body, "+-*/<>") {
		return -1
	}
	return end
}
