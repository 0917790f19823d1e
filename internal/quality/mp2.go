package quality

import "math"

// Most satellite programmes have MPEG-1 layer II sound, whose scale factors say how
// loud each band can be at most: silence is seen in every frame without decoding any.

// mp2Level returns the level of the loudest band of a layer II frame in dBFS (ISO/IEC
// 11172-3 2.4.1.6): an upper bound of the frame's level in that band. ok is false for
// what is no such frame, and for the low rates of 13818-3, which broadcasters do not use.
func mp2Level(b []byte) (level float64, ok bool) {
	if len(b) < 32 || b[0] != 0xFF || b[1]&0xFE != 0xFC { // sync, MPEG-1, layer II
		return 0, false
	}
	rate, frequency, mode := b[2]>>4, b[2]>>2&3, b[3]>>6
	if rate == 0 || rate == 15 || frequency == 3 {
		return 0, false
	}
	channels := 2
	if mode == 3 {
		channels = 1
	}
	table := mp2Table(rate, frequency, channels)
	bound := len(table)
	if mode == 1 {
		bound = min(bound, int(b[3]>>4&3+1)*4)
	}
	r := bitReader{b: b, at: 32}
	if b[1]&1 == 0 {
		r.at += 16 // CRC
	}
	var used [2][32]bool
	for band := range table {
		n := int(table[band])
		for c := range channels {
			if c > 0 && band >= bound { // shared by both channels
				used[1][band] = used[0][band]
				continue
			}
			used[c][band] = r.bits(n) != 0
		}
	}
	var select_ [2][32]uint32
	for band := range table {
		for c := range channels {
			if used[c][band] {
				select_[c][band] = r.bits(2)
			}
		}
	}
	loudest := uint32(63)
	for band := range table {
		for c := range channels {
			if !used[c][band] {
				continue
			}
			for range [...]int{3, 2, 1, 2}[select_[c][band]] {
				loudest = min(loudest, r.bits(6))
			}
		}
	}
	if r.over {
		return 0, false
	}
	if loudest == 63 {
		return silence, true
	}
	// Scale factor i is 2 * 2^(-i/3) (table B.1).
	return 20 * math.Log10(2*math.Exp2(-float64(loudest)/3)), true
}

// mp2Table returns how many bits the allocation of each band has (tables B.2a to B.2d).
func mp2Table(rate, frequency byte, channels int) []byte {
	kbps := [...]int{0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384}[rate] / channels
	const (
		wide = "\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03" +
			"\x02\x02\x02\x02\x02\x02\x02"
		narrow = "\x04\x04\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03"
	)
	switch {
	case kbps <= 48 && frequency == 2: // 32 kHz
		return []byte(narrow)[:12]
	case kbps <= 48:
		return []byte(narrow)[:8]
	case frequency == 1 && kbps >= 56, kbps >= 56 && kbps <= 80: // 48 kHz at any rate
		return []byte(wide)[:27]
	}
	return []byte(wide)
}
