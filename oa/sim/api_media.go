package sim

import "github.com/wenzihq/wenzi/oa"

// mediaState is the temporary and permanent material of an account.
type mediaState struct{}

var mediaHandlers = map[string]handler{}

// keepMedia keeps what a follower sent as temporary material and returns its
// MediaId.
func (a *Account) keepMedia(kind, name string, content []byte) string { return "" }

// judgeMedia refuses a reply whose material does not exist or has expired. p.mu
// is held.
func (a *Account) judgeMedia(v *Verdict, rules *Rules, m oa.Message) {}
