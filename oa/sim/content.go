package sim

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/wenzihq/wenzi/oa"
)

// content judges the elements of a clear reply (reference §7).
type content struct {
	rules    *Rules
	message  oa.Message
	elements []oa.Element
	notes    []Remark
}

func (c *content) note(r *Remark) { c.notes = append(c.notes, *r) }

var msgTypes = []string{"text", "image", "voice", "video", "music", "news", "transfer_customer_service", "transfer_biz_ai_ivr"}

// bubble returns what the reply shows, or nil where that is nothing.
func (c *content) bubble() (*Bubble, *Remark) {
	msgType, problem := c.common()
	if problem != nil {
		return nil, problem
	}
	c.once(c.elements, "xml")
	b := &Bubble{Kind: msgType}
	switch msgType {
	case "text":
		return c.text(b)
	case "image":
		return c.media(b, "Image")
	case "voice":
		return c.media(b, "Voice")
	case "video":
		return c.media(b, "Video")
	case "music":
		return c.music(b)
	case "news":
		return c.news(b)
	default:
		return c.transfer(b)
	}
}

// common judges the four elements that every reply has.
func (c *content) common() (msgType string, problem *Remark) {
	var value [4]string
	for i, name := range []string{"ToUserName", "FromUserName", "CreateTime", "MsgType"} {
		if value[i], problem = required(c.elements, "xml", name); problem != nil {
			return "", problem
		}
	}
	to, from, created, msgType := value[0], value[1], value[2], value[3]
	h := c.message.Head()
	switch {
	case to == h.ToUserName && from == h.FromUserName:
		return "", remark(RuleNames, "ToUserName 和 FromUserName 没有对调：回复的 ToUserName 应是粉丝的 OpenID",
			"ToUserName and FromUserName are not swapped: the reply's ToUserName must be the follower's OpenID")
	case to != h.FromUserName:
		return "", remark(RuleNames, "ToUserName 应是推送里的 FromUserName %q，这里是 %q",
			"ToUserName must be the delivery's FromUserName %q, this is %q", h.FromUserName, clip(to))
	case from != h.ToUserName:
		return "", remark(RuleNames, "FromUserName 应是推送里的 ToUserName %q，这里是 %q",
			"FromUserName must be the delivery's ToUserName %q, this is %q", h.ToUserName, clip(from))
	}
	if n, err := strconv.ParseInt(created, 10, 64); err != nil || n < 0 {
		return "", remark(RuleCreateTime, "CreateTime 应是整数秒，这里是 %q", "CreateTime must be whole seconds, this is %q", clip(created))
	}
	if slices.Contains(msgTypes, msgType) {
		return msgType, nil
	}
	if i := slices.IndexFunc(msgTypes, func(s string) bool { return strings.EqualFold(s, msgType) }); i >= 0 {
		return "", remark(RuleMsgType, "MsgType 区分大小写：应是 %q，这里是 %q", "MsgType is case-sensitive: it must be %q, this is %q", msgTypes[i], msgType)
	}
	return "", remark(RuleMsgType, "被动回复没有 %q 这种 MsgType", "there is no passive reply of MsgType %q", clip(msgType))
}

// once notes elements that stand in one place twice, the first of which counts.
func (c *content) once(in []oa.Element, path string) {
	seen := make(map[string]bool, len(in))
	for _, e := range in {
		if seen[e.Name] && e.Name != "item" {
			c.note(remark(RuleTwice, "<%s> 里有不止一个 <%s>，这里按第一个算", "<%s> has more than one <%s>, the first is taken", path, clip(e.Name)))
			return
		}
		seen[e.Name] = true
	}
}

func (c *content) text(b *Bubble) (*Bubble, *Remark) {
	e, problem := find(c.elements, "xml", "Content")
	if problem != nil {
		return nil, problem
	}
	if len(e.Children) > 0 {
		return nil, remark(RuleMarkup, "Content 里的 <%s> 要放进 CDATA", "<%s> inside Content must stand in CDATA", clip(e.Children[0].Name))
	}
	text := strings.ReplaceAll(e.Text, "\r\n", "\n")
	switch n, most := len(text), c.rules.maxTextBytes(); {
	case text == "" && c.rules.AllowEmptyText:
		return nil, nil
	case text == "":
		return nil, remark(RuleEmpty, "Content 是空的；不回复就答 success", "Content is empty; to say nothing answer success")
	case n > most:
		return nil, remark(RuleLength, "Content 有 %d 字节，最多 %d 字节", "Content has %d bytes, the most is %d", n, most)
	}
	b.Text = Spans(text)
	c.notes = append(c.notes, textNotes(b.Text)...)
	return b, nil
}

func (c *content) media(b *Bubble, container string) (_ *Bubble, problem *Remark) {
	e, problem := find(c.elements, "xml", container)
	if problem != nil {
		return nil, problem
	}
	c.once(e.Children, container)
	if b.MediaID, problem = required(e.Children, container, "MediaId"); problem != nil {
		return nil, problem
	}
	if container == "Video" {
		b.Title, b.Description = optional(e.Children, "Title"), optional(e.Children, "Description")
	}
	return b, nil
}

func (c *content) music(b *Bubble) (_ *Bubble, problem *Remark) {
	e, problem := find(c.elements, "xml", "Music")
	if problem != nil {
		return nil, problem
	}
	c.once(e.Children, "Music")
	if b.ThumbMediaID, problem = required(e.Children, "Music", "ThumbMediaId"); problem != nil {
		return nil, problem
	}
	b.Title, b.Description = optional(e.Children, "Title"), optional(e.Children, "Description")
	b.URL, b.HQURL = optional(e.Children, "MusicUrl"), optional(e.Children, "HQMusicUrl")
	return b, nil
}

// news judges a news reply. Of more articles than WeChat shows, the rest is
// dropped (reference §7.7).
func (c *content) news(b *Bubble) (*Bubble, *Remark) {
	count, problem := required(c.elements, "xml", "ArticleCount")
	if problem != nil {
		return nil, problem
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 {
		return nil, remark(RuleArticles, "ArticleCount 应是正整数，这里是 %q", "ArticleCount must be a positive number, this is %q", clip(count))
	}
	list, problem := find(c.elements, "xml", "Articles")
	if problem != nil {
		return nil, problem
	}
	if _, problem = find(list.Children, "Articles", "item"); problem != nil {
		return nil, problem
	}
	for _, e := range list.Children {
		if e.Name != "item" {
			return nil, remark(RuleNesting, "<Articles> 里只能有 <item>，这里有 <%s>", "<Articles> holds <item> only, there is <%s>", clip(e.Name))
		}
		a, problem := c.article(e, len(b.Articles)+1)
		if problem != nil {
			return nil, problem
		}
		b.Articles = append(b.Articles, a)
	}
	if n != len(b.Articles) {
		return nil, remark(RuleArticles, "ArticleCount 是 %d，item 有 %d 个", "ArticleCount is %d, but there are %d items", n, len(b.Articles))
	}
	if most := mostArticles(c.message); n > most {
		c.note(remark(RuleArticles, "有 %d 条图文，这里微信只显示前 %d 条", "of %d articles WeChat shows the first %d here", n, most))
		b.Articles = b.Articles[:most]
	}
	return b, nil
}

func mostArticles(m oa.Message) int {
	if _, ok := m.(oa.Event); ok {
		return oa.MaxArticles
	}
	return 1
}

func (c *content) article(item oa.Element, number int) (Article, *Remark) {
	var a Article
	path := "item " + strconv.Itoa(number)
	c.once(item.Children, path)
	title, problem := required(item.Children, path, "Title")
	if problem != nil {
		return a, problem
	}
	a.Title = title
	for _, f := range []struct {
		name string
		to   *string
	}{{"Description", &a.Description}, {"PicUrl", &a.PicURL}, {"Url", &a.URL}} {
		e, problem := find(item.Children, path, f.name)
		if problem != nil {
			return a, problem
		}
		if *f.to = strings.TrimSpace(e.Text); *f.to == "" {
			c.note(remark(RuleEmpty, "第 %d 条图文的 %s 是空的", "%[2]s of article %[1]d is empty", number, f.name))
		}
	}
	return a, nil
}

func (c *content) transfer(b *Bubble) (*Bubble, *Remark) {
	if _, ok := c.message.(oa.Event); ok {
		return nil, remark(RuleTransfer, "%s 只能回复粉丝的消息，不能回复事件", "%s answers messages only, not events", b.Kind)
	}
	info, named := oa.Find(c.elements, "TransInfo")
	_, loose := oa.Find(c.elements, "KfAccount")
	var problem *Remark
	switch {
	case b.Kind != "transfer_customer_service":
	case named:
		b.Agent, problem = required(info.Children, "TransInfo", "KfAccount")
	case loose:
		problem = misplaced("KfAccount", "xml", "TransInfo")
	}
	return b, problem
}

// required returns the text of an element that must have one, without blanks
// around it.
func required(in []oa.Element, path, name string) (string, *Remark) {
	e, problem := find(in, path, name)
	if problem != nil {
		return "", problem
	}
	if len(e.Children) > 0 {
		return "", remark(RuleNesting, "<%s> 里应是文字，这里有 <%s>", "<%s> must hold text, there is <%s>", name, clip(e.Children[0].Name))
	}
	text := strings.TrimSpace(e.Text)
	if text == "" {
		return "", remark(RuleEmpty, "<%s> 里的 <%s> 是空的", "<%s> has an empty <%s>", path, name)
	}
	return text, nil
}

func optional(in []oa.Element, name string) string {
	e, _ := oa.Find(in, name)
	return strings.TrimSpace(e.Text)
}

// find returns an element that must be there. Where it is not, it looks for
// what its author may have meant.
func find(in []oa.Element, path, name string) (oa.Element, *Remark) {
	if e, ok := oa.Find(in, name); ok {
		return e, nil
	}
	for _, e := range in {
		if alike(e.Name, name) {
			return oa.Element{}, remark(RuleSpelling, "<%s> 里没有 <%s>，只有 <%s>：元素名要一字不差，区分大小写",
				"<%s> has no <%s> but <%s>: names must be exact, also in case", path, name, e.Name)
		}
	}
	for _, e := range in {
		if _, ok := oa.Find(e.Children, name); ok {
			return oa.Element{}, misplaced(name, clip(e.Name), path)
		}
	}
	for _, inner := range inside[name] {
		if _, ok := oa.Find(in, inner); ok {
			return oa.Element{}, misplaced(inner, path, name)
		}
	}
	return oa.Element{}, remark(RuleMissing, "<%s> 里缺少 <%s>", "<%s> lacks <%s>", path, name)
}

// inside tells what belongs into a container and is found beside it instead.
var inside = map[string][]string{
	"Image":    {"MediaId"},
	"Voice":    {"MediaId"},
	"Video":    {"MediaId"},
	"Music":    {"ThumbMediaId", "MusicUrl"},
	"Articles": {"item"},
	"item":     {"Title", "Url"},
}

func misplaced(name, is, must string) *Remark {
	return remark(RuleNesting, "<%s> 放错了地方：在 <%s> 里，应在 <%s> 里", "<%s> is in the wrong place: inside <%s> instead of <%s>", name, is, must)
}

// alike reports whether two names differ in case or by one typing mistake.
func alike(a, b string) bool {
	if strings.EqualFold(a, b) {
		return true
	}
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 || len(a) < 4 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) == len(b) { // one letter is another, or two are exchanged
		return a[i+1:] == b[i+1:] || i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
	}
	return a[i:] == b[i+1:]
}

// clip shortens what a server wrote to what fits into a sentence.
func clip(s string) string {
	const most = 40
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}
