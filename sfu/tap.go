package sfu

import (
	"slices"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// tap is one track as all viewers of a worker follow it.
type tap struct {
	w       *worker
	track   *stream.Track
	cursor  *stream.Cursor[media.Packet]
	feeds   []*feed
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
	t := &tap{w: w, track: track}
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

// pass hands out what is new.
func (t *tap) pass(now int64) {
	for {
		n := 0
		if t.held != nil {
			for _, f := range t.feeds {
				f.gap, f.waits = true, true
			}
			t.w.fresh[0], t.held, n = t.held, nil, 1
		}
		for n < passPackets {
			p := t.cursor.Next()
			if p == nil {
				break
			}
			if t.cursor.Gap() {
				t.held = p
				break
			}
			t.w.fresh[n] = p
			n++
		}
		t.give(t.w.fresh[:n], now)
		if t.held == nil {
			// What is left when n is passPackets comes after the other tracks' turn.
			if n == passPackets {
				t.w.again()
			}
			return
		}
	}
}

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
	clear(packets)
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
