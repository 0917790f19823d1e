package sfu

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"tongxiang/internal/apierr"
	"tongxiang/internal/media"
	"tongxiang/internal/stream"
	"tongxiang/sfu/transport"
)

// patience bounds every wait for something that must happen; nothing is measured with it.
const patience = 30 * time.Second

// node is an engine behind a real HTTP server on loopback.
type node struct {
	t   *testing.T
	eng *Engine
	hub *stream.Hub
	url string
}

var (
	errNoToken  = apierr.New(http.StatusUnauthorized, "unauthorized", "no token", "无令牌")
	errOldToken = apierr.New(http.StatusUnauthorized, "token_expired", "expired", "已过期")
)

// authorize makes the bearer token the participant: "li" publishes and watches as
// li in meetings/{id}; in channels anybody does as he likes.
func authorize(r *http.Request, _ Action, name stream.Name) (Grant, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case !ok:
		return Grant{}, errNoToken
	case token == "expired":
		return Grant{}, errOldToken
	}
	seg := name.Segments()
	if seg[0] == "meetings" && len(seg) == 2 {
		return Grant{Publish: stream.Participant(seg[1], token), Meeting: seg[1], Participant: token}, nil
	}
	return Grant{Publish: name, Watch: name}, nil
}

func newNode(t *testing.T, edit func(*Config)) *node {
	t.Helper()
	level := slog.LevelError
	if testing.Verbose() && os.Getenv("SFU_LOG") != "" {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	hub := stream.NewHub(log)
	cfg := Config{UDP: "127.0.0.1:0", TCP: "127.0.0.1:0", Authorize: authorize}
	if edit != nil {
		edit(&cfg)
	}
	eng, err := New(cfg, hub, media.NewClock(), log)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(eng.Handler())
	t.Cleanup(func() {
		srv.Close()
		if err := eng.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		hub.Close()
	})
	return &node{t, eng, hub, srv.URL}
}

// request makes one HTTP request and returns the answer with its body.
func (n *node) request(method, path, token, contentType, body string, header ...string) (*http.Response, string) {
	n.t.Helper()
	r, err := http.NewRequestWithContext(n.t.Context(), method, n.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		n.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return resp, string(b)
}

// client is a pion peer connection without interceptors, so that tests see and
// make every packet themselves.
type client struct {
	t        *testing.T
	n        *node
	pc       *webrtc.PeerConnection
	location string
	etag     string
	edit     func(string) string // of the answer
	send     func(string) string // of the offer
	up       chan struct{}
}

type clientOptions struct {
	vp8, h264 bool
	level     bool // offer the audio-level extension
	noRTX     bool
	setting   func(*webrtc.SettingEngine)
}

func newClient(n *node, o clientOptions) *client {
	n.t.Helper()
	m := &webrtc.MediaEngine{}
	must := func(err error) {
		n.t.Helper()
		if err != nil {
			n.t.Fatal(err)
		}
	}
	fb := []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}, {Type: "transport-cc"}}
	video := func(pt webrtc.PayloadType, mime, fmtp, apt string) {
		must(m.RegisterCodec(webrtc.RTPCodecParameters{
			RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: mime, ClockRate: 90000, SDPFmtpLine: fmtp, RTCPFeedback: fb}, PayloadType: pt,
		}, webrtc.RTPCodecTypeVideo))
		if !o.noRTX {
			must(m.RegisterCodec(webrtc.RTPCodecParameters{
				RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeRTX, ClockRate: 90000, SDPFmtpLine: apt}, PayloadType: pt + 1,
			}, webrtc.RTPCodecTypeVideo))
		}
	}
	if o.vp8 {
		video(96, webrtc.MimeTypeVP8, "", "apt=96")
	}
	if o.h264 {
		video(102, webrtc.MimeTypeH264, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f", "apt=102")
	}
	must(m.RegisterCodec(webrtc.RTPCodecParameters{
		RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}, PayloadType: 111,
	}, webrtc.RTPCodecTypeAudio))
	for _, uri := range []string{twccURI, midURI, ridURI, rridURI} {
		must(m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: uri}, webrtc.RTPCodecTypeVideo))
	}
	audio := []string{twccURI, midURI}
	if o.level {
		audio = append(audio, levelURI)
	}
	for _, uri := range audio {
		must(m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: uri}, webrtc.RTPCodecTypeAudio))
	}
	s := webrtc.SettingEngine{LoggerFactory: transport.PionLogs(slog.New(slog.DiscardHandler))}
	s.SetIncludeLoopbackCandidate(true)
	s.SetIPFilter(isLoopback)
	s.DisableSRTPReplayProtection(true) // tests lose packets after they were received
	if o.setting != nil {
		o.setting(&s)
	}
	api := webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(&interceptor.Registry{}), webrtc.WithSettingEngine(s))
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	must(err)
	c := &client{t: n.t, n: n, pc: pc, up: make(chan struct{})}
	var once sync.Once
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			once.Do(func() { close(c.up) })
		}
	})
	n.t.Cleanup(func() { _ = pc.Close() })
	return c
}

// post sends the offer and applies the answer.
func (c *client) post(kind, name, token string) {
	c.t.Helper()
	offer, err := c.pc.CreateOffer(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.pc.SetLocalDescription(offer); err != nil {
		c.t.Fatal(err)
	}
	text := offer.SDP
	if c.send != nil {
		text = c.send(text)
	}
	resp, body := c.n.request(http.MethodPost, "/"+kind+"/"+name, token, typeSDP, text)
	if resp.StatusCode != http.StatusCreated {
		c.t.Fatalf("%s %s: %s: %s", kind, name, resp.Status, body)
	}
	c.location, c.etag = resp.Header.Get("Location"), resp.Header.Get("ETag")
	if c.edit != nil {
		body = c.edit(body)
	}
	if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: body}); err != nil {
		c.t.Fatalf("answer: %v\n%s", err, body)
	}
	wait(c.t, "connection", c.up)
}

func wait(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("no %s", what)
	}
}

// until polls a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

// --- publisher

// source is one outgoing stream of a test publisher.
type testSource struct {
	c      *client
	track  *webrtc.TrackLocalStaticRTP
	sender *webrtc.RTPSender
	raw    webrtc.TrackLocalWriter
	rid    string
	seq    uint16
	ts     uint32
	codec  media.Codec
	level  int // -1: without the extension
	n      byte
	mu     sync.Mutex // guards what follows
	plis   int
	nacked []uint16
	sent   map[uint16]*rtp.Packet
	lose   func(seq uint16) bool // packets made but not sent
	auto   bool                  // answer NACKs
}

func (c *client) addVideo(codec media.Codec, rids ...string) []*testSource {
	c.t.Helper()
	mime := webrtc.MimeTypeH264
	if codec == media.VP8 {
		mime = webrtc.MimeTypeVP8
	}
	if len(rids) == 0 {
		rids = []string{""}
	}
	var out []*testSource
	var sender *webrtc.RTPSender
	for i, rid := range rids {
		var opts []func(*webrtc.TrackLocalStaticRTP)
		if rid != "" {
			opts = append(opts, webrtc.WithRTPStreamID(rid))
		}
		tr, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: mime, ClockRate: 90000}, "video", "cam", opts...)
		if err != nil {
			c.t.Fatal(err)
		}
		src := &testSource{c: c, track: tr, rid: rid, codec: codec, seq: 65000, level: -1, sent: map[uint16]*rtp.Packet{}}
		local := tappedTrack{tr, src}
		if i == 0 {
			t, err := c.pc.AddTransceiverFromTrack(local, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
			if err != nil {
				c.t.Fatal(err)
			}
			sender = t.Sender()
		} else if err := sender.AddEncoding(local); err != nil {
			c.t.Fatal(err)
		}
		src.sender = sender
		out = append(out, src)
	}
	return out
}

func (c *client) addAudio(level int) *testSource {
	c.t.Helper()
	tr, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}, "audio", "mic")
	if err != nil {
		c.t.Fatal(err)
	}
	t, err := c.pc.AddTransceiverFromTrack(tr, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	if err != nil {
		c.t.Fatal(err)
	}
	return &testSource{c: c, track: tr, sender: t.Sender(), codec: media.Opus, seq: 100, level: level, sent: map[uint16]*rtp.Packet{}}
}

// listen reads RTCP, counting requests for key frames and answering NACKs when auto is set.
func (s *testSource) listen() {
	go func() {
		b := make([]byte, 1500)
		for {
			n, _, err := s.sender.ReadSimulcast(b, s.rid)
			if err != nil {
				return
			}
			packets, err := rtcp.Unmarshal(b[:n])
			if err != nil {
				continue
			}
			for _, p := range packets {
				switch p := p.(type) {
				case *rtcp.PictureLossIndication:
					s.mu.Lock()
					s.plis++
					s.mu.Unlock()
				case *rtcp.TransportLayerNack:
					s.mu.Lock()
					for _, pair := range p.Nacks {
						for _, seq := range pair.PacketList() {
							s.nacked = append(s.nacked, seq)
							if pk := s.sent[seq]; pk != nil && s.auto {
								_ = s.track.WriteRTP(pk)
							}
						}
					}
					s.mu.Unlock()
				}
			}
		}
	}()
}

func (s *testSource) pliCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.plis
}

// extension sets header extension uri as it was negotiated.
func (s *testSource) extension(p *rtp.Packet, uri string, value []byte) {
	for _, e := range s.sender.GetParameters().HeaderExtensions {
		if e.URI == uri {
			if err := p.Header.SetExtension(uint8(e.ID), value); err != nil {
				s.c.t.Error(err)
			}
		}
	}
}

// packet sends one packet.
func (s *testSource) packet(payload []byte, marker bool) {
	p := &rtp.Packet{Header: rtp.Header{Version: 2, Marker: marker, SequenceNumber: s.seq, Timestamp: s.ts}, Payload: payload}
	s.seq++
	if s.rid != "" {
		for _, tr := range s.c.pc.GetTransceivers() {
			if tr.Sender() == s.sender {
				s.extension(p, midURI, []byte(tr.Mid()))
			}
		}
		s.extension(p, ridURI, []byte(s.rid))
	}
	if s.level >= 0 {
		s.extension(p, levelURI, []byte{byte(s.level)})
	}
	s.mu.Lock()
	s.sent[p.SequenceNumber] = p
	lose := s.lose != nil && s.lose(p.SequenceNumber)
	s.mu.Unlock()
	if !lose {
		if err := s.track.WriteRTP(p); err != nil && !errors.Is(err, io.ErrClosedPipe) {
			s.c.t.Error(err)
		}
	}
}

// testSPS is a real parameter set of OpenH264: 640x480, constrained baseline.
var testSPS = []byte{0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x50, 0x1e, 0x90, 0x0f, 0x08, 0x84, 0x6a}

// frame sends one picture of two packets. Its bytes say whose it is and which.
func (s *testSource) frame(key bool) {
	s.n++
	body := bytes.Repeat([]byte{s.n}, 200)
	if s.codec == media.VP8 {
		tag := byte(1)
		if key {
			tag = 0
		}
		head := []byte{0x90, 0x80, 0x80, s.n}
		first := append(append([]byte{}, head...), tag, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00)
		s.packet(append(first, body...), false)
		s.packet(append([]byte{0x80, 0x80, 0x80, s.n}, body...), true)
	} else {
		nal := byte(0x41)
		if key {
			nal = 0x65
			stap := append([]byte{0x78, 0, byte(len(testSPS))}, testSPS...)
			s.packet(append(stap, 0, 4, 0x68, 0xcb, 0x83, 0xcb), false)
		}
		// FU-A in two packets (RFC 6184 section 5.8)
		s.packet(append([]byte{0x7c, 0x80 | nal&0x1f, 0x88}, body...), false)
		s.packet(append([]byte{0x7c, 0x40 | nal&0x1f}, body...), true)
	}
	s.ts += 3000
}

// sound sends one packet of Opus.
func (s *testSource) sound() {
	s.n++
	s.packet([]byte{0xf8, s.n, 1, 2, 3, 4, 5, 6}, false)
	s.ts += 960
}

// play sends until the test ends: a key frame when asked for one or every gop
// pictures, or sound, each step. It returns a function that stops it.
func (s *testSource) play(step time.Duration, gop int) (stop func()) {
	s.listen()
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		t := time.NewTicker(step)
		defer t.Stop()
		answered := 0
		for i := 0; ; i++ {
			if s.codec == media.Opus {
				s.sound()
			} else {
				asked := s.pliCount()
				s.frame(i == 0 || asked > answered || (gop > 0 && i%gop == 0))
				answered = asked
			}
			select {
			case <-t.C:
			case <-done:
				return
			}
		}
	}()
	var once sync.Once
	stop = func() { once.Do(func() { close(done) }); <-ended }
	s.c.t.Cleanup(stop)
	return stop
}

// --- viewer

// sink is one incoming m-line of a test viewer.
type sink struct {
	mu      sync.Mutex
	packets []*rtp.Packet
	track   *webrtc.TrackRemote
	drop    func(*rtp.Packet) bool
	rtx     int
}

func (k *sink) all() []*rtp.Packet {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]*rtp.Packet(nil), k.packets...)
}

func (k *sink) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.packets)
}

// receive adds m-lines and returns what arrives on each, in order.
func (c *client) receive(video, audio int) (v, a []*sink) {
	c.t.Helper()
	sinks := map[string]*sink{}
	var mu sync.Mutex
	add := func(kind webrtc.RTPCodecType) *sink {
		tr, err := c.pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly})
		if err != nil {
			c.t.Fatal(err)
		}
		k := &sink{}
		mu.Lock()
		defer mu.Unlock()
		sinks[recvKey(tr.Receiver())] = k
		return k
	}
	for range video {
		v = append(v, add(webrtc.RTPCodecTypeVideo))
	}
	for range audio {
		a = append(a, add(webrtc.RTPCodecTypeAudio))
	}
	c.pc.OnTrack(func(t *webrtc.TrackRemote, r *webrtc.RTPReceiver) {
		mu.Lock()
		k := sinks[recvKey(r)]
		mu.Unlock()
		k.mu.Lock()
		k.track = t
		k.mu.Unlock()
		for {
			p, attr, err := t.ReadRTP()
			if err != nil {
				return
			}
			k.mu.Lock()
			if attr != nil && attr.Get(webrtc.AttributeRtxSsrc) != nil {
				k.rtx++
			}
			if k.drop == nil || !k.drop(p) {
				k.packets = append(k.packets, p)
			}
			k.mu.Unlock()
		}
	})
	return v, a
}

func recvKey(r *webrtc.RTPReceiver) string { return strings.TrimSpace(pointer(r)) }
