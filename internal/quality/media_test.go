package quality

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The streams below are as long as this; their fault lies between the two times.
const (
	streamLength = 32 * time.Second
	faultFrom    = 9 * time.Second
	faultTo      = 24 * time.Second
	// foundWithin is what the issue asks for, overWithin how long an alarm may outlive its fault.
	foundWithin = 10 * time.Second
	overWithin  = 6 * time.Second
)

const (
	moving = "testsrc2=r=25:s="
	speech = "aevalsrc='0.12*sin(700*t*(1+0.3*sin(3*t)))*gt(mod(t,2.3),0.5)|0.1*sin(500*t)*gt(mod(t,2.3),0.5)':s=48000"
)

// made returns a transport stream that ffmpeg makes of a picture and a sound.
func made(t *testing.T, picture, filter, sound string, codecs ...string) string {
	t.Helper()
	return madeFor(t, streamLength, picture, filter, sound, codecs...)
}

func madeFor(t *testing.T, length time.Duration, picture, filter, sound string, codecs ...string) string {
	t.Helper()
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("ffmpeg is not installed: it makes the media of this test")
	}
	file := filepath.Join(t.TempDir(), "made.ts")
	args := []string{
		"-hide_banner", "-loglevel", "error", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound,
		"-t", fmt.Sprint(length.Seconds()), "-vf", filter, "-threads", "2",
	}
	args = append(append(args, codecs...), "-ac", "2", "-y", file)
	if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return file
}

// ran is what a stream led to.
type ran struct {
	changes []Change
	report  Report
	stats   Stats
}

// first returns when an alarm began, and when it ended, on the stream's clock.
func (r ran) first(a Alarm) (from, to time.Duration) {
	for _, c := range r.changes {
		if c.Alarm != a {
			continue
		}
		if d := time.Duration(c.At.UnixNano()); c.Raised && from == 0 {
			from = d
		} else if !c.Raised && to == 0 {
			to = d
		}
	}
	return from, to
}

// watchFile runs the service over a file with the file's own clock instead of the
// wall's: as if it were live, and as fast as it can be decoded.
func watchFile(t *testing.T, cfg Config, file string) ran {
	t.Helper()
	return watchFiles(t, cfg, file)[0]
}

func TestFaultsOfPictureAndSoundAreFoundWithinTenSecondsAndCleared(t *testing.T) {
	h264 := []string{"-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-b:v", "1500k", "-maxrate", "1500k", "-bufsize", "750k"}
	mp2 := []string{"-c:a", "mp2", "-b:a", "192k"}
	aac := []string{"-c:a", "aac", "-b:a", "96k"}
	with := func(parts ...[]string) (out []string) {
		for _, p := range parts {
			out = append(out, p...)
		}
		return out
	}
	const fault = "between(t,9,24)"
	for _, c := range []struct {
		name                   string
		picture, filter, sound string
		codecs                 []string
		want                   Alarm // empty: none at all
	}{
		{"black in H.264", moving + "352x288", "drawbox=enable='" + fault + "':color=black:t=fill", speech, with(h264, mp2), Black},
		{"black in interlaced MPEG-2", moving + "720x576", "drawbox=enable='" + fault + "':color=black:t=fill,setsar=16/15", speech,
			with([]string{"-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-g", "12", "-bf", "2", "-b:v", "3M"}, aac), Black},
		{"frozen in H.264 with open GOPs", moving + "352x288", "loop=loop=375:size=1:start=225,setpts=N/25/TB", speech,
			with([]string{"-c:v", "libx264", "-preset", "superfast", "-x264-params", "open-gop=1:keyint=25:min-keyint=25:interlaced=1", "-b:v", "1500k"}, aac), Frozen},
		{"frozen in MPEG-2", moving + "352x288", "loop=loop=375:size=1:start=225,setpts=N/25/TB", speech,
			with([]string{"-c:v", "mpeg2video", "-g", "12", "-bf", "2", "-b:v", "1500k", "-maxrate", "1500k", "-bufsize", "800k"}, mp2), Frozen},
		{"frozen in HEVC", moving + "352x288", "loop=loop=375:size=1:start=225,setpts=N/25/TB", speech,
			with([]string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=25:open-gop=1", "-b:v", "800k"}, aac), Frozen},
		{"digital silence in MP2", moving + "352x288", "null", "aevalsrc='0.1*sin(700*t)*(1-" + fault + ")|0.1*sin(500*t)*(1-" + fault + ")':s=48000", with(h264, mp2), Silent},
		{"digital silence in AAC", moving + "352x288", "null", "aevalsrc='0.1*sin(700*t)*(1-" + fault + ")':s=48000", with(h264, aac), Silent},
		{"noise at -70 dBFS in AC-3", moving + "352x288", "null", "aevalsrc='if(" + fault + ",0.00055*(2*random(0)-1),0.1*sin(700*t))':s=48000",
			with(h264, []string{"-c:a", "ac3", "-b:a", "192k"}), Silent},
		{"noise at -70 dBFS in MP2", moving + "352x288", "null", "aevalsrc='if(" + fault + ",0.00055*(2*random(0)-1),0.1*sin(700*t))':s=48000", with(h264, mp2), Silent},
		{"too loud", moving + "352x288", "null", "aevalsrc='if(" + fault + ",0.7,0.05)*sin(2000*t)|if(" + fault + ",0.7,0.05)*sin(2100*t)':s=48000", with(h264, aac), Loud},

		{"a dark scene with a subtitle", "color=c=0x161616:r=25:s=352x288", "noise=alls=6:allf=t,drawbox=x=100:y=240:w=6:h=20:c=white:t=fill,drawbox=x=120:y=240:w=6:h=20:c=white:t=fill,drawbox=x=140:y=240:w=20:h=4:c=white:t=fill,drawbox=x=170:y=240:w=6:h=20:c=white:t=fill",
			speech, with(h264, mp2), ""},
		{"a test card with a clock", "color=c=white:s=14x20:r=25[hand];smptebars=r=25:s=720x576[card];[card][hand]overlay=x='300+20*mod(floor(t)\\,6)':y=500:eval=frame", "null",
			speech, with(h264, mp2), ""},
		{"quiet speech with pauses", moving + "352x288", "null", "aevalsrc='0.008*(2*random(0)-1)*gt(mod(t,2.6),1.1)':s=48000", with(h264, aac), ""},
		{"a lively programme", moving + "352x288", "noise=alls=10:allf=t", speech, with(h264, mp2), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			length := streamLength
			if c.want == "" {
				length /= 2
			}
			r := watchFile(t, DefaultConfig(), madeFor(t, length, c.picture, c.filter, c.sound, c.codecs...))
			t.Logf("%v; %d samples, %d failed, loudness %.1f LUFS", r.changes, r.stats.Samples, r.stats.Failures, r.report.Loudness)
			if r.stats.Failures > 0 || r.report.Judged != byDecoding || r.report.ThumbnailAt.IsZero() || !r.report.Heard {
				t.Errorf("not decoded: %+v %+v", r.stats, r.report)
			}
			for _, ch := range r.changes {
				if ch.Alarm != c.want {
					t.Errorf("false alarm: %v", ch)
				}
			}
			if c.want == "" {
				return
			}
			r.inTime(t, c.want, foundWithin)
		})
	}
}

// inTime checks that an alarm was raised so long after the fault began, and cleared
// after it was over.
func (r ran) inTime(t *testing.T, a Alarm, within time.Duration) {
	t.Helper()
	from, to := r.first(a)
	if from < faultFrom || from > faultFrom+within {
		t.Errorf("found %v after the fault began", from-faultFrom)
	}
	if to < faultTo || to > faultTo+overWithin {
		t.Errorf("cleared %v after the fault was over", to-faultTo)
	}
	t.Logf("found after %v, cleared after %v", from-faultFrom, to-faultTo)
}

// TestWithoutDecoderTheCodedStreamIsJudged takes ffmpeg away after it made the streams.
func TestWithoutDecoderTheCodedStreamIsJudged(t *testing.T) {
	h264 := []string{"-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-b:v", "1500k", "-maxrate", "1500k", "-bufsize", "750k", "-c:a", "mp2", "-b:a", "192k"}
	const fault = "between(t,9,24)"
	cfg := DefaultConfig()
	cfg.FFmpeg = ""
	for _, c := range []struct {
		name, filter, sound string
		want                Alarm
	}{
		{"black", "drawbox=enable='" + fault + "':color=black:t=fill", speech, Black},
		{"frozen", "loop=loop=375:size=1:start=225,setpts=N/25/TB", speech, Frozen},
		{"silent", "null", "aevalsrc='if(" + fault + ",0.00055*(2*random(0)-1),0.1*sin(700*t))':s=48000", Silent},
		{"nothing", "null", speech, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := watchFile(t, cfg, made(t, moving+"352x288", c.filter, c.sound, h264...))
			if r.report.Judged != byCoded || !r.report.ThumbnailAt.IsZero() || r.report.Heard {
				t.Errorf("%+v", r.report)
			}
			for _, ch := range r.changes {
				if ch.Alarm != c.want {
					t.Errorf("false alarm: %v", ch)
				}
			}
			if c.want != "" {
				r.inTime(t, c.want, 12*time.Second)
			}
		})
	}
}

// TestOneDecoderServesChannelsOfDifferentSizesAndOpenGOPs gives one child pictures of
// several channels in turn: each thumbnail must be its own channel's.
func TestOneDecoderServesChannelsOfDifferentSizesAndOpenGOPs(t *testing.T) {
	sound := []string{"-c:a", "mp2", "-b:a", "128k"}
	colour := func(c, size string) string { return "color=c=" + c + ":r=25:s=" + size }
	files := []string{
		madeFor(t, 8*time.Second, colour("0x404040", "720x576"), "noise=alls=20:allf=t,setsar=16/15", speech, append([]string{"-c:v", "libx264", "-preset", "ultrafast", "-g", "25"}, sound...)...),
		madeFor(t, 8*time.Second, colour("0x808080", "640x360"), "noise=alls=20:allf=t", speech, append([]string{"-c:v", "libx264", "-preset", "superfast", "-x264-params", "open-gop=1:keyint=25:min-keyint=25:bframes=3"}, sound...)...),
		madeFor(t, 8*time.Second, colour("0xC0C0C0", "352x288"), "noise=alls=20:allf=t,setsar=64/45", speech, append([]string{"-c:v", "libx264", "-preset", "ultrafast", "-x264-params", "interlaced=1:keyint=12"}, sound...)...),
	}
	got := watchFiles(t, DefaultConfig(), files...)
	bars := float64(240*180) / lumaSize // 720 by 576 with these samples is 4:3
	for i, want := range []float64{(16+0.25*219)*bars + 16*(1-bars), 16 + 0.5*219, (16+0.75*219)*312/320 + 16.0*8/320} {
		r := got[i].report
		if r.Luma < want-3 || r.Luma > want+3 {
			t.Errorf("channel %d: mean luma %.1f, want %.1f", i, r.Luma, want)
		}
		if got[i].stats.Failures > 0 || got[i].stats.Starts > 2 {
			t.Errorf("%+v", got[i].stats)
		}
	}
}
