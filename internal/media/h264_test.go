package media

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// Parameter sets of real encoders.
var (
	// OpenH264 in Chromium, 640x360, Constrained Baseline without VUI limits.
	spsBaseline = []byte{0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x50, 0x17, 0xfc, 0xb0, 0x0f, 0x08, 0x84, 0x6a}
	ppsBaseline = []byte{0x68, 0xce, 0x3c, 0x80}
	idrSlice    = []byte{0x65, 0x88, 0x84, 0x00, 0x10, 0xff, 0xfe}
	pSlice      = []byte{0x41, 0x9a, 0x24, 0x6c, 0x41}       // first_mb 0, slice_type 5 (P)
	iSlice      = []byte{0x61, 0x88, 0x84, 0x21, 0xa0, 0x0f} // first_mb 0, slice_type 7 (I), not IDR
	laterSlice  = []byte{0x41, 0x40, 0x9a, 0x24, 0x6c}       // first_mb 1: not the start of a picture
	seiRecovery = []byte{0x06, 0x06, 0x01, 0xc4, 0x80}       // recovery_frame_cnt 0
	seiRefresh  = []byte{0x06, 0x06, 0x01, 0x24, 0x80}       // recovery_frame_cnt 3
	seiUser     = []byte{0x06, 0x05, 0x04, 0x06, 0x01, 0x84, 0x40, 0x80}
	// user data with emulation prevention, whose payload size counts bytes
	// without it, and only then the recovery point
	seiEscaped = []byte{0x06, 0x05, 0x05, 0x00, 0x00, 0x03, 0x01, 0x00, 0x01, 0x06, 0x01, 0xc4, 0x80}
	aud        = []byte{0x09, 0xf0}
)

func TestAnnexBAndAVCCRoundTrip(t *testing.T) {
	units := [][]byte{spsBaseline, ppsBaseline, idrSlice}
	if got := SplitAnnexB(JoinAnnexB(units)); !equalUnits(got, units) {
		t.Errorf("annex B: %x", got)
	}
	got, err := SplitAVCC(JoinAVCC(units))
	if err != nil || !equalUnits(got, units) {
		t.Errorf("AVCC: %x, %v", got, err)
	}
}

func TestAnnexBSplitsAtEveryKindOfStartCode(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"empty", "", nil},
		{"no start code", "\x67\x42", nil},
		{"three bytes", "\x00\x00\x01\x67\x00\x00\x01\x68", []string{"\x67", "\x68"}},
		{"four bytes", "\x00\x00\x00\x01\x67\x00\x00\x00\x01\x68", []string{"\x67", "\x68"}},
		{"trailing zeros", "\x00\x00\x01\x67\x00\x00\x00\x00\x00\x01\x68\x00", []string{"\x67", "\x68"}},
		{"leading bytes", "\xff\x00\x00\x01\x67", []string{"\x67"}},
		{"empty units", "\x00\x00\x01\x00\x00\x01\x68", []string{"\x68"}},
	} {
		var got []string
		for _, u := range SplitAnnexB([]byte(c.in)) {
			got = append(got, string(u))
		}
		if strings.Join(got, "|") != strings.Join(c.want, "|") {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestAVCCWithWrongLengthIsMalformed(t *testing.T) {
	for _, in := range [][]byte{{0, 0, 0}, {0, 0, 0, 2, 1}, {0xff, 0xff, 0xff, 0xff, 1}} {
		if _, err := SplitAVCC(in); !errors.Is(err, ErrMalformed) {
			t.Errorf("%x: %v", in, err)
		}
	}
}

func TestH264SyncFindsWhereDecodingCanStart(t *testing.T) {
	for _, c := range []struct {
		name      string
		units     [][]byte
		sync, idr bool
	}{
		{"nothing", nil, false, false},
		{"IDR", [][]byte{idrSlice}, true, true},
		{"IDR with sets", [][]byte{aud, spsBaseline, ppsBaseline, idrSlice}, true, true},
		{"P", [][]byte{pSlice}, false, false},
		{"P with user data that looks like a recovery point", [][]byte{seiUser, pSlice}, false, false},
		{"I alone may be referred across", [][]byte{iSlice}, false, false},
		{"I with recovery point", [][]byte{seiRecovery, iSlice}, true, false},
		{"recovery point behind escaped user data", [][]byte{seiEscaped, iSlice}, true, false},
		{"P with exact recovery point is a lie", [][]byte{seiRecovery, pSlice}, false, false},
		{"gradual refresh", [][]byte{seiRefresh, pSlice}, true, false},
		{"I with SPS", [][]byte{spsBaseline, ppsBaseline, iSlice}, true, false},
		{"P with SPS", [][]byte{spsBaseline, ppsBaseline, pSlice}, false, false},
		{"I field with its P field", [][]byte{seiRecovery, iSlice, pSlice}, true, false},
		{"sets alone are no picture", [][]byte{spsBaseline, ppsBaseline}, false, false},
		{"empty units", [][]byte{{}, {0x06}, {0x41}}, false, false},
	} {
		if sync, idr := H264Sync(c.units); sync != c.sync || idr != c.idr {
			t.Errorf("%s: sync %v idr %v", c.name, sync, idr)
		}
	}
}

func TestH264FormatReadsTheSPS(t *testing.T) {
	f, err := H264Format([][]byte{spsBaseline, ppsBaseline})
	if err != nil {
		t.Fatal(err)
	}
	if f.Width != 640 || f.Height != 360 || f.Profile != "Constrained Baseline" || f.Reordered || f.Interlaced || len(f.Params) != 2 {
		t.Errorf("%+v", f)
	}
	if _, err := H264Format([][]byte{ppsBaseline}); !errors.Is(err, ErrMalformed) {
		t.Errorf("without SPS: %v", err)
	}
	if _, err := H264Format([][]byte{{0x67, 0x42}}); !errors.Is(err, ErrMalformed) {
		t.Errorf("cut SPS: %v", err)
	}
}

func TestReorderingIsInferredWhereTheSPSIsSilent(t *testing.T) {
	vui := func(n uint32) *h264.SPS_VUI {
		return &h264.SPS_VUI{BitstreamRestriction: &h264.SPS_BitstreamRestriction{MaxNumReorderFrames: n}}
	}
	for _, c := range []struct {
		name  string
		sps   h264.SPS
		depth int
		known bool
	}{
		{"declared", h264.SPS{ProfileIdc: 100, VUI: vui(2)}, 2, true},
		{"declared as none, as cameras with High do", h264.SPS{ProfileIdc: 100, VUI: vui(0)}, 0, true},
		{"declared beyond any buffer", h264.SPS{ProfileIdc: 100, VUI: vui(1 << 30)}, 16, true},
		{"High, silent", h264.SPS{ProfileIdc: 100, VUI: &h264.SPS_VUI{}}, 0, false},
		{"Main, silent", h264.SPS{ProfileIdc: 77}, 0, false},
		{"Baseline", h264.SPS{ProfileIdc: 66}, 0, true},
		{"Main that obeys Baseline", h264.SPS{ProfileIdc: 77, ConstraintSet0Flag: true}, 0, true},
		{"Constrained High", h264.SPS{ProfileIdc: 100, ConstraintSet4Flag: true, ConstraintSet5Flag: true}, 0, true},
		{"High 10 Intra", h264.SPS{ProfileIdc: 110, ConstraintSet3Flag: true}, 0, true},
		{"order count of type 2", h264.SPS{ProfileIdc: 100, PicOrderCntType: 2}, 0, true},
	} {
		if depth, known := h264Reorder(&c.sps); depth != c.depth || known != c.known {
			t.Errorf("%s: %d, %v", c.name, depth, known)
		}
	}
}

func TestMissingParameterSetsArePutInFront(t *testing.T) {
	sets := [][]byte{spsBaseline, ppsBaseline}
	for _, c := range []struct {
		name     string
		in, want [][]byte
	}{
		{"none", [][]byte{idrSlice}, [][]byte{spsBaseline, ppsBaseline, idrSlice}},
		{"behind the delimiter", [][]byte{aud, idrSlice}, [][]byte{aud, spsBaseline, ppsBaseline, idrSlice}},
		{"complete", [][]byte{spsBaseline, ppsBaseline, idrSlice}, [][]byte{spsBaseline, ppsBaseline, idrSlice}},
		{"an SPS precedes its PPS", [][]byte{spsBaseline, idrSlice}, [][]byte{spsBaseline, ppsBaseline, idrSlice}},
	} {
		got := WithParameterSets(H264, c.in, sets)
		if !equalUnits(got, c.want) {
			t.Errorf("%s: %x", c.name, got)
		}
	}
}

func TestKnownParameterSetsAreBoundedAndReplaced(t *testing.T) {
	s := parameterSets{codec: H264}
	s.learn([][]byte{spsBaseline, ppsBaseline})
	for i := range 100 {
		s.learn([][]byte{{0x68, byte(i), 0x80}})
	}
	if len(s.sets) > maxParameterSets {
		t.Errorf("%d sets kept", len(s.sets))
	}
	other := append(bytes.Clone(spsBaseline), 1)
	s.learn([][]byte{other, ppsBaseline})
	if !equalUnits(s.sets, [][]byte{other, ppsBaseline}) {
		t.Errorf("after a new SPS: %x", s.sets)
	}
}

// TestKeyFramesAgreeWithFFprobe encodes real streams and compares.
func TestKeyFramesAgreeWithFFprobe(t *testing.T) {
	for _, c := range []struct {
		name        string
		args        []string
		reordered   bool
		interlaced  bool
		profile     string
		onlyFirstID bool
	}{
		{"no B-frames", []string{"-c:v", "libx264", "-profile:v", "baseline", "-bf", "0", "-g", "10"}, false, false, "Constrained Baseline", false},
		{"B-frames", []string{"-c:v", "libx264", "-bf", "2", "-g", "10"}, true, false, "High", false},
		{"open GOP", []string{"-c:v", "libx264", "-bf", "2", "-g", "10", "-x264-params", "open-gop=1"}, true, false, "High", true},
		{"interlaced", []string{"-c:v", "libx264", "-bf", "2", "-g", "10", "-flags", "+ildct+ilme", "-x264-params", "tff=1"}, true, true, "High", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := encode(t, "h264", c.args...)
			units := SplitAnnexB(mustRead(t, file))
			f, err := H264Format(units)
			if err != nil {
				t.Fatal(err)
			}
			if f.Width != 320 || f.Height != 240 || f.FPS != 25 || f.Reordered != c.reordered || f.Interlaced != c.interlaced || f.Profile != c.profile {
				t.Errorf("format %+v", f)
			}
			want := probeKeys(t, file)
			aus := accessUnits(units)
			if len(aus) != len(want) {
				t.Fatalf("%d access units, ffprobe saw %d", len(aus), len(want))
			}
			syncs, idrs := 0, 0
			for i, au := range aus {
				sync, idr := H264Sync(au)
				if sync != want[i] {
					t.Errorf("access unit %d: sync %v, ffprobe %v", i, sync, want[i])
				}
				if sync {
					syncs++
				}
				if idr {
					idrs++
				}
			}
			if syncs < 3 || c.onlyFirstID && idrs != 1 || !c.onlyFirstID && idrs != syncs {
				t.Errorf("%d sync points, %d IDR", syncs, idrs)
			}
		})
	}
}

// accessUnits groups slices by first_mb_in_slice, which is enough for x264's output.
func accessUnits(units [][]byte) [][][]byte {
	var aus [][][]byte
	var cur [][]byte
	sliced := false
	for _, u := range units {
		typ := H264Type(u)
		vcl := typ == H264Slice || typ == H264IDR
		if sliced && (!vcl || u[1]&0x80 != 0) {
			aus, cur, sliced = append(aus, cur), nil, false
		}
		cur = append(cur, u)
		sliced = sliced || vcl
	}
	return append(aus, cur)
}

// encode makes an elementary stream of 50 pictures, 320x240, 25 a second.
func encode(t testing.TB, ext string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed: ", err)
	}
	file := filepath.Join(t.TempDir(), "a."+ext)
	all := append([]string{"-v", "error", "-f", "lavfi", "-i", "testsrc=s=320x240:r=25:d=2", "-pix_fmt", "yuv420p", "-threads", "1"}, args...)
	out, err := exec.CommandContext(t.Context(), "ffmpeg", append(all, file)...).CombinedOutput()
	if strings.Contains(string(out), "Unknown encoder") {
		t.Skipf("this ffmpeg lacks an encoder: %s", out)
	}
	if err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	return file
}

// probeKeys returns the key flag of each packet.
func probeKeys(t *testing.T, file string) []bool {
	t.Helper()
	if _, err := exec.LookPath("ffprobe"); err != nil {
		t.Skip("ffprobe is not installed: ", err)
	}
	out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=flags", "-of", "csv=p=0", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	var keys []bool
	for line := range strings.Lines(string(out)) {
		keys = append(keys, strings.HasPrefix(line, "K"))
	}
	return keys
}

func mustRead(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func equalUnits(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

func FuzzAnnexB(f *testing.F) {
	f.Add(JoinAnnexB([][]byte{aud, spsBaseline, ppsBaseline, seiEscaped, idrSlice}))
	f.Add([]byte{0, 0, 1, 0, 0, 0, 1, 6, 6, 255})
	f.Fuzz(func(t *testing.T, data []byte) {
		units := SplitAnnexB(data)
		H264Sync(units)
		H265Sync(units)
		if again := SplitAnnexB(JoinAnnexB(units)); !equalUnits(again, units) {
			t.Errorf("%x became %x", units, again)
		}
		if again, err := SplitAVCC(JoinAVCC(units)); err != nil || !equalUnits(again, units) {
			t.Errorf("AVCC: %x became %x, %v", units, again, err)
		}
		_, _ = SplitAVCC(data)
	})
}

func FuzzH264Format(f *testing.F) {
	f.Add(spsBaseline)
	f.Fuzz(func(t *testing.T, sps []byte) {
		if got, err := H264Format([][]byte{sps}); err == nil && (got.Width <= 0 || got.Height <= 0 || got.FPS < 0) {
			t.Errorf("%+v", got)
		}
	})
}
