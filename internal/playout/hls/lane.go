package hls

import (
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/playout/fmp4"
)

// lane is one track of the session.
type lane struct {
	label  string // the track's
	format media.Format
	out    int  // of which output it is part
	active bool // in the current initialisation segment
	synced bool // a start was seen since the last loss

	sampler *fmp4.Sampler
	run     fmp4.Run

	// leading is set while pictures that are shown before begin may come: they
	// refer to what lies before the start and cannot be decoded.
	leading bool
	begin   media.Time
	instant media.Time // DTS of the newest IDR; 0: none yet
	passed  int        // starts that were no IDR before the first one
}

func (l *lane) picture() bool { return l.format.Codec.Kind() == media.Video }

const (
	// instantPatience: in a stream that has IDRs nothing else is a start, unless none
	// came for this long. A player's decoder can begin at one without complaint.
	instantPatience = maxSegment
	// passedAtMost: how many recovery points are passed over in the hope of an IDR
	// when nothing is known of the stream yet.
	passedAtMost = 2
)

// starts reports whether a player may begin at a frame.
func (l *lane) starts(f *media.Frame) bool {
	switch {
	case !f.Sync || !l.picture() || l.format.Codec != media.H264:
		return f.Sync
	case f.IDR:
		l.instant = f.DTS
		return true
	case l.format.NoIDR:
		return true
	case l.instant != 0:
		return f.DTS.Sub(l.instant) > instantPatience || f.DTS < l.instant
	}
	l.passed++
	return l.passed > passedAtMost
}

// decodable reports whether a frame can be decoded by who begins where the lane did.
func (l *lane) decodable(f *media.Frame, start, fresh bool) bool {
	switch {
	case !l.picture():
		return true
	case fresh && start:
		l.leading, l.begin = !f.IDR && l.format.Codec != media.VP8, f.PTS
	case l.leading && f.DTS >= l.begin:
		l.leading = false // what comes from here on is shown after the start
	}
	return !l.leading || f.PTS >= l.begin
}

// output is one media playlist: the picture, with its sound or alone, or one of
// several sounds. Its window is read by others under the session's lock.
type output struct {
	name    string // the playlist's: live, video, audio, audio2 …
	lanes   []int
	win     window
	late    []*segment
	inits   [][]byte       // by number
	formats []media.Format // of the newest initialisation segment, in its order; they stay while the source is away

	open          *segment   // nil: the next part begins a segment
	first         uint64     // number of the next segment
	partStart     media.Time // mapped
	segmentStart  media.Time
	bytes         int    // of the open segment
	sequence      uint32 // of the next fragment
	discontinuity bool   // the next segment begins one
	peak          int    // bit/s of the largest segment so far
}

// cut ends the part at a mapped time. What one output has nothing of goes on into
// its next part. It reports whether there is a new one.
func (o *output) cut(lanes []lane, at media.Time, lead int) bool {
	if o.open == nil || at <= o.partStart {
		return false
	}
	var runs []fmp4.Run
	size := 0
	independent := true // of sound alone every part is
	for _, i := range o.lanes {
		l := &lanes[i]
		if l.active && l.picture() {
			independent = false
		}
	}
	for _, i := range o.lanes {
		l := &lanes[i]
		if !l.active || len(l.run.Samples) == 0 {
			continue
		}
		independent = independent || i == lead && l.run.Samples[0].Sync
		runs = append(runs, l.run)
		for j := range l.run.Samples {
			size += l.run.Samples[j].Size + 64
		}
	}
	if len(runs) == 0 {
		return false
	}
	o.sequence++
	p := part{
		duration: at.Sub(o.partStart), independent: independent,
		data: fmp4.AppendFragment(make([]byte, 0, size+512), o.sequence, runs),
	}
	for _, i := range o.lanes {
		lanes[i].run.Samples = lanes[i].run.Samples[:0]
	}
	if len(o.open.parts) == 0 {
		o.win.segments = append(o.win.segments, o.open)
		o.first++
	}
	o.open.parts = append(o.open.parts, p)
	o.win.longestPart = max(o.win.longestPart, p.duration)
	o.bytes += len(p.data)
	o.partStart = at
	return true
}

// start opens a segment at a mapped time. serial is the same for all outputs.
func (o *output) start(at media.Time, serial uint64, wall time.Time) {
	o.partStart, o.segmentStart = at, at
	o.bytes = 0
	o.open = &segment{number: o.first, serial: serial, init: len(o.inits) - 1, discontinuity: o.discontinuity, wall: wall}
	o.discontinuity = false
}

// finish ends the open segment.
func (o *output) finish() {
	s := o.open
	o.open = nil
	if s == nil {
		return
	}
	if len(s.parts) == 0 {
		o.discontinuity = o.discontinuity || s.discontinuity
		return
	}
	s.complete = true
	d := s.duration()
	o.win.longestSegment = max(o.win.longestSegment, d)
	if d >= minSegment/2 {
		o.peak = max(o.peak, int(float64(8*o.bytes)/d.Seconds()))
	}
	o.trim()
}

// trim takes what is too old off the window.
func (o *output) trim() {
	var total time.Duration
	for _, s := range o.win.segments {
		total += s.duration()
	}
	for len(o.win.segments) > keepSegments {
		old := o.win.segments[0]
		if total -= old.duration(); total < keepTime {
			return
		}
		o.late = append(o.late, old)
		if len(o.late) > lateSegments {
			o.late = o.late[1:]
		}
		o.win.segments = o.win.segments[1:]
		if o.win.segments[0].discontinuity {
			o.win.discontinuities++
		}
		for i := range o.late[0].init {
			o.inits[i] = nil // nobody needs it any more
		}
	}
}

// find returns a segment that is listed or was until lately.
func (o *output) find(number uint64) *segment {
	for _, list := range [][]*segment{o.win.segments, o.late} {
		for _, s := range list {
			if s.number == number {
				return s
			}
		}
	}
	return nil
}

// average returns the bits a second of what the window lists, 0 when it is empty.
func (o *output) average() int {
	bytes, d := 0, time.Duration(0)
	for _, s := range o.win.segments {
		for i := range s.parts {
			bytes += len(s.parts[i].data)
			d += s.parts[i].duration
		}
	}
	if d <= 0 {
		return 0
	}
	return int(float64(8*bytes) / d.Seconds())
}
