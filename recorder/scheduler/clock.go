package scheduler

import "time"

// A clock on the wall is set now and then: by hand, by a server of time, by a machine
// that wakes. The scheduler compares it with the clock that nobody can set, and where
// they part it plans anew:
//
//   - What runs goes on. It ends when both clocks say that its time is over: set back,
//     it lasts until its time by the wall; set forward, for as long as was planned.
//   - What was recorded is not recorded again, though its time comes a second time.
//   - What the clock was set over is missed, with that as its reason.

// apart is how far the clocks may part unnoticed: what a server of time slews.
const apart = 2 * time.Second

// clock compares two clocks.
type clock struct {
	wall time.Time
	mono time.Duration
	told bool
}

// step returns by how much the clock on the wall was set since the last step; 0: it
// was not.
func (c *clock) step(wall time.Time, mono time.Duration) time.Duration {
	by := wall.Sub(c.wall) - (mono - c.mono)
	if c.told && by.Abs() <= apart {
		return 0 // the rest adds up: slow drift is noticed too
	}
	first := !c.told
	c.wall, c.mono, c.told = wall, mono, true
	if first {
		return 0
	}
	return by
}
