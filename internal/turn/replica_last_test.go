package turn

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
)

// The last delivery is decided on so early that another replica can still answer
// it, should this one die over it; what there is by then has been put on record.
func TestLastDeliveryLeavesTimeForOthers(t *testing.T) {
	r := newReplicas(t, 2, secureAccount, Config{Budget: -1})
	a, b := r.all[0], r.all[1]
	eventually(t, "they know of each other", func() bool { return a.Replicas() == 2 && b.Replicas() == 2 })
	question := "想 20s 20000"
	body := asks("o1", question)
	began := time.Now()
	go a.bring(t, t.Context(), body)
	time.Sleep(time.Until(began.Add(10 * time.Second)))
	got := b.bring(t, t.Context(), body)
	took := time.Since(began)
	if end := b.Window - handoverTime - commitMargin; took > end+200*time.Millisecond || took < end-300*time.Millisecond && b.store.pace.margin(time.Now()) == commitMargin {
		t.Errorf("it is answered after %v, want %v", took, end)
	}
	shown, _, ok := strings.Cut(content(t, got), "\n\n……")
	if _, row := r.turn(question); !ok || row.Shown == "" || squeeze(shown) != squeeze(row.Shown) {
		t.Errorf("it is answered with %q", got)
	}
}

// A page that cannot be recorded as shown is not shown, and yet the last delivery of
// the tap gets an answer; the page is there for the next one. So it is if the page
// is on record after all.
func TestLastTapIsHeld(t *testing.T) {
	for _, committed := range []bool{false, true} {
		t.Run(fmt.Sprintf("committed: %v", committed), func(t *testing.T) {
			r := newReplicas(t, 2, secureAccount, Config{Budget: -1, Deadline: 1500 * time.Millisecond})
			a, b := r.all[0], r.all[1]
			question := "想 4s 100"
			_, token, ok := strings.Cut(r.firstPart("o1", question, a, a), "msgmenuid=")
			if !ok {
				t.Fatal("there is no link")
			}
			tap := func(p *replica, at time.Time) string {
				body := askedAt("o1", fetchWord, at)
				return content(t, p.bring(t, t.Context(), bytes.Replace(body, []byte("<MsgId>"), []byte("<bizmsgmenuid>"+token[:18]+"</bizmsgmenuid><MsgId>"), 1)))
			}
			eventually(t, "the answer is whole, and its reply confirmed", func() bool { _, row := r.turn(question); return row.Done && row.Sending == "" })
			tx, err := r.db.Begin()
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback()
			var holder int
			if err := tx.QueryRow("SELECT pg_backend_pid() FROM answers WHERE question = $1 FOR UPDATE", question).Scan(&holder); err != nil {
				t.Fatal(err)
			}
			if got := tap(b, time.Now().Add(-12*time.Second)); !strings.HasPrefix(got, textHolding) {
				t.Errorf("the tap gets %q", got)
			}
			if !committed {
				r.exec(fmt.Sprintf("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE %d = ANY (pg_blocking_pids(pid))", holder))
			}
			if err := tx.Rollback(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "what the tap got is on record", func() bool {
				row, err := r.reader.Turn(t.Context(), r.last("o1"))
				if err != nil {
					t.Fatal(err)
				}
				_, target := r.turn(question)
				return row.State == store.Answered && target.State == store.Waiting && target.Shown == ""
			})
			if _, want, _ := parseThought(question); tap(a, time.Now()) != want {
				t.Error("the next tap does not get the answer")
			}
			if state := r.state(question); state != store.Fetched {
				t.Errorf("the turn is %v", state)
			}
		})
	}
}

// A draft whose commit hangs does not keep the last delivery from its answer.
func TestDraftHangs(t *testing.T) {
	r := newReplicas(t, 1, secureAccount, Config{Budget: -1, Deadline: 2 * time.Second})
	a := r.all[0]
	question := "想 2800ms 5000"
	got := make(chan string, 1)
	go func() { got <- a.bring(t, t.Context(), askedAt("o1", question, time.Now().Add(-12*time.Second))) }()
	eventually(t, "the question is on record", func() bool {
		var n int
		return r.db.QueryRow("SELECT count(*) FROM answers WHERE question = $1", question).Scan(&n) == nil && n == 1
	})
	tx, err := r.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec("SELECT FROM answers WHERE question = $1 FOR UPDATE", question); err != nil {
		t.Fatal(err)
	}
	if got := <-got; got == unanswered || !strings.Contains(content(t, got), "\n\n……") {
		t.Errorf("the last delivery gets %q", got)
	}
}
