package mpegts

import (
	"fmt"

	"tongxiang/internal/media"
)

// mpeg2Syntax is ISO/IEC 13818-2 and 11172-2.
type mpeg2Syntax struct {
	sequence []byte // the sequence header and its extensions, as they came
	count    uint32 // of frames, to tell field pairs apart
}

// lastSlice is the last start code of a slice (table 6-1). There are many slices, and
// none says anything we need.
const lastSlice = 0xAF

func (*mpeg2Syntax) ignored() byte { return lastSlice }

func (*mpeg2Syntax) classify(b []byte) (unitKind, bool) {
	if len(b) < 1 {
		return 0, false
	}
	switch c := b[0]; {
	case c == 0x00:
		return unitFirst, true
	case c <= lastSlice:
		return unitIgnored, true
	case c == 0xB3 || c == 0xB8:
		return unitHead, true
	}
	return unitInside, true
}

func (s *mpeg2Syntax) picture(p *pictures, data []byte, units []int) picture {
	var kind, structure byte
	hasSequence, closed := false, false
	for _, from := range units {
		if from >= len(data) { // a start code inside the next one's zeros
			continue
		}
		b := data[from:]
		switch {
		case b[0] == 0xB3:
			hasSequence = true
		case b[0] == 0xB8 && len(b) >= 5:
			closed = b[4]&0x40 != 0
		case b[0] == 0x00 && len(b) >= 3:
			kind = b[2] >> 3 & 7
		case b[0] == 0xB5 && len(b) >= 4 && b[1]>>4 == 8:
			structure = b[3] & 3
		}
	}
	if hasSequence {
		s.header(p, data, units)
	}
	if s.sequence == nil {
		return picture{} // nobody can decode it
	}
	intra := kind == 1
	f := &media.Frame{Sync: intra, IDR: intra && closed}
	if intra && !hasSequence { // one can start here, with what came before
		data = append(append(make([]byte, 0, len(s.sequence)+len(data)), s.sequence...), data...)
	}
	f.Units = [][]byte{data}
	pic := picture{frame: f, group: s.count}
	if structure == 1 || structure == 2 {
		pic.field = structure
		pic.alone = hasSequence
		if p.held.field == 3-structure && p.held.group == s.count {
			s.count++
		}
		return pic
	}
	s.count++
	return pic
}

// header reads the sequence header and extension (6.2.2.1, 6.2.2.3).
func (s *mpeg2Syntax) header(p *pictures, data []byte, units []int) {
	f := media.Format{Codec: media.MPEG2Video, ClockRate: Ticks, Profile: "MPEG-1"}
	from, to := -1, len(data)
	var shape byte
	for _, at := range units {
		if at >= len(data) {
			continue
		}
		b := data[at+1:]
		switch c := data[at]; {
		case c == 0xB3 && len(b) >= 8:
			from = at - 3
			f.Width = int(b[0])<<4 | int(b[1])>>4
			f.Height = int(b[1]&0x0F)<<8 | int(b[2])
			f.FPS = frameRate(b[3] & 0x0F)
			shape = b[3] >> 4
		case c == 0xB5 && len(b) >= 6 && b[0]>>4 == 1:
			f.Profile = mpeg2Profile(b[0] & 0x07)
			f.Interlaced = b[1]&0x08 == 0
			f.Width |= (int(b[1]&1)<<1 | int(b[2])>>7) << 12
			f.Height |= int(b[2]>>5&3) << 12
			f.FPS = f.FPS * float64(b[5]>>5&3+1) / float64(b[5]&0x1F+1)
		case c == 0xB8 || c == 0x00:
			to = min(to, at-3)
		}
	}
	if from < 0 || to <= from || f.Width == 0 || f.Height == 0 {
		p.d.stats.BadUnits++
		return
	}
	f.Aspect = mpeg2Aspect(shape, f.Width, f.Height)
	s.sequence = append(s.sequence[:0:0], data[from:to]...)
	p.d.format(p.stream, f)
}

// mpeg2Aspect returns the shape of the picture of an aspect_ratio_information
// (table 6-3); what is not in it is taken as square samples.
func mpeg2Aspect(code byte, width, height int) float64 {
	switch code {
	case 2:
		return 4.0 / 3
	case 3:
		return 16.0 / 9
	case 4:
		return 2.21
	}
	return float64(width) / float64(height)
}

// frameRate returns the pictures a second of a frame_rate_code (table 6-4).
func frameRate(code byte) float64 {
	switch code {
	case 1:
		return 24000.0 / 1001
	case 2:
		return 24
	case 3:
		return 25
	case 4:
		return 30000.0 / 1001
	case 5:
		return 30
	case 6:
		return 50
	case 7:
		return 60000.0 / 1001
	case 8:
		return 60
	}
	return 0
}

// mpeg2Profile names a profile (table 8-2).
func mpeg2Profile(id byte) string {
	switch id {
	case 1:
		return "High"
	case 2:
		return "Spatially Scalable"
	case 3:
		return "SNR Scalable"
	case 4:
		return "Main"
	case 5:
		return "Simple"
	}
	return fmt.Sprintf("profile %d", id)
}
