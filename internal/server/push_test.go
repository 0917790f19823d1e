package server

import (
	"bytes"
	"context"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
	wmedia "github.com/pion/webrtc/v4/pkg/media"

	"tongxiang/internal/auth"
	"tongxiang/internal/media"
	"tongxiang/internal/playout/playtest"
)

// pushed makes a channel that takes what an encoder sends, and returns its token.
func (r *rig) pushed(id string) (token string) {
	r.t.Helper()
	r.api("POST", "/channels", map[string]string{"id": id, "name": "县新闻直播", "source": "push:"}, nil)
	return r.token(auth.TokenRequest{Subject: "studio", Role: auth.Operator, Stream: "channels/" + id})
}

// channelState returns a channel's state and the code of its reason.
func (r *rig) channelState(id string) (state, code string, tracks int) {
	var c struct {
		State  string
		Reason struct{ Code string }
		Tracks []any
	}
	r.api("GET", "/channels/"+id, nil, &c)
	return c.State, c.Reason.Code, len(c.Tracks)
}

func (r *rig) waitState(id, want string) {
	r.t.Helper()
	eventually(r.t, id+" "+want, func() bool {
		s, _, _ := r.channelState(id)
		return s == want
	})
}

// sender is an ffmpeg that sends for a minute at most.
type sender struct {
	kill func()
	done chan struct{}
	errs bytes.Buffer // what it said, once done is closed
}

func (r *rig) pushes(format, url string) *sender {
	r.t.Helper()
	playtest.Tools(r.t)
	ctx, cancel := context.WithCancel(r.t.Context())
	cmd := exec.CommandContext(ctx, "ffmpeg", "-nostdin", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=rate=25:size=320x180",
		"-f", "lavfi", "-i", "sine=sample_rate=48000", "-t", "60", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "25", "-pix_fmt", "yuv420p",
		"-c:a", "aac", "-ar", "48000", "-f", format, url)
	s := &sender{done: make(chan struct{})}
	cmd.Stderr = &s.errs
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() {
		defer close(s.done)
		_ = cmd.Wait() // what it said is looked at
	}()
	s.kill = func() {
		cancel()
		<-s.done
	}
	r.t.Cleanup(s.kill)
	return s
}

func (r *rig) rtspURL(path, token string) string {
	return "rtsp://" + r.s.rtsp.Addr().String() + "/" + path + "?token=" + token
}

// TestEncoderMakesAChannelLiveAndLostAndLiveAgain is a studio's encoder from its first
// start over a cut to its return, and a player that never hears of it.
func TestEncoderMakesAChannelLiveAndLostAndLiveAgain(t *testing.T) {
	r := start(t, config(t, t.TempDir()))
	token := r.pushed("news")
	viewer := r.token(auth.TokenRequest{Subject: "kiosk", Role: auth.Viewer})
	encoder := r.pushes("rtsp", r.rtspURL("channels/news", token))
	r.waitState("news", "live")
	if _, _, tracks := r.channelState("news"); tracks != 2 {
		t.Errorf("%d tracks", tracks)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	player := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i", r.rtspURL("channels/news", viewer), "-t", "20", "-f", "null", "-")
	played := make(chan error, 1)
	go func() { played <- player.Run() }()
	eventually(t, "the player", func() bool { return r.s.rtsp.Stats().Players == 1 })
	encoder.kill()
	r.waitState("news", "lost")
	if _, code, _ := r.channelState("news"); code != "no_packets" {
		t.Errorf("reason %q", code)
	}
	r.pushes("rtsp", r.rtspURL("channels/news", token))
	r.waitState("news", "live")
	if n := r.s.rtsp.Stats().Players; n != 1 {
		t.Errorf("%d players are left", n)
	}
	if err := <-played; err != nil {
		t.Errorf("the player: %v", err)
	}
	_, body := r.do("GET", "/metrics", "", "", "")
	for _, want := range []string{`tongxiang_push_encoder{protocol="rtsp",stream="push/news"} 1`, `tongxiang_push_events_total{event="began",protocol="rtsp"} 2`, "tongxiang_rtsp_packets_total"} {
		if !strings.Contains(body, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
}

func TestOnlyTheHolderOfAPublishTokenPushes(t *testing.T) {
	r := start(t, config(t, t.TempDir()))
	token := r.pushed("news")
	r.api("POST", "/channels", map[string]string{"id": "cctv1", "name": "一套", "source": "udp://127.0.0.1:5"}, nil)
	for name, tc := range map[string]struct{ path, token, want string }{
		"rubbish":         {"channels/news", "rubbish", "401"},
		"a viewer's":      {"channels/news", r.token(auth.TokenRequest{Subject: "v", Role: auth.Viewer}), "403"},
		"another's":       {"channels/cctv1", token, "403"},
		"no such channel": {"channels/none", r.admin(), "404"},
		"takes no push":   {"channels/cctv1", r.admin(), "403"},
	} {
		t.Run(name, func(t *testing.T) {
			encoder := r.pushes("rtsp", r.rtspURL(tc.path, tc.token))
			<-encoder.done
			if said := encoder.errs.String(); !strings.Contains(said, tc.want) {
				t.Errorf("%q, want %s", said, tc.want)
			}
			status, _ := r.do("POST", "/whip/"+tc.path, tc.token, "application/sdp", "v=0\r\n")
			if want, _ := strconv.Atoi(tc.want); status != want {
				t.Errorf("whip: %d, want %d", status, want)
			}
		})
	}
	if s, _, _ := r.channelState("news"); s == "live" {
		t.Error("the channel is live")
	}
}

// whip pushes frames of a clip by WebRTC until the test ends.
func (r *rig) whip(path, token string, clip playtest.Clip) (status int) {
	t := r.t
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	pc, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	must(err)
	t.Cleanup(func() { _ = pc.Close() })
	video, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeH264, ClockRate: 90000, SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
	}, "video", "s")
	must(err)
	audio, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}, "audio", "s")
	must(err)
	for _, track := range []webrtc.TrackLocal{video, audio} {
		_, err := pc.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
		must(err)
	}
	offer, err := pc.CreateOffer(nil)
	must(err)
	gathered := webrtc.GatheringCompletePromise(pc)
	must(pc.SetLocalDescription(offer))
	<-gathered
	status, answer := r.do("POST", path, token, "application/sdp", pc.LocalDescription().SDP)
	if status != http.StatusCreated {
		return status
	}
	must(pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}))
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(40 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			var pictures []playtest.Frame
			for _, f := range clip.Frames {
				if clip.Formats[f.Track].Codec == media.H264 {
					pictures = append(pictures, f)
				}
			}
			f := pictures[i%len(pictures)]
			// Errors say that the connection is not up yet, or no more.
			_ = video.WriteSample(wmedia.Sample{Data: media.JoinAnnexB(f.Units), Duration: 40 * time.Millisecond})
			for range 2 {
				_ = audio.WriteSample(wmedia.Sample{Data: []byte{0xFC, 0xFF, 0xFE}, Duration: 20 * time.Millisecond})
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-done
	})
	return status
}

func TestWHIPPushesToAChannel(t *testing.T) {
	playtest.Tools(t)
	clip := playtest.Make(t, 2, "320x180", "-c:v libx264 -preset ultrafast -profile:v baseline -bf 0 -g 25 -pix_fmt yuv420p -c:a aac -ar 48000")
	r := start(t, config(t, t.TempDir()))
	token := r.pushed("news")
	if status := r.whip("/whip/channels/news", token, clip); status != http.StatusCreated {
		t.Fatalf("status %d", status)
	}
	r.waitState("news", "live")
	if _, _, tracks := r.channelState("news"); tracks != 2 {
		t.Errorf("%d tracks", tracks)
	}
	if status := r.whip("/whip/channels/news", token, clip); status != http.StatusConflict {
		t.Errorf("a second one gets %d", status)
	}
	viewer := r.token(auth.TokenRequest{Subject: "kiosk", Role: auth.Viewer})
	out := playtest.Run(t, nil, "ffprobe", "-v", "error", "-rtsp_transport", "tcp", "-read_intervals", "%+2", "-count_frames",
		"-show_entries", "stream=codec_name,width,nb_read_frames", "-of", "csv=p=0", r.rtspURL("channels/news", viewer))
	if !strings.Contains(string(out), "h264,320,") || !strings.Contains(string(out), "opus") {
		t.Errorf("the player sees %q", out)
	}
}

func TestRTMPPushesToAChannel(t *testing.T) {
	cfg := config(t, t.TempDir())
	cfg.RTMP.Listen = "127.0.0.1:0"
	r := start(t, cfg)
	token := r.pushed("news")
	encoder := r.pushes("flv", "rtmp://"+r.s.rtmp.Addr().String()+"/channels/news?token="+token)
	r.waitState("news", "live")
	if _, _, tracks := r.channelState("news"); tracks != 2 {
		t.Errorf("%d tracks", tracks)
	}
	second := r.pushes("rtsp", r.rtspURL("channels/news", token))
	<-second.done
	if said := second.errs.String(); !strings.Contains(said, "403") {
		t.Errorf("a second one, by RTSP: %q", said)
	}
	encoder.kill()
	r.waitState("news", "lost")
}
