package sim

import (
	"cmp"
	"slices"
	"time"

	"github.com/wenzihq/wenzi/oa"
)

// massJob is a mass send that was accepted.
type massJob struct {
	massContent
	id, dataID    int64
	at            time.Time
	to            []*Follower
	ignoreReprint bool // goes on where an article is a reprint that may be sent
	status        massStatus
}

type massStatus int

const (
	massSending massStatus = iota
	massSuccess
	massFailed
	massDeleted
)

func (s massStatus) String() string {
	return [...]string{"SENDING", "SEND_SUCCESS", "SEND_FAIL", "DELETE"}[s]
}

// The statuses of MASSSENDJOBFINISH that something hangs on (reference §6.5).
const (
	statusSent      = "send success"
	statusFailed    = "send fail"
	statusNoReprint = "err(30002)" // a reprint that may not be sent
	statusReprint   = "err(30003)" // a reprint that may, but was not to be
)

// NextMassStatus makes the next mass send of the account end with a Status of
// reference §6.5, such as "send fail" or "err(20001)": nobody gets the message.
// "err(30003)" has the articles judged a reprint that may be sent; a job with
// send_ignore_reprint 1 succeeds all the same.
func (a *Account) NextMassStatus(status string) {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	a.mass.next = status
}

// massEnd sends the job's message, or fails, and says so. p.mu is held.
func (a *Account) massEnd(job *massJob) {
	asked := cmp.Or(a.mass.next, statusSent)
	a.mass.next = ""
	e := &oa.MassSendJobFinishEvent{MsgID: job.id, Status: asked, TotalCount: len(job.to)}
	e.Event = "MASSSENDJOBFINISH"
	if asked == statusReprint && job.ignoreReprint {
		e.Status = statusSent
	}
	if job.articles != nil {
		copyright(e, asked, len(job.articles))
	}
	if e.Status == statusSent && job.draft != nil && !a.drafts.remove(job.draft) {
		e.Status = statusFailed // sent twice, or deleted meanwhile
	}
	job.status = massFailed
	if e.Status == statusSent {
		job.status = massSuccess
		items := slices.Grow(e.Articles.Results.Items, len(job.articles))[:len(job.articles)]
		for i := range items {
			items[i].Index, items[i].URL = i+1, job.articles[i].URL
		}
		e.Articles.Count, e.Articles.Results.Items = len(items), items
	}
	for _, f := range job.to {
		if f.blacklisted || !a.massMore(f) {
			continue
		}
		e.FilterCount++
		if e.Status != statusSent || !f.following {
			e.ErrorCount++
			continue
		}
		e.SentCount++
		a.mass.received[f]++
		f.show(Entry{From: FromAccount, Via: ViaMass, Bubble: job.bubble})
	}
	a.notify(e)
}

// massMore reports whether a follower may receive one more this month.
func (a *Account) massMore(f *Follower) bool {
	s := &a.mass
	if month := inBeijing(a.p.now()).Format("2006-01"); month != s.month {
		s.month, s.received = month, map[*Follower]int{}
	}
	return a.subscription() || s.received[f] < massAMonth
}

// copyright is the originality check of the articles.
func copyright(e *oa.MassSendJobFinishEvent, status string, articles int) {
	check := &e.Copyright
	check.CheckState = 1
	if status != statusReprint && status != statusNoReprint {
		return
	}
	reprint := oa.CopyrightResult{AuditState: 2, OriginalArticleURL: articleURL(), OriginalArticleType: 1, NeedReplaceContent: 1, NeedShowReprintSource: 1}
	check.CheckState, reprint.CanReprint = 2, 1
	if status == statusNoReprint {
		check.CheckState, reprint.CanReprint = 3, 0
	}
	check.Count = articles
	for i := range articles {
		reprint.Index = i + 1
		check.Results.Items = append(check.Results.Items, reprint)
	}
}
