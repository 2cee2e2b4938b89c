package model

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxAnswer = 256 << 10 // bytes of text
	maxLine   = 1 << 20   // bytes of one line of a stream, or of an answer that is no stream
	maxStream = 16 << 20
)

var (
	errNoChat  = errors.New("no chat completion")
	errGarbled = errors.New("garbled chat completion")
	errTooLong = errors.New("line too long")
)

// answer collects what comes of a chat completion.
type answer struct {
	onText   func(sofar string)
	began    func() bool // called with the first token; false: it was too late
	finished func()      // called when the text is whole, while more may come

	said     strings.Builder
	thoughts thoughts
	thought  int  // weight of what was thought
	started  bool // something came
	full     bool // more text is not taken
	finish   string
	counted  json.RawMessage // the provider's count of tokens
	refusal  *complaint
}

// text returns what was said so far.
func (a *answer) text() string { return strings.TrimRightFunc(a.said.String(), unicode.IsSpace) }

// chunk is one event of a stream, or an answer that is no stream.
type chunk struct {
	complaint
	Choices []struct {
		Delta        delta           `json:"delta"`
		Message      delta           `json:"message"`
		FinishReason json.RawMessage `json:"finish_reason"`
		Usage        json.RawMessage `json:"usage"`
	} `json:"choices"`
	Usage json.RawMessage `json:"usage"`
}

type delta struct {
	Content          json.RawMessage `json:"content"`
	ReasoningContent json.RawMessage `json:"reasoning_content"`
	Reasoning        json.RawMessage `json:"reasoning"`
}

// read reads a stream of events, or JSON where the provider does not stream. It
// returns nil when the answer is whole.
func (a *answer) read(body io.Reader) error {
	// What an attempt before this one has left behind is not ours.
	*a = answer{onText: a.onText, began: a.began, finished: a.finished}
	r := bufio.NewReader(io.LimitReader(body, maxStream))
	begin, err := firstByte(r)
	if err != nil {
		return err
	}
	if begin == '{' {
		err = a.readJSON(r)
	} else {
		err = a.readStream(r)
	}
	if err != nil {
		return err
	}
	said, thought := a.thoughts.rest()
	return cmp.Or(a.think(thought), a.say(said))
}

// firstByte skips blanks.
func firstByte(r *bufio.Reader) (byte, error) {
	for {
		c, err := r.ReadByte()
		if errors.Is(err, io.EOF) {
			return 0, io.ErrUnexpectedEOF
		}
		if err != nil || c != ' ' && c != '\r' && c != '\n' && c != '\t' {
			return c, cmp.Or(err, r.UnreadByte())
		}
	}
}

func (a *answer) readJSON(r io.Reader) error {
	limited := &io.LimitedReader{R: r, N: maxLine}
	var c chunk
	err := json.NewDecoder(limited).Decode(&c)
	_, notJSON := errors.AsType[*json.SyntaxError](err)
	_, otherJSON := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case limited.N == 0:
		return errTooLong
	case notJSON || otherJSON:
		return errGarbled
	case err != nil:
		return err
	}
	return a.take(c)
}

// readStream takes each data line for an event of its own: providers write JSON on
// one line, and some forget the blank line after it.
func (a *answer) readStream(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		field, value, _ := bytes.Cut(lines.Bytes(), []byte(":"))
		switch string(field) {
		case "", "event", "id", "retry": // blank lines and comments that keep the connection alive among them
			continue
		case "data":
		default:
			return errNoChat
		}
		value = bytes.TrimSpace(value)
		if string(value) == "[DONE]" {
			a.finish = cmp.Or(a.finish, "stop")
			return nil
		}
		var c chunk
		if len(value) > 0 && json.Unmarshal(value, &c) != nil {
			return errGarbled
		}
		if err := a.take(c); err != nil || a.refusal != nil || a.full {
			return err
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return errTooLong
	case err != nil:
		return err
	case a.finish == "":
		return io.ErrUnexpectedEOF
	}
	return nil
}

func (a *answer) take(c chunk) error {
	if isSet(c.Error) || len(c.Choices) == 0 && isSet(c.Code) && isSet(c.Message) { // not every provider wraps it in error
		a.refusal = &c.complaint
		return nil
	}
	if isSet(c.Usage) {
		a.counted = c.Usage
	}
	if len(c.Choices) == 0 {
		return nil
	}
	choice := c.Choices[0]
	if isSet(choice.Usage) {
		a.counted = choice.Usage
	}
	for _, d := range []delta{choice.Delta, choice.Message} {
		said, thought := a.thoughts.split(spoken(d.Content))
		if err := a.think(cmp.Or(spoken(d.ReasoningContent), spoken(d.Reasoning)) + thought); err != nil {
			return err
		}
		if err := a.say(said); err != nil {
			return err
		}
	}
	if reason := text(choice.FinishReason); reason != "" && reason != "null" && a.finish == "" {
		a.finish = reason
		if a.finished != nil {
			a.finished()
		}
	}
	return nil
}

func isSet(raw json.RawMessage) bool {
	switch string(raw) {
	case "", "null", `""`, "{}":
		return false
	}
	return true
}

// spoken returns the text of a content, which may be a list of parts.
func spoken(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var parts []struct {
		Text string `json:"text"`
	}
	if json.Unmarshal(raw, &parts) != nil {
		return ""
	}
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.Text)
	}
	return b.String()
}

// begin notes that the provider answers anything at all.
func (a *answer) begin() error {
	if !a.started && a.began != nil && !a.began() {
		return errNoFirstToken
	}
	a.started = true
	return nil
}

func (a *answer) think(s string) error {
	if s == "" {
		return nil
	}
	if err := a.begin(); err != nil {
		return err
	}
	if a.thought == 0 && a.said.Len() == 0 {
		a.onText("")
	}
	a.thought += weight(s)
	return nil
}

func (a *answer) say(s string) error {
	if a.said.Len() == 0 {
		s = strings.TrimLeftFunc(s, unicode.IsSpace)
	}
	if s == "" || a.full {
		return nil
	}
	if err := a.begin(); err != nil {
		return err
	}
	if room := maxAnswer - a.said.Len(); len(s) > room {
		for room > 0 && !utf8.RuneStart(s[room]) {
			room--
		}
		s, a.full, a.finish = s[:room], true, "length"
	}
	a.said.WriteString(s)
	a.onText(a.said.String())
	return nil
}

// usage returns the provider's count of tokens, or an estimate where something came.
func (a *answer) usage(messages []Message) Usage {
	if !a.started {
		return Usage{}
	}
	var c struct {
		Prompt        int `json:"prompt_tokens"`
		Completion    int `json:"completion_tokens"`
		CacheHit      int `json:"prompt_cache_hit_tokens"` // DeepSeek
		Cached        int `json:"cached_tokens"`           // Kimi
		PromptDetails struct {
			Cached int `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
		CompletionDetails struct {
			Reasoning int `json:"reasoning_tokens"`
		} `json:"completion_tokens_details"`
	}
	if json.Unmarshal(a.counted, &c) == nil && c.Prompt > 0 && c.Completion >= 0 {
		return Usage{
			Prompt:     c.Prompt,
			Completion: c.Completion,
			Cached:     max(0, cmp.Or(c.PromptDetails.Cached, c.CacheHit, c.Cached)),
			Reasoning:  max(0, cmp.Or(c.CompletionDetails.Reasoning, tokens(a.thought))),
		}
	}
	u := Usage{Completion: tokens(a.thought + weight(a.said.String())), Reasoning: tokens(a.thought), Estimated: true}
	for _, m := range messages {
		u.Prompt += EstimateTokens(m.Text)
	}
	return u
}
