package bot

import (
	"fmt"
	"reflect"
	"strings"
)

// Change is what it takes to get from the stored accounts to those of a file.
type Change struct {
	Added     []Account
	Changed   []Edit
	Removed   []Account
	Unchanged []Account // as the file has them, or, without prune, not in the file
}

// Edit is one account before and after.
type Edit struct {
	Old, New Account
	Keys     []string // what differs: greeting, rules[2], token …
}

// Diff compares accounts by path. Accounts that only old has are removed with
// prune, and left alone without.
func Diff(old, file []Account, prune bool) Change {
	stored := make(map[string]Account, len(old))
	for _, a := range old {
		stored[a.Path] = a
	}
	var c Change
	kept := make(map[string]bool, len(file))
	for _, a := range file {
		kept[a.Path] = true
		before, ok := stored[a.Path]
		if !ok {
			c.Added = append(c.Added, a)
		} else if keys := differences(before, a); len(keys) > 0 {
			c.Changed = append(c.Changed, Edit{Old: before, New: a, Keys: keys})
		} else {
			c.Unchanged = append(c.Unchanged, a)
		}
	}
	for _, a := range old {
		switch {
		case kept[a.Path]:
		case prune:
			c.Removed = append(c.Removed, a)
		default:
			c.Unchanged = append(c.Unchanged, a)
		}
	}
	return c
}

// IsZero reports whether there is nothing to do.
func (c Change) IsZero() bool { return len(c.Added)+len(c.Changed)+len(c.Removed) == 0 }

// String lists the accounts, one a line, with the keys that change. It shows
// no value.
func (c Change) String() string {
	var b strings.Builder
	for _, a := range c.Added {
		fmt.Fprintf(&b, "+ %s  新增（added）\n", a.Path)
	}
	for _, e := range c.Changed {
		fmt.Fprintf(&b, "~ %s  更改（changed）: %s\n", e.New.Path, strings.Join(e.Keys, ", "))
	}
	for _, a := range c.Removed {
		fmt.Fprintf(&b, "- %s  删除（removed）\n", a.Path)
	}
	if n := len(c.Unchanged); n > 0 {
		fmt.Fprintf(&b, "= %d 个账号不变（unchanged）\n", n)
	}
	return b.String()
}

// differences returns the keys whose values differ, in the order of the file.
func differences(a, b Account) []string {
	var keys []string
	compare := func(key string, x, y any) {
		if !reflect.DeepEqual(x, y) {
			keys = append(keys, key)
		}
	}
	compare("name", a.Name, b.Name)
	compare("token", a.Token, b.Token)
	compare("previous_token", a.PreviousToken, b.PreviousToken)
	compare("app_id", a.AppID, b.AppID)
	compare("app_secret", a.AppSecret, b.AppSecret)
	compare("aes_key", a.AESKey, b.AESKey)
	compare("previous_aes_key", a.PreviousAESKey, b.PreviousAESKey)
	compare("mode", a.Mode, b.Mode)
	compare("greeting", a.Greeting, b.Greeting)
	if len(a.Rules) != len(b.Rules) {
		keys = append(keys, fmt.Sprintf("rules (%d → %d)", len(a.Rules), len(b.Rules)))
	} else {
		for i := range a.Rules {
			compare(fmt.Sprintf("rules[%d]", i), a.Rules[i], b.Rules[i])
		}
	}
	compare("model", a.Model, b.Model)
	compare("fallback", a.Fallback, b.Fallback)
	return keys
}
