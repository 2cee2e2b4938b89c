package sim

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What the types of keys allow, at their limits.
func TestValueRules(t *testing.T) {
	for key, values := range map[string]struct{ good, bad []string }{
		"thing1":            {[]string{"拿铁", strings.Repeat("长", 20)}, []string{strings.Repeat("长", 21)}},
		"number2":           {[]string{"0", "12.50", strings.Repeat("9", 32)}, []string{strings.Repeat("9", 33), "1.", ".5", "1.2.3", "-1", "一", "1,000"}},
		"letter3":           {[]string{"AbC", strings.Repeat("z", 32)}, []string{strings.Repeat("z", 33), "a1", "字"}},
		"symbol4":           {[]string{"★★★★★", "!+"}, []string{"★★★★★★", "a", "1"}},
		"character_string5": {[]string{"A-1024 #", strings.Repeat("x", 32)}, []string{strings.Repeat("x", 33), "编号1"}},
		"time6":             {[]string{"15:01", "2019年10月1日 15:01", "2025-01-01 10:00", "2025/1/1 10:00:30", "10:00~11:00", "2025-01-01 10:00 ~ 2025-01-02 10:00"}, []string{"早上", "25:00", "2025-13-01 10:00", "2025-02-30", "10:00~", "~10:00", " ", "1735689600"}},
		"date7":             {[]string{"2019年10月1日", "2025-01-01", "2019年10月1日 15:01"}, []string{"10月1日", "20250101"}},
		"amount8":           {[]string{"¥25.00", "25", "￥1234567890", "100元", "$1.5"}, []string{"12345678901", "二十五", "25.0.0", "¥", "元", "25美"}},
		"phone_number9":     {[]string{"+86-0766-66888866", "12345678901234567"}, []string{"123456789012345678", "电话1"}},
		"car_number10":      {[]string{"粤A12345", "粤A8Z888挂"}, []string{"粤A12345678", "粤A-12345"}},
		"name11":            {[]string{"张三", strings.Repeat("张", 10), "Li Lei, Han Meimei"}, []string{strings.Repeat("张", 11), strings.Repeat("x", 21)}},
		"phrase12":          {[]string{"已发货", "一二三四五"}, []string{"一二三四五六", "ok", "已 发"}},
	} {
		allowed := valueRule(key)
		if allowed == nil {
			t.Errorf("%s has no rule", key)
			continue
		}
		for _, v := range values.good {
			if !allowed(v) {
				t.Errorf("%s refuses %q", key, v)
			}
		}
		for _, v := range values.bad {
			if allowed(v) {
				t.Errorf("%s allows %q", key, v)
			}
		}
	}
	for _, key := range []string{"first", "remark", "keyword1", "thing", "thing1x", "1"} {
		if valueRule(key) != nil {
			t.Errorf("%s has a type", key)
		}
	}
}

// The library's own examples are allowed, and every type is in it.
func TestLibrary(t *testing.T) {
	missing := map[string]bool{}
	for rule := range valueRules {
		missing[rule] = true
	}
	for _, public := range library {
		for _, k := range public.keywords {
			delete(missing, k.rule)
			if allowed := valueRule(k.rule + "1"); allowed == nil || !allowed(k.example) {
				t.Errorf("%d %s: the example %q is not allowed", public.id, k.name, k.example)
			}
			for _, v := range k.enum {
				if !valueRules[k.rule](v) {
					t.Errorf("%d %s: the value %q is not allowed", public.id, k.name, v)
				}
			}
		}
	}
	if len(missing) > 0 {
		t.Errorf("no keyword is a %v", missing)
	}
}

func TestCardTemplate(t *testing.T) {
	template := findPublic(501).compose([]int{1, 2})
	data := cardData{}
	set := func(key, value string) {
		v := data[key]
		v.Value = value
		data[key] = v
	}
	check := func(want string) {
		t.Helper()
		got := ""
		if err := template.check(data); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%v: %q, want %q", data, got, want)
		}
	}
	check("47003 argument invalid! data.phrase1.value is empty")
	set("phrase1", "不存在")
	check("47003 argument invalid! data.phrase1.value is not one of 已发货, 已完成, 已取消")
	set("phrase1", "已完成")
	set("amount2", "很多")
	check("47003 argument invalid! data.amount2.value invalid")
	set("amount2", "¥1")
	check("")
	free := &cardTemplate{content: "  {{ first.DATA }}\r\n\n订单 {{a.DATA}}：共 {{b.DATA}} 件\n{{x.DATA"}
	data = cardData{}
	set("first", "你好")
	set("a", "{{b.DATA}}")
	set("b", "2")
	if diff := cmp.Diff([]Row{{Value: "你好"}, {Name: "订单", Value: "{{b.DATA}}：共 2 件"}, {Value: "{{x.DATA"}}, free.rows(data)); diff != "" {
		t.Error(diff)
	}
}
