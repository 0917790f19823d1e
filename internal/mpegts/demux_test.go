package mpegts

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"tongxiang/internal/media"
)

func TestPicturesAndSoundsBecomeFramesWithTheirTimes(t *testing.T) {
	b := newBuilder()
	b.programme()
	b.pes(testVideo, 0xE0, 9000, 5400, 0, annex(aud, testSPS, testPPS, idr(1, 600)))
	b.pes(testAudio, 0xC0, 8000, 8000, -1, bytes.Join([][]byte{mp2Frame(1), mp2Frame(2), mp2Frame(3)}, nil))
	b.pes(testVideo, 0xE0, 16200, 9000, 0, annex(aud, slice(2, 300)))
	b.pes(testVideo, 0xE0, 12600, 12600, 0, annex(aud, slice(3, 10)))
	h := listen()
	h.d.Feed(b.out.Bytes(), 77)
	h.d.Flush()
	video, audio := h.of(testVideo), h.of(testAudio)
	if len(video) != 3 || len(audio) != 1 {
		t.Fatalf("%d pictures, %d sounds", len(video), len(audio))
	}
	if v := video[0]; v.times != (Times{PTS: 9000, DTS: 5400}) || !v.frame.Sync || !v.frame.IDR || v.frame.Arrival != 77 {
		t.Errorf("first picture %+v %+v", v.times, v.frame)
	}
	if u := video[0].frame.Units; len(u) != 3 || !bytes.Equal(u[0], testSPS) || !bytes.Equal(u[1], testPPS) || !bytes.Equal(u[2], idr(1, 600)) {
		t.Errorf("first picture has the units %x", u)
	}
	if v := video[1]; v.times != (Times{PTS: 16200, DTS: 9000}) || v.frame.Sync || !bytes.Equal(v.frame.Units[0], slice(2, 300)) {
		t.Errorf("second picture %+v %+v", v.times, v.frame)
	}
	if a := audio[0]; a.times != (Times{PTS: 8000, DTS: 8000}) || len(a.frame.Units) != 3 || !bytes.Equal(a.frame.Units[2], mp2Frame(3)) || !a.frame.Sync {
		t.Errorf("sound %+v %+v", a.times, a.frame)
	}
	s := h.d.Services()[0]
	f := s.Streams[0].Format
	if f.Width != 64 || f.Height != 48 || !f.Reordered || f.Codec != media.H264 {
		t.Errorf("picture format %+v", f)
	}
	if f := s.Streams[1].Format; f.Rate != 48000 || f.Channels != 1 || f.Profile != "Layer II" {
		t.Errorf("sound format %+v", f)
	}
}

func TestAccessUnitsNeedNotFollowPESPackets(t *testing.T) {
	unit := func(i byte) []byte { return annex(aud, slice(i, 250)) }
	whole := slices.Concat(annex(aud, testSPS, testPPS, idr(9, 500)), unit(1), unit(2), unit(3), unit(4))
	for _, cut := range []int{3, 5, 100, 520, 530, 541, 545, 700, 1000} {
		t.Run(fmt.Sprintf("cut at %d", cut), func(t *testing.T) {
			b := newBuilder()
			b.programme()
			b.pes(testVideo, 0xE0, 90000, 90000, 0, whole[:cut])
			b.pes(testVideo, 0xE0, 180000, 180000, 0, whole[cut:])
			h := listen()
			h.d.Feed(b.out.Bytes(), 1)
			h.d.Flush()
			got := h.of(testVideo)
			if len(got) != 5 {
				t.Fatalf("%d pictures", len(got))
			}
			if got[0].times.PTS != 90000 || got[0].times.Computed {
				t.Errorf("first picture at %+v", got[0].times)
			}
			carried := 0
			for i, g := range got {
				if g.times.PTS == 180000 && !g.times.Computed {
					carried++
				} else if i > 0 && !g.times.Computed {
					t.Errorf("picture %d at %+v: that time was not carried for it", i, g.times)
				}
				if i > 0 && !bytes.Equal(g.frame.Units[0], slice(byte(i), 250)) {
					t.Errorf("picture %d has other bytes", i)
				}
			}
			if carried != 1 {
				t.Errorf("the second PES packet's time went to %d pictures", carried)
			}
		})
	}
}

func TestASoundFrameOverTwoPESPacketsIsWhole(t *testing.T) {
	data := bytes.Join([][]byte{mp2Frame(1), mp2Frame(2), mp2Frame(3), mp2Frame(4)}, nil)
	b := newBuilder()
	b.programme()
	b.pes(testAudio, 0xC0, 1000, 1000, -1, data[:250])
	b.pes(testAudio, 0xC0, 7480, 7480, -1, data[250:])
	h := listen()
	h.d.Feed(b.out.Bytes(), 1)
	h.d.Flush()
	got := h.of(testAudio)
	if len(got) != 3 {
		t.Fatalf("%d frames", len(got))
	}
	// Layer II has 1152 samples: 2160 ticks at 48 kHz.
	for i, want := range []struct {
		pts      int64
		computed bool
		units    int
	}{{1000, false, 2}, {1000 + 2*2160, true, 1}, {7480, false, 1}} {
		if g := got[i]; g.times.PTS != want.pts || g.times.Computed != want.computed || len(g.frame.Units) != want.units {
			t.Errorf("frame %d: %+v with %d units, want %+v", i, g.times, len(g.frame.Units), want)
		}
	}
}

func TestALostPacketCostsThePictureItWasIn(t *testing.T) {
	b := newBuilder()
	b.programme()
	lead := b.out.Len()
	b.pes(testVideo, 0xE0, 0, 0, 0, annex(aud, testSPS, testPPS, idr(1, 900)))
	for i := range 4 {
		b.pes(testVideo, 0xE0, int64(i+1)*3600, int64(i+1)*3600, 0, annex(aud, slice(byte(i+2), 500)))
	}
	whole := b.out.Bytes()
	for at := lead; at < len(whole); at += PacketSize {
		if whole[at+1]&0x40 != 0 {
			continue // the loss of a start is another test
		}
		h := listen()
		h.d.Feed(append(bytes.Clone(whole[:at]), whole[at+PacketSize:]...), 1)
		h.d.Flush()
		corrupt := 0
		for _, f := range h.of(testVideo) {
			if f.frame.Corrupt {
				corrupt++
			}
		}
		last := at+PacketSize >= len(whole) // nothing tells that the last one is missing
		if n := len(h.of(testVideo)); n != 5 || corrupt != 1 && !last {
			t.Errorf("packet at %d lost: %d pictures, %d corrupt", at, n, corrupt)
		}
		if s := h.d.Stats(); s.Continuity != 1 && !last {
			t.Errorf("packet at %d lost: %d continuity errors", at, s.Continuity)
		}
	}
}

func TestDuplicatePacketsChangeNothing(t *testing.T) {
	b := newBuilder()
	b.programme()
	for i := range 20 {
		b.pes(testVideo, 0xE0, int64(i)*3600, int64(i)*3600, 0, annex(aud, testSPS, testPPS, idr(byte(i), 900)))
		b.pes(testAudio, 0xC0, int64(i)*3600, int64(i)*3600, -1, mp2Frame(byte(i)))
	}
	var twice []byte
	for p := range slices.Chunk(b.out.Bytes(), PacketSize) {
		twice = append(append(twice, p...), p...)
	}
	plain, doubled := listen(), listen()
	plain.d.Feed(b.out.Bytes(), 1)
	plain.d.Flush()
	doubled.d.Feed(twice, 1)
	doubled.d.Flush()
	if s := doubled.d.Stats(); s.Continuity != 0 || s.Duplicates != uint64(b.out.Len()/PacketSize) {
		t.Errorf("%+v", s)
	}
	if len(plain.frames) != 40 || len(doubled.frames) != 40 {
		t.Fatalf("%d frames, %d with duplicates", len(plain.frames), len(doubled.frames))
	}
	for i := range plain.frames {
		p, d := plain.frames[i], doubled.frames[i]
		if p.times != d.times || d.frame.Corrupt || !slices.EqualFunc(p.frame.Units, d.frame.Units, bytes.Equal) {
			t.Fatalf("frame %d differs", i)
		}
	}
}

func TestWrongPESLengthsCostNothingThatIsThere(t *testing.T) {
	for _, length := range []int{0, 1, 8, 100, 60000, 65535} {
		t.Run(fmt.Sprint(length), func(t *testing.T) {
			b := newBuilder()
			b.programme()
			for i := range 5 {
				b.pes(testVideo, 0xE0, int64(i)*3600, int64(i)*3600, length, annex(aud, testSPS, testPPS, idr(byte(i), 400)))
				b.pes(testAudio, 0xC0, int64(i)*2160, int64(i)*2160, max(length, 8), mp2Frame(byte(i)))
			}
			h := listen()
			h.d.Feed(b.out.Bytes(), 1)
			h.d.Flush()
			if n := len(h.of(testVideo)); n != 5 {
				t.Errorf("%d pictures of 5", n)
			}
			if n := len(h.of(testAudio)); length != 100 && length != 8 && n != 5 {
				t.Errorf("%d sounds of 5", n)
			}
		})
	}
}

func TestServicesComeChangeAndGoWithTheirTables(t *testing.T) {
	var log []string
	d := NewDemuxer(Handler{
		Service: func(s *Service) { log = append(log, fmt.Sprintf("%d:%d", s.ID, len(s.Streams))) },
		Gone:    func(s *Service) { log = append(log, fmt.Sprintf("-%d", s.ID)) },
	})
	expect := func(want ...string) {
		t.Helper()
		if !slices.Equal(log, want) {
			t.Errorf("%q, want %q", log, want)
		}
		log = nil
	}
	feed := func(f func(b *builder)) {
		b := newBuilder()
		f(b)
		d.Flush() // each piece has counters of its own
		d.Feed(b.out.Bytes(), 1)
		d.Flush()
	}
	feed(func(b *builder) {
		b.section(pidPAT, patOf(0, patEntry{1, 0x100}, patEntry{2, 0x200}))
		b.section(0x100, pmtOf(1, 0, 0x101, es{typ: 0x1B, pid: 0x101}, es{typ: 0x03, pid: 0x102}))
		b.section(0x200, pmtOf(2, 0, 0x201, es{typ: 0x02, pid: 0x201}, es{typ: 0x03, pid: 0x102}))
	})
	expect("1:0", "2:0", "1:2", "2:2")
	if d.services[1].Streams[1] != d.services[2].Streams[1] {
		t.Error("a PID that two services name is two streams")
	}
	kept := d.services[1].Streams[0]
	feed(func(b *builder) { // nothing new
		b.section(pidPAT, patOf(0, patEntry{1, 0x100}, patEntry{2, 0x200}))
		b.section(0x100, pmtOf(1, 0, 0x101, es{typ: 0x1B, pid: 0x101}, es{typ: 0x03, pid: 0x102}))
	})
	expect()
	feed(func(b *builder) { // another sound
		b.section(0x100, pmtOf(1, 1, 0x101, es{typ: 0x1B, pid: 0x101}, es{typ: 0x0F, pid: 0x103}))
	})
	expect("1:2")
	if d.services[1].Streams[0] != kept {
		t.Error("the picture began anew though it did not change")
	}
	if d.pid[0x102].stream == nil {
		t.Error("the sound that service 2 still has is gone")
	}
	feed(func(b *builder) { // one service less, one more
		b.section(pidPAT, patOf(1, patEntry{1, 0x100}, patEntry{3, 0x300}))
	})
	expect("-2", "3:0")
	if d.pid[0x102].stream != nil || d.pid[0x102].pes != nil || d.pid[0x200].sections != nil {
		t.Error("the PIDs of the service that left are still listened to")
	}
	if len(d.Services()) != 2 {
		t.Errorf("%d services", len(d.Services()))
	}
	feed(func(b *builder) { // the next table, not yet in force
		s := patOf(2, patEntry{9, 0x900})
		s[5] &^= 1
		c := crc32(s[:len(s)-4])
		copy(s[len(s)-4:], []byte{byte(c >> 24), byte(c >> 16), byte(c >> 8), byte(c)})
		b.section(pidPAT, s)
	})
	expect()
}

func TestAPATInSeveralSectionsCountsWhenItIsComplete(t *testing.T) {
	part := func(n byte, e patEntry) []byte {
		return longSection(tablePAT, 1, 3, n, 1, []byte{byte(e.program >> 8), byte(e.program), 0xE0 | byte(e.pid>>8), byte(e.pid)})
	}
	b := newBuilder()
	b.section(pidPAT, part(1, patEntry{2, 0x200}))
	h := listen()
	h.d.Feed(b.out.Bytes(), 1)
	h.d.Flush()
	if len(h.d.Services()) != 0 {
		t.Error("half a table was taken for the whole")
	}
	b = newBuilder()
	b.section(pidPAT, part(0, patEntry{1, 0x100}))
	h.d.Feed(b.out.Bytes(), 1)
	h.d.Flush()
	if len(h.d.Services()) != 2 {
		t.Errorf("%d services", len(h.d.Services()))
	}
}

func TestHostileTablesStayBounded(t *testing.T) {
	h := listen()
	b := newBuilder()
	for v := range 8 { // a PAT that points everywhere
		var list []patEntry
		for i := range 250 {
			list = append(list, patEntry{uint16(v*250 + i + 1), uint16(i * 31)})
		}
		b.section(pidPAT, patOf(byte(v), list...))
	}
	b.section(pidPAT, patOf(9, patEntry{1, testPMT}))
	for v := range 1000 { // a PMT that changes every time
		b.section(testPMT, pmtOf(1, byte(v&31), testVideo, es{typ: 0x1B, pid: uint16(0x101 + v)}, es{typ: 0x03, pid: uint16(0x1101 + v)}))
	}
	b.section(testPMT, pmtOf(1, 31, testVideo, es{typ: 0x1B, pid: 0}, es{typ: 0x1B, pid: testPMT}, es{typ: 0x1B, pid: nullPID}, es{typ: 0x1B, pid: testVideo}, es{typ: 0x1B, pid: testVideo}))
	h.d.Feed(b.out.Bytes(), 1)
	h.d.Flush()
	if n := len(h.d.Services()); n != 1 {
		t.Errorf("%d services", n)
	}
	if n := len(h.d.Services()[0].Streams); n != 1 {
		t.Errorf("%d streams: tables, stuffing and doubles are none", n)
	}
	listening := 0
	for _, p := range h.d.pid {
		if p != nil && (p.pes != nil || p.stream != nil) {
			listening++
		}
	}
	if listening != 1 {
		t.Errorf("%d PIDs are still taken for streams", listening)
	}
}

func TestScrambledPacketsAreCountedAndNotParsed(t *testing.T) {
	b := newBuilder()
	b.nulls()
	b.section(pidPAT, patOf(0, patEntry{1, testPMT}))
	b.section(testPMT, pmtOf(1, 0, testVideo, es{typ: 0x1B, pid: testVideo, desc: []byte{descCA, 4, 5, 0, 0xE1, 0}}))
	h := listen()
	h.d.Feed(b.out.Bytes(), 1)
	if s := h.d.Services()[0]; !s.CA || !s.Scrambled() {
		t.Error("announced conditional access is not seen")
	}
	b.out.Reset()
	b.pes(testVideo, 0xE0, 0, 0, 0, annex(aud, testSPS, testPPS, idr(1, 900)))
	clear := bytes.Clone(b.out.Bytes())
	for p := range slices.Chunk(b.out.Bytes(), PacketSize) {
		p[3] |= 0x80
	}
	h.d.Feed(b.out.Bytes(), 1)
	h.d.Flush()
	if len(h.frames) != 0 || h.d.Stats().Scrambled == 0 || !h.d.Services()[0].Scrambled() {
		t.Error("scrambled packets were taken for pictures")
	}
	free := listen()
	tables := newBuilder()
	tables.section(pidPAT, patOf(0, patEntry{1, testPMT}))
	tables.section(testPMT, pmtOf(1, 0, testVideo, es{typ: 0x1B, pid: testVideo, desc: []byte{descCA, 4, 5, 0, 0xE1, 0}}))
	free.d.Feed(append(tables.out.Bytes(), clear...), 1)
	free.d.Flush()
	if len(free.frames) != 1 || free.d.Services()[0].Scrambled() {
		t.Error("a service that announces conditional access and comes in the clear is not read")
	}
}

func TestUnwantedServicesAreNotParsed(t *testing.T) {
	frames := 0
	wanted := uint16(0)
	d := NewDemuxer(Handler{
		Frame: func(*Stream, *media.Frame, Times) { frames++ },
		Want:  func(s *Service) bool { return s.ID == wanted },
	})
	b := newBuilder()
	b.programme()
	for i := range 3 {
		b.pes(testVideo, 0xE0, int64(i), int64(i), 0, annex(aud, testSPS, testPPS, idr(1, 50)))
	}
	d.Feed(b.out.Bytes(), 1)
	d.Flush()
	if frames != 0 {
		t.Errorf("%d frames of a service that nobody wants", frames)
	}
	wanted = 1
	d.Reselect()
	d.Feed(b.out.Bytes(), 1)
	d.Flush()
	if frames != 3 {
		t.Errorf("%d frames", frames)
	}
}

func TestTimesAreThoseOfThirtyThreeBits(t *testing.T) {
	for _, pts := range []int64{0, 1, 90000, 1<<32 - 1, 1 << 32, 1<<33 - 1} {
		for _, dts := range []int64{pts, (pts - 3600) & (wrap - 1)} {
			b := newBuilder()
			b.programme()
			b.pes(testVideo, 0xE0, pts, dts, 0, annex(aud, testSPS, testPPS, idr(1, 50)))
			h := listen()
			h.d.Feed(b.out.Bytes(), 1)
			h.d.Flush()
			if len(h.frames) != 1 || h.frames[0].times != (Times{PTS: pts, DTS: dts}) {
				t.Errorf("PTS %d DTS %d: %+v", pts, dts, h.frames)
			}
		}
	}
	if d := Forward(1<<33-10, 5); d != 15 {
		t.Errorf("over the wrap: %d", d)
	}
	if d := Forward(5, 1<<33-10); d != -15 {
		t.Errorf("back over the wrap: %d", d)
	}
}

// TestPacketPathAllocatesNothing counts over packets inside a picture, a section
// that says nothing new, null packets and unknown PIDs.
func TestPacketPathAllocatesNothing(t *testing.T) {
	b := newBuilder()
	b.programme()
	b.pes(testVideo, 0xE0, 0, 0, 0, annex(aud, testSPS, testPPS, idr(1, 900)))
	h := listen()
	h.d.Feed(b.out.Bytes(), 1)
	b.out.Reset()
	b.section(pidPAT, patOf(0, patEntry{1, testPMT}))
	for range 100 {
		b.packet(testVideo, false, bytes.Repeat([]byte{0xAA}, 184))
		b.packet(nullPID, false, bytes.Repeat([]byte{0xFF}, 184))
		b.packet(0x1234, false, bytes.Repeat([]byte{1}, 184))
	}
	data := b.out.Bytes()
	// Once to let buffers grow; the counters of what follows do not fit, which is
	// another path that must not allocate.
	p := h.d.pid[testVideo].pes.parse.(*pictures)
	p.buf = append(make([]byte, 0, maxPicture), p.buf...)
	h.d.Feed(data, 1)
	if n := testing.AllocsPerRun(50, func() { h.d.Feed(data, 1) }); n != 0 {
		t.Errorf("%v allocations for 301 packets", n)
	}
}

// TestAllocationsFollowAccessUnitsNotPackets: a picture ten times as long allocates
// what a short one does, and the slabs that its bytes fill.
func TestAllocationsFollowAccessUnitsNotPackets(t *testing.T) {
	allocations := func(size int) float64 {
		h := NewDemuxer(Handler{Frame: func(*Stream, *media.Frame, Times) {}})
		b := newBuilder()
		b.nulls()
		b.programme()
		h.Feed(b.out.Bytes(), 1)
		b.out.Reset()
		b.pes(testVideo, 0xE0, 3600, 3600, 0, annex(aud, testSPS, testPPS, idr(1, size)))
		data := b.out.Bytes()
		for range 40 { // let buffers and slabs grow; its counters begin anew each time
			h.Feed(data, 1)
		}
		return testing.AllocsPerRun(100, func() { h.Feed(data, 1) })
	}
	short, long := allocations(10_000), allocations(100_000)
	if long-short > 100_000.0/slab+1 {
		t.Errorf("%v allocations for a picture of 55 packets, %v for one of 545", short, long)
	}
	if short > 12 {
		t.Errorf("%v allocations for one picture", short)
	}
}
