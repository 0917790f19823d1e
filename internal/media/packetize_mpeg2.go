package media

import (
	"bytes"
	"slices"
)

// mpeg2Header is the size of the MPEG video-specific header (RFC 2250 3.4).
const mpeg2Header = 4

// Start codes of ISO/IEC 13818-2 6.2.1.
const (
	mpeg2Picture  = 0x00
	mpeg2LastPart = 0xAF // slices are 0x01 to 0xAF
	mpeg2Sequence = 0xB3
	mpeg2Group    = 0xB8
)

// pushMPEG2 makes packets of a picture's headers and slices (RFC 2250 3.1): headers
// begin a packet, as many whole slices as fit follow, and a slice that is larger
// than a packet is cut.
func (z *Packetizer) pushMPEG2(f *Frame) {
	var b mpeg2Builder
	for _, u := range f.Units {
		for piece := range mpeg2Pieces(u) {
			b.add(piece)
		}
	}
	b.flush(true)
	ps := z.picturePackets(f, len(b.out))
	for i := range ps {
		ps[i].Payload = b.out[i]
	}
}

// mpeg2Pieces yields what begins with a start code and ends before the next. Bytes
// before the first belong to nothing and are left out.
func mpeg2Pieces(u []byte) func(func([]byte) bool) {
	prefix := []byte{0, 0, 1}
	return func(yield func([]byte) bool) {
		at := bytes.Index(u, prefix)
		for at >= 0 && at+3 < len(u) {
			end := bytes.Index(u[at+3:], prefix)
			if end < 0 {
				yield(u[at:])
				return
			}
			if !yield(u[at : at+3+end]) {
				return
			}
			at += 3 + end
		}
	}
}

// mpeg2Builder collects pieces into payloads.
type mpeg2Builder struct {
	out      [][]byte
	payload  []byte
	slices   bool // payload has a slice
	sequence bool // payload has a sequence header
	number   uint16
	kind     byte
}

func (b *mpeg2Builder) add(piece []byte) {
	code := piece[3]
	slice := code > mpeg2Picture && code <= mpeg2LastPart
	if !slice && b.slices || len(b.payload) > 0 && len(b.payload)+len(piece) > MaxPayload {
		b.flush(true)
	}
	switch {
	case code == mpeg2Picture && len(piece) >= 6:
		b.number = uint16(piece[4])<<2 | uint16(piece[5]>>6)
		b.kind = piece[5] >> 3 & 7
	case code == mpeg2Sequence:
		b.sequence = true
	}
	b.slices = b.slices || slice
	if len(b.payload) == 0 {
		b.payload = make([]byte, mpeg2Header, min(MaxPayload, mpeg2Header+len(piece)))
	}
	const begins, ends = 0x10, 0x08
	flags := byte(begins)
	for len(b.payload)+len(piece) > MaxPayload {
		n := MaxPayload - len(b.payload)
		b.payload = append(b.payload, piece[:n]...)
		piece = piece[n:]
		if !slice {
			flags = 0
		}
		b.payload[2] |= flags
		flags = 0
		b.flush(false)
		b.payload = make([]byte, mpeg2Header, mpeg2Header+min(len(piece), MaxPayload))
	}
	b.payload = append(b.payload, piece...)
	if slice {
		b.payload[2] |= flags | ends
	}
}

// flush ends the payload in progress; whole says that it ends with a piece.
func (b *mpeg2Builder) flush(whole bool) {
	if len(b.payload) == 0 {
		return
	}
	p := slices.Clip(b.payload)
	p[0], p[1] = byte(b.number>>8), byte(b.number)
	p[2] |= b.kind
	if b.sequence {
		p[2] |= 0x20
	}
	b.out = append(b.out, p)
	b.payload, b.sequence = nil, false
	if whole {
		b.slices = false
	}
}
