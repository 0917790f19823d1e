package quality

import "math"

// soundLevel is what was measured of a piece of sound.
type soundLevel struct {
	rms      float64 // dBFS of the loudest channel, a full-scale sine being -3.01
	loudness float64 // LUFS: momentary loudness (EBU Tech 3341) of the piece
	power    float64 // what loudness is the logarithm of
}

const (
	// silence is what no lower level is told apart from.
	silence = -120.0
	// settle is how much of a piece is not measured, in samples: what the decoder
	// overlaps with the channel before, and the time the filters need.
	settle = soundRate / 10
)

// measure returns the levels of interleaved samples; ok is false when the piece is
// too short to tell.
func measure(samples []int16) (l soundLevel, ok bool) {
	n := len(samples) / soundChannels
	if n < 2*settle {
		return soundLevel{rms: silence, loudness: silence}, false
	}
	var square, weighted [soundChannels]float64
	for c := range soundChannels {
		shelf, pass := kFilter(soundRate)
		for i := range n {
			v := float64(samples[i*soundChannels+c]) / 32768
			w := pass.step(shelf.step(v))
			if i >= settle {
				square[c] += v * v
				weighted[c] += w * w
			}
		}
	}
	count := float64(n - settle)
	for c := range soundChannels {
		l.rms = max(l.rms, square[c]/count)
		l.power += weighted[c] / count
	}
	l.rms = decibel(l.rms)
	l.loudness = loudness(l.power)
	return l, true
}

func decibel(power float64) float64 {
	return max(silence, 10*math.Log10(max(power, 1e-13)))
}

// loudness is ITU-R BS.1770-5 (2) with both channels of weight one.
func loudness(power float64) float64 {
	return max(silence, -0.691+10*math.Log10(max(power, 1e-13)))
}

// biquad is a filter of second order.
type biquad struct{ b0, b1, b2, a1, a2, z1, z2 float64 }

func (f *biquad) step(x float64) float64 {
	y := f.b0*x + f.z1
	f.z1 = f.b1*x - f.a1*y + f.z2
	f.z2 = f.b2*x - f.a2*y
	return y
}

// kFilter returns the two stages of K-weighting (ITU-R BS.1770-5 annex 1) at a
// sampling rate. The standard has coefficients for 48 kHz only; these are its analogue
// prototypes, which give the same ones there.
func kFilter(rate float64) (shelf, pass biquad) {
	const (
		shelfAt, shelfGain, shelfQ = 1681.974450955533, 3.999843853973347, 0.7071752369554196
		passAt, passQ              = 38.13547087602444, 0.5003270373238773
	)
	k := math.Tan(math.Pi * shelfAt / rate)
	vh := math.Pow(10, shelfGain/20)
	vb := math.Pow(vh, 0.4996667741545416)
	a0 := 1 + k/shelfQ + k*k
	shelf = biquad{
		b0: (vh + vb*k/shelfQ + k*k) / a0, b1: 2 * (k*k - vh) / a0, b2: (vh - vb*k/shelfQ + k*k) / a0,
		a1: 2 * (k*k - 1) / a0, a2: (1 - k/shelfQ + k*k) / a0,
	}
	k = math.Tan(math.Pi * passAt / rate)
	a0 = 1 + k/passQ + k*k
	pass = biquad{b0: 1, b1: -2, b2: 1, a1: 2 * (k*k - 1) / a0, a2: (1 - k/passQ + k*k) / a0}
	return shelf, pass
}
