package answer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	tightBrackets = strings.NewReplacer("( ", "(", "[ ", "[", " )", ")", " ]", "]", " ;", ";")
	plainText     = strings.NewReplacer(`\\`, " ", `\`, "", "{", "", "}", "", "$", "", "~", " ")
)

// readable writes LaTeX math as Unicode text: "x^2 \le \frac{a}{b}" as
// "x² ≤ a/b". What it does not know stays, without its backslash. In display,
// rows are lines.
func readable(latex string, isDisplay bool) string {
	m := mathReader{rest: latex, row: "; "}
	if isDisplay {
		m.row = "\n"
	}
	var lines []string
	for line := range strings.SplitSeq(m.sequence(""), "\n") {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			lines = append(lines, tightBrackets.Replace(line))
		}
	}
	return strings.Join(lines, "\n")
}

// mathReader reads LaTeX from its beginning to its end.
type mathReader struct {
	rest   string
	row    string // what \\ becomes
	matrix int    // environments in which rows stay in one line
	depth  int
}

const maxMathDepth = 40 // of groups; deeper ones lose their form

// sequence reads up to the byte stop, which it takes, or to the end.
func (m *mathReader) sequence(stop string) string {
	m.depth++
	defer func() { m.depth-- }()
	var out strings.Builder
	for m.rest != "" {
		if stop != "" && m.rest[0] == stop[0] {
			m.rest = m.rest[1:]
			break
		}
		out.WriteString(m.next(out.String()))
	}
	return out.String()
}

// next reads one token; before is what precedes it in its group.
func (m *mathReader) next(before string) string {
	switch c := m.rest[0]; c {
	case '\\':
		return m.command(before)
	case '{':
		m.rest = m.rest[1:]
		if m.depth > maxMathDepth {
			return ""
		}
		return m.sequence("}")
	case '^', '_':
		m.rest = m.rest[1:]
		return script(c, m.argument(), before)
	case '}', '$':
		m.rest = m.rest[1:]
		return ""
	case '~', '&', ' ', '\t', '\n', '\r':
		m.rest = m.rest[1:]
		return " "
	case '\'':
		m.rest = m.rest[1:]
		return "′"
	}
	_, size := utf8.DecodeRuneInString(m.rest)
	token := m.rest[:size]
	m.rest = m.rest[size:]
	return token
}

// argument reads a group, a command or a character.
func (m *mathReader) argument() string {
	m.skipBlanks()
	if m.rest == "" || m.rest[0] == '}' || m.depth > maxMathDepth {
		return ""
	}
	m.depth++
	defer func() { m.depth-- }()
	return strings.TrimSpace(m.next(""))
}

// literal reads a group whose text is no formula, or one token.
func (m *mathReader) literal() string {
	m.skipBlanks()
	if !strings.HasPrefix(m.rest, "{") {
		return m.argument()
	}
	open := 0
	for i := range len(m.rest) {
		switch m.rest[i] {
		case '{':
			open++
		case '}':
			if open--; open == 0 {
				text := m.rest[1:i]
				m.rest = m.rest[i+1:]
				return plainText.Replace(text)
			}
		}
	}
	text := m.rest[1:]
	m.rest = ""
	return plainText.Replace(text)
}

func (m *mathReader) skipBlanks() { m.rest = strings.TrimLeft(m.rest, " \t\r\n") }

// option reads an argument in square brackets.
func (m *mathReader) option() string {
	if !strings.HasPrefix(m.rest, "[") {
		return ""
	}
	m.rest = m.rest[1:]
	if m.depth > maxMathDepth {
		return ""
	}
	return m.sequence("]")
}

// name reads the name of the command that rest begins with.
func (m *mathReader) name() string {
	m.rest = m.rest[1:] // the backslash
	end := 0
	for end < len(m.rest) && isLetter(m.rest[end]) {
		end++
	}
	if end == 0 && m.rest != "" {
		_, end = utf8.DecodeRuneInString(m.rest)
	}
	name := m.rest[:end]
	m.rest = m.rest[end:]
	return name
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func (m *mathReader) command(before string) string {
	name := m.name()
	if symbol, ok := mathSymbols[name]; ok {
		if name == "partial" {
			m.skipBlanks()
		}
		return symbol
	}
	if operator, ok := mathOperators[name]; ok {
		return " " + operator + " "
	}
	if mathFunctions[name] {
		return m.function(name, before)
	}
	if mark, ok := mathAccents[name]; ok {
		return accent(m.argument(), mark)
	}
	switch name {
	case "", "displaystyle", "textstyle", "limits", "nolimits", "big", "Big", "bigg", "Bigg",
		"bigl", "bigr", "Bigl", "Bigr", "biggl", "biggr", "Biggl", "Biggr", "hline", "nonumber", "notag",
		"boldsymbol", "bm", "mathbf", "mathit", "mathsf", "mathtt", "mathcal", "mathscr", "mathfrak", "mathrm", "rm", "bf",
		"boxed", "underline", "underbrace", "overbrace", "cancel", "overline", "displaylines", "mathop", "mathrel", "mathbin":
		return ""
	case "left", "right", "middle":
		if m.skipBlanks(); strings.HasPrefix(m.rest, ".") {
			m.rest = m.rest[1:]
		}
		return ""
	case "text", "textbf", "textit", "textrm", "textsf", "texttt", "mbox", "hbox", "operatorname", "ce", "pu":
		return m.literal()
	case "label", "color", "hspace", "vspace", "phantom":
		m.literal()
		return ""
	case "textcolor", "colorbox":
		m.literal()
		return m.argument()
	case "frac", "dfrac", "tfrac", "cfrac":
		return m.fraction(before)
	case "binom", "dbinom", "tbinom":
		n := m.argument()
		return "C(" + n + ", " + m.argument() + ")"
	case "sqrt":
		return root(m.option(), m.argument())
	case "mathbb":
		letters := m.argument()
		if double, ok := mathDoubles[letters]; ok {
			return double
		}
		return letters
	case "overset", "stackrel":
		above := m.argument()
		return m.argument() + script('^', above, "")
	case "underset":
		below := m.argument()
		return m.argument() + script('_', below, "")
	case "xrightarrow":
		return " —" + m.argument() + "→ "
	case "not":
		return " " + m.argument() + "\u0338 "
	case "pmod":
		return " (mod " + m.argument() + ")"
	case "tag":
		return "  (" + m.literal() + ")"
	case "\\":
		m.option()
		if m.matrix > 0 {
			return "; "
		}
		return m.row
	case "begin", "end":
		return m.environment(name == "begin")
	}
	if strings.HasPrefix(m.rest, "{") {
		name += " "
	}
	return m.function(name, before)
}

// function sets a name off from letters beside it.
func (m *mathReader) function(name, before string) string {
	if last, _ := utf8.DecodeLastRuneInString(before); unicode.IsLetter(last) || unicode.IsNumber(last) {
		name = " " + name
	}
	if m.rest != "" && (isLetter(m.rest[0]) || m.rest[0] == '\\' || m.rest[0] >= '0' && m.rest[0] <= '9') {
		name += " "
	}
	return name
}

func (m *mathReader) environment(begins bool) string {
	name := m.literal()
	if name == "array" && begins {
		m.literal() // its columns
	}
	open, closing := "", ""
	switch strings.TrimSuffix(name, "*") {
	case "pmatrix":
		open, closing = "(", ")"
	case "bmatrix", "matrix", "array", "smallmatrix":
		open, closing = "[", "]"
	case "vmatrix":
		open, closing = "|", "|"
	case "cases":
		if begins {
			return "{ "
		}
		return ""
	default:
		return ""
	}
	if begins {
		m.matrix++
		return open
	}
	m.matrix = max(m.matrix-1, 0)
	return closing
}

// fraction writes a/b, in brackets where a neighbour could be taken for a part of it.
func (m *mathReader) fraction(before string) string {
	above, below := m.argument(), m.argument()
	if above == "" && below == "" {
		return ""
	}
	out := side(above) + "/" + denominator(below)
	last, _ := utf8.DecodeLastRuneInString(before)
	if unicode.IsLetter(last) || unicode.IsNumber(last) || m.continues() {
		return "(" + out + ")"
	}
	return out
}

// continues reports whether a factor follows at once.
func (m *mathReader) continues() bool {
	r, _ := utf8.DecodeRuneInString(m.rest)
	if r != '\\' {
		return m.rest != "" && (unicode.IsLetter(r) || unicode.IsNumber(r) || strings.ContainsRune("({^", r))
	}
	ahead := mathReader{rest: m.rest}
	name := ahead.name()
	symbol := mathSymbols[name]
	first, _ := utf8.DecodeRuneInString(symbol)
	return unicode.IsLetter(first) || mathFunctions[name] || name == "sqrt" || name == "frac"
}

// side puts a sum in brackets, but not a product.
func side(s string) string {
	if simple(s, true) {
		return s
	}
	return "(" + s + ")"
}

// denominator puts also a product in brackets: a/(2b).
func denominator(s string) string {
	mixed := s != "" && s[0] >= '0' && s[0] <= '9' && strings.IndexFunc(s, unicode.IsLetter) >= 0
	if !mixed && simple(s, false) {
		return s
	}
	return "(" + s + ")"
}

// simple reports whether s has letters and digits only, or also brackets around
// others.
func simple(s string, brackets bool) bool {
	open := 0
	for _, r := range s {
		switch {
		case brackets && r == '(':
			open++
		case brackets && r == ')':
			open--
		case open == 0 && !unicode.In(r, unicode.L, unicode.N, unicode.M) && !strings.ContainsRune("√.′°%∂", r):
			return false
		}
	}
	return true
}

func root(degree, s string) string {
	sign := "√"
	switch degree {
	case "", "2":
	case "3":
		sign = "∛"
	case "4":
		sign = "∜"
	default:
		sign = strings.TrimPrefix(script('^', degree, ""), "^") + "√"
	}
	if utf8.RuneCountInString(s) > 1 && strings.Trim(s, "0123456789") != "" {
		return sign + "(" + s + ")"
	}
	return sign + s
}

// accent puts a mark over one character; several go without.
func accent(s, mark string) string {
	if utf8.RuneCountInString(s) == 1 {
		return s + mark
	}
	return s
}

// script raises or lowers s, in Unicode where every character can be.
func script(kind byte, s, before string) string {
	letters, sign := subscripts, "_"
	if kind == '^' {
		letters, sign = superscripts, "^"
	}
	s = strings.Join(strings.Fields(s), " ")
	switch s {
	case "":
		return ""
	case "∘", "°":
		return "°"
	case "′", "″", "′′":
		return s
	}
	var out strings.Builder
	for _, r := range strings.ReplaceAll(s, " ", "") {
		small, ok := letters[r]
		if !ok {
			if kind == '_' && underneath(before) {
				return "(" + s + ") "
			}
			if utf8.RuneCountInString(s) == 1 {
				return sign + s
			}
			return sign + "(" + s + ")"
		}
		out.WriteRune(small)
	}
	return out.String()
}

// underneath reports whether text ends with a name below which a condition stands.
func underneath(text string) bool {
	for _, name := range []string{"lim", "max", "min", "sup", "inf"} {
		if strings.HasSuffix(text, name) {
			return true
		}
	}
	return false
}
