package stream

import (
	"sync"
	"sync/atomic"
	"time"
)

// Ring is a bounded log of immutable items with one writer and any number of
// readers. The same ring is the fan-out queue, the retransmission cache and
// where a joiner starts.
//
// Write and the cursors take no lock. The list of readers is copied when it
// changes, and only then is mu held.
type Ring[T any] struct {
	slots []slot[T]
	mask  uint64

	head     atomic.Uint64 // position of the next write
	tail     atomic.Uint64 // position of the oldest item; below it everything was let go
	lastSync atomic.Uint64 // position of the newest sync point, plus one; 0: none yet

	bounds Bounds
	held   int64 // bytes between tail and head; the writer's

	mu      sync.Mutex // guards changes to readers
	readers atomic.Pointer[[]*Reader]
}

type slot[T any] struct {
	item atomic.Pointer[T]
	sync atomic.Bool
	// What follows is the writer's.
	bytes int64
	at    int64
}

// Bounds are what a ring keeps at most beside its number of items. What is beyond
// them is let go when the next item is written, the oldest first; a reader that was
// not as far has fallen off. The newest item always stays.
type Bounds struct {
	// Span is how much earlier than the newest item an item may have come. What lies
	// behind the newest sync point stays however old it is: joiners begin there. 0: any.
	Span time.Duration
	// Bytes is how much all items may have together; 0: any.
	Bytes int64
}

// NewRing returns a ring that keeps at least size-1 items; size is rounded up to
// a power of two, and is at least 2.
func NewRing[T any](size int) *Ring[T] { return NewBoundedRing[T](size, Bounds{}) }

// NewBoundedRing returns a ring that keeps at least size-1 items, or as many as are
// within b.
func NewBoundedRing[T any](size int, b Bounds) *Ring[T] {
	n := 2
	for n < size {
		n *= 2
	}
	r := &Ring[T]{slots: make([]slot[T], n), mask: uint64(n - 1), bounds: b}
	r.readers.Store(&[]*Reader{})
	return r
}

// Write is [Ring.Append] for a ring without bounds.
func (r *Ring[T]) Write(item *T, sync bool) { r.Append(item, sync, 0, 0) }

// Append appends item, which must not change afterwards, and wakes the readers.
// sync says whether a reader may start at it, bytes how much it has, and at when it
// came, in nanoseconds of any clock that does not go back. Only the ring's one writer
// may call it.
func (r *Ring[T]) Append(item *T, sync bool, bytes int, at int64) {
	pos, tail := r.head.Load(), r.tail.Load()
	s := &r.slots[pos&r.mask]
	if pos-tail == uint64(len(r.slots)) { // what is in the slot goes
		tail++
		r.held -= s.bytes
	}
	s.item.Store(item)
	s.sync.Store(sync)
	s.bytes, s.at = int64(bytes), at
	r.held += s.bytes
	// The order matters: the position is published before the sync point that
	// lies below it, and both before the wake-up. A reader that goes to sleep
	// looks once more after it has armed its wake-up, so it sees either the
	// position or the signal.
	r.head.Store(pos + 1)
	if sync {
		r.lastSync.Store(pos + 1)
	}
	r.letGo(tail, pos, at)
	for _, rd := range *r.readers.Load() {
		rd.signal()
	}
}

// letGo drops what is beyond the bounds now that the item at pos is there.
func (r *Ring[T]) letGo(tail, pos uint64, now int64) {
	first := tail
	sync := r.lastSync.Load()
	for tail < pos {
		s := &r.slots[tail&r.mask]
		old := r.bounds.Span > 0 && now-s.at > int64(r.bounds.Span) && (sync == 0 || tail+1 < sync)
		if !old && (r.bounds.Bytes == 0 || r.held <= r.bounds.Bytes) {
			break
		}
		r.held -= s.bytes
		tail++
	}
	// The tail is published before its slots are emptied: who finds one empty sees why.
	r.tail.Store(tail)
	for ; first < tail; first++ {
		r.slots[first&r.mask].item.Store(nil)
	}
}

// Head returns the position of the next write: how many items were ever written.
func (r *Ring[T]) Head() uint64 { return r.head.Load() }

// at returns the item at pos, or nil when it was overwritten or not yet written.
func (r *Ring[T]) at(pos uint64) (item *T, sync bool) {
	s := &r.slots[pos&r.mask]
	item, sync = s.item.Load(), s.sync.Load()
	// The writer fills the slot of head before it publishes it, so the oldest
	// slot may be in the middle of being replaced: it does not count as present.
	head := r.head.Load()
	if pos >= head || head-pos >= uint64(len(r.slots)) || pos < r.tail.Load() {
		return nil, false
	}
	return item, sync
}

// oldest returns the lowest position that is safe to read.
func (r *Ring[T]) oldest() uint64 {
	head, tail := r.head.Load(), r.tail.Load()
	if keep := uint64(len(r.slots) - 1); head > keep {
		return max(head-keep, tail)
	}
	return tail
}

// newestSync returns the position of the newest sync point still present.
func (r *Ring[T]) newestSync() (uint64, bool) {
	for s := r.lastSync.Load(); s > 0; {
		if s-1 >= r.oldest() {
			return s - 1, true
		}
		newer := r.lastSync.Load() // what was let go meanwhile was let go for it
		if newer == s {
			break
		}
		s = newer
	}
	return 0, false
}

func (r *Ring[T]) attach(rd *Reader) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := *r.readers.Load()
	list := make([]*Reader, 0, len(old)+1)
	list = append(append(list, old...), rd)
	r.readers.Store(&list)
}

func (r *Ring[T]) detach(rd *Reader) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := *r.readers.Load()
	list := make([]*Reader, 0, len(old))
	found := false
	for _, o := range old {
		if o == rd && !found { // a reader may hold two cursors of one ring: drop one entry
			found = true
			continue
		}
		list = append(list, o)
	}
	r.readers.Store(&list)
}

// Start says where a new cursor begins.
type Start uint8

// The places to start. Except with AtNext, the first item that a cursor returns is
// a sync point.
const (
	// AtSync starts at the newest sync point in the ring, so that a joiner has
	// a picture at once; when there is none, at the next one written.
	AtSync Start = iota
	// AtOldest starts at the oldest sync point in the ring: pre-roll.
	AtOldest
	// AtLive starts at the next sync point written.
	AtLive
	// AtNext starts at the next item written, whatever it is: for a reader that
	// hands items on to others who know where they may begin.
	AtNext
)

// Cursor is one reader's place in one ring. It belongs to the goroutine that owns
// its [Reader].
type Cursor[T any] struct {
	ring   *Ring[T]
	reader *Reader
	pos    uint64
	begun  bool   // something was returned
	synced bool   // false: skip to the next sync point
	lost   uint64 // items never returned because the reader was too slow
	gap    bool   // the next item does not follow the last one returned
	close  func()
}

// Follow returns a cursor over a ring that is not a track's. The goroutine that owns
// rd closes it.
func (r *Ring[T]) Follow(rd *Reader, from Start) *Cursor[T] { return newCursor(r, rd, from) }

func newCursor[T any](ring *Ring[T], rd *Reader, from Start) *Cursor[T] {
	c := &Cursor[T]{ring: ring, reader: rd}
	ring.attach(rd)
	switch from {
	case AtSync:
		if pos, ok := ring.newestSync(); ok {
			c.pos = pos
		} else {
			c.pos = ring.head.Load()
		}
	case AtOldest:
		c.pos = ring.oldest()
	case AtLive:
		c.pos = ring.head.Load()
	case AtNext:
		c.pos, c.synced, c.begun = ring.head.Load(), true, true
	}
	rd.signal() // what is already there is news to this reader
	return c
}

// Next returns the next item, or nil when there is none yet: then sleep on the
// reader's [Reader.Wake] and call Next again. It never blocks.
//
// A cursor that fell off the ring goes on at the newest sync point present and
// counts what it missed; see [Cursor.Gap].
func (c *Cursor[T]) Next() *T {
	armed := false
	for {
		head := c.ring.head.Load()
		if c.pos >= head {
			if armed {
				return nil
			}
			// Arm the wake-up, then look once more, so that a write between
			// the look and the sleep is not missed.
			c.reader.arm()
			armed = true
			continue
		}
		item, sync := c.ring.at(c.pos)
		if item == nil {
			c.jump()
			continue
		}
		c.pos++
		if !c.synced {
			if !sync {
				c.miss(1)
				continue
			}
			c.synced, c.begun = true, true
		}
		return item
	}
}

// jump moves a cursor that fell off to the newest sync point, or to the oldest
// item present when there is no sync point: the cursor then waits for one.
func (c *Cursor[T]) jump() {
	to, ok := c.ring.newestSync()
	if !ok || to < c.pos {
		to = c.ring.oldest()
	}
	c.miss(to - c.pos)
	c.pos, c.synced = to, false
}

// miss counts items passed over. Before the first one returned nothing is missed.
func (c *Cursor[T]) miss(n uint64) {
	if !c.begun {
		return
	}
	c.lost += n
	c.gap = true
	c.reader.drops.Add(DropReaderLagged, n)
}

// Gap reports, once, whether items were lost before the one last returned.
func (c *Cursor[T]) Gap() bool {
	g := c.gap
	c.gap = false
	return g
}

// Position returns where the cursor is: how many items of the ring lie before the
// next one. Cursors of one ring can be compared by it.
func (c *Cursor[T]) Position() uint64 { return c.pos }

// Behind returns how many items were written that the cursor has not passed.
func (c *Cursor[T]) Behind() uint64 { return c.ring.head.Load() - c.pos }

// Lost returns how many items this cursor missed in all.
func (c *Cursor[T]) Lost() uint64 { return c.lost }

// Close takes the cursor off its ring. It is safe to call twice.
func (c *Cursor[T]) Close() {
	if c.reader == nil {
		return
	}
	c.ring.detach(c.reader)
	c.reader = nil
	if c.close != nil {
		c.close()
	}
}
