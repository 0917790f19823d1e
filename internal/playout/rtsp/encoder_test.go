package rtsp

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/stream"
)

// child is an ffmpeg that sends.
type child struct {
	cancel context.CancelFunc
	done   chan struct{}
	errs   bytes.Buffer
	err    error
}

// send starts ffmpeg, which sends for a minute at most.
func (r *rig) send(transport, url, codecs string) *child {
	r.t.Helper()
	playtest.Tools(r.t)
	ctx, cancel := context.WithCancel(r.t.Context())
	c := &child{cancel: cancel, done: make(chan struct{})}
	args := append([]string{
		"-nostdin", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=rate=25:size=320x180", "-f", "lavfi", "-i", "sine=sample_rate=48000", "-t", "60",
	}, strings.Fields(codecs)...)
	cmd := exec.CommandContext(ctx, "ffmpeg", append(args, "-f", "rtsp", "-rtsp_transport", transport, url)...)
	cmd.Stderr = &c.errs
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() {
		defer close(c.done)
		c.err = cmd.Wait()
	}()
	r.t.Cleanup(c.kill)
	return c
}

func (c *child) kill() {
	c.cancel()
	<-c.done
}

const sendH264 = "-c:v libx264 -preset ultrafast -bf 0 -g 25 -pix_fmt yuv420p -c:a aac -ar 48000"

// frames follows a track of a push until n frames came.
func (r *rig) frames(name stream.Name, kind media.Kind, n int) []*media.Frame {
	r.t.Helper()
	sub := r.hub.Open(name)
	defer sub.Close()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	tracks, err := sub.Wait(ctx, func(t []*stream.Track) bool { return stream.Find(t, kind) != nil })
	if err != nil {
		r.t.Fatalf("no track: %v", err)
	}
	rd := stream.NewReader(nil)
	cur, err := stream.Find(tracks, kind).FollowFrames(rd, stream.AtOldest)
	if err != nil {
		r.t.Fatal(err)
	}
	defer cur.Close()
	var out []*media.Frame
	for {
		for f := cur.Next(); f != nil; f = cur.Next() {
			if out = append(out, f); len(out) == n {
				return out
			}
		}
		select {
		case <-rd.Wake():
		case <-ctx.Done():
			r.t.Fatalf("%d frames only", len(out))
		}
	}
}

func TestEncoderSendsToAChannelByTCPAndUDP(t *testing.T) {
	for _, tc := range []struct {
		transport, codecs string
		video, audio      media.Codec
	}{
		{"tcp", sendH264, media.H264, media.AAC},
		{"udp", sendH264, media.H264, media.AAC},
		{"tcp", "-c:v mpeg2video -bf 2 -g 12 -b:v 1M -c:a mp2 -b:a 128k", media.MPEG2Video, media.MPEGAudio},
		{"tcp", "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=25 -c:a libopus -ac 2", media.H265, media.Opus},
	} {
		t.Run(tc.transport+" "+tc.video.String(), func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.UDP = "any" })
			c := r.send(tc.transport, r.url("channels/news", "send"), tc.codecs)
			for i, f := range r.frames(stream.Push("news"), media.Video, 40) {
				if i == 0 && !f.Sync || f.Corrupt && tc.transport == "tcp" {
					t.Fatalf("frame %d: sync %v, corrupt %v", i, f.Sync, f.Corrupt)
				}
			}
			r.frames(stream.Push("news"), media.Audio, 30)
			sub := r.hub.Open(stream.Push("news"))
			defer sub.Close()
			tracks := sub.Tracks()
			if len(tracks) != 2 || tracks[0].Format().Codec != tc.video || tracks[1].Format().Codec != tc.audio {
				t.Errorf("%d tracks", len(tracks))
			}
			if tc.video != media.MPEG2Video && tracks[0].Format().Width != 320 {
				t.Errorf("format %+v", tracks[0].Format())
			}
			c.kill()
			eventually(t, "the encoder's end", func() bool { return !r.hub.Published(stream.Push("news")) })
		})
	}
}

func TestEncoderWithoutTheRightIsRefused(t *testing.T) {
	for name, tc := range map[string]struct{ token, want string }{
		"none": {"", "401"}, "wrong": {"wrong", "401"}, "one for watching": {"watch", "401"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			c := r.send("tcp", r.url("channels/news", tc.token), sendH264)
			<-c.done
			if c.err == nil || !strings.Contains(c.errs.String(), tc.want) {
				t.Errorf("%v: %s", c.err, c.errs.String())
			}
			if r.hub.Published(stream.Push("news")) {
				t.Error("it sends all the same")
			}
		})
	}
}

// TestSecondEncoderIsRefusedUntilTheFirstIsSilent stops the first encoder in the
// middle, so that its connection stays.
func TestSecondEncoderIsRefusedUntilTheFirstIsSilent(t *testing.T) {
	r := newRig(t, nil)
	pub, err := r.desk.Open(stream.Push("news"), r.encoder())
	if err != nil {
		t.Fatal(err)
	}
	track := pub.AddTrack(stream.TrackInfo{Label: stream.LabelAudio, Form: stream.Packets, Format: media.Format{Codec: media.Opus, ClockRate: 48000}})
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				track.WritePacket(&media.Packet{Arrival: r.clock.Now(), Codec: media.Opus, Sync: true, Payload: []byte{1}})
			}
		}
	}()
	c := r.send("tcp", r.url("channels/news", "send"), sendH264)
	<-c.done
	if c.err == nil || !strings.Contains(c.errs.String(), "403") {
		t.Errorf("the second: %v: %s", c.err, c.errs.String())
	}
	close(stop)
	<-ended
	eventually(t, "the third in the place of the first", func() bool {
		select {
		case <-pub.Done():
			return true
		default:
		}
		if c := r.send("tcp", r.url("channels/news", "send"), sendH264); c != nil {
			eventually(t, "an answer", func() bool {
				select {
				case <-c.done:
					return true
				case <-pub.Done():
					return true
				default:
					return false
				}
			})
		}
		return false
	})
	r.frames(stream.Push("news"), media.Video, 20)
}

func TestEncoderThatIsTakenOverIsSentAway(t *testing.T) {
	r := newRig(t, nil)
	c := r.send("tcp", r.url("channels/news", "send"), sendH264)
	r.frames(stream.Push("news"), media.Video, 10)
	pub, err := r.hub.Publish(stream.Push("news"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	<-c.done
	eventually(t, "its reason", func() bool { return r.s.Stats().Ends[endTaken] == 1 })
}
