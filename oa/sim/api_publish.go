package sim

import (
	"slices"
	"strconv"
	"time"

	"github.com/wenzihq/wenzi/oa"
)

var publishHandlers = map[string]handler{
	"publish_submit":      publishSubmit,
	"publish_get_status":  publishGetStatus,
	"publish_get_article": publishGetArticle,
	"publish_delete":      publishDelete,
	"publish_list":        publishList,
}

// The states of a publish job that occur (reference §6.7).
const (
	publishDone    = 0
	publishWorking = 1
	publishFailed  = 3
	publishDeleted = 5
)

// publication is a publish job, and what it published.
type publication struct {
	id        string
	status    int
	articleID string // once it is published
	articles  []publishedArticle
	at        time.Time
}

// publishSubmit begins to publish a draft. The draft is gone when that is done;
// a draft that is gone before makes the job fail.
func publishSubmit(c *call) (any, error) {
	d, err := c.draftOf()
	if err != nil {
		return nil, err
	}
	a := c.account
	job := &publication{id: strconv.FormatInt(c.p.id(), 10), status: publishWorking, articles: published(d.articles)}
	a.drafts.jobs = append(a.drafts.jobs, job)
	c.p.after(c.p.settings.jobDelay(), func() {
		job.status, job.at = publishFailed, a.p.now()
		if a.drafts.remove(d) {
			job.status, job.articleID = publishDone, randomText(43)
		}
		a.notify(job.event())
	})
	return map[string]any{"errcode": 0, "errmsg": "ok", "publish_id": job.id, "msg_data_id": c.p.id()}, nil
}

func (job *publication) event() *oa.PublishJobFinishEvent {
	e := &oa.PublishJobFinishEvent{}
	e.Event = "PUBLISHJOBFINISH"
	e.Result.PublishID, e.Result.Status = job.id, job.status
	if job.status == publishDone {
		e.Result.ArticleID, e.Result.Articles.Count = job.articleID, len(job.articles)
		items := slices.Grow(e.Result.Articles.Items, len(job.articles))[:len(job.articles)]
		for i := range items {
			items[i].Index, items[i].URL = i+1, job.articles[i].URL
		}
		e.Result.Articles.Items = items
	}
	return e
}

func publishGetStatus(c *call) (any, error) {
	var req struct {
		PublishID string `json:"publish_id"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	jobs := c.account.drafts.jobs
	i := slices.IndexFunc(jobs, func(job *publication) bool { return job.id == req.PublishID })
	if i < 0 {
		return nil, failf(40002, "invalid publish_id")
	}
	job := jobs[i]
	answer := map[string]any{"publish_id": job.id, "publish_status": job.status, "fail_idx": []int{}}
	if job.status == publishDone {
		items := make([]map[string]any, len(job.articles))
		for i, a := range job.articles {
			items[i] = map[string]any{"idx": i + 1, "article_url": a.URL}
		}
		answer["article_id"] = job.articleID
		answer["article_detail"] = map[string]any{"count": len(items), "item": items}
	}
	return answer, nil
}

// publicationOf reads article_id and index of the body and finds what was
// published.
func (c *call) publicationOf() (job *publication, index int, err error) {
	var req struct {
		ArticleID string `json:"article_id"`
		Index     int    `json:"index"`
	}
	if err := c.decode(&req); err != nil {
		return nil, 0, err
	}
	for _, job := range c.account.drafts.jobs {
		if job.articleID != "" && job.articleID == req.ArticleID && req.Index >= 0 && req.Index <= len(job.articles) {
			return job, req.Index, nil
		}
	}
	return nil, 0, fail(53600)
}

func publishGetArticle(c *call) (any, error) {
	job, _, err := c.publicationOf()
	if err != nil {
		return nil, err
	}
	return map[string]any{"news_item": job.articles, "create_time": job.at.Unix(), "update_time": job.at.Unix()}, nil
}

// publishDelete deletes one article, or all with index 0, which is reported as
// the job's last state.
func publishDelete(c *call) (any, error) {
	job, index, err := c.publicationOf()
	if err != nil {
		return nil, err
	}
	if !deleteArticles(job.articles, index) {
		return nil, fail(53600)
	}
	if allDeleted(job.articles) {
		job.status = publishDeleted
		c.account.notify(job.event())
	}
	return nil, nil
}

// deleteArticles deletes the article with an index from 1, or all for 0. It
// reports false when that has been done.
func deleteArticles(articles []publishedArticle, index int) bool {
	which := articles
	if index > 0 {
		which = articles[index-1 : index]
	}
	if allDeleted(which) {
		return false
	}
	for i := range which {
		which[i].IsDeleted = true
	}
	return true
}

func allDeleted(articles []publishedArticle) bool {
	return !slices.ContainsFunc(articles, func(a publishedArticle) bool { return !a.IsDeleted })
}

func publishList(c *call) (any, error) {
	var done []*publication
	for _, job := range c.account.drafts.jobs {
		if job.articleID != "" {
			done = append(done, job)
		}
	}
	page, withContent, err := listed(c, done)
	if err != nil {
		return nil, err
	}
	items := make([]map[string]any, len(page))
	for i, job := range page {
		articles := slices.Clone(job.articles)
		for j := range articles {
			articles[j].draftArticle = articles[j].listed(withContent)
		}
		items[i] = map[string]any{
			"article_id": job.articleID, "update_time": job.at.Unix(),
			"content": map[string]any{"news_item": articles, "create_time": job.at.Unix(), "update_time": job.at.Unix()},
		}
	}
	return map[string]any{"total_count": len(done), "item_count": len(items), "item": items}, nil
}
