package media

import (
	"encoding/binary"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/ac3"
)

// sound emits units as one frame.
func (d *Depacketizer) sound(at Time, arrival int64, units [][]byte) {
	d.emit(&Frame{PTS: at, DTS: at, Units: units, Arrival: arrival, Sync: true, IDR: true})
}

// plain takes packets whose payload is a frame: Opus, PCMA, PCMU.
func (d *Depacketizer) plain(p *Packet, lost bool) {
	d.gap = d.gap || lost
	if len(p.Payload) == 0 || p.Codec != 0 && p.Codec != d.format.Codec {
		return
	}
	d.sound(p.Time, p.Arrival, [][]byte{p.Payload})
}

// aac takes packets of RFC 3640 in mode AAC-hbr: AU headers of 16 bits, of which 13
// are the size. Access units are not interleaved, which that mode allows but nobody does.
func (d *Depacketizer) aac(p *Packet, lost bool) {
	d.gap = d.gap || lost
	if lost {
		d.part = nil
	}
	b := p.Payload
	if len(b) == 0 || p.Codec != 0 && p.Codec != d.format.Codec {
		return
	}
	if len(b) < 4 {
		d.dropPart()
		return
	}
	bits := int(binary.BigEndian.Uint16(b))
	count := bits / 16
	if bits%16 != 0 || count == 0 || len(b) < 2+2*count {
		d.dropPart()
		return
	}
	heads, data := b[2:2+2*count], b[2+2*count:]
	first := int(binary.BigEndian.Uint16(heads) >> 3)
	if count == 1 && len(data) < first || d.part != nil {
		d.aacFragment(p, first, data)
		return
	}
	units := make([][]byte, 0, count)
	for i := range count {
		n := int(binary.BigEndian.Uint16(heads[2*i:]) >> 3)
		if n == 0 || n > len(data) {
			d.gap = true
			break
		}
		units = append(units, data[:n:n])
		data = data[n:]
	}
	if len(units) > 0 {
		d.sound(p.Time, p.Arrival, units)
	}
}

// aacFragment takes one fragment of an access unit of size bytes (3.2.3.1).
func (d *Depacketizer) aacFragment(p *Packet, size int, data []byte) {
	if d.part != nil && (d.partSize != size || d.partTime != p.Time) {
		d.dropPart()
	}
	if d.part == nil {
		if d.gap && p.Marker { // the end of one whose start is lost
			return
		}
		d.part, d.partSize, d.partTime = make([]byte, 0, size), size, p.Time
	}
	d.part = append(d.part, data...)
	switch {
	case len(d.part) == size:
		unit := d.part
		d.part = nil
		d.sound(d.partTime, p.Arrival, [][]byte{unit})
	case len(d.part) > size || p.Marker:
		d.dropPart()
	}
}

// dropPart forgets fragments that will not become whole.
func (d *Depacketizer) dropPart() {
	d.part = nil
	d.gap = true
}

// mpegAudio takes packets of RFC 2250: whole frames, or fragments of one.
func (d *Depacketizer) mpegAudio(p *Packet, lost bool) {
	d.gap = d.gap || lost
	if lost {
		d.part = nil
	}
	if len(p.Payload) == 0 || p.Codec != 0 && p.Codec != d.format.Codec {
		return
	}
	if len(p.Payload) < 5 {
		d.dropPart()
		return
	}
	offset, data := int(binary.BigEndian.Uint16(p.Payload[2:])), p.Payload[4:]
	at := p.Time
	if offset != len(d.part) || offset != 0 && d.partTime != p.Time {
		d.dropPart()
		if offset != 0 {
			return
		}
	}
	if offset != 0 {
		data = append(d.part, data...)
		at = d.partTime
	}
	units, rest, skipped := SplitMPEGAudio(data)
	if skipped > 0 {
		d.gap = true
	}
	d.part = nil
	if len(units) > 0 {
		d.sound(at, p.Arrival, units)
		return // a frame does not begin in one packet and end in another that also has whole ones
	}
	if len(rest) > 0 && len(rest) <= maxMPEGAudioFrame {
		d.part, d.partTime = append(make([]byte, 0, maxMPEGAudioFrame), rest...), at
	}
}

// maxMPEGAudioFrame is more than the longest frame: layer II, 384 kbit/s, 32 kHz
// has 1728 bytes.
const maxMPEGAudioFrame = 2048

// ac3 takes packets of RFC 4184: whole frames, or fragments of one.
func (d *Depacketizer) ac3(p *Packet, lost bool) {
	d.gap = d.gap || lost
	if lost {
		d.part = nil
	}
	if len(p.Payload) == 0 || p.Codec != 0 && p.Codec != d.format.Codec {
		return
	}
	if len(p.Payload) < 3 {
		d.dropPart()
		return
	}
	kind, data := p.Payload[0]&3, p.Payload[2:]
	if kind == 0 {
		d.part = nil
		if units := splitAC3(data); len(units) > 0 {
			d.sound(p.Time, p.Arrival, units)
		} else {
			d.gap = true
		}
		return
	}
	if kind == 3 { // not the first fragment
		if d.part == nil || d.partTime != p.Time {
			d.dropPart()
			return
		}
	} else {
		d.part, d.partTime = make([]byte, 0, maxAC3Frame), p.Time
	}
	if d.part = append(d.part, data...); len(d.part) > maxAC3Frame {
		d.dropPart()
		return
	}
	if p.Marker {
		units := splitAC3(d.part)
		d.part = nil
		if len(units) != 1 {
			d.gap = true
			return
		}
		d.sound(p.Time, p.Arrival, units)
	}
}

// maxAC3Frame is the largest frame: 640 kbit/s at 32 kHz (ETSI TS 102 366 table 4.13).
const maxAC3Frame = 3840

// splitAC3 returns the whole frames that data begins with.
func splitAC3(data []byte) (units [][]byte) {
	for len(data) > 0 {
		var info ac3.SyncInfo
		if len(data) < 5 || info.Unmarshal(data) != nil {
			return units
		}
		n := info.FrameSize()
		if n <= 0 || n > len(data) {
			return units
		}
		units = append(units, data[:n:n])
		data = data[n:]
	}
	return units
}
