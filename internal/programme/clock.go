package programme

import (
	"time"

	"tongxiang/internal/media"
)

const (
	// clockWindow is over how long the quickest packet is looked for, in parts.
	clockWindow = int64(time.Second)
	clockParts  = 4
	// clockRateLimit is how fast a source's clock is followed: 2 ms in a second. Real
	// clocks drift by a twentieth of that, and nobody hears or sees it.
	clockRateLimit = 500
	// clockStep is a difference that is no drift: the source began anew.
	clockStep = int64(time.Second)
	// clockLate is how late all of a window must be for the way to have become longer.
	// It is below what the mix waits for ([behind]): beyond that nothing of the source
	// would be heard, for the minutes in which its clock is followed there slowly.
	clockLate = behind - int64(100*time.Millisecond)
)

// sourceClock says how far one source's clock is from this process's. Sound and
// picture of a source share it, so that they stay together, whatever they share the
// programme with and however long a meeting lasts: two clocks that differ by 50
// millionths are 180 ms apart after an hour.
//
// The distance is that of the packet that was on its way for the shortest time
// within a few seconds, and it is followed slowly. It is pure; the zero value is ready.
type sourceClock struct {
	begun  bool
	offset int64 // what is to be added to the source's times
	parts  [clockParts]int64
	part   int
	since  int64 // beginning of the present part
	slewed int64 // when offset was moved last
}

// follow takes a packet's time and arrival.
func (c *sourceClock) follow(p *media.Packet) {
	if p.Repair {
		return
	}
	d := p.Arrival - int64(p.Time)
	if !c.begun || c.offset-d > clockStep { // nothing can be here before it was sent
		c.step(d, p.Arrival)
		return
	}
	if p.Arrival-c.since > clockWindow {
		c.part = (c.part + 1) % clockParts
		c.parts[c.part], c.since = d, p.Arrival
	}
	c.parts[c.part] = min(c.parts[c.part], d)
	target := c.parts[0]
	for _, x := range c.parts[1:] {
		target = min(target, x)
	}
	if target-c.offset > clockLate { // all of a window is late: that is no stall
		c.step(target, p.Arrival)
		return
	}
	if most := (p.Arrival - c.slewed) / clockRateLimit; most > 0 {
		c.offset += max(-most, min(most, target-c.offset))
		c.slewed = p.Arrival
	}
}

func (c *sourceClock) step(offset, now int64) {
	*c = sourceClock{begun: true, offset: offset, since: now, slewed: now}
	for i := range c.parts {
		c.parts[i] = offset
	}
}

// at returns a time of the source on this process's clock.
func (c *sourceClock) at(t media.Time) media.Time { return t + media.Time(c.offset) }
