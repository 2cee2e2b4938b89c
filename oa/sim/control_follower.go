package sim

import (
	"context"
	"regexp"
	"slices"
	"time"
)

func (c *Control) handleFollowers() {
	c.handleAccount("GET", "/followers", func(_ *order, a *Account) (any, error) {
		list := []followerJSON{}
		for _, f := range a.Followers() {
			list = append(list, shownFollower(f))
		}
		return map[string]any{"followers": list}, nil
	})
	c.handleAccount("POST", "/followers", (*order).createFollower)
	c.handleFollower("GET", "", func(_ *order, f *Follower) (any, error) { return shownFollower(f), nil })
	c.handleFollower("PATCH", "", (*order).changeFollower)
	c.handleFollower("GET", "/menu", func(_ *order, f *Follower) (any, error) {
		return map[string]any{"buttons": append([]Button{}, f.Menu()...)}, nil
	})
	c.handleFollower("GET", "/chat", (*order).readChat)
	c.handleFollower("POST", "/acts", (*order).act)
}

// handleFollower registers what is done with a follower.
func (c *Control) handleFollower(method, path string, carryOut func(*order, *Follower) (any, error)) {
	c.handleAccount(method, "/followers/{openid}"+path, func(o *order, a *Account) (any, error) {
		f, ok := a.Find(o.PathValue("openid"))
		if !ok {
			return nil, notFound("账号没有这个粉丝；POST …/followers 添加一个", "the account has no such follower: POST …/followers adds one")
		}
		return carryOut(o, f)
	})
}

// followerJSON is a follower, as a request asks for one and an answer shows one.
type followerJSON struct {
	OpenID    string  `json:"openid,omitempty"`
	Following bool    `json:"following"`
	Profile   Profile `json:"profile"`
}

func shownFollower(f *Follower) followerJSON {
	return followerJSON{OpenID: f.OpenID(), Following: f.Following(), Profile: f.Profile()}
}

// openIDs are what is taken for an OpenID; real ones have 28 characters.
var openIDs = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (o *order) createFollower(a *Account) (any, error) {
	j := followerJSON{Profile: Profile{Language: "zh_CN"}}
	if err := o.read(&j); err != nil {
		return nil, err
	}
	var f *Follower
	switch _, taken := a.Find(j.OpenID); {
	case j.OpenID == "":
		f = a.Follower()
	case !openIDs.MatchString(j.OpenID):
		return nil, badValue("openid", "应是 1–64 个字母、数字、_ 或 -", "it must be 1 to 64 letters, digits, _ or -")
	case taken:
		return nil, badValue("openid", "已经有这个粉丝；用 PATCH 修改", "there is this follower already: PATCH changes it")
	default:
		f = a.FollowerWith(j.OpenID)
	}
	f.SetProfile(j.Profile)
	f.SetFollowing(j.Following)
	return created{shownFollower(f)}, nil
}

// changeFollower changes the members that the request has.
func (o *order) changeFollower(f *Follower) (any, error) {
	j := shownFollower(f)
	if err := o.read(&j); err != nil {
		return nil, err
	}
	if j.OpenID != f.OpenID() {
		return nil, badValue("openid", "不能改变", "it cannot change")
	}
	f.SetProfile(j.Profile)
	f.SetFollowing(j.Following)
	return shownFollower(f), nil
}

// chatJSON is a chat, or what is new in it.
type chatJSON struct {
	Entries []Entry `json:"entries"`
	Last    int64   `json:"last"` // to be given as after next time
	Typing  bool    `json:"typing"`
	Credit  Credit  `json:"credit"`
}

// readChat returns the entries after one. With wait it waits for the first that
// the follower has not written.
func (o *order) readChat(f *Follower) (any, error) {
	after, err := o.after()
	if err != nil {
		return nil, err
	}
	ctx, cancel, err := o.wait()
	if err != nil {
		return nil, err
	}
	defer cancel()
	chat, _ := f.Until(ctx, func(chat []Entry) bool {
		return slices.ContainsFunc(chat, func(e Entry) bool { return e.Seq > after && e.From != FromFollower })
	})
	j := chatJSON{Entries: []Entry{}, Last: after, Typing: f.Typing(), Credit: f.Credit()}
	for _, e := range chat {
		if e.Seq > after {
			j.Entries, j.Last = append(j.Entries, e), e.Seq
		}
	}
	return j, nil
}

// sentJSON is what became of an act up to now.
type sentJSON struct {
	Message    int64          `json:"message,string"`
	Done       bool           `json:"done"`
	Fate       Fate           `json:"fate,omitempty"`   // once it is done
	Reason     *Remark        `json:"reason,omitempty"` // why it was not pushed
	Deliveries []deliveryJSON `json:"deliveries"`
	Entries    []Entry        `json:"entries"` // what it brought into the chat, the act itself left out
}

// deliveryJSON is an [Attempt].
type deliveryJSON struct {
	Receiver string    `json:"receiver,omitempty"`
	Number   int       `json:"number"`
	At       time.Time `json:"at"`
	Status   int       `json:"status,omitempty"`
	Elapsed  duration  `json:"elapsed"`
	Verdict  Verdict   `json:"verdict"`
}

// shownSent waits until ctx ends and says what became of it.
func shownSent(ctx context.Context, s *Sent) sentJSON {
	fate := s.Wait(ctx)
	j := sentJSON{Message: s.ID, Done: fate != OnItsWay, Fate: fate, Reason: s.Reason(), Deliveries: []deliveryJSON{}, Entries: []Entry{}}
	for _, a := range s.Attempts() {
		x := a.Exchange
		j.Deliveries = append(j.Deliveries, deliveryJSON{
			Receiver: a.Receiver, Number: a.Number, At: a.At, Status: x.Response.Status, Elapsed: rounded(x.Response.Elapsed), Verdict: x.Verdict,
		})
	}
	if s.follower != nil {
		for _, e := range s.follower.Chat() {
			if e.Message == s.ID && e.From != FromFollower {
				j.Entries = append(j.Entries, e)
			}
		}
	}
	return j
}
