package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// input is one call's request: the query without the token, and the body.
type input struct {
	query params
	body  payload
}

// params is a query in the order it was written, which pages for browsers
// insist on.
type params []param

type param struct{ name, value string }

func (p params) get(name string) string {
	for _, x := range p {
		if x.name == name {
			return x.value
		}
	}
	return ""
}

func (p params) encode() string {
	var b strings.Builder
	for i, x := range p {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(x.name))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(x.value))
	}
	return b.String()
}

func paramsOf(values url.Values) params {
	var p params
	for _, name := range slices.Sorted(maps.Keys(values)) {
		for _, v := range values[name] {
			p = append(p, param{name, v})
		}
	}
	return p
}

// encodeInput takes a request apart. The members of a request struct say where
// they go: tag "query" into the address, "form" and "file" into parts of an
// upload, the others into the JSON body.
func encodeInput(ep *Endpoint, req any) (input, error) {
	var in input
	form := map[string]string{}
	var file Upload
	switch r := req.(type) {
	case nil:
	case url.Values:
		in.query = paramsOf(r)
		req = nil
	default:
		if v := reflect.Indirect(reflect.ValueOf(req)); v.Kind() == reflect.Struct {
			var err error
			if in.query, file, err = splitStruct(v, form); err != nil {
				return in, err
			}
		}
	}
	var err error
	switch ep.Content {
	case JSONContent:
		in.body, err = jsonPayload(req)
	case MultipartContent:
		in.body, err = multipartPayload(ep, in.query.get("type"), form, file)
	}
	return in, err
}

func splitStruct(v reflect.Value, form map[string]string) (query params, file Upload, err error) {
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		field := v.Field(i)
		if tag, ok := tag.Lookup("query"); ok {
			if name, text, send := parameter(tag, field); send {
				query = append(query, param{name, text})
			}
		}
		if tag, ok := tag.Lookup("form"); ok {
			if name, text, send := parameter(tag, field); send {
				form[name] = text
			}
		}
		if _, ok := tag.Lookup("file"); ok {
			if file, ok = reflect.TypeAssert[Upload](field); !ok {
				return query, file, fmt.Errorf("api: field %s with tag file must be an Upload", v.Type().Field(i).Name)
			}
		}
	}
	return query, file, nil
}

func parameter(tag string, v reflect.Value) (name, text string, send bool) {
	name, omit := strings.CutSuffix(tag, ",omitempty")
	if omit && v.IsZero() {
		return name, "", false
	}
	switch {
	case v.Kind() == reflect.String:
		text = v.String()
	case v.CanInt():
		text = strconv.FormatInt(v.Int(), 10)
	default:
		text = fmt.Sprint(v.Interface())
	}
	return name, text, true
}

// encodeJSON writes JSON the way the platform wants it: raw UTF-8, nothing
// escaped that JSON itself does not demand (reference api-rules §3).
func encodeJSON(v any) ([]byte, error) {
	if raw, ok := v.(json.RawMessage); ok {
		return raw, nil
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return unescapeUnicode(bytes.TrimSuffix(buf.Bytes(), []byte("\n"))), nil
}

// unescapeUnicode turns the three escapes that encoding/json insists on back
// into characters: U+2028, U+2029, and U+FFFD for invalid UTF-8.
func unescapeUnicode(b []byte) []byte {
	out := b[:0]
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' {
			out = append(out, b[i])
			continue
		}
		if i+6 <= len(b) {
			switch string(b[i : i+6]) {
			case `\u2028`, `\u2029`, `\ufffd`:
				r, _ := strconv.ParseUint(string(b[i+2:i+6]), 16, 16)
				out = append(out, string(rune(r))...)
				i += 5
				continue
			}
		}
		out = append(out, b[i], b[i+1])
		i++
	}
	return out
}
