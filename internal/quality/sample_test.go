package quality

import (
	"bytes"
	"os"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"tongxiang/internal/media"
)

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// h264Sets are parameter sets as encoders make them: x264 progressive with a VUI,
// interlaced with a sample aspect ratio, and without any VUI.
var h264Sets = [][]byte{
	{0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0xf1, 0x83, 0x19, 0x60},
	{0x67, 0x4d, 0x40, 0x28, 0xab, 0x60, 0x3c, 0x02, 0x23, 0xef, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0x2e, 0x94, 0x00, 0x35, 0x64, 0x06, 0xb2, 0x85, 0x08, 0x0e, 0xe2, 0xc5, 0x22, 0xc0},
}

// bareSet is a parameter set of 320 by 240 without a VUI.
func bareSet() []byte {
	var w bitWriter
	w.bits(0x67_42_C0_1E, 32)
	for _, v := range [...]uint32{0, 0, 0, 2, 1} {
		w.ue(v)
	}
	w.bit(0)
	w.ue(19)
	w.ue(14)
	w.bits(0b1100, 4)
	return escape(w.trail())
}

func TestHeadersOfH264SayThatNothingIsHeldBack(t *testing.T) {
	for i, u := range append(h264Sets[:len(h264Sets):len(h264Sets)], bareSet()) {
		var before, after h264.SPS
		if err := before.Unmarshal(u); err != nil {
			t.Fatalf("set %d: %v", i, err)
		}
		if err := after.Unmarshal(lowDelayH264(u)); err != nil {
			t.Fatalf("set %d: what was made of it: %v", i, err)
		}
		r := after.VUI.BitstreamRestriction
		if r == nil || r.MaxNumReorderFrames != 0 || after.Width() != before.Width() || after.Height() != before.Height() ||
			after.FrameMbsOnlyFlag != before.FrameMbsOnlyFlag || after.Log2MaxFrameNumMinus4 != before.Log2MaxFrameNumMinus4 ||
			after.PicOrderCntType != before.PicOrderCntType || after.MaxNumRefFrames != before.MaxNumRefFrames {
			t.Errorf("set %d: %+v became %+v", i, before, after)
		}
		if before.VUI != nil && before.VUI.SarWidth != after.VUI.SarWidth {
			t.Errorf("set %d: the shape of samples is lost", i)
		}
	}
	var w h264.SPS
	units := bytes.Split(wedge(), startCode)
	if err := w.Unmarshal(units[1]); err != nil || w.Width() != 16 || w.Height() != 16 {
		t.Errorf("wedge: %v, %d by %d", err, w.Width(), w.Height())
	}
}

var h265Set = []byte{
	0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x78, 0xa0, 0x03, 0xc0, 0x80, 0x10, 0xe5,
	0x96, 0x66, 0x69, 0x24, 0xca, 0xe0, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x01, 0xe0, 0x80,
}

func TestHeadersOfH265SayThatNothingIsHeldBack(t *testing.T) {
	var before, after h265.SPS
	if err := before.Unmarshal(h265Set); err != nil {
		t.Fatal(err)
	}
	if err := after.Unmarshal(lowDelayH265(h265Set)); err != nil {
		t.Fatal(err)
	}
	if after.Width() != before.Width() || after.Height() != before.Height() || after.MaxNumReorderPics[0] != 0 || before.MaxNumReorderPics[0] == 0 {
		t.Errorf("%v reordered of %v, %d by %d", after.MaxNumReorderPics, before.MaxNumReorderPics, after.Width(), after.Height())
	}
}

func TestHeadersOfMPEG2SayThatNothingIsHeldBack(t *testing.T) {
	in := []byte{0, 0, 1, 0xB3, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 1, 0xB5, 0x14, 0x8A, 0, 1, 0, 0, 0, 0, 1, 0xB8}
	got := lowDelayMPEG2(in)
	if got[21] != 0x80 || in[21] != 0 {
		t.Errorf("% x", got)
	}
	got[21] = 0
	if !bytes.Equal(got, in) {
		t.Errorf("something else changed: % x", got)
	}
	if b := []byte{0, 0, 1, 0xB3}; &lowDelayMPEG2(b)[0] != &b[0] {
		t.Error("what has no extension was copied")
	}
}

func FuzzHeaders(f *testing.F) {
	for _, u := range h264Sets {
		f.Add(u)
	}
	f.Add(h265Set)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, out := range [][]byte{lowDelayH264(b), lowDelayH265(b), lowDelayMPEG2(b)} {
			if len(out) > 2*len(b)+64 {
				t.Fatalf("%d bytes became %d", len(b), len(out))
			}
		}
		for _, c := range []media.Codec{media.H264, media.H265, media.MPEG2Video} {
			pictureSample(c, &media.Frame{Units: [][]byte{b}})
		}
	})
}
