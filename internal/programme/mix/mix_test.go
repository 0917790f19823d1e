package mix

import (
	"math"
	"math/rand/v2"
	"testing"
)

// tone makes n samples of a sine at an amplitude, from a phase given in samples.
func tone(hertz, amplitude float64, from, n int64) []float32 {
	out := make([]float32, n*Channels)
	for i := range n {
		x := float32(amplitude * math.Sin(2*math.Pi*hertz*float64(from+i)/Rate))
		out[i*Channels], out[i*Channels+1] = x, x
	}
	return out
}

// steps returns the largest difference between neighbours, and the largest value.
func steps(pcm []float32) (step, peak float64) {
	for i := Channels; i < len(pcm); i++ {
		step = max(step, math.Abs(float64(pcm[i]-pcm[i-Channels])))
		peak = max(peak, math.Abs(float64(pcm[i])))
	}
	return step, peak
}

// run mixes n blocks, letting feed add to the mixer before each.
func run(m *Mixer, n int, feed func(at int64)) []float32 {
	var all []float32
	out := make([]float32, Block*Channels)
	for range n {
		feed(m.Position())
		m.Mix(out)
		all = append(all, out...)
	}
	return all
}

func TestSilenceIsMixedFromNobody(t *testing.T) {
	if _, peak := steps(run(New(), 10, func(int64) {})); peak != 0 {
		t.Errorf("peak %v", peak)
	}
}

func TestAVoiceComesOutWhereItBelongs(t *testing.T) {
	m := New()
	clap := make([]float32, Block*Channels)
	clap[300*Channels], clap[300*Channels+1] = 0.4, 0.4
	at := int64(5*Block + 17)
	m.Put("a", at, clap)
	all := run(m, 10, func(int64) {})
	where, best := 0, float32(0)
	for i := 0; i < len(all); i += Channels {
		if all[i] > best {
			where, best = i/Channels, all[i]
		}
	}
	if int64(where) != at+300+Delay {
		t.Errorf("the clap is at %d, not at %d", where, at+300+Delay)
	}
}

func TestSpeakersThatChangeMakeNoClick(t *testing.T) {
	m := New()
	calm, _ := steps(tone(440, 0.3, 0, Rate))
	all := run(m, 500, func(at int64) {
		// Each speaks for 330 ms, and begins and ends in the middle of a wave.
		if (at/Block)%33 < 17 {
			m.Put("a", at+123, tone(440, 0.15, at+123, Block))
		} else {
			m.Put("b", at+777, tone(440, 0.15, at+777+31, Block))
		}
	})
	step, peak := steps(all[100*Block*Channels:]) // when both are at their level
	if step > 2*calm {
		t.Errorf("neighbours differ by %.4f; within a tone by %.4f", step, calm)
	}
	if peak < 0.05 {
		t.Errorf("peak %v: nothing was heard", peak)
	}
}

func TestClocksThatDriftAreFollowedWithoutAHole(t *testing.T) {
	for _, ppm := range []float64{-200, 200} {
		m := New()
		sent := int64(0)
		calm, _ := steps(tone(300, 0.3, 0, Rate))
		all := run(m, 3000, func(at int64) { // a minute
			for {
				due := int64(float64(sent) * (1 + ppm/1e6))
				if due > at+4*Block {
					return
				}
				m.Put("a", due, tone(300, 0.1, sent, Block))
				sent += Block
			}
		})
		if s := m.Stats(); s.Missing > 0 || s.Late > 0 {
			t.Errorf("%v ppm: %+v", ppm, s)
		}
		if step, _ := steps(all[50*Block*Channels:]); step > 2*calm {
			t.Errorf("%v ppm: neighbours differ by %.4f; within a tone by %.4f", ppm, step, calm)
		}
	}
}

func TestLossIsSilenceWithoutAClick(t *testing.T) {
	m := New()
	r := rand.New(rand.NewPCG(3, 4))
	calm, _ := steps(tone(440, 0.3, 0, Rate))
	sent := int64(0)
	all := run(m, 500, func(at int64) {
		for ; sent <= at+4*Block; sent += Block {
			if r.IntN(10) > 0 {
				m.Put("a", sent, tone(440, 0.15, sent, Block))
			}
		}
	})
	if m.Stats().Missing == 0 {
		t.Error("nothing was missing")
	}
	if step, _ := steps(all); step > 2*calm {
		t.Errorf("neighbours differ by %.4f; within a tone by %.4f", step, calm)
	}
}

func TestEverybodyIsBroughtToTheSameLevel(t *testing.T) {
	for _, amplitude := range []float64{0.05, 0.15, 0.9} {
		m := New()
		all := run(m, 1000, func(at int64) { m.Put("a", at+Block, tone(440, amplitude, at, Block)) })
		if db := rms(all[900*Block*Channels:]); math.Abs(db-targetLevel) > 1 {
			t.Errorf("amplitude %v ends at %.1f dB, not at %.1f", amplitude, db, targetLevel)
		}
	}
}

func TestAPauseIsNotRaised(t *testing.T) {
	m := New()
	run(m, 500, func(at int64) { m.Put("a", at+Block, tone(440, 0.1, at, Block)) })
	before := m.Gain("a")
	run(m, 500, func(at int64) { m.Put("a", at+Block, tone(100, 0.001, at, Block)) })
	if after := m.Gain("a"); math.Abs(after-before) > 0.01 {
		t.Errorf("the gain went from %.2f to %.2f in a pause", before, after)
	}
}

func TestManyLoudVoicesAreNeverClipped(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	m := New()
	all := run(m, 300, func(at int64) {
		for _, id := range []string{"a", "b", "c", "d", "e", "f"} {
			if r.IntN(3) > 0 {
				m.Put(id, at, tone(200+float64(r.IntN(2000)), 0.99, at, Block))
			}
		}
	})
	step, peak := steps(all)
	if peak > ceiling+1e-6 {
		t.Errorf("peak %v is over %v", peak, ceiling)
	}
	if step > 0.6 {
		t.Errorf("neighbours differ by %v", step)
	}
}

func TestTheLimiterLeavesQuietSoundAlone(t *testing.T) {
	l := newLimiter()
	in := tone(440, 0.5, 0, 10*Block)
	out := make([]float32, len(in))
	l.process(out, in)
	for i := Delay * Channels; i < len(out); i++ {
		if out[i] != in[i-Delay*Channels] {
			t.Fatalf("sample %d: %v became %v", i, in[i-Delay*Channels], out[i])
		}
	}
}

func TestTheSameVoicesGiveTheSameSound(t *testing.T) {
	make := func() []float32 {
		m := New()
		return run(m, 50, func(at int64) {
			for i, id := range []string{"x", "b", "k", "a"} {
				m.Put(id, at, tone(float64(200+i*111), 0.3, at, Block))
			}
		})
	}
	a, b := make(), make()
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("sample %d: %v and %v", i, a[i], b[i])
		}
	}
}

func TestWhatComesFarTooLateOrEarlyIsLeftOut(t *testing.T) {
	m := New()
	run(m, 10, func(int64) {})
	m.Put("a", 0, tone(440, 0.3, 0, Block))
	if m.Stats().Late != Block {
		t.Errorf("%+v", m.Stats())
	}
	m.Put("a", m.Position(), tone(440, 0.3, 0, Block))
	m.Put("a", m.Position()+100*Rate, tone(440, 0.3, 0, Block))
	if m.Stats().Late != 2*Block {
		t.Errorf("%+v", m.Stats())
	}
}

func FuzzMixerKeepsBelowFullScale(f *testing.F) {
	f.Add(int64(0), int64(960), float32(1), uint16(960))
	f.Add(int64(-5), int64(100000), float32(-3), uint16(1))
	f.Fuzz(func(t *testing.T, a, b int64, x float32, n uint16) {
		if x != x || x > 1 || x < -1 {
			x = 1
		}
		m := New()
		pcm := make([]float32, int(n)*Channels)
		for i := range pcm {
			pcm[i] = x
		}
		out := make([]float32, Block*Channels)
		for i := range int64(6) {
			m.Put("a", a+i*int64(n), pcm)
			m.Put("b", b-i*int64(n), pcm)
			m.Mix(out)
			if _, peak := steps(out); peak > ceiling+1e-6 {
				t.Fatalf("peak %v", peak)
			}
		}
	})
}

// BenchmarkMix is one block of six voices.
func BenchmarkMix(b *testing.B) {
	m := New()
	pcm := tone(440, 0.3, 0, Block)
	out := make([]float32, Block*Channels)
	b.ReportAllocs()
	for b.Loop() {
		for _, id := range []string{"a", "b", "c", "d", "e", "f"} {
			m.Put(id, m.Position(), pcm)
		}
		m.Mix(out)
	}
}
