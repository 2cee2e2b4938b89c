package sim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

// startLoad is a platform whose server answers texts so; events get `success`.
func startLoad(t *testing.T, mode oa.Mode, answer func(p *sim.Testing, r *oa.Request) (oa.Reply, error)) *sim.Testing {
	t.Helper()
	c := account(mode)
	var p *sim.Testing
	p = sim.Start(t, server(t, c, func(_ context.Context, r *oa.Request) (oa.Reply, error) {
		if r.Kind() != "text" {
			return oa.None()
		}
		return answer(p, r)
	}), c)
	return p
}

// push sends whom r is from a text that is no reply.
func push(p *sim.Testing, r *oa.Request, text string) {
	f, _ := p.Account.Find(r.Message.Head().FromUserName)
	sim.Push(f, text)
}

func echoed(_ *sim.Testing, r *oa.Request) (oa.Reply, error) { return oa.Text("你说：" + r.Text()) }

// load has followers write. Everybody's end must be known.
func load(t *testing.T, p *sim.Testing, c sim.LoadConfig) sim.LoadReport {
	t.Helper()
	r, err := sim.Load(t.Context(), p.Account, c, nil)
	if err != nil {
		t.Error(err)
	}
	if sum := r.Waiting + r.Whole + r.Partial + r.Failed + r.Lost; sum != r.Messages {
		t.Errorf("%d of %d questions came to something", sum, r.Messages)
	}
	return r
}

// counted fails if one of the counts is another. Times and processes it leaves
// out.
func counted(t *testing.T, got, want sim.LoadReport) {
	t.Helper()
	others := cmpopts.IgnoreFields(sim.LoadReport{}, "Seed", "Seconds", "Self", "FirstContent", "WholeAnswer", "Lateness", "PerMessage", "Model")
	if diff := cmp.Diff(want, got, others); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestLoadAnsweredAtOnce(t *testing.T) {
	for _, mode := range []oa.Mode{oa.Plain, oa.Compat, oa.Secure} {
		t.Run(mode.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := startLoad(t, mode, echoed)
				r := load(t, p, sim.LoadConfig{Followers: 20, Messages: 10, Pattern: sim.LoadRate, Rate: 50, Bytes: 300, Nasty: true, Subscribe: 1, Clicks: 1})
				counted(t, r, sim.LoadReport{
					Messages: 200, Whole: 200, WholeAfterTaps: [3]int{200}, ByReply: 200, OnDelivery: [3]int{200},
					Deliveries: 200, Events: sim.LoadEvents{Sent: 220, Acknowledged: 220},
				})
				if r.WholeAnswer != (sim.LoadTimes{Count: 200}) || r.FirstContent != r.WholeAnswer || r.Lateness != r.WholeAnswer || r.PerMessage != 1 || !r.OK() {
					t.Errorf("%v", r)
				}
				for _, f := range p.Account.Followers() {
					if n := len(f.Chat()); n < 10 || n > 20 {
						t.Errorf("%d entries are left of a chat", n)
					}
				}
				if r.Seconds < 2 || r.Seconds > 8 { // 4 at that rate
					t.Errorf("it took %v s", r.Seconds)
				}
			})
		})
	}
}

func TestLoadDeliveries(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func(delivery int, r *oa.Request) (oa.Reply, error)
		want   sim.LoadReport
		first  sim.LoadTimes
	}{
		{
			name: "on the second",
			answer: func(delivery int, r *oa.Request) (oa.Reply, error) {
				if delivery < 2 {
					return oa.Reply{}, oa.ErrUnanswered
				}
				return oa.Text(r.Text())
			},
			want: sim.LoadReport{
				Messages: 100, Whole: 100, WholeAfterTaps: [3]int{100}, ByReply: 100, OnDelivery: [3]int{1: 100},
				Deliveries: 200, Timeouts: 100, Problems: map[sim.Rule]int{sim.RuleTimeout: 100},
			},
			first: sim.LoadTimes{Count: 100, P50: 5000, P90: 5000, P99: 5000, Max: 5000},
		},
		{
			name:   "never",
			answer: func(int, *oa.Request) (oa.Reply, error) { return oa.Reply{}, oa.ErrUnanswered },
			want: sim.LoadReport{
				Messages: 100, Failed: 100, Notices: 100,
				Deliveries: 300, Timeouts: 300, Problems: map[sim.Rule]int{sim.RuleTimeout: 300},
			},
		},
		{
			name:   "with nothing",
			answer: func(int, *oa.Request) (oa.Reply, error) { return oa.None() },
			want:   sim.LoadReport{Messages: 100, Lost: 100, Silent: 100, Deliveries: 100},
		},
		{
			name:   "with something else",
			answer: func(int, *oa.Request) (oa.Reply, error) { return oa.Text("在的 #1") },
			want:   sim.LoadReport{Messages: 100, Lost: 100, Deliveries: 100},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				deliveries := map[int64]int{}
				p := startLoad(t, oa.Plain, func(_ *sim.Testing, r *oa.Request) (oa.Reply, error) {
					mu.Lock()
					deliveries[r.MsgID()]++
					n := deliveries[r.MsgID()]
					mu.Unlock()
					return tt.answer(n, r)
				})
				p.SetSettings(sim.Settings{MarkFailures: -1})
				r := load(t, p, sim.LoadConfig{Followers: 50, Messages: 2, Pattern: sim.LoadTalkative, Taps: 3})
				counted(t, r, tt.want)
				if diff := cmp.Diff(tt.first, r.FirstContent, cmpopts.EquateApprox(0.01, 0)); diff != "" {
					t.Error(diff)
				}
				if r.OK() != (tt.want.Whole == 100) {
					t.Errorf("OK is %v", r.OK())
				}
			})
		})
	}
}

// After 30 failures WeChat pauses: what is on its way is repeated no more, and
// what is written meanwhile fails at once.
func TestLoadPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startLoad(t, oa.Plain, func(*sim.Testing, *oa.Request) (oa.Reply, error) { return oa.Reply{}, oa.ErrUnanswered })
		r := load(t, p, sim.LoadConfig{Followers: 30, Messages: 2, Pattern: sim.LoadTalkative, Think: 10 * time.Second})
		if r.Messages != 60 || r.Failed != 60 || r.Notices != 60 || r.Pauses != 1 || r.Deliveries < 30 || r.Deliveries > 60 {
			t.Errorf("%v", r)
		}
	})
}

func TestLoadTwoAnswers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func(p *sim.Testing, r *oa.Request) (oa.Reply, error)
		want   sim.LoadReport
	}{
		{
			name: "a reply and another push",
			answer: func(p *sim.Testing, r *oa.Request) (oa.Reply, error) {
				time.AfterFunc(time.Second, func() { push(p, r, "客服："+r.Text()) })
				return oa.Text(r.Text())
			},
			want: sim.LoadReport{ByReply: 20, OnDelivery: [3]int{20}, Duplicates: 20},
		},
		{
			name: "the same push twice",
			answer: func(p *sim.Testing, r *oa.Request) (oa.Reply, error) {
				push(p, r, r.Text())
				push(p, r, r.Text())
				return oa.None()
			},
			want: sim.LoadReport{ByPush: 20, Duplicates: 20},
		},
		{
			name: "the same page twice",
			answer: func(p *sim.Testing, r *oa.Request) (oa.Reply, error) {
				n, _, _ := strings.Cut(r.Text()[strings.Index(r.Text(), "#"):], "：")
				for _, page := range []string{"答" + n + "：开头", "答" + n + "：开头", "完" + n} {
					push(p, r, page)
				}
				return oa.None()
			},
			want: sim.LoadReport{ByPush: 20, Duplicates: 20},
		},
		{
			name: "several pages are one answer",
			answer: func(p *sim.Testing, r *oa.Request) (oa.Reply, error) {
				n, _, _ := strings.Cut(r.Text()[strings.Index(r.Text(), "#"):], "：")
				for _, page := range []string{"中间", "中间", "最后，完" + n} {
					push(p, r, page)
				}
				return oa.Text("答" + n + "：你问的是" + r.Text())
			},
			want: sim.LoadReport{ByPush: 20},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := load(t, startLoad(t, oa.Plain, tt.answer), sim.LoadConfig{Followers: 10, Messages: 2, Pattern: sim.LoadTalkative, Think: 5 * time.Second})
				tt.want.Messages, tt.want.Whole, tt.want.Deliveries, tt.want.WholeAfterTaps[0] = 20, 20, 20, 20
				counted(t, r, tt.want)
			})
		})
	}
}

// Two third-party platforms that both answer are a duplicate of a kind of its own.
func TestLoadTwoReceivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startLoad(t, oa.Plain, echoed)
		c := account(oa.Plain)
		other := server(t, c, func(_ context.Context, r *oa.Request) (oa.Reply, error) { return oa.Text("我也说：" + r.Text()) })
		if err := p.Account.AddReceiver(sim.ReceiverConfig{Name: "other", Account: oa.Account{Token: c.Token}, Handler: other}); err != nil {
			t.Fatal(err)
		}
		r := load(t, p, sim.LoadConfig{Followers: 10, Messages: 1, Pattern: sim.LoadTalkative})
		if r.Whole != 10 || r.Duplicates != 10 || r.Deliveries != 20 || r.PerMessage != 2 {
			t.Errorf("%v", r)
		}
	})
}

// continued is a text that holds out more, by a link.
func continued(text string, id int) string {
	return fmt.Sprintf(`%s<a href="weixin://bizmsgmenu?msgmenucontent=%%E7%%BB%%A7%%E7%%BB%%AD&msgmenuid=%d">继续</a>`, text, id)
}

// A server that is ready only after some taps. The question is in the holding
// text, which is no answer for that.
func TestLoadTaps(t *testing.T) {
	for _, tt := range []struct {
		name        string
		after, most int
		others      float64
		want        sim.LoadReport
	}{
		{name: "one", after: 1, most: 3, want: sim.LoadReport{Messages: 10, Whole: 10, WholeAfterTaps: [3]int{1: 10}, ByFetch: 10, Taps: 10, Deliveries: 20}},
		{name: "three", after: 3, most: 3, want: sim.LoadReport{Messages: 10, Whole: 10, WholeAfterTaps: [3]int{2: 10}, ByFetch: 10, Taps: 30, Deliveries: 40}},
		{name: "too many", after: 3, most: 2, want: sim.LoadReport{Messages: 10, Lost: 10, Taps: 20, Deliveries: 30}},
		{name: "others first", after: 1, most: 3, others: 1, want: sim.LoadReport{Messages: 20, Whole: 20, WholeAfterTaps: [3]int{1: 20}, ByFetch: 20, Taps: 20, Deliveries: 40}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var questions []string
				taps := map[int]int{}
				p := startLoad(t, oa.Plain, func(_ *sim.Testing, r *oa.Request) (oa.Reply, error) {
					mu.Lock()
					defer mu.Unlock()
					id := len(questions)
					if m := r.Message.(*oa.TextMessage); m.MenuID == "" {
						questions = append(questions, m.Content)
					} else {
						id, _ = strconv.Atoi(m.MenuID)
						taps[id]++
					}
					if taps[id] < tt.after {
						return oa.Text(continued("「"+questions[id]+"」还要想想，", id))
					}
					return oa.Text(questions[id])
				})
				r := load(t, p, sim.LoadConfig{Followers: 5, Messages: 2, Pattern: sim.LoadTalkative, Taps: tt.most, Others: tt.others, Think: 4 * time.Second})
				counted(t, r, tt.want)
				if least := float64(2000 * tt.after); r.Whole > 0 && (r.WholeAnswer.P50 < least || r.WholeAnswer.Max > 12*least) {
					t.Errorf("%v", r)
				}
			})
		})
	}
}

// Nobody who waits for an answer asks to see another one again that is there.
func TestLoadOffersOfOldAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startLoad(t, oa.Plain, func(p *sim.Testing, r *oa.Request) (oa.Reply, error) {
			time.AfterFunc(5*time.Second, func() {
				push(p, r, "答："+r.Text())
				push(p, r, continued("「"+r.Text()+"」没收到吗？", 7))
			})
			return oa.None()
		})
		r := load(t, p, sim.LoadConfig{Followers: 1, Messages: 10, Pattern: sim.LoadRate, Rate: 1, Taps: 3})
		if r.Whole != 10 || r.Duplicates != 0 || r.Taps != 0 {
			t.Errorf("%v", r)
		}
	})
}

// said is what a model says to a question.
func said(m *sim.Model, question string) string {
	body, _ := json.Marshal(map[string]any{"model": "any", "messages": []map[string]string{{"role": "user", "content": question}}})
	req := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", bytes.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	m.ServeHTTP(w, req)
	var answer struct {
		Choices []struct{ Message struct{ Content string } }
	}
	if json.Unmarshal(w.Body.Bytes(), &answer) != nil || len(answer.Choices) != 1 {
		return w.Body.String()
	}
	return answer.Choices[0].Message.Content
}

// Of an answer of a model the beginning and the end are told apart, however long
// it is; what is no answer of the model does not count.
func TestLoadModel(t *testing.T) {
	whole := sim.LoadReport{Messages: 20, Whole: 20, WholeAfterTaps: [3]int{20}, ByPush: 20, Deliveries: 20}
	part := sim.LoadReport{Messages: 20, Partial: 20, Deliveries: 20}
	lost := sim.LoadReport{Messages: 20, Lost: 20, Silent: 20, Deliveries: 20}
	for _, tt := range []struct {
		name     string
		settings sim.ModelSettings
		shown    func(said string) string
		want     sim.LoadReport
	}{
		{"short", sim.ModelSettings{Delay: "8s"}, func(s string) string { return s }, whole},
		{"long", sim.ModelSettings{Delay: "8s", Bytes: 1800}, func(s string) string { return s }, whole},
		{"its beginning", sim.ModelSettings{Delay: "8s", Bytes: 1800}, func(s string) string { return s[:300] }, part},
		{"an echo", sim.ModelSettings{Delay: "8s"}, func(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "答", ""), "完", "") }, lost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				model := set(t, tt.settings)
				said(model, "before")
				p := startLoad(t, oa.Plain, func(p *sim.Testing, r *oa.Request) (oa.Reply, error) {
					go func() { push(p, r, tt.shown(said(model, r.Text()))) }()
					return oa.None()
				})
				r := load(t, p, sim.LoadConfig{Followers: 10, Messages: 2, Pattern: sim.LoadBurst, Within: time.Second, Model: model, Patience: 10 * time.Second})
				counted(t, r, tt.want)
				if r.Model == nil || r.Model.Calls != 20 || r.Model.PerMessage != 1 || r.Model.MostRunning != 10 {
					t.Errorf("%+v", r.Model)
				}
				if r.FirstContent.Count > 0 && (r.FirstContent.P50 < 8000 || r.FirstContent.Max > 8100) {
					t.Errorf("%+v", r.FirstContent)
				}
			})
		})
	}
}
