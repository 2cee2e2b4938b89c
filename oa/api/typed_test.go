package api_test

import (
	"encoding/json"
	"io"
	"path"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/catalogue"
	"github.com/wenzihq/wenzi/oa/api"
)

// TestEveryTypedMethod calls each of the typed methods with its sample against
// a platform that holds every request against the catalogue.
func TestEveryTypedMethod(t *testing.T) {
	p := newPlatform(t)
	c := p.client(api.WithComponentToken(api.StaticToken("COMPONENT_TOKEN")))
	cat := catalogue.Load()
	core := 0
	for _, call := range typedCalls {
		ep, ok := cat.Endpoint(call.id)
		if !ok {
			t.Fatalf("%s is not in the catalogue", call.id)
		}
		if ep.Priority == catalogue.Core {
			core++
		}
		t.Run(call.id, func(t *testing.T) {
			p.t = t
			var req any
			if call.request != nil {
				req = call.request()
				if ep.SampleRequest != nil {
					if err := json.Unmarshal(ep.SampleRequest, req); err != nil {
						t.Fatal(err)
					}
				}
				fill(t, req, ep)
			}
			got, err := call.call(t.Context(), c, req)
			if err != nil {
				t.Fatal(err)
			}
			switch got := got.(type) {
			case string: // a page
				if !strings.HasPrefix(got, p.URL+ep.Path+"?") || !strings.HasSuffix(got, ep.Response.Fragment) {
					t.Errorf("address %s", got)
				}
			case *api.Download:
				b, err := io.ReadAll(got)
				if err != nil || string(b) != "\xff\xd8\xffjpeg" || got.Name != "MEDIA_ID.jpg" || got.ContentType != "image/jpeg" {
					t.Errorf("download %q %+v: %v", b, got, err)
				}
				if err := got.Close(); err != nil {
					t.Error(err)
				}
			case nil:
			default:
				if ep.ID == "token_get" || ep.ID == "token_get_stable" {
					return // the fake platform gives real ones
				}
				want := prune(parse(t, ep.SampleResponse))
				if diff := cmp.Diff(want, prune(encode(t, got))); diff != "" {
					t.Errorf("answer (-sample +typed):\n%s", diff)
				}
			}
		})
	}
	if core != 59 || len(typedCalls) != 160 {
		t.Errorf("%d core of %d typed methods, want 59 of 160", core, len(typedCalls))
	}
}

// fill sets the members of a request that a JSON sample cannot: the query, the
// form and the file.
func fill(t *testing.T, req any, ep *catalogue.Endpoint) {
	t.Helper()
	v := reflect.ValueOf(req).Elem()
	for i := range v.NumField() {
		f, field := v.Type().Field(i), v.Field(i)
		if _, ok := f.Tag.Lookup("file"); ok {
			ext := "jpg"
			if accept := ep.Request.Multipart[0].Accept; len(accept) > 0 {
				ext = accept[0].Ext[0]
			}
			field.Set(reflect.ValueOf(api.Upload{Name: "a." + ext, Body: strings.NewReader("bytes of a file")}))
			continue
		}
		if f.Tag.Get("query") == "" && f.Tag.Get("form") == "" || !field.IsZero() {
			continue
		}
		switch field.Kind() {
		case reflect.String:
			text := "x"
			if path.Base(ep.Path) == "upload" || path.Base(ep.Path) == "add_material" {
				text = "image"
			}
			field.SetString(text)
		case reflect.Bool:
			field.SetBool(true)
		default:
			field.SetInt(1)
		}
	}
}

// TestRoundTrip sends every sample through its type and back: no member may be
// lost or invented. Zero values are made other than zero first, so that a type
// that does not know a member cannot hide behind omitempty.
func TestRoundTrip(t *testing.T) {
	cat := catalogue.Load()
	samples := 0
	for _, call := range typedCalls {
		ep, _ := cat.Endpoint(call.id)
		for _, s := range []struct {
			name   string
			sample json.RawMessage
			make   func() any
		}{{"request", ep.SampleRequest, call.request}, {"response", ep.SampleResponse, call.response}} {
			if s.sample == nil {
				continue
			}
			if s.make == nil {
				if rest := prune(parse(t, s.sample)); rest != nil {
					t.Errorf("%s %s: no type for %v", call.id, s.name, rest)
				}
				continue
			}
			samples++
			t.Run(call.id+"/"+s.name, func(t *testing.T) {
				roundTrip(t, s.make, parse(t, s.sample))
				roundTrip(t, s.make, nonZero(parse(t, s.sample)))
				if s.name == "response" {
					loose(t, s.make, s.sample)
				}
			})
		}
	}
	if samples < 200 {
		t.Errorf("only %d samples", samples)
	}
}

func roundTrip(t *testing.T, newValue func() any, tree any) {
	t.Helper()
	v := newValue()
	if err := api.Decode(print(t, tree), v); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(prune(tree), prune(encode(t, v))); diff != "" {
		t.Errorf("(-sample +typed):\n%s", diff)
	}
}

// loose reads a sample in the platform's other ways of writing it: members
// nobody knows, numbers as strings, strings of digits as numbers, nothing
// written as "", null, [] or {}.
func loose(t *testing.T, newValue func() any, sample json.RawMessage) {
	t.Helper()
	want := newValue()
	if err := api.Decode(sample, want); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(any) any{
		"unknown members":    withUnknown,
		"numbers as strings": numbersAsStrings,
		"strings as numbers": stringsAsNumbers,
		"empty as string":    func(x any) any { return emptyAs(x, "") },
		"empty as null":      func(x any) any { return emptyAs(x, nil) },
		"empty as list":      func(x any) any { return emptyAs(x, []any{}) },
	} {
		got := newValue()
		if err := api.Decode(print(t, change(parse(t, sample))), got); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(prune(encode(t, want)), prune(encode(t, got))); diff != "" {
			t.Errorf("%s (-plain +loose):\n%s", name, diff)
		}
	}
}

func parse(t *testing.T, b []byte) any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		t.Fatal(err)
	}
	return tree
}

func print(t *testing.T, tree any) []byte {
	t.Helper()
	b, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func encode(t *testing.T, v any) any {
	t.Helper()
	return parse(t, print(t, v))
}

// walk rebuilds a tree, giving each node to f after its children.
func walk(node any, f func(any) any) any {
	switch n := node.(type) {
	case map[string]any:
		for k, v := range n {
			n[k] = walk(v, f)
		}
	case []any:
		for i, v := range n {
			n[i] = walk(v, f)
		}
	}
	return f(node)
}

// prune takes away what says nothing: zero values, and the envelope.
func prune(node any) any {
	return walk(node, func(node any) any {
		switch n := node.(type) {
		case map[string]any:
			delete(n, "errmsg")
			for k, v := range n {
				if v == nil || k == "errcode" {
					delete(n, k)
				}
			}
			if len(n) == 0 {
				return nil
			}
		case []any:
			if len(n) == 0 {
				return nil
			}
		case string:
			if n == "" {
				return nil
			}
		case json.Number:
			if n == "0" {
				return nil
			}
			if f, err := n.Float64(); err == nil && f != float64(int64(f)) {
				return f // 0.50 and 0.5
			}
		case bool:
			if !n {
				return nil
			}
		}
		return node
	})
}

func nonZero(node any) any {
	return walk(node, func(node any) any {
		switch n := node.(type) {
		case string:
			if n == "" {
				return "x"
			}
		case json.Number:
			if n == "0" {
				return json.Number("7")
			}
		case bool:
			return true
		}
		return node
	})
}

func withUnknown(node any) any {
	return walk(node, func(node any) any {
		if m, ok := node.(map[string]any); ok {
			m["unknown_member"] = []any{"x", map[string]any{"y": 1}}
		}
		return node
	})
}

func numbersAsStrings(node any) any {
	return walk(node, func(node any) any {
		if n, ok := node.(json.Number); ok {
			return n.String()
		}
		return node
	})
}

func stringsAsNumbers(node any) any {
	return walk(node, func(node any) any {
		if s, ok := node.(string); ok && s != "" && strings.Trim(s, "0123456789") == "" && s[0] != '0' {
			return json.Number(s)
		}
		return node
	})
}

func emptyAs(node, empty any) any {
	return walk(node, func(node any) any {
		switch n := node.(type) {
		case []any:
			if len(n) == 0 {
				return empty
			}
		case map[string]any:
			for k, v := range n {
				if v == "" {
					n[k] = empty
				}
			}
		}
		return node
	})
}
