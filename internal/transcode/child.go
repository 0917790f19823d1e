package transcode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tongxiang/internal/ffmpeg"
	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
	"tongxiang/internal/playout/feed"
	"tongxiang/internal/retry"
	"tongxiang/internal/stream"
)

const (
	// renewAfter is far below the 26.5 h after which 33-bit times wrap.
	renewAfter = 20 * time.Hour
	// renewJump is a step in the source's time after which a new child is
	// surer than one that has to make sense of it.
	renewJump = 5 * time.Second
	// stalledAfter is how long a child that is fed may be silent, stalledFrames
	// how many frames it must have been offered in that time.
	stalledAfter  = 10 * time.Second
	stalledFrames = 50
	// steady is how long a child must have run for its end to count as the first.
	steady = 30 * time.Second
)

// Why a child ends.
var (
	errRenew   = errors.New("the child is to begin anew")
	errStalled = errors.New("the child is fed and gives nothing")
)

// supervise keeps a child running.
func (r *rendition) supervise(ctx context.Context) error {
	back := retry.Backoff{First: 500 * time.Millisecond, Max: 10 * time.Second}
	for ctx.Err() == nil {
		began := time.Now()
		err := r.child(ctx)
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, errRenew):
			continue
		default:
			if time.Since(began) > steady {
				back.Reset()
			}
			r.s.failures.Add(1)
			pause := back.Next()
			r.s.log.Warn("transcoder ended", "stream", r.pub.Name(), "err", err, "again in", pause)
			retry.Sleep(ctx, pause)
		}
	}
	return context.Cause(ctx)
}

// child is one generation: it ends when the source's tracks change, when it fails,
// or with ctx.
type child struct {
	r    *rendition
	base media.Time // of the source, at the child's origin
	feed *feed.Feed

	offered atomic.Int64 // frames since something came out
	heard   atomic.Int64 // the process's clock when something last came out

	tracks map[*mpegts.Stream]*stream.Track // of the reading goroutine
	labels map[media.Kind]stream.Label      // set before it starts
}

// child runs one generation and returns why it ended.
func (r *rendition) child(ctx context.Context) error {
	from := stream.AtSync
	if r.plan.picture != Encode {
		from = stream.AtOldest // sound costs little, and goes with what is copied
	}
	f := feed.Open(r.s.hub, r.source, feed.Options{Accept: r.plan.accept(Encode), From: from, Drops: &r.s.drops})
	defer f.Close()
	if _, err := f.Next(ctx); err != nil { // the first event says what there is
		return err
	}
	c := &child{r: r, feed: f, tracks: map[*mpegts.Stream]*stream.Track{}, labels: map[media.Kind]stream.Label{}}
	formats := make([]media.Format, len(f.Tracks()))
	for i, t := range f.Tracks() {
		formats[i] = t.Format
		c.labels[t.Format.Codec.Kind()] = t.Label
	}
	return c.run(ctx, formats)
}

func (c *child) run(ctx context.Context, formats []media.Format) error {
	first, err := c.first(ctx)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	cmd, words := ffmpeg.Command(ctx, c.r.s.cfg.FFmpeg, arguments(c.r.plan.target, formats)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("input of ffmpeg: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("output of ffmpeg: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start ffmpeg: %w", err)
	}
	c.r.s.starts.Add(1)
	if err := ffmpeg.Background(cmd); err != nil {
		c.r.s.log.Warn("the transcoder runs with the server's priority", "err", err)
	}
	c.heard.Store(c.r.s.clock.Now())
	g.Go(func() error {
		defer in.Close()
		return c.write(ctx, in, formats, first)
	})
	g.Go(func() error { return c.read(out, len(formats)) })
	g.Go(func() error { return c.guard(ctx) })
	err = g.Wait()
	if exit := cmd.Wait(); exit != nil && !errors.Is(err, errRenew) && ctx.Err() == nil {
		err = errors.Join(err, exit)
	}
	if said := words.String(); said != "" && !errors.Is(err, errRenew) {
		err = fmt.Errorf("%w; it said: %s", err, said)
	}
	return err
}

// first waits for the frame from which times are counted: one at which decoding can
// begin, not before what made the former child end.
func (c *child) first(ctx context.Context) (feed.Event, error) {
	var e feed.Event
	for e.Frame == nil || e.Frame.DTS < c.r.resume || !e.Frame.Sync {
		var err error
		if e, err = c.feed.Next(ctx); err != nil {
			return e, err
		}
		if e.Frame == nil {
			return e, errRenew
		}
	}
	c.base = media.FromTicks(e.Frame.DTS.Ticks(mpegts.Ticks), mpegts.Ticks)
	return e, nil
}

// write feeds the child until ctx ends, the tracks change or their time jumps.
func (c *child) write(ctx context.Context, in io.Writer, formats []media.Format, e feed.Event) error {
	w, err := mpegts.NewWriter(in, formats)
	if err != nil {
		return err
	}
	last := make([]media.Time, len(formats))
	for {
		if e.Frame == nil {
			return errRenew
		}
		f := *e.Frame
		if l := last[e.Track]; l != 0 && f.DTS.Sub(l) > renewJump || f.DTS.Sub(c.base) > renewAfter {
			c.r.resume = f.DTS
			return errRenew
		}
		last[e.Track] = f.DTS
		f.PTS, f.DTS = f.PTS.Add(origin-time.Duration(c.base)), f.DTS.Add(origin-time.Duration(c.base))
		if f.DTS > 0 {
			c.offered.Add(1)
			if err := w.WriteFrame(e.Track, &f); err != nil && !errors.Is(err, mpegts.ErrFormat) {
				return err
			}
		}
		if e, err = c.feed.Next(ctx); err != nil {
			return err
		}
	}
}

// guard ends a child that takes and does not give.
func (c *child) guard(ctx context.Context) error {
	tick := time.NewTicker(stalledAfter / 5)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		if c.offered.Load() > stalledFrames && c.r.s.clock.Now()-c.heard.Load() > int64(stalledAfter) {
			return errStalled
		}
	}
}

// read publishes what the child gives. It ends when the child does.
func (c *child) read(out io.Reader, count int) error {
	known := 0
	d := mpegts.NewDemuxer(mpegts.Handler{
		Format: func(st *mpegts.Stream) {
			label, ours := c.labels[st.Format.Codec.Kind()]
			if !ours {
				return
			}
			if c.tracks[st] == nil {
				known++
			}
			c.tracks[st] = c.r.pub.AddTrack(stream.TrackInfo{Label: label, Form: stream.Frames, Format: st.Format})
			if known == count && !c.r.told {
				c.r.told = true
				close(c.r.ready)
			}
		},
		Frame: c.frame,
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
	c.heard.Store(now)
	c.offered.Store(0)
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
	f.Arrival = now
	c.r.written[t.Label()] = f.DTS
	t.WriteFrame(f)
}
