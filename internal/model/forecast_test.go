package model

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wenzihq/wenzi/internal/bot"
)

// taking is what a model has done: answers of so many bytes in so many seconds.
func taking(p *Pool, m bot.Model, answers ...[2]int) {
	for _, a := range answers {
		total := time.Duration(a[1]) * time.Second
		p.learn(m.WithDefaults(), Result{Text: strings.Repeat("x", a[0]), FirstText: total / 2, Total: total})
	}
}

func TestExpect(t *testing.T) {
	m := modelAt("one")
	history := [][2]int{{100, 4}, {200, 8}, {400, 16}} // 50 bytes a second, after half of the time
	tests := []struct {
		name    string
		history [][2]int
		elapsed time.Duration
		size    int
		ready   time.Duration // from the start
		known   bool
	}{
		{"nothing is known", nil, 0, 0, 0, false},
		{"two answers say little", history[:2], 0, 0, 0, false},
		{"at the start", history, 0, 0, 8 * time.Second, true},
		{"in the middle", history, 5 * time.Second, 0, 16 * time.Second, true},
		{"slower than ever", history, 16 * time.Second, 0, 0, false},
		{"with text", history, 3 * time.Second, 100, 9 * time.Second, true},
		{"with more text", history, 20 * time.Second, 390, 20200 * time.Millisecond, true},
		{"longer than ever", history, 3 * time.Second, 400, 0, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := New(nil)
				taking(p, m, test.history...)
				started := time.Now()
				time.Sleep(test.elapsed)
				ready, known := p.Expect(m, started, test.size)
				if known != test.known || known && ready.Sub(started) != test.ready {
					t.Errorf("%v, %t; want %v, %t", ready.Sub(started), known, test.ready, test.known)
				}
			})
		})
	}
	if _, known := New(nil).Expect(bot.Model{}, time.Now(), 0); known {
		t.Error("a forecast without a model")
	}
}

func TestForecastForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(nil)
		m := modelAt("one")
		for range 10 * maxSamples {
			taking(p, m, [2]int{100, 60})
		}
		for range maxSamples {
			taking(p, m, [2]int{100, 2})
		}
		if ready, known := p.Expect(m, time.Now(), 0); !known || time.Until(ready) != 2*time.Second {
			t.Errorf("in %v, %t", time.Until(ready), known)
		}
		for i := range 2 * maxSpeeds {
			time.Sleep(time.Second)
			taking(p, modelAt(strconv.Itoa(i)), [2]int{100, 2}, [2]int{100, 2}, [2]int{100, 2})
		}
		if _, known := p.Expect(m, time.Now(), 0); known || len(p.speeds) != maxSpeeds {
			t.Errorf("%d models are remembered, the oldest: %t", len(p.speeds), known)
		}
		if _, known := p.Expect(modelAt(strconv.Itoa(2*maxSpeeds-1)), time.Now(), 0); !known {
			t.Error("the newest is forgotten")
		}
	})
}

// Answers are learned from as they come, a backup's for the model that has it.
func TestAskTeachesExpect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProvider(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Host == "one" {
				refuses(401, "")(w, r)
				return
			}
			time.Sleep(4 * time.Second)
			send(w, event("一二三四五"))
			time.Sleep(2 * time.Second)
			says("六七八九十")(w, r)
		})
		m := modelAt("one", "two")
		for range minSamples {
			if _, _, err := p.ask(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		started := time.Now()
		if ready, known := p.pool.Expect(m, started, 0); !known || ready.Sub(started) != 6*time.Second {
			t.Errorf("in %v, %t", ready.Sub(started), known)
		}
		if ready, known := p.pool.Expect(m, started, len("一二三四五")); !known || ready.Sub(started) != time.Second {
			t.Errorf("with half of the text in %v, %t", ready.Sub(started), known)
		}
	})
}
