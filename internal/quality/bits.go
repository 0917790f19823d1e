package quality

// bitReader reads the bits of a parameter set, most significant first.
type bitReader struct {
	b    []byte
	at   int // bits read
	over bool
}

func (r *bitReader) bit() uint32 {
	if r.at >= len(r.b)*8 {
		r.over = true
		return 0
	}
	v := r.b[r.at>>3] >> (7 - r.at&7) & 1
	r.at++
	return uint32(v)
}

func (r *bitReader) bits(n int) uint32 {
	v := uint32(0)
	for range n {
		v = v<<1 | r.bit()
	}
	return v
}

// ue reads an unsigned Exp-Golomb code; 32 bits and more are an error.
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

// se reads a signed one; only its length matters here.
func (r *bitReader) se() { r.ue() }

type bitWriter struct {
	b []byte
	n int // bits written
}

func (w *bitWriter) bit(v uint32) {
	if w.n&7 == 0 {
		w.b = append(w.b, 0)
	}
	w.b[w.n>>3] |= byte(v&1) << (7 - w.n&7)
	w.n++
}

func (w *bitWriter) bits(v uint32, n int) {
	for i := n - 1; i >= 0; i-- {
		w.bit(v >> i)
	}
}

func (w *bitWriter) ue(v uint32) {
	n := 0
	for x := v + 1; x > 1; x >>= 1 {
		n++
	}
	w.bits(0, n)
	w.bits(v+1, n+1)
}

// copy takes the next n bits of r.
func (w *bitWriter) copy(r *bitReader, n int) {
	for range n {
		w.bit(r.bit())
	}
}

// trail ends a payload (rbsp_trailing_bits).
func (w *bitWriter) trail() []byte {
	w.bit(1)
	return w.b
}

// unescape takes the emulation prevention bytes out of a NAL unit.
func unescape(b []byte) []byte {
	out := make([]byte, 0, len(b))
	zeros := 0
	for _, c := range b {
		if zeros >= 2 && c == 3 {
			zeros = 0
			continue
		}
		out = append(out, c)
		if c == 0 {
			zeros++
		} else {
			zeros = 0
		}
	}
	return out
}

// escape puts them in.
func escape(b []byte) []byte {
	out := make([]byte, 0, len(b)+8)
	zeros := 0
	for _, c := range b {
		if zeros >= 2 && c <= 3 {
			out = append(out, 3)
			zeros = 0
		}
		out = append(out, c)
		if c == 0 {
			zeros++
		} else {
			zeros = 0
		}
	}
	return out
}
