package mpegts

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/asticode/go-astits"

	"tongxiang/internal/media"
)

// ErrFormat: a codec that a transport stream cannot carry, or a frame that does
// not fit its track's format. Errors of [NewWriter] and [Writer.WriteFrame] wrap it.
var ErrFormat = errors.New("not possible in a transport stream")

// pcrLead is how far the PCR runs ahead of the decoding times: what a decoder may buffer.
const pcrLead = Ticks / 5

// Writer writes one programme as a transport stream, for a child process or a
// file: variable bit rate, tables before every sync point and every 40 PES
// packets. It belongs to one goroutine.
type Writer struct {
	out    *bufio.Writer
	mux    *astits.Muxer
	tracks []writerTrack
	clock  int // the track that carries the PCR
	buf    []byte
}

type writerTrack struct {
	pid    uint16
	format media.Format
	stream byte // stream_id
}

// NewWriter returns a writer of tracks with these formats: H.264, H.265, MPEG-2
// video, AAC, MPEG audio, AC-3, E-AC-3 and Opus. The tables go out with the first frame.
func NewWriter(w io.Writer, formats []media.Format) (*Writer, error) {
	out := bufio.NewWriterSize(w, 256*PacketSize)
	z := &Writer{out: out, mux: astits.NewMuxer(context.Background(), out)}
	z.clock = -1
	for i, f := range formats {
		t := writerTrack{pid: uint16(0x100 + i), format: f}
		es := astits.PMTElementaryStream{ElementaryPID: t.pid}
		if err := t.declare(&es); err != nil {
			return nil, fmt.Errorf("track %d: %w", i, err)
		}
		if f.Language != "" && len(f.Language) == 3 {
			es.ElementaryStreamDescriptors = append(es.ElementaryStreamDescriptors, &astits.Descriptor{
				Tag: astits.DescriptorTagISO639LanguageAndAudioType, Length: 4,
				ISO639LanguageAndAudioType: &astits.DescriptorISO639LanguageAndAudioType{Language: []byte(f.Language)},
			})
		}
		if err := z.mux.AddElementaryStream(es); err != nil {
			return nil, fmt.Errorf("track %d: %w", i, err)
		}
		if z.clock < 0 && f.Codec.Kind() == media.Video {
			z.clock = i
		}
		z.tracks = append(z.tracks, t)
	}
	if len(z.tracks) == 0 {
		return nil, fmt.Errorf("no tracks: %w", ErrFormat)
	}
	z.clock = max(z.clock, 0)
	z.mux.SetPCRPID(z.tracks[z.clock].pid)
	return z, nil
}

// declare fills the PMT entry of a track.
func (t *writerTrack) declare(es *astits.PMTElementaryStream) error {
	const video, audio, private = 0xE0, 0xC0, 0xBD
	register := func(id string) *astits.Descriptor {
		n := uint32(id[0])<<24 | uint32(id[1])<<16 | uint32(id[2])<<8 | uint32(id[3])
		return &astits.Descriptor{
			Tag: astits.DescriptorTagRegistration, Length: 4,
			Registration: &astits.DescriptorRegistration{FormatIdentifier: n},
		}
	}
	switch t.format.Codec {
	case media.H264:
		es.StreamType, t.stream = astits.StreamTypeH264Video, video
	case media.H265:
		es.StreamType, t.stream = astits.StreamTypeH265Video, video
	case media.MPEG2Video:
		es.StreamType, t.stream = astits.StreamTypeMPEG2Video, video
	case media.MPEGAudio:
		es.StreamType, t.stream = astits.StreamTypeMPEG1Audio, audio
	case media.AAC:
		es.StreamType, t.stream = astits.StreamTypeAACAudio, audio
		if _, ok := ADTSHead(t.format.Config); !ok {
			return fmt.Errorf("AAC configuration %x: %w", t.format.Config, ErrFormat)
		}
	case media.AC3:
		es.StreamType, t.stream = astits.StreamTypeAC3Audio, private
		es.ElementaryStreamDescriptors = []*astits.Descriptor{register("AC-3")}
	case media.EAC3:
		es.StreamType, t.stream = astits.StreamTypeEAC3Audio, private
		es.ElementaryStreamDescriptors = []*astits.Descriptor{register("EAC3")}
	case media.Opus:
		es.StreamType, t.stream = astits.StreamTypePrivateData, private
		es.ElementaryStreamDescriptors = []*astits.Descriptor{register("Opus"), {
			Tag: astits.DescriptorTagExtension, Length: 2,
			Extension: &astits.DescriptorExtension{Tag: 0x80, Unknown: &[]byte{byte(max(t.format.Channels, 1))}},
		}}
	default:
		return fmt.Errorf("codec %s: %w", t.format.Codec, ErrFormat)
	}
	return nil
}

// WriteFrame writes one frame of a track, by its index in the formats. Times go
// out as ticks of 90 kHz modulo 2^33, unchanged otherwise. Frames of one track come
// in decoding order. What it returns, apart from [ErrFormat], is the error of the
// underlying writer.
func (z *Writer) WriteFrame(track int, f *media.Frame) error {
	if track < 0 || track >= len(z.tracks) {
		return fmt.Errorf("track %d of %d: %w", track, len(z.tracks), ErrFormat)
	}
	t := &z.tracks[track]
	data, err := t.elementary(z.buf[:0], f)
	if err != nil {
		return err
	}
	if len(data) == 0 {
		return nil
	}
	z.buf = data
	pts, dts := f.PTS.Ticks(Ticks)&(wrap-1), f.DTS.Ticks(Ticks)&(wrap-1)
	head := &astits.PESOptionalHeader{
		MarkerBits: 2, DataAlignmentIndicator: true,
		PTSDTSIndicator: astits.PTSDTSIndicatorOnlyPTS, PTS: &astits.ClockReference{Base: pts},
	}
	if dts != pts {
		head.PTSDTSIndicator = astits.PTSDTSIndicatorBothPresent
		head.DTS = &astits.ClockReference{Base: dts}
	}
	var field *astits.PacketAdaptationField
	if f.Sync && t.format.Codec.Kind() == media.Video || track == z.clock {
		field = &astits.PacketAdaptationField{RandomAccessIndicator: f.Sync}
	}
	if track == z.clock {
		field.HasPCR = true
		field.PCR = &astits.ClockReference{Base: (dts - pcrLead) & (wrap - 1)}
		field.DiscontinuityIndicator = f.Gap
	}
	_, err = z.mux.WriteData(&astits.MuxerData{
		PID: t.pid, AdaptationField: field,
		PES: &astits.PESData{Header: &astits.PESHeader{OptionalHeader: head, StreamID: t.stream}, Data: data},
	})
	if err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	if err := z.out.Flush(); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	return nil
}

// elementary appends a frame as bytes of its elementary stream.
func (t *writerTrack) elementary(b []byte, f *media.Frame) ([]byte, error) {
	switch t.format.Codec {
	case media.H264:
		b = append(b, 0, 0, 0, 1, byte(media.H264AUD), 0xF0)
		return annexB(b, f.Units), nil
	case media.H265:
		b = append(b, 0, 0, 0, 1, 35<<1, 1, 0x50)
		return annexB(b, f.Units), nil
	case media.AAC:
		for _, u := range f.Units {
			h, ok := ADTSHeader(t.format.Config, len(u))
			if !ok {
				return nil, fmt.Errorf("AAC frame of %d bytes: %w", len(u), ErrFormat)
			}
			b = append(append(b, h[:]...), u...)
		}
		return b, nil
	case media.Opus:
		for _, u := range f.Units {
			b = append(b, 0x7F, 0xE0)
			n := len(u)
			for ; n >= 255; n -= 255 {
				b = append(b, 255)
			}
			b = append(b, byte(n))
			b = append(b, u...)
		}
		return b, nil
	}
	for _, u := range f.Units {
		b = append(b, u...)
	}
	return b, nil
}

// annexB appends NAL units with start codes, without delimiters of their own.
func annexB(b []byte, units [][]byte) []byte {
	for _, u := range units {
		if len(u) == 0 {
			continue
		}
		b = append(b, 0, 0, 0, 1)
		b = append(b, u...)
	}
	return b
}

// ADTSHead returns the first four bytes of the ADTS headers (ISO/IEC 14496-3
// 1.A.2) for an AudioSpecificConfig, without length; ok is false when ADTS cannot
// say it. Extensions such as SBR are left to the decoder to find, as broadcasters do.
func ADTSHead(config []byte) (h [4]byte, ok bool) {
	r := bitReader{b: config}
	object := r.bits(5)
	index := r.bits(4)
	if index == 15 {
		return h, false // a rate that ADTS cannot say
	}
	channels := r.bits(4)
	if object == 5 || object == 29 { // explicit SBR: the object type of the core follows
		if r.bits(4) == 15 {
			r.bits(24)
		}
		object = r.bits(5)
	}
	if r.over || object < 1 || object > 4 || channels > 7 {
		return h, false
	}
	h = [4]byte{0xFF, 0xF1, byte(object-1)<<6 | byte(index)<<2 | byte(channels>>2), byte(channels&3) << 6}
	return h, true
}
