package catalogue_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/catalogue"
)

func TestEmbedded(t *testing.T) {
	c := catalogue.Load()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	count := map[catalogue.Priority]int{}
	for _, e := range c.Endpoints() {
		count[e.Priority]++
		if got, ok := c.Endpoint(e.ID); !ok || got != e {
			t.Errorf("%s is not found by its id", e.ID)
		}
		if !slices.Contains(c.ByPath(e.Path), e) {
			t.Errorf("%s is not found by its path", e.ID)
		}
		if e.Area() == nil || !slices.Contains(e.Area().Endpoints, e) {
			t.Errorf("%s has no area", e.ID)
		}
	}
	want := map[catalogue.Priority]int{catalogue.Core: 59, catalogue.Useful: 101, catalogue.Low: 183, catalogue.Retired: 90}
	if diff := cmp.Diff(want, count); diff != "" {
		t.Error(diff)
	}
	if len(c.Areas) != 42 || len(c.Codes) != 298 {
		t.Errorf("%d areas and %d codes", len(c.Areas), len(c.Codes))
	}
}

func TestCode(t *testing.T) {
	c := catalogue.Load()
	for _, test := range []struct {
		code     int
		category string
		advice   string
	}{
		{40164, "ip", "把报错里的 IP 加入公众平台「设置与开发 → 基本配置 → IP 白名单」"},
		{48004, "permission", "到公众平台查看封禁原因"},
		{45008, "bad_request", "改正这次请求的内容，不要原样重试"},
	} {
		got, ok := c.Code(test.code)
		if !ok || got.Category != test.category || got.AdviceZH != test.advice {
			t.Errorf("%+v", got)
		}
	}
	if _, ok := c.Code(7); ok {
		t.Error("7 is no code")
	}
}

func TestReads(t *testing.T) {
	c := catalogue.Load()
	for id, want := range map[string]bool{
		"menu_get": true, "menu_delete": false, "draft_list": true, "draft_add": false, "custom_message_send": false,
		"token_get_stable": true, "media_upload": false, "ocr_common": true, "mass_preview": false,
	} {
		e, ok := c.Endpoint(id)
		if !ok || e.Reads() != want {
			t.Errorf("%s: reads is %v", id, !want)
		}
	}
}

// good is a catalogue without mistakes, and each test makes one.
const good = `{"areas":[{"area":"menu","title_zh":"菜单","groups":["menu"],"endpoints":[
{"id":"menu_create","title_zh":"创建","summary":"Create.","priority":"core","method":"POST","path":"/menu/create","auth":"access_token",
"account":{"subscription":"yes","service":"verified"},
"request":{"content_type":"application/json","body":[{"name":"button","type":"array<object>","shape":"Button","required":true,"fields":[{"name":"name","type":"string","required":true}]}]},
"response":{"kind":"json","fields":[{"name":"id","type":"int64"},{"name":"b","type":"object","shape":"Button","optional":true,"fields":[{"name":"name","type":"string"}]}]},
"errcodes":[40015],"sample_request":{"button":[{"name":"x"}]},"sample_response":{"id":1}},
{"id":"menu_old","title_zh":"旧","summary":"Old.","priority":"retired","status":"gone","method":"GET","path":"/menu/old","auth":"none",
"account":{"subscription":"no","service":"no"},"response":{"kind":"json"}}]}],
"actions":{"request_fatal":{"category":"bad_request","meaning":"a bug","advice_zh":"改正"}},
"codes":[{"code":40015,"name":"bad_button","action":"request_fatal","meaning":"bad","meaning_zh":"不对"}]}`

func TestValidate(t *testing.T) {
	parse := func(text string) *catalogue.Catalogue {
		c, err := catalogue.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if err := parse(good).Validate(); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ old, new, want string }{
		"id twice":              {`"id":"menu_old"`, `"id":"menu_create"`, "id is used twice"},
		"id in capitals":        {`"id":"menu_create"`, `"id":"MenuCreate"`, "not snake_case"},
		"path twice":            {`"GET","path":"/menu/old"`, `"POST","path":"/menu/create"`, "same path as menu_create"},
		"path with query":       {`"/menu/create"`, `"/menu/create?a=1"`, "have no query"},
		"method":                {`"method":"POST"`, `"method":"PUT"`, `method "PUT"`},
		"priority":              {`"priority":"core"`, `"priority":"main"`, `priority "main"`},
		"retired":               {`"status":"gone",`, ``, "needs a status"},
		"auth":                  {`"auth":"none"`, `"auth":"key"`, `auth "key"`},
		"account":               {`"service":"verified"`, `"service":"maybe"`, `account "maybe"`},
		"group":                 {`"groups":["menu"]`, `"groups":["card"]`, "no group"},
		"kind":                  {`"kind":"json"}}]`, `"kind":"xml"}}]`, `kind "xml"`},
		"content type":          {`application/json`, `application/xml`, `content_type "application/xml"`},
		"field type":            {`"type":"int64"`, `"type":"long"`, `unknown type "long"`},
		"field twice":           {`{"name":"id","type":"int64"}`, `{"name":"id","type":"int64"},{"name":"id","type":"int"}`, "used twice"},
		"scalar with members":   {`"type":"int64"`, `"type":"int64","fields":[{"name":"x","type":"int"}]`, "has no members"},
		"shape":                 {`"shape":"Button","required"`, `"shape":"button","required"`, "not CamelCase"},
		"shape contradicts":     {`{"name":"name","type":"string"}`, `{"name":"name","type":"int"}`, "elsewhere in shape Button"},
		"unknown code":          {`"errcodes":[40015]`, `"errcodes":[1]`, "code 1 is not in the dictionary"},
		"sample lacks field":    {`"sample_request":{"button":[{"name":"x"}]}`, `"sample_request":{}`, "button: is required and missing"},
		"sample deep":           {`[{"name":"x"}]`, `[{}]`, "button[].name: is required and missing"},
		"sample unknown member": {`"sample_response":{"id":1}`, `"sample_response":{"id":1,"x":2}`, `member "x" without a field`},
		"sample wrong type":     {`"sample_response":{"id":1}`, `"sample_response":{"id":"1"}`, "is not a number"},
		"answer lacks field":    {`"sample_response":{"id":1}`, `"sample_response":{}`, "id: is not optional and missing"},
		"no sample":             {`,"sample_response":{"id":1}`, ``, "needs a sample_response"},
		"code twice":            {`"codes":[`, `"codes":[{"code":40015,"name":"x","action":"request_fatal","meaning":"x","meaning_zh":"x"},`, "listed twice"},
		"code without Chinese":  {`"meaning_zh":"不对"`, `"meaning_zh":""`, "needs meaning"},
		"unknown action":        {`"action":"request_fatal"`, `"action":"panic"`, `action "panic"`},
		"unknown category":      {`"category":"bad_request"`, `"category":"bad"`, `category "bad"`},
		"body of GET":           {`"response":{"kind":"json"}}]`, `"request":{"content_type":"application/json"},"response":{"kind":"json"}}]`, "a GET has no body"},
	} {
		text := strings.Replace(good, test.old, test.new, 1)
		if text == good {
			t.Errorf("%s: the test changes nothing", name)
			continue
		}
		if err := parse(text).Validate(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

func TestShapes(t *testing.T) {
	s := catalogue.Load().Shapes()["MenuButton"]
	if s == nil || len(s.Uses) != 4 {
		t.Fatalf("%+v", s)
	}
	var required []string
	for _, f := range s.Fields {
		if f.Required {
			required = append(required, f.Name)
		}
	}
	wrapped := &catalogue.Field{Name: "button", Type: "array<object>", Shape: "MenuButton"}
	if got := catalogue.Load().Members(wrapped); len(got) != 9 {
		t.Errorf("%d members of an object that only names its shape", len(got))
	}
	if diff := cmp.Diff([]string{"name"}, required); diff != "" || len(s.Fields) != 9 {
		t.Errorf("%d fields, required %v", len(s.Fields), required)
	}
}

func TestOpenAPI(t *testing.T) {
	c := catalogue.Load()
	text, err := c.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.OpenAPI()
	if err != nil || string(again) != string(text) {
		t.Error("the document differs from one time to the next")
	}
	var doc struct {
		OpenAPI    string
		Paths      map[string]map[string]map[string]any
		Components struct{ Schemas, SecuritySchemes map[string]any }
		Tags       []struct{ Name string }
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" || len(doc.Tags) != len(c.Areas) {
		t.Errorf("version %s, %d tags", doc.OpenAPI, len(doc.Tags))
	}
	ids := map[string]bool{}
	for path, item := range doc.Paths {
		for method, op := range item {
			id := fmt.Sprint(op["operationId"])
			e, ok := c.Endpoint(id)
			if !ok || ids[id] || e.Path != path || strings.ToLower(e.Method) != method {
				t.Errorf("%s %s: operation %s", method, path, id)
			}
			ids[id] = true
		}
	}
	for _, e := range c.Endpoints() {
		if doc.Paths[e.Path][strings.ToLower(e.Method)] == nil {
			t.Errorf("%s is missing", e.ID)
		}
	}
	// Every reference leads somewhere, and every schema is referred to.
	used := map[string]bool{}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	references(tree, func(ref string) {
		name, ok := strings.CutPrefix(ref, "#/components/schemas/")
		if !ok || doc.Components.Schemas[name] == nil {
			t.Errorf("%s leads nowhere", ref)
		}
		used[name] = true
	})
	for name := range doc.Components.Schemas {
		if !used[name] {
			t.Errorf("schema %s is not used", name)
		}
	}
	// Endpoints that share a path and method are one operation that tells them
	// apart by its parameter.
	p, _ := json.Marshal(doc.Paths["/card/invoice/setbizattr"]["post"]["parameters"])
	if !strings.Contains(string(p), `"enum":["set_pay_mch","get_pay_mch","set_contact"`) {
		t.Errorf("variants: %s", p)
	}
}

func references(node any, f func(string)) {
	switch n := node.(type) {
	case map[string]any:
		for k, v := range n {
			if s, ok := v.(string); ok && k == "$ref" {
				f(s)
			}
			references(v, f)
		}
	case []any:
		for _, v := range n {
			references(v, f)
		}
	}
}

func ExampleLoad() {
	e, _ := catalogue.Load().Endpoint("menu_create")
	fmt.Println(e.Method, e.Path, e.TitleZH)
	for _, f := range e.Request.Body {
		fmt.Println(f.Name, f.Type, f.Required)
	}
	// Output:
	// POST /cgi-bin/menu/create 创建自定义菜单
	// button array<object> true
}

func BenchmarkParse(b *testing.B) {
	c := catalogue.Load()
	text, err := json.Marshal(c)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := catalogue.Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
