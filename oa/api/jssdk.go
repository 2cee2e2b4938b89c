package api

import (
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// JSConfig is what a page gives to wx.config; add debug and jsApiList.
type JSConfig struct {
	AppID     string `json:"appId"`
	Timestamp int64  `json:"timestamp"` // seconds
	NonceStr  string `json:"nonceStr"`
	Signature string `json:"signature"`
}

// JSConfig signs the address of a page for the JS-SDK (reference api-rules
// §14). The page sends its own address, as the browser has it; a fragment is
// dropped. Its host must be one of hosts, the domains of the page's owner:
// never sign what a stranger asks for. The ticket is cached and shared like
// the token.
func (c *Client) JSConfig(ctx context.Context, pageURL string, hosts ...string) (JSConfig, error) {
	u, err := url.Parse(pageURL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return JSConfig{}, fmt.Errorf("api: sign page: the address of a page must begin with https:// or http://: %w", ErrBadRequest)
	}
	if !slices.Contains(hosts, u.Host) && !slices.Contains(hosts, u.Hostname()) {
		return JSConfig{}, fmt.Errorf("api: sign page: host %s is not one of yours: %w", u.Host, ErrBadRequest)
	}
	ticket, err := c.jsapi.Token(ctx)
	if err != nil {
		return JSConfig{}, err
	}
	config := JSConfig{AppID: c.account.AppID, Timestamp: c.now().Unix(), NonceStr: rand.Text()}
	config.Signature = SignPage(string(ticket.Value), config.NonceStr, config.Timestamp, pageURL)
	return config, nil
}

// SignPage is the JS-SDK signature of a page.
func SignPage(ticket, nonce string, timestamp int64, pageURL string) string {
	pageURL, _, _ = strings.Cut(pageURL, "#")
	return sha1Hex("jsapi_ticket=" + ticket + "&noncestr=" + nonce + "&timestamp=" + strconv.FormatInt(timestamp, 10) + "&url=" + pageURL)
}

// SignCard is the signature of a card in the JS-SDK: over the values of
// api_ticket, timestamp, nonce_str, card_id, code and openid that are used.
func SignCard(values ...string) string {
	values = slices.Clone(values)
	slices.Sort(values)
	return sha1Hex(strings.Join(values, ""))
}

func sha1Hex(s string) string {
	sum := sha1.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// CardTicket returns the ticket that cards are signed with.
func (c *Client) CardTicket(ctx context.Context) (Token, error) { return c.cards.Token(ctx) }

// ticket is a cached ticket of the JS-SDK: "jsapi" or "wx_card".
func (c *Client) ticket(kind string) *cached {
	return &cached{
		name:  kind + " ticket of " + c.account.AppID,
		key:   "ticket/" + kind + "/" + c.account.AppID,
		store: c.store,
		now:   c.now,
		log:   c.log,
		fetch: func(ctx context.Context, _ record, _ string) (record, error) {
			asked := c.now()
			resp, err := c.JSAPITicket.Get(ctx, JSAPITicketGetRequest{Type: kind})
			return tokenRecord(resp.Ticket, asked, resp.ExpiresIn, err)
		},
	}
}
