package bot

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Mistake is one thing that is wrong in a file. It never quotes a secret.
type Mistake struct {
	File    string `json:"file"`
	Line    int    `json:"line"`          // counted from 1
	Key     string `json:"key,omitempty"` // accounts[0].rules[2].regexp; empty where the whole file is meant
	Chinese string `json:"zh"`
	English string `json:"en"`
}

// Error returns "bot.yaml:12: accounts[0].token: 中文（English）".
func (m Mistake) Error() string {
	key := m.Key
	if key != "" {
		key += ": "
	}
	return fmt.Sprintf("%s:%d: %s%s（%s）", m.File, m.Line, key, m.Chinese, m.English)
}

// Mistakes is the error of a file: every mistake found, by line.
type Mistakes []Mistake

// Error returns one line a mistake.
func (ms Mistakes) Error() string {
	lines := make([]string, len(ms))
	for i, m := range ms {
		lines[i] = m.Error()
	}
	return strings.Join(lines, "\n")
}

// err returns the mistakes in the order of their lines, or nil without any.
func (ms Mistakes) err() error {
	if len(ms) == 0 {
		return nil
	}
	slices.SortStableFunc(ms, func(a, b Mistake) int { return cmp.Compare(a.Line, b.Line) })
	return ms
}
