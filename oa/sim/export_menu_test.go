package sim

// KeepArticle makes an article known under an id of one's own, as publishing it
// does.
func (a *Account) KeepArticle(id, title, url string) {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	job := &publication{articleID: id, status: publishDone, articles: []publishedArticle{{draftArticle: draftArticle{Title: title, URL: url}}}}
	a.drafts.jobs = append(a.drafts.jobs, job)
}

// KeepMaterial makes material known under ids of one's own.
func (a *Account) KeepMaterial(ids ...string) {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	for _, id := range ids {
		m := a.addPermanent(&medium{kind: mediaImage, name: "picture.jpg"}, samplePicture)
		delete(a.media.files, m.id)
		m.id = id
		a.media.files[id] = m
	}
}

// Block puts a follower on the blacklist, as the API does.
func (f *Follower) Block() {
	f.account.p.mu.Lock()
	defer f.account.p.mu.Unlock()
	f.blacklisted = true
}

// TagForMenu puts tags on a follower, as the API of tags does.
func (f *Follower) TagForMenu(ids ...int) {
	f.account.p.mu.Lock()
	defer f.account.p.mu.Unlock()
	f.tagIDs = append(f.tagIDs, ids...)
}
