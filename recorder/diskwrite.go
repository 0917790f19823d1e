package recorder

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tongxiang/internal/playout/fmp4"
	"tongxiang/recorder/folder"
)

// write appends a fragment, and tries again until it succeeds or the recording is
// closed.
func (d *disk) write(g fragment) {
	for {
		err := d.try(g)
		d.note(err)
		if err == nil {
			return
		}
		select {
		case <-d.hurry:
			d.mu.Lock()
			d.lost = append(d.lost, gap(g.start, g.end, d.trouble))
			d.mu.Unlock()
			return
		case <-time.After(retryEvery):
		}
	}
}

// note says how the last operation went.
func (d *disk) note(err error) {
	d.busy.Store(0)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err, d.trouble = err, diskReason(err)
}

// try appends a fragment and waits until it is on disk. What could not be stored
// whole is taken back.
func (d *disk) try(g fragment) error {
	d.busy.Store(monotonic())
	if err := d.begin(); err != nil {
		return err
	}
	if _, err := d.f.WriteAt(g.data, d.at); err != nil {
		_ = d.f.Truncate(d.at) // best effort: Recover does it again
		return fmt.Errorf("write the recording: %w", err)
	}
	d.wrote(g)
	select {
	case d.dirty <- struct{}{}:
	default: // it is asked for already
	}
	return nil
}

// wrote takes note of a fragment that is on disk.
func (d *disk) wrote(g fragment) {
	if d.count%d.every == 0 {
		if len(d.points) == finePoints {
			for i := range finePoints / 2 {
				d.points[i] = d.points[2*i]
			}
			d.points = d.points[:finePoints/2]
			d.every *= 2
		}
		if d.count%d.every == 0 {
			d.points = append(d.points, fmp4.Fragment{Offset: d.at, Start: g.start, Sync: g.sync})
		}
	}
	d.count++
	if len(d.lines) < indexMost { // else the index ends here, and is made anew when somebody needs it
		d.lines = folder.AppendEntry(d.lines, g.entry(d.at))
	}
	d.at += int64(len(g.data))
	d.s.total.Add(uint64(len(g.data)))
	d.mu.Lock()
	d.now.bytes, d.now.duration = d.at, max(d.now.duration, g.end)
	if d.unsafe.to == 0 {
		d.unsafe.from = g.start
	}
	d.unsafe.to = max(d.unsafe.to, g.end)
	d.mu.Unlock()
	if time.Since(d.flushed) >= indexEvery {
		d.flush()
	}
}

// begin makes the folder and the file when they are not there.
func (d *disk) begin() error {
	if d.f != nil {
		return nil
	}
	if err := os.MkdirAll(d.dir, 0o750); err != nil {
		return fmt.Errorf("make the folder of the recording: %w", err)
	}
	path := filepath.Join(d.dir, d.name)
	f, err := d.s.create(path)
	if err != nil {
		return fmt.Errorf("make the file of the recording: %w", err)
	}
	if _, err = f.WriteAt(d.head, 0); err != nil {
		return errors.Join(fmt.Errorf("begin the recording: %w", err), f.Close(), os.Remove(path))
	}
	d.f, d.at = f, int64(len(d.head))
	go d.syncing()
	if d.init > 0 {
		d.lines = folder.AppendEntry(d.lines, folder.Entry{
			Head: true, Length: int64(d.init), CRC: folder.Hex(folder.Checksum(d.head[:d.init])),
		})
	}
	d.mu.Lock()
	d.now.bytes = d.at
	d.mu.Unlock()
	return nil
}

// flush appends the lines that wait to the index. What does not succeed waits on.
func (d *disk) flush() {
	d.flushed = time.Now()
	if len(d.lines) == 0 {
		return
	}
	if d.idx == nil {
		f, err := d.s.create(filepath.Join(d.dir, folder.IndexOf(d.name)))
		if err != nil {
			return // the next fragment meets the same trouble and says so
		}
		d.idx = f
	}
	if n, err := d.idx.WriteAt(d.lines, d.idxAt); err == nil {
		d.idxAt += int64(n)
		d.lines = d.lines[:0]
	}
}

// tell writes the manifest when there is news.
func (d *disk) tell() {
	d.mu.Lock()
	m := d.manifest
	d.manifest = nil
	if m != nil && m.File == d.name {
		m.Bytes, m.DurationMS = d.now.bytes, d.now.duration.Milliseconds()
	}
	d.mu.Unlock()
	if m == nil {
		return
	}
	d.busy.Store(monotonic())
	err := folder.Write(d.dir, *m)
	d.busy.Store(0)
	if err == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.manifest == nil {
		d.manifest = m
	}
	d.err = err
}

// finish writes the index and closes the files.
func (d *disk) finish() {
	if d.f == nil {
		return
	}
	d.flush()
	close(d.dirty)
	<-d.synced
	errs := []error{d.f.Sync()}
	if d.space {
		// On a full disk the index still finds its place: it lies over bytes that are there.
		errs = append(errs, writeIndex(d.f, int64(len(d.head)-fmp4.IndexSpace), d.points, d.now, d.lead))
	}
	errs = append(errs, d.f.Close())
	if d.idx != nil {
		errs = append(errs, d.idx.Sync(), d.idx.Close())
	}
	d.tell()
	if err := errors.Join(errs...); err != nil {
		d.err = errors.Join(d.err, fmt.Errorf("close the recording: %w", err))
	}
}
