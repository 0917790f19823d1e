package mpegts

import "encoding/binary"

// Tap has f called with every whole packet from now on, after the handler was told
// what is in it, which may act on a new clock first; nil ends it.
// The packet is valid during the call. f runs in the feeding goroutine and must not
// feed the demuxer. Without a tap nothing is spent.
func (d *Demuxer) Tap(f func(packet []byte)) { d.tap = f }

// Tables writes the tables of a single service as packets: PAT, PMT and SDT, for a
// transport stream made of that service's packets alone. The PMT is the
// broadcaster's, untouched. The zero value is ready; it counts continuity.
type Tables struct {
	pmtPID        uint16
	named         description
	patV, sdtV    byte
	pat, pmt, sdt byte // continuity counters
	begun         bool
	buf           []byte
}

// Append appends the packets of the tables to dst. The service must be known.
func (t *Tables) Append(dst []byte, s *Service) []byte {
	d := description{name: s.Name, provider: s.Provider, kind: s.Type, scrambled: s.CA}
	if t.begun && t.pmtPID != s.PMTPID {
		t.patV = (t.patV + 1) & 0x1F
	}
	if t.begun && t.named != d {
		t.sdtV = (t.sdtV + 1) & 0x1F
	}
	t.begun, t.pmtPID, t.named = true, s.PMTPID, d
	be := binary.BigEndian

	b := t.open(tablePAT, 0x80, s.ID, t.patV)
	b = be.AppendUint16(b, s.ID)
	b = be.AppendUint16(b, 0xE000|s.PMTPID)
	dst = packetize(dst, pidPAT, &t.pat, t.seal(b))

	b = t.open(tablePMT, 0x80, s.ID, s.version)
	b = append(b, s.pmt...)
	dst = packetize(dst, s.PMTPID, &t.pmt, t.seal(b))

	if s.Name == "" {
		return dst
	}
	b = t.open(tableSDTActual, 0xC0, s.ID, t.sdtV)
	b = be.AppendUint16(b, 1) // original_network_id
	b = append(b, 0xFF)
	b = be.AppendUint16(b, s.ID)
	provider, name := utf8Text(s.Provider), utf8Text(s.Name)
	kind := s.Type
	if kind == 0 {
		kind = 1 // digital television service
	}
	n := 3 + len(provider) + len(name)
	b = append(b, 0xFC)                        // no EIT
	b = be.AppendUint16(b, 0x8000|uint16(2+n)) // running, in the clear
	b = append(b, descService, byte(n), kind, byte(len(provider)))
	b = append(b, provider...)
	b = append(b, byte(len(name)))
	b = append(b, name...)
	return packetize(dst, pidSDT, &t.sdt, t.seal(b))
}

// open begins a section with the extended header.
func (t *Tables) open(table, flags byte, ext uint16, version byte) []byte {
	b := append(t.buf[:0], table, flags|0x30, 0)
	b = binary.BigEndian.AppendUint16(b, ext)
	return append(b, 0xC0|version<<1|1, 0, 0)
}

// seal fills in the length and appends the CRC.
func (t *Tables) seal(b []byte) []byte {
	n := len(b) - 3 + 4
	b[1] |= byte(n >> 8)
	b[2] = byte(n)
	b = binary.BigEndian.AppendUint32(b, crc32(b))
	t.buf = b
	return b
}

// packetize appends a section as packets of a PID.
func packetize(dst []byte, pid uint16, counter *byte, section []byte) []byte {
	start := byte(0x40)
	for len(section) > 0 || start != 0 {
		at := len(dst)
		dst = append(dst, syncByte, start|byte(pid>>8), byte(pid), 0x10|*counter)
		*counter = (*counter + 1) & 0x0F
		if start != 0 {
			dst = append(dst, 0) // pointer_field
			start = 0
		}
		n := min(len(section), PacketSize-(len(dst)-at))
		dst = append(dst, section[:n]...)
		section = section[n:]
		for len(dst)-at < PacketSize {
			dst = append(dst, 0xFF)
		}
	}
	return dst
}

// maxText bounds a name in a descriptor, whose length is a byte.
const maxText = 100

// utf8Text is text as ETSI EN 300 468 annex A writes UTF-8.
func utf8Text(s string) []byte {
	if s == "" {
		return nil
	}
	for len(s) > maxText {
		s = s[:len(s)-1]
	}
	for len(s) > 0 && s[len(s)-1] >= 0x80 && !validTail(s) {
		s = s[:len(s)-1]
	}
	return append([]byte{0x15}, s...)
}

// validTail reports whether s does not end within a character.
func validTail(s string) bool {
	for i := len(s) - 1; i >= 0 && len(s)-i <= 4; i-- {
		c := s[i]
		switch {
		case c < 0x80:
			return i == len(s)-1
		case c >= 0xC0:
			n := 2
			if c >= 0xE0 {
				n = 3
			}
			if c >= 0xF0 {
				n = 4
			}
			return len(s)-i == n
		}
	}
	return false
}

// RandomAccess reports whether a packet that begins a PES packet of a picture in a
// codec begins at one at which decoding can start: its adaptation field says so, or
// the parameter sets that precede such a picture are the first in it.
func RandomAccess(packet []byte, streamType byte) bool {
	if len(packet) < PacketSize || packet[1]&0x40 == 0 || packet[3]&0x10 == 0 {
		return false
	}
	at := 4
	if packet[3]&0x20 != 0 {
		n := int(packet[4])
		if n > 0 && packet[5]&0x40 != 0 {
			return true
		}
		at = 5 + n
	}
	if at+9 > PacketSize || packet[at] != 0 || packet[at+1] != 0 || packet[at+2] != 1 {
		return false
	}
	at += 9 + int(packet[at+8])
	for ; at+4 < PacketSize; at++ {
		if packet[at] != 0 || packet[at+1] != 0 || packet[at+2] != 1 {
			continue
		}
		switch c := packet[at+3]; streamType {
		case 0x01, 0x02: // sequence header (ISO/IEC 13818-2)
			return c == 0xB3
		case 0x1B: // sequence parameter set, IDR
			switch c & 0x1F {
			case 7, 5:
				return true
			case 1, 2:
				return false
			}
		case 0x24: // video parameter set, IRAP pictures
			switch t := c >> 1 & 0x3F; {
			case t == 32 || t >= 16 && t <= 23:
				return true
			case t < 16:
				return false
			}
		default:
			return false
		}
	}
	return false
}

// PacketPTS returns the presentation time in a packet that begins a PES packet, [NoTime] when there is none.
func PacketPTS(packet []byte) int64 {
	if len(packet) < PacketSize || packet[1]&0x40 == 0 || packet[3]&0xD0 != 0x10 {
		return NoTime
	}
	at := 4
	if packet[3]&0x20 != 0 {
		at = 5 + int(packet[4])
	}
	if at+14 > PacketSize || packet[at] != 0 || packet[at+1] != 0 || packet[at+2] != 1 || packet[at+7]&0x80 == 0 {
		return NoTime
	}
	b := packet[at+9:]
	return int64(b[0]>>1&7)<<30 | int64(b[1])<<22 | int64(b[2]>>1)<<15 | int64(b[3])<<7 | int64(b[4])>>1
}
