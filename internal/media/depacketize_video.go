package media

import "encoding/binary"

// depacketizeH264 returns the NAL units of a picture's packets (RFC 6184). ok is
// false when a payload made no sense or a fragment is missing; the unit of a missing
// fragment is then cut short.
func depacketizeH264(pic []*Packet) (units [][]byte, ok bool) {
	ok = true
	units = make([][]byte, 0, len(pic))
	var next int64 // sequence of the fragment that would follow
	unit := -1     // index of the unit in fragments
	for i, p := range pic {
		b := p.Payload
		kind := H264Type(b)
		if unit >= 0 && kind != H264FUA {
			unit, ok = -1, false
		}
		switch {
		case kind == H264FUA:
			if len(b) < 3 {
				ok = false
				continue
			}
			head := b[0]&0xe0 | b[1]&0x1f
			if b[1]&0x80 != 0 {
				if unit >= 0 {
					ok = false
				}
				u := make([]byte, 1, 1+fragmentRoom(pic[i:], 2))
				u[0] = head
				units = append(units, append(u, b[2:]...))
				unit = len(units) - 1
			} else {
				if unit < 0 || p.Sequence != next || units[unit][0]&0x1f != head&0x1f {
					unit, ok = -1, false
					continue
				}
				units[unit] = append(units[unit], b[2:]...)
			}
			next = p.Sequence + 1
			if b[1]&0x40 != 0 {
				unit = -1
			}
		case kind == H264STAPA:
			var whole bool
			units, whole = appendAggregate(units, b[1:], 1)
			ok = ok && whole
		case kind >= 1 && kind <= 23:
			units = append(units, b)
		default:
			ok = false
		}
	}
	return units, ok && unit < 0
}

// depacketizeH265 is depacketizeH264 for RFC 7798, without DONL fields: nobody
// negotiates sprop-max-don-diff here.
func depacketizeH265(pic []*Packet) (units [][]byte, ok bool) {
	ok = true
	units = make([][]byte, 0, len(pic))
	var next int64
	unit := -1
	for i, p := range pic {
		b := p.Payload
		kind := H265Type(b)
		if unit >= 0 && kind != H265FU {
			unit, ok = -1, false
		}
		switch {
		case kind == H265FU:
			if len(b) < 4 {
				ok = false
				continue
			}
			head := b[0]&0x81 | b[2]&0x3f<<1
			if b[2]&0x80 != 0 {
				if unit >= 0 {
					ok = false
				}
				u := make([]byte, 2, 2+fragmentRoom(pic[i:], 3))
				u[0], u[1] = head, b[1]
				units = append(units, append(u, b[3:]...))
				unit = len(units) - 1
			} else {
				if unit < 0 || p.Sequence != next || units[unit][0] != head {
					unit, ok = -1, false
					continue
				}
				units[unit] = append(units[unit], b[3:]...)
			}
			next = p.Sequence + 1
			if b[2]&0x40 != 0 {
				unit = -1
			}
		case kind == H265AP:
			var whole bool
			units, whole = appendAggregate(units, b[2:], 2)
			ok = ok && whole
		case kind < H265AP:
			units = append(units, b)
		default:
			ok = false
		}
	}
	return units, ok && unit < 0
}

// fragmentRoom returns how many bytes of fragments begin at pic[0], so that they
// are put together without growing. header is the size of a fragment's headers; the
// end bit lies in its last byte for both codecs.
func fragmentRoom(pic []*Packet, header int) int {
	n := 0
	for _, p := range pic {
		if len(p.Payload) < header || p.Payload[0] != pic[0].Payload[0] {
			break
		}
		n += len(p.Payload) - header
		if p.Payload[header-1]&0x40 != 0 {
			break
		}
	}
	return n
}

// appendAggregate appends the units of an aggregation packet's body; whole is false
// when it is cut short. Units shorter than a header are left out.
func appendAggregate(units [][]byte, b []byte, header int) (_ [][]byte, whole bool) {
	for len(b) > 0 {
		if len(b) < 2 {
			return units, false
		}
		n := int(binary.BigEndian.Uint16(b))
		b = b[2:]
		if n < header || n > len(b) {
			return units, false
		}
		units = append(units, b[:n:n])
		b = b[n:]
	}
	return units, true
}

// depacketizeVP8 returns the one unit of a picture's packets (RFC 7741).
func depacketizeVP8(pic []*Packet) (units [][]byte, ok bool) {
	size := 0
	for _, p := range pic {
		size += len(p.Payload)
	}
	frame := make([]byte, 0, size)
	ok = true
	for i, p := range pic {
		d, good := parseVP8(p.Payload)
		if !good || i > 0 && p.Sequence != pic[i-1].Sequence+1 {
			// The rest would lie at the wrong place.
			ok = false
			break
		}
		frame = append(frame, p.Payload[d.Size:]...)
	}
	if len(frame) == 0 {
		return nil, false
	}
	return [][]byte{frame}, ok
}
