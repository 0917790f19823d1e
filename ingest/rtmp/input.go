package rtmp

import (
	"fmt"
	"time"

	"github.com/bluenviron/gortmplib/pkg/message"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

const (
	// even is how far a sound's time may be from where the one before ended and
	// still be there: RTMP counts whole milliseconds.
	even = 3 * time.Millisecond
	// clockRate is that of RTMP's timestamps.
	clockRate = 1000
)

// input makes an encoder's messages frames. It belongs to the connection's goroutine.
type input struct {
	pub   *stream.Publisher
	now   func() int64
	drops *stream.Drops

	clock  *media.RTPClock // one for both tracks: they have one clock
	stamps media.Unwrapper
	video  lane
	audio  lane
	next   media.Time // where the last sound ended
}

type lane struct {
	track  *stream.Track
	format media.Format
	last   media.Time // DTS written
	begun  bool
}

func newInput(pub *stream.Publisher, clock media.Clock, drops *stream.Drops) *input {
	return &input{
		pub: pub, now: clock.Now, drops: drops,
		clock: media.NewRTPClock(clockRate), stamps: media.NewUnwrapper(32),
	}
}

// take takes one message. An error ends the connection.
func (in *input) take(msg message.Message) error {
	switch m := msg.(type) {
	case *message.Video:
		switch m.Type {
		case message.VideoTypeConfig:
			return in.configure(parseAVCConfig(m.Payload))
		case message.VideoTypeAU:
			return in.picture(media.H264, m.DTS, m.PTSDelta, m.Payload)
		case message.VideoTypeEOS:
		}
	case *message.VideoExSequenceStart:
		return in.sequence(m)
	case *message.VideoExCodedFrames:
		return in.picture(codecOf(m.FourCC), m.DTS, m.PTSDelta, m.Payload)
	case *message.VideoExFramesX:
		return in.picture(codecOf(m.FourCC), m.DTS, 0, m.Payload)
	case *message.Audio:
		return in.sound(m)
	case *message.AudioExSequenceStart:
		return in.sequenceOfSound(m)
	case *message.AudioExCodedFrames:
		in.frame(m.DTS, m.Payload)
	case *message.VideoExMultitrack, *message.AudioExMultitrack:
		in.drops.Add(stream.DropUnplayable, 1) // further tracks of one encoder
	}
	return nil
}

func codecOf(c message.FourCC) media.Codec {
	switch c {
	case message.FourCCAVC:
		return media.H264
	case message.FourCCHEVC:
		return media.H265
	}
	return media.Unknown
}

// configure publishes a picture's track, or its new format.
func (in *input) configure(f media.Format, err error) error {
	if err != nil {
		return err
	}
	in.video.open(in.pub, stream.LabelVideo, f)
	return nil
}

func (l *lane) open(pub *stream.Publisher, label stream.Label, f media.Format) {
	l.format = f
	l.track = pub.AddTrack(stream.TrackInfo{Label: label, Form: stream.Frames, Format: f})
}

func (in *input) sequence(m *message.VideoExSequenceStart) error {
	switch {
	case m.FourCC == message.FourCCAVC && m.AVCHeader != nil:
		var sets [][]byte
		for _, s := range m.AVCHeader.SequenceParameterSets {
			sets = append(sets, s.NALUnit)
		}
		for _, s := range m.AVCHeader.PictureParameterSets {
			sets = append(sets, s.NALUnit)
		}
		return in.configure(media.H264Format(sets))
	case m.FourCC == message.FourCCHEVC && m.HEVCHeader != nil:
		var sets [][]byte
		for _, a := range m.HEVCHeader.NaluArrays {
			for _, n := range a.Nalus {
				sets = append(sets, n.NALUnit)
			}
		}
		return in.configure(media.H265Format(sets))
	}
	return fmt.Errorf("picture in %v, which is not taken", m.FourCC)
}

// parseAVCConfig reads an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.3.3.1).
func parseAVCConfig(b []byte) (media.Format, error) {
	if len(b) < 7 || b[4]&3 != 3 {
		return media.Format{}, fmt.Errorf("H.264 configuration of %d bytes, or with lengths of other than 4 bytes", len(b))
	}
	var sets [][]byte
	rest := b[5:]
	for _, mask := range []byte{0x1F, 0xFF} { // SPS, then PPS
		if len(rest) < 1 {
			return media.Format{}, fmt.Errorf("H.264 configuration is cut short")
		}
		n := int(rest[0] & mask)
		rest = rest[1:]
		for range n {
			if len(rest) < 2 {
				return media.Format{}, fmt.Errorf("H.264 configuration is cut short")
			}
			size := int(rest[0])<<8 | int(rest[1])
			if size > len(rest)-2 {
				return media.Format{}, fmt.Errorf("H.264 configuration is cut short")
			}
			sets = append(sets, rest[2:2+size])
			rest = rest[2+size:]
		}
	}
	return media.H264Format(sets)
}

// time returns the time of a timestamp on the hub's clock.
func (in *input) time(dts time.Duration, now int64) media.Time {
	t, _ := in.clock.Time(in.stamps.Unwrap(uint64(uint32(dts/time.Millisecond))), now)
	return t
}

// picture writes an access unit. The library reads the offset of its presentation,
// which is signed, as unsigned.
func (in *input) picture(codec media.Codec, dts, offset time.Duration, payload []byte) error {
	l := &in.video
	if l.track == nil || codec != l.format.Codec {
		in.drops.Add(stream.DropUnplayable, 1)
		return nil
	}
	units, err := media.SplitAVCC(payload)
	if err != nil {
		in.drops.Add(stream.DropMalformed, 1)
		return nil
	}
	kept := units[:0]
	for _, u := range units {
		if len(u) > 1 {
			kept = append(kept, u)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	if offset >= 1<<23*time.Millisecond {
		offset -= 1 << 24 * time.Millisecond
	}
	now := in.now()
	f := &media.Frame{Units: kept, Arrival: now, DTS: in.time(dts, now)}
	if codec == media.H264 {
		f.Sync, f.IDR = media.H264Sync(kept)
	} else {
		f.Sync, f.IDR = media.H265Sync(kept)
	}
	if f.Sync {
		f.Units = media.WithParameterSets(codec, kept, l.format.Params)
	}
	if l.begun && f.DTS <= l.last {
		f.DTS = l.last + 1 // an encoder's slip
	}
	f.PTS = f.DTS.Add(max(offset, 0))
	f.Gap = !l.begun
	l.begun, l.last = true, f.DTS
	l.track.WriteFrame(f)
	return nil
}

// sound takes a message of classic RTMP.
func (in *input) sound(m *message.Audio) error {
	var f media.Format
	var err error
	switch m.Codec {
	case message.CodecMPEG4Audio:
		if m.AACType == message.AudioAACTypeConfig {
			if f, err = media.AACFormat(m.Payload); err != nil {
				return fmt.Errorf("AAC configuration: %w", err)
			}
			in.audio.open(in.pub, stream.LabelAudio, f)
			return nil
		}
	case message.CodecMPEG1Audio:
		if in.audio.track == nil {
			if f, err = media.MPEGAudioFormat(m.Payload); err != nil {
				in.drops.Add(stream.DropMalformed, 1)
				return nil
			}
			in.audio.open(in.pub, stream.LabelAudio, f)
		}
	case message.CodecPCMA, message.CodecPCMU:
		if in.audio.track == nil {
			f = media.Format{Codec: media.PCMA, ClockRate: 8000, Rate: 8000, Channels: 1}
			if m.Codec == message.CodecPCMU {
				f.Codec = media.PCMU
			}
			in.audio.open(in.pub, stream.LabelAudio, f)
		}
	default:
		in.drops.Add(stream.DropUnplayable, 1)
		return nil
	}
	in.frame(m.DTS, m.Payload)
	return nil
}

// sequenceOfSound publishes a sound of Enhanced RTMP.
func (in *input) sequenceOfSound(m *message.AudioExSequenceStart) error {
	switch {
	case m.FourCC == message.FourCCOpus && m.OpusHeader != nil:
		in.audio.open(in.pub, stream.LabelAudio, media.Format{
			Codec: media.Opus, ClockRate: 48000, Rate: 48000, Channels: min(max(int(m.OpusHeader.ChannelCount), 1), 2),
		})
		return nil
	case m.FourCC == message.FourCCMP4A && m.AACHeader != nil:
		config, err := m.AACHeader.Marshal()
		if err != nil {
			return fmt.Errorf("AAC configuration: %w", err)
		}
		f, err := media.AACFormat(config)
		if err != nil {
			return fmt.Errorf("AAC configuration: %w", err)
		}
		in.audio.open(in.pub, stream.LabelAudio, f)
		return nil
	}
	in.drops.Add(stream.DropUnplayable, 1)
	return nil
}

// frame writes the units of a sound.
func (in *input) frame(dts time.Duration, payload []byte) {
	l := &in.audio
	if l.track == nil || len(payload) == 0 {
		in.drops.Add(stream.DropUnplayable, 1)
		return
	}
	units := [][]byte{payload}
	if l.format.Codec == media.MPEGAudio {
		if units, _, _ = media.SplitMPEGAudio(payload); len(units) == 0 {
			in.drops.Add(stream.DropMalformed, 1)
			return
		}
	}
	now := in.now()
	t := in.time(dts, now)
	if off := t.Sub(in.next); l.begun && off < even && off > -even {
		t = in.next
	}
	if l.begun && t <= l.last {
		t = l.last + 1
	}
	f := &media.Frame{PTS: t, DTS: t, Units: units, Arrival: now, Sync: true, IDR: true, Gap: !l.begun}
	l.begun, l.last = true, t
	in.next = t.Add(f.Duration(l.format))
	l.track.WriteFrame(f)
}
