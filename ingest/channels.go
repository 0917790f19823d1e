// Package ingest brings channels in: satellite programmes, encoders, cameras. Each
// channel is one goroutine that decides which of its sources are open and which one
// is on air, and one goroutine for each source that is open, which starts it again
// for ever; one folder for each protocol makes the sources.
//
//	Channels ─> channel ─> switcher: which source is on air, which are open
//	               ├─> place ─> source (mpegts/, rtsp/, onvif/, push/) ─> lane ─┐
//	               └─> place ─> source ──────────────────> lane ─┴─> air ─> channels/{id}
//
// A channel publishes once and keeps its publisher and its tracks over changes of
// its source, so that nobody who watches has to begin anew. Channels do not touch
// one another.
package ingest

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"

	"tongxiang/ingest/mpegts"
	"tongxiang/ingest/onvif"
	"tongxiang/ingest/push"
	"tongxiang/ingest/rtsp"
	"tongxiang/ingest/source"
	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// Errors that callers decide on.
var (
	// ErrExists: there is a channel with this id.
	ErrExists = errors.New("channel exists")
	// ErrNotFound: there is no channel with this id.
	ErrNotFound = errors.New("channel not found")
	// ErrBadChannel is wrapped by every error about a channel's own settings.
	ErrBadChannel = errors.New("bad channel")
	// ErrNoSource: the channel has no source with this number.
	ErrNoSource = errors.New("no such source")
	// ErrClosed: the channels are closed.
	ErrClosed = errors.New("channels are closed")
)

// ChannelConfig is one channel.
type ChannelConfig struct {
	ID   string
	Name string
	// Source is an address; see docs/sources.md and [Schemes]. "push:" is what an encoder
	// sends to this channel.
	Source string
	// Program is the program_number in a transport stream; 0: the first that can be played.
	Program int
	// Backup lists further addresses, tried in this order when the one on air fails.
	Backup []string
	// Switch says when, and when to return.
	Switch Rule
}

// Opener makes the source of an address.
type Opener func(u *url.URL, program int) (source.Source, error)

// Schemes returns the protocols that are built in, by URL scheme.
func Schemes(o Options) map[string]Opener {
	// What several channels take from is read once.
	muxes := &mpegts.Muxes{Programs: o.Programs, FFmpeg: o.FFmpeg}
	ts := func(u *url.URL, program int) (source.Source, error) { return muxes.New(u, program) }
	cameras := new(rtsp.Quirks) // what was learned of one at an earlier connection
	camera := func(u *url.URL, program int) (source.Source, error) { return cameras.New(u, program) }
	return map[string]Opener{
		"udp": ts, "rtp": ts, "srt": ts, "http": ts, "https": ts, "file": ts, "folder": ts, "exec": ts, "stdin": ts,
		"rtsp": camera, "rtsps": camera,
		"onvif": func(u *url.URL, _ int) (source.Source, error) { return onvif.New(u, cameras) },
	}
}

// Options are what [NewChannels] may be told.
type Options struct {
	// Schemes replaces the built-in protocols; nil: [Schemes].
	Schemes map[string]Opener
	// Programs are the tuner programs that exec: addresses may name, with their arguments.
	Programs map[string][]string
	// FFmpeg plays files that are no transport streams; empty: they are not played.
	FFmpeg string
	// Guide takes what is said about programmes; nil: nobody.
	Guide Guide
}

// Channels runs the channels. It is safe for concurrent use.
type Channels struct {
	hub     *stream.Hub
	clock   media.Clock
	log     *slog.Logger
	schemes map[string]Opener
	guide   Guide
	names   identities

	mu     sync.Mutex
	list   []*channel // in the order in which they were added
	closed bool
}

// NewChannels returns an empty set of channels that publish to hub.
func NewChannels(hub *stream.Hub, clock media.Clock, log *slog.Logger, o Options) *Channels {
	if o.Schemes == nil {
		o.Schemes = Schemes(o)
		o.Schemes[pushScheme] = func(u *url.URL, _ int) (source.Source, error) { return push.New(hub, u) }
	}
	c := &Channels{hub: hub, clock: clock, log: log, schemes: o.Schemes, guide: o.Guide}
	c.provideTransport()
	return c
}

// open makes the source of an address.
func (c *Channels) open(address string, program int) (source.Source, error) {
	return openSource(c.schemes, address, program)
}

// pushScheme is that of what an encoder sends to us.
const pushScheme = "push"

// addressed returns cfg with its id in the addresses "push:", which every channel
// writes alike.
func (cfg ChannelConfig) addressed() ChannelConfig {
	own := func(address string) string {
		if address == pushScheme+":" {
			return address + cfg.ID
		}
		return address
	}
	backup := make([]string, len(cfg.Backup))
	for i, b := range cfg.Backup {
		backup[i] = own(b)
	}
	cfg.Source, cfg.Backup = own(cfg.Source), backup
	return cfg
}

// Check says what is wrong with a channel's settings. The error wraps [ErrBadChannel].
func (c *Channels) Check(cfg ChannelConfig) error {
	if err := stream.CheckID(cfg.ID); err != nil {
		return fmt.Errorf("%w: id: %w", ErrBadChannel, err)
	}
	if err := cfg.Switch.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrBadChannel, err)
	}
	cfg = cfg.addressed()
	for i, address := range cfg.addresses() {
		if _, err := c.open(address, cfg.Program); err != nil {
			return fmt.Errorf("%w: source %d: %w", ErrBadChannel, i+1, err)
		}
	}
	return nil
}

// Add starts a channel. The errors are [ErrExists], [ErrClosed], [ErrBadChannel]
// and those of the hub when somebody else publishes under the channel's name.
func (c *Channels) Add(cfg ChannelConfig) error {
	if err := c.Check(cfg); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	if c.find(cfg.ID) >= 0 {
		return fmt.Errorf("add channel %q: %w", cfg.ID, ErrExists)
	}
	pub, err := c.hub.Publish(stream.Channel(cfg.ID), false)
	if err != nil {
		return fmt.Errorf("add channel %q: %w", cfg.ID, err)
	}
	ch := newChannel(cfg.addressed(), pub, c)
	c.list = append(c.list, ch)
	ch.start()
	return nil
}

// Remove stops a channel and waits until it has ended. Others are not disturbed.
func (c *Channels) Remove(id string) error {
	c.mu.Lock()
	i := c.find(id)
	if i < 0 {
		c.mu.Unlock()
		return fmt.Errorf("remove channel %q: %w", id, ErrNotFound)
	}
	ch := c.list[i]
	c.list = append(c.list[:i:i], c.list[i+1:]...)
	c.mu.Unlock()
	ch.stop()
	return nil
}

// Update gives a channel other settings. Sources that stay the same go on
// undisturbed; a source on air that is no longer one of the channel's stays there
// until another one can begin. The errors are [ErrNotFound] and [ErrBadChannel].
func (c *Channels) Update(cfg ChannelConfig) error {
	if err := c.Check(cfg); err != nil {
		return err
	}
	ch, err := c.channel(cfg.ID)
	if err != nil {
		return fmt.Errorf("update channel %q: %w", cfg.ID, err)
	}
	ch.update(cfg)
	return nil
}

// Switch puts a source of a channel on air, 0 the primary, as soon as it can begin;
// when it cannot within a quarter of a minute, nothing changes. A backup that was
// chosen so stays until it fails or the primary is chosen. The errors are
// [ErrNotFound] and [ErrNoSource].
func (c *Channels) Switch(id string, n int) error {
	ch, err := c.channel(id)
	if err == nil {
		err = ch.ask(n)
	}
	if err != nil {
		return fmt.Errorf("switch channel %q to source %d: %w", id, n, err)
	}
	return nil
}

// Observe takes what the quality analysis sees and hears on a channel now; one that
// is not there is left alone. It never blocks.
func (c *Channels) Observe(id string, o Observation) {
	if ch, err := c.channel(id); err == nil {
		ch.observe(o)
	}
}

func (c *Channels) channel(id string) (*channel, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.find(id)
	if i < 0 {
		return nil, ErrNotFound
	}
	return c.list[i], nil
}

// find returns the place of a channel, or -1. The caller holds c.mu.
func (c *Channels) find(id string) int {
	for i, ch := range c.list {
		if ch.id == id {
			return i
		}
	}
	return -1
}

// List returns how every channel is, in the order in which they were added.
func (c *Channels) List() []Status {
	c.mu.Lock()
	list := c.list
	c.mu.Unlock()
	out := make([]Status, len(list))
	for i, ch := range list {
		out[i] = ch.status()
	}
	return out
}

// Get returns how one channel is; ok is false when there is none with this id.
func (c *Channels) Get(id string) (s Status, ok bool) {
	ch, err := c.channel(id)
	if err != nil {
		return Status{}, false
	}
	return ch.status(), true
}

// Close stops all channels and waits for them.
func (c *Channels) Close() {
	c.mu.Lock()
	list := c.list
	c.list, c.closed = nil, true
	c.mu.Unlock()
	for _, ch := range list {
		ch.cancel()
	}
	for _, ch := range list {
		ch.stop()
	}
}
