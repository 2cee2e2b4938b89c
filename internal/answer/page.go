package answer

import (
	"bytes"
	_ "embed"
	"html"
	"html/template"
	"strings"
	"time"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/util"
)

// PageCSP is the Content-Security-Policy with which Page and GonePage must be
// served: their own style, which it names by its hash, and nothing else.
const PageCSP = "default-src 'none'; style-src 'sha256-V9H0MZWn3FKHhKCkegkU6fGdEODY1oYqLEfFiW85SUc='; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

//go:embed page.html
var pageHTML string

var pages = template.Must(template.New("").Parse(pageHTML))

// PageContent is an answer with what stands around it. The times are shown in
// their own time zone.
type PageContent struct {
	Question string // plain text
	Markdown string // the answer
	Account  string // the account's name
	Asked    time.Time
	Expires  time.Time // when the page will be gone
	// Refresh has the page load itself again, because there will be more.
	Refresh time.Duration
}

// Page is the answer as one HTML document, for a phone first. It needs nothing
// from anywhere. Serve it with PageCSP.
func Page(p PageContent) ([]byte, error) {
	var body bytes.Buffer
	if err := markdown.Convert([]byte(clean(p.Markdown)), &body); err != nil {
		return nil, err
	}
	const minute = "2006-01-02 15:04"
	const titleRunes = 30
	return render("answer", struct {
		Title, Question, Account, Asked, Expires string
		Body                                     template.HTML
		Refresh                                  int
	}{
		Title:    Preview(p.Question, titleRunes),
		Question: clean(p.Question),
		Account:  clean(p.Account),
		Asked:    p.Asked.Format(minute),
		Expires:  p.Expires.Format(minute),
		Body:     template.HTML(body.String()), // escaped by goldmark and pageRenderer
		Refresh:  int(p.Refresh.Seconds()),
	})
}

// GonePage is the HTML document for an answer that has expired or never was.
// Serve it with PageCSP.
func GonePage() []byte {
	page, _ := render("gone", nil) // written to memory from no data: no error
	return page
}

func render(name string, data any) ([]byte, error) {
	var page bytes.Buffer
	err := pages.ExecuteTemplate(&page, name, data)
	return page.Bytes(), err
}

// pageRenderer renders what goldmark must not: links go only where target allows,
// images are links, tags are dropped, formulas are text.
type pageRenderer struct{}

func (pageRenderer) RegisterFuncs(register renderer.NodeRendererFuncRegisterer) {
	for kind, render := range map[ast.NodeKind]func(n ast.Node, source []byte, entering bool) string{
		ast.KindLink:     linkHTML,
		ast.KindAutoLink: autoLinkHTML,
		ast.KindImage:    imageHTML,
		ast.KindRawHTML:  tagHTML,
		kindFormula:      formulaHTML,
		kindDisplay:      displayHTML,
	} {
		register.Register(kind, func(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
			_, err := w.WriteString(render(n, source, entering))
			return ast.WalkContinue, err
		})
	}
}

func linkHTML(n ast.Node, _ []byte, entering bool) string {
	url, ok := target(n.(*ast.Link).Destination)
	switch {
	case !ok:
		return ""
	case entering:
		return openLink(url)
	}
	return "</a>"
}

func openLink(url string) string {
	return `<a rel="noreferrer noopener nofollow" href="` + html.EscapeString(url) + `">`
}

func autoLinkHTML(n ast.Node, source []byte, entering bool) string {
	if !entering {
		return ""
	}
	link := n.(*ast.AutoLink)
	label := string(link.Label(source))
	destination := label
	if link.AutoLinkType == ast.AutoLinkEmail {
		destination = "mailto:" + label
	}
	if url, ok := target([]byte(destination)); ok {
		return openLink(url) + html.EscapeString(label) + "</a>"
	}
	return html.EscapeString(label)
}

func imageHTML(n ast.Node, _ []byte, entering bool) string {
	open, end := "", ""
	_, inLink := n.Parent().(*ast.Link)
	if url, ok := target(n.(*ast.Image).Destination); ok && !inLink {
		open, end = openLink(url), "</a>"
	}
	switch {
	case !entering:
		return "〕" + end
	case n.HasChildren():
		return open + "〔图片："
	}
	return open + "〔图片"
}

func tagHTML(n ast.Node, source []byte, entering bool) string {
	if !entering {
		return ""
	}
	raw := string(n.(*ast.RawHTML).Segments.Value(source))
	tag, name := strings.ToLower(raw), tagName(raw)
	switch kind := kindOfTag(name); {
	case tag == "<sup>", tag == "</sup>", tag == "<sub>", tag == "</sub>":
		return tag
	case name == "br", kind == lineTag && strings.HasPrefix(tag, "</"):
		return "<br>"
	case kind == cellTag:
		return " "
	case kind == unknownTag && name != "":
		return html.EscapeString(raw)
	}
	return ""
}

func formulaHTML(n ast.Node, _ []byte, entering bool) string {
	if !entering {
		return ""
	}
	return html.EscapeString(readable(n.(*formula).latex, false))
}

func displayHTML(n ast.Node, source []byte, entering bool) string {
	if !entering {
		return ""
	}
	return `<p class="formula">` + html.EscapeString(readable(string(n.Lines().Value(source)), true)) + "</p>\n"
}
