package mpegts

import (
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"tongxiang/internal/media"
)

// h264Syntax is ITU-T H.264 as carried by ISO/IEC 13818-1 2.14.
type h264Syntax struct {
	paramSets
	sps *h264.SPS // the newest; nil before the first
}

func (*h264Syntax) ignored() byte { return 0 }

// classify follows 7.4.1.2.3: what may stand before the first slice of a picture
// ends the picture before it, and so does a slice with first_mb_in_slice 0.
func (*h264Syntax) classify(b []byte) (unitKind, bool) {
	if len(b) < 1 {
		return 0, false
	}
	switch t := b[0] & 0x1F; {
	case t == 1 || t == 2 || t == 5:
		if len(b) < 2 {
			return 0, false
		}
		if b[1]&0x80 != 0 { // ue(v) 0
			return unitFirst, true
		}
		return unitSlice, true
	case t >= 6 && t <= 9 || t >= 14 && t <= 18:
		return unitHead, true
	}
	return unitInside, true
}

func (s *h264Syntax) picture(p *pictures, data []byte, units []int) picture {
	nals := nalUnits(data, units, func(first byte) bool {
		switch media.H264NAL(first & 0x1F) {
		case media.H264AUD, media.H264Filler, 10, 11: // end of sequence, end of stream
			return false
		}
		return true
	})
	if nals == nil {
		return picture{}
	}
	if s.learn(media.H264, nals, sameH264Set) {
		s.changed(p)
	}
	f := &media.Frame{Units: nals}
	f.Sync, f.IDR = media.H264Sync(nals)
	if f.Sync {
		f.Units = media.WithParameterSets(media.H264, nals, s.sets)
	}
	pic := picture{frame: f}
	s.fields(&pic, nals)
	return pic
}

// sameH264Set reports whether two parameter sets have the same type and id.
func sameH264Set(a, b []byte) bool {
	if len(a) == 0 || len(b) == 0 || a[0]&0x1F != b[0]&0x1F {
		return false
	}
	return h264SetID(a) == h264SetID(b)
}

func h264SetID(u []byte) uint32 {
	skip := 1
	if media.H264Type(u) == media.H264SPS {
		skip = 4 // profile, constraints, level
	}
	if len(u) <= skip {
		return 0
	}
	r := bitReader{b: u[skip:]}
	return r.ue()
}

func (s *h264Syntax) changed(p *pictures) {
	f, err := media.H264Format(s.sets)
	if err != nil {
		return // no SPS yet, or one that nobody can use
	}
	for _, u := range s.sets {
		if media.H264Type(u) == media.H264SPS {
			var sps h264.SPS
			if sps.Unmarshal(u) == nil {
				s.sps = &sps
			}
		}
	}
	p.d.format(p.stream, f)
}

// fields tells a single field from a frame (7.3.3): frame_num joins the two halves.
func (s *h264Syntax) fields(pic *picture, nals [][]byte) {
	if s.sps == nil || s.sps.FrameMbsOnlyFlag {
		return
	}
	for _, u := range nals {
		t := media.H264Type(u)
		if t != media.H264Slice && t != media.H264IDR && t != media.H264PartitionA {
			continue
		}
		var scratch [32]byte
		r := bitReader{b: unescape(scratch[:], u[1:])}
		r.ue() // first_mb_in_slice
		r.ue() // slice_type
		r.ue() // pic_parameter_set_id
		if s.sps.SeparateColourPlaneFlag {
			r.bits(2)
		}
		frame := r.bits(int(s.sps.Log2MaxFrameNumMinus4) + 4)
		if r.bit() == 0 || r.over {
			return
		}
		pic.field = 1 + byte(r.bit())
		pic.group = frame
		pic.alone = t == media.H264IDR // an IDR is a first field or a frame
		return
	}
}
