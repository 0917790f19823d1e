package mpegts

import "encoding/binary"

// crcTables are for CRC-32/MPEG-2 (ISO/IEC 13818-1 annex A), eight bytes at a time.
// Built once as a value of this package's only lookup table.
var crcTables = makeCRCTables()

func makeCRCTables() (t [8][256]uint32) {
	for i := range 256 {
		c := uint32(i) << 24
		for range 8 {
			if c&0x80000000 != 0 {
				c = c<<1 ^ 0x04C11DB7
			} else {
				c <<= 1
			}
		}
		t[0][i] = c
	}
	for i := range 256 {
		for k := 1; k < len(t); k++ {
			prev := t[k-1][i]
			t[k][i] = prev<<8 ^ t[0][prev>>24]
		}
	}
	return t
}

// CRC32 returns the CRC-32/MPEG-2 of b, as sections carry it at their end.
func CRC32(b []byte) uint32 { return crc32(b) }

// crc32 returns the CRC of b; over a section including its CRC it is 0.
func crc32(b []byte) uint32 {
	c := ^uint32(0)
	for len(b) >= 8 {
		c ^= binary.BigEndian.Uint32(b)
		d := binary.BigEndian.Uint32(b[4:])
		c = crcTables[7][c>>24] ^ crcTables[6][c>>16&0xFF] ^ crcTables[5][c>>8&0xFF] ^ crcTables[4][c&0xFF] ^
			crcTables[3][d>>24] ^ crcTables[2][d>>16&0xFF] ^ crcTables[1][d>>8&0xFF] ^ crcTables[0][d&0xFF]
		b = b[8:]
	}
	for _, v := range b {
		c = c<<8 ^ crcTables[0][byte(c>>24)^v]
	}
	return c
}
