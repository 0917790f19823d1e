package server

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"tongxiang/internal/apierr"
	"tongxiang/internal/playout/hls"
	"tongxiang/internal/stream"
	"tongxiang/internal/transcode"
	"tongxiang/sfu"
)

var errQuality = apierr.New(http.StatusBadRequest, "quality_unknown",
	"There is no such quality: leave it out, or ask for 800 or 350.", "没有这种画质：请省略，或选择 800、350。")

// chosen returns what a plain viewer gets of a stream that he may watch: the quality
// and the sound that the request asks for (?quality=800&audio=bod).
func chosen(r *http.Request, name stream.Name) (sfu.Grant, error) {
	q := r.URL.Query()
	g := sfu.Grant{Watch: name, Audio: q.Get("audio")}
	switch q.Get("quality") {
	case "", "auto", "full":
	case "800":
		g.Watch = transcode.Rendition(name, transcode.WebRTC800)
	case "350":
		g.Watch = transcode.Rendition(name, transcode.WebRTC350)
	default:
		return sfu.Grant{}, errQuality
	}
	return g, nil
}

// lowRates returns the low-rate renditions that players of a stream may go to.
func (s *Server) lowRates(name stream.Name) []hls.Low {
	var out []hls.Low
	for _, o := range s.changer.Offers(name) {
		l := hls.Low{Name: o.Name, Rate: o.Rate, Video: o.Video, Width: o.Width, Height: o.Height, FPS: o.FPS}
		for _, t := range o.Sounds {
			l.Sounds = append(l.Sounds, hls.Sound{Label: string(t.Label), Format: t.Format})
		}
		out = append(out, l)
	}
	return out
}

// hlsCollector says what HLS does, for /metrics.
type hlsCollector struct{ server *hls.Server }

// Describe sends nothing, as [collector.Describe].
func (hlsCollector) Describe(chan<- *prometheus.Desc) {}

// Collect sends the present values.
func (c hlsCollector) Collect(out chan<- prometheus.Metric) {
	st := c.server.Stats()
	send := func(name, help string, kind prometheus.ValueType, v float64) {
		out <- prometheus.MustNewConstMetric(desc(name, help), kind, v)
	}
	send("hls_sessions", "Streams being segmented, each once however many watch.", prometheus.GaugeValue, float64(st.Sessions))
	send("hls_held_bytes", "Bytes of segments that are kept, for all players together.", prometheus.GaugeValue, float64(st.Held))
	send("hls_sessions_total", "Sessions that were ever begun.", prometheus.CounterValue, float64(st.Began))
	send("hls_playlists_total", "Playlists sent.", prometheus.CounterValue, float64(st.Playlists))
	send("hls_files_total", "Parts, segments and initialisation segments sent.", prometheus.CounterValue, float64(st.Files))
	send("hls_bytes_total", "Their bytes.", prometheus.CounterValue, float64(st.Bytes))
}
