package media

import (
	"encoding/binary"
	"fmt"
)

// VP8Descriptor is the descriptor in front of each VP8 payload (RFC 7741 4.2).
type VP8Descriptor struct {
	Size      int // bytes before the VP8 data
	Start     bool
	Partition uint8

	// PictureID is valid when HasPictureID; PictureIDAt is where it lies in the
	// payload. LongPictureID says that it has 15 bits rather than 7.
	HasPictureID, LongPictureID bool
	PictureID                   uint16
	PictureIDAt                 int

	HasTL0      bool // TL0PICIDX is there, at TL0At
	TL0         uint8
	TL0At       int
	HasTemporal bool // Temporal is the temporal layer, 0 the base
	Temporal    uint8
	LayerSync   bool
	NonRef      bool // the picture may be dropped without harm to others
}

// ParseVP8 reads the descriptor of an RTP payload. It allocates nothing unless it
// fails; the error wraps [ErrMalformed].
func ParseVP8(p []byte) (VP8Descriptor, error) {
	d, ok := parseVP8(p)
	if !ok {
		return VP8Descriptor{}, fmt.Errorf("VP8 payload of %d bytes: %w", len(p), ErrMalformed)
	}
	return d, nil
}

func parseVP8(p []byte) (d VP8Descriptor, ok bool) {
	if len(p) == 0 {
		return d, false
	}
	d.NonRef, d.Start, d.Partition = p[0]&0x20 != 0, p[0]&0x10 != 0, p[0]&7
	d.Size = 1
	if p[0]&0x80 == 0 {
		return d, len(p) > d.Size
	}
	if len(p) < 2 {
		return d, false
	}
	x := p[1]
	d.Size = 2
	if x&0x80 != 0 {
		if len(p) <= d.Size {
			return d, false
		}
		d.HasPictureID, d.PictureIDAt = true, d.Size
		if p[d.Size]&0x80 == 0 {
			d.PictureID = uint16(p[d.Size])
			d.Size++
		} else {
			if len(p) < d.Size+2 {
				return d, false
			}
			d.LongPictureID = true
			d.PictureID = binary.BigEndian.Uint16(p[d.Size:]) & 0x7fff
			d.Size += 2
		}
	}
	if x&0x40 != 0 {
		if len(p) <= d.Size {
			return d, false
		}
		d.HasTL0, d.TL0, d.TL0At = true, p[d.Size], d.Size
		d.Size++
	}
	if x&0x30 != 0 {
		if len(p) <= d.Size {
			return d, false
		}
		d.HasTemporal = x&0x20 != 0
		d.Temporal, d.LayerSync = p[d.Size]>>6, p[d.Size]&0x20 != 0
		d.Size++
	}
	return d, len(p) > d.Size
}

// VP8Key reports whether a VP8 frame is a key frame (RFC 6386 9.1).
func VP8Key(frame []byte) bool { return len(frame) > 0 && frame[0]&1 == 0 }

// VP8Size returns the size of the picture in samples from a key frame's header
// (RFC 6386 9.1). The error wraps [ErrMalformed]; a frame that is not a key frame
// says no size.
func VP8Size(frame []byte) (width, height int, err error) {
	if !VP8Key(frame) || len(frame) < 10 || frame[3] != 0x9d || frame[4] != 0x01 || frame[5] != 0x2a {
		return 0, 0, fmt.Errorf("VP8 key frame header: %w", ErrMalformed)
	}
	return int(binary.LittleEndian.Uint16(frame[6:]) & 0x3fff), int(binary.LittleEndian.Uint16(frame[8:]) & 0x3fff), nil
}
