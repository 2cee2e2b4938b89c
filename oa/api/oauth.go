package api

import (
	"context"
	"net/url"
)

// Scopes of a login by OAuth.
const (
	ScopeBase     = "snsapi_base"     // silent, gives the OpenID
	ScopeUserInfo = "snsapi_userinfo" // asks, gives the profile
)

// AuthorizeURL is the page that asks a visitor inside WeChat to log in, and
// comes back to redirect with code and state (reference api-rules §13). Use a
// fresh random state of at most 128 letters and digits, bound to the visitor's
// session, and check it on return.
func (c *Client) AuthorizeURL(redirect, scope, state string) string {
	return c.OAuth.AuthorizePage(OAuthAuthorizePageRequest{
		AppID: c.account.AppID, RedirectURI: redirect, ResponseType: "code", Scope: scope, State: state})
}

// ExchangeCode turns the code of a login into the visitor's OpenID and token. A
// code works once, and WeChat may open the redirect twice: keep the answer by
// code for a while. The account needs its AppSecret.
func (c *Client) ExchangeCode(ctx context.Context, code string) (OAuthAccessTokenResponse, error) {
	return c.OAuth.AccessToken(ctx, OAuthAccessTokenRequest{
		AppID: c.account.AppID, Secret: string(c.account.Secret), Code: code, GrantType: "authorization_code"})
}

// RefreshUserToken makes a visitor's token live longer.
func (c *Client) RefreshUserToken(ctx context.Context, refreshToken string) (OAuthRefreshTokenResponse, error) {
	return c.OAuth.RefreshToken(ctx, OAuthRefreshTokenRequest{
		AppID: c.account.AppID, GrantType: "refresh_token", RefreshToken: refreshToken})
}

// QRCodeURL is the address of the image of a QR code's ticket. It needs no
// token, so a page may show it.
func (c *Client) QRCodeURL(ticket string) string {
	return c.base(epQRCodeShow) + epQRCodeShow.Path + "?ticket=" + url.QueryEscape(ticket)
}
