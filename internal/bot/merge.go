package bot

import "fmt"

// Kept is a secret that a file masks: what is stored for the account stays.
type Kept struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Account int    `json:"account"` // index in Bot.Accounts
	Field   string `json:"field"`   // token, previous_token, app_secret, aes_key or previous_aes_key
}

// ApplyMasks returns the bot with every masked secret taken from the stored
// account of the same path. The error is of type [Mistakes]: a mask of a
// secret that is not stored.
func (b Bot) ApplyMasks(stored func(path string) (Account, bool)) (Bot, error) {
	merged := Bot{Accounts: append([]Account(nil), b.Accounts...)}
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
			*secret = *old.secret(k.Field)
		}
		if *secret == "" {
			ms = append(ms, Mistake{
				File: k.File, Line: k.Line, Key: fmt.Sprintf("accounts[%d].%s", k.Account, k.Field),
				Chinese: Mask + " 表示保留原值，但账号 " + a.Path + " 没有原值；请写出完整的值",
				English: Mask + " keeps the stored value, but account " + a.Path + " has none; write the value itself",
			})
		}
	}
	if err := ms.err(); err != nil {
		return Bot{}, err
	}
	return merged, nil
}

// secret returns the field of a secret by its key, or nil.
func (a *Account) secret(key string) *Secret {
	switch key {
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
	return nil
}
