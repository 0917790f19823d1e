package ts

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestPacingNeitherDriftsNorLosesABit(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, rate := range []int64{MinRate, 3_333_333, 38_014_706, MaxRate} {
		p := pacer{}
		now := int64(12345)
		p.start(now, rate)
		begin, sent := now, int64(0)
		for range 20_000 {
			now += r.Int64N(int64(20 * time.Millisecond))
			n, stalled := p.due(now)
			if stalled != 0 {
				t.Fatalf("stalled %v", stalled)
			}
			n -= n % 7 // whole datagrams
			p.sent(n)
			sent += n
		}
		ideal := float64(now-begin) * float64(rate) / float64(packetNS)
		if off := ideal - float64(sent); off < 0 || off > 8 {
			t.Errorf("%d bit/s: %.1f packets behind the ideal", rate, off)
		}
	}
}

func TestAStallIsCaughtUpWithinABound(t *testing.T) {
	p := pacer{}
	p.start(0, 8_000_000)
	n, stalled := p.due(int64(maxBehind))
	if want := int64(maxBehind) * 8_000_000 / packetNS; n != want || stalled != 0 {
		t.Errorf("%d packets after a short stall, want %d", n, want)
	}
	p.sent(n)
	if n, stalled := p.due(int64(time.Minute)); n > 1 || stalled < 59*time.Second {
		t.Errorf("%d packets after a minute, stalled %v", n, stalled)
	}
}

// TestASourceWithAnotherCrystalIsFollowed runs two days against sources that are off
// by what crystals are off.
func TestASourceWithAnotherCrystalIsFollowed(t *testing.T) {
	for _, ppm := range []float64{-40, -5, 0, 20, 40} {
		r := rand.New(rand.NewPCG(2, 2))
		f := follower{}
		lead := 580 * float64(time.Millisecond) // without jitter
		least, most := lead, lead
		for s := 0; s < 2*86400; s++ {
			now := int64(s) * int64(time.Second)
			// A source that is fast brings frames ever earlier; so does our being slow.
			lead += (ppm*1000 - float64(f.pace(now))) // ns in a second: 1 ppb is 1 ns
			least, most = min(least, lead), max(most, lead)
			f.saw(now+1, time.Duration(lead)-time.Duration(r.Int64N(int64(2*time.Millisecond))))
			f.saw(now+1, time.Duration(lead)-time.Duration(r.Int64N(int64(30*time.Millisecond)))+30*time.Millisecond)
		}
		if spread := time.Duration(most - least); spread > 120*time.Millisecond {
			t.Errorf("%v ppm: the delay wandered by %v", ppm, spread)
		}
		if off := time.Duration(lead) - 580*time.Millisecond; off.Abs() > 5*time.Millisecond {
			t.Errorf("%v ppm: after two days the delay is off by %v", ppm, off)
		}
		if ppb := f.ppb - ppm*1000; ppb > 2000 || ppb < -2000 {
			t.Errorf("%v ppm: paced at %v ppb", ppm, f.ppb)
		}
	}
}
