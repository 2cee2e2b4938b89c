package app

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

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
		counter("wenzi_store_commits_total", "Transactions that recorded turns.", func() float64 { return float64(s.store.Stats().Commits) }),
		counter("wenzi_store_turns_total", "Turns recorded; divided by the commits it is the batch size.", func() float64 { return float64(s.store.Stats().Turns) }),
		counter("wenzi_store_repeats_total", "Repeated deliveries noted at a turn on record.", func() float64 { return float64(s.store.Stats().Repeats) }),
		counter("wenzi_store_failures_total", "Transactions of turns that failed.", func() float64 { return float64(s.store.Stats().Failures) }),
		gauge("wenzi_store_queued", "Writes that wait now.", func() float64 { return float64(s.store.Stats().Queued) }),
		gauge("wenzi_turns_held", "Answered turns in memory because the store is unavailable.", func() float64 { return float64(s.engine.Held()) }),
		gauge("wenzi_accounts", "Registered accounts.", func() float64 { return float64(len(s.accounts.Accounts())) }),
	)
	return m
}

func (m *metrics) observe(x oa.Exchange) {
	if c := m.deliveries[x.Outcome]; c != nil {
		c.Inc()
	}
	if x.Kind != "" {
		m.seconds.Observe(x.Took.Seconds())
	}
}
