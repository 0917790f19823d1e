package mpegts

// maxSection is the longest section: 3 bytes of header and a 12-bit length.
const maxSection = 3 + 4095

// sections assembles the sections of one PID (ISO/IEC 13818-1 2.4.4). Several may
// share a packet, and the end of one may stand before the pointer_field's target.
type sections struct {
	buf  []byte
	open bool // a section has begun and its next bytes are expected
	emit func([]byte)
}

// gap says that bytes were lost: the section under way is given up.
func (s *sections) gap() { s.open, s.buf = false, s.buf[:0] }

// packet takes the payload of one packet. It reports false when the payload
// contradicts itself.
func (s *sections) packet(b []byte, start bool) bool {
	if !start {
		if s.open {
			s.add(b)
		}
		return true
	}
	if len(b) == 0 {
		return false
	}
	tail := int(b[0]) + 1
	if tail > len(b) {
		s.gap()
		return false
	}
	if s.open {
		s.add(b[1:tail])
	}
	// Whatever was left unfinished ends where the pointer says a section begins.
	s.buf, s.open = s.buf[:0], true
	s.add(b[tail:])
	return true
}

// add takes the next bytes of the section under way and of those that follow it.
func (s *sections) add(b []byte) {
	for len(b) > 0 {
		if len(s.buf) == 0 && b[0] == 0xFF { // stuffing up to the end of the packet
			s.open = false
			return
		}
		if len(s.buf) == 0 && len(b) >= 3 {
			// A section that lies whole in this packet is used in place.
			if n := 3 + sectionLength(b); n <= len(b) {
				s.emit(b[:n])
				b = b[n:]
				continue
			}
		}
		want := maxSection
		if len(s.buf) >= 3 {
			want = 3 + sectionLength(s.buf)
		} else if need := 3 - len(s.buf); len(b) >= need {
			s.buf = append(s.buf, b[:need]...)
			b = b[need:]
			want = 3 + sectionLength(s.buf)
		}
		n := min(want-len(s.buf), len(b))
		s.buf = append(s.buf, b[:n]...)
		b = b[n:]
		if len(s.buf) >= 3 && len(s.buf) == want {
			s.emit(s.buf)
			s.buf = s.buf[:0]
		}
	}
}

func sectionLength(b []byte) int { return int(b[1]&0x0F)<<8 | int(b[2]) }

// long reports whether a section has the extended header, version and CRC.
func long(b []byte) bool { return b[1]&0x80 != 0 }

// checkSection reports whether a section is long enough for its kind and, where
// it carries a CRC, whether that is right.
func checkSection(b []byte) (ok, badCRC bool) {
	if len(b) < 3 || len(b) != 3+sectionLength(b) {
		return false, false
	}
	if !long(b) {
		if b[0] != tableTOT {
			return true, false
		}
		if len(b) < 14 {
			return false, false
		}
		bad := crc32(b) != 0
		return !bad, bad
	}
	if len(b) < 12 {
		return false, false
	}
	bad := crc32(b) != 0
	return !bad, bad
}

// header is the extended header of a section (ISO/IEC 13818-1 2.4.4.11).
type header struct {
	table   byte
	ext     uint16 // transport_stream_id, program_number, service_id …
	version byte
	current bool
	number  byte
	last    byte
	crc     uint32
	body    []byte // between the header and the CRC
}

func parseHeader(b []byte) header {
	n := len(b)
	return header{
		table:   b[0],
		ext:     uint16(b[3])<<8 | uint16(b[4]),
		version: b[5] >> 1 & 0x1F,
		current: b[5]&1 != 0,
		number:  b[6],
		last:    b[7],
		crc:     uint32(b[n-4])<<24 | uint32(b[n-3])<<16 | uint32(b[n-2])<<8 | uint32(b[n-1]),
		body:    b[8 : n-4],
	}
}
