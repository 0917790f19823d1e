package mpegts

import (
	"bytes"
	"slices"

	"tongxiang/internal/media"
)

// builder writes transport packets for tests.
type builder struct {
	out bytes.Buffer
	cc  map[uint16]byte
}

func newBuilder() *builder { return &builder{cc: make(map[uint16]byte)} }

// packet writes one packet; payload is at most 184 bytes, the rest is adaptation field.
func (b *builder) packet(pid uint16, start bool, payload []byte) {
	var p [PacketSize]byte
	p[0], p[1], p[2] = syncByte, byte(pid>>8), byte(pid)
	if start {
		p[1] |= 0x40
	}
	p[3] = 0x10 | b.cc[pid]
	b.cc[pid] = (b.cc[pid] + 1) & 15
	at := 4
	if n := PacketSize - 4 - len(payload); n > 0 {
		p[3] |= 0x20
		p[4] = byte(n - 1)
		for i := 6; i < 4+n; i++ {
			p[i] = 0xFF
		}
		at += n
	}
	copy(p[at:], payload)
	b.out.Write(p[:])
}

// section writes a section with pointer_field, in as many packets as it takes.
func (b *builder) section(pid uint16, s []byte) {
	data := append([]byte{0}, s...)
	for first := true; len(data) > 0; first = false {
		n := min(184, len(data))
		chunk := slices.Clone(data[:n])
		for len(chunk) < 184 {
			chunk = append(chunk, 0xFF)
		}
		b.packet(pid, first, chunk)
		data = data[n:]
	}
}

// pes writes a PES packet; length 0 writes an unbounded one, -1 the right length.
func (b *builder) pes(pid uint16, id byte, pts, dts int64, length int, data []byte) {
	head := pesHead(id, pts, dts)
	if length < 0 {
		length = len(head) - 6 + len(data)
	}
	head[4], head[5] = byte(length>>8), byte(length)
	data = append(head, data...)
	for first := true; len(data) > 0; first = false {
		n := min(184, len(data))
		b.packet(pid, first, data[:n])
		data = data[n:]
	}
}

func pesHead(id byte, pts, dts int64) []byte {
	h := []byte{0, 0, 1, id, 0, 0, 0x80, 0, 0}
	time := func(mark byte, t int64) []byte {
		return []byte{mark<<4 | byte(t>>29)&0x0E | 1, byte(t >> 22), byte(t>>14) | 1, byte(t >> 7), byte(t<<1) | 1}
	}
	switch {
	case pts == NoTime:
	case dts == pts:
		h[7], h[8] = 0x80, 5
		h = append(h, time(2, pts)...)
	default:
		h[7], h[8] = 0xC0, 10
		h = append(append(h, time(3, pts)...), time(1, dts)...)
	}
	return h
}

// longSection makes a long section with a right CRC.
func longSection(id byte, ext uint16, version, number, last byte, body []byte) []byte {
	n := 5 + len(body) + 4
	s := []byte{id, 0xB0 | byte(n>>8), byte(n), byte(ext >> 8), byte(ext), 0xC1 | version<<1, number, last}
	s = append(s, body...)
	c := crc32(s)
	return append(s, byte(c>>24), byte(c>>16), byte(c>>8), byte(c))
}

func patOf(version byte, programmes ...patEntry) []byte {
	var body []byte
	for _, e := range programmes {
		body = append(body, byte(e.program>>8), byte(e.program), 0xE0|byte(e.pid>>8), byte(e.pid))
	}
	return longSection(tablePAT, 1, version, 0, 0, body)
}

type es struct {
	typ  byte
	pid  uint16
	desc []byte
}

func pmtOf(program uint16, version byte, pcr uint16, streams ...es) []byte {
	body := []byte{0xE0 | byte(pcr>>8), byte(pcr), 0xF0, 0}
	for _, s := range streams {
		body = append(body, s.typ, 0xE0|byte(s.pid>>8), byte(s.pid), 0xF0|byte(len(s.desc)>>8), byte(len(s.desc)))
		body = append(body, s.desc...)
	}
	return longSection(tablePMT, program, version, 0, 0, body)
}

// heard collects what a demuxer says.
type heard struct {
	d      *Demuxer
	frames []gotFrame
}

type gotFrame struct {
	pid   uint16
	frame *media.Frame
	times Times
}

func listen() *heard {
	h := &heard{}
	h.d = NewDemuxer(Handler{
		Frame: func(s *Stream, f *media.Frame, t Times) { h.frames = append(h.frames, gotFrame{s.PID, f, t}) },
	})
	return h
}

func (h *heard) of(pid uint16) []gotFrame {
	var out []gotFrame
	for _, f := range h.frames {
		if f.pid == pid {
			out = append(out, f)
		}
	}
	return out
}

// mp2Frame is a frame of MPEG-1 layer II, 48 kHz, 32 kbit/s mono: 96 bytes.
func mp2Frame(fill byte) []byte {
	f := bytes.Repeat([]byte{fill}, 96)
	copy(f, []byte{0xFF, 0xFD, 0x14, 0xC0})
	return f
}

// The parameter sets of a picture of 64×48 with B-frames, made by x264.
var (
	testSPS = []byte{0x67, 0x64, 0x00, 0x0A, 0xAC, 0xD9, 0x44, 0x7B, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0xF1, 0x22, 0x59, 0x60}
	testPPS = []byte{0x68, 0xEB, 0xE3, 0xCB, 0x22, 0xC0}
)

// annex joins NAL units with start codes.
func annex(units ...[]byte) []byte {
	var b []byte
	for _, u := range units {
		b = append(append(b, 0, 0, 0, 1), u...)
	}
	return b
}

func idr(fill byte, n int) []byte {
	return append([]byte{0x65, 0x88}, bytes.Repeat([]byte{fill}, n)...)
}

func slice(fill byte, n int) []byte {
	return append([]byte{0x41, 0x9A}, bytes.Repeat([]byte{fill}, n)...)
}

var aud = []byte{0x09, 0xF0}

// pids of the tests' one programme.
const (
	testPMT   = 0x100
	testVideo = 0x101
	testAudio = 0x102
)

// nulls writes null packets: what a demuxer that was just made needs to find its feet.
func (b *builder) nulls() {
	for range lockAfter {
		b.packet(nullPID, false, bytes.Repeat([]byte{0xFF}, 184))
	}
}

// programme writes PAT and PMT of H.264 and MP2.
func (b *builder) programme() {
	b.section(pidPAT, patOf(0, patEntry{1, testPMT}))
	b.section(testPMT, pmtOf(1, 0, testVideo, es{typ: 0x1B, pid: testVideo}, es{typ: 0x03, pid: testAudio}))
}
