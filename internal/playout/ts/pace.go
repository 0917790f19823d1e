package ts

import "time"

const (
	// maxBehind bounds what is caught up with at once after a stall; receivers hold a
	// few hundred milliseconds at most.
	maxBehind = 200 * time.Millisecond
	packetNS  = packetSize * 8 * int64(time.Second)
)

// pacer says how many packets are due on the process's monotonic clock. What is not
// sent is kept to the last bit, so that nothing drifts. It is pure.
type pacer struct {
	rate   int64
	ppb    int64 // how much faster than nominal, in 1e-9
	last   int64 // nanoseconds
	credit int64 // bits times nanoseconds
}

// start begins at a moment.
func (p *pacer) start(now, rate int64) { *p = pacer{rate: rate, last: now, ppb: p.ppb} }

// due returns how many packets should have gone by now. A stall longer than maxBehind
// is not caught up with; its length is returned.
func (p *pacer) due(now int64) (packets int64, stalled time.Duration) {
	d := max(now-p.last, 0)
	p.last = now
	if d > int64(maxBehind) {
		stalled = time.Duration(d)
		d = 0
	}
	bits := d * p.rate
	p.credit += bits + bits/1_000_000_000*p.ppb
	return p.credit / packetNS, stalled
}

// sent takes packets off.
func (p *pacer) sent(n int64) { p.credit -= n * packetNS }

// until returns how long it takes until n packets are due.
func (p *pacer) until(n int64) time.Duration {
	return time.Duration(max(n*packetNS-p.credit, 0) / p.rate)
}

// follower keeps an output in step with its source's clock, which is not ours: the
// time that frames have left when they come is held where it was at first, by pacing
// a few millionths faster or slower. It is pure.
//
// The least of ten seconds is looked at, so that jitter does not matter. The gains
// are those of a loop that is critically damped with a time constant of an hour.
type follower struct {
	began  int64 // of the window; 0: not begun
	least  time.Duration
	target time.Duration // 0: the first window sets it
	sum    float64       // of the errors, in milliseconds times windows
	ppb    float64
}

const (
	followWindow = 10 * time.Second
	followP      = 500 // ppb for a millisecond
	followI      = 0.6 // ppb for a millisecond and window
	followMax    = 100_000
	followStep   = 2000 // ppb for a window: receivers follow slowly
)

// saw notes that a frame came with an amount of time left.
func (f *follower) saw(now int64, lead time.Duration) {
	if f.began == 0 {
		f.began, f.least = now, lead
	}
	f.least = min(f.least, lead)
}

// pace returns how much faster to go than nominal.
func (f *follower) pace(now int64) int64 {
	if f.began == 0 || now-f.began < int64(followWindow) {
		return int64(f.ppb)
	}
	f.began = 0
	if f.target == 0 {
		f.target = f.least
		return int64(f.ppb)
	}
	off := float64(f.least-f.target) / float64(time.Millisecond)
	off = min(max(off, -200), 200)
	f.sum = min(max(f.sum+off*followI, -followMax), followMax)
	want := min(max(off*followP+f.sum, -followMax), followMax)
	f.ppb += min(max(want-f.ppb, -followStep), followStep)
	return int64(f.ppb)
}

// anew is for when the clock was set anew: the next window sets the target.
func (f *follower) anew() { f.began, f.target = 0, 0 }
