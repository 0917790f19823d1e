package server

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tongxiang/ingest"
	"tongxiang/internal/stream"
	"tongxiang/internal/transcode"
	"tongxiang/recorder"
	"tongxiang/sfu"
)

// metrics returns the handler of /metrics. Values are read from snapshots when
// somebody asks; nothing is counted twice.
func (s *Server) metrics() http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&collector{hub: s.hub, channels: s.channels, recorder: s.recorder, changer: s.changer, engine: s.engine},
		&outputCollector{s.outputs, s.tsHTTP},
		guideCollector{s.epg},
		scheduleCollector{s.scheduler},
		jobCollector{s.store, s.jobs},
		&pushMetrics{rtsp: s.rtsp, rtmp: s.rtmp, desk: s.desk},
		&qualityCollector{s.channels, s.quality},
		hlsCollector{s.hls},
	)
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}

type collector struct {
	hub      *stream.Hub
	channels *ingest.Channels
	recorder *recorder.Recorder
	changer  *transcode.Service
	engine   *sfu.Engine
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("tongxiang_"+name, help, labels, nil)
}

// Describe sends nothing: what there is depends on the streams (an unchecked collector).
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends the present values.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	var (
		readers  = desc("stream_readers", "Subscriptions of a stream.", "stream")
		items    = desc("track_items_total", "Packets or frames that a track carried.", "stream", "track")
		bytes    = desc("track_bytes_total", "Payload bytes that a track carried.", "stream", "track")
		state    = desc("channel_live", "1 when a channel is live.", "channel", "state")
		bitrate  = desc("channel_bits_per_second", "What arrives from a channel's source.", "channel")
		backup   = desc("channel_on_backup", "1 when a channel is on one of its backups.", "channel")
		clock    = desc("channel_clock_offset_seconds", "This server's clock minus the broadcaster's.", "channel")
		starts   = desc("channel_starts_total", "How often a channel's source was started.", "channel")
		running  = desc("recordings_running", "Recordings being made now.")
		waiting  = desc("recordings_waiting", "Of these, those that cannot be written now.")
		queued   = desc("recorded_bytes_waiting", "Bytes that wait for disks.")
		written  = desc("recorded_bytes_total", "What recordings wrote to disk.")
		failed   = desc("recordings_failed_total", "Recordings that ended by an error.")
		slow     = desc("recorded_fragments_lost_total", "Fragments lost because the disk was too slow.")
		peers    = desc("webrtc_peers", "WebRTC connections, publishers and viewers.", "kind")
		packets  = desc("webrtc_packets_total", "Media packets received and kept, and sent to viewers.", "direction")
		payload  = desc("webrtc_bytes_total", "Their payload bytes.", "direction")
		asked    = desc("webrtc_nacks_total", "Packets asked for again, of publishers and by viewers.", "direction")
		again    = desc("webrtc_retransmissions_total", "Packets sent to viewers again.")
		keys     = desc("webrtc_key_frame_requests_total", "Key frames asked of publishers.")
		dropped  = desc("webrtc_dropped_total", "Packets not passed on, by reason.", "reason")
		changing = desc("transcoders_running", "ffmpeg children that make streams playable.")
		changed  = desc("transcoder_starts_total", "ffmpeg children started.")
		broken   = desc("transcoder_failures_total", "ffmpeg children that ended by themselves or hung.")
		cores    = desc("transcoder_cores", "Cores that ffmpeg children use, and may use.", "kind")
		refused  = desc("transcoder_refusals_total", "Renditions for which there was no room.")
	)
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	for _, st := range c.hub.List("") {
		gauge(readers, float64(st.Readers), st.Name.String())
		for _, t := range st.Tracks {
			label := string(t.Label())
			if rid := t.Info().RID; rid != "" {
				label += "/" + rid
			} else if t.Layer() > 0 { // one sound in two codings has one label
				label += "/" + strconv.Itoa(t.Layer())
			}
			stats := t.Stats()
			counter(items, float64(stats.Items), st.Name.String(), label)
			counter(bytes, float64(stats.Bytes), st.Name.String(), label)
		}
	}
	for _, ch := range c.channels.List() {
		live := 0.0
		if ch.State == ingest.Live {
			live = 1
		}
		gauge(state, live, ch.ID, string(ch.State))
		gauge(bitrate, float64(ch.Bitrate), ch.ID)
		onBackup := 0.0
		if ch.Backup {
			onBackup = 1
		}
		gauge(backup, onBackup, ch.ID)
		if ch.ClockOffset != nil {
			gauge(clock, ch.ClockOffset.Seconds(), ch.ID)
		}
		counter(starts, float64(ch.Attempts), ch.ID)
	}
	rec := c.recorder.Stats()
	gauge(running, float64(rec.Running))
	gauge(waiting, float64(rec.Waiting))
	gauge(queued, float64(rec.Queued))
	counter(written, float64(rec.Bytes))
	counter(failed, float64(rec.Failures))
	counter(slow, float64(rec.Slow))
	rtc := c.engine.Stats()
	gauge(peers, float64(rtc.Publishers), "publisher")
	gauge(peers, float64(rtc.Viewers), "viewer")
	counter(packets, float64(rtc.PacketsIn), "in")
	counter(packets, float64(rtc.PacketsOut), "out")
	counter(payload, float64(rtc.BytesIn), "in")
	counter(payload, float64(rtc.BytesOut), "out")
	counter(asked, float64(rtc.NACKsSent), "sent")
	counter(asked, float64(rtc.NACKsReceived), "received")
	counter(again, float64(rtc.Retransmitted))
	counter(keys, float64(rtc.PLIsSent))
	for reason, n := range rtc.Drops {
		counter(dropped, float64(n), reason)
	}
	tc := c.changer.Stats()
	gauge(changing, float64(tc.Running))
	counter(changed, float64(tc.Starts))
	counter(broken, float64(tc.Failures))
	gauge(cores, tc.Cores, "used")
	gauge(cores, tc.Budget, "budget")
	counter(refused, float64(tc.Refusals))
}
