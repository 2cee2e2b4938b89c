package sim

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wenzihq/wenzi/oa"
)

var userHandlers = map[string]handler{
	"user_list":           userList,
	"user_info_get":       userInfoGet,
	"user_info_batch_get": userInfoBatchGet,
	"user_remark_update":  userRemarkUpdate,
	"user_change_openid":  userChangeOpenID,
}

// What one call takes or gives (reference api-rules §18).
const (
	userPage    = 10000 // OpenIDs
	userBatch   = 100   // profiles, or OpenIDs to convert
	remarkBytes = 30    // a remark is shorter
)

// origin is how a follower came.
type origin struct {
	scene      string // subscribe_scene of user info
	source     int    // user_source of the statistics
	qrScene    int64  // of the QR code
	qrSceneStr string
}

var (
	bySearch  = origin{scene: "ADD_SCENE_SEARCH", source: 1}
	byPayment = origin{scene: "ADD_SCENE_PAID", source: 51}
)

// originOf reads how somebody came out of the event (reference §6.1). p.mu is
// held.
func (a *Account) originOf(e *oa.SubscribeEvent) origin {
	scene, scanned := strings.CutPrefix(e.EventKey, "qrscene_")
	switch {
	case strings.HasPrefix(e.EventKey, "last_trade_no_"):
		return byPayment
	case !scanned:
		return bySearch
	}
	by := origin{scene: "ADD_SCENE_QR_CODE", source: 30}
	id, err := strconv.ParseUint(scene, 10, 32)
	if code := a.codes.byTicket[e.Ticket]; err != nil || code != nil && code.text {
		by.qrSceneStr = scene
	} else {
		by.qrScene = int64(id)
	}
	return by
}

// follow makes somebody a follower. Who follows already stays one. p.mu is held.
func (f *Follower) follow(by origin) {
	if f.following {
		return
	}
	now := f.account.p.now()
	f.following, f.since, f.origin = true, now, by
	f.account.stats.add(now, by.source, 1, 0)
}

// unfollow is the reverse of follow. p.mu is held.
func (f *Follower) unfollow() {
	if !f.following {
		return
	}
	f.following = false
	f.account.stats.add(f.account.p.now(), f.origin.source, 0, 1)
}

// somebody finds who has an OpenID, whether they follow or not. An OpenID of
// another account is 49003 where the endpoint knows that code, everything else
// 40003.
func (c *call) somebody(openID string) (*Follower, error) {
	if f := c.account.followers[openID]; f != nil {
		return f, nil
	}
	foreign := slices.ContainsFunc(c.p.accounts, func(a *Account) bool { return a.followers[openID] != nil })
	if foreign && slices.Contains(c.endpoint.Errcodes, 49003) {
		return nil, fail(49003)
	}
	return nil, fail(40003)
}

// subscriber is somebody who must follow; gone is the code when they do not.
func (c *call) subscriber(openID string, gone int) (*Follower, error) {
	f, err := c.somebody(openID)
	if err == nil && !f.following {
		return nil, fail(gone)
	}
	return f, err
}

// somebodies finds between one and most people; another number is 40032.
func (c *call) somebodies(openIDs []string, most int) ([]*Follower, error) {
	if len(openIDs) == 0 || len(openIDs) > most {
		return nil, failf(40032, "invalid openid list size: %d, between 1 and %d are allowed", len(openIDs), most)
	}
	people := make([]*Follower, len(openIDs))
	for i, id := range openIDs {
		f, err := c.somebody(id)
		if err != nil {
			return nil, err
		}
		people[i] = f
	}
	return people, nil
}

// openIDs answers with those of the people in question that come after the
// cursor, and counts all of them. As on the platform there is no "data" on an
// empty page, and the last page has a cursor like any other.
func (c *call) openIDs(cursor string, size int, in func(*Follower) bool) (page map[string]any, total int, err error) {
	start := 0
	if cursor != "" {
		i := slices.IndexFunc(c.account.order, func(f *Follower) bool { return f.openID == cursor })
		if i < 0 {
			return nil, 0, fail(40003)
		}
		start = i + 1
	}
	var ids []string
	for i, f := range c.account.order {
		if !in(f) {
			continue
		}
		total++
		if i >= start && len(ids) < size {
			ids = append(ids, f.openID)
		}
	}
	page = map[string]any{"count": len(ids), "next_openid": ""}
	if len(ids) > 0 {
		page["data"] = map[string]any{"openid": ids}
		page["next_openid"] = ids[len(ids)-1]
	}
	return page, total, nil
}

func userList(c *call) (any, error) {
	page, total, err := c.openIDs(c.query.Get("next_openid"), userPage, func(f *Follower) bool { return f.following })
	if err != nil {
		return nil, err
	}
	page["total"] = total
	return page, nil
}

// userProfile is a follower's profile. Since 2021-12-27 it has neither nickname
// nor picture (reference api-rules §18).
type userProfile struct {
	Subscribe      int    `json:"subscribe"`
	OpenID         string `json:"openid"`
	Language       string `json:"language"`
	SubscribeTime  int64  `json:"subscribe_time"`
	UnionID        string `json:"unionid,omitempty"`
	Remark         string `json:"remark"`
	GroupID        int    `json:"groupid"`
	TagIDList      []int  `json:"tagid_list"`
	SubscribeScene string `json:"subscribe_scene"`
	QRScene        int64  `json:"qr_scene"`
	QRSceneStr     string `json:"qr_scene_str"`
}

func (f *Follower) userProfile() any {
	if !f.following {
		stranger := map[string]any{"subscribe": 0, "openid": f.openID}
		if f.profile.UnionID != "" {
			stranger["unionid"] = f.profile.UnionID
		}
		return stranger
	}
	return userProfile{
		Subscribe: 1, OpenID: f.openID, Language: f.profile.Language, SubscribeTime: f.since.Unix(),
		UnionID: f.profile.UnionID, Remark: f.remark, TagIDList: append([]int{}, f.tagIDs...),
		SubscribeScene: f.origin.scene, QRScene: f.origin.qrScene, QRSceneStr: f.origin.qrSceneStr,
	}
}

func userInfoGet(c *call) (any, error) {
	f, err := c.somebody(c.query.Get("openid"))
	if err != nil {
		return nil, err
	}
	return f.userProfile(), nil
}

func userInfoBatchGet(c *call) (any, error) {
	var req struct {
		UserList []struct {
			OpenID string `json:"openid"`
		} `json:"user_list"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	openIDs := make([]string, len(req.UserList))
	for i, u := range req.UserList {
		openIDs[i] = u.OpenID
	}
	people, err := c.somebodies(openIDs, userBatch)
	if err != nil {
		return nil, err
	}
	infos := make([]any, len(people))
	for i, f := range people {
		infos[i] = f.userProfile()
	}
	return map[string]any{"user_info_list": infos}, nil
}

func userRemarkUpdate(c *call) (any, error) {
	var req struct {
		OpenID string `json:"openid"`
		Remark string `json:"remark"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	f, err := c.subscriber(req.OpenID, 43004)
	if err != nil {
		return nil, err
	}
	if len(req.Remark) >= remarkBytes {
		return nil, fail(40092)
	}
	f.remark = req.Remark
	return nil, nil
}

// userChangeOpenID finds a person of the old account on the new one: by the
// UnionID of the profile, which is the person's everywhere.
func userChangeOpenID(c *call) (any, error) {
	var req struct {
		FromAppID  string   `json:"from_appid"`
		OpenIDList []string `json:"openid_list"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	old := c.p.account(req.FromAppID)
	if old == nil || old == c.account || old.config.AppID != req.FromAppID {
		return nil, fail(40013)
	}
	if len(req.OpenIDList) == 0 || len(req.OpenIDList) > userBatch {
		return nil, fail(40032)
	}
	results := make([]map[string]any, len(req.OpenIDList))
	for i, id := range req.OpenIDList {
		results[i] = map[string]any{"ori_openid": id, "err_msg": "ori_openid error"}
		if f := c.account.same(old.followers[id]); f != nil {
			results[i] = map[string]any{"ori_openid": id, "new_openid": f.openID, "err_msg": "ok"}
		}
	}
	return map[string]any{"errcode": 0, "errmsg": "ok", "result_list": results}, nil
}

// same finds the person who is a follower of another account.
func (a *Account) same(person *Follower) *Follower {
	if person == nil || !person.following || person.profile.UnionID == "" {
		return nil
	}
	for _, f := range a.order {
		if f.profile.UnionID == person.profile.UnionID {
			return f
		}
	}
	return nil
}

// inBeijing is the time of day by which the platform counts days.
func inBeijing(t time.Time) time.Time { return t.In(time.FixedZone("UTC+8", 8*60*60)) }
