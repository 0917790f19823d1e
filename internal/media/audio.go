package media

import (
	"bytes"
	"fmt"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg1audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"
)

// maxOpusSamples is 120 ms at 48 kHz, the longest Opus packet (RFC 6716 3.2.5 R5).
const maxOpusSamples = 5760

// OpusSamples returns how many samples at 48 kHz an Opus packet lasts, from its
// table-of-contents byte (RFC 6716 3.1). The error wraps [ErrMalformed].
func OpusSamples(packet []byte) (int, error) {
	n := opus.PacketDuration2(packet)
	if n <= 0 || n > maxOpusSamples {
		return 0, fmt.Errorf("opus packet of %d bytes, %d samples: %w", len(packet), n, ErrMalformed)
	}
	return int(n), nil
}

// UnitSamples returns how many samples, at rate hertz, one unit of sound lasts;
// 0 when it cannot be known.
func UnitSamples(f Format, unit []byte) (samples, rate int) {
	switch f.Codec {
	case Opus:
		n, err := OpusSamples(unit)
		if err != nil {
			return 0, 48000
		}
		return n, 48000
	case AAC:
		// With SBR an access unit still has 1024 samples at the core's rate,
		// which is what the AudioSpecificConfig names first.
		var c mpeg4audio.AudioSpecificConfig
		if len(f.Config) > 0 && c.Unmarshal(f.Config) == nil {
			if c.FrameLengthFlag {
				return 960, c.SampleRate
			}
			return mpeg4audio.SamplesPerAccessUnit, c.SampleRate
		}
		return mpeg4audio.SamplesPerAccessUnit, f.Rate
	case MPEGAudio:
		var h mpeg1audio.FrameHeader
		if h.Unmarshal(unit) != nil {
			return 0, f.Rate
		}
		return h.SampleCount(), h.SampleRate
	case AC3: // ETSI TS 102 366 4.1: six blocks of 256
		return 1536, f.Rate
	case PCMA, PCMU:
		rate = f.Rate
		if rate == 0 {
			rate = 8000
		}
		return len(unit) / max(f.Channels, 1), rate
	}
	return 0, f.Rate
}

// UnitDuration returns how long one unit of sound lasts; 0 when it cannot be known.
func UnitDuration(f Format, unit []byte) time.Duration {
	n, rate := UnitSamples(f, unit)
	if n == 0 || rate <= 0 {
		return 0
	}
	return time.Duration(FromTicks(int64(n), rate))
}

// Duration returns how long a frame of sound lasts; 0 for pictures.
func (f *Frame) Duration(format Format) time.Duration {
	var d time.Duration
	for _, u := range f.Units {
		d += UnitDuration(format, u)
	}
	return d
}

// AACFormat returns the format that an AudioSpecificConfig declares (ISO/IEC
// 14496-3 1.6.2.1). ClockRate is the core's sample rate, as RFC 3640 wants. The
// error wraps [ErrMalformed]; object types other than LC, SBR and PS are errors.
func AACFormat(config []byte) (Format, error) {
	var c mpeg4audio.AudioSpecificConfig
	if err := c.Unmarshal(config); err != nil {
		return Format{}, fmt.Errorf("parse AudioSpecificConfig: %w (%w)", ErrMalformed, err)
	}
	f := Format{
		Codec: AAC, ClockRate: c.SampleRate, Rate: c.SampleRate, Channels: c.ChannelCount,
		Profile: "LC", Config: bytes.Clone(config),
	}
	switch c.ExtensionType {
	case mpeg4audio.ObjectTypeSBR:
		f.Profile, f.Rate = "HE", c.ExtensionSampleRate
	case mpeg4audio.ObjectTypePS:
		f.Profile, f.Rate, f.Channels = "HEv2", c.ExtensionSampleRate, 2
	}
	if f.ClockRate <= 0 {
		return Format{}, fmt.Errorf("AudioSpecificConfig with rate %d: %w", f.ClockRate, ErrMalformed)
	}
	return f, nil
}

// adtsRates is table 1.18 of ISO/IEC 14496-3; the index is sampling_frequency_index.
var adtsRates = [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// ADTS is what [SplitADTS] found.
type ADTS struct {
	Units  [][]byte // raw access units, sharing memory with the data
	Config []byte   // AudioSpecificConfig of the last header; nil when there was none
	Rest   []byte   // an incomplete frame at the end: put it in front of the next data
	Lost   int      // bytes skipped to find a header
}

// SplitADTS takes access units out of ADTS (ISO/IEC 14496-3 1.A.2). It resumes at
// the next header when bytes are wrong, and says how many it skipped.
func SplitADTS(data []byte) ADTS {
	var a ADTS
	for len(data) > 0 {
		frame, head, state := adtsFrame(data)
		switch state {
		case needMore:
			a.Rest = data
			return a
		case notHere:
			data = data[1:]
			a.Lost++
			continue
		}
		a.Units = append(a.Units, frame[head:])
		profile, index, channels := frame[2]>>6, frame[2]>>2&15, frame[2]&1<<2|frame[3]>>6
		if a.Config == nil || a.Config[0] != (profile+1)<<3|index>>1 || a.Config[1] != index<<7|channels<<3 {
			a.Config = []byte{(profile+1)<<3 | index>>1, index<<7 | channels<<3}
		}
		data = data[len(frame):]
	}
	return a
}

type scan uint8

const (
	found scan = iota
	notHere
	needMore
)

// adtsFrame looks for one frame at the beginning of data.
func adtsFrame(data []byte) (frame []byte, head int, state scan) {
	if data[0] != 0xff || len(data) > 1 && data[1]&0xf6 != 0xf0 {
		return nil, 0, notHere
	}
	if len(data) < 7 {
		return nil, 0, needMore
	}
	size := int(data[3]&3)<<11 | int(data[4])<<3 | int(data[5]>>5)
	if head = 7; data[1]&1 == 0 {
		head = 9 // crc_check
	}
	// Several raw data blocks in one frame (data[6]&3) need the block positions
	// of 1.A.2.2.2; nobody sends them.
	if size <= head || int(data[2]>>2&15) >= len(adtsRates) || data[6]&3 != 0 {
		return nil, 0, notHere
	}
	if size > len(data) {
		return nil, 0, needMore
	}
	// The next header must be there, or this one was chance.
	if len(data) >= size+2 && (data[size] != 0xff || data[size+1]&0xf6 != 0xf0) {
		return nil, 0, notHere
	}
	return data[:size], head, found
}

// MPEGAudioFormat returns the format that a frame header declares (ISO/IEC 11172-3
// 2.4.1.3). ClockRate is 90000, as RFC 2250 wants. The error wraps [ErrMalformed].
func MPEGAudioFormat(frame []byte) (Format, error) {
	var h mpeg1audio.FrameHeader
	if err := h.Unmarshal(frame); err != nil {
		return Format{}, fmt.Errorf("parse MPEG audio header: %w (%w)", ErrMalformed, err)
	}
	f := Format{Codec: MPEGAudio, ClockRate: 90000, Rate: h.SampleRate, Channels: 2, Profile: fmt.Sprintf("Layer %d", h.Layer)}
	if h.ChannelMode == mpeg1audio.ChannelModeMono {
		f.Channels = 1
	}
	return f, nil
}

// SplitMPEGAudio takes whole frames out of MPEG audio. rest is an incomplete frame
// at the end, to put in front of the next data; lost is how many bytes were skipped
// to find a header. The units share data's memory.
func SplitMPEGAudio(data []byte) (units [][]byte, rest []byte, lost int) {
	for len(data) > 0 {
		if data[0] != 0xff {
			at := max(bytes.IndexByte(data, 0xff), 0)
			if at == 0 {
				return units, nil, lost + len(data)
			}
			lost += at
			data = data[at:]
			continue
		}
		if len(data) < 5 {
			return units, data, lost
		}
		var h mpeg1audio.FrameHeader
		if err := h.Unmarshal(data); err != nil || h.FrameLen() < 5 {
			data = data[1:]
			lost++
			continue
		}
		n := h.FrameLen()
		if n > len(data) {
			return units, data, lost
		}
		// The next header must be there, or this one was chance.
		if len(data) >= n+2 && (data[n] != 0xff || data[n+1]&0xf0 != 0xf0) {
			data = data[1:]
			lost++
			continue
		}
		units = append(units, data[:n])
		data = data[n:]
	}
	return units, nil, lost
}
