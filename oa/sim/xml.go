package sim

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/wenzihq/wenzi/oa"
)

// maxDepth bounds nesting; the deepest reply, news, has four levels.
const maxDepth = 32

// parse reads what should be the XML of a reply and returns the elements inside
// <xml>. Other than oa.ParseElements it forgives nothing.
func parse(body []byte) ([]oa.Element, *Remark) {
	if problem := sniff(body); problem != nil {
		return nil, problem
	}
	return (&reader{body: body, d: xml.NewDecoder(bytes.NewReader(body))}).read()
}

// sniff recognises bodies that are something else than XML.
func sniff(body []byte) *Remark {
	if bytes.HasPrefix(body, []byte("\xef\xbb\xbf")) {
		return remark(RuleLeading, "回复前面有 BOM（字节 EF BB BF），请用无 BOM 的 UTF-8",
			"a BOM (bytes EF BB BF) stands before the reply, send UTF-8 without one")
	}
	trimmed := bytes.TrimSpace(body)
	lower := bytes.ToLower(trimmed[:min(len(trimmed), 512)])
	switch {
	case len(trimmed) == 0 || bytes.EqualFold(trimmed, []byte("success")):
		return remark(RuleSuccess, "不回复时只能是空的，或正好 7 个字节 success，这里是 %q",
			"to say nothing the body is empty or exactly the 7 bytes success, this one is %q", excerpt(body))
	case bytes.EqualFold(bytes.Trim(trimmed, `"'`), []byte("success")):
		return remark(RuleJSON, "success 带了引号 %s，必须正好是 7 个字节 success",
			"success stands in quotes %s, it must be exactly the 7 bytes success", excerpt(trimmed))
	case bytes.HasPrefix(lower, []byte("<!doctype html")), bytes.HasPrefix(lower, []byte("<html")):
		return remark(RuleHTML, "回复是一个 HTML 页面，不是 XML", "the body is an HTML page, not XML")
	case trimmed[0] == '{', trimmed[0] == '[', trimmed[0] == '"':
		return remark(RuleJSON, "回复是 JSON，不是 XML", "the body is JSON, not XML")
	}
	if at := invalidUTF8(body); at >= 0 {
		line, column := position(body, at)
		return remark(RuleUTF8, "第 %d 行第 %d 列不是 UTF-8（是 GBK 吗？）",
			"line %d, column %d is not UTF-8 (is it GBK?)", line, column)
	}
	if trimmed[0] != '<' {
		if i := bytes.Index(body, []byte("<xml>")); i > 0 {
			return leading(body[:i])
		}
		return remark(RuleText, "回复不是 XML，也不是 success，而是 %q",
			"the body is neither XML nor success but %q", excerpt(body))
	}
	if at := bytes.IndexFunc(body, forbidden); at >= 0 {
		r, _ := utf8.DecodeRune(body[at:])
		line, column := position(body, at)
		return remark(RuleCharacter, "第 %d 行第 %d 列有 XML 不允许的字符 U+%04X",
			"line %d, column %d has the character U+%04X, which XML forbids", line, column, r)
	}
	return nil
}

func leading(output []byte) *Remark {
	return remark(RuleLeading, "<xml> 前面有多余的输出 %q", "other output stands before <xml>: %q", excerpt(output))
}

// forbidden reports whether XML 1.0 forbids the character (reference §7).
func forbidden(r rune) bool {
	return r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
}

func invalidUTF8(b []byte) int {
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// position tells line and column, in characters from 1, of a byte offset.
func position(body []byte, offset int) (line, column int) {
	before := body[:min(offset, len(body))]
	start := bytes.LastIndexByte(before, '\n') + 1
	return bytes.Count(before, []byte("\n")) + 1, utf8.RuneCount(before[start:]) + 1
}

// excerpt is the beginning of a body, short enough to stand in a sentence.
func excerpt(b []byte) string {
	const most = 60
	if len(b) <= most {
		return string(b)
	}
	return oa.Clip(string(b[:most]), most-utf8.UTFMax) + "…"
}

// reader builds elements of the raw tokens of a body, which know nothing of
// name spaces and let it say itself where tags do not match.
type reader struct {
	body  []byte
	d     *xml.Decoder
	stack []open
}

// open is an element whose closing tag is still to come.
type open struct {
	oa.Element
	at   int // offset of its tag
	text []byte
}

func (r *reader) read() ([]oa.Element, *Remark) {
	var root *oa.Element
	for {
		at := int(r.d.InputOffset())
		token, err := r.d.RawToken()
		switch {
		case errors.Is(err, io.EOF) && len(r.stack) > 0:
			top := r.stack[len(r.stack)-1]
			return nil, r.wrong(top.at, "<%s> 没有结束标签", "<%s> is never closed", clip(top.Name))
		case errors.Is(err, io.EOF) && root == nil:
			return nil, r.wrong(at, "没有 <xml>", "there is no <xml>")
		case errors.Is(err, io.EOF):
			return root.Children, nil
		case err != nil:
			return nil, r.syntax(at, err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			name := rawName(t.Name)
			if root != nil {
				return nil, r.wrong(at, "</xml> 后面还有 <%s>", "<%s> stands behind </xml>", clip(name))
			}
			if len(r.stack) == 0 && name != "xml" {
				return nil, r.wrongRoot(at, name)
			}
			if len(r.stack) == maxDepth {
				return nil, r.wrong(at, "元素嵌套超过 %d 层", "elements are nested deeper than %d levels", maxDepth)
			}
			r.stack = append(r.stack, open{Element: oa.Element{Name: name}, at: at})
		case xml.EndElement:
			name := rawName(t.Name)
			if len(r.stack) == 0 {
				return nil, r.wrong(at, "多了 </%s>", "</%s> closes nothing", clip(name))
			}
			top := &r.stack[len(r.stack)-1]
			if top.Name != name {
				if bytes.Contains(top.text, []byte("]]</"+top.Name+">")) {
					return nil, r.wrong(top.at, "<%s> 的 CDATA 没有以 ]]> 结束", "the CDATA of <%s> is not ended by ]]>", clip(top.Name))
				}
				return nil, r.wrong(at, "<%s> 被 </%s> 结束", "<%s> is closed by </%s>", clip(top.Name), clip(name))
			}
			e := top.Element
			e.Text = string(top.text)
			if r.stack = r.stack[:len(r.stack)-1]; len(r.stack) == 0 {
				root = &e
				continue
			}
			parent := &r.stack[len(r.stack)-1]
			parent.Children = append(parent.Children, e)
		case xml.CharData:
			if len(r.stack) > 0 {
				top := &r.stack[len(r.stack)-1]
				top.text = append(top.text, t...)
			} else if len(bytes.TrimSpace(t)) > 0 {
				return nil, r.wrong(at, "</xml> 后面还有多余的输出 %q", "other output stands behind </xml>: %q", excerpt(bytes.TrimSpace(t)))
			}
		case xml.ProcInst:
			if t.Target == "xml" && at > 0 {
				return nil, r.wrong(at, "<?xml …?> 只能在最前面", "<?xml …?> may stand at the very beginning only")
			}
		case xml.Directive:
			return nil, r.wrong(at, "不能有 <!DOCTYPE> 等声明", "a declaration such as <!DOCTYPE> must not be there")
		}
	}
}

func (r *reader) wrongRoot(at int, name string) *Remark {
	if i := bytes.Index(r.body[at:], []byte("<xml>")); i > 0 {
		return leading(r.body[:at+i])
	}
	return remark(RuleSpelling, "最外层元素应是 <xml>，这里是 <%s>", "the outermost element must be <xml>, this is <%s>", clip(name))
}

func rawName(n xml.Name) string {
	if n.Space != "" {
		return n.Space + ":" + n.Local
	}
	return n.Local
}

// syntax says what encoding/xml found wrong with the token that begins at an
// offset.
func (r *reader) syntax(at int, err error) *Remark {
	var s *xml.SyntaxError
	if !errors.As(err, &s) { // the only other errors are about the declared encoding
		return remark(RuleUTF8, "XML 声明的编码不是 UTF-8", "the XML declaration names another encoding than UTF-8")
	}
	if strings.Contains(s.Msg, "CDATA section") && bytes.HasPrefix(r.body[at:], []byte("<![CDATA[")) {
		return r.wrong(at, "<![CDATA[ 没有以 ]]> 结束", "<![CDATA[ is not ended by ]]>")
	}
	return r.wrong(int(r.d.InputOffset()), "XML 语法错误：%s", "XML syntax: %s", s.Msg)
}

func (r *reader) wrong(at int, chinese, english string, args ...any) *Remark {
	line, column := position(r.body, at)
	args = append([]any{line, column}, args...)
	return remark(RuleXML, "不是合法的 XML，第 %d 行第 %d 列："+chinese, "not well-formed XML, line %d, column %d: "+english, args...)
}
