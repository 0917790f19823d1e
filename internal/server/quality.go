package server

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tongxiang/ingest"
	"tongxiang/internal/api"
	"tongxiang/internal/media"
	"tongxiang/internal/quality"
)

const (
	// pruneEvery is how often old alarms are deleted, maxAlarms how many are kept of a
	// channel at most: one that flaps every minute fills a week.
	pruneEvery = 6 * time.Hour
	maxAlarms  = 10_000
)

// buildQuality begins to watch over the channels.
func (s *Server) buildQuality(ctx context.Context, clock media.Clock) error {
	if err := s.store.ClearAlarms(ctx, time.Now()); err != nil {
		return err
	}
	c := s.cfg.Quality
	s.quality = quality.New(quality.Config{
		FFmpeg: s.cfg.Transcode.FFmpeg, Interval: c.Interval, CPU: c.CPU, Loud: c.Loud,
	}, s.hub, clock, s.log.With("part", "quality"), quality.Outlets{
		Channels: s.watchedChannels, Record: s.recordAlarm,
	})
	return nil
}

func (s *Server) watchedChannels() []quality.Channel {
	list := s.channels.List()
	out := make([]quality.Channel, len(list))
	for i, c := range list {
		out[i] = quality.Channel{ID: c.ID, Live: c.State == ingest.Live, Transport: c.Transport}
	}
	return out
}

func (s *Server) recordAlarm(ctx context.Context, channel string, c quality.Change) error {
	if c.Raised {
		return s.store.RaiseAlarm(ctx, channel, string(c.Alarm), c.At)
	}
	return s.store.ClearAlarm(ctx, channel, string(c.Alarm), c.At)
}

// pruneAlarms deletes old alarms until ctx ends.
func (s *Server) pruneAlarms(ctx context.Context) {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		if err := s.store.PruneAlarms(ctx, time.Now().Add(-s.cfg.Quality.Keep), maxAlarms); err != nil && ctx.Err() == nil {
			s.log.Error("delete old alarms", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// watcher is what the API sees of the quality of channels.
type watcher struct{ s *quality.Service }

// Channel implements [api.Quality].
func (w watcher) Channel(id string) *api.ChannelQuality {
	r, ok := w.s.Report(id)
	if !ok {
		return nil
	}
	q := &api.ChannelQuality{Alarms: []string{}, Since: r.Since.UTC(), Raised: map[string]time.Time{}, Judged: r.Judged, Bitrate: r.Bitrate}
	for _, a := range r.Names() {
		q.Alarms = append(q.Alarms, string(a))
		q.Raised[string(a)] = r.Raised[a].UTC()
	}
	if r.Transport {
		q.TR101290 = make(map[string]uint64)
		r.Errors.Each(func(name string, n uint64) { q.TR101290[name] = n })
		q.JitterUS, q.DelayUS = &r.Jitter, &r.DelayFactor
	}
	for _, p := range r.PIDs {
		q.PIDs = append(q.PIDs, api.PID{PID: p.PID, Codec: p.Codec, Bitrate: p.Bitrate})
	}
	if r.Heard {
		q.Loudness, q.Level = tenth(r.Loudness), tenth(r.Level)
	}
	if !r.ThumbnailAt.IsZero() {
		at := r.ThumbnailAt.UTC()
		q.ThumbnailAt, q.Luma = &at, tenth(r.Luma)
	}
	return q
}

// tenth rounds to what the measurement is worth.
func tenth(v float64) *float64 {
	r := float64(int64(v*10-0.5)) / 10
	if v >= 0 {
		r = float64(int64(v*10+0.5)) / 10
	}
	return &r
}

// Thumbnail implements [api.Quality].
func (w watcher) Thumbnail(id string) (api.Thumbnail, bool, error) {
	t, ok, err := w.s.Thumbnail(id)
	return api.Thumbnail{JPEG: t.JPEG, ETag: t.ETag, At: t.At}, ok, err
}

// qualityCollector shows the quality of channels to Prometheus: a fixed set of names
// for each channel.
type qualityCollector struct {
	channels *ingest.Channels
	watch    *quality.Service
}

// Describe sends nothing: what there is depends on the channels (an unchecked collector).
func (c *qualityCollector) Describe(chan<- *prometheus.Desc) {}

// Collect sends the present values.
func (c *qualityCollector) Collect(out chan<- prometheus.Metric) {
	var (
		alarm    = desc("channel_alarm", "1 while an alarm of a channel is raised.", "channel", "alarm")
		errs     = desc("channel_tr101290_errors_total", "Errors of a channel's transport stream by ETSI TR 101 290.", "channel", "error")
		rate     = desc("channel_programme_bits_per_second", "Packets of a channel's programme by the stream's own clock.", "channel")
		jitter   = desc("channel_pcr_jitter_seconds", "Mean deviation of the clock's arrival, RFC 3550.", "channel")
		delay    = desc("channel_delay_factor_seconds", "Range of the clock's arrival over a second, RFC 4445.", "channel")
		loud     = desc("channel_loudness_lufs", "Loudness of a channel over the last minute of samples.", "channel")
		level    = desc("channel_sound_level_dbfs", "RMS level of the newest sample of a channel's sound.", "channel")
		luma     = desc("channel_luma", "Mean luma of the newest sampled picture.", "channel")
		age      = desc("channel_thumbnail_age_seconds", "Age of the newest sampled picture.", "channel")
		samples  = desc("quality_samples_total", "Samples of pictures and sounds taken.")
		failures = desc("quality_sample_failures_total", "Samples that could not be decoded.")
		interval = desc("quality_sample_interval_seconds", "Time between two samples of a channel, stretched when they cost too much.")
		cpu      = desc("quality_sample_cpu_ratio", "Share of one core that samples used last.")
		decoders = desc("quality_decoders_running", "ffmpeg children that decode samples.")
		starts   = desc("quality_decoder_starts_total", "Such children started.")
		lost     = desc("quality_alarm_log_lost_total", "Changes of alarms that did not get into the log.")
	)
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	now := time.Now()
	for _, ch := range c.channels.List() {
		r, ok := c.watch.Report(ch.ID)
		if !ok {
			continue
		}
		for _, a := range quality.Alarms() {
			v := 0.0
			if r.Has(a) {
				v = 1
			}
			gauge(alarm, v, ch.ID, string(a))
		}
		if r.Transport {
			r.Errors.Each(func(name string, n uint64) { counter(errs, float64(n), ch.ID, name) })
			gauge(rate, float64(r.Bitrate), ch.ID)
			gauge(jitter, float64(r.Jitter)/1e6, ch.ID)
			gauge(delay, float64(r.DelayFactor)/1e6, ch.ID)
		}
		if r.Heard {
			gauge(loud, r.Loudness, ch.ID)
			gauge(level, r.Level, ch.ID)
		}
		if !r.ThumbnailAt.IsZero() {
			gauge(luma, r.Luma, ch.ID)
			gauge(age, now.Sub(r.ThumbnailAt).Seconds(), ch.ID)
		}
	}
	st := c.watch.Stats()
	counter(samples, float64(st.Samples))
	counter(failures, float64(st.Failures))
	gauge(interval, st.Interval.Seconds())
	gauge(cpu, st.CPU)
	gauge(decoders, float64(st.Decoders))
	counter(starts, float64(st.Starts))
	counter(lost, float64(st.Unrecorded))
}
