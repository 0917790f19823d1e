package mpegts

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"tongxiang/internal/media"
)

// TestHostileStreamsAreCountedAndBounded feeds many megabytes of what no broadcaster
// sends. Nothing panics, memory stays within a bound, what was wrong has a name, and
// a good programme behind it is read.
func TestHostileStreamsAreCountedAndBounded(t *testing.T) {
	var good builder
	{
		b := newBuilder()
		b.nulls()
		b.section(pidPAT, patOf(31, patEntry{1, testPMT}))
		b.section(testPMT, pmtOf(1, 31, testVideo, es{typ: 0x1B, pid: testVideo}))
		for i := range 3 {
			b.pes(testVideo, 0xE0, int64(i)*3600, int64(i)*3600, 0, annex(aud, testSPS, testPPS, idr(byte(i), 900)))
		}
		good = *b
	}
	for _, tc := range []struct {
		name    string
		feed    int // megabytes
		bound   int // megabytes of heap
		chunk   func(r *rand.Rand, b *builder, i int)
		counted func(Stats) uint64 // nil: nothing of it is wrong
	}{
		{"random bytes", 16, 4, func(r *rand.Rand, b *builder, _ int) {
			for range 20000 {
				b.out.WriteByte(byte(r.Uint32()))
			}
		}, nil},
		{"sync that is lost all the time", 16, 4, func(r *rand.Rand, b *builder, _ int) {
			for range 20 {
				for range 6 {
					b.packet(nullPID, false, bytes.Repeat([]byte{0xFF}, 184))
				}
				b.out.Write(make([]byte, 1+r.IntN(300)))
			}
		}, func(s Stats) uint64 { return s.SyncLosses }},
		{"every PID with the start of a unit in each packet", 16, 8, func(r *rand.Rand, b *builder, _ int) {
			payload := make([]byte, 184)
			for range 200 {
				for k := range payload {
					payload[k] = byte(r.Uint32())
				}
				b.packet(uint16(r.IntN(nullPID)), true, payload)
			}
		}, func(s Stats) uint64 { return s.BadSections }},
		{"sections with wrong checksums and lengths", 16, 4, func(r *rand.Rand, b *builder, _ int) {
			s := patOf(byte(r.Uint32()), patEntry{1, testPMT}, patEntry{2, 0x200})
			s[r.IntN(len(s))] ^= byte(1 + r.IntN(255))
			b.section(pidPAT, s)
			s = longSection(tableSDTActual, 1, byte(r.IntN(32)), 0, 0, make([]byte, 50))
			s[1], s[2] = 0xB0|byte(r.IntN(16)), byte(r.Uint32())
			b.section(pidSDT, s)
		}, func(s Stats) uint64 { return s.CRCErrors }},
		{"a PAT that points everywhere", 16, 24, func(r *rand.Rand, b *builder, i int) {
			var list []patEntry
			for range 250 {
				list = append(list, patEntry{uint16(r.Uint32()), uint16(r.IntN(pids))})
			}
			for n := range byte(8) {
				b.section(pidPAT, longSection(tablePAT, 1, byte(i), n, 7, patOf(0, list...)[8:len(patOf(0, list...))-4]))
			}
		}, nil},
		{"a PMT that changes in every packet", 16, 8, func(r *rand.Rand, b *builder, i int) {
			b.section(pidPAT, patOf(1, patEntry{1, testPMT}))
			for range 50 {
				var list []es
				for range 1 + r.IntN(20) {
					list = append(list, es{typ: byte(r.Uint32()), pid: uint16(r.IntN(pids)), desc: []byte{byte(r.Uint32()), 2, 1, 2}})
				}
				b.section(testPMT, pmtOf(1, byte(i), uint16(r.IntN(pids)), list...))
				b.packet(uint16(r.IntN(pids)), true, pesHead(0xE0, 1, 1))
			}
		}, nil},
		{"pictures that never end on all PIDs that fit", 200, 150, func(_ *rand.Rand, b *builder, i int) {
			if i == 0 {
				var list []patEntry
				for s := range 60 {
					list = append(list, patEntry{uint16(s + 1), uint16(0x20 + s)})
				}
				b.section(pidPAT, patOf(2, list...))
				for s := range 60 {
					var streams []es
					for k := range 120 {
						streams = append(streams, es{typ: 0x1B, pid: uint16(0x100 + s*120 + k)})
					}
					b.section(uint16(0x20+s), pmtOf(uint16(s+1), 2, 0x100, streams...))
				}
				for k := range 7200 {
					b.packet(uint16(0x100+k), true, append(pesHead(0xE0, 1, 1), annex(aud, slice(1, 100))...))
				}
			}
			for k := range 7200 / 24 {
				b.packet(uint16(0x100+(i%24)*300+k), false, bytes.Repeat([]byte{0xAA}, 184))
			}
		}, func(s Stats) uint64 { return s.BadUnits }},
		{"one PES packet without an end", 24, 20, func(_ *rand.Rand, b *builder, i int) {
			if i == 0 {
				b.section(pidPAT, patOf(3, patEntry{1, testPMT}))
				b.section(testPMT, pmtOf(1, 3, testVideo, es{typ: 0x1B, pid: testVideo}, es{typ: 0x0F, pid: testAudio}))
				b.packet(testVideo, true, append(pesHead(0xE0, 1, 1), annex(aud, slice(1, 100))...))
				b.packet(testAudio, true, pesHead(0xC0, 1, 1))
			}
			for range 100 {
				b.packet(testVideo, false, bytes.Repeat([]byte{0xAA}, 184))
				b.packet(testAudio, false, bytes.Repeat([]byte{0xFF, 0xF1}, 92))
			}
		}, func(s Stats) uint64 { return s.BadUnits }},
		{"start codes and nothing else", 16, 20, func(_ *rand.Rand, b *builder, i int) {
			if i == 0 {
				b.section(pidPAT, patOf(4, patEntry{1, testPMT}))
				b.section(testPMT, pmtOf(1, 4, testVideo, es{typ: 0x1B, pid: testVideo}, es{typ: 0x02, pid: testAudio}))
				b.packet(testVideo, true, pesHead(0xE0, 1, 1))
				b.packet(testAudio, true, pesHead(0xE0, 1, 1))
			}
			for range 50 {
				b.packet(testVideo, false, bytes.Repeat([]byte{0, 0, 1, 0x41, 0x10, 0, 0, 1}, 23))
				b.packet(testAudio, false, bytes.Repeat([]byte{0, 0, 1, 0xB3, 0, 0, 1, 0xB5}, 23))
			}
		}, func(s Stats) uint64 { return s.BadUnits }},
		{"adaptation fields that lie", 16, 4, func(r *rand.Rand, b *builder, _ int) {
			for range 200 {
				var p [PacketSize]byte
				for k := range p {
					p[k] = byte(r.Uint32())
				}
				p[0], p[1], p[3] = syncByte, p[1]&0x7F, 0x30|p[3]&0x0F
				b.out.Write(p[:])
			}
		}, func(s Stats) uint64 { return s.BadAdaptation }},
		{"tables of everything but what a multiplex has: MPE and private sections", 16, 4, func(r *rand.Rand, b *builder, i int) {
			if i == 0 {
				b.section(pidPAT, patOf(5, patEntry{1, testPMT}))
				b.section(testPMT, pmtOf(1, 5, testVideo, es{typ: 0x0D, pid: 0x300}, es{typ: 0x05, pid: 0x301}))
			}
			b.section(0x300, longSection(0x3E, uint16(r.Uint32()), 0, 0, 0, make([]byte, 1000+r.IntN(3000))))
			b.section(0x301, longSection(byte(0x80+r.IntN(100)), uint16(r.Uint32()), 0, 0, 0, make([]byte, 500)))
		}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(5, 6))
			b := newBuilder()
			frames := 0
			d := NewDemuxer(Handler{Frame: func(_ *Stream, f *media.Frame, _ Times) { frames++ }})
			before := heap()
			for i, fed := 0, 0; fed < tc.feed<<20; i++ {
				b.out.Reset()
				tc.chunk(r, b, i)
				d.Feed(b.out.Bytes(), 1)
				fed += b.out.Len()
			}
			if grown := (int(heap()) - int(before)) >> 20; grown > tc.bound {
				t.Errorf("%d MB are kept, at most %d are meant to be", grown, tc.bound)
			}
			s := d.Stats()
			if tc.counted != nil && tc.counted(s) == 0 {
				t.Errorf("nothing was counted: %+v", s)
			}
			if len(d.Services()) > maxServices || d.underWay > maxUnderWay || d.underWay < 0 {
				t.Errorf("%d services, %d bytes under way", len(d.Services()), d.underWay)
			}
			frames = 0
			d.Feed(good.out.Bytes(), 1)
			d.Feed(good.out.Bytes(), 1) // the first round may be taken for the rest of a section
			d.Flush()
			if frames < 3 {
				t.Errorf("%d pictures of the good programme that follows: %+v", frames, d.Stats())
			}
			for _, v := range slices.Clone(d.Services()) {
				d.drop(v)
			}
			if d.underWay != 0 {
				t.Errorf("%d bytes are taken when nothing is read any more", d.underWay)
			}
			runtime.KeepAlive(d)
		})
	}
}

// heap returns the bytes of live objects.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestFloodOfLongTextsIsBounded: events whose texts are as long as they can be.
func TestFloodOfLongTextsIsBounded(t *testing.T) {
	g := NewGuide(GuideHandler{})
	text := bytes.Repeat([]byte{'x'}, 240)
	before := heap()
	for i := range 20_000 {
		var ds []byte
		for k := range byte(14) {
			ds = append(ds, descriptorOf(descExtendedEvent, []byte{k<<4 | 13}, []byte("chi"), piece(nil), piece(text))...)
		}
		g.Section(pidEIT, eit(0x50, uint16(i), byte(i>>16), 0, eitEvent(uint16(i), time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC), time.Hour, 0, shortEvent("chi", "t", string(text[:200])), ds)))
	}
	if grown := int(heap()-before) >> 20; grown > 100 {
		t.Errorf("%d MB are kept", grown)
	}
	if _, dropped := g.Len(); dropped == 0 || g.text > maxGuideText {
		t.Errorf("%d events were left out, %d bytes are kept", dropped, g.text)
	}
}
