package mpegts

import "tongxiang/internal/media"

// stamp is a PES header's times: those of the first access unit that begins in its payload.
type stamp struct{ pts, dts int64 }

// parser makes access units of the bytes of an elementary stream.
type parser interface {
	// mark says that the next bytes are those of a PES packet with times.
	mark(stamp)
	// write takes bytes; it must not keep b.
	write(b []byte)
	// gap says that bytes are missing here: those of lost packets, modulo 16; 0 when
	// that is not known.
	gap(lost int)
	// end says that the PES packet is complete, so what is whole can go.
	end()
	// flush hands over what is there and forgets the rest.
	flush()
	// close gives back the room that was taken; nothing else is called any more.
	close()
}

// pes reads the PES packets of one PID (ISO/IEC 13818-1 2.4.3.6) and passes their
// payload on as it comes: a packet that was lost costs its bytes, not the whole.
type pes struct {
	d      *Demuxer
	stream *Stream
	parse  parser

	header  []byte // of a header that is spread over packets
	reading bool   // the header is not complete yet
	inside  bool   // payload follows
	left    int    // payload bytes still to come; -1: until the next packet starts
	whole   bool   // the packet of a known length is complete: another begins next
	due     int    // of pictures, with [Handler.Whole]: payload bytes still to come, 0 when not told

	pictures *pictures // parse, when it is one
	middle   *pictures // see settle
}

// maxHeader is the longest PES header: 9 bytes and a one-byte length.
const maxHeader = 9 + 255

func (d *Demuxer) newPES(st *Stream) *pes {
	parse := d.newParser(st)
	if parse == nil {
		return nil
	}
	pictures, _ := parse.(*pictures)
	return &pes{d: d, stream: st, parse: parse, pictures: pictures}
}

// newParser returns the parser of a stream's codec, or nil when we have none.
func (d *Demuxer) newParser(st *Stream) parser {
	switch st.Codec {
	case media.H264:
		return newPictures(d, st, &h264Syntax{})
	case media.H265:
		return newPictures(d, st, &h265Syntax{})
	case media.MPEG2Video:
		return newPictures(d, st, &mpeg2Syntax{})
	case media.AAC:
		if st.Type == 0x11 {
			return newSounds(d, st, &loas{})
		}
		return newSounds(d, st, &adts{})
	case media.MPEGAudio:
		return newSounds(d, st, &mpegAudio{})
	case media.AC3, media.EAC3:
		return newSounds(d, st, &ac3{})
	case media.Opus:
		return newSounds(d, st, newOpus(st.Format.Channels))
	}
	return nil
}

func (p *pes) packet(b []byte, start bool) {
	p.take(b, start)
	p.settle()
}

func (p *pes) take(b []byte, start bool) {
	if start {
		if p.inside {
			p.parse.end()
		}
		p.header, p.reading, p.inside, p.whole = p.header[:0], true, false, false
	}
	if p.reading {
		b = p.begin(b)
	}
	if !p.inside || len(b) == 0 {
		return
	}
	if p.left < 0 {
		p.parse.write(b)
		if p.due > 0 {
			if p.due -= len(b); p.due <= 0 {
				p.parse.flush()
			}
		}
		return
	}
	n := min(p.left, len(b))
	p.parse.write(b[:n])
	if p.left -= n; p.left == 0 {
		p.parse.end()
		p.inside, p.whole = false, true
	}
}

// begin reads the header, or as much of it as is there, and returns the payload behind it.
func (p *pes) begin(b []byte) []byte {
	if len(p.header) > 0 {
		n := min(maxHeader-len(p.header), len(b))
		before := len(p.header)
		p.header = append(p.header, b[:n]...)
		size, ok := pesHeader(p.header)
		switch {
		case !ok:
			p.reject()
			return nil
		case size == 0:
			return nil
		}
		p.open(p.header[:size])
		return b[size-before:]
	}
	size, ok := pesHeader(b)
	switch {
	case !ok:
		p.reject()
		return nil
	case size == 0:
		p.header = append(p.header, b...)
		return nil
	}
	p.open(b[:size])
	return b[size:]
}

func (p *pes) reject() {
	p.d.stats.BadPES++
	p.reading = false
}

// pesHeader returns the length of the header at the start of b; 0 when b is too short to tell.
func pesHeader(b []byte) (size int, ok bool) {
	for i, want := range [...]byte{0, 0, 1} {
		if i < len(b) && b[i] != want {
			return 0, false
		}
	}
	if len(b) < 4 {
		return 0, true
	}
	if b[3] < 0xBC {
		return 0, false // a picture's start code: not a PES packet
	}
	switch b[3] {
	case 0xBC, 0xBE, 0xBF, 0xF0, 0xF1, 0xF2, 0xF8, 0xFF:
		return 0, false // maps, padding, EMM and the like have no times and no sound
	}
	if len(b) < 9 {
		return 0, true
	}
	if b[6]&0xC0 != 0x80 {
		return 0, false
	}
	size = 9 + int(b[8])
	if size > len(b) {
		return 0, true
	}
	return size, true
}

// open takes a complete header.
func (p *pes) open(h []byte) {
	p.reading, p.inside = false, true
	p.left = -1
	n := int(h[4])<<8 | int(h[5])
	// Pictures are taken up to the next packet whatever the length says: encoders
	// get it wrong, and 16 bits are not enough for a picture anyway.
	if n > 0 && p.stream.Codec.Kind() != media.Video {
		p.left = n - (len(h) - 6)
		if p.left <= 0 {
			p.d.stats.BadPES++
			p.left = -1
		}
	}
	if p.due = 0; p.d.h.Whole && n > 0 {
		p.due = n - (len(h) - 6)
	}
	if h[6]&0x30 != 0 {
		p.stream.pid.scrambled = true
		p.inside = false
		return
	}
	s := stamp{NoTime, NoTime}
	if h[7]&0x80 != 0 && len(h) >= 14 {
		s.pts = pesTime(h[9:])
		p.d.monitor.stamped(p.stream.pid)
		s.dts = s.pts
		if h[7]&0x40 != 0 && len(h) >= 19 {
			s.dts = pesTime(h[14:])
		}
	}
	p.parse.mark(s)
}

// pesTime reads a 33-bit time in five bytes with marker bits.
func pesTime(b []byte) int64 {
	return int64(b[0]&0x0E)<<29 | int64(b[1])<<22 | int64(b[2]&0xFE)<<14 | int64(b[3])<<7 | int64(b[4])>>1
}

func (p *pes) gap(lost int) {
	if p.reading && len(p.header) > 0 {
		p.reject()
	}
	p.parse.gap(lost)
	// How much of a bounded packet is missing is not known: it lasts until the next
	// begins. Behind a complete one, what is missing is the next one's header.
	p.left = -1
	p.inside, p.whole = p.inside || p.whole, false
	p.settle()
}

func (p *pes) flush() {
	p.parse.flush()
	p.inside, p.reading, p.whole = false, false, false
	p.settle()
}
