package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// maxModelRequest is the most bytes of a request: images come in base64.
const maxModelRequest = 8 << 20

// modelRequest is what a request for a completion has that makes a difference.
type modelRequest struct {
	Model         string         `json:"model"`
	Messages      []modelMessage `json:"messages"`
	Stream        bool           `json:"stream"`
	StreamOptions *struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	N                   *int     `json:"n"`
	MaxTokens           *int     `json:"max_tokens"`
	MaxCompletionTokens *int     `json:"max_completion_tokens"`
	Temperature         *float64 `json:"temperature"`
	TopP                *float64 `json:"top_p"`
}

type modelMessage struct {
	Role       string            `json:"role"`
	Content    json.RawMessage   `json:"content"`
	ToolCalls  []json.RawMessage `json:"tool_calls"`
	ToolCallID string            `json:"tool_call_id"`
	text       string            // of Content
}

// readModelRequest takes a request as strictly as a provider does.
func readModelRequest(w http.ResponseWriter, r *http.Request) (*modelRequest, *modelError) {
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/json" {
		return nil, modelRefusal(http.StatusUnsupportedMediaType, "", "Unsupported Content-Type. This API method only accepts 'application/json' requests.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxModelRequest))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, modelRefusal(http.StatusRequestEntityTooLarge, "", "The request has more than %d bytes.", maxModelRequest)
	} else if err != nil {
		return nil, invalidRequest("", "The body of the request did not arrive.")
	}
	var req modelRequest
	if err := json.Unmarshal(body, &req); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return nil, invalidRequest(wrong.Field, "Invalid type for '%s': %s does not fit.", wrong.Field, wrong.Value)
		}
		return nil, invalidRequest("", "We could not parse the JSON body of your request.")
	}
	return &req, req.check()
}

func (r *modelRequest) check() *modelError {
	switch {
	case r.Model == "":
		return invalidRequest("model", "You must provide a model parameter.")
	case len(r.Messages) == 0:
		return invalidRequest("messages", "Missing required parameter: 'messages' must have at least one message.")
	case r.StreamOptions != nil && !r.Stream:
		return invalidRequest("stream_options", "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
	case r.N != nil && *r.N != 1:
		return invalidRequest("n", "Invalid 'n': only 1 is supported.")
	case r.MaxTokens != nil && *r.MaxTokens < 1:
		return invalidRequest("max_tokens", "Invalid 'max_tokens': it must be at least 1.")
	case r.MaxCompletionTokens != nil && *r.MaxCompletionTokens < 1:
		return invalidRequest("max_completion_tokens", "Invalid 'max_completion_tokens': it must be at least 1.")
	case r.Temperature != nil && (*r.Temperature < 0 || *r.Temperature > 2):
		return invalidRequest("temperature", "Invalid 'temperature': it must be 0 to 2.")
	case r.TopP != nil && (*r.TopP < 0 || *r.TopP > 1):
		return invalidRequest("top_p", "Invalid 'top_p': it must be 0 to 1.")
	}
	for i := range r.Messages {
		if problem := r.Messages[i].check("messages[" + strconv.Itoa(i) + "]"); problem != nil {
			return problem
		}
	}
	return nil
}

var (
	modelRoles = []string{"system", "developer", "user", "assistant", "tool"}
	modelParts = []string{"text", "image_url", "input_audio", "file", "refusal"}
)

func (m *modelMessage) check(path string) *modelError {
	switch {
	case !slices.Contains(modelRoles, m.Role):
		return invalidRequest(path+".role", "Invalid value: '%s'. Supported values are: %q.", clip(m.Role), modelRoles)
	case m.Role == "tool" && m.ToolCallID == "":
		return invalidRequest(path+".tool_call_id", "Missing required parameter: '%s.tool_call_id'.", path)
	case len(m.Content) == 0 || string(m.Content) == "null":
		if m.Role == "assistant" && len(m.ToolCalls) > 0 {
			return nil
		}
		return invalidRequest(path+".content", "Missing required parameter: '%s.content'.", path)
	case json.Unmarshal(m.Content, &m.text) == nil:
		return nil
	}
	var parts []struct{ Type, Text string }
	if json.Unmarshal(m.Content, &parts) != nil || len(parts) == 0 {
		return invalidRequest(path+".content", "Invalid type for '%s.content': it must be a string or an array of parts.", path)
	}
	var texts []string
	for i, part := range parts {
		if !slices.Contains(modelParts, part.Type) {
			return invalidRequest(fmt.Sprintf("%s.content[%d].type", path, i), "Invalid value: '%s'. Supported values are: %q.", clip(part.Type), modelParts)
		}
		if part.Type == "text" {
			texts = append(texts, part.Text)
		}
	}
	m.text = strings.Join(texts, "\n")
	return nil
}

// question is the last message of the user.
func (r *modelRequest) question() string {
	for _, m := range slices.Backward(r.Messages) {
		if m.Role == "user" {
			return m.text
		}
	}
	return ""
}

// limit is the most tokens that an answer may have.
func (r *modelRequest) limit() int {
	most := math.MaxInt
	for _, n := range []*int{r.MaxTokens, r.MaxCompletionTokens} {
		if n != nil {
			most = min(most, *n)
		}
	}
	return most
}

// modelError is a refusal in OpenAI's shape.
type modelError struct {
	Status  int     `json:"-"`
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

func modelRefusal(status int, param, message string, args ...any) *modelError {
	e := &modelError{Status: status, Message: fmt.Sprintf(message, args...), Type: "invalid_request_error"}
	if param != "" {
		e.Param = &param
	}
	return e
}

func invalidRequest(param, message string, args ...any) *modelError {
	return modelRefusal(http.StatusBadRequest, param, message, args...)
}

// refusalOf is the refusal that belongs to a status.
func refusalOf(status int) *modelError {
	kind, code := "server_error", "server_error"
	switch {
	case status == http.StatusUnauthorized:
		kind, code = "invalid_request_error", "invalid_api_key"
	case status == http.StatusPaymentRequired:
		kind, code = "insufficient_quota", "insufficient_balance"
	case status == http.StatusTooManyRequests:
		kind, code = "requests", "rate_limit_exceeded"
	case status < http.StatusInternalServerError:
		kind, code = "invalid_request_error", "invalid_request"
	}
	message := fmt.Sprintf("The simulated model fails with %d %s, as it was told to.", status, http.StatusText(status))
	return &modelError{Status: status, Message: message, Type: kind, Code: &code}
}

func (e *modelError) write(w http.ResponseWriter) {
	if e.Status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "2")
	}
	writeJSON(w, e.Status, map[string]*modelError{"error": e})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		panic(err) // the values are our own
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body)
}
