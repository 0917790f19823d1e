package sfu

import (
	"log/slog"
	"net"
	"testing"

	"github.com/pion/rtp"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// nowhere takes packets as pion does, and sends them nowhere.
type nowhere struct{ bytes int }

// WriteRTP implements webrtc.TrackLocalWriter.
func (w *nowhere) WriteRTP(h *rtp.Header, payload []byte) (int, error) {
	w.bytes += h.MarshalSize() + len(payload)
	return len(payload), nil
}

// Write implements webrtc.TrackLocalWriter.
func (w *nowhere) Write(b []byte) (int, error) { return len(b), nil }

// loneViewer is a plain viewer of a track without a connection: all of the path of
// a packet that is ours.
func loneViewer(tb testing.TB, codec media.Codec) (*viewer, *stream.Track, func()) {
	tb.Helper()
	log := slog.New(slog.DiscardHandler)
	hub := stream.NewHub(log)
	e := &Engine{hub: hub, clock: media.NewClock(), log: log, sources: newSources(hub), done: make(chan struct{})}
	pub, err := hub.Publish("channels/a", false)
	if err != nil {
		tb.Fatal(err)
	}
	track := pub.AddTrack(stream.TrackInfo{Label: stream.LabelVideo, Form: stream.Packets, Format: media.Format{Codec: codec, ClockRate: 90000}})
	v := &viewer{
		eng: e, log: log, plain: true, watch: "channels/a", reader: stream.NewReader(nil),
		budget: newBudget(), bases: map[stream.Name]int64{}, wake: make(chan struct{}, 1),
	}
	v.addSlots([]mediaLine{{kind: media.Video}})
	out := v.slots[0].out
	out.types = payloadTypes{media: map[media.Codec]uint8{media.H264: 102, media.VP8: 96}, twcc: 3}
	out.types.rtx[102], out.types.rtx[96] = 103, 97
	out.ssrc, out.rtxSSRC, out.write = 1, 2, &nowhere{}
	close(out.bound)
	v.start()
	v.step(0, true)
	return v, track, func() {
		v.slots[0].close()
		hub.Close()
	}
}

func testPackets(codec media.Codec, n int) []*media.Packet {
	out := make([]*media.Packet, n)
	for i := range out {
		b := make([]byte, 1160)
		b[0] = 0x41
		if i%250 == 0 {
			b[0] = 0x65
		}
		if codec == media.VP8 {
			copy(b, []byte{0x90, 0xe0, 0x80 | byte(i>>8&0x7f), byte(i), byte(i), 0x20, 1})
		}
		out[i] = &media.Packet{
			Sequence: int64(i), Timestamp: int64(i) * 900, Time: media.Time(i) * 1e7, Arrival: int64(i) * 1e7,
			Payload: b, Codec: codec, Start: true, Sync: i%250 == 0, Marker: true,
		}
	}
	return out
}

// BenchmarkForward is what one packet costs one viewer, from the ring to the
// writer: encryption and the socket are not in it.
func BenchmarkForward(b *testing.B) {
	for _, codec := range []media.Codec{media.H264, media.VP8} {
		b.Run(codec.String(), func(b *testing.B) {
			v, track, end := loneViewer(b, codec)
			defer end()
			packets := testPackets(codec, 500)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				track.WritePacket(packets[i%len(packets)])
				v.step(int64(i), false)
				i++
			}
		})
	}
}

func TestForwardingAPacketAllocatesNothing(t *testing.T) {
	for _, codec := range []media.Codec{media.H264, media.VP8} {
		t.Run(codec.String(), func(t *testing.T) {
			v, track, end := loneViewer(t, codec)
			defer end()
			packets := testPackets(codec, 4000)
			i := 0
			one := func() {
				track.WritePacket(packets[i])
				v.step(packets[i].Arrival, false)
				i++
			}
			for range 1000 {
				one()
			}
			if n := testing.AllocsPerRun(2000, one); n != 0 {
				t.Errorf("%v allocations for each packet", n)
			}
			if sent := v.eng.out.packets.Load(); sent < 3000 {
				t.Errorf("only %d packets were forwarded", sent)
			}
		})
	}
}

func TestAnsweringANACKAllocatesNothing(t *testing.T) {
	v, track, end := loneViewer(t, media.VP8)
	defer end()
	for _, p := range testPackets(media.VP8, 500) {
		track.WritePacket(p)
		v.step(p.Arrival, false)
	}
	s := v.slots[0]
	seq := uint16(s.rw.current().lastOut)
	now := int64(1e12)
	if n := testing.AllocsPerRun(100, func() {
		v.budget = newBudget()
		now += 100 * ms
		s.retransmit(seq, now)
	}); n != 0 {
		t.Errorf("%v allocations for each retransmission", n)
	}
	if v.eng.resent.Load() < 100 {
		t.Errorf("%d sent again", v.eng.resent.Load())
	}
}

func TestSendingADatagramAllocatesNothingAndNeverWaits(t *testing.T) {
	s, err := listenUDP("127.0.0.1:0", newSSRCGuard(), func() int64 { return 1 })
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sink, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close() // nobody reads it
	to := sink.LocalAddr().(*net.UDPAddr).AddrPort()
	b := make([]byte, 1200)
	if n := testing.AllocsPerRun(5000, func() {
		if _, err := s.WriteToAddrPort(b, to); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for each datagram", n)
	}
	if got := s.packetsOut.Load() + s.full.Load(); got < 5000 {
		t.Errorf("%d of 5000 are accounted for", got)
	}
}

// BenchmarkReceive is what one arriving packet costs up to the ring.
func BenchmarkReceive(b *testing.B) {
	log := slog.New(slog.DiscardHandler)
	hub := stream.NewHub(log)
	defer hub.Close()
	e := &Engine{hub: hub, clock: media.NewClock(), log: log, done: make(chan struct{})}
	pub, err := hub.Publish("channels/a", false)
	if err != nil {
		b.Fatal(err)
	}
	p := &publication{eng: e, log: log, pub: pub, wake: make(chan struct{}, 1)}
	l := newLayer(p, mediaLine{kind: media.Video, label: stream.LabelVideo}, remoteTrack{types: payloadTypes{codec: [128]media.Codec{102: media.H264}}})
	raw := make([]byte, 1180)
	copy(raw, []byte{0x80, 102, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9})
	raw[12] = 0x41
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		buf := l.slab.buffer()
		copy(buf, raw)
		buf[2], buf[3] = byte(i>>8), byte(i)
		l.push(buf[:len(raw)], false, int64(i)*1e6)
		i++
	}
}
