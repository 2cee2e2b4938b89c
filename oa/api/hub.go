package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// HubTokens takes tokens from a hub, another program that keeps the account's
// tokens ([TokenHub] is one). It asks by
//
//	POST <url>
//	Authorization: Bearer <key>
//	{"refused": "<SHA-256 of the refused token, in hex>"}
//
// with an empty object when no token was refused, and the hub answers
// {"access_token": "…", "expires_in": <seconds>}.
type HubTokens struct {
	cached cached
}

// NewHubTokens takes tokens from the hub at an address. A nil client is
// http.DefaultClient.
func NewHubTokens(hub string, key Secret, client *http.Client) (*HubTokens, error) {
	u, err := url.Parse(hub)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return nil, errors.New("api: the address of a token hub must look like https://host/path, without a key in it")
	}
	if client == nil {
		client = http.DefaultClient
	}
	ep := &Endpoint{ID: "token_hub", Method: http.MethodPost, Auth: NoToken, Reads: true}
	ask := func(ctx context.Context, _ record, refused string) (record, error) {
		body := struct {
			Refused string `json:"refused,omitempty"`
		}{}
		if refused != "" {
			body.Refused = fingerprint(refused)
		}
		text, err := json.Marshal(body)
		if err != nil {
			return record{}, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, hub, strings.NewReader(string(text)))
		if err != nil {
			return record{}, errors.New("api: token hub: address cannot be used")
		}
		req.Header.Set("Authorization", "Bearer "+string(key))
		req.Header.Set("Content-Type", "application/json")
		asked := time.Now()
		resp, err := client.Do(req)
		if err != nil {
			return record{}, unanswered(ep, 0, scrubError(err, []string{string(key)}))
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return record{}, unanswered(ep, resp.StatusCode, fmt.Errorf("HTTP %d: check its address and key", resp.StatusCode))
		}
		var answer hubAnswer
		b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		if err == nil {
			err = json.Unmarshal(b, &answer)
		}
		if err != nil {
			return record{}, unanswered(ep, resp.StatusCode, errors.New("answer is not JSON"))
		}
		return tokenRecord(answer.AccessToken, asked, answer.ExpiresIn, nil)
	}
	return &HubTokens{cached{
		name: "access_token of hub " + u.Host, key: hub, store: new(MemoryStore),
		now: time.Now, log: slog.New(slog.DiscardHandler), fetch: ask,
	}}, nil
}

// Token implements [TokenSource].
func (h *HubTokens) Token(ctx context.Context) (Token, error) { return h.cached.Token(ctx) }

// Invalidate implements [TokenSource].
func (h *HubTokens) Invalidate(ctx context.Context, refused Token) error {
	return h.cached.Invalidate(ctx, refused)
}

type hubAnswer struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in"`
}

func fingerprint(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// TokenHub serves an account's tokens to the [HubTokens] of other programs
// that know the key. Serve it over TLS, or inside one machine.
func TokenHub(source TokenSource, key Secret) http.Handler {
	want := sha256.Sum256([]byte("Bearer " + string(key)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		if key == "" || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			http.Error(w, "wrong key", http.StatusUnauthorized)
			return
		}
		if r.Method != http.MethodPost {
			http.Error(w, "use POST", http.StatusMethodNotAllowed)
			return
		}
		var ask struct {
			Refused string `json:"refused"`
		}
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&ask); err != nil {
			http.Error(w, "body is not JSON", http.StatusBadRequest)
			return
		}
		token, err := source.Token(r.Context())
		if err == nil && ask.Refused != "" && ask.Refused == fingerprint(string(token.Value)) {
			if err = source.Invalidate(r.Context(), token); err == nil {
				token, err = source.Token(r.Context())
			}
		}
		if err != nil {
			http.Error(w, "no token at the moment", http.StatusBadGateway)
			return
		}
		seconds := int(time.Until(token.Expires).Seconds())
		if token.Expires.IsZero() {
			seconds = 60 // a token without a known end is asked for again soon
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(hubAnswer{AccessToken: string(token.Value), ExpiresIn: seconds})
	})
}
