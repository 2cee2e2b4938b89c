package app

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/wenzihq/wenzi/internal/bot"
)

// The manual's tables have every setting, with its variable and its default.
func TestManualHasEverySetting(t *testing.T) {
	for _, page := range []string{"../../docs/serve.md", "../../docs/en/serve.md"} {
		manual, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for f := range reflect.TypeFor[settings]().Fields() {
			row := "| `--" + flagName(f) + "` | `" + f.Tag.Get("env") + "` |"
			i := strings.Index(string(manual), row)
			if i < 0 {
				t.Errorf("%s has no row %s", page, row)
				continue
			}
			line, _, _ := strings.Cut(string(manual)[i:], "\n")
			if def := f.Tag.Get("default"); def != "" && !strings.Contains(line, def) {
				t.Errorf("%s: the default of --%s is %s, the manual says %s", page, flagName(f), def, line)
			}
		}
	}
}

// The page about deployment has the configuration files that the example runs.
func TestDeployPageHasTheExample(t *testing.T) {
	for _, page := range []string{"../../docs/deploy.md", "../../docs/en/deploy.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"nginx.conf", "Caddyfile"} {
			file, err := os.ReadFile("../../examples/replicas/" + name)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(text), "\n"+string(file)+"```\n") {
				t.Errorf("%s has another %s than examples/replicas", page, name)
			}
		}
	}
}

func TestSampleBotFile(t *testing.T) {
	data, err := os.ReadFile("../../docs/bot.yaml")
	if err != nil {
		t.Fatal(err)
	}
	b, err := bot.Parse("docs/bot.yaml", data, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range b.Accounts {
		if w := a.Warnings(); len(w) > 0 {
			t.Errorf("the sample has hints: %v", w)
		}
	}
}

// Every relative link of README and docs leads to a file.
func TestLinksOfTheManual(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	english, err := filepath.Glob("../../docs/en/*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages = append(append(pages, english...), "../../README.md", "../../README.en.md")
	code := regexp.MustCompile("(?s)```.*?```|`[^`]*`")
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(string(text), ""), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", page, m[1])
			}
		}
	}
}
