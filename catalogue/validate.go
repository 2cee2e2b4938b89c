package catalogue

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

var (
	idPattern    = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
	shapePattern = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`)
	scalarTypes  = []string{"string", "int", "int64", "number", "bool"}
	categories   = []string{"ok", "token", "permission", "config", "quota", "rate", "window_closed", "follower_gone", "ip", "busy", "bad_request",
		"content", "not_found", "duplicate", "reauthorize", "confirm", "partial", "not_ready", "retired"}
)

// Validate looks for mistakes in a catalogue and reports all of them: ids and
// paths that are not unique, unknown values, fields of one shape that
// contradict each other, samples that do not fit their fields.
func (c *Catalogue) Validate() error {
	v := &validator{c: c, ids: map[string]bool{}, routes: map[string]string{}, shapes: map[string]map[string]Field{}}
	for name, a := range c.Actions {
		v.oneOf("action "+name, "category", a.Category, categories...)
		v.want("action "+name, a.Meaning != "" && a.AdviceZH != "", "needs meaning and advice_zh")
	}
	seen := map[int]bool{}
	for _, code := range c.Codes {
		where := fmt.Sprintf("code %d", code.Code)
		v.want(where, !seen[code.Code], "is listed twice")
		seen[code.Code] = true
		v.want(where, idPattern.MatchString(code.Name), "name %q is not snake_case", code.Name)
		v.want(where, code.Meaning != "" && code.MeaningZH != "", "needs meaning and meaning_zh")
		v.oneOf(where, "action", code.Action, slices.Sorted(maps.Keys(c.Actions))...)
		if code.Category != "" {
			v.oneOf(where, "category", code.Category, categories...)
		}
	}
	areas := map[string]bool{}
	for i := range c.Areas {
		a := &c.Areas[i]
		v.want("area "+a.Name, !areas[a.Name], "is described twice")
		areas[a.Name] = true
		v.want("area "+a.Name, a.Name != "" && a.TitleZH != "" && len(a.Endpoints) > 0, "needs area, title_zh and endpoints")
		for _, e := range a.Endpoints {
			v.endpoint(a, e)
		}
	}
	return errors.Join(v.errs...)
}

type validator struct {
	c      *Catalogue
	ids    map[string]bool
	routes map[string]string
	shapes map[string]map[string]Field
	errs   []error
}

func (v *validator) want(where string, ok bool, format string, args ...any) {
	if !ok {
		v.errs = append(v.errs, fmt.Errorf("catalogue: %s: "+format, append([]any{where}, args...)...))
	}
}

func (v *validator) oneOf(where, what, got string, allowed ...string) {
	v.want(where, slices.Contains(allowed, got), "%s %q is not one of %s", what, got, strings.Join(allowed, ", "))
}

func (v *validator) endpoint(a *Area, e *Endpoint) {
	w := e.ID
	v.want(w, idPattern.MatchString(e.ID), "id %q is not snake_case", e.ID)
	v.want(w, !v.ids[e.ID], "id is used twice")
	v.ids[e.ID] = true
	v.want(w, e.TitleZH != "" && e.Summary != "", "needs title_zh and summary")
	v.oneOf(w, "priority", string(e.Priority), string(Core), string(Useful), string(Low), string(Retired))
	v.want(w, e.Priority != Retired || e.Status != "", "a retired endpoint needs a status")
	v.oneOf(w, "method", e.Method, "GET", "POST")
	v.want(w, strings.HasPrefix(e.Path, "/") && !strings.ContainsAny(e.Path, "?# "), "path %q must start with / and have no query", e.Path)
	v.oneOf(w, "auth", string(e.Auth), string(AuthAccount), string(AuthComponent), string(AuthOAuth), string(AuthNone))
	v.oneOf(w, "effect", e.Effect, "", "read", "write")
	for _, who := range []string{e.Account.Subscription, e.Account.Service} {
		v.oneOf(w, "account", who, "yes", "verified", "no", "n/a")
	}
	v.oneOf(w, "response kind", string(e.Response.Kind), string(KindJSON), string(KindBinary), string(KindJSONOrBinary), string(KindRedirect))
	v.want(w, !e.Response.EnvelopeOnly || len(e.Response.Fields) == 0, "envelope_only contradicts its response fields")
	v.want(w, !e.Typed() || GroupOf(a, e) != "", "no group of area %s is a prefix of the id", a.Name)

	route := e.Method + " " + e.Host + e.Path
	if i := slices.IndexFunc(e.Request.Query, func(f Field) bool { return f.Name == "action" }); i >= 0 {
		route += "?action=" + e.Request.Query[i].Note
	}
	v.want(w, v.routes[route] == "", "has the same path as %s", v.routes[route])
	v.routes[route] = e.ID

	r := e.Request
	v.oneOf(w, "content_type", r.ContentType, "", ContentJSON, ContentMultipart, ContentNone)
	v.want(w, e.Method == "POST" || (r.ContentType == "" && len(r.Body) == 0 && len(r.Multipart) == 0), "a GET has no body")
	v.want(w, len(r.Body) == 0 || r.ContentType == ContentJSON, "body fields need content_type %s", ContentJSON)
	v.want(w, (len(r.Multipart) > 0) == (r.ContentType == ContentMultipart), "multipart fields and content_type %s go together", ContentMultipart)
	v.fields(w+" query", r.Query, e.Typed())
	v.fields(w+" body", r.Body, e.Typed())
	v.fields(w+" multipart", r.Multipart, e.Typed())
	v.fields(w+" response", e.Response.Fields, e.Typed())
	if e.Response.Shape != "" && e.Typed() {
		v.shape(w+" response", e.Response.Shape, e.Response.Fields)
	}
	for _, n := range e.Errcodes {
		_, known := v.c.byCode[n]
		v.want(w, known, "return code %d is not in the dictionary", n)
	}
	v.sample(w+" sample_request", e.SampleRequest, r.Body, true)
	v.sample(w+" sample_response", e.SampleResponse, e.Response.Fields, false)
	if e.Typed() && len(r.Body) > 0 {
		v.want(w, e.SampleRequest != nil, "needs a sample_request")
	}
	if e.Typed() && e.Response.Kind == KindJSON {
		v.want(w, e.SampleResponse != nil, "needs a sample_response")
	}
}

func (v *validator) fields(where string, fields []Field, typed bool) {
	names := map[string]bool{}
	for i := range fields {
		f := &fields[i]
		w := where + "." + f.Name
		v.want(w, f.Name != "" && !names[f.Name], "name is empty or used twice")
		names[f.Name] = true
		elem := f.Elem()
		v.want(w, slices.Contains(scalarTypes, elem) || elem == "object" || f.Type == "file", "unknown type %q", f.Type)
		v.want(w, elem == "object" || len(f.Fields) == 0, "type %s has no members", f.Type)
		v.want(w, f.Type == "file" || len(f.Accept) == 0, "accept belongs to files")
		if !typed {
			continue
		}
		v.want(w, elem != "object" || len(f.Fields) > 0 || f.Shape != "", "an object of a typed endpoint needs fields or a shape")
		if f.Shape != "" {
			v.want(w, elem == "object", "only objects have shapes")
			v.shape(w, f.Shape, f.Fields)
		}
		v.fields(w, f.Fields, typed)
	}
}

// shape checks that a field has the same type wherever its shape occurs.
func (v *validator) shape(where, shape string, fields []Field) {
	v.want(where, shapePattern.MatchString(shape), "shape %q is not CamelCase", shape)
	known := v.shapes[shape]
	if known == nil {
		known = map[string]Field{}
		v.shapes[shape] = known
	}
	for _, f := range fields {
		if k, ok := known[f.Name]; ok {
			v.want(where+"."+f.Name, k.Type == f.Type && k.Shape == f.Shape, "is %s %s here and %s %s elsewhere in shape %s", f.Type, f.Shape, k.Type, k.Shape, shape)
			continue
		}
		known[f.Name] = f
	}
}

// sample checks that a sample is JSON, that it has no member without a field,
// that its values fit the fields, and that no required field is missing.
func (v *validator) sample(where string, sample json.RawMessage, fields []Field, request bool) {
	if len(sample) == 0 || len(fields) == 0 {
		return
	}
	dec := json.NewDecoder(strings.NewReader(string(sample)))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		v.want(where, false, "is not JSON: %v", err)
		return
	}
	v.object(where, value, fields, request)
}

func (v *validator) object(where string, value any, fields []Field, request bool) {
	m, ok := value.(map[string]any)
	v.want(where, ok, "is not an object")
	if !ok {
		return
	}
	known := map[string]bool{}
	for i := range fields {
		f := &fields[i]
		known[f.Name] = true
		member, present := m[f.Name]
		if !present {
			v.want(where+"."+f.Name, !request || !f.Required, "is required and missing")
			v.want(where+"."+f.Name, request || f.Optional || f.Deprecated, "is not optional and missing")
			continue
		}
		v.value(where+"."+f.Name, member, f, f.Type, request)
	}
	for name := range m {
		v.want(where, known[name] || name == "errcode" || name == "errmsg", "has a member %q without a field", name)
	}
}

func (v *validator) value(where string, value any, f *Field, typ string, request bool) {
	inner := func(prefix string) string { return typ[len(prefix) : len(typ)-1] }
	switch {
	case strings.HasPrefix(typ, "array<"):
		list, ok := value.([]any)
		v.want(where, ok, "is not an array")
		for _, x := range list {
			v.value(where+"[]", x, f, inner("array<"), request)
		}
	case strings.HasPrefix(typ, "map<string,"):
		m, ok := value.(map[string]any)
		v.want(where, ok, "is not an object")
		for k, x := range m {
			v.value(where+"."+k, x, f, inner("map<string,"), request)
		}
	case typ == "object":
		if len(f.Fields) > 0 {
			v.object(where, value, f.Fields, request)
		}
	case typ == "string":
		_, ok := value.(string)
		v.want(where, ok, "is not a string")
	case typ == "bool":
		_, ok := value.(bool)
		v.want(where, ok, "is not a bool")
	default:
		_, ok := value.(json.Number)
		v.want(where, ok, "is not a number")
	}
}

// GroupOf returns the group of an endpoint: the longest of its area's groups
// that its id starts with. The rest of the id is the method's name.
func GroupOf(a *Area, e *Endpoint) string {
	group := ""
	for _, g := range a.Groups {
		if strings.HasPrefix(e.ID, g+"_") && len(g) > len(group) {
			group = g
		}
	}
	return group
}
