package oa

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
)

// Errors of [Key.Open]. What failed is told to the owner, never to the sender.
var (
	// ErrCiphertext: not base64, a wrong length, or a padding that does not
	// fit: most often the wrong EncodingAESKey (the samples' -40007, -40008).
	ErrCiphertext = errors.New("oa: the ciphertext does not open with this EncodingAESKey")
	// ErrAppID: it opened, but is meant for another AppID (the samples' -40005).
	ErrAppID = errors.New("oa: the ciphertext is for another AppID")
)

// blockSize is the padding block of the scheme, twice that of AES
// (reference §3.1): paddings of 17 to 32 bytes are ordinary.
const blockSize = 32

// Sign returns the lower-case hex SHA-1 over the sorted parts: of Token,
// timestamp and nonce it is a request's signature (reference §1.1), of Token,
// timestamp, nonce and Encrypt its msg_signature (§3.2).
func Sign(parts ...string) string {
	sum := sign(nil, parts...)
	return string(sum[:])
}

// sign is Sign off the heap. encrypt is one more part, nil where there is none.
func sign(encrypt []byte, parts ...string) [2 * sha1.Size]byte {
	var room [4]string
	sorted := append(room[:0], parts...)
	slices.Sort(sorted)
	joined := make([]byte, 0, 768) // enough for a usual Encrypt
	written := false
	for _, p := range sorted {
		if !written && string(encrypt) < p {
			joined = append(joined, encrypt...)
			written = true
		}
		joined = append(joined, p...)
	}
	if !written {
		joined = append(joined, encrypt...)
	}
	sum := sha1.Sum(joined)
	var out [2 * sha1.Size]byte
	hex.Encode(out[:], sum[:])
	return out
}

// sameSignature compares in constant time.
func sameSignature(want [2 * sha1.Size]byte, got string) bool {
	return subtle.ConstantTimeCompare(want[:], []byte(got)) == 1
}

// Key is a decoded EncodingAESKey. It is safe for concurrent use.
type Key struct {
	block cipher.Block
	iv    [aes.BlockSize]byte
}

// ParseKey decodes an EncodingAESKey, 43 characters of the base64 alphabet. Its
// last character may carry two stray bits, as keys typed by hand do.
func ParseKey(encodingAESKey string) (*Key, error) {
	if len(encodingAESKey) != 43 {
		return nil, fmt.Errorf("oa: an EncodingAESKey has 43 characters, this one has %d", len(encodingAESKey))
	}
	raw, err := base64.StdEncoding.DecodeString(encodingAESKey + "=")
	if err != nil {
		return nil, errors.New("oa: an EncodingAESKey consists of letters and digits only")
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, fmt.Errorf("oa: EncodingAESKey: %w", err)
	}
	k := &Key{block: block}
	copy(k.iv[:], raw)
	return k, nil
}

// Seal encrypts msg for appID and returns the base64 text of an Encrypt element.
func (k *Key) Seal(msg []byte, appID string) string {
	var random [16]byte
	rand.Read(random[:])
	_, sealed := k.appendSeal(nil, nil, random, msg, appID)
	return string(sealed)
}

// appendSeal writes the ciphertext to buf and appends its base64 text to dst.
func (k *Key) appendSeal(dst, buf []byte, random [16]byte, msg []byte, appID string) (ciphertext, sealed []byte) {
	b := append(buf[:0], random[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(msg)))
	b = append(b, msg...)
	b = append(b, appID...)
	pad := blockSize - len(b)%blockSize
	for range pad {
		b = append(b, byte(pad))
	}
	cipher.NewCBCEncrypter(k.block, k.iv[:]).CryptBlocks(b, b)
	return b, base64.StdEncoding.AppendEncode(dst, b)
}

// Open decrypts the text of an Encrypt element. Check its msg_signature first.
// The error is [ErrCiphertext] or [ErrAppID].
func (k *Key) Open(encrypt, appID string) ([]byte, error) {
	return k.open(nil, []byte(encrypt), appID)
}

// open decrypts into buf, of which the result is a part.
func (k *Key) open(buf, encrypt []byte, appID string) ([]byte, error) {
	b, err := base64.StdEncoding.AppendDecode(buf[:0], encrypt)
	if err != nil || len(b) == 0 || len(b)%aes.BlockSize != 0 {
		return nil, ErrCiphertext
	}
	cipher.NewCBCDecrypter(k.block, k.iv[:]).CryptBlocks(b, b)
	pad := int(b[len(b)-1])
	if pad < 1 || pad > blockSize || pad > len(b) {
		return nil, ErrCiphertext
	}
	if tail := b[len(b)-pad:]; bytes.Count(tail, tail[:1]) != pad {
		return nil, ErrCiphertext
	}
	b = b[:len(b)-pad]
	if len(b) < 20 {
		return nil, ErrCiphertext
	}
	n := uint64(binary.BigEndian.Uint32(b[16:20]))
	if n > uint64(len(b)-20) {
		return nil, ErrCiphertext
	}
	if string(b[20+n:]) != appID {
		return nil, ErrAppID
	}
	return b[20 : 20+n], nil
}
