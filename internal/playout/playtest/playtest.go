// Package playtest makes real media for the tests of outputs: ffmpeg encodes, and
// a demuxer that is not ours takes the frames apart.
package playtest

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// Frame is a frame of one track of a clip.
type Frame struct {
	Track int
	*media.Frame
}

// Clip is some seconds of media.
type Clip struct {
	Formats []media.Format
	Frames  []Frame // as they lie in the transport stream
}

// Arguments of ffmpeg that make clips.
const (
	// BFrames: H.264 with B-frames at 25 a second and a key frame a second, AAC.
	BFrames = "-c:v libx264 -preset ultrafast -bf 2 -g 25 -sc_threshold 0 -pix_fmt yuv420p -c:a aac -b:a 64k -ar 48000"
	// Plain: H.264 without B-frames, AAC at 44100.
	Plain = "-c:v libx264 -preset ultrafast -bf 0 -g 25 -sc_threshold 0 -pix_fmt yuv420p -c:a aac -b:a 64k -ar 44100"
	// Broadcast: MPEG-2 pictures with B-frames, MP2 sound.
	Broadcast = "-c:v mpeg2video -bf 2 -g 12 -b:v 2M -c:a mp2 -b:a 128k -ar 48000"
)

// Tools skips the test when ffmpeg is not installed.
func Tools(t testing.TB) {
	t.Helper()
	for _, tool := range []string{"ffmpeg", "ffprobe"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed, and this test needs real media", tool)
		}
	}
}

// Make encodes seconds of moving bars and a tone at a size such as "320x180".
func Make(t testing.TB, seconds int, size, args string) Clip {
	t.Helper()
	return Demux(t, TS(t, seconds, size, args))
}

// TS encodes as [Make] does and returns the transport stream.
func TS(t testing.TB, seconds int, size, args string) []byte {
	t.Helper()
	Tools(t)
	a := []string{
		"-v", "error", "-f", "lavfi", "-i", "testsrc2=rate=25:size=" + size,
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
		"-t", strconv.Itoa(seconds),
	}
	a = append(a, strings.Fields(args)...)
	return Run(t, nil, "ffmpeg", append(a, "-f", "mpegts", "pipe:1")...)
}

// Run runs a tool with input and returns its output.
func Run(t testing.TB, input []byte, tool string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", tool, strings.Join(args, " "), err, errs.String())
	}
	return out.Bytes()
}

// Demux takes a transport stream apart.
func Demux(t testing.TB, ts []byte) Clip {
	t.Helper()
	r := &mpegts.Reader{R: bytes.NewReader(ts)}
	if err := r.Initialize(); err != nil {
		t.Fatalf("read transport stream: %v", err)
	}
	var c Clip
	for i, track := range r.Tracks() {
		c.Formats = append(c.Formats, media.Format{})
		switch codec := track.Codec.(type) {
		case *mpegts.CodecH264:
			c.Formats[i] = media.Format{Codec: media.H264, ClockRate: 90000}
			r.OnDataH264(track, func(pts, dts int64, au [][]byte) error {
				sync, idr := media.H264Sync(au)
				if sync && c.Formats[i].Params == nil {
					f, err := media.H264Format(media.ParameterSets(media.H264, au))
					if err != nil {
						return err
					}
					c.Formats[i] = f
				}
				c.add(i, pts, dts, sync, idr, au)
				return nil
			})
		case *mpegts.CodecMPEG1Video:
			c.Formats[i] = media.Format{Codec: media.MPEG2Video, ClockRate: 90000}
			first := true
			r.OnDataMPEGxVideo(track, func(pts int64, frame []byte) error {
				sync := bytes.Contains(frame, []byte{0, 0, 1, 0xB3})
				// The demuxer withholds DTS: pictures lie 40 ms apart in decode order.
				dts := pts
				if !first {
					dts = c.last(i) + 3600
				}
				first = false
				c.add(i, pts, dts, sync, false, [][]byte{frame})
				return nil
			})
		case *mpegts.CodecMPEG4Audio:
			config, err := codec.Config.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			c.Formats[i] = media.Format{
				Codec: media.AAC, ClockRate: codec.Config.SampleRate, Rate: codec.Config.SampleRate,
				Channels: codec.Config.ChannelCount, Config: config,
			}
			r.OnDataMPEG4Audio(track, func(pts int64, aus [][]byte) error {
				c.add(i, pts, pts, true, true, aus)
				return nil
			})
		case *mpegts.CodecOpus:
			c.Formats[i] = media.Format{Codec: media.Opus, ClockRate: 48000, Rate: 48000, Channels: codec.ChannelCount}
			r.OnDataOpus(track, func(pts int64, packets [][]byte) error {
				c.add(i, pts, pts, true, true, packets)
				return nil
			})
		case *mpegts.CodecMPEG1Audio:
			c.Formats[i] = media.Format{Codec: media.MPEGAudio, ClockRate: 90000, Rate: 48000}
			r.OnDataMPEG1Audio(track, func(pts int64, frames [][]byte) error {
				c.add(i, pts, pts, true, true, frames)
				return nil
			})
		case *mpegts.CodecAC3:
			c.Formats[i] = media.Format{Codec: media.AC3, ClockRate: 90000, Rate: codec.SampleRate, Channels: codec.ChannelCount}
			r.OnDataAC3(track, func(pts int64, frame []byte) error {
				c.add(i, pts, pts, true, true, [][]byte{frame})
				return nil
			})
		default:
			t.Fatalf("track %d has %T", i, codec)
		}
	}
	for r.Read() == nil { // until the end of the stream
	}
	if len(c.Frames) == 0 {
		t.Fatal("the clip has no frames")
	}
	return c
}

func (c *Clip) add(track int, pts, dts int64, sync, idr bool, units [][]byte) {
	own := make([][]byte, len(units))
	for i, u := range units {
		own[i] = bytes.Clone(u)
	}
	c.Frames = append(c.Frames, Frame{track, &media.Frame{
		PTS: media.FromTicks(pts, 90000), DTS: media.FromTicks(dts, 90000), Units: own, Sync: sync, IDR: idr,
	}})
}

func (c *Clip) last(track int) int64 {
	for i := len(c.Frames) - 1; i >= 0; i-- {
		if c.Frames[i].Track == track {
			return c.Frames[i].DTS.Ticks(90000)
		}
	}
	return 0
}

// Length returns how long the clip lasts, by its decode times.
func (c Clip) Length() time.Duration {
	lo, hi := c.Frames[0].DTS, c.Frames[0].DTS
	for _, f := range c.Frames {
		lo, hi = min(lo, f.DTS), max(hi, f.DTS)
	}
	return hi.Sub(lo)
}

// Shift returns the clip with all times moved and its first pictures marked as
// following a gap.
func (c Clip) Shift(by time.Duration, gap bool) Clip {
	out := Clip{Formats: c.Formats}
	seen := make(map[int]bool)
	for _, f := range c.Frames {
		g := *f.Frame
		g.PTS, g.DTS = g.PTS.Add(by), g.DTS.Add(by)
		g.Gap = gap && !seen[f.Track]
		seen[f.Track] = true
		out.Frames = append(out.Frames, Frame{f.Track, &g})
	}
	return out
}

// Infos returns the clip's tracks for a publisher of frames.
func (c Clip) Infos() []stream.TrackInfo {
	var infos []stream.TrackInfo
	sounds := 0
	for _, f := range c.Formats {
		label := stream.LabelVideo
		if f.Codec.Kind() == media.Audio {
			label = stream.LabelAudio
			if sounds++; sounds > 1 {
				label += stream.Label(strconv.Itoa(sounds))
			}
		}
		infos = append(infos, stream.TrackInfo{Label: label, Form: stream.Frames, Format: f})
	}
	return infos
}

// Write writes the clip to the tracks of its Infos, all at once, as arriving now.
func (c Clip) Write(tracks []*stream.Track, clock media.Clock) {
	for _, f := range c.Frames {
		g := *f.Frame
		g.Arrival = clock.Now()
		tracks[f.Track].WriteFrame(&g)
	}
}

// Probe is what ffprobe says about a file.
type Probe struct {
	Streams []struct {
		Codec    string `json:"codec_name"`
		Kind     string `json:"codec_type"`
		Width    int    `json:"width"`
		Height   int    `json:"height"`
		Frames   string `json:"nb_read_frames"`
		Duration string `json:"duration"`
	} `json:"streams"`
	Format struct {
		Duration string `json:"duration"`
	} `json:"format"`
}

// Decoded returns how many pictures or codec frames were decoded of the first stream of a kind.
func (p Probe) Decoded(kind string) int {
	for _, s := range p.Streams {
		if s.Kind == kind {
			n, err := strconv.Atoi(s.Frames)
			if err == nil {
				return n
			}
		}
	}
	return 0
}

// Duration returns the length of the whole file.
func (p Probe) Duration() time.Duration {
	s, err := strconv.ParseFloat(p.Format.Duration, 64)
	if err != nil {
		return 0
	}
	return time.Duration(s * float64(time.Second))
}

// ProbeFile decodes a file whole and returns what ffprobe found; decoding errors fail the test.
func ProbeFile(t testing.TB, path string) Probe {
	t.Helper()
	Tools(t)
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-count_frames", "-show_streams", "-show_format", "-of", "json", path)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil || errs.Len() > 0 {
		t.Fatalf("ffprobe %s: %v\n%s", path, err, errs.String())
	}
	var p Probe
	if err := json.Unmarshal(out.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	return p
}
