package oa

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func BenchmarkScan(b *testing.B) {
	body := clean([]byte(plainText("hello, 你好")))
	var elements []Element
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if elements, err = scan(body, elements[:0]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	body := []byte(plainText("hello, 你好"))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseMessage(body); err != nil {
			b.Fatal(err)
		}
	}
}

func benchKey(b *testing.B) *Key {
	k, err := ParseKey(testKey)
	if err != nil {
		b.Fatal(err)
	}
	return k
}

func BenchmarkOpen(b *testing.B) {
	k := benchKey(b)
	encrypt := []byte(k.Seal([]byte(plainText("hello")), "wx0123456789abcdef"))
	buf := make([]byte, 0, len(encrypt))
	b.SetBytes(int64(len(encrypt)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.open(buf, encrypt, "wx0123456789abcdef"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	k, msg := benchKey(b), []byte(plainText("hello"))
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	for b.Loop() {
		k.Seal(msg, "wx0123456789abcdef")
	}
}

func BenchmarkEncode(b *testing.B) {
	reply, err := Text("hello, 你好")
	if err != nil {
		b.Fatal(err)
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = reply.appendXML(buf[:0], "oAbCdEfGhIjKlMnOpQrStUvWxYz1", "gh_0123456789ab", 1714112445)
	}
}

// nothing is a ResponseWriter that throws away what it gets.
type nothing struct{ header http.Header }

func (n nothing) Header() http.Header         { return n.header }
func (n nothing) Write(b []byte) (int, error) { return len(b), nil }
func (n nothing) WriteHeader(int)             {}

func BenchmarkServeHTTP(b *testing.B) {
	for _, mode := range []Mode{Plain, Secure} {
		b.Run(mode.String(), func(b *testing.B) {
			mux := NewMux()
			On(mux, func(_ context.Context, m *TextMessage) (Reply, error) { return Text(m.Content) })
			s, err := NewServer(testAccount(mode), mux)
			if err != nil {
				b.Fatal(err)
			}
			req, err := NewDelivery(testAccount(mode), "http://server/wx", []byte(plainText("hello")))
			if err != nil {
				b.Fatal(err)
			}
			body, err := io.ReadAll(req.Body)
			if err != nil {
				b.Fatal(err)
			}
			// A server's request has a context that can be cancelled.
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			req = req.WithContext(ctx)
			reader := bytes.NewReader(body)
			req.Body = io.NopCloser(reader)
			w := nothing{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				reader.Reset(body)
				clear(w.header)
				s.ServeHTTP(w, req)
			}
		})
	}
}

// BenchmarkHostile shows that the time a body takes grows with its length and
// no faster: ns/byte stays flat while the size doubles.
func BenchmarkHostile(b *testing.B) {
	fill := func(n int, part string) string { return strings.Repeat(part, n/len(part)+1)[:n] }
	const head, tail = "<xml><ToUserName>a</ToUserName><FromUserName>b</FromUserName><MsgType>text</MsgType>", "</xml>"
	for _, c := range []struct {
		name string
		body func(n int) string
	}{
		{"open CDATA", func(n int) string { return head + fill(n, "<A><![CDATA[") }},
		{"open CDATA of Content", func(n int) string { return head + fill(n, "<Content><![CDATA[") + tail }},
		{"one open CDATA", func(n int) string { return head + "<A><![CDATA[" + fill(n, "x") }},
		{"]]> in Content", func(n int) string { return head + "<Content><![CDATA[" + fill(n, "]]>") + "]]></Content>" + tail }},
		{"]]> in Title", func(n int) string { return head + "<Title><![CDATA[" + fill(n, "]]>") + "]]></Title>" + tail }},
		{"many unsplit", func(n int) string { return head + fill(n, "<A><![CDATA[x]]>y]]></A>") + tail }},
		{"sections that fail", func(n int) string { return head + "<A>" + fill(n, "<![CDATA[x]]>") + "<" }},
		{"sections behind sections", func(n int) string { return head + fill(n, "<A><![CDATA[]]><![CDATA[]]><B>]]></A>") }},
		{"nested tags", func(n int) string { return head + fill(n, "<a>") }},
		{"nested and closed", func(n int) string { return head + fill(n, "<a><b><c>1</c></b></a>") + tail }},
		{"xml in xml, then blanks", func(n int) string { return head + fill(n/2, "<xml>a</xml>") + fill(n/2, " ") }},
		{"empty elements", func(n int) string { return head + fill(n, "<a></a>") + tail }},
		{"entities", func(n int) string { return head + "<A>" + fill(n, "&amp;") + "</A>" + tail }},
		{"ampersands", func(n int) string { return head + "<A>" + fill(n, "&") + "</A>" + tail }},
		{"long name", func(n int) string { return head + "<" + fill(n, "a") }},
		{"attributes", func(n int) string { return head + "<a " + fill(n, "b='c' ") + "/>" + tail }},
		{"comments", func(n int) string { return head + fill(n, "<!-- -->") + tail }},
		{"blanks", func(n int) string { return head + fill(n, " \n") + tail }},
		{"control characters", func(n int) string { return head + "<A><![CDATA[" + fill(n, "\x01\r\n\xff") + "]]></A>" + tail }},
		{"JSON lists", func(n int) string { return `{"a":[` + strings.TrimSuffix(fill(n, "1,"), ",") + "]}" }},
		{"JSON open lists", func(n int) string { return `{"a":` + fill(n, "[") }},
		{"JSON string", func(n int) string { return `{"a":"` + fill(n, `\u0000`) }},
	} {
		for n := 16 << 10; n <= 256<<10; n *= 4 {
			b.Run(fmt.Sprintf("%s/%dKiB", c.name, n>>10), func(b *testing.B) {
				body := []byte(c.body(n))
				start := time.Now()
				for b.Loop() {
					ParseMessage(body)
					findEncrypt(body)
				}
				b.ReportMetric(float64(time.Since(start).Nanoseconds())/float64(b.N)/float64(len(body)), "ns/byte")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
