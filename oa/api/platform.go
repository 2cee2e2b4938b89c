package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Platform is a third-party platform (component): it calls for accounts that
// gave it their authorisation (reference api-rules §15). Give it a store that
// lasts: the verify ticket comes every ten minutes, and an authorizer's refresh
// token that is lost takes a new authorisation.
type Platform struct {
	*Client // its calls of the group Component use the platform's token

	options []Option
	token   *cached
}

// How long the platform's verify ticket is good for.
const ticketLife = 12 * time.Hour

// ErrNoTicket is a platform that WeChat has not sent a verify ticket yet.
var ErrNoTicket = fmt.Errorf("api: no component_verify_ticket yet; it comes every ten minutes: %w", ErrReauthorize)

// NewPlatform makes a third-party platform of its AppID and secret. The options
// are also those of the clients of its accounts.
func NewPlatform(component Account, options ...Option) (*Platform, error) {
	p := &Platform{options: options}
	// The platform has no access_token of its own; what wants one fails.
	c, err := NewClient(component, append(slices.Clip(options), WithTokenSource(noToken{}))...)
	if err != nil {
		return nil, err
	}
	p.Client = c
	p.token = &cached{
		name:  "component_access_token of " + component.AppID,
		key:   "component_access_token/" + component.AppID,
		store: c.store,
		now:   c.now,
		log:   c.log,
		fetch: p.fetch,
	}
	c.componentToken = p.token
	return p, nil
}

type noToken struct{}

func (noToken) Token(context.Context) (Token, error) {
	return Token{}, errors.New("api: a third-party platform has no access_token; call for an account with Platform.Account")
}
func (noToken) Invalidate(context.Context, Token) error { return nil }

// SetVerifyTicket keeps the ticket that WeChat pushed.
func (p *Platform) SetVerifyTicket(ctx context.Context, ticket string) error {
	return p.store.Set(ctx, p.ticketKey(), []byte(ticket), ticketLife)
}

func (p *Platform) ticketKey() string { return "component_verify_ticket/" + p.account.AppID }

func (p *Platform) fetch(ctx context.Context, _ record, _ string) (record, error) {
	ticket, ok, err := p.store.Get(ctx, p.ticketKey())
	if err != nil {
		return record{}, err
	}
	if !ok {
		return record{}, ErrNoTicket
	}
	asked := p.now()
	resp, err := p.Component.Token(ctx, ComponentTokenRequest{
		ComponentAppID: p.account.AppID, ComponentAppSecret: string(p.account.Secret), ComponentVerifyTicket: string(ticket)})
	return tokenRecord(resp.ComponentAccessToken, asked, resp.ExpiresIn, err)
}

// LoginURL is the page where the owner of an account gives the platform its
// authorisation, and that comes back to redirect with auth_code. accounts is
// 1 for Official Accounts, 2 for mini programs, 3 for both.
func (p *Platform) LoginURL(ctx context.Context, redirect string, accounts int) (string, error) {
	resp, err := p.Component.PreAuthCode(ctx, ComponentPreAuthCodeRequest{ComponentAppID: p.account.AppID})
	if err != nil {
		return "", err
	}
	return p.Component.LoginPage(ComponentLoginPageRequest{
		ComponentAppID: p.account.AppID, PreAuthCode: resp.PreAuthCode, RedirectURI: redirect, AuthType: accounts}), nil
}

// Authorize turns the auth_code of a new authorisation into tokens, keeps them,
// and returns the AppID of the account.
func (p *Platform) Authorize(ctx context.Context, authCode string) (appID string, err error) {
	asked := p.now()
	resp, err := p.Component.QueryAuth(ctx, ComponentQueryAuthRequest{ComponentAppID: p.account.AppID, AuthorizationCode: authCode})
	if err != nil {
		return "", err
	}
	info := resp.AuthorizationInfo
	if err := p.SetRefreshToken(ctx, info.AuthorizerAppID, Secret(info.AuthorizerRefreshToken)); err != nil {
		return "", err
	}
	b, err := json.Marshal(newRecord(info.AuthorizerAccessToken, asked, info.ExpiresIn))
	if err != nil {
		return "", err
	}
	return info.AuthorizerAppID, p.store.Set(ctx, p.authorizerKey(info.AuthorizerAppID), b, 24*time.Hour)
}

// SetRefreshToken keeps an authorizer's refresh token, for accounts whose
// authorisation was got elsewhere.
func (p *Platform) SetRefreshToken(ctx context.Context, appID string, token Secret) error {
	return p.store.Set(ctx, p.refreshKey(appID), []byte(token), 0)
}

func (p *Platform) refreshKey(appID string) string {
	return "authorizer_refresh_token/" + p.account.AppID + "/" + appID
}

func (p *Platform) authorizerKey(appID string) string {
	return "authorizer_access_token/" + p.account.AppID + "/" + appID
}

// Authorizer is the source of tokens of an account that gave its authorisation.
func (p *Platform) Authorizer(appID string) TokenSource {
	return &cached{
		name:  "authorizer_access_token of " + appID,
		key:   p.authorizerKey(appID),
		store: p.store,
		now:   p.now,
		log:   p.log,
		fetch: func(ctx context.Context, _ record, _ string) (record, error) { return p.fetchAuthorizer(ctx, appID) },
	}
}

func (p *Platform) fetchAuthorizer(ctx context.Context, appID string) (record, error) {
	refresh, ok, err := p.store.Get(ctx, p.refreshKey(appID))
	if err != nil {
		return record{}, err
	}
	if !ok {
		return record{}, fmt.Errorf("api: no refresh token of account %s: let its owner authorise the platform again: %w", appID, ErrReauthorize)
	}
	asked := p.now()
	resp, err := p.Component.AuthorizerToken(ctx, ComponentAuthorizerTokenRequest{
		ComponentAppID: p.account.AppID, AuthorizerAppID: appID, AuthorizerRefreshToken: string(refresh)})
	if err != nil {
		return record{}, err
	}
	if next := resp.AuthorizerRefreshToken; next != "" && next != string(refresh) {
		if err := p.SetRefreshToken(ctx, appID, Secret(next)); err != nil {
			// The access token works; the old refresh token mostly does too.
			p.log.ErrorContext(ctx, "authorizer refresh token not kept", slog.String("appid", appID), slog.Any("error", err))
		}
	}
	return tokenRecord(resp.AuthorizerAccessToken, asked, resp.ExpiresIn, nil)
}

// Account makes a client of an account that gave its authorisation. Keep it,
// like any client.
func (p *Platform) Account(appID string) (*Client, error) {
	return NewClient(Account{AppID: appID}, append(slices.Clip(p.options),
		WithStore(p.store), WithTokenSource(p.Authorizer(appID)), WithComponentToken(p.token))...)
}
