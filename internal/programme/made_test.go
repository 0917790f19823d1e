package programme

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/stream"
	"tongxiang/internal/transcode"
)

// vp8Clapper is clapper of somebody whose browser sends VP8.
func vp8Clapper(t *testing.T, at float64) playtest.Clip {
	t.Helper()
	return playtest.VP8(t,
		fmt.Sprintf("color=black:size=160x90:rate=25:duration=4,drawbox=color=white:t=fill:enable='between(mod(t,2),%v,%v)'", at-0.01, at+0.07),
		fmt.Sprintf("aevalsrc='0.5*sin(2*PI*1000*t)*between(mod(t,2),%v,%v)':sample_rate=48000:duration=4", at, at+0.04))
}

// air is a meeting with a real transcoder.
type air struct {
	hub     *stream.Hub
	clock   media.Clock
	changer *transcode.Service
	svc     *Service
}

func newAir(t *testing.T, ffmpeg string) *air {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	a := &air{hub: stream.NewHub(log), clock: media.NewClock()}
	t.Cleanup(a.hub.Close)
	a.changer = transcode.New(transcode.Config{FFmpeg: ffmpeg, Max: 4, CPU: 1}, a.hub, a.clock, log)
	a.svc = New(Config{FFmpeg: ffmpeg, H264: a.changer.Picture}, a.hub, a.clock, log)
	return a
}

// decoded writes what was collected of one picture and one sound into a file, and has
// it decoded: an error fails the test.
func (p *picked) decoded(t *testing.T) playtest.Probe {
	t.Helper()
	var ts bytes.Buffer
	w, err := mpegts.NewWriter(&ts, p.formats)
	if err != nil {
		t.Fatal(err)
	}
	last := make([]media.Time, len(p.formats))
	for _, ev := range p.frames {
		if ev.Frame.DTS <= last[ev.Track] {
			t.Errorf("track %d goes from %v to %v", ev.Track, last[ev.Track], ev.Frame.DTS)
		}
		last[ev.Track] = ev.Frame.DTS
		if err := w.WriteFrame(ev.Track, ev.Frame); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "programme.ts")
	if err := os.WriteFile(path, ts.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return playtest.ProbeFile(t, path)
}

func TestVP8IsH264WhileItIsOnAirAndInTimeWithItsSound(t *testing.T) {
	playtest.Tools(t)
	a := newAir(t, "ffmpeg")
	ctx, stop := context.WithCancelCause(t.Context())
	defer stop(nil)
	first, second := clapper(t, 0.5), vp8Clapper(t, 1.1)
	send(ctx, t, a.hub, a.clock, "meetings/1/h264", first, 0)
	send(ctx, t, a.hub, a.clock, "meetings/1/vp8", second, 5000*time.Hour)
	out := heardOf(ctx, t, a.hub, media.Opus)
	say := func(who string) { a.svc.OnAir("1", Input{Present: []string{"h264", "vp8"}, Speakers: []string{who}}) }
	transcoded := func(is bool) func() bool {
		return func() bool {
			st, ok := a.svc.Status("1")
			return ok && st.Transcoded == is && st.Err == nil
		}
	}
	say("h264")
	until(t, "the H.264 site", func() bool { return out.count(true) > 50 })
	if n := a.changer.Stats().Starts; n != 0 {
		t.Fatalf("%d children for a picture that is H.264", n)
	}
	say("vp8")
	until(t, "the VP8 site", transcoded(true))
	until(t, "its child", func() bool { return a.changer.Stats().Running == 1 })
	at := out.count(true)
	until(t, "five seconds of it", func() bool { return out.count(true) > at+125+25 })
	say("h264")
	until(t, "the H.264 site again", transcoded(false))
	at = out.count(true)
	until(t, "two seconds of it", func() bool { return out.count(true) > at+75 })
	until(t, "the end of the child", func() bool { return a.changer.Stats().Running == 0 })
	stop(errors.New("enough"))
	out.mu.Lock()
	defer out.mu.Unlock()
	for _, f := range out.formats {
		if f.Codec.Kind() == media.Video && f.Codec != media.H264 {
			t.Fatalf("%s is on air", f.Codec)
		}
	}
	claps, flashes := out.claps(t), out.flashes(t)
	inSync, passed := 0, 0
	for _, f := range flashes {
		d := nearest(f, claps)
		quick := out.hurried(f)
		t.Logf("flash at %v, clap %v from it, hurried %v", f, d, quick)
		switch {
		case d < 40*time.Millisecond:
			inSync++
		case quick: // on the way to where its sound is
			passed++
		}
	}
	if len(flashes)-passed < 5 || inSync < len(flashes)-passed-1 { // the last clap may not be in what was collected
		t.Errorf("%d of %d flashes have their clap within 40 ms; claps at %v, flashes at %v", inSync, len(flashes), claps, flashes)
	}
	if p := out.decoded(t); p.Decoded("video") < 250 {
		t.Errorf("%d pictures decoded", p.Decoded("video"))
	}
}

func TestVP8OnAirGoesOnAfterItsChildWasKilled(t *testing.T) {
	playtest.Tools(t)
	a := newAir(t, "ffmpeg")
	ctx, stop := context.WithCancelCause(t.Context())
	defer stop(nil)
	send(ctx, t, a.hub, a.clock, "meetings/1/vp8", vp8Clapper(t, 1.1), 0)
	out := heardOf(ctx, t, a.hub, media.Opus)
	a.svc.OnAir("1", Input{Present: []string{"vp8"}, Speakers: []string{"vp8"}})
	until(t, "the picture", func() bool { return out.count(true) > 50 })
	killed := killChildren(t, "-f ivf")
	if killed != 1 {
		t.Fatalf("%d children transcode one picture", killed)
	}
	until(t, "another child", func() bool { return a.changer.Stats().Starts == 2 })
	at := out.count(true)
	until(t, "the picture again", func() bool { return out.count(true) > at+75 })
	if st, _ := a.svc.Status("1"); !st.Transcoded || st.Err != nil {
		t.Errorf("%+v", st)
	}
	stop(errors.New("enough"))
	out.mu.Lock()
	defer out.mu.Unlock()
	claps, flashes := out.claps(t), out.flashes(t)
	inSync := 0
	for _, f := range flashes {
		if nearest(f, claps) < 40*time.Millisecond {
			inSync++
		}
	}
	if len(flashes) < 2 || inSync < len(flashes)-1 {
		t.Errorf("claps at %v, flashes at %v", claps, flashes)
	}
	out.decoded(t)
}

// killChildren kills the children of this process whose command line has some words.
func killChildren(t *testing.T, words string) int {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(dirs) == 0 {
		t.Skip("there is no /proc to find the child in")
	}
	n := 0
	for _, stat := range dirs {
		b, err := os.ReadFile(stat)
		if err != nil {
			continue
		}
		var pid, parent int
		var state string
		rest := string(b[bytes.LastIndexByte(b, ')')+1:])
		if _, err := fmt.Sscan(rest, &state, &parent); err != nil || parent != os.Getpid() {
			continue
		}
		line, err := os.ReadFile(filepath.Join(filepath.Dir(stat), "cmdline"))
		if err != nil || !strings.Contains(strings.ReplaceAll(string(line), "\x00", " "), words) {
			continue
		}
		if _, err := fmt.Sscan(string(b), &pid); err != nil {
			continue
		}
		p, err := os.FindProcess(pid)
		if err == nil && p.Kill() == nil {
			n++
		}
	}
	return n
}

func TestWithoutATranscoderVP8GoesOutAsItIsAndTheStateSaysWhy(t *testing.T) {
	playtest.Tools(t)
	busy := apierr.New(http.StatusServiceUnavailable, "picture_transcode_busy", "busy", "忙")
	for _, c := range []struct {
		name, code string
		h264       func(a *air) func(stream.Name, stream.Label) (stream.Name, error)
	}{
		{"no ffmpeg", "picture_needs_ffmpeg", func(a *air) func(stream.Name, stream.Label) (stream.Name, error) { return a.changer.Picture }},
		{"no room", "picture_transcode_busy", func(*air) func(stream.Name, stream.Label) (stream.Name, error) {
			return func(stream.Name, stream.Label) (stream.Name, error) { return "", busy }
		}},
		{"it gives nothing", "picture_transcode_failed", func(*air) func(stream.Name, stream.Label) (stream.Name, error) {
			return func(stream.Name, stream.Label) (stream.Name, error) { return "meetings/1/vp8/none", nil }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := newAir(t, "/nowhere/ffmpeg")
			a.svc.cfg.H264, a.svc.cfg.FFmpeg = c.h264(a), ""
			ctx, stop := context.WithCancelCause(t.Context())
			defer stop(nil)
			send(ctx, t, a.hub, a.clock, "meetings/1/vp8", vp8Clapper(t, 1.1), 0)
			out := collect(ctx, t, a.hub, "meetings/1/programme")
			a.svc.OnAir("1", Input{Present: []string{"vp8"}, Speakers: []string{"vp8"}})
			until(t, "sound and picture", func() bool { return out.count(false) > 25 && out.count(true) > 25 })
			st, ok := a.svc.Status("1")
			if !ok || st.Transcoded || st.Participant != "vp8" || apierr.As(st.Err).Code != c.code || apierr.As(st.Sound).Code != "sound_needs_ffmpeg" {
				t.Errorf("%+v", st)
			}
		})
	}
}
