package sim

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

// modelCall is one request that is answered.
type modelCall struct {
	plan      modelPlan
	id, model string
	thoughts  []string // tokens of reasoning_content, which come first
	answer    []string // tokens of content
	finish    string
	usage     modelUsage
	withUsage bool
	timing    modelTiming

	start time.Time
	ctx   context.Context
	w     http.ResponseWriter
}

// newModelCall makes up the answer. Its time is that of a standard normal number.
func newModelCall(id string, plan modelPlan, req *modelRequest, normal float64) *modelCall {
	c := &modelCall{plan: plan, id: id, model: req.Model, finish: "stop"}
	c.withUsage = req.StreamOptions != nil && req.StreamOptions.IncludeUsage
	c.answer = tokens(plan.answer(req.question()))
	if plan.Delay == "reasoning" {
		c.thoughts = thoughts(2 * len(c.answer))
	}
	if plan.Trouble == ModelFiltered {
		c.finish = string(ModelFiltered)
	}
	if most := req.limit(); most < c.len() {
		c.cut(most)
		c.finish = "length"
	}
	for _, message := range req.Messages {
		c.usage.Prompt += len(tokens(message.text))
	}
	c.usage.Completion = c.len()
	c.usage.Details.Reasoning = len(c.thoughts)
	c.usage.Total = c.usage.Prompt + c.usage.Completion
	c.timing = plan.timing(c.len(), normal)
	return c
}

func (c *modelCall) len() int { return len(c.thoughts) + len(c.answer) }

// cut leaves the first n tokens.
func (c *modelCall) cut(n int) {
	c.thoughts = c.thoughts[:min(n, len(c.thoughts))]
	c.answer = c.answer[:n-len(c.thoughts)]
}

// wait sleeps until a time after the request. It reports whether anybody still
// waits for the answer.
func (c *modelCall) wait(after time.Duration) bool {
	timer := time.NewTimer(time.Until(c.start.Add(after)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return c.ctx.Err() == nil
	case <-c.ctx.Done():
		return false
	}
}

// interruption is the number of tokens after which the answer ends without an
// end, if it does.
func (c *modelCall) interruption() (after int, interrupted bool) {
	return min(c.plan.After, c.len()), c.plan.Trouble == ModelBreaks || c.plan.Trouble == ModelStalls
}

// interrupt breaks the connection: now, or when the other side gives up.
func (c *modelCall) interrupt() {
	if c.plan.Trouble == ModelStalls {
		<-c.ctx.Done()
	}
	panic(http.ErrAbortHandler)
}

// garbage is what comes in place of JSON.
const garbage = "{\"id\": \"chatcmpl-\xff\xfe\", \"choices\": [{<html>"

// whole writes the answer in one piece.
func (c *modelCall) whole() {
	if after, interrupted := c.interruption(); interrupted {
		c.wait(c.timing.token(after))
		c.interrupt()
	}
	if !c.wait(c.timing.end) {
		return
	}
	if c.plan.Trouble == ModelGarbage {
		c.w.Header().Set("Content-Type", "application/json")
		io.WriteString(c.w, garbage)
		return
	}
	said := modelSaid{Role: "assistant", Reasoning: strings.Join(c.thoughts, ""), Content: new(strings.Join(c.answer, ""))}
	body := c.completion("chat.completion", modelChoice{Message: &said, FinishReason: &c.finish})
	body.Usage = &c.usage
	writeJSON(c.w, http.StatusOK, body)
}

// stream writes the answer as server-sent events, token by token.
func (c *modelCall) stream() {
	c.w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	c.w.Header().Set("Cache-Control", "no-cache")
	after, interrupted := c.interruption()
	if !interrupted {
		after = c.len()
	}
	for i := range after {
		if !c.wait(c.timing.token(i)) {
			return
		}
		c.send(c.delta(i))
	}
	if interrupted {
		c.wait(c.timing.token(after))
		c.interrupt()
	}
	if !c.wait(c.timing.end) {
		return
	}
	if c.plan.Trouble == ModelGarbage {
		io.WriteString(c.w, "data: "+garbage+"\n\n")
		return
	}
	last := modelChoice{Delta: &modelSaid{}, FinishReason: &c.finish}
	if after == 0 {
		last.Delta.Role = "assistant"
	}
	c.send(c.completion("chat.completion.chunk", last))
	if c.withUsage {
		usage := c.completion("chat.completion.chunk")
		usage.Usage = &c.usage
		c.send(usage)
	}
	io.WriteString(c.w, "data: [DONE]\n\n")
}

// delta is the event of the ith token.
func (c *modelCall) delta(i int) *modelCompletion {
	var said modelSaid
	if i == 0 {
		said.Role = "assistant"
	}
	if i < len(c.thoughts) {
		said.Reasoning = c.thoughts[i]
	} else {
		said.Content = &c.answer[i-len(c.thoughts)]
	}
	return c.completion("chat.completion.chunk", modelChoice{Delta: &said})
}

func (c *modelCall) send(event *modelCompletion) {
	data, err := json.Marshal(event)
	if err != nil {
		panic(err) // the values are our own
	}
	io.WriteString(c.w, "data: "+string(data)+"\n\n")
	// Where w cannot flush, the events come later, and together.
	_ = http.NewResponseController(c.w).Flush()
}

func (c *modelCall) completion(object string, choices ...modelChoice) *modelCompletion {
	return &modelCompletion{ID: c.id, Object: object, Created: c.start.Unix(), Model: c.model, Choices: append([]modelChoice{}, choices...)}
}

// modelCompletion is a whole answer, or one event of it.
type modelCompletion struct {
	ID      string        `json:"id"`
	Object  string        `json:"object"`
	Created int64         `json:"created"`
	Model   string        `json:"model"`
	Choices []modelChoice `json:"choices"`
	Usage   *modelUsage   `json:"usage,omitempty"`
}

type modelChoice struct {
	Index        int        `json:"index"`
	Message      *modelSaid `json:"message,omitempty"`
	Delta        *modelSaid `json:"delta,omitempty"`
	FinishReason *string    `json:"finish_reason"`
}

type modelSaid struct {
	Role      string  `json:"role,omitempty"`
	Reasoning string  `json:"reasoning_content,omitempty"`
	Content   *string `json:"content,omitempty"`
}

type modelUsage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
	Details    struct {
		Reasoning int `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
}
