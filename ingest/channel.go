package ingest

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/url"
	"sync"
	"time"

	"tongxiang/ingest/source"
	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
	"tongxiang/internal/retry"
	"tongxiang/internal/stream"
)

const (
	// tick is how often a running source is judged.
	tick = 250 * time.Millisecond
	// Pauses between attempts. A channel that has played is expected back any
	// moment: it plays again within 5 s of its source's return.
	pauseFirst  = time.Second
	pausePlayed = 3 * time.Second
	pauseMax    = 15 * time.Second
)

// Status is how a channel is at a moment.
type Status struct {
	ID   string `json:"id"`
	Name string `json:"name"`

	State  State     `json:"state"`
	Since  time.Time `json:"since"`
	Reason Reason    `json:"reason,omitzero"` // why it does not play

	Playable   Playable `json:"playable"`
	PlayReason Reason   `json:"play_reason,omitzero"` // why not directly

	Source   string            `json:"source"`           // the address in use, without password
	Backup   bool              `json:"backup,omitempty"` // it is one of the backups
	Program  int               `json:"program,omitempty"`
	Service  string            `json:"service,omitempty"` // the name that the stream gives itself
	Provider string            `json:"provider,omitempty"`
	Formats  []Format          `json:"formats"`
	Bitrate  int64             `json:"bitrate"`          // bits a second that arrive, over about a second
	Attempts int               `json:"attempts"`         // how often a source was started
	Errors   map[string]uint64 `json:"errors,omitempty"` // of the source in use, by name

	Transport *mpegts.Measure `json:"-"` // of the source in use; nil when it is no transport stream
}

// Format is one picture or sound of a channel.
type Format struct {
	media.Format `json:"-"`
	Codec        string `json:"codec"`
	Published    bool   `json:"published"`
	Scrambled    bool   `json:"scrambled,omitempty"`
}

// channel runs the sources of one channel, one at a time.
type channel struct {
	cfg   ChannelConfig
	open  func(string, int) (source.Source, error)
	clock media.Clock
	log   *slog.Logger
	pub   *stream.Publisher
	out   *source.Output

	cancel context.CancelFunc
	done   chan struct{}

	mu         sync.Mutex // guards what follows
	state      State
	since      time.Time
	reason     Reason
	report     source.Report
	playable   Playable
	playReason Reason
	current    int // place of the source in use
	attempts   int
	bitrate    int64
	played     bool // it was live at some time
}

func newChannel(cfg ChannelConfig, pub *stream.Publisher, clock media.Clock, log *slog.Logger, open func(string, int) (source.Source, error)) *channel {
	c := &channel{
		cfg: cfg, open: open, clock: clock, log: log, pub: pub,
		done: make(chan struct{}), state: Connecting, since: time.Now(),
	}
	c.out = &source.Output{
		Publisher: pub, Timeline: new(media.Timeline), Clock: clock, Log: log, Report: c.reported,
	}
	return c
}

// start runs the channel in its goroutine.
func (c *channel) start() {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	go func() {
		defer close(c.done)
		defer c.pub.Close()
		c.run(ctx)
	}()
}

// stop ends the channel and waits for it.
func (c *channel) stop() {
	c.cancel()
	<-c.done
}

// addresses are the primary and the backups, in order.
func (c *channel) addresses() []string { return append([]string{c.cfg.Source}, c.cfg.Backup...) }

// run tries the sources in turn until ctx ends.
func (c *channel) run(ctx context.Context) {
	addresses := c.addresses()
	backoff := retry.Backoff{First: pauseFirst}
	for i := 0; ctx.Err() == nil; i = (i + 1) % len(addresses) {
		began := c.clock.Now()
		err := c.attempt(ctx, i, addresses[i])
		if ctx.Err() != nil {
			return
		}
		c.failed(err)
		worked := c.out.LastMedia() >= began
		if worked {
			backoff.Reset()
		}
		backoff.Max = pauseMax
		if c.hasPlayed() {
			backoff.Max = pausePlayed
		}
		// The next in the list is tried at once; only a whole round that failed is
		// followed by a pause.
		lasted := time.Duration(c.clock.Now() - began)
		if i+1 < len(addresses) || len(addresses) > 1 && worked && lasted > pauseFirst {
			continue
		}
		if !retry.Sleep(ctx, backoff.Next()) {
			return
		}
	}
}

// attempt runs one source until it fails, the watch gives it up or ctx ends.
func (c *channel) attempt(ctx context.Context, i int, address string) error {
	src, err := c.open(address, c.cfg.Program)
	if err != nil {
		return err
	}
	c.begin(i)
	c.out.Timeline.Restart()
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- src.Run(ctx, c.out) }()
	defer cancel()

	w := watcher{channel: c, began: c.clock.Now(), backup: len(c.cfg.Backup) > 0}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-ticker.C:
			if cause := w.look(); cause != source.CauseNone {
				cancel()
				<-ended
				return source.Because(cause, errors.New("given up"))
			}
		}
	}
}

// watcher looks at a running source from time to time.
type watcher struct {
	channel *channel
	began   int64
	backup  bool
	counted int64 // when the bit rate was last computed
	bytes   uint64
}

// look updates the channel's state and returns why the source is to be given up, if it is.
func (w *watcher) look() source.Cause {
	c := w.channel
	now := c.clock.Now()
	v := watch(pulse{
		now: now, began: w.began, bytes: c.out.LastBytes(), media: c.out.LastMedia(),
		unplayable: c.unplayable(), backup: w.backup,
	})
	if w.counted == 0 {
		w.counted, w.bytes = now, c.out.Bytes()
	} else if d := now - w.counted; d >= int64(time.Second) {
		bytes := c.out.Bytes()
		c.setBitrate(int64(float64(bytes-w.bytes) * 8 * 1e9 / float64(d)))
		w.counted, w.bytes = now, bytes
	}
	if v.state != "" {
		c.set(v.state, c.reasonOf(v))
	}
	if v.end {
		return v.cause
	}
	return source.CauseNone
}

// reasonOf returns the sentence for a verdict: what the streams say where they are the cause.
func (c *channel) reasonOf(v verdict) Reason {
	if v.cause == source.CauseUnplayable {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.playable == Unplayable {
			return c.playReason
		}
	}
	return reasonFor(v.cause)
}

// failed notes that a source ended.
func (c *channel) failed(err error) {
	cause := source.CauseOf(err)
	reason := c.reasonOf(verdict{cause: cause})
	if err != nil {
		reason.Detail = err.Error()
	}
	state := Lost
	if permanent(cause, c.hasPlayed()) {
		state = Refused
	}
	c.set(state, reason)
}

// set changes the state, and says so when it is another one.
func (c *channel) set(s State, r Reason) {
	c.mu.Lock()
	changed := c.state != s || c.reason.Code != r.Code
	if c.state != s {
		c.since = time.Now()
	}
	c.state = s
	if changed || r.Detail != "" {
		c.reason = r
	}
	c.played = c.played || s == Live
	source := c.current
	c.mu.Unlock()
	if !changed {
		return
	}
	if s == Live {
		c.log.Info("channel live", "source", c.address(source))
		return
	}
	c.log.Warn("channel not playing", "state", s, "reason", r.Code, "source", c.address(source), "err", r.Detail)
}

func (c *channel) begin(i int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = i
	c.attempts++
	c.report, c.playable, c.playReason = source.Report{}, PlayableUnknown, Reason{}
}

// reported takes what a source says it carries.
func (c *channel) reported(r source.Report) {
	playable, why := Judge(r.Streams)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report, c.playable, c.playReason = r, playable, why
}

func (c *channel) unplayable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.playable == Unplayable
}

func (c *channel) hasPlayed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.played
}

func (c *channel) setBitrate(b int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bitrate = b
}

// address returns the address of a source without its password.
func (c *channel) address(i int) string {
	u, err := url.Parse(c.addresses()[i])
	if err != nil {
		return ""
	}
	return u.Redacted()
}

func (c *channel) status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Status{
		ID: c.cfg.ID, Name: c.cfg.Name, State: c.state, Since: c.since, Reason: c.reason,
		Playable: c.playable, PlayReason: c.playReason,
		Source: c.address(c.current), Backup: c.current > 0, Attempts: c.attempts, Bitrate: c.bitrate,
		Program: c.report.Program, Service: c.report.Service, Provider: c.report.Provider,
		Errors: maps.Clone(c.report.Errors), Transport: c.report.Transport, Formats: make([]Format, 0, len(c.report.Streams)),
	}
	if s.State != Live {
		s.Bitrate = 0
	}
	for _, st := range c.report.Streams {
		s.Formats = append(s.Formats, Format{
			Format: st.Format, Codec: codecName(st.Format), Published: st.Published, Scrambled: st.Scrambled,
		})
	}
	return s
}
