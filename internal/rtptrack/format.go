// Package rtptrack joins what RTSP describes and carries with tracks of the hub:
// formats of a session description, ours and the library's, and RTP packets that
// become a track. The RTSP source and the RTSP server share it.
//
// It starts no goroutine and does no I/O.
package rtptrack

import (
	"bytes"
	"fmt"

	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"tongxiang/internal/media"
)

// Format returns our format of the library's; ok is false when no part of the
// product can take it.
func Format(f format.Format) (media.Format, bool) {
	switch f := f.(type) {
	case *format.H264:
		known := media.Format{Codec: media.H264, ClockRate: 90000}
		if sps, pps := f.SafeParams(); sps != nil && pps != nil {
			if full, err := media.H264Format([][]byte{sps, pps}); err == nil {
				known = full
			}
		}
		return known, true
	case *format.H265:
		known := media.Format{Codec: media.H265, ClockRate: 90000}
		if vps, sps, pps := f.SafeParams(); vps != nil && sps != nil && pps != nil {
			if full, err := media.H265Format([][]byte{vps, sps, pps}); err == nil {
				known = full
			}
		}
		return known, true
	case *format.VP8:
		return media.Format{Codec: media.VP8, ClockRate: 90000}, true
	case *format.MPEG1Video:
		// A description does not say whether there are B-pictures; broadcast has them.
		return media.Format{Codec: media.MPEG2Video, ClockRate: 90000, Reordered: true}, true
	case *format.Opus:
		return media.Format{Codec: media.Opus, ClockRate: 48000, Rate: 48000, Channels: max(f.ChannelCount, 1)}, true
	case *format.MPEG4Audio:
		// RFC 3640 in its usual mode, AAC-hbr; others have never been met.
		if f.Config == nil || f.SizeLength != 13 || f.IndexLength != 3 || f.IndexDeltaLength != 3 {
			return media.Format{}, false
		}
		config, err := f.Config.Marshal()
		if err != nil || f.ClockRate() <= 0 {
			return media.Format{}, false
		}
		return media.Format{
			Codec: media.AAC, ClockRate: f.ClockRate(), Rate: f.Config.SampleRate, Channels: f.Config.ChannelCount,
			Config: config,
		}, true
	case *format.MPEG1Audio:
		return media.Format{Codec: media.MPEGAudio, ClockRate: 90000}, true
	case *format.AC3:
		return media.Format{Codec: media.AC3, ClockRate: f.SampleRate, Rate: f.SampleRate, Channels: f.ChannelCount}, true
	case *format.G711:
		if f.SampleRate <= 0 {
			return media.Format{}, false
		}
		codec := media.PCMA
		if f.MULaw {
			codec = media.PCMU
		}
		return media.Format{Codec: codec, ClockRate: f.SampleRate, Rate: f.SampleRate, Channels: max(f.ChannelCount, 1)}, true
	}
	return media.Format{}, false
}

// Describe returns the library's format of ours with a dynamic payload type; RFC
// 3551 fixes those of MPEG and of G.711 at 8 kHz. The error says what RTSP cannot carry.
func Describe(f media.Format, payload uint8) (format.Format, error) {
	switch f.Codec {
	case media.H264:
		return &format.H264{PayloadTyp: payload, PacketizationMode: 1, SPS: h264Param(f, media.H264SPS), PPS: h264Param(f, media.H264PPS)}, nil
	case media.H265:
		return &format.H265{
			PayloadTyp: payload, VPS: h265Param(f, media.H265VPS), SPS: h265Param(f, media.H265SPS), PPS: h265Param(f, media.H265PPS),
		}, nil
	case media.VP8:
		return &format.VP8{PayloadTyp: payload}, nil
	case media.MPEG2Video:
		return &format.MPEG1Video{}, nil
	case media.Opus:
		return &format.Opus{PayloadTyp: payload, ChannelCount: min(max(f.Channels, 1), 2)}, nil
	case media.AAC:
		config := new(mpeg4audio.AudioSpecificConfig)
		if err := config.Unmarshal(f.Config); err != nil {
			return nil, fmt.Errorf("describe AAC: %w", err)
		}
		// The library writes a configuration anew; one that it cannot write as it
		// was read would be another.
		if again, err := config.Marshal(); err != nil || !bytes.HasPrefix(f.Config, again) {
			return nil, fmt.Errorf("describe AAC with AudioSpecificConfig %x: %w", f.Config, media.ErrUnsupported)
		}
		return &format.MPEG4Audio{PayloadTyp: payload, Config: config, SizeLength: 13, IndexLength: 3, IndexDeltaLength: 3}, nil
	case media.MPEGAudio:
		return &format.MPEG1Audio{}, nil
	case media.AC3:
		if f.Rate <= 0 {
			return nil, fmt.Errorf("describe AC-3 of an unknown rate: %w", media.ErrUnsupported)
		}
		return &format.AC3{PayloadTyp: payload, SampleRate: f.Rate, ChannelCount: max(f.Channels, 1)}, nil
	case media.PCMA, media.PCMU:
		g := &format.G711{PayloadTyp: payload, MULaw: f.Codec == media.PCMU, SampleRate: f.ClockRate, ChannelCount: max(f.Channels, 1)}
		if g.SampleRate == 8000 && g.ChannelCount == 1 {
			g.PayloadTyp = 8
			if g.MULaw {
				g.PayloadTyp = 0
			}
		}
		return g, nil
	case media.MPEG4Video, media.AVS, media.EAC3, media.Unknown:
	}
	return nil, fmt.Errorf("describe %s: %w", f.Codec, media.ErrUnsupported)
}

func h264Param(f media.Format, kind media.H264NAL) []byte {
	for _, u := range f.Params {
		if media.H264Type(u) == kind {
			return u
		}
	}
	return nil
}

func h265Param(f media.Format, kind media.H265NAL) []byte {
	for _, u := range f.Params {
		if media.H265Type(u) == kind {
			return u
		}
	}
	return nil
}
