package bot

import (
	"fmt"
	"io"
	"log/slog"
)

// Mask stands for a secret wherever one would be shown. Written in a file, it
// means: keep what is stored.
const Mask = "********"

// Secret is a value that must not reach a log, an error or a screen. However
// it is printed, logged or marshalled, it shows [Mask], or nothing where it is
// empty.
type Secret string

// Reveal returns the value itself.
func (s Secret) Reveal() string { return string(s) }

// String returns the mask.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return Mask
}

// Format prints the mask under every verb, %#v, %x and %d included.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue logs the mask.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText gives encoders, JSON among them, the mask.
// [MarshalConfig] is the one way to write a secret in clear.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
