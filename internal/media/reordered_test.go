package media

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestDecodeTimesOfRealStreamsAgreeWithTheirMuxer carries x264's pictures with only
// their PTS, as RTP does, and compares the DTS found with those that were muxed.
func TestDecodeTimesOfRealStreamsAgreeWithTheirMuxer(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
	}{
		{"two B-frames", []string{"-bf", "2", "-x264-params", "b-pyramid=none"}},
		{"pyramid", []string{"-bf", "3", "-x264-params", "b-pyramid=normal:b-adapt=0"}},
		{"open GOP", []string{"-bf", "2", "-x264-params", "open-gop=1"}},
		{"interlaced", []string{"-bf", "2", "-flags", "+ildct+ilme", "-x264-params", "tff=1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := encode(t, "mp4", append([]string{"-c:v", "libx264", "-g", "10"}, c.args...)...)
			raw := filepath.Join(t.TempDir(), "a.h264")
			if out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-i", file, "-c", "copy", raw).CombinedOutput(); err != nil {
				t.Fatalf("ffmpeg: %v\n%s", err, out)
			}
			units := SplitAnnexB(mustRead(t, raw))
			f, err := H264Format(units)
			if err != nil || !f.Reordered {
				t.Fatalf("%+v, %v", f, err)
			}
			pts, dts := probeTimes(t, file)
			aus := accessUnits(units)
			if len(aus) != len(pts) {
				t.Fatalf("%d access units, %d times", len(aus), len(pts))
			}
			var in []*Frame
			for i, au := range aus {
				sync, idr := H264Sync(au)
				in = append(in, &Frame{PTS: pts[i], Units: au, Sync: sync, IDR: idr})
			}
			out := framesOf(t, f, packetsOf(t, f, in))
			if len(out) != len(in) {
				t.Fatalf("%d frames of %d", len(out), len(in))
			}
			shift := out[0].DTS.Sub(dts[0])
			for i, fr := range out {
				if d := fr.DTS.Sub(dts[i]) - shift; d.Abs() > time.Millisecond {
					t.Errorf("picture %d: DTS %v off the muxer's", i, d)
				}
				if fr.DTS > fr.PTS || fr.PTS != pts[i] || fr.Sync != in[i].Sync {
					t.Errorf("picture %d: PTS %d, DTS %d", i, fr.PTS, fr.DTS)
				}
			}
		})
	}
}

func probeTimes(t *testing.T, file string) (pts, dts []Time) {
	t.Helper()
	if _, err := exec.LookPath("ffprobe"); err != nil {
		t.Skip("ffprobe is not installed: ", err)
	}
	out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time,dts_time", "-of", "csv=p=0", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		a, b, _ := strings.Cut(strings.Trim(line, ",\n"), ",")
		x, errX := strconv.ParseFloat(a, 64)
		y, errY := strconv.ParseFloat(b, 64)
		if errX != nil || errY != nil {
			t.Fatalf("ffprobe line %q", line)
		}
		pts, dts = append(pts, Time(x*1e9)), append(dts, Time(y*1e9))
	}
	return pts, dts
}
