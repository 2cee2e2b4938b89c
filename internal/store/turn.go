package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// TurnID names a turn. It is made from the message alone, so that every
// delivery of one message has the same:
//
//	5 bytes account ‖ 4 bytes CreateTime ‖ 4 bytes sequence ‖ 7 bytes of SHA-256
//
// Account and time come first so that an account's turns lie together in order
// of time: listing them and clearing old ones are range scans.
type TurnID [20]byte

// NewTurnID makes the id of the message that parts name (reference §4.2)
// within the account. createTime is the platform's, in seconds; what lies
// outside of 1970…2106 is clamped. sequence orders messages of the same second:
// the MsgId, which the platform counts up, or 0. Ids that grow make recording
// twice as cheap.
func NewTurnID(account, createTime int64, sequence uint64, parts ...string) TurnID {
	buf := make([]byte, 0, 512)
	buf = binary.BigEndian.AppendUint64(buf, uint64(account))
	buf = binary.BigEndian.AppendUint64(buf, uint64(createTime))
	buf = binary.BigEndian.AppendUint64(buf, sequence)
	for _, p := range parts {
		buf = binary.BigEndian.AppendUint32(buf, uint32(len(p)))
		buf = append(buf, p...)
	}
	hash := sha256.Sum256(buf)

	id := turnsFrom(account, createTime)
	binary.BigEndian.PutUint32(id[9:], uint32(sequence))
	copy(id[13:], hash[:])
	return id
}

// turnsFrom is the least id of the account at that second.
func turnsFrom(account, second int64) (id TurnID) {
	// Shifted by 24 bits the account fills the first five bytes.
	binary.BigEndian.PutUint64(id[:], uint64(account)<<24)
	binary.BigEndian.PutUint32(id[5:], uint32(min(max(second, 0), math.MaxUint32)))
	return id
}

// Account returns the account's id.
func (id TurnID) Account() int64 { return int64(binary.BigEndian.Uint64(id[:]) >> 24) }

// CreateTime returns the platform's time of the message, as far as the id can hold it.
func (id TurnID) CreateTime() time.Time {
	return time.Unix(int64(binary.BigEndian.Uint32(id[5:])), 0)
}

var idEncoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// String returns 32 lower-case letters and digits, which sort as the ids do.
func (id TurnID) String() string { return idEncoding.EncodeToString(id[:]) }

// ParseTurnID reads what String wrote.
func ParseTurnID(s string) (id TurnID, err error) {
	b, err := idEncoding.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return TurnID{}, errors.New("this is not the id of a turn")
	}
	return TurnID(b), nil
}

// State says what has become of a turn. The numbers are in the database.
type State int16

const (
	Answered     State = 1 // with a reply
	Acknowledged State = 2 // with success: there was nothing to say
	Failed       State = 3 // the robot failed; the follower got the fallback
	Pushed       State = 4 // by customer-service messages
	Fetched      State = 5 // out of the mailbox, to the end
	Expired      State = 6 // not fetched in time

	// From here on the turn is not at its end, and has an Answer.

	Working  State = 10 // nothing was answered yet
	Promised State = 11 // success was answered; the answer will be pushed
	Waiting  State = 12 // in the mailbox: a part or a holding text was shown
)

// Ended reports whether nothing more will happen to the turn by itself.
func (s State) Ended() bool { return s < Working }

var stateNames = map[State]string{Answered: "answered", Acknowledged: "acknowledged", Failed: "failed", Pushed: "pushed",
	Fetched: "fetched", Expired: "expired", Working: "working", Promised: "promised", Waiting: "waiting"}

// States are all states, in the order of their numbers.
var States = []State{Answered, Acknowledged, Failed, Pushed, Fetched, Expired, Working, Promised, Waiting}

func (s State) String() string {
	if name, ok := stateNames[s]; ok {
		return name
	}
	return fmt.Sprintf("State(%d)", int16(s))
}

// Follow says what a message tells about its follower.
type Follow int8

const (
	Seen Follow = iota // only that there is one
	Subscribed
	Unsubscribed
)

// Turn is one message and its answer.
type Turn struct {
	ID      TurnID
	OpenID  string // of the follower; empty if nobody's (a system's event)
	Kind    string // "text", "event/subscribe"
	Message []byte // the decrypted delivery as it came
	State   State
	Reply   []byte // plaintext XML, empty for success
	By      string // what decided: "greeting", "rule 3", "echo"
	Note    string // why it failed; never the text of a message

	ArrivedAt  time.Time // the first delivery
	AnsweredAt time.Time // when its answer was ready

	// Repeats are the later deliveries in the order they were recorded. Record
	// does not read them; it adds one.
	Repeats []Delivery

	// Answer is set by who records a turn that is Working. Not read back; see
	// [Store.Answer].
	Answer *Answer

	// Signature is what the delivery was signed with, where it matters whether it
	// brings a message for the first time; see [Store.FirstBySignature]. Not read back.
	Signature string

	// What to note about the follower. Not read back.
	Follow Follow
	Scene  string // with Subscribed: the scene of the QR code
}

// Delivery is one HTTP request that brought the message.
type Delivery struct {
	ArrivedAt, AnsweredAt time.Time
}

// recordTimeout is how long Record waits. What is left of a delivery's 4.5 s is
// enough to answer without it.
const recordTimeout = 3 * time.Second

// Record commits t and returns it with fresh true. If a turn with this id is
// there already, which a repeated delivery finds, ArrivedAt and AnsweredAt of t
// are added to it as one more of its deliveries, and Record returns what is
// stored: its Reply is what a repeat must get.
//
// Turns that are recorded at the same time share one commit. An error is
// ErrUnavailable, and then t is not recorded, with one exception: when ctx ends,
// three seconds pass, or the database is lost during the commit, nobody knows. Record t again
// later; if it is there, it is found.
//
// Neither Message nor Reply may be changed after the call.
func (s *Store) Record(ctx context.Context, t *Turn) (stored *Turn, fresh bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, unavailable(err)
	}
	r := s.requests.Get().(*request)
	r.turn, r.id = *t, t.ID
	r.turn.OpenID, r.turn.Kind, r.turn.Scene = clean(t.OpenID), clean(t.Kind), clean(t.Scene)
	r.turn.By, r.turn.Note = clean(t.By), clean(t.Note)
	if !s.queue.add(r) {
		return nil, false, fmt.Errorf("%w: it is closed, or too much waits to be written", ErrUnavailable)
	}
	r.timer.Reset(recordTimeout) // dearer as a context: 1 µs of the 30 that a message takes
	select {
	case <-r.done:
	case <-r.timer.C:
		return nil, false, fmt.Errorf("%w: no commit in %v", ErrUnavailable, recordTimeout)
	case <-ctx.Done():
		return nil, false, fmt.Errorf("%w: no commit in time: %w", ErrUnavailable, ctx.Err())
	}
	r.timer.Stop()
	stored, err = r.stored, r.err
	*r = request{done: r.done, timer: r.timer}
	s.requests.Put(r)
	if err != nil {
		return nil, false, err
	}
	if stored == nil {
		return t, true, nil
	}
	return stored, false, nil
}

// turnValues are the columns of insertTurns.
type turnValues [10]any

func (t *Turn) values() turnValues {
	message := t.Message
	if message == nil {
		message = []byte{}
	}
	var reply any
	if len(t.Reply) > 0 {
		reply = t.Reply
	}
	return turnValues{t.ID[:], t.OpenID, t.Kind, message, int64(t.State), reply, t.By, t.Note, millis(t.ArrivedAt), millis(t.AnsweredAt)}
}

const turnColumns = "id, openid, kind, message, state, reply, decided_by, note, arrived_at, answered_at, repeats"

const selectTurn = "SELECT " + turnColumns + " FROM turns WHERE id = $1"

// addRepeat appends to a text, which is atomic on both engines. Beyond some
// dozens, which WeChat never sends, repeats are not noted: somebody replays a
// captured request, and the row must not grow without end.
const addRepeat = "UPDATE turns SET repeats = repeats || $2 WHERE id = $1 AND length(repeats) < 2000 RETURNING " + turnColumns

// delivery is a line of turns.repeats.
type delivery struct {
	At int64 `json:"at"`
	Ms int64 `json:"ms"` // until the answer
}

// repeat is the line that notes t as one more delivery.
func (t *Turn) repeat() string {
	return marshal(delivery{At: millis(t.ArrivedAt), Ms: millis(t.AnsweredAt) - millis(t.ArrivedAt)}) + "\n"
}

func scanTurn(row interface{ Scan(...any) error }) (*Turn, error) {
	var (
		t                 Turn
		id                []byte
		arrived, answered int64
		repeats           []byte
	)
	if err := row.Scan(&id, &t.OpenID, &t.Kind, &t.Message, &t.State, &t.Reply, &t.By, &t.Note, &arrived, &answered, &repeats); err != nil {
		return nil, err
	}
	if len(id) != len(t.ID) {
		return nil, fmt.Errorf("a turn has an id of %d bytes", len(id))
	}
	t.ID = TurnID(id)
	if len(t.Message) == 0 {
		t.Message = nil // the drivers do not agree on it
	}
	t.ArrivedAt, t.AnsweredAt = fromMillis(arrived), fromMillis(answered)
	for line := range bytes.Lines(repeats) {
		var d delivery
		if err := json.Unmarshal(line, &d); err != nil {
			return nil, fmt.Errorf("deliveries of turn %s: %w", t.ID, err)
		}
		t.Repeats = append(t.Repeats, Delivery{fromMillis(d.At), fromMillis(d.At + d.Ms)})
	}
	return &t, nil
}

// Turn returns one turn, or ErrNotFound.
func (s *Store) Turn(ctx context.Context, id TurnID) (*Turn, error) {
	t, err := scanTurn(s.read.QueryRowContext(ctx, selectTurn, id[:]))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("turn %s is %w", id, ErrNotFound)
	}
	return t, unavailable(err)
}

// Turns returns up to limit turns of the account, newest first by CreateTime,
// older than before, of those states or of all. A zero before means from the
// newest on. Of states that are rare it may look at all of the account's turns.
func (s *Store) Turns(ctx context.Context, account int64, before TurnID, limit int, states ...State) ([]*Turn, error) {
	if before == (TurnID{}) {
		before = turnsFrom(account+1, 0)
	}
	first := turnsFrom(account, 0)
	args := []any{first[:], before[:], limit}
	var in string
	if len(states) > 0 {
		params := make([]string, len(states))
		for i, state := range states {
			args = append(args, int64(state))
			params[i] = fmt.Sprintf("$%d", len(args))
		}
		in = " AND state IN (" + strings.Join(params, ", ") + ")"
	}
	rows, err := s.read.QueryContext(ctx, "SELECT "+turnColumns+` FROM turns
		WHERE id >= $1 AND id < $2`+in+` ORDER BY id DESC LIMIT $3`, args...)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	var turns []*Turn
	for rows.Next() {
		t, err := scanTurn(rows)
		if err != nil {
			return nil, unavailable(err)
		}
		turns = append(turns, t)
	}
	return turns, unavailable(rows.Err())
}
