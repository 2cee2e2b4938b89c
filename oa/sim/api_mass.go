package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"time"
)

var massHandlers = map[string]handler{
	"mass_send_all":      massSendAll,
	"mass_send_openids":  massSendOpenIDs,
	"mass_preview":       massPreview,
	"mass_delete":        massDelete,
	"mass_get_status":    massGetStatus,
	"mass_speed_get":     massSpeedGet,
	"mass_speed_set":     massSpeedSet,
	"media_upload_video": massUploadVideo,
}

// The limits of catalogue/api/message-mass.yaml and reference api-rules §12.
const (
	massOpenIDsLeast = 2
	massOpenIDsMost  = 10000
	massClientID     = 32 // bytes
	massClientIDs    = 24 * time.Hour
	massRetry        = time.Minute
	massADay         = 1 // of a subscription account
	massAMonth       = 4 // received by a follower of a service account
)

// massSpeeds are the speeds in 10 000 messages a minute.
var massSpeeds = []int{80, 60, 45, 30, 10}

// massState are the mass sends of an account.
type massState struct {
	jobs   []*massJob
	recent map[string]*massJob // by clientmsgid
	videos map[string]massVideo
	speed  int
	next   string // the status of the next job to end

	day      string // of the last send
	today    int
	month    string // that received is about
	received map[*Follower]int
}

type massVideo struct {
	MediaID     string `json:"media_id"`
	Title       string `json:"title"`
	Description string `json:"description"`
}

// massRequest is the body of the calls that send or preview.
type massRequest struct {
	MsgType string `json:"msgtype"`
	MPNews  struct {
		MediaID string `json:"media_id"`
	} `json:"mpnews"`
	Text struct {
		Content string `json:"content"`
	} `json:"text"`
	Voice struct {
		MediaID string `json:"media_id"`
	} `json:"voice"`
	Image struct { // of a preview
		MediaID string `json:"media_id"`
	} `json:"image"`
	Images struct { // of a send
		MediaIDs  []string `json:"media_ids"`
		Recommend string   `json:"recommend"`
	} `json:"images"`
	MPVideo massVideo `json:"mpvideo"`

	SendIgnoreReprint int    `json:"send_ignore_reprint"`
	ClientMsgID       string `json:"clientmsgid"`
}

// massContent is what a mass message shows.
type massContent struct {
	bubble   Bubble
	draft    *draft
	articles []publishedArticle
}

// deletable reports whether there is a page that can be deleted.
func (m *massContent) deletable() bool { return m.articles != nil || m.bubble.Kind == "video" }

// massContent checks the contents. wrongType is the endpoint's code for a
// msgtype it does not know.
func (c *call) massContent(req *massRequest, wrongType int) (massContent, error) {
	a := c.account
	b := Bubble{Kind: req.MsgType}
	missing := false
	switch req.MsgType {
	case "mpnews":
		return a.massArticles(req.MPNews.MediaID)
	case "text":
		if req.Text.Content == "" {
			return massContent{}, fail(44004)
		}
		b.Text = Spans(req.Text.Content)
	case "voice":
		b.MediaID = req.Voice.MediaID
		missing = !a.hasMaterial(b.MediaID)
	case "image":
		ids := req.Images.MediaIDs
		if c.endpoint.ID == "mass_preview" {
			ids = []string{req.Image.MediaID}
		}
		missing = len(ids) == 0 || slices.ContainsFunc(ids, func(id string) bool { return !a.hasMaterial(id) })
		b.MediaIDs, b.Description = ids, req.Images.Recommend
	case "mpvideo":
		video, uploaded := a.mass.videos[req.MPVideo.MediaID]
		missing = !uploaded
		b = Bubble{Kind: "video", MediaID: video.MediaID, Title: video.Title, Description: video.Description}
	case "wxcard":
		return massContent{}, fail(45113)
	default:
		return massContent{}, fail(wrongType)
	}
	if missing {
		return massContent{}, fail(40007)
	}
	return massContent{bubble: b}, nil
}

// massArticles are the articles of a draft, or of an earlier mass send by its
// msg_data_id.
func (a *Account) massArticles(mediaID string) (massContent, error) {
	if d := a.drafts.find(mediaID); d != nil {
		articles := published(d.articles)
		return massContent{bubble: newsBubble(articles), draft: d, articles: articles}, nil
	}
	for _, j := range a.mass.jobs {
		if j.dataID != 0 && strconv.FormatInt(j.dataID, 10) == mediaID && j.status == massSuccess {
			return massContent{bubble: newsBubble(j.articles), articles: j.articles}, nil
		}
	}
	return massContent{}, fail(40007)
}

func massSendAll(c *call) (any, error) {
	var req struct {
		massRequest
		Filter struct {
			IsToAll bool `json:"is_to_all"`
			TagID   int  `json:"tag_id"`
		} `json:"filter"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if !req.Filter.IsToAll && !c.account.tags.exists(req.Filter.TagID) {
		return nil, fail(40152)
	}
	var to []*Follower
	for _, f := range c.account.order {
		if f.following && (req.Filter.IsToAll || f.hasTag(req.Filter.TagID)) {
			to = append(to, f)
		}
	}
	return c.massSend(&req.massRequest, to, 40008)
}

func massSendOpenIDs(c *call) (any, error) {
	var req struct {
		massRequest
		ToUser []string `json:"touser"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if c.account.subscription() {
		return nil, fail(48001) // may send to all and to tags, but not to OpenIDs
	}
	if len(req.ToUser) < massOpenIDsLeast {
		return nil, fail(40130)
	}
	to, err := c.somebodies(req.ToUser, massOpenIDsMost)
	if err != nil {
		return nil, err
	}
	var each []*Follower
	seen := map[*Follower]bool{}
	for _, f := range to {
		if !seen[f] {
			each = append(each, f)
		}
		seen[f] = true
	}
	return c.massSend(&req.massRequest, each, 45162)
}

func (a *Account) subscription() bool {
	return a.config.Kind == Subscription || a.config.Kind == CertifiedSubscription
}

// massSend accepts a job: the outcome comes later, as an event.
func (c *call) massSend(req *massRequest, to []*Follower, wrongType int) (any, error) {
	if len(req.ClientMsgID) > massClientID {
		return nil, fail(45067)
	}
	content, err := c.massContent(req, wrongType)
	if err != nil {
		return nil, err
	}
	s, now := &c.account.mass, c.p.now()
	key := c.massKey(req.ClientMsgID)
	if err := s.seen(key, now); err != nil {
		return nil, err
	}
	day := inBeijing(now).Format(time.DateOnly)
	if day != s.day {
		s.day, s.today = day, 0
	}
	if c.account.subscription() && s.today >= massADay {
		return nil, fail(45028)
	}
	s.today++
	job := &massJob{massContent: content, id: c.p.id(), at: now, to: to, ignoreReprint: req.SendIgnoreReprint != 0}
	answer := map[string]any{"errcode": 0, "errmsg": "send job submission success", "msg_id": job.id}
	if content.articles != nil {
		job.dataID = c.p.id()
		answer["msg_data_id"] = job.dataID
	}
	s.jobs = append(s.jobs, job)
	s.recent[key] = job
	c.p.after(c.p.settings.jobDelay(), func() { c.account.massEnd(job) })
	return answer, nil
}

// massKey is the clientmsgid, or what takes its place: the platform derives one
// from content and receivers.
func (c *call) massKey(clientID string) string {
	if clientID != "" {
		return clientID
	}
	sum := sha256.Sum256(append([]byte(c.endpoint.ID), c.body...))
	return hex.EncodeToString(sum[:])
}

// seen refuses what was sent before.
func (s *massState) seen(key string, now time.Time) error {
	if s.recent == nil {
		s.recent = map[string]*massJob{}
	}
	maps.DeleteFunc(s.recent, func(_ string, j *massJob) bool { return now.Sub(j.at) >= massClientIDs })
	j := s.recent[key]
	switch {
	case j == nil:
		return nil
	case now.Sub(j.at) < massRetry:
		return fail(45066)
	}
	data := map[string]any{"msg_id": j.id}
	if j.dataID != 0 {
		data["msg_data_id"] = j.dataID
	}
	return &failure{code: 45065, data: data}
}

// massPreview shows the message to one follower. towxname wins over touser.
func massPreview(c *call) (any, error) {
	var req struct {
		massRequest
		ToUser   string `json:"touser"`
		ToWxName string `json:"towxname"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	content, err := c.massContent(&req.massRequest, 40008)
	if err != nil {
		return nil, err
	}
	if req.ToWxName != "" {
		i := slices.IndexFunc(c.account.order, func(f *Follower) bool { return f.profile.WeChatID == req.ToWxName })
		if i < 0 {
			return nil, fail(40132)
		}
		req.ToUser = c.account.order[i].openID
	}
	f, err := c.subscriber(req.ToUser, 43004)
	if err != nil {
		return nil, err
	}
	f.show(Entry{From: FromAccount, Via: ViaMass, Bubble: content.bubble})
	return map[string]any{"errcode": 0, "errmsg": "preview success", "msg_id": c.p.id()}, nil
}

func (s *massState) find(id int64) *massJob {
	for _, j := range s.jobs {
		if j.id == id {
			return j
		}
	}
	return nil
}

// massDelete deletes the pages of a job; what is in the chats stays there.
func massDelete(c *call) (any, error) {
	var req struct {
		MsgID      int64  `json:"msg_id"`
		URL        string `json:"url"`
		ArticleIdx int    `json:"article_idx"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	s := &c.account.mass
	job := s.find(req.MsgID)
	if job == nil && req.URL != "" {
		job, req.ArticleIdx = s.findURL(req.URL)
	}
	switch {
	case job == nil:
		return nil, fail(40059)
	case !job.deletable() || job.status != massSuccess:
		return nil, fail(40065)
	case req.ArticleIdx < 0 || req.ArticleIdx > max(len(job.articles), 1):
		return nil, fail(40060)
	case job.articles != nil && !deleteArticles(job.articles, req.ArticleIdx):
		return nil, fail(40065)
	}
	for _, j := range s.jobs { // the articles may have been sent more than once
		if j.status == massSuccess && (j == job || j.articles != nil) && allDeleted(j.articles) {
			j.status = massDeleted
		}
	}
	return nil, nil
}

// findURL finds the job of an article, and the article's index from 1.
func (s *massState) findURL(url string) (*massJob, int) {
	for _, j := range s.jobs {
		i := slices.IndexFunc(j.articles, func(a publishedArticle) bool { return a.URL == url })
		if i >= 0 {
			return j, i + 1
		}
	}
	return nil, 0
}

func massGetStatus(c *call) (any, error) {
	var req struct {
		MsgID int64 `json:"msg_id"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	job := c.account.mass.find(req.MsgID)
	if job == nil {
		return nil, fail(40059)
	}
	return map[string]any{"msg_id": job.id, "msg_status": job.status.String()}, nil
}

func massSpeedGet(c *call) (any, error) {
	speed := c.account.mass.speed
	return map[string]any{"speed": speed, "realspeed": massSpeeds[speed]}, nil
}

func massSpeedSet(c *call) (any, error) {
	var req struct {
		Speed int `json:"speed"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if req.Speed < 0 || req.Speed >= len(massSpeeds) {
		return nil, fail(45083)
	}
	c.account.mass.speed = req.Speed
	return nil, nil
}

// massUploadVideo gives a video the id by which it can be sent to many.
func massUploadVideo(c *call) (any, error) {
	var video massVideo
	if err := c.decode(&video); err != nil {
		return nil, err
	}
	if !c.account.hasMaterial(video.MediaID) {
		return nil, fail(40007)
	}
	s := &c.account.mass
	if s.videos == nil {
		s.videos = map[string]massVideo{}
	}
	id := randomText(64)
	s.videos[id] = video
	return map[string]any{"type": "video", "media_id": id, "created_at": c.p.now().Unix()}, nil
}
