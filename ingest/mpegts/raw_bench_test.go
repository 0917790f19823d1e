package mpegts

import (
	"log/slog"
	"runtime"
	"testing"
	"time"

	"tongxiang/ingest/source"
	"tongxiang/internal/media"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/stream"
)

// BenchmarkHeldPackets measures what it costs to hold the last seconds of a channel's
// transport packets, beside taking the channel apart: per cent of a core for each
// Mbit/s, and the memory that is held.
func BenchmarkHeldPackets(b *testing.B) {
	ts := playtest.TS(b, 20, "720x576", "-c:v mpeg2video -bf 2 -g 12 -b:v 5M -minrate 5M -maxrate 5M -bufsize 2M -c:a mp2 -b:a 192k -ar 48000")
	for _, held := range []bool{false, true} {
		name := "taken apart"
		if held {
			name = "and held"
		}
		b.Run(name, func(b *testing.B) {
			hub := stream.NewHub(slog.New(slog.DiscardHandler))
			defer hub.Close()
			pub, err := hub.Publish("channels/x", false)
			if err != nil {
				b.Fatal(err)
			}
			defer pub.Close()
			out := &source.Output{
				Publisher: pub, Timeline: new(media.Timeline), Clock: media.NewClock(), Log: slog.New(slog.DiscardHandler),
				Report: func(source.Report) {},
			}
			x := newMux("x", out.Clock)
			x.add(out, 0)
			if held {
				raw, err := hub.Publish("channels/x/raw", false)
				if err != nil {
					b.Fatal(err)
				}
				defer raw.Close()
				track := raw.AddTrack(stream.TrackInfo{
					Label: stream.LabelTransport, Form: stream.Packets, Keep: 64, Format: media.Format{Codec: media.Unknown, ClockRate: 90000},
				})
				out.Raw.Set(track.WritePacket)
			}
			now, bits := int64(1), 0
			cpu := processorTime(b)
			for b.Loop() {
				for data := ts; len(data) > 0; {
					n := min(7*188, len(data))
					now += int64(20*time.Second) * int64(n) / int64(len(ts))
					x.feed(data[:n], now)
					data = data[n:]
				}
				bits += 8 * len(ts)
			}
			b.ReportMetric(100*(processorTime(b)-cpu).Seconds()/(float64(bits)/1e6), "%core/(Mbit/s)")
			b.ReportMetric(0, "ns/op")
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			b.ReportMetric(float64(m.HeapAlloc)/1e6, "MB-held")
			runtime.KeepAlive(hub)
		})
	}
}
