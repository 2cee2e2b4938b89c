package sim

import "fmt"

// tokenState stands in for the access tokens until those are merged.
type tokenState struct{ n int }

var tokenHandlers = map[string]handler{}

// AccessToken returns a token that works now.
func (a *Account) AccessToken() string {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	return fmt.Sprint("TEST", a.tokens.n)
}

// ReplaceToken ends all tokens.
func (a *Account) ReplaceToken() {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	a.tokens.n++
}

func (p *Platform) accountOfToken(token string) (*Account, int) {
	for _, a := range p.accounts {
		if token == fmt.Sprint("TEST", a.tokens.n) {
			return a, 0
		}
	}
	return nil, 40001
}
