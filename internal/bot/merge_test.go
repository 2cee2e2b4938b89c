package bot

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/oa"
)

const masked = `accounts:
- path: a
  name: 新名字
  token: '********'
  app_id: wx0123456789abcdef
  aes_key: "********"
- path: b
  token: brandNew
`

func TestApplyMasks(t *testing.T) {
	b, err := Parse("bot.yaml", []byte(masked), testEnv)
	if err != nil {
		t.Fatal(err)
	}
	if a := b.Accounts[0]; a.Token != "" || a.AESKey != "" || a.Mode != oa.Secure {
		t.Fatalf("before: token and key set: %t, %t; mode %v", a.Token != "", a.AESKey != "", a.Mode)
	}
	stored := Account{Path: "a", Name: "旧名字", Token: "stored", AESKey: aesKey, AppSecret: "gone"}
	merged, err := b.ApplyMasks(func(path string) (Account, bool) { return stored, path == "a" })
	if err != nil {
		t.Fatal(err)
	}
	want := []Account{
		{Path: "a", Name: "新名字", Token: "stored", AppID: "wx0123456789abcdef", AESKey: aesKey, Mode: oa.Secure},
		{Path: "b", Token: "brandNew", Mode: oa.Plain},
	}
	if diff := cmp.Diff(want, merged.Accounts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if b.Accounts[0].Token != "" {
		t.Error("the bot itself was changed")
	}
}

func TestApplyMasksWithoutStoredValue(t *testing.T) {
	b, err := Parse("bot.yaml", []byte(masked), testEnv)
	if err != nil {
		t.Fatal(err)
	}
	const token = "bot.yaml:4: accounts[0].token: ******** 表示保留原值，但账号 a 没有原值；请写出完整的值（******** keeps the stored value, but account a has none; write the value itself）"
	const key = "bot.yaml:6: accounts[0].aes_key: ******** 表示保留原值，但账号 a 没有原值；请写出完整的值（******** keeps the stored value, but account a has none; write the value itself）"
	tests := []struct {
		name   string
		stored func(string) (Account, bool)
		want   string
	}{
		{"new account", func(string) (Account, bool) { return Account{}, false }, token + "\n" + key},
		{"stored without a key", func(string) (Account, bool) { return Account{Token: "stored"}, true }, key},
	}
	for _, test := range tests {
		_, err := b.ApplyMasks(test.stored)
		if _, ok := errors.AsType[Mistakes](err); !ok {
			t.Errorf("%s: %v is not Mistakes", test.name, err)
		} else if diff := cmp.Diff(test.want, err.Error()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// What arrives over the control socket may be anything.
func TestApplyMasksRefusesNonsense(t *testing.T) {
	stored := func(string) (Account, bool) { return Account{Token: "stored"}, true }
	for _, k := range []Kept{{Account: -1, Field: "token"}, {Account: 1, Field: "token"}, {Field: "path"}} {
		if _, err := (Bot{Accounts: []Account{{Path: "a"}}, Kept: []Kept{k}}).ApplyMasks(stored); err == nil {
			t.Errorf("%+v is accepted", k)
		}
	}
}
