package oa

import (
	"encoding/xml"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The codec between elements and Go structs. Fields are named by the same
// `xml:"Name"` tags that encoding/xml knows (also "-", ",omitempty"), so a
// struct of a user's own works for both; embedded structs are flattened; a
// further tag `alt:"name"` gives the other spelling of reference §10. Unlike
// encoding/xml it takes the first of repeated elements and never fails on a
// number that is none.

// plan is how one struct type is read and written.
type plan struct {
	fields []planField
}

type planField struct {
	name, alt string
	index     []int
	omitEmpty bool
	slice     bool
	sub       *plan // of a struct or of a slice's struct items
}

var errDecodeTarget = errors.New("oa: Decode needs a pointer to a struct")

func newPlan(t reflect.Type) (*plan, error) {
	p := &plan{}
	return p, p.add(t, nil, 0)
}

func (p *plan) add(t reflect.Type, prefix []int, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("oa: type %s is nested too deep", t)
	}
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(append([]int(nil), prefix...), i)
		tag, hasTag := f.Tag.Lookup("xml")
		name, opts, _ := strings.Cut(tag, ",")
		if name == "-" || f.Type == reflect.TypeFor[xml.Name]() || f.PkgPath != "" && !f.Anonymous {
			continue
		}
		if f.Anonymous && !hasTag && f.Type.Kind() == reflect.Struct {
			if err := p.add(f.Type, index, depth+1); err != nil {
				return err
			}
			continue
		}
		if name == "" {
			name = f.Name
		}
		pf := planField{name: name, alt: f.Tag.Get("alt"), index: index, omitEmpty: strings.Contains(opts, "omitempty")}
		item := f.Type
		if item.Kind() == reflect.Slice {
			pf.slice, item = true, item.Elem()
		}
		switch item.Kind() {
		case reflect.Struct:
			pf.sub = &plan{}
			if err := pf.sub.add(item, nil, depth+1); err != nil {
				return err
			}
		case reflect.String, reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
			reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		default:
			return fmt.Errorf("oa: field %s.%s has type %s, which no element can fill", t, f.Name, f.Type)
		}
		p.fields = append(p.fields, pf)
	}
	return nil
}

// decode fills v, a struct, from the elements.
func (p *plan) decode(v reflect.Value, elements []Element) {
	for i := range p.fields {
		f := &p.fields[i]
		for j := range elements {
			e := &elements[j]
			if e.Name != f.name && (f.alt == "" || e.Name != f.alt) {
				continue
			}
			dst := v
			for _, k := range f.index {
				dst = dst.Field(k)
			}
			if !f.slice {
				f.set(dst, e)
				break
			}
			item := reflect.New(dst.Type().Elem()).Elem()
			f.set(item, e)
			dst.Set(reflect.Append(dst, item))
		}
	}
}

func (f *planField) set(dst reflect.Value, e *Element) {
	switch {
	case f.sub != nil:
		f.sub.decode(dst, e.Children)
	case dst.Kind() == reflect.String:
		dst.SetString(e.Text)
	case dst.CanInt():
		if n, err := strconv.ParseInt(strings.TrimSpace(e.Text), 10, dst.Type().Bits()); err == nil {
			dst.SetInt(n)
		}
	case dst.CanUint():
		if n, err := strconv.ParseUint(strings.TrimSpace(e.Text), 10, dst.Type().Bits()); err == nil {
			dst.SetUint(n)
		}
	case dst.CanFloat():
		if n, err := strconv.ParseFloat(strings.TrimSpace(e.Text), dst.Type().Bits()); err == nil {
			dst.SetFloat(n)
		}
	default:
		b, _ := strconv.ParseBool(strings.TrimSpace(e.Text))
		dst.SetBool(b)
	}
}

// decodeInto is the plan-less form for a user's own struct.
func decodeInto(v any, elements []Element) error {
	p := reflect.ValueOf(v)
	if p.Kind() != reflect.Pointer || p.IsNil() || p.Elem().Kind() != reflect.Struct {
		return errDecodeTarget
	}
	plan, err := newPlan(p.Type().Elem())
	if err != nil {
		return err
	}
	plan.decode(p.Elem(), elements)
	return nil
}

// Marshal writes a message as WeChat delivers it in plain mode: the byte layout
// of reference §2.2, elements in the order of the struct's fields. It is for
// tests and for tools that play WeChat.
func Marshal(m Message) ([]byte, error) {
	v := reflect.Indirect(reflect.ValueOf(m))
	if v.Kind() != reflect.Struct {
		return nil, errors.New("oa: Marshal needs a message")
	}
	if u, ok := m.(interface{ elements() []Element }); ok {
		b := append([]byte("<xml>"), bytesOf(u.elements())...)
		return append(b, "</xml>"...), nil
	}
	plan, err := newPlan(v.Type())
	if err != nil {
		return nil, err
	}
	return append(plan.encode([]byte("<xml>"), v), "</xml>"...), nil
}

func bytesOf(elements []Element) []byte {
	var b []byte
	for _, e := range elements {
		b = append(append(append(b, '<'), e.Name...), '>')
		if len(e.Children) > 0 {
			b = append(b, bytesOf(e.Children)...)
		} else {
			b = appendCDATA(b, e.Text)
		}
		b = append(append(append(b, "</"...), e.Name...), ">\n"...)
	}
	return b
}

func (p *plan) encode(b []byte, v reflect.Value) []byte {
	for i := range p.fields {
		f := &p.fields[i]
		fv := v.FieldByIndex(f.index)
		if f.omitEmpty && fv.IsZero() {
			continue
		}
		if !f.slice {
			b = f.encode(b, fv)
			continue
		}
		for j := range fv.Len() {
			b = f.encode(b, fv.Index(j))
		}
	}
	return b
}

func (f *planField) encode(b []byte, v reflect.Value) []byte {
	b = append(append(append(b, '<'), f.name...), '>')
	switch {
	case f.sub != nil:
		b = f.sub.encode(b, v)
	case v.Kind() == reflect.String:
		b = append(append(append(b, cdataOpen...), v.String()...), cdataClose...) // unsplit, as WeChat does
	case v.CanInt():
		b = strconv.AppendInt(b, v.Int(), 10)
	case v.CanUint():
		b = strconv.AppendUint(b, v.Uint(), 10)
	case v.CanFloat():
		b = strconv.AppendFloat(b, v.Float(), 'f', -1, v.Type().Bits())
	default:
		b = strconv.AppendBool(b, v.Bool())
	}
	return append(append(append(b, "</"...), f.name...), ">\n"...)
}

// appendCDATA appends s as CDATA that any XML parser reads back as
// printable(s): "]]>" is split.
func appendCDATA(b []byte, s string) []byte { return appendSections(b, printable(s)) }

// appendSections is appendCDATA for what is printable already.
func appendSections(b []byte, s string) []byte {
	b = append(b, cdataOpen...)
	for {
		before, after, more := strings.Cut(s, cdataClose)
		b = append(b, before...)
		if !more {
			return append(b, cdataClose...)
		}
		b = append(b, "]]"+cdataClose+cdataOpen+">"...)
		s = after
	}
}

// printable returns s as XML can hold it: line ends are LF, characters that
// XML forbids are gone, broken UTF-8 is U+FFFD.
func printable(s string) string {
	simple, high := true, false
	for i := 0; i < len(s) && simple; i++ {
		simple = !isControl(s[i])
		high = high || s[i] >= utf8.RuneSelf
	}
	if simple && (!high || utf8.ValidString(s) && !strings.Contains(s, "\uFFFE") && !strings.Contains(s, "\uFFFF")) {
		return s
	}
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.Map(func(r rune) rune { // which makes U+FFFD of broken UTF-8
		switch {
		case r == '\r':
			return '\n'
		case !legal(r):
			return -1
		}
		return r
	}, s)
}
