package bot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretIsNeverShown(t *testing.T) {
	const value = "hunter2"
	a := Account{Path: "a", Token: value, AESKey: value, Model: Model{Endpoints: []Endpoint{{Key: value}}}}
	var shown bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		fmt.Fprintf(&shown, verb+"\n", a.Token)
		fmt.Fprintf(&shown, verb+"\n", a)
		fmt.Fprintf(&shown, verb+"\n", &a)
	}
	fmt.Fprintln(&shown, a.Token, a.Token.String())
	slog.New(slog.NewTextHandler(&shown, nil)).Info("account", "token", a.Token, "account", a)
	slog.New(slog.NewJSONHandler(&shown, nil)).Info("account", "token", a.Token, "account", a)
	if err := json.NewEncoder(&shown).Encode(a); err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{value, fmt.Sprintf("%x", value), fmt.Sprintf("%X", value)} {
		if strings.Contains(shown.String(), form) {
			t.Errorf("%q is shown in\n%s", form, &shown)
		}
	}
	if !strings.Contains(shown.String(), Mask) {
		t.Errorf("no mask in\n%s", &shown)
	}
	if got := a.Token.Reveal(); got != value {
		t.Errorf("Reveal() = %q", got)
	}
	if got := Secret("").String(); got != "" {
		t.Errorf("an empty secret shows %q", got)
	}
}
