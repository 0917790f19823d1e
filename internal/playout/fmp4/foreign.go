package fmp4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// errBox: a box that is not whole, or larger than any of its kind.
var errBox = errors.New("not a whole box")

// maxMedia bounds one mdat that [ReadFragments] takes into memory.
const maxMedia = 64 << 20

// Piece is what [ReadFragments] reads: the initialisation segment or one fragment.
type Piece struct {
	Head bool
	Data []byte // valid until the next piece
	// Start is the earliest decode time in a fragment.
	Start time.Duration
}

// ReadFragments reads fragmented MP4 as any muxer writes it and calls f for the
// initialisation segment and each fragment. Boxes of other kinds are left out.
// by is added to all times of fragments, in their bytes too. The error is f's, or of
// reading; bytes that end within a box are [io.ErrUnexpectedEOF].
func ReadFragments(r io.Reader, by time.Duration, f func(Piece) error) error {
	scales := make(map[uint32]uint32)
	var data []byte
	for {
		var h [boxHeader]byte
		if _, err := io.ReadFull(r, h[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read box: %w", err)
		}
		size, kind := int64(binary.BigEndian.Uint32(h[:])), string(h[4:])
		most := int64(maxBox)
		if kind == "mdat" {
			most = maxMedia
		}
		if size < boxHeader || size > most {
			return fmt.Errorf("read box %q of %d bytes: %w", kind, size, errBox)
		}
		if kind != "ftyp" && kind != "moov" && kind != "moof" && kind != "mdat" {
			if _, err := io.CopyN(io.Discard, r, size-boxHeader); err != nil {
				return fmt.Errorf("read box %q: %w", kind, err)
			}
			continue
		}
		if kind == "ftyp" || kind == "moof" {
			data = data[:0]
		}
		at := len(data)
		data = append(data, h[:]...)
		data = append(data, make([]byte, size-boxHeader)...)
		if _, err := io.ReadFull(r, data[at+boxHeader:]); err != nil {
			return fmt.Errorf("read box %q: %w", kind, err)
		}
		switch kind {
		case "moov":
			timescales(data[at+boxHeader:], scales)
			if err := f(Piece{Head: true, Data: data}); err != nil {
				return err
			}
		case "mdat":
			if string(data[4:8]) != "moof" {
				return fmt.Errorf("read box %q: %w", kind, errBox)
			}
			start, ok := shift(data, scales, by)
			if !ok {
				return fmt.Errorf("read a fragment's times: %w", errBox)
			}
			if err := f(Piece{Data: data, Start: start}); err != nil {
				return err
			}
			data = data[:0]
		}
	}
}

// Shift adds a time to all decode times of a fragment (moof and mdat) in its bytes,
// and numbers it. head is the initialisation segment, which tells the tracks' time
// scales. Times do not go below 0. It returns the earliest decode time as it is then;
// ok is false when the fragment has none.
func Shift(head, fragment []byte, by time.Duration, sequence uint32) (start time.Duration, ok bool) {
	scales := make(map[uint32]uint32)
	boxes(head, func(kind string, b []byte) {
		if kind == "moov" {
			timescales(b, scales)
		}
	})
	boxes(fragment, func(kind string, moof []byte) {
		if kind == "moof" {
			boxes(moof, func(kind string, b []byte) {
				if kind == "mfhd" && len(b) >= 8 {
					binary.BigEndian.PutUint32(b[4:], sequence)
				}
			})
		}
	})
	return shift(fragment, scales, by)
}

func shift(fragment []byte, scales map[uint32]uint32, by time.Duration) (start time.Duration, ok bool) {
	boxes(fragment, func(kind string, moof []byte) {
		if kind != "moof" {
			return
		}
		boxes(moof, func(kind string, traf []byte) {
			if kind != "traf" {
				return
			}
			scale := uint64(0)
			boxes(traf, func(kind string, b []byte) {
				switch {
				case kind == "tfhd" && len(b) >= 8:
					scale = uint64(scales[binary.BigEndian.Uint32(b[4:])])
				case kind == "tfdt" && scale > 0:
					at, good := shiftTime(b, scale, by)
					if good && (!ok || at < start) {
						start, ok = at, true
					}
				}
			})
		})
	})
	return start, ok
}

// shiftTime moves the time in the body of a tfdt and returns it.
func shiftTime(b []byte, scale uint64, by time.Duration) (time.Duration, bool) {
	wide := len(b) >= 12 && b[0] == 1
	if !wide && len(b) < 8 {
		return 0, false
	}
	ticks := int64(by/time.Second)*int64(scale) + int64(by%time.Second)*int64(scale)/int64(time.Second)
	var at uint64
	if wide {
		at = binary.BigEndian.Uint64(b[4:])
	} else {
		at = uint64(binary.BigEndian.Uint32(b[4:]))
	}
	if at > 1<<50 {
		return 0, false
	}
	moved := uint64(max(int64(at)+ticks, 0))
	if !wide {
		if moved > 1<<32-1 {
			return 0, false
		}
		binary.BigEndian.PutUint32(b[4:], uint32(moved))
	} else {
		binary.BigEndian.PutUint64(b[4:], moved)
	}
	return duration(moved, scale), true
}
