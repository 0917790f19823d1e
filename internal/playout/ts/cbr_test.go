package ts

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
)

// TestEveryStreamComesOutWholeAndOnTime is the property that everything else serves:
// whatever the stream, at the rate that the meter says it needs, TR 101 290 finds
// nothing, each PCR is the time of its place, every access unit is complete before its
// decode time and not a second before it, and what is read is what was written.
func TestEveryStreamComesOutWholeAndOnTime(t *testing.T) {
	sounds := []media.Codec{media.AAC, media.MPEGAudio, media.AC3, media.EAC3, media.Opus}
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 7))
		chosen := slices.Clone(sounds)
		r.Shuffle(len(chosen), func(i, k int) { chosen[i], chosen[k] = chosen[k], chosen[i] })
		chosen = chosen[:r.IntN(4)]
		start := int64(90000) + r.Int64N(1<<33)
		if seed%3 == 0 {
			start = 1<<33 - 90000*3 // the clocks wrap on the way
		}
		s := generate(r, 6, 300_000+r.IntN(4_000_000), start, chosen...)
		t.Run(fmt.Sprintf("seed %d with %v", seed, chosen), func(t *testing.T) {
			m, err := NewCBR(Config{Rate: automatic(s.need(stcOf(DefaultDelay))), Service: Service{Name: "县融媒体中心", Text: GB2312}})
			if err != nil {
				t.Fatal(err)
			}
			if err := m.SetTracks(s.formats); err != nil {
				t.Fatal(err)
			}
			out, came := run(m, s)
			if n := m.Stats(); n.Drops.Total() > 0 || n.Late > 0 {
				t.Fatalf("%+v at %d bit/s", n, m.Rate())
			}
			report := probe(t, out[:came], true)
			if v := report.Services[0]; v.Name != "县融媒体中心" || len(v.Streams) != len(s.formats) {
				t.Errorf("service %+v", v)
			}
			onTime(t, out, m.Rate(), s)
			buffered(t, out, m.Rate(), s)
			same(t, out, s)
		})
	}
}

// onTime checks the bytes without the demuxer's help: PCR against places, access
// units against their decode times.
func onTime(t *testing.T, out []byte, rate int64, s sequence) {
	t.Helper()
	all := places(t, out)
	// The first frame sets the clock; before it there was another time base.
	first := slices.IndexFunc(all, func(p place) bool { return p.broken })
	zero := all[first]
	lastPCR := int64(-1)
	// ideal returns the clock at a place, in 27 MHz, from the first PCR on.
	ideal := func(index int) int64 {
		n := int64(index - zero.index)
		return zero.pcr + n*packetSize*8*stcRate/rate
	}
	const turn = int64(wrap90) * stcTick90
	near := func(a, b int64) int64 { // a - b on the circle
		d := (a - b) % turn
		if d > turn/2 {
			d -= turn
		} else if d < -turn/2 {
			d += turn
		}
		return d
	}
	type open struct{ dts int64 }
	under := map[uint16]open{}
	ended := map[uint16]int{}
	finish := func(pid uint16) {
		o, ok := under[pid]
		if !ok {
			return
		}
		if d := near(o.dts*stcTick90, ideal(ended[pid])); d < 0 {
			t.Errorf("PID %#x: complete %d µs after its decode time", pid, -d/27)
		}
	}
	worst := int64(0)
	for _, p := range all[first:] {
		if p.pcr >= 0 {
			off := near(p.pcr, ideal(p.index))
			worst = max(worst, off, -off)
			if lastPCR >= 0 {
				if gap := near(p.pcr, lastPCR); gap > 40*stcMilli || gap <= 0 {
					t.Errorf("packet %d: PCR %d µs after the last", p.index, gap/27)
				}
			}
			lastPCR = p.pcr
		}
		if p.dts >= 0 {
			finish(p.pid)
			under[p.pid] = open{p.dts}
			if d := near(p.dts*stcTick90, ideal(p.index)); d > stcRate {
				t.Errorf("PID %#x: begun %d ms before its decode time", p.pid, d/stcMilli)
			}
		}
		if p.hasPayload {
			ended[p.pid] = p.index
		}
	}
	for pid := range under {
		finish(pid)
	}
	if worst > 1 {
		t.Errorf("PCR off by %d ticks of 37 ns", worst)
	}
}

// buffered checks the main buffers of sound (ISO/IEC 13818-1 2.4.2.3, TS 101 154 6.2.1)
// by what arrives and what is decoded, without the multiplexer's own model.
func buffered(t *testing.T, out []byte, rate int64, s sequence) {
	t.Helper()
	all := places(t, out)
	first := slices.IndexFunc(all, func(p place) bool { return p.broken })
	zero := all[first]
	for track, f := range s.formats {
		if f.Codec.Kind() != media.Audio {
			continue
		}
		c, err := newCoding(f, false)
		if err != nil {
			t.Fatal(err)
		}
		type change struct {
			at    int64
			bytes int
		}
		var changes []change
		for _, x := range s.frames {
			if x.track != track {
				continue
			}
			var p pes
			pts, dts := times(x.frame)
			if err := c.fill(&p, x.frame, pts, dts); err != nil {
				t.Fatal(err)
			}
			// The first unit takes the PES header with it.
			rest := p.size
			each := p.size / p.units
			for i := range p.units {
				n := each
				if i == p.units-1 {
					n = rest
				}
				rest -= n
				// The clock of the file begins where the first PCR is.
				at := (dts*stcTick90-zero.pcr)%(wrap90*stcTick90) + int64(i)*int64(c.unitTime)
				if at < -(wrap90*stcTick90)/2 {
					at += wrap90 * stcTick90
				} else if at > wrap90*stcTick90/2 {
					at -= wrap90 * stcTick90
				}
				changes = append(changes, change{at, -n})
			}
		}
		pid := uint16(defaultPID + 16 + track - 1)
		for _, p := range all[first:] {
			if p.pid == pid && p.hasPayload {
				changes = append(changes, change{int64(p.index-zero.index) * packetSize * 8 * stcRate / rate, p.payload})
			}
		}
		slices.SortStableFunc(changes, func(a, b change) int { return cmp.Compare(a.at, b.at) })
		limit, fill, most := 3584+payloadSize, 0, 0
		if f.Codec == media.AC3 || f.Codec == media.EAC3 {
			limit = 5696 + payloadSize
		}
		for _, c := range changes {
			fill += c.bytes
			most = max(most, fill)
		}
		if most > limit {
			t.Errorf("%s: %d bytes wait, the buffer has %d", f.Codec, most, limit)
		}
	}
}

// same checks that what is read is what was pushed.
func same(t *testing.T, out []byte, s sequence) {
	t.Helper()
	got, services, stats := read(out)
	if stats.Continuity+stats.BadPES+stats.BadSections+stats.BadUnits+stats.Duplicates != 0 {
		t.Errorf("%+v", stats)
	}
	if len(services) != 1 {
		t.Fatalf("%d services", len(services))
	}
	for track, f := range s.formats {
		st := services[0].Streams[track]
		if st.Codec != f.Codec || st.Language != f.Language {
			t.Errorf("track %d reads as %s %q", track, st.Codec, st.Language)
		}
		var want []*media.Frame
		for _, x := range s.frames {
			if x.track == track {
				want = append(want, x.frame)
			}
		}
		have := got[st.PID]
		if len(have) != len(want) {
			t.Errorf("track %d: %d frames of %d", track, len(have), len(want))
			continue
		}
		for i, w := range want {
			h := have[i]
			mask := int64(wrap90 - 1)
			if h.PTS.Ticks(mpegts.Ticks) != w.PTS.Ticks(mpegts.Ticks)&mask || h.DTS.Ticks(mpegts.Ticks) != w.DTS.Ticks(mpegts.Ticks)&mask {
				t.Fatalf("track %d frame %d: times %v %v, want %v %v", track, i, h.PTS, h.DTS, w.PTS, w.DTS)
			}
			if h.Sync != w.Sync || !slices.EqualFunc(h.Units, w.Units, bytes.Equal) {
				t.Fatalf("track %d frame %d is another", track, i)
			}
		}
	}
}
