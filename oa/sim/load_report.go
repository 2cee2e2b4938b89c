package sim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// LoadReport is what came of a [Load] until now. Messages is the sum of Waiting,
// Whole, Partial, Failed and Lost.
type LoadReport struct {
	Seed    uint64  `json:"seed"`
	Seconds float64 `json:"seconds"` // until the last delivery or bubble

	Messages int `json:"messages"` // questions asked
	Waiting  int `json:"waiting"`  // neither answered whole nor given up
	Whole    int `json:"whole"`    // answered to the end
	Partial  int `json:"partial"`  // only a part of the answer was seen
	Failed   int `json:"failed"`   // the fault notice was seen, and nothing of an answer
	Lost     int `json:"lost"`     // neither of these
	// Silent are those of Lost that the server acknowledged.
	Silent int `json:"acknowledged_never_answered"`
	// Duplicates are bubbles with an answer that was there already: the same
	// again, or the end of one a second time.
	Duplicates int `json:"duplicates"`
	// Notices are the fault notices that were seen, also after taps and events.
	Notices int `json:"fault_notices"`

	// WholeAfterTaps is how often the talker had to tap until the answer was
	// whole: not at all, once, more often.
	WholeAfterTaps [3]int `json:"whole_after_0_1_more_taps"`
	// ByReply came in the passive reply to the question, OnDelivery 1, 2, 3 or
	// later; ByFetch in that to a later message; ByPush by a customer-service
	// message, or another that is no reply. It is the end of the answer that
	// counts.
	ByReply    int        `json:"by_reply"`
	OnDelivery [3]int     `json:"on_delivery_1_2_3"`
	ByFetch    int        `json:"by_fetch"`
	ByPush     int        `json:"by_push"`
	Taps       int        `json:"taps"`
	Events     LoadEvents `json:"events"`

	// Deliveries are those of questions and taps.
	Deliveries int     `json:"deliveries"`
	PerMessage float64 `json:"deliveries_per_message"`
	Timeouts   int     `json:"timeouts"` // deliveries that ended at WeChat's 5 s
	Pauses     int     `json:"pauses"`   // MarkFail
	// Problems are what was wrong with deliveries, those of events too.
	Problems map[Rule]int `json:"problems,omitempty"`

	// FirstContent is the time from when the question was due until something of
	// the answer was seen; WholeAnswer, until its end.
	FirstContent LoadTimes `json:"first_content"`
	WholeAnswer  LoadTimes `json:"whole_answer"`

	Model  *LoadModel   `json:"model,omitempty"`
	Target *LoadProcess `json:"target,omitempty"`
	// Self is the process of the load itself, of the platform, and of the server
	// and the model where they are in the same. Lateness is from when a question
	// or a tap was due until it was on its way; OwnFaults are deliveries that
	// failed for want of ports or file descriptors.
	Self      *LoadProcess `json:"self,omitempty"`
	Lateness  LoadTimes    `json:"self_lateness"`
	OwnFaults int          `json:"self_faults"`
}

// LoadEvents are what became of events: of their senders' subscriptions and
// clicks.
type LoadEvents struct {
	Sent         int `json:"sent"`
	Answered     int `json:"answered"`
	Acknowledged int `json:"acknowledged"`
}

// LoadModel is what the model was asked.
type LoadModel struct {
	Calls       int     `json:"calls"`
	PerMessage  float64 `json:"calls_per_message"`
	MostRunning int     `json:"most_running"`
}

// OK reports whether nobody saw the fault notice, saw an answer twice, or saw
// nothing at all.
func (r *LoadReport) OK() bool { return r.Notices+r.Duplicates+r.Lost == 0 }

// report is what came of it until now.
func (l *load) report() LoadReport {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.sum
	r.Problems = maps.Clone(r.Problems)
	for _, q := range l.open {
		switch {
		case !q.givenUp:
			r.Waiting++
		case q.seen != nil:
			r.Partial++
		case q.notice:
			r.Failed++
		case q.acknowledged:
			r.Silent++
			r.Lost++
		default:
			r.Lost++
		}
	}
	r.Seconds = l.busy.Sub(l.began).Seconds()
	r.PerMessage = per(r.Deliveries, r.Messages)
	r.Timeouts = r.Problems[RuleTimeout]
	r.FirstContent, r.WholeAnswer, r.Lateness = l.content.times(), l.whole.times(), l.lateness.times()
	if l.config.Model != nil {
		calls, most := l.config.Model.called()
		calls -= l.calls
		r.Model = &LoadModel{Calls: calls, PerMessage: per(calls, r.Messages), MostRunning: most}
	}
	r.Target, r.Self = l.target.report(r.Messages), l.self.report(r.Messages)
	return r
}

func per(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// String is the report as a table, Chinese and English side by side. It ends
// with a line break.
func (r LoadReport) String() string {
	var b strings.Builder
	row := func(name string, count int, more string, args ...any) {
		line := pad(pad(name, 26)+fmt.Sprintf("%9d", count), 38) + fmt.Sprintf(more, args...)
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	row("问题 questions", r.Messages, "%.1f/s，%.1f s，种子 seed %d", perSecond(r.Messages, r.Seconds), r.Seconds, r.Seed)
	row("  完整 whole", r.Whole, "点继续 taps 0/1/… %s", slashed(r.WholeAfterTaps[:]))
	row("    被动回复 by reply", r.ByReply, "第 1/2/3 次投递 on delivery %s", slashed(r.OnDelivery[:]))
	row("    取回 by fetch", r.ByFetch, "")
	row("    推送 by push", r.ByPush, "")
	row("  部分 partial", r.Partial, "")
	row("  故障 failed", r.Failed, "")
	row("  丢失 lost", r.Lost, "确认了却没有回答 acknowledged %d", r.Silent)
	if r.Waiting > 0 {
		row("  在等 waiting", r.Waiting, "")
	}
	row("重复 duplicates", r.Duplicates, "")
	row("故障提示 fault notices", r.Notices, "")
	if e := r.Events; e.Sent > 0 {
		row("事件 events", e.Sent, "回复 answered %d，确认 acknowledged %d", e.Answered, e.Acknowledged)
	}
	row("投递 deliveries", r.Deliveries, "%.2f/问题 question，超时 timeouts %d，MarkFail %d", r.PerMessage, r.Timeouts, r.Pauses)
	for _, rule := range slices.Sorted(maps.Keys(r.Problems)) {
		row("  "+string(rule), r.Problems[rule], "")
	}
	for _, t := range []struct {
		name  string
		times LoadTimes
	}{{"首见 first content", r.FirstContent}, {"答完 whole answer", r.WholeAnswer}, {"发送延迟 own lateness", r.Lateness}} {
		row(t.name, t.times.Count, "p50 %s  p90 %s  p99 %s  max %s", shown(t.times.P50), shown(t.times.P90), shown(t.times.P99), shown(t.times.Max))
	}
	if m := r.Model; m != nil {
		row("模型 model calls", m.Calls, "%.2f/问题 question，同时 at once %d", m.PerMessage, m.MostRunning)
	}
	for _, p := range []struct {
		name string
		use  *LoadProcess
	}{{"服务器 target", r.Target}, {"本程序 this program", r.Self}} {
		if p.use != nil {
			fmt.Fprintf(&b, "%sCPU %.2f s，%.0f µs/问题 question，内存 memory %.1f MB，最多 most %.1f MB\n",
				pad(p.name, 38), p.use.CPUSeconds, p.use.CPUPerMessage, float64(p.use.RSS)/1e6, float64(p.use.MaxRSS)/1e6)
		}
	}
	if r.OwnFaults > 0 {
		fmt.Fprintf(&b, "本机端口或文件描述符不够，%d 次投递没有发出，不是服务器的错（this machine had no ports or file descriptors left for %d deliveries）\n", r.OwnFaults, r.OwnFaults)
	}
	return b.String()
}

func perSecond(n int, seconds float64) float64 {
	if seconds == 0 {
		return 0
	}
	return float64(n) / seconds
}

func slashed(counts []int) string {
	texts := make([]string, len(counts))
	for i, n := range counts {
		texts[i] = strconv.Itoa(n)
	}
	return strings.Join(texts, " / ")
}

// shown is a number of milliseconds for reading.
func shown(ms float64) string {
	d := time.Duration(ms * float64(time.Millisecond))
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(100 * time.Microsecond).String()
}
