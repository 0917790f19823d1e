package sfu

import (
	"slices"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// gatherFor is how long the packets of a picture wait for its last one. A picture
// is of no use to the viewer before it is whole, and handed out together its packets
// cost one message to the kernel for each viewer instead of one each. A sender that
// spreads a picture over more time is followed in steps of this length.
//
// Half of the viewers wait only half as long for the second packet of a picture, so
// that they and the others are sent to in turn: a step of a slow picture serves half
// of them, and the last one is served in half the time.
//
// A packet that comes in the last third of the time is waited for as the last: the
// next one would hardly come in what is left.
const gatherFor = 2700 * ms / 1000

// tap is one track as all viewers of a worker follow it.
type tap struct {
	w       *worker
	track   *stream.Track
	cursor  *stream.Cursor[media.Packet]
	halves  [2]half
	picture bool            // its packets are gathered
	fresh   []*media.Packet // read, and not yet handed out to both halves
	held    *media.Packet   // read already; packets before it were lost
	history []*media.Packet // of a derived track, which has no Lookup
}

// half is one half of a tap's feeds: those that are sent to together.
type half struct {
	feeds []*feed
	given int   // how many of the tap's fresh packets they have
	wait  int64 // how long the others wait, from the first of them
	due   int64 // when that is over; 0: nothing waits
}

// historySize is how many packets of a derived track are kept for retransmission:
// a quarter of a second at 1.2 Mbit/s is about 32.
const historySize = 256

// open returns the worker's tap of a track.
func (w *worker) open(track *stream.Track) (*tap, error) {
	if t := w.taps[track]; t != nil {
		return t, nil
	}
	t := &tap{w: w, track: track, picture: track.Kind() == media.Video, fresh: make([]*media.Packet, 0, passPackets)}
	from := stream.AtNext
	if track.Info().Form == stream.Frames {
		// The packets are derived from here on, and must begin with a picture.
		from = stream.AtSync
		t.history = make([]*media.Packet, historySize)
	}
	var err error
	if t.cursor, err = track.FollowPackets(w.reader, from); err != nil {
		return nil, err
	}
	w.taps[track] = t
	if track.Kind() == media.Audio {
		w.order = slices.Insert(w.order, 0, t)
	} else {
		w.order = append(w.order, t)
	}
	return t, nil
}

// pass hands out what is new, unless more of the same picture is awaited.
func (t *tap) pass(now int64) {
	for {
		if t.held != nil {
			for f := range t.feeds {
				f.gap, f.waits = true, true
			}
			t.read(t.held)
			t.held = nil
		}
		before := len(t.fresh)
		for len(t.fresh) < passPackets {
			p := t.cursor.Next()
			if p == nil {
				break
			}
			if t.cursor.Gap() {
				t.held = p
				break
			}
			t.read(p)
		}
		full := len(t.fresh) == passPackets
		at := 0 // whose packets have waited longest
		if t.halves[1].given < t.halves[0].given {
			at = 1
		}
		for _, h := range []*half{&t.halves[at], &t.halves[1-at]} {
			if full || t.held != nil || !t.gathers(h, now, len(t.fresh) > before) {
				t.give(h, now)
			}
		}
		t.forget()
		if t.held == nil {
			// What is left of a full pass comes after the other tracks' turn.
			if full {
				t.w.again()
			}
			return
		}
	}
}

func (t *tap) read(p *media.Packet) {
	t.fresh = append(t.fresh, p)
	if t.history != nil {
		t.history[uint64(p.Sequence)%historySize] = p
	}
}

// gathers reports whether what a half has not is to wait for the rest of its picture;
// news says that something of it has just come.
func (t *tap) gathers(h *half, now int64, news bool) bool {
	waiting := t.fresh[h.given:]
	if !t.picture || len(h.feeds) == 0 || len(waiting) == 0 || slices.ContainsFunc(waiting, isLast) {
		return false
	}
	if h.due == 0 {
		h.wait = gatherFor
		if h == &t.halves[1] && waiting[0].Start {
			h.wait = gatherFor / 2
		}
		h.due = now + h.wait
	}
	if news {
		return now < h.due-h.wait/3
	}
	return now < h.due
}

// isLast reports whether a packet ends its picture.
func isLast(p *media.Packet) bool { return p.Marker }

// give hands out to a half what it has not.
func (t *tap) give(h *half, now int64) {
	packets := t.fresh[h.given:]
	h.given, h.due = len(t.fresh), 0
	if len(packets) == 0 {
		return
	}
	for _, f := range h.feeds {
		f.slot.take(f, packets, now)
	}
}

// forget lets go of what both halves have.
func (t *tap) forget() {
	n := min(t.halves[0].given, t.halves[1].given)
	if n == 0 {
		return
	}
	left := copy(t.fresh, t.fresh[n:])
	clear(t.fresh[left:])
	t.fresh = t.fresh[:left]
	t.halves[0].given -= n
	t.halves[1].given -= n
}

// due is when something that waits is handed out at the latest; 0: nothing waits.
func (t *tap) due() int64 {
	a, b := t.halves[0].due, t.halves[1].due
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// feeds are those of both halves.
func (t *tap) feeds(yield func(*feed) bool) {
	for i := range t.halves {
		for _, f := range t.halves[i].feeds {
			if !yield(f) {
				return
			}
		}
	}
}

// first returns any of the feeds; nil when there is none.
func (t *tap) first() *feed {
	for f := range t.feeds {
		return f
	}
	return nil
}

// feed is a track being followed for a slot.
type feed struct {
	slot   *slot
	tap    *tap
	half   *half
	at     int // in half.feeds
	source stream.Name
	waits  bool  // for a sync point
	gap    bool  // packets were lost before the next one
	began  bool  // something of it was sent
	asked  int64 // when a key frame was last asked for
}

// join begins to follow, with the smaller half.
func (f *feed) join(t *tap) {
	h := &t.halves[0]
	if len(t.halves[1].feeds) < len(h.feeds) {
		h = &t.halves[1]
	}
	f.tap, f.half, f.at = t, h, len(h.feeds)
	h.feeds = append(h.feeds, f)
}

// position is how many items of the track lie before the next one that the feed gets.
func (f *feed) position() uint64 {
	return f.tap.cursor.Position() - uint64(len(f.tap.fresh)-f.half.given)
}

// leave ends following. The tap is closed by sweep.
func (f *feed) leave() {
	h := f.half
	last := h.feeds[len(h.feeds)-1]
	h.feeds[f.at], last.at = last, f.at
	h.feeds[len(h.feeds)-1] = nil
	h.feeds = h.feeds[:len(h.feeds)-1]
}
