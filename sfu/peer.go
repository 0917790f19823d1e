package sfu

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// This file, transport.go and codecs.go are the only ones that know pion's
// PeerConnection. The rest of the package sees remote tracks as a function that
// fills a buffer, senders as a function that takes a header and a payload, and
// RTCP as packets, so that another stack can take its place.

// peer is one client's transport. It belongs to a publication or a viewer.
//
// Its goroutines are those of pion, and one for each track that it reads; Close
// waits for the latter.
type peer struct {
	id  string
	log *slog.Logger
	pc  *webrtc.PeerConnection

	connected chan struct{} // closed once media can flow
	gone      chan struct{} // closed when the connection has failed or was closed
	onceUp    sync.Once
	onceGone  sync.Once

	mu      sync.Mutex // serializes negotiation, guards what follows
	offer   string     // as applied last
	etag    string     // of the ICE session
	ended   bool
	reading sync.WaitGroup
}

// remoteTrack is one incoming RTP stream.
type remoteTrack struct {
	mid, rid string
	ssrc     uint32
	types    payloadTypes
	// read fills b with the next RTP packet. repair says that it came by
	// retransmission: a repaired loss, or one of the old packets that Chromium
	// sends again to probe for bandwidth.
	read func(b []byte) (n int, repair bool, err error)
	// readRTCP fills b with the next RTCP packet about this stream.
	readRTCP func(b []byte) (int, error)
}

// peerSetup is what newPeer needs to know.
type peerSetup struct {
	id       string
	offer    string
	lines    []mediaLine
	senders  []*sender // one for each of lines; nil for a publisher
	vp8      bool
	onTrack  func(remoteTrack)                // runs in a goroutine of its own until it returns
	arrivals func(ssrc uint32, number uint16) // sees each transport-wide sequence number that arrives
}

// newPeer answers an offer. The caller closes the peer.
func newPeer(ctx context.Context, t *transport, set peerSetup, log *slog.Logger) (_ *peer, answer string, err error) {
	m, err := mediaEngine(set.senders == nil, set.vp8)
	if err != nil {
		return nil, "", err
	}
	reg := &interceptor.Registry{}
	if set.arrivals != nil {
		reg.Add(arrivalTap{see: set.arrivals})
	}
	api := webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(reg), webrtc.WithSettingEngine(t.setting))
	pc, err := api.NewPeerConnection(webrtc.Configuration{Certificates: []webrtc.Certificate{t.cert}})
	if err != nil {
		return nil, "", fmt.Errorf("make a peer connection: %w", err)
	}
	p := &peer{
		id: set.id, log: log, pc: pc,
		connected: make(chan struct{}), gone: make(chan struct{}),
	}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	pc.OnConnectionStateChange(p.changed)
	if set.onTrack != nil {
		pc.OnTrack(func(track *webrtc.TrackRemote, recv *webrtc.RTPReceiver) { p.track(track, recv, set.onTrack) })
	}
	for i, s := range set.senders {
		kind := webrtc.RTPCodecTypeAudio
		if s.video {
			kind = webrtc.RTPCodecTypeVideo
		}
		s.kind, s.name = kind, fmt.Sprintf("slot%d", i)
		tr, err := pc.AddTransceiverFromTrack(s, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
		if err != nil {
			return p, "", fmt.Errorf("add sender %d: %w", i, err)
		}
		s.rtp = tr.Sender()
	}
	answer, err = p.negotiate(ctx, t, set.offer)
	return p, answer, err
}

// negotiate applies an offer and returns the answer.
func (p *peer) negotiate(ctx context.Context, t *transport, offer string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return "", errNoSession
	}
	if err := p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", negotiationError(err)
	}
	answer, err := p.pc.CreateAnswer(nil)
	if err != nil {
		return "", negotiationError(err)
	}
	gathered := webrtc.GatheringCompletePromise(p.pc)
	if err := p.pc.SetLocalDescription(answer); err != nil {
		return "", negotiationError(err)
	}
	// With our sockets open already this takes a fraction of a millisecond; the
	// client's first check must find the agent behind its name.
	select {
	case <-gathered:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	p.offer, p.etag = offer, `"`+newID()+`"`
	return withCandidates(p.pc.LocalDescription().SDP, t.udpAt, t.tcpAt), nil
}

func negotiationError(err error) error {
	switch {
	case errors.Is(err, webrtc.ErrNoCodecsAvailable), errors.Is(err, webrtc.ErrUnsupportedCodec),
		errors.Is(err, webrtc.ErrCodecNotFound):
		return errNoCodec.Because(err)
	}
	return errBadSDP.Because(err)
}

// tag returns the ETag of the ICE session (RFC 9725 section 4.3.1).
func (p *peer) tag() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.etag
}

// knows reports whether a fragment speaks of the ICE session as it is.
func (p *peer) knows(f fragment) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Contains(p.offer, "a=ice-ufrag:"+f.ufrag+"\r\n")
}

// restart applies new ICE credentials of the client and returns the answer.
func (p *peer) restart(ctx context.Context, t *transport, f fragment) (string, error) {
	p.mu.Lock()
	offer := restarted(p.offer, f)
	p.mu.Unlock()
	return p.negotiate(ctx, t, offer)
}

func (p *peer) changed(s webrtc.PeerConnectionState) {
	p.log.Debug("peer connection", "state", s.String())
	switch s {
	case webrtc.PeerConnectionStateConnected:
		p.onceUp.Do(func() { close(p.connected) })
	case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
		p.onceGone.Do(func() { close(p.gone) })
	}
}

// track starts to read an incoming stream, unless the peer is being closed.
func (p *peer) track(track *webrtc.TrackRemote, recv *webrtc.RTPReceiver, use func(remoteTrack)) {
	r := remoteTrack{
		rid: track.RID(), ssrc: uint32(track.SSRC()), types: negotiated(recv.GetParameters()),
		read: func(b []byte) (int, bool, error) {
			n, attr, err := track.Read(b)
			return n, attr != nil && attr.Get(webrtc.AttributeRtxSsrc) != nil, err
		},
	}
	if tr := recv.RTPTransceiver(); tr != nil {
		r.mid = tr.Mid()
	}
	r.readRTCP = func(b []byte) (int, error) {
		n, _, err := recv.ReadSimulcast(b, track.RID()) // also with an empty rid, where Read would log
		return n, err
	}
	p.run(func() { use(r) })
}

// run starts a goroutine that close waits for; after close it does nothing.
func (p *peer) run(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.reading.Go(f)
	}
}

// sendRTCP sends RTCP; what cannot be sent now is not worth keeping.
func (p *peer) sendRTCP(packets []rtcp.Packet) { _ = p.pc.WriteRTCP(packets) }

// close ends the connection and waits for the goroutines that read it.
func (p *peer) close() {
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	if err := p.pc.Close(); err != nil {
		p.log.Debug("close peer connection", "err", err)
	}
	p.onceGone.Do(func() { close(p.gone) })
	p.reading.Wait()
}

// sender is one outgoing m-line: a webrtc.TrackLocal whose packets come from a slot.
type sender struct {
	video    bool
	streamID string

	kind webrtc.RTPCodecType // set by newPeer
	name string
	rtp  *webrtc.RTPSender

	bound   chan struct{} // closed by Bind; what follows is set before and read after
	once    sync.Once
	types   payloadTypes
	ssrc    uint32
	rtxSSRC uint32
	write   webrtc.TrackLocalWriter
}

func newSender(video bool, streamID string) *sender {
	return &sender{video: video, streamID: streamID, bound: make(chan struct{})}
}

// Bind implements webrtc.TrackLocal. All negotiated codecs are remembered: the
// slot says by payload type which of them a packet is in.
func (s *sender) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	for _, p := range c.CodecParameters() {
		if codecOf(p.MimeType) == 0 {
			continue
		}
		s.once.Do(func() {
			s.types = negotiated(webrtc.RTPParameters{Codecs: c.CodecParameters(), HeaderExtensions: c.HeaderExtensions()})
			s.ssrc, s.rtxSSRC = uint32(c.SSRC()), uint32(c.SSRCRetransmission())
			s.write = c.WriteStream()
			close(s.bound)
		})
		return p, nil
	}
	return webrtc.RTPCodecParameters{}, webrtc.ErrUnsupportedCodec
}

// Unbind implements webrtc.TrackLocal.
func (s *sender) Unbind(webrtc.TrackLocalContext) error { return nil }

// ID implements webrtc.TrackLocal.
func (s *sender) ID() string { return s.name }

// RID implements webrtc.TrackLocal.
func (s *sender) RID() string { return "" }

// StreamID implements webrtc.TrackLocal. Slots of one stream id are synchronized
// by the browser, so every slot of a meeting has its own.
func (s *sender) StreamID() string {
	if s.streamID != "" {
		return s.streamID
	}
	return s.name
}

// Kind implements webrtc.TrackLocal.
func (s *sender) Kind() webrtc.RTPCodecType { return s.kind }

// send sends one packet; the header and the payload are not kept.
func (s *sender) send(h *rtp.Header, payload []byte) error {
	_, err := s.write.WriteRTP(h, payload)
	return err
}

// readRTCP fills b with the next RTCP packet about this sender.
func (s *sender) readRTCP(b []byte) (int, error) {
	n, _, err := s.rtp.Read(b)
	return n, err
}

// mid returns the m-line's id, once negotiated.
func (p *peer) mid(s *sender) string {
	for _, tr := range p.pc.GetTransceivers() {
		if tr.Sender() == s.rtp {
			return tr.Mid()
		}
	}
	return ""
}

// arrivalTap is an interceptor that shows each arriving packet's transport-wide
// sequence number (draft-holmer-rmcat-transport-wide-cc-extensions-01), those of
// retransmissions and of padding among them, which no track ever returns.
type arrivalTap struct {
	interceptor.NoOp
	see func(ssrc uint32, number uint16)
}

// NewInterceptor implements interceptor.Factory.
func (a arrivalTap) NewInterceptor(string) (interceptor.Interceptor, error) { return &a, nil }

// BindRemoteStream implements interceptor.Interceptor.
func (a *arrivalTap) BindRemoteStream(info *interceptor.StreamInfo, r interceptor.RTPReader) interceptor.RTPReader {
	var id uint8
	for _, e := range info.RTPHeaderExtensions {
		if strings.Contains(e.URI, "transport-wide-cc") && e.ID > 0 && e.ID < 15 {
			id = uint8(e.ID)
		}
	}
	if id == 0 {
		return r
	}
	return interceptor.RTPReaderFunc(func(b []byte, attr interceptor.Attributes) (int, interceptor.Attributes, error) {
		n, attr, err := r.Read(b, attr)
		if err != nil {
			return n, attr, err
		}
		if v, ok := parseRTP(b[:n]); ok {
			if e := v.extension(id); len(e) >= 2 {
				a.see(v.ssrc, binary.BigEndian.Uint16(e))
			}
		}
		return n, attr, nil
	})
}

// answerTimeout bounds a negotiation.
const answerTimeout = 5 * time.Second
