package ingest

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tongxiang/ingest/source"
	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

const (
	// tick is how often a running source is judged; switchTick how often a channel
	// that has a backup decides.
	tick       = 250 * time.Millisecond
	switchTick = 100 * time.Millisecond
	// Pauses between attempts. A channel that has played is expected back any
	// moment: it plays again within 5 s of its source's return.
	pauseFirst  = time.Second
	pausePlayed = 3 * time.Second
	pauseMax    = 15 * time.Second
	// goneAfter is how long a source that was taken out of the channel may stay on
	// air because none of the others plays.
	goneAfter = 5 * time.Second
)

// channel runs the sources of one channel. Its goroutine decides which of them are
// open and which one is on air; each source that is open has a goroutine of its own
// (see [place]).
type channel struct {
	id      string
	open    func(string, int) (source.Source, error)
	clock   media.Clock
	log     *slog.Logger
	air     *air
	guide   Guide // nil: nobody wants to know
	names   *identities
	wake    chan struct{}
	running sync.WaitGroup // the goroutines of the places

	cancel context.CancelFunc
	done   chan struct{}

	// When the channel's own multiplex last spoke of it, in nanoseconds of the clock.
	ownNow, ownSchedule atomic.Int64

	mu       sync.Mutex // guards what follows
	cfg      ChannelConfig
	edited   bool     // cfg is news to the goroutine
	asked    int      // the source that somebody wants; -1: nothing was asked
	places   []*place // in the order of cfg; behind them one that is gone and still on air
	current  int      // the source on air, or to be on air
	sight    seen
	switched time.Time
	why      Fault
	said     Status // what the log said last
}

// newChannel returns a channel of a set, which publishes with pub.
func newChannel(cfg ChannelConfig, pub *stream.Publisher, set *Channels) *channel {
	c := &channel{
		id: cfg.ID, cfg: cfg, open: set.open, clock: set.clock, log: set.log.With("channel", cfg.ID), air: newAir(pub, set.clock),
		guide: set.guide, names: &set.names,
		wake: make(chan struct{}, 1), done: make(chan struct{}), asked: -1,
	}
	for _, a := range cfg.addresses() {
		c.places = append(c.places, newPlace(c, a, cfg.Program))
	}
	c.said = Status{State: Connecting}
	return c
}

// addresses are the primary and the backups, in order.
func (c ChannelConfig) addresses() []string { return append([]string{c.Source}, c.Backup...) }

// start runs the channel in its goroutine.
func (c *channel) start() {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	go func() {
		defer close(c.done)
		defer c.air.pub.Close()
		c.run(ctx)
	}()
}

// stop ends the channel and waits for it.
func (c *channel) stop() {
	c.cancel()
	<-c.done
}

// known notes which service a source on air is, when that is known; what another
// source said of it before goes on to count.
func (c *channel) known(p *place) {
	if id := p.identity(); id != (identity{}) {
		c.names.set(c, id)
	}
}

// elsewhere returns the guides of channels that are a service.
func (c *channel) elsewhere(network, stream, service uint16) []source.Guide {
	return c.names.guides(network, stream, service)
}

// nudge makes the channel decide now. It never blocks.
func (c *channel) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run decides from time to time until ctx ends.
func (c *channel) run(ctx context.Context) {
	c.mu.Lock()
	s := newSwitcher(c.cfg.Switch)
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		for _, p := range c.places {
			p.close()
		}
		c.mu.Unlock()
		c.running.Wait()
		c.names.set(c, identity{})
	}()
	why := FaultNone // of the newest decision to take
	for ctx.Err() == nil {
		why = c.step(s, why)
		pause := tick
		if c.hasBackup() {
			pause = switchTick
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-c.wake:
		}
		timer.Stop()
	}
}

// step looks at the sources, decides and does it. why is the reason of the newest
// decision, which may not have come about yet.
func (c *channel) step(s *switcher, why Fault) Fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock.Now()
	if c.edited {
		c.edit(s)
	}
	if c.asked >= 0 {
		s.ask(c.asked, now)
		c.asked = -1
	}
	on, since := c.air.current()
	views, lanes := make([]view, len(c.places)), make([]*lane, len(c.places))
	for i, p := range c.places {
		views[i], lanes[i] = p.view(now, s.rule, on, since, c.sight)
		if views[i].onAir && i != s.current {
			c.moved(s, now, i, why)
		}
	}
	if views[s.current].gone && !c.waitFor(s, now, views) {
		c.moved(s, now, 0, faultRemoved)
	}
	d := s.step(now, views)
	for i, p := range c.places {
		if d.open[i] {
			p.open()
		} else {
			p.close()
		}
	}
	cur := c.places[s.current]
	c.places = slices.DeleteFunc(c.places, func(p *place) bool { return p.gone && p != cur })
	if d.take >= 0 {
		c.air.take(lanes[d.take])
		why = d.why
	} else {
		c.air.take(nil)
	}
	c.current = s.current
	c.say()
	return why
}

// moved notes that another source went on air.
func (c *channel) moved(s *switcher, now int64, to int, why Fault) {
	c.log.Warn("channel switched", "from", redacted(c.places[s.current].address), "to", redacted(c.places[to].address), "reason", why)
	s.switched(now, to, why)
	c.switched, c.why = time.Now(), why
}

// waitFor reports whether a source that was taken out of the channel is to stay on
// air for a moment, because another one is on its way.
func (c *channel) waitFor(s *switcher, now int64, views []view) bool {
	if s.trouble > 0 && now-s.trouble >= int64(goneAfter) {
		return false
	}
	for _, v := range views {
		if !v.gone && !v.failed {
			return true
		}
	}
	return false
}

// edit takes new settings over: sources that stay go on undisturbed.
func (c *channel) edit(s *switcher) {
	c.edited = false
	s.setRule(c.cfg.Switch)
	old, cur := c.places, c.places[s.current]
	c.places = nil
	for _, a := range c.cfg.addresses() {
		i := slices.IndexFunc(old, func(p *place) bool { return p != nil && p.address == a && p.program == c.cfg.Program })
		if i < 0 {
			c.places = append(c.places, newPlace(c, a, c.cfg.Program))
			continue
		}
		old[i].gone = false
		c.places = append(c.places, old[i])
		old[i] = nil
	}
	for _, p := range old {
		switch {
		case p == nil:
		case p == cur:
			p.gone = true
			c.places = append(c.places, p)
		default:
			p.close()
		}
	}
	s.renumber(slices.Index(c.places, cur))
}

// say logs how the channel is when that is another state than before.
func (c *channel) say() {
	st := c.statusLocked()
	if st.State == c.said.State && st.Reason.Code == c.said.Reason.Code {
		return
	}
	c.said = st
	switch st.State {
	case Live:
		c.log.Info("channel live", "source", st.Source)
	case Lost, Refused:
		c.log.Warn("channel not playing", "state", st.State, "reason", st.Reason.Code, "source", st.Source, "err", st.Reason.Detail)
	}
}

// update gives the channel new settings, which it takes over in its goroutine.
func (c *channel) update(cfg ChannelConfig) {
	c.mu.Lock()
	c.cfg, c.edited = cfg, true
	c.mu.Unlock()
	c.nudge()
}

// ask wants a source on air.
func (c *channel) ask(n int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n < 0 || n >= len(c.cfg.addresses()) {
		return ErrNoSource
	}
	c.asked = n
	c.nudge()
	return nil
}

// observe takes what the quality analysis sees.
func (c *channel) observe(o Observation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sight.observe(o, c.clock.Now())
}

func (c *channel) hasBackup() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.cfg.Backup) > 0
}
