package oa

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"strconv"
)

// envelope is what the reply to an encrypted delivery is wrapped with
// (reference §3.3, §3.4).
type envelope struct {
	key              *Key // the one that opened the delivery
	appID            string
	token            string // the one that signed it
	timestamp, nonce string
	json             bool
}

// findEncrypt returns the text of the Encrypt element of a body, nil if there is
// none. In compat mode it is the last element (reference §2.2), and nothing that
// stands before it matters: a follower's text there may look like anything.
func findEncrypt(body []byte) (encrypt []byte, json bool) {
	if body = bytes.TrimLeft(bytes.TrimPrefix(body, []byte("\uFEFF")), " \t\r\n"); bytes.HasPrefix(body, []byte("{")) {
		elements, err := scan(clean(body), nil)
		if err != nil {
			return nil, true
		}
		e, _ := Find(elements, "Encrypt")
		return bytes.TrimSpace([]byte(e.Text)), true
	}
	// Forwards is 0.5 µs faster than bytes.LastIndex here.
	found := false
	for {
		_, after, ok := bytes.Cut(body, []byte("<Encrypt>"))
		if !ok {
			break
		}
		body, found = after, true
	}
	encrypt, _, ok := bytes.Cut(body, []byte("</Encrypt>"))
	if !found || !ok {
		return nil, false
	}
	encrypt = bytes.TrimSpace(encrypt)
	if section, ok := bytes.CutPrefix(encrypt, []byte(cdataOpen)); ok {
		encrypt = bytes.TrimSpace(bytes.TrimSuffix(section, []byte(cdataClose)))
	}
	return encrypt, false
}

// seal wraps the clear XML of a reply; the result lives in the scratch.
func (e *envelope) seal(clear []byte, s *scratch) []byte {
	if e.json {
		clear = jsonReply(clear)
	}
	var random [16]byte
	rand.Read(random[:])
	s.cipher, s.sealed = e.key.appendSeal(s.sealed[:0], s.cipher[:0], random, clear, e.appID)
	sum := sign(s.sealed, e.token, e.timestamp, e.nonce)
	b := s.out[:0]
	if e.json {
		nonce, _ := json.Marshal(e.nonce) // a string never fails
		b = append(append(append(b, `{"Encrypt":"`...), s.sealed...), `","MsgSignature":"`...)
		b = append(append(append(b, sum[:]...), `","TimeStamp":`...), e.timestamp...)
		b = append(append(append(b, `,"Nonce":`...), nonce...), '}')
	} else {
		b = append(append(append(b, "<xml>\n<Encrypt>"+cdataOpen...), s.sealed...), cdataClose+"</Encrypt>\n<MsgSignature>"+cdataOpen...)
		b = append(append(append(b, sum[:]...), cdataClose+"</MsgSignature>\n<TimeStamp>"...), e.timestamp...)
		b = appendElement(append(b, "</TimeStamp>\n"...), "Nonce", e.nonce)
		b = append(b, "</xml>"...)
	}
	s.out = b
	return b
}

// jsonReply is the JSON form of a reply, for accounts whose data format is
// JSON. Only its plainest cases are documented (reference §3.4).
func jsonReply(clear []byte) []byte {
	elements, err := scan(string(clear), nil)
	if err != nil {
		return clear
	}
	b, err := json.Marshal(jsonMembers(elements))
	if err != nil {
		return clear
	}
	return b
}

func jsonMembers(elements []Element) map[string]any {
	m := make(map[string]any, len(elements))
	for _, e := range elements {
		var v any = e.Text
		switch {
		case e.Name == "item":
			items, _ := m["item"].([]any)
			v = append(items, jsonMembers(e.Children))
		case e.Children != nil:
			v = jsonMembers(e.Children)
		case e.Name == "CreateTime" || e.Name == "ArticleCount":
			v, _ = strconv.ParseInt(e.Text, 10, 64)
		}
		m[e.Name] = v
	}
	return m
}
