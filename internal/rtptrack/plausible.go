package rtptrack

import (
	"encoding/binary"

	"tongxiang/internal/media"
)

// plausible reports whether an RTP payload can be what the description says. It
// looks at headers only: what passes may still be broken.
func plausible(c media.Codec, p []byte) bool {
	if len(p) == 0 {
		return true // padding
	}
	switch c {
	case media.H264:
		return plausibleH264(p)
	case media.H265:
		if len(p) < 3 || p[0]&0x80 != 0 || p[1]&7 == 0 {
			return false
		}
		return media.H265Type(p) <= media.H265FU
	case media.MPEG2Video:
		kind := byte(0)
		if len(p) > 4 {
			kind = p[2] & 7
		}
		return len(p) > 4 && p[0]>>3 == 0 && kind >= 1 && kind <= 4
	case media.AAC:
		if len(p) < 4 {
			return false
		}
		bits := int(binary.BigEndian.Uint16(p))
		return bits > 0 && bits%16 == 0 && 2+bits/8 < len(p)
	case media.MPEGAudio:
		if len(p) < 6 || p[0] != 0 || p[1] != 0 {
			return false
		}
		return p[2] != 0 || p[3] != 0 || p[4] == 0xFF && p[5]&0xE0 == 0xE0
	case media.AC3:
		if len(p) < 4 || p[0]>>2 != 0 {
			return false
		}
		return p[0]&3 == 3 || p[2] == 0x0B && p[3] == 0x77
	case media.VP8, media.Opus, media.PCMA, media.PCMU, media.MPEG4Video, media.AVS, media.EAC3, media.Unknown:
	}
	return true
}

// plausibleH264 takes single units, STAP-A and FU-A (RFC 6184 5.2): mode 1 has no others.
func plausibleH264(p []byte) bool {
	if len(p) < 2 || p[0]&0x80 != 0 {
		return false
	}
	switch t := media.H264Type(p); t {
	case media.H264STAPA:
		for rest := p[1:]; len(rest) > 0; {
			if len(rest) < 2 {
				return false
			}
			n := int(binary.BigEndian.Uint16(rest))
			if n == 0 || n > len(rest)-2 {
				return false
			}
			rest = rest[2+n:]
		}
		return true
	case media.H264FUA:
		inner := p[1] & 0x1f
		return len(p) >= 3 && p[1]&0xC0 != 0xC0 && p[1]&0x20 == 0 && inner >= 1 && inner <= 23
	default:
		return t >= 1 && t <= 23
	}
}

// parameterSets returns the parameter sets that a payload holds whole: alone or
// aggregated, as encoders send them.
func parameterSets(c media.Codec, p []byte) [][]byte {
	head := 0
	switch {
	case c == media.H264 && len(p) > 1:
		if media.H264Type(p) != media.H264STAPA {
			return media.ParameterSets(c, [][]byte{p})
		}
		head = 1
	case c == media.H265 && len(p) > 2:
		if media.H265Type(p) != media.H265AP {
			return media.ParameterSets(c, [][]byte{p})
		}
		head = 2
	default:
		return nil
	}
	var units [][]byte
	for rest := p[head:]; len(rest) >= 2; {
		n := int(binary.BigEndian.Uint16(rest))
		if n <= head || n > len(rest)-2 {
			break
		}
		units = append(units, rest[2:2+n])
		rest = rest[2+n:]
	}
	return media.ParameterSets(c, units)
}
