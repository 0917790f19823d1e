// Package epg keeps the programme guide: what the multiplexes say of the channels'
// programmes goes through a bounded queue to one goroutine, which compares it with
// what is known, tells who subscribed what changed, and writes changes to the store
// in batches.
//
//	ingest ─(Event, Now)─> queue ─> guide of a channel ─┬─> subscribers
//	                                                    └─> dirty ─(once a second)─> store
//
// The store has a week of the past and all of the future; memory has the future. A
// service that sends more events than a guide can have is cut off and counted.
package epg

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tongxiang/internal/mpegts"
	"tongxiang/internal/store"
)

const (
	// queueLength holds some seconds of the fastest guide: 3,000 sections a second of
	// one event each. What does not fit is dropped and counted, and comes again when
	// the guide is read anew.
	queueLength = 8192
	// writeEvery and writeMost bound what the guide costs the disk.
	writeEvery = time.Second
	writeMost  = 2000
	// keepStored is how long an event stays in the store behind its end, keepKnown in memory.
	keepStored = 7 * 24 * time.Hour
	keepKnown  = 3 * time.Hour
	pruneEvery = time.Hour
	// patience is how long one write may take.
	patience = 30 * time.Second
)

// Stats counts what happened to events.
type Stats struct {
	Known    int    // events in memory
	Written  uint64 // rows written
	Queue    uint64 // dropped, because the queue was full
	Bounded  uint64 // left out, because the channel had as many as it may, or too many at once
	Absurd   uint64 // left out for times that cannot be
	Failures uint64 // writes that failed and were tried again
}

// Service is the guide of all channels. Create it with [New]; it is safe for
// concurrent use and owns one goroutine.
type Service struct {
	store *store.Store
	log   *slog.Logger
	now   func() time.Time
	queue chan message
	stop  context.CancelFunc
	done  chan struct{}

	written, queueFull, failures atomic.Uint64

	mu       sync.Mutex // guards what follows
	channels map[string]*guide
	removed  []store.EPGKey // to be deleted from the store, before dirty ones are written
	bounded  uint64
	absurd   uint64
}

// message is one thing that was said of a channel.
type message struct {
	channel  string
	event    mpegts.Event
	now      *mpegts.NowNext
	schedule bool
	forget   bool
}

// New returns the guide over a store, with what the store knows of the future.
func New(ctx context.Context, st *store.Store, log *slog.Logger) (*Service, error) {
	s := &Service{
		store: st, log: log, now: time.Now, queue: make(chan message, queueLength), done: make(chan struct{}),
		channels: make(map[string]*guide),
	}
	rows, err := st.EPGSince(ctx, s.now().Add(-keepKnown))
	if err != nil {
		return nil, err
	}
	for _, e := range rows {
		s.guide(e.Channel).load(e)
	}
	// It lives until Close, not as long as the call that makes it.
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	go s.run(run)
	return s, nil
}

// Close writes what is not written yet and ends the goroutine.
func (s *Service) Close() {
	s.stop()
	<-s.done
}

// Event takes an entry of a channel's guide. It never blocks.
func (s *Service) Event(channel string, e mpegts.Event, schedule bool) {
	s.send(message{channel: channel, event: e, schedule: schedule})
}

// Now takes what is on now and what comes next on a channel. It never blocks.
func (s *Service) Now(channel string, n mpegts.NowNext) {
	s.send(message{channel: channel, now: &n})
}

func (s *Service) send(m message) {
	select {
	case s.queue <- m:
	default:
		s.queueFull.Add(1)
	}
}

// Forget drops the guide of a channel that was removed, behind what was said of it before.
func (s *Service) Forget(channel string) {
	select {
	case s.queue <- message{channel: channel, forget: true}:
	case <-s.done:
	}
}

// NowNext returns what is on now on a channel and what comes next; nil: not known.
func (s *Service) NowNext(channel string) (now, next *store.EPGEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.channels[channel]
	if g == nil {
		return nil, nil
	}
	return g.nowNext(s.now())
}

// Stats returns the counters.
func (s *Service) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := Stats{Written: s.written.Load(), Queue: s.queueFull.Load(), Failures: s.failures.Load(), Bounded: s.bounded, Absurd: s.absurd}
	for _, g := range s.channels {
		x.Known += len(g.events)
	}
	return x
}

// guide returns that of a channel. The caller holds s.mu, or is New.
func (s *Service) guide(channel string) *guide {
	g := s.channels[channel]
	if g == nil {
		g = newGuide(channel)
		s.channels[channel] = g
	}
	return g
}

// run is the service's goroutine.
func (s *Service) run(ctx context.Context) {
	defer close(s.done)
	write := time.NewTicker(writeEvery)
	defer write.Stop()
	s.prune(ctx)
	pruned := s.now()
	for {
		select {
		case <-ctx.Done():
			for len(s.queue) > 0 {
				s.take(ctx, <-s.queue)
			}
			for s.flush(context.WithoutCancel(ctx)) > 0 {
			}
			return
		case m := <-s.queue:
			s.take(ctx, m)
		case <-write.C:
			s.flush(ctx)
			if now := s.now(); now.Sub(pruned) > pruneEvery {
				pruned = now
				s.prune(ctx)
			}
		}
	}
}

// take applies a message to its channel's guide.
func (s *Service) take(ctx context.Context, m message) {
	if m.forget {
		s.drop(ctx, m.channel)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.guide(m.channel)
	now := s.now()
	var changes []Change
	var err error
	if m.now != nil {
		changes = g.present(*m.now, now)
	} else {
		changes, err = g.event(m.event, m.schedule, now)
	}
	switch err {
	case errAbsurd:
		s.absurd++
	case errFull:
		s.bounded++
	}
	for _, c := range changes {
		if c.Kind == Removed {
			s.removed = append(s.removed, store.EPGKey{Channel: m.channel, ID: c.Event.ID})
		}
		g.tell(c)
	}
}

// drop forgets a channel.
func (s *Service) drop(ctx context.Context, channel string) {
	s.mu.Lock()
	g := s.guide(channel)
	g.clear()
	g.tell(Change{Kind: Resync})
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if err := s.store.DeleteEPG(ctx, channel); err != nil {
		s.log.Warn("programme guide of a removed channel not deleted", "channel", channel, "err", err)
	}
}

// flush writes a batch and returns how many rows it wrote. What could not be written
// is tried again the next time.
func (s *Service) flush(ctx context.Context) int {
	s.mu.Lock()
	removed := s.removed
	s.removed = nil
	var rows []store.EPGEvent
	for _, g := range s.channels {
		for id := range g.dirty {
			if len(rows) >= writeMost {
				break
			}
			delete(g.dirty, id)
			if e, ok := g.events[id]; ok {
				rows = append(rows, e)
			}
		}
	}
	s.mu.Unlock()
	if len(rows)+len(removed) == 0 {
		return 0
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := s.store.PutEPG(ctx, rows, removed); err != nil {
		s.failures.Add(1)
		s.log.Warn("programme guide not written", "rows", len(rows), "err", err)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.removed = append(removed, s.removed...)
		for _, e := range rows {
			s.guide(e.Channel).dirty[e.ID] = struct{}{}
		}
		return 0
	}
	s.written.Add(uint64(len(rows)))
	return len(rows)
}

// prune forgets the past.
func (s *Service) prune(ctx context.Context) {
	now := s.now()
	s.mu.Lock()
	for _, g := range s.channels {
		g.prune(now.Add(-keepKnown))
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	n, err := s.store.PruneEPG(ctx, now.Add(-keepStored))
	if err != nil && ctx.Err() == nil {
		s.log.Warn("programme guide not pruned", "err", fmt.Errorf("prune: %w", err))
	} else if n > 0 {
		s.log.Debug("programme guide pruned", "events", n)
	}
}
