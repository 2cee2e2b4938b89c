package bot

import (
	"fmt"
	"slices"
	"strings"
)

// Kept is a secret that a file masks: what is stored for the account stays.
type Kept struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Account int    `json:"account"` // index in Bot.Accounts
	Field   string `json:"field"`   // the secret's key path within the account: token, model.backups[0].key
}

// ApplyMasks returns the bot with every masked secret taken from the stored
// account of the same path. A model's key is kept for the address it was given
// for, so that no provider gets the key of another. The error is of type
// [Mistakes]: a mask of a secret that is not stored.
func (b Bot) ApplyMasks(stored func(path string) (Account, bool)) (Bot, error) {
	merged := Bot{Accounts: slices.Clone(b.Accounts)}
	for i := range merged.Accounts {
		m := &merged.Accounts[i].Model
		m.Endpoints = slices.Clone(m.Endpoints)
	}
	var ms Mistakes
	for _, k := range b.Kept {
		if k.Account < 0 || k.Account >= len(merged.Accounts) {
			return Bot{}, fmt.Errorf("masked %s of account %d: there are %d accounts", k.Field, k.Account, len(merged.Accounts))
		}
		a := &merged.Accounts[k.Account]
		secret := a.secret(k.Field)
		if secret == nil {
			return Bot{}, fmt.Errorf("masked %s of account %d: there is no such secret", k.Field, k.Account)
		}
		if old, ok := stored(a.Path); ok {
			*secret = a.kept(k.Field, old)
		}
		if *secret == "" {
			zh, en := "没有原值", "has none"
			if strings.HasPrefix(k.Field, "model") {
				zh, en = "没有给这个服务商的地址存过 key", "has no key for this provider's address"
			}
			ms = append(ms, Mistake{
				File: k.File, Line: k.Line, Key: fmt.Sprintf("accounts[%d].%s", k.Account, k.Field),
				Chinese: Mask + " 表示保留原值，但账号 " + a.Path + " " + zh + "；请写出完整的值",
				English: Mask + " keeps the stored value, but account " + a.Path + " " + en + "; write the value itself",
			})
		}
	}
	if err := ms.err(); err != nil {
		return Bot{}, err
	}
	return merged, nil
}

// kept returns what is stored for the secret of a field.
func (a *Account) kept(field string, old Account) Secret {
	for i, e := range a.Model.Endpoints {
		if field == keyField(i) {
			return old.Model.keyOf(e.address(), i)
		}
	}
	return *old.secret(field)
}

// secret returns the secret of a field, or nil.
func (a *Account) secret(field string) *Secret {
	switch field {
	case "token":
		return &a.Token
	case "previous_token":
		return &a.PreviousToken
	case "app_secret":
		return &a.AppSecret
	case "aes_key":
		return &a.AESKey
	case "previous_aes_key":
		return &a.PreviousAESKey
	}
	for i := range a.Model.Endpoints {
		if field == keyField(i) {
			return &a.Model.Endpoints[i].Key
		}
	}
	return nil
}
