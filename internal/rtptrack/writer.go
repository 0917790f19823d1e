package rtptrack

import (
	"bytes"
	"fmt"
	"sync/atomic"

	"github.com/pion/rtp"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

const (
	// maxPayload is the largest payload that is passed on as it came. Over TCP
	// cameras send packets of up to 64 kB, which no UDP viewer could get: those are
	// cut anew.
	maxPayload = 1400
	// suspect is how much suspicion makes a track a lie, see [Writer.Lies].
	suspect = 100
)

// Writer makes the RTP packets of one sender's track a track of the hub: numbers
// are unwrapped and go on behind what an earlier connection wrote, times come from
// the sender's clock, parameter sets in band complete the format.
//
// It belongs to the goroutine that reads the packets; [Writer.SenderReport] and the
// counters may be used from others.
type Writer struct {
	format media.Format
	clock  *media.RTPClock

	out       *stream.Track
	sequence  media.Unwrapper
	timestamp media.Unwrapper
	inspector media.Inspector
	begun     bool
	base      media.Time // added to times
	sequence0 int64      // added to sequence numbers
	ticks     int64      // added to timestamps, so that they keep in step with times
	highest   int64      // sequence number written

	cut  *media.Depacketizer // once a packet was too large to be passed on
	join *media.Packetizer
	next int64 // sequence number of the next packet that join makes

	sets      [][]byte // parameter sets in band, complete or not
	suspicion int
	lies      atomic.Bool
	malformed atomic.Uint64
	synced    atomic.Bool
}

// NewWriter returns the writer of a track of format f of the sender behind session.
func NewWriter(f media.Format, session *media.RTPSession) *Writer {
	return &Writer{
		format: f, clock: session.Clock(f.ClockRate),
		sequence: media.NewUnwrapper(16), timestamp: media.NewUnwrapper(32),
	}
}

// Open says where to write. base is added to times, and first is the sequence
// number to begin with. It comes before the first packet.
func (w *Writer) Open(out *stream.Track, base media.Time, first int64) {
	w.out, w.base, w.sequence0 = out, base, first
}

// SenderReport takes the sender's report (RFC 3550 6.4.1) that arrived at a moment
// of the clock.
func (w *Writer) SenderReport(rtpTime uint32, ntp uint64, arrival int64) {
	w.clock.SenderReport(rtpTime, ntp, arrival)
}

// Write writes one packet and returns its time. The library reuses its buffers, so
// the payload is copied. ok is false for a packet that cannot be what was
// described: it is counted, and not written.
func (w *Writer) Write(p *rtp.Packet, now int64) (t media.Time, ok bool) {
	if !plausible(w.format.Codec, p.Payload) {
		w.malformed.Add(1)
		if w.suspicion += 2; w.suspicion >= suspect {
			w.lies.Store(true)
		}
		return 0, false
	}
	w.suspicion = max(w.suspicion-1, 0)
	q := &media.Packet{
		Sequence:  w.sequence.Unwrap(uint64(p.SequenceNumber)),
		Timestamp: w.timestamp.Unwrap(uint64(p.Timestamp)),
		Arrival:   now, Codec: w.format.Codec, Marker: p.Marker,
		Payload: bytes.Clone(p.Payload),
	}
	q.Time, _ = w.clock.Time(q.Timestamp, now)
	q.Time += w.base
	if !w.begun {
		w.begun = true
		w.sequence0 -= q.Sequence
		w.ticks = q.Time.Ticks(w.format.ClockRate) - q.Timestamp
	}
	q.Sequence += w.sequence0
	q.Timestamp += w.ticks
	w.learn(q.Payload)
	if w.cut == nil && len(q.Payload) > maxPayload {
		w.recut(q.Sequence)
	}
	if w.cut == nil {
		w.inspector.Inspect(q)
		w.put(q)
		return q.Time, true
	}
	for _, f := range w.cut.Push(q) {
		for _, part := range w.join.Push(f) {
			part.Sequence = w.next
			w.next++
			w.put(part)
		}
	}
	return q.Time, true
}

func (w *Writer) put(q *media.Packet) {
	if q.Sync {
		w.synced.Store(true)
	}
	w.highest = max(w.highest, q.Sequence)
	w.out.WritePacket(q)
}

// recut begins to make packets of our own size, from sequence number next on. A
// codec that cannot be cut is passed on as it came.
func (w *Writer) recut(next int64) {
	cut, err := media.NewDepacketizer(w.out.Format())
	if err != nil {
		return
	}
	join, err := media.NewPacketizer(w.out.Format())
	if err != nil {
		return
	}
	w.cut, w.join, w.next = cut, join, max(next, w.highest+1)
}

// learn completes the track's format from parameter sets in band: a description
// need not have them, and a camera that is set to another size sends others.
func (w *Writer) learn(payload []byte) {
	sets := parameterSets(w.format.Codec, payload)
	if len(sets) == 0 {
		return
	}
	fresh := false
	for _, u := range sets {
		fresh = w.remember(u) || fresh
	}
	if !fresh {
		return
	}
	var f media.Format
	var err error
	if w.format.Codec == media.H264 {
		f, err = media.H264Format(w.sets)
	} else {
		f, err = media.H265Format(w.sets)
	}
	want := 2
	if w.format.Codec == media.H265 {
		want = 3
	}
	if err != nil || len(f.Params) < want {
		return
	}
	if was := w.out.Format(); !equal(was.Params, f.Params) {
		w.out.SetFormat(f)
	}
}

// remember keeps one set of each kind and reports whether u is news.
func (w *Writer) remember(u []byte) bool {
	kind := func(u []byte) int {
		if w.format.Codec == media.H264 {
			return int(media.H264Type(u))
		}
		return int(media.H265Type(u))
	}
	for i, old := range w.sets {
		if kind(old) != kind(u) {
			continue
		}
		if bytes.Equal(old, u) {
			return false
		}
		// The list in use may be shared with a published format.
		w.sets = append([][]byte(nil), w.sets...)
		w.sets[i] = bytes.Clone(u)
		return true
	}
	w.sets = append(w.sets[:len(w.sets):len(w.sets)], bytes.Clone(u))
	return true
}

func equal(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// Highest returns the highest sequence number written; begun is false when there
// was no packet yet. It belongs to the writing goroutine, or to whoever waited for it.
func (w *Writer) Highest() (n int64, begun bool) { return w.highest, w.begun }

// Malformed returns how many packets could not be what was described.
func (w *Writer) Malformed() uint64 { return w.malformed.Load() }

// Lies reports whether the sender sends something else than it described: two
// packets in three make no sense over a hundred of them, so that a few odd ones of
// a good sender do not count.
func (w *Writer) Lies() bool { return w.lies.Load() }

// Synced reports whether there was a place at which decoding can start.
func (w *Writer) Synced() bool { return w.synced.Load() }

// Label returns the label of the n-th track of a kind, counted from 1; ok is false
// for a second picture, which has an address of its own.
func Label(kind media.Kind, n int) (label stream.Label, ok bool) {
	switch {
	case kind == media.Video:
		return stream.LabelVideo, n == 1
	case n == 1:
		return stream.LabelAudio, true
	}
	return stream.Label(fmt.Sprintf("%s%d", stream.LabelAudio, n)), true
}
