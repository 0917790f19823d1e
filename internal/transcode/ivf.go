package transcode

import (
	"encoding/binary"
	"fmt"

	"tongxiang/internal/media"
)

// ivfHeader returns the head of an IVF file of VP8 whose times are ticks of 90 kHz:
// what ffmpeg reads VP8 from without having to guess (the format is libvpx's,
// ivfenc.c; numbers are little-endian).
func ivfHeader(width, height int) []byte {
	b := make([]byte, 0, 32)
	b = append(b, "DKIF\x00\x00\x20\x00VP80"...) // signature, version 0, 32 bytes, codec
	b = binary.LittleEndian.AppendUint16(b, uint16(width))
	b = binary.LittleEndian.AppendUint16(b, uint16(height))
	b = binary.LittleEndian.AppendUint32(b, 90000) // ticks a second
	b = binary.LittleEndian.AppendUint32(b, 1)
	return append(b, 0, 0, 0, 0, 0, 0, 0, 0) // number of pictures: not known; unused
}

// appendIVF appends a picture shown at a time.
func appendIVF(b []byte, f *media.Frame, ticks int64) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(f.Size()))
	b = binary.LittleEndian.AppendUint64(b, uint64(ticks))
	for _, u := range f.Units {
		b = append(b, u...)
	}
	return b
}

// vp8Canvas returns the size in which a VP8 key frame goes out: its own, made even and
// no larger than 1280×720 holds.
func vp8Canvas(f *media.Frame) (width, height int, err error) {
	if len(f.Units) == 0 {
		return 0, 0, fmt.Errorf("empty key frame: %w", media.ErrMalformed)
	}
	w, h, err := media.VP8Size(f.Units[0])
	if err != nil {
		return 0, 0, err
	}
	width, height = canvas(w, h)
	return width, height, nil
}

// canvas returns a size of the same shape that is even and fits into 1280×720, or,
// upright, into 720×1280.
func canvas(w, h int) (width, height int) {
	longest, shortest := max(w, h), min(w, h)
	num, den := 1, 1
	if longest*720 > shortest*1280 {
		if longest > 1280 {
			num, den = 1280, longest
		}
	} else if shortest > 720 {
		num, den = 720, shortest
	}
	return max(w*num/den/2*2, 2), max(h*num/den/2*2, 2)
}
