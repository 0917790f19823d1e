package media

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// ErrMalformed: bytes are not what their label says. Parsers of this package wrap it.
var ErrMalformed = errors.New("malformed")

var startCode = []byte{0, 0, 1}

// SplitAnnexB returns the NAL units of a byte stream (ITU-T H.264 and H.265 annex
// B) without start codes and without trailing zero bytes. What lies before the
// first start code is not returned. The units share data's memory.
func SplitAnnexB(data []byte) [][]byte {
	at := bytes.Index(data, startCode)
	if at < 0 {
		return nil
	}
	var units [][]byte
	data = data[at+3:]
	for {
		at = bytes.Index(data, startCode)
		unit := data
		if at >= 0 {
			unit = data[:at]
		}
		// A NAL unit never ends in a zero byte (7.4.1): these belong to the
		// next start code or are trailing_zero_8bits.
		if unit = bytes.TrimRight(unit, "\x00"); len(unit) > 0 {
			units = append(units, unit)
		}
		if at < 0 {
			return units
		}
		data = data[at+3:]
	}
}

// JoinAnnexB returns units as a byte stream with four-byte start codes, in new memory.
func JoinAnnexB(units [][]byte) []byte {
	out := make([]byte, 0, joinedSize(units))
	for _, u := range units {
		out = append(append(out, 0, 0, 0, 1), u...)
	}
	return out
}

// SplitAVCC returns the NAL units of a sample with four-byte lengths (ISO/IEC
// 14496-15 5.3.4.2.1). Empty units are left out. The units share data's memory.
func SplitAVCC(data []byte) ([][]byte, error) {
	var units [][]byte
	for len(data) > 0 {
		if len(data) < 4 {
			return nil, ErrMalformed
		}
		n := uint64(binary.BigEndian.Uint32(data))
		data = data[4:]
		if n > uint64(len(data)) {
			return nil, ErrMalformed
		}
		if n > 0 {
			units = append(units, data[:n])
		}
		data = data[n:]
	}
	return units, nil
}

// JoinAVCC returns units as one sample with four-byte lengths, in new memory.
func JoinAVCC(units [][]byte) []byte {
	out := make([]byte, 0, joinedSize(units))
	for _, u := range units {
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(u))), u...)
	}
	return out
}

func joinedSize(units [][]byte) int {
	n := 0
	for _, u := range units {
		n += 4 + len(u)
	}
	return n
}

// rbsp reads the payload of a NAL unit without its emulation prevention bytes
// (H.264 7.4.1). It copies nothing, so that looking at a packet allocates nothing.
type rbsp struct {
	data  []byte
	at    int
	zeros int
	bits  uint // of cur not yet read
	cur   byte
	over  bool // read past the end
}

// next returns the next byte; 0 and over when there is none.
func (r *rbsp) next() byte {
	if r.zeros >= 2 && r.at < len(r.data) && r.data[r.at] == 3 {
		r.at++
		r.zeros = 0
	}
	if r.at >= len(r.data) {
		r.over = true
		return 0
	}
	b := r.data[r.at]
	r.at++
	if b == 0 {
		r.zeros++
	} else {
		r.zeros = 0
	}
	return b
}

func (r *rbsp) bit() uint32 {
	if r.bits == 0 {
		r.cur, r.bits = r.next(), 8
	}
	r.bits--
	return uint32(r.cur>>r.bits) & 1
}

// ue reads an unsigned Exp-Golomb code (9.1). A code of more than 32 bits is an
// overrun: no valid stream has one.
func (r *rbsp) ue() uint32 {
	zeros := 0
	for r.bit() == 0 {
		if zeros++; zeros > 31 || r.over {
			r.over = true
			return 0
		}
	}
	v := uint32(1)
	for ; zeros > 0; zeros-- {
		v = v<<1 | r.bit()
	}
	return v - 1
}

// recoveryPoint looks for a recovery point among the messages of an SEI NAL unit
// without its header (H.264 7.3.2.3, D.1.8; H.265 D.2.8: payload type 6 in both).
// instant reports a recovery count of 0: the very next picture is exact.
func recoveryPoint(body []byte) (found, instant bool) {
	r := rbsp{data: body}
	for r.at+1 < len(body) { // one byte at least remains for the trailing bits
		kind, size := 0, 0
		for b := r.next(); ; b = r.next() {
			kind += int(b)
			if b != 0xff || r.over {
				break
			}
		}
		for b := r.next(); ; b = r.next() {
			size += int(b)
			if b != 0xff || r.over {
				break
			}
		}
		if r.over {
			return false, false
		}
		if kind == seiRecoveryPoint {
			if size == 0 {
				return false, false
			}
			// se(v) of H.265 and ue(v) of H.264 are both one bit of 1 for zero.
			count := r
			instant = count.bit() == 1
			return !count.over, instant
		}
		for ; size > 0 && !r.over; size-- {
			r.next()
		}
	}
	return false, false
}

const seiRecoveryPoint = 6

// ParameterSets returns the parameter sets among the units of an access unit, in
// order: SPS and PPS of H.264, VPS, SPS and PPS of H.265; nil for other codecs.
func ParameterSets(codec Codec, units [][]byte) [][]byte {
	var sets [][]byte
	for _, u := range units {
		if parameterSetRank(codec, u) > 0 {
			sets = append(sets, u)
		}
	}
	return sets
}

// WithParameterSets returns units with those of sets in front whose kind is
// missing (behind an access unit delimiter, which must come first). When nothing
// is missing it returns units itself; otherwise a new slice over the same units.
func WithParameterSets(codec Codec, units, sets [][]byte) [][]byte {
	var have [4]bool
	for _, u := range units {
		have[parameterSetRank(codec, u)] = true
	}
	missing := 0
	for _, s := range sets {
		if r := parameterSetRank(codec, s); r > 0 && !have[r] {
			missing++
		}
	}
	if missing == 0 {
		return units
	}
	out := make([][]byte, 0, len(units)+missing)
	head := 0
	if len(units) > 0 && isDelimiter(codec, units[0]) {
		head = 1
	}
	out = append(out, units[:head]...)
	// All sets go in front in the order of their kinds: a PPS is read with its SPS.
	for rank := 1; rank <= 3; rank++ {
		from := sets
		if have[rank] {
			from = units
		}
		for _, s := range from {
			if parameterSetRank(codec, s) == rank {
				out = append(out, s)
			}
		}
	}
	for _, u := range units[head:] {
		if parameterSetRank(codec, u) == 0 {
			out = append(out, u)
		}
	}
	return out
}

// parameterSetRank returns the place of a parameter set among its kinds: VPS 1,
// SPS 2, PPS 3; 0 for any other unit.
func parameterSetRank(codec Codec, unit []byte) int {
	switch codec {
	case H264:
		switch H264Type(unit) {
		case H264SPS:
			return 2
		case H264PPS:
			return 3
		}
	case H265:
		switch H265Type(unit) {
		case H265VPS:
			return 1
		case H265SPS:
			return 2
		case H265PPS:
			return 3
		}
	}
	return 0
}

func isDelimiter(codec Codec, unit []byte) bool {
	return codec == H264 && H264Type(unit) == H264AUD || codec == H265 && H265Type(unit) == H265AUD
}

// parameterSets remembers the newest parameter sets of a track. They are kept by
// content, so that a stream with several PPS keeps them all.
type parameterSets struct {
	codec Codec
	sets  [][]byte
}

// maxParameterSets bounds what a hostile stream can make us keep.
const maxParameterSets = 16

// learn takes the sets of an access unit. A new SPS or VPS that differs starts a
// new coded video sequence, so everything known before is forgotten.
func (s *parameterSets) learn(units [][]byte) {
	fresh := false
	for _, u := range units {
		rank := parameterSetRank(s.codec, u)
		if rank == 0 || s.has(u) {
			continue
		}
		if rank < 3 && !fresh {
			s.sets = nil
		}
		fresh = true
		if len(s.sets) == maxParameterSets {
			s.sets = s.sets[1:]
		}
		s.sets = append(s.sets, bytes.Clone(u))
	}
	if !fresh {
		return
	}
	// What this access unit repeats unchanged was forgotten with the rest.
	for _, u := range units {
		if parameterSetRank(s.codec, u) > 0 && !s.has(u) && len(s.sets) < maxParameterSets {
			s.sets = append(s.sets, bytes.Clone(u))
		}
	}
}

func (s *parameterSets) has(u []byte) bool {
	for _, k := range s.sets {
		if bytes.Equal(k, u) {
			return true
		}
	}
	return false
}
