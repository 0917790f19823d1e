package fmp4

import (
	"bytes"
	"slices"
	"testing"
)

func TestUnpackIsTheInverseOfAppendFragment(t *testing.T) {
	runs := []Run{
		{Track: 1, Samples: []Sample{
			{DTS: 900, Shift: 180, Duration: 3600, Sync: true, Units: [][]byte{{0x67, 1}, {0x65, 2, 3}}, Size: 13, framed: true},
			{DTS: 4500, Shift: -90, Duration: 3600, Units: [][]byte{{0x41}}, Size: 5, framed: true},
		}},
		{Track: 2, Samples: []Sample{{DTS: 480, Duration: 1024, Sync: true, Units: [][]byte{{9, 8, 7}}, Size: 3}}},
	}
	two := AppendFragment(AppendFragment(nil, 1, runs), 2, runs[1:])
	var got []Sample
	var tracks []int
	Unpack(two, func(track int, s Sample, data []byte) {
		tracks = append(tracks, track)
		if track == 1 {
			s.Units = Units(data)
		} else {
			s.Units = [][]byte{data}
		}
		got = append(got, s)
	})
	if !slices.Equal(tracks, []int{1, 1, 2, 2}) {
		t.Fatalf("tracks %v", tracks)
	}
	for i, want := range []Sample{runs[0].Samples[0], runs[0].Samples[1], runs[1].Samples[0], runs[1].Samples[0]} {
		g := got[i]
		if g.DTS != want.DTS || g.Shift != want.Shift || g.Duration != want.Duration || g.Sync != want.Sync || g.Size != want.Size ||
			!slices.EqualFunc(g.Units, want.Units, bytes.Equal) {
			t.Errorf("sample %d is %+v, want %+v", i, g, want)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(AppendFragment(nil, 1, []Run{{Track: 1, Samples: []Sample{{DTS: 1, Duration: 2, Units: [][]byte{{1, 2}}, Size: 6, framed: true}}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		Unpack(b, func(_ int, s Sample, data []byte) {
			if len(data) != s.Size || len(data) > len(b) {
				t.Errorf("%d bytes of %d", len(data), s.Size)
			}
			for _, u := range Units(data) {
				if len(u) > len(data) {
					t.Error("a unit is larger than its sample")
				}
			}
			n++
		})
		if n > len(b)/trunEntry+1 {
			t.Errorf("%d samples in %d bytes", n, len(b))
		}
	})
}
