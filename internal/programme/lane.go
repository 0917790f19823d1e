package programme

import (
	"encoding/binary"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// lane makes one continuous track of packets that come from one source after the
// other. It is pure but for its numbers: no clock, no I/O.
type lane struct {
	out *stream.Track

	begun     bool
	last      int64 // sequence number of the newest packet
	timestamp int64 // of the newest packet
	time      media.Time
	first     int64 // sequence number of the first packet from this source
	late      bool  // this source's first pictures had to be moved forward; see steer

	// from this source's numbers to the lane's
	sequences, timestamps int64
	times                 media.Time

	// VP8 picture numbers (RFC 7741 section 4.2), of the newest packet and as moved
	picture, pictures uint16
	tl0, tl0s         uint8
}

// cut begins with another source: p, its first packet, follows directly after what
// was written last. times moves the source's clock to the programme's; the lane's
// own time never runs backwards, so it may be moved further.
func (l *lane) cut(p *media.Packet, times media.Time) {
	rate := clockRate(p.Codec)
	meant := times
	if l.begun {
		times = max(times, l.time+media.FromTicks(1, rate)-p.Time)
	} else {
		l.last = 1 << 16 // unwrapped numbers stay positive
	}
	stamp := (p.Time + times).Ticks(rate)
	if l.begun {
		stamp = max(stamp, l.timestamp+1)
	}
	l.begun, l.late = true, times-meant > steerable && p.Codec.Kind() == media.Video
	l.first = l.last + 1
	l.sequences, l.timestamps, l.times = l.first-p.Sequence, stamp-p.Timestamp, times
	if d, err := vp8(p); err == nil {
		l.pictures, l.tl0s = l.picture+1-d.PictureID, l.tl0+1-d.TL0
	}
}

const (
	// steerable is the least by which a source's clock is corrected: less would be noise.
	steerable = media.Time(time.Millisecond)
	// catchUp is how close pictures lie behind a cut until they are in time.
	catchUp = media.Time(10 * time.Millisecond)
)

// steer moves the source's clock with a picture or a sound that begins: the lane's
// time does not run backwards by it. A source that came on air later than its first
// picture was meant to be seen, because that had to be encoded first, is in time again
// within a few pictures, and in sync with its sound.
func (l *lane) steer(p *media.Packet, times media.Time) {
	if !p.Start || p.Repair || p.Sequence+l.sequences <= l.last {
		return
	}
	off := max(-steerable, min(steerable, times-l.times))
	if l.late {
		meant := times - l.times
		off = max(meant, l.time+catchUp-p.Time-l.times)
		if l.late = off > meant; off > 0 {
			return // they lie closer than that by themselves
		}
	}
	if off.Sub(0).Abs() < time.Duration(steerable) {
		return
	}
	rate := clockRate(p.Codec)
	ticks := off.Ticks(rate)
	if p.Time+l.times+off <= l.time || p.Timestamp+l.timestamps+ticks <= l.timestamp {
		return
	}
	l.times += media.FromTicks(ticks, rate)
	l.timestamps += ticks
}

// put writes a packet of the present source; one from before the cut is left out.
func (l *lane) put(p *media.Packet) bool {
	q := *p
	q.Sequence, q.Timestamp, q.Time = p.Sequence+l.sequences, p.Timestamp+l.timestamps, p.Time+l.times
	if q.Sequence < l.first {
		return false
	}
	if d, err := vp8(p); err == nil {
		q.Payload = l.renumber(p.Payload, d)
	}
	if q.Sequence > l.last {
		l.last, l.timestamp, l.time = q.Sequence, q.Timestamp, q.Time
	}
	l.out.WritePacket(&q)
	return true
}

// renumber returns a VP8 payload with the lane's own picture numbers.
func (l *lane) renumber(payload []byte, d media.VP8Descriptor) []byte {
	if !d.HasPictureID && !d.HasTL0 {
		return payload
	}
	b := append([]byte(nil), payload...)
	if d.HasPictureID {
		l.picture = d.PictureID + l.pictures
		if d.LongPictureID {
			l.picture &= 0x7fff
			binary.BigEndian.PutUint16(b[d.PictureIDAt:], l.picture|0x8000)
		} else {
			l.picture &= 0x7f
			b[d.PictureIDAt] = byte(l.picture)
		}
	}
	if d.HasTL0 {
		l.tl0 = d.TL0 + l.tl0s
		b[d.TL0At] = l.tl0
	}
	return b
}

// clockRate returns the ticks a second of a codec's RTP timestamps.
func clockRate(c media.Codec) int {
	switch {
	case c.Kind() == media.Video:
		return 90000
	case c == media.PCMA || c == media.PCMU:
		return 8000
	}
	return 48000
}

func vp8(p *media.Packet) (media.VP8Descriptor, error) {
	if p.Codec != media.VP8 {
		return media.VP8Descriptor{}, media.ErrMalformed
	}
	return media.ParseVP8(p.Payload)
}
