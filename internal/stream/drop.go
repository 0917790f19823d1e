package stream

import "sync/atomic"

// DropReason names why media was not passed on. Nothing is dropped without one.
type DropReason uint8

// The reasons.
const (
	// DropReaderLagged: a reader fell off its ring and resumed at a sync point.
	DropReaderLagged DropReason = iota
	// DropSocketFull: the kernel would not take a datagram.
	DropSocketFull
	// DropWaitingForKeyFrame: a picture that nobody could have decoded.
	DropWaitingForKeyFrame
	// DropMuted: the source is muted in its meeting.
	DropMuted
	// DropDuplicate: a packet that was here already.
	DropDuplicate
	// DropMalformed: bytes that are not what their label says.
	DropMalformed
	// DropUnplayable: a frame in a codec that this output cannot carry.
	DropUnplayable
	// DropLate: a packet repaired after its time.
	DropLate
	dropReasons
)

var dropNames = [dropReasons]string{
	DropReaderLagged:       "reader_lagged",
	DropSocketFull:         "socket_full",
	DropWaitingForKeyFrame: "waiting_for_key_frame",
	DropMuted:              "muted",
	DropDuplicate:          "duplicate",
	DropMalformed:          "malformed",
	DropUnplayable:         "unplayable",
	DropLate:               "late",
}

// String returns the name used in metrics and logs.
func (d DropReason) String() string {
	if d < dropReasons {
		return dropNames[d]
	}
	return "unknown"
}

// Drops counts what was dropped, by reason. The zero value is ready; it is safe
// for concurrent use and must not be copied.
type Drops struct{ n [dropReasons]atomic.Uint64 }

// Add counts n drops for a reason.
func (d *Drops) Add(why DropReason, n uint64) {
	if why < dropReasons {
		d.n[why].Add(n)
	}
}

// Snapshot returns the counts that are not zero, by name.
func (d *Drops) Snapshot() map[string]uint64 {
	m := make(map[string]uint64)
	for i := range d.n {
		if n := d.n[i].Load(); n > 0 {
			m[dropNames[i]] = n
		}
	}
	return m
}
