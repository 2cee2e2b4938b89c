package oa

import (
	"crypto/sha256"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Request is one verified delivery of a message.
type Request struct {
	// Account is the account that the server was made for. Do not change it.
	Account *Account
	Message Message
	// Arrived is when the HTTP request reached the server.
	Arrived time.Time
	// Timestamp is that of the query, decimal Unix seconds. A repeated delivery
	// carries the one of the first (reference §4.1).
	Timestamp string

	body  string // clean and decrypted
	names []string
	match []string
}

// Body returns the delivery as it was parsed: decrypted, without characters
// that XML forbids.
func (r *Request) Body() string { return r.body }

// Elements returns all elements of the delivery in order, also those that the
// type of the message has no field for.
func (r *Request) Elements() []Element {
	elements, err := scan(r.body, nil)
	if err != nil {
		return nil
	}
	return elements
}

// Decode fills v, a pointer to a struct with `xml:"Name"` tags, from the
// delivery, in the way the message types of this package are filled: the first
// of repeated elements counts, numbers that are none become 0.
func (r *Request) Decode(v any) error { return decodeInto(v, r.Elements()) }

// PathValue returns what the wildcard or named group of the matched pattern
// stands for, as in [net/http.Request.PathValue].
func (r *Request) PathValue(name string) string {
	for i, n := range r.names {
		if n == name {
			return r.match[i]
		}
	}
	return ""
}

// Text returns what the follower said: the content of a text message, the
// recognised speech of a voice message, or "".
func (r *Request) Text() string {
	switch m := r.Message.(type) {
	case *TextMessage:
		return m.Content
	case *VoiceMessage:
		return m.Recognition
	}
	return ""
}

// Kind names the type of the delivery: "text", "event/subscribe",
// "info/component_verify_ticket". It is a pattern of [Mux].
func (r *Request) Kind() string { return kindOf(r.Message) }

func kindOf(m Message) string {
	switch m := m.(type) {
	case Event:
		return "event/" + m.EventHead().Event
	case Info:
		return "info/" + m.InfoHead().InfoType
	}
	return m.Head().MsgType
}

// Key is the same for all deliveries of one message and different for any two
// messages of the account (排重, reference §4.2). It holds the follower's OpenID.
func (r *Request) Key() string {
	h := r.Message.Head()
	join := func(parts ...string) string { return strings.Join(parts, "\x00") }
	switch m := r.Message.(type) {
	case interface{ msgID() int64 }:
		if id := m.msgID(); id != 0 {
			return join(h.ToUserName, h.FromUserName, strconv.FormatInt(id, 10))
		}
	case interface{ jobID() int64 }:
		if id := m.jobID(); id != 0 {
			return join(h.ToUserName, r.Kind(), strconv.FormatInt(id, 10))
		}
	case interface{ jobKey() string }:
		if key := m.jobKey(); key != "" {
			return join(h.ToUserName, r.Kind(), key)
		}
	case Info:
		i := m.InfoHead()
		sum := sha256.Sum256([]byte(r.body))
		return join(i.AppID, r.Kind(), strconv.FormatInt(h.CreateTime, 10), string(sum[:]))
	}
	// Two events of a follower can share a second; a repeat has the same body.
	sum := sha256.Sum256([]byte(r.body))
	return join(h.ToUserName, h.FromUserName, strconv.FormatInt(h.CreateTime, 10), r.Kind(), routeKey(r.Message), string(sum[:]))
}

func routeKey(m Message) string {
	if k, ok := m.(interface{ routeKey() string }); ok {
		return k.routeKey()
	}
	return ""
}

// Encode writes the clear XML of a reply to this delivery: sender and receiver
// swapped, time in seconds. Nothing to say is the empty slice. [Encoded] turns
// the bytes back into a reply, so that a repeat can be given the same ones.
func (r *Request) Encode(reply Reply, now time.Time) []byte {
	h := r.Message.Head()
	return reply.appendXML(nil, h.FromUserName, h.ToUserName, now.Unix())
}

// FoldText makes texts comparable that a follower would call the same: blanks
// around are cut, full-width letters, digits and signs become ASCII, and letters
// lower-case.
func FoldText(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\u3000':
			return ' '
		case r >= '\uFF01' && r <= '\uFF5E':
			r -= 0xFEE0
		}
		return unicode.ToLower(r)
	}, s)
	return strings.TrimSpace(s)
}
