package sim

// Push shows a follower a text that is no reply, as a customer-service message
// does.
func Push(f *Follower, text string) {
	f.account.p.mu.Lock()
	defer f.account.p.mu.Unlock()
	f.show(Entry{From: FromAccount, Via: ViaPush, Bubble: Bubble{Kind: "text", Text: Spans(text)}})
}
