package mpegts

import "tongxiang/internal/media"

// h265Syntax is ITU-T H.265 as carried by ISO/IEC 13818-1 2.17.
type h265Syntax struct{ paramSets }

func (*h265Syntax) ignored() byte { return 0 }

// classify follows H.265 7.4.2.4.4.
func (*h265Syntax) classify(b []byte) (unitKind, bool) {
	if len(b) < 1 {
		return 0, false
	}
	switch t := b[0] >> 1 & 0x3F; {
	case t < 32:
		if len(b) < 3 {
			return 0, false
		}
		if b[2]&0x80 != 0 { // first_slice_segment_in_pic_flag
			return unitFirst, true
		}
		return unitSlice, true
	case t >= 32 && t <= 35, t == 39, t >= 41 && t <= 44, t >= 48 && t <= 55:
		return unitHead, true
	}
	return unitInside, true
}

func (s *h265Syntax) picture(p *pictures, data []byte, units []int) picture {
	nals := nalUnits(data, units, func(first byte) bool {
		switch first >> 1 & 0x3F {
		case 35, 36, 37, 38: // delimiter, end of sequence, end of stream, filler
			return false
		}
		return true
	})
	if nals == nil {
		return picture{}
	}
	if s.learn(media.H265, nals, sameH265Set) {
		f, err := media.H265Format(s.sets)
		if err == nil {
			p.d.format(p.stream, f)
		}
	}
	f := &media.Frame{Units: nals}
	f.Sync, f.IDR = media.H265Sync(nals)
	if f.Sync {
		f.Units = media.WithParameterSets(media.H265, nals, s.sets)
	}
	return picture{frame: f}
}

// sameH265Set reports whether two parameter sets have the same type and, for PPS,
// whose id stands first, the same id. Broadcasts have one VPS and one SPS.
func sameH265Set(a, b []byte) bool {
	if len(a) < 3 || len(b) < 3 || a[0]>>1&0x3F != b[0]>>1&0x3F {
		return false
	}
	if media.H265Type(a) != media.H265PPS {
		return true
	}
	ra, rb := bitReader{b: a[2:]}, bitReader{b: b[2:]}
	return ra.ue() == rb.ue()
}
