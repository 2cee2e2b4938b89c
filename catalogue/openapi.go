package catalogue

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// OpenAPI describes the whole API as an OpenAPI 3.1 document in JSON, for
// tools and clients in other languages. What OpenAPI has no words for is in
// members that begin with x-wenzi.
func (c *Catalogue) OpenAPI() ([]byte, error) {
	o := openAPI{c: c, shapes: c.Shapes()}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(o.document()); err != nil {
		return nil, fmt.Errorf("catalogue: openapi: %w", err)
	}
	return b.Bytes(), nil
}

// object is a JSON object; encoding/json sorts its members.
type object = map[string]any

type openAPI struct {
	c      *Catalogue
	shapes map[string]*Shape
}

func (o *openAPI) document() object {
	var tags []object
	paths := object{}
	for i := range o.c.Areas {
		a := &o.c.Areas[i]
		tags = append(tags, object{"name": a.Name, "description": a.TitleZH})
	}
	for _, e := range o.c.endpoints {
		item, _ := paths[e.Path].(object)
		if item == nil {
			item = object{}
			paths[e.Path] = item
		}
		method := strings.ToLower(e.Method)
		if item[method] == nil {
			item[method] = o.operation(o.variants(e))
		}
	}
	schemas := object{
		"Envelope": object{
			"type": "object",
			"properties": object{
				"errcode": object{"type": "integer", "format": "int32", "description": "0 or absent means success"},
				"errmsg":  object{"type": "string", "description": "ends with rid: …, which the platform explains for 7 days"},
			},
		},
	}
	for name, s := range o.shapes {
		schemas[name] = o.objectSchema(s.Fields, func(f *Field) bool { return f.Required })
	}
	apiKey := func(name, text string) object {
		return object{"type": "apiKey", "in": "query", "name": name, "description": text}
	}
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title":       "微信公众平台 HTTP API",
			"description": "WeChat Official Account server API, described by wenzi's catalogue. Errors answer status 200 with an errcode other than 0. Numbers and strings are mixed by the platform: read them leniently.",
			"version":     "1.0.0",
			"license":     object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers": []object{{"url": "https://" + DefaultHost}},
		"tags":    tags,
		"paths":   paths,
		"components": object{
			"schemas": schemas,
			"securitySchemes": object{
				string(AuthAccount):   apiKey("access_token", "the account's token"),
				string(AuthComponent): apiKey("component_access_token", "the third-party platform's token"),
			},
		},
	}
}

// variants are the endpoints that share the method and path of one; OpenAPI
// has a single operation for them.
func (o *openAPI) variants(e *Endpoint) []*Endpoint {
	var list []*Endpoint
	for _, x := range o.c.ByPath(e.Path) {
		if x.Method == e.Method {
			list = append(list, x)
		}
	}
	return list
}

func (o *openAPI) operation(variants []*Endpoint) object {
	e := variants[0]
	op := object{
		"operationId":      e.ID,
		"tags":             []string{e.area.Name},
		"summary":          e.TitleZH,
		"description":      o.description(variants),
		"responses":        object{"200": o.response(variants)},
		"security":         []object{},
		"x-wenzi-priority": e.Priority,
		"x-wenzi-account":  e.Account,
	}
	if e.Auth == AuthAccount || e.Auth == AuthComponent {
		op["security"] = []object{{string(e.Auth): []string{}}}
	}
	if e.Host != "" {
		op["servers"] = []object{{"url": "https://" + e.Host}}
	}
	if e.Priority == Retired {
		op["deprecated"] = true
	}
	if e.Quota != (Quota{}) {
		op["x-wenzi-quota"] = e.Quota
	}
	if len(e.Errcodes) > 0 {
		codes := object{}
		for _, n := range e.Errcodes {
			code, _ := o.c.Code(n)
			codes[strconv.Itoa(n)] = code.MeaningZH
		}
		op["x-wenzi-errcodes"] = codes
	}
	if p := o.parameters(variants); len(p) > 0 {
		op["parameters"] = p
	}
	if body := o.requestBody(variants); body != nil {
		op["requestBody"] = body
	}
	return op
}

func (o *openAPI) description(variants []*Endpoint) string {
	var b strings.Builder
	for _, e := range variants {
		if len(variants) > 1 {
			fmt.Fprintf(&b, "%s (%s): ", e.ID, e.TitleZH)
		}
		b.WriteString(e.Summary + "\n")
		for _, line := range slices.Concat(e.Limits, e.Notes) {
			b.WriteString("\n- " + line)
		}
		if len(e.Limits)+len(e.Notes) > 0 {
			b.WriteString("\n")
		}
	}
	return strings.TrimSpace(b.String())
}

// parameters are the query of all variants. One that only some have is
// optional; one that tells the variants apart lists its values.
func (o *openAPI) parameters(variants []*Endpoint) []object {
	var names []string
	fields := map[string][]Field{}
	for _, e := range variants {
		for _, f := range e.Request.Query {
			if e.Auth == AuthComponent && f.Name == string(AuthComponent) {
				continue // it is the security scheme
			}
			if fields[f.Name] == nil {
				names = append(names, f.Name)
			}
			fields[f.Name] = append(fields[f.Name], f)
		}
	}
	var list []object
	for _, name := range names {
		uses := fields[name]
		required := len(uses) == len(variants)
		for _, f := range uses {
			required = required && f.Required
		}
		schema := o.schema(&uses[0])
		if name == "action" && len(uses) > 1 {
			var values []string
			for _, f := range uses {
				values = append(values, f.Note)
			}
			schema = object{"type": "string", "enum": values}
		}
		p := object{"name": name, "in": "query", "required": required, "schema": schema}
		if uses[0].Note != "" && schema["enum"] == nil {
			delete(schema, "description")
			p["description"] = uses[0].Note
		}
		list = append(list, p)
	}
	return list
}

func (o *openAPI) requestBody(variants []*Endpoint) object {
	required := func(f *Field) bool { return f.Required }
	var schemas []object
	var sample json.RawMessage
	contentType := ContentJSON
	for _, e := range variants {
		switch {
		case len(e.Request.Multipart) > 0:
			contentType = ContentMultipart
			schemas = append(schemas, o.objectSchema(e.Request.Multipart, required))
		case e.Method == "POST" && e.Request.ContentType != ContentNone:
			schemas = append(schemas, o.objectSchema(e.Request.Body, required))
		}
		if sample == nil {
			sample = e.SampleRequest
		}
	}
	if len(schemas) == 0 {
		return nil
	}
	content := object{"schema": anyOf(schemas)}
	if sample != nil {
		content["example"] = sample
	}
	return object{"required": true, "content": object{contentType: content}}
}

func (o *openAPI) response(variants []*Endpoint) object {
	content := object{}
	var schemas []object
	var sample json.RawMessage
	for _, e := range variants {
		switch e.Response.Kind {
		case KindRedirect:
			return object{"description": "a page for browsers", "content": object{"text/html": object{}}}
		case KindBinary, KindJSONOrBinary:
			content["application/octet-stream"] = object{}
		}
		answer := o.objectSchema(e.Response.Fields, func(f *Field) bool { return f.Always(false) })
		if e.Response.Shape != "" && e.Typed() {
			answer = ref(e.Response.Shape)
		}
		// An error has nothing but the envelope, so no member is required.
		delete(answer, "required")
		schemas = append(schemas, object{"allOf": []object{ref("Envelope"), answer}})
		if sample == nil {
			sample = e.SampleResponse
		}
	}
	if variants[0].Response.Kind != KindBinary {
		media := object{"schema": anyOf(schemas)}
		if sample != nil {
			media["example"] = sample
		}
		content[ContentJSON] = media
	}
	return object{"description": "the answer, or an error with an errcode other than 0", "content": content}
}

func anyOf(schemas []object) object {
	if len(schemas) == 1 {
		return schemas[0]
	}
	return object{"anyOf": schemas}
}

func ref(shape string) object { return object{"$ref": "#/components/schemas/" + shape} }

func (o *openAPI) objectSchema(fields []Field, required func(*Field) bool) object {
	s := object{"type": "object"}
	if len(fields) == 0 {
		return s
	}
	properties := object{}
	var names []string
	for i := range fields {
		f := &fields[i]
		properties[f.Name] = o.schema(f)
		if required(f) {
			names = append(names, f.Name)
		}
	}
	s["properties"] = properties
	if len(names) > 0 {
		s["required"] = names
	}
	return s
}

func (o *openAPI) schema(f *Field) object {
	s := o.typeSchema(f, f.Type)
	if f.Note != "" {
		s["description"] = f.Note // allowed beside $ref since 3.1
	}
	if f.Deprecated {
		s["deprecated"] = true
	}
	return s
}

func (o *openAPI) typeSchema(f *Field, typ string) object {
	switch {
	case strings.HasPrefix(typ, "array<"):
		return object{"type": "array", "items": o.typeSchema(f, typ[len("array<"):len(typ)-1])}
	case strings.HasPrefix(typ, "map<string,"):
		return object{"type": "object", "additionalProperties": o.typeSchema(f, typ[len("map<string,"):len(typ)-1])}
	}
	switch typ {
	case "object":
		if o.shapes[f.Shape] != nil {
			return ref(f.Shape)
		}
		return o.objectSchema(f.Fields, func(f *Field) bool { return f.Required })
	case "int":
		return object{"type": "integer", "format": "int32"}
	case "int64":
		return object{"type": "integer", "format": "int64"}
	case "number":
		return object{"type": "number"}
	case "bool":
		return object{"type": "boolean"}
	case "file":
		return object{"type": "string", "contentMediaType": "application/octet-stream"}
	}
	return object{"type": "string"}
}
