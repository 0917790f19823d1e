package mpegts

// bitReader reads big-endian bits; past the end it returns zeros and says so.
type bitReader struct {
	b    []byte
	pos  int // in bits
	over bool
}

func (r *bitReader) bit() uint32 {
	i := r.pos >> 3
	if i >= len(r.b) {
		r.over = true
		return 0
	}
	v := uint32(r.b[i]>>(7-r.pos&7)) & 1
	r.pos++
	return v
}

func (r *bitReader) bits(n int) uint32 {
	v := uint32(0)
	for range n {
		v = v<<1 | r.bit()
	}
	return v
}

// ue reads an Exp-Golomb number (ITU-T H.264 9.1).
func (r *bitReader) ue() uint32 {
	zeros := 0
	for r.bit() == 0 {
		if zeros++; zeros > 31 || r.over {
			r.over = true
			return 0
		}
	}
	return 1<<zeros - 1 + r.bits(zeros)
}

// unescape copies the first bytes of a NAL unit into dst without emulation
// prevention (ITU-T H.264 7.4.1) and returns what it filled.
func unescape(dst, b []byte) []byte {
	n, zeros := 0, 0
	for _, c := range b {
		if n == len(dst) {
			break
		}
		if zeros >= 2 && c == 3 {
			zeros = 0
			continue
		}
		if c == 0 {
			zeros++
		} else {
			zeros = 0
		}
		dst[n] = c
		n++
	}
	return dst[:n]
}
