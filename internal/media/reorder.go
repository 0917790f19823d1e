package media

import "time"

// How long a depacketizer waits for a missing packet: whichever comes first. Half
// a second is more than two retransmissions over a satellite hop.
const (
	reorderPackets = 256
	reorderTime    = int64(500 * time.Millisecond)
)

// reorder puts packets that arrive late, repaired or twice back in order of
// Sequence. It is bounded by [reorderPackets] and [reorderTime].
type reorder struct {
	slots [reorderPackets]*Packet // by Sequence
	begun bool
	next  int64 // sequence to give out next
	held  int
	since int64 // arrival of the earliest packet held
	stale int   // packets in a row that were too old
	lost  bool  // sequence numbers were given up since the last packet given out
}

// staleRun is how many packets in a row must be too old before we believe that the
// source began anew with lower numbers. Probes repeat old packets, but in between
// new ones.
const staleRun = 64

// push takes a packet and calls give for each that is now in order, lost saying
// that packets before it are missing.
func (r *reorder) push(p *Packet, give func(p *Packet, lost bool)) {
	if !r.begun {
		r.begun, r.next = true, p.Sequence
	}
	if p.Sequence < r.next {
		if r.stale++; r.stale < staleRun {
			return
		}
		r.drain(give)
		r.next, r.lost = p.Sequence, true
	}
	r.stale = 0
	// Make room: give up what is missing in front until p fits the window. A
	// number far ahead empties the window and starts there.
	for p.Sequence-r.next >= reorderPackets {
		if r.held == 0 {
			r.next, r.lost = p.Sequence, true
			break
		}
		r.skip(give)
	}
	slot := &r.slots[p.Sequence&(reorderPackets-1)]
	if *slot != nil {
		return // twice
	}
	*slot = p
	if r.held == 0 || p.Arrival < r.since {
		r.since = p.Arrival
	}
	r.held++
	r.run(give)
	for r.held > 0 && p.Arrival-r.since >= reorderTime {
		r.skip(give)
	}
}

// run gives out what is in order.
func (r *reorder) run(give func(*Packet, bool)) {
	gave := false
	for {
		slot := &r.slots[r.next&(reorderPackets-1)]
		p := *slot
		if p == nil {
			break
		}
		*slot = nil
		r.held--
		r.next++
		give(p, r.lost)
		r.lost, gave = false, true
	}
	if gave && r.held > 0 {
		r.since = 0
		for _, p := range r.slots {
			if p != nil && (r.since == 0 || p.Arrival < r.since) {
				r.since = p.Arrival
			}
		}
	}
}

// skip gives up the missing packets in front of the first one held.
func (r *reorder) skip(give func(*Packet, bool)) {
	for r.held > 0 && r.slots[r.next&(reorderPackets-1)] == nil {
		r.next++
		r.lost = true
	}
	r.run(give)
}

// drain gives out everything held.
func (r *reorder) drain(give func(*Packet, bool)) {
	for r.held > 0 {
		r.skip(give)
	}
}
