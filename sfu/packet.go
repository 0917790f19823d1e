package sfu

import "encoding/binary"

// rtpView is an RTP packet (RFC 3550 section 5.1) looked at in place.
type rtpView struct {
	marker    bool
	pt        uint8
	seq       uint16
	timestamp uint32
	ssrc      uint32
	profile   uint16 // of the extensions, RFC 8285
	ext       []byte // the extensions' bytes
	payload   []byte // without padding
}

// Profiles of RFC 8285: one-byte and two-byte extension headers.
const (
	profileOneByte = 0xBEDE
	profileTwoByte = 0x1000 // the low four bits are application bits
)

// parseRTP looks at b; ok is false when b is not a whole RTP packet.
func parseRTP(b []byte) (v rtpView, ok bool) {
	if len(b) < 12 || b[0]>>6 != 2 {
		return v, false
	}
	v.marker = b[1]&0x80 != 0
	v.pt = b[1] & 0x7f
	v.seq = binary.BigEndian.Uint16(b[2:])
	v.timestamp = binary.BigEndian.Uint32(b[4:])
	v.ssrc = binary.BigEndian.Uint32(b[8:])
	at := 12 + 4*int(b[0]&0x0f)
	if b[0]&0x10 != 0 {
		if len(b) < at+4 {
			return v, false
		}
		v.profile = binary.BigEndian.Uint16(b[at:])
		n := 4 * int(binary.BigEndian.Uint16(b[at+2:]))
		at += 4
		if len(b) < at+n {
			return v, false
		}
		v.ext = b[at : at+n]
		at += n
	}
	end := len(b)
	if end < at {
		return v, false
	}
	if b[0]&0x20 != 0 {
		pad := int(b[end-1])
		if pad == 0 || end-pad < at {
			return v, false
		}
		end -= pad
	}
	v.payload = b[at:end]
	return v, true
}

// extension returns the value of the header extension id, or nil.
func (v *rtpView) extension(id uint8) []byte {
	if id == 0 {
		return nil
	}
	e := v.ext
	switch {
	case v.profile == profileOneByte:
		for len(e) > 0 {
			if e[0] == 0 { // padding
				e = e[1:]
				continue
			}
			got, n := e[0]>>4, int(e[0]&0x0f)+1
			if got == 15 || len(e) < 1+n {
				return nil
			}
			if got == id {
				return e[1 : 1+n]
			}
			e = e[1+n:]
		}
	case v.profile&0xfff0 == profileTwoByte:
		for len(e) > 1 {
			if e[0] == 0 {
				e = e[1:]
				continue
			}
			got, n := e[0], int(e[1])
			if len(e) < 2+n {
				return nil
			}
			if got == id {
				return e[2 : 2+n]
			}
			e = e[2+n:]
		}
	}
	return nil
}
