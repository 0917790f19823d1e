package hls

import "time"

// window follows a playlist that moves on. It decides only.
type window struct {
	began   bool
	next    uint64 // sequence number of the segment to fetch next
	changed time.Time
	end     uint64 // one behind the newest segment that was seen

	skipped uint64 // segments that left the playlist before they were fetched
}

const (
	// behindLive is how many segments a live playlist is entered from its end
	// (RFC 8216 6.3.3).
	behindLive = 3
	// slip is how far the newest number may run back without meaning anything: one
	// of several servers behind an address is always a little late.
	slip = 10
	// staleAfter is how many target durations a live playlist may stand still.
	staleAfter = 5
)

// take returns the segments of a playlist that are to be fetched now.
func (w *window) take(p *Playlist, now time.Time) []Segment {
	end := p.Sequence + uint64(len(p.Segments))
	switch {
	case !w.began:
		w.began, w.changed = true, now
		w.next = p.Sequence
		if live := uint64(len(p.Segments)); !p.Ended && live > behindLive {
			w.next = end - behindLive
		}
	case end+slip < w.end && len(p.Segments) > 0:
		// The numbers ran far back: the server began anew.
		w.next, w.changed = p.Sequence, now
		if len(p.Segments) > behindLive {
			w.next = end - behindLive
		}
		w.end = end
		return w.from(p, true)
	case end > w.end:
		w.changed = now
	}
	w.end = max(w.end, end)
	gap := w.next < p.Sequence
	if gap {
		w.skipped += p.Sequence - w.next
		w.next = p.Sequence
	}
	return w.from(p, gap)
}

// from returns the segments from the next one on, the first of them marked when it
// does not continue what was fetched before.
func (w *window) from(p *Playlist, gap bool) []Segment {
	at := w.next - p.Sequence
	if at >= uint64(len(p.Segments)) {
		return nil
	}
	list := append([]Segment(nil), p.Segments[at:]...)
	list[0].Discontinuity = list[0].Discontinuity || gap
	w.next += uint64(len(list))
	return list
}

// pause returns how long to wait before the playlist is loaded again (RFC 8216
// 6.3.4), and whether it stood still for too long.
func (w *window) pause(p *Playlist, fresh bool, now time.Time) (d time.Duration, stale bool) {
	d = p.Target
	if !fresh {
		d /= 2
	}
	return d, now.Sub(w.changed) > staleAfter*p.Target
}
