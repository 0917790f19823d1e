package stream

import (
	"context"
	"slices"
	"sync"
	"time"

	"tongxiang/internal/media"
)

// Stream is what a name stands for: the tracks of at most one publisher, and
// those who read them.
type Stream struct {
	name Name // set once

	// guarded by Hub.mu
	readers int
	stop    context.CancelFunc // of the provider, when one runs
	idle    *time.Timer        // ends the provider

	mu      sync.Mutex // guards what follows
	pub     *Publisher
	list    []*Track // never changed in place
	changed chan struct{}
}

func newStream(name Name) *Stream {
	return &Stream{name: name, changed: make(chan struct{})}
}

func (s *Stream) publisher() *Publisher {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pub
}

// take makes p the publisher (nil: nobody) and returns the former one's tracks,
// for the caller to end without a lock.
func (s *Stream) take(p *Publisher) (gone []*Track) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gone, s.list, s.pub = s.list, nil, p
	s.editedLocked()
	return gone
}

func endAll(tracks []*Track) {
	for _, t := range tracks {
		t.end()
	}
}

func (s *Stream) tracks() []*Track {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list
}

// edited tells the readers that tracks or formats changed.
func (s *Stream) edited() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.editedLocked()
}

func (s *Stream) editedLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Publisher is the right to write a stream. Its methods may be called from any
// goroutine; each of its tracks is written by one.
type Publisher struct {
	hub    *Hub // nil: see Divert
	sink   Sink // set by Divert
	stream *Stream
	once   sync.Once
	done   chan struct{}
}

// Name returns the stream's name.
func (p *Publisher) Name() Name { return p.stream.name }

// Done is closed when the publisher was closed, by its owner or by a newer
// publisher that took over.
func (p *Publisher) Done() <-chan struct{} { return p.done }

// AddTrack returns the track for info. A track with the same label, layer, form
// and codec is kept, with its readers, and takes the new format; one with the
// same label and layer but another codec or form is replaced. After the publisher
// was closed the track is a dead one: it can be written, and nobody reads it.
func (p *Publisher) AddTrack(info TrackInfo) *Track {
	t := p.addTrack(info)
	p.tell()
	return t
}

func (p *Publisher) addTrack(info TrackInfo) *Track {
	s := p.stream
	s.mu.Lock()
	var old *Track
	for _, t := range s.list {
		if t.info.Label == info.Label && t.info.Layer == info.Layer {
			old = t
		}
	}
	if old != nil && s.pub == p && old.info.Form == info.Form && old.Format().Codec == info.Format.Codec {
		f := info.Format
		old.format.Store(&f)
		s.editedLocked()
		s.mu.Unlock()
		return old
	}
	t := newTrack(info, p)
	if s.pub == p {
		list := slices.DeleteFunc(slices.Clone(s.list), func(t *Track) bool { return t == old })
		s.list = append(list, t)
		s.editedLocked()
	} else {
		old = nil
	}
	s.mu.Unlock()
	if old != nil {
		old.end()
	}
	return t
}

// SetTracks makes infos the tracks of the stream, as by AddTrack for each, and
// removes all others. It returns the tracks in the order of infos.
func (p *Publisher) SetTracks(infos []TrackInfo) []*Track {
	out := make([]*Track, len(infos))
	for i, info := range infos {
		out[i] = p.addTrack(info)
	}
	p.removeTracks(func(t *Track) bool { return !slices.Contains(out, t) })
	p.tell()
	return out
}

// RemoveTrack ends one track.
func (p *Publisher) RemoveTrack(t *Track) {
	p.removeTracks(func(o *Track) bool { return o == t })
	p.tell()
}

func (p *Publisher) removeTracks(which func(*Track) bool) {
	s := p.stream
	s.mu.Lock()
	if s.pub != p {
		s.mu.Unlock()
		return
	}
	var gone, kept []*Track
	for _, t := range s.list {
		if which(t) {
			gone = append(gone, t)
		} else {
			kept = append(kept, t)
		}
	}
	s.list = kept
	if len(gone) > 0 {
		s.editedLocked()
	}
	s.mu.Unlock()
	endAll(gone)
}

// Close ends the tracks and gives the name up. It is safe to call twice.
func (p *Publisher) Close() {
	p.once.Do(func() {
		s := p.stream
		if p.hub == nil {
			close(p.done)
			endAll(s.take(nil))
			return
		}
		// A newer publisher may own the stream by now; its tracks stay.
		p.hub.mu.Lock()
		var gone []*Track
		if s.publisher() == p { // changes under hub.mu only
			gone = s.take(nil)
		}
		p.hub.forget(s)
		p.hub.mu.Unlock()
		close(p.done)
		endAll(gone)
		p.hub.notify()
	})
}

// Subscription is a reader's hold on a stream name. It outlives publishers. Its
// methods may be called from any goroutine.
type Subscription struct {
	hub    *Hub
	stream *Stream
	once   sync.Once
}

// Name returns the stream's name.
func (s *Subscription) Name() Name { return s.stream.name }

// Tracks returns the tracks that are published now; empty when nobody publishes.
// The slice is shared and must not be changed.
func (s *Subscription) Tracks() []*Track { return s.stream.tracks() }

// Published reports whether somebody publishes the stream now.
func (s *Subscription) Published() bool { return s.stream.publisher() != nil }

// Changed returns a channel that is closed when tracks are next added, removed or
// change format. Fetch it before Tracks, so that no change is missed.
func (s *Subscription) Changed() <-chan struct{} {
	s.stream.mu.Lock()
	defer s.stream.mu.Unlock()
	return s.stream.changed
}

// Wait returns the tracks as soon as ready accepts them, or ctx's error.
func (s *Subscription) Wait(ctx context.Context, ready func([]*Track) bool) ([]*Track, error) {
	for {
		changed := s.Changed()
		if tracks := s.Tracks(); ready(tracks) {
			return tracks, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-changed:
		}
	}
}

// Close gives the subscription up. Cursors are closed by their owners.
func (s *Subscription) Close() { s.once.Do(func() { s.hub.release(s.stream) }) }

// Find returns the first track of a kind, or nil: the simplest choice of one
// picture and one sound.
func Find(tracks []*Track, kind media.Kind) *Track {
	for _, t := range tracks {
		if t.Kind() == kind {
			return t
		}
	}
	return nil
}

// Flowing returns the largest layer of a label that carries something now, or nil.
func Flowing(tracks []*Track, label Label) *Track {
	var out *Track
	for _, t := range tracks {
		if t.Label() != label || t.Stats().Items == 0 {
			continue
		}
		// A layer that its sender paused is no better than the smaller one that flows.
		stale := out != nil && out.Stats().Last-t.Stats().Last > int64(time.Second)
		paused := out != nil && t.Stats().Last-out.Stats().Last > int64(time.Second)
		if out == nil || paused || (t.Layer() > out.Layer() && !stale) {
			out = t
		}
	}
	return out
}
