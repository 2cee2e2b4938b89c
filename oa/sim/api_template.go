package sim

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wenzihq/wenzi/oa"
)

var templateHandlers = map[string]handler{
	"template_send":         templateSend,
	"template_set_industry": templateSetIndustry,
	"template_get_industry": templateGetIndustry,
	"template_add":          templateAdd,
	"template_list":         templateList,
	"template_delete":       templateDelete,
}

// The limits of catalogue/api/message-template.yaml.
const (
	templatesMost   = 25
	templateDedupe  = 10 * time.Minute
	industriesCount = 41
)

// templateState are the message templates of an account.
type templateState struct {
	list       []*cardTemplate
	industries [2]int
	chosen     string // the month in which they were
	sent       map[templateKey]templateSent
}

// templateKey is by what a repeated send is known.
type templateKey struct {
	follower *Follower
	id       string // client_msg_id
}

type templateSent struct {
	msgID int64
	at    time.Time
}

// AddTemplate adds a template for template messages as the console does, and
// returns its id. content has a {{key.DATA}} for each value, a row to a line:
// "商品：{{thing1.DATA}}". Keys with a type (thing1, time2) are checked by it when
// a message is sent. More than the 25 that the API can add are allowed.
func (a *Account) AddTemplate(title, content string) (id string) {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	t := &cardTemplate{id: randomText(43), title: title, content: content}
	a.templates.list = append(a.templates.list, t)
	return t.id
}

// findCard finds a template by its id; -1 where there is none.
func findCard(list []*cardTemplate, id string) int {
	return slices.IndexFunc(list, func(t *cardTemplate) bool { return t.id == id })
}

// templateAdd adds a template of the library, by its number and the names of its
// keywords. Those of the old industries can no longer be added.
func templateAdd(c *call) (any, error) {
	var req struct {
		Short    string   `json:"template_id_short"`
		Keywords []string `json:"keyword_name_list"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if strings.HasPrefix(req.Short, "TM") || strings.HasPrefix(req.Short, "OPENTM") {
		return nil, fail(40247)
	}
	number, _ := strconv.Atoi(req.Short)
	public := findPublic(number)
	if public == nil {
		return nil, fail(40037)
	}
	var ids []int
	for _, name := range req.Keywords {
		i := slices.IndexFunc(public.keywords, func(k keyword) bool { return k.name == name })
		if i < 0 {
			return nil, fail(40246)
		}
		ids = append(ids, i+1)
	}
	s := &c.account.templates
	switch {
	case ids == nil:
		return nil, fail(40246)
	case len(s.list) >= templatesMost:
		return nil, failf(45009, "template num exceeds limit: %d", templatesMost)
	}
	t := public.compose(ids)
	s.list = append(s.list, t)
	return map[string]any{"errcode": 0, "errmsg": "ok", "template_id": t.id}, nil
}

func templateList(c *call) (any, error) {
	s := &c.account.templates
	primary, secondary := industry(s.industries[0]), industry(s.industries[1])
	list := []map[string]any{}
	for _, t := range s.list {
		list = append(list, map[string]any{
			"template_id": t.id, "title": t.title, "content": t.content, "example": t.example,
			"primary_industry": primary.FirstClass, "deputy_industry": secondary.FirstClass,
		})
	}
	return map[string]any{"template_list": list}, nil
}

func templateDelete(c *call) (any, error) {
	var req struct {
		TemplateID string `json:"template_id"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	s := &c.account.templates
	i := findCard(s.list, req.TemplateID)
	if i < 0 {
		return nil, fail(40037)
	}
	s.list = slices.Delete(s.list, i, i+1)
	return nil, nil
}

// industryName names an industry by its number: the catalogue has no names.
type industryName struct {
	FirstClass  string `json:"first_class"`
	SecondClass string `json:"second_class"`
}

func industry(number int) industryName {
	if number == 0 {
		return industryName{}
	}
	name := "行业 " + strconv.Itoa(number)
	return industryName{FirstClass: name, SecondClass: name}
}

func templateSetIndustry(c *call) (any, error) {
	var req struct {
		First  string `json:"industry_id1"`
		Second string `json:"industry_id2"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	var numbers [2]int
	for i, s := range []string{req.First, req.Second} {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > industriesCount {
			return nil, failf(40035, "invalid industry id: between 1 and %d", industriesCount)
		}
		numbers[i] = n
	}
	s, month := &c.account.templates, inBeijing(c.p.now()).Format("2006-01")
	if s.chosen == month {
		return nil, failf(45009, "the industries can be changed once a month")
	}
	s.industries, s.chosen = numbers, month
	return nil, nil
}

func templateGetIndustry(c *call) (any, error) {
	answer := map[string]any{}
	for i, name := range []string{"primary_industry", "secondary_industry"} {
		if n := c.account.templates.industries[i]; n != 0 {
			answer[name] = industry(n)
		}
	}
	return answer, nil
}

// templateSend accepts a template message. Whether it reaches the follower is
// said later, by TEMPLATESENDJOBFINISH (reference §6.6).
func templateSend(c *call) (any, error) {
	var req struct {
		cardTarget
		ToUser      string   `json:"touser"`
		TemplateID  string   `json:"template_id"`
		ClientMsgID string   `json:"client_msg_id"`
		Data        cardData `json:"data"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	f, err := c.subscriber(req.ToUser, 43004)
	if err != nil {
		return nil, err
	}
	if f.blacklisted {
		return nil, fail(43019)
	}
	s := &c.account.templates
	i := findCard(s.list, req.TemplateID)
	if i < 0 {
		return nil, fail(40037)
	}
	t := s.list[i]
	if err := t.check(req.Data); err != nil {
		return nil, err
	}
	now, key := c.p.now(), templateKey{f, req.ClientMsgID}
	maps.DeleteFunc(s.sent, func(_ templateKey, sent templateSent) bool { return now.Sub(sent.at) >= templateDedupe })
	if sent, again := s.sent[key]; again {
		return map[string]any{"errcode": 0, "errmsg": "ok", "msgid": sent.msgID}, nil
	}
	id := c.p.id()
	if req.ClientMsgID != "" {
		if s.sent == nil {
			s.sent = map[templateKey]templateSent{}
		}
		s.sent[key] = templateSent{msgID: id, at: now}
	}
	b := req.bubble("template", t.title, t.rows(req.Data))
	c.p.after(c.p.settings.jobDelay(), func() { f.templateEnd(id, b) })
	return map[string]any{"errcode": 0, "errmsg": "ok", "msgid": id}, nil
}

// templateEnd shows a template message, unless the follower is gone meanwhile,
// and reports it. p.mu is held.
func (f *Follower) templateEnd(id int64, b Bubble) {
	e := &oa.TemplateSendJobFinishEvent{MsgID: id, Status: "success"}
	e.Event = "TEMPLATESENDJOBFINISH"
	if f.following {
		f.show(Entry{From: FromAccount, Via: ViaTemplate, Bubble: b})
	} else {
		e.Status = "failed:user block"
	}
	f.account.event(e, f)
}
