package model

import "strings"

// thoughts takes what is between <think> and </think> out of a text that comes in
// pieces. A block begins where nothing but blanks is before it on its line, so that
// an answer may speak of the tag.
type thoughts struct {
	inside bool
	midway bool   // something was said on this line
	held   string // what may become a tag
}

const (
	thinkBegins = "<think>"
	thinkEnds   = "</think>"
)

func (t *thoughts) split(piece string) (said, thought string) {
	var outside, within strings.Builder
	piece, t.held = t.held+piece, ""
	for piece != "" {
		tag := thinkBegins
		if t.inside {
			tag = thinkEnds
		}
		before, after, found := strings.Cut(piece, tag)
		if !found {
			n := overlap(piece, tag)
			before, t.held, after = piece[:len(piece)-n], piece[len(piece)-n:], ""
		}
		piece = after
		if t.inside {
			within.WriteString(before)
			t.inside = !found
			continue
		}
		outside.WriteString(before)
		t.follow(before)
		switch {
		case found && t.midway:
			outside.WriteString(tag)
		case found:
			t.inside = true
		}
	}
	return outside.String(), within.String()
}

// rest returns what was held back, when nothing more comes.
func (t *thoughts) rest() (said, thought string) {
	if t.inside {
		thought = t.held
	} else {
		said = t.held
	}
	t.held = ""
	return said, thought
}

// follow keeps midway true to what was said.
func (t *thoughts) follow(said string) {
	if i := strings.LastIndexByte(said, '\n'); i >= 0 {
		said, t.midway = said[i:], false
	}
	t.midway = t.midway || strings.TrimSpace(said) != ""
}

// overlap returns how many bytes at the end of s may be the beginning of tag.
func overlap(s, tag string) int {
	for n := min(len(s), len(tag)-1); n > 0; n-- {
		if strings.HasSuffix(s, tag[:n]) {
			return n
		}
	}
	return 0
}
