// Package site is a site of a meeting for measurements: it enters by the WebSocket and
// publishes H.264 and Opus by WHIP, as a browser does.
package site

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"time"

	"github.com/gorilla/websocket"
	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
)

// Clip is some seconds of a site's media.
type Clip struct {
	video, audio []*media.Frame
	format       media.Format
}

const clipLength = 8 * time.Second

// Encode makes H.264 and Opus as a browser sends them.
func Encode(ctx context.Context) (c Clip, err error) {
	cmd := exec.CommandContext(ctx, "ffmpeg", strings.Fields("-nostdin -v error -f lavfi -i testsrc=size=320x180:rate=25 -f lavfi -i sine=frequency=300:sample_rate=48000 -t 8"+
		" -c:v libx264 -preset ultrafast -tune zerolatency -bf 0 -g 50 -sc_threshold 0 -b:v 300k -pix_fmt yuv420p -profile:v baseline"+
		" -c:a libopus -b:a 32k -frame_duration 20 -f mpegts pipe:1")...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return c, fmt.Errorf("encode a site: %w: %s", err, said.String())
	}
	d := mpegts.NewDemuxer(mpegts.Handler{
		Format: func(st *mpegts.Stream) {
			if st.Codec == media.H264 {
				c.format = st.Format
			}
		},
		Frame: func(st *mpegts.Stream, f *media.Frame, _ mpegts.Times) {
			if st.Codec == media.H264 {
				c.video = append(c.video, f)
				return
			}
			for _, u := range f.Units {
				c.audio = append(c.audio, &media.Frame{Units: [][]byte{u}})
			}
		},
	})
	d.Feed(out.Bytes(), 1)
	d.Flush()
	if len(c.video) < 190 || len(c.audio) < 390 {
		return c, fmt.Errorf("encode a site: %d pictures, %d packets of sound", len(c.video), len(c.audio))
	}
	return c, nil
}

type message struct {
	Type  string `json:"type"`
	T     int64  `json:"t"`
	Media struct {
		WHIP  string `json:"whip"`
		Token string `json:"token"`
	} `json:"media"`
}

// Server is where the meeting is.
type Server struct {
	URL    string // http://host:port
	Bearer string
	HTTP   *http.Client
}

// Sit enters a meeting and publishes, in goroutines, until ctx ends or the server is
// gone (docs/protocol.md). The first site, number 0, speaks.
func (s Server) Sit(ctx context.Context, meeting string, number int, c Clip) error {
	d := websocket.Dialer{Subprotocols: []string{"tongxiang.v1", "bearer." + s.Bearer}, HandshakeTimeout: 10 * time.Second}
	conn, _, err := d.DialContext(ctx, "ws"+strings.TrimPrefix(s.URL, "http")+"/ws/meetings/"+meeting, nil)
	if err != nil {
		return fmt.Errorf("open the WebSocket: %w", err)
	}
	if err := conn.WriteJSON(map[string]any{"type": "hello", "v": 1, "muted": false, "camera": true}); err != nil {
		return err
	}
	var m message
	for m.Type != "welcome" {
		if err := conn.ReadJSON(&m); err != nil {
			return fmt.Errorf("wait for the welcome: %w", err)
		}
	}
	go func() {
		defer conn.Close()
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		defer stop()
		for {
			var m message
			if conn.ReadJSON(&m) != nil {
				return
			}
			if m.Type == "ping" && conn.WriteJSON(map[string]any{"type": "pong", "t": m.T}) != nil {
				return
			}
		}
	}()
	return s.publish(ctx, m.Media.WHIP, m.Media.Token, number, c)
}

// publish offers media by WHIP (RFC 9725) and sends it in a goroutine until ctx ends.
func (s Server) publish(ctx context.Context, path, token string, number int, c Clip) error {
	engine := new(webrtc.MediaEngine)
	video := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264, ClockRate: 90000, SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"}
	sound := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}
	err := errors.Join(
		engine.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: video, PayloadType: 102}, webrtc.RTPCodecTypeVideo),
		engine.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: sound, PayloadType: 111}, webrtc.RTPCodecTypeAudio),
		engine.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: levelURI}, webrtc.RTPCodecTypeAudio),
	)
	if err != nil {
		return err
	}
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(engine), webrtc.WithInterceptorRegistry(new(interceptor.Registry))).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return err
	}
	v, err := webrtc.NewTrackLocalStaticRTP(video, "video", "site")
	if err != nil {
		return err
	}
	a, err := webrtc.NewTrackLocalStaticRTP(sound, "audio", "site")
	if err != nil {
		return err
	}
	up := make(chan struct{}, 1)
	pc.OnConnectionStateChange(func(st webrtc.PeerConnectionState) {
		if st == webrtc.PeerConnectionStateConnected {
			select {
			case up <- struct{}{}:
			default:
			}
		}
	})
	level := uint8(0)
	for _, t := range []webrtc.TrackLocal{a, v} {
		if _, err := pc.AddTransceiverFromTrack(t, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly}); err != nil {
			return err
		}
	}
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(offer); err != nil {
		return err
	}
	<-gathered
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+path, strings.NewReader(pc.LocalDescription().SDP))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/sdp")
	res, err := s.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode/100 != 2 {
		err = fmt.Errorf("POST %s: %s: %s", path, res.Status, answer)
	}
	if err != nil {
		return err
	}
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer)}); err != nil {
		return err
	}
	select {
	case <-up:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(20 * time.Second):
		return errors.New("the site did not connect")
	}
	for _, e := range pc.GetSenders()[0].GetParameters().HeaderExtensions {
		if e.URI == levelURI {
			level = uint8(e.ID)
		}
	}
	go func() {
		defer pc.Close()
		play(ctx, v, a, level, number, c)
	}()
	return nil
}

const levelURI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"

// play sends the clip again and again until ctx ends; the first site speaks.
func play(ctx context.Context, video, audio *webrtc.TrackLocalStaticRTP, level uint8, number int, c Clip) {
	z, err := media.NewPacketizer(c.format)
	if err != nil {
		return
	}
	begin := time.Now()
	pictures, sounds, sequence := int64(0), int64(0), uint16(0)
	loud := byte(127)
	if number == 0 {
		loud = 20 | 0x80
	}
	for t := time.NewTicker(10 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		for at := time.Duration(pictures) * 40 * time.Millisecond; at <= time.Since(begin); at += 40 * time.Millisecond {
			f := *c.video[pictures%int64(clipLength/(40*time.Millisecond))%int64(len(c.video))]
			f.PTS, f.DTS = media.Time(at), media.Time(at)
			packets := z.Push(&f)
			for i, p := range packets {
				h := rtp.Header{Version: 2, SequenceNumber: sequence, Timestamp: uint32(pictures * 3600), Marker: i == len(packets)-1}
				sequence++
				_ = video.WriteRTP(&rtp.Packet{Header: h, Payload: p.Payload}) // the server may be gone
			}
			pictures++
		}
		for at := time.Duration(sounds) * 20 * time.Millisecond; at <= time.Since(begin); at += 20 * time.Millisecond {
			h := rtp.Header{Version: 2, SequenceNumber: uint16(sounds), Timestamp: uint32(sounds * 960)}
			if level != 0 {
				_ = h.SetExtension(level, []byte{loud})
			}
			_ = audio.WriteRTP(&rtp.Packet{Header: h, Payload: c.audio[sounds%int64(len(c.audio))].Units[0]}) // likewise
			sounds++
		}
	}
}
