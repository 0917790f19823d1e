package quality

import (
	"bytes"

	"tongxiang/internal/media"
)

// A decoder holds pictures back until it knows that none comes that is shown before.
// A sample is one picture, and nothing comes after it: its headers are made to say so.
// Without it the answer would come some samples later, or never.

var (
	startCode = []byte{0, 0, 0, 1}
	// recoveryPoint is an H.264 SEI that says: from here on pictures are right (D.2.8).
	// A decoder drops a picture that is no IDR and says nothing.
	recoveryPoint = []byte{0x06, 0x06, 0x01, 0xC4, 0x80}
	// endOfSequence makes HEVC begin anew with what follows it (7.3.2.6).
	endOfSequence = []byte{36 << 1, 1}
)

// wedgeBefore is how long before a sample its wedge lies, in milliseconds.
const wedgeBefore = 500

// pictureSample returns a key picture as the blocks of a sample.
func pictureSample(codec media.Codec, f *media.Frame) []block {
	p := block{data: picturePackage(codec, f)}
	if codec == media.H264 && !f.IDR {
		return []block{{at: -wedgeBefore, data: [][]byte{wedge()}}, p}
	}
	return []block{p}
}

// wedge is a picture of one macroblock that goes between two samples of H.264. A
// picture that is no IDR is placed by the count of the one before it (8.2.1), which
// was another channel's: the decoder would take it for one that comes too late. Another
// size makes it forget.
func wedge() []byte {
	var sps, pps, slice bitWriter
	sps.bits(0x67_42_C0_0A, 32) // Constrained Baseline, level 1
	for _, v := range [...]uint32{31, 0, 2, 1} {
		sps.ue(v) // id, frame_num of 4 bits, order of output is that of decoding, one reference
	}
	sps.bit(0)
	sps.ue(0)
	sps.ue(0) // 16 by 16
	sps.bits(0b1100, 4)
	pps.bits(0x68, 8)
	pps.ue(255)
	pps.ue(31)
	pps.bits(0, 2)
	for range 3 {
		pps.ue(0)
	}
	pps.bits(0, 3)
	for range 3 {
		pps.ue(0)
	}
	pps.bits(0, 3)
	slice.bits(0x65, 8)
	for _, v := range [...]uint32{0, 7, 255} {
		slice.ue(v)
	}
	slice.bits(0, 4)
	slice.ue(0)
	slice.bits(0, 2)
	for _, v := range [...]uint32{0, 3, 0, 0, 0} {
		slice.ue(v) // the quantiser; Intra 16x16 from DC, without coefficients
	}
	var out []byte
	for _, u := range [...][]byte{lowDelayH264(sps.trail()), pps.trail(), slice.trail()} {
		out = append(append(out, startCode...), escape(u)...)
	}
	return out
}

// picturePackage returns a key picture as one packet of its codec's elementary stream;
// nil when there is nothing in it.
func picturePackage(codec media.Codec, f *media.Frame) [][]byte {
	var out [][]byte
	switch codec {
	case media.MPEG2Video:
		for _, u := range f.Units {
			out = append(out, lowDelayMPEG2(u))
		}
	case media.H264:
		marked := f.IDR
		for _, u := range f.Units {
			switch t := media.H264Type(u); {
			case t == media.H264SPS:
				u = lowDelayH264(u)
			case !marked && t >= media.H264Slice && t <= media.H264IDR:
				out = append(out, startCode, recoveryPoint)
				marked = true
			}
			out = append(out, startCode, u)
		}
	case media.H265:
		out = append(out, startCode, endOfSequence)
		for _, u := range f.Units {
			if len(u) > 2 && u[0]>>1 == 33 {
				u = lowDelayH265(u)
			}
			out = append(out, startCode, u)
		}
	}
	return out
}

// lowDelayMPEG2 sets low_delay in the sequence extension (ISO/IEC 13818-2 6.2.2.3).
func lowDelayMPEG2(b []byte) []byte {
	head := b[:min(len(b), 256)]
	for at := 0; ; {
		i := bytes.Index(head[at:], []byte{0, 0, 1, 0xB5})
		if i < 0 {
			return b
		}
		at += i + 4
		if at+6 <= len(head) && head[at]>>4 == 1 {
			out := bytes.Clone(b)
			out[at+5] |= 0x80
			return out
		}
	}
}

// lowDelayH264 says in a sequence parameter set that no picture is shown before one
// decoded earlier (ITU-T H.264 E.2.1, max_num_reorder_frames). What cannot be read
// stays as it is.
func lowDelayH264(u []byte) []byte {
	r := bitReader{b: unescape(u)}
	var w bitWriter
	r.bits(8)
	profile := r.bits(8)
	r.bits(16)
	r.ue()
	switch profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
		chroma := r.ue()
		if chroma == 3 {
			r.bit()
		}
		r.ue()
		r.ue()
		r.bit()
		if r.bit() != 0 {
			scalingLists(&r, chroma)
		}
	}
	r.ue()
	switch r.ue() {
	case 0:
		r.ue()
	case 1:
		r.bit()
		r.se()
		r.se()
		for n := min(r.ue(), 255); n > 0; n-- {
			r.se()
		}
	}
	refs := r.ue()
	r.bit()
	r.ue()
	r.ue()
	if r.bit() == 0 { // frame_mbs_only_flag
		r.bit()
	}
	r.bit()
	if r.bit() != 0 { // cropping
		for range 4 {
			r.ue()
		}
	}
	if r.over {
		return u
	}
	front := r.at
	aspect, shape := false, uint32(0)
	var sides [2]uint32
	if vui := r.bit() != 0; vui && r.bit() != 0 {
		aspect = true
		if shape = r.bits(8); shape == 255 {
			sides[0], sides[1] = r.bits(16), r.bits(16)
		}
	}
	if r.over {
		return u
	}
	w.copy(&bitReader{b: r.b}, front)
	w.bit(1) // a VUI with the shape of the samples, nothing else that was there, and the restriction
	if aspect {
		w.bit(1)
		w.bits(shape, 8)
		if shape == 255 {
			w.bits(sides[0], 16)
			w.bits(sides[1], 16)
		}
	} else {
		w.bit(0)
	}
	w.bits(0, 7) // overscan, video signal, chroma location, timing, NAL HRD, VCL HRD, pic_struct
	w.bit(1)     // bitstream_restriction_flag
	w.bit(1)
	for _, v := range [...]uint32{0, 0, 16, 16, 0, refs} {
		w.ue(v)
	}
	return escape(w.trail())
}

func scalingLists(r *bitReader, chroma uint32) {
	lists := 8
	if chroma == 3 {
		lists = 12
	}
	for i := range lists {
		if r.bit() == 0 {
			continue
		}
		size := 16
		if i >= 6 {
			size = 64
		}
		last, next := int32(8), int32(8)
		for range size {
			if next != 0 {
				v := r.ue()
				delta := int32(v+1) / 2
				if v&1 == 0 {
					delta = -delta
				}
				next = (last + delta + 256) & 255
			}
			if next != 0 {
				last = next
			}
			if r.over {
				return
			}
		}
	}
}

// lowDelayH265 does the same for HEVC (ITU-T H.265 7.3.2.2, sps_max_num_reorder_pics).
func lowDelayH265(u []byte) []byte {
	r := bitReader{b: unescape(u)}
	r.bits(16 + 4)
	layers := int(r.bits(3))
	r.bit()
	r.at += 96 // general profile, tier and level
	var flags [8]uint32
	for i := range layers {
		flags[i] = r.bits(2)
	}
	if layers > 0 {
		r.at += 2 * (8 - layers)
	}
	for _, f := range flags[:layers] {
		r.at += 88*int(f>>1) + 8*int(f&1)
	}
	r.ue()
	if r.ue() == 3 {
		r.bit()
	}
	r.ue()
	r.ue()
	if r.bit() != 0 {
		for range 4 {
			r.ue()
		}
	}
	for range 3 {
		r.ue()
	}
	all := r.bit()
	front := r.at
	n := 1
	if all != 0 {
		n = layers + 1
	}
	var w bitWriter
	if r.over || r.at > len(r.b)*8 {
		return u
	}
	w.copy(&bitReader{b: r.b}, front)
	for range n {
		w.ue(r.ue())
		r.ue()
		r.ue()
		w.ue(0)
		w.ue(0)
	}
	if r.over {
		return u
	}
	w.copy(&r, len(r.b)*8-r.at)
	return escape(w.b)
}
