package media

import (
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

// H265NAL is nal_unit_type of ITU-T H.265 table 7-1, or a packet type of RFC 7798.
type H265NAL uint8

// The types that matter here.
const (
	H265FirstIRAP H265NAL = 16 // BLA_W_LP
	H265IDRWRADL  H265NAL = 19
	H265IDRNLP    H265NAL = 20
	H265LastIRAP  H265NAL = 21 // CRA_NUT; 22 and 23 are reserved
	H265LastSlice H265NAL = 31
	H265VPS       H265NAL = 32
	H265SPS       H265NAL = 33
	H265PPS       H265NAL = 34
	H265AUD       H265NAL = 35
	H265SEI       H265NAL = 39
	H265SEISuffix H265NAL = 40
	H265AP        H265NAL = 48
	H265FU        H265NAL = 49
)

// H265Type returns the type of a NAL unit; 63, which is nothing, when it is too short.
func H265Type(unit []byte) H265NAL {
	if len(unit) < 2 {
		return 63
	}
	return H265NAL(unit[0] >> 1 & 0x3f)
}

// H265Format returns the format that parameter sets declare. It needs an SPS; VPS
// and PPS are kept in Format.Params. Errors wrap [ErrMalformed].
func H265Format(params [][]byte) (Format, error) {
	for _, u := range params {
		if H265Type(u) != H265SPS {
			continue
		}
		sps, err := parseH265SPS(u)
		if err != nil {
			return Format{}, err
		}
		ptl := &sps.ProfileTierLevel
		var sample [2]int
		if v := sps.VUI; v != nil && v.AspectRatioInfoPresentFlag {
			sample = sampleAspect(v.AspectRatioIdc, v.SarWidth, v.SarHeight)
		}
		return Format{
			Codec: H265, ClockRate: 90000,
			Width: sps.Width(), Height: sps.Height(), FPS: h265FPS(sps), Profile: h265Profile(ptl.GeneralProfileIdc),
			Aspect:     aspect(sps.Width(), sps.Height(), sample),
			Interlaced: ptl.GeneralInterlacedSourceFlag && !ptl.GeneralProgressiveSourceFlag,
			Reordered:  h265Reorder(sps) > 0,
			Params:     ParameterSets(H265, params),
		}, nil
	}
	return Format{}, fmt.Errorf("H.265 parameter sets without SPS: %w", ErrMalformed)
}

func parseH265SPS(unit []byte) (*h265.SPS, error) {
	sps := new(h265.SPS)
	if err := sps.Unmarshal(unit); err != nil {
		return nil, fmt.Errorf("parse H.265 SPS: %w (%w)", ErrMalformed, err)
	}
	if sps.ChromaFormatIdc > 3 {
		return nil, fmt.Errorf("parse H.265 SPS: chroma format %d: %w", sps.ChromaFormatIdc, ErrMalformed)
	}
	if w, h := sps.Width(), sps.Height(); w < 1 || h < 1 || w > maxPictureSide || h > maxPictureSide {
		return nil, fmt.Errorf("parse H.265 SPS: picture of %d x %d: %w", w, h, ErrMalformed)
	}
	return sps, nil
}

func h265FPS(sps *h265.SPS) float64 {
	if sps.VUI == nil || sps.VUI.TimingInfo == nil || sps.VUI.TimingInfo.NumUnitsInTick == 0 {
		return 0
	}
	if fps := sps.FPS(); fps > 0 && fps <= maxFPS {
		return fps
	}
	return 0
}

// h265Reorder returns sps_max_num_reorder_pics of the highest sub-layer (7.4.3.2.1).
func h265Reorder(sps *h265.SPS) int {
	if n := len(sps.MaxNumReorderPics); n > 0 {
		return int(min(sps.MaxNumReorderPics[n-1], 16))
	}
	return 0
}

func h265Profile(idc uint8) string {
	switch idc {
	case 1:
		return "Main"
	case 2:
		return "Main 10"
	case 3:
		return "Main Still Picture"
	case 4:
		return "Range Extensions"
	}
	return fmt.Sprintf("profile %d", idc)
}

// H265Sync reports whether decoding can start at an access unit: an IRAP picture
// (types 16 to 21), or gradual refresh that begins with a recovery point; and
// whether it is an IDR. It allocates nothing.
func H265Sync(units [][]byte) (sync, idr bool) {
	for _, u := range units {
		switch t := H265Type(u); {
		case t == H265IDRWRADL || t == H265IDRNLP:
			return true, true
		case t >= H265FirstIRAP && t <= H265LastIRAP:
			return true, false
		case t == H265SEI:
			if found, _ := recoveryPoint(u[2:]); found {
				sync = true
			}
		}
	}
	return sync, false
}
