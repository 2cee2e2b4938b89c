package sim

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/wenzihq/wenzi/catalogue"
	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/api"
)

// Agent is a human agent (客服) of an account. An agent works when bound to
// somebody's WeChat and online.
type Agent struct {
	account   *Account
	id        int64
	kfAccount string

	// What follows is guarded by Platform.mu.
	nickname     string
	avatar       *medium // nil is WeChat's own
	wechat       string  // who it is bound to, "" before that
	invited      string  // who is asked to be
	invitedUntil time.Time
	rejected     bool
	online       bool
}

// session is a follower's chat with an agent.
type session struct {
	agent *Agent
	since time.Time
	until time.Time // unless somebody says something
}

// waitCase is a follower who waits for an agent.
type waitCase struct {
	follower *Follower
	agent    string // the only one who may take it; "" is anybody
}

// agentIdle is how long a session with a human agent lasts without a word
// (reference §9.2).
const agentIdle = 30 * time.Minute

// NewAgent adds an agent as the console does: bound to a WeChat id at once, not
// online yet. The name is prefix@suffix, the prefix of at most 10 letters, digits
// and underscores.
func (a *Account) NewAgent(kfAccount, nickname string) (*Agent, error) {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	g, err := a.addAgent(kfAccount, nickname)
	if f, ok := errors.AsType[*failure](err); ok {
		code, _ := catalogue.Load().Code(f.code)
		return nil, fmt.Errorf("sim: agent %q cannot be added: %s (%d)", kfAccount, code.Meaning, f.code)
	}
	g.wechat = fmt.Sprintf("wxid_%d", g.id)
	return g, nil
}

// Agents returns the agents in the order they were added.
func (a *Account) Agents() []*Agent {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	return slices.Clone(a.agents.agents)
}

// Waiting returns the followers who wait for an agent, in order of arrival.
func (a *Account) Waiting() []*Follower {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	var all []*Follower
	for _, w := range a.agents.waiting {
		all = append(all, w.follower)
	}
	return all
}

// Agent returns the agent who has the follower's chat, nil if none does.
func (f *Follower) Agent() *Agent {
	f.account.p.mu.Lock()
	defer f.account.p.mu.Unlock()
	if s := f.inSession(); s != nil {
		return s.agent
	}
	return nil
}

// KFAccount returns the agent's name, prefix@suffix.
func (g *Agent) KFAccount() string { return g.kfAccount }

// Nickname returns what followers see.
func (g *Agent) Nickname() string {
	g.account.p.mu.Lock()
	defer g.account.p.mu.Unlock()
	return g.nickname
}

// Online reports whether the agent is.
func (g *Agent) Online() bool {
	g.account.p.mu.Lock()
	defer g.account.p.mu.Unlock()
	return g.online
}

// Followers returns those whose chat the agent has, oldest session first.
func (g *Agent) Followers() []*Follower {
	g.account.p.mu.Lock()
	defer g.account.p.mu.Unlock()
	return g.account.served(g)
}

// AnswerInvitation accepts or rejects the invitation that kf_invite_worker made.
func (g *Agent) AnswerInvitation(accept bool) error {
	g.account.p.mu.Lock()
	defer g.account.p.mu.Unlock()
	if g.invitation() != "waiting" {
		return fmt.Errorf("sim: agent %s has no invitation that waits for an answer", g.kfAccount)
	}
	if accept {
		g.wechat, g.invited = g.invited, ""
	}
	g.rejected = !accept
	return nil
}

// invitation is the invite_status of the agent, "" without an invitation.
func (g *Agent) invitation() string {
	switch {
	case g.invited == "":
		return ""
	case g.rejected:
		return "rejected"
	case g.account.p.now().After(g.invitedUntil):
		return "expired"
	}
	return "waiting"
}

// SetOnline signs the agent in or out. Who comes takes the followers who were
// transferred to this agent alone.
func (g *Agent) SetOnline(online bool) error {
	a := g.account
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	if g.wechat == "" {
		return fmt.Errorf("sim: agent %s is not bound to anybody's WeChat: invite somebody, and accept", g.kfAccount)
	}
	g.online = online
	for _, w := range slices.Clone(a.agents.waiting) {
		if online && w.agent == g.kfAccount {
			a.openSession(w.follower, g)
		}
	}
	return nil
}

// Accept takes a follower who waits. From then on what the follower writes goes
// to the agent, until [Agent.End] or 30 minutes without a word (reference §7.8).
func (g *Agent) Accept(f *Follower) error {
	a := g.account
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	i := slices.IndexFunc(a.agents.waiting, func(w waitCase) bool { return w.follower == f })
	switch {
	case !g.online:
		return fmt.Errorf("sim: agent %s is not online", g.kfAccount)
	case i < 0:
		return fmt.Errorf("sim: follower %s does not wait for an agent", f.openID)
	case a.agents.waiting[i].agent != "" && a.agents.waiting[i].agent != g.kfAccount:
		return fmt.Errorf("sim: follower %s waits for agent %s only", f.openID, a.agents.waiting[i].agent)
	}
	a.openSession(f, g)
	return nil
}

// Say says something to a follower whose chat the agent has.
func (g *Agent) Say(f *Follower, text string) error {
	p := g.account.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := g.has(f); err != nil {
		return err
	}
	f.session.until = p.now().Add(agentIdle)
	g.account.agents.note(f, g, agentSaid, text)
	f.show(Entry{From: FromAccount, Via: ViaAgent, Agent: g.kfAccount, Bubble: Bubble{Kind: "text", Text: Spans(text)}})
	return nil
}

// HandOver gives a follower whose chat the agent has to another one.
func (g *Agent) HandOver(f *Follower, to *Agent) error {
	p := g.account.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := g.has(f); err != nil {
		return err
	}
	if !to.online || to.account != g.account {
		return fmt.Errorf("sim: agent %s is not online", to.kfAccount)
	}
	f.session.agent, f.session.until = to, p.now().Add(agentIdle)
	e := &oa.KfSwitchSessionEvent{FromKfAccount: g.kfAccount, ToKfAccount: to.kfAccount}
	e.Event = "kf_switch_session"
	g.account.event(e, f)
	return nil
}

// End gives a follower's chat back to the account.
func (g *Agent) End(f *Follower) error {
	p := g.account.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := g.has(f); err != nil {
		return err
	}
	f.endSession()
	return nil
}

// has fails where the agent does not have the follower's chat. p.mu is held.
func (g *Agent) has(f *Follower) error {
	if s := f.inSession(); s == nil || s.agent != g {
		return fmt.Errorf("sim: agent %s does not have the chat of follower %s", g.kfAccount, f.openID)
	}
	return nil
}

// transfer gives a chat to a human agent (reference §7.8): to the one named, if
// online; otherwise the follower waits, for that one only, or for anybody. p.mu
// is held.
func (a *Account) transfer(f *Follower, kfAccount string) {
	if !f.following || f.inSession() != nil {
		return
	}
	if g := a.agent(kfAccount); g != nil && g.online {
		a.openSession(f, g)
		return
	}
	s := &a.agents
	i := slices.IndexFunc(s.waiting, func(w waitCase) bool { return w.follower == f })
	if i < 0 {
		i, s.waiting = len(s.waiting), append(s.waiting, waitCase{follower: f})
	}
	s.waiting[i].agent = kfAccount
}

// openSession gives a follower's chat to an agent. p.mu is held.
func (a *Account) openSession(f *Follower, g *Agent) {
	a.agents.stopWaiting(f)
	now := a.p.now()
	f.session = &session{agent: g, since: now, until: now.Add(agentIdle)}
	a.agents.sessions = append(a.agents.sessions, f)
	f.watchSession(f.session, agentIdle)
	a.sessionEvent("kf_create_session", f, g)
}

// watchSession ends a session that has been idle for too long. p.mu is held.
func (f *Follower) watchSession(s *session, idle time.Duration) {
	p := f.account.p
	p.after(idle, func() {
		if f.session != s || f.inSession() == nil {
			return
		}
		f.watchSession(s, s.until.Sub(p.now()))
	})
}

// inSession is the follower's session, nil if there is none, or none any more.
// p.mu is held.
func (f *Follower) inSession() *session {
	if f.session != nil && !f.account.p.now().Before(f.session.until) {
		f.endSession()
	}
	return f.session
}

// endSession ends the follower's session. p.mu is held.
func (f *Follower) endSession() {
	a, g := f.account, f.session.agent
	f.session = nil
	a.agents.sessions = slices.DeleteFunc(a.agents.sessions, func(o *Follower) bool { return o == f })
	a.sessionEvent("kf_close_session", f, g)
}

// leaveAgents ends what the follower has with agents. p.mu is held.
func (f *Follower) leaveAgents() {
	f.account.agents.stopWaiting(f)
	if f.session != nil {
		f.endSession()
	}
}

// sessionEvent reports that a session began or ended. p.mu is held.
func (a *Account) sessionEvent(name string, f *Follower, g *Agent) {
	e := &oa.KfSessionEvent{KfAccount: g.kfAccount}
	e.Event = name
	a.event(e, f)
}

// toldAgent gives a message to the agent who has the chat. It reports false if
// none has. p.mu is held.
func (f *Follower) toldAgent(m oa.Message) bool {
	s := f.inSession()
	if s == nil {
		return false
	}
	s.until = f.account.p.now().Add(agentIdle)
	f.account.agents.note(f, s.agent, followerSaid, Describe(m))
	return true
}

// The operations of message records (kf_message_records).
const (
	agentSaid    = 2002
	followerSaid = 2003
)

// maxKFRecords is how many message records an account keeps.
const maxKFRecords = 20_000

// note keeps what was said in a session.
func (s *agentState) note(f *Follower, g *Agent, operation int, text string) {
	if len(s.records) >= maxKFRecords {
		s.records = slices.Delete(s.records, 0, maxKFRecords/2)
		s.dropped += maxKFRecords / 2
	}
	s.records = append(s.records, api.KFMessage{
		OpenID: f.openID, OperCode: operation, Text: text, Time: f.account.p.now().Unix(), Worker: g.kfAccount,
	})
}

func (s *agentState) stopWaiting(f *Follower) {
	s.waiting = slices.DeleteFunc(s.waiting, func(w waitCase) bool { return w.follower == f })
}

// agent finds an agent by name, nil if there is none. p.mu is held.
func (a *Account) agent(kfAccount string) *Agent {
	i := slices.IndexFunc(a.agents.agents, func(g *Agent) bool { return g.kfAccount == kfAccount })
	if i < 0 {
		return nil
	}
	return a.agents.agents[i]
}

// served are the followers whose chat an agent has. p.mu is held.
func (a *Account) served(g *Agent) []*Follower {
	var all []*Follower
	for _, f := range slices.Clone(a.agents.sessions) {
		if s := f.inSession(); s != nil && s.agent == g {
			all = append(all, f)
		}
	}
	return all
}
