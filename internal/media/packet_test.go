package media

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// body returns n bytes that look like no start code and differ by seed.
func body(seed, n int, head ...byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(seed*31+i*7)%251 + 1
	}
	copy(b, head)
	return b
}

var (
	h264Format = Format{Codec: H264, ClockRate: 90000, Params: [][]byte{spsBaseline, ppsBaseline}}
	h265Format = Format{Codec: H265, ClockRate: 90000}
	vp8Format  = Format{Codec: VP8, ClockRate: 90000}
	opusFormat = Format{Codec: Opus, ClockRate: 48000, Rate: 48000, Channels: 2}
	aacFormat  = Format{Codec: AAC, ClockRate: 48000, Rate: 48000, Channels: 2, Config: []byte{0x11, 0x90}}
	mp2Format  = Format{Codec: MPEGAudio, ClockRate: 90000, Rate: 48000, Channels: 2}
	pcmaFormat = Format{Codec: PCMA, ClockRate: 8000, Rate: 8000, Channels: 1}
	m2vFormat  = Format{Codec: MPEG2Video, ClockRate: 90000}
	ac3Format  = Format{Codec: AC3, ClockRate: 90000, Rate: 48000, Channels: 2}
)

// makeFrames returns n frames of a codec, of many sizes, as a publisher would write them.
func makeFrames(f Format, n int) []*Frame {
	frames := make([]*Frame, n)
	var at Time = FromTicks(900000, 90000)
	for i := range frames {
		fr := &Frame{PTS: at, DTS: at, Arrival: int64(at) + 1, Sync: true, IDR: true}
		key := i%10 == 0
		step := 40 * time.Millisecond
		size := 1 + (i*i*397)%9000
		switch f.Codec {
		case H264:
			fr.Sync, fr.IDR = key, key
			if key {
				fr.Units = [][]byte{spsBaseline, ppsBaseline, body(i, 3000+size, 0x65, 0x88, 0x84)}
			} else {
				fr.Units = [][]byte{body(i, 3+size, 0x41, 0x9a, 0x24), body(i, 5+size/2, 0x41, 0x40, 0x9a)}
			}
		case H265:
			fr.Sync, fr.IDR = key, key
			if key {
				fr.Units = [][]byte{body(i, 20, 0x40, 1), body(i, 40, 0x42, 1), body(i, 10, 0x44, 1), body(i, 3000+size, 0x26, 1, 0xaf)}
			} else {
				fr.Units = [][]byte{body(i, 4+size, 0x02, 1, 0xd0)}
			}
		case VP8:
			fr.Sync, fr.IDR = key, key
			head := byte(0x11)
			if key {
				head = 0x10
			}
			fr.Units = [][]byte{body(i, 10+size, head, 2, 0, 0x9d, 1, 0x2a, 0x80, 2, 0x68, 1)}
		case MPEG2Video:
			fr.Sync, fr.IDR = key, false
			var u []byte
			if key {
				u = append(u, body(i, 140, 0, 0, 1, 0xb3)...)
				u = append(u, body(i, 8, 0, 0, 1, 0xb8)...)
			}
			u = append(u, body(i, 9, 0, 0, 1, 0, 0x40, 0x50)...)
			for k := range 18 {
				u = append(u, body(i+k, 5+size*k/20, 0, 0, 1, byte(k+1))...)
			}
			fr.Units = [][]byte{u}
		case AC3:
			step = 32 * time.Millisecond
			if i%4 == 3 { // 448 kbit/s: larger than a packet
				fr.Units = [][]byte{body(i, 1792, 0x0b, 0x77, 1, 1, 30)}
				break
			}
			for k := range 1 + i%3 { // 128 kbit/s
				fr.Units = append(fr.Units, body(i+k, 512, 0x0b, 0x77, 1, 1, 16))
			}
			step = time.Duration(len(fr.Units)) * 32 * time.Millisecond
		case Opus:
			fr.Units = [][]byte{body(i, 10+size%400, 0x78)} // CELT 20 ms
			step = 20 * time.Millisecond
		case AAC:
			for k := range 1 + i%4 {
				fr.Units = append(fr.Units, body(i+k, 10+size%2500))
			}
			step = time.Duration(FromTicks(int64(1024*len(fr.Units)), 48000))
		case MPEGAudio:
			if i%5 == 4 { // 384 kbit/s: larger than a packet
				fr.Units = [][]byte{body(i, 1152, 0xff, 0xfd, 0xe4, 0x00)}
				step = 24 * time.Millisecond
				break
			}
			for k := range 1 + i%3 {
				fr.Units = append(fr.Units, body(i+k, 768, 0xff, 0xfd, 0xc4, 0x00)) // layer II, 256 kbit/s, 48 kHz
			}
			step = time.Duration(len(fr.Units)) * 24 * time.Millisecond
		case PCMA:
			fr.Units = [][]byte{body(i, 160)}
			step = 20 * time.Millisecond
		}
		frames[i] = fr
		at = at.Add(step)
	}
	return frames
}

var roundTripFormats = []Format{h264Format, h265Format, vp8Format, opusFormat, aacFormat, mp2Format, pcmaFormat, m2vFormat, ac3Format}

// packetsOf returns the packets of frames.
func packetsOf(t testing.TB, f Format, frames []*Frame) []*Packet {
	t.Helper()
	z, err := NewPacketizer(f)
	if err != nil {
		t.Fatal(err)
	}
	var ps []*Packet
	for _, fr := range frames {
		ps = append(ps, z.Push(fr)...)
	}
	return ps
}

func framesOf(t testing.TB, f Format, ps []*Packet) []*Frame {
	t.Helper()
	d, err := NewDepacketizer(f)
	if err != nil {
		t.Fatal(err)
	}
	var out []*Frame
	for _, p := range ps {
		out = append(out, d.Push(p)...)
	}
	return out
}

// flat returns all units with the time at which each begins.
func flat(f Format, frames []*Frame) (units [][]byte, at []Time) {
	for _, fr := range frames {
		t := fr.PTS
		for _, u := range fr.Units {
			units = append(units, u)
			at = append(at, t)
			t = t.Add(UnitDuration(f, u))
		}
	}
	return units, at
}

func TestFramesSurvivePacketsOfEveryCodec(t *testing.T) {
	for _, f := range roundTripFormats {
		t.Run(f.Codec.String(), func(t *testing.T) {
			in := makeFrames(f, 60)
			ps := packetsOf(t, f, in)
			for i, p := range ps {
				if p.Sequence != int64(i) || len(p.Payload) == 0 || len(p.Payload) > MaxPayload || p.Codec != f.Codec {
					t.Fatalf("packet %d: sequence %d, %d bytes", i, p.Sequence, len(p.Payload))
				}
				if p.Timestamp != p.Time.Ticks(f.ClockRate) {
					t.Fatalf("packet %d: timestamp %d is not %d", i, p.Timestamp, p.Time)
				}
			}
			out := framesOf(t, f, ps)
			compareFrames(t, f, in, out)
		})
	}
}

func compareFrames(t *testing.T, f Format, in, out []*Frame) {
	t.Helper()
	a, at := flat(f, in)
	b, bt := flat(f, out)
	if len(a) != len(b) {
		t.Fatalf("%d units became %d", len(a), len(b))
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			t.Fatalf("unit %d of %d bytes became one of %d", i, len(a[i]), len(b[i]))
		}
		if d := at[i].Sub(bt[i]).Abs(); d > time.Microsecond {
			t.Fatalf("unit %d moved by %v", i, d)
		}
	}
	for i, fr := range out {
		if fr.Corrupt || fr.Gap || fr.DTS != fr.PTS {
			t.Fatalf("frame %d: %+v", i, fr)
		}
		if f.Codec.Kind() == Video && (fr.Sync != in[i].Sync || fr.IDR != in[i].IDR || fr.PTS != in[i].PTS) {
			t.Fatalf("frame %d: sync %v idr %v at %v", i, fr.Sync, fr.IDR, fr.PTS)
		}
	}
}

func TestPacketizerMarksWhatTheInspectorFinds(t *testing.T) {
	for _, f := range []Format{h264Format, h265Format, vp8Format, m2vFormat} {
		var look Inspector
		for i, p := range packetsOf(t, f, makeFrames(f, 40)) {
			q := *p
			look.Inspect(&q)
			if q.Start != p.Start || q.Sync != p.Sync {
				t.Errorf("%s packet %d: packetizer start %v sync %v, inspector %v %v", f.Codec, i, p.Start, p.Sync, q.Start, q.Sync)
			}
		}
	}
}

func TestShuffledAndRepeatedPacketsMakeTheSameFrames(t *testing.T) {
	for _, f := range roundTripFormats {
		for seed := range uint64(20) {
			in := makeFrames(f, 60)
			r := rand.New(rand.NewPCG(seed, 1))
			ps := packetsOf(t, f, in)
			first := ps[0]
			// Each packet may be up to 40 places late, and one in ten comes twice.
			type moved struct {
				p  *Packet
				at int
			}
			var order []moved
			for i, p := range ps[1:] {
				order = append(order, moved{p, i + r.IntN(40)})
				if r.IntN(10) == 0 {
					order = append(order, moved{p, i + r.IntN(80)})
				}
			}
			for i := 1; i < len(order); i++ {
				for k := i; k > 0 && order[k].at < order[k-1].at; k-- {
					order[k], order[k-1] = order[k-1], order[k]
				}
			}
			mixed := []*Packet{first}
			for i, m := range order {
				q := *m.p
				q.Arrival = int64(i) * int64(time.Millisecond)
				mixed = append(mixed, &q)
			}
			compareFrames(t, f, in, framesOf(t, f, mixed))
		}
	}
}

// TestLossNeverYieldsAFrameThatWasNotSent: with packets missing, whatever is not
// marked Corrupt is exactly a frame that was sent, and the others are a beginning of one.
func TestLossNeverYieldsAFrameThatWasNotSent(t *testing.T) {
	for _, f := range roundTripFormats {
		t.Run(f.Codec.String(), func(t *testing.T) {
			for seed := range uint64(30) {
				r := rand.New(rand.NewPCG(seed, 2))
				in := makeFrames(f, 80)
				units, _ := flat(f, in)
				sent := make(map[string]bool)
				for _, u := range units {
					sent[string(u)] = true
				}
				whole := make(map[Time]int)
				for _, fr := range in {
					whole[fr.PTS] = len(fr.Units)
				}
				var kept []*Packet
				for i, p := range packetsOf(t, f, in) {
					if i == 0 || r.IntN(20) != 0 {
						kept = append(kept, p)
					}
				}
				out := framesOf(t, f, kept)
				if len(out) < 20 {
					t.Fatalf("only %d frames", len(out))
				}
				gaps := 0
				last := Time(-1)
				for _, fr := range out {
					if fr.PTS <= last {
						t.Fatalf("time went back to %v", fr.PTS)
					}
					last = fr.PTS
					if fr.Gap || fr.Corrupt {
						gaps++
					}
					if fr.Corrupt {
						continue
					}
					if f.Codec.Kind() == Video && len(fr.Units) != whole[fr.PTS] {
						t.Fatalf("a picture of %d units came as %d and not Corrupt", whole[fr.PTS], len(fr.Units))
					}
					for _, u := range fr.Units {
						if !sent[string(u)] {
							t.Fatalf("a unit of %d bytes that was never sent", len(u))
						}
					}
				}
				if gaps == 0 {
					t.Fatal("loss went unmarked")
				}
			}
		})
	}
}

func TestRepairedPacketIsWaitedForButNotForEver(t *testing.T) {
	ps := packetsOf(t, opusFormat, makeFrames(opusFormat, 60))
	for i, p := range ps {
		p.Arrival = int64(i) * int64(20*time.Millisecond)
	}
	d, _ := NewDepacketizer(opusFormat)
	var got []*Frame
	push := func(p *Packet) { got = append(got, d.Push(p)...) }
	push(ps[0])
	for _, p := range ps[2:12] {
		push(p)
	}
	if len(got) != 1 {
		t.Fatalf("%d frames given out over a hole of 200 ms", len(got))
	}
	late := *ps[1]
	late.Repair, late.Arrival = true, ps[11].Arrival
	push(&late)
	if len(got) != 12 || got[1].Gap {
		t.Fatalf("%d frames after the repair", len(got))
	}
	for _, p := range ps[13:] { // 12 never comes
		push(p)
	}
	if len(got) != 59 || !got[12].Gap || got[13].Gap {
		t.Fatalf("%d frames after half a second without repair", len(got))
	}
}

func TestSourceThatCountsFromAnewIsFollowed(t *testing.T) {
	in := makeFrames(opusFormat, 200)
	ps := packetsOf(t, opusFormat, in)
	for i, p := range ps {
		p.Arrival = int64(i) * int64(20*time.Millisecond)
		if i < 50 {
			p.Sequence += 10000
		}
	}
	if got := framesOf(t, opusFormat, ps); len(got) < 200-staleRun {
		t.Errorf("%d frames", len(got))
	}
}

func TestPaddingPacketsAreConsumedSilently(t *testing.T) {
	in := makeFrames(h264Format, 30)
	var ps []*Packet
	next := int64(0)
	for i, p := range packetsOf(t, h264Format, in) {
		q := *p
		q.Sequence = next
		next++
		ps = append(ps, &q)
		if i%3 == 0 {
			ps = append(ps, &Packet{Sequence: next, Timestamp: q.Timestamp, Time: q.Time, Codec: H264})
			next++
		}
	}
	compareFrames(t, h264Format, in, framesOf(t, h264Format, withoutFragmentSplits(ps)))
}

// withoutFragmentSplits moves padding behind the picture: a sender pads between
// pictures, never between the fragments of one.
func withoutFragmentSplits(ps []*Packet) []*Packet {
	var out, padding []*Packet
	for _, p := range ps {
		if len(p.Payload) == 0 {
			padding = append(padding, p)
			continue
		}
		out = append(out, p)
		if p.Marker {
			out = append(out, padding...)
			padding = nil
		}
	}
	for i, p := range out {
		p.Sequence = int64(i)
	}
	return out
}

func TestPicturesWithoutMarkerEndWithTheTimestamp(t *testing.T) {
	in := makeFrames(h264Format, 20)
	ps := packetsOf(t, h264Format, in)
	for _, p := range ps {
		p.Marker = false
	}
	compareFrames(t, h264Format, in[:19], framesOf(t, h264Format, ps))
}

func TestSyncFramesGetTheSetsFromSDP(t *testing.T) {
	fr := &Frame{PTS: 0, Units: [][]byte{idrSlice}, Sync: true, IDR: true}
	bare := h264Format
	bare.Params = nil
	got := framesOf(t, h264Format, packetsOf(t, bare, []*Frame{fr}))
	if len(got) != 1 || !equalUnits(got[0].Units, [][]byte{spsBaseline, ppsBaseline, idrSlice}) {
		t.Errorf("%+v", got)
	}
	ps := packetsOf(t, h264Format, []*Frame{fr})
	if len(ps) != 2 || H264Type(ps[0].Payload) != H264STAPA || !ps[0].Sync || ps[1].Sync || !ps[1].Marker {
		t.Errorf("packets %+v", ps)
	}
}

func TestDecodeTimesOfReorderedPicturesGrowAndPrecedeThem(t *testing.T) {
	for _, c := range []struct {
		name  string
		depth int
		order []int // presentation index in decoding order
	}{
		{"IPbb", 1, []int{0, 3, 1, 2, 6, 4, 5, 9, 7, 8}},
		{"pyramid", 2, []int{0, 4, 2, 1, 3, 8, 6, 5, 7, 12, 10, 9, 11}},
		{"deeper than it says", 1, []int{0, 4, 2, 1, 3, 8, 6, 5, 7, 12, 10, 9, 11}},
		{"none", 2, []int{0, 1, 2, 3, 4, 5, 6}},
	} {
		d := decodeTimes{depth: c.depth, step: 40 * time.Millisecond}
		last := Time(-1 << 60)
		over := 0
		for _, i := range c.order {
			pts := Time(i) * Time(40*time.Millisecond)
			dts := d.next(pts)
			if dts <= last {
				t.Errorf("%s: DTS %v after %v", c.name, dts, last)
			}
			if dts > pts {
				over++
			}
			last = dts
		}
		if want := 0; c.name == "deeper than it says" && over > 1 || c.name != "deeper than it says" && over > want {
			t.Errorf("%s: %d DTS after their PTS", c.name, over)
		}
	}
}

func TestUnsupportedCodecsAreRefused(t *testing.T) {
	for _, c := range []Codec{EAC3, AVS, MPEG4Video, Unknown, 0, 200} {
		if _, err := NewPacketizer(Format{Codec: c, ClockRate: 90000}); !errors.Is(err, ErrUnsupported) {
			t.Errorf("packetize %v: %v", c, err)
		}
		if _, err := NewDepacketizer(Format{Codec: c}); !errors.Is(err, ErrUnsupported) {
			t.Errorf("depacketize %v: %v", c, err)
		}
	}
	if _, err := NewPacketizer(Format{Codec: Opus}); err == nil {
		t.Error("no clock rate")
	}
}

func FuzzDepacketize(f *testing.F) {
	for i, format := range roundTripFormats {
		z, _ := NewPacketizer(format)
		for _, fr := range makeFrames(format, 3) {
			for _, p := range z.Push(fr) {
				f.Add(uint8(i), p.Payload, p.Payload, p.Marker)
			}
		}
	}
	f.Add(uint8(0), []byte{28, 0x85}, []byte{24, 0, 0, 0, 9, 1}, true)
	f.Fuzz(func(t *testing.T, codec uint8, a, b []byte, marker bool) {
		format := roundTripFormats[int(codec)%len(roundTripFormats)]
		d, err := NewDepacketizer(format)
		if err != nil {
			t.Fatal(err)
		}
		for i, payload := range [][]byte{a, b, a, b} {
			p := &Packet{Sequence: int64(i), Timestamp: int64(i/2) * 3000, Time: Time(i/2) * 1e7, Payload: payload, Marker: marker && i%2 == 1}
			for _, fr := range d.Push(p) {
				if len(fr.Units) == 0 || fr.Size() == 0 {
					t.Errorf("an empty frame from %x", payload)
				}
			}
		}
	})
}

func FuzzPacketizeRoundTrip(f *testing.F) {
	f.Add(uint16(100), uint16(3000), uint8(3))
	f.Add(uint16(1150), uint16(1151), uint8(1))
	f.Fuzz(func(t *testing.T, a, b uint16, n uint8) {
		units := [][]byte{body(1, 3+int(a), 0x41, 0x9a, 0x24)}
		for i := range int(n % 8) {
			units = append(units, body(i, 3+int(b), 0x41, 0x40, 0x9a))
		}
		in := []*Frame{{Units: units}}
		out := framesOf(t, h264Format, packetsOf(t, h264Format, in))
		if len(out) != 1 || out[0].Corrupt || !equalUnits(out[0].Units, units) {
			t.Fatalf("%d frames", len(out))
		}
	})
}

func BenchmarkPacketize(b *testing.B) {
	for _, f := range []Format{h264Format, vp8Format, opusFormat} {
		b.Run(f.Codec.String(), func(b *testing.B) {
			frames := makeFrames(f, 50)
			z, _ := NewPacketizer(f)
			n := 0
			for i := range frames {
				n += len(z.Push(frames[i]))
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				z.Push(frames[i%len(frames)])
			}
			b.ReportMetric(float64(n)/float64(len(frames)), "packets/op")
		})
	}
}

func BenchmarkDepacketize(b *testing.B) {
	for _, f := range []Format{h264Format, vp8Format, opusFormat} {
		b.Run(f.Codec.String(), func(b *testing.B) {
			ps := packetsOf(b, f, makeFrames(f, 50))
			span := ps[len(ps)-1].Timestamp - ps[0].Timestamp + 3600
			copies := make([]Packet, len(ps))
			d, _ := NewDepacketizer(f)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				k := i % len(ps)
				copies[k] = *ps[k]
				copies[k].Sequence = int64(i)
				copies[k].Timestamp += span * int64(i/len(ps))
				d.Push(&copies[k])
			}
		})
	}
}

func ExampleInspect() {
	fmt.Println(Inspect(H264, []byte{0x65, 0x88, 0x84}))
	fmt.Println(Inspect(H264, []byte{0x41, 0x9a, 0x24}))
	// Output:
	// {true true}
	// {true false}
}
