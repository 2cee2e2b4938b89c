package oa

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// seal is Key.Seal with given random bytes.
func (v vector) seal(t *testing.T, msg string) string {
	t.Helper()
	k, err := ParseKey(v.key)
	if err != nil {
		t.Fatal(err)
	}
	var random [16]byte
	copy(random[:], v.random)
	_, sealed := k.appendSeal(nil, nil, random, []byte(msg), v.appID)
	return string(sealed)
}

// TestVectors goes through reference §11 both ways.
func TestVectors(t *testing.T) {
	for _, v := range loadReference(t).vectors {
		t.Run(v.name, func(t *testing.T) {
			if v.signature != "" {
				if got := Sign(v.token, v.timestamp, v.nonce); got != v.signature {
					t.Errorf("signature %s, want %s", got, v.signature)
				}
			}
			if v.msgSignature != "" {
				if got := Sign(v.token, v.timestamp, v.nonce, v.encrypt); got != v.msgSignature {
					t.Errorf("msg_signature %s, want %s", got, v.msgSignature)
				}
			}
			if v.key == "" {
				return // vector S
			}
			k, err := ParseKey(v.key)
			if err != nil {
				t.Fatal(err)
			}
			plain, err := k.Open(v.encrypt, v.appID)
			if err != nil {
				t.Fatal(err)
			}
			if string(plain) != v.plain {
				t.Errorf("opened %q\nwant   %q", plain, v.plain)
			}
			if len(plain) != v.msgLen {
				t.Errorf("message of %d bytes, want %d", len(plain), v.msgLen)
			}
			if got := v.seal(t, v.plain); got != v.encrypt {
				t.Errorf("sealed %s\nwant   %s", got, v.encrypt)
			}
			if n := 20 + len(v.plain) + len(v.appID) + v.pad; n != v.cipherBytes {
				t.Errorf("%d bytes with the padding, want %d", n, v.cipherBytes)
			}
			if _, err := k.Open(v.encrypt, v.appID+"x"); !errors.Is(err, ErrAppID) {
				t.Errorf("another AppID: %v, want ErrAppID", err)
			}
		})
	}
}

func TestSign(t *testing.T) {
	for _, c := range []struct {
		parts []string
		want  string
	}{ // reference §11
		{[]string{"AAAAA", "1714036504", "1514711492"}, "f464b24fc39322e44b38aa78f5edd27bd1441696"},
		{[]string{"AAAAA", "1714037059", "486452656"}, "899cf89e464efb63f54ddac96b0a0a235f53aa78"},
		{[]string{"GreedIsGood", "1668869433", "977789310"}, "37cc4891f809493628677ae2b592e63c938c0b03"},
		{[]string{"GreedIsGood", "1668926536", "794508645"}, "26abcc1499ae64fa330536e83b559e1c99844e2c"},
		{[]string{"345", "123"}, "9f537aeb751ec72605f57f94a2f6dc3e3958e1dd"},
		{nil, "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
		{[]string{"e", "d", "c", "b", "a"}, Sign("abcde")}, // more than the usual four
	} {
		if got := Sign(c.parts...); got != c.want {
			t.Errorf("Sign(%q) = %s, want %s", c.parts, got, c.want)
		}
	}
	parts := []string{"b", "a"}
	if Sign(parts...); parts[0] != "b" {
		t.Error("Sign sorts its caller's slice")
	}
}

// TestOpenRefuses has the negative cases at the end of reference §11.
func TestOpenRefuses(t *testing.T) {
	v := loadReference(t).vector(t, "G2")
	k, err := ParseKey(v.key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(v.encrypt)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.StdEncoding.EncodeToString
	flipped := bytes.Clone(raw)
	flipped[len(flipped)-1] ^= 1
	// sealed encrypts a clear text as it is, so that its lengths and padding can lie.
	sealed := func(clear []byte) string {
		b := bytes.Clone(clear)
		cipher.NewCBCEncrypter(k.block, k.iv[:]).CryptBlocks(b, b)
		return encode(b)
	}
	// frame is random, length and text, without padding.
	frame := func(n uint32, rest string) []byte {
		b := binary.BigEndian.AppendUint32([]byte(strings.Repeat("r", 16)), n)
		return append(b, rest...)
	}
	pad := func(b []byte, n int, value byte) []byte { return append(b, bytes.Repeat([]byte{value}, n)...) }
	id := v.appID // 18 bytes
	for _, c := range []struct {
		name, encrypt string
		want          error
	}{
		{"good, made here", sealed(pad(frame(2, "hi"+id), 24, 24)), nil},
		{"good, message empty", sealed(pad(frame(0, id), 26, 26)), nil},
		{"good, a whole block of padding", sealed(pad(frame(26, strings.Repeat("m", 26)+id), 32, 32)), nil},
		{"last byte flipped", encode(flipped), ErrCiphertext},
		{"not a multiple of 16", encode(raw[:len(raw)-1]), ErrCiphertext},
		{"empty", "", ErrCiphertext},
		{"no base64", "!" + v.encrypt[1:], ErrCiphertext},
		{"base64 cut", v.encrypt[:len(v.encrypt)-3], ErrCiphertext},
		{"pad byte 0", sealed(pad(frame(2, "hi"+id), 24, 0)), ErrCiphertext},
		{"pad byte 33", sealed(pad(frame(9, "mmmmmmmmm"+id), 33, 33)), ErrCiphertext},
		{"pad byte 255", sealed(pad(frame(2, "hi"+id), 24, 255)), ErrCiphertext},
		{"pad bytes unequal", sealed(append(pad(frame(2, "hi"+id), 23, 7), 24)), ErrCiphertext},
		{"all padding", sealed(bytes.Repeat([]byte{16}, 16)), ErrCiphertext},
		{"less than the frame", sealed(pad(bytes.Repeat([]byte{'r'}, 13), 19, 19)), ErrCiphertext},
		{"msg_len over the end", sealed(pad(frame(21, "hi"+id), 24, 24)), ErrCiphertext},
		{"msg_len of 4 GiB", sealed(pad(frame(1<<32-1, "hi"+id), 24, 24)), ErrCiphertext},
		{"msg_len one too small", sealed(pad(frame(1, "hi"+id), 24, 24)), ErrAppID},
		{"another AppID", sealed(pad(frame(2, "hi"+"wx0000000000000000"), 24, 24)), ErrAppID},
		{"no AppID", sealed(pad(frame(2, "hi"), 10, 10)), ErrAppID},
	} {
		if _, err := k.Open(c.encrypt, id); !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	other, err := ParseKey("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Open(v.encrypt, id); !errors.Is(err, ErrCiphertext) {
		t.Errorf("another key: %v, want ErrCiphertext", err)
	}
}

func TestSealIsFresh(t *testing.T) {
	k, err := ParseKey("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG") // its last character has stray bits
	if err != nil {
		t.Fatal(err)
	}
	a, b := k.Seal([]byte("hi"), "wx1"), k.Seal([]byte("hi"), "wx1")
	if a == b {
		t.Error("two seals of a text are the same: the random bytes are not fresh")
	}
	for n := range 3 * aes.BlockSize {
		msg := strings.Repeat("文", n)
		got, err := k.Open(k.Seal([]byte(msg), "wx1"), "wx1")
		if err != nil || string(got) != msg {
			t.Fatalf("%d characters: %q, %v", n, got, err)
		}
	}
}

func TestParseKeyRefuses(t *testing.T) {
	for _, key := range []string{
		"", "short", strings.Repeat("a", 42), strings.Repeat("a", 44), strings.Repeat("*", 43),
		strings.Repeat("a", 42) + "\n", strings.Repeat("a", 42) + "=",
	} {
		if k, err := ParseKey(key); err == nil || k != nil {
			t.Errorf("ParseKey(%q) is taken", key)
		} else if len(key) > 10 && strings.Contains(err.Error(), key[:10]) {
			t.Errorf("the error shows the key: %v", err)
		}
	}
}
