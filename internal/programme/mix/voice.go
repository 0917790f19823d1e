package mix

const (
	fade = Rate / 200 // 5 ms: no click, and no word eaten
	// steerable is how far a piece may be from where the one before ended and still
	// be taken for its continuation: two clocks that drift, not a hole.
	steerable = fade
	// steer is by how many samples at most a piece is stretched or squeezed: half a
	// hundredth of 20 ms, which nobody hears.
	steer = 5
	// maxHeld bounds what is held of one voice: two seconds.
	maxHeld = 2 * Rate
)

// voice is one speaker's sound, placed and waiting to be mixed.
type voice struct {
	id    string
	start int64     // position of the first sample held
	pcm   []float32 // held, in a row
	level float64   // see leveller.go
	gain  float32
}

func (v *voice) end() int64 { return v.start + int64(len(v.pcm)/Channels) }

// put places a piece. Nothing before the position mixed is taken.
func (v *voice) put(at int64, pcm []float32, mixed int64, stats *Stats) {
	n := int64(len(pcm) / Channels)
	if n == 0 {
		return
	}
	if len(v.pcm) == 0 {
		v.begin(at, pcm, mixed, stats)
		return
	}
	off := at - v.end()
	switch {
	case off > 0 && off > steerable:
		if at+n-v.start > maxHeld {
			stats.Late += uint64(n) // or far too early: the clock jumped
			return
		}
		stats.Missing += uint64(off)
		fadeOut(v.pcm)
		v.pcm = append(v.pcm, make([]float32, int(off)*Channels)...)
		first := len(v.pcm)
		v.pcm = append(v.pcm, pcm...)
		fadeIn(v.pcm[first:])
	case off < -steerable:
		if off <= -n {
			stats.Late += uint64(n)
			return
		}
		stats.Late += uint64(-off)
		fadeOut(v.pcm)
		first := len(v.pcm)
		v.pcm = append(v.pcm, pcm[int(-off)*Channels:]...)
		fadeIn(v.pcm[first:])
	default:
		v.append(pcm, int(n+max(-steer, min(steer, off))))
	}
	if over := len(v.pcm) - maxHeld*Channels; over > 0 {
		v.pcm, v.start = v.pcm[over:], v.start+int64(over/Channels)
	}
}

// begin places a piece after silence.
func (v *voice) begin(at int64, pcm []float32, mixed int64, stats *Stats) {
	n := int64(len(pcm) / Channels)
	if late := mixed - at; late > 0 {
		stats.Late += uint64(min(late, n))
		if late >= n {
			return
		}
		pcm, at = pcm[int(late)*Channels:], mixed
	}
	v.start = at
	v.pcm = append(v.pcm[:0], pcm...)
	fadeIn(v.pcm)
}

// append adds a piece as n samples, by linear interpolation where that is not its length.
func (v *voice) append(pcm []float32, n int) {
	have := len(pcm) / Channels
	if n == have || have < 2 || n < 2 {
		v.pcm = append(v.pcm, pcm...)
		return
	}
	scale := float64(have-1) / float64(n-1)
	for i := range n {
		x := float64(i) * scale
		k := min(int(x), have-2)
		f := float32(x - float64(k))
		for c := range Channels {
			a, b := pcm[k*Channels+c], pcm[(k+1)*Channels+c]
			v.pcm = append(v.pcm, a+(b-a)*f)
		}
	}
}

// take fills out with the block at a position. It is false when there is nothing of
// the voice in it.
func (v *voice) take(out []float32, at int64) bool {
	if len(v.pcm) == 0 || v.start >= at+Block {
		return false
	}
	clear(out)
	if skip := at - v.start; skip > 0 {
		v.drop(skip)
	}
	if len(v.pcm) == 0 {
		return false
	}
	from := int(v.start - at)
	n := min(Block-from, len(v.pcm)/Channels)
	copy(out[from*Channels:], v.pcm[:n*Channels])
	v.drop(int64(n))
	if len(v.pcm) == 0 {
		fadeOut(out[from*Channels : (from+n)*Channels]) // whatever comes next fades in
	}
	return true
}

func (v *voice) drop(n int64) {
	n = min(n, int64(len(v.pcm)/Channels))
	v.start += n
	v.pcm = v.pcm[:copy(v.pcm, v.pcm[int(n)*Channels:])]
}

func fadeIn(pcm []float32) {
	n := min(fade, len(pcm)/Channels)
	for i := range n {
		g := float32(i) / float32(n)
		for c := range Channels {
			pcm[i*Channels+c] *= g
		}
	}
}

func fadeOut(pcm []float32) {
	total := len(pcm) / Channels
	n := min(fade, total)
	for i := range n {
		g := float32(n-1-i) / float32(n)
		for c := range Channels {
			pcm[(total-n+i)*Channels+c] *= g
		}
	}
}
