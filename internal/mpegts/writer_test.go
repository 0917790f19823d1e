package mpegts

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tongxiang/internal/media"
)

// TestWhatIsWrittenIsReadTheSame writes every codec and reads it with the demuxer.
func TestWhatIsWrittenIsReadTheSame(t *testing.T) {
	ac3Frame := make([]byte, 256) // 64 kbit/s at 48 kHz, stereo
	copy(ac3Frame, []byte{0x0B, 0x77, 0, 0, 0x08, 0x40, 0x40})
	eac3Frame := make([]byte, 256)
	copy(eac3Frame, []byte{0x0B, 0x77, 0x00, 0x7F, 0x34, 0x80})
	sequence := []byte{0, 0, 1, 0xB3, 0x04, 0x00, 0x30, 0x13, 0xFF, 0xFF, 0xE0, 0x18, 0, 0, 1, 0xB8, 0, 8, 0, 0x40}
	mpeg2 := append(slices.Clone(sequence), 0, 0, 1, 0, 0, 0x0F, 0xFF, 0xF8, 0, 0, 1, 1, 0x12, 0x34)
	vps := []byte{0x40, 1, 0x0C, 1, 0xFF, 0xFF, 1, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x1E, 0x95, 0x98, 9}
	h265IDR := append([]byte{0x26, 1, 0xAF}, bytes.Repeat([]byte{7}, 500)...)
	for _, tc := range []struct {
		name   string
		format media.Format
		frames []*media.Frame
	}{
		{"H264", media.Format{Codec: media.H264}, []*media.Frame{
			{DTS: sec(1), PTS: sec(1.08), Sync: true, IDR: true, Units: [][]byte{testSPS, testPPS, idr(1, 70000)}},
			{DTS: sec(1.04), PTS: sec(1.04), Units: [][]byte{slice(2, 200)}},
		}},
		{"H265", media.Format{Codec: media.H265}, []*media.Frame{
			{DTS: sec(1), PTS: sec(1), Sync: true, IDR: true, Units: [][]byte{vps, h265IDR}},
			{DTS: sec(2), PTS: sec(2), Sync: true, IDR: true, Units: [][]byte{vps, h265IDR}},
		}},
		{"MPEG-2", media.Format{Codec: media.MPEG2Video}, []*media.Frame{
			{DTS: sec(1), PTS: sec(1), Sync: true, IDR: true, Units: [][]byte{mpeg2}},
			{DTS: sec(2), PTS: sec(2), Sync: true, IDR: true, Units: [][]byte{mpeg2}},
		}},
		{"AAC", media.Format{Codec: media.AAC, Config: []byte{0x11, 0x90}}, []*media.Frame{
			{DTS: sec(1), PTS: sec(1), Sync: true, Units: [][]byte{{1, 2, 3}, bytes.Repeat([]byte{4}, 700)}},
			{DTS: sec(2), PTS: sec(2), Sync: true, Units: [][]byte{{5}}},
		}},
		{"MP2", media.Format{Codec: media.MPEGAudio}, []*media.Frame{{DTS: sec(1), PTS: sec(1), Sync: true, Units: [][]byte{mp2Frame(1), mp2Frame(2)}}}},
		{"AC-3", media.Format{Codec: media.AC3}, []*media.Frame{{DTS: sec(1), PTS: sec(1), Sync: true, Units: [][]byte{ac3Frame, ac3Frame}}}},
		{"E-AC-3", media.Format{Codec: media.EAC3}, []*media.Frame{{DTS: sec(1), PTS: sec(1), Sync: true, Units: [][]byte{eac3Frame}}}},
		{"Opus", media.Format{Codec: media.Opus, Channels: 2}, []*media.Frame{{DTS: sec(1), PTS: sec(1), Sync: true, Units: [][]byte{{0xFC, 1, 2}, bytes.Repeat([]byte{0xFC}, 600), bytes.Repeat([]byte{0xFC}, 255)}}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			w, err := NewWriter(&out, []media.Format{tc.format})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range tc.frames {
				if err := w.WriteFrame(0, f); err != nil {
					t.Fatal(err)
				}
			}
			if out.Len()%PacketSize != 0 {
				t.Errorf("%d bytes are no whole packets", out.Len())
			}
			h := listen()
			h.d.Feed(out.Bytes(), 1)
			h.d.Flush()
			if s := h.d.Stats(); s.Continuity+s.CRCErrors+s.BadPES+s.BadSections+s.BadUnits != 0 {
				t.Errorf("%+v", s)
			}
			if st := h.d.Services()[0].Streams[0]; st.Codec != tc.format.Codec {
				t.Errorf("read as %s", st.Codec)
			}
			if len(h.frames) != len(tc.frames) {
				t.Fatalf("%d frames of %d", len(h.frames), len(tc.frames))
			}
			for i, f := range tc.frames {
				g := h.frames[i]
				if g.times.PTS != f.PTS.Ticks(Ticks) || g.times.DTS != f.DTS.Ticks(Ticks) {
					t.Errorf("frame %d at %+v", i, g.times)
				}
				if g.frame.Sync != f.Sync || g.frame.IDR != f.IDR || !slices.EqualFunc(g.frame.Units, f.Units, bytes.Equal) {
					t.Errorf("frame %d is another: sync %v, %d units", i, g.frame.Sync, len(g.frame.Units))
				}
			}
		})
	}
}

func sec(s float64) media.Time { return media.FromTicks(int64(s*Ticks+0.5), Ticks) }

func TestWriterRefusesWhatDoesNotFit(t *testing.T) {
	for _, formats := range [][]media.Format{nil, {{Codec: media.VP8}}, {{Codec: media.PCMA}}, {{Codec: media.AAC}}, {{Codec: media.AAC, Config: []byte{0xFF, 0xFF}}}} {
		if _, err := NewWriter(&bytes.Buffer{}, formats); !errors.Is(err, ErrFormat) {
			t.Errorf("%+v: %v", formats, err)
		}
	}
	w, err := NewWriter(&bytes.Buffer{}, []media.Format{{Codec: media.AAC, Config: []byte{0x11, 0x90}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteFrame(1, &media.Frame{}); !errors.Is(err, ErrFormat) {
		t.Errorf("a track that is not there: %v", err)
	}
	if err := w.WriteFrame(0, &media.Frame{Units: [][]byte{make([]byte, 9000)}}); !errors.Is(err, ErrFormat) {
		t.Errorf("an AAC frame of 9000 bytes: %v", err)
	}
}

// TestFFmpegReadsWhatIsWritten remuxes a generated file with B-frames and lets
// ffprobe compare the frames' checksums.
func TestFFmpegReadsWhatIsWritten(t *testing.T) {
	for _, name := range []string{"ffmpeg", "ffprobe"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed: it is the second opinion", name)
		}
	}
	for _, codecs := range [][]string{
		{"-c:v", "libx264", "-preset", "fast", "-bf", "2", "-c:a", "libopus", "-ac", "2"},
		{"-c:v", "mpeg2video", "-bf", "2", "-c:a", "mp2"},
		{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", "-c:a", "eac3"},
	} {
		t.Run(codecs[1], func(t *testing.T) {
			dir := t.TempDir()
			in, out := filepath.Join(dir, "in.ts"), filepath.Join(dir, "out.ts")
			args := append([]string{"-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=160x128:rate=25", "-f", "lavfi", "-i", "sine", "-t", "2", "-pix_fmt", "yuv420p"}, codecs...)
			if b, err := exec.CommandContext(t.Context(), "ffmpeg", append(args, in)...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, b)
			}
			remux(t, in, out)
			if a, b := checksums(t, in), checksums(t, out); a != b {
				t.Errorf("decoded pictures and sound differ:\n%.300s\n%.300s", a, b)
			}
		})
	}
}

func remux(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	h := listen()
	h.d.Feed(b, 1)
	h.d.Flush()
	var formats []media.Format
	index := make(map[uint16]int)
	for i, s := range h.d.Services()[0].Streams {
		formats = append(formats, s.Format)
		index[s.PID] = i
	}
	f, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := NewWriter(f, formats)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range h.frames {
		g.frame.PTS, g.frame.DTS = media.FromTicks(g.times.PTS, Ticks), media.FromTicks(g.times.DTS, Ticks)
		if err := w.WriteFrame(index[g.pid], g.frame); err != nil {
			t.Fatal(err)
		}
	}
}

// checksums decodes a file and returns a line for each picture and piece of sound.
func checksums(t *testing.T, file string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ffmpeg", "-nostdin", "-loglevel", "error", "-copyts", "-i", file, "-map", "0:v", "-f", "framemd5", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	sound, err := exec.CommandContext(t.Context(), "ffmpeg", "-nostdin", "-loglevel", "error", "-i", file, "-map", "0:a", "-f", "md5", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out)) + "\n" + string(sound)
}
