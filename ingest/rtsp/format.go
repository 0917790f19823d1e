package rtsp

import (
	"github.com/bluenviron/gortsplib/v4/pkg/format"

	"tongxiang/internal/media"
)

// formatOf returns our format of the library's; ok is false when no part of the
// product can take it.
func formatOf(f format.Format) (media.Format, bool) {
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
	case *format.Opus:
		return media.Format{Codec: media.Opus, ClockRate: 48000, Rate: 48000, Channels: max(f.ChannelCount, 1)}, true
	case *format.MPEG4Audio:
		// RFC 3640 in its usual mode, AAC-hbr; others have never been met.
		if f.Config == nil || f.SizeLength != 13 || f.IndexLength != 3 || f.IndexDeltaLength != 3 {
			return media.Format{}, false
		}
		config, err := f.Config.Marshal()
		if err != nil {
			return media.Format{}, false
		}
		return media.Format{
			Codec: media.AAC, ClockRate: f.ClockRate(), Rate: f.Config.SampleRate, Channels: f.Config.ChannelCount,
			Config: config,
		}, true
	case *format.MPEG1Audio:
		return media.Format{Codec: media.MPEGAudio, ClockRate: 90000}, true
	case *format.G711:
		codec := media.PCMA
		if f.MULaw {
			codec = media.PCMU
		}
		return media.Format{Codec: codec, ClockRate: f.SampleRate, Rate: f.SampleRate, Channels: max(f.ChannelCount, 1)}, true
	}
	return media.Format{}, false
}
