package oa

import (
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDocProgram: the program of the package documentation is the one that
// Example compiles.
func TestDocProgram(t *testing.T) {
	files := token.NewFileSet()
	doc, err := parser.ParseFile(files, "doc.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for line := range strings.Lines(doc.Doc.Text()) {
		if code, ok := strings.CutPrefix(line, "\t"); ok {
			shown = append(shown, code)
		} else if len(shown) > 0 {
			break // the first block
		}
	}
	if len(shown) != 6 {
		t.Errorf("the program has %d lines", len(shown))
	}
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(source), "func Example() {\n")
	body, _, _ = strings.Cut(body, "\n}\n")
	formatted := func(code string) string {
		b, err := format.Source([]byte(code))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(string(b)), " ")
	}
	if diff := cmp.Diff(formatted(strings.Join(shown, "")), formatted(body)); diff != "" {
		t.Errorf("doc.go and Example differ (-doc +example):\n%s", diff)
	}
}

// TestEveryTypeHasAnExample reads the sources for it.
func TestEveryTypeHasAnExample(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	types, examples := map[string]bool{}, map[string]bool{}
	for _, name := range names {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if name, ok := strings.CutPrefix(d.Name.Name, "Example"); ok {
					examples[name] = true
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if s, ok := s.(*ast.TypeSpec); ok && s.Name.IsExported() && f.Name.Name == "oa" {
						types[s.Name.Name] = true
					}
				}
			}
		}
	}
	if len(types) < 70 {
		t.Errorf("read only %d types", len(types))
	}
	for name := range types {
		if !examples[name] {
			t.Errorf("%s has no example", name)
		}
	}
}
