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
	// how many frames it must have been offered in that time, unless it does not
	// even take what it is offered. startingAfter is the same before it has given
	// anything: on a busy machine it takes a while to be there.
	stalledAfter  = 5 * time.Second
	startingAfter = 12 * time.Second
	stalledFrames = 50
	// headStart is how old the frames are that a child for HLS begins with: a player
	// that waits for its first segments gets them as fast as they can be encoded.
	headStart = 4 * time.Second
	// deadAfter: a sound of which nothing came for this long is left out of a child,
	// which would wait for it with everything else.
	deadAfter = 3 * time.Second
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
	writing atomic.Int64 // the same when a write began that has not ended; 0: none
	spoken  atomic.Bool  // something came out
	arrival atomic.Int64 // what is to be added to the source's time for when it reached us

	tracks map[*mpegts.Stream]*stream.Track // of the reading goroutine

	// outs are what the child gives, in its order; ins is the place among them of
	// each track of the feed, -1 when it is left out. Set before it starts.
	outs []childTrack
	ins  []int
}

// childTrack is one track that goes through a child.
type childTrack struct {
	label  stream.Label
	format media.Format // of the source
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
		Accept: r.plan.accept(Encode), Sounds: maxSounds, From: r.plan.from(), Drops: &r.s.drops,
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
		c.outs = append(c.outs, childTrack{t.Label, t.Format})
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
	g, ctx := errgroup.WithContext(ctx)
	cmd, words := ffmpeg.Command(ctx, c.r.s.cfg.FFmpeg, arguments(c.r.plan.target, c.formats())...)
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
		return c.write(ctx, in, held)
	})
	g.Go(func() error { return c.read(out) })
	g.Go(func() error { return c.guard(ctx, cmd.Process.Pid) })
	err = g.Wait()
	if exit := cmd.Wait(); exit != nil && !errors.Is(err, errRenew) && ctx.Err() == nil {
		err = errors.Join(err, exit)
	}
	if said := words.String(); said != "" && !errors.Is(err, errRenew) {
		err = fmt.Errorf("%w; it said: %s", err, said)
	}
	return err
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
		c.arrival.Store(f.Arrival - int64(f.DTS))
		// What is shown before the first picture refers to what the child never got.
		leading := c.outs[to].format.Codec.Kind() == media.Video && f.PTS < begin
		f.PTS, f.DTS = f.PTS.Add(origin-time.Duration(c.base)), f.DTS.Add(origin-time.Duration(c.base))
		if f.DTS <= 0 || leading {
			continue
		}
		c.offered.Add(1)
		c.writing.Store(c.r.s.clock.Now())
		err := writeSingly(w, to, c.outs[to].format, &f)
		c.writing.Store(0)
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

// guard ends a child that takes and does not give, or no longer takes, and looks at
// what it costs.
func (c *child) guard(ctx context.Context, pid int) error {
	tick := time.NewTicker(stalledAfter / 5)
	defer tick.Stop()
	var m meter
	began := time.Now()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		if spent, ok := childTime(pid); ok {
			// What it spends on the head start says nothing about later.
			if cores := m.rate(time.Now(), spent); time.Since(began) > 2*headStart {
				c.r.job.set(cores)
			}
		}
		if c.hangs(c.r.s.clock.Now()) {
			return errStalled
		}
	}
}

// hangs reports whether the child is to be given up.
func (c *child) hangs(now int64) bool {
	patience := int64(startingAfter)
	if c.spoken.Load() {
		patience = int64(stalledAfter)
	}
	if w := c.writing.Load(); w != 0 && now-w > patience {
		return true
	}
	return c.offered.Load() > stalledFrames && now-c.heard.Load() > patience
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
	c.heard.Store(now)
	c.offered.Store(0)
	c.spoken.Store(true)
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
	f.Arrival = min(int64(f.DTS)+c.arrival.Load(), now)
	c.r.written[t.Label()] = f.DTS
	t.WriteFrame(f)
}
