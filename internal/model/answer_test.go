package model

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

const end = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"

// part is an event whose delta has a field with a text.
func part(field, text string) string {
	return fmt.Sprintf("data: {\"choices\":[{\"delta\":{%q:%s}}]}\n\n", field, quoted(text))
}

// read reads an answer and joins what onText got by |.
func read(body string) (answer, string, error) {
	var progress []string
	a := answer{onText: func(sofar string) { progress = append(progress, sofar) }}
	err := a.read(strings.NewReader(body))
	return a, strings.Join(progress, "|"), err
}

func TestRead(t *testing.T) {
	tests := []struct {
		name, body string
		progress   string // of onText, joined by |
		finish     string
	}{
		{"a stream", event("你") + event("好") + end, "你|你好", "stop"},
		{"line feeds of Windows, comments and other fields", ": hi\r\n\r\nretry: 1\r\nid: 2\r\nevent: x\r\n" + strings.ReplaceAll(event("好")+end, "\n", "\r\n"), "好", "stop"},
		{"no blank lines, no blanks", strings.NewReplacer("\n\n", "\n", "data: ", "data:").Replace(event("你") + event("好") + end), "你|你好", "stop"},
		{"no finish reason", event("好") + "data: [DONE]\n\n", "好", "stop"},
		{"no [DONE]", event("好") + "data: {\"choices\":[{\"finish_reason\":\"length\"}]}", "好", "length"},
		{"nothing after [DONE] counts", event("好") + end + event("不"), "好", "stop"},
		{"JSON", `{"choices":[{"message":{"role":"assistant","content":"你好"},"finish_reason":"stop"}]}`, "你好", "stop"},
		{"JSON after blanks, over several lines", "\r\n {\n\"choices\":\n[{\"message\":{\"content\":\"你好\"}}]\n}\n", "你好", ""},
		{"JSON with a thought", `{"choices":[{"message":{"reasoning_content":"嗯","content":"<think>嗯</think>\n\n你好"}}]}`, "|你好", ""},
		{"reasoning_content", part("reasoning_content", "嗯") + part("reasoning_content", "嗯") + event("\n好") + end, "|好", "stop"},
		{"reasoning", part("reasoning", "嗯") + event("好") + end, "|好", "stop"},
		{"think tags", event("<thi") + event("nk>嗯嗯</th") + event("ink>\n\n好") + end, "|好", "stop"},
		{"a tag that is none", event("a <think> tag") + event(" <th") + end, "a <think> tag|a <think> tag |a <think> tag <th", "stop"},
		{"an open thought", event("<think>嗯") + end, "", "stop"},
		{"content in parts", `data: {"choices":[{"delta":{"content":[{"type":"text","text":"你"},{"type":"x"},{"type":"text","text":"好"}]}}]}` + "\n\n" + end, "你好", "stop"},
		{"odd types where they do not matter", `data: {"id":7,"created":1.5,"object":null,"error":null,"code":0,"choices":[{"index":"0","delta":{"role":1,"content":"好","reasoning_content":null,"reasoning":{}},"finish_reason":"null"}]}` + "\n\n" + end, "好", "stop"},
		{"no choices", "data: {\"choices\":[]}\n\ndata: {}\n\ndata:\n\ndata\n\n" + event("好") + end, "好", "stop"},
		{"blanks around", event(" \n") + event(" 你 ") + event("好 ") + end, "你 |你 好 ", "stop"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a, progress, err := read(test.body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{test.progress, test.finish}, []string{progress, a.finish}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if whole := progress[strings.LastIndex(progress, "|")+1:]; a.text() != strings.TrimSpace(whole) {
				t.Errorf("the text is %q after %q", a.text(), whole)
			}
		})
	}
}

func TestReadTooMuch(t *testing.T) {
	piece := strings.Repeat("雯", 1000)
	last := ""
	a := answer{onText: func(sofar string) { last = sofar }}
	if err := a.read(strings.NewReader(strings.Repeat(event(piece), 100) + end)); err != nil {
		t.Fatal(err)
	}
	if n := len(a.text()); n > maxAnswer || n < maxAnswer-2 || !utf8.ValidString(last) || last != a.text() || a.finish != "length" {
		t.Errorf("%d bytes, the last onText got %d, %s", n, len(last), a.finish)
	}
	a = answer{onText: func(string) {}}
	if err := a.read(strings.NewReader(strings.Repeat(part("reasoning_content", piece), maxStream/len(piece)+1) + event("好") + end)); err == nil {
		t.Error("endless thoughts are read")
	}
}

func TestUsage(t *testing.T) {
	const stop = "data: [DONE]\n\n"
	messages := []Message{{Role: User, Text: "你好你好你好你好你好"}} // 7 tokens by estimate
	tests := []struct {
		name, body string
		want       Usage
	}{
		{"the standard form", event("好") + `data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":2}}}` + "\n\n" + stop,
			Usage{Prompt: 9, Completion: 5, Cached: 4, Reasoning: 2}},
		{"DeepSeek's cache", event("好") + `data: {"choices":[{"delta":{}}],"usage":{"prompt_tokens":9,"completion_tokens":5,"prompt_cache_hit_tokens":4}}` + "\n\n" + stop,
			Usage{Prompt: 9, Completion: 5, Cached: 4}},
		{"Kimi's place", event("好") + `data: {"choices":[{"delta":{},"usage":{"prompt_tokens":9,"completion_tokens":5,"cached_tokens":4}}]}` + "\n\n" + stop,
			Usage{Prompt: 9, Completion: 5, Cached: 4}},
		{"in every event", `data: {"choices":[{"delta":{"content":"好"}}],"usage":{"prompt_tokens":9,"completion_tokens":1}}` + "\n\n" + `data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5}}` + "\n\n" + stop,
			Usage{Prompt: 9, Completion: 5}},
		{"null, except at the end", `data: {"choices":[{"delta":{"content":"好"}}],"usage":null}` + "\n\n" + `data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5}}` + "\n\n" + stop,
			Usage{Prompt: 9, Completion: 5}},
		{"thoughts that are not counted", part("reasoning_content", "嗯嗯嗯") + event("好") + `data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5}}` + "\n\n" + stop,
			Usage{Prompt: 9, Completion: 5, Reasoning: 3}},
		{"none", part("reasoning_content", "嗯嗯嗯") + event("好") + event("好") + stop, Usage{Prompt: 7, Completion: 4, Reasoning: 3, Estimated: true}},
		{"nonsense", event("好") + `data: {"choices":[],"usage":{"prompt_tokens":"many"}}` + "\n\n" + stop, Usage{Prompt: 7, Completion: 1, Estimated: true}},
		{"negative", event("好") + `data: {"choices":[],"usage":{"prompt_tokens":-1,"completion_tokens":5}}` + "\n\n" + stop, Usage{Prompt: 7, Completion: 1, Estimated: true}},
		{"nothing came", "data: {}\n\n" + stop, Usage{}},
	}
	for _, test := range tests {
		a, _, err := read(test.body)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if diff := cmp.Diff(test.want, a.usage(messages)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestThoughtsInPieces(t *testing.T) {
	tests := []struct{ text, said, thought string }{
		{"好", "好", ""},
		{"<think>嗯</think>好", "好", "嗯"},
		{" \n<think>嗯</think>\n好", " \n\n好", "嗯"},
		{"<think>一</think><think>二</think>好", "好", "一二"},
		{"好\n  <think>嗯</think>吗", "好\n  吗", "嗯"},
		{"用 <think> 标签", "用 <think> 标签", ""},
		{"`<think>`\n</think>", "`<think>`\n</think>", ""},
		{"<think>一<think>二</think>好", "好", "一<think>二"},
		{"<think></think>", "", ""},
		{"<think>嗯", "", "嗯"},
		{"<think>嗯</thin", "", "嗯</thin"},
		{"<<think>", "<<think>", ""},
		{"<thi", "<thi", ""},
	}
	for _, test := range tests {
		for size := 1; size <= len(test.text); size++ {
			var th thoughts
			var said, thought strings.Builder
			add := func(s, t string) { said.WriteString(s); thought.WriteString(t) }
			for rest := test.text; rest != ""; {
				n := min(size, len(rest))
				add(th.split(rest[:n]))
				rest = rest[n:]
			}
			add(th.rest())
			if said.String() != test.said || thought.String() != test.thought {
				t.Errorf("%q in pieces of %d: %q, thought %q; want %q, %q", test.text, size, &said, &thought, test.said, test.thought)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(event("你好") + end))
	f.Add([]byte(part("reasoning_content", "嗯") + event("<think>嗯</think>好") + event("<th") + end))
	f.Add([]byte(`{"choices":[{"message":{"content":[{"text":"好"}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}`))
	f.Add([]byte("data: {\"error\":{\"code\":1,\"message\":\"x\"}}\n\n"))
	f.Add([]byte("event: error\r\ndata:{\"code\":\"a.b\",\"message\":\"x\"}\r\n: \r\n"))
	f.Add([]byte("<html>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		last := ""
		a := answer{onText: func(sofar string) {
			if !strings.HasPrefix(sofar, last) || !utf8.ValidString(sofar) {
				t.Fatalf("%q became %q", last, sofar)
			}
			last = sofar
		}}
		err := a.read(bytes.NewReader(body))
		if strings.TrimSpace(last) != strings.TrimSpace(a.text()) || len(last) > maxAnswer {
			t.Fatalf("the text is %q after %q", a.text(), last)
		}
		a.usage(nil)
		if a.refusal != nil {
			a.refusal.codes()
		}
		b := answer{onText: func(string) {}}
		again := b.read(iotest.OneByteReader(bytes.NewReader(body)))
		if b.text() != a.text() || fmt.Sprint(again) != fmt.Sprint(err) || b.finish != a.finish || b.thought != a.thought {
			t.Fatalf("byte by byte: %q, %v; at once: %q, %v", b.text(), again, a.text(), err)
		}
	})
}
