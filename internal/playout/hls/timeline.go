package hls

import (
	"strings"
	"sync"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// longGap is what a player cannot wait out: time lost beyond it is taken out of
// the timeline, so that playback goes on where it stopped.
const longGap = 500 * time.Millisecond

// origin is where a timeline begins: late enough that sound which comes a little
// before the first picture does not fall below zero.
const origin = media.Time(10 * time.Second)

// timeline maps the times of a stream to those that players see: it begins at
// origin and has no holes. All sessions of one stream, its low-rate renditions among
// them, share it, so that a player goes from one to another without a seam: they
// carry the source's times, and here the same time becomes the same place and the
// same date. It is safe for concurrent use.
type timeline struct {
	mu     sync.Mutex
	spans  []span     // in the order in which they were begun; the newest last
	newest media.Time // of the source's, of the leading tracks of all followers

	users int    // sessions; guarded by Server.mu
	epoch uint64 // the discontinuity number with which sessions begin; likewise
}

// span is a run of the source's time without a hole.
type span struct {
	from   media.Time // the source's; frames before it belong to the span before
	offset media.Time // added to the source's time
	wall   time.Time  // when place 0 was
}

// maxSpans bounds what is remembered: followers lie apart by seconds, holes of the
// source by at least half of one.
const maxSpans = 16

// slew is how much the date may be corrected with a segment, so that it follows the
// difference of the source's clock and ours, and no jitter.
const slew = 2 * time.Millisecond

// at returns the span of a time of the source. The caller holds mu.
func (l *timeline) at(dts media.Time) *span {
	if len(l.spans) == 0 {
		return &span{}
	}
	for i := len(l.spans) - 1; i > 0; i-- {
		if dts >= l.spans[i].from {
			return &l.spans[i]
		}
	}
	return &l.spans[0]
}

// shift returns what is to be added to a time of the source.
func (l *timeline) shift(dts media.Time) media.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at(dts).offset
}

// join makes sure that there is a first span, for a follower's first frame.
func (l *timeline) join(dts media.Time, wall time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.spans) == 0 {
		l.spans = []span{{offset: origin - dts, wall: wall.Add(-time.Duration(origin))}}
	}
	l.newest = max(l.newest, dts)
}

// see notes that a follower has come as far as dts.
func (l *timeline) see(dts media.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.newest = max(l.newest, dts)
}

// hole is told that a follower found nothing between end and dts. It is taken out,
// unless another follower has had something there: then only this one lost it.
func (l *timeline) hole(end, dts media.Time, wall time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lost := dts - end
	if lost > 0 {
		for _, s := range l.spans[1:] {
			if s.from > end && s.from <= dts {
				return // somebody was here before
			}
		}
		if l.newest >= dts {
			return
		}
	}
	// Frames of the other tracks are told apart by the middle of the hole.
	s := span{from: dts - lost/2, offset: l.at(end).offset - lost}
	if lost < 0 {
		s.from = dts - media.Time(longGap)/2
	}
	s.wall = wall.Add(-time.Duration(dts + s.offset))
	if len(l.spans) == maxSpans {
		l.spans = append(l.spans[:1], l.spans[2:]...)
	}
	l.spans = append(l.spans, s)
	l.newest = dts
}

// date returns the date of a time of the source: when it reached us. measured is
// what the follower saw, of which the date takes a little.
func (l *timeline) date(dts media.Time, measured time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.at(dts)
	place := time.Duration(dts + s.offset)
	d := measured.Sub(s.wall.Add(place))
	s.wall = s.wall.Add(min(max(d, -slew), slew))
	return s.wall.Add(place)
}

// follower is one muxer's place on a timeline. It belongs to the muxer.
type follower struct {
	line  *timeline
	begun bool
	end   media.Time // the source's time of the newest frame of the leading track
	step  media.Time // how long that frame is taken to last
}

// lead tells a frame of the leading track, before it is mapped, and reports whether
// time was lost before it.
func (f *follower) lead(dts media.Time, wall time.Time) (gap bool) {
	if !f.begun {
		f.begun = true
		f.end, f.step = dts, media.Time(40*time.Millisecond)
		f.line.join(dts, wall)
		return false
	}
	end := f.end + f.step
	if lost := dts - end; lost > media.Time(longGap) || lost < -media.Time(longGap) {
		f.line.hole(end, dts, wall)
		f.end = dts
		return true
	}
	if d := dts - f.end; d > 0 {
		f.step = min(d, media.Time(longGap))
	}
	f.end = dts
	f.line.see(dts)
	return false
}

// place returns where the newest frame of the leading track ends for a player.
func (f *follower) place() media.Time {
	if !f.begun {
		return 0
	}
	return f.end + f.step + f.line.shift(f.end)
}

// family returns the stream of which a name is, or has, a rendition.
func family(name stream.Name) stream.Name {
	segs := name.Segments()
	n := 2
	if segs[0] == "meetings" {
		n = 3
	}
	return stream.Name(strings.Join(segs[:min(n, len(segs))], "/"))
}

// enter returns the timeline of a stream for one more session. The caller holds mu.
func (s *Server) enter(name stream.Name) *timeline {
	of := family(name)
	line := s.lines[of]
	if line == nil {
		line = &timeline{epoch: s.epoch}
		s.epoch++
		s.lines[of] = line
	}
	line.users++
	return line
}

// leave undoes enter; epoch is the discontinuity number that the session came to.
// While a timeline goes on so do its numbers: its times continue. The caller holds mu.
func (s *Server) leave(name stream.Name, line *timeline, epoch uint64) {
	line.epoch = max(line.epoch, epoch)
	s.epoch = max(s.epoch, epoch+1)
	if line.users--; line.users == 0 {
		delete(s.lines, family(name))
	}
}
