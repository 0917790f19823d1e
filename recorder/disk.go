package recorder

import (
	"sync"
	"sync/atomic"
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

// monotonic returns nanoseconds of a clock that nobody sets.
func monotonic() int64 {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		return 0
	}
	return t.Nano()
}
