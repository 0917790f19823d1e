package transcode

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

const (
	// lookEvery is how often it is looked whether another layer is the best now, and
	// whether a key frame that was asked for has come.
	lookEvery = 100 * time.Millisecond
	// askAgain is how long a key frame may take before it is asked for again.
	askAgain = time.Second
	// absentAfter is how long a participant may be without a picture before his
	// child is ended: a change of codec, or of his line, takes a moment.
	absentAfter = 2 * time.Second
)

// layers reads a participant's picture in frames that can be decoded one after the
// other: the largest layer that flows, and another one from its first key frame on. It
// belongs to one goroutine, but for serve.
type layers struct {
	sub   *stream.Subscription
	label stream.Label
	rd    *stream.Reader

	on, next *layer    // the layer that is read, and the one that will be
	waiting  bool      // for a key frame, because something is missing
	gone     time.Time // since when there is no picture; zero: there is one

	out  atomic.Pointer[stream.Track] // of which key frames may be asked
	from atomic.Pointer[stream.Track] // the track of on
}

// layer is one layer that is followed.
type layer struct {
	track  *stream.Track
	cursor *stream.Cursor[media.Frame]
	asked  time.Time // when a key frame was last asked for
}

// serve makes key frames that are asked of t be asked of the layer that is read. Any
// goroutine may call it.
func (c *layers) serve(t *stream.Track) {
	c.out.Store(t)
	t.PassRequests(c.from.Load())
}

// close lets go of everything.
func (c *layers) close() {
	c.drop(&c.on)
	c.drop(&c.next)
}

// restart passes over what has come, and makes the next frame a key frame.
func (c *layers) restart() {
	if c.on == nil {
		return
	}
	for c.on.cursor.Next() != nil { // what came while nobody could use it is late now
	}
	c.waiting = true
	c.ask(c.on, time.Now())
}

// frame returns the next frame that is to be decoded, or nil after a while. The first
// is a key frame, and so is the one after anything that is missing.
func (c *layers) frame(ctx context.Context) (*media.Frame, error) {
	changed := c.sub.Changed()
	now := time.Now()
	if err := c.choose(now); err != nil {
		return nil, err
	}
	if f := c.take(now); f != nil {
		return f, nil
	}
	tick := time.NewTimer(lookEvery)
	defer tick.Stop()
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-c.rd.Wake():
	case <-changed:
	case <-tick.C:
	}
	return nil, nil
}

// choose follows the layer that is the best now.
func (c *layers) choose(now time.Time) error {
	t := foreign(c.sub.Tracks(), c.label)
	switch {
	case t == nil:
		if c.gone.IsZero() {
			c.gone = now
		}
		if now.Sub(c.gone) > absentAfter {
			return errGone
		}
		return nil
	case c.on != nil && c.on.track == t:
		c.drop(&c.next)
	case c.next == nil || c.next.track != t:
		c.drop(&c.next)
		cursor, err := t.FollowFrames(c.rd, stream.AtLive)
		if err != nil {
			return fmt.Errorf("read the picture: %w", err)
		}
		c.next = &layer{track: t, cursor: cursor}
		c.ask(c.next, now)
	}
	c.gone = time.Time{}
	return nil
}

// ask asks for a key frame.
func (c *layers) ask(l *layer, now time.Time) {
	l.asked = now
	l.track.RequestKeyFrame()
}

func (c *layers) drop(l **layer) {
	if *l != nil {
		(*l).cursor.Close()
		*l = nil
	}
}

// take returns a frame that has come and can be decoded, or nil. A layer takes over
// with its first key frame.
func (c *layers) take(now time.Time) *media.Frame {
	if c.next != nil {
		if f := c.next.cursor.Next(); f != nil {
			c.drop(&c.on)
			c.on, c.next = c.next, nil
			c.waiting = false
			c.from.Store(c.on.track)
			if out := c.out.Load(); out != nil {
				out.PassRequests(c.on.track)
			}
			if f = c.whole(f, now); f != nil {
				return f
			}
		} else if now.Sub(c.next.asked) > askAgain {
			c.ask(c.next, now)
		}
	}
	if c.on == nil {
		return nil
	}
	for f := c.on.cursor.Next(); f != nil; f = c.on.cursor.Next() {
		if f = c.whole(f, now); f != nil {
			return f
		}
	}
	if c.waiting && now.Sub(c.on.asked) > askAgain {
		c.ask(c.on, now)
	}
	return nil
}

// whole returns the frame when it can be decoded with what came before. Where something
// is missing the picture stands until the next key frame, which is asked for: that is
// better to look at, and to record, than what a decoder makes of it.
func (c *layers) whole(f *media.Frame, now time.Time) *media.Frame {
	lost := c.on.cursor.Gap() || f.Corrupt || f.Gap
	if (lost && !f.Sync || f.Corrupt) && !c.waiting {
		c.waiting = true
		c.ask(c.on, now)
	}
	if c.waiting && f.Sync && !f.Corrupt {
		c.waiting = false
	}
	if c.waiting {
		return nil
	}
	return f
}
