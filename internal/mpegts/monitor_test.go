package mpegts

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// carrier makes a multiplex of two services at a constant 10 Mbit/s, as a modulator
// would: tables each 100 ms, per service a PCR, a picture and a sound each 40 ms, null
// packets between. Its hooks spoil it.
type carrier struct {
	*builder
	n     int64 // packets written
	alter func(p []byte, at time.Duration) (keep bool)
	skip  func(what string, at time.Duration) bool
	pcr   func(service int, at time.Duration, pcr int64) int64
}

func (c *carrier) ticks() int64 { return c.n * 188 * 8 * 27 / 10 }

func (c *carrier) now() time.Duration { return time.Duration(c.ticks() * 1000 / 27) }

// flush takes what was built last, packet by packet.
func (c *carrier) flush(out []byte) []byte {
	b := c.out.Bytes()
	for at := 0; at < len(b); at += PacketSize {
		p := b[at : at+PacketSize]
		if c.alter == nil || c.alter(p, c.now()) {
			out = append(out, p...)
		}
		c.n++
	}
	c.out.Reset()
	return out
}

func (c *carrier) reference(pid uint16, pcr int64) {
	pcr %= pcrWrap
	base, ext := pcr/300, pcr%300
	var p [PacketSize]byte
	p[0], p[1], p[2], p[3], p[4], p[5] = syncByte, byte(pid>>8), byte(pid), 0x20|(c.cc[pid]+15)&15, 183, 0x10
	p[6], p[7], p[8], p[9] = byte(base>>25), byte(base>>17), byte(base>>9), byte(base>>1)
	p[10], p[11] = byte(base<<7)|0x7E|byte(ext>>8), byte(ext)
	c.out.Write(p[:])
}

func (c *carrier) make(length time.Duration) []byte {
	c.builder = newBuilder()
	var out []byte
	next := map[string]time.Duration{}
	due := func(what string, every time.Duration) bool {
		if c.now() < next[what] {
			return false
		}
		next[what] += every
		return c.skip == nil || !c.skip(what, c.now())
	}
	for c.now() < length {
		pts := int64(c.now()) * 9 / 100_000
		if due("pat", 100*time.Millisecond) {
			c.section(pidPAT, patOf(0, patEntry{1, 0x100}, patEntry{2, 0x200}))
			out = c.flush(out)
		}
		for s := range 2 {
			base := uint16(0x100 * (s + 1))
			name := func(what string) string { return what + string(rune('1'+s)) }
			if due(name("pmt"), 100*time.Millisecond) {
				c.section(base, pmtOf(uint16(s+1), 0, base+1, es{typ: 0x1B, pid: base + 1}, es{typ: 0x03, pid: base + 2}))
				out = c.flush(out)
			}
			if due(name("pcr"), 40*time.Millisecond) {
				pcr := c.ticks()
				if c.pcr != nil {
					pcr = c.pcr(s+1, c.now(), pcr)
				}
				c.reference(base+1, pcr)
				out = c.flush(out)
			}
			if due(name("video"), 40*time.Millisecond) {
				c.pes(base+1, 0xE0, pts, pts, 0, annex(aud, testSPS, testPPS, make([]byte, 3000)))
				out = c.flush(out)
			}
			if due(name("audio"), 40*time.Millisecond) {
				c.pes(base+2, 0xC0, pts, pts, -1, mp2Frame(1))
				out = c.flush(out)
			}
		}
		c.packet(nullPID, false, make([]byte, 184))
		c.cc[nullPID] = 0
		out = c.flush(out)
	}
	return out
}

func between(at time.Duration, from, to int) bool {
	return at >= time.Duration(from)*time.Millisecond && at < time.Duration(to)*time.Millisecond
}

func pidOf(p []byte) uint16 { return uint16(p[1]&0x1F)<<8 | uint16(p[2]) }

func TestErrorsAreCountedForTheServiceThatHasThem(t *testing.T) {
	// first is true for the first n packets of a PID after a second.
	first := func(n int, pid uint16, also func(p []byte) bool) func([]byte, time.Duration) bool {
		return func(p []byte, at time.Duration) bool {
			if n == 0 || at < time.Second || pidOf(p) != pid || also != nil && !also(p) {
				return false
			}
			n--
			return true
		}
	}
	hit := map[string]func([]byte, time.Duration) bool{
		"1.2": first(1, nullPID, nil),
		"1.4": first(1, 0x201, func(p []byte) bool { return p[3]&0x10 != 0 && p[1]&0x40 == 0 }),
		"2.1": first(1, 0x101, func(p []byte) bool { return p[3]&0x10 == 0 }),
		"2.6": first(20, 0x202, nil),
	}
	for name, c := range map[string]struct {
		carrier carrier
		mux     TR101290
		one     TR101290 // of the first service
		two     TR101290
	}{
		"nothing is wrong": {},
		"1.1 a stretch without sync bytes": {
			carrier: carrier{alter: func(p []byte, at time.Duration) bool {
				if between(at, 1000, 1001) {
					p[0] = 0
				}
				return true
			}},
			mux: TR101290{SyncLoss: 1, SyncByteError: 1}, one: TR101290{SyncLoss: 1, SyncByteError: 1}, two: TR101290{SyncLoss: 1, SyncByteError: 1},
		},
		"1.2 one wrong sync byte": {
			carrier: carrier{alter: func(p []byte, at time.Duration) bool {
				if hit["1.2"](p, at) {
					p[0] = 0
				}
				return true
			}},
			// The packet is skipped, so each clock is one packet off, once.
			mux: TR101290{SyncByteError: 1, PCRAccuracyError: 2}, one: TR101290{SyncByteError: 1, PCRAccuracyError: 1}, two: TR101290{SyncByteError: 1, PCRAccuracyError: 1},
		},
		"1.3 the PAT stays away for 1.2 s": {
			carrier: carrier{skip: func(what string, at time.Duration) bool { return what == "pat" && between(at, 1000, 2250) }},
			mux:     TR101290{PATError: 2}, one: TR101290{PATError: 2}, two: TR101290{PATError: 2},
		},
		"1.4 a packet of the second service is lost": {
			carrier: carrier{alter: func(p []byte, at time.Duration) bool {
				return !hit["1.4"](p, at)
			}},
			mux: TR101290{ContinuityCountError: 1, PCRAccuracyError: 2}, one: TR101290{PCRAccuracyError: 1}, two: TR101290{ContinuityCountError: 1, PCRAccuracyError: 1},
		},
		"1.5 the PMT of the first stays away for 0.7 s": {
			carrier: carrier{skip: func(what string, at time.Duration) bool { return what == "pmt1" && between(at, 1000, 1690) }},
			mux:     TR101290{PMTError: 1}, one: TR101290{PMTError: 1},
		},
		"1.6 the sound of the first stays away for 6 s": {
			carrier: carrier{skip: func(what string, at time.Duration) bool { return what == "audio1" && between(at, 1000, 7000) }},
			mux:     TR101290{PIDError: 1, PTSError: 8}, one: TR101290{PIDError: 1, PTSError: 8},
		},
		"2.1 the demodulator marks a packet": {
			carrier: carrier{alter: func(p []byte, at time.Duration) bool {
				if hit["2.1"](p, at) {
					p[1] |= 0x80
				}
				return true
			}},
			mux: TR101290{TransportError: 1}, one: TR101290{TransportError: 1},
		},
		"2.2 a PMT with a wrong CRC": {
			carrier: carrier{alter: func(p []byte, at time.Duration) bool {
				if pidOf(p) == 0x200 && between(at, 1000, 1100) {
					p[20] ^= 1
				}
				return true
			}},
			mux: TR101290{CRCError: 1}, two: TR101290{CRCError: 1},
		},
		"2.3a two references too far apart": {
			carrier: carrier{skip: func(what string, at time.Duration) bool { return what == "pcr2" && between(at, 1000, 1110) }},
			mux:     TR101290{PCRRepetitionError: 1, PCRDiscontinuity: 1}, two: TR101290{PCRRepetitionError: 1, PCRDiscontinuity: 1},
		},
		"2.3a a clock that stops": {
			carrier: carrier{skip: func(what string, at time.Duration) bool { return what == "pcr2" && at > time.Second }},
			mux:     TR101290{PCRRepetitionError: 7}, two: TR101290{PCRRepetitionError: 7},
		},
		"2.3a the clock that keeps the time stops": {
			carrier: carrier{skip: func(what string, at time.Duration) bool { return what == "pcr1" && at > time.Second }},
			mux:     TR101290{PCRRepetitionError: 6}, one: TR101290{PCRRepetitionError: 6},
		},
		"2.3b a jump that is not announced": {
			carrier: carrier{pcr: func(s int, at time.Duration, pcr int64) int64 {
				if s == 1 && at > time.Second {
					return pcr + 3600*pcrRate
				}
				return pcr
			}},
			mux: TR101290{PCRDiscontinuity: 1}, one: TR101290{PCRDiscontinuity: 1},
		},
		"2.4 three references 20 us off": {
			carrier: carrier{pcr: func(s int, at time.Duration, pcr int64) int64 {
				if s == 2 && (between(at, 1990, 2030) || between(at, 3990, 4030) || between(at, 5990, 6030)) {
					return pcr + 20*27
				}
				return pcr
			}},
			// pcrverify counts each of the two intervals that a wrong value bounds.
			mux: TR101290{PCRAccuracyError: 6}, two: TR101290{PCRAccuracyError: 6},
		},
		"2.4 references 400 ns off are in order": {
			carrier: carrier{pcr: func(s int, at time.Duration, pcr int64) int64 { return pcr + int64(at/40_000_000%2)*10 }},
		},
		"2.5 a sound without PTS for 1 s": {
			carrier: carrier{alter: func(p []byte, at time.Duration) bool {
				if pidOf(p) == 0x102 && p[1]&0x40 != 0 && between(at, 1000, 2000) {
					i := PacketSize - 96 - 14
					p[i+7] = 0 // no PTS: five bytes of stuffing in its place
				}
				return true
			}},
			mux: TR101290{PTSError: 1}, one: TR101290{PTSError: 1},
		},
		"2.6 scrambled packets without CAT": {
			carrier: carrier{alter: func(p []byte, at time.Duration) bool {
				if hit["2.6"](p, at) {
					p[3] |= 0x80
				}
				return true
			}},
			mux: TR101290{CATError: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			length := 9 * time.Second
			data := c.carrier.make(length)
			d := NewDemuxer(Handler{})
			d.Feed(data, 0)
			d.Flush()
			s := d.Services()
			if len(s) != 2 {
				t.Fatalf("%d services", len(s))
			}
			if strings.HasPrefix(name, "1.1") {
				c.mux.ContinuityCountError = d.Measure().Errors.ContinuityCountError // what was in it is missing
				c.one.ContinuityCountError = d.MeasureService(s[0]).Errors.ContinuityCountError
				c.two.ContinuityCountError = d.MeasureService(s[1]).Errors.ContinuityCountError
				c.mux.PCRAccuracyError = d.Measure().Errors.PCRAccuracyError // so are its packets
				c.one.PCRAccuracyError = d.MeasureService(s[0]).Errors.PCRAccuracyError
				c.two.PCRAccuracyError = d.MeasureService(s[1]).Errors.PCRAccuracyError
			}
			if got := d.Measure().Errors; got != c.mux {
				t.Errorf("multiplex: got %+v, want %+v", got, c.mux)
			}
			if got := d.MeasureService(s[0]).Errors; got != c.one {
				t.Errorf("first service: got %+v, want %+v", got, c.one)
			}
			if got := d.MeasureService(s[1]).Errors; got != c.two {
				t.Errorf("second service: got %+v, want %+v", got, c.two)
			}
		})
	}
}

func TestBitRatesOfPIDsAddUpToThatOfTheMultiplex(t *testing.T) {
	c := carrier{}
	data := c.make(5 * time.Second)
	d := NewDemuxer(Handler{})
	d.Feed(data, 0)
	m := d.Measure()
	if m.Bitrate < 9_990_000 || m.Bitrate > 10_010_000 {
		t.Errorf("the multiplex has %d bit/s", m.Bitrate)
	}
	for _, s := range d.Services() {
		sm := d.MeasureService(s)
		sum := int64(0)
		for _, p := range sm.PIDs {
			sum += p.Bitrate
		}
		// 1 PMT each 100 ms, 17 of pictures, 1 of sound and 1 of clock each 40 ms.
		want := int64((10 + 25*(17+1+1)) * 188 * 8)
		if sum != sm.Bitrate || sum < want*98/100 || sum > want*102/100 || len(sm.PIDs) != 3 {
			t.Errorf("service %d: %+v, want %d bit/s", s.ID, sm, want)
		}
	}
	if clean := m.Errors; clean != (TR101290{}) {
		t.Errorf("%+v", clean)
	}
}

func TestMissingSoundIsSaidOfItsServiceOnly(t *testing.T) {
	c := carrier{skip: func(what string, at time.Duration) bool { return what == "audio2" && at > 2*time.Second }}
	d := NewDemuxer(Handler{})
	d.Feed(c.make(9*time.Second), 0)
	if one, two := d.MeasureService(d.Services()[0]), d.MeasureService(d.Services()[1]); one.Missing || !two.Missing {
		t.Errorf("missing: %v, %v", one.Missing, two.Missing)
	}
}

// TestJitterIsTheDistanceOfArrivalFromTheClock feeds references that arrive 1 ms
// early and late in turn.
func TestJitterIsTheDistanceOfArrivalFromTheClock(t *testing.T) {
	var j jitter
	at := int64(0)
	for i := range int64(500) {
		at = 1e9 + i*40_000_000 + (i%2*2-1)*1_000_000
		j.add(at, (pcrWrap-20*pcrRate+i*40*27_000)%pcrWrap) // over a wrap
	}
	if mean := j.mean / 1000; mean < 1990 || mean > 2001 {
		t.Errorf("mean deviation %f us, want 2000", mean)
	}
	if j.factor != 2_000_000 {
		t.Errorf("delay factor %d ns, want 2 ms", j.factor)
	}
	j.restart()
	j.add(at+40_000_000, 0)
	if mean := j.mean / 1000; mean > 2001 {
		t.Errorf("a new clock counts as jitter: %f us", mean)
	}
}

// TestCountsAgreeWithTSDuck compares with what TSDuck's own tests expect of
// `tsp -P continuity` and `tsanalyze` for the same files (tsduck-test 6326f81).
func TestCountsAgreeWithTSDuck(t *testing.T) {
	dir := captures(t)
	type pidCount struct {
		pid        uint16
		packets    uint64
		continuity uint64
		bitrate    int64 // by tsanalyze; 0: it says none
	}
	for _, w := range []struct {
		file    string
		packets uint64
		bitrate int64
		tei     uint64
		pids    []pidCount
	}{
		{"input_test-024.ts", 33, 0, 0, []pidCount{{210, 33, 2, 0}}},
		{"input_test-041.ts", 21, 0, 0, []pidCount{{100, 5, 1, 0}, {123, 16, 2, 0}}},
		{"input_test-012.ts", 1987, 0, 0, []pidCount{{0, 78, 0, 0}, {160, 77, 0, 0}, {1068, 1832, 0, 0}}},
		{"input_test-025.ts", 9751, 4963330, 0, []pidCount{
			{0, 31, 0, 15779}, {17, 32, 0, 16288}, {256, 87, 0, 44284}, {2064, 31, 0, 15779}, {4096, 9077, 0, 4620259}, {4097, 493, 0, 250941},
		}},
		{"input_test-139.ts", 2660, 33150450, 0, []pidCount{
			{0, 16, 0, 199401}, {31, 16, 0, 199401}, {256, 16, 0, 199401}, {4097, 2, 0, 24925}, {4113, 2477, 0, 30869799}, {4352, 105, 0, 1308570}, {4353, 28, 0, 348952},
		}},
		{"input_test-030.ts", 1145, 0, 9, nil},
	} {
		r := probeFile(t, filepath.Join(dir, "tsduck__tsduck-test", w.file))
		if r.Packets != w.packets || r.TR101290.TransportError != w.tei || !close(r.Bitrate, w.bitrate) {
			t.Errorf("%s: %d packets, %d bit/s, %d marked; TSDuck says %+v", w.file, r.Packets, r.Bitrate, r.TR101290.TransportError, w)
		}
		var got []pidCount
		for _, p := range r.PIDs {
			got = append(got, pidCount{p.PID, p.Packets, p.Continuity, p.Bitrate})
		}
		if w.pids == nil {
			continue
		}
		if len(got) != len(w.pids) {
			t.Errorf("%s: %+v; TSDuck says %+v", w.file, got, w.pids)
			continue
		}
		for i, p := range w.pids {
			g := got[i]
			if g.pid != p.pid || g.packets != p.packets || g.continuity != p.continuity || !close(g.bitrate, p.bitrate) {
				t.Errorf("%s: %+v; TSDuck says %+v", w.file, g, p)
			}
		}
	}
}

// close allows for TSDuck's bit rate: the mean of the rates between references,
// where ours is all packets by all time.
func close(got, want int64) bool { return max(got-want, want-got)*1000 <= want }
