package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v4"

	"tongxiang/internal/media"
)

const meetingID = "bench"

// node is the server as its users see it.
type node struct {
	url   string
	token string
	http  *http.Client
}

func (n *node) login(ctx context.Context, name, password string) error {
	var s struct{ Token string }
	if err := n.post(ctx, "/api/v1/sessions", map[string]string{"name": name, "password": password}, &s); err != nil {
		return err
	}
	n.token = s.Token
	return nil
}

func (n *node) do(ctx context.Context, method, path, contentType, token string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, n.url+path, body)
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	res, err := n.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if res.StatusCode/100 != 2 {
		said, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, res.Status, said)
	}
	return res, nil
}

func (n *node) post(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	res, err := n.do(ctx, http.MethodPost, path, "application/json", n.token, bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if out == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(out)
}

func (n *node) download(ctx context.Context, path, file string) error {
	res, err := n.do(ctx, http.MethodGet, path, "", n.token, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, res.Body)
	return errors.Join(err, f.Close())
}

func copyFile(to, from string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}

// sit enters the meeting and begins to publish (docs/protocol.md).
func (n *node) sit(ctx context.Context, number int, c clip) (*site, error) {
	d := websocket.Dialer{Subprotocols: []string{"tongxiang.v1", "bearer." + n.token}, HandshakeTimeout: 10 * time.Second}
	conn, _, err := d.DialContext(ctx, "ws"+strings.TrimPrefix(n.url, "http")+"/ws/meetings/"+meetingID, nil)
	if err != nil {
		return nil, fmt.Errorf("open the WebSocket: %w", err)
	}
	if err := conn.WriteJSON(map[string]any{"type": "hello", "v": 1, "muted": false, "camera": true}); err != nil {
		return nil, err
	}
	var m message
	for m.Type != "welcome" {
		if err := conn.ReadJSON(&m); err != nil {
			return nil, fmt.Errorf("wait for the welcome: %w", err)
		}
	}
	s := &site{number: number, seat: m.You, clip: c, conn: conn}
	return s, s.publish(ctx, n, m.Media.WHIP, m.Media.Token)
}

type message struct {
	Type  string `json:"type"`
	You   string `json:"you"`
	T     int64  `json:"t"`
	Media struct {
		WHIP  string `json:"whip"`
		Token string `json:"token"`
	} `json:"media"`
}

// publish offers the site's media by WHIP (RFC 9725).
func (s *site) publish(ctx context.Context, n *node, path, token string) error {
	engine := new(webrtc.MediaEngine)
	video := webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeH264, ClockRate: 90000, SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
	}
	payloadType := webrtc.PayloadType(102)
	if s.clip.format.Codec == media.VP8 {
		video, payloadType = webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}, 96
	}
	sound := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}
	err := errors.Join(
		engine.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: video, PayloadType: payloadType}, webrtc.RTPCodecTypeVideo),
		engine.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: sound, PayloadType: 111}, webrtc.RTPCodecTypeAudio),
		engine.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: levelURI}, webrtc.RTPCodecTypeAudio),
	)
	if err != nil {
		return err
	}
	api := webrtc.NewAPI(webrtc.WithMediaEngine(engine), webrtc.WithInterceptorRegistry(new(interceptor.Registry)))
	if s.pc, err = api.NewPeerConnection(webrtc.Configuration{}); err != nil {
		return err
	}
	if s.video, err = webrtc.NewTrackLocalStaticRTP(video, "video", "site"); err != nil {
		return err
	}
	if s.audio, err = webrtc.NewTrackLocalStaticRTP(sound, "audio", "site"); err != nil {
		return err
	}
	up := make(chan struct{})
	var once sync.Once // a busy machine may lose the connection for a moment
	s.pc.OnConnectionStateChange(func(st webrtc.PeerConnectionState) {
		if st == webrtc.PeerConnectionStateConnected {
			once.Do(func() { close(up) })
		}
	})
	for _, t := range []webrtc.TrackLocal{s.audio, s.video} {
		tr, err := s.pc.AddTransceiverFromTrack(t, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
		if err != nil {
			return err
		}
		s.senders = append(s.senders, tr.Sender())
	}
	offer, err := s.pc.CreateOffer(nil)
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(s.pc)
	if err := s.pc.SetLocalDescription(offer); err != nil {
		return err
	}
	<-gathered
	res, err := n.do(ctx, http.MethodPost, path, "application/sdp", token, strings.NewReader(s.pc.LocalDescription().SDP))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if err := s.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer)}); err != nil {
		return err
	}
	select {
	case <-up:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
