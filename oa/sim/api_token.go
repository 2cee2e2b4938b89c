package sim

// tokenState are the access tokens of an account.
type tokenState struct{}

var tokenHandlers = map[string]handler{}

// accountOfToken finds the account whose access token it is. The code is 0 if
// the token is good, otherwise 40001, 40014 or 42001. p.mu is held.
func (p *Platform) accountOfToken(token string) (*Account, int) { return nil, 40001 }
