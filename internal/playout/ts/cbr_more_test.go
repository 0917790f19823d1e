package ts

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
)

// newMux returns a multiplexer of formats that fails no test by itself.
func newMux(t testing.TB, rate int64, s Service, formats ...media.Format) *CBR {
	t.Helper()
	m, err := NewCBR(Config{Rate: rate, Service: s})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.SetTracks(formats); err != nil {
		t.Fatal(err)
	}
	return m
}

// packets appends n packets of the time line.
func packets(m *CBR, out []byte, n int) []byte {
	var p [packetSize]byte
	for range n {
		m.Next(p[:])
		out = append(out, p[:]...)
	}
	return out
}

func TestImpossibleRatesAndFormatsAreRefused(t *testing.T) {
	for _, rate := range []int64{-1, 0, MinRate - 1, MaxRate + 1} {
		if _, err := NewCBR(Config{Rate: rate}); !errors.Is(err, ErrRate) {
			t.Errorf("%d: %v", rate, err)
		}
	}
	m := newMux(t, 1_000_000, Service{}, media.Format{Codec: media.H264})
	for _, f := range []media.Format{{Codec: media.VP8}, {Codec: media.PCMA}, {Codec: media.AAC}, {Codec: media.AAC, Config: []byte{0xFF, 0xFF}}, {}} {
		if err := m.SetTracks([]media.Format{{Codec: media.MPEG2Video}, f}); !errors.Is(err, ErrFormat) {
			t.Errorf("%v: %v", f, err)
		}
	}
	if len(m.lanes) != 1 || m.lanes[0].streamType != typeH264 {
		t.Error("a refused change changed something")
	}
}

func TestTablesComeWithinTheirIntervalsAndSayWhatTheyShould(t *testing.T) {
	m := newMux(t, 2_000_000, Service{
		ID: 101, StreamID: 7, NetworkID: 0x1234, Name: "中央一套", Provider: "通乡", Network: "县有线", Text: GB2312, Time: UTC,
	}, media.Format{Codec: media.H264, Language: "zho"}, media.Format{Codec: media.MPEGAudio, Rate: 48000, Language: "zho"})
	noon := time.Date(2026, 11, 24, 12, 0, 0, 0, time.FixedZone("CST", 8*3600))
	m.SetWall(noon)
	m.SetEvents(&Event{ID: 1, Start: noon.Add(-time.Hour), Duration: 90 * time.Minute, Title: "新闻30分", Summary: "午间新闻"},
		&Event{ID: 2, Start: noon.Add(30 * time.Minute), Duration: time.Hour, Title: "今日说法"})
	out := packets(m, nil, int(2_000_000*61/(packetSize*8)))
	r := probe(t, out, true)
	v := r.Services[0]
	if v.ID != 101 || v.Name != "中央一套" || v.Provider != "通乡" || len(v.Streams) != 2 || v.Streams[1].Language != "zho" {
		t.Errorf("service %+v", v)
	}
	if v.Now == nil || v.Now.Title != "新闻30分" || !v.Now.Start.Equal(noon.Add(-time.Hour)) || v.Now.Duration != 5400 || v.Next == nil || v.Next.Title != "今日说法" {
		t.Errorf("on %+v, then %+v", v.Now, v.Next)
	}
	if r.SI.TDT < 6 { // TDT and TOT each 20 s
		t.Errorf("%d of TDT and TOT in a minute", r.SI.TDT)
	}
	limit := map[uint16]int64{pidPAT: 110, m.service.PID: 110, pidNIT: 10_000, pidSDT: 2000, pidEIT: 2000, pidTDT: 30_000}
	last := map[uint16]int{}
	for _, p := range places(t, out) {
		if limit[p.pid] == 0 || !p.start {
			continue
		}
		if before, ok := last[p.pid]; ok {
			if ms := int64(p.index-before) * packetSize * 8 * 1000 / 2_000_000; ms > limit[p.pid] {
				t.Errorf("table on PID %#x after %d ms", p.pid, ms)
			}
		}
		last[p.pid] = p.index
	}
	if len(last) != len(limit) {
		t.Errorf("tables on %d PIDs, want %d", len(last), len(limit))
	}
	var clocks []time.Time
	d := mpegts.NewDemuxer(mpegts.Handler{Section: func(pid uint16, b []byte) {
		if at, ok := mpegts.ParseTime(b); ok {
			clocks = append(clocks, at)
		}
	}})
	d.Feed(out, 1)
	for i, at := range clocks {
		want := noon.Add(time.Duration(i/2) * 20 * time.Second)
		if off := at.Sub(want); off < 0 || off > time.Second {
			t.Errorf("clock %d says %v, want %v", i, at, want.UTC())
		}
	}
}

func TestLocalTimeIsSentWhereNetworksWantIt(t *testing.T) {
	m := newMux(t, 1_000_000, Service{Time: Local})
	m.SetWall(time.Date(2026, 11, 24, 20, 0, 0, 0, time.FixedZone("CST", 8*3600)))
	var got time.Time
	d := mpegts.NewDemuxer(mpegts.Handler{Section: func(_ uint16, b []byte) {
		if at, ok := mpegts.ParseTime(b); ok {
			got = at
		}
	}})
	d.Feed(packets(m, nil, 100), 1)
	if got.Hour() != 20 {
		t.Errorf("TDT says %v", got)
	}
}

func TestLongNamesAreCutBetweenCharacters(t *testing.T) {
	long := ""
	for range 100 {
		long += "中"
	}
	for _, c := range []Charset{UTF8, GB2312} {
		b := text(long, c, 100)
		if got := mpegts.Text(b); len(b) > 100 || len(got) < 30*3 || got != long[:len(got)] {
			t.Errorf("charset %d: %d bytes, read %q", c, len(b), got)
		}
	}
	if got := mpegts.Text(text("a€中😀", GB2312, 100)); got != "a€中?" && got != "a?中?" {
		t.Errorf("read %q", got)
	}
	if b := text("CCTV-1", GB2312, 100); string(b) != "CCTV-1" {
		t.Errorf("ASCII became %x", b)
	}
}

func TestAnAbsentStreamLeavesTablesClockAndNullPackets(t *testing.T) {
	m := newMux(t, 500_000, Service{Name: "a"})
	out := packets(m, nil, 2000)
	r := probe(t, out, true)
	if r.Services[0].Name != "a" || r.Duration < 5 || r.Bitrate < 499_000 || r.Bitrate > 501_000 || r.Nulls < 1000 {
		t.Errorf("%+v", r)
	}
}

func TestAStreamOfAnotherClockGetsANewTimeBaseThatIsMarked(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	first := generate(r, 2, 500_000, 90000*100, media.AAC)
	second := generate(r, 3, 500_000, 90000*5, media.AAC)
	m := newMux(t, 2_000_000, Service{}, first.formats...)
	out, _ := run(m, first)
	at := len(out) / packetSize
	// The clock of the second is 95 s behind, and it comes in real time.
	anchor := m.now
	var p [packetSize]byte
	for i, x := range second.frames {
		due := anchor + stc((x.frame.DTS - second.frames[0].frame.DTS).Ticks(stcRate))
		if m.Stats().Jumps > 1 {
			due = stc(x.frame.DTS.Ticks(stcRate)) - m.delay
		}
		for i > 0 && m.now < due {
			m.Next(p[:])
			out = append(out, p[:]...)
		}
		m.Push(x.track, x.frame, false)
	}
	out = packets(m, out, 1000)
	if n := m.Stats(); n.Jumps != 2 { // the first was the anchor
		t.Errorf("%+v", n)
	}
	judge := mpegts.NewProber()
	_, _ = judge.Write(out)
	e := judge.Report(nil).TR101290
	e.PTSError = 0 // nothing comes while the one is over and the other has not begun
	if e != (mpegts.TR101290{}) {
		t.Errorf("%+v", e)
	}
	broken := 0
	for _, x := range places(t, out)[at:] {
		if x.broken {
			broken++
		}
	}
	if broken != 1 {
		t.Errorf("%d packets with the indicator after the change, want one", broken)
	}
	got, services, stats := read(out)
	if stats.Continuity != 0 {
		t.Errorf("%+v", stats)
	}
	if n := len(got[services[0].Streams[0].PID]); n < 60 {
		t.Errorf("only %d pictures", n)
	}
}

func TestAStreamThatNeedsMoreThanTheRateLosesWholePicturesUpToTheNextSyncPoint(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	s := generate(r, 8, 3_000_000, 90000, media.MPEGAudio)
	m := newMux(t, 2_000_000, Service{}, s.formats...)
	out, _ := run(m, s)
	n := m.Stats()
	if n.Drops[Overload] == 0 || n.Drops[Overload]+n.Drops[NoKeyFrame] != n.Drops.Total() {
		t.Fatalf("%+v", n)
	}
	// The line of time goes on as if nothing were: only pictures may be missing, for long.
	p := mpegts.NewProber()
	_, _ = p.Write(out)
	e := p.Report(nil).TR101290
	e.PTSError = 0
	if e != (mpegts.TR101290{}) {
		t.Errorf("%+v", e)
	}
	got, services, stats := read(out)
	if stats.Continuity+stats.BadUnits != 0 {
		t.Errorf("%+v", stats)
	}
	pictures := got[services[0].Streams[0].PID]
	if len(pictures) < 20 {
		t.Errorf("only %d pictures of %d", len(pictures), len(s.frames))
	}
	// After a hole the first picture is a sync point.
	var sent []*media.Frame
	for _, x := range s.frames {
		if x.track == 0 {
			sent = append(sent, x.frame)
		}
	}
	next := 0
	for _, g := range pictures {
		i := slices.IndexFunc(sent, func(f *media.Frame) bool { return f.DTS == g.DTS })
		if i != next && !g.Sync {
			t.Errorf("picture %d follows %d and is no sync point", i, next-1)
		}
		next = i + 1
	}
	if sound := got[services[0].Streams[1].PID]; len(sound) == 0 || n.Late > 0 {
		t.Errorf("%d frames of sound, %d late", len(sound), n.Late)
	}
	if need := s.need(stcOf(DefaultDelay)); need < 2_500_000 || need > 8_000_000 {
		t.Errorf("the meter says %d", need)
	}
}

func TestASecondSoundDoesNotDisturbThePicture(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	s := generate(r, 4, 800_000, 90000, media.AAC)
	m := newMux(t, 4_000_000, Service{}, s.formats...)
	var out []byte
	var p [packetSize]byte
	for i, x := range s.frames {
		for m.anchored && m.now < stc(x.frame.DTS.Ticks(stcRate))-m.delay {
			m.Next(p[:])
			out = append(out, p[:]...)
		}
		if i == len(s.frames)/2 {
			if err := m.SetTracks(append(s.formats, media.Format{Codec: media.MPEGAudio, Rate: 48000})); err != nil {
				t.Fatal(err)
			}
		}
		m.Push(x.track, x.frame, false)
	}
	out = packets(m, out, 3000)
	if n := m.Stats(); n.Drops.Total() > 0 {
		t.Errorf("%+v", n)
	}
	got, services, stats := read(out)
	if len(services[0].Streams) != 3 || stats.Continuity+stats.BadUnits+stats.BadPES != 0 {
		t.Errorf("%d streams, %+v", len(services[0].Streams), stats)
	}
	pictures := 0
	for _, x := range s.frames {
		if x.track == 0 {
			pictures++
		}
	}
	if n := len(got[services[0].Streams[0].PID]); n < pictures-1 { // the first comes before the tables
		t.Errorf("%d pictures of %d", n, pictures)
	}
}

func TestAACGoesOutAsLATMWhereAsked(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for _, config := range [][]byte{{0x11, 0x90}, {0x12, 0x08}, {0x2B, 0x11, 0x88, 0x00}} { // LC 48 kHz, LC 44.1 kHz mono, HE
		s := generate(r, 2, 300_000, 90000, media.AAC)
		s.formats[1].Config = config
		m := newMux(t, 2_000_000, Service{LATM: true}, s.formats...)
		out, _ := run(m, s)
		got, services, stats := read(out)
		st := services[0].Streams[1]
		if st.Type != typeLATM || stats.BadUnits != 0 {
			t.Errorf("config %x: type %#x, %+v", config, st.Type, stats)
		}
		var want []*media.Frame
		for _, x := range s.frames {
			if x.track == 1 {
				want = append(want, x.frame)
			}
		}
		have := got[st.PID]
		if len(have) < len(want)-1 {
			t.Fatalf("config %x: %d frames of %d", config, len(have), len(want))
		}
		last := len(want) - 1
		if !slices.EqualFunc(have[len(have)-1].Units, want[last].Units, bytes.Equal) {
			t.Errorf("config %x: another frame", config)
		}
	}
}

func TestAPacketCostsNoMemory(t *testing.T) {
	s := generate(rand.New(rand.NewPCG(4, 4)), 4, 2_000_000, 90000, media.AAC, media.Opus)
	m := newMux(t, 8_000_000, Service{Name: "a"}, s.formats...)
	round := stc(0)
	var p [packetSize]byte
	play := func() {
		for i := range s.frames {
			f := *s.frames[i].frame
			f.DTS, f.PTS = f.DTS.Add(round.duration()), f.PTS.Add(round.duration())
			for m.anchored && m.now < stc(f.DTS.Ticks(stcRate))-m.delay {
				m.Next(p[:])
			}
			m.Push(s.frames[i].track, &f, false)
		}
		round += 5 * stcRate
	}
	play()
	before := m.Stats().Packets
	n := testing.AllocsPerRun(3, play)
	each := float64(m.Stats().Packets-before) / 4
	// The copies of the frames that this test makes are allowed: one a frame.
	if perPacket := (n - float64(len(s.frames))) / each; perPacket > 0.001 {
		t.Errorf("%.4f allocations a packet", perPacket)
	}
}

// FuzzCBR pushes odd frames: empty ones, huge ones, times that go anywhere. What comes
// out has a right line of time whatever goes in.
func FuzzCBR(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}, int64(0))
	f.Add([]byte("\x00\x10\x20\xff\x80\x01"), int64(1<<40))
	f.Fuzz(func(t *testing.T, script []byte, at int64) {
		formats := []media.Format{{Codec: media.H264}, {Codec: media.AAC, Config: []byte{0x11, 0x90}}, {Codec: media.Opus, Channels: 2}}
		m := newMux(t, 600_000, Service{}, formats...)
		v := NewVBR(Service{})
		if err := v.SetTracks(formats); err != nil {
			t.Fatal(err)
		}
		var out, loose []byte
		for i, c := range script[:min(len(script), 300)] {
			fr := &media.Frame{Sync: c&1 != 0}
			at += int64(int8(c)) * int64(time.Millisecond)
			switch c % 11 {
			case 0:
				at = -at
			case 1:
				at += int64(time.Hour)
			case 2:
				fr.PTS = media.Time(at - int64(time.Second))
			case 3:
				fr.PTS = media.Time(at + int64(time.Hour))
			}
			fr.DTS = media.Time(at)
			if fr.PTS == 0 {
				fr.PTS = fr.DTS
			}
			switch c % 7 {
			case 0: // no bytes
			case 1:
				fr.Units = [][]byte{{}, nil}
			case 2:
				fr.Units = [][]byte{make([]byte, int(c)*1000)}
			case 3:
				if i < 4 {
					fr.Units = [][]byte{make([]byte, maxFrame+1)}
				}
			default:
				fr.Units = [][]byte{{0x65, 0x88, c}, {0x41, c}}
			}
			m.Push(int(c)%4, fr, c&0x40 != 0)
			loose, _ = v.Append(loose, int(c)%4, fr, c&0x40 != 0)
			out = packets(m, out, int(c)%50)
			if len(loose) > 4<<20 {
				loose = loose[:0]
			}
			if c == 77 {
				m.Resume(time.Duration(c) * time.Second)
			}
		}
		queued := 0
		for _, l := range m.lanes {
			queued += len(l.queue)
		}
		if queued > 3*maxQueued {
			t.Errorf("%d frames wait", queued)
		}
		p := mpegts.NewProber()
		_, _ = p.Write(out)
		e := p.Report(nil).TR101290
		e.PTSError = 0
		if e != (mpegts.TR101290{}) {
			t.Errorf("%+v", e)
		}
		if len(loose)%packetSize != 0 {
			t.Errorf("%d bytes are no whole packets", len(loose))
		}
	})
}
