package sim

import "net/http"

// TB is what [Start] needs of a *testing.T. It is not [testing.TB], so that a
// program which uses this package does not carry package testing.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Testing is a platform with one account, for a test.
type Testing struct {
	*Platform
	Account *Account
}

// Start makes a platform whose one account has the server h, and closes it at
// the end of the test. c describes the account; its Handler is h. In a
// [testing/synctest] bubble the 5 s and 15 s of WeChat pass in no time.
func Start(t TB, h http.Handler, c AccountConfig) *Testing {
	t.Helper()
	p := New(Settings{})
	c.Handler = h
	a, err := p.NewAccount(c)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(p.Close)
	return &Testing{Platform: p, Account: a}
}

// Follower adds somebody who follows the account already, without the event
// that tells the server so; [Account.Follower] adds somebody who does not yet.
func (s *Testing) Follower() *Follower {
	f := s.Account.Follower()
	s.mu.Lock()
	defer s.mu.Unlock()
	f.follow(bySearch)
	return f
}
