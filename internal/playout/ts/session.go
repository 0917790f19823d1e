package ts

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/media"
	"tongxiang/internal/playout/feed"
	"tongxiang/internal/stream"
)

// session is one stream multiplexed for its HTTP readers, from the first of them until
// the last has been gone for a while. Its goroutine owns the multiplexer; readers
// share the bytes by cursors of the ring.
type session struct {
	server *Server
	name   stream.Name
	ring   *stream.Ring[chunk]
	ended  chan struct{}

	readers int          // guarded by Server.mu
	alone   atomic.Int64 // when the last reader left

	mu      sync.Mutex
	err     error // why it ended
	live    bool  // the source was published when last looked
	refused error // why nothing can be sent

	// owned by run
	mux   *VBR
	heard int64 // when a frame last came
	lost  Drops // as counted last
}

// chunk is the packets of one frame.
type chunk struct{ data []byte }

var (
	errDeserted   = errors.New("nobody reads the stream")
	errSourceGone = errors.New("the source went away")
	errMoved      = errors.New("tracks need another rendition")
)

func newSession(s *Server, name stream.Name) *session {
	return &session{
		server: s, name: name, ring: stream.NewRing[chunk](keepChunks), ended: make(chan struct{}), heard: s.clock.Now(),
	}
}

// run multiplexes the stream until ctx ends, nobody reads any more, or the source has
// been away too long.
func (x *session) run(ctx context.Context) error {
	title, provider := string(x.name), ""
	if x.server.cfg.Describe != nil {
		title, provider = x.server.cfg.Describe(x.name)
	}
	x.mux = NewVBR(Service{Name: title, Provider: provider})
	for {
		name, err := x.resolve(ctx)
		if err != nil {
			return fmt.Errorf("resolve %s: %w", x.name, err)
		}
		if err := x.follow(ctx, name); !errors.Is(err, errMoved) {
			return err
		}
	}
}

func (x *session) resolve(ctx context.Context) (stream.Name, error) {
	if x.server.cfg.Resolve == nil {
		return x.name, nil
	}
	return x.server.cfg.Resolve(ctx, x.name)
}

// follow multiplexes one rendition.
func (x *session) follow(ctx context.Context, name stream.Name) error {
	s := x.server
	f := feed.Open(s.hub, name, feed.Options{Accept: Carriable, Sounds: maxSounds, From: stream.AtSync, Drops: &s.drops})
	defer f.Close()
	for {
		x.seen(f)
		wait, cancel := context.WithTimeout(ctx, time.Second)
		e, err := f.Next(wait)
		cancel()
		now := s.clock.Now()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case s.deserted(x):
			return errDeserted
		case err != nil: // nothing came
			if now-x.heard > int64(sourceGone) {
				return errSourceGone
			}
			if len(f.Tracks()) == 0 {
				if err := x.moved(ctx, name); err != nil {
					return err
				}
			}
		case e.Frame == nil:
			if err := x.moved(ctx, name); err != nil {
				return err
			}
			x.tracks(f.Tracks())
		default:
			x.heard = now
			x.push(e)
		}
	}
}

// moved returns errMoved when another rendition is wanted now.
func (x *session) moved(ctx context.Context, name stream.Name) error {
	now, err := x.resolve(ctx)
	if err != nil {
		return fmt.Errorf("resolve %s: %w", x.name, err)
	}
	if now != name {
		return errMoved
	}
	return nil
}

func (x *session) seen(f *feed.Feed) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.live, x.refused = f.Published(), nil
	if refused := f.Refused(); len(f.Tracks()) == 0 && len(refused) > 0 {
		why := whyUnplayable(refused)
		x.refused = apierr.New(http.StatusNotFound, why.Code, why.EN, why.ZH)
	}
}

func (x *session) tracks(tracks []feed.Track) {
	if len(tracks) == 0 {
		return
	}
	formats := make([]media.Format, len(tracks))
	for i, t := range tracks {
		formats[i] = t.Format
	}
	if err := x.mux.SetTracks(formats); err != nil {
		x.server.log.Error("ts session's tracks refused", "stream", x.name, "err", err) // Carriable let them through
	}
}

func (x *session) push(e feed.Event) {
	b, entry := x.mux.Append(nil, e.Track, e.Frame, e.Lost)
	if len(b) > 0 {
		x.ring.Write(&chunk{b}, entry)
	}
	if d := x.mux.Drops(); d != x.lost {
		for i := range d {
			x.server.frames[i].Add(d[i] - x.lost[i])
		}
		x.lost = d
	}
}

// end lets the readers go and leaves err for those who have received nothing.
func (x *session) end(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.err = err
	close(x.ended)
}

// why returns why a reader got nothing, for a person.
func (x *session) why() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	var coded *apierr.Error
	switch {
	case errors.As(x.err, &coded):
		return coded
	case x.refused != nil:
		return x.refused
	case !x.live:
		return errNotLive
	}
	return errStarting
}
