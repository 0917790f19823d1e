package mpegts

import (
	"bytes"

	"tongxiang/internal/media"
)

// loas is AAC in LOAS/LATM (ISO/IEC 14496-3 1.7), whose configuration comes in
// band. A unit is the raw AAC frame, moved to a byte boundary. Streams of several
// programmes or layers in one element are not made by anybody and are refused.
type loas struct {
	known     bool
	subframes int // in one element
	fixed     int // bits of a frame when its length is not sent; 0: it is sent
	config    []byte
	format    *media.Format
}

func (s *loas) frame(b []byte) (soundFrame, bool) {
	if b[0] != 0x56 || len(b) > 1 && b[1]&0xE0 != 0xE0 {
		return soundFrame{}, false
	}
	if len(b) < 3 {
		return soundFrame{}, true
	}
	size := 3 + (int(b[1]&0x1F)<<8 | int(b[2]))
	if size == 3 {
		return soundFrame{}, false
	}
	if size > len(b) {
		return soundFrame{size: size, format: s.format}, true
	}
	r := bitReader{b: b[3:size]}
	if r.bit() == 0 && !s.muxConfig(&r) || !s.known {
		return soundFrame{}, false
	}
	unit, ok := s.payload(&r)
	if !ok {
		return soundFrame{}, false
	}
	return soundFrame{size: size, head: size, samples: 1024 * s.subframes, format: s.format, unit: unit}, true
}

// muxConfig reads StreamMuxConfig (table 1.42).
func (s *loas) muxConfig(r *bitReader) bool {
	version := r.bit()
	if version == 1 && r.bit() != 0 { // audioMuxVersionA
		return false
	}
	if version == 1 {
		latmValue(r) // taraBufferFullness
	}
	same, subframes := r.bit(), int(r.bits(6))+1
	if programs, layers := r.bits(4), r.bits(3); same == 0 || programs != 0 || layers != 0 {
		return false
	}
	length := 0
	if version == 1 {
		length = int(latmValue(r))
	}
	start := r.pos
	format, ok := audioConfig(r)
	if !ok || r.over {
		return false
	}
	config := bitsOf(r.b, start, r.pos)
	if version == 1 {
		r.pos = max(r.pos, start+length)
	}
	fixed := 0
	switch r.bits(3) { // frameLengthType
	case 0:
		r.bits(8) // latmBufferFullness
	case 1:
		fixed = (int(r.bits(9)) + 20) * 8
	default:
		return false
	}
	if r.bit() == 1 { // otherDataPresent: what it is stands behind the payload
		if version == 1 {
			latmValue(r)
		} else {
			for more := true; more && !r.over; {
				more = r.bit() == 1
				r.bits(8)
			}
		}
	}
	if r.bit() == 1 { // crcCheckPresent
		r.bits(8)
	}
	if r.over {
		return false
	}
	s.known, s.subframes, s.fixed = true, subframes, fixed
	if !bytes.Equal(s.config, config) {
		format.Config = config
		s.config, s.format = config, &format
	}
	return true
}

// payload reads PayloadLengthInfo and PayloadMux (tables 1.44, 1.45).
func (s *loas) payload(r *bitReader) ([]byte, bool) {
	var unit []byte
	for range s.subframes {
		bits := s.fixed
		if bits == 0 {
			for more := true; more && !r.over; {
				n := int(r.bits(8))
				bits += n * 8
				more = n == 255
			}
		}
		if r.over || bits == 0 || r.pos+bits > len(r.b)*8 {
			return nil, false
		}
		unit = append(unit, bitsOf(r.b, r.pos, r.pos+bits)...)
		r.pos += bits
	}
	return unit, true
}

// latmValue reads LatmGetValue (table 1.43).
func latmValue(r *bitReader) uint32 {
	n := r.bits(2)
	return r.bits(8 * (int(n) + 1))
}

// bitsOf copies bits to a byte boundary, zeros behind.
func bitsOf(b []byte, from, to int) []byte {
	out := make([]byte, (to-from+7)/8)
	shift := uint(from & 7)
	for i := range out {
		at := from>>3 + i
		v := uint16(b[at]) << 8
		if at+1 < len(b) {
			v |= uint16(b[at+1])
		}
		out[i] = byte(v << shift >> 8)
	}
	if rest := uint(to-from) & 7; rest != 0 {
		out[len(out)-1] &= 0xFF << (8 - rest)
	}
	return out
}

// audioConfig reads an AudioSpecificConfig (1.6.2.1) of AAC, up to its end.
func audioConfig(r *bitReader) (media.Format, bool) {
	object := r.bits(5)
	rate := audioRate(r)
	channels := r.bits(4)
	profile := aacProfile(byte(object))
	if object == 5 || object == 29 { // SBR, said openly: then comes the core
		audioRate(r)
		object = r.bits(5)
	}
	if object < 1 || object > 4 || channels == 0 || channels > 7 || rate == 0 {
		return media.Format{}, false
	}
	r.bit()           // frameLengthFlag
	if r.bit() == 1 { // dependsOnCoreCoder
		r.bits(14)
	}
	r.bit() // extensionFlag, 0 for these types
	return media.Format{
		Codec: media.AAC, ClockRate: rate, Rate: rate, Channels: aacChannels(byte(channels)), Profile: profile,
	}, true
}

func audioRate(r *bitReader) int {
	index := r.bits(4)
	if index == 15 {
		return int(r.bits(24))
	}
	return aacRate(byte(index))
}
