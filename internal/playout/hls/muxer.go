package hls

import (
	"bytes"
	"fmt"
	"slices"
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
	// minSegment: a segment ends at the first start after it; of sound only, after minSound.
	minSegment = time.Second
	minSound   = 2 * time.Second
	// maxSegment and maxSegmentBytes: a segment ends even without a start.
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

// track is what the muxer is told about a track.
type track struct {
	label  string
	format media.Format
}

// muxer turns frames into windows of segments and parts, one for each output, all
// cut at the same moments. It does no I/O and is owned by one goroutine; the windows
// are read by others under its owner's lock.
type muxer struct {
	session string
	first   uint64 // number of the first segments
	epoch   uint64 // discontinuity number of the first segments
	wall    func(arrival int64) time.Time

	outs     []*output // the picture's, or the only one, first
	lanes    []lane
	lead     int // the lane that paces: the picture, else the first sound; -1: none yet
	time     follower
	waitFrom media.Time // first frame seen while waiting for pictures
	waiting  bool
	asked    media.Time
	serial   uint64 // counts segments over all outputs
	news     uint64 // counts parts
	laidOut  layout
}

// newMuxer returns a muxer whose segments are numbered from first and whose file
// names begin with session.
func newMuxer(session string, first, epoch uint64, line *timeline, wall func(int64) time.Time) *muxer {
	return &muxer{session: session, first: first, epoch: epoch, wall: wall, lead: -1, time: follower{line: line}}
}

// layout is which playlists there are: one that has everything, or one for the
// picture and one for each sound. Players do not follow a change of it.
type layout string

// The names of playlists. That of a sound is its label.
const (
	wholeName = "live"
	videoName = "video"
)

// layoutOf returns the layout of tracks: sounds stand apart when there is a choice.
func layoutOf(tracks []track) layout {
	picture := false
	text := videoName
	count := 0
	for _, t := range tracks {
		if t.format.Codec.Kind() == media.Video {
			picture = true
			continue
		}
		count++
		text += " " + t.label + ":" + t.format.Language
	}
	if picture && count > 1 {
		return layout(text)
	}
	return wholeName
}

// tracks replaces the tracks. What was pushed so far stays in the windows; what
// follows has a new initialisation segment. ok is false when the layout is another
// and players have seen the former: then the session is to end.
func (m *muxer) tracks(tracks []track) (ok bool) {
	if m.time.begun {
		m.flush()
	}
	m.lead, m.waiting = -1, false
	if len(tracks) == 0 { // the source is away
		m.lanes = nil
		for _, o := range m.outs {
			o.lanes = nil
		}
		return true
	}
	lay := layoutOf(tracks)
	if lay != m.laidOut {
		for _, o := range m.outs {
			if len(o.win.segments) > 0 {
				return false
			}
		}
		m.laidOut = lay
		m.outs = []*output{m.output(wholeName)}
		if lay != wholeName {
			m.outs[0].name = videoName
		}
	}
	m.lanes = make([]lane, 0, len(tracks))
	for _, o := range m.outs {
		o.lanes = nil
	}
	for i, t := range tracks {
		l := lane{label: t.label, format: t.format}
		if lay != wholeName && !l.picture() {
			at := slices.IndexFunc(m.outs, func(o *output) bool { return o.name == t.label })
			if at < 0 {
				at = len(m.outs)
				m.outs = append(m.outs, m.output(t.label))
			}
			l.out = at
		}
		m.lanes = append(m.lanes, l)
		m.outs[l.out].lanes = append(m.outs[l.out].lanes, i)
	}
	return true
}

func (m *muxer) output(name string) *output {
	prefix := m.session
	if name != wholeName && name != videoName {
		prefix += "." + name
	}
	// Numbers are the same in all outputs as long as none lacks anything.
	return &output{name: name, first: m.first, win: window{session: prefix, discontinuities: m.epoch}}
}

// find returns the output of a playlist's name.
func (m *muxer) find(name string) *output {
	for _, o := range m.outs {
		if o.name == name {
			return o
		}
	}
	return nil
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
	start := l.starts(f)
	if !l.synced && !start || !l.decodable(f, start, !l.synced) {
		return false, nil
	}
	before := m.news
	if !l.active || learned {
		if ok, err := m.begin(track, f); !ok || err != nil {
			return m.news != before, err
		}
	}
	l.synced = true
	switch {
	case track == m.lead && m.time.lead(f.DTS, m.wall(f.Arrival)):
		m.flush()
	case !m.time.begun:
		return m.news != before, nil // times are counted from the leading track's first
	}
	shift := m.time.line.shift(f.DTS)
	at := f.DTS + shift
	g := *f
	g.Sync = start
	l.run.Samples = l.sampler.Push(l.run.Samples, &g, shift)
	m.pace(l, track == m.lead, &g, at)
	return m.news != before, nil
}

// begin starts new initialisation segments when the tracks are known well enough;
// until then frames are not sent.
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
	if !fmp4.Ready(m.lanes[track].format) {
		return false, nil
	}
	m.flush()
	for n, o := range m.outs {
		if err := m.describe(o, n == m.lanes[track].out, track); err != nil {
			return false, err
		}
	}
	m.lead = -1
	for i := range m.lanes {
		l := &m.lanes[i]
		if l.active && (m.lead < 0 || l.picture()) {
			m.lead = i
		}
	}
	return true, nil
}

// describe makes an output's next initialisation segment when track, which is one of
// its, needs it, or when one of its tracks has become known.
func (m *muxer) describe(o *output, anew bool, track int) error {
	var formats []media.Format
	var in []int
	for _, i := range o.lanes {
		l := &m.lanes[i]
		if i != track && !l.active && l.picture() || !fmp4.Ready(l.format) {
			continue // a picture joins with its own first frame
		}
		anew = anew || !l.active
		formats, in = append(formats, l.format), append(in, i)
	}
	if !anew || len(in) == 0 {
		return nil
	}
	init, err := fmp4.Init(formats)
	if err != nil {
		return fmt.Errorf("describe tracks: %w", err)
	}
	// RFC 8216 4.3.2.3: a discontinuity where the number or the types of tracks
	// change. New parameters of the same tracks only need their new description,
	// and times go on: players then stay aligned over all playlists.
	n := len(o.inits)
	same := slices.EqualFunc(formats, o.formats, func(a, b media.Format) bool { return a.Codec == b.Codec })
	o.discontinuity = o.discontinuity || n > 0 && !same
	o.formats = formats
	if n == 0 || !bytes.Equal(init, o.inits[n-1]) {
		o.inits = append(o.inits, init)
	}
	for _, i := range o.lanes {
		m.lanes[i].active = false
	}
	for n, i := range in {
		l := &m.lanes[i]
		l.active, l.sampler = true, fmp4.NewSampler(l.format)
		l.run = fmp4.Run{Track: n + 1}
	}
	return nil
}

func (m *muxer) anyActive() bool {
	return slices.ContainsFunc(m.lanes, func(l lane) bool { return l.active })
}

// pace ends the part, and the segment, when frame f at mapped time at does not belong to them.
func (m *muxer) pace(l *lane, lead bool, f *media.Frame, at media.Time) {
	main := m.outs[0]
	if main.open == nil {
		if lead {
			m.start(f, at)
		}
		return
	}
	whole, in := at.Sub(main.segmentStart), at.Sub(main.partStart)
	least := minSegment
	if !l.picture() {
		least = minSound
	}
	switch {
	case lead && f.Sync && whole >= least-frameRound, whole >= maxSegment, main.bytes > maxSegmentBytes:
		m.cut(at)
		m.finish()
		m.start(f, at)
	case lead && l.picture() && f.Sync && in > 0,
		lead && in+time.Duration(m.time.step) > partTarget+frameRound,
		in > partTarget+slack:
		m.cut(at)
	}
}

// start opens the segments that begin with frame f at a mapped time.
func (m *muxer) start(f *media.Frame, at media.Time) {
	m.asked = at
	m.serial++
	wall := m.time.line.date(f.DTS, m.wall(f.Arrival))
	for _, o := range m.outs {
		if len(o.inits) > 0 {
			o.start(at, m.serial, wall)
		}
	}
}

// cut ends the parts at a mapped time.
func (m *muxer) cut(at media.Time) {
	for _, o := range m.outs {
		if o.cut(m.lanes, at, m.lead) {
			m.news++
		}
	}
}

func (m *muxer) finish() {
	for _, o := range m.outs {
		o.finish()
	}
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

// wantKeyFrame reports, at most once a second, that the open segment is long for
// want of a start.
func (m *muxer) wantKeyFrame() bool {
	if m.lead < 0 || !m.lanes[m.lead].picture() || m.outs[0].open == nil {
		return false
	}
	now := m.time.place()
	if now.Sub(m.outs[0].segmentStart) < keyFrameAfter || now.Sub(m.asked) < keyFrameAgain {
		return false
	}
	m.asked = now
	return true
}

// soundWait is how many segments the picture may have before a sound that gives
// nothing is no longer waited for.
const soundWait = 3

// started reports whether a player can begin.
func (m *muxer) started() bool {
	for i, o := range m.outs {
		switch {
		case len(o.win.segments) > 0 && o.win.segments[0].complete:
		case i == 0, len(m.outs[0].win.segments) <= soundWait:
			return false
		}
	}
	return len(m.outs) > 0
}

// lastEpoch returns the discontinuity number of the newest segment.
func (m *muxer) lastEpoch() uint64 {
	n := m.epoch
	for _, o := range m.outs {
		n = max(n, o.win.lastEpoch())
	}
	return n
}
