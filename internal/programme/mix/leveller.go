package mix

import "math"

// The leveller brings everybody to the same loudness, slowly enough not to be
// heard. Levels are of speech alone: pauses do not count, so that a silent room's
// hum is not raised to a roar.
const (
	targetLevel  = -20.0 // dB of full scale, RMS of 20 ms blocks with speech in them
	gateLevel    = -50.0 // what is quieter is a pause
	unknownLevel = 0.0   // level of a voice of which nothing was heard yet: see levelled
	mostGain     = 12.0  // dB
	leastGain    = -18.0
	gainUp       = 6.0 * Block / Rate  // dB in a block
	gainDown     = 20.0 * Block / Rate // faster: too loud hurts, too soft does not
	attack       = 0.06                // share of a block in the running level when it is louder
	release      = 0.01                // and when it is softer
)

// levelled applies the voice's gain to a block and follows its level.
func (v *voice) levelled(pcm []float32) {
	if db := rms(pcm); db > gateLevel {
		share := release
		switch {
		case v.level == unknownLevel:
			share = 1
		case db > v.level:
			share = attack
		}
		v.level += (db - v.level) * share
	}
	from := v.gain
	if v.level != unknownLevel {
		want := max(leastGain, min(mostGain, targetLevel-v.level))
		now := 20 * math.Log10(float64(v.gain))
		v.gain = float32(math.Pow(10, max(now-gainDown, min(now+gainUp, want))/20))
	}
	// The gain moves over the block: a step would click.
	n := len(pcm) / Channels
	for i := range n {
		g := from + (v.gain-from)*float32(i)/float32(n)
		for c := range Channels {
			pcm[i*Channels+c] *= g
		}
	}
}

// rms returns the level of a block in dB of full scale; -120 for silence.
func rms(pcm []float32) float64 {
	sum := 0.0
	for _, x := range pcm {
		sum += float64(x) * float64(x)
	}
	if sum == 0 {
		return -120
	}
	return 10 * math.Log10(sum/float64(len(pcm)))
}
