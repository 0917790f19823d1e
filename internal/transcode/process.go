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
	"tongxiang/internal/retry"
	"tongxiang/internal/stream"
)

const (
	// stalledAfter is how long a child that is fed may be silent, stalledFrames
	// how many frames it must have been offered in that time, unless it does not
	// even take what it is offered. startingAfter is the same before it has given
	// anything: on a busy machine it takes a while to be there.
	stalledAfter  = 5 * time.Second
	startingAfter = 12 * time.Second
	stalledFrames = 50
	// steady is how long a child must have run for its end to count as the first.
	steady = 30 * time.Second
)

// Why a child ends.
var (
	errRenew   = errors.New("the child is to begin anew")
	errStalled = errors.New("the child is fed and gives nothing")
)

// keep runs one child after another until ctx ends: at once when one is to begin anew,
// after a growing pause when one fails.
func (s *Service) keep(ctx context.Context, name stream.Name, child func(context.Context) error) error {
	back := retry.Backoff{First: 500 * time.Millisecond, Max: 10 * time.Second}
	for ctx.Err() == nil {
		began := time.Now()
		err := child(ctx)
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, errRenew):
			continue
		default:
			if time.Since(began) > steady {
				back.Reset()
			}
			s.failures.Add(1)
			pause := back.Next()
			s.log.Warn("transcoder ended", "stream", name, "err", err, "again in", pause)
			retry.Sleep(ctx, pause)
		}
	}
	return context.Cause(ctx)
}

// task is what is done with a child.
type task struct {
	write func(context.Context, io.Writer) error // feeds it
	read  func(io.Reader) error                  // takes what it gives, until it ends
	young time.Duration                          // what it uses in this time says nothing about later
}

// process runs one child, with what the task does and a guard in goroutines of their
// own, until one of them ends. It returns why, with the child's last words.
func (s *Service) process(ctx context.Context, args []string, v *vigil, j *job, t task) error {
	g, ctx := errgroup.WithContext(ctx)
	cmd, words := ffmpeg.Command(ctx, s.cfg.FFmpeg, args...)
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
	s.starts.Add(1)
	if err := ffmpeg.Background(cmd); err != nil {
		s.log.Warn("the transcoder runs with the server's priority", "err", err)
	}
	v.heard.Store(s.clock.Now())
	g.Go(func() error {
		defer in.Close()
		return t.write(ctx, in)
	})
	g.Go(func() error { return t.read(out) })
	g.Go(func() error { return s.guard(ctx, cmd.Process.Pid, v, j, t.young) })
	err = g.Wait()
	if exit := cmd.Wait(); exit != nil && !errors.Is(err, errRenew) && ctx.Err() == nil {
		err = errors.Join(err, exit)
	}
	if said := words.String(); said != "" && !errors.Is(err, errRenew) {
		err = fmt.Errorf("%w; it said: %s", err, said)
	}
	return err
}

// guard ends a child that takes and does not give, or no longer takes, and looks at
// what it costs.
func (s *Service) guard(ctx context.Context, pid int, v *vigil, j *job, young time.Duration) error {
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
			if cores := m.rate(time.Now(), spent); time.Since(began) > young {
				j.set(cores)
			}
		}
		if v.hangs(s.clock.Now()) {
			return errStalled
		}
	}
}

// vigil is what the guard of a child looks at. Times are those of the process's clock.
// Any goroutine may use it.
type vigil struct {
	offered atomic.Int64 // frames since something came out
	heard   atomic.Int64 // when something last came out
	writing atomic.Int64 // when a write began that has not ended; 0: none
	spoken  atomic.Bool  // something came out
}

// offers notes that a frame is being written; took that the child has taken it.
func (v *vigil) offers(now int64) {
	v.offered.Add(1)
	v.writing.Store(now)
}

func (v *vigil) took() { v.writing.Store(0) }

// gave notes that something came out.
func (v *vigil) gave(now int64) {
	v.heard.Store(now)
	v.offered.Store(0)
	v.spoken.Store(true)
}

// hangs reports whether the child is to be given up.
func (v *vigil) hangs(now int64) bool {
	patience := int64(startingAfter)
	if v.spoken.Load() {
		patience = int64(stalledAfter)
	}
	if w := v.writing.Load(); w != 0 && now-w > patience {
		return true
	}
	return v.offered.Load() > stalledFrames && now-v.heard.Load() > patience
}
