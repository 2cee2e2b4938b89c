package sim

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/wenzihq/wenzi/oa"
)

var noteHandlers = map[string]handler{
	"subscribe_send":             noteSend,
	"subscribe_template_add":     noteAdd,
	"subscribe_template_delete":  noteDelete,
	"subscribe_template_list":    noteList,
	"subscribe_category_list":    noteCategories,
	"subscribe_pub_title_list":   noteTitles,
	"subscribe_pub_keyword_list": noteKeywords,
}

// The limits of catalogue/api/message-subscribe.yaml.
const (
	notesMost         = 25
	noteKeywordsLeast = 2
	noteKeywordsMost  = 5
	noteScene         = 15 // characters
	noteTitlesPage    = 30
)

// noteState are the templates of subscription notices of an account.
type noteState struct {
	list []*cardTemplate
}

func (s *noteState) find(id string) *cardTemplate {
	if i := findCard(s.list, id); i >= 0 {
		return s.list[i]
	}
	return nil
}

func noteAdd(c *call) (any, error) {
	var req struct {
		TID       string `json:"tid"`
		KidList   []int  `json:"kidList"`
		SceneDesc string `json:"sceneDesc"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	tid, _ := strconv.Atoi(req.TID)
	public := findPublic(tid)
	if public == nil {
		return nil, fail(200014)
	}
	distinct := slices.Compact(slices.Sorted(slices.Values(req.KidList)))
	n := len(distinct)
	switch {
	case n != len(req.KidList) || n < noteKeywordsLeast || n > noteKeywordsMost || distinct[0] < 1 || distinct[n-1] > len(public.keywords):
		return nil, fail(200020)
	case utf8.RuneCountInString(req.SceneDesc) > noteScene:
		return nil, fail(200021)
	}
	t, s := public.compose(req.KidList), &c.account.notes
	switch {
	case slices.ContainsFunc(s.list, func(have *cardTemplate) bool { return have.from == t.from }):
		return nil, fail(200022)
	case len(s.list) >= notesMost:
		return nil, fail(200012)
	}
	s.list = append(s.list, t)
	return map[string]any{"errcode": 0, "errmsg": "ok", "priTmplId": t.id}, nil
}

func noteDelete(c *call) (any, error) {
	var req struct {
		ID string `json:"priTmplId"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	s := &c.account.notes
	i := findCard(s.list, req.ID)
	if i < 0 {
		return nil, fail(200014)
	}
	s.list = slices.Delete(s.list, i, i+1)
	return nil, nil
}

// noteType is the type of a template in answers.
func noteType(long bool) int {
	if long {
		return 3
	}
	return 2
}

func noteList(c *call) (any, error) {
	data := []map[string]any{}
	for _, t := range c.account.notes.list {
		item := map[string]any{"priTmplId": t.id, "title": t.title, "content": t.content, "example": t.example, "type": noteType(t.long)}
		var enums []map[string]any
		for _, key := range slices.Sorted(maps.Keys(t.enums)) {
			enums = append(enums, map[string]any{"keywordCode": key + ".DATA", "enumValueList": t.enums[key]})
		}
		if enums != nil {
			item["keywordEnumValueList"] = enums
		}
		data = append(data, item)
	}
	return map[string]any{"errcode": 0, "errmsg": "ok", "data": data}, nil
}

func noteCategories(*call) (any, error) {
	data := []map[string]any{}
	for _, category := range categories {
		data = append(data, map[string]any{"id": category.id, "name": category.name})
	}
	return map[string]any{"errcode": 0, "errmsg": "ok", "data": data}, nil
}

func noteTitles(c *call) (any, error) {
	var chosen []int
	for id := range strings.SplitSeq(c.query.Get("ids"), ",") {
		n, err := strconv.Atoi(strings.TrimSpace(id))
		if err != nil {
			return nil, fail(200019)
		}
		chosen = append(chosen, n)
	}
	start, err := strconv.Atoi(c.query.Get("start"))
	if err != nil || start < 0 {
		return nil, fail(200016)
	}
	limit, err := strconv.Atoi(c.query.Get("limit"))
	if err != nil || limit < 1 || limit > noteTitlesPage {
		return nil, fail(200017)
	}
	data := []map[string]any{}
	for _, t := range library {
		if slices.Contains(chosen, t.category) {
			data = append(data, map[string]any{"tid": t.id, "title": t.title, "type": noteType(t.long), "categoryId": strconv.Itoa(t.category)})
		}
	}
	from := min(start, len(data))
	return map[string]any{"errcode": 0, "errmsg": "ok", "count": len(data), "data": data[from:min(from+limit, len(data))]}, nil
}

func noteKeywords(c *call) (any, error) {
	tid, _ := strconv.Atoi(c.query.Get("tid"))
	public := findPublic(tid)
	if public == nil {
		return nil, fail(200014)
	}
	var data []map[string]any
	for i, k := range public.keywords {
		data = append(data, map[string]any{"kid": i + 1, "name": k.name, "example": k.example, "rule": k.rule})
	}
	return map[string]any{"errcode": 0, "errmsg": "ok", "count": len(data), "data": data}, nil
}

// Accept agrees to a subscription notice in the account's page, times times:
// each allows one notice, of a long-term template any number. One
// subscribe_msg_popup_event reports it (reference §6.8). It takes no following.
func (f *Follower) Accept(templateID string, times int) *Sent {
	p := f.account.p
	p.mu.Lock()
	defer p.mu.Unlock()
	return f.popup(templateID, "accept", func() { f.grant(templateID, max(times, 1)) })
}

// grant counts what the follower has agreed to. p.mu is held.
func (f *Follower) grant(key string, times int) {
	if f.accepts == nil {
		f.accepts = map[string]int{}
	}
	f.accepts[key] += times
}

// Refuse takes back what was agreed to, in WeChat's settings, and sends
// subscribe_msg_change_event. Where nothing was, it refuses in the account's
// page, and sends subscribe_msg_popup_event.
func (f *Follower) Refuse(templateID string) *Sent {
	p := f.account.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.accepts[templateID] == 0 {
		return f.popup(templateID, "reject", func() {})
	}
	e := &oa.SubscribeMsgChangeEvent{}
	e.Event = "subscribe_msg_change_event"
	e.Change.List = slices.Grow(e.Change.List, 1)[:1]
	e.Change.List[0].TemplateID, e.Change.List[0].Status = templateID, "reject"
	return f.chose(e, templateID, func() { delete(f.accepts, templateID) })
}

// popup is a choice in the account's page. p.mu is held.
func (f *Follower) popup(templateID, status string, chosen func()) *Sent {
	e := &oa.SubscribeMsgPopupEvent{}
	e.Event = "subscribe_msg_popup_event"
	e.Popup.List = slices.Grow(e.Popup.List, 1)[:1]
	e.Popup.List[0].TemplateID, e.Popup.List[0].Status, e.Popup.List[0].Scene = templateID, status, "1"
	return f.chose(e, templateID, chosen)
}

// chose reports a choice about a template that the account has. p.mu is held.
func (f *Follower) chose(e oa.Event, templateID string, chosen func()) *Sent {
	a := f.account
	switch {
	case !a.has(RightSubscriptionNotes):
		return f.undelivered(e, remark(RuleNotPushed, "账号没有订阅通知的权限", "the account has no right to subscription notices"))
	case f.blacklisted:
		return f.undelivered(e, remark(RuleNotPushed, "粉丝在黑名单里", "the follower is on the blacklist"))
	case a.notes.find(templateID) == nil:
		return f.undelivered(e, remark(RuleNotPushed, "账号没有这个订阅通知模板：先用 subscribe_template_add 添加", "the account has no such template of subscription notices: add it by subscribe_template_add"))
	}
	chosen()
	s := a.event(e, f)
	f.show(Entry{From: FromFollower, Message: s.ID, Bubble: own(e)})
	return s
}

// noteSend spends one of the follower's grants, or none of a long-term template.
func noteSend(c *call) (any, error) {
	var req struct {
		cardTarget
		ToUser     string   `json:"touser"`
		TemplateID string   `json:"template_id"`
		Data       cardData `json:"data"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	f, err := c.somebody(req.ToUser)
	if err != nil {
		return nil, err
	}
	t := c.account.notes.find(req.TemplateID)
	if t == nil {
		return nil, fail(40037)
	}
	if err := t.check(req.Data); err != nil {
		return nil, err
	}
	if f.accepts[t.id] == 0 {
		return nil, fail(43101)
	}
	if !t.long {
		f.accepts[t.id]--
	}
	b := req.bubble("subscription", t.title, t.rows(req.Data))
	id := c.p.id()
	c.p.after(c.p.settings.jobDelay(), func() { f.noteEnd(t.id, id, b) })
	return nil, nil
}

// noteEnd shows a subscription notice and reports it. p.mu is held.
func (f *Follower) noteEnd(templateID string, id int64, b Bubble) {
	f.show(Entry{From: FromAccount, Via: ViaSubscription, Bubble: b})
	e := &oa.SubscribeMsgSentEvent{}
	e.Event = "subscribe_msg_sent_event"
	e.Sent.List = slices.Grow(e.Sent.List, 1)[:1]
	e.Sent.List[0].TemplateID, e.Sent.List[0].MsgID, e.Sent.List[0].ErrorStatus = templateID, id, "success"
	f.account.event(e, f)
}
