package sfu

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
	"tongxiang/sfu/transport"
)

// loneEncoder is a publication without a handshake, and a way to seal packets for it.
type loneEncoder struct {
	t    *testing.T
	p    *publication
	out  *srtp.Context
	hub  *stream.Hub
	now  int64
	line *mediaLine
}

func newLoneEncoder(t *testing.T) *loneEncoder {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	hub := stream.NewHub(log)
	clock := media.NewClock()
	net, err := transport.Listen(transport.Config{UDP: "127.0.0.1:0", Now: clock.Now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	e := &Engine{hub: hub, clock: clock, log: log, net: net, done: make(chan struct{})}
	types := payloadTypes{twcc: 3, mid: 4}
	types.use([]codecLine{{codec: media.H264, pt: 102, rtx: 103}})
	line := &mediaLine{kind: media.Video, wanted: true, mid: "0", label: stream.LabelVideo, types: types, pairs: map[uint32]uint32{100: 200}}
	p := newPublication(e, Grant{}, []*mediaLine{line}, log)
	if p.pub, err = hub.Publish("channels/a", false); err != nil {
		t.Fatal(err)
	}
	path, err := net.Attach(transport.PeerConfig{Handler: p, Log: log}, deaf(t), testKeys())
	if err != nil {
		t.Fatal(err)
	}
	p.peer = &peer{Peer: path, id: "x"}
	k := testKeys()
	out, err := srtp.CreateContext(k.RemoteKey, k.RemoteSalt, srtp.ProtectionProfileAeadAes128Gcm)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		hub.Close()
		if err := net.Close(); err != nil {
			t.Error(err)
		}
	})
	return &loneEncoder{t: t, p: p, out: out, hub: hub, now: 1e9, line: line}
}

func (l *loneEncoder) seal(p *rtp.Packet) []byte {
	l.t.Helper()
	p.Version = 2
	b, err := p.Marshal()
	if err != nil {
		l.t.Fatal(err)
	}
	sealed, err := l.out.EncryptRTP(nil, b, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	return sealed
}

// give hands a sealed packet to the publication, as the transport would.
func (l *loneEncoder) give(b []byte) {
	l.p.RTP(b, l.now)
	l.now += ms
}

func (l *loneEncoder) kept() uint64 { return l.p.eng.in.packets.Load() }

func TestFloodOfUnknownStreamsIsBoundedAndTheKnownOneFlows(t *testing.T) {
	l := newLoneEncoder(t)
	for i := range uint32(10_000) {
		l.give(l.seal(&rtp.Packet{Header: rtp.Header{SSRC: 1000 + i, PayloadType: 90, SequenceNumber: 1}, Payload: []byte{0x41, 1}}))
	}
	if len(l.p.streams) > maxSSRCs || len(l.p.layers) != 0 {
		t.Errorf("%d streams, %d layers are remembered", len(l.p.streams), len(l.p.layers))
	}
	if n := l.p.eng.unknown.Load(); n != 10_000 {
		t.Errorf("%d of 10000 were counted", n)
	}
	l.now += 2 * ssrcForgotten // those were silent since: the publisher's own comes in
	l.give(l.seal(&rtp.Packet{Header: rtp.Header{SSRC: 100, PayloadType: 102, SequenceNumber: 1}, Payload: []byte{0x65, 1}}))
	if l.kept() != 1 {
		t.Error("the stream that the offer announced was refused")
	}
}

func TestForgedReplayedAndStrangePacketsChangeNothing(t *testing.T) {
	l := newLoneEncoder(t)
	packet := func(seq uint16) *rtp.Packet {
		return &rtp.Packet{Header: rtp.Header{SSRC: 100, PayloadType: 102, SequenceNumber: seq}, Payload: []byte{0x41, byte(seq)}}
	}
	good := l.seal(packet(1))
	l.give(good)
	for name, b := range map[string][]byte{
		"replayed":                          good,
		"of another key":                    append(append([]byte{}, good[:14]...), make([]byte, 20)...),
		"with a changed header":             append(append(append([]byte{}, good[:2]...), 0, 9), good[4:]...),
		"of SSRC 0":                         append(append(append([]byte{}, good[:8]...), 0, 0, 0, 0), good[12:]...),
		"cut":                               good[:13],
		"extensions longer than the packet": {0x90, 102, 0, 2, 0, 0, 0, 0, 0, 0, 0, 100, 0xbe, 0xde, 0xff, 0xff, 1, 2, 3, 4},
	} {
		l.give(b)
		if l.kept() != 1 || len(l.p.streams) != 1 {
			t.Errorf("a packet %s was taken", name)
		}
	}
	l.give(l.seal(packet(2)))
	if l.kept() != 2 {
		t.Error("the next good packet was refused")
	}
	// Authentic, and still nonsense: extensions that fill the packet, padding longer than it.
	strange := packet(3)
	strange.Extension, strange.ExtensionProfile = true, 0x1000
	for id := uint8(1); id < 5; id++ {
		if err := strange.SetExtension(id, make([]byte, 250)); err != nil {
			t.Fatal(err)
		}
	}
	l.give(l.seal(strange))
	if l.kept() != 3 {
		t.Error("a packet with a kilobyte of extensions was refused")
	}
	raw := append([]byte{0xa0, 102, 0, 4, 0, 0, 0, 0, 0, 0, 0, 100}, 0x41, 255)
	sealed, err := l.out.EncryptRTP(nil, raw, &rtp.Header{Version: 2, SSRC: 100, SequenceNumber: 4, PayloadType: 102})
	if err == nil {
		l.give(sealed)
	}
	l.give(l.seal(packet(5)))
	if l.kept() != 4 {
		t.Errorf("%d packets kept, want 4", l.kept())
	}
}

func TestPublishersOfTheSameSSRCKeepApart(t *testing.T) {
	l := newLoneEncoder(t)
	other := newPublication(l.p.eng, Grant{}, []*mediaLine{l.line}, l.p.eng.log)
	var err error
	if other.pub, err = l.hub.Publish("channels/b", false); err != nil {
		t.Fatal(err)
	}
	keys := testKeys()
	keys.RemoteKey = bytes.Repeat([]byte{7}, len(keys.RemoteKey))
	path, err := l.p.eng.net.Attach(transport.PeerConfig{Handler: other, Log: l.p.eng.log}, deaf(t), keys)
	if err != nil {
		t.Fatal(err)
	}
	other.peer = &peer{Peer: path, id: "y"}
	out, err := srtp.CreateContext(keys.RemoteKey, keys.RemoteSalt, srtp.ProtectionProfileAeadAes128Gcm)
	if err != nil {
		t.Fatal(err)
	}
	packet := func(seq uint16, pt uint8) *rtp.Packet {
		return &rtp.Packet{Header: rtp.Header{SSRC: 100, PayloadType: pt, SequenceNumber: seq}, Payload: []byte{0x41, byte(seq)}}
	}
	for seq := range uint16(20) { // the same SSRC and numbers, of two
		mine := l.out
		l.out = out
		sealed := l.seal(packet(seq, 102))
		l.out = mine
		l.give(sealed) // under the wrong name
		other.RTP(sealed, l.now)
		l.give(l.seal(packet(seq, 102)))
	}
	for _, p := range []*publication{l.p, other} {
		if len(p.layers) != 1 || len(p.layers[0].loss.missing) != 0 || p.layers[0].loss.dups != 0 {
			t.Errorf("%d layers, of the first %+v", len(p.layers), p.layers[0].loss)
		}
	}
	if kept, forged := l.kept(), l.p.eng.forged.Load(); kept != 40 || forged != 20 {
		t.Errorf("%d packets of 40 were taken, and %d of 20 refused", kept, forged)
	}
	// One publisher that gives its picture's SSRC to something else as well.
	kept := l.kept()
	l.give(l.seal(packet(20, 111)))
	l.give(l.seal(packet(21, 102)))
	if len(l.p.layers) != 1 || l.kept() != kept+1 {
		t.Errorf("%d layers, %d packets were taken, want one and one", len(l.p.layers), l.kept()-kept)
	}
}

func TestRetransmissionRepairsTheStreamItBelongsTo(t *testing.T) {
	l := newLoneEncoder(t)
	media := func(seq uint16) *rtp.Packet {
		return &rtp.Packet{Header: rtp.Header{SSRC: 100, PayloadType: 102, SequenceNumber: seq}, Payload: []byte{0x41, byte(seq)}}
	}
	l.give(l.seal(media(65535)))
	l.give(l.seal(media(1))) // 0 was lost
	l.give(l.seal(&rtp.Packet{Header: rtp.Header{SSRC: 200, PayloadType: 103, SequenceNumber: 7}, Payload: []byte{0, 0, 0x41, 0}}))
	l.give(l.seal(&rtp.Packet{Header: rtp.Header{SSRC: 200, PayloadType: 103, SequenceNumber: 8}})) // padding: a probe
	if l.kept() != 3 || len(l.p.layers) != 1 || len(l.p.layers[0].loss.missing) != 0 {
		t.Errorf("%d packets kept, %d layers", l.kept(), len(l.p.layers))
	}
}

// A packet is decrypted into a piece that fifty others share; what is counted here
// is whole allocations for each packet.
func TestReceivingAPacketAllocatesNothing(t *testing.T) {
	l := newLoneEncoder(t)
	const runs = 4000
	var sealed [][]byte
	for i := range runs + 200 {
		p := &rtp.Packet{Header: rtp.Header{SSRC: 100, PayloadType: 102, SequenceNumber: uint16(i)}, Payload: make([]byte, 1130)}
		p.Payload[0] = 0x41
		if err := p.SetExtension(3, []byte{byte(i >> 8), byte(i)}); err != nil {
			t.Fatal(err)
		}
		sealed = append(sealed, l.seal(p))
	}
	next := 0
	for range 100 {
		l.give(sealed[next])
		next++
	}
	if n := testing.AllocsPerRun(runs, func() {
		l.give(sealed[next])
		next++
		if next%50 == 0 { // as publication.run does, or the arrivals pile up
			l.p.arrivals.BuildFeedbackPacket()
		}
	}); n != 0 {
		t.Errorf("%v allocations for each packet", n)
	}
	if l.kept() < runs {
		t.Errorf("%d packets were kept", l.kept())
	}
}
