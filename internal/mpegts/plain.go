package mpegts

import "encoding/binary"

// Nearly all packets of a multiplex are alike: a whole payload from the middle of a
// picture, in order. They take a short way here, which must do what the long one of
// [Demuxer.packet] does.

// wholePayload is the payload of a packet without adaptation field.
const wholePayload = PacketSize - 4

// plainMask selects the bits of a packet's first four bytes that a plain packet has
// as in plainHeader: no error, no start of a unit, not scrambled, payload only.
const plainMask, plainHeader = 0x00C000F0, 0x00000010

// plain takes a packet when it is a plain one. It reports false when it is not, and
// has done nothing then.
func (d *Demuxer) plain(p *[PacketSize]byte) bool {
	h := binary.BigEndian.Uint32(p[:])
	st := d.pid[h>>8&0x1FFF]
	if h&plainMask != plainHeader || st == nil || st.pes == nil || st.pes.middle == nil || !st.follows(byte(h&0x0F)) || d.tap != nil {
		return false
	}
	d.stats.Packets++
	st.packets++
	st.counter, st.print = byte(h&0x0F), printOf(p)
	st.clear, st.ciphered = true, false
	st.pes.middle.payload((*[wholePayload]byte)(p[4:]))
	return true
}

// follows reports whether a continuity counter is that of the next packet of a PID
// of which nothing is missing.
func (p *pid) follows(cc byte) bool {
	return cc == (p.counter+1)&0x0F && p.seen && !p.repeated && !p.slipped
}

// printOf returns some bytes of a packet, mixed.
func printOf(p *[PacketSize]byte) uint64 { return le64(p[8:]) ^ le64(p[96:]) ^ le64(p[180:]) }

// settle notes whether the next payload belongs to the picture under way, whatever
// it is: no header is being read and no end is told.
func (p *pes) settle() {
	p.middle = nil
	if p.inside && !p.reading && p.left < 0 && p.due <= 0 {
		p.middle = p.pictures
	}
}

// payload is write for a payload that fills its packet. The search for start codes is
// done with the copy, while the bytes are in registers.
func (p *pictures) payload(b *[wholePayload]byte) {
	n := len(p.buf)
	if !p.started || cap(p.buf)-n < wholePayload {
		p.write(b[:])
		return
	}
	found, done := copyPayload((*[wholePayload]byte)(p.buf[n:n+wholePayload]), b, p.ignored)
	if !done {
		p.write(b[:])
		return
	}
	p.buf = p.buf[:n+wholePayload]
	// One that began in the packet before ended it with a zero.
	if found || p.buf[n-1] == 0 || p.scan < n-2 {
		p.run()
		return
	}
	p.scan = len(p.buf) - 2
}
