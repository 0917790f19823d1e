package recorder

import (
	"testing"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/playout/feed"
)

func TestARecordingFromARecoveryPointHasNoPicturesFromBeforeIt(t *testing.T) {
	ms := func(n int) media.Time { return media.Time(n) * media.Time(time.Millisecond) }
	c := newCutter([]media.Format{{Codec: media.H264}})
	// An open GOP at 25 a second in decoding order: I, two pictures shown before it, P, two between.
	for _, p := range []struct {
		dts, pts int
		sync     bool
	}{
		{0, 120, true}, {40, 40, false}, {80, 80, false},
		{120, 240, false}, {160, 160, false}, {200, 200, false},
		{240, 360, true}, {280, 280, false}, {320, 320, false}, // a later start: who plays on has what these refer to
	} {
		f := &media.Frame{DTS: ms(p.dts), PTS: ms(p.pts), Sync: p.sync, Units: [][]byte{{1}}}
		c.push(0, feed.Event{Frame: f}, func() []byte { return nil })
	}
	var shown []int64
	for _, s := range c.samplers[0].Flush(c.runs[0].Samples) {
		shown = append(shown, (s.DTS+int64(s.Shift))/90)
	}
	want := []int64{120, 240, 160, 200, 360, 280, 320}
	if len(shown) != len(want) {
		t.Fatalf("pictures are shown at %v, want %v", shown, want)
	}
	for i := range want {
		if shown[i] != want[i] {
			t.Fatalf("pictures are shown at %v, want %v", shown, want)
		}
	}
}
