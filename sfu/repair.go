package sfu

import (
	"encoding/binary"
)

// sentAs is the transport-wide number that a packet had.
type sentAs struct {
	known    bool
	sequence uint16
	twcc     uint16
}

const (
	keptNumbers = 256
	keptResends = 64
)

type resend struct {
	seq uint16
	at  int64
}

// retransmit answers a NACK for one packet.
func (s *slot) retransmit(sequence uint16, now int64) {
	eng := s.v.eng
	eng.nacked.Add(1)
	if !s.video {
		return // sound is concealed sooner than it is repaired, and nobody negotiated it
	}
	if s.resent == nil {
		s.resent = make([]resend, keptResends)
	}
	r := &s.resent[sequence%keptResends]
	if r.seq == sequence && r.at != 0 && now-r.at < 20*ms {
		return // it is on its way
	}
	seg, out, ok := s.rw.find(sequence)
	if !ok {
		return
	}
	p := s.v.w.lookup(seg.track, out-seg.offset)
	if p == nil {
		return
	}
	pt := s.out.types.of(p.Codec)
	if pt == 0 {
		return
	}
	if !s.v.budget.spend(len(p.Payload) + s.size) {
		eng.overBudget.Add(1)
		return
	}
	*r = resend{sequence, now}
	payload := seg.payload(p, s.v.w.scratch[:])
	timestamp := uint32(p.Timestamp) + seg.timestamps
	if s.out.rtxSSRC == 0 {
		if s.same(pt, p.Marker, sequence, timestamp) && s.write(payload, wraps(out)) {
			eng.resent.Add(1)
		}
		return
	}
	// RFC 4588: the original sequence number stands in front of the payload.
	b := s.v.w.repair[:2+copy(s.v.w.repair[2:], payload)]
	binary.BigEndian.PutUint16(b, sequence)
	s.stamp(s.out.types.rtx[pt], p.Marker, uint16(s.rtxSeq), timestamp, s.out.rtxSSRC)
	if s.write(b, uint32(s.rtxSeq>>16)) {
		eng.resent.Add(1)
	}
	s.rtxSeq++
}

// same makes the header that a packet had. Under one SSRC and sequence number
// AES-GCM may never seal two different packets: who saw both could forge (RFC
// 7714 section 5.1). It is false when the header is not known any more.
func (s *slot) same(pt uint8, marker bool, sequence uint16, timestamp uint32) bool {
	if s.numbers == nil {
		s.stamp(pt, marker, sequence, timestamp, s.out.ssrc)
		return true
	}
	was := s.numbers[sequence%keptNumbers]
	if !was.known || was.sequence != sequence {
		return false
	}
	s.v.twcc-- // stamp counts it
	s.stamp(pt, marker, sequence, timestamp, s.out.ssrc)
	binary.BigEndian.PutUint16(s.head[17:], was.twcc)
	return true
}
