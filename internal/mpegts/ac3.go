package mpegts

import "tongxiang/internal/media"

// ac3 is AC-3 and E-AC-3 (ETSI TS 102 366 4.3, 4.4 and E.1.2): the bit stream
// identification tells them apart, whatever the PMT says.
type ac3 struct {
	format *media.Format // the latest
}

func (s *ac3) frame(b []byte) (soundFrame, bool) {
	if b[0] != 0x0B || len(b) > 1 && b[1] != 0x77 {
		return soundFrame{}, false
	}
	if len(b) < 8 {
		return soundFrame{}, true
	}
	switch id := b[5] >> 3; {
	case id <= 10:
		return s.plain(b, id)
	case id <= 16:
		return s.enhanced(b)
	}
	return soundFrame{}, false
}

func ac3Rate(code byte) int {
	return [...]int{48000, 44100, 32000, 0}[code&3]
}

// ac3Channels counts the channels of an acmod and the low-frequency one.
func ac3Channels(mode, lfe byte) int {
	return [...]int{2, 1, 2, 3, 3, 4, 4, 5}[mode&7] + int(lfe)
}

// formatOf returns the format with these values.
func (s *ac3) formatOf(codec media.Codec, rate, channels int) *media.Format {
	if f := s.format; f == nil || f.Codec != codec || f.Rate != rate || f.Channels != channels {
		s.format = &media.Format{Codec: codec, ClockRate: Ticks, Rate: rate, Channels: channels}
	}
	return s.format
}

func (s *ac3) plain(b []byte, id byte) (soundFrame, bool) {
	kbps := [...]int{32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640}
	rate, code := ac3Rate(b[4]>>6), int(b[4]&0x3F)
	if rate == 0 || code/2 >= len(kbps) {
		return soundFrame{}, false
	}
	words := kbps[code/2] * 96000 / rate // of 16 bits in 1536 samples
	if rate == 44100 {
		words += code & 1
	}
	mode := b[6] >> 5
	r := bitReader{b: b[6:8], pos: 3}
	if mode&1 != 0 && mode != 1 {
		r.bits(2) // cmixlev
	}
	if mode&4 != 0 {
		r.bits(2) // surmixlev
	}
	if mode == 2 {
		r.bits(2) // dsurmod
	}
	if id > 8 { // half and quarter rates
		rate >>= id - 8
	}
	return soundFrame{size: words * 2, samples: 1536, format: s.formatOf(media.AC3, rate, ac3Channels(mode, byte(r.bit())))}, true
}

func (s *ac3) enhanced(b []byte) (soundFrame, bool) {
	kind := b[2] >> 6
	size := ((int(b[2]&7)<<8 | int(b[3])) + 1) * 2
	rate, blocks := ac3Rate(b[4]>>6), 6
	if rate == 0 {
		rate = ac3Rate(b[4]>>4) / 2
	} else {
		blocks = [...]int{1, 2, 3, 6}[b[4]>>4&3]
	}
	if kind == 3 || rate == 0 || size < 8 {
		return soundFrame{}, false
	}
	samples := blocks * 256
	if kind == 1 || b[2]>>3&7 != 0 { // dependent and further substreams sound together with the first
		samples = 0
	}
	return soundFrame{size: size, samples: samples, format: s.formatOf(media.EAC3, rate, ac3Channels(b[4]>>1&7, b[4]&1))}, true
}
