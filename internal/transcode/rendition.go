package transcode

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"tongxiang/internal/media"
	"tongxiang/internal/playout/feed"
	"tongxiang/internal/stream"
)

// errReplanned ends a session of a rendition because the source's tracks need
// another plan.
var errReplanned = errors.New("tracks need another plan")

// run publishes one rendition until ctx ends. The hub calls it.
func (s *Service) run(ctx context.Context, name stream.Name) error {
	source, target, _ := parse(name)
	pub, err := s.hub.Publish(name, false)
	if err != nil {
		return fmt.Errorf("publish %s: %w", name, err)
	}
	defer pub.Close()
	sub := s.hub.Open(source)
	defer sub.Close()
	if target.onAir() {
		return s.runPicture(ctx, pub, sub, target)
	}
	for ctx.Err() == nil {
		p, err := settled(ctx, sub, target)
		if err != nil {
			return nil // ctx ended
		}
		r := &rendition{s: s, source: source, sub: sub, pub: pub, plan: p, ready: make(chan struct{}), written: map[stream.Label]media.Time{}}
		if err := r.run(ctx); !errors.Is(err, errReplanned) {
			return err
		}
		s.log.Info("rendition planned anew", "stream", name)
	}
	return nil
}

// settled waits until the source has tracks of use that stayed the same for a moment.
func settled(ctx context.Context, sub *stream.Subscription, t Target) (Plan, error) {
	for {
		changed := sub.Changed()
		p := plan(t, formats(sub.Tracks()))
		var still <-chan time.Time
		if p.copies() || p.encodes() {
			still = time.After(settle)
		}
		select {
		case <-ctx.Done():
			return p, context.Cause(ctx)
		case <-still:
			return p, nil
		case <-changed:
		}
	}
}

// rendition is one run under one plan.
type rendition struct {
	s      *Service
	source stream.Name
	sub    *stream.Subscription
	pub    *stream.Publisher
	plan   Plan
	job    *job          // its place in the room; nil when nothing is encoded
	ready  chan struct{} // closed when the child's tracks are published
	told   bool          // ready is closed; the supervisor's
	resume media.Time    // the next child begins here or later; the supervisor's and the feeder's in turn

	// written is the decode time up to which each encoded track was published,
	// over generations of children; the reading goroutine's.
	written map[stream.Label]media.Time
}

// copyAfter is how long the copied tracks wait for the encoded ones, so that a
// player meets all tracks at once. The rings hold what they wait for.
const copyAfter = 5 * time.Second

func (r *rendition) run(ctx context.Context) error {
	if r.plan.encodes() {
		job, err := r.s.room.enter(r.plan.picture == Encode, estimate(r.plan, formats(r.sub.Tracks())))
		if err != nil {
			r.s.refusals.Add(1)
			return err
		}
		r.job = job
		defer r.s.room.leave(job)
	}
	defer r.pub.SetTracks(nil)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.watch(ctx) })
	if r.plan.encodes() {
		g.Go(func() error { return r.supervise(ctx) })
	} else {
		close(r.ready)
	}
	if r.plan.copies() {
		g.Go(func() error { return r.copy(ctx) })
	}
	err := g.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// watch ends the run when the plan no longer fits. While the source is away the
// plan is kept: it will most likely come back as it was.
func (r *rendition) watch(ctx context.Context) error {
	for {
		changed := r.sub.Changed()
		if p := plan(r.plan.target, formats(r.sub.Tracks())); p != r.plan && (p.copies() || p.encodes()) {
			if p, err := settled(ctx, r.sub, r.plan.target); err == nil && p != r.plan {
				return errReplanned
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
	}
}

// copy publishes what goes out untouched.
func (r *rendition) copy(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-r.ready:
	case <-time.After(copyAfter):
	}
	f := feed.Open(r.s.hub, r.source, feed.Options{
		Accept: r.plan.accept(Copy), Sounds: maxSounds, Eager: true, From: r.plan.from(), Drops: &r.s.drops,
	})
	defer f.Close()
	var tracks []*stream.Track
	for {
		e, err := f.Next(ctx)
		switch {
		case err != nil:
			return err
		case e.Frame == nil:
			tracks = r.publish(f.Tracks(), tracks)
		default:
			tracks[e.Track].WriteFrame(e.Frame)
		}
	}
}

// publish makes the copied tracks those of now, and ends those of before that are
// not among them.
func (r *rendition) publish(now []feed.Track, before []*stream.Track) []*stream.Track {
	out := make([]*stream.Track, len(now))
	for i, t := range now {
		out[i] = r.pub.AddTrack(stream.TrackInfo{Label: t.Label, Form: stream.Frames, Format: t.Format})
	}
	for _, old := range before {
		kept := false
		for _, t := range out {
			kept = kept || t == old
		}
		if !kept {
			r.pub.RemoveTrack(old)
		}
	}
	return out
}
