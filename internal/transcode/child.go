package transcode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
	"tongxiang/internal/playout/feed"
	"tongxiang/internal/stream"
)

const (
	// renewAfter is far below the 26.5 h after which 33-bit times wrap.
	renewAfter = 20 * time.Hour
	// renewJump is a step in the source's time after which a new child is
	// surer than one that has to make sense of it.
	renewJump = 5 * time.Second
	// headStart is how old the frames are that a child for HLS begins with: a player
	// that waits for its first segments gets them as fast as they can be encoded.
	headStart = 4 * time.Second
	// deadAfter: a sound of which nothing came for this long is left out of a child,
	// which would wait for it with everything else.
	deadAfter = 3 * time.Second
)

// supervise keeps a child running.
func (r *rendition) supervise(ctx context.Context) error {
	return r.s.keep(ctx, r.pub.Name(), r.child)
}

// child is one generation: it ends when the source's tracks change, when it fails,
// or with ctx.
type child struct {
	r    *rendition
	base media.Time // of the source, at the child's origin
	feed *feed.Feed
	vigil

	tracks map[*mpegts.Stream]*stream.Track // of the reading goroutine

	// outs are what the child gives, in its order; ins is the place among them of
	// each track of the feed, -1 when it is left out. Set before it starts.
	outs []childTrack
	ins  []int
}

// childTrack is one track that goes through a child.
type childTrack struct {
	label   stream.Label
	format  media.Format  // of the source
	arrival *atomic.Int64 // what is to be added to a time of the source for when it reached us
}

// formats returns what goes in.
func (c *child) formats() []media.Format {
	out := make([]media.Format, len(c.outs))
	for i, t := range c.outs {
		out[i] = t.format
	}
	return out
}

// child runs one generation and returns why it ended.
func (r *rendition) child(ctx context.Context) error {
	f := feed.Open(r.s.hub, r.source, feed.Options{
		Accept: r.plan.accept(Encode), Sounds: maxSounds, Eager: true, From: r.plan.from(), Drops: &r.s.drops,
	})
	defer f.Close()
	if _, err := f.Next(ctx); err != nil { // the first event says what there is
		return err
	}
	c := &child{r: r, feed: f, tracks: map[*mpegts.Stream]*stream.Track{}}
	dead := r.dead()
	for _, t := range f.Tracks() {
		if dead[t.Label] && len(f.Tracks()) > 1 {
			c.ins = append(c.ins, -1)
			continue
		}
		c.ins = append(c.ins, len(c.outs))
		c.outs = append(c.outs, childTrack{t.Label, t.Format, new(atomic.Int64)})
	}
	return c.run(ctx)
}

// dead returns the labels of the sounds of which nothing comes while other tracks go on.
func (r *rendition) dead() map[stream.Label]bool {
	tracks := r.sub.Tracks()
	newest := int64(0)
	for _, t := range tracks {
		newest = max(newest, t.Stats().Last)
	}
	out := make(map[stream.Label]bool)
	for _, t := range tracks {
		if t.Kind() == media.Audio && newest-t.Stats().Last > int64(deadAfter) {
			out[t.Label()] = true
		}
	}
	return out
}

func (c *child) run(ctx context.Context) error {
	held, err := c.first(ctx)
	if err != nil {
		return err
	}
	return c.r.s.process(ctx, arguments(c.r.plan.target, c.formats()), &c.vigil, c.r.job, task{
		write: func(ctx context.Context, in io.Writer) error { return c.write(ctx, in, held) },
		read:  c.read,
		young: 2 * headStart,
	})
}

// first waits for the frames that the child begins with. Times are counted from the
// first of them: one at which decoding can begin, not before what made the former
// child end. Of what the rings hold, as much is passed over as a player does not
// need to begin.
func (c *child) first(ctx context.Context) ([]feed.Event, error) {
	recent := int64(0)
	if c.r.plan.picture == Encode && !c.r.plan.target.webrtc() {
		recent = c.r.s.clock.Now() - int64(headStart)
	}
	var held []feed.Event // from the newest start that is old enough
	for {
		e, err := c.feed.Next(ctx)
		switch {
		case err != nil:
			return nil, err
		case e.Frame == nil:
			return nil, errRenew
		case c.ins[e.Track] < 0 || e.Frame.DTS < c.r.resume:
			continue
		case e.Frame.Sync && c.leads(e.Track) && e.Frame.Arrival < recent:
			held = held[:0]
		case len(held) == 0 && !(e.Frame.Sync && c.leads(e.Track)):
			continue
		}
		if len(held) == 0 {
			c.base = media.FromTicks(e.Frame.DTS.Ticks(mpegts.Ticks), mpegts.Ticks)
		}
		held = append(held, e)
		if e.Frame.Arrival >= recent {
			return held, nil
		}
	}
}

// leads reports whether a track is one to begin with: the picture when there is one.
func (c *child) leads(track int) bool {
	return c.r.plan.picture != Encode || c.feed.Tracks()[track].Format.Codec.Kind() == media.Video
}

// write feeds the child, first with what is held, until ctx ends, the tracks change
// or their time jumps.
func (c *child) write(ctx context.Context, in io.Writer, held []feed.Event) error {
	w, err := mpegts.NewWriter(in, c.formats())
	if err != nil {
		return err
	}
	w.TellLengths()
	last := make([]media.Time, len(c.outs))
	begin := held[0].Frame.PTS
	for {
		var e feed.Event
		if len(held) > 0 {
			e, held = held[0], held[1:]
		} else if e, err = c.feed.Next(ctx); err != nil {
			return err
		}
		if e.Frame == nil {
			return errRenew
		}
		f := *e.Frame
		to := c.ins[e.Track]
		if to < 0 {
			if c.lateness(e) < deadAfter { // a sound that was left out is back
				c.r.resume = f.DTS
				return errRenew
			}
			continue
		}
		if l := last[to]; l != 0 && f.DTS.Sub(l) > renewJump || f.DTS.Sub(c.base) > renewAfter {
			c.r.resume = f.DTS
			return errRenew
		}
		last[to] = f.DTS
		c.outs[to].arrival.Store(f.Arrival - int64(f.DTS))
		// What is shown before the first picture refers to what the child never got.
		leading := c.outs[to].format.Codec.Kind() == media.Video && f.PTS < begin
		f.PTS, f.DTS = f.PTS.Add(origin-time.Duration(c.base)), f.DTS.Add(origin-time.Duration(c.base))
		if f.DTS <= 0 || leading {
			continue
		}
		c.offers(c.r.s.clock.Now())
		err := writeSingly(w, to, c.outs[to].format, &f)
		c.took()
		if err != nil && !errors.Is(err, mpegts.ErrFormat) {
			return err
		}
	}
}

// writeSingly writes each sound of a frame by itself, because the child does not look
// for several in a packet.
func writeSingly(w *mpegts.Writer, to int, format media.Format, f *media.Frame) error {
	if format.Codec.Kind() == media.Video || len(f.Units) < 2 || media.UnitDuration(format, f.Units[0]) <= 0 {
		return w.WriteFrame(to, f)
	}
	one := *f
	var at time.Duration // from the frame's time
	for i := range f.Units {
		one.Units = f.Units[i : i+1]
		one.PTS, one.DTS = f.PTS.Add(at), f.DTS.Add(at)
		if err := w.WriteFrame(to, &one); err != nil {
			return err
		}
		at += media.UnitDuration(format, f.Units[i])
	}
	return nil
}

// lateness returns how long ago a frame arrived.
func (c *child) lateness(e feed.Event) time.Duration {
	return time.Duration(c.r.s.clock.Now() - e.Frame.Arrival)
}

// read publishes what the child gives. It ends when the child does.
func (c *child) read(out io.Reader) error {
	known := 0
	d := mpegts.NewDemuxer(mpegts.Handler{
		Format: func(st *mpegts.Stream) {
			i := int(st.PID) - firstPID
			if i < 0 || i >= len(c.outs) {
				return
			}
			if c.tracks[st] == nil {
				known++
			}
			f := st.Format
			f.Language = c.outs[i].format.Language
			c.tracks[st] = c.r.pub.AddTrack(stream.TrackInfo{Label: c.outs[i].label, Form: stream.Frames, Format: f})
			if known == len(c.outs) && !c.r.told {
				c.r.told = true
				close(c.r.ready)
			}
		},
		Frame: c.frame,
		Whole: true,
	})
	buf := make([]byte, 64<<10)
	for {
		n, err := out.Read(buf)
		d.Feed(buf[:n], c.r.s.clock.Now())
		if err != nil {
			return fmt.Errorf("read from ffmpeg: %w", err)
		}
	}
}

// frame publishes one frame with its time at the source. What a former generation
// published already is left out.
func (c *child) frame(st *mpegts.Stream, f *media.Frame, at mpegts.Times) {
	now := c.r.s.clock.Now()
	c.gave(now)
	t := c.tracks[st]
	if t == nil || at.PTS == mpegts.NoTime {
		return
	}
	shift := time.Duration(c.base) - origin
	f.PTS = media.FromTicks(at.PTS, mpegts.Ticks).Add(shift)
	f.DTS = media.FromTicks(at.DTS, mpegts.Ticks).Add(shift)
	last, before := c.r.written[t.Label()]
	if before && f.DTS <= last {
		return
	}
	f.Gap = before && f.DTS.Sub(last) > renewJump
	// When the source's frame reached us: its delay is the viewer's, not ours.
	f.Arrival = min(int64(f.DTS)+c.outs[int(st.PID)-firstPID].arrival.Load(), now)
	c.r.written[t.Label()] = f.DTS
	t.WriteFrame(f)
}
