package mpegts

import (
	"fmt"

	"tongxiang/internal/media"
)

// identity is what a PMT entry says its stream is.
type identity struct {
	codec media.Codec // media.Unknown: not a picture or sound that we know
	note  string      // for media.Unknown
	media bool        // a picture or a sound, known to us or not
	latm  bool        // AAC in LOAS/LATM instead of ADTS
	chans int         // Opus: channels, when the PMT says so
}

// identify reads the stream type and its descriptors (ISO/IEC 13818-1 table 2-34
// and its amendments, ATSC A/52, ETSI EN 300 468 annex D, GB/T 20090.1). hdmv is
// set for a programme registered as Blu-ray's, which has types of its own.
func identify(typ byte, d descriptors, hdmv bool) identity {
	known := func(c media.Codec) identity { return identity{codec: c, media: true} }
	other := func(note string) identity { return identity{codec: media.Unknown, note: note} }
	foreign := func(note string) identity { return identity{codec: media.Unknown, note: note, media: true} }
	switch typ {
	case 0x01, 0x02:
		return known(media.MPEG2Video)
	case 0x03, 0x04:
		return known(media.MPEGAudio)
	case 0x05:
		return other("private sections")
	case 0x06:
		return private(d)
	case 0x08, 0x0A, 0x0B, 0x0C, 0x0D, 0x14:
		return other("DSM-CC")
	case 0x0F:
		return known(media.AAC)
	case 0x10:
		return known(media.MPEG4Video)
	case 0x11:
		i := known(media.AAC)
		i.latm = true
		return i
	case 0x15:
		return other("metadata")
	case 0x1B:
		return known(media.H264)
	case 0x1F, 0x20:
		return foreign("H264 SVC/MVC")
	case 0x21:
		return foreign("JPEG 2000")
	case 0x24:
		return known(media.H265)
	case 0x2D, 0x2E:
		return foreign("MPEG-H audio")
	case 0x33:
		return foreign("VVC")
	case 0x42:
		return known(media.AVS)
	case 0xD2:
		i := known(media.AVS)
		i.note = "AVS2"
		return i
	case 0xD4:
		i := known(media.AVS)
		i.note = "AVS3"
		return i
	case 0x43, 0xD3, 0xD5:
		return foreign("AVS audio")
	case 0x81:
		return known(media.AC3)
	case 0x82:
		if hdmv || d.registration() == "DTS1" {
			return foreign("DTS")
		}
		return other("SCTE subtitles")
	case 0x86:
		if hdmv {
			return foreign("DTS-HD")
		}
		return other("SCTE-35")
	case 0x84, 0x87:
		return known(media.EAC3)
	case 0x85, 0x8A:
		return foreign("DTS")
	}
	if typ >= 0x80 {
		if i := private(d); i.media {
			return i
		}
	}
	return other(fmt.Sprintf("stream type 0x%02X", typ))
}

// private reads what stream type 0x06 leaves to descriptors.
func private(d descriptors) identity {
	known := func(c media.Codec) identity { return identity{codec: c, media: true} }
	other := func(note string) identity { return identity{codec: media.Unknown, note: note} }
	foreign := func(note string) identity { return identity{codec: media.Unknown, note: note, media: true} }
	switch d.registration() {
	case "Opus":
		i := known(media.Opus)
		if b, ok := d.extension(0x80); ok && len(b) > 0 {
			i.chans = int(b[0])
		}
		return i
	case "AC-3":
		return known(media.AC3)
	case "EAC3":
		return known(media.EAC3)
	case "HEVC":
		return known(media.H265)
	case "AC-4":
		return foreign("AC-4")
	case "AV01":
		return foreign("AV1")
	case "DTS1", "DTS2", "DTS3":
		return foreign("DTS")
	case "BSSD":
		return foreign("SMPTE 302M audio")
	case "AVSV":
		return known(media.AVS)
	case "KLVA":
		return other("KLV metadata")
	}
	switch {
	case d.has(descAC3):
		return known(media.AC3)
	case d.has(descEAC3):
		return known(media.EAC3)
	case d.has(descAAC):
		return known(media.AAC)
	case d.has(descDTS):
		return foreign("DTS")
	case d.has(descTeletext):
		return other("teletext")
	case d.has(descTeletextVBI):
		return other("teletext (VBI)")
	case d.has(descSubtitling):
		return other("DVB subtitles")
	}
	if _, ok := d.extension(0x15); ok {
		return foreign("AC-4")
	}
	if _, ok := d.extension(0x0E); ok {
		return foreign("DTS-HD")
	}
	if _, ok := d.extension(0x11); ok {
		return other("T2-MI")
	}
	return other("private data")
}
