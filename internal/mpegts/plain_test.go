package mpegts

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"tongxiang/internal/media"
)

// account is what a demuxer said of a stream, by PID: frames of different streams may
// come in another order, as the long way searches for start codes later.
type account struct {
	said  map[uint16][]string
	stats Stats
	all   Measure
	each  []Measure
}

// read demuxes b in pieces. A demuxer that is tapped takes the long way with every packet.
func read(b []byte, chunk int, long bool) account {
	a := account{said: make(map[uint16][]string)}
	note := func(s *Stream, format string, args ...any) {
		a.said[s.PID] = append(a.said[s.PID], fmt.Sprintf(format, args...))
	}
	d := NewDemuxer(Handler{
		Format: func(s *Stream) { note(s, "format %+v", s.Format) },
		Frame: func(s *Stream, f *media.Frame, at Times) {
			h := sha256.New()
			for _, u := range f.Units {
				fmt.Fprint(h, len(u), " ")
				h.Write(u)
			}
			note(s, "frame %+v sync %v idr %v corrupt %v %d units %x", at, f.Sync, f.IDR, f.Corrupt, len(f.Units), h.Sum(nil)[:8])
		},
	})
	if long {
		d.Tap(func([]byte) {})
	}
	for len(b) > 0 {
		n := min(chunk, len(b))
		d.Feed(b[:n], 1)
		b = b[n:]
	}
	d.Flush()
	a.stats, a.all = d.Stats(), d.Measure()
	for _, s := range d.Services() {
		a.each = append(a.each, d.MeasureService(s))
	}
	return a
}

// same fails the test where the two ways differ.
func same(t *testing.T, b []byte, chunk int) {
	t.Helper()
	short, long := read(b, chunk, false), read(b, chunk, true)
	if reflect.DeepEqual(short, long) {
		return
	}
	for pid := range long.said {
		for i, want := range long.said[pid] {
			if i >= len(short.said[pid]) || short.said[pid][i] != want {
				t.Errorf("PID %#x, %d of %d: the long way says %s", pid, i, len(long.said[pid]), want)
				if i < len(short.said[pid]) {
					t.Errorf("the short way says %s", short.said[pid][i])
				}
				break
			}
		}
	}
	t.Fatalf("the long way: %+v %+v; the short way: %+v %+v", long.stats, long.all, short.stats, short.all)
}

// zeroed are pictures whose bytes are often zeros and ones, so that start codes, and
// what nearly is one, stand at every place of a packet and across two.
func zeroed(r *rand.Rand) []byte {
	b := newBuilder()
	b.nulls()
	b.section(pidPAT, patOf(0, patEntry{1, testPMT}))
	b.section(testPMT, pmtOf(1, 0, 0x101, es{typ: 0x1B, pid: 0x101}, es{typ: 0x02, pid: 0x102}, es{typ: 0x24, pid: 0x103}, es{typ: 0x03, pid: 0x104}))
	bytesOf := func(n int) []byte {
		p := make([]byte, n)
		for i := range p {
			p[i] = byte(r.Uint32())
			if r.IntN(40) == 0 {
				for k := i; k < min(i+2+r.IntN(3), n); k++ {
					p[k] = byte(r.IntN(2))
				}
			}
		}
		return p
	}
	heads := [][]byte{
		annex(aud, testSPS, testPPS, []byte{0x65, 0x88}),
		{0, 0, 1, 0xB3, 0x04, 0x00, 0x30, 0x13, 0xFF, 0xFF, 0xE0, 0x18, 0, 0, 1, 0, 0, 0x0F, 0xFF, 0xF8, 0, 0, 1, 1},
		{0, 0, 1, 0x46, 1, 0x50, 0, 0, 1, 0x26, 1, 0xAF},
	}
	for k := range int64(12) {
		for i, head := range heads {
			b.pes(uint16(0x101+i), 0xE0, k*3600, k*3600, 0, append(bytes.Clone(head), bytesOf(r.IntN(4000))...))
		}
		b.pes(0x104, 0xC0, k*3600, k*3600, -1, bytes.Join([][]byte{mp2Frame(1), mp2Frame(2)}, nil))
	}
	return b.out.Bytes()
}

// harm does to packets what lines and multiplexers do, and what none does.
func harm(r *rand.Rand, data []byte) []byte {
	var out []byte
	for at := 0; at+PacketSize <= len(data); at += PacketSize {
		p := bytes.Clone(data[at : at+PacketSize])
		switch r.IntN(60) {
		case 0:
			continue
		case 1:
			out = append(out, p...)
		case 2:
			p[1] ^= 1 << r.IntN(8)
		case 3:
			p[3] ^= 1 << r.IntN(8)
		case 4:
			p[r.IntN(PacketSize)] = byte(r.Uint32())
		case 5: // the next one's counter, without payload
			q := append([]byte{syncByte, p[1] &^ 0x40, p[2], 0x20 | (p[3]+1)&0x0F, 183}, bytes.Repeat([]byte{0}, 183)...)
			out = append(out, q...)
		case 6:
			p[3] = p[3]&0x0F | 0x30
			p[4], p[5] = byte(r.IntN(190)), byte(r.Uint32())
		case 7:
			out = append(out, make([]byte, r.IntN(30))...)
		case 8: // the end and the beginning of a start code
			copy(p[PacketSize-1-r.IntN(3):], []byte{0, 0, 1})
		case 9:
			copy(p[4:], []byte{0, 1, 0x41, 0x9A}[r.IntN(2):])
		}
		out = append(out, p...)
	}
	return out
}

func TestTheShortWayAndTheLongOneSayTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 150 {
		data := zeroed(r)
		same(t, data, 7*PacketSize)
		same(t, harm(r, data), 1+r.IntN(3000))
	}
	same(t, multiplex(), 7*PacketSize)
}

func TestPlainPacketsTakeTheShortWay(t *testing.T) {
	b := newBuilder()
	b.programme()
	b.pes(testVideo, 0xE0, 0, 0, 0, annex(aud, testSPS, testPPS, idr(1, 900)))
	at := b.out.Len()
	b.packet(testVideo, false, bytes.Repeat([]byte{0xAA}, wholePayload))
	b.packet(testVideo, false, bytes.Repeat([]byte{0xAA}, wholePayload-1))
	b.cc[testVideo]++
	b.packet(testVideo, false, bytes.Repeat([]byte{0xAA}, wholePayload))
	data := b.out.Bytes()
	d := NewDemuxer(Handler{})
	d.Feed(data[:at], 1)
	for i, want := range []bool{true, false, false} {
		p := (*[PacketSize]byte)(data[at+i*PacketSize:])
		if got := d.plain(p); got != want {
			t.Errorf("packet %d: %v, want %v", i, got, want)
		} else if !got {
			d.packet(p)
		}
	}
}

func TestAPayloadIsCopiedAndItsStartCodesAreSeen(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	seen := 0
	for range 100000 {
		var from [wholePayload]byte
		for i := range from {
			from[i] = 1 + byte(r.IntN(255))
		}
		for range r.IntN(4) {
			at := r.IntN(wholePayload - 3)
			if r.IntN(4) == 0 {
				at = wholePayload - 4 + r.IntN(4)
			}
			copy(from[at:], []byte{0, 0, 1, byte(r.IntN(256))}[r.IntN(2):r.IntN(2)+3])
		}
		ignored := []byte{0, 1, 0xAF, 0xFF}[r.IntN(4)]
		want := from[wholePayload-3] == 0 && from[wholePayload-2] == 0
		for i := range wholePayload - 3 {
			if c := from[i+3]; bytes.HasPrefix(from[i:], []byte{0, 0, 1}) && (c == 0 || c > ignored) {
				want = true
			}
		}
		at := 1 + r.IntN(40)
		to := bytes.Repeat([]byte{0xEE}, at+wholePayload+40)
		found, done := copyPayload((*[wholePayload]byte)(to[at:]), &from, ignored)
		if !done {
			t.Skip("this processor has no AVX2, which copies and searches at once; the plain way is tested by the others")
		}
		if found != want {
			t.Fatalf("found %v, want %v: %x, up to %x ignored", found, want, from, ignored)
		}
		if found {
			seen++
		}
		whole := append(append(bytes.Repeat([]byte{0xEE}, at), from[:]...), bytes.Repeat([]byte{0xEE}, 40)...)
		if !bytes.Equal(to, whole) {
			t.Fatalf("%x became %x", from, to)
		}
	}
	if seen < 10000 {
		t.Errorf("only %d had any", seen)
	}
}

// FuzzShortWay: whatever comes, the short way is only shorter.
func FuzzShortWay(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s, uint16(1316))
	}
	r := rand.New(rand.NewPCG(9, 10))
	f.Add(zeroed(r)[:200*PacketSize], uint16(500))
	f.Fuzz(func(t *testing.T, b []byte, chunk uint16) { same(t, b, int(chunk)+1) })
}
