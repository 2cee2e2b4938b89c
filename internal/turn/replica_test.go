package turn

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/internal/answer"
	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

// A repeat at another replica waits for the work of the first one and gets the
// same bytes, as soon as they are there: whether the first delivery is still
// open, or has gone away, and also when the news was lost.
func TestRepeatElsewhere(t *testing.T) {
	for _, first := range []string{"stays", "hangs up", "hangs up, and nobody hears"} {
		t.Run(first, func(t *testing.T) {
			open, deaf := first == "stays", first == "hangs up, and nobody hears"
			r := newReplicas(t, 2, secureAccount, Config{Budget: -1})
			var slowest time.Duration
			for n := range 3 {
				question := fmt.Sprintf("想 600ms %d", 100+n)
				body := asks(fmt.Sprint("o", n), question)
				ctx, hangUp := context.WithCancel(t.Context())
				first := make(chan string, 1)
				go func() { first <- r.all[0].bring(t, ctx, body) }()
				time.Sleep(100 * time.Millisecond)
				second := make(chan string, 1)
				go func() { second <- r.all[1].bring(t, t.Context(), body) }()
				time.Sleep(100 * time.Millisecond)
				if !open {
					hangUp()
				}
				if deaf {
					time.Sleep(350 * time.Millisecond) // shortly before the answer is ready
					r.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' || md5(current_schema()) || '%'")
				}
				got := <-second
				now := r.all[1].clock.now()
				_, row := r.turn(question)
				slowest = max(slowest, now.Sub(row.ReadyAt))
				if _, want, _ := parseThought(question); content(t, got) != answer.Text(want) {
					t.Errorf("the repeat gets %q", got)
				}
				if one := <-first; open && one != got {
					t.Errorf("the first delivery gets\n%s\nits repeat elsewhere\n%s", one, got)
				}
				hangUp()
				if again := r.all[0].bring(t, t.Context(), body); again != got {
					t.Errorf("the third delivery gets\n%s", again)
				}
				if n := r.runs(question); n != 1 {
					t.Errorf("the robot ran %d times", n)
				}
				if !open && row.Holder != r.all[1].process {
					t.Error("the reply is not in the hands of who gave it")
				}
			}
			t.Logf("the repeat is answered up to %v after the answer was ready", slowest)
			if slowest >= lookCalmly/2 {
				t.Errorf("it is answered %v after: it was not told, but has looked", slowest)
			}
		})
	}
}

// What is at stake is claimed once, wherever deliveries wait for it.
func TestClaimRaces(t *testing.T) {
	r := newReplicas(t, 3, secureAccount, Config{Budget: -1})
	var wg sync.WaitGroup
	for n := range 30 {
		wg.Go(func() {
			question := fmt.Sprintf("想 200ms %d", 1000+n)
			body := asks(fmt.Sprint("o", n), question)
			got := make([]string, 6)
			var deliveries sync.WaitGroup
			for i := range got {
				deliveries.Go(func() { got[i] = r.all[i%3].bring(t, t.Context(), body) })
			}
			deliveries.Wait()
			for i := range got {
				if got[i] != got[0] || got[i] == unanswered {
					t.Errorf("delivery %d gets\n%s\nthe first one\n%s", i, got[i], got[0])
				}
			}
			if n := r.runs(question); n != 1 {
				t.Errorf("the robot ran %d times", n)
			}
		})
	}
	wg.Wait()
	for i, p := range r.all { // when no delivery can come any more
		p.mu.Lock()
		left := slices.Collect(maps.Values(p.slow))
		p.mu.Unlock()
		for _, s := range left {
			s.mu.Lock()
			s.since = s.since.Add(-giveUp)
			s.mu.Unlock()
			p.forget(s)
		}
		p.mu.Lock()
		if len(p.slow) > 0 || len(p.open) > 0 {
			t.Errorf("replica %d keeps %d turns, %d messages", i, len(p.slow), len(p.open))
		}
		p.mu.Unlock()
	}
}

// firstPart is a delivery that hangs up before anything is decided, and a repeat
// at another replica that is taken for the last: it shows what there is by then.
func (r *replicas) firstPart(follower, question string, worker, other *replica) string {
	r.t.Helper()
	body := asks(follower, question)
	ctx, hangUp := context.WithCancel(r.t.Context())
	defer hangUp()
	first := make(chan string, 1)
	go func() { first <- worker.bring(r.t, ctx, body) }()
	eventually(r.t, "the question is on record", func() bool {
		var n int
		return r.db.QueryRow("SELECT count(*) FROM answers WHERE question = $1", question).Scan(&n) == nil && n == 1
	})
	hangUp()
	<-first
	// Two more that break off soon, so that the next one counts as the third.
	t, _ := r.turn(question)
	eventually(r.t, "two deliveries have come", func() bool {
		ctx, hangUp := context.WithTimeout(r.t.Context(), 50*time.Millisecond)
		defer hangUp()
		other.bring(r.t, ctx, body)
		other.mu.Lock()
		defer other.mu.Unlock()
		s := other.slow[t.ID]
		return s != nil && s.count >= lastCount-1
	})
	time.Sleep(handoverTime) // or it would be decided on before the worker's draft is on record
	return other.bring(r.t, r.t.Context(), body)
}

// The part of an unfinished answer that is shown at the last moment is what the
// model has said by then, at another replica; and the answer is fetched to its end
// wherever the taps arrive.
func TestPartElsewhere(t *testing.T) {
	r := newReplicas(t, 3, secureAccount, Config{Budget: -1, Deadline: 1500 * time.Millisecond})
	question := "想 2800ms 5000"
	_, whole, _ := parseThought(question)
	whole = squeeze(answer.Text(whole))
	part := content(t, r.firstPart("o1", question, r.all[0], r.all[1]))
	shown, tail, ok := strings.Cut(part, "\n\n……")
	if !ok {
		t.Fatalf("the reply is no part: %q", part)
	}
	if squeeze(shown) == "" || !strings.HasPrefix(whole, squeeze(shown)) || len(shown) < 5000*6/20-300 {
		t.Errorf("%d bytes are shown: %q", len(shown), shown)
	}
	_, token, _ := strings.Cut(tail, "msgmenuid=")
	token = token[:18]
	read := squeeze(shown)
	for n := 0; read != whole; n++ {
		if n == 6 {
			t.Fatalf("the follower read\n%s\nof\n%s", read, whole)
		}
		body := asks("o1", fetchWord) // the word alone
		if n%2 == 0 {
			body = bytes.Replace(body, []byte("<MsgId>"), []byte("<bizmsgmenuid>"+token+"</bizmsgmenuid><MsgId>"), 1)
		}
		got := unanswered
		for i := 0; got == unanswered && i < lastCount; i++ { // WeChat brings it again
			got = r.all[(n+i+2)%3].bring(t, t.Context(), body)
		}
		page := content(t, got)
		page, _, _ = strings.Cut(page, "\n\n（")
		page, _, _ = strings.Cut(page, "\n\n……")
		read += squeeze(page)
		if !strings.HasPrefix(whole, read) {
			t.Fatalf("page %d is wrong: the follower read\n%s\nof\n%s", n, read, whole)
		}
	}
	if n := r.runs(question); n != 1 {
		t.Errorf("the robot ran %d times", n)
	}
	if got := r.state(question); got != store.Fetched {
		t.Errorf("the turn is %v", got)
	}
}

// What one replica puts into the mailbox is offered by the others, also when they
// could not hear of it.
func TestOfferElsewhere(t *testing.T) {
	r := newReplicas(t, 3, secureAccount, Config{Budget: -1, Deadline: 1500 * time.Millisecond})
	r.firstPart("o1", "想 3s 100", r.all[0], r.all[1])
	eventually(t, "the answer is whole", func() bool { _, row := r.turn("想 3s 100"); return row.Done })
	offers := func(p *replica, follower string) bool {
		return strings.Contains(content(t, p.bring(t, t.Context(), asks(follower, "在吗"))), "答好了")
	}
	if !offers(r.all[2], "o1") {
		t.Error("the third replica offers nothing")
	}
	if offers(r.all[2], "o2") {
		t.Error("somebody else is offered the answer")
	}

	third := r.all[2]
	third.wire.cut()
	eventually(t, "the third replica is deaf", func() bool { return !third.store.Listening() })
	r.firstPart("o3", "想 2500ms 100", r.all[0], r.all[1])
	eventually(t, "the answer is whole", func() bool {
		t, err := r.all[1].store.Mailbox(context.Background(), 1, "o3")
		return err == nil && len(t) == 1 && t[0].Done
	})
	if err := third.wire.connect(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the third replica offers what it has not heard of", func() bool { return offers(third, "o3") })
}

// A replica vanishes without a word: the next delivery is answered by another
// one within the window. What it still makes of the turn, cut off and when it is
// back, changes nothing.
func TestTakeover(t *testing.T) {
	for _, waits := range []bool{false, true} {
		t.Run(fmt.Sprintf("somebody waits elsewhere: %v", waits), func(t *testing.T) {
			r := newReplicas(t, 2, secureAccount, Config{Budget: -1})
			a, b := r.all[0], r.all[1]
			question := "想 3s 60"
			body := asks("o1", question)
			begin := time.Now()
			first := make(chan string, 1)
			go func() { first <- a.bring(t, t.Context(), body) }()
			time.Sleep(300 * time.Millisecond)
			if waits {
				go b.bring(t, t.Context(), body)
				time.Sleep(300 * time.Millisecond)
			}
			a.wire.cut()
			if one := <-first; one != unanswered {
				t.Errorf("the vanished replica answers %q", one)
			}
			time.Sleep(time.Until(begin.Add(5 * time.Second)))
			var got string
			for n := 1; n < 3; n++ {
				if got = b.bring(t, t.Context(), body); got != unanswered {
					break
				}
				time.Sleep(time.Until(begin.Add(time.Duration(n+1) * 5 * time.Second)))
			}
			if _, want, _ := parseThought(question); got == unanswered || content(t, got) != want {
				t.Errorf("the repeat gets %q", got)
			}
			if took := time.Since(begin); took > 14*time.Second {
				t.Errorf("after %v", took)
			}
			if n := r.runs(question); n != 2 {
				t.Errorf("the robot ran %d times", n)
			}
			if err := a.wire.connect(); err != nil {
				t.Fatal(err)
			}
			var again string
			eventually(t, "the replica is back", func() bool { again = a.bring(t, t.Context(), body); return again != unanswered })
			if again != got {
				t.Errorf("the replica that is back answers\n%s\nwant\n%s", again, got)
			}
			if n := r.runs(question); n != 2 || r.state(question) != store.Answered {
				t.Errorf("the robot ran %d times, the turn is %v", n, r.state(question))
			}
		})
	}
}

// The commit of a question takes too long to be waited for, and is made all the
// same. The question is answered: to the repeat, or where none comes out of the
// mailbox.
func TestRecordedAfterAll(t *testing.T) {
	r := newReplicas(t, 1, secureAccount, Config{Budget: -1})
	r.exec(`CREATE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM pg_sleep(3.5);
			RETURN NULL;
		EXCEPTION WHEN query_canceled THEN -- nobody waits for the commit any more
			RETURN NULL;
		END $$`)
	r.exec(`CREATE CONSTRAINT TRIGGER stall AFTER INSERT ON turns DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW WHEN (NEW.openid LIKE 'stalled%') EXECUTE FUNCTION stall()`)
	for _, repeated := range []bool{true, false} {
		t.Run(fmt.Sprint("repeated ", repeated), func(t *testing.T) {
			follower, question := fmt.Sprint("stalled", repeated), fmt.Sprintf("想 100ms %d", 20+len(fmt.Sprint(repeated)))
			body := asks(follower, question)
			if got := r.all[0].bring(t, t.Context(), body); got != unanswered {
				t.Fatalf("the first delivery gets %q", got)
			}
			if repeated {
				var got string
				eventually(t, "a repeat is answered", func() bool { got = r.all[0].bring(t, t.Context(), body); return got != unanswered })
				if _, want, _ := parseThought(question); content(t, got) != want {
					t.Errorf("the repeat gets %q", got)
				}
			} else {
				eventually(t, "the answer is whole", func() bool { _, row := r.turn(question); return row.Done })
			}
			if n := r.runs(question); n != 1 {
				t.Errorf("the robot ran %d times", n)
			}
		})
	}
}

// Two replicas would both take over what a third one leaves, while deliveries
// wait at both, and come: whoever wins, all are answered.
func TestTakeoverRaces(t *testing.T) {
	r := newReplicas(t, 3, secureAccount, Config{Budget: -1})
	left, others := r.all[0], r.all[1:]
	var deliveries sync.WaitGroup
	for n := range 40 {
		question := fmt.Sprintf("想 1200ms %d", 100+n)
		body := asks(fmt.Sprint("o", n), question)
		go left.bring(t, t.Context(), body)
		for i, p := range others {
			deliveries.Go(func() {
				if n%2 == i { // it comes when it is being taken over
					time.Sleep(800*time.Millisecond + rand.N(300*time.Millisecond))
				} else {
					time.Sleep(200 * time.Millisecond)
				}
				got := p.bring(t, t.Context(), body)
				if _, want, _ := parseThought(question); got == unanswered || content(t, got) != want {
					t.Errorf("replica %d, question %d: %q", i, n, got)
				}
			})
		}
	}
	time.Sleep(800 * time.Millisecond)
	left.stop()
	var sweeps sync.WaitGroup
	for _, p := range others {
		sweeps.Go(func() {
			for range 10 {
				if err := p.sweep(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	sweeps.Wait()
	deliveries.Wait()
}

// While the database is away nobody is heard of, and nobody is dead for that: what
// each replica works on is its own when it is back, and that a reply was accepted
// is noted then.
func TestOutageIsNoDeath(t *testing.T) {
	r := newReplicas(t, 2, secureAccount, Config{Budget: -1})
	a, b := r.all[0], r.all[1]
	question := "想 9s 60"
	body := asks("o1", question)
	ctx, hangUp := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer hangUp()
	a.bring(t, ctx, body)
	if got := b.bring(t, t.Context(), asks("o2", "想 100ms 20")); got == unanswered {
		t.Fatal("no answer")
	}
	a.wire.cut()
	b.wire.cut()
	time.Sleep(lease + 2*beatEvery)
	for _, p := range []*replica{b, a} { // the other one is sooner back
		if err := p.wire.connect(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * beatEvery / 2)
	}
	eventually(t, "the answer is whole", func() bool { _, row := r.turn(question); return row.Done })
	if n := r.runs(question); n != 1 {
		t.Errorf("the robot ran %d times", n)
	}
	if _, row := r.turn(question); row.Holder != a.process {
		t.Error("the turn is in other hands")
	}
	eventually(t, "the reply is confirmed", func() bool { _, row := r.turn("想 100ms 20"); return row.Sending == "" })
}

// A question that one replica cannot record is left to the others, as long as
// there are deliveries to come.
func TestQuestionIsLeftToOthers(t *testing.T) {
	r := newReplicas(t, 2, secureAccount, Config{Budget: -1, Deadline: 1500 * time.Millisecond})
	a, b := r.all[0], r.all[1]
	a.wire.cut()
	eventually(t, "the replica knows that it has no database", func() bool { a.bring(t, t.Context(), asks("o9", "你好")); return a.away.Load() })
	question := "想 200ms 30"
	body := asks("o1", question)
	if got := a.bring(t, t.Context(), body); got != unanswered {
		t.Errorf("without a database: %q", got)
	}
	if _, want, _ := parseThought(question); content(t, b.bring(t, t.Context(), body)) != want {
		t.Error("the other replica does not answer")
	}
	late := askedAt("o2", question, time.Now().Add(-12*time.Second))
	if got := a.bring(t, t.Context(), late); got == unanswered || content(t, got) != "抱歉" {
		t.Errorf("to the last delivery: %q", got)
	}
	if err := a.wire.connect(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the database is back", func() bool { return !a.away.Load() && a.Held() == 0 })
}

// A turn is left twice: by its first process, and by the one that took it over. A
// third replica, which had to do with it at the beginning, takes it over at once.
func TestTakeoverAgain(t *testing.T) {
	r := newReplicas(t, 3, secureAccount, Config{Budget: -1})
	a, b, c := r.all[0], r.all[1], r.all[2]
	question := "想 4s 60"
	body := asks("o1", question)
	brief := func(p *replica) {
		ctx, hangUp := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer hangUp()
		p.bring(t, ctx, body)
	}
	held := func(p *replica) func() bool {
		return func() bool { _, row := r.turn(question); return row.Holder == p.process }
	}
	brief(a)
	brief(c)
	takeover := func(from, to *replica) {
		t.Helper()
		from.stop()
		eventually(t, "the turn is taken over", func() bool {
			if err := to.sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			return held(to)()
		})
	}
	c.mu.Lock() // it is not quick enough
	takeover(a, b)
	c.mu.Unlock()
	left := time.Now()
	takeover(b, c)
	if took := time.Since(left); took > 5*time.Second {
		t.Errorf("after %v", took)
	}
	if _, want, _ := parseThought(question); content(t, c.bring(t, t.Context(), body)) != want {
		t.Error("the answer is another one")
	}
}

// A replica shows a part of another one's answer and vanishes before it can know
// that the follower has it. The other one notices.
func TestReplyOfAVanishedReplica(t *testing.T) {
	r := newReplicas(t, 2, secureAccount, Config{Budget: -1, Deadline: 1500 * time.Millisecond})
	a, b := r.all[0], r.all[1]
	part := content(t, r.firstPart("o1", "想 3s 4000", a, b))
	if !strings.Contains(part, "\n\n……") {
		t.Fatalf("the reply is no part: %q", part)
	}
	b.wire.cut()
	eventually(t, "the answer is offered as perhaps not seen", func() bool {
		row, err := a.store.Mailbox(context.Background(), 1, "o1")
		return err == nil && len(row) == 1 && row[0].Sending == sendingUnsure && row[0].Shown == "" && row[0].Done
	})
	if got := content(t, a.bring(t, t.Context(), asks("o1", "在吗"))); !strings.Contains(got, "没收到吗") {
		t.Errorf("the follower sees %q", got)
	}
}

// A replica vanishes with a reply; another one hands it out to the repeat, and
// knows that it was accepted.
func TestReplyIsHandedOutElsewhere(t *testing.T) {
	r := newReplicas(t, 2, secureAccount, Config{Budget: -1})
	a, b := r.all[0], r.all[1]
	body := asks("o1", "想 100ms 60")
	got := a.bring(t, t.Context(), body)
	a.wire.cut()
	if again := b.bring(t, t.Context(), body); got == unanswered || again != got {
		t.Errorf("the repeat gets %q", again)
	}
	eventually(t, "the reply is confirmed", func() bool { _, row := r.turn("想 100ms 60"); return row.Sending == "" })
	if state := r.state("想 100ms 60"); state != store.Answered {
		t.Errorf("the turn is %v", state)
	}
}

// In plain mode a signature is used once, by whatever replica, also by one that
// came later: who has captured one can neither fetch nor be remembered.
func TestCapturedSignature(t *testing.T) {
	r := newReplicas(t, 2, plainAccount, Config{Budget: -1, Deadline: 1500 * time.Millisecond})
	a, b := r.all[0], r.all[1]
	r.firstPart("victim", "想 2500ms 100", a, b)
	eventually(t, "the answer is whole", func() bool { _, row := r.turn("想 2500ms 100"); return row.Done })

	// steal sends a body with the signature of somebody's message to a.
	steal := func(p *replica, content string, body []byte) string {
		t.Helper()
		seen, err := oa.NewDelivery(plainAccount, "http://wenzi/", asks("somebody", content))
		if err != nil {
			t.Fatal(err)
		}
		if a.serve(t, seen) == unanswered {
			t.Fatal("the message is not answered")
		}
		q := seen.URL.Query()
		q.Del("openid")
		req, err := http.NewRequest(http.MethodPost, "http://wenzi/?"+q.Encode(), bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		return p.serve(t, req)
	}
	_, row := r.turn("想 2500ms 100")
	_, secret, _ := parseThought("想 2500ms 100")
	link := bytes.Replace(asks("victim", fetchWord), []byte("<MsgId>"), []byte("<bizmsgmenuid>"+row.Token+"</bizmsgmenuid><MsgId>"), 1)
	later := r.add()
	for n, content := range []string{"在吗", "想 100ms 20"} { // of a turn that took no time, and of one that did
		for i, p := range []*replica{b, later} {
			for _, body := range [][]byte{asks("victim", fetchWord), asks("victim", "1"), link, asks("victim", "在吗")} {
				if got := steal(p, content, body); got == unanswered || strings.Contains(got, secret) || strings.Contains(got, "〔") || strings.Contains(got, textExpired) {
					t.Errorf("a stranger gets %q", got)
				}
			}
			forged := fmt.Sprintf("想 100ms %d", 30+2*n+i)
			if got := steal(p, content, asks("victim", forged)); got == unanswered {
				t.Error("the forged question is not answered")
			}
			if _, row := r.turn(forged); row.Remembered {
				t.Error("a stranger's question is remembered as the victim's")
			}
		}
	}
	if got := content(t, b.bring(t, t.Context(), asks("victim", "想 100ms 50"))); got == "" {
		t.Error("no answer")
	}
	if _, row := r.turn("想 100ms 50"); !row.Remembered {
		t.Error("the victim's own question is not remembered")
	}
	if got := content(t, b.bring(t, t.Context(), asks("victim", fetchWord))); got != secret {
		t.Errorf("the victim fetches %q", got)
	}
}

// Where deliveries may be captured ones, whatever their age, plain mode has no
// memory.
func TestReplays(t *testing.T) {
	r := newReplicas(t, 1, plainAccount, Config{Budget: -1, Replays: true})
	if got := content(t, r.all[0].bring(t, t.Context(), asks("victim", "想 100ms 50"))); got == "" {
		t.Error("no answer")
	}
	if _, row := r.turn("想 100ms 50"); row.Remembered {
		t.Error("a question that may be anybody's is remembered as the victim's")
	}
}

// A follower's questions are answered one after the other wherever they arrive, so
// that each is answered in the light of those before. Nobody else waits.
func TestOrderElsewhere(t *testing.T) {
	r := newReplicas(t, 2, secureAccount, Config{Budget: -1})
	a, b := r.all[0], r.all[1]
	var deliveries sync.WaitGroup
	ask := func(p *replica, follower, question string) {
		deliveries.Go(func() {
			if got := p.bring(t, t.Context(), asks(follower, question)); got == unanswered {
				t.Errorf("%s: no answer", question)
			}
		})
		eventually(t, "the question is on record", func() bool {
			var n int
			return r.db.QueryRow("SELECT count(*) FROM answers WHERE question = $1", question).Scan(&n) == nil && n == 1
		})
	}
	ask(a, "o1", "想 1500ms 100")
	ask(b, "o1", "想 100ms 101")
	ask(b, "o2", "想 100ms 102")
	deliveries.Wait()
	ready := func(question string) time.Time { _, row := r.turn(question); return row.ReadyAt }
	first, second, other := ready("想 1500ms 100"), ready("想 100ms 101"), ready("想 100ms 102")
	if second.Before(first) || second.Sub(first) > 2*time.Second {
		t.Errorf("the second question is answered %v after the first", second.Sub(first))
	}
	if !other.Before(first) {
		t.Errorf("somebody else waited for %v", other.Sub(first))
	}
}

// The budget of deliberate time-outs is one for all.
func TestBudgetIsShared(t *testing.T) {
	r := newReplicas(t, 3, secureAccount, Config{Budget: 6, Deadline: 500 * time.Millisecond})
	eventually(t, "all know of each other", func() bool {
		return !slices.ContainsFunc(r.all, func(p *replica) bool { return p.Replicas() != 3 })
	})
	for n := range 9 {
		for _, p := range r.all {
			p.bring(t, t.Context(), asks(fmt.Sprint("o", n), "想 1s 20"))
		}
	}
	rides := int64(0)
	for _, p := range r.all {
		p.stop() // what is known is put on record, and counted
		rides += p.Stats().Rides
	}
	if rides != 6 {
		t.Errorf("%d deliveries were left unanswered on purpose", rides)
	}
}

// Many followers, all kinds of answers, deliveries that come twice, and never
// two at the same replica: nobody sees a fault notice, nothing is missing or
// shown twice, and no question is worked on twice.
func TestNoStickiness(t *testing.T) {
	r := newReplicas(t, 3, secureAccount, Config{Budget: -1})
	wechat := sim.Start(t, r, sim.AccountConfig{AppID: secureAccount.AppID, Token: "token", AESKey: secureAccount.AESKey, Mode: oa.Secure})
	wechat.SetTrouble(sim.Trouble{Duplicate: 0.3})
	var followers sync.WaitGroup
	for i, question := range []string{
		"想 100ms 20", "想 2s 3000", "想 4.2s 40", "想 4.6s 50", "想 8s 2500", "想 9.4s 60", "想 12s 70", "想 14s 90",
		"想 14.8s 80",
	} {
		followers.Go(func() {
			u := wechat.Follower()
			if fate := u.Say(question).Wait(t.Context()); fate != sim.Replied {
				t.Errorf("%s: fate %s", question, fate)
			}
			fetchAll(t, u)
			if i%2 == 0 {
				u.Say("在吗").Wait(t.Context())
				if got := lastAnswer(u); got != "你说：在吗" {
					t.Errorf("%s: afterwards %q", question, got)
				}
			}
			_, want, _ := parseThought(question)
			if got := strings.TrimSuffix(pieces(u), "你说：在吗"); got != squeeze(answer.Text(want)) {
				t.Errorf("%s: the follower read\n%s\nwant\n%s", question, got, squeeze(answer.Text(want)))
			}
			if n := r.runs(question); n != 1 {
				t.Errorf("%s: the robot ran %d times", question, n)
			}
		})
	}
	followers.Wait()
	eventually(t, "all replies are confirmed", func() bool {
		var n int
		return r.db.QueryRow("SELECT count(*) FROM answers WHERE sending <> '' OR state >= 10").Scan(&n) == nil && n == 0
	})
}
