package mpegts

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// naive is what startCode must answer.
func naive(b []byte, from int) int {
	if from > len(b) {
		return -1
	}
	i := bytes.Index(b[from:], []byte{0, 0, 1})
	if i < 0 {
		return -1
	}
	return from + i
}

func TestStartCodesAreFoundWhereverTheyStand(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20000 {
		b := make([]byte, r.IntN(150))
		for i := range b {
			b[i] = byte(r.IntN(3)) // zeros and ones in every order
			if r.IntN(8) == 0 {
				b[i] = byte(r.IntN(256))
			}
		}
		for from := 0; from <= len(b); from++ {
			want := naive(b, from)
			if got := startCode(b, from); got != want {
				t.Fatalf("startCode(%x, %d) = %d, want %d", b, from, got, want)
			}
			if got := startCodeGo(b, from); got != want {
				t.Fatalf("startCodeGo(%x, %d) = %d, want %d", b, from, got, want)
			}
		}
	}
}

func FuzzStartCode(f *testing.F) {
	f.Add([]byte{0, 0, 1}, 0)
	f.Add(bytes.Repeat([]byte{0, 0, 0, 1, 1, 0}, 20), 7)
	f.Fuzz(func(t *testing.T, b []byte, from int) {
		from = max(0, from) % (len(b) + 1)
		if got, other, want := startCode(b, from), startCodeGo(b, from), naive(b, from); got != want || other != want {
			t.Fatalf("%d and %d, want %d", got, other, want)
		}
	})
}
