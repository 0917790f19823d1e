package fmp4

import (
	"bytes"
	"hash/crc32"
	"testing"

	"tongxiang/internal/media"
)

// recording returns a whole file of ours: an init segment with sound, the space for an
// index, and a fragment.
func recording(f *testing.F) []byte {
	f.Helper()
	format := media.Format{Codec: media.AAC, Rate: 48000, ClockRate: 48000, Channels: 2, Config: []byte{0x11, 0x90}}
	b, err := Init([]media.Format{format})
	if err != nil {
		f.Fatal(err)
	}
	b = append(b, Space()...)
	s := NewSampler(format)
	var samples []Sample
	for i := range 5 {
		at := media.FromTicks(int64(i*1024), 48000)
		samples = s.Push(samples, &media.Frame{PTS: at, DTS: at, Units: [][]byte{{0x21, 0x10, 0x05}}, Sync: true}, 0)
	}
	head := len(b)
	b = AppendFragment(b, 1, []Run{{Track: 1, Samples: s.Flush(samples)}})
	return AppendCheck(b, len(b)-head, crc32.Checksum(b[head:], crc32.MakeTable(crc32.Castagnoli)))
}

// FuzzScan: a file that a crash left, whatever is in it, is read without panic, what
// counts as whole lies inside it, and cutting it there changes nothing.
func FuzzScan(f *testing.F) {
	whole := recording(f)
	if e, err := Scan(bytes.NewReader(whole), int64(len(whole))); err != nil || e.Fragments != 1 || e.Bytes != int64(len(whole)) {
		f.Fatalf("the whole file scans as %+v, %v", e, err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(whole[:len(whole)-CheckSize]) // torn before the box that closes the fragment
	f.Add([]byte{})
	f.Add([]byte("\x00\x00\x00\x08moof\x00\x00\x00\x08mdat"))
	f.Add([]byte("\x00\x00\x00\x01moof\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Add([]byte("\x00\x00\x00\x00mdat"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Scan(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		if e.Bytes < 0 || e.Bytes > int64(len(b)) || e.Space < 0 || e.Space > int64(len(b)) || len(e.Index) != e.Fragments {
			t.Fatalf("%d bytes scan as %+v", len(b), e)
		}
		if e.Fragments == 0 {
			return
		}
		if err := e.VerifyTail(bytes.NewReader(b), 3); err != nil || e.Bytes < 0 || e.Bytes > int64(len(b)) {
			t.Fatalf("verified: %+v, %v", e, err)
		}
		if e.Fragments == 0 {
			return
		}
		again, err := Scan(bytes.NewReader(b[:e.Bytes]), e.Bytes)
		if err != nil || again.Bytes != e.Bytes || again.Fragments != e.Fragments || again.Duration != e.Duration {
			t.Errorf("cut at %d it scans as %+v, %v; before as %+v", e.Bytes, again, err, e)
		}
	})
}
