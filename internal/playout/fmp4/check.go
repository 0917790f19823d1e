package fmp4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"
)

// CheckSize is how many bytes [AppendCheck] adds.
const CheckSize = boxHeader + 12

// checkMark begins the body of a check box, and of the [Space] of a file whose
// fragments all have one.
const checkMark = "txc1"

// AppendCheck closes a fragment of length bytes with a box that players skip and
// that says whether the fragment is whole: its length and its CRC-32C.
func AppendCheck(dst []byte, length int, crc uint32) []byte {
	dst = appendBox(dst, CheckSize, "free")
	dst = append(dst, checkMark...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(length))
	return binary.BigEndian.AppendUint32(dst, crc)
}

// readCheck reads the body of a box of CheckSize at pos; false when it is another one.
func readCheck(r io.ReaderAt, pos int64) (length int64, crc uint32, ok bool) {
	var b [CheckSize]byte
	if _, err := r.ReadAt(b[:], pos); err != nil || string(b[boxHeader:boxHeader+4]) != checkMark {
		return 0, 0, false
	}
	return int64(binary.BigEndian.Uint32(b[12:])), binary.BigEndian.Uint32(b[16:]), true
}

// checked reports whether the box of Space at pos says that fragments have checks.
func checked(r io.ReaderAt, pos int64) bool {
	var b [4]byte
	_, err := r.ReadAt(b[:], pos+boxHeader)
	return err == nil && string(b[:]) == checkMark
}

// VerifyTail reads the last n fragments of a scanned file and cuts what is not what
// their checks say, with all behind it: a disk may keep the length of what was
// written last and lose its bytes.
func (e *Extent) VerifyTail(r io.ReaderAt, n int) error {
	from := max(len(e.Index)-n, 0)
	for i := from; i < len(e.Index); i++ {
		f := e.Index[i]
		if !f.Checked {
			continue
		}
		crc, err := Checksum(r, f.Offset, f.Length)
		if err != nil {
			return err
		}
		if crc != f.CRC {
			e.cut(i)
			return nil
		}
	}
	return nil
}

// cut forgets the fragments from i on.
func (e *Extent) cut(i int) {
	switch {
	case i > 0:
		e.Bytes = e.Index[i-1].behind
	case len(e.Index) > 0:
		e.Bytes = e.Index[0].Offset
	}
	e.Index, e.Fragments, e.Duration = e.Index[:i], i, 0
	for _, f := range e.Index {
		e.Duration = max(e.Duration, f.End)
	}
}

// Checksum returns the CRC-32C of length bytes at offset.
func Checksum(r io.ReaderAt, offset, length int64) (uint32, error) {
	table := crc32.MakeTable(crc32.Castagnoli)
	crc := uint32(0)
	b := make([]byte, min(length, 1<<20))
	for length > 0 {
		n, err := r.ReadAt(b[:min(length, int64(len(b)))], offset)
		crc = crc32.Update(crc, table, b[:n])
		offset, length = offset+int64(n), length-int64(n)
		if err != nil && (length > 0 || !errors.Is(err, io.EOF)) {
			return 0, fmt.Errorf("read at %d: %w", offset, err)
		}
	}
	return crc, nil
}

// Duration returns how long a fragment lasts.
func (f Fragment) Duration() time.Duration { return f.End - f.Start }
