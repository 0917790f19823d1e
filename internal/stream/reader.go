package stream

import "sync/atomic"

// Reader is one consumer's wake-up. It belongs to one goroutine, which may follow
// any number of tracks with it: the goroutine drains each [Cursor], sleeps on
// [Reader.Wake], and drains again.
type Reader struct {
	wake    chan struct{}
	pending atomic.Bool // a wake-up was sent and the reader has not looked since
	drops   *Drops
}

// NewReader returns a reader that counts what it loses in drops; nil: in a counter of its own.
func NewReader(drops *Drops) *Reader {
	if drops == nil {
		drops = new(Drops)
	}
	return &Reader{wake: make(chan struct{}, 1), drops: drops}
}

// Wake returns the channel that receives once when any followed track has news.
func (r *Reader) Wake() <-chan struct{} { return r.wake }

// Drops returns the reader's counters.
func (r *Reader) Drops() *Drops { return r.drops }

// signal wakes the reader and never blocks. Any goroutine may call it.
func (r *Reader) signal() {
	if r.pending.Load() || !r.pending.CompareAndSwap(false, true) {
		return
	}
	select {
	case r.wake <- struct{}{}:
	default: // a wake-up is waiting already
	}
}

// arm says that the reader is about to sleep and wants the next signal.
func (r *Reader) arm() { r.pending.Store(false) }
