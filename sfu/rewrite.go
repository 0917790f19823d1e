package sfu

import (
	"encoding/binary"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// A slot is one continuous RTP stream to its viewer, whatever feeds it. The
// rewriter says what each packet is called in it. It is pure: no clock, no I/O.

// Gaps after which a source is taken to have paused: what is missing then was
// never sent, so its sequence numbers close up instead of being asked for.
const (
	pausedVideo = 1000 * ms
	pausedAudio = 200 * ms
)

// keptSegments is how many changes of source a retransmission can look back over.
const keptSegments = 8

// firstSequence is the number of a slot's first packet, unwrapped: one turn up, so
// that those before it stay positive.
const firstSequence = 1<<16 + 1

// segment is a run of packets of one track that were numbered alike.
type segment struct {
	track             *stream.Track
	firstOut, lastOut int64 // sequence numbers in the slot, unwrapped
	offset            int64 // of sequence numbers: slot's = track's + offset
	timestamps        uint32
	pictures          uint16 // of VP8 picture ids
	tl0               uint8
}

// rewriter numbers the packets of one slot. The zero value is ready.
type rewriter struct {
	segs [keptSegments]segment // the newest is at n-1 modulo keptSegments
	n    int

	// of the newest packet sent, in order
	timestamp uint32
	time      media.Time
	arrival   int64
	source    stream.Name

	pictures uint16 // newest VP8 picture id sent
	tl0      uint8
}

// outgoing is what a packet is called in the slot.
type outgoing struct {
	sequence  int64 // unwrapped
	timestamp uint32
	first     bool // of a segment: nothing directly before it was sent from this source
	seg       *segment
}

func (r *rewriter) current() *segment {
	if r.n == 0 {
		return nil
	}
	return &r.segs[(r.n-1)%keptSegments]
}

// rewrite numbers the next packet of a track of the stream source. fresh says that
// packets before it were left out (the slot changed its source, or its reader
// lagged). ok is false for a packet from before the slot's change to this track.
func (r *rewriter) rewrite(p *media.Packet, track *stream.Track, source stream.Name, fresh bool) (outgoing, bool) {
	seg := r.current()
	if seg == nil || seg.track != track || fresh || r.paused(p, seg) {
		seg = r.begin(p, track, source)
		r.note(p, seg, source)
		return outgoing{seg.firstOut, r.timestamp, true, seg}, true
	}
	seq := p.Sequence + seg.offset
	if seq < seg.firstOut {
		return outgoing{}, false
	}
	o := outgoing{seq, uint32(p.Timestamp) + seg.timestamps, false, seg}
	if seq > seg.lastOut {
		seg.lastOut = seq
		r.note(p, seg, source)
	}
	return o, true
}

func (r *rewriter) paused(p *media.Packet, seg *segment) bool {
	limit := pausedVideo
	if p.Codec.Kind() == media.Audio {
		limit = pausedAudio
	}
	return p.Sequence+seg.offset > seg.lastOut+1 && p.Arrival-r.arrival > limit
}

// begin starts a segment in which p follows directly after what was sent last.
func (r *rewriter) begin(p *media.Packet, track *stream.Track, source stream.Name) *segment {
	last := int64(firstSequence - 1)
	stamp := uint32(p.Timestamp)
	if old := r.current(); old != nil {
		last = old.lastOut
		stamp = r.timestamp + r.elapsed(p, source)
	}
	seg := &r.segs[r.n%keptSegments]
	r.n++
	*seg = segment{
		track: track, firstOut: last + 1, lastOut: last + 1, offset: last + 1 - p.Sequence,
		timestamps: stamp - uint32(p.Timestamp),
	}
	if d, err := vp8(p); err == nil {
		seg.pictures = r.pictures + 1 - d.PictureID
		seg.tl0 = r.tl0 + 1 - d.TL0
	}
	return seg
}

// elapsed returns how far the slot's timestamp moves to a new segment: by the
// stream's own clock between its tracks, by time of arrival between streams,
// never backwards.
func (r *rewriter) elapsed(p *media.Packet, source stream.Name) uint32 {
	d := int64(p.Time - r.time)
	if source != r.source {
		d = p.Arrival - r.arrival
	}
	return uint32(max(1, media.Time(d).Ticks(clockRate(p.Codec))))
}

// note remembers the newest packet.
func (r *rewriter) note(p *media.Packet, seg *segment, source stream.Name) {
	r.timestamp = uint32(p.Timestamp) + seg.timestamps
	r.time, r.arrival, r.source = p.Time, p.Arrival, source
	if d, err := vp8(p); err == nil {
		if d.HasPictureID {
			r.pictures = d.PictureID + seg.pictures
		}
		if d.HasTL0 {
			r.tl0 = d.TL0 + seg.tl0
		}
	}
}

// find returns the segment of a sequence number and the number unwrapped, for retransmission.
func (r *rewriter) find(sequence uint16) (seg *segment, out int64, ok bool) {
	cur := r.current()
	if cur == nil {
		return nil, 0, false
	}
	out = cur.lastOut + int64(int16(sequence-uint16(cur.lastOut)))
	for i := r.n - 1; i >= 0 && i >= r.n-keptSegments; i-- {
		s := &r.segs[i%keptSegments]
		if out >= s.firstOut && out <= s.lastOut {
			return s, out, true
		}
	}
	return nil, 0, false
}

func vp8(p *media.Packet) (media.VP8Descriptor, error) {
	if p.Codec != media.VP8 {
		return media.VP8Descriptor{}, media.ErrMalformed
	}
	return media.ParseVP8(p.Payload)
}

// payload returns the bytes to send of a packet in seg: the shared ones, or for
// VP8 a copy in scratch with the slot's own picture numbers (RFC 7741 section 4.2).
func (seg *segment) payload(p *media.Packet, scratch []byte) []byte {
	if p.Codec != media.VP8 || len(p.Payload) > len(scratch) {
		return p.Payload
	}
	d, err := media.ParseVP8(p.Payload)
	if err != nil || (!d.HasPictureID && !d.HasTL0) {
		return p.Payload
	}
	b := scratch[:copy(scratch, p.Payload)]
	if d.HasPictureID {
		id := d.PictureID + seg.pictures
		if d.LongPictureID {
			binary.BigEndian.PutUint16(b[d.PictureIDAt:], id|0x8000)
		} else {
			b[d.PictureIDAt] = byte(id & 0x7f)
		}
	}
	if d.HasTL0 {
		b[d.TL0At] = d.TL0 + seg.tl0
	}
	return b
}
