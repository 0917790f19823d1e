package media

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
)

func TestOpusDurationFollowsTheTOC(t *testing.T) {
	for _, c := range []struct {
		name   string
		packet []byte
		want   int // samples at 48 kHz; 0: malformed
	}{
		{"empty", nil, 0},
		{"SILK 10 ms", []byte{0 << 3}, 480},
		{"SILK 60 ms", []byte{3 << 3}, 2880},
		{"hybrid 20 ms", []byte{13 << 3}, 960},
		{"CELT 2.5 ms", []byte{16 << 3}, 120},
		{"CELT 20 ms", []byte{31 << 3}, 960},
		{"two frames", []byte{31<<3 | 1}, 1920},
		{"six frames", []byte{31<<3 | 3, 6}, 5760},
		{"no frames", []byte{31<<3 | 3, 0}, 0},
		{"count missing", []byte{31<<3 | 3}, 0},
		{"more than 120 ms", []byte{31<<3 | 3, 7}, 0},
	} {
		got, err := OpusSamples(c.packet)
		if got != c.want || (err != nil) != (c.want == 0) || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %d, %v", c.name, got, err)
		}
	}
}

func adtsOf(t testing.TB, units ...[]byte) []byte {
	t.Helper()
	var ps mpeg4audio.ADTSPackets
	for _, u := range units {
		ps = append(ps, &mpeg4audio.ADTSPacket{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000, ChannelCount: 2, AU: u})
	}
	b, err := ps.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestADTSIsSplitAtAnyCutAndAfterRubbish(t *testing.T) {
	units := [][]byte{body(1, 100), body(2, 333), body(3, 7)}
	data := adtsOf(t, units...)
	for cut := range len(data) {
		a := SplitADTS(data[:cut])
		b := SplitADTS(append(bytes.Clone(a.Rest), data[cut:]...))
		if got := append(a.Units, b.Units...); !equalUnits(got, units) || a.Lost+b.Lost != 0 || len(b.Rest) != 0 {
			t.Fatalf("cut at %d: %d units, %d lost, %d left", cut, len(got), a.Lost+b.Lost, len(b.Rest))
		}
	}
	rubbish := append([]byte{1, 0xff, 0x21, 2, 0xff}, data...)
	a := SplitADTS(rubbish)
	if !equalUnits(a.Units, units) || a.Lost != 5 {
		t.Fatalf("%d units, %d lost", len(a.Units), a.Lost)
	}
	// A header by chance asks for up to 8191 bytes, and is given up when they are there.
	chance := append([]byte{0xff, 0xf1, 0x50, 0x83, 0xff, 0xff, 0xfc}, bytes.Repeat(data, 20)...)
	if b := SplitADTS(chance); len(b.Units) != 3*20 || b.Lost != 7 {
		t.Errorf("after a header by chance: %d units, %d lost", len(b.Units), b.Lost)
	}
	f, err := AACFormat(a.Config)
	if err != nil || f.Rate != 48000 || f.ClockRate != 48000 || f.Channels != 2 || f.Profile != "LC" {
		t.Errorf("%+v, %v", f, err)
	}
	if d := UnitDuration(f, a.Units[0]); d != time.Duration(FromTicks(1024, 48000)) {
		t.Errorf("duration %v", d)
	}
}

func TestMPEGAudioIsSplitAtAnyCutAndAfterRubbish(t *testing.T) {
	units := [][]byte{body(1, 768, 0xff, 0xfd, 0xc4, 0), body(2, 768, 0xff, 0xfd, 0xc4, 0)}
	data := bytes.Join(units, nil)
	for cut := range len(data) {
		a, rest, lost := SplitMPEGAudio(data[:cut])
		b, left, more := SplitMPEGAudio(append(bytes.Clone(rest), data[cut:]...))
		if got := append(a, b...); !equalUnits(got, units) || lost+more != 0 || len(left) != 0 {
			t.Fatalf("cut at %d: %d units, %d lost", cut, len(got), lost+more)
		}
	}
	got, _, lost := SplitMPEGAudio(append([]byte{0xff, 0xff, 1, 2}, data...))
	if !equalUnits(got, units) || lost != 4 {
		t.Errorf("%d units, %d lost", len(got), lost)
	}
	f, err := MPEGAudioFormat(units[0])
	if err != nil || f.Rate != 48000 || f.Channels != 2 || f.Profile != "Layer 2" || UnitDuration(f, units[0]) != 24*time.Millisecond {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestAudioConfigThatIsCutIsMalformed(t *testing.T) {
	for _, in := range [][]byte{nil, {0x11}, {0xff, 0xff, 0xff}} {
		if _, err := AACFormat(in); !errors.Is(err, ErrMalformed) {
			t.Errorf("%x: %v", in, err)
		}
	}
	if _, err := MPEGAudioFormat([]byte{0xff, 0xff}); !errors.Is(err, ErrMalformed) {
		t.Errorf("MPEG audio: %v", err)
	}
}

// TestH265KeyFramesAgreeWithFFprobe encodes a real stream and compares.
func TestH265KeyFramesAgreeWithFFprobe(t *testing.T) {
	for _, c := range []struct{ name, params string }{
		{"IDR", "keyint=10:min-keyint=10:bframes=2:open-gop=0:log-level=none"},
		{"open GOP", "keyint=10:min-keyint=10:bframes=2:open-gop=1:log-level=none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := encode(t, "hevc", "-c:v", "libx265", "-x265-params", c.params)
			units := SplitAnnexB(mustRead(t, file))
			f, err := H265Format(units)
			if err != nil || f.Width != 320 || f.Height != 240 || f.FPS != 25 || !f.Reordered || f.Profile != "Main" || len(f.Params) < 3 {
				t.Errorf("%+v, %v", f, err)
			}
			var got []bool
			var cur [][]byte
			sliced := false
			for _, u := range append(units, []byte{0x46, 1}) {
				vcl := H265Type(u) <= H265LastSlice
				if sliced && (!vcl || u[2]&0x80 != 0) {
					sync, _ := H265Sync(cur)
					got, cur, sliced = append(got, sync), nil, false
				}
				cur = append(cur, u)
				sliced = sliced || vcl
			}
			want := probeKeys(t, file)
			if len(got) != len(want) {
				t.Fatalf("%d access units, ffprobe saw %d", len(got), len(want))
			}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("access unit %d: sync %v, ffprobe %v", i, got[i], want[i])
				}
			}
		})
	}
}

func FuzzSplitAudio(f *testing.F) {
	f.Add(adtsOf(f, body(1, 20), body(2, 30)))
	f.Add(body(1, 768, 0xff, 0xfd, 0xc4, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		a := SplitADTS(data)
		if n := len(a.Rest) + a.Lost + 7*len(a.Units); n > len(data) {
			t.Errorf("%d of %d bytes accounted for", n, len(data))
		}
		units, rest, lost := SplitMPEGAudio(data)
		if n := (&Frame{Units: units}).Size() + len(rest) + lost; n != len(data) {
			t.Errorf("%d of %d bytes accounted for", n, len(data))
		}
		_, _ = OpusSamples(data)
		_, _ = AACFormat(data)
		_, _ = MPEGAudioFormat(data)
	})
}

func FuzzH265Format(f *testing.F) {
	f.Add([]byte{0x42, 1, 1, 1, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x3c, 0xa0, 0x0a, 8, 0x0f, 0x16, 0x59, 0x59, 0xa4, 0x93, 0x2b, 0xff})
	f.Fuzz(func(t *testing.T, sps []byte) {
		if got, err := H265Format([][]byte{sps}); err == nil && (got.Width <= 0 || got.Height <= 0 || got.FPS < 0) {
			t.Errorf("%+v", got)
		}
	})
}
