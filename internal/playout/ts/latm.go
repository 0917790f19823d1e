package ts

// latm writes AAC as LOAS/LATM (ISO/IEC 14496-3 1.7): one access unit in each
// AudioSyncStream element, the configuration in every one, so that a receiver can
// begin anywhere.
type latm struct {
	head []byte // StreamMuxConfig with the bit before it, as far as the payload's length
	bits int
}

// newLATM returns the writer for an AudioSpecificConfig that [mpegts.ADTSHead] accepts.
func newLATM(config []byte) *latm {
	var w bitWriter
	w.put(0, 1) // useSameStreamMux: the configuration follows
	w.put(0, 1) // audioMuxVersion
	w.put(1, 1) // allStreamsSameTimeFraming
	w.put(0, 6) // numSubFrames: one
	w.put(0, 4) // numProgram: one
	w.put(0, 3) // numLayer: one
	for i := range configBits(config) {
		w.put(uint32(config[i/8]>>(7-i%8))&1, 1)
	}
	w.put(0, 3)    // frameLengthType: the length is in the payload
	w.put(0xFF, 8) // latmBufferFullness: variable rate
	w.put(0, 1)    // otherDataPresent
	w.put(0, 1)    // crcCheckPresent
	return &latm{head: w.b, bits: w.n}
}

// configBits returns the length of an AudioSpecificConfig without what may stand
// behind it: object types 1 to 4, also behind explicit SBR or PS.
func configBits(config []byte) int {
	at := 0
	read := func(n int) (v int) {
		for range n {
			v <<= 1
			if at/8 < len(config) {
				v |= int(config[at/8]>>(7-at%8)) & 1
			}
			at++
		}
		return v
	}
	rate := func() {
		if read(4) == 15 {
			read(24)
		}
	}
	object := read(5)
	rate()
	read(4) // channels
	if object == 5 || object == 29 {
		rate()
		read(5)
	}
	read(1)           // frameLengthFlag
	if read(1) == 1 { // dependsOnCoreCoder
		read(14)
	}
	read(1) // extensionFlag
	return min(at, len(config)*8)
}

// maxLATM is the longest access unit: with its header it fits the 13 bits of the
// element's length.
const maxLATM = 8100

// append adds the element of one access unit.
func (l *latm) append(b []byte, unit []byte) []byte {
	from := len(b)
	w := bitWriter{b: append(b, 0x56, 0xE0, 0), n: (from + 3) * 8}
	w.copy(l.head, l.bits)
	n := len(unit)
	for ; n >= 255; n -= 255 {
		w.put(255, 8)
	}
	w.put(uint32(n), 8)
	w.copy(unit, len(unit)*8)
	size := len(w.b) - from - 3
	w.b[from+1] |= byte(size >> 8)
	w.b[from+2] = byte(size)
	return w.b
}

// bitWriter appends bits to bytes, the highest first.
type bitWriter struct {
	b []byte
	n int // bits written
}

func (w *bitWriter) put(v uint32, bits int) {
	for i := bits - 1; i >= 0; i-- {
		if w.n%8 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[w.n/8] |= byte(v>>i&1) << (7 - w.n%8)
		w.n++
	}
}

// copy appends the first bits of b.
func (w *bitWriter) copy(b []byte, bits int) {
	shift := w.n % 8
	whole := bits / 8
	if shift == 0 {
		w.b = append(w.b, b[:whole]...)
	} else {
		for _, v := range b[:whole] {
			w.b[len(w.b)-1] |= v >> shift
			w.b = append(w.b, v<<(8-shift))
		}
	}
	w.n += whole * 8
	if rest := bits % 8; rest > 0 {
		w.put(uint32(b[whole])>>(8-rest), rest)
	}
}
