package quality

import (
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"tongxiang/internal/media"
)

func tone(hz, amplitude float64, seconds float64) []int16 {
	out := make([]int16, 0, int(seconds*soundRate)*2)
	for i := range int(seconds * soundRate) {
		v := int16(amplitude * 32767 * math.Sin(2*math.Pi*hz*float64(i)/soundRate))
		out = append(out, v, v)
	}
	return out
}

// TestLoudnessIsThatOfTheStandard uses the levels that BS.1770 and EBU Tech 3341 give.
func TestLoudnessIsThatOfTheStandard(t *testing.T) {
	for _, c := range []struct {
		hz, amplitude float64
		lufs, rms     float64
	}{
		{997, 1, 0, -3.01}, // both channels; one alone would be -3.01
		{1000, math.Pow(10, -23.0/20), -23, -26.01},
		{1000, math.Pow(10, -33.0/20), -33, -36.01},
	} {
		l, ok := measure(tone(c.hz, c.amplitude, 0.5))
		if !ok || math.Abs(l.loudness-c.lufs) > 0.1 || math.Abs(l.rms-c.rms) > 0.1 {
			t.Errorf("%v Hz at %.3f: %.2f LUFS, %.2f dBFS; want %.2f, %.2f", c.hz, c.amplitude, l.loudness, l.rms, c.lufs, c.rms)
		}
	}
	if l, ok := measure(make([]int16, soundRate)); !ok || l.rms != silence || l.loudness != silence {
		t.Errorf("nothing has %+v", l)
	}
	if _, ok := measure(tone(1000, 1, 0.1)); ok {
		t.Error("a piece too short was measured")
	}
}

// TestSampledLoudnessAgreesWithFFmpegs compares with ffmpeg's ebur128 over the whole of
// a stream of noise, of which the service decodes an eighth.
func TestSampledLoudnessAgreesWithFFmpegs(t *testing.T) {
	file := made(t, moving+"352x288", "null", "anoisesrc=color=pink:amplitude=0.3:r=48000", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "mp2", "-b:a", "192k")
	out, err := exec.Command("ffmpeg", "-hide_banner", "-nostats", "-i", file, "-af", "ebur128", "-vn", "-f", "null", "-").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	all := regexp.MustCompile(`I:\s+(-?[\d.]+) LUFS`).FindAllSubmatch(out, -1)
	if len(all) == 0 {
		t.Fatalf("ffmpeg says no loudness: %s", out)
	}
	want, err := strconv.ParseFloat(string(all[len(all)-1][1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	r := watchFile(t, DefaultConfig(), file).report
	if math.Abs(r.Loudness-want) > 1 {
		t.Errorf("%.1f LUFS by samples, ffmpeg says %.1f", r.Loudness, want)
	}
}

// TestLevelOfLayerIIIsSeenWithoutDecoding compares the scale factors of what ffmpeg
// codes with the level that went in, at rates that use each of the four tables.
func TestLevelOfLayerIIIsSeenWithoutDecoding(t *testing.T) {
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("ffmpeg is not installed: it makes the media of this test")
	}
	for _, c := range []struct{ rate, kbps, channels int }{
		{48000, 192, 2}, {48000, 384, 2}, {44100, 256, 2}, {44100, 96, 2}, {48000, 64, 2}, {32000, 64, 2}, {32000, 192, 2}, {48000, 64, 1}, {32000, 32, 1},
	} {
		for _, db := range []float64{0, -20, -45, -200} {
			file := filepath.Join(t.TempDir(), "x.mp2")
			amplitude := math.Pow(10, db/20)
			if db < -100 {
				amplitude = 0
			}
			cmd := exec.Command(path, "-hide_banner", "-loglevel", "error", "-f", "lavfi", "-i", fmt.Sprintf("aevalsrc=%f*sin(2*PI*900*t):s=%d", amplitude, c.rate),
				"-t", "0.6", "-ac", fmt.Sprint(c.channels), "-c:a", "mp2", "-b:a", fmt.Sprintf("%dk", c.kbps), "-f", "mp2", "-y", file)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			b := read(t, file)
			size := 144 * c.kbps * 1000 / c.rate
			frames, sum := 0, 0.0
			for at := 0; at+size <= len(b); frames++ {
				level, ok := mp2Level(b[at:])
				if !ok {
					t.Fatalf("%+v: frame %d is not read", c, frames)
				}
				if frames == 5 {
					sum = level
				}
				at += size + int(b[at+2]>>1&1)
			}
			want := max(db, silence)
			if frames < 10 || sum < want-4 || sum > want+7 { // mono is spread over both channels at -3 dB
				t.Errorf("%+v: tone of %.0f dBFS has a band of %.1f (%d frames)", c, db, sum, frames)
			}
		}
	}
}

func TestUnitsOfSoundHaveTheLengthOfTheirCodec(t *testing.T) {
	for _, c := range []struct {
		f    media.Format
		want time.Duration
	}{
		{media.Format{Codec: media.MPEGAudio, Rate: 48000}, 24 * time.Millisecond},
		{media.Format{Codec: media.AC3, Rate: 48000}, 32 * time.Millisecond},
		{media.Format{Codec: media.AAC, Rate: 32000}, 32 * time.Millisecond},
		{media.Format{Codec: media.AAC}, 24 * time.Millisecond},
	} {
		if got := unitLength(c.f); got != c.want {
			t.Errorf("%+v: %v, want %v", c.f, got, c.want)
		}
	}
}

func FuzzMP2Level(f *testing.F) {
	f.Add([]byte{0xFF, 0xFD, 0xA4, 0x00, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30})
	f.Fuzz(func(t *testing.T, b []byte) {
		if level, ok := mp2Level(b); ok && (level > 7 || level < silence) {
			t.Errorf("level %v", level)
		}
	})
}
