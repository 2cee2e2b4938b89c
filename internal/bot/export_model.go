package bot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v4"
)

func exportModel(model Model) *yaml.Node {
	m := exportEndpoint(model.Endpoints[0])
	m.text("system", model.System)
	if model.MemoryTokens != nil {
		m.node("memory_tokens", plain(strconv.Itoa(*model.MemoryTokens)))
	}
	m.text("sorry", model.Sorry)
	if backups := model.Endpoints[1:]; len(backups) > 0 {
		m.node("backups", list(backups, func(e Endpoint) *yaml.Node { return &exportEndpoint(e).Node }))
	}
	return &m.Node
}

func exportEndpoint(e Endpoint) *mapping {
	m := new(mapping)
	m.text("provider", e.Provider)
	m.text("base_url", e.BaseURL)
	m.text("key", e.Key.String())
	m.text("name", e.Name)
	if e.Temperature != nil {
		m.node("temperature", plain(strconv.FormatFloat(*e.Temperature, 'g', -1, 64)))
	}
	integer := func(key string, n int) {
		if n != 0 {
			m.node(key, plain(strconv.Itoa(n)))
		}
	}
	duration := func(key string, d time.Duration) {
		if d != 0 {
			m.text(key, d.String())
		}
	}
	integer("max_tokens", e.MaxTokens)
	duration("timeout", e.Timeout)
	duration("first_token", e.FirstToken)
	integer("concurrency", e.Concurrency)
	if e.Vision {
		m.node("vision", plain("true"))
	}
	if e.Extra != nil {
		m.node("extra", exportExtra(e.Extra))
	}
	return m
}

func exportExtra(extra map[string]json.RawMessage) *yaml.Node {
	m := &mapping{Node: yaml.Node{Kind: yaml.MappingNode}}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		decoder := json.NewDecoder(bytes.NewReader(extra[name]))
		decoder.UseNumber()
		var v any
		if err := decoder.Decode(&v); err != nil { // it was JSON when it was stored
			continue
		}
		m.node(name, exportJSON(v))
	}
	return &m.Node
}

func exportJSON(v any) *yaml.Node {
	switch v := v.(type) {
	case map[string]any:
		m := &mapping{Node: yaml.Node{Kind: yaml.MappingNode}}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			m.node(name, exportJSON(v[name]))
		}
		return &m.Node
	case []any:
		return list(v, exportJSON)
	case string:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v, Style: yaml.DoubleQuotedStyle}
	case nil:
		return plain("null")
	}
	return plain(fmt.Sprint(v)) // true, false and json.Number
}

// plain is a scalar that is not a text.
func plain(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: s} }
