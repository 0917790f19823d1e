// Package stream is the hub: one publisher and many readers for each stream name.
//
//	machines ─> ingest/ ──┐                    ┌─> sfu/              (packets)
//	                      ├─> Hub: Name ─> Stream ─> Track ─> Ring ─┼─> internal/playout/ (frames)
//	browsers ─> sfu/    ──┘                    └─> recorder/         (frames)
//
// A [Publisher] adds tracks and writes each from one goroutine. A reader opens a
// [Subscription], which outlives publishers: tracks come and go in it, and
// [Subscription.Changed] says when. Readers follow a track with a [Cursor].
//
// Goroutines: each track owns at most one, which derives the form that the
// publisher does not write; the hub owns one for each stream that is provided on
// demand. Locks are taken in the order Hub, Stream, Track, only when membership
// changes; a packet takes none.
package stream

import (
	"context"
	"errors"
	"log/slog"
	"sort"
	"strings"
	"sync"
	"time"
)

// Errors that callers decide on.
var (
	// ErrTaken: somebody else publishes under this name.
	ErrTaken = errors.New("stream is already published")
	// ErrClosed: the hub is closed.
	ErrClosed = errors.New("hub is closed")
)

// Provider makes streams that exist only while somebody wants them.
type Provider struct {
	// Match reports whether this provider can make the stream.
	Match func(Name) bool
	// Run publishes the stream until ctx ends. The hub runs it while there is
	// demand and for [Linger] afterwards; when it returns early it is run
	// again after a second, as long as there is demand.
	Run func(context.Context, Name) error
}

// Linger is how long a stream made on demand outlives its last reader, so that
// changing channels to and fro does not start it anew.
const Linger = 10 * time.Second

const providerPause = time.Second

// Hub holds the streams. Create it with [NewHub]; it is safe for concurrent use.
type Hub struct {
	log *slog.Logger
	ctx context.Context // of the providers; ended by Close
	end context.CancelFunc

	mu        sync.Mutex
	streams   map[Name]*Stream
	providers []Provider
	closed    bool
	watchers  map[chan struct{}]struct{}
	running   sync.WaitGroup
}

// NewHub returns an empty hub.
func NewHub(log *slog.Logger) *Hub {
	ctx, end := context.WithCancel(context.Background())
	return &Hub{
		log: log, ctx: ctx, end: end,
		streams:  make(map[Name]*Stream),
		watchers: make(map[chan struct{}]struct{}),
	}
}

// Provide registers a maker of streams on demand. Call it before the first Open.
func (h *Hub) Provide(p Provider) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.providers = append(h.providers, p)
}

// Publish begins to publish under name. When the name is taken and takeOver is
// set, the former publisher is ended and the newest wins; else the error is [ErrTaken].
func (h *Hub) Publish(name Name, takeOver bool) (*Publisher, error) {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil, ErrClosed
	}
	s := h.stream(name)
	old := s.publisher()
	if old != nil && !takeOver {
		h.mu.Unlock()
		return nil, ErrTaken
	}
	p := &Publisher{hub: h, stream: s, done: make(chan struct{})}
	gone := s.take(p)
	h.mu.Unlock()
	if old != nil {
		old.Close()
	}
	endAll(gone)
	h.notify()
	return p, nil
}

// Open returns a subscription to name, whether or not anybody publishes it yet,
// and starts its provider when it has one. The caller closes it.
func (h *Hub) Open(name Name) *Subscription {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.stream(name)
	s.readers++
	if s.readers == 1 && s.idle != nil {
		s.idle.Stop()
		s.idle = nil
	}
	if s.stop == nil && s.publisher() == nil && !h.closed {
		for _, p := range h.providers {
			if p.Match(name) {
				h.run(s, p)
				break
			}
		}
	}
	return &Subscription{hub: h, stream: s}
}

// run starts a provider for s. The caller holds h.mu.
func (h *Hub) run(s *Stream, p Provider) {
	ctx, cancel := context.WithCancel(h.ctx)
	s.stop = cancel
	h.running.Go(func() {
		defer cancel()
		for ctx.Err() == nil {
			if err := p.Run(ctx, s.name); err != nil && ctx.Err() == nil {
				h.log.Warn("stream on demand ended", "stream", s.name, "err", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(providerPause):
			}
		}
	})
}

// release undoes Open.
func (h *Hub) release(s *Stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.readers--
	if s.readers > 0 {
		return
	}
	if s.stop != nil && !h.closed {
		s.idle = time.AfterFunc(Linger, func() { h.idle(s) })
		return
	}
	h.forget(s)
}

// idle stops a provided stream that nobody wanted again.
func (h *Hub) idle(s *Stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.readers > 0 || s.stop == nil {
		return
	}
	s.stop()
	s.stop, s.idle = nil, nil
	h.forget(s)
}

// stream returns the named stream, making it when needed. The caller holds h.mu.
func (h *Hub) stream(name Name) *Stream {
	s := h.streams[name]
	if s == nil {
		s = newStream(name)
		h.streams[name] = s
	}
	return s
}

// forget drops a stream that has neither publisher nor readers. The caller holds h.mu.
func (h *Hub) forget(s *Stream) {
	if s.readers == 0 && s.publisher() == nil && h.streams[s.name] == s {
		delete(h.streams, s.name)
	}
}

// Published reports whether somebody publishes name now.
func (h *Hub) Published(name Name) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.streams[name]
	return s != nil && s.publisher() != nil
}

// Summary is one stream in [Hub.List].
type Summary struct {
	Name      Name
	Published bool
	Readers   int
	Tracks    []*Track
}

// List returns the streams whose names begin with prefix, by name.
func (h *Hub) List(prefix string) []Summary {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []Summary
	for name, s := range h.streams {
		if strings.HasPrefix(string(name), prefix) {
			out = append(out, Summary{name, s.publisher() != nil, s.readers, s.tracks()})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// Watch returns a channel that receives once after any number of streams began
// or ended being published, and a function that ends the watch.
func (h *Hub) Watch() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watchers[c] = struct{}{}
	return c, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.watchers, c)
	}
}

func (h *Hub) notify() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.watchers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// Close ends the providers and every publisher, and waits for them.
func (h *Hub) Close() {
	h.mu.Lock()
	h.closed = true
	var pubs []*Publisher
	for _, s := range h.streams {
		if p := s.publisher(); p != nil {
			pubs = append(pubs, p)
		}
		if s.idle != nil {
			s.idle.Stop()
		}
	}
	h.mu.Unlock()
	h.end()
	for _, p := range pubs {
		p.Close()
	}
	h.running.Wait()
}
