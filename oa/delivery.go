package oa

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// NewDelivery builds the POST with which WeChat would deliver a message to the
// account's server: signed with its Token and, in compat and secure mode,
// sealed with its key, in the byte layout of reference §2. With it a test of a
// handler takes three lines. body is the clear XML, most easily of [Marshal].
func NewDelivery(a Account, address string, body []byte) (*http.Request, error) {
	return NewDeliveryAt(a, address, body, time.Now())
}

// NewDeliveryAt is [NewDelivery] by another clock than this machine's: at is
// what the signature is dated.
func NewDeliveryAt(a Account, address string, body []byte, at time.Time) (*http.Request, error) {
	return newDelivery(a, address, body, strconv.FormatInt(at.Unix(), 10), Nonce())
}

// Nonce returns a random nonce as WeChat makes them, up to ten digits.
func Nonce() string {
	n, err := rand.Int(rand.Reader, big.NewInt(1<<31))
	if err != nil {
		panic(err) // never: crypto/rand.Reader does not fail
	}
	return n.String()
}

func newDelivery(a Account, address string, body []byte, timestamp, nonce string) (*http.Request, error) {
	if err := a.Validate(); err != nil {
		return nil, err
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("oa: address of the server: %w", err)
	}
	text := clean(body)
	elements, err := scan(text, nil)
	if err != nil {
		return nil, err
	}
	params := [][2]string{{"signature", Sign(a.Token, timestamp, nonce)}, {"timestamp", timestamp}, {"nonce", nonce}}
	if from, ok := Find(elements, "FromUserName"); ok {
		params = append(params, [2]string{"openid", from.Text})
	}
	if a.mode() != Plain {
		key, err := ParseKey(a.AESKey)
		if err != nil {
			return nil, err
		}
		encrypt := key.Seal(body, a.AppID)
		params = append(params, [2]string{"encrypt_type", "aes"}, [2]string{"msg_signature", Sign(a.Token, timestamp, nonce, encrypt)})
		if body, err = wrap(a.mode(), body, encrypt); err != nil {
			return nil, err
		}
	}
	query := u.RawQuery
	for _, p := range params {
		if query != "" {
			query += "&"
		}
		query += p[0] + "=" + url.QueryEscape(p[1])
	}
	u.RawQuery = query
	req, err := http.NewRequest(http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{
		"User-Agent":   {"Mozilla/4.0"},
		"Accept":       {"*/*"},
		"Pragma":       {"no-cache"},
		"Content-Type": {"text/xml"},
	}
	if isJSON(text) {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// wrap writes the encrypted body: every element on a line of its own, indented
// by four spaces; in compat mode the clear elements first (reference §2.2). Where
// the data is JSON, so is the body (§3.4).
func wrap(mode Mode, clear []byte, encrypt string) ([]byte, error) {
	s := clean(clear)
	elements, err := scan(s, nil)
	if err != nil {
		return nil, err
	}
	receiver, ok := Find(elements, "ToUserName")
	if !ok {
		receiver, ok = Find(elements, "AppId")
	}
	if isJSON(s) {
		return json.Marshal(struct{ ToUserName, Encrypt string }{receiver.Text, encrypt})
	}
	b := []byte("<xml>\n")
	const indent = "    "
	if mode == Compat {
		raw, err := rawElements(s)
		if err != nil {
			return nil, err
		}
		for _, e := range raw {
			b = append(append(append(b, indent...), e...), '\n')
		}
	} else if ok {
		b = appendElement(append(b, indent...), receiver.Name, receiver.Text)
	}
	b = append(b, indent+"<Encrypt>"+cdataOpen...)
	return append(append(b, encrypt...), cdataClose+"</Encrypt>\n</xml>\n"...), nil
}

// rawElements cuts a body into its top-level elements as they are written.
func rawElements(s string) ([]string, error) {
	p := scanner{s: trim(s)}
	if !p.open() {
		return nil, errMalformed
	}
	var raw []string
	for {
		p.space()
		if p.closes("xml") {
			return raw, nil
		}
		before := p.s
		name, ok := p.start()
		if !ok || !p.value(&Element{Name: name}, 0) {
			return nil, errMalformed
		}
		raw = append(raw, before[:len(before)-len(p.s)])
	}
}

// NewCheck builds the GET with which WeChat verifies the account's server
// address (reference §1). The answer must be exactly echostr.
func NewCheck(a Account, address, echostr string) (*http.Request, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("oa: address of the server: %w", err)
	}
	timestamp, nonce := strconv.FormatInt(time.Now().Unix(), 10), Nonce()
	q := u.Query()
	q.Set("signature", Sign(a.Token, timestamp, nonce))
	q.Set("timestamp", timestamp)
	q.Set("nonce", nonce)
	q.Set("echostr", echostr)
	u.RawQuery = q.Encode()
	req, err := http.NewRequest(http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{"User-Agent": {"Mozilla/4.0"}, "Accept": {"*/*"}, "Pragma": {"no-cache"}}
	return req, nil
}

// OpenReply takes the envelope off a reply, as WeChat does in compat and secure
// mode: it checks MsgSignature, decrypts, and checks the AppID. The elements of
// the clear reply are what [ParseElements] gives.
func OpenReply(a Account, body []byte) ([]byte, error) {
	elements, err := scan(clean(body), nil)
	if err != nil {
		return nil, err
	}
	text := func(name string) string {
		e, _ := Find(elements, name)
		return strings.TrimSpace(e.Text)
	}
	encrypt := text("Encrypt")
	if encrypt == "" {
		return nil, errors.New("oa: the reply has no Encrypt element")
	}
	if Sign(a.Token, text("TimeStamp"), text("Nonce"), encrypt) != text("MsgSignature") {
		return nil, errors.New("oa: MsgSignature of the reply does not fit its Encrypt, TimeStamp and Nonce")
	}
	key, err := ParseKey(a.AESKey)
	if err != nil {
		return nil, err
	}
	return key.Open(encrypt, a.AppID)
}

// ParseElements reads the body of a delivery or of a reply into its elements.
func ParseElements(body []byte) ([]Element, error) { return scan(clean(body), nil) }

// ParseMessage reads the clear body of a delivery.
func ParseMessage(body []byte) (Message, error) {
	elements, err := ParseElements(body)
	if err != nil {
		return nil, err
	}
	return parse(elements)
}
