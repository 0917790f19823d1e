package sfu

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pion/dtls/v3"
	"github.com/pion/webrtc/v4"

	"tongxiang/internal/media"
)

// Not every client is a browser: encoders wait for the server's handshake, or know
// only the profiles that RFC 5764 began with.
func TestClientsThatDoItDifferentlyAreServed(t *testing.T) {
	for name, how := range map[string]struct {
		send    func(string) string
		setting func(*webrtc.SettingEngine)
	}{
		"waits for the handshake": {send: func(s string) string { return strings.ReplaceAll(s, "a=setup:actpass", "a=setup:passive") }},
		"knows only AES-CM":       {setting: func(s *webrtc.SettingEngine) { s.SetSRTPProtectionProfiles(dtls.SRTP_AES128_CM_HMAC_SHA1_80) }},
		"knows AES-256-GCM":       {setting: func(s *webrtc.SettingEngine) { s.SetSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_256_GCM) }},
		"writes bare line feeds":  {send: func(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, nil)
			opt := clientOptions{h264: true, setting: how.setting}
			pub := newClient(n, opt)
			pub.send = how.send
			mic := pub.addAudio(-1)
			cam := pub.addVideo(media.H264)[0]
			pub.post("whip", "channels/a", "x")
			cam.play(videoStep, 0)
			mic.play(audioStep, 0)
			view := newClient(n, opt)
			view.send = how.send
			v, a := view.receive(1, 1)
			view.post("whep", "channels/a", "x")
			until(t, "picture and sound", func() bool { return v[0].count() > 30 && a[0].count() > 30 })
			continuous(t, v[0].all())
			continuous(t, a[0].all())
		})
	}
}

func TestCertificateThatTheOfferDidNotAnnounceIsRefused(t *testing.T) {
	n := newNode(t, nil)
	view := newClient(n, clientOptions{h264: true})
	view.receive(1, 0)
	view.send = func(s string) string {
		digest := between(s, "a=fingerprint:sha-256 ", "\r\n")
		return strings.ReplaceAll(s, digest, "00"+digest[2:len(digest)-2]+"00")
	}
	var connected atomic.Bool
	view.pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			connected.Store(true)
		}
	})
	offer, err := view.pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := view.pc.SetLocalDescription(offer); err != nil {
		t.Fatal(err)
	}
	_, answer := n.request("POST", "/whep/channels/a", "x", typeSDP, view.send(offer.SDP))
	if err := view.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		t.Fatal(err)
	}
	until(t, "the end of the session", func() bool { return n.eng.Stats().Viewers == 0 })
	if connected.Load() {
		t.Error("it was connected")
	}
}
