package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"tongxiang/internal/epg"
)

// guideCollector shows what happens to the events of the programme guide.
type guideCollector struct{ guide *epg.Service }

// Describe sends nothing, as collector.Describe.
func (c guideCollector) Describe(chan<- *prometheus.Desc) {}

// Collect sends the present values.
func (c guideCollector) Collect(out chan<- prometheus.Metric) {
	x := c.guide.Stats()
	lost := desc("epg_events_lost_total", "Events of the programme guide that were left out, by reason.", "reason")
	out <- prometheus.MustNewConstMetric(desc("epg_events", "Events of the programme guide known now."), prometheus.GaugeValue, float64(x.Known))
	out <- prometheus.MustNewConstMetric(desc("epg_events_written_total", "Events written to the store."), prometheus.CounterValue, float64(x.Written))
	out <- prometheus.MustNewConstMetric(desc("epg_write_failures_total", "Writes that failed and were tried again."), prometheus.CounterValue, float64(x.Failures))
	for reason, n := range map[string]uint64{"queue": x.Queue, "bounded": x.Bounded, "absurd": x.Absurd} {
		out <- prometheus.MustNewConstMetric(lost, prometheus.CounterValue, float64(n), reason)
	}
}
