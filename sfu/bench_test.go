package sfu

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/dtls/v3"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
	"tongxiang/sfu/transport"
)

// loneViewer is a plain viewer of a track, with a socket at the other end that
// nobody reads but without a handshake: all of the path of a packet.
func loneViewer(tb testing.TB, codec media.Codec) (*viewer, *stream.Track) {
	tb.Helper()
	log := slog.New(slog.DiscardHandler)
	hub := stream.NewHub(log)
	clock := media.NewClock()
	net, err := transport.Listen(transport.Config{UDP: "127.0.0.1:0", Now: clock.Now, Log: log})
	if err != nil {
		tb.Fatal(err)
	}
	e := &Engine{hub: hub, clock: clock, log: log, net: net, sources: newSources(hub), done: make(chan struct{})}
	pub, err := hub.Publish("channels/a", false)
	if err != nil {
		tb.Fatal(err)
	}
	track := pub.AddTrack(stream.TrackInfo{Label: stream.LabelVideo, Form: stream.Packets, Format: media.Format{Codec: codec, ClockRate: 90000}})
	w, err := newWorker(e, net.NewBatch())
	if err != nil {
		tb.Fatal(err)
	}
	v := joinViewer(tb, e, w)
	tb.Cleanup(func() {
		for len(v.w.viewers) > 0 {
			v.w.remove(v.w.viewers[0])
		}
		v.w.sweep(0)
		hub.Close()
		if err := net.Close(); err != nil {
			tb.Error(err)
		}
	})
	return v, track
}

// joinViewer adds a viewer of the same stream to a worker.
func joinViewer(tb testing.TB, e *Engine, w *worker) *viewer {
	tb.Helper()
	v := &viewer{
		eng: e, w: w, log: e.log, plain: true, watch: "channels/a",
		budget: newBudget(), bases: map[stream.Name]int64{}, done: make(chan struct{}),
	}
	types := &payloadTypes{twcc: 3}
	types.use([]codecLine{{codec: media.H264, pt: 102, rtx: 103}, {codec: media.VP8, pt: 96, rtx: 97}})
	line := &mediaLine{kind: media.Video, wanted: true, types: *types}
	v.addSlots([]*mediaLine{line}, []*sender{{types: types, ssrc: 11, rtxSSRC: 12}})
	p, err := e.net.Attach(transport.PeerConfig{Handler: v, Log: e.log}, deaf(tb), testKeys())
	if err != nil {
		tb.Fatal(err)
	}
	v.peer = &peer{Peer: p, id: "x"}
	v.w.step(0)
	if !v.started {
		tb.Fatal("the viewer did not start")
	}
	return v
}

// deaf is the address of a socket that nobody reads.
func deaf(tb testing.TB) netip.AddrPort {
	tb.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	at, _ := c.LocalAddr().(*net.UDPAddr)
	return at.AddrPort()
}

func testKeys() transport.Keys {
	return transport.Keys{
		Profile:  dtls.SRTP_AEAD_AES_128_GCM,
		LocalKey: make([]byte, 16), LocalSalt: make([]byte, 12), RemoteKey: make([]byte, 16), RemoteSalt: make([]byte, 12),
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

// BenchmarkForward is what one packet costs one viewer, from the ring through
// encryption into the kernel.
func BenchmarkForward(b *testing.B) {
	for _, codec := range []media.Codec{media.H264, media.VP8} {
		b.Run(codec.String(), func(b *testing.B) {
			v, track := loneViewer(b, codec)
			packets := testPackets(codec, 500)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				track.WritePacket(packets[i%len(packets)])
				v.w.step(int64(i))
				i++
			}
		})
	}
}

// BenchmarkPicture is what each packet of a picture costs for each of 200 viewers,
// after a pause in which the caches went to somebody else.
func BenchmarkPicture(b *testing.B) {
	const viewers = 200
	evict := make([]byte, 8<<20)
	for _, n := range []int{1, 5} {
		b.Run(fmt.Sprintf("packets-%d", n), func(b *testing.B) {
			v, track := loneViewer(b, media.H264)
			for range viewers - 1 {
				joinViewer(b, v.eng, v.w)
			}
			sequence, spent := int64(0), time.Duration(0)
			for b.Loop() {
				packets := picture(sequence, n, sequence%250 == 0)
				sequence += int64(n)
				for i := 0; i < len(evict); i += 64 {
					evict[i]++
				}
				for _, p := range packets {
					track.WritePacket(p)
				}
				begin := time.Now()
				v.w.step(sequence)
				spent += time.Since(begin)
			}
			b.ReportMetric(float64(spent.Nanoseconds())/float64(sequence*viewers), "ns/packet")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func TestForwardingAPacketAllocatesNothing(t *testing.T) {
	for _, codec := range []media.Codec{media.H264, media.VP8} {
		t.Run(codec.String(), func(t *testing.T) {
			v, track := loneViewer(t, codec)
			packets := testPackets(codec, 4000)
			i := 0
			one := func() {
				track.WritePacket(packets[i])
				v.w.step(packets[i].Arrival)
				i++
			}
			for range 1000 {
				one()
			}
			if n := testing.AllocsPerRun(2000, one); n != 0 {
				t.Errorf("%v allocations for each packet", n)
			}
			if sent := v.eng.net.Stats().PacketsOut; sent < 3000 {
				t.Errorf("only %d packets went out", sent)
			}
		})
	}
}

func TestAnsweringANACKAllocatesNothing(t *testing.T) {
	v, track := loneViewer(t, media.VP8)
	for _, p := range testPackets(media.VP8, 500) {
		track.WritePacket(p)
		v.w.step(p.Arrival)
	}
	s := v.slots[0]
	seq := uint16(s.rw.current().lastOut)
	now := int64(1e12)
	if n := testing.AllocsPerRun(100, func() {
		v.budget = newBudget()
		now += 100 * ms
		s.retransmit(seq, now)
		v.w.out.Flush()
	}); n != 0 {
		t.Errorf("%v allocations for each retransmission", n)
	}
	if v.eng.resent.Load() < 100 {
		t.Errorf("%d sent again", v.eng.resent.Load())
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
	l := newLayer(p, &mediaLine{kind: media.Video, label: stream.LabelVideo, types: payloadTypes{codec: [128]media.Codec{102: media.H264}}}, "", 9)
	raw := make([]byte, 1180)
	copy(raw, []byte{0x80, 102, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9})
	raw[12] = 0x41
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		buf := l.slab.buffer()
		copy(buf, raw)
		buf[2], buf[3] = byte(i>>8), byte(i)
		v, _ := parseRTP(buf[:len(raw)])
		l.push(&v, len(raw), false, int64(i)*1e6)
		i++
	}
}
