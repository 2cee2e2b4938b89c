package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/wenzihq/wenzi/oa/sim"
)

// simChatCmd is a chat in the terminal. With a pipe for input every line waits
// for what becomes of the one before, and the exit status is 1 if an answer was
// missing.
type simChatCmd struct {
	speaker
}

// Help is shown below the command's one line.
func (*simChatCmd) Help() string {
	return "输入一行就是说一句话，以 / 开头的是别的动作（a line is said; what begins with / is another act）：\n\n" + chatHelp()
}

// Run chats until the input ends, or /退出.
func (c *simChatCmd) Run(e *env) error {
	account, err := c.account()
	if err != nil {
		return errUsage{err}
	}
	p := sim.New(sim.Settings{Rules: sim.Rules{AllowUnknownMedia: true}})
	defer p.Close()
	a, err := p.NewAccount(account)
	if err != nil {
		return err
	}
	f := a.FollowerWith(c.OpenID)
	f.SetFollowing(true)
	chat := &chat{platform: p, follower: f, out: e.stdout, sent: map[int64]*sim.Sent{}, person: isTerminal(os.Stdin)}
	if chat.person {
		fmt.Fprint(e.stdout, "雯子模拟微信：输入一行就发给公众号；/关注 看欢迎语，/帮助 列出全部动作，/退出 结束\n"+
			"(type a line to say it; /subscribe, /help, /quit)\n\n")
	}
	p.Events(0) // they are kept from now on
	return chat.run(e.ctx, os.Stdin)
}

// chat is a chat with an account.
type chat struct {
	platform *sim.Platform
	follower *sim.Follower
	out      io.Writer
	person   bool // types, and sees a line before it is said

	seen    int64               // the last event that was shown
	sent    map[int64]*sim.Sent // by the message's id
	pending []*sim.Sent         // of which it is not known what becomes of them
	links   []sim.Span          // that were shown
	failed  bool                // something got no answer
}

// errQuit ends a chat.
var errQuit = errors.New("quit")

func (c *chat) run(ctx context.Context, in io.Reader) error {
	input := readLines(ctx, in)
	for {
		changed, err := c.catchUp()
		if err != nil {
			return err
		}
		lines, over := input, (<-chan struct{})(nil)
		if n := len(c.pending); n > 0 {
			over = c.pending[n-1].Done()
			if !c.person {
				lines = nil
			}
		}
		select {
		case <-changed:
		case <-over:
		case line, more := <-lines:
			if !more {
				return unless(c.person || !c.failed)
			}
			if err := c.do(line); errors.Is(err, errQuit) {
				return unless(c.person || !c.failed)
			} else if err != nil {
				return err
			}
		case <-ctx.Done():
			return unless(c.person || !c.failed)
		}
	}
}

func readLines(ctx context.Context, in io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(in)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			select {
			case lines <- scanner.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}

func (c *chat) say(text string) error {
	_, err := io.WriteString(c.out, text)
	return err
}

// catchUp shows what has happened. The channel is closed when there is more.
func (c *chat) catchUp() (<-chan struct{}, error) {
	// What is settled before the events are asked for is told by them as a whole.
	settled := map[*sim.Sent]bool{}
	for _, s := range c.pending {
		settled[s] = s.Fate() != sim.OnItsWay
	}
	events, changed := c.platform.Events(c.seen)
	for _, e := range events {
		c.seen = e.Seq
		if err := c.say(c.shown(e)); err != nil {
			return nil, err
		}
	}
	var reasons string
	c.pending = slices.DeleteFunc(c.pending, func(s *sim.Sent) bool {
		if !settled[s] {
			return false
		}
		if why := s.Reason(); why != nil {
			reasons += "微信没有推送：" + why.String() + "\n"
		}
		c.failed = c.failed || s.Fate() != sim.Replied && s.Fate() != sim.Silent
		delete(c.sent, s.ID)
		return true
	})
	return changed, c.say(reasons)
}

// shown is an event as lines of the chat.
func (c *chat) shown(e sim.Event) string {
	switch {
	case e.Delivery != nil:
		if s := c.sent[e.Delivery.Message]; s != nil {
			a := s.Attempts()[e.Delivery.Number-1] // there is one receiver only
			return a.Transcript() + c.taps(a.Exchange.Verdict.Bubbles...)
		}
	case e.Typing:
		return "（对方正在输入…）\n"
	case e.Entry != nil && e.Entry.From == sim.FromFollower:
		if s := c.sent[e.Entry.Message]; s != nil && !c.person {
			return sim.Line("我", e.Entry.Text(), "")
		}
	case e.Entry != nil && e.Entry.Delivery == 0: // others came with their delivery
		return sim.Line("公众号", e.Entry.Bubble.String(), string(e.Entry.Via)) + c.taps(e.Entry.Bubble)
	}
	return ""
}

// taps says how to tap the links of what is shown.
func (c *chat) taps(bubbles ...sim.Bubble) string {
	var taps []string
	for _, b := range bubbles {
		for _, link := range (sim.Entry{Bubble: b}).Links() {
			c.links = append(c.links, link)
			taps = append(taps, fmt.Sprintf("/链接 %d %s", len(c.links), link.Text))
		}
	}
	if taps == nil {
		return ""
	}
	return sim.Line("", strings.Join(taps, "   "), "")
}
