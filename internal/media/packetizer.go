package media

import (
	"errors"
	"fmt"
	"time"
)

// ErrUnsupported: no packetizer or depacketizer exists for a codec.
var ErrUnsupported = errors.New("codec has no RTP payload format here")

// MaxPayload is the largest RTP payload that a [Packetizer] makes. With RTP header,
// extensions, SRTP tag and IP it stays under 1280 bytes, which passes tunnels and
// PPPoE on government networks without fragments.
const MaxPayload = 1150

// Packetizer turns the frames of one track into RTP packets: H.264 (RFC 6184,
// mode 1), H.265 (RFC 7798), VP8 (RFC 7741), MPEG-2 video (RFC 2250), Opus (RFC
// 7587), AAC (RFC 3640 AAC-hbr), MPEG audio (RFC 2250), AC-3 (RFC 4184), PCMA and
// PCMU (RFC 3551).
//
// It belongs to one goroutine.
type Packetizer struct {
	format  Format
	next    int64 // sequence
	sets    parameterSets
	picture uint16 // VP8 picture id
	out     []*Packet
	split   []span // scratch of one frame
}

// NewPacketizer returns a packetizer for a format. The error wraps [ErrUnsupported],
// or says that the clock rate is missing.
func NewPacketizer(f Format) (*Packetizer, error) {
	switch f.Codec {
	case H264, H265, VP8, MPEG2Video, Opus, AAC, MPEGAudio, AC3, PCMA, PCMU:
	default:
		return nil, fmt.Errorf("packetize %s: %w", f.Codec, ErrUnsupported)
	}
	if f.ClockRate <= 0 {
		return nil, fmt.Errorf("packetize %s: clock rate %d", f.Codec, f.ClockRate)
	}
	z := &Packetizer{format: f, sets: parameterSets{codec: f.Codec}}
	z.sets.learn(f.Params)
	return z, nil
}

// Push returns the packets of one frame, in order. Sequence goes on from 0 by one,
// Timestamp is the frame's PTS in ticks of the clock rate, Time the PTS, Marker is
// set on the last packet of a picture. Start and Sync are set as [Inspector] would.
// A sync frame that lacks parameter sets gets the newest known ones.
//
// The slice is valid until the next Push. The packets are the caller's; payloads
// may share memory with the frame's units, which never change.
func (z *Packetizer) Push(f *Frame) []*Packet {
	z.out = z.out[:0]
	z.split = z.split[:0]
	switch z.format.Codec {
	case H264:
		z.pushH264(f)
	case H265:
		z.pushH265(f)
	case VP8:
		z.pushVP8(f)
	case MPEG2Video:
		z.pushMPEG2(f)
	case AC3:
		z.pushAC3(f)
	case AAC:
		z.pushAAC(f)
	case MPEGAudio:
		z.pushMPEGAudio(f)
	case Opus:
		z.pushOpus(f)
	case PCMA, PCMU:
		z.pushPCM(f)
	}
	return z.out
}

// span is one payload to be: bytes of one unit (whole, or a fragment from..to), or
// several units aggregated.
type span struct {
	unit     int // index of the first unit
	count    int // units aggregated; 1: one unit or a fragment
	from, to int // of the unit
	fragment bool
	first    bool // of its unit
	last     bool
}

// spans cuts units into payloads of at most MaxPayload bytes. Neighbours for which
// small holds are aggregated, with overhead bytes before each and header before all;
// a unit that is too large is cut into about equal fragments, skip bytes of it
// (its NAL header) moved into a fragment header of fragHeader bytes.
func (z *Packetizer) spans(units [][]byte, small func([]byte) bool, header, fragHeader, skip int) {
	for i := 0; i < len(units); {
		u := units[i]
		if len(u) > MaxPayload {
			n := len(u) - skip
			parts := (n + MaxPayload - fragHeader - 1) / (MaxPayload - fragHeader)
			for k := range parts {
				z.split = append(z.split, span{
					unit: i, count: 1, fragment: true,
					from: skip + n*k/parts, to: skip + n*(k+1)/parts,
					first: k == 0, last: k == parts-1,
				})
			}
			i++
			continue
		}
		count, size := 1, header+2+len(u)
		for small(u) && i+count < len(units) && small(units[i+count]) && size+2+len(units[i+count]) <= MaxPayload {
			size += 2 + len(units[i+count])
			count++
		}
		z.split = append(z.split, span{unit: i, count: count, to: len(u), first: true, last: true})
		i += count
	}
}

// picturePackets makes the packets of a frame's payloads, in one piece of memory.
func (z *Packetizer) picturePackets(f *Frame, n int) []Packet {
	ps := make([]Packet, n)
	ts := f.PTS.Ticks(z.format.ClockRate)
	for i := range ps {
		p := &ps[i]
		p.Sequence, p.Timestamp, p.Time, p.Arrival, p.Codec = z.next, ts, f.PTS, f.Arrival, z.format.Codec
		z.next++
		z.out = append(z.out, p)
	}
	if n > 0 {
		ps[0].Start, ps[0].Sync = true, f.Sync
		ps[n-1].Marker = true
	}
	return ps
}

// sound appends one packet of sound that begins after from the frame's PTS.
func (z *Packetizer) sound(f *Frame, after time.Duration, payload []byte, marker bool) {
	t := f.PTS.Add(after)
	z.out = append(z.out, &Packet{
		Sequence: z.next, Timestamp: t.Ticks(z.format.ClockRate), Time: t, Arrival: f.Arrival,
		Payload: payload, Codec: z.format.Codec, Marker: marker, Start: true, Sync: true,
	})
	z.next++
}
