package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Decode reads a platform's JSON into v the way [json.Unmarshal] does, and
// forgives what the platform is loose about (reference api-rules §3): numbers
// as strings and strings as numbers, 0 and 1 for booleans, "", null, [] and {}
// for anything empty, one object where a list of one is meant and the other
// way round, raw control characters in strings. Unknown members are ignored.
func Decode(data []byte, v any) error {
	err := json.Unmarshal(data, v)
	if err == nil {
		return nil
	}
	target := reflect.ValueOf(v)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return err
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		data = escapeControls(data)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber() // ids do not pass through float64
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return err
	}
	if dec.More() {
		return errors.New("more than one JSON value")
	}
	fitted, err := json.Marshal(fit(tree, target.Type().Elem()))
	if err != nil {
		return err
	}
	target.Elem().SetZero()
	return json.Unmarshal(fitted, v)
}

// escapeControls escapes the control characters that JSON forbids in strings.
func escapeControls(data []byte) []byte {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	out := make([]byte, 0, len(data)+16)
	inString := false
	for i := 0; i < len(data); i++ {
		c := data[i]
		switch {
		case c == '"':
			inString = !inString
		case inString && c == '\\' && i+1 < len(data):
			out = append(out, c)
			i++
			c = data[i]
		case inString && c < 0x20:
			out = fmt.Appendf(out, `\u%04x`, c)
			continue
		}
		out = append(out, c)
	}
	return out
}

// fit changes a JSON tree where it does not fit the type it is meant for. What
// cannot be made to fit stays as it is, for json.Unmarshal to complain about.
func fit(node any, t reflect.Type) any {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return node
	}
	switch t.Kind() {
	case reflect.Pointer:
		return fit(node, t.Elem())
	case reflect.String:
		return fitString(node)
	case reflect.Bool:
		return fitBool(node)
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint32, reflect.Uint64:
		return fitInt(node)
	case reflect.Float32, reflect.Float64:
		return fitFloat(node)
	case reflect.Struct:
		return fitStruct(node, t)
	case reflect.Slice:
		return fitSlice(node, t)
	case reflect.Map:
		m, ok := node.(map[string]any)
		if !ok && empty(node) {
			return nil
		}
		for k, v := range m {
			m[k] = fit(v, t.Elem())
		}
	}
	return node
}

func empty(node any) bool {
	switch n := node.(type) {
	case nil:
		return true
	case string:
		return n == ""
	case []any:
		return len(n) == 0
	case map[string]any:
		return len(n) == 0
	}
	return false
}

func fitString(node any) any {
	switch n := node.(type) {
	case json.Number:
		return n.String()
	case bool:
		return strconv.FormatBool(n)
	}
	if empty(node) {
		return ""
	}
	return node
}

func fitBool(node any) any {
	switch n := node.(type) {
	case json.Number:
		return n.String() != "0"
	case string:
		switch strings.ToLower(n) {
		case "", "0", "false":
			return false
		case "1", "true":
			return true
		}
	}
	return node
}

func fitInt(node any) any {
	text := ""
	switch n := node.(type) {
	case bool:
		if n {
			return 1
		}
		return 0
	case json.Number:
		text = n.String()
	case string:
		text = strings.TrimSpace(n)
		if text == "" {
			return 0
		}
	default:
		return node
	}
	if _, err := strconv.ParseInt(text, 10, 64); err == nil {
		return json.Number(text)
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && f == float64(int64(f)) {
		return int64(f) // 7200.0, 7.2e3
	}
	return node
}

func fitFloat(node any) any {
	s, ok := node.(string)
	if !ok {
		return node
	}
	s = strings.TrimSpace(s)
	if s == "" {
		return 0
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return json.Number(s)
	}
	return node
}

func fitStruct(node any, t reflect.Type) any {
	if list, ok := node.([]any); ok && len(list) == 1 {
		node = list[0]
	}
	m, ok := node.(map[string]any)
	if !ok {
		if empty(node) {
			return nil
		}
		return node
	}
	for _, f := range reflect.VisibleFields(t) {
		if !f.IsExported() || f.Anonymous {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		for k, v := range m {
			if strings.EqualFold(k, name) {
				m[k] = fit(v, f.Type)
			}
		}
	}
	return m
}

func fitSlice(node any, t reflect.Type) any {
	if t.Elem().Kind() == reflect.Uint8 {
		return node
	}
	if empty(node) {
		return nil
	}
	list, ok := node.([]any)
	if !ok {
		list = []any{node}
	}
	for i, v := range list {
		list[i] = fit(v, t.Elem())
	}
	return list
}
