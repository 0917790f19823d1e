package sfu

import (
	"sync"

	"tongxiang/internal/stream"
)

// A source is the SFU's one subscription to a stream, however many viewers and
// rooms look at it. Its goroutine tells them when tracks come, go or change.
type source struct {
	name stream.Name
	sub  *stream.Subscription
	stop chan struct{}
	done sync.WaitGroup

	// guarded by sources.mu
	users map[watcher]int
}

// watcher is told of changes; the call must not block.
type watcher interface{ sourceChanged() }

// sources shares subscriptions. It is safe for concurrent use.
type sources struct {
	hub *stream.Hub

	mu     sync.Mutex
	byName map[stream.Name]*source
}

func newSources(hub *stream.Hub) *sources {
	return &sources{hub: hub, byName: make(map[stream.Name]*source)}
}

// open returns the source of a name and has w told of its changes, until close.
func (s *sources) open(name stream.Name, w watcher) *source {
	s.mu.Lock()
	defer s.mu.Unlock()
	src := s.byName[name]
	if src == nil {
		src = &source{name: name, sub: s.hub.Open(name), stop: make(chan struct{}), users: make(map[watcher]int)}
		s.byName[name] = src
		src.done.Go(func() { s.watch(src) })
	}
	src.users[w]++
	return src
}

// close undoes one open.
func (s *sources) close(src *source, w watcher) {
	s.mu.Lock()
	if src.users[w]--; src.users[w] <= 0 {
		delete(src.users, w)
	}
	last := len(src.users) == 0
	if last {
		delete(s.byName, src.name)
	}
	s.mu.Unlock()
	if last {
		close(src.stop)
		src.done.Wait()
		src.sub.Close()
	}
}

func (s *sources) watch(src *source) {
	for {
		changed := src.sub.Changed()
		s.mu.Lock()
		for w := range src.users {
			w.sourceChanged()
		}
		s.mu.Unlock()
		select {
		case <-changed:
		case <-src.stop:
			return
		}
	}
}
