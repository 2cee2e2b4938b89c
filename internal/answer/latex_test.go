package answer

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestReadable(t *testing.T) {
	for latex, want := range map[string]string{
		`x^2 \le \frac{a}{b}`:                  "x² ≤ a/b",
		`\frac{a+b}{2}`:                        "(a+b)/2",
		`\frac{1}{2a}`:                         "1/(2a)",
		`\frac12x`:                             "(1/2)x",
		`2\frac{1}{2}`:                         "2(1/2)",
		`\frac{1}{2}\pi`:                       "(1/2)π",
		`\frac{1}{2} \times 3`:                 "1/2 × 3",
		`\frac{\frac{a}{b}}{c}`:                "(a/b)/c",
		`\frac{dy}{dx}`:                        "dy/dx",
		`\frac{\partial f}{\partial x}`:        "∂f/∂x",
		`\sqrt{x}`:                             "√x",
		`\sqrt{144}`:                           "√144",
		`\sqrt{x+1}`:                           "√(x+1)",
		`\sqrt[3]{x}`:                          "∛x",
		`\sqrt[n]{x}`:                          "ⁿ√x",
		`a_{n+1}`:                              "aₙ₊₁",
		`a_{总}`:                                "a_总",
		`e^{-x^2/2}`:                           "e^(-x²/2)",
		`90^\circ`:                             "90°",
		`f''(x)`:                               "f′′(x)",
		`2\times3`:                             "2 × 3",
		`a\sin x`:                              "a sin x",
		`\sin^2\theta`:                         "sin²θ",
		`\lim_{x\to0}f(x)`:                     "lim(x → 0) f(x)",
		`\sum_{i=1}^n i`:                       "∑ᵢ₌₁ⁿ i",
		`\text{若 } x>0`:                        "若 x>0",
		`x \not\in A`:                          "x ∈\u0338 A",
		`\left\{ x \mid x > 0 \right\}`:        "{ x | x > 0 }",
		`\left. f \right|_a^b`:                 "f |ₐᵇ",
		`\begin{bmatrix}1&0\\0&1\end{bmatrix}`: "[1 0; 0 1]",
		`\begin{array}{cc}1&2\\[2pt]3&4\end{array}`: "[1 2; 3 4]",
		`\mathbb{E}[X] \in \mathbb{K}`:              "𝔼[X] ∈ K",
		`\vec{v}, \overline{AB}`:                    "v⃗, AB",
		`\binom{n}{k} \pmod{p}`:                     "C(n, k) (mod p)",
		`A \xrightarrow{f} B`:                       "A —f→ B",
		`E = mc^2 \tag{1}`:                          "E = mc² (1)",
		`\color{red}{x} \textcolor{red}{y}`:         "x y",
		`\overset{def}{=}`:                          "=ᵈᵉᶠ",
		`50\%\,\$\{\}\_`:                            "50% ${}_",
		`\unknown{x}\foo y`:                         "unknown x foo y",
		`{{a}`:                                      "a",
		`a}b`:                                       "ab",
		`\frac{1`:                                   "1/",
		`x^`:                                        "x",
		`\`:                                         "",
		`\text{a`:                                   "a",
		`\begin`:                                    "",
		``:                                          "",
	} {
		if got := readable(latex, false); got != want {
			t.Errorf("%s is %q, want %q", latex, got, want)
		}
	}
}

func TestReadableRows(t *testing.T) {
	const latex = `\begin{aligned} a &= b \\ &= c \end{aligned}`
	if got, want := readable(latex, true), "a = b\n= c"; got != want {
		t.Errorf("as a display: %q, want %q", got, want)
	}
	if got, want := readable(latex, false), "a = b; = c"; got != want {
		t.Errorf("in a line: %q, want %q", got, want)
	}
}

// Nesting that no formula has ends somewhere, and not in a full stack.
func TestReadableDeep(t *testing.T) {
	for _, part := range []string{"{", "^", `\frac{`, `\sqrt`, `\sqrt[`, `\vec`, "_{", `\\[`} {
		latex := strings.Repeat(part, 100_000)
		if got := readable(latex, false); len(got) > len(latex)+1000 {
			t.Errorf("100000 × %s are %d bytes", part, len(got))
		}
	}
}

func FuzzReadable(f *testing.F) {
	f.Add(`\frac{-b \pm \sqrt{b^2 - 4ac}}{2a}`)
	f.Add(`\begin{cases} x & \text{if } x>0 \\ \left. y \right| \end{cases}`)
	f.Fuzz(func(t *testing.T, latex string) {
		got := readable(latex, true)
		if utf8.ValidString(latex) && !utf8.ValidString(got) {
			t.Errorf("%q is no UTF-8", got)
		}
		if strings.Contains(got, `\`) && !strings.Contains(latex, "backslash") {
			t.Errorf("%q has a backslash", got)
		}
	})
}
