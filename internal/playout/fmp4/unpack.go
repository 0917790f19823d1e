package fmp4

import "encoding/binary"

// Unpack takes fragments apart that [AppendFragment] made and calls f for each
// sample with its bytes, run by run; the sample's Units are left out. What is not
// whole, or not as we make it, is passed over.
func Unpack(b []byte, f func(track int, s Sample, data []byte)) {
	for len(b) >= boxHeader {
		n := int(binary.BigEndian.Uint32(b))
		if n < boxHeader || n > len(b) {
			return
		}
		if string(b[4:8]) == "moof" {
			boxes(b[boxHeader:n], func(kind string, traf []byte) {
				if kind == "traf" {
					unpackRun(b, traf, f)
				}
			})
		}
		b = b[n:]
	}
}

// unpackRun calls f for the samples of one traf. Offsets count from the start of
// fragment, which is the moof and what follows it.
func unpackRun(fragment, traf []byte, f func(int, Sample, []byte)) {
	track, dts := 0, int64(0)
	boxes(traf, func(kind string, b []byte) {
		switch {
		case kind == "tfhd" && len(b) >= 8:
			track = int(binary.BigEndian.Uint32(b[4:]))
		case kind == "tfdt" && len(b) >= 12 && b[0] == 1:
			dts = int64(binary.BigEndian.Uint64(b[4:]))
		case kind == "trun" && len(b) >= 12 && binary.BigEndian.Uint32(b)&0xffffff == 0xF01:
			at := int(binary.BigEndian.Uint32(b[8:]))
			for e := b[12:]; len(e) >= trunEntry; e = e[trunEntry:] {
				s := Sample{
					DTS: dts, Duration: binary.BigEndian.Uint32(e), Size: int(binary.BigEndian.Uint32(e[4:])),
					Sync: binary.BigEndian.Uint32(e[8:]) == flagsSync, Shift: int32(binary.BigEndian.Uint32(e[12:])),
				}
				if at < 0 || s.Size < 0 || s.Size > len(fragment)-at {
					return
				}
				f(track, s, fragment[at:at+s.Size])
				at += s.Size
				dts += int64(s.Duration)
			}
		}
	})
}

// Units splits a sample of H.264 or H.265 into its NAL units, which share its memory.
func Units(data []byte) [][]byte {
	var units [][]byte
	for len(data) > 4 {
		n := int(binary.BigEndian.Uint32(data))
		data = data[4:]
		if n < 0 || n > len(data) {
			break
		}
		units = append(units, data[:n:n])
		data = data[n:]
	}
	return units
}
