package ts

import "encoding/binary"

const (
	rtpHeader = 12
	rtpTS     = 33 // payload type MP2T (RFC 3551 6)
)

// rtp writes RTP headers (RFC 3550 5.1, RFC 2250 2): the timestamp is the time, in
// ticks of 90 kHz, at which the first byte is due.
type rtp struct {
	sequence uint16
	source   uint32
}

func (r *rtp) header(b []byte, at stc) {
	b[0], b[1] = 0x80, rtpTS
	binary.BigEndian.PutUint16(b[2:], r.sequence)
	binary.BigEndian.PutUint32(b[4:], uint32(int64(at)/stcTick90))
	binary.BigEndian.PutUint32(b[8:], r.source)
	r.sequence++
}
