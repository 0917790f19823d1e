package media

import (
	"encoding/binary"
	"time"
)

// pushOpus makes one packet of each Opus packet (RFC 7587 4.2).
func (z *Packetizer) pushOpus(f *Frame) {
	var after time.Duration
	for _, u := range f.Units {
		// One larger than the path's MTU is sent whole: RFC 7587 has no fragments.
		if len(u) > 0 {
			z.sound(f, after, u, false)
		}
		after += UnitDuration(z.format, u)
	}
}

// pushAAC makes packets of as many whole access units as fit, and fragments of
// those that do not fit in one (RFC 3640 3.2, 3.3.6: sizeLength 13, indexLength 3).
func (z *Packetizer) pushAAC(f *Frame) {
	var after time.Duration
	for i := 0; i < len(f.Units); {
		u := f.Units[i]
		if len(u) == 0 || len(u) > maxAACUnit {
			after += UnitDuration(z.format, u)
			i++
			continue
		}
		if len(u) > MaxPayload-4 {
			const room = MaxPayload - 4
			parts := (len(u) + room - 1) / room
			for k := range parts {
				piece := u[len(u)*k/parts : len(u)*(k+1)/parts]
				b := make([]byte, 4, 4+len(piece))
				b[1] = 16
				binary.BigEndian.PutUint16(b[2:], uint16(len(u))<<3)
				z.sound(f, after, append(b, piece...), k == parts-1)
			}
			after += UnitDuration(z.format, u)
			i++
			continue
		}
		count, size := 1, 4+len(u)
		for i+count < len(f.Units) && len(f.Units[i+count]) > 0 && size+2+len(f.Units[i+count]) <= MaxPayload {
			size += 2 + len(f.Units[i+count])
			count++
		}
		b := make([]byte, 2, size)
		binary.BigEndian.PutUint16(b, uint16(count*16))
		group := f.Units[i : i+count]
		for _, u := range group {
			b = binary.BigEndian.AppendUint16(b, uint16(len(u))<<3)
		}
		var length time.Duration
		for _, u := range group {
			b = append(b, u...)
			length += UnitDuration(z.format, u)
		}
		z.sound(f, after, b, true)
		after += length
		i += count
	}
}

// maxAACUnit is the largest access unit that 13 bits of AU-size can say.
const maxAACUnit = 1<<13 - 1

// pushMPEGAudio makes packets of as many whole frames as fit, and fragments of
// those that do not fit in one (RFC 2250 3.5).
func (z *Packetizer) pushMPEGAudio(f *Frame) {
	const room = MaxPayload - 4
	var after time.Duration
	for i := 0; i < len(f.Units); {
		u := f.Units[i]
		if len(u) > room {
			for at := 0; at < len(u); at += room {
				piece := u[at:min(at+room, len(u))]
				b := make([]byte, 4, 4+len(piece))
				binary.BigEndian.PutUint16(b[2:], uint16(at))
				z.sound(f, after, append(b, piece...), false)
			}
			after += UnitDuration(z.format, u)
			i++
			continue
		}
		b := make([]byte, 4, MaxPayload)
		var length time.Duration
		for i < len(f.Units) && len(b)+len(f.Units[i]) <= MaxPayload {
			b = append(b, f.Units[i]...)
			length += UnitDuration(z.format, f.Units[i])
			i++
		}
		if len(b) > 4 {
			z.sound(f, after, b, false)
		}
		after += length
	}
}

// pushPCM cuts samples of one byte into packets (RFC 3551 4.5.14).
func (z *Packetizer) pushPCM(f *Frame) {
	channels := max(z.format.Channels, 1)
	step := MaxPayload / channels * channels
	var after time.Duration
	for _, u := range f.Units {
		for at := 0; at < len(u); at += step {
			piece := u[at:min(at+step, len(u))]
			z.sound(f, after, piece, false)
			after += UnitDuration(z.format, piece)
		}
	}
}
