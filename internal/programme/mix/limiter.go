package mix

const (
	step    = Rate / 1000 // the limiter looks at 1 ms at a time
	ahead   = 5           // how many steps it sees coming
	ceiling = 0.89        // -1 dB of full scale, which leaves room for what the encoder adds
	recover = 0.01        // share of the way back to no reduction, each step
)

// limiter keeps the sum below the ceiling without clipping it: it sees a peak 5 ms
// before it comes, and turns down towards it and up again after it.
type limiter struct {
	held [ahead * step * Channels]float32 // seen, and not yet given
	need [ahead + 1]float32               // the gain that each step held may have; the first is the step given last
	gain float32                          // at the end of the step given last
}

func newLimiter() limiter {
	l := limiter{gain: 1}
	for i := range l.need {
		l.need[i] = 1
	}
	return l
}

// process takes a block and gives one, [Delay] samples behind it.
func (l *limiter) process(out, in []float32) {
	const size = step * Channels
	for at := 0; at < len(in); at += size {
		give := out[at : at+size]
		copy(give, l.held[:size])
		copy(l.held[:], l.held[size:])
		copy(l.held[len(l.held)-size:], in[at:at+size])
		given := l.need[1]
		copy(l.need[:], l.need[1:])
		l.need[ahead] = allowed(in[at : at+size])
		l.apply(give, given)
	}
}

// apply turns a step from the gain before it to the one behind it, both of which
// must be small enough for the step itself, and the latter for the next.
func (l *limiter) apply(pcm []float32, own float32) {
	from := min(l.gain, own)
	to := min(own, l.need[1], from+(1-from)*recover)
	for i := 2; i <= ahead; i++ {
		// A peak further off is approached in a straight line.
		way := float32(i-1) / float32(ahead)
		to = min(to, l.need[i]+(1-l.need[i])*way)
	}
	n := len(pcm) / Channels
	for i := range n {
		g := from + (to-from)*float32(i+1)/float32(n)
		for c := range Channels {
			pcm[i*Channels+c] *= g
		}
	}
	l.gain = to
}

// allowed returns the largest gain that keeps a step below the ceiling.
func allowed(pcm []float32) float32 {
	peak := float32(0)
	for _, x := range pcm {
		peak = max(peak, x, -x)
	}
	if peak <= ceiling {
		return 1
	}
	return ceiling / peak
}
