package media

// Unwrapper turns a counter of a few bits that wraps into one of 64 bits: RTP
// sequence numbers (16), RTP timestamps (32), MPEG-TS clocks (33).
//
// It belongs to one goroutine; make it with [NewUnwrapper].
type Unwrapper struct {
	bits  uint
	begun bool
	last  int64 // newest value returned
}

// NewUnwrapper returns an unwrapper of a counter of 1 to 62 bits.
func NewUnwrapper(bits uint) Unwrapper {
	if bits < 1 || bits > 62 {
		panic("media: unwrapper of an impossible width")
	}
	return Unwrapper{bits: bits}
}

// Unwrap returns v as the value nearest to the newest one seen: up to half a turn
// ahead, or less than half a turn behind (late packets). The first value is
// returned as it is, and values before it may be negative.
func (u *Unwrapper) Unwrap(v uint64) int64 {
	if !u.begun {
		u.begun = true
		u.last = int64(v & (1<<u.bits - 1))
		return u.last
	}
	out := u.last + signed(v-uint64(u.last), u.bits)
	u.last = max(u.last, out)
	return out
}

// signed reads the low bits of d as a number with sign.
func signed(d uint64, bits uint) int64 {
	shift := 64 - bits
	return int64(d<<shift) >> shift
}
