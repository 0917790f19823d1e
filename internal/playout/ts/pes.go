package ts

import (
	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
)

// pes is one PES packet on its way (ISO/IEC 13818-1 2.4.3.6): its header and the
// pieces of its access unit, in order. It is used again and again by its lane.
type pes struct {
	head   [19]byte
	pieces [][]byte // [0] is the header
	arena  []byte   // memory of small pieces: headers of sound frames
	units  int      // codec frames; of a picture, NAL units

	size int // bytes, header included
	left int // bytes not yet sent
	at   int // the piece under way
	off  int // how much of it is sent

	decode stc  // when it must have arrived
	sync   bool // decoding can start here
}

func (p *pes) reset() {
	clear(p.pieces) // lets go of the frame
	p.pieces = append(p.pieces[:0], nil)
	p.arena = p.arena[:0]
	p.units, p.size, p.left, p.at, p.off = 0, 0, 0, 0, 0
}

// add appends a piece, which must not change until it is sent.
func (p *pes) add(b []byte) {
	p.pieces = append(p.pieces, b[:len(b):len(b)])
	p.size += len(b)
}

// begin writes the header. Times are ticks of 90 kHz, not wrapped.
func (p *pes) begin(c *coding, pts, dts int64) error {
	h := append(p.head[:0], 0, 0, 1, c.streamID, 0, 0, 0x84, 0x80, 5) // data_alignment_indicator
	if dts != pts {
		h[7], h[8] = 0xC0, 10
		h = appendTime(h, 3, pts)
		h = appendTime(h, 1, dts)
	} else {
		h = appendTime(h, 2, pts)
	}
	// Of pictures the length is left open, as everybody does; of sound it is said,
	// so that a receiver need not wait for the next packet.
	if n := len(h) - 6 + p.size; !c.picture() {
		if n > 0xFFFF {
			return ErrFormat
		}
		h[4], h[5] = byte(n>>8), byte(n)
	}
	p.pieces[0] = h
	p.size += len(h)
	p.left = p.size
	return nil
}

func appendTime(b []byte, mark byte, t int64) []byte {
	return append(b, mark<<4|byte(t>>29)&0x0E|1, byte(t>>22), byte(t>>14)|1, byte(t>>7), byte(t<<1)|1)
}

// read moves the next bytes into b, which is not longer than what is left.
func (p *pes) read(b []byte) {
	p.left -= len(b)
	for {
		piece := p.pieces[p.at]
		n := copy(b, piece[p.off:])
		p.off += n
		if p.off == len(piece) {
			p.at++
			p.off = 0
		}
		if b = b[n:]; len(b) == 0 {
			return
		}
	}
}

// packetsOf returns how many transport packets bytes of PES take.
func packetsOf(size int) int { return (size + payloadSize - 1) / payloadSize }

const payloadSize = packetSize - 4

// never is beyond every time, always before.
const (
	never  = stc(1) << 62
	always = -never
)

// lane is one elementary stream with its queue.
type lane struct {
	coding
	pid     uint16
	counter byte // of the next packet with payload

	queue []*pes // oldest first; queue[0] may be under way
	free  []*pes
	begun bool // something of queue[0] is sent
	opens stc  // before then nothing of queue[0] may be sent; [never] when there is none
	bytes int  // in the queue

	waiting bool // for a sync point
	last    int64
	timed   bool // last is set
	stray   stc  // since when every frame came at an impossible time; valid with strayed
	strayed bool

	transport bucket
	decoder   decoder
}

// take returns a PES packet to fill.
func (l *lane) take() *pes {
	if n := len(l.free); n > 0 {
		p := l.free[n-1]
		l.free = l.free[:n-1]
		return p
	}
	return new(pes)
}

// give puts a PES packet back.
func (l *lane) give(p *pes) {
	p.reset()
	if len(l.free) < 64 {
		l.free = append(l.free, p)
	}
}

func (l *lane) push(p *pes) {
	if len(l.queue) == 0 {
		l.opens = always
	}
	l.queue = append(l.queue, p)
	l.bytes += p.size
}

// shift drops the PES packet at the head.
func (l *lane) shift() {
	p := l.queue[0]
	l.bytes -= p.size
	// Few wait, so moving them is cheaper than a ring's arithmetic for each packet.
	l.queue = l.queue[:copy(l.queue, l.queue[1:])]
	l.begun, l.opens = false, always
	l.give(p)
}

// clock is a PCR to be written.
type clock struct {
	at            stc
	discontinuity bool
}

// packet writes the next transport packet of the head into b (188 bytes); c is the
// PCR that it carries, or nil. It reports whether the head is finished, and shifts it then.
func (l *lane) packet(b []byte, c *clock) (done bool) {
	p := l.queue[0]
	b = b[:packetSize:packetSize]
	b[0], b[1], b[2], b[3] = 0x47, byte(l.pid>>8), byte(l.pid), 0x10|l.counter
	l.counter = (l.counter + 1) & 15
	field := 0 // bytes of adaptation field
	var flags byte
	if !l.begun {
		b[1] |= 0x40
		if p.sync && l.picture() {
			flags |= 0x40 // random_access_indicator
			field = 2
		}
		l.begun = true
	}
	if c != nil {
		flags |= 0x10
		if c.discontinuity {
			flags |= 0x80
		}
		field = 8
	}
	if room := payloadSize - field; p.left < room {
		field += room - p.left
	}
	if field > 0 {
		b[3] |= 0x20
		adaptation(b[4:4+field], flags, c)
	}
	p.read(b[4+field:])
	if p.left > 0 {
		return false
	}
	l.shift()
	return true
}

// adaptation fills an adaptation field (2.4.3.4) of 1 to 184 bytes.
func adaptation(b []byte, flags byte, c *clock) {
	b[0] = byte(len(b) - 1)
	if len(b) == 1 {
		return
	}
	b[1] = flags
	at := 2
	if c != nil {
		pcr := int64(c.at) % (wrap90 * stcTick90)
		if pcr < 0 {
			pcr += wrap90 * stcTick90
		}
		base, ext := pcr/stcTick90, pcr%stcTick90
		b[2], b[3], b[4], b[5] = byte(base>>25), byte(base>>17), byte(base>>9), byte(base>>1)
		b[6], b[7] = byte(base<<7)|0x7E|byte(ext>>8), byte(ext)
		at = 8
	}
	for i := at; i < len(b); i++ {
		b[i] = 0xFF
	}
}

// clockPacket writes a packet that carries only a PCR. Its counter does not advance.
func clockPacket(b []byte, pid uint16, counter byte, c *clock) {
	b = b[:packetSize:packetSize]
	b[0], b[1], b[2], b[3] = 0x47, byte(pid>>8), byte(pid), 0x20|(counter-1)&15
	flags := byte(0x10)
	if c.discontinuity {
		flags |= 0x80
	}
	adaptation(b[4:], flags, c)
}

// times returns PTS and DTS of a frame in ticks of 90 kHz, not wrapped. A frame that
// is shown before it is decoded is decoded when it is shown.
func times(f *media.Frame) (pts, dts int64) {
	pts, dts = f.PTS.Ticks(mpegts.Ticks), f.DTS.Ticks(mpegts.Ticks)
	return pts, min(pts, dts)
}
