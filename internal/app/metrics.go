package app

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/wenzihq/wenzi/internal/store"
	"github.com/wenzihq/wenzi/internal/turn"
	"github.com/wenzihq/wenzi/oa"
)

// metrics are what /metrics shows.
type metrics struct {
	http.Handler
	deliveries map[oa.Outcome]prometheus.Counter
	seconds    prometheus.Histogram
}

func newMetrics(s *server) *metrics {
	r := prometheus.NewRegistry()
	m := &metrics{Handler: promhttp.HandlerFor(r, promhttp.HandlerOpts{}), deliveries: map[oa.Outcome]prometheus.Counter{}}
	deliveries := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wenzi_deliveries_total", Help: "HTTP requests at callback addresses, by how they ended."}, []string{"outcome"})
	for _, o := range []oa.Outcome{oa.Verified, oa.Answered, oa.Acknowledged, oa.Failed, oa.Unreadable, oa.Unanswered, oa.Refused} {
		m.deliveries[o] = deliveries.WithLabelValues(string(o))
	}
	m.seconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "wenzi_delivery_seconds", Help: "Time from a delivery's arrival to its answer. WeChat hangs up after 5 s.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 4.5, 5, 7.5}})
	counter := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, f)
	}
	gauge := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f)
	}
	r.MustRegister(deliveries, m.seconds,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		counter("wenzi_store_commits_total", "Transactions that recorded turns or changes of their answers.", func() float64 { return float64(s.store.Stats().Commits) }),
		counter("wenzi_store_turns_total", "Turns recorded; divided by the commits it is the batch size.", func() float64 { return float64(s.store.Stats().Turns) }),
		counter("wenzi_store_repeats_total", "Repeated deliveries noted at a turn on record.", func() float64 { return float64(s.store.Stats().Repeats) }),
		counter("wenzi_store_changes_total", "Changes of the answers of turns.", func() float64 { return float64(s.store.Stats().Changes) }),
		counter("wenzi_store_failures_total", "Transactions of turns or changes that failed.", func() float64 { return float64(s.store.Stats().Failures) }),
		gauge("wenzi_store_queued", "Writes that wait now.", func() float64 { return float64(s.store.Stats().Queued) }),
		gauge("wenzi_turns_held", "Answered turns in memory because the store is unavailable.", func() float64 { return float64(s.engine.Held()) }),
		gauge("wenzi_replicas", "Processes that share the database, this one included.", func() float64 { return float64(s.engine.Replicas()) }),
		gauge("wenzi_accounts", "Registered accounts.", func() float64 { return float64(len(s.accounts.Accounts())) }),
		turnMetrics{s.engine}, storeMetrics{s.store, s.log},
	)
	return m
}

// turnMetrics are what the engine counts.
type turnMetrics struct{ engine *turn.Engine }

var (
	turnsDesc = prometheus.NewDesc("wenzi_turns_total", "Turns by the state they came to; one can come to several: working, waiting, fetched.", []string{"state"}, nil)
	ridesDesc = prometheus.NewDesc("wenzi_deliberate_timeouts_total", "Deliveries left unanswered on purpose, so that WeChat repeats them.", nil, nil)
	pushDesc  = prometheus.NewDesc("wenzi_pushes_total",
		"Customer-service messages that were sent, or failed and are tried again; and answers that went into the mailbox instead, also because nobody knows whether they were sent, or whose follower is gone.", []string{"outcome"}, nil)
	callsDesc  = prometheus.NewDesc("wenzi_model_calls_total", "Requests to language models for answers that are on record.", []string{"model"}, nil)
	tokensDesc = prometheus.NewDesc("wenzi_model_tokens_total", "Tokens of answers that are on record.", []string{"model", "kind"}, nil)
)

// Describe implements [prometheus.Collector].
func (turnMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{turnsDesc, ridesDesc, pushDesc, callsDesc, tokensDesc} {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (m turnMetrics) Collect(to chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, n int64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	stats := m.engine.Stats()
	for _, state := range store.States {
		count(turnsDesc, stats.Turns[state], state.String())
	}
	count(ridesDesc, stats.Rides)
	for _, outcome := range turn.Outcomes {
		count(pushDesc, stats.Pushes[outcome], string(outcome))
	}
	for model, used := range stats.Models {
		count(callsDesc, used.Calls, model)
		count(tokensDesc, used.PromptTokens, model, "prompt")
		count(tokensDesc, used.CompletionTokens, model, "completion")
	}
}

// storeMetrics are what has to be asked from the store, which has 2 s for it.
// While it does not answer they are left out.
type storeMetrics struct {
	store *store.Store
	log   *slog.Logger
}

const metricsTimeout = 2 * time.Second

var (
	openDesc = prometheus.NewDesc("wenzi_turns_open", "Turns that are not at their end: being worked on, to be pushed, or waiting to be fetched.", []string{"state"}, nil)
	jobsDesc = prometheus.NewDesc("wenzi_jobs", "Background jobs, without those that are completed.", []string{"kind", "state"}, nil)
)

// Describe implements [prometheus.Collector].
func (storeMetrics) Describe(to chan<- *prometheus.Desc) { to <- openDesc; to <- jobsDesc }

// Collect implements [prometheus.Collector].
func (m storeMetrics) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), metricsTimeout)
	defer cancel()
	gauge := func(d *prometheus.Desc, n int64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
	}
	open, err := m.store.CountOpen(ctx)
	for state, n := range open {
		gauge(openDesc, n, state.String())
	}
	counts, jobsErr := m.store.CountJobs(ctx)
	for _, c := range counts {
		gauge(jobsDesc, c.Jobs, c.Kind, c.State.String())
	}
	if err := errors.Join(err, jobsErr); err != nil {
		m.log.Warn("the store could not be asked for metrics", "error", err)
	}
}

func (m *metrics) observe(x oa.Exchange) {
	if c := m.deliveries[x.Outcome]; c != nil {
		c.Inc()
	}
	if x.Kind != "" {
		m.seconds.Observe(x.Took.Seconds())
	}
}
