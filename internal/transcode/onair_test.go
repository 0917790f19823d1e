package transcode

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/stream"
)

const participant = stream.Name("meetings/42/li")

// send publishes the picture of a clip as one layer, over and over in real time, until
// the function that it returns is called.
func (r *rig) send(pub *stream.Publisher, label stream.Label, layer int, clip playtest.Clip) func() {
	ctx, stop := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	t := pub.AddTrack(stream.TrackInfo{Label: label, Layer: layer, Form: stream.Frames, Format: clip.Formats[0]})
	began, origin := time.Now(), time.Duration(r.clock.Now())
	go func() {
		defer close(done)
		defer pub.RemoveTrack(t)
		for round := time.Duration(0); ; round++ {
			for _, f := range clip.Frames {
				if f.Track != 0 {
					continue
				}
				at := time.Duration(f.DTS) + round*(clip.Length()+40*time.Millisecond)
				select {
				case <-ctx.Done():
					return
				case <-time.After(time.Until(began.Add(at))):
				}
				g := *f.Frame
				g.PTS = media.Time(origin + at)
				g.DTS, g.Arrival = g.PTS, r.clock.Now()
				t.WriteFrame(&g)
			}
		}
	}()
	end := func() { stop(); <-done }
	r.t.Cleanup(end)
	return end
}

// TestAPictureOnAirNeedsOneKeyFrame: a browser sends one when it is asked to, which
// costs a thin line a second of picture.
func TestAPictureOnAirNeedsOneKeyFrame(t *testing.T) {
	r := newRig(t, Config{Max: 1, CPU: 1})
	pub, err := r.hub.Publish(participant, false)
	if err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	clip := playtest.VP8OneKey(t, "testsrc2=rate=25:duration=20:size=320x180", "sine=frequency=440:sample_rate=48000:duration=1")
	asked, out := r.browse(pub, clip)
	until(t, "the source", func() bool { return out.Stats().Items > 10 })
	began := time.Now()
	sub := r.hub.Open("meetings/42/li/h264")
	defer sub.Close()
	until(t, "half a second of pictures", func() bool {
		l := sub.Tracks()
		return len(l) == 1 && l[0].Stats().Items > 12
	})
	t.Logf("half a second of pictures after %v", time.Since(began))
	if n := asked.Load(); n == 0 || n > 2 {
		t.Errorf("%d key frames were asked of the browser", n)
	}
	f := sub.Tracks()[0].Format()
	if sps := f.Params[0]; sps[1] != 66 || sps[3] != 30 || f.Width != 320 || f.Height != 180 || f.Reordered || f.NoIDR {
		t.Errorf("profile %d, level %d, %+v", sps[1], sps[3], f)
	}
	before := asked.Load()
	syncs := sub.Tracks()[0].Stats().Syncs
	sub.Tracks()[0].RequestKeyFrame()
	until(t, "a key frame that was asked for", func() bool { return sub.Tracks()[0].Stats().Syncs > syncs && asked.Load() > before })
}

// browse publishes the picture of a clip with one key frame as a browser would: it
// begins anew when a key frame is asked for. It returns how often it was.
func (r *rig) browse(pub *stream.Publisher, clip playtest.Clip) (*atomic.Int64, *stream.Track) {
	t := pub.AddTrack(stream.TrackInfo{Label: stream.LabelVideo, Form: stream.Frames, Format: clip.Formats[0]})
	asked, done := new(atomic.Int64), make(chan struct{})
	ctx, stop := context.WithCancel(r.t.Context())
	r.t.Cleanup(func() { stop(); <-done })
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-t.KeyFrameRequests():
				asked.Add(1)
				i = 0
			case <-time.After(40 * time.Millisecond):
			}
			for i < len(clip.Frames)-1 && clip.Frames[i].Track != 0 {
				i++
			}
			g := *clip.Frames[i].Frame
			g.Arrival = r.clock.Now()
			g.PTS, g.DTS = media.Time(g.Arrival), media.Time(g.Arrival)
			t.WriteFrame(&g)
			if i == len(clip.Frames)-1 {
				return
			}
		}
	}()
	return asked, t
}

func vp8(t *testing.T, size string) playtest.Clip {
	return playtest.VP8(t, "testsrc2=rate=25:duration=4:size="+size, "sine=frequency=440:sample_rate=48000:duration=4")
}

func TestAPictureOnAirFollowsTheLayersOfItsParticipant(t *testing.T) {
	r := newRig(t, Config{Max: 2, CPU: 1})
	pub, err := r.hub.Publish(participant, false)
	if err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	r.send(pub, stream.LabelVideo, 0, vp8(t, "160x90"))
	until(t, "the picture", func() bool {
		name, err := r.s.Picture(participant, stream.LabelVideo)
		return err == nil && name == "meetings/42/li/h264"
	})
	sub := r.hub.Open("meetings/42/li/h264")
	rd := stream.NewReader(nil)
	var ts bytes.Buffer
	var w *mpegts.Writer
	var cursor *stream.Cursor[media.Frame]
	heights := make(map[int]int)
	var last media.Time
	read := func() {
		if cursor == nil {
			tracks := sub.Tracks()
			if len(tracks) == 0 {
				return
			}
			if cursor, err = tracks[0].FollowFrames(rd, stream.AtOldest); err != nil {
				t.Fatal(err)
			}
			if w, err = mpegts.NewWriter(&ts, []media.Format{tracks[0].Format()}); err != nil {
				t.Fatal(err)
			}
		}
		for f := cursor.Next(); f != nil; f = cursor.Next() {
			if f.DTS <= last {
				t.Errorf("%v after %v", f.DTS, last)
			}
			last = f.DTS
			if late := time.Duration(r.clock.Now() - int64(f.DTS)); late > 5*time.Second {
				t.Errorf("a picture of %v ago", late)
			}
			if err := w.WriteFrame(0, f); err != nil {
				t.Fatal(err)
			}
			if f.Sync {
				g, err := media.H264Format(media.ParameterSets(media.H264, f.Units))
				if err != nil {
					t.Fatal(err)
				}
				heights[g.Height]++
			}
		}
	}
	shown := func(height, n int) func() bool {
		return func() bool { read(); return heights[height] >= n }
	}
	until(t, "pictures of 90 lines", shown(90, 2))
	end := r.send(pub, stream.LabelVideo, 1, vp8(t, "320x180"))
	until(t, "the large layer, made small", shown(90, 6))
	until(t, "pictures of 180 lines", shown(180, 3))
	if n := r.s.Stats().Starts; n != 2 {
		t.Errorf("%d children, want one for each size", n)
	}
	end()
	at := heights[180]
	until(t, "the small layer, in the frame of the large one", shown(180, at+3))
	if n := r.s.Stats().Starts; n != 2 {
		t.Errorf("%d children after the layer went away", n)
	}
	path := filepath.Join(t.TempDir(), "picture.ts")
	if err := os.WriteFile(path, ts.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if p := playtest.ProbeFile(t, path); p.Decoded("video") < 200 {
		t.Errorf("%d pictures decoded", p.Decoded("video"))
	}
	// Bars, bright and dark, in every picture.
	const across, down = 32, 18
	raw := playtest.Run(t, nil, "ffmpeg", "-v", "error", "-i", path, "-fps_mode", "passthrough", "-vf", fmt.Sprintf("scale=%d:%d,format=gray", across, down), "-f", "rawvideo", "pipe:1")
	for i := 0; (i+1)*across*down <= len(raw); i++ {
		p := raw[i*across*down : (i+1)*across*down]
		if slices.Max(p)-slices.Min(p) < 100 {
			t.Fatalf("picture %d of %d is from %d to %d: nothing can be seen", i, len(raw)/across/down, slices.Min(p), slices.Max(p))
		}
	}
	cursor.Close()
	sub.Close()
	until(t, "the end of the child", func() bool { return r.s.Stats().Running == 0 })
}

func TestCameraAndScreenAreTwoPictures(t *testing.T) {
	r := newRig(t, Config{Max: 1, CPU: 1})
	pub, err := r.hub.Publish(participant, false)
	if err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	clip := vp8(t, "160x90")
	r.send(pub, stream.LabelVideo, 0, clip)
	r.send(pub, stream.LabelScreen, 0, clip)
	until(t, "both", func() bool {
		_, camera := r.s.Picture(participant, stream.LabelVideo)
		name, screen := r.s.Picture(participant, stream.LabelScreen)
		return camera == nil && screen == nil && name == "meetings/42/li/h264-screen"
	})
	sub := r.hub.Open("meetings/42/li/h264-screen")
	defer sub.Close()
	until(t, "the screen in H.264", func() bool {
		l := sub.Tracks()
		return len(l) == 1 && l[0].Label() == stream.LabelScreen && l[0].Format().Codec == media.H264 && l[0].Stats().Items > 10
	})
	if _, err := r.s.Picture(participant, stream.LabelVideo); err == nil || apierr.As(err).Code != "picture_transcode_busy" {
		t.Errorf("one more than may run: %v", err)
	}
	if _, err := r.s.Picture("meetings/42/wang", stream.LabelVideo); err == nil || apierr.As(err).Code != "picture_unsupported" {
		t.Errorf("somebody without a picture: %v", err)
	}
	if _, err := r.s.Picture("channels/cctv1", stream.LabelVideo); err == nil || apierr.As(err).Code != "picture_unsupported" {
		t.Errorf("a channel: %v", err)
	}
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(40 * time.Second); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		<-time.After(10 * time.Millisecond)
	}
}
