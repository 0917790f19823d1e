package mpegts

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"tongxiang/internal/media"
)

// coded writes a transport stream with ffmpeg and returns its path.
func coded(t *testing.T, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed: it codes the streams of this test")
	}
	file := filepath.Join(t.TempDir(), "coded.ts")
	out, err := exec.CommandContext(t.Context(), "ffmpeg", append(append([]string{"-nostdin", "-loglevel", "error"}, args...), "-f", "mpegts", file)...).CombinedOutput()
	if err != nil {
		t.Skipf("this ffmpeg cannot code it: %v: %s", err, out)
	}
	return file
}

// packetsOf returns the times of all access units as ffprobe finds them.
func packetsOf(t *testing.T, file string) []int64 {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ffprobe", "-loglevel", "error", "-show_entries", "packet=pts", "-of", "json", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	var probed struct {
		Packets []struct {
			PTS int64 `json:"pts"`
		} `json:"packets"`
	}
	if err := json.Unmarshal(out, &probed); err != nil {
		t.Fatal(err)
	}
	var pts []int64
	for _, p := range probed.Packets {
		pts = append(pts, p.PTS)
	}
	return pts
}

// TestEveryCodecIsReadAsFFmpegWritesIt: each stream type and descriptor with the
// frames and the times that ffprobe finds.
func TestEveryCodecIsReadAsFFmpegWritesIt(t *testing.T) {
	picture := []string{"-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25", "-t", "3", "-pix_fmt", "yuv420p"}
	sound := func(more ...string) []string {
		return append([]string{"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", "3", "-ac", "2"}, more...)
	}
	for _, tc := range []struct {
		name    string
		args    []string
		typ     byte
		codec   media.Codec
		samples int64 // of a frame
		check   func(media.Format) bool
	}{
		{"H.264 with B-frames", append(slices.Clone(picture), "-c:v", "libx264", "-bf", "3", "-g", "25"), 0x1B, media.H264, 0, func(f media.Format) bool { return f.Reordered && f.Width == 320 && f.FPS == 25 }},
		{"H.264 interlaced", append(slices.Clone(picture), "-c:v", "libx264", "-flags", "+ildct+ilme", "-g", "25"), 0x1B, media.H264, 0, func(f media.Format) bool { return f.Interlaced }},
		{"H.264 in slices", append(slices.Clone(picture), "-c:v", "libx264", "-x264-params", "slices=6", "-g", "25"), 0x1B, media.H264, 0, nil},
		{"H.265", append(slices.Clone(picture), "-c:v", "libx265", "-x265-params", "log-level=error:keyint=25"), 0x24, media.H265, 0, func(f media.Format) bool { return f.Width == 320 }},
		{"MPEG-2 with B-frames", append(slices.Clone(picture), "-c:v", "mpeg2video", "-bf", "2", "-g", "12"), 0x02, media.MPEG2Video, 0, func(f media.Format) bool { return f.Reordered && f.Profile == "Main" }},
		{"MPEG-2 interlaced", append(slices.Clone(picture), "-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-bf", "2"), 0x02, media.MPEG2Video, 0, func(f media.Format) bool { return f.Interlaced }},
		{"MPEG-1", append(slices.Clone(picture), "-c:v", "mpeg1video", "-bf", "2"), 0x02, media.MPEG2Video, 0, nil},
		{"MP2", sound("-c:a", "mp2"), 0x03, media.MPEGAudio, 1152, func(f media.Format) bool { return f.Rate == 48000 && f.Channels == 2 }},
		{"MP2 of MPEG-2", sound("-ar", "24000", "-c:a", "mp2", "-b:a", "64k"), 0x04, media.MPEGAudio, 1152, func(f media.Format) bool { return f.Rate == 24000 }},
		{"MP3", sound("-c:a", "libmp3lame"), 0x03, media.MPEGAudio, 1152, func(f media.Format) bool { return f.Profile == "Layer III" }},
		{"AAC in ADTS", sound("-c:a", "aac"), 0x0F, media.AAC, 1024, func(f media.Format) bool { return f.Rate == 48000 && f.Channels == 2 && len(f.Config) == 2 }},
		{"AAC in LATM", sound("-c:a", "aac", "-mpegts_flags", "latm"), 0x11, media.AAC, 1024, func(f media.Format) bool { return f.Rate == 48000 && f.Channels == 2 }},
		{"AC-3 of ATSC", sound("-c:a", "ac3"), 0x81, media.AC3, 1536, func(f media.Format) bool { return f.Rate == 48000 }},
		{"AC-3 of DVB", sound("-c:a", "ac3", "-mpegts_flags", "system_b"), 0x06, media.AC3, 1536, nil},
		{"E-AC-3 of ATSC", sound("-c:a", "eac3"), 0x87, media.EAC3, 1536, nil},
		{"E-AC-3 of DVB", sound("-c:a", "eac3", "-mpegts_flags", "system_b"), 0x06, media.EAC3, 1536, nil},
		{"Opus", sound("-c:a", "libopus"), 0x06, media.Opus, 960, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file := coded(t, tc.args...)
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var got []int64
			d := NewDemuxer(Handler{Frame: func(s *Stream, f *media.Frame, at Times) {
				if tc.samples == 0 {
					got = append(got, at.PTS)
					return
				}
				for i := range f.Units {
					got = append(got, at.PTS+int64(i)*tc.samples*Ticks/int64(s.Format.Rate))
				}
			}})
			d.Feed(data, 1)
			d.Flush()
			if s := d.Stats(); s.Continuity+s.CRCErrors+s.BadPES+s.BadUnits+s.BadSections != 0 {
				t.Errorf("%+v", s)
			}
			st := d.Services()[0].Streams[0]
			if st.Type != tc.typ || st.Codec != tc.codec || !st.Known {
				t.Errorf("stream type %#x, %s, known %t", st.Type, st.Codec, st.Known)
			}
			if tc.check != nil && !tc.check(st.Format) {
				t.Errorf("%+v", st.Format)
			}
			want := packetsOf(t, file)
			if len(got) != len(want) {
				t.Fatalf("%d access units, ffprobe finds %d", len(got), len(want))
			}
			for i := range got {
				if d := got[i] - want[i]; d < -2 || d > 2 {
					t.Fatalf("access unit %d at %d, ffprobe says %d", i, got[i], want[i])
				}
			}
		})
	}
}

// TestOpenGOPsHavePlacesToStart: x264 with open GOPs writes one IDR and recovery
// points, x265 one IDR and clean random access pictures.
func TestOpenGOPsHavePlacesToStart(t *testing.T) {
	for name, args := range map[string][]string{
		"H.264": {"-c:v", "libx264", "-bf", "2", "-x264-params", "open-gop=1:keyint=25:min-keyint=25:scenecut=0"},
		"H.265": {"-c:v", "libx265", "-x265-params", "log-level=error:open-gop=1:keyint=25:min-keyint=25:scenecut=0"},
	} {
		t.Run(name, func(t *testing.T) {
			file := coded(t, append([]string{"-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25", "-t", "8", "-pix_fmt", "yuv420p"}, args...)...)
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			pictures, last, starts, idrs := 0, 0, 0, 0
			d := NewDemuxer(Handler{Frame: func(_ *Stream, f *media.Frame, _ Times) {
				if f.Sync {
					if pictures-last > 25+3 { // in decoding order B-frames of the one before follow
						t.Errorf("picture %d: the place to start before it is %d pictures back", pictures, pictures-last)
					}
					last = pictures
					starts++
				}
				if f.IDR {
					idrs++
				}
				pictures++
			}})
			d.Feed(data, 1)
			d.Flush()
			if pictures != 200 || starts != 8 || idrs != 1 {
				t.Errorf("%d pictures, %d places to start, %d of them IDR", pictures, starts, idrs)
			}
		})
	}
}

// TestLATMMayChangeItsConfigurationAtAnyTime joins two streams in which StreamMuxConfig
// says different things, on one PID without any change of tables.
func TestLATMMayChangeItsConfigurationAtAnyTime(t *testing.T) {
	var all []byte
	for i, rate := range []string{"48000", "32000", "48000"} {
		file := coded(t, "-f", "lavfi", "-i", "sine=frequency=440:sample_rate="+rate, "-t", "2", "-ac", strconv.Itoa(2-i%2), "-c:a", "aac",
			"-mpegts_flags", "latm", "-output_ts_offset", strconv.Itoa(2*i))
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	var rates, channels []int
	frames := 0
	d := NewDemuxer(Handler{
		Format: func(s *Stream) { rates, channels = append(rates, s.Format.Rate), append(channels, s.Format.Channels) },
		Frame: func(s *Stream, f *media.Frame, _ Times) {
			frames += len(f.Units)
			if s.Format.Rate != rates[len(rates)-1] {
				t.Error("a frame before its format")
			}
		},
	})
	d.Feed(all, 1)
	d.Flush()
	if !slices.Equal(rates, []int{48000, 32000, 48000}) || !slices.Equal(channels, []int{2, 1, 2}) {
		t.Errorf("rates %v, channels %v", rates, channels)
	}
	// 2 s of frames of 1024 samples, and one that the encoder puts in front.
	if want := 95 + 64 + 95; frames < want-3 || frames > want {
		t.Errorf("%d frames, want about %d", frames, want)
	}
}

// TestFieldPicturesBecomeFrames: two fields are two access units to the codec, and one
// picture to everybody else.
func TestFieldPicturesBecomeFrames(t *testing.T) {
	t.Run("MPEG-2", func(t *testing.T) {
		sequence := []byte{0, 0, 1, 0xB3, 0x04, 0x00, 0x30, 0x13, 0xFF, 0xFF, 0xE0, 0x18, 0, 0, 1, 0xB5, 0x14, 0x82, 0, 1, 0, 0}
		field := func(kind, structure byte) []byte { // picture header, coding extension, one slice
			return []byte{0, 0, 1, 0, 0, kind << 3, 0xFF, 0xF8, 0, 0, 1, 0xB5, 0x8F, 0xFF, 0xF0 | structure, 0x80, 0, 0, 0, 1, 1, structure, kind, 0x55}
		}
		b := newBuilder()
		b.section(pidPAT, patOf(0, patEntry{1, testPMT}))
		b.section(testPMT, pmtOf(1, 0, testVideo, es{typ: 0x02, pid: testVideo}))
		top, bottom := field(1, 1), field(2, 2)
		b.pes(testVideo, 0xE0, 3600, 3600, 0, slices.Concat(sequence, top, bottom)) // both in one PES packet
		b.pes(testVideo, 0xE0, 7200, 7200, 0, field(2, 1))                          // each in its own
		b.pes(testVideo, 0xE0, 9000, 9000, 0, field(2, 2))
		b.pes(testVideo, 0xE0, 10800, 10800, 0, field(2, 1)) // the other half is missing
		b.pes(testVideo, 0xE0, 14400, 14400, 0, field(2, 3)) // a frame
		b.pes(testVideo, 0xE0, 18000, 18000, 0, field(3, 3))
		h := listen()
		h.d.Feed(b.out.Bytes(), 1)
		h.d.Flush()
		got := h.of(testVideo)
		var times []int64
		for _, g := range got {
			times = append(times, g.times.PTS)
			if len(g.frame.Units) != 1 {
				t.Errorf("%d units", len(g.frame.Units))
			}
		}
		if !slices.Equal(times, []int64{3600, 7200, 10800, 14400, 18000}) {
			t.Fatalf("frames at %v", times)
		}
		if u := got[0].frame.Units[0]; !bytes.Contains(u, top) || !bytes.Contains(u, bottom) || !got[0].frame.Sync {
			t.Errorf("the first frame has not both of its fields: %x", u)
		}
	})
	t.Run("H.264", func(t *testing.T) {
		// Of an interlaced stream by x264.
		interlaced := []byte{0x67, 0x64, 0x00, 0x15, 0xAC, 0xE4, 0x11, 0x3F, 0x2E, 0x02, 0x20, 0x00, 0x00, 0x03, 0x00, 0x20, 0x00, 0x00, 0x06, 0x43, 0xE2, 0x85, 0x49}
		pps := []byte{0x68, 0xFB, 0x83, 0xCB, 0x22, 0xC0}
		var sps h264.SPS
		if err := sps.Unmarshal(interlaced); err != nil || sps.FrameMbsOnlyFlag {
			t.Fatalf("%v, %+v", err, sps)
		}
		field := func(nal byte, number, bottom uint32) []byte {
			w := bitWriter{}
			w.bits(1, 1)       // first_mb_in_slice 0
			w.bits(0b00110, 5) // slice_type 5: P
			w.bits(1, 1)       // pic_parameter_set_id 0
			w.bits(number, int(sps.Log2MaxFrameNumMinus4)+4)
			w.bits(1, 1) // field_pic_flag
			w.bits(bottom, 1)
			w.bits(0xAAAAAA, 24)
			return append([]byte{nal}, w.bytes()...)
		}
		b := newBuilder()
		b.programme()
		b.pes(testVideo, 0xE0, 3600, 3600, 0, annex(aud, interlaced, pps, field(0x65, 0, 0), field(0x41, 0, 1)))
		b.pes(testVideo, 0xE0, 7200, 7200, 0, annex(aud, field(0x41, 1, 0), aud, field(0x41, 1, 1)))
		b.pes(testVideo, 0xE0, 10800, 10800, 0, annex(aud, field(0x41, 2, 0)))
		b.pes(testVideo, 0xE0, 14400, 14400, 0, annex(aud, field(0x41, 3, 0)))
		b.pes(testVideo, 0xE0, 16200, 16200, 0, annex(aud, field(0x41, 3, 1)))
		h := listen()
		h.d.Feed(b.out.Bytes(), 1)
		h.d.Flush()
		var times []int64
		var slicesOf []int
		for _, g := range h.of(testVideo) {
			times = append(times, g.times.PTS)
			n := 0
			for _, u := range g.frame.Units {
				if k := u[0] & 0x1F; k == 1 || k == 5 {
					n++
				}
			}
			slicesOf = append(slicesOf, n)
		}
		if !slices.Equal(times, []int64{3600, 7200, 10800, 14400}) || !slices.Equal(slicesOf, []int{2, 2, 1, 2}) {
			t.Errorf("frames at %v with %v fields", times, slicesOf)
		}
	})
}

// bitWriter writes numbers of any length, the highest bit first.
type bitWriter struct{ all []bool }

func (w *bitWriter) bits(v uint32, n int) {
	for i := n - 1; i >= 0; i-- {
		w.all = append(w.all, v>>i&1 != 0)
	}
}

func (w *bitWriter) bytes() []byte {
	out := make([]byte, (len(w.all)+7)/8)
	for i, bit := range w.all {
		if bit {
			out[i/8] |= 0x80 >> (i % 8)
		}
	}
	return out
}
