package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/wenzihq/wenzi/oa"
)

// ErrNoServer is the error of what needs the server of an account that has none.
var ErrNoServer = errors.New("sim: the account has no server: give it a URL")

// Configure changes the account, as its owner does on the settings pages: a new
// URL, Token, EncodingAESKey or mode is in force at once. What is empty gets its
// default; AppID and OriginalID stay what they are, and so do Handler and
// Transport. Where there is an error nothing is changed.
func (a *Account) Configure(c AccountConfig) error {
	old := a.Config()
	c.AppID, c.OriginalID = cmp.Or(c.AppID, old.AppID), cmp.Or(c.OriginalID, old.OriginalID)
	if c.AppID != old.AppID || c.OriginalID != old.OriginalID {
		return fmt.Errorf("sim: AppID and original ID of %s cannot change", old.AppID)
	}
	if err := c.complete(); err != nil {
		return err
	}
	c.AppSecret = cmp.Or(c.AppSecret, old.AppSecret)
	c.Handler, c.Transport = old.Handler, old.Transport
	own, err := c.receiver()
	if err != nil {
		return err
	}
	if former := a.replace(c, own); former != nil {
		former.close()
	}
	return nil
}

// replace puts a configuration with its own server in the place of the present
// ones, and returns the former server.
func (a *Account) replace(c AccountConfig, own *receiver) (former *receiver) {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	if a.p.closed {
		return own // nobody would close it later
	}
	if i := slices.IndexFunc(a.receivers, isOwn); i >= 0 {
		former = a.receivers[i]
		a.receivers = slices.Delete(a.receivers, i, i+1)
	}
	if own != nil {
		a.receivers = slices.Insert(a.receivers, 0, own)
	}
	a.config = c
	return former
}

// complete fills in the defaults that depend on nothing else.
func (c *AccountConfig) complete() error {
	c.Kind = cmp.Or(c.Kind, CertifiedService)
	if _, err := ParseKind(string(c.Kind)); err != nil {
		return err
	}
	for r := range c.Rights {
		if _, known := matrix[r]; !known {
			return fmt.Errorf("sim: there is no right %q: use some of %q", r, slices.Sorted(maps.Keys(matrix)))
		}
	}
	c.Rights, c.IPWhitelist = maps.Clone(c.Rights), slices.Clone(c.IPWhitelist)
	c.Name, c.Token = cmp.Or(c.Name, "测试号"), cmp.Or(c.Token, "hello")
	return nil
}

// receiver makes the account's own server, or nil where it has none.
func (c *AccountConfig) receiver() (*receiver, error) {
	if c.URL == "" && c.Handler == nil {
		return nil, nil
	}
	own := oa.Account{AppID: c.AppID, Token: c.Token, AESKey: c.AESKey, Mode: c.Mode}
	return newReceiver(ReceiverConfig{Account: own, URL: c.URL, Handler: c.Handler, Transport: c.Transport})
}

func isOwn(r *receiver) bool { return r.name == "" }

// Check asks the account's server to prove itself, as WeChat does when the
// 服务器配置 page is submitted (reference §1).
func (a *Account) Check(ctx context.Context) (*Exchange, error) {
	a.p.mu.Lock()
	i := slices.IndexFunc(a.receivers, isOwn)
	if i < 0 {
		a.p.mu.Unlock()
		return nil, ErrNoServer
	}
	sender := a.receivers[i].sender
	sender.Rules = a.p.settings.Rules
	a.p.mu.Unlock()
	return sender.Check(ctx)
}

// AddReceiver authorises a third-party platform on the account: it gets its
// own copy of every push, and its answer is shown as well (reference §0).
func (a *Account) AddReceiver(c ReceiverConfig) error {
	if c.Name == "" {
		return errors.New("sim: a receiver needs a name, such as \"agency\"")
	}
	r, err := newReceiver(c)
	if err != nil {
		return err
	}
	if err := a.add(r); err != nil {
		r.close()
		return err
	}
	return nil
}

func (a *Account) add(r *receiver) error {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	if a.p.closed {
		return errClosed
	}
	if slices.ContainsFunc(a.receivers, func(b *receiver) bool { return b.name == r.name }) {
		return fmt.Errorf("sim: the account has a receiver %q already", r.name)
	}
	a.receivers = append(a.receivers, r)
	return nil
}

// RemoveReceiver takes the authorisation of a third-party platform back. It
// reports whether there was one of that name.
func (a *Account) RemoveReceiver(name string) bool {
	a.p.mu.Lock()
	i := slices.IndexFunc(a.receivers, func(r *receiver) bool { return r.name == name && name != "" })
	if i < 0 {
		a.p.mu.Unlock()
		return false
	}
	r := a.receivers[i]
	a.receivers = slices.Delete(a.receivers, i, i+1)
	a.p.mu.Unlock()
	r.close()
	return true
}

// Receivers returns the third-party platforms, without their Handler and
// Transport.
func (a *Account) Receivers() []ReceiverConfig {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	var all []ReceiverConfig
	for _, r := range a.receivers {
		if !isOwn(r) {
			all = append(all, ReceiverConfig{Name: r.name, Account: r.sender.Account, URL: r.sender.URL})
		}
	}
	return all
}

// SetFollowing makes the follower follow the account or not, without the event
// that tells the account's server so.
func (f *Follower) SetFollowing(following bool) {
	f.account.p.mu.Lock()
	defer f.account.p.mu.Unlock()
	if following {
		f.follow(bySearch)
		return
	}
	f.leaveAgents()
	f.unfollow()
	f.message, f.event = window{}, window{}
}

// Reset makes the platform as [New] made it, with the real time: no accounts, no
// trouble, the default settings. Ids that were given out are not given out again.
func (p *Platform) Reset() {
	p.mu.Lock()
	accounts, components := p.accounts, p.components
	p.components = nil
	p.accounts, p.settings, p.trouble, p.ahead = nil, Settings{}, Trouble{}, 0
	p.mu.Unlock()
	for _, a := range accounts {
		a.close()
	}
	for _, c := range components {
		c.close()
	}
}
