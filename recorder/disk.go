package recorder

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"tongxiang/internal/playout/fmp4"
)

const (
	// maxQueued bounds what waits for a slow disk: ten seconds at 25 Mbit/s.
	maxQueued = 32 << 20
	// maxWaiting bounds the fragments that wait; a fragment is a second at most.
	maxWaiting = 60
	// spare is how many buffers are kept for the next fragments.
	spare = 4
)

// disk writes one file in a goroutine of its own, run, so that a disk that does
// not answer holds up nobody else. put never blocks.
type disk struct {
	f      *os.File
	head   []byte
	lead   fmp4.Format
	total  *atomic.Uint64
	fail   func(error)
	queue  chan fragment
	free   chan []byte
	queued atomic.Int64
	done   chan struct{}

	mu  sync.Mutex // guards now
	now extent

	// owned by run
	index []fmp4.Fragment
	at    int64
	err   error // read by others when done is closed
}

func newDisk(f *os.File, head []byte, lead fmp4.Format, total *atomic.Uint64, fail func(error)) *disk {
	return &disk{
		f: f, head: head, lead: lead, total: total, fail: fail,
		queue: make(chan fragment, maxWaiting), free: make(chan []byte, spare), done: make(chan struct{}),
	}
}

// buffer returns a buffer to make a fragment in.
func (d *disk) buffer() []byte {
	select {
	case b := <-d.free:
		return b
	default:
		return nil
	}
}

// put takes a fragment over; false when the disk is too far behind.
func (d *disk) put(g fragment) bool {
	size := int64(len(g.data))
	if d.queued.Load()+size > maxQueued {
		return false
	}
	select {
	case d.queue <- g:
		d.queued.Add(size)
		return true
	default:
		return false
	}
}

// written returns how much is on disk.
func (d *disk) written() extent {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

// close waits until all is on disk and the index written.
func (d *disk) close() error {
	close(d.queue)
	<-d.done
	return d.err
}

// run writes until the queue is closed. After an error it only empties the queue.
func (d *disk) run() {
	defer close(d.done)
	d.begin()
	for g := range d.queue {
		if d.err == nil {
			d.write(g)
		}
		d.queued.Add(-int64(len(g.data)))
		select {
		case d.free <- g.data:
		default:
		}
	}
	// On a full disk the index still finds its place: it lies over bytes that are there.
	if err := writeIndex(d.f, int64(len(d.head)), d.index, d.now, d.lead); err != nil && d.err == nil {
		d.err = err
	}
	if err := d.f.Close(); err != nil && d.err == nil {
		d.err = fmt.Errorf("close the recording: %w", err)
	}
}

// begin writes the head, and makes the file's name as safe as its bytes.
func (d *disk) begin() {
	b := append(d.head[:len(d.head):len(d.head)], fmp4.Space()...)
	if d.store(b, "begin the recording") {
		d.failed(syncFolder(filepath.Dir(d.f.Name())))
	}
}

// write appends a fragment and waits until it is on disk.
func (d *disk) write(g fragment) {
	at := d.at
	if !d.store(g.data, "write the recording") {
		return
	}
	d.index = append(d.index, fmp4.Fragment{Offset: at, Start: g.start, Sync: g.sync})
	d.mu.Lock()
	d.now.bytes, d.now.duration = d.at, max(d.now.duration, g.end)
	d.mu.Unlock()
	d.total.Add(uint64(len(g.data)))
}

// store appends bytes; what could not be stored whole is taken back.
func (d *disk) store(b []byte, what string) bool {
	_, err := d.f.WriteAt(b, d.at)
	if err == nil {
		err = unix.Fdatasync(int(d.f.Fd()))
	}
	if err != nil {
		_ = d.f.Truncate(d.at) // best effort: Recover does it again
		d.failed(fmt.Errorf("%s: %w", what, err))
		return false
	}
	d.at += int64(len(b))
	return true
}

func (d *disk) failed(err error) {
	if err != nil && d.err == nil {
		d.err = err
		d.fail(err)
	}
}

// writeIndex writes the index of a file over the space kept for it at space: the
// body first and, when that is on disk, the head that makes it one.
func writeIndex(f *os.File, space int64, index []fmp4.Fragment, e extent, lead fmp4.Format) error {
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
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return fmt.Errorf("write the index of the recording: %w", err)
		}
	}
	return nil
}

// syncFolder makes the names in a folder, and its own, safe.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync the folder of the recording: %w", err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync the folder of the recording: %w", err)
	}
	return nil
}
