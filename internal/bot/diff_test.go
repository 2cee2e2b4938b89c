package bot

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/oa"
)

func TestDiff(t *testing.T) {
	rules := []Rule{{Text: []string{"1"}, Reply: Reply{Text: "one"}}, {Text: []string{"2"}, Reply: Reply{Text: "two"}}}
	otherRules := []Rule{rules[0], {Text: []string{"2"}, Reply: Reply{Text: "zwei"}}}
	old := []Account{
		{Path: "same", Token: "abc", Rules: rules},
		{Path: "gone", Token: "abc"},
		{Path: "edited", Token: "oldSecret", Name: "a", Rules: rules, Mode: oa.Plain},
		{Path: "longer", Token: "abc"},
	}
	file := []Account{
		{Path: "new", Token: "newSecret"},
		{Path: "longer", Token: "abc", Rules: rules},
		{Path: "edited", Token: "newSecret", Name: "b", Rules: otherRules, Mode: oa.Secure, Fallback: Fallback{None: true}},
		{Path: "same", Token: "abc", Rules: []Rule{rules[0], rules[1]}},
	}
	changed := []Edit{
		{Old: old[3], New: file[1], Keys: []string{"rules (0 → 2)"}},
		{Old: old[2], New: file[2], Keys: []string{"name", "token", "mode", "rules[1]", "fallback"}},
	}
	tests := []struct {
		name    string
		prune   bool
		want    Change
		summary string
	}{
		{
			"keep", false,
			Change{Added: file[:1], Changed: changed, Unchanged: []Account{file[3], old[1]}},
			"+ new  新增（added）\n~ longer  更改（changed）: rules (0 → 2)\n~ edited  更改（changed）: name, token, mode, rules[1], fallback\n= 2 个账号不变（unchanged）\n",
		},
		{
			"prune", true,
			Change{Added: file[:1], Changed: changed, Removed: old[1:2], Unchanged: file[3:]},
			"+ new  新增（added）\n~ longer  更改（changed）: rules (0 → 2)\n~ edited  更改（changed）: name, token, mode, rules[1], fallback\n- gone  删除（removed）\n= 1 个账号不变（unchanged）\n",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := Diff(old, file, test.prune)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.summary, got.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.IsZero() {
				t.Error("the change is zero")
			}
			if strings.Contains(got.String(), "Secret") {
				t.Error("the summary shows a secret")
			}
		})
	}
	if c := Diff(old, old, true); !c.IsZero() || len(c.Unchanged) != len(old) {
		t.Errorf("against itself: %v", c)
	}
}

// Each key of an account is noticed, so that none that is added later is
// forgotten.
func TestDiffNoticesEveryKey(t *testing.T) {
	full := mustParse(t, "testdata/bot.yaml").Accounts[0]
	full.Fallback.None = true
	got := differences(Account{Path: full.Path}, full)
	want := []string{"name", "token", "previous_token", "app_id", "app_secret", "aes_key", "previous_aes_key", "mode", "greeting", "rules (0 → 11)", "model", "fallback"}
	if got, want := len(want)+1, reflect.TypeFor[Account]().NumField(); got != want {
		t.Errorf("the test knows %d keys of %d", got, want)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
