package mpegts

import (
	"bytes"
	"testing"

	"tongxiang/internal/media"
)

func TestAPictureOfToldLengthDoesNotWaitForTheNext(t *testing.T) {
	picture := func(n byte, size int) []byte {
		return append([]byte{0x41, 0x9A, n}, bytes.Repeat([]byte{0xAB}, size)...)
	}
	for _, tc := range []struct {
		name  string
		tell  bool
		whole bool
		size  int
		want  int // of three pictures, handed over before anything follows
	}{
		{"told and believed", true, true, 5000, 3},
		{"not told", false, true, 5000, 2},
		{"told and not believed, as of a broadcast", true, false, 5000, 2},
		{"too large to be told", true, true, 70000, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			w, err := NewWriter(&out, []media.Format{{Codec: media.H264}})
			if err != nil {
				t.Fatal(err)
			}
			if tc.tell {
				w.TellLengths()
			}
			for i := range 3 {
				units := [][]byte{picture(byte(i), tc.size)}
				if i == 0 {
					units = [][]byte{testSPS, testPPS, append([]byte{0x65}, picture(0, tc.size)[1:]...)}
				}
				at := media.FromTicks(90000+3600*int64(i), Ticks)
				if err := w.WriteFrame(0, &media.Frame{PTS: at, DTS: at, Units: units, Sync: i == 0}); err != nil {
					t.Fatal(err)
				}
			}
			var got []int64
			d := NewDemuxer(Handler{Whole: tc.whole, Frame: func(_ *Stream, f *media.Frame, at Times) {
				got = append(got, at.PTS)
				if n := len(f.Units[len(f.Units)-1]); n != tc.size+3 {
					t.Errorf("a picture of %d bytes, want %d", n, tc.size+3)
				}
			}})
			d.Feed(out.Bytes(), 1)
			if len(got) != tc.want {
				t.Errorf("%d pictures were handed over, want %d", len(got), tc.want)
			}
			for i, pts := range got {
				if pts != 90000+3600*int64(i) {
					t.Errorf("picture %d is at %d", i, pts)
				}
			}
		})
	}
}
