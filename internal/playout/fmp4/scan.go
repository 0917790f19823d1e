package fmp4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrNoInit: the bytes do not begin with a whole initialisation segment, so
// nothing in them can be played.
var ErrNoInit = errors.New("no initialisation segment")

// Extent is how much of a file is whole.
type Extent struct {
	// Bytes is the length up to the end of the last whole fragment: where a
	// torn file is to be cut.
	Bytes int64
	// Fragments is how many whole fragments there are.
	Fragments int
	// Duration is where the last sample ends, on the file's own time axis.
	Duration time.Duration
	// Index is where each whole fragment lies.
	Index []Fragment
	// Space is where the box of [Space] lies, 0 when there is none.
	Space int64
	// Lead is the first track, in whose times an index is written.
	Lead Format
	// Head is the length of the initialisation segment.
	Head int64
}

// maxBox bounds what Scan reads into memory: a moov or a moof of ours is some
// kilobytes. What claims to be larger is damage.
const maxBox = 4 << 20

// Scan reads a fragmented MP4 file of size bytes and returns how much of it is
// whole. A torn or damaged tail is not an error. It never writes.
func Scan(r io.ReaderAt, size int64) (Extent, error) {
	var e Extent
	scales := make(map[uint32]uint32)
	var pos, fragment int64 // fragment: where the open moof began
	var at span
	open, init, checks := false, false, false
	for {
		kind, length, ok := boxAt(r, pos, size)
		if !ok {
			break
		}
		next := pos + length
		switch kind {
		case "moov":
			b, err := readBox(r, pos, length)
			if err != nil {
				return e, err
			}
			timescales(b[boxHeader:], scales)
			init = len(scales) > 0
			e.Lead = Format{Track: 1, Timescale: int(scales[1])}
			e.Bytes, e.Head = next, next
		case "moof":
			b, err := readBox(r, pos, length)
			if err != nil {
				return e, err
			}
			if !init {
				return e, ErrNoInit
			}
			var valid bool
			if at, valid = fragmentSpan(b[boxHeader:], scales); !valid {
				pos = size
				continue
			}
			open, fragment = true, pos
		case "mdat":
			if open && fragment < pos {
				open = false
				e.Bytes, e.Duration = next, max(e.Duration, at.end)
				e.Fragments++
				e.Index = append(e.Index, Fragment{Offset: fragment, Start: at.start, Sync: at.sync, Length: next - fragment, End: at.end, behind: next})
			}
		case "free":
			switch {
			case length == IndexSpace && e.Fragments == 0:
				e.Space, checks = pos, checked(r, pos)
			case length == CheckSize && e.Fragments > 0 && e.Bytes == pos:
				if n, crc, ok := readCheck(r, pos); ok && n == e.Index[e.Fragments-1].Length {
					last := &e.Index[e.Fragments-1]
					last.CRC, last.Checked, last.behind = crc, true, next
					e.Bytes = next
				}
			}
		case "ftyp", "skip", "styp", "sidx", "udta":
		default:
			// Not a box of ours: a page of zeros or of somebody else's data.
			pos = size
			continue
		}
		pos = next
	}
	if !init {
		return Extent{}, ErrNoInit
	}
	// A fragment that was promised a check and has none is not whole.
	for n := len(e.Index); n > 0 && checks && !e.Index[n-1].Checked; n-- {
		e.cut(n - 1)
	}
	return e, nil
}

// boxAt reads the header of the box at pos; ok is false when it does not lie whole within size.
func boxAt(r io.ReaderAt, pos, size int64) (kind string, length int64, ok bool) {
	var h [16]byte
	if pos+boxHeader > size {
		return "", 0, false
	}
	if _, err := r.ReadAt(h[:boxHeader], pos); err != nil {
		return "", 0, false
	}
	length = int64(binary.BigEndian.Uint32(h[:]))
	kind = string(h[4:8])
	if length == 1 {
		if pos+16 > size {
			return "", 0, false
		}
		if _, err := r.ReadAt(h[:], pos); err != nil {
			return "", 0, false
		}
		length = int64(binary.BigEndian.Uint64(h[8:]))
	}
	if length < boxHeader || length > size-pos {
		return "", 0, false
	}
	if (kind == "moov" || kind == "moof") && length > maxBox {
		return "", 0, false
	}
	return kind, length, true
}

func readBox(r io.ReaderAt, pos, length int64) ([]byte, error) {
	b := make([]byte, length)
	if _, err := r.ReadAt(b, pos); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read at %d: %w", pos, err)
	}
	return b, nil
}

// boxes calls f for each whole box in b.
func boxes(b []byte, f func(kind string, body []byte)) {
	for len(b) >= boxHeader {
		n := int(binary.BigEndian.Uint32(b))
		if n < boxHeader || n > len(b) {
			return
		}
		f(string(b[4:8]), b[boxHeader:n])
		b = b[n:]
	}
}

// timescales reads the ticks a second of each track from the body of a moov.
func timescales(moov []byte, into map[uint32]uint32) {
	boxes(moov, func(kind string, trak []byte) {
		if kind != "trak" {
			return
		}
		var id, scale uint32
		boxes(trak, func(kind string, b []byte) {
			switch kind {
			case "tkhd":
				if at := versioned(b, 12, 20); at+4 <= len(b) {
					id = binary.BigEndian.Uint32(b[at:])
				}
			case "mdia":
				boxes(b, func(kind string, b []byte) {
					if at := versioned(b, 12, 20); kind == "mdhd" && at+4 <= len(b) {
						scale = binary.BigEndian.Uint32(b[at:])
					}
				})
			}
		})
		if id != 0 && scale != 0 {
			into[id] = scale
		}
	})
}

// versioned returns the place of a field that version 1 of a box moves.
func versioned(b []byte, v0, v1 int) int {
	if len(b) > 0 && b[0] == 1 {
		return v1
	}
	return v0
}

// span is the time that a fragment covers.
type span struct {
	start, end time.Duration
	sync       bool // of the first sample of the first track in it
}

// fragmentSpan reads it from a moof; false when the moof is not one that we write.
func fragmentSpan(moof []byte, scales map[uint32]uint32) (at span, ok bool) {
	boxes(moof, func(kind string, traf []byte) {
		if kind != "traf" {
			return
		}
		var id uint32
		var base, ticks uint64
		sync := false
		boxes(traf, func(kind string, b []byte) {
			switch {
			case kind == "tfhd" && len(b) >= 8:
				id = binary.BigEndian.Uint32(b[4:])
			case kind == "tfdt" && len(b) >= 12 && b[0] == 1:
				base = binary.BigEndian.Uint64(b[4:])
			case kind == "trun" && len(b) >= 12 && binary.BigEndian.Uint32(b)&0xffffff == 0xF01:
				for e := b[12:]; len(e) >= trunEntry; e = e[trunEntry:] {
					if ticks == 0 {
						sync = binary.BigEndian.Uint32(e[8:]) == flagsSync
					}
					ticks += uint64(binary.BigEndian.Uint32(e))
				}
			}
		})
		scale := uint64(scales[id])
		if scale == 0 || base > 1<<50 || ticks > 1<<50 {
			return
		}
		if (base+ticks)/scale > 1<<30 { // 34 years: a lie, and too long for a Duration
			return
		}
		start, end := duration(base, scale), duration(base+ticks, scale)
		if !ok {
			at = span{start, end, sync}
		}
		at.start, at.end = min(at.start, start), max(at.end, end)
		ok = true
	})
	return at, ok
}

func duration(ticks, scale uint64) time.Duration {
	return time.Duration(ticks/scale)*time.Second + time.Duration(ticks%scale)*time.Second/time.Duration(scale)
}
