package mpegts

import "tongxiang/internal/media"

// soundFrame is what the header of a frame of sound says.
type soundFrame struct {
	size    int           // of the frame with its header; 0: more bytes are needed to tell
	head    int           // bytes in front that do not go into the unit
	samples int           // a channel
	format  *media.Format // the parser's, which makes a new one when it changes
	// unit replaces the bytes of the frame, for codecs whose frames are not aligned.
	unit []byte
}

// soundSyntax is what differs between the codecs of sound.
type soundSyntax interface {
	// frame reads the header at the start of b; ok is false when there is none. It
	// may return size 0 to wait for more bytes.
	frame(b []byte) (soundFrame, bool)
}

const (
	maxSound      = 64 << 10 // bytes that wait for the end of a frame; E-AC-3 frames have up to 4096
	maxSoundGroup = 64       // frames of sound in one media.Frame
)

// sounds cuts the bytes of a sound stream into frames. Those that begin in one PES
// packet go out together, with that packet's time.
type sounds struct {
	d      *Demuxer
	stream *Stream
	syntax soundSyntax

	buf   []byte
	marks []mark
	lost  bool // not in step: a header is believed only when another follows
	hole  bool // bytes are missing before the group: the time behind it tells its own

	group   []soundFrame // complete frames of the PES packet under way, in buf from start on
	start   int
	next    int // where the next frame begins
	times   Times
	timed   bool
	samples int64 // since times.PTS
	counted bool  // times.PTS was not carried for the first frame of the group
}

func newSounds(d *Demuxer, st *Stream, s soundSyntax) *sounds {
	return &sounds{d: d, stream: st, syntax: s, lost: true}
}

func (s *sounds) mark(t stamp) {
	s.run(false)
	s.release()
	if t.pts == NoTime {
		return
	}
	if len(s.marks) == maxMarks {
		s.marks = append(s.marks[:0], s.marks[1:]...)
	}
	s.marks = append(s.marks, mark{len(s.buf), t})
}

func (s *sounds) write(b []byte) {
	if len(s.buf)+len(b) > maxSound {
		s.run(false)
		s.hole = false
		s.release()
		if len(s.buf)+len(b) > maxSound {
			s.d.stats.BadUnits++
			s.drop(len(s.buf))
			s.lost = true
		}
	}
	if need := len(s.buf) + len(b); need > cap(s.buf) {
		size := min(2*need, maxSound)
		if !s.d.take(size - cap(s.buf)) {
			return
		}
		s.buf = append(make([]byte, 0, size), s.buf...)
	}
	s.buf = append(s.buf, b...)
}

func (s *sounds) close() {
	s.d.take(-cap(s.buf))
	s.buf = nil
}

func (s *sounds) gap(int) {
	s.run(true)
	if len(s.marks) > 0 && s.marks[0].off <= s.next { // of the frame in which this hole is
		s.backdate(s.marks[0].pts)
	}
	s.hole = false // a second one: what is between them has no better time
	s.release()
	s.drop(len(s.buf))
	if n := len(s.marks); n > 0 { // the frame whose time that was is lost
		t := s.marks[n-1].pts
		s.times, s.timed, s.samples = Times{PTS: t, DTS: t}, true, 0
		s.marks = s.marks[:0]
	}
	s.lost, s.hole = true, true
}

func (s *sounds) end() {
	s.run(len(s.buf) <= maxSound)
	s.release()
}

func (s *sounds) flush() {
	s.hole = false
	s.end()
	s.drop(len(s.buf))
	s.marks, s.lost, s.timed = s.marks[:0], true, false
}

// drop forgets the first n bytes of the buffer, which no group may use.
func (s *sounds) drop(n int) {
	s.buf = append(s.buf[:0], s.buf[n:]...)
	s.next = max(0, s.next-n)
	for i := range s.marks {
		s.marks[i].off = max(0, s.marks[i].off-n)
	}
}

// run finds the frames that are complete. whole says that no more bytes of this
// PES packet follow, so that a frame that ends exactly here is believed.
func (s *sounds) run(whole bool) {
	for s.next < len(s.buf) {
		b := s.buf[s.next:]
		f, ok := s.syntax.frame(b)
		if ok && f.size > 0 && f.size <= len(b) && s.lost {
			if after := b[f.size:]; len(after) > 0 {
				_, ok = s.syntax.frame(after)
			} else if !whole {
				return
			}
		}
		switch {
		case !ok:
			s.resync()
			continue
		case f.size == 0 || f.size > len(b):
			return
		}
		s.lost = false
		s.take(f)
	}
}

// resync moves on by one byte after something that is no header.
func (s *sounds) resync() {
	if !s.lost {
		s.d.stats.BadUnits++
		s.lost = true
	}
	if len(s.group) > 0 {
		s.hole = false // what follows does not join on to the group
		s.release()
	}
	s.next++
	// Keep the buffer short while searching.
	if s.next >= 4096 {
		s.drop(s.next)
	}
}

// take adds the frame at next to the group.
func (s *sounds) take(f soundFrame) {
	n := 0
	for n < len(s.marks) && s.marks[n].off <= s.next {
		n++
	}
	if n > 0 {
		t := s.marks[n-1].pts
		s.backdate(t)
		s.release()
		s.marks = append(s.marks[:0], s.marks[n:]...)
		s.times, s.timed, s.samples = Times{PTS: t, DTS: t}, true, 0
	}
	if len(s.group) == 0 {
		s.start, s.counted = s.next, n == 0
	}
	s.group = append(s.group, f)
	s.next += f.size
	if len(s.group) >= maxSoundGroup {
		s.hole = false
		s.release()
	}
}

// backdate gives the frames behind a hole the times that end where t, which is that
// of the frame after them, begins.
func (s *sounds) backdate(t int64) {
	if !s.hole {
		return
	}
	s.hole = false
	if len(s.group) == 0 || s.group[0].format.Rate == 0 {
		return
	}
	n := int64(0)
	for _, f := range s.group {
		n += int64(f.samples)
	}
	t = (t - n*Ticks/int64(s.group[0].format.Rate)) & (wrap - 1)
	s.times, s.timed, s.samples, s.counted = Times{PTS: t, DTS: t}, true, 0, true
}

// release hands the group over. One behind a hole waits for its time.
func (s *sounds) release() {
	if len(s.group) == 0 || s.hole {
		return
	}
	format := s.group[0].format
	s.d.format(s.stream, *format)
	total, samples := 0, int64(0)
	for _, f := range s.group {
		total += f.size - f.head + len(f.unit)
	}
	all, units := make([]byte, 0, total), make([][]byte, 0, len(s.group))
	at := s.start
	for _, f := range s.group {
		n := len(all)
		if f.unit != nil {
			all = append(all, f.unit...)
		} else {
			all = append(all, s.buf[at+f.head:at+f.size]...)
		}
		units = append(units, all[n:len(all):len(all)])
		at += f.size
		samples += int64(f.samples)
	}
	t := s.times
	if s.counted && format.Rate > 0 {
		t.PTS = (t.PTS + s.samples*Ticks/int64(format.Rate)) & (wrap - 1)
		t.DTS, t.Computed = t.PTS, true
	}
	s.samples += samples
	s.group = s.group[:0]
	s.drop(s.next)
	if !s.timed {
		return // the stream was entered in mid-packet: no time to give it
	}
	s.d.frame(s.stream, &media.Frame{Units: units, Sync: true}, t, len(units))
}
