package media

import "time"

// pushAC3 makes packets of as many whole frames as fit, and fragments of those that
// do not fit in one (RFC 4184 4.1).
func (z *Packetizer) pushAC3(f *Frame) {
	const header = 2
	var after time.Duration
	for i := 0; i < len(f.Units); {
		u := f.Units[i]
		if len(u) > MaxPayload-header {
			z.ac3Fragments(f, after, u)
			after += UnitDuration(z.format, u)
			i++
			continue
		}
		b := make([]byte, header, MaxPayload)
		var length time.Duration
		count := 0
		for i < len(f.Units) && len(b)+len(f.Units[i]) <= MaxPayload && count < 255 {
			b = append(b, f.Units[i]...)
			length += UnitDuration(z.format, f.Units[i])
			count++
			i++
		}
		b[1] = byte(count)
		if len(b) > header {
			z.sound(f, after, b, true)
		}
		after += length
	}
}

// ac3Fragments cuts one frame. The first fragment says whether it holds the 5/8 of
// the frame that can be checked and decoded by themselves.
func (z *Packetizer) ac3Fragments(f *Frame, after time.Duration, u []byte) {
	const header = 2
	const room = MaxPayload - header
	const initialWhole, initial, later = 1, 2, 3
	parts := (len(u) + room - 1) / room
	for k := range parts {
		piece := u[k*room : min((k+1)*room, len(u))]
		kind := byte(later)
		switch {
		case k == 0 && len(piece)*8 >= len(u)*5:
			kind = initialWhole
		case k == 0:
			kind = initial
		}
		b := make([]byte, header, header+len(piece))
		b[0], b[1] = kind, byte(min(parts, 255))
		z.sound(f, after, append(b, piece...), k == parts-1)
	}
}
