package media

import (
	"slices"
	"time"
)

// decodeTimes derives DTS for pictures that come in decoding order with only a PTS,
// as RTP carries them. With pictures reordered by at most depth places, the DTS of
// picture n is the (n-depth)th smallest PTS so far: no later picture can have a
// smaller one, so the DTS grow and none is later than its PTS.
//
// It needs no picture order count, and so also serves field pictures and
// pic_order_cnt_type 1, where mediacommon's DTSExtractor returns errors.
//
// The zero value returns the PTS.
type decodeTimes struct {
	depth int
	step  time.Duration // between pictures, for the first depth of them
	held  []Time        // the depth smallest PTS not yet used as DTS, in order
	begun bool
	last  Time
}

// newDecodeTimes returns decode times for a format. When the stream does not say
// how deep it reorders, two is taken, which is a pyramid of B-frames: the usual
// most. Deeper ones are learned when a DTS would exceed its PTS.
func newDecodeTimes(f Format) decodeTimes {
	if !f.Reordered {
		return decodeTimes{}
	}
	t := decodeTimes{depth: 2, step: 40 * time.Millisecond}
	if f.FPS > 0 {
		t.step = time.Duration(float64(time.Second) / f.FPS)
	}
	for _, u := range f.Params {
		if depth := reorderDepth(f.Codec, u); depth > 0 {
			t.depth = depth
		}
	}
	return t
}

// mpeg2DecodeTimes returns decode times for MPEG-2: B-pictures refer to the two
// pictures around them, so none is more than one place out of order.
func mpeg2DecodeTimes(f Format) decodeTimes {
	if !f.Reordered {
		return decodeTimes{}
	}
	t := decodeTimes{depth: 1, step: 40 * time.Millisecond}
	if f.FPS > 0 {
		t.step = time.Duration(float64(time.Second) / f.FPS)
	}
	return t
}

// reorderDepth returns the depth that an SPS declares; 0 when unit is none or does not say.
func reorderDepth(c Codec, unit []byte) int {
	switch {
	case c == H264 && H264Type(unit) == H264SPS:
		if sps, err := parseH264SPS(unit); err == nil {
			depth, _ := h264Reorder(sps)
			return depth
		}
	case c == H265 && H265Type(unit) == H265SPS:
		if sps, err := parseH265SPS(unit); err == nil {
			return h265Reorder(sps)
		}
	}
	return 0
}

// maxReorderDepth is the largest decoded picture buffer (A.3.1 h).
const maxReorderDepth = 16

// next returns the DTS of the next picture in decoding order. DTS always grow;
// they exceed the PTS only where the source breaks its own declaration.
func (t *decodeTimes) next(pts Time) Time {
	if t.depth == 0 {
		return pts
	}
	if !t.begun {
		// As if depth pictures had come before, one step apart.
		t.begun = true
		t.last = pts.Add(-time.Duration(t.depth+1) * t.step)
		for i := t.depth; i > 0; i-- {
			t.held = append(t.held, pts.Add(-time.Duration(i)*t.step))
		}
	}
	at, _ := slices.BinarySearch(t.held, pts)
	t.held = slices.Insert(t.held, at, pts)
	dts := t.held[0]
	if at == 0 && pts <= t.last && t.depth < maxReorderDepth {
		// Reordered deeper than declared: hold one more from here on.
		t.depth++
		dts = t.last + 1
	} else {
		t.held = slices.Delete(t.held, 0, 1)
	}
	if dts <= t.last {
		dts = t.last + 1 // a nanosecond: the caller's ticks decide what that is
	}
	t.last = dts
	return dts
}
