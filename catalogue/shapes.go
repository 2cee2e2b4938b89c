package catalogue

import "slices"

// Shape is an object that occurs in several places, merged from all of them.
type Shape struct {
	// Fields are all fields any use has. One is Required if every use has it
	// and none may leave it out.
	Fields []Field
	Uses   []*Endpoint // without repetition

	seen map[string]int
	uses int
}

// Shapes merges the objects of each shape in the endpoints with typed methods.
func (c *Catalogue) Shapes() map[string]*Shape {
	shapes := map[string]*Shape{}
	var visit func(e *Endpoint, fields []Field, request bool)
	merge := func(e *Endpoint, name string, fields []Field, request bool) {
		s := shapes[name]
		if s == nil {
			s = &Shape{seen: map[string]int{}}
			shapes[name] = s
		}
		s.merge(e, fields, request)
	}
	visit = func(e *Endpoint, fields []Field, request bool) {
		for i := range fields {
			f := &fields[i]
			if f.Shape != "" && len(f.Fields) > 0 {
				merge(e, f.Shape, f.Fields, request)
			}
			visit(e, f.Fields, request)
		}
	}
	for _, e := range c.endpoints {
		if !e.Typed() {
			continue
		}
		visit(e, e.Request.Body, true)
		visit(e, e.Response.Fields, false)
		if e.Response.Shape != "" {
			merge(e, e.Response.Shape, e.Response.Fields, false)
		}
	}
	for _, s := range shapes {
		for i := range s.Fields {
			f := &s.Fields[i]
			f.Required = f.Required && s.seen[f.Name] == s.uses
		}
	}
	return shapes
}

// Members are the fields of an object: its own, or those of its shape when it
// is described elsewhere.
func (c *Catalogue) Members(f *Field) []Field {
	if len(f.Fields) > 0 || f.Shape == "" {
		return f.Fields
	}
	if s := c.Shapes()[f.Shape]; s != nil {
		return s.Fields
	}
	return nil
}

func (s *Shape) merge(e *Endpoint, fields []Field, request bool) {
	if !slices.Contains(s.Uses, e) {
		s.Uses = append(s.Uses, e)
	}
	s.uses++
	for _, f := range fields {
		always := f.Always(request)
		s.seen[f.Name]++
		i := slices.IndexFunc(s.Fields, func(x Field) bool { return x.Name == f.Name })
		if i < 0 {
			f.Required, f.Optional = always, false
			s.Fields = append(s.Fields, f)
			continue
		}
		have := &s.Fields[i]
		have.Required = have.Required && always
		have.Deprecated = have.Deprecated && f.Deprecated
		if have.Note == "" {
			have.Note = f.Note
		}
	}
}

// Always reports whether a field is in every request or in every answer.
func (f *Field) Always(request bool) bool {
	if request {
		return f.Required
	}
	return !f.Optional && !f.Deprecated
}
