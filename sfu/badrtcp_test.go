package sfu

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/pion/rtcp"

	"tongxiang/internal/media"
)

func TestNonsenseInRTCPChangesNothing(t *testing.T) {
	v, track := loneViewer(t, media.H264)
	packets := testPackets(media.H264, 500)
	for _, p := range packets[:300] {
		track.WritePacket(p)
		v.w.step(p.Arrival)
	}
	remb := func(bitrate float32) []byte {
		b, err := (&rtcp.ReceiverEstimatedMaximumBitrate{SenderSSRC: 1, Bitrate: bitrate, SSRCs: []uint32{11}}).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	nack, err := (&rtcp.TransportLayerNack{MediaSSRC: 11, Nacks: []rtcp.NackPair{{PacketID: 60000, LostPackets: 0xffff}}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	long := append([]byte{}, nack...)
	binary.BigEndian.PutUint16(long[2:], 0xffff)
	for name, b := range map[string][]byte{
		"REMB of 0":                        remb(0),
		"REMB of 2^63":                     remb(math.MaxInt64),
		"NACK of what was never sent":      nack,
		"a length beyond the packet":       long,
		"NACK of an SSRC that we have not": append(append([]byte{}, nack[:8]...), 0, 0, 0, 9, 0, 1, 0xff, 0xff),
		"a header alone":                   {0x80, 205, 0, 0},
		"nothing":                          {},
		"a type that nobody knows":         {0x80, 222, 0, 1, 0, 0, 0, 1},
	} {
		before := v.eng.resent.Load()
		v.RTCP(b, 1e12)
		v.w.step(1e12)
		if got := v.eng.resent.Load(); got != before {
			t.Errorf("%s: %d packets sent again", name, got-before)
		}
	}
	sent := v.eng.out.packets.Load()
	for _, p := range packets[300:310] {
		track.WritePacket(p)
		v.w.step(p.Arrival)
	}
	if got := v.eng.out.packets.Load() - sent; got != 10 {
		t.Errorf("%d of 10 packets went out afterwards", got)
	}
}

func TestFloodOfRTCPIsBoundedBeforeItIsLookedAt(t *testing.T) {
	v, _ := loneViewer(t, media.H264)
	var pairs []rtcp.NackPair
	for i := range uint16(12) {
		pairs = append(pairs, rtcp.NackPair{PacketID: 17 * i, LostPackets: 0xffff})
	}
	b, err := (&rtcp.TransportLayerNack{MediaSSRC: 11, Nacks: pairs}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	const second = int64(1e9)
	for i := range int64(10_000) {
		v.RTCP(b, second+i*second/2000) // 2000 a second for five seconds
		if n := len(v.inbox.feedback); n > maxFeedback {
			t.Fatalf("%d packets wait", n)
		}
		if i%10 == 0 {
			v.w.step(second + i*second/2000)
		}
	}
	passed := 10_000 - v.eng.overFeedback.Load()
	if most := uint64(feedbackBurst + 5*feedbackRate); passed > most || passed < 5*feedbackRate {
		t.Errorf("%d of 10000 passed, want about %d", passed, most)
	}
	if v.inbox.noted == 0 {
		t.Error("the log does not name who floods")
	}
}
