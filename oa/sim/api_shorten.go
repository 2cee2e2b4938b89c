package sim

import "time"

var shortenHandlers = map[string]handler{
	"shorten_gen":   shortenGen,
	"shorten_fetch": shortenFetch,
}

// The limits of catalogue/api/shorten.yaml.
const (
	shortenBytes   = 4096
	shortenExpires = 2592000 // seconds, at most and where nothing is said
	shortenKey     = 15      // characters
)

// shortenState are the texts behind the account's short keys.
type shortenState struct {
	byKey map[string]shortened
}

type shortened struct {
	data             string
	created, expires time.Time
}

func shortenGen(c *call) (any, error) {
	var req struct {
		LongData      string `json:"long_data"`
		ExpireSeconds int64  `json:"expire_seconds"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if req.ExpireSeconds == 0 {
		req.ExpireSeconds = shortenExpires
	}
	switch {
	case req.LongData == "":
		return nil, failf(47003, "argument invalid! long_data is empty")
	case len(req.LongData) > shortenBytes:
		return nil, fail(9410010)
	case req.ExpireSeconds < 0 || req.ExpireSeconds > shortenExpires:
		return nil, fail(9410011)
	}
	s, now := &c.account.shorts, c.p.now()
	if s.byKey == nil {
		s.byKey = map[string]shortened{}
	}
	key := randomText(shortenKey)
	s.byKey[key] = shortened{data: req.LongData, created: now, expires: now.Add(time.Duration(req.ExpireSeconds) * time.Second)}
	return map[string]any{"errcode": 0, "errmsg": "ok", "short_key": key}, nil
}

func shortenFetch(c *call) (any, error) {
	var req struct {
		ShortKey string `json:"short_key"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	found, ok := c.account.shorts.byKey[req.ShortKey]
	left := found.expires.Sub(c.p.now())
	if !ok || left <= 0 {
		return nil, fail(9410012)
	}
	return map[string]any{
		"errcode": 0, "errmsg": "ok", "long_data": found.data,
		"create_time": found.created.Unix(), "expire_seconds": int64(left / time.Second),
	}, nil
}
