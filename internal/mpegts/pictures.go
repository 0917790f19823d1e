package mpegts

import (
	"bytes"

	"tongxiang/internal/media"
)

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
	// classify looks at what follows a start code; ok is false when b is too short.
	classify(b []byte) (kind unitKind, ok bool)
	// picture makes a frame of an access unit: data begins with a start code, and
	// units are the offsets behind its start codes. nil: nothing worth keeping.
	picture(p *pictures, data []byte, units []int) *picture
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
)

// pictures cuts the bytes of a video stream into access units, wherever PES
// packets begin and end.
type pictures struct {
	d      *Demuxer
	stream *Stream
	syntax syntax

	buf     []byte // begins with the start code of the access unit under way
	scan    int    // start codes before here were seen
	started bool   // a start code was seen, so buf begins with one
	sliced  bool   // the access unit has a slice
	corrupt bool
	units   []int
	marks   []mark

	held  *picture // a field that waits for its other half
	last  Times
	pace  int64 // the latest distance of two DTS
	timed bool
}

// mark is where a PES packet's payload begins in a buffer.
type mark struct {
	off int
	stamp
}

func newPictures(d *Demuxer, st *Stream, s syntax) *pictures {
	return &pictures{d: d, stream: st, syntax: s}
}

func (p *pictures) mark(s stamp) {
	if s.pts == NoTime {
		return
	}
	if len(p.marks) == maxMarks {
		p.marks = append(p.marks[:0], p.marks[1:]...)
	}
	p.marks = append(p.marks, mark{len(p.buf), s})
}

func (p *pictures) end() {}

func (p *pictures) gap() {
	if p.started {
		p.corrupt = true
	}
}

func (p *pictures) write(b []byte) {
	if len(p.buf)+len(b) > maxPicture {
		p.d.stats.BadUnits++
		p.forget()
	}
	p.buf = append(p.buf, b...)
	p.run()
}

func (p *pictures) forget() {
	p.buf, p.units, p.marks = p.buf[:0], p.units[:0], p.marks[:0]
	p.scan, p.started, p.sliced, p.corrupt = 0, false, false, false
}

// run finds start codes in what came last. 01 is searched for, not 00 00 01: it is
// the rarer byte in coded pictures, and one vector instruction looks at 32 of them.
func (p *pictures) run() {
	for {
		i := bytes.IndexByte(p.buf[p.scan:], 1)
		if i < 0 {
			p.scan = len(p.buf)
			break
		}
		pos := p.scan + i
		if pos < 2 || p.buf[pos-1] != 0 || p.buf[pos-2] != 0 {
			p.scan = pos + 1
			continue
		}
		kind, ok := p.syntax.classify(p.buf[pos+1:])
		if !ok {
			p.scan = pos
			return
		}
		p.scan = pos + 1
		p.found(pos-2, kind)
	}
	if !p.started {
		p.shift(max(0, len(p.buf)-2))
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
		p.shift(at)
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

// shift drops the first n bytes of the buffer.
func (p *pictures) shift(n int) {
	if n == 0 {
		return
	}
	p.buf = append(p.buf[:0], p.buf[n:]...)
	p.scan -= n
	for i := range p.marks {
		p.marks[i].off -= n
	}
}

// cut ends the access unit under way at an offset of the buffer.
func (p *pictures) cut(at int) {
	times, ok := p.times()
	corrupt := p.corrupt
	pic := p.syntax.picture(p, p.buf[:at], p.units)
	p.units, p.sliced, p.corrupt = p.units[:0], false, false
	if pic == nil || !ok {
		return
	}
	pic.times, pic.frame.Corrupt = times, corrupt
	p.pair(pic)
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
			p.pace = d
		}
		p.last, p.timed = t, true
		return t, true
	}
	if !p.timed {
		return Times{}, false
	}
	step := p.pace
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
func (p *pictures) pair(pic *picture) {
	h := p.held
	p.held = nil
	if h != nil {
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
	if p.started && p.sliced {
		p.cut(len(p.buf))
	}
	if h := p.held; h != nil {
		p.held = nil
		p.d.frame(p.stream, h.frame, h.times, 1)
	}
	p.forget()
}

// nalUnits copies the NAL units of an access unit into memory of their own, without
// those that keep rejects.
func nalUnits(data []byte, units []int, keep func(first byte) bool) [][]byte {
	each := func(f func(from, to int)) {
		for i, from := range units {
			to := len(data)
			if i+1 < len(units) {
				to = units[i+1] - 3
			}
			for to > from && data[to-1] == 0 { // trailing_zero_8bits, and the next start code's zero_byte
				to--
			}
			if from < to && keep(data[from]) {
				f(from, to)
			}
		}
	}
	count, first, last := 0, 0, 0
	each(func(from, to int) {
		if count == 0 {
			first = from
		}
		last = to
		count++
	})
	if count == 0 {
		return nil
	}
	// One copy of the whole: what lies between the units is a few bytes, and where
	// it is not, as with filler data, it is not kept long.
	all := append([]byte(nil), data[first:last]...)
	out := make([][]byte, 0, count)
	each(func(from, to int) { out = append(out, all[from-first:to-first:to-first]) })
	return out
}
