package bot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/wenzihq/wenzi/oa"
)

const (
	maxBackups     = 4
	maxSystemBytes = 32 << 10
	maxExtraBytes  = 16 << 10
	maxKeyBytes    = 4 << 10
	maxTokens      = 1_000_000
	maxConcurrency = 1000

	minTimeout = time.Second
	maxTimeout = 10 * time.Minute

	baseURLZh   = "应为 http:// 或 https:// 开头的接口地址，不带 /chat/completions、? 和密码"
	baseURLEn   = "expected an address that begins with http:// or https://, without /chat/completions, ? and a password"
	keyZh       = "应为不含空格的一串字母、数字和符号"
	keyEn       = "expected letters, digits and signs without blanks"
	modelNameZh = "应为模型的名字，不超过 128 字节，不含空格"
	modelNameEn = "expected the model's name, at most 128 bytes without blanks"
)

var (
	endpointKeys = []string{"provider", "base_url", "key", "name", "temperature", "max_tokens",
		"timeout", "first_token", "concurrency", "vision", "extra"}
	modelKeys = slices.Concat(endpointKeys, []string{"system", "memory_tokens", "sorry", "backups"})

	// notExtra are the fields of a request that have keys of their own, or that
	// the answer is read by.
	notExtra = []string{"model", "messages", "stream", "temperature", "max_tokens"}
)

func (p *parser) model(v value, account int) Model {
	f, ok := p.fields(v, modelKeys...)
	if !ok {
		return Model{}
	}
	m := Model{
		Endpoints: []Endpoint{p.endpoint(v, f, account, 0)},
		System:    p.checked(f["system"], atMost(maxSystemBytes), "最多 32 KiB", "expected at most 32 KiB"),
		Sorry:     p.checked(f["sorry"], atMost(oa.MaxTextBytes), "最多 2047 字节", "expected at most 2047 bytes"),
	}
	if memory, ok := f["memory_tokens"]; ok {
		m.MemoryTokens = new(p.integer(memory, 0, maxTokens))
	}
	list, ok := f["backups"]
	if !ok {
		return m
	}
	items, _ := p.items(list)
	if len(items) > maxBackups {
		p.wrong(list, fmt.Sprintf("最多 %d 个", maxBackups), fmt.Sprintf("expected at most %d", maxBackups))
		return m
	}
	for i, item := range items {
		if f, ok := p.fields(item, endpointKeys...); ok {
			m.Endpoints = append(m.Endpoints, p.endpoint(item, f, account, i+1))
		}
	}
	return m
}

func (p *parser) endpoint(v value, f map[string]value, account, index int) Endpoint {
	e := Endpoint{
		Provider:    p.provider(v, f),
		BaseURL:     p.checked(f["base_url"], isBaseURL, baseURLZh, baseURLEn),
		Key:         p.secret(f["key"], account, keyField(index), isKey, keyZh, keyEn),
		Name:        p.checked(f["name"], isModelName, modelNameZh, modelNameEn),
		MaxTokens:   p.integer(f["max_tokens"], 1, maxTokens),
		Timeout:     p.duration(f["timeout"]),
		FirstToken:  p.duration(f["first_token"]),
		Concurrency: p.integer(f["concurrency"], 1, maxConcurrency),
		Vision:      p.boolean(f["vision"]),
	}
	if t, ok := f["temperature"]; ok {
		e.Temperature = new(p.decimal(t, 0, 2))
	}
	if e.Timeout > 0 && e.FirstToken > e.Timeout {
		p.wrong(f["first_token"], "不能比 timeout 长", "must not be longer than timeout")
	}
	if x, ok := f["extra"]; ok {
		e.Extra = p.extra(x)
	}
	return e
}

// provider also sees that what the provider's preset does not know is written.
func (p *parser) provider(v value, f map[string]value) string {
	p.require(v, f, "provider")
	provider := p.optional(f["provider"])
	if provider == "" {
		return ""
	}
	known, ok := presetOf(provider)
	if !ok {
		list := strings.Join(providers(), ", ")
		zh, en := "没有这个服务商，可用的有 "+list, "unknown provider; known are "+list
		if near := Nearest(provider, providers()); near != "" {
			zh, en = "没有这个服务商，是不是 "+near+"？", "unknown provider; did you mean "+near+"?"
		}
		p.wrong(f["provider"], zh, en)
		return ""
	}
	need := func(key string, needed bool) {
		if _, ok := f[key]; needed && !ok {
			p.report(f["provider"].line, v.child(key), "缺少 "+key+"，"+provider+" 要写", key+" is missing; "+provider+" needs it")
		}
	}
	need("base_url", known.baseURL == "")
	need("key", !known.keyless)
	need("name", known.name == "")
	return provider
}

// extra returns the fields of a mapping as JSON.
func (p *parser) extra(v value) map[string]json.RawMessage {
	if v.Kind != yaml.MappingNode {
		p.wrong(v, "应为「键: 值」", "expected key: value")
		return nil
	}
	before := len(p.mistakes)
	for i := 0; i < len(v.Content); i += 2 {
		if k := newValue(v.Content[i], v.Content[i].Line, v.key); slices.Contains(notExtra, k.Value) {
			p.report(k.line, v.child(k.Value), "不能写在 extra 里：wenzi 自己填，或者有同名的键", "must not be in extra: wenzi fills it in, or there is a key for it")
		}
	}
	fields, _ := p.json(v).(map[string]any)
	if len(fields) == 0 || len(p.mistakes) > before {
		return nil
	}
	size := 0
	extra := make(map[string]json.RawMessage, len(fields))
	for name, field := range fields {
		text, err := json.Marshal(field)
		if err != nil {
			p.wrong(v, "写不成 JSON", "cannot be written as JSON")
			return nil
		}
		extra[name] = text
		size += len(name) + len(text)
	}
	if size > maxExtraBytes {
		p.wrong(v, fmt.Sprintf("最多 %d KiB", maxExtraBytes>>10), fmt.Sprintf("expected at most %d KiB", maxExtraBytes>>10))
		return nil
	}
	return extra
}

// json returns what encoding/json can write: a scalar that is written plain and
// is a JSON number, true, false or null is that, and any other is a text.
func (p *parser) json(v value) any {
	switch v.Kind {
	case yaml.MappingNode:
		fields := make(map[string]any, len(v.Content)/2)
		for i := 0; i+1 < len(v.Content); i += 2 {
			k := newValue(v.Content[i], v.Content[i].Line, v.key)
			if k.Kind != yaml.ScalarNode {
				p.wrong(k, "键应为文字", "a key must be a text")
				continue
			}
			key := v.child(shorten(k.Value))
			if _, twice := fields[k.Value]; twice {
				p.report(k.line, key, "写了两次", "written twice")
			}
			fields[k.Value] = p.json(newValue(v.Content[i+1], k.line, key))
		}
		return fields
	case yaml.SequenceNode:
		items, _ := p.items(v)
		list := make([]any, len(items))
		for i, item := range items {
			list[i] = p.json(item)
		}
		return list
	}
	_, isVar := variable(v.Value)
	switch {
	case v.isNull():
		return nil
	case v.Style == 0 && json.Valid([]byte(v.Value)):
		return json.RawMessage(v.Value)
	case v.Style&yaml.TaggedStyle != 0 && v.ShortTag() != "!!str":
		p.wrong(v, "应为文字；以 ! 开头的要加引号", "expected a text; quote what begins with !")
	case isVar:
		p.literal(v)
	}
	return v.Value
}

// integer returns a whole number, or 0 where the field is not written.
func (p *parser) integer(v value, least, most int) int {
	s := p.optional(v)
	if s == "" {
		return 0
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > most {
		p.wrong(v, fmt.Sprintf("应为 %d–%d 的整数", least, most), fmt.Sprintf("expected a whole number from %d to %d", least, most))
		return 0
	}
	return n
}

func (p *parser) decimal(v value, least, most float64) float64 {
	s := p.optional(v)
	if s == "" {
		return 0
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(x) || x < least || x > most {
		p.wrong(v, fmt.Sprintf("应为 %g–%g 的数", least, most), fmt.Sprintf("expected a number from %g to %g", least, most))
		return 0
	}
	return x
}

// duration returns a time limit, or 0 where the field is not written.
func (p *parser) duration(v value) time.Duration {
	s := p.optional(v)
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < minTimeout || d > maxTimeout {
		p.wrong(v, "应为 1s–10m 的时间，如 30s", "expected a time from 1s to 10m, such as 30s")
		return 0
	}
	return d
}

func (p *parser) boolean(v value) bool {
	s := p.checked(v, func(s string) bool { return s == "true" || s == "false" }, "应为 true 或 false", "expected true or false")
	return s == "true"
}

func atMost(n int) func(string) bool { return func(s string) bool { return len(s) <= n } }

func isModelName(s string) bool { return len(s) <= 128 && isWord(s) }

func isKey(s string) bool {
	return s != "" && len(s) <= maxKeyBytes && !bytes.ContainsFunc([]byte(s), func(c rune) bool { return c <= ' ' || c > '~' })
}

func isBaseURL(s string) bool {
	u, err := url.Parse(s)
	return isURL(s) && err == nil && u.User == nil && !strings.ContainsAny(s, "?#") && !strings.HasSuffix(strings.TrimRight(s, "/"), "/chat/completions")
}
