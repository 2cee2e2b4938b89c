package bot

import (
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	groups := map[string]string{"city": "北京", "empty": "", "nested": "{{.city}}"}
	tests := []struct {
		text, want string
		fails      string // part of the error
	}{
		{text: "", want: ""},
		{text: "没有模板 } }} { .city", want: "没有模板 } }} { .city"},
		{text: "{{.city}}的天气", want: "北京的天气"},
		{text: "{{ .city }}{{.city}}{{.empty}}!", want: "北京北京!"},
		{text: "{{.nested}}", want: "{{.city}}"},
		{text: "{{.town}}", fails: `"town"`},
		{text: "{{.}}", fails: `""`},
		{text: "{{city}}", fails: "must begin"},
		{text: "{{.city", fails: "must begin"},
		{text: "{{", fails: "must begin"},
		{text: "{{printf .city}}", fails: "must begin"},
		{text: "{{.city.Method}}", fails: `"city.Method"`},
	}
	for _, test := range tests {
		got, err := Expand(test.text, func(name string) (string, bool) {
			value, ok := groups[name]
			return value, ok
		})
		switch {
		case test.fails == "" && (err != nil || got != test.want):
			t.Errorf("Expand(%q) = %q, %v; want %q", test.text, got, err, test.want)
		case test.fails != "" && (err == nil || !strings.Contains(err.Error(), test.fails)):
			t.Errorf("Expand(%q) = %q, %v; want an error with %s", test.text, got, err, test.fails)
		}
	}
}
