package sim

import (
	"bytes"
	"encoding/json"
	"mime"
	"mime/multipart"
	"regexp"
	"slices"
	"strings"

	"github.com/wenzihq/wenzi/catalogue"
)

// check holds a call against the catalogue: what must be there is there, and is
// of its type. As the platform does, it takes numbers in quotes for numbers, and
// does not look at members it does not know (reference api-rules §3).
func (c *call) check() error {
	e := c.endpoint
	for _, f := range e.Request.Query {
		if f.Required && c.query.Get(f.Name) == "" && !slices.Contains(otherwiseGiven[e.ID], f.Name) {
			return failf(missingCode(f.Name), "missing parameter: %s", f.Name)
		}
	}
	switch e.Request.ContentType {
	case catalogue.ContentMultipart:
		return c.checkForm(e.Request.Multipart)
	case catalogue.ContentJSON:
		return c.checkJSON()
	}
	return nil
}

// otherwiseGiven are parameters that may be given in another way: those of the
// query in the body, those of the body in the query (reference api-rules §20).
var otherwiseGiven = map[string][]string{
	"kf_delete":            {"kf_account"},
	"oauth_authorize_page": {"appid", "redirect_uri", "response_type", "scope"}, // a page says itself what is missing
	"component_login_page": {"component_appid", "pre_auth_code", "redirect_uri"},
}

// missingCode is the code for a missing parameter, where it has one of its own.
func missingCode(name string) int {
	switch name {
	case "appid":
		return 41002
	case "secret", "appsecret":
		return 41004
	case "access_token":
		return 41001
	case "refresh_token":
		return 41003
	case "media_id":
		return 41006
	case "code":
		return 41008
	case "openid", "touser":
		return 41009
	case "grant_type":
		return 40002
	case "speed":
		return 45084
	case "ids":
		return 200018
	}
	return 40035
}

// escapes are what JSON encoders make of characters that the platform wants as
// they are (reference api-rules §3).
var escapes = regexp.MustCompile(`\\u[0-9a-fA-F]{4}`)

// anyEscape is a whole escape of JSON, so that the second of two backslashes
// begins none.
var anyEscape = regexp.MustCompile(`\\(?s:.)`)

// refusesEscapes are the chapters in which \uXXXX is an error, showsEscapes
// those in which readers see it as it stands.
var (
	refusesEscapes = []string{"menu"}
	showsEscapes   = []string{"draft"}
)

// literalEscapes makes \uXXXX stand for itself instead of for a character.
func literalEscapes(body []byte) []byte {
	return anyEscape.ReplaceAllFunc(body, func(escape []byte) []byte {
		if escape[1] != 'u' {
			return escape
		}
		return append([]byte{'\\'}, escape...)
	})
}

func (c *call) checkJSON() error {
	fields := slices.Clone(c.endpoint.Request.Body)
	for i := range fields {
		if f := &fields[i]; c.query.Get(f.Name) != "" && slices.Contains(otherwiseGiven[c.endpoint.ID], f.Name) {
			f.Required = false
		}
	}
	if len(bytes.TrimSpace(c.body)) == 0 {
		if !slices.ContainsFunc(fields, func(f catalogue.Field) bool { return f.Required }) {
			return nil
		}
		return fail(44002)
	}
	if slices.Contains(refusesEscapes, c.endpoint.Area().Name) && escapes.Match(c.body) {
		return fail(40033)
	}
	if slices.Contains(showsEscapes, c.endpoint.Area().Name) {
		c.body = literalEscapes(c.body)
	}
	d := json.NewDecoder(bytes.NewReader(c.body))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return failf(47001, "data format error: %v", err)
	}
	object, ok := value.(map[string]any)
	if !ok {
		return fail(47001)
	}
	return checkObject(object, fields)
}

func checkObject(object map[string]any, fields []catalogue.Field) error {
	for i := range fields {
		f := &fields[i]
		v, present := object[f.Name]
		if !present || v == nil {
			if f.Required {
				return failf(missingCode(f.Name), "missing parameter: %s", f.Name)
			}
			continue
		}
		if err := checkValue(v, f, f.Type); err != nil {
			return err
		}
	}
	return nil
}

func checkValue(v any, f *catalogue.Field, typ string) error {
	wrong := failf(47001, "data format error: %s is not of type %s", f.Name, typ)
	inner := func(prefix string) string { return strings.TrimSuffix(strings.TrimPrefix(typ, prefix), ">") }
	switch {
	case strings.HasPrefix(typ, "array<"):
		list, ok := v.([]any)
		if !ok {
			return wrong
		}
		for _, item := range list {
			if err := checkValue(item, f, inner("array<")); err != nil {
				return err
			}
		}
	case strings.HasPrefix(typ, "map<string,"):
		m, ok := v.(map[string]any)
		if !ok {
			return wrong
		}
		for _, item := range m {
			if err := checkValue(item, f, inner("map<string,")); err != nil {
				return err
			}
		}
	case typ == "object":
		m, ok := v.(map[string]any)
		if !ok {
			return wrong
		}
		return checkObject(m, f.Fields)
	case typ == "int", typ == "int64", typ == "number":
		switch v := v.(type) {
		case json.Number, bool:
		case string:
			if _, err := json.Number(v).Float64(); err != nil && v != "" {
				return wrong
			}
		default:
			return wrong
		}
	case typ == "string":
		switch v.(type) {
		case string, json.Number:
		default:
			return wrong
		}
	}
	return nil
}

// checkForm checks the file parts of an upload (reference api-rules §4).
func (c *call) checkForm(parts []catalogue.Field) error {
	for _, f := range parts {
		if f.Type != "file" || !f.Required {
			continue
		}
		u, err := c.upload(f.Name)
		if err != nil {
			return err
		}
		if len(u.content) == 0 {
			return fail(44001)
		}
		kind := c.query.Get("type")
		for _, a := range f.Accept {
			if a.When != "" && a.When != kind {
				continue
			}
			ext := strings.ToLower(u.name[strings.LastIndexByte(u.name, '.')+1:])
			if len(a.Ext) > 0 && !slices.Contains(a.Ext, ext) {
				return failf(40005, "invalid file type: %s", ext)
			}
			if a.MaxBytes > 0 && int64(len(u.content)) > a.MaxBytes {
				return failf(c.tooLarge(kind), "invalid file size: %d bytes", len(u.content))
			}
		}
	}
	return nil
}

// tooLarge is the code for a file over its limit. Endpoints without a code for
// the kind of file have one for all.
func (c *call) tooLarge(kind string) int {
	code := map[string]int{"voice": 40010, "video": 40011, "thumb": 40012}[kind]
	switch {
	case code == 0:
		return 40009
	case slices.Contains(c.endpoint.Errcodes, code):
		return code
	}
	return 40006
}

// upload is one part of a form.
type upload struct {
	name, contentType string
	content           []byte
}

// upload finds a file part by its name; 41005 where there is none with a
// filename.
func (c *call) upload(name string) (upload, error) {
	form, err := c.form()
	if err != nil {
		return upload{}, err
	}
	files := form.File[name]
	if len(files) == 0 || files[0].Filename == "" {
		return upload{}, fail(41005)
	}
	f, err := files[0].Open()
	if err != nil {
		return upload{}, fail(41005)
	}
	defer f.Close()
	content := make([]byte, files[0].Size)
	if _, err := f.Read(content); err != nil && len(content) > 0 {
		return upload{}, fail(41005)
	}
	return upload{name: files[0].Filename, contentType: files[0].Header.Get("Content-Type"), content: content}, nil
}

// form reads the body as a form, in memory.
func (c *call) form() (*multipart.Form, error) {
	kind, params, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		return nil, fail(41005)
	}
	form, err := multipart.NewReader(bytes.NewReader(c.body), params["boundary"]).ReadForm(maxUpload)
	if err != nil {
		return nil, fail(41005)
	}
	return form, nil
}
