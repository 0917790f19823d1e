// Package ts sends streams of the hub as MPEG transport streams: at a constant bit
// rate over UDP or RTP to modulators and multicast receivers, and at their own rate
// over HTTP to players and set-top boxes.
//
//	hub ─> feed (frames in decode order) ─> CBR ─> pacer ─> socket      one Output each
//	                                     └> VBR ─> ring of chunks ─> readers (HTTP)
//
// The multiplexers are pure: frames and tracks go in, packets come out, and the
// time of a packet is its place. [CBR] keeps ISO/IEC 13818-1's timing (PCR, the
// system target decoder) and ETSI TR 101 290's and TS 101 211's intervals of tables.
//
// Goroutines: one for each [Output], started and ended by [Outputs]; one for each
// stream that is read over HTTP, started and ended by [Server].
package ts

import (
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
)

const packetSize = mpegts.PacketSize

// stc is a moment or a distance on the system time clock, in ticks of 27 MHz
// (ISO/IEC 13818-1 2.4.2.1), not wrapped.
type stc int64

const (
	stcRate   = 27_000_000
	stcMilli  = stcRate / 1000
	stcTick90 = stcRate / mpegts.Ticks // 300: ticks of the clock in one of PTS and DTS

	// wrap90 is where PTS, DTS and the base of PCR begin anew: 33 bits.
	wrap90 = 1 << 33
)

// duration converts to time.
func (s stc) duration() time.Duration { return time.Duration(media.FromTicks(int64(s), stcRate)) }

// stcOf converts from time, to the nearest tick.
func stcOf(d time.Duration) stc { return stc(media.Time(d).Ticks(stcRate)) }

// Reason names why something was not sent.
type Reason uint8

// The reasons.
const (
	// Overload: the stream needs more than the output's bit rate.
	Overload Reason = iota
	// Late: it came after the moment at which it should have been decoded.
	Late
	// QueueFull: more waits than a second ahead can explain.
	QueueFull
	// NoKeyFrame: a picture that nobody could decode, because one before it is missing.
	NoKeyFrame
	// Discontinuity: it belonged to a clock that has been replaced.
	Discontinuity
	// Malformed: no bytes, too many, or not what its format says.
	Malformed
	// OutOfOrder: its time is not after that of the one before it.
	OutOfOrder
	reasons
)

// String returns the name used in metrics and in the API.
func (r Reason) String() string {
	names := [reasons]string{"overload", "late", "queue_full", "no_key_frame", "discontinuity", "malformed", "out_of_order"}
	if r < reasons {
		return names[r]
	}
	return "unknown"
}

// Drops counts frames that were not sent, by reason. It belongs to its multiplexer's goroutine.
type Drops [reasons]uint64

// Total returns the sum.
func (d *Drops) Total() (n uint64) {
	for _, v := range d {
		n += v
	}
	return n
}
