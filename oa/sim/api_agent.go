package sim

import (
	"regexp"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/wenzihq/wenzi/oa/api"
)

// agentState are the human agents of an account and their chats.
type agentState struct {
	agents   []*Agent
	lastID   int64
	sessions []*Follower // in a session, oldest first
	waiting  []waitCase  // in order of arrival

	records []api.KFMessage
	dropped int // of the oldest records
}

var agentHandlers = map[string]handler{
	"kf_list":            withAgents(kfList),
	"kf_online_list":     withAgents(kfOnlineList),
	"kf_add":             withAgents(kfAdd),
	"kf_update":          withAgents(kfUpdate),
	"kf_delete":          withAgents(kfDelete),
	"kf_upload_avatar":   withAgents(kfUploadAvatar),
	"kf_invite_worker":   withAgents(kfInvite),
	"kf_message_records": withAgents(kfRecords),
	"kf_session_create":  withAgents(kfSessionCreate),
	"kf_session_close":   withAgents(kfSessionClose),
	"kf_session_get":     withAgents(kfSessionGet),
	"kf_session_list":    withAgents(kfSessionList),
	"kf_session_waiting": withAgents(kfSessionWaiting),
}

// withAgents refuses accounts without human agents.
func withAgents(h handler) handler {
	return func(c *call) (any, error) {
		if !c.account.has(RightTransfer) {
			return nil, fail(65400)
		}
		return h(c)
	}
}

func kfList(c *call) (any, error) {
	answer := api.KFListResponse{KFList: []api.KFAccount{}}
	for _, g := range c.account.agents.agents {
		a := api.KFAccount{KFAccount: g.kfAccount, KFNick: g.nickname, KFID: strconv.FormatInt(g.id, 10), KFWx: g.wechat}
		if g.avatar != nil {
			a.KFHeadImgURL = c.mediaAddress(g.avatar, time.Time{})
		}
		if g.invited != "" {
			a.InviteWx, a.InviteExpireTime, a.InviteStatus = g.invited, g.invitedUntil.Unix(), g.invitation()
		}
		answer.KFList = append(answer.KFList, a)
	}
	return answer, nil
}

func kfOnlineList(c *call) (any, error) {
	answer := api.KFOnlineListResponse{KFOnlineList: []api.KFOnline{}}
	for _, g := range c.account.agents.agents {
		if g.online {
			answer.KFOnlineList = append(answer.KFOnlineList, api.KFOnline{
				KFAccount: g.kfAccount, Status: 1, KFID: g.id, AcceptedCase: len(c.account.served(g)),
			})
		}
	}
	return answer, nil
}

// maxKFAccounts is how many agents an account can have.
const maxKFAccounts = 100

// kfAccountName is prefix@suffix, where the suffix is the account's WeChat id; the
// simulated platform takes any.
var kfAccountName = regexp.MustCompile(`^[A-Za-z0-9_]{1,10}@[A-Za-z0-9_-]{1,30}$`)

func kfAdd(c *call) (any, error) {
	var req api.KFAddRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	_, err := c.account.addAgent(req.KFAccount, req.Nickname)
	return nil, err
}

// addAgent adds an agent that is bound to nobody yet. p.mu is held.
func (a *Account) addAgent(kfAccount, nickname string) (*Agent, error) {
	s := &a.agents
	switch {
	case !kfAccountName.MatchString(kfAccount):
		return nil, fail(65404)
	case !kfNickname(nickname):
		return nil, fail(65403)
	case a.agent(kfAccount) != nil:
		return nil, fail(65406)
	case len(s.agents) >= maxKFAccounts:
		return nil, fail(65405)
	}
	s.lastID = max(s.lastID, 1000) + 1
	g := &Agent{account: a, id: s.lastID, kfAccount: kfAccount, nickname: nickname}
	s.agents = append(s.agents, g)
	return g, nil
}

func kfNickname(s string) bool { return s != "" && utf8.RuneCountInString(s) <= 16 }

// namedAgent finds the agent that a call names.
func (c *call) namedAgent(kfAccount string) (*Agent, error) {
	if g := c.account.agent(kfAccount); g != nil {
		return g, nil
	}
	return nil, fail(65401)
}

func kfUpdate(c *call) (any, error) {
	var req api.KFUpdateRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	g, err := c.namedAgent(req.KFAccount)
	switch {
	case err != nil:
		return nil, err
	case !kfNickname(req.Nickname):
		return nil, fail(65403)
	}
	g.nickname = req.Nickname
	return nil, nil
}

// kfDelete takes the name from the query, which is the older form, or from the
// body (reference api-rules §20). Chats of the agent end.
func kfDelete(c *call) (any, error) {
	name := c.query.Get("kf_account")
	if name == "" {
		var req api.KFDeleteRequest
		if err := c.decode(&req); err != nil {
			return nil, err
		}
		name = req.KFAccount
	}
	g, err := c.namedAgent(name)
	if err != nil {
		return nil, err
	}
	for _, f := range c.account.served(g) {
		f.endSession()
	}
	s := &c.account.agents
	s.agents = slices.DeleteFunc(s.agents, func(o *Agent) bool { return o == g })
	g.online, g.wechat = false, "" // whoever still holds it can do nothing with it
	return nil, nil
}

func kfUploadAvatar(c *call) (any, error) {
	g, err := c.namedAgent(c.query.Get("kf_account"))
	if err != nil {
		return nil, err
	}
	u, err := c.upload("media")
	if err != nil {
		return nil, err
	}
	if g.avatar != nil {
		c.account.media.forget(g.avatar)
	}
	g.avatar = c.account.hostMedia(u)
	return nil, nil
}

// invitationLife is how long an invitation can be accepted; the platform's own
// figure is not published.
const invitationLife = 24 * time.Hour

// wechatID is what a WeChat id looks like.
var wechatID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,30}$`)

func kfInvite(c *call) (any, error) {
	var req api.KFInviteWorkerRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	g, err := c.namedAgent(req.KFAccount)
	switch {
	case err != nil:
		return nil, err
	case !wechatID.MatchString(req.InviteWx):
		return nil, fail(65409)
	case g.wechat != "":
		return nil, fail(65412)
	}
	for _, o := range c.account.agents.agents {
		switch {
		case o.wechat == req.InviteWx:
			return nil, fail(65407)
		case o.invited == req.InviteWx && o.invitation() == "waiting":
			return nil, fail(65408)
		}
	}
	if g.invitation() == "waiting" {
		return nil, fail(65411)
	}
	g.invited, g.invitedUntil, g.rejected = req.InviteWx, c.p.now().Add(invitationLife), false
	return nil, nil
}

// kfRecords pages through what was said, oldest first. The msgid of a record is
// its number.
func kfRecords(c *call) (any, error) {
	var req api.KFMessageRecordsRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	switch {
	case req.StartTime < 0 || req.EndTime < req.StartTime || req.MsgID < 1 || req.Number < 1 || req.Number > 10000:
		return nil, fail(65416)
	case req.EndTime-req.StartTime > 24*60*60:
		return nil, fail(65417)
	}
	s := &c.account.agents
	answer := api.KFMessageRecordsResponse{RecordList: []api.KFMessage{}, MsgID: req.MsgID}
	for i, r := range s.records {
		id := int64(s.dropped + i + 1)
		if len(answer.RecordList) < req.Number && id >= req.MsgID && r.Time >= req.StartTime && r.Time <= req.EndTime {
			answer.RecordList, answer.MsgID = append(answer.RecordList, r), id+1
		}
	}
	answer.Number = len(answer.RecordList)
	return answer, nil
}

func kfSessionCreate(c *call) (any, error) {
	var req api.KFSessionCreateRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	g, err := c.namedAgent(req.KFAccount)
	if err != nil {
		return nil, err
	}
	f := c.account.followers[req.OpenID]
	switch {
	case f == nil || !f.following:
		return nil, fail(40003)
	case g.wechat == "":
		return nil, fail(65402)
	case !g.online:
		return nil, fail(65415)
	}
	switch s := f.inSession(); {
	case s == nil:
		c.account.openSession(f, g)
	case s.agent != g:
		return nil, fail(65414)
	}
	return nil, nil
}

func kfSessionClose(c *call) (any, error) {
	var req api.KFSessionCloseRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	g, err := c.namedAgent(req.KFAccount)
	if err != nil {
		return nil, err
	}
	f := c.account.followers[req.OpenID]
	if f == nil {
		return nil, fail(40003)
	}
	switch s := f.inSession(); {
	case s == nil:
		return nil, fail(65413)
	case s.agent != g:
		return nil, fail(65414)
	}
	f.endSession()
	return nil, nil
}

func kfSessionGet(c *call) (any, error) {
	f := c.account.followers[c.query.Get("openid")]
	if f == nil {
		return nil, fail(40003)
	}
	var answer api.KFSessionGetResponse
	if s := f.inSession(); s != nil {
		answer.CreateTime, answer.KFAccount = s.since.Unix(), s.agent.kfAccount
	}
	return answer, nil
}

func kfSessionList(c *call) (any, error) {
	g, err := c.namedAgent(c.query.Get("kf_account"))
	switch {
	case err != nil:
		return nil, err
	case g.wechat == "":
		return nil, fail(65402)
	}
	answer := api.KFSessionListResponse{SessionList: []api.KFSession{}}
	for _, f := range c.account.served(g) {
		answer.SessionList = append(answer.SessionList, api.KFSession{CreateTime: f.session.since.Unix(), OpenID: f.openID})
	}
	return answer, nil
}

// maxKFWaiting is how many waiting followers an answer lists.
const maxKFWaiting = 100

func kfSessionWaiting(c *call) (any, error) {
	waiting := c.account.agents.waiting
	answer := api.KFSessionWaitingResponse{Count: len(waiting), WaitCaseList: []api.KFWaiting{}}
	for _, w := range waiting[:min(len(waiting), maxKFWaiting)] {
		answer.WaitCaseList = append(answer.WaitCaseList, api.KFWaiting{LatestTime: w.follower.lastAct.Unix(), OpenID: w.follower.openID})
	}
	return answer, nil
}
