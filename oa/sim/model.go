package sim

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// Model stands in for the simulated model until that is merged.
type Model struct {
	mu       sync.Mutex
	settings ModelSettings
	calls    int
}

// ModelSettings say how a [Model] answers.
type ModelSettings struct {
	Delay           string       `json:"delay,omitempty"`
	FirstToken      string       `json:"first_token,omitempty"`
	TokensPerSecond float64      `json:"tokens_per_second,omitempty"`
	Seed            uint64       `json:"seed,omitempty"`
	Text            string       `json:"text,omitempty"`
	Bytes           int          `json:"bytes,omitempty"`
	FailNext        int          `json:"fail_next,omitempty"`
	FailStatus      int          `json:"fail_status,omitempty"`
	Trouble         ModelTrouble `json:"trouble,omitempty"`
	After           int          `json:"after,omitempty"`
}

// ModelTrouble is what goes wrong with an answer.
type ModelTrouble string

// ModelStats are what a [Model] was asked until now.
type ModelStats struct {
	Calls       int            `json:"calls"`
	Refused     int            `json:"refused"`
	Running     int            `json:"running"`
	MostRunning int            `json:"most_running"`
	Questions   map[string]int `json:"questions"`
}

// Set changes the settings.
func (m *Model) Set(s ModelSettings) error {
	if _, err := time.ParseDuration(s.Delay); s.Delay != "" && s.Delay != "typical" && err != nil {
		return fmt.Errorf("sim: delay %q: it must be a duration such as \"8s\"", s.Delay)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settings = s
	return nil
}

// Settings returns the settings.
func (m *Model) Settings() ModelSettings {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.settings
}

// Stats returns what was counted.
func (m *Model) Stats() ModelStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return ModelStats{Calls: m.calls}
}

// ServeHTTP answers one request.
func (m *Model) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	m.mu.Lock()
	m.calls++
	m.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, `{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"stub"},"finish_reason":"stop"}]}`)
}
