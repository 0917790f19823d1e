package mpegts

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// numbered returns n packets whose fourth byte on is their number.
func numbered(n, stride int) []byte {
	var out []byte
	for i := range n {
		p := make([]byte, stride)
		for k := range p {
			p[k] = byte(i*7 + k)
		}
		p[0], p[1], p[2], p[3] = syncByte, byte(i>>8), byte(i), 0x10
		for k := 4; k < stride; k++ {
			if p[k] == syncByte { // so that only true sync bytes can be found
				p[k] = 0
			}
		}
		out = append(out, p...)
	}
	return out
}

func split(b []byte, chunk int) (got []int, s *splitter) {
	s = &splitter{}
	emit := func(run []byte, stride int) {
		for at := 0; at < len(run); at += stride {
			got = append(got, int(run[at+1])<<8|int(run[at+2]))
		}
	}
	for len(b) > 0 {
		n := min(chunk, len(b))
		s.write(b[:n], emit)
		b = b[n:]
	}
	s.flush(emit)
	return got, s
}

func TestPacketsAreFoundWhateverTheirLengthAndHoweverTheyCome(t *testing.T) {
	for _, stride := range strides {
		for _, chunk := range []int{1, 7, 187, 188, 189, 1316, 1 << 20} {
			for _, lead := range []int{0, 4, 100} {
				t.Run(fmt.Sprintf("%d bytes in pieces of %d after %d others", stride, chunk, lead), func(t *testing.T) {
					got, s := split(append(make([]byte, lead), numbered(40, stride)...), chunk)
					if len(got) != 40 {
						t.Fatalf("%d packets", len(got))
					}
					for i, n := range got {
						if n != i {
							t.Fatalf("packet %d is number %d", i, n)
						}
					}
					if s.losses != 0 || s.syncErrors != 0 {
						t.Errorf("%d losses and %d errors in a sound stream", s.losses, s.syncErrors)
					}
				})
			}
		}
	}
}

func TestSyncIsFoundAgainAfterInsertedAndRemovedBytes(t *testing.T) {
	whole := numbered(200, 188)
	for name, damage := range map[string]func() []byte{
		"one byte more": func() []byte { return append(append(bytes.Clone(whole[:50*188+90]), 1), whole[50*188+90:]...) },
		"one byte less": func() []byte { return append(bytes.Clone(whole[:50*188+90]), whole[50*188+91:]...) },
		"1000 bytes more": func() []byte {
			return append(append(bytes.Clone(whole[:50*188]), make([]byte, 1000)...), whole[50*188:]...)
		},
		"half a packet": func() []byte { return append(bytes.Clone(whole[:50*188]), whole[50*188+94:]...) },
	} {
		t.Run(name, func(t *testing.T) {
			got, s := split(damage(), 1316)
			if s.losses != 1 {
				t.Errorf("%d sync losses", s.losses)
			}
			if len(got) < 197 || got[len(got)-1] != 199 {
				t.Errorf("%d packets of 200, the last is %d", len(got), got[len(got)-1])
			}
		})
	}
}

func TestOneDamagedSyncByteCostsOnePacket(t *testing.T) {
	b := numbered(100, 188)
	b[50*188] = 0x46
	got, s := split(b, 188)
	if len(got) != 99 || s.syncErrors != 1 || s.losses != 0 {
		t.Errorf("%d packets, %d errors, %d losses", len(got), s.syncErrors, s.losses)
	}
}

func TestAFileOfOnePacketIsOnePacket(t *testing.T) {
	got, _ := split(numbered(1, 188), 188)
	if len(got) != 1 {
		t.Errorf("%d packets", len(got))
	}
}

func TestRandomBytesKeepNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := &splitter{}
	buf := make([]byte, 10000)
	n := 0
	for range 200 {
		for i := range buf {
			buf[i] = byte(r.Uint32())
		}
		s.write(buf, func(run []byte, stride int) { n += (len(run) + stride - 1) / stride })
		if len(s.carry) > 2048 {
			t.Fatalf("%d bytes are kept", len(s.carry))
		}
	}
	if n > 10 {
		t.Errorf("%d packets found in noise", n)
	}
}
