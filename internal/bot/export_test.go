package bot

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/wenzihq/wenzi/oa"
)

func TestExportSample(t *testing.T) {
	got, err := Export(mustParse(t, "testdata/bot.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/export.yaml"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestExportRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkRoundTrip(t, Bot{Accounts: accounts().Draw(t, "accounts")}) })
}

// checkRoundTrip sees that an export, applied over what it was made from,
// changes nothing and shows no secret.
func checkRoundTrip(t rapid.TB, b Bot) {
	t.Helper()
	file, err := Export(b)
	if err != nil {
		t.Fatal(err)
	}
	noEnv := func(string) (string, bool) { return "", false }
	parsed, err := Parse("export.yaml", file, noEnv)
	if err != nil {
		t.Fatalf("%v\n%s", err, file)
	}
	for _, a := range parsed.Accounts {
		if a.Token != "" || a.AESKey != "" || slices.ContainsFunc(a.Model.Endpoints, func(e Endpoint) bool { return e.Key != "" }) {
			t.Fatalf("a secret was exported\n%s", file)
		}
	}
	if len(parsed.Hints) > 0 {
		t.Fatalf("what is exported has hints: %q\n%s", parsed.Hints, file)
	}
	merged, err := parsed.ApplyMasks(func(path string) (Account, bool) {
		i := slices.IndexFunc(b.Accounts, func(a Account) bool { return a.Path == path })
		if i < 0 {
			return Account{}, false
		}
		return b.Accounts[i], true
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b, merged); diff != "" {
		t.Fatalf("(-exported +parsed):\n%s\n%s", diff, file)
	}
	again, err := Export(merged)
	if err != nil || string(again) != string(file) {
		t.Fatalf("the second export differs (%v):\n%s\n%s", err, file, again)
	}
}

func accounts() *rapid.Generator[[]Account] {
	return rapid.SliceOfNDistinct(account(), 1, 3, func(a Account) string { return a.Path })
}

func account() *rapid.Generator[Account] {
	token := rapid.Map(rapid.StringMatching(`[A-Za-z0-9]{3,32}`), func(s string) Secret { return Secret(s) })
	key := rapid.Map(rapid.StringMatching(`[A-Za-z0-9]{43}`), func(s string) Secret { return Secret(s) })
	return rapid.Custom(func(t *rapid.T) Account {
		a := Account{
			Path:      rapid.StringMatching(`[A-Za-z0-9_-]{1,64}`).Draw(t, "path"),
			Name:      rapid.OneOf(rapid.Just(""), rapid.StringMatching(`[\pL\pN' #:]{0,30}x`)).Draw(t, "name"),
			Token:     token.Draw(t, "token"),
			AppSecret: rapid.OneOf(rapid.Just(Secret("")), token).Draw(t, "app_secret"),
			Mode:      rapid.SampledFrom([]oa.Mode{oa.Plain, oa.Compat, oa.Secure}).Draw(t, "mode"),
			Rules:     rapid.SliceOfN(rule(), 0, 5).Draw(t, "rules"),
		}
		if rapid.Bool().Draw(t, "has a model") {
			a.Model = model().Draw(t, "model")
		}
		a.PreviousToken = rapid.OneOf(rapid.Just(Secret("")), token).Draw(t, "previous_token")
		if a.Mode != oa.Plain || rapid.Bool().Draw(t, "keys") {
			a.AppID = rapid.StringMatching(`wx[0-9a-f]{16}`).Draw(t, "app_id")
			a.AESKey = key.Draw(t, "aes_key")
			a.PreviousAESKey = rapid.OneOf(rapid.Just(Secret("")), key).Draw(t, "previous_aes_key")
		}
		if len(a.Rules) == 0 {
			a.Rules = nil
		}
		if rapid.Bool().Draw(t, "greeted") {
			a.Greeting = reply(true).Draw(t, "greeting")
		}
		switch rapid.IntRange(0, 2).Draw(t, "fallback") {
		case 1:
			a.Fallback.None = true
		case 2:
			a.Fallback.Reply = reply(false).Draw(t, "fallback")
		}
		return a
	})
}

func rule() *rapid.Generator[Rule] {
	return rapid.Custom(func(t *rapid.T) Rule {
		var r Rule
		event := false
		switch rapid.IntRange(0, 3).Draw(t, "condition") {
		case 0:
			r.Text = rapid.SliceOfN(text(), 1, 3).Draw(t, "text")
		case 1:
			r.Contains = rapid.SliceOfN(text(), 1, 3).Draw(t, "contains")
		case 2:
			r.Regexp = `^查(?P<city>.+)天气$`
			r.Reply.Text = rapid.SampledFrom([]string{"{{.city}}", "在 {{ .city }}：晴", "}}", "{.city}"}).Draw(t, "template")
			return r
		case 3:
			r.Event = rapid.StringMatching(`[A-Za-z_]{1,10}(/[A-Za-z0-9:/?=&#' ]{0,10}x)?`).Draw(t, "event")
			event = true
		}
		r.Reply = reply(event).Draw(t, "reply")
		return r
	})
}

func reply(event bool) *rapid.Generator[Reply] {
	return rapid.Custom(func(t *rapid.T) Reply {
		last := 6
		if event {
			last = 5
		}
		optional := rapid.OneOf(rapid.Just(""), text())
		mediaID := rapid.StringMatching(`[A-Za-z0-9_-]{1,64}`)
		address := rapid.StringMatching(`https?://[a-z]{1,9}\.example\.com/[a-z0-9?=&%2F:#']{0,20}`)
		switch rapid.IntRange(0, last).Draw(t, "kind") {
		case 1:
			return Reply{Image: mediaID.Draw(t, "image")}
		case 2:
			return Reply{Voice: mediaID.Draw(t, "voice")}
		case 3:
			return Reply{Video: &Video{MediaID: mediaID.Draw(t, "id"), Title: optional.Draw(t, "title"), Description: optional.Draw(t, "description")}}
		case 4:
			return Reply{Music: &Music{ThumbMediaID: mediaID.Draw(t, "id"), Title: optional.Draw(t, "title"), MusicURL: "https://example.com/a.mp3"}}
		case 5:
			return Reply{News: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Article {
				return Article{Title: text().Draw(t, "title"), Description: text().Draw(t, "description"), PicURL: "http://example.com/%7Ep", URL: address.Filter(isURL).Draw(t, "url")}
			}), 1, maxArticles).Draw(t, "news")}
		case 6:
			return Reply{Transfer: &Transfer{Agent: rapid.SampledFrom([]string{"", "a@b", "小王@店"}).Draw(t, "agent")}}
		}
		return Reply{Text: text().Draw(t, "text")}
	})
}

// text draws what people and YAML may trip over.
func text() *rapid.Generator[string] {
	tricky := rapid.SampledFrom([]string{"~", "null", "- a", "a: b", "# c", "*a", "&a", "!t", "|", ">", "echo", "'", `"`, `\`, "%", "@", "{", "}", "[", "]", ",", "?",
		"\n", "\r", "\t", " ", "  ", "\u0085", "\u2028", "\ufeff", "\u00a0", "\u3000", "---", "...", "<<", Mask, "${A}", "{{.x}}", "雯子", "😀", "1", "yes"})
	return rapid.OneOf(
		rapid.String(),
		rapid.Map(rapid.SliceOfN(tricky, 1, 6), func(parts []string) string { return strings.Join(parts, "") }),
	).Filter(func(s string) bool {
		_, isVariable := variable(s)
		return strings.TrimSpace(s) != "" && len(s) <= oa.MaxTextBytes && !isVariable && !strings.ContainsFunc(s, forbidden)
	})
}
