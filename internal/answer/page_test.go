package answer

import (
	"crypto/sha256"
	"encoding/base64"
	"regexp"
	"strings"
	"testing"
	"time"
)

func page(t testing.TB, markdown string) string {
	t.Helper()
	asked := time.Date(2026, 3, 1, 9, 30, 0, 0, time.FixedZone("", 8*3600))
	html, err := Page(PageContent{
		Question: "线性回归是什么？\n<b>请</b>举例",
		Markdown: markdown,
		Account:  "是雯子吖 & <i>",
		Asked:    asked,
		Expires:  asked.Add(48 * time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(html)
}

func TestUnfinishedPage(t *testing.T) {
	html, err := Page(PageContent{Markdown: "第一段。", Refresh: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`<meta http-equiv="refresh" content="5">`, "<p>第一段。</p>", "每 5 秒"} {
		if !strings.Contains(string(html), want) {
			t.Errorf("lacks %s", want)
		}
	}
}

// The policy names the hash of the style that both pages have, and allows nothing
// else.
func TestPageCSP(t *testing.T) {
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`)
	for name, html := range map[string]string{"answer": page(t, "x"), "gone": string(GonePage())} {
		styles := style.FindAllStringSubmatch(html, -1)
		if len(styles) != 1 {
			t.Fatalf("the %s page has %d styles", name, len(styles))
		}
		sum := sha256.Sum256([]byte(styles[0][1]))
		want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "';"
		if !strings.Contains(PageCSP, want) {
			t.Errorf("the %s page's style needs %s\nPageCSP has %s", name, want, PageCSP)
		}
	}
}

var (
	tag        = regexp.MustCompile(`<[^>]*>`)
	allowedTag = regexp.MustCompile(`^<(?:/?(?:p|h[1-6]|strong|em|del|ul|ol|li|blockquote|table|thead|tbody|tr|th|td|pre|code|br|hr|sup|sub)` +
		`|(?:th|td) align="(?:left|right|center)"|ol start="\d+"|code class="language-[^"<>]*"|p class="formula"` +
		`|input (?:checked="" )?disabled="" type="checkbox"` +
		`|a rel="noreferrer noopener nofollow" href="(?:(?i:https?)://|(?i:mailto|tel):)[^"<>]*"|/a)>$`)
)

// checkPage checks that, whatever the model has written, its page has only such
// elements, with only such attributes, and links that leave without a trace.
func checkPage(t testing.TB, markdown string) {
	t.Helper()
	_, body, _ := strings.Cut(page(t, markdown), "<main>\n")
	body, _, _ = strings.Cut(body, "</main>\n<footer>")
	for _, element := range tag.FindAllString(body, -1) {
		if !allowedTag.MatchString(element) {
			t.Errorf("the page has %s", element)
		}
	}
	if rest := tag.ReplaceAllString(body, ""); strings.ContainsAny(rest, "<>\"") {
		t.Errorf("the page has unescaped text: %s", rest)
	}
}

func TestPageElements(t *testing.T) {
	all := answers(t)
	all["schemes"] = "[a](JaVaScRiPt:alert(1)) [b](\tjavascript:x) [c](&#106;avascript:x) [d](data:text/html,x) [e](vbscript:x) " +
		"[f](//evil.example) [g](weixin://dl) <javascript:alert(1)> [h](https:evil) [i](<https://a\"onclick=\"x>) [j](https://a\"b 'x\" onclick=y')"
	all["images"] = `![x](https://evil.example/track.gif) <img src="https://evil.example/track.gif"> ![x](x" onerror="alert(1))`
	all["html"] += "<svg/onload=alert(1)> <b onclick=x>y</b> <sup onclick=x>z</sup> <sup>\n\n<iframe src=x></iframe><style>*{}</style>\n\n~~~\" onclick=x\ny"
	for name, source := range all {
		t.Run(name, func(t *testing.T) { checkPage(t, source) })
	}
}

func FuzzPage(f *testing.F) {
	for _, source := range answers(f) {
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source string) { checkPage(t, source) })
}

func TestPage(t *testing.T) {
	html := page(t, "| 甲 | 乙 |\n|---|--:|\n| $x^2$ | ~~旧~~ |\n\n$$\ny = \\frac{a}{b}\n$$\n\n见https://example.com/。![图](https://example.com/a.png) H<sub>2</sub>O\x00")
	for _, want := range []string{
		"<html lang=\"zh-CN\">",
		"<title>线性回归是什么？…</title>",
		"<meta name=\"robots\" content=\"noindex,nofollow\">",
		"<meta name=\"referrer\" content=\"no-referrer\">",
		"是雯子吖 &amp; &lt;i&gt;",
		"线性回归是什么？\n&lt;b&gt;请&lt;/b&gt;举例",
		"2026-03-01 09:30",
		"2026-03-03 09:30",
		"<td>x²</td>\n<td align=\"right\"><del>旧</del></td>",
		"<p class=\"formula\">y = a/b</p>",
		"见<a rel=\"noreferrer noopener nofollow\" href=\"https://example.com/\">https://example.com/</a>。",
		"href=\"https://example.com/a.png\">〔图片：图〕</a>",
		"H<sub>2</sub>O</p>",
	} {
		if !strings.Contains(html, want) {
			t.Errorf("lacks %s", want)
		}
	}
	for _, unwanted := range []string{"<script", "<img", "src=", "http-equiv", "@import", "url("} {
		for name, html := range map[string]string{"answer": html, "gone": string(GonePage())} {
			if strings.Contains(html, unwanted) {
				t.Errorf("the %s page has %s", name, unwanted)
			}
		}
	}
}
