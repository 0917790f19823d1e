package transcode

import (
	"testing"

	"tongxiang/internal/media"
)

func TestPicturesOnAirKeepTheirShapeAndFit(t *testing.T) {
	for _, c := range []struct{ w, h, width, height int }{
		{640, 360, 640, 360},
		{641, 361, 640, 360},
		{1280, 720, 1280, 720},
		{1920, 1080, 1280, 720},
		{1920, 1200, 1152, 720},
		{720, 1280, 720, 1280},
		{1080, 1920, 720, 1280},
		{3440, 1440, 1280, 534},
		{1, 1, 2, 2},
		{16383, 1, 1280, 2},
	} {
		if w, h := canvas(c.w, c.h); w != c.width || h != c.height {
			t.Errorf("%dx%d goes out as %dx%d, want %dx%d", c.w, c.h, w, h, c.width, c.height)
		}
	}
}

func TestABrokenKeyFrameBeginsNoPicture(t *testing.T) {
	for _, units := range [][][]byte{nil, {{}}, {{0, 0, 0, 1, 2, 3, 0, 0, 0, 0}}, {{1, 2, 3}}} {
		if _, _, err := vp8Canvas(&media.Frame{Units: units, Sync: true}); err == nil {
			t.Errorf("%v is taken for a key frame", units)
		}
	}
}
