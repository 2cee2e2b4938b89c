package sim

// KeepArticles makes articles known, as publishing them does.
func (a *Account) KeepArticles(id string, articles ...Article) {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	a.keepArticles(id, articles)
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
