package ts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// OutputsConfig is what outputs need of the rest of the server.
type OutputsConfig struct {
	// Resolve returns the stream to send for name: itself, or a rendition whose codecs
	// receivers know; audio is "aac" or "mp2". It must not block, and is asked again
	// and again. Nil: the stream itself.
	Resolve func(ctx context.Context, name stream.Name, audio string) (stream.Name, error)
	// Guide returns what is on and what follows on a stream; either may be nil. It is
	// asked in a goroutine of its own. Nil: no EIT.
	Guide func(ctx context.Context, name stream.Name, now time.Time) (present, following *Event)
}

// Errors of [Outputs.Add] and [Outputs.Remove].
var (
	ErrExists   = errors.New("there is an output with this id")
	ErrNoOutput = errors.New("there is no such output")
)

// guideEvery is how often the guide is asked: what changes shows within it.
const guideEvery = 10 * time.Second

// Outputs are the outputs at work. Create it with [NewOutputs]; it is safe for
// concurrent use. It runs one goroutine for each output and one for the guide.
type Outputs struct {
	cfg  OutputsConfig
	env  *environment
	log  *slog.Logger
	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu   sync.Mutex
	list map[string]*output
}

// NewOutputs returns no outputs yet.
func NewOutputs(cfg OutputsConfig, hub *stream.Hub, clock media.Clock, log *slog.Logger) *Outputs {
	ctx, stop := context.WithCancel(context.Background())
	s := &Outputs{
		cfg: cfg, log: log, ctx: ctx, stop: stop, list: make(map[string]*output),
		env: &environment{hub: hub, clock: clock, resolve: cfg.Resolve},
	}
	if cfg.Guide != nil {
		s.wg.Go(s.guide)
	}
	return s
}

// Add starts an output. The errors are those of [ParseAddress] and [CheckBitrate], and [ErrExists].
func (s *Outputs) Add(cfg OutputConfig) error {
	addr, err := ParseAddress(cfg.Address)
	if err != nil {
		return fmt.Errorf("output %q: %w", cfg.ID, err)
	}
	if err := CheckBitrate(cfg.Bitrate); err != nil {
		return fmt.Errorf("output %q: %w", cfg.ID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.list[cfg.ID] != nil {
		return fmt.Errorf("output %q: %w", cfg.ID, ErrExists)
	}
	if s.ctx.Err() != nil {
		return fmt.Errorf("output %q: %w", cfg.ID, context.Canceled)
	}
	o := newOutput(cfg, addr, s.env, s.log)
	ctx, cancel := context.WithCancel(s.ctx)
	o.cancel = cancel
	s.list[cfg.ID] = o
	o.running.Go(func() { o.run(ctx) })
	return nil
}

// Remove ends an output and waits for it; none is [ErrNoOutput].
func (s *Outputs) Remove(id string) error {
	s.mu.Lock()
	o := s.list[id]
	delete(s.list, id)
	s.mu.Unlock()
	if o == nil {
		return fmt.Errorf("output %q: %w", id, ErrNoOutput)
	}
	o.cancel()
	o.running.Wait()
	return nil
}

// List returns all outputs as they are, by id.
func (s *Outputs) List() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Status, 0, len(s.list))
	for _, o := range s.list {
		out = append(out, *o.status.Load())
	}
	slices.SortFunc(out, func(a, b Status) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Get returns one output as it is.
func (s *Outputs) Get(id string) (Status, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.list[id]
	if o == nil {
		return Status{}, false
	}
	return *o.status.Load(), true
}

// Close ends all outputs and waits for them.
func (s *Outputs) Close() {
	s.stop()
	s.mu.Lock()
	list := s.list
	s.list = make(map[string]*output)
	s.mu.Unlock()
	for _, o := range list {
		o.cancel()
		o.running.Wait()
	}
	s.wg.Wait()
}

// guide keeps what is on and what follows up to date, apart from the pacing.
func (s *Outputs) guide() {
	tick := time.NewTicker(guideEvery)
	defer tick.Stop()
	for {
		s.mu.Lock()
		list := make([]*output, 0, len(s.list))
		for _, o := range s.list {
			list = append(list, o)
		}
		s.mu.Unlock()
		for _, o := range list {
			present, following := s.cfg.Guide(s.ctx, o.cfg.Stream, time.Now())
			if old := o.events.Load(); old != nil && sameEvent(old[0], present) && sameEvent(old[1], following) {
				continue
			}
			o.events.Store(&[2]*Event{present, following})
		}
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func sameEvent(a, b *Event) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
