package app

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/wenzihq/wenzi/"

// arrows are the imports between rooms that docs/architecture.md allows.
var arrows = map[string][]string{
	"cmd/wenzi":             {"internal/app"},
	"internal/app":          {"internal/account", "internal/turn", "internal/robot", "internal/model", "internal/answer", "internal/jobs", "internal/store", "internal/bot", "oa", "oa/sim", "oa/api", "catalogue"},
	"internal/account":      {"internal/bot", "internal/store", "oa"},
	"internal/turn":         {"internal/store", "internal/answer", "oa"},
	"internal/robot":        {"internal/bot", "internal/model", "oa"},
	"internal/model":        {"internal/bot"},
	"internal/jobs":         {"internal/store"},
	"internal/store":        {"oa"},
	"internal/store/pgtest": {}, // for tests
	"internal/bot":          {"oa"},
	"internal/answer":       {},
	"oa/sim":                {"oa", "oa/api", "catalogue"},
	"oa":                    {},
	"oa/api":                {},
	"catalogue":             {},
	"catalogue/gen":         {"catalogue"},
	"bench/oaecho":          {"oa"},
}

// stdOnly are the rooms other people import: they must bring nothing along.
var stdOnly = []string{"oa", "oa/sim", "oa/api", "catalogue"}

func TestArrowsBetweenRooms(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		room := strings.TrimPrefix(fields[0], module)
		allowed, known := arrows[room]
		if !known {
			t.Errorf("%s is a room that docs/architecture.md and this test do not know", room)
			continue
		}
		seen++
		for _, imported := range fields[1:] {
			if to, ours := strings.CutPrefix(imported, module); ours && !slices.Contains(allowed, to) {
				t.Errorf("%s imports %s; the arrow is not allowed", room, to)
			}
			if slices.Contains(stdOnly, room) && strings.Contains(strings.Split(imported, "/")[0], ".") && !strings.HasPrefix(imported, module) {
				t.Errorf("%s imports %s, but may import the standard library only", room, imported)
			}
		}
	}
	if seen != len(arrows) {
		t.Errorf("go list names %d of the %d rooms", seen, len(arrows))
	}
}
