package oa

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
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
	// Signature is that of the query, 40 hexadecimal digits: the hash of Token,
	// timestamp and nonce, not of the message. A repeated delivery carries the one
	// of the first.
	Signature string

	body  string // clean and decrypted
	names []string
	match []string
}

// Body returns the delivery as it was parsed: decrypted, without control
// characters, in valid UTF-8.
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

// MsgID returns the MsgId of an ordinary message, 0 for everything else.
func (r *Request) MsgID() int64 {
	if m, ok := r.Message.(interface{ msgID() int64 }); ok {
		return m.msgID()
	}
	return 0
}

// Key is the same for all deliveries of one message and different for any two
// messages of the account (排重, reference §4.2). It holds the follower's OpenID;
// it is UTF-8 without NUL, so that any store takes it.
func (r *Request) Key() string {
	h := r.Message.Head()
	to := h.ToUserName
	join := func(parts ...string) string { return strings.Join(parts, "\x1f") } // in no delivery, see clean
	switch m := r.Message.(type) {
	case interface{ msgID() int64 }:
		if id := m.msgID(); id != 0 {
			return join(to, h.FromUserName, strconv.FormatInt(id, 10))
		}
	case interface{ jobKey() string }:
		if key := m.jobKey(); key != "" {
			return join(to, r.Kind(), key)
		}
	case Info:
		to = m.InfoHead().AppID
	}
	// Two events of a follower can share a second; a repeat has the same
	// elements, though perhaps not the same Encrypt (reference §4.1).
	sum := sha256.New()
	hashElements(sum, r.Elements())
	return join(to, h.FromUserName, strconv.FormatInt(h.CreateTime, 10), r.Kind(), hex.EncodeToString(sum.Sum(nil)))
}

// hashElements writes the elements so that different ones cannot look the same.
func hashElements(w io.Writer, elements []Element) {
	for _, e := range elements {
		if e.Name != "Encrypt" {
			fmt.Fprintf(w, "%q %q %d ", e.Name, e.Text, len(e.Children))
			hashElements(w, e.Children)
		}
	}
}

// EventKey returns what tells events of one name apart: the scene of a QR code
// (without "qrscene_"), the key of a menu button, the address it opens; "" for
// messages and for events without one. It is the last part of a [Mux] pattern.
func (r *Request) EventKey() string { return routeKey(r.Message) }

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
	if reply.IsZero() {
		return nil
	}
	b := make([]byte, 0, 256+len(h.FromUserName)+len(h.ToUserName)+len(reply.text))
	return reply.appendXML(b, h.FromUserName, h.ToUserName, now.Unix())
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
