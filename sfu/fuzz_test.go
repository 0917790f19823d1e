package sfu

import (
	"bytes"
	"testing"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"

	"tongxiang/internal/media"
)

func FuzzReadFragment(f *testing.F) {
	for _, s := range []string{
		"a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n",
		"a=ice-ufrag:abcd\na=ice-pwd:abcdefghijklmnopqrstuvwx\nm=audio 9 UDP/TLS/RTP/SAVPF 0\na=mid:0\na=candidate:1 1 udp 1 10.0.0.1 5000 typ host\na=end-of-candidates\n",
		"a=candidate:1", "hello", "", "a=ice-ufrag:\r\na=ice-pwd:\r\n", "a=ice-ufrag:ab\rcd",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := readFragment(b)
		if err != nil {
			return
		}
		if g.ufrag == "" {
			return
		}
		if bytes.ContainsAny([]byte(g.ufrag+g.pwd), "\r\n ") {
			t.Fatalf("%+v", g)
		}
	})
}

func FuzzReadOffer(f *testing.F) {
	f.Add("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=sendonly\r\na=mid:0\r\na=rtpmap:96 VP8/90000\r\na=rid:q send\r\na=rid:h send\r\n")
	f.Add("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=fingerprint:sha-256 00:11\r\na=setup:passive\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n")
	f.Add("v=0")
	f.Fuzz(func(t *testing.T, s string) {
		o, err := readOffer(s, "sendonly")
		if err != nil {
			return
		}
		if len(o.lines) == 0 || len(o.lines) > maxMedia {
			t.Fatalf("%d lines", len(o.lines))
		}
		var d sdp.SessionDescription
		if err := d.UnmarshalString(o.answer(reply{senders: newSenders(o.lines, "")})); err != nil {
			t.Fatalf("the answer is no SDP: %v", err)
		}
	})
}

func FuzzParseRTP(f *testing.F) {
	for _, p := range []rtp.Packet{
		{Header: rtp.Header{Version: 2, Marker: true, PayloadType: 96, SequenceNumber: 7, Timestamp: 9, SSRC: 5}, Payload: []byte{1, 2, 3}},
		{Header: rtp.Header{Version: 2, PayloadType: 111, CSRC: []uint32{1, 2}, Extension: true, ExtensionProfile: profileOneByte, Extensions: []rtp.Extension{}}, Payload: []byte{9}},
	} {
		_ = p.Header.SetExtension(3, []byte{1, 2})
		_ = p.Header.SetExtension(5, []byte{1})
		if b, err := p.Marshal(); err == nil {
			f.Add(b)
		}
	}
	f.Add([]byte{0xa0, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 4})
	f.Add([]byte{0x90, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0x10, 0, 0, 1, 3, 1, 7, 0, 42})
	f.Fuzz(func(t *testing.T, b []byte) {
		v, ok := parseRTP(b)
		if !ok {
			return
		}
		// pion is the second opinion on everything it accepts, too.
		var p rtp.Packet
		if p.Unmarshal(b) != nil {
			return
		}
		if v.seq != p.SequenceNumber || v.timestamp != p.Timestamp || v.ssrc != p.SSRC || v.marker != p.Marker || v.pt != p.PayloadType {
			t.Fatalf("%+v\n%+v", v, p.Header)
		}
		if !bytes.Equal(v.payload, p.Payload) {
			t.Fatalf("payload % x, pion % x", v.payload, p.Payload)
		}
		for id := uint8(0); id < 15; id++ {
			_ = v.extension(id)
		}
	})
}

func FuzzRTCPToAViewer(f *testing.F) {
	nack := &rtcp.TransportLayerNack{MediaSSRC: 1, Nacks: []rtcp.NackPair{{PacketID: 5, LostPackets: 0xffff}}}
	pli := &rtcp.PictureLossIndication{MediaSSRC: 1}
	fir := &rtcp.FullIntraRequest{MediaSSRC: 1, FIR: []rtcp.FIREntry{{SSRC: 1, SequenceNumber: 1}}}
	remb := &rtcp.ReceiverEstimatedMaximumBitrate{Bitrate: 1 << 62, SSRCs: []uint32{1}}
	b, err := rtcp.Marshal([]rtcp.Packet{nack, pli, fir, remb})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{0x80, 205, 0, 0})
	v, track := loneViewer(f, media.VP8)
	for _, p := range testPackets(media.VP8, 300) {
		track.WritePacket(p)
		v.w.step(p.Arrival)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		packets, err := rtcp.Unmarshal(b)
		if err != nil {
			return
		}
		before := v.eng.resent.Load()
		for _, p := range relevant(packets) {
			v.handle(p, 1e12)
		}
		v.w.out.Flush()
		if n := v.eng.resent.Load() - before; n > 1000 {
			t.Fatalf("%d packets sent for %d bytes of RTCP", n, len(b))
		}
	})
}
