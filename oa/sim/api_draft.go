package sim

import (
	"slices"
	"time"
)

// The draft box has been switched on for all accounts, which is what the
// catalogue's sample of draft_switch says.
var draftHandlers = map[string]handler{
	"draft_add":    draftAdd,
	"draft_get":    draftGet,
	"draft_delete": draftDelete,
	"draft_update": draftUpdate,
	"draft_count":  draftCount,
	"draft_list":   draftList,
}

// draftState are the drafts and the publish jobs of an account, in the order
// they were made.
type draftState struct {
	drafts []*draft
	jobs   []*publication
}

type draft struct {
	mediaID          string
	articles         []draftArticle
	created, updated time.Time
}

// find finds a draft by its media id; nil where there is none.
func (s *draftState) find(mediaID string) *draft {
	i := slices.IndexFunc(s.drafts, func(d *draft) bool { return d.mediaID == mediaID })
	if i < 0 {
		return nil
	}
	return s.drafts[i]
}

// remove takes a draft out of the box. It reports false when it is gone already.
func (s *draftState) remove(d *draft) bool {
	i := slices.Index(s.drafts, d)
	if i < 0 {
		return false
	}
	s.drafts = slices.Delete(s.drafts, i, i+1)
	return true
}

func draftAdd(c *call) (any, error) {
	var req struct {
		Articles []draftArticle `json:"articles"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	switch n := len(req.Articles); {
	case n == 0:
		return nil, fail(44003)
	case n > articlesOfDraft:
		return nil, fail(45008)
	}
	for i := range req.Articles {
		if err := req.Articles[i].check(c.account); err != nil {
			return nil, err
		}
	}
	if first := &req.Articles[0]; len(req.Articles) == 1 && first.Digest == "" {
		first.Digest = digest(first.Content)
	}
	now := c.p.now()
	d := &draft{mediaID: randomText(64), articles: req.Articles, created: now, updated: now}
	c.account.drafts.drafts = append(c.account.drafts.drafts, d)
	return map[string]any{"media_id": d.mediaID}, nil
}

// draftOf reads the media_id of the body and finds the draft.
func (c *call) draftOf() (*draft, error) {
	var req struct {
		MediaID string `json:"media_id"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	d := c.account.drafts.find(req.MediaID)
	if d == nil {
		return nil, fail(40007)
	}
	return d, nil
}

func draftGet(c *call) (any, error) {
	d, err := c.draftOf()
	if err != nil {
		return nil, err
	}
	return map[string]any{"news_item": d.articles, "create_time": d.created.Unix(), "update_time": d.updated.Unix()}, nil
}

func draftDelete(c *call) (any, error) {
	d, err := c.draftOf()
	if err != nil {
		return nil, err
	}
	c.account.drafts.remove(d)
	return nil, nil
}

func draftUpdate(c *call) (any, error) {
	d, err := c.draftOf()
	if err != nil {
		return nil, err
	}
	var req struct {
		Index   int          `json:"index"`
		Article draftArticle `json:"articles"` // one, in spite of the name
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if req.Index < 0 || req.Index >= len(d.articles) {
		return nil, fail(40114)
	}
	if err := req.Article.check(c.account); err != nil {
		return nil, err
	}
	if len(d.articles) == 1 && req.Article.Digest == "" {
		req.Article.Digest = digest(req.Article.Content)
	}
	req.Article.URL = d.articles[req.Index].URL
	d.articles[req.Index], d.updated = req.Article, c.p.now()
	return nil, nil
}

func draftCount(c *call) (any, error) {
	return map[string]any{"total_count": len(c.account.drafts.drafts)}, nil
}

func draftList(c *call) (any, error) {
	drafts, withContent, err := listed(c, c.account.drafts.drafts)
	if err != nil {
		return nil, err
	}
	items := make([]map[string]any, len(drafts))
	for i, d := range drafts {
		articles := slices.Clone(d.articles)
		for j := range articles {
			articles[j] = articles[j].listed(withContent)
		}
		items[i] = map[string]any{
			"media_id": d.mediaID, "update_time": d.updated.Unix(),
			"content": map[string]any{"news_item": articles, "create_time": d.created.Unix(), "update_time": d.updated.Unix()},
		}
	}
	return map[string]any{"total_count": len(c.account.drafts.drafts), "item_count": len(items), "item": items}, nil
}

// listed reads offset, count and no_content of the body, and returns that page
// of all, the newest first.
func listed[T any](c *call, all []T) (page []T, withContent bool, err error) {
	var req struct {
		Offset    int `json:"offset"`
		Count     int `json:"count"`
		NoContent int `json:"no_content"`
	}
	if err := c.decode(&req); err != nil {
		return nil, false, err
	}
	if req.Offset < 0 || req.Count < 1 || req.Count > articlesListed {
		return nil, false, failf(40035, "invalid parameter: count is between 1 and %d", articlesListed)
	}
	newest := slices.Clone(all)
	slices.Reverse(newest)
	from := min(req.Offset, len(newest))
	return newest[from:min(from+req.Count, len(newest))], req.NoContent == 0, nil
}
