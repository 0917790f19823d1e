package media

import (
	"sync"
	"time"
)

// RTPSession is what the tracks of one RTP publisher share: the sender's wall
// clock, which its sender reports relate to each track's timestamps. Through it,
// sound and picture get the same Time for what happened together.
//
// It is safe for concurrent use; the zero value is ready.
type RTPSession struct {
	mu     sync.Mutex
	known  bool
	offset int64 // Time minus the sender's NTP clock, in nanoseconds
}

// Clock returns the clock of one track, whose timestamps count rate hertz.
func (s *RTPSession) Clock(rate int) *RTPClock {
	if rate <= 0 {
		panic("media: RTP clock without rate")
	}
	return &RTPClock{session: s, rate: rate}
}

// NewRTPClock returns the clock of a publisher's only track.
func NewRTPClock(rate int) *RTPClock { return new(RTPSession).Clock(rate) }

// RTPClock maps the unwrapped RTP timestamps of one track to Time. It does no I/O
// and asks no clock: arrivals are given, in nanoseconds as in [Packet].
//
// The first packet gets its arrival as Time. From then on timestamps alone decide,
// until a sender report says where the track lies in relation to the others of its
// [RTPSession]. The first track to get a report keeps its times and is the
// reference; the others are moved towards it, never by a jump back: the correction
// is spread over the media that follow, 2 % of their time, 20 % while it is over
// half a second. More than two seconds ahead is stepped at once.
//
// When timestamps jump against arrival by more than [JumpLimit], the source began
// anew: Time goes on by arrival, and reports count again from the next one.
//
// Packets and reports may come from two goroutines.
type RTPClock struct {
	session *RTPSession
	rate    int

	mu      sync.Mutex
	begun   bool
	anchor  int64 // timestamp of zero
	zero    Time  // Time of anchor, without shift
	shift   time.Duration
	pending time.Duration // correction still to be applied to shift
	newest  int64         // highest timestamp seen
	arrival int64         // of newest
}

// JumpLimit is how far media time may run apart from arrival before it counts as a
// new beginning. Real jitter and stalls of a satellite link stay below.
const JumpLimit = 5 * time.Second

const (
	slewSlow  = 50 // 1/50 of media time
	slewFast  = 5
	slewLarge = 500 * time.Millisecond
	stepAhead = 2 * time.Second
)

// Time returns the Time of an unwrapped timestamp. Equal timestamps get equal Times
// as long as they come one after the other; later timestamps get later Times. jump
// says that the source began anew at this packet.
func (c *RTPClock) Time(timestamp, arrival int64) (t Time, jump bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.begun {
		c.begun = true
		c.anchor, c.zero = timestamp, wholeTicks(Time(arrival), c.rate)
		c.newest, c.arrival = timestamp, arrival
		return c.zero, false
	}
	ahead := time.Duration(FromTicks(timestamp-c.newest, c.rate))
	if off := ahead - time.Duration(arrival-c.arrival); off > JumpLimit || off < -JumpLimit {
		next := c.at(c.newest).Add(max(time.Duration(arrival-c.arrival), time.Millisecond))
		c.anchor, c.zero = timestamp, wholeTicks(next, c.rate)
		c.shift, c.pending = 0, 0
		c.newest, c.arrival = timestamp, arrival
		return c.zero, true
	}
	if ahead > 0 {
		c.slew(ahead)
		c.newest, c.arrival = timestamp, arrival
	}
	return c.at(timestamp), false
}

func (c *RTPClock) at(timestamp int64) Time {
	return c.zero.Add(c.shift) + FromTicks(timestamp-c.anchor, c.rate)
}

// slew applies what is allowed of the pending correction over an advance of media time.
func (c *RTPClock) slew(ahead time.Duration) {
	if c.pending == 0 {
		return
	}
	most := ahead / slewSlow
	if c.pending > slewLarge || c.pending < -slewLarge {
		most = ahead / slewFast
	}
	d := max(min(c.pending, most), -most)
	if c.pending > stepAhead {
		d = c.pending
	}
	c.shift += d
	c.pending -= d
}

// SenderReport takes a report: the sender's NTP clock (32.32 seconds since 1900, RFC
// 3550 4) showed ntp when its RTP timestamp was rtp (as in the packet, 32 bits).
// arrival is when the report reached us. Reports before the first packet, without
// NTP time, or more than a minute off the track's timestamps are ignored.
func (c *RTPClock) SenderReport(rtp uint32, ntp uint64, arrival int64) {
	if ntp == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.begun {
		return
	}
	// The track's timestamps are unwrapped: find the turn that the report means.
	ticks := c.newest + signed(uint64(rtp)-uint64(c.newest), 32)
	expected := time.Duration(arrival - c.arrival)
	if off := time.Duration(FromTicks(ticks-c.newest, c.rate)) - expected; off > time.Minute || off < -time.Minute {
		return
	}
	sent := ntpNanoseconds(ntp)
	now := int64(c.at(ticks))

	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	if !c.session.known {
		c.session.known, c.session.offset = true, now-sent
		return
	}
	off := time.Duration(sent + c.session.offset - now)
	if off > time.Minute || off < -time.Minute {
		// The sender's wall clock was set, or began anew: it is the reference
		// no more, this track is.
		c.session.offset = now - sent
		c.pending = 0
		return
	}
	c.pending = off
}

// ntpNanoseconds converts NTP time to nanoseconds since 1900, which take 62 bits.
func ntpNanoseconds(ntp uint64) int64 {
	seconds, fraction := int64(ntp>>32), ntp&0xffffffff
	return seconds*int64(time.Second) + int64((fraction*uint64(time.Second))>>32)
}
