package mpegts

import "encoding/binary"

const (
	// window is how many RTP packets may overtake one that is missing: 17 ms of a
	// 40 Mbit/s multiplex, 300 ms of one SD programme.
	window = 64
	// orderPatience is how long a gap may hold up what came behind it, in nanoseconds.
	orderPatience = int64(100e6)
	// maxDropout is the greatest step forward that is believed to be a loss, and
	// history how far behind a packet may come and still be known (RFC 3550 A.1).
	maxDropout = 3000
	history    = 512
	// senderSilence is how long a sender must have said nothing before another one
	// is taken for its successor, in nanoseconds; strangers is how many packets of
	// the other prove the same with none of the first between them.
	senderSilence = int64(100e6)
	strangers     = 32
)

// order puts the RTP packets of one sender back in order and counts what is
// missing. It belongs to one goroutine. Packets in order are passed on as they are;
// only those that wait for another are copied.
type order struct {
	emit  func(payload []byte, arrival int64)
	fresh func() // what follows is of another sender

	begun  bool
	ssrc   uint32
	heard  int64 // when the sender was heard last
	at     int64 // arrival passed on last
	others int   // packets in a row of another sender
	next   uint16
	top    uint16 // highest that came
	jumped bool   // the last packet was far away, at jump
	jump   uint16

	slots [window]slot // by sequence number
	held  int
	since int64 // when the oldest gap was seen
	known [2 * history / 64]uint64

	bad, lost, reordered, duplicate, late, jumps, strange, senders uint64
}

type slot struct {
	used    bool
	b       []byte
	arrival int64
}

// take takes a datagram with an RTP packet (RFC 3550 5.1).
func (o *order) take(b []byte, now int64) {
	p := parseRTP(b)
	if !p.ok {
		if !isRTCP(b) { // sent to the same port by some encoders (RFC 5761)
			o.bad++
		}
		return
	}
	if !o.begun {
		o.begin(p)
	}
	if p.ssrc != o.ssrc {
		if o.others++; now-o.heard < senderSilence && o.others < strangers {
			o.strange++
			return
		}
		o.flush()
		o.fresh()
		o.senders++
		o.begin(p)
	}
	o.others, o.heard = 0, now
	o.place(p, now)
	if o.held > 0 && now-o.since > orderPatience {
		o.skipGap(now)
	}
}

func (o *order) begin(p rtpPacket) {
	o.begun, o.ssrc, o.next, o.top = true, p.ssrc, p.seq, p.seq
	o.jumped, o.others = false, 0
	clear(o.known[:])
}

// place decides what a packet's sequence number means.
func (o *order) place(p rtpPacket, now int64) {
	d := int(int16(p.seq - o.next))
	if d <= -history || d >= maxDropout {
		// A sender that began anew without another SSRC shows two packets in a row
		// there; a single one is a stray.
		if again := o.jumped && p.seq == o.jump+1; !again {
			o.jumped, o.jump = true, p.seq
			o.jumps++
			return
		}
		o.flush()
		o.begin(p)
		d = 0
	}
	o.jumped = false
	if d >= 0 {
		if int16(p.seq-o.top) < 0 {
			o.reordered++ // it fills a gap
		} else {
			o.top = p.seq
		}
	}
	switch {
	case d < 0 && o.passed(p.seq):
		o.duplicate++
	case d < 0:
		o.late++
	case d == 0:
		o.deliver(p.payload, now)
		o.drain(now)
	default:
		if d >= window {
			o.advance(p.seq - window + 1)
		}
		o.hold(p, now)
		o.drain(now)
	}
}

// hold keeps a packet until those before it have come.
func (o *order) hold(p rtpPacket, now int64) {
	s := &o.slots[p.seq%window]
	if s.used {
		o.duplicate++
		return
	}
	s.used, s.arrival = true, now
	s.b = append(s.b[:0], p.payload...)
	if o.held == 0 {
		o.since = now
	}
	o.held++
}

// deliver passes on the packet that is next.
func (o *order) deliver(b []byte, arrival int64) {
	o.known[o.next%(2*history)/64] |= 1 << (o.next % 64)
	o.next++
	// What was held up came before what it waited for; time does not run back.
	o.at = max(o.at, arrival)
	if len(b) > 0 {
		o.emit(b, o.at)
	}
}

// drain passes on what was held up by the packet that just came.
func (o *order) drain(now int64) {
	for o.held > 0 && o.slots[o.next%window].used {
		o.release(&o.slots[o.next%window])
		o.since = now // of the next gap
	}
}

func (o *order) release(s *slot) {
	s.used = false
	o.held--
	o.deliver(s.b, s.arrival)
}

// advance gives up what is missing before a sequence number.
func (o *order) advance(to uint16) {
	for o.next != to {
		if s := &o.slots[o.next%window]; s.used {
			o.release(s)
			continue
		}
		o.known[o.next%(2*history)/64] &^= 1 << (o.next % 64)
		o.lost++
		o.next++
	}
}

// skipGap gives up the oldest gap.
func (o *order) skipGap(now int64) {
	to := o.next
	for !o.slots[to%window].used {
		to++
	}
	o.advance(to)
	o.drain(now)
	o.since = now
}

// flush passes on all that is held.
func (o *order) flush() {
	for o.held > 0 {
		o.skipGap(0)
	}
}

// passed reports whether a sequence number before the next one was passed on.
func (o *order) passed(seq uint16) bool {
	return o.known[seq%(2*history)/64]&(1<<(seq%64)) != 0
}

// count adds the counters by name.
func (o *order) count(m map[string]uint64) {
	m["rtp_bad"], m["rtp_lost"], m["rtp_reordered"] = o.bad, o.lost, o.reordered
	m["rtp_duplicate"], m["rtp_late"], m["rtp_jump"] = o.duplicate, o.late, o.jumps
	m["rtp_other_sender"], m["rtp_new_sender"] = o.strange, o.senders
}

type rtpPacket struct {
	ok      bool
	seq     uint16
	ssrc    uint32
	payload []byte // may be empty
}

// parseRTP reads an RTP packet (RFC 3550 5.1).
func parseRTP(b []byte) rtpPacket {
	if len(b) < 12 || b[0]>>6 != 2 || isRTCP(b) {
		return rtpPacket{}
	}
	n, end := 12+4*int(b[0]&0x0F), len(b)
	if b[0]&0x10 != 0 {
		if end < n+4 {
			return rtpPacket{}
		}
		n += 4 + 4*int(binary.BigEndian.Uint16(b[n+2:]))
	}
	if b[0]&0x20 != 0 {
		if b[end-1] == 0 {
			return rtpPacket{}
		}
		end -= int(b[end-1])
	}
	if n > end {
		return rtpPacket{}
	}
	return rtpPacket{ok: true, seq: binary.BigEndian.Uint16(b[2:]), ssrc: binary.BigEndian.Uint32(b[8:]), payload: b[n:end]}
}

// isRTCP reports whether a datagram is of the control protocol (RFC 5761 4).
func isRTCP(b []byte) bool { return len(b) >= 8 && b[0]>>6 == 2 && b[1] >= 192 && b[1] <= 223 }

// carriesTS reports whether a datagram is an RTP packet with whole transport
// packets in it: operators write udp:// for both.
func carriesTS(b []byte) bool {
	p := parseRTP(b)
	return p.ok && len(p.payload) > 0 && len(p.payload)%188 == 0 && everySync(p.payload)
}

// everySync reports whether every 188 bytes begin with a sync byte.
func everySync(b []byte) bool {
	for i := 0; i < len(b); i += 188 {
		if b[i] != 0x47 {
			return false
		}
	}
	return true
}
