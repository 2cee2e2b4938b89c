package sim

import "github.com/wenzihq/wenzi/catalogue"

// usageState counts the calls of an account.
type usageState struct{}

var openAPIHandlers = map[string]handler{}

// countCall counts a call of the endpoint. The code is 0, 45009 or 45011. p.mu is held.
func (a *Account) countCall(e *catalogue.Endpoint) (code int) { return 0 }

// remember keeps a call for rid_get. p.mu is held.
func (a *Account) remember(rid string, c *Call) {}
