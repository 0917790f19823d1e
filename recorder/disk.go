package recorder

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tongxiang/internal/playout/fmp4"
	"tongxiang/internal/store"
	"tongxiang/recorder/folder"
)

const (
	// maxWaiting bounds the fragments that wait for a disk; a fragment is a second at most.
	maxWaiting = 120
	// retryEvery is how long to wait before a write that failed is tried again.
	retryEvery = time.Second
	// stalledAfter is how long a write may take before people are told.
	stalledAfter = 2 * time.Second
	// indexEvery is how far the index may be behind the media: it can be made anew.
	indexEvery = 8 * time.Second
	// indexMost bounds the lines that wait for a disk that is full.
	indexMost = 1 << 20
	// finePoints is how many fragments the index in the file tells apart; beyond,
	// every second one is forgotten.
	finePoints = 8192
)

// file is what a disk writes to: the seam where tests put a disk that fails.
type file interface {
	io.WriterAt
	Truncate(size int64) error
	Sync() error // of the bytes and the length (fdatasync)
	Close() error
}

// osFile is a file of the operating system.
type osFile struct{ *os.File }

// Sync waits until the bytes are on disk, and not also the times of the file.
func (f osFile) Sync() error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// createFile makes a file that must not be there.
func createFile(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|unix.O_NOFOLLOW, 0o640)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// storage is what the disks of one recorder share.
type storage struct {
	create func(path string) (file, error)
	total  atomic.Uint64 // bytes written
	lost   atomic.Uint64 // fragments not taken
	queued atomic.Int64  // bytes that wait for disks
	most   int64         // of queued
	each   int64         // of one file's queue
	free   chan []byte   // buffers for the next fragments
}

// buffer returns a buffer to make a fragment in.
func (s *storage) buffer() []byte {
	select {
	case b := <-s.free:
		return b[:0]
	default:
		return nil
	}
}

func (s *storage) release(b []byte) {
	select {
	case s.free <- b:
	default:
	}
}

// extent is how much of a file is on disk.
type extent struct {
	bytes    int64
	duration time.Duration
}

// disk writes one media file with its index, and the manifest, in a goroutine of
// its own, run, so that a disk that does not answer holds up nobody else. Another
// one, syncing, has what was written put on disk: while that takes long the next
// fragments are written all the same, and so outlive the process if not the power.
// No method but close blocks.
type disk struct {
	s     *storage
	dir   string // of the recording
	name  string // of the media file
	head  []byte // what the file begins with
	init  int    // bytes of head that are its initialisation segment; 0: it has none
	lead  fmp4.Format
	space bool // head ends with the room for an index

	queue  chan fragment
	queued atomic.Int64
	busy   atomic.Int64 // when the writing under way began, in nanoseconds of the monotonic clock; 0: none
	slow   atomic.Int64 // likewise of the syncing
	wake   chan struct{}
	dirty  chan struct{} // there is something to sync
	synced chan struct{} // closed when syncing has ended
	hurry  chan struct{} // closed by close: what cannot be written now never will be
	done   chan struct{}

	mu       sync.Mutex // guards what follows
	now      extent
	trouble  string                           // why writing does not succeed; "": it does
	manifest *folder.Manifest                 // to be written; nil: nothing is news
	lost     []store.Gap                      // what was taken and not kept
	unsafe   struct{ from, to time.Duration } // written since the last sync that succeeded; to 0: nothing

	// owned by run
	f, idx    file
	at, idxAt int64
	points    []fmp4.Fragment
	every     int // points has every so many fragments
	count     int
	lines     []byte
	flushed   time.Time // when lines were written last
	err       error     // the newest; read by others when done is closed
}

func newDisk(s *storage, dir, name string, head []byte, init int, lead fmp4.Format, space bool) *disk {
	return &disk{
		s: s, dir: dir, name: name, head: head, init: init, lead: lead, space: space, every: 1, flushed: time.Now(),
		queue: make(chan fragment, maxWaiting), wake: make(chan struct{}, 1), hurry: make(chan struct{}), done: make(chan struct{}),
		dirty: make(chan struct{}, 1), synced: make(chan struct{}),
	}
}

// put takes a fragment over; false when the disk is too far behind.
func (d *disk) put(g fragment) bool {
	size := int64(len(g.data))
	if d.queued.Load()+size > d.s.each || d.s.queued.Load()+size > d.s.most {
		return false
	}
	// Counted before it is sent: run may be done with it at once.
	d.queued.Add(size)
	d.s.queued.Add(size)
	select {
	case d.queue <- g:
		return true
	default:
		d.queued.Add(-size)
		d.s.queued.Add(-size)
		return false
	}
}

// describe has the manifest written; the newest counts.
func (d *disk) describe(m folder.Manifest) {
	d.mu.Lock()
	d.manifest = &m
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// written returns how much is on disk.
func (d *disk) written() extent {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

// state returns why nothing is written now, a stable code, or "".
func (d *disk) state() string {
	d.mu.Lock()
	trouble := d.trouble
	d.mu.Unlock()
	if trouble != "" {
		return trouble
	}
	for _, since := range []int64{d.busy.Load(), d.slow.Load()} {
		if since != 0 && monotonic()-since > int64(stalledAfter) {
			return ReasonDiskStalled
		}
	}
	return ""
}

// takeLost returns what was taken and could not be kept, once.
func (d *disk) takeLost() []store.Gap {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.lost
	d.lost = nil
	return l
}

// close writes what waits, the index and the manifest m, which it completes (nil:
// there is none), and waits for that. What could not be written takeLost returns.
func (d *disk) close(m *folder.Manifest) error {
	if m != nil {
		d.describe(*m)
	}
	close(d.hurry)
	close(d.queue)
	<-d.done
	return d.err
}

// run writes until the queue is closed.
func (d *disk) run() {
	defer close(d.done)
	for {
		select {
		case g, ok := <-d.queue:
			if !ok {
				d.finish()
				return
			}
			d.write(g)
			d.queued.Add(-int64(len(g.data)))
			d.s.queued.Add(-int64(len(g.data)))
			d.s.release(g.data)
		case <-d.wake:
		}
		if d.f != nil {
			d.tell()
		}
	}
}

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

// syncing puts on disk what was written, again and again, until dirty is closed.
func (d *disk) syncing() {
	defer close(d.synced)
	named := false
	for range d.dirty {
		d.mu.Lock()
		from, to := d.unsafe.from, d.unsafe.to
		d.unsafe.to = 0
		d.mu.Unlock()
		d.slow.Store(monotonic())
		err := d.f.Sync()
		if err == nil && !named {
			err = d.syncNames()
			named = err == nil
		}
		d.slow.Store(0)
		if err == nil {
			continue
		}
		// What the kernel could not put on disk it forgets: it may be missing after a
		// power cut, and the next sync would not say so.
		d.mu.Lock()
		d.err = fmt.Errorf("write the recording: %w", err)
		if to > 0 {
			d.lost = append(d.lost, gap(from, to, diskReason(err)))
		}
		d.mu.Unlock()
	}
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

// syncNames makes the names of the file and of its folders, up to that of all
// recordings, as safe as its bytes.
func (d *disk) syncNames() error {
	dir := d.dir
	for range folderDepth + 1 {
		if err := folder.SyncDir(dir); err != nil {
			return err
		}
		dir = filepath.Dir(dir)
	}
	return nil
}

// folderDepth is how deep the folder of a recording lies: year, month, day, id.
const folderDepth = 4

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

// writeIndex writes the index of a file over the space kept for it at space: the
// body first and, when that is on disk, the head that makes it one.
func writeIndex(f file, space int64, index []fmp4.Fragment, e extent, lead fmp4.Format) error {
	head, body := fmp4.Index(index, e.duration, e.bytes, lead)
	if head == nil {
		return nil
	}
	for _, w := range []struct {
		b  []byte
		at int64
	}{{body, space + int64(len(head))}, {head, space}} {
		if _, err := f.WriteAt(w.b, w.at); err != nil {
			return fmt.Errorf("write the index of the recording: %w", err)
		}
		if err := f.Sync(); err != nil {
			return fmt.Errorf("write the index of the recording: %w", err)
		}
	}
	return nil
}

// diskReason returns the stable code of what is wrong with a disk, "" for nothing.
func diskReason(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return ReasonDiskFull
	case errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return ReasonDiskReadOnly
	}
	return ReasonDiskError
}

// monotonic returns nanoseconds of a clock that nobody sets.
func monotonic() int64 {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		return 0
	}
	return t.Nano()
}
