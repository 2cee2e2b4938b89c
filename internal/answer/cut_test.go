package answer

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestCut(t *testing.T) {
	for _, test := range []struct {
		name, text string
		maxBytes   int
		page, rest string
	}{
		{"fits", "\n一二三\n", 9, "一二三", ""},
		{"nothing", " \n ", 9, "", ""},
		{"paragraph", "第一段。还是。\n\n第二段。\n第二行", 40, "第一段。还是。", "第二段。\n第二行"},
		{"paragraph that just fits", "一二三\n\n四五六", 9, "一二三", "四五六"},
		{"line before sentence", "第一行\n第二行。第三句也在第二行", 27, "第一行", "第二行。第三句也在第二行"},
		{"not a paragraph that is too short", "好。\n\n第一行就比较长了\n第二行", 40, "好。\n\n第一行就比较长了", "第二行"},
		{"sentence with its quotation mark", "他说：“走吧。”然后他们就走了很远很远", 36, "他说：“走吧。”", "然后他们就走了很远很远"},
		{"run of terminators", "什么？！！真的吗，我完全不相信", 30, "什么？！！", "真的吗，我完全不相信"},
		{"English sentence", "One is 3.14. Two is e.g. much more than that", 20, "One is 3.14.", "Two is e.g. much more than that"},
		{"number of an item is no sentence", "10. ab cdefgh", 8, "10. ab", "cdefgh"},
		{"word", "internationalization localization", 25, "internationalization", "localization"},
		{"comma", "一二三，四五六七八九十", 21, "一二三，", "四五六七八九十"},
		{"comma not before a closing bracket", "一二（三，）四五六七八九十", 21, "一二（三，）", "四五六七八九十"},
		{"characters", "一二三四五六七八九十", 10, "一二三", "四五六七八九十"},
		{"family", "一二👨‍👩‍👧‍👦三", 20, "一二", "👨‍👩‍👧‍👦三"},
		{"skin tone", "一二👍🏽三", 12, "一二", "👍🏽三"},
		{"flags", "🇨🇳🇯🇵🇰🇷", 20, "🇨🇳🇯🇵", "🇰🇷"},
		{"flag of England", "一🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f二", 20, "一", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f二"},
		{"keycap", "一二三1️⃣四", 12, "一二三", "1️⃣四"},
		{"combining mark", "一二e\u0301三", 7, "一二", "e\u0301三"},
		{"character longer than a page", "👨‍👩‍👧‍👦", 12, "👨\u200d👩", "\u200d👧\u200d👦"},
		{"URL", "详细说明请见https://example.com/a/b/c", 30, "详细说明请见", "https://example.com/a/b/c"},
		{"URL longer than a page", "见https://example.com/a/b/c", 20, "见https://example.c", "om/a/b/c"},
		{"heading stays with its text", "前面的一段。\n【标题】\n后面的一段文字。", 40, "前面的一段。", "【标题】\n后面的一段文字。"},
		{"colon stays with its list", "前面的一段。\n如下：\n• 后面的一段文字。", 40, "前面的一段。", "如下：\n• 后面的一段文字。"},
		{"indentation of the next line", "if x:\n    return 1\n    return 2", 20, "if x:\n    return 1", "    return 2"},
		{"indentation of the first line", "    return 1\n    return 2", 14, "    return 1", "    return 2"},
		{"indentation of a whole page", "\n                    一二三", 9, "一二三", ""},
		{"less than a rune", "一二", 1, "一", "二"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if page, rest := Cut(test.text, test.maxBytes); page != test.page || rest != test.rest {
				t.Errorf("Cut(%q, %d):\n got %q and %q\nwant %q and %q", test.text, test.maxBytes, page, rest, test.page, test.rest)
			}
		})
	}
}

// anyText draws what answers are made of.
func anyText(t *rapid.T) string {
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{
			" ", "\n", "\n\n", "　", "。", "！", "”", "……", ". ", ", ", "，", "：", "【", "】", "• ", "12. ", "word", "https://example.com/a?b=c&d=e",
			"👨‍👩‍👧‍👦", "🇨🇳", "👍🏽", "1️⃣", "e\u0301", "\u200d", "字", "一句话", "\u0301",
		}),
		rapid.StringN(0, 8, -1),
	)
	return strings.Join(rapid.SliceOfN(piece, 0, 60).Draw(t, "pieces"), "")
}

// checkCut checks what holds for every cut.
func checkCut(t interface{ Fatalf(string, ...any) }, text string, maxBytes int) (rest string) {
	page, rest := Cut(text, maxBytes)
	solid := func(s string) string { return strings.Join(strings.FieldsFunc(s, unicode.IsSpace), "") }
	switch {
	case solid(page)+solid(rest) != solid(text):
		t.Fatalf("Cut(%q, %d) loses or adds something: %q and %q", text, maxBytes, page, rest)
	case len(page) > maxBytes:
		t.Fatalf("Cut(%q, %d) gives a page of %d bytes", text, maxBytes, len(page))
	case page == "" && solid(text) != "":
		t.Fatalf("Cut(%q, %d) gives an empty page", text, maxBytes)
	case utf8.ValidString(text) && !utf8.ValidString(page):
		t.Fatalf("Cut(%q, %d) cuts a rune", text, maxBytes)
	case strings.TrimRightFunc(page, unicode.IsSpace) != page || strings.HasPrefix(rest, "\n"):
		t.Fatalf("Cut(%q, %d) leaves blanks: %q and %q", text, maxBytes, page, rest)
	}
	return rest
}

func TestCutProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		maxBytes := rapid.IntRange(utf8.UTFMax, 300).Draw(t, "maxBytes")
		for rest := anyText(t); rest != ""; {
			rest = checkCut(t, rest, maxBytes)
		}
	})
}

// A page is at least a third of the limit where no character or URL is longer than
// the rest of it, and ends between characters and outside of URLs.
func TestCutEndsWell(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const maxBytes = 120 // more than three URLs or families
		text := strings.TrimSpace(anyText(t))
		page, rest := Cut(text, maxBytes)
		if rest == "" {
			return
		}
		long := 0
		for at := 0; at < len(text); {
			length := characterLength(text[at:])
			if at < len(page) && len(page) < at+length {
				t.Fatalf("%q is cut inside %q", page, text[at:at+length])
			}
			long = max(long, length)
			at += length
		}
		for _, link := range urls.FindAllStringIndex(text, -1) {
			if link[0] < len(page) && len(page) < link[1] && link[0] >= maxBytes/3 {
				t.Fatalf("%q is cut inside a URL", page)
			}
		}
		blank := strings.IndexFunc(text, unicode.IsSpace) >= 0
		if len(page) < maxBytes/3 && long < maxBytes/3 && !blank && len(urls.FindAllString(text, -1)) == 0 {
			t.Fatalf("%q is short", page)
		}
	})
}

func FuzzCut(f *testing.F) {
	f.Add("第一段。\n\n第二段：见https://example.com/ 👨‍👩‍👧‍👦。", 20)
	f.Add("\xff\xfe 1. a", 4)
	f.Fuzz(func(t *testing.T, text string, maxBytes int) {
		maxBytes = max(maxBytes%2048, utf8.UTFMax)
		for rest := text; rest != ""; {
			rest = checkCut(t, rest, maxBytes)
		}
		if shown := Sentences(text); !strings.HasPrefix(text, shown) {
			t.Fatalf("%q is no beginning of %q", shown, text)
		}
	})
}

func TestSentences(t *testing.T) {
	for text, want := range map[string]string{
		"":                  "",
		"还没有说完":             "",
		"第一句。第二句":           "第一句。",
		"第一句。":              "第一句。",
		"他说：“走吧。”然后":        "他说：“走吧。”",
		"真的？！……是的":          "真的？！……",
		"One. Two":          "One.",
		"One.":              "", // may become 1.5
		"Pi is 3.14":        "",
		"v1.2 is out! More": "v1.2 is out!",
		"第一段\n\n第二段":        "第一段",
		"【标题】\n\n第二段":       "",
		"【为什么？】\n因为":        "",
		"如下：\n\n• 苹果\n• 香蕉": "如下：\n\n• 苹果",
		"1. 苹果\n2. 香":       "1. 苹果",
		"◆ 城市：北京\n人口：2189\n\n◆ 城市": "◆ 城市：北京\n人口：2189",
		"诗行\n又一行": "",
		"第一句。\n1": "第一句。",
	} {
		if got := Sentences(text); got != want {
			t.Errorf("Sentences(%q) is %q, want %q", text, got, want)
		}
	}
}

func TestPreview(t *testing.T) {
	for _, test := range []struct {
		text  string
		runes int
		want  string
	}{
		{"今天天气怎么样？", 10, "今天天气怎么样？"},
		{"今天天气怎么样？", 8, "今天天气怎么样？"},
		{"今天天气怎么样？", 7, "今天天气怎么…"},
		{" \n 今天  天气\t怎么样\n明天呢", 20, "今天 天气 怎么样…"},
		{"今天，\n明天", 20, "今天…"},
		{"今天天气\n明天", 4, "今天天…"},
		{"我们一家👨‍👩‍👧‍👦很好", 8, "我们一家…"},
		{"<a href=\"https://example.com/\">x</a>\x00", 40, "＜a href=\"https://example.com/\">x＜/a>"},
		{"", 5, ""},
	} {
		if got := Preview(test.text, test.runes); got != test.want {
			t.Errorf("Preview(%q, %d) is %q, want %q", test.text, test.runes, got, test.want)
		}
	}
}
