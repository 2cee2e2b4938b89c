package robot

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/wenzihq/wenzi/oa/sim"
)

func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newTalk(t, plainModel)
		k.set(t, sim.ModelSettings{Text: "好。"})
		tell := func(said, asked string) {
			t.Helper()
			if _, err := k.tell(t, text(t, said)); err != nil {
				t.Fatal(err)
			}
			check(t, said, k.last(), asked)
		}
		tell("我叫小明", `user "我叫小明"`)
		tell("我叫什么？", `user "我叫小明"`+"\n"+`assistant "好。"`+"\n"+`user "我叫什么？"`)

		q := Question{Account: 7, OpenID: "oB", Text: "别人", Message: text(t, "别人").Message, Remember: true}
		for _, other := range []Question{q, {Account: 8, OpenID: "oA", Text: q.Text, Message: q.Message, Remember: true}, {Account: 7, OpenID: "oA", Text: q.Text, Message: q.Message}} {
			if _, err := k.work(t.Context(), other); err != nil {
				t.Fatal(err)
			}
			check(t, "somebody else, or nobody to be trusted", k.last(), `user "别人"`)
		}

		for _, command := range []string{"新对话", " 新会话", "/NEW", "清空记忆"} {
			k.diary.said["7oA"] = []Exchange{{"一", "二"}}
			calls := k.Stats().Calls
			r, err := k.tell(t, text(t, command))
			if err != nil || r.Text != forgotten || len(k.diary.said["7oA"]) != 0 || k.Stats().Calls != calls || r.Model.Attempts != 0 {
				t.Errorf("%s: %+v, %v, remembered %v", command, r, err, k.diary.said["7oA"])
			}
			check(t, command, strings.Join(k.steps, "\n"), "new conversation")
		}
		tell("我叫什么？", `user "我叫什么？"`)
	})
}

// What the memory makes of what was said.
func TestRemembered(t *testing.T) {
	long := strings.Repeat("长", 500)
	for _, c := range []struct {
		name   string
		budget int
		before []Exchange
		want   string
	}{
		{"an image", 4000, []Exchange{{"〔图片〕", "一只猫。"}}, `user "〔图片〕"` + "\n" + `assistant "一只猫。"` + "\n"},
		{"a failure", 4000, []Exchange{{"一", "抱歉，我这会儿想不出来，请过一会儿再问。"}, {"二", "两个。"}}, `user "二"` + "\n" + `assistant "两个。"` + "\n"},
		{"a broken answer", 4000, []Exchange{{"一", "从前有座山" + brokenOff}}, `user "一"` + "\n" + `assistant "从前有座山"` + "\n"},
		{"the budget", 300, []Exchange{{"一", "短。"}, {"二", long}, {"三", "短。"}}, `user "三"` + "\n" + `assistant "短。"` + "\n"},
		{"no budget", 0, []Exchange{{"一", "短。"}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newTalk(t, fmt.Sprintf("    model: {provider: openai-compatible, base_url: 'http://one/v1', name: sim, memory_tokens: %d}\n", c.budget))
				k.diary.said["7oA"] = c.before
				if _, err := k.tell(t, text(t, "现在")); err != nil {
					t.Fatal(err)
				}
				check(t, "request", k.last(), c.want+`user "现在"`)
				if r, err := k.tell(t, text(t, "新对话")); err != nil || r.Text != forgotten {
					t.Errorf("%+v, %v", r, err)
				}
			})
		})
	}
}

func TestMemoryIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newTalk(t, plainModel)
		k.set(t, sim.ModelSettings{Text: "好。"})
		k.diary.broken = true
		r, err := k.tell(t, text(t, "你好"))
		if err != nil || r.Text != "好。" || k.steps[0] != "memory: the conversation could not be recalled" {
			t.Errorf("%+v, %v, steps %q", r, err, k.steps)
		}
		if r, err = k.tell(t, text(t, "新对话")); err == nil || r.Text != k.asker.model.Sorry {
			t.Errorf("not forgotten, but %+v, %v", r, err)
		}
	})
}

// Texts that came at once are one question, in which a command may be.
func TestCommandAmongTexts(t *testing.T) {
	for _, c := range []struct{ question, newest, asked string }{
		{"新对话\n讲个故事", "讲个故事", "讲个故事"},
		{"讲个故事\n新对话", "新对话", "讲个故事"},
		{"新对话\n/new", "/new", ""},
		{"怎么写\n新对话\n的英文", "怎么写\n新对话\n的英文", "怎么写\\n新对话\\n的英文"}, // one text, no command
	} {
		synctest.Test(t, func(t *testing.T) {
			k := newTalk(t, plainModel)
			k.set(t, sim.ModelSettings{Text: "好。"})
			k.diary.said["7oA"] = []Exchange{{"一", "二"}}
			r, err := k.work(t.Context(), Question{Account: 7, OpenID: "oA", Text: c.question, Message: text(t, c.newest).Message, Remember: true})
			want := `user "` + c.asked + `"`
			if c.question == c.newest {
				want = `user "一"` + "\n" + `assistant "二"` + "\n" + want
			}
			if c.asked == "" {
				want = ""
			}
			if err != nil || (r.Text == forgotten) != (c.asked == "") {
				t.Errorf("%q: %+v, %v", c.question, r, err)
			}
			check(t, c.question, k.last(), want)
		})
	}
}
