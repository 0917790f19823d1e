package rtsp

import (
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/pion/rtp"

	"tongxiang/ingest/mpegts"
	"tongxiang/ingest/source"
)

// multiplex is a transport stream in RTP (payload type 33), as satellite receivers
// and some encoders serve it: the core takes it apart.
type multiplex struct {
	media  *description.Media
	format format.Format
	out    *source.Output
	feed   *mpegts.Feed
}

// findMultiplex returns the first transport stream of a description, or nil.
func findMultiplex(desc *description.Session, out *source.Output, program int) *multiplex {
	for _, m := range desc.Medias {
		for _, f := range m.Formats {
			if _, ok := f.(*format.MPEGTS); ok && !m.IsBackChannel {
				return &multiplex{media: m, format: f, out: out, feed: mpegts.NewFeed(out, program)}
			}
		}
	}
	return nil
}

// packet takes one RTP packet, in order. Lost ones are seen by the core.
func (m *multiplex) packet(p *rtp.Packet) { m.feed.Write(p.Payload, m.out.Clock.Now()) }

func (m *multiplex) close() { m.feed.Close() }
