package media

import (
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// H264NAL is nal_unit_type of ITU-T H.264 table 7-1, or a packet type of RFC 6184.
type H264NAL uint8

// The types that matter here.
const (
	H264Slice      H264NAL = 1
	H264PartitionA H264NAL = 2
	H264IDR        H264NAL = 5
	H264SEI        H264NAL = 6
	H264SPS        H264NAL = 7
	H264PPS        H264NAL = 8
	H264AUD        H264NAL = 9
	H264Filler     H264NAL = 12
	H264STAPA      H264NAL = 24
	H264FUA        H264NAL = 28
)

// H264Type returns the type of a NAL unit; 0 when it is empty.
func H264Type(unit []byte) H264NAL {
	if len(unit) == 0 {
		return 0
	}
	return H264NAL(unit[0] & 0x1f)
}

// maxPictureSide bounds a side of a picture that we believe: level 6.2 allows 16888.
const maxPictureSide = 16888

// H264Format returns the format that parameter sets declare. It needs an SPS; PPS
// are kept in Format.Params. Errors wrap [ErrMalformed].
//
// Reordered is set when the SPS allows reordered pictures, and also when it says
// nothing and the profile has B slices.
func H264Format(params [][]byte) (Format, error) {
	for _, u := range params {
		if H264Type(u) != H264SPS {
			continue
		}
		sps, err := parseH264SPS(u)
		if err != nil {
			return Format{}, err
		}
		depth, known := h264Reorder(sps)
		return Format{
			Codec: H264, ClockRate: 90000,
			Width: sps.Width(), Height: sps.Height(), FPS: h264FPS(sps), Profile: h264Profile(sps),
			Aspect:     aspect(sps.Width(), sps.Height(), h264SampleAspect(sps)),
			Interlaced: !sps.FrameMbsOnlyFlag,
			Reordered:  depth > 0 || !known,
			Params:     ParameterSets(H264, params),
		}, nil
	}
	return Format{}, fmt.Errorf("H.264 parameter sets without SPS: %w", ErrMalformed)
}

func parseH264SPS(unit []byte) (*h264.SPS, error) {
	sps := new(h264.SPS)
	if err := sps.Unmarshal(unit); err != nil {
		return nil, fmt.Errorf("parse H.264 SPS: %w (%w)", ErrMalformed, err)
	}
	if w, h := sps.Width(), sps.Height(); w < 1 || h < 1 || w > maxPictureSide || h > maxPictureSide {
		return nil, fmt.Errorf("parse H.264 SPS: picture of %d x %d: %w", w, h, ErrMalformed)
	}
	return sps, nil
}

// sampleAspects are width and height of a sample by aspect_ratio_idc (table E-1,
// and the same in H.265). What is not in it is taken as square, as decoders do.
var sampleAspects = [...][2]int{
	1: {1, 1}, 2: {12, 11}, 3: {10, 11}, 4: {16, 11}, 5: {40, 33}, 6: {24, 11}, 7: {20, 11}, 8: {32, 11}, 9: {80, 33},
	10: {18, 11}, 11: {15, 11}, 12: {64, 33}, 13: {160, 99}, 14: {4, 3}, 15: {3, 2}, 16: {2, 1},
}

// extendedSAR is the aspect_ratio_idc with which the two numbers follow.
const extendedSAR = 255

func sampleAspect(idc uint8, w, h uint16) [2]int {
	switch {
	case idc == extendedSAR:
		return [2]int{int(w), int(h)}
	case int(idc) < len(sampleAspects):
		return sampleAspects[idc]
	}
	return [2]int{}
}

func h264SampleAspect(sps *h264.SPS) [2]int {
	if v := sps.VUI; v != nil && v.AspectRatioInfoPresentFlag {
		return sampleAspect(v.AspectRatioIdc, v.SarWidth, v.SarHeight)
	}
	return [2]int{}
}

// aspect returns the shape of a picture whose samples have the given one.
func aspect(width, height int, sample [2]int) float64 {
	if sample[0] <= 0 || sample[1] <= 0 {
		sample = [2]int{1, 1}
	}
	return float64(width) / float64(height) * float64(sample[0]) / float64(sample[1])
}

// maxFPS is above any real picture rate; more is a time scale that means nothing.
const maxFPS = 300

func h264FPS(sps *h264.SPS) float64 {
	if sps.VUI == nil || sps.VUI.TimingInfo == nil || sps.VUI.TimingInfo.NumUnitsInTick == 0 {
		return 0
	}
	if fps := sps.FPS(); fps > 0 && fps <= maxFPS {
		return fps
	}
	return 0
}

// h264Reorder returns how many pictures may precede a picture in decoding order
// and follow it in output order (E.2.1 max_num_reorder_frames, and what is
// inferred when it is absent).
func h264Reorder(sps *h264.SPS) (depth int, known bool) {
	if sps.VUI != nil && sps.VUI.BitstreamRestriction != nil {
		return int(min(sps.VUI.BitstreamRestriction.MaxNumReorderFrames, 16)), true
	}
	switch {
	case sps.PicOrderCntType == 2: // output order is decoding order (8.2.1.3)
		return 0, true
	case sps.ProfileIdc == 66: // Baseline has no B slices (A.2.1)
		return 0, true
	case sps.ProfileIdc == 77 && sps.ConstraintSet0Flag: // obeys Baseline too
		return 0, true
	case sps.ProfileIdc == 100 && sps.ConstraintSet5Flag: // Constrained High and its like: no B slices (A.2.4.2)
		return 0, true
	case sps.ConstraintSet3Flag && sps.ProfileIdc >= 100: // intra only
		return 0, true
	}
	return 0, false
}

func h264Profile(sps *h264.SPS) string {
	switch sps.ProfileIdc {
	case 66:
		if sps.ConstraintSet1Flag {
			return "Constrained Baseline"
		}
		return "Baseline"
	case 77:
		return "Main"
	case 88:
		return "Extended"
	case 100:
		if sps.ConstraintSet4Flag && sps.ConstraintSet5Flag {
			return "Constrained High"
		}
		if sps.ConstraintSet4Flag {
			return "Progressive High"
		}
		return "High"
	case 110:
		return "High 10"
	case 122:
		return "High 4:2:2"
	case 244:
		return "High 4:4:4 Predictive"
	case 44:
		return "CAVLC 4:4:4 Intra"
	}
	return fmt.Sprintf("profile %d", sps.ProfileIdc)
}

// H264Sync reports whether decoding can start at an access unit, and whether it
// is an IDR, before which nothing is referred to. It allocates nothing.
//
// Decoding can start at an IDR; at an I picture with a recovery point SEI message
// (open GOP, D.2.8); where gradual refresh begins, which is a recovery point with
// a count, in P pictures; and at an I picture with an SPS, because ETSI TS 101 154
// 5.5 puts an SPS at random access points and some encoders send no SEI there.
func H264Sync(units [][]byte) (sync, idr bool) {
	var recovery, instant, sps, intra, sliced bool
	for _, u := range units {
		switch H264Type(u) {
		case H264IDR:
			return true, true
		case H264SPS:
			sps = true
		case H264SEI:
			if found, now := recoveryPoint(u[1:]); found {
				recovery, instant = true, now
			}
		case H264Slice, H264PartitionA:
			// The first slice decides: of two fields in one unit the second
			// is often P.
			if !sliced {
				sliced, intra = true, h264Intra(u)
			}
		}
	}
	if !sliced {
		return false, false
	}
	return intra && (recovery || sps) || recovery && !instant, false
}

// h264Intra reports whether a slice is of type I or SI (7.3.3, table 7-6).
func h264Intra(unit []byte) bool {
	r := rbsp{data: unit[1:]}
	r.ue() // first_mb_in_slice
	t := r.ue()
	return !r.over && (t%5 == 2 || t%5 == 4) && t < 10
}
