package mpegts

import (
	"encoding/binary"
	"math/bits"
)

// lows and highs are the lowest and the highest bits of eight bytes.
const lows, highs = 0x0101010101010101, 0x8080808080808080

// startCodeGo is startCode for processors without 32-byte vectors, and for the end
// of a buffer.
//
// It looks at 32 bytes at a time: of a word and the same word one byte on, ored
// together, a byte is zero where two zeros stand in a row, and a word has a zero
// byte when (y-lows)&^y&highs is not zero. That is two to four times as fast on
// coded pictures as [bytes.IndexByte] for one of the three, which stops too often.
func startCodeGo(b []byte, from int) int {
	i := from
	for i+34 <= len(b) {
		c := b[i : i+34 : i+34]
		y0 := le64(c) | le64(c[1:])
		y1 := le64(c[8:]) | le64(c[9:])
		y2 := le64(c[16:]) | le64(c[17:])
		y3 := le64(c[24:]) | le64(c[25:])
		if ((y0-lows)&^y0|(y1-lows)&^y1|(y2-lows)&^y2|(y3-lows)&^y3)&highs != 0 {
			y0 |= le64(c[2:]) ^ lows
			y1 |= le64(c[10:]) ^ lows
			y2 |= le64(c[18:]) ^ lows
			y3 |= le64(c[26:]) ^ lows
			for k, y := range [...]uint64{y0, y1, y2, y3} {
				// The lowest byte that is found is zero; those above it may not be.
				if z := (y - lows) &^ y & highs; z != 0 {
					return i + 8*k + bits.TrailingZeros64(z)/8
				}
			}
		}
		i += 32
	}
	for ; i+2 < len(b); i++ {
		if b[i] == 0 && b[i+1] == 0 && b[i+2] == 1 {
			return i
		}
	}
	return -1
}

func le64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }
