package mpegts

import "bytes"

// strides are the packet lengths met in practice: plain, with a 4-byte time code
// (M2TS), with 16 bytes of Reed-Solomon parity.
var strides = [...]int{188, 192, 204}

// lockAfter is how many sync bytes in a row are believed; a random byte run
// passes with a probability of 2^-32.
const lockAfter = 5

// splitter finds packets in bytes that come in pieces of any length, and finds
// them again after bytes were lost or inserted.
type splitter struct {
	stride int // 0 while not locked
	bad    int // sync bytes wrong in a row
	skip   int // bytes still to be skipped: the rest of a stride
	carry  []byte

	syncErrors uint64 // wrong sync bytes in a locked stream (TR 101 290 1.2)
	losses     uint64 // two and more in a row (TR 101 290 1.1)
	skipped    uint64 // bytes that belonged to no packet
}

// write passes the whole packets in b to emit, in runs: each begins with a packet
// and has one every stride bytes. emit must not keep them.
func (s *splitter) write(b []byte, emit func(run []byte, stride int)) {
	if len(s.carry) > 0 {
		s.carry = append(s.carry, b...)
		b = s.carry
	}
	n := s.run(b, false, emit)
	// b may be the carry itself; copy moves the rest to its front.
	s.carry = append(s.carry[:0], b[n:]...)
}

// flush ends the input: what is left is believed with fewer sync bytes.
func (s *splitter) flush(emit func(run []byte, stride int)) {
	s.run(s.carry, true, emit)
	s.carry = s.carry[:0]
	s.stride, s.skip, s.bad = 0, 0, 0
}

// run emits packets and returns how many bytes of b are done with.
func (s *splitter) run(b []byte, final bool, emit func(run []byte, stride int)) int {
	pos := 0
	for {
		if s.skip > 0 {
			n := min(s.skip, len(b)-pos)
			pos += n
			if s.skip -= n; s.skip > 0 {
				return pos
			}
		}
		if s.stride == 0 {
			at, stride, more := search(b[pos:], final)
			s.skipped += uint64(at)
			pos += at
			if stride == 0 {
				if more {
					return pos
				}
				s.skipped += uint64(len(b) - pos)
				return len(b)
			}
			s.stride, s.bad = stride, 0
		}
		from := pos
		for len(b)-pos >= PacketSize && b[pos] == syncByte {
			pos += s.stride
		}
		if pos > from {
			s.bad = 0
			emit(b[from:min(pos, len(b))], s.stride)
			if pos > len(b) {
				s.skip = pos - len(b)
				return len(b)
			}
		}
		if len(b)-pos < PacketSize {
			return pos
		}
		// One wrong sync byte in its place is a damaged packet; two are a lost lock.
		s.syncErrors++
		s.bad++
		if s.bad >= 2 {
			s.losses++
			s.stride = 0
			continue
		}
		if len(b)-pos <= s.stride && !final {
			s.bad--
			s.syncErrors--
			return pos // wait for the next sync byte before judging
		}
		if len(b)-pos > s.stride && b[pos+s.stride] == syncByte {
			pos += s.stride
			continue
		}
		s.losses++
		s.stride = 0
	}
}

// search returns where packets begin and how far apart they are; stride 0 when
// that cannot be said, and then more says whether what follows at is worth keeping.
func search(b []byte, final bool) (at, stride int, more bool) {
	for at < len(b) {
		i := bytes.IndexByte(b[at:], syncByte)
		if i < 0 {
			return len(b), 0, false
		}
		at += i
		undecided := false
		for _, stride := range strides {
			switch ok, enough := probe(b[at:], stride, final); {
			case ok && enough:
				return at, stride, false
			case ok:
				undecided = true
			}
		}
		if undecided {
			return at, 0, true
		}
		at++
	}
	return at, 0, false
}

// probe reports whether sync bytes stand at every stride, and whether there were enough to tell.
func probe(b []byte, stride int, final bool) (ok, enough bool) {
	for k := range lockAfter {
		if k*stride >= len(b) {
			// At the end of the input one whole packet must do.
			return true, final && len(b) >= PacketSize
		}
		if b[k*stride] != syncByte {
			return false, false
		}
	}
	return true, true
}
