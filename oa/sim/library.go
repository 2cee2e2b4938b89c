package sim

import (
	"fmt"
	"slices"
	"strings"
)

// publicTemplate is a template of the platform's library, of which accounts make
// their own: template messages by the names of keywords, subscription notices by
// their ids.
type publicTemplate struct {
	id       int
	title    string
	long     bool
	category int
	keywords []keyword // the id of each is its place, from 1
}

type keyword struct {
	name, rule, example string
	enum                []string
}

var categories = []struct {
	id   int
	name string
}{{900, "办公"}, {901, "生活缴费"}}

// library is small, but has every type of keyword.
var library = []publicTemplate{
	{id: 100, title: "取件通知", category: 900, keywords: []keyword{
		{name: "商品名称", rule: "thing", example: "拿铁一杯"},
		{name: "取货时间", rule: "time", example: "2025-01-01 10:00"},
		{name: "取货码", rule: "character_string", example: "A-1024"},
		{name: "联系电话", rule: "phone_number", example: "+86-0755-00000000"},
		{name: "取货柜号", rule: "letter", example: "AB"},
	}},
	{id: 501, title: "订单状态通知", category: 900, keywords: []keyword{
		{name: "订单状态", rule: "phrase", example: "已发货", enum: []string{"已发货", "已完成", "已取消"}},
		{name: "订单金额", rule: "amount", example: "¥25.00"},
		{name: "数量", rule: "number", example: "2"},
		{name: "评价", rule: "symbol", example: "★★★"},
	}},
	{id: 502, title: "缴费提醒", category: 901, long: true, keywords: []keyword{
		{name: "户名", rule: "name", example: "张三"},
		{name: "截止日期", rule: "date", example: "2025年1月31日"},
		{name: "车牌号", rule: "car_number", example: "粤A12345"},
		{name: "应缴金额", rule: "amount", example: "100元"},
	}},
	{id: 47000, title: "取货提醒", category: 900, keywords: []keyword{
		{name: "取货地点", rule: "thing", example: "南山区一号店"},
		{name: "商品名称", rule: "thing", example: "拿铁一杯"},
		{name: "取货时间", rule: "time", example: "2025-01-01 10:00"},
	}},
}

// findPublic finds a template of the library; nil where there is none.
func findPublic(id int) *publicTemplate {
	i := slices.IndexFunc(library, func(t publicTemplate) bool { return t.id == id })
	if i < 0 {
		return nil
	}
	return &library[i]
}

// compose makes an account's own template with these keywords, counted from 1.
func (t *publicTemplate) compose(ids []int) *cardTemplate {
	var content, example strings.Builder
	own := &cardTemplate{id: randomText(43), title: t.title, long: t.long, enums: map[string][]string{}, from: fmt.Sprint(t.id, ids)}
	for _, id := range ids {
		k := t.keywords[id-1]
		key := fmt.Sprintf("%s%d", k.rule, id)
		fmt.Fprintf(&content, "%s:{{%s.DATA}}\n", k.name, key)
		fmt.Fprintf(&example, "%s:%s\n", k.name, k.example)
		if k.enum != nil {
			own.enums[key] = k.enum
		}
	}
	own.content, own.example = content.String(), example.String()
	return own
}
