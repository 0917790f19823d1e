package rtsp

import (
	"bytes"
	"fmt"
	"sync/atomic"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"tongxiang/ingest/source"
	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// receiver turns the packets of one connection into tracks.
type receiver struct {
	out *source.Output
	// session relates the tracks' clocks by the sender's reports.
	session media.RTPSession
	tracks  []*track
	other   []source.Stream // present, not handled
	video   int
	audio   int

	missing   atomic.Uint64
	malformed atomic.Uint64
}

// track is one picture or sound. After publish it belongs to the goroutine that
// reads its packets; the clock is shared with the one that reads reports.
type track struct {
	label  stream.Label
	media  *description.Media
	format format.Format
	known  media.Format

	out       *stream.Track
	clock     *media.RTPClock
	sequence  media.Unwrapper
	timestamp media.Unwrapper
	inspector media.Inspector
	begun     bool
	// Added, so that what this connection brings goes on behind what an earlier one
	// brought; ticks keeps timestamps in step with times.
	base             media.Time
	sequence0, ticks int64
	highest          int64 // sequence number written
}

func newReceiver(out *source.Output) *receiver { return &receiver{out: out} }

// lost counts packets that the transport lost.
func (r *receiver) lost(n uint64) { r.missing.Add(n) }

// add takes a media section of the description, and reports whether to set it up.
func (r *receiver) add(m *description.Media) bool {
	for _, f := range m.Formats {
		known, ok := formatOf(f)
		if !ok {
			if m.Type == description.MediaTypeVideo || m.Type == description.MediaTypeAudio {
				r.other = append(r.other, source.Stream{Format: media.Format{Codec: media.Unknown, Note: f.Codec()}, Known: true})
			}
			continue
		}
		label := stream.LabelVideo
		if known.Codec.Kind() == media.Video {
			if r.video++; r.video > 1 { // a camera's second picture has an address of its own
				continue
			}
		} else {
			label = stream.LabelAudio
			if r.audio++; r.audio > 1 {
				label = stream.Label(fmt.Sprintf("%s%d", stream.LabelAudio, r.audio))
			}
		}
		r.tracks = append(r.tracks, &track{
			label: label, media: m, format: f, known: known, clock: r.session.Clock(known.ClockRate),
			sequence: media.NewUnwrapper(16), timestamp: media.NewUnwrapper(32),
		})
		return true
	}
	return false
}

// bind connects the client's packets with the tracks. Called before Play.
func (r *receiver) bind(c *gortsplib.Client) {
	for _, t := range r.tracks {
		c.OnPacketRTP(t.media, t.format, func(p *rtp.Packet) { r.packet(t, p) })
		c.OnPacketRTCP(t.media, func(p rtcp.Packet) {
			if sr, ok := p.(*rtcp.SenderReport); ok {
				t.clock.SenderReport(sr.RTPTime, sr.NTPTime, r.out.Clock.Now())
			}
		})
	}
}

// publish makes the tracks those of the channel.
func (r *receiver) publish() {
	infos := make([]stream.TrackInfo, len(r.tracks))
	for i, t := range r.tracks {
		infos[i] = stream.TrackInfo{Label: t.label, Form: stream.Packets, Format: t.known}
	}
	for i, t := range r.out.Publisher.SetTracks(infos) {
		r.tracks[i].out = t
		r.tracks[i].sequence0 = r.out.Sequence(t.Label())
	}
	// The first packets get their arrival as time. What an earlier source wrote may
	// lie ahead of that: then times go on behind it.
	if ahead := r.out.Latest() - media.Time(r.out.Clock.Now()); ahead > 0 {
		for _, t := range r.tracks {
			t.base = ahead
		}
	}
	r.report()
}

// packet writes one packet, in the order in which they come out of the library's
// reordering.
func (r *receiver) packet(t *track, p *rtp.Packet) {
	now := r.out.Clock.Now()
	r.out.Received(p.MarshalSize(), now)
	q := &media.Packet{
		Sequence:  t.sequence.Unwrap(uint64(p.SequenceNumber)),
		Timestamp: t.timestamp.Unwrap(uint64(p.Timestamp)),
		Arrival:   now, Codec: t.known.Codec, Marker: p.Marker,
		// The library reuses its buffers.
		Payload: bytes.Clone(p.Payload),
	}
	q.Time, _ = t.clock.Time(q.Timestamp, now)
	q.Time += t.base
	if !t.begun {
		t.sequence0 -= q.Sequence
		t.ticks = q.Time.Ticks(t.known.ClockRate) - q.Timestamp
	}
	q.Sequence += t.sequence0
	q.Timestamp += t.ticks
	t.highest = max(t.highest, q.Sequence)
	t.inspector.Inspect(q)
	r.out.Written(q.Time, now)
	t.out.WritePacket(q)
	if !t.begun {
		t.begun = true
		r.report()
	}
}

// finish notes how far the tracks came. Called when nothing reads any more.
func (r *receiver) finish() {
	for _, t := range r.tracks {
		if t.begun {
			r.out.SetSequence(t.label, t.highest)
		}
	}
}

// report tells the channel what is there.
func (r *receiver) report() {
	rep := source.Report{Errors: make(map[string]uint64)}
	if n := r.missing.Load(); n > 0 {
		rep.Errors["packets_lost"] = n
	}
	if n := r.malformed.Load(); n > 0 {
		rep.Errors["malformed"] = n
	}
	for _, t := range r.tracks {
		rep.Streams = append(rep.Streams, source.Stream{Format: t.known, Known: true, Published: t.out != nil})
	}
	rep.Streams = append(rep.Streams, r.other...)
	r.out.Report(rep)
}
