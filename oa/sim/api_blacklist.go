package sim

var blacklistHandlers = map[string]handler{
	"blacklist_list":   blacklistList,
	"blacklist_add":    func(c *call) (any, error) { return blacklist(c, true) },
	"blacklist_remove": func(c *call) (any, error) { return blacklist(c, false) },
}

// What one call takes or gives (reference api-rules §18).
const (
	blacklistPage  = 1000
	blacklistBatch = 20
)

func blacklistList(c *call) (any, error) {
	var req struct {
		BeginOpenID string `json:"begin_openid"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	page, total, err := c.openIDs(req.BeginOpenID, blacklistPage, func(f *Follower) bool { return f.blacklisted })
	if err != nil {
		return nil, err
	}
	page["total"] = total
	return page, nil
}

func blacklist(c *call, blacklisted bool) (any, error) {
	var req struct {
		OpenIDList []string `json:"openid_list"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	people, err := c.somebodies(req.OpenIDList, blacklistBatch)
	if err != nil {
		return nil, err
	}
	for _, f := range people {
		f.blacklisted = blacklisted
	}
	return nil, nil
}
