package programme

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/opus"

	"tongxiang/internal/apierr"
	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
	"tongxiang/internal/playout/feed"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/programme/mix"
	"tongxiang/internal/stream"
)

// clapper is a clip of 4 s in which, each two seconds at a moment of its own, the
// picture is white for two frames and a tone of 40 ms is heard.
func clapper(t *testing.T, at float64) playtest.Clip {
	t.Helper()
	playtest.Tools(t)
	flash := fmt.Sprintf("color=black:size=160x90:rate=25,drawbox=color=white:t=fill:enable='between(mod(t,2),%v,%v)'", at-0.01, at+0.07)
	clap := fmt.Sprintf("aevalsrc='0.5*sin(2*PI*1000*t)*between(mod(t,2),%v,%v)':sample_rate=48000:duration=4", at, at+0.04)
	args := append([]string{"-v", "error", "-f", "lavfi", "-i", flash, "-f", "lavfi", "-i", clap, "-t", "4"}, strings.Fields(browser)...)
	return playtest.Demux(t, playtest.Run(t, nil, "ffmpeg", append(args, "-f", "mpegts", "pipe:1")...))
}

// heardOf collects one coding of a programme, with the picture.
func heardOf(ctx context.Context, t *testing.T, hub *stream.Hub, c media.Codec) *picked {
	t.Helper()
	out := &picked{}
	var ends sync.WaitGroup
	t.Cleanup(ends.Wait)
	ends.Go(func() {
		f := feed.Open(hub, "meetings/1/programme", feed.Options{Accept: func(f media.Format) error {
			if f.Codec.Kind() == media.Audio && f.Codec != c {
				return errors.New("the other coding is wanted")
			}
			return nil
		}})
		defer f.Close()
		for {
			ev, err := f.Next(ctx)
			if err != nil {
				return
			}
			out.mu.Lock()
			if ev.Frame == nil {
				out.formats, out.frames = nil, nil
				for _, tr := range f.Tracks() {
					out.formats = append(out.formats, tr.Format)
				}
			} else {
				out.frames = append(out.frames, ev)
			}
			out.mu.Unlock()
		}
	})
	return out
}

// claps returns when a tone begins in what was collected, by Opus's own decoder or ffmpeg's.
func (p *picked) claps(t *testing.T) []time.Duration {
	t.Helper()
	var pcm []float32
	var first time.Duration
	var aac [][]byte
	var dec *opus.Decoder
	buf := make([]float32, longestPacket*mix.Channels)
	for _, ev := range p.frames {
		f := p.formats[ev.Track]
		if f.Codec.Kind() != media.Audio {
			continue
		}
		at := time.Duration(ev.Frame.PTS)
		if first == 0 {
			first = at
		}
		for _, u := range ev.Frame.Units {
			if f.Codec == media.AAC {
				aac = append(aac, u)
				continue
			}
			if dec == nil {
				d, err := opus.NewDecoderWithOutput(mix.Rate, mix.Channels)
				if err != nil {
					t.Fatal(err)
				}
				dec = &d
			}
			n, err := dec.DecodeToFloat32(u, buf)
			if err != nil {
				t.Fatal(err)
			}
			pcm = append(pcm, buf[:n*mix.Channels]...)
		}
	}
	if aac != nil {
		pcm = decodeAAC(t, aac)
	}
	var out []time.Duration
	quiet := 0
	for i := 0; i < len(pcm); i += mix.Channels {
		if max(pcm[i], -pcm[i]) < 0.03 {
			quiet++
			continue
		}
		if quiet > mix.Rate/5 {
			out = append(out, first+time.Duration(i/mix.Channels)*time.Second/mix.Rate)
		}
		quiet = 0
	}
	return out
}

func decodeAAC(t *testing.T, units [][]byte) []float32 {
	t.Helper()
	var ts bytes.Buffer
	w, err := mpegts.NewWriter(&ts, []media.Format{aacFormat})
	if err != nil {
		t.Fatal(err)
	}
	for i, u := range units {
		at := media.FromTicks(int64(i)*1024, mix.Rate).Add(time.Second)
		if err := w.WriteFrame(0, &media.Frame{PTS: at, DTS: at, Units: [][]byte{u}, Sync: true}); err != nil {
			t.Fatal(err)
		}
	}
	raw := playtest.Run(t, ts.Bytes(), "ffmpeg", "-v", "error", "-i", "pipe:0", "-f", "s16le", "-ac", "2", "-ar", "48000", "pipe:1")
	pcm := make([]float32, len(raw)/2)
	for i := range pcm {
		pcm[i] = float32(int16(binary.LittleEndian.Uint16(raw[2*i:]))) / 32768
	}
	return pcm
}

// flashes returns when the picture turns white.
func (p *picked) flashes(t *testing.T) []time.Duration {
	t.Helper()
	var ts bytes.Buffer
	var times []time.Duration
	var w *mpegts.Writer
	for _, ev := range p.frames {
		f := p.formats[ev.Track]
		if f.Codec != media.H264 {
			continue
		}
		if w == nil {
			var err error
			if w, err = mpegts.NewWriter(&ts, []media.Format{f}); err != nil {
				t.Fatal(err)
			}
		}
		times = append(times, time.Duration(ev.Frame.PTS))
		if err := w.WriteFrame(0, ev.Frame); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "picture.ts")
	if err := os.WriteFile(path, ts.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	raw := playtest.Run(t, nil, "ffmpeg", "-v", "error", "-i", path, "-fps_mode", "passthrough", "-vf", "scale=8:8,format=gray", "-f", "rawvideo", "pipe:1")
	var out []time.Duration
	white := false
	for i := 0; (i+1)*64 <= len(raw) && i < len(times); i++ {
		is := raw[i*64+36] > 128
		if is && !white {
			out = append(out, times[i])
		}
		white = is
	}
	return out
}

// hurried reports whether the pictures around a time lie as close as those of a source
// that has to catch up with its sound.
func (p *picked) hurried(at time.Duration) bool {
	var before time.Duration
	for _, ev := range p.frames {
		if p.formats[ev.Track].Codec != media.H264 {
			continue
		}
		pts := time.Duration(ev.Frame.PTS)
		if pts >= at {
			return pts-before < time.Duration(catchUp+steerable) // less than steerable is rounding
		}
		before = pts
	}
	return false
}

// nearest returns the distance to the nearest of a list.
func nearest(at time.Duration, list []time.Duration) time.Duration {
	best := time.Hour
	for _, o := range list {
		if d := (at - o).Abs(); d < best {
			best = d
		}
	}
	return best
}

func TestProgrammeMixesEverybodyInTimeWithThePicture(t *testing.T) {
	playtest.Tools(t)
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	hub := stream.NewHub(log)
	defer hub.Close()
	clock := media.NewClock()
	svc := New(Config{FFmpeg: "ffmpeg"}, hub, clock, log)
	ctx, stop := context.WithCancelCause(t.Context())
	defer stop(nil)
	send(ctx, t, hub, clock, "meetings/1/a", clapper(t, 0.5), 0)
	send(ctx, t, hub, clock, "meetings/1/b", clapper(t, 1.1), 5000*time.Hour) // nothing in common with a's clock

	first, second := heardOf(ctx, t, hub, media.Opus), heardOf(ctx, t, hub, media.AAC)
	svc.OnAir("1", Input{Present: []string{"a", "b"}, Speakers: []string{"a"}})
	until(t, "six seconds in both codings", func() bool {
		return first.count(true) > 150 && first.count(false) > 300 && second.count(false) > 280
	})
	stop(errors.New("enough"))
	for _, out := range []*picked{first, second} {
		out.mu.Lock()
		defer out.mu.Unlock()
		claps, flashes := out.claps(t), out.flashes(t)
		coding := out.formats[slices.IndexFunc(out.formats, func(f media.Format) bool { return f.Codec.Kind() == media.Audio })].Codec
		if len(claps) < 4 {
			t.Fatalf("%s: claps at %v: both sites clap each two seconds", coding, claps)
		}
		if len(flashes) < 2 {
			t.Fatalf("%s: flashes at %v", coding, flashes)
		}
		inSync := 0
		for _, f := range flashes {
			d := nearest(f, claps)
			t.Logf("%s: flash at %v, clap %v from it", coding, f, d)
			if d < 40*time.Millisecond {
				inSync++
			}
		}
		if inSync < len(flashes)-1 { // the last clap may not be in what was collected
			t.Errorf("%s: %d of %d flashes have their clap within 40 ms; claps at %v, flashes at %v", coding, inSync, len(flashes), claps, flashes)
		}
	}
}

func TestProgrammeGoesOnWithTheDominantSpeakerWhenTheEncoderFails(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	hub := stream.NewHub(log)
	defer hub.Close()
	clock := media.NewClock()
	svc := New(Config{FFmpeg: "/bin/false"}, hub, clock, log)
	ctx, stop := context.WithCancelCause(t.Context())
	defer stop(nil)
	send(ctx, t, hub, clock, "meetings/1/a", clapper(t, 0.5), 0)
	out := collect(ctx, t, hub, "meetings/1/programme")
	svc.OnAir("1", Input{Present: []string{"a"}, Speakers: []string{"a"}})
	until(t, "a's own sound", func() bool { return out.count(false) > 50 })
	if svc.Unmixed() != 1 {
		t.Errorf("%d programmes are said to do without mixing", svc.Unmixed())
	}
	if st, ok := svc.Status("1"); !ok || apierr.As(st.Sound).Code != "sound_mixer_failed" {
		t.Errorf("%+v", st)
	}
}
