package media

import "time"

// Time is a moment on the clock of one stream, in nanoseconds since an origin
// that the publisher chose. All tracks of a stream share it. It never wraps.
// A value made from ticks of 90 kHz or 48 kHz converts back to the same ticks.
type Time int64

// FromTicks converts ticks of a clock of rate hertz, rounding to the nearest nanosecond.
func FromTicks(ticks int64, rate int) Time {
	r := int64(rate)
	whole, rest := ticks/r, ticks%r
	half := r / 2
	if rest < 0 {
		half = -half
	}
	return Time(whole*int64(time.Second) + (rest*int64(time.Second)+half)/r)
}

// Ticks converts to ticks of a clock of rate hertz, rounding to the nearest.
func (t Time) Ticks(rate int) int64 {
	s := int64(time.Second)
	whole, rest := int64(t)/s, int64(t)%s
	half := s / 2
	if rest < 0 {
		half = -half
	}
	return whole*int64(rate) + (rest*int64(rate)+half)/s
}

// Add returns t moved by d.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Sub returns the distance from u to t.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// Clock is this process's monotonic clock. The zero value is not useful; see [NewClock].
// A Clock is immutable and safe for concurrent use.
type Clock struct{ start time.Time }

// NewClock returns a clock that starts at 1 ns now, so that 0 can mean "never".
func NewClock() Clock { return Clock{start: time.Now().Add(-1)} }

// Now returns nanoseconds since the clock's start.
func (c Clock) Now() int64 { return int64(time.Since(c.start)) }

// Wall returns the wall-clock time of a reading of this clock.
func (c Clock) Wall(ns int64) time.Time { return c.start.Add(time.Duration(ns)) }
