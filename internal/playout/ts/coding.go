package ts

import (
	"errors"
	"fmt"

	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
)

// ErrFormat: a codec that a transport stream cannot carry, or a frame that does not
// fit its track's format.
var ErrFormat = errors.New("not possible in a transport stream")

// Stream ids of PES headers (ISO/IEC 13818-1 table 2-22).
const (
	idVideo   = 0xE0
	idAudio   = 0xC0
	idPrivate = 0xBD
)

// Stream types (ISO/IEC 13818-1 table 2-34; 0x06 is told by descriptors).
const (
	typeMPEG2   = 0x02
	typeMPEG1A  = 0x03
	typeMPEG2A  = 0x04
	typePrivate = 0x06
	typeADTS    = 0x0F
	typeLATM    = 0x11
	typeH264    = 0x1B
	typeH265    = 0x24
)

// Descriptor tags (ISO/IEC 13818-1 table 2-45, ETSI EN 300 468 table 12).
const (
	descRegistration = 0x05
	descLanguage     = 0x0A
	descNetworkName  = 0x40
	descServiceList  = 0x41
	descService      = 0x48
	descShortEvent   = 0x4D
	descTimeOffset   = 0x58
	descAC3          = 0x6A
	descEAC3         = 0x7A
	descAAC          = 0x7C
	descExtension    = 0x7F
)

// maxFrame bounds an access unit: ten times a 4K intra picture of a broadcast.
const maxFrame = 8 << 20

// coding is how the frames of a format become an elementary stream.
type coding struct {
	format      media.Format
	streamType  byte
	streamID    byte
	descriptors []byte // of the PMT's entry
	adts        [4]byte
	latm        *latm
	unitTime    stc // how long one unit of sound lasts, about
}

// Carriable returns nil when a transport stream can carry the format, else the reason.
func Carriable(f media.Format) error {
	_, err := newCoding(f, false)
	return err
}

// newCoding returns the coding of a format; useLATM puts AAC into LOAS/LATM instead of ADTS.
func newCoding(f media.Format, useLATM bool) (coding, error) {
	c := coding{format: f, streamID: idVideo}
	register := func(id string) { c.descriptors = append(append(c.descriptors, descRegistration, 4), id...) }
	samples, rate := 1024, f.Rate
	switch f.Codec {
	case media.H264:
		c.streamType = typeH264
	case media.H265:
		c.streamType = typeH265
		register("HEVC")
	case media.MPEG2Video:
		c.streamType = typeMPEG2
	case media.MPEGAudio:
		c.streamType, c.streamID, samples = typeMPEG1A, idAudio, 1152
		if f.Rate > 0 && f.Rate < 32000 { // the low frequencies are ISO/IEC 13818-3's
			c.streamType = typeMPEG2A
		}
	case media.AAC:
		c.streamType, c.streamID = typeADTS, idAudio
		head, ok := mpegts.ADTSHead(f.Config)
		if !ok {
			return c, fmt.Errorf("AAC configuration %x: %w", f.Config, ErrFormat)
		}
		c.adts = head
		if useLATM {
			c.streamType, c.latm = typeLATM, newLATM(f.Config)
			// EN 300 468 annex H: profile and level are not said.
			c.descriptors = append(c.descriptors, descAAC, 1, 0xFF)
		}
	case media.AC3: // DVB's way: private data with a descriptor (EN 300 468 annex D)
		c.streamType, c.streamID, samples = typePrivate, idPrivate, 1536
		c.descriptors = append(c.descriptors, descAC3, 1, 0)
	case media.EAC3:
		c.streamType, c.streamID, samples = typePrivate, idPrivate, 1536
		c.descriptors = append(c.descriptors, descEAC3, 1, 0)
	case media.Opus:
		c.streamType, c.streamID, samples, rate = typePrivate, idPrivate, 960, 48000
		register("Opus")
		c.descriptors = append(c.descriptors, descExtension, 2, 0x80, byte(min(max(f.Channels, 1), 8)))
	case media.VP8, media.MPEG4Video, media.AVS, media.PCMA, media.PCMU, media.Unknown:
		return c, fmt.Errorf("codec %s: %w", f.Codec, ErrFormat)
	default:
		return c, fmt.Errorf("codec %s: %w", f.Codec, ErrFormat)
	}
	if f.Codec.Kind() == media.Audio {
		if rate <= 0 {
			rate = 48000
		}
		c.unitTime = stc(int64(samples) * stcRate / int64(rate))
	}
	if len(f.Language) == 3 {
		c.descriptors = append(append(append(c.descriptors, descLanguage, 4), f.Language...), 0)
	}
	return c, nil
}

func (c *coding) picture() bool { return c.streamID == idVideo }

// Access unit delimiters with start codes: every kind of slice may follow.
var (
	startCode     = []byte{0, 0, 0, 1}
	delimiterH264 = []byte{0, 0, 0, 1, byte(media.H264AUD), 0xF0}
	delimiterH265 = []byte{0, 0, 0, 1, byte(media.H265AUD) << 1, 1, 0x50}
)

// fill makes p the PES packet of a frame. The frame's bytes are referred to, not
// copied; p's own memory is used again.
func (c *coding) fill(p *pes, f *media.Frame, pts, dts int64) error {
	p.reset()
	units := f.Units
	switch c.format.Codec {
	case media.H264, media.H265:
		if f.Sync {
			// Sync frames have their sets in band; one that came otherwise gets those
			// of the format.
			units = media.WithParameterSets(c.format.Codec, units, c.format.Params)
		}
		c.annexB(p, units)
	case media.AAC:
		if err := c.aac(p, units); err != nil {
			return err
		}
	case media.Opus:
		for _, u := range units {
			if len(u) == 0 {
				continue
			}
			from := len(p.arena)
			p.arena = append(p.arena, 0x7F, 0xE0)
			n := len(u)
			for ; n >= 255; n -= 255 {
				p.arena = append(p.arena, 255)
			}
			p.arena = append(p.arena, byte(n))
			p.add(p.arena[from:])
			p.add(u)
			p.units++
		}
	default:
		for _, u := range units {
			if len(u) > 0 {
				p.add(u)
				p.units++
			}
		}
	}
	if p.units == 0 || p.size > maxFrame {
		return fmt.Errorf("frame of %d bytes: %w", p.size, ErrFormat)
	}
	return p.begin(c, pts, dts)
}

func (c *coding) annexB(p *pes, units [][]byte) {
	if c.format.Codec == media.H264 {
		p.add(delimiterH264)
	} else {
		p.add(delimiterH265)
	}
	for _, u := range units {
		if len(u) == 0 || c.delimiter(u) {
			continue
		}
		p.add(startCode)
		p.add(u)
		p.units++
	}
}

func (c *coding) delimiter(u []byte) bool {
	if c.format.Codec == media.H264 {
		return media.H264Type(u) == media.H264AUD
	}
	return media.H265Type(u) == media.H265AUD
}

func (c *coding) aac(p *pes, units [][]byte) error {
	for _, u := range units {
		if len(u) == 0 {
			continue
		}
		n := len(u) + 7
		if n >= 1<<13 || c.latm != nil && len(u) > maxLATM {
			return fmt.Errorf("AAC frame of %d bytes: %w", len(u), ErrFormat)
		}
		from := len(p.arena)
		p.units++
		if c.latm != nil {
			p.arena = c.latm.append(p.arena, u)
			p.add(p.arena[from:])
			continue
		}
		h := c.adts
		p.arena = append(p.arena, h[0], h[1], h[2], h[3]|byte(n>>11), byte(n>>3), byte(n<<5)|0x1F, 0xFC)
		p.add(p.arena[from:])
		p.add(u)
	}
	return nil
}
