package media

import (
	"sync"
	"time"
)

// Timeline maps the clock of an MPEG transport stream, 90 kHz in 33 bits (PTS, DTS,
// and PCR base, ISO/IEC 13818-1 2.4.2), to Time. All tracks of a programme share
// one, so that they stay together over wraps and discontinuities.
//
// The first value gets its arrival as Time. A value that differs from what the
// clock should show by more than [TimelineJump] begins a new epoch, in which Time
// goes on by arrival from the latest Time given. The tracks of a multiplex reach a
// discontinuity at different moments: for a while values near the former epoch's
// clock are still mapped by it.
//
// It is safe for concurrent use; the zero value is ready.
type Timeline struct {
	mu       sync.Mutex
	begun    bool
	restart  bool
	epoch    int
	now, old epoch
	oldUntil int64 // arrival until which old is still valid
	latest   Time  // highest Time given
	arrival  int64 // newest arrival
}

// epoch is a run of one clock. Times are counted from its beginning, so that
// roundings do not add up.
type epoch struct {
	zero    Time   // of the first value; whole ticks, so that values convert back
	newest  int64  // highest value, unwrapped, counted from the first
	ticks   uint64 // newest as the stream shows it, 33 bits
	arrival int64  // of newest
	valid   bool
}

const (
	// TimelineJump is how far a value may lie from the expected one. PTS run up
	// to a second ahead of PCR, and tracks of one programme apart from another
	// by a few; a real discontinuity is hours.
	TimelineJump = 10 * time.Second
	// epochOverlap is how long after a discontinuity other tracks may still
	// bring values of the former clock.
	epochOverlap = int64(3 * time.Second)
	// epochStep is the least that Time advances into a new epoch: a picture.
	epochStep = 40 * time.Millisecond

	clockBits = 33
	clockRate = 90000
)

// Time returns the Time of a 33-bit value that arrived at arrival (nanoseconds as
// in [Packet]). epoch counts the discontinuities so far as this value sees them: a
// track whose epoch changed marks its next frame as a Gap.
func (l *Timeline) Time(ticks uint64, arrival int64) (t Time, epoch int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ticks &= 1<<clockBits - 1
	switch {
	case !l.begun:
		l.begun = true
		l.open(ticks, Time(arrival), arrival)
	case l.restart:
		l.restart = false
		l.epoch++
		l.old.valid = false
		l.open(ticks, l.resume(arrival), arrival)
	case l.now.near(ticks, arrival):
	case l.old.valid && arrival < l.oldUntil && l.old.near(ticks, arrival):
		return l.given(l.old.take(ticks, arrival), arrival), l.epoch - 1
	default:
		l.epoch++
		l.old, l.oldUntil = l.now, arrival+epochOverlap
		l.open(ticks, l.resume(arrival), arrival)
	}
	return l.given(l.now.take(ticks, arrival), arrival), l.epoch
}

// Restart says that the source was lost and begins anew: whatever its clock shows
// next, a new epoch begins and Time goes on by that value's arrival.
func (l *Timeline) Restart() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.restart = l.begun
}

// Latest returns the highest Time given; 0 before the first.
func (l *Timeline) Latest() Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.latest
}

func (l *Timeline) open(ticks uint64, t Time, arrival int64) {
	l.now = epoch{zero: wholeTicks(t, clockRate), ticks: ticks, arrival: arrival, valid: true}
}

// resume returns the Time at which a new epoch begins.
func (l *Timeline) resume(arrival int64) Time {
	return l.latest.Add(max(time.Duration(arrival-l.arrival), epochStep))
}

func (l *Timeline) given(t Time, arrival int64) Time {
	l.latest = max(l.latest, t)
	l.arrival = max(l.arrival, arrival)
	return t
}

// near reports whether a value belongs to this run: within the limit of its newest
// value, or of what its clock would show at arrival (a source that was silent).
func (e *epoch) near(ticks uint64, arrival int64) bool {
	d := time.Duration(FromTicks(signed(ticks-e.ticks, clockBits), clockRate))
	elapsed := time.Duration(max(arrival-e.arrival, 0))
	return d.Abs() <= TimelineJump || (d-elapsed).Abs() <= TimelineJump
}

// take maps a value and follows the clock.
func (e *epoch) take(ticks uint64, arrival int64) Time {
	d := signed(ticks-e.ticks, clockBits)
	value := e.newest + d
	if d > 0 {
		e.newest, e.ticks, e.arrival = value, ticks, arrival
	}
	return e.zero + FromTicks(value, clockRate)
}

// wholeTicks rounds a Time to ticks of rate, so that what is counted from it
// converts back to the same number of ticks.
func wholeTicks(t Time, rate int) Time { return FromTicks(t.Ticks(rate), rate) }
