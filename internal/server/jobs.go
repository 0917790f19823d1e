package server

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tongxiang/internal/jobs"
	"tongxiang/internal/store"
	"tongxiang/recorder/work"
)

// buildJobs makes the queue; nothing of it runs before startJobs, but what the
// recorder ends meanwhile is queued.
func (s *Server) buildJobs() error {
	hours, err := jobs.ParseHours(s.cfg.Jobs.OffPeak)
	if err != nil {
		return err
	}
	shop := &work.Shop{Dir: s.cfg.RecordingsDir(), FFmpeg: s.cfg.Transcode.FFmpeg, Library: ledger{s.store, s}}
	s.jobs = jobs.New(jobs.Config{
		Makers: shop.Makers(), OffPeak: hours, Low: s.cfg.Jobs.Low,
		Ready: func() bool { // another server may have the folder
			_, other := s.recorder.Holder()
			return !other
		},
	}, s.store, s.log.With("part", "jobs"))
	return nil
}

// ledger is the store as those see it who make recordings of others: they tell those
// who wait for the end of a recording, as the recorder does.
type ledger struct {
	*store.Store
	server *Server
}

// PutRecording writes the entry of a recording that is complete.
func (l ledger) PutRecording(ctx context.Context, rec store.Recording) error {
	if err := l.Store.PutRecording(ctx, rec); err != nil {
		return err
	}
	l.server.recordingEnded(rec)
	return nil
}

// PutDerived notes what was made, and what it takes of the disk.
func (l ledger) PutDerived(ctx context.Context, d store.Derived) error {
	if err := l.Store.PutDerived(ctx, d); err != nil {
		return err
	}
	lib := l.server.library.Load()
	if lib == nil {
		return nil
	}
	if err := lib.Measure(ctx, d.Recording); err != nil { // what was made is there all the same
		l.server.log.Warn("it is not known how much lies in the folder of a recording", "id", d.Recording, "err", err)
	}
	return nil
}

// jobTable is what the API sees of the queue.
type jobTable struct{ *jobs.Service }

// Add queues a job.
func (t jobTable) Add(ctx context.Context, kind, recording string, args any, by string) (store.Job, error) {
	return t.Service.Add(ctx, jobs.Kind(kind), recording, args, by)
}

// Explain returns what the code of a cause means.
func (jobTable) Explain(code string) (en, zh string) { return jobs.Explain(code) }

// jobCollector counts jobs for /metrics.
type jobCollector struct {
	store *store.Store
	jobs  *jobs.Service
}

// Describe sends nothing: what there is depends on the kinds (an unchecked collector).
func (jobCollector) Describe(chan<- *prometheus.Desc) {}

// countPatience bounds how long /metrics waits for the store.
const countPatience = 2 * time.Second

// Collect sends the present values.
func (c jobCollector) Collect(out chan<- prometheus.Metric) {
	ctx, stop := context.WithTimeout(context.Background(), countPatience)
	defer stop()
	queue := desc("jobs", "Jobs that wait or run.", "state", "kind")
	ended := desc("jobs_ended_total", "Jobs that ended since the start; queued: attempts that are to be repeated.", "state", "kind")
	if n, err := c.store.CountJobs(ctx); err == nil {
		for _, state := range []store.JobState{store.JobQueued, store.JobRunning} {
			for _, kind := range jobs.Kinds() {
				out <- prometheus.MustNewConstMetric(queue, prometheus.GaugeValue, float64(n[state][string(kind)]), string(state), string(kind))
			}
		}
	}
	for kind, states := range c.jobs.Counts() {
		for state, n := range states {
			out <- prometheus.MustNewConstMetric(ended, prometheus.CounterValue, float64(n), string(state), string(kind))
		}
	}
}
