package ingest

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

func TestLiveTransportStreamsBecomeFrames(t *testing.T) {
	needFFmpeg(t)
	for _, tc := range []struct {
		name     string
		encode   []string
		video    media.Codec
		audio    media.Codec
		playable Playable
		check    func(t *testing.T, f media.Format)
	}{
		{
			"H.264 with B-frames and AAC",
			[]string{"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25", "-c:a", "aac"},
			media.H264, media.AAC, PlayableDirect,
			func(t *testing.T, f media.Format) {
				if !f.Reordered {
					t.Error("B-frames are not seen")
				}
				if f.Width != 320 || f.Height != 240 || f.FPS != 25 || f.Interlaced {
					t.Errorf("format %+v", f)
				}
			},
		},
		{
			"interlaced H.264 and AC-3",
			[]string{"-c:v", "libx264", "-preset", "ultrafast", "-flags", "+ildct+ilme", "-x264opts", "tff=1", "-g", "25", "-c:a", "ac3"},
			media.H264, media.AC3, NeedsTranscoding,
			func(t *testing.T, f media.Format) {
				if !f.Interlaced {
					t.Error("fields are not seen")
				}
			},
		},
		{
			"MPEG-2 video and MP2",
			[]string{"-c:v", "mpeg2video", "-bf", "2", "-g", "12", "-c:a", "mp2"},
			media.MPEG2Video, media.MPEGAudio, NeedsTranscoding,
			func(t *testing.T, f media.Format) {
				if !f.Reordered || f.Width != 320 || f.Height != 240 || f.FPS != 25 || f.Profile != "Main" {
					t.Errorf("format %+v", f)
				}
			},
		},
		{
			"HEVC and Opus",
			[]string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=25", "-c:a", "libopus", "-ac", "2"},
			media.H265, media.Opus, NeedsTranscoding,
			func(t *testing.T, f media.Format) {
				if f.Width != 320 || f.Height != 240 {
					t.Errorf("format %+v", f)
				}
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHouse(t)
			port := freePort(t)
			h.add(ChannelConfig{ID: "c", Name: "测试", Source: fmt.Sprintf("udp://127.0.0.1:%d", port)})
			ffmpeg(t, args(picture(25), tone, tc.encode, []string{"-pix_fmt", "yuv420p", "-f", "mpegts", fmt.Sprintf("udp://127.0.0.1:%d?pkt_size=1316", port)})...)
			s := h.wait("c", "both tracks", func(s Status) bool {
				return s.State == Live && len(s.Formats) == 2 && s.Formats[0].Published && s.Formats[1].Published
			})
			if s.Formats[0].Format.Codec != tc.video || s.Formats[1].Format.Codec != tc.audio || s.Playable != tc.playable {
				t.Errorf("status %+v", s)
			}
			if s.Service != "Service01" || s.Provider != "FFmpeg" || s.Program != 1 {
				t.Errorf("service %q of %q, programme %d", s.Service, s.Provider, s.Program)
			}
			frames := h.follow("c", stream.LabelVideo, atLeast(40))
			for i, f := range frames {
				if i > 0 && f.DTS <= frames[i-1].DTS {
					t.Fatalf("DTS goes from %d to %d", frames[i-1].DTS, f.DTS)
				}
				if f.PTS < f.DTS || len(f.Units) == 0 || f.Arrival == 0 || f.Corrupt {
					t.Fatalf("frame %d: %+v", i, f)
				}
			}
			if !frames[0].Sync {
				t.Error("the first frame is no place to start")
			}
			s, _ = h.channels.Get("c")
			tc.check(t, s.Formats[0].Format)
			for i, f := range h.follow("c", stream.LabelAudio, atLeast(20)) {
				if !f.Sync || len(f.Units) == 0 {
					t.Fatalf("sound %d: %+v", i, f)
				}
			}
		})
	}
}

// TestTimesAreThoseThatFFprobeReads compares PTS and DTS of a whole file, picture
// and sound, with B-frames.
func TestTimesAreThoseThatFFprobeReads(t *testing.T) {
	needFFmpeg(t)
	file := filepath.Join(t.TempDir(), "a.ts")
	out, err := exec.CommandContext(t.Context(), "ffmpeg", args([]string{"-nostdin", "-loglevel", "error"},
		[]string{"-f", "lavfi", "-i", "testsrc2=size=320x240:rate=30000/1001", "-f", "lavfi", "-i", "sine=sample_rate=48000"},
		[]string{"-t", "3", "-c:v", "libx264", "-preset", "fast", "-bf", "3", "-g", "30", "-c:a", "aac", "-f", "mpegts", file})...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	h := newHouse(t)
	h.add(ChannelConfig{ID: "c", Source: "file://" + file + "?loop=0"})
	video, sound := ticks(t, h, stream.LabelVideo, 85)
	wantP, wantD := ffprobeTimes(t, file, "v:0")
	compareTimes(t, video, sound, wantP, wantD)
	audio, _ := ticks(t, h, stream.LabelAudio, 10)
	soundP, _ := ffprobeTimes(t, file, "a:0")
	// Several frames of sound share a frame of ours: each must be one of ffprobe's.
	offset := audio[0] - soundP[0]
	known := make(map[int64]bool)
	for _, p := range soundP {
		for d := int64(-1); d <= 1; d++ {
			known[p+offset+d] = true
		}
	}
	for i, p := range audio {
		if !known[p] {
			t.Errorf("sound %d at %d ticks is none of ffprobe's", i, p-offset)
		}
	}
	if shift := video[0] - wantP[0] - offset; shift < -1 || shift > 1 {
		t.Errorf("sound lies %d ticks off the picture", shift)
	}
}

func ticks(t *testing.T, h *house, label stream.Label, n int) (pts, dts []int64) {
	t.Helper()
	for _, f := range h.follow("c", label, atLeast(n)) {
		pts, dts = append(pts, f.PTS.Ticks(90000)), append(dts, f.DTS.Ticks(90000))
	}
	return pts, dts
}

func compareTimes(t *testing.T, pts, dts, wantP, wantD []int64) {
	t.Helper()
	if len(wantP) < len(pts) {
		t.Fatalf("%d frames, ffprobe has %d", len(pts), len(wantP))
	}
	for i := range pts {
		if p, w := pts[i]-dts[0], wantP[i]-wantD[0]; p-w > 1 || w-p > 1 {
			t.Fatalf("frame %d: PTS %d, ffprobe %d", i, p, w)
		}
		if d, w := dts[i]-dts[0], wantD[i]-wantD[0]; d-w > 1 || w-d > 1 {
			t.Fatalf("frame %d: DTS %d, ffprobe %d", i, d, w)
		}
	}
}

func TestSourceThatVanishesIsLostAndPlaysAgainOnTheSameTracks(t *testing.T) {
	needFFmpeg(t)
	h := newHouse(t)
	port := freePort(t)
	h.add(ChannelConfig{ID: "c", Source: fmt.Sprintf("udp://127.0.0.1:%d", port)})
	send := args(picture(25), tone, []string{"-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "aac", "-f", "mpegts", fmt.Sprintf("udp://127.0.0.1:%d?pkt_size=1316", port)})
	kill := ffmpeg(t, send...)
	live := func(s Status) bool { return s.State == Live && len(s.Formats) == 2 && s.Formats[1].Published }
	h.wait("c", "live", live)
	sub := h.hub.Open(stream.Channel("c"))
	defer sub.Close()
	before := sub.Tracks()
	kill()
	s := h.wait("c", "lost", func(s Status) bool { return s.State == Lost })
	if s.Reason.Code != "no_packets" || s.Reason.ZH == "" || s.Reason.EN == "" {
		t.Errorf("reason %+v", s.Reason)
	}
	if !sub.Published() || len(sub.Tracks()) != len(before) {
		t.Error("the channel stopped publishing while its source was away")
	}
	ffmpeg(t, send...)
	h.wait("c", "live again", live)
	gapped := func(frames []*media.Frame) bool {
		for _, f := range frames[min(1, len(frames)):] {
			if f.Gap {
				return true
			}
		}
		return false
	}
	frames := h.follow("c", stream.LabelVideo, gapped)
	for i, f := range frames {
		if i > 0 && f.DTS <= frames[i-1].DTS {
			t.Fatalf("time goes back from %d to %d", frames[i-1].DTS, f.DTS)
		}
	}
	after := sub.Tracks()
	if len(after) != len(before) || after[0] != before[0] || after[1] != before[1] {
		t.Error("the tracks are others than before: viewers had to begin anew")
	}
}

func TestOneProgrammeOfManyIsChosen(t *testing.T) {
	file := clip(t, 3, "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "mp2",
		"-map", "0:v", "-map", "1:a", "-map", "1:a", "-program", "title=甲:program_num=101:st=0:st=1", "-program", "title=乙:program_num=102:st=2")
	h := newHouse(t)
	h.add(ChannelConfig{ID: "first", Source: "file://" + file})
	h.add(ChannelConfig{ID: "radio", Source: "file://" + file, Program: 102})
	h.add(ChannelConfig{ID: "none", Source: "file://" + file, Program: 103})
	s := h.wait("first", "live", func(s Status) bool { return s.State == Live && len(s.Formats) == 2 })
	if s.Program != 101 || s.Service != "甲" {
		t.Errorf("%+v", s)
	}
	s = h.wait("radio", "live", func(s Status) bool { return s.State == Live && len(s.Formats) == 1 })
	if s.Program != 102 || s.Service != "乙" || s.Formats[0].Format.Codec != media.MPEGAudio {
		t.Errorf("%+v", s)
	}
	h.wait("none", "lost", func(s Status) bool { return s.State == Lost && s.Reason.Code == "no_media" })
}
