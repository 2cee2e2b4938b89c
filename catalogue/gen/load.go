package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/wenzihq/wenzi/catalogue"
)

// load reads the YAML files of a directory and returns the catalogue as JSON,
// one endpoint and one code a line, so that a change shows as a small
// difference.
func load(dir string) ([]byte, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "api", "*.yaml")) // sorted
	if err != nil {
		return nil, err
	}
	var c catalogue.Catalogue
	for _, path := range paths {
		var a catalogue.Area
		if err := readYAML(path, &a); err != nil {
			return nil, err
		}
		if want := strings.TrimSuffix(filepath.Base(path), ".yaml"); a.Name != want {
			return nil, fmt.Errorf("%s: area is %q, want the file's name", path, a.Name)
		}
		c.Areas = append(c.Areas, a)
	}
	if err := readYAML(filepath.Join(dir, "codes.yaml"), &c); err != nil {
		return nil, err
	}
	return printJSON(&c)
}

// readYAML reads one file into a type with JSON tags. A key the type does not
// know is a mistake.
func readYAML(path string, v any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var tree map[string]any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if list, ok := tree["endpoints"].([]any); ok {
		for _, e := range list {
			if err := parseSamples(e); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	b, err := marshal(tree)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// parseSamples turns the text of an endpoint's samples into JSON.
func parseSamples(endpoint any) error {
	e, ok := endpoint.(map[string]any)
	if !ok {
		return errors.New("an endpoint is not a mapping")
	}
	for _, key := range []string{"sample_request", "sample_response"} {
		text, ok := e[key].(string)
		if !ok {
			continue
		}
		if !json.Valid([]byte(text)) {
			return fmt.Errorf("%v: %s is not JSON", e["id"], key)
		}
		e[key] = json.RawMessage(text)
	}
	return nil
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

func printJSON(c *catalogue.Catalogue) ([]byte, error) {
	var b bytes.Buffer
	var failed error
	line := func(v any) []byte {
		text, err := marshal(v)
		if err != nil {
			failed = err
		}
		return text
	}
	b.WriteString("{\"areas\":[\n")
	for i, a := range c.Areas {
		endpoints := a.Endpoints
		a.Endpoints = nil
		head := bytes.TrimSuffix(line(a), []byte(`"endpoints":null}`))
		fmt.Fprintf(&b, "%s\"endpoints\":[\n", head)
		for j, e := range endpoints {
			fmt.Fprintf(&b, "%s%s\n", line(e), comma(j, len(endpoints)))
		}
		fmt.Fprintf(&b, "]}%s\n", comma(i, len(c.Areas)))
	}
	fmt.Fprintf(&b, "],\"actions\":%s,\"codes\":[\n", line(c.Actions))
	for i, code := range c.Codes {
		fmt.Fprintf(&b, "%s%s\n", line(code), comma(i, len(c.Codes)))
	}
	b.WriteString("]}\n")
	return b.Bytes(), failed
}

func comma(i, n int) string {
	if i < n-1 {
		return ","
	}
	return ""
}
