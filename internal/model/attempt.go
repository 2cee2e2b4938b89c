package model

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/wenzihq/wenzi/internal/bot"
)

const (
	maxErrorBody = 64 << 10
	// usagePatience is how long a finished answer waits for the count of its tokens.
	usagePatience = time.Second
)

var (
	errNoFirstToken = errors.New("no first token in time")
	errTimeout      = errors.New("not finished in time")
	errFinished     = errors.New("finished")
)

// attempt sends one request and reads its answer. It returns nil when a has a whole
// answer.
func (p *Pool) attempt(ctx context.Context, e bot.Endpoint, body []byte, a *answer) *Error {
	attempt, cancel := context.WithTimeoutCause(ctx, e.Timeout, errTimeout)
	defer cancel()
	attempt, stop := context.WithCancelCause(attempt)
	defer stop(nil)
	first := time.AfterFunc(e.FirstToken, func() { stop(errNoFirstToken) })
	defer first.Stop()
	a.began = func() bool { return first.Stop() }
	a.finished = func() { time.AfterFunc(usagePatience, func() { stop(errFinished) }) }

	err := p.exchange(attempt, e, body, a)
	if err == nil {
		return nil
	}
	failed, ok := errors.AsType[*Error](err)
	if !ok {
		switch cause := context.Cause(attempt); {
		case ctx.Err() != nil:
			err = ctx.Err()
		case cause != nil:
			err = cause
		}
		failed = unreachable(err)
	}
	if a.text() != "" && failed.Kind != Filtered {
		failed.zh, failed.en = "回答到一半停了："+failed.zh, "the answer broke off: "+failed.en
		failed.Kind, failed.again = Cut, false
	}
	return failed
}

// exchange returns an [*Error] where the provider said what is wrong, or what went
// wrong with the connection.
func (p *Pool) exchange(ctx context.Context, e bot.Endpoint, body []byte, a *answer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.BaseURL+"/chat/completions", bytes.NewReader(body))
	if err != nil {
		return errNoChat
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("User-Agent", "wenzi")
	if e.Key != "" {
		req.Header.Set("Authorization", "Bearer "+e.Key.Reveal())
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var c complaint
		said, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
		if err == nil && json.Unmarshal(said, &c) != nil {
			c = complaint{}
		}
		failed := refused(resp.StatusCode, c, body, e.Key.Reveal())
		failed.after = retryAfter(resp.Header)
		return failed
	}
	err = a.read(resp.Body)
	if a.refusal != nil {
		return refused(http.StatusOK, *a.refusal, body, e.Key.Reveal())
	}
	if err != nil && a.finish == "" {
		return err
	}
	switch a.finish {
	case "content_filter", "sensitive":
		return filtered()
	case "network_error", "insufficient_system_resource":
		return io.ErrUnexpectedEOF
	case "length":
		if a.text() == "" {
			return &Error{Kind: Config, zh: "max_tokens 都用在了思考上，请把它加大，或者关掉思考", en: "thinking took all of max_tokens; raise it or switch thinking off"}
		}
	}
	if a.text() == "" {
		return &Error{Kind: Unavailable, zh: "回答是空的", en: "the answer is empty"}
	}
	return nil
}

// encode returns the body of a request.
func encode(e bot.Endpoint, messages []Message) ([]byte, error) {
	type message struct {
		Role    Role `json:"role"`
		Content any  `json:"content"`
	}
	list := make([]message, len(messages))
	for i, m := range messages {
		list[i] = message{m.Role, content(m, e.Vision)}
	}
	fields := map[string]any{
		"model":          e.Name,
		"messages":       list,
		"stream":         true,
		"stream_options": map[string]bool{"include_usage": true},
	}
	if e.Temperature != nil {
		fields["temperature"] = *e.Temperature
	}
	if e.MaxTokens > 0 {
		fields["max_tokens"] = e.MaxTokens
	}
	for name, value := range e.Extra {
		fields[name] = value
		if string(value) == "null" {
			delete(fields, name)
		}
	}
	return json.Marshal(fields)
}

// content is a text, or the list of a text and images.
func content(m Message, vision bool) any {
	switch {
	case len(m.Images) == 0:
		return m.Text
	case !vision && m.Text == "":
		return "[图片]"
	case !vision:
		return m.Text
	}
	var parts []any
	if m.Text != "" {
		parts = append(parts, map[string]string{"type": "text", "text": m.Text})
	}
	for _, image := range m.Images {
		url := image.URL
		if len(image.Data) > 0 {
			url = "data:" + image.Type + ";base64," + base64.StdEncoding.EncodeToString(image.Data)
		}
		parts = append(parts, map[string]any{"type": "image_url", "image_url": map[string]string{"url": url}})
	}
	return parts
}
