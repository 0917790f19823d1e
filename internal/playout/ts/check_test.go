package ts

import (
	"math/rand/v2"
	"slices"
	"testing"

	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
)

// The parameter sets of a picture of 64×48 with B-frames, made by x264.
var (
	testSPS = []byte{0x67, 0x64, 0x00, 0x0A, 0xAC, 0xD9, 0x44, 0x7B, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0xF1, 0x22, 0x59, 0x60}
	testPPS = []byte{0x68, 0xEB, 0xE3, 0xCB, 0x22, 0xC0}
)

// at90 makes a time of ticks of 90 kHz.
func at90(ticks int64) media.Time { return media.FromTicks(ticks, mpegts.Ticks) }

// noise returns n bytes without zeros, so that no start code is among them.
func noise(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(1 + r.IntN(255))
	}
	return b
}

// sequence is a generated stream: frames in decode order with their tracks.
type sequence struct {
	formats []media.Format
	frames  []sent
}

type sent struct {
	track int
	frame *media.Frame
}

// generate makes seconds of a picture of about bits a second with B-frames, and of
// sounds, from a moment in ticks of 90 kHz.
func generate(r *rand.Rand, seconds float64, bits int, start int64, sounds ...media.Codec) sequence {
	s := sequence{formats: []media.Format{{Codec: media.H264, ClockRate: 90000}}}
	fps := []int64{25, 30, 50, 15}[r.IntN(4)]
	step := 90000 / fps
	gop := int64(10 + r.IntN(40))
	depth := int64(r.IntN(3)) // pictures of reordering
	end := start + int64(seconds*90000)
	mean := max(bits/8/int(fps), 40)
	for i, t := int64(0), start; t < end; i, t = i+1, t+step {
		f := &media.Frame{DTS: at90(t), PTS: at90(t + depth*step)}
		size := mean/2 + r.IntN(mean)
		if depth > 0 && i%3 != 0 { // a B-frame
			f.PTS, size = f.DTS, size/2
		}
		head := []byte{0x41, 0x9A}
		if i%gop == 0 {
			f.Sync, f.IDR = true, true
			f.PTS = at90(t + depth*step)
			f.Units = [][]byte{testSPS, testPPS}
			head, size = []byte{0x65, 0x88}, 4*mean
		}
		f.Units = append(f.Units, append(head, noise(r, size)...))
		s.frames = append(s.frames, sent{0, f})
	}
	for _, c := range sounds {
		s.sound(r, c, start, end)
	}
	s.sort()
	return s
}

// sound adds a track of sound.
func (s *sequence) sound(r *rand.Rand, c media.Codec, start, end int64) {
	track := len(s.formats)
	f := media.Format{Codec: c, Rate: 48000, ClockRate: 48000, Channels: 2, Language: "zho"}
	samples := int64(1024)
	unit := func() []byte { return noise(r, 100+r.IntN(300)) }
	switch c {
	case media.AAC:
		f.Config = []byte{0x11, 0x90}
	case media.MPEGAudio:
		samples = 1152
		unit = func() []byte {
			b := noise(r, 96)
			copy(b, []byte{0xFF, 0xFD, 0x14, 0xC0})
			return b
		}
	case media.AC3:
		samples = 1536
		unit = func() []byte {
			b := noise(r, 256)
			copy(b, []byte{0x0B, 0x77, 0, 0, 0x08, 0x40, 0x40})
			return b
		}
	case media.EAC3:
		samples = 1536
		unit = func() []byte {
			b := noise(r, 256)
			copy(b, []byte{0x0B, 0x77, 0x00, 0x7F, 0x34, 0x80})
			return b
		}
	case media.Opus:
		samples = 960
		unit = func() []byte { return append([]byte{0xFC}, noise(r, 60+r.IntN(400))...) }
	}
	s.formats = append(s.formats, f)
	each := int64(1 + r.IntN(6)) // units in one frame
	for i := int64(0); ; i += each {
		t := start + i*samples*90000/48000
		if t >= end {
			return
		}
		fr := &media.Frame{PTS: at90(t), DTS: at90(t), Sync: true}
		for range each {
			fr.Units = append(fr.Units, unit())
		}
		s.frames = append(s.frames, sent{track, fr})
	}
}

func (s *sequence) sort() {
	// By decode time; tracks in order where it is the same.
	for i := 1; i < len(s.frames); i++ {
		for k := i; k > 0 && s.frames[k].frame.DTS < s.frames[k-1].frame.DTS; k-- {
			s.frames[k], s.frames[k-1] = s.frames[k-1], s.frames[k]
		}
	}
}

func (s *sequence) need(delay stc) int64 {
	m := meter{delay: delay}
	var best int64
	for i, f := range s.frames {
		m.add(f.frame, f.track == 0)
		if i%50 == 0 || i == len(s.frames)-1 {
			best = max(best, m.need(Service{}))
		}
	}
	return best
}

// run makes some packets before the stream comes, as outputs do, pushes the frames
// when they would come and returns the bytes of the time line, until all is sent, and
// how many of them there were when the last frame came.
func run(m *CBR, s sequence) (out []byte, came int) {
	var p [packetSize]byte
	for range 20 {
		m.Next(p[:])
		out = append(out, p[:]...)
	}
	waiting := func() bool { return slices.ContainsFunc(m.lanes, func(l *lane) bool { return len(l.queue) > 0 }) }
	for next := 0; next < len(s.frames) || waiting(); {
		for next < len(s.frames) && (!m.anchored || stc(s.frames[next].frame.DTS.Ticks(mpegts.Ticks))*stcTick90-m.delay <= m.now) {
			m.Push(s.frames[next].track, s.frames[next].frame, false)
			next++
			came = len(out)
		}
		m.Next(p[:])
		out = append(out, p[:]...)
	}
	return out, came
}

// probe returns the counts of our own probe and fails where one is not zero.
func probe(t *testing.T, b []byte, constant bool) *mpegts.Report {
	t.Helper()
	p := mpegts.NewProber()
	_, _ = p.Write(b)
	p.Flush()
	r := p.Report(nil)
	e := r.TR101290
	if !constant {
		e.PCRAccuracyError = 0 // says nothing
	}
	if silent := func(s mpegts.ServiceReport) bool {
		return !slices.ContainsFunc(s.Streams, func(st mpegts.StreamReport) bool { return st.AccessUnits > 0 })
	}; slices.ContainsFunc(r.Services, silent) {
		e.PIDError = 0 // nothing was given to be sent
	}
	if e != (mpegts.TR101290{}) {
		t.Errorf("TR 101 290: %+v", e)
	}
	return r
}

// read returns the frames of each PID, with the times as carried.
func read(b []byte) (map[uint16][]*media.Frame, []*mpegts.Service, mpegts.Stats) {
	got := make(map[uint16][]*media.Frame)
	d := mpegts.NewDemuxer(mpegts.Handler{Frame: func(s *mpegts.Stream, f *media.Frame, at mpegts.Times) {
		f.PTS, f.DTS = at90(at.PTS), at90(at.DTS)
		got[s.PID] = append(got[s.PID], f)
	}})
	d.Feed(b, 1)
	d.Flush()
	return got, d.Services(), d.Stats()
}

// place is what one packet says, for checks that do not use our demuxer.
type place struct {
	index      int
	pid        uint16
	start      bool
	pcr        int64 // -1: none
	broken     bool
	dts        int64 // of a PES header that begins here; -1: none
	hasPayload bool
	payload    int
}

func places(t *testing.T, b []byte) []place {
	t.Helper()
	var out []place
	for i := 0; i+packetSize <= len(b); i += packetSize {
		p := b[i : i+packetSize]
		if p[0] != 0x47 {
			t.Fatalf("packet %d begins with %#x", i/packetSize, p[0])
		}
		x := place{index: i / packetSize, pid: uint16(p[1]&0x1F)<<8 | uint16(p[2]), start: p[1]&0x40 != 0, pcr: -1, dts: -1, hasPayload: p[3]&0x10 != 0}
		at := 4
		if p[3]&0x20 != 0 {
			at = 5 + int(p[4])
			if p[4] > 0 {
				x.broken = p[5]&0x80 != 0
				if p[5]&0x10 != 0 {
					base := int64(p[6])<<25 | int64(p[7])<<17 | int64(p[8])<<9 | int64(p[9])<<1 | int64(p[10])>>7
					x.pcr = base*300 + int64(p[10]&1)<<8 + int64(p[11])
				}
			}
		}
		if x.hasPayload {
			x.payload = packetSize - at
		}
		if body := p[at:]; x.start && len(body) > 19 && body[0] == 0 && body[1] == 0 && body[2] == 1 {
			from := body[9:14]
			if body[7]&0x40 != 0 {
				from = body[14:19]
			}
			x.dts = int64(from[0]&0x0E)<<29 | int64(from[1])<<22 | int64(from[2]&0xFE)<<14 | int64(from[3])<<7 | int64(from[4])>>1
		}
		out = append(out, x)
	}
	return out
}
