// Command gen turns the hand-written description of the platform's API into
// everything that is generated from it: the JSON that package catalogue
// embeds, the typed client oa/api, and the tables in docs. It runs by
//
//	go generate ./catalogue
//
// and its output depends on nothing but the YAML files. With -check it writes
// nothing and fails if a file on disk differs.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wenzihq/wenzi/catalogue"
)

func main() {
	check := flag.Bool("check", false, "write nothing; fail if a generated file differs")
	root := flag.String("root", "..", "the module's directory, seen from the catalogue's")
	flag.Parse()
	if err := run(*root, *check); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(root string, check bool) error {
	files, err := generate(filepath.Join(root, "catalogue"))
	if err != nil {
		return err
	}
	if check {
		return compare(root, files)
	}
	return write(root, files)
}

// generate makes all files, by their path in the module.
func generate(dir string) (map[string][]byte, error) {
	text, err := load(dir)
	if err != nil {
		return nil, err
	}
	c, err := catalogue.Parse(text)
	if err != nil {
		return nil, err
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	files, err := goFiles(c)
	if err != nil {
		return nil, err
	}
	files["catalogue/catalogue.json"] = text
	files["docs/api-coverage.md"] = coverage(c)
	return files, nil
}

// isGenerated reports whether a path of the module belongs to the generator,
// so that the file of an area that is gone goes too.
func isGenerated(path string) bool {
	return strings.HasPrefix(path, "oa/api/") && (strings.HasSuffix(path, "_gen.go") || strings.HasSuffix(path, "_gen_test.go"))
}

func existing(root string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(root, "oa", "api"))
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		if path := "oa/api/" + e.Name(); isGenerated(path) {
			paths = append(paths, path)
		}
	}
	return paths, nil
}

func compare(root string, files map[string][]byte) error {
	var errs []error
	for _, path := range slices.Sorted(maps.Keys(files)) {
		old, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
		if err != nil || !bytes.Equal(old, files[path]) {
			errs = append(errs, fmt.Errorf("%s differs from what the catalogue says: run go generate ./catalogue", path))
		}
	}
	paths, err := existing(root)
	if err != nil {
		return err
	}
	for _, path := range paths {
		if files[path] == nil {
			errs = append(errs, fmt.Errorf("%s is no longer generated: run go generate ./catalogue", path))
		}
	}
	return errors.Join(errs...)
}

func write(root string, files map[string][]byte) error {
	paths, err := existing(root)
	if err != nil {
		return err
	}
	for _, path := range paths {
		if files[path] == nil {
			if err := os.Remove(filepath.Join(root, filepath.FromSlash(path))); err != nil {
				return err
			}
		}
	}
	for path, content := range files {
		if err := os.WriteFile(filepath.Join(root, filepath.FromSlash(path)), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
