package media

import "encoding/binary"

// videoUnits returns the units to send: those of the frame that are not empty and
// no delimiters (the marker bit says as much), with parameter sets where a sync
// frame lacks them.
func (z *Packetizer) videoUnits(f *Frame) [][]byte {
	units := f.Units
	drop := 0
	for _, u := range units {
		if z.useless(u) {
			drop++
		}
	}
	if drop > 0 {
		kept := make([][]byte, 0, len(units)-drop)
		for _, u := range units {
			if !z.useless(u) {
				kept = append(kept, u)
			}
		}
		units = kept
	}
	z.sets.learn(units)
	if f.Sync {
		units = WithParameterSets(z.format.Codec, units, z.sets.sets)
	}
	return units
}

func (z *Packetizer) useless(u []byte) bool {
	if z.format.Codec == H264 {
		return len(u) == 0 || H264Type(u) == H264AUD || H264Type(u) == H264Filler
	}
	return len(u) < 2 || H265Type(u) == H265AUD
}

// h264Small reports whether a unit is aggregated with its neighbours: Chromium
// sends SPS and PPS in one STAP-A, and so do we.
func h264Small(u []byte) bool {
	t := H264Type(u)
	return t == H264SPS || t == H264PPS || t == H264SEI
}

func (z *Packetizer) pushH264(f *Frame) {
	units := z.videoUnits(f)
	z.spans(units, h264Small, 1, 2, 1)
	buf := make([]byte, 0, z.fragmentBytes(units, 2, 1))
	ps := z.picturePackets(f, len(z.split))
	for i, s := range z.split {
		u := units[s.unit]
		at := len(buf)
		switch {
		case s.fragment: // FU-A, 5.8
			buf = append(buf, u[0]&0xe0|byte(H264FUA), fragmentFlags(s)|u[0]&0x1f)
			buf = append(buf, u[s.from:s.to]...)
		case s.count > 1: // STAP-A, 5.7.1: the header has the highest NRI of its units
			buf = append(buf, byte(H264STAPA))
			for _, v := range units[s.unit : s.unit+s.count] {
				buf[at] = max(buf[at]&0x60, v[0]&0x60) | byte(H264STAPA)
				buf = binary.BigEndian.AppendUint16(buf, uint16(len(v)))
				buf = append(buf, v...)
			}
		default:
			ps[i].Payload = u
			continue
		}
		ps[i].Payload = buf[at:len(buf):len(buf)]
	}
}

// h265Small reports whether a unit is aggregated with its neighbours.
func h265Small(u []byte) bool {
	t := H265Type(u)
	return t >= H265VPS && t <= H265PPS || t == H265SEI
}

func (z *Packetizer) pushH265(f *Frame) {
	units := z.videoUnits(f)
	z.spans(units, h265Small, 2, 3, 2)
	buf := make([]byte, 0, z.fragmentBytes(units, 3, 2))
	ps := z.picturePackets(f, len(z.split))
	for i, s := range z.split {
		u := units[s.unit]
		at := len(buf)
		switch {
		case s.fragment: // FU, 4.4.3
			buf = append(buf, u[0]&0x81|byte(H265FU)<<1, u[1], fragmentFlags(s)|byte(H265Type(u)))
			buf = append(buf, u[s.from:s.to]...)
		case s.count > 1: // AP, 4.4.2: layer and temporal id are the lowest of its units, which here are 0 and 1
			buf = append(buf, byte(H265AP)<<1, 1)
			for _, v := range units[s.unit : s.unit+s.count] {
				buf = binary.BigEndian.AppendUint16(buf, uint16(len(v)))
				buf = append(buf, v...)
			}
		default:
			ps[i].Payload = u
			continue
		}
		ps[i].Payload = buf[at:len(buf):len(buf)]
	}
}

// fragmentFlags returns the start and end bits of a fragment's header.
func fragmentFlags(s span) byte {
	switch {
	case s.first:
		return 0x80
	case s.last:
		return 0x40
	}
	return 0
}

// fragmentBytes returns how many bytes the payloads need that cannot share memory
// with the units.
func (z *Packetizer) fragmentBytes(units [][]byte, fragHeader, aggregateHeader int) int {
	n := 0
	for _, s := range z.split {
		switch {
		case s.fragment:
			n += fragHeader + s.to - s.from
		case s.count > 1:
			n += aggregateHeader
			for _, u := range units[s.unit : s.unit+s.count] {
				n += 2 + len(u)
			}
		}
	}
	return n
}

// vp8Header is the size of the descriptor that we write: X and I set, a picture id
// of 15 bits. Receivers want the id, and its form must never change in a stream.
const vp8Header = 4

func (z *Packetizer) pushVP8(f *Frame) {
	size := f.Size()
	if size == 0 {
		return
	}
	room := MaxPayload - vp8Header
	parts := (size + room - 1) / room
	frame := f.Units[0]
	if len(f.Units) > 1 {
		frame = make([]byte, 0, size)
		for _, u := range f.Units {
			frame = append(frame, u...)
		}
	}
	buf := make([]byte, 0, size+parts*vp8Header)
	ps := z.picturePackets(f, parts)
	for i := range ps {
		at := len(buf)
		first := byte(0x80)
		if i == 0 {
			first |= 0x10
		}
		buf = append(buf, first, 0x80, 0x80|byte(z.picture>>8), byte(z.picture))
		buf = append(buf, frame[size*i/parts:size*(i+1)/parts]...)
		ps[i].Payload = buf[at:len(buf):len(buf)]
	}
	z.picture = (z.picture + 1) & 0x7fff
}
