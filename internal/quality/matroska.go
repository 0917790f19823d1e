package quality

import (
	"encoding/binary"
	"math"

	"tongxiang/internal/media"
)

// Samples reach a decoder in Matroska (RFC 9559): a packet of it is a whole access
// unit with a time, so that the child neither waits for the next one nor guesses, and
// what comes out can be matched with what went in. Only what the child reads is written.

// Element ids (RFC 9559 5.1).
const (
	idEBML         = 0x1A45DFA3
	idDocType      = 0x4282
	idSegment      = 0x18538067
	idInfo         = 0x1549A966
	idScale        = 0x2AD7B1
	idTracks       = 0x1654AE6B
	idTrackEntry   = 0xAE
	idTrackNumber  = 0xD7
	idTrackUID     = 0x73C5
	idTrackType    = 0x83
	idCodecID      = 0x86
	idCodecPrivate = 0x63A2
	idVideo        = 0xE0
	idWidth        = 0xB0
	idHeight       = 0xBA
	idDisplayUnit  = 0x54B2
	idAudio        = 0xE1
	idFrequency    = 0xB5
	idChannels     = 0x9F
	idCluster      = 0x1F43B675
	idTimestamp    = 0xE7
	idSimpleBlock  = 0xA3
)

// element appends an element with its id and size.
func element(b []byte, id uint32, body []byte) []byte {
	b = elementID(b, id)
	// Eight bytes of size are always allowed.
	b = binary.BigEndian.AppendUint64(b, 1<<56|uint64(len(body)))
	return append(b, body...)
}

func elementID(b []byte, id uint32) []byte {
	for shift := 24; shift >= 0; shift -= 8 {
		if id>>shift != 0 {
			b = append(b, byte(id>>shift))
		}
	}
	return b
}

func elementUint(b []byte, id uint32, v uint64) []byte {
	return element(b, id, binary.BigEndian.AppendUint64(nil, v))
}

// codecID returns Matroska's name of a codec; ok is false when no child decodes it.
func codecID(c media.Codec) (name string, ok bool) {
	switch c {
	case media.H264:
		return "V_MPEG4/ISO/AVC", true
	case media.H265:
		return "V_MPEGH/ISO/HEVC", true
	case media.MPEG2Video:
		return "V_MPEG2", true
	case media.MPEGAudio:
		return "A_MPEG/L2", true
	case media.AAC:
		return "A_AAC", true
	case media.AC3:
		return "A_AC3", true
	case media.EAC3:
		return "A_EAC3", true
	}
	return "", false
}

// matroskaHead returns what stands before the first cluster.
func matroskaHead(codec media.Codec) []byte {
	name, _ := codecID(codec)
	out := element(nil, idEBML, element(nil, idDocType, []byte("matroska")))
	out = elementID(out, idSegment)
	out = append(out, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF) // of unknown size
	out = element(out, idInfo, elementUint(nil, idScale, 1_000_000))  // times in milliseconds
	track := elementUint(nil, idTrackNumber, 1)
	track = elementUint(track, idTrackUID, 1)
	track = element(track, idCodecID, []byte(name))
	// Sizes and rates are those of the headers in each sample; these only satisfy readers.
	if codec.Kind() == media.Video {
		track = elementUint(track, idTrackType, 1)
		size := elementUint(elementUint(nil, idWidth, 720), idHeight, 576)
		// The shape of samples is unknown here, so that the one in the headers counts.
		track = element(track, idVideo, elementUint(size, idDisplayUnit, 4))
	} else {
		track = elementUint(track, idTrackType, 2)
		rate := binary.BigEndian.AppendUint64(nil, math.Float64bits(48000))
		track = element(track, idAudio, elementUint(element(nil, idFrequency, rate), idChannels, 2))
	}
	return element(out, idTracks, element(nil, idTrackEntry, track))
}

// block is one packet of a sample: milliseconds after its begin, and its bytes in pieces.
type block struct {
	at   int16
	data [][]byte
}

// appendCluster appends a sample as one cluster that begins at ms.
func appendCluster(b []byte, ms int64, blocks []block) []byte {
	size := 2 + 7 + 8 // timestamp: id, size, value
	for _, k := range blocks {
		size += 1 + 8 + 4 + k.size()
	}
	b = elementID(b, idCluster)
	b = binary.BigEndian.AppendUint64(b, 1<<56|uint64(size))
	b = elementUint(b, idTimestamp, uint64(ms))
	for _, k := range blocks {
		b = append(b, idSimpleBlock)
		b = binary.BigEndian.AppendUint64(b, 1<<56|uint64(4+k.size()))
		b = append(b, 0x81, byte(k.at>>8), byte(k.at), 0x80)
		for _, d := range k.data {
			b = append(b, d...)
		}
	}
	return b
}

func (k block) size() int {
	n := 0
	for _, d := range k.data {
		n += len(d)
	}
	return n
}
