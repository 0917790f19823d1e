package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v4"
)

// The yardstick of the small meeting: a plain SFU of pion/webrtc, as one writes it in an
// afternoon and as most servers in Go are at their core. Every participant's tracks are
// [webrtc.TrackLocalStaticRTP] that all others are bound to; ICE-lite on one UDP port,
// AES-GCM, pion's own interceptors. It has no layers, no rules, no bandwidth shares and
// knows nobody: it is measured beside the server, because an hour in which a processor is
// slow to wake is slow for both.

// plainVoices is how many of the others' voices each participant gets, as from the server.
const plainVoices = 3

// plainRoom is its only meeting.
type plainRoom struct {
	api *webrtc.API

	mu     sync.Mutex                               // guards tracks
	tracks map[string][]*webrtc.TrackLocalStaticRTP // by participant
}

// runPlain serves until the process is ended: POST /whip/ID and /whep/ID on an address.
func runPlain(address string) error {
	room := &plainRoom{tracks: make(map[string][]*webrtc.TrackLocalStaticRTP)}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("listen on %q: %w", address, err)
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(host)})
	if err != nil {
		return fmt.Errorf("listen for media: %w", err)
	}
	var media webrtc.MediaEngine
	var interceptors interceptor.Registry
	err = errors.Join(media.RegisterDefaultCodecs(), webrtc.RegisterDefaultInterceptors(&media, &interceptors))
	if err != nil {
		return fmt.Errorf("set pion up: %w", err)
	}
	var settings webrtc.SettingEngine
	settings.SetLite(true)
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	settings.SetICEUDPMux(webrtc.NewICEUDPMux(nil, conn))
	settings.SetSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM)
	if err := settings.SetAnsweringDTLSRole(webrtc.DTLSRoleServer); err != nil {
		return fmt.Errorf("set pion up: %w", err)
	}
	room.api = webrtc.NewAPI(webrtc.WithMediaEngine(&media), webrtc.WithInterceptorRegistry(&interceptors), webrtc.WithSettingEngine(settings))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /whip/{id}", func(w http.ResponseWriter, r *http.Request) { room.serve(w, r, room.publish) })
	mux.HandleFunc("POST /whep/{id}", func(w http.ResponseWriter, r *http.Request) { room.serve(w, r, room.watch) })
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: time.Minute}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	go func() {
		<-asked
		_ = server.Close() // its listener; the process ends with it
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// serve answers an offer; set prepares the connection for a participant.
func (m *plainRoom) serve(w http.ResponseWriter, r *http.Request, set func(id string, pc *webrtc.PeerConnection) error) {
	offer, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer, err := m.answer(r.PathValue("id"), string(offer), set)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, answer) // who went away asks again
}

func (m *plainRoom) answer(id, offer string, set func(id string, pc *webrtc.PeerConnection) error) (string, error) {
	pc, err := m.api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return "", err
	}
	if err := set(id, pc); err != nil {
		return "", errors.Join(err, pc.Close())
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	err = pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer})
	if err != nil {
		return "", errors.Join(err, pc.Close())
	}
	local, err := pc.CreateAnswer(nil)
	if err == nil {
		err = pc.SetLocalDescription(local)
	}
	if err != nil {
		return "", errors.Join(err, pc.Close())
	}
	<-gathered
	return pc.LocalDescription().SDP, nil
}

// publish has what a participant sends written to whoever is bound to it.
func (m *plainRoom) publish(id string, pc *webrtc.PeerConnection) error {
	pc.OnTrack(func(remote *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		local, err := webrtc.NewTrackLocalStaticRTP(remote.Codec().RTPCodecCapability, remote.Kind().String(), id)
		if err != nil {
			return // a codec that pion does not know: the load has none
		}
		m.mu.Lock()
		m.tracks[id] = append(m.tracks[id], local)
		m.mu.Unlock()
		for {
			p, _, err := remote.ReadRTP()
			if err != nil {
				return
			}
			_ = local.WriteRTP(p) // one viewer's trouble is not the others'
		}
	})
	return nil
}

// watch binds a participant to the pictures of all others and to some of the voices.
func (m *plainRoom) watch(id string, pc *webrtc.PeerConnection) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	voices := 0
	for of, tracks := range m.tracks {
		for _, t := range tracks {
			if of == id || t.Kind() == webrtc.RTPCodecTypeAudio && voices == plainVoices {
				continue
			}
			if t.Kind() == webrtc.RTPCodecTypeAudio {
				voices++
			}
			sender, err := pc.AddTrack(t)
			if err != nil {
				return err
			}
			go drain(sender)
		}
	}
	return nil
}

// drain reads a sender's RTCP, so that the interceptors see it.
func drain(sender *webrtc.RTPSender) {
	b := make([]byte, 1500)
	for {
		if _, _, err := sender.Read(b); err != nil {
			return
		}
	}
}

// startPlain runs this program as the plain SFU where the server would run. The caller
// closes it.
func startPlain(ctx context.Context, o options) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	s, err := newServer(self)
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	s.url = "http://" + address
	if err := s.run(ctx, o, "-plain", address); err != nil {
		_ = s.close() // the error that matters is the first
		return nil, err
	}
	return s, nil
}
