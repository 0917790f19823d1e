package sfu

import (
	"time"

	"github.com/pion/rtcp"

	"tongxiang/internal/stream"
)

const (
	// maxFeedback is how much RTCP may wait for the worker.
	maxFeedback = 64
	// maxNacked bounds the packets that one NACK may ask for.
	maxNacked = 256
	// feedbackRate and feedbackBurst bound how many RTCP packets a viewer may send.
	// A Chromium with twelve slots sends fifty a second on a bad line.
	feedbackRate  = 200
	feedbackBurst = 400
	// floodPause is how long the kernel drops all RTCP of a viewer who sends more.
	floodPause = 5 * time.Second
	// floodNoted is the least time between two log lines about one viewer's flood.
	floodNoted = 10_000 * ms
)

// bucket allows feedbackRate a second and feedbackBurst at once.
type bucket struct {
	level float64
	at    int64
}

// take reports whether one more is allowed.
func (b *bucket) take(now int64) bool {
	if b.at == 0 {
		b.level = feedbackBurst
	} else {
		b.level = min(feedbackBurst, b.level+float64(now-b.at)*feedbackRate/1e9)
	}
	b.at = now
	if b.level < 1 {
		return false
	}
	b.level--
	return true
}

// RTCP implements [transport.Handler]. It keeps what handle acts on.
func (v *viewer) RTCP(b []byte, now int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	allowed := v.inbox.tokens.take(now)
	if !allowed && v.peer != nil {
		v.peer.IgnoreRTCP(floodPause) // else each packet of a flood costs a wake-up and a key
	}
	if !allowed || len(v.inbox.feedback) >= maxFeedback {
		v.eng.overFeedback.Add(1)
		if now-v.inbox.noted > floodNoted || v.inbox.noted == 0 {
			v.inbox.noted = now
			v.log.Warn("viewer sends more RTCP than any browser does; none of it is taken for a while", "pause", floodPause)
		}
		return
	}
	packets, err := rtcp.Unmarshal(b)
	if err != nil {
		v.eng.drops.Add(stream.DropMalformed, 1)
		return
	}
	if packets = relevant(packets); len(packets) > 0 {
		v.inbox.feedback = append(v.inbox.feedback, packets...)
		v.post()
	}
}

// relevant keeps what handle acts on.
func relevant(packets []rtcp.Packet) []rtcp.Packet {
	kept := packets[:0]
	for _, p := range packets {
		switch p.(type) {
		case *rtcp.TransportLayerNack, *rtcp.PictureLossIndication, *rtcp.FullIntraRequest, *rtcp.TransportLayerCC:
			kept = append(kept, p)
		}
	}
	return kept
}

// handle acts on RTCP. Wherever it came in, what it says of a slot's SSRC is that
// slot's.
func (v *viewer) handle(p rtcp.Packet, now int64) {
	switch p := p.(type) {
	case *rtcp.TransportLayerNack:
		s, n := v.bySSRC(p.MediaSSRC), 0
		if s == nil {
			return
		}
		for i := range p.Nacks {
			p.Nacks[i].Range(func(seq uint16) bool {
				s.retransmit(seq, now)
				n++
				return n < maxNacked
			})
			if n >= maxNacked {
				return
			}
		}
	case *rtcp.PictureLossIndication:
		v.keyFrame(v.bySSRC(p.MediaSSRC))
	case *rtcp.FullIntraRequest:
		for _, e := range p.FIR {
			v.keyFrame(v.bySSRC(e.SSRC))
		}
	case *rtcp.TransportLayerCC:
		v.reported.Add(uint64(p.PacketStatusCount))
		v.received.Add(uint64(len(p.RecvDeltas)))
	}
}

func (v *viewer) keyFrame(s *slot) {
	if s != nil && s.video && s.cur != nil {
		s.cur.tap.track.RequestKeyFrame()
	}
}

func (v *viewer) bySSRC(ssrc uint32) *slot {
	for _, s := range v.slots {
		if s.accepted() && s.out.ssrc == ssrc {
			return s
		}
	}
	return nil
}
