package folder

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"tongxiang/internal/mpegts"
	"tongxiang/internal/playout/fmp4"
)

// ErrEmpty: the file ends before anything in it can be played.
var ErrEmpty = errors.New("nothing in it can be played")

// tailFragments is how many fragments at the end of a file are read whole: those
// that a disk may not have had yet when the power went.
const tailFragments = 8

// Extent is how much there is of a media file.
type Extent struct {
	Bytes    int64
	Duration time.Duration
	Modified time.Time // when it was written last
	// Cut is how many bytes were cut off the end, because they were not whole.
	Cut int64
	// Remade is set when the index did not fit and was made anew.
	Remade bool
	Index  []Entry
}

// Mend makes a media file in dir, which nobody writes, whole: what is torn at its end
// is cut off, its index is made anew where it does not fit. Nothing else is changed;
// on a file that is whole nothing is. deep reads every byte and compares checksums.
// A file without anything to play is [ErrEmpty], and is left as it is.
func Mend(dir, name string, deep bool) (Extent, error) { return mend(dir, name, deep, true) }

// MendFlat is Mend for a file of versions before folders, which has no index beside it.
func MendFlat(dir, name string) (Extent, error) { return mend(dir, name, false, false) }

func mend(dir, name string, deep, indexed bool) (Extent, error) {
	var e Extent
	f, err := openRegular(filepath.Join(dir, name), os.O_RDWR)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, errReadOnly) {
		f, err = openRegular(filepath.Join(dir, name), os.O_RDONLY) // a whole file needs no writing
	}
	if err != nil {
		return e, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return e, fmt.Errorf("look at %s: %w", name, err)
	}
	e.Modified = info.ModTime()
	old, err := ReadIndex(dir, name)
	if err != nil && !errors.Is(err, ErrNotRecording) && !errors.Is(err, fs.ErrNotExist) {
		return e, err
	}
	if filepath.Ext(name) == ".ts" {
		err = e.mendTS(f, info.Size(), old, deep)
	} else {
		err = e.mendMP4(f, info.Size(), old, deep)
	}
	if err != nil {
		return e, err
	}
	if e.Cut = info.Size() - e.Bytes; e.Cut > 0 {
		if err := f.Truncate(e.Bytes); err != nil {
			return e, fmt.Errorf("cut the torn end of %s: %w", name, err)
		}
	}
	if indexed {
		e.Remade, err = replaceIndex(dir, name, e.Index)
	}
	return e, err
}

// tsTail is how much of the end of a transport stream is looked at packet by packet.
const tsTail = 8 << 20

// mendTS finds how much of a transport stream is whole. An index that fits is
// believed up to its last line; what is behind it, or all when it does not fit, is
// read and told in fragments of about a second.
func (e *Extent) mendTS(f *os.File, size int64, old []Entry, deep bool) error {
	whole, err := wholePackets(f, size)
	if err != nil {
		return err
	}
	if whole == 0 {
		return fmt.Errorf("%w: no packet", ErrEmpty)
	}
	kept := make([]Entry, 0, len(old))
	for _, o := range old {
		end := int64(0)
		if n := len(kept); n > 0 {
			end = kept[n-1].Offset + kept[n-1].Length
		}
		if o.Offset != end || o.Length%mpegts.PacketSize != 0 || o.Offset+o.Length > whole || o.Head || !starts(f, o.Offset) {
			break
		}
		if deep || len(old)-len(kept) <= tailFragments {
			if crc, err := fmp4.Checksum(f, o.Offset, o.Length); err != nil || Hex(crc) != o.CRC {
				break
			}
		}
		kept = append(kept, o)
	}
	e.Bytes = whole
	if e.Index, err = indexTS(f, kept, whole); err != nil {
		return err
	}
	for _, o := range e.Index {
		e.Duration = max(e.Duration, o.End())
	}
	return nil
}

// wholePackets returns the length of a transport stream up to its last whole packet:
// the tail is looked at packet by packet and cut where one does not begin as it must.
func wholePackets(r io.ReaderAt, size int64) (int64, error) {
	size -= size % mpegts.PacketSize
	from := max(size-tsTail/mpegts.PacketSize*mpegts.PacketSize, 0)
	b := make([]byte, size-from)
	if _, err := r.ReadAt(b, from); err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("read the end: %w", err)
	}
	for at := 0; at < len(b); at += mpegts.PacketSize {
		if b[at] != 0x47 {
			return from + int64(at), nil
		}
	}
	return size, nil
}

func starts(r io.ReaderAt, at int64) bool {
	var b [1]byte
	_, err := r.ReadAt(b[:], at)
	return err == nil && b[0] == 0x47
}

// indexTS tells the fragments of a transport stream behind those that are known.
func indexTS(r io.ReaderAt, known []Entry, size int64) ([]Entry, error) {
	out := known
	at, start := int64(0), time.Duration(0)
	if n := len(out); n > 0 {
		at, start = out[n-1].Offset+out[n-1].Length, out[n-1].End()
	}
	if at >= size {
		return out, nil
	}
	s := newTSScanner(at, start)
	b := make([]byte, 1024*mpegts.PacketSize)
	for at < size {
		n, err := r.ReadAt(b[:min(int64(len(b)), size-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read at %d: %w", at, err)
		}
		if n = n / mpegts.PacketSize * mpegts.PacketSize; n == 0 {
			break
		}
		for i := 0; i < n; i += mpegts.PacketSize {
			s.packet(b[i : i+mpegts.PacketSize])
		}
		at += int64(n)
	}
	return append(out, s.finish()...), nil
}

// Measure returns how much there is of an MP4 file that has no index beside it, and
// changes nothing.
func Measure(dir, name string) (Extent, error) {
	f, err := openRegular(filepath.Join(dir, name), os.O_RDONLY)
	if err != nil {
		return Extent{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Extent{}, fmt.Errorf("look at %s: %w", name, err)
	}
	scan, err := fmp4.Scan(f, info.Size())
	if errors.Is(err, fmp4.ErrNoInit) || err == nil && scan.Fragments == 0 {
		return Extent{}, fmt.Errorf("%w: %s", ErrEmpty, name)
	}
	return Extent{Bytes: scan.Bytes, Duration: scan.Duration, Modified: info.ModTime()}, err
}
