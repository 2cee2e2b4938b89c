// Package openapi checks the catalogue's OpenAPI document against the official
// schemas of OpenAPI 3.1 and JSON Schema 2020-12, with validators that have
// nothing to do with wenzi. It is a module of its own so that they are no
// dependencies of wenzi.
package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/wenzihq/wenzi/catalogue"
)

// problems lists what is wrong with a document: references that lead nowhere,
// and what the schema does not allow.
func problems(t *testing.T, document []byte) []string {
	t.Helper()
	doc, err := libopenapi.NewDocument(document)
	if err != nil {
		return []string{err.Error()}
	}
	if _, err := doc.BuildV3Model(); err != nil {
		return []string{err.Error()}
	}
	v, errs := validator.NewValidator(doc)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	defer v.Release()
	var list []string
	if ok, failures := v.ValidateDocument(); !ok {
		for _, f := range failures {
			list = append(list, f.Message+": "+f.Reason)
			for _, s := range f.SchemaValidationErrors {
				list = append(list, s.FieldPath+": "+s.Reason)
			}
		}
	}
	return append(list, badSchemas(t, document)...)
}

// badSchemas lists the schemas that JSON Schema does not allow; the schema of
// OpenAPI leaves them to it.
func badSchemas(t *testing.T, document []byte) []string {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("openapi.json", doc); err != nil {
		return []string{err.Error()}
	}
	var list []string
	compile := func(pointer string) {
		if _, err := c.Compile("openapi.json#" + pointer); err != nil {
			list = append(list, err.Error())
		}
	}
	var walk func(node any, pointer string)
	walk = func(node any, pointer string) {
		switch n := node.(type) {
		case []any:
			for i, member := range n {
				walk(member, fmt.Sprintf("%s/%d", pointer, i))
			}
		case map[string]any:
			for name, member := range n {
				at := pointer + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
				switch {
				case name == "schema" || pointer == "/components/schemas":
					compile(at)
				case name != "example":
					walk(member, at)
				}
			}
		}
	}
	walk(doc, "")
	return list
}

func document(t *testing.T) []byte {
	t.Helper()
	b, err := catalogue.Load().OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDocumentIsValid(t *testing.T) {
	for _, p := range problems(t, document(t)) {
		t.Error(p)
	}
}

// small is the document with few paths, which is checked sooner.
func small(t *testing.T) []byte {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(document(t), &doc); err != nil {
		t.Fatal(err)
	}
	paths := doc["paths"].(map[string]any)
	for path := range paths {
		if !strings.HasPrefix(path, "/cgi-bin/user/") {
			delete(paths, path)
		}
	}
	b, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The validators must be able to see what is wrong.
func TestMistakesAreSeen(t *testing.T) {
	good := small(t)
	for name, change := range map[string][2]string{
		"no title":             {`"title": "微信公众平台 HTTP API",`, ``},
		"no such schema":       {`"$ref": "#/components/schemas/Envelope"`, `"$ref": "#/components/schemas/Nothing"`},
		"parameter in nowhere": {`"in": "query"`, `"in": "nowhere"`},
		"unknown type":         {`"type": "integer"`, `"type": "int"`},
		"required is no list":  {`"required": [`, `"required": 1, "x-before": [`},
		"operation without id": {`"operationId":`, `"operation_id":`},
	} {
		t.Run(name, func(t *testing.T) {
			bad := bytes.Replace(good, []byte(change[0]), []byte(change[1]), 1)
			if bytes.Equal(good, bad) {
				t.Fatalf("the document has no %s", change[0])
			}
			list := problems(t, bad)
			if len(list) == 0 {
				t.Error("not seen")
			}
			t.Log(list)
		})
	}
}
