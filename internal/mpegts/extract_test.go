package mpegts

import (
	"bytes"
	"strings"
	"testing"
)

func TestTablesOfOneServiceReadBackAsThatService(t *testing.T) {
	for _, c := range []struct{ name, provider string }{
		{"中央一套", "CCTV"}, {strings.Repeat("长", 80), ""}, {"", ""}, {"plain", strings.Repeat("x", 250)},
	} {
		s := &Service{
			ID: 101, PMTPID: 0x1F0, PCRPID: 0x100, Name: c.name, Provider: c.provider, Type: 1, version: 7,
			// A picture and three hundred bytes of descriptors, so that the PMT needs two packets.
			pmt: append([]byte{0xE1, 0x00, 0xF0, 0, 0x1B, 0xE1, 0x00, 0xF1, 0x04}, bytes.Repeat(append([]byte{0x80, 128}, make([]byte, 128)...), 2)...),
		}
		var w Tables
		var b []byte
		for range 20 { // continuity goes on over a turn of the counters
			b = w.Append(b, s)
		}
		var got *Service
		d := NewDemuxer(Handler{Service: func(s *Service) { got = s }})
		d.Feed(b, 0)
		d.Flush()
		if st := d.Stats(); st.Continuity+st.CRCErrors+st.BadSections > 0 {
			t.Errorf("%q: %+v", c.name, st)
		}
		if got == nil || got.ID != 101 || got.PMTPID != 0x1F0 || len(got.Streams) != 1 || got.Streams[0].PID != 0x100 {
			t.Fatalf("%q: %+v", c.name, got)
		}
		if !strings.HasPrefix(c.name, got.Name) || !strings.HasPrefix(c.provider, got.Provider) || len(c.name) < maxText && got.Name != c.name {
			t.Errorf("%q, %q became %q, %q", c.name, c.provider, got.Name, got.Provider)
		}
	}
}

func TestTapSeesEveryPacketOnceAndCostsNothingWhenItEnds(t *testing.T) {
	data := bytes.Repeat(append([]byte{0x47, 0x01, 0x00, 0x10}, make([]byte, 184)...), 50)
	for i := range 50 {
		data[i*PacketSize+3] |= byte(i & 0x0F)
	}
	d := NewDemuxer(Handler{})
	var got []byte
	d.Tap(func(p []byte) { got = append(got, p...) })
	for b := data; len(b) > 0; {
		n := min(1000, len(b)) // packets straddle
		d.Feed(b[:n], 0)
		b = b[n:]
	}
	d.Flush()
	if !bytes.Equal(got, data) {
		t.Errorf("%d bytes of %d, or in another order", len(got), len(data))
	}
	d.Tap(nil)
	d.Feed(data, 0)
	d.Flush()
	if len(got) != len(data) {
		t.Error("it was called after it ended")
	}
}

func TestRandomAccessIsSeenInTheFirstPacketOfAPicture(t *testing.T) {
	pes := func(field []byte, es ...byte) []byte {
		p := []byte{0x47, 0x41, 0x00, 0x10}
		if field != nil {
			p[3] |= 0x20
			p = append(append(p, byte(len(field))), field...)
		}
		p = append(p, 0, 0, 1, 0xE0, 0, 0, 0x80, 0x80, 5, 0x21, 0, 1, 0, 1)
		p = append(p, es...)
		return append(p, make([]byte, PacketSize-len(p))...)
	}
	for _, c := range []struct {
		name string
		p    []byte
		kind byte
		want bool
	}{
		{"flag of the adaptation field", pes([]byte{0x40}), 0x1B, true},
		{"H.264 delimiter and parameter set", pes(nil, 0, 0, 0, 1, 9, 0xF0, 0, 0, 0, 1, 0x67, 1), 0x1B, true},
		{"H.264 delimiter and slice", pes(nil, 0, 0, 0, 1, 9, 0xF0, 0, 0, 1, 0x41, 1), 0x1B, false},
		{"MPEG-2 sequence header", pes([]byte{0}, 0, 0, 1, 0xB3), 2, true},
		{"MPEG-2 picture", pes(nil, 0, 0, 1, 0), 2, false},
		{"HEVC parameter set", pes(nil, 0, 0, 1, 35<<1, 1, 0x50, 0, 0, 1, 32<<1, 1), 0x24, true},
		{"HEVC trailing picture", pes(nil, 0, 0, 1, 1<<1, 1), 0x24, false},
		{"sound", pes(nil, 0xFF, 0xF1), 0x0F, false},
	} {
		if got := RandomAccess(c.p, c.kind); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if pts := PacketPTS(pes(nil)); pts != 0 {
		t.Errorf("PTS %d", pts)
	}
}

func FuzzFirstPacket(f *testing.F) {
	f.Add([]byte{0x47, 0x41, 0, 0x30, 183, 0x40}, byte(0x1B))
	f.Fuzz(func(t *testing.T, b []byte, kind byte) {
		p := make([]byte, PacketSize)
		copy(p, b)
		RandomAccess(p, kind)
		if pts := PacketPTS(p); pts < NoTime || pts >= wrap {
			t.Errorf("PTS %d", pts)
		}
		RandomAccess(b, kind)
		PacketPTS(b)
	})
}
