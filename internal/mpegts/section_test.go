package mpegts

import (
	"bytes"
	"testing"
)

func collect() (*sections, *[][]byte) {
	var got [][]byte
	return &sections{emit: func(b []byte) { got = append(got, bytes.Clone(b)) }}, &got
}

// sectionOf makes a section of a whole length.
func sectionOf(id byte, n int) []byte {
	return longSection(id, uint16(n), 0, 0, 0, bytes.Repeat([]byte{id}, n-12))
}

// TestSectionsAreCutWhereverPacketsBegin lays sections of many lengths end to end,
// cuts them into payloads, and reads them again: headers then straddle packets,
// several share one, and tails stand before the pointer's target.
func TestSectionsAreCutWhereverPacketsBegin(t *testing.T) {
	for offset := range 190 {
		var stream []byte
		var starts []int
		var want [][]byte
		for i, n := range []int{12 + offset, 13, 20, 40, 183, 184, 185, 400, 15, 1000, 4095, 12, 12, 300} {
			s := sectionOf(byte(0x40+i), n)
			starts = append(starts, len(stream))
			want = append(want, s)
			stream = append(stream, s...)
		}
		s, got := collect()
		at := 0
		for at < len(stream) {
			// A packet has a pointer when a section begins in it.
			first := -1
			for _, x := range starts {
				if x >= at && x < at+183 {
					first = x
					break
				}
			}
			size := 184
			var payload []byte
			if first >= 0 {
				size = 183
				payload = []byte{byte(first - at)}
			}
			end := min(at+size, len(stream))
			payload = append(payload, stream[at:end]...)
			for len(payload) < 184 {
				payload = append(payload, 0xFF)
			}
			if !s.packet(payload, first >= 0) {
				t.Fatal("a sound packet was refused")
			}
			at = end
		}
		if len(*got) != len(want) {
			t.Fatalf("offset %d: %d sections of %d", offset, len(*got), len(want))
		}
		for i := range want {
			if !bytes.Equal((*got)[i], want[i]) {
				t.Fatalf("offset %d: section %d differs", offset, i)
			}
			if ok, _ := checkSection((*got)[i]); !ok {
				t.Fatalf("offset %d: section %d has a wrong CRC", offset, i)
			}
		}
	}
}

func TestASectionWithAHoleIsGivenUp(t *testing.T) {
	long := sectionOf(0x50, 500)
	s, got := collect()
	s.packet(append([]byte{0}, long[:183]...), true)
	s.gap()
	s.packet(long[367:500], false)
	after := sectionOf(0x51, 30)
	s.packet(append(append([]byte{0}, after...), 0xFF), true)
	if len(*got) != 1 || !bytes.Equal((*got)[0], after) {
		t.Errorf("%d sections", len(*got))
	}
}

func TestAPointerBeyondThePacketIsRefused(t *testing.T) {
	s, got := collect()
	if s.packet([]byte{200, 1, 2, 3}, true) || s.packet(nil, true) {
		t.Error("taken for sound")
	}
	if len(*got) != 0 {
		t.Error("something came of it")
	}
}

func TestCRCTellsDamagedSections(t *testing.T) {
	good := sectionOf(0x42, 60)
	if ok, bad := checkSection(good); !ok || bad {
		t.Error("a sound section is refused")
	}
	for i := range good {
		if i == 1 || i == 2 {
			continue // the length: checked before
		}
		b := bytes.Clone(good)
		b[i] ^= 0x10
		if ok, _ := checkSection(b); ok {
			t.Errorf("a wrong byte %d is not seen", i)
		}
	}
	// From ISO/IEC 13818-1 the remainder over the whole section is zero; the value
	// for a known input is CRC-32/MPEG-2's check value.
	if c := crc32([]byte("123456789")); c != 0x0376E6E7 {
		t.Errorf("CRC of the check string is %08X", c)
	}
}

func TestChecksumsOfAnyLengthAreThoseOfTheBitByBitRule(t *testing.T) {
	b := make([]byte, 70)
	for i := range b {
		b[i] = byte(i*37 + 11)
	}
	for n := range b {
		want := ^uint32(0)
		for _, v := range b[:n] {
			want ^= uint32(v) << 24
			for range 8 {
				top := want >> 31
				want = want<<1 ^ top*0x04C11DB7
			}
		}
		if got := CRC32(b[:n]); got != want {
			t.Errorf("%d bytes: %#x, want %#x", n, got, want)
		}
	}
}
