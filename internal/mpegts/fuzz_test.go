package mpegts

import (
	"bytes"
	"slices"
	"testing"
	"unicode/utf8"

	"tongxiang/internal/media"
)

// seeds are whole streams: tables, pictures, sounds.
func seeds() [][]byte {
	b := newBuilder()
	b.nulls()
	b.programme()
	b.pes(testVideo, 0xE0, 9000, 5400, 0, annex(aud, testSPS, testPPS, idr(1, 600)))
	b.pes(testAudio, 0xC0, 8000, 8000, -1, slices.Concat(mp2Frame(1), mp2Frame(2)))
	b.pes(testVideo, 0xE0, 9000, 9000, 0, annex(aud, slice(2, 300)))
	c := newBuilder()
	c.nulls()
	c.section(pidPAT, patOf(0, patEntry{1, testPMT}))
	c.section(testPMT, pmtOf(1, 0, 0x101,
		es{typ: 0x02, pid: 0x101}, es{typ: 0x0F, pid: 0x102}, es{typ: 0x11, pid: 0x103}, es{typ: 0x81, pid: 0x104},
		es{typ: 0x06, pid: 0x105, desc: []byte{5, 4, 'O', 'p', 'u', 's', 0x7F, 2, 0x80, 2}}, es{typ: 0x24, pid: 0x106}))
	c.pes(0x101, 0xE0, 1, 1, 0, []byte{0, 0, 1, 0xB3, 0x04, 0x00, 0x30, 0x13, 0xFF, 0xFF, 0xE0, 0x18, 0, 0, 1, 0, 0, 0x0F, 0xFF, 0xF8, 0, 0, 1, 1})
	c.pes(0x102, 0xC0, 1, 1, -1, []byte{0xFF, 0xF1, 0x4C, 0x80, 1, 0x1F, 0xFC, 1})
	c.pes(0x103, 0xC0, 1, 1, -1, []byte{0x56, 0xE0, 8, 0x20, 0, 0x13, 0x10, 0x1F, 0xF8, 0, 0})
	c.pes(0x104, 0xBD, 1, 1, -1, []byte{0x0B, 0x77, 0, 0, 0x08, 0x40, 0x40, 0})
	c.pes(0x105, 0xBD, 1, 1, -1, []byte{0x7F, 0xE0, 3, 0xFC, 1, 2})
	c.pes(0x106, 0xE0, 1, 1, 0, []byte{0, 0, 1, 0x40, 1, 0x0C, 0, 0, 1, 0x26, 1, 0xAF, 1})
	return [][]byte{b.out.Bytes(), c.out.Bytes(), bytes.Repeat([]byte{syncByte}, 4000), nil}
}

// FuzzDemuxer: whatever comes, in whatever pieces, nothing panics, what is kept is
// bounded and frames are whole.
func FuzzDemuxer(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s, uint16(1316))
		f.Add(s, uint16(100))
	}
	f.Fuzz(func(t *testing.T, b []byte, chunk uint16) {
		d := NewDemuxer(Handler{Frame: func(s *Stream, f *media.Frame, _ Times) {
			if len(f.Units) == 0 || f.Size() == 0 {
				t.Fatal("an empty frame")
			}
			if s.Codec.Kind() == media.Audio && !f.Sync {
				t.Fatal("sound at which one cannot start")
			}
		}})
		for len(b) > 0 {
			n := min(int(chunk)+1, len(b))
			d.Feed(b[:n], 1)
			b = b[n:]
		}
		d.Flush()
		d.Measure()
		for _, s := range d.Services() {
			d.MeasureService(s)
		}
		if len(d.Services()) > maxServices {
			t.Fatal("too many services")
		}
	})
}

// FuzzElementaryStream feeds every parser past the packets.
func FuzzElementaryStream(f *testing.F) {
	types := []byte{0x1B, 0x24, 0x02, 0x0F, 0x11, 0x03, 0x81, 0x87, 0x06}
	for i := range types {
		f.Add(byte(i), annex(aud, testSPS, testPPS, idr(1, 60)), uint16(7))
		f.Add(byte(i), slices.Concat(mp2Frame(1), mp2Frame(2)), uint16(50))
		f.Add(byte(i), []byte{0x56, 0xE0, 8, 0x20, 0, 0x13, 0x10, 0x1F, 0xF8, 0, 0}, uint16(3))
		f.Add(byte(i), []byte{0xFF, 0xF1, 0x4C, 0x80, 1, 0x1F, 0xFC, 1}, uint16(3))
	}
	f.Fuzz(func(t *testing.T, which byte, b []byte, chunk uint16) {
		d := NewDemuxer(Handler{})
		st := &Stream{PID: 0x101, Type: types[int(which)%len(types)], pid: &pid{}}
		i := identify(st.Type, []byte{5, 4, 'O', 'p', 'u', 's', 0x7F, 2, 0x80, 2}, false)
		st.Codec, st.Format = i.codec, initialFormat(i)
		p := d.newParser(st)
		for k := 0; len(b) > 0; k++ {
			n := min(int(chunk)+1, len(b))
			p.mark(stamp{int64(k), int64(k)})
			p.write(b[:n])
			switch k % 3 {
			case 0:
				p.end()
			case 1:
				p.gap(1)
			}
			b = b[n:]
		}
		p.flush()
	})
}

// FuzzSections: what comes out is one section, no longer than a section can be.
func FuzzSections(f *testing.F) {
	f.Add(append([]byte{0}, sectionOf(0x42, 60)...), uint8(184))
	f.Add(append([]byte{5, 1, 2, 3, 4, 5}, sectionOf(0x42, 20)...), uint8(10))
	f.Fuzz(func(_ *testing.T, b []byte, chunk uint8) {
		d := NewDemuxer(Handler{Service: func(*Service) {}})
		p := d.listen(pidSDT)
		p.sections.emit = func(s []byte) {
			if len(s) < 3 || len(s) != 3+sectionLength(s) || len(s) > maxSection {
				panic("not one section")
			}
			d.section(p, s)
			// Parsers see bodies with a right CRC only; here they see all.
			if long(s) && len(s) >= 12 {
				h := parseHeader(s)
				parsePAT(h.body, func(patEntry) {})
				_, info, entries, _ := parsePMT(h.body)
				info.language()
				for _, e := range entries {
					identify(e.typ, e.descriptors, false)
				}
				parseSDT(h.body, func(uint16, description) {})
				parseEvents(h, nil, func(Event) {})
			}
		}
		for k := 0; len(b) > 0; k++ {
			n := min(int(chunk)+1, len(b))
			p.sections.packet(b[:n], k%2 == 0)
			b = b[n:]
		}
	})
}

// FuzzText: whatever a string is, the answer is UTF-8 without control codes.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "\x13\xd7\xdb", "\x15中", "\x11\x4e\x2d", "\x14\xb5\xd8", "\x10\x00\x02a", "\x1f\x01a", "\xc2e", "\xd6\xd0\xd1\xeb"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := Text(b)
		if !utf8.ValidString(s) {
			t.Fatalf("%q of %x", s, b)
		}
		for _, r := range s {
			if r < 0x20 && r != '\n' || r >= 0x7F && r < 0xA0 {
				t.Fatalf("%q of %x has a control code", s, b)
			}
		}
	})
}

// FuzzDescriptors: loops of any length end.
func FuzzDescriptors(f *testing.F) {
	f.Add(byte(6), []byte{5, 4, 'O', 'p', 'u', 's', 0x7F, 2, 0x80, 2})
	f.Add(byte(6), []byte{0x6A, 0, 0x0A, 4, 'c', 'h', 'i', 0})
	f.Fuzz(func(t *testing.T, typ byte, b []byte) {
		d := descriptors(b)
		n := 0
		d.each(func(byte, []byte) { n++ })
		if n > len(b)/2 {
			t.Fatal("more descriptors than fit")
		}
		i := identify(typ, d, len(b)%2 == 0)
		if i.codec == media.Unknown && i.note == "" {
			t.Fatal("unknown, and it does not say what")
		}
		if l := d.language(); l != "" && len(l) != 3 {
			t.Fatalf("language %q", l)
		}
	})
}
