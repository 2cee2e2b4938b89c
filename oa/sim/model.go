package sim

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Model plays the endpoint of a language model, so that a whole system can be
// tried without a key: POST /v1/chat/completions of OpenAI's API, with and
// without streaming, and GET /v1/models; also without /v1. Every key is good.
// It takes a request as strictly as a provider does. The zero Model is ready.
//
// How it answers is in its [ModelSettings]. The name of the model that a request
// asks for changes them for that request: a list of terms with commas between.
// A term is the JSON name of a setting with its value ("first_token=500ms",
// "bytes=6000", "fail_status=429"), or the name of a distribution or of a
// trouble ("reasoning", "stall"). The first term may be any other name. So
// "deepseek-chat" follows the settings, and "deepseek-chat,delay=8s" takes 8 s.
//
// It has no goroutine of its own and is safe for concurrent use. Its time is
// that of [testing/synctest] in a bubble. An answer ends with the context of its
// request.
type Model struct {
	mu       sync.Mutex
	settings ModelSettings
	stats    ModelStats
}

// ModelStats are what a [Model] was asked until now.
type ModelStats struct {
	Calls       int `json:"calls"`        // all but the refused
	Refused     int `json:"refused"`      // for what is wrong with them
	Running     int `json:"running"`      // now
	MostRunning int `json:"most_running"` // at one time
	// Questions are the calls with each question, which is the last message of
	// the user, by its hash; see Asked. Only the first 100000 different
	// questions are counted.
	Questions map[string]int `json:"questions"`
}

const maxQuestions = 100_000

// Asked returns the number of calls with a question.
func (s *ModelStats) Asked(question string) int {
	sum := sha256.Sum256([]byte(question))
	return s.Questions[questionKey(sum)]
}

func questionKey(sum [sha256.Size]byte) string { return hex.EncodeToString(sum[:8]) }

// Set changes the settings, for requests that have not begun. The error names
// the setting that is wrong; then nothing is changed.
func (m *Model) Set(s ModelSettings) error {
	if _, err := s.plan(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settings = s
	return nil
}

// Settings returns the settings. FailNext is how many requests are still to fail.
func (m *Model) Settings() ModelSettings {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.settings
}

// Stats returns what was counted.
func (m *Model) Stats() ModelStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.stats
	s.Questions = maps.Clone(s.Questions)
	return s
}

// called is the number of calls until now, and the most at one time.
func (m *Model) called() (calls, mostRunning int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stats.Calls, m.stats.MostRunning
}

// ServeHTTP answers one request.
func (m *Model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch strings.TrimPrefix(r.URL.Path, "/v1") {
	case "/models":
		if allowed(w, r, http.MethodGet) {
			serveModels(w)
		}
	case "/chat/completions":
		if allowed(w, r, http.MethodPost) {
			m.serveCompletion(w, r)
		}
	default:
		refusal(http.StatusNotFound, "", "Invalid URL (%s %s).", r.Method, clip(r.URL.Path)).write(w)
	}
}

// allowed refuses every other method.
func allowed(w http.ResponseWriter, r *http.Request, method string) bool {
	if r.Method != method {
		w.Header().Set("Allow", method)
		refusal(http.StatusMethodNotAllowed, "", "Not allowed to %s here, only to %s.", r.Method, method).write(w)
	}
	return r.Method == method
}

func serveModels(w http.ResponseWriter) {
	type entry struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Created int64  `json:"created"`
		OwnedBy string `json:"owned_by"`
	}
	names := append([]string{"sim"}, slices.Sorted(maps.Keys(modelDelays))...)
	for _, t := range modelTroubles {
		names = append(names, string(t))
	}
	var list struct {
		Object string  `json:"object"`
		Data   []entry `json:"data"`
	}
	list.Object = "list"
	for _, name := range names {
		list.Data = append(list.Data, entry{ID: name, Object: "model", OwnedBy: "sim"})
	}
	writeJSON(w, http.StatusOK, list)
}

func (m *Model) serveCompletion(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	req, problem := readModelRequest(w, r)
	var call *modelCall
	if problem == nil {
		call, problem = m.begin(req)
	}
	if problem != nil {
		m.mu.Lock()
		m.stats.Refused++
		m.mu.Unlock()
		problem.write(w)
		return
	}
	defer m.end()
	if call.plan.FailNext > 0 {
		refusalOf(cmp.Or(call.plan.FailStatus, http.StatusInternalServerError)).write(w)
		return
	}
	call.start, call.ctx, call.w = start, r.Context(), w
	if req.Stream {
		call.stream()
	} else {
		call.whole()
	}
}

// begin counts a request and makes up the answer to it.
func (m *Model) begin(req *modelRequest) (*modelCall, *modelError) {
	sum := sha256.Sum256([]byte(req.question()))
	plan, nth, err := m.count(req.Model, questionKey(sum))
	if err != nil {
		problem := refusal(http.StatusNotFound, "model", "The model '%s' does not exist: %v.", clip(req.Model), err)
		problem.Code = new("model_not_found")
		return nil, problem
	}
	random := rand.New(rand.NewPCG(plan.Seed, binary.BigEndian.Uint64(sum[8:])+uint64(nth)))
	id := "chatcmpl-" + questionKey(sum) + "-" + strconv.Itoa(nth)
	return newModelCall(id, plan, req, random.NormFloat64()), nil
}

// count counts a request, unless the model does not exist. It returns what the
// request follows and which one it is with its question.
func (m *Model) count(model, question string) (plan modelPlan, nth int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if plan, err = m.settings.named(model); err != nil {
		return modelPlan{}, 0, err
	}
	m.settings.FailNext = max(m.settings.FailNext-1, 0)
	m.stats.Calls++
	m.stats.Running++
	m.stats.MostRunning = max(m.stats.MostRunning, m.stats.Running)
	if m.stats.Questions == nil {
		m.stats.Questions = map[string]int{}
	}
	nth = m.stats.Questions[question] + 1
	if nth > 1 || len(m.stats.Questions) < maxQuestions {
		m.stats.Questions[question] = nth
	}
	return plan, nth, nil
}

func (m *Model) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stats.Running--
}
