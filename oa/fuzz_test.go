package oa

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"maps"
	"math/rand/v2"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// xmlTree reads well-formed XML with encoding/xml and nothing of this package.
func xmlTree(s string) (elements []Element, depth int, err error) {
	d := xml.NewDecoder(strings.NewReader(s))
	var read func(level int) ([]Element, string, error)
	read = func(level int) (children []Element, text string, err error) {
		depth = max(depth, level)
		for {
			t, err := d.Token()
			if err != nil {
				return nil, "", err
			}
			switch t := t.(type) {
			case xml.CharData:
				text += string(t)
			case xml.EndElement:
				return children, text, nil
			case xml.StartElement:
				if level > 4*maxDepth {
					return nil, "", errMalformed
				}
				e := Element{Name: t.Name.Local}
				if e.Children, e.Text, err = read(level + 1); err != nil {
					return nil, "", err
				}
				children = append(children, e)
			}
		}
	}
	for {
		t, err := d.Token()
		if err != nil {
			return nil, 0, err
		}
		if start, ok := t.(xml.StartElement); ok {
			if start.Name.Local != "xml" {
				return nil, 0, errMalformed
			}
			elements, _, err = read(0)
			return elements, depth, err
		}
	}
}

// layoutless makes trees comparable: blanks around texts are layout, but for a
// message's Content; so is text around children.
func layoutless(elements []Element, level int) []Element {
	var out []Element
	for _, e := range elements {
		if level > 0 || e.Name != "Content" {
			e.Text = strings.TrimSpace(e.Text)
		}
		if len(e.Children) > 0 {
			e.Text = ""
		}
		e.Children = layoutless(e.Children, level+1)
		out = append(out, e)
	}
	return out
}

// FuzzScan holds the scanner against encoding/xml wherever reference §10 does
// not decide otherwise, and lets it read anything.
func FuzzScan(f *testing.F) {
	for _, s := range loadReference(f).samples {
		f.Add(s.xml)
	}
	for _, v := range loadReference(f).vectors {
		f.Add(v.plain)
	}
	for _, s := range []string{
		"<xml><A a='1'>x<!-- c -->y</A><B/></xml>", "<xml><A>&lt;&#65;&#x41;&amp;</A></xml>", "<xml><A><![CDATA[a]]]]><![CDATA[>b]]></A></xml>",
		"\uFEFF<?xml version='1.0'?>\r\n<xml> <A> <![CDATA[ x ]]> </A> </xml> ", "<xml><Content> <![CDATA[x]]> y</Content></xml>", "<xml>text<A></A></xml>",
		"<xml><Content><![CDATA[a]]></Content></xml>]]></Content></xml>", "<x:xml xmlns:x='y'><x:A>1</x:A></x:xml>", "<xml><A><![CDATA[x", "<xml><A>x]]></A></xml>",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		s := clean([]byte(body))
		if again := clean([]byte(s)); again != s {
			t.Errorf("cleaned twice: %q, %q", s, again)
		}
		got, err := scan(s, nil)
		if m, err := ParseMessage([]byte(body)); err == nil {
			r := &Request{Message: m, body: s}
			if key := r.Key(); !utf8.ValidString(key) || strings.Contains(key, "\x00") {
				t.Errorf("key %q", key)
			}
			if _, err := Marshal(m); err != nil {
				t.Error(err)
			}
		}
		compareScan(t, s, got, err)
	})
}

var elementBehindCDATA = regexp.MustCompile(`\]\]>[^<]*<[^/!]`)

// compareScan holds what scan made of s against encoding/xml, where that can
// read it and a Content closes once at most.
func compareScan(t *testing.T, s string, got []Element, err error) {
	t.Helper()
	if isJSON(s) || strings.Count(s, "</Content") > 1 {
		return
	}
	if _, body, _ := strings.Cut(s, "<xml"); strings.Contains(body, cdataOpen) && (strings.Contains(body, "<!--") || strings.Contains(body, "<?")) {
		return // a comment behind a "]]>" is what a follower typed
	}
	if elementBehindCDATA.MatchString(s) {
		return // and so is an element
	}
	want, depth, wantErr := xmlTree(s)
	if wantErr != nil || depth > maxDepth {
		return
	}
	if err != nil {
		t.Fatalf("%q is well-formed, but: %v", s, err)
	}
	// Of a surrogate written as an entity encoding/xml makes U+FFFD.
	if diff := cmp.Diff(layoutless(want, 0), layoutless(got, 0)); diff != "" && !strings.Contains(diff, "\uFFFD") {
		t.Errorf("encoding/xml and scan differ on %q (-want +got):\n%s", s, diff)
	}
}

// composer writes well-formed XML by the bytes of a fuzzer.
type composer struct {
	choices []byte
	strings.Builder
}

func (c *composer) choose(n int) int {
	if len(c.choices) == 0 {
		return 0
	}
	i := int(c.choices[0]) % n
	c.choices = c.choices[1:]
	return i
}

func (c *composer) pick(tokens ...string) { c.WriteString(tokens[c.choose(len(tokens))]) }

func (c *composer) children(depth int) {
	if depth == 0 && c.choose(4) == 0 {
		c.WriteString("<!-- <A> -->")
	}
	names := []string{"Content", "A", "MsgId", "item", "xml", "Encrypt", "_b-c.d1", "Content1"}
	for c.choose(8) != 0 && len(names) > 0 {
		c.pick("", "\n", "    ", "\t \n")
		i := c.choose(len(names))
		c.element(names[i], depth)
		names = slices.Delete(names, i, i+1)
	}
	c.pick("", "\n", " ")
}

func (c *composer) element(name string, depth int) {
	c.WriteString("<" + name)
	c.pick(">", ">", ">", ">", " >", " a='b'>")
	for c.choose(4) != 0 {
		switch c.choose(6) {
		case 0:
			if depth < 5 {
				c.children(depth + 1)
			}
		case 1, 2, 3:
			c.WriteString("<![CDATA[")
			for c.choose(5) != 0 {
				c.pick("x", " ", "\n", "]", "]]", ">", "<", "&lt;", "</"+name+">", "<![CDATA[", "中", "]]]]><![CDATA[>")
			}
			c.WriteString("]]>")
		default:
			for c.choose(5) != 0 {
				c.pick("y", " ", "\n", "]", "]]", ">", "&lt;", "&#65;", "&#x4e2d;", "&amp;", "中")
			}
		}
	}
	c.WriteString("</" + name)
	c.pick(">", ">", ">", ">", " >")
}

// FuzzScanWellFormed is FuzzScan on XML that is well-formed, nearly always.
func FuzzScanWellFormed(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		b := make([]byte, 200)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		c := composer{choices: choices}
		c.pick("", "\uFEFF", "<?xml version='1.0'?>", " \n")
		c.WriteString("<xml>")
		c.children(0)
		c.WriteString("</xml>")
		c.pick("", "\n", "rest")
		got, err := scan(c.String(), nil)
		compareScan(t, c.String(), got, err)
	})
}

// jsonTree is the shape that scan gives to a decoded JSON value.
func jsonTree(name string, v any) []Element {
	switch v := v.(type) {
	case map[string]any:
		var children []Element
		for _, k := range slices.Sorted(maps.Keys(v)) {
			children = append(children, jsonTree(k, v[k])...)
		}
		return []Element{{Name: name, Children: children}}
	case []any:
		var out []Element
		for _, item := range v {
			out = append(out, jsonTree(name, item)...)
		}
		return out
	case nil:
		return []Element{{Name: name}}
	case string:
		return []Element{{Name: name, Text: clean([]byte(v))}}
	}
	b, _ := json.Marshal(v)
	return []Element{{Name: name, Text: string(b)}}
}

func jsonDepth(v any) int {
	deepest := 0
	switch v := v.(type) {
	case map[string]any:
		for _, x := range v {
			deepest = max(deepest, 1+jsonDepth(x))
		}
	case []any:
		for _, x := range v {
			deepest = max(deepest, 1+jsonDepth(x))
		}
	}
	return deepest
}

func FuzzJSON(f *testing.F) {
	for _, v := range loadReference(f).vectors {
		if strings.HasPrefix(v.plain, "{") {
			f.Add(v.plain)
		}
	}
	f.Add(`{"A":"x","n":6520106268131360945,"f":1.50,"b":true,"z":null,"L":{"k":"v"},"M":[{"k":1},{"k":[2,[3]]}],"E":{},"e":[]}`)
	f.Add(`{"a":"\u0000\ud800\ud83c\udc04","a":1}x`)
	f.Fuzz(func(t *testing.T, body string) {
		if elements, err := scan(clean([]byte(body)), nil); err == nil && isJSON(clean([]byte(body))) {
			parse(elements)
		}
		d := json.NewDecoder(strings.NewReader(body))
		d.UseNumber()
		var v map[string]any
		if d.Decode(&v) != nil || v == nil || jsonDepth(v) > maxDepth {
			return
		}
		b, err := json.Marshal(v) // each name once, in order
		if err != nil {
			t.Fatal(err)
		}
		got, err := scan(clean(b), nil)
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if diff := cmp.Diff(layoutless(jsonTree("", v)[0].Children, 1), layoutless(got, 1)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", b, diff)
		}
	})
}

// FuzzOpen opens anything, and what was sealed as it was.
func FuzzOpen(f *testing.F) {
	k, err := ParseKey(testKey)
	if err != nil {
		f.Fatal(err)
	}
	for _, v := range loadReference(f).vectors {
		f.Add(v.encrypt, v.appID, v.plain)
	}
	f.Fuzz(func(t *testing.T, encrypt, appID, msg string) {
		if _, err := k.Open(encrypt, appID); err != nil && !errors.Is(err, ErrCiphertext) && !errors.Is(err, ErrAppID) {
			t.Error(err)
		}
		sealed := k.Seal([]byte(msg), appID)
		if got, err := k.Open(sealed, appID); err != nil || string(got) != msg {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := k.Open(sealed, appID+"x"); !errors.Is(err, ErrAppID) {
			t.Errorf("another AppID: %v", err)
		}
		// The envelope is found again whatever stands before it.
		for _, body := range []string{"<xml>" + msg + "<Encrypt><![CDATA[" + sealed + "]]></Encrypt></xml>", "<xml><Encrypt> " + sealed + "\n</Encrypt></xml>"} {
			if got, isJSON := findEncrypt([]byte(body)); string(got) != sealed || isJSON {
				t.Errorf("%q: found %q", body, got)
			}
		}
		findEncrypt([]byte(msg))
	})
}

// FuzzReply: whatever a text is, encoding/xml reads it back, forbidden
// characters aside. With it go the other functions on texts.
func FuzzReply(f *testing.F) {
	for _, s := range awkwardTexts {
		f.Add(s, 5)
	}
	f.Fuzz(func(t *testing.T, text string, n int) {
		checkText(t, text)
		b := appendCDATA([]byte("<a>"), text)
		var got string
		if err := xml.Unmarshal(append(b, "</a>"...), &got); err != nil || got != readable(text) {
			t.Errorf("%q arrives as %q, %v", text, got, err)
		}
		if p := printable(text); p != readable(text) || printable(p) != p {
			t.Errorf("printable(%q) = %q", text, p)
		}
		clip := Clip(text, n)
		if !strings.HasPrefix(text, clip) || len(clip) > max(n, 0) || utf8.ValidString(text) && (!utf8.ValidString(clip) || len(clip) < min(len(text), n-utf8.UTFMax+1)) {
			t.Errorf("Clip(%q, %d) = %q", text, n, clip)
		}
		if fold := FoldText(text); FoldText(fold) != fold || FoldText(" \n"+text+"\u3000") != fold {
			t.Errorf("FoldText(%q) = %q", text, fold)
		}
		key, _, err := routeOf("text/" + text)
		if err == nil && key != "text/"+FoldText(text) {
			t.Errorf("pattern text/%q is looked up as %q", text, key)
		}
	})
}

// FuzzQuery holds the query parser against net/url.
func FuzzQuery(f *testing.F) {
	f.Add("signature=f464b24fc39322e44b38aa78f5edd27bd1441696&echostr=4375120948345356249&timestamp=1714036504&nonce=1514711492")
	f.Add("signature=6c5c&timestamp=1714112445&nonce=415670741&openid=oAbC&encrypt_type=aes&msg_signature=046e")
	f.Add("echostr&nonce=%20a+b%zz&&=&nonce=1&nonce=&openid==")
	f.Fuzz(func(t *testing.T, raw string) {
		got := parseQuery(raw)
		for pair := range strings.SplitSeq(raw, "&") {
			if name, _, _ := strings.Cut(pair, "="); strings.ContainsAny(name, "%+") || strings.Contains(pair, ";") {
				return // WeChat's names need no escape
			}
		}
		v, _ := url.ParseQuery(raw)
		want := parameters{v.Get("signature"), v.Get("timestamp"), v.Get("nonce"), v.Get("openid"), v.Get("msg_signature"), v.Get("echostr"), v.Has("echostr")}
		if got != want {
			t.Errorf("%q: %+v, want %+v", raw, got, want)
		}
	})
}
