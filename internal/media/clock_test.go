package media

import (
	"sync"
	"testing"
	"time"
)

const (
	ms     = int64(time.Millisecond)
	second = int64(time.Second)
)

func TestUnwrapperFollowsWrapsAndLatePackets(t *testing.T) {
	for _, c := range []struct {
		bits     uint
		in       []uint64
		want     []int64
		describe string
	}{
		{16, []uint64{65534, 65535, 0, 1, 65535, 2}, []int64{65534, 65535, 65536, 65537, 65535, 65538}, "sequence over the wrap, one late"},
		{16, []uint64{0, 65535, 1}, []int64{0, -1, 1}, "late before the first"},
		{16, []uint64{0, 32767, 65534, 32765}, []int64{0, 32767, 65534, 98301}, "strides of almost half a turn"},
		{32, []uint64{0xffffff00, 0x100}, []int64{0xffffff00, 0x100000100}, "RTP timestamp"},
		{33, []uint64{1<<33 - 1, 0, 1<<33 - 2}, []int64{1<<33 - 1, 1 << 33, 1<<33 - 2}, "PTS"},
	} {
		u := NewUnwrapper(c.bits)
		for i, v := range c.in {
			if got := u.Unwrap(v); got != c.want[i] {
				t.Errorf("%s: value %d is %d, want %d", c.describe, i, got, c.want[i])
			}
		}
	}
}

// ntp makes the NTP time of a moment in nanoseconds of the sender's clock.
func ntp(ns int64) uint64 {
	const base = 3_900_000_000
	return uint64(base+ns/second)<<32 | uint64(ns%second)<<32/uint64(second)
}

func TestRTPClockStartsAtArrivalAndFollowsTimestamps(t *testing.T) {
	c := NewRTPClock(90000)
	for _, s := range []struct {
		ts, arrival int64
		want        Time
	}{
		{5000, 7 * second, Time(7 * second)},
		{5000, 7*second + 3*ms, Time(7 * second)},              // same picture
		{8600, 7*second + 90*ms, Time(7*second + 40*ms)},       // jitter does not matter
		{12200, 7*second + 91*ms, Time(7*second + 80*ms)},      // burst
		{8600, 7*second + 95*ms, Time(7*second + 40*ms)},       // late
		{12200 + 270000, 10 * second, Time(10*second + 80*ms)}, // silence with time going on
	} {
		if got, jump := c.Time(s.ts, s.arrival); got != s.want || jump {
			t.Errorf("%d at %d: %d (jump %v), want %d", s.ts, s.arrival, got, jump, s.want)
		}
	}
}

func TestRTPClockGoesOnByArrivalWhenTheSourceJumps(t *testing.T) {
	for _, to := range []int64{1 << 40, -1 << 40, 3600} { // 3600: the sender was paused and its clock with it
		c := NewRTPClock(90000)
		c.Time(0, second)
		before, _ := c.Time(3600, second+40*ms)
		got, jump := c.Time(to+3600, 31*second+40*ms)
		if want := before + Time(30*second); !jump || got != want {
			t.Errorf("jump to %d: %d (jump %v), want %d", to, got, jump, want)
		}
		next, jump := c.Time(to+7200, 31*second+80*ms)
		if next != got+Time(40*ms) || jump {
			t.Errorf("after the jump to %d: %d", to, next)
		}
	}
}

// TestSenderReportsBringTracksTogether: the first picture came 300 ms late or early
// in relation to the sound; after reports both agree, and time never went back.
func TestSenderReportsBringTracksTogether(t *testing.T) {
	for _, late := range []int64{300 * ms, -300 * ms, 40 * ms, 900 * ms, 3 * second} {
		var session RTPSession
		sound, picture := session.Clock(48000), session.Clock(90000)
		// At the sender's time t, sound's timestamp is 48 t, the picture's 90 t (in ms).
		var lastPicture, lastSound, p Time
		last := int64(-1)
		for at := int64(0); at < 60_000; at += 20 {
			arrival := 100*second + at*ms
			s, _ := sound.Time(at*48, arrival)
			if at%40 == 0 {
				delay := int64(0)
				if at == 0 {
					delay = late // only its anchor is off
				}
				p, _ = picture.Time(at*90, arrival+delay)
				if at > 0 && p <= lastPicture {
					t.Fatalf("picture went back at %d ms: %d after %d", at, p, lastPicture)
				}
				lastPicture, last = p, at
			}
			if at > 0 && s <= lastSound {
				t.Fatalf("sound went back at %d ms", at)
			}
			lastSound = s
			if at%1000 == 500 {
				sound.SenderReport(uint32(at*48), ntp(at*ms), arrival)
				picture.SenderReport(uint32(at*90), ntp(at*ms), arrival)
			}
		}
		if off := lastPicture.Sub(Time(100*second + last*ms)); off.Abs() > time.Millisecond {
			t.Errorf("anchored %v off, a minute later still %v", time.Duration(late), off)
		}
	}
}

func TestSenderReportThatMakesNoSenseIsIgnored(t *testing.T) {
	c := NewRTPClock(90000)
	c.SenderReport(0, ntp(0), second) // before the first packet
	c.Time(0, second)
	c.SenderReport(0, 0, second)                      // no NTP time
	c.SenderReport(1<<31, ntp(second), 2*second)      // another timestamp base
	c.SenderReport(90000, ntp(second), 2*second)      // good: the reference
	c.SenderReport(180000, ntp(900*second), 3*second) // the wall clock was set
	for i := int64(1); i < 100; i++ {
		if got, _ := c.Time(i*3600, second+i*40*ms); got != Time(second+i*40*ms) {
			t.Fatalf("picture %d moved to %d", i, got)
		}
	}
}

func TestRTPClockTakesPacketsAndReportsFromTwoGoroutines(t *testing.T) {
	var session RTPSession
	a, b := session.Clock(90000), session.Clock(48000)
	var wg sync.WaitGroup
	for _, c := range []*RTPClock{a, b} {
		wg.Go(func() {
			for i := range int64(1000) {
				c.Time(i*900, i*10*ms)
			}
		})
		wg.Go(func() {
			for i := range int64(1000) {
				c.SenderReport(uint32(i*900), ntp(i*10*ms), i*10*ms)
			}
		})
	}
	wg.Wait()
}

func TestTimelineRunsThroughWrapsAndDiscontinuities(t *testing.T) {
	type step struct {
		ticks   uint64
		arrival int64
		want    Time
		epoch   int
	}
	const start = 10 * second
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"wrap of 33 bits", []step{
			{1<<33 - 3600, start, Time(start), 0},
			{0, start + 40*ms, Time(start + 40*ms), 0},
			{1<<33 - 1800, start + 41*ms, Time(start + 20*ms), 0}, // DTS behind PTS
			{3600, start + 80*ms, Time(start + 80*ms), 0}}},
		{"arrival in bursts does not matter", []step{
			{0, start, Time(start), 0}, {3600, start, Time(start + 40*ms), 0}, {7200, start + 900*ms, Time(start + 80*ms), 0}}},
		{"silence with the clock going on", []step{
			{0, start, Time(start), 0}, {30 * 90000, start + 30*second, Time(start + 30*second), 0}}},
		{"jump forward", []step{
			{0, start, Time(start), 0}, {5_000_000, start + 40*ms, Time(start + 40*ms), 1}, {5_003_600, start + 80*ms, Time(start + 80*ms), 1}}},
		{"jump back, as a file that loops", []step{
			{5_000_000, start, Time(start), 0}, {0, start + 40*ms, Time(start + 40*ms), 1}}},
		{"other track still on the old clock", []step{
			{5_000_000, start, Time(start), 0},
			{100, start + 40*ms, Time(start + 40*ms), 1},
			{5_001_800, start + 50*ms, Time(start + 20*ms), 0},
			{100 + 3600, start + 80*ms, Time(start + 80*ms), 1}}},
		{"old clock is forgotten after a while", []step{
			{50_000_000, start, Time(start), 0},
			{100, start + 40*ms, Time(start + 40*ms), 1},
			{100 + 5*90000, start + 5*second, Time(start + 5*second + 40*ms), 1},
			{50_000_000, start + 5*second + 40*ms, Time(start + 5*second + 80*ms), 2}}},
	} {
		var l Timeline
		for i, s := range c.steps {
			got, epoch := l.Time(s.ticks, s.arrival)
			if d := got.Sub(s.want).Abs(); d > 20*time.Microsecond || epoch != s.epoch {
				t.Errorf("%s, value %d: %d in epoch %d, want %d in %d", c.name, i, got, epoch, s.want, s.epoch)
			}
		}
	}
}

func TestTimelineGoesOnByArrivalAfterARestart(t *testing.T) {
	for _, ticks := range []uint64{0, 3600, 7200, 1 << 32} { // even where the clock would fit
		var l Timeline
		l.Restart() // before anything: nothing to do
		l.Time(0, second)
		before, _ := l.Time(3600, second+40*ms)
		l.Restart()
		got, epoch := l.Time(ticks, 31*second+40*ms)
		if d := got.Sub(before + Time(30*second)).Abs(); d > 20*time.Microsecond || epoch != 1 {
			t.Errorf("restart at %d: %d in epoch %d", ticks, got, epoch)
		}
		if l.Latest() != got {
			t.Errorf("latest %d", l.Latest())
		}
	}
}

func TestTimelineTimesConvertBackToTicks(t *testing.T) {
	var l Timeline
	first, _ := l.Time(7, 123456789)
	for i := int64(1); i < 200000; i++ {
		got, _ := l.Time(uint64(7+i*3003), 123456789+i*33366666)
		if d := got.Ticks(90000) - first.Ticks(90000); d != i*3003 {
			t.Fatalf("picture %d is %d ticks after the first", i, d)
		}
	}
}

func FuzzTimeline(f *testing.F) {
	f.Add(uint64(0), uint64(1<<33-1), uint64(5000000), int64(40000000))
	f.Fuzz(func(t *testing.T, a, b, c uint64, step int64) {
		if step < 0 || step > 100*second {
			return
		}
		var l Timeline
		last := -1
		for i, v := range []uint64{a, b, c, b, a, c} {
			got, epoch := l.Time(v, second+int64(i)*step)
			if epoch < last-1 || got > l.Latest() {
				t.Errorf("value %d: %d in epoch %d after %d", v, got, epoch, last)
			}
			last = max(last, epoch)
		}
	})
}

func FuzzUnwrapper(f *testing.F) {
	f.Add(uint8(16), uint64(65535), uint64(0))
	f.Fuzz(func(t *testing.T, bits uint8, a, b uint64) {
		n := uint(bits%62) + 1
		u := NewUnwrapper(n)
		x, y := u.Unwrap(a), u.Unwrap(b)
		mask := uint64(1)<<n - 1
		if uint64(x)&mask != a&mask || uint64(y)&mask != b&mask {
			t.Errorf("%d bits: %d, %d became %d, %d", n, a, b, x, y)
		}
		if d := y - x; d > 1<<(n-1) || d < -(1<<(n-1)) {
			t.Errorf("%d bits: a step of %d", n, d)
		}
	})
}
