package hls

import (
	"fmt"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/playout/fmp4"
)

// What a window is made of. The delay behind the source is PART-HOLD-BACK plus a
// part and a picture.
const (
	// partTarget holds a whole number of pictures at 10, 15, 24, 25, 30, 50 and
	// 60 a second within 90 to 100 %, which is what players want.
	partTarget = 300 * time.Millisecond
	// slack is how far parts may run over when the leading track is silent.
	slack = 50 * time.Millisecond
	// minSegment: a segment ends at the first sync point after it; of sound only, after minSound.
	minSegment = time.Second
	minSound   = 2 * time.Second
	// maxSegment and maxSegmentBytes: a segment ends even without a sync point.
	maxSegment      = 10 * time.Second
	maxSegmentBytes = 32 << 20
	// keyFrameAfter: the source is asked for a sync point when a segment is this
	// long, and again after each further second. Browsers send none of themselves.
	keyFrameAfter = 2 * time.Second
	keyFrameAgain = time.Second
	// keepSegments and keepTime: what a playlist lists at least. lateSegments
	// are served a little longer to players that hold an older playlist.
	keepSegments = 6
	keepTime     = 8 * time.Second
	lateSegments = 4
	// pictureWait is how long sound waits for the first picture before it is
	// sent alone; the picture then joins at a discontinuity.
	pictureWait = 3 * time.Second
	// frameRound forgives a frame of rounding when parts are measured.
	frameRound = time.Millisecond
)

// muxer turns frames into a window of segments and parts. It does no I/O and is
// owned by one goroutine; the window is read by others under its owner's lock.
type muxer struct {
	win   window
	late  []*segment
	inits [][]byte // by number
	first uint64   // number of the first segment
	wall  func(arrival int64) time.Time

	lanes    []muxLane
	lead     int // the lane that paces: the picture, else the first sound; -1: none yet
	time     timeline
	waitFrom media.Time // first frame seen while waiting for pictures
	waiting  bool

	partStart, segmentStart media.Time // mapped
	sequence                uint32
	segmentBytes            int
	open                    *segment // nil: the next part begins a segment
	discontinuity           bool     // the next segment begins one
	asked                   media.Time
	bandwidth               int // of the largest segment so far, bit/s
}

// muxLane is one track of the session.
type muxLane struct {
	format  media.Format
	active  bool // in the current initialisation segment
	synced  bool // a sync point was seen since the last loss
	sampler *fmp4.Sampler
	run     fmp4.Run
}

func (l *muxLane) picture() bool { return l.format.Codec.Kind() == media.Video }

// newMuxer returns a muxer whose segments are numbered from first and whose file
// names begin with session.
func newMuxer(session string, first, epoch uint64, wall func(int64) time.Time) *muxer {
	return &muxer{
		win:   window{session: session, discontinuities: epoch},
		first: first, wall: wall, lead: -1,
	}
}

// tracks replaces the tracks. What was pushed so far stays in the window; what
// follows is behind a discontinuity.
func (m *muxer) tracks(formats []media.Format) {
	m.cut(m.time.end + m.time.step + m.time.offset)
	m.finish()
	m.lanes = make([]muxLane, len(formats))
	for i, f := range formats {
		m.lanes[i].format = f
	}
	m.lead, m.waiting = -1, false
}

// push adds a frame of a track; frames come in order of decode time. It reports
// whether a part was finished.
func (m *muxer) push(track int, f *media.Frame, lost bool) (news bool, err error) {
	l := &m.lanes[track]
	format, learned := fmp4.Learn(l.format, f)
	l.format = format
	if lost || f.Gap {
		l.synced = l.synced && !l.picture()
	}
	if !l.synced && !f.Sync {
		return false, nil
	}
	before := m.sequence
	if !l.active || learned {
		if ok, err := m.begin(track, f); !ok || err != nil {
			return m.sequence != before, err
		}
	}
	l.synced = true
	if track == m.lead && m.time.lead(f.DTS) {
		m.flush()
	}
	shift := m.time.shift(f.DTS)
	at := f.DTS + shift
	l.run.Samples = l.sampler.Push(l.run.Samples, f, shift)
	m.pace(l, track == m.lead, f, at)
	return m.sequence != before, nil
}

// begin starts a new initialisation segment when the tracks are known well
// enough; until then frames are not sent.
func (m *muxer) begin(track int, f *media.Frame) (ok bool, err error) {
	if !m.lanes[track].picture() && !m.anyActive() {
		if !m.waiting {
			m.waiting, m.waitFrom = true, f.DTS
		}
		for i := range m.lanes {
			if m.lanes[i].picture() && f.DTS.Sub(m.waitFrom) < pictureWait {
				return false, nil
			}
		}
	}
	var formats []media.Format
	var lanes []int
	for i := range m.lanes {
		l := &m.lanes[i]
		if i != track && !l.active && l.picture() || !fmp4.Ready(l.format) {
			continue // a picture joins with its own first frame
		}
		formats, lanes = append(formats, l.format), append(lanes, i)
	}
	if len(lanes) == 0 || !fmp4.Ready(m.lanes[track].format) {
		return false, nil
	}
	init, err := fmp4.Init(formats)
	if err != nil {
		return false, fmt.Errorf("describe tracks: %w", err)
	}
	m.flush()
	m.discontinuity = len(m.inits) > 0
	m.inits = append(m.inits, init)
	for i := range m.lanes {
		m.lanes[i].active = false
	}
	m.lead = lanes[0]
	for n, i := range lanes {
		l := &m.lanes[i]
		l.active, l.sampler = true, fmp4.NewSampler(l.format)
		l.run = fmp4.Run{Track: n + 1}
		if l.picture() {
			m.lead = i
		}
	}
	return true, nil
}

func (m *muxer) anyActive() bool {
	for i := range m.lanes {
		if m.lanes[i].active {
			return true
		}
	}
	return false
}

// pace ends the part, and the segment, when frame f at mapped time at does not belong to them.
func (m *muxer) pace(l *muxLane, lead bool, f *media.Frame, at media.Time) {
	if m.open == nil {
		if !lead {
			return
		}
		m.start(at, f.Arrival)
		return
	}
	whole, in := at.Sub(m.segmentStart), at.Sub(m.partStart)
	least := minSegment
	if !l.picture() {
		least = minSound
	}
	switch {
	case lead && f.Sync && whole >= least-frameRound, whole >= maxSegment, m.segmentBytes > maxSegmentBytes:
		m.cut(at)
		m.finish()
		m.start(at, f.Arrival)
	case lead && l.picture() && f.Sync && in > 0,
		lead && in+time.Duration(m.time.step) > partTarget+frameRound,
		in > partTarget+slack:
		m.cut(at)
	}
}

// start opens a segment at a mapped time.
func (m *muxer) start(at media.Time, arrival int64) {
	m.partStart, m.segmentStart, m.asked = at, at, at
	m.segmentBytes = 0
	m.open = &segment{
		number: m.first, init: len(m.inits) - 1,
		discontinuity: m.discontinuity, wall: m.wall(arrival),
	}
	m.discontinuity = false
}

// cut ends the part at a mapped time.
func (m *muxer) cut(at media.Time) {
	if m.open == nil {
		return
	}
	var runs []fmp4.Run
	size := 0
	independent := false
	for i := range m.lanes {
		l := &m.lanes[i]
		if !l.active || len(l.run.Samples) == 0 {
			continue
		}
		independent = independent || i == m.lead && l.run.Samples[0].Sync
		runs = append(runs, l.run)
		for j := range l.run.Samples {
			size += l.run.Samples[j].Size + 64
		}
	}
	if len(runs) == 0 || at <= m.partStart {
		return
	}
	m.sequence++
	p := part{
		duration: at.Sub(m.partStart), independent: independent,
		data: fmp4.AppendFragment(make([]byte, 0, size+512), m.sequence, runs),
	}
	for i := range m.lanes {
		m.lanes[i].run.Samples = m.lanes[i].run.Samples[:0]
	}
	if len(m.open.parts) == 0 {
		m.win.segments = append(m.win.segments, m.open)
		m.first++
	}
	m.open.parts = append(m.open.parts, p)
	m.win.longestPart = max(m.win.longestPart, p.duration)
	m.segmentBytes += len(p.data)
	m.partStart = at
}

// finish ends the open segment.
func (m *muxer) finish() {
	s := m.open
	m.open = nil
	if s == nil || len(s.parts) == 0 {
		return
	}
	s.complete = true
	d := s.duration()
	m.win.longestSegment = max(m.win.longestSegment, d)
	if d >= minSegment/2 {
		m.bandwidth = max(m.bandwidth, int(float64(8*m.segmentBytes)/d.Seconds()))
	}
	m.trim()
}

// flush ends everything that is open, because the next frame does not follow.
func (m *muxer) flush() {
	var end media.Time
	for i := range m.lanes {
		l := &m.lanes[i]
		if !l.active {
			continue
		}
		l.run.Samples = l.sampler.Flush(l.run.Samples)
		if n := len(l.run.Samples); n > 0 && (i == m.lead || end == 0) {
			s := &l.run.Samples[n-1]
			end = media.FromTicks(s.DTS+int64(s.Duration), l.sampler.Timescale())
		}
	}
	m.cut(end)
	m.finish()
}

// trim takes what is too old off the window.
func (m *muxer) trim() {
	var total time.Duration
	for _, s := range m.win.segments {
		total += s.duration()
	}
	for len(m.win.segments) > keepSegments {
		old := m.win.segments[0]
		if total -= old.duration(); total < keepTime {
			return
		}
		m.late = append(m.late, old)
		if len(m.late) > lateSegments {
			m.late = m.late[1:]
		}
		m.win.segments = m.win.segments[1:]
		if m.win.segments[0].discontinuity {
			m.win.discontinuities++
		}
	}
}

// find returns a segment that is listed or was until lately.
func (m *muxer) find(number uint64) *segment {
	for _, list := range [][]*segment{m.win.segments, m.late} {
		for _, s := range list {
			if s.number == number {
				return s
			}
		}
	}
	return nil
}

// wantKeyFrame reports, at most once a second, that the open segment is long for
// want of a sync point.
func (m *muxer) wantKeyFrame() bool {
	if m.open == nil || m.lead < 0 || !m.lanes[m.lead].picture() {
		return false
	}
	now := m.time.end + m.time.offset
	if now.Sub(m.segmentStart) < keyFrameAfter || now.Sub(m.asked) < keyFrameAgain {
		return false
	}
	m.asked = now
	return true
}

// described returns the formats of what is sent now.
func (m *muxer) described() []media.Format {
	var out []media.Format
	for i := range m.lanes {
		if m.lanes[i].active {
			out = append(out, m.lanes[i].format)
		}
	}
	return out
}
