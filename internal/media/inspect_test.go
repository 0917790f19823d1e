package media

import (
	"encoding/binary"
	"testing"
)

// stap returns a STAP-A of units.
func stap(units ...[]byte) []byte {
	b := []byte{0x78}
	for _, u := range units {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(u))), u...)
	}
	return b
}

func TestInspectKnowsStartAndSyncOfEachPayload(t *testing.T) {
	for _, c := range []struct {
		name        string
		codec       Codec
		payload     []byte
		start, sync bool
	}{
		{"empty", H264, nil, false, false},
		{"one byte", H264, []byte{0x65}, false, false},
		{"slice of type 1, a whole picture of a small layer", H264, pSlice, true, false},
		{"second slice", H264, laterSlice, false, false},
		{"I slice that is no IDR", H264, iSlice, true, false},
		{"IDR", H264, idrSlice, true, true},
		{"second slice of an IDR", H264, []byte{0x65, 0x40, 0x9a}, false, false},
		{"SPS", H264, spsBaseline, true, true},
		{"PPS", H264, ppsBaseline, true, false},
		{"delimiter", H264, aud, true, false},
		{"SEI with recovery point", H264, seiRecovery, true, true},
		{"SEI with recovery point behind user data", H264, seiEscaped, true, true},
		{"SEI with user data", H264, seiUser, true, false},
		{"STAP-A of SPS and PPS", H264, stap(spsBaseline, ppsBaseline), true, true},
		{"STAP-A of P slices", H264, stap(pSlice, laterSlice), true, false},
		{"STAP-A cut short", H264, stap(spsBaseline)[:4], false, false},
		{"FU-A of an IDR, first", H264, []byte{0x7c, 0x85, 0x88}, true, true},
		{"FU-A of an IDR, middle", H264, []byte{0x7c, 0x05, 0x88}, false, false},
		{"FU-A of an IDR, last", H264, []byte{0x7c, 0x45, 0x88}, false, false},
		{"FU-A of an IDR's second slice", H264, []byte{0x7c, 0x85, 0x40}, false, false},
		{"FU-A of a P, first", H264, []byte{0x5c, 0x81, 0x9a}, true, false},
		{"FU-A cut short", H264, []byte{0x7c, 0x85}, false, false},
		{"H.265 VPS", H265, []byte{0x40, 1, 0x0c}, true, true},
		{"H.265 IDR", H265, []byte{0x26, 1, 0xaf}, true, true},
		{"H.265 CRA", H265, []byte{0x2a, 1, 0xaf}, true, true},
		{"H.265 second segment of an IDR", H265, []byte{0x26, 1, 0x2f}, false, false},
		{"H.265 P", H265, []byte{0x02, 1, 0xd0}, true, false},
		{"H.265 FU of an IDR, first", H265, []byte{0x62, 1, 0x93, 0xaf}, true, true},
		{"H.265 FU of an IDR, middle", H265, []byte{0x62, 1, 0x13, 0xaf}, false, false},
		{"H.265 FU of a P, first", H265, []byte{0x62, 1, 0x81, 0xd0}, true, false},
		{"VP8 key", VP8, []byte{0x90, 0x80, 0x81, 0x02, 0x10}, true, true},
		{"VP8 delta", VP8, []byte{0x90, 0x80, 0x81, 0x02, 0x11}, true, false},
		{"VP8 continued", VP8, []byte{0x80, 0x80, 0x81, 0x02, 0x10}, false, false},
		{"VP8 second partition", VP8, []byte{0x91, 0x80, 0x81, 0x02, 0x10}, false, false},
		{"VP8 descriptor only", VP8, []byte{0x90, 0x80, 0x81, 0x02}, false, false},
		{"Opus", Opus, []byte{0x78}, true, true},
		{"G.711", PCMA, []byte{0xd5}, true, true},
	} {
		if got := Inspect(c.codec, c.payload); got.Start != c.start || got.Sync != c.sync {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestInspectorMarksTheFirstPacketOfAPictureOnly(t *testing.T) {
	fuStart, fuMiddle, fuEnd := []byte{0x7c, 0x85, 0x88}, []byte{0x7c, 0x05, 1}, []byte{0x7c, 0x45, 1}
	sets := stap(spsBaseline, ppsBaseline)
	type step struct {
		seq, ts int64
		payload []byte
		want    string // "S" start, "Y" sync
	}
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"Chromium: sets, then the IDR in others", []step{
			{1, 0, sets, "SY"}, {2, 0, fuStart, ""}, {3, 0, fuMiddle, ""}, {4, 0, fuEnd, ""}, {5, 9, pSlice, "S"}}},
		{"SPS and PPS in packets of their own", []step{
			{1, 0, spsBaseline, "SY"}, {2, 0, ppsBaseline, ""}, {3, 0, idrSlice, ""}}},
		{"sets in SDP only", []step{
			{1, 0, idrSlice, "SY"}, {2, 9, pSlice, "S"}, {3, 18, fuStart, "SY"}}},
		{"delimiter first", []step{
			{1, 0, aud, "S"}, {2, 0, spsBaseline, "Y"}, {3, 0, idrSlice, ""}}},
		{"lost sets: the IDR is no place to start", []step{
			{1, 0, sets, "SY"}, {2, 0, idrSlice, ""}, {4, 9, fuStart, "S"}, {5, 9, fuEnd, ""}}},
		{"lost SPS in front of a PPS", []step{
			{1, 0, spsBaseline, "SY"}, {2, 0, idrSlice, ""}, {4, 9, ppsBaseline, "S"}, {5, 9, idrSlice, ""}}},
		{"late packet of an old picture", []step{
			{1, 0, pSlice, "S"}, {3, 9, pSlice, "S"}, {2, 0, idrSlice, ""}}},
		{"B-frames: timestamps go back", []step{
			{1, 0, idrSlice, "SY"}, {2, 27, pSlice, "S"}, {3, 9, pSlice, "S"}, {4, 18, pSlice, "S"}}},
		{"padding in between", []step{
			{1, 0, sets, "SY"}, {2, 0, idrSlice, ""}, {3, 0, nil, ""}, {4, 9, sets, "SY"}}},
		{"two slices of an IDR", []step{
			{1, 0, idrSlice, "SY"}, {2, 0, []byte{0x65, 0x40, 1}, ""}}},
		{"numbers from anew", []step{
			{30000, 0, idrSlice, "SY"}, {5, 9, idrSlice, "SY"}}},
	} {
		var look Inspector
		for i, s := range c.steps {
			p := &Packet{Codec: H264, Sequence: s.seq, Timestamp: s.ts, Payload: s.payload, Start: true, Sync: true}
			look.Inspect(p)
			got := ""
			if p.Start {
				got = "S"
			}
			if p.Sync {
				got += "Y"
			}
			if got != s.want {
				t.Errorf("%s, packet %d: %q, want %q", c.name, i, got, s.want)
			}
		}
	}
}

func TestInspectAllocatesNothing(t *testing.T) {
	var look Inspector
	for _, f := range []Format{h264Format, h265Format, vp8Format, opusFormat} {
		ps := packetsOf(t, f, makeFrames(f, 20))
		ps = append(ps, &Packet{Codec: H264, Payload: seiEscaped})
		if n := testing.AllocsPerRun(100, func() {
			for _, p := range ps {
				look.Inspect(p)
				Inspect(p.Codec, p.Payload)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", f.Codec, n)
		}
	}
}

func TestVP8DescriptorOfEveryForm(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []byte
		want VP8Descriptor
	}{
		{"shortest", []byte{0x10, 0}, VP8Descriptor{Size: 1, Start: true}},
		{"short id", []byte{0x90, 0x80, 0x11, 0}, VP8Descriptor{Size: 3, Start: true, HasPictureID: true, PictureID: 0x11, PictureIDAt: 2}},
		{"long id", []byte{0x90, 0x80, 0x91, 0x22, 0}, VP8Descriptor{Size: 4, Start: true, HasPictureID: true, LongPictureID: true, PictureID: 0x1122, PictureIDAt: 2}},
		{"Chromium: long id, TL0, temporal layer 2", []byte{0xb0, 0xe0, 0x80, 0x01, 0x07, 0xa0, 1},
			VP8Descriptor{Size: 6, Start: true, NonRef: true, HasPictureID: true, LongPictureID: true, PictureID: 1, PictureIDAt: 2,
				HasTL0: true, TL0: 7, TL0At: 4, HasTemporal: true, Temporal: 2, LayerSync: true}},
		{"key index only", []byte{0x90, 0x10, 0x05, 1}, VP8Descriptor{Size: 3, Start: true}},
	} {
		got, err := ParseVP8(c.in)
		want := c.want
		if c.name == "key index only" {
			got.Temporal, got.LayerSync = 0, false // without meaning when HasTemporal is false
		}
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
		for n := range c.want.Size {
			if _, err := ParseVP8(c.in[:n+1]); err == nil && n+1 <= c.want.Size {
				t.Errorf("%s cut to %d bytes is accepted", c.name, n+1)
			}
		}
	}
	w, h, err := VP8Size([]byte{0x10, 2, 0, 0x9d, 1, 0x2a, 0x80, 0x42, 0x68, 0x01})
	if err != nil || w != 640 || h != 360 {
		t.Errorf("size %d x %d, %v", w, h, err)
	}
	if _, _, err := VP8Size([]byte{0x11, 2, 0, 0x9d, 1, 0x2a, 0x80, 2, 0x68, 1}); err == nil {
		t.Error("a delta frame says no size")
	}
}

func FuzzInspect(f *testing.F) {
	for i, p := range [][]byte{spsBaseline, idrSlice, pSlice, seiEscaped, stap(spsBaseline, ppsBaseline), {0x7c, 0x85, 0x88}, {0x62, 1, 0x93, 0xaf}, {0x90, 0x80, 0x81, 2, 0x10}} {
		f.Add(uint8(i%3), p)
	}
	f.Fuzz(func(t *testing.T, codec uint8, p []byte) {
		c := []Codec{H264, H265, VP8}[codec%3]
		alone := Inspect(c, p)
		var look Inspector
		first := Packet{Codec: c, Payload: p}
		look.Inspect(&first)
		if first.Start != alone.Start || first.Sync != alone.Sync {
			t.Errorf("first packet %v %v, alone %+v", first.Start, first.Sync, alone)
		}
		if d, err := ParseVP8(p); err == nil && (d.Size < 1 || d.Size >= len(p)) {
			t.Errorf("descriptor of %d in %d bytes", d.Size, len(p))
		}
		_, _, _ = VP8Size(p)
	})
}

func BenchmarkInspect(b *testing.B) {
	for name, f := range map[string]Format{"h264": h264Format, "vp8": vp8Format} {
		b.Run(name, func(b *testing.B) {
			ps := packetsOf(b, f, makeFrames(f, 50))
			var look Inspector
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				look.Inspect(ps[i%len(ps)])
			}
		})
	}
}
