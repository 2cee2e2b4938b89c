package bot

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// What a model has where its owner has not said otherwise.
const (
	defaultTimeout      = time.Minute
	defaultFirstToken   = 30 * time.Second
	defaultConcurrency  = 8
	defaultMemoryTokens = 4000
	defaultSorry        = "抱歉，我这会儿想不出来，请过一会儿再问。"
)

// compatible is the provider that is any address with the same protocol.
const compatible = "openai-compatible"

// Model is the language model that answers what no rule matches. The zero Model
// is none. It is as its owner has written it; [Model.WithDefaults] gives what
// is in force.
type Model struct {
	Endpoints    []Endpoint `json:"endpoints"`               // asked in this order until one answers
	System       string     `json:"system,omitempty"`        // the system prompt
	MemoryTokens *int       `json:"memory_tokens,omitempty"` // how much of the conversation so far it is told; 0: nothing
	Sorry        string     `json:"sorry,omitempty"`         // what the follower is told when no endpoint answers
}

// Endpoint is a model at a provider.
type Endpoint struct {
	Provider    string                     `json:"provider"`           // a preset, or openai-compatible
	BaseURL     string                     `json:"base_url,omitempty"` // what /chat/completions is appended to
	Key         Secret                     `json:"key,omitempty"`      // empty where none is needed
	Name        string                     `json:"name,omitempty"`     // the model's, as the provider has it
	Temperature *float64                   `json:"temperature,omitempty"`
	MaxTokens   int                        `json:"max_tokens,omitempty"`
	Timeout     time.Duration              `json:"timeout,omitempty"`     // of one attempt
	FirstToken  time.Duration              `json:"first_token,omitempty"` // of one attempt, until it answers anything
	Concurrency int                        `json:"concurrency,omitempty"` // requests at a time to this address with this key
	Vision      bool                       `json:"vision,omitempty"`      // it sees images
	Extra       map[string]json.RawMessage `json:"extra,omitempty"`       // further fields of the request; null takes a preset's away
}

// preset is what is known of a provider.
type preset struct {
	provider string
	baseURL  string
	name     string                     // of a model that answers fast; empty: the owner has to name one
	extra    map[string]json.RawMessage // what makes it answer without thinking first
	keyless  bool
}

var (
	thinkingDisabled = map[string]json.RawMessage{"thinking": json.RawMessage(`{"type":"disabled"}`)}

	presets = []preset{
		{provider: "deepseek", baseURL: "https://api.deepseek.com/v1", name: "deepseek-v4-flash", extra: thinkingDisabled},
		{provider: "qwen", baseURL: "https://dashscope.aliyuncs.com/compatible-mode/v1", name: "qwen-plus",
			extra: map[string]json.RawMessage{"enable_thinking": json.RawMessage(`false`)}},
		{provider: "doubao", baseURL: "https://ark.cn-beijing.volces.com/api/v3", extra: thinkingDisabled},
		{provider: "hunyuan", baseURL: "https://api.hunyuan.cloud.tencent.com/v1", name: "hunyuan-turbos-latest"},
		{provider: "kimi", baseURL: "https://api.moonshot.cn/v1", name: "kimi-k2.6", extra: thinkingDisabled},
		{provider: "zhipu", baseURL: "https://open.bigmodel.cn/api/paas/v4", name: "glm-4.7-flash", extra: thinkingDisabled},
		{provider: "ollama", baseURL: "http://127.0.0.1:11434/v1", keyless: true},
		{provider: compatible, keyless: true},
	}
)

func presetOf(provider string) (preset, bool) {
	i := slices.IndexFunc(presets, func(p preset) bool { return p.provider == provider })
	if i < 0 {
		return preset{}, false
	}
	return presets[i], true
}

func providers() []string {
	names := make([]string, len(presets))
	for i, p := range presets {
		names[i] = p.provider
	}
	return names
}

// IsZero reports whether there is no model.
func (m Model) IsZero() bool { return len(m.Endpoints) == 0 }

// WithDefaults returns the model with its presets and defaults filled in.
func (m Model) WithDefaults() Model {
	endpoints := make([]Endpoint, len(m.Endpoints))
	for i, e := range m.Endpoints {
		endpoints[i] = e.withDefaults()
	}
	m.Endpoints = endpoints
	m.MemoryTokens = cmp.Or(m.MemoryTokens, new(defaultMemoryTokens))
	m.Sorry = cmp.Or(m.Sorry, defaultSorry)
	return m
}

func (e Endpoint) withDefaults() Endpoint {
	p, _ := presetOf(e.Provider)
	e.BaseURL = e.address()
	e.Name = cmp.Or(e.Name, p.name)
	e.Timeout = cmp.Or(e.Timeout, defaultTimeout)
	e.FirstToken = min(cmp.Or(e.FirstToken, defaultFirstToken), e.Timeout)
	e.Concurrency = cmp.Or(e.Concurrency, defaultConcurrency)
	extra := maps.Clone(p.extra)
	if extra == nil {
		extra = map[string]json.RawMessage{}
	}
	maps.Copy(extra, e.Extra)
	e.Extra = extra
	return e
}

// address returns the base URL, the preset's where none is written.
func (e Endpoint) address() string {
	p, _ := presetOf(e.Provider)
	return strings.TrimRight(cmp.Or(e.BaseURL, p.baseURL), "/")
}

// bare reports whether the key travels unencrypted over what may be the
// Internet.
func (e Endpoint) bare() bool {
	u, err := url.Parse(e.address())
	if err != nil || u.Scheme != "http" || e.Key == "" {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return strings.Contains(u.Hostname(), ".") // one without dots is a neighbour
	}
	return !ip.IsLoopback() && !ip.IsPrivate() && !ip.IsLinkLocalUnicast()
}

// keyOf returns the key that goes to an address. Where several endpoints have
// that address, the one at the same place counts, else the last.
func (m Model) keyOf(address string, place int) Secret {
	var key Secret
	for i, e := range m.Endpoints {
		if e.address() != address {
			continue
		}
		key = e.Key
		if i == place {
			break
		}
	}
	return key
}

// keyField returns the key path of an endpoint's secret within its account.
func keyField(endpoint int) string { return endpointField(endpoint) + ".key" }

// endpointField returns the key path of an endpoint within its account.
func endpointField(endpoint int) string {
	if endpoint == 0 {
		return "model"
	}
	return fmt.Sprintf("model.backups[%d]", endpoint-1)
}

// ModelFromSettings returns the model of accounts without one of their own, from
// the values of WENZI_MODEL_URL, WENZI_MODEL_KEY and WENZI_MODEL. All empty, it
// is the zero Model. A preset's address brings that preset along.
func ModelFromSettings(baseURL, key, name string) (Model, error) {
	if baseURL == "" && key == "" && name == "" {
		return Model{}, nil
	}
	e := Endpoint{Provider: compatible, BaseURL: baseURL, Key: Secret(key), Name: name}
	for _, p := range presets {
		if p.baseURL == e.address() {
			e.Provider = p.provider
		}
	}
	p, _ := presetOf(e.Provider)
	switch {
	case baseURL == "":
		return Model{}, errors.New("缺少 WENZI_MODEL_URL，写大模型的接口地址（WENZI_MODEL_URL is missing; it is the model's address）")
	case !isBaseURL(baseURL):
		return Model{}, errors.New("WENZI_MODEL_URL " + baseURLZh + "（" + baseURLEn + "）")
	case key == "" && !p.keyless:
		return Model{}, fmt.Errorf("缺少 WENZI_MODEL_KEY，%s 要有 key（WENZI_MODEL_KEY is missing; %s needs a key）", e.Provider, e.Provider)
	case key == Mask:
		return Model{}, errors.New("WENZI_MODEL_KEY 是打码后的样子，请写 key 本身（WENZI_MODEL_KEY is masked; write the key itself）")
	case key != "" && !isKey(key):
		return Model{}, errors.New("WENZI_MODEL_KEY " + keyZh + "（" + keyEn + "）")
	case name == "" && p.name == "":
		return Model{}, errors.New("缺少 WENZI_MODEL，写模型的名字（WENZI_MODEL is missing; it is the model's name）")
	case name != "" && !isModelName(name):
		return Model{}, errors.New("WENZI_MODEL " + modelNameZh + "（" + modelNameEn + "）")
	}
	return Model{Endpoints: []Endpoint{e}}, nil
}
