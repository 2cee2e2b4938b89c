package sim

// agentState are the human agents of an account.
type agentState struct{}

var agentHandlers = map[string]handler{}

// transfer gives a chat to a human agent. p.mu is held.
func (a *Account) transfer(f *Follower, agent string) {}
