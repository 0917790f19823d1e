package folder

import (
	"errors"
	"fmt"
	"io"
	"os"

	"tongxiang/internal/playout/fmp4"
)

// mendMP4 finds the whole fragments of an MP4 file and writes its own index when it
// has none yet.
func (e *Extent) mendMP4(f *os.File, size int64, old []Entry, deep bool) error {
	scan, err := fmp4.Scan(f, size)
	if errors.Is(err, fmp4.ErrNoInit) {
		return fmt.Errorf("%w: %w", ErrEmpty, err)
	}
	if err != nil {
		return err
	}
	tail := tailFragments
	if deep {
		tail = len(scan.Index)
	}
	if err := scan.VerifyTail(f, tail); err != nil {
		return err
	}
	if len(scan.Index) == 0 {
		return fmt.Errorf("%w: no fragment", ErrEmpty)
	}
	e.Bytes, e.Duration = scan.Bytes, scan.Duration
	known := make(map[int64]Entry, len(old))
	for _, o := range old {
		known[o.Offset] = o
	}
	head, err := entryOf(f, known, Entry{Head: true, Length: scan.Head}, deep)
	if err != nil {
		return err
	}
	e.Index = append(make([]Entry, 0, len(scan.Index)+1), head)
	for _, g := range scan.Index {
		n := Entry{Offset: g.Offset, Length: g.Length, TimeUS: g.Start.Microseconds(), DurationUS: g.Duration().Microseconds(), Sync: g.Sync}
		if g.Checked {
			n.CRC = Hex(g.CRC)
		} else if n, err = entryOf(f, known, n, deep); err != nil {
			return err
		}
		if o, ok := known[g.Offset]; ok && o.Length == n.Length && o.CRC == n.CRC && near(o, n) {
			n = o // times that differ by rounding
		}
		e.Index = append(e.Index, n)
	}
	if scan.Space > 0 {
		return writeSegmentIndex(f, scan)
	}
	return nil
}

// near reports whether two entries tell the same times, but for rounding.
func near(a, b Entry) bool {
	d, l := a.TimeUS-b.TimeUS, a.DurationUS-b.DurationUS
	return a.Sync == b.Sync && d > -1000 && d < 1000 && l > -1000 && l < 1000
}

// entryOf completes an entry with its checksum: the one that is known, unless all is
// to be read.
func entryOf(r io.ReaderAt, known map[int64]Entry, n Entry, deep bool) (Entry, error) {
	if o, ok := known[n.Offset]; ok && !deep && o.Length == n.Length {
		n.CRC = o.CRC
		return n, nil
	}
	crc, err := fmp4.Checksum(r, n.Offset, n.Length)
	n.CRC = Hex(crc)
	return n, err
}

// writeSegmentIndex writes the index within the file over the space kept for it.
func writeSegmentIndex(f *os.File, scan fmp4.Extent) error {
	head, body := fmp4.Index(scan.Index, scan.Duration, scan.Bytes, scan.Lead)
	for _, w := range []struct {
		b  []byte
		at int64
	}{{body, scan.Space + int64(len(head))}, {head, scan.Space}} {
		if _, err := f.WriteAt(w.b, w.at); err != nil {
			return fmt.Errorf("write the index within the file: %w", err)
		}
		if err := f.Sync(); err != nil {
			return fmt.Errorf("write the index within the file: %w", err)
		}
	}
	return nil
}
