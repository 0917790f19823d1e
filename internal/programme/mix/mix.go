// Package mix makes one sound of several voices: each brought to the same level,
// faded where it begins and ends, added up, and kept below full scale. It is pure:
// no clock, no I/O, no goroutine; the same input gives the same sound.
//
// Sound is 48 kHz stereo, interleaved float32 between -1 and 1. Places in time are
// positions: samples of 48 kHz since the mixer's beginning.
//
//	Put ─> voice (placed, steered) ─> leveller ─┐
//	Put ─> voice ───────────────────> leveller ─┴─> sum ─> limiter ─> Mix
package mix

import (
	"slices"
	"strings"
)

const (
	// Rate is samples a second, Channels how many are interleaved.
	Rate     = 48000
	Channels = 2
	// Block is what Mix makes at a time: 20 ms.
	Block = 960
	// Delay is by how many samples the limiter holds the sound back, to see a peak coming.
	Delay = ahead * step
)

// Stats counts what did not fit, in samples.
type Stats struct {
	Late    uint64 // came after its time
	Missing uint64 // silence between two pieces of one voice
}

// Mixer mixes. Create it with [New]; it belongs to one goroutine.
type Mixer struct {
	voices []*voice // by id, so that they are added up in the same order each time
	at     int64    // position of the next block
	lim    limiter
	sum    [Block * Channels]float32
	one    [Block * Channels]float32
	stats  Stats
}

// New returns a mixer at position 0 in which nobody speaks.
func New() *Mixer { return &Mixer{lim: newLimiter()} }

// Position is where the next block begins, before the limiter's [Delay].
func (m *Mixer) Position() int64 { return m.at }

// Stats returns the counters.
func (m *Mixer) Stats() Stats { return m.stats }

// Put gives a piece of a voice that begins at a position. Pieces that nearly follow
// one another are made to follow by stretching them a little: two clocks never run
// alike. pcm is not kept.
func (m *Mixer) Put(id string, at int64, pcm []float32) {
	i, ok := m.find(id)
	if !ok {
		m.voices = slices.Insert(m.voices, i, &voice{id: id, gain: 1, level: unknownLevel})
	}
	m.voices[i].put(at, pcm, m.at, &m.stats)
}

func (m *Mixer) find(id string) (int, bool) {
	return slices.BinarySearchFunc(m.voices, id, func(v *voice, id string) int { return strings.Compare(v.id, id) })
}

// Forget lets go of a voice, for somebody who left.
func (m *Mixer) Forget(id string) {
	if i, ok := m.find(id); ok {
		m.voices = slices.Delete(m.voices, i, i+1)
	}
}

// Gain returns what the leveller multiplies a voice by now; 1 for one that is not known.
func (m *Mixer) Gain(id string) float64 {
	if i, ok := m.find(id); ok {
		return float64(m.voices[i].gain)
	}
	return 1
}

// Mix makes the next block into out, which holds Block*Channels values: the sound
// from [Mixer.Position] minus [Delay] on.
func (m *Mixer) Mix(out []float32) {
	clear(m.sum[:])
	for _, v := range m.voices {
		if !v.take(m.one[:], m.at) {
			continue
		}
		v.levelled(m.one[:])
		for i, x := range m.one {
			m.sum[i] += x
		}
	}
	m.at += Block
	m.lim.process(out, m.sum[:])
}
