package fmp4

import (
	"time"

	"tongxiang/internal/media"
)

// Sample is one picture or one codec frame of sound, ready to be written. Units
// belong to the frame it was made of and are shared.
type Sample struct {
	DTS      int64  // ticks of the track's [Timescale]
	Shift    int32  // presentation minus decode time, in ticks
	Duration uint32 // ticks
	Sync     bool
	Units    [][]byte
	Size     int // bytes in the file

	framed bool // each unit is preceded by its length (H.264, HEVC)
}

// drift is how far counted sound may be from the times that the source gives
// before the source is believed: more than any rounding of a 90 kHz clock, less
// than the ear notices against the picture.
const drift = 20 * time.Millisecond

// Sampler turns the frames of one track into samples. A sample is returned when
// the next frame says how long it lasts. The zero value is not useful.
type Sampler struct {
	format    media.Format
	timescale int
	pending   Sample
	have      bool   // pending is one
	last      uint32 // duration of the sample before
	next      int64  // of sound: where the next begins by counting; valid when have
}

// NewSampler returns a sampler for a track of format f.
func NewSampler(f media.Format) *Sampler {
	return &Sampler{format: f, timescale: Timescale(f)}
}

// Timescale returns the ticks a second of its samples.
func (s *Sampler) Timescale() int { return s.timescale }

// Push adds a frame whose times are moved by offset, and appends the samples that
// became complete to dst. Decode times never run backwards: a frame that would is
// set one tick after its predecessor and keeps its presentation time.
func (s *Sampler) Push(dst []Sample, f *media.Frame, offset media.Time) []Sample {
	if len(f.Units) == 0 {
		return dst
	}
	dts, pts := (f.DTS + offset).Ticks(s.timescale), (f.PTS + offset).Ticks(s.timescale)
	if s.format.Codec.Kind() == media.Video {
		framed := s.format.Codec == media.H264 || s.format.Codec == media.H265
		n := Sample{DTS: dts, Sync: f.Sync, Units: f.Units, Size: f.Size(), framed: framed}
		if framed {
			n.Size += 4 * len(f.Units)
		}
		dst = s.put(dst, n)
		s.pending.Shift = int32(pts - s.pending.DTS)
		return dst
	}
	limit := int64(s.timescale) * int64(drift) / int64(time.Second)
	start := pts
	for i, u := range f.Units {
		if len(u) == 0 {
			continue
		}
		if s.have && (i > 0 || (start-s.next < limit && s.next-start < limit)) {
			start = s.next
		}
		n := s.length(u)
		dst = s.put(dst, Sample{DTS: start, Sync: true, Units: f.Units[i : i+1], Size: len(u)})
		start = s.pending.DTS + n
		s.next, s.last = start, uint32(n)
	}
	return dst
}

// put makes n the pending sample and completes the one before.
func (s *Sampler) put(dst []Sample, n Sample) []Sample {
	if s.have {
		if n.DTS <= s.pending.DTS {
			n.DTS = s.pending.DTS + 1
		}
		s.pending.Duration = uint32(n.DTS - s.pending.DTS)
		s.last = s.pending.Duration
		dst = append(dst, s.pending)
	}
	s.pending, s.have = n, true
	return dst
}

// Flush appends the pending sample, lasting as long as the one before it did: for
// the end and before a gap.
func (s *Sampler) Flush(dst []Sample) []Sample {
	if !s.have {
		return dst
	}
	s.have = false
	s.pending.Duration = s.last
	if s.last == 0 {
		s.pending.Duration = uint32(s.timescale / 25)
	}
	return append(dst, s.pending)
}

// length returns how long a codec frame of sound lasts, in ticks.
func (s *Sampler) length(u []byte) int64 {
	if s.format.Codec == media.AC3 {
		return 1536 // always (ETSI TS 102 366 4.1)
	}
	n, rate := media.UnitSamples(s.format, u)
	switch {
	case n <= 0 || rate <= 0:
		return int64(s.last) // damaged: the next frame's time will tell
	case rate != s.timescale:
		return int64(n) * int64(s.timescale) / int64(rate)
	}
	return int64(n)
}
