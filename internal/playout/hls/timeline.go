package hls

import (
	"time"

	"tongxiang/internal/media"
)

// longGap is what a player cannot wait out: time lost beyond it is taken out of
// the timeline, so that playback goes on where it stopped.
const longGap = 500 * time.Millisecond

// timeline maps the times of a stream to those of a session: it begins at the
// session's origin and has no holes. It is pure.
type timeline struct {
	begun  bool
	offset media.Time // added to every time after cut
	before media.Time // added to every time up to cut
	cut    media.Time
	end    media.Time // where the newest frame of the leading track ends, unmapped
	step   media.Time // how long that frame is taken to last
}

// lead tells the timeline a frame of the leading track, before it is mapped, and
// reports whether time was lost before it.
func (t *timeline) lead(dts media.Time) (gap bool) {
	if !t.begun {
		t.begun = true
		t.offset = origin - dts
		t.before, t.cut = t.offset, dts-media.Time(time.Hour)
		t.end, t.step = dts, media.Time(40*time.Millisecond)
		return false
	}
	lost := dts - (t.end + t.step)
	if lost > media.Time(longGap) || lost < -media.Time(longGap) {
		// Frames of the other tracks are told apart by the middle of the hole.
		t.before, t.cut = t.offset, dts-lost/2
		if lost < 0 {
			t.cut = dts - media.Time(longGap)/2
		}
		t.offset -= lost
		t.end = dts
		return true
	}
	if d := dts - t.end; d > 0 {
		t.step = min(d, media.Time(longGap))
	}
	t.end = dts
	return false
}

// shift returns what is to be added to a time.
func (t *timeline) shift(dts media.Time) media.Time {
	if dts < t.cut {
		return t.before
	}
	return t.offset
}

// origin is where a session's time begins: late enough that sound which comes a
// little before the first picture does not fall below zero.
const origin = media.Time(10 * time.Second)
