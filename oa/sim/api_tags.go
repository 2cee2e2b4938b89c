package sim

import "slices"

var tagHandlers = map[string]handler{
	"tag_create":       tagCreate,
	"tag_list":         tagList,
	"tag_update":       tagUpdate,
	"tag_delete":       tagDelete,
	"tag_user_list":    tagUserList,
	"tag_batch_tag":    tagBatchTag,
	"tag_batch_untag":  tagBatchUntag,
	"tag_list_of_user": tagListOfUser,
}

// The limits of catalogue/api/tags.yaml.
const (
	tagsOfAccount  = 100
	tagsOfFollower = 20
	tagNameBytes   = 30
	tagBatch       = 50
	tagFullDelete  = 100000 // followers of a tag that can still be deleted
	tagFirst       = 100    // ids below are the platform's own
	tagStarred     = 2
)

// tagState are the tags of an account.
type tagState struct {
	own  []tag // in the order they were made
	last int   // the id given out last
}

type tag struct {
	id   int
	name string
}

// find returns the place of one of the account's own tags: 45058 for one of the
// platform's, 45159 where there is none.
func (s *tagState) find(id int) (int, error) {
	if id >= 0 && id <= tagStarred {
		return 0, fail(45058)
	}
	i := slices.IndexFunc(s.own, func(t tag) bool { return t.id == id })
	if i < 0 {
		return 0, fail(45159)
	}
	return i, nil
}

// exists reports whether followers can have the tag.
func (s *tagState) exists(id int) bool {
	_, err := s.find(id)
	return err == nil || id == tagStarred
}

// checkName checks a name for the tag with that id, or for a new one.
func (s *tagState) checkName(name string, id int) error {
	taken := slices.ContainsFunc(s.own, func(t tag) bool { return t.name == name && t.id != id })
	switch {
	case name == "" || taken:
		return fail(45157)
	case len(name) > tagNameBytes:
		return fail(45158)
	}
	return nil
}

// tagged counts the followers with a tag.
func (a *Account) tagged(id int) int {
	n := 0
	for _, f := range a.order {
		if f.following && f.hasTag(id) {
			n++
		}
	}
	return n
}

// tagRequest is the body of the calls about one tag.
type tagRequest struct {
	Tag struct {
		ID   int    `json:"id"`
		Name string `json:"name"`
	} `json:"tag"`
}

func tagCreate(c *call) (any, error) {
	var req tagRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	s := &c.account.tags
	if err := s.checkName(req.Tag.Name, 0); err != nil {
		return nil, err
	}
	if len(s.own) >= tagsOfAccount {
		return nil, fail(45056)
	}
	s.last = max(s.last+1, tagFirst)
	s.own = append(s.own, tag{id: s.last, name: req.Tag.Name})
	return map[string]any{"tag": map[string]any{"id": s.last, "name": req.Tag.Name}}, nil
}

func tagList(c *call) (any, error) {
	var list []map[string]any
	for _, t := range append([]tag{{tagStarred, "星标组"}}, c.account.tags.own...) {
		list = append(list, map[string]any{"id": t.id, "name": t.name, "count": c.account.tagged(t.id)})
	}
	return map[string]any{"tags": list}, nil
}

func tagUpdate(c *call) (any, error) {
	var req tagRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	s := &c.account.tags
	i, err := s.find(req.Tag.ID)
	if err != nil {
		return nil, err
	}
	if err := s.checkName(req.Tag.Name, req.Tag.ID); err != nil {
		return nil, err
	}
	s.own[i].name = req.Tag.Name
	return nil, nil
}

func tagDelete(c *call) (any, error) {
	var req tagRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	a, id := c.account, req.Tag.ID
	i, err := a.tags.find(id)
	if err != nil {
		return nil, err
	}
	if a.tagged(id) > tagFullDelete {
		return nil, fail(45057)
	}
	a.tags.own = slices.Delete(a.tags.own, i, i+1)
	for _, f := range a.order {
		f.untag(id)
	}
	return nil, nil
}

func (f *Follower) untag(id int) {
	f.tagIDs = slices.DeleteFunc(f.tagIDs, func(have int) bool { return have == id })
}

func tagUserList(c *call) (any, error) {
	var req struct {
		TagID      int    `json:"tagid"`
		NextOpenID string `json:"next_openid"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if !c.account.tags.exists(req.TagID) {
		return nil, fail(45159)
	}
	page, _, err := c.openIDs(req.NextOpenID, userPage, func(f *Follower) bool { return f.following && f.hasTag(req.TagID) })
	if err != nil {
		return nil, err
	}
	return page, nil
}

// tagMembers reads the body of batchtagging and batchuntagging.
func (c *call) tagMembers() (tagID int, people []*Follower, err error) {
	var req struct {
		OpenIDList []string `json:"openid_list"`
		TagID      int      `json:"tagid"`
	}
	if err := c.decode(&req); err != nil {
		return 0, nil, err
	}
	if !c.account.tags.exists(req.TagID) {
		return 0, nil, fail(45159)
	}
	people, err = c.somebodies(req.OpenIDList, tagBatch)
	if err != nil {
		return 0, nil, err
	}
	if slices.ContainsFunc(people, func(f *Follower) bool { return !f.following }) {
		return 0, nil, fail(50005)
	}
	return req.TagID, people, nil
}

// tagBatchTag tags those who have room for one more tag. Where some have not,
// the others are tagged all the same, and 45171 names those who are not.
func tagBatchTag(c *call) (any, error) {
	id, people, err := c.tagMembers()
	if err != nil {
		return nil, err
	}
	var full []string
	for _, f := range people {
		switch {
		case f.hasTag(id):
		case len(f.tagIDs) >= tagsOfFollower:
			full = append(full, f.openID)
		default:
			f.tagIDs = append(f.tagIDs, id)
		}
	}
	switch {
	case len(full) == 0:
		return nil, nil
	case len(full) == len(people):
		return nil, fail(45059)
	}
	return nil, &failure{code: 45171, data: map[string]any{"fail_openid_list": full}}
}

func tagBatchUntag(c *call) (any, error) {
	id, people, err := c.tagMembers()
	if err != nil {
		return nil, err
	}
	for _, f := range people {
		f.untag(id)
	}
	return nil, nil
}

func tagListOfUser(c *call) (any, error) {
	var req struct {
		OpenID string `json:"openid"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	f, err := c.somebody(req.OpenID)
	if err != nil {
		return nil, err
	}
	return map[string]any{"tagid_list": append([]int{}, f.tagIDs...)}, nil
}
