package sfu

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"tongxiang/internal/media"
)

const (
	videoStep = 20 * time.Millisecond
	audioStep = 20 * time.Millisecond
)

func TestPlainViewerGetsPictureAndSoundOfAStream(t *testing.T) {
	for _, codec := range []media.Codec{media.H264, media.VP8} {
		t.Run(codec.String(), func(t *testing.T) {
			n := newNode(t, nil)
			opt := clientOptions{h264: codec == media.H264, vp8: codec == media.VP8}
			pub := newClient(n, opt)
			mic := pub.addAudio(-1)
			cam := pub.addVideo(codec)[0]
			pub.post("whip", "channels/a", "x")
			cam.play(videoStep, 0)
			mic.play(audioStep, 0)

			view := newClient(n, opt)
			v, a := view.receive(1, 1)
			view.post("whep", "channels/a", "x")
			until(t, "30 packets of picture and sound", func() bool { return v[0].count() >= 30 && a[0].count() >= 30 })
			continuous(t, v[0].all())
			continuous(t, a[0].all())
			first := v[0].all()[0]
			if in := media.Inspect(codec, first.Payload); !in.Sync {
				t.Errorf("the first packet is no sync point: % x", first.Payload[:8])
			}
		})
	}
}

// continuous asserts that packets follow each other without gap, reordering or
// timestamps that go back.
func continuous(t *testing.T, packets []*rtp.Packet) {
	t.Helper()
	for i := 1; i < len(packets); i++ {
		a, b := packets[i-1], packets[i]
		if b.SequenceNumber != a.SequenceNumber+1 {
			t.Fatalf("packet %d: sequence %d follows %d", i, b.SequenceNumber, a.SequenceNumber)
		}
		if int32(b.Timestamp-a.Timestamp) < 0 {
			t.Fatalf("packet %d: timestamp %d follows %d", i, b.Timestamp, a.Timestamp)
		}
		if bytes.Equal(a.Payload, b.Payload) {
			t.Fatalf("packet %d is the one before", i)
		}
	}
}

func TestPublisherIsAskedForWhatIsLostAndTheViewerSeesNoGap(t *testing.T) {
	n := newNode(t, nil)
	pub := newClient(n, clientOptions{h264: true})
	cam := pub.addVideo(media.H264)[0]
	cam.auto = true
	cam.lose = func(seq uint16) bool { return seq%20 == 7 }
	pub.post("whip", "channels/a", "x")
	cam.play(videoStep, 0)
	view := newClient(n, clientOptions{h264: true})
	v, _ := view.receive(1, 0)
	view.post("whep", "channels/a", "x")
	until(t, "100 packets", func() bool { return v[0].count() >= 100 })
	until(t, "every packet of the first 100, in some order", func() bool { return whole(v[0].all(), 100) })
	if s := n.eng.Stats(); s.NACKsSent == 0 {
		t.Errorf("%+v", s)
	}
}

// whole reports whether the first n sequence numbers are all there.
func whole(packets []*rtp.Packet, n int) bool {
	seen := map[uint16]bool{}
	for _, p := range packets {
		seen[p.SequenceNumber] = true
	}
	for i := range n {
		if !seen[packets[0].SequenceNumber+uint16(i)] {
			return false
		}
	}
	return true
}

func TestViewersLossIsRepairedFromTheRing(t *testing.T) {
	for _, rtx := range []bool{true, false} {
		name := map[bool]string{true: "by RTX", false: "on the same SSRC"}[rtx]
		t.Run(name, func(t *testing.T) {
			n := newNode(t, nil)
			pub := newClient(n, clientOptions{vp8: true})
			cam := pub.addVideo(media.VP8)[0]
			pub.post("whip", "channels/a", "x")
			cam.play(videoStep, 0)

			view := newClient(n, clientOptions{vp8: true, noRTX: !rtx})
			v, _ := view.receive(1, 0)
			lost := map[uint16]bool{}
			v[0].drop = func(p *rtp.Packet) bool { // each tenth, the first time it comes
				if p.SequenceNumber%10 != 3 || lost[p.SequenceNumber] {
					return false
				}
				lost[p.SequenceNumber] = true
				return true
			}
			view.post("whep", "channels/a", "x")
			until(t, "60 packets", func() bool { return v[0].count() >= 60 })
			v[0].mu.Lock()
			var ask []uint16
			for s := range lost {
				ask = append(ask, s)
			}
			ssrc := uint32(v[0].track.SSRC())
			v[0].mu.Unlock()
			if err := view.pc.WriteRTCP([]rtcp.Packet{&rtcp.TransportLayerNack{MediaSSRC: ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers(ask)}}); err != nil {
				t.Fatal(err)
			}
			until(t, "all packets", func() bool { return whole(v[0].all(), 50) })
			v[0].mu.Lock()
			defer v[0].mu.Unlock()
			if (v[0].rtx > 0) != rtx {
				t.Errorf("%d packets came by RTX", v[0].rtx)
			}
			for _, p := range v[0].packets {
				if media.Inspect(media.VP8, p.Payload).Start && len(p.Payload) < 200 {
					t.Errorf("a repaired packet has %d bytes", len(p.Payload))
				}
			}
		})
	}
}

func TestFloodOfNACKsIsAnsweredWithinTheBudget(t *testing.T) {
	n := newNode(t, nil)
	pub := newClient(n, clientOptions{h264: true})
	cam := pub.addVideo(media.H264)[0]
	pub.post("whip", "channels/a", "x")
	cam.play(videoStep, 0)
	view := newClient(n, clientOptions{h264: true})
	v, _ := view.receive(1, 0)
	view.post("whep", "channels/a", "x")
	until(t, "20 packets", func() bool { return v[0].count() >= 20 })
	ssrc := uint32(v[0].track.SSRC())
	flood := func() {
		for range 100 {
			seen := v[0].all()
			last := seen[len(seen)-1].SequenceNumber
			var ask []uint16
			for i := range uint16(200) {
				ask = append(ask, last-i)
			}
			if err := view.pc.WriteRTCP([]rtcp.Packet{&rtcp.TransportLayerNack{MediaSSRC: ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers(ask)}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	// A first hundred in a moment may all be taken for one question.
	until(t, "the flood to be noticed", func() bool {
		flood()
		s := n.eng.Stats()
		return s.Drops["retransmission_budget"]+s.Drops["feedback_flood"] > 0
	})
	for range 4 {
		flood()
	}
	before := v[0].count()
	until(t, "more picture", func() bool { return v[0].count() > before+50 })
	s := n.eng.Stats()
	if limit := s.BytesOut/budgetShare + budgetStart; s.Retransmitted*200 > limit {
		t.Errorf("%d packets sent again for %d bytes of media", s.Retransmitted, s.BytesOut)
	}
	until(t, "the kernel to drop the flood", func() bool {
		before, pictures := n.eng.Stats(), v[0].count()
		flood()
		until(t, "pictures after it", func() bool { return v[0].count() > pictures+10 })
		after := n.eng.Stats()
		return after.Drops["feedback_flood"] == before.Drops["feedback_flood"] && after.NACKsReceived == before.NACKsReceived
	})
}

func TestTransportReportsOfAllSlotsAreOneAccount(t *testing.T) {
	n := newNode(t, nil)
	pub := newClient(n, clientOptions{h264: true})
	cam, mic := pub.addVideo(media.H264)[0], pub.addAudio(-1)
	pub.post("whip", "channels/a", "x")
	cam.play(videoStep, 0)
	mic.play(audioStep, 0)
	view := newClient(n, clientOptions{h264: true})
	v, a := view.receive(1, 1)
	view.post("whep", "channels/a", "x")
	until(t, "packets on both", func() bool { return v[0].count() >= 40 && a[0].count() >= 20 })

	// One counter over both m-lines, without gap.
	numbers := map[uint16]int{}
	for _, k := range []*sink{v[0], a[0]} {
		id := twccID(t, k.track, view)
		for _, p := range k.all() {
			e := p.GetExtension(id)
			if len(e) != 2 {
				t.Fatalf("packet without transport-wide number: %v", p.Header.Extensions)
			}
			numbers[uint16(e[0])<<8|uint16(e[1])]++
		}
	}
	for i := range uint16(50) {
		if numbers[i+1] != 1 {
			t.Errorf("number %d came %d times", i+1, numbers[i+1])
		}
	}
	// Chromium sends each report under the SSRC that sent last: whichever it is, it counts once.
	report := func(ssrc uint32, count uint16) *rtcp.TransportLayerCC {
		cc := &rtcp.TransportLayerCC{
			Header:    rtcp.Header{Count: rtcp.FormatTCC, Type: rtcp.TypeTransportSpecificFeedback},
			MediaSSRC: ssrc, BaseSequenceNumber: 1, PacketStatusCount: count,
			PacketChunks: []rtcp.PacketStatusChunk{&rtcp.RunLengthChunk{PacketStatusSymbol: rtcp.TypeTCCPacketReceivedSmallDelta, RunLength: count}},
		}
		for range count {
			cc.RecvDeltas = append(cc.RecvDeltas, &rtcp.RecvDelta{Type: rtcp.TypeTCCPacketReceivedSmallDelta, Delta: 250})
		}
		cc.Header.Length = uint16(cc.MarshalSize()/4 - 1)
		return cc
	}
	for i := range 5 {
		ssrc := uint32(v[0].track.SSRC())
		if i%2 == 1 {
			ssrc = uint32(a[0].track.SSRC())
		}
		if err := view.pc.WriteRTCP([]rtcp.Packet{report(ssrc, 4)}); err != nil {
			t.Fatal(err)
		}
	}
	w := onlyViewer(t, n)
	until(t, "all reports in one account", func() bool { return w.reported.Load() == 20 && w.received.Load() == 20 })
}

func twccID(t *testing.T, track *webrtc.TrackRemote, c *client) uint8 {
	t.Helper()
	for _, r := range c.pc.GetReceivers() {
		if r.Track() == track {
			for _, e := range r.GetParameters().HeaderExtensions {
				if e.URI == twccURI {
					return uint8(e.ID)
				}
			}
		}
	}
	t.Fatal("transport-cc was not negotiated")
	return 0
}

func onlyViewer(t *testing.T, n *node) *viewer {
	t.Helper()
	n.eng.mu.Lock()
	defer n.eng.mu.Unlock()
	for _, s := range n.eng.sessions {
		if v, ok := s.(*viewer); ok {
			return v
		}
	}
	t.Fatal("no viewer")
	return nil
}

func TestPublisherIsToldWhatArrived(t *testing.T) {
	n := newNode(t, nil)
	pub := newClient(n, clientOptions{h264: true})
	cam := pub.addVideo(media.H264)[0]
	var tcc, rr int
	var mu sync.Mutex
	pub.post("whip", "channels/a", "x")
	go func() {
		b := make([]byte, 1500)
		for {
			size, _, err := cam.sender.Read(b)
			if err != nil {
				return
			}
			packets, err := rtcp.Unmarshal(b[:size])
			if err != nil {
				continue
			}
			mu.Lock()
			for _, p := range packets {
				switch p := p.(type) {
				case *rtcp.TransportLayerCC:
					tcc += len(p.RecvDeltas)
				case *rtcp.ReceiverReport:
					rr += len(p.Reports)
				}
			}
			mu.Unlock()
		}
	}()
	for i := range uint16(200) {
		p := &rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: i, Timestamp: uint32(i) * 3000}, Payload: []byte{0x41, 0x88, byte(i)}}
		cam.extension(p, twccURI, []byte{byte(i >> 8), byte(i)})
		if err := cam.track.WriteRTP(p); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "transport-wide feedback of all packets and a receiver report", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return tcc >= 200 && rr > 0
	})
}

func TestPublisherThatTakesOverKeepsTheViewers(t *testing.T) {
	n := newNode(t, nil)
	old := newClient(n, clientOptions{h264: true})
	cam := old.addVideo(media.H264)[0]
	old.post("whip", "channels/a", "x")
	cam.play(videoStep, 0)
	view := newClient(n, clientOptions{h264: true, vp8: true})
	v, _ := view.receive(1, 0)
	view.post("whep", "channels/a", "x")
	until(t, "picture of the first", func() bool { return v[0].count() >= 20 })

	fresh := newClient(n, clientOptions{vp8: true}) // another codec, even
	cam2 := fresh.addVideo(media.VP8)[0]
	fresh.post("whip", "channels/a", "x")
	cam2.play(videoStep, 0)
	until(t, "picture of the second", func() bool {
		all := v[0].all()
		return all[len(all)-1].PayloadType != all[0].PayloadType
	})
	at := v[0].count()
	until(t, "more", func() bool { return v[0].count() > at+20 })
	continuous(t, v[0].all())
	until(t, "the first to be gone", func() bool { return n.eng.Stats().Publishers == 1 })
}

func TestPublisherThatVanishesAndReturnsIsSeenAgain(t *testing.T) {
	n := newNode(t, nil)
	view := newClient(n, clientOptions{h264: true})
	v, _ := view.receive(1, 0)
	view.post("whep", "channels/a", "x") // nobody publishes yet
	for range 2 {
		pub := newClient(n, clientOptions{h264: true})
		cam := pub.addVideo(media.H264)[0]
		pub.post("whip", "channels/a", "x")
		stop := cam.play(videoStep, 0)
		at := v[0].count()
		until(t, "picture", func() bool { return v[0].count() > at+20 })
		stop()
		if err := pub.pc.Close(); err != nil {
			t.Fatal(err)
		}
		until(t, "the end of the publisher, by DTLS", func() bool { return !n.hub.Published("channels/a") })
	}
	continuous(t, v[0].all())
}
