package oa

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// The tests take their facts from the reference itself.

const referenceFile = "../reference/callback.md"

// sample is one ```xml block of the reference.
type sample struct {
	section string // "5.1"
	title   string
	xml     string
}

// vector is one of reference §11. What it does not give is empty.
type vector struct {
	name                                      string
	token, key, appID                         string
	timestamp, nonce, signature, msgSignature string
	random, encrypt, plain                    string
	msgLen, pad, cipherBytes                  int
}

func (v vector) account(mode Mode) Account {
	return Account{AppID: v.appID, Token: v.token, AESKey: v.key, Mode: mode}
}

type reference struct {
	samples []sample
	vectors []vector
}

var readReference = sync.OnceValues(func() (*reference, error) {
	b, err := os.ReadFile(referenceFile)
	if err != nil {
		return nil, err
	}
	var (
		ref     reference
		heading string
		block   []string
		fence   = ""
		v       *vector
	)
	for line := range strings.Lines(string(b)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case fence == "" && strings.HasPrefix(line, "#### Vector "):
			name, _, _ := strings.Cut(strings.TrimPrefix(line, "#### Vector "), " ")
			ref.vectors = append(ref.vectors, vector{name: name})
			v = &ref.vectors[len(ref.vectors)-1]
		case fence == "" && strings.HasPrefix(line, "#"):
			heading, v = strings.TrimLeft(line, "# "), nil
		case fence == "" && strings.HasPrefix(line, "```"):
			fence, block = strings.TrimPrefix(line, "```")+" ", nil
		case strings.HasPrefix(line, "```"):
			number, title, _ := strings.Cut(heading, " ")
			if fence == "xml " {
				ref.samples = append(ref.samples, sample{strings.TrimSuffix(number, "."), title, strings.Join(block, "\n")})
			}
			fence = ""
		case fence != "" && v != nil:
			if err := v.read(line); err != nil {
				return nil, err
			}
		case fence != "":
			block = append(block, line)
		}
	}
	return &ref, nil
})

var vectorLine = regexp.MustCompile(`^(token|EncodingAESKey|appid \(tail\)|timestamp|nonce|signature|msg_signature|random16|msg_len|pad|cipher bytes|Encrypt) +(\S+)`)

func (v *vector) read(line string) error {
	if strings.HasPrefix(line, `"`) {
		s, err := strconv.Unquote(line)
		v.plain = s
		return err
	}
	m := vectorLine.FindStringSubmatch(line)
	if m == nil {
		return nil
	}
	var err error
	switch m[1] {
	case "token":
		v.token = m[2]
	case "EncodingAESKey":
		v.key = m[2]
	case "appid (tail)":
		v.appID = m[2]
	case "timestamp":
		v.timestamp = m[2]
	case "nonce":
		v.nonce = m[2]
	case "signature":
		v.signature = m[2]
	case "msg_signature":
		v.msgSignature = m[2]
	case "random16":
		v.random = m[2]
	case "Encrypt":
		v.encrypt = m[2]
	case "msg_len":
		v.msgLen, err = strconv.Atoi(m[2])
	case "pad":
		v.pad, err = strconv.Atoi(m[2])
	case "cipher bytes":
		v.cipherBytes, err = strconv.Atoi(m[2])
	}
	return err
}

func loadReference(t testing.TB) *reference {
	t.Helper()
	ref, err := readReference()
	if err != nil {
		t.Fatal(err)
	}
	// A reader that finds nothing would prove nothing.
	if len(ref.samples) < 70 || len(ref.vectors) != 18 {
		t.Fatalf("the reference has %d samples and %d vectors", len(ref.samples), len(ref.vectors))
	}
	return ref
}

// section returns the samples of the chapters, "5" or "7.2".
func (r *reference) section(chapters ...string) []sample {
	var out []sample
	for _, s := range r.samples {
		for _, c := range chapters {
			if s.section == c || strings.HasPrefix(s.section, c+".") {
				out = append(out, s)
			}
		}
	}
	return out
}

func (r *reference) vector(t testing.TB, name string) vector {
	t.Helper()
	for _, v := range r.vectors {
		if v.name == name {
			return v
		}
	}
	t.Fatalf("the reference has no vector %s", name)
	return vector{}
}

// mustRead returns the text of the reference.
func mustRead(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
