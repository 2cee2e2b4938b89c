package sim

import (
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/wenzihq/wenzi/catalogue"
)

// The limits on resets, in a month of Beijing (reference api-rules §7).
const (
	resetsPerMonth      = 10 // of all counters
	resetsOfOnePerMonth = 50
)

// unknownPerDay stands for the daily limits that nobody knows.
const unknownPerDay = 1_000_000

// testPerDay are the limits of a test account that are smaller than those of
// others (reference api-rules §7).
var testPerDay = map[string]int{
	"/cgi-bin/token":               200,
	"/cgi-bin/menu/create":         100,
	"/cgi-bin/menu/get":            1000,
	"/cgi-bin/menu/delete":         100,
	"/cgi-bin/media/upload":        500,
	"/cgi-bin/media/get":           1000,
	"/cgi-bin/message/custom/send": 50000,
	"/cgi-bin/qrcode/create":       10000,
	"/cgi-bin/user/get":            100,
	"/cgi-bin/user/info":           500000,
}

var openAPIHandlers = map[string]handler{
	"quota_get":             getQuota,
	"quota_clear_all":       clearAllQuota,
	"quota_clear_by_secret": clearQuotaBySecret,
	"quota_clear_one":       clearOneQuota,
	"rid_get":               getRID,
}

// usageState counts the calls of an account, by path.
type usageState struct {
	day      int // that used counts
	used     map[string]int
	minute   int64 // that recent counts
	recent   map[string]int
	limits   map[string]int // of a day, where they were changed
	month    int            // that the resets count
	resets   int
	resetsOf int // of one path
	failed   []failedCall
}

var beijing = time.FixedZone("UTC+8", 8*60*60)

// beijingDay numbers the platform's days, which end at midnight in Beijing.
func beijingDay(t time.Time) int {
	t = t.In(beijing)
	return t.Year()*1000 + t.YearDay()
}

// turn begins to count anew where a minute, a day or a month is over.
func (u *usageState) turn(now time.Time) {
	if minute := now.Unix() / 60; minute != u.minute {
		u.minute, u.recent = minute, map[string]int{}
	}
	if day := beijingDay(now); day != u.day {
		u.day, u.used = day, map[string]int{}
	}
	now = now.In(beijing)
	if month := now.Year()*100 + int(now.Month()); month != u.month {
		u.month, u.resets, u.resetsOf = month, 0, 0
	}
}

// perDay is the daily limit of a path; limited is false for calls of web OAuth,
// which have none.
func (a *Account) perDay(path string) (limit int, limited bool) {
	if n, changed := a.usage.limits[path]; changed {
		return n, true
	}
	if n, smaller := testPerDay[path]; smaller && a.config.Kind == TestAccount {
		return n, true
	}
	for _, e := range catalogue.Load().ByPath(path) {
		limit = max(limit, e.Quota.Day)
	}
	if limit == 0 {
		limit = unknownPerDay
	}
	return limit, !strings.HasPrefix(path, "/sns/")
}

// SetQuota changes how often the account may call an endpoint in a day of
// Beijing; further calls fail with 45009. The endpoint is an id of the catalogue
// or a path; all endpoints of a path share one counter. What was called today
// counts.
func (a *Account) SetQuota(endpoint string, perDay int) {
	if e, ok := catalogue.Load().Endpoint(endpoint); ok {
		endpoint = e.Path
	}
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	if a.usage.limits == nil {
		a.usage.limits = map[string]int{}
	}
	a.usage.limits[endpoint] = perDay
}

// countCall counts a call of the endpoint. The code is 0, 45009 or 45011. p.mu is held.
func (a *Account) countCall(e *catalogue.Endpoint) (code int) {
	u := &a.usage
	u.turn(a.p.now())
	if limit, limited := a.perDay(e.Path); limited && u.used[e.Path] >= limit {
		return 45009
	}
	if e.Quota.Minute > 0 && u.recent[e.Path] >= e.Quota.Minute {
		return 45011
	}
	u.used[e.Path]++
	u.recent[e.Path]++
	return 0
}

func getQuota(c *call) (any, error) {
	e, err := c.cgiPath(76003)
	if err != nil {
		return nil, err
	}
	u := &c.account.usage
	limit, _ := c.account.perDay(e.Path)
	answer := map[string]any{
		"errcode": 0, "errmsg": "ok",
		"quota": map[string]int{"daily_limit": limit, "used": u.used[e.Path], "remain": max(limit-u.used[e.Path], 0)},
	}
	if n := e.Quota.Minute; n > 0 {
		rate := map[string]int{"call_count": n, "refresh_second": 60}
		answer["rate_limit"], answer["component_rate_limit"] = rate, rate
	}
	return answer, nil
}

// cgiPath finds the endpoint that the body asks about. malformed is the code
// for what is no path at all.
func (c *call) cgiPath(malformed int) (*catalogue.Endpoint, error) {
	var in struct {
		Path string `json:"cgi_path"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	endpoints := catalogue.Load().ByPath(in.Path)
	switch {
	case !strings.HasPrefix(in.Path, "/"):
		return nil, fail(malformed)
	case strings.HasPrefix(in.Path, "/sns/"):
		return nil, fail(76022)
	case len(endpoints) == 0:
		return nil, fail(76021)
	case endpoints[0].Auth == catalogue.AuthComponent, !c.account.may(endpoints[0]):
		return nil, fail(76022)
	}
	return endpoints[0], nil
}

func clearAllQuota(c *call) (any, error) {
	var in struct {
		AppID string `json:"appid"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if in.AppID != c.account.config.AppID {
		return nil, fail(40013)
	}
	return nil, c.account.resetQuota()
}

func clearQuotaBySecret(c *call) (any, error) {
	var in secretReset
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := c.knowSecret(in.AppID, in.AppSecret); err != nil {
		return nil, err
	}
	c.account.usage.turn(c.p.now())
	return nil, c.account.resetQuota()
}

// resetQuota spends one of the month's resets.
func (a *Account) resetQuota() error {
	if a.usage.resets >= resetsPerMonth {
		return fail(48006)
	}
	a.usage.resets++
	clear(a.usage.used)
	return nil
}

func clearOneQuota(c *call) (any, error) {
	e, err := c.cgiPath(76021)
	if err != nil {
		return nil, err
	}
	if c.account.usage.resetsOf >= resetsOfOnePerMonth {
		return nil, fail(45009)
	}
	c.account.usage.resetsOf++
	delete(c.account.usage.used, e.Path)
	return nil, nil
}

type secretReset struct {
	AppID     string `json:"appid,omitempty"`
	AppSecret string `json:"appsecret,omitempty"`
}

// resetBySecret makes a reset by AppSecret of all that clients send for one: to
// the path with /v2 or to the one without, with the parameters in the body, as
// JSON or as a form, or in the query (reference api-rules §20).
func (c *call) resetBySecret() {
	v2 := c.endpoint.ID == "quota_clear_by_secret"
	if !v2 && (c.endpoint.ID != "quota_clear_all" || c.query.Has("access_token")) {
		return
	}
	var in secretReset
	if json.Unmarshal(c.body, &in) != nil {
		form, _ := url.ParseQuery(string(c.body))
		in = secretReset{form.Get("appid"), form.Get("appsecret")}
	}
	if in == (secretReset{}) {
		in = secretReset{c.query.Get("appid"), c.query.Get("appsecret")}
	}
	if !v2 && in.AppSecret == "" {
		return // 41001
	}
	c.endpoint, _ = catalogue.Load().Endpoint("quota_clear_by_secret")
	c.body, _ = json.Marshal(in) // of strings: it does not fail
}
