package server

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/programme"
	"tongxiang/internal/stream"
)

// sendVP8 publishes a participant of a meeting who sends VP8, in real time until the
// test ends.
func (r *rig) sendVP8(name stream.Name) {
	r.t.Helper()
	clip := playtest.VP8(r.t, "testsrc2=rate=25:duration=4:size=320x180", "sine=frequency=440:sample_rate=48000:duration=4")
	pub, err := r.s.hub.Publish(name, false)
	if err != nil {
		r.t.Fatal(err)
	}
	tracks := pub.SetTracks(clip.Infos())
	ctx, stop := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	r.t.Cleanup(func() { stop(); <-done })
	go func() {
		defer close(done)
		defer pub.Close()
		began, origin := time.Now(), time.Duration(r.s.clock.Now())
		for round := time.Duration(0); ; round++ {
			for _, f := range clip.Frames {
				at := time.Duration(f.DTS) + round*(clip.Length()+40*time.Millisecond)
				select {
				case <-ctx.Done():
					return
				case <-time.After(time.Until(began.Add(at))):
				}
				g := *f.Frame
				g.PTS = media.Time(origin + at)
				g.DTS, g.Arrival = g.PTS, r.s.clock.Now()
				tracks[f.Track].WriteFrame(&g)
			}
		}
	}()
}

// shown is what the API says of a meeting's programme.
type shown struct {
	Programme *struct {
		Participant, Picture string
		Transcoded           bool
		Reason               *struct{ Code, EN, ZH string }
	}
}

func TestAMeetingWithVP8HasAPictureInEveryOutput(t *testing.T) {
	t.Parallel()
	playtest.Tools(t)
	for _, c := range []struct {
		name, ffmpeg, recorded, code string
	}{
		{"with ffmpeg", "ffmpeg", "h264", ""},
		{"without", "/nowhere/ffmpeg", "vp8", "picture_needs_ffmpeg"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t, t.TempDir())
			cfg.Transcode.FFmpeg = c.ffmpeg
			r := start(t, cfg)
			id := r.meeting()
			r.sendVP8(stream.Participant(id, "li"))
			r.s.programme.OnAir(id, programme.Input{Present: []string{"li"}, Speakers: []string{"li"}})
			var m shown
			r.api("GET", "/meetings/"+id, nil, &m)
			if m.Programme != nil {
				t.Errorf("nobody watches, and on air is %+v", m.Programme)
			}
			var rec recording
			r.api("POST", "/recordings", map[string]any{"stream": "meetings/" + id + "/programme", "tracks": "all"}, &rec)
			eventually(t, "some seconds are on disk", func() bool {
				r.api("GET", "/recordings/"+rec.ID, nil, &rec)
				return rec.Duration > 7 // a site begins with its next picture where decoding can start, up to three seconds later
			})
			r.api("GET", "/meetings/"+id, nil, &m)
			if p := m.Programme; p == nil || p.Participant != "li" || p.Picture != "video" || p.Transcoded != (c.code == "") || (p.Reason == nil) != (c.code == "") ||
				p.Reason != nil && (p.Reason.Code != c.code || p.Reason.EN == "" || p.Reason.ZH == "") {
				t.Errorf("on air: %+v", p)
			}
			master := ""
			eventually(t, "a playlist", func() bool {
				_, master = r.do("GET", "/hls/meetings/"+id+"/programme/index.m3u8", r.admin(), "", "")
				return strings.Contains(master, "CODECS")
			})
			if strings.Contains(master, "avc1.") != (c.code == "") {
				t.Errorf("HLS: %s", master)
			}
			r.api("POST", "/recordings/"+rec.ID+"/stop", nil, &rec)
			entry, err := r.s.store.Recording(t.Context(), rec.ID)
			if err != nil {
				t.Fatal(err)
			}
			dir, _ := r.s.recorder.Folder(entry)
			for file, codec := range map[string]string{"media.mp4": c.recorded, "site-li.mp4": "vp8"} {
				path := filepath.Join(dir, file)
				if _, err := os.Stat(path); err != nil {
					t.Error(err)
					continue
				}
				p := playtest.ProbeFile(t, path)
				if p.Decoded("video") < 75 || p.Decoded("audio") < 100 || p.Streams[0].Codec != codec {
					t.Errorf("%s: %+v, want pictures in %s", file, p, codec)
				}
			}
		})
	}
}
