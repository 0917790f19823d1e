package mpegts

import (
	"bytes"
	"slices"
	"testing"

	"tongxiang/internal/media"
)

// FuzzSplitter: in whatever pieces bytes come, the same packets are found.
func FuzzSplitter(f *testing.F) {
	f.Add(numbered(12, 188), uint16(100))
	f.Add(numbered(12, 204), uint16(1))
	f.Add(append([]byte{0x47, 1, 2, 0x47}, numbered(9, 192)...), uint16(7))
	f.Fuzz(func(t *testing.T, b []byte, chunk uint16) {
		whole, _ := split(b, len(b)+1)
		pieces, s := split(b, int(chunk)+1)
		if !slices.Equal(whole, pieces) {
			t.Fatalf("%v at once, %v in pieces of %d", whole, pieces, int(chunk)+1)
		}
		if len(s.carry) > 0 {
			t.Fatalf("%d bytes are kept behind the end", len(s.carry))
		}
	})
}

// recorder is a parser that keeps what it is given.
type recorder struct{ got int }

func (r *recorder) mark(stamp)     {}
func (r *recorder) write(b []byte) { r.got += len(b) }
func (r *recorder) gap(int)        {}
func (r *recorder) end()           {}
func (r *recorder) flush()         {}
func (r *recorder) close()         {}

// FuzzPES: headers that lie never make more payload than came.
func FuzzPES(f *testing.F) {
	f.Add(append(pesHead(0xE0, 1, 2), 1, 2, 3), uint8(183), false)
	f.Add(append(pesHead(0xBD, 1, 1), bytes.Repeat([]byte{0, 0, 1, 0xC0}, 30)...), uint8(3), true)
	f.Fuzz(func(t *testing.T, b []byte, chunk uint8, sound bool) {
		codec := media.H264
		if sound {
			codec = media.AAC
		}
		r := new(recorder)
		p := &pes{d: NewDemuxer(Handler{}), stream: &Stream{Codec: codec, pid: new(pid)}, parse: r}
		fed := 0
		for k := 0; len(b) > 0; k++ {
			n := min(int(chunk)+1, len(b))
			if b[0]&7 == 1 {
				p.gap(int(b[0] >> 4))
			}
			p.packet(b[:n], k == 0 || b[0]&3 == 0)
			fed += n
			b = b[n:]
			if len(p.header) > maxHeader {
				t.Fatalf("a header of %d bytes", len(p.header))
			}
		}
		p.flush()
		if r.got > fed {
			t.Fatalf("%d bytes of payload in %d", r.got, fed)
		}
	})
}

// soundSyntaxes are all of them, as a stream begins.
func soundSyntaxes() map[string]soundSyntax {
	return map[string]soundSyntax{
		"ADTS": &adts{}, "LOAS": &loas{}, "MPEG audio": &mpegAudio{}, "AC-3": &ac3{}, "Opus": newOpus(2),
	}
}

// FuzzSoundHeaders: every header parser says how long a frame is or that there is
// none, of any bytes at all, and takes nothing from behind them.
func FuzzSoundHeaders(f *testing.F) {
	f.Add([]byte{0xFF, 0xF1, 0x4C, 0x80, 1, 0x1F, 0xFC, 1})
	f.Add([]byte{0x56, 0xE0, 8, 0x20, 0, 0x13, 0x10, 0x1F, 0xF8, 0, 0})
	f.Add(mp2Frame(1))
	f.Add([]byte{0x0B, 0x77, 0, 0, 0x08, 0x40, 0x40, 0})
	f.Add([]byte{0x0B, 0x77, 0x01, 0x7F, 0x34, 0x86, 0xFF, 0xE1})
	f.Add([]byte{0x7F, 0xE0, 3, 0xFC, 1, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		for name, s := range soundSyntaxes() {
			for at := range b {
				fr, ok := s.frame(b[at:])
				switch {
				case !ok || fr.size == 0:
				case fr.size < 0 || fr.size > maxSound:
					t.Fatalf("%s: a frame of %d bytes", name, fr.size)
				case fr.size <= len(b)-at && (fr.head > fr.size || fr.head < 0 || fr.samples < 0 || fr.format == nil || fr.format.Codec == 0):
					t.Fatalf("%s: %+v", name, fr)
				case len(fr.unit) > fr.size+64:
					t.Fatalf("%s: %d bytes of %d", name, len(fr.unit), fr.size)
				}
			}
		}
	})
}

// FuzzPictures: pictures do not depend on the pieces in which the bytes come, though
// the search for start codes is put off.
func FuzzPictures(f *testing.F) {
	h264 := annex(aud, testSPS, testPPS, idr(1, 600), aud, slice(2, 300), aud, slice(3, 20))
	f.Add(byte(0), h264, uint16(183), uint16(611))
	f.Add(byte(1), annex([]byte{0x40, 1, 0x0C}, []byte{0x26, 1, 0xAF, 1}, []byte{0x02, 1, 0xD0, 9}), uint16(5), uint16(3))
	f.Add(byte(2), []byte{0, 0, 1, 0xB3, 0x04, 0x00, 0x30, 0x13, 0xFF, 0xFF, 0xE0, 0x18, 0, 0, 1, 0, 0, 0x0F, 0xFF, 0xF8, 0, 0, 1, 1, 0, 0, 1, 0, 0, 0x17, 0xFF}, uint16(2), uint16(24))
	f.Fuzz(func(t *testing.T, which byte, b []byte, chunk, second uint16) {
		types := []byte{0x1B, 0x24, 0x02}
		parse := func(chunk int) []*media.Frame {
			var got []*media.Frame
			d := NewDemuxer(Handler{Frame: func(_ *Stream, f *media.Frame, _ Times) { got = append(got, f) }})
			st := &Stream{PID: 0x101, Type: types[int(which)%len(types)], pid: &pid{}}
			i := identify(st.Type, nil, false)
			st.Codec, st.Format = i.codec, initialFormat(i)
			p := d.newParser(st)
			p.mark(stamp{0, 0})
			// Where a second PES packet begins is the stream's, not the piece's.
			at := int(second) % (len(b) + 1)
			for part, rest := range [][]byte{b[:at], b[at:]} {
				if part == 1 {
					p.mark(stamp{3600, 3600})
				}
				for len(rest) > 0 {
					n := min(chunk, len(rest))
					p.write(rest[:n])
					rest = rest[n:]
				}
			}
			p.flush()
			p.close()
			if d.underWay != 0 {
				t.Fatalf("%d bytes are still taken", d.underWay)
			}
			return got
		}
		whole, pieces := parse(184), parse(int(chunk)+1)
		if !slices.EqualFunc(whole, pieces, func(a, b *media.Frame) bool {
			return a.Sync == b.Sync && a.IDR == b.IDR && slices.EqualFunc(a.Units, b.Units, bytes.Equal)
		}) {
			t.Fatalf("%d pictures in packets, %d in pieces of %d", len(whole), len(pieces), int(chunk)+1)
		}
	})
}
