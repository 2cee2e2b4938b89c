package sim

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/wenzihq/wenzi/catalogue"
)

// What is kept of calls that failed (reference api-rules §3).
const (
	keptFailures = 200
	keptBytes    = 4 << 10 // of a body
	keepRID      = 7 * 24 * time.Hour
)

// ridForm is the form of a rid.
var ridForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$`)

// Where the secrets of a call are. The end of a body may be cut off.
const secretNames = `((?:component_)?access_token|(?:component_)?(?:app)?secret|(?:authorizer_)?refresh_token|(?:authorization_)?code|component_verify_ticket)`

var (
	secretsInQuery = regexp.MustCompile(`(^|&)` + secretNames + `=[^&]*`)
	secretsInBody  = regexp.MustCompile(`"` + secretNames + `"\s*:\s*"[^"]*"?`)
)

// failedCall is what rid_get tells of a call.
type failedCall struct {
	rid     string
	at      time.Time
	request map[string]any
}

// remember keeps a call that failed for rid_get. p.mu is held.
func (a *Account) remember(c *call, note *Call, answer any) {
	if strings.HasPrefix(note.Path, "/sns/") {
		return
	}
	response, err := json.Marshal(answer)
	if err != nil {
		return
	}
	u, now := &a.usage, a.p.now()
	if len(u.failed) >= keptFailures {
		u.failed = slices.Delete(u.failed, 0, keptFailures/2)
	}
	u.failed = append(u.failed, failedCall{rid: c.rid, at: now, request: map[string]any{
		"invoke_time":   now.Unix(),
		"cost_in_ms":    note.Elapsed.Milliseconds(),
		"request_url":   secretsInQuery.ReplaceAllString(c.r.URL.RawQuery, "$1$2=***"),
		"request_body":  c.readableBody(),
		"response_body": string(response),
		"client_ip":     c.ip(),
	}})
}

// readableBody is the beginning of a body without its secrets, or nothing of
// an upload.
func (c *call) readableBody() string {
	if c.endpoint.Request.ContentType == catalogue.ContentMultipart {
		return ""
	}
	text := strings.ToValidUTF8(string(c.body[:min(len(c.body), keptBytes)]), "")
	return secretsInBody.ReplaceAllString(text, `"$1":"***"`)
}

func getRID(c *call) (any, error) {
	var in struct {
		RID string `json:"rid"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if !ridForm.MatchString(in.RID) {
		return nil, fail(76002)
	}
	for _, a := range c.p.accounts {
		i := slices.IndexFunc(a.usage.failed, func(f failedCall) bool { return f.rid == in.RID })
		if i < 0 {
			continue
		}
		f := a.usage.failed[i]
		switch {
		case a != c.account:
			return nil, fail(76003)
		case c.p.now().Sub(f.at) > keepRID:
			return nil, fail(76004)
		}
		return map[string]any{"errcode": 0, "errmsg": "ok", "request": f.request}, nil
	}
	return nil, fail(76001)
}
