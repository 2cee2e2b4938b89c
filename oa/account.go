package oa

import (
	"errors"
	"fmt"
)

// Mode is the account's 消息加解密方式: how WeChat wraps deliveries and how
// replies must be wrapped (reference §2). It belongs to the account; nothing in
// a request can change it.
type Mode int

const (
	// Plain is 明文模式: bodies and replies are clear XML.
	Plain Mode = iota + 1
	// Compat is 兼容模式: bodies carry clear elements and an envelope. Only the
	// envelope is signed, so only the envelope is read; replies are encrypted.
	Compat
	// Secure is 安全模式: bodies and replies are envelopes.
	Secure
)

// String returns "plain", "compat" or "secure".
func (m Mode) String() string {
	switch m {
	case Plain:
		return "plain"
	case Compat:
		return "compat"
	case Secure:
		return "secure"
	}
	return "unset"
}

// ParseMode is the inverse of [Mode.String]. It also knows the Chinese names
// of the settings page: 明文, 兼容, 安全, with or without 模式.
func ParseMode(s string) (Mode, error) {
	switch s {
	case "plain", "明文", "明文模式":
		return Plain, nil
	case "compat", "兼容", "兼容模式":
		return Compat, nil
	case "secure", "安全", "安全模式":
		return Secure, nil
	}
	return 0, fmt.Errorf("oa: mode %q is not known: use plain, compat or secure", s)
}

// Account is what one Official Account and its server agreed on in the
// 服务器配置 page (reference §0).
type Account struct {
	// Name is shown by a signed GET without echostr. Optional.
	Name string
	// AppID is the account's 开发者ID (wx…); on a third-party platform the
	// component's. Needed in compat and secure mode.
	AppID string
	// Token is the shared secret of the signatures. It must not be empty.
	Token string
	// PreviousToken is accepted besides Token while a change takes effect.
	PreviousToken string
	// AESKey is the EncodingAESKey: 43 letters and digits. Needed in compat
	// and secure mode.
	AESKey string
	// PreviousAESKey opens deliveries that were sealed before a change; their
	// replies are sealed with it too (reference §3.6).
	PreviousAESKey string
	// Mode defaults to Secure where AESKey is given and to Plain elsewhere.
	Mode Mode
}

// mode resolves the default.
func (a *Account) mode() Mode {
	if a.Mode == 0 && a.AESKey != "" {
		return Secure
	}
	if a.Mode == 0 {
		return Plain
	}
	return a.Mode
}

// Validate reports everything that [NewServer] would refuse.
func (a *Account) Validate() error {
	var errs []error
	if a.Token == "" {
		errs = append(errs, errors.New("oa: the account needs a Token: without one anybody could pretend to be WeChat"))
	}
	mode := a.mode()
	switch mode {
	case Plain, Compat, Secure:
	default:
		errs = append(errs, fmt.Errorf("oa: mode %d is not known: use Plain, Compat or Secure", mode))
	}
	if mode == Compat || mode == Secure {
		if a.AESKey == "" {
			errs = append(errs, fmt.Errorf("oa: mode %s needs the EncodingAESKey", mode))
		}
		if a.AppID == "" {
			errs = append(errs, fmt.Errorf("oa: mode %s needs the AppID", mode))
		}
	}
	for _, k := range []struct{ name, key string }{{"EncodingAESKey", a.AESKey}, {"previous EncodingAESKey", a.PreviousAESKey}} {
		if k.key == "" {
			continue
		}
		if _, err := ParseKey(k.key); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", k.name, err))
		}
	}
	return errors.Join(errs...)
}
