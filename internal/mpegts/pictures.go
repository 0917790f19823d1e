package mpegts

import "tongxiang/internal/media"

// unitKind is what a start code means for finding where pictures begin.
type unitKind uint8

const (
	unitIgnored unitKind = iota // not worth remembering
	unitInside                  // belongs to the picture under way
	unitHead                    // stands before a picture's first slice, so it ends the one before
	unitFirst                   // the first slice of a picture
	unitSlice                   // a further slice
)

// syntax is what differs between the codecs of pictures.
type syntax interface {
	// ignored is the greatest byte behind a start code of which, from 1 on, classify
	// says that it is ignored; 0 when there are none.
	ignored() byte
	// classify looks at what follows a start code; ok is false when b is too short.
	classify(b []byte) (kind unitKind, ok bool)
	// picture makes a frame of an access unit: data begins with a start code, and
	// units are the offsets behind its start codes. The frame may keep data, which
	// nobody writes to any more. Without frame: nothing worth keeping.
	picture(p *pictures, data []byte, units []int) picture
}

// picture is an access unit on its way out.
type picture struct {
	frame *media.Frame
	times Times
	field byte   // 0: a frame; 1, 2: a single field, top or bottom
	group uint32 // fields of one frame have the same
	alone bool   // cannot be the second field of a pair
}

const (
	maxPicture = 8 << 20 // bytes of an access unit: ten times a 4K intra picture of a broadcast
	maxUnits   = 2048    // start codes in one; level 6.2 allows 600 slices
	maxMarks   = 64
	// slab is how much memory is taken at once for the access units of a stream: some
	// ten pictures of a standard-definition broadcast. It lives as long as one of them.
	slab = 256 << 10
	// firstSlab is what a stream begins with: one that was announced and never comes
	// is to cost little.
	firstSlab = 16 << 10
	// lazy is how many bytes may wait to be searched for start codes: a search over
	// many bytes costs a third of one over each packet, and those that wait for all
	// programmes of a multiplex still lie in the first cache.
	lazy = 2 << 10
	// startBytes is how far into a PES packet the first start code of a picture is
	// looked for at once: four bytes of start code and what classify wants.
	startBytes = 8
	// eagerFor is after how many pictures that begin with a PES packet all are
	// believed to.
	eagerFor = 50
)

// pictures cuts the bytes of a video stream into access units, wherever PES
// packets begin and end. Every byte is copied once, from the transport packet to
// where the frame keeps it.
type pictures struct {
	d       *Demuxer
	stream  *Stream
	syntax  syntax
	ignored byte // syntax.ignored()

	// buf begins with the start code of the access unit under way. It is the end of
	// a slab whose beginning belongs to frames that were handed over, so it only
	// grows, and moves on instead of being moved down.
	buf     []byte
	taken   int  // bytes of the slab
	scan    int  // start codes before here were seen
	look    int  // up to here start codes are searched for without waiting
	eager   int  // for so many pictures to come, do not wait: see cut
	started bool // a start code was seen, so buf begins with one
	sliced  bool // the access unit has a slice
	corrupt bool
	hole    int // where its first missing bytes were, when corrupt
	missing int // packets that are missing there, when known and only there
	units   []int
	marks   []mark

	held  picture // a field that waits for its other half; without frame: none
	last  Times
	paces [2]int64 // the latest distances of two DTS
	timed bool
}

// mark is where a PES packet's payload begins in a buffer.
type mark struct {
	off int
	stamp
}

func newPictures(d *Demuxer, st *Stream, s syntax) *pictures {
	return &pictures{d: d, stream: st, syntax: s, ignored: s.ignored()}
}

func (p *pictures) mark(s stamp) {
	p.look = len(p.buf) + startBytes
	if s.pts == NoTime {
		return
	}
	if len(p.marks) == maxMarks {
		p.marks = append(p.marks[:0], p.marks[1:]...)
	}
	p.marks = append(p.marks, mark{len(p.buf), s})
}

func (p *pictures) end() {}

func (p *pictures) gap(lost int) {
	p.run() // the pictures that end before the hole are whole
	if !p.started {
		return
	}
	if p.corrupt {
		lost = 0
	} else {
		p.hole = len(p.buf)
	}
	p.corrupt, p.missing = true, lost
	p.scan = len(p.buf) // bytes before and behind the hole make no start code
}

func (p *pictures) write(b []byte) {
	if len(b) > cap(p.buf)-len(p.buf) && !p.grow(len(b)) {
		return
	}
	// Only the length is written: a new slice would be a pointer for the collector to see.
	n := len(p.buf)
	p.buf = p.buf[:n+len(b)]
	copy(p.buf[n:], b)
	if p.eager > 0 || p.scan < p.look || len(p.buf)-p.scan >= lazy {
		p.run()
	}
}

// grow goes on in another slab with room for n bytes; false when there is none to
// be had, and the picture under way is given up.
func (p *pictures) grow(n int) bool {
	have := len(p.buf)
	size := min(slab, max(firstSlab, 2*p.taken))
	if have+n > size/2 { // a large picture: it is not to be moved many times
		size = min(2*(have+n), maxPicture)
	}
	if have+n > size {
		p.d.stats.BadUnits++
		p.forget()
		return false
	}
	if !p.d.take(size - p.taken) {
		p.forget()
		return false
	}
	p.taken = size
	p.buf = append(uncleared(size), p.buf...)
	return true
}

func (p *pictures) close() {
	p.d.take(-p.taken)
	p.taken, p.buf = 0, nil
}

func (p *pictures) forget() {
	p.buf, p.units, p.marks = p.buf[:0], p.units[:0], p.marks[:0]
	p.scan, p.look, p.started, p.sliced, p.corrupt = 0, 0, false, false, false
}

// run finds start codes in what came last.
func (p *pictures) run() {
	for {
		at := startCode(p.buf, p.scan)
		if at < 0 {
			p.scan = max(p.scan, len(p.buf)-2)
			break
		}
		kind, ok := p.syntax.classify(p.buf[at+3:])
		if !ok {
			p.scan = at
			return
		}
		p.scan = at + 3
		p.found(at, kind)
	}
	if n := len(p.buf) - 2; !p.started && n > 0 {
		// Nothing of it was handed over, so its room can be used again.
		p.buf = append(p.buf[:0], p.buf[n:]...)
		p.moved(n)
	}
}

// found takes a start code at an offset of the buffer.
func (p *pictures) found(at int, kind unitKind) {
	switch {
	case kind == unitIgnored, !p.started && kind != unitHead && kind != unitFirst:
		return
	case !p.started:
		p.shift(at)
		p.started = true
	case p.sliced && (kind == unitHead || kind == unitFirst):
		p.cut(at)
	}
	if kind == unitFirst || kind == unitSlice {
		p.sliced = true
	}
	if len(p.units) >= maxUnits {
		p.d.stats.BadUnits++
		p.forget()
		return
	}
	p.units = append(p.units, p.scan)
}

// shift leaves the first n bytes of the buffer behind.
func (p *pictures) shift(n int) {
	p.buf = p.buf[n:]
	p.moved(n)
}

func (p *pictures) moved(n int) {
	p.scan -= n
	p.look -= n
	for i := range p.marks {
		p.marks[i].off -= n
	}
}

// cut ends the access unit under way at an offset of the buffer, which is then
// that of the next one. The frame keeps the bytes where they are.
func (p *pictures) cut(at int) {
	times, ok := p.times()
	corrupt, end := p.corrupt, at
	if corrupt && p.skipped(times, at) {
		end, corrupt = p.hole, p.missing != 1
		for len(p.units) > 0 && p.units[len(p.units)-1] > end {
			p.units = p.units[:len(p.units)-1]
		}
	}
	pic := p.syntax.picture(p, p.buf[:end:end], p.units)
	p.units, p.sliced, p.corrupt = p.units[:0], false, false
	p.shift(at)
	if pic.frame == nil || !ok {
		return
	}
	// Where pictures begin in the middle of PES packets, the end of one is found by
	// looking at every packet. A second field has no time of its own either, and
	// nobody waits for its end.
	if times.Computed && pic.field == 0 {
		p.eager = eagerFor
	} else if p.eager > 0 {
		p.eager--
	}
	pic.times, pic.frame.Corrupt = times, corrupt
	p.pair(pic)
}

// skipped reports whether what is missing in the access unit under way is the start
// of another one: then the next, which begins at an offset of the buffer, comes two
// distances later, and what stands behind the hole belongs to neither.
func (p *pictures) skipped(t Times, at int) bool {
	pace := min(p.paces[0], p.paces[1])
	if pace <= 0 || len(p.marks) == 0 || p.marks[0].off > at || t.Computed {
		return false
	}
	d := forward(t.DTS, p.marks[0].dts)
	return d > pace*7/4 && d < Ticks
}

// times finds the times of the access unit at the start of the buffer: those of
// the PES packet in which it begins. One that shares its packet with another before
// it has none; its time is counted on.
func (p *pictures) times() (Times, bool) {
	n := 0
	for n < len(p.marks) && p.marks[n].off <= 0 {
		n++
	}
	if n > 0 {
		t := Times{PTS: p.marks[n-1].pts, DTS: p.marks[n-1].dts}
		p.marks = append(p.marks[:0], p.marks[n:]...)
		if d := forward(p.last.DTS, t.DTS); p.timed && d > 0 && d < Ticks {
			p.paces[0], p.paces[1] = p.paces[1], d
		}
		p.last, p.timed = t, true
		return t, true
	}
	if !p.timed {
		return Times{}, false
	}
	step := p.paces[1]
	if f := p.stream.Format.FPS; f > 0 {
		step = int64(Ticks/f + 0.5)
	}
	if step <= 0 {
		step = Ticks / 25
	}
	p.last = Times{PTS: (p.last.PTS + step) & (wrap - 1), DTS: (p.last.DTS + step) & (wrap - 1), Computed: true}
	return p.last, true
}

// pair joins the two fields of a frame: they are two access units to the codec,
// and one picture to everybody else.
func (p *pictures) pair(pic picture) {
	h := p.held
	p.held = picture{}
	if h.frame != nil {
		if !pic.alone && pic.field != 0 && h.field == 3-pic.field && h.group == pic.group {
			f := h.frame
			if p.stream.Codec == media.MPEG2Video {
				f.Units[0] = append(f.Units[0], pic.frame.Units[0]...)
			} else {
				f.Units = append(f.Units, pic.frame.Units...)
			}
			f.Corrupt = f.Corrupt || pic.frame.Corrupt
			p.d.frame(p.stream, f, h.times, 1)
			return
		}
		p.d.frame(p.stream, h.frame, h.times, 1)
	}
	if pic.field != 0 {
		p.held = pic
		return
	}
	p.d.frame(p.stream, pic.frame, pic.times, 1)
}

func (p *pictures) flush() {
	p.run()
	if p.started && p.sliced {
		p.cut(len(p.buf))
	}
	if h := p.held; h.frame != nil {
		p.held = picture{}
		p.d.frame(p.stream, h.frame, h.times, 1)
	}
	p.forget()
}

// nalUnits returns the NAL units of an access unit, which share its memory, without
// those that keep rejects.
func nalUnits(data []byte, units []int, keep func(first byte) bool) [][]byte {
	out := make([][]byte, 0, len(units))
	for i, from := range units {
		to := len(data)
		if i+1 < len(units) {
			to = units[i+1] - 3
		}
		for to > from && data[to-1] == 0 { // trailing_zero_8bits, and the next start code's zero_byte
			to--
		}
		if from < to && keep(data[from]) {
			out = append(out, data[from:to:to])
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
