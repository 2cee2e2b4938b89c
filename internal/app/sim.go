package app

// simCmd are the commands of the simulated platform.
type simCmd struct {
	Load simLoadCmd `cmd:"" help:"许多粉丝同时说话，看服务器答得怎样 — many followers at once, and what comes of it."`
}
