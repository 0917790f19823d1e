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
// A packet that comes in gatherRest, the end of that time, is waited for as the last:
// the next one would hardly come in what is left.
const (
	gatherFor  = 2700 * ms / 1000
	gatherRest = gatherFor / 4
)

// tap is one track as all viewers of a worker follow it.
type tap struct {
	w       *worker
	track   *stream.Track
	cursor  *stream.Cursor[media.Packet]
	feeds   []*feed
	picture bool            // its packets are gathered
	fresh   []*media.Packet // read, and not yet handed out
	due     int64           // when fresh is handed out at the latest; 0: nothing waits
	held    *media.Packet   // read already; packets before it were lost
	history []*media.Packet // of a derived track, which has no Lookup
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
			for _, f := range t.feeds {
				f.gap, f.waits = true, true
			}
			t.fresh, t.held = append(t.fresh, t.held), nil
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
			t.fresh = append(t.fresh, p)
		}
		if t.held == nil && t.gathers(now, len(t.fresh) > before) {
			return
		}
		full := len(t.fresh) == passPackets
		t.give(t.fresh, now)
		clear(t.fresh)
		t.fresh, t.due = t.fresh[:0], 0
		if t.held == nil {
			// What is left of a full pass comes after the other tracks' turn.
			if full {
				t.w.again()
			}
			return
		}
	}
}

// gathers reports whether what was read is to wait for the rest of its picture; news
// says that something of it has just come.
func (t *tap) gathers(now int64, news bool) bool {
	n := len(t.fresh)
	if !t.picture || n == 0 || n == passPackets || slices.ContainsFunc(t.fresh, isLast) {
		return false
	}
	if t.due == 0 {
		t.due = now + gatherFor
	}
	if news {
		return now < t.due-gatherRest
	}
	return now < t.due
}

// isLast reports whether a packet ends its picture.
func isLast(p *media.Packet) bool { return p.Marker }

// position is how many items of the track lie before the next one to be handed out.
func (t *tap) position() uint64 { return t.cursor.Position() - uint64(len(t.fresh)) }

func (t *tap) give(packets []*media.Packet, now int64) {
	if len(packets) == 0 {
		return
	}
	if t.history != nil {
		for _, p := range packets {
			t.history[uint64(p.Sequence)%historySize] = p
		}
	}
	for _, f := range t.feeds {
		f.slot.take(f, packets, now)
	}
}

// feed is a track being followed for a slot.
type feed struct {
	slot   *slot
	tap    *tap
	at     int // in tap.feeds
	source stream.Name
	waits  bool  // for a sync point
	gap    bool  // packets were lost before the next one
	began  bool  // something of it was sent
	asked  int64 // when a key frame was last asked for
}

// join begins to follow.
func (f *feed) join(t *tap) {
	f.tap, f.at = t, len(t.feeds)
	t.feeds = append(t.feeds, f)
}

// leave ends following. The tap is closed by sweep.
func (f *feed) leave() {
	t := f.tap
	last := t.feeds[len(t.feeds)-1]
	t.feeds[f.at], last.at = last, f.at
	t.feeds[len(t.feeds)-1] = nil
	t.feeds = t.feeds[:len(t.feeds)-1]
}
