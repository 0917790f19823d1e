// Package fmp4 makes fragmented MP4 (ISO/IEC 14496-12) from frames: what LL-HLS
// parts and recordings have in common.
//
// Initialisation segments are written by mediacommon. Fragments are written here,
// because decode times are those of the source (mediacommon's writers for HLS
// estimate them) and because a picture with a recovery point counts as a start.
//
// Nothing here starts a goroutine or does I/O.
package fmp4

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/ac3"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg1audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	bfmp4 "github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4"

	"tongxiang/internal/media"
)

// Errors of [Init].
var (
	// ErrUnsupported: MP4 files cannot carry the codec, or we cannot describe it.
	ErrUnsupported = errors.New("codec cannot be carried in MP4")
	// ErrIncomplete: the parameters of the codec have not been seen yet; see [Learn].
	ErrIncomplete = errors.New("codec parameters have not been seen")
)

// VideoTimescale is the number of ticks a second of pictures.
const VideoTimescale = 90000

// Supported reports whether a codec can be carried. It says nothing about browsers.
func Supported(c media.Codec) bool {
	switch c {
	case media.H264, media.H265, media.VP8, media.MPEG2Video, media.AAC, media.Opus, media.MPEGAudio, media.AC3:
		return true
	case media.MPEG4Video, media.AVS, media.EAC3, media.PCMA, media.PCMU, media.Unknown:
	}
	return false
}

// Timescale returns the ticks a second of a track's times: 90000 for pictures, the
// sampling rate for sound, so that sound is counted in samples without rounding.
func Timescale(f media.Format) int {
	switch {
	case f.Codec.Kind() == media.Video:
		return VideoTimescale
	case f.Codec == media.Opus:
		return 48000
	case f.Codec == media.AAC:
		var c mpeg4audio.AudioSpecificConfig
		if c.Unmarshal(f.Config) == nil && c.SampleRate > 0 {
			return c.SampleRate
		}
	}
	if f.Rate > 0 {
		return f.Rate
	}
	return 48000
}

// Init returns the initialisation segment (ftyp and moov) for tracks numbered
// from 1 in the order of formats. Pictures are described so that parameter sets
// may also change in band (avc3), which lets a recording follow a source whose
// size changes.
func Init(formats []media.Format) ([]byte, error) {
	var in bfmp4.Init
	for i, f := range formats {
		c, err := codec(f)
		if err != nil {
			return nil, fmt.Errorf("describe track %d (%s): %w", i+1, f.Codec, err)
		}
		in.Tracks = append(in.Tracks, &bfmp4.InitTrack{ID: i + 1, TimeScale: uint32(Timescale(f)), Codec: c})
	}
	var buf seekablebuffer.Buffer
	if err := in.Marshal(&buf); err != nil {
		return nil, fmt.Errorf("write initialisation segment: %w", err)
	}
	b := buf.Bytes()
	retype(b, "avc1", "avcC", "avc3")
	retype(b, "vp09", "vpcC", "vp08")
	return b, nil
}

// retype turns sample entries of one type into those of another that has the same
// layout: avc1, the only one that mediacommon writes, into avc3 (ISO/IEC 14496-15
// 5.3.3), parameter sets also in band; vp09 into vp08 (VP Codec ISO Media File Format
// Binding 1.0), which it cannot write. child is the type of the entry's first child.
func retype(b []byte, from, child, to string) {
	const entry = 86 // bytes of a VisualSampleEntry before its first child
	for begin := 0; ; {
		i := bytes.Index(b[begin:], []byte(from))
		if i < 0 {
			return
		}
		at := begin + i
		if c := at - 4 + entry + 4; c+4 <= len(b) && string(b[c:c+4]) == child {
			copy(b[at:], to)
		}
		begin = at + 4
	}
}

func codec(f media.Format) (mp4.Codec, error) {
	switch f.Codec {
	case media.H264:
		sps, pps := param(f.Params, isH264(7)), param(f.Params, isH264(8))
		if sps == nil || pps == nil {
			return nil, ErrIncomplete
		}
		return &mp4.CodecH264{SPS: sps, PPS: pps}, nil
	case media.H265:
		vps, sps, pps := param(f.Params, isH265(32)), param(f.Params, isH265(33)), param(f.Params, isH265(34))
		if vps == nil || sps == nil || pps == nil || len(sps) < 13 {
			return nil, ErrIncomplete
		}
		return &mp4.CodecH265{VPS: vps, SPS: sps, PPS: pps}, nil
	case media.MPEG2Video:
		if len(f.Config) == 0 {
			return nil, ErrIncomplete
		}
		return &mp4.CodecMPEG1Video{Config: f.Config}, nil
	case media.VP8:
		if f.Width == 0 || f.Height == 0 {
			return nil, ErrIncomplete
		}
		// Written as VP9 and renamed by retype: 8 bits, 4:2:0, limited range, which VP8 always is.
		return &mp4.CodecVP9{Width: f.Width, Height: f.Height, BitDepth: 8, ChromaSubsampling: 1}, nil
	case media.AAC:
		var c mpeg4audio.AudioSpecificConfig
		if len(f.Config) == 0 {
			return nil, ErrIncomplete
		}
		if err := c.Unmarshal(f.Config); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
		}
		return &mp4.CodecMPEG4Audio{Config: c}, nil
	case media.Opus:
		return &mp4.CodecOpus{ChannelCount: opusChannels(f)}, nil
	case media.MPEGAudio:
		if f.Rate == 0 || f.Channels == 0 {
			return nil, ErrIncomplete
		}
		return &mp4.CodecMPEG1Audio{SampleRate: f.Rate, ChannelCount: f.Channels}, nil
	case media.AC3:
		return ac3Codec(f)
	case media.MPEG4Video, media.AVS, media.EAC3, media.PCMA, media.PCMU, media.Unknown:
	}
	return nil, ErrUnsupported
}

func opusChannels(f media.Format) int {
	if f.Channels == 1 {
		return 1
	}
	return 2
}

// ac3Codec reads what the dac3 box repeats from the head of a frame, kept by [Learn].
func ac3Codec(f media.Format) (mp4.Codec, error) {
	if len(f.Config) < ac3Head {
		return nil, ErrIncomplete
	}
	var sync ac3.SyncInfo
	var bsi ac3.BSI
	if err := sync.Unmarshal(f.Config); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	if err := bsi.Unmarshal(f.Config[5:]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return &mp4.CodecAC3{
		SampleRate: sync.SampleRate(), ChannelCount: bsi.ChannelCount(),
		Fscod: sync.Fscod, Bsid: bsi.Bsid, Bsmod: bsi.Bsmod, Acmod: bsi.Acmod, LfeOn: bsi.LfeOn,
		BitRateCode: sync.Frmsizecod >> 1,
	}, nil
}

// ac3Head is how many bytes of an AC-3 frame describe it (ETSI TS 102 366 4.3, 4.4).
const ac3Head = 8

// Ready reports whether [Init] can describe the format.
func Ready(f media.Format) bool {
	_, err := codec(f)
	return err == nil
}

// Learn returns f with the parameters that a frame carries in band, and whether
// they differ from those in f: then a new initialisation segment is due.
func Learn(f media.Format, fr *media.Frame) (media.Format, bool) {
	switch f.Codec {
	case media.H264:
		return learnParams(f, fr, isH264(7), isH264(8))
	case media.H265:
		return learnParams(f, fr, isH265(32), isH265(33), isH265(34))
	case media.MPEG2Video:
		if fr.Sync && len(fr.Units) > 0 {
			return learnConfig(f, sequenceHeader(fr.Units[0]))
		}
	case media.VP8:
		if fr.Sync && len(fr.Units) > 0 {
			w, h, err := media.VP8Size(fr.Units[0])
			changed := err == nil && (w != f.Width || h != f.Height)
			if changed {
				f.Width, f.Height = w, h
			}
			return f, changed
		}
	case media.AC3:
		if len(fr.Units) > 0 && len(fr.Units[0]) >= ac3Head {
			var sync ac3.SyncInfo
			if err := sync.Unmarshal(fr.Units[0]); err != nil {
				return f, false
			}
			g, changed := learnConfig(f, fr.Units[0][:ac3Head])
			g.Rate = sync.SampleRate()
			return g, changed
		}
	case media.MPEGAudio:
		var h mpeg1audio.FrameHeader
		if len(fr.Units) == 0 || h.Unmarshal(fr.Units[0]) != nil {
			return f, false
		}
		n := 2
		if h.ChannelMode == mpeg1audio.ChannelModeMono {
			n = 1
		}
		changed := f.Rate != h.SampleRate || f.Channels != n
		f.Rate, f.Channels = h.SampleRate, n
		return f, changed
	case media.MPEG4Video, media.AVS, media.Opus, media.AAC, media.EAC3, media.PCMA, media.PCMU, media.Unknown:
	}
	return f, false
}

func learnConfig(f media.Format, config []byte) (media.Format, bool) {
	if len(config) == 0 || bytes.Equal(config, f.Config) {
		return f, false
	}
	f.Config = bytes.Clone(config)
	return f, true
}

func learnParams(f media.Format, fr *media.Frame, kinds ...func([]byte) bool) (media.Format, bool) {
	if !fr.Sync {
		return f, false
	}
	params := make([][]byte, 0, len(kinds))
	changed := false
	for _, is := range kinds {
		old, now := param(f.Params, is), param(fr.Units, is)
		if now != nil && !bytes.Equal(old, now) {
			changed = true
			old = now
		}
		if old != nil {
			params = append(params, old)
		}
	}
	if changed {
		f.Params = params
	}
	return f, changed
}

func param(units [][]byte, is func([]byte) bool) []byte {
	for _, u := range units {
		if is(u) {
			return u
		}
	}
	return nil
}

func isH264(kind byte) func([]byte) bool {
	return func(u []byte) bool { return len(u) > 3 && u[0]&0x1f == kind }
}

func isH265(kind byte) func([]byte) bool {
	return func(u []byte) bool { return len(u) > 3 && u[0]>>1&0x3f == kind }
}

// sequenceHeader returns what precedes the first group or picture of MPEG-2 video
// (ISO/IEC 13818-2 6.2.2): the sequence header with its extensions; nil when there is none.
func sequenceHeader(b []byte) []byte {
	start := bytes.Index(b, []byte{0, 0, 1, 0xB3})
	if start < 0 {
		return nil
	}
	for i := start + 4; i+4 <= len(b); i++ {
		if b[i] == 0 && b[i+1] == 0 && b[i+2] == 1 && (b[i+3] == 0xB8 || b[i+3] == 0) {
			return b[start:i]
		}
	}
	return nil
}

// CodecString returns the RFC 6381 name of a track for a playlist's CODECS, "" when it has none.
func CodecString(f media.Format) string {
	switch f.Codec {
	case media.H264:
		sps := param(f.Params, isH264(7))
		if sps == nil {
			return ""
		}
		return fmt.Sprintf("avc1.%02x%02x%02x", sps[1], sps[2], sps[3])
	case media.AAC:
		var c mpeg4audio.AudioSpecificConfig
		if c.Unmarshal(f.Config) != nil {
			return ""
		}
		return fmt.Sprintf("mp4a.40.%d", c.Type)
	case media.Opus:
		return "opus"
	case media.AC3:
		return "ac-3"
	case media.VP8:
		return "vp08.00.10.08" // profile, level and depth: those of any VP8
	case media.H265, media.MPEG2Video, media.MPEG4Video, media.AVS, media.MPEGAudio,
		media.EAC3, media.PCMA, media.PCMU, media.Unknown:
	}
	return ""
}
