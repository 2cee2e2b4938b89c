package bot

import (
	"errors"
	"fmt"
	"strings"
)

// Expand replaces every {{.name}} in text by the value of group. There is
// nothing else: no functions, no conditions, and a value is never expanded
// again. It fails where {{ does not begin a {{.name}} or where group does not
// know the name.
func Expand(text string, group func(name string) (value string, ok bool)) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{{")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		inner, after, closed := strings.Cut(rest, "}}")
		name, dotted := strings.CutPrefix(strings.TrimSpace(inner), ".")
		if !closed || !dotted {
			return "", errors.New("{{ must begin a {{.name}}")
		}
		value, ok := group(name)
		if !ok {
			return "", fmt.Errorf("no group is named %q", shorten(name))
		}
		b.WriteString(value)
		text = after
	}
}
