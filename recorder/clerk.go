package recorder

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"tongxiang/internal/store"
)

// clerkPatience is how long the library may take to write an entry before the next
// is tried.
const clerkPatience = 10 * time.Second

// clerk writes entries of the library in a goroutine of its own, run, so that a
// library on a disk that does not answer holds up no recording. Of each recording
// the newest entry counts; there are no more than recordings.
type clerk struct {
	library Library
	ended   func(store.Recording) // nil: nobody is told
	log     *slog.Logger
	wake    chan struct{}

	mu      sync.Mutex // guards what follows
	pending map[string]store.Recording
	order   []string
	written chan struct{} // closed and replaced when one was
	busy    string        // id of the one being written
}

func newClerk(library Library, ended func(store.Recording), log *slog.Logger) *clerk {
	return &clerk{
		library: library, ended: ended, log: log, wake: make(chan struct{}, 1),
		pending: make(map[string]store.Recording), written: make(chan struct{}),
	}
}

// put has an entry written. It never blocks.
func (c *clerk) put(rec store.Recording) {
	c.mu.Lock()
	if _, ok := c.pending[rec.ID]; !ok {
		c.order = append(c.order, rec.ID)
	}
	c.pending[rec.ID] = rec
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// settled waits until the entry of a recording is written.
func (c *clerk) settled(ctx context.Context, id string) error {
	for {
		c.mu.Lock()
		_, waits := c.pending[id]
		waits = waits || c.busy == id
		written := c.written
		c.mu.Unlock()
		if !waits {
			return nil
		}
		select {
		case <-written:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// run writes until ctx ends, and then what waits.
func (c *clerk) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			c.drain()
			return
		case <-c.wake:
			c.drain()
		}
	}
}

func (c *clerk) drain() {
	for {
		c.mu.Lock()
		if len(c.order) == 0 {
			c.mu.Unlock()
			return
		}
		id := c.order[0]
		rec := c.pending[id]
		c.order = c.order[1:]
		delete(c.pending, id)
		c.busy = id
		c.mu.Unlock()
		ctx, stop := context.WithTimeout(context.Background(), clerkPatience)
		err := c.library.PutRecording(ctx, rec)
		stop()
		if err != nil { // it does not end a recording; the folder has the same
			c.log.Error("recording is not in the library", "id", id, "err", err)
		} else if !rec.State.Active() && c.ended != nil {
			c.ended(rec)
		}
		c.mu.Lock()
		c.busy = ""
		close(c.written)
		c.written = make(chan struct{})
		c.mu.Unlock()
	}
}
