package recorder

import (
	"context"
	"fmt"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/playout/feed"
	"tongxiang/internal/playout/fmp4"
	"tongxiang/internal/stream"
)

const (
	// beat is how often a stream is looked at. Frames wait in their rings meanwhile:
	// to be woken by each of them costs more than to write it.
	beat = 100 * time.Millisecond
	// idleAfter is how long nothing may arrive before what is held is written.
	idleAfter = time.Second
	// maxSounds bounds the languages and commentaries of one recording.
	maxSounds = 4
)

// take follows one stream and writes its frames into files, one after another. It
// belongs to one goroutine, which calls run.
type take struct {
	clock  media.Clock
	hub    *stream.Hub
	name   stream.Name
	labels func(stream.Label) bool // nil: any
	cutoff int64                   // keep what arrived after this, and the sync point before; 0: from the newest sync point

	// begin makes the next file; it returns also the part's track for each that was
	// gathered. A part that is nil: not now.
	begin func(*gather) (*part, []int)
	// end closes a file into which what comes now does not fit.
	end func(*part)
	// look is called at every beat.
	look func(*feed.Feed)

	gather *gather // while it is not known what to write
	part   *part   // the file being written; nil: none
	lanes  []int   // track of the part for each track of the feed; -1: not written
	heard  int64   // when something came last
	idle   bool    // what was held is written
}

// run records until ctx ends.
func (t *take) run(ctx context.Context) {
	from := stream.AtSync
	if t.cutoff > 0 {
		from = stream.AtOldest
	}
	f := feed.Open(t.hub, t.name, feed.Options{Accept: recordable, Sounds: maxSounds, From: from, Labels: t.labels})
	defer f.Close()
	t.heard = t.clock.Now()
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for ctx.Err() == nil {
		for ev, ok := f.Poll(); ok; ev, ok = f.Poll() {
			if ev.Frame == nil {
				t.tracks(f.Tracks())
				continue
			}
			t.heard, t.idle = t.clock.Now(), false
			t.frame(ev)
		}
		if !t.idle && time.Duration(t.clock.Now()-t.heard) >= idleAfter {
			t.rest(f)
		}
		if t.gather != nil && t.gather.ready(t.clock.Now()) {
			t.open()
		}
		t.look(f)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	t.rest(f)
}

// rest writes what is held, because nothing has come for a while or it is the end.
func (t *take) rest(f *feed.Feed) {
	for ev, ok := f.Held(); ok; ev, ok = f.Held() {
		t.frame(ev)
	}
	t.idle = true
	if t.part != nil {
		t.part.pause()
	}
}

// recordable refuses what MP4 cannot carry.
func recordable(f media.Format) error {
	if !fmp4.Supported(f.Codec) {
		return fmt.Errorf("%s cannot be recorded in MP4", f.Codec)
	}
	return nil
}

// tracks takes a new choice of tracks over: into the same file when they fit.
func (t *take) tracks(now []feed.Track) {
	if t.part != nil {
		if lanes, ok := t.part.fit(now); ok {
			t.lanes = lanes
			return
		}
		p := t.part
		t.part = nil
		t.end(p)
	}
	t.gather = newGather(now, t.cutoff)
}

func (t *take) frame(ev feed.Event) {
	if t.part != nil {
		if lane := t.lanes[ev.Track]; lane >= 0 {
			t.part.push(lane, ev)
		}
		return
	}
	if t.gather == nil {
		return
	}
	t.gather.add(ev, t.clock.Now())
	// With pre-roll there is more in the rings: the file begins when that is seen.
	if t.cutoff < ev.Frame.Arrival && t.gather.ready(t.clock.Now()) {
		t.open()
	}
}

// open begins a file with what was gathered.
func (t *take) open() {
	p, lanes := t.begin(t.gather)
	if p == nil {
		return
	}
	g := t.gather
	t.gather, t.part, t.lanes, t.cutoff = nil, p, lanes, 0
	for _, ev := range g.events {
		if lane := lanes[ev.Track]; lane >= 0 {
			p.push(lane, ev)
		}
	}
}
