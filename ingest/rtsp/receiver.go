package rtsp

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"tongxiang/ingest/source"
	"tongxiang/internal/media"
	"tongxiang/internal/rtptrack"
	"tongxiang/internal/stream"
)

const (
	// reportEvery is how often counts are reported, in nanoseconds.
	reportEvery = int64(time.Second)
	// keyPatience is how long a picture may come without a place to start. Cameras
	// with "smart" codecs send a key frame every 16 s at worst.
	keyPatience = int64(30 * time.Second)
	// foreign is how many packets of another payload type, with none of the
	// described ones between, make a description a lie.
	foreign = 100
)

// receiver turns the packets of one connection into tracks.
type receiver struct {
	out *source.Output
	// session relates the tracks' clocks by the sender's reports.
	session media.RTPSession
	tracks  []*track
	ts      *multiplex      // set instead of tracks when a transport stream is described
	other   []source.Stream // present, not handled
	video   int
	audio   int

	missing   atomic.Uint64
	malformed atomic.Uint64
	foreign   atomic.Uint64 // packets of a payload type that was not described
	strangers atomic.Int64  // of them, since the last one that was described
	next      atomic.Int64  // when to report again

	once  sync.Once
	wrong chan error // receives once why the connection has to end
}

// track is one picture or sound. After publish it belongs to the goroutine that
// reads its packets; the writer's clock is shared with the one that reads reports.
type track struct {
	label  stream.Label
	media  *description.Media
	format format.Format
	known  media.Format
	writer *rtptrack.Writer
	out    *stream.Track
	first  int64 // when the first packet came; 0: none yet
}

func newReceiver(out *source.Output) *receiver {
	return &receiver{out: out, wrong: make(chan error, 1)}
}

// lost counts packets that the transport lost.
func (r *receiver) lost(n uint64) { r.missing.Add(n) }

// bad counts packets that the library could not give to a track. A camera whose
// packets all have another payload type than it described would be silent for ever.
func (r *receiver) bad(err error) {
	var unknown liberrors.ErrClientRTPPacketUnknownPayloadType
	if !errors.As(err, &unknown) {
		r.malformed.Add(1)
		return
	}
	r.foreign.Add(1)
	if r.strangers.Add(1) == foreign {
		r.accuse(fmt.Errorf("packets of payload type %d, which the description does not have", unknown.PayloadType))
	}
}

// accuse ends the connection because of what the source does.
func (r *receiver) accuse(err error) { r.once.Do(func() { r.wrong <- err }) }

// add takes a media section of the description, and reports whether to set it up.
func (r *receiver) add(m *description.Media) bool {
	for _, f := range m.Formats {
		known, ok := rtptrack.Format(f)
		if !ok {
			if m.Type == description.MediaTypeVideo || m.Type == description.MediaTypeAudio {
				r.other = append(r.other, source.Stream{Format: media.Format{Codec: media.Unknown, Note: f.Codec()}, Known: true})
			}
			continue
		}
		n := &r.audio
		if known.Codec.Kind() == media.Video {
			n = &r.video
		}
		*n++
		label, ok := rtptrack.Label(known.Codec.Kind(), *n)
		if !ok {
			continue
		}
		r.tracks = append(r.tracks, &track{
			label: label, media: m, format: f, known: known, writer: rtptrack.NewWriter(known, &r.session),
		})
		return true
	}
	return false
}

// bind connects the client's packets with the tracks. Called before Play.
func (r *receiver) bind(c *gortsplib.Client) {
	if r.ts != nil {
		c.OnPacketRTP(r.ts.media, r.ts.format, r.ts.packet)
		return
	}
	for _, t := range r.tracks {
		c.OnPacketRTP(t.media, t.format, func(p *rtp.Packet) { r.packet(t, p) })
		c.OnPacketRTCP(t.media, func(p rtcp.Packet) {
			if sr, ok := p.(*rtcp.SenderReport); ok {
				t.writer.SenderReport(sr.RTPTime, sr.NTPTime, r.out.Clock.Now())
			}
		})
	}
}

// publish makes the tracks those of the channel.
func (r *receiver) publish() {
	if r.ts != nil {
		return // the demuxer publishes what it finds
	}
	infos := make([]stream.TrackInfo, len(r.tracks))
	for i, t := range r.tracks {
		infos[i] = stream.TrackInfo{Label: t.label, Form: stream.Packets, Format: t.known}
	}
	// The first packets get their arrival as time. What an earlier source wrote may
	// lie ahead of that: then times go on behind it.
	base := max(0, r.out.Latest()-media.Time(r.out.Clock.Now()))
	for i, t := range r.out.Publisher.SetTracks(infos) {
		r.tracks[i].out = t
		r.tracks[i].writer.Open(t, base, r.out.Sequence(t.Label()))
	}
	r.report()
}

// packet writes one packet, in the order in which they come out of the library's
// reordering.
func (r *receiver) packet(t *track, p *rtp.Packet) {
	now := r.out.Clock.Now()
	r.out.Received(p.MarshalSize(), now)
	r.strangers.Store(0)
	at, ok := t.writer.Write(p, now)
	fresh := t.first == 0
	if fresh {
		t.first = now
	}
	switch {
	case ok && !r.mute(t, now):
		r.out.Written(at, now)
	case t.writer.Lies():
		r.accuse(fmt.Errorf("the packets of %s cannot be %s", t.label, t.known.Codec))
	}
	if next := r.next.Load(); fresh || now >= next && r.next.CompareAndSwap(next, now+reportEvery) {
		r.report()
	}
}

// mute reports whether a track's packets do not count as media: a picture that
// nobody can decode because its parameter sets never came.
func (r *receiver) mute(t *track, now int64) bool {
	if t.known.Codec.Kind() != media.Video || t.writer.Synced() {
		return false
	}
	if now-t.first > keyPatience {
		r.accuse(fmt.Errorf("%v of %s without a key frame", time.Duration(keyPatience), t.known.Codec))
	}
	switch t.known.Codec {
	case media.H264, media.H265:
		return len(t.out.Format().Params) == 0
	}
	return false
}

// finish notes how far the tracks came, and reports the last counts. Called when
// nothing reads any more.
func (r *receiver) finish() {
	r.report()
	for _, t := range r.tracks {
		if n, begun := t.writer.Highest(); begun {
			r.out.SetSequence(t.label, n)
		}
	}
	if r.ts != nil {
		r.ts.close()
	}
}

// report tells the channel what is there.
func (r *receiver) report() {
	if r.ts != nil {
		return
	}
	rep := source.Report{Errors: make(map[string]uint64)}
	malformed, keyless, setless := r.malformed.Load(), uint64(0), uint64(0)
	for _, t := range r.tracks {
		malformed += t.writer.Malformed()
		known := t.known
		if t.out != nil {
			known = t.out.Format()
			if known.Codec.Kind() == media.Video && !t.writer.Synced() {
				keyless++
				if known.Codec != media.VP8 && len(known.Params) == 0 {
					setless++
				}
			}
		}
		rep.Streams = append(rep.Streams, source.Stream{Format: known, Known: true, Published: t.out != nil})
	}
	for name, n := range map[string]uint64{
		"packets_lost": r.missing.Load(), "malformed": malformed, "unknown_payload_type": r.foreign.Load(),
		"no_key_frame": keyless, "no_parameter_sets": setless,
	} {
		if n > 0 {
			rep.Errors[name] = n
		}
	}
	rep.Streams = append(rep.Streams, r.other...)
	r.out.Report(rep)
}
